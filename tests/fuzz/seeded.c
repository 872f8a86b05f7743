/* SPDX-License-Identifier: MIT */
/*
 * The fuzzer's body without a fuzzer: inputs from a seed, or from files.
 *   seeded [COUNT [SEED]]     each input has a number, from SEED on; a failing one is named by SEED with COUNT 1
 *   seeded FILE...            inputs that a fuzzer has written
 */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz_image.h"
#include "../emulated.h"

#define COUNT         700ul
#define SECONDS       20u /* for one input: far more than any needs */
#define LONGEST_INPUT 4096u

static char now_running[64];

/* Whatever ends the program: which input was it? */
static void tell(int number)
{
    (void)!write(STDERR_FILENO, now_running, strlen(now_running));
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void run_seed(unsigned long seed)
{
    uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
    uint8_t input[4 + 8 * 12];
    size_t size;

    for (size_t i = 0; i < sizeof(input); i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        input[i] = (uint8_t)(state >> 41);
    }
    size = 4 + 8 * (size_t)(input[sizeof(input) - 1] % 13);
    /* Most superblocks and descriptors that are touched at all are refused: seldom touched, they leave the rest to do. */
    for (size_t at = 4; at + 8 <= size; at += 8)
        input[at] = (input[at] & 7) <= 1 && (input[at] & 0x38) != 0 ? (uint8_t)(input[at] | 3) : input[at];
    (void)snprintf(now_running, sizeof(now_running), "input: 1 %lu\n", seed);
    alarm(SECONDS);
    (void)LLVMFuzzerTestOneInput(input, size);
}

static int run_file(const char *path)
{
    static uint8_t input[LONGEST_INPUT];
    FILE *file = fopen(path, "rb");
    size_t size;

    if (!file) {
        perror(path);
        return EXIT_FAILURE;
    }
    size = fread(input, 1, sizeof(input), file);
    (void)fclose(file);
    (void)snprintf(now_running, sizeof(now_running), "input: %.50s\n", path);
    alarm(SECONDS);
    (void)LLVMFuzzerTestOneInput(input, size);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    unsigned long count = emulated() ? COUNT / 5 : COUNT, seed = 1;
    int status = EXIT_SUCCESS;

    (void)signal(SIGABRT, tell);
    (void)signal(SIGSEGV, tell);
    (void)signal(SIGALRM, tell);
    if (argc > 1 && !isdigit((unsigned char)argv[1][0])) {
        for (int i = 1; i < argc; i++)
            status |= run_file(argv[i]);
        return status;
    }
    if (argc > 1)
        count = strtoul(argv[1], NULL, 10);
    if (argc > 2)
        seed = strtoul(argv[2], NULL, 10);
    for (unsigned long i = 0; i < count; i++)
        run_seed(seed + i);
    return status;
}
