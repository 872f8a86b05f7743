/* SPDX-License-Identifier: MIT */
/* A set of hashes with a bound: when it is full, what is new is no longer remembered, and it says so. */
#ifndef E2D_TESTKIT_CRASH_SET_H
#define E2D_TESTKIT_CRASH_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "ext2dax/hosted/memory.h"

struct crash_set {
    uint64_t *slot; /* 0: free */
    uint64_t mask, used;
    struct ext2dax_memory memory;
};

enum crash_set_answer { CRASH_SET_NEW, CRASH_SET_THERE, CRASH_SET_FULL };

static inline bool crash_set_open(struct crash_set *set, unsigned log)
{
    /* Half of the slots stay free. Untouched ones cost nothing. */
    set->mask = ((uint64_t)2 << log) - 1;
    set->used = 0;
    if (ext2dax_heap_open(((size_t)set->mask + 1) * sizeof *set->slot, &set->memory) != 0)
        return false;
    set->slot = set->memory.base;
    return true;
}

static inline void crash_set_close(struct crash_set *set)
{
    ext2dax_heap_close(&set->memory);
    set->slot = NULL;
}

static inline enum crash_set_answer crash_set_add(struct crash_set *set, uint64_t hash)
{
    uint64_t at, key = hash != 0 ? hash : 1;

    for (at = key & set->mask; set->slot[at] != 0; at = (at + 1) & set->mask) {
        if (set->slot[at] == key)
            return CRASH_SET_THERE;
    }
    if (set->used > set->mask / 2)
        return CRASH_SET_FULL;
    set->slot[at] = key;
    set->used++;
    return CRASH_SET_NEW;
}

#endif
