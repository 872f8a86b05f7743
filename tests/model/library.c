/* SPDX-License-Identifier: MIT */
/* The library as a player, on an image in memory that has a path for e2fsck. */
#include "player.h"

#include <stdlib.h>
#include <string.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"
#include "ext2dax/testkit/checker.h"

#include "../host_ops.h"
#include "../image/outside.h"

struct player {
    struct outside_image image;
    struct ext2dax_memory memory;
    struct ext2dax_plugs plugs;
    struct ext2dax_mount_options options;
    struct ext2dax_mount *mount;
    struct ext2dax_inode *slot[ALL_SLOTS];
    uint64_t cookie[ALL_SLOTS];
    int64_t now;
    long allocations; /* not yet released */
    char finding[1600];
};

void outcome_open(struct outcome *outcome)
{
    memset(outcome, 0, sizeof(*outcome));
    outcome->list = calloc(LISTED_ROOM, sizeof(*outcome->list));
    outcome->bytes = calloc(1, IO_ROOM);
    if (!outcome->list || !outcome->bytes)
        abort();
}

void outcome_close(struct outcome *outcome)
{
    free(outcome->list);
    free(outcome->bytes);
}

/* ---- plugs ---- */

static void *host_alloc(void *ctx, size_t bytes)
{
    ((struct player *)ctx)->allocations++;
    return malloc(bytes);
}

static void host_release(void *ctx, void *at, size_t bytes)
{
    (void)bytes;
    ((struct player *)ctx)->allocations--;
    free(at);
}

static int64_t host_now(void *ctx)
{
    return ((struct player *)ctx)->now;
}

static void host_log(void *ctx, const struct ext2dax_report *report)
{
    char text[256];

    (void)ctx;
    if (report->level != EXT2DAX_LEVEL_ERROR)
        return;
    (void)ext2dax_report_text(report, text, sizeof(text));
    (void)fprintf(stderr, "the library reports: %s\n", text);
}

static const struct ext2dax_host_ops host_ops = {.size = sizeof(host_ops),
                                                 .alloc = host_alloc,
                                                 .release = host_release,
                                                 .now = host_now,
                                                 .log = host_log,
                                                 .panic = print_panic,
                                                 .may_use_reserved = always_may_use_reserved};

/* ---- open and close ---- */

static int mount_image(struct player *player)
{
    int error = ext2dax_mount(&player->plugs, &player->options, &player->mount);

    return error != 0 ? error : ext2dax_inode_get(player->mount, EXT2DAX_ROOT_INODE, &player->slot[0]);
}

static struct player *library_open(const struct image_kind *kind, const char *place, const char **why)
{
    struct player *player = calloc(1, sizeof(*player));

    (void)place;
    if (!player)
        abort();
    player->image = outside_open(image_size(kind));
    if (!image_make(kind, player->image.base)) {
        *why = "there is no mke2fs, or mke2fs cannot make the image";
        return NULL;
    }
    if (ext2dax_memory_open_heap(image_size(kind), &player->memory) != 0)
        abort();
    memcpy(player->memory.base, player->image.base, image_size(kind));
    player->plugs.memory = player->memory;
    player->plugs.locks = ext2dax_locks_none();
    player->plugs.host = (struct ext2dax_host){&host_ops, player};
    player->options.size = sizeof(player->options);
    player->options.order = kind->ordered ? EXT2DAX_ORDERED : EXT2DAX_UNORDERED;
    player->now = FIXED_TIME;
    if (mount_image(player) != 0) {
        *why = "the library does not mount the image";
        return NULL;
    }
    return player;
}

static void drop(struct player *player, unsigned slot)
{
    player->cookie[slot] = 0;
    if (player->slot[slot])
        ext2dax_inode_put(player->slot[slot]);
    player->slot[slot] = NULL;
}

static void drop_all(struct player *player)
{
    for (unsigned i = 0; i < ALL_SLOTS; i++)
        drop(player, i);
}

