/* SPDX-License-Identifier: MIT */
/*
 * The memory plug's contract, for every backend and every location of a file. The test covers the
 * range, ops on any range and only there, data surviving a close, a second open, and cleanup after
 * a failed open. Cache-line write-back is tested separately, because no file here may be on memory
 * accepting it.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <ext2dax/error.h>
#include <ext2dax/hosted/memory.h>

#include "writeback.h"
#include "../emulated.h"
#include "../runner.h"

#define HUGE ((size_t)2 << 20)
#define SIZE (3 * HUGE + 12345) /* odd, so not a multiple of any block or page size */

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
        return ext2dax_memory_open_heap(size, &memory);
    case ANONYMOUS:
        return ext2dax_memory_open_anonymous("plugs", size, &memory);
    default:
        name_file(place, "image");
        unlink(path);
        return ext2dax_memory_open_file(path, EXT2DAX_FILE_CREATE | EXT2DAX_FILE_EXCLUSIVE, size, &memory);
    }
}

static void close_it(int place)
{
    if (place == HEAP)
        ext2dax_memory_close_heap(&memory);
    else
        ext2dax_memory_close_file(&memory);
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
        close_it(_i); /* closing twice has no effect */
    }
}
END_TEST

START_TEST(kind)
{
    static const char *const write_back[] = {[EXT2DAX_FILE_PAGE_CACHE] = "msync", [EXT2DAX_FILE_VOLATILE] = "none"};
    enum ext2dax_memory_kind expected = EXT2DAX_FILE_VOLATILE;

    if (_i != HEAP && left_out_emulated("the kinds of files: it grants MAP_SYNC to all"))
        return;
    if (_i == TMP && !on_tmpfs(tmp_directory))
        expected = EXT2DAX_FILE_PAGE_CACHE;
    ck_assert_int_eq(open_new(_i, SIZE), 0);
    if (_i == TMP && ext2dax_memory_kind(&memory) == EXT2DAX_FILE_DAX) {
        ck_assert_uint_eq(memory.flags, EXT2DAX_MEMORY_PERSISTENT);
        ck_assert_ptr_nonnull(memory.ops->fence);
    } else {
        ck_assert_int_eq(ext2dax_memory_kind(&memory), expected);
        ck_assert_uint_eq(memory.flags, 0);
        ck_assert_str_eq(ext2dax_memory_write_back(&memory), write_back[expected]);
    }
    ck_assert_int_eq(ext2dax_memory_descriptor(&memory) >= 0, _i != HEAP);
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

/* Shows every op on odd ranges. Zero zeroes exactly the range, and the others change nothing. */
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

/* Shows errno preserved. Ops may run in a fault handler. */
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

    ck_assert_int_eq(ext2dax_memory_open_file(path, 0, 0, &memory), 0);
    ck_assert_uint_eq(memory.size, SIZE);
    ck_assert_uint_eq(memory.flags & EXT2DAX_MEMORY_READ_ONLY, 0);
    ck_assert_int_eq(memcmp((char *)memory.base + HUGE - 2, "hello", 5), 0);
    close_it(_i);

    /* CREATE of an existing file changes the size and keeps the bytes. */
    ck_assert_int_eq(ext2dax_memory_open_file(path, EXT2DAX_FILE_CREATE, SIZE + HUGE, &memory), 0);
    ck_assert_uint_eq(memory.size, SIZE + HUGE);
    ck_assert_int_eq(memcmp((char *)memory.base + HUGE - 2, "hello", 5), 0);
    ((char *)memory.base)[SIZE + HUGE - 1] = 1;
    close_it(_i);
    ck_assert_int_eq(ext2dax_memory_open_file(path, EXT2DAX_FILE_CREATE, HUGE, &memory), 0);
    ck_assert_uint_eq(memory.size, HUGE);
    ck_assert_int_eq(memcmp((char *)memory.base + HUGE - 2, "he", 2), 0);
    close_it(_i);
    unlink(path);
}
END_TEST

/*
 * Shows a file with only its third and its last page written. All else is holes. Heap memory cannot
 * report holes.
 */
