/* SPDX-License-Identifier: MIT */
/*
 * libext2dax decides which block of an ext2 image backs which page of a file, when this mapping may
 * change, and which threads must wait.
 *
 * The headers, in the order in which a program meets them.
 *
 *   lock.h, memory.h, address_space.h, host.h   the four plugs an embedder fills (ready-made ones
 *                                               in hosted/…)
 *   format.h                                    make an image
 *   mount.h                                     open an image, sync, freeze, statistics
 *   name.h, inode.h                             find a file and hold a reference
 *   file.h                                      blocks and bytes (map, read, write, truncate,
 *                                               punch, fsync)
 *   fault.h                                     pages (the fault family)
 *   pin.h                                       direct pointers into a file
 *   build.h                                     size and identity of an image to be built
 *   error.h, version.h, ondisk.h                errors and reports, versions, the on-disk format
 *
 * Any call may be made from any thread. Each declaration names the locks a caller must not hold.
 * lock.h has the complete lock order.
 *
 * Terms used in these headers.
 *
 * - aligned extent
 *     An aligned run of blocks of the image, as long as a PMD range. A PMD range backed by exactly
 *     one aligned extent can be mapped huge.
 *
 * - core
 *     The freestanding part of the library, declared by the headers above.
 *
 * - dax_sem
 *     A lock per inode. Faults, fsync and pins hold dax_sem shared. Truncate, punch, the release of
 *     an unlinked file and some growth of a file hold dax_sem exclusively. A fault holds dax_sem
 *     from the check of the size until the page-table entry is installed.
 *
 * - epoch
 *     The stores between two fences. After a crash every earlier epoch is complete, any subset of
 *     the stores of the current epoch may be present, and no later store is.
 *
 * - fault method
 *     The way in which a mapping of hosted/process.h learns of an access to a page not present, by
 *     `sigsegv` or by `userfaultfd`.
 *
 * - fence
 *     The point at which everything written back before becomes durable before anything stored
 *     after.
 *
 * - freeze locks
 *     freeze_write, held shared by every modifying call except faults, and freeze_fault, held
 *     shared by write faults and last puts. Freeze and remount hold both exclusively.
 *
 * - goal
 *     The block at which the allocator begins a search. The goal is the block after the preceding
 *     block of the file, else the block after the last allocation for the inode, else the first
 *     block of the group that holds the inode.
 *
 * - io lock
 *     A lock per inode. Calls that read bytes, blocks or names hold the io lock shared. Calls that
 *     change a file or a directory hold the io lock exclusively. Faults do not take the io lock.
 *
 * - last put
 *     The release of the last reference to an inode. The last put of an unlinked file frees the
 *     file.
 *
 * - ordered mount
 *     A mount that issues write-backs and fences so that a crash at any store leaves an image which
 *     recovery or e2fsck -p repairs without a question. See EXT2DAX_ORDERED.
 *
 * - pin
 *     A claim on a range of blocks of a file, for direct pointers. Calls that would free a pinned
 *     block fail with EBUSY.
 *
 * - plug
 *     A table of functions and a context pointer, filled by the embedder, by which the core takes
 *     locks, writes back memory, changes page tables, or uses services of the host.
 *
 * - PMD range
 *     An aligned run of pages of a file, as long as a huge page (2 MiB by default), which a single
 *     PMD entry can map. Where block size and page size differ, a PMD range only groups blocks for
 *     allocation and dirty marks.
 *
 * - private copy
 *     The page of a private mapping after the first store through this mapping. A private copy
 *     belongs to the address space and is never written to the file.
 *
 * - publish
 *     To store the pointers that make prepared blocks part of a file, or the entry that makes a
 *     name part of a directory.
 *
 * - quiesce
 *     To write-protect and write back every mapping under both freeze locks, before a freeze or a
 *     remount read-only.
 *
 * - range lock
 *     The lock of a PMD range of an inode, of class EXT2DAX_LOCK_RANGE. Filling a hole, making a
 *     page writable, marking a PMD range dirty and the write-back of fsync hold the range lock.
 *
 * - system zone
 *     The blocks that hold metadata of the filesystem (superblock copies, group descriptors,
 *     bitmaps, inode tables). A pointer from a file into a system zone is corruption.
 *
 * - truncate lock
 *     A lock per inode. The block tree of the inode changes only under the truncate lock.
 */
#ifndef EXT2DAX_H
#define EXT2DAX_H

#include "address_space.h"
#include "build.h"
#include "error.h"
#include "fault.h"
#include "file.h"
#include "format.h"
#include "host.h"
#include "inode.h"
#include "lock.h"
#include "memory.h"
#include "mount.h"
#include "name.h"
#include "ondisk.h"
#include "pin.h"
#include "time.h"
#include "version.h"
#include "xattr.h"

#endif