static void note_finding(void *arg, const struct ext2dax_finding *finding)
{
    struct player *player = arg;

    if (player->finding[0] == '\0')
        (void)ext2dax_finding_text(finding, player->finding, sizeof(player->finding));
}

static const char *check_image(struct player *player, unsigned flags)
{
    player->finding[0] = '\0';
    if (ext2dax_check_image(player->memory.base, player->image.size, flags, note_finding, player, NULL) == 0)
        return NULL;
    if (player->finding[0] == '\0')
        (void)snprintf(player->finding, sizeof(player->finding), "the checker cannot read the image");
    return player->finding;
}

static const char *library_check(struct player *player)
{
    return check_image(player, EXT2DAX_CHECK_MOUNTED | EXT2DAX_CHECK_UNLINKED_OK);
}

static const char *library_close(struct player *player)
{
    const char *finding = NULL;
    static char kept[1600];
    int error;

    drop_all(player);
    error = ext2dax_unmount(player->mount);
    if (error != 0)
        finding = "the last unmount fails";
    else if (player->allocations != 0)
        finding = "memory of the host is not released";
    if (!finding)
        finding = check_image(player, 0);
    if (!finding) {
        memcpy(player->image.base, player->memory.base, player->image.size);
        finding = image_e2fsck(player->image.path);
    }
    if (finding)
        (void)snprintf(kept, sizeof(kept), "%s", finding);
    outside_close(&player->image);
    ext2dax_memory_close_heap(&player->memory);
    free(player);
    return finding ? kept : NULL;
}

static void library_clock(struct player *player, int64_t seconds)
{
    player->now = seconds;
}

/* ---- names ---- */

/* The time of a call, `after` seconds later. */
static struct ext2dax_time given_time(const struct call *call, int64_t after)
{
    return (struct ext2dax_time){.seconds = call->seconds + after, .nanoseconds = call->nanoseconds};
}

static void describe(const struct call *call, struct ext2dax_creation *creation, char target[PATH_ROOM])
{
    struct ext2dax_attributes *attributes = &creation->attributes;

    memset(creation, 0, sizeof(*creation));
    creation->size = sizeof(*creation);
    attributes->size = sizeof(*attributes);
    attributes->set = call->flags;
    attributes->mode = call->mode;
    attributes->uid = call->uid;
    attributes->gid = call->gid;
    attributes->flags = call->inode_flags;
    attributes->mtime = given_time(call, 0);
    attributes->atime = given_time(call, 1);
    attributes->ctime = given_time(call, 2);
    attributes->created = given_time(call, 3);
    creation->device_major = call->major;
    creation->device_minor = call->minor;
    creation->target = target;
    creation->target_length = path_text(&call->path, target);
}

static int64_t create(struct player *player, const struct call *call, struct ext2dax_inode **made)
{
    struct ext2dax_inode *directory = player->slot[call->slot], **into = call->into != NO_SLOT ? made : NULL;
    struct ext2dax_creation creation;
    char name[NAME_ROOM], target[PATH_ROOM];
    size_t length = name_text(call->name, name);

    describe(call, &creation, target);
    switch (call->kind) {
    case CALL_CREATE:
        return ext2dax_create(directory, name, length, call->mode, call->uid, call->gid, into);
    case CALL_MKDIR:
        return ext2dax_mkdir(directory, name, length, call->mode, call->uid, call->gid, into);
    case CALL_MKNOD:
        return ext2dax_mknod(directory, name, length, call->mode, call->major, call->minor, call->uid, call->gid, into);
    case CALL_SYMLINK:
        return ext2dax_symlink(directory, name, length, target, creation.target_length, call->uid, call->gid, into);
    default:
        return ext2dax_create_as(directory, name, length, &creation, into);
    }
}

