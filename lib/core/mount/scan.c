/* SPDX-License-Identifier: MIT */
/*
 * Inodes, trees, bitmaps and counters, as a survey of the whole image sees them.
 *
 * What decides is the link count. Without links an inode is dead, whatever else it says: its pointers are not followed,
 * since its blocks may have been given back and be another's already. With links it is a file, and our order of stores
 * has promised for it: its inode and its blocks are marked used, no block is another's or metadata, none lies past what
 * the size covers. The order has not promised counters, what is marked beyond that, and what a name was about to do.
 *
 * One pass looks at every inode and below it; the second, when all names are counted, at what follows. Each block is
 * entered in a bitmap by its owner, so that none is walked through twice and both passes end.
 */
#include "survey.h"

#include "bitmap.h"
#include "descend.h"
#include "dir.h"
#include "group.h"
#include "inode.h"
#include "persist.h"
#include "zone.h"

#define SECTOR_SHIFT  9
#define DIRECTORY_MAX 0x7FFFFFFFu /* bytes */

static int damage(const struct e2d_survey *s, const char *field, uint64_t value, const char *reason)
{
    return e2d_survey_damage(s, s->inode.number, field, value, reason);
}

static bool is_reserved(const struct ext2dax_mount *m, uint32_t number)
{
    return number < m->first_inode && number != EXT2DAX_ROOT_INODE;
}

static bool is_directory(const struct ext2dax_disk_inode *disk)
{
    return (e2d_get16(disk->mode) & EXT2DAX_S_IFMT) == EXT2DAX_S_IFDIR;
}

bool e2d_survey_stays(const struct e2d_survey *s, uint32_t number, const struct ext2dax_disk_inode *disk)
{
    return is_reserved(s->m, number) || (e2d_get16(disk->links) != 0 && s->names[number] != 0);
}

/* ---- memory ---- */

static uint32_t with_attributes(struct ext2dax_mount *m)
{
    uint32_t number, count = 0;

    for (number = 1; number <= m->inodes; number++) {
        const struct ext2dax_disk_inode *disk = e2d_disk_inode(m, number);

        count += e2d_get16(disk->links) != 0 && e2d_get32(disk->file_acl) != 0;
    }
    return count;
}

/* Every inode table can be read: asked once, in front of whatever looks at an inode. */
static int check_tables(struct ext2dax_mount *m)
{
    int error = 0;

    for (uint32_t group = 0; group < m->groups && error == 0; group++)
        error = e2d_check(m, e2d_block(m, e2d_get32(e2d_descriptor(m, group)->inode_table)),
                          (size_t)e2d_table_blocks(m) << m->block_shift);
    return error;
}

int e2d_survey_open(struct e2d_survey *s, struct ext2dax_mount *m)
{
    size_t inodes = (size_t)m->inodes + 1, bits = inodes / 8 + 1, xattrs = 0, slots = 1;
    unsigned char *at;
    int error = check_tables(m);

    memset(s, 0, sizeof(*s));
    s->m = m;
    if (error != 0)
        return error;
    xattrs = with_attributes(m);
    while (slots < 2 * xattrs)
        slots *= 2;
    slots = xattrs != 0 ? slots : 0;
    /* Fits: all this is less than the inodes and blocks themselves, which are memory. */
    s->bytes = inodes * (sizeof(*s->parent) + sizeof(*s->names)) + slots * sizeof(*s->xattr) + 3 * bits +
               ((size_t)m->blocks / 8 + 1);
    s->memory = at = e2d_alloc(m, s->bytes);
    if (!at)
        return -EXT2DAX_ENOMEM;
    memset(at, 0, s->bytes);
    s->xattr = (void *)at;
    s->xattr_mask = (uint32_t)slots - 1;
    s->parent = (void *)(at += slots * sizeof(*s->xattr));
    s->names = (void *)(at += inodes * sizeof(*s->parent));
    s->named = at += inodes * sizeof(*s->names);
    s->reached = at += bits;
    s->differs = at += bits;
    s->owned = at + bits;
    return 0;
}

void e2d_survey_close(struct e2d_survey *s)
{
    e2d_release(s->m, s->memory, s->bytes);
    s->memory = NULL;
}

/* ---- blocks ---- */

