/* SPDX-License-Identifier: MIT */
/* Coming to rest: what freeze and a remount to read-only have in common. */
#ifndef E2D_FREEZE_H
#define E2D_FREEZE_H

#include "incore.h"

/*
 * Every freeze lock, exclusively. Releasing them frees what last puts had to queue meanwhile: after a freeze that failed
 * no thaw would come to do it.
 */
void e2d_freeze_locks(struct ext2dax_mount *m);
void e2d_thaw_locks(struct ext2dax_mount *m);

/*
 * Write-protects and persists every mapping and everything else. The caller holds both freeze locks exclusively. EBUSY:
 * a writable pin exists, nothing was done. EIO.
 */
int e2d_quiesce(struct ext2dax_mount *m);

#endif
