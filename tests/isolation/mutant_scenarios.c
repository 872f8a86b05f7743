/* SPDX-License-Identifier: MIT */
/*
 * The scenarios of the mutants. A scenario itself checks only facts invisible in the image and the
 * mappings, such as lost bytes, another file's bytes, durability, and results of calls.
 */
#include "mutant_scenarios.h"

#include <stdio.h>
#include <string.h>

#include "ext2dax/ondisk.h"

#include "base/endian.h"
#include "base/internal.h"
#include "operations.h"

static struct ext2dax_model_map *private_map CHANGES;
static struct ext2dax_pin pins[2] CHANGES;
static const unsigned char *pinned_bytes CHANGES;
static struct ext2dax_lock address_space CHANGES;
static uint32_t number CHANGES;
static struct ext2dax_inode *sharer CHANGES;
static struct ext2dax_map_hint hint CHANGES;

/* ---- the fixture ---- */

/*
 * Lets the other file allocate every free block. Later the other file can allocate only blocks
 * freed by `file`, and uses all such blocks for data.
 */
static void fill_up_victim(void)
{
    unsigned char bytes[PAGE];

    memset(bytes, OTHER, sizeof bytes);
    while (ext2dax_write(victim, core_fixture_size(victim), bytes, sizeof bytes) == sizeof bytes)
        ;
}
static void start_victim(void)
{
    unsigned char byte = OTHER;

    fill(0, 20);
    ck_assert_int_eq((int)ext2dax_write(victim, 0, &byte, 1), 1);
}
static void start_zero_page(void)
{
    start_hole();
    (void)fault_in(map, 9, false, ext2dax_fault);
}
/* A hole precedes the first pointer block, so a search for data starts with the pointer block. */
static void start_entered_and_full(void)
{
    start_entered();
    ck_assert_int_eq(ext2dax_punch(file, 11 * PAGE, PAGE), 0);
    fill_up_victim();
}
static void start_private(void)
{
    fill(0, 20);
    private_map = ext2dax_model_map(fixture.model, file, 0, 40, false, true);
}
static void start_copied(void)
{
    start_private();
    store(private_map, 9 * PAGE, 1);
}
static void start_full(void)
{
    unsigned char byte = OLD;

    start_hole();
    ck_assert_int_eq(ext2dax_write(file, 30 * PAGE, &byte, 1), 1);
    fill_up_victim();
}
static void start_unlinked(void)
{
    unsigned char byte = OTHER;

    start_hole();
    number = victim->number;
    ck_assert_int_eq(ext2dax_write(victim, 30 * PAGE, &byte, 1), 1);
    core_fixture_unlink(&fixture, "victim");
}
/* The other file and a third file, both already unlinked, share an attribute block. */
static void start_attributes_shared(void)
{
    sharer = core_fixture_create(&fixture, "sharer");
    share_attributes(victim, sharer);
    core_fixture_unlink(&fixture, "victim");
    core_fixture_unlink(&fixture, "sharer");
}
/*
 * A block of another file's bytes, exactly at the end of the file. A hole precedes the block, under
 * the same pointer block.
 */
static void start_block_at_the_end(void)
{
    unsigned char bytes[PAGE];

    memset(bytes, OTHER, sizeof bytes);
    ck_assert_int_eq(ext2dax_write(file, 16 * PAGE, bytes, sizeof bytes), sizeof bytes);
    file->disk->size = e2d_le32(16 * PAGE);
    e2d_set64(&file->size, 16 * PAGE);
    file->settled = 0;
}
/* A hole between pages 9 and 11, so that each is zeroed in a step of its own. Page 9 is mapped. */
static void start_hole_between(void)
{
    fill(0, 12);
    ck_assert_int_eq(ext2dax_punch(file, 10 * PAGE, PAGE), 0);
    (void)fault_in(map, 9, false, ext2dax_fault);
}
static void start_writable_pin(void)
{
    fill(0, 20);
    ck_assert_int_eq(ext2dax_pin(file, 0, PAGE, true, &pins[0]), 0);
}
/* Each byte of page 9 differs from its predecessor. The page is reached by a direct pointer. */
static void start_read_only_pin(void)
{
    unsigned char bytes[PAGE];
    size_t length;
    void *at;

    fill(0, 20);
    for (unsigned i = 0; i < PAGE; i++)
        bytes[i] = (unsigned char)(i % 251);
    ck_assert_int_eq(ext2dax_write(file, 9 * PAGE, bytes, PAGE), PAGE);
    ck_assert_int_eq(ext2dax_pin(file, 9 * PAGE, PAGE, false, &pins[0]), 0);
    ck_assert_int_eq(ext2dax_pin_pointer(&pins[0], 9 * PAGE, &at, &length), 0);
    pinned_bytes = at;
}
/* A hint with page 13. */
static void start_hinted(void)
{
    fill(0, 20);
    memset(&hint, 0, sizeof hint);
    ck_assert(ext2dax_map_block(file, 13, &hint) > 0);
    ck_assert(hint.inode == file && hint.run.length > 0);
}
static void start_not_in_core(void)
{
    struct ext2dax_inode *third = core_fixture_create(&fixture, "third");

    number = third->number;
    ext2dax_inode_put(third);
}
static void start_names(void)
{
    ext2dax_inode_put(core_fixture_create(&fixture, "a"));
    ext2dax_inode_put(core_fixture_create(&fixture, "b"));
}
static void start_address_space(void)
{
    struct ext2dax_locks locks = fixture.locks;

    fill(0, 20);
    ck_assert_int_eq(locks.ops->init(locks.ctx, &address_space, EXT2DAX_LOCK_ADDRESS_SPACE, 0), 0);
}
/*
 * The clock of a host with the time in a mapped file. Reading the clock may fault, which is
 * legitimate while no lock below freeze is held.
 */
