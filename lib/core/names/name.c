/* SPDX-License-Identifier: MIT */
/*
 * Lookup and listing of names. A reader holds the directory's io shared, and changes of names hold
 * the io exclusively until they are durable. An unlinked directory has no names, not even "." and
 * "..".
 */
#include "ext2dax/name.h"

#include "base/internal.h"
#include "base/lock.h"
#include "names/change.h"
#include "names/dir.h"
#include "names/name_cache.h"
#include "base/skips.h"

static bool is_unlinked(const struct ext2dax_inode *directory)
{
    return e2d_load_le16(&directory->disk->links) == 0;
}

int ext2dax_lookup(struct ext2dax_inode *directory, const char *name, size_t length, struct ext2dax_inode **inode)
{
    struct ext2dax_mount *m = directory->mount;
    struct e2d_dirent found;
    int error = e2d_name_check(name, length);

    *inode = NULL;
    if (error != 0)
        return error;
    if (!e2d_is_directory(directory))
        return -EXT2DAX_ENOTDIR;
    e2d_read_lock(m, &directory->io);
    error = is_unlinked(directory) ? -EXT2DAX_ENOENT : e2d_dir_find(directory, name, length, &found);
    if (error == 0)
        error = e2d_name_inode(directory, found.dirent, inode);
    e2d_read_unlock(m, &directory->io);
    e2d_names_trim(m);
    return error;
}

/* ---- listing ---- */

/*
 * The caller may build paths from the names, so no name with a slash or a NUL leaves the library.
 */
static int check_block_names(struct ext2dax_inode *directory, unsigned char *block)
{
    const struct ext2dax_mount *m = directory->mount;
    struct ext2dax_disk_dirent *dirent;
    uint32_t offset;

    for (offset = 0; offset < m->block_size; offset += e2d_dirent_length(m, dirent)) {
        dirent = e2d_dirent(block, offset);
        if (e2d_get32(dirent->inode) != 0 &&
            e2d_name_check(e2d_dirent_name(dirent), e2d_dirent_name_length(m, dirent)) != 0)
            return e2d_dir_corrupt(directory, "dirent", e2d_get32(dirent->inode), "has a slash or NUL in the name");
    }
    return 0;
}

/*
 * Passes the dirents of a block at or after `cookie` to `each`. The block begins `start` bytes into
 * the directory. Stops at the first nonzero result and returns it.
 */
static int list_block(struct ext2dax_inode *directory, unsigned char *block, uint64_t start, uint64_t cookie,
                      int (*each)(void *arg, const struct ext2dax_entry *dirent), void *arg)
{
    struct ext2dax_mount *m = directory->mount;
    uint32_t offset, length;
    int answer = 0;

    for (offset = 0; offset < m->block_size && answer == 0; offset += length) {
        struct ext2dax_disk_dirent *dirent = e2d_dirent(block, offset);
        struct ext2dax_entry given;

        length = e2d_dirent_length(m, dirent);
        if (e2d_get32(dirent->inode) == 0 || start + offset < cookie)
            continue;
        given.name = e2d_dirent_name(dirent);
        given.name_length = e2d_dirent_name_length(m, dirent);
        given.number = e2d_get32(dirent->inode);
        given.type = m->filetype && dirent->type <= EXT2DAX_FT_LNK ? dirent->type : EXT2DAX_FT_UNKNOWN;
        given.cookie = start + offset + length;
        answer = each(arg, &given);
    }
    return answer;
}

int ext2dax_readdir(struct ext2dax_inode *directory, uint64_t cookie,
                    int (*each)(void *arg, const struct ext2dax_entry *dirent), void *arg)
{
    struct ext2dax_mount *m = directory->mount;
    struct e2d_dir_walk walk;
    unsigned char *block;
    int answer;

    if (!e2d_is_directory(directory))
        return -EXT2DAX_ENOTDIR;
    e2d_read_lock(m, &directory->io);
    answer = is_unlinked(directory) ? 0 : e2d_dir_walk(directory, cookie, &walk);
    while (answer == 0 && !is_unlinked(directory) && (answer = e2d_dir_step(&walk, &block)) > 0) {
        answer = check_block_names(directory, block);
        if (answer == 0)
            answer = list_block(directory, block, (walk.next - 1) << m->block_shift, cookie, each, arg);
    }
    e2d_read_unlock(m, &directory->io);
    return answer;
}
