/* SPDX-License-Identifier: MIT */
#include "edit.h"

#include <string.h>

enum structure { SUPER, DESCRIPTOR, BITMAP, INODE, POINTER, ENTRY, ATTRIBUTE, ANYWHERE, STRUCTURES };

static uint32_t number_in(const uint8_t *at, unsigned width)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < width; i++)
        value |= (uint32_t)at[i] << (8 * i);
    return value;
}

/* Returns the offset of a field of a dirent of a block. Follows the lengths of the dirents. */
static size_t entry_field(const struct small *small, const unsigned char *image, uint32_t block, uint32_t which,
                          uint32_t field)
{
    static const unsigned fields[] = {0, 4, 6, 7, 8, 9};
    size_t bs = small->block_size, at = 0;

    for (uint32_t i = 0; i < which % 16; i++) {
        uint32_t length = number_in(image + block * bs + at + 4, 2);

        if (length < 8 || at + length + 8 > bs)
            break;
        at += length;
    }
    return block * bs + at + fields[field % (sizeof(fields) / sizeof(fields[0]))];
}

static size_t place_of(const struct small *small, const unsigned char *image, const uint8_t *edit)
{
    uint32_t index = edit[1], field = number_in(edit + 2, 2);
    size_t bs = small->block_size;

    switch ((enum structure)(edit[0] % STRUCTURES)) {
    case SUPER: /* words and half words, at their places */
        return EXT2DAX_SUPER_OFFSET + (index & 1 ? field % 0x110 & ~3u : field % 1024 & ~1u);
    case DESCRIPTOR:
        return small->descriptors * bs + index % small->groups * 32 + (field % 20 & ~1u);
    case BITMAP:
        return small_bitmap(small, (index >> 1) % small->groups, index & 1) * bs + field % 12;
    case INODE: /* the words from the size on matter most */
        return small_inode(small, 1 + (index & 31) % small->inodes) +
               (index & 32 ? field % small->inode_size & ~1u : field % 32 * 4);
    case POINTER:
        return small->pointer_block[index % small->pointer_blocks] * bs + (field % (index & 128 ? 8 : bs / 4)) * 4;
    case ENTRY:
        return entry_field(small, image, small->entry_block[index % small->entry_blocks], field >> 8, field & 255);
    case ATTRIBUTE:
        return small->attribute_block[index % small->attribute_blocks] * bs +
               (index & 64 ? bs - 4 - field % 64 : field % 96 & ~1u);
    default:
        return (index << 16 | field) % (small->size - 4);
    }
}

void edit_apply(const struct small *small, unsigned char *image, const uint8_t *edit)
{
    static const unsigned widths[] = {4, 4, 2, 1};
    static const uint32_t limits[] = {0,      1,      2,      11,         12,         127,        128,        255,
                                      0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE, 0x10000};
    uint32_t how = edit[4], value = number_in(edit + 5, 3), was;
    unsigned width = widths[how & 3];
    size_t at = place_of(small, image, edit), bs = small->block_size;

    was = number_in(image + at, width);
    switch (how >> 2 & 15) {
    case 0:
    case 1:
        value %= small->blocks + 4; /* a block, or shortly past the end */
        break;
    case 2:
        value = (uint32_t)(at / bs); /* the block itself */
        break;
    case 3:
        value = small->pointer_block[value % small->pointer_blocks];
        break;
    case 4:
        value = small->entry_block[value % small->entry_blocks];
        break;
    case 5:
        value = small->attribute_block[value % small->attribute_blocks];
        break;
    case 6:
        value = limits[value % 16];
        break;
    case 7:
        value = was ^ (uint32_t)1 << (value & 31);
        break;
    case 8:
        value = was + (value & 15) - 8;
        break;
    case 9:
        value = 0u - value % 64;
        break;
    case 10:
        value %= small->inodes + 2;
        break;
    default:
        break;
    }
    for (unsigned i = 0; i < width; i++)
        image[at + i] = (unsigned char)(value >> (8 * i));
    if ((how & 0xC3) == 0xC0 && edit[0] % STRUCTURES == POINTER)
        for (size_t i = 0; i < bs; i++)
            image[at / bs * bs + i] = (unsigned char)(value >> (8 * (i & 3)));
}
