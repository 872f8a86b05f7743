/* SPDX-License-Identifier: MIT */
/*
 * The command rm. With -r a directory goes after its contents. A failure leaves the directories
 * above in place, and the rest is still removed.
 */
#include "tree.h"

#include <string.h>

static int remove_entry(struct walk *walk, const struct walk_entry *entry)
{
    if ((entry->figures.mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFDIR)
        return WALK_ON;
    int error = ext2dax_unlink(entry->parent, entry->name, strlen(entry->name));
    if (!error)
        return WALK_ON;
    image_failed(walk->image, error, "rm %s", walk->path.text);
    return WALK_FAILED;
}

static int remove_directory(struct walk *walk, const struct walk_entry *entry)
{
    /* The failure below has been printed. */
    if (entry->incomplete)
        return WALK_FAILED;
    int error = ext2dax_rmdir(entry->parent, entry->name, strlen(entry->name));
    if (!error)
        return WALK_ON;
    image_failed(walk->image, error, "rm %s", walk->path.text);
    return WALK_FAILED;
}

static int remove_tree(struct image *image, const struct place *place, const char *path)
{
    struct walk walk = {.image = image, .verb = "rm", .enter = remove_entry, .leave = remove_directory};
    struct ext2dax_inode *inode;
    char name[EXT2DAX_NAME_MAX + 1];

    int error = ext2dax_lookup(place->directory, place->name, place->length, &inode);
    if (error)
        return image_failed(image, error, "rm %s", path);
    memcpy(name, place->name, place->length);
    name[place->length] = 0;
    int code = walk_image(&walk, place->directory, name, inode, path);
    ext2dax_inode_put(inode);
    return code;
}

static bool is_dots(const struct place *place)
{
    return place->length <= 2 && !memcmp(place->name, "..", place->length);
}

static int remove_path(struct image *image, const struct request *request, const char *path)
{
    struct place place;
    int code = 0;

    int error = place_find(image, path, &place);
    if (!error && is_dots(&place))
        error = -EXT2DAX_EINVAL;
    if (!error && !request->recursive)
        error = ext2dax_unlink(place.directory, place.name, place.length);
    if (error)
        code = image_failed(image, error, "rm %s", path);
    else if (request->recursive)
        code = remove_tree(image, &place, path);
    place_free(&place);
    return code;
}

int command_rm(const struct request *request)
{
    return paths_each(request, 0, true, remove_path);
}
