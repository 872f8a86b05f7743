/* SPDX-License-Identifier: MIT */
/*
 * New names of existing inodes. The name is counted before the dirent is published, so the count is
 * never lower than the number of names.
 */
#include "ext2dax/name.h"

#include "base/lock.h"
#include "base/persist.h"
#include "disk/inode.h"
#include "names/change.h"
#include "base/skips.h"

/*
 * Counts and publishes the name. The caller holds both io locks and has found the slot. Leaves the
 * count as before after a failure.
 */
static int add_name(struct ext2dax_inode *inode, struct ext2dax_inode *directory, const char *name, size_t length,
                    struct e2d_time now, struct e2d_dir_slot *slot)
{
    struct ext2dax_mount *m = directory->mount;
    uint32_t links = e2d_get16(inode->disk->links);
    int error;

    e2d_store16(m, &inode->disk->links, links + 1);
    error = e2d_dir_prepare(directory, name, length, inode->number, e2d_dirent_type(m, inode->mode), slot);
    if (error == 0 && !slot->published)
        error = e2d_order(m, E2D_FENCE_LINK_COUNT);
    if (error == 0) {
        e2d_dir_publish(directory, slot);
        e2d_store_times(inode, now, false);
        e2d_store_times(directory, now, true);
        error = e2d_order(m, E2D_FENCE_LINK_ENTRY);
    }
    if (error == 0)
        return 0;
    /* Only a failed fence can leave the dirent visible. */
    if (e2d_has_failed(m))
        e2d_name_withdraw(directory, name, length);
    e2d_store16(m, &inode->disk->links, links);
    return error;
}

/* Links under the directory's io. */
static int link_locked(struct ext2dax_inode *inode, struct ext2dax_inode *directory, const char *name, size_t length,
                       struct e2d_time now)
{
    struct ext2dax_mount *m = directory->mount;
    struct e2d_dir_slot slot;
    uint32_t links;
    int error = e2d_dir_room(directory, name, length, &slot);

    if (error == 0 && e2d_name_is_dots(name, length))
        error = -EXT2DAX_EEXIST;
    if (error == 0 && e2d_is_directory(inode))
        error = -EXT2DAX_EPERM;
    if (error != 0)
        return error;
    e2d_write_lock(m, &inode->io);
    links = e2d_get16(inode->disk->links);
    if (links == 0)
        error = -EXT2DAX_ENOENT;
    else if ((e2d_get32(inode->disk->flags) & (EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND)) != 0)
        error = -EXT2DAX_EPERM;
    else if (links >= EXT2DAX_LINKS_MAX)
        error = -EXT2DAX_EMLINK;
    if (error == 0)
        error = add_name(inode, directory, name, length, now, &slot);
    e2d_write_unlock(m, &inode->io);
    return error;
}

int ext2dax_link(struct ext2dax_inode *inode, struct ext2dax_inode *directory, const char *name, size_t length)
{
    struct e2d_time now;
    int error = e2d_name_check(name, length);

    if (error == 0 && inode->mount != directory->mount)
        error = -EXT2DAX_EXDEV;
    if (error == 0)
        error = e2d_change_open(directory, name, length, EXT2DAX_FL_IMMUTABLE, &now);
    if (error != 0)
        return error;
    error = link_locked(inode, directory, name, length, now);
    e2d_change_close(directory);
    return error;
}
