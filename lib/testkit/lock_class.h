/* SPDX-License-Identifier: MIT */
/* What the classes of locks are called where a person reads of one. */
#ifndef E2D_LOCK_CLASS_H
#define E2D_LOCK_CLASS_H

#include "ext2dax/lock.h"

/* Static text. */
const char *e2d_lock_class_name(enum ext2dax_lock_class lock_class);

#endif
