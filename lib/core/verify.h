/* SPDX-License-Identifier: MIT */
/* The ownership scan of EXT2DAX_MOUNT_VERIFY. */
#ifndef E2D_VERIFY_H
#define E2D_VERIFY_H

#include "incore.h"

/*
 * Walks the tree of every inode in use: EUCLEAN (reported, both owners named) where a block has two, is metadata or
 * outside the image, or is marked free; ENOMEM; EIO (poison). Reads only, and takes no lock: nobody else uses the mount yet.
 */
int e2d_verify(struct ext2dax_mount *m);

#endif
