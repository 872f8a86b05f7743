/* SPDX-License-Identifier: MIT */
/*
 * Extensible public structs (ops tables, options). The first field is the size known to the caller.
 */
#ifndef E2D_BASE_COPY_STRUCT_H
#define E2D_BASE_COPY_STRUCT_H

#include <stddef.h>

/*
 * Copies the part of an extensible struct known to both sides, in whole pointers. Zeroes the rest
 * of `to` and sets the size field of `to` to `to_size`. Reads no byte of `from` past the size of
 * the caller. `from` may be NULL, which is equal to a struct of zeroes.
 */
void e2d_copy_struct(void *to, size_t to_size, const void *from);

/*
 * Copies a struct of results to the caller, at most the `to_size` bytes known to the caller. Zeroes
 * members known only to the caller.
 */
void e2d_copy_results(void *to, size_t to_size, const void *from, size_t from_size);

#endif
