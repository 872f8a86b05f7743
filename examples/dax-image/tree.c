/* SPDX-License-Identifier: MIT */
/*
 * The tree of the sources. Sources are layers, a later layer over the earlier. A node remembers the
 * last layer that had the node, so a whiteout hides lower layers only, in whatever order a layer
 * lists its names. Hidden nodes are marked dead, and dropped when all sources have been read.
 */
#include "dax-image.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct inode *inode_new(void)
{
    struct inode *inode = calloc(1, sizeof(*inode));

    if (inode) {
        inode->spool = -1;
        inode->root = -1;
    }
    return inode;
}

void inode_free(struct inode *inode)
{
    for (size_t i = 0; i < inode->attribute_count; i++) {
        free(inode->attributes[i].name);
        free(inode->attributes[i].value);
    }
    free(inode->attributes);
    free(inode->runs);
    free(inode->target);
    free(inode->path);
    free(inode);
}

bool inode_has(const struct inode *inode, const char *name)
{
    for (size_t i = 0; i < inode->attribute_count; i++)
        if (!strcmp(inode->attributes[i].name, name))
            return true;
    return false;
}

bool inode_attribute(struct inode *inode, const char *name, const void *value, size_t size)
{
    for (size_t i = 0; i < inode->attribute_count; i++) {
        if (strcmp(inode->attributes[i].name, name) != 0)
            continue;
        free(inode->attributes[i].name);
        free(inode->attributes[i].value);
        inode->attributes[i] = inode->attributes[--inode->attribute_count];
    }
    struct attribute *list = realloc(inode->attributes, (inode->attribute_count + 1) * sizeof(*list));
    struct attribute added = {.name = strdup(name), .value = malloc(size + 1), .size = size};

    if (list)
        inode->attributes = list;
    if (!list || !added.name || !added.value) {
        free(added.name);
        free(added.value);
        return false;
    }
    if (size)
        memcpy(added.value, value, size);
    list[inode->attribute_count++] = added;
    return true;
}

bool inode_run(struct inode *inode, const struct options *options, uint64_t from, uint64_t to)
{
    struct data_run *last = inode->run_count ? &inode->runs[inode->run_count - 1] : NULL;
    uint64_t block = options->format.block_size ? options->format.block_size : 4096;

    if (from >= to)
        return true;
    from -= from % block;
    to = (to + block - 1) / block * block;
    to = to < inode->size ? to : inode->size;
    if (last && last->offset + last->length >= from) {
        if (to > last->offset + last->length)
            last->length = to - last->offset;
        return true;
    }
    if ((inode->run_count & (inode->run_count - 1)) == 0) {
        size_t room = inode->run_count ? inode->run_count * 2 : 1;
        struct data_run *runs = realloc(inode->runs, room * sizeof(*runs));
        if (!runs)
            return false;
        inode->runs = runs;
    }
    inode->runs[inode->run_count++] = (struct data_run){.offset = from, .length = to - from};
    return true;
}

/* ---- the table of names ---- */

static size_t slot_of(const struct tree *tree, const struct node *parent, const char *name, size_t length)
{
    uint64_t hash = (uint64_t)(uintptr_t)parent * 0x9e3779b97f4a7c15u;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)name[i]) * 0x100000001b3u;
    return (size_t)(hash ^ hash >> 32) & (tree->table_room - 1);
}

/* Returns the slot with the node of the name, or an empty slot. */
static struct node **lookup(const struct tree *tree, const struct node *parent, const char *name, size_t length)
{
    size_t slot = slot_of(tree, parent, name, length);

    for (;; slot = (slot + 1) & (tree->table_room - 1)) {
        const struct node *node = tree->table[slot];
        if (!node || (node->parent == parent && !strncmp(node->name, name, length) && !node->name[length]))
            return &tree->table[slot];
    }
}

static bool grow_table(struct tree *tree)
{
    struct node **old = tree->table;
    size_t room = tree->table_room;

    tree->table_room = room ? room * 2 : 1024;
    tree->table = calloc(tree->table_room, sizeof(struct node *));
    if (!tree->table) {
        tree->table = old;
        tree->table_room = room;
        return false;
    }
    for (size_t i = 0; i < room; i++)
        if (old[i])
            *lookup(tree, old[i]->parent, old[i]->name, strlen(old[i]->name)) = old[i];
    free(old);
    return true;
}

