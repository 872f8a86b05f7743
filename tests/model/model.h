/* SPDX-License-Identifier: MIT */
/*
 * The model: what the headers say, in memory. The model plays each call after the player and
 * predicts the outcome. Only where the headers leave a choice (a full image, the inode number, the
 * size of a directory) the model reads the outcome of the player, and checks the choice.
 */
#ifndef TESTS_MODEL_MODEL_H
#define TESTS_MODEL_MODEL_H

#include "node.h"
#include "player.h"

/*
 * Deliberate mistakes of the model. Each must be found as a difference from the player, and shrunk.
 */
#define MODEL_MISTAKES(_)                                                                                              \
    _(NONE, "none")                                                                                                    \
    _(TAIL_STAYS, "truncate does not zero the rest of the last block")                                                 \
    _(PUNCH_EDGE_STAYS, "punch does not zero the edges")                                                               \
    _(ZERO_FREES, "zero_range frees whole blocks")                                                                     \
    _(HOLD_FORGOTTEN, "the inode of an unlinked file still held is free")                                              \
    _(APPEND_UNLINKED, "unlink removes an append-only file")                                                           \
    _(IMMUTABLE_WRITTEN, "write changes an immutable file")                                                            \
    _(LINKS_OF_PARENT, "rmdir leaves the link count of the parent")                                                    \
    _(MOVE_TO_ROOT, "\"..\" of a moved directory is the root")                                                         \
    _(REPLACED_LINKS, "rename leaves the link count of a replaced file")                                               \
    _(SAME_INODE_RENAMED, "rename between two names of a file removes the old name")                                   \
    _(CTIME_OF_LINK, "link leaves the ctime of the inode")                                                             \
    _(CREATE_ERASES_XATTR, "setxattr with CREATE replaces the value")                                                  \
    _(LONG_NAME, "a name of 256 bytes is an invalid argument")                                                         \
    _(CLAMP_WRAPS, "a time past 2038 wraps in a small inode")                                                          \
    _(DEAD_DIRECTORY, "a removed directory accepts names")                                                             \
    _(LINKS_UNBOUNDED, "an inode has any number of links")                                                             \
    _(DIRECTORIES_UNBOUNDED, "a directory has any number of subdirectories")

enum model_mistake {
#define MISTAKE_ENUM(name, text) MISTAKE_##name,
    MODEL_MISTAKES(MISTAKE_ENUM)
#undef MISTAKE_ENUM
        MISTAKE_COUNT
};

extern enum model_mistake model_mistake;
const char *model_mistake_name(enum model_mistake mistake);
const char *model_mistake_text(enum model_mistake mistake);

/* A listing in parts, per slot. */
struct model_listing {
    bool open;
    uint64_t begun; /* births before this number existed at the start */
    uint64_t *seen; /* births listed */
    size_t seen_count;
    bool dot, dot_dot;
};

struct model {
    const struct image_kind *kind;
    bool is_library; /* as of the player */
    bool large_inodes;
    struct ext2dax_statfs fresh; /* of the fresh image */
    uint64_t fresh_blocks;       /* of the root and of lost+found */
    bool read_only;
    int64_t now;
    uint64_t births;
    struct node *nodes; /* all, and those without a name */
    struct node *root;
    struct node *slot[ALL_SLOTS];
    struct model_listing listing[ALL_SLOTS];
    const char *objection; /* a choice of the player that cannot be right, or NULL */
};

/* Opens the model of a fresh image with the figures of the image. */
struct model *model_open(const struct image_kind *kind, bool is_library, const struct ext2dax_statfs *fresh);
void model_close(struct model *model);

/* Plays a call at time `now`. `seen` is the outcome of the player. */
void model_play(struct model *model, const struct call *call, const struct outcome *seen, struct outcome *expected);

/* Returns the inodes in use, those without a name included. */
uint32_t model_inodes(const struct model *model);

/* ---- between the files of the model ---- */

bool model_has(const struct model *model, unsigned slot);
void model_hold(struct model *model, unsigned slot, struct node *node);
void model_drop(struct model *model, unsigned slot);
/* Frees an inode without a name and without a slot. */
void model_release(struct model *model, struct node *node);
struct ext2dax_time model_now(const struct model *model, const struct node *node);
/* Returns the time as the inode stores it. */
struct ext2dax_time model_stored(const struct node *node, struct ext2dax_time time);
void model_set_times(struct model *model, struct node *node, bool mtime);
/*
 * Judges ENOSPC of the player for a call that needs `blocks`. Raises an objection if room was left.
 */
bool model_full(struct model *model, const struct outcome *seen, uint64_t blocks);
/* Checks the bits of `set`, and the nanoseconds of every time set. Returns 0 or EINVAL. */
int model_check_set(unsigned set, uint32_t nanoseconds);
int model_check_name(const char *name, size_t length);
struct node *model_resolve(struct model *model, const char *path, size_t length, unsigned flags, int *error);

int64_t model_play_names(struct model *model, const struct call *call, const struct outcome *seen,
                         struct outcome *expected);
int64_t model_play_lookups(struct model *model, const struct call *call, const struct outcome *seen,
                           struct outcome *expected);
int64_t model_play_file(struct model *model, const struct call *call, const struct outcome *seen,
                        struct outcome *expected);
int64_t model_play_attributes(struct model *model, const struct call *call, const struct outcome *seen,
                              struct outcome *expected);
int64_t model_play_xattr(struct model *model, const struct call *call, const struct outcome *seen,
                         struct outcome *expected);

static inline bool mistaken(enum model_mistake mistake)
{
    return model_mistake == mistake;
}

#endif
