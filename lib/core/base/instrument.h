/* SPDX-License-Identifier: MIT */
/*
 * Yield points and mutants of the instrumented core. At a yield point a test harness may run
 * another thread. A mutant breaks a single protection, selected by name. In the shipped core both
 * macros are constants and generate no code.
 */
#ifndef E2D_BASE_INSTRUMENT_H
#define E2D_BASE_INSTRUMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mutants.h"
#include "base/fences.h"

enum e2d_yield_kind { E2D_YIELD_LOAD, E2D_YIELD_STORE, E2D_YIELD_LOCK, E2D_YIELD_PERSIST, E2D_YIELD_CALLBACK };

/*
 * Name, and the protection which the mutant breaks. A schedule of two or three operations shows
 * each mutant in the image, in the mappings or in the result of a call. Groups, by the first
 * mutant:
 *   DAX_SEM_FAULT          dax_sem not taken, taken in the wrong mode, or released too early
 *   READ_NO_RECHECK        size checked under dax_sem
 *   FREE_BEFORE_UNMAP      removal of blocks
 *   PUBLISH_UNZEROED       filling of holes
 *   RANGE_LOCK_SKIPPED          the other locks
 *   ALIGNED_ALLOCATED_LATE  memory
 *   FSYNC_CLEAR_FIRST      durability
 *   PINS_IGNORED           pins
 *   CLOCK_UNDER_DAX_SEM    freeze
 *   MAP_WEAKENS            address space
 */
