/* SPDX-License-Identifier: MIT */
/*
 * The command map --access. Measures the cost of an access to every page of a file through
 * mappings of this process, and the share of the mappings in huge entries. Page faults are
 * those counted by the kernel, and only during the accesses. First the file is looked up and
 * the beginning of the file is accessed through a mapping. So page faults on data, code and
 * stack of the library are not counted.
 */
#include "mapper.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define WINDOW ((uint64_t)1 << 30) /* bytes of a file per mapping */
#define STEP   1024u               /* pages between two updates of the progress bar */

struct touch {
    struct image *image;
    struct ext2dax_inode *inode;
    const char *path;
    bool write, populate;
    uint64_t size, page, extents;
    struct progress progress;
    /* results */
    uint64_t pages, windows, page_faults;
    uint64_t shmem, file; /* kB mapped by the kernel in huge entries */
};

static uint64_t page_faults_now(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

/* Adds the figures of smaps for the mappings in a range. */
static int add_huge(struct touch *touch, const void *at, uint64_t bytes)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    unsigned long long low = 0, high = 0, from, to, kilobytes;
    char line[512];

    if (!maps)
        return say_failed(touch->image->path, "access %s: /proc/self/smaps cannot be read", touch->path);
    while (fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%llx-%llx ", &from, &to) == 2) {
            low = from;
            high = to;
        } else if (low < (uintptr_t)at || high > (uintptr_t)at + bytes) {
            continue;
        } else if (sscanf(line, "ShmemPmdMapped: %llu", &kilobytes) == 1) {
            touch->shmem += kilobytes;
        } else if (sscanf(line, "FilePmdMapped: %llu", &kilobytes) == 1) {
            touch->file += kilobytes;
        }
    }
    fclose(maps);
    return 0;
}

/*
 * Accesses every page of a mapping. Returns false if the access to page *page failed, or at a
 * stop request.
 */
static bool sweep(struct touch *touch, unsigned char *at, uint64_t pages, uint64_t *page)
{
    for (*page = 0; *page < pages; ++*page) {
        if (*page % STEP == 0) {
            progress_step(&touch->progress, touch->pages + *page);
            if (interrupted)
                return false;
        }
        if (!guarded_touch(at + *page * touch->page, touch->write))
            return false;
    }
    return true;
}

static int touch_window(struct touch *touch, uint64_t offset, uint64_t bytes)
{
    struct image *image = touch->image;
    uint64_t pages = (bytes + touch->page - 1) / touch->page, before, failed;
    void *at;

    int error =
        ext2dax_process_map(image->process, touch->inode, offset, bytes, touch->write ? EXT2DAX_MAP_WRITE : 0, &at);
    if (error)
        return image_failed(image, error, "map %s: mapping at byte %llu", touch->path, (unsigned long long)offset);
    int code = 0;
    if (touch->populate) {
        error = ext2dax_process_populate(image->process, at, (size_t)bytes, touch->write);
        if (error)
            code = image_failed(image, error, "populate %s: mapping at byte %llu", touch->path,
                                (unsigned long long)offset);
    }
    before = page_faults_now();
    if (!code && !sweep(touch, at, pages, &failed)) {
        /* The signal carries no reason. Populating the same page returns the error. */
        unsigned char *page = (unsigned char *)at + failed * touch->page;
        error = ext2dax_process_populate(image->process, page, 1, touch->write);
        if (interrupted)
            code = say_failed(image->path, "access %s: interrupted", touch->path);
        else
            code = image_failed(image, error ? error : -EXT2DAX_EIO, "access %s: page %llu", touch->path,
                                (unsigned long long)offset / touch->page + failed);
    }
    touch->page_faults += page_faults_now() - before;
    touch->pages += pages;
    touch->windows++;
    if (!code)
        code = add_huge(touch, at, pages * touch->page);
    ext2dax_process_unmap(image->process, at);
    return code;
}

