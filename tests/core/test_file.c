/* SPDX-License-Identifier: MIT */
/*
 * Compares a file with a plain array. Runs seeded random reads, writes, truncates, punches,
 * preallocations and mapped accesses, on every shape of block tree within the sizes used. Compares
 * every byte and checks the whole image between operations.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../emulated.h"
#include "../runner.h"
#include "fixture.h"

#define STEPS 400

struct shape {
    const char *name;
    struct core_fixture_options options;
    size_t reach; /* bytes covered by the operations */
};

static const struct shape shapes[] = {
    {"1K blocks and pages, ranges of 8",
     {.size = 4 << 20, .block_size = 1024, .page_shift = 10, .huge_order = 3},
     600 << 10},
    {"1K blocks under 4K pages", {.size = 8 << 20, .block_size = 1024}, 3 << 20},
    {"2K blocks under 4K pages", {.size = 16 << 20, .block_size = 2048}, 2 << 20},
    {"4K blocks and pages", {.size = 32 << 20, .block_size = 4096}, 6 << 20},
    {"4K blocks and pages, ordered", {.size = 32 << 20, .block_size = 4096, .order = EXT2DAX_ORDERED}, 6 << 20},
    {"8K blocks under 4K pages", {.size = 32 << 20, .block_size = 8192}, 3 << 20},
    {"16K blocks and pages", {.size = 64 << 20, .block_size = 16384, .page_shift = 14, .huge_order = 5}, 4 << 20},
    {"64K blocks and pages", {.size = 64 << 20, .block_size = 65536, .page_shift = 16, .huge_order = 4}, 4 << 20},
    {"almost full", {.size = 512 << 10, .block_size = 1024, .page_shift = 10, .huge_order = 3}, 900 << 10},
};

struct play {
    struct core_fixture fixture;
    struct ext2dax_inode *inode;
    struct ext2dax_model_map *map;
    unsigned char *expected; /* zeroes past the size */
    unsigned char *buffer;
    size_t size, reach;
    uint64_t noise;
    unsigned full; /* calls which ran out of space */
};

static size_t below(struct play *play, size_t end)
{
    return end == 0 ? 0
                    : (size_t)((((uint64_t)core_fixture_noise(&play->noise) << 20) ^ core_fixture_noise(&play->noise)) %
                               end);
}

/* Draws an offset. Prefers block and tree boundaries, where errors are likely. */
static size_t some_offset(struct play *play)
{
    size_t block = play->fixture.block_size, offset = below(play, play->reach);

    switch (below(play, 4)) {
    case 0:
        return offset / block * block;
    case 1:
        offset = (12 + below(play, 3) * (block / 4)) * block + below(play, 3) - 1;
        return offset < play->reach ? offset : below(play, play->reach);
    default:
        return offset;
    }
}

static size_t some_length(struct play *play, size_t offset)
{
    size_t most = play->reach - offset,
           length = 1 + below(play, below(play, 3) == 0 ? most : play->fixture.block_size * 3);

    return length < most ? length : most;
}

static void fill_buffer(struct play *play, size_t length)
{
    unsigned char byte = (unsigned char)(1 + below(play, 255));

    for (size_t i = 0; i < length; i++)
        play->buffer[i] = (unsigned char)(byte + i * 7);
}

static void written(struct play *play, size_t offset, size_t length)
{
    memcpy(play->expected + offset, play->buffer, length);
    if (offset + length > play->size)
        play->size = offset + length;
}

static void do_write(struct play *play)
{
    size_t offset = some_offset(play), length = some_length(play, offset);
    int64_t got;

    fill_buffer(play, length);
    got = ext2dax_write(play->inode, offset, play->buffer, length);
    if (got == -EXT2DAX_ENOSPC) {
        play->full++;
        return;
    }
    ck_assert_int_gt(got, 0);
    ck_assert_uint_le((uint64_t)got, length);
    play->full += (uint64_t)got < length;
    written(play, offset, (size_t)got);
}

static void do_truncate(struct play *play)
{
    size_t size = below(play, 8) == 0 ? 0 : some_offset(play);

    ck_assert_int_eq(ext2dax_truncate(play->inode, size), 0);
    if (size < play->size)
        memset(play->expected + size, 0, play->size - size);
    play->size = size;
}

static void do_punch(struct play *play)
{
    size_t offset = some_offset(play), length = some_length(play, offset), end = offset + length;

    ck_assert_int_eq(ext2dax_punch(play->inode, offset, length), 0);
    if (offset < play->size)
        memset(play->expected + offset, 0, (end < play->size ? end : play->size) - offset);
}

