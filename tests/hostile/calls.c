/* SPDX-License-Identifier: MIT */
#include "calls.h"

#include <stdlib.h>
#include <string.h>

#include "ext2dax/testkit/checker.h"

#include "failing.h"
#include "states.h"

#include "../fuzz/reports.h"

#define r round_now

/* ---- mounts ---- */

static int64_t run_mount(void)
{
    return round_mount(0);
}
static int64_t run_mount_read_only(void)
{
    return round_mount(EXT2DAX_MOUNT_READ_ONLY);
}
static int64_t run_mount_verify(void)
{
    return round_mount(EXT2DAX_MOUNT_VERIFY);
}
static int64_t run_unmount(void)
{
    int error = REPORTED(ext2dax_unmount(r.mount));

    if (error == -EXT2DAX_EBUSY || error == -EXT2DAX_EINVAL)
        return error;
    r.mount = NULL;
    failing_close();
    return error;
}
static void to_unmount(void)
{
    dirty();
    round_release();
}
static int64_t run_format(void)
{
    static unsigned char *area;
    const struct ext2dax_host host = fuzz_host();
    const struct ext2dax_format_options options = {
        .size = sizeof(options), .block_size = r.tree->block_size, .time = 1700000000};
    struct ext2dax_memory memory;
    int error;

    if (!area)
        area = aligned_alloc(65536, 65536u * 64);
    MUST(area);
    memset(area, 0xC3, 64 * block_size());
    memory = failing_memory(area, (size_t)(64 * block_size()));
    error = REPORTED(ext2dax_format(&memory, &options, &host));
    if (error == 0)
        MUST(ext2dax_check_size(area, memory.size, EXT2DAX_ROOT_INODE) == block_size());
    return error;
}
static int64_t run_build_begin(void)
{
    static unsigned char *area;
    const size_t bytes = (size_t)(512 * block_size());
    const struct ext2dax_format_options options = {
        .size = sizeof(options), .block_size = r.tree->block_size, .time = 1700000000};
    const struct ext2dax_image_plan plan = {.size = bytes, .inodes = 64};
    struct ext2dax_plugs plugs;
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root;
    int error;

    if (!area)
        area = aligned_alloc(65536, 65536u * 512);
    MUST(area);
    plugs = failing_open(area, bytes, 12, 9);
    error = REPORTED_MOUNT(ext2dax_build_begin(&plugs, &options, &plan, &mount, &root));
    MUST(error == 0 ? mount && root : !mount && !root);
    if (error == 0) {
        ext2dax_inode_put(root);
        error = REPORTED(ext2dax_unmount(mount));
    }
    failing_close();
    return error;
}
static int64_t run_to_read_only(void)
{
    return REPORTED_MOUNT(ext2dax_remount(r.mount, EXT2DAX_MOUNT_READ_ONLY));
}
static int64_t run_to_read_write(void)
{
    return REPORTED_MOUNT(ext2dax_remount(r.mount, 0));
}
static int64_t run_sync(void)
{
    return REPORTED(ext2dax_sync(r.mount));
}
static int64_t run_freeze(void)
{
    int error = REPORTED(ext2dax_freeze(r.mount));

    r.frozen = error == 0;
    return error;
}
static int64_t run_thaw(void)
{
    int error = REPORTED(ext2dax_thaw(r.mount));

    r.frozen = error == -EXT2DAX_EINVAL;
    return error;
}
static int64_t run_wait_thaw(void)
{
    ext2dax_wait_thaw(r.mount);
    return 0;
}
static int64_t run_statfs(void)
{
    struct ext2dax_statfs figures;

    ext2dax_statfs(r.mount, &figures, sizeof(figures));
    return (int64_t)figures.blocks;
}
static int64_t run_count(void)
{
    struct ext2dax_counters counters;

    ext2dax_count(r.mount, &counters, sizeof(counters));
    return 0;
}

/* ---- inodes ---- */