#define E2D_MUTANTS(_)                                                                                                 \
    _(DAX_SEM_FAULT, "the fault family does not take dax_sem")                                                         \
    _(DAX_SEM_READ_FAULT, "a read fault does not take dax_sem")                                                        \
    _(DAX_SEM_WRITE_FAULT, "a write fault does not take dax_sem")                                                      \
    _(DAX_SEM_PMD_READ, "a huge read fault does not take dax_sem")                                                     \
    _(DAX_SEM_PMD_WRITE, "a huge write fault does not take dax_sem")                                                   \
    _(DAX_SEM_MKWRITE, "mkwrite does not take dax_sem")                                                                \
    _(DAX_SEM_PFN_MKWRITE, "pfn_mkwrite does not take dax_sem")                                                        \
    _(DAX_SEM_FSYNC, "fsync does not take dax_sem")                                                                    \
    _(DAX_SEM_PIN, "pin does not take dax_sem")                                                                        \
    _(DAX_SEM_TRUNCATE, "truncate does not take dax_sem")                                                              \
    _(DAX_SEM_PUNCH, "punch does not take dax_sem")                                                                    \
    _(DAX_SEM_EXTEND, "an extension over an old tail does not take dax_sem")                                           \
    _(DAX_SEM_ZERO, "zero_range does not take dax_sem")                                                                \
    _(DAX_SEM_SHARED_TRUNCATE, "truncate takes dax_sem shared")                                                        \
    _(DAX_SEM_SHARED_PUNCH, "punch takes dax_sem shared")                                                              \
    _(DAX_SEM_SHARED_EXTEND, "an extension over an old tail takes dax_sem shared")                                     \
    _(DAX_SEM_SHARED_ZERO, "zero_range takes dax_sem shared")                                                          \
    _(DAX_SEM_EARLY, "a fault drops dax_sem before the mapping is installed")                                          \
    _(READ_NO_RECHECK, "a read fault checks the size before dax_sem, and not again")                                   \
    _(WRITE_NO_RECHECK, "a write fault checks the size before dax_sem, and not again")                                 \
    _(PMD_NO_RECHECK, "a huge fault checks the size before dax_sem, and not again")                                    \
    _(MKWRITE_NO_RECHECK, "mkwrite checks the size before dax_sem, and not again")                                     \
    _(PFN_NO_RECHECK, "pfn_mkwrite uses the size and block found before dax_sem")                                      \
    _(FREE_BEFORE_UNMAP, "truncate frees blocks before the unmapping")                                                 \
    _(FREE_BEFORE_UNMAP_PUNCH, "punch frees blocks before the unmapping")                                              \
    _(UNMAP_EARLY, "truncate unmaps before dax_sem, and not again")                                                    \
    _(SIZE_AFTER_UNMAP, "truncate sets the size in core after unmapping, without dax_sem")                             \
    _(COPIES_STAY, "truncate leaves private copies mapped")                                                            \
    _(TAIL_NOT_ZEROED, "an extension does not zero the old tail")                                                      \
    _(TAIL_STAYS_MAPPED, "an extension leaves the page of the old tail mapped")                                        \
    _(END_STAYS, "an extension keeps the block at the end of file")                                                    \
    _(SHRINK_TAIL_NOT_ZEROED, "truncate does not zero the new tail")                                                   \
    _(DISCARD_LATE, "freed blocks are discarded after the bits are cleared")                                           \
    _(ERROR_TRUNCATES, "a failed write fault truncates the file at the page of the fault")                             \
    _(POINTER_UNCHECKED, "a block pointer is used without a check")                                                    \
    _(HINT_UNCHECKED, "a lookup hint is used after pointers were removed")                                             \
    _(GROUP_UNCHECKED, "blocks are freed in a group with different bitmap and count")                                  \
    _(GROUP_UNCHECKED_INODES, "inodes are allocated and freed in a group with different bitmap and count")             \
    _(UNLINK_UNCHECKED, "unlink removes the last name before the check of the blocks to be freed")                     \
    _(PUBLISH_UNZEROED, "a block is published without zeroing")                                                        \
    _(PUBLISH_BEFORE_ZEROING, "a fault zeroes the new block after publishing")                                         \
    _(ZEROED_BY_LOSER, "the loser of two write faults zeroes the block of the winner")                                 \
    _(FAULT_NOT_RECHECKED, "a write fault fills a hole without a second lookup under the range lock")                  \
    _(PLACE_NOT_RECHECKED, "a fill of a hole does not check the place again")                                          \
    _(WRITE_BLOCK_LEAKED, "a write does not return the blocks after losing the race for a hole")                       \
    _(ZERO_PAGE_STAYS, "a write fault leaves the zero page mapped elsewhere")                                          \
    _(ZERO_PAGE_STAYS_PMD, "a huge write fault leaves zero pages mapped elsewhere")                                    \
    _(ZERO_PAGE_STAYS_WRITE, "write and allocate leave zero pages mapped")                                             \
    _(ZERO_PAGE_EARLY, "write unmaps zero pages before publishing, not after")                                         \
    _(RANGE_LOCK_SKIPPED, "range locks are not taken")                                                                 \
    _(RANGE_LOCK_SKIPPED_FSYNC, "fsync does not take range locks")                                                     \
    _(TRUNCATE_LOCK_SKIPPED, "allocation does not take the truncate lock")                                             \
    _(IO_SKIPPED_READ, "read does not take the io lock")                                                               \
    _(IO_SKIPPED_WRITE, "write releases the io lock before the first store")                                           \
    _(IO_SKIPPED_SETATTR, "setattr does not take the io lock")                                                         \
    _(IO_SKIPPED_LOOKUP, "lookup does not take the directory's io lock")                                               \
    _(IO_SKIPPED_READDIR, "readdir does not take the directory's io lock")                                             \
    _(IO_SKIPPED_NAMES, "create, link, unlink and rmdir do not take the directory's io lock")                          \
    _(IO_SKIPPED_LINK, "link does not take the io lock of the inode")                                                  \
    _(IO_SKIPPED_UNLINK, "unlink does not take the io lock of the file")                                               \
    _(IO_SKIPPED_RMDIR, "rmdir does not take the io lock of the directory removed")                                    \
    _(IO_SKIPPED_RENAME, "rename does not take the io locks of the directories")                                       \
    _(IO_SKIPPED_RENAME_SECOND, "rename takes a single io lock of two")                                                \
    _(IO_SKIPPED_RENAME_INODES, "rename does not take the io locks of the inodes renamed and replaced")                \
    _(IO_SKIPPED_GETXATTR, "getxattr does not take the io lock")                                                       \
    _(RENAME_LOCK_SKIPPED, "rename does not take the rename lock")                                                     \
    _(ANCESTRY_SKIPPED, "rename does not check which directory is an ancestor of the other")                           \
    _(ANCESTOR_REPORTED, "rename reports the parent number of an unlinked directory, which may be reused")             \
    _(GROUP_LOCK_SKIPPED, "blocks are allocated and freed without the group lock")                                     \
    _(GROUP_LOCK_SKIPPED_INODES, "inodes are allocated and freed without the group lock")                              \
    _(REFERENCES_UNGUARDED, "references to a shared block are counted without the group lock")                         \
    _(FS_LOCK_SKIPPED, "the free blocks are counted without the fs lock")                                              \
    _(FS_LOCK_SKIPPED_PINS, "pins are recorded without the fs lock")                                                   \
    _(ICACHE_LOCK_SKIPPED, "the inode cache is searched without the cache lock")                                       \
    _(DYING_FOUND, "an inode without a name is found in the cache")                                                    \
    _(NAMELESS_LATE, "unlink marks the inode nameless after releasing the io locks")                                   \
    _(NAMELESS_SKIPPED, "rename does not mark a replaced inode as nameless")                                           \
    _(NAMED_SKIPPED, "create leaves the inode marked as nameless")                                                     \
    _(ALIGNED_ALLOCATED_LATE, "records of aligned extents are allocated in a fault")                                   \
    _(FSYNC_CLEAR_FIRST, "fsync clears the dirty mark before write-protecting")                                        \
    _(FSYNC_UNPROTECTED, "fsync does not write-protect")                                                               \
    _(ALIAS_IGNORED, "a write from a mapping of the file makes no copy first")                                         \
    _(WRITE_DIRTY_EARLY, "write marks a PMD range dirty before the copy")                                              \
    _(ZERO_NOT_DIRTY, "zero_range does not mark its PMD ranges dirty")                                                 \
    _(FAULT_NOT_DIRTY, "a write fault does not mark its PMD range dirty")                                              \
    _(PFN_NOT_DIRTY, "pfn_mkwrite does not mark its PMD range dirty")                                                  \
    _(PINS_IGNORED, "truncate ignores pins")                                                                           \
    _(PINS_IGNORED_PUNCH, "punch ignores pins")                                                                        \
    _(PINS_IGNORED_FREEZE, "freeze ignores writable pins")                                                             \
    _(PIN_RECORDED_LATE, "a pin is recorded after dax_sem is released")                                                \
    _(CLOCK_UNDER_DAX_SEM, "a write fault reads the clock with dax_sem held")                                          \
    _(FREEZE_FAULT_LATE, "a write fault waits for freeze_fault under dax_sem")                                         \
    _(FREEZE_FAULT_SHORT, "a write fault releases freeze_fault before the mapping")                                    \
    _(FREEZE_WRITE_SKIPPED, "calls that modify a file do not take freeze_write")                                       \
    _(FREEZE_WRITE_SKIPPED_NAMES, "calls that change names do not take freeze_write")                                  \
    _(FREEZE_UNPROTECTED, "freeze leaves mappings writable")                                                           \
    _(LAST_PUT_FROZEN, "a last put frees the file although the filesystem is frozen")                                  \
    _(THAW_FORGETS, "thaw does not free the inodes queued by last puts")                                               \
    _(MAP_WEAKENS, "the model address space downgrades an installed mapping")

