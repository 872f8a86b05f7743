/* SPDX-License-Identifier: MIT */
/* Anonymous memory as an image. Nothing of it outlives the process, so there is nothing to write back or to order. */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "ext2dax/error.h"
#include "ext2dax/hosted/memory.h"

#include "memory_reserve.h"
#include "writeback.h"

/* One alignment more than wanted holds an aligned range for certain; what lies around it goes back. */
int e2d_reserve(size_t size, size_t align, void **base)
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

/* A multiple of every page size, so that the rest of the last page is given back too. */
static size_t mapped_size(size_t size)
{
    return (size + E2D_HUGE - 1) & ~(E2D_HUGE - 1);
}

static int zero(void *ctx, void *at, size_t length)
{
    (void)ctx;
    e2d_zero_volatile(at, length);
    return 0;
}

int ext2dax_heap_open(size_t size, struct ext2dax_memory *memory)
{
    static const struct ext2dax_memory_ops ops = {.size = sizeof(ops), .zero = zero};
    void *base;
    int r;

    *memory = (struct ext2dax_memory){0};
    if (size == 0)
        return -EXT2DAX_EINVAL;
    if (size > SIZE_MAX - E2D_HUGE)
        return -EXT2DAX_ENOMEM;
    r = e2d_reserve(mapped_size(size), E2D_HUGE, &base);
    if (r != 0)
        return r;
    if (mmap(base, mapped_size(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
        MAP_FAILED) {
        r = -errno;
        munmap(base, mapped_size(size));
        return r;
    }
    /* A hint: without huge pages it is only slower. */
    madvise(base, mapped_size(size), MADV_HUGEPAGE);
    *memory = (struct ext2dax_memory){.ops = &ops, .base = base, .size = size};
    return 0;
}

void ext2dax_heap_close(struct ext2dax_memory *memory)
{
    if (memory->base)
        munmap(memory->base, mapped_size(memory->size));
    *memory = (struct ext2dax_memory){0};
}
