/* SPDX-License-Identifier: MIT */
/*
 * Opening and closing memory, for every backend and every location of a file. The test covers a
 * second open, read-only files, parts of files, refusals, and cleanup after a failed open.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <unistd.h>

#include <ext2dax/error.h>

#include "memory_fixture.h"
#include "../emulated.h"
#include "../runner.h"
START_TEST(second_opener)
{
    struct ext2dax_memory second;

    ck_assert_int_eq(memory_open_new(_i, SIZE), 0);
    ck_assert_int_eq(ext2dax_memory_open_file(path, 0, 0, &second), -EXT2DAX_EBUSY);
    ck_assert_ptr_null(second.base);
    ck_assert_int_eq(ext2dax_memory_open_file(path, EXT2DAX_FILE_READ_ONLY, 0, &second), -EXT2DAX_EBUSY);
    ck_assert_int_eq(ext2dax_memory_open_file(path, EXT2DAX_FILE_CREATE, HUGE, &second), -EXT2DAX_EBUSY);
    ck_assert_int_eq(access(path, F_OK), 0);
    *((char *)memory.base + SIZE - 1) = 1; /* the refused CREATE did not truncate */
    memory_close(_i);

    ck_assert_int_eq(ext2dax_memory_open_file(path, EXT2DAX_FILE_READ_ONLY, 0, &memory), 0);
    ck_assert_int_eq(ext2dax_memory_open_file(path, EXT2DAX_FILE_READ_ONLY, 0, &second), 0);
    ext2dax_memory_close_file(&second);
    ck_assert_int_eq(ext2dax_memory_open_file(path, 0, 0, &second), -EXT2DAX_EBUSY);
    memory_close(_i);
    ck_assert_int_eq(ext2dax_memory_open_file(path, 0, 0, &memory), 0);
    memory_close(_i);
    unlink(path);
}
END_TEST

static bool writable(const void *at)
{
    char line[256], mode[5];
    unsigned long from, to;
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "r");

    while (!found && fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) == 3)
            found = from <= (uintptr_t)at && (uintptr_t)at < to;
    }
    fclose(maps);
    ck_assert(found);
    return mode[1] == 'w';
}

START_TEST(read_only)
{
    ck_assert_int_eq(memory_open_new(_i, SIZE), 0);
    memcpy(memory.base, "read me", 7);
    ck_assert(writable(memory.base));
    memory_close(_i);
    ck_assert_int_eq(chmod(path, 0444), 0);
    ck_assert_int_eq(ext2dax_memory_open_file(path, EXT2DAX_FILE_READ_ONLY, 0, &memory), 0);
    ck_assert_uint_eq(memory.flags & EXT2DAX_MEMORY_READ_ONLY, EXT2DAX_MEMORY_READ_ONLY);
    ck_assert_uint_eq(memory.size, SIZE);
    ck_assert_uint_eq((uintptr_t)memory.base % HUGE, 0);
    ck_assert(!writable(memory.base));
    ck_assert_int_eq(memcmp(memory.base, "read me", 7), 0);
    ck_assert_int_eq(memory_check(memory.base, SIZE), 0);
    memory_close(_i);
    unlink(path);
}
END_TEST

/* Shows a check of memory where a read would raise SIGBUS. VOLATILE memory has no check op. */
START_TEST(check_finds_what_is_gone)
{
    if (left_out_emulated("the check of memory: it ignores MADV_POPULATE_READ"))
        return;
    ck_assert_int_eq(memory_open_new(_i, SIZE), 0);
    ck_assert_int_eq(truncate(path, HUGE), 0);
    if (memory.ops->check) {
        ck_assert_int_eq(memory_check(memory.base, HUGE), 0);
        ck_assert_int_eq(memory_check((char *)memory.base + HUGE, 1), -EXT2DAX_EIO);
        ck_assert_int_eq(memory_check(memory.base, HUGE + 1), -EXT2DAX_EIO);
    } else {
        ck_assert_int_eq(ext2dax_memory_kind(&memory), EXT2DAX_FILE_VOLATILE);
    }
    memory_close(_i);
    unlink(path);
}
END_TEST

