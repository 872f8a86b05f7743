/* SPDX-License-Identifier: MIT */
/*
 * The mapper threads. Each thread loads and stores words through a separate shared mapping of
 * the file, and checks the value of every loaded word. Concurrently the changer thread
 * truncates, extends and punches the file. Each such call is a change.
 *
 * Generations. `generation` is odd while a change runs, and even between changes. A store
 * encodes the generation current at the start of the store. Before a change modifies the file,
 * the change makes the generation odd and waits until no store of an older generation is in
 * progress. At this point the older stores have completed. So older stores in the discarded
 * range are gone when the change returns, and no older store can complete afterwards. Then the
 * change raises the floor of the discarded chunks to the generation of the change, and makes
 * the generation even. A load at an offset, with the floor read BEFORE the load, has three
 * kinds of results.
 *
 *   zero                 Always legal. The word is in a hole, or was never stored.
 *   own tag and offset   Legal if the generation of the word is not below the floor. Otherwise the
 *                        word is "stale", because discarded bytes came back or a store reached a
 *                        removed page.
 *   any other value      Never legal. The word is "foreign", which means bytes of another file, of
 *                        another offset, or garbage.
 *
 * Discarded ranges. A truncate down to s discards everything from s on. An extend from s to t
 * discards the bytes from s to t, or to the end of the page of s if t lies further. Bytes
 * stored to this page past the end of file are dropped, and later pages took no stores. A punch
 * discards the punched range.
 *
 * Lost stores. Each word belongs to a single thread by index, and a thread stores in order. So
 * the generations stored at an offset never decrease. A finished store (word w of even
 * generation g) is entered in `recent`. A thread that finds w in `recent` and then loads from
 * the offset of w must see generation g or later, or zero if a change discarded w. Such a
 * change began after g was read, so the generation of the change is above g. Either the change
 * is still running when `generation` is read after the load, or the change has raised the floor
 * above g before. So a store is lost if the load returns zero, `generation` is even, and the
 * floor, read last, is not above g.
 *
 * End of file. `low` and `high` bound the size. A shrinking change lowers `low` first and
 * `high` last. A growing change raises `high` first and `low` last. Each step increments
 * `changes` before anything else happens. A thread reads `changes`, reads a bound, accesses the
 * page, and reads `changes` again. If `changes` is the same, an access to a page below `low`
 * cannot have met the end of file, and an access to a page at or past `high` must have met the
 * end of file. In the second case SIGBUS is expected. Every SIGBUS is counted.
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

/* Checks whether an access to the page should have raised SIGBUS. Counts each SIGBUS. */
static void check_end(struct mapper *mapper, const struct bounds *bounds, uint64_t offset, bool went_through)
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
    return (_Atomic uint64_t *)mapper->mapping + offset / 8;
}

/* Loads and checks a word. Returns false if the load raised SIGBUS. */
static bool load(struct mapper *mapper, uint64_t offset, uint64_t *value)
{
    struct race *race = mapper->race;
    struct bounds bounds = bounds_now(race);
    uint32_t floor = atomic_load(&race->floor[offset / CHUNK]);

    bool went_through = guarded_load(word_at(mapper, offset), value);
    check_end(mapper, &bounds, offset, went_through);
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

    /* Either the changer sees this store in progress, or this loop sees the new generation. */
    do {
        generation = atomic_load(&race->generation);
        atomic_store(&mapper->storing, generation);
    } while (atomic_load(&race->generation) != generation);

    uint64_t word = race_word(TAG_FIRST, offset, generation);
    bool went_through = guarded_store(word_at(mapper, offset), word);
    atomic_store(&mapper->storing, IDLE);
    check_end(mapper, &bounds, offset, went_through);
    if (went_through && !(generation & 1))
        atomic_store(&race->recent[race_random(&mapper->random) % RECENT], word);
}

/* Is a finished store still visible? */
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

/*
 * Half of the accesses go to the pages around the end of file, where truncates and faults meet.
 * Few accesses go far past the end of file.
 */
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
            /* The words of a page are divided among the threads. */
            offset -= offset / 8 % race->threads * 8;
            offset += (uint64_t)mapper->index * 8;
            if (offset < race->bytes)
                store(mapper, offset);
            break;
        }
    }
    return NULL;
}
