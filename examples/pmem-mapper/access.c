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

#define VIEW_SIZE ((uint64_t)1 << 30) /* bytes of a file per mapping */
#define STEP      1024u               /* pages between two updates of the progress bar */

struct access {
    struct image *image;
    struct ext2dax_inode *inode;
    const char *path;
    bool write, populate;
    uint64_t size, page, extents;
    struct progress progress;
    /* results */
    uint64_t pages, mappings, page_faults;
    uint64_t shmem, file; /* kB mapped by the kernel in huge entries */
};

static uint64_t page_faults_now(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

/* Adds the figures of smaps for the mappings in a range. */
static int add_huge(struct access *access, const void *at, uint64_t bytes)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    unsigned long long low = 0, high = 0, from, to, kilobytes;
    char line[512];

    if (!maps)
        return say_failed(access->image->path, "access %s: /proc/self/smaps cannot be read", access->path);
    while (fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%llx-%llx ", &from, &to) == 2) {
            low = from;
            high = to;
        } else if (low < (uintptr_t)at || high > (uintptr_t)at + bytes) {
            continue;
        } else if (sscanf(line, "ShmemPmdMapped: %llu", &kilobytes) == 1) {
            access->shmem += kilobytes;
        } else if (sscanf(line, "FilePmdMapped: %llu", &kilobytes) == 1) {
            access->file += kilobytes;
        }
    }
    fclose(maps);
    return 0;
}

/*
 * Accesses every page of a mapping. Returns false if the access to page *page failed, or at a
 * stop request.
 */
static bool sweep(struct access *access, unsigned char *at, uint64_t pages, uint64_t *page)
{
    for (*page = 0; *page < pages; ++*page) {
        if (*page % STEP == 0) {
            progress_step(&access->progress, access->pages + *page);
            if (interrupted)
                return false;
        }
        if (!guarded_access(at + *page * access->page, access->write))
            return false;
    }
    return true;
}

static int access_mapping(struct access *access, uint64_t offset, uint64_t bytes)
{
    struct image *image = access->image;
    uint64_t pages = (bytes + access->page - 1) / access->page, before, failed;
    void *at;

    int error =
        ext2dax_process_map(image->process, access->inode, offset, bytes, access->write ? EXT2DAX_MAP_WRITE : 0, &at);
    if (error)
        return image_failed(image, error, "map %s: mapping at byte %llu", access->path, (unsigned long long)offset);
    int code = 0;
    if (access->populate) {
        error = ext2dax_process_populate(image->process, at, (size_t)bytes, access->write);
        if (error)
            code = image_failed(image, error, "populate %s: mapping at byte %llu", access->path,
                                (unsigned long long)offset);
    }
    before = page_faults_now();
    if (!code && !sweep(access, at, pages, &failed)) {
        /* The signal carries no reason. Populating the same page returns the error. */
        unsigned char *page = (unsigned char *)at + failed * access->page;
        error = ext2dax_process_populate(image->process, page, 1, access->write);
        if (interrupted)
            code = say_failed(image->path, "access %s: interrupted", access->path);
        else
            code = image_failed(image, error ? error : -EXT2DAX_EIO, "access %s: page %llu", access->path,
                                (unsigned long long)offset / access->page + failed);
    }
    access->page_faults += page_faults_now() - before;
    access->pages += pages;
    access->mappings++;
    if (!code)
        code = add_huge(access, at, pages * access->page);
    ext2dax_process_unmap(image->process, at);
    return code;
}

static void print(const struct access *access, const struct ext2dax_process_counters *before,
                  const struct ext2dax_process_counters *after, bool json)
{
    const struct {
        const char *text, *key;
        uint64_t value;
    } rows[] = {
        {"traps", "traps", after->traps - before->traps},
        {"page faults", "page_faults", access->page_faults},
        {"kernel mappings made", "mapped", after->mapped - before->mapped},
        {"evictions", "evicted", after->evicted - before->evicted},
        {"huge pages of the file in one piece", "huge", after->huge - before->huge},
        {"huge pages collapsed", "collapsed", after->collapsed},
        {"kB ShmemPmdMapped", "shmem_pmd_mapped_kb", access->shmem},
        {"kB FilePmdMapped", "file_pmd_mapped_kb", access->file},
    };

    if (json) {
        printf("{\"size\": %llu, \"extents\": %llu, \"pages\": %llu, \"mappings\": %llu, \"stored\": %s",
               (unsigned long long)access->size, (unsigned long long)access->extents, (unsigned long long)access->pages,
               (unsigned long long)access->mappings, access->write ? "true" : "false");
    } else {
        print_text(stdout, access->path, strlen(access->path));
        printf(": %llu bytes, %llu extents: %llu pages %s through mappings of %llu\n", (unsigned long long)access->size,
               (unsigned long long)access->extents, (unsigned long long)access->pages,
               access->write ? "stored to" : "read", (unsigned long long)VIEW_SIZE / access->page);
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

static int access_file(struct access *access, bool json)
{
    struct ext2dax_process_counters before = {.size = sizeof(before)}, after = before;
    const struct ext2dax_statfs *figures = &access->image->figures;
    uint64_t huge = (uint64_t)figures->pmd_pages * figures->page_size;
    struct ext2dax_stat stat;
    struct runs runs = {0};
    char why[128];
    int code = 0;

    if (!access->image->process)
        return say_failed(access->image->path, "access %s: this build serves no page faults", access->path);
    if (image_unmappable(access->image, why, sizeof(why)))
        return say_failed(access->image->path, "access %s: cannot be mapped: %s", access->path, why);
    ext2dax_stat(access->inode, &stat, sizeof(stat));
    access->size = stat.size;
    access->page = figures->page_size;
    int error = runs_collect(&runs, access->inode, 0, (stat.size + access->page - 1) / access->page);
    access->extents = 0;
    for (size_t i = 0; i < runs.count; i++)
        access->extents += runs.list[i].physical != 0;
    runs_free(&runs);
    if (error)
        return image_failed(access->image, error, "access %s", access->path);
    progress_start(&access->progress, access->path, (stat.size + access->page - 1) / access->page);
    if (stat.size)
        code = access_mapping(access, 0, stat.size < huge ? stat.size : huge);
    access->pages = access->mappings = access->page_faults = access->shmem = access->file = 0;
    ext2dax_process_count(access->image->process, &before);
    for (uint64_t at = 0; at < stat.size && !code; at += VIEW_SIZE)
        code = access_mapping(access, at, stat.size - at < VIEW_SIZE ? stat.size - at : VIEW_SIZE);
    ext2dax_process_count(access->image->process, &after);
    progress_end(&access->progress);
    if (!code)
        print(access, &before, &after, json);
    return code;
}

int command_access(const struct request *request)
{
    bool write = request->access == ACCESS_WRITE;
    struct image image;
    struct access access = {.image = &image, .path = request->args[0], .write = write, .populate = request->populate};

    int code = image_open(&image, request, write);
    if (!code)
        code = image_file(&image, "map", access.path, &access.inode);
    if (!code) {
        code = access_file(&access, request->json);
        ext2dax_inode_put(access.inode);
    }
    return image_close(&image, code);
}
