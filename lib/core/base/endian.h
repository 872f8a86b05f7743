/* SPDX-License-Identifier: MIT */
/*
 * Conversion between the little-endian integers of the image and native integers. The e2d_load_…
 * functions are atomic, for fields which another thread may store to. The other functions are plain
 * accesses or pure arithmetic.
 */
#ifndef E2D_BASE_ENDIAN_H
#define E2D_BASE_ENDIAN_H

#include <stdint.h>

#include "ext2dax/ondisk.h"

#include "base/atomic.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define E2D_BIG_ENDIAN 1
#else
#define E2D_BIG_ENDIAN 0
#endif

static inline uint16_t e2d_swap_bytes16(uint16_t v)
{
    return E2D_BIG_ENDIAN ? (uint16_t)(v << 8 | v >> 8) : v;
}
static inline uint32_t e2d_swap_bytes32(uint32_t v)
{
    return E2D_BIG_ENDIAN ? v << 24 | (v & 0xFF00u) << 8 | (v >> 8 & 0xFF00u) | v >> 24 : v;
}

static inline uint16_t e2d_get16(struct ext2dax_le16 v)
{
    return e2d_swap_bytes16(v.le);
}
static inline uint32_t e2d_get32(struct ext2dax_le32 v)
{
    return e2d_swap_bytes32(v.le);
}
static inline struct ext2dax_le16 e2d_le16(uint32_t v)
{
    struct ext2dax_le16 r = {e2d_swap_bytes16((uint16_t)v)};

    return r;
}
static inline struct ext2dax_le32 e2d_le32(uint32_t v)
{
    struct ext2dax_le32 r = {e2d_swap_bytes32(v)};

    return r;
}

static inline uint32_t e2d_load_le32(const struct ext2dax_le32 *at)
{
    return e2d_swap_bytes32(E2D_MUTANT(LOAD_RELAXED) ? e2d_load32_relaxed(&at->le) : e2d_load32(&at->le));
}

/*
 * Returns the aligned 4 bytes that contain the 2-byte field, and the position of the field as a
 * shift. A target may have no smaller atomics. A store to a field with concurrent loads must use
 * e2d_store16(), which accesses the same 4 bytes.
 */
static inline uint32_t *e2d_around16(const struct ext2dax_le16 *at, unsigned *shift)
{
    uintptr_t in = (uintptr_t)at & 2;

    *shift = (in != 0) != E2D_BIG_ENDIAN ? 16 : 0;
    return (uint32_t *)((uintptr_t)at - in);
}
/* Stored once, beside e2d_store16(). */
uint16_t e2d_load_le16(const struct ext2dax_le16 *at);

#endif
