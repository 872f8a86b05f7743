/* SPDX-License-Identifier: MIT */
/* The hashes of names in directory indexes on the medium. */
#ifndef E2D_NAMES_DIR_HASH_H
#define E2D_NAMES_DIR_HASH_H

#include "base/internal.h"

/* Values of hash_version in an index. */
#define E2D_HASH_LEGACY   0u
#define E2D_HASH_HALF_MD4 1u
#define E2D_HASH_TEA      2u
#define E2D_HASH_VERSIONS 3u

/*
 * Returns the hash of a name, an even number, by the seed and the signedness of the superblock.
 * `version` is below E2D_HASH_VERSIONS.
 */
uint32_t e2d_dir_hash(const struct ext2dax_mount *m, uint32_t version, const char *name, size_t length);

#endif
