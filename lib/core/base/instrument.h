/* SPDX-License-Identifier: MIT */
/*
 * Yield points: where the instrumented core lets a test bench run another thread, and mutants: protections it can break
 * by name. The shipped core has neither; there both macros are constants and leave no code.
 */
#ifndef E2D_YIELD_H
#define E2D_YIELD_H

#include <stdbool.h>
#include <stddef.h>

#include "disorder.h"
#include "steps.h"

enum e2d_yield_kind { E2D_YIELD_LOAD, E2D_YIELD_STORE, E2D_YIELD_LOCK, E2D_YIELD_PERSIST, E2D_YIELD_CALLBACK };

/*
 * Name, and what it breaks: one protection each. What some schedule of two or three operations shows, in the image, in
 * the mappings or in what a call answers.
 */
#define E2D_MUTANTS(_)                                                                                                 \
    /* dax_sem: not taken, in the wrong mode, or not for long enough */                                                \
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
    _(DAX_SEM_GROW, "growing over an old tail does not take dax_sem")                                                  \
    _(DAX_SEM_SHARED_TRUNCATE, "truncate takes dax_sem shared")                                                        \
    _(DAX_SEM_SHARED_PUNCH, "punch takes dax_sem shared")                                                              \
    _(DAX_SEM_SHARED_GROW, "growing over an old tail takes dax_sem shared")                                            \
    _(DAX_SEM_EARLY, "a fault drops dax_sem before the mapping is installed")                                          \
    /* the size, seen under dax_sem */                                                                                 \
    _(READ_NO_RECHECK, "a read fault looks at the size before it takes dax_sem, and not again")                        \
    _(WRITE_NO_RECHECK, "a write fault looks at the size before it takes dax_sem, and not again")                      \
    _(PMD_NO_RECHECK, "a huge fault looks at the size before it takes dax_sem, and not again")                         \
    _(MKWRITE_NO_RECHECK, "mkwrite looks at the size before it takes dax_sem, and not again")                          \
    _(PFN_NO_RECHECK, "pfn_mkwrite believes the size and the block that it saw before it had dax_sem")                 \
    /* what is taken away */                                                                                           \
    _(FREE_BEFORE_UNMAP, "truncate frees blocks before it unmaps them")                                                \
    _(FREE_BEFORE_UNMAP_PUNCH, "punch frees blocks before it unmaps them")                                             \
    _(UNMAP_EARLY, "truncate unmaps before it takes dax_sem, and not again")                                           \
    _(SIZE_AFTER_UNMAP, "truncate sets the in-core size after unmapping, when it has let go of dax_sem")               \
    _(COPIES_STAY, "truncate leaves private copies mapped")                                                            \
    _(TAIL_NOT_ZEROED, "growing leaves the old tail as it is")                                                         \
    _(TAIL_STAYS_MAPPED, "growing leaves the page of the old tail mapped")                                             \
    _(SHRINK_TAIL_NOT_ZEROED, "shrinking leaves the new tail as it is")                                                \
    _(ERROR_TRUNCATES, "a write fault that fails truncates the file at its page")                                      \
    _(POINTER_UNCHECKED, "a block pointer is used without being checked")                                              \
    /* what fills a hole */                                                                                            \
    _(PUBLISH_UNZEROED, "a block is published without being zeroed")                                                   \
    _(PUBLISH_BEFORE_ZEROING, "a fault zeroes its block after it has published it")                                    \
    _(ZEROED_BY_LOSER, "the loser of two write faults zeroes the block of the winner")                                 \
    _(FAULT_NOT_RECHECKED, "a write fault that saw a hole fills it without looking again under the entry lock")        \
    _(PLACE_NOT_RECHECKED, "what fills a hole does not look again whether it is one still")                            \
    _(WRITE_BLOCK_LEAKED, "a write that lost the race for a hole does not return its blocks")                          \
    _(ZERO_PAGE_STAYS, "a write fault leaves the zero page mapped elsewhere")                                          \
    _(ZERO_PAGE_STAYS_PMD, "a huge write fault leaves zero pages mapped elsewhere")                                    \
    _(ZERO_PAGE_STAYS_WRITE, "write and allocate leave zero pages mapped")                                             \
    _(ZERO_PAGE_EARLY, "write takes zero pages down before it has published its blocks, not after")                    \
    /* the other locks */                                                                                              \
    _(ENTRY_SKIPPED, "nobody takes an entry lock")                                                                     \
    _(ENTRY_SKIPPED_FSYNC, "fsync does not take entry locks")                                                          \
    _(TRUNCATE_LOCK_SKIPPED, "allocation does not take the truncate lock")                                             \
    _(IO_SKIPPED_READ, "read does not take the io lock")                                                               \
    _(IO_SKIPPED_WRITE, "write lets go of the io lock before it begins")                                               \
    _(IO_SKIPPED_LOOKUP, "lookup does not take the directory's io lock")                                               \
    _(IO_SKIPPED_READDIR, "readdir does not take the directory's io lock")                                             \
    _(GROUP_LOCK_SKIPPED, "nobody takes a group lock to allocate or free blocks")                                      \
    _(GROUP_LOCK_SKIPPED_INODES, "nobody takes a group lock to allocate or free an inode")                             \
    _(FS_LOCK_SKIPPED, "the free blocks are counted without the fs lock")                                              \
    _(FS_LOCK_SKIPPED_PINS, "pins are recorded without the fs lock")                                                   \
    _(CACHE_LOCK_SKIPPED, "an inode is looked for without the cache lock")                                             \
    _(DYING_FOUND, "an inode whose last name is gone is found in the cache")                                           \
    /* durability */                                                                                                   \
    _(FSYNC_CLEAR_FIRST, "fsync clears the dirty mark before write-protecting")                                        \
    _(FSYNC_UNPROTECTED, "fsync does not write-protect")                                                               \
    _(WRITE_DIRTY_EARLY, "write marks a window dirty before it copies into it")                                        \
    _(FAULT_NOT_DIRTY, "a write fault does not mark its window dirty")                                                 \
    _(PFN_NOT_DIRTY, "pfn_mkwrite does not mark its window dirty")                                                     \
    /* pins */                                                                                                         \
    _(PINS_IGNORED, "truncate ignores pins")                                                                           \
    _(PINS_IGNORED_PUNCH, "punch ignores pins")                                                                        \
    _(PINS_IGNORED_FREEZE, "freeze ignores writable pins")                                                             \
    _(PIN_RECORDED_LATE, "a pin is recorded after dax_sem was let go")                                                 \
    /* freeze */                                                                                                       \
    _(CLOCK_UNDER_DAX_SEM, "a write fault asks the clock with dax_sem held")                                           \
    _(FREEZE_FAULT_LATE, "a write fault takes freeze_fault after dax_sem, and waits for it there")                     \
    _(FREEZE_FAULT_SHORT, "a write fault lets go of freeze_fault before it maps")                                      \
    _(FREEZE_WRITE_SKIPPED, "calls that modify a file do not take freeze_write")                                       \
    _(FREEZE_UNPROTECTED, "freeze leaves mappings writable")                                                           \
    _(LAST_PUT_FROZEN, "a last put frees the file although the filesystem is frozen")                                  \
    _(THAW_FORGETS, "thaw does not free what last puts had queued")                                                    \
    /* the address space's side */                                                                                     \
    _(MAP_WEAKENS, "the model address space replaces an entry by a weaker one")

