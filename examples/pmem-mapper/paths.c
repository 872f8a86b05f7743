/* SPDX-License-Identifier: MIT */
/*
 * Paths of the command line. Commands such as mkdir and mv accept trailing slashes, and mv and ln
 * put a name into an existing directory, as the commands of the same names do on a host.
 */
#include "mapper.h"

#include <stdlib.h>
#include <string.h>

unsigned inode_type(const struct ext2dax_inode *inode)
{
    struct ext2dax_stat figures;

    ext2dax_stat(inode, &figures, sizeof(figures));
    return figures.mode & EXT2DAX_S_IFMT;
}

const char *last_component(const char *path, size_t *length)
{
    size_t end = strlen(path);

    while (end && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start && path[start - 1] != '/')
        start--;
    *length = end - start;
    return path + start;
}

int link_target(struct ext2dax_inode *inode, char **target, size_t *length)
{
    int64_t whole = ext2dax_readlink(inode, NULL, 0);

    *target = NULL;
    if (whole < 0)
        return (int)whole;
    *target = malloc((size_t)whole + 1);
    if (!*target)
        return -EXT2DAX_ENOMEM;
    whole = ext2dax_readlink(inode, *target, (size_t)whole);
    if (whole < 0) {
        free(*target);
        *target = NULL;
        return (int)whole;
    }
    (*target)[whole] = 0;
    *length = (size_t)whole;
    return 0;
}

int place_find(struct image *image, const char *path, struct place *place)
{
    place->directory = NULL;
    place->name = last_component(path, &place->length);
    if (!place->length)
        return -EXT2DAX_EBUSY;
    return ext2dax_lookup_path(image->mount, path, (size_t)(place->name - path), 0, &place->directory);
}

int place_into(struct image *image, const char *path, const char *source, struct place *place)
{
    struct ext2dax_inode *inode;

    place->directory = NULL;
    int error = ext2dax_lookup_path(image->mount, path, strlen(path), 0, &inode);
    if (error == -EXT2DAX_ENOENT)
        return place_find(image, path, place);
    if (error)
        return error;
    if (inode_type(inode) != EXT2DAX_S_IFDIR) {
        ext2dax_inode_put(inode);
        return place_find(image, path, place);
    }
    place->directory = inode;
    place->name = last_component(source, &place->length);
    return place->length ? 0 : -EXT2DAX_EINVAL;
}

void place_free(struct place *place)
{
    if (place->directory)
        ext2dax_inode_put(place->directory);
    place->directory = NULL;
}

int path_inode(struct image *image, const char *path, bool follow, struct ext2dax_inode **inode)
{
    size_t length = strlen(path);
    bool directory = length && path[length - 1] == '/';

    int error = ext2dax_lookup_path(image->mount, path, length, follow || directory ? 0 : EXT2DAX_NO_FOLLOW, inode);
    if (!error && directory && inode_type(*inode) != EXT2DAX_S_IFDIR) {
        ext2dax_inode_put(*inode);
        *inode = NULL;
        error = -EXT2DAX_ENOTDIR;
    }
    return error;
}

int paths_each(const struct request *request, unsigned first, bool writable,
               int (*each)(struct image *image, const struct request *request, const char *path))
{
    struct image image;

    int code = image_open(&image, request, writable);
    bool open = !code;
    for (unsigned i = first; open && request->args[i] && !interrupted; i++)
        if (each(&image, request, request->args[i]))
            code = EXIT_FAILED;
    if (open && interrupted)
        code = say_failed(image.path, "interrupted");
    return image_close(&image, code);
}
