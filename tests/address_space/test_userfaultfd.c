/* SPDX-License-Identifier: MIT */
/*
 * Tests mappings by userfaultfd. Covers loads and stores of system calls, and accesses which cannot
 * succeed.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"

#include "../runner.h"
#include "maps.h"
#include "mounted.h"
#include "system_calls.h"
#include "process_state.h"
#include "fault_method.h"

START_TEST(system_calls_load_and_store)
{
    struct ext2dax_inode *file;
    uint8_t *at, *again;

    start(NULL);
    file = make_file(&m, "f", 40 * PAGE);
    fill(file, 0, 20 * PAGE, 0x11);
    at = map_file(&m, file, 0, 40 * PAGE, EXT2DAX_MAP_WRITE);
    again = map_file(&m, file, 0, 40 * PAGE, 0);
    /* Pages not present, over data and over a hole, and the whole range at once. */
    ck_assert_int_eq(loaded(at + 3 * PAGE), 0x11);
    ck_assert_int_eq(loaded(at + 30 * PAGE), 0);
    ck_assert_int_eq(loaded(again + 5 * PAGE), 0x11);
    ck_assert_int_eq(write(pipes[1], again + 10 * PAGE, 10 * PAGE), 10 * PAGE);
    ck_assert_int_eq(read(pipes[0], at + 30 * PAGE, 10 * PAGE), 10 * PAGE);
    for (unsigned i = 30; i < 40; i++)
        ck_assert_uint_eq(byte_of(file, i * PAGE + 77), 0x11);
    /*
     * Stores to a block not present, to a block only read, to a block written, to a zero page, and
     * into a hole.
     */
    ck_assert_int_eq(stored(at + 12 * PAGE, 0x21), 0);
    ck_assert_uint_eq(peek(at + 13 * PAGE), 0x11);
    ck_assert_int_eq(stored(at + 13 * PAGE, 0x22), 0);
    ck_assert_int_eq(stored(at + 13 * PAGE + 1, 0x23), 0);
    ck_assert_uint_eq(peek(at + 20 * PAGE), 0);
    ck_assert_int_eq(stored(at + 20 * PAGE, 0x24), 0);
    ck_assert_int_eq(stored(at + 25 * PAGE, 0x25), 0);
    ck_assert_uint_eq(byte_of(file, 12 * PAGE), 0x21);
    ck_assert_uint_eq(byte_of(file, 13 * PAGE), 0x22);
    ck_assert_uint_eq(byte_of(file, 13 * PAGE + 1), 0x23);
    ck_assert_uint_eq(byte_of(file, 20 * PAGE), 0x24);
    ck_assert_uint_eq(byte_of(file, 25 * PAGE), 0x25);
    ck_assert_uint_eq(byte_of(file, 25 * PAGE + 1), 0);
    /* No access so far raised a signal. A mapping without EXT2DAX_MAP_WRITE refuses stores. */
    ck_assert_int_eq(stored(again + 12 * PAGE, 0x31), -EFAULT);
    ck_assert_int_eq(access_byte(again + 12 * PAGE, true), SIGSEGV);
    ck_assert_uint_eq(byte_of(file, 12 * PAGE), 0x21);
    unmap_file(&m, again);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    finish();
}
END_TEST

static atomic_uint persisted;
static _Atomic(uint8_t *) watched;

static int count_persist(void *ctx, const void *at, size_t length)
{
    const uint8_t *from = at, *here = watched;

    (void)ctx;
    persisted += here >= from && here < from + length;
    return 0;
}

/*
 * The next store of a system call to a page write-protected by fsync is written back again. Tested
 * with small and huge pages.
 */
