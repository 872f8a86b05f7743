/* SPDX-License-Identifier: MIT */
/*
 * ls: names first, figures after: a readdir callback may not call back into the library. Sorted by name; bytes of a
 * name that a terminal would act on are shown as '?'.
 */
#include "mapper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct name {
    char *text;
    uint32_t number;
};

struct names {
    struct name *list;
    size_t count, room;
};

static int keep_name(void *arg, const struct ext2dax_entry *entry)
{
    struct names *names = arg;

    if (names->count == names->room) {
        size_t room = names->room ? names->room * 2 : 64;
        struct name *list = realloc(names->list, room * sizeof(*list));
        if (!list)
            return -EXT2DAX_ENOMEM;
        names->list = list;
        names->room = room;
    }
    char *text = malloc(entry->name_length + 1);
    if (!text)
        return -EXT2DAX_ENOMEM;
    memcpy(text, entry->name, entry->name_length);
    text[entry->name_length] = 0;
    names->list[names->count++] = (struct name){.text = text, .number = entry->number};
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static void print_text(const char *text, size_t length)
{
    bool terminal = isatty(STDOUT_FILENO);

    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        putchar(terminal && (byte < 0x20 || byte == 0x7f) ? '?' : byte);
    }
}

static void mode_text(unsigned mode, char text[11])
{
    static const char types[] = "?pc?d?b?-?l?s???";
    static const char bits[] = "rwxrwxrwx";

    text[0] = types[mode >> 12 & 15];
    for (unsigned i = 0; i < 9; i++)
        text[1 + i] = mode >> (8 - i) & 1 ? bits[i] : '-';
    if (mode & 04000)
        text[3] = text[3] == 'x' ? 's' : 'S';
    if (mode & 02000)
        text[6] = text[6] == 'x' ? 's' : 'S';
    if (mode & 01000)
        text[9] = text[9] == 'x' ? 't' : 'T';
    text[10] = 0;
}

static int print_inode(struct image *image, struct ext2dax_inode *inode, const char *name)
{
    struct ext2dax_stat figures;
    char mode[11], when[32], target[4097];
    struct tm tm;

    ext2dax_stat(inode, &figures);
    mode_text(figures.mode, mode);
    time_t mtime = (time_t)figures.mtime;
    if (!gmtime_r(&mtime, &tm) || !strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm))
        strcpy(when, "-");
    printf("%10u %s %4u %5u %5u %14llu %s ", figures.number, mode, figures.links, figures.uid, figures.gid,
           (unsigned long long)figures.size, when);
    print_text(name, strlen(name));
    int error = 0;
    if ((figures.mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFLNK) {
        int64_t length = ext2dax_readlink(inode, target, sizeof(target));
        if (length < 0) {
            error = (int)length;
        } else {
            fputs(" -> ", stdout);
            print_text(target, length < (int64_t)sizeof(target) ? (size_t)length : sizeof(target));
        }
    }
    putchar('\n');
    return error ? image_failed(image, error, "ls %s", name) : 0;
}

static int list_directory(struct image *image, struct ext2dax_inode *directory, const char *path)
{
    struct names names = {NULL, 0, 0};
    int code = 0;

    int error = ext2dax_readdir(directory, 0, keep_name, &names);
    if (error)
        code = image_failed(image, error, "ls %s", path);
    if (names.count)
        qsort(names.list, names.count, sizeof(*names.list), by_text);
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
        free(names.list[i].text);
    }
    free(names.list);
    return code;
}

int command_ls(const struct request *request)
{
    struct image image;
    struct ext2dax_inode *inode;
    struct ext2dax_stat figures;
    const char *path = request->args[0] ? request->args[0] : "/";
    size_t length = strlen(path);
    bool as_directory = length && path[length - 1] == '/'; /* a link there is meant to be followed */

    int code = image_open(&image, request, false);
    if (!code) {
        int error = ext2dax_lookup_path(image.mount, path, length, as_directory ? 0 : EXT2DAX_NO_FOLLOW, &inode);
        if (error) {
            code = image_failed(&image, error, "ls %s", path);
        } else {
            ext2dax_stat(inode, &figures);
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
