/* SPDX-License-Identifier: MIT */
/* Frames for page tables and private copies, taken from a pool and a list of freed frames. */
#include "kernel.h"

#define FRAMES 512u

uint8_t zero_page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

static uint8_t pool[FRAMES][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static unsigned used;
static void *given_back; /* freed frames, each begins with the address of the next */
static struct ext2dax_lock lock;

void *frame_alloc(void)
{
    void *frame;

    plug_locks.ops->write_lock(plug_locks.ctx, &lock);
    frame = given_back;
    if (frame)
        given_back = *(void **)frame;
    else if (used < FRAMES)
        frame = at_physical(physical_of(pool[used++]));
    plug_locks.ops->write_unlock(plug_locks.ctx, &lock);
    return frame ? memset(frame, 0, PAGE_SIZE) : NULL;
}

void frame_free(void *frame)
{
    plug_locks.ops->write_lock(plug_locks.ctx, &lock);
    *(void **)frame = given_back;
    given_back = frame;
    plug_locks.ops->write_unlock(plug_locks.ctx, &lock);
}
