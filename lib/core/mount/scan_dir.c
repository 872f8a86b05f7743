/* SPDX-License-Identifier: MIT */
/*
 * Names, as a survey of the whole image sees them.
 *
 * An entry that names an inode without links is what a create or an unlink leaves behind; it counts for nothing and is
 * to be cleared. One without a type is a rename's. Every other entry counts for its inode. A directory is named by one entry, in the directory that its ".."
 * names: whichever of the two is met first is remembered, and the other compared with it. That every directory then
 * leads to the root is found by climbing, each directory once.
 */
#include "survey.h"

#include "bitmap.h"
#include "dir.h"
#include "inode.h"

int e2d_survey_damage(const struct e2d_survey *s, uint32_t number, const char *field, uint64_t value,
                      const char *reason)
{
    return e2d_complain(s->m, -EXT2DAX_EUCLEAN, "inode", number, field, value, reason);
}

uint8_t e2d_survey_type(const struct ext2dax_mount *m, const struct ext2dax_disk_inode *disk)
{
    if (!m->filetype)
        return EXT2DAX_FT_UNKNOWN;
    switch (e2d_get16(disk->mode) & EXT2DAX_S_IFMT) {
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

static int damage(const struct e2d_survey *s, uint64_t value, const char *reason)
{
    return e2d_complain(s->m, -EXT2DAX_EUCLEAN, "directory", s->inode.number, "entry", value, reason);
}

/* 1 for ".", 2 for "..", else 0. */
static unsigned dots(const struct ext2dax_mount *m, struct ext2dax_disk_dirent *entry)
{
    uint32_t length = e2d_entry_name_length(m, entry);

    return length >= 1 && length <= 2 && memcmp(e2d_entry_name(entry), "..", length) == 0 ? length : 0;
}

/* A directory's place, from its entry or from its "..". */
static int place(struct e2d_survey *s, uint32_t number, uint32_t parent)
{
    if (s->parent[number] == 0)
        s->parent[number] = parent;
    else if (s->parent[number] != parent)
        return damage(s, number, "names a directory that has its place in another one");
    return 0;
}

static int check_name(const struct e2d_survey *s, struct ext2dax_disk_dirent *entry)
{
    const char *name = e2d_entry_name(entry);
    uint32_t length = e2d_entry_name_length(s->m, entry);

    for (uint32_t i = 0; i < length; i++) {
        if (name[i] == '/' || name[i] == '\0')
            return damage(s, e2d_get32(entry->inode), "name holds a slash or a NUL");
    }
    return dots(s->m, entry) != 0 ? damage(s, e2d_get32(entry->inode), "\".\" or \"..\" as a name") : 0;
}

/* An ordinary entry, whose inode has links. */
static int claim_name(struct e2d_survey *s, struct ext2dax_disk_dirent *entry, uint32_t target,
                      const struct ext2dax_disk_inode *disk)
{
    int error = check_name(s, entry);

    if (error != 0 || (e2d_get16(disk->mode) & EXT2DAX_S_IFMT) != EXT2DAX_S_IFDIR)
        return error;
    if (target == EXT2DAX_ROOT_INODE || e2d_bit(s->named, target))
        return damage(s, target, "names a directory that has another name");
    e2d_set_bits(s->named, target, target + 1);
    return place(s, target, s->inode.number);
}

/* "." (`which` is 1) and ".." (2) of the directory. */
static int claim_dots(struct e2d_survey *s, unsigned which, uint32_t target, const struct ext2dax_disk_inode *disk)
{
    if (which == 1)
        return target == s->inode.number ? 0 : damage(s, target, "\".\" names another inode");
    if ((e2d_get16(disk->mode) & EXT2DAX_S_IFMT) != EXT2DAX_S_IFDIR)
        return damage(s, target, "\"..\" names no directory");
    return place(s, s->inode.number, target);
}

/* `which`: the entry must be "." (1) or ".." (2); 0: any other. */
static int entry(struct e2d_survey *s, struct ext2dax_disk_dirent *at, unsigned which)
{
    struct ext2dax_mount *m = s->m;
    uint32_t target = e2d_get32(at->inode);
    const struct ext2dax_disk_inode *disk;
    int error = 0;

    if (which != 0 && (target == 0 || dots(m, at) != which))
        return damage(s, target, which == 1 ? "is not \".\"" : "is not \"..\"");
    if (target == 0)
        return 0;
    disk = e2d_disk_inode(m, target);
    if (e2d_get16(disk->links) == 0) {
        s->dead++;
        return which != 0 ? damage(s, target, "\".\" or \"..\" names an inode without links") : 0;
    }
    if (at->type != e2d_survey_type(m, disk)) {
        if (at->type != EXT2DAX_FT_UNKNOWN)
            return damage(s, target, "has the type of another kind of inode");
        s->renamed++;
    }
    if (!s->claims)
        return 0;
    error = which != 0 ? claim_dots(s, which, target, disk) : claim_name(s, at, target, disk);
    if (error == 0 && s->names[target] == UINT16_MAX)
        error = damage(s, target, "is one name more than a link count can hold");
    s->names[target]++;
    return error;
}

int e2d_survey_entries(struct e2d_survey *s, uint64_t logical, unsigned char *block)
{
    struct ext2dax_mount *m = s->m;
    unsigned which = logical == 0 ? 1 : 0;
    uint32_t offset, length;
    int error = e2d_dir_check(&s->inode, logical, block);

    for (offset = 0; error == 0 && offset < m->block_size; offset += length) {
        struct ext2dax_disk_dirent *at = e2d_entry(block, offset);

        length = e2d_entry_length(m, at);
        error = entry(s, at, which);
        which = which == 1 ? 2 : 0;
    }
    if (error == 0 && which == 2)
        error = damage(s, 0, "is the only one of its directory");
    return error;
}

int e2d_survey_place(struct e2d_survey *s, uint32_t number)
{
    static const char field[] = "parent";
    uint32_t at = number, steps = 0;

    if (number == EXT2DAX_ROOT_INODE)
        return s->parent[number] == number ? 0 : e2d_survey_damage(s, number, field, s->parent[number], "of the root");
    if (!e2d_bit(s->named, number))
        return e2d_survey_damage(s, number, field, s->parent[number], "has no entry for this directory");
    while (at != EXT2DAX_ROOT_INODE && !e2d_bit(s->reached, at)) {
        at = s->parent[at];
        if (++steps > s->m->inodes || at == 0)
            return e2d_survey_damage(s, number, field, s->parent[number], "does not lead to the root");
    }
    for (at = number; at != EXT2DAX_ROOT_INODE && !e2d_bit(s->reached, at); at = s->parent[at])
        e2d_set_bits(s->reached, at, at + 1);
    return 0;
}
