/* SPDX-License-Identifier: MIT */
/* A picture of the layout of an image, as a grid of cells in the order of blocks. */
#ifndef DAX_IMAGE_PICTURE_H
#define DAX_IMAGE_PICTURE_H

#include <stdbool.h>
#include <stdint.h>

#define PICTURE_COLUMNS 64u
#define PICTURE_ROWS    16u
#define PICTURE_CELLS   1024u /* columns times rows */

struct picture {
    uint64_t blocks;              /* of the image */
    uint64_t data[PICTURE_CELLS]; /* blocks of files */
    uint64_t huge[PICTURE_CELLS]; /* of these, blocks of ranges mapped by a huge page */
};

void picture_begin(struct picture *picture, uint64_t blocks);
/* Adds a run of blocks, as a shape_each. */
void picture_add(void *arg, uint64_t first, uint64_t length, bool huge);
void picture_print(const struct picture *picture);
/* Writes the picture to a file. Returns an exit code. */
int picture_svg(const struct picture *picture, const char *caption, const char *path);

#endif
