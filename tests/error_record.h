/* SPDX-License-Identifier: MIT */
/* The record of errors in the superblock, which a call that returns EUCLEAN may change. */
#ifndef TESTS_ERROR_RECORD_H
#define TESTS_ERROR_RECORD_H

#include <stddef.h>
#include <string.h>

#include "ext2dax/ondisk.h"

#define ERROR_RECORD       (EXT2DAX_SUPER_OFFSET + offsetof(struct ext2dax_disk_super, error_count))
#define ERROR_RECORD_BYTES (EXT2DAX_SUPER_OFFSET + offsetof(struct ext2dax_disk_super, rest_late) - ERROR_RECORD)

/* Copies the record between two images. */
static inline void copy_error_record(void *to, const void *from)
{
    memcpy((unsigned char *)to + ERROR_RECORD, (const unsigned char *)from + ERROR_RECORD, ERROR_RECORD_BYTES);
}

#endif
