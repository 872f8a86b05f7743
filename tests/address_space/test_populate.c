/* SPDX-License-Identifier: MIT */
/*
 * Tests pages made present before the first access. System calls on such pages succeed, and no
 * access traps.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mounted.h"
#include "race_detector.h"
#include "fault_method.h"
#include "../runner.h"

#define PAGES 64u

static struct mounted m;

static int populate(void *at, size_t length, bool write)
{
    return ext2dax_process_populate(m.process, at, length, write);
}

/* Makes a host file of PAGES pages which begins with `byte`. */
static int host_file(uint8_t byte)
{
    int fd = memfd_create("host", MFD_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, PAGES * PAGE), 0);
    ck_assert_int_eq(pwrite(fd, &byte, 1, 0), 1);
    return fd;
}

START_TEST(system_calls_succeed)
{
    static uint8_t expected[PAGES * PAGE], got[PAGES * PAGE];
    struct ext2dax_process_counters before;
    struct ext2dax_inode *file;
    int fd = host_file(1);
    uint8_t *at;

    mounted_open(&m, NULL);
    file = make_file(&m, "f", PAGES * PAGE);
    at = map_file(&m, file, 0, PAGES * PAGE, EXT2DAX_MAP_WRITE);
    for (unsigned i = 0; i < sizeof(expected); i++)
        expected[i] = (uint8_t)(i % 253);
    ck_assert_int_eq(pwrite(fd, expected, sizeof(expected), 0), sizeof(expected));
    before = count(&m);
    if (!by_userfaultfd()) {
        ck_assert_int_eq(pread(fd, at, PAGES * PAGE, 0), -1);
        ck_assert_int_eq(errno, EFAULT);
    }
    /* Reads into holes, then writes from the blocks allocated there. */
    ck_assert_int_eq(populate(at, PAGES * PAGE, true), 0);
    ck_assert_int_eq(pread(fd, at, PAGES * PAGE, 0), PAGES * PAGE);
    ck_assert_int_eq(ext2dax_read(file, 0, got, sizeof(got)), sizeof(got));
    ck_assert_int_eq(memcmp(got, expected, sizeof(got)), 0);
    ck_assert_int_eq(pwrite(fd, at, PAGES * PAGE, PAGES * PAGE), PAGES * PAGE);
    ck_assert_int_eq(pread(fd, got, sizeof(got), PAGES * PAGE), sizeof(got));
    ck_assert_int_eq(memcmp(got, expected, sizeof(got)), 0);
    /* After write protection by fsync and after a punch, populate makes the pages present again. */
    ck_assert_int_eq(ext2dax_fsync(file), 0);
    ck_assert_int_eq(populate(at + 3 * PAGE, PAGE, true), 0);
    ck_assert_int_eq(pread(fd, at + 3 * PAGE, PAGE, 5 * PAGE), PAGE);
    ck_assert_int_eq(ext2dax_punch(file, 0, PAGES * PAGE), 0);
    ck_assert_int_eq(populate(at, PAGES * PAGE, false), 0);
    ck_assert_int_eq(pwrite(fd, at, PAGES * PAGE, 0), PAGES * PAGE);
    ck_assert_int_eq(pread(fd, got, sizeof(got), 0), sizeof(got));
    memset(expected, 0, sizeof(expected));
    ck_assert_int_eq(memcmp(got, expected, sizeof(got)), 0);
    ck_assert_uint_eq(count(&m).traps, before.traps);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
    close(fd);
}
END_TEST

