/* SPDX-License-Identifier: MIT */
/* The kernel's trace of huge faults, mounted at /trace by the guest. */
#ifndef TRACE_H
#define TRACE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TRACE "/trace/"
#define EVENT TRACE "events/fs_dax/dax_pmd_fault_done/enable"

static inline bool trace_put(const char *path, const char *text)
{
    int descriptor = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    bool good = descriptor >= 0 && write(descriptor, text, strlen(text)) == (ssize_t)strlen(text);

    if (descriptor >= 0)
        close(descriptor);
    return good;
}

/* Returns the number of successful huge faults in the trace. */
static inline unsigned trace_huge_faults(void)
{
    FILE *trace = fopen(TRACE "trace", "r");
    char line[512];
    unsigned count = 0;

    while (trace && fgets(line, sizeof(line), trace))
        count += strstr(line, "dax_pmd_fault_done:") != NULL && strstr(line, "NOPAGE") != NULL;
    if (trace)
        fclose(trace);
    return count;
}

#endif
