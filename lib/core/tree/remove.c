/* SPDX-License-Identifier: MIT */
/*
 * Removal of a part of a block tree. Finds, validates, detaches and frees.
 *
 * Validating and freeing use the same walk, and only treat a run of blocks differently. The depth
 * of the walk is bounded by the depth of the tree. The breadth is bounded by a count, which must
 * not exceed the blocks of the image. So a tree with a pointer into itself ends with an error.
 */
#include "tree/remove.h"

#include "alloc/balloc.h"
#include "tree/lookup.h"
#include "disk/inode.h"
#include "tree/block_path.h"
#include "base/persist.h"
#include "disk/super.h"
#include "base/skips.h"

static void add_run(struct e2d_removal *removal, struct ext2dax_le32 *slots, uint32_t count, unsigned level)
{
    removal->run[removal->runs].slots = slots;
    removal->run[removal->runs].count = count;
    removal->run[removal->runs].level = level;
    removal->runs++;
}

/*
 * Finds the pointers in a pointer block. Freeing does not ask the memory again, because a tree
 * freed in part would lose the rest.
 */
static int pointer_block(struct e2d_removal *removal, uint32_t block, bool freeing, struct ext2dax_le32 **slots)
{
    struct ext2dax_mount *m = removal->inode->mount;
    int rc;

    rc = e2d_pointer_check(removal->inode, block, 1);
    if (rc != 0)
        return rc;
    *slots = e2d_block(m, block);
    return freeing ? 0 : e2d_check(m, *slots, m->block_size);
}

/*
 * Finds the runs inside a pointer array. Each slot spans e2d_path_span(m, level) blocks, from
 * logical block `base` on. Sets *empty if the removal leaves no block in the array. Recurses into
 * at most two slots per level of the tree.
 */
static int find_in(struct e2d_removal *removal, struct ext2dax_le32 *slots, uint32_t count, unsigned level,
                   uint64_t base, bool *empty)
{
    const struct ext2dax_mount *m = removal->inode->mount;
    uint32_t whole_first = UINT32_MAX, whole_count = 0;
    int rc;

    *empty = true;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t block = e2d_load_le32(&slots[i]);
        uint64_t start = base + ((uint64_t)i << (level * m->pointer_shift)), end = start + e2d_path_span(m, level);
        struct ext2dax_le32 *below;
        unsigned runs = removal->runs;
        bool below_empty;

        if (start >= removal->first && end <= removal->end) {
            /* Starts at the first used slot, so an array without pointers has no run. */
            if (whole_count != 0 || block != 0) {
                whole_first = whole_count == 0 ? i : whole_first;
                whole_count = i - whole_first + 1;
            }
            continue;
        }
        if (block == 0)
            continue;
        if (end <= removal->first || start >= removal->end) {
            *empty = false;
            continue;
        }
        rc = pointer_block(removal, block, false, &below);
        if (rc == 0)
            rc = find_in(removal, below, m->pointers, level - 1, start, &below_empty);
        if (rc != 0)
            return rc;
        if (below_empty) {
            removal->runs = runs;
            add_run(removal, &slots[i], 1, level);
        } else {
            *empty = false;
        }
    }
    if (whole_count != 0)
        add_run(removal, &slots[whole_first], whole_count, level);
    return 0;
}

/* ---- walk below the runs ---- */

struct walk {
    struct e2d_removal *removal;
    bool freeing;
    void (*each)(void *arg, uint32_t block, uint32_t count); /* called for every run, may be NULL */
    void *arg;
    uint32_t block, count; /* current run */
    uint64_t met;          /* number of blocks so far */
};

static int take_run(struct walk *walk)
{
    struct ext2dax_inode *inode = walk->removal->inode;
    struct ext2dax_mount *m = inode->mount;
    uint32_t block = walk->block, count = walk->count;
    int rc;

    walk->count = 0;
    if (count == 0)
        return 0;
    /*
     * Also checked when freeing. If a block is claimed twice, the contents of a pointer block may
     * belong to another file by now.
     */
    rc = e2d_pointer_check(inode, block, count);
    if (rc != 0)
        return rc;
    if (walk->freeing) {
        /* The pointer blocks of the run have been read, and the bits still keep the run. */
        e2d_discard(m, e2d_block(m, block), (size_t)count << m->block_shift);
        e2d_give_back(m, block, count);
        if (E2D_MUTANT(DISCARD_LATE))
            (e2d_discard)(m, e2d_block(m, block), (size_t)count << m->block_shift);
        return 0;
    }
    rc = e2d_ballocated(m, block, count);
    if (rc == 0 && walk->each)
        walk->each(walk->arg, block, count);
    if (rc <= 0)
        return rc;
    return e2d_inode_corrupt(inode, "block pointer", block, "starts a run with a block marked free");
}

