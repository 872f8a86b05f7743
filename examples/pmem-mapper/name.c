/* SPDX-License-Identifier: MIT */
/*
 * The commands mkdir, mknod, ln and mv. Each adds a name, by a single call of the library, and
 * leaves an existing name unchanged unless mv replaces the name.
 */
#include "mapper.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Returns the permissions of a new inode by --mode, or `usual` without the bits of the umask. */
static uint16_t new_mode(const struct request *request, unsigned usual, bool directory)
{
    mode_t mask = umask(0);
    unsigned mode = usual & ~mask;

    umask(mask);
    if (request->mode)
        mode_change(request->mode, mode, directory, &mode);
    return (uint16_t)mode;
}

/* Is the existing inode of a place a directory? Follows a symbolic link. */
static bool is_directory(struct image *image, const char *path, size_t length)
{
    struct ext2dax_inode *inode;

    if (ext2dax_lookup_path(image->mount, path, length, 0, &inode))
        return false;
    bool is = inode_type(inode) == EXT2DAX_S_IFDIR;
    ext2dax_inode_put(inode);
    return is;
}

/*
 * Creates the directory at the first `length` bytes of a path. Fails with EEXIST for an existing
 * name. The root counts as an existing name.
 */
static int make_directory(struct image *image, const char *path, size_t length, uint16_t mode)
{
    char part[PATH_MAX];
    struct place place;

    if (length >= sizeof(part))
        return -EXT2DAX_ENAMETOOLONG;
    memcpy(part, path, length);
    part[length] = 0;
    int error = place_find(image, part, &place);
    if (error == -EXT2DAX_EBUSY)
        error = -EXT2DAX_EEXIST;
    if (!error)
        error = ext2dax_mkdir(place.directory, place.name, place.length, mode, geteuid(), getegid(), NULL);
    place_free(&place);
    return error;
}

/* Creates the missing parents of a path, with permissions for the owner to go on. */
static int make_parents(struct image *image, const struct request *request, const char *path)
{
    size_t last;
    const char *end = last_component(path, &last);

    for (const char *at = path; at < end; at++) {
        if (*at != '/' || at == path || at[-1] == '/')
            continue;
        size_t length = (size_t)(at - path);
        uint16_t mode = 0300;
        mode |= new_mode(&(struct request){.program = request->program}, 0777, true);
        int error = make_directory(image, path, length, mode);
        if (error && !(error == -EXT2DAX_EEXIST && is_directory(image, path, length)))
            return error;
    }
    return 0;
}

static int mkdir_path(struct image *image, const struct request *request, const char *path)
{
    int error = request->parents ? make_parents(image, request, path) : 0;

    if (!error)
        error = make_directory(image, path, strlen(path), new_mode(request, 0777, true));
    if (error == -EXT2DAX_EEXIST && request->parents && is_directory(image, path, strlen(path)))
        error = 0;
    return error ? image_failed(image, error, "mkdir %s", path) : 0;
}

int command_mkdir(const struct request *request)
{
    return paths_each(request, 0, true, mkdir_path);
}

static int node_type(const char *text, uint16_t *type)
{
    static const struct {
        char letter;
        uint16_t type;
    } types[] = {{'p', EXT2DAX_S_IFIFO}, {'s', EXT2DAX_S_IFSOCK}, {'c', EXT2DAX_S_IFCHR}, {'b', EXT2DAX_S_IFBLK}};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (text[0] == types[i].letter && !text[1]) {
            *type = types[i].type;
            return 0;
        }
    }
    return usage("mknod", "TYPE is p, s, c or b");
}

int command_mknod(const struct request *request)
{
    struct image image;
    struct place place;
    uint64_t major = 0, minor = 0;
    uint16_t type = 0;
    const char *path = request->args[0];

    int code = node_type(request->args[1], &type);
    if (code)
        return code;
    bool device = type == EXT2DAX_S_IFCHR || type == EXT2DAX_S_IFBLK;
    if (device != (request->args[2] && request->args[3]) || (!device && request->args[2]))
        return usage("mknod", "c and b take MAJOR and MINOR, p and s do not");
    if (device && (number_parse(request->args[2], &major) || number_parse(request->args[3], &minor) ||
                   major > UINT32_MAX || minor > UINT32_MAX))
        return usage("mknod", "MAJOR and MINOR are numbers");
    code = image_open(&image, request, true);
    if (!code) {
        int error = place_find(&image, path, &place);
        if (!error)
            error = ext2dax_mknod(place.directory, place.name, place.length,
                                  (uint16_t)(type | new_mode(request, 0666, false)), (uint32_t)major, (uint32_t)minor,
                                  geteuid(), getegid(), NULL);
        if (error)
            code = image_failed(&image, error, "mknod %s", path);
        place_free(&place);
    }
    return image_close(&image, code);
}

static int hard_link(struct image *image, const char *target, const struct place *place)
{
    struct ext2dax_inode *inode;

    int error = path_inode(image, target, false, &inode);
    if (error)
        return error;
    error = ext2dax_link(inode, place->directory, place->name, place->length);
    ext2dax_inode_put(inode);
    return error;
}

int command_ln(const struct request *request)
{
    struct image image;
    struct place place;
    const char *target = request->args[0], *path = request->args[1];

    int code = image_open(&image, request, true);
    if (!code) {
        int error = place_into(&image, path, target, &place);
        if (!error && request->symbolic)
            error = ext2dax_symlink(place.directory, place.name, place.length, target, strlen(target), geteuid(),
                                    getegid(), NULL);
        else if (!error)
            error = hard_link(&image, target, &place);
        if (error)
            code = image_failed(&image, error, "ln %s to %s", path, target);
        place_free(&place);
    }
    return image_close(&image, code);
}

int command_mv(const struct request *request)
{
    struct image image;
    struct place from, to = {.directory = NULL};
    const char *old = request->args[0], *path = request->args[1];

    if (request->no_replace && request->exchange)
        return usage("mv", "--no-replace and --exchange exclude each other");
    int code = image_open(&image, request, true);
    if (!code) {
        int error = place_find(&image, old, &from);
        if (!error)
            error = request->exchange ? place_find(&image, path, &to) : place_into(&image, path, old, &to);
        if (!error)
            error = ext2dax_rename(from.directory, from.name, from.length, to.directory, to.name, to.length,
                                   (request->no_replace ? EXT2DAX_RENAME_NOREPLACE : 0) |
                                       (request->exchange ? EXT2DAX_RENAME_EXCHANGE : 0));
        if (error)
            code = image_failed(&image, error, "mv %s to %s", old, path);
        place_free(&to);
        place_free(&from);
    }
    return image_close(&image, code);
}
