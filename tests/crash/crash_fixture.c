/* SPDX-License-Identifier: MIT */
#include "crash_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../host_ops.h"
#include "crash_memory.h"

struct crash_fixture *crash_fixture_open(const struct base *base, const struct crash_options *options)
{
    struct crash_fixture *fixture = calloc(1, sizeof *fixture);

    fixture->base = base;
    fixture->options = *options;
    fixture->size = (size_t)base->block_size * base->blocks;
    fixture->image = aligned_alloc(64, fixture->size);
    fixture->repaired = aligned_alloc(64, fixture->size);
    fixture->expect = malloc(sizeof *fixture->expect);
    fixture->start = malloc(sizeof *fixture->start);
    fixture->kept = aligned_alloc(64, fixture->size);
    fixture->kept_expect = malloc(sizeof *fixture->kept_expect);
    fixture->options.discard = base->discard;
    crash_memory_open(&fixture->options, fixture->size, &fixture->memory, &fixture->crash);
    expect_open(fixture->expect, base->block_size);
    crash_make_base(fixture);
    return fixture;
}

void crash_fixture_close(struct crash_fixture *fixture)
{
    ext2dax_crash_close(fixture->crash);
    free(fixture->kept_expect);
    free(fixture->kept);
    free(fixture->start);
    free(fixture->expect);
    free(fixture->repaired);
    free(fixture->image);
    free(fixture);
}

/*
 * Clears the known attributes of all files. Any call except a sync may change the times of more
 * than the file it names.
 */
static void forget_attributes(struct crash_fixture *fixture)
{
    for (int i = 0; i < EXPECT_FILES; i++)
        fixture->expect->file[i].attributes_known = false;
}

static void begin_workload(struct crash_fixture *fixture)
{
    expect_copy(fixture->expect, fixture->start);
    ext2dax_crash_check(fixture->crash, NULL, NULL);
    ext2dax_crash_load(fixture->crash, fixture->image);
    fixture->clock = fixture->base->small_clock ? SMALL_CLOCK : FIXED_TIME + 1000;
    fixture->frozen = fixture->unlinked = fixture->closed = false;
    fixture->strict = fixture->settled = false;
    crash_open_mount(fixture);
    for (int i = FILE_A; i <= FILE_S; i++) {
        char name[256];

        if (i > FILE_B && !(i == FILE_S && fixture->base->xattrs))
            continue;
        crash_must(fixture,
                   ext2dax_lookup(fixture->root, crash_name(&fixture->expect->file[i], name),
                                  fixture->expect->file[i].name_length, &fixture->inode[i]),
                   "lookup");
    }
}

static void end_workload(struct crash_fixture *fixture)
{
    ext2dax_crash_check(fixture->crash, NULL, NULL);
    if (fixture->frozen)
        (void)ext2dax_thaw(fixture->mount);
    (void)crash_close_mount(fixture);
}

/* Returns whether all earlier changes are durable after the call, in ordered and unordered mode. */
static bool syncs(const struct call *call)
{
    return call->kind == CALL_FSYNC || call->kind == CALL_FSYNC_RANGE || call->kind == CALL_SYNC ||
           call->kind == CALL_FREEZE || call->kind == CALL_UNMOUNT;
}

/* Returns whether the call has set the size of "a", which may have a block exactly at its end. */
static bool settles(const struct crash_fixture *fixture, const struct call *call)
{
    return call->file == FILE_A &&
           (call->kind == CALL_TRUNCATE || fixture->expect->file[FILE_A].size != fixture->start->file[FILE_A].size);
}

bool crash_fixture_run(struct crash_fixture *fixture, const struct call *const *calls, unsigned count)
{
    uint64_t findings = fixture->tally.findings;
    bool fits = true, whole = true; /* `whole` is true while every call did all of its work */
    int rc = 0;

    fixture->calls = calls;
    fixture->keeping = true;
    fixture->kept_any = false;
    begin_workload(fixture);
    for (unsigned i = 0; i < count && fits; i++) {
        fixture->count = i + 1;
        fixture->expect->inside = true;
        forget_attributes(fixture);
        if (i + 1 == count && !fixture->base->unordered)
            ext2dax_crash_check(fixture->crash, crash_check_state, fixture);
        rc = crash_perform(fixture, calls[i]);
        fits = rc != 2;
        fixture->settled = fixture->settled || (rc == 0 && settles(fixture, calls[i]));
        whole = whole && rc == 0;
        ext2dax_crash_look(fixture->crash);
        expect_returned(fixture->expect);
    }
    if (fits && rc < 0) {
        char text[64];

        snprintf(text, sizeof text, "the call fails: %d", rc);
        crash_report(fixture, "call", 0, text);
    }
    /*
     * Metadata is durable after a call has returned. Blocks and inodes given back by a failed call
     * may still leak.
     */
    fixture->strict = whole;
    if (fixture->base->unordered)
        fits = fits && syncs(calls[count - 1]);
    if (fits && fixture->tally.findings == findings)
        ext2dax_crash_check(fixture->crash, crash_check_state, fixture);
    if (fits && fixture->tally.findings == findings)
        (void)ext2dax_crash_point(fixture->crash);
    end_workload(fixture);
    fixture->tally.workloads += fits;
    fixture->tally.unfit += !fits;
    return fits;
}

void crash_fixture_recover(struct crash_fixture *fixture)
{
    uint64_t findings = fixture->tally.findings;

    if (!fixture->kept_any || fixture->base->unordered)
        return;
    expect_copy(fixture->expect, fixture->kept_expect);
    fixture->keeping = fixture->strict = fixture->closed = fixture->unlinked = fixture->settled = false;
    fixture->recovering = true;
    ext2dax_crash_load(fixture->crash, fixture->kept);
    ext2dax_crash_check(fixture->crash, crash_check_state, fixture);
    crash_open_mount(fixture);
    /* After the mount has returned, recovery is complete and durable. */
    fixture->strict = fixture->settled = true;
    if (fixture->tally.findings == findings)
        (void)ext2dax_crash_point(fixture->crash);
    ext2dax_crash_check(fixture->crash, NULL, NULL);
    (void)crash_close_mount(fixture);
    fixture->recovering = false;
    fixture->tally.workloads++;
}

void crash_fixture_format(struct crash_fixture *fixture)
{
    struct ext2dax_format_options format = crash_format_options(fixture);

    memset(fixture->repaired, FREE_MARKER, fixture->size);
    ext2dax_crash_check(fixture->crash, NULL, NULL);
    /* Formats over an existing filesystem. No part of the old one may remain visible. */
    ext2dax_crash_load(fixture->crash, fixture->image);
    fixture->formatting = fixture->expect->inside = true;
    fixture->count = 0;
    ext2dax_crash_check(fixture->crash, crash_check_format, fixture);
    crash_must(fixture, ext2dax_format(&fixture->memory, &format, NULL), "format");
    fixture->expect->inside = false;
    (void)ext2dax_crash_point(fixture->crash);
    ext2dax_crash_check(fixture->crash, NULL, NULL);
    fixture->formatting = false;
    fixture->tally.workloads++;
}

const struct tally *crash_fixture_tally(const struct crash_fixture *fixture)
{
    return crash_memory_tally(fixture->crash, &fixture->tally);
}

const char *crash_fixture_finding(const struct crash_fixture *fixture)
{
    return fixture->finding;
}