/* Zeroes in place. The number of blocks and the size stay. */
static void do_zero(struct play *play)
{
    size_t offset = some_offset(play), length = some_length(play, offset), end = offset + length;
    struct ext2dax_stat before, after;

    ext2dax_stat(play->inode, &before, sizeof(before));
    ck_assert_int_eq(ext2dax_zero_range(play->inode, offset, length), 0);
    ext2dax_stat(play->inode, &after, sizeof(after));
    ck_assert_uint_eq(after.sectors, before.sectors);
    if (offset < play->size)
        memset(play->expected + offset, 0, (end < play->size ? end : play->size) - offset);
}

static void do_fsync_range(struct play *play)
{
    size_t offset = some_offset(play), length = some_length(play, offset);

    ck_assert_int_eq(ext2dax_fsync_range(play->inode, offset, length), 0);
}

static void do_allocate(struct play *play)
{
    size_t offset = some_offset(play), length = some_length(play, offset);
    int rc = ext2dax_allocate(play->inode, offset, length, false);

    if (rc == -EXT2DAX_ENOSPC)
        play->full++;
    else
        ck_assert_int_eq(rc, 0);
    play->size = (size_t)core_fixture_size(play->inode);
}

static void do_mapped(struct play *play, bool write)
{
    size_t offset, length;
    bool huge = below(play, 2) != 0;
    enum ext2dax_fault_result result;

    if (!play->map || play->size == 0)
        return;
    offset = below(play, play->size);
    length = 1 + below(play, play->fixture.page_size * 2);
    if (length > play->size - offset)
        length = play->size - offset;
    if (!write) {
        ck_assert_int_eq(ext2dax_model_read(play->map, offset, play->buffer, length, huge, false),
                         EXT2DAX_FAULT_NOPAGE);
        ck_assert_mem_eq(play->buffer, play->expected + offset, length);
        return;
    }
    fill_buffer(play, length);
    result = ext2dax_model_write(play->map, offset, play->buffer, length, huge, false);
    if (result == EXT2DAX_FAULT_SIGBUS) {
        /* No space is left. A part of the store may have reached its pages. */
        play->full++;
        ck_assert_int_eq(ext2dax_read(play->inode, offset, play->expected + offset, length), (int64_t)length);
        return;
    }
    ck_assert_int_eq(result, EXT2DAX_FAULT_NOPAGE);
    written(play, offset, length);
}

/* Stores past the end of file, in the last mapped page. No read may ever return these bytes. */
static void do_stray_store(struct play *play)
{
    size_t page = play->fixture.page_size, into = play->size % page;

    if (!play->map || into == 0)
        return;
    fill_buffer(play, page);
    if (ext2dax_model_write(play->map, play->size - 1, play->buffer, page - into + 1, false, false) ==
        EXT2DAX_FAULT_NOPAGE)
        play->expected[play->size - 1] = play->buffer[0];
}

static void compare(struct play *play)
{
    ck_assert_uint_eq(core_fixture_size(play->inode), play->size);
    memset(play->buffer, 0xEE, play->size + 1);
    ck_assert_int_eq(ext2dax_read(play->inode, 0, play->buffer, play->size + 1), (int64_t)play->size);
    for (size_t i = 0; i < play->size; i++) {
        if (play->buffer[i] != play->expected[i])
            ck_abort_msg("byte %llu is %#x, not %#x", (unsigned long long)i, play->buffer[i], play->expected[i]);
    }
}

