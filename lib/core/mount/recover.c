/* SPDX-License-Identifier: MIT */
/*
 * Recovery. A survey reads all of the image's metadata, finds what there is to mend and refuses what no crash of ours
 * explains, before the first store. Then two epochs:
 *
 *   links, i_blocks, sizes of directories, references to xattr blocks, index flags of directories that lose an entry |
 *   entries, times of deletion, bits, counts |
 *
 * The fence between them keeps three promises that a crash of the recovery itself needs: an inode that loses its links
 * has no time of deletion and is not marked free while it has them, and an index is gone before its entries. Whatever
 * else reaches the memory of either epoch is one of the states that were there to be mended before. The second fence
 * keeps names and bits that were cleared from coming back over what is built on them next.
 */
#include "recover.h"

#include "bitmap.h"
#include "dir.h"
#include "group.h"
#include "inode.h"
#include "persist.h"
#include "survey.h"

#define REPORTS      64
#define CREATOR_HURD 1u /* lets files own blocks that no pointer names */

/* Features that add no blocks and no inodes that a survey does not know; not 0x2, with which inodes need no name. */
#define COMPAT_UNDERSTOOD                                                                                              \
    (0x1u | EXT2DAX_COMPAT_HAS_JOURNAL | EXT2DAX_COMPAT_EXT_ATTR | EXT2DAX_COMPAT_RESIZE_INODE |                       \
     EXT2DAX_COMPAT_DIR_INDEX)

struct recovery {
    struct e2d_survey survey;
    uint32_t now;
    uint64_t done, all; /* groups gone through, over all passes */
};

/* ---- telling ---- */

/* About REPORTS of them, however many groups there are. */
static void progress(struct recovery *r)
{
    unsigned shift = 0;

    while (r->all >> shift > REPORTS)
        shift++;
    r->done++;
    if ((r->done & (((uint64_t)1 << shift) - 1)) == 0 || r->done == r->all)
        (void)e2d_tell(r->survey.m, 0, "recovery step", r->done, "of", r->all, "done");
}

static void tell_what(struct ext2dax_mount *m, const struct e2d_mending *found)
{
    const struct {
        uint64_t count;
        const char *what, *how;
    } lines[] = {
        {found->blocks, "leaked blocks", "marked free"},
        {found->inodes, "inodes without links", "marked free"},
        {found->unnamed, "empty files without a name", "removed"},
        {found->entries, "entries of dead inodes", "cleared"},
        {found->types, "entries without a file type", "given one"},
        {found->links, "wrong link counts", "set"},
        {found->sectors, "wrong sector counts of inodes", "set"},
        {found->sizes, "wrong sizes of directories", "set"},
        {found->indexes, "indexes of directories", "dropped"},
        {found->times, "missing times of deletion", "set"},
        {found->references, "wrong reference counts of attribute blocks", "set"},
        {found->counts, "wrong free and directory counts", "set"},
    };
    unsigned told = 0;

    for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        if (lines[i].count != 0)
            (void)e2d_tell(m, 0, "recovery", ++told, lines[i].what, lines[i].count, lines[i].how);
    }
    if (told == 0)
        (void)e2d_tell(m, 0, "recovery", 0, "things to mend", 0, "not cleanly unmounted, but whole");
}

/* ---- the first epoch ---- */

static int mend_inode(struct recovery *r, uint32_t number, struct ext2dax_disk_inode *disk)
{
    struct e2d_survey *s = &r->survey;
    struct ext2dax_mount *m = s->m;
    uint32_t flags = e2d_get32(disk->flags);
    int error;

    if (e2d_get16(disk->links) != s->names[number])
        e2d_store16(m, &disk->links, s->names[number]);
    if (!e2d_bit(s->differs, number))
        return 0;
    error = e2d_survey_again(s, number, NULL);
    if (error != 0)
        return error;
    if (e2d_get32(disk->sectors) != e2d_survey_sectors(s))
        e2d_store32(m, &disk->sectors, (uint32_t)e2d_survey_sectors(s));
    if (e2d_is_directory(&s->inode) && s->next != s->end)
        e2d_store32(m, &disk->size, (uint32_t)(s->next << m->block_shift));
    if (s->dead != 0 && (flags & EXT2DAX_FL_INDEX) != 0)
        e2d_store32(m, &disk->flags, flags & ~EXT2DAX_FL_INDEX);
    return 0;
}

