/* SPDX-License-Identifier: MIT */
/*
 * Inodes and their block trees. The first inode naming a block becomes its owner in the owner map.
 * Naming a block a second time is a finding and does not descend, so the work is bounded by the
 * image size, regardless of the block pointers.
 *
 * An inode with links counts as a file. An inode without links but marked used is still held open
 * where the flags permit, and owns its blocks like any file. Otherwise such an inode is leaked.
 * After a crash the blocks of such an inode may already be free and owned by another inode, or not
 * yet be marked used. Such an inode is therefore not walked.
 */
#include "check_image.h"

#define get16 e2dt_check_get16
#define get32 e2dt_check_get32

#define BAD_BLOCKS_INODE 1u
#define SECTOR_SHIFT     9

struct walk {
    struct e2dt_check *a;
    uint32_t number;
    bool directory; /* has dirents to parse */
    uint64_t end;   /* blocks covered by the size */
    uint64_t slack; /* the block after `end`, permitted by ENDS_OK, or UINT64_MAX if none */
    uint64_t next;  /* for a directory, the logical block expected next */
    uint64_t owned; /* blocks, including pointer blocks */
};

/* May a block or pointer block lie here, past the end? */
static bool end_ok(const struct walk *w, uint64_t logical, bool pointers)
{
    if (w->directory)
        /* The directory was extended before a power failure, and e2fsck corrects its size. */
        return (w->a->flags & EXT2DAX_CHECK_LEAKS_OK) != 0;
    return (w->a->flags & EXT2DAX_CHECK_ENDS_OK) != 0 && (pointers || logical == w->slack);
}

/*
 * Enters a block as owned. Reports and returns false if the block is outside the image or already
 * owned.
 */
static bool own(struct walk *w, uint32_t block)
{
    struct e2dt_check *a = w->a;
    uint32_t *owner;

    if (!e2dt_check_in_image(a, block)) {
        e2dt_check_report(a, "block pointer outside the image", w->number, block, a->blocks, block);
        return false;
    }
    w->owned++;
    owner = &a->owner[block];
    if (*owner == 0 || (*owner == E2DT_CHECK_RESERVED && w->number == EXT2DAX_RESIZE_INODE)) {
        *owner = w->number;
        return true;
    }
    e2dt_check_report(a, *owner >= E2DT_CHECK_RESERVED ? "block pointer into metadata" : "block owned twice", w->number,
                      block, *owner >= E2DT_CHECK_RESERVED ? 0 : *owner, w->number);
    return false;
}

static void data_block(struct walk *w, uint64_t logical, uint32_t block)
{
    bool ours = own(w, block);

    if (logical >= w->end) {
        if (!end_ok(w, logical, false))
            e2dt_check_report(w->a, "block past the end of the file", w->number, block, w->end, logical);
        return;
    }
    if (!w->directory)
        return;
    if (logical != w->next)
        e2dt_check_report(w->a, "hole in a directory", w->number, 0, w->next, logical);
    w->next = logical + 1;
    if (ours)
        e2dt_check_directory_block(w->a, w->number, logical, block);
}

/*
 * Walks `count` pointers, each covering 2^(level * pointers_shift) blocks, the first from logical
 * block `first` on.
 */
static void pointers(struct walk *w, const struct ext2dax_le32 *slot, uint32_t count, unsigned level, uint64_t first)
{
    uint32_t i;

    for (i = 0; i < count; i++) {
        uint32_t block = get32(slot[i]);
        uint64_t logical = first + ((uint64_t)i << (level * w->a->pointers_shift));

        if (block == 0)
            continue;
        if (level == 0) {
            data_block(w, logical, block);
            continue;
        }
        if (logical >= w->end && !end_ok(w, logical, true))
            e2dt_check_report(w->a, "pointer block past the end of the file", w->number, block, w->end, logical);
        if (own(w, block))
            pointers(w, e2dt_check_block(w->a, block), 1u << w->a->pointers_shift, level - 1, logical);
    }
}

