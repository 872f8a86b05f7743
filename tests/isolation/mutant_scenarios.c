/* SPDX-License-Identifier: MIT */
/*
 * The scenarios of the mutants. Each judges by itself only what no look at the image and the mappings can tell: bytes
 * that were lost, or are another file's; what is durable; what a call answers.
 */
#include "mutant_scenarios.h"

#include <stdio.h>
#include <string.h>

#include "ext2dax/ondisk.h"

#include "endian.h"

#define OLD   7    /* the file's bytes at first */
#define OTHER 0xBB /* the other file's */

static struct ext2dax_model_map *private_map CHANGES;
static struct ext2dax_pin pins[2] CHANGES;
static struct ext2dax_lock address_space CHANGES;
static uint32_t number CHANGES;

/* ---- the stage ---- */

/* The other file takes every block that is free: what it takes later is this file's, and all of it for data. */
static void fill_up_victim(void)
{
    unsigned char bytes[PAGE];

    memset(bytes, OTHER, sizeof bytes);
    while (ext2dax_write(victim, bench_size(victim), bytes, sizeof bytes) == sizeof bytes)
        ;
}
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
    (void)fault_in(map, 9, false, ext2dax_fault);
}
static void start_hole(void)
{
    ck_assert_int_eq(ext2dax_truncate(file, 40 * PAGE), 0);
}
static void start_zero_page(void)
{
    start_hole();
    (void)fault_in(map, 9, false, ext2dax_fault);
}
static void start_entered(void)
{
    fill(0, 20);
    for (uint64_t page = 0; page < 20; page++)
        store(map, page * PAGE + 5, 8);
}
/* A hole in front of the first pointer block, so that looking for what is behind begins with that. */
static void start_entered_and_full(void)
{
    start_entered();
    ck_assert_int_eq(ext2dax_punch(file, 11 * PAGE, PAGE), 0);
    fill_up_victim();
}
static void start_tail(void)
{
    fill(0, 20);
    ck_assert_int_eq(ext2dax_truncate(file, 20 * PAGE + 100), 0);
    store(map, 20 * PAGE, OLD);
}
static void start_private(void)
{
    fill(0, 20);
    private_map = ext2dax_model_map(bench.model, file, 0, 40, false, true);
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
    bench_unlink(&bench, "victim");
}
static void start_writable_pin(void)
{
    fill(0, 20);
    ck_assert_int_eq(ext2dax_pin(file, 0, PAGE, true, &pins[0]), 0);
}
static void start_not_in_core(void)
{
    struct ext2dax_inode *third = bench_create(&bench, "third");

    number = third->number;
    ext2dax_inode_put(third);
}
static void start_names(void)
{
    ext2dax_inode_put(bench_create(&bench, "a"));
    ext2dax_inode_put(bench_create(&bench, "b"));
}
static void start_address_space(void)
{
    struct ext2dax_locks locks = bench.locks;

    fill(0, 20);
    ck_assert_int_eq(locks.ops->init(locks.ctx, &address_space, EXT2DAX_LOCK_ADDRESS_SPACE, 0), 0);
}
/* The clock of a host that keeps the time in a mapped file: it may take a fault, where nothing below freeze is held. */
static void load_the_time(void)
{
    unsigned char byte;

    (void)ext2dax_model_read(other, 3 * PAGE, &byte, 1, false, true);
}
static void start_clock(void)
{
    fill(0, 20);
    bench.clock = load_the_time;
}

