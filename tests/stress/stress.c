/* SPDX-License-Identifier: MIT */
/*
 * The workers. Each has a single file at a time open and mapped, chooses the next operation from
 * its own random numbers, and checks every word read.
 */
#include "stress.h"

#include <check.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ext2dax/ext2dax.h"

#define SLOTS 3
#define WORDS 1024u /* the longest access */

static const struct stress_space *space;

/*
 * Suppresses a single race. Truncate zeroes the rest of the last block while the page is mapped. A
 * store past the end at the same moment is a race of the program, not of the library.
 */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:zero_in_block";
}

/* ---- failures ---- */

static pthread_mutex_t wrong_mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool stop;
static atomic_uint running;
static char wrong[200];

static void complain(const char *what, uint64_t a, uint64_t b)
{
    pthread_mutex_lock(&wrong_mutex);
    if (wrong[0] == '\0')
        snprintf(wrong, sizeof wrong, "%s (%#" PRIx64 ", %#" PRIx64 ")", what, a, b);
    pthread_mutex_unlock(&wrong_mutex);
    atomic_store(&stop, true);
}

static void expect(int64_t got, const int *allowed, const char *what)
{
    if (got >= 0)
        return;
    for (; *allowed != 0; allowed++) {
        if (got == -*allowed)
            return;
    }
    complain(what, (uint64_t)-got, 0);
}
#define EXPECT(call, ...) expect((call), (const int[]){__VA_ARGS__, 0}, #call)

/* ---- words ---- */

static uint64_t word(uint16_t file, uint64_t offset, uint16_t turn)
{
    return (uint64_t)file << 48 | (offset / 8) << 16 | turn;
}

static void check_words(uint16_t file, uint64_t offset, const uint64_t *words, size_t count, const char *how)
{
    for (size_t i = 0; i < count; i++) {
        if (words[i] != 0 && words[i] >> 16 != word(file, offset + i * 8, 0) >> 16)
            complain(how, words[i], word(file, offset + i * 8, 0));
    }
}

/* ---- files ---- */

/*
 * The files. The name contains the id of the file, because a worker may still hold an unlinked file
 * after a new file has taken its slot.
 */
static struct {
    pthread_mutex_t mutex;
    uint16_t id; /* 0 means no file */
} slots[SLOTS];
static atomic_uint last_id;

struct worker {
    pthread_t thread;
    uint64_t noise;
    uint16_t turn;
    struct ext2dax_inode *inode;
    struct ext2dax_map_hint hint;
    void *map, *copy; /* a shared and a private mapping */
    uint16_t id;
    uint64_t words[WORDS];
    unsigned long done;
};

static uint32_t noise(struct worker *w, uint32_t below)
{
    w->noise = w->noise * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(w->noise >> 33) % below;
}

static size_t name_of(char *name, size_t size, unsigned slot, uint16_t id)
{
    return (size_t)snprintf(name, size, "%u-%u", slot, (unsigned)id);
}

static void replace_file(struct worker *w)
{
    unsigned slot = noise(w, SLOTS);
    struct ext2dax_inode *inode;
    char name[32];
    int rc;

    pthread_mutex_lock(&slots[slot].mutex);
    if (slots[slot].id != 0) {
        rc = ext2dax_unlink(space->root, name, name_of(name, sizeof name, slot, slots[slot].id));
        if (rc != 0)
            complain("unlink", (uint64_t)-rc, 0);
        slots[slot].id = 0;
    }
    if (noise(w, 4) != 0) {
        uint16_t id = (uint16_t)(atomic_fetch_add(&last_id, 1) % 0xFFFE + 1);

        rc = ext2dax_create(space->root, name, name_of(name, sizeof name, slot, id), 0644, 0, 0, &inode);
        if (rc == 0) {
            slots[slot].id = id;
            ext2dax_inode_put(inode);
        } else if (rc != -EXT2DAX_ENOSPC) {
            complain("create", (uint64_t)-rc, 0);
        }
    }
    pthread_mutex_unlock(&slots[slot].mutex);
}

/* Closes the file. The last close of an unlinked file frees the file. */
static void close_file(struct worker *w)
{
    if (!w->inode)
        return;
    if (w->map)
        space->unmap(w->map);
    if (w->copy)
        space->unmap(w->copy);
    ext2dax_inode_put(w->inode);
    w->inode = NULL;
}

static bool open_file(struct worker *w)
{
    unsigned slot = noise(w, SLOTS);
    char name[32];
    int rc;

    pthread_mutex_lock(&slots[slot].mutex);
    w->id = slots[slot].id;
    pthread_mutex_unlock(&slots[slot].mutex);
    if (w->id == 0)
        return false;
    rc = ext2dax_lookup(space->root, name, name_of(name, sizeof name, slot, w->id), &w->inode);
    if (rc != 0) {
        EXPECT(rc, EXT2DAX_ENOENT);
        w->inode = NULL;
        return false;
    }
    w->map = space->map(w->inode, true);
    w->copy = w->map ? space->map(w->inode, false) : NULL;
    if (!w->copy)
        close_file(w);
    return w->inode != NULL;
}

