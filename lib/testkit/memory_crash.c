/* SPDX-License-Identifier: MIT */
/*
 * Crashing memory. Three images have the same size. `now` is seen by the program. `seen` holds the
 * stores noticed so far. `medium` is durable. A word is pending if its value differs, or has
 * differed, from the durable value. A pending word keeps every value since the durable value, and
 * the number of values written back. A fence makes the last value written back durable and drops
 * the values before.
 *
 * Crash images are built in the medium itself, word by word, and undone afterwards. The hash of an
 * image is a sum over its words, updated with every word.
 */
#include "ext2dax/testkit/crash.h"

#include <stdlib.h>
#include <string.h>

#include "ext2dax/error.h"
#include "ext2dax/hosted/memory.h"

#include "memory_crash_set.h"
#include "instrument.h"
#include "base/copy_struct.h"

#define LINE_DEFAULT    64u
#define ALL_DEFAULT     12u
#define SAMPLE_DEFAULT  1024u
#define SET_DEFAULT_LOG 20u
#define SINGLES         256u /* most words tried alone, and most words left out alone */
/*
 * A chunk is 1 KiB, here in words. CHUNK_FULL pending words in a chunk are taken for data and reach
 * the medium together.
 */
#define CHUNK_SHIFT 7u
#define CHUNK_FULL  8u
/* Images per draw, each differing from the image before in a few words */
#define REDRAW  64u
#define NOTHING UINT32_MAX
#define LOST    0xDB /* poisoned bytes read as this, and bytes just discarded after a crash */

struct pending {
    uint32_t word;
    uint32_t values, room; /* since the durable value */
    uint32_t written;      /* number of values up to the last value written back */
    /* while images are built, 0 for the durable value, or n for the n-th value since */
    uint32_t chosen;
    uint32_t unit;
    bool down; /* during an enumeration, `chosen` counts down */
    uint64_t *value;
};

struct unit {
    uint32_t first, words; /* a range of `order` */
};

struct poison {
    struct poison *next;
    size_t offset, length;
};

struct ext2dax_crash {
    struct ext2dax_memory memory; /* the plug's memory, with `now` as the base */
    uint64_t *now, *seen, *medium;
    uint32_t words;
    uint32_t *place; /* per word, the index of its pending entry, or NOTHING */
    struct pending *pending;
    uint32_t count, room;
    uint32_t *order; /* indexes of pending entries by unit */
    struct unit *unit;
    unsigned line, all_up_to, sample;
    uint64_t random;
    uint64_t hash;
    struct crash_set set;
    int (*check)(void *arg, const struct ext2dax_crash_state *state);
    void *arg;
    struct poison *poison;
    long checks_left;
    struct ext2dax_crash_figures figures;
};

static struct ext2dax_crash *watched;

static uint64_t mix(uint32_t word, uint64_t value)
{
    uint64_t h = (value ^ (uint64_t)word * 0x9E3779B97F4A7C15u) * 0xFF51AFD7ED558CCDu;

    h ^= h >> 32;
    h *= 0xC4CEB9FE1A85EC53u;
    return h ^ h >> 29;
}

static uint32_t draw(struct ext2dax_crash *crash, uint32_t below)
{
    crash->random = crash->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((crash->random >> 33) * below >> 31);
}

/* ---- stores ---- */

/* Aborts if out of memory, because an incomplete exploration has no valid result. */
static void *grown(void *at, size_t bytes)
{
    void *wider = realloc(at, bytes);

    if (!wider)
        abort();
    return wider;
}

static struct pending *pending_of(struct ext2dax_crash *crash, uint32_t word)
{
    struct pending *p;

    if (crash->place[word] != NOTHING)
        return &crash->pending[crash->place[word]];
    if (crash->count == crash->room) {
        crash->room = crash->room * 2 + 64;
        crash->pending = grown(crash->pending, crash->room * sizeof *crash->pending);
        crash->order = grown(crash->order, crash->room * sizeof *crash->order);
        crash->unit = grown(crash->unit, crash->room * sizeof *crash->unit);
        memset(&crash->pending[crash->count], 0, (crash->room - crash->count) * sizeof *crash->pending);
    }
    crash->place[word] = crash->count;
    p = &crash->pending[crash->count++];
    p->word = word;
    p->values = p->written = p->chosen = 0;
    return p;
}

static void note(struct ext2dax_crash *crash, uint32_t word)
{
    struct pending *p;

    if (crash->now[word] == crash->seen[word])
        return;
    crash->seen[word] = crash->now[word];
    p = pending_of(crash, word);
    if (p->values == p->room) {
        p->room = p->room * 2 + 2;
        p->value = grown(p->value, p->room * sizeof *p->value);
    }
    p->value[p->values++] = crash->now[word];
}

