/* SPDX-License-Identifier: MIT */
/*
 * The image after a mount, compared with the models. After an unmount or a kill the image has
 * everything. After a crash the image has everything durable, and of the rest some of the values
 * possible. The models adopt what they find.
 */
#include <stdio.h>
#include <string.h>

#include "ext2dax/testkit/checker.h"
#include "world.h"

static void must(int rc, const char *what)
{
    if (rc != 0)
        complain("%s: %s", what, ext2dax_strerror(rc));
}

/* ---- the first image ---- */

static struct ext2dax_inode *directory(struct ext2dax_inode *parent, const char *name, bool make)
{
    struct ext2dax_inode *inode = NULL;

    must(make ? ext2dax_mkdir(parent, name, strlen(name), 0755, 0, 0, &inode)
              : ext2dax_lookup(parent, name, strlen(name), &inode),
         "a directory of the fixture");
    return inode;
}

static void get_all(bool make)
{
    struct ext2dax_inode *root = NULL;
    char name[8];

    must(ext2dax_inode_get(world.mount, EXT2DAX_ROOT_INODE, &root), "the root");
    for (unsigned i = 0; i <= THREADS && root; i++) {
        snprintf(name, sizeof name, "t%u", i);
        world.directory[i][0] = directory(root, name, make);
        if (world.directory[i][0])
            world.directory[i][1] = directory(world.directory[i][0], "sub", make);
    }
    if (make)
        must(ext2dax_create(root, "common", 6, 0644, 0, 0, &world.file), "the common file");
    else
        must(ext2dax_lookup(root, "common", 6, &world.file), "the common file");
    ext2dax_inode_put(root);
}

void world_populate(void)
{
    get_all(true);
    must(ext2dax_truncate(world.file, (uint64_t)KEPT * GRANULE), "the size of the common file");
    memset(&world.common, 0, sizeof world.common);
    world.common.least = world.common.most = KEPT;
    contents_clear(&world.common, 0, GRANULES, true);
    for (unsigned i = 0; i < THREADS; i++)
        subtree_open(&world.tree[i]);
}

void world_look_up(void)
{
    get_all(false);
}

/* ---- contents ---- */

static void complain_contents(const char *who, uint32_t at, unsigned found, uint64_t may)
{
    complain("after the %s, %s has the value %u at byte %u, not of the values possible, %#llx",
             world.end == SIM_END_CRASH  ? "crash"
             : world.end == SIM_END_KILL ? "kill"
                                         : "unmount",
             who, found, at * GRANULE, (unsigned long long)may);
}

/*
 * Adopts the contents of a file, from the possible values of each word. With `uniform` writes
 * granules again whose words differ.
 */
static void adopt(struct ext2dax_inode *inode, struct contents *contents, const char *who, uint32_t uniform)
{
    unsigned char *bytes = world.buffer[THREADS];
    struct ext2dax_stat figures;
    uint32_t size;
    bool rewritten = false;

    ext2dax_stat(inode, &figures, sizeof figures);
    size = (uint32_t)(figures.size / GRANULE);
    if (figures.size % GRANULE != 0 || size < contents->least || size > contents->most) {
        complain("%s has the size %llu, expected %u to %u", who, (unsigned long long)figures.size,
                 contents->least * GRANULE, contents->most * GRANULE);
        return;
    }
    if (ext2dax_read(inode, 0, bytes, FILE_BYTES) != (int64_t)figures.size) {
        complain("%s cannot be read", who);
        return;
    }
    for (uint32_t at = 0; at < size; at++) {
        unsigned char *granule = bytes + at * GRANULE;
        uint64_t found = 0;

        for (unsigned i = 0; i < GRANULE; i++) {
            if (granule[i] >= 64 || (contents->may[at] >> granule[i] & 1) == 0) {
                complain_contents(who, at, granule[i], contents->may[at]);
                return;
            }
            found |= (uint64_t)1 << granule[i];
        }
        contents->now[at] = granule[0];
        contents->may[at] = found;
        if (at < uniform && (found & (found - 1)) != 0) {
            memset(granule, contents->now[at], GRANULE);
            if (ext2dax_write(inode, (uint64_t)at * GRANULE, granule, GRANULE) != GRANULE)
                complain("%s cannot be written", who);
            rewritten = true;
        }
    }
    for (uint32_t at = size; at < GRANULES; at++) {
        contents->now[at] = 0;
        contents->may[at] = 1;
    }
    contents->least = contents->most = size;
    if (rewritten)
        must(ext2dax_fsync(inode), "fsync of a file of the fixture");
    for (uint32_t at = 0; at < GRANULES; at++) {
        if (at < uniform)
            contents_settle_granule(contents, at);
        /* Zeroes come back by truncate and punch. */
        contents->ever[at] = contents->may[at] |= at >= uniform;
    }
}

/* ---- subtrees ---- */

static struct ext2dax_inode *look_up(unsigned thread, unsigned name, int *rc)
{
    struct ext2dax_inode *inode = NULL;
    char text[NAME_ROOM];
    size_t length = name_of(name, text);

    *rc = ext2dax_lookup(world.directory[thread][name / (NAMES / DIRECTORIES)], text, length, &inode);
    return inode;
}

static int count_entry(void *arg, const struct ext2dax_entry *entry)
{
    (void)entry;
    ++*(unsigned *)arg;
    return 0;
}

/* Returns the number of names in the directories of the thread, or 0 if one cannot be listed. */
static unsigned count_names(unsigned thread)
{
    unsigned entries = 0;

    for (unsigned i = 0; i < DIRECTORIES; i++) {
        if (ext2dax_readdir(world.directory[thread][i], 0, count_entry, &entries) != 0)
            return 0;
    }
    /* Not the entries for the directory, the parent and the subdirectory. */
    return entries - 2 * DIRECTORIES - 1;
}

