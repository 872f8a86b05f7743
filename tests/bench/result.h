/* SPDX-License-Identifier: MIT */
/*
 * Results of a benchmark for programs. With EXT2DAX_BENCHMARKS in the environment, a program writes
 * its rows to a file of its own in this directory, a JSON object per line. chart.py reads the files
 * of all programs. Without the variable nothing is written.
 */
#ifndef RESULT_H
#define RESULT_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static FILE *result_file;
static const char *result_program;

/* Begins the file of the program. Returns false if the file cannot be made. */
static inline bool result_begin(const char *program)
{
    const char *folder = getenv("EXT2DAX_BENCHMARKS");
    char path[4096];

    result_program = program;
    if (!folder)
        return true;
    if ((size_t)snprintf(path, sizeof(path), "%s/%s.json", folder, program) >= sizeof(path))
        return false;
    result_file = fopen(path, "w");
    return result_file != NULL;
}

/*
 * Writes a row without a peer. `ours` and `floor` are medians of `runs` rounds, `ratio` is the
 * median of the ratios per round. `bar` is the largest ratio allowed, or 0 for none.
 */
static inline void result_row(const char *bench, const char *locks, const char *unit, double ours, double floor,
                              double ratio, double bar, int runs)
{
    if (!result_file)
        return;
    (void)fprintf(result_file,
                  "{\"bench\": \"%s, %s, %s\", \"unit\": \"%s\", \"ours\": %.3f, \"peer\": null, \"theirs\": null, "
                  "\"floor\": %.3f, \"ratio_to_peer\": null, \"ratio_to_floor\": %.3f, ",
                  result_program, bench, locks, unit, ours, floor, ratio);
    if (bar > 0)
        (void)fprintf(result_file, "\"bar\": %.2f, \"meets_bar\": %s, ", bar, ratio <= bar ? "true" : "false");
    else
        (void)fprintf(result_file, "\"bar\": null, \"meets_bar\": null, ");
    (void)fprintf(result_file, "\"runs\": %d}\n", runs);
}

/* Ends the file. Returns false if the file is not complete. */
static inline bool result_end(void)
{
    return !result_file || fclose(result_file) == 0;
}

#endif