static void load_the_time(void)
{
    unsigned char byte;

    (void)ext2dax_model_read(other, 3 * PAGE, &byte, 1, false, true);
}
static void start_clock(void)
{
    fill(0, 20);
    fixture.clock = load_the_time;
}

/* ---- faults ---- */

static void mkwrite(void)
{
    (void)fault_in(map, 9, true, ext2dax_mkwrite);
}
static void private_read_fault(void)
{
    (void)fault_in(private_map, 9, false, ext2dax_fault);
}
static void private_store(void)
{
    store(private_map, 9 * PAGE, 1);
}
static void store_without_space(void)
{
    unsigned char byte = 1;

    expect(ext2dax_model_write(map, 9 * PAGE, &byte, 1, false, true) == EXT2DAX_FAULT_SIGBUS,
           "a store into a hole of a full filesystem went through");
}
static void store_without_memory(void)
{
    unsigned char byte = 1;

    fixture.allocs_left = 0;
    expect(ext2dax_model_write(map, 9 * PAGE, &byte, 1, false, true) == EXT2DAX_FAULT_NOPAGE &&
               fixture.allocs_left == 0,
           "a store into a hole asked the host for memory");
    fixture.allocs_left = -1;
}
/* Faults like an embedder, under a lock of the embedder, dropped while waiting for thaw. */
static void store_under_the_embedders_lock(void)
{
    struct ext2dax_locks locks = fixture.locks;
    unsigned char byte = 1;
    enum ext2dax_fault_result result;

    do {
        locks.ops->read_lock(locks.ctx, &address_space);
        result = ext2dax_model_write(map, 9 * PAGE, &byte, 1, false, false);
        locks.ops->read_unlock(locks.ctx, &address_space);
        if (result == EXT2DAX_FAULT_RETRY)
            ext2dax_wait_thaw(fixture.mount);
    } while (result == EXT2DAX_FAULT_RETRY);
}
static void look_into_the_page(void)
{
    unsigned char bytes[PAGE];

    expect(ext2dax_model_read(other, 9 * PAGE, bytes, sizeof bytes, false, true) == EXT2DAX_FAULT_NOPAGE,
           "a load failed");
    for (unsigned i = 0; i < sizeof bytes; i++)
        expect(bytes[i] <= 1, "bytes that the file never had");
}
/*
 * The block pointer is invalid only during the fault, and the error bit is cleared afterwards. The
 * invariants check the mapping.
 */
static void fault_of_a_wild_pointer(void)
{
    struct ext2dax_disk_super *super = (void *)((unsigned char *)fixture.memory.base + EXT2DAX_SUPER_OFFSET);
    struct ext2dax_le32 was = file->disk->block[9];

    file->disk->block[9] = e2d_le32(2);
    expect(fault_in(map, 9, true, ext2dax_fault) == EXT2DAX_FAULT_SIGBUS, "metadata was mapped");
    file->disk->block[9] = was;
    super->state = e2d_le16(e2d_get16(super->state) & ~EXT2DAX_STATE_ERROR);
}

