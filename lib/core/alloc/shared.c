/* SPDX-License-Identifier: MIT */
/*
 * The table of known xattr blocks. A slot is chosen by the hash of the attributes, and the last
 * block with the slot wins.
 */
#include "alloc/shared.h"

#include "base/bitmap.h"
#include "base/lock.h"
#include "base/persist.h"
#include "disk/group.h"
#include "disk/inode.h"
#include "base/skips.h"

static E2D_OUT_OF_LINE struct e2d_shared *slot_of(struct ext2dax_mount *m, uint32_t hash)
{
    return &m->shared[(hash ^ hash >> 8 ^ hash >> 16) & (E2D_SHARED_SLOTS - 1)];
}

void e2d_share_remember(struct ext2dax_mount *m, uint32_t hash, uint32_t block)
{
    struct e2d_shared *slot = slot_of(m, hash);

    if (hash == 0)
        return;
    e2d_write_lock(m, &m->fs);
    slot->hash = hash;
    slot->block = block;
    e2d_write_unlock(m, &m->fs);
}

void(e2d_share_forget)(struct ext2dax_mount *m, uint32_t block)
{
    e2d_write_lock(m, &m->fs);
    for (unsigned i = 0; i < E2D_SHARED_SLOTS; i++) {
        if (m->shared[i].block == block)
            m->shared[i].block = 0;
    }
    e2d_write_unlock(m, &m->fs);
}

static uint32_t known(struct ext2dax_mount *m, uint32_t hash)
{
    const struct e2d_shared *slot = slot_of(m, hash);
    uint32_t block;

    e2d_read_lock(m, &m->fs);
    block = slot->hash == hash ? slot->block : 0;
    e2d_read_unlock(m, &m->fs);
    return block;
}

/* Returns whether a readable block has the attributes of `content` and room for a reference. */
static bool shareable(const struct ext2dax_mount *m, uint32_t block, const void *content)
{
    const struct e2d_xattr_header *header = e2d_block(m, block);
    uint32_t references = e2d_get32(header->references);

    return e2d_get32(header->magic) == E2D_XATTR_MAGIC && references != 0 && references < E2D_REFERENCES_MAX &&
           memcmp(header + 1, (const struct e2d_xattr_header *)content + 1, m->block_size - sizeof(*header)) == 0;
}

uint32_t e2d_bshare(struct ext2dax_mount *m, const void *content)
{
    uint32_t hash = e2d_get32(((const struct e2d_xattr_header *)content)->hash);
    uint32_t block = hash != 0 ? known(m, hash) : 0, group, bit;
    struct e2d_xattr_header *header;
    const uint8_t *map;

    if (block == 0)
        return 0;
    group = e2d_group_of(m, block);
    bit = block - e2d_group_first(m, group);
    map = e2d_block_bitmap(m, group);
    header = e2d_block(m, block);
    e2d_write_lock(m, &m->group[group].lock);
    E2D_GUARDED_LOAD(&header->references);
    if (known(m, hash) == block && e2d_readable(m, map, m->block_size) && e2d_bit(map, bit) &&
        e2d_readable(m, header, m->block_size) && shareable(m, block, content)) {
        E2D_GUARDED_STORE(&header->references);
        e2d_store32(m, &header->references, e2d_get32(header->references) + 1);
    } else {
        block = 0;
    }
    e2d_write_unlock(m, &m->group[group].lock);
    return block;
}