START_TEST(reserved_blocks)
{
    struct stat st;
    int r;

    ck_assert_int_eq(memory_open_new(_i, SIZE), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_lt(st.st_blocks * 512, SIZE); /* sparse */
    memory_close(_i);
    unlink(path);
    r = ext2dax_memory_open_file(path, EXT2DAX_FILE_CREATE | EXT2DAX_FILE_RESERVE, SIZE, &memory);
    if (r == -EXT2DAX_EOPNOTSUPP) {
        ck_assert_int_ne(access(path, F_OK), 0);
        return;
    }
    ck_assert_int_eq(r, 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, SIZE);
    ck_assert_int_ge(st.st_blocks * 512, SIZE);
    memory_close(_i);
    unlink(path);
}
END_TEST

static void refused(const char *at, unsigned flags, uint64_t size, int error)
{
    memset(&memory, 0x55, sizeof(memory));
    ck_assert_int_eq(ext2dax_memory_open_file(at, flags, size, &memory), error);
    ck_assert_ptr_null(memory.base);
    ck_assert_ptr_null(memory.ops);
}

START_TEST(refusals)
{
    const unsigned create = EXT2DAX_FILE_CREATE;
    int before = memory_descriptors();
    struct statvfs fs;
    struct stat st;
    char link[80];
    int fd;

    memory_name_file(_i, "none");
    refused(path, 0, 0, -EXT2DAX_ENOENT);
    refused(path, EXT2DAX_FILE_READ_ONLY, 0, -EXT2DAX_ENOENT);
    refused(path, create, 0, -EXT2DAX_EINVAL);
    refused(path, create | EXT2DAX_FILE_READ_ONLY, SIZE, -EXT2DAX_EINVAL);
    refused(path, EXT2DAX_FILE_EXCLUSIVE, SIZE, -EXT2DAX_EINVAL);
    refused(path, EXT2DAX_FILE_RESERVE, SIZE, -EXT2DAX_EINVAL);
    refused(path, 0x100, SIZE, -EXT2DAX_EINVAL);
    refused(path, create, UINT64_MAX, -EXT2DAX_EINVAL);
    ck_assert_int_ne(access(path, F_OK), 0);
    /* A file impossible to map or to allocate is removed again. */
    ck_assert_int_ne(ext2dax_memory_open_file(path, create, INT64_MAX, &memory), 0);
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(statvfs(_i == SHM ? shm_directory : tmp_directory, &fs), 0);
    ck_assert_int_ne(ext2dax_memory_open_file(path, create | EXT2DAX_FILE_RESERVE, (uint64_t)1 << 46, &memory), 0);
    ck_assert_int_ne(access(path, F_OK), 0);

    refused(_i == SHM ? shm_directory : tmp_directory, 0, 0, -EXT2DAX_EISDIR);
    refused(_i == SHM ? shm_directory : tmp_directory, EXT2DAX_FILE_READ_ONLY, 0, -EXT2DAX_EISDIR);
    refused(_i == SHM ? shm_directory : tmp_directory, create, SIZE, -EXT2DAX_EISDIR);
    refused("/dev/null", 0, 0, -EXT2DAX_EINVAL);
    refused("/dev/null/under", 0, 0, -EXT2DAX_ENOTDIR);

    snprintf(link, sizeof(link), "%s.link", path);
    ck_assert_int_eq(symlink(path, link), 0);
    refused(link, create, SIZE, -EXT2DAX_ENOENT);
    unlink(link);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    refused(path, EXT2DAX_FILE_READ_ONLY, 0, -EXT2DAX_EINVAL);
    refused(path, 0, 0, -EXT2DAX_EINVAL);
    unlink(path);

    fd = open(path, O_CREAT | O_RDWR, 0600);
    ck_assert_int_ge(fd, 0);
    refused(path, 0, 0, -EXT2DAX_EINVAL); /* empty */
    refused(path, create | EXT2DAX_FILE_EXCLUSIVE, SIZE, -EXT2DAX_EEXIST);
    ck_assert_int_eq(ftruncate(fd, 4096), 0);
    /* An existing file is unchanged. */
    ck_assert_int_ne(ext2dax_memory_open_file(path, create, INT64_MAX, &memory), 0);
    ck_assert_int_ne(ext2dax_memory_open_file(path, create | EXT2DAX_FILE_RESERVE, (uint64_t)1 << 46, &memory), 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_int_eq(st.st_size, 4096);
    close(fd);
    /* no lock is left on the file */
    ck_assert_int_eq(ext2dax_memory_open_file(path, 0, 0, &memory), 0);
    ext2dax_memory_close_file(&memory);
    unlink(path);
    ck_assert_int_eq(memory_descriptors(), before);
}
END_TEST

static char note[128];

static int open_part(unsigned flags, uint64_t offset, uint64_t length)
{
    struct ext2dax_memory_file_options options = {.size = sizeof(options),
                                                  .flags = flags,
                                                  .length = length,
                                                  .offset = offset,
                                                  .note = note,
                                                  .note_size = sizeof(note)};

    memset(note, 'x', sizeof(note) - 1);
    return ext2dax_memory_open_file_with(path, &options, &memory);
}

/*
 * Shows a part of a file. The memory has exactly the bytes of the part, its address is congruent to
 * its offset in the file, and ops stay inside.
 */
START_TEST(parts)
{
    static const uint64_t offsets[] = {0, 512, 63 * 512, 4096, 1 << 20, HUGE, HUGE + 512, 2 * HUGE + 12288};
    unsigned char around[4];
    int fd;

    ck_assert_int_eq(memory_open_new(_i, SIZE), 0);
    memset(memory.base, 0x11, SIZE);
    memory_close(_i);
    fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        for (int whole = 0; whole < 2; whole++) {
            uint64_t offset = offsets[i], length = whole ? SIZE - offset : 5000;
            unsigned char *bytes;

            ck_assert_int_eq(open_part(0, offset, whole ? 0 : length), 0);
            ck_assert_str_eq(note, "");
            ck_assert_uint_eq(memory.size, length);
            ck_assert_uint_eq(((uintptr_t)memory.base - (uintptr_t)offset) % HUGE, 0);
            bytes = memory.base;
            ck_assert(memory_is(bytes, 0x11, length));
            bytes[0] = 0x22;
            bytes[length - 1] = 0x33;
            ck_assert_int_eq(memory.ops->zero(memory.ctx, bytes + 1, 100), 0);
            ck_assert_int_eq(memory.ops->zero(memory.ctx, bytes + length - 101, 100), 0);
            if (memory.ops->persist) {
                ck_assert_int_eq(memory.ops->persist(memory.ctx, bytes, length), 0);
                ck_assert_int_eq(memory.ops->persist(memory.ctx, bytes + length - 1, 1), 0);
            }
            if (memory.ops->check)
                ck_assert_int_eq(memory.ops->check(memory.ctx, bytes, length), 0);
            memory_close(_i);
            ck_assert_int_eq(pread(fd, around, 2, (off_t)offset), 2);
            ck_assert(around[0] == 0x22 && around[1] == 0);
            ck_assert_int_eq(pread(fd, around, 2, (off_t)(offset + length - 2)), 2);
            ck_assert(around[0] == 0 && around[1] == 0x33);
            if (offset) {
                ck_assert_int_eq(pread(fd, around, 1, (off_t)offset - 1), 1);
                ck_assert_uint_eq(around[0], 0x11);
            }
            ck_assert_int_eq(open_part(0, 0, 0), 0);
            memset(memory.base, 0x11, SIZE);
            memory_close(_i);
        }
    }
    close(fd);
    unlink(path);
}
END_TEST

/* Shows a part created by extending the file. Bytes after the part are never removed. */
START_TEST(parts_are_made)
{
    const unsigned create = EXT2DAX_FILE_CREATE;
    struct stat st;

    memory_name_file(_i, "image");
    unlink(path);
    ck_assert_int_eq(open_part(create, HUGE, 5000), 0);
    ck_assert_uint_eq(memory.size, 5000);
    memory_close(_i);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, HUGE + 5000);
    ck_assert_int_eq(open_part(create, 4096, 8192), 0);
    ck_assert_uint_eq(memory.size, 8192);
    memory_close(_i);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, HUGE + 5000);
    ck_assert_int_eq(open_part(create, HUGE, 10000), 0);
    memory_close(_i);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, HUGE + 10000);
    ck_assert_int_eq(open_part(create, 0, 10000), 0);
    memory_close(_i);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, 10000);
    unlink(path);
}
END_TEST