void ext2dax_crash_look(struct ext2dax_crash *crash)
{
    for (uint32_t at = 0; at < crash->words; at += 8) {
        if (memcmp(&crash->now[at], &crash->seen[at], 64) == 0)
            continue;
        for (uint32_t word = at; word < at + 8; word++)
            note(crash, word);
    }
}

/* The core is about to store to `at`. Notes the current value, which the store may overwrite. */
static void watch(enum e2d_yield_kind kind, const volatile void *at)
{
    size_t offset;

    if (kind != E2D_YIELD_STORE || !watched)
        return;
    offset = (uintptr_t)at - (uintptr_t)watched->memory.base;
    if (offset < watched->memory.size)
        note(watched, (uint32_t)(offset / 8));
}

/* Rounds a byte range to lines. Returns the words written back as [*first, *end). */
static void lines_of(const struct ext2dax_crash *crash, const void *at, size_t length, uint32_t *first, uint32_t *end)
{
    size_t from = (size_t)((uintptr_t)at - (uintptr_t)crash->memory.base), to = from + length;

    from &= ~(size_t)(crash->line - 1);
    to = (to + crash->line - 1) & ~(size_t)(crash->line - 1);
    *first = (uint32_t)(from / 8);
    *end = (uint32_t)((to < crash->memory.size ? to : crash->memory.size) / 8);
    if (length == 0)
        *end = *first;
}

static int persist(void *ctx, const void *at, size_t length)
{
    struct ext2dax_crash *crash = ctx;
    uint32_t word, end;

    for (lines_of(crash, at, length, &word, &end); word < end; word++) {
        note(crash, word);
        if (crash->place[word] != NOTHING)
            crash->pending[crash->place[word]].written = crash->pending[crash->place[word]].values;
    }
    return 0;
}

static int zero(void *ctx, void *at, size_t length)
{
    struct ext2dax_crash *crash = ctx;
    uint32_t word, end;

    for (lines_of(crash, at, length, &word, &end); word < end; word++)
        note(crash, word);
    memset(at, 0, length);
    return persist(ctx, at, length);
}

/* A crash may leave what the medium makes of discarded words, which is neither old bytes nor 0. */
static int discard(void *ctx, void *at, size_t length)
{
    struct ext2dax_crash *crash = ctx;
    uint32_t word, end;

    for (lines_of(crash, at, length, &word, &end); word < end; word++)
        note(crash, word);
    memset(at, LOST, length);
    for (lines_of(crash, at, length, &word, &end); word < end; word++)
        note(crash, word);
    memset(at, 0, length);
    return persist(ctx, at, length);
}

/* ---- images ---- */

static void choose(struct ext2dax_crash *crash, struct pending *p, uint32_t chosen)
{
    uint64_t *at = &crash->medium[p->word];
    uint64_t value;

    if (chosen == p->chosen)
        return;
    /*
     * The first choice saves the durable value in `seen`, and choice 0 restores the value from
     * there.
     */
    if (p->chosen == 0)
        crash->seen[p->word] = *at;
    value = chosen != 0 ? p->value[chosen - 1] : crash->seen[p->word];
    crash->hash += mix(p->word, value) - mix(p->word, *at);
    *at = value;
    p->chosen = chosen;
}

/* Restores the durable image. */
static void choose_none(struct ext2dax_crash *crash)
{
    for (uint32_t i = 0; i < crash->count; i++)
        choose(crash, &crash->pending[i], 0);
}

static void choose_all(struct ext2dax_crash *crash)
{
    for (uint32_t i = 0; i < crash->count; i++)
        choose(crash, &crash->pending[i], crash->pending[i].values);
}

static int hand_out(struct ext2dax_crash *crash, bool whole)
{
    struct ext2dax_crash_state state = {crash->medium, crash->hash, false, whole, crash->count};
    enum crash_set_result result = crash_set_add(&crash->set, crash->hash);

    state.before = result == CRASH_SET_THERE;
    crash->figures.images++;
    if (result != CRASH_SET_THERE)
        crash->figures.distinct++;
    if (result == CRASH_SET_FULL)
        crash->figures.unremembered++;
    return crash->check(crash->arg, &state);
}

/*
 * Hands out every image, each differing from the image before in a single word. Every word counts
 * up and down through its values, the first word fastest.
 */
