/* SPDX-License-Identifier: MIT */
#include "bed.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/ondisk.h"
#include "ext2dax/testkit/checker.h"

#define FREE_MARKER 0xA5 /* what free blocks hold */
#define TAIL_MARKER 0xDB /* what the last block of a file holds past its end */
#define INODES      24
#define CLOCK       1700000000
#define SMALL_CLOCK 3
#define HUGE_ORDER  3
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
    unsigned char *mended; /* room for an image that e2fsck changes */
    struct expect *expect, *start;
    struct ext2dax_memory memory;
    struct ext2dax_crash *crash;
    struct ext2dax_model *model;
    struct ext2dax_model_map *map;
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root, *inode[EXPECT_FILES];
    int64_t clock;
    bool frozen, unlinked; /* the latter: a file without a name is held */
    bool closed;           /* the image must be marked clean */
    bool strict;           /* nothing may be leaked any more */
    bool formatting;
    bool keeping; /* an image for recovery, with what is expected of it */
    unsigned char *kept;
    struct expect *kept_expect;
    bool kept_any, recovering;
    struct tally tally;
    const struct call *const *calls;
    unsigned count;
    char finding[512];
};

/* ---- plugs ---- */

static void *host_alloc(void *ctx, size_t bytes)
{
    (void)ctx;
    return malloc(bytes);
}

static void host_release(void *ctx, void *at, size_t bytes)
{
    (void)ctx;
    (void)bytes;
    free(at);
}

static int64_t host_now(void *ctx)
{
    struct bed *bed = ctx;

    return bed->clock++;
}

static bool host_may_use_reserved(void *ctx)
{
    (void)ctx;
    return true;
}

static const struct ext2dax_host_ops host_ops = {.size = sizeof host_ops,
                                                 .alloc = host_alloc,
                                                 .release = host_release,
                                                 .now = host_now,
                                                 .may_use_reserved = host_may_use_reserved};

/* What must work for the test to mean anything. */
static void must(struct bed *bed, int rc, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "%s: %s: %d\n", bed->base->name, what, rc);
    exit(2);
}

/* ---- judging ---- */

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
    int rc = ext2dax_check_image(image, bed->size, flags, keep_finding, &first, NULL);

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

/* What the checker may find: nothing in an image that is marked clean, since e2fsck would not look at it. */
static unsigned allowed(const struct bed *bed, const unsigned char *image)
{
    if (image_valid(image))
        return 0;
    if (!bed->strict)
        return EXT2DAX_CHECK_LEAKS_OK;
    return EXT2DAX_CHECK_MOUNTED | (bed->unlinked ? EXT2DAX_CHECK_UNLINKED_OK : 0);
}

/* Is the image one of the sample? One marked clean e2fsck would not look at. */
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
                                            .page_shift = bed->base->block_size == 1024 ? 10 : 12,
                                            .huge_order = HUGE_ORDER,
                                            .order = bed->base->unordered ? EXT2DAX_UNORDERED : EXT2DAX_ORDERED};

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
        to[i] = (unsigned char)(1 + (kind * 37 + i / 8 * 5 + i) % 0x9F); /* neither zero nor a marker */
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

/* "d" becomes a second name of "b"; its own inode is free again. */
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

/* A mapped store past the end may have put anything there. */
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
    base_write(bed, FILE_A, edge - 2 * base->block_size, 2 * base->block_size - 104);
    base_write(bed, FILE_B, 0, base->block_size + 40);
    bed->expect->file[FILE_A].is = bed->expect->file[FILE_B].is = bed->expect->file[FILE_D].is = true;
    if (!base->full)
        return;
    ext2dax_statfs(bed->mount, &figures);
    must(bed, create(bed, FILE_L), "create");
    bed->expect->file[FILE_L].is = true;
    /* One pointer block, and two blocks stay free. */
    for (uint64_t at = 0; at < figures.free_blocks - 3; at++)
        if (ext2dax_write(bed->inode[FILE_L], at * base->block_size, "x", 1) != 1)
            must(bed, -1, "filling the base");
    bed->expect->file[FILE_L].size = (figures.free_blocks - 4) * base->block_size + 1;
    expect_store(bed->expect, FILE_L, 0, "x", 1);
    for (uint64_t at = 1; at < EXPECT_BLOCKS; at++)
        expect_store(bed->expect, FILE_L, at * base->block_size, "x", 1);
}

static void patch_image(struct bed *bed)
{
    struct ext2dax_disk_super *super = image_super(bed->image);
    struct ext2dax_disk_inode *root = image_inode(bed->image, bed->base->block_size, EXT2DAX_ROOT_INODE);

    link_d_to_b(bed);
    mark_tail(bed, FILE_A);
    mark_tail(bed, FILE_B);
    image_put32(&super->ro_compat, image_get32(&super->ro_compat) & ~EXT2DAX_RO_COMPAT_LARGE_FILE);
    for (uint32_t number = EXT2DAX_FIRST_INODE_REV0 + 1; number <= INODES; number++) {
        struct ext2dax_disk_inode *inode = image_inode(bed->image, bed->base->block_size, number);

        if (image_get16(&inode->links) == 0)
            memset(inode + 1, FREE_MARKER, image_get16(&super->inode_size) - sizeof *inode);
    }
    if (bed->base->indexed)
        image_put32(&root->flags, image_get32(&root->flags) | EXT2DAX_FL_INDEX);
}

