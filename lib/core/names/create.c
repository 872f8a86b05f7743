/* SPDX-License-Identifier: MIT */
/*
 * Creation of inodes, and new names of inodes.
 *
 * A new inode is written whole, with its block, while the link count is 0. Then the dirent is
 * published, and the link count follows. So a crash leaves at worst an inode without links, with or
 * without a dirent. A new name of an existing inode is counted before the dirent is published, so
 * the count is never lower than the number of names.
 */
#include "ext2dax/name.h"

#include "alloc/balloc.h"
#include "alloc/ialloc.h"
#include "base/copy_struct.h"
#include "base/lock.h"
#include "base/persist.h"
#include "disk/attributes.h"
#include "disk/group.h"
#include "disk/inode.h"
#include "disk/super.h"
#include "file/icache.h"
#include "names/change.h"
#include "base/skips.h"

#define SECTOR_SHIFT     9
#define FAST_SYMLINK_MAX (EXT2DAX_SLOTS * 4 - 1)

/* ---- the request ---- */

static uint32_t type_of(const struct ext2dax_creation *creation)
{
    uint32_t type = creation->attributes.mode & EXT2DAX_S_IFMT;

    return type != 0 ? type : EXT2DAX_S_IFREG;
}

static int check_target(const struct ext2dax_mount *m, const struct ext2dax_creation *creation)
{
    if (creation->target_length == 0)
        return -EXT2DAX_EINVAL;
    if (creation->target_length >= m->block_size)
        return -EXT2DAX_ENAMETOOLONG;
    for (size_t i = 0; i < creation->target_length; i++) {
        if (creation->target[i] == '\0')
            return -EXT2DAX_EINVAL;
    }
    return 0;
}

static int check_creation(const struct ext2dax_mount *m, const struct ext2dax_creation *creation)
{
    const struct ext2dax_attributes *a = &creation->attributes;
    int error = e2d_check_attributes(a);

    if (error != 0)
        return error;
    if ((a->set & EXT2DAX_SET_FLAGS) != 0 && (a->flags & ~EXT2DAX_FL_SETTABLE) != 0)
        return -EXT2DAX_EOPNOTSUPP;
    switch (type_of(creation)) {
    case EXT2DAX_S_IFREG:
    case EXT2DAX_S_IFDIR:
    case EXT2DAX_S_IFIFO:
    case EXT2DAX_S_IFSOCK:
        return 0;
    case EXT2DAX_S_IFCHR:
    case EXT2DAX_S_IFBLK:
        return creation->device_major <= E2D_DEVICE_MAJOR_MAX && creation->device_minor <= E2D_DEVICE_MINOR_MAX
                   ? 0
                   : -EXT2DAX_EINVAL;
    case EXT2DAX_S_IFLNK:
        return check_target(m, creation);
    default:
        return -EXT2DAX_EINVAL;
    }
}

/* ---- the inode ---- */

/* An inode being made, with its block or block 0 for none. */
struct making {
    const struct ext2dax_creation *creation;
    struct e2d_time now;
    uint32_t number, block;
    struct ext2dax_disk_inode disk;
    struct ext2dax_disk_inode_tail tail;
};

/* A new directory begins with these dirents, which have names of at most 4 bytes. */
struct dots {
    struct ext2dax_disk_dirent self;
    char self_name[4];
    struct ext2dax_disk_dirent parent;
    char parent_name[4];
};

static void write_dots(struct ext2dax_inode *directory, const struct making *making)
{
    struct ext2dax_mount *m = directory->mount;
    uint8_t type = e2d_dirent_type(m, EXT2DAX_S_IFDIR);
    unsigned char *dots_at = e2d_block(m, making->block);
    struct dots dots;

    memset(&dots, 0, sizeof(dots));
    dots.self.inode = e2d_le32(making->number);
    dots.self.length = e2d_le16(sizeof(dots.self) + sizeof(dots.self_name));
    dots.self.name_length = 1;
    dots.parent.inode = e2d_le32(directory->number);
    dots.parent.length = e2d_le16(m->block_size - (uint32_t)(sizeof(dots.self) + sizeof(dots.self_name)));
    dots.parent.name_length = 2;
    dots.self.type = dots.parent.type = type;
    dots.self_name[0] = dots.parent_name[0] = dots.parent_name[1] = '.';
    e2d_copy(m, dots_at, &dots, sizeof(dots));
}

/* Allocates the block of a new inode, zeroed, near the inode. */
static int take_block(struct ext2dax_mount *m, struct making *making)
{
    struct e2d_extent extent;
    int error = e2d_balloc_one(m, e2d_group_of_inode(m, making->number), &extent);

    if (error != 0)
        return error;
    making->block = extent.block;
    making->disk.block[0] = e2d_le32(extent.block);
    making->disk.sectors = e2d_le32(m->block_size >> SECTOR_SHIFT);
    e2d_zero(m, e2d_block(m, making->block), m->block_size);
    return 0;
}

