/* SPDX-License-Identifier: MIT */
/*
 * Memory saved and restored by the explorer, and the hash identifying a state.
 *
 * Memory is compared in chunks. A shadow holds the contents in the newest saved state. Chunks
 * differing from the shadow have changed since. Saving a state updates the shadow and records the
 * previous contents. Dropping a state reverts the update. The list of differing chunks is valid
 * until a thread runs. A step therefore costs a single comparison of the chunks marked `used`.
 * Backtracking over any number of states costs only the changes in between.
 *
 * The hash of a state is the sum of a hash per chunk, so that only changed chunks are hashed again.
 * Two states with equal 64-bit hashes would be taken for the same state. Among ten million states
 * the probability is below 1 in 100,000.
 *
 * The arena allocates the lowest free space and overwrites released memory. The same objects
 * therefore lie at the same addresses with the same bytes around, regardless of the order of
 * allocation.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ext2dax/error.h"

#include "explorer_internal.h"

#if defined(E2D_VALGRIND)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_DISABLE_ERROR_REPORTING     ((void)0)
#define VALGRIND_ENABLE_ERROR_REPORTING      ((void)0)
#define VALGRIND_MAKE_MEM_DEFINED(at, bytes) 0
#endif

#define GRANULE  64u /* bytes */
#define RELEASED 0xDD
#define SPARE    ((size_t)32 << 10) /* Bytes that threads may add to the arena. */

#if defined(__SANITIZE_ADDRESS__) || defined(__clang__)
#define UNCHECKED __attribute__((no_sanitize_address))
#else
#define UNCHECKED
#endif

/* ---- the arena ---- */

bool e2dt_state_open(struct e2dt_state *state, size_t arena_size)
{
    const size_t aligned = (size_t)64 << 10;

    memset(state, 0, sizeof *state);
    state->arena_size = (arena_size + aligned - 1) / aligned * aligned;
    state->arena = aligned_alloc(aligned, state->arena_size);
    state->taken = calloc((state->arena_size / GRANULE + 63) / 64, sizeof *state->taken);
    if (!state->arena || !state->taken) {
        e2dt_state_close(state);
        return false;
    }
    memset(state->arena, RELEASED, state->arena_size);
    return true;
}

static void free_shadow(struct e2dt_state *state)
{
    free(state->shadow);
    free(state->hash);
    free(state->masked);
    free(state->changed);
    free(state->changed_hash);
    free(state->used);
    free(state->root);
    state->root = NULL;
    state->used = NULL;
    state->changed_hash = NULL;
    state->shadow = NULL;
    state->hash = NULL;
    state->masked = NULL;
    state->changed = NULL;
}

void e2dt_state_close(struct e2dt_state *state)
{
    free_shadow(state);
    free(state->arena);
    free(state->taken);
    free(state->range);
    free(state->ignored);
    free(state->undo);
    free(state->seen);
    memset(state, 0, sizeof *state);
}

void e2dt_state_clear(struct e2dt_state *state)
{
    memset(state->arena, RELEASED, state->high * GRANULE);
    memset(state->taken, 0, (state->arena_size / GRANULE + 63) / 64 * sizeof *state->taken);
    state->high = state->limit = 0;
    state->ranges = state->ignores = 0;
    state->undos = 0;
    free_shadow(state);
    e2dt_state_forget(state);
}

static bool is_taken(const struct e2dt_state *state, size_t granule)
{
    return (state->taken[granule / 64] >> granule % 64 & 1) != 0;
}

static void take(struct e2dt_state *state, size_t first, size_t count, bool taken)
{
    for (size_t i = first; i < first + count; i++) {
        uint64_t bit = (uint64_t)1 << i % 64;

        state->taken[i / 64] = taken ? state->taken[i / 64] | bit : state->taken[i / 64] & ~bit;
    }
}

/* Includes these chunks in all later comparisons. */
static void mark_used(struct e2dt_state *state, size_t first, size_t count)
{
    if (!state->used)
        return;
    for (size_t c = first * GRANULE / E2DT_CHUNK; c <= ((first + count) * GRANULE - 1) / E2DT_CHUNK; c++)
        state->used[state->arena_first + c] = 1;
}

void *e2dt_state_alloc(struct e2dt_state *state, size_t bytes, size_t alignment)
{
    size_t count = bytes / GRANULE + 1, all = state->limit != 0 ? state->limit : state->arena_size / GRANULE, run;
    size_t step = alignment <= GRANULE ? 1 : alignment / GRANULE;

    if (bytes >= state->arena_size)
        return NULL;
    for (size_t first = 0; first + count <= all; first += step) {
        for (run = 0; run < count && !is_taken(state, first + run); run++)
            ;
        if (run < count) {
            if (step == 1)
                first += run;
            continue;
        }
        take(state, first, count, true);
        if (first + count > state->high)
            state->high = first + count;
        mark_used(state, first, count);
        memset(state->arena + first * GRANULE, 0, bytes);
        return state->arena + first * GRANULE;
    }
    return NULL;
}

