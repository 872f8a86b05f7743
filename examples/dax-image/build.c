/* SPDX-License-Identifier: MIT */
/*
 * build makes an image under a name in passing beside the image, and renames when the image is
 * whole. Stores to the new file are not written back one by one. The file is synced before the
 * rename instead.
 */
#include "dax-image.h"

#include <ext2dax/hosted/host.h>
#include <ext2dax/hosted/lock.h>
#include <ext2dax/hosted/memory.h>
#include <ext2dax/ondisk.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRITE_BACK ((size_t)32 << 20) /* bytes stored between two starts of a write-back */

/* Reports with an error are printed by the failed call. */
static void keep_quiet(void *arg, const struct ext2dax_report *report)
{
    (void)arg, (void)report;
}

static int plain_zero(void *ctx, void *at, size_t length)
{
    (void)ctx;
    memset(at, 0, length);
    return 0;
}

/* The file behind the image being made, and the mapping of the file. */
static int image_descriptor;
static unsigned char *image_base;
static size_t image_size;
int store_error;

/*
 * Starts to write the file to the disk as the file grows, so that the sync at the end has little
 * left to do.
 */
static void start_write_back(size_t stored)
{
    static size_t since;

    since += stored;
    if (since < WRITE_BACK)
        return;
    since = 0;
    sync_file_range(image_descriptor, 0, 0, SYNC_FILE_RANGE_WRITE);
}

/*
 * Stores data by a system call instead of the mapping. The call takes no page fault per page, and a
 * full host disk is an error of the call instead of a signal. The value of an attribute goes to
 * memory of the library first.
 */
static size_t store_data(void *ctx, void *to_image, const void *from_caller, size_t bytes)
{
    const unsigned char *from = from_caller;
    uintptr_t at = (uintptr_t)to_image - (uintptr_t)image_base;
    size_t done = 0;

    (void)ctx;
    if (at >= image_size) {
        memcpy(to_image, from_caller, bytes);
        return bytes;
    }
    while (done < bytes) {
        ssize_t wrote = pwrite(image_descriptor, from + done, bytes - done, (off_t)(at + done));
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) {
            store_error = wrote ? errno : ENOSPC;
            break;
        }
        done += (size_t)wrote;
    }
    start_write_back(done);
    return done;
}

/* ---- the superblocks ---- */

static uint32_t load32(const struct ext2dax_le32 *field)
{
    unsigned char bytes[4];

    memcpy(bytes, field, 4);
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static bool is_power(uint32_t group, uint32_t base)
{
    while (group % base == 0)
        group /= base;
    return group == 1;
}

/* Stores the identity in the superblock and all copies. Nothing in the image depends on it yet. */
static void store_identity(const struct building *building)
{
    unsigned char *base = building->memory.base;
    const struct ext2dax_disk_super *super = (const void *)(base + EXT2DAX_SUPER_OFFSET);
    uint64_t block = (uint64_t)1024 << load32(&super->log_block_size);
    uint64_t first = load32(&super->first_data_block), each = load32(&super->blocks_per_group);
    uint64_t groups = (load32(&super->blocks_count) - first + each - 1) / each;

    for (uint32_t group = 0; group < groups; group++) {
        if (group > 1 && !is_power(group, 3) && !is_power(group, 5) && !is_power(group, 7))
            continue;
        struct ext2dax_disk_super *copy =
            (void *)(base + (group ? (first + group * each) * block : EXT2DAX_SUPER_OFFSET));
        memcpy(copy->uuid, building->format.uuid, sizeof(copy->uuid));
        memcpy(copy->hash_seed, building->format.hash_seed, sizeof(building->format.hash_seed));
    }
}

/* ---- the image ---- */

static int fill_and_unmount(struct building *building, const struct ext2dax_plugs *plugs)
{
    struct ext2dax_inode *root;
    uint8_t uuid[16], seed[16];

    int error = ext2dax_build_begin(plugs, &building->format, &building->plan, &building->mount, &root);
    if (error)
        return library_failed(building->path, error, "make the image");
    ext2dax_inode_put(root);
    ext2dax_statfs(building->mount, &building->figures, sizeof(building->figures));
    int code = fill_image(building);
    error = ext2dax_unmount(building->mount);
    if (!code && error)
        code = library_failed(building->path, error, "unmount");
    if (code)
        return code;
    ext2dax_digest_identity(&building->digest, uuid, seed);
    if (!building->options->has_uuid)
        memcpy(building->format.uuid, uuid, sizeof(uuid));
    memcpy(building->format.hash_seed, seed, sizeof(seed));
    store_identity(building);
    return 0;
}

static int make_image(struct building *building, const char *passing)
{
    /* The clock of the image stands still. */
    const struct ext2dax_time present = {.seconds = building->format.time};
    struct ext2dax_host_options host_options = {
        .size = sizeof(host_options), .log = keep_quiet, .no_handlers = true, .clock = &present};
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_none()};
    struct ext2dax_host_ops host_ops;
    struct ext2dax_memory memory;
    struct ext2dax_host host;

    int error =
        ext2dax_memory_open_file(passing, EXT2DAX_FILE_CREATE | EXT2DAX_FILE_EXCLUSIVE, building->size, &memory);
    if (error)
        return failed(building->path, "%s", strerror(-error));
    error = ext2dax_host_open(&host_options, &host);
    if (error) {
        ext2dax_memory_close_file(&memory);
        return failed(building->path, "%s", ext2dax_strerror(error));
    }
    building->ops = *memory.ops;
    building->ops.persist = NULL;
    building->ops.fence = NULL;
    building->ops.zero = plain_zero;
    building->memory = memory;
    building->memory.ops = &building->ops;
    building->memory.flags = 0;
    host_ops = *host.ops;
    host_ops.copy_in = store_data;
    image_descriptor = ext2dax_memory_descriptor(&memory);
    image_base = memory.base;
    image_size = memory.size;
    plugs.memory = building->memory;
    plugs.host = (struct ext2dax_host){&host_ops, host.ctx};
    int code = fill_and_unmount(building, &plugs);
    if (!code && fsync(ext2dax_memory_descriptor(&memory)))
        code = failed(building->path, "%s", strerror(errno));
    ext2dax_host_close(&host);
    ext2dax_memory_close_file(&memory);
    return code;
}

