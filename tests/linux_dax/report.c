/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <stdarg.h>
#include <stdio.h>

static unsigned passed, failed;

bool report(bool good, const char *format, ...)
{
    va_list arguments;

    if (good)
        passed++;
    else
        failed++;
    fputs(good ? "ok: " : "FAILED: ", stdout);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
    return good;
}

unsigned report_failures(void)
{
    return failed;
}

bool report_sum(void)
{
    printf("%u passed, %u failed\n", passed, failed);
    fflush(stdout);
    return passed != 0 && failed == 0;
}
