/* SPDX-License-Identifier: MIT */
/*
 * Calls of a thread about its own subtree, compared with the model of the subtree. A call may fail
 * by an event in the middle of the call, and then has changed nothing. After a failed store the
 * outcome is open, and the thread ends.
 */
#include <stdio.h>
#include <string.h>

#include "ext2dax/testkit/checker.h"
#include "world.h"

const char xattr_name[] = "user.sim1";

size_t name_of(unsigned name, char text[NAME_ROOM])
{
    /* Names of several lengths, so that dirents are split and merged. */
    static const int widths[] = {1, 60, 9, 30};

    return (size_t)snprintf(text, NAME_ROOM, "%0*u", widths[name % 4], name);
}

static struct ext2dax_inode *directory_of(unsigned thread, unsigned name)
{
    return world.directory[thread][name / (NAMES / DIRECTORIES)];
}

/* ---- errors ---- */

static bool is_full(void)
{
    struct ext2dax_statfs figures;

    ext2dax_statfs(world.mount, &figures, sizeof figures);
    return figures.free_blocks < LOW || figures.free_inodes < 4;
}

/* Is the error the result of an event in the call, or of a full image? */
static bool is_excused(unsigned thread, unsigned injected, int64_t result)
{
    if (result == -EXT2DAX_ENOSPC)
        return is_full();
    if (world.store_failed && (result == -EXT2DAX_EIO || result == -EXT2DAX_EROFS))
        return true;
    return world.injected[thread] != injected &&
           (result == -EXT2DAX_ENOMEM || result == -EXT2DAX_EIO || result == -EXT2DAX_EFAULT);
}

/* The outcome of the pending call is open, and the thread does nothing more. */
static bool is_open_ended(int64_t result)
{
    return world.store_failed && result < 0;
}

static void complain_result(unsigned thread, const struct sim_call *call, int64_t expected, int64_t result)
{
    complain("thread %u: %s returned %lld (%s), expected %lld (%s). The last report is \"%s\"", thread,
             sim_call_name(call->kind), (long long)result, result < 0 ? ext2dax_strerror((int)result) : "success",
             (long long)expected, expected < 0 ? ext2dax_strerror((int)expected) : "success", world.report);
}

/* ---- names ---- */

static int lookup(unsigned thread, unsigned name, struct ext2dax_inode **inode)
{
    char text[NAME_ROOM];
    size_t length = name_of(name, text);

    return ext2dax_lookup(directory_of(thread, name), text, length, inode);
}

static int make(unsigned thread, const struct sim_call *call)
{
    struct ext2dax_inode *directory = directory_of(thread, call->a), *inode = NULL;
    char text[NAME_ROOM], target[100];
    size_t length = name_of(call->a, text);
    int rc;

    memset(target, call->value, sizeof target);
    if (call->kind == SIM_CREATE)
        rc = ext2dax_create(directory, text, length, 0644, 0, 0, &inode);
    else if (call->kind == SIM_MKDIR)
        rc = ext2dax_mkdir(directory, text, length, 0644, 0, 0, &inode);
    else
        rc = ext2dax_symlink(directory, text, length, target, call->value % 2 == 0 ? 20 : sizeof target, 0, 0, &inode);
    if (rc == 0) {
        world.made[thread] = inode->number;
        ext2dax_inode_put(inode);
    }
    return rc;
}

static int get(unsigned thread, const struct sim_call *call, struct ext2dax_inode **inode)
{
    if (call->held && world.held[thread]) {
        *inode = world.held[thread];
        ext2dax_inode_hold(*inode);
        return 0;
    }
    return lookup(thread, call->a, inode);
}

static int play_names(unsigned thread, const struct sim_call *call)
{
    struct ext2dax_inode *from = directory_of(thread, call->a), *to = directory_of(thread, call->b), *inode;
    char a[NAME_ROOM], b[NAME_ROOM];
    size_t a_length = name_of(call->a, a), b_length = name_of(call->b, b);
    int rc;

    switch (call->kind) {
    case SIM_CREATE:
    case SIM_MKDIR:
    case SIM_SYMLINK:
        return make(thread, call);
    case SIM_LINK:
        rc = get(thread, call, &inode);
        if (rc != 0)
            return rc;
        rc = ext2dax_link(inode, to, b, b_length);
        ext2dax_inode_put(inode);
        return rc;
    case SIM_UNLINK:
        return ext2dax_unlink(from, a, a_length);
    case SIM_RMDIR:
        return ext2dax_rmdir(from, a, a_length);
    case SIM_LOOKUP:
        rc = lookup(thread, call->a, &inode);
        if (rc == 0)
            ext2dax_inode_put(inode);
        return rc;
    case SIM_HOLD:
    case SIM_PUT:
        inode = world.held[thread];
        world.held[thread] = NULL;
        if (inode)
            ext2dax_inode_put(inode);
        return call->kind == SIM_PUT ? 0 : lookup(thread, call->a, &world.held[thread]);
    default:
        return ext2dax_rename(from, a, a_length, to, b, b_length,
                              call->kind == SIM_EXCHANGE           ? EXT2DAX_RENAME_EXCHANGE
                              : call->kind == SIM_RENAME_NOREPLACE ? EXT2DAX_RENAME_NOREPLACE
                                                                   : 0);
    }
}

