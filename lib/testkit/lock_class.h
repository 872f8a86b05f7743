/* SPDX-License-Identifier: MIT */
/* Names of lock classes in reports and tables. */
#ifndef E2DT_LOCK_CLASS_H
#define E2DT_LOCK_CLASS_H

#include "ext2dax/lock.h"

/* Returns static text. */
const char *e2dt_lock_class_name(enum ext2dax_lock_class lock_class);

#endif