/*
 * Mutants of the explored lock (lib/testkit/explored_lock.h). The sleep and wake operations used by
 * the lock break their guarantees.
 */
#define E2D_LOCK_MUTANTS(_)                                                                                            \
    _(LOCK_SLEEPS_UNCHECKED, "a waiter sleeps without a second comparison of the turns")                               \
    _(LOCK_WAKE_LOST, "passing a turn wakes no waiter")                                                                \
    _(LOCK_BIAS_UNCHECKED, "a reader with an entry does not check the bias again")                                     \
    _(LOCK_BIAS_UNWAITED, "a writer does not wait for readers with entries")                                           \
    _(LOCK_ENTRIES_FORGOTTEN, "a writer that only tried forgets that there are entries")

/*
 * Mutants of the memory order. No schedule of whole steps shows these, only a race detector does.
 */
#define E2D_RACE_MUTANTS(_)                                                                                            \
    _(PUBLISH_RELAXED, "block pointers are stored without release")                                                    \
    _(LOAD_RELAXED, "block pointers are loaded without acquire")                                                       \
    _(UNLOCK_RELAXED, "the explored lock is released without release")                                                 \
    _(ENTRY_LEFT_RELAXED, "a reader of the explored lock leaves an entry without release")

/* Mutants that matter on some geometries only. A single thread shows these, in tests/fuzz. */
#define E2D_GEOMETRY_MUTANTS(_)                                                                                        \
    _(ALIGNED_UNBOUNDED, "an aligned extent cut by the end of the group or image counts as whole")

