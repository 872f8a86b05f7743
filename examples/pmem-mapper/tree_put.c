/* SPDX-License-Identifier: MIT */
/*
 * The command put -r. Copies a tree of the host into the image, as cp -a does. A first pass counts
 * the work, and checks that a tree whose names are all new fits the image. The second pass copies.
 * The attributes of a directory are set after the contents, because every new name changes the
 * times of the directory.
 *
 * A failure of a single file is printed and the rest is copied. A failure of the image that the
 * next file would meet too, such as no space, ends the copy.
 */
#include "tree.h"

#include <ext2dax/ondisk.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A directory of the image that is being filled. */
struct target {
    struct ext2dax_inode *inode;
    bool is_new; /* no name can exist in the directory */
};

struct put_tree {
    struct put_into into;
    struct place place;          /* of the root */
    struct ext2dax_inode *merge; /* an existing directory that is the root, or NULL */
    struct target *targets;      /* by depth */
    size_t depth, room;
    struct counted {
        uint64_t inodes, blocks, directories, dirents; /* dirents in bytes */
        uint64_t bytes;
        bool existing; /* a name below the root exists */
        struct table met;
    } counted;
};

/* Returns the directory of the image into which the entry goes. */
static struct ext2dax_inode *parent_of(const struct put_tree *tree, const struct host_entry *entry)
{
    if (entry->depth)
        return tree->targets[entry->depth - 1].inode;
    return tree->place.directory;
}

/* Does the name of an entry at the top of the tree exist in the image? */
static bool exists(const struct put_tree *tree, const struct host_entry *entry)
{
    struct ext2dax_inode *directory = NULL, *inode;
    const char *name = entry->name;
    size_t length = strlen(name);

    if (entry->depth == 0 && !tree->merge) {
        directory = tree->place.directory;
        name = tree->place.name;
        length = tree->place.length;
    } else if (entry->depth == 1) {
        directory = tree->merge;
    }
    if (!directory || ext2dax_lookup(directory, name, length, &inode))
        return false;
    ext2dax_inode_put(inode);
    return true;
}

static void count_file(struct put_tree *tree, const struct host_entry *entry)
{
    uint64_t blocks, bytes;
    int host = open_quietly(entry->directory, entry->name, O_NONBLOCK);

    /* The second pass prints the failure. */
    if (host < 0)
        return;
    if (!host_blocks(host, (uint64_t)entry->status.st_size, tree->into.image->figures.block_size, &blocks, &bytes)) {
        tree->counted.blocks += blocks;
        tree->counted.bytes += bytes;
    }
    close(host);
}

static int count_entry(struct host_walk *walk, const struct host_entry *entry)
{
    struct put_tree *tree = walk->arg;
    struct counted *counted = &tree->counted;
    const struct stat *status = &entry->status;

    if (image_is(tree->into.image, status))
        return WALK_SKIP;
    counted->existing = counted->existing || exists(tree, entry);
    counted->dirents += (EXT2DAX_DIRENT_HEADER + strlen(entry->name) + 3) / 4 * 4;
    counted->directories += S_ISDIR(status->st_mode);
    if (!S_ISDIR(status->st_mode) && status->st_nlink > 1) {
        if (table_find(&counted->met, status->st_dev, status->st_ino))
            return WALK_ON;
        if (!table_add(&counted->met, status->st_dev, status->st_ino, 0))
            return system_failed(walk->image->path, ENOMEM, "put %s", walk->path.text);
    }
    counted->inodes++;
    if (S_ISREG(status->st_mode))
        count_file(tree, entry);
    /* A longer target needs a block. */
    if (S_ISLNK(status->st_mode) && status->st_size >= (off_t)(EXT2DAX_SLOTS * 4))
        counted->blocks++;
    return WALK_ON;
}

static int count_left(struct host_walk *walk, const struct host_entry *entry)
{
    (void)walk;
    (void)entry;
    return WALK_ON;
}

/* Refuses a tree that does not fit. A tree over existing names gives blocks back, and passes. */
static int fits(const struct put_tree *tree, const char *host_path)
{
    const struct image *image = tree->into.image;
    const struct counted *counted = &tree->counted;
    uint64_t names = counted->dirents / image->figures.block_size;
    uint64_t blocks = counted->blocks + (names > counted->directories ? names : counted->directories);
    uint64_t free_blocks = geteuid() == 0 ? image->figures.free_blocks : image->figures.available_blocks;

    if (counted->existing)
        return 0;
    if (blocks > free_blocks)
        return say_failed(image->path, "put %s: %s: at least %llu blocks needed, %llu free", host_path,
                          ext2dax_strerror(-EXT2DAX_ENOSPC), (unsigned long long)blocks,
                          (unsigned long long)free_blocks);
    if (counted->inodes > image->figures.free_inodes)
        return say_failed(image->path, "put %s: %s: %llu inodes needed, %llu free", host_path,
                          ext2dax_strerror(-EXT2DAX_ENOSPC), (unsigned long long)counted->inodes,
                          (unsigned long long)image->figures.free_inodes);
    return 0;
}

static int count(struct put_tree *tree, const char *host_path)
{
    struct host_walk walk = {
        .image = tree->into.image, .enter = count_entry, .leave = count_left, .arg = tree, .quiet = true};

    int code = walk_host(&walk, host_path);
    /* A file that cannot be read is met again in the second pass. A stop is not. */
    code = code && !interrupted ? 0 : code;
    table_free(&tree->counted.met);
    return code ? code : fits(tree, host_path);
}

