/* SPDX-License-Identifier: MIT */
/*
 * The fault family against itself and against what changes files, in every schedule (duet.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "duet.h"

/* ---- operations ---- */

static void read_fault(void)
{
    (void)fault_in(map, 9, false, ext2dax_fault);
}
static void other_read_fault(void)
{
    (void)fault_in(other, 9, false, ext2dax_fault);
}
static void write_fault(void)
{
    (void)fault_in(map, 9, true, ext2dax_fault);
}
static void pmd_write(void)
{
    (void)fault_in(map, 9, true, ext2dax_pmd_fault);
}
static void pmd_read(void)
{
    (void)fault_in(map, 9, false, ext2dax_pmd_fault);
}
static void pfn_mkwrite(void)
{
    (void)fault_in(map, 9, true, ext2dax_pfn_mkwrite);
}
static void store_one(void)
{
    store(map, 9 * PAGE, 1);
}
static void store_two(void)
{
    store(other, 9 * PAGE + 100, 2);
}
/* Two windows whose pointers hang in one pointer block that is not there yet. */
static void store_indirect(void)
{
    store(map, 13 * PAGE, 1);
}
static void store_next_window(void)
{
    store(other, 17 * PAGE, 2);
}
static void store_in_victim(void)
{
    unsigned char byte = 0xBB;

    (void)ext2dax_write(victim, 30 * PAGE, &byte, 1);
}
static void write_call(void)
{
    unsigned char byte = 1;

    expect(ext2dax_write(file, 9 * PAGE, &byte, 1) == 1, "a write failed");
}
static void extend_by_write(void)
{
    unsigned char byte = 3;

    expect(ext2dax_write(file, bench_size(file) + 300, &byte, 1) == 1, "a write failed");
}
/* Into the last page, past the end; once the file has grown over it, such a store is a good one. */
static bool strayed CHANGES;
static void stray_store(void)
{
    unsigned char bytes[800];

    memset(bytes, 0xEE, sizeof bytes);
    (void)ext2dax_model_write(map, 20 * PAGE + 100, bytes, sizeof bytes, false, false);
    strayed = bench_size(file) == 20 * PAGE + 100;
}
static void truncate_down(void)
{
    expect(ext2dax_truncate(file, 9 * PAGE) == 0, "a truncate failed");
}
static void truncate_pinned(void)
{
    int rc = ext2dax_truncate(file, 9 * PAGE);

    expect(rc == 0 || rc == -EXT2DAX_EBUSY, "a truncate failed");
}

static void reuse(void)
{
    unsigned char bytes[WINDOW];

    memset(bytes, 0xBB, sizeof bytes);
    (void)ext2dax_write(victim, 0, bytes, sizeof bytes);
    (void)ext2dax_write(victim, WINDOW, bytes, sizeof bytes);
}
static void truncate_and_reuse(void)
{
    expect(ext2dax_truncate(file, 0) == 0, "a truncate failed");
    reuse();
}
static void punch_and_reuse(void)
{
    expect(ext2dax_punch(file, 8 * PAGE, WINDOW) == 0, "a punch failed");
    reuse();
}
/* The other file's blocks must not show through the mapping, not even for a moment. */
static void reuse_and_look(void)
{
    struct ext2dax_model_entry entry;

    reuse();
    for (uint64_t page = 0; page < 40; page++) {
        entry = ext2dax_model_entry(map, page);
        if (entry.kind == EXT2DAX_MODEL_DATA &&
            *((const unsigned char *)bench.memory.base + entry.memory_offset) == 0xBB)
            complain("another file's block is mapped");
    }
}
static void fsync_file(void)
{
    expect(ext2dax_fsync(file) == 0, "fsync failed");
}
static void pin_and_look(void)
{
    struct ext2dax_pin pin;
    void *at;
    size_t length;

    if (ext2dax_pin(file, 9 * PAGE, PAGE, false, &pin) != 0)
        return;
    expect(ext2dax_truncate(file, 0) == -EXT2DAX_EBUSY, "a truncate took pinned blocks");
    expect(ext2dax_pin_pointer(&pin, 9 * PAGE, &at, &length) == 0 && *(unsigned char *)at == 7,
           "a pinned block is not the file's");
    ext2dax_unpin(&pin);
}
static void freeze_and_thaw(void)
{
    expect(ext2dax_freeze(bench.mount) == 0, "freeze failed");
    for (uint64_t page = 0; page < 40; page++)
        expect(!ext2dax_model_entry(map, page).writable && !ext2dax_model_entry(other, page).writable,
               "a page is writable while frozen");
    expect(ext2dax_thaw(bench.mount) == 0, "thaw failed");
}