/* Gives the whole image the name. Without --force a name made since then is not replaced. */
static int rename_image(const struct building *building, const char *passing)
{
    unsigned flags = building->options->force ? 0 : RENAME_NOREPLACE;
    int result = renameat2(AT_FDCWD, passing, AT_FDCWD, building->path, flags);

    if (result && flags && errno == EINVAL) {
        /* The filesystem has no RENAME_NOREPLACE. */
        result = link(passing, building->path);
        if (!result)
            unlink(passing);
    }
    return result ? failed(building->path, "%s", strerror(errno)) : 0;
}

static int build_under(struct building *building, const char *passing)
{
    int code;

    unfinished = passing;
    code = make_image(building, passing);
    if (!code && interrupted)
        code = failed(building->path, "interrupted");
    if (!code)
        code = rename_image(building, passing);
    if (code)
        unlink(passing);
    unfinished = NULL;
    return code;
}

/* ---- the report ---- */

static void print_uuid(const uint8_t uuid[16])
{
    for (unsigned i = 0; i < 16; i++)
        printf("%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}

static void print_result(const struct building *building)
{
    const struct shape *s = &building->shape;

    if (building->options->json) {
        printf("{\"image\": ");
        print_json_text(building->path);
        printf(
            ", \"size\": %llu, \"content\": %llu, \"free\": %llu, \"inodes\": %u, \"names\": %llu, \"ranges\": %llu, "
            "\"huge\": %llu, \"extents\": %llu, \"faults\": %llu, \"uuid\": \"",
            (unsigned long long)building->size, (unsigned long long)building->plan.content,
            (unsigned long long)building->plan.free, building->plan.inodes, (unsigned long long)building->files,
            (unsigned long long)s->ranges, (unsigned long long)s->huge, (unsigned long long)s->extents,
            (unsigned long long)s->faults);
        print_uuid(building->format.uuid);
        printf("\"}\n");
        return;
    }
    if (building->options->quiet)
        return;
    print_escaped(stdout, building->path);
    printf(": %llu bytes for %llu bytes of content in %llu names, %llu of %llu PMD ranges huge\n",
           (unsigned long long)building->size, (unsigned long long)building->plan.content,
           (unsigned long long)building->files, (unsigned long long)s->huge, (unsigned long long)s->ranges);
}

/* ---- the command ---- */

static int check_place(const struct options *options, const char *path)
{
    struct stat status;

    if (lstat(path, &status))
        return errno == ENOENT ? 0 : failed(path, "%s", strerror(errno));
    if (!options->force)
        return failed(path, "exists, and is replaced only with --force");
    return S_ISREG(status.st_mode) ? 0 : failed(path, "exists, and is no regular file");
}

static int64_t newest(const struct tree *tree)
{
    int64_t latest = 0;

    for (const struct node *node = tree->root; node; node = node_next(node, tree->root))
        if (node->inode->mtime.seconds > latest)
            latest = node->inode->mtime.seconds;
    return latest < UINT32_MAX ? latest : UINT32_MAX;
}

int command_build(const struct options *options)
{
    struct building building = {
        .options = options, .path = options->args[options->count - 1], .format = options->format};
    char *copy = strdup(building.path), *other = strdup(building.path), *passing = NULL;
    struct tree tree;

    if (!copy || !other)
        return out_of_memory();
    const char *directory = dirname(copy), *name = basename(other);
    if (asprintf(&passing, "%s/.%.200s.dax-image-%ld", directory, name, (long)getpid()) < 0)
        return out_of_memory();
    int code = check_place(options, building.path);
    if (!code) {
        code = tree_begin(&tree, options);
        building.tree = &tree;
        if (!code)
            code = tree_read(&tree, options->args, options->count - 1, directory);
        building.format.time = options->has_epoch ? options->epoch : code ? 0 : newest(&tree);
        if (!code)
            code = plan_image(&building);
        if (!code)
            code = build_under(&building, passing);
        if (!code)
            print_result(&building);
        tree_free(&tree);
    }
    free(passing);
    free(copy);
    free(other);
    return code;
}
