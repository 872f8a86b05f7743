/* SPDX-License-Identifier: MIT */
#include "crash_fixture.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/ondisk.h"
#include "ext2dax/testkit/checker.h"
#include "../host_ops.h"

#define FREE_MARKER 0xA5 /* content of free blocks */
#define TAIL_MARKER 0xDB /* content of a file's last block past the end of file */
#define INODES      24
#define SMALL_CLOCK 3
#define HUGE_ORDER  3
#define XATTR_MAGIC 0xEA020000u
#define WINDOW      8 /* blocks */

const struct base bases[] = {
    {.name = "direct-1k", .block_size = 1024, .blocks = 64, .edge = 4},
    {.name = "small-clock-1k", .block_size = 1024, .blocks = 64, .edge = 4, .small_clock = true},
    {.name = "indirect-1k", .block_size = 1024, .blocks = 64, .edge = 12},
    {.name = "double-1k", .block_size = 1024, .blocks = 64, .edge = 268},
    {.name = "full-1k", .block_size = 1024, .blocks = 64, .edge = 12, .full = true},
    {.name = "names-1k", .block_size = 1024, .blocks = 64, .edge = 4, .names = true},
    {.name = "unused-1k", .block_size = 1024, .blocks = 64, .edge = 4, .names = true, .unused = true},
    {.name = "indexed-1k", .block_size = 1024, .blocks = 64, .edge = 4, .names = true, .indexed = true},
    {.name = "end-1k", .block_size = 1024, .blocks = 64, .edge = 4, .at_end = true},
    {.name = "end-double-1k", .block_size = 1024, .blocks = 64, .edge = 268, .at_end = true},
    {.name = "attributes-1k", .block_size = 1024, .blocks = 64, .edge = 4, .attributes = true},
    {.name = "xattr-1k", .block_size = 1024, .blocks = 64, .edge = 4, .xattrs = true, .distinct = true},
    {.name = "xattr-shared-1k", .block_size = 1024, .blocks = 64, .edge = 4, .xattrs = true},
    {.name = "xattr-4k", .block_size = 4096, .blocks = 40, .edge = 12, .xattrs = true, .distinct = true},
    {.name = "xattr-full-4k",
     .block_size = 4096,
     .blocks = 40,
     .edge = 12,
     .xattrs = true,
     .distinct = true,
     .populated = true},
    {.name = "discard-1k", .block_size = 1024, .blocks = 64, .edge = 12, .discard = true},
    {.name = "unordered-1k", .block_size = 1024, .blocks = 64, .edge = 12, .unordered = true},
    {.name = "indirect-4k", .block_size = 4096, .blocks = 40, .edge = 12},
    {.name = "double-4k", .block_size = 4096, .blocks = 40, .edge = 1036},
};
const unsigned base_count = sizeof bases / sizeof bases[0];

struct bed {
    const struct base *base;
    struct bed_options options;
    size_t size;
    unsigned char *image;  /* the base */
    unsigned char *mended; /* copy of an image for e2fsck to repair */
    struct expect *expect, *start;
    struct ext2dax_memory memory;
    struct ext2dax_crash *crash;
    struct ext2dax_model *model;
    struct ext2dax_model_map *map;
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root, *inode[EXPECT_FILES];
    int64_t clock;
    bool frozen, unlinked; /* `unlinked` is true while a file without a name is held */
    bool closed;           /* the image must be marked clean */
    bool strict;           /* leaks are no longer allowed */
    bool settled;          /* blocks past the end of a file are no longer allowed */
    bool formatting;
    bool keeping; /* keep an image for bed_recover(), with its expectations */
    unsigned char *kept;
    struct expect *kept_expect;
    bool kept_any, recovering;
    struct tally tally;
    const struct call *const *calls;
    unsigned count;
    char finding[512];
};

/* ---- plugs ---- */

static void host_time(void *ctx, struct ext2dax_time *now)
{
    struct bed *bed = ctx;

    now->seconds = bed->clock++;
    now->nanoseconds = (uint32_t)(now->seconds * 7919 % 1000000000);
}

static const struct ext2dax_host_ops host_ops = {.size = sizeof host_ops,
                                                 .alloc = heap_alloc,
                                                 .release = heap_release,
                                                 .may_use_reserved = always_may_use_reserved,
                                                 .time = host_time};

/*
 * Exits with 2 if `rc` is an error. For calls which must succeed before a test result means
 * anything.
 */
static void must(struct bed *bed, int rc, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "%s: %s: %d\n", bed->base->name, what, rc);
    exit(2);
}

/* ---- checking ---- */

static void report(struct bed *bed, const char *judge, char file, const char *what)
{
    size_t at = 0;

    bed->tally.findings++;
    at += (size_t)snprintf(bed->finding, sizeof bed->finding, "%s:", bed->base->name);
    for (unsigned i = 0; i < bed->count && at < sizeof bed->finding; i++)
        at += (size_t)snprintf(bed->finding + at, sizeof bed->finding - at, "%s %s", i != 0 ? "," : "",
                               bed->calls[i]->name);
    if (at < sizeof bed->finding)
        snprintf(bed->finding + at, sizeof bed->finding - at, "%s (%s): %s: %s%.*s%s",
                 bed->formatting   ? " format"
                 : bed->recovering ? ", recovery"
                                   : "",
                 bed->expect->inside ? "while it runs" : "when it has returned", judge, file != 0 ? "\"" : "",
                 file != 0, &file, file != 0 ? "\" " : "");
    at = strlen(bed->finding);
    snprintf(bed->finding + at, sizeof bed->finding - at, "%s", what);
    if (!bed->options.quiet)
        printf("FINDING %s\n", bed->finding);
}

struct first_finding {
    char text[160];
};

static void keep_finding(void *arg, const struct ext2dax_finding *finding)
{
    struct first_finding *first = arg;

    if (first->text[0] == '\0')
        (void)ext2dax_finding_text(finding, first->text, sizeof first->text);
}