START_TEST(holes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = 64 * page, from = 1, length, at = 0, runs = 0, bytes = 0;
    unsigned char *base;

    ck_assert_int_eq(open_new(_i, size), 0);
    if (_i == HEAP) {
        ck_assert_ptr_null(memory.ops->next_data);
        close_it(_i);
        return;
    }
    base = memory.base;
    errno = EXDEV;
    ck_assert_uint_eq(memory.ops->next_data(memory.ctx, base, size, &from), 0);
    ck_assert_uint_eq(memory.ops->next_data(memory.ctx, base, 0, &from), 0);
    base[2 * page + 7] = 1;
    base[size - 1] = 1;
    ck_assert_uint_eq(memory.ops->next_data(memory.ctx, base + page, page, &from), 0);
    while ((length = memory.ops->next_data(memory.ctx, base + at, size - at, &from)) != 0) {
        ck_assert_uint_le(from + length, size - at);
        ck_assert(runs != 0 || at + from == 2 * page);
        bytes += length;
        at += from + length;
        runs++;
    }
    ck_assert_int_eq(errno, EXDEV);
    ck_assert_uint_eq(at, size);
    ck_assert_uint_eq(runs, 2);
    ck_assert_uint_eq(bytes, 2 * page);
    /* From the middle of a page to the middle of another. */
    ck_assert_uint_eq(memory.ops->next_data(memory.ctx, base + 2 * page + 100, page, &from), page - 100);
    ck_assert_uint_eq(from, 0);
    ck_assert_uint_eq(memory.ops->next_data(memory.ctx, base + 10, 2 * page, &from), 10);
    ck_assert_uint_eq(from, 2 * page - 10);
    /* The part removed by truncate is not a hole. */
    if (_i != ANONYMOUS) {
        ck_assert_int_eq(truncate(path, (off_t)(8 * page)), 0);
        ck_assert_uint_eq(memory.ops->next_data(memory.ctx, base + 16 * page, page, &from), page);
    }
    close_it(_i);
}
END_TEST

/*
 * Discards a range with ends inside pages. The range is zeroes, the bytes beside the range stay,
 * and a file is smaller. A reserved file refuses, and so does a short range, for which stores are
 * faster.
 */
START_TEST(discards)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = 4 * HUGE, from = page + 100, to = size - 3 * page - 7, i;
    unsigned char *base;
    struct stat before, after;

    ck_assert_int_eq(open_new(_i, size), 0);
    if (!memory.ops->discard) {
        ck_assert_int_eq(ext2dax_memory_kind(&memory), EXT2DAX_FILE_DAX);
        close_it(_i);
        return;
    }
    base = memory.base;
    memset(base, 0x5A, size);
    fstat(ext2dax_memory_descriptor(&memory), &before);
    errno = EXDEV;
    ck_assert_int_eq(memory.ops->discard(memory.ctx, base + from, 2 * page), -EXT2DAX_EOPNOTSUPP);
    ck_assert_uint_eq(base[from], 0x5A);
    ck_assert_int_eq(memory.ops->discard(memory.ctx, base + from, to - from), 0);
    ck_assert_int_eq(errno, EXDEV);
    /* Before the loads, because tmpfs allocates pages for loads too. */
    if (_i != HEAP) {
        fstat(ext2dax_memory_descriptor(&memory), &after);
        ck_assert_int_lt(after.st_blocks, before.st_blocks / 4 * 3);
    }
    for (i = 0; i < size; i++) {
        if (base[i] != (i >= from && i < to ? 0 : 0x5A))
            ck_abort_msg("byte %zu", i);
    }
    close_it(_i);
    if (_i == HEAP || _i == ANONYMOUS)
        return;
    unlink(path);
    ck_assert_int_eq(ext2dax_memory_open_file(path, EXT2DAX_FILE_CREATE | EXT2DAX_FILE_RESERVE, size, &memory), 0);
    ck_assert_int_eq(memory.ops->discard(memory.ctx, memory.base, size), -EXT2DAX_EOPNOTSUPP);
    close_it(_i);
    unlink(path);
}
END_TEST

/* Shows holes in a part of a file starting at an offset. */
START_TEST(holes_of_a_part)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), from;
    struct ext2dax_memory_file_options options = {
        .size = sizeof(options), .flags = EXT2DAX_FILE_CREATE, .offset = 5 * page + 512, .length = 16 * page};

    name_file(_i, "image");
    unlink(path);
    ck_assert_int_eq(ext2dax_memory_open_file_with(path, &options, &memory), 0);
    ((unsigned char *)memory.base)[4 * page] = 1;
    ck_assert_uint_eq(memory.ops->next_data(memory.ctx, memory.base, memory.size, &from), page);
    ck_assert_uint_eq(from, 4 * page - 512);
    close_it(_i);
    unlink(path);
}
END_TEST

