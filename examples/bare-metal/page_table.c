/* SPDX-License-Identifier: MIT */
/* Hardware page tables, 4 levels of 512 entries. Both processors share the same tables. */
#include "kernel.h"

extern uint64_t boot_tables[];

static uint64_t *table_of(uint64_t entry)
{
    return at_physical(entry & ENTRY_FRAME);
}

static unsigned index_at(uintptr_t address, unsigned level)
{
    return address >> (12 + 9 * (level - 1)) & 511;
}

uint64_t *entry_at(uintptr_t address, unsigned level, bool make)
{
    uint64_t *table = boot_tables, *entry;
    void *frame;

    for (unsigned at = 4; at > level; at--) {
        entry = &table[index_at(address, at)];
        if ((*entry & ENTRY_PRESENT) == 0) {
            frame = make ? frame_alloc() : NULL;
            if (!frame)
                return NULL;
            /* Upper levels grant all permissions. The last level restricts the access. */
            *entry = physical_of(frame) | ENTRY_PRESENT | ENTRY_WRITABLE | ENTRY_USER;
        }
        if ((*entry & ENTRY_HUGE) != 0)
            return NULL;
        table = table_of(*entry);
    }
    return &table[index_at(address, level)];
}

uint64_t *entry_leaf(uintptr_t address)
{
    uint64_t *entry = entry_at(address, 2, false);

    if (entry && (*entry & ENTRY_PRESENT) != 0 && (*entry & ENTRY_HUGE) == 0)
        entry = entry_at(address, 1, false);
    return entry && (*entry & ENTRY_PRESENT) != 0 ? entry : NULL;
}