static bool passes_check(struct bed *bed, const unsigned char *image, unsigned flags)
{
    struct first_finding first = {""};
    unsigned ends = bed->base->at_end && !bed->settled ? EXT2DAX_CHECK_ENDS_OK : 0;
    int rc = ext2dax_check_image(image, bed->size, flags | ends, keep_finding, &first, NULL);

    if (rc == 0)
        return true;
    if (rc < 0)
        snprintf(first.text, sizeof first.text, "cannot be checked: %d", rc);
    report(bed, "checker", 0, first.text);
    return false;
}

static bool passes_contents(struct bed *bed, const unsigned char *image, const char *judge)
{
    char file = 0;
    const char *wrong = expect_judge(bed->expect, image, &file);

    bed->tally.contents++;
    if (!wrong)
        return true;
    report(bed, judge, file, wrong);
    return false;
}

static bool passes_fsck(struct bed *bed, const unsigned char *image)
{
    const char *wrong;
    int status;

    memcpy(bed->mended, image, bed->size);
    wrong = fsck_mend(bed->mended, bed->size, &status);
    bed->tally.fscked++;
    if (status == 0 || status == 1)
        bed->tally.fsck_exit[status]++;
    else
        bed->tally.fsck_failed++;
    if (wrong) {
        report(bed, "e2fsck", 0, wrong);
        return false;
    }
    return passes_check(bed, bed->mended, 0) && passes_contents(bed, bed->mended, "contents after e2fsck");
}

/*
 * Returns the check flags for the image. An image marked clean gets none, because e2fsck would not
 * scan it.
 */
static unsigned allowed(const struct bed *bed, const unsigned char *image)
{
    if (image_valid(image))
        return 0;
    if (!bed->strict)
        return EXT2DAX_CHECK_LEAKS_OK;
    return EXT2DAX_CHECK_MOUNTED | (bed->unlinked ? EXT2DAX_CHECK_UNLINKED_OK : 0);
}

/*
 * Returns whether the image belongs to the e2fsck sample. Excludes images marked clean, because
 * e2fsck would not scan them.
 */
static bool fits_fsck(const struct bed *bed, const struct ext2dax_crash_state *state)
{
    return bed->options.fsck_one_in != 0 && !state->before && state->hash % bed->options.fsck_one_in == 0 &&
           bed->tally.fscked < bed->options.fsck_most && !image_valid(state->image);
}

static int judge(void *arg, const struct ext2dax_crash_state *state)
{
    struct bed *bed = arg;
    const unsigned char *image = state->image;
    unsigned flags = allowed(bed, image);

    bed->tally.images++;
    if (bed->options.only_fsck)
        return fits_fsck(bed, state) && !passes_fsck(bed, image);
    if (state->before && flags == EXT2DAX_CHECK_LEAKS_OK) {
        bed->tally.known++;
    } else {
        bed->tally.checked += !state->before;
        bed->tally.known += state->before;
        bed->tally.strict += flags != EXT2DAX_CHECK_LEAKS_OK;
        if (!passes_check(bed, image, flags))
            return 1;
    }
    if (bed->closed && !image_valid(image)) {
        report(bed, "state", 0, "not marked clean");
        return 1;
    }
    if (bed->options.only_checker)
        return 0;
    if (!passes_contents(bed, image, "contents"))
        return 1;
    if (bed->keeping && !state->before && !image_valid(image) && state->hash % 61 == 0) {
        memcpy(bed->kept, image, bed->size);
        expect_copy(bed->kept_expect, bed->expect);
        bed->kept_any = true;
    }
    return fits_fsck(bed, state) && !passes_fsck(bed, image);
}

static int judge_format(void *arg, const struct ext2dax_crash_state *state)
{
    struct bed *bed = arg;
    const unsigned char *image = state->image;
    bool whole = image_get16(&image_super(image)->magic) == EXT2DAX_SUPER_MAGIC;

    bed->tally.images++;
    bed->tally.checked += !state->before;
    bed->tally.known += state->before;
    if (whole)
        return passes_check(bed, image, 0) ? 0 : 1;
    if (bed->expect->inside)
        return 0;
    report(bed, "state", 0, "no filesystem");
    return 1;
}

/* ---- the base ---- */

static void open_mount(struct bed *bed)
{
    struct ext2dax_plugs plugs = {
        .locks = ext2dax_locks_by_name("none"), .memory = bed->memory, .host = {&host_ops, bed}};
    struct ext2dax_mount_options options = {.size = sizeof options,
                                            .flags = bed->base->discard ? EXT2DAX_MOUNT_DISCARD : 0,
                                            .page_shift = bed->base->block_size == 1024 ? 10 : 12,
                                            .huge_order = HUGE_ORDER,
                                            .order = bed->base->unordered ? EXT2DAX_UNORDERED : EXT2DAX_ORDERED,
                                            .recover = ext2dax_recover};

    bed->model = ext2dax_model_open(&bed->memory, plugs.locks, (uint32_t)1 << options.page_shift, options.huge_order);
    if (!bed->model)
        must(bed, -EXT2DAX_ENOMEM, "model");
    plugs.address_space = ext2dax_model_address_space(bed->model);
    must(bed, ext2dax_mount(&plugs, &options, &bed->mount), "mount");
    must(bed, ext2dax_inode_get(bed->mount, EXT2DAX_ROOT_INODE, &bed->root), "root");
}

static void put(struct bed *bed, int file)
{
    if (file == FILE_A && bed->map) {
#if BED_FAULTS
        ext2dax_model_unmap(bed->map);
#endif
        bed->map = NULL;
    }
    if (bed->inode[file])
        ext2dax_inode_put(bed->inode[file]);
    bed->inode[file] = NULL;
}

static int close_mount(struct bed *bed)
{
    int rc;

    for (int i = 0; i < EXPECT_FILES; i++)
        put(bed, i);
    if (bed->root)
        ext2dax_inode_put(bed->root);
    bed->root = NULL;
    rc = bed->mount ? ext2dax_unmount(bed->mount) : 0;
    bed->mount = NULL;
    if (bed->model)
        ext2dax_model_close(bed->model);
    bed->model = NULL;
    return rc;
}

static const char *name_of(const struct expect_file *f, char *name)
{
    memset(name, f->letter, f->name_length);
    return name;
}

