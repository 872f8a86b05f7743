/* SPDX-License-Identifier: MIT */
/*
 * Calls of the common file, of common names, and of the mount. Other threads change the same files
 * and names at the same time, so only some results are known. An error that the state of the names
 * explains is returned as success.
 */
#include <string.h>

#include "world.h"

#define BIT(value)   ((uint64_t)1 << (value))
#define FROZEN_TURNS 30u /* yield points between a freeze and its thaw */

/* ---- the common file ---- */

/* The value may be found from now on, in the granules from `from` on. */
static void announce(uint32_t from, uint32_t length, uint8_t value)
{
    for (uint32_t at = from; at < from + length && at < GRANULES; at++) {
        world.common.may[at] |= BIT(value);
        world.common.ever[at] |= BIT(value);
    }
}

static int64_t access_mapped(unsigned thread, uint32_t at, const struct sim_call *call, bool store)
{
    bool huge = call->value % 2 == 0;
    enum ext2dax_fault_result result;

    if (store)
        memset(world.buffer[thread], call->value, GRANULE);
    result =
        store
            ? ext2dax_model_write(world.map[thread], (uint64_t)at * GRANULE, world.buffer[thread], GRANULE, huge, true)
            : ext2dax_model_read(world.map[thread], (uint64_t)at * GRANULE, world.buffer[thread], GRANULE, huge, true);
    return mapped_error(result);
}

static int64_t store_own(unsigned thread, const struct sim_call *call)
{
    uint32_t at = sim_own_granule(thread, call);
    int64_t result;

    announce(at, 1, call->value);
    if (call->kind == SIM_COMMON_STORE) {
        result = access_mapped(thread, at, call, true);
    } else {
        memset(world.buffer[thread], call->value, GRANULE);
        result = ext2dax_write(world.file, (uint64_t)at * GRANULE, world.buffer[thread], GRANULE);
        if (result == 0)
            return 0; /* the buffer was not accessible */
    }
    if (result >= 0)
        world.common.now[at] = call->value;
    return result;
}

static void check_granule(unsigned thread, uint32_t at, const unsigned char *bytes)
{
    bool own = at < KEPT && at % THREADS == thread;

    for (unsigned i = 0; i < GRANULE; i++) {
        if (own ? bytes[i] == world.common.now[at] : bytes[i] < 64 && (world.common.ever[at] & BIT(bytes[i])) != 0)
            continue;
        if (own)
            complain("thread %u: a store to the common file is lost, the value is %u at byte %u, expected %u", thread,
                     bytes[i], at * GRANULE + i, world.common.now[at]);
        else
            complain("thread %u: the common file has the value %u at byte %u, which nobody stored there", thread,
                     bytes[i], at * GRANULE + i);
        return;
    }
}

static int64_t load_common(unsigned thread, const struct sim_call *call)
{
    uint32_t at = call->value % 3 == 0 ? call->from : sim_own_granule(thread, call);
    int64_t result;

    if (call->kind == SIM_COMMON_LOAD) {
        result = access_mapped(thread, at, call, false);
        if (result == 0)
            check_granule(thread, at, world.buffer[thread]);
        return result == -EXT2DAX_EIO && at >= KEPT ? 0 : result;
    }
    result = ext2dax_read(world.file, (uint64_t)at * GRANULE, world.buffer[thread], (size_t)call->length * GRANULE);
    for (int64_t i = 0; i + GRANULE <= result; i += GRANULE)
        check_granule(thread, at + (uint32_t)(i / GRANULE), world.buffer[thread] + i);
    return result;
}

static void settle_own(unsigned thread)
{
    for (uint32_t at = thread; at < KEPT; at += THREADS)
        contents_settle_granule(&world.common, at);
}

static int64_t play_far(unsigned thread, const struct sim_call *call)
{
    uint32_t at = sim_far_granule(call), length = call->length < GRANULES - at ? call->length : GRANULES - at;
    uint64_t from = (uint64_t)at * GRANULE, bytes = (uint64_t)length * GRANULE;
    int64_t result;

    switch (call->kind) {
    case SIM_FAR_WRITE:
        announce(at, length, call->value);
        memset(world.buffer[thread], call->value, (size_t)bytes);
        return ext2dax_write(world.file, from, world.buffer[thread], (size_t)bytes);
    case SIM_FAR_STORE:
        announce(at, 1, call->value);
        result = access_mapped(thread, at, call, true);
        return result == -EXT2DAX_EIO && !world.store_failed ? 0 : result;
    case SIM_FAR_ZERO:
        return ext2dax_zero_range(world.file, from, bytes);
    case SIM_FAR_PUNCH:
        result = ext2dax_punch(world.file, from, bytes);
        break;
    default:
        result = ext2dax_truncate(world.file, from);
        break;
    }
    return result == -EXT2DAX_EBUSY ? 0 : result;
}

static int64_t play_pin(unsigned thread, const struct sim_call *call)
{
    struct pinned *pinned = &world.pinned[thread];
    void *pointer;
    size_t length;
    int64_t result;

    if (pinned->active) {
        calls_check_pins();
        pinned->active = false;
        ext2dax_unpin(&pinned->pin);
    }
    if (call->kind == SIM_UNPIN)
        return 0;
    pinned->page = call->from / (PAGE / GRANULE);
    result = ext2dax_pin(world.file, pinned->page * PAGE, PAGE / 2, call->value % 2 == 0, &pinned->pin);
    if (result != 0)
        return result == -EXT2DAX_EINVAL || result == -EXT2DAX_ENXIO ? 0 : result;
    result = ext2dax_pin_pointer(&pinned->pin, pinned->page * PAGE, &pointer, &length);
    if (result == 0) {
        pinned->block = (uint32_t)((size_t)((unsigned char *)pointer - (unsigned char *)world.medium.base) / PAGE);
        pinned->active = true;
        calls_check_pins();
    } else {
        ext2dax_unpin(&pinned->pin);
    }
    return result;
}