START_TEST(stores_after_fsync_are_noticed)
{
    static const struct ext2dax_memory_ops ops = {.size = sizeof(ops), .persist = count_persist};
    struct mounted_options options = {.memory_ops = &ops, .order = EXT2DAX_ORDERED};
    struct ext2dax_inode *file;
    struct ext2dax_run run;
    uint64_t page = _i ? 2 * HUGE / PAGE + 5 : 5;
    uint8_t *at;

    start(&options);
    file = make_file(&m, "f", 16 * PAGE);
    if (_i)
        ck_assert_int_eq(ext2dax_allocate(file, 0, 4 * (uint64_t)HUGE, false), 0);
    at = map_file(&m, file, 0, 4 * (uint64_t)HUGE, EXT2DAX_MAP_WRITE);
    poke(at + page * PAGE, 1);
    ck_assert_int_eq(ext2dax_map(file, page, 1, &run), 0);
    watched = (uint8_t *)m.memory.base + run.physical * PAGE;
    for (uint8_t round = 0; round < 3; round++) {
        ck_assert_int_eq(stored(at + page * PAGE + 1, round), 0);
        persisted = 0;
        ck_assert_int_eq(ext2dax_fsync(file), 0);
        ck_assert_uint_gt(persisted, 0);
        persisted = 0;
        ck_assert_int_eq(ext2dax_fsync(file), 0);
        ck_assert_uint_eq(persisted, 0);
        /* so the next store follows a read */
        ck_assert_int_eq(loaded(at + page * PAGE + 1), round);
        if (round & 1)
            ck_assert_uint_eq(peek(at + page * PAGE + 9), 0);
    }
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    finish();
}
END_TEST

static bool is_shared(const void *at)
{
    static struct maps maps;
    bool shared = false;

    for (maps_open(&maps); maps_next(&maps);)
        shared = shared || (maps.low <= (uintptr_t)at && (uintptr_t)at < maps.high && maps.shared);
    return shared;
}

START_TEST(system_calls_store_in_private_copies)
{
    struct ext2dax_inode *file;
    uint8_t *at;

    start(NULL);
    file = make_file(&m, "f", 20 * PAGE);
    fill(file, 0, 10 * PAGE, 0x11);
    at = map_file(&m, file, 0, 20 * PAGE, EXT2DAX_MAP_WRITE | EXT2DAX_MAP_PRIVATE);
    ck_assert_int_eq(loaded(at + 2 * PAGE), 0x11);
    ck_assert_int_eq(loaded(at + 15 * PAGE), 0);
    /* so no store could reach the file even without write protection */
    ck_assert(!is_shared(at + 2 * PAGE));
    for (unsigned i = 2; i < 20; i += 3) {
        ck_assert_int_eq(stored(at + i * PAGE + 8, 0x22), 0);
        ck_assert_int_eq(loaded(at + i * PAGE + 8), 0x22);
        ck_assert_int_eq(loaded(at + i * PAGE), i < 10 ? 0x11 : 0);
        ck_assert_uint_eq(byte_of(file, i * PAGE + 8), i < 10 ? 0x11 : 0);
    }
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    finish();
}
END_TEST