static int create(struct bed *bed, int file)
{
    char name[256];

    return ext2dax_create(bed->root, name_of(&bed->expect->file[file], name), bed->expect->file[file].name_length, 0644,
                          0, 0, &bed->inode[file]);
}

static void fill_pattern(unsigned char *to, size_t length, unsigned kind)
{
    for (size_t i = 0; i < length; i++)
        /* neither zero nor a marker */
        to[i] = (unsigned char)(1 + (kind * 37 + i / 8 * 5 + i) % 0x9F);
}

static uint64_t edge_of(const struct bed *bed, int file)
{
    return (uint64_t)(file == FILE_A ? bed->base->edge : 2) * bed->base->block_size;
}

static void base_write(struct bed *bed, int file, uint64_t at, size_t length)
{
    unsigned char *bytes = malloc(length);

    fill_pattern(bytes, length, (unsigned)file);
    if (ext2dax_write(bed->inode[file], at, bytes, length) != (int64_t)length)
        must(bed, -1, "writing the base");
    expect_store(bed->expect, file, at, bytes, length);
    bed->expect->file[file].size = at + length;
    free(bytes);
}

/* Makes "d" a second name of "b" and frees the inode of "d". */
static void link_d_to_b(struct bed *bed)
{
    unsigned char *image = bed->image;
    uint32_t size = bed->base->block_size;
    struct ext2dax_disk_dirent *d = image_entry(image, size, 'd', 1);
    uint32_t own = image_get32(&d->inode), other = image_get32(&image_entry(image, size, 'b', 1)->inode);
    struct ext2dax_disk_group *group = (void *)(image + (size_t)size * (size == 1024 ? 2 : 1));
    unsigned char *map = image + (size_t)image_get32(&group->inode_bitmap) * size;

    image_put32(&d->inode, other);
    image_put16(&image_inode(image, size, other)->links, 2);
    memset(image_inode(image, size, own), 0, image_get16(&image_super(image)->inode_size));
    map[(own - 1) / 8] &= (unsigned char)~(1u << (own - 1) % 8);
    image_put16(&group->free_inodes, image_get16(&group->free_inodes) + 1);
    image_put32(&image_super(image)->free_inodes, image_get32(&image_super(image)->free_inodes) + 1);
}

/*
 * Fills the last block of the file past the end of file, as an earlier mapped store past the end
 * may have done.
 */
static void mark_tail(struct bed *bed, int file)
{
    const struct expect_file *f = &bed->expect->file[file];
    uint32_t size = bed->base->block_size, into = (uint32_t)(f->size % size), block;

    block = ext2dax_check_block(bed->image, bed->size,
                                image_get32(&image_entry(bed->image, size, f->letter, f->name_length)->inode),
                                f->size / size);
    memset(bed->image + (size_t)block * size + into, TAIL_MARKER, size - into);
}

static void make_files(struct bed *bed)
{
    const struct base *base = bed->base;
    uint64_t edge = edge_of(bed, FILE_A);
    struct ext2dax_statfs figures;

    bed->expect->file[FILE_A].first = base->edge - EXPECT_BLOCKS / 2;
    for (int i = FILE_A; i <= FILE_B; i++)
        must(bed, create(bed, i), "create");
    must(bed, create(bed, FILE_D), "create");
    if (base->xattrs) {
        must(bed, create(bed, FILE_S), "create");
        bed->expect->file[FILE_S].is = true;
    }
    for (int i = FILE_L; i <= FILE_N && base->names; i++) {
        must(bed, create(bed, i), "create");
        bed->expect->file[i].is = true;
    }
    if (base->unused) {
        char name[256];

        must(bed, create(bed, FILE_X), "create");
        put(bed, FILE_X);
        must(bed, ext2dax_unlink(bed->root, name_of(&bed->expect->file[FILE_X], name), 240), "unlink");
    }
    base_write(bed, FILE_A, edge - 2 * base->block_size, 2 * base->block_size - (base->at_end ? 0 : 104));
    /* patch_image() sets the size back, so this block begins exactly at the end of file. */
    if (base->at_end && ext2dax_write(bed->inode[FILE_A], edge + base->block_size - 1, "x", 1) != 1)
        must(bed, -1, "writing the block at the end");
    base_write(bed, FILE_B, 0, base->block_size + 40);
    bed->expect->file[FILE_A].is = bed->expect->file[FILE_B].is = bed->expect->file[FILE_D].is = true;
    if (!base->full)
        return;
    ext2dax_statfs(bed->mount, &figures, sizeof(figures));
    must(bed, create(bed, FILE_L), "create");
    bed->expect->file[FILE_L].is = true;
    /* The file takes a single pointer block and leaves two blocks free. */
    for (uint64_t at = 0; at < figures.free_blocks - 3; at++)
        if (ext2dax_write(bed->inode[FILE_L], at * base->block_size, "x", 1) != 1)
            must(bed, -1, "filling the base");
    bed->expect->file[FILE_L].size = (figures.free_blocks - 4) * base->block_size + 1;
    expect_store(bed->expect, FILE_L, 0, "x", 1);
    for (uint64_t at = 1; at < EXPECT_BLOCKS; at++)
        expect_store(bed->expect, FILE_L, at * base->block_size, "x", 1);
}

/* Turns the last block of the image into an extended attribute block shared by "a" and "b". */
static void share_attributes(struct bed *bed)
{
    uint32_t size = bed->base->block_size, block = bed->base->blocks - 1, bit = block - (size == 1024);
    struct ext2dax_disk_group *group = (void *)(bed->image + (size_t)size * (size == 1024 ? 2 : 1));
    struct ext2dax_disk_super *super = image_super(bed->image);
    unsigned char *header = bed->image + (size_t)block * size;

    memset(header, 0, size);
    image_put32(header, XATTR_MAGIC);
    image_put32(header + 4, 2); /* references */
    image_put32(header + 8, 1); /* blocks */
    bed->image[(size_t)image_get32(&group->block_bitmap) * size + bit / 8] |= (unsigned char)(1u << bit % 8);
    image_put16(&group->free_blocks, image_get16(&group->free_blocks) - 1);
    image_put32(&super->free_blocks, image_get32(&super->free_blocks) - 1);
    for (const char *name = "ab"; *name != '\0'; name++) {
        struct ext2dax_disk_inode *inode =
            image_inode(bed->image, size, image_get32(&image_entry(bed->image, size, *name, 1)->inode));

        image_put32(&inode->file_acl, block);
        image_put32(&inode->sectors, image_get32(&inode->sectors) + size / 512);
    }
}