/* Returns the bytes of pages at memory.base stored to and not yet written back. */
static long dirty(void)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[512], start[32];
    bool here = false;
    long kilobytes = 0, n;

    snprintf(start, sizeof(start), "%08lx-", (unsigned long)memory.base);
    while (file && fgets(line, sizeof(line), file)) {
        if (strchr(line, '-') && strchr(line, '-') < strchr(line, ' '))
            here = strncmp(line, start, strlen(start)) == 0;
        if (here && (sscanf(line, "Shared_Dirty: %ld", &n) == 1 || sscanf(line, "Private_Dirty: %ld", &n) == 1))
            kilobytes += n;
    }
    if (file)
        fclose(file);
    return kilobytes * 1024;
}

/*
 * Shows write-back during a scan. The fence writes back, once. Outside a scan each call writes
 * back.
 */
START_TEST(a_scan_writes_back_once)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *base;

    if (on_tmpfs(tmp_directory) || left_out_emulated("write-back: its smaps tell nothing"))
        return;
    ck_assert_int_eq(open_new(_i, SIZE), 0);
    base = memory.base;
    if (ext2dax_memory_kind(&memory) != EXT2DAX_FILE_PAGE_CACHE) {
        close_it(_i);
        return;
    }
    base[0] = base[SIZE - 1] = 1;
    ck_assert_int_eq(dirty(), 2 * (long)page);
    ck_assert_int_eq(persist(base, 1), 0);
    ck_assert_int_eq(persist(base + SIZE - 1, 1), 0);
    ck_assert_int_eq(dirty(), 0);

    memory.ops->scan(memory.ctx, true);
    for (int round = 0; round < 2; round++) {
        base[HUGE] = base[0] = base[SIZE - 1] = 2;
        ck_assert_int_eq(persist(base + HUGE, 1), 0);
        ck_assert_int_eq(persist(base, 1), 0);
        ck_assert_int_eq(persist(base + SIZE - 1, 1), 0);
        ck_assert_int_eq(dirty(), 3 * (long)page);
        if (round == 0)
            ck_assert_int_eq(fence(), 0);
        else
            memory.ops->scan(memory.ctx, false);
        ck_assert_int_eq(dirty(), 0);
    }
    base[0] = 3;
    ck_assert_int_eq(persist(base, 1), 0);
    ck_assert_int_eq(dirty(), 0);
    close_it(_i);
}
END_TEST