/* Enters the inode as the block's owner: 1; 0 where it may own this though it is metadata; or EUCLEAN. */
static int claim(struct e2d_survey *s, const char *field, uint32_t block)
{
    struct ext2dax_mount *m = s->m;

    if (e2d_zone_offender(m, block, 1) != 0) {
        if (block >= m->blocks)
            return damage(s, field, block, "lies outside the image");
        return e2d_may_own_metadata(m, s->inode.number) ? 0 : damage(s, field, block, "lies in a metadata zone");
    }
    if (!e2d_marked_used(m, block))
        return damage(s, field, block, "is marked free");
    if (e2d_bit(s->owned, block))
        return damage(s, field, block, "belongs to another inode too");
    e2d_set_bits(s->owned, block, block + 1);
    return 1;
}

static int visit(void *arg, uint32_t block, uint64_t logical, unsigned level)
{
    struct e2d_survey *s = arg;
    unsigned char *at;
    int answer = s->claims ? claim(s, "block pointer", block) : 1;

    if (answer <= 0)
        return answer;
    s->blocks++;
    if (logical >= s->end)
        return damage(s, "block pointer", block, "lies past the end of the file");
    if (level != 0 || !e2d_is_directory(&s->inode))
        return 1;
    if (logical != s->next)
        return damage(s, "block", s->next, "of a directory is a hole");
    s->next++;
    at = e2d_block(s->m, block);
    answer = e2d_survey_entries(s, logical, at);
    if (answer == 0 && s->each_block)
        answer = s->each_block(s, at);
    return answer != 0 ? answer : 1;
}

/* The slot of an xattr block; its own or a free one. There are twice as many as blocks. */
static struct e2d_survey_xattr *xattr_slot(struct e2d_survey *s, uint32_t block)
{
    uint32_t at = block * 0x9E3779B1u;

    for (at = (at ^ at >> 16) & s->xattr_mask; s->xattr[at].block != 0 && s->xattr[at].block != block;)
        at = (at + 1) & s->xattr_mask;
    return &s->xattr[at];
}

static int claim_xattr(struct e2d_survey *s, uint32_t block)
{
    static const char field[] = "xattr block";
    struct e2d_survey_xattr *slot = xattr_slot(s, block);
    const struct e2d_xattr_header *header;
    int error;

    slot->references++;
    if (slot->block == block)
        return 0;
    error = claim(s, field, block);
    if (error <= 0)
        return error != 0 ? error : damage(s, field, block, "lies in a metadata zone");
    slot->block = block;
    header = e2d_block(s->m, block);
    error = e2d_check(s->m, header, s->m->block_size);
    if (error == 0 && (e2d_get32(header->magic) != E2D_XATTR_MAGIC || e2d_get32(header->references) == 0))
        error = damage(s, field, block, "is not an extended attribute block");
    return error;
}

/* ---- one inode ---- */

uint64_t e2d_survey_sectors(const struct e2d_survey *s)
{
    uint64_t blocks = s->blocks + (e2d_get32(s->inode.disk->file_acl) != 0);

    return blocks << (s->m->block_shift - SECTOR_SHIFT);
}

static void begin(struct e2d_survey *s, bool claims, uint64_t end)
{
    s->claims = claims;
    s->each_block = NULL;
    s->end = end;
    s->next = s->blocks = s->dead = s->renamed = 0;
}

/* Of the reserved inodes some are lists of blocks without a type or a size; their counts are nobody's business. */
static int look_reserved(struct e2d_survey *s, uint32_t number, struct ext2dax_disk_inode *disk, bool marked)
{
    uint32_t type = e2d_get16(disk->mode) & EXT2DAX_S_IFMT;

    memset(&s->inode, 0, sizeof(s->inode));
    s->inode.mount = s->m;
    s->inode.number = number;
    s->inode.disk = disk;
    begin(s, true, UINT64_MAX);
    if (!marked)
        return damage(s, "inode bitmap", 0, "calls a reserved inode free");
    if (e2d_get32(disk->file_acl) != 0 && e2d_get16(disk->links) != 0) {
        int error = claim_xattr(s, e2d_get32(disk->file_acl));

        if (error != 0)
            return error;
    }
    if (type != 0 && type != EXT2DAX_S_IFREG)
        return damage(s, "mode", e2d_get16(disk->mode), "of a reserved inode");
    return e2d_descend(s->m, disk, visit, s);
}

