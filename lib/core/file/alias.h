/* SPDX-License-Identifier: MIT */
/*
 * Detection of a caller's buffer that aliases the bytes a read or write is about to move. With such
 * a buffer, each store changes bytes still to be read, and a plain copy between two views of one
 * block is undefined behavior. If the functions below return true, the caller makes a copy of the
 * data first.
 */
#ifndef E2D_FILE_ALIAS_H
#define E2D_FILE_ALIAS_H

#include "base/internal.h"

/*
 * Returns true if any of the `length` bytes at `buffer` may be a byte of the file's range
 * [from, to). Checks the image itself, because a pin points into it. Checks the mappings too if the
 * address space has the `aliases` op. Without the op, aliasing through a mapping is not detected.
 *
 * Compares whole blocks and pages. So true may be a false positive, and false is always correct.
 * The caller holds io.
 */
bool e2d_aliases(struct ext2dax_inode *inode, uint64_t from, uint64_t to, const void *buffer, size_t length);

#endif
