/* SPDX-License-Identifier: MIT */
/*
 * Calls against each other, and against faults where calls extend, free, freeze or name a file
 * (pair.h).
 */
#include <string.h>

#include "operations.h"

/* ---- operations ---- */

static struct ext2dax_pin pin CHANGES;
static uint32_t number CHANGES; /* of a file being created or deleted */
static struct ext2dax_inode *sharer CHANGES;

static void look_for_number(void)
{
    struct ext2dax_inode *found;
    int rc = ext2dax_inode_get(fixture.mount, number, &found);

    expect(rc == 0 || rc == -EXT2DAX_ENOENT, "a number that comes or goes is neither a file nor none");
    if (rc != 0)
        return;
    expect(core_fixture_size(found) == 0 || core_fixture_size(found) == PAGE, "an inode is half made");
    ext2dax_inode_put(found);
}
static void freeze_and_thaw(void)
{
    int rc = ext2dax_freeze(fixture.mount);

    expect(rc == 0 || rc == -EXT2DAX_EBUSY, "freeze failed");
    if (rc != 0)
        return;
    expect(ext2dax_unmount(fixture.mount) == -EXT2DAX_EBUSY, "a frozen filesystem was unmounted");
    expect(ext2dax_thaw(fixture.mount) == 0, "thaw failed");
}
static void remount_and_back(void)
{
    int rc = ext2dax_remount(fixture.mount, EXT2DAX_MOUNT_READ_ONLY);

    expect(rc == 0 || rc == -EXT2DAX_EBUSY, "remount failed");
    for (uint64_t page = 0; rc == 0 && page < 40; page++)
        expect(!ext2dax_model_entry(map, page).writable, "a page is writable while read-only");
    expect(ext2dax_remount(fixture.mount, 0) == 0, "remount failed");
}
static void sync_all(void)
{
    expect(ext2dax_sync(fixture.mount) == 0, "sync failed");
}
static void unlink_sharer(void)
{
    core_fixture_unlink(&fixture, "sharer");
    ext2dax_inode_put(sharer);
}
/* Two threads hold the file. This thread removes the name, the other still stores to the file. */
static void unlink_file(void)
{
    core_fixture_unlink(&fixture, "file");
    ext2dax_inode_put(file);
}
static void store_and_leave(void)
{
    store(map, 9 * PAGE, 1);
    store(other, 30 * PAGE, 1);
    ext2dax_model_unmap(map);
    ext2dax_model_unmap(other);
    ext2dax_inode_put(file);
}
static void create_new(void)
{
    unsigned char bytes[PAGE];
    struct ext2dax_inode *new = core_fixture_create(&fixture, "new");

    memset(bytes, OTHER, sizeof bytes);
    expect(ext2dax_write(new, 0, bytes, sizeof bytes) == sizeof bytes, "a write failed");
    ext2dax_inode_put(new);
}
static void allocate_pmd_range(void)
{
    expect(ext2dax_allocate(file, 8 * PAGE, PMD_RANGE, false) == 0, "an allocation failed");
}
static void pmd_store_one(void)
{
    unsigned char byte = 1;

    expect(ext2dax_model_write(map, 9 * PAGE, &byte, 1, true, true) == EXT2DAX_FAULT_NOPAGE, "a store failed");
}
static void pmd_store_two(void)
{
    unsigned char byte = 2;

    expect(ext2dax_model_write(other, 9 * PAGE + 100, &byte, 1, true, true) == EXT2DAX_FAULT_NOPAGE, "a store failed");
}
static void write_two(void)
{
    unsigned char byte = 2;

    expect(ext2dax_write(file, 9 * PAGE + 100, &byte, 1) == 1, "a write failed");
}
static void pin_and_unpin(void)
{
    struct ext2dax_pin own;
    size_t length;
    void *at;

    expect(ext2dax_pin(file, 9 * PAGE, PAGE, true, &own) == 0, "a pin failed");
    expect(ext2dax_pin_pointer(&own, 9 * PAGE, &at, &length) == 0, "a pin has no pointer");
    *(unsigned char *)at = 1;
    ext2dax_unpin(&own);
}
/* Writes two pages past the end, with a single byte in the second. */
static void append(void)
{
    unsigned char bytes[PAGE + 1];

    memset(bytes, 7, sizeof bytes);
    expect(ext2dax_write(file, 20 * PAGE, bytes, sizeof bytes) == sizeof bytes, "a write failed");
}
static void grow_size(void)
{
    expect(ext2dax_truncate(file, 30 * PAGE) == 0, "a truncate failed");
}
static enum ext2dax_fault_result behind CHANGES;
static void store_behind(void)
{
    unsigned char byte = 9;

    behind = ext2dax_model_write(map, 21 * PAGE + 5, &byte, 1, false, true);
    expect(behind == EXT2DAX_FAULT_NOPAGE || behind == EXT2DAX_FAULT_SIGBUS, "a store failed");
}
/* Like stray_store(), with a single byte. */
static void stray_byte(void)
{
    unsigned char byte = 0xEE;

    (void)ext2dax_model_write(map, 20 * PAGE + 300, &byte, 1, false, false);
    strayed = core_fixture_size(file) == 20 * PAGE + 100;
}

