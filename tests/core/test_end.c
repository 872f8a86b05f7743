/* SPDX-License-Identifier: MIT */
/*
 * Tests blocks past the end of a file. A crash of another driver, repaired by e2fsck, may leave a
 * block which begins exactly at the end of a file, and pointer blocks without pointers. Such an
 * image is valid, but no byte of the block belongs to the file. Every call which extends the file
 * frees the block first. Runs with every block size and at every depth of the block tree.
 */
#include <stdlib.h>
#include <string.h>

#include "../runner.h"
#include "fixture.h"
#include "base/endian.h"
#include "base/internal.h"
#include "../reasons.h"

#define STALE 0xEE
#define DATA  0x3C
#define WHOLE 8 /* pages of a PMD range */

static const uint32_t sizes[] = {1024, 2048, 4096, 8192, 16384, 32768, 65536};
#define SIZES (sizeof sizes / sizeof sizes[0])

/*
 * End of the file. At block 0, among the direct blocks, at the first block of a tree, or inside a
 * tree.
 */
enum place { EMPTY, DIRECT, FIRST_INDIRECT, INDIRECT, FIRST_DOUBLE, PLACES };

static struct core_fixture fixture;
static struct ext2dax_inode *file;
static struct ext2dax_model_map *map;
static struct ext2dax_disk_inode *disk;
static uint64_t block, end;  /* bytes per block, and the end of the file in blocks */
static uint64_t free_before; /* free blocks before the block at the end was written */
static unsigned char *bytes; /* three blocks */

static void put_le32(struct ext2dax_le32 *at, uint32_t value)
{
    *at = e2d_le32(value);
}

/* Drops the inode in core, so its size is read again from the image. */
static void reopen(void)
{
    ext2dax_inode_put(file);
    ck_assert_int_eq(ext2dax_lookup(fixture.root, "file", 4, &file), 0);
    map = ext2dax_model_map(fixture.model, file, end / WHOLE * WHOLE, 2 * WHOLE, true, true);
    ck_assert_ptr_nonnull(map);
}

static void open_kind(uint32_t block_size)
{
    struct core_fixture_options options = {.size = (block_size > 4096 ? 64 : 256) * (size_t)block_size,
                                           .block_size = block_size,
                                           .huge_order = 3,
                                           .order = EXT2DAX_ORDERED};

    while ((1u << options.page_shift) < block_size)
        options.page_shift++;
    core_fixture_open(&fixture, &options);
    block = block_size;
    bytes = malloc(3 * block);
    ck_assert_ptr_nonnull(bytes);
    file = core_fixture_create(&fixture, "file");
    disk = file->disk;
    map = NULL;
}

/*
 * Makes a file with a block of old bytes at its end. `dense` writes every block before the end, or
 * only the last two if the end is past block 20. Otherwise all blocks before the end are holes.
 */
static void open_end(uint32_t block_size, enum place place, bool dense)
{
    open_kind(block_size);
    free_before = core_fixture_free_blocks(&fixture);
    end = place == EMPTY            ? 0
          : place == DIRECT         ? 3
          : place == FIRST_INDIRECT ? EXT2DAX_DIRECT
          : place == INDIRECT       ? EXT2DAX_DIRECT + 3
                                    : EXT2DAX_DIRECT + block / 4;
    memset(bytes, DATA, 3 * block);
    for (uint64_t at = dense && end > 20 ? end - 2 : 0; dense && at < end; at++)
        ck_assert_int_eq(ext2dax_write(file, at * block, bytes, block), (int64_t)block);
    memset(bytes, STALE, block);
    ck_assert_int_eq(ext2dax_write(file, end * block, bytes, block), (int64_t)block);
    put_le32(&disk->size, (uint32_t)(end * block));
    reopen();
    ck_assert_uint_eq(core_fixture_size(file), end * block);
}

static void close_end(void)
{
    ck_assert_uint_eq(fixture.reports, 0);
    core_fixture_check(&fixture);
    ext2dax_model_unmap(map);
    ext2dax_inode_put(file);
    core_fixture_close(&fixture);
    free(bytes);
}

