/* SPDX-License-Identifier: MIT */
/*
 * Recovery. A scan reads all metadata of the image, finds everything to repair, and refuses any
 * state not explained by a crash of this library, before the first store. The repair has two
 * epochs:
 *
 *   link counts, i_blocks, pointers past the end of a file, sizes of directories, reference counts
 *   of xattr blocks, index flags of directories losing a dirent |
 *   dirents, times of deletion, bits, counts |
 *
 * where | is a fence. The first fence keeps three promises in case the recovery crashes. An inode
 * losing all links has no time of deletion while the link count is not 0. Such an inode is not
 * marked free while the link count is not 0. An index is dropped before any dirent of the directory
 * is cleared. Apart from these promises, any part of the stores of an epoch may reach the memory,
 * and the result is a state the recovery repairs anyway. The second fence keeps cleared names and
 * bits from coming back over anything built on them afterwards.
 *
 * A rename interrupted after the redo record was durable is completed before the scan, and undone
 * if the scan refuses the image.
 */
#include "ext2dax/mount.h"

#include "base/bitmap.h"
#include "names/dir.h"
#include "disk/group.h"
#include "disk/inode.h"
#include "disk/redo.h"
#include "disk/super.h"
#include "base/persist.h"
#include "mount/scan.h"
#include "base/skips.h"

#define REPORTS 64

/*
 * Features adding no blocks and no inodes unknown to the scan. Excludes 0x2, with which inodes need
 * no name.
 */
#define COMPAT_UNDERSTOOD                                                                                              \
    (0x1u | EXT2DAX_COMPAT_HAS_JOURNAL | EXT2DAX_COMPAT_EXT_ATTR | EXT2DAX_COMPAT_RESIZE_INODE |                       \
     EXT2DAX_COMPAT_DIR_INDEX | EXT2DAX_COMPAT_SPARSE_SUPER2)

struct recovery {
    uint64_t done, all; /* groups processed, over all passes */
    struct e2d_scan survey;
    struct e2d_redo redo; /* of an interrupted rename */
};

/* ---- reporting ---- */

/* Reports about REPORTS times, for any number of groups. */
static void progress(struct recovery *r)
{
    unsigned shift = 0;

    while (r->all >> shift > REPORTS)
        shift++;
    r->done++;
    if ((r->done & (((uint64_t)1 << shift) - 1)) == 0 || r->done == r->all)
        (void)e2d_tell(r->survey.m, 0, "recovery step", r->done, "of", r->all, "done");
}

/* Kinds of repairs, in the order of struct e2d_repairs. */
#define KINDS(_)                                                                                                       \
    _(blocks, "leaked blocks")                                                                                         \
    _(inodes, "inodes without links")                                                                                  \
    _(unnamed, "empty files without a name")                                                                           \
    _(entries, "dirents of dead inodes")                                                                               \
    _(types, "dirents without a file type")                                                                            \
    _(links, "wrong link counts")                                                                                      \
    _(sectors, "wrong sector counts")                                                                                  \
    _(sizes, "wrong sizes of directories")                                                                             \
    _(ends, "files with blocks past their end")                                                                        \
    _(indexes, "indexes of directories")                                                                               \
    _(times, "missing times of deletion")                                                                              \
    _(references, "wrong xattr reference counts")                                                                      \
    _(renames, "interrupted renames")                                                                                  \
    _(counts, "wrong free and directory counts")
