/* SPDX-License-Identifier: MIT */
/* The checks of every image a crash of the crash fixture could leave. */
#include "crash_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/ondisk.h"
#include "ext2dax/testkit/checker.h"
#include "crash_memory.h"

void crash_must(struct crash_fixture *fixture, int rc, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "%s: %s: %d\n", fixture->base->name, what, rc);
    exit(2);
}

void crash_report(struct crash_fixture *fixture, const char *checker, char file, const char *what)
{
    size_t at = 0;

    fixture->tally.findings++;
    at += (size_t)snprintf(fixture->finding, sizeof fixture->finding, "%s:", fixture->base->name);
    for (unsigned i = 0; i < fixture->count && at < sizeof fixture->finding; i++)
        at += (size_t)snprintf(fixture->finding + at, sizeof fixture->finding - at, "%s %s", i != 0 ? "," : "",
                               fixture->calls[i]->name);
    if (at < sizeof fixture->finding)
        snprintf(fixture->finding + at, sizeof fixture->finding - at, "%s (%s): %s: %s%.*s%s",
                 fixture->formatting   ? " format"
                 : fixture->recovering ? ", recovery"
                                       : "",
                 fixture->expect->inside ? "while it runs" : "when it has returned", checker, file != 0 ? "\"" : "",
                 file != 0, &file, file != 0 ? "\" " : "");
    at = strlen(fixture->finding);
    snprintf(fixture->finding + at, sizeof fixture->finding - at, "%s", what);
    if (!fixture->options.quiet)
        printf("FINDING %s\n", fixture->finding);
}

bool crash_passes_check(struct crash_fixture *fixture, const unsigned char *image, unsigned flags)
{
    unsigned ends = fixture->base->at_end && !fixture->settled ? EXT2DAX_CHECK_ENDS_OK : 0;
    const char *wrong = crash_memory_check(image, fixture->size, flags | ends);

    if (!wrong)
        return true;
    crash_report(fixture, "checker", 0, wrong);
    return false;
}

bool crash_passes_contents(struct crash_fixture *fixture, const unsigned char *image, const char *checker)
{
    char file = 0;
    const char *wrong = expect_check(fixture->expect, image, &file);

    fixture->tally.contents++;
    if (!wrong)
        return true;
    crash_report(fixture, checker, file, wrong);
    return false;
}

static bool passes_fsck(struct crash_fixture *fixture, const unsigned char *image)
{
    const char *wrong;

    memcpy(fixture->repaired, image, fixture->size);
    wrong = crash_memory_fsck(fixture->repaired, fixture->size, &fixture->tally);
    if (wrong) {
        crash_report(fixture, "e2fsck", 0, wrong);
        return false;
    }
    return crash_passes_check(fixture, fixture->repaired, 0) &&
           crash_passes_contents(fixture, fixture->repaired, "contents after e2fsck");
}

/*
 * Returns the check flags for the image. An image marked clean gets none, because e2fsck would not
 * scan it.
 */
static unsigned allowed(const struct crash_fixture *fixture, const unsigned char *image)
{
    if (image_valid(image))
        return 0;
    if (!fixture->strict)
        return EXT2DAX_CHECK_LEAKS_OK;
    return EXT2DAX_CHECK_MOUNTED | (fixture->unlinked ? EXT2DAX_CHECK_UNLINKED_OK : 0);
}

/*
 * Returns whether the image belongs to the e2fsck sample. Excludes images marked clean, because
 * e2fsck would not scan them.
 */
static bool fits_fsck(const struct crash_fixture *fixture, const struct ext2dax_crash_state *state)
{
    return fixture->options.fsck_one_in != 0 && !state->before && state->hash % fixture->options.fsck_one_in == 0 &&
           fixture->tally.fscked < fixture->options.fsck_most && !image_valid(state->image);
}

int crash_check_state(void *arg, const struct ext2dax_crash_state *state)
{
    struct crash_fixture *fixture = arg;
    const unsigned char *image = state->image;
    unsigned flags = allowed(fixture, image);

    fixture->tally.images++;
    if (fixture->options.only_fsck)
        return fits_fsck(fixture, state) && !passes_fsck(fixture, image);
    if (state->before && flags == EXT2DAX_CHECK_LEAKS_OK) {
        fixture->tally.known++;
    } else {
        fixture->tally.checked += !state->before;
        fixture->tally.known += state->before;
        fixture->tally.strict += flags != EXT2DAX_CHECK_LEAKS_OK;
        if (!crash_passes_check(fixture, image, flags))
            return 1;
    }
    if (fixture->closed && !image_valid(image)) {
        crash_report(fixture, "state", 0, "not marked clean");
        return 1;
    }
    if (fixture->options.only_checker)
        return 0;
    if (!crash_passes_contents(fixture, image, "contents"))
        return 1;
    if (fixture->keeping && !state->before && !image_valid(image) && state->hash % 61 == 0) {
        memcpy(fixture->kept, image, fixture->size);
        expect_copy(fixture->kept_expect, fixture->expect);
        fixture->kept_any = true;
    }
    return fits_fsck(fixture, state) && !passes_fsck(fixture, image);
}

int crash_check_format(void *arg, const struct ext2dax_crash_state *state)
{
    struct crash_fixture *fixture = arg;
    const unsigned char *image = state->image;
    bool whole = image_get16(&image_super(image)->magic) == EXT2DAX_SUPER_MAGIC;

    fixture->tally.images++;
    fixture->tally.checked += !state->before;
    fixture->tally.known += state->before;
    if (whole)
        return crash_passes_check(fixture, image, 0) ? 0 : 1;
    if (fixture->expect->inside)
        return 0;
    crash_report(fixture, "state", 0, "no filesystem");
    return 1;
}
