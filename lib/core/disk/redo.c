/* SPDX-License-Identifier: MIT */
/*
 * The redo record in the superblock. Words 0 and 1 are the checksum, word 2 the number of stores,
 * word 3 the inode with a link count to become 0, and three words follow for each store.
 */
#include "disk/redo.h"

#include "base/endian.h"
#include "base/persist.h"
#include "disk/inode.h"
#include "disk/super.h"
#include "disk/system_zone.h"

#define WORDS  (sizeof(((struct ext2dax_disk_super *)0)->redo) / sizeof(struct ext2dax_le32))
#define COUNT  2
#define VICTIM 3
#define FIRST  4
#define PER    3

_Static_assert(FIRST + PER * E2D_REDO_STORES == WORDS, "the stores of a record");

static uint32_t mix(uint32_t hash, uint32_t word, uint32_t factor)
{
    hash = (hash ^ word) * factor;
    return hash ^ hash >> 15;
}

static E2D_OUT_OF_LINE void add_word(uint32_t sum[2], uint32_t word)
{
    sum[0] = mix(sum[0], word, 0x9E3779B1u);
    sum[1] = mix(sum[1], word, 0x85EBCA77u);
}

/* Computes the checksum over the words after the checksum and the state of the image. */
static void checksum(const struct ext2dax_mount *m, const struct ext2dax_le32 *record, struct ext2dax_le32 result[2])
{
    const struct ext2dax_disk_super *super = m->super;
    uint32_t sum[2] = {0x243F6A88u, 0x85A308D3u};

    add_word(sum, e2d_get32(super->mount_time));
    add_word(sum, e2d_get32(super->write_time));
    add_word(sum, e2d_get32(super->last_check));
    add_word(sum, e2d_get16(super->mount_count));
    for (size_t i = COUNT; i < WORDS; i++)
        add_word(sum, e2d_get32(record[i]));
    result[0] = e2d_le32(sum[0]);
    result[1] = e2d_le32(sum[1]);
}

void e2d_redo_add(const struct ext2dax_mount *m, struct e2d_redo *redo, const void *at, uint32_t bytes, uint32_t value)
{
    uint64_t place = (uint64_t)((const unsigned char *)at - m->base);
    struct e2d_redo_store *store = &redo->store[redo->count++];

    E2D_ASSERT(m, redo->count <= E2D_REDO_STORES);
    store->block = (uint32_t)(place >> m->block_shift);
    store->offset = (uint32_t)place & (m->block_size - 1);
    store->bytes = bytes;
    store->value = value;
}

void(e2d_redo_write)(struct ext2dax_mount *m, const struct e2d_redo *redo)
{
    struct ext2dax_le32 record[WORDS], *at = &record[FIRST];

    memset(record, 0, sizeof(record));
    record[COUNT] = e2d_le32(redo->count);
    record[VICTIM] = e2d_le32(redo->victim);
    for (unsigned i = 0; i < redo->count; i++, at += PER) {
        at[0] = e2d_le32(redo->store[i].block);
        at[1] = e2d_le32(redo->store[i].offset | redo->store[i].bytes << 16);
        at[2] = e2d_le32(redo->store[i].value);
    }
    checksum(m, record, record);
    e2d_copy(m, m->super->redo, record, sizeof(record));
}

void(e2d_redo_clear)(struct ext2dax_mount *m)
{
    e2d_zero(m, m->super->redo, sizeof(m->super->redo));
}

bool e2d_redo_any(const struct ext2dax_mount *m)
{
    uint32_t any = 0;

    for (size_t i = 0; i < WORDS; i++)
        any |= e2d_get32(m->super->redo[i]);
    return any != 0;
}

static int refuse(struct ext2dax_mount *m, const char *field, uint64_t value)
{
    return e2d_complain(m, -EXT2DAX_EUCLEAN, "redo record", 0, field, value, "is in no record of a rename");
}

/* Checks a store of a record. Only directories are stored to, so no metadata. */
static int check_store(struct ext2dax_mount *m, const struct e2d_redo_store *store)
{
    if (store->bytes != 1 && store->bytes != 2 && store->bytes != 4)
        return refuse(m, "bytes", store->bytes);
    if ((store->offset & (store->bytes - 1)) != 0 || store->offset >= m->block_size)
        return refuse(m, "offset", store->offset);
    if (!e2d_is_data(m, store->block))
        return refuse(m, "block", store->block);
    return e2d_check(m, e2d_block(m, store->block), m->block_size);
}

int e2d_redo_read(struct ext2dax_mount *m, struct e2d_redo *redo)
{
    const struct ext2dax_le32 *record = m->super->redo, *at = &record[FIRST];
    struct ext2dax_le32 sum[2];
    int error = 0;

    memset(redo, 0, sizeof(*redo));
    checksum(m, record, sum);
    if (!e2d_redo_any(m) || sum[0].le != record[0].le || sum[1].le != record[1].le)
        return 0;
    redo->count = e2d_get32(record[COUNT]);
    redo->victim = e2d_get32(record[VICTIM]);
    if (redo->count > E2D_REDO_STORES)
        return refuse(m, "stores", redo->count);
    if (redo->victim != 0 && (redo->victim < m->first_inode || redo->victim > m->inodes))
        return refuse(m, "inode", redo->victim);
    for (unsigned i = 0; i < redo->count && error == 0; i++, at += PER) {
        redo->store[i].block = e2d_get32(at[0]);
        redo->store[i].offset = e2d_get32(at[1]) & 0xFFFFu;
        redo->store[i].bytes = e2d_get32(at[1]) >> 16;
        redo->store[i].value = e2d_get32(at[2]);
        error = check_store(m, &redo->store[i]);
    }
    return error != 0 ? error : 1;
}

static uint32_t swap_field(struct ext2dax_mount *m, void *field, uint32_t bytes, uint32_t value)
{
    struct ext2dax_le32 *wide = field;
    struct ext2dax_le16 *half = field;
    uint8_t *byte = field;
    uint32_t former = bytes == 4 ? e2d_get32(*wide) : bytes == 2 ? e2d_get16(*half) : *byte;

    if (bytes == 4)
        e2d_store32(m, wide, value);
    else if (bytes == 2)
        e2d_store16(m, half, value);
    else
        e2d_store8(m, byte, (uint8_t)value);
    return former;
}

void(e2d_redo_swap)(struct ext2dax_mount *m, struct e2d_redo *redo)
{
    if (redo->victim != 0) {
        struct ext2dax_le16 *victim_links = &e2d_disk_inode(m, redo->victim)->links;
        uint32_t former = e2d_get16(*victim_links);

        e2d_store16(m, victim_links, redo->links);
        redo->links = former;
    }
    for (unsigned i = 0; i < redo->count; i++) {
        struct e2d_redo_store *store = &redo->store[i];
        unsigned char *field = (unsigned char *)e2d_block(m, store->block) + store->offset;

        store->value = swap_field(m, field, store->bytes, store->value);
    }
}