void e2dt_state_release(struct e2dt_state *state, void *at, size_t bytes)
{
    size_t count = bytes / GRANULE + 1;

    if (!at)
        return;
    memset(at, RELEASED, bytes);
    take(state, (size_t)((unsigned char *)at - state->arena) / GRANULE, count, false);
}

/* ---- ranges ---- */

int e2dt_state_remember(struct e2dt_state *state, void *at, size_t bytes)
{
    struct e2dt_state_range *wider = realloc(state->range, (state->ranges + 1) * sizeof *wider);

    if (!wider)
        return -EXT2DAX_ENOMEM;
    state->range = wider;
    wider[state->ranges].at = at;
    wider[state->ranges++].bytes = bytes;
    return 0;
}

int e2dt_state_ignore(struct e2dt_state *state, const void *at, size_t bytes)
{
    struct e2dt_ignored *wider = realloc(state->ignored, (state->ignores + 1) * sizeof *wider);

    if (!wider)
        return -EXT2DAX_ENOMEM;
    state->ignored = wider;
    wider[state->ignores].at = at;
    wider[state->ignores++].bytes = bytes;
    return 0;
}

/* ---- hashing ---- */

uint64_t e2dt_state_mix(uint64_t value)
{
    value ^= value >> 32;
    value *= 0xD6E8FEB86659FD93u;
    value ^= value >> 32;
    value *= 0xD6E8FEB86659FD93u;
    return value ^ value >> 32;
}

/* Computes four sums that a processor can update in parallel. */
UNCHECKED uint64_t e2dt_state_hash(const void *at, size_t bytes)
{
    const unsigned char *byte = at;
    uint64_t lane[4] = {0x9E3779B97F4A7C15u, 0xBF58476D1CE4E5B9u, 0x94D049BB133111EBu, bytes};
    uint64_t word, hash;

    for (; bytes >= 32; bytes -= 32, byte += 32) {
        for (unsigned i = 0; i < 4; i++) {
            __builtin_memcpy(&word, byte + (size_t)i * 8, sizeof word);
            lane[i] = (lane[i] ^ word) * 0x9FB21C651E98DF25u;
            lane[i] ^= lane[i] >> 29;
        }
    }
    for (; bytes > 0; bytes--, byte++)
        lane[bytes & 3] = (lane[bytes & 3] ^ *byte) * 0x9FB21C651E98DF25u;
    hash = e2dt_state_mix(lane[0] + e2dt_state_mix(lane[1] + e2dt_state_mix(lane[2] + e2dt_state_mix(lane[3]))));
    /* Bytes of a frame that were never written are part of the state like any other bytes. */
    (void)VALGRIND_MAKE_MEM_DEFINED(&hash, sizeof hash);
    return hash;
}

static size_t chunk_bytes(const struct e2dt_state_range *range, size_t chunk)
{
    size_t from = (chunk - range->first) * E2DT_CHUNK;

    return range->bytes - from < E2DT_CHUNK ? range->bytes - from : E2DT_CHUNK;
}

static unsigned char *chunk_at(const struct e2dt_state_range *range, size_t chunk)
{
    return range->at + (chunk - range->first) * E2DT_CHUNK;
}

static const struct e2dt_state_range *region_of(const struct e2dt_state *state, size_t chunk)
{
    const struct e2dt_state_range *range = state->range;

    while (chunk >= range->first + range->chunks)
        range++;
    return range;
}

static void mask(const struct e2dt_state *state, const unsigned char *at, unsigned char *bytes, size_t count)
{
    for (unsigned i = 0; i < state->ignores; i++) {
        const struct e2dt_ignored *ignored = &state->ignored[i];

        for (size_t k = 0; k < count; k++) {
            if (at + k >= ignored->at && at + k < ignored->at + ignored->bytes)
                bytes[k] = 0;
        }
    }
}

/* Returns the chunk's contribution to the sum if the chunk held `bytes`. */
static uint64_t chunk_hash(const struct e2dt_state *state, const struct e2dt_state_range *range, size_t chunk,
                           const unsigned char *bytes)
{
    unsigned char masked[E2DT_CHUNK];
    size_t count = chunk_bytes(range, chunk);

    if (state->masked[chunk]) {
        memcpy(masked, bytes, count);
        mask(state, chunk_at(range, chunk), masked, count);
        bytes = masked;
    }
    return e2dt_state_mix(e2dt_state_hash(bytes, count) + chunk * 0x9E3779B97F4A7C15u);
}

/* ---- states ---- */

