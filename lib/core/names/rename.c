/* SPDX-License-Identifier: MIT */
/*
 * Renames, the locks and the conditions.
 *
 * The rename lock is held by every rename, because the redo record exists once per mount, and
 * because the order of two io locks of directories depends on the ancestry. A thread without the
 * rename lock takes the io of a second directory only under the io of the parent. With the rename
 * lock, an ancestor is locked before a descendant, and unrelated directories by number. A circle of
 * waiting threads would need two threads with unrelated directories, or a directory above its own
 * ancestor.
 *
 * Both directories are locked until the rename is durable. So a lookup finds the old inode or the
 * new inode under the new name, and never misses both names.
 */
#include "ext2dax/name.h"

#include "base/lock.h"
#include "base/persist.h"
#include "disk/inode.h"
#include "file/truncate.h"
#include "names/ancestry.h"
#include "names/renaming.h"
#include "base/skips.h"

#define LOCKED_FLAGS (EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND)
#define FLAGS_KNOWN  (EXT2DAX_RENAME_NOREPLACE | EXT2DAX_RENAME_EXCHANGE)

/* ---- the locks ---- */

/* The io locks of two inodes, taken in this order. `second` is NULL if both are the same. */
struct pair {
    struct ext2dax_inode *first, *second;
};

static E2D_OUT_OF_LINE void(lock_pair)(struct ext2dax_mount *m, const struct pair *pair)
{
    e2d_write_lock(m, &pair->first->io);
    if (pair->second)
        e2d_write_lock(m, &pair->second->io);
}

static E2D_OUT_OF_LINE void(unlock_pair)(struct ext2dax_mount *m, const struct pair *pair)
{
    if (pair->second)
        e2d_write_unlock(m, &pair->second->io);
    e2d_write_unlock(m, &pair->first->io);
}

static E2D_OUT_OF_LINE struct pair order_directories(const struct e2d_renaming *r, const struct e2d_ancestry *ancestry)
{
    struct ext2dax_inode *old = r->old.directory, *new = r->new.directory;

    if (old == new)
        return (struct pair){old, NULL};
    if (ancestry->first_above || (!ancestry->second_above && old->number < new->number))
        return (struct pair){old, new};
    return (struct pair){new, old};
}

/*
 * Two directories among the inodes are unrelated. Directories precede files, and inodes of one kind
 * are locked by number.
 */
static struct pair order_inodes(const struct e2d_renaming *r)
{
    struct ext2dax_inode *old = r->old.inode, *new = r->new.inode;

    if (!new)
        return (struct pair){old, NULL};
    if (e2d_is_directory(old) != e2d_is_directory(new))
        return e2d_is_directory(old) ? (struct pair){old, new} : (struct pair){new, old};
    return old->number < new->number ? (struct pair){old, new} : (struct pair){new, old};
}

/* ---- the conditions ---- */

static bool is_directory(const struct ext2dax_inode *inode)
{
    return inode && e2d_is_directory(inode);
}

/* Finds both names, and the place of a name that does not exist. The directories are locked. */
static int find_names(struct e2d_renaming *r, unsigned flags)
{
    struct e2d_renaming_side *old = &r->old, *new = &r->new;
    int error = e2d_dir_find(old->directory, old->name, old->length, &old->found);

    if (error == 0)
        error = e2d_name_inode(old->directory, old->found.dirent, &old->inode);
    if (error != 0)
        return error;
    error = e2d_dir_find(new->directory, new->name, new->length, &new->found);
    if (error == -EXT2DAX_ENOENT && !r->exchange)
        return e2d_dir_room(new->directory, new->name, new->length, &r->slot);
    if (error == 0 && (flags & EXT2DAX_RENAME_NOREPLACE) != 0)
        error = -EXT2DAX_EEXIST;
    if (error == 0)
        error = e2d_name_inode(new->directory, new->found.dirent, &new->inode);
    return error;
}

/* Reports a dirent that names a directory in a second place. */
static int check_place(struct ext2dax_inode *directory, const struct e2d_renaming_side *side)
{
    if (side->inode != directory && (!side->inode || side->inode->number != EXT2DAX_ROOT_INODE))
        return 0;
    return e2d_dir_corrupt(side->directory, "dirent", side->inode->number, "names a directory in another place");
}

/*
 * Checks the kinds and the places of both inodes, before the inodes are locked. A directory is an
 * ancestor of the other directory only if the directory is the child on the path.
 */
static int check_places(const struct e2d_renaming *r, const struct e2d_ancestry *ancestry)
{
    const struct ext2dax_inode *old = r->old.inode, *new = r->new.inode;
    int error = 0;

    if (new && !r->exchange && is_directory(old) != is_directory(new))
        return is_directory(new) ? -EXT2DAX_EISDIR : -EXT2DAX_ENOTDIR;
    if (ancestry->first_above && is_directory(old) && old->number == ancestry->child)
        return -EXT2DAX_EINVAL;
    if (ancestry->second_above && is_directory(new) && new->number == ancestry->child)
        return r->exchange ? -EXT2DAX_EINVAL : -EXT2DAX_ENOTEMPTY;
    for (unsigned i = 0; i < 4 && error == 0; i++)
        error = check_place(i < 2 ? r->old.directory : r->new.directory, i % 2 == 0 ? &r->old : &r->new);
    return error;
}

