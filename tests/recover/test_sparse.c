/* SPDX-License-Identifier: MIT */
/*
 * Recovery of a large, mostly sparse image. The inode tables never stored to, 1 GiB in a 64 GiB
 * image, are neither read nor allocated, even where a bitmap marks the inodes used. The location of
 * the image matters. Reading a page of a hole costs memory of tmpfs, and page cache memory on other
 * filesystems.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"

#include "../image/outside.h"
#include "../runner.h"

#define GIBIBYTES 64
/* kibibytes available to recovery, for its own arrays and the bitmaps */
#define ROOM (48u << 10)

static const char *const places[] = {"/dev/shm", "/tmp"};
static char path[64];

/* Returns kibibytes. */
static long most_memory(void)
{
    struct rusage usage;

    ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

static long stored(void)
{
    struct stat st;

    ck_assert_int_eq(stat(path, &st), 0);
    return (long)(st.st_blocks / 2);
}

static uint64_t repaired;
static void listen(void *ctx, const struct ext2dax_report *report)
{
    (void)ctx;
    if (strcmp(report->structure, "recovery") == 0)
        repaired += report->value;
}

START_TEST(test_sparse)
{
    struct ext2dax_host_ops ops = *ext2dax_host_default().ops;
    struct ext2dax_plugs plugs = {.host = ext2dax_host_default(), .locks = ext2dax_locks_default()};
    struct ext2dax_mount_options options = {
        .size = sizeof(options), .order = EXT2DAX_ORDERED, .recover = ext2dax_recover};
    struct ext2dax_mount *mount;
    long before, held;

    ops.log = listen;
    plugs.host.ops = &ops;
    (void)snprintf(path, sizeof(path), "%s/ext2dax-sparse-XXXXXX", places[_i]);
    ck_assert_int_ge(mkstemp(path), 0);
    ck_assert_int_eq(outside_run("mke2fs -q -F -t ext2 -b 4096 -m 0 %s %dg >/dev/null 2>&1 && "
                                 "debugfs -w -R 'ssv state 0' %s >/dev/null 2>&1 && "
                                 "debugfs -w -R 'setb 9000000 3000' %s >/dev/null 2>&1 && "
                                 "debugfs -w -R 'seti <5000> 3000' %s >/dev/null 2>&1",
                                 path, GIBIBYTES, path, path, path),
                     0);
    ck_assert_int_eq(ext2dax_memory_open_file(path, 0, 0, &plugs.memory), 0);
    before = stored();
    held = most_memory();
    ck_assert_int_eq(ext2dax_mount(&plugs, &options, &mount), 0);
    held = most_memory() - held;
    ck_assert_msg(held < ROOM, "%s: recovery has used %ld KiB", places[_i], held);
    ck_assert_msg(stored() < before + 64, "%s: the file has grown from %ld to %ld KiB", places[_i], before, stored());
    ck_assert_uint_ge(repaired, 3000);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ext2dax_memory_close_file(&plugs.memory);
    ck_assert_int_eq(outside_run("e2fsck -fn %s >/dev/null 2>&1", path), 0);
    printf("%s: %ld KiB for %d GiB\n", places[_i], held, GIBIBYTES);
    (void)unlink(path);
}
END_TEST

int main(void)
{
    Suite *suite;

    if (!outside_has("mke2fs") || !outside_has("e2fsck") || !outside_has("debugfs"))
        return skip("e2fsprogs is not installed, which makes and checks the images");
    if (sizeof(size_t) == 4 || getenv("EXT2DAX_UNDER_VALGRIND"))
        return skip("no room for an image of 64 GiB in the address space");
    suite = suite_create("sparse");
    tcase_add_loop_test(add_case(suite, "sparse", 120), test_sparse, 0, (int)(sizeof(places) / sizeof(places[0])));
    return run_suite(suite);
}