/*
 * Makes a group not yet checked claim a free block or inode more than its bitmap has. A call
 * freeing into the group must fail with EUCLEAN and change nothing. Afterwards the group is
 * restored.
 */
static void in_a_bad_group(bool inodes, void (*refused)(void))
{
    struct ext2dax_disk_super *super = (void *)((unsigned char *)fixture.memory.base + EXT2DAX_SUPER_OFFSET);
    struct ext2dax_disk_group *descriptor = (void *)((unsigned char *)fixture.memory.base + 2 * PAGE);
    struct ext2dax_le16 *count = inodes ? &descriptor->free_inodes : &descriptor->free_blocks;
    struct e2d_group *group = &fixture.mount->group[0];

    *count = e2d_le16(e2d_get16(*count) + 1u);
    group->checked = group->inodes_checked = false;
    refused();
    *count = e2d_le16(e2d_get16(*count) - 1u);
    group->bad = group->inodes_bad = false;
    super->state = e2d_le16(e2d_get16(super->state) & ~EXT2DAX_STATE_ERROR);
}
static void truncate_refused(void)
{
    expect(ext2dax_truncate(file, 0) == -EXT2DAX_EUCLEAN, "a truncate frees blocks of a bad group");
    expect(core_fixture_size(file) == 20 * PAGE, "a truncate that is refused changes the size");
}
static void unlink_refused(void)
{
    expect(ext2dax_unlink(fixture.root, "victim", 6) == -EXT2DAX_EUCLEAN, "a file of a bad group loses its name");
}
static void truncate_in_a_bad_group(void)
{
    in_a_bad_group(false, truncate_refused);
}
static void unlink_in_a_bad_group(void)
{
    in_a_bad_group(false, unlink_refused);
}
static void unlink_in_a_bad_group_of_inodes(void)
{
    in_a_bad_group(true, unlink_refused);
}

/* ---- calls ---- */

static void reuse(void)
{
    write_victim(40 * PAGE / PMD_RANGE);
}
static void truncate_and_reuse(void)
{
    truncate_to_nothing();
    reuse();
}
static void truncate_and_reuse_all(void)
{
    truncate_to_nothing();
    fill_up_victim();
}
static void truncate_at_the_pmd_range(void)
{
    expect(ext2dax_truncate(file, 8 * PAGE) == 0, "a truncate failed");
}
static void punch_and_reuse(void)
{
    punch_pmd_range();
    reuse();
}
static void truncate_up(void)
{
    expect(ext2dax_truncate(file, 18 * PAGE) == 0, "a truncate failed");
}
static void truncate_in_a_page(void)
{
    expect(ext2dax_truncate(file, 9 * PAGE + 100) == 0, "a truncate failed");
}
/* The other file's blocks must never be visible through the mapping. */
static void reuse_and_look(void)
{
    reuse();
    victim_is_not_mapped();
}
/*
 * Writes a single byte from a larger buffer. A mutant of write may copy more than the single byte
 * if a truncate intervenes, and must not read past the buffer.
 */
static void write_one(void)
{
    static const unsigned char bytes[PMD_RANGE] = {1};

    expect(ext2dax_write(file, 9 * PAGE, bytes, 1) == 1, "a write failed");
}
static void set_owner(uint32_t owner)
{
    struct ext2dax_attributes wanted = {
        .size = sizeof wanted, .set = EXT2DAX_SET_UID | EXT2DAX_SET_GID, .uid = owner, .gid = owner};

    expect(ext2dax_setattr(file, &wanted) == 0, "a setattr failed");
}
static void set_owner_one(void)
{
    set_owner(0x10001);
}
static void set_owner_two(void)
{
    set_owner(0x20002);
}
static void write_from_itself(void)
{
    expect(ext2dax_write(file, 9 * PAGE + 64, pinned_bytes, 512) == 512, "a write failed");
}
static void read_page(void)
{
    unsigned char bytes[PAGE];
    int64_t got = ext2dax_read(file, 9 * PAGE, bytes, sizeof bytes);

    for (int64_t i = 0; i < got; i++)
        expect(bytes[i] == OLD, "another file's bytes were read");
}
static void zero_pages(void)
{
    expect(ext2dax_zero_range(file, 9 * PAGE, 3 * PAGE) == 0, "a zero_range failed");
}
/*
 * Page 9 is mapped and may be zeroed while the call runs. The fault on page 11 waits for the end of
 * the call then.
 */