/* Checks the inode of a name, with io held. A directory must lie in the directory with the name. */
static int check_inode(struct e2d_renaming_side *side)
{
    int error;

    if (!side->inode)
        return 0;
    if ((e2d_get32(side->inode->disk->flags) & LOCKED_FLAGS) != 0)
        return -EXT2DAX_EPERM;
    if (e2d_get16(side->inode->disk->links) == 0)
        return e2d_dir_corrupt(side->directory, "dirent", side->inode->number, "names an inode without links");
    if (!e2d_is_directory(side->inode))
        return 0;
    error = e2d_dir_dotdot(side->inode, &side->dotdot);
    if (error == 0 && e2d_get32(side->dotdot->inode) != side->directory->number)
        error =
            e2d_dir_corrupt(side->inode, "..", e2d_get32(side->dotdot->inode), "is not the directory with the name");
    return error;
}

/* Checks the directories, with io held. The new directory loses a replaced or exchanged name. */
static int check_directories(const struct e2d_renaming *r)
{
    bool loses = r->new.inode != NULL;
    int error = e2d_change_permitted(r->old.directory, LOCKED_FLAGS);

    if (error == 0)
        error = e2d_change_permitted(r->new.directory, loses ? LOCKED_FLAGS : EXT2DAX_FL_IMMUTABLE);
    return error;
}

/* Checks that a directory which gains a subdirectory can count the subdirectory. */
static int check_links(const struct e2d_renaming *r)
{
    bool old = is_directory(r->old.inode), new = is_directory(r->new.inode);

    if (r->old.directory == r->new.directory || old == new)
        return 0;
    if (old)
        return e2d_subdirectory_fits(r->new.directory);
    return r->exchange ? e2d_subdirectory_fits(r->old.directory) : 0;
}

/* Checks that an inode losing the last name can be freed later. */
static int check_victim(const struct e2d_renaming *r)
{
    struct ext2dax_inode *victim = r->new.inode;
    int error = 0;

    if (!victim || r->exchange)
        return 0;
    if (e2d_is_directory(victim))
        error = e2d_dir_empty(victim, r->new.directory->number);
    if (error == 0 && (e2d_is_directory(victim) || e2d_get16(victim->disk->links) == 1))
        error = e2d_inode_freeable(victim);
    return error;
}

/* ---- the call ---- */

/* Renames with the inodes found and unlocked. */
static int rename_inodes(struct e2d_renaming *r)
{
    struct pair inodes = order_inodes(r);
    int error;

    lock_pair(r->m, &inodes);
    error = check_inode(&r->old);
    if (error == 0)
        error = check_inode(&r->new);
    if (error == 0)
        error = check_links(r);
    if (error == 0)
        error = check_victim(r);
    if (error == 0)
        error = e2d_renaming_store(r);
    unlock_pair(r->m, &inodes);
    return error;
}

/* Renames under the rename lock. */
static E2D_OUT_OF_LINE int rename_locked(struct e2d_renaming *r, unsigned flags)
{
    struct e2d_ancestry ancestry = {false, false, 0};
    struct pair directories;
    int error = 0;

    if (r->old.directory != r->new.directory)
        error = e2d_ancestry(r->old.directory, r->new.directory, &ancestry);
    if (error != 0)
        return error;
    directories = order_directories(r, &ancestry);
    lock_pair(r->m, &directories);
    /* An unlinked directory first, because the names are gone too. */
    error = check_directories(r);
    if (error == 0)
        error = find_names(r, flags);
    if (error == 0 && r->old.inode != r->new.inode) {
        error = check_directories(r);
        if (error == 0)
            error = check_places(r, &ancestry);
        if (error == 0)
            error = rename_inodes(r);
    }
    unlock_pair(r->m, &directories);
    return error;
}

/* Checks all that does not depend on the image. */
static int check_request(const struct e2d_renaming *r, unsigned flags)
{
    int error = e2d_name_check(r->old.name, r->old.length);

    if (error == 0)
        error = e2d_name_check(r->new.name, r->new.length);
    if (error != 0)
        return error;
    if ((flags & ~FLAGS_KNOWN) != 0 || flags == FLAGS_KNOWN || e2d_name_is_dots(r->old.name, r->old.length) ||
        e2d_name_is_dots(r->new.name, r->new.length))
        return -EXT2DAX_EINVAL;
    if (r->old.directory->mount != r->new.directory->mount)
        return -EXT2DAX_EXDEV;
    if (!e2d_is_directory(r->old.directory) || !e2d_is_directory(r->new.directory))
        return -EXT2DAX_ENOTDIR;
    return 0;
}

int ext2dax_rename(struct ext2dax_inode *from_directory, const char *from, size_t from_length,
                   struct ext2dax_inode *to_directory, const char *to, size_t to_length, unsigned flags)
{
    struct ext2dax_mount *m = from_directory->mount;
    struct e2d_renaming r;
    int error;

    memset(&r, 0, sizeof(r));
    r.m = m;
    r.old.directory = from_directory;
    r.old.name = from;
    r.old.length = from_length;
    r.new.directory = to_directory;
    r.new.name = to;
    r.new.length = to_length;
    r.exchange = (flags & EXT2DAX_RENAME_EXCHANGE) != 0;
    error = check_request(&r, flags);
    if (error == 0)
        error = e2d_names_begin(m, &r.now);
    if (error != 0)
        return error;
    e2d_write_lock(m, &m->rename);
    error = rename_locked(&r, flags);
    e2d_write_unlock(m, &m->rename);
    e2d_names_end(m);
    if (r.old.inode)
        ext2dax_inode_put(r.old.inode);
    if (r.new.inode)
        ext2dax_inode_put(r.new.inode);
    return error;
}