START_TEST(second_opener)
{
    struct ext2dax_memory second;

    ck_assert_int_eq(open_new(_i, SIZE), 0);
    ck_assert_int_eq(ext2dax_memory_open_file(path, 0, 0, &second), -EXT2DAX_EBUSY);
    ck_assert_ptr_null(second.base);
    ck_assert_int_eq(ext2dax_memory_open_file(path, EXT2DAX_FILE_READ_ONLY, 0, &second), -EXT2DAX_EBUSY);
    ck_assert_int_eq(ext2dax_memory_open_file(path, EXT2DAX_FILE_CREATE, HUGE, &second), -EXT2DAX_EBUSY);
    ck_assert_int_eq(access(path, F_OK), 0);
    *((char *)memory.base + SIZE - 1) = 1; /* the refused CREATE did not truncate */
    close_it(_i);

    ck_assert_int_eq(ext2dax_memory_open_file(path, EXT2DAX_FILE_READ_ONLY, 0, &memory), 0);
    ck_assert_int_eq(ext2dax_memory_open_file(path, EXT2DAX_FILE_READ_ONLY, 0, &second), 0);
    ext2dax_memory_close_file(&second);
    ck_assert_int_eq(ext2dax_memory_open_file(path, 0, 0, &second), -EXT2DAX_EBUSY);
    close_it(_i);
    ck_assert_int_eq(ext2dax_memory_open_file(path, 0, 0, &memory), 0);
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
    ck_assert_int_eq(ext2dax_memory_open_file(path, EXT2DAX_FILE_READ_ONLY, 0, &memory), 0);
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

/* Shows a check of memory where a read would raise SIGBUS. VOLATILE memory has no check op. */
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
        ck_assert_int_eq(ext2dax_memory_kind(&memory), EXT2DAX_FILE_VOLATILE);
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
    r = ext2dax_memory_open_file(path, EXT2DAX_FILE_CREATE | EXT2DAX_FILE_RESERVE, SIZE, &memory);
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
    ck_assert_int_eq(ext2dax_memory_open_file(at, flags, size, &memory), error);
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
    ck_assert_int_eq(descriptors(), before);
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

    ck_assert_int_eq(open_new(_i, SIZE), 0);
    memset(memory.base, 0x11, SIZE);
    close_it(_i);
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
            ck_assert(all_are(bytes, 0x11, length));
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
            close_it(_i);
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
            close_it(_i);
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

    name_file(_i, "image");
    unlink(path);
    ck_assert_int_eq(open_part(create, HUGE, 5000), 0);
    ck_assert_uint_eq(memory.size, 5000);
    close_it(_i);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, HUGE + 5000);
    ck_assert_int_eq(open_part(create, 4096, 8192), 0);
    ck_assert_uint_eq(memory.size, 8192);
    close_it(_i);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, HUGE + 5000);
    ck_assert_int_eq(open_part(create, HUGE, 10000), 0);
    close_it(_i);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, HUGE + 10000);
    ck_assert_int_eq(open_part(create, 0, 10000), 0);
    close_it(_i);
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
    int before = descriptors();

    ck_assert_int_eq(open_new(_i, 8192), 0);
    close_it(_i);
    for (size_t i = 0; i < sizeof(refused_parts) / sizeof(refused_parts[0]); i++) {
        ck_assert_int_eq(open_part(refused_parts[i].flags, refused_parts[i].offset, refused_parts[i].length),
                         -EXT2DAX_EINVAL);
        ck_assert_ptr_null(memory.base);
        ck_assert_str_eq(note, refused_parts[i].why);
    }
    /* An older caller passes no offset, and another passes no options at all. */
    ck_assert_int_eq(ext2dax_memory_open_file_with(path, &shorter, &memory), 0);
    ck_assert_uint_eq(memory.size, 8192);
    close_it(_i);
    ck_assert_int_eq(ext2dax_memory_open_file_with(path, NULL, &memory), 0);
    close_it(_i);
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
    ck_assert_int_eq(descriptors(), before);
}
END_TEST

