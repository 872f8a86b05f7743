/* SPDX-License-Identifier: MIT */
/* Changes of the core to the mappings of a file. */
#ifndef E2D_FILE_MAPPINGS_H
#define E2D_FILE_MAPPINGS_H

#include "base/internal.h"

/*
 * Makes the mappings of a range read-only, so that the next store faults. The range is in blocks.
 */
void e2d_write_protect(struct ext2dax_inode *inode, uint64_t first, uint64_t count);
/*
 * Removes mappings, if an address space exists. The range is in pages, and `count` may be
 * UINT64_MAX. With `private_too`, private copies are removed as well.
 */
void e2d_unmap(struct ext2dax_inode *inode, uint64_t first_page, uint64_t count, bool private_too);
/* Reports the new number of pages to the address space, before any thread can see the new size. */
void e2d_extend_mapped(struct ext2dax_inode *inode, uint64_t pages);

#endif