static int64_t change_names(struct player *player, const struct call *call)
{
    struct ext2dax_inode *inode = player->slot[call->slot], *other = player->slot[call->other];
    char name[NAME_ROOM], other_name[NAME_ROOM];
    size_t length = name_text(call->name, name), other_length = name_text(call->other_name, other_name);

    switch (call->kind) {
    case CALL_LINK:
        return ext2dax_link(inode, other, name, length);
    case CALL_UNLINK:
        return ext2dax_unlink(inode, name, length);
    case CALL_RMDIR:
        return ext2dax_rmdir(inode, name, length);
    default:
        return ext2dax_rename(inode, name, length, other, other_name, other_length, call->flags);
    }
}

static int64_t look_up(struct player *player, const struct call *call, struct ext2dax_inode **found)
{
    char name[NAME_ROOM], path[PATH_ROOM];
    size_t length;

    if (call->kind == CALL_LOOKUP) {
        length = name_text(call->name, name);
        return ext2dax_lookup(player->slot[call->slot], name, length, found);
    }
    length = path_text(&call->path, path);
    return ext2dax_lookup_path(player->mount, path, length, call->flags, found);
}

struct listing {
    struct outcome *outcome;
    uint64_t most;
    uint64_t cookie;
};

static int list(void *arg, const struct ext2dax_entry *entry)
{
    struct listing *listing = arg;
    struct listed *listed = &listing->outcome->list[listing->outcome->listed];

    if (listing->outcome->listed == LISTED_ROOM)
        return 2;
    memset(listed, 0, sizeof(*listed));
    memcpy(listed->name, entry->name, entry->name_length);
    listed->length = entry->name_length;
    listed->number = entry->number;
    listed->type = entry->type;
    listing->cookie = entry->cookie;
    return ++listing->outcome->listed == listing->most;
}

static int64_t read_directory(struct player *player, const struct call *call, struct outcome *outcome)
{
    bool in_parts = call->kind == CALL_READDIR_PART;
    struct listing listing = {outcome, in_parts ? call->length : 0, in_parts ? player->cookie[call->slot] : 0};
    int result = ext2dax_readdir(player->slot[call->slot], listing.cookie, list, &listing);

    outcome->ended = result == 0;
    if (in_parts)
        player->cookie[call->slot] = result == 1 ? listing.cookie : 0;
    return result == 1 && in_parts ? 0 : result;
}

static int64_t read_link(struct player *player, const struct call *call, struct outcome *outcome)
{
    int64_t length = ext2dax_readlink(player->slot[call->slot], (char *)outcome->bytes, (size_t)call->length);

    if (length > 0)
        outcome->count = (size_t)length < call->length ? (size_t)length : (size_t)call->length;
    return length;
}

/* ---- attributes ---- */

static int64_t set_attributes(struct player *player, const struct call *call)
{
    struct ext2dax_creation creation;
    char target[PATH_ROOM];

    describe(call, &creation, target);
    return ext2dax_setattr(player->slot[call->slot], &creation.attributes);
}

static int64_t hold(struct player *player, const struct call *call, struct ext2dax_inode **held)
{
    struct ext2dax_inode *inode = player->slot[call->slot];

    if (call->kind == CALL_GET)
        return ext2dax_inode_get(player->mount, inode->number, held);
    if (call->into == NO_SLOT)
        return 0;
    ext2dax_inode_hold(inode);
    *held = inode;
    return 0;
}

/* Splits the names returned by listxattr. */
static void split_names(struct outcome *outcome, size_t length)
{
    for (size_t at = 0; at < length;) {
        struct listed *listed = &outcome->list[outcome->listed++];
        size_t name = strnlen((const char *)outcome->bytes + at, length - at);

        memset(listed, 0, sizeof(*listed));
        memcpy(listed->name, outcome->bytes + at, name < NAME_ROOM ? name : NAME_ROOM - 1);
        listed->length = name;
        at += name + 1;
    }
}

