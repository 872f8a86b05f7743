/* SPDX-License-Identifier: MIT */
/*
 * A directory of the host as a player. A slot holds a descriptor of O_PATH, which stays valid after
 * the last name is removed. Calls go by system calls, as root.
 */
#ifndef TESTS_MODEL_HOST_H
#define TESTS_MODEL_HOST_H

#include "../image/outside.h"
#include "player.h"

/* Offsets below the limits of every image and of Linux. */
#define HOST_OFFSETS ((uint64_t)1 << 33)

struct player {
    int slot[ALL_SLOTS]; /* descriptors, or -1 */
    int64_t cookie[ALL_SLOTS];
    bool can_allocate, can_zero, can_punch; /* fallocate() of the filesystem */
    char directory[256];                    /* the mount point */
    struct outside_image image;             /* of a mount of this player */
};

/* Opens the root of the filesystem. Returns false on failure. */
bool host_enter(struct player *player);
/* Asks what the filesystem can do. Returns false if the filesystem does not change. */
bool host_ask(struct player *player);
void host_leave(struct player *player);
void host_play(struct player *player, const struct call *call, struct outcome *outcome);
void host_clock(struct player *player, int64_t seconds);

/* Returns false for a call that system calls cannot express, with the reason in a comment. */
bool host_can(const struct call *call);

/* Returns true if the host may return `seen` where the headers say `expected`. */
bool host_differs(enum call_kind kind, int64_t expected, int64_t seen);

/* Plays the calls on files and attributes. Result is 0 or a negative errno. */
int64_t host_play_file(struct player *player, const struct call *call, struct outcome *outcome);
int64_t host_play_attributes(struct player *player, const struct call *call, struct outcome *outcome);

/* Opens the inode of a slot again, to read or write. Returns a descriptor or a negative errno. */
int host_open(struct player *player, unsigned slot, int flags);
/* Returns the type and permissions of a slot. */
unsigned host_mode(const struct player *player, unsigned slot);
uint32_t host_flags(struct player *player, unsigned slot);
int64_t host_result(int64_t result);

#endif
