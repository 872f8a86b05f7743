/* SPDX-License-Identifier: MIT */
/*
 * Detects PMD ranges mapped by Linux with a huge page. /proc/self/smaps does not count huge entries
 * of DAX, so the test counts the page faults of an access to every page of a range, either a single
 * fault or a fault per page. The kernel's trace of huge faults confirms the count independently.
 *
 * Each pass needs a mount of its own, because Linux keeps state. A range once mapped page by page
 * stays so until the inode is evicted. Runs of blocks already seen are merged, even where the map
 * call would have stopped at the end of a pointer block. The test therefore reports two figures,
 * for a file not accessed since mount ("cold"), and after an access to all of its blocks ("warm").
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"
#include "report.h"
#include "trace.h"

#define PAGE       4096u
#define PAGES      512u
#define PMD_RANGE  ((uint64_t)PAGE * PAGES)
#define POINTERS   (PAGE / 4)
#define EXTENTS    64u
#define PMD_RANGES 64u

enum backing { EMPTY, SCATTERED, BACKED };

/*
 * Returns the backing of a PMD range. BACKED is a single run of blocks starting at a multiple of
 * PMD_RANGE. Linux reports the run in pieces.
 */
static enum backing backing(int descriptor, uint64_t start)
{
    struct fiemap *map = calloc(1, sizeof(*map) + EXTENTS * sizeof(map->fm_extents[0]));
    enum backing found = SCATTERED;
    uint64_t at = start;

    if (!map)
        return SCATTERED;
    map->fm_start = start;
    map->fm_length = PMD_RANGE;
    map->fm_extent_count = EXTENTS;
    if (ioctl(descriptor, FS_IOC_FIEMAP, map) == 0) {
        for (unsigned i = 0; i < map->fm_mapped_extents; i++) {
            const struct fiemap_extent *extent = &map->fm_extents[i];

            if (extent->fe_logical > at || (extent->fe_physical - extent->fe_logical) % PMD_RANGE != 0 ||
                extent->fe_physical - extent->fe_logical !=
                    map->fm_extents[0].fe_physical - map->fm_extents[0].fe_logical)
                break;
            at = extent->fe_logical + extent->fe_length;
        }
        found = map->fm_mapped_extents == 0 ? EMPTY : at >= start + PMD_RANGE ? BACKED : SCATTERED;
    }
    free(map);
    return found;
}

/* Does a pointer block end inside the range? Linux's map call stops there. */
static bool cut(uint64_t start)
{
    uint64_t first = start / PAGE, next = 12;

    while (next <= first)
        next += POINTERS;
    return next < first + PAGES;
}