static int take(struct walk *walk, uint32_t block)
{
    struct ext2dax_inode *inode = walk->removal->inode;
    int rc = 0;

    rc = e2d_blocks_possible(inode, ++walk->met);
    if (rc != 0)
        return rc;
    if (walk->count != 0 && block == walk->block + walk->count) {
        walk->count++;
        return 0;
    }
    rc = take_run(walk);
    walk->block = block;
    walk->count = 1;
    return rc;
}

/* Children come before the pointer block, which must be read before its bit is cleared. */
static int walk_slots(struct walk *walk, const struct ext2dax_le32 *slots, uint32_t count, unsigned level)
{
    struct ext2dax_le32 *below;
    int rc = 0;

    for (uint32_t i = 0; i < count && rc == 0; i++) {
        uint32_t block = e2d_load_le32(&slots[i]);

        if (block == 0)
            continue;
        if (level != 0) {
            rc = pointer_block(walk->removal, block, walk->freeing, &below);
            if (rc == 0)
                rc = walk_slots(walk, below, walk->removal->inode->mount->pointers, level - 1);
        }
        if (rc == 0)
            rc = take(walk, block);
    }
    return rc;
}

static int walk_removal(struct walk *walk)
{
    struct e2d_removal *removal = walk->removal;
    const struct ext2dax_le32 *saved = removal->saved;
    int rc = 0;

    for (unsigned i = 0; i < removal->runs && rc == 0; i++) {
        rc = walk_slots(walk, saved ? saved : removal->run[i].slots, removal->run[i].count, removal->run[i].level);
        if (saved)
            saved += removal->run[i].count;
    }
    return rc != 0 ? rc : take_run(walk);
}

/* ---- the removal ---- */

int e2d_remove_look(struct e2d_removal *removal, struct ext2dax_inode *inode, uint64_t first, uint64_t end)
{
    const struct ext2dax_mount *m = inode->mount;
    struct ext2dax_le32 *slots = inode->disk->block;
    bool empty;
    int rc;

    removal->inode = inode;
    removal->first = first;
    removal->end = end;
    removal->runs = 0;
    removal->saved = NULL;
    removal->slots = removal->blocks = 0;
    if (first >= end)
        return 0;
    rc = find_in(removal, slots, EXT2DAX_DIRECT, 0, 0, &empty);
    for (uint32_t slot = EXT2DAX_IND; slot < EXT2DAX_SLOTS && rc == 0; slot++)
        rc = find_in(removal, &slots[slot], 1, slot - EXT2DAX_IND + 1, e2d_path_base(m, slot), &empty);
    return rc;
}

int e2d_remove_find(struct e2d_removal *removal, struct ext2dax_inode *inode, uint64_t first, uint64_t end)
{
    struct walk walk = {.removal = removal};
    int rc = e2d_remove_look(removal, inode, first, end);

    if (rc == 0)
        rc = walk_removal(&walk);
    if (rc != 0)
        return rc;
    removal->blocks = (uint32_t)walk.met;
    for (unsigned i = 0; i < removal->runs; i++)
        removal->slots += removal->run[i].count;
    return 0;
}

int e2d_remove_prepare(struct e2d_removal *removal)
{
    if (removal->slots == 0)
        return 0;
    removal->saved = e2d_alloc(removal->inode->mount, (size_t)removal->slots * sizeof *removal->saved);
    if (!removal->saved)
        return -EXT2DAX_ENOMEM;
    for (unsigned i = 0, at = 0; i < removal->runs; at += removal->run[i++].count)
        memcpy(&removal->saved[at], removal->run[i].slots, removal->run[i].count * sizeof *removal->saved);
    return 0;
}

void e2d_remove_detach(struct e2d_removal *removal)
{
    struct ext2dax_inode *inode = removal->inode;

    e2d_set64(&inode->removals, e2d_load64(&inode->removals) + 1);
    for (unsigned i = 0; i < removal->runs; i++) {
        for (uint32_t k = 0; k < removal->run[i].count; k++)
            e2d_put32(&removal->run[i].slots[k], 0);
        e2d_written(removal->inode->mount, removal->run[i].slots, removal->run[i].count * sizeof *removal->saved);
    }
}

void e2d_remove_free(struct e2d_removal *removal)
{
    struct walk walk = {.removal = removal, .freeing = true};

    /* Validated before. An error since then is reported, and the rest is left to e2fsck. */
    (void)walk_removal(&walk);
    e2d_drop_blocks(removal->inode, removal->blocks);
}

int e2d_remove_each(struct e2d_removal *removal, void (*each)(void *arg, uint32_t block, uint32_t count), void *arg)
{
    struct walk walk = {.removal = removal, .each = each, .arg = arg};

    return walk_removal(&walk);
}

void e2d_remove_close(struct e2d_removal *removal)
{
    e2d_release(removal->inode->mount, removal->saved, (size_t)removal->slots * sizeof *removal->saved);
    removal->saved = NULL;
}
