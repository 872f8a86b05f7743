/* SPDX-License-Identifier: MIT */
/*
 * The memory plug's contract, for every backend and every place a file can lie in: where the range is, that the ops
 * work on any range and keep to it, what outlives closing, who may open a second time, and that a failed open leaves
 * nothing behind. Then cache-line write-back by itself, since no file here may be on memory that takes it.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <ext2dax/error.h>
#include <ext2dax/hosted/memory.h>

#include "writeback.h"
#include "../emulated.h"

#define HUGE ((size_t)2 << 20)
#define SIZE (3 * HUGE + 12345) /* a multiple of nothing */

static char shm_directory[] = "/dev/shm/ext2dax-plugs-XXXXXX";
static char tmp_directory[] = "/tmp/ext2dax-plugs-XXXXXX";

enum place { HEAP, ANONYMOUS, SHM, TMP, PLACES };

static char path[64];
static struct ext2dax_memory memory;

static void name_file(int place, const char *name)
{
    snprintf(path, sizeof(path), "%s/%s", place == SHM ? shm_directory : tmp_directory, name);
}

static int open_new(int place, size_t size)
{
    switch (place) {
    case HEAP:
        return ext2dax_heap_open(size, &memory);
    case ANONYMOUS:
        return ext2dax_file_open_anonymous("plugs", size, &memory);
    default:
        name_file(place, "image");
        unlink(path);
        return ext2dax_file_open(path, EXT2DAX_FILE_CREATE | EXT2DAX_FILE_EXCLUSIVE, size, &memory);
    }
}

static void close_it(int place)
{
    if (place == HEAP)
        ext2dax_heap_close(&memory);
    else
        ext2dax_file_close(&memory);
    ck_assert_ptr_null(memory.base);
    ck_assert_ptr_null(memory.ops);
    ck_assert_uint_eq(memory.size, 0);
}

static int descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static bool on_tmpfs(const char *at)
{
    struct statfs fs;

    return statfs(at, &fs) == 0 && fs.f_type == 0x01021994;
}

START_TEST(range)
{
    static const size_t sizes[] = {1, 4096, 4097, HUGE, SIZE};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        unsigned char *bytes;

        ck_assert_int_eq(open_new(_i, sizes[i]), 0);
        ck_assert_uint_eq((uintptr_t)memory.base % HUGE, 0);
        ck_assert_uint_eq(memory.size, sizes[i]);
        ck_assert_uint_eq(memory.ops->size, sizeof(struct ext2dax_memory_ops));
        bytes = memory.base;
        ck_assert_uint_eq(bytes[0], 0);
        ck_assert_uint_eq(bytes[sizes[i] - 1], 0);
        bytes[0] = 1;
        bytes[sizes[i] - 1] = 2;
        close_it(_i);
        close_it(_i); /* of nothing: nothing */
    }
}
END_TEST

START_TEST(kind)
{
    static const char *const write_back[] = {[EXT2DAX_FILE_PAGE_CACHE] = "msync", [EXT2DAX_FILE_VOLATILE] = "none"};
    enum ext2dax_file_kind expected = EXT2DAX_FILE_VOLATILE;

    if (_i != HEAP && left_out_emulated("the kinds of files: it grants MAP_SYNC to all"))
        return;
    if (_i == TMP && !on_tmpfs(tmp_directory))
        expected = EXT2DAX_FILE_PAGE_CACHE;
    ck_assert_int_eq(open_new(_i, SIZE), 0);
    if (_i == TMP && ext2dax_file_kind(&memory) == EXT2DAX_FILE_DAX) {
        ck_assert_uint_eq(memory.flags, EXT2DAX_MEMORY_PERSISTENT);
        ck_assert_ptr_nonnull(memory.ops->fence);
    } else {
        ck_assert_int_eq(ext2dax_file_kind(&memory), expected);
        ck_assert_uint_eq(memory.flags, 0);
        ck_assert_str_eq(ext2dax_file_write_back(&memory), write_back[expected]);
    }
    ck_assert_int_eq(ext2dax_file_descriptor(&memory) >= 0, _i != HEAP);
    close_it(_i);
}
END_TEST

