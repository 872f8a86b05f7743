/* SPDX-License-Identifier: MIT */
/*
 * Yield points: where the instrumented core lets a test bench run another thread, and mutants: protections it can break
 * by name. The shipped core has neither; there both macros are constants and leave no code.
 */
#ifndef E2D_YIELD_H
#define E2D_YIELD_H

enum e2d_yield_kind { E2D_YIELD_LOAD, E2D_YIELD_STORE, E2D_YIELD_LOCK, E2D_YIELD_PERSIST, E2D_YIELD_CALLBACK };

/* name, what it breaks */
#define E2D_MUTANTS(_)                                                                                                 \
    _(DAX_SEM_FAULT, "faults do not take dax_sem")                                                                     \
    _(DAX_SEM_TRUNCATE, "truncate does not take dax_sem")                                                              \
    _(DAX_SEM_EARLY, "a fault drops dax_sem before the mapping is installed")                                          \
    _(FREE_BEFORE_UNMAP, "truncate frees blocks before it unmaps them")                                                \
    _(SIZE_AFTER_UNMAP, "truncate sets the in-core size after unmapping")                                              \
    _(PFN_NO_RECHECK, "pfn_mkwrite does not check the size under dax_sem")                                             \
    _(PUBLISH_UNZEROED, "a block is published without being zeroed")                                                   \
    _(ZERO_PAGE_STAYS, "a write fault leaves the zero page mapped elsewhere")                                          \
    _(TAIL_NOT_ZEROED, "growing leaves the old tail as it is")                                                         \
    _(SHRINK_TAIL_NOT_ZEROED, "shrinking leaves the new tail as it is")                                                \
    _(FSYNC_CLEAR_FIRST, "fsync clears the dirty mark before write-protecting")                                        \
    _(PINS_IGNORED, "truncate ignores pins")                                                                           \
    _(ENTRY_SKIPPED, "faults do not take the entry lock")                                                              \
    _(TRUNCATE_LOCK_SKIPPED, "allocation does not take the truncate lock")                                             \
    _(GROUP_LOCK_SKIPPED, "allocation does not take the group lock")                                                   \
    _(POINTER_UNCHECKED, "a block pointer is used without being checked")

enum e2d_mutant {
    E2D_MUTANT_NONE,
#define E2D_MUTANT_ENUM(name, text) E2D_MUTANT_##name,
    E2D_MUTANTS(E2D_MUTANT_ENUM)
#undef E2D_MUTANT_ENUM
        E2D_MUTANT_COUNT
};

#if defined(E2D_INSTRUMENT)

/* The bench's: both live in the testkit. */
extern enum e2d_mutant e2d_mutant_active;
void e2d_yield_point(enum e2d_yield_kind kind, const volatile void *at);

#define E2D_YIELD(kind, at) e2d_yield_point((kind), (at))
#define E2D_MUTANT(name)    (e2d_mutant_active == E2D_MUTANT_##name)

#else

#define E2D_YIELD(kind, at) ((void)0)
#define E2D_MUTANT(name)    0

#endif

#endif
