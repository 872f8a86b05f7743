/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/testkit/checker.h"

#include "../error_record.h"
#include "../fuzz/plugs.h"

#define BLOCKS_MOST (SMALL_MOST / 1024)
#define COMPARED    8u /* every so many calls that only read */

struct session session;

static unsigned char before[SMALL_MOST]; /* the image before the call */
static bool stale;                       /* `before` is older */
static uint32_t owners[BLOCKS_MOST];
static bool owners_known; /* the checker found the metadata */

void session_load(const struct small *small)
{
    static unsigned char *bases[SMALL_IMAGES]; /* reused for all inputs */
    unsigned number = 0;

    while (small_get(number) != small)
        number++;
    if (!bases[number])
        bases[number] = fuzz_area_open(small->size, 0).base;
    session = (struct session){.small = small, .base = bases[number]};
    memcpy(session.base, small->image, small->size);
}

/* Finds the metadata and the owners with the checker, which shares no code with the core. */
static void find_owners(unsigned flags)
{
    const struct small *small = session.small;

    memset(owners, 0, sizeof(owners));
    (void)ext2dax_check_image(session.base, small->size, EXT2DAX_CHECK_MOUNTED | flags, NULL, NULL, owners);
    owners_known = owners[small->block_size == 1024] == EXT2DAX_OWNER_METADATA;
}

bool session_is_whole(void)
{
    return ext2dax_check_image(session.base, session.small->size, 0, NULL, NULL, NULL) == 0;
}

/* ---- invariants ---- */

void session_data(uint64_t block, uint64_t count)
{
    const struct small *small = session.small;

    MUST(block != 0 && block < small->blocks && count <= small->blocks - block);
    for (uint64_t i = block; owners_known && i < block + count; i++)
        MUST(owners[i] != EXT2DAX_OWNER_METADATA);
}

static void check_entry(void *arg, const struct ext2dax_inode *inode, uint64_t page, bool shared,
                        const struct ext2dax_model_entry *entry)
{
    const struct small *small = session.small;
    bool *fresh = arg;
    uint64_t block;

    (void)page;
    MUST(entry->kind != EXT2DAX_MODEL_ZERO || !entry->writable);
    MUST(shared || entry->kind != EXT2DAX_MODEL_DATA || !entry->writable);
    if (entry->kind != EXT2DAX_MODEL_DATA)
        return;
    block = entry->memory_offset / small->block_size;
    if (session.verified && !*fresh) {
        find_owners(EXT2DAX_CHECK_UNLINKED_OK);
        *fresh = true;
    }
    session_data(block, 1);
    if (session.verified && owners_known)
        MUST(owners[block] == inode->number);
}

/*
 * Was the block of a byte free before the call, according to the block bitmap? The content of a
 * free block is meaningless.
 */
static bool was_free(size_t at)
{
    const struct small *small = session.small;
    const struct ext2dax_disk_super *super = (const void *)(before + EXT2DAX_SUPER_OFFSET);
    const unsigned char *field = (const void *)&super->blocks_per_group;
    uint32_t per_group = (uint32_t)field[0] | (uint32_t)field[1] << 8 | (uint32_t)field[2] << 16;
    uint32_t block = (uint32_t)(at / small->block_size), first = small->block_size == 1024, bit, group, map;

    if (block < first || per_group == 0)
        return false;
    group = (block - first) / per_group;
    bit = (block - first) % per_group;
    memcpy(&map, before + (size_t)small->descriptors * small->block_size + group * 32, sizeof(map));
    map &= 0xFFFF;
    if (map >= small->blocks)
        return false;
    return (before[(size_t)map * small->block_size + bit / 8] >> bit % 8 & 1) == 0;
}

/* Is the byte part of the superblock's record of errors? */
static bool records_error(size_t at)
{
    return (at >= ERROR_RECORD && at < ERROR_RECORD + ERROR_RECORD_BYTES) ||
           (at == EXT2DAX_SUPER_OFFSET + offsetof(struct ext2dax_disk_super, state) &&
            ((before[at] ^ session.base[at]) & ~EXT2DAX_STATE_ERROR) == 0);
}

static void must_be_unchanged(int64_t result)
{
    if (memcmp(before, session.base, session.small->size) == 0)
        return;
    for (size_t i = 0; i < session.small->size; i++) {
        if (before[i] == session.base[i] || was_free(i) || records_error(i))
            continue;
        (void)fprintf(stderr, "%s, and byte %zu (block %zu + %zu): %02x became %02x\n", ext2dax_strerror((int)result),
                      i, i / session.small->block_size, i % session.small->block_size, before[i], session.base[i]);
        fuzz_fail(__FILE__, __LINE__, "a call that fails changes nothing");
    }
}

void session_before(void)
{
    if (stale)
        memcpy(before, session.base, session.small->size);
    stale = false;
}

static void check_locks_and_mappings(void)
{
    bool fresh = false;

    MUST(fuzz_counts.held == 0 || session.frozen);
    ext2dax_model_each(session.model, check_entry, &fresh);
    if (session.verified)
        MUST(ext2dax_model_check(session.model, NULL, NULL) == 0);
    MUST(ext2dax_model_complaints(session.model) == 0);
}

int64_t session_after(int64_t result)
{
    check_locks_and_mappings();
    if (result < 0 && !stale)
        must_be_unchanged(result);
    stale = true; /* after a failure too, because free blocks may have changed */
    return result;
}

/* Compares the image at some of the calls, because a comparison takes longer than most calls. */
int64_t session_read(int64_t result)
{
    static unsigned calls;

    check_locks_and_mappings();
    if (!stale && ++calls % COMPARED == 0)
        must_be_unchanged(result);
    return result;
}

/* ---- the mount ---- */

int session_open(unsigned flags)
{
    const struct small *small = session.small;
    struct ext2dax_plugs plugs = {
        .locks = fuzz_locks(), .memory = {NULL, NULL, session.base, small->size, 0}, .host = fuzz_host()};
    struct ext2dax_mount_options options = {.size = sizeof(options),
                                            .flags = flags,
                                            .order = small->order,
                                            .page_shift = small->page_shift,
                                            .huge_order = small->huge_order,
                                            .recover = ext2dax_recover,
                                            .verify = ext2dax_verify};
    int error;

    session.model =
        ext2dax_model_open(&plugs.memory, fuzz_locks(), (uint32_t)1 << small->page_shift, small->huge_order);
    MUST(session.model);
    plugs.address_space = ext2dax_model_address_space(session.model);
    stale = true;
    session_before();
    error = REPORTED_MOUNT(ext2dax_mount(&plugs, &options, &session.mount));
    MUST(fuzz_counts.held == 0 && (error == 0) == (session.mount != NULL));
    if (error != 0) {
        MUST(memcmp(before, session.base, small->size) == 0);
        session_close();
        return error;
    }
    stale = true;
    session.verified = (flags & EXT2DAX_MOUNT_VERIFY) != 0;
    find_owners(EXT2DAX_CHECK_UNLINKED_OK);
    return 0;
}

void session_close(void)
{
    if (session.mount)
        MUST(REPORTED(ext2dax_unmount(session.mount)) == 0);
    session.mount = NULL;
    ext2dax_model_close(session.model);
    session.model = NULL;
    MUST(fuzz_counts.held == 0 && fuzz_counts.made == 0 && fuzz_counts.given == 0);
}