static struct ext2dax_format_options format_options(const struct bed *bed)
{
    return (struct ext2dax_format_options){.size = sizeof(struct ext2dax_format_options),
                                           .block_size = bed->base->block_size,
                                           .inodes = INODES,
                                           .time = CLOCK};
}

static void make_base(struct bed *bed)
{
    struct ext2dax_format_options format = format_options(bed);

    memset(bed->image, FREE_MARKER, bed->size);
    ext2dax_crash_load(bed->crash, bed->image);
    must(bed, ext2dax_format(&bed->memory, &format, NULL), "format");
    bed->clock = bed->base->small_clock ? SMALL_CLOCK : CLOCK;
    open_mount(bed);
    make_files(bed);
    must(bed, close_mount(bed), "unmount");
    memcpy(bed->image, bed->memory.base, bed->size);
    patch_image(bed);
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
                                          .remember_log = options->remember_log};
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

    ext2dax_stat(bed->inode[file], &figures);
    return image_inode(bed->memory.base, bed->base->block_size, figures.number);
}

static void synced(struct bed *bed, int file)
{
    struct expect_file *f = &bed->expect->file[file];

    expect_synced(bed->expect, file);
    if (!bed->inode[file] || !f->is)
        return;
    f->times_known = true;
    f->ctime = image_get32(&disk_of(bed, file)->ctime);
    f->mtime = image_get32(&disk_of(bed, file)->mtime);
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

    ext2dax_stat(bed->inode[file], &figures);
    return figures.size;
}

/* Less than was asked for, or an error: what did not happen is as it was, but for blocks that may be there and zero. */
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

    /* Bytes that no other call of the workload writes. */
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

/* With its reference put first: what is dirty goes back, and the last name takes the file along. */
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

    /* A new file by an old name knows nothing of the old one's bytes. */
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

/* 0: done; 1: done in part, for want of space; 2: does not fit what is there. Else an error that should not be. */
static int perform(struct bed *bed, const struct call *call)
{
    struct expect_file *f = &bed->expect->file[call->file];
    int rc = 0;

    if (call->kind == CALL_CREATE ? f->is || bed->inode[call->file] : call->kind < CALL_PUT && !f->is)
        return 2;
    if (!bed->mount || (call->kind >= CALL_WRITE && call->kind < CALL_PUT && !bed->inode[call->file]) ||
        (bed->frozen && call->kind != CALL_THAW && call->kind != CALL_SYNC && call->kind != CALL_FSYNC))
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
    case CALL_ALLOCATE:
        return do_allocate(bed, call);
    case CALL_FSYNC:
        rc = ext2dax_fsync(bed->inode[call->file]);
        synced(bed, call->file);
        return rc;
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

/* Another inode's times may change in any call but those that only sync. */
static void forget_times(struct bed *bed)
{
    for (int i = 0; i < EXPECT_FILES; i++)
        bed->expect->file[i].times_known = false;
}

static void begin_workload(struct bed *bed)
{
    expect_copy(bed->expect, bed->start);
    ext2dax_crash_judge(bed->crash, NULL, NULL);
    ext2dax_crash_load(bed->crash, bed->image);
    bed->clock = bed->base->small_clock ? SMALL_CLOCK : CLOCK + 1000;
    bed->frozen = bed->unlinked = bed->closed = false;
    bed->strict = false;
    open_mount(bed);
    for (int i = FILE_A; i <= FILE_B; i++) {
        char name[256];

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

/* Everything before it is durable when it has returned, ordered or not. */
static bool syncs(const struct call *call)
{
    return call->kind == CALL_FSYNC || call->kind == CALL_SYNC || call->kind == CALL_FREEZE ||
           call->kind == CALL_UNMOUNT;
}

bool bed_run(struct bed *bed, const struct call *const *calls, unsigned count)
{
    uint64_t findings = bed->tally.findings;
    bool fits = true, whole = true; /* the latter: every call has done all that it should */
    int rc = 0;

    bed->calls = calls;
    bed->keeping = true;
    bed->kept_any = false;
    begin_workload(bed);
    for (unsigned i = 0; i < count && fits; i++) {
        bed->count = i + 1;
        bed->expect->inside = true;
        forget_times(bed);
        if (i + 1 == count && !bed->base->unordered)
            ext2dax_crash_judge(bed->crash, judge, bed);
        rc = perform(bed, calls[i]);
        fits = rc != 2;
        whole = whole && rc == 0;
        ext2dax_crash_look(bed->crash);
        expect_returned(bed->expect);
    }
    if (fits && rc < 0) {
        char text[64];

        snprintf(text, sizeof text, "the call fails: %d", rc);
        report(bed, "call", 0, text);
    }
    /* Metadata is durable when a call has returned; what one that failed gave back may still leak. */
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
    bed->keeping = bed->strict = bed->closed = bed->unlinked = false;
    bed->recovering = true;
    ext2dax_crash_load(bed->crash, bed->kept);
    ext2dax_crash_judge(bed->crash, judge, bed);
    open_mount(bed);
    /* Everything is settled, and durable, when the mount has returned. */
    bed->strict = true;
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
    /* Over another filesystem, of which nothing may be left to see. */
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
