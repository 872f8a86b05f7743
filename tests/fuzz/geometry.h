/* SPDX-License-Identifier: MIT */
/*
 * Valid images of every geometry. A geometry is the block size, the number of blocks, the blocks
 * per group, the inodes, and the page size and huge order of the mount. Most geometries have an
 * unaligned end. A group ends inside an aligned extent, or the image ends inside a group.
 */
#ifndef TESTS_FUZZ_GEOMETRY_H
#define TESTS_FUZZ_GEOMETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2dax/ext2dax.h"

#include "plugs.h"

#define GEOMETRY_BYTES 16u

struct geometry {
    uint32_t block_size, blocks;
    uint32_t blocks_per_group, inodes, reserved_percent; /* 0 for the default */
    unsigned page_shift, huge_order;
    bool aligned;     /* the image starts at a huge page */
    bool poisoned;    /* free blocks are filled with a marker */
    const char *made; /* options of mke2fs, NULL for ext2dax_format() */
    uint32_t inode_size;

    struct fuzz_area area;
    size_t size; /* bytes of the memory */
};

/*
 * Chooses a geometry from GEOMETRY_BYTES of a fuzzer's input. Any bytes are valid. With `outside`
 * the geometry is for mke2fs.
 */
void geometry_choose(struct geometry *geometry, const uint8_t *bytes, bool outside);
/* Chooses another page size and huge order for the next mount. */
void geometry_choose_pages(struct geometry *geometry, uint8_t page, uint8_t huge);
/* Returns the number of blocks of an aligned extent. */
uint32_t geometry_pmd_range(const struct geometry *geometry);

/* Makes the image. Returns false if the geometry is refused. */
bool geometry_make(struct geometry *geometry);
void geometry_close(struct geometry *geometry);

/* Runs e2fsck -fn. Returns its exit status. */
int geometry_e2fsck(const struct geometry *geometry);

/* Describes the geometry in a single line. Returns the full length like snprintf. */
int geometry_text(const struct geometry *geometry, char *text, size_t size);

#endif
