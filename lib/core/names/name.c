/* SPDX-License-Identifier: MIT */
/*
 * Names: lookup, listing, create and unlink.
 *
 * Names change under the directory's io held exclusively, up to the fence that makes the change durable, so whoever
 * looks sees a name either whole or not at all and never one that a crash could take back. A link count changes under the
 * file's own io too, since names of one file may lie in several directories. Inode references are put with no lock held:
 * the last put may have to free the file.
 */
#include "ext2dax/name.h"

#include "cache.h"
#include "dir.h"
#include "ialloc.h"
#include "incore.h"
#include "inode.h"
#include "lock.h"
#include "modify.h"
#include "persist.h"
#include "super.h"
#include "truncate.h"

static int check_name(const char *name, size_t length)
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

static bool is_dots(const char *name, size_t length)
{
    return name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.'));
}

/* The inode behind an entry of a directory whose io is held: an entry keeps its inode in use, so ENOENT cannot be. */
static int get_entry(struct ext2dax_inode *directory, const struct ext2dax_disk_dirent *entry,
                     struct ext2dax_inode **inode)
{
    int error = ext2dax_inode_get(directory->mount, e2d_get32(entry->inode), inode);

    if (error == -EXT2DAX_ENOENT)
        error = e2d_dir_corrupt(directory, "entry", e2d_get32(entry->inode), "names an inode that is free");
    return error;
}

int ext2dax_lookup(struct ext2dax_inode *directory, const char *name, size_t length, struct ext2dax_inode **inode)
{
    struct ext2dax_mount *m = directory->mount;
    struct e2d_dirent found;
    int error = check_name(name, length);

    *inode = NULL;
    if (error != 0)
        return error;
    if (!e2d_is_directory(directory))
        return -EXT2DAX_ENOTDIR;
    E2D_UNLESS(IO_SKIPPED_LOOKUP, e2d_read_lock(m, &directory->io));
    error = e2d_dir_find(directory, name, length, &found);
    if (error == 0)
        error = get_entry(directory, found.entry, inode);
    E2D_UNLESS(IO_SKIPPED_LOOKUP, e2d_read_unlock(m, &directory->io));
    return error;
}

/* ---- listing ---- */

/* A caller may build paths of what it is given: no name with a slash or a NUL leaves the library. */
static int check_block_names(struct ext2dax_inode *directory, unsigned char *block)
{
    const struct ext2dax_mount *m = directory->mount;
    struct ext2dax_disk_dirent *entry;
    uint32_t offset;

    for (offset = 0; offset < m->block_size; offset += e2d_entry_length(m, entry)) {
        entry = e2d_entry(block, offset);
        if (e2d_get32(entry->inode) != 0 && check_name(e2d_entry_name(entry), e2d_entry_name_length(m, entry)) != 0)
            return e2d_dir_corrupt(directory, "entry", e2d_get32(entry->inode), "name holds a slash or a NUL");
    }
    return 0;
}

/* Hands out what a block, `start` bytes into the directory, has at or behind `cookie`. */
static int list_block(struct ext2dax_inode *directory, unsigned char *block, uint64_t start, uint64_t cookie,
                      int (*each)(void *arg, const struct ext2dax_entry *entry), void *arg)
{
    struct ext2dax_mount *m = directory->mount;
    uint32_t offset, length;
    int answer = 0;

    for (offset = 0; offset < m->block_size && answer == 0; offset += length) {
        struct ext2dax_disk_dirent *entry = e2d_entry(block, offset);
        struct ext2dax_entry given;

        length = e2d_entry_length(m, entry);
        if (e2d_get32(entry->inode) == 0 || start + offset < cookie)
            continue;
        given.name = e2d_entry_name(entry);
        given.name_length = e2d_entry_name_length(m, entry);
        given.number = e2d_get32(entry->inode);
        given.type = m->filetype && entry->type <= EXT2DAX_FT_LNK ? entry->type : EXT2DAX_FT_UNKNOWN;
        given.cookie = start + offset + length;
        answer = each(arg, &given);
    }
    return answer;
}

int ext2dax_readdir(struct ext2dax_inode *directory, uint64_t cookie,
                    int (*each)(void *arg, const struct ext2dax_entry *entry), void *arg)
{
    struct ext2dax_mount *m = directory->mount;
    struct e2d_dir_walk walk;
    unsigned char *block;
    int answer;

    if (!e2d_is_directory(directory))
        return -EXT2DAX_ENOTDIR;
    E2D_UNLESS(IO_SKIPPED_READDIR, e2d_read_lock(m, &directory->io));
    answer = e2d_dir_walk(directory, cookie, &walk);
    while (answer == 0 && (answer = e2d_dir_step(&walk, &block)) > 0) {
        answer = check_block_names(directory, block);
        if (answer == 0)
            answer = list_block(directory, block, (walk.next - 1) << m->block_shift, cookie, each, arg);
    }
    E2D_UNLESS(IO_SKIPPED_READDIR, e2d_read_unlock(m, &directory->io));
    return answer;
}