static void look_at_both_ends(void)
{
    unsigned char first, last;

    expect(ext2dax_model_read(map, 9 * PAGE, &first, 1, false, true) == EXT2DAX_FAULT_NOPAGE, "a load failed");
    expect(ext2dax_model_read(other, 11 * PAGE, &last, 1, false, true) == EXT2DAX_FAULT_NOPAGE, "a load failed");
    expect(first == OLD || last == 0, "a fault sees half of what is zeroed");
}
static void fsync_and_look(void)
{
    const unsigned char *memory = fixture.memory.base;

    fsync_file();
    for (uint64_t page = 0; page < 40; page++) {
        uint32_t block = ext2dax_check_block(memory, fixture.memory.size, file->number, page);

        if (block != 0 && memcmp(memory + block * PAGE, fixture.durable + block * PAGE, PAGE) != 0)
            complain("what was stored before fsync is not durable after it");
    }
}

/* ---- pins ---- */

static void pin_nine(void)
{
    expect(ext2dax_pin(file, 9 * PAGE, PAGE, false, &pins[0]) == 0, "a pin failed");
}
static void pin_three(void)
{
    expect(ext2dax_pin(file, 3 * PAGE, PAGE, false, &pins[1]) == 0, "a pin failed");
}
static int punch_it(void)
{
    return ext2dax_punch(file, 8 * PAGE, PMD_RANGE);
}
static void pin_against_punch(void)
{
    hold_pin(punch_it);
}
static void punch_pinned(void)
{
    int rc = punch_it();

    expect(rc == 0 || rc == -EXT2DAX_EBUSY, "a punch failed");
}

/* ---- freeze ---- */

static uint64_t image_now(void)
{
    const uint64_t *words = fixture.memory.base;
    uint64_t hash = 0;

    for (size_t i = 0; i < fixture.memory.size / 8; i++)
        hash = (hash ^ words[i]) * 0x100000001B3u;
    return hash;
}
/* The image must not change while frozen, and no page may be writable. */
static void freeze_and_look(void)
{
    uint64_t before;
    int rc = ext2dax_freeze(fixture.mount);

    expect(rc == 0, "freeze failed");
    before = image_now();
    linger();
    expect(image_now() == before, "the image has changed while frozen");
    for (uint64_t page = 0; page < 40; page++)
        expect(!ext2dax_model_entry(map, page).writable, "a page is writable while frozen");
    expect(ext2dax_thaw(fixture.mount) == 0, "thaw failed");
}
/* The thawing thread first takes the embedder's lock. */
static void thaw_under_the_embedders_lock(void)
{
    struct ext2dax_locks locks = fixture.locks;

    expect(ext2dax_freeze(fixture.mount) == 0, "freeze failed");
    linger();
    locks.ops->write_lock(locks.ctx, &address_space);
    locks.ops->write_unlock(locks.ctx, &address_space);
    expect(ext2dax_thaw(fixture.mount) == 0, "thaw failed");
}

/* ---- names and numbers ---- */

static void put_sharer(void)
{
    ext2dax_inode_put(sharer);
}
static void create_new(void)
{
    ext2dax_inode_put(core_fixture_create(&fixture, "new"));
}
static void look_up_victim(void)
{
    struct ext2dax_inode *found;
    int rc = ext2dax_lookup(fixture.root, "victim", 6, &found);

    expect(rc == 0 || rc == -EXT2DAX_ENOENT, "a lookup found neither the file nor nothing");
    if (rc == 0)
        ext2dax_inode_put(found);
}
static void look_for_the_nameless(void)
{
    struct ext2dax_inode *found;
    int rc = ext2dax_inode_get(fixture.mount, number, &found);

    expect(rc == -EXT2DAX_ENOENT, "a file without a name was found");
    if (rc == 0)
        ext2dax_inode_put(found);
}
static const char long_name[] = "one-name-that-is-as-long-as-several-others-of-them-together";
static int is_known(void *arg, const struct ext2dax_entry *entry)
{
    static const char *const known[] = {".", "..", "lost+found", "file", "victim", "a", "b", long_name};

    (void)arg;
    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (entry->name_length == strlen(known[i]) && memcmp(entry->name, known[i], entry->name_length) == 0)
            return 0;
    }
    complain("a name that no file ever had was listed");
    return 0;
}
/* Looks up page 13, which another call removes. Found removed once, the page stays removed. */
static void map_by_hint(void)
{
    struct ext2dax_run run;
    int64_t block;

    expect(ext2dax_map(file, 13, 1, &run) == 0, "a lookup failed");
    block = ext2dax_map_block(file, 13, &hint);
    expect(block == 0 || block == (int64_t)run.physical, "a hint named a block that the file has lost");
}
/* Removes page 13 and extends the file again over a hole. */
static void truncate_down_and_up(void)
{
    expect(ext2dax_truncate(file, 4 * PAGE) == 0 && ext2dax_truncate(file, 20 * PAGE) == 0, "a truncate failed");
}
static void list_names(void)
{
    expect(ext2dax_readdir(fixture.root, 0, is_known, NULL) == 0, "a listing failed");
}
static void replace_names(void)
{
    core_fixture_unlink(&fixture, "b");
    core_fixture_unlink(&fixture, "a");
    ext2dax_inode_put(core_fixture_create(&fixture, long_name));
}
static void get_and_write(uint64_t first, unsigned pages, unsigned char byte)
{
    unsigned char bytes[2 * PAGE];
    struct ext2dax_inode *got;

    memset(bytes, byte, sizeof bytes);
    if (ext2dax_inode_get(fixture.mount, number, &got) != 0) {
        complain("a file was not found");
        return;
    }
    expect(ext2dax_write(got, first * PAGE, bytes, pages * PAGE) == pages * PAGE, "a write failed");
    ext2dax_inode_put(got);
}
static void get_and_write_one(void)
{
    get_and_write(0, 1, 1);
}
static void get_and_write_two(void)
{
    get_and_write(2, 2, 2);
}

