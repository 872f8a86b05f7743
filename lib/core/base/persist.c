/* SPDX-License-Identifier: MIT */
/*
 * Stores into the image, write-back, and the named fences. The order is decided by the callers, in
 * the sequence of stores and e2d_order() calls.
 */
#define E2D_PERSIST_PLAIN
#include "base/persist.h"

_Static_assert(E2D_FENCE_COUNT <= E2D_FENCE_SLOTS, "every step needs its counter");

/*
 * Records the first failed write-back or fence, and reports the failure. No later fence can
 * guarantee durability, so the mount becomes read-only.
 */
static void fail(struct ext2dax_mount *m, const void *at, int error)
{
    uint64_t offset = (uint64_t)((const unsigned char *)at - m->base);

    if (e2d_swap32(&m->failed, 0, (uint32_t)(offset >> m->block_shift) + 1))
        (void)e2d_complain(m, error, "memory", offset, "write-back", 0, "failed, the filesystem is now read-only");
}

bool e2d_has_failed(const struct ext2dax_mount *m)
{
    return e2d_load32(&m->failed) != 0;
}

/*
 * Reports the failure to every refused call, because the write-back may have failed in a call of
 * another thread.
 */
int e2d_failed(struct ext2dax_mount *m)
{
    uint32_t failed = e2d_load32(&m->failed);

    if (failed == 0)
        return 0;
    return e2d_tell(m, -EXT2DAX_EIO, "block", failed - 1, "write-back", 0,
                    "has failed, the filesystem is now read-only");
}

void e2d_write_back(struct ext2dax_mount *m, const void *at, size_t length)
{
    int rc;

    if (E2D_WRITE_BACK_LOST)
        return;
    E2D_YIELD(E2D_YIELD_PERSIST, at);
    /*
     * A range smaller than a block is a field which the caller has just stored to, so no data yield
     * point is needed.
     */
    if (length >= m->block_size)
        E2D_DATA(E2D_YIELD_LOAD, at, length);
    rc = m->memory_ops.persist ? m->memory_ops.persist(m->memory_ctx, at, length) : 0;
    if (rc != 0)
        fail(m, at, rc);
}

void e2d_written(struct ext2dax_mount *m, const void *at, size_t length)
{
    if (m->ordered)
        e2d_write_back(m, at, length);
}

void e2d_written_bits(struct ext2dax_mount *m, const uint8_t *map, uint32_t from, uint32_t end)
{
    e2d_written(m, map + (from >> 3), ((end - 1) >> 3) - (from >> 3) + 1);
}

void e2d_store8(struct ext2dax_mount *m, uint8_t *at, uint8_t value)
{
    *at = value;
    e2d_written(m, at, 1);
}

uint16_t e2d_load_le16(const struct ext2dax_le16 *at)
{
    unsigned shift;
    const uint32_t *around = e2d_around16(at, &shift);

    return e2d_swap_bytes16((uint16_t)(e2d_load32(around) >> shift));
}

void e2d_store16(struct ext2dax_mount *m, struct ext2dax_le16 *at, uint32_t value)
{
    unsigned shift;
    uint32_t *around = e2d_around16(at, &shift);
    uint32_t old, new;

    do {
        old = e2d_load32_relaxed(around);
        new = (old & ~(0xFFFFu << shift)) | (uint32_t)e2d_swap_bytes16((uint16_t)value) << shift;
    } while (!e2d_swap32(around, old, new));
    e2d_written(m, at, sizeof *at);
}

void e2d_store32(struct ext2dax_mount *m, struct ext2dax_le32 *at, uint32_t value)
{
    e2d_put32(at, value);
    e2d_written(m, at, sizeof *at);
}

void e2d_copy(struct ext2dax_mount *m, void *to, const void *from, size_t length)
{
    memcpy(to, from, length);
    e2d_written(m, to, length);
}

void e2d_zero(struct ext2dax_mount *m, void *at, size_t length)
{
    int rc;

    if (length == 0)
        return;
    E2D_DATA(E2D_YIELD_STORE, at, length);
    if (!m->memory_ops.zero || E2D_WRITE_BACK_LOST) {
        memset(at, 0, length);
        e2d_written(m, at, length);
        return;
    }
    E2D_YIELD(E2D_YIELD_PERSIST, at);
    rc = m->memory_ops.zero(m->memory_ctx, at, length);
    if (rc != 0)
        fail(m, at, rc);
}

/* A failure leaves any bytes in free blocks, which is right. */
void e2d_discard(struct ext2dax_mount *m, void *at, size_t length)
{
    if (!m->memory_ops.discard)
        return;
    E2D_DATA(E2D_YIELD_STORE, at, length);
    (void)m->memory_ops.discard(m->memory_ctx, at, length);
}

void e2d_zero_data(struct ext2dax_mount *m, void *at, size_t length)
{
    (void)m; /* as every store into the image */
    E2D_DATA(E2D_YIELD_STORE, at, length);
    memset(at, 0, length);
}

static void fence(struct ext2dax_mount *m, enum e2d_fence step)
{
    int rc;

    E2D_YIELD(E2D_YIELD_PERSIST, m->base);
    if (!m->memory_ops.fence)
        return;
    e2d_count(&e2d_counters(m)->fences, 1);
    e2d_count(&m->fences_by_name[step], 1);
    rc = m->memory_ops.fence(m->memory_ctx);
    if (rc != 0)
        fail(m, m->base, rc);
}

int e2d_order(struct ext2dax_mount *m, enum e2d_fence step)
{
    if (m->ordered && !E2D_FENCE_LOST(step))
        fence(m, step);
    return e2d_failed(m);
}

int e2d_flush(struct ext2dax_mount *m, const void *at, size_t length)
{
    e2d_write_back(m, at, length);
    if (!E2D_FENCE_LOST(E2D_FENCE_SYNC))
        fence(m, E2D_FENCE_SYNC);
    return e2d_failed(m);
}

bool e2d_readable(const struct ext2dax_mount *m, const void *at, size_t length)
{
    return !m->memory_ops.check || m->memory_ops.check(m->memory_ctx, at, length) == 0;
}

static int usable(const struct ext2dax_mount *m)
{
    return m->memory_ops.usable ? m->memory_ops.usable(m->memory_ctx) : 0;
}

bool e2d_is_usable(const struct ext2dax_mount *m)
{
    return usable(m) == 0;
}

int e2d_usable(struct ext2dax_mount *m)
{
    int rc = usable(m);

    return rc == 0 ? 0 : e2d_complain(m, rc, "memory", 0, "size", m->size, "bytes, opened by another process");
}

int e2d_check(struct ext2dax_mount *m, const void *at, size_t length)
{
    if (e2d_readable(m, at, length))
        return 0;
    return e2d_complain(m, -EXT2DAX_EIO, "memory", (uint64_t)((const unsigned char *)at - m->base), "range", length,
                        "cannot be read");
}
