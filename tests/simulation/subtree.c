/* SPDX-License-Identifier: MIT */
#include "subtree.h"

#include <string.h>

#include "ext2dax/error.h"

#define BIT(value) ((uint64_t)1 << (value))

/* ---- contents ---- */

void contents_write(struct contents *contents, uint32_t from, uint32_t length, uint8_t value)
{
    for (uint32_t at = from; at < from + length; at++) {
        contents->now[at] = value;
        contents->may[at] |= BIT(value);
        contents->ever[at] |= BIT(value);
    }
    if (length != 0 && from + length > contents->least)
        contents->least = contents->most = from + length;
}

void contents_clear(struct contents *contents, uint32_t from, uint32_t length, bool durable)
{
    for (uint32_t at = from; at < from + length; at++) {
        contents->now[at] = 0;
        contents->may[at] = durable ? BIT(0) : contents->may[at] | BIT(0);
        contents->ever[at] |= BIT(0);
    }
}

void contents_resize(struct contents *contents, uint32_t size)
{
    if (size < contents->most)
        contents_clear(contents, size, GRANULES - size, true);
    contents->least = contents->most = size;
}

void contents_settle_granule(struct contents *contents, uint32_t at)
{
    contents->may[at] = BIT(contents->now[at]);
}

void contents_settle(struct contents *contents)
{
    for (uint32_t at = 0; at < GRANULES; at++)
        contents_settle_granule(contents, at);
}

/* ---- names ---- */

void subtree_open(struct subtree *tree)
{
    memset(tree, 0, sizeof *tree);
    for (unsigned i = 0; i < NAMES; i++)
        tree->name[i] = NO_NODE;
    tree->held = NO_NODE;
}

unsigned subtree_links(const struct subtree *tree, int node)
{
    unsigned links = 0;

    for (unsigned i = 0; i < NAMES; i++)
        links += tree->name[i] == node;
    return links;
}

static int free_node(const struct subtree *tree)
{
    int node = 0;

    while (node == tree->held || subtree_links(tree, node) != 0)
        node++;
    return node;
}

int subtree_node(const struct subtree *tree, const struct sim_call *call)
{
    return call->held && tree->held != NO_NODE ? tree->held : tree->name[call->a];
}

static int make(struct subtree *tree, const struct sim_call *call)
{
    int node = free_node(tree);
    struct node *made = &tree->node[node];

    if (tree->name[call->a] != NO_NODE)
        return -EXT2DAX_EEXIST;
    memset(made, 0, sizeof *made);
    made->type = call->kind == SIM_CREATE ? NODE_FILE : call->kind == SIM_MKDIR ? NODE_DIRECTORY : NODE_SYMLINK;
    made->mode = made->mode_maybe = made->type == NODE_SYMLINK ? 0777 : 0644;
    made->target = call->value;
    contents_settle(&made->contents);
    tree->name[call->a] = node;
    return 0;
}

static int link_name(struct subtree *tree, const struct sim_call *call)
{
    int node = subtree_node(tree, call);

    if (node == NO_NODE)
        return -EXT2DAX_ENOENT;
    if (tree->name[call->b] != NO_NODE)
        return -EXT2DAX_EEXIST;
    if (tree->node[node].type == NODE_DIRECTORY)
        return -EXT2DAX_EPERM;
    if (subtree_links(tree, node) == 0)
        return -EXT2DAX_ENOENT;
    tree->name[call->b] = node;
    return 0;
}

static int remove_name(struct subtree *tree, const struct sim_call *call)
{
    int node = tree->name[call->a];

    if (node == NO_NODE)
        return -EXT2DAX_ENOENT;
    if (call->kind == SIM_UNLINK && tree->node[node].type == NODE_DIRECTORY)
        return -EXT2DAX_EISDIR;
    if (call->kind == SIM_RMDIR && tree->node[node].type != NODE_DIRECTORY)
        return -EXT2DAX_ENOTDIR;
    tree->name[call->a] = NO_NODE;
    return 0;
}