START_TEST(for_reading_allocates_nothing_for_storing_all)
{
    struct ext2dax_process_counters before;
    struct ext2dax_inode *file;
    uint64_t sectors;
    uint8_t *at;

    mounted_open(&m, NULL);
    file = make_file(&m, "f", PAGES * PAGE);
    fill(file, 5 * PAGE, PAGE, 0x55);
    sectors = sectors_of(file);
    at = map_file(&m, file, 0, PAGES * PAGE, EXT2DAX_MAP_WRITE);
    before = count(&m);
    ck_assert_int_eq(populate(at + 100, PAGES * PAGE - 100, false), 0);
    ck_assert_uint_eq(sectors_of(file), sectors);
    for (unsigned i = 0; i < PAGES; i++)
        ck_assert_uint_eq(peek(at + i * PAGE), i == 5 ? 0x55 : 0);
    ck_assert_uint_eq(count(&m).traps, before.traps);
    /* The range from the last byte of page 7 to the first byte of page 9 covers three pages. */
    ck_assert_int_eq(populate(at + 8 * PAGE - 1, PAGE + 2, true), 0);
    for (unsigned i = 7; i < 10; i++)
        poke(at + i * PAGE, 1);
    ck_assert_uint_eq(count(&m).traps, before.traps);
    ck_assert_uint_gt(sectors_of(file), sectors);
    ck_assert_uint_le(sectors_of(file), sectors + 8 * 4); /* includes a pointer block */
    poke(at + 10 * PAGE, 1);
    ck_assert_uint_gt(count(&m).traps, before.traps);
    /* Populating pages already present does nothing. */
    before = count(&m);
    ck_assert_int_eq(populate(at + 7 * PAGE, 3 * PAGE, true), 0);
    ck_assert_int_eq(populate(at, 0, true), 0);
    ck_assert_uint_eq(count(&m).mapped, before.mapped);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

START_TEST(private_mappings_get_their_copies)
{
    struct ext2dax_process_counters before;
    struct ext2dax_inode *file;
    int fd = host_file(0x77);
    uint8_t *at, byte;

    mounted_open(&m, NULL);
    file = make_file(&m, "f", PAGES * PAGE);
    fill(file, 0, PAGES * PAGE, 0x11);
    at = map_file(&m, file, 0, PAGES * PAGE, EXT2DAX_MAP_WRITE | EXT2DAX_MAP_PRIVATE);
    before = count(&m);
    ck_assert_int_eq(populate(at, 8 * PAGE, false), 0);
    ck_assert_int_eq(populate(at + 2 * PAGE, 2 * PAGE, true), 0);
    ck_assert_int_eq(pread(fd, at + 3 * PAGE, 1, 0), 1);
    ck_assert_uint_eq(peek(at + 3 * PAGE), 0x77);
    ck_assert_uint_eq(peek(at + 3 * PAGE + 1), 0x11);
    ck_assert_uint_eq(peek(at + 7 * PAGE), 0x11);
    ck_assert_int_eq(ext2dax_read(file, 3 * PAGE, &byte, 1), 1);
    ck_assert_uint_eq(byte, 0x11);
    ck_assert_uint_eq(count(&m).traps, before.traps);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
    close(fd);
}
END_TEST

static void populate_in_child(void)
{
    struct ext2dax_inode *file;
    void *at, *other;
    pid_t child;
    int status;

    mounted_open(&m, NULL);
    file = make_file(&m, "f", PAGE);
    at = map_file(&m, file, 0, PAGE, 0);
    child = fork();
    if (child == 0)
        _exit(populate(at, PAGE, false) == -EXT2DAX_EINVAL &&
                      ext2dax_process_map(m.process, file, 0, PAGE, 0, &other) == -EXT2DAX_EINVAL &&
                      ext2dax_process_unmap(m.process, at) == -EXT2DAX_EINVAL
                  ? 0
                  : 1);
    waitpid(child, &status, 0);
    child_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
}

START_TEST(what_cannot_be_is_told)
{
    struct mounted_options small = {.size = 1u << 20};
    struct ext2dax_inode *file;
    uint8_t *at, *part;
    unsigned present;

    catch_signals();
    mounted_open(&m, &small);
    file = make_file(&m, "f", 10 * PAGE + 1);
    at = map_file(&m, file, 0, 600 * PAGE, EXT2DAX_MAP_WRITE);
    part = map_file(&m, file, 0, 4 * PAGE, 0);
    /* The range is not in a single mapping. */
    ck_assert_int_eq(populate(&m, 1, false), -EXT2DAX_EINVAL);
    ck_assert_int_eq(populate(NULL, PAGE, false), -EXT2DAX_EINVAL);
    ck_assert_int_eq(populate(part - 1, 2, false), -EXT2DAX_EINVAL);
    ck_assert_int_eq(populate(part, 4 * PAGE + 1, false), -EXT2DAX_EINVAL);
    ck_assert_int_eq(populate(part + 3 * PAGE, SIZE_MAX, false), -EXT2DAX_EINVAL);
    ck_assert_int_eq(populate(part + 4 * PAGE, 1, false), -EXT2DAX_EINVAL);
    if (!by_userfaultfd() || !race_detector("mappings of a child whose parent has threads"))
        ck_assert_int_eq(in_child(populate_in_child), 1000);
    /* The mapping is read-only. */
    ck_assert_int_eq(populate(part, PAGE, true), -EXT2DAX_EPERM);
    ck_assert_int_eq(populate(part, 4 * PAGE, false), 0);
    /* The range reaches past the end. Pages before the end become present. */
    ck_assert_int_eq(populate(at, 11 * PAGE, false), 0);
    ck_assert_int_eq(populate(at, 12 * PAGE, false), -EXT2DAX_EFAULT);
    ck_assert_int_eq(populate(at + 11 * PAGE, 1, true), -EXT2DAX_EFAULT);
    ck_assert_uint_eq(count(&m).sigbus, 0);
    /* Space runs out. Pages which found a block stay present. */
    ck_assert_int_eq(ext2dax_truncate(file, 600 * PAGE), 0);
    ck_assert_int_eq(populate(at, 600 * PAGE, true), -EXT2DAX_ENOSPC);
    for (present = 0; present < 600; present++)
        if (populate(at + present * PAGE, 1, true) != 0)
            break;
    ck_assert_uint_gt(present, 50);
    ck_assert_uint_lt(present, 256);
    ck_assert_int_eq(access_byte(at + present * PAGE, true), SIGBUS);
    ck_assert_int_eq(access_byte(at + (present - 1) * PAGE, true), 0);
    ck_assert_int_eq(ext2dax_remount(m.mount, EXT2DAX_MOUNT_READ_ONLY), 0);
    ck_assert_int_eq(populate(at, PAGE, true), -EXT2DAX_EROFS);
    ck_assert_int_eq(populate(at, PAGE, false), 0);
    ck_assert_int_eq(ext2dax_remount(m.mount, 0), 0);
    unmap_file(&m, part);
    unmap_file(&m, at);
    ck_assert_int_eq(populate(at, PAGE, false), -EXT2DAX_EINVAL);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

static const uint8_t *poisoned;

static int find_poison(void *ctx, const void *at, size_t length)
{
    (void)ctx;
    return poisoned && poisoned >= (const uint8_t *)at && poisoned < (const uint8_t *)at + length ? -EXT2DAX_EIO : 0;
}

START_TEST(poison_is_told)
{
    static const struct ext2dax_memory_ops ops = {.size = sizeof(ops), .check = find_poison};
    struct mounted_options options = {.memory_ops = &ops};
    struct ext2dax_inode *file;
    struct ext2dax_run run;
    uint8_t *at;

    mounted_open(&m, &options);
    file = make_file(&m, "f", 0);
    fill(file, 0, 8 * PAGE, 0x11);
    at = map_file(&m, file, 0, 8 * PAGE, EXT2DAX_MAP_WRITE);
    ck_assert_int_eq(ext2dax_map(file, 5, 1, &run), 0);
    poisoned = (const uint8_t *)m.memory.base + run.physical * PAGE;
    ck_assert_int_eq(populate(at, 8 * PAGE, false), -EXT2DAX_EIO);
    ck_assert_int_eq(populate(at + 5 * PAGE, 1, false), -EXT2DAX_EIO);
    ck_assert_int_eq(populate(at, 5 * PAGE, false), 0);
    ck_assert_int_eq(populate(at + 6 * PAGE, 2 * PAGE, false), 0);
    poisoned = NULL;
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

START_TEST(more_than_may_be_live_is_refused)
{
    struct mounted_options options = {.max_mappings = 40};
    struct ext2dax_inode *file, *other;
    uint8_t *at;

    if (getenv("EXT2DAX_UNDER_VALGRIND"))
        return; /* Valgrind takes a minute for the writes alone */
    mounted_open(&m, &options);
    file = make_file(&m, "f", 0);
    other = make_file(&m, "g", 0);
    for (unsigned i = 0; i < 1100; i++) {
        fill(file, i * PAGE, PAGE, (uint8_t)(i % 251));
        fill(other, i * PAGE, PAGE, 0xFF);
    }
    at = map_file(&m, file, 0, 1100 * PAGE, EXT2DAX_MAP_WRITE);
    ck_assert_int_eq(populate(at, 1100 * PAGE, false), -EXT2DAX_ENOMEM);
    ck_assert_int_eq(populate(at + 700 * PAGE, 15 * PAGE, false), 0);
    ck_assert_int_eq(populate(at, 15 * PAGE, true), 0);
    for (unsigned i = 0; i < 15; i++)
        ck_assert_uint_eq(peek(at + i * PAGE), i);
    unmap_file(&m, at);
    ext2dax_inode_put(other);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

static atomic_int answer;

static void *populate_for_storing(void *at)
{
    atomic_store(&answer, populate(at, PAGE, true));
    return NULL;
}

START_TEST(waits_while_frozen)
{
    struct ext2dax_inode *file;
    pthread_t thread;
    uint8_t *at;

    mounted_open(&m, NULL);
    file = make_file(&m, "f", PAGES * PAGE);
    at = map_file(&m, file, 0, PAGES * PAGE, EXT2DAX_MAP_WRITE);
    ck_assert_int_eq(ext2dax_freeze(m.mount), 0);
    atomic_store(&answer, 1);
    ck_assert_int_eq(pthread_create(&thread, NULL, populate_for_storing, at), 0);
    ck_assert_int_eq(populate(at, PAGE, false), 0);
    usleep(30000);
    ck_assert_int_eq(atomic_load(&answer), 1);
    ck_assert_int_eq(ext2dax_thaw(m.mount), 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(atomic_load(&answer), 0);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

START_TEST(a_mapping_may_be_populated_as_it_is_made)
{
    struct ext2dax_process_counters before;
    struct ext2dax_inode *file;
    uint8_t *at;

    mounted_open(&m, NULL);
    file = make_file(&m, "f", PAGES * PAGE);
    fill(file, 0, PAGES * PAGE / 2, 0x11);
    before = count(&m);
    /* The mapping may reach past the end of file. */
    at = map_file(&m, file, 0, 2 * PAGES * PAGE, EXT2DAX_MAP_WRITE | EXT2DAX_MAP_POPULATE);
    for (unsigned i = 0; i < PAGES; i++)
        ck_assert_uint_eq(peek(at + i * PAGE), i < PAGES / 2 ? 0x11 : 0);
    ck_assert_uint_eq(count(&m).traps, before.traps);
    poke(at, 1);
    ck_assert_uint_gt(count(&m).traps, before.traps);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

static atomic_bool stop;

static void *populate_and_load(void *at)
{
    uintptr_t wrong = 0;

    while (!atomic_load(&stop)) {
        for (unsigned i = 0; i < PAGES; i += 8) {
            int error = populate((uint8_t *)at + i * PAGE, 8 * PAGE, i & 8);

            wrong += error != 0 && error != -EXT2DAX_EFAULT;
        }
    }
    return (void *)wrong;
}

START_TEST(beside_truncate_nothing_stays_that_was_taken_away)
{
    struct ext2dax_inode *file, *thief;
    pthread_t threads[2];
    unsigned rounds = getenv("EXT2DAX_UNDER_VALGRIND") ? 3 : 300;
    uint8_t *at;

    catch_signals();
    mounted_open(&m, NULL);
    file = make_file(&m, "f", PAGES * PAGE);
    thief = make_file(&m, "g", 0);
    at = map_file(&m, file, 0, PAGES * PAGE, EXT2DAX_MAP_WRITE);
    atomic_store(&stop, false);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, populate_and_load, at), 0);
    for (unsigned round = 0; round < rounds; round++) {
        ck_assert_int_eq(ext2dax_truncate(file, 7 * PAGE), 0);
        fill(thief, 0, PAGES * PAGE, 0x99);
        for (unsigned i = 7; i < PAGES; i += 9)
            ck_assert_int_eq(access_byte(at + i * PAGE, true), SIGBUS);
        ck_assert_int_eq(ext2dax_truncate(thief, 0), 0);
        ck_assert_int_eq(ext2dax_truncate(file, PAGES * PAGE), 0);
        for (unsigned i = 7; i < PAGES; i += 9)
            ck_assert_uint_eq(peek(at + i * PAGE), 0);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 2; i++) {
        void *wrong;

        pthread_join(threads[i], &wrong);
        ck_assert_ptr_null(wrong);
    }
    unmap_file(&m, at);
    ext2dax_inode_put(thief);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

START_TEST(an_older_callers_counters_are_not_written_past)
{
    struct ext2dax_process_counters counters;
    struct ext2dax_inode *file;
    uint8_t *at;

    mounted_open(&m, NULL);
    file = make_file(&m, "f", PAGE);
    at = map_file(&m, file, 0, PAGE, 0);
    (void)peek(at);
    memset(&counters, 0xA5, sizeof(counters));
    counters.size = offsetof(struct ext2dax_process_counters, revoked);
    ext2dax_process_count(m.process, &counters);
    ck_assert_uint_eq(counters.size, offsetof(struct ext2dax_process_counters, revoked));
    ck_assert_uint_eq(counters.mapped, 1);
    for (size_t i = counters.size; i < sizeof(counters); i++)
        ck_assert_uint_eq(((const uint8_t *)&counters)[i], 0xA5);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

int main(void)
{
    Suite *suite;
    TCase *tcase;

    tcase = mounted_case("address space: populate", &suite);
    if (!tcase)
        return SKIPPED;
    tcase_add_test(tcase, system_calls_succeed);
    tcase_add_test(tcase, for_reading_allocates_nothing_for_storing_all);
    tcase_add_test(tcase, private_mappings_get_their_copies);
    tcase_add_test(tcase, what_cannot_be_is_told);
    tcase_add_test(tcase, poison_is_told);
    tcase_add_test(tcase, more_than_may_be_live_is_refused);
    tcase_add_test(tcase, waits_while_frozen);
    tcase_add_test(tcase, a_mapping_may_be_populated_as_it_is_made);
    tcase_add_test(tcase, beside_truncate_nothing_stays_that_was_taken_away);
    tcase_add_test(tcase, an_older_callers_counters_are_not_written_past);
    return run_suite(suite);
}
