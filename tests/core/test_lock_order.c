/* SPDX-License-Identifier: MIT */
/* Tests that the lock-order checker reports each documented violation and nothing else. */
#include <stdlib.h>
#include <string.h>

#include "../runner.h"
#include "fixture.h"
#include "ext2dax/hosted/lock.h"

static struct ext2dax_lock_order *order;
static struct ext2dax_locks locks;
static char last[160];
static struct ext2dax_lock at[EXT2DAX_LOCK_CLASSES];
static struct ext2dax_inode directory, low, high;

static void broken(void *arg, const char *text)
{
    (void)arg;
    strcpy(last, text);
}

static void read_lock(struct ext2dax_lock *lock)
{
    locks.ops->read_lock(locks.ctx, lock);
}
static void read_unlock(struct ext2dax_lock *lock)
{
    locks.ops->read_unlock(locks.ctx, lock);
}
static void write_lock(struct ext2dax_lock *lock)
{
    locks.ops->write_lock(locks.ctx, lock);
}
static void write_unlock(struct ext2dax_lock *lock)
{
    locks.ops->write_unlock(locks.ctx, lock);
}

static void make(struct ext2dax_lock *lock, enum ext2dax_lock_class lock_class, uint64_t number)
{
    ck_assert_int_eq(locks.ops->init(locks.ctx, lock, lock_class, number), 0);
}

static void make_inode(struct ext2dax_inode *inode, uint16_t mode, uint32_t number)
{
    memset(inode, 0, sizeof *inode);
    inode->mode = mode;
    make(&inode->io, EXT2DAX_LOCK_IO, number);
}

static void start(void)
{
    order = ext2dax_lock_order_open(ext2dax_locks_default(), broken, NULL);
    ck_assert_ptr_nonnull(order);
    locks = ext2dax_lock_order_locks(order);
    last[0] = '\0';
    for (int i = 0; i < EXT2DAX_LOCK_CLASSES; i++) {
        if (i != EXT2DAX_LOCK_IO)
            make(&at[i], (enum ext2dax_lock_class)i, 7);
    }
    make_inode(&directory, EXT2DAX_S_IFDIR, 30);
    make_inode(&low, EXT2DAX_S_IFREG, 12);
    make_inode(&high, EXT2DAX_S_IFREG, 13);
}

static void finish(void)
{
    for (int i = 0; i < EXT2DAX_LOCK_CLASSES; i++) {
        if (i != EXT2DAX_LOCK_IO)
            locks.ops->destroy(locks.ctx, &at[i]);
    }
    locks.ops->destroy(locks.ctx, &directory.io);
    locks.ops->destroy(locks.ctx, &low.io);
    locks.ops->destroy(locks.ctx, &high.io);
    ext2dax_lock_order_close(order);
}

START_TEST(what_is_in_order_passes)
{
    start();
    read_lock(&at[EXT2DAX_LOCK_FREEZE_WRITE]);
    write_lock(&directory.io);
    write_lock(&low.io);
    read_lock(&high.io);
    read_lock(&at[EXT2DAX_LOCK_DAX_SEM]);
    write_lock(&at[EXT2DAX_LOCK_RANGE]);
    write_lock(&at[EXT2DAX_LOCK_TRUNCATE]);
    write_lock(&at[EXT2DAX_LOCK_GROUP]);
    write_lock(&at[EXT2DAX_LOCK_FS]);
    write_unlock(&at[EXT2DAX_LOCK_GROUP]);
    write_unlock(&at[EXT2DAX_LOCK_FS]);
    write_lock(&at[EXT2DAX_LOCK_ICACHE]);
    write_lock(&at[EXT2DAX_LOCK_PAGE_TABLE]);
    write_unlock(&at[EXT2DAX_LOCK_PAGE_TABLE]);
    write_unlock(&at[EXT2DAX_LOCK_ICACHE]);
    write_unlock(&at[EXT2DAX_LOCK_TRUNCATE]);
    write_unlock(&at[EXT2DAX_LOCK_RANGE]);
    read_unlock(&at[EXT2DAX_LOCK_DAX_SEM]);
    read_unlock(&high.io);
    write_unlock(&low.io);
    write_unlock(&directory.io);
    read_unlock(&at[EXT2DAX_LOCK_FREEZE_WRITE]);
    ext2dax_lock_order_returned(order);
    ck_assert_uint_eq(ext2dax_lock_order_broken(order), 0);
    finish();
}
END_TEST

static const struct {
    struct ext2dax_lock *first, *second;
    const char *text; /* NULL if in order */
} pairs[] = {
    {&at[EXT2DAX_LOCK_RANGE], &at[EXT2DAX_LOCK_DAX_SEM], "lock order: dax_sem 7 taken under entry 7"},
    {&at[EXT2DAX_LOCK_DAX_SEM], &low.io, "lock order: io 12 taken under dax_sem 7"},
    {&at[EXT2DAX_LOCK_FS], &at[EXT2DAX_LOCK_GROUP], "lock order: group 7 taken under fs 7"},
    {&at[EXT2DAX_LOCK_FS], &at[EXT2DAX_LOCK_ICACHE], "lock order: cache 7 taken under fs 7"},
    {&at[EXT2DAX_LOCK_ICACHE], &at[EXT2DAX_LOCK_FS], "lock order: fs 7 taken under cache 7"},
    {&high.io, &low.io, "lock order: io 12 taken under io 13"},
    {&low.io, &directory.io, "lock order: io 30 taken under io 12"},
    {&low.io, &high.io, NULL},
    {&directory.io, &low.io, NULL},
    {&low.io, &at[EXT2DAX_LOCK_FREEZE_WRITE], "lock order: freeze_write 7 taken under io 12"},
    {&at[EXT2DAX_LOCK_PAGE_TABLE], &at[EXT2DAX_LOCK_FS], "lock order: fs 7 taken under page table 7"},
};

