/* SPDX-License-Identifier: MIT */
/*
 * libext2dax: the part of ext2 that decides which block backs which page, when that may change, and who must wait.
 *
 * The tour, in the order in which a program meets it:
 *
 *   lock.h, memory.h, address_space.h, host.h   the four plugs an embedder fills (ready-made ones: hosted/…)
 *   format.h                                    make an image
 *   mount.h                                     open it; sync, freeze, figures
 *   name.h, inode.h                             find a file, hold it
 *   file.h                                      its blocks and bytes: map, read, write, truncate, punch, fsync
 *   fault.h                                     its pages: the fault family
 *   pin.h                                       direct pointers
 *   error.h, version.h, ondisk.h                errors and reports; versions; the format itself
 *
 * Any call may be made from any thread. What must not be held when calling stands at each declaration; lock.h has
 * the whole order.
 */
#ifndef EXT2DAX_H
#define EXT2DAX_H

#include "address_space.h"
#include "error.h"
#include "fault.h"
#include "file.h"
#include "format.h"
#include "host.h"
#include "inode.h"
#include "lock.h"
#include "memory.h"
#include "mount.h"
#include "name.h"
#include "ondisk.h"
#include "pin.h"
#include "version.h"

#endif
