/* SPDX-License-Identifier: MIT */
/*
 * Two players on the host: a mount of the image by the kernel, and any mounted directory. The mount
 * by the kernel lies in a mount namespace of the process, so that the mount ends with the process.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "host.h"

/* ---- any mounted directory ---- */

/* Removes the extended attributes that an earlier sequence left on a directory that stays. */
static void strip(const char *place, const char *name)
{
    char path[300], names[65536];
    ssize_t length;

    (void)snprintf(path, sizeof(path), "%s/%s", place, name);
    length = listxattr(path, names, sizeof(names));
    for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1)
        (void)removexattr(path, names + at);
}

static struct player *directory_open(const struct image_kind *kind, const char *place, const char **why)
{
    struct player *player = calloc(1, sizeof(*player));

    (void)kind;
    if (!player)
        abort();
    (void)snprintf(player->directory, sizeof(player->directory), "%s", place);
    /* An earlier sequence may have failed and left its files. */
    (void)outside_run("cd '%s' && chattr -R -f -i -a . >/dev/null 2>&1; "
                      "find . -mindepth 1 ! -path ./lost+found -delete 2>/dev/null",
                      place);
    strip(place, "");
    strip(place, "lost+found");
    if (host_enter(player) && host_ask(player))
        return player;
    *why = "the directory cannot be changed";
    return NULL;
}

static const char *nothing_to_check(struct player *player)
{
    (void)player;
    return NULL;
}

static const char *directory_close(struct player *player)
{
    host_leave(player);
    free(player);
    return NULL;
}

/* The kernel does not know the flags of a directory mounted by FUSE, and looks at the kind. */
static bool directory_differs(enum call_kind kind, int64_t expected, int64_t seen)
{
    return host_differs(kind, expected, seen) ||
           (kind == CALL_RMDIR && expected == -EXT2DAX_EPERM && seen == -EXT2DAX_ENOTDIR);
}

const struct player_ops directory_player = {.name = "directory",
                                            .can = host_can,
                                            .differs = directory_differs,
                                            .open = directory_open,
                                            .play = host_play,
                                            .clock = host_clock,
                                            .check = nothing_to_check,
                                            .close = directory_close};

/* ---- a mount by the kernel ---- */

static bool mount_image(const struct player *player)
{
    const char *path = player->image.path, *at = player->directory;

    /* The ext2 of Linux refuses some features of ext4 that the library serves. */
    return outside_run("mount -t ext2 -o loop,noatime %s %s >/dev/null 2>&1 || "
                       "mount -t ext4 -o loop,noatime %s %s >/dev/null 2>&1",
                       path, at, path, at) == 0;
}

static struct player *kernel_open(const struct image_kind *kind, const char *place, const char **why)
{
    struct player *player = calloc(1, sizeof(*player));

    (void)place;
    if (!player)
        abort();
    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        *why = "only root may mount";
        return NULL;
    }
    /* Nobody else sees the mount, so any directory serves as the mount point. */
    (void)snprintf(player->directory, sizeof(player->directory), "/mnt");
    player->image = outside_open(image_size(kind));
    if (!image_make(kind, player->image.base)) {
        *why = "there is no mke2fs";
        return NULL;
    }
    if (mount_image(player) && host_enter(player) && host_ask(player))
        return player;
    *why = "a container may not loop-mount";
    return NULL;
}

static const char *kernel_close(struct player *player)
{
    const char *finding = NULL;

    host_leave(player);
    if (umount2(player->directory, 0) != 0)
        finding = "umount fails";
    if (!finding)
        finding = image_e2fsck(player->image.path);
    outside_close(&player->image);
    free(player);
    return finding;
}

static int64_t cycle(struct player *player)
{
    host_leave(player);
    if (umount2(player->directory, 0) != 0)
        return host_result(-1);
    if (!mount_image(player) || !host_enter(player))
        return -EIO;
    return 0;
}

static void kernel_play(struct player *player, const struct call *call, struct outcome *outcome)
{
    unsigned long flags = MS_REMOUNT | MS_NOATIME;

    host_play(player, call, outcome);
    if (outcome->nothing)
        return;
    if (call->kind != CALL_REMOUNT && call->kind != CALL_UNMOUNT && call->kind != CALL_CYCLE)
        return;
    outcome->unplayed = false;
    if (call->kind == CALL_CYCLE) {
        outcome->result = cycle(player);
    } else if (call->kind == CALL_UNMOUNT) {
        outcome->result = host_result(umount2(player->directory, 0));
    } else {
        flags |= (call->flags & EXT2DAX_MOUNT_READ_ONLY) != 0 ? MS_RDONLY : 0;
        outcome->result = host_result(mount(NULL, player->directory, NULL, flags, NULL));
    }
}

const struct player_ops kernel_player = {.name = "kernel",
                                         .can = host_can,
                                         .differs = host_differs,
                                         .counts = true,
                                         .open = kernel_open,
                                         .play = kernel_play,
                                         .clock = host_clock,
                                         .check = nothing_to_check,
                                         .close = kernel_close};