/* Fills the part of the inode that depends on the type, and the block. */
static E2D_OUT_OF_LINE int write_content(struct ext2dax_inode *directory, struct making *making)
{
    struct ext2dax_mount *m = directory->mount;
    const struct ext2dax_creation *creation = making->creation;
    uint32_t length = (uint32_t)creation->target_length;
    int error = 0;

    switch (type_of(creation)) {
    case EXT2DAX_S_IFDIR:
        making->disk.size = e2d_le32(m->block_size);
        error = take_block(m, making);
        if (error == 0)
            write_dots(directory, making);
        break;
    case EXT2DAX_S_IFLNK:
        making->disk.size = e2d_le32(length);
        if (length <= FAST_SYMLINK_MAX) {
            memcpy(making->disk.block, creation->target, length);
            break;
        }
        error = take_block(m, making);
        if (error == 0)
            e2d_copy(m, e2d_block(m, making->block), creation->target, length);
        break;
    case EXT2DAX_S_IFCHR:
    case EXT2DAX_S_IFBLK:
        e2d_fill_device(&making->disk, creation->device_major, creation->device_minor);
        break;
    default:
        break;
    }
    return error;
}

/*
 * Writes the whole of a newly allocated inode, still with link count 0, and the block. A free inode
 * with links is EUCLEAN, because the inode may belong to another directory and be in core. Keeps no
 * block after a failure.
 */
static int write_inode(struct ext2dax_inode *directory, struct making *making)
{
    struct ext2dax_mount *m = directory->mount;
    struct ext2dax_disk_inode *disk = e2d_disk_inode(m, making->number);
    struct ext2dax_attributes attributes = making->creation->attributes;
    int error = e2d_check(m, disk, m->inode_size);

    if (error != 0)
        return error;
    if (e2d_load_le16(&disk->links) != 0)
        return e2d_corrupt(m, "inode", making->number, "link count", e2d_load_le16(&disk->links),
                           "of an inode marked free");
    attributes.mode = (uint16_t)((attributes.mode & 0xFFFu) | type_of(making->creation));
    e2d_fill_attributes(m, &making->disk, &making->tail, &attributes, making->now);
    error = write_content(directory, making);
    if (error != 0)
        return error;
    /* The new file must not be mistaken for an earlier file with this number. */
    making->disk.generation = e2d_le32(e2d_get32(disk->generation) + 1);
    e2d_copy(m, disk, &making->disk, sizeof(making->disk));
    if (m->inode_size > sizeof(making->disk))
        e2d_zero(m, disk + 1, m->inode_size - sizeof(making->disk));
    if (m->extra_isize != 0)
        e2d_copy(m, disk + 1, &making->tail, e2d_min32(m->extra_isize, sizeof(making->tail)));
    return 0;
}

/*
 * Makes an inode for a new name in the directory, in core and without a name. Holds nothing after a
 * failure.
 */
static int make_inode(struct ext2dax_inode *directory, struct making *making, struct ext2dax_inode **inode)
{
    struct ext2dax_mount *m = directory->mount;
    bool is_directory = type_of(making->creation) == EXT2DAX_S_IFDIR;
    uint32_t group = e2d_inode_group(directory);
    int error;

    /* Directories of the root begin trees of their own, so each gets a place of its own. */
    if (is_directory && directory->number == EXT2DAX_ROOT_INODE)
        group = e2d_ialloc_spread(m, group);
    error = e2d_ialloc(m, group, is_directory, &making->number);
    if (error != 0)
        return error;
    error = write_inode(directory, making);
    if (error != 0)
        goto out_inode;
    error = e2d_inode_new(m, making->number, inode);
    if (error == 0)
        return 0;
    e2d_store32(m, &e2d_disk_inode(m, making->number)->dtime, e2d_dtime(m, making->now));
    if (making->block != 0)
        e2d_give_back(m, making->block, 1);
out_inode:
    e2d_ifree(m, making->number, is_directory);
    return error;
}

/* ---- the name ---- */

/*
 * Publishes the first name. The caller holds the directory's io and has found the slot. The inode
 * is in core and nameless.
 */
static int publish(struct ext2dax_inode *directory, const char *name, size_t length, struct ext2dax_inode *inode,
                   struct e2d_time now, struct e2d_dir_slot *slot)
{
    struct ext2dax_mount *m = directory->mount;
    uint8_t type = e2d_dirent_type(m, inode->mode);
    uint32_t links = e2d_is_directory(inode) ? 2 : 1;
    int error = e2d_dir_prepare(directory, name, length, inode->number, type, slot);

