/* SPDX-License-Identifier: MIT */
/* Facts about directories and their dirents needed to create, remove and rename. */
#include "names/dir.h"

#include "base/lock.h"
#include "base/persist.h"
#include "base/skips.h"

uint8_t e2d_dirent_type(const struct ext2dax_mount *m, uint32_t mode)
{
    if (!m->filetype)
        return EXT2DAX_FT_UNKNOWN;
    switch (mode & EXT2DAX_S_IFMT) {
    case EXT2DAX_S_IFREG:
        return EXT2DAX_FT_REG;
    case EXT2DAX_S_IFDIR:
        return EXT2DAX_FT_DIR;
    case EXT2DAX_S_IFLNK:
        return EXT2DAX_FT_LNK;
    case EXT2DAX_S_IFCHR:
        return EXT2DAX_FT_CHR;
    case EXT2DAX_S_IFBLK:
        return EXT2DAX_FT_BLK;
    case EXT2DAX_S_IFIFO:
        return EXT2DAX_FT_FIFO;
    case EXT2DAX_S_IFSOCK:
        return EXT2DAX_FT_SOCK;
    default:
        return EXT2DAX_FT_UNKNOWN;
    }
}

static bool is_dots(const struct ext2dax_mount *m, struct ext2dax_disk_dirent *dirent, uint32_t dots)
{
    return e2d_get32(dirent->inode) != 0 && e2d_dirent_name_length(m, dirent) == dots &&
           memcmp(e2d_dirent_name(dirent), "..", dots) == 0;
}

int e2d_dir_dotdot(struct ext2dax_inode *directory, struct ext2dax_disk_dirent **dotdot)
{
    struct ext2dax_mount *m = directory->mount;
    struct ext2dax_disk_dirent *first, *second;
    struct e2d_dir_walk walk;
    unsigned char *block;
    int step = e2d_dir_walk(directory, 0, &walk);

    if (step == 0)
        step = e2d_dir_step(&walk, &block);
    if (step < 0)
        return step;
    first = e2d_dirent(block, 0);
    if (!is_dots(m, first, 1) || e2d_get32(first->inode) != directory->number)
        return e2d_dir_corrupt(directory, "dirent", e2d_get32(first->inode), "is not \".\" of the directory");
    second = e2d_dirent_length(m, first) < m->block_size ? e2d_dirent(block, e2d_dirent_length(m, first)) : NULL;
    if (!second || !is_dots(m, second, 2))
        return e2d_dir_corrupt(directory, "dirent", 0, "is not \"..\"");
    *dotdot = second;
    return 0;
}

/* Does a checked block hold only `dots` dirents in use? */
static bool holds_only(const struct ext2dax_mount *m, unsigned char *block, unsigned dots)
{
    struct ext2dax_disk_dirent *dirent;
    unsigned used = 0;

    for (uint32_t offset = 0; offset < m->block_size; offset += e2d_dirent_length(m, dirent)) {
        dirent = e2d_dirent(block, offset);
        used += e2d_get32(dirent->inode) != 0;
    }
    return used == dots;
}

int e2d_dir_empty(struct ext2dax_inode *directory, uint32_t parent)
{
    struct ext2dax_disk_dirent *dotdot;
    struct e2d_dir_walk walk;
    unsigned char *block;
    int step = e2d_dir_dotdot(directory, &dotdot);

    if (step == 0 && e2d_get32(dotdot->inode) != parent)
        step = e2d_dir_corrupt(directory, "..", e2d_get32(dotdot->inode), "is not the directory with the name");
    if (step == 0)
        step = e2d_dir_walk(directory, 0, &walk);
    if (step != 0)
        return step;
    while ((step = e2d_dir_step(&walk, &block)) > 0) {
        if (!holds_only(directory->mount, block, walk.next == 1 ? 2 : 0))
            return -EXT2DAX_ENOTEMPTY;
    }
    return step;
}

int e2d_dir_parent(struct ext2dax_inode *directory, uint32_t *parent)
{
    struct ext2dax_mount *m = directory->mount;
    struct ext2dax_disk_dirent *dotdot;
    int error = 0;

    *parent = 0;
    e2d_read_lock(m, &directory->io);
    if (e2d_get16(directory->disk->links) != 0) {
        error = e2d_dir_dotdot(directory, &dotdot);
        if (error == 0)
            *parent = e2d_get32(dotdot->inode);
    }
    e2d_read_unlock(m, &directory->io);
    return error;
}

/* ---- stores ---- */

struct e2d_dir_store e2d_dir_publish_store(const struct e2d_dir_slot *slot)
{
    if (slot->before)
        return (struct e2d_dir_store){&slot->before->length, 2, slot->before_length};
    return (struct e2d_dir_store){&slot->dirent->inode, 4, slot->number};
}

struct e2d_dir_store e2d_dir_remove_store(const struct ext2dax_mount *m, const struct e2d_dirent *found,
                                          const struct e2d_dir_slot *slot)
{
    struct ext2dax_disk_dirent *before = found->before;
    uint32_t length = e2d_dirent_length(m, found->dirent);

    if (!before)
        return (struct e2d_dir_store){&found->dirent->inode, 4, 0};
    /* The new dirent lies in slack, either of the dirent to be removed or just before. */
    if (slot && slot->before == found->dirent)
        length = slot->before_length;
    if (slot && slot->before == before)
        before = slot->dirent;
    length += (uint32_t)((unsigned char *)found->dirent - (unsigned char *)before);
    return (struct e2d_dir_store){&before->length, 2, length == 0x10000u ? 0xFFFFu : length};
}

void e2d_dir_refind(const struct ext2dax_mount *m, struct e2d_dirent *found)
{
    unsigned char *block = (unsigned char *)found->dirent - (m->block_size - e2d_dirent_left(m, found->dirent));
    struct ext2dax_disk_dirent *dirent;
    uint32_t offset;

    found->before = NULL;
    for (offset = 0; offset < m->block_size; offset += e2d_dirent_length(m, dirent)) {
        dirent = e2d_dirent(block, offset);
        if (dirent == found->dirent)
            return;
        found->before = dirent;
    }
}

void e2d_dir_set_inode(struct ext2dax_inode *directory, struct ext2dax_disk_dirent *dirent, uint32_t number)
{
    E2D_MUST_HOLD(directory->mount, &directory->io);
    e2d_store32(directory->mount, &dirent->inode, number);
}

void e2d_dir_set_type(struct ext2dax_inode *directory, struct ext2dax_disk_dirent *dirent, uint8_t type)
{
    E2D_MUST_HOLD(directory->mount, &directory->io);
    e2d_store8(directory->mount, &dirent->type, type);
}
