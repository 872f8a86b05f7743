/* SPDX-License-Identifier: MIT */
/* Settling an image that was not cleanly unmounted. */
#ifndef E2D_RECOVER_H
#define E2D_RECOVER_H

#include "incore.h"

/*
 * Mends what a crash of ours leaves, and tells the log what that was. EUCLEAN (reported): it is damage of another kind,
 * for e2fsck; EIO: something cannot be read; ENOMEM: none of these has changed a byte. EIO from a write-back or fence:
 * the image is as after another crash. Takes no lock: nobody else uses the mount yet.
 */
int e2d_recover(struct ext2dax_mount *m);

#endif