#if BENCH_FAULTS
static void fault(enum ext2dax_fault_result (*entry)(struct ext2dax_fault *), uint64_t page, bool write)
{
    struct ext2dax_fault f;
    enum ext2dax_fault_result result;

    ext2dax_model_fault(map, page, write, &f);
    result = entry(&f);
    ck_assert(result == EXT2DAX_FAULT_NOPAGE || (entry == ext2dax_pmd_fault && result == EXT2DAX_FAULT_FALLBACK));
}
#endif

/* Returns whether `got` bytes of the file from `at` are zeroes, except the byte at `written`. */
static bool is_zero(uint64_t at, int64_t got, uint64_t written)
{
    for (int64_t i = 0; i < got; i++) {
        if (bytes[i] != (at + (uint64_t)i == written ? 'x' : 0))
            return false;
    }
    return true;
}

/*
 * Checks by read and by mapping that no old byte is visible from the old end on, except a byte at
 * `written`.
 */
static void nothing_shows(uint64_t written)
{
    for (uint64_t at = end * block; at < core_fixture_size(file); at += block) {
        int64_t got = ext2dax_read(file, at, bytes, block);

        ck_assert_int_gt(got, 0);
        ck_assert(is_zero(at, got, written));
#if BENCH_FAULTS
        if (fixture.pmd_pages != 0 && at / block < end / WHOLE * WHOLE + 2 * WHOLE) {
            memset(bytes, STALE, block);
            ck_assert_int_eq(ext2dax_model_read(map, at, bytes, (size_t)got, false, false), EXT2DAX_FAULT_NOPAGE);
            ck_assert(is_zero(at, got, written));
        }
#endif
    }
}

/* ---- calls which extend the file ---- */

static uint64_t truncate_up(void)
{
    ck_assert_int_eq(ext2dax_truncate(file, (end + 3) * block - 5), 0);
    return UINT64_MAX;
}
static uint64_t truncate_up_a_little(void)
{
    ck_assert_int_eq(ext2dax_truncate(file, end * block + 1), 0);
    return UINT64_MAX;
}
static uint64_t append(void)
{
    ck_assert_int_eq(ext2dax_write(file, end * block, "x", 1), 1);
    return end * block;
}
static uint64_t write_behind_a_gap(void)
{
    ck_assert_int_eq(ext2dax_write(file, (end + 1) * block + 7, "x", 1), 1);
    return (end + 1) * block + 7;
}
static uint64_t write_over_the_end(void)
{
    uint64_t from = end == 0 ? 0 : end * block - 1;

    memset(bytes, 0, 2 * block);
    ck_assert_int_eq(ext2dax_write(file, from, bytes, 2 * block), (int64_t)(2 * block));
    return UINT64_MAX;
}
static uint64_t allocate(void)
{
    ck_assert_int_eq(ext2dax_allocate(file, end * block, 2 * block, false), 0);
    return UINT64_MAX;
}
static uint64_t allocate_behind_a_gap(void)
{
    ck_assert_int_eq(ext2dax_allocate(file, (end + 1) * block, block, false), 0);
    return UINT64_MAX;
}
#if BENCH_FAULTS
static uint64_t store(void)
{
    (void)truncate_up();
    ck_assert_int_eq(ext2dax_model_write(map, end * block + 9, "x", 1, false, false), EXT2DAX_FAULT_NOPAGE);
    return end * block + 9;
}
static uint64_t mkwrite(void)
{
    (void)truncate_up();
    fault(ext2dax_fault, end, false);
    fault(ext2dax_mkwrite, end, true);
    fault(ext2dax_pfn_mkwrite, end, true);
    return UINT64_MAX;
}
static uint64_t pmd_store(void)
{
    ck_assert_int_eq(ext2dax_truncate(file, (end / WHOLE + 1) * WHOLE * block), 0);
    fault(ext2dax_pmd_fault, end, false);
    fault(ext2dax_pmd_fault, end, true);
    return UINT64_MAX;
}
#endif