/* Gives every inode of 256 bytes the extra words of times. New inodes have them too. */
static void widen_inodes(struct bed *bed)
{
    struct ext2dax_disk_super *super = image_super(bed->image);

    image_put32(&super->ro_compat, image_get32(&super->ro_compat) | EXT2DAX_RO_COMPAT_EXTRA_ISIZE);
    image_put16(&super->want_extra_isize, sizeof(struct ext2dax_disk_inode_tail));
    image_put16(&super->min_extra_isize, sizeof(struct ext2dax_disk_inode_tail));
    for (uint32_t number = 1; number <= INODES; number++) {
        struct ext2dax_disk_inode *inode = image_inode(bed->image, bed->base->block_size, number);
        struct ext2dax_disk_inode_tail *tail = (void *)(inode + 1);

        if (image_get16(&inode->links) != 0)
            image_put16(&tail->extra_isize, sizeof *tail);
    }
}

/*
 * Turns "s" into a fast symbolic link. Gives the inodes of "a" and "s" room for attributes, with
 * old bytes there, where inodes are larger than 128 bytes.
 */
static void prepare_xattrs(struct bed *bed)
{
    uint32_t size = bed->base->block_size, inode_size = image_get16(&image_super(bed->image)->inode_size);
    struct ext2dax_disk_dirent *link = image_entry(bed->image, size, 's', 1);
    struct ext2dax_disk_inode *inode = image_inode(bed->image, size, image_get32(&link->inode));

    link->type = EXT2DAX_FT_LNK;
    image_put16(&inode->mode, EXT2DAX_S_IFLNK | 0777);
    image_put32(&inode->size, 6);
    memcpy(inode->block, "target", 6);
    for (const char *name = "as"; *name != '\0' && inode_size > sizeof *inode; name++) {
        unsigned char *tail;

        inode = image_inode(bed->image, size, image_get32(&image_entry(bed->image, size, *name, 1)->inode));
        tail = (unsigned char *)(inode + 1);
        /* The magic number and the first entry lie in different words of 8 bytes. */
        image_put16(tail, 28);
        memset(tail + 28, FREE_MARKER, inode_size - sizeof *inode - 28);
    }
}

static void patch_image(struct bed *bed)
{
    struct ext2dax_disk_super *super = image_super(bed->image);
    struct ext2dax_disk_inode *root = image_inode(bed->image, bed->base->block_size, EXT2DAX_ROOT_INODE);

    if (bed->base->at_end)
        image_put32(&image_inode(bed->image, bed->base->block_size,
                                 image_get32(&image_entry(bed->image, bed->base->block_size, 'a', 1)->inode))
                         ->size,
                    (uint32_t)edge_of(bed, FILE_A));
    link_d_to_b(bed);
    mark_tail(bed, FILE_A);
    mark_tail(bed, FILE_B);
    image_put32(&super->ro_compat, image_get32(&super->ro_compat) & ~EXT2DAX_RO_COMPAT_LARGE_FILE);
    for (uint32_t number = EXT2DAX_FIRST_INODE_REV0 + 1; number <= INODES; number++) {
        struct ext2dax_disk_inode *inode = image_inode(bed->image, bed->base->block_size, number);

        if (image_get16(&inode->links) == 0)
            memset(inode + 1, FREE_MARKER, image_get16(&super->inode_size) - sizeof *inode);
    }
    if (image_wide(bed->image))
        widen_inodes(bed);
    if (bed->base->attributes)
        share_attributes(bed);
    if (bed->base->xattrs)
        prepare_xattrs(bed);
    if (bed->base->indexed)
        image_put32(&root->flags, image_get32(&root->flags) | EXT2DAX_FL_INDEX);
}

static struct ext2dax_format_options format_options(const struct bed *bed)
{
    return (struct ext2dax_format_options){.size = sizeof(struct ext2dax_format_options),
                                           .block_size = bed->base->block_size,
                                           .inodes = INODES,
                                           /* the first attribute sets the feature */
                                           .without = bed->base->xattrs ? EXT2DAX_COMPAT_EXT_ATTR : 0,
                                           .time = FIXED_TIME};
}

/* The large attribute leaves no room in the block for the others, which lie in the inode. */
static void populate(struct bed *bed)
{
    static const int lengths[EXPECT_XATTRS] = {9, 4, 4036};
    unsigned char bytes[EXPECT_MOST];
    char name[] = "user.x";

    ext2dax_crash_load(bed->crash, bed->image);
    open_mount(bed);
    must(bed, ext2dax_lookup(bed->root, "a", 1, &bed->inode[FILE_A]), "lookup");
    for (int i = 0; i < EXPECT_XATTRS; i++) {
        name[5] = (char)('x' + i);
        fill_pattern(bytes, (size_t)lengths[i], (unsigned)i);
        must(bed, ext2dax_setxattr(bed->inode[FILE_A], name, 6, bytes, (size_t)lengths[i], 0), "attribute");
        expect_xattr(bed->expect, FILE_A, i, bytes, lengths[i]);
    }
    must(bed, close_mount(bed), "unmount");
    memcpy(bed->image, bed->memory.base, bed->size);
}