    if (error == 0 && !slot->published) {
        if (E2D_MUTANT(ORDER_LINKS_FIRST))
            e2d_store16(m, &inode->disk->links, links);
        error = e2d_order(m, E2D_FENCE_CREATE_BODY);
        if (error == 0) {
            e2d_dir_publish(directory, slot);
            error = e2d_order(m, E2D_FENCE_CREATE_ENTRY);
        }
    }
    if (error == 0) {
        e2d_store_times(directory, now, true);
        e2d_store16(m, &inode->disk->links, links);
        if (links == 2)
            e2d_subdirectory_added(directory);
        error = e2d_order(m, E2D_FENCE_CREATE_LINKS);
        if (error != 0 && links == 2)
            e2d_subdirectory_removed(directory);
    }
    if (error != 0) {
        e2d_store16(m, &inode->disk->links, 0);
        e2d_name_withdraw(directory, name, length);
    }
    return error;
}

/* Creates the inode and the name, under the directory's io. */
static E2D_OUT_OF_LINE int create_locked(struct ext2dax_inode *directory, const char *name, size_t length,
                                         struct making *making, struct ext2dax_inode **fresh)
{
    struct e2d_dir_slot slot;
    int error = e2d_dir_room(directory, name, length, &slot);

    if (error == 0 && e2d_name_is_dots(name, length))
        error = -EXT2DAX_EEXIST;
    if (error == 0 && type_of(making->creation) == EXT2DAX_S_IFDIR)
        error = e2d_subdirectory_fits(directory);
    if (error == 0)
        error = make_inode(directory, making, fresh);
    if (error != 0)
        return error;
    error = publish(directory, name, length, *fresh, making->now, &slot);
    if (error == 0)
        e2d_inode_named(*fresh);
    else
        e2d_store32(directory->mount, &(*fresh)->disk->dtime, e2d_dtime(directory->mount, making->now));
    return error;
}

int ext2dax_create_as(struct ext2dax_inode *directory, const char *name, size_t length,
                      const struct ext2dax_creation *creation, struct ext2dax_inode **inode)
{
    struct ext2dax_inode *fresh = NULL;
    struct ext2dax_creation own;
    struct making making;
    int error;

    if (inode)
        *inode = NULL;
    e2d_copy_struct(&own, sizeof(own), creation);
    memset(&making, 0, sizeof(making));
    making.creation = &own;
    error = e2d_name_check(name, length);
    if (error == 0)
        error = check_creation(directory->mount, &own);
    if (error == 0)
        error = e2d_change_open(directory, name, length, EXT2DAX_FL_IMMUTABLE, &making.now);
    if (error != 0)
        return error;
    error = create_locked(directory, name, length, &making, &fresh);
    e2d_change_close(directory);
    if (error == 0 && inode)
        *inode = fresh;
    else if (fresh)
        ext2dax_inode_put(fresh);
    return error;
}

/* ---- creation by type ---- */

static E2D_OUT_OF_LINE void describe(struct ext2dax_creation *creation, uint32_t mode, uint32_t uid, uint32_t gid)
{
    memset(creation, 0, sizeof(*creation));
    creation->size = sizeof(*creation);
    creation->attributes.mode = (uint16_t)mode;
    creation->attributes.uid = uid;
    creation->attributes.gid = gid;
}

int ext2dax_create(struct ext2dax_inode *directory, const char *name, size_t length, uint16_t mode, uint32_t uid,
                   uint32_t gid, struct ext2dax_inode **inode)
{
    struct ext2dax_creation creation;

    describe(&creation, (mode & 0xFFFu) | EXT2DAX_S_IFREG, uid, gid);
    return ext2dax_create_as(directory, name, length, &creation, inode);
}

int ext2dax_mkdir(struct ext2dax_inode *directory, const char *name, size_t length, uint16_t mode, uint32_t uid,
                  uint32_t gid, struct ext2dax_inode **inode)
{
    struct ext2dax_creation creation;

    describe(&creation, (mode & 0xFFFu) | EXT2DAX_S_IFDIR, uid, gid);
    return ext2dax_create_as(directory, name, length, &creation, inode);
}

int ext2dax_mknod(struct ext2dax_inode *directory, const char *name, size_t length, uint16_t mode,
                  uint32_t device_major, uint32_t device_minor, uint32_t uid, uint32_t gid,
                  struct ext2dax_inode **inode)
{
    struct ext2dax_creation creation;
    uint32_t type = mode & EXT2DAX_S_IFMT;

    if (type == EXT2DAX_S_IFDIR || type == EXT2DAX_S_IFLNK) {
        if (inode)
            *inode = NULL;
        return -EXT2DAX_EINVAL;
    }
    describe(&creation, mode, uid, gid);
    creation.device_major = device_major;
    creation.device_minor = device_minor;
    return ext2dax_create_as(directory, name, length, &creation, inode);
}

int ext2dax_symlink(struct ext2dax_inode *directory, const char *name, size_t length, const char *target,
                    size_t target_length, uint32_t uid, uint32_t gid, struct ext2dax_inode **inode)
{
    struct ext2dax_creation creation;

    describe(&creation, 0777 | EXT2DAX_S_IFLNK, uid, gid);
    creation.target = target;
    creation.target_length = target_length;
    return ext2dax_create_as(directory, name, length, &creation, inode);
}