/* ---- operations ---- */

/*
 * Returns a range of whole words within the mapped length. Part may lie past the end of the file.
 */
static uint64_t range(struct worker *w, size_t *count)
{
    *count = noise(w, 8) == 0 ? 1 + noise(w, WORDS - 1) : 1 + noise(w, 64);
    return (uint64_t)noise(w, space->pages * (space->page / 8) - (uint32_t)*count) * 8;
}

static uint64_t clip(uint64_t first, uint64_t length)
{
    return first + length > space->pages * space->page ? space->pages * space->page - first : length;
}

static size_t prepare(struct worker *w, uint64_t offset, size_t count)
{
    w->turn++;
    for (size_t i = 0; i < count; i++)
        w->words[i] = word(w->id, offset + i * 8, w->turn);
    return count * 8;
}

static void may_end(enum ext2dax_fault_result result, const char *how)
{
    if (result != EXT2DAX_FAULT_NOPAGE && result != EXT2DAX_FAULT_SIGBUS)
        complain(how, result, 0);
}

/*
 * Stores word by word, like a processor. The mapping of a page may be removed between two stores.
 */
static void store_mapped(struct worker *w)
{
    uint64_t offset;
    size_t count;
    enum ext2dax_fault_result result = EXT2DAX_FAULT_NOPAGE;

    offset = range(w, &count);
    prepare(w, offset, count);
    for (size_t i = 0; i < count && result == EXT2DAX_FAULT_NOPAGE; i += 1 + noise(w, 40))
        result = space->store(w->map, offset + i * 8, w->words[i], noise(w, 2) != 0);
    may_end(result, "a mapped store");
}

static void load_mapped(struct worker *w, void *map)
{
    uint64_t offset;
    size_t count;
    enum ext2dax_fault_result result;

    offset = range(w, &count);
    memset(w->words, 0, count * 8);
    result = space->load(map, offset, w->words, count, noise(w, 2) != 0);
    may_end(result, "a mapped load");
    check_words(w->id, offset, w->words, count, map == w->map ? "foreign bytes mapped" : "foreign bytes in a copy");
}

static void store_private(struct worker *w)
{
    uint64_t offset;
    size_t count;

    offset = range(w, &count);
    (void)prepare(w, offset, count);
    may_end(space->store(w->copy, offset, w->words[0], false), "a private store");
}

static void write_call(struct worker *w)
{
    uint64_t offset;
    size_t count, bytes;

    offset = range(w, &count);
    bytes = prepare(w, offset, count);
    EXPECT(ext2dax_write(w->inode, offset, w->words, bytes), EXT2DAX_ENOSPC);
}

static void read_call(struct worker *w)
{
    uint64_t offset;
    size_t count;
    int64_t got;

    offset = range(w, &count);
    got = ext2dax_read(w->inode, offset, w->words, count * 8);
    if (got < 0)
        complain("read", (uint64_t)-got, 0);
    else
        check_words(w->id, offset, w->words, (size_t)got / 8, "foreign bytes read");
}

static void pin_range(struct worker *w)
{
    bool writable = noise(w, 2) != 0;
    struct ext2dax_pin pin;
    uint64_t offset;
    size_t count, length;
    void *at;
    int rc;

    offset = range(w, &count);
    rc = ext2dax_pin(w->inode, offset, count * 8, writable, &pin);
    if (rc != 0) {
        EXPECT(rc, EXT2DAX_EINVAL, EXT2DAX_ENXIO, EXT2DAX_ENOSPC);
        return;
    }
    for (size_t i = 0; i < count; i += 16) {
        rc = ext2dax_pin_pointer(&pin, offset + i * 8, &at, &length);
        if (rc != 0) {
            complain("pin_pointer", (uint64_t)-rc, 0);
            break;
        }
        space->copy(&w->words[0], at, 8);
        check_words(w->id, offset + i * 8, w->words, 1, "foreign bytes pinned");
        w->words[0] = word(w->id, offset + i * 8, ++w->turn);
        if (writable)
            space->copy(at, &w->words[0], 8);
    }
    ext2dax_unpin(&pin);
}

static void change_size(struct worker *w)
{
    uint64_t size = (uint64_t)noise(w, space->pages * space->page / 8) * 8;

    EXPECT(ext2dax_truncate(w->inode, noise(w, 3) == 0 ? 0 : size), EXT2DAX_EBUSY);
}