static bool overlaps(const struct e2dt_state *state, const unsigned char *at, size_t bytes)
{
    for (unsigned i = 0; i < state->ignores; i++) {
        if (state->ignored[i].at < at + bytes && at < state->ignored[i].at + state->ignored[i].bytes)
            return true;
    }
    return false;
}

/*
 * Adds the arena up to the highest allocation so far, plus SPARE. Allocations by threads fall into
 * the range, because the arena allocates the lowest free space.
 */
static int remember_arena(struct e2dt_state *state)
{
    unsigned before = state->ranges;
    int rc;

    state->limit = state->high + SPARE / GRANULE;
    if (state->limit > state->arena_size / GRANULE)
        state->limit = state->arena_size / GRANULE;
    rc = e2dt_state_remember(state, state->arena, state->limit * GRANULE);
    if (rc == 0)
        rc = e2dt_state_remember(state, state->taken, (state->limit + 63) / 64 * sizeof *state->taken);
    if (rc != 0) {
        state->limit = 0;
        state->ranges = before;
    }
    return rc;
}

static bool open_shadow(struct e2dt_state *state)
{
    free_shadow(state);
    state->root = malloc(state->chunks * E2DT_CHUNK);
    state->shadow = calloc(state->chunks, E2DT_CHUNK);
    state->hash = calloc(state->chunks, sizeof *state->hash);
    state->masked = calloc(state->chunks, 1);
    state->used = calloc(state->chunks, 1);
    /*
     * A chunk may be listed once per drop. Up to this length the list is cheaper than a new
     * comparison.
     */
    state->changed = calloc(state->chunks * 2, sizeof *state->changed);
    state->changed_hash = calloc(state->chunks, sizeof *state->changed_hash);
    return state->root && state->shadow && state->hash && state->masked && state->used && state->changed &&
           state->changed_hash;
}

/*
 * Marks all chunks outside the arena, and all chunks of the arena allocated now. Other chunks
 * cannot change before being allocated.
 */
static void find_used(struct e2dt_state *state)
{
    memset(state->used, 1, state->chunks);
    for (unsigned i = 0; i < state->ranges; i++) {
        if (state->range[i].at != state->arena)
            continue;
        state->arena_first = state->range[i].first;
        memset(state->used + state->arena_first, 0, state->range[i].chunks);
        for (size_t granule = 0; granule < state->limit; granule++) {
            if (is_taken(state, granule))
                mark_used(state, granule, 1);
        }
    }
}

int e2dt_state_begin(struct e2dt_state *state)
{
    int rc = state->limit == 0 ? remember_arena(state) : 0;

    if (rc != 0)
        return rc;
    state->chunks = 0;
    for (unsigned i = 0; i < state->ranges; i++) {
        state->range[i].first = state->chunks;
        state->range[i].chunks = (state->range[i].bytes + E2DT_CHUNK - 1) / E2DT_CHUNK;
        state->chunks += state->range[i].chunks;
    }
    if (state->chunks == 0)
        return -EXT2DAX_EINVAL;
    if (!open_shadow(state))
        return -EXT2DAX_ENOMEM;
    find_used(state);
    state->undos = 0;
    state->sum = 0;
    for (unsigned i = 0; i < state->ranges; i++) {
        const struct e2dt_state_range *range = &state->range[i];

        for (size_t c = range->first; c < range->first + range->chunks; c++) {
            state->masked[c] = overlaps(state, chunk_at(range, c), chunk_bytes(range, c));
            memcpy(state->shadow + c * E2DT_CHUNK, chunk_at(range, c), chunk_bytes(range, c));
            state->hash[c] = chunk_hash(state, range, c, state->shadow + c * E2DT_CHUNK);
            state->sum += state->hash[c];
        }
    }
    memcpy(state->root, state->shadow, state->chunks * E2DT_CHUNK);
    state->changes = 0;
    state->known = true;
    return 0;
}

void e2dt_state_first(struct e2dt_state *state)
{
    for (unsigned i = 0; i < state->ranges; i++)
        memcpy(state->range[i].at, state->root + state->range[i].first * E2DT_CHUNK, state->range[i].bytes);
}

void e2dt_state_ran(struct e2dt_state *state)
{
    state->known = false;
}

static bool differs(const struct e2dt_state *state, const struct e2dt_state_range *range, size_t chunk)
{
    return memcmp(state->shadow + chunk * E2DT_CHUNK, chunk_at(range, chunk), chunk_bytes(range, chunk)) != 0;
}

/*
 * Fills the list of chunks differing from the shadow. Skips runs of equal chunks with a single
 * comparison.
 */
