/* SPDX-License-Identifier: MIT */
/*
 * Finding, validating, detaching and freeing part of a block tree. Validation and freeing walk the same way and differ in
 * what they do with a run of blocks. Depth is bounded by the tree's, breadth by counting against the image's blocks, so
 * a tree that points into itself ends as an error.
 */
#include "cut.h"

#include "balloc.h"
#include "branch.h"
#include "inode.h"
#include "path.h"
#include "persist.h"
#include "super.h"

static void add_run(struct e2d_cut *cut, struct ext2dax_le32 *slots, uint32_t count, unsigned level)
{
    cut->run[cut->runs].slots = slots;
    cut->run[cut->runs].count = count;
    cut->run[cut->runs].level = level;
    cut->runs++;
}

static int pointer_block(struct e2d_cut *cut, uint32_t block, struct ext2dax_le32 **slots)
{
    struct ext2dax_mount *m = cut->inode->mount;
    int rc;

    rc = e2d_pointer_check(cut->inode, block, 1);
    if (rc != 0)
        return rc;
    *slots = e2d_block(m, block);
    return e2d_check(m, *slots, m->block_size);
}

/*
 * The runs inside one pointer array, whose slots each span `span` blocks from logical block `base` on. *empty: the cut
 * leaves nothing in it. Recurses into at most two slots, once for each level of the tree.
 */
static int find_in(struct e2d_cut *cut, struct ext2dax_le32 *slots, uint32_t count, unsigned level, uint64_t base,
                   bool *empty)
{
    const struct ext2dax_mount *m = cut->inode->mount;
    uint32_t whole_first = UINT32_MAX, whole_count = 0;
    int rc;

    *empty = true;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t block = e2d_load_le32(&slots[i]);
        uint64_t start = base + ((uint64_t)i << (level * m->pointer_shift)), end = start + e2d_path_span(m, level);
        struct ext2dax_le32 *below;
        unsigned runs = cut->runs;
        bool below_empty;

        if (start >= cut->first && end <= cut->end) {
            /* From the first filled slot on, so that an untouched array yields no run at all. */
            if (whole_count != 0 || block != 0) {
                whole_first = whole_count == 0 ? i : whole_first;
                whole_count = i - whole_first + 1;
            }
            continue;
        }
        if (block == 0)
            continue;
        if (end <= cut->first || start >= cut->end) {
            *empty = false;
            continue;
        }
        rc = pointer_block(cut, block, &below);
        if (rc == 0)
            rc = find_in(cut, below, m->pointers, level - 1, start, &below_empty);
        if (rc != 0)
            return rc;
        if (below_empty) {
            cut->runs = runs;
            add_run(cut, &slots[i], 1, level);
        } else {
            *empty = false;
        }
    }
    if (whole_count != 0)
        add_run(cut, &slots[whole_first], whole_count, level);
    return 0;
}

/* ---- walking what hangs below the runs ---- */

struct walk {
    struct e2d_cut *cut;
    bool freeing;
    uint32_t block, count; /* the run being gathered */
    uint64_t met;          /* blocks so far */
};

static int take_run(struct walk *walk)
{
    struct ext2dax_inode *inode = walk->cut->inode;
    struct ext2dax_mount *m = inode->mount;
    uint32_t block = walk->block, count = walk->count;
    int rc;

    walk->count = 0;
    if (count == 0)
        return 0;
    /* Checked when freeing too: the bytes of a pointer block may have changed hands with a block claimed twice. */
    rc = e2d_pointer_check(inode, block, count);
    if (rc != 0)
        return rc;
    if (walk->freeing) {
        e2d_super_give_blocks(m, e2d_bfree(m, block, count));
        return 0;
    }
    rc = e2d_ballocated(m, block, count);
    if (rc != -EXT2DAX_EUCLEAN)
        return rc;
    return e2d_corrupt(m, "inode", inode->number, "block pointer", block,
                       "is to a block marked free, or at the start of a run with one");
}

