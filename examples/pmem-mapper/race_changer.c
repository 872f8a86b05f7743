/* SPDX-License-Identifier: MIT */
/*
 * The changer thread truncates, extends and punches the file under test. Then a second file
 * takes the freed blocks. No mapper thread accesses the second file, so every word of the
 * second file must keep the value written by the changer. A changed word reveals a store of a
 * mapper that reached a freed block.
 */
#include "race.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * The most bytes of the second file filled through a mapping. The faults of the fill queue with
 * the faults of the mappers.
 */
#define FAULTED_MOST ((uint64_t)1 << 20)

struct changer {
    struct race *race;
    struct ext2dax_inode *directory;
    const char *name; /* of the second file */
    uint64_t random;
    uint64_t size;       /* of the file under test, in bytes */
    uint64_t taken;      /* bytes filled in the second file */
    uint32_t round;      /* the generation in the words of the second file */
    uint64_t *buffer;    /* as long as the range under test */
    void *mapping;       /* the mapping of the second file */
    unsigned char *bits; /* scratch bitmap, a bit per block of the image */
};

static void nap(long microseconds)
{
    struct timespec time = {.tv_nsec = microseconds * 1000};
    nanosleep(&time, NULL);
}

/*
 * Reports an error. EUCLEAN counts as a violation, because the image was consistent at the
 * start and the race has damaged the image.
 */
static int failed(struct changer *changer, int error, const char *what)
{
    if (error == -EXT2DAX_EUCLEAN)
        race_violation(changer->race, "the image contradicts itself", 0, 0);
    return error ? image_failed(changer->race->image, error, "race %s: %s", changer->race->path, what) : 0;
}

/*
 * Begins a change. On return all stores of older generations have completed, and later stores
 * carry the new generation.
 */
static void change_begin(struct race *race)
{
    uint32_t generation = atomic_fetch_add(&race->generation, 1) + 1;

    atomic_store(&race->gathering, true);
    for (unsigned i = 0; i < race->threads; i++)
        while (atomic_load(&race->mappers[i].storing) < generation)
            sched_yield();
    atomic_store(&race->gathering, false);
}

/* Ends a change that discarded the bytes [from, to). */
static void change_end(struct race *race, uint64_t from, uint64_t to)
{
    uint32_t generation = atomic_load(&race->generation);

    for (uint64_t chunk = from / CHUNK; chunk < to / CHUNK; chunk++)
        atomic_store_explicit(&race->floor[chunk], generation, memory_order_release);
    atomic_store(&race->generation, generation + 1);
}

static void set_bound(struct race *race, _Atomic uint64_t *bound, uint64_t size)
{
    atomic_store(bound, size);
    atomic_fetch_add(&race->changes, 1);
}

static int resize(struct changer *changer, uint64_t size)
{
    struct race *race = changer->race;
    bool down = size < changer->size;
    uint64_t end = (changer->size + race->page - 1) & ~(race->page - 1);

    change_begin(race);
    set_bound(race, down ? &race->low : &race->high, size);
    int error = ext2dax_truncate(race->first, size);
    if (!error) {
        set_bound(race, down ? &race->high : &race->low, size);
        change_end(race, down ? size : changer->size, down ? race->bytes : size > end ? size : end);
        changer->size = size;
        race->truncates++;
    }
    return failed(changer, error, "truncate");
}

/*
 * Punches a random range. Leaves out a partial last page, because the fate of bytes past the
 * end of file is unspecified.
 */
static int punch(struct changer *changer)
{
    struct race *race = changer->race;
    uint64_t from = race_random(&changer->random) % race->bytes & ~(uint64_t)(CHUNK - 1);
    uint64_t length = race_random(&changer->random) % (race->bytes / 4) & ~(uint64_t)(CHUNK - 1);

    uint64_t end = changer->size & ~(race->page - 1);

    if (from >= end)
        return 0;
    if (length > end - from)
        length = end - from;
    if (!length)
        return 0;
    change_begin(race);
    int error = ext2dax_punch(race->first, from, length);
    if (!error)
        change_end(race, from, from + length);
    return failed(changer, error, "punch");
}

/* Counts the blocks shared by two lists of runs. */
static uint64_t shared_blocks(struct changer *changer, const struct runs *a, const struct runs *b)
{
    unsigned char *bits = changer->bits;
    uint64_t shared = 0;

    for (size_t i = 0; i < a->count; i++)
        for (uint64_t n = 0; a->list[i].physical && n < a->list[i].length; n++)
            bits[(a->list[i].physical + n) / 8] |= (unsigned char)(1u << (a->list[i].physical + n) % 8);
    for (size_t i = 0; i < b->count; i++)
        for (uint64_t n = 0; b->list[i].physical && n < b->list[i].length; n++)
            shared += bits[(b->list[i].physical + n) / 8] >> (b->list[i].physical + n) % 8 & 1;
    for (size_t i = 0; i < a->count; i++)
        for (uint64_t n = 0; a->list[i].physical && n < a->list[i].length; n++)
            bits[(a->list[i].physical + n) / 8] = 0;
    return shared;
}

/*
 * Fills the second file with `bytes` bytes of words, in turn through the mapping and by write.
 */
