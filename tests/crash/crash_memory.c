/* SPDX-License-Identifier: MIT */
#include "crash_memory.h"

#include <stdio.h>
#include <stdlib.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/testkit/checker.h"

void crash_memory_open(const struct crash_options *options, size_t bytes, struct ext2dax_memory *memory,
                       struct ext2dax_crash **crash)
{
    struct ext2dax_crash_options wanted = {.size = sizeof wanted,
                                           .bytes = bytes,
                                           .line = options->line,
                                           .all_up_to = options->all_up_to,
                                           .sample = options->sample,
                                           .seed = options->seed,
                                           .remember_log = options->remember_log,
                                           .discard = options->discard};
    int error = ext2dax_crash_open(&wanted, memory, crash);

    if (error == 0)
        return;
    fprintf(stderr, "crashing memory: %s\n", ext2dax_strerror(error));
    exit(2);
}

const struct tally *crash_memory_tally(const struct ext2dax_crash *crash, const struct tally *tally)
{
    struct tally *own = (struct tally *)(uintptr_t)tally;
    struct ext2dax_crash_figures figures;

    ext2dax_crash_count(crash, &figures);
    own->points = figures.points;
    own->points_whole = figures.points_whole;
    own->unremembered = figures.unremembered;
    return own;
}

int crash_memory_mount(const struct ext2dax_memory *memory, const struct ext2dax_host *host,
                       struct ext2dax_mount **mount)
{
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_by_name("none"), .memory = *memory, .host = *host};
    struct ext2dax_mount_options options = {.size = sizeof options,
                                            .page_shift = 10,
                                            .huge_order = 3,
                                            .order = EXT2DAX_ORDERED,
                                            .recover = ext2dax_recover};

    return ext2dax_mount(&plugs, &options, mount);
}

static void keep_finding(void *arg, const struct ext2dax_finding *finding)
{
    char *text = arg;

    if (text[0] == '\0')
        (void)ext2dax_finding_text(finding, text, 160);
}

const char *crash_memory_check(const void *image, size_t size, unsigned flags)
{
    static char text[160];
    int rc;

    text[0] = '\0';
    rc = ext2dax_check_image(image, size, flags, keep_finding, text, NULL);
    if (rc == 0)
        return NULL;
    if (rc < 0)
        snprintf(text, sizeof text, "cannot be checked: %d", rc);
    return text;
}

const char *crash_memory_fsck(unsigned char *image, size_t size, struct tally *tally)
{
    int status;
    const char *wrong = fsck_repair(image, size, &status);

    tally->fscked++;
    if (status == 0 || status == 1)
        tally->fsck_exit[status]++;
    else
        tally->fsck_failed++;
    return wrong;
}
