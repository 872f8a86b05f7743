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

struct crash_fixture {
    const struct base *base;
    struct crash_options options;
    size_t size;
    unsigned char *image;    /* the base */
    unsigned char *repaired; /* copy of an image for e2fsck to repair */
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
    bool keeping; /* keep an image for crash_fixture_recover(), with its expectations */
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
    struct crash_fixture *fixture = ctx;

    now->seconds = fixture->clock++;
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
static void must(struct crash_fixture *fixture, int rc, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "%s: %s: %d\n", fixture->base->name, what, rc);
    exit(2);
}

/* ---- checking ---- */

static void report(struct crash_fixture *fixture, const char *checker, char file, const char *what)
{
    size_t at = 0;

    fixture->tally.findings++;
    at += (size_t)snprintf(fixture->finding, sizeof fixture->finding, "%s:", fixture->base->name);
    for (unsigned i = 0; i < fixture->count && at < sizeof fixture->finding; i++)
        at += (size_t)snprintf(fixture->finding + at, sizeof fixture->finding - at, "%s %s", i != 0 ? "," : "",
                               fixture->calls[i]->name);
    if (at < sizeof fixture->finding)
        snprintf(fixture->finding + at, sizeof fixture->finding - at, "%s (%s): %s: %s%.*s%s",
                 fixture->formatting   ? " format"
                 : fixture->recovering ? ", recovery"
                                       : "",
                 fixture->expect->inside ? "while it runs" : "when it has returned", checker, file != 0 ? "\"" : "",
                 file != 0, &file, file != 0 ? "\" " : "");
    at = strlen(fixture->finding);
    snprintf(fixture->finding + at, sizeof fixture->finding - at, "%s", what);
    if (!fixture->options.quiet)
        printf("FINDING %s\n", fixture->finding);
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

static bool passes_check(struct crash_fixture *fixture, const unsigned char *image, unsigned flags)
{
    struct first_finding first = {""};
    unsigned ends = fixture->base->at_end && !fixture->settled ? EXT2DAX_CHECK_ENDS_OK : 0;
    int rc = ext2dax_check_image(image, fixture->size, flags | ends, keep_finding, &first, NULL);

    if (rc == 0)
        return true;
    if (rc < 0)
        snprintf(first.text, sizeof first.text, "cannot be checked: %d", rc);
    report(fixture, "checker", 0, first.text);
    return false;
}

static bool passes_contents(struct crash_fixture *fixture, const unsigned char *image, const char *checker)
{
    char file = 0;
    const char *wrong = expect_check(fixture->expect, image, &file);

    fixture->tally.contents++;
    if (!wrong)
        return true;
    report(fixture, checker, file, wrong);
    return false;
}

static bool passes_fsck(struct crash_fixture *fixture, const unsigned char *image)
{
    const char *wrong;
    int status;

    memcpy(fixture->repaired, image, fixture->size);
    wrong = fsck_repair(fixture->repaired, fixture->size, &status);
    fixture->tally.fscked++;
    if (status == 0 || status == 1)
        fixture->tally.fsck_exit[status]++;
    else
        fixture->tally.fsck_failed++;
    if (wrong) {
        report(fixture, "e2fsck", 0, wrong);
        return false;
    }
    return passes_check(fixture, fixture->repaired, 0) &&
           passes_contents(fixture, fixture->repaired, "contents after e2fsck");
}

/*
 * Returns the check flags for the image. An image marked clean gets none, because e2fsck would not
 * scan it.
 */
static unsigned allowed(const struct crash_fixture *fixture, const unsigned char *image)
{
    if (image_valid(image))
        return 0;
    if (!fixture->strict)
        return EXT2DAX_CHECK_LEAKS_OK;
    return EXT2DAX_CHECK_MOUNTED | (fixture->unlinked ? EXT2DAX_CHECK_UNLINKED_OK : 0);
}

/*
 * Returns whether the image belongs to the e2fsck sample. Excludes images marked clean, because
 * e2fsck would not scan them.
 */
static bool fits_fsck(const struct crash_fixture *fixture, const struct ext2dax_crash_state *state)
{
    return fixture->options.fsck_one_in != 0 && !state->before && state->hash % fixture->options.fsck_one_in == 0 &&
           fixture->tally.fscked < fixture->options.fsck_most && !image_valid(state->image);
}

static int check_state(void *arg, const struct ext2dax_crash_state *state)
{
    struct crash_fixture *fixture = arg;
    const unsigned char *image = state->image;
    unsigned flags = allowed(fixture, image);

    fixture->tally.images++;
    if (fixture->options.only_fsck)
        return fits_fsck(fixture, state) && !passes_fsck(fixture, image);
    if (state->before && flags == EXT2DAX_CHECK_LEAKS_OK) {
        fixture->tally.known++;
    } else {
        fixture->tally.checked += !state->before;
        fixture->tally.known += state->before;
        fixture->tally.strict += flags != EXT2DAX_CHECK_LEAKS_OK;
        if (!passes_check(fixture, image, flags))
            return 1;
    }
    if (fixture->closed && !image_valid(image)) {
        report(fixture, "state", 0, "not marked clean");
        return 1;
    }
    if (fixture->options.only_checker)
        return 0;
    if (!passes_contents(fixture, image, "contents"))
        return 1;
    if (fixture->keeping && !state->before && !image_valid(image) && state->hash % 61 == 0) {
        memcpy(fixture->kept, image, fixture->size);
        expect_copy(fixture->kept_expect, fixture->expect);
        fixture->kept_any = true;
    }
    return fits_fsck(fixture, state) && !passes_fsck(fixture, image);
}

static int check_format(void *arg, const struct ext2dax_crash_state *state)
{
    struct crash_fixture *fixture = arg;
    const unsigned char *image = state->image;
    bool whole = image_get16(&image_super(image)->magic) == EXT2DAX_SUPER_MAGIC;

    fixture->tally.images++;
    fixture->tally.checked += !state->before;
    fixture->tally.known += state->before;
    if (whole)
        return passes_check(fixture, image, 0) ? 0 : 1;
    if (fixture->expect->inside)
        return 0;
    report(fixture, "state", 0, "no filesystem");
    return 1;
}

/* ---- the base ---- */

static void open_mount(struct crash_fixture *fixture)
{
    struct ext2dax_plugs plugs = {
        .locks = ext2dax_locks_by_name("none"), .memory = fixture->memory, .host = {&host_ops, fixture}};
    struct ext2dax_mount_options options = {.size = sizeof options,
                                            .flags = fixture->base->discard ? EXT2DAX_MOUNT_DISCARD : 0,
                                            .page_shift = fixture->base->block_size == 1024 ? 10 : 12,
                                            .huge_order = HUGE_ORDER,
                                            .order = fixture->base->unordered ? EXT2DAX_UNORDERED : EXT2DAX_ORDERED,
                                            .recover = ext2dax_recover};

    fixture->model =
        ext2dax_model_open(&fixture->memory, plugs.locks, (uint32_t)1 << options.page_shift, options.huge_order);
    if (!fixture->model)
        must(fixture, -EXT2DAX_ENOMEM, "model");
    plugs.address_space = ext2dax_model_address_space(fixture->model);
    must(fixture, ext2dax_mount(&plugs, &options, &fixture->mount), "mount");
    must(fixture, ext2dax_inode_get(fixture->mount, EXT2DAX_ROOT_INODE, &fixture->root), "root");
}

static void put(struct crash_fixture *fixture, int file)
{
    if (file == FILE_A && fixture->map) {
#if CRASH_FAULTS
        ext2dax_model_unmap(fixture->map);
#endif
        fixture->map = NULL;
    }
    if (fixture->inode[file])
        ext2dax_inode_put(fixture->inode[file]);
    fixture->inode[file] = NULL;
}

static int close_mount(struct crash_fixture *fixture)
{
    int rc;

    for (int i = 0; i < EXPECT_FILES; i++)
        put(fixture, i);
    if (fixture->root)
        ext2dax_inode_put(fixture->root);
    fixture->root = NULL;
    rc = fixture->mount ? ext2dax_unmount(fixture->mount) : 0;
    fixture->mount = NULL;
    if (fixture->model)
        ext2dax_model_close(fixture->model);
    fixture->model = NULL;
    return rc;
}

static const char *name_of(const struct expect_file *f, char *name)
{
    memset(name, f->letter, f->name_length);
    return name;
}

static int create(struct crash_fixture *fixture, int file)
{
    char name[256];

    return ext2dax_create(fixture->root, name_of(&fixture->expect->file[file], name),
                          fixture->expect->file[file].name_length, 0644, 0, 0, &fixture->inode[file]);
}

static void fill_pattern(unsigned char *to, size_t length, unsigned kind)
{
    for (size_t i = 0; i < length; i++)
        /* neither zero nor a marker */
        to[i] = (unsigned char)(1 + (kind * 37 + i / 8 * 5 + i) % 0x9F);
}

static uint64_t edge_of(const struct crash_fixture *fixture, int file)
{
    return (uint64_t)(file == FILE_A ? fixture->base->edge : 2) * fixture->base->block_size;
}

static void base_write(struct crash_fixture *fixture, int file, uint64_t at, size_t length)
{
    unsigned char *bytes = malloc(length);

    fill_pattern(bytes, length, (unsigned)file);
    if (ext2dax_write(fixture->inode[file], at, bytes, length) != (int64_t)length)
        must(fixture, -1, "writing the base");
    expect_store(fixture->expect, file, at, bytes, length);
    fixture->expect->file[file].size = at + length;
    free(bytes);
}

/* Makes "d" a second name of "b" and frees the inode of "d". */
static void link_d_to_b(struct crash_fixture *fixture)
{
    unsigned char *image = fixture->image;
    uint32_t size = fixture->base->block_size;
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
static void mark_tail(struct crash_fixture *fixture, int file)
{
    const struct expect_file *f = &fixture->expect->file[file];
    uint32_t size = fixture->base->block_size, into = (uint32_t)(f->size % size), block;

    block = ext2dax_check_block(fixture->image, fixture->size,
                                image_get32(&image_entry(fixture->image, size, f->letter, f->name_length)->inode),
                                f->size / size);
    memset(fixture->image + (size_t)block * size + into, TAIL_MARKER, size - into);
}

static void make_files(struct crash_fixture *fixture)
{
    const struct base *base = fixture->base;
    uint64_t edge = edge_of(fixture, FILE_A);
    struct ext2dax_statfs figures;

    fixture->expect->file[FILE_A].first = base->edge - EXPECT_BLOCKS / 2;
    for (int i = FILE_A; i <= FILE_B; i++)
        must(fixture, create(fixture, i), "create");
    must(fixture, create(fixture, FILE_D), "create");
    if (base->xattrs) {
        must(fixture, create(fixture, FILE_S), "create");
        fixture->expect->file[FILE_S].is = true;
    }
    for (int i = FILE_L; i <= FILE_N && base->names; i++) {
        must(fixture, create(fixture, i), "create");
        fixture->expect->file[i].is = true;
    }
    if (base->unused) {
        char name[256];

        must(fixture, create(fixture, FILE_X), "create");
        put(fixture, FILE_X);
        must(fixture, ext2dax_unlink(fixture->root, name_of(&fixture->expect->file[FILE_X], name), 240), "unlink");
    }
    base_write(fixture, FILE_A, edge - 2 * base->block_size, 2 * base->block_size - (base->at_end ? 0 : 104));
    /* patch_image() sets the size back, so this block begins exactly at the end of file. */
    if (base->at_end && ext2dax_write(fixture->inode[FILE_A], edge + base->block_size - 1, "x", 1) != 1)
        must(fixture, -1, "writing the block at the end");
    base_write(fixture, FILE_B, 0, base->block_size + 40);
    fixture->expect->file[FILE_A].is = fixture->expect->file[FILE_B].is = fixture->expect->file[FILE_D].is = true;
    if (!base->full)
        return;
    ext2dax_statfs(fixture->mount, &figures, sizeof(figures));
    must(fixture, create(fixture, FILE_L), "create");
    fixture->expect->file[FILE_L].is = true;
    /* The file takes a single pointer block and leaves two blocks free. */
    for (uint64_t at = 0; at < figures.free_blocks - 3; at++)
        if (ext2dax_write(fixture->inode[FILE_L], at * base->block_size, "x", 1) != 1)
            must(fixture, -1, "filling the base");
    fixture->expect->file[FILE_L].size = (figures.free_blocks - 4) * base->block_size + 1;
    expect_store(fixture->expect, FILE_L, 0, "x", 1);
    for (uint64_t at = 1; at < EXPECT_BLOCKS; at++)
        expect_store(fixture->expect, FILE_L, at * base->block_size, "x", 1);
}

/* Turns the last block of the image into an extended attribute block shared by "a" and "b". */
static void share_attributes(struct crash_fixture *fixture)
{
    uint32_t size = fixture->base->block_size, block = fixture->base->blocks - 1, bit = block - (size == 1024);
    struct ext2dax_disk_group *group = (void *)(fixture->image + (size_t)size * (size == 1024 ? 2 : 1));
    struct ext2dax_disk_super *super = image_super(fixture->image);
    unsigned char *header = fixture->image + (size_t)block * size;

    memset(header, 0, size);
    image_put32(header, XATTR_MAGIC);
    image_put32(header + 4, 2); /* references */
    image_put32(header + 8, 1); /* blocks */
    fixture->image[(size_t)image_get32(&group->block_bitmap) * size + bit / 8] |= (unsigned char)(1u << bit % 8);
    image_put16(&group->free_blocks, image_get16(&group->free_blocks) - 1);
    image_put32(&super->free_blocks, image_get32(&super->free_blocks) - 1);
    for (const char *name = "ab"; *name != '\0'; name++) {
        struct ext2dax_disk_inode *inode =
            image_inode(fixture->image, size, image_get32(&image_entry(fixture->image, size, *name, 1)->inode));

        image_put32(&inode->file_acl, block);
        image_put32(&inode->sectors, image_get32(&inode->sectors) + size / 512);
    }
}

/* Gives every inode of 256 bytes the extra words of times. New inodes have them too. */
static void widen_inodes(struct crash_fixture *fixture)
{
    struct ext2dax_disk_super *super = image_super(fixture->image);

    image_put32(&super->ro_compat, image_get32(&super->ro_compat) | EXT2DAX_RO_COMPAT_EXTRA_ISIZE);
    image_put16(&super->want_extra_isize, sizeof(struct ext2dax_disk_inode_tail));
    image_put16(&super->min_extra_isize, sizeof(struct ext2dax_disk_inode_tail));
    for (uint32_t number = 1; number <= INODES; number++) {
        struct ext2dax_disk_inode *inode = image_inode(fixture->image, fixture->base->block_size, number);
        struct ext2dax_disk_inode_tail *tail = (void *)(inode + 1);

        if (image_get16(&inode->links) != 0)
            image_put16(&tail->extra_isize, sizeof *tail);
    }
}

/*
 * Turns "s" into a fast symbolic link. Gives the inodes of "a" and "s" room for attributes, with
 * old bytes there, where inodes are larger than 128 bytes.
 */
static void prepare_xattrs(struct crash_fixture *fixture)
{
    uint32_t size = fixture->base->block_size, inode_size = image_get16(&image_super(fixture->image)->inode_size);
    struct ext2dax_disk_dirent *link = image_entry(fixture->image, size, 's', 1);
    struct ext2dax_disk_inode *inode = image_inode(fixture->image, size, image_get32(&link->inode));

    link->type = EXT2DAX_FT_LNK;
    image_put16(&inode->mode, EXT2DAX_S_IFLNK | 0777);
    image_put32(&inode->size, 6);
    memcpy(inode->block, "target", 6);
    for (const char *name = "as"; *name != '\0' && inode_size > sizeof *inode; name++) {
        unsigned char *tail;

        inode = image_inode(fixture->image, size, image_get32(&image_entry(fixture->image, size, *name, 1)->inode));
        tail = (unsigned char *)(inode + 1);
        /* The magic number and the first entry lie in different words of 8 bytes. */
        image_put16(tail, 28);
        memset(tail + 28, FREE_MARKER, inode_size - sizeof *inode - 28);
    }
}

static void patch_image(struct crash_fixture *fixture)
{
    struct ext2dax_disk_super *super = image_super(fixture->image);
    struct ext2dax_disk_inode *root = image_inode(fixture->image, fixture->base->block_size, EXT2DAX_ROOT_INODE);

    if (fixture->base->at_end)
        image_put32(&image_inode(fixture->image, fixture->base->block_size,
                                 image_get32(&image_entry(fixture->image, fixture->base->block_size, 'a', 1)->inode))
                         ->size,
                    (uint32_t)edge_of(fixture, FILE_A));
    link_d_to_b(fixture);
    mark_tail(fixture, FILE_A);
    mark_tail(fixture, FILE_B);
    image_put32(&super->ro_compat, image_get32(&super->ro_compat) & ~EXT2DAX_RO_COMPAT_LARGE_FILE);
    for (uint32_t number = EXT2DAX_FIRST_INODE_REV0 + 1; number <= INODES; number++) {
        struct ext2dax_disk_inode *inode = image_inode(fixture->image, fixture->base->block_size, number);

        if (image_get16(&inode->links) == 0)
            memset(inode + 1, FREE_MARKER, image_get16(&super->inode_size) - sizeof *inode);
    }
    if (image_wide(fixture->image))
        widen_inodes(fixture);
    if (fixture->base->attributes)
        share_attributes(fixture);
    if (fixture->base->xattrs)
        prepare_xattrs(fixture);
    if (fixture->base->indexed)
        image_put32(&root->flags, image_get32(&root->flags) | EXT2DAX_FL_INDEX);
}

static struct ext2dax_format_options format_options(const struct crash_fixture *fixture)
{
    return (struct ext2dax_format_options){.size = sizeof(struct ext2dax_format_options),
                                           .block_size = fixture->base->block_size,
                                           .inodes = INODES,
                                           /* the first attribute sets the feature */
                                           .without = fixture->base->xattrs ? EXT2DAX_COMPAT_EXT_ATTR : 0,
                                           .time = FIXED_TIME};
}

/* The large attribute leaves no room in the block for the others, which lie in the inode. */
static void populate(struct crash_fixture *fixture)
{
    static const int lengths[EXPECT_XATTRS] = {9, 4, 4036};
    unsigned char bytes[EXPECT_MOST];
    char name[] = "user.x";

    ext2dax_crash_load(fixture->crash, fixture->image);
    open_mount(fixture);
    must(fixture, ext2dax_lookup(fixture->root, "a", 1, &fixture->inode[FILE_A]), "lookup");
    for (int i = 0; i < EXPECT_XATTRS; i++) {
        name[5] = (char)('x' + i);
        fill_pattern(bytes, (size_t)lengths[i], (unsigned)i);
        must(fixture, ext2dax_setxattr(fixture->inode[FILE_A], name, 6, bytes, (size_t)lengths[i], 0), "attribute");
        expect_xattr(fixture->expect, FILE_A, i, bytes, lengths[i]);
    }
    must(fixture, close_mount(fixture), "unmount");
    memcpy(fixture->image, fixture->memory.base, fixture->size);
}

static void make_base(struct crash_fixture *fixture)
{
    struct ext2dax_format_options format = format_options(fixture);

    memset(fixture->image, FREE_MARKER, fixture->size);
    ext2dax_crash_load(fixture->crash, fixture->image);
    must(fixture, ext2dax_format(&fixture->memory, &format, NULL), "format");
    fixture->clock = fixture->base->small_clock ? SMALL_CLOCK : FIXED_TIME;
    open_mount(fixture);
    make_files(fixture);
    must(fixture, close_mount(fixture), "unmount");
    memcpy(fixture->image, fixture->memory.base, fixture->size);
    patch_image(fixture);
    fixture->expect->xattrs = fixture->base->xattrs;
    if (fixture->base->populated)
        populate(fixture);
    for (int i = 0; i < EXPECT_FILES; i++)
        expect_synced(fixture->expect, i);
    expect_returned(fixture->expect);
    fixture->expect->indexed = fixture->base->indexed;
    fixture->strict = true;
    if (!passes_check(fixture, fixture->image, 0) || !passes_contents(fixture, fixture->image, "contents of the base"))
        must(fixture, -1, fixture->finding);
    expect_copy(fixture->start, fixture->expect);
}

struct crash_fixture *crash_fixture_open(const struct base *base, const struct crash_options *options)
{
    struct ext2dax_crash_options crash = {.size = sizeof crash,
                                          .bytes = (size_t)base->block_size * base->blocks,
                                          .line = options->line,
                                          .all_up_to = options->all_up_to,
                                          .sample = options->sample,
                                          .seed = options->seed,
                                          .remember_log = options->remember_log,
                                          .discard = base->discard};
    struct crash_fixture *fixture = calloc(1, sizeof *fixture);

    fixture->base = base;
    fixture->options = *options;
    fixture->size = crash.bytes;
    fixture->image = aligned_alloc(64, fixture->size);
    fixture->repaired = aligned_alloc(64, fixture->size);
    fixture->expect = malloc(sizeof *fixture->expect);
    fixture->start = malloc(sizeof *fixture->start);
    fixture->kept = aligned_alloc(64, fixture->size);
    fixture->kept_expect = malloc(sizeof *fixture->kept_expect);
    must(fixture, ext2dax_crash_open(&crash, &fixture->memory, &fixture->crash), "memory");
    expect_open(fixture->expect, base->block_size);
    make_base(fixture);
    return fixture;
}

void crash_fixture_close(struct crash_fixture *fixture)
{
    ext2dax_crash_close(fixture->crash);
    free(fixture->kept_expect);
    free(fixture->kept);
    free(fixture->start);
    free(fixture->expect);
    free(fixture->repaired);
    free(fixture->image);
    free(fixture);
}

/* ---- calls ---- */

static const struct ext2dax_disk_inode *disk_of(struct crash_fixture *fixture, int file)
{
    struct ext2dax_stat figures;

    ext2dax_stat(fixture->inode[file], &figures, sizeof(figures));
    return image_inode(fixture->memory.base, fixture->base->block_size, figures.number);
}

static void attributes_synced(struct crash_fixture *fixture, int file)
{
    struct expect_file *f = &fixture->expect->file[file];

    if (!fixture->inode[file] || !f->is)
        return;
    f->attributes_known = true;
    image_attributes(fixture->memory.base, disk_of(fixture, file), f->attributes);
    memcpy(f->attributes_was, f->attributes, sizeof f->attributes);
}

static void synced(struct crash_fixture *fixture, int file)
{
    expect_synced(fixture->expect, file);
    attributes_synced(fixture, file);
}

static void all_synced(struct crash_fixture *fixture)
{
    for (int i = 0; i < EXPECT_FILES; i++)
        synced(fixture, i);
}

static uint64_t place_of(const struct crash_fixture *fixture, const struct call *call)
{
    if (call->absolute != 0)
        return call->absolute == UINT64_MAX ? 0 : call->absolute;
    return edge_of(fixture, call->file) + (uint64_t)((int64_t)call->blocks * fixture->base->block_size + call->bytes);
}

static uint64_t length_of(const struct crash_fixture *fixture, const struct call *call)
{
    return (uint64_t)call->length_blocks * fixture->base->block_size + call->length_bytes;
}

static uint64_t size_now(struct crash_fixture *fixture, int file)
{
    struct ext2dax_stat figures;

    ext2dax_stat(fixture->inode[file], &figures, sizeof(figures));
    return figures.size;
}

/*
 * Corrects the expected size after a call which failed or did only a part. The part not done is
 * unchanged, except that zeroed blocks may have been allocated there.
 */
static void settle_size(struct crash_fixture *fixture, int file)
{
    struct expect_file *f = &fixture->expect->file[file];
    uint64_t size = size_now(fixture, file);

    if (size < f->size)
        expect_zero(fixture->expect, file, size, f->size);
    f->size = size;
}

static int do_write(struct crash_fixture *fixture, const struct call *call)
{
    struct expect_file *f = &fixture->expect->file[call->file];
    uint64_t at = place_of(fixture, call), length = length_of(fixture, call);
    unsigned char *bytes = malloc(length);
    int64_t done;

    /* Each call of the workload writes different bytes. */
    fill_pattern(bytes, length, (unsigned)(call->file + 8 * (int)fixture->count + 3 * (call->blocks + 9)));
    expect_store(fixture->expect, call->file, at, bytes, length);
    if (at + length > f->size) {
        f->size = at + length;
        f->any_size = fixture->base->full;
    }
    done = ext2dax_write(fixture->inode[call->file], at, bytes, length);
    if (done != (int64_t)length) {
        expect_undo(fixture->expect, call->file, at, length);
        if (done > 0)
            expect_store(fixture->expect, call->file, at, bytes, (uint64_t)done);
        settle_size(fixture, call->file);
    }
    free(bytes);
    if (done == (int64_t)length)
        return 0;
    return done == -EXT2DAX_ENOSPC || done > 0 ? 1 : (int)done;
}

static int do_allocate(struct crash_fixture *fixture, const struct call *call)
{
    struct expect_file *f = &fixture->expect->file[call->file];
    uint64_t end = place_of(fixture, call) + length_of(fixture, call);
    int rc;

    if (end > f->size) {
        f->size = end;
        f->any_size = fixture->base->full;
    }
    rc = ext2dax_allocate(fixture->inode[call->file], place_of(fixture, call), length_of(fixture, call), false);
    settle_size(fixture, call->file);
    return rc == -EXT2DAX_ENOSPC ? 1 : rc;
}

#if CRASH_FAULTS
static int do_store(struct crash_fixture *fixture, const struct call *call)
{
    uint64_t at = place_of(fixture, call), length = length_of(fixture, call);
    unsigned char bytes[256];
    enum ext2dax_fault_result result;

    if (at + length > fixture->expect->file[call->file].size)
        return 2;
    fill_pattern(bytes, length, (unsigned)(17 + fixture->count));
    expect_store(fixture->expect, call->file, at, bytes, length);
    if (!fixture->map)
        fixture->map = ext2dax_model_map(fixture->model, fixture->inode[FILE_A],
                                         fixture->base->edge - EXPECT_BLOCKS / 2, EXPECT_BLOCKS, true, true);
    result = ext2dax_model_write(fixture->map, at, bytes, length, false, false);
    if (result == EXT2DAX_FAULT_NOPAGE)
        return 0;
    expect_undo(fixture->expect, call->file, at, length);
    return result == EXT2DAX_FAULT_SIGBUS && fixture->base->full ? 1 : -EXT2DAX_EIO;
}

#else
static int do_store(struct crash_fixture *fixture, const struct call *call)
{
    (void)fixture;
    (void)call;
    return 2; /* this build serves no faults */
}
#endif

static int do_truncate(struct crash_fixture *fixture, const struct call *call)
{
    struct expect_file *f = &fixture->expect->file[call->file];
    uint64_t size = place_of(fixture, call), old = f->size;
    int rc;

    if (size < old)
        expect_store(fixture->expect, call->file, size, NULL, old - size);
    f->size = size;
    rc = ext2dax_truncate(fixture->inode[call->file], size);
    if (rc == 0 && size < old)
        expect_zero(fixture->expect, call->file, size, old);
    return rc;
}

static int do_punch(struct crash_fixture *fixture, const struct call *call)
{
    uint64_t from = place_of(fixture, call), to = from + length_of(fixture, call);
    uint64_t size = fixture->expect->file[call->file].size;
    int rc;

    to = to < size ? to : size;
    if (from >= to)
        return 2;
    expect_store(fixture->expect, call->file, from, NULL, to - from);
    rc = ext2dax_punch(fixture->inode[call->file], from, to - from);
    if (rc == 0)
        expect_zero(fixture->expect, call->file, from, to);
    return rc;
}

/* Zeroes in place. The zeroes are data over existing blocks, and a crash may keep old bytes. */
static int do_zero(struct crash_fixture *fixture, const struct call *call)
{
    uint64_t from = place_of(fixture, call), to = from + length_of(fixture, call);
    uint64_t size = fixture->expect->file[call->file].size;

    to = to < size ? to : size;
    if (from >= to)
        return 2;
    expect_store(fixture->expect, call->file, from, NULL, to - from);
    return ext2dax_zero_range(fixture->inode[call->file], from, length_of(fixture, call));
}

/* Syncs the PMD ranges which cover the range. Blocks in other PMD ranges keep their versions. */
static int do_fsync_range(struct crash_fixture *fixture, const struct call *call)
{
    uint64_t from = place_of(fixture, call), length = length_of(fixture, call);
    uint64_t range = (uint64_t)fixture->base->block_size << HUGE_ORDER;
    int rc = ext2dax_fsync_range(fixture->inode[call->file], from, length);

    expect_synced_range(fixture->expect, call->file, from & ~(range - 1), (from + length + range - 1) & ~(range - 1));
    attributes_synced(fixture, call->file);
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
static int do_setattr(struct crash_fixture *fixture, const struct call *call)
{
    struct expect_file *f = &fixture->expect->file[call->file];
    bool wide = image_wide(fixture->memory.base);
    int64_t epoch = wide ? (int64_t)fixture->count << 32 : 0;
    uint32_t count = fixture->count;
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

    image_attributes(fixture->memory.base, disk_of(fixture, call->file), f->attributes);
    memcpy(f->attributes_was, f->attributes, sizeof f->attributes);
    expect_attributes(f->attributes, &wanted, wide);
    f->attributes_known = true;
    return ext2dax_setattr(fixture->inode[call->file], &wanted);
}

/*
 * Removes a name. Unless `open` is set, puts the reference to the file first, which writes dirty
 * data back. Removing the last name then frees the file.
 */
static int do_unlink(struct crash_fixture *fixture, const struct call *call, bool open)
{
    struct expect_file *f = &fixture->expect->file[call->file];
    char name[256];

    if (open && !fixture->inode[call->file])
        return 2;
    if (!open && fixture->inode[call->file]) {
        put(fixture, call->file);
        expect_synced(fixture->expect, call->file);
    }
    f->is = false;
    fixture->unlinked = fixture->unlinked || open;
    return ext2dax_unlink(fixture->root, name_of(f, name), f->name_length);
}

static int do_create(struct crash_fixture *fixture, const struct call *call)
{
    struct expect_file *f = &fixture->expect->file[call->file];
    int rc;

    /* A new file created under an old name has none of the old file's bytes. */
    for (int i = 0; i < EXPECT_BLOCKS; i++) {
        f->block[i].versions = 1;
        f->block[i].untouched = true;
        memset(f->block[i].version[0], 0, fixture->base->block_size);
    }
    f->is = true;
    f->size = f->size_was = 0;
    rc = create(fixture, call->file);
    return rc == -EXT2DAX_ENOSPC ? 2 : rc;
}

static int do_xattr(struct crash_fixture *fixture, const struct call *call)
{
    char name[] = {'u', 's', 'e', 'r', '.', (char)('x' + call->blocks)};
    int old = fixture->expect->file[call->file].xattr[call->blocks].length;
    unsigned char bytes[EXPECT_MOST];
    int rc;

    if (call->kind == CALL_REMOVE_XATTR) {
        if (old < 0)
            return 2;
        expect_xattr(fixture->expect, call->file, call->blocks, NULL, -1);
        return ext2dax_removexattr(fixture->inode[call->file], name, sizeof name);
    }
    /* Values differ by call and file, or by nothing, so that blocks are shared. */
    fill_pattern(bytes, (size_t)call->bytes,
                 (unsigned)call->blocks +
                     (fixture->base->distinct ? 11 * fixture->count + 40 * (unsigned)call->file : 0));
    expect_xattr(fixture->expect, call->file, call->blocks, bytes, call->bytes);
    rc = ext2dax_setxattr(fixture->inode[call->file], name, sizeof name, bytes, (size_t)call->bytes, 0);
    if (rc != -EXT2DAX_ENOSPC || !fixture->base->populated)
        return rc;
    fixture->expect->file[call->file].xattr[call->blocks] = fixture->start->file[call->file].xattr[call->blocks];
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

static int do_put(struct crash_fixture *fixture, const struct call *call)
{
    if (!fixture->inode[call->file])
        return 2;
    put(fixture, call->file);
    expect_synced(fixture->expect, call->file);
    fixture->unlinked = false;
    return 0;
}

static int do_remount(struct crash_fixture *fixture)
{
    int rc = ext2dax_remount(fixture->mount, EXT2DAX_MOUNT_READ_ONLY);

    if (rc == -EXT2DAX_EBUSY)
        return 2;
    if (rc == 0)
        rc = ext2dax_remount(fixture->mount, 0);
    all_synced(fixture);
    return rc;
}

static int do_unmount(struct crash_fixture *fixture)
{
    int rc = close_mount(fixture);

    all_synced(fixture);
    fixture->unlinked = false;
    fixture->closed = true;
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
static int perform(struct crash_fixture *fixture, const struct call *call)
{
    struct expect_file *f = &fixture->expect->file[call->file];
    int rc = 0;

    if (!fits_base(fixture->base, call->kind))
        return 2;
    if (call->kind == CALL_CREATE ? f->is || fixture->inode[call->file] : call->kind < CALL_PUT && !f->is)
        return 2;
    if (!fixture->mount || (call->kind >= CALL_WRITE && call->kind < CALL_PUT && !fixture->inode[call->file]) ||
        (fixture->frozen && call->kind != CALL_THAW && call->kind != CALL_SYNC && call->kind != CALL_FSYNC &&
         call->kind != CALL_FSYNC_RANGE))
        return 2;
    switch (call->kind) {
    case CALL_CREATE:
        return do_create(fixture, call);
    case CALL_UNLINK:
        return do_unlink(fixture, call, false);
    case CALL_UNLINK_OPEN:
        return do_unlink(fixture, call, true);
    case CALL_WRITE:
        return do_write(fixture, call);
    case CALL_STORE:
        return do_store(fixture, call);
    case CALL_TRUNCATE:
        return do_truncate(fixture, call);
    case CALL_PUNCH:
        return do_punch(fixture, call);
    case CALL_ZERO:
        return do_zero(fixture, call);
    case CALL_ALLOCATE:
        return do_allocate(fixture, call);
    case CALL_SETATTR:
        return do_setattr(fixture, call);
    case CALL_SET_XATTR:
    case CALL_REMOVE_XATTR:
        return do_xattr(fixture, call);
    case CALL_FSYNC:
        rc = ext2dax_fsync(fixture->inode[call->file]);
        synced(fixture, call->file);
        return rc;
    case CALL_FSYNC_RANGE:
        return do_fsync_range(fixture, call);
    case CALL_PUT:
        return do_put(fixture, call);
    case CALL_SYNC:
        rc = ext2dax_sync(fixture->mount);
        all_synced(fixture);
        return rc;
    case CALL_FREEZE:
        rc = ext2dax_freeze(fixture->mount);
        all_synced(fixture);
        fixture->frozen = true;
        fixture->closed = !fixture->unlinked;
        return rc;
    case CALL_THAW:
        if (!fixture->frozen)
            return 2;
        fixture->frozen = fixture->closed = false;
        return ext2dax_thaw(fixture->mount);
    case CALL_REMOUNT:
        return do_remount(fixture);
    case CALL_UNMOUNT:
        return do_unmount(fixture);
    }
    return 2;
}

/*
 * Clears the known attributes of all files. Any call except a sync may change the times of more
 * than the file it names.
 */
static void forget_attributes(struct crash_fixture *fixture)
{
    for (int i = 0; i < EXPECT_FILES; i++)
        fixture->expect->file[i].attributes_known = false;
}

static void begin_workload(struct crash_fixture *fixture)
{
    expect_copy(fixture->expect, fixture->start);
    ext2dax_crash_check(fixture->crash, NULL, NULL);
    ext2dax_crash_load(fixture->crash, fixture->image);
    fixture->clock = fixture->base->small_clock ? SMALL_CLOCK : FIXED_TIME + 1000;
    fixture->frozen = fixture->unlinked = fixture->closed = false;
    fixture->strict = fixture->settled = false;
    open_mount(fixture);
    for (int i = FILE_A; i <= FILE_S; i++) {
        char name[256];

        if (i > FILE_B && !(i == FILE_S && fixture->base->xattrs))
            continue;
        must(fixture,
             ext2dax_lookup(fixture->root, name_of(&fixture->expect->file[i], name),
                            fixture->expect->file[i].name_length, &fixture->inode[i]),
             "lookup");
    }
}

static void end_workload(struct crash_fixture *fixture)
{
    ext2dax_crash_check(fixture->crash, NULL, NULL);
    if (fixture->frozen)
        (void)ext2dax_thaw(fixture->mount);
    (void)close_mount(fixture);
}

/* Returns whether all earlier changes are durable after the call, in ordered and unordered mode. */
static bool syncs(const struct call *call)
{
    return call->kind == CALL_FSYNC || call->kind == CALL_FSYNC_RANGE || call->kind == CALL_SYNC ||
           call->kind == CALL_FREEZE || call->kind == CALL_UNMOUNT;
}

/* Returns whether the call has set the size of "a", which may have a block exactly at its end. */
static bool settles(const struct crash_fixture *fixture, const struct call *call)
{
    return call->file == FILE_A &&
           (call->kind == CALL_TRUNCATE || fixture->expect->file[FILE_A].size != fixture->start->file[FILE_A].size);
}

bool crash_fixture_run(struct crash_fixture *fixture, const struct call *const *calls, unsigned count)
{
    uint64_t findings = fixture->tally.findings;
    bool fits = true, whole = true; /* `whole` is true while every call did all of its work */
    int rc = 0;

    fixture->calls = calls;
    fixture->keeping = true;
    fixture->kept_any = false;
    begin_workload(fixture);
    for (unsigned i = 0; i < count && fits; i++) {
        fixture->count = i + 1;
        fixture->expect->inside = true;
        forget_attributes(fixture);
        if (i + 1 == count && !fixture->base->unordered)
            ext2dax_crash_check(fixture->crash, check_state, fixture);
        rc = perform(fixture, calls[i]);
        fits = rc != 2;
        fixture->settled = fixture->settled || (rc == 0 && settles(fixture, calls[i]));
        whole = whole && rc == 0;
        ext2dax_crash_look(fixture->crash);
        expect_returned(fixture->expect);
    }
    if (fits && rc < 0) {
        char text[64];

        snprintf(text, sizeof text, "the call fails: %d", rc);
        report(fixture, "call", 0, text);
    }
    /*
     * Metadata is durable after a call has returned. Blocks and inodes given back by a failed call
     * may still leak.
     */
    fixture->strict = whole;
    if (fixture->base->unordered)
        fits = fits && syncs(calls[count - 1]);
    if (fits && fixture->tally.findings == findings)
        ext2dax_crash_check(fixture->crash, check_state, fixture);
    if (fits && fixture->tally.findings == findings)
        (void)ext2dax_crash_point(fixture->crash);
    end_workload(fixture);
    fixture->tally.workloads += fits;
    fixture->tally.unfit += !fits;
    return fits;
}

void crash_fixture_recover(struct crash_fixture *fixture)
{
    uint64_t findings = fixture->tally.findings;

    if (!fixture->kept_any || fixture->base->unordered)
        return;
    expect_copy(fixture->expect, fixture->kept_expect);
    fixture->keeping = fixture->strict = fixture->closed = fixture->unlinked = fixture->settled = false;
    fixture->recovering = true;
    ext2dax_crash_load(fixture->crash, fixture->kept);
    ext2dax_crash_check(fixture->crash, check_state, fixture);
    open_mount(fixture);
    /* After the mount has returned, recovery is complete and durable. */
    fixture->strict = fixture->settled = true;
    if (fixture->tally.findings == findings)
        (void)ext2dax_crash_point(fixture->crash);
    ext2dax_crash_check(fixture->crash, NULL, NULL);
    (void)close_mount(fixture);
    fixture->recovering = false;
    fixture->tally.workloads++;
}

void crash_fixture_format(struct crash_fixture *fixture)
{
    struct ext2dax_format_options format = format_options(fixture);

    memset(fixture->repaired, FREE_MARKER, fixture->size);
    ext2dax_crash_check(fixture->crash, NULL, NULL);
    /* Formats over an existing filesystem. No part of the old one may remain visible. */
    ext2dax_crash_load(fixture->crash, fixture->image);
    fixture->formatting = fixture->expect->inside = true;
    fixture->count = 0;
    ext2dax_crash_check(fixture->crash, check_format, fixture);
    must(fixture, ext2dax_format(&fixture->memory, &format, NULL), "format");
    fixture->expect->inside = false;
    (void)ext2dax_crash_point(fixture->crash);
    ext2dax_crash_check(fixture->crash, NULL, NULL);
    fixture->formatting = false;
    fixture->tally.workloads++;
}

const struct tally *crash_fixture_tally(const struct crash_fixture *fixture)
{
    struct crash_fixture *own = (struct crash_fixture *)(uintptr_t)fixture;
    struct ext2dax_crash_figures figures;

    ext2dax_crash_count(fixture->crash, &figures);
    own->tally.points = figures.points;
    own->tally.points_whole = figures.points_whole;
    own->tally.unremembered = figures.unremembered;
    return &own->tally;
}

const char *crash_fixture_finding(const struct crash_fixture *fixture)
{
    return fixture->finding;
}