/* ---- changing ---- */

/*
 * What every change of a directory's names begins with: freeze_write shared, the time, the directory's io. On failure
 * nothing is held. `forbidden`: the flags that do not allow it.
 */
static int begin(struct ext2dax_inode *directory, const char *name, size_t length, uint32_t forbidden, uint32_t *now)
{
    struct ext2dax_mount *m = directory->mount;
    int error = check_name(name, length);

    if (error != 0)
        return error;
    if (!e2d_is_directory(directory))
        return -EXT2DAX_ENOTDIR;
    e2d_read_lock(m, &m->freeze_write);
    error = e2d_may_modify(m);
    if (error != 0) {
        e2d_read_unlock(m, &m->freeze_write);
        return error;
    }
    *now = e2d_now(m);
    e2d_write_lock(m, &directory->io);
    if (e2d_get16(directory->disk->links) == 0)
        error = -EXT2DAX_ENOENT;
    else if ((e2d_get32(directory->disk->flags) & forbidden) != 0)
        error = -EXT2DAX_EPERM;
    if (error != 0) {
        e2d_write_unlock(m, &directory->io);
        e2d_read_unlock(m, &m->freeze_write);
    }
    return error;
}

static void end(struct ext2dax_inode *directory)
{
    struct ext2dax_mount *m = directory->mount;

    e2d_write_unlock(m, &directory->io);
    e2d_read_unlock(m, &m->freeze_write);
}

/*
 * The whole of an inode just allocated, its number of links still 0. A free one that has links (EUCLEAN) may be another
 * directory's, and in core.
 */
static int write_inode(struct ext2dax_inode *directory, uint32_t number, uint16_t mode, uint32_t uid, uint32_t gid,
                       uint32_t now)
{
    struct ext2dax_mount *m = directory->mount;
    struct ext2dax_disk_inode *disk = e2d_disk_inode(m, number);
    struct ext2dax_disk_inode fresh;
    int error = e2d_check(m, disk, m->inode_size);

    if (error != 0)
        return error;
    if (e2d_load_le16(&disk->links) != 0)
        return e2d_corrupt(m, "inode", number, "link count", e2d_load_le16(&disk->links),
                           "of an inode that its bitmap says is free");
    memset(&fresh, 0, sizeof(fresh));
    fresh.mode = e2d_le16((mode & 0xFFFu) | EXT2DAX_S_IFREG);
    fresh.uid = e2d_le16(uid & 0xFFFFu);
    fresh.uid_high = e2d_le16(uid >> 16);
    fresh.gid = e2d_le16(gid & 0xFFFFu);
    fresh.gid_high = e2d_le16(gid >> 16);
    fresh.atime = fresh.ctime = fresh.mtime = e2d_le32(now);
    /* A new life of an old number must not be taken for the old one. */
    fresh.generation = e2d_le32(e2d_get32(disk->generation) + 1);
    e2d_copy(m, disk, &fresh, sizeof(fresh));
    if (m->inode_size > sizeof(fresh))
        e2d_zero(m, disk + 1, m->inode_size - sizeof(fresh));
    return 0;
}

/* Takes back a name that a failed fence may have left in doubt: in memory it never was. */
static void withdraw(struct ext2dax_inode *directory, const char *name, size_t length, struct ext2dax_inode *inode)
{
    struct e2d_dirent found;

    e2d_store16(directory->mount, &inode->disk->links, 0);
    if (e2d_dir_find(directory, name, length, &found) == 0)
        e2d_dir_remove(directory, &found);
}

/* The directory's io is held, the slot found, the inode in core and nameless. */
static int publish(struct ext2dax_inode *directory, const char *name, size_t length, struct ext2dax_inode *inode,
                   uint32_t now, struct e2d_dir_slot *slot)
{
    struct ext2dax_mount *m = directory->mount;
    int error = e2d_dir_prepare(directory, name, length, inode->number, EXT2DAX_FT_REG, slot);

    if (error == 0 && !slot->published) {
        if (E2D_MUTANT(ORDER_LINKS_FIRST))
            e2d_store16(m, &inode->disk->links, 1);
        error = e2d_order(m, E2D_STEP_CREATE_BODY);
        if (error == 0) {
            e2d_dir_publish(directory, slot);
            error = e2d_order(m, E2D_STEP_CREATE_ENTRY);
        }
    }
    if (error == 0) {
        e2d_store_times(directory, now, true);
        e2d_store16(m, &inode->disk->links, 1);
        error = e2d_order(m, E2D_STEP_CREATE_LINKS);
    }
    if (error != 0)
        withdraw(directory, name, length, inode);
    return error;
}