START_TEST(the_end_moves)
{
    struct ext2dax_inode *file;
    uint8_t *at, *part;

    start(NULL);
    file = make_file(&m, "f", 10000);
    at = map_file(&m, file, 0, 64 * PAGE, EXT2DAX_MAP_WRITE);
    part = map_file(&m, file, 8 * PAGE, 8 * PAGE, EXT2DAX_MAP_WRITE);
    for (unsigned round = 0; round < 20; round++) {
        ck_assert_int_eq(loaded(at + 2 * PAGE + 4000), 0);
        ck_assert_int_eq(loaded(at + 3 * PAGE), -EFAULT);
        ck_assert_int_eq(stored(at + 3 * PAGE, 1), -EFAULT);
        ck_assert_int_eq(stored(part, 1), -EFAULT);
        ck_assert_int_eq(access_byte(part + PAGE, true), SIGBUS);
        ck_assert_ptr_eq(access_signal.si_addr, part + PAGE);
        /* The call returns the bytes up to the end of file. */
        ck_assert_int_eq(write(pipes[1], at, 5 * PAGE), 3 * PAGE);
        ck_assert_int_eq(read(pipes[0], at, 3 * PAGE), 3 * PAGE);
        ck_assert_int_eq(ext2dax_truncate(file, 9 * PAGE + 1), 0);
        ck_assert_int_eq(stored(part + PAGE, (uint8_t)(round + 1)), 0);
        ck_assert_int_eq(loaded(at + 9 * PAGE), round + 1);
        ck_assert_int_eq(loaded(at + 10 * PAGE), -EFAULT);
        if (round & 1)
            fill(file, 20 * PAGE, 1, 7);
        else
            ck_assert_int_eq(ext2dax_allocate(file, 20 * PAGE, PAGE, false), 0);
        ck_assert_int_eq(loaded(at + 20 * PAGE), round & 1 ? 7 : 0);
        ck_assert_int_eq(access_byte(at + 21 * PAGE, false), SIGBUS);
        ck_assert_int_eq(ext2dax_truncate(file, 10000), 0);
    }
    unmap_file(&m, part);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    finish();
}
END_TEST

#define GROWN_PAGES 3000
#define GROWN_SHOWN 40

static void *grow_by_pages(void *file)
{
    for (uint64_t pages = 1; pages <= GROWN_PAGES; pages++)
        if (ext2dax_truncate(file, pages * PAGE) != 0)
            return "truncate failed";
    return NULL;
}

/*
 * A thread which has seen a new size may access all of it, even in the mapping which is extended
 * last.
 */
START_TEST(what_is_seen_to_be_there_can_be_accessed)
{
    struct ext2dax_inode *file;
    struct ext2dax_stat stat;
    uint8_t *at[GROWN_SHOWN];
    uint64_t last = 0;
    pthread_t thread;
    void *failed;

    start(NULL);
    file = make_file(&m, "f", 0);
    for (unsigned i = 0; i < GROWN_SHOWN; i++)
        at[i] = map_file(&m, file, 0, GROWN_PAGES * PAGE, 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, grow_by_pages, file), 0);
    while (last < GROWN_PAGES) {
        ext2dax_stat(file, &stat, sizeof(stat));
        if (stat.size / PAGE == last)
            continue;
        last = stat.size / PAGE;
        ck_assert_int_eq(access_byte(at[last % 2 ? 0 : GROWN_SHOWN - 1] + (last - 1) * PAGE, false), 0);
    }
    pthread_join(thread, &failed);
    ck_assert_ptr_null(failed);
    for (unsigned i = 0; i < GROWN_SHOWN; i++)
        unmap_file(&m, at[i]);
    ext2dax_inode_put(file);
    finish();
}
END_TEST

/* A store without a free block fails by either path, and only while no block is free. */
START_TEST(no_space_is_refused_while_there_is_none)
{
    struct mounted_options options = {.size = 4u << 20};
    struct ext2dax_inode *file, *hog;
    struct ext2dax_statfs figures;
    uint8_t *at;

    start(&options);
    file = make_file(&m, "f", 300 * PAGE);
    ck_assert_int_eq(ext2dax_write(file, 0, "x", 1), 1);
    at = map_file(&m, file, 0, 300 * PAGE, EXT2DAX_MAP_WRITE);
    /* a zero page, which must stay readable after a refused store */
    ck_assert_int_eq(loaded(at + 13 * PAGE), 0);
    hog = make_file(&m, "g", 0);
    ext2dax_statfs(m.mount, &figures, sizeof(figures));
    for (uint64_t size = figures.free_blocks; size > 0; size--)
        if (ext2dax_allocate(hog, 0, size * PAGE, false) == 0)
            break;
    for (unsigned round = 0; round < 3; round++) {
        ck_assert_int_eq(stored(at + 12 * PAGE, 1), -EFAULT);
        ck_assert_int_eq(stored(at + 13 * PAGE, 1), -EFAULT);
        ck_assert_int_eq(access_byte(at + 14 * PAGE, true), SIGBUS);
        ck_assert_ptr_eq(access_signal.si_addr, at + 14 * PAGE);
        ck_assert_int_eq(access_byte(at + 13 * PAGE, true), SIGBUS);
        ck_assert_int_eq(loaded(at), 'x');
        ck_assert_int_eq(access_byte(at + 13 * PAGE, false), 0);
        usleep(round * 10000); /* and again after the page has returned to its earlier state */
    }
    ck_assert_int_eq(ext2dax_truncate(hog, 0), 0);
    ck_assert_int_eq(access_byte(at + 14 * PAGE, true), 0);
    /* A system call may still be refused for a few milliseconds. */
    for (unsigned i = 12; i < 14; i++)
        for (unsigned wait = 0; stored(at + i * PAGE, 5) != 0; wait++)
            wait_a_moment(wait);
    ck_assert_uint_eq(byte_of(file, 12 * PAGE), 5);
    ck_assert_uint_eq(byte_of(file, 13 * PAGE), 5);
    unmap_file(&m, at);
    ext2dax_inode_put(hog);
    ext2dax_inode_put(file);
    finish();
}
END_TEST