static void mend_references(struct e2d_survey *s)
{
    for (uint32_t i = 0; i <= s->xattr_mask && s->xattr_mask != UINT32_MAX; i++) {
        struct e2d_xattr_header *header = e2d_block(s->m, s->xattr[i].block);

        if (s->xattr[i].block != 0 && e2d_get32(header->references) != s->xattr[i].references)
            e2d_store32(s->m, &header->references, s->xattr[i].references);
    }
}

static bool inodes_differ(const struct e2d_mending *found)
{
    return (found->unnamed | found->links | found->sectors | found->sizes | found->indexes | found->references) != 0;
}

static int mend_inodes(struct recovery *r, uint32_t group)
{
    struct ext2dax_mount *m = r->survey.m;
    int error = 0;

    for (uint32_t i = 0; i < m->inodes_per_group && error == 0; i++) {
        uint32_t number = group * m->inodes_per_group + i + 1;
        struct ext2dax_disk_inode *disk = e2d_disk_inode(m, number);

        if ((number >= m->first_inode || number == EXT2DAX_ROOT_INODE) && e2d_get16(disk->links) != 0)
            error = mend_inode(r, number, disk);
    }
    return error;
}

/* ---- the second epoch ---- */

static int mend_entries(struct e2d_survey *s, unsigned char *block)
{
    struct ext2dax_mount *m = s->m;
    uint32_t offset, length;

    for (offset = 0; offset < m->block_size; offset += length) {
        struct ext2dax_disk_dirent *entry = e2d_entry(block, offset);
        uint32_t target = e2d_get32(entry->inode);
        const struct ext2dax_disk_inode *disk;

        length = e2d_entry_length(m, entry);
        if (target == 0)
            continue;
        disk = e2d_disk_inode(m, target);
        if (e2d_get16(disk->links) == 0)
            e2d_store32(m, &entry->inode, 0);
        else if (entry->type != e2d_survey_type(m, disk))
            e2d_store8(m, &entry->type, e2d_survey_type(m, disk));
    }
    return 0;
}

static void free_blocks(struct e2d_survey *s, uint32_t group, uint32_t bit, uint32_t count, void *arg)
{
    uint8_t *map = e2d_block_bitmap(s->m, group);

    (void)arg;
    e2d_clear_bits(map, bit, bit + count);
    e2d_written(s->m, map + (bit >> 3), ((bit + count - 1) >> 3) - (bit >> 3) + 1);
}

/* An inode that is none any more; its bit is `bit` of the group's. */
static void mend_dead(struct recovery *r, uint32_t group, uint32_t bit, struct ext2dax_disk_inode *disk)
{
    struct ext2dax_mount *m = r->survey.m;
    uint8_t *map = e2d_inode_bitmap(m, group);

    if (e2d_get16(disk->mode) != 0 && e2d_get32(disk->dtime) == 0)
        e2d_store32(m, &disk->dtime, r->now);
    if (!e2d_bit(map, bit))
        return;
    e2d_clear_bits(map, bit, bit + 1);
    e2d_written(m, map + (bit >> 3), 1);
}

static void store_count(struct ext2dax_mount *m, struct ext2dax_le16 *at, uint32_t count)
{
    if (e2d_get16(*at) != count)
        e2d_store16(m, at, count);
}

