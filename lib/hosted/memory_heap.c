/* SPDX-License-Identifier: MIT */
/*
 * Anonymous memory as an image. The image does not outlive the process, so nothing is written back
 * or ordered.
 */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ext2dax/error.h"
#include "ext2dax/hosted/memory.h"

#include "memory_owner.h"
#include "memory_reserve.h"
#include "writeback.h"

/*
 * Reserves `align` bytes more than needed, so that the range contains an aligned part, and unmaps
 * the rest.
 */
int e2dh_reserve(size_t size, size_t align, void **base)
{
    size_t whole, head;
    char *at;

    if (__builtin_add_overflow(size, align, &whole))
        return -EXT2DAX_ENOMEM;
    at = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return -EXT2DAX_ENOMEM;
    head = (size_t)(-(uintptr_t)at & (align - 1));
    if (head > 0)
        munmap(at, head);
    if (align - head > 0)
        munmap(at + head + size, align - head);
    *base = at + head;
    return 0;
}

/* Returns `size` plus a page for the claims. All holders of a copy of the plug share this page. */
static size_t with_claims(size_t size)
{
    return size + (size_t)sysconf(_SC_PAGESIZE);
}

/* fork() copies both memory and claims, so the mount of a child is separate. */
static int claim(void *ctx, enum ext2dax_claim held, enum ext2dax_claim wanted)
{
    return e2dh_change_claim(ctx, held, wanted);
}

/*
 * Rounds up to a multiple of every page size, so that closing unmaps the rest of the last page too.
 */
static size_t mapped_size(size_t size)
{
    return (size + E2DH_HUGE - 1) & ~(E2DH_HUGE - 1);
}

static int zero(void *ctx, void *at, size_t length)
{
    (void)ctx;
    e2dh_zero_volatile(at, length);
    return 0;
}

/*
 * Gives the whole pages of the range back to the kernel, and zeroes the rest of the first and last
 * page. The kernel refuses locked memory.
 */
static int discard(void *ctx, void *at, size_t length)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *first = at, *end = first + length;
    size_t head = (size_t)(-(uintptr_t)first & (page - 1)), tail = (uintptr_t)end & (page - 1);
    int saved = errno;
    bool given;

    (void)ctx;
    if (length < E2DH_DISCARD_LEAST)
        return -EXT2DAX_EOPNOTSUPP;
    given = madvise(first + head, length - head - tail, MADV_DONTNEED) == 0;
    errno = saved;
    if (!given)
        return -EXT2DAX_EOPNOTSUPP;
    e2dh_zero_volatile(first, head);
    e2dh_zero_volatile(end - tail, tail);
    return 0;
}

int ext2dax_memory_open_heap(size_t size, struct ext2dax_memory *memory)
{
    static const struct ext2dax_memory_ops ops = {
        .size = sizeof(ops), .zero = zero, .claim = claim, .discard = discard};
    void *base;
    int r;

    *memory = (struct ext2dax_memory){0};
    if (size == 0)
        return -EXT2DAX_EINVAL;
    if (size > SIZE_MAX - 2 * E2DH_HUGE)
        return -EXT2DAX_ENOMEM;
    r = e2dh_reserve(with_claims(mapped_size(size)), E2DH_HUGE, &base);
    if (r != 0)
        return r;
    if (mmap(base, with_claims(mapped_size(size)), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
             0) == MAP_FAILED) {
        r = -errno;
        munmap(base, with_claims(mapped_size(size)));
        return r;
    }
    /* A hint. Without huge pages the memory is only slower. */
    madvise(base, mapped_size(size), MADV_HUGEPAGE);
    *memory = (struct ext2dax_memory){.ops = &ops, .ctx = (char *)base + mapped_size(size), .base = base, .size = size};
    return 0;
}

void ext2dax_memory_close_heap(struct ext2dax_memory *memory)
{
    if (memory->base)
        munmap(memory->base, with_claims(mapped_size(memory->size)));
    *memory = (struct ext2dax_memory){0};
}