static int zero(void *at, size_t length)
{
    if (memory.ops->zero)
        return memory.ops->zero(memory.ctx, at, length);
    memset(at, 0, length);
    return 0;
}
static int persist(const void *at, size_t length)
{
    return memory.ops->persist ? memory.ops->persist(memory.ctx, at, length) : 0;
}
static int fence(void)
{
    return memory.ops->fence ? memory.ops->fence(memory.ctx) : 0;
}
static int check(const void *at, size_t length)
{
    return memory.ops->check ? memory.ops->check(memory.ctx, at, length) : 0;
}

static bool all_are(const unsigned char *at, unsigned char byte, size_t length)
{
    return length == 0 || (at[0] == byte && memcmp(at, at + 1, length - 1) == 0);
}

/* Every op on odd ranges: zero stores zeroes there and nowhere else, the others change nothing. */
START_TEST(odd_ranges)
{
    static const size_t starts[] = {0, 1, 63, 64, 65, 4095, 4096, HUGE - 1};
    static const size_t lengths[] = {0, 1, 63, 64, 65, 127, 128, 4096, 5000, HUGE + 77};
    unsigned char *bytes;

    ck_assert_int_eq(open_new(_i, SIZE), 0);
    bytes = memory.base;
    memset(bytes, 0xC3, memory.size);
    for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
        for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
            size_t start = starts[s], length = lengths[l], around = start < 300 ? start : 300;

            ck_assert_int_eq(zero(bytes + start, length), 0);
            ck_assert_int_eq(fence(), 0);
            ck_assert(all_are(bytes + start, 0, length));
            ck_assert(all_are(bytes + start - around, 0xC3, around));
            ck_assert(all_are(bytes + start + length, 0xC3, 300));
            memset(bytes + start, 0xC3, length);
            ck_assert_int_eq(persist(bytes + start, length), 0);
            ck_assert_int_eq(fence(), 0);
            ck_assert_int_eq(check(bytes + start, length), 0);
        }
    }
    ck_assert(all_are(bytes, 0xC3, memory.size));
    /* The end of the range, in the middle of a page. */
    ck_assert_int_eq(zero(bytes + SIZE - 100, 100), 0);
    ck_assert_int_eq(persist(bytes + SIZE - 1, 1), 0);
    ck_assert_int_eq(check(bytes + SIZE - 1, 1), 0);
    ck_assert_int_eq(persist(bytes + SIZE, 0), 0);
    ck_assert_int_eq(check(bytes + SIZE, 0), 0);
    ck_assert_int_eq(persist(bytes, SIZE), 0);
    ck_assert_int_eq(check(bytes, SIZE), 0);
    ck_assert_int_eq(fence(), 0);
    ck_assert(all_are(bytes + SIZE - 100, 0, 100));
    close_it(_i);
}
END_TEST

/* Ops may run in a fault handler. */
START_TEST(errno_is_kept)
{
    ck_assert_int_eq(open_new(_i, SIZE), 0);
    errno = EXDEV;
    ck_assert_int_eq(persist(memory.base, SIZE), 0);
    ck_assert_int_eq(check(memory.base, SIZE), 0);
    ck_assert_int_eq(errno, EXDEV);
    close_it(_i);
}
END_TEST

START_TEST(contents_stay)
{
    unsigned char *bytes;
    char seen[6] = "";
    int fd;

    ck_assert_int_eq(open_new(_i, SIZE), 0);
    bytes = memory.base;
    memcpy(bytes + HUGE - 2, "hello", 5);
    ck_assert_int_eq(persist(bytes + HUGE - 2, 5), 0);
    ck_assert_int_eq(fence(), 0);
    close_it(_i);

    fd = open(path, O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, seen, 5, HUGE - 2), 5);
    ck_assert_str_eq(seen, "hello");
    close(fd);

    ck_assert_int_eq(ext2dax_file_open(path, 0, 0, &memory), 0);
    ck_assert_uint_eq(memory.size, SIZE);
    ck_assert_uint_eq(memory.flags & EXT2DAX_MEMORY_READ_ONLY, 0);
    ck_assert_int_eq(memcmp((char *)memory.base + HUGE - 2, "hello", 5), 0);
    close_it(_i);

    /* CREATE of what is there: another size, the same bytes. */
    ck_assert_int_eq(ext2dax_file_open(path, EXT2DAX_FILE_CREATE, SIZE + HUGE, &memory), 0);
    ck_assert_uint_eq(memory.size, SIZE + HUGE);
    ck_assert_int_eq(memcmp((char *)memory.base + HUGE - 2, "hello", 5), 0);
    ((char *)memory.base)[SIZE + HUGE - 1] = 1;
    close_it(_i);
    ck_assert_int_eq(ext2dax_file_open(path, EXT2DAX_FILE_CREATE, HUGE, &memory), 0);
    ck_assert_uint_eq(memory.size, HUGE);
    ck_assert_int_eq(memcmp((char *)memory.base + HUGE - 2, "he", 2), 0);
    close_it(_i);
    unlink(path);
}
END_TEST

