/* SPDX-License-Identifier: MIT */
/* Quiescing a mount, shared by freeze and by a remount to read-only. */
#ifndef E2D_FILE_FREEZE_H
#define E2D_FILE_FREEZE_H

#include "base/internal.h"

/*
 * Takes, or releases, every freeze lock exclusively. The release also frees the inodes of last puts
 * that had to queue in between, because after a failed freeze no thaw would follow to free them.
 */
void e2d_freeze_locks(struct ext2dax_mount *m);
void e2d_thaw_locks(struct ext2dax_mount *m);

/*
 * Write-protects and persists every mapping and everything else. The caller holds both freeze locks
 * exclusively.
 *
 * Returns 0 or a negative errno
 *   EBUSY    a writable pin exists, and nothing was done
 *   EUCLEAN  a block pointer of a dirty file is damaged (reported)
 *   EIO      a pointer block cannot be read, or a write-back failed
 */
int e2d_quiesce(struct ext2dax_mount *m);

#endif
