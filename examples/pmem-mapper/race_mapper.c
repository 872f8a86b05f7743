/* SPDX-License-Identifier: MIT */
/*
 * The threads that have the file mapped: each loads and stores words through a mapping of its own, and knows what a
 * word may be. One thread, the changer, truncates, extends and punches meanwhile ("changes").
 *
 * Generations. `generation` is odd while a change runs, even between changes. A store encodes the generation that was
 * current when it began. Before a change touches the file it makes the generation odd and waits until no store of an
 * older generation is under way; such stores have then landed, so whatever the change discards of them is gone when it
 * returns, and no such store can land behind it. Then the change raises the floor of the chunks it discarded to its own
 * generation, and makes the generation even. Hence, for a load at an offset, with the floor read *before* it:
 *
 *   zero                             a hole, or never stored: legal always
 *   the file's own word, this place  legal if its generation is not below the floor ("stale" else: discarded bytes
 *                                    came back, or a store went to a page that was taken away)
 *   anything else                    never legal ("foreign": another file's bytes, another place's, or garbage)
 *
 * What is discarded: truncating down to s, everything from s on; extending from s to t, everything from s to t or to
 * the end of the page s lies in (bytes stored behind the end there are dropped; pages behind it took no stores);
 * punching, the range.
 *
 * Lost stores. A thread stores only to words that are its own by index, in order, so the generations stored to a place
 * never fall. A finished store (word w of even generation g) is put in `recent`. Whoever finds w there and then reads
 * its place must see generation g or later, or zero if a change discarded it. Such a change began after g was read, so
 * its generation is above g. It is either still running when `generation` is read after the load, or it had raised the
 * floor above g before. So zero with an even generation and, read after that, a floor not above g, is a lost store.
 *
 * The end of file. `low` and `high` bound the size: a shrinking change lowers `low` before and `high` after, a growing
 * one raises `high` before and `low` after; each such step is followed by a count in `changes` before anything else
 * happens. Reading `changes`, a bound, accessing, and finding `changes` as it was: an access to a page below `low`
 * cannot have met the end of file, one to a page at or behind `high` must have. Here a SIGBUS is expected, and counted.
 */
#include "race.h"

#include <sched.h>

static uint64_t pages_below(const struct race *race, uint64_t size)
{
    return (size + race->page - 1) / race->page;
}

struct bounds {
    uint32_t changes;
    uint64_t low, high; /* pages */
};

static struct bounds bounds_now(struct race *race)
{
    struct bounds bounds;

    bounds.changes = atomic_load(&race->changes);
    bounds.low = pages_below(race, atomic_load(&race->low));
    bounds.high = pages_below(race, atomic_load(&race->high));
    return bounds;
}

/* Judges whether an access to the page should have raised SIGBUS. */
static void judge_end(struct mapper *mapper, const struct bounds *bounds, uint64_t offset, bool went_through)
{
    struct race *race = mapper->race;
    uint64_t page = offset / race->page;
    bool unchanged = atomic_load(&race->changes) == bounds->changes;

    if (!went_through)
        mapper->sigbus++;
    if (unchanged && !went_through && page < bounds->low)
        race_violation(race, "SIGBUS below the end of file", offset, bounds->low * race->page);
    if (unchanged && went_through && page >= bounds->high)
        race_violation(race, "access past the end of file went through", offset, bounds->high * race->page);
}

static _Atomic uint64_t *word_at(const struct mapper *mapper, uint64_t offset)
{
    return (_Atomic uint64_t *)mapper->window + offset / 8;
}

/* Loads and judges; false where it raised SIGBUS. */
static bool load(struct mapper *mapper, uint64_t offset, uint64_t *value)
{
    struct race *race = mapper->race;
    struct bounds bounds = bounds_now(race);
    uint32_t floor = atomic_load(&race->floor[offset / CHUNK]);

    bool went_through = guarded_load(word_at(mapper, offset), value);
    judge_end(mapper, &bounds, offset, went_through);
    if (!went_through)
        return false;
    if (*value && (word_tag(*value) != TAG_FIRST || word_offset(*value) != offset))
        race_violation(race, "foreign word", offset, *value);
    else if (*value && word_generation(*value) < floor)
        race_violation(race, "stale word", offset, *value);
    return true;
}

static void store(struct mapper *mapper, uint64_t offset)
{
    struct race *race = mapper->race;
    struct bounds bounds = bounds_now(race);
    uint32_t generation;

    /* Either the changer sees this store under way, or this loop sees its new generation. */
    do {
        generation = atomic_load(&race->generation);
        atomic_store(&mapper->storing, generation);
    } while (atomic_load(&race->generation) != generation);

    uint64_t word = race_word(TAG_FIRST, offset, generation);
    bool went_through = guarded_store(word_at(mapper, offset), word);
    atomic_store(&mapper->storing, IDLE);
    judge_end(mapper, &bounds, offset, went_through);
    if (went_through && !(generation & 1))
        atomic_store(&race->recent[race_random(&mapper->random) % RECENT], word);
}

/* Is a store that was finished still there? */
static void look_again(struct mapper *mapper)
{
    struct race *race = mapper->race;
    uint64_t word = atomic_load(&race->recent[race_random(&mapper->random) % RECENT]), value;

    if (!word || !load(mapper, word_offset(word), &value))
        return;
    if (value) {
        if (word_tag(value) == TAG_FIRST && word_generation(value) < word_generation(word))
            race_violation(race, "older word came back", word_offset(word), value);
        return;
    }
    if (atomic_load(&race->generation) & 1)
        return;
    if (atomic_load(&race->floor[word_offset(word) / CHUNK]) <= word_generation(word))
        race_violation(race, "lost store", word_offset(word), word);
}

/* Half of the accesses go to the pages around the end, where truncating and faulting meet; few go far past it. */
static uint64_t choose_offset(struct mapper *mapper)
{
    struct race *race = mapper->race;
    uint64_t random = race_random(&mapper->random);
    uint64_t pages = race->bytes / race->page, end = atomic_load(&race->low) / race->page, page;

    if (random & 1) {
        page = end + (random >> 4 & 15);
        page = page < 8 ? 0 : page - 8;
    } else {
        page = (random >> 8) % (random & 14 ? end + 1 : pages);
    }
    page = page < pages ? page : pages - 1;
    return page * race->page + (random >> 40) % (race->page / 8) * 8;
}

void *race_mapper(void *arg)
{
    struct mapper *mapper = arg;
    struct race *race = mapper->race;
    uint64_t value;

    while (!atomic_load_explicit(&race->stop, memory_order_relaxed)) {
        uint64_t offset = choose_offset(mapper);
        if (atomic_load_explicit(&race->gathering, memory_order_relaxed))
            sched_yield();
        switch (race_random(&mapper->random) & 3) {
        case 0:
            load(mapper, offset, &value);
            break;
        case 1:
            look_again(mapper);
            break;
        default:
            /* The words of a page are dealt out to the threads. */
            offset -= offset / 8 % race->threads * 8;
            offset += (uint64_t)mapper->index * 8;
            if (offset < race->bytes)
                store(mapper, offset);
            break;
        }
    }
    return NULL;
}