static int enumerate(struct ext2dax_crash *crash)
{
    uint32_t i = 0, left;
    int rc;

    left = crash->count; /* words without their last value */
    for (i = 0; i < crash->count; i++)
        crash->pending[i].down = false;
    for (;;) {
        rc = hand_out(crash, left == 0);
        if (rc != 0)
            return rc;
        for (i = 0; i < crash->count; i++) {
            struct pending *p = &crash->pending[i];

            if (p->chosen == (p->down ? 0 : p->values)) {
                p->down = !p->down;
                continue;
            }
            left += p->chosen == p->values;
            choose(crash, p, p->down ? p->chosen - 1 : p->chosen + 1);
            left -= p->chosen == p->values;
            break;
        }
        if (i == crash->count)
            return 0;
    }
}

/*
 * Divides the pending words into units. The words of a full chunk are a unit together, and every
 * other word is a unit alone. Single words come first.
 */
static uint32_t make_units(struct ext2dax_crash *crash)
{
    uint32_t units = 0, placed = 0, chunks = (crash->words >> CHUNK_SHIFT) + 1;
    uint32_t *in_chunk = calloc(chunks, sizeof *in_chunk), *unit_of = grown(NULL, chunks * sizeof *unit_of);

    if (!in_chunk)
        abort();
    for (uint32_t i = 0; i < crash->count; i++)
        in_chunk[crash->pending[i].word >> CHUNK_SHIFT]++;
    for (uint32_t i = 0; i < crash->count; i++) {
        if (in_chunk[crash->pending[i].word >> CHUNK_SHIFT] >= CHUNK_FULL)
            continue;
        crash->unit[units++] = (struct unit){placed, 1};
        crash->order[placed++] = i;
    }
    for (uint32_t chunk = 0; chunk < chunks; chunk++) {
        if (in_chunk[chunk] < CHUNK_FULL)
            continue;
        unit_of[chunk] = units;
        crash->unit[units++] = (struct unit){placed, 0};
        placed += in_chunk[chunk];
    }
    for (uint32_t i = 0; i < crash->count; i++) {
        uint32_t chunk = crash->pending[i].word >> CHUNK_SHIFT;
        struct unit *unit = &crash->unit[unit_of[chunk]];

        if (in_chunk[chunk] >= CHUNK_FULL)
            crash->order[unit->first + unit->words++] = i;
    }
    free(in_chunk);
    free(unit_of);
    return units;
}

static void toggle_unit(struct ext2dax_crash *crash, const struct unit *unit)
{
    for (uint32_t i = unit->first; i < unit->first + unit->words; i++) {
        struct pending *p = &crash->pending[crash->order[i]];

        choose(crash, p, p->chosen == 0 ? p->values : 0);
    }
}

/* Hands out every set of units but the empty set. `units` is small. */
static int enumerate_units(struct ext2dax_crash *crash, uint32_t units)
{
    for (uint32_t turn = 1; turn < (uint32_t)1 << units; turn++) {
        uint32_t at = 0;
        int rc;

        while ((turn >> at & 1) == 0)
            at++;
        toggle_unit(crash, &crash->unit[at]);
        rc = hand_out(crash, false);
        if (rc != 0)
            return rc;
    }
    choose_none(crash);
    return 0;
}

/*
 * With `alone` hands out each word alone, else all words but each word in turn. Limited to SINGLES
 * images.
 */
static int singles(struct ext2dax_crash *crash, bool alone)
{
    uint32_t step = crash->count / SINGLES + 1;

    for (uint32_t i = draw(crash, step); i < crash->count; i += step) {
        struct pending *p = &crash->pending[i];
        int rc;

        choose(crash, p, alone ? p->values : 0);
        rc = hand_out(crash, false);
        if (rc != 0)
            return rc;
        choose(crash, p, alone ? 0 : p->values);
    }
    return 0;
}

/* Probability of a word having reached the medium, in eighths, with one value per draw. */
static const unsigned char density[] = {4, 1, 7, 2, 6, 3, 5};

static int drawn(struct ext2dax_crash *crash, uint32_t units)
{
    int rc = 0;

    for (unsigned i = 0; i < crash->sample && rc == 0; i++) {
        uint32_t flips = i % REDRAW == 0 ? crash->count : 1 + draw(crash, crash->count / 8 + 1);
        unsigned eighths = density[i / REDRAW % sizeof density];

        if (i % REDRAW == 0) {
            for (uint32_t k = 0; k < crash->count; k++)
                choose(crash, &crash->pending[k],
                       draw(crash, 8) < eighths ? 1 + draw(crash, crash->pending[k].values) : 0);
        } else if ((i & 1) != 0 && units != 0) {
            toggle_unit(crash, &crash->unit[draw(crash, units)]);
        } else {
            while (flips-- != 0) {
                struct pending *p = &crash->pending[draw(crash, crash->count)];

                choose(crash, p, draw(crash, p->values + 1));
            }
        }
        rc = hand_out(crash, false);
    }
    return rc;
}

