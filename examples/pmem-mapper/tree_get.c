/* SPDX-License-Identifier: MIT */
/*
 * The command get -r. Copies a tree of the image to the host, as cp -a does. On a terminal a first
 * pass counts the work. The attributes of a directory are set after the contents, because every
 * new name changes the times, and a directory may forbid writing to the user. A failure of a single
 * file is printed and the rest is copied.
 *
 * Nothing outside the destination is written. A directory that exists is opened only if the name is
 * a directory itself, and the names below are made by the descriptor of the directory. "." and ".."
 * are left out, and the library refuses a name with a slash.
 */
#include "tree.h"

#include <ext2dax/ondisk.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct get_tree {
    struct get_out out;
    int parent;       /* descriptor of the directory of the root, or -1 with `merge` */
    char *name;       /* of the root in the directory, or the existing directory with `merge` */
    bool merge;       /* the root is an existing directory */
    int *directories; /* by depth */
    size_t depth, room;
    size_t root_length; /* of the path of the root in the image */
    uint64_t work;
    struct table met;
};

static int get_failed(const struct get_tree *tree, int number, const char *path)
{
    system_failed(tree->out.image->path, number, "get %s: write", path);
    return WALK_FAILED;
}

static int count_entry(struct walk *walk, const struct walk_entry *entry)
{
    struct get_tree *tree = walk->arg;
    const struct ext2dax_stat *figures = &entry->figures;

    tree->work += WORK_OF_AN_INODE;
    if ((figures->mode & EXT2DAX_S_IFMT) != EXT2DAX_S_IFREG)
        return WALK_ON;
    if (figures->links > 1) {
        if (table_find(&tree->met, figures->number, 0))
            return WALK_ON;
        if (!table_add(&tree->met, figures->number, 0, 0))
            return system_failed(walk->image->path, ENOMEM, "get %s", walk->path.text);
    }
    /* Holes are not copied. Pointer blocks count a little too much. */
    tree->work += figures->sectors * 512 < figures->size ? figures->sectors * 512 : figures->size;
    return WALK_ON;
}

/* Opens a new or existing directory of the host. Returns a descriptor, or -1 with errno set. */
static int open_directory(const struct get_tree *tree, const struct walk_entry *entry)
{
    int parent = entry->depth ? tree->directories[entry->depth - 1] : tree->parent;
    const char *name = entry->depth ? entry->name : tree->name;

    if (!entry->depth && tree->merge)
        return open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (mkdirat(parent, name, 0700) && errno != EEXIST)
        return -1;
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int enter_directory(struct get_tree *tree, const struct walk_entry *entry, const char *path)
{
    struct get_out *out = &tree->out;

    if (tree->depth == tree->room) {
        size_t room = tree->room ? tree->room * 2 : 16;
        int *directories = realloc(tree->directories, room * sizeof(*directories));
        if (!directories)
            return get_failed(tree, ENOMEM, path);
        tree->directories = directories;
        tree->room = room;
    }
    int descriptor = open_directory(tree, entry);
    if (descriptor < 0)
        return get_failed(tree, errno, path);
    tree->directories[tree->depth++] = descriptor;
    if (!entry->depth)
        out->root = descriptor;
    out->done += WORK_OF_AN_INODE;
    progress_step(&out->progress, out->done);
    return WALK_ON;
}

static int get_entry(struct walk *walk, const struct walk_entry *entry)
{
    struct get_tree *tree = walk->arg;
    const char *path = walk->path.text;

    if ((entry->figures.mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFDIR)
        return enter_directory(tree, entry, path);
    if (!entry->depth)
        return get_node(&tree->out, entry, tree->parent, tree->name, NULL, path);
    const char *copy = path + tree->root_length;
    copy += strspn(copy, "/");
    return get_node(&tree->out, entry, tree->directories[entry->depth - 1], entry->name, copy, path);
}

static int leave_directory(struct walk *walk, const struct walk_entry *entry)
{
    struct get_tree *tree = walk->arg;
    int descriptor = tree->directories[--tree->depth];

    int code = get_attributes(&tree->out, entry, descriptor, -1, NULL, walk->path.text);
    close(descriptor);
    return code ? WALK_FAILED : WALK_ON;
}

/* Finds the directory and the name of the root, and opens the directory. */
static int find_root(struct get_tree *tree, const char *path, const char *host_path, bool directory)
{
    size_t length;
    const char *name = last_component(path, &length), *parent = host_path;
    bool nameless = !length || (length <= 2 && !memcmp(name, "..", length));
    struct stat there;
    bool into = !stat(host_path, &there) && S_ISDIR(there.st_mode);

    tree->merge = into && nameless && directory;
    if (!into || tree->merge)
        name = last_component(host_path, &length);
    tree->name = tree->merge ? strdup(host_path) : strndup(name, length);
    if (!tree->name)
        return system_failed(tree->out.image->path, ENOMEM, "get %s", path);
    if (tree->merge)
        return 0;
    char *cut = into ? NULL : strndup(host_path, (size_t)(name - host_path));
    if (!into && cut)
        parent = *cut ? cut : ".";
    tree->parent = length ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int number = length ? errno : ENOENT;
    free(cut);
    if (tree->parent < 0)
        return system_failed(tree->out.image->path, number, "get %s: write to %s", path, host_path);
    return 0;
}

static int copy(struct get_tree *tree, struct ext2dax_inode *inode, const char *path)
{
    struct get_out *out = &tree->out;
    struct walk counting = {.image = out->image, .verb = "get", .enter = count_entry, .arg = tree, .quiet = true};
    struct walk walk = {.image = out->image, .verb = "get", .enter = get_entry, .leave = leave_directory, .arg = tree};

    if (isatty(STDERR_FILENO))
        walk_image(&counting, NULL, "", inode, path);
    table_free(&tree->met);
    out->buffer = malloc(COPY_BUFFER);
    if (!out->buffer)
        return image_failed(out->image, -EXT2DAX_ENOMEM, "get %s", path);
    progress_start(&out->progress, path, tree->work);
    int code = walk_image(&walk, NULL, "", inode, path);
    progress_end(&out->progress);
    /* A copy that ended early leaves directories open. */
    if (tree->depth)
        say_failed(out->image->path, "get %s: ended early, the files copied so far stay", path);
    while (tree->depth)
        close(tree->directories[--tree->depth]);
    for (size_t i = 0; i < out->links.room; i++)
        if (out->links.slots[i].used)
            free((char *)out->links.slots[i].value);
    table_free(&out->links);
    free(out->buffer);
    free(tree->directories);
    return code;
}

int get_tree(const struct request *request)
{
    struct image image;
    struct ext2dax_inode *inode;
    struct get_tree tree = {.out = {.image = &image, .root = -1}, .parent = -1};
    const char *path = request->args[0], *host_path = request->args[1];

    if (!host_path || !strcmp(host_path, "-"))
        return usage("get", "-r takes a HOSTFILE");
    if (request->mapped)
        return usage("get", "--mapped is for a single file");
    allow_descriptors();
    int code = image_open(&image, request, false);
    if (!code) {
        int error = path_inode(&image, path, false, &inode);
        if (error) {
            code = image_failed(&image, error, "get %s", path);
        } else {
            tree.root_length = strlen(path);
            code = find_root(&tree, path, host_path, inode_type(inode) == EXT2DAX_S_IFDIR);
            if (!code)
                code = copy(&tree, inode, path);
            ext2dax_inode_put(inode);
        }
        if (tree.parent >= 0)
            close(tree.parent);
        free(tree.name);
    }
    return image_close(&image, code);
}