static int mend_rest(struct recovery *r, uint32_t group)
{
    struct e2d_survey *s = &r->survey;
    struct ext2dax_mount *m = s->m;
    struct ext2dax_disk_group *descriptor = e2d_descriptor(m, group);
    uint32_t directories = 0;
    int error = 0;

    for (uint32_t i = 0; i < m->inodes_per_group && error == 0; i++) {
        uint32_t number = group * m->inodes_per_group + i + 1;
        struct ext2dax_disk_inode *disk = e2d_disk_inode(m, number);
        bool directory = (e2d_get16(disk->mode) & EXT2DAX_S_IFMT) == EXT2DAX_S_IFDIR;

        if (!e2d_survey_stays(s, number, disk)) {
            mend_dead(r, group, i, disk);
        } else if (directory && (number >= m->first_inode || number == EXT2DAX_ROOT_INODE)) {
            directories++;
            if (e2d_bit(s->differs, number))
                error = e2d_survey_again(s, number, mend_entries);
        }
    }
    if (error != 0)
        return error;
    e2d_survey_leaks(s, group, free_blocks, NULL);
    store_count(m, &descriptor->free_blocks,
                e2d_count_clear(e2d_block_bitmap(m, group), 0, e2d_group_blocks(m, group)));
    store_count(m, &descriptor->free_inodes, e2d_count_clear(e2d_inode_bitmap(m, group), 0, m->inodes_per_group));
    store_count(m, &descriptor->used_dirs, directories);
    return 0;
}

static bool rest_differs(const struct e2d_mending *found)
{
    return (found->blocks | found->inodes | found->unnamed | found->entries | found->types | found->times |
            found->counts) != 0;
}

/* ---- all of it ---- */

static int each_group(struct recovery *r, int (*pass)(struct recovery *r, uint32_t group))
{
    int error = 0;

    for (uint32_t group = 0; group < r->survey.m->groups && error == 0; group++) {
        error = pass(r, group);
        progress(r);
    }
    return error;
}

static int look(struct recovery *r, uint32_t group)
{
    return e2d_survey_look(&r->survey, group);
}

static int judge(struct recovery *r, uint32_t group)
{
    return e2d_survey_judge(&r->survey, group);
}

static int mend(struct recovery *r)
{
    struct e2d_survey *s = &r->survey;
    struct ext2dax_mount *m = s->m;
    int error = 0;

    if (inodes_differ(&s->found)) {
        mend_references(s);
        error = each_group(r, mend_inodes);
        if (error == 0)
            error = e2d_order(m, E2D_STEP_RECOVER_INODES);
    }
    if (error != 0 || !rest_differs(&s->found))
        return error;
    error = each_group(r, mend_rest);
    if (error != 0)
        return error;
    if (e2d_get32(m->super->free_blocks) != s->free_blocks)
        e2d_store32(m, &m->super->free_blocks, (uint32_t)s->free_blocks);
    if (e2d_get32(m->super->free_inodes) != s->free_inodes)
        e2d_store32(m, &m->super->free_inodes, (uint32_t)s->free_inodes);
    return e2d_order(m, E2D_STEP_RECOVER_REST);
}

/* What other drivers may have left, of which a survey knows nothing. */
static int check_super(struct ext2dax_mount *m)
{
    static const char only_e2fsck[] = "has what only e2fsck can recover";
    uint32_t unknown = e2d_get32(m->super->compat) & ~COMPAT_UNDERSTOOD;
    uint32_t orphan = e2d_get32(m->super->last_orphan);

    if (unknown != 0)
        return e2d_complain(m, -EXT2DAX_EUCLEAN, "superblock", 0, "compatible features", unknown, only_e2fsck);
    if (e2d_get32(m->super->creator_os) == CREATOR_HURD)
        return e2d_complain(m, -EXT2DAX_EUCLEAN, "superblock", 0, "creator", CREATOR_HURD, only_e2fsck);
    if (orphan != 0)
        return e2d_complain(m, -EXT2DAX_EUCLEAN, "superblock", 0, "last orphan", orphan,
                            "another driver's list of orphans, for e2fsck to settle");
    return 0;
}

int e2d_recover(struct ext2dax_mount *m)
{
    struct recovery r = {.now = e2d_now(m), .all = (uint64_t)m->groups * 2};
    struct e2d_survey *s = &r.survey;
    int error = check_super(m);

    if (error == 0)
        error = e2d_survey_open(s, m);
    if (error != 0)
        return error;
    error = each_group(&r, look);
    if (error == 0)
        error = each_group(&r, judge);
    if (error == 0)
        error = e2d_survey_finish(s);
    if (error == 0) {
        r.all += inodes_differ(&s->found) ? m->groups : 0;
        r.all += rest_differs(&s->found) ? m->groups : 0;
        error = mend(&r);
    }
    if (error == 0)
        tell_what(m, &s->found);
    e2d_survey_close(s);
    return error;
}