static void tree(struct walk *w, const struct ext2dax_disk_inode *inode)
{
    uint64_t first = EXT2DAX_DIRECT;
    unsigned level;

    pointers(w, inode->block, EXT2DAX_DIRECT, 0, 0);
    for (level = 1; level <= 3; level++) {
        pointers(w, &inode->block[EXT2DAX_DIRECT + level - 1], 1, level, first);
        first += (uint64_t)1 << (level * w->a->pointers_shift);
    }
    /*
     * After a crash the size may also cover missing blocks at the end, corrected by e2fsck. A
     * directory without any block is always reported.
     */
    if (w->directory && w->next < w->end && (w->next == 0 || (w->a->flags & EXT2DAX_CHECK_LEAKS_OK) == 0))
        e2dt_check_report(w->a, "hole in a directory", w->number, 0, w->end, w->next);
}

static uint64_t tree_blocks(const struct e2dt_check *a)
{
    uint64_t p = (uint64_t)1 << a->pointers_shift;

    return EXT2DAX_DIRECT + p + p * p + p * p * p;
}

/*
 * Enters an xattr block as owned by the first inode naming the block, and counts the inodes naming
 * it. e2dt_check_totals() compares the count with the block's own reference count.
 */
static void xattr_block(struct walk *w, uint32_t block)
{
    struct e2dt_check *a = w->a;

    if (e2dt_check_in_image(a, block) && a->xattr_references[block] != 0) {
        a->xattr_references[block]++;
        w->owned++;
    } else if (own(w, block)) {
        a->xattr_references[block] = 1;
    }
}

/* Checks that a symlink's target has the length recorded as its size. */
static void symlink_target(struct e2dt_check *a, uint32_t number, const char *target, uint64_t room, uint64_t size)
{
    uint64_t length = 0;

    while (length < room && target[length] != '\0')
        length++;
    if (size == 0 || length != size)
        e2dt_check_report(a, "length of a symlink", number, 0, length, size);
}

static void check_symlink(struct walk *w, const struct ext2dax_disk_inode *inode, bool fast)
{
    uint32_t block = get32(inode->block[0]);
    uint64_t size = get32(inode->size);
    uint32_t i;

    if (fast) {
        symlink_target(w->a, w->number, (const char *)inode->block, sizeof(inode->block) - 1, size);
        return;
    }
    for (i = 1; i < EXT2DAX_SLOTS; i++)
        if (get32(inode->block[i]) != 0)
            e2dt_check_report(w->a, "symlink with more than one block", w->number, get32(inode->block[i]), 0, i);
    if (e2dt_check_in_image(w->a, block))
        symlink_target(w->a, w->number, e2dt_check_block(w->a, block), w->a->block_size - 1, size);
    else if (block == 0)
        e2dt_check_report(w->a, "symlink without a target", w->number, 0, 1, 0);
}

static void check_size(struct e2dt_check *a, uint32_t number, const struct ext2dax_disk_inode *inode, uint32_t type)
{
    uint64_t size = e2dt_check_inode_size(inode);
    bool large = (get32(a->super->ro_compat) & EXT2DAX_RO_COMPAT_LARGE_FILE) != 0;

    if (type == EXT2DAX_S_IFDIR && (size == 0 || (size & (a->block_size - 1)) != 0))
        e2dt_check_report(a, "size of a directory", number, 0, a->block_size, size);
    if (type != EXT2DAX_S_IFREG)
        return;
    if (size > tree_blocks(a) << a->block_shift)
        e2dt_check_report(a, "size past the reach of the tree", number, 0, tree_blocks(a) << a->block_shift, size);
    else if (size > 0x7FFFFFFF && !large)
        e2dt_check_report(a, "2 GiB or more without the large_file feature", number, 0, 0x7FFFFFFF, size);
}

/*
 * Returns whether a symlink lies between two stores of a call that adds or removes the xattr block.
 * i_blocks decides the kind of a symlink, so no other wrong i_blocks is a leak.
 */
static bool between(const struct walk *w, uint64_t sectors, bool fast, uint32_t xattr)
{
    uint64_t block = w->a->block_size >> SECTOR_SHIFT;

    return fast ? xattr != 0 && sectors + block == w->owned : xattr == 0 && sectors == w->owned + block;
}