/* Shows refused parts, with a note where the errno is not specific. No descriptor stays open. */
START_TEST(parts_that_are_refused)
{
    static const struct {
        unsigned flags;
        uint64_t offset, length;
        const char *why;
    } refused_parts[] = {
        {0, 100, 0, ""},
        {0, 511, 1, ""},
        {0, UINT64_MAX - 511, 0, ""},
        {0, UINT64_MAX - 511, UINT64_MAX, ""},
        {0, INT64_MAX - 511, 0, "ends before the offset"},
        {0, 8192, 0, "ends before the offset"},
        {0, 8192 - 512, 513, "ends before the image does"},
        {0, 0, 8193, "ends before the image does"},
        {EXT2DAX_FILE_READ_ONLY, 0, UINT64_MAX, "ends before the image does"},
        {EXT2DAX_FILE_CREATE, 512, 0, ""},
        {EXT2DAX_FILE_CREATE, INT64_MAX - 511, 1024, ""},
    };
    struct ext2dax_memory_file_options shorter = {.size = offsetof(struct ext2dax_memory_file_options, offset),
                                                  .offset = 100};
    int before = memory_descriptors();

    ck_assert_int_eq(memory_open_new(_i, 8192), 0);
    memory_close(_i);
    for (size_t i = 0; i < sizeof(refused_parts) / sizeof(refused_parts[0]); i++) {
        ck_assert_int_eq(open_part(refused_parts[i].flags, refused_parts[i].offset, refused_parts[i].length),
                         -EXT2DAX_EINVAL);
        ck_assert_ptr_null(memory.base);
        ck_assert_str_eq(note, refused_parts[i].why);
    }
    /* An older caller passes no offset, and another passes no options at all. */
    ck_assert_int_eq(ext2dax_memory_open_file_with(path, &shorter, &memory), 0);
    ck_assert_uint_eq(memory.size, 8192);
    memory_close(_i);
    ck_assert_int_eq(ext2dax_memory_open_file_with(path, NULL, &memory), 0);
    memory_close(_i);
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_eq(open_part(EXT2DAX_FILE_READ_ONLY, 0, 0), -EXT2DAX_EINVAL);
    ck_assert_str_eq(note, "is empty");
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(open_part(EXT2DAX_FILE_READ_ONLY, 0, 0), -EXT2DAX_EINVAL);
    ck_assert_str_eq(note, "is neither a file nor a devdax device");
    unlink(path);
    ck_assert_int_eq(open_part(0, 0, 0), -EXT2DAX_ENOENT);
    ck_assert_str_eq(note, "");
    ck_assert_int_eq(memory_descriptors(), before);
}
END_TEST