START_TEST(refusals_without_a_file)
{
    int before = descriptors();

    ck_assert_int_eq(ext2dax_memory_open_heap(0, &memory), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_memory_open_heap(SIZE_MAX, &memory), -EXT2DAX_ENOMEM);
    /* Half of a 32-bit address space may be available. */
    if (SIZE_MAX > 0xFFFFFFFFu)
        ck_assert_int_eq(ext2dax_memory_open_heap(SIZE_MAX / 2, &memory), -EXT2DAX_ENOMEM);
    ck_assert_ptr_null(memory.base);
    ck_assert_int_eq(ext2dax_memory_open_anonymous("plugs", 0, &memory), -EXT2DAX_EINVAL);
    ck_assert_int_ne(ext2dax_memory_open_anonymous("plugs", INT64_MAX, &memory), 0);
    ck_assert_ptr_null(memory.base);
    ck_assert_int_eq(descriptors(), before);
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
    ck_assert_int_eq(open_new(_i, SIZE), -EXT2DAX_EFBIG);
    ck_assert_ptr_null(memory.base);
    if (_i != ANONYMOUS) {
        ck_assert_int_eq(access(path, F_OK), -1);
        ck_assert_int_eq(open_new(_i, 4096), 0);
        close_it(_i);
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
    int place = _i, before = descriptors();
    pthread_t thread;
    void *result;

    opened = closed = -1;
    if (place != HEAP && place != ANONYMOUS)
        name_file(place, "image");
    ck_assert_int_eq(pthread_create(&thread, NULL, open_and_close_cancelled, &place), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_eq(result, PTHREAD_CANCELED);
    ck_assert_int_eq(opened, 0);
    ck_assert_int_eq(closed, 1);
    ck_assert_int_eq(descriptors(), before);
}
END_TEST

/* Shows memory of another plug, which has no file. */
START_TEST(foreign_memory)
{
    static const struct ext2dax_memory_ops none = {.size = sizeof(none)};
    struct ext2dax_memory foreign = {.ops = &none, .base = path, .size = sizeof(path)};

    ck_assert_int_eq(ext2dax_memory_descriptor(&foreign), -1);
    ck_assert_int_eq(ext2dax_memory_kind(&foreign), EXT2DAX_FILE_VOLATILE);
    ck_assert_str_eq(ext2dax_memory_write_back(&foreign), "none");
}
END_TEST

#define LINES 64
static _Alignas(4096) unsigned char lines[LINES * 64 + 64];
static int written_back[LINES + 1];
static int settled, since; /* ends of ranges, and lines since the last end */

static void count_line(const void *at)
{
    written_back[((const unsigned char *)at - lines) / 64]++;
    since++;
}

static void settle(void)
{
    settled++;
    since = 0;
}

/* Shows every cache line of a range written back once, and no other line. */
START_TEST(line_ranges)
{
    const struct e2dh_write_back how = {"counting", 64, count_line, NULL, settle};

    for (size_t start = 0; start < 200; start += 13) {
        for (size_t length = 0; length < 400; length += 7) {
            memset(written_back, 0, sizeof(written_back));
            settled = 0;
            e2dh_write_back_range(&how, lines + start, length);
            ck_assert_int_eq(settled, length > 0); /* once, after the last line */
            ck_assert_int_eq(since, 0);
            for (size_t i = 0; i < LINES; i++) {
                bool in = length > 0 && i * 64 < start + length && (i + 1) * 64 > start;

                ck_assert_int_eq(written_back[i], in);
            }
        }
    }
}
END_TEST

/*
 * Shows this processor's own instructions. The bytes are right, and neighbouring bytes are
 * unchanged.
 */
START_TEST(line_instructions)
{
    static const char *const names[] = {"clwb", "clflushopt", "clflush", "dc cvap", "dc cvac"};
    struct e2dh_write_back how = e2dh_write_back_choose();
    bool known = false;

    if (!how.one) {
        ck_assert_str_eq(how.name, "none");
        return;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        known |= strcmp(how.name, names[i]) == 0;
    ck_assert(known);
    /*
     * Where a fence covers only this processor's write-backs, settle must be set, so no write-back
     * is left to a fence on another processor.
     */
    ck_assert_int_eq(how.settle != NULL, how.name[0] == 'd');
    ck_assert(how.line >= 16 && (how.line & (how.line - 1)) == 0);
    for (size_t start = 100; start < 300; start += 13) {
        for (size_t length = 0; length < 1000; length += 37) {
            memset(lines, 0xC3, sizeof(lines));
            e2dh_write_back_range(&how, lines, sizeof(lines));
            how.fence();
            e2dh_zero_durable(&how, lines + start, length);
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
    TCase *tcase = add_case(suite, "memory", 120);
    int status;

    if (!mkdtemp(tmp_directory) || !mkdtemp(shm_directory))
        return skip("no directory in /tmp or /dev/shm can be made");
    tcase_add_loop_test(tcase, range, 0, PLACES);
    tcase_add_loop_test(tcase, kind, 0, PLACES);
    tcase_add_loop_test(tcase, odd_ranges, 0, PLACES);
    tcase_add_loop_test(tcase, errno_is_kept, 0, PLACES);
    tcase_add_loop_test(tcase, contents_stay, SHM, PLACES);
    tcase_add_loop_test(tcase, holes, 0, PLACES);
    tcase_add_loop_test(tcase, holes_of_a_part, SHM, PLACES);
    tcase_add_loop_test(tcase, discards, 0, PLACES);
    tcase_add_loop_test(tcase, a_scan_writes_back_once, TMP, PLACES);
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
    tcase_add_test(tcase, foreign_memory);
    tcase_add_test(tcase, line_ranges);
    tcase_add_test(tcase, line_instructions);
    status = run_suite(suite);
    snprintf(path, sizeof(path), "%s/image", shm_directory);
    unlink(path);
    snprintf(path, sizeof(path), "%s/image", tmp_directory);
    unlink(path);
    remove_directories();
    return status;
}
