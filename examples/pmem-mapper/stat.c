/* SPDX-License-Identifier: MIT */
/* The command stat. Prints every attribute of an inode, an attribute per line. */
#include "mapper.h"

#include <ext2dax/ondisk.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_flags(uint32_t flags)
{
    static const struct {
        uint32_t flag;
        const char *name;
    } names[] = {
        {EXT2DAX_FL_SYNC, "sync"},     {EXT2DAX_FL_IMMUTABLE, "immutable"}, {EXT2DAX_FL_APPEND, "append"},
        {EXT2DAX_FL_NODUMP, "nodump"}, {EXT2DAX_FL_NOATIME, "noatime"},     {EXT2DAX_FL_INDEX, "index"},
    };

    printf("flags: ");
    if (!flags)
        putchar('-');
    const char *comma = "";
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (flags & names[i].flag) {
            printf("%s%s", comma, names[i].name);
            comma = ",";
            flags &= ~names[i].flag;
        }
    }
    if (flags)
        printf("%s0x%x", comma, flags);
    putchar('\n');
}

static void print_time(const char *name, const struct ext2dax_stat *figures, const struct ext2dax_time *time)
{
    char text[48];

    time_text(time, figures->has_nanoseconds, text, sizeof(text));
    printf("%s: %s\n", name, text);
}

static void print_figures(const struct ext2dax_stat *figures)
{
    char mode[11];
    unsigned type = figures->mode & EXT2DAX_S_IFMT;

    mode_text(figures->mode, mode);
    printf("type: %s\ninode: %u\nmode: %04o %s\nlinks: %u\nowner: %u\ngroup: %u\n", type_text(figures->mode),
           figures->number, figures->mode & 07777u, mode, figures->links, figures->uid, figures->gid);
    if (type == EXT2DAX_S_IFCHR || type == EXT2DAX_S_IFBLK)
        printf("device: %u,%u\n", figures->device_major, figures->device_minor);
    printf("size: %llu\nsectors: %llu\n", (unsigned long long)figures->size, (unsigned long long)figures->sectors);
    print_flags(figures->flags);
    printf("generation: %u\n", figures->generation);
    print_time("accessed", figures, &figures->atime);
    print_time("modified", figures, &figures->mtime);
    print_time("changed", figures, &figures->ctime);
    if (figures->has_created)
        print_time("created", figures, &figures->created);
    else
        puts("created: -");
}

static int print_target(struct image *image, struct ext2dax_inode *inode, const char *path)
{
    char *target = NULL;
    size_t length;

    int error = link_target(inode, &target, &length);
    if (error)
        return image_failed(image, error, "stat %s", path);
    fputs("target: ", stdout);
    print_text(stdout, target, length);
    putchar('\n');
    free(target);
    return 0;
}

static int stat_path(struct image *image, const struct request *request, const char *path)
{
    struct ext2dax_inode *inode;
    struct ext2dax_stat figures;
    int code = 0;

    int error = path_inode(image, path, false, &inode);
    if (error)
        return image_failed(image, error, "stat %s", path);
    ext2dax_stat(inode, &figures, sizeof(figures));
    /* A blank line separates the paths. */
    if (path != request->args[0])
        putchar('\n');
    fputs("path: ", stdout);
    print_text(stdout, path, strlen(path));
    putchar('\n');
    print_figures(&figures);
    if ((figures.mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFLNK)
        code = print_target(image, inode, path);
    ext2dax_inode_put(inode);
    return code;
}

int command_stat(const struct request *request)
{
    return paths_each(request, 0, false, stat_path);
}
