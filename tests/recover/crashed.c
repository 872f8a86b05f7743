/* SPDX-License-Identifier: MIT */
#include "crashed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/hosted/lock.h"

#include "../image/broken.h"
#include "../host_ops.h"
#include "../image/outside.h"

#define PIECE(at, length) ((length) - (at) < 1024 ? (length) - (at) : 1024)

struct plug plug;

void plug_reset(void)
{
    memset(&plug, 0, sizeof(plug));
    plug.allocs_left = plug.fences_left = plug.asks_left = -1;
}

/* ---- plugs ---- */

static void *host_alloc(void *ctx, size_t bytes)
{
    (void)ctx;
    if (plug.allocs_left >= 0 && plug.allocs_left-- == 0)
        return NULL;
    plug.held += (long)bytes;
    if ((size_t)plug.held > plug.most)
        plug.most = (size_t)plug.held;
    return malloc(bytes);
}
static void host_release(void *ctx, void *at, size_t bytes)
{
    (void)ctx;
    plug.held -= (long)bytes;
    free(at);
}
static void host_log(void *ctx, const struct ext2dax_report *report)
{
    (void)ctx;
    if (report->level == EXT2DAX_LEVEL_ERROR)
        plug.error = *report;
    if (report->level == EXT2DAX_LEVEL_WARNING)
        plug.warning = *report;
    if (report->level != EXT2DAX_LEVEL_INFO)
        return;
    if (strcmp(report->structure, "recovery") == 0 && plug.kinds < KINDS_TOLD)
        plug.recovered[plug.kinds++] = *report;
    if (strcmp(report->structure, "recovery step") != 0)
        return;
    plug.backwards |= report->number <= plug.steps || report->number > report->value || report->value < plug.all;
    plug.steps = report->number;
    plug.all = report->value;
    plug.progresses++;
}
static bool host_interrupted(void *ctx)
{
    (void)ctx;
    if (plug.asks_left == 0)
        return true;
    plug.asks_left -= plug.asks_left > 0;
    return false;
}
static int memory_fence(void *ctx)
{
    (void)ctx;
    if (plug.fenced)
        plug.fenced(plug.arg);
    if (plug.fences_left == 0)
        return -EXT2DAX_EIO;
    plug.fences_left -= plug.fences_left > 0;
    plug.fences++;
    return 0;
}
static int memory_check(void *ctx, const void *at, size_t length)
{
    const unsigned char *from = at;

    (void)ctx;
    plug.checked += plug.scanning ? length : 0;
    return plug.poison && from < plug.poison + plug.poison_size && plug.poison < from + length ? -EXT2DAX_EIO : 0;
}

static void memory_scan(void *ctx, bool begins)
{
    (void)ctx;
    if (begins == plug.scanning)
        abort();
    plug.scanning = begins;
    plug.scans += begins;
}
static void memory_fetch(void *ctx, const void *at, size_t length)
{
    (void)ctx, (void)at;
    if (!plug.scanning)
        abort();
    plug.fetched += length;
}

static const struct ext2dax_host_ops host_ops = {.size = sizeof(host_ops),
                                                 .alloc = host_alloc,
                                                 .release = host_release,
                                                 .now = fixed_now,
                                                 .log = host_log,
                                                 .panic = print_panic,
                                                 .interrupted = host_interrupted};
/* Emulates a sparse file, with 1 KiB pages allocated only where data was stored. */
static size_t memory_next_data(void *ctx, const void *at, size_t length, size_t *from)
{
    static const uint8_t zeros[1024];
    const uint8_t *bytes = at;
    size_t first = 0, end;

    (void)ctx;
    while (first < length && memcmp(bytes + first, zeros, PIECE(first, length)) == 0)
        first += PIECE(first, length);
    for (end = first; end < length && memcmp(bytes + end, zeros, PIECE(end, length)) != 0;)
        end += PIECE(end, length);
    *from = first;
    plug.holes += length - end + first;
    return end - first;
}

static const struct ext2dax_memory_ops memory_ops = {.size = sizeof(memory_ops),
                                                     .fence = memory_fence,
                                                     .check = memory_check,
                                                     .scan = memory_scan,
                                                     .fetch = memory_fetch,
                                                     .next_data = memory_next_data};

int plug_mount(unsigned char *base, size_t size, unsigned flags, enum ext2dax_order order, struct ext2dax_mount **mount)
{
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_none(),
                                  .memory = {&memory_ops, NULL, base, size, EXT2DAX_MEMORY_PERSISTENT},
                                  .host = {&host_ops, NULL}};
    struct ext2dax_mount_options options = {
        .size = sizeof(options), .flags = flags & ~WITHOUT_RECOVERY, .order = order, .verify = ext2dax_verify};

    if ((flags & WITHOUT_RECOVERY) == 0)
        options.recover = ext2dax_recover;
    return ext2dax_mount(&plugs, &options, mount);
}