static void make_base(struct bed *bed)
{
    struct ext2dax_format_options format = format_options(bed);

    memset(bed->image, FREE_MARKER, bed->size);
    ext2dax_crash_load(bed->crash, bed->image);
    must(bed, ext2dax_format(&bed->memory, &format, NULL), "format");
    bed->clock = bed->base->small_clock ? SMALL_CLOCK : FIXED_TIME;
    open_mount(bed);
    make_files(bed);
    must(bed, close_mount(bed), "unmount");
    memcpy(bed->image, bed->memory.base, bed->size);
    patch_image(bed);
    bed->expect->xattrs = bed->base->xattrs;
    if (bed->base->populated)
        populate(bed);
    for (int i = 0; i < EXPECT_FILES; i++)
        expect_synced(bed->expect, i);
    expect_returned(bed->expect);
    bed->expect->indexed = bed->base->indexed;
    bed->strict = true;
    if (!passes_check(bed, bed->image, 0) || !passes_contents(bed, bed->image, "contents of the base"))
        must(bed, -1, bed->finding);
    expect_copy(bed->start, bed->expect);
}

struct bed *bed_open(const struct base *base, const struct bed_options *options)
{
    struct ext2dax_crash_options crash = {.size = sizeof crash,
                                          .bytes = (size_t)base->block_size * base->blocks,
                                          .line = options->line,
                                          .all_up_to = options->all_up_to,
                                          .sample = options->sample,
                                          .seed = options->seed,
                                          .remember_log = options->remember_log,
                                          .discard = base->discard};
    struct bed *bed = calloc(1, sizeof *bed);

    bed->base = base;
    bed->options = *options;
    bed->size = crash.bytes;
    bed->image = aligned_alloc(64, bed->size);
    bed->mended = aligned_alloc(64, bed->size);
    bed->expect = malloc(sizeof *bed->expect);
    bed->start = malloc(sizeof *bed->start);
    bed->kept = aligned_alloc(64, bed->size);
    bed->kept_expect = malloc(sizeof *bed->kept_expect);
    must(bed, ext2dax_crash_open(&crash, &bed->memory, &bed->crash), "memory");
    expect_open(bed->expect, base->block_size);
    make_base(bed);
    return bed;
}

void bed_close(struct bed *bed)
{
    ext2dax_crash_close(bed->crash);
    free(bed->kept_expect);
    free(bed->kept);
    free(bed->start);
    free(bed->expect);
    free(bed->mended);
    free(bed->image);
    free(bed);
}

/* ---- calls ---- */

static const struct ext2dax_disk_inode *disk_of(struct bed *bed, int file)
{
    struct ext2dax_stat figures;

    ext2dax_stat(bed->inode[file], &figures, sizeof(figures));
    return image_inode(bed->memory.base, bed->base->block_size, figures.number);
}

static void attributes_synced(struct bed *bed, int file)
{
    struct expect_file *f = &bed->expect->file[file];

    if (!bed->inode[file] || !f->is)
        return;
    f->attributes_known = true;
    image_attributes(bed->memory.base, disk_of(bed, file), f->attributes);
    memcpy(f->attributes_was, f->attributes, sizeof f->attributes);
}

static void synced(struct bed *bed, int file)
{
    expect_synced(bed->expect, file);
    attributes_synced(bed, file);
}

static void all_synced(struct bed *bed)
{
    for (int i = 0; i < EXPECT_FILES; i++)
        synced(bed, i);
}

static uint64_t place_of(const struct bed *bed, const struct call *call)
{
    if (call->absolute != 0)
        return call->absolute == UINT64_MAX ? 0 : call->absolute;
    return edge_of(bed, call->file) + (uint64_t)((int64_t)call->blocks * bed->base->block_size + call->bytes);
}

static uint64_t length_of(const struct bed *bed, const struct call *call)
{
    return (uint64_t)call->length_blocks * bed->base->block_size + call->length_bytes;
}

static uint64_t size_now(struct bed *bed, int file)
{
    struct ext2dax_stat figures;

    ext2dax_stat(bed->inode[file], &figures, sizeof(figures));
    return figures.size;
}

/*
 * Corrects the expected size after a call which failed or did only a part. The part not done is
 * unchanged, except that zeroed blocks may have been allocated there.
 */
static void settle_size(struct bed *bed, int file)
{
    struct expect_file *f = &bed->expect->file[file];
    uint64_t size = size_now(bed, file);

    if (size < f->size)
        expect_zero(bed->expect, file, size, f->size);
    f->size = size;
}

static int do_write(struct bed *bed, const struct call *call)
{
    struct expect_file *f = &bed->expect->file[call->file];
    uint64_t at = place_of(bed, call), length = length_of(bed, call);
    unsigned char *bytes = malloc(length);
    int64_t done;

    /* Each call of the workload writes different bytes. */
    fill_pattern(bytes, length, (unsigned)(call->file + 8 * (int)bed->count + 3 * (call->blocks + 9)));
    expect_store(bed->expect, call->file, at, bytes, length);
    if (at + length > f->size) {
        f->size = at + length;
        f->any_size = bed->base->full;
    }
    done = ext2dax_write(bed->inode[call->file], at, bytes, length);
    if (done != (int64_t)length) {
        expect_undo(bed->expect, call->file, at, length);
        if (done > 0)
            expect_store(bed->expect, call->file, at, bytes, (uint64_t)done);
        settle_size(bed, call->file);
    }
    free(bytes);
    if (done == (int64_t)length)
        return 0;
    return done == -EXT2DAX_ENOSPC || done > 0 ? 1 : (int)done;
}

static int do_allocate(struct bed *bed, const struct call *call)
{
    struct expect_file *f = &bed->expect->file[call->file];
    uint64_t end = place_of(bed, call) + length_of(bed, call);
    int rc;

    if (end > f->size) {
        f->size = end;
        f->any_size = bed->base->full;
    }
    rc = ext2dax_allocate(bed->inode[call->file], place_of(bed, call), length_of(bed, call), false);
    settle_size(bed, call->file);
    return rc == -EXT2DAX_ENOSPC ? 1 : rc;
}

#if BED_FAULTS
static int do_store(struct bed *bed, const struct call *call)
{
    uint64_t at = place_of(bed, call), length = length_of(bed, call);
    unsigned char bytes[256];
    enum ext2dax_fault_result result;

    if (at + length > bed->expect->file[call->file].size)
        return 2;
    fill_pattern(bytes, length, (unsigned)(17 + bed->count));
    expect_store(bed->expect, call->file, at, bytes, length);
    if (!bed->map)
        bed->map = ext2dax_model_map(bed->model, bed->inode[FILE_A], bed->base->edge - EXPECT_BLOCKS / 2, EXPECT_BLOCKS,
                                     true, true);
    result = ext2dax_model_write(bed->map, at, bytes, length, false, false);
    if (result == EXT2DAX_FAULT_NOPAGE)
        return 0;
    expect_undo(bed->expect, call->file, at, length);
    return result == EXT2DAX_FAULT_SIGBUS && bed->base->full ? 1 : -EXT2DAX_EIO;
}