static int take(struct walk *walk, uint32_t block)
{
    struct ext2dax_inode *inode = walk->cut->inode;
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

/* Children before their pointer block: its bytes are read before its bit is cleared. */
static int walk_slots(struct walk *walk, const struct ext2dax_le32 *slots, uint32_t count, unsigned level)
{
    struct ext2dax_le32 *below;
    int rc = 0;

    for (uint32_t i = 0; i < count && rc == 0; i++) {
        uint32_t block = e2d_load_le32(&slots[i]);

        if (block == 0)
            continue;
        if (level != 0) {
            rc = pointer_block(walk->cut, block, &below);
            if (rc == 0)
                rc = walk_slots(walk, below, walk->cut->inode->mount->pointers, level - 1);
        }
        if (rc == 0)
            rc = take(walk, block);
    }
    return rc;
}

static int walk_cut(struct e2d_cut *cut, bool freeing, uint64_t *met)
{
    struct walk walk = {.cut = cut, .freeing = freeing};
    const struct ext2dax_le32 *saved = cut->saved;
    int rc = 0;

    for (unsigned i = 0; i < cut->runs && rc == 0; i++) {
        rc = walk_slots(&walk, saved ? saved : cut->run[i].slots, cut->run[i].count, cut->run[i].level);
        if (saved)
            saved += cut->run[i].count;
    }
    if (rc == 0)
        rc = take_run(&walk);
    *met = walk.met;
    return rc;
}

/* ---- the cut ---- */

int e2d_cut_find(struct e2d_cut *cut, struct ext2dax_inode *inode, uint64_t first, uint64_t end)
{
    const struct ext2dax_mount *m = inode->mount;
    struct ext2dax_le32 *slots = inode->disk->block;
    uint64_t met;
    bool empty;
    int rc;

    cut->inode = inode;
    cut->first = first;
    cut->end = end;
    cut->runs = 0;
    cut->saved = NULL;
    cut->slots = cut->blocks = 0;
    if (first >= end)
        return 0;
    rc = find_in(cut, slots, EXT2DAX_DIRECT, 0, 0, &empty);
    for (uint32_t slot = EXT2DAX_IND; slot < EXT2DAX_SLOTS && rc == 0; slot++)
        rc = find_in(cut, &slots[slot], 1, slot - EXT2DAX_IND + 1, e2d_path_base(m, slot), &empty);
    if (rc == 0)
        rc = walk_cut(cut, false, &met);
    if (rc != 0)
        return rc;
    cut->blocks = (uint32_t)met;
    for (unsigned i = 0; i < cut->runs; i++)
        cut->slots += cut->run[i].count;
    return 0;
}

int e2d_cut_prepare(struct e2d_cut *cut)
{
    if (cut->slots == 0)
        return 0;
    cut->saved = e2d_alloc(cut->inode->mount, (size_t)cut->slots * sizeof *cut->saved);
    if (!cut->saved)
        return -EXT2DAX_ENOMEM;
    for (unsigned i = 0, at = 0; i < cut->runs; at += cut->run[i++].count)
        memcpy(&cut->saved[at], cut->run[i].slots, cut->run[i].count * sizeof *cut->saved);
    return 0;
}

void e2d_cut_detach(struct e2d_cut *cut)
{
    for (unsigned i = 0; i < cut->runs; i++) {
        for (uint32_t k = 0; k < cut->run[i].count; k++)
            e2d_put32(&cut->run[i].slots[k], 0);
        e2d_written(cut->inode->mount, cut->run[i].slots, cut->run[i].count * sizeof *cut->saved);
    }
}

void e2d_cut_free(struct e2d_cut *cut)
{
    uint64_t met;

    (void)walk_cut(cut, true, &met); /* validated before; what went bad since then is reported and left to e2fsck */
    e2d_drop_blocks(cut->inode, cut->blocks);
}

void e2d_cut_close(struct e2d_cut *cut)
{
    e2d_release(cut->inode->mount, cut->saved, (size_t)cut->slots * sizeof *cut->saved);
    cut->saved = NULL;
}
