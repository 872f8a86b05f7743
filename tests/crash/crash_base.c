/* SPDX-License-Identifier: MIT */
/* The bases of the crash fixture. Each is a small filesystem, partly made by editing bytes. */
#include "crash_parts.h"

#include <stdlib.h>
#include <string.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/ondisk.h"
#include "ext2dax/testkit/checker.h"
#include "../host_ops.h"

#define TAIL_MARKER 0xDB /* content of a file's last block past the end of file */
#define INODES      24
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

/* ---- the base ---- */

void crash_open_mount(struct crash_fixture *fixture)
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
        crash_must(fixture, -EXT2DAX_ENOMEM, "model");
    plugs.address_space = ext2dax_model_address_space(fixture->model);
    crash_must(fixture, ext2dax_mount(&plugs, &options, &fixture->mount), "mount");
    crash_must(fixture, ext2dax_inode_get(fixture->mount, EXT2DAX_ROOT_INODE, &fixture->root), "root");
}

void crash_put(struct crash_fixture *fixture, int file)
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

int crash_close_mount(struct crash_fixture *fixture)
{
    int rc;

    for (int i = 0; i < EXPECT_FILES; i++)
        crash_put(fixture, i);
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

const char *crash_name(const struct expect_file *f, char *name)
{
    memset(name, f->letter, f->name_length);
    return name;
}

int crash_create(struct crash_fixture *fixture, int file)
{
    char name[256];

    return ext2dax_create(fixture->root, crash_name(&fixture->expect->file[file], name),
                          fixture->expect->file[file].name_length, 0644, 0, 0, &fixture->inode[file]);
}

void crash_fill(unsigned char *to, size_t length, unsigned kind)
{
    for (size_t i = 0; i < length; i++)
        /* neither zero nor a marker */
        to[i] = (unsigned char)(1 + (kind * 37 + i / 8 * 5 + i) % 0x9F);
}

uint64_t crash_edge(const struct crash_fixture *fixture, int file)
{
    return (uint64_t)(file == FILE_A ? fixture->base->edge : 2) * fixture->base->block_size;
}

static void base_write(struct crash_fixture *fixture, int file, uint64_t at, size_t length)
{
    unsigned char *bytes = malloc(length);

    crash_fill(bytes, length, (unsigned)file);
    if (ext2dax_write(fixture->inode[file], at, bytes, length) != (int64_t)length)
        crash_must(fixture, -1, "writing the base");
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
    uint64_t edge = crash_edge(fixture, FILE_A);
    struct ext2dax_statfs figures;

    fixture->expect->file[FILE_A].first = base->edge - EXPECT_BLOCKS / 2;
    for (int i = FILE_A; i <= FILE_B; i++)
        crash_must(fixture, crash_create(fixture, i), "create");
    crash_must(fixture, crash_create(fixture, FILE_D), "create");
    if (base->xattrs) {
        crash_must(fixture, crash_create(fixture, FILE_S), "create");
        fixture->expect->file[FILE_S].is = true;
    }
    for (int i = FILE_L; i <= FILE_N && base->names; i++) {
        crash_must(fixture, crash_create(fixture, i), "create");
        fixture->expect->file[i].is = true;
    }
    if (base->unused) {
        char name[256];

        crash_must(fixture, crash_create(fixture, FILE_X), "create");
        crash_put(fixture, FILE_X);
        crash_must(fixture, ext2dax_unlink(fixture->root, crash_name(&fixture->expect->file[FILE_X], name), 240),
                   "unlink");
    }
    base_write(fixture, FILE_A, edge - 2 * base->block_size, 2 * base->block_size - (base->at_end ? 0 : 104));
    /* patch_image() sets the size back, so this block begins exactly at the end of file. */
    if (base->at_end && ext2dax_write(fixture->inode[FILE_A], edge + base->block_size - 1, "x", 1) != 1)
        crash_must(fixture, -1, "writing the block at the end");
    base_write(fixture, FILE_B, 0, base->block_size + 40);
    fixture->expect->file[FILE_A].is = fixture->expect->file[FILE_B].is = fixture->expect->file[FILE_D].is = true;
    if (!base->full)
        return;
    ext2dax_statfs(fixture->mount, &figures, sizeof(figures));
    crash_must(fixture, crash_create(fixture, FILE_L), "create");
    fixture->expect->file[FILE_L].is = true;
    /* The file takes a single pointer block and leaves two blocks free. */
    for (uint64_t at = 0; at < figures.free_blocks - 3; at++)
        if (ext2dax_write(fixture->inode[FILE_L], at * base->block_size, "x", 1) != 1)
            crash_must(fixture, -1, "filling the base");
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
                    (uint32_t)crash_edge(fixture, FILE_A));
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

struct ext2dax_format_options crash_format_options(const struct crash_fixture *fixture)
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
    crash_open_mount(fixture);
    crash_must(fixture, ext2dax_lookup(fixture->root, "a", 1, &fixture->inode[FILE_A]), "lookup");
    for (int i = 0; i < EXPECT_XATTRS; i++) {
        name[5] = (char)('x' + i);
        crash_fill(bytes, (size_t)lengths[i], (unsigned)i);
        crash_must(fixture, ext2dax_setxattr(fixture->inode[FILE_A], name, 6, bytes, (size_t)lengths[i], 0),
                   "attribute");
        expect_xattr(fixture->expect, FILE_A, i, bytes, lengths[i]);
    }
    crash_must(fixture, crash_close_mount(fixture), "unmount");
    memcpy(fixture->image, fixture->memory.base, fixture->size);
}

void crash_make_base(struct crash_fixture *fixture)
{
    struct ext2dax_format_options format = crash_format_options(fixture);

    memset(fixture->image, FREE_MARKER, fixture->size);
    ext2dax_crash_load(fixture->crash, fixture->image);
    crash_must(fixture, ext2dax_format(&fixture->memory, &format, NULL), "format");
    fixture->clock = fixture->base->small_clock ? SMALL_CLOCK : FIXED_TIME;
    crash_open_mount(fixture);
    make_files(fixture);
    crash_must(fixture, crash_close_mount(fixture), "unmount");
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
    if (!crash_passes_check(fixture, fixture->image, 0) ||
        !crash_passes_contents(fixture, fixture->image, "contents of the base"))
        crash_must(fixture, -1, fixture->finding);
    expect_copy(fixture->start, fixture->expect);
}