/* A page refused for stores on a read-only mount accepts stores after the remount. */
START_TEST(a_refusal_ends_with_its_reason)
{
    struct ext2dax_inode *file;
    uint8_t *at;

    start(NULL);
    file = make_file(&m, "f", 8 * PAGE);
    fill(file, 0, 8 * PAGE, 0x11);
    at = map_file(&m, file, 0, 8 * PAGE, EXT2DAX_MAP_WRITE);
    for (unsigned round = 0; round < 20; round++) {
        ck_assert_int_eq(loaded(at + 3 * PAGE), 0x11);
        ck_assert_int_eq(ext2dax_remount(m.mount, EXT2DAX_MOUNT_READ_ONLY), 0);
        ck_assert_int_eq(access_byte(at + 3 * PAGE + 1, true), SIGBUS);
        ck_assert_int_eq(ext2dax_remount(m.mount, 0), 0);
        ck_assert_int_eq(access_byte(at + 3 * PAGE + 1, true), 0);
        for (unsigned wait = 0; stored(at + 3 * PAGE + 2, 5) != 0; wait++)
            wait_a_moment(wait);
        ck_assert_int_eq(ext2dax_fsync(file), 0);
    }
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    finish();
}
END_TEST

/*
 * mlockall() makes all memory present, now and later. It must not put a page over a page not
 * present, which would hide the file.
 */
START_TEST(memory_may_be_locked)
{
    struct mounted_options options = {.size = 4u << 20};
    struct ext2dax_inode *file;
    uint8_t *at, *later;

    start(&options);
    file = make_file(&m, "f", 40 * PAGE);
    fill(file, 0, 20 * PAGE, 0x11);
    at = map_file(&m, file, 0, 50 * PAGE, EXT2DAX_MAP_WRITE);
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        printf("left out: mappings in locked memory: %s\n", strerror(errno));
        unmap_file(&m, at);
        ext2dax_inode_put(file);
        finish();
        return;
    }
    later = map_file(&m, file, 0, 50 * PAGE, EXT2DAX_MAP_WRITE);
    for (unsigned round = 0; round < 3; round++) {
        uint8_t byte = (uint8_t)(0x11 + round);

        for (unsigned i = 0; i < 20; i++) {
            ck_assert_uint_eq(peek(later + i * PAGE), byte);
            ck_assert_int_eq(loaded(at + i * PAGE), byte);
        }
        ck_assert_int_eq(ext2dax_punch(file, 0, 20 * PAGE), 0);
        for (unsigned i = 0; i < 20; i++) {
            ck_assert_int_eq(loaded(at + i * PAGE), 0);
            ck_assert_int_eq(stored(at + i * PAGE + 8, 0x77), 0);
            ck_assert_uint_eq(byte_of(file, i * PAGE + 8), 0x77);
        }
        ck_assert_int_eq(ext2dax_truncate(file, 0), 0);
        ck_assert_int_eq(ext2dax_truncate(file, 40 * PAGE), 0);
        fill(file, 0, 20 * PAGE, (uint8_t)(byte + 1));
        if (round == 0)
            ck_assert_int_eq(mlockall(MCL_CURRENT), 0);
    }
    munlockall();
    unmap_file(&m, later);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    finish();
}
END_TEST

