/* SPDX-License-Identifier: MIT */
#include "geometry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../image/outside.h"
#include "tree.h"

#define POISONED_MOST ((size_t)4 << 20)
#define OUTSIDE_MOST  ((uint32_t)64 << 20) /* mke2fs images are copied */
#define POISON        0xA5
#define ALIGNED_LEAST ((size_t)4 << 20) /* large enough for most later mounts */

static uint32_t number_in(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8;
}

static unsigned log2_of(uint32_t power)
{
    unsigned shift = 0;

    while (power >> shift > 1)
        shift++;
    return shift;
}

/* ---- which ---- */

void geometry_choose_pages(struct geometry *geometry, uint8_t page, uint8_t huge)
{
    unsigned block_shift = log2_of(geometry->block_size);

    /* Files can be mapped only if the block size is the page size. */
    geometry->page_shift = (page & 3) != 0 ? block_shift : 10 + (page >> 2) % 7u;
    geometry->huge_order = 3 + huge / 4u % (geometry->page_shift - 4);
    if ((huge & 3) != 0 && geometry->huge_order > 5)
        geometry->huge_order = 3 + geometry->huge_order % 3;
}

uint32_t geometry_pmd_range(const struct geometry *geometry)
{
    unsigned block_shift = log2_of(geometry->block_size), huge_shift = geometry->page_shift + geometry->huge_order;
    unsigned shift = huge_shift > block_shift + 3 ? huge_shift - block_shift : 3;

    return (uint32_t)1 << (shift < block_shift - 2 ? shift : block_shift - 2);
}

static uint32_t choose_blocks_per_group(const struct geometry *geometry, const uint8_t *bytes)
{
    uint32_t most = geometry->block_size * 8 < 65528 ? geometry->block_size * 8 : 65528,
             range = geometry_pmd_range(geometry);
    uint32_t number = number_in(bytes + 1), chosen;

    switch (bytes[0] % 8) {
    case 0:
        return 0;
    case 1:
        chosen = most;
        break;
    case 2:
        chosen = 16 + number % 32 * 8;
        break;
    case 3:
    case 4:
        chosen = range * (1 + number % 6);
        break;
    case 5:
        chosen = range * (1 + number % 6) + 8;
        break;
    case 6:
        chosen = range * (1 + number % 6) - 8;
        break;
    default:
        chosen = number % 2048 & ~7u;
    }
    chosen = chosen < 16 ? 16 : chosen;
    return chosen < most ? chosen : most;
}

/*
 * Returns a size of whole groups and a partial group, up to a few MiB. Rarely returns up to 1 GiB,
 * most of which stays untouched.
 */
static uint32_t choose_blocks(const struct geometry *geometry, const uint8_t *bytes)
{
    uint32_t usual =
        (geometry->block_size * 8 < 65528 ? geometry->block_size * 8 : 65528) & ~(geometry->block_size / 4 - 1);
    uint32_t group = geometry->blocks_per_group != 0 ? geometry->blocks_per_group : usual;
    uint32_t range = geometry_pmd_range(geometry), number = number_in(bytes + 1), last, blocks;
    size_t most = (size_t)(geometry->block_size <= 4096 ? 6 : geometry->block_size <= 16384 ? 24 : 64) << 20;

    if (bytes[0] % 32 == 31)
        most = sizeof(void *) > 4 ? (size_t)1 << 30 : (size_t)64 << 20;
    switch (bytes[0] / 32) {
    case 0:
        last = group;
        break;
    case 1:
        last = group - 1 - number % 40 % group;
        break;
    case 2:
    case 3:
        last = range * (1 + number % 8) + number / 8 % range;
        break;
    case 4:
        last = range * (1 + number % 8) + number / 8 % 5 - 2;
        break;
    default:
        last = number % 3000;
    }
    blocks = group * (bytes[3] % 6) + last % (group + 1) + (geometry->block_size == 1024);
    if (blocks > most / geometry->block_size)
        blocks = (uint32_t)(most / geometry->block_size) - number % 97;
    return blocks < 8 ? 8 : blocks;
}