int ext2dax_create(struct ext2dax_inode *directory, const char *name, size_t length, uint16_t mode, uint32_t uid,
                   uint32_t gid, struct ext2dax_inode **inode)
{
    struct ext2dax_mount *m = directory->mount;
    struct ext2dax_inode *fresh = NULL;
    struct e2d_dir_slot slot;
    uint32_t now, number;
    int error = begin(directory, name, length, EXT2DAX_FL_IMMUTABLE, &now);

    *inode = NULL;
    if (error != 0)
        return error;
    error = e2d_dir_room(directory, name, length, &slot);
    if (error == 0 && is_dots(name, length))
        error = -EXT2DAX_EEXIST;
    if (error == 0)
        error = e2d_ialloc(m, e2d_inode_group(directory), &number);
    if (error != 0)
        goto out;
    error = write_inode(directory, number, mode, uid, gid, now);
    if (error != 0) {
        e2d_ifree(m, number, false);
        goto out;
    }
    error = e2d_inode_new(m, number, &fresh);
    if (error == 0)
        error = publish(directory, name, length, fresh, now, &slot);
    if (error == 0) {
        e2d_inode_named(fresh);
        *inode = fresh;
        fresh = NULL;
        goto out;
    }
    e2d_store32(m, &e2d_disk_inode(m, number)->dtime, now);
    if (!fresh)
        e2d_ifree(m, number, false);
out:
    end(directory);
    if (fresh)
        ext2dax_inode_put(fresh);
    return error;
}

/* Takes one of several names: the count is never lower than the names are. */
static int remove_name(struct ext2dax_inode *directory, const struct e2d_dirent *found, struct ext2dax_inode *inode,
                       uint32_t links, uint32_t now)
{
    struct ext2dax_mount *m = directory->mount;
    int error;

    e2d_dir_remove(directory, found);
    e2d_store_times(directory, now, true);
    error = e2d_order(m, E2D_STEP_UNLINK_ENTRY);
    e2d_store16(m, &inode->disk->links, links - 1);
    e2d_store_times(inode, now, false);
    return error != 0 ? error : e2d_order(m, E2D_STEP_UNLINK_LINKS);
}

/* Takes the last name: a name over a count of 0 can be mended, an inode that counts a name it has not cannot. */
static int remove_last_name(struct ext2dax_inode *directory, const struct e2d_dirent *found,
                            struct ext2dax_inode *inode, uint32_t now)
{
    struct ext2dax_mount *m = directory->mount;
    int error;

    if (E2D_MUTANT(ORDER_UNLINK_BITS_FIRST))
        (void)e2d_inode_free(inode);
    if (E2D_MUTANT(ORDER_ENTRY_FIRST)) {
        e2d_dir_remove(directory, found);
        (void)e2d_order(m, E2D_STEP_UNLINK_ENTRY);
    }
    e2d_store_times(inode, now, false);
    e2d_store16(m, &inode->disk->links, 0);
    error = e2d_order(m, E2D_STEP_UNLINK_LINKS);
    if (error != 0) {
        e2d_store16(m, &inode->disk->links, 1);
        return error;
    }
    if (!E2D_MUTANT(ORDER_ENTRY_FIRST))
        e2d_dir_remove(directory, found);
    e2d_store_times(directory, now, true);
    e2d_store32(m, &inode->disk->dtime, now);
    error = e2d_order(m, E2D_STEP_UNLINK_ENTRY);
    e2d_inode_nameless(inode);
    return error;
}

/* The directory's io is held, the entry found and its inode referenced. */
static int unlink_entry(struct ext2dax_inode *directory, const struct e2d_dirent *found, struct ext2dax_inode *inode,
                        uint32_t now)
{
    struct ext2dax_mount *m = directory->mount;
    uint32_t links;
    int error;

    if (e2d_is_directory(inode))
        return -EXT2DAX_EISDIR;
    e2d_write_lock(m, &inode->io);
    links = e2d_get16(inode->disk->links);
    if ((e2d_get32(inode->disk->flags) & (EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND)) != 0)
        error = -EXT2DAX_EPERM;
    else if (links == 0)
        error = e2d_dir_corrupt(directory, "entry", inode->number, "names an inode without links");
    else
        error = e2d_dir_unindex(directory);
    if (error == 0)
        error = links == 1 ? remove_last_name(directory, found, inode, now)
                           : remove_name(directory, found, inode, links, now);
    e2d_write_unlock(m, &inode->io);
    return error;
}

int ext2dax_unlink(struct ext2dax_inode *directory, const char *name, size_t length)
{
    struct ext2dax_inode *inode = NULL;
    struct e2d_dirent found;
    uint32_t now;
    int error = begin(directory, name, length, EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND, &now);

    if (error != 0)
        return error;
    if (is_dots(name, length))
        error = -EXT2DAX_EISDIR;
    if (error == 0)
        error = e2d_dir_find(directory, name, length, &found);
    if (error == 0)
        error = get_entry(directory, found.entry, &inode);
    if (error == 0)
        error = unlink_entry(directory, &found, inode, now);
    end(directory);
    if (inode)
        ext2dax_inode_put(inode);
    return error;
}