static int64_t compare_names(unsigned thread, const struct sim_call *call)
{
    struct subtree *tree = &world.tree[thread], *after = &world.after[thread];
    unsigned injected = world.injected[thread];
    int expected, result;

    *after = *tree;
    expected = subtree_names(after, call);
    world.done[thread] = expected == 0;
    result = play_names(thread, call);
    if (is_open_ended(result))
        return result;
    if (result == expected)
        *tree = *after;
    else if (!is_excused(thread, injected, result))
        complain_result(thread, call, expected, result);
    if (result == 0 && call->kind <= SIM_SYMLINK)
        tree->node[tree->name[call->a]].number = world.made[thread];
    /* A failed HOLD has put the inode held before. */
    if (call->kind == SIM_HOLD && result < 0)
        tree->held = NO_NODE;
    return result;
}

/* ---- files ---- */

static int64_t access_mapped(unsigned thread, struct ext2dax_inode *inode, const struct sim_call *call)
{
    struct ext2dax_model_map *map = ext2dax_model_map(world.model, inode, 0, FILE_PAGES, true, true);
    bool huge = call->value % 2 == 0;
    enum ext2dax_fault_result result;

    memset(world.buffer[thread], call->value, GRANULE);
    if (call->kind == SIM_STORE)
        result = ext2dax_model_write(map, (uint64_t)call->from * GRANULE, world.buffer[thread], GRANULE, huge, true);
    else
        result = ext2dax_model_read(map, (uint64_t)call->from * GRANULE, world.buffer[thread], GRANULE, huge, true);
    ext2dax_model_unmap(map);
    return mapped_error(result);
}

static int64_t play_file(unsigned thread, struct ext2dax_inode *inode, const struct sim_call *call)
{
    struct ext2dax_attributes attributes = {.size = sizeof attributes, .set = EXT2DAX_SET_MODE};
    uint64_t from = (uint64_t)call->from * GRANULE, length = (uint64_t)call->length * GRANULE;
    unsigned char *buffer = world.buffer[thread];

    switch (call->kind) {
    case SIM_WRITE:
        memset(buffer, call->value, (size_t)length);
        return ext2dax_write(inode, from, buffer, (size_t)length);
    case SIM_READ:
        return ext2dax_read(inode, from, buffer, (size_t)length);
    case SIM_TRUNCATE:
        return ext2dax_truncate(inode, from);
    case SIM_PUNCH:
        return ext2dax_punch(inode, from, length);
    case SIM_ZERO:
        return ext2dax_zero_range(inode, from, length);
    case SIM_ALLOCATE:
        return ext2dax_allocate(inode, from, length, false);
    case SIM_FSYNC:
        return ext2dax_fsync(inode);
    case SIM_CHMOD:
        attributes.mode = (uint16_t)(0600 | call->value);
        return ext2dax_setattr(inode, &attributes);
    case SIM_SETXATTR:
        memset(buffer, call->value, XATTR_BYTES);
        return ext2dax_setxattr(inode, xattr_name, XATTR_NAME_LENGTH, buffer, XATTR_BYTES, 0);
    case SIM_REMOVEXATTR:
        return ext2dax_removexattr(inode, xattr_name, XATTR_NAME_LENGTH);
    case SIM_GETXATTR:
        return ext2dax_getxattr(inode, xattr_name, XATTR_NAME_LENGTH, buffer, XATTR_BYTES);
    default:
        return access_mapped(thread, inode, call);
    }
}

static int64_t expected_of(const struct node *node, const struct sim_call *call)
{
    uint32_t size = node->contents.least, end = call->from + call->length;

    switch (call->kind) {
    case SIM_WRITE:
        return (int64_t)call->length * GRANULE;
    case SIM_READ:
        return call->from >= size ? 0 : (int64_t)((end < size ? end : size) - call->from) * GRANULE;
    case SIM_STORE:
    case SIM_LOAD:
        return call->from / (PAGE / GRANULE) * (PAGE / GRANULE) >= size ? -EXT2DAX_EIO : 0;
    case SIM_REMOVEXATTR:
        return node->xattr == NO_XATTR ? -EXT2DAX_ENODATA : 0;
    case SIM_GETXATTR:
        return node->xattr == NO_XATTR ? -EXT2DAX_ENODATA : (int64_t)XATTR_BYTES;
    default:
        return 0;
    }
}

static void check_read(unsigned thread, const struct node *node, const struct sim_call *call, int64_t bytes)
{
    const unsigned char *buffer = world.buffer[thread];
    uint8_t expected = node->xattr;

    for (int64_t i = 0; i < bytes; i++) {
        if (call->kind != SIM_GETXATTR)
            expected = node->contents.now[call->from + i / GRANULE];
        if (buffer[i] == expected)
            continue;
        complain("thread %u: %s returned the value %u at byte %lld, expected %u", thread, sim_call_name(call->kind),
                 buffer[i], (long long)(call->from * GRANULE + i), expected);
        return;
    }
}

