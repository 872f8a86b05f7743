/* SPDX-License-Identifier: MIT */
/*
 * The model of a thread's own subtree. No other thread changes the subtree, so the result of each
 * call is known, whatever the other threads do.
 *
 * The model states the durability of an ordered mount as file.h and name.h promise. Names, links,
 * sizes, modes, attributes and removed bytes are durable when the call returns. Bytes written may
 * be old or new until fsync. A call cut off by a crash may be done or not. A rename cut off may
 * leave both names of a file.
 */
#ifndef SIMULATION_SUBTREE_H
#define SIMULATION_SUBTREE_H

#include "plan.h"

enum node_type { NODE_FILE, NODE_DIRECTORY, NODE_SYMLINK };

/* Contents in granules. The number of a value is a bit of the masks. */
struct contents {
    uint32_t least, most;    /* granules, the size. Equal, except for a call cut off. */
    uint8_t now[GRANULES];   /* value, 0 past the end */
    uint64_t may[GRANULES];  /* values possible after a crash */
    uint64_t ever[GRANULES]; /* values possible in this life, of a file that threads share */
};

void contents_write(struct contents *contents, uint32_t from, uint32_t length, uint8_t value);
/* Makes the bytes zeroes, durably or not. */
void contents_clear(struct contents *contents, uint32_t from, uint32_t length, bool durable);
void contents_resize(struct contents *contents, uint32_t size);
/* Makes the granule, or all granules, durable. */
void contents_settle_granule(struct contents *contents, uint32_t at);
void contents_settle(struct contents *contents);

#define NODES    (NAMES + 1)
#define NO_NODE  (-1)
#define NO_XATTR 0

struct node {
    enum node_type type;
    uint32_t number;           /* of the inode, 0 if not known */
    uint16_t mode, mode_maybe; /* permissions. The second may be found after a crash too. */
    uint8_t target;            /* of a symbolic link */
    uint8_t xattr, xattr_maybe;
    struct contents contents;
};

struct subtree {
    int name[NAMES]; /* node, or NO_NODE */
    int held;        /* node held without a need for a name, or NO_NODE */
    struct node node[NODES];
};

void subtree_open(struct subtree *tree);
unsigned subtree_links(const struct subtree *tree, int node);
/* Returns the node that a call of a file is about, or NO_NODE. */
int subtree_node(const struct subtree *tree, const struct sim_call *call);

/*
 * Plays a call of names. Returns 0 or the negative errno that the library must return. HOLD and PUT
 * return 0 always.
 */
int subtree_names(struct subtree *tree, const struct sim_call *call);
/* Plays a successful call of contents, modes and attributes. */
void subtree_files(struct subtree *tree, const struct sim_call *call);
/* Widens the model by the outcomes of a call of files which was cut off. */
void subtree_widen(struct subtree *tree, const struct sim_call *call);
/* Everything is durable. */
void subtree_settle(struct subtree *tree);

static inline bool is_names_call(unsigned kind)
{
    return kind <= SIM_PUT;
}
static inline bool is_file_call(unsigned kind)
{
    return kind >= SIM_WRITE && kind <= SIM_GETXATTR;
}

#endif