static int64_t found(int error, struct ext2dax_inode *inode)
{
    MUST((error == 0) == (inode != NULL));
    round_put(&r.made);
    r.made = inode;
    return error;
}
static int64_t run_inode_get(void)
{
    struct ext2dax_inode *inode;
    int error = REPORTED(ext2dax_inode_get(r.mount, EXT2DAX_ROOT_INODE, &inode));

    return found(error, inode);
}
static int64_t run_inode_get_in(void)
{
    static struct ext2dax_inode storage;
    struct ext2dax_inode *inode;
    int error = REPORTED(ext2dax_inode_get_in(r.mount, EXT2DAX_ROOT_INODE, &storage, &inode));

    return found(error, inode);
}
static int64_t run_inode_hold(void)
{
    ext2dax_inode_hold(r.inode);
    ext2dax_inode_put(r.inode);
    return 0;
}
static int64_t run_inode_put(void)
{
    round_put(&r.inode);
    return 0;
}
static int64_t run_put_dirty(void)
{
    ext2dax_model_unmap(r.map);
    r.map = NULL;
    round_put(&r.inode);
    return 0;
}
static int64_t run_stat(void)
{
    struct ext2dax_stat stat;

    ext2dax_stat(r.inode, &stat, sizeof(stat));
    return (int64_t)stat.size;
}
static int64_t run_setattr(void)
{
    struct ext2dax_attributes wanted = {.size = sizeof(wanted),
                                        .set = 0x7F | EXT2DAX_SET_ATIME_NOW,
                                        .mode = 0751,
                                        .uid = 0x10002,
                                        .gid = 0x30004,
                                        .mtime = {.seconds = 5, .nanoseconds = 6},
                                        .created = {.seconds = 7, .nanoseconds = 8}};

    return REPORTED(ext2dax_setattr(r.inode, &wanted));
}

/* ---- extended attributes ---- */

static int64_t run_getxattr(void)
{
    char value[200];

    return REPORTED_COUNT(ext2dax_getxattr(r.inode, "user.first", 10, value, sizeof(value)));
}
static int64_t run_listxattr(void)
{
    char list[200];

    return REPORTED_COUNT(ext2dax_listxattr(r.inode, list, sizeof(list)));
}
static int64_t run_setxattr(void)
{
    char value[300] = "another";

    return REPORTED(ext2dax_setxattr(r.inode, "user.first", 10, value, sizeof(value), 0));
}
static int64_t run_setxattr_small(void)
{
    return REPORTED(ext2dax_setxattr(r.inode, "user.small", 10, "1", 1, 0));
}
static int64_t run_removexattr(void)
{
    return REPORTED(ext2dax_removexattr(r.inode, "user.first", 10));
}

/* ---- names ---- */

