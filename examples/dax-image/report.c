/* SPDX-License-Identifier: MIT */
/*
 * report shows how the files of an image would be mapped, and where the blocks lie. The image may
 * be of any builder. Every inode is counted once.
 */
#include "dax-image.h"
#include "picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An inode to be looked at, with its path. */
struct pending {
    char *path;
    uint32_t number;
};

struct report {
    const struct options *options;
    struct image image;
    struct pending *stack;
    size_t count, room;
    unsigned char *seen; /* a bit per inode */
    struct shape total;
    uint64_t files, bytes, listed;
    struct picture picture;
};

static int push(struct report *report, const char *parent, const char *name, uint32_t number)
{
    if (report->count == report->room) {
        size_t room = report->room ? report->room * 2 : 256;
        struct pending *stack = realloc(report->stack, room * sizeof(*stack));
        if (!stack)
            return out_of_memory();
        report->stack = stack;
        report->room = room;
    }
    struct pending *added = &report->stack[report->count];
    added->number = number;
    if (asprintf(&added->path, "%s%s%s", parent, *name && parent[strlen(parent) - 1] != '/' ? "/" : "", name) < 0)
        return out_of_memory();
    report->count++;
    return 0;
}

static int push_names(struct report *report, const char *path, struct ext2dax_inode *inode)
{
    struct names names;

    int error = names_read(&names, inode);
    int code = error ? library_failed(path, error, "read") : 0;
    for (size_t i = names.count; !code && i-- > 0;)
        code = push(report, path, names.list[i], names.numbers[i]);
    names_free(&names);
    return code;
}

static void print_file(struct report *report, const char *path, uint64_t size, const struct shape *s)
{
    if (report->options->json) {
        printf("%s\n  {\"path\": ", report->listed++ ? "," : "");
        print_json_text(path);
        printf(", \"size\": %llu, \"blocks\": %llu, \"ranges\": %llu, \"huge\": %llu, \"extents\": %llu, "
               "\"faults\": %llu}",
               (unsigned long long)size, (unsigned long long)s->blocks, (unsigned long long)s->ranges,
               (unsigned long long)s->huge, (unsigned long long)s->extents, (unsigned long long)s->faults);
        return;
    }
    /* Only large files have ranges, and a report of all files would hide them. */
    if (!s->ranges && report->options->count < 2)
        return;
    if (!report->listed++)
        printf("%14s %9s %9s %9s %9s  %s\n", "size", "ranges", "huge", "extents", "faults", "path");
    printf("%14llu %9llu %9llu %9llu %9llu  ", (unsigned long long)size, (unsigned long long)s->ranges,
           (unsigned long long)s->huge, (unsigned long long)s->extents, (unsigned long long)s->faults);
    print_escaped(stdout, path);
    putchar('\n');
}

static int look_at(struct report *report, const struct pending *pending)
{
    struct ext2dax_inode *inode;
    struct ext2dax_stat figures;
    struct shape shape;
    int code = 0;

    int error = ext2dax_inode_get(report->image.mount, pending->number, &inode);
    if (error)
        return library_failed(pending->path, error, "read");
    ext2dax_stat(inode, &figures, sizeof(figures));
    unsigned type = figures.mode & EXT2DAX_S_IFMT;
    unsigned char bit = (unsigned char)(1u << figures.number % 8), *seen = &report->seen[figures.number / 8];
    if (!(*seen & bit) && type == EXT2DAX_S_IFDIR) {
        code = push_names(report, pending->path, inode);
    } else if (!(*seen & bit) && type == EXT2DAX_S_IFREG) {
        error = shape_read(&shape, inode, &report->image.figures, picture_add, &report->picture);
        if (error) {
            code = library_failed(pending->path, error, "read");
        } else {
            print_file(report, pending->path, figures.size, &shape);
            report->files++;
            report->bytes += figures.size;
            report->total.ranges += shape.ranges;
            report->total.huge += shape.huge;
            report->total.extents += shape.extents;
            report->total.faults += shape.faults;
            report->total.blocks += shape.blocks;
        }
    }
    *seen |= bit;
    ext2dax_inode_put(inode);
    return code;
}

static void print_total(const struct report *report)
{
    const struct shape *t = &report->total;
    const struct ext2dax_statfs *figures = &report->image.figures;
    uint64_t size = figures->blocks * figures->block_size;

    if (report->options->json) {
        printf("\n ],\n \"image\": ");
        print_json_text(report->image.path);
        printf(",\n \"size\": %llu, \"block_size\": %u, \"free\": %llu, \"files\": %llu, \"bytes\": %llu,\n"
               " \"blocks\": %llu, \"ranges\": %llu, \"huge\": %llu, \"extents\": %llu, \"faults\": %llu}\n",
               (unsigned long long)size, figures->block_size,
               (unsigned long long)figures->free_blocks * figures->block_size, (unsigned long long)report->files,
               (unsigned long long)report->bytes, (unsigned long long)t->blocks, (unsigned long long)t->ranges,
               (unsigned long long)t->huge, (unsigned long long)t->extents, (unsigned long long)t->faults);
        return;
    }
    print_escaped(stdout, report->image.path);
    printf(": %llu bytes, %llu files of %llu bytes, %llu of %llu PMD ranges huge, %llu extents, %llu faults to access "
           "all\n",
           (unsigned long long)size, (unsigned long long)report->files, (unsigned long long)report->bytes,
           (unsigned long long)t->huge, (unsigned long long)t->ranges, (unsigned long long)t->extents,
           (unsigned long long)t->faults);
}

static int draw(const struct report *report)
{
    const struct shape *t = &report->total;
    char caption[300];

    if (!report->options->json && isatty(STDOUT_FILENO))
        picture_print(&report->picture);
    if (!report->options->svg)
        return 0;
    snprintf(caption, sizeof(caption), "%llu MiB, %llu of %llu PMD ranges huge, %llu page faults to access every file",
             (unsigned long long)(report->image.figures.blocks * report->image.figures.block_size >> 20),
             (unsigned long long)t->huge, (unsigned long long)t->ranges, (unsigned long long)t->faults);
    return picture_svg(&report->picture, caption, report->options->svg);
}

static int read_all(struct report *report, const char *path)
{
    struct ext2dax_inode *inode;
    struct ext2dax_stat figures;

    int error = ext2dax_lookup_path(report->image.mount, path, strlen(path), EXT2DAX_NO_FOLLOW, &inode);
    if (error)
        return library_failed(path, error, "report");
    ext2dax_stat(inode, &figures, sizeof(figures));
    ext2dax_inode_put(inode);
    if (report->options->json)
        printf("{\"list\": [");
    int code = push(report, path, "", figures.number);
    while (!code && report->count) {
        struct pending pending = report->stack[--report->count];
        code = interrupted ? failed(report->image.path, "interrupted") : look_at(report, &pending);
        free(pending.path);
    }
    if (!code)
        print_total(report);
    return code ? code : draw(report);
}

int command_report(const struct options *options)
{
    struct report report = {.options = options};
    const char *path = options->count > 1 && *options->args[1] ? options->args[1] : "/";

    int code = image_open(&report.image, options->args[0]);
    if (code)
        return code;
    report.seen = calloc(report.image.figures.inodes / 8 + 1, 1);
    picture_begin(&report.picture, report.image.figures.blocks);
    code = report.seen ? read_all(&report, path) : out_of_memory();
    while (report.count)
        free(report.stack[--report.count].path);
    free(report.stack);
    free(report.seen);
    return image_close(&report.image, code);
}