struct node *tree_find(const struct tree *tree, const struct node *parent, const char *name, size_t length)
{
    struct node *node = *lookup(tree, parent, name, length);

    return node && !node->dead ? node : NULL;
}

bool is_lost_and_found(const struct node *node)
{
    return node->parent && !node->parent->parent && !strcmp(node->name, "lost+found");
}

/* ---- layers ---- */

struct node *node_next(const struct node *node, const struct node *root)
{
    if (node->count)
        return node->children[0];
    for (; node != root; node = node->parent)
        if (node->index + 1 < node->parent->count)
            return node->parent->children[node->index + 1];
    return NULL;
}

static void release(struct inode *inode)
{
    if (inode && --inode->references == 0)
        inode_free(inode);
}

static void set_inode(struct node *node, struct inode *inode)
{
    struct inode *old = node->inode;

    inode->references++;
    node->inode = inode;
    release(old);
}

/* Hides the nodes of layers below `layer` in the subtree, with or without the node itself. */
static void hide(struct node *node, unsigned layer, bool itself)
{
    for (struct node *each = node; each; each = node_next(each, node))
        if ((itself || each != node) && each->layer < layer)
            each->dead = true;
}

struct node *tree_add(struct tree *tree, struct node *parent, const char *name, size_t length, struct inode *inode)
{
    if (2 * tree->table_used >= tree->table_room && !grow_table(tree))
        return NULL;
    struct node **slot = lookup(tree, parent, name, length), *node = *slot;
    if (node) {
        bool was_directory = !node->dead && inode_type(node->inode) == EXT2DAX_S_IFDIR;
        if (!was_directory || inode_type(inode) != EXT2DAX_S_IFDIR)
            hide(node, tree->layer + 1, false);
        set_inode(node, inode);
        node->dead = false;
        node->layer = tree->layer;
        return node;
    }
    if (parent->count == parent->room) {
        size_t room = parent->room ? parent->room * 2 : 4;
        struct node **children = realloc(parent->children, room * sizeof(struct node *));
        if (!children)
            return NULL;
        parent->children = children;
        parent->room = room;
    }
    node = calloc(1, sizeof(*node));
    if (!node)
        return NULL;
    node->name = strndup(name, length);
    if (!node->name) {
        free(node);
        return NULL;
    }
    node->parent = parent;
    node->layer = tree->layer;
    node->index = parent->count;
    parent->children[parent->count++] = node;
    set_inode(node, inode);
    *slot = node;
    tree->table_used++;
    return node;
}

void tree_set_root(struct tree *tree, struct inode *inode)
{
    set_inode(tree->root, inode);
}

bool tree_whiteout(struct tree *tree, struct node *parent, const char *name)
{
    static const char prefix[] = ".wh.", opaque[] = ".wh..wh..opq";

    if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
        return false;
    name += sizeof(prefix) - 1;
    if (!strcmp(name, opaque + sizeof(prefix) - 1)) {
        hide(parent, tree->layer, false);
    } else if (strncmp(name, prefix, sizeof(prefix) - 1) != 0) {
        struct node *node = tree_find(tree, parent, name, strlen(name));
        if (node)
            hide(node, tree->layer, true);
    }
    return true;
}

bool is_excluded(const struct options *options, const char *path)
{
    for (size_t i = 0; i < options->exclude_count; i++) {
        const char *pattern = options->excludes[i], *at = path;
        bool anchored = *pattern == '/';
        do {
            if (!fnmatch(pattern + anchored, at, FNM_LEADING_DIR))
                return true;
            at = anchored ? NULL : strchr(at, '/');
        } while (at++);
    }
    return false;
}

bool tree_keep_descriptor(struct tree *tree, int descriptor)
{
    int *list = realloc(tree->descriptors, (tree->descriptor_count + 1) * sizeof(*list));

    if (!list)
        return false;
    tree->descriptors = list;
    list[tree->descriptor_count++] = descriptor;
    return true;
}

/* ---- the whole ---- */

