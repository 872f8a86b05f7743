/* SPDX-License-Identifier: MIT */
/*
 * Fixture of the tests of names. Maps and mounts an image file made by mke2fs, through plugs which
 * count calls, fail on demand, and call a hook after every fence.
 */
#ifndef NAMES_FIXTURE_H
#define NAMES_FIXTURE_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/testkit/lock_order.h"

struct fixture {
    /* The image file, and the prefix of all its scratch files. They have a folder of their own. */
    char path[96];
    int fd;
    unsigned char *base;
    size_t size;
    struct ext2dax_mount *mount;
    struct ext2dax_lock_order *order; /* lock-order checker around every lock of the mount */

    long allocs_left;            /* allocations before a single one fails, negative for never */
    long allocated;              /* bytes held, atomic in tests with threads */
    long fences_left;            /* fences before all further fences fail, negative for never */
    const unsigned char *poison; /* unreadable byte of the image, or NULL */
    size_t name_table_bytes;     /* option of the mounts */
    unsigned reports;
    struct ext2dax_report last;
    void (*fenced)(struct fixture *f); /* called after every fence, or NULL */
    void *fenced_arg;
};

/*
 * Runs a shell command and returns its exit status. The output goes to the file PATH.out, which
 * fixture_open() and check_clean() print if their command fails.
 */
__attribute__((format(printf, 2, 3))) int run(struct fixture *f, const char *format, ...);

/*
 * Makes an image of `kib` KiB with the given options of mke2fs and maps the image file.
 * fixture_close() removes the fixture's files.
 */
__attribute__((format(printf, 3, 4))) void fixture_open(struct fixture *f, unsigned kib, const char *options, ...);
/* Formats the image again with ext2dax_format(). */
void fixture_format(struct fixture *f, uint32_t block_size, uint32_t inodes);

/* Opens a copy of the image in a file of its own. The original must not change during the copy. */
void fixture_open_copy(struct fixture *f, const struct fixture *original);
void fixture_close(struct fixture *f);

/*
 * Returns whether mke2fs, e2fsck and debugfs are installed. Prints a note if not, for a skipped
 * test.
 */
bool fixture_tools(void);

/* Makes the fixture's folder without an image, for a directory to be copied by mke2fs. */
void fixture_name(struct fixture *f);

int fixture_try_mount(struct fixture *f, struct ext2dax_locks locks, unsigned flags);
void fixture_mount(struct fixture *f);
void fixture_unmount(struct fixture *f);

/* Checks the image with e2fsck -fn and the testkit's checker. No call may be running. */
void check_clean(struct fixture *f);

/* ---- edits of the image not made by the library ---- */

struct ext2dax_disk_inode *raw_inode(struct fixture *f, uint32_t number);
/* Returns a block from the direct pointers of a directory. */
unsigned char *raw_block(struct fixture *f, uint32_t number, unsigned index);
uint32_t raw32(struct ext2dax_le32 v);
struct ext2dax_le32 raw_le32(uint32_t v);
struct ext2dax_le16 raw_le16(uint32_t v);

/* ---- helpers which fail the test if their call fails, except try_create and try_unlink ---- */

struct ext2dax_inode *find(struct fixture *f, const char *path);
void create(struct ext2dax_inode *directory, const char *name);
int try_create(struct ext2dax_inode *directory, const char *name); /* puts the created inode */
int try_unlink(struct ext2dax_inode *directory, const char *name);
bool exists(struct ext2dax_inode *directory, const char *name);
unsigned count_entries(struct ext2dax_inode *directory); /* "." and ".." are not counted */
uint64_t free_inodes(struct fixture *f);
uintptr_t fences(struct fixture *f);

/*
 * Compares a directory with the listing of debugfs. Checks every dirent in order and looks every
 * name up. Returns the number of dirents.
 */
unsigned agree(struct fixture *f, const char *path);

/* Returns the next number of a deterministic pseudorandom sequence. */
uint32_t noise(uint32_t *state);

#endif