/*
 * A write or an allocation has done a part. Adopts the size, and the bytes that count as written.
 */
static void adopt_part(struct ext2dax_inode *inode, struct node *node, const struct sim_call *call, int64_t result)
{
    uint32_t written = call->kind == SIM_WRITE && result > 0 ? (uint32_t)(result / GRANULE) : 0, size;
    struct ext2dax_stat figures;

    if (result > 0 && result % GRANULE != 0)
        complain("a write of whole granules has ended at byte %lld", (long long)result);
    contents_write(&node->contents, call->from, written, call->value);
    ext2dax_stat(inode, &figures, sizeof figures);
    size = (uint32_t)(figures.size / GRANULE);
    if (size < node->contents.least || (size > node->contents.least && size > call->from + (uint32_t)call->length))
        complain("the size is %llu after a part of a write", (unsigned long long)figures.size);
    contents_resize(&node->contents, size);
}

static int64_t compare_file(unsigned thread, const struct sim_call *call)
{
    struct subtree *tree = &world.tree[thread];
    int number = subtree_node(tree, call);
    unsigned injected = world.injected[thread];
    struct ext2dax_inode *inode;
    struct node *node;
    int64_t expected, result;

    if (number == NO_NODE || tree->node[number].type == NODE_SYMLINK ||
        (tree->node[number].type == NODE_DIRECTORY && call->kind < SIM_FSYNC))
        return 0;
    node = &tree->node[number];
    result = get(thread, call, &inode);
    if (result != 0) {
        if (!is_excused(thread, injected, result))
            complain_result(thread, call, 0, result);
        return result;
    }
    expected = expected_of(node, call);
    result = play_file(thread, inode, call);
    /* The step after the bytes that count as written may be in the image. */
    if (world.store_failed && call->kind == SIM_WRITE && result < expected)
        result = -EXT2DAX_EIO;
    if (is_open_ended(result))
        goto out;
    if (result == expected) {
        if (result >= 0)
            subtree_files(tree, call);
        if (call->kind == SIM_READ || call->kind == SIM_GETXATTR)
            check_read(thread, node, call, result);
        else if (call->kind == SIM_LOAD && result == 0 && call->from < node->contents.least)
            check_read(thread, node, call, GRANULE);
    } else if (call->kind == SIM_WRITE && result >= 0 && result < expected &&
               (world.injected[thread] != injected || is_full() || world.store_failed)) {
        adopt_part(inode, node, call, result);
    } else if (!is_excused(thread, injected, result) &&
               !(call->kind == SIM_READ && result >= 0 && world.injected[thread] != injected)) {
        complain_result(thread, call, expected, result);
    } else if (call->kind == SIM_WRITE || call->kind == SIM_ALLOCATE) {
        adopt_part(inode, node, call, result);
    }
out:
    ext2dax_inode_put(inode);
    return result;
}

/* ---- a thread ---- */

static int64_t compare_common(unsigned thread, const struct sim_call *call)
{
    unsigned injected = world.injected[thread];
    int64_t result = common_play(thread, call);

    if (result < 0 && !is_excused(thread, injected, result))
        complain("thread %u: %s returned %lld (%s). The last report is \"%s\"", thread, sim_call_name(call->kind),
                 (long long)result, ext2dax_strerror((int)result), world.report);
    return result;
}

void calls_play(unsigned thread)
{
    for (unsigned i = 0; i < CALLS; i++) {
        const struct sim_call *call = &world.life->call[thread][i];
        int64_t result;

        if (call->dropped)
            continue;
        world.done[thread] = false;
        world.pending[thread] = call;
        ext2dax_explorer_point(world.explorer, EXT2DAX_EXPLORER_STORE, &world.pending[thread]);
        result = is_names_call(call->kind)  ? compare_names(thread, call)
                 : is_file_call(call->kind) ? compare_file(thread, call)
                                            : compare_common(thread, call);
        if (world.order)
            ext2dax_lock_order_returned(world.order);
        world.stats->calls++;
        world.stats->kind[call->kind]++;
        world.stats->failed_calls += result < 0;
        if (is_open_ended(result))
            return;
        world.pending[thread] = NULL;
    }
}

void calls_release(unsigned thread)
{
    struct pinned *pinned = &world.pinned[thread];

    if (pinned->active)
        ext2dax_unpin(&pinned->pin);
    pinned->active = false;
    if (world.held[thread])
        ext2dax_inode_put(world.held[thread]);
    world.held[thread] = NULL;
    world.tree[thread].held = NO_NODE;
}

void calls_check_pins(void)
{
    for (unsigned thread = 0; thread < THREADS; thread++) {
        const struct pinned *pinned = &world.pinned[thread];

        if (pinned->active && ext2dax_check_block(world.medium.base, world.medium.size, world.file->number,
                                                  pinned->page) != pinned->block)
            complain("the file has lost a pinned block");
    }
}