START_TEST(second_opener)
{
    struct ext2dax_memory second;

    ck_assert_int_eq(open_new(_i, SIZE), 0);
    ck_assert_int_eq(ext2dax_file_open(path, 0, 0, &second), -EXT2DAX_EBUSY);
    ck_assert_ptr_null(second.base);
    ck_assert_int_eq(ext2dax_file_open(path, EXT2DAX_FILE_READ_ONLY, 0, &second), -EXT2DAX_EBUSY);
    ck_assert_int_eq(ext2dax_file_open(path, EXT2DAX_FILE_CREATE, HUGE, &second), -EXT2DAX_EBUSY);
    ck_assert_int_eq(access(path, F_OK), 0);
    *((char *)memory.base + SIZE - 1) = 1; /* the refused CREATE cut nothing off */
    close_it(_i);

    ck_assert_int_eq(ext2dax_file_open(path, EXT2DAX_FILE_READ_ONLY, 0, &memory), 0);
    ck_assert_int_eq(ext2dax_file_open(path, EXT2DAX_FILE_READ_ONLY, 0, &second), 0);
    ext2dax_file_close(&second);
    ck_assert_int_eq(ext2dax_file_open(path, 0, 0, &second), -EXT2DAX_EBUSY);
    close_it(_i);
    ck_assert_int_eq(ext2dax_file_open(path, 0, 0, &memory), 0);
    close_it(_i);
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
    ck_assert_int_eq(open_new(_i, SIZE), 0);
    memcpy(memory.base, "read me", 7);
    ck_assert(writable(memory.base));
    close_it(_i);
    ck_assert_int_eq(chmod(path, 0444), 0);
    ck_assert_int_eq(ext2dax_file_open(path, EXT2DAX_FILE_READ_ONLY, 0, &memory), 0);
    ck_assert_uint_eq(memory.flags & EXT2DAX_MEMORY_READ_ONLY, EXT2DAX_MEMORY_READ_ONLY);
    ck_assert_uint_eq(memory.size, SIZE);
    ck_assert_uint_eq((uintptr_t)memory.base % HUGE, 0);
    ck_assert(!writable(memory.base));
    ck_assert_int_eq(memcmp(memory.base, "read me", 7), 0);
    ck_assert_int_eq(check(memory.base, SIZE), 0);
    close_it(_i);
    unlink(path);
}
END_TEST

/* Where a read would be a SIGBUS. VOLATILE memory has no check to tell. */
START_TEST(check_finds_what_is_gone)
{
    if (left_out_emulated("the check of memory: it ignores MADV_POPULATE_READ"))
        return;
    ck_assert_int_eq(open_new(_i, SIZE), 0);
    ck_assert_int_eq(truncate(path, HUGE), 0);
    if (memory.ops->check) {
        ck_assert_int_eq(check(memory.base, HUGE), 0);
        ck_assert_int_eq(check((char *)memory.base + HUGE, 1), -EXT2DAX_EIO);
        ck_assert_int_eq(check(memory.base, HUGE + 1), -EXT2DAX_EIO);
    } else {
        ck_assert_int_eq(ext2dax_file_kind(&memory), EXT2DAX_FILE_VOLATILE);
    }
    close_it(_i);
    unlink(path);
}
END_TEST

