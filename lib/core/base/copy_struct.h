/* SPDX-License-Identifier: MIT */
/* Public structs that begin with the size their caller knew of: ops tables and options. */
#ifndef E2D_SIZED_H
#define E2D_SIZED_H

#include <stddef.h>

/*
 * Copies what both sides know of such a struct, in whole pointers; the rest of `to` is zero, and its size its own. Not a
 * byte of the caller's is read past its size. `from` may be NULL: all zero.
 */
void e2d_copy_sized(void *to, size_t to_size, const void *from);

#endif
