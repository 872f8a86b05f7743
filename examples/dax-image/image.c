/* SPDX-License-Identifier: MIT */
/* An existing image opened for reading, the names of its directories and the shape of its files. */
#include "dax-image.h"

#include <ext2dax/hosted/host.h>
#include <ext2dax/hosted/lock.h>
#include <ext2dax/hosted/memory.h>

#include <stdlib.h>
#include <string.h>

static void keep_quiet(void *arg, const struct ext2dax_report *report)
{
    (void)arg, (void)report;
}

int image_open(struct image *image, const char *path)
{
    struct ext2dax_host_options host_options = {.size = sizeof(host_options), .log = keep_quiet, .no_handlers = true};
    struct ext2dax_mount_options options = {.size = sizeof(options), .flags = EXT2DAX_MOUNT_READ_ONLY};
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_none()};

    memset(image, 0, sizeof(*image));
    image->path = path;
    int error = ext2dax_memory_open_file(path, EXT2DAX_FILE_READ_ONLY, 0, &image->memory);
    if (error)
        return failed(path, "%s", strerror(-error));
    error = ext2dax_host_open(&host_options, &image->host);
    if (error) {
        ext2dax_memory_close_file(&image->memory);
        return failed(path, "%s", ext2dax_strerror(error));
    }
    plugs.memory = image->memory;
    plugs.host = image->host;
    error = ext2dax_mount(&plugs, &options, &image->mount);
    if (error)
        return image_close(image, library_failed(path, error, "mount"));
    ext2dax_statfs(image->mount, &image->figures, sizeof(image->figures));
    return 0;
}

int image_close(struct image *image, int code)
{
    if (image->mount)
        ext2dax_unmount(image->mount);
    ext2dax_host_close(&image->host);
    ext2dax_memory_close_file(&image->memory);
    return code;
}

/* ---- names ---- */

struct listing {
    struct names *names;
    size_t room;
};

static int keep_name(void *arg, const struct ext2dax_entry *entry)
{
    struct listing *listing = arg;
    struct names *names = listing->names;

    if (entry->name[0] == '.' && (entry->name_length == 1 || (entry->name_length == 2 && entry->name[1] == '.')))
        return 0;
    if (names->count == listing->room) {
        size_t room = listing->room ? listing->room * 2 : 64;
        char **list = realloc(names->list, room * sizeof(char *));
        if (!list)
            return -EXT2DAX_ENOMEM;
        names->list = list;
        uint32_t *numbers = realloc(names->numbers, room * sizeof(*numbers));
        if (!numbers)
            return -EXT2DAX_ENOMEM;
        names->numbers = numbers;
        listing->room = room;
    }
    char *name = strndup(entry->name, entry->name_length);
    if (!name)
        return -EXT2DAX_ENOMEM;
    names->list[names->count] = name;
    names->numbers[names->count++] = entry->number;
    return 0;
}

/* A name with its number while the names are sorted. */
struct pair {
    char *name;
    uint32_t number;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct pair *)a)->name, ((const struct pair *)b)->name);
}

int names_read(struct names *names, struct ext2dax_inode *directory)
{
    struct listing listing = {.names = names};

    memset(names, 0, sizeof(*names));
    int error = ext2dax_readdir(directory, 0, keep_name, &listing);
    struct pair *pairs = error ? NULL : calloc(names->count + 1, sizeof(*pairs));
    if (!error && !pairs)
        error = -EXT2DAX_ENOMEM;
    if (error)
        return error;
    for (size_t i = 0; i < names->count; i++)
        pairs[i] = (struct pair){names->list[i], names->numbers[i]};
    qsort(pairs, names->count, sizeof(*pairs), by_name);
    for (size_t i = 0; i < names->count; i++) {
        names->list[i] = pairs[i].name;
        names->numbers[i] = pairs[i].number;
    }
    free(pairs);
    return 0;
}

void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->list[i]);
    free(names->list);
    free(names->numbers);
    memset(names, 0, sizeof(*names));
}

/* ---- shapes ---- */

/* A range whose blocks are being counted. */
struct filling {
    uint64_t range, blocks;
};

/* Counts the full 2 MiB ranges that end in the run. A range may consist of several runs. */
static void count_ranges(struct shape *shape, const struct ext2dax_run *run, uint64_t range, uint64_t full,
                         struct filling *filling)
{
    uint64_t end = run->logical + run->length;

    for (uint64_t at = run->logical; at < end;) {
        uint64_t number = at / range, next = (number + 1) * range;
        if (filling->range != number)
            *filling = (struct filling){.range = number};
        next = next < end ? next : end;
        filling->blocks += next - at;
        shape->ranges += number < full && filling->blocks == range;
        at = next;
    }
}

/* Counts a run of data. */
static void count_run(struct shape *shape, const struct ext2dax_run *run, uint64_t range, uint64_t full,
                      shape_each *each, void *arg)
{
    uint64_t end = run->logical + run->length;
    uint64_t huge = (run->logical + range - 1) / range, huge_end = end / range;

    shape->extents++;
    shape->blocks += run->length;
    huge_end = huge_end < full ? huge_end : full;
    if (huge_end <= huge || run->physical % range != run->logical % range)
        huge_end = huge;
    shape->huge += huge_end - huge;
    if (each && huge_end == huge) {
        each(arg, run->physical, run->length, false);
    } else if (each) {
        uint64_t before = huge * range - run->logical, inside = (huge_end - huge) * range;
        each(arg, run->physical, before, false);
        each(arg, run->physical + before, inside, true);
        each(arg, run->physical + before + inside, run->length - before - inside, false);
    }
}

int shape_read(struct shape *shape, struct ext2dax_inode *inode, const struct ext2dax_statfs *figures, shape_each *each,
               void *arg)
{
    uint64_t page = figures->page_size, block = figures->block_size;
    uint64_t range = HUGE_SIZE / block;
    struct filling filling = {0, 0};
    struct ext2dax_stat stat;
    struct ext2dax_run run;

    memset(shape, 0, sizeof(*shape));
    ext2dax_stat(inode, &stat, sizeof(stat));
    uint64_t blocks = (stat.size + block - 1) / block;
    for (uint64_t at = 0; at < blocks; at += run.length) {
        int error = ext2dax_map(inode, at, blocks - at, &run);
        if (error)
            return error;
        if (!run.physical)
            continue;
        count_ranges(shape, &run, range, stat.size / HUGE_SIZE, &filling);
        count_run(shape, &run, range, stat.size / HUGE_SIZE, each, arg);
    }
    /* Nothing is mapped unless a block is a page. */
    if (!figures->pmd_pages)
        shape->huge = 0;
    shape->faults = (stat.size + page - 1) / page - shape->huge * (HUGE_SIZE / page) + shape->huge;
    return 0;
}
