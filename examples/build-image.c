/* SPDX-License-Identifier: MIT */
/*
 * build-image builds an image in memory, as small as its files allow, in which a huge page maps
 * every full 2 MiB of a file. The same files give the same image, byte for byte. The program checks
 * the claim by ext2dax_map(), and writes the image to a file if an argument names a file.
 */
#include <ext2dax/ext2dax.h>
#include <ext2dax/hosted/lock.h>
#include <ext2dax/hosted/memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HUGE  ((uint64_t)512) /* blocks of a huge page */
#define EPOCH 1700000000      /* every time in the image */

static const struct {
    const char *name;
    size_t size;
} files[] = {{"motd", 700}, {"program", (5 << 20) + 12345}, {"library", 12 << 20}, {"settings", 30000}};
#define FILES (sizeof(files) / sizeof(files[0]))

static void *host_alloc(void *ctx, size_t bytes)
{
    (void)ctx;
    return malloc(bytes);
}

static void host_release(void *ctx, void *at, size_t bytes)
{
    (void)ctx, (void)bytes;
    free(at);
}

/* A host whose clock stands still. */
static int64_t host_now(void *ctx)
{
    (void)ctx;
    return EPOCH;
}

static const struct ext2dax_host_ops host_ops = {
    .size = sizeof(host_ops), .alloc = host_alloc, .release = host_release, .now = host_now};

static int check(int error, const char *what)
{
    if (error >= 0)
        return error;
    fprintf(stderr, "build-image: %s: %s\n", what, ext2dax_strerror(error));
    exit(1);
}

/*
 * Creates a file. The size comes before the first write, so that full ranges get aligned extents.
 */
static void add_file(struct ext2dax_inode *root, const char *name, const void *content, size_t size)
{
    struct ext2dax_inode *file;
    struct ext2dax_run run;

    check(ext2dax_create(root, name, strlen(name), 0644, 0, 0, &file), name);
    check(ext2dax_truncate(file, size), name);
    if (ext2dax_write(file, 0, content, size) != (int64_t)size)
        check(-EXT2DAX_ENOSPC, name);
    for (uint64_t first = 0; first + HUGE <= size / 4096; first += HUGE) {
        check(ext2dax_map(file, first, HUGE, &run), name);
        if (run.length != HUGE || run.physical % HUGE != 0)
            check(-EXT2DAX_ENOSPC, "a huge page");
    }
    ext2dax_inode_put(file);
}

int main(int argc, char **argv)
{
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_none(), .host = {&host_ops, NULL}};
    struct ext2dax_mount_options options = {.size = sizeof(options), .flags = EXT2DAX_MOUNT_FULL_RANGES};
    struct ext2dax_format_options format = {.size = sizeof(format), .time = EPOCH};
    unsigned char *content = calloc(1, 12 << 20);
    struct ext2dax_tally_directory directory;
    struct ext2dax_image_plan plan;
    struct ext2dax_digest digest;
    struct ext2dax_mount *mount;
    struct ext2dax_tally tally;
    struct ext2dax_inode *root;

    /* The size of the image, and an identity derived from the files. */
    ext2dax_digest_begin(&digest);
    check(ext2dax_tally_begin(&tally, &format, 0), "options");
    ext2dax_tally_root(&tally, &directory);
    for (size_t i = 0; i < FILES; i++) {
        ext2dax_tally_name(&tally, &directory, strlen(files[i].name));
        check(ext2dax_tally_file(&tally, files[i].size, NULL, 0, false), files[i].name);
        ext2dax_digest_add(&digest, files[i].name, strlen(files[i].name) + 1);
        ext2dax_digest_add(&digest, content, files[i].size);
    }
    check(ext2dax_tally_plan(&tally, 0, &plan), "the size of the image");
    ext2dax_digest_identity(&digest, format.uuid, format.hash_seed);
    format.inodes = plan.inodes;

    check(ext2dax_memory_open_heap((size_t)plan.size, &plugs.memory), "memory");
    check(ext2dax_format(&plugs.memory, &format, &plugs.host), "format");
    check(ext2dax_mount(&plugs, &options, &mount), "mount");
    check(ext2dax_lookup_path(mount, "/", 1, 0, &root), "/");
    for (size_t i = 0; i < FILES; i++)
        add_file(root, files[i].name, content, files[i].size);
    ext2dax_inode_put(root);
    check(ext2dax_unmount(mount), "unmount");
    printf("%u huge pages, content %llu bytes, image %llu bytes\n", (unsigned)tally.ranges,
           (unsigned long long)plan.content, (unsigned long long)plan.size);

    FILE *image = argc > 1 ? fopen(argv[1], "wb") : NULL;
    if (argc > 1 && (!image || fwrite(plugs.memory.base, plan.size, 1, image) != 1 || fclose(image) != 0))
        check(-EXT2DAX_EIO, argv[1]);
    ext2dax_memory_close_heap(&plugs.memory);
    free(content);
    return 0;
}
