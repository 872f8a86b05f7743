/* SPDX-License-Identifier: MIT */
/*
 * A progress bar on stderr. Drawn on a terminal only, after 1 second of work, and at most ten
 * times per second.
 */
#include "mapper.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CELLS 30

double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void progress_start(struct progress *progress, const char *what, uint64_t total)
{
    progress->what = what;
    progress->total = total;
    progress->started = seconds_now();
    progress->drawn = 0;
    progress->terminal = isatty(STDERR_FILENO);
}

void progress_step(struct progress *progress, uint64_t done)
{
    if (!progress->terminal || !progress->total)
        return;
    double now = seconds_now();
    if (now - progress->started < 1 || now - progress->drawn < 0.1)
        return;
    progress->drawn = now;
    double part = done < progress->total ? (double)done / (double)progress->total : 1;
    char bar[CELLS + 1];
    for (unsigned i = 0; i < CELLS; i++)
        bar[i] = i < (unsigned)(part * CELLS) ? '#' : '.';
    bar[CELLS] = 0;
    putc('\r', stderr);
    print_text(stderr, progress->what, strlen(progress->what));
    fprintf(stderr, " [%s] %3u%%", bar, (unsigned)(part * 100));
    fflush(stderr);
}

void progress_end(struct progress *progress)
{
    if (progress->drawn > 0)
        fputs("\r\033[K", stderr);
}
