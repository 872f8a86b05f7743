/* SPDX-License-Identifier: MIT */
/*
 * Change of attributes. All checks precede the first store, and all stores precede a single fence.
 * io is held exclusively up to the fence, so two calls never mix their attributes, and a call that
 * modifies the file sees the flags before or after the change.
 *
 * Readers of the mode and of the owner hold no lock. The core itself decides only by the type and
 * by the flags. The type never changes, and the flags are a single store.
 */
#include "ext2dax/inode.h"

#include "base/copy_struct.h"
#include "base/lock.h"
#include "base/persist.h"
#include "disk/attributes.h"
#include "file/write_access.h"
#include "base/skips.h"

/* Returns 0 if the flags of the inode permit the change, else EPERM or EOPNOTSUPP. */
static int check_flags(const struct ext2dax_inode *inode, const struct ext2dax_attributes *wanted)
{
    uint32_t flags = e2d_load_le32(&inode->disk->flags);
    bool sets_flags = (wanted->set & EXT2DAX_SET_FLAGS) != 0;

    if ((flags & (EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND)) != 0 && (wanted->set & ~EXT2DAX_SET_FLAGS) != 0)
        return -EXT2DAX_EPERM;
    return sets_flags && ((flags ^ wanted->flags) & ~EXT2DAX_FL_SETTABLE) != 0 ? -EXT2DAX_EOPNOTSUPP : 0;
}

static void store_half(struct ext2dax_mount *m, struct ext2dax_le16 *at, uint32_t value)
{
    if (e2d_load_le16(at) != (value & 0xFFFFu))
        e2d_store16(m, at, value & 0xFFFFu);
}

static void store_owner(struct ext2dax_inode *inode, const struct ext2dax_attributes *wanted)
{
    struct ext2dax_mount *m = inode->mount;
    struct ext2dax_disk_inode *disk = inode->disk;

    if ((wanted->set & EXT2DAX_SET_UID) != 0) {
        store_half(m, &disk->uid, wanted->uid);
        store_half(m, &disk->uid_high, wanted->uid >> 16);
    }
    if ((wanted->set & EXT2DAX_SET_GID) != 0) {
        store_half(m, &disk->gid, wanted->gid);
        store_half(m, &disk->gid_high, wanted->gid >> 16);
    }
}

/* Stores the time if the set has `bit`, or the present if the set has `bit_now` too. */
static void store_time(struct ext2dax_inode *inode, unsigned set, unsigned bit, unsigned bit_now,
                       enum e2d_time_field field, struct ext2dax_time time, struct e2d_time now)
{
    if ((set & bit) != 0)
        e2d_store_time(inode, field, (set & bit_now) != 0 ? now : e2d_time_encode(time));
}

static void store_attributes(struct ext2dax_inode *inode, const struct ext2dax_attributes *wanted, struct e2d_time now)
{
    struct ext2dax_mount *m = inode->mount;
    struct ext2dax_disk_inode *disk = inode->disk;
    unsigned set = wanted->set;

    store_owner(inode, wanted);
    if ((set & EXT2DAX_SET_MODE) != 0)
        store_half(m, &disk->mode, (e2d_load_le16(&disk->mode) & EXT2DAX_S_IFMT) | (wanted->mode & 0xFFFu));
    if ((set & EXT2DAX_SET_FLAGS) != 0 && e2d_load_le32(&disk->flags) != wanted->flags)
        e2d_store32(m, &disk->flags, wanted->flags);
    store_time(inode, set, EXT2DAX_SET_ATIME, EXT2DAX_SET_ATIME_NOW, E2D_ATIME, wanted->atime, now);
    store_time(inode, set, EXT2DAX_SET_MTIME, EXT2DAX_SET_MTIME_NOW, E2D_MTIME, wanted->mtime, now);
    store_time(inode, set, EXT2DAX_SET_CREATED, 0, E2D_CREATED, wanted->created, now);
    if ((set & EXT2DAX_SET_CTIME) != 0)
        now = e2d_time_encode(wanted->ctime);
    e2d_store_time(inode, E2D_CTIME, now);
}

int ext2dax_setattr(struct ext2dax_inode *inode, const struct ext2dax_attributes *attributes)
{
    struct ext2dax_attributes wanted;
    struct e2d_time now;
    int rc;

    e2d_copy_struct(&wanted, sizeof(wanted), attributes);
    rc = e2d_check_attributes(&wanted);
    if (rc == 0)
        rc = e2d_change_begin(inode, &now);
    if (rc != 0)
        return rc;
    rc = check_flags(inode, &wanted);
    if (rc == 0) {
        store_attributes(inode, &wanted, now);
        rc = e2d_order(inode->mount, E2D_FENCE_ATTRIBUTES);
    }
    e2d_change_end(inode);
    return rc;
}
