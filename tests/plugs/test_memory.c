/* SPDX-License-Identifier: MIT */
/*
 * The ops of the memory plug, for every backend and every location of a file. The test covers the
 * range, ops on any range and only there, and data surviving a close. Cache-line write-back is
 * tested separately, because no file here may be on memory accepting it.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <ext2dax/error.h>

#include "writeback.h"
#include "memory_fixture.h"
#include "../emulated.h"
#include "../runner.h"
START_TEST(range)
{
    static const size_t sizes[] = {1, 4096, 4097, HUGE, SIZE};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        unsigned char *bytes;

        ck_assert_int_eq(memory_open_new(_i, sizes[i]), 0);
        ck_assert_uint_eq((uintptr_t)memory.base % HUGE, 0);
        ck_assert_uint_eq(memory.size, sizes[i]);
        ck_assert_uint_eq(memory.ops->size, sizeof(struct ext2dax_memory_ops));
        bytes = memory.base;
        ck_assert_uint_eq(bytes[0], 0);
        ck_assert_uint_eq(bytes[sizes[i] - 1], 0);
        bytes[0] = 1;
        bytes[sizes[i] - 1] = 2;
        memory_close(_i);
        memory_close(_i); /* closing twice has no effect */
    }
}
END_TEST

START_TEST(kind)
{
    static const char *const write_back[] = {[EXT2DAX_FILE_PAGE_CACHE] = "msync", [EXT2DAX_FILE_VOLATILE] = "none"};
    enum ext2dax_memory_kind expected = EXT2DAX_FILE_VOLATILE;

    if (_i != HEAP && left_out_emulated("the kinds of files: it grants MAP_SYNC to all"))
        return;
    if (_i == TMP && !memory_on_tmpfs(tmp_directory))
        expected = EXT2DAX_FILE_PAGE_CACHE;
    ck_assert_int_eq(memory_open_new(_i, SIZE), 0);
    if (_i == TMP && ext2dax_memory_kind(&memory) == EXT2DAX_FILE_DAX) {
        ck_assert_uint_eq(memory.flags, EXT2DAX_MEMORY_PERSISTENT);
        ck_assert_ptr_nonnull(memory.ops->fence);
    } else {
        ck_assert_int_eq(ext2dax_memory_kind(&memory), expected);
        ck_assert_uint_eq(memory.flags, 0);
        ck_assert_str_eq(ext2dax_memory_write_back(&memory), write_back[expected]);
    }
    ck_assert_int_eq(ext2dax_memory_descriptor(&memory) >= 0, _i != HEAP);
    memory_close(_i);
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
/* Shows every op on odd ranges. Zero zeroes exactly the range, and the others change nothing. */
START_TEST(odd_ranges)
{
    static const size_t starts[] = {0, 1, 63, 64, 65, 4095, 4096, HUGE - 1};
    static const size_t lengths[] = {0, 1, 63, 64, 65, 127, 128, 4096, 5000, HUGE + 77};
    unsigned char *bytes;

    ck_assert_int_eq(memory_open_new(_i, SIZE), 0);
    bytes = memory.base;
    memset(bytes, 0xC3, memory.size);
    for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
        for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
            size_t start = starts[s], length = lengths[l], around = start < 300 ? start : 300;

            ck_assert_int_eq(zero(bytes + start, length), 0);
            ck_assert_int_eq(fence(), 0);
            ck_assert(memory_is(bytes + start, 0, length));
            ck_assert(memory_is(bytes + start - around, 0xC3, around));
            ck_assert(memory_is(bytes + start + length, 0xC3, 300));
            memset(bytes + start, 0xC3, length);
            ck_assert_int_eq(persist(bytes + start, length), 0);
            ck_assert_int_eq(fence(), 0);
            ck_assert_int_eq(memory_check(bytes + start, length), 0);
        }
    }
    ck_assert(memory_is(bytes, 0xC3, memory.size));
    /* The end of the range, in the middle of a page. */
    ck_assert_int_eq(zero(bytes + SIZE - 100, 100), 0);
    ck_assert_int_eq(persist(bytes + SIZE - 1, 1), 0);
    ck_assert_int_eq(memory_check(bytes + SIZE - 1, 1), 0);
    ck_assert_int_eq(persist(bytes + SIZE, 0), 0);
    ck_assert_int_eq(memory_check(bytes + SIZE, 0), 0);
    ck_assert_int_eq(persist(bytes, SIZE), 0);
    ck_assert_int_eq(memory_check(bytes, SIZE), 0);
    ck_assert_int_eq(fence(), 0);
    ck_assert(memory_is(bytes + SIZE - 100, 0, 100));
    memory_close(_i);
}
END_TEST

/* Shows errno preserved. Ops may run in a fault handler. */
START_TEST(errno_is_kept)
{
    ck_assert_int_eq(memory_open_new(_i, SIZE), 0);
    errno = EXDEV;
    ck_assert_int_eq(persist(memory.base, SIZE), 0);
    ck_assert_int_eq(memory_check(memory.base, SIZE), 0);
    ck_assert_int_eq(errno, EXDEV);
    memory_close(_i);
}
END_TEST