/* ---- faults ---- */

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
static void pmd_read(void)
{
    (void)fault_in(map, 9, false, ext2dax_pmd_fault);
}
static void pmd_write(void)
{
    (void)fault_in(map, 9, true, ext2dax_pmd_fault);
}
static void mkwrite(void)
{
    (void)fault_in(map, 9, true, ext2dax_mkwrite);
}
static void pfn_mkwrite(void)
{
    (void)fault_in(map, 9, true, ext2dax_pfn_mkwrite);
}
static void private_read_fault(void)
{
    (void)fault_in(private_map, 9, false, ext2dax_fault);
}
static void private_store(void)
{
    store(private_map, 9 * PAGE, 1);
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
static void store_without_space(void)
{
    unsigned char byte = 1;

    expect(ext2dax_model_write(map, 9 * PAGE, &byte, 1, false, true) == EXT2DAX_FAULT_SIGBUS,
           "a store into a hole of a full filesystem went through");
}
/* As an embedder does it: under its lock, which it drops to wait for thaw. */
static void store_under_the_embedders_lock(void)
{
    struct ext2dax_locks locks = bench.locks;
    unsigned char byte = 1;
    enum ext2dax_fault_result result;

    do {
        locks.ops->read_lock(locks.ctx, &address_space);
        result = ext2dax_model_write(map, 9 * PAGE, &byte, 1, false, false);
        locks.ops->read_unlock(locks.ctx, &address_space);
        if (result == EXT2DAX_FAULT_RETRY)
            ext2dax_wait_thaw(bench.mount);
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
/* The pointer is a wild one only until the fault is over, and then not counted as an error: the mapping is judged. */
static void fault_of_a_wild_pointer(void)
{
    struct ext2dax_disk_super *super = (void *)((unsigned char *)bench.memory.base + EXT2DAX_SUPER_OFFSET);
    struct ext2dax_le32 was = file->disk->block[9];

    file->disk->block[9] = e2d_le32(2);
    expect(fault_in(map, 9, true, ext2dax_fault) == EXT2DAX_FAULT_SIGBUS, "metadata was mapped");
    file->disk->block[9] = was;
    super->state = e2d_le16(e2d_get16(super->state) & ~EXT2DAX_STATE_ERROR);
}

/* ---- calls ---- */

static void reuse(void)
{
    unsigned char bytes[WINDOW];

    memset(bytes, OTHER, sizeof bytes);
    for (uint64_t at = 0; at < 40 * PAGE; at += WINDOW)
        (void)ext2dax_write(victim, at, bytes, sizeof bytes);
}
static void truncate_and_reuse(void)
{
    expect(ext2dax_truncate(file, 0) == 0, "a truncate failed");
    reuse();
}
static void truncate_and_reuse_all(void)
{
    expect(ext2dax_truncate(file, 0) == 0, "a truncate failed");
    fill_up_victim();
}
static void truncate_at_the_window(void)
{
    expect(ext2dax_truncate(file, 8 * PAGE) == 0, "a truncate failed");
}
static void punch_and_reuse(void)
{
    expect(ext2dax_punch(file, 8 * PAGE, WINDOW) == 0, "a punch failed");
    reuse();
}
static void truncate_down(void)
{
    expect(ext2dax_truncate(file, 9 * PAGE) == 0, "a truncate failed");
}
static void truncate_in_a_page(void)
{
    expect(ext2dax_truncate(file, 9 * PAGE + 100) == 0, "a truncate failed");
}
static void punch_window(void)
{
    expect(ext2dax_punch(file, 8 * PAGE, WINDOW) == 0, "a punch failed");
}
/* The other file's blocks must not show through the mapping, not even for a moment. */
static void reuse_and_look(void)
{
    const unsigned char *memory = bench.memory.base;
    struct ext2dax_model_entry entry;

    reuse();
    for (uint64_t page = 0; page < 40; page++) {
        entry = ext2dax_model_entry(map, page);
        if (entry.kind == EXT2DAX_MODEL_DATA && memory[entry.memory_offset] == OTHER)
            complain("another file's block is mapped");
    }
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
static void store_in_victim(void)
{
    unsigned char byte = OTHER;

    (void)ext2dax_write(victim, 30 * PAGE, &byte, 1);
}
/* Where a truncate comes between, a broken write copies more than the one byte: from what is there to be copied. */
static void write_one(void)
{
    static const unsigned char bytes[WINDOW] = {1};

    expect(ext2dax_write(file, 9 * PAGE, bytes, 1) == 1, "a write failed");
}
static void read_page(void)
{
    unsigned char bytes[PAGE];
    int64_t got = ext2dax_read(file, 9 * PAGE, bytes, sizeof bytes);

    for (int64_t i = 0; i < got; i++)
        expect(bytes[i] == OLD, "another file's bytes were read");
}
static void fsync_file(void)
{
    expect(ext2dax_fsync(file) == 0, "fsync failed");
}
static void fsync_and_look(void)
{
    const unsigned char *memory = bench.memory.base;

    fsync_file();
    for (uint64_t page = 0; page < 40; page++) {
        uint32_t block = ext2dax_check_block(memory, bench.memory.size, file->number, page);

        if (block != 0 && memcmp(memory + block * PAGE, bench.durable + block * PAGE, PAGE) != 0)
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
static int truncate_all(void)
{
    return ext2dax_truncate(file, 0);
}
static int punch_it(void)
{
    return ext2dax_punch(file, 8 * PAGE, WINDOW);
}
static void hold_pin(int (*change)(void))
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
static void pin_against_truncate(void)
{
    hold_pin(truncate_all);
}
static void pin_against_punch(void)
{
    hold_pin(punch_it);
}
static void truncate_pinned(void)
{
    int rc = ext2dax_truncate(file, 9 * PAGE);

    expect(rc == 0 || rc == -EXT2DAX_EBUSY, "a truncate failed");
}
static void punch_pinned(void)
{
    int rc = punch_it();

    expect(rc == 0 || rc == -EXT2DAX_EBUSY, "a punch failed");
}
static void freeze_pinned(void)
{
    int rc = ext2dax_freeze(bench.mount);

    expect(rc == -EXT2DAX_EBUSY, "a writable pin did not stop a freeze");
    if (rc == 0)
        (void)ext2dax_thaw(bench.mount);
}

/* ---- freeze ---- */

static uint64_t image_now(void)
{
    const uint64_t *words = bench.memory.base;
    uint64_t hash = 0;

    for (size_t i = 0; i < bench.memory.size / 8; i++)
        hash = (hash ^ words[i]) * 0x100000001B3u;
    return hash;
}
/* Nothing of the image changes while it is frozen, and nothing can be stored to it. */
static void freeze_and_look(void)
{
    uint64_t before;
    int rc = ext2dax_freeze(bench.mount);

    expect(rc == 0, "freeze failed");
    before = image_now();
    linger();
    expect(image_now() == before, "the image has changed while frozen");
    for (uint64_t page = 0; page < 40; page++)
        expect(!ext2dax_model_entry(map, page).writable, "a page is writable while frozen");
    expect(ext2dax_thaw(bench.mount) == 0, "thaw failed");
}
/* Who thaws takes the embedder's lock first. */
static void thaw_under_the_embedders_lock(void)
{
    struct ext2dax_locks locks = bench.locks;

    expect(ext2dax_freeze(bench.mount) == 0, "freeze failed");
    linger();
    locks.ops->write_lock(locks.ctx, &address_space);
    locks.ops->write_unlock(locks.ctx, &address_space);
    expect(ext2dax_thaw(bench.mount) == 0, "thaw failed");
}

/* ---- names and numbers ---- */

static void put_victim(void)
{
    ext2dax_inode_put(victim);
}
static void unlink_victim(void)
{
    bench_unlink(&bench, "victim");
    ext2dax_inode_put(victim);
}
static void create_new(void)
{
    ext2dax_inode_put(bench_create(&bench, "new"));
}
static void look_up_victim(void)
{
    struct ext2dax_inode *found;
    int rc = ext2dax_lookup(bench.root, "victim", 6, &found);

    expect(rc == 0 || rc == -EXT2DAX_ENOENT, "a lookup found neither the file nor nothing");
    if (rc == 0)
        ext2dax_inode_put(found);
}
static void look_for_the_nameless(void)
{
    struct ext2dax_inode *found;
    int rc = ext2dax_inode_get(bench.mount, number, &found);

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
static void list_names(void)
{
    expect(ext2dax_readdir(bench.root, 0, is_known, NULL) == 0, "a listing failed");
}
static void replace_names(void)
{
    bench_unlink(&bench, "b");
    bench_unlink(&bench, "a");
    ext2dax_inode_put(bench_create(&bench, long_name));
}
static void get_and_write(uint64_t first, unsigned pages, unsigned char byte)
{
    unsigned char bytes[2 * PAGE];
    struct ext2dax_inode *got;

    memset(bytes, byte, sizeof bytes);
    if (ext2dax_inode_get(bench.mount, number, &got) != 0) {
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

/* ---- afterwards ---- */

static void byte_is(struct ext2dax_inode *inode, uint64_t at, unsigned char wanted, const char *what)
{
    unsigned char byte = 0;

    expect(ext2dax_read(inode, at, &byte, 1) == 1 && byte == wanted, what);
}
static void one_store_kept(void)
{
    byte_is(file, 9 * PAGE, 1, "a store was lost");
}
static void both_stores_kept(void)
{
    one_store_kept();
    byte_is(file, 9 * PAGE + 100, 2, "a store was lost");
}
static void windows_kept(void)
{
    byte_is(file, 13 * PAGE, 1, "a store was lost");
    byte_is(file, 17 * PAGE, 2, "a store was lost");
}
static void copy_kept(void)
{
    unsigned char byte = 0;

    expect(ext2dax_model_read(private_map, 9 * PAGE, &byte, 1, false, true) == EXT2DAX_FAULT_NOPAGE && byte == 1,
           "a store into a private copy was lost");
}
static void rest_kept(void)
{
    expect(bench_size(file) == 40 * PAGE, "a fault has changed the size");
    byte_is(file, 30 * PAGE, OLD, "a fault has cost bytes");
}
static void tail_is_zero(void)
{
    unsigned char bytes[400];
    int64_t got = ext2dax_read(file, 20 * PAGE + 100, bytes, sizeof bytes);

    for (int64_t i = 0; strayed && i < got - 1; i++)
        expect(bytes[i] == 0, "a store past the end shows");
}
static void nothing_past_the_end(void)
{
    unsigned char byte = 1;

    expect(ext2dax_model_read(map, 9 * PAGE + 200, &byte, 1, false, true) == EXT2DAX_FAULT_NOPAGE && byte == 0,
           "bytes that were cut off show in the last page");
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
/* A page that may be stored to without a fault is in a window that the next fsync visits. */
static void writable_is_dirty(void)
{
    bool before = ext2dax_model_entry(map, 9).writable;

    fsync_file();
    expect(!before || !ext2dax_model_entry(map, 9).writable, "fsync passed a writable page over");
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
SCENARIO(pmd_read__truncate, start_region, pmd_read, truncate_and_reuse, NULL);
SCENARIO(pmd_write__punch, start_region, pmd_write, punch_and_reuse, NULL);
SCENARIO(pmd_write__truncate, start_region, pmd_write, truncate_at_the_window, NULL);
SCENARIO(mkwrite__truncate, start_zero_page, mkwrite, truncate_and_reuse, NULL);
SCENARIO(pfn_mkwrite__truncate, start_read_only, pfn_mkwrite, truncate_and_reuse, NULL);
SCENARIO(fsync__truncate, start_entered_and_full, fsync_file, truncate_and_reuse_all, NULL);
SCENARIO(read_fault__punch, start_mapped, read_fault, punch_and_reuse, NULL);
SCENARIO(truncate__read_fault, start_entered, truncate_down, read_fault, NULL);
SCENARIO(truncate__reuse, start_entered, truncate_down, reuse_and_look, NULL);
SCENARIO(punch__reuse, start_entered, punch_window, reuse_and_look, NULL);
SCENARIO(truncate__private_read, start_copied, truncate_down, private_read_fault, NULL);
SCENARIO(truncate_in_a_page__read, start_entered, truncate_in_a_page, read_fault, nothing_past_the_end);
SCENARIO(extend__stray_store, start_tail, extend_by_write, stray_store, tail_is_zero);
SCENARIO(store__full, start_full, store_without_space, read_fault, rest_kept);
SCENARIO(wild_pointer__read, start_mapped, fault_of_a_wild_pointer, store_in_victim, NULL);
SCENARIO(store_in_hole__load, start_hole, store_one, look_into_the_page, one_store_kept);
SCENARIO(store_in_hole__store, start_hole, store_one, store_two, both_stores_kept);
SCENARIO(store_in_hole__store_near, start_hole, store_indirect, store_next_window, windows_kept);
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
SCENARIO(read__truncate, start_mapped, read_page, truncate_and_reuse, NULL);
SCENARIO(write__truncate, start_mapped, write_one, truncate_and_reuse, victim_is_whole);
SCENARIO(lookup__unlink, start_mapped, look_up_victim, unlink_victim, NULL);
SCENARIO(readdir__replace, start_names, list_names, replace_names, NULL);
SCENARIO(create__last_put, start_unlinked, create_new, put_victim, no_leaks);
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
    {"DAX_SEM_GROW", &extend__stray_store, false, false},
    {"DAX_SEM_SHARED_TRUNCATE", &write_fault__truncate, false, false},
    {"DAX_SEM_SHARED_PUNCH", &read_fault__punch, false, false},
    {"DAX_SEM_SHARED_GROW", &extend__stray_store, false, false},
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
    {"SHRINK_TAIL_NOT_ZEROED", &truncate_in_a_page__read, false, false},
    {"ERROR_TRUNCATES", &store__full, false, false},
    {"POINTER_UNCHECKED", &wild_pointer__read, false, true},
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
    {"ENTRY_SKIPPED", &store_in_hole__store, false, false},
    {"ENTRY_SKIPPED_FSYNC", &store__fsync, false, false},
    {"TRUNCATE_LOCK_SKIPPED", &store_in_hole__store_near, false, false},
    {"IO_SKIPPED_READ", &read__truncate, false, false},
    {"IO_SKIPPED_WRITE", &write__truncate, false, false},
    {"IO_SKIPPED_LOOKUP", &lookup__unlink, false, false},
    {"IO_SKIPPED_READDIR", &readdir__replace, false, false},
    {"GROUP_LOCK_SKIPPED", &store_in_hole__other_file, false, false},
    {"GROUP_LOCK_SKIPPED_INODES", &create__last_put, false, false},
    {"FS_LOCK_SKIPPED", &store_in_hole__other_file, false, false},
    {"FS_LOCK_SKIPPED_PINS", &pin__pin, false, false},
    {"CACHE_LOCK_SKIPPED", &get__get, false, false},
    {"DYING_FOUND", &store__get_nameless, false, false},
    {"FSYNC_CLEAR_FIRST", &fsync__fsync_durable, true, false},
    {"FSYNC_UNPROTECTED", &fsync__store_durable, true, false},
    {"WRITE_DIRTY_EARLY", &write__fsync_durable, true, false},
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
