/* SPDX-License-Identifier: MIT */
#include "operations.h"

#include <string.h>

bool strayed CHANGES;

/* ---- starts ---- */

void start_mapped(void)
{
    fill(0, 20);
}
void start_aligned_extent(void)
{
    ck_assert_int_eq(ext2dax_allocate(file, 0, 20 * PAGE, false), 0);
    fill(0, 20);
}
void start_read_only(void)
{
    fill(0, 20);
    (void)fault_in(map, 9, false, ext2dax_fault);
}
void start_hole(void)
{
    ck_assert_int_eq(ext2dax_truncate(file, 40 * PAGE), 0);
}
void start_entered(void)
{
    fill(0, 20);
    for (uint64_t page = 0; page < 20; page++)
        store(map, page * PAGE + 5, 8);
}
void start_tail(void)
{
    fill(0, 20);
    ck_assert_int_eq(ext2dax_truncate(file, 20 * PAGE + 100), 0);
    store(map, 20 * PAGE, OLD);
}

/* ---- faults and stores ---- */

void read_fault(void)
{
    (void)fault_in(map, 9, false, ext2dax_fault);
}
void other_read_fault(void)
{
    (void)fault_in(other, 9, false, ext2dax_fault);
}
void write_fault(void)
{
    (void)fault_in(map, 9, true, ext2dax_fault);
}
void pmd_read(void)
{
    (void)fault_in(map, 9, false, ext2dax_pmd_fault);
}
void pmd_write(void)
{
    (void)fault_in(map, 9, true, ext2dax_pmd_fault);
}
void pfn_mkwrite(void)
{
    (void)fault_in(map, 9, true, ext2dax_pfn_mkwrite);
}
void store_one(void)
{
    store(map, 9 * PAGE, 1);
}
void store_two(void)
{
    store(other, 9 * PAGE + 100, 2);
}
void store_indirect(void)
{
    store(map, 13 * PAGE, 1);
}
void store_next_pmd_range(void)
{
    store(other, 17 * PAGE, 2);
}
void stray_store(void)
{
    unsigned char bytes[800];

    memset(bytes, 0xEE, sizeof bytes);
    (void)ext2dax_model_write(map, 20 * PAGE + 100, bytes, sizeof bytes, false, false);
    strayed = core_fixture_size(file) == 20 * PAGE + 100;
}

/* ---- calls ---- */

void write_victim(unsigned ranges)
{
    unsigned char bytes[PMD_RANGE];

    memset(bytes, OTHER, sizeof bytes);
    for (unsigned i = 0; i < ranges; i++)
        (void)ext2dax_write(victim, (uint64_t)i * PMD_RANGE, bytes, sizeof bytes);
}
void store_in_victim(void)
{
    unsigned char byte = OTHER;

    (void)ext2dax_write(victim, 30 * PAGE, &byte, 1);
}
void extend_by_write(void)
{
    unsigned char byte = 3;

    expect(ext2dax_write(file, core_fixture_size(file) + 300, &byte, 1) == 1, "a write failed");
}
void truncate_to_nothing(void)
{
    expect(ext2dax_truncate(file, 0) == 0, "a truncate failed");
}
void truncate_down(void)
{
    expect(ext2dax_truncate(file, 9 * PAGE) == 0, "a truncate failed");
}
void truncate_pinned(void)
{
    int rc = ext2dax_truncate(file, 9 * PAGE);

    expect(rc == 0 || rc == -EXT2DAX_EBUSY, "a truncate failed");
}
void punch_pmd_range(void)
{
    expect(ext2dax_punch(file, 8 * PAGE, PMD_RANGE) == 0, "a punch failed");
}
void fsync_file(void)
{
    expect(ext2dax_fsync(file) == 0, "fsync failed");
}
void put_victim(void)
{
    ext2dax_inode_put(victim);
}
void unlink_victim(void)
{
    core_fixture_unlink(&fixture, "victim");
    ext2dax_inode_put(victim);
}

/* ---- pins ---- */

static int truncate_all(void)
{
    return ext2dax_truncate(file, 0);
}
void hold_pin(int (*change)(void))
{
    struct ext2dax_pin pin;
    void *at;
    size_t length;

    if (ext2dax_pin(file, 9 * PAGE, PAGE, false, &pin) != 0)
        return;
    expect(change() == -EXT2DAX_EBUSY, "pinned blocks were taken");
    expect(ext2dax_pin_pointer(&pin, 9 * PAGE, &at, &length) == 0 && *(unsigned char *)at == OLD,
           "a pinned block is not the file's");
    ext2dax_unpin(&pin);
}
void pin_against_truncate(void)
{
    hold_pin(truncate_all);
}
void freeze_pinned(void)
{
    int rc = ext2dax_freeze(fixture.mount);

    expect(rc == -EXT2DAX_EBUSY, "a writable pin did not stop a freeze");
    if (rc == 0)
        (void)ext2dax_thaw(fixture.mount);
}

/* ---- checks ---- */

void victim_is_not_mapped(void)
{
    const unsigned char *memory = fixture.memory.base;

    for (uint64_t page = 0; page < 40; page++) {
        struct ext2dax_model_entry entry = ext2dax_model_entry(map, page);

        if (entry.kind == EXT2DAX_MODEL_DATA && memory[entry.memory_offset] == OTHER)
            complain("another file's block is mapped");
    }
}
void byte_is(struct ext2dax_inode *inode, uint64_t at, unsigned char wanted, const char *what)
{
    unsigned char byte = 0;

    expect(ext2dax_read(inode, at, &byte, 1) == 1 && byte == wanted, what);
}
void one_store_kept(void)
{
    byte_is(file, 9 * PAGE, 1, "a store was lost");
}
void both_stores_kept(void)
{
    one_store_kept();
    byte_is(file, 9 * PAGE + 100, 2, "a store was lost");
}
void pmd_ranges_kept(void)
{
    byte_is(file, 13 * PAGE, 1, "a store was lost");
    byte_is(file, 17 * PAGE, 2, "a store was lost");
}
void tail_is_zero(void)
{
    unsigned char bytes[400];
    int64_t got = ext2dax_read(file, 20 * PAGE + 100, bytes, sizeof bytes);

    for (int64_t i = 0; strayed && i < got - 1; i++)
        expect(bytes[i] == 0, "a store past the end shows");
}
void writable_is_dirty(void)
{
    bool before = ext2dax_model_entry(map, 9).writable;

    fsync_file();
    expect(!before || !ext2dax_model_entry(map, 9).writable, "fsync passed a writable page over");
}
