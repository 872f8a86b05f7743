/* SPDX-License-Identifier: MIT */
/*
 * Mutants, protections of the instrumented core which a test harness breaks by name, each alone, to
 * see its checks fail. Nothing may run in the core while a mutant is activated or deactivated.
 */
#ifndef EXT2DAX_TESTKIT_MUTANT_H
#define EXT2DAX_TESTKIT_MUTANT_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Returns the number of mutants, which are numbered from 0. */
int ext2dax_mutant_count(void);
/*
 * Returns the name of a mutant, as "DAX_SEM_FAULT", or its description in words. Returns NULL for
 * an invalid number. The text is static.
 */
const char *ext2dax_mutant_name(int number);
const char *ext2dax_mutant_text(int number);

/* Kind of check which detects a broken protection. */
enum ext2dax_mutant_kind {
    EXT2DAX_MUTANT_CORE,     /* some schedule of a few operations, in core or model address space */
    EXT2DAX_MUTANT_LOCK,     /* the test of the default lock backend itself */
    EXT2DAX_MUTANT_ORDER,    /* a race detector, and no schedule. The order of memory accesses. */
    EXT2DAX_MUTANT_CRASH,    /* a crash only. The order in which stores become durable. */
    EXT2DAX_MUTANT_GEOMETRY, /* a single thread on images of some geometry. Block arithmetic. */
    EXT2DAX_MUTANT_CALL,     /* the return value of a single call. The right to call at all. */
    EXT2DAX_MUTANT_FAILURE   /* a callback that fails. The undoing of a part of a call. */
};
/* Returns the kind of a mutant. Returns CORE for an invalid number. */
enum ext2dax_mutant_kind ext2dax_mutant_kind(int number);

/*
 * Switches the assertions of the instrumented core, which are on at first. With assertions off a
 * mutant continues to do damage, and the checks of the test harness alone must detect the mutant.
 */
void ext2dax_assertions(bool on);

/*
 * Breaks the named protection alone. "none" restores all protections.
 *
 * Returns 0 or a negative errno
 *
 *   EINVAL   no such name, and nothing has changed
 */
int ext2dax_mutant_activate(const char *name);

#ifdef __cplusplus
}
#endif
#endif