/* Returns the existing or new directory for a directory of the host in *target. */
static int put_directory(struct put_tree *tree, const struct host_entry *entry, const char *name, size_t length,
                         struct target *target)
{
    struct ext2dax_inode *parent = parent_of(tree, entry);
    struct ext2dax_creation creation = {.size = sizeof(creation), .attributes = put_attributes(&entry->status)};

    *target = (struct target){.inode = tree->merge};
    if (!entry->depth && tree->merge) {
        ext2dax_inode_hold(tree->merge);
        return 0;
    }
    target->is_new = true;
    int error = ext2dax_create_as(parent, name, length, &creation, &target->inode);
    if (error != -EXT2DAX_EEXIST)
        return error;
    target->is_new = false;
    error = ext2dax_lookup(parent, name, length, &target->inode);
    if (!error && inode_type(target->inode) != EXT2DAX_S_IFDIR) {
        ext2dax_inode_put(target->inode);
        error = -EXT2DAX_ENOTDIR;
    }
    return error;
}

static int enter_directory(struct put_tree *tree, const struct host_entry *entry, const char *name, size_t length,
                           const char *path)
{
    struct put_into *into = &tree->into;

    if (tree->depth == tree->room) {
        size_t room = tree->room ? tree->room * 2 : 16;
        struct target *targets = realloc(tree->targets, room * sizeof(*targets));
        if (!targets)
            return put_failed(into, -EXT2DAX_ENOMEM, path);
        tree->targets = targets;
        tree->room = room;
    }
    int error = put_directory(tree, entry, name, length, &tree->targets[tree->depth]);
    if (error)
        return put_failed(into, error, path);
    tree->depth++;
    into->done += WORK_OF_AN_INODE;
    progress_step(&into->progress, into->done);
    return WALK_ON;
}

static int put_entry(struct host_walk *walk, const struct host_entry *entry)
{
    struct put_tree *tree = walk->arg;
    const char *name = entry->depth ? entry->name : tree->place.name;
    size_t length = entry->depth ? strlen(name) : tree->place.length;

    if (S_ISDIR(entry->status.st_mode))
        return enter_directory(tree, entry, name, length, walk->path.text);
    return put_node(&tree->into, entry, parent_of(tree, entry), name, length, walk->path.text);
}

static int leave_directory(struct host_walk *walk, const struct host_entry *entry)
{
    struct put_tree *tree = walk->arg;
    struct ext2dax_attributes attributes = put_attributes(&entry->status);
    struct xattr_host host = {.image = walk->image, .descriptor = entry->descriptor, .noted = &tree->into.noted};
    struct ext2dax_inode *inode = tree->targets[--tree->depth].inode;

    int code = xattrs_put(&host, inode, walk->path.text) ? WALK_FAILED : WALK_ON;
    int error = ext2dax_setattr(inode, &attributes);
    if (error)
        code = put_failed(&tree->into, error, walk->path.text);
    ext2dax_inode_put(inode);
    return code;
}

static int copy(struct put_tree *tree, const char *host_path)
{
    struct put_into *into = &tree->into;
    struct host_walk walk = {.image = into->image, .enter = put_entry, .leave = leave_directory, .arg = tree};

    into->buffer = malloc(COPY_BUFFER);
    if (!into->buffer)
        return image_failed(into->image, -EXT2DAX_ENOMEM, "put %s", host_path);
    progress_start(&into->progress, host_path, tree->counted.bytes + tree->counted.inodes * WORK_OF_AN_INODE);
    int code = walk_host(&walk, host_path);
    progress_end(&into->progress);
    /* A copy that ended early leaves directories open. */
    if (tree->depth)
        say_failed(into->image->path, "put %s: ended early, the files copied so far stay", host_path);
    while (tree->depth)
        ext2dax_inode_put(tree->targets[--tree->depth].inode);
    int error = ext2dax_sync(into->image->mount);
    if (error)
        code = image_failed(into->image, error, "put %s", host_path);
    free(tree->targets);
    free(into->buffer);
    table_free(&into->links);
    return code;
}

/*
 * Finds the root of the copy. A source without a last component of its own, such as "tree/." or
 * "/", goes into an existing directory itself.
 */
static int find_root(struct put_tree *tree, const char *host_path, const char *path)
{
    size_t length;
    const char *base = last_component(host_path, &length);
    bool nameless = !length || (length <= 2 && !memcmp(base, "..", length));
    struct ext2dax_inode *inode;

    int error = ext2dax_lookup_path(tree->into.image->mount, path, strlen(path), 0, &inode);
    if (!error && inode_type(inode) == EXT2DAX_S_IFDIR && nameless) {
        tree->merge = inode;
        return 0;
    }
    if (!error)
        ext2dax_inode_put(inode);
    return nameless ? place_find(tree->into.image, path, &tree->place)
                    : place_into(tree->into.image, path, host_path, &tree->place);
}

int put_tree(const struct request *request)
{
    struct image image;
    struct put_tree tree = {.into = {.image = &image}};
    const char *host_path = request->args[0], *path = request->args[1];

    allow_descriptors();
    int code = image_open(&image, request, true);
    if (!code) {
        int error = find_root(&tree, host_path, path);
        code = error ? image_failed(&image, error, "put %s", path) : count(&tree, host_path);
        if (!code)
            code = copy(&tree, host_path);
        place_free(&tree.place);
        if (tree.merge)
            ext2dax_inode_put(tree.merge);
    }
    return image_close(&image, code);
}