/* ---- checks afterwards ---- */

static void moved_as_by_a_copy(void)
{
    for (unsigned i = 0; i < 512; i++)
        byte_is(file, 9 * PAGE + 64 + i, (unsigned char)(i % 251), "what was stored was read again");
}
static void copy_kept(void)
{
    unsigned char byte = 0;

    expect(ext2dax_model_read(private_map, 9 * PAGE, &byte, 1, false, true) == EXT2DAX_FAULT_NOPAGE && byte == 1,
           "a store into a private copy was lost");
}
static void rest_kept(void)
{
    expect(core_fixture_size(file) == 40 * PAGE, "a fault has changed the size");
    byte_is(file, 30 * PAGE, OLD, "a fault has cost bytes");
}
static void nothing_past_the_end(void)
{
    unsigned char byte = 1;

    expect(ext2dax_model_read(map, 9 * PAGE + 200, &byte, 1, false, true) == EXT2DAX_FAULT_NOPAGE && byte == 0,
           "bytes that were cut off show in the last page");
}
static void end_is_zero(void)
{
    unsigned char bytes[2 * PAGE];

    expect(ext2dax_read(file, 16 * PAGE, bytes, sizeof bytes) == sizeof bytes, "a read failed");
    for (unsigned i = 0; i < sizeof bytes; i++)
        expect(bytes[i] == 0, "what lay past the end shows");
    byte_is(file, 13 * PAGE, 1, "a store was lost");
    no_leaks();
}
static void victim_is_whole(void)
{
    unsigned char bytes[PAGE];
    int64_t got;

    for (uint64_t at = 0; at < 40 * PAGE; at += PAGE) {
        got = ext2dax_read(victim, at, bytes, sizeof bytes);
        for (int64_t i = 0; i < got; i++)
            expect(bytes[i] == OTHER, "another file was stored to");
    }
}
static void owner_is_whole(void)
{
    struct ext2dax_stat figures;

    ext2dax_stat(file, &figures, sizeof(figures));
    expect(figures.uid == figures.gid && (figures.uid == 0x10001 || figures.uid == 0x20002),
           "two calls mixed their attributes");
}
static void both_pins_hold(void)
{
    expect(ext2dax_truncate(file, 4 * PAGE) == -EXT2DAX_EBUSY, "pinned blocks were taken");
    ext2dax_unpin(&pins[0]);
    expect(ext2dax_truncate(file, 0) == -EXT2DAX_EBUSY, "pinned blocks were taken");
}

/* ---- the table ---- */

#define SCENARIO(identifier, ...) static const struct scenario identifier = {#identifier, __VA_ARGS__}

