/* SPDX-License-Identifier: MIT */
/*
 * Public calls of the checker. A pass over the metadata claims its blocks. A pass over the inodes
 * claims their blocks and parses directories. A pass over the bitmaps compares. The work is linear
 * in blocks and inodes, so the checker can run after every step of a long exploration. A small
 * image needs no allocation, a large image a single allocation. Only the set of names may grow
 * later.
 */
#include "check_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/error.h"

#define ROOM 4096u /* bytes, sufficient for an image of 64 blocks, which is checked often */

/*
 * Returns zeroed memory for all tables in a single piece. A large piece comes from calloc(), which
 * allocates no page in advance. A small piece is `room`.
 */
static void *scratch(struct e2dt_check *a, uint32_t *owners, void *room)
{
    uint32_t slots = 64;
    size_t names, inodes, blocks, bytes;
    char *memory;

    while (slots < a->inodes && slots < 1u << 16)
        slots *= 2;
    names = (size_t)slots * sizeof(*a->names);
    inodes = ((size_t)a->inodes + 1) * sizeof(*a->inode);
    blocks = (size_t)a->blocks * sizeof(uint32_t);
    bytes = names + inodes + blocks + (owners ? 0 : blocks);
    memory = bytes <= ROOM ? memset(room, 0, bytes) : calloc(1, bytes);
    if (!memory)
        return NULL;
    a->names = (void *)memory;
    a->names_mask = slots - 1;
    a->inode = (void *)(memory + names);
    a->xattr_references = (void *)(memory + names + inodes);
    a->owner = owners ? owners : (void *)(memory + names + inodes + blocks);
    if (owners)
        memset(owners, 0, blocks);
    return memory;
}

int ext2dax_check_image(const void *base, size_t size, unsigned flags,
                        void (*found)(void *arg, const struct ext2dax_finding *finding), void *arg, uint32_t *owners)
{
    struct e2dt_check a = {.base = base, .size = size, .flags = flags, .found = found, .arg = arg};
    int error = e2dt_check_geometry(&a);
    uint64_t room[ROOM / sizeof(uint64_t)];
    void *memory;

    if (error < 0)
        return error;
    if (error > 0)
        return a.findings;
    memory = scratch(&a, owners, room);
    if (!memory)
        return -EXT2DAX_ENOMEM;
    if (e2dt_check_metadata(&a)) {
        e2dt_check_inodes(&a);
        e2dt_check_links(&a);
        e2dt_check_totals(&a);
    }
    if (a.names_own)
        free(a.names);
    if (memory != room)
        free(memory);
    return a.no_memory ? -EXT2DAX_ENOMEM : a.findings;
}

/*
 * Reads only the geometry, for access to a single inode. Returns NULL if the geometry is unusable
 * or there is no such inode.
 */
static const struct ext2dax_disk_inode *look(struct e2dt_check *a, const void *base, size_t size, uint32_t number)
{
    memset(a, 0, sizeof(*a));
    a->base = base;
    a->size = size;
    return e2dt_check_geometry(a) == 0 ? e2dt_check_inode_at(a, number) : NULL;
}

uint32_t ext2dax_check_block(const void *base, size_t size, uint32_t inode, uint64_t logical)
{
    struct e2dt_check a;
    const struct ext2dax_disk_inode *in = look(&a, base, size, inode);
    uint64_t place = logical - EXT2DAX_DIRECT;
    uint32_t block;
    unsigned level;

    if (!in)
        return 0;
    if (logical < EXT2DAX_DIRECT) {
        block = e2dt_check_get32(in->block[logical]);
        return e2dt_check_in_image(&a, block) ? block : 0;
    }
    for (level = 1; level <= 3 && place >> (level * a.pointers_shift) != 0; level++)
        place -= (uint64_t)1 << (level * a.pointers_shift);
    if (level > 3)
        return 0;
    block = e2dt_check_get32(in->block[EXT2DAX_DIRECT + level - 1]);
    /* A pointer to block 0 is a hole. Most images contain block 0, with the superblock. */
    while (level > 0 && block != 0 && e2dt_check_in_image(&a, block)) {
        const struct ext2dax_le32 *slots = e2dt_check_block(&a, block);

        level--;
        block = e2dt_check_get32(slots[place >> (level * a.pointers_shift) & ((1u << a.pointers_shift) - 1)]);
    }
    return e2dt_check_in_image(&a, block) ? block : 0;
}

uint64_t ext2dax_check_size(const void *base, size_t size, uint32_t inode)
{
    struct e2dt_check a;
    const struct ext2dax_disk_inode *in = look(&a, base, size, inode);

    return in ? e2dt_check_inode_size(in) : 0;
}

int ext2dax_finding_text(const struct ext2dax_finding *finding, char *buffer, size_t size)
{
    char inode[32] = "";

    if (finding->inode != 0)
        (void)snprintf(inode, sizeof(inode), "inode %lu: ", (unsigned long)finding->inode);
    return snprintf(buffer, size, "%s%s (at %llu, expected %llu, found %llu)", inode, finding->what,
                    (unsigned long long)finding->block, (unsigned long long)finding->expected,
                    (unsigned long long)finding->found);
}
