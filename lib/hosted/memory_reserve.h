/* SPDX-License-Identifier: MIT */
/*
 * Primitives for memory backends and mappings. Address ranges aligned for huge entries, and memfds.
 */
#ifndef E2DH_MEMORY_RESERVE_H
#define E2DH_MEMORY_RESERVE_H

#include <stddef.h>

#define E2DH_HUGE ((size_t)2 << 20) /* bytes */
/*
 * The least bytes given back to the kernel at once. Stores of zeroes to fewer bytes are faster than
 * the system call. At least two pages of any size.
 */
#define E2DH_DISCARD_LEAST ((size_t)128 << 10)

/*
 * Reserves `size` bytes of inaccessible address space at a multiple of `align` (a power of two, at
 * least a page). munmap() frees the range. Returns 0 or -ENOMEM.
 */
int e2dh_reserve(size_t size, size_t align, void **base);

/*
 * Returns the bytes of the file before the image, for memory opened with
 * ext2dax_memory_open_file_with(). 0 for other memory.
 */
struct ext2dax_memory;
uint64_t e2dh_file_offset(const struct ext2dax_memory *memory);

/* Creates a memfd. Returns a descriptor, or -1 with errno set, like memfd_create(). */
int e2dh_memfd(const char *name);

#endif