START_TEST(refusals_without_a_file)
{
    int before = memory_descriptors();

    ck_assert_int_eq(ext2dax_memory_open_heap(0, &memory), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_memory_open_heap(SIZE_MAX, &memory), -EXT2DAX_ENOMEM);
    /* Half of a 32-bit address space may be available. */
    if (SIZE_MAX > 0xFFFFFFFFu)
        ck_assert_int_eq(ext2dax_memory_open_heap(SIZE_MAX / 2, &memory), -EXT2DAX_ENOMEM);
    ck_assert_ptr_null(memory.base);
    ck_assert_int_eq(ext2dax_memory_open_anonymous("plugs", 0, &memory), -EXT2DAX_EINVAL);
    ck_assert_int_ne(ext2dax_memory_open_anonymous("plugs", INT64_MAX, &memory), 0);
    ck_assert_ptr_null(memory.base);
    ck_assert_int_eq(memory_descriptors(), before);
}
END_TEST

/*
 * Shows RLIMIT_FSIZE exceeded. The open fails without a signal. A new file is removed, and an
 * existing file is unchanged.
 */
START_TEST(a_limit_of_file_sizes)
{
    const struct rlimit limit = {1 << 20, RLIM_INFINITY};
    struct rlimit before;
    struct stat st;
    sigset_t pending;

    signal(SIGXFSZ, SIG_DFL);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(memory_open_new(_i, SIZE), -EXT2DAX_EFBIG);
    ck_assert_ptr_null(memory.base);
    if (_i != ANONYMOUS) {
        ck_assert_int_eq(access(path, F_OK), -1);
        ck_assert_int_eq(memory_open_new(_i, 4096), 0);
        memory_close(_i);
        for (unsigned reserve = 0; reserve <= EXT2DAX_FILE_RESERVE; reserve += EXT2DAX_FILE_RESERVE)
            ck_assert_int_eq(ext2dax_memory_open_file(path, EXT2DAX_FILE_CREATE | reserve, SIZE, &memory),
                             -EXT2DAX_EFBIG);
        ck_assert_int_eq(stat(path, &st), 0);
        ck_assert_int_eq(st.st_size, 4096);
    }
    ck_assert_int_eq(sigpending(&pending), 0);
    ck_assert_int_eq(sigismember(&pending, SIGXFSZ), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
}
END_TEST

static int opened, closed;

/* Contains no assertion, because an assertion would be a cancellation point. */
static void *open_and_close_cancelled(void *arg)
{
    int place = *(int *)arg;

    pthread_cancel(pthread_self());
    opened = place == HEAP        ? ext2dax_memory_open_heap(SIZE, &memory)
             : place == ANONYMOUS ? ext2dax_memory_open_anonymous("plugs", SIZE, &memory)
                                  : ext2dax_memory_open_file(path, EXT2DAX_FILE_CREATE, SIZE, &memory);
    if (place == HEAP)
        ext2dax_memory_close_heap(&memory);
    else
        ext2dax_memory_close_file(&memory);
    closed = memory.base == NULL;
    pthread_testcancel();
    return NULL;
}

/* Shows a cancelled thread opening and closing successfully, and leaving nothing behind. */
START_TEST(cancelled_opener)
{
    int place = _i, before = memory_descriptors();
    pthread_t thread;
    void *result;

    opened = closed = -1;
    if (place != HEAP && place != ANONYMOUS)
        memory_name_file(place, "image");
    ck_assert_int_eq(pthread_create(&thread, NULL, open_and_close_cancelled, &place), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_eq(result, PTHREAD_CANCELED);
    ck_assert_int_eq(opened, 0);
    ck_assert_int_eq(closed, 1);
    ck_assert_int_eq(memory_descriptors(), before);
}
END_TEST

/* Shows memory of another plug, which has no file. */

int main(void)
{
    Suite *suite = suite_create("memory: open and close");
    TCase *tcase = add_case(suite, "memory", 120);
    int status;

    if (!memory_make_directories())
        return skip("no directory in /tmp or /dev/shm can be made");
    tcase_add_loop_test(tcase, second_opener, SHM, PLACES);
    tcase_add_loop_test(tcase, read_only, SHM, PLACES);
    tcase_add_loop_test(tcase, check_finds_what_is_gone, SHM, PLACES);
    tcase_add_loop_test(tcase, reserved_blocks, SHM, PLACES);
    tcase_add_loop_test(tcase, refusals, SHM, PLACES);
    tcase_add_loop_test(tcase, parts, SHM, PLACES);
    tcase_add_loop_test(tcase, parts_are_made, SHM, PLACES);
    tcase_add_loop_test(tcase, parts_that_are_refused, SHM, PLACES);
    tcase_add_test(tcase, refusals_without_a_file);
    tcase_add_loop_test(tcase, a_limit_of_file_sizes, ANONYMOUS, PLACES);
    tcase_add_loop_test(tcase, cancelled_opener, 0, PLACES);
    status = run_suite(suite);
    memory_remove_directories();
    return status;
}
