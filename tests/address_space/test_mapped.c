/* SPDX-License-Identifier: MIT */
/*
 * The kinds of mappings of a file, and what refuses a mapping or an access. The faults are real and
 * resolved by the fault family.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ext2dax/hosted/lock.h"

#include "mounted.h"
#include "fault_method.h"
#include "../runner.h"

static struct mounted m;
static const char *const lock_names[] = {"atomic_ops", "pthread"};

START_TEST(private_stores_stay_private)
{
    struct ext2dax_inode *file;
    uint8_t *at, *shared;
    uint64_t sectors;

    catch_signals();
    mounted_open(&m, NULL);
    file = make_file(&m, "f", 20 * PAGE);
    fill(file, 0, 10 * PAGE, 0x11);
    at = map_file(&m, file, 0, 20 * PAGE, EXT2DAX_MAP_WRITE | EXT2DAX_MAP_PRIVATE);
    shared = map_file(&m, file, 0, 20 * PAGE, EXT2DAX_MAP_WRITE);
    sectors = sectors_of(file);
    poke(at + 2 * PAGE, 0x22);
    poke(at + 15 * PAGE, 0x33);
    ck_assert_uint_eq(sectors_of(file), sectors);
    ck_assert_uint_eq(peek(at + 2 * PAGE), 0x22);
    ck_assert_uint_eq(peek(at + 2 * PAGE + 1), 0x11);
    ck_assert_uint_eq(byte_of(file, 2 * PAGE), 0x11);
    ck_assert_uint_eq(byte_of(file, 15 * PAGE), 0);
    /* Changes of the file are visible in pages without a private copy, and only there. */
    ck_assert_uint_eq(peek(at + 5 * PAGE), 0x11);
    poke(shared + 5 * PAGE, 0x44);
    poke(shared + 2 * PAGE, 0x44);
    ck_assert_uint_eq(peek(at + 5 * PAGE), 0x44);
    ck_assert_uint_eq(peek(at + 2 * PAGE), 0x22);
    fill(file, 15 * PAGE, 1, 0x55);
    ck_assert_uint_eq(peek(at + 15 * PAGE), 0x33);
    ck_assert_int_eq(ext2dax_punch(file, 0, 5 * PAGE), 0);
    ck_assert_uint_eq(peek(at + 2 * PAGE), 0x22);
    ck_assert_uint_eq(peek(at + 3 * PAGE), 0);
    /* Truncate drops private copies too. */
    ck_assert_int_eq(ext2dax_truncate(file, 15 * PAGE), 0);
    ck_assert_int_eq(access_byte(at + 15 * PAGE, false), SIGBUS);
    ck_assert_int_eq(ext2dax_truncate(file, 20 * PAGE), 0);
    ck_assert_uint_eq(peek(at + 15 * PAGE), 0);
    ck_assert_uint_eq(peek(at + 2 * PAGE), 0x22);
    unmap_file(&m, shared);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

