/* SPDX-License-Identifier: MIT */
/* Marks a declaration as part of the public interface. */
#ifndef EXT2DAX_EXPORT_H
#define EXT2DAX_EXPORT_H

#if defined(__GNUC__)
#define EXT2DAX_API __attribute__((visibility("default")))
#else
#define EXT2DAX_API
#endif

#endif