static bool is_node(const struct ext2dax_inode *inode, const struct node *node, unsigned links)
{
    static const uint16_t types[] = {
        [NODE_FILE] = EXT2DAX_S_IFREG, [NODE_DIRECTORY] = EXT2DAX_S_IFDIR, [NODE_SYMLINK] = EXT2DAX_S_IFLNK};
    struct ext2dax_stat figures;

    ext2dax_stat(inode, &figures, sizeof figures);
    return (node->number == 0 || node->number == figures.number) &&
           (figures.mode & EXT2DAX_S_IFMT) == types[node->type] &&
           figures.links == (node->type == NODE_DIRECTORY ? 2 : links);
}

/* Do the names of the thread lead to the nodes of the tree, and to no other? */
static bool has_names(unsigned thread, const struct subtree *tree)
{
    uint32_t number[NAMES] = {0};
    unsigned names = 0;

    for (unsigned i = 0; i < NAMES; i++) {
        int rc, node = tree->name[i];
        struct ext2dax_inode *inode = look_up(thread, i, &rc);
        bool good = node == NO_NODE ? rc == -EXT2DAX_ENOENT : rc == 0;

        if (inode) {
            number[i] = inode->number;
            good = good && is_node(inode, &tree->node[node], subtree_links(tree, node));
            ext2dax_inode_put(inode);
        }
        for (unsigned k = 0; k < i; k++)
            good = good && (node == NO_NODE || (tree->name[k] == node) == (number[k] == number[i]));
        if (!good)
            return false;
        names += node != NO_NODE;
    }
    return count_names(thread) == names;
}

static void compare_node(unsigned thread, unsigned name, struct node *node)
{
    unsigned char value[XATTR_BYTES + 1], *target = value;
    struct ext2dax_stat figures;
    char who[60];
    int64_t length;
    int rc;
    struct ext2dax_inode *inode = look_up(thread, name, &rc);

    snprintf(who, sizeof who, "name %u of thread %u", name, thread);
    ext2dax_stat(inode, &figures, sizeof figures);
    node->number = figures.number;
    figures.mode &= 07777;
    if (node->type != NODE_DIRECTORY && figures.mode != node->mode && figures.mode != node->mode_maybe)
        complain("%s has the mode %o, expected %o or %o", who, figures.mode, node->mode, node->mode_maybe);
    node->mode = node->mode_maybe = figures.mode;
    if (node->type == NODE_SYMLINK) {
        length = ext2dax_readlink(inode, (char *)target, sizeof value);
        if (length != (node->target % 2 == 0 ? 20 : 100) || target[0] != node->target || target[19] != node->target)
            complain("%s has another target", who);
    } else {
        length = ext2dax_getxattr(inode, xattr_name, XATTR_NAME_LENGTH, value, sizeof value);
        value[0] = length == -EXT2DAX_ENODATA ? NO_XATTR : value[0];
        if ((length != XATTR_BYTES && length != -EXT2DAX_ENODATA) ||
            (value[0] != node->xattr && value[0] != node->xattr_maybe))
            complain("%s has the attribute %u (%lld bytes), expected %u or %u", who, value[0], (long long)length,
                     node->xattr, node->xattr_maybe);
        node->xattr = node->xattr_maybe = value[0];
    }
    if (node->type == NODE_FILE)
        adopt(inode, &node->contents, who, GRANULES);
    ext2dax_inode_put(inode);
}

static void compare_subtree(unsigned thread)
{
    struct subtree *tree = &world.tree[thread], both = *tree;
    const struct sim_call *pending = world.pending[thread];
    bool found = has_names(thread, tree);

    if (!found && pending && is_names_call(pending->kind) && world.done[thread]) {
        if (has_names(thread, &world.after[thread])) {
            *tree = world.after[thread];
            found = true;
        } else if (pending->kind == SIM_RENAME || pending->kind == SIM_RENAME_NOREPLACE) {
            both.name[pending->b] = both.name[pending->a];
            found = has_names(thread, &both) && both.node[both.name[pending->b]].type != NODE_DIRECTORY;
            if (found)
                *tree = both;
        }
    }
    if (!found) {
        complain("the names of thread %u are not those that were durable%s%s", thread,
                 pending ? ", during the call " : "", pending ? sim_call_name(pending->kind) : "");
        return;
    }
    tree->held = NO_NODE;
    for (unsigned i = 0; i < NAMES; i++) {
        bool again = false;

        for (unsigned k = 0; k < i; k++)
            again = again || tree->name[k] == tree->name[i];
        if (tree->name[i] != NO_NODE && !again)
            compare_node(thread, i, &tree->node[tree->name[i]]);
    }
}

static void finding(void *arg, const struct ext2dax_finding *found)
{
    char text[160];

    (void)arg;
    ext2dax_finding_text(found, text, sizeof text);
    complain("after recovery: %s", text);
}

void world_compare(void)
{
    (void)ext2dax_check_image(world.medium.base, world.medium.size,
                              EXT2DAX_CHECK_MOUNTED | (world.leaked ? EXT2DAX_CHECK_LEAKS_OK : 0), finding, NULL, NULL);
    for (unsigned thread = 0; thread < world.plan->threads; thread++) {
        compare_subtree(thread);
        world.pending[thread] = NULL;
    }
    /* Truncate of the end moves the size, at most down to the first pages. */
    world.common.least = KEPT;
    world.common.most = GRANULES;
    adopt(world.file, &world.common, "the common file", KEPT);
}
