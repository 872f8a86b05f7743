/* SPDX-License-Identifier: MIT */
/*
 * The library's side of the round trips.
 *
 *     host format IMAGE BYTES
 *     host act IMAGE FIRST PHASE     like the guest, checks the result of the earlier phases, then
 *                                    runs a phase if there is any
 *     host ranges IMAGE             prints "ranges FILE TOTAL BACKED HUGE HUGE" like the guest,
 *                                    using ext2dax_pmd_fault()
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor_library.h"
#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"
#include "ext2dax/testkit/checker.h"
#include "round_trip.h"
#include "report.h"

#define PAGE  4096u
#define PAGES 512u

static int failed(const char *image, const char *what, int error)
{
    fprintf(stderr, "host: %s: %s: %s\n", image, what, ext2dax_strerror(error));
    return 1;
}

static int format(const char *image, const char *bytes)
{
    struct ext2dax_format_options options = {.size = sizeof(options)};
    struct ext2dax_memory memory;
    int error = ext2dax_memory_open_file(image, EXT2DAX_FILE_CREATE, strtoull(bytes, NULL, 0), &memory);

    if (error != 0)
        return failed(image, "make", error);
    error = ext2dax_format(&memory, &options, NULL);
    ext2dax_memory_close_file(&memory);
    return error != 0 ? failed(image, "format", error) : 0;
}

static void say_finding(void *arg, const struct ext2dax_finding *finding)
{
    char text[200];

    (void)arg;
    ext2dax_finding_text(finding, text, sizeof(text));
    printf("finding: %s\n", text);
}

static void check_image(const char *image, const char *when)
{
    struct ext2dax_memory memory;
    int error = ext2dax_memory_open_file(image, EXT2DAX_FILE_READ_ONLY, 0, &memory), findings;

    if (error != 0) {
        report(false, "%s: %s: %s", when, image, ext2dax_strerror(error));
        return;
    }
    findings = ext2dax_check_image(memory.base, memory.size, 0, say_finding, NULL, NULL);
    report(findings == 0, "%s: the invariant checker has %d findings", when, findings);
    ext2dax_memory_close_file(&memory);
}

/*
 * Opens the image again for the checks, so the checks see the content of the image, not of the
 * mount.
 */
static int act_on(struct round_trip *trip, const char *image, unsigned phase, const char *when)
{
    struct library library;
    struct actor actor = actor_library(&library);
    int error;

    check_image(image, when);
    error = library_open(&library, image, phase != 0);
    if (error != 0)
        return failed(image, "mount", error);
    if (phase != 0)
        round_trip_phase(trip, phase, &actor);
    if (trip->model.count != 0)
        round_trip_check(trip, &actor, when);
    error = library_close(&library);
    return error != 0 ? failed(image, "unmount", error) : 0;
}

static int act(const char *image, const char *first, unsigned phase)
{
    struct round_trip *trip = calloc(1, sizeof(*trip));
    int code = 0;

    if (!trip)
        return failed(image, "act", -ENOMEM);
    view_catch_sigbus();
    trip->linux_first = strcmp(first, "linux") == 0;
    for (unsigned before = 1; before < phase; before++)
        round_trip_phase(trip, before, NULL);
    if (phase > 1)
        code = act_on(trip, image, 0, "as it came");
    if (code == 0 && phase <= ROUND_TRIP_PHASES && report_failures() == 0)
        code = act_on(trip, image, phase, "as it goes");
    if (code == 0 && phase <= ROUND_TRIP_PHASES && report_failures() == 0)
        code = act_on(trip, image, 0, "mounted again");
    model_free(&trip->model);
    free(trip);
    return !report_sum() || code != 0;
}

/* ---- PMD ranges ---- */

/* An address space installing nothing. Records the requested mapping. */
static enum ext2dax_fault_result note_map(void *ctx, struct ext2dax_fault *fault, const struct ext2dax_mapping *mapping)
{
    struct ext2dax_mapping *noted = ctx;

    (void)fault;
    *noted = *mapping;
    return EXT2DAX_FAULT_NOPAGE;
}