/* The same for the explored lock (lib/testkit/explored_lock.h): what it rests on does not keep its word. */
#define E2D_LOCK_MUTANTS(_)                                                                                            \
    _(LOCK_SLEEPS_UNCHECKED, "a waiter falls asleep without comparing the turns once more")                            \
    _(LOCK_WAKE_LOST, "who passes a turn on wakes nobody")

/* The same for what only the order of memory accesses shows: no schedule of whole steps does, a race detector can. */
#define E2D_RACE_MUTANTS(_)                                                                                            \
    _(PUBLISH_RELAXED, "block pointers are stored without release")                                                    \
    _(LOAD_RELAXED, "block pointers are loaded without acquire")                                                       \
    _(UNLOCK_RELAXED, "the explored lock is released without release")

/* The enum's parts, in the order of instrument.c's table. */
#define E2D_MUTANT_ENUM(name, text)               E2D_MUTANT_##name,
#define E2D_ORDER_ENUM(name, text)                E2D_MUTANT_ORDER_##name,
#define E2D_FENCE_ENUM(name, text)                E2D_MUTANT_FENCE_##name,
#define E2D_WRITE_BACK_ENUM(name, function, what) E2D_MUTANT_WRITE_BACK_##name,

enum e2d_mutant {
    E2D_MUTANT_NONE,
    E2D_MUTANTS(E2D_MUTANT_ENUM) E2D_LOCK_MUTANTS(E2D_MUTANT_ENUM) E2D_RACE_MUTANTS(E2D_MUTANT_ENUM)
        E2D_WRONG_ORDERS(E2D_ORDER_ENUM) E2D_STEPS(E2D_FENCE_ENUM) E2D_WRITE_BACKS(E2D_WRITE_BACK_ENUM)
            E2D_MUTANT_COUNT,
    E2D_MUTANT_WRITE_BACKS = E2D_MUTANT_COUNT - E2D_WRITE_BACK_COUNT,
    E2D_MUTANT_FENCES = E2D_MUTANT_WRITE_BACKS - E2D_STEP_COUNT
};