void geometry_choose(struct geometry *geometry, const uint8_t *bytes, bool outside)
{
    static const uint8_t shifts[16] = {10, 10, 10, 10, 11, 11, 12, 12, 12, 12, 12, 13, 14, 14, 15, 16};
    static const char *const options[8] = {"",
                                           "-O ^resize_inode",
                                           "-O ^sparse_super,^resize_inode",
                                           "-O meta_bg,^resize_inode",
                                           "-O ^filetype",
                                           "-E stride=5",
                                           "-r 0 -O none",
                                           "-E resize=200000"};

    memset(geometry, 0, sizeof(*geometry));
    geometry->block_size = (uint32_t)1 << shifts[bytes[0] & 15];
    geometry_choose_pages(geometry, bytes[1], bytes[2]);
    geometry->blocks_per_group = choose_blocks_per_group(geometry, bytes + 3);
    if (outside && geometry->blocks_per_group != 0 && geometry->blocks_per_group < 256)
        geometry->blocks_per_group += 256;
    geometry->blocks = choose_blocks(geometry, bytes + 6);
    if (outside && (uint64_t)geometry->blocks * geometry->block_size > OUTSIDE_MOST)
        geometry->blocks = OUTSIDE_MOST / geometry->block_size - geometry->blocks % 97;
    geometry->inodes = bytes[10] % 4 == 0 ? 0 : bytes[10] % 4 == 1 ? 16u + bytes[11] : 16;
    geometry->reserved_percent = bytes[12] % 8 == 0 ? bytes[12] / 8 : 0;
    geometry->aligned = (bytes[13] & 3) != 0;
    geometry->poisoned = (size_t)geometry->blocks * geometry->block_size <= POISONED_MOST;
    if (outside) {
        geometry->made = options[bytes[14] % 8];
        geometry->inode_size = bytes[14] % 8 == 6 ? 128u : 128u << bytes[15] % 4;
        geometry->inode_size =
            geometry->inode_size < geometry->block_size ? geometry->inode_size : geometry->block_size;
    }
}

int geometry_text(const struct geometry *geometry, char *text, size_t size)
{
    return snprintf(
        text, size,
        "block size %u, blocks %u, blocks per group %u, inodes %u, reserved %u%%, page shift %u, huge order "
        "%u, PMD range %u%s%s%s%s",
        (unsigned)geometry->block_size, (unsigned)geometry->blocks, (unsigned)geometry->blocks_per_group,
        (unsigned)geometry->inodes, (unsigned)geometry->reserved_percent, geometry->page_shift, geometry->huge_order,
        (unsigned)geometry_pmd_range(geometry), geometry->aligned ? ", aligned" : "",
        geometry->made ? ", by mke2fs " : "", geometry->made ? geometry->made : "",
        geometry->poisoned ? "" : ", zeroes");
}

/* ---- the image ---- */

static bool format(const struct geometry *geometry)
{
    static const struct ext2dax_memory_ops plain = {.size = sizeof(plain)};
    struct ext2dax_format_options options = {.size = sizeof(options),
                                             .block_size = geometry->block_size,
                                             .blocks_per_group = geometry->blocks_per_group,
                                             .inodes = geometry->inodes,
                                             .reserved_percent = geometry->reserved_percent,
                                             .time = 1700000000};
    struct ext2dax_memory memory = {&plain, NULL, geometry->area.base, geometry->size, 0};
    int error = ext2dax_format(&memory, &options, NULL);

    MUST(error == 0 || error == -EXT2DAX_ENOSPC || error == -EXT2DAX_EINVAL || error == -EXT2DAX_EOVERFLOW);
    return error == 0;
}

static bool make_outside(const struct geometry *geometry)
{
    struct outside_image image = outside_open(geometry->size);
    char inodes[32] = "", group[32] = "";
    int status;

    if (geometry->inodes != 0)
        (void)snprintf(inodes, sizeof(inodes), "-N %u", (unsigned)geometry->inodes);
    if (geometry->blocks_per_group != 0)
        (void)snprintf(group, sizeof(group), "-g %u", (unsigned)geometry->blocks_per_group);
    memset(image.base, 0, 4096);
    if (geometry->poisoned)
        memset(image.base + 65536 % geometry->size, POISON, geometry->size - 65536 % geometry->size);
    status = outside_run("mke2fs -qF -t ext2 -b %u %s %s -I %u -m %u %s %s %u >/dev/null 2>&1",
                         (unsigned)geometry->block_size, group, inodes, (unsigned)geometry->inode_size,
                         (unsigned)geometry->reserved_percent, geometry->made, image.path, (unsigned)geometry->blocks);
    if (status == 0)
        memcpy(geometry->area.base, image.base, geometry->size);
    outside_close(&image);
    return status == 0;
}

bool geometry_make(struct geometry *geometry)
{
    size_t huge = (size_t)1 << (geometry->page_shift + geometry->huge_order), alignment = 0;
    bool made;

    geometry->size = (size_t)geometry->blocks * geometry->block_size;
    if (geometry->aligned)
        alignment = huge > ALIGNED_LEAST && sizeof(void *) > 4 ? huge : ALIGNED_LEAST;
    geometry->area = fuzz_area_open(geometry->size, alignment);
    if (geometry->made) {
        made = make_outside(geometry);
    } else {
        if (geometry->poisoned)
            memset(geometry->area.base, POISON, geometry->size);
        made = format(geometry);
    }
    if (!made)
        fuzz_area_close(&geometry->area);
    return made;
}

void geometry_close(struct geometry *geometry)
{
    fuzz_area_close(&geometry->area);
}

int geometry_e2fsck(const struct geometry *geometry)
{
    struct outside_image image = outside_open(geometry->size);
    int status;

    memcpy(image.base, geometry->area.base, geometry->size);
    status = outside_e2fsck(&image, true);
    outside_close(&image);
    return status;
}