static long faults(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

/*
 * Returns the page faults of an access to every page of a PMD range through a new mapping. The
 * access reads a byte of each page, or stores the byte already present. Returns -1 on failure.
 */
static long access_range(int descriptor, uint64_t start, const uint8_t *store)
{
    int protection = PROT_READ | (store ? PROT_WRITE : 0);
    uint8_t *room = mmap(NULL, 2 * PMD_RANGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *at;
    long count = -1;

    if (room == MAP_FAILED)
        return -1;
    at = (uint8_t *)(((uintptr_t)room + PMD_RANGE - 1) & ~(PMD_RANGE - 1));
    if (mmap(at, PMD_RANGE, protection, MAP_SHARED | MAP_FIXED, descriptor, (off_t)start) != MAP_FAILED) {
        count = -faults();
        for (unsigned page = 0; page < PAGES; page++) {
            volatile uint8_t *byte = at + (size_t)page * PAGE;

            if (store)
                *byte = store[page];
            else
                (void)*byte;
        }
        count += faults();
    }
    munmap(room, 2 * PMD_RANGE);
    return count;
}

static bool traced(void)
{
    return trace_put(TRACE "buffer_size_kb", "4096") && trace_put(TRACE "trace", "") && trace_put(EVENT, "1") &&
           trace_put(TRACE "tracing_on", "1");
}

static struct {
    enum backing behind[PMD_RANGES];
    /* first byte of each page, for a store leaving the file unchanged */
    uint8_t bytes[PMD_RANGES][PAGES];
    unsigned total, backed;
    unsigned huge[2][2]; /* cold and warm, for reads and stores */
} counted;

static void classify(int descriptor, unsigned ranges)
{
    memset(&counted, 0, sizeof(counted));
    for (unsigned i = 0; i < ranges; i++) {
        counted.behind[i] = backing(descriptor, i * PMD_RANGE);
        counted.total += counted.behind[i] != EMPTY;
        counted.backed += counted.behind[i] == BACKED;
        for (unsigned page = 0; page < PAGES; page++) {
            if (pread(descriptor, &counted.bytes[i][page], 1, (off_t)(i * PMD_RANGE + (uint64_t)page * PAGE)) != 1)
                counted.behind[i] = SCATTERED;
        }
    }
}

static void access_all(int descriptor, const char *path, unsigned ranges, bool warm, bool store)
{
    const char *what = store ? "to store" : "to read", *when = warm ? "warm" : "cold";
    unsigned huge = 0, odd = 0, wrong = 0, missed = 0;

    for (unsigned i = 0; warm && i < ranges; i++)
        (void)backing(descriptor, i * PMD_RANGE);
    report(traced(), "%s: Linux traces its huge faults", path);
    for (unsigned i = 0; i < ranges; i++) {
        bool one_run = counted.behind[i] == BACKED;
        long faults;

        /*
         * Linux maps a huge zero page for an empty range. A store to a scattered range would fill
         * its holes.
         */
        if (counted.behind[i] == EMPTY || (store && !one_run))
            continue;
        faults = access_range(descriptor, i * PMD_RANGE, store ? counted.bytes[i] : NULL);
        huge += faults == 1;
        odd += faults != 1 && faults < (long)PAGES;
        wrong += faults == 1 && !one_run;
        missed += faults != 1 && one_run && !cut(i * PMD_RANGE);
    }
    trace_put(EVENT, "0");
    counted.huge[warm][store] = huge;
    report(odd == 0, "%s: %s, %s: every range takes one page fault, or one a page", path, when, what);
    report(wrong == 0, "%s: %s, %s: a huge page over nothing but an aligned run of blocks", path, when, what);
    report(missed == 0 && huge != 0, "%s: %s, %s: a huge page over every aligned run that no pointer block's end cuts",
           path, when, what);
    report(trace_huge_faults() == huge, "%s: %s, %s: %u huge pages by page faults, %u in the kernel's trace", path,
           when, what, huge, trace_huge_faults());
}

bool guest_count_ranges(const char *root, const char *path, unsigned pass)
{
    unsigned ranges;
    struct stat figures;
    char name[256];
    int descriptor;

    (void)snprintf(name, sizeof(name), "%s/%s", root, path);
    descriptor = open(name, O_RDWR | O_CLOEXEC);
    if (descriptor < 0 || fstat(descriptor, &figures) < 0 || (uint64_t)figures.st_size / PMD_RANGE > PMD_RANGES) {
        report(false, "%s: its ranges cannot be counted: %s", path, strerror(errno));
        return false;
    }
    ranges = (unsigned)((uint64_t)figures.st_size / PMD_RANGE);
    if (pass == 0)
        classify(descriptor, ranges);
    else
        access_all(descriptor, path, ranges, pass > 2, pass % 2 == 0);
    close(descriptor);
    if (pass < 4)
        return true;
    for (unsigned warm = 0; warm < 2; warm++)
        report(counted.huge[warm][0] == counted.huge[warm][1], "%s: as many huge pages to store as to read", path);
    printf("ranges %s %u %u %u %u\n", path, counted.total, counted.backed, counted.huge[0][0], counted.huge[1][0]);
    fflush(stdout);
    return false;
}
