/* SPDX-License-Identifier: MIT */
/*
 * What the tests of names share: an image file made by mke2fs, mapped and mounted through plugs that count, fail on
 * demand, and tell of every fence.
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
    char path[96]; /* the image file; its scratch files begin with the same name */
    int fd;
    unsigned char *base;
    size_t size;
    struct ext2dax_mount *mount;
    struct ext2dax_lock_order *order; /* every lock of the mount goes through it */

    long allocs_left;            /* allocations until one fails, once; negative: never */
    long allocated;              /* bytes held; in a test with threads, atomic */
    long fences_left;            /* fences until they fail, from then on; negative: never */
    const unsigned char *poison; /* a byte of the image that cannot be read; NULL: none */
    unsigned reports;
    struct ext2dax_report last;
    void (*fenced)(struct fixture *f); /* after every fence; NULL: nothing */
    void *fenced_arg;
};

/* Runs a shell command and returns its exit status; its output goes to PATH.out and is printed where it fails. */
__attribute__((format(printf, 2, 3))) int run(struct fixture *f, const char *format, ...);

/* An image of `kib` KiB made with these options of mke2fs; the fixture's files are removed by fixture_close(). */
__attribute__((format(printf, 3, 4))) void fixture_open(struct fixture *f, unsigned kib, const char *options, ...);
/* Makes the image anew with ext2dax_format(). */
void fixture_format(struct fixture *f, uint32_t block_size, uint32_t inodes);

/* The same image in a file of its own; the original is at rest. */
void fixture_open_copy(struct fixture *f, const struct fixture *original);
void fixture_close(struct fixture *f);

/* Are mke2fs, e2fsck and debugfs here? Says so where they are not: the test is then skipped. */
bool fixture_tools(void);

/* Names the fixture's files without making an image, for a directory that mke2fs is to copy. */
void fixture_name(struct fixture *f);

int fixture_try_mount(struct fixture *f, struct ext2dax_locks locks, unsigned flags);
void fixture_mount(struct fixture *f);
void fixture_unmount(struct fixture *f);

/* The mounted image, at rest: e2fsck -fn and the testkit's checker find nothing. */
void check_clean(struct fixture *f);

/* ---- edits behind the library's back ---- */

struct ext2dax_disk_inode *raw_inode(struct fixture *f, uint32_t number);
/* A block that a directory names directly. */
unsigned char *raw_block(struct fixture *f, uint32_t number, unsigned index);
uint32_t raw32(struct ext2dax_le32 v);
struct ext2dax_le32 raw_le32(uint32_t v);
struct ext2dax_le16 raw_le16(uint32_t v);

/* ---- short forms; they fail the test where the call fails ---- */

struct ext2dax_inode *find(struct fixture *f, const char *path);
void create(struct ext2dax_inode *directory, const char *name);
int try_create(struct ext2dax_inode *directory, const char *name); /* puts what it made */
int try_unlink(struct ext2dax_inode *directory, const char *name);
bool exists(struct ext2dax_inode *directory, const char *name);
unsigned count_entries(struct ext2dax_inode *directory); /* "." and ".." not counted */
uint64_t free_inodes(struct fixture *f);
uintptr_t fences(struct fixture *f);

/* A directory as debugfs has it: every entry, in its order, and every name looked up. Returns how many there are. */
unsigned agree(struct fixture *f, const char *path);

/* Deterministic noise. */
uint32_t noise(uint32_t *state);

#endif
