/* SPDX-License-Identifier: MIT */
/* Comparison of outcomes and of whole trees. */
#include "compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_MOMENT ((int64_t)1700000001) /* seconds, after the images are made */
#define DEPTH        (ALL_SLOTS - SLOTS - 2)

/* Stats the directories of the fresh image, so that the model knows their attributes and blocks. */
static bool meet_fresh(struct pair *pair)
{
    const struct call root = {.kind = CALL_STAT}, lost = {.kind = CALL_STAT, .slot = SLOTS + 1};
    const struct call lookup = {.kind = CALL_LOOKUP, .name = NAME_LOST, .into = SLOTS + 1};
    const struct call put = {.kind = CALL_PUT, .slot = SLOTS + 1};

    if (!pair_play(pair, &root) || !pair_play(pair, &lookup) || !pair_play(pair, &lost) || !pair_play(pair, &put))
        return false;
    for (const struct node *node = pair->model->nodes; node; node = node->next)
        pair->model->fresh_blocks += node->sectors / (pair->model->kind->block_size / 512);
    return true;
}

bool pair_open(struct pair *pair, const struct player_ops *ops, const struct image_kind *kind, const char *place,
               const char **why)
{
    const struct call statfs = {.kind = CALL_STATFS};

    memset(pair, 0, sizeof(*pair));
    pair->ops = ops;
    pair->now = FIRST_MOMENT;
    pair->player = ops->open(kind, place, why);
    if (!pair->player)
        return false;
    outcome_open(&pair->seen);
    outcome_open(&pair->expected);
    ops->play(pair->player, &statfs, &pair->seen);
    pair->model = model_open(kind, ops->is_library, &pair->seen.statfs);
    *why = pair->difference;
    return meet_fresh(pair);
}

/* ---- outcomes ---- */

#define DIFFER(...) (void)snprintf(pair->difference, sizeof(pair->difference), __VA_ARGS__)

