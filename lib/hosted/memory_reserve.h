/* SPDX-License-Identifier: MIT */
/* What the memory backends share: an address range aligned well enough for huge mappings. */
#ifndef E2D_MEMORY_RESERVE_H
#define E2D_MEMORY_RESERVE_H

#include <stddef.h>

#define E2D_HUGE ((size_t)2 << 20) /* bytes */

/*
 * Reserves `size` bytes of address space, nothing accessible in them, at a multiple of `align` (a power of two, at
 * least a page). munmap() gives them back. ENOMEM.
 */
int e2d_reserve(size_t size, size_t align, void **base);

#endif
