/* SPDX-License-Identifier: MIT */
/*
 * Inodes, trees, bitmaps and counters in the scan of a whole image.
 *
 * The link count decides. Without links an inode is dead, regardless of the other fields. The
 * pointers of a dead inode are not followed, because the blocks may have been freed and may belong
 * to another inode already. With links the inode is a file, and the store order guarantees three
 * facts. The inode and the blocks are marked used. No block belongs to another inode or is
 * metadata. No block lies past the blocks covered by the size. The store order does not guarantee
 * counters, further bits marked used, and the state of a name being changed.
 *
 * Pass 1 scans every inode and the tree below. Pass 2 derives the repairs, once all names are
 * counted. Each block is entered in a bitmap by the owner, so no block is walked twice and both
 * passes end.
 */
#include "mount/scan.h"

#include "base/bitmap.h"
#include "tree/remove.h"
#include "tree/walk.h"
#include "names/dir.h"
#include "disk/group.h"
#include "disk/inode.h"
#include "base/persist.h"
#include "disk/system_zone.h"
#include "base/skips.h"

#define SECTOR_SHIFT  9
#define DIRECTORY_MAX 0x7FFFFFFFu /* bytes */
#define LINKS_MAX     65000u      /* names of a directory still counted with dir_nlink */

static int damage(const struct e2d_scan *s, const char *field, uint64_t value, const char *reason)
{
    return e2d_scan_damage(s, s->inode.number, field, value, reason);
}

static bool is_directory(const struct ext2dax_disk_inode *disk)
{
    return (e2d_get16(disk->mode) & EXT2DAX_S_IFMT) == EXT2DAX_S_IFDIR;
}

bool e2d_scan_stays(struct e2d_scan *s, uint32_t number, const struct ext2dax_disk_inode *disk)
{
    if (!e2d_is_reserved(s->m, number)) {
        if (e2d_get16(disk->links) == 0 || s->names[number] == 0)
            return false;
        s->counts.directories += is_directory(disk);
    }
    s->counts.free_inodes--;
    return true;
}

/*
 * With dir_nlink, a directory with more names than a link count can hold has link count 1, and
 * keeps link count 1 when names are removed.
 */
uint32_t e2d_scan_links(const struct e2d_scan *s, uint32_t number, const struct ext2dax_disk_inode *disk)
{
    if (s->m->dir_nlink && is_directory(disk) && (e2d_get16(disk->links) == 1 || s->names[number] > LINKS_MAX))
        return 1;
    return s->names[number];
}

/* ---- memory ---- */

/* Counts an inode with links and an xattr block. */
static int count_xattr(struct e2d_scan *s, uint32_t number, struct ext2dax_disk_inode *disk, uint32_t bit)
{
    (void)number;
    (void)bit;
    s->blocks += e2d_get16(disk->links) != 0 && e2d_get32(disk->file_acl) != 0;
    return 0;
}

/*
 * Clears the memory, but of the records per inode only those of filled inodes. No other records are
 * ever used, and large images have many.
 */
static void clear_memory(struct e2d_scan *s)
{
    uint32_t inodes = s->m->inodes_per_group;

    memset(s->memory, 0, (size_t)((unsigned char *)s->parent - (unsigned char *)s->memory));
    for (uint32_t group = 0; group < s->m->groups; group++) {
        size_t first = (size_t)group * inodes + 1;

        memset(&s->parent[first], 0, s->filled[group] * sizeof(*s->parent));
        memset(&s->names[first], 0, s->filled[group] * sizeof(*s->names));
    }
    memset(s->named, 0, s->bytes - (size_t)(s->named - (unsigned char *)s->memory));
}

/*
 * Checks every inode table for readability, once, before anything looks at an inode. Counts the
 * inodes with attributes in `blocks`. Fetches the bitmaps too, so the later passes wait for
 * neither.
 */
static int check_tables(struct e2d_scan *s)
{
    struct ext2dax_mount *m = s->m;
    struct e2d_scan_ahead ahead = {0, 0};
    int error = 0;

    for (uint32_t group = 0; group < m->groups && error == 0; group++) {
        e2d_scan_ahead(s, group, &ahead);
        error = e2d_interrupted(m);
        if (error == 0)
            error = e2d_check(m, e2d_block(m, e2d_get32(e2d_descriptor(m, group)->inode_table)),
                              (size_t)e2d_scan_filled_blocks(s, group) << m->block_shift);
        if (error == 0)
            error = e2d_scan_each(s, group, count_xattr);
    }
    return error;
}