START_TEST(contents_stay)
{
    unsigned char *bytes;
    char seen[6] = "";
    int fd;

    ck_assert_int_eq(memory_open_new(_i, SIZE), 0);
    bytes = memory.base;
    memcpy(bytes + HUGE - 2, "hello", 5);
    ck_assert_int_eq(persist(bytes + HUGE - 2, 5), 0);
    ck_assert_int_eq(fence(), 0);
    memory_close(_i);

    fd = open(path, O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, seen, 5, HUGE - 2), 5);
    ck_assert_str_eq(seen, "hello");
    close(fd);

    ck_assert_int_eq(ext2dax_memory_open_file(path, 0, 0, &memory), 0);
    ck_assert_uint_eq(memory.size, SIZE);
    ck_assert_uint_eq(memory.flags & EXT2DAX_MEMORY_READ_ONLY, 0);
    ck_assert_int_eq(memcmp((char *)memory.base + HUGE - 2, "hello", 5), 0);
    memory_close(_i);

    /* CREATE of an existing file changes the size and keeps the bytes. */
    ck_assert_int_eq(ext2dax_memory_open_file(path, EXT2DAX_FILE_CREATE, SIZE + HUGE, &memory), 0);
    ck_assert_uint_eq(memory.size, SIZE + HUGE);
    ck_assert_int_eq(memcmp((char *)memory.base + HUGE - 2, "hello", 5), 0);
    ((char *)memory.base)[SIZE + HUGE - 1] = 1;
    memory_close(_i);
    ck_assert_int_eq(ext2dax_memory_open_file(path, EXT2DAX_FILE_CREATE, HUGE, &memory), 0);
    ck_assert_uint_eq(memory.size, HUGE);
    ck_assert_int_eq(memcmp((char *)memory.base + HUGE - 2, "he", 2), 0);
    memory_close(_i);
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

    ck_assert_int_eq(memory_open_new(_i, size), 0);
    if (_i == HEAP) {
        ck_assert_ptr_null(memory.ops->next_data);
        memory_close(_i);
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
    memory_close(_i);
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

    ck_assert_int_eq(memory_open_new(_i, size), 0);
    if (!memory.ops->discard) {
        ck_assert_int_eq(ext2dax_memory_kind(&memory), EXT2DAX_FILE_DAX);
        memory_close(_i);
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
    memory_close(_i);
    if (_i == HEAP || _i == ANONYMOUS)
        return;
    unlink(path);
    ck_assert_int_eq(ext2dax_memory_open_file(path, EXT2DAX_FILE_CREATE | EXT2DAX_FILE_RESERVE, size, &memory), 0);
    ck_assert_int_eq(memory.ops->discard(memory.ctx, memory.base, size), -EXT2DAX_EOPNOTSUPP);
    memory_close(_i);
    unlink(path);
}
END_TEST

/* Shows holes in a part of a file starting at an offset. */
START_TEST(holes_of_a_part)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), from;
    struct ext2dax_memory_file_options options = {
        .size = sizeof(options), .flags = EXT2DAX_FILE_CREATE, .offset = 5 * page + 512, .length = 16 * page};

    memory_name_file(_i, "image");
    unlink(path);
    ck_assert_int_eq(ext2dax_memory_open_file_with(path, &options, &memory), 0);
    ((unsigned char *)memory.base)[4 * page] = 1;
    ck_assert_uint_eq(memory.ops->next_data(memory.ctx, memory.base, memory.size, &from), page);
    ck_assert_uint_eq(from, 4 * page - 512);
    memory_close(_i);
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

/* Returns whether the kernel reads pages around a page of memory read in. */
static bool reads_ahead(void)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[512], start[32];
    bool here = false, ahead = true;

    snprintf(start, sizeof(start), "%08lx-", (unsigned long)memory.base);
    while (file && fgets(line, sizeof(line), file)) {
        if (strchr(line, '-') && strchr(line, '-') < strchr(line, ' '))
            here = strncmp(line, start, strlen(start)) == 0;
        if (here && strncmp(line, "VmFlags:", 8) == 0)
            ahead = strstr(line, " rr") == NULL;
    }
    if (file)
        fclose(file);
    return ahead;
}

/* Shows that nothing is read ahead during a scan, and during a scan beside an ended one. */
START_TEST(a_scan_reads_nothing_ahead)
{
    if (memory_on_tmpfs(tmp_directory) || left_out_emulated("readahead: its smaps tell nothing"))
        return;
    ck_assert_int_eq(memory_open_new(_i, SIZE), 0);
    if (ext2dax_memory_kind(&memory) == EXT2DAX_FILE_PAGE_CACHE) {
        ck_assert(reads_ahead());
        memory.ops->scan(memory.ctx, true);
        ck_assert(!reads_ahead());
        memory.ops->scan(memory.ctx, true);
        memory.ops->scan(memory.ctx, false);
        ck_assert(!reads_ahead());
        memory.ops->scan(memory.ctx, false);
        ck_assert(reads_ahead());
    }
    memory_close(_i);
}
END_TEST

/*
 * Shows write-back during a scan. The fence writes back, once. Outside a scan each call writes
 * back.
 */
START_TEST(a_scan_writes_back_once)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *base;

    if (memory_on_tmpfs(tmp_directory) || left_out_emulated("write-back: its smaps tell nothing"))
        return;
    ck_assert_int_eq(memory_open_new(_i, SIZE), 0);
    base = memory.base;
    if (ext2dax_memory_kind(&memory) != EXT2DAX_FILE_PAGE_CACHE) {
        memory_close(_i);
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
    memory_close(_i);
}
END_TEST

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
            ck_assert(memory_is(lines, 0xC3, start));
            ck_assert(memory_is(lines + start, 0, length));
            ck_assert(memory_is(lines + start + length, 0xC3, sizeof(lines) - start - length));
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory");
    TCase *tcase = add_case(suite, "memory", 120);
    int status;

    if (!memory_make_directories())
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
    tcase_add_loop_test(tcase, a_scan_reads_nothing_ahead, TMP, PLACES);
    tcase_add_test(tcase, foreign_memory);
    tcase_add_test(tcase, line_ranges);
    tcase_add_test(tcase, line_instructions);
    status = run_suite(suite);
    memory_remove_directories();
    return status;
}