static int rename_name(struct subtree *tree, const struct sim_call *call)
{
    int from = tree->name[call->a], to = tree->name[call->b];

    if (from == NO_NODE || (to == NO_NODE && call->kind == SIM_EXCHANGE))
        return -EXT2DAX_ENOENT;
    if (call->kind == SIM_EXCHANGE) {
        tree->name[call->a] = to;
        tree->name[call->b] = from;
        return 0;
    }
    if (to != NO_NODE && call->kind == SIM_RENAME_NOREPLACE)
        return -EXT2DAX_EEXIST;
    if (from == to)
        return 0;
    if (to != NO_NODE && tree->node[from].type == NODE_DIRECTORY && tree->node[to].type != NODE_DIRECTORY)
        return -EXT2DAX_ENOTDIR;
    if (to != NO_NODE && tree->node[from].type != NODE_DIRECTORY && tree->node[to].type == NODE_DIRECTORY)
        return -EXT2DAX_EISDIR;
    tree->name[call->a] = NO_NODE;
    tree->name[call->b] = from;
    return 0;
}

int subtree_names(struct subtree *tree, const struct sim_call *call)
{
    switch (call->kind) {
    case SIM_CREATE:
    case SIM_MKDIR:
    case SIM_SYMLINK:
        return make(tree, call);
    case SIM_LINK:
        return link_name(tree, call);
    case SIM_UNLINK:
    case SIM_RMDIR:
        return remove_name(tree, call);
    case SIM_LOOKUP:
        return tree->name[call->a] == NO_NODE ? -EXT2DAX_ENOENT : 0;
    case SIM_HOLD:
        tree->held = tree->name[call->a];
        return tree->held == NO_NODE ? -EXT2DAX_ENOENT : 0;
    case SIM_PUT:
        tree->held = NO_NODE;
        return 0;
    default:
        return rename_name(tree, call);
    }
}

/* ---- files ---- */

void subtree_files(struct subtree *tree, const struct sim_call *call)
{
    struct node *node = &tree->node[subtree_node(tree, call)];
    struct contents *contents = &node->contents;
    uint32_t end = call->from + call->length, size = contents->least, length;

    length = call->from >= size ? 0 : (end < size ? end : size) - call->from;
    switch (call->kind) {
    case SIM_WRITE:
        contents_write(contents, call->from, call->length, call->value);
        break;
    case SIM_STORE:
        /* A store past the end, in the last page, is in no file. */
        if (call->from < size)
            contents_write(contents, call->from, 1, call->value);
        break;
    case SIM_TRUNCATE:
        contents_resize(contents, call->from);
        break;
    case SIM_ALLOCATE:
        contents_resize(contents, end > size ? end : size);
        break;
    case SIM_PUNCH:
        contents_clear(contents, call->from, length, true);
        break;
    case SIM_ZERO:
        contents_clear(contents, call->from, length, false);
        break;
    case SIM_FSYNC:
        contents_settle(contents);
        break;
    case SIM_CHMOD:
        node->mode = node->mode_maybe = (uint16_t)(0600 | call->value);
        break;
    case SIM_SETXATTR:
        node->xattr = node->xattr_maybe = call->value;
        break;
    case SIM_REMOVEXATTR:
        node->xattr = node->xattr_maybe = NO_XATTR;
        break;
    default:
        break;
    }
}

void subtree_widen(struct subtree *tree, const struct sim_call *call)
{
    int number = subtree_node(tree, call);
    struct node *node;
    struct contents *contents;
    uint32_t end = call->from + call->length, size;

    if (number == NO_NODE)
        return;
    node = &tree->node[number];
    contents = &node->contents;
    if (call->kind == SIM_STORE)
        end = call->from + 1u;
    switch (call->kind) {
    case SIM_WRITE:
    case SIM_STORE:
        for (uint32_t at = call->from; at < end; at++)
            contents->may[at] |= BIT(call->value);
        break;
    case SIM_TRUNCATE:
    case SIM_PUNCH:
    case SIM_ZERO:
        for (uint32_t at = call->from; at < GRANULES && (call->kind == SIM_TRUNCATE || at < end); at++)
            contents->may[at] |= BIT(0);
        break;
    case SIM_CHMOD:
        node->mode_maybe = (uint16_t)(0600 | call->value);
        return;
    case SIM_SETXATTR:
        node->xattr_maybe = call->value;
        return;
    case SIM_REMOVEXATTR:
        node->xattr_maybe = NO_XATTR;
        return;
    case SIM_ALLOCATE:
        break;
    default:
        return;
    }
    size = call->kind == SIM_TRUNCATE ? call->from : end;
    if (call->kind == SIM_TRUNCATE && size < contents->least)
        contents->least = size;
    if ((call->kind == SIM_TRUNCATE || call->kind == SIM_WRITE || call->kind == SIM_ALLOCATE) && size > contents->most)
        contents->most = size;
}

void subtree_settle(struct subtree *tree)
{
    for (unsigned i = 0; i < NODES; i++)
        contents_settle(&tree->node[i].contents);
}