static int look_dead(struct e2d_survey *s, uint32_t number, const struct ext2dax_disk_inode *disk, bool marked)
{
    uint32_t dtime = e2d_get32(disk->dtime);

    if (dtime != 0 && dtime < s->m->inodes)
        return e2d_survey_damage(s, number, "time of deletion", dtime, "is a link of a list of orphans");
    s->found.inodes += marked;
    s->found.times += dtime == 0 && e2d_get16(disk->mode) != 0;
    return 0;
}

static int check_symlink(struct e2d_survey *s)
{
    const struct ext2dax_disk_inode *disk = s->inode.disk;
    uint64_t size = e2d_size(&s->inode), length = 0;
    bool slow = e2d_has_tree(&s->inode);
    const char *target = slow ? e2d_block(s->m, e2d_get32(disk->block[0])) : (const char *)disk->block;

    if (size == 0 || size >= (slow ? s->m->block_size : sizeof(disk->block)))
        return damage(s, "size", size, "not a length that a symbolic link can have");
    if (slow && s->blocks != 1)
        return damage(s, "block count", s->blocks, "of a symbolic link is not 1");
    if (slow && e2d_check(s->m, target, s->m->block_size) != 0)
        return -EXT2DAX_EIO;
    while (length < size && target[length] != '\0')
        length++;
    if (length != size || target[length] != '\0')
        return damage(s, "size", size, "is not the length of the symbolic link's target");
    /* Which kind it is follows from this: so it cannot be mended. */
    if (e2d_get32(disk->sectors) != e2d_survey_sectors(s))
        return damage(s, "sector count", e2d_get32(disk->sectors), "of a symbolic link is wrong");
    return 0;
}

/* A directory that was growing has its new size and not yet the block. */
static int check_directory(struct e2d_survey *s)
{
    if (s->next == 0 || s->end - s->next > 1)
        return damage(s, "size", e2d_size(&s->inode), "covers more than the blocks of the directory");
    s->found.sizes += s->next != s->end;
    return 0;
}

static int check_size(struct e2d_survey *s)
{
    uint64_t size = e2d_size(&s->inode);
    bool large = (e2d_get32(s->m->super->ro_compat) & EXT2DAX_RO_COMPAT_LARGE_FILE) != 0;

    if (e2d_is_directory(&s->inode) && (size == 0 || size > DIRECTORY_MAX || (size & (s->m->block_size - 1)) != 0))
        return damage(s, "size", size, "not a number of whole blocks that a directory can have");
    if (e2d_is_regular(&s->inode) && size > 0x7FFFFFFFu && !large)
        return damage(s, "size", size, "without the feature that large files need");
    return 0;
}

