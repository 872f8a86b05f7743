/* SPDX-License-Identifier: MIT */
/*
 * Times of on-disk inodes. Each time has a word in the first 128 bytes and an extra word after the
 * first 128 bytes, if the inode has room.
 *
 * No lock guards the times. Each word is a single 4-byte store, so a concurrent reader may combine
 * the words of two times.
 */
#ifndef E2D_DISK_TIMES_H
#define E2D_DISK_TIMES_H

#include <stdbool.h>

#include "base/internal.h"
#include "base/time.h"

enum e2d_time_field { E2D_CTIME, E2D_MTIME, E2D_ATIME, E2D_CREATED };

/*
 * Returns the part of an inode after the first 128 bytes if i_extra_isize covers the field that
 * ends `end` bytes into the part, else NULL. An impossible i_extra_isize covers nothing.
 */
struct ext2dax_disk_inode_tail *e2d_inode_tail(const struct ext2dax_mount *m, const struct ext2dax_disk_inode *disk,
                                               size_t end);
/* The end of a member of the part, for e2d_inode_tail(). */
#define E2D_TAIL_END(member)                                                                                           \
    (offsetof(struct ext2dax_disk_inode_tail, member) + sizeof(((struct ext2dax_disk_inode_tail *)0)->member))

/* Returns a time of an inode, all 0 if the inode has no room for the time. */
struct ext2dax_time e2d_load_time(const struct ext2dax_mount *m, const struct ext2dax_disk_inode *disk,
                                  enum e2d_time_field field);

/*
 * Stores a time without a fence, if the inode has room for the time. Stores only words that differ.
 * May be called by any thread.
 */
void e2d_store_time(struct ext2dax_inode *inode, enum e2d_time_field field, struct e2d_time time);
/* Stores ctime, and mtime if `mtime` is set, as e2d_store_time(). */
void e2d_store_times(struct ext2dax_inode *inode, struct e2d_time now, bool mtime);

/*
 * Fills a time of an inode about to be created, in memory outside the image. The new inode uses
 * i_extra_isize of the mount.
 */
void e2d_fill_time(const struct ext2dax_mount *m, struct ext2dax_disk_inode *fresh,
                   struct ext2dax_disk_inode_tail *tail, enum e2d_time_field field, struct e2d_time time);
/* Clears `tail`, fills i_extra_isize, and fills all times with the present. */
void e2d_fill_times(const struct ext2dax_mount *m, struct ext2dax_disk_inode *fresh,
                    struct ext2dax_disk_inode_tail *tail, struct e2d_time now);

#endif