SCENARIO(read_fault__truncate, start_mapped, read_fault, truncate_and_reuse, NULL);
SCENARIO(write_fault__truncate, start_mapped, write_fault, truncate_and_reuse, NULL);
SCENARIO(pmd_read__truncate, start_aligned_extent, pmd_read, truncate_and_reuse, NULL);
SCENARIO(pmd_write__punch, start_aligned_extent, pmd_write, punch_and_reuse, NULL);
SCENARIO(pmd_write__truncate, start_aligned_extent, pmd_write, truncate_at_the_pmd_range, NULL);
SCENARIO(mkwrite__truncate, start_zero_page, mkwrite, truncate_and_reuse, NULL);
SCENARIO(pfn_mkwrite__truncate, start_read_only, pfn_mkwrite, truncate_and_reuse, NULL);
SCENARIO(fsync__truncate, start_entered_and_full, fsync_file, truncate_and_reuse_all, NULL);
SCENARIO(read_fault__punch, start_mapped, read_fault, punch_and_reuse, NULL);
SCENARIO(truncate__read_fault, start_entered, truncate_down, read_fault, NULL);
SCENARIO(truncate__reuse, start_entered, truncate_down, reuse_and_look, NULL);
SCENARIO(punch__reuse, start_entered, punch_pmd_range, reuse_and_look, NULL);
SCENARIO(truncate__private_read, start_copied, truncate_down, private_read_fault, NULL);
SCENARIO(truncate_in_a_page__read, start_entered, truncate_in_a_page, read_fault, nothing_past_the_end);
SCENARIO(extend__stray_store, start_tail, extend_by_write, stray_store, tail_is_zero);
SCENARIO(truncate_up__store, start_block_at_the_end, truncate_up, store_indirect, end_is_zero);
SCENARIO(store__full, start_full, store_without_space, read_fault, rest_kept);
SCENARIO(store_without_memory__read_fault, start_hole, store_without_memory, other_read_fault, one_store_kept);
SCENARIO(wild_pointer__read, start_mapped, fault_of_a_wild_pointer, store_in_victim, NULL);
SCENARIO(truncate_bad_group__read, start_mapped, truncate_in_a_bad_group, read_fault, NULL);
SCENARIO(unlink_bad_group__read, start_victim, unlink_in_a_bad_group, read_fault, NULL);
SCENARIO(unlink_bad_inodes__read, start_victim, unlink_in_a_bad_group_of_inodes, read_fault, NULL);
SCENARIO(store_in_hole__load, start_hole, store_one, look_into_the_page, one_store_kept);
SCENARIO(store_in_hole__store, start_hole, store_one, store_two, both_stores_kept);
SCENARIO(store_in_hole__store_near, start_hole, store_indirect, store_next_pmd_range, pmd_ranges_kept);
SCENARIO(store_in_hole__read_fault, start_hole, store_one, other_read_fault, one_store_kept);
SCENARIO(store_in_hole__other_file, start_hole, store_one, store_in_victim, one_store_kept);
SCENARIO(write_in_hole__store, start_hole, write_one, store_two, both_stores_kept);
SCENARIO(write_in_hole__read_fault, start_hole, write_one, other_read_fault, one_store_kept);
SCENARIO(pmd_write_in_hole__read_fault, start_hole, pmd_write, other_read_fault, NULL);
SCENARIO(store__fsync, start_mapped, store_one, fsync_file, writable_is_dirty);
SCENARIO(store__fsync_durable, start_mapped, store_one, fsync_file, fsync_and_look);
SCENARIO(store_again__fsync_durable, start_read_only, store_one, fsync_file, fsync_and_look);
SCENARIO(fsync__fsync_durable, start_entered, fsync_and_look, fsync_and_look, NULL);
SCENARIO(fsync__store_durable, start_entered, fsync_file, store_one, fsync_and_look);
SCENARIO(write__fsync_durable, start_mapped, write_one, fsync_file, fsync_and_look);
SCENARIO(zero__fsync_durable, start_mapped, zero_pages, fsync_file, fsync_and_look);
SCENARIO(zero__look, start_hole_between, zero_pages, look_at_both_ends, NULL);
SCENARIO(write_from_itself__fsync, start_read_only_pin, write_from_itself, fsync_file, moved_as_by_a_copy);
SCENARIO(read__truncate, start_mapped, read_page, truncate_and_reuse, NULL);
SCENARIO(map_by_hint__truncate, start_hinted, map_by_hint, truncate_down_and_up, NULL);
SCENARIO(write__truncate, start_mapped, write_one, truncate_and_reuse, victim_is_whole);
SCENARIO(write_other__truncate, start_entered, reuse, truncate_to_nothing, victim_is_whole);
SCENARIO(setattr__setattr, start_hole, set_owner_one, set_owner_two, owner_is_whole);
SCENARIO(lookup__unlink, start_mapped, look_up_victim, unlink_victim, NULL);
SCENARIO(readdir__replace, start_names, list_names, replace_names, NULL);
SCENARIO(create__last_put, start_unlinked, create_new, put_victim, no_leaks);
SCENARIO(last_put__last_put, start_attributes_shared, put_victim, put_sharer, no_leaks);
SCENARIO(pin__pin, start_mapped, pin_nine, pin_three, both_pins_hold);
SCENARIO(get__get, start_not_in_core, get_and_write_one, get_and_write_two, NULL);
SCENARIO(store__get_nameless, start_unlinked, store_one, look_for_the_nameless, NULL);
SCENARIO(truncate__pin, start_mapped, truncate_pinned, pin_against_truncate, NULL);
SCENARIO(pin__truncate, start_mapped, pin_against_truncate, truncate_pinned, NULL);
SCENARIO(punch__pin, start_mapped, punch_pinned, pin_against_punch, NULL);
SCENARIO(freeze_pinned__read, start_writable_pin, freeze_pinned, read_fault, NULL);
SCENARIO(store__truncate_clock, start_clock, store_one, truncate_down, NULL);
SCENARIO(store__thaw_locked, start_address_space, store_under_the_embedders_lock, thaw_under_the_embedders_lock,
         one_store_kept);