static void find_changes(struct e2dt_state *state)
{
    const size_t stride = 16;

    VALGRIND_DISABLE_ERROR_REPORTING;
    state->changes = 0;
    for (unsigned i = 0; i < state->ranges; i++) {
        const struct e2dt_state_range *range = &state->range[i];
        size_t end = range->first + range->chunks, run;

        for (size_t c = range->first; c < end; c += run) {
            for (run = 0; run < stride && c + run < end && state->used[c + run]; run++)
                ;
            if (run == 0)
                run = 1;
            else if (run > 1 && c + run < end &&
                     memcmp(state->shadow + c * E2DT_CHUNK, chunk_at(range, c), run * E2DT_CHUNK) == 0)
                continue;
            else
                for (size_t k = c; k < c + run; k++)
                    if (differs(state, range, k))
                        state->changed[state->changes++] = (uint32_t)k;
        }
    }
    VALGRIND_ENABLE_ERROR_REPORTING;
    state->known = true;
}

uint64_t e2dt_state_look(struct e2dt_state *state)
{
    uint64_t sum = state->sum;

    find_changes(state);
    for (size_t i = 0; i < state->changes; i++) {
        size_t c = state->changed[i];
        const struct e2dt_state_range *range = region_of(state, c);

        state->changed_hash[i] = chunk_hash(state, range, c, chunk_at(range, c));
        sum += state->changed_hash[i] - state->hash[c];
    }
    return sum;
}

bool e2dt_state_keep(struct e2dt_state *state)
{
    if (state->undos + state->changes > state->undo_room) {
        size_t room = (state->undos + state->changes) * 2 + 64;
        struct e2dt_undo *wider = realloc(state->undo, room * sizeof *wider);

        if (!wider)
            return false;
        state->undo = wider;
        state->undo_room = room;
    }
    for (size_t i = 0; i < state->changes; i++) {
        size_t c = state->changed[i], bytes;
        const struct e2dt_state_range *range = region_of(state, c);
        struct e2dt_undo *undo = &state->undo[state->undos++];
        unsigned char *shadow = state->shadow + c * E2DT_CHUNK;

        bytes = chunk_bytes(range, c);
        undo->chunk = (uint32_t)c;
        undo->hash = state->hash[c];
        memcpy(undo->bytes, shadow, bytes);
        memcpy(shadow, chunk_at(range, c), bytes);
        state->sum += state->changed_hash[i] - state->hash[c];
        state->hash[c] = state->changed_hash[i];
    }
    state->changes = 0;
    return true;
}

void e2dt_state_back(struct e2dt_state *state)
{
    if (!state->known)
        find_changes(state);
    for (size_t i = 0; i < state->changes; i++) {
        size_t c = state->changed[i];
        const struct e2dt_state_range *range = region_of(state, c);

        memcpy(chunk_at(range, c), state->shadow + c * E2DT_CHUNK, chunk_bytes(range, c));
    }
    state->changes = 0;
}

void e2dt_state_drop(struct e2dt_state *state, size_t undos)
{
    while (state->undos > undos) {
        const struct e2dt_undo *undo = &state->undo[--state->undos];
        size_t c = undo->chunk;

        memcpy(state->shadow + c * E2DT_CHUNK, undo->bytes, chunk_bytes(region_of(state, c), c));
        state->sum += undo->hash - state->hash[c];
        state->hash[c] = undo->hash;
        if (state->changes < state->chunks * 2)
            state->changed[state->changes++] = (uint32_t)c;
        else
            state->known = false;
    }
}

/* ---- visited states ---- */

static struct e2dt_seen *slot_of(struct e2dt_seen *seen, size_t room, uint64_t key)
{
    size_t at = (size_t)e2dt_state_mix(key) & (room - 1);

    while (seen[at].key != 0 && seen[at].key != key)
        at = (at + 1) & (room - 1);
    return &seen[at];
}

static bool widen(struct e2dt_state *state)
{
    size_t room = state->seen_room == 0 ? (size_t)1 << 12 : state->seen_room * 2;
    struct e2dt_seen *wider = calloc(room, sizeof *wider);

    if (!wider)
        return false;
    for (size_t i = 0; i < state->seen_room; i++) {
        if (state->seen[i].key != 0)
            *slot_of(wider, room, state->seen[i].key) = state->seen[i];
    }
    free(state->seen);
    state->seen = wider;
    state->seen_room = room;
    return true;
}

struct e2dt_seen *e2dt_state_seen(struct e2dt_state *state, uint64_t key, bool *fresh)
{
    struct e2dt_seen *slot;

    if (state->seen_count * 10 >= state->seen_room * 6 && !widen(state))
        return NULL;
    key = key == 0 ? 1 : key;
    slot = slot_of(state->seen, state->seen_room, key);
    *fresh = slot->key == 0;
    if (*fresh) {
        slot->key = key;
        slot->frame = E2DT_NOBODY;
        state->seen_count++;
    }
    return slot;
}

void e2dt_state_forget(struct e2dt_state *state)
{
    if (state->seen)
        memset(state->seen, 0, state->seen_room * sizeof *state->seen);
    state->seen_count = 0;
}