START_TEST(reserved_blocks)
{
    struct stat st;
    int r;

    ck_assert_int_eq(open_new(_i, SIZE), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_lt(st.st_blocks * 512, SIZE); /* sparse */
    close_it(_i);
    unlink(path);
    r = ext2dax_file_open(path, EXT2DAX_FILE_CREATE | EXT2DAX_FILE_RESERVE, SIZE, &memory);
    if (r == -EXT2DAX_EOPNOTSUPP) {
        ck_assert_int_ne(access(path, F_OK), 0);
        return;
    }
    ck_assert_int_eq(r, 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, SIZE);
    ck_assert_int_ge(st.st_blocks * 512, SIZE);
    close_it(_i);
    unlink(path);
}
END_TEST

static void refused(const char *at, unsigned flags, uint64_t size, int error)
{
    memset(&memory, 0x55, sizeof(memory));
    ck_assert_int_eq(ext2dax_file_open(at, flags, size, &memory), error);
    ck_assert_ptr_null(memory.base);
    ck_assert_ptr_null(memory.ops);
}

START_TEST(refusals)
{
    const unsigned create = EXT2DAX_FILE_CREATE;
    int before = descriptors();
    struct statvfs fs;
    struct stat st;
    char link[80];
    int fd;

    name_file(_i, "none");
    refused(path, 0, 0, -EXT2DAX_ENOENT);
    refused(path, EXT2DAX_FILE_READ_ONLY, 0, -EXT2DAX_ENOENT);
    refused(path, create, 0, -EXT2DAX_EINVAL);
    refused(path, create | EXT2DAX_FILE_READ_ONLY, SIZE, -EXT2DAX_EINVAL);
    refused(path, EXT2DAX_FILE_EXCLUSIVE, SIZE, -EXT2DAX_EINVAL);
    refused(path, EXT2DAX_FILE_RESERVE, SIZE, -EXT2DAX_EINVAL);
    refused(path, 0x100, SIZE, -EXT2DAX_EINVAL);
    refused(path, create, UINT64_MAX, -EXT2DAX_EINVAL);
    ck_assert_int_ne(access(path, F_OK), 0);
    /* What cannot be mapped or made is not left behind. */
    ck_assert_int_ne(ext2dax_file_open(path, create, INT64_MAX, &memory), 0);
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(statvfs(_i == SHM ? shm_directory : tmp_directory, &fs), 0);
    ck_assert_int_ne(ext2dax_file_open(path, create | EXT2DAX_FILE_RESERVE, (uint64_t)1 << 46, &memory), 0);
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
    /* One that was there is as it was. */
    ck_assert_int_ne(ext2dax_file_open(path, create, INT64_MAX, &memory), 0);
    ck_assert_int_ne(ext2dax_file_open(path, create | EXT2DAX_FILE_RESERVE, (uint64_t)1 << 46, &memory), 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_int_eq(st.st_size, 4096);
    close(fd);
    ck_assert_int_eq(ext2dax_file_open(path, 0, 0, &memory), 0); /* no lock was left on it */
    ext2dax_file_close(&memory);
    unlink(path);
    ck_assert_int_eq(descriptors(), before);
}
END_TEST

START_TEST(refusals_without_a_file)
{
    int before = descriptors();

    ck_assert_int_eq(ext2dax_heap_open(0, &memory), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_heap_open(SIZE_MAX, &memory), -EXT2DAX_ENOMEM);
    /* Half of a 32-bit address space may be there to be had. */
    if (SIZE_MAX > 0xFFFFFFFFu)
        ck_assert_int_eq(ext2dax_heap_open(SIZE_MAX / 2, &memory), -EXT2DAX_ENOMEM);
    ck_assert_ptr_null(memory.base);
    ck_assert_int_eq(ext2dax_file_open_anonymous("plugs", 0, &memory), -EXT2DAX_EINVAL);
    ck_assert_int_ne(ext2dax_file_open_anonymous("plugs", INT64_MAX, &memory), 0);
    ck_assert_ptr_null(memory.base);
    ck_assert_int_eq(descriptors(), before);
}
END_TEST

/* Memory of somebody else's is nobody's file. */
START_TEST(foreign_memory)
{
    static const struct ext2dax_memory_ops none = {.size = sizeof(none)};
    struct ext2dax_memory foreign = {.ops = &none, .base = path, .size = sizeof(path)};

    ck_assert_int_eq(ext2dax_file_descriptor(&foreign), -1);
    ck_assert_int_eq(ext2dax_file_kind(&foreign), EXT2DAX_FILE_VOLATILE);
    ck_assert_str_eq(ext2dax_file_write_back(&foreign), "none");
}
END_TEST

#define LINES 64
static _Alignas(4096) unsigned char lines[LINES * 64 + 64];
static int written_back[LINES + 1];

static void count_line(const void *at)
{
    written_back[((const unsigned char *)at - lines) / 64]++;
}

/* Every line that holds a byte of the range once, and no other. */
START_TEST(line_ranges)
{
    const struct e2d_write_back how = {"counting", 64, count_line, NULL};

    for (size_t start = 0; start < 200; start += 13) {
        for (size_t length = 0; length < 400; length += 7) {
            memset(written_back, 0, sizeof(written_back));
            e2d_write_back_range(&how, lines + start, length);
            for (size_t i = 0; i < LINES; i++) {
                bool in = length > 0 && i * 64 < start + length && (i + 1) * 64 > start;

                ck_assert_int_eq(written_back[i], in);
            }
        }
    }
}
END_TEST

/* With this processor's own instructions: bytes are right, and neighbours are as they were. */
START_TEST(line_instructions)
{
    static const char *const names[] = {"clwb", "clflushopt", "clflush", "dc cvap", "dc cvac"};
    struct e2d_write_back how = e2d_write_back_choose();
    bool known = false;

    if (!how.one) {
        ck_assert_str_eq(how.name, "none");
        return;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        known |= strcmp(how.name, names[i]) == 0;
    ck_assert(known);
    ck_assert(how.line >= 16 && (how.line & (how.line - 1)) == 0);
    for (size_t start = 100; start < 300; start += 13) {
        for (size_t length = 0; length < 1000; length += 37) {
            memset(lines, 0xC3, sizeof(lines));
            e2d_write_back_range(&how, lines, sizeof(lines));
            how.fence();
            e2d_zero_durable(&how, lines + start, length);
            how.fence();
            ck_assert(all_are(lines, 0xC3, start));
            ck_assert(all_are(lines + start, 0, length));
            ck_assert(all_are(lines + start + length, 0xC3, sizeof(lines) - start - length));
        }
    }
}
END_TEST

static void remove_directories(void)
{
    rmdir(shm_directory);
    rmdir(tmp_directory);
}

int main(void)
{
    Suite *suite = suite_create("memory");
    TCase *tcase = tcase_create("memory");
    SRunner *runner;
    int failed;

    if (!mkdtemp(tmp_directory) || !mkdtemp(shm_directory)) {
        printf("skipped: no directory in /tmp or /dev/shm can be made\n");
        return 77;
    }
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, range, 0, PLACES);
    tcase_add_loop_test(tcase, kind, 0, PLACES);
    tcase_add_loop_test(tcase, odd_ranges, 0, PLACES);
    tcase_add_loop_test(tcase, errno_is_kept, 0, PLACES);
    tcase_add_loop_test(tcase, contents_stay, SHM, PLACES);
    tcase_add_loop_test(tcase, second_opener, SHM, PLACES);
    tcase_add_loop_test(tcase, read_only, SHM, PLACES);
    tcase_add_loop_test(tcase, check_finds_what_is_gone, SHM, PLACES);
    tcase_add_loop_test(tcase, reserved_blocks, SHM, PLACES);
    tcase_add_loop_test(tcase, refusals, SHM, PLACES);
    tcase_add_test(tcase, refusals_without_a_file);
    tcase_add_test(tcase, foreign_memory);
    tcase_add_test(tcase, line_ranges);
    tcase_add_test(tcase, line_instructions);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    snprintf(path, sizeof(path), "%s/image", shm_directory);
    unlink(path);
    snprintf(path, sizeof(path), "%s/image", tmp_directory);
    unlink(path);
    remove_directories();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