/* ---- scenarios ---- */

static void start_mapped(void)
{
    fill(0, 20);
}
static void start_region(void)
{
    ck_assert_int_eq(ext2dax_allocate(file, 0, 20 * PAGE, false), 0);
    fill(0, 20);
}
static void start_read_only(void)
{
    fill(0, 20);
    read_fault();
}
static void start_hole(void)
{
    ck_assert_int_eq(ext2dax_truncate(file, 40 * PAGE), 0);
}
static void start_entered(void)
{
    fill(0, 20);
    for (uint64_t page = 0; page < 20; page++)
        store(map, page * PAGE + 5, 7);
}
static void start_tail(void)
{
    fill(0, 20);
    ck_assert_int_eq(ext2dax_truncate(file, 20 * PAGE + 100), 0);
    store(map, 20 * PAGE, 7);
}

static void both_stores_kept(void)
{
    unsigned char bytes[101];

    expect(ext2dax_read(file, 9 * PAGE, bytes, sizeof bytes) == sizeof bytes && bytes[0] == 1 && bytes[100] == 2,
           "a store was lost");
}
static void windows_kept(void)
{
    unsigned char first = 0, second = 0;

    expect(ext2dax_read(file, 13 * PAGE, &first, 1) == 1 && first == 1, "a store was lost");
    expect(ext2dax_read(file, 17 * PAGE, &second, 1) == 1 && second == 2, "a store was lost");
}
static void one_store_kept(void)
{
    unsigned char byte = 0;

    expect(ext2dax_read(file, 9 * PAGE, &byte, 1) == 1 && byte == 1, "a store was lost");
}
static void tail_is_zero(void)
{
    unsigned char bytes[400];
    int64_t got = ext2dax_read(file, 20 * PAGE + 100, bytes, sizeof bytes);

    for (int64_t i = 0; strayed && i < got - 1; i++)
        expect(bytes[i] == 0, "a store past the end shows");
}
/* A page that may be stored to without a fault is in a window that the next fsync visits. */
static void writable_is_dirty(void)
{
    bool before = ext2dax_model_entry(map, 9).writable;

    expect(ext2dax_fsync(file) == 0, "fsync failed");
    expect(!before || !ext2dax_model_entry(map, 9).writable, "fsync passed a writable page over");
}

static const struct scenario scenarios[] = {
    {"read fault / truncate and reuse", start_mapped, read_fault, truncate_and_reuse, NULL},
    {"write fault / truncate and reuse", start_mapped, write_fault, truncate_and_reuse, NULL},
    {"write fault in a hole / truncate and reuse", start_hole, write_fault, truncate_and_reuse, NULL},
    {"PMD write in a hole / truncate and reuse", start_hole, pmd_write, truncate_and_reuse, NULL},
    {"PMD read / truncate and reuse", start_region, pmd_read, truncate_and_reuse, NULL},
    {"PMD write / punch and reuse", start_region, pmd_write, punch_and_reuse, NULL},
    {"pfn_mkwrite / truncate and reuse", start_read_only, pfn_mkwrite, truncate_and_reuse, NULL},
    {"read fault / punch and reuse", start_mapped, read_fault, punch_and_reuse, NULL},
    {"store in a hole / read fault on it", start_hole, store_one, other_read_fault, one_store_kept},
    {"read fault on a hole / store in it", start_hole, other_read_fault, store_one, one_store_kept},
    {"store in a hole / store in the same page", start_hole, store_one, store_two, both_stores_kept},
    {"store in a hole / store in the next window", start_hole, store_indirect, store_next_window, windows_kept},
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
    {"pin / truncate", start_mapped, pin_and_look, truncate_pinned, NULL},
    {"truncate / pin", start_mapped, truncate_pinned, pin_and_look, NULL},
    {"freeze / store", start_entered, freeze_and_thaw, store_one, one_store_kept},
    {"store / freeze", start_mapped, store_one, freeze_and_thaw, one_store_kept},
};

int main(void)
{
    return duets_run("isolation", scenarios, (int)(sizeof scenarios / sizeof scenarios[0]));
}
