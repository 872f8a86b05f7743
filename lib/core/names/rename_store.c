/* SPDX-License-Identifier: MIT */
/*
 * Renames, the order of stores.
 *
 * A file gets the new name before the file loses the old name, so a crash leaves one name or both.
 * If the new name replaces one of several names of another file, the type of the dirent is 0 while
 * the inode number changes. e2fsck -p repairs these states.
 *
 * Everything else goes by the redo record. A directory must never have two places. An inode must
 * not lose the last name before the link count is 0, nor after. An exchange has no middle state.
 * The list of all stores is durable before the first of the stores, so recovery makes the others.
 */
#include "names/renaming.h"

#include "base/lock.h"
#include "base/persist.h"
#include "disk/inode.h"
#include "disk/redo.h"
#include "file/icache.h"
#include "base/skips.h"

static bool is_directory(const struct ext2dax_inode *inode)
{
    return inode && e2d_is_directory(inode);
}

static uint8_t type_of(const struct e2d_renaming *r, const struct ext2dax_inode *inode)
{
    return e2d_dirent_type(r->m, inode->mode);
}

static void store_directory_times(struct e2d_renaming *r)
{
    e2d_store_times(r->old.directory, r->now, true);
    if (r->new.directory != r->old.directory)
        e2d_store_times(r->new.directory, r->now, true);
}

/* ---- files, without a record ---- */

/* Removes the old name, once the new name is durable. */
static void clear_old(struct e2d_renaming *r)
{
    e2d_dir_refind(r->m, &r->old.found);
    e2d_dir_remove(r->old.directory, &r->old.found);
    e2d_store_times(r->old.inode, r->now, false);
    store_directory_times(r);
}

static int to_new_name(struct e2d_renaming *r)
{
    struct e2d_renaming_side *new = &r->new;
    int error = e2d_dir_prepare(new->directory, new->name, new->length, r->old.inode->number, type_of(r, r->old.inode),
                                &r->slot);

    if (error == 0 && !r->slot.published) {
        error = e2d_order(r->m, E2D_FENCE_RENAME_BODY);
        if (error == 0) {
            e2d_dir_publish(new->directory, &r->slot);
            error = e2d_order(r->m, E2D_FENCE_RENAME_ENTRY);
        }
    }
    if (error != 0)
        return error;
    clear_old(r);
    return e2d_order(r->m, E2D_FENCE_RENAME_OLD);
}

static int over_one_of_several(struct e2d_renaming *r)
{
    struct ext2dax_mount *m = r->m;
    struct e2d_renaming_side *new = &r->new;
    struct ext2dax_inode *victim = new->inode;
    uint8_t type = type_of(r, r->old.inode);
    bool differ = type != type_of(r, victim);
    int error = 0;

    if (differ) {
        e2d_dir_set_type(new->directory, new->found.dirent, EXT2DAX_FT_UNKNOWN);
        error = e2d_order(m, E2D_FENCE_RENAME_BODY);
    }
    if (error == 0) {
        e2d_dir_set_inode(new->directory, new->found.dirent, r->old.inode->number);
        error = e2d_order(m, E2D_FENCE_RENAME_ENTRY);
    }
    if (error != 0)
        return error;
    if (differ)
        e2d_dir_set_type(new->directory, new->found.dirent, type);
    e2d_store16(m, &victim->disk->links, e2d_get16(victim->disk->links) - 1u);
    e2d_store_times(victim, r->now, false);
    clear_old(r);
    return e2d_order(m, E2D_FENCE_RENAME_OLD);
}

/* ---- with a record ---- */

/*
 * Returns the dirent ".." of the inode of a name, or NULL if the dirent stays as it is. Reads
 * nothing that could fail, because half a rename cannot be undone.
 */
static struct ext2dax_disk_dirent *moved_dotdot(const struct e2d_renaming *r, const struct e2d_renaming_side *side)
{
    return r->old.directory == r->new.directory ? NULL : side->dotdot;
}

static void add_dir_store(struct e2d_renaming *r, struct e2d_redo *redo, struct e2d_dir_store store)
{
    e2d_redo_add(r->m, redo, store.at, store.bytes, store.value);
}

/* Lists the stores that make the dirent of a name the dirent of another inode. */
static void list_replacement(struct e2d_renaming *r, struct e2d_redo *redo, const struct e2d_renaming_side *side,
                             const struct ext2dax_inode *inode)
{
    struct ext2dax_disk_dirent *dirent = side->found.dirent;

    e2d_redo_add(r->m, redo, &dirent->inode, 4, inode->number);
    if (type_of(r, inode) != type_of(r, side->inode))
        e2d_redo_add(r->m, redo, &dirent->type, 1, type_of(r, inode));
}

