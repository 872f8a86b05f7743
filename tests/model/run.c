/* SPDX-License-Identifier: MIT */
/* Attempts in child processes. */
#include "run.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ext2dax/testkit/mutant.h"

#include "generate.h"

/*
 * Seconds of processor time, far more than an attempt needs. Other programs may use the processor.
 */
#define SECONDS        15
#define REPLAY_SECONDS 5

struct sequence *sequence_new(void)
{
    void *at = mmap(NULL, sizeof(struct sequence), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED)
        abort();
    return at;
}

static bool fail(struct sequence *sequence, const struct pair *pair, unsigned at)
{
    sequence->failed = true;
    sequence->at = at;
    (void)snprintf(sequence->difference, sizeof(sequence->difference), "%s", pair->difference);
    return false;
}

static bool play_one(struct sequence *sequence, struct pair *pair, unsigned i)
{
    const struct call *call = &sequence->call[i];
    bool same;

    sequence->at = i;
    sequence->expected[i] = 0;
    sequence->skipped[i] = false;
    same = pair_play(pair, call);
    sequence->expected[i] = pair->expected.result;
    sequence->skipped[i] = pair->expected.nothing;
    sequence->done[call->kind] += !pair->expected.nothing;
    sequence->succeeded[call->kind] += !pair->expected.nothing && pair->expected.result >= 0;
    sequence->played++;
    return same ? true : fail(sequence, pair, i);
}

/* Plays all calls. With a generator each call is drawn first. */
static bool play(struct sequence *sequence, const struct setting *setting, struct pair *pair,
                 struct generator *generator)
{
    for (unsigned i = 0; i < sequence->count; i++) {
        if (generator)
            sequence->call[i] = generate(generator, pair->model);
        if (!play_one(sequence, pair, i))
            return false;
        if ((i + 1) % setting->interval == 0 && !pair_compare(pair))
            return fail(sequence, pair, i);
    }
    sequence->at = sequence->count;
    return true;
}

static void attempt(struct sequence *sequence, const struct setting *setting, struct generator *generator)
{
    struct pair pair;
    const char *why = NULL;

    if (setting->mutant && ext2dax_mutant_activate(setting->mutant) != 0)
        abort();
    if (!pair_open(&pair, setting->ops, setting->kind, setting->place, &why)) {
        sequence->failed = sequence->cannot_run = true;
        (void)snprintf(sequence->difference, sizeof(sequence->difference), "%s", why);
        return;
    }
    pair.without = setting->without;
    if (!play(sequence, setting, &pair, generator))
        return;
    if (!pair_compare(&pair) || !pair_empty(&pair) || !pair_close(&pair))
        (void)fail(sequence, &pair, sequence->count);
}

static void limit_time(time_t seconds)
{
    const struct itimerval limit = {.it_value = {.tv_sec = seconds}};

    (void)setitimer(ITIMER_PROF, &limit, NULL);
}

static void start(struct sequence *sequence, const struct setting *setting, struct generator *generator)
{
    int status;
    pid_t child;

    sequence->failed = sequence->cannot_run = false;
    sequence->at = sequence->played = 0;
    (void)snprintf(sequence->difference, sizeof(sequence->difference), "the process of the attempt ends early");
    memset(sequence->done, 0, sizeof(sequence->done));
    memset(sequence->succeeded, 0, sizeof(sequence->succeeded));
    if (setting->ops != &directory_player)
        image_prepare(setting->kind);
    (void)fflush(NULL);
    child = fork();
    if (child == 0) {
        if (setting->quiet)
            (void)!freopen("/dev/null", "w", stderr);
        limit_time(generator ? SECONDS : REPLAY_SECONDS);
        attempt(sequence, setting, generator);
        (void)fflush(NULL);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        abort();
    if (status == 0)
        return;
    sequence->failed = true;
    (void)snprintf(sequence->difference, sizeof(sequence->difference), "%s %d",
                   WIFSIGNALED(status) ? "the process is ended by signal" : "the process ends with status",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

void sequence_generate(struct sequence *sequence, const struct setting *setting, uint64_t seed, unsigned count)
{
    struct generator generator;

    generator_open(&generator, seed, setting->ops, setting->without);
    sequence->count = count < MOST_CALLS ? count : MOST_CALLS;
    start(sequence, setting, &generator);
    if (sequence->failed && sequence->at < sequence->count)
        sequence->count = sequence->at + 1;
}

void sequence_replay(struct sequence *sequence, const struct setting *setting)
{
    start(sequence, setting, NULL);
}