static int64_t run_lookup(void)
{
    struct ext2dax_inode *inode;
    int error = REPORTED(ext2dax_lookup(r.root, "twice", 5, &inode));

    return found(error, inode);
}
static int64_t run_lookup_full(void)
{
    int64_t result = 0;

    for (unsigned i = 0; i < 8 && (result == 0 || result == -EXT2DAX_ENOENT); i++) {
        struct ext2dax_inode *inode;

        result = REPORTED(ext2dax_lookup(r.directory, "none", 4, &inode));
    }
    return result;
}
static int64_t run_lookup_path(void)
{
    static const char path[] = "/d/fast/../slow/far";
    struct ext2dax_inode *inode;
    int error;

    /* An absolute symbolic link leads back to a root inode without other references. */
    round_put(&r.root);
    error = REPORTED(ext2dax_lookup_path(r.mount, path, strlen(path), 0, &inode));
    return found(error, inode);
}
static int64_t run_readlink(void)
{
    char target[200];

    return REPORTED_COUNT(ext2dax_readlink(r.inode, target, sizeof(target)));
}
static int each_name(void *arg, const struct ext2dax_entry *entry)
{
    (void)entry;
    ++*(int *)arg;
    return 0;
}
static int64_t run_readdir(void)
{
    int names = 0, error = REPORTED(ext2dax_readdir(r.directory, 0, each_name, &names));

    return error != 0 ? error : names;
}
static int64_t run_create_as(void)
{
    struct ext2dax_creation creation = {
        .size = sizeof(creation),
        .attributes = {.size = sizeof(creation.attributes), .mode = EXT2DAX_S_IFBLK | 0600, .uid = 3},
        .device_major = 8,
        .device_minor = 300};
    struct ext2dax_inode *inode;
    int error = REPORTED(ext2dax_create_as(r.root, "block", 5, &creation, &inode));

    return found(error, inode);
}
static int64_t run_create(void)
{
    struct ext2dax_inode *inode;
    int error = REPORTED(ext2dax_create(r.root, "new", 3, 0600, 1, 1, &inode));

    return found(error, inode);
}
/* A failure after the creation leaves a file, which the next attempt removes first. */
static int64_t run_build_file(void)
{
    static const unsigned char content[3000] = {1};
    int error = REPORTED(ext2dax_build_file(r.root, "built", 5, NULL, content, sizeof(content)));

    if (error == -EXT2DAX_EEXIST)
        error = REPORTED(ext2dax_unlink(r.root, "built", 5));
    else
        return error;
    return error != 0 ? error : REPORTED(ext2dax_build_file(r.root, "built", 5, NULL, content, sizeof(content)));
}
static int64_t run_create_full(void)
{
    char name[250];
    struct ext2dax_inode *inode;
    int error;

    memset(name, 'z', sizeof(name));
    for (unsigned i = 0; i < 4; i++) {
        name[0] = (char)('0' + i);
        error = REPORTED(ext2dax_create(r.directory, name, sizeof(name), 0600, 1, 1, &inode));
        if (error != 0 && error != -EXT2DAX_EEXIST)
            return error;
        if (inode)
            ext2dax_inode_put(inode);
    }
    return 0;
}
static int64_t run_mkdir(void)
{
    struct ext2dax_inode *inode;
    int error = REPORTED(ext2dax_mkdir(r.root, "new", 3, 0700, 1, 1, &inode));

    return found(error, inode);
}
static int64_t run_mknod(void)
{
    struct ext2dax_inode *inode;
    int error = REPORTED(ext2dax_mknod(r.root, "node", 4, EXT2DAX_S_IFCHR | 0600, 4, 64, 1, 1, &inode));

    return found(error, inode);
}
static int64_t run_symlink(void)
{
    static const char target[] = "a target too long for the inode, so that a block of the image holds its text";
    struct ext2dax_inode *inode;
    int error = REPORTED(ext2dax_symlink(r.root, "link", 4, target, strlen(target), 1, 1, &inode));

    return found(error, inode);
}
static int64_t run_link(void)
{
    return REPORTED(ext2dax_link(r.inode, r.root, "another", 7));
}
static int64_t run_unlink(void)
{
    return REPORTED(ext2dax_unlink(r.root, "twice", 5));
}
static int64_t run_unlink_held(void)
{
    return REPORTED(ext2dax_unlink(r.root, "single", 6));
}
static int64_t run_unlink_name(void)
{
    return REPORTED(ext2dax_unlink(r.directory, "again", 5));
}
static int64_t run_rmdir(void)
{
    return REPORTED(ext2dax_rmdir(r.root, "hollow", 6));
}
static int64_t run_rename(void)
{
    return REPORTED(ext2dax_rename(r.root, "single", 6, r.root, "renamed", 7, 0));
}
static int64_t run_rename_over(void)
{
    return REPORTED(ext2dax_rename(r.root, "single", 6, r.root, "twice", 5, 0));
}
static int64_t run_rename_over_one_name(void)
{
    return REPORTED(ext2dax_rename(r.root, "single", 6, r.directory, "again", 5, 0));
}
static int64_t run_rename_directory(void)
{
    return REPORTED(ext2dax_rename(r.root, "hollow", 6, r.directory, "moved", 5, 0));
}
static int64_t run_rename_exchange(void)
{
    return REPORTED(ext2dax_rename(r.root, "hollow", 6, r.directory, "far", 3, EXT2DAX_RENAME_EXCHANGE));
}

/* ---- bytes ---- */

static char bytes[200000];