#define KIND_NUMBER(member, what) KIND_##member,
#define KIND_ORDER(member, what)                                                                                       \
    _Static_assert(offsetof(struct e2d_repairs, member) == KIND_##member * sizeof(uint64_t), "another order");
#define KIND_TEXT(member, what) what "\0"
enum { KINDS(KIND_NUMBER) KIND_COUNT };
KINDS(KIND_ORDER)
_Static_assert(sizeof(struct e2d_repairs) == KIND_COUNT * sizeof(uint64_t), "a kind without a text");

/* All texts in one, because pointers to the texts would need as much room again. */
static const char kinds[] = KINDS(KIND_TEXT);

static void tell_what(struct ext2dax_mount *m, const struct e2d_repairs *found)
{
    const uint64_t *count = &found->blocks; /* the first of KIND_COUNT */
    const char *what = kinds;
    unsigned told = 0;

    for (unsigned i = 0; i < KIND_COUNT; i++) {
        if (count[i] != 0)
            (void)e2d_tell(m, 0, "recovery", ++told, what, count[i], "repaired");
        while (*what++ != '\0') {
        }
    }
    if (told == 0)
        (void)e2d_tell(m, 0, "recovery", 0, "repairs", 0, "nothing to repair");
}

/* ---- the first epoch ---- */

static int repair_inode(struct e2d_scan *s, uint32_t number, struct ext2dax_disk_inode *disk, uint32_t bit)
{
    struct ext2dax_mount *m = s->m;
    uint32_t flags = e2d_get32(disk->flags), links = e2d_scan_links(s, number, disk);
    int error;

    (void)bit;
    if (e2d_is_reserved(m, number) || e2d_get16(disk->links) == 0)
        return 0;
    if (e2d_get16(disk->links) != links)
        e2d_store16(m, &disk->links, links);
    if (!e2d_bit(s->differs, number))
        return 0;
    error = e2d_scan_remove_end(s, number);
    if (error == 0)
        error = e2d_scan_again(s, number, NULL);
    if (error != 0)
        return error;
    if (e2d_sectors(m, disk) != e2d_scan_sectors(s))
        e2d_store32(m, &disk->sectors, (uint32_t)e2d_scan_sectors(s));
    if (e2d_is_directory(&s->inode) && s->next != s->end)
        e2d_store32(m, &disk->size, (uint32_t)(s->next << m->block_shift));
    if (s->dead != 0 && (flags & EXT2DAX_FL_INDEX) != 0)
        e2d_store32(m, &disk->flags, flags & ~EXT2DAX_FL_INDEX);
    return 0;
}

static void repair_references(struct e2d_scan *s)
{
    for (const struct e2d_scan_xattr *slot = s->xattr; slot != s->xattr_end; slot++) {
        struct e2d_xattr_header *header = e2d_block(s->m, slot->block);

        if (slot->block != 0 && e2d_get32(header->references) != slot->references)
            e2d_store32(s->m, &header->references, slot->references);
    }
}

static bool inodes_differ(const struct e2d_repairs *found)
{
    return (found->unnamed | found->links | found->sectors | found->sizes | found->ends | found->indexes |
            found->references) != 0;
}

static int repair_inodes(struct e2d_scan *s, uint32_t group)
{
    return e2d_scan_each(s, group, repair_inode);
}

/* ---- the second epoch ---- */

static int repair_dirents(struct e2d_scan *s, unsigned char *block)
{
    struct ext2dax_mount *m = s->m;
    uint32_t offset, length;

    for (offset = 0; offset < m->block_size; offset += length) {
        struct ext2dax_disk_dirent *entry = e2d_dirent(block, offset);
        uint32_t target = e2d_get32(entry->inode);
        const struct ext2dax_disk_inode *disk;

        length = e2d_dirent_length(m, entry);
        if (target == 0)
            continue;
        disk = e2d_disk_inode(m, target);
        if (e2d_get16(disk->links) == 0)
            e2d_store32(m, &entry->inode, 0);
        else if (entry->type != e2d_dirent_type(m, e2d_get16(disk->mode)))
            e2d_store8(m, &entry->type, e2d_dirent_type(m, e2d_get16(disk->mode)));
    }
    return 0;
}

static void free_blocks(struct e2d_scan *s, uint32_t group, uint32_t bit, uint32_t count)
{
    uint8_t *map = e2d_block_bitmap(s->m, group);

    e2d_clear_bits(map, bit, bit + count);
    e2d_written_bits(s->m, map, bit, bit + count);
}

static void free_inode(struct e2d_scan *s, uint32_t bit)
{
    uint8_t *map = s->marks;

    if (!e2d_bit(map, bit))
        return;
    e2d_clear_bits(map, bit, bit + 1);
    e2d_written(s->m, map + (bit >> 3), 1);
}

/* Repairs a dead inode, with bit `bit` in the bitmap of the group. */
static void repair_dead(struct e2d_scan *s, struct ext2dax_disk_inode *disk, uint32_t bit)
{
    if (e2d_get16(disk->mode) != 0 && e2d_get32(disk->dtime) == 0)
        e2d_store32(s->m, &disk->dtime, s->dtime);
    free_inode(s, bit);
}

static E2D_OUT_OF_LINE void store_count(struct ext2dax_mount *m, struct ext2dax_le16 *at, uint32_t count)
{
    if (e2d_get16(*at) != count)
        e2d_store16(m, at, count);
}

static int repair_use(struct e2d_scan *s, uint32_t number, struct ext2dax_disk_inode *disk, uint32_t bit)
{
    if (!e2d_scan_stays(s, number, disk)) {
        repair_dead(s, disk, bit);
        return 0;
    }
    return e2d_bit(s->differs, number) ? e2d_scan_again(s, number, repair_dirents) : 0;
}

static int repair_rest(struct e2d_scan *s, uint32_t group)
{
    struct ext2dax_mount *m = s->m;
    struct ext2dax_disk_group *descriptor = e2d_descriptor(m, group);
    uint32_t inodes = m->inodes_per_group, marked = s->filled[group];
    int error;

    e2d_scan_begin_counts(s);
    error = e2d_scan_each(s, group, repair_use);
    if (error != 0)
        return error;
    /* The rest of the table is zeroes, perhaps without memory on a full filesystem of the host. */
    while ((marked = e2d_next_set(s->marks, marked, inodes)) < inodes)
        free_inode(s, marked);
    e2d_scan_leaks(s, group, free_blocks);
    store_count(m, &descriptor->free_blocks,
                e2d_count_clear(e2d_block_bitmap(m, group), 0, e2d_group_blocks(m, group)));
    store_count(m, &descriptor->free_inodes, s->counts.free_inodes);
    store_count(m, &descriptor->used_dirs, s->counts.directories);
    return 0;
}

static bool rest_differs(const struct e2d_repairs *found)
{
    return (found->blocks | found->inodes | found->unnamed | found->entries | found->types | found->times |
            found->counts) != 0;
}

/* ---- renames ---- */

/*
 * Completes an interrupted rename, before the scan, which understands only trees with a single
 * place per directory. Leaves the record, so that a crash here leads to the same stores again.
 */
static int complete_rename(struct recovery *r)
{
    struct ext2dax_mount *m = r->survey.m;
    int found = e2d_redo_read(m, &r->redo);

    if (found <= 0)
        return found;
    e2d_redo_swap(m, &r->redo);
    return e2d_order(m, E2D_FENCE_RECOVER_RENAME);
}

/* Undoes the completion, because an image refused by the scan must be unchanged. */
static void undo_rename(struct recovery *r)
{
    struct ext2dax_mount *m = r->survey.m;

    if (r->redo.count == 0)
        return;
    e2d_redo_swap(m, &r->redo);
    (void)e2d_order(m, E2D_FENCE_RECOVER_RENAME);
}

/*
 * Clears the record, or the rest of a record stored in part, as stores of the next epoch. Until
 * then the stores may be made again, because the repair changes no byte that the stores change.
 */
static void forget_rename(struct recovery *r)
{
    r->survey.found.renames = r->redo.count != 0;
    if (e2d_redo_any(r->survey.m))
        e2d_redo_clear(r->survey.m);
}

/* ---- the whole recovery ---- */

static int each_group(struct recovery *r, int (*pass)(struct e2d_scan *s, uint32_t group))
{
    int error = 0;

    for (uint32_t group = 0; group < r->survey.m->groups && error == 0; group++) {
        error = e2d_interrupted(r->survey.m);
        if (error == 0)
            error = pass(&r->survey, group);
        progress(r);
    }
    return error;
}

static int repair(struct recovery *r)
{
    struct e2d_scan *s = &r->survey;
    struct ext2dax_mount *m = s->m;
    bool inodes = inodes_differ(&s->found), rest = rest_differs(&s->found);
    int error = 0;

    r->all += (uint64_t)m->groups * ((unsigned)inodes + rest);
    if (inodes) {
        repair_references(s);
        error = each_group(r, repair_inodes);
        if (error == 0)
            error = e2d_order(m, E2D_FENCE_RECOVER_INODES);
    }
    if (error != 0 || !rest)
        return error;
    error = each_group(r, repair_rest);
    if (error != 0)
        return error;
    if (e2d_get32(m->super->free_blocks) != s->free_blocks)
        e2d_store32(m, &m->super->free_blocks, (uint32_t)s->free_blocks);
    if (e2d_get32(m->super->free_inodes) != s->free_inodes)
        e2d_store32(m, &m->super->free_inodes, (uint32_t)s->free_inodes);
    return e2d_order(m, E2D_FENCE_RECOVER_REST);
}

/* Refuses remains of other drivers unknown to the scan. */
static int check_super(struct ext2dax_mount *m)
{
    static const char run_e2fsck[] = "run e2fsck";
    uint32_t unknown = e2d_get32(m->super->compat) & ~COMPAT_UNDERSTOOD;
    uint32_t orphan = e2d_get32(m->super->last_orphan);

    if (unknown != 0)
        return e2d_super_refuse(m, "compatible features", unknown, run_e2fsck);
    if (m->hurd)
        return e2d_super_refuse(m, "creator", EXT2DAX_CREATOR_HURD, run_e2fsck);
    if (orphan != 0)
        return e2d_super_refuse(m, "last orphan", orphan, run_e2fsck);
    return 0;
}

/* Scans the whole image. Only reads. */
static int scan(struct recovery *r)
{
    struct e2d_scan *s = &r->survey;
    int error = each_group(r, e2d_scan_pass1);

    if (error == 0 && s->found.ends != 0) {
        r->all += s->m->groups;
        error = each_group(r, e2d_scan_ends);
    }
    if (error == 0)
        error = each_group(r, e2d_scan_pass2);
    return error != 0 ? error : e2d_scan_finish(s);
}

/* Scans and repairs the image, with an interrupted rename completed. */
static E2D_OUT_OF_LINE int settle(struct recovery *r)
{
    struct e2d_scan *s = &r->survey;
    int error = scan(r);

    if (error != 0) {
        undo_rename(r);
        return error;
    }
    forget_rename(r);
    error = repair(r);
    if (error == 0)
        tell_what(s->m, &s->found);
    return error;
}

static int recover(struct ext2dax_mount *m)
{
    struct recovery r = {.all = (uint64_t)m->groups * 2, .survey = {.m = m, .dtime = e2d_dtime(m, e2d_now(m))}};
    int error = check_super(m);

    if (error == 0)
        error = complete_rename(&r);
    if (error != 0)
        return error;
    error = e2d_scan_open(&r.survey);
    if (error != 0) {
        undo_rename(&r);
        return error;
    }
    error = settle(&r);
    e2d_scan_close(&r.survey);
    return error;
}

/*
 * Takes no lock, because no other thread uses the mount yet. An interruption between two groups
 * equals a crash of the recovery, with less lost.
 */
int ext2dax_recover(struct ext2dax_mounting *mounting)
{
    struct ext2dax_mount *m = mounting->mount;
    int error;

    e2d_scan_hint(m, true);
    m->recovering = true;
    error = recover(m);
    m->recovering = false;
    e2d_scan_hint(m, false);
    return error;
}