static void look(struct worker *w)
{
    struct ext2dax_run run;
    struct ext2dax_stat figures;
    struct ext2dax_statfs all;

    EXPECT(ext2dax_map(w->inode, noise(w, space->pages), 1 + noise(w, 100), &run), EXT2DAX_EFBIG);
    for (uint64_t page = noise(w, space->pages), end = page + 20; page < end; page++)
        EXPECT(ext2dax_map_block(w->inode, page, &w->hint), EXT2DAX_EFBIG);
    EXPECT(ext2dax_seek(w->inode, noise(w, space->pages) * space->page,
                        noise(w, 2) ? EXT2DAX_SEEK_DATA : EXT2DAX_SEEK_HOLE),
           EXT2DAX_ENXIO);
    ext2dax_stat(w->inode, &figures, sizeof(figures));
    ext2dax_statfs(space->mount, &all, sizeof(all));
    if (figures.size > space->pages * space->page || all.free_blocks > all.blocks)
        complain("figures", figures.size, all.free_blocks);
}

/* Freezes the file system. The main thread thaws if this worker does not. */
static void freeze(struct worker *w)
{
    int rc = ext2dax_freeze(space->mount);

    if (rc != 0) {
        EXPECT(rc, EXT2DAX_EBUSY);
        return;
    }
    read_call(w);
    load_mapped(w, w->copy);
    close_file(w);
    if (noise(w, 2) != 0)
        EXPECT(ext2dax_thaw(space->mount), EXT2DAX_EINVAL);
}

static void step(struct worker *w)
{
    uint64_t first = noise(w, space->pages) * (uint64_t)space->page;
    uint32_t choice = noise(w, 200);

    if (choice < 50)
        store_mapped(w);
    else if (choice < 80)
        load_mapped(w, w->map);
    else if (choice < 90)
        load_mapped(w, w->copy);
    else if (choice < 95)
        store_private(w);
    else if (choice < 115)
        write_call(w);
    else if (choice < 130)
        read_call(w);
    else if (choice < 140)
        pin_range(w);
    else if (choice < 150)
        change_size(w);
    else if (choice < 160)
        EXPECT(ext2dax_punch(w->inode, first, (1 + noise(w, 20)) * space->page), EXT2DAX_EBUSY);
    else if (choice < 168)
        EXPECT(ext2dax_allocate(w->inode, first, clip(first, (1 + noise(w, 20)) * (uint64_t)space->page), false),
               EXT2DAX_ENOSPC);
    else if (choice < 180)
        EXPECT(ext2dax_fsync(w->inode), EXT2DAX_EIO);
    else if (choice < 182)
        EXPECT(ext2dax_sync(space->mount), EXT2DAX_EIO);
    else if (choice < 183)
        freeze(w);
    else if (choice < 188)
        replace_file(w);
    else if (choice < 196)
        close_file(w);
    else
        look(w);
}

static void *work(void *arg)
{
    struct worker *w = arg;

    while (!atomic_load(&stop)) {
        if (!w->inode && !open_file(w)) {
            replace_file(w);
            continue;
        }
        step(w);
        if (space->returned)
            space->returned();
        w->done++;
    }
    close_file(w);
    atomic_fetch_sub(&running, 1);
    return NULL;
}

/* ---- run ---- */

static double now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/*
 * Thaws after 1 ms. A worker may be waiting for a file system another worker left frozen, and
 * nothing else thaws.
 */
static void thaw_after_a_while(void)
{
    struct timespec pause = {0, 1000000};

    nanosleep(&pause, NULL);
    (void)ext2dax_thaw(space->mount);
}

static void open_slots(void)
{
    for (unsigned i = 0; i < SLOTS; i++)
        pthread_mutex_init(&slots[i].mutex, NULL);
}

static void clear_slots(void)
{
    char name[32];

    for (unsigned i = 0; i < SLOTS; i++) {
        if (slots[i].id != 0)
            ck_assert_int_eq(ext2dax_unlink(space->root, name, name_of(name, sizeof name, i, slots[i].id)), 0);
        slots[i].id = 0;
        pthread_mutex_destroy(&slots[i].mutex);
    }
}

unsigned long stress_run(const struct stress_space *over, double seconds, uint64_t seed)
{
    static struct worker workers[STRESS_THREADS];
    unsigned long done = 0;
    double end = now() + seconds;

    space = over;
    atomic_store(&stop, false);
    atomic_store(&running, STRESS_THREADS);
    memset(workers, 0, sizeof workers);
    open_slots();
    for (unsigned i = 0; i < STRESS_THREADS; i++) {
        workers[i].noise = seed + i * 1000003u;
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    while (!atomic_load(&stop)) {
        thaw_after_a_while();
        if (now() > end)
            atomic_store(&stop, true);
    }
    while (atomic_load(&running) != 0)
        thaw_after_a_while();
    for (unsigned i = 0; i < STRESS_THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        done += workers[i].done;
    }
    (void)ext2dax_thaw(space->mount);
    if (wrong[0] != '\0')
        ck_abort_msg("seed %" PRIu64 ": %s", seed, wrong);
    clear_slots();
    return done;
}

uint64_t stress_seed(void)
{
    const char *given = getenv("EXT2DAX_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);

    printf("EXT2DAX_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    return seed;
}

double stress_seconds(double otherwise)
{
    return getenv("EXT2DAX_SECONDS") ? atof(getenv("EXT2DAX_SECONDS")) : otherwise;
}