START_TEST(an_inversion_is_noticed)
{
    const char *text = pairs[_i].text ? pairs[_i].text : "";

    start();
    read_lock(pairs[_i].first);
    write_lock(pairs[_i].second);
    ck_assert_str_eq(last, text);
    ck_assert_uint_eq(ext2dax_lock_order_broken(order), pairs[_i].text != NULL);
    write_unlock(pairs[_i].second);
    /* A lock taken out of order by a try is reported too. */
    last[0] = '\0';
    ck_assert(locks.ops->try_write_lock(locks.ctx, pairs[_i].second));
    ck_assert_str_eq(last, text);
    write_unlock(pairs[_i].second);
    read_unlock(pairs[_i].first);
    finish();
}
END_TEST

START_TEST(a_second_hold_is_noticed)
{
    start();
    read_lock(&at[EXT2DAX_LOCK_DAX_SEM]);
    read_lock(&at[EXT2DAX_LOCK_DAX_SEM]);
    ck_assert_str_eq(last, "lock order: dax_sem 7 taken twice by one thread");
    read_unlock(&at[EXT2DAX_LOCK_DAX_SEM]);
    read_unlock(&at[EXT2DAX_LOCK_DAX_SEM]);
    ck_assert_uint_eq(ext2dax_lock_order_broken(order), 1);
    finish();
}
END_TEST

static void *release(void *arg)
{
    write_unlock(arg);
    return NULL;
}

static void release_elsewhere(struct ext2dax_lock *lock)
{
    pthread_t thread;

    write_lock(lock);
    ck_assert_int_eq(pthread_create(&thread, NULL, release, lock), 0);
    pthread_join(thread, NULL);
}

START_TEST(another_thread_may_release_a_freeze_only)
{
    start();
    release_elsewhere(&at[EXT2DAX_LOCK_FREEZE_WRITE]);
    release_elsewhere(&at[EXT2DAX_LOCK_FREEZE_FAULT]);
    ck_assert_uint_eq(ext2dax_lock_order_broken(order), 0);
    release_elsewhere(&at[EXT2DAX_LOCK_TRUNCATE]);
    ck_assert_str_eq(last, "lock order: truncate 7 released by a thread that does not hold it so");
    finish();
}
END_TEST

START_TEST(what_a_call_leaves_held_is_noticed)
{
    start();
    write_lock(&at[EXT2DAX_LOCK_FREEZE_WRITE]);
    ext2dax_lock_order_returned(order);
    ck_assert_uint_eq(ext2dax_lock_order_broken(order), 0);
    write_lock(&at[EXT2DAX_LOCK_RANGE]);
    ext2dax_lock_order_returned(order);
    ck_assert_str_eq(last, "lock order: entry 7 held at return");
    ext2dax_lock_order_returned(order);
    ck_assert_uint_eq(ext2dax_lock_order_broken(order), 1);
    ext2dax_lock_order_close(order);
}
END_TEST

/* The fixture uses the lock-order checker, so a core which breaks a rule fails the test. */
START_TEST(the_core_is_watched)
{
    struct core_fixture_options options = {.size = 256 << 10, .block_size = 1024, .page_shift = 10, .huge_order = 3};
    struct core_fixture fixture;
    struct ext2dax_inode *file;

    core_fixture_open(&fixture, &options);
    file = core_fixture_create(&fixture, "file");
    ck_assert_int_eq(ext2dax_truncate(file, 9000), 0);
    ck_assert_uint_eq(ext2dax_lock_order_broken(fixture.order), 0);
    ext2dax_lock_order_locks(fixture.order).ops->write_lock(fixture.order, &file->truncate);
    ck_assert_int_eq(ext2dax_freeze(fixture.mount), 0);
    ck_assert_uint_ne(ext2dax_lock_order_broken(fixture.order), 0);
    ck_assert_ptr_nonnull(strstr(fixture.broken, "taken under truncate"));
    core_fixture_abandon(&fixture);
}
END_TEST

START_TEST(storage_is_given_back_without_locks)
{
    struct core_fixture_options options = {.size = 256 << 10, .block_size = 1024, .page_shift = 10, .huge_order = 3};
    struct ext2dax_inode storage, *inode;
    struct core_fixture fixture;
    uint32_t number;

    core_fixture_open(&fixture, &options);
    inode = core_fixture_create(&fixture, "file");
    number = inode->number;
    ext2dax_inode_put(inode);
    for (int unlinked = 0; unlinked < 2; unlinked++) {
        ck_assert_int_eq(ext2dax_inode_get_in(fixture.mount, number, &storage, &inode), 0);
        ck_assert_ptr_eq(inode, &storage);
        fixture.released = NULL;
        if (unlinked)
            core_fixture_unlink(&fixture, "file");
        ext2dax_inode_put(inode);
        ck_assert_ptr_eq(fixture.released, &storage);
        ck_assert_str_eq(fixture.broken, "");
    }
    core_fixture_close(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lock order");
    TCase *cases = add_case(suite, "lock order", USUAL_LIMIT);

    tcase_add_test(cases, what_is_in_order_passes);
    tcase_add_loop_test(cases, an_inversion_is_noticed, 0, (int)(sizeof pairs / sizeof pairs[0]));
    tcase_add_test(cases, a_second_hold_is_noticed);
    tcase_add_test(cases, another_thread_may_release_a_freeze_only);
    tcase_add_test(cases, what_a_call_leaves_held_is_noticed);
    tcase_add_test(cases, the_core_is_watched);
    tcase_add_test(cases, storage_is_given_back_without_locks);
    return run_suite(suite);
}
