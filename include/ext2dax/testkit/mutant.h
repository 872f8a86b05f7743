/* SPDX-License-Identifier: MIT */
/*
 * Mutants: protections of the instrumented core that a test bench can break by name, one at a time, to see its checks
 * fail. Nothing may run in the core while one is switched on or off.
 */
#ifndef EXT2DAX_TESTKIT_MUTANT_H
#define EXT2DAX_TESTKIT_MUTANT_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How many there are; they are numbered from 0. */
int ext2dax_mutant_count(void);
/* "DAX_SEM_FAULT", and what it breaks, in words. NULL for a number that is none. The text is static. */
const char *ext2dax_mutant_name(int number);
const char *ext2dax_mutant_text(int number);

/* What shows that a protection is broken. */
enum ext2dax_mutant_kind {
    EXT2DAX_MUTANT_CORE,  /* of the core or the model address space: some schedule of a few operations shows it */
    EXT2DAX_MUTANT_LOCK,  /* of what the default lock backend rests on; the bench of the lock itself shows it */
    EXT2DAX_MUTANT_ORDER, /* of the order of memory accesses alone: no schedule shows it, a race detector does */
    EXT2DAX_MUTANT_CRASH  /* of what is durable before what: only a crash shows it */
};
/* Of a mutant by its number. */
enum ext2dax_mutant_kind ext2dax_mutant_kind(int number);

/*
 * The assertions of the instrumented core: on at first. Off, a mutant has to be noticed by what the bench itself looks at,
 * and goes on to do its damage.
 */
void ext2dax_assertions(bool on);

/* Breaks this protection alone; "none" mends everything. EINVAL: no such name, and nothing changes. */
int ext2dax_mutant_activate(const char *name);

#ifdef __cplusplus
}
#endif
#endif