/* ---- other images, other processes ---- */

START_TEST(an_image_that_is_no_shared_memory)
{
    static const char name[] = "test_userfaultfd.image";
    struct ext2dax_process_options options = {.size = sizeof(options), .method = EXT2DAX_FAULT_METHOD_USERFAULTFD};
    struct ext2dax_mount_options mount = {.size = sizeof(mount), .recover = ext2dax_recover};
    struct ext2dax_plugs plugs;
    struct ext2dax_inode *file;
    struct statfs figures;
    uint8_t *at;

    ck_assert_int_eq(statfs(".", &figures), 0);
    if (figures.f_type == 0x01021994) {
        printf("left out: an image on disk: the tests run on tmpfs\n");
        return;
    }
    catch_signals();
    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    memset(&m, 0, sizeof(m));
    memset(&plugs, 0, sizeof(plugs));
    ck_assert_int_eq(ext2dax_memory_open_file(name, EXT2DAX_FILE_CREATE, 16u << 20, &m.memory), 0);
    unlink(name);
    ck_assert_int_eq(ext2dax_format(&m.memory, NULL, NULL), 0);
    ck_assert_int_eq(ext2dax_host_open(NULL, &m.host), 0);
    plugs.locks = ext2dax_locks_default();
    plugs.memory = m.memory;
    plugs.host = m.host;
    ck_assert_int_eq(ext2dax_process_open(&m.memory, plugs.locks, &options, &m.process), 0);
    plugs.address_space = ext2dax_process_address_space(m.process);
    ck_assert_int_eq(ext2dax_mount(&plugs, &mount, &m.mount), 0);
    ck_assert_int_eq(ext2dax_inode_get(m.mount, EXT2DAX_ROOT_INODE, &m.root), 0);

    file = make_file(&m, "f", 40 * PAGE);
    fill(file, 0, 20 * PAGE, 0x11);
    at = map_file(&m, file, 0, 40 * PAGE, EXT2DAX_MAP_WRITE);
    ck_assert_int_eq(loaded(at + 6 * PAGE), 0x11);
    /*
     * A page read first refuses the store of a system call, as documented in hosted/process.h. A
     * store of the program itself succeeds.
     */
    ck_assert_int_eq(stored(at + 7 * PAGE, 0x33), -EFAULT);
    ck_assert_int_eq(access_byte(at + 7 * PAGE, true), 0);
    ck_assert_int_eq(stored(at + 7 * PAGE, 0x33), 0);
    ck_assert_int_eq(loaded(at + 30 * PAGE), 0);
    ck_assert_int_eq(stored(at + 30 * PAGE, 0x44), 0);
    ck_assert_int_eq(ext2dax_fsync(file), 0);
    ck_assert_int_eq(stored(at + 7 * PAGE, 0x55), 0);
    ck_assert_int_eq(ext2dax_truncate(file, 3 * PAGE), 0);
    ck_assert_int_eq(stored(at + 7 * PAGE, 0x33), -EFAULT);
    ck_assert_int_eq(access_byte(at + 7 * PAGE, false), SIGBUS);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    finish();
}
END_TEST