static void no_unmap(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool private_too)
{
    (void)ctx;
    (void)inode;
    (void)first;
    (void)count;
    (void)private_too;
}

static uint64_t no_protect(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, uint64_t *run)
{
    (void)ctx;
    (void)inode;
    (void)first;
    (void)count;
    *run = 0;
    return 0;
}

static bool backed(struct ext2dax_inode *inode, uint64_t page)
{
    struct ext2dax_run run;

    return ext2dax_map(inode, page, PAGES, &run) == 0 && run.physical != 0 && run.physical % PAGES == 0 &&
           run.length == PAGES;
}

static bool empty(struct ext2dax_inode *inode, uint64_t page)
{
    struct ext2dax_run run;

    return ext2dax_map(inode, page, PAGES, &run) == 0 && run.physical == 0 && run.length == PAGES;
}

static void count_file(struct ext2dax_mount *mount, const char *path, const struct ext2dax_mapping *noted)
{
    unsigned total = 0, is_backed = 0, huge = 0, wrong = 0;
    struct ext2dax_inode *inode;
    struct ext2dax_stat figures;

    if (!report(ext2dax_lookup_path(mount, path, strlen(path), 0, &inode) == 0, "%s: is there", path))
        return;
    ext2dax_stat(inode, &figures, sizeof(figures));
    for (uint64_t page = 0; (page + PAGES) * PAGE <= figures.size; page += PAGES) {
        bool one_run = backed(inode, page), as_huge = true;

        if (empty(inode, page))
            continue;
        for (unsigned write = 0; write < 2; write++) {
            struct ext2dax_fault fault = {.inode = inode,
                                          .page = page + 7,
                                          .mapping_first = 0,
                                          .mapping_count = UINT64_MAX,
                                          .address = (uintptr_t)(page + 7) * PAGE,
                                          .write = write != 0,
                                          .shared = true};
            bool served = ext2dax_pmd_fault(&fault) == EXT2DAX_FAULT_NOPAGE;

            wrong += served && !(noted->huge && noted->page == page && noted->count == PAGES &&
                                 noted->memory_offset % ((uint64_t)PAGE * PAGES) == 0);
            as_huge = as_huge && served;
        }
        total++;
        is_backed += one_run;
        huge += as_huge;
        wrong += as_huge != one_run;
    }
    report(wrong == 0, "%s: a huge page over every aligned run, and over nothing else", path);
    /* cold and warm are equal */
    printf("ranges %s %u %u %u %u\n", path, total, is_backed, huge, huge);
    ext2dax_inode_put(inode);
}

static int ranges(const char *image)
{
    static const struct ext2dax_address_space_ops ops = {
        .size = sizeof(ops), .map = note_map, .unmap = no_unmap, .protect = no_protect};
    struct ext2dax_mount_options options = {.size = sizeof(options), .recover = ext2dax_recover};
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_default(), .host = ext2dax_host_default()};
    struct ext2dax_mapping noted;
    struct ext2dax_mount *mount;
    int error = ext2dax_memory_open_file(image, 0, 0, &plugs.memory);

    if (error != 0)
        return failed(image, "open", error);
    plugs.address_space = (struct ext2dax_address_space){&ops, &noted};
    error = ext2dax_mount(&plugs, &options, &mount);
    if (error == 0) {
        for (unsigned i = 0; round_trip_ranges(i); i++)
            count_file(mount, round_trip_ranges(i), &noted);
        error = ext2dax_unmount(mount);
    }
    ext2dax_memory_close_file(&plugs.memory);
    if (error != 0)
        return failed(image, "mount", error);
    return !report_sum();
}

int main(int count, char **arguments)
{
    if (count == 4 && strcmp(arguments[1], "format") == 0)
        return format(arguments[2], arguments[3]);
    if (count == 5 && strcmp(arguments[1], "act") == 0)
        return act(arguments[2], arguments[3], (unsigned)atoi(arguments[4]));
    if (count == 3 && strcmp(arguments[1], "ranges") == 0)
        return ranges(arguments[2]);
    fputs("usage: host format IMAGE BYTES | act IMAGE FIRST PHASE | ranges IMAGE\n", stderr);
    return 2;
}