/* ---- before and after ---- */

static void start_unlinked(void)
{
    unsigned char byte = 1;

    number = victim->number;
    ck_assert_int_eq(ext2dax_write(victim, 30 * PAGE, &byte, 1), 1);
    core_fixture_unlink(&fixture, "victim");
}
static void start_unlinked_pinned(void)
{
    start_unlinked();
    fill(0, 8);
    ck_assert_int_eq(ext2dax_pin(file, 0, PAGE, true, &pin), 0);
}
static void start_held_twice(void)
{
    start_hole();
    ext2dax_inode_hold(file);
}
static void start_attributes_shared(void)
{
    sharer = core_fixture_create(&fixture, "sharer");
    share_attributes(victim, sharer);
}
static void start_number(void)
{
    number = victim->number + 1;
}

static void behind_kept(void)
{
    unsigned char byte = 0;

    expect(ext2dax_read(file, 21 * PAGE + 5, &byte, 1) == (core_fixture_size(file) > 21 * PAGE + 5) &&
               (behind != EXT2DAX_FAULT_NOPAGE || core_fixture_size(file) <= 21 * PAGE + 5 || byte == 9),
           "a store was lost");
}
static void stray_is_gone(void)
{
    unsigned char byte = 0;

    expect(ext2dax_read(file, 20 * PAGE + 300, &byte, 1) == 1 && (!strayed || byte == 0), "a store past the end shows");
}
/*
 * Checks for no page left writable by fsync. The invariants at the end compare the mappings with
 * the block tree.
 */
static void fsynced(void)
{
    expect(ext2dax_fsync(file) == 0, "fsync failed");
    for (uint64_t page = 0; page < 40; page++)
        expect(!ext2dax_model_entry(map, page).writable, "fsync passed a writable page over");
}

static const struct scenario scenarios[] = {
    {"a freeze that fails / last put", start_unlinked_pinned, freeze_pinned, put_victim, no_leaks},
    {"freeze / last put", start_unlinked, freeze_and_thaw, put_victim, no_leaks},
    {"last put / freeze", start_unlinked, put_victim, freeze_and_thaw, no_leaks},
    {"remount / last put", start_unlinked, remount_and_back, put_victim, no_leaks},
    {"last put / remount", start_unlinked, put_victim, remount_and_back, no_leaks},
    {"remount / store", start_entered, remount_and_back, stray_byte, NULL},
    {"last put / get", start_unlinked, put_victim, look_for_number, no_leaks},
    {"last put / create", start_unlinked, put_victim, create_new, no_leaks},
    {"create / last put", start_unlinked, create_new, put_victim, no_leaks},
    {"create / get", start_number, create_new, look_for_number, no_leaks},
    {"unlink / unlink of a file with the same attributes", start_attributes_shared, unlink_victim, unlink_sharer,
     no_leaks},
    {"create / unlink", start_mapped, create_new, unlink_victim, no_leaks},
    {"unlink / sync", start_entered, unlink_victim, sync_all, no_leaks},
    {"sync / unlink", start_entered, sync_all, unlink_victim, no_leaks},
    {"unlink / store by another holder", start_held_twice, unlink_file, store_and_leave, no_leaks},
    {"store by another holder / unlink", start_held_twice, store_and_leave, unlink_file, no_leaks},
    {"punch / fsync", start_entered, punch_pmd_range, fsync_file, fsynced},
    {"fsync / punch", start_entered, fsync_file, punch_pmd_range, fsynced},
    {"fsync / truncate", start_entered, fsync_file, truncate_to_nothing, fsynced},
    {"fsync / write", start_entered, fsync_file, write_two, fsynced},
    {"PMD store in a hole / PMD store in it", start_hole, pmd_store_one, pmd_store_two, both_stores_kept},
    {"allocate / store in the hole", start_hole, allocate_pmd_range, store_one, one_store_kept},
    {"store in a hole / allocate", start_hole, store_one, allocate_pmd_range, one_store_kept},
    {"writable pin in a hole / store in it", start_hole, pin_and_unpin, store_two, both_stores_kept},
    {"writable pin in a hole / write into it", start_hole, pin_and_unpin, write_two, both_stores_kept},
    {"writable pin / freeze", start_hole, pin_and_unpin, freeze_and_thaw, one_store_kept},
    {"append / store past the old end", start_mapped, append, store_behind, NULL},
    {"truncate up / store past the old end", start_mapped, grow_size, store_behind, behind_kept},
    {"store past the old end / truncate up", start_mapped, store_behind, grow_size, behind_kept},
    {"truncate up / store past the end", start_tail, grow_size, stray_byte, stray_is_gone},
    {"store past the end / truncate up", start_tail, stray_byte, grow_size, stray_is_gone},
};

int main(void)
{
    return pairs_run("isolation of calls", scenarios, (int)(sizeof scenarios / sizeof scenarios[0]));
}