static void check_file(struct e2dt_check *a, uint32_t number, const struct ext2dax_disk_inode *inode)
{
    struct walk w = {.a = a, .number = number};
    uint32_t type = get16(inode->mode) & EXT2DAX_S_IFMT;
    uint32_t xattr = get32(inode->file_acl);
    uint32_t translator = a->hurd ? get32(inode->os1) : 0;
    uint64_t sectors = e2dt_check_inode_sectors(a, inode);
    uint64_t size = e2dt_check_inode_size(inode);
    uint64_t other_sectors =
        ((xattr != 0 ? 1u : 0u) + (translator != 0 ? 1u : 0u)) * (uint64_t)(a->block_size >> SECTOR_SHIFT);
    bool fast = type == EXT2DAX_S_IFLNK && sectors <= other_sectors;

    w.end = (size >> a->block_shift) + ((size & (a->block_size - 1)) != 0);
    w.slack = type == EXT2DAX_S_IFREG && (size & (a->block_size - 1)) == 0 ? w.end : UINT64_MAX;
    w.directory = type == EXT2DAX_S_IFDIR && get16(inode->links) != 0;
    if (number == BAD_BLOCKS_INODE || number == EXT2DAX_RESIZE_INODE)
        w.end = UINT64_MAX; /* block lists, not files */
    else
        check_size(a, number, inode, type);

    if (xattr != 0)
        xattr_block(&w, xattr);
    switch (type) {
    case EXT2DAX_S_IFREG:
    case EXT2DAX_S_IFDIR:
        tree(&w, inode);
        if (translator != 0)
            (void)own(&w, translator);
        break;
    case EXT2DAX_S_IFLNK:
        if (!fast)
            tree(&w, inode);
        if (!fast && translator != 0)
            (void)own(&w, translator);
        check_symlink(&w, inode, fast);
        break;
    case EXT2DAX_S_IFCHR:
    case EXT2DAX_S_IFBLK:
    case EXT2DAX_S_IFIFO:
    case EXT2DAX_S_IFSOCK:
        break;
    default:
        if (number == BAD_BLOCKS_INODE)
            tree(&w, inode);
        else
            e2dt_check_report(a, "impossible file type", number, 0, 0, get16(inode->mode));
    }
    w.owned <<= a->block_shift - SECTOR_SHIFT;
    if (sectors != w.owned &&
        ((a->flags & EXT2DAX_CHECK_LEAKS_OK) == 0 || (type == EXT2DAX_S_IFLNK && !between(&w, sectors, fast, xattr))))
        e2dt_check_report(a, "i_blocks", number, 0, w.owned, sectors);
}

/* Checks an inode that is not a file, either free or leaked. */
static void check_unused(struct e2dt_check *a, uint32_t number, const struct ext2dax_disk_inode *inode, bool marked)
{
    bool leaks_ok = (a->flags & EXT2DAX_CHECK_LEAKS_OK) != 0;
    uint32_t dtime = get32(inode->dtime);

    if (marked && !leaks_ok)
        e2dt_check_report(a, "inode without links, but marked used", number, 0, 0, 1);
    if (get16(inode->mode) != 0 && dtime == 0 && !marked && !leaks_ok)
        e2dt_check_report(a, "deleted inode without a time of deletion", number, 0, 1, 0);
    if (dtime != 0 && dtime < a->inodes)
        e2dt_check_report(a, "time of deletion that reads as an orphan link", number, 0, a->inodes, dtime);
}

void e2dt_check_inodes(struct e2dt_check *a)
{
    uint32_t number = 0;

    while (e2dt_check_next_inode(a, &number)) {
        const struct ext2dax_disk_inode *inode = e2dt_check_inode_at(a, number);
        bool reserved = number < a->first_inode;
        bool marked = e2dt_check_inode_marked(a, number);

        if (reserved && !marked)
            e2dt_check_report(a, "reserved inode marked free", number, 0, 1, 0);
        if (e2dt_check_in_use(a, number, inode)) {
            if (!marked)
                e2dt_check_report(a, "inode in use, but marked free", number, 0, 1, 0);
            if (get16(inode->links) != 0 && get32(inode->dtime) != 0)
                e2dt_check_report(a, "inode in use, but with a time of deletion", number, 0, 0, get32(inode->dtime));
            check_file(a, number, inode);
        } else if (number == BAD_BLOCKS_INODE) {
            check_file(a, number, inode);
        } else if (number == EXT2DAX_ROOT_INODE) {
            e2dt_check_report(a, "no root directory", number, 0, 1, 0);
        } else if (!reserved) {
            check_unused(a, number, inode, marked);
        }
    }
}