/* No overflow. All this is less than the inodes and blocks themselves, which are in memory. */
static int get_memory(struct e2d_scan *s)
{
    struct ext2dax_mount *m = s->m;
    size_t inodes = (size_t)m->inodes + 1, bits = inodes / 8 + 1, blocks = (size_t)m->blocks / 8 + 1, slots = 1;
    unsigned char *at;

    while (slots < 2 * s->blocks)
        slots *= 2;
    s->bytes = inodes * (sizeof(*s->parent) + sizeof(*s->names)) + slots * sizeof(*s->xattr) + 3 * bits + blocks;
    s->memory = at = e2d_alloc(m, s->bytes);
    if (!at)
        return -EXT2DAX_ENOMEM;
    s->xattr = (void *)at;
    s->xattr_mask = (uint32_t)slots - 1;
    s->xattr_end = s->xattr + slots;
    s->parent = (void *)s->xattr_end;
    at = (void *)s->parent;
    s->names = (void *)(at += inodes * sizeof(*s->parent));
    s->named = at += inodes * sizeof(*s->names);
    s->reached = at += bits;
    s->differs = at += bits;
    s->owned = at + bits;
    clear_memory(s);
    return 0;
}

int e2d_scan_open(struct e2d_scan *s)
{
    int error;

    s->filled = e2d_alloc(s->m, s->m->groups * sizeof(*s->filled));
    if (!s->filled)
        return -EXT2DAX_ENOMEM;
    error = check_tables(s);
    if (error == 0)
        error = get_memory(s);
    if (error != 0)
        e2d_scan_close(s);
    return error;
}

void e2d_scan_close(struct e2d_scan *s)
{
    e2d_release(s->m, s->memory, s->bytes);
    e2d_release(s->m, s->filled, s->m->groups * sizeof(*s->filled));
    s->memory = s->filled = NULL;
}

/* ---- blocks ---- */

/*
 * Enters the inode as the owner of the block. Returns 1, or 0 if the block is metadata and the
 * inode may own metadata, or EUCLEAN.
 */
static int claim(struct e2d_scan *s, const char *field, uint32_t block)
{
    struct ext2dax_mount *m = s->m;

    if (e2d_zone_offender(m, block, 1) != 0) {
        if (block >= m->blocks)
            return damage(s, field, block, "is outside the image");
        return e2d_may_own_metadata(m, s->inode.number) ? 0 : damage(s, field, block, "is metadata");
    }
    if (!e2d_marked_used(m, block))
        return damage(s, field, block, "is marked free");
    if (e2d_bit(s->owned, block))
        return damage(s, field, block, "belongs to another inode");
    e2d_set_bits(s->owned, block, block + 1);
    return 1;
}

static int visit(void *arg, uint32_t block, uint64_t logical, unsigned level)
{
    struct e2d_scan *s = arg;
    unsigned char *at;
    int answer = s->claims ? claim(s, "block pointer", block) : 1;

    if (answer <= 0)
        return answer;
    s->blocks++;
    if (logical >= s->end) {
        /*
         * Extending the file frees such blocks before exposing them. Other drivers leave such
         * blocks, and so does e2fsck.
         */
        if (!e2d_is_regular(&s->inode) || (level == 0 && logical << s->m->block_shift != e2d_size(&s->inode)))
            return damage(s, "block pointer", block, "is past the end of the file");
        s->slack++;
    }
    if (level != 0 || !e2d_is_directory(&s->inode))
        return 1;
    if (logical != s->next)
        return damage(s, "block", s->next, "is a hole of a directory");
    s->next++;
    at = e2d_block(s->m, block);
    answer = e2d_scan_dirents(s, logical, at);
    if (answer == 0 && s->each_block)
        answer = s->each_block(s, at);
    return answer != 0 ? answer : 1;
}

/*
 * Returns the slot of an xattr block, or a free slot. The table has twice as many slots as blocks.
 */
static struct e2d_scan_xattr *xattr_slot(struct e2d_scan *s, uint32_t block)
{
    uint32_t at = block * 0x9E3779B1u;

    for (at = (at ^ at >> 16) & s->xattr_mask; s->xattr[at].block != 0 && s->xattr[at].block != block;)
        at = (at + 1) & s->xattr_mask;
    return &s->xattr[at];
}

