/* SPDX-License-Identifier: MIT */
/* Messages, the progress bar and signals. */
#include "dax-image.h"

#include <ext2dax/hosted/host.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CELLS 30

volatile sig_atomic_t interrupted;
const char *volatile unfinished;

static uint64_t mark;

/* Ends the program from a signal handler. */
static void print_and_exit(const char *text, size_t length)
{
    ssize_t wrote = write(STDERR_FILENO, text, length);

    (void)wrote;
    _exit(EXIT_FAILED);
}

/*
 * Stops the program at once while no file is to be removed, because a read of a pipe may last for
 * ever. Otherwise the build stops soon.
 */
static void stop_requested(int number)
{
    static const char text[] = "dax-image: interrupted\n";

    (void)number;
    interrupted = 1;
    if (!unfinished)
        print_and_exit(text, sizeof(text) - 1);
}

/* A store to the image fails if the host disk is full, and a load if somebody shortens the file. */
static void bus_error(int number)
{
    static const char text[] =
        "dax-image: the host filesystem has no space for the image, or the image was cut short\n";

    (void)number;
    if (unfinished)
        unlink(unfinished);
    print_and_exit(text, sizeof(text) - 1);
}

void signals_install(void)
{
    static const int stops[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = bus_error;
    sigaction(SIGBUS, &action, NULL);
    action.sa_handler = stop_requested;
    for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++)
        sigaction(stops[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

void print_escaped(void *stream, const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at < 32 || *at == 127 || *at == '\\')
            fprintf(stream, "\\%03o", *at);
        else
            putc(*at, stream);
    }
}

void print_json_text(const char *text)
{
    putchar('"');
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at < 32 || *at >= 127 || *at == '"' || *at == '\\')
            printf("\\u%04x", *at);
        else
            putchar(*at);
    }
    putchar('"');
}

int failed(const char *path, const char *format, ...)
{
    va_list list;

    progress_end();
    fputs("dax-image: ", stderr);
    if (path) {
        print_escaped(stderr, path);
        fputs(": ", stderr);
    }
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    putc('\n', stderr);
    return EXIT_FAILED;
}

int library_failed(const char *path, int error, const char *verb)
{
    char text[512];

    ext2dax_host_describe(mark, error, text, sizeof(text));
    mark = ext2dax_host_mark();
    return failed(path, "%s: %s", verb, text);
}

int out_of_memory(void)
{
    return failed(NULL, "%s", strerror(12));
}

/* ---- the progress bar ---- */

static bool drawn;

static double now_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Draws on a terminal only, and at most ten times a second. */
void progress(const char *verb, uint64_t done, uint64_t total)
{
    static double last;
    static int terminal = -1;
    char bar[CELLS + 1];

    if (terminal < 0)
        terminal = isatty(STDERR_FILENO);
    if (!terminal || !total)
        return;
    double now = now_seconds();
    if (now - last < 0.1)
        return;
    last = now;
    double part = done < total ? (double)done / (double)total : 1;
    for (unsigned i = 0; i < CELLS; i++)
        bar[i] = i < (unsigned)(part * CELLS) ? '#' : '.';
    bar[CELLS] = 0;
    fprintf(stderr, "\r%s [%s] %3u%%", verb, bar, (unsigned)(part * 100));
    fflush(stderr);
    drawn = true;
}

void progress_end(void)
{
    if (drawn)
        fputs("\r\033[K", stderr);
    drawn = false;
}