static void print(const struct touch *touch, const struct ext2dax_process_counters *before,
                  const struct ext2dax_process_counters *after, bool json)
{
    const struct {
        const char *text, *key;
        uint64_t value;
    } rows[] = {
        {"traps", "traps", after->traps - before->traps},
        {"page faults", "page_faults", touch->page_faults},
        {"kernel mappings made", "mapped", after->mapped - before->mapped},
        {"evictions", "evicted", after->evicted - before->evicted},
        {"huge pages of the file in one piece", "huge", after->huge - before->huge},
        {"huge pages collapsed", "collapsed", after->collapsed},
        {"kB ShmemPmdMapped", "shmem_pmd_mapped_kb", touch->shmem},
        {"kB FilePmdMapped", "file_pmd_mapped_kb", touch->file},
    };

    if (json) {
        printf("{\"size\": %llu, \"extents\": %llu, \"pages\": %llu, \"mappings\": %llu, \"stored\": %s",
               (unsigned long long)touch->size, (unsigned long long)touch->extents, (unsigned long long)touch->pages,
               (unsigned long long)touch->windows, touch->write ? "true" : "false");
    } else {
        print_text(stdout, touch->path, strlen(touch->path));
        printf(": %llu bytes, %llu extents: %llu pages %s through mappings of %llu\n", (unsigned long long)touch->size,
               (unsigned long long)touch->extents, (unsigned long long)touch->pages,
               touch->write ? "stored to" : "read", (unsigned long long)WINDOW / touch->page);
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (json)
            printf(", \"%s\": %llu", rows[i].key, (unsigned long long)rows[i].value);
        else
            printf("%12llu %s\n", (unsigned long long)rows[i].value, rows[i].text);
    }
    if (json)
        puts("}");
}

static int touch_file(struct touch *touch, bool json)
{
    struct ext2dax_process_counters before = {.size = sizeof(before)}, after = before;
    const struct ext2dax_statfs *figures = &touch->image->figures;
    uint64_t huge = (uint64_t)figures->pmd_pages * figures->page_size;
    struct ext2dax_stat stat;
    struct runs runs = {0};
    char why[128];
    int code = 0;

    if (!touch->image->process)
        return say_failed(touch->image->path, "access %s: this build serves no page faults", touch->path);
    if (image_unmappable(touch->image, why, sizeof(why)))
        return say_failed(touch->image->path, "access %s: cannot be mapped: %s", touch->path, why);
    ext2dax_stat(touch->inode, &stat, sizeof(stat));
    touch->size = stat.size;
    touch->page = figures->page_size;
    int error = runs_collect(&runs, touch->inode, 0, (stat.size + touch->page - 1) / touch->page);
    touch->extents = 0;
    for (size_t i = 0; i < runs.count; i++)
        touch->extents += runs.list[i].physical != 0;
    runs_free(&runs);
    if (error)
        return image_failed(touch->image, error, "access %s", touch->path);
    progress_start(&touch->progress, touch->path, (stat.size + touch->page - 1) / touch->page);
    if (stat.size)
        code = touch_window(touch, 0, stat.size < huge ? stat.size : huge);
    touch->pages = touch->windows = touch->page_faults = touch->shmem = touch->file = 0;
    ext2dax_process_count(touch->image->process, &before);
    for (uint64_t at = 0; at < stat.size && !code; at += WINDOW)
        code = touch_window(touch, at, stat.size - at < WINDOW ? stat.size - at : WINDOW);
    ext2dax_process_count(touch->image->process, &after);
    progress_end(&touch->progress);
    if (!code)
        print(touch, &before, &after, json);
    return code;
}

int command_access(const struct request *request)
{
    bool write = request->touch == TOUCH_WRITE;
    struct image image;
    struct touch touch = {.image = &image, .path = request->args[0], .write = write, .populate = request->populate};

    int code = image_open(&image, request, write);
    if (!code)
        code = image_file(&image, "map", touch.path, &touch.inode);
    if (!code) {
        code = touch_file(&touch, request->json);
        ext2dax_inode_put(touch.inode);
    }
    return image_close(&image, code);
}