static int second_fill(struct changer *changer, uint64_t bytes)
{
    struct race *race = changer->race;

    changer->round = (changer->round + 1) & (((uint32_t)1 << GENERATION_BITS) - 1);
    if (!(changer->round & 1) && bytes > FAULTED_MOST)
        bytes = FAULTED_MOST;
    for (uint64_t i = 0; i < bytes / 8; i++)
        changer->buffer[i] = race_word(TAG_SECOND, i * 8, changer->round);
    if (!bytes)
        return 0;
    int error = 0;
    if (changer->round & 1) {
        int64_t done = ext2dax_write(race->second, 0, changer->buffer, (size_t)bytes);
        error = done < 0 ? (int)done : (uint64_t)done < bytes ? -EXT2DAX_ENOSPC : 0;
    } else {
        error = ext2dax_truncate(race->second, bytes);
        if (!error && !guarded_copy(changer->mapping, changer->buffer, (size_t)bytes))
            error = access_refused(-EXT2DAX_ENOSPC);
    }
    changer->taken = error ? 0 : bytes;
    return failed(changer, error, "fill the second file");
}

static int second_check(struct changer *changer)
{
    struct race *race = changer->race;
    uint64_t done = 0;
    int64_t got = 1;

    for (; done < changer->taken && got > 0; done += got > 0 ? (uint64_t)got : 0)
        got = ext2dax_read(race->second, done, (char *)changer->buffer + done, (size_t)(changer->taken - done));
    if (got <= 0 && done < changer->taken)
        return failed(changer, got ? (int)got : -EXT2DAX_EIO, "read the second file");
    for (uint64_t i = 0; i < changer->taken / 8; i++)
        if (changer->buffer[i] != race_word(TAG_SECOND, i * 8, changer->round))
            race_violation(race, "word of the second file changed", i * 8, changer->buffer[i]);
    return 0;
}

static int second_map(struct changer *changer)
{
    struct race *race = changer->race;
    return ext2dax_process_map(race->image->process, race->second, 0, race->bytes, EXT2DAX_MAP_WRITE,
                               &changer->mapping);
}

static void second_drop(struct changer *changer)
{
    struct race *race = changer->race;

    if (changer->mapping)
        ext2dax_process_unmap(race->image->process, changer->mapping);
    changer->mapping = NULL;
    if (!race->second)
        return;
    ext2dax_unlink(changer->directory, changer->name, strlen(changer->name));
    ext2dax_inode_put(race->second);
    race->second = NULL;
}

static int second_make(struct changer *changer)
{
    struct race *race = changer->race;

    int error = ext2dax_create(changer->directory, changer->name, strlen(changer->name), 0600, 0, 0, &race->second);
    if (error) {
        race->second = NULL;
        return image_failed(race->image, error, "race %s: make the second file %s", race->path, changer->name);
    }
    return failed(changer, second_map(changer), "map the second file");
}

/* Frees the blocks of the second file by a truncate, or by an unlink and a new file. */
static int second_empty(struct changer *changer)
{
    changer->taken = 0;
    if (race_random(&changer->random) & 1)
        return failed(changer, ext2dax_truncate(changer->race->second, 0), "empty the second file");
    second_drop(changer);
    return second_make(changer);
}

static int collect(struct changer *changer, struct runs *runs, struct ext2dax_inode *inode, uint64_t from, uint64_t to)
{
    uint64_t block = changer->race->image->figures.block_size;
    return failed(changer, runs_collect(runs, inode, (from + block - 1) / block, (to + block - 1) / block), "map");
}

/*
 * Runs a round. On entry `before` holds the blocks freed by the second file in the previous
 * round. On return `before` holds the blocks of this round.
 */
static int round_once(struct changer *changer, struct runs *before)
{
    struct race *race = changer->race;
    struct runs freed = {0}, taken = {0};
    uint64_t old = changer->size, size = race_random(&changer->random) % race->bytes & ~(uint64_t)(CHUNK - 1);

    if (race_random(&changer->random) % 4 == 0)
        size &= ~(race->page - 1);
    size = size < old ? size : 0;
    int code = collect(changer, &freed, race->first, 0, old);
    if (code)
        goto out;
    race->reused += shared_blocks(changer, before, &freed);
    runs_free(&freed);
    code = collect(changer, &freed, race->first, size, old);
    if (!code)
        code = resize(changer, size);
    if (!code)
        code = second_fill(changer, (old - size) & ~(race->page - 1));
    if (!code)
        code = collect(changer, &taken, race->second, 0, changer->taken);
    if (code)
        goto out;
    race->reused += shared_blocks(changer, &freed, &taken);
    nap(200);
    code = resize(changer, size + ((race->bytes - size) / 2 & ~(uint64_t)(CHUNK - 1)));
    nap(500);
    if (!code)
        code = punch(changer);
    nap(200);
    if (!code)
        code = second_check(changer);
    if (!code)
        code = second_empty(changer);
    if (!code)
        code = resize(changer, race->bytes);
    nap(1000);
    if (!code && race_random(&changer->random) % 8 == 0)
        code = failed(changer, ext2dax_fsync(race->first), "fsync");
out:
    runs_free(before);
    runs_free(&freed);
    *before = taken;
    return code;
}

int race_changer(struct race *race, struct ext2dax_inode *directory, const char *second, double seconds)
{
    struct changer changer = {
        .race = race, .directory = directory, .name = second, .random = 0x9E3779B97F4A7C15u, .size = race->bytes};
    struct runs before = {0};
    struct progress progress;
    double start = seconds_now(), passed = 0;

    changer.buffer = malloc((size_t)race->bytes);
    changer.bits = calloc(1, (size_t)(race->image->figures.blocks / 8 + 1));
    int code = changer.buffer && changer.bits ? second_make(&changer) : failed(&changer, -EXT2DAX_ENOMEM, "start");
    progress_start(&progress, "race", (uint64_t)(seconds * 1000));
    while (!code && passed < seconds && !interrupted) {
        code = round_once(&changer, &before);
        passed = seconds_now() - start;
        progress_step(&progress, (uint64_t)(passed * 1000));
    }
    progress_end(&progress);
    runs_free(&before);
    second_drop(&changer);
    free(changer.bits);
    free(changer.buffer);
    return code;
}
