/* SPDX-License-Identifier: MIT */
/*
 * The command ls. Sorts by name. A device node shows its major and minor number in place of a size.
 */
#include "mapper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print_inode(struct image *image, struct ext2dax_inode *inode, const char *name)
{
    struct ext2dax_stat figures;
    char mode[11], when[32], size[32];

    ext2dax_stat(inode, &figures, sizeof(figures));
    mode_text(figures.mode, mode);
    time_text(&figures.mtime, false, when, sizeof(when));
    unsigned type = figures.mode & EXT2DAX_S_IFMT;
    if (type == EXT2DAX_S_IFCHR || type == EXT2DAX_S_IFBLK)
        snprintf(size, sizeof(size), "%u,%u", figures.device_major, figures.device_minor);
    else
        snprintf(size, sizeof(size), "%llu", (unsigned long long)figures.size);
    printf("%10u %s %4u %5u %5u %14s %s ", figures.number, mode, figures.links, figures.uid, figures.gid, size, when);
    print_text(stdout, name, strlen(name));
    char *target = NULL;
    size_t length;
    int error = 0;
    if (type == EXT2DAX_S_IFLNK) {
        error = link_target(inode, &target, &length);
        if (!error) {
            fputs(" -> ", stdout);
            print_text(stdout, target, length);
        }
        free(target);
    }
    putchar('\n');
    return error ? image_failed(image, error, "ls %s", name) : 0;
}

static int list_directory(struct image *image, struct ext2dax_inode *directory, const char *path)
{
    struct names names;
    int code = 0;

    int error = names_read(&names, directory, true);
    if (error)
        code = image_failed(image, error, "ls %s", path);
    names_sort(&names);
    for (size_t i = 0; i < names.count; i++) {
        struct ext2dax_inode *inode;
        error = ext2dax_inode_get(image->mount, names.list[i].number, &inode);
        if (error) {
            code = image_failed(image, error, "ls %s: %s", path, names.list[i].text);
        } else {
            if (print_inode(image, inode, names.list[i].text))
                code = EXIT_FAILED;
            ext2dax_inode_put(inode);
        }
    }
    names_free(&names);
    return code;
}

int command_ls(const struct request *request)
{
    struct image image;
    struct ext2dax_inode *inode;
    struct ext2dax_stat figures;
    const char *path = request->args[0] ? request->args[0] : "/";
    size_t length = strlen(path);
    bool as_directory = length && path[length - 1] == '/'; /* a final symlink is followed */

    int code = image_open(&image, request, false);
    if (!code) {
        int error = ext2dax_lookup_path(image.mount, path, length, as_directory ? 0 : EXT2DAX_NO_FOLLOW, &inode);
        if (error) {
            code = image_failed(&image, error, "ls %s", path);
        } else {
            ext2dax_stat(inode, &figures, sizeof(figures));
            if ((figures.mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFDIR)
                code = list_directory(&image, inode, path);
            else if (as_directory)
                code = say_failed(image.path, "ls %s: %s", path, ext2dax_strerror(-EXT2DAX_ENOTDIR));
            else
                code = print_inode(&image, inode, path);
            ext2dax_inode_put(inode);
        }
    }
    return image_close(&image, code);
}