static int look_live(struct e2d_survey *s, uint32_t number, struct ext2dax_disk_inode *disk, bool marked)
{
    struct ext2dax_inode *inode = &s->inode;
    int error;

    memset(inode, 0, sizeof(*inode));
    error = e2d_inode_load(s->m, number, inode);
    if (error == -EXT2DAX_ENOENT)
        return damage(s, "mode", inode->mode, "is no file type, but the inode has links");
    if (error == 0 && !marked)
        error = damage(s, "inode bitmap", 0, "calls an inode with links free");
    if (error == 0 && e2d_get32(disk->dtime) != 0)
        error = damage(s, "time of deletion", e2d_get32(disk->dtime), "of an inode with links");
    if (error == 0)
        error = check_size(s);
    if (error != 0)
        return error;

    begin(s, true, e2d_blocks_for(s->m, e2d_size(inode)));
    if (e2d_get32(disk->file_acl) != 0)
        error = claim_xattr(s, e2d_get32(disk->file_acl));
    if (error == 0 && e2d_has_tree(inode))
        error = e2d_descend(s->m, disk, visit, s);
    if (error == 0 && (inode->mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFLNK)
        error = check_symlink(s);
    if (error == 0 && e2d_is_directory(inode))
        error = check_directory(s);
    if (error == 0 && e2d_survey_sectors(s) > UINT32_MAX)
        error = damage(s, "block count", s->blocks, "is more than the inode can count");
    if (error != 0)
        return error;

    s->found.entries += s->dead;
    s->found.types += s->renamed;
    s->found.indexes += s->dead != 0 && (e2d_get32(disk->flags) & EXT2DAX_FL_INDEX) != 0;
    s->found.sectors += e2d_get32(disk->sectors) != e2d_survey_sectors(s);
    if (s->dead != 0 || s->renamed != 0 || e2d_get32(disk->sectors) != e2d_survey_sectors(s) ||
        (e2d_is_directory(inode) && s->next != s->end))
        e2d_set_bits(s->differs, number, number + 1);
    return 0;
}

int e2d_survey_again(struct e2d_survey *s, uint32_t number,
                     int (*each_block)(struct e2d_survey *s, unsigned char *block))
{
    int error;

    memset(&s->inode, 0, sizeof(s->inode));
    error = e2d_inode_load(s->m, number, &s->inode);
    if (error != 0)
        return error;
    begin(s, false, e2d_blocks_for(s->m, e2d_size(&s->inode)));
    s->each_block = each_block;
    return e2d_has_tree(&s->inode) ? e2d_descend(s->m, s->inode.disk, visit, s) : 0;
}

/* ---- one group ---- */

/* Clear bits of [from, end) that may not be: what `from` counts from is `first`. */
static int all_used(const struct e2d_survey *s, uint32_t group, const char *field, const uint8_t *map, uint32_t from,
                    uint32_t end, const char *reason)
{
    uint32_t at = e2d_next_clear(map, from, end);

    return at == end ? 0 : e2d_complain(s->m, -EXT2DAX_EUCLEAN, "group", group, field, at, reason);
}

/* The group's own blocks: marked, and entered as owned. `block` lies in the group. */
static int own_metadata(struct e2d_survey *s, uint32_t group, uint32_t block, uint32_t count)
{
    uint32_t bit = block - e2d_group_first(s->m, group);

    if (count == 0)
        return 0;
    e2d_set_bits(s->owned, block, block + count);
    return all_used(s, group, "block bitmap", e2d_block_bitmap(s->m, group), bit, bit + count, "calls metadata free");
}

static int look_at_metadata(struct e2d_survey *s, uint32_t group)
{
    struct ext2dax_mount *m = s->m;
    const struct ext2dax_disk_group *descriptor = e2d_descriptor(m, group);
    const uint8_t *blocks = e2d_block_bitmap(m, group), *inodes = e2d_inode_bitmap(m, group);
    uint32_t bits = m->block_size * 8;
    int error = e2d_check(m, blocks, m->block_size);

    if (error == 0)
        error = e2d_check(m, inodes, m->block_size);
    if (error == 0)
        error = all_used(s, group, "block bitmap", blocks, e2d_group_blocks(m, group), bits, "padding has a clear bit");
    if (error == 0)
        error = all_used(s, group, "inode bitmap", inodes, m->inodes_per_group, bits, "padding has a clear bit");
    if (error == 0)
        error = own_metadata(s, group, e2d_group_first(m, group), e2d_group_head(m, group));
    if (error == 0)
        error = own_metadata(s, group, e2d_get32(descriptor->block_bitmap), 1);
    if (error == 0)
        error = own_metadata(s, group, e2d_get32(descriptor->inode_bitmap), 1);
    if (error == 0)
        error = own_metadata(s, group, e2d_get32(descriptor->inode_table), e2d_table_blocks(m));
    return error;
}

int e2d_survey_look(struct e2d_survey *s, uint32_t group)
{
    struct ext2dax_mount *m = s->m;
    const uint8_t *map = e2d_inode_bitmap(m, group);
    int error = look_at_metadata(s, group);

    for (uint32_t i = 0; i < m->inodes_per_group && error == 0; i++) {
        uint32_t number = group * m->inodes_per_group + i + 1;
        struct ext2dax_disk_inode *disk = e2d_disk_inode(m, number);

        if (is_reserved(m, number))
            error = look_reserved(s, number, disk, e2d_bit(map, i));
        else if (e2d_get16(disk->links) == 0)
            error = look_dead(s, number, disk, e2d_bit(map, i));
        else
            error = look_live(s, number, disk, e2d_bit(map, i));
    }
    return error;
}

/* ---- what follows ---- */

static bool is_empty(const struct ext2dax_disk_inode *disk)
{
    uint32_t any = e2d_get32(disk->size) | e2d_get32(disk->dir_acl) | e2d_get32(disk->file_acl);

    for (unsigned i = 0; i < EXT2DAX_SLOTS; i++)
        any |= e2d_get32(disk->block[i]);
    return any == 0 && (e2d_get16(disk->mode) & EXT2DAX_S_IFMT) == EXT2DAX_S_IFREG;
}

static int judge_inode(struct e2d_survey *s, uint32_t number, const struct ext2dax_disk_inode *disk)
{
    uint32_t names = s->names[number], links = e2d_get16(disk->links);

    if (is_directory(disk)) {
        int error = e2d_survey_place(s, number);

        if (error != 0)
            return error;
    } else if (names == 0) {
        if (!is_empty(disk))
            return e2d_survey_damage(s, number, "link count", links, "but no name, and the file is not empty");
        s->found.unnamed++;
        return 0;
    }
    s->found.links += names != links;
    return 0;
}

static void count_leak(struct e2d_survey *s, uint32_t group, uint32_t bit, uint32_t count, void *arg)
{
    uint32_t *leaked = arg;

    (void)s;
    (void)group;
    (void)bit;
    *leaked += count;
}

void e2d_survey_leaks(struct e2d_survey *s, uint32_t group,
                      void (*each)(struct e2d_survey *s, uint32_t group, uint32_t bit, uint32_t count, void *arg),
                      void *arg)
{
    const uint8_t *map = e2d_block_bitmap(s->m, group);
    uint32_t first = e2d_group_first(s->m, group), blocks = e2d_group_blocks(s->m, group);
    uint32_t bit = e2d_next_set(map, 0, blocks);

    while (bit < blocks) {
        uint32_t end = e2d_next_clear(map, bit, blocks);

        while (bit < end) {
            uint32_t from = e2d_next_clear(s->owned, first + bit, first + end) - first;
            uint32_t to = e2d_next_set(s->owned, first + from, first + end) - first;

            if (from < to)
                each(s, group, from, to - from, arg);
            bit = to;
        }
        bit = e2d_next_set(map, end, blocks);
    }
}

static void judge_counts(struct e2d_survey *s, uint32_t group, const struct e2d_group_counts *counts)
{
    const struct ext2dax_disk_group *descriptor = e2d_descriptor(s->m, group);

    s->found.counts += e2d_get16(descriptor->free_blocks) != counts->free_blocks;
    s->found.counts += e2d_get16(descriptor->free_inodes) != counts->free_inodes;
    s->found.counts += e2d_get16(descriptor->used_dirs) != counts->directories;
    s->free_blocks += counts->free_blocks;
    s->free_inodes += counts->free_inodes;
}

int e2d_survey_judge(struct e2d_survey *s, uint32_t group)
{
    struct ext2dax_mount *m = s->m;
    struct e2d_group_counts counts = {0, m->inodes_per_group, 0};
    uint32_t leaked = 0;
    int error = 0;

    for (uint32_t i = 0; i < m->inodes_per_group && error == 0; i++) {
        uint32_t number = group * m->inodes_per_group + i + 1;
        const struct ext2dax_disk_inode *disk = e2d_disk_inode(m, number);

        if (!is_reserved(m, number) && e2d_get16(disk->links) != 0)
            error = judge_inode(s, number, disk);
        if (e2d_survey_stays(s, number, disk)) {
            counts.free_inodes--;
            counts.directories += is_directory(disk) && !is_reserved(m, number);
        }
    }
    if (error != 0)
        return error;
    e2d_survey_leaks(s, group, count_leak, &leaked);
    s->found.blocks += leaked;
    counts.free_blocks = e2d_count_clear(e2d_block_bitmap(m, group), 0, e2d_group_blocks(m, group)) + leaked;
    judge_counts(s, group, &counts);
    return 0;
}

int e2d_survey_finish(struct e2d_survey *s)
{
    struct ext2dax_mount *m = s->m;

    for (uint32_t i = 0; i <= s->xattr_mask && s->xattr_mask != UINT32_MAX; i++) {
        const struct e2d_xattr_header *header = e2d_block(m, s->xattr[i].block);
        uint32_t block = s->xattr[i].block;

        if (block == 0)
            continue;
        /* Counted before it is shared, and for a while after it is not. */
        if (e2d_get32(header->references) < s->xattr[i].references)
            return e2d_complain(m, -EXT2DAX_EUCLEAN, "block", block, "references", e2d_get32(header->references),
                                "to these extended attributes, from more inodes");
        s->found.references += e2d_get32(header->references) != s->xattr[i].references;
    }
    s->found.counts += e2d_get32(m->super->free_blocks) != s->free_blocks;
    s->found.counts += e2d_get32(m->super->free_inodes) != s->free_inodes;
    return 0;
}