static uint64_t (*const ways[])(void) = {truncate_up,
                                         truncate_up_a_little,
                                         append,
                                         write_behind_a_gap,
                                         write_over_the_end,
                                         allocate,
                                         allocate_behind_a_gap,
#if BENCH_FAULTS
                                         store,
                                         mkwrite,
                                         pmd_store
#endif
};
#define WAYS (sizeof ways / sizeof ways[0])

START_TEST(growing_frees_it)
{
    for (unsigned place = 0; place < PLACES; place++) {
        for (unsigned dense = 0; dense < 2; dense++) {
            for (unsigned way = 0; way < WAYS; way++) {
                open_end(sizes[_i], (enum place)place, dense != 0);
                nothing_shows(ways[way]());
                /* The block before the old end is unchanged. */
                if (dense != 0 && end != 0 && ways[way] != write_over_the_end) {
                    ck_assert_int_eq(ext2dax_read(file, (end - 1) * block, bytes, block), (int64_t)block);
                    ck_assert(bytes[0] == DATA && bytes[block - 1] == DATA);
                }
                close_end();
            }
        }
    }
}
END_TEST

/*
 * Truncate to the same size, to half and to zero, and unlink of the last name, all free the block
 * at the end.
 */
START_TEST(shrinking_frees_it)
{
    for (unsigned place = 0; place < PLACES; place++) {
        for (unsigned way = 0; way < 4; way++) {
            struct ext2dax_stat figures;

            open_end(sizes[_i], (enum place)place, false);
            if (way == 3) {
                ext2dax_inode_hold(file);
                ext2dax_inode_put(file);
                ext2dax_model_unmap(map);
                ext2dax_inode_put(file);
                core_fixture_unlink(&fixture, "file");
                ck_assert_uint_eq(core_fixture_free_blocks(&fixture), free_before);
                file = core_fixture_create(&fixture, "file");
                map = ext2dax_model_map(fixture.model, file, 0, 1, true, true);
            } else {
                ck_assert_int_eq(ext2dax_truncate(file, way == 0 ? end * block : way == 1 ? end * block / 2 : 0), 0);
                ck_assert_uint_eq(core_fixture_free_blocks(&fixture), free_before);
            }
            ext2dax_stat(file, &figures, sizeof(figures));
            ck_assert_uint_eq(figures.sectors, 0);
            close_end();
        }
    }
}
END_TEST

/*
 * Reads, maps and stores below the end of file leave the block at the end in place. None of them
 * sees its bytes.
 */
START_TEST(nobody_else_comes_to_it)
{
    uintptr_t fences;
    struct ext2dax_run run;

    open_end(sizes[_i], INDIRECT, true);
    fences = core_fixture_fences(&fixture);
    ck_assert_int_eq(ext2dax_map(file, end - 1, 5, &run), 0);
    ck_assert_uint_eq(run.length, 1);
    ck_assert_int_eq(ext2dax_map(file, end, 5, &run), 0);
    ck_assert(run.physical == 0 && run.length == 5);
    ck_assert_int_eq(ext2dax_read(file, end * block - 1, bytes, block), 1);
    ck_assert_int_eq(ext2dax_read(file, end * block, bytes, block), 0);
    ck_assert_int_eq(ext2dax_seek(file, 0, EXT2DAX_SEEK_HOLE), (int64_t)(end * block));
    ck_assert_int_eq(ext2dax_write(file, 0, "x", 1), 1);
    ck_assert_uint_eq(core_fixture_fences(&fixture), fences);
    ck_assert_uint_ne(e2d_get32(disk->block[EXT2DAX_IND]), 0);
#if BENCH_FAULTS
    {
        struct ext2dax_fault f;

        fault(ext2dax_fault, end - 1, true);
        ext2dax_model_fault(map, end, false, &f);
        ck_assert_int_eq(ext2dax_fault(&f), EXT2DAX_FAULT_SIGBUS);
    }
#endif
    ck_assert_int_eq(ext2dax_fsync(file), 0);
    ck_assert_int_eq(ext2dax_truncate(file, end * block), 0);
    close_end();
}
END_TEST

/*
 * Frees pointer blocks without pointers past the end. The test makes one from a block of zeroes, by
 * moving its number to another slot of the inode.
 */