/* Mutants of the permission to use an image. The result of a single call shows each. */
#define E2D_CALL_MUTANTS(_)                                                                                            \
    _(CLAIM_SKIPPED, "a mount does not claim its memory")                                                              \
    _(CLAIM_KEPT, "a failed mount keeps the claim")                                                                    \
    _(CHILD_LET_IN, "a call of a process without permission for the memory is not refused")                            \
    _(SHARED_KEPT, "a freed xattr block is still offered to other inodes")                                             \
    _(XATTR_UNCHECKED, "attributes change before the check of the old block")                                          \
    _(INTERRUPTION_IGNORED, "recovery does not ask the host for an interruption")                                      \
    _(NAME_NOT_ADDED, "a name is published without entering the name table")                                           \
    _(NAME_NOT_ADDED_NEW_BLOCK, "a name in a new block does not enter the name table")                                 \
    _(NAME_NOT_REMOVED, "a removed name stays in the name table")                                                      \
    _(NAMES_KEPT, "a name table is kept after a new block of the directory failed")                                    \
    _(NAMES_KEPT_INCOMPLETE, "a name table without memory for a name is kept")                                         \
    _(NAMES_TAKEN_AWAY, "eviction does not take the io lock of the directory")                                         \
    _(NAMES_OUTLIVE, "a name table outlives its directory in core")                                                    \
    _(INDEX_KEPT, "the index of a directory is kept although a name goes to another leaf")                             \
    _(INDEX_MISS_BELIEVED, "a name missing in the leaf counts as absent, even with a bad index")                       \
    _(INDEX_ENDS_EARLY, "a lookup by the index does not continue to the next leaf of the same hash")                   \
    _(HOLE_ENDS_TABLE, "recovery ends an inode table at the first hole")

/* Mutants of the paths taken after a callback failed. tests/hostile fails every callback. */
#define E2D_FAILURE_MUTANTS(_)                                                                                         \
    _(LOCKS_KEPT, "an inode without all its locks keeps the others")                                                   \
    _(INODE_KEPT, "an inode that cannot be made keeps its memory")                                                     \
    _(RESERVE_KEPT, "a block that is not found stays counted as used")                                                 \
    _(NEW_INODE_KEPT, "a new inode that could not be made stays marked used")                                          \
    _(NEW_BLOCK_KEPT, "the block of such an inode stays marked used")                                                  \
    _(FAILURE_IGNORED, "calls modify the image after a failed store")

/* The parts of the enum, in the order of the table in lib/testkit/instrument.c. */
#define E2D_MUTANT_ENUM(name, text)               E2D_MUTANT_##name,
#define E2D_ORDER_ENUM(name, text)                E2D_MUTANT_ORDER_##name,
#define E2D_FENCE_ENUM(name, text)                E2D_MUTANT_FENCE_##name,
#define E2D_WRITE_BACK_ENUM(name, function, what) E2D_MUTANT_WRITE_BACK_##name,

enum e2d_mutant {
    E2D_MUTANT_NONE,
    E2D_MUTANTS(E2D_MUTANT_ENUM) E2D_LOCK_MUTANTS(E2D_MUTANT_ENUM) E2D_RACE_MUTANTS(E2D_MUTANT_ENUM)
        E2D_GEOMETRY_MUTANTS(E2D_MUTANT_ENUM) E2D_CALL_MUTANTS(E2D_MUTANT_ENUM) E2D_FAILURE_MUTANTS(E2D_MUTANT_ENUM)
            E2D_WRONG_ORDERS(E2D_ORDER_ENUM) E2D_FENCES(E2D_FENCE_ENUM) E2D_WRITE_BACKS(E2D_WRITE_BACK_ENUM)
                E2D_MUTANT_COUNT,
    E2D_MUTANT_WRITE_BACKS = E2D_MUTANT_COUNT - E2D_WRITE_BACK_COUNT,
    E2D_MUTANT_FENCES = E2D_MUTANT_WRITE_BACKS - E2D_FENCE_COUNT
};

/* Families of mutants that differ by a kind only. E2D_MUTANT_FROM() relies on the order. */
#define E2D_FAMILY(first, last, members)                                                                               \
    _Static_assert((int)E2D_MUTANT_##last == (int)E2D_MUTANT_##first + (members)-1, #first " is not followed by its "  \
                                                                                           "family")
E2D_FAMILY(DAX_SEM_READ_FAULT, DAX_SEM_PFN_MKWRITE, 6);
E2D_FAMILY(DAX_SEM_TRUNCATE, DAX_SEM_ZERO, 4);
E2D_FAMILY(DAX_SEM_SHARED_TRUNCATE, DAX_SEM_SHARED_ZERO, 4);
E2D_FAMILY(READ_NO_RECHECK, PFN_NO_RECHECK, 5);
E2D_FAMILY(FREE_BEFORE_UNMAP, FREE_BEFORE_UNMAP_PUNCH, 2);
E2D_FAMILY(ZERO_PAGE_STAYS, ZERO_PAGE_STAYS_WRITE, 3);
E2D_FAMILY(ORDER_TAIL_LAST, ORDER_SHRINK_SIZE_FIRST, 3);
E2D_FAMILY(ORDER_REMOVE_BITS_FIRST, ORDER_PUNCH_BITS_FIRST, 2);
#undef E2D_FAMILY