static void without_privilege(void)
{
    struct ext2dax_process_options options = {.size = sizeof(options), .method = EXT2DAX_FAULT_METHOD_USERFAULTFD};
    struct ext2dax_process *process = (void *)&options;
    struct ext2dax_memory memory;
    const char *why = NULL;

    if (ext2dax_memory_open_anonymous("image", 1u << 20, &memory) != 0 || setgid(65534) != 0 || setuid(65534) != 0)
        child_exit(1);
    /* Some systems permit userfaultfd to every user. */
    if (ext2dax_process_may(options.method, &why) == 0)
        child_exit(2);
    if (ext2dax_process_may(options.method, &why) != -EXT2DAX_EPERM || !why || !strstr(why, "/dev/userfaultfd"))
        child_exit(3);
    if (ext2dax_process_open(&memory, ext2dax_locks_default(), &options, &process) != -EXT2DAX_EPERM || process)
        child_exit(4);
    child_exit(0);
}

START_TEST(without_privilege_it_says_what_is_missing)
{
    int code;

    if (geteuid() != 0) {
        printf("left out: privilege to be given up: not root\n");
        return;
    }
    code = in_child(without_privilege);
    if (code == 1002)
        printf("left out: a refusal: this system lets anybody use userfaultfd\n");
    else
        ck_assert_int_eq(code, 1000);
}
END_TEST

/* The library runs two threads of its own, so locks which lock nothing are refused. */
START_TEST(locks_that_lock_nothing_are_refused)
{
    struct ext2dax_process_options options = {.size = sizeof(options), .method = EXT2DAX_FAULT_METHOD_USERFAULTFD};
    struct ext2dax_process *process = (void *)&options;
    struct ext2dax_memory memory;

    ck_assert_int_eq(ext2dax_memory_open_anonymous("image", 1u << 20, &memory), 0);
    ck_assert_int_eq(ext2dax_process_open(&memory, ext2dax_locks_none(), &options, &process), -EXT2DAX_EINVAL);
    ck_assert_ptr_null(process);
    ext2dax_memory_close_file(&memory);
}
END_TEST

static uint8_t *inherited;

/* A child has neither the mappings of its parent nor the threads which resolve faults. */
static void access_inherited(void)
{
    (void)peek(inherited);
}

START_TEST(a_child_dies_of_an_access)
{
    struct ext2dax_inode *file;

    start(NULL);
    file = make_file(&m, "f", 600 * PAGE);
    inherited = map_file(&m, file, 0, 600 * PAGE, EXT2DAX_MAP_WRITE);
    ck_assert_int_eq(in_child(access_inherited), SIGSEGV); /* not present */
    poke(inherited, 1);
    ck_assert_int_eq(in_child(access_inherited), SIGSEGV); /* mapped */
    (void)peek(inherited + 50 * PAGE);
    inherited += 50 * PAGE;
    ck_assert_int_eq(in_child(access_inherited), SIGSEGV); /* write-protected */
    unmap_file(&m, inherited - 50 * PAGE);
    ext2dax_inode_put(file);
    finish();
}
END_TEST

int main(void)
{
    Suite *suite;
    TCase *tcase;

    if (left_out_method())
        return SKIPPED;
    suite = suite_create("address space: userfaultfd");
    tcase = add_case(suite, "process", 60);
    tcase_add_test(tcase, system_calls_load_and_store);
    tcase_add_loop_test(tcase, stores_after_fsync_are_noticed, 0, 2);
    tcase_add_test(tcase, system_calls_store_in_private_copies);
    tcase_add_test(tcase, the_end_moves);
    tcase_add_test(tcase, what_is_seen_to_be_there_can_be_accessed);
    tcase_add_test(tcase, no_space_is_refused_while_there_is_none);
    tcase_add_test(tcase, a_refusal_ends_with_its_reason);
    tcase_add_test(tcase, memory_may_be_locked);
    tcase_add_test(tcase, an_image_that_is_no_shared_memory);
    tcase_add_test(tcase, without_privilege_it_says_what_is_missing);
    tcase_add_test(tcase, locks_that_lock_nothing_are_refused);
    tcase_add_test(tcase, a_child_dies_of_an_access);
    return run_suite(suite);
}
