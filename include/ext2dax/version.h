/* SPDX-License-Identifier: MIT */
/* The version of this header and of the linked library. The build reads the numbers from here. */
#ifndef EXT2DAX_VERSION_H
#define EXT2DAX_VERSION_H

#include "export.h"

#define EXT2DAX_VERSION_MAJOR 0 /* 0 while symbols may still change */
#define EXT2DAX_VERSION_MINOR 1 /* raised by additions */
#define EXT2DAX_VERSION_PATCH 0 /* raised by fixes */
#define EXT2DAX_ABI_VERSION   0 /* the soversion of the shared library */

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Returns the version of the running library, such as "0.1.0". The running library may be newer
 * than the header used to compile the caller. Takes no lock and cannot fail.
 */
EXT2DAX_API const char *ext2dax_version(void);

#ifdef __cplusplus
}
#endif
#endif