#undef E2D_MUTANT_ENUM
#undef E2D_ORDER_ENUM
#undef E2D_FENCE_ENUM
#undef E2D_WRITE_BACK_ENUM

#if defined(E2D_INSTRUMENT)

/* The bench's: all live in the testkit. */
extern enum e2d_mutant e2d_mutant_active;
extern bool e2d_assertions_off;
void e2d_yield_point(enum e2d_yield_kind kind, const volatile void *at);
void e2d_atomic_point(enum e2d_yield_kind kind, const volatile void *at, size_t bytes);
void e2d_atomic_loaded(const volatile void *at);
void e2d_data_point(enum e2d_yield_kind kind, const volatile void *at, size_t bytes);

/* Where a store stands: the function, and what it stores to. Decides about e2d_write_back_lost. */
void e2d_site(const char *function, const char *what);
/* The write-back that comes next is one that the active mutant takes away. */
extern int e2d_write_back_lost;

#define E2D_YIELD(kind, at) e2d_yield_point((kind), (at))
/* Before an atomic load, before an atomic store or both in one, and after what loads: yield points, of which race
 * detectors are told that tell an atomic access from a plain one by nothing else. */
#define E2D_LOADING(at) e2d_atomic_point(E2D_YIELD_LOAD, (at), sizeof *(at))
#define E2D_STORING(at) e2d_atomic_point(E2D_YIELD_STORE, (at), sizeof *(at))
#define E2D_LOADED(at)  e2d_atomic_loaded(at)
/* Bytes of blocks that are read or stored to by other means than atomics: one point for each block, and none of a field's. */
#define E2D_DATA(kind, at, n) e2d_data_point((kind), (at), (n))
#define E2D_MUTANT(name)      (e2d_mutant_active == E2D_MUTANT_##name)
#define E2D_SITE(f, what)     e2d_site((f), (what))
#define E2D_FENCE_LOST(step)  ((int)e2d_mutant_active == (int)E2D_MUTANT_FENCES + (int)(step))
#define E2D_WRITE_BACK_LOST   (e2d_write_back_lost != 0)
#define E2D_ASSERTIONS_OFF    e2d_assertions_off

#else

#define E2D_YIELD(kind, at)   ((void)0)
#define E2D_LOADING(at)       ((void)0)
#define E2D_STORING(at)       ((void)0)
#define E2D_LOADED(at)        ((void)0)
#define E2D_DATA(kind, at, n) ((void)0)
#define E2D_MUTANT(name)      (E2D_MUTANT_##name == E2D_MUTANT_NONE) /* never, and known to be so; yet no two are alike */
#define E2D_SITE(f, what)     ((void)0)
#define E2D_FENCE_LOST(step)  0
#define E2D_WRITE_BACK_LOST   0
#define E2D_ASSERTIONS_OFF    0

#endif

/* Done but for a mutant that leaves it out; the two halves of a pair name the same one. */
#define E2D_UNLESS(name, statement)                                                                                    \
    do {                                                                                                               \
        if (!E2D_MUTANT(name)) {                                                                                       \
            statement;                                                                                                 \
        }                                                                                                              \
    } while (0)

/*
 * A plain load or store of what a lock guards. As long as the lock is held nobody comes between, and an explorer need not
 * look; with a mutant that leaves the lock out, this is where another thread does.
 */
#define E2D_GUARDED_LOAD(at)  E2D_YIELD(E2D_YIELD_LOAD, at)
#define E2D_GUARDED_STORE(at) E2D_YIELD(E2D_YIELD_STORE, at)

#endif