static int by_name(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;
    int order = memcmp(x->name, y->name, x->length < y->length ? x->length : y->length);

    return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

static bool same_lists(struct pair *pair)
{
    struct outcome *seen = &pair->seen, *expected = &pair->expected;

    if (seen->listed != expected->listed) {
        DIFFER("%u names listed, expected %u", seen->listed, expected->listed);
        return false;
    }
    qsort(seen->list, seen->listed, sizeof(*seen->list), by_name);
    qsort(expected->list, expected->listed, sizeof(*expected->list), by_name);
    for (unsigned i = 0; i < seen->listed; i++) {
        const struct listed *a = &seen->list[i], *b = &expected->list[i];

        if (by_name(a, b) != 0 || a->type != b->type || (b->number != 0 && a->number != b->number)) {
            DIFFER("listed \"%.*s\" of type %u and inode %u, expected \"%.*s\" of type %u and inode %u", (int)a->length,
                   a->name, a->type, a->number, (int)b->length, b->name, b->type, b->number);
            return false;
        }
    }
    return true;
}

static bool same_time(struct pair *pair, const char *name, struct ext2dax_time seen, struct ext2dax_time expected)
{
    if (seen.seconds == expected.seconds && seen.nanoseconds == expected.nanoseconds)
        return true;
    DIFFER("%s is %lld s %u ns, expected %lld s %u ns", name, (long long)seen.seconds, seen.nanoseconds,
           (long long)expected.seconds, expected.nanoseconds);
    return false;
}

static bool same_number(struct pair *pair, const char *name, uint64_t seen, uint64_t expected)
{
    if (seen == expected)
        return true;
    DIFFER("%s is %llu (0x%llx), expected %llu (0x%llx)", name, (unsigned long long)seen, (unsigned long long)seen,
           (unsigned long long)expected, (unsigned long long)expected);
    return false;
}

/* Is the time one of the clock of the model? */
static bool is_present(const struct pair *pair, struct ext2dax_time time)
{
    return time.seconds >= FIRST_MOMENT && time.seconds < pair->now && time.nanoseconds == 0;
}

static bool same_stats(struct pair *pair)
{
    const struct ext2dax_stat *seen = &pair->seen.stat, *expected = &pair->expected.stat;
    bool is_library = pair->ops->is_library;

    if (!same_number(pair, "inode number", seen->number, expected->number) ||
        !same_number(pair, "mode", seen->mode, expected->mode) ||
        !same_number(pair, "link count", seen->links, expected->links) ||
        !same_number(pair, "owner", seen->uid, expected->uid) ||
        !same_number(pair, "group", seen->gid, expected->gid) ||
        !same_number(pair, "flags", seen->flags, expected->flags) ||
        !same_number(pair, "major number", seen->device_major, expected->device_major) ||
        !same_number(pair, "minor number", seen->device_minor, expected->device_minor) ||
        !same_number(pair, "size", seen->size, expected->size))
        return false;
    /* Times of the host are those of another clock, except times set by a call. */
    if (!is_library)
        return (is_present(pair, expected->mtime) || same_time(pair, "mtime", seen->mtime, expected->mtime)) &&
               (is_present(pair, expected->atime) || same_time(pair, "atime", seen->atime, expected->atime));
    return same_number(pair, "sectors", seen->sectors, expected->sectors) &&
           (same_time(pair, "mtime", seen->mtime, expected->mtime) &&
            same_time(pair, "ctime", seen->ctime, expected->ctime) &&
            same_time(pair, "atime", seen->atime, expected->atime) &&
            same_time(pair, "creation time", seen->created, expected->created) &&
            same_number(pair, "has_nanoseconds", seen->has_nanoseconds, expected->has_nanoseconds) &&
            same_number(pair, "has_created", seen->has_created, expected->has_created));
}

static bool same_bytes(struct pair *pair)
{
    if (!same_number(pair, "bytes returned", pair->seen.count, pair->expected.count))
        return false;
    for (size_t i = 0; i < pair->seen.count; i++) {
        if (pair->seen.bytes[i] == pair->expected.bytes[i])
            continue;
        DIFFER("byte %zu of %zu is 0x%02x, expected 0x%02x", i, pair->seen.count, pair->seen.bytes[i],
               pair->expected.bytes[i]);
        return false;
    }
    return true;
}

static bool same_runs(struct pair *pair)
{
    return same_number(pair, "logical block", pair->seen.run.logical, pair->expected.run.logical) &&
           same_number(pair, "physical block", pair->seen.run.physical, pair->expected.run.physical) &&
           same_number(pair, "blocks of the run", pair->seen.run.length, pair->expected.run.length);
}

static bool same_counts(struct pair *pair)
{
    const struct ext2dax_statfs *seen = &pair->seen.statfs, *expected = &pair->expected.statfs;

    /* In Linux a held inode also holds the removed directory of its last name. */
    if (pair->ops->is_library || (pair->ops->counts && (pair->is_empty || seen->free_inodes > expected->free_inodes))) {
        if (!same_number(pair, "free inodes", seen->free_inodes, expected->free_inodes))
            return false;
    }
    return same_number(pair, "read-only", seen->read_only, expected->read_only);
}

static bool same_details(struct pair *pair, const struct call *call)
{
    switch (call->kind) {
    case CALL_READDIR:
    case CALL_LISTXATTR:
        return same_lists(pair);
    case CALL_STAT:
        return same_stats(pair);
    case CALL_READ:
    case CALL_READLINK:
    case CALL_GETXATTR:
        return same_bytes(pair);
    case CALL_MAP:
        return same_runs(pair);
    case CALL_STATFS:
        return same_counts(pair);
    default:
        return true;
    }
}

bool pair_play(struct pair *pair, const struct call *call)
{
    pair->expected.nothing = true;
    pair->expected.result = 0;
    if ((pair->without >> call->kind & 1) != 0 || (pair->ops->can && !pair->ops->can(call)))
        return true;
    pair->ops->clock(pair->player, pair->now);
    pair->model->now = pair->now++;
    pair->ops->play(pair->player, call, &pair->seen);
    if (pair->seen.unplayed)
        return true;
    model_play(pair->model, call, &pair->seen, &pair->expected);
    if (pair->seen.nothing != pair->expected.nothing) {
        DIFFER("%s", pair->seen.nothing ? "the slot of the player is empty" : "the slot of the model is empty");
        return false;
    }
    if (pair->seen.nothing)
        return true;
    if (pair->model->objection) {
        DIFFER("%s", pair->model->objection);
        return false;
    }
    if (pair->ops->differs && pair->ops->differs((enum call_kind)call->kind, pair->expected.result, pair->seen.result))
        return true;
    if (pair->seen.result != pair->expected.result) {
        DIFFER("%s returns %lld (%s), expected %lld (%s)", call_name((enum call_kind)call->kind),
               (long long)pair->seen.result,
               pair->seen.result < 0 ? ext2dax_strerror((int)pair->seen.result) : "success",
               (long long)pair->expected.result,
               pair->expected.result < 0 ? ext2dax_strerror((int)pair->expected.result) : "success");
        return false;
    }
    return pair->expected.result < 0 || same_details(pair, call);
}

/* ---- whole trees ---- */

/*
 * Compares the bytes and the blocks of a file, run by run, so that a file full of holes is quick.
 */
static bool compare_contents(struct pair *pair, unsigned slot)
{
    const struct node *node = pair->model->slot[slot];
    uint64_t block_size = pair->model->kind->block_size, at = 0;

    while (at < node->size) {
        const uint64_t next = node_next_block(node, at / block_size), left = node->size - at;
        struct call read = {.kind = CALL_READ, .slot = (uint8_t)slot, .offset = at};
        struct call map = {.kind = CALL_MAP, .slot = (uint8_t)slot, .offset = at / block_size, .length = 1};

        read.length = left < 65536 ? left : 65536;
        if (!pair_play(pair, &read) || !pair_play(pair, &map))
            return false;
        at += read.length;
        if (next == UINT64_MAX)
            break;
        at = at > next * block_size ? at : next * block_size;
    }
    return true;
}

static bool compare_xattrs(struct pair *pair, unsigned slot)
{
    struct call list = {.kind = CALL_LISTXATTR, .slot = (uint8_t)slot, .length = IO_ROOM};

    if (!pair_play(pair, &list))
        return false;
    for (unsigned number = XATTR_ACL_ACCESS; number < XATTR_COUNT; number++) {
        struct call get = {.kind = CALL_GETXATTR, .slot = (uint8_t)slot, .name = (uint16_t)number, .length = IO_ROOM};
        char name[NAME_ROOM];
        size_t length = xattr_text(number, name);

        if (node_attribute(pair->model->slot[slot], name, length) && !pair_play(pair, &get))
            return false;
    }
    return true;
}

/* Compares the inode of a slot, without the names below. */
static bool compare_inode(struct pair *pair, unsigned slot)
{
    const struct call stat = {.kind = CALL_STAT, .slot = (uint8_t)slot};
    const struct call list = {.kind = CALL_READDIR, .slot = (uint8_t)slot};
    const struct call target = {.kind = CALL_READLINK, .slot = (uint8_t)slot, .length = 65536};
    const struct node *node = pair->model->slot[slot];

    if (!pair_play(pair, &stat) || !compare_xattrs(pair, slot))
        return false;
    if (node_is(node, EXT2DAX_S_IFREG))
        return compare_contents(pair, slot);
    if (node_is(node, EXT2DAX_S_IFDIR))
        return pair_play(pair, &list);
    return !node_is(node, EXT2DAX_S_IFLNK) || pair_play(pair, &target);
}

/* Returns the number of the name of an entry. */
static uint16_t number_of(const struct node_entry *entry)
{
    char name[NAME_ROOM];

    for (unsigned number = NAME_LOST; number < NAME_COUNT; number++) {
        if (name_text(number, name) == entry->length && memcmp(name, entry->name, entry->length) == 0)
            return (uint16_t)number;
    }
    abort();
}

/*
 * Compares the inodes below the directory in a slot. Directories on the way are held in the slots
 * of the walk, so that the walk needs no recursion.
 */
static bool compare_tree(struct pair *pair)
{
    size_t next[DEPTH + 1] = {0};
    unsigned depth = 0;

    for (;;) {
        unsigned at = depth == 0 ? 0 : SLOTS + depth;
        const struct node *directory = pair->model->slot[at];
        struct call lookup = {.kind = CALL_LOOKUP, .slot = (uint8_t)at, .into = (uint8_t)(SLOTS + depth + 1)};
        struct call put = {.kind = CALL_PUT, .slot = lookup.into};

        if (next[depth] == directory->entry_count) {
            put.slot = (uint8_t)at;
            if (depth == 0)
                return true;
            if (!pair_play(pair, &put))
                return false;
            depth--;
            continue;
        }
        lookup.name = number_of(&directory->entries[next[depth]++]);
        if (!pair_play(pair, &lookup) || !compare_inode(pair, lookup.into))
            return false;
        if (node_is(pair->model->slot[lookup.into], EXT2DAX_S_IFDIR) && depth < DEPTH - 1)
            next[++depth] = 0;
        else if (!pair_play(pair, &put))
            return false;
    }
}

/* Compares the free blocks with the blocks of all inodes. Equal xattr blocks may be shared. */
static bool compare_free(struct pair *pair)
{
    const struct call statfs = {.kind = CALL_STATFS};
    const struct model *model = pair->model;
    uint64_t used = 0, xattrs = 0, unit = model->kind->block_size / 512, fresh, taken;

    if (!pair_play(pair, &statfs))
        return false;
    for (const struct node *node = model->nodes; node; node = node->next) {
        used += node->sectors / unit;
        xattrs += node->attribute_count != 0;
    }
    /* A new image already has the blocks of the root and of lost+found. */
    fresh = model->fresh.free_blocks + model->fresh_blocks;
    taken = fresh - pair->seen.statfs.free_blocks;
    if (taken > used || taken + xattrs < used) {
        DIFFER("%llu blocks are in use, and inodes have %llu", (unsigned long long)taken, (unsigned long long)used);
        return false;
    }
    return true;
}

bool pair_compare(struct pair *pair)
{
    const char *finding;

    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (model_has(pair->model, slot) && !compare_inode(pair, slot))
            return false;
    }
    if (!compare_tree(pair) || (pair->ops->is_library && !compare_free(pair)))
        return false;
    finding = pair->ops->check(pair->player);
    if (finding)
        DIFFER("%s", finding);
    return !finding;
}