static int64_t play_xattr(struct player *player, const struct call *call, struct outcome *outcome)
{
    static unsigned char value[VALUE_ROOM];
    struct ext2dax_inode *inode = player->slot[call->slot];
    size_t room = call->length < IO_ROOM ? (size_t)call->length : IO_ROOM, name_length, value_length;
    char name[NAME_ROOM];
    int64_t result;

    name_length = xattr_text(call->name, name);
    switch (call->kind) {
    case CALL_GETXATTR:
        result = ext2dax_getxattr(inode, name, name_length, outcome->bytes, room);
        outcome->count = result > 0 && room != 0 ? (size_t)result : 0;
        return result;
    case CALL_LISTXATTR:
        result = ext2dax_listxattr(inode, (char *)outcome->bytes, room);
        if (result > 0 && room != 0)
            split_names(outcome, (size_t)result);
        return result;
    case CALL_SETXATTR:
        value_length = xattr_value(call, value);
        return ext2dax_setxattr(inode, name, name_length, value, value_length, call->flags);
    default:
        return ext2dax_removexattr(inode, name, name_length);
    }
}

/* ---- files ---- */

/* After ENOSPC of allocate, returns which blocks of the range exist, a byte for each. */
static void tell_blocks(struct player *player, const struct call *call, struct outcome *outcome)
{
    struct ext2dax_inode *inode = player->slot[call->slot];
    uint64_t block_size = outcome->statfs.block_size, first = call->offset / block_size;
    uint64_t end = (call->offset + call->length - 1) / block_size + 1;
    struct ext2dax_run run;

    for (uint64_t at = first; at < end && at - first < IO_ROOM; at = run.logical + run.length) {
        if (ext2dax_map(inode, at, end - at, &run) != 0)
            break;
        for (uint64_t i = 0; i < run.length && at + i - first < IO_ROOM; i++)
            outcome->bytes[at + i - first] = run.physical != 0;
        outcome->count = (size_t)(run.logical + run.length - first);
    }
    outcome->count = outcome->count < IO_ROOM ? outcome->count : IO_ROOM;
    ext2dax_stat(inode, &outcome->stat, sizeof(outcome->stat));
}

static int64_t play_file(struct player *player, const struct call *call, struct outcome *outcome)
{
    struct ext2dax_inode *inode = player->slot[call->slot];
    int64_t result;

    switch (call->kind) {
    case CALL_READ:
        result = ext2dax_read(inode, call->offset, outcome->bytes, (size_t)call->length);
        outcome->count = result > 0 ? (size_t)result : 0;
        return result;
    case CALL_WRITE:
        call_bytes(call, outcome->bytes, call->length < IO_ROOM ? (size_t)call->length : IO_ROOM);
        return ext2dax_write(inode, call->offset, outcome->bytes, (size_t)call->length);
    case CALL_TRUNCATE:
        return ext2dax_truncate(inode, call->offset);
    case CALL_PUNCH:
        return ext2dax_punch(inode, call->offset, call->length);
    case CALL_ZERO_RANGE:
        return ext2dax_zero_range(inode, call->offset, call->length);
    case CALL_ALLOCATE:
        return ext2dax_allocate(inode, call->offset, call->length, call->flags != 0);
    case CALL_SEEK:
        return ext2dax_seek(inode, call->offset, (enum ext2dax_whence)call->flags);
    case CALL_MAP:
        return ext2dax_map(inode, call->offset, call->length, &outcome->run);
    case CALL_FSYNC:
        return ext2dax_fsync(inode);
    default:
        return ext2dax_fsync_range(inode, call->offset, call->length);
    }
}

/* ---- mount ---- */

static int64_t cycle(struct player *player)
{
    const char *finding;
    int error;

    drop_all(player);
    error = ext2dax_unmount(player->mount);
    if (error != 0)
        return error;
    finding = check_image(player, 0);
    if (finding) {
        (void)fprintf(stderr, "after unmount: %s\n", finding);
        return -1000;
    }
    return mount_image(player);
}

