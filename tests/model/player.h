/* SPDX-License-Identifier: MIT */
/*
 * Players of calls. A player is the library on an image in memory, or a directory of the host with
 * the system calls of the host. The model predicts the outcome of a player.
 */
#ifndef TESTS_MODEL_PLAYER_H
#define TESTS_MODEL_PLAYER_H

#include "ext2dax/ext2dax.h"

#include "call.h"
#include "image.h"

/* A name in a listing. */
struct listed {
    char name[NAME_ROOM];
    size_t length;
    uint32_t number;
    uint8_t type; /* EXT2DAX_FT_… */
};

#define LISTED_ROOM 4096u

/* The result of a call, and the bytes and figures returned with the result. */
struct outcome {
    bool nothing;   /* a slot was empty */
    bool unplayed;  /* the player cannot play the call on this inode, and did nothing */
    int64_t result; /* of the call, a negative errno on failure */
    struct ext2dax_stat stat;
    struct ext2dax_run run;
    struct ext2dax_statfs statfs;
    bool ended; /* the listing reached its end */
    unsigned listed;
    struct listed *list;  /* LISTED_ROOM names */
    unsigned char *bytes; /* IO_ROOM bytes */
    size_t count;         /* bytes returned */
};

void outcome_open(struct outcome *outcome);
void outcome_close(struct outcome *outcome);

struct player;

struct player_ops {
    const char *name;
    bool (*can)(const struct call *call); /* NULL plays all calls */
    /* Returns true for a known difference of errnos. NULL allows none. */
    bool (*differs)(enum call_kind kind, int64_t expected, int64_t seen);
    bool is_library; /* every figure is that of the headers */
    bool counts;     /* free inodes are exact at once */
    /*
     * Opens the player on a fresh image, or in a directory. Returns NULL and a reason on failure.
     */
    struct player *(*open)(const struct image_kind *kind, const char *place, const char **why);
    void (*play)(struct player *player, const struct call *call, struct outcome *outcome);
    void (*clock)(struct player *player, int64_t seconds);
    /* Checks the image in use. Returns NULL or a finding. */
    const char *(*check)(struct player *player);
    /* Releases every reference and closes. Runs e2fsck. Returns NULL or a finding. */
    const char *(*close)(struct player *player);
};

extern const struct player_ops library_player;
extern const struct player_ops directory_player;
extern const struct player_ops kernel_player;

#endif