START_TEST(aligned_pmd_ranges_take_one_fault_each)
{
    struct ext2dax_process_counters before;
    struct ext2dax_counters figures;
    struct ext2dax_inode *file;
    uint8_t *at;

    mounted_open(&m, NULL);
    file = make_file(&m, "f", 0);
    ck_assert_int_eq(ext2dax_allocate(file, 0, 8 * (uint64_t)HUGE, false), 0);
    at = map_file(&m, file, 0, 8 * (uint64_t)HUGE, EXT2DAX_MAP_WRITE);
    before = count(&m);
    for (unsigned i = 0; i < 8 * HUGE / PAGE; i += 3)
        poke(at + i * PAGE, (uint8_t)(i + 1));
    ck_assert_uint_eq(count(&m).traps - before.traps, 8);
    ext2dax_count(m.mount, &figures, sizeof(figures));
    ck_assert_uint_eq(figures.huge_mapped, 8);
    /* fsync write-protects whole huge pages. A store makes each writable as a whole again. */
    ck_assert_int_eq(ext2dax_fsync(file), 0);
    before = count(&m);
    for (unsigned i = 0; i < 8 * HUGE / PAGE; i += 3)
        poke(at + i * PAGE + 1, (uint8_t)(i + 1));
    ck_assert(!SHOWS_STORES || count(&m).traps - before.traps == 8);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

START_TEST(a_fragmented_file_is_swept_within_the_limit)
{
    struct mounted_options options = {.max_mappings = 64};
    struct ext2dax_inode *file, *other;
    uint64_t pages = 3000, wrong = 0;
    uint8_t *at;

    mounted_open(&m, &options);
    file = make_file(&m, "f", 0);
    other = make_file(&m, "g", 0);
    for (uint64_t i = 0; i < pages; i++) {
        fill(file, i * PAGE, PAGE, (uint8_t)(i % 251));
        fill(other, i * PAGE, PAGE, 0xFF);
    }
    at = map_file(&m, file, 0, pages * PAGE, EXT2DAX_MAP_WRITE);
    for (uint64_t i = 0; i < pages; i++)
        wrong += peek(at + i * PAGE + 7) != i % 251;
    ck_assert_uint_eq(wrong, 0);
    for (uint64_t i = pages; i-- > 0;)
        poke(at + i * PAGE + 8, (uint8_t)(i % 241));
    ck_assert_uint_gt(count(&m).evicted, 0);
    for (uint64_t i = 0; i < pages; i++)
        ck_assert_uint_eq(byte_of(file, i * PAGE + 8), i % 241);
    unmap_file(&m, at);
    ext2dax_inode_put(other);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

START_TEST(a_mapping_may_be_the_buffer_of_its_own_file)
{
    struct ext2dax_inode *file;
    uint8_t *at;

    mounted_open(&m, NULL);
    file = make_file(&m, "f", 64 * PAGE);
    fill(file, 0, 8 * PAGE, 0x12);
    at = map_file(&m, file, 0, 64 * PAGE, EXT2DAX_MAP_WRITE);
    ck_assert_int_eq(ext2dax_write(file, 32 * PAGE, at, 8 * PAGE), 8 * PAGE);
    ck_assert_uint_eq(peek(at + 39 * PAGE), 0x12);
    ck_assert_int_eq(ext2dax_read(file, 0, at + 50 * PAGE, 8 * PAGE), 8 * PAGE);
    ck_assert_uint_eq(byte_of(file, 57 * PAGE), 0x12);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

/*
 * A write or read with a mapping of the same file as its buffer moves the bytes from before the
 * call, as memmove() does.
 */
START_TEST(a_mapping_may_show_the_bytes_that_are_moved)
{
    enum { SIZE = 64 * PAGE, TURNS = 200 };
    static uint8_t expected[2 * SIZE], got[2 * SIZE];
    struct ext2dax_inode *file, *other;
    unsigned seed = 20261129;
    uint8_t *mapping[3];

    mounted_open(&m, NULL);
    file = make_file(&m, "f", SIZE);
    other = make_file(&m, "g", SIZE);
    mapping[0] = map_file(&m, file, 0, 2 * SIZE, EXT2DAX_MAP_WRITE);
    mapping[1] = map_file(&m, file, 0, 2 * SIZE, EXT2DAX_MAP_WRITE | EXT2DAX_MAP_PRIVATE);
    mapping[2] = map_file(&m, other, 0, SIZE, EXT2DAX_MAP_WRITE);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        const uint8_t *from_mapping = mapping[turn % 8 == 0];
        size_t from = (size_t)rand_r(&seed) % (SIZE / 2), to = (size_t)rand_r(&seed) % (SIZE / 2);
        size_t length = 1 + (size_t)rand_r(&seed) % (SIZE / 2);

        if (turn % 4 == 0)
            to = from + turn % 3 * 64;
        ck_assert_int_eq(ext2dax_truncate(file, SIZE), 0);
        for (size_t i = 0; i < SIZE; i++)
            expected[i] = (uint8_t)rand_r(&seed);
        ck_assert_int_eq(ext2dax_write(file, 0, expected, SIZE), SIZE);
        if (turn % 5 == 0) {
            ck_assert_int_eq(ext2dax_punch(file, 5 * PAGE, 9 * PAGE), 0);
            memset(expected + 5 * PAGE, 0, 9 * PAGE);
        }
        if (turn % 2 == 0) {
            memmove(expected + to, expected + from, length);
            ck_assert_int_eq(ext2dax_write(file, to, from_mapping + from, length), (int64_t)length);
        } else {
            memmove(expected + to, expected + from, length);
            ck_assert_int_eq(ext2dax_read(file, from, mapping[0] + to, length), (int64_t)length);
        }
        ck_assert_int_eq(ext2dax_read(file, 0, got, SIZE), SIZE);
        ck_assert_msg(memcmp(got, expected, SIZE) == 0, "turn %u: %zu bytes from %zu to %zu", turn, length, from, to);
    }
    /* Writes past the end, so the file is extended below its own mapping. */
    ck_assert_int_eq(ext2dax_write(file, SIZE - 100, mapping[0], SIZE), SIZE);
    memmove(expected + SIZE - 100, expected, SIZE);
    ck_assert_int_eq(ext2dax_read(file, 0, got, sizeof(got)), 2 * SIZE - 100);
    ck_assert_mem_eq(got, expected, 2 * SIZE - 100);
    /*
     * A mapping of another file, or of other bytes of this file, needs no intermediate copy. The
     * bytes move all the same.
     */
    memset(mapping[2], 0x77, SIZE);
    ck_assert_int_eq(ext2dax_write(file, 0, mapping[2], SIZE), SIZE);
    ck_assert_uint_eq(byte_of(file, SIZE - 1), 0x77);
    ck_assert_int_eq(ext2dax_write(file, 0, mapping[0] + SIZE, SIZE - 100), SIZE - 100);
    ck_assert_uint_eq(byte_of(file, 0), got[SIZE]);
    for (unsigned i = 0; i < 3; i++)
        unmap_file(&m, mapping[i]);
    ext2dax_inode_put(file);
    ext2dax_inode_put(other);
    mounted_close(&m);
}
END_TEST

START_TEST(a_file_without_a_name_lives_while_it_is_mapped)
{
    struct ext2dax_statfs before, after;
    struct ext2dax_inode *file;
    uint8_t *at;

    mounted_open(&m, NULL);
    ext2dax_statfs(m.mount, &before, sizeof(before));
    file = make_file(&m, "f", 16 * PAGE);
    at = map_file(&m, file, 0, 16 * PAGE, EXT2DAX_MAP_WRITE);
    ck_assert_int_eq(ext2dax_unlink(m.root, "f", 1), 0);
    ext2dax_inode_put(file);
    poke(at + 4 * PAGE, 9);
    ck_assert_uint_eq(peek(at + 4 * PAGE), 9);
    ck_assert_int_eq(ext2dax_unmount(m.mount), -EXT2DAX_EBUSY);
    unmap_file(&m, at);
    ext2dax_statfs(m.mount, &after, sizeof(after));
    ck_assert_uint_eq(after.free_blocks, before.free_blocks);
    mounted_close(&m);
}
END_TEST

START_TEST(what_cannot_be_mapped_is_refused)
{
    struct mounted_options small = {.block_size = 1024};
    struct mounted another;
    struct ext2dax_inode *file;
    void *at;

    mounted_open(&m, &small);
    file = make_file(&m, "f", PAGE);
    ck_assert_int_eq(ext2dax_process_map(m.process, file, 0, PAGE, 0, &at), -EXT2DAX_EOPNOTSUPP);
    ck_assert_ptr_null(at);
    ext2dax_inode_put(file);
    mounted_close(&m);

    mounted_open(&m, NULL);
    mounted_open(&another, NULL);
    file = make_file(&m, "f", PAGE);
    ck_assert_int_eq(ext2dax_process_map(another.process, file, 0, PAGE, 0, &at), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_process_map(m.process, file, 5, PAGE, 0, &at), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_process_map(m.process, file, 0, 0, 0, &at), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_process_map(m.process, file, 0, PAGE, 0x80, &at), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_process_map(m.process, m.root, 0, PAGE, 0, &at), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_process_map(m.process, file, UINT64_MAX - PAGE + 1, 2 * PAGE, 0, &at), -EXT2DAX_EOVERFLOW);
    ck_assert_int_eq(ext2dax_process_map(m.process, file, 0, UINT64_MAX, 0, &at), -EXT2DAX_EOVERFLOW);
    ck_assert_int_eq(ext2dax_remount(m.mount, EXT2DAX_MOUNT_READ_ONLY), 0);
    ck_assert_int_eq(ext2dax_process_map(m.process, file, 0, PAGE, EXT2DAX_MAP_WRITE, &at), -EXT2DAX_EROFS);
    at = map_file(&m, file, 0, PAGE, EXT2DAX_MAP_WRITE | EXT2DAX_MAP_PRIVATE);
    poke(at, 3);
    ck_assert_uint_eq(peek(at), 3);
    ck_assert_int_eq(ext2dax_process_close(m.process), -EXT2DAX_EBUSY);
    unmap_file(&m, at);
    ck_assert_int_eq(ext2dax_remount(m.mount, 0), 0);
    ext2dax_inode_put(file);
    mounted_close(&another);
    mounted_close(&m);
}
END_TEST

/*
 * A mapping which needs files of its own above RLIMIT_FSIZE is refused with EFBIG. The process is
 * not killed.
 */
START_TEST(a_limit_of_file_sizes_is_told)
{
    struct rlimit before, limit;
    struct ext2dax_inode *file;
    void *at;

    catch_signals();
    mounted_open(&m, NULL);
    file = make_file(&m, "f", 4u << 20);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 1u << 20;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(ext2dax_process_map(m.process, file, 0, 4u << 20, EXT2DAX_MAP_WRITE | EXT2DAX_MAP_PRIVATE, &at),
                     -EXT2DAX_EFBIG);
    if (by_userfaultfd())
        ck_assert_int_eq(ext2dax_process_map(m.process, file, 0, 4u << 20, 0, &at), -EXT2DAX_EFBIG);
    at = map_file(&m, file, 3u << 20, 1u << 20, EXT2DAX_MAP_WRITE | EXT2DAX_MAP_PRIVATE);
    ck_assert_int_eq(access_byte(at, true), 0);
    unmap_file(&m, at);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

/*
 * Tests an image inside a file, as in a partition. Mapped blocks lie after the offset in the file.
 * An offset aligned to a huge page allows huge mappings, and an offset aligned to a page allows
 * small ones. With any other offset, files can be read and written but not mapped.
 */
START_TEST(an_image_inside_a_file)
{
    static const uint64_t offsets[] = {HUGE, 1u << 20, HUGE + PAGE, 63 * 512};
    uint64_t offset = offsets[_i];
    char path[] = "/dev/shm/ext2dax-inside-XXXXXX";
    struct mounted_options options = {.path = path, .offset = offset};
    struct ext2dax_statfs figures;
    struct ext2dax_inode *file;
    struct ext2dax_run run;
    uint8_t *at, bytes[2];
    void *none;
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, "before", 6, 0), 6);
    mounted_open(&m, &options);
    ext2dax_statfs(m.mount, &figures, sizeof(figures));
    file = make_file(&m, "f", 4 * HUGE);
    fill(file, 0, 3 * PAGE, 0x41);
    if (offset % PAGE != 0) {
        ck_assert_uint_eq(figures.pmd_pages, 0);
        ck_assert_int_eq(ext2dax_process_map(m.process, file, 0, PAGE, 0, &none), -EXT2DAX_EOPNOTSUPP);
        ck_assert_uint_eq(byte_of(file, 2 * PAGE), 0x41);
        goto out;
    }
    at = map_file(&m, file, 0, 4 * HUGE, EXT2DAX_MAP_WRITE);
    ck_assert_uint_eq(peek(at + PAGE), 0x41);
    poke(at + PAGE, 0x42);
    poke(at + 3 * HUGE + 7, 0x43);
    ck_assert_uint_eq(byte_of(file, 3 * HUGE + 7), 0x43);
    ck_assert_uint_eq(byte_of(file, 3 * HUGE + PAGE), 0);
    ck_assert_int_eq(ext2dax_map(file, 1, 1, &run), 0);
    ck_assert_int_eq(pread(fd, bytes, 2, (off_t)(offset + run.physical * PAGE)), 2);
    ck_assert(bytes[0] == 0x42 && bytes[1] == 0x41);
    ck_assert_int_eq(ext2dax_map(file, 3 * HUGE / PAGE, 1, &run), 0);
    ck_assert_int_eq(pread(fd, bytes, 1, (off_t)(offset + run.physical * PAGE + 7)), 1);
    ck_assert_uint_eq(bytes[0], 0x43);
    ck_assert_int_eq(count(&m).huge != 0, offset % HUGE == 0);
    ck_assert_int_eq(ext2dax_punch(file, 0, HUGE), 0);
    ck_assert_uint_eq(peek(at + PAGE), 0);
    unmap_file(&m, at);
out:
    ck_assert_int_eq(ext2dax_fsync(file), 0);
    ext2dax_inode_put(file);
    mounted_close(&m);
    ck_assert_int_eq(pread(fd, bytes, 2, 0), 2);
    ck_assert(bytes[0] == 'b' && bytes[1] == 'e');
    close(fd);
    unlink(path);
}
END_TEST

/*
 * Lowers RLIMIT_FSIZE below an existing private mapping, so further copies have no place. Populate
 * returns EFBIG and a store raises SIGBUS.
 */
START_TEST(a_limit_lowered_later_is_told)
{
    const struct rlimit limit = {8 * PAGE, RLIM_INFINITY};
    struct ext2dax_inode *file;
    struct rlimit before;
    uint8_t *at;

    catch_signals();
    mounted_open(&m, NULL);
    file = make_file(&m, "f", 16 * PAGE);
    fill(file, 0, 16 * PAGE, 0x11);
    at = map_file(&m, file, 0, 16 * PAGE, EXT2DAX_MAP_WRITE | EXT2DAX_MAP_PRIVATE);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(ext2dax_process_populate(m.process, at + 7 * PAGE, PAGE, true), 0);
    ck_assert_int_eq(ext2dax_process_populate(m.process, at + 8 * PAGE, PAGE, true), -EXT2DAX_EFBIG);
    ck_assert_int_eq(access_byte(at + 9 * PAGE, true), SIGBUS);
    ck_assert_int_eq(access_byte(at + 9 * PAGE, false), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_int_eq(access_byte(at + 10 * PAGE, true), 0);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

static struct ext2dax_inode *shortened;
static int stored_when_cancelled;

/* Makes no assertion, because an assertion is a cancellation point. */
static void *store_when_cancelled(void *arg)
{
    pthread_cancel(pthread_self());
    poke(arg, 0x22);
    stored_when_cancelled = ext2dax_truncate(shortened, 3 * PAGE) == 0;
    pthread_testcancel();
    return NULL;
}

/*
 * A store is not a cancellation point, even if it makes a private copy. No lock is held after the
 * thread has ended.
 */
START_TEST(a_cancelled_thread_holds_nothing)
{
    struct mounted_options options = {.locks = lock_names[_i]};
    pthread_t thread;
    void *result;
    uint8_t *at;

    if (!ext2dax_locks_by_name(options.locks).ops)
        return;
    catch_signals();
    mounted_open(&m, &options);
    shortened = make_file(&m, "f", 8 * PAGE);
    fill(shortened, 0, PAGE, 0x11);
    /* A copy of a block, and a copy of a hole. */
    for (unsigned page = 0; page < 2; page++) {
        at = map_file(&m, shortened, 0, 2 * PAGE, EXT2DAX_MAP_WRITE | EXT2DAX_MAP_PRIVATE);
        stored_when_cancelled = 0;
        ck_assert_int_eq(pthread_create(&thread, NULL, store_when_cancelled, at + page * PAGE), 0);
        ck_assert_int_eq(pthread_join(thread, &result), 0);
        ck_assert_ptr_eq(result, PTHREAD_CANCELED);
        ck_assert_int_eq(stored_when_cancelled, 1);
        ck_assert_uint_eq(peek(at + page * PAGE), 0x22);
        unmap_file(&m, at);
    }
    ck_assert_int_eq(ext2dax_truncate(shortened, 0), 0);
    ext2dax_inode_put(shortened);
    mounted_close(&m);
}
END_TEST

int main(void)
{
    Suite *suite;
    TCase *tcase;

    tcase = mounted_case("address space: kinds of mappings", &suite);
    if (!tcase)
        return SKIPPED;
    tcase_add_test(tcase, private_stores_stay_private);
    tcase_add_test(tcase, aligned_pmd_ranges_take_one_fault_each);
    tcase_add_test(tcase, a_fragmented_file_is_swept_within_the_limit);
    tcase_add_test(tcase, a_mapping_may_be_the_buffer_of_its_own_file);
    tcase_add_test(tcase, a_mapping_may_show_the_bytes_that_are_moved);
    tcase_add_loop_test(tcase, an_image_inside_a_file, 0, 4);
    tcase_add_test(tcase, a_file_without_a_name_lives_while_it_is_mapped);
    tcase_add_test(tcase, a_limit_of_file_sizes_is_told);
    tcase_add_test(tcase, a_limit_lowered_later_is_told);
    tcase_add_loop_test(tcase, a_cancelled_thread_holds_nothing, 0, 2);
    tcase_add_test(tcase, what_cannot_be_mapped_is_refused);
    return run_suite(suite);
}