static int64_t play_mount(struct player *player, const struct call *call, struct outcome *outcome)
{
    switch (call->kind) {
    case CALL_SYNC:
        return ext2dax_sync(player->mount);
    case CALL_REMOUNT:
        return ext2dax_remount(player->mount, call->flags);
    case CALL_UNMOUNT:
        return ext2dax_unmount(player->mount);
    case CALL_CYCLE:
        return cycle(player);
    default:
        ext2dax_statfs(player->mount, &outcome->statfs, sizeof(outcome->statfs));
        return 0;
    }
}

/* Adds to the link count of an inode, beside the library. */
static void add_links(struct ext2dax_inode *inode, int more)
{
    unsigned char *at = (unsigned char *)&inode->disk->links;
    int links = (at[0] | at[1] << 8) + more;

    at[0] = (unsigned char)links;
    at[1] = (unsigned char)(links >> 8);
}

static int64_t play_names(struct player *player, const struct call *call, struct ext2dax_inode **got)
{
    struct ext2dax_inode *counted = player->slot[call_counted(call)];
    struct ext2dax_stat stat;
    int more = 0;
    int64_t result;

    ext2dax_stat(counted, &stat, sizeof(stat));
    if (stat.links != 0)
        more = call->more_links;
    add_links(counted, more);
    result = call->kind <= CALL_SYMLINK ? create(player, call, got) : change_names(player, call);
    add_links(counted, -more);
    return result;
}

static void library_play(struct player *player, const struct call *call, struct outcome *outcome)
{
    struct ext2dax_inode *got = NULL;
    int64_t result;

    outcome->listed = 0;
    outcome->count = 0;
    outcome->ended = false;
    outcome->unplayed = false;
    outcome->nothing = !player->slot[call->slot] ||
                       ((call->kind == CALL_RENAME || call->kind == CALL_LINK) && !player->slot[call->other]);
    outcome->result = 0;
    if (outcome->nothing)
        return;
    if (call->kind <= CALL_RENAME)
        result = play_names(player, call, &got);
    else if (call->kind <= CALL_LOOKUP_PATH)
        result = look_up(player, call, &got);
    else if (call->kind <= CALL_READDIR_PART)
        result = read_directory(player, call, outcome);
    else if (call->kind == CALL_READLINK)
        result = read_link(player, call, outcome);
    else if (call->kind == CALL_STAT)
        result = (ext2dax_stat(player->slot[call->slot], &outcome->stat, sizeof(outcome->stat)), 0);
    else if (call->kind == CALL_SETATTR)
        result = set_attributes(player, call);
    else if (call->kind <= CALL_GET)
        result = hold(player, call, &got);
    else if (call->kind == CALL_PUT)
        result = (call->slot != 0 ? drop(player, call->slot) : (void)0, 0);
    else if (call->kind <= CALL_REMOVEXATTR)
        result = play_xattr(player, call, outcome);
    else if (call->kind <= CALL_FSYNC_RANGE)
        result = play_file(player, call, outcome);
    else
        result = play_mount(player, call, outcome);
    outcome->result = result;
    if (result == -EXT2DAX_ENOSPC || call->kind == CALL_WRITE)
        ext2dax_statfs(player->mount, &outcome->statfs, sizeof(outcome->statfs));
    if (result == -EXT2DAX_ENOSPC && call->kind == CALL_ALLOCATE)
        tell_blocks(player, call, outcome);
    if (got && call->into != NO_SLOT) {
        drop(player, call->into);
        player->slot[call->into] = got;
    } else if (got) {
        ext2dax_inode_put(got);
    }
}

const struct player_ops library_player = {.name = "library",
                                          .is_library = true,
                                          .open = library_open,
                                          .play = library_play,
                                          .clock = library_clock,
                                          .check = library_check,
                                          .close = library_close};