#else
static int do_store(struct bed *bed, const struct call *call)
{
    (void)bed;
    (void)call;
    return 2; /* this build serves no faults */
}
#endif

static int do_truncate(struct bed *bed, const struct call *call)
{
    struct expect_file *f = &bed->expect->file[call->file];
    uint64_t size = place_of(bed, call), old = f->size;
    int rc;

    if (size < old)
        expect_store(bed->expect, call->file, size, NULL, old - size);
    f->size = size;
    rc = ext2dax_truncate(bed->inode[call->file], size);
    if (rc == 0 && size < old)
        expect_zero(bed->expect, call->file, size, old);
    return rc;
}

static int do_punch(struct bed *bed, const struct call *call)
{
    uint64_t from = place_of(bed, call), to = from + length_of(bed, call);
    uint64_t size = bed->expect->file[call->file].size;
    int rc;

    to = to < size ? to : size;
    if (from >= to)
        return 2;
    expect_store(bed->expect, call->file, from, NULL, to - from);
    rc = ext2dax_punch(bed->inode[call->file], from, to - from);
    if (rc == 0)
        expect_zero(bed->expect, call->file, from, to);
    return rc;
}

/* Zeroes in place. The zeroes are data over existing blocks, and a crash may keep old bytes. */
static int do_zero(struct bed *bed, const struct call *call)
{
    uint64_t from = place_of(bed, call), to = from + length_of(bed, call);
    uint64_t size = bed->expect->file[call->file].size;

    to = to < size ? to : size;
    if (from >= to)
        return 2;
    expect_store(bed->expect, call->file, from, NULL, to - from);
    return ext2dax_zero_range(bed->inode[call->file], from, length_of(bed, call));
}

/* Syncs the PMD ranges which cover the range. Blocks in other PMD ranges keep their versions. */
static int do_fsync_range(struct bed *bed, const struct call *call)
{
    uint64_t from = place_of(bed, call), length = length_of(bed, call);
    uint64_t window = (uint64_t)bed->base->block_size << HUGE_ORDER;
    int rc = ext2dax_fsync_range(bed->inode[call->file], from, length);

    expect_synced_range(bed->expect, call->file, from & ~(window - 1), (from + length + window - 1) & ~(window - 1));
    attributes_synced(bed, call->file);
    return rc;
}

static void expect_time(uint32_t *attributes, int field, int extra, struct ext2dax_time time, bool wide)
{
    attributes[field] = (uint32_t)time.seconds;
    if (wide)
        attributes[extra] = (uint32_t)((time.seconds - (int32_t)time.seconds) >> 32) | time.nanoseconds << 2;
}

/* Writes the expected fields of the selected attributes over `attributes`. */
static void expect_attributes(uint32_t *attributes, const struct ext2dax_attributes *wanted, bool wide)
{
    if ((wanted->set & EXT2DAX_SET_MODE) != 0)
        attributes[EXPECT_MODE] = (attributes[EXPECT_MODE] & EXT2DAX_S_IFMT) | wanted->mode;
    if ((wanted->set & EXT2DAX_SET_UID) != 0) {
        attributes[EXPECT_UID] = wanted->uid & 0xFFFF;
        attributes[EXPECT_UID_HIGH] = wanted->uid >> 16;
    }
    if ((wanted->set & EXT2DAX_SET_GID) != 0) {
        attributes[EXPECT_GID] = wanted->gid & 0xFFFF;
        attributes[EXPECT_GID_HIGH] = wanted->gid >> 16;
    }
    if ((wanted->set & EXT2DAX_SET_FLAGS) != 0)
        attributes[EXPECT_FLAGS] = wanted->flags;
    if ((wanted->set & EXT2DAX_SET_ATIME) != 0)
        expect_time(attributes, EXPECT_ATIME, EXPECT_ATIME_EXTRA, wanted->atime, wide);
    if ((wanted->set & EXT2DAX_SET_MTIME) != 0)
        expect_time(attributes, EXPECT_MTIME, EXPECT_MTIME_EXTRA, wanted->mtime, wide);
    if ((wanted->set & EXT2DAX_SET_CREATED) != 0 && wide)
        expect_time(attributes, EXPECT_CREATED, EXPECT_CREATED_EXTRA, wanted->created, wide);
    expect_time(attributes, EXPECT_CTIME, EXPECT_CTIME_EXTRA, wanted->ctime, wide);
}

/*
 * Sets other attributes in each call of the workload, with times past 2038 where inodes have room.
 */
static int do_setattr(struct bed *bed, const struct call *call)
{
    struct expect_file *f = &bed->expect->file[call->file];
    bool wide = image_wide(bed->memory.base);
    int64_t epoch = wide ? (int64_t)bed->count << 32 : 0;
    uint32_t count = bed->count;
    struct ext2dax_attributes wanted = {.size = sizeof wanted,
                                        .set = (unsigned)call->absolute | EXT2DAX_SET_CTIME,
                                        .mode = (uint16_t)(04711 + count),
                                        .uid = 0x10001 * count + 1,
                                        .gid = 0x20003 * count + 2,
                                        .flags = count % 2 != 0 ? EXT2DAX_FL_NODUMP : EXT2DAX_FL_NOATIME,
                                        .mtime = {epoch + 11 * count, 12 * count},
                                        .ctime = {epoch + 13 * count, 14 * count},
                                        .atime = {epoch + 15 * count, 16 * count},
                                        .created = {epoch + 17 * count, 18 * count}};

    image_attributes(bed->memory.base, disk_of(bed, call->file), f->attributes);
    memcpy(f->attributes_was, f->attributes, sizeof f->attributes);
    expect_attributes(f->attributes, &wanted, wide);
    f->attributes_known = true;
    return ext2dax_setattr(bed->inode[call->file], &wanted);
}