static int claim_xattr(struct e2d_scan *s, uint32_t block)
{
    static const char field[] = "xattr block";
    struct e2d_scan_xattr *slot = xattr_slot(s, block);
    const struct e2d_xattr_header *header;
    int error;

    slot->references++;
    if (slot->block == block)
        return 0;
    error = claim(s, field, block);
    if (error <= 0)
        return error != 0 ? error : damage(s, field, block, "is metadata");
    slot->block = block;
    header = e2d_block(s->m, block);
    error = e2d_check(s->m, header, s->m->block_size);
    if (error != 0)
        return error;
    if (e2d_get32(header->magic) != E2D_XATTR_MAGIC || e2d_get32(header->references) == 0)
        return damage(s, field, block, "is no xattr block");
    return 0;
}

/* ---- one inode ---- */

uint64_t e2d_scan_sectors(const struct e2d_scan *s)
{
    uint64_t blocks = s->blocks + (e2d_get32(s->inode.disk->file_acl) != 0);

    return blocks << (s->m->block_shift - SECTOR_SHIFT);
}

static int load(struct e2d_scan *s, uint32_t number)
{
    memset(&s->inode, 0, sizeof(s->inode));
    return e2d_inode_load(s->m, number, false, &s->inode);
}

/* Returns the blocks covered by the size of a file. */
static E2D_OUT_OF_LINE uint64_t covered(const struct e2d_scan *s)
{
    return e2d_blocks_for(s->m, e2d_size(&s->inode));
}

/* Scans the block tree, if there is one, of the inode, and the xattr block if `xattr` is not 0. */
static E2D_OUT_OF_LINE int scan_blocks(struct e2d_scan *s, uint64_t end, uint32_t xattr, bool tree)
{
    int error = 0;

    s->end = end;
    s->next = s->blocks = s->slack = s->dead = s->renamed = 0;
    if (xattr != 0)
        error = claim_xattr(s, xattr);
    return error != 0 || !tree ? error : e2d_walk_tree(s->m, s->inode.disk, visit, s);
}

/*
 * Some reserved inodes are lists of blocks without a type or a size. Their counts are not checked.
 */
static int pass1_reserved(struct e2d_scan *s, uint32_t number, struct ext2dax_disk_inode *disk)
{
    uint32_t type = e2d_get16(disk->mode) & EXT2DAX_S_IFMT;

    memset(&s->inode, 0, sizeof(s->inode));
    s->inode.mount = s->m;
    s->inode.number = number;
    s->inode.disk = disk;
    if (type != 0 && type != EXT2DAX_S_IFREG)
        return damage(s, "mode", e2d_get16(disk->mode), "of a reserved inode");
    return scan_blocks(s, UINT64_MAX, e2d_get16(disk->links) != 0 ? e2d_get32(disk->file_acl) : 0, true);
}

static E2D_OUT_OF_LINE int pass1_dead(struct e2d_scan *s, uint32_t number, const struct ext2dax_disk_inode *disk,
                                      bool marked)
{
    uint32_t dtime = e2d_get32(disk->dtime);

    if (dtime != 0 && dtime < s->m->inodes)
        return e2d_scan_damage(s, number, "time of deletion", dtime, "is a link in an orphan list");
    s->found.inodes += marked;
    s->found.times += dtime == 0 && e2d_get16(disk->mode) != 0;
    return 0;
}

/*
 * i_blocks decides the kind of a symbolic link, so a wrong i_blocks cannot be repaired. The
 * exceptions are the states of a crash while the link got or lost an xattr block. They keep the
 * kind. i_blocks of a slow link counts the block before the pointer is set and after it is cleared.
 * i_blocks of a fast link does not count the block while the pointer is set.
 */
static bool xattr_block_uncounted(const struct e2d_scan *s, bool slow)
{
    const struct ext2dax_disk_inode *disk = s->inode.disk;
    uint64_t count = e2d_get32(disk->sectors), block = s->m->block_size >> 9;

    if (slow)
        return e2d_get32(disk->file_acl) == 0 && count == e2d_scan_sectors(s) + block;
    return e2d_get32(disk->file_acl) != 0 && count + block == e2d_scan_sectors(s);
}