/* Lists the stores of the rename, except for counts and times, which recovery computes. */
static void list_stores(struct e2d_renaming *r, struct e2d_redo *redo)
{
    const struct e2d_dir_slot *slot = r->old.directory == r->new.directory && !r->new.inode ? &r->slot : NULL;
    struct ext2dax_disk_dirent *old = moved_dotdot(r, &r->old);
    struct ext2dax_disk_dirent *new = r->exchange ? moved_dotdot(r, &r->new) : NULL;

    memset(redo, 0, sizeof(*redo));
    if (r->new.inode)
        list_replacement(r, redo, &r->new, r->old.inode);
    else
        add_dir_store(r, redo, e2d_dir_publish_store(&r->slot));
    if (r->exchange)
        list_replacement(r, redo, &r->old, r->new.inode);
    else
        add_dir_store(r, redo, e2d_dir_remove_store(r->m, &r->old.found, slot));
    if (old)
        e2d_redo_add(r->m, redo, &old->inode, 4, r->new.directory->number);
    if (new)
        e2d_redo_add(r->m, redo, &new->inode, 4, r->old.directory->number);
    redo->victim = r->new.inode && !r->exchange ? r->new.inode->number : 0;
}

static void replace(struct e2d_renaming *r, struct e2d_renaming_side *side, const struct ext2dax_inode *inode)
{
    e2d_dir_set_inode(side->directory, side->found.dirent, inode->number);
    if (type_of(r, inode) != type_of(r, side->inode))
        e2d_dir_set_type(side->directory, side->found.dirent, type_of(r, inode));
}

/* Stores the link counts of both directories. */
static void store_counts(struct e2d_renaming *r)
{
    bool old = is_directory(r->old.inode), new = is_directory(r->new.inode);
    bool same = r->old.directory == r->new.directory;

    /* Of two directories one leaves and one comes, except that a replaced directory only leaves. */
    if (!same && old && !new)
        e2d_subdirectory_added(r->new.directory);
    if (r->exchange ? !same && old && !new : old && (!same || new))
        e2d_subdirectory_removed(r->old.directory);
    if (r->exchange && !same && new && !old) {
        e2d_subdirectory_added(r->old.directory);
        e2d_subdirectory_removed(r->new.directory);
    }
}

static void kill_victim(struct e2d_renaming *r)
{
    struct ext2dax_inode *victim = r->new.inode;

    e2d_store_times(victim, r->now, false);
    e2d_store16(r->m, &victim->disk->links, 0);
    e2d_store32(r->m, &victim->disk->dtime, e2d_dtime(r->m, r->now));
}

/* Makes the stores of the list, and those of counts and times. */
static void make_stores(struct e2d_renaming *r)
{
    struct ext2dax_disk_dirent *old = moved_dotdot(r, &r->old);
    struct ext2dax_disk_dirent *new = r->exchange ? moved_dotdot(r, &r->new) : NULL;

    if (r->new.inode)
        replace(r, &r->new, r->old.inode);
    else
        e2d_dir_publish(r->new.directory, &r->slot);
    if (r->exchange)
        replace(r, &r->old, r->new.inode);
    if (old)
        e2d_dir_set_inode(r->old.inode, old, r->new.directory->number);
    if (new)
        e2d_dir_set_inode(r->new.inode, new, r->old.directory->number);
    if (r->exchange) {
        e2d_store_times(r->old.inode, r->now, false);
        e2d_store_times(r->new.inode, r->now, false);
        store_directory_times(r);
    } else {
        if (r->new.inode)
            kill_victim(r);
        clear_old(r);
    }
    store_counts(r);
}

/*
 * Finds the place of a new name, and stores the body where no reader sees it. The body is durable
 * before the record, because recovery publishes the body of a record found.
 */
static E2D_OUT_OF_LINE int prepare_new(struct e2d_renaming *r)
{
    struct e2d_renaming_side *new = &r->new;
    int error = 0;

    /* A block that comes with the dirent would publish the dirent before the record. */
    if (!r->slot.dirent) {
        error = e2d_dir_grow(new->directory);
        if (error == 0)
            error = e2d_dir_room(new->directory, new->name, new->length, &r->slot);
    }
    if (error != 0)
        return error;
    error = e2d_dir_prepare(new->directory, new->name, new->length, r->old.inode->number, type_of(r, r->old.inode),
                            &r->slot);
    return error != 0 ? error : e2d_order(r->m, E2D_FENCE_RENAME_BODY);
}

static int by_record(struct e2d_renaming *r)
{
    struct ext2dax_mount *m = r->m;
    struct e2d_redo redo;
    int error = r->new.inode ? 0 : prepare_new(r);

    if (error != 0)
        return error;
    list_stores(r, &redo);
    e2d_redo_write(m, &redo);
    error = e2d_order(m, E2D_FENCE_RENAME_RECORD);
    if (error != 0) {
        e2d_redo_clear(m);
        return error;
    }
    make_stores(r);
    error = e2d_order(m, E2D_FENCE_RENAME_STORES);
    if (redo.victim != 0)
        e2d_inode_nameless(r->new.inode);
    /* After a failure the record stays for recovery. */
    if (error != 0)
        return error;
    e2d_redo_clear(m);
    return e2d_order(m, E2D_FENCE_RENAME_DONE);
}

int e2d_renaming_store(struct e2d_renaming *r)
{
    const struct ext2dax_inode *victim = r->new.inode;

    if (r->exchange || is_directory(r->old.inode))
        return by_record(r);
    if (!victim)
        return to_new_name(r);
    return e2d_get16(victim->disk->links) > 1 ? over_one_of_several(r) : by_record(r);
}