static void step(struct play *play)
{
    switch (below(play, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
        do_write(play);
        break;
    case 4:
        do_truncate(play);
        break;
    case 5:
        do_punch(play);
        break;
    case 6:
        do_allocate(play);
        break;
    case 7:
        ck_assert_int_eq(ext2dax_fsync(play->inode), 0);
        break;
    case 8:
        do_stray_store(play);
        break;
    case 9:
    case 10:
        do_mapped(play, true);
        break;
    case 11:
    case 12:
        do_zero(play);
        break;
    case 13:
        do_fsync_range(play);
        break;
    default:
        do_mapped(play, false);
        break;
    }
}

START_TEST(random_operations)
{
    const struct shape *shape = &shapes[_i];
    struct play play = {.reach = shape->reach, .noise = 20261122u + (uint64_t)_i};
    unsigned steps = emulated() ? STEPS / 4 : STEPS;
    uint64_t free_blocks;

    core_fixture_open(&play.fixture, &shape->options);
    free_blocks = core_fixture_free_blocks(&play.fixture);
    play.expected = calloc(1, play.reach + 1);
    play.buffer = malloc(play.reach + play.fixture.page_size * 2 + 1);
    play.inode = core_fixture_create(&play.fixture, "file");
    if (BENCH_FAULTS && play.fixture.block_size == play.fixture.page_size)
        play.map =
            ext2dax_model_map(play.fixture.model, play.inode, 0, play.reach / play.fixture.page_size + 1, true, true);
    for (unsigned i = 0; i < steps; i++) {
        step(&play);
        if (i % 8 == 0) {
            compare(&play);
            core_fixture_check(&play.fixture);
        }
    }
    compare(&play);
    printf("%s: %u steps, %u out of space\n", shape->name, steps, play.full);

    if (play.map)
        ext2dax_model_unmap(play.map);
    core_fixture_unlink(&play.fixture, "file");
    ext2dax_inode_put(play.inode);
    ck_assert_uint_eq(core_fixture_free_blocks(&play.fixture), free_blocks);
    core_fixture_close(&play.fixture);
    free(play.buffer);
    free(play.expected);
}
END_TEST

/*
 * Reads and writes with a buffer given by a pin into the same file. The call must move the same
 * bytes as through a copy made first. Source and target overlap at short and long distances, in
 * both directions and past the end.
 */
START_TEST(buffers_in_the_file)
{
    struct core_fixture_options options = {.size = 8 << 20, .block_size = 1024, .page_shift = 10, .huge_order = 3};
    struct play play = {.reach = 300 << 10, .noise = 20261129};
    const size_t pinned = 40 << 10;
    struct ext2dax_pin pin;
    size_t run;
    void *at;

    core_fixture_open(&play.fixture, &options);
    play.inode = core_fixture_create(&play.fixture, "file");
    play.expected = calloc(1, play.reach + 1);
    play.buffer = malloc(play.reach + 1);
    for (unsigned turn = 0; turn < 300; turn++) {
        size_t from, to, length;

        if (turn % 20 == 0) {
            ck_assert_int_eq(ext2dax_truncate(play.inode, 0), 0);
            play.size = 0;
            fill_buffer(&play, pinned);
            for (size_t i = 0; i < pinned; i++)
                play.buffer[i] = (unsigned char)core_fixture_noise(&play.noise);
            ck_assert_int_eq(ext2dax_write(play.inode, 0, play.buffer, pinned), (int64_t)pinned);
            memset(play.expected, 0, play.reach);
            written(&play, 0, pinned);
        }
        ck_assert_int_eq(ext2dax_pin(play.inode, 0, pinned, turn % 2 != 0, &pin), 0);
        from = below(&play, pinned - 1);
        ck_assert_int_eq(ext2dax_pin_pointer(&pin, from, &at, &run), 0);
        length = 1 + below(&play, run < pinned - from ? run : pinned - from);
        to = turn % 3 == 0 ? from + below(&play, 200) : below(&play, turn % 3 == 1 ? pinned : 2 * pinned);
        if (turn % 2 == 0) {
            ck_assert_int_eq(ext2dax_write(play.inode, to, at, length), (int64_t)length);
            memcpy(play.buffer, play.expected + from, length);
            written(&play, to, length);
        } else if (to < play.size) {
            length = length < play.size - to ? length : play.size - to;
            ck_assert_int_eq(ext2dax_read(play.inode, to, at, length), (int64_t)length);
            memmove(play.expected + from, play.expected + to, length);
        }
        ext2dax_unpin(&pin);
        compare(&play);
    }
    core_fixture_check(&play.fixture);

    /* Without memory for the copy, or with an unreadable buffer, no byte moves. */
    ck_assert_int_eq(ext2dax_pin(play.inode, 0, pinned, true, &pin), 0);
    ck_assert_int_eq(ext2dax_pin_pointer(&pin, 100, &at, &run), 0);
    play.fixture.allocs_left = 0;
    ck_assert_int_eq(ext2dax_write(play.inode, 200, at, 500), -EXT2DAX_ENOMEM);
    play.fixture.allocs_left = 0;
    ck_assert_int_eq(ext2dax_read(play.inode, 0, at, 500), -EXT2DAX_ENOMEM);
    play.fixture.allocs_left = -1;
    compare(&play);
    play.fixture.copy_left = 0;
    ck_assert_int_eq(ext2dax_write(play.inode, 200, at, 500), -EXT2DAX_EFAULT);
    play.fixture.copy_left = SIZE_MAX;
    compare(&play);
    ext2dax_unpin(&pin);
    core_fixture_unlink(&play.fixture, "file");
    ext2dax_inode_put(play.inode);
    core_fixture_close(&play.fixture);
    free(play.buffer);
    free(play.expected);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("files");
    TCase *random = add_case(suite, "random operations", 120);

    tcase_add_loop_test(random, random_operations, 0, (int)(sizeof shapes / sizeof shapes[0]));
    tcase_add_test(random, buffers_in_the_file);
    return run_suite(suite);
}
