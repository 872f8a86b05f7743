/* SPDX-License-Identifier: MIT */
/* A bounded set of hashes. A full set remembers no new hash and returns CRASH_SET_FULL. */
#ifndef E2DT_TESTKIT_MEMORY_CRASH_SET_H
#define E2DT_TESTKIT_MEMORY_CRASH_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "ext2dax/hosted/memory.h"

struct crash_set {
    uint64_t *slot; /* 0 for a free slot */
    uint64_t mask, used;
    struct ext2dax_memory memory;
};

enum crash_set_result { CRASH_SET_NEW, CRASH_SET_THERE, CRASH_SET_FULL };

static inline bool crash_set_open(struct crash_set *set, unsigned log)
{
    /* Half of the slots stay free. Slots never accessed use no memory. */
    set->mask = ((uint64_t)2 << log) - 1;
    set->used = 0;
    if (ext2dax_memory_open_heap(((size_t)set->mask + 1) * sizeof *set->slot, &set->memory) != 0)
        return false;
    set->slot = set->memory.base;
    return true;
}

static inline void crash_set_close(struct crash_set *set)
{
    ext2dax_memory_close_heap(&set->memory);
    set->slot = NULL;
}

static inline enum crash_set_result crash_set_add(struct crash_set *set, uint64_t hash)
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
