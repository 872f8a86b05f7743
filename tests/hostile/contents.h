/* SPDX-License-Identifier: MIT */
/*
 * The contents of a mounted tree as one number, read through the library. Two trees with the same
 * names, attributes, bytes and extended attributes have the same number, wherever their blocks lie.
 * Times are left out, and a block of zeroes equals a hole.
 */
#ifndef TESTS_HOSTILE_CONTENTS_H
#define TESTS_HOSTILE_CONTENTS_H

#include <stdint.h>

#include "ext2dax/ext2dax.h"

/* Ends the program if the tree cannot be read. */
uint64_t contents_of(struct ext2dax_mount *mount);

#endif