int plug_recover(unsigned char *base, size_t size)
{
    struct ext2dax_mount *mount;
    int error = plug_mount(base, size, 0, EXT2DAX_ORDERED, &mount);

    return error != 0 ? error : ext2dax_unmount(mount);
}

uint64_t plug_recovered(const char *what)
{
    for (unsigned i = 0; i < plug.kinds; i++)
        if (strcmp(plug.recovered[i].field, what) == 0)
            return plug.recovered[i].value;
    return 0;
}

/* ---- images ---- */

static char tree[] = "/tmp/ext2dax-recover-XXXXXX";

#define IMAGE_BYTES (8u << 20)

bool tree_make(void)
{
    return mkdtemp(tree) != NULL &&
           outside_run("cd %s && mkdir -p t/dir/sub t/many t/full && cd t && echo small >small && : >empty && "
                       "head -c 300000 /dev/zero | tr '\\0' b >big && echo leaf >dir/sub/leaf && echo h >hard && "
                       "ln hard dir/hard2 && ln hard dir/hard && ln -s target fast && "
                       "ln -s $(head -c 100 /dev/zero | tr '\\0' t) slow && mkfifo fifo && "
                       "for i in $(seq 120); do : >many/some_longer_name_$i; done && "
                       "(cd full && seq -f '%%0180.0f' 0 4 | xargs touch) && "
                       "truncate -s 3000000000 sparse && "
                       "echo x | dd of=sparse bs=1 seek=2500000000 conv=notrunc 2>/dev/null && cd .. && "
                       "mke2fs -q -F -t ext2 -b 1024 -I 128 -g 2048 -O ^dir_index -d t image %uk >/dev/null 2>&1",
                       tree, IMAGE_BYTES >> 10) == 0;
}

void tree_remove(void)
{
    (void)outside_run("rm -rf %s", tree);
}

struct outside_image tree_image(void)
{
    struct outside_image made = outside_open(IMAGE_BYTES);
    char path[64];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/image", tree);
    file = fopen(path, "rb");
    if (!file || fread(made.base, 1, made.size, file) != made.size) {
        perror(path);
        exit(2);
    }
    (void)fclose(file);
    image = made.base;
    image_size = made.size;
    return made;
}

void say_finding(void *arg, const struct ext2dax_finding *finding)
{
    char line[256];

    (void)ext2dax_finding_text(finding, line, sizeof(line));
    (void)fprintf(stderr, "%s: %s\n", (const char *)arg, line);
}

/* ---- equivalence of images ---- */

/* For images with 1 KiB blocks and 128-byte inodes. The helpers of broken.h work on `image`. */
static uint64_t entries_of(uint32_t number)
{
    uint64_t sum = 0, blocks = ext2dax_check_size(image, image_size, number) / 1024;

    for (uint64_t logical = 0; logical < blocks; logical++) {
        uint32_t block = ext2dax_check_block(image, image_size, number, logical), at = 0;

        while (block != 0 && at < 1024) {
            const struct ext2dax_disk_dirent *e = (const void *)((const uint8_t *)block_at(block) + at);
            const uint8_t *name = (const uint8_t *)(e + 1);
            uint64_t hash = get32(e->inode) * 0x9E3779B97F4A7C15u + e->type;

            for (unsigned i = 0; i < e->name_length; i++)
                hash = (hash ^ name[i]) * 0x100000001B3u;
            if (get32(e->inode) != 0)
                sum += hash ^ hash >> 29;
            if (get16(e->length) < 12)
                return 0;
            at += get16(e->length);
        }
    }
    return sum;
}

static bool is_directory(const struct ext2dax_disk_inode *inode)
{
    return (get16(inode->mode) & EXT2DAX_S_IFMT) == EXT2DAX_S_IFDIR;
}

static const char *inodes_differ(uint8_t *a, uint8_t *b, size_t size)
{
    static char what[64];
    uint32_t number;

    image_size = size;
    image = a;
    for (number = 1; number <= get32(super()->inodes_count); number++) {
        const struct ext2dax_disk_inode *of_a, *of_b;
        uint64_t entries_a = 0, entries_b = 0;

        (void)snprintf(what, sizeof(what), "inode %u", (unsigned)number);
        image = a;
        of_a = inode_at(number);
        if (is_directory(of_a) && get16(of_a->links) != 0)
            entries_a = entries_of(number);
        image = b;
        of_b = inode_at(number);
        if (is_directory(of_b) && get16(of_b->links) != 0)
            entries_b = entries_of(number);
        if (get16(of_a->links) != get16(of_b->links) || (get32(of_a->dtime) == 0) != (get32(of_b->dtime) == 0))
            return what;
        if (get16(of_a->links) == 0)
            continue;
        if (get16(of_a->mode) != get16(of_b->mode) || get32(of_a->size) != get32(of_b->size) ||
            get32(of_a->dir_acl) != get32(of_b->dir_acl) || get32(of_a->sectors) != get32(of_b->sectors) ||
            memcmp(of_a->block, of_b->block, sizeof(of_a->block)) != 0 || entries_a != entries_b)
            return what;
    }
    return NULL;
}

