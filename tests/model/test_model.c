/* SPDX-License-Identifier: MIT */
/*
 * The model-based tester. Random sequences of every call of the library are played on the library
 * and on a model in memory. Every result, every errno, whole trees and free counts must agree. A
 * failing sequence is shrunk and printed as C code.
 *
 *   test_model [OPTION]...
 *     --calls N        calls in total (60000)
 *     --length N       calls of a sequence (800)
 *     --seed N         of the first sequence (1)
 *     --image NAME     plays on one kind of image instead of all kinds in turn
 *     --kernel         plays on a mount of the image by the kernel instead of the library
 *     --directory DIR  plays in DIR, an empty mounted filesystem
 *     --mistakes       each mistake built into the model must be found, and shrunk to a few calls
 *     --mutants        each mutant of the library that calls can show must be found likewise
 *     --without CALL   leaves out a kind of call, by the name printed in the counts
 *     --seeds          prints the seed of every sequence
 */
#include <stdlib.h>
#include <string.h>

#include "ext2dax/testkit/mutant.h"

#include "../emulated.h"
#include "../skip.h"
#include "run.h"

#define LEAST_CALLS 12u /* a sequence shrunk by the check has at most as many calls */

struct options {
    unsigned long calls, length, seed;
    const char *image;
    struct setting setting;
    bool mistakes, mutants, seeds;
};

static struct sequence *sequence;
static unsigned long done[CALL_KINDS], succeeded[CALL_KINDS];

static const struct image_kind *kind_for(const struct options *options, uint64_t seed)
{
    for (unsigned i = 0; options->image && i < image_kind_count; i++) {
        if (strcmp(image_kinds[i].name, options->image) == 0)
            return &image_kinds[i];
    }
    return &image_kinds[seed % image_kind_count];
}

static void tell_failure(struct setting *setting, uint64_t seed)
{
    (void)printf("seed %llu, image %s: call %u of %u: %s\n", (unsigned long long)seed, setting->kind->name,
                 sequence->at, sequence->count, sequence->difference);
    (void)fflush(stdout);
    setting->quiet = true;
    sequence_shrink(sequence, setting);
    sequence_print(sequence, setting, stdout);
}

static void print_counts(unsigned long calls, unsigned long sequences)
{
    (void)printf("%lu calls in %lu sequences, no difference\n", calls, sequences);
    for (unsigned kind = 0; kind < CALL_KINDS; kind++)
        (void)printf("  %-24s %7lu, %lu of them with success\n", call_name((enum call_kind)kind), done[kind],
                     succeeded[kind]);
}

static int play_all(struct options *options)
{
    unsigned long calls = 0, sequences = 0;

    for (uint64_t seed = options->seed; calls < options->calls; seed++, sequences++) {
        options->setting.kind = kind_for(options, seed);
        sequence_generate(sequence, &options->setting, seed, (unsigned)options->length);
        if (sequence->cannot_run)
            return sequences == 0 ? skip(sequence->difference) : EXIT_FAILURE;
        if (sequence->failed) {
            tell_failure(&options->setting, seed);
            return EXIT_FAILURE;
        }
        if (options->seeds)
            (void)printf("seed %llu, image %s: %u calls\n", (unsigned long long)seed, options->setting.kind->name,
                         sequence->played);
        calls += sequence->played;
        for (unsigned kind = 0; kind < CALL_KINDS; kind++) {
            done[kind] += sequence->done[kind];
            succeeded[kind] += sequence->succeeded[kind];
        }
    }
    (void)printf("seeds %lu to %lu\n", options->seed, options->seed + sequences - 1);
    print_counts(calls, sequences);
    return EXIT_SUCCESS;
}

/* ---- the check of the tester ---- */

/*
 * Mutants of the library which a sequence of calls shows without a crash and without a second
 * thread.
 */
static const char *const mutants[] = {"PUBLISH_UNZEROED", "DYING_FOUND"};

/*
 * Looks for a failing sequence and shrinks it. Returns false if none fails, or the least is long.
 */