static int sample(struct ext2dax_crash *crash)
{
    uint32_t units = make_units(crash);
    int rc = hand_out(crash, false);

    if (rc == 0)
        rc = singles(crash, true);
    choose_all(crash);
    if (rc == 0)
        rc = hand_out(crash, true);
    if (rc == 0)
        rc = singles(crash, false);
    choose_none(crash);
    if (rc == 0 && units <= crash->all_up_to)
        rc = enumerate_units(crash, units);
    return rc == 0 ? drawn(crash, units) : rc;
}

static int hand_out_all(struct ext2dax_crash *crash)
{
    uint64_t images = 1;
    int rc;

    for (uint32_t i = 0; i < crash->count && images <= (uint64_t)1 << crash->all_up_to; i++)
        images *= crash->pending[i].values + 1;
    crash->figures.points++;
    if (crash->count > crash->figures.most_pending)
        crash->figures.most_pending = crash->count;
    if (images <= (uint64_t)1 << crash->all_up_to) {
        crash->figures.points_whole++;
        rc = enumerate(crash);
    } else {
        rc = sample(crash);
    }
    choose_none(crash);
    /* `seen` equalled `now` before the images used it for durable values. */
    for (uint32_t i = 0; i < crash->count; i++)
        crash->seen[crash->pending[i].word] = crash->now[crash->pending[i].word];
    return rc;
}

int ext2dax_crash_point(struct ext2dax_crash *crash)
{
    ext2dax_crash_look(crash);
    return crash->check ? hand_out_all(crash) : 0;
}

static void make_durable(struct ext2dax_crash *crash, uint32_t word, uint64_t value)
{
    crash->hash += mix(word, value) - mix(word, crash->medium[word]);
    crash->medium[word] = value;
}

/* Drops all values of the word since the durable value. */
static void forget(struct ext2dax_crash *crash, uint32_t word)
{
    uint32_t place = crash->place[word];
    struct pending gone;

    if (place == NOTHING)
        return;
    gone = crash->pending[place];
    crash->count--;
    crash->pending[place] = crash->pending[crash->count];
    crash->pending[crash->count] = gone;
    crash->place[crash->pending[place].word] = place;
    crash->place[word] = NOTHING;
}

/* Makes the last value written back the durable value. */
static void settle(struct ext2dax_crash *crash)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < crash->count; i++) {
        struct pending p = crash->pending[i];

        if (p.written != 0) {
            make_durable(crash, p.word, p.value[p.written - 1]);
            p.values -= p.written;
            memmove(p.value, p.value + p.written, p.values * sizeof *p.value);
            p.written = 0;
        }
        crash->place[p.word] = p.values != 0 ? kept : NOTHING;
        /* Swaps the entries, so that each entry keeps an allocated `value` array. */
        crash->pending[i] = crash->pending[kept];
        crash->pending[kept] = p;
        kept += p.values != 0;
    }
    crash->count = kept;
}

static int fence(void *ctx)
{
    struct ext2dax_crash *crash = ctx;

    (void)ext2dax_crash_point(crash);
    settle(crash);
    crash->figures.fences++;
    return 0;
}

/* ---- poison ---- */

static int check(void *ctx, const void *at, size_t length)
{
    struct ext2dax_crash *crash = ctx;
    size_t from = (size_t)((uintptr_t)at - (uintptr_t)crash->memory.base);

    if (crash->checks_left >= 0 && crash->checks_left-- == 0)
        return -EXT2DAX_EIO;
    for (const struct poison *p = crash->poison; p; p = p->next) {
        if (from < p->offset + p->length && p->offset < from + length)
            return -EXT2DAX_EIO;
    }
    return 0;
}

int ext2dax_crash_poison(struct ext2dax_crash *crash, size_t offset, size_t length)
{
    struct poison *poison = malloc(sizeof *poison);

    if (!poison)
        return -EXT2DAX_ENOMEM;
    *poison = (struct poison){crash->poison, offset, length};
    crash->poison = poison;
    memset((char *)crash->memory.base + offset, LOST, length);
    for (uint32_t word = (uint32_t)(offset / 8); word < (offset + length + 7) / 8; word++) {
        forget(crash, word);
        make_durable(crash, word, crash->now[word]);
        crash->seen[word] = crash->now[word];
    }
    return 0;
}