static const char *groups_differ(uint8_t *a, uint8_t *b)
{
    static char what[64];
    struct ext2dax_disk_super *super_a, *super_b;
    uint32_t groups, number;

    image = a;
    super_a = super();
    groups = (get32(super_a->blocks_count) - 2) / get32(super_a->blocks_per_group) + 1;
    image = b;
    super_b = super();
    if (get32(super_a->free_blocks) != get32(super_b->free_blocks) ||
        get32(super_a->free_inodes) != get32(super_b->free_inodes))
        return "the superblock's counts";
    for (number = 0; number < groups; number++) {
        const struct ext2dax_disk_group *group_a, *group_b;
        const void *blocks_a, *inodes_a;

        image = a;
        group_a = group(number);
        blocks_a = block_at(get32(group_a->block_bitmap));
        inodes_a = block_at(get32(group_a->inode_bitmap));
        image = b;
        group_b = group(number);
        (void)snprintf(what, sizeof(what), "group %u", (unsigned)number);
        if (get16(group_a->free_blocks) != get16(group_b->free_blocks) ||
            get16(group_a->free_inodes) != get16(group_b->free_inodes) ||
            get16(group_a->used_dirs) != get16(group_b->used_dirs) ||
            memcmp(blocks_a, block_at(get32(group_b->block_bitmap)), 1024) != 0 ||
            memcmp(inodes_a, block_at(get32(group_b->inode_bitmap)), 1024) != 0)
            return what;
    }
    return NULL;
}

static const char *owners_differ(const uint8_t *a, const uint8_t *b, size_t size)
{
    size_t bytes = size / 1024 * sizeof(uint32_t);
    uint32_t *of_a = calloc(1, bytes), *of_b = calloc(1, bytes);
    const char *what = NULL;

    if (!of_a || !of_b)
        abort();
    (void)ext2dax_check_image(a, size, EXT2DAX_CHECK_MOUNTED, NULL, NULL, of_a);
    (void)ext2dax_check_image(b, size, EXT2DAX_CHECK_MOUNTED, NULL, NULL, of_b);
    if (memcmp(of_a, of_b, bytes) != 0)
        what = "owners of blocks";
    free(of_a);
    free(of_b);
    return what;
}

const char *differs(const unsigned char *a, const unsigned char *b, size_t size)
{
    uint8_t *kept = image;
    uint8_t *of_a = (uint8_t *)(uintptr_t)a, *of_b = (uint8_t *)(uintptr_t)b;
    const char *what = inodes_differ(of_a, of_b, size);

    if (!what)
        what = groups_differ(of_a, of_b);
    if (!what)
        what = owners_differ(a, b, size);
    image = kept;
    return what;
}

/* Returns a sum over the links, the type and the dirents of an inode of the current image. */
static uint64_t names_of(uint32_t number)
{
    const struct ext2dax_disk_inode *inode = inode_at(number);
    uint64_t links = get16(inode->links);

    if (links == 0)
        return 0;
    return links << 16 | (get16(inode->mode) & EXT2DAX_S_IFMT) | (is_directory(inode) ? entries_of(number) << 32 : 0);
}

bool same_names(const unsigned char *a, const unsigned char *b, size_t size)
{
    uint8_t *kept = image;
    bool same = true;

    image_size = size;
    for (uint32_t number = 1; number <= get32(super()->inodes_count) && same; number++) {
        uint64_t of_a;

        image = (uint8_t *)(uintptr_t)a;
        of_a = names_of(number);
        image = (uint8_t *)(uintptr_t)b;
        same = of_a == names_of(number);
    }
    image = kept;
    return same;
}

/* ---- states between two images ---- */

uint32_t noise(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

unsigned words_between(const unsigned char *from, const unsigned char *to, size_t size)
{
    unsigned count = 0;

    for (size_t at = 0; at < size; at += 8)
        count += memcmp(from + at, to + at, 8) != 0;
    return count;
}

void mix(unsigned char *mixed, const unsigned char *from, const unsigned char *to, size_t size, uint64_t pattern,
         uint32_t *state)
{
    unsigned word = 0;

    memcpy(mixed, from, size);
    for (size_t at = 0; at < size; at += 8) {
        if (memcmp(from + at, to + at, 8) == 0)
            continue;
        if (state ? noise(state) % 2 != 0 : (pattern >> word & 1) != 0)
            memcpy(mixed + at, to + at, 8);
        word++;
    }
}

int crashed_begin(void)
{
    if (!outside_has("mke2fs") || !outside_has("e2fsck") || !outside_has("debugfs"))
        return skip("e2fsprogs is not installed, which makes and checks the images");
    if (!tree_make()) {
        puts("no tree of files to fill images with");
        return 2;
    }
    return 0;
}