int tree_begin(struct tree *tree, const struct options *options)
{
    memset(tree, 0, sizeof(*tree));
    tree->options = options;
    struct inode *inode = inode_new();
    tree->root = calloc(1, sizeof(*tree->root));
    if (!inode || !tree->root || !grow_table(tree)) {
        free(inode);
        return out_of_memory();
    }
    inode->mode = EXT2DAX_S_IFDIR | 0755;
    inode->implied = true;
    set_inode(tree->root, inode);
    return 0;
}

const char *node_path(const struct node *node)
{
    static char *text;
    size_t length = 1;

    for (const struct node *at = node; at->parent; at = at->parent)
        length += strlen(at->name) + 1;
    char *room = realloc(text, length + 1);
    if (!room)
        return "?";
    text = room;
    if (!node->parent)
        return memcpy(text, "/", 2);
    size_t end = length - 1;
    text[end] = 0;
    for (const struct node *at = node; at->parent; at = at->parent) {
        size_t part = strlen(at->name);
        end -= part;
        memcpy(text + end, at->name, part);
        text[--end] = '/';
    }
    return text;
}

static void node_free(struct node *node)
{
    release(node->inode);
    free(node->children);
    free(node->name);
    free(node);
}

/* Frees a subtree from its leaves, without recursion. */
static void subtree_free(struct node *root)
{
    struct node *node = root;

    for (;;) {
        if (node->count) {
            node = node->children[--node->count];
            continue;
        }
        struct node *parent = node->parent;
        bool last = node == root;
        node_free(node);
        if (last)
            return;
        node = parent;
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct node *const *)a)->name, (*(struct node *const *)b)->name);
}

static int by_attribute(const void *a, const void *b)
{
    return strcmp(((const struct attribute *)a)->name, ((const struct attribute *)b)->name);
}

/* Drops dead children and sorts the others. */
static void settle(struct node *node)
{
    size_t kept = 0;

    for (size_t i = 0; i < node->count; i++) {
        if (node->children[i]->dead)
            subtree_free(node->children[i]);
        else
            node->children[kept++] = node->children[i];
    }
    node->count = kept;
    if (kept)
        qsort(node->children, kept, sizeof(struct node *), by_name);
    for (size_t i = 0; i < kept; i++)
        node->children[i]->index = i;
    if (node->inode->attribute_count)
        qsort(node->inode->attributes, node->inode->attribute_count, sizeof(struct attribute), by_attribute);
}

/* Returns the newest time of the tree, in seconds. */
static int64_t newest(const struct tree *tree)
{
    int64_t latest = 0;

    for (const struct node *node = tree->root; node; node = node_next(node, tree->root))
        if (!node->inode->implied && node->inode->mtime.seconds > latest)
            latest = node->inode->mtime.seconds;
    return latest;
}

/* Applies the options for owners, modes and times. */
static void adjust(struct tree *tree)
{
    const struct options *o = tree->options;
    int64_t latest = o->has_epoch ? o->epoch : newest(tree);

    for (struct node *node = tree->root; node; node = node_next(node, tree->root)) {
        struct inode *inode = node->inode;
        if (o->has_owner) {
            inode->uid = o->uid;
            inode->gid = o->gid;
        }
        if (inode->implied)
            inode->mtime = (struct ext2dax_time){.seconds = latest};
        if (o->has_epoch && inode->mtime.seconds >= o->epoch)
            inode->mtime = (struct ext2dax_time){.seconds = o->epoch};
        if (!inode->counted)
            for (size_t i = 0; i < inode->run_count; i++)
                tree->data += inode->runs[i].length;
        inode->counted = true;
    }
    if (o->has_root_mode)
        tree->root->inode->mode = (uint16_t)(EXT2DAX_S_IFDIR | o->root_mode);
}

int tree_read(struct tree *tree, char **sources, int count, const char *spool_directory)
{
    int code = 0;

    tree->spool_directory = spool_directory;
    for (int i = 0; !code && i < count; i++, tree->layer++)
        code = source_archive(tree, sources[i]);
    if (code)
        return code;
    for (struct node *node = tree->root; node; node = node_next(node, tree->root))
        settle(node);
    adjust(tree);
    return 0;
}

void tree_free(struct tree *tree)
{
    if (tree->root)
        subtree_free(tree->root);
    free(tree->table);
    for (size_t i = 0; i < tree->descriptor_count; i++)
        close(tree->descriptors[i]);
    free(tree->descriptors);
}