/*
 * Removes a name. Unless `open` is set, puts the reference to the file first, which writes dirty
 * data back. Removing the last name then frees the file.
 */
static int do_unlink(struct bed *bed, const struct call *call, bool open)
{
    struct expect_file *f = &bed->expect->file[call->file];
    char name[256];

    if (open && !bed->inode[call->file])
        return 2;
    if (!open && bed->inode[call->file]) {
        put(bed, call->file);
        expect_synced(bed->expect, call->file);
    }
    f->is = false;
    bed->unlinked = bed->unlinked || open;
    return ext2dax_unlink(bed->root, name_of(f, name), f->name_length);
}

static int do_create(struct bed *bed, const struct call *call)
{
    struct expect_file *f = &bed->expect->file[call->file];
    int rc;

    /* A new file created under an old name has none of the old file's bytes. */
    for (int i = 0; i < EXPECT_BLOCKS; i++) {
        f->block[i].versions = 1;
        f->block[i].untouched = true;
        memset(f->block[i].version[0], 0, bed->base->block_size);
    }
    f->is = true;
    f->size = f->size_was = 0;
    rc = create(bed, call->file);
    return rc == -EXT2DAX_ENOSPC ? 2 : rc;
}

static int do_xattr(struct bed *bed, const struct call *call)
{
    char name[] = {'u', 's', 'e', 'r', '.', (char)('x' + call->blocks)};
    int old = bed->expect->file[call->file].xattr[call->blocks].length;
    unsigned char bytes[EXPECT_MOST];
    int rc;

    if (call->kind == CALL_REMOVE_XATTR) {
        if (old < 0)
            return 2;
        expect_xattr(bed->expect, call->file, call->blocks, NULL, -1);
        return ext2dax_removexattr(bed->inode[call->file], name, sizeof name);
    }
    /* Values differ by call and file, or by nothing, so that blocks are shared. */
    fill_pattern(bytes, (size_t)call->bytes,
                 (unsigned)call->blocks + (bed->base->distinct ? 11 * bed->count + 40 * (unsigned)call->file : 0));
    expect_xattr(bed->expect, call->file, call->blocks, bytes, call->bytes);
    rc = ext2dax_setxattr(bed->inode[call->file], name, sizeof name, bytes, (size_t)call->bytes, 0);
    if (rc != -EXT2DAX_ENOSPC || !bed->base->populated)
        return rc;
    bed->expect->file[call->file].xattr[call->blocks] = bed->start->file[call->file].xattr[call->blocks];
    return 2;
}

/* Returns whether calls of the kind are part of workloads on this base. */
static bool fits_base(const struct base *base, enum call_kind kind)
{
    bool xattr = kind == CALL_SET_XATTR || kind == CALL_REMOVE_XATTR;

    if (!base->xattrs)
        return !xattr;
    return xattr || kind == CALL_UNLINK || kind == CALL_SYNC || kind == CALL_UNMOUNT;
}

static int do_put(struct bed *bed, const struct call *call)
{
    if (!bed->inode[call->file])
        return 2;
    put(bed, call->file);
    expect_synced(bed->expect, call->file);
    bed->unlinked = false;
    return 0;
}

static int do_remount(struct bed *bed)
{
    int rc = ext2dax_remount(bed->mount, EXT2DAX_MOUNT_READ_ONLY);

    if (rc == -EXT2DAX_EBUSY)
        return 2;
    if (rc == 0)
        rc = ext2dax_remount(bed->mount, 0);
    all_synced(bed);
    return rc;
}

static int do_unmount(struct bed *bed)
{
    int rc = close_mount(bed);

    all_synced(bed);
    bed->unlinked = false;
    bed->closed = true;
    return rc;
}

/*
 * Runs a single call.
 *
 * Returns
 *   0    done
 *   1    done in part, for lack of space
 *   2    the call does not fit the state of the filesystem
 *   < 0  an error the call must not return
 */
static int perform(struct bed *bed, const struct call *call)
{
    struct expect_file *f = &bed->expect->file[call->file];
    int rc = 0;

    if (!fits_base(bed->base, call->kind))
        return 2;
    if (call->kind == CALL_CREATE ? f->is || bed->inode[call->file] : call->kind < CALL_PUT && !f->is)
        return 2;
    if (!bed->mount || (call->kind >= CALL_WRITE && call->kind < CALL_PUT && !bed->inode[call->file]) ||
        (bed->frozen && call->kind != CALL_THAW && call->kind != CALL_SYNC && call->kind != CALL_FSYNC &&
         call->kind != CALL_FSYNC_RANGE))
        return 2;
    switch (call->kind) {
    case CALL_CREATE:
        return do_create(bed, call);
    case CALL_UNLINK:
        return do_unlink(bed, call, false);
    case CALL_UNLINK_OPEN:
        return do_unlink(bed, call, true);
    case CALL_WRITE:
        return do_write(bed, call);
    case CALL_STORE:
        return do_store(bed, call);
    case CALL_TRUNCATE:
        return do_truncate(bed, call);
    case CALL_PUNCH:
        return do_punch(bed, call);
    case CALL_ZERO:
        return do_zero(bed, call);
    case CALL_ALLOCATE:
        return do_allocate(bed, call);
    case CALL_SETATTR:
        return do_setattr(bed, call);
    case CALL_SET_XATTR:
    case CALL_REMOVE_XATTR:
        return do_xattr(bed, call);
    case CALL_FSYNC:
        rc = ext2dax_fsync(bed->inode[call->file]);
        synced(bed, call->file);
        return rc;
    case CALL_FSYNC_RANGE:
        return do_fsync_range(bed, call);
    case CALL_PUT:
        return do_put(bed, call);
    case CALL_SYNC:
        rc = ext2dax_sync(bed->mount);
        all_synced(bed);
        return rc;
    case CALL_FREEZE:
        rc = ext2dax_freeze(bed->mount);
        all_synced(bed);
        bed->frozen = true;
        bed->closed = !bed->unlinked;
        return rc;
    case CALL_THAW:
        if (!bed->frozen)
            return 2;
        bed->frozen = bed->closed = false;
        return ext2dax_thaw(bed->mount);
    case CALL_REMOUNT:
        return do_remount(bed);
    case CALL_UNMOUNT:
        return do_unmount(bed);
    }
    return 2;
}