static bool is_found(struct options *options, const char *name, const char *text)
{
    struct setting *setting = &options->setting;
    unsigned long tried = 0;

    for (uint64_t seed = options->seed; tried < options->calls; seed++) {
        setting->kind = kind_for(options, seed);
        sequence_generate(sequence, setting, seed, (unsigned)options->length);
        tried += sequence->played;
        if (sequence->cannot_run)
            exit(skip(sequence->difference));
        if (!sequence->failed)
            continue;
        sequence_shrink(sequence, setting);
        (void)printf("%s (%s): seed %llu, %lu calls tried, %u calls left: %s\n", name, text, (unsigned long long)seed,
                     tried, sequence->count, sequence->difference);
        if (options->seeds || sequence->count > LEAST_CALLS)
            sequence_print(sequence, setting, stdout);
        return sequence->count <= LEAST_CALLS;
    }
    (void)printf("%s (%s): NOT FOUND in %lu calls\n", name, text, tried);
    return false;
}

static const char *text_of_mutant(const char *name)
{
    for (int i = 0; i < ext2dax_mutant_count(); i++) {
        if (strcmp(ext2dax_mutant_name(i), name) == 0)
            return ext2dax_mutant_text(i);
    }
    return "unknown";
}

static int find_mistakes(struct options *options)
{
    unsigned missed = 0;

    for (int mistake = 1; mistake < MISTAKE_COUNT; mistake++) {
        model_mistake = (enum model_mistake)mistake;
        missed += !is_found(options, model_mistake_name(model_mistake), model_mistake_text(model_mistake));
    }
    return missed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int find_mutants(struct options *options)
{
    unsigned missed = 0;

    for (size_t i = 0; i < sizeof(mutants) / sizeof(mutants[0]); i++) {
        options->setting.mutant = mutants[i];
        missed += !is_found(options, mutants[i], text_of_mutant(mutants[i]));
    }
    return missed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- options ---- */

static bool read_option(struct options *options, char **argument)
{
    const struct {
        const char *name;
        unsigned long *number;
    } numbers[] = {{"--calls", &options->calls}, {"--length", &options->length}, {"--seed", &options->seed}};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(argument[0], numbers[i].name) == 0 && argument[1]) {
            *numbers[i].number = strtoul(argument[1], NULL, 10);
            return true;
        }
    }
    for (unsigned kind = 0; strcmp(argument[0], "--without") == 0 && argument[1] && kind < CALL_KINDS; kind++) {
        if (strcmp(argument[1], call_name((enum call_kind)kind)) == 0) {
            options->setting.without |= (uint64_t)1 << kind;
            return true;
        }
    }
    if (strcmp(argument[0], "--directory") == 0 && argument[1]) {
        options->setting.ops = &directory_player;
        options->setting.place = argument[1];
        return true;
    }
    if (strcmp(argument[0], "--image") == 0 && argument[1]) {
        options->image = argument[1];
        return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    struct options options = {
        .calls = 60000, .length = 800, .seed = 1, .setting = {.ops = &library_player, .interval = 200}};

    bool is_slow = emulated() || getenv("EXT2DAX_UNDER_VALGRIND");

    if (is_slow)
        options.calls = 4000;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--mistakes") == 0) {
            options.mistakes = true;
        } else if (strcmp(argv[i], "--mutants") == 0) {
            options.mutants = true;
        } else if (strcmp(argv[i], "--kernel") == 0) {
            options.setting.ops = &kernel_player;
        } else if (strcmp(argv[i], "--seeds") == 0) {
            options.seeds = true;
        } else if (read_option(&options, &argv[i])) {
            i++;
        } else {
            (void)fprintf(stderr, "unknown option %s\n", argv[i]);
            return EXIT_FAILURE;
        }
    }
    sequence = sequence_new();
    options.setting.quiet = options.mistakes || options.mutants;
    if (options.setting.quiet && is_slow) {
        (void)printf("left out under emulation and under Valgrind: too many sequences\n");
        return EXIT_SUCCESS;
    }
    if (options.setting.quiet)
        return options.mistakes ? find_mistakes(&options) : find_mutants(&options);
    return play_all(&options);
}