START_TEST(pointer_blocks_for_nothing)
{
    for (unsigned slot = EXT2DAX_IND; slot <= EXT2DAX_TIND; slot++) {
        for (unsigned way = 0; way < WAYS; way++) {
            open_kind(sizes[_i]);
            end = 1;
            memset(bytes, DATA, block);
            ck_assert_int_eq(ext2dax_write(file, 0, bytes, block), (int64_t)block);
            ck_assert_int_eq(ext2dax_allocate(file, 5 * block, block, false), 0);
            disk->block[slot] = disk->block[5];
            put_le32(&disk->block[5], 0);
            put_le32(&disk->size, (uint32_t)block);
            reopen();
            nothing_shows(ways[way]());
            ck_assert_uint_eq(e2d_get32(disk->block[slot]), 0);
            close_end();
        }
    }
}
END_TEST

static void clear_error_bit(void)
{
    struct ext2dax_disk_super *super = (void *)((unsigned char *)fixture.memory.base + EXT2DAX_SUPER_OFFSET);

    ck_assert_uint_ne(e2d_get16(super->state) & EXT2DAX_STATE_ERROR, 0);
    super->state = e2d_le16(e2d_get16(super->state) & ~EXT2DAX_STATE_ERROR);
    fixture.reports = 0;
}

/*
 * A block further past the end is corruption, as for e2fsck. Calls which would extend the file fail
 * with EUCLEAN and do not expose its bytes. Truncate frees the block like any other.
 */
START_TEST(further_ones_are_corruption)
{
    open_kind(sizes[_i]);
    end = 2;
    memset(bytes, STALE, 3 * block);
    ck_assert_int_eq(ext2dax_write(file, 2 * block, bytes, 2 * block), (int64_t)(2 * block));
    put_le32(&disk->size, (uint32_t)(2 * block));
    reopen();
    ck_assert_int_eq(ext2dax_truncate(file, 4 * block), -EXT2DAX_EUCLEAN);
    ck_assert_int_eq(ext2dax_write(file, 4 * block, "x", 1), -EXT2DAX_EUCLEAN);
    ck_assert_int_eq(ext2dax_write(file, 2 * block, "x", 1), -EXT2DAX_EUCLEAN);
    ck_assert_int_eq(ext2dax_allocate(file, 0, 3 * block, false), -EXT2DAX_EUCLEAN);
    ck_assert_uint_eq(core_fixture_size(file), 2 * block);
    ck_assert_str_eq(fixture.last.field, "block pointer");
    if (REASONS)
        ck_assert_str_eq(fixture.last.reason, "is past the end of the file");
    clear_error_bit();
    ck_assert_int_eq(ext2dax_truncate(file, 2 * block), 0);
    ck_assert_int_eq(ext2dax_truncate(file, 4 * block), 0);
    nothing_shows(UINT64_MAX);
    close_end();
}
END_TEST

/* The block after a partial last block already counts as further past the end. */
START_TEST(behind_half_a_block_is_further)
{
    open_kind(sizes[_i]);
    end = 1;
    memset(bytes, STALE, 2 * block);
    ck_assert_int_eq(ext2dax_write(file, 0, bytes, 2 * block), (int64_t)(2 * block));
    put_le32(&disk->size, (uint32_t)block - 7);
    reopen();
    ck_assert_int_eq(ext2dax_truncate(file, 2 * block), -EXT2DAX_EUCLEAN);
    clear_error_bit();
    ck_assert_int_eq(ext2dax_truncate(file, block - 7), 0);
    close_end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ends of files");
    TCase *all = add_case(suite, "ends", 60);

    tcase_add_loop_test(all, growing_frees_it, 0, SIZES);
    tcase_add_loop_test(all, shrinking_frees_it, 0, SIZES);
    tcase_add_loop_test(all, nobody_else_comes_to_it, 0, SIZES);
    tcase_add_loop_test(all, pointer_blocks_for_nothing, 0, SIZES);
    tcase_add_loop_test(all, further_ones_are_corruption, 0, SIZES);
    tcase_add_loop_test(all, behind_half_a_block_is_further, 0, SIZES);
    return run_suite(suite);
}