static E2D_OUT_OF_LINE int check_symlink(struct e2d_scan *s)
{
    const struct ext2dax_disk_inode *disk = s->inode.disk;
    uint64_t size = e2d_size(&s->inode), length = 0;
    bool slow = e2d_has_tree(&s->inode);
    const char *target = slow ? e2d_block(s->m, e2d_get32(disk->block[0])) : (const char *)disk->block;

    if (size == 0 || size >= (slow ? s->m->block_size : sizeof(disk->block)))
        return damage(s, "size", size, "of a symbolic link");
    if (slow && s->blocks != 1)
        return damage(s, "block count", s->blocks, "of a symbolic link");
    if (slow && e2d_check(s->m, target, s->m->block_size) != 0)
        return -EXT2DAX_EIO;
    while (length < size && target[length] != '\0')
        length++;
    if (length != size || target[length] != '\0')
        return damage(s, "size", size, "is not the length of the target");
    if (e2d_get32(disk->sectors) != e2d_scan_sectors(s) && !xattr_block_uncounted(s, slow))
        return damage(s, "sector count", e2d_get32(disk->sectors), "of a symbolic link");
    return 0;
}

/* After a crash while being extended, a directory has the new size and not yet the new block. */
static int check_directory(struct e2d_scan *s)
{
    if (s->next == 0 || s->end - s->next > 1)
        return damage(s, "size", e2d_size(&s->inode), "of a directory");
    s->found.sizes += s->next != s->end;
    return 0;
}

static int check_size(struct e2d_scan *s)
{
    uint64_t size = e2d_size(&s->inode);
    bool large = (e2d_get32(s->m->super->ro_compat) & EXT2DAX_RO_COMPAT_LARGE_FILE) != 0;

    if (e2d_is_directory(&s->inode) && (size == 0 || size > DIRECTORY_MAX || (size & (s->m->block_size - 1)) != 0))
        return damage(s, "size", size, "of a directory");
    if (e2d_is_regular(&s->inode) && size > 0x7FFFFFFFu && !large)
        return damage(s, "size", size, "without the feature large_file");
    return 0;
}

