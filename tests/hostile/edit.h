/* SPDX-License-Identifier: MIT */
/* Edits of an image which know where the structures lie. */
#ifndef TESTS_HOSTILE_EDIT_H
#define TESTS_HOSTILE_EDIT_H

#include <stdint.h>

#include "small.h"

#define EDIT_BYTES 8u

/*
 * Applies an edit of EDIT_BYTES bytes to a copy of the image. The bytes are the structure, the
 * index of the structure, the field (2 bytes), the method, and the value (3 bytes). Every edit
 * changes at most 4 bytes, or fills a block.
 */
void edit_apply(const struct small *small, unsigned char *image, const uint8_t *edit);

#endif
