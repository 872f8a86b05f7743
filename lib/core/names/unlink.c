/* SPDX-License-Identifier: MIT */
/*
 * Removal of names, unlink and rmdir.
 *
 * Link count 0 is durable before the last dirent is cleared, because a dirent of an inode with link
 * count 0 can be repaired, and an inode with a link count but no name cannot. A directory is locked
 * after its parent. The dirent in the locked parent keeps the directory in this place, so no other
 * thread can lock both in the other order.
 */
#include "ext2dax/name.h"

#include "base/lock.h"
#include "base/persist.h"
#include "disk/inode.h"
#include "file/icache.h"
#include "file/truncate.h"
#include "names/change.h"
#include "base/skips.h"

#define LOCKED_FLAGS (EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND)

/*
 * Removes a name of a file with several names. The link count is never lower than the number of
 * names.
 */
static int remove_name(struct ext2dax_inode *directory, const struct e2d_dirent *found, struct ext2dax_inode *inode,
                       uint32_t links, struct e2d_time now)
{
    struct ext2dax_mount *m = directory->mount;
    int error;

    e2d_dir_remove(directory, found);
    e2d_store_times(directory, now, true);
    error = e2d_order(m, E2D_FENCE_UNLINK_ENTRY);
    e2d_store16(m, &inode->disk->links, links - 1);
    e2d_store_times(inode, now, false);
    return error != 0 ? error : e2d_order(m, E2D_FENCE_UNLINK_LINKS);
}

/* Removes the last name of a file, or the name of a directory. */
static int remove_last_name(struct ext2dax_inode *directory, const struct e2d_dirent *found,
                            struct ext2dax_inode *inode, uint32_t links, struct e2d_time now)
{
    struct ext2dax_mount *m = directory->mount;
    int error;

    if (E2D_MUTANT(ORDER_UNLINK_BITS_FIRST))
        (void)e2d_inode_free(inode);
    if (E2D_MUTANT(ORDER_ENTRY_FIRST)) {
        (e2d_dir_remove)(directory, found);
        (void)e2d_order(m, E2D_FENCE_UNLINK_ENTRY);
    }
    e2d_store_times(inode, now, false);
    e2d_store16(m, &inode->disk->links, 0);
    error = e2d_order(m, E2D_FENCE_UNLINK_LINKS);
    if (error != 0) {
        e2d_store16(m, &inode->disk->links, links);
        return error;
    }
    e2d_dir_remove(directory, found);
    e2d_store_times(directory, now, true);
    if (e2d_is_directory(inode))
        e2d_subdirectory_removed(directory);
    e2d_store32(m, &inode->disk->dtime, e2d_dtime(m, now));
    error = e2d_order(m, E2D_FENCE_UNLINK_ENTRY);
    e2d_inode_nameless(inode);
    return error;
}

/* Returns 0 if a name of an inode with io held may be removed. */
static int check_inode(struct ext2dax_inode *directory, const struct ext2dax_inode *inode)
{
    if ((e2d_get32(inode->disk->flags) & LOCKED_FLAGS) != 0)
        return -EXT2DAX_EPERM;
    if (e2d_get16(inode->disk->links) == 0)
        return e2d_dir_corrupt(directory, "dirent", inode->number, "names an inode without links");
    return 0;
}

/*
 * Unlinks a dirent. The caller holds the directory's io, has found the dirent and references its
 * inode.
 */
static int unlink_dirent(struct ext2dax_inode *directory, const struct e2d_dirent *found, struct ext2dax_inode *inode,
                         struct e2d_time now)
{
    struct ext2dax_mount *m = directory->mount;
    uint32_t links;
    int error;

    if (e2d_is_directory(inode))
        return -EXT2DAX_EISDIR;
    e2d_write_lock(m, &inode->io);
    links = e2d_get16(inode->disk->links);
    error = check_inode(directory, inode);
    if (error == 0 && links == 1)
        error = e2d_inode_freeable(inode);
    if (error == 0)
        error = links == 1 ? remove_last_name(directory, found, inode, links, now)
                           : remove_name(directory, found, inode, links, now);
    e2d_write_unlock(m, &inode->io);
    return error;
}

/* Likewise removes a directory, which must be empty. */
static int remove_dirent(struct ext2dax_inode *directory, const struct e2d_dirent *found, struct ext2dax_inode *inode,
                         struct e2d_time now)
{
    struct ext2dax_mount *m = directory->mount;
    int error;

    if (!e2d_is_directory(inode))
        return -EXT2DAX_ENOTDIR;
    if (inode == directory)
        return e2d_dir_corrupt(directory, "dirent", inode->number, "names the directory itself");
    e2d_write_lock(m, &inode->io);
    error = check_inode(directory, inode);
    if (error == 0)
        error = e2d_dir_empty(inode, directory->number);
    if (error == 0)
        error = e2d_inode_freeable(inode);
    if (error == 0)
        error = remove_last_name(directory, found, inode, e2d_get16(inode->disk->links), now);
    e2d_write_unlock(m, &inode->io);
    return error;
}

/* Removes a name of a file, or with `empty` of an empty directory. */
static int remove_in(struct ext2dax_inode *directory, const char *name, size_t length, bool empty)
{
    struct ext2dax_inode *inode = NULL;
    struct e2d_dirent found;
    struct e2d_time now;
    int error = e2d_change_open(directory, name, length, LOCKED_FLAGS, &now);

    if (error != 0)
        return error;
    if (e2d_name_is_dots(name, length))
        error = !empty ? -EXT2DAX_EISDIR : length == 1 ? -EXT2DAX_EINVAL : -EXT2DAX_ENOTEMPTY;
    if (error == 0)
        error = e2d_dir_find(directory, name, length, &found);
    if (error == 0)
        error = e2d_name_inode(directory, found.dirent, &inode);
    if (error == 0)
        error = empty ? remove_dirent(directory, &found, inode, now) : unlink_dirent(directory, &found, inode, now);
    e2d_change_close(directory);
    if (E2D_MUTANT(NAMELESS_LATE) && error == 0 && e2d_load_le16(&inode->disk->links) == 0)
        e2d_inode_nameless(inode);
    if (inode)
        ext2dax_inode_put(inode);
    return error;
}

int ext2dax_unlink(struct ext2dax_inode *directory, const char *name, size_t length)
{
    return remove_in(directory, name, length, false);
}

int ext2dax_rmdir(struct ext2dax_inode *directory, const char *name, size_t length)
{
    return remove_in(directory, name, length, true);
}