static int pass1_live(struct e2d_scan *s, uint32_t number, struct ext2dax_disk_inode *disk)
{
    struct ext2dax_inode *inode = &s->inode;
    int error = load(s, number);
    uint64_t sectors;
    bool counted, huge;

    if (error == -EXT2DAX_ENOENT)
        return damage(s, "mode", inode->mode, "is no file type, of an inode with links");
    if (error != 0)
        return error;
    if (e2d_get32(disk->dtime) != 0)
        return damage(s, "time of deletion", e2d_get32(disk->dtime), "of an inode with links");
    error = check_size(s);
    if (error == 0)
        error = scan_blocks(s, covered(s), e2d_get32(disk->file_acl), e2d_has_tree(inode));
    if (error == 0 && (inode->mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFLNK)
        error = check_symlink(s);
    if (error == 0 && e2d_is_directory(inode))
        error = check_directory(s);
    if (error != 0)
        return error;
    sectors = e2d_sectors(s->m, disk);
    counted = e2d_scan_sectors(s) == sectors;
    huge = e2d_is_huge(s->m, disk);
    if (!huge && e2d_scan_sectors(s) > UINT32_MAX)
        return damage(s, "block count", s->blocks, "exceeds i_blocks");
    if (huge && !counted)
        return damage(s, "sector count", sectors, "of a huge file");

    s->found.entries += s->dead;
    s->found.types += s->renamed;
    s->found.ends += s->slack != 0;
    s->found.indexes += s->dead != 0 && (e2d_get32(disk->flags) & EXT2DAX_FL_INDEX) != 0;
    s->found.sectors += !counted;
    if ((s->dead | s->renamed | s->slack) != 0 || !counted || (e2d_is_directory(inode) && s->next != s->end))
        e2d_set_bit(s->differs, number);
    return 0;
}

int e2d_scan_again(struct e2d_scan *s, uint32_t number, int (*each_block)(struct e2d_scan *s, unsigned char *block))
{
    int error = load(s, number);

    if (error != 0)
        return error;
    s->each_block = each_block;
    return scan_blocks(s, covered(s), 0, e2d_has_tree(&s->inode));
}

/* ---- ends of files ---- */

/*
 * Finds everything past the end of an inode with a `differs` bit. `cut` has no runs if nothing is
 * found.
 */
static int find_end(struct e2d_scan *s, uint32_t number, struct e2d_removal *removal)
{
    int error = load(s, number);

    if (error != 0)
        return error;
    return e2d_remove_find(removal, &s->inode, e2d_is_regular(&s->inode) ? covered(s) : UINT64_MAX, s->m->tree_blocks);
}

static void disown(void *arg, uint32_t block, uint32_t count)
{
    struct e2d_scan *s = arg;

    e2d_clear_bits(s->owned, block, block + count);
}

static int disown_end(struct e2d_scan *s, uint32_t number, struct ext2dax_disk_inode *disk, uint32_t bit)
{
    struct e2d_removal removal;
    int error;

    (void)disk;
    (void)bit;
    if (!e2d_bit(s->differs, number))
        return 0;
    error = find_end(s, number, &removal);
    return error != 0 ? error : e2d_remove_each(&removal, disown, s);
}

int e2d_scan_ends(struct e2d_scan *s, uint32_t group)
{
    return e2d_scan_each(s, group, disown_end);
}

int e2d_scan_remove_end(struct e2d_scan *s, uint32_t number)
{
    struct e2d_removal removal;
    int error = find_end(s, number, &removal);

    if (error == 0)
        e2d_remove_detach(&removal);
    return error;
}

/* ---- one group ---- */

/*
 * Reports the first clear bit of [from, end), where all bits must be set, for metadata or, at the
 * end of the bitmap, for padding.
 */
static int all_used(const struct e2d_scan *s, uint32_t group, const char *field, const uint8_t *map, uint32_t from,
                    uint32_t end)
{
    uint32_t at = e2d_next_clear(map, from, end);

    return at == end ? 0
                     : e2d_group_refuse(s->m, group, field, at,
                                        end == s->m->block_size * 8 ? "clears padding" : "marks metadata free");
}

/*
 * Enters blocks of the group's own metadata as owned, and checks that all are marked used. `block`
 * lies in the group.
 */
static int own_metadata(struct e2d_scan *s, uint32_t group, uint32_t block, uint32_t count)
{
    uint32_t bit = block - e2d_group_first(s->m, group);

    if (count == 0)
        return 0;
    e2d_set_bits(s->owned, block, block + count);
    return all_used(s, group, "block bitmap", e2d_block_bitmap(s->m, group), bit, bit + count);
}

static int pass1_metadata(struct e2d_scan *s, uint32_t group)
{
    struct ext2dax_mount *m = s->m;
    const struct ext2dax_disk_group *descriptor = e2d_descriptor(m, group);
    const uint8_t *blocks = e2d_block_bitmap(m, group), *inodes = e2d_inode_bitmap(m, group);
    uint32_t bits = m->block_size * 8;
    int error = e2d_check(m, blocks, m->block_size);

    if (error == 0)
        error = e2d_check(m, inodes, m->block_size);
    if (error == 0)
        error = all_used(s, group, "block bitmap", blocks, e2d_group_blocks(m, group), bits);
    if (error == 0)
        error = all_used(s, group, "inode bitmap", inodes, m->inodes_per_group, bits);
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

static int pass1_inode(struct e2d_scan *s, uint32_t number, struct ext2dax_disk_inode *disk, uint32_t bit)
{
    bool reserved = e2d_is_reserved(s->m, number), marked = e2d_bit(s->marks, bit);

    if (!reserved && e2d_get16(disk->links) == 0)
        return pass1_dead(s, number, disk, marked);
    if (!marked)
        return e2d_scan_damage(s, number, "inode bitmap", 0, "marks the inode free");
    return reserved ? pass1_reserved(s, number, disk) : pass1_live(s, number, disk);
}

int e2d_scan_pass1(struct e2d_scan *s, uint32_t group)
{
    uint32_t filled = s->filled[group], inodes = s->m->inodes_per_group;
    int error = pass1_metadata(s, group);

    s->claims = true;
    if (error == 0)
        error = e2d_scan_each(s, group, pass1_inode);
    if (error == 0)
        s->found.inodes += inodes - filled - e2d_count_clear(s->marks, filled, inodes);
    return error;
}

/* ---- pass 2 ---- */

static bool is_empty(const struct ext2dax_disk_inode *disk)
{
    uint32_t any = e2d_get32(disk->size) | e2d_get32(disk->dir_acl) | e2d_get32(disk->file_acl);

    for (unsigned i = 0; i < EXT2DAX_SLOTS; i++)
        any |= e2d_get32(disk->block[i]);
    return any == 0 && (e2d_get16(disk->mode) & EXT2DAX_S_IFMT) == EXT2DAX_S_IFREG;
}

static int pass2_inode(struct e2d_scan *s, uint32_t number, struct ext2dax_disk_inode *disk, uint32_t bit)
{
    uint32_t names = s->names[number], links = e2d_get16(disk->links);

    (void)bit;
    (void)e2d_scan_stays(s, number, disk); /* only to count it */
    if (e2d_is_reserved(s->m, number) || links == 0)
        return 0;
    if (is_directory(disk)) {
        int error = e2d_scan_place(s, number);

        if (error != 0)
            return error;
    } else if (names == 0) {
        if (!is_empty(disk))
            return e2d_scan_damage(s, number, "link count", links, "of a file without a name");
        s->found.unnamed++;
        return 0;
    }
    s->found.links += e2d_scan_links(s, number, disk) != links;
    return 0;
}

static void count_leak(struct e2d_scan *s, uint32_t group, uint32_t bit, uint32_t count)
{
    (void)group;
    (void)bit;
    s->counts.free_blocks += count;
}

void e2d_scan_leaks(struct e2d_scan *s, uint32_t group,
                    void (*each)(struct e2d_scan *s, uint32_t group, uint32_t bit, uint32_t count))
{
    const uint8_t *map = e2d_block_bitmap(s->m, group);
    uint32_t first = e2d_group_first(s->m, group), blocks = e2d_group_blocks(s->m, group);
    uint32_t bit;

    if (!E2D_FOR_SPEED) {
        /* Every leaked block is a run of its own. */
        for (bit = 0; bit < blocks; bit++) {
            if (e2d_bit(map, bit) && !e2d_bit(s->owned, first + bit))
                each(s, group, bit, 1);
        }
        return;
    }
    bit = e2d_next_set(map, 0, blocks);
    while (bit < blocks) {
        uint32_t end = e2d_next_clear(map, bit, blocks);

        while (bit < end) {
            uint32_t from = e2d_next_clear(s->owned, first + bit, first + end) - first;
            uint32_t to = e2d_next_set(s->owned, first + from, first + end) - first;

            if (from < to)
                each(s, group, from, to - from);
            bit = to;
        }
        bit = e2d_next_set(map, end, blocks);
    }
}

void e2d_scan_begin_counts(struct e2d_scan *s)
{
    s->counts = (struct e2d_group_counts){0, s->m->inodes_per_group, 0};
}

static void pass2_counts(struct e2d_scan *s, uint32_t group)
{
    const struct ext2dax_disk_group *descriptor = e2d_descriptor(s->m, group);
    const struct e2d_group_counts *counts = &s->counts;

    s->found.counts += (unsigned)(e2d_get16(descriptor->free_blocks) != counts->free_blocks) +
                       (e2d_get16(descriptor->free_inodes) != counts->free_inodes) +
                       (e2d_get16(descriptor->used_dirs) != counts->directories);
    s->free_blocks += counts->free_blocks;
    s->free_inodes += counts->free_inodes;
}

int e2d_scan_pass2(struct e2d_scan *s, uint32_t group)
{
    int error;

    e2d_scan_begin_counts(s);
    error = e2d_scan_each(s, group, pass2_inode);
    if (error != 0)
        return error;
    e2d_scan_leaks(s, group, count_leak);
    s->found.blocks += s->counts.free_blocks;
    s->counts.free_blocks += e2d_count_clear(e2d_block_bitmap(s->m, group), 0, e2d_group_blocks(s->m, group));
    pass2_counts(s, group);
    return 0;
}

int e2d_scan_finish(struct e2d_scan *s)
{
    struct ext2dax_mount *m = s->m;

    s->claims = false;
    for (const struct e2d_scan_xattr *slot = s->xattr; slot != s->xattr_end; slot++) {
        const struct e2d_xattr_header *header = e2d_block(m, slot->block);
        uint32_t references = e2d_get32(header->references);

        if (slot->block == 0)
            continue;
        /*
         * The count is raised before an inode shares the block, and lowered only after. So a crash
         * leaves the count too high, never too low.
         */
        if (references < slot->references)
            return e2d_complain(m, -EXT2DAX_EUCLEAN, "block", slot->block, "references", references,
                                "fewer than the inodes");
        s->found.references += references != slot->references;
    }
    s->found.counts += (unsigned)(e2d_get32(m->super->free_blocks) != s->free_blocks) +
                       (e2d_get32(m->super->free_inodes) != s->free_inodes);
    return 0;
}