/* ---- the end ---- */

/* Makes the inode of a name removable, and holds the inode in the slot of the walk. */
static bool unprotect(struct pair *pair, const struct call *lookup)
{
    const struct call flags = {.kind = CALL_SETATTR, .slot = lookup->into, .flags = EXT2DAX_SET_FLAGS};

    if (!pair_play(pair, lookup))
        return false;
    return pair->model->slot[lookup->into]->flags == 0 || pair_play(pair, &flags);
}

bool pair_empty(struct pair *pair)
{
    const struct call statfs = {.kind = CALL_STATFS};
    const struct call writable = {.kind = CALL_REMOUNT}, flags = {.kind = CALL_SETATTR, .flags = EXT2DAX_SET_FLAGS};
    unsigned depth = 0;

    if (!pair_play(pair, &writable))
        return false;
    if (pair->model->root->flags != 0 && !pair_play(pair, &flags))
        return false;
    for (unsigned slot = 1; slot < SLOTS; slot++) {
        const struct call put = {.kind = CALL_PUT, .slot = (uint8_t)slot};

        if (!pair_play(pair, &put))
            return false;
    }
    for (;;) {
        unsigned at = depth == 0 ? 0 : SLOTS + depth, first = 0;
        const struct node *directory = pair->model->slot[at];
        struct call lookup = {.kind = CALL_LOOKUP, .slot = (uint8_t)at, .into = (uint8_t)(SLOTS + depth + 1)};
        struct call put = {.kind = CALL_PUT, .slot = lookup.into}, gone = {.slot = (uint8_t)at};
        bool is_directory;

        /* lost+found stays, and so do directories deeper than the slots reach. */
        while (first < directory->entry_count && number_of(&directory->entries[first]) == NAME_LOST)
            first++;
        if (first == directory->entry_count) {
            put.slot = (uint8_t)at;
            if (depth == 0)
                break;
            if (!pair_play(pair, &put))
                return false;
            depth--;
            continue;
        }
        lookup.name = gone.name = number_of(&directory->entries[first]);
        if (!unprotect(pair, &lookup))
            return false;
        is_directory = node_is(pair->model->slot[lookup.into], EXT2DAX_S_IFDIR);
        if (is_directory && pair->model->slot[lookup.into]->entry_count != 0 && depth < DEPTH - 1) {
            depth++;
            continue;
        }
        gone.kind = is_directory ? CALL_RMDIR : CALL_UNLINK;
        if (!pair_play(pair, &gone))
            return false;
        if (pair->expected.result != 0) {
            DIFFER("the last %s cannot succeed", call_name((enum call_kind)gone.kind));
            return false;
        }
        if (!pair_play(pair, &put))
            return false;
    }
    pair->is_empty = true;
    return pair_play(pair, &statfs) && pair_compare(pair);
}

bool pair_close(struct pair *pair)
{
    const char *finding = pair->ops->close(pair->player);

    if (finding)
        DIFFER("%s", finding);
    outcome_close(&pair->seen);
    outcome_close(&pair->expected);
    model_close(pair->model);
    return !finding;
}
