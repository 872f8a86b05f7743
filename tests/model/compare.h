/* SPDX-License-Identifier: MIT */
/* Comparison of a player with the model, call by call and as whole trees. */
#ifndef TESTS_MODEL_COMPARE_H
#define TESTS_MODEL_COMPARE_H

#include "model.h"

/* A player and its model in step. */
struct pair {
    const struct player_ops *ops;
    struct player *player;
    struct model *model;
    struct outcome seen, expected;
    int64_t now;      /* of the next call */
    uint64_t without; /* kinds of calls left out, a bit for each */
    bool is_empty;    /* nothing is left but lost+found */
    char difference[2000];
};

/* Opens both. Returns false and a reason if the player cannot be opened. */
bool pair_open(struct pair *pair, const struct player_ops *ops, const struct image_kind *kind, const char *place,
               const char **why);

/* Plays a call on both. Returns true if the outcomes agree, else describes the difference. */
bool pair_play(struct pair *pair, const struct call *call);

/* Compares the whole tree, every held inode, and the counts. */
bool pair_compare(struct pair *pair);

/* Removes every name, compares the free counts with the fresh image, and closes the player. */
bool pair_empty(struct pair *pair);
bool pair_close(struct pair *pair);

#endif
