/* SPDX-License-Identifier: MIT */
/* List of pins per inode, for use by the rest of the core. All functions take the fs lock. */
#ifndef E2D_FILE_PIN_LIST_H
#define E2D_FILE_PIN_LIST_H

#include "base/internal.h"

void e2d_pin_record(struct ext2dax_pin *pin);
void e2d_pin_forget(struct ext2dax_pin *pin);

/* Does a pin (or a writable pin, with `writable_only`) cover any of the blocks [first, end)? */
bool e2d_pinned(struct ext2dax_inode *inode, uint64_t first, uint64_t end, bool writable_only);

#endif