/*
 * Clears the known attributes of all files. Any call except a sync may change the times of more
 * than the file it names.
 */
static void forget_attributes(struct bed *bed)
{
    for (int i = 0; i < EXPECT_FILES; i++)
        bed->expect->file[i].attributes_known = false;
}

static void begin_workload(struct bed *bed)
{
    expect_copy(bed->expect, bed->start);
    ext2dax_crash_judge(bed->crash, NULL, NULL);
    ext2dax_crash_load(bed->crash, bed->image);
    bed->clock = bed->base->small_clock ? SMALL_CLOCK : FIXED_TIME + 1000;
    bed->frozen = bed->unlinked = bed->closed = false;
    bed->strict = bed->settled = false;
    open_mount(bed);
    for (int i = FILE_A; i <= FILE_S; i++) {
        char name[256];

        if (i > FILE_B && !(i == FILE_S && bed->base->xattrs))
            continue;
        must(bed,
             ext2dax_lookup(bed->root, name_of(&bed->expect->file[i], name), bed->expect->file[i].name_length,
                            &bed->inode[i]),
             "lookup");
    }
}

static void end_workload(struct bed *bed)
{
    ext2dax_crash_judge(bed->crash, NULL, NULL);
    if (bed->frozen)
        (void)ext2dax_thaw(bed->mount);
    (void)close_mount(bed);
}

/* Returns whether all earlier changes are durable after the call, in ordered and unordered mode. */
static bool syncs(const struct call *call)
{
    return call->kind == CALL_FSYNC || call->kind == CALL_FSYNC_RANGE || call->kind == CALL_SYNC ||
           call->kind == CALL_FREEZE || call->kind == CALL_UNMOUNT;
}

/* Returns whether the call has set the size of "a", which may have a block exactly at its end. */
static bool settles(const struct bed *bed, const struct call *call)
{
    return call->file == FILE_A &&
           (call->kind == CALL_TRUNCATE || bed->expect->file[FILE_A].size != bed->start->file[FILE_A].size);
}

bool bed_run(struct bed *bed, const struct call *const *calls, unsigned count)
{
    uint64_t findings = bed->tally.findings;
    bool fits = true, whole = true; /* `whole` is true while every call did all of its work */
    int rc = 0;

    bed->calls = calls;
    bed->keeping = true;
    bed->kept_any = false;
    begin_workload(bed);
    for (unsigned i = 0; i < count && fits; i++) {
        bed->count = i + 1;
        bed->expect->inside = true;
        forget_attributes(bed);
        if (i + 1 == count && !bed->base->unordered)
            ext2dax_crash_judge(bed->crash, judge, bed);
        rc = perform(bed, calls[i]);
        fits = rc != 2;
        bed->settled = bed->settled || (rc == 0 && settles(bed, calls[i]));
        whole = whole && rc == 0;
        ext2dax_crash_look(bed->crash);
        expect_returned(bed->expect);
    }
    if (fits && rc < 0) {
        char text[64];

        snprintf(text, sizeof text, "the call fails: %d", rc);
        report(bed, "call", 0, text);
    }
    /*
     * Metadata is durable after a call has returned. Blocks and inodes given back by a failed call
     * may still leak.
     */
    bed->strict = whole;
    if (bed->base->unordered)
        fits = fits && syncs(calls[count - 1]);
    if (fits && bed->tally.findings == findings)
        ext2dax_crash_judge(bed->crash, judge, bed);
    if (fits && bed->tally.findings == findings)
        (void)ext2dax_crash_point(bed->crash);
    end_workload(bed);
    bed->tally.workloads += fits;
    bed->tally.unfit += !fits;
    return fits;
}

void bed_recover(struct bed *bed)
{
    uint64_t findings = bed->tally.findings;

    if (!bed->kept_any || bed->base->unordered)
        return;
    expect_copy(bed->expect, bed->kept_expect);
    bed->keeping = bed->strict = bed->closed = bed->unlinked = bed->settled = false;
    bed->recovering = true;
    ext2dax_crash_load(bed->crash, bed->kept);
    ext2dax_crash_judge(bed->crash, judge, bed);
    open_mount(bed);
    /* After the mount has returned, recovery is complete and durable. */
    bed->strict = bed->settled = true;
    if (bed->tally.findings == findings)
        (void)ext2dax_crash_point(bed->crash);
    ext2dax_crash_judge(bed->crash, NULL, NULL);
    (void)close_mount(bed);
    bed->recovering = false;
    bed->tally.workloads++;
}

void bed_format(struct bed *bed)
{
    struct ext2dax_format_options format = format_options(bed);

    memset(bed->mended, FREE_MARKER, bed->size);
    ext2dax_crash_judge(bed->crash, NULL, NULL);
    /* Formats over an existing filesystem. No part of the old one may remain visible. */
    ext2dax_crash_load(bed->crash, bed->image);
    bed->formatting = bed->expect->inside = true;
    bed->count = 0;
    ext2dax_crash_judge(bed->crash, judge_format, bed);
    must(bed, ext2dax_format(&bed->memory, &format, NULL), "format");
    bed->expect->inside = false;
    (void)ext2dax_crash_point(bed->crash);
    ext2dax_crash_judge(bed->crash, NULL, NULL);
    bed->formatting = false;
    bed->tally.workloads++;
}

const struct tally *bed_tally(const struct bed *bed)
{
    struct bed *own = (struct bed *)(uintptr_t)bed;
    struct ext2dax_crash_figures figures;

    ext2dax_crash_count(bed->crash, &figures);
    own->tally.points = figures.points;
    own->tally.points_whole = figures.points_whole;
    own->tally.unremembered = figures.unremembered;
    return &own->tally;
}

const char *bed_finding(const struct bed *bed)
{
    return bed->finding;
}
