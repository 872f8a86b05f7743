/* SPDX-License-Identifier: MIT */
/*
 * build-image writes an image to standard output, as small as the files allow, in which a huge page
 * maps every full 2 MiB of a file. The same files give the same image, byte for byte.
 */
#include <err.h>
#include <ext2dax/ext2dax.h>
#include <ext2dax/hosted/host.h>
#include <ext2dax/hosted/lock.h>
#include <ext2dax/hosted/memory.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {"motd", "program", "library", "settings"};
static const size_t sizes[] = {700, (5 << 20) + 12345, 12 << 20, 30000};
static const unsigned char content[12 << 20];
static const struct ext2dax_time epoch = {.seconds = 1700000000}; /* every time in the image */

static void check(int error, const char *what)
{
    if (error)
        errx(1, "%s: %s", what, ext2dax_strerror(error));
}

int main(void)
{
    struct ext2dax_host_options host = {.size = sizeof(host), .clock = &epoch};
    struct ext2dax_format_options format = {.size = sizeof(format), .time = epoch.seconds};
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_none()};
    struct ext2dax_tally_directory directory;
    struct ext2dax_image_plan plan;
    struct ext2dax_digest digest;
    struct ext2dax_inode *root;
    struct ext2dax_mount *mount;
    struct ext2dax_tally tally;

    /* The size of the image, and an identity derived from the files. */
    ext2dax_digest_begin(&digest);
    check(ext2dax_tally_begin(&tally, &format, 0), "options");
    ext2dax_tally_root(&tally, &directory);
    for (int i = 0; i < 4; i++) {
        ext2dax_tally_name(&tally, &directory, strlen(names[i]));
        check(ext2dax_tally_file(&tally, sizes[i], NULL, 0, false), names[i]);
        ext2dax_digest_add(&digest, names[i], strlen(names[i]) + 1);
        ext2dax_digest_add(&digest, content, sizes[i]);
    }
    check(ext2dax_tally_plan(&tally, 0, &plan), "size");
    ext2dax_digest_identity(&digest, format.uuid, format.hash_seed);
    check(ext2dax_host_open(&host, &plugs.host), "host");
    check(ext2dax_memory_open_heap((size_t)plan.size, &plugs.memory), "memory");
    check(ext2dax_build_begin(&plugs, &format, &plan, &mount, &root), "image");
    for (int i = 0; i < 4; i++)
        check(ext2dax_build_file(root, names[i], strlen(names[i]), NULL, content, sizes[i]), names[i]);
    ext2dax_inode_put(root);
    check(ext2dax_unmount(mount), "unmount");
    check(fwrite(plugs.memory.base, plan.size, 1, stdout) == 1 && !fflush(stdout) ? 0 : -EXT2DAX_EIO, "stdout");
    fprintf(stderr, "%d huge pages, an image of %d bytes\n", (int)tally.ranges, (int)plan.size);
    ext2dax_memory_close_heap(&plugs.memory);
    ext2dax_host_close(&plugs.host);
}
