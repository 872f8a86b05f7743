/* SPDX-License-Identifier: MIT */
/*
 * Names in the scan of a whole image.
 *
 * A dirent of an inode without links is left by a create or an unlink. Such a dirent counts for
 * nothing and is to be cleared. A dirent without a file type is left by a rename. Every dirent of
 * an inode with links counts for the inode. A directory is named by a single dirent, in the
 * directory named by its "..". The scan records the first of the two, and compares the second. The
 * scan then proves that every directory leads to the root by climbing, each directory once.
 */
#include "mount/scan.h"

#include "base/bitmap.h"
#include "names/dir.h"
#include "disk/inode.h"

int(e2d_scan_damage)(const struct e2d_scan *s, uint32_t number, const char *field,
                     uint64_t value E2D_REASON(const char *reason))
{
    return e2d_complain(s->m, -EXT2DAX_EUCLEAN, "inode", number, field, value, E2D_REASON_OR_NULL(reason));
}

static int damage(const struct e2d_scan *s, uint64_t value, const char *reason)
{
    return e2d_complain(s->m, -EXT2DAX_EUCLEAN, "directory", s->inode.number, "dirent", value, reason);
}

/* Returns 1 for ".", 2 for "..", else 0. */
static unsigned dots(const struct ext2dax_mount *m, struct ext2dax_disk_dirent *dirent)
{
    uint32_t length = e2d_dirent_name_length(m, dirent);

    return length >= 1 && length <= 2 && memcmp(e2d_dirent_name(dirent), "..", length) == 0 ? length : 0;
}

/* Records a directory's parent, from its dirent or from its "..". */
static int place(struct e2d_scan *s, uint32_t number, uint32_t parent)
{
    if (s->parent[number] == 0)
        s->parent[number] = parent;
    else if (s->parent[number] != parent)
        return damage(s, number, "has another parent");
    return 0;
}

static int check_name(const struct e2d_scan *s, struct ext2dax_disk_dirent *dirent)
{
    const char *name = e2d_dirent_name(dirent);
    uint32_t length = e2d_dirent_name_length(s->m, dirent);

    for (uint32_t i = 0; i < length; i++) {
        if (name[i] == '/' || name[i] == '\0')
            return damage(s, e2d_get32(dirent->inode), "has a slash or NUL");
    }
    return dots(s->m, dirent) != 0 ? damage(s, e2d_get32(dirent->inode), "\".\" or \"..\" as a name") : 0;
}

/* Checks an ordinary dirent of an inode with links. For a directory, records the parent. */
static int claim_name(struct e2d_scan *s, struct ext2dax_disk_dirent *dirent, uint32_t target,
                      const struct ext2dax_disk_inode *disk)
{
    int error = check_name(s, dirent);

    if (error != 0 || (e2d_get16(disk->mode) & EXT2DAX_S_IFMT) != EXT2DAX_S_IFDIR)
        return error;
    if (target == EXT2DAX_ROOT_INODE || e2d_bit(s->named, target))
        return damage(s, target, "names a directory twice");
    e2d_set_bit(s->named, target);
    return place(s, target, s->inode.number);
}

/* Checks "." (`which` is 1) or ".." (2) of the directory. */
static int claim_dots(struct e2d_scan *s, unsigned which, uint32_t target, const struct ext2dax_disk_inode *disk)
{
    if (which == 1)
        return target == s->inode.number ? 0 : damage(s, target, "\".\" names another inode");
    if ((e2d_get16(disk->mode) & EXT2DAX_S_IFMT) != EXT2DAX_S_IFDIR)
        return damage(s, target, "\"..\" names no directory");
    return place(s, s->inode.number, target);
}

/*
 * Checks and counts a dirent. The dirent must be "." if `which` is 1, ".." if `which` is 2, and any
 * other if `which` is 0.
 */
static E2D_OUT_OF_LINE int dirent(struct e2d_scan *s, struct ext2dax_disk_dirent *at, unsigned which)
{
    struct ext2dax_mount *m = s->m;
    uint32_t target = e2d_get32(at->inode);
    const struct ext2dax_disk_inode *disk;
    int error = 0;

    if (which != 0 && (target == 0 || dots(m, at) != which))
        return damage(s, target, "is not \".\" or \"..\" in this order");
    if (target == 0)
        return 0;
    disk = e2d_disk_inode(m, target);
    if (e2d_get16(disk->links) == 0) {
        s->dead++;
        return which != 0 ? damage(s, target, "names an inode without links") : 0;
    }
    if (at->type != e2d_dirent_type(m, e2d_get16(disk->mode))) {
        if (at->type != EXT2DAX_FT_UNKNOWN)
            return damage(s, target, "has a wrong file type");
        s->renamed++;
    }
    if (!s->claims)
        return 0;
    error = which != 0 ? claim_dots(s, which, target, disk) : claim_name(s, at, target, disk);
    if (error != 0)
        return error;
    if (s->names[target] < UINT16_MAX)
        s->names[target]++;
    else if (!m->dir_nlink || (e2d_get16(disk->mode) & EXT2DAX_S_IFMT) != EXT2DAX_S_IFDIR)
        return damage(s, target, "has too many names");
    return 0;
}

int e2d_scan_dirents(struct e2d_scan *s, uint64_t logical, unsigned char *block)
{
    struct ext2dax_mount *m = s->m;
    unsigned which = logical == 0 ? 1 : 0;
    uint32_t offset, length;
    int error = e2d_dir_check(&s->inode, logical, block);

    for (offset = 0; error == 0 && offset < m->block_size; offset += length) {
        struct ext2dax_disk_dirent *at = e2d_dirent(block, offset);

        length = e2d_dirent_length(m, at);
        error = dirent(s, at, which);
        which = which == 1 ? 2 : 0;
    }
    if (error == 0 && which == 2)
        error = damage(s, 0, "is the only dirent");
    return error;
}

int e2d_scan_place(struct e2d_scan *s, uint32_t number)
{
    static const char field[] = "parent";
    uint32_t at = number;
    uint64_t steps = 0; /* may exceed the largest inode number */

    if (number == EXT2DAX_ROOT_INODE)
        return s->parent[number] == number ? 0 : e2d_scan_damage(s, number, field, s->parent[number], "of the root");
    if (!e2d_bit(s->named, number))
        return e2d_scan_damage(s, number, field, s->parent[number], "has no dirent of this directory");
    while (at != EXT2DAX_ROOT_INODE && !e2d_bit(s->reached, at)) {
        at = s->parent[at];
        if (++steps > s->m->inodes || at == 0)
            return e2d_scan_damage(s, number, field, s->parent[number], "does not lead to the root");
    }
    for (at = number; at != EXT2DAX_ROOT_INODE && !e2d_bit(s->reached, at); at = s->parent[at])
        e2d_set_bit(s->reached, at);
    return 0;
}