SCENARIO(store__freeze, start_mapped, store_one, freeze_and_look, one_store_kept);
SCENARIO(write__freeze, start_mapped, write_one, freeze_and_look, one_store_kept);
SCENARIO(freeze__store, start_entered, freeze_and_look, store_one, one_store_kept);
SCENARIO(last_put__freeze, start_unlinked, put_victim, freeze_and_look, no_leaks);
SCENARIO(freeze__last_put, start_unlinked, freeze_and_look, put_victim, no_leaks);
SCENARIO(private_read__private_store, start_private, private_read_fault, private_store, copy_kept);

const struct mutant_case mutant_cases[] = {
    {"DAX_SEM_FAULT", &read_fault__truncate, false, false},
    {"DAX_SEM_READ_FAULT", &read_fault__truncate, false, false},
    {"DAX_SEM_WRITE_FAULT", &write_fault__truncate, false, false},
    {"DAX_SEM_PMD_READ", &pmd_read__truncate, false, false},
    {"DAX_SEM_PMD_WRITE", &pmd_write__punch, false, false},
    {"DAX_SEM_MKWRITE", &mkwrite__truncate, false, false},
    {"DAX_SEM_PFN_MKWRITE", &pfn_mkwrite__truncate, false, false},
    {"DAX_SEM_FSYNC", &fsync__truncate, false, false},
    {"DAX_SEM_PIN", &truncate__pin, false, false},
    {"DAX_SEM_TRUNCATE", &write_fault__truncate, false, false},
    {"DAX_SEM_PUNCH", &read_fault__punch, false, false},
    {"DAX_SEM_EXTEND", &extend__stray_store, false, false},
    {"DAX_SEM_ZERO", &zero__look, false, false},
    {"DAX_SEM_SHARED_TRUNCATE", &write_fault__truncate, false, false},
    {"DAX_SEM_SHARED_PUNCH", &read_fault__punch, false, false},
    {"DAX_SEM_SHARED_EXTEND", &extend__stray_store, false, false},
    {"DAX_SEM_SHARED_ZERO", &zero__look, false, false},
    {"DAX_SEM_EARLY", &read_fault__truncate, false, false},
    {"READ_NO_RECHECK", &read_fault__truncate, false, false},
    {"WRITE_NO_RECHECK", &write_fault__truncate, false, false},
    {"PMD_NO_RECHECK", &pmd_write__truncate, false, false},
    {"MKWRITE_NO_RECHECK", &mkwrite__truncate, false, false},
    {"PFN_NO_RECHECK", &pfn_mkwrite__truncate, false, false},
    {"FREE_BEFORE_UNMAP", &truncate__reuse, false, false},
    {"FREE_BEFORE_UNMAP_PUNCH", &punch__reuse, false, false},
    {"UNMAP_EARLY", &truncate__read_fault, false, false},
    {"SIZE_AFTER_UNMAP", &truncate__read_fault, false, false},
    {"COPIES_STAY", &truncate__private_read, false, false},
    {"TAIL_NOT_ZEROED", &extend__stray_store, false, false},
    {"TAIL_STAYS_MAPPED", &extend__stray_store, false, false},
    {"END_STAYS", &truncate_up__store, false, true},
    {"SHRINK_TAIL_NOT_ZEROED", &truncate_in_a_page__read, false, false},
    {"DISCARD_LATE", &write_other__truncate, false, false},
    {"ERROR_TRUNCATES", &store__full, false, false},
    {"POINTER_UNCHECKED", &wild_pointer__read, false, true},
    {"HINT_UNCHECKED", &map_by_hint__truncate, false, false},
    {"GROUP_UNCHECKED", &truncate_bad_group__read, false, true},
    {"GROUP_UNCHECKED_INODES", &unlink_bad_inodes__read, false, true},
    {"UNLINK_UNCHECKED", &unlink_bad_group__read, false, true},
    {"PUBLISH_UNZEROED", &store_in_hole__load, false, false},
    {"PUBLISH_BEFORE_ZEROING", &store_in_hole__load, false, false},
    {"ZEROED_BY_LOSER", &store_in_hole__store, false, false},
    {"FAULT_NOT_RECHECKED", &store_in_hole__store, false, false},
    {"PLACE_NOT_RECHECKED", &write_in_hole__store, false, false},
    {"WRITE_BLOCK_LEAKED", &write_in_hole__store, false, false},
    {"ZERO_PAGE_STAYS", &store_in_hole__read_fault, false, false},
    {"ZERO_PAGE_STAYS_PMD", &pmd_write_in_hole__read_fault, false, false},
    {"ZERO_PAGE_STAYS_WRITE", &write_in_hole__read_fault, false, false},
    {"ZERO_PAGE_EARLY", &write_in_hole__read_fault, false, false},
    {"RANGE_LOCK_SKIPPED", &store_in_hole__store, false, false},
    {"RANGE_LOCK_SKIPPED_FSYNC", &store__fsync, false, false},
    {"TRUNCATE_LOCK_SKIPPED", &store_in_hole__store_near, false, false},
    {"IO_SKIPPED_READ", &read__truncate, false, false},
    {"IO_SKIPPED_WRITE", &write__truncate, false, false},
    {"IO_SKIPPED_SETATTR", &setattr__setattr, false, false},
    {"IO_SKIPPED_LOOKUP", &lookup__unlink, false, false},
    {"IO_SKIPPED_READDIR", &readdir__replace, false, false},
    {"GROUP_LOCK_SKIPPED", &store_in_hole__other_file, false, false},
    {"GROUP_LOCK_SKIPPED_INODES", &create__last_put, false, false},
    {"REFERENCES_UNGUARDED", &last_put__last_put, false, false},
    {"FS_LOCK_SKIPPED", &store_in_hole__other_file, false, false},
    {"FS_LOCK_SKIPPED_PINS", &pin__pin, false, false},
    {"ICACHE_LOCK_SKIPPED", &get__get, false, false},
    {"DYING_FOUND", &store__get_nameless, false, false},
    {"ALIGNED_ALLOCATED_LATE", &store_without_memory__read_fault, false, false},
    {"FSYNC_CLEAR_FIRST", &fsync__fsync_durable, true, false},
    {"FSYNC_UNPROTECTED", &fsync__store_durable, true, false},
    {"ALIAS_IGNORED", &write_from_itself__fsync, false, false},
    {"WRITE_DIRTY_EARLY", &write__fsync_durable, true, false},
    {"ZERO_NOT_DIRTY", &zero__fsync_durable, true, false},
    {"FAULT_NOT_DIRTY", &store__fsync_durable, true, false},
    {"PFN_NOT_DIRTY", &store_again__fsync_durable, true, false},
    {"PINS_IGNORED", &truncate__pin, false, false},
    {"PINS_IGNORED_PUNCH", &punch__pin, false, false},
    {"PINS_IGNORED_FREEZE", &freeze_pinned__read, false, false},
    {"PIN_RECORDED_LATE", &pin__truncate, false, false},
    {"CLOCK_UNDER_DAX_SEM", &store__truncate_clock, false, false},
    {"FREEZE_FAULT_LATE", &store__thaw_locked, false, false},
    {"FREEZE_FAULT_SHORT", &store__freeze, false, false},
    {"FREEZE_WRITE_SKIPPED", &write__freeze, false, false},
    {"FREEZE_UNPROTECTED", &freeze__store, false, false},
    {"LAST_PUT_FROZEN", &last_put__freeze, false, false},
    {"THAW_FORGETS", &freeze__last_put, false, false},
    {"MAP_WEAKENS", &private_read__private_store, false, false},
    {NULL, NULL, false, false},
};