void ext2dax_crash_cure(struct ext2dax_crash *crash)
{
    while (crash->poison) {
        struct poison *next = crash->poison->next;

        free(crash->poison);
        crash->poison = next;
    }
}

void ext2dax_crash_fail_check(struct ext2dax_crash *crash, long after)
{
    crash->checks_left = after;
}

/* ---- opening ---- */

static const struct ext2dax_memory_ops ops = {
    .size = sizeof ops, .zero = zero, .persist = persist, .fence = fence, .check = check};
static const struct ext2dax_memory_ops ops_with_discard = {.size = sizeof ops_with_discard,
                                                           .zero = zero,
                                                           .persist = persist,
                                                           .fence = fence,
                                                           .check = check,
                                                           .discard = discard};

void ext2dax_crash_load(struct ext2dax_crash *crash, const void *image)
{
    for (uint32_t i = 0; i < crash->count; i++)
        crash->place[crash->pending[i].word] = NOTHING;
    crash->count = 0;
    if (image != crash->now)
        memmove(crash->now, image, crash->memory.size);
    for (uint32_t at = 0; at < crash->words; at++) {
        if (crash->medium[at] != crash->now[at])
            make_durable(crash, at, crash->now[at]);
        crash->seen[at] = crash->now[at];
    }
}

void ext2dax_crash_check(struct ext2dax_crash *crash,
                         int (*callback)(void *arg, const struct ext2dax_crash_state *state), void *arg)
{
    crash->check = callback;
    crash->arg = arg;
}

void ext2dax_crash_count(const struct ext2dax_crash *crash, struct ext2dax_crash_figures *figures)
{
    *figures = crash->figures;
}

static bool valid(const struct ext2dax_crash_options *o)
{
    return o->bytes != 0 && (o->bytes & 63) == 0 && o->bytes / 8 < NOTHING && o->line >= 8 && o->line <= 4096 &&
           (o->line & (o->line - 1)) == 0 && o->all_up_to <= 24 && o->remember_log <= 30;
}

int ext2dax_crash_open(const struct ext2dax_crash_options *options, struct ext2dax_memory *memory,
                       struct ext2dax_crash **opened)
{
    struct ext2dax_crash_options o;
    struct ext2dax_crash *crash;
    int rc;

    *opened = NULL;
    e2d_copy_struct(&o, sizeof o, options);
    o.line = o.line != 0 ? o.line : LINE_DEFAULT;
    o.all_up_to = o.all_up_to != 0 ? o.all_up_to : ALL_DEFAULT;
    if (!valid(&o))
        return -EXT2DAX_EINVAL;
    crash = calloc(1, sizeof *crash);
    if (!crash)
        return -EXT2DAX_ENOMEM;
    rc = ext2dax_memory_open_heap(o.bytes, &crash->memory);
    crash->words = (uint32_t)(o.bytes / 8);
    crash->now = crash->memory.base;
    crash->seen = calloc(crash->words, 8);
    crash->medium = calloc(crash->words, 8);
    crash->place = malloc(crash->words * sizeof *crash->place);
    if (rc != 0 || !crash->seen || !crash->medium || !crash->place ||
        !crash_set_open(&crash->set, o.remember_log != 0 ? o.remember_log : SET_DEFAULT_LOG)) {
        ext2dax_crash_close(crash);
        return -EXT2DAX_ENOMEM;
    }
    memset(crash->place, 0xFF, crash->words * sizeof *crash->place);
    for (uint32_t word = 0; word < crash->words; word++)
        crash->hash += mix(word, 0);
    crash->line = o.line;
    crash->all_up_to = o.all_up_to;
    crash->sample = o.sample != 0 ? o.sample : SAMPLE_DEFAULT;
    crash->random = o.seed;
    crash->checks_left = -1;
    crash->memory.ops = o.discard ? &ops_with_discard : &ops;
    crash->memory.ctx = crash;
    crash->memory.flags = EXT2DAX_MEMORY_PERSISTENT;
    *memory = crash->memory;
    *opened = crash;
    watched = crash;
    e2dt_yield_hook = watch;
    return 0;
}

void ext2dax_crash_close(struct ext2dax_crash *crash)
{
    if (watched == crash) {
        watched = NULL;
        e2dt_yield_hook = NULL;
    }
    ext2dax_crash_cure(crash);
    for (uint32_t i = 0; i < crash->room; i++)
        free(crash->pending[i].value);
    free(crash->pending);
    free(crash->order);
    free(crash->unit);
    crash_set_close(&crash->set);
    free(crash->place);
    free(crash->medium);
    free(crash->seen);
    ext2dax_memory_close_heap(&crash->memory);
    free(crash);
}
