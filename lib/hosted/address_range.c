/* SPDX-License-Identifier: MIT */
/*
 * Addresses for mappings with sigsegv, where pages not present are plain reserved addresses.
 *
 * Mappings lie side by side in chunks. A chunk is reserved as a single VMA. A mapping without
 * present pages is part of this VMA, so any number of such mappings needs no additional VMA.
 * Removing a mapping revokes its addresses, which become part of the chunk again.
 *
 * The array of mappings in the process object, sorted by address, gives the free addresses. A
 * search starts at the last free place. A failed search is not repeated until a mapping is removed,
 * so adding many mappings visits each mapping only a few times.
 */
#include "process_state.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Bytes. On a 32-bit target, with few addresses, a chunk holds just a single mapping. */
#define FIRST_CHUNK ((size_t)64 << 20)
#define MOST_CHUNK  ((size_t)1 << (sizeof(size_t) > 4 ? 36 : 0))

/* Returns the first address from `at` on, congruent to `offset` modulo `align`. */
static char *congruent(char *at, uint64_t offset, size_t align)
{
    return at + ((size_t)(offset - (uintptr_t)at) & (align - 1));
}

/* Returns the index of the first mapping ending above `address`. */
static size_t place_of(const struct ext2dax_process *process, const char *address)
{
    size_t low = 0, high = process->mapping_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (process->mappings[middle]->address + process->mappings[middle]->reserved <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static char *find_from(const struct ext2dax_process *process, const struct e2dh_chunk *chunk, char *from, size_t bytes,
                       uint64_t offset, size_t align)
{
    char *end = chunk->at + chunk->bytes, *at = congruent(from, offset, align);

    for (size_t i = place_of(process, from); i < process->mapping_count && process->mappings[i]->address < end; i++) {
        const struct e2dh_mapping *mapping = process->mappings[i];

        if (at < mapping->address && (size_t)(mapping->address - at) >= bytes)
            return at;
        if (at < mapping->address + mapping->reserved)
            at = congruent(mapping->address + mapping->reserved, offset, align);
    }
    return at < end && (size_t)(end - at) >= bytes ? at : NULL;
}

char *e2dh_addresses_find(struct ext2dax_process *process, size_t bytes, uint64_t offset, size_t align,
                          struct e2dh_chunk **chunk)
{
    for (struct e2dh_chunk *c = process->chunks; c; c = c->next) {
        char *at;

        if (c->left || c->bytes < bytes || (c->refused && c->refused <= bytes))
            continue;
        at = find_from(process, c, c->hint, bytes, offset, align);
        if (!at && c->hint != c->at)
            at = find_from(process, c, c->at, bytes, offset, align);
        if (at) {
            c->hint = at + bytes;
            *chunk = c;
            return at;
        }
        c->refused = bytes;
    }
    return NULL;
}

static char *reserve(size_t bytes)
{
    char *at = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (at == MAP_FAILED)
        return NULL;
    if (madvise(at, bytes, MADV_DONTFORK) == 0)
        return at;
    munmap(at, bytes);
    return NULL;
}

bool e2dh_addresses_grow(struct ext2dax_process *process, size_t bytes, size_t align)
{
    size_t least = (bytes + align + align - 1) & ~(align - 1), all = 0, wanted;
    struct e2dh_chunk *chunk = calloc(1, sizeof(*chunk));

    if (!chunk)
        return false;
    for (const struct e2dh_chunk *c = process->chunks; c; c = c->next)
        all += c->bytes;
    /* As large as all chunks together, so the number of chunks stays small. */
    wanted = all < FIRST_CHUNK ? FIRST_CHUNK : all;
    wanted = wanted < MOST_CHUNK ? wanted : MOST_CHUNK;
    wanted = (wanted + align - 1) & ~(align - 1);
    chunk->bytes = wanted > least ? wanted : least;
    chunk->at = reserve(chunk->bytes);
    if (!chunk->at && chunk->bytes > least) {
        chunk->bytes = least;
        chunk->at = reserve(least);
    }
    if (!chunk->at) {
        int error = errno;

        free(chunk);
        errno = error;
        return false;
    }
    chunk->hint = chunk->at;
    chunk->next = process->chunks;
    process->chunks = chunk;
    return true;
}

bool e2dh_addresses_shrink(struct ext2dax_process *process, struct e2dh_chunk *chunk)
{
    struct e2dh_chunk **link = &process->chunks;

    /* munmap() fails at the kernel's VMA limit if the chunk has merged with VMAs on both sides. */
    if (chunk->mappings > 1 || munmap(chunk->at, chunk->bytes) != 0)
        return false;
    while (*link != chunk)
        link = &(*link)->next;
    *link = chunk->next;
    process->vmas -= 1 + chunk->left;
    process->own_vmas -= 1 + chunk->left;
    free(chunk);
    return true;
}

void e2dh_addresses_free(struct ext2dax_process *process)
{
    while (process->chunks) {
        struct e2dh_chunk *chunk = process->chunks;

        process->chunks = chunk->next;
        if (process->owner == getpid())
            munmap(chunk->at, chunk->bytes);
        free(chunk);
    }
}
