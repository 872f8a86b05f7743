/* SPDX-License-Identifier: MIT */
/*
 * Fault handlers against each other and against calls modifying files, in every schedule (pair.h).
 */
#include "operations.h"

/* ---- operations ---- */

static void write_call(void)
{
    unsigned char byte = 1;

    expect(ext2dax_write(file, 9 * PAGE, &byte, 1) == 1, "a write failed");
}

static void reuse(void)
{
    write_victim(2);
}
static void truncate_and_reuse(void)
{
    truncate_to_nothing();
    reuse();
}
static void punch_and_reuse(void)
{
    punch_pmd_range();
    reuse();
}
/* The other file's blocks must never be visible through the mapping. */
static void reuse_and_look(void)
{
    reuse();
    victim_is_not_mapped();
}
static void freeze_and_thaw(void)
{
    expect(ext2dax_freeze(fixture.mount) == 0, "freeze failed");
    for (uint64_t page = 0; page < 40; page++)
        expect(!ext2dax_model_entry(map, page).writable && !ext2dax_model_entry(other, page).writable,
               "a page is writable while frozen");
    expect(ext2dax_thaw(fixture.mount) == 0, "thaw failed");
}

/* ---- scenarios ---- */

static const struct scenario scenarios[] = {
    {"read fault / truncate and reuse", start_mapped, read_fault, truncate_and_reuse, NULL},
    {"write fault / truncate and reuse", start_mapped, write_fault, truncate_and_reuse, NULL},
    {"write fault in a hole / truncate and reuse", start_hole, write_fault, truncate_and_reuse, NULL},
    {"PMD write in a hole / truncate and reuse", start_hole, pmd_write, truncate_and_reuse, NULL},
    {"PMD read / truncate and reuse", start_aligned_extent, pmd_read, truncate_and_reuse, NULL},
    {"PMD write / punch and reuse", start_aligned_extent, pmd_write, punch_and_reuse, NULL},
    {"pfn_mkwrite / truncate and reuse", start_read_only, pfn_mkwrite, truncate_and_reuse, NULL},
    {"read fault / punch and reuse", start_mapped, read_fault, punch_and_reuse, NULL},
    {"store in a hole / read fault on it", start_hole, store_one, other_read_fault, one_store_kept},
    {"read fault on a hole / store in it", start_hole, other_read_fault, store_one, one_store_kept},
    {"store in a hole / store in the same page", start_hole, store_one, store_two, both_stores_kept},
    {"store in a hole / store in the next range", start_hole, store_indirect, store_next_pmd_range, pmd_ranges_kept},
    {"store in a hole / another file's write", start_hole, store_one, store_in_victim, one_store_kept},
    {"PMD write in a hole / store in it", start_hole, pmd_write, store_one, one_store_kept},
    {"store in a hole / PMD write over it", start_hole, store_one, pmd_write, one_store_kept},
    {"write into a hole / store in the same page", start_hole, write_call, store_two, both_stores_kept},
    {"store in a hole / write into it", start_hole, store_two, write_call, both_stores_kept},
    {"truncate / read fault", start_entered, truncate_down, read_fault, NULL},
    {"truncate / another file takes the blocks", start_entered, truncate_down, reuse_and_look, NULL},
    {"extending write / store past the end", start_tail, extend_by_write, stray_store, tail_is_zero},
    {"fsync / store", start_entered, fsync_file, store_one, writable_is_dirty},
    {"store / fsync", start_mapped, store_one, fsync_file, writable_is_dirty},
    {"pin / truncate", start_mapped, pin_against_truncate, truncate_pinned, NULL},
    {"truncate / pin", start_mapped, truncate_pinned, pin_against_truncate, NULL},
    {"freeze / store", start_entered, freeze_and_thaw, store_one, one_store_kept},
    {"store / freeze", start_mapped, store_one, freeze_and_thaw, one_store_kept},
};

int main(void)
{
    return pairs_run("isolation", scenarios, (int)(sizeof scenarios / sizeof scenarios[0]));
}