#undef E2D_MUTANT_ENUM
#undef E2D_ORDER_ENUM
#undef E2D_FENCE_ENUM
#undef E2D_WRITE_BACK_ENUM

#if defined(E2D_INSTRUMENT)

/* Defined by the test harness, in lib/testkit/instrument.c. */
extern enum e2d_mutant e2d_mutant_active;
extern bool e2d_assertions_off;
void e2d_yield_point(enum e2d_yield_kind kind, const volatile void *at);
void e2d_atomic_point(enum e2d_yield_kind kind, const volatile void *at, size_t bytes);
void e2d_atomic_loaded(const volatile void *at);
void e2d_data_point(enum e2d_yield_kind kind, const volatile void *at, size_t bytes);

/*
 * Reports the function and the destination of the next store. Sets e2d_write_back_lost if the
 * active mutant removes the write-back of the store.
 */
void e2d_site(const char *function, const char *what);
/* Nonzero while the active mutant removes the next write-back. */
extern int e2d_write_back_lost;

/*
 * Returns whether the active mutant leaves out a call, given the calling function and the text of
 * the call (E2D_SKIPS in mutants.h). e2d_skipping is set while the active mutant leaves out any.
 */
bool e2d_skips(const char *function, const char *call);
extern bool e2d_skipping;

#define E2D_YIELD(kind, at) e2d_yield_point((kind), (at))
/*
 * Before an atomic load, before an atomic store or read-modify-write, and after any access that
 * loads. The first two are yield points. All three report the access to race detectors, because
 * some have no other way to distinguish an atomic access from a plain access.
 */
#define E2D_LOADING(at) e2d_atomic_point(E2D_YIELD_LOAD, (at), sizeof *(at))
#define E2D_STORING(at) e2d_atomic_point(E2D_YIELD_STORE, (at), sizeof *(at))
#define E2D_LOADED(at)  e2d_atomic_loaded(at)
/*
 * Plain accesses to the bytes of blocks. Each 1 KiB unit of the range has a yield point, at an
 * address no field has. A store also yields at `at`.
 */
#define E2D_DATA(kind, at, n) e2d_data_point((kind), (at), (n))
#define E2D_MUTANT(name)      (e2d_mutant_active == E2D_MUTANT_##name)
/* The mutant which follows `first` by `kind` in the enum. The kinds of a family count from 0. */
#define E2D_MUTANT_FROM(first, kind) ((int)e2d_mutant_active == (int)E2D_MUTANT_##first + (int)(kind))
/* Does the active mutant leave out this call, or the call in the named function? */
#define E2D_SKIPPED(call)              E2D_SKIPPED_IN(__func__, call)
#define E2D_SKIPPED_IN(function, call) (e2d_skipping && e2d_skips((function), (call)))
/* A call, or `otherwise` if the active mutant leaves out the call. For the macros of skips.h. */
#define E2D_SKIPPABLE(text, otherwise, call) (E2D_SKIPPED(text) ? (otherwise) : (call))
#define E2D_SITE(f, what)                    e2d_site((f), (what))
#define E2D_FENCE_LOST(step)                 ((int)e2d_mutant_active == (int)E2D_MUTANT_FENCES + (int)(step))
#define E2D_WRITE_BACK_LOST                  (e2d_write_back_lost != 0)
#define E2D_ASSERTIONS_OFF                   e2d_assertions_off

#else

#define E2D_YIELD(kind, at)            ((void)0)
#define E2D_LOADING(at)                ((void)0)
#define E2D_STORING(at)                ((void)0)
#define E2D_LOADED(at)                 ((void)0)
#define E2D_DATA(kind, at, n)          ((void)0)
/* Always false at compile time, but no two expansions are equal. */
#define E2D_MUTANT(name)               (E2D_MUTANT_##name == E2D_MUTANT_NONE)
#define E2D_MUTANT_FROM(first, kind)   ((void)(kind), E2D_MUTANT(first))
#define E2D_SKIPPED_IN(function, call) 0
#define E2D_SITE(f, what)              ((void)0)
#define E2D_FENCE_LOST(step)           0
#define E2D_WRITE_BACK_LOST            0
#define E2D_ASSERTIONS_OFF             0

#endif

/*
 * Plain load or store of data guarded by a lock. While the lock is held no other thread can
 * interfere, and an explorer need not switch. With a mutant that skips the lock, another thread
 * runs here.
 */
#define E2D_GUARDED_LOAD(at)  E2D_YIELD(E2D_YIELD_LOAD, at)
#define E2D_GUARDED_STORE(at) E2D_YIELD(E2D_YIELD_STORE, at)

#endif
