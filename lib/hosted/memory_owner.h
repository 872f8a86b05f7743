/* SPDX-License-Identifier: MIT */
/* Ownership and use of memory. Claims of the users, and the opening process. */
#ifndef E2DH_HOSTED_MEMORY_OWNER_H
#define E2DH_HOSTED_MEMORY_OWNER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ext2dax/memory.h"

/* Number of readers, or all bits set for a single user that may store. */
typedef _Atomic uintptr_t e2dh_claims;

/* Implements the op `claim` on the counter of a memory. Lock-free. */
int e2dh_change_claim(e2dh_claims *claims, enum ext2dax_claim held, enum ext2dax_claim wanted);

/*
 * Returns a number that identifies this process and differs from the numbers of parent and
 * children. The first call may create a mapping. Later calls of both functions cost a load or two,
 * or a getpid() where MADV_WIPEONFORK does not work.
 */
uintptr_t e2dh_process_number(void);
/* Does the number belong to the calling process? */
bool e2dh_is_this_process(uintptr_t number);

#endif