static int64_t run_map(void)
{
    struct ext2dax_run run;
    int error = REPORTED(ext2dax_map(r.inode, 12, 1, &run));

    return error != 0 ? error : (int64_t)run.length;
}
static int64_t run_map_block(void)
{
    struct ext2dax_map_hint hint = {NULL, {0, 0, 0}, 0};

    return REPORTED_COUNT(ext2dax_map_block(r.inode, 12, &hint));
}
static int64_t run_read(void)
{
    return REPORTED_COUNT(ext2dax_read(r.inode, 3, bytes, 50 * (size_t)block_size() < sizeof(bytes) ? 50000 : 1000));
}
static int64_t run_write(void)
{
    memset(bytes, 'w', sizeof(bytes));
    return REPORTED_COUNT(
        ext2dax_write(r.inode, 7, bytes, 20 * block_size() < sizeof(bytes) ? 20 * (size_t)block_size() : 1));
}
static int64_t run_append(void)
{
    static uint64_t end;
    struct ext2dax_stat stat;

    ext2dax_stat(r.inode, &stat, sizeof(stat));
    end = 2 * block_size() + 6;
    return REPORTED_COUNT(ext2dax_write(r.inode, end, "appended", 8));
}
static int64_t run_write_far(void)
{
    return REPORTED_COUNT(ext2dax_write(r.inode, (12 + block_size() / 4 + 3) * block_size(), "far", 3));
}
static int64_t run_seek(void)
{
    return REPORTED_COUNT(ext2dax_seek(r.inode, 14 * block_size(), EXT2DAX_SEEK_HOLE));
}
static int64_t run_truncate(void)
{
    return REPORTED(ext2dax_truncate(r.inode, 3));
}
static int64_t run_truncate_up(void)
{
    return REPORTED(ext2dax_truncate(r.inode, (uint64_t)3 << 31));
}
static int64_t run_allocate(void)
{
    return REPORTED(ext2dax_allocate(r.inode, 0, block_size() * 60, false));
}
static int64_t run_punch(void)
{
    return REPORTED(ext2dax_punch(r.inode, block_size() / 2, block_size() * 13));
}
static int64_t run_zero_range(void)
{
    return REPORTED(ext2dax_zero_range(r.inode, block_size() / 2, block_size() * 13));
}
static int64_t run_fsync(void)
{
    return REPORTED(ext2dax_fsync(r.inode));
}
static int64_t run_fsync_range(void)
{
    return REPORTED(ext2dax_fsync_range(r.inode, 0, 2));
}

/* ---- faults ---- */

static int64_t fault(enum ext2dax_fault_result (*entry)(struct ext2dax_fault *), uint64_t page, bool write, bool shared)
{
    struct ext2dax_fault f;
    enum ext2dax_fault_result result;

    if (!shared) {
        ext2dax_model_unmap(r.map);
        r.map = ext2dax_model_map(failing_model(), r.inode, 0, 20, false, true);
        MUST(r.map);
    }
    ext2dax_model_fault(r.map, page, write, &f);
    reports_forget();
    result = entry(&f);
    switch (result) {
    case EXT2DAX_FAULT_NOPAGE:
        return 0;
    case EXT2DAX_FAULT_SIGBUS:
        MUST(f.error < 0);
        return reports_check(f.error, __FILE__, __LINE__, "a fault");
    case EXT2DAX_FAULT_OOM:
        MUST(f.error < 0);
        return f.error;
    case EXT2DAX_FAULT_FALLBACK:
        MUST(f.reason != EXT2DAX_FALLBACK_NONE);
        return RESULT_FALLBACK;
    case EXT2DAX_FAULT_RETRY:
        return RESULT_RETRY;
    }
    fuzz_fail(__FILE__, __LINE__, "a result of a fault");
}
static int64_t run_fault_read(void)
{
    return fault(ext2dax_fault, 0, false, true);
}
static int64_t run_fault_hole(void)
{
    return fault(ext2dax_fault, 3, false, true);
}
static int64_t run_fault_write(void)
{
    return fault(ext2dax_fault, 0, true, true);
}
static int64_t run_fault_fill(void)
{
    return fault(ext2dax_fault, 15, true, true);
}
static int64_t run_fault_private(void)
{
    return fault(ext2dax_fault, 0, true, false);
}
static int64_t run_pmd_fault(void)
{
    return fault(ext2dax_pmd_fault, 0, true, true);
}
static int64_t run_mkwrite(void)
{
    return fault(ext2dax_mkwrite, 3, true, true);
}
static int64_t run_pfn_mkwrite(void)
{
    return fault(ext2dax_pfn_mkwrite, 0, true, true);
}

/* A claim of a whole empty PMD range by a fault. */
static void empty_but_long(void)
{
    on_empty();
    MUST(ext2dax_truncate(r.inode, block_size() << r.tree->huge_order) == 0);
}

/* The same claimed, and not mapped any more. */
static void claimed(void)
{
    empty_but_long();
    (void)run_pmd_fault(); /* FALLBACK where block and page size differ */
    ext2dax_model_unmap(r.map);
    r.map = ext2dax_model_map(failing_model(), r.inode, 0, 20, true, true);
    MUST(r.map);
}

/* ---- pins ---- */

