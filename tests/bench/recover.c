/* SPDX-License-Identifier: MIT */
/*
 * Measures recovery of a 1 GiB image with many files against `e2fsck -p` on the same image. The two
 * alternate, each on an image damaged in the same places. The result is the median of the ratios
 * per round. e2fsck is a process which reads a file in memory, and recovery is a call on mapped
 * memory. A user has the same difference. The checker checks the recovered image.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/testkit/checker.h"

#include "../image/outside.h"

#define ROUNDS      7
#define IMAGE_MIB   1024u
#define DIRECTORIES 100u
#define FILES       400u /* per directory */
#define BROKEN      997u /* 1 in this many inodes is damaged */

static struct outside_image made;
static size_t most, held;

static double now(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e3 + (double)at.tv_nsec / 1e6;
}

static void *host_alloc(void *ctx, size_t bytes)
{
    (void)ctx;
    held += bytes;
    most = held > most ? held : most;
    return malloc(bytes);
}
static void host_release(void *ctx, void *at, size_t bytes)
{
    (void)ctx;
    held -= bytes;
    free(at);
}
static const struct ext2dax_host_ops host_ops = {
    .size = sizeof(host_ops), .alloc = host_alloc, .release = host_release};

/* ---- the image, with 4 KiB blocks ---- */

static uint32_t get32(struct ext2dax_le32 v)
{
    const uint8_t *p = (const uint8_t *)&v;

    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static void add_byte(void *at, int by)
{
    *(uint8_t *)at = (uint8_t)(*(uint8_t *)at + by);
}

static struct ext2dax_disk_super *super(void)
{
    return (void *)(made.base + EXT2DAX_SUPER_OFFSET);
}

static struct ext2dax_disk_inode *inode_at(uint32_t number)
{
    uint32_t per_group = get32(super()->inodes_per_group), size = ((uint8_t *)&super()->inode_size)[1] ? 256 : 128;
    struct ext2dax_disk_group *groups = (void *)(made.base + 4096);

    return (void *)(made.base + (size_t)get32(groups[(number - 1) / per_group].inode_table) * 4096 +
                    (size_t)((number - 1) % per_group) * size);
}

/*
 * Marks the image as not cleanly unmounted. Damages some link counts, some sector counts and the
 * superblock's free block count.
 */
static void break_it(void)
{
    uint32_t number;

    *(uint8_t *)&super()->state = 0;
    add_byte(&super()->free_blocks, 1);
    for (number = 100; number < get32(super()->inodes_count); number += BROKEN) {
        struct ext2dax_disk_inode *inode = inode_at(number);

        if (((uint8_t *)&inode->links)[0] == 0 || (((uint8_t *)&inode->mode)[1] & 0xF0) != 0x80)
            continue;
        if (number % 2)
            add_byte(&inode->links, 1);
        else
            add_byte(&inode->sectors, 8);
    }
}

static bool make_image(void)
{
    char tree[] = "/tmp/ext2dax-bench-XXXXXX";
    bool good;

    if (!mkdtemp(tree))
        return false;
    good = outside_run("cd %s && for d in $(seq %u); do mkdir $d && head -c %u /dev/urandom | "
                       "(cd $d && split -b 9000 -a 3 - file.) || exit 1; done && "
                       "for i in 1 2 3; do head -c 67108864 /dev/zero | tr '\\0' x >large.$i; done && "
                       "mke2fs -q -F -t ext2 -b 4096 -d . %s",
                       tree, DIRECTORIES, FILES * 9000u, made.path) == 0;
    (void)outside_run("rm -rf %s", tree);
    return good;
}

/* ---- the rounds ---- */

static int recover(double *took)
{
    struct ext2dax_plugs plugs = {
        .locks = ext2dax_locks_none(), .memory = {.base = made.base, .size = made.size}, .host = {.ops = &host_ops}};
    struct ext2dax_mount_options options = {.size = sizeof(options), .recover = ext2dax_recover};
    struct ext2dax_mount *mount;
    double begun = now();
    int error = ext2dax_mount(&plugs, &options, &mount);

    *took = now() - begun;
    return error != 0 ? error : ext2dax_unmount(mount);
}

static int by_number(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

int main(void)
{
    double ours[ROUNDS], theirs[ROUNDS], ratio[ROUNDS], scan;
    struct ext2dax_disk_super *s;

    if (!outside_has("mke2fs") || !outside_has("e2fsck"))
        return skip("e2fsprogs is not installed, which makes the image and is measured beside");
    made = outside_open((size_t)IMAGE_MIB << 20);
    if (!make_image()) {
        puts("the image could not be made");
        return 1;
    }
    s = super();
    for (unsigned i = 0; i < ROUNDS; i++) {
        double begun;
        int status;

        break_it();
        if (recover(&ours[i]) != 0 || ext2dax_check_image(made.base, made.size, 0, NULL, NULL, NULL) != 0) {
            puts("recovery did not repair the image");
            return 1;
        }
        break_it();
        begun = now();
        status = outside_run("e2fsck -p %s >/dev/null", made.path);
        theirs[i] = now() - begun;
        if (status != 0 && status != 1) {
            puts("e2fsck -p did not repair the image");
            return 1;
        }
        ratio[i] = theirs[i] / ours[i];
    }
    qsort(ratio, ROUNDS, sizeof(*ratio), by_number);
    qsort(ours, ROUNDS, sizeof(*ours), by_number);
    qsort(theirs, ROUNDS, sizeof(*theirs), by_number);
    printf("recovery of %u MiB, %u files: e2fsck -p takes %.1f times as long (%.1f to %.1f); here %.1f and %.1f ms\n",
           IMAGE_MIB, get32(s->inodes_count) - get32(s->free_inodes), ratio[ROUNDS / 2], ratio[0], ratio[ROUNDS - 1],
           ours[ROUNDS / 2], theirs[ROUNDS / 2]);
    printf("most memory of the host: %zu KiB\n", most >> 10);
    /* A mount of a clean image reads only the descriptors. */
    if (recover(&scan) != 0)
        return 1;
    printf("a mount of the same image, cleanly unmounted: %.2f ms\n", scan);
    outside_close(&made);
    return 0;
}
