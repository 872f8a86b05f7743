/* SPDX-License-Identifier: MIT */
/*
 * Pins: direct pointers into a file, for DMA or long use. While a range is pinned, what would free its blocks answers
 * EBUSY and changes nothing.
 */
#ifndef EXT2DAX_PIN_H
#define EXT2DAX_PIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export.h"
#include "inode.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The caller's storage, which must stay until unpin; the members belong to the core. */
struct ext2dax_pin {
    struct ext2dax_inode *inode; /* holds a reference */
    struct ext2dax_pin *next;    /* of the inode's pins */
    uint64_t first;              /* block */
    uint64_t count;              /* blocks */
    bool writable;               /* what it points at may be stored to */
};

/*
 * Pins the blocks of [offset, offset + length). A writable pin fills holes with zeroed blocks first, and its windows
 * count as dirty as long as it lives; a read-only pin over a hole is ENXIO. The range must lie below ceil(size / block):
 * EINVAL. EROFS, ENOSPC, EUCLEAN, ENOMEM; on failure nothing is pinned. A read-only pin may be taken under the
 * address-space lock; a writable one takes freeze_write.
 */
EXT2DAX_API int ext2dax_pin(struct ext2dax_inode *inode, uint64_t offset, uint64_t length, bool writable,
                            struct ext2dax_pin *pin);

/*
 * Where `offset` lies in memory, and how many bytes from there on are contiguous and pinned. EINVAL: not in the pin. EUCLEAN:
 * the image has lost the pinned block, as one that gives a pointer block to two owners can.
 */
EXT2DAX_API int ext2dax_pin_pointer(const struct ext2dax_pin *pin, uint64_t offset, void **pointer, size_t *length);

/* Gives the pin and its reference back. May be called under the address-space lock. */
EXT2DAX_API void ext2dax_unpin(struct ext2dax_pin *pin);

#ifdef __cplusplus
}
#endif
#endif