static int64_t run_pin(void)
{
    struct ext2dax_stat stat;
    int error;

    ext2dax_stat(r.inode, &stat, sizeof(stat));
    error = REPORTED(ext2dax_pin(r.inode, 0, stat.size, true, &r.pin));
    r.pinned = error == 0;
    return error;
}
static int64_t run_pin_read(void)
{
    int error =
        REPORTED(ext2dax_pin(r.inode, (12 + block_size() / 4 - 1) * block_size(), 2 * block_size(), false, &r.pin));

    r.pinned = error == 0;
    return error;
}
static int64_t run_pin_pointer(void)
{
    void *at;
    size_t length;
    int error = REPORTED(ext2dax_pin_pointer(&r.pin, (12 + block_size() / 4) * block_size(), &at, &length));

    return error != 0 ? error : (int64_t)length;
}
static int64_t run_unpin(void)
{
    if (r.pinned)
        ext2dax_unpin(&r.pin);
    r.pinned = false;
    return 0;
}

const struct call calls[] = {
    {"mount", "ext2dax_mount", NULL, run_mount, UNMOUNTS},
    {"mount read-only", "ext2dax_mount", NULL, run_mount_read_only, UNMOUNTS},
    {"mount, verify", "ext2dax_verify", NULL, run_mount_verify, UNMOUNTS},
    {"mount, recover", "ext2dax_recover", NULL, run_mount, UNMOUNTS | CRASHED | PARTIAL},
    {"format", "ext2dax_format", NULL, run_format, UNMOUNTS | PARTIAL},
    {"build_begin", "ext2dax_build_begin", NULL, run_build_begin, UNMOUNTS | PARTIAL},
    {"unmount", "ext2dax_unmount", to_unmount, run_unmount, PARTIAL},
    {"remount to ro", "ext2dax_remount", dirty, run_to_read_only, 0},
    {"remount to rw", "ext2dax_remount", read_only, run_to_read_write, 0},
    {"sync", "ext2dax_sync", dirty, run_sync, 0},
    {"freeze", "ext2dax_freeze", dirty, run_freeze, 0},
    {"thaw", "ext2dax_thaw", frozen, run_thaw, 0},
    {"wait_thaw", "ext2dax_wait_thaw", at_root, run_wait_thaw, READS},
    {"statfs", "ext2dax_statfs", at_root, run_statfs, READS},
    {"count", "ext2dax_count", at_root, run_count, READS},
    {"inode_get", "ext2dax_inode_get", NULL, run_inode_get, READS},
    {"inode_get_in", "ext2dax_inode_get_in", NULL, run_inode_get_in, READS},
    {"inode_hold", "ext2dax_inode_hold", on_single, run_inode_hold, READS},
    {"inode_put, last", "ext2dax_inode_put", unlinked, run_inode_put, LEAKS | READS},
    {"inode_put, xattr", "ext2dax_inode_put", unlinked_attributes, run_inode_put, LEAKS | READS},
    {"inode_put, dirty", "ext2dax_inode_put", dirty, run_put_dirty, READS},
    {"stat", "ext2dax_stat", on_single, run_stat, READS},
    {"setattr", "ext2dax_setattr", on_single, run_setattr, 0},
    {"getxattr", "ext2dax_getxattr", with_attributes, run_getxattr, READS},
    {"listxattr", "ext2dax_listxattr", with_attributes, run_listxattr, READS},
    {"setxattr, new", "ext2dax_setxattr", on_single, run_setxattr, 0},
    {"setxattr, small", "ext2dax_setxattr", on_single, run_setxattr_small, 0},
    {"setxattr, own", "ext2dax_setxattr", with_attributes, run_setxattr, 0},
    {"setxattr, shared", "ext2dax_setxattr", with_shared_attributes, run_setxattr, 0},
    {"removexattr", "ext2dax_removexattr", with_attributes, run_removexattr, 0},
    {"removexattr, shared", "ext2dax_removexattr", with_shared_attributes, run_removexattr, 0},
    {"lookup", "ext2dax_lookup", at_root, run_lookup, READS},
    {"lookup, table", "ext2dax_lookup", in_full_directory_without_table, run_lookup_full, READS},
    {"lookup_path", "ext2dax_lookup_path", at_root, run_lookup_path, READS},
    {"readlink", "ext2dax_readlink", on_slow, run_readlink, READS},
    {"readdir", "ext2dax_readdir", in_directories, run_readdir, READS},
    {"create_as", "ext2dax_create_as", at_root, run_create_as, MAKES},
    {"create", "ext2dax_create", at_root, run_create, MAKES},
    {"build_file", "ext2dax_build_file", at_root, run_build_file, PARTIAL | MAKES},
    {"create, full", "ext2dax_create", in_full_directory, run_create_full, PARTIAL | MAKES},
    {"mkdir", "ext2dax_mkdir", at_root, run_mkdir, MAKES},
    {"mknod", "ext2dax_mknod", at_root, run_mknod, MAKES},
    {"symlink", "ext2dax_symlink", at_root, run_symlink, MAKES},
    {"link", "ext2dax_link", on_single, run_link, 0},
    {"unlink", "ext2dax_unlink", at_root, run_unlink, LEAKS},
    {"unlink, held", "ext2dax_unlink", on_single, run_unlink_held, 0},
    {"unlink, a name", "ext2dax_unlink", in_directories, run_unlink_name, 0},
    {"rmdir", "ext2dax_rmdir", with_empty_directory, run_rmdir, LEAKS},
    {"rename", "ext2dax_rename", at_root, run_rename, HALFWAY},
    {"rename over", "ext2dax_rename", at_root, run_rename_over, LEAKS},
    {"rename over a name", "ext2dax_rename", in_directories, run_rename_over_one_name, HALFWAY},
    {"rename, directory", "ext2dax_rename", with_empty_directory, run_rename_directory, 0},
    {"rename, exchange", "ext2dax_rename", with_empty_directory, run_rename_exchange, 0},
    {"map", "ext2dax_map", on_single, run_map, READS},
    {"map_block", "ext2dax_map_block", on_single, run_map_block, READS},
    {"read", "ext2dax_read", on_single, run_read, PARTIAL | READS},
    {"write", "ext2dax_write", on_single, run_write, PARTIAL},
    {"append", "ext2dax_write", on_direct, run_append, PARTIAL},
    {"write far", "ext2dax_write", on_empty, run_write_far, PARTIAL},
    {"seek", "ext2dax_seek", on_single, run_seek, READS},
    {"truncate", "ext2dax_truncate", on_single, run_truncate, HALFWAY},
    {"truncate, two levels", "ext2dax_truncate", on_twice, run_truncate, HALFWAY},
    {"truncate, three levels", "ext2dax_truncate", on_thrice, run_truncate, HALFWAY},
    {"truncate up", "ext2dax_truncate", on_direct, run_truncate_up, 0},
    {"allocate", "ext2dax_allocate", on_empty, run_allocate, PARTIAL},
    {"punch", "ext2dax_punch", on_single, run_punch, PARTIAL},
    {"zero_range", "ext2dax_zero_range", on_single, run_zero_range, PARTIAL},
    {"fsync", "ext2dax_fsync", dirty, run_fsync, 0},
    {"fsync_range", "ext2dax_fsync_range", dirty, run_fsync_range, 0},
    {"fault, read", "ext2dax_fault", on_single, run_fault_read, READS},
    {"fault, hole", "ext2dax_fault", on_single, run_fault_hole, READS},
    {"fault, write", "ext2dax_fault", on_single, run_fault_write, 0},
    {"fault, fill", "ext2dax_fault", on_single, run_fault_fill, 0},
    {"fault, private", "ext2dax_fault", on_single, run_fault_private, READS},
    {"pmd_fault", "ext2dax_pmd_fault", claimed, run_pmd_fault, 0},
    {"pmd_fault, claim", "ext2dax_pmd_fault", empty_but_long, run_pmd_fault, 0},
    {"mkwrite", "ext2dax_mkwrite", zero_mapped, run_mkwrite, 0},
    {"pfn_mkwrite", "ext2dax_pfn_mkwrite", mapped_read_only, run_pfn_mkwrite, 0},
    {"pin, writable", "ext2dax_pin", on_single, run_pin, 0},
    {"pin, read", "ext2dax_pin", on_twice, run_pin_read, READS},
    {"pin_pointer", "ext2dax_pin_pointer", pinned, run_pin_pointer, READS},
    {"unpin", "ext2dax_unpin", pinned, run_unpin, READS},
};
const unsigned calls_count = sizeof(calls) / sizeof(calls[0]);
