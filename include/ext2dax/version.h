/* SPDX-License-Identifier: MIT */
/* The version of this header, and of the library that is linked. The build reads the numbers from here. */
#ifndef EXT2DAX_VERSION_H
#define EXT2DAX_VERSION_H

#include "export.h"

#define EXT2DAX_VERSION_MAJOR 0 /* 0: symbols may still change */
#define EXT2DAX_VERSION_MINOR 1 /* what was added */
#define EXT2DAX_VERSION_PATCH 0 /* what was mended */
#define EXT2DAX_ABI_VERSION   0 /* the shared library's soversion */

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0": the version of the library that runs, which may be newer than the header compiled against. */
EXT2DAX_API const char *ext2dax_version(void);

#ifdef __cplusplus
}
#endif
#endif
