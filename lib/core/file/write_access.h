/* SPDX-License-Identifier: MIT */
/* How a call that modifies one file begins and ends: freeze_write shared, io exclusively, and whether it may at all. */
#ifndef E2D_MODIFY_H
#define E2D_MODIFY_H

#include "incore.h"

enum e2d_modify {
    E2D_MODIFY_DATA, /* adds or overwrites: an append-only file allows it at its end, which the caller checks */
    E2D_MODIFY_SIZE  /* takes bytes away or sets the size: not on an append-only file */
};

/*
 * *now: the time to store, read while only freeze_write is held. EROFS, EPERM, EISDIR, EINVAL (no regular file), EIO (a
 * write-back has failed): then nothing is held. May wait for thaw.
 */
int e2d_modify_begin(struct ext2dax_inode *inode, enum e2d_modify what, uint32_t *now);
void e2d_modify_end(struct ext2dax_inode *inode);

/* Is changing anything allowed at the moment? 0, EROFS or EIO. The caller holds a freeze lock. */
int e2d_may_modify(struct ext2dax_mount *m);

#endif
