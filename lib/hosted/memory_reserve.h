/* SPDX-License-Identifier: MIT */
/* What memory and windows are made of: address ranges aligned well enough for huge mappings, and files in memory. */
#ifndef E2D_MEMORY_RESERVE_H
#define E2D_MEMORY_RESERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define E2D_HUGE ((size_t)2 << 20) /* bytes */

/*
 * Reserves `size` bytes of address space, nothing accessible in them, at a multiple of `align` (a power of two, at
 * least a page). munmap() gives them back. ENOMEM.
 */
int e2d_reserve(size_t size, size_t align, void **base);

/* A memfd, as memfd_create() makes it. */
int e2d_memfd(const char *name);
/* Makes a memfd so long. False: errno says why; EFBIG past RLIMIT_FSIZE, of which no signal tells. */
bool e2d_set_length(int memfd, uint64_t bytes);

#endif
