/* SPDX-License-Identifier: MIT */
/*
 * Shrinking. Ranges of calls are left out, long ranges first, as long as the sequence still fails.
 * The end is a sequence that fails, and no longer fails without any one of its calls. Then each
 * argument is replaced by a simpler argument, if the sequence still fails.
 */
#include <stdlib.h>
#include <string.h>

#include "run.h"

#define SAME_BYTES 12u /* of the text of a difference, which name the figure or the call */

/*
 * Does the candidate fail likewise? If so, the candidate becomes the sequence, cut at the failing
 * call.
 */
static bool take(struct sequence *sequence, struct sequence *candidate, const struct setting *setting)
{
    sequence_replay(candidate, setting);
    if (!candidate->failed || candidate->cannot_run ||
        strncmp(candidate->difference, sequence->difference, SAME_BYTES) != 0)
        return false;
    if (candidate->at < candidate->count)
        candidate->count = candidate->at + 1;
    memcpy(sequence, candidate, sizeof(*sequence));
    return true;
}

static bool without(struct sequence *sequence, struct sequence *candidate, const struct setting *setting, unsigned from,
                    unsigned length)
{
    memcpy(candidate, sequence, sizeof(*candidate));
    memmove(&candidate->call[from], &candidate->call[from + length],
            (candidate->count - from - length) * sizeof(candidate->call[0]));
    candidate->count -= length;
    return take(sequence, candidate, setting);
}

static void drop_calls(struct sequence *sequence, struct sequence *candidate, const struct setting *setting)
{
    unsigned length = sequence->count / 2 != 0 ? sequence->count / 2 : 1;
    bool shorter = false;

    for (;;) {
        for (unsigned from = sequence->count > length ? sequence->count - length : 0;;) {
            if (from < sequence->count && length <= sequence->count - from)
                shorter |= without(sequence, candidate, setting, from, length);
            if (from == 0)
                break;
            from = from > length ? from - length : 0;
        }
        if (length == 1 && !shorter)
            return;
        if (length == 1)
            shorter = false;
        length = length > 1 ? length / 2 : 1;
    }
}

/* Tries a simpler call in place of call `i`. */
static void simplify(struct sequence *sequence, struct sequence *candidate, const struct setting *setting, unsigned i,
                     const struct call *simpler)
{
    if (memcmp(simpler, &sequence->call[i], sizeof(*simpler)) == 0)
        return;
    memcpy(candidate, sequence, sizeof(*candidate));
    candidate->call[i] = *simpler;
    (void)take(sequence, candidate, setting);
}

static void simplify_arguments(struct sequence *sequence, struct sequence *candidate, const struct setting *setting)
{
    for (unsigned i = 0; i < sequence->count; i++) {
        struct call call = sequence->call[i];

        call.uid = call.gid = call.major = call.minor = 0;
        simplify(sequence, candidate, setting, i, &call);
        if (i >= sequence->count)
            break;
        call = sequence->call[i];
        call.flags = 0;
        simplify(sequence, candidate, setting, i, &call);
        if (i >= sequence->count)
            break;
        call = sequence->call[i];
        call.slot = call.other = 0;
        simplify(sequence, candidate, setting, i, &call);
        if (i >= sequence->count)
            break;
        call = sequence->call[i];
        call.into = NO_SLOT;
        simplify(sequence, candidate, setting, i, &call);
        if (i >= sequence->count)
            break;
        call = sequence->call[i];
        memset(&call.path, 0, sizeof(call.path));
        call.path.count = 1;
        call.path.name[0] = NAME_ORDINARY;
        simplify(sequence, candidate, setting, i, &call);
    }
}

void sequence_shrink(struct sequence *sequence, const struct setting *setting)
{
    struct sequence *candidate = sequence_new();

    drop_calls(sequence, candidate, setting);
    simplify_arguments(sequence, candidate, setting);
    drop_calls(sequence, candidate, setting);
    sequence_replay(sequence, setting);
}