/* ---- common names ---- */

static struct ext2dax_inode *directory_of(unsigned name)
{
    return world.directory[THREADS][name / (NAMES / DIRECTORIES)];
}

static int count_entry(void *arg, const struct ext2dax_entry *entry)
{
    (void)entry;
    return ++*(unsigned *)arg > 3 * NAMES;
}

static int64_t play_inode(unsigned thread, const struct sim_call *call)
{
    struct ext2dax_inode *inode;
    char a[NAME_ROOM], b[NAME_ROOM];
    size_t length = name_of(call->b, b);
    int64_t result = ext2dax_lookup(directory_of(call->a), a, name_of(call->a, a), &inode);

    if (result != 0)
        return result;
    if (call->kind == SIM_COMMON_LINK) {
        result = ext2dax_link(inode, directory_of(call->b), b, length);
    } else {
        /* Equal values share a block. */
        memset(world.buffer[thread], 1 + call->value % 2, XATTR_BYTES);
        result = ext2dax_setxattr(inode, xattr_name, XATTR_NAME_LENGTH, world.buffer[thread], XATTR_BYTES, 0);
    }
    ext2dax_inode_put(inode);
    return result;
}

static int64_t play_names(unsigned thread, const struct sim_call *call)
{
    struct ext2dax_inode *from = directory_of(call->a), *to = directory_of(call->b), *inode = NULL;
    char a[NAME_ROOM], b[NAME_ROOM];
    size_t a_length = name_of(call->a, a), b_length = name_of(call->b, b);
    unsigned entries = 0;
    int64_t result;

    switch (call->kind) {
    case SIM_COMMON_CREATE:
        result = ext2dax_create(from, a, a_length, 0644, 0, 0, &inode);
        break;
    case SIM_COMMON_MKDIR:
        result = ext2dax_mkdir(from, a, a_length, 0755, 0, 0, &inode);
        break;
    case SIM_COMMON_UNLINK:
        result = ext2dax_unlink(from, a, a_length);
        break;
    case SIM_COMMON_RMDIR:
        result = ext2dax_rmdir(from, a, a_length);
        break;
    case SIM_COMMON_RENAME:
        result = ext2dax_rename(from, a, a_length, to, b, b_length, 0);
        break;
    case SIM_COMMON_EXCHANGE:
        result = ext2dax_rename(from, a, a_length, to, b, b_length, EXT2DAX_RENAME_EXCHANGE);
        break;
    case SIM_COMMON_READDIR:
        result = ext2dax_readdir(from, 0, count_entry, &entries);
        if (result != 0 && entries > 3 * NAMES)
            complain("a listing of at most %u names has %u", 3 * NAMES, entries);
        break;
    default:
        result = play_inode(thread, call);
        break;
    }
    if (inode && result == 0)
        ext2dax_inode_put(inode);
    return result == -EXT2DAX_ENOENT || result == -EXT2DAX_EEXIST || result == -EXT2DAX_EISDIR ||
                   result == -EXT2DAX_ENOTDIR || result == -EXT2DAX_EPERM
               ? 0
               : result;
}

/* ---- the mount ---- */

static uint64_t hash_image(void)
{
    const uint64_t *word = world.medium.base;
    uint64_t hash = 0;

    for (size_t i = 0; i < IMAGE_BYTES / sizeof *word; i++)
        hash = (hash ^ word[i]) * 0x9E3779B97F4A7C15u;
    return hash;
}

static int64_t play_freeze(void)
{
    int64_t result = ext2dax_freeze(world.mount);
    uint64_t before;

    if (result != 0)
        return result == -EXT2DAX_EBUSY ? 0 : result;
    for (unsigned i = 0; i < THREADS; i++) {
        if (world.pinned[i].active && world.pinned[i].pin.writable)
            complain("a freeze beside a writable pin");
    }
    world.frozen++;
    before = hash_image();
    for (unsigned i = 0; i < FROZEN_TURNS; i++)
        ext2dax_explorer_point(world.explorer, EXT2DAX_EXPLORER_STORE, NULL);
    if (hash_image() != before)
        complain("the image has changed while frozen");
    world.frozen--;
    return ext2dax_thaw(world.mount);
}

static int64_t play_sync(unsigned thread)
{
    int64_t result = ext2dax_sync(world.mount);

    if (result == 0) {
        settle_own(thread);
        subtree_settle(&world.tree[thread]);
    }
    return result;
}

int64_t common_play(unsigned thread, const struct sim_call *call)
{
    int64_t result;

    switch (call->kind) {
    case SIM_COMMON_WRITE:
    case SIM_COMMON_STORE:
        return store_own(thread, call);
    case SIM_COMMON_READ:
    case SIM_COMMON_LOAD:
        return load_common(thread, call);
    case SIM_COMMON_FSYNC:
        result = ext2dax_fsync(world.file);
        if (result == 0)
            settle_own(thread);
        return result;
    case SIM_FAR_WRITE:
    case SIM_FAR_STORE:
    case SIM_FAR_TRUNCATE:
    case SIM_FAR_PUNCH:
    case SIM_FAR_ZERO:
        return play_far(thread, call);
    case SIM_PIN:
    case SIM_UNPIN:
        return play_pin(thread, call);
    case SIM_FREEZE:
        return play_freeze();
    case SIM_SYNC:
        return play_sync(thread);
    default:
        return play_names(thread, call);
    }
}
