/* SPDX-License-Identifier: MIT */
/* Begin and end of calls that change names, and the link counts of directories. */
#include "names/change.h"

#include "base/lock.h"
#include "base/persist.h"
#include "disk/inode.h"
#include "disk/super.h"
#include "file/write_access.h"
#include "names/name_cache.h"
#include "base/skips.h"

/* Links of a directory that a count can hold with dir_nlink. e2fsck expects 1 for more. */
#define COUNTED_MAX 65000u

int e2d_name_check(const char *name, size_t length)
{
    size_t i;

    if (length == 0)
        return -EXT2DAX_EINVAL;
    if (length > EXT2DAX_NAME_MAX)
        return -EXT2DAX_ENAMETOOLONG;
    for (i = 0; i < length; i++) {
        if (name[i] == '/' || name[i] == '\0')
            return -EXT2DAX_EINVAL;
    }
    return 0;
}

bool e2d_name_is_dots(const char *name, size_t length)
{
    return name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.'));
}

int e2d_name_inode(struct ext2dax_inode *directory, const struct ext2dax_disk_dirent *dirent,
                   struct ext2dax_inode **inode)
{
    int error = ext2dax_inode_get(directory->mount, e2d_get32(dirent->inode), inode);

    if (error == -EXT2DAX_ENOENT || error == -EXT2DAX_EINVAL)
        error = e2d_dir_corrupt(directory, "dirent", e2d_get32(dirent->inode), "names an inode of no file");
    return error;
}

void e2d_name_withdraw(struct ext2dax_inode *directory, const char *name, size_t length)
{
    struct e2d_dirent found;

    if (e2d_dir_find(directory, name, length, &found) == 0)
        e2d_dir_remove(directory, &found);
}

int e2d_names_begin(struct ext2dax_mount *m, struct e2d_time *now)
{
    int error = e2d_usable(m);

    if (error != 0)
        return error;
    e2d_read_lock(m, &m->freeze_write);
    return e2d_change_admitted(m, now);
}

void e2d_names_end(struct ext2dax_mount *m)
{
    e2d_read_unlock(m, &m->freeze_write);
    e2d_names_trim(m);
}

int e2d_change_permitted(const struct ext2dax_inode *directory, uint32_t forbidden)
{
    if (e2d_get16(directory->disk->links) == 0)
        return -EXT2DAX_ENOENT;
    return (e2d_get32(directory->disk->flags) & forbidden) != 0 ? -EXT2DAX_EPERM : 0;
}

int e2d_change_open(struct ext2dax_inode *directory, const char *name, size_t length, uint32_t forbidden,
                    struct e2d_time *now)
{
    struct ext2dax_mount *m = directory->mount;
    int error = e2d_name_check(name, length);

    if (error != 0)
        return error;
    if (!e2d_is_directory(directory))
        return -EXT2DAX_ENOTDIR;
    error = e2d_names_begin(m, now);
    if (error != 0)
        return error;
    e2d_write_lock(m, &directory->io);
    error = e2d_change_permitted(directory, forbidden);
    if (error != 0)
        e2d_change_close(directory);
    return error;
}

void e2d_change_close(struct ext2dax_inode *directory)
{
    struct ext2dax_mount *m = directory->mount;

    e2d_write_unlock(m, &directory->io);
    e2d_names_end(m);
}

int e2d_subdirectory_fits(const struct ext2dax_inode *directory)
{
    bool fits = directory->mount->dir_nlink || e2d_get16(directory->disk->links) < EXT2DAX_LINKS_MAX;

    return fits ? 0 : -EXT2DAX_EMLINK;
}

void e2d_subdirectory_added(struct ext2dax_inode *directory)
{
    uint32_t links = e2d_get16(directory->disk->links) + 1u;

    if (links == 2)
        return;
    e2d_store16(directory->mount, &directory->disk->links, links > COUNTED_MAX ? 1 : links);
}

void e2d_subdirectory_removed(struct ext2dax_inode *directory)
{
    uint32_t links = e2d_get16(directory->disk->links);

    /* A count too low in the image must not reach 0, which would free the directory. */
    if (links > 2)
        e2d_store16(directory->mount, &directory->disk->links, links - 1);
}
