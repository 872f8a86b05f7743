/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzzer's body without a fuzzer, with inputs from a seed or from files.
 *
 *   seeded [COUNT [SEED]]      numbered inputs, starting at SEED. COUNT 0 runs without end, and
 *                              prints progress
 *   seeded FILE...             inputs written by a fuzzer
 *   seeded --mutants [COUNT]   each geometry mutant of the core must fail on one of COUNT inputs
 *   seeded --notice COUNT NAME...   the same for named mutants
 *
 * A failing input prints the arguments for running it again. EXT2DAX_MUTANT in the environment
 * activates a mutant.
 */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ext2dax/testkit/mutant.h"

#include "fuzz_image.h"
#include "../emulated.h"

#define SECONDS       20 /* of processor time per input, far more than any input needs */
#define LONGEST_INPUT 4096u

static const char *program;
static char now_running[256];

/* Prints the current input when a signal ends the program. */
static void tell(int number)
{
    (void)!write(STDERR_FILENO, now_running, strlen(now_running));
    (void)!write(STDERR_FILENO, fuzz_text(), strlen(fuzz_text()));
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

/* Limits processor time, because other programs may use most of the processor. */
static void limit_time(void)
{
    const struct itimerval limit = {.it_value = {.tv_sec = SECONDS}};

    (void)setitimer(ITIMER_PROF, &limit, NULL);
}

static void run_seed(unsigned long seed)
{
    uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
    uint8_t input[FUZZ_NOISE];
    size_t size;

    for (size_t i = 0; i < sizeof(input); i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        input[i] = (uint8_t)(state >> 41);
    }
    size = fuzz_shape(input);
    (void)snprintf(now_running, sizeof(now_running), "once more: %.200s 1 %lu\n", program, seed);
    limit_time();
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
    limit_time();
    (void)LLVMFuzzerTestOneInput(input, size);
    return EXIT_SUCCESS;
}

/* Prints the inputs per second of processor time, for which other programs do not count. */
static void print_rate(unsigned long count, clock_t begun)
{
    double seconds = (double)(clock() - begun) / CLOCKS_PER_SEC;

    if (count > 1 && seconds > 0)
        (void)printf("%lu inputs, %.0f a second of processor time\n", count, (double)count / seconds);
}

static void run_seeds(unsigned long count, unsigned long seed)
{
    const time_t start = time(NULL);
    const clock_t begun = clock();
    time_t printed = start;

    for (unsigned long i = 0; count == 0 || i < count; i++) {
        run_seed(seed + i);
        if (count == 0 && time(NULL) >= printed + 60) {
            printed = time(NULL);
            (void)printf("%lu inputs in %ld s, the last one %lu\n", i + 1, (long)(printed - start), seed + i);
            (void)fflush(stdout);
        }
    }
    print_rate(count, begun);
}

/* Runs the inputs in another process, because a broken core may do anything. Drops its messages. */
static bool is_noticed(const char *mutant, unsigned long count)
{
    const time_t start = time(NULL);
    int status;
    pid_t child;

    (void)fflush(NULL);
    child = fork();
    if (child == 0) {
        if (!getenv("FUZZ_SHOW"))
            (void)!freopen("/dev/null", "w", stderr);
        if (ext2dax_mutant_activate(mutant) == 0)
            run_seeds(count, 1);
        _exit(EXIT_SUCCESS);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    (void)printf("%s %s after %ld s\n", mutant, status != 0 ? "noticed" : "NOT NOTICED", (long)(time(NULL) - start));
    return status != 0;
}

static int try_mutants(unsigned long count)
{
    unsigned tried = 0, missed = 0;

    for (int i = 0; i < ext2dax_mutant_count(); i++) {
        if (ext2dax_mutant_kind(i) != EXT2DAX_MUTANT_GEOMETRY)
            continue;
        tried++;
        missed += !is_noticed(ext2dax_mutant_name(i), count);
    }
    return tried != 0 && missed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int notice(unsigned long count, char **names)
{
    unsigned missed = 0;

    for (; *names; names++)
        missed += !is_noticed(*names, count);
    return missed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    unsigned long count = emulated() ? fuzz_usual_count / 5 : fuzz_usual_count, seed = 1;
    int status = EXIT_SUCCESS;

    program = argv[0];
    (void)signal(SIGABRT, tell);
    (void)signal(SIGSEGV, tell);
    (void)signal(SIGPROF, tell);
    if (getenv("EXT2DAX_MUTANT") && ext2dax_mutant_activate(getenv("EXT2DAX_MUTANT")) != 0)
        return EXIT_FAILURE;
    if (argc > 1 && strcmp(argv[1], "--mutants") == 0)
        return try_mutants(argc > 2 ? strtoul(argv[2], NULL, 10) : fuzz_usual_count);
    if (argc > 3 && strcmp(argv[1], "--notice") == 0)
        return notice(strtoul(argv[2], NULL, 10), argv + 3);
    if (argc > 1 && !isdigit((unsigned char)argv[1][0])) {
        for (int i = 1; i < argc; i++)
            status |= run_file(argv[i]);
        return status;
    }
    if (argc > 1)
        count = strtoul(argv[1], NULL, 10);
    if (argc > 2)
        seed = strtoul(argv[2], NULL, 10);
    run_seeds(count, seed);
    return status;
}
