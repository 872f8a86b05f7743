/* SPDX-License-Identifier: MIT */
/*
 * The address space of a process. Counts VMAs as the kernel counts them, and keeps the limit.
 *
 * The count is an upper bound. It is exact except where the kernel merges neighbours mapping
 * adjacent blocks. It has three parts.
 *
 *     own      chunks of reserved addresses, mappings and spare mappings with userfaultfd, records
 *              too large for the heap, the page range of the reserve
 *     starts   pages of mappings at which a VMA begins, guard pages included (E2DH_PAGE_START)
 *     reserve  VMAs held in the page range of the reserve
 *
 * Mapping a page splits a VMA in at most three, which adds two. Room for a page means room for the
 * two, for the full reserve and, with userfaultfd, for the VMA set up at a temporary address.
 *
 * A mapping is added only if LEAST_SHOWN more VMAs fit. LEAST_SHOWN is enough for a single
 * instruction with two operands, each crossing a page boundary, and for one refused page. Eviction
 * cannot starve such an instruction. An evicted PMD range, once mapped again, is at the tail of the
 * queue, so in the end all pages of the instruction are present together.
 *
 * Not counted are the VMA of the image and the stacks of the two threads of userfaultfd.
 */
#include "process_vmas.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "process_page.h"
#include "process_backend.h"

#define DEFAULT_MAP_COUNT    65530u
#define LEAST_LIMIT          16u /* fits a chunk and a mapping with a large record */
#define LEAST_BY_USERFAULTFD 24u /* fits two mappings with large records */
#define MOST_SPARE           16u /* four pages need eight, the other eight serve eviction */
/* Bytes of /proc/self/maps. */
#define QUICK ((size_t)128 << 10)

/* ---- the limit ---- */

/* Returns half of the kernel's limit, since the program has VMAs of its own. */
static size_t default_limit(void)
{
    char text[32];
    ssize_t length;
    unsigned long value = 0;
    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        length = read(fd, text, sizeof(text) - 1);
        close(fd);
        if (length > 0) {
            text[length] = '\0';
            value = strtoul(text, NULL, 10);
        }
    }
    return (value ? value : DEFAULT_MAP_COUNT) / 2;
}

size_t e2dh_vmas_limit(const struct ext2dax_process *process, size_t wanted)
{
    size_t least = process->backend->asks ? LEAST_BY_USERFAULTFD : LEAST_LIMIT;

    wanted = wanted ? wanted : default_limit();
    return wanted > least ? wanted : least;
}

bool e2dh_vmas_claim(struct ext2dax_process *process, size_t own)
{
    if (process->own_vmas + own + e2dh_vmas_kept_back(process) + E2DH_LEAST_SHOWN > process->max_mappings)
        return false;
    process->own_vmas += own;
    process->vmas += own;
    while (process->own_vmas + e2dh_vmas_started(process) + e2dh_vmas_kept_back(process) > process->max_mappings &&
           e2dh_pages_evict(process))
        ;
    return true;
}

void e2dh_vmas_disclaim(struct ext2dax_process *process, size_t own)
{
    process->own_vmas -= own;
    process->vmas -= own;
}

/* ---- the reserve ---- */

bool e2dh_spare_open(struct ext2dax_process *process)
{
    char *at;

    if (process->spare)
        return true;
    process->spare_wanted = (process->max_mappings - E2DH_LEAST_SHOWN + 2) / 4;
    if (process->spare_wanted > MOST_SPARE)
        process->spare_wanted = MOST_SPARE;
    if (!e2dh_vmas_claim(process, 1))
        return false;
    at = mmap(NULL, e2dh_spare_bytes(process), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        e2dh_vmas_disclaim(process, 1);
        return false;
    }
    (void)madvise(at, e2dh_spare_bytes(process), MADV_DONTFORK);
    process->spare = at;
    return true;
}

void e2dh_spare_close(struct ext2dax_process *process)
{
    if (!process->spare)
        return;
    e2dh_spare_release(process);
    munmap(process->spare, e2dh_spare_bytes(process));
    process->spare = NULL;
    e2dh_vmas_disclaim(process, 1);
}

/* ---- check of the count ---- */

static bool record_is_right(const struct e2dh_mapping *mapping)
{
    uint64_t pages = (uint64_t)1 << mapping->huge_order, index = 0;
    size_t all = 0;

    while (index < mapping->count) {
        const struct e2dh_pmd_range *range = e2dh_pmd_range_at(mapping, index);
        uint64_t end = e2dh_pmd_range_end(mapping, index, mapping->count);
        size_t starts = 0, bare = 0, entered = 0;

        /*
         * Skips a PMD range never accessed, like most of a large mapping, without reading the
         * record of its pages.
         */
        if (range->starts == 0 && range->bare == 0 && range->entered == 0) {
            index = end;
            continue;
        }
        for (; index < end; index++) {
            starts += (mapping->pages[index] & E2DH_PAGE_START) != 0;
            bare += (mapping->pages[index] & E2DH_PAGE_BARE) != 0;
            entered += e2dh_page_of(mapping, index) != E2DH_PAGE_NONE;
        }
        if (starts != range->starts || bare != range->bare || entered != range->entered || entered > pages)
            return false;
        all += starts;
    }
    all += (mapping->pages[mapping->count] & E2DH_PAGE_START) != 0;
    return all == mapping->starts;
}

static bool overlaps(uintptr_t low, uintptr_t high, const void *at, size_t bytes)
{
    return at && low < (uintptr_t)at + bytes && high > (uintptr_t)at;
}

static bool is_ours(const struct ext2dax_process *process, uintptr_t low, uintptr_t high)
{
    size_t first = 0, end = process->mapping_count;

    if (process->spare && overlaps(low, high, process->spare, e2dh_spare_bytes(process)))
        return true;
    for (const struct e2dh_chunk *chunk = process->chunks; chunk; chunk = chunk->next)
        if (overlaps(low, high, chunk->at, chunk->bytes))
            return true;
    while (first < end) {
        size_t middle = first + (end - first) / 2;

        if ((uintptr_t)process->mappings[middle]->address + process->mappings[middle]->reserved <= low)
            first = middle + 1;
        else
            end = middle;
    }
    return first < process->mapping_count &&
           overlaps(low, high, process->mappings[first]->address, process->mappings[first]->reserved);
}

/*
 * Returns the number of records outside the heap. The VMA of such a record may merge with other
 * anonymous memory, so each record counts as a VMA.
 */
static size_t large_records(const struct ext2dax_process *process)
{
    size_t found = 0;

    for (size_t i = 0; i < process->mapping_count; i++)
        found += e2dh_record_is_mapped(process->mappings[i]);
    return found;
}

/* Fields of a line "low-high …" of /proc/self/maps. */
struct line {
    uintptr_t low, high;
    unsigned fields; /* fields begun, of which 0 and 1 are addresses */
};

static void read_character(struct line *line, char c)
{
    uintptr_t digit;

    if (c == '-' || c == ' ') {
        line->fields++;
        return;
    }
    digit = (uintptr_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    if (line->fields == 0)
        line->low = line->low << 4 | digit;
    else if (line->fields == 1)
        line->high = line->high << 4 | digit;
}

/* Returns the number of VMAs the kernel has for the process object, or 0 if unknown. */
static size_t kernel_count(const struct ext2dax_process *process, bool quick)
{
    struct line line = {0, 0, 0};
    char text[1024];
    size_t found = 0, all = 0;
    ssize_t got = 0;
    int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

    if (file < 0)
        return 0;
    while ((!quick || all < QUICK) && (got = read(file, text, sizeof(text))) > 0) {
        all += (size_t)got;
        for (ssize_t i = 0; i < got; i++) {
            if (text[i] != '\n') {
                read_character(&line, text[i]);
                continue;
            }
            found += is_ours(process, line.low, line.high);
            memset(&line, 0, sizeof(line));
        }
    }
    close(file);
    return got == 0 ? found + large_records(process) : 0;
}

bool e2dh_vmas_are_right(struct ext2dax_process *process, bool quick, size_t *found)
{
    size_t own = process->spare ? 1 : 0, starts = 0;

    *found = 0;
    for (const struct e2dh_chunk *chunk = process->chunks; chunk; chunk = chunk->next)
        own += 1 + chunk->left;
    for (size_t i = 0; i < process->mapping_count; i++) {
        own += process->mappings[i]->own;
        starts += process->mappings[i]->starts;
        if (!record_is_right(process->mappings[i]))
            return false;
    }
    /* With userfaultfd, a mapping under construction is counted before it enters the array. */
    if (own > process->own_vmas || starts != e2dh_vmas_started(process))
        return false;
    *found = kernel_count(process, quick);
    return *found <= process->vmas;
}

#if defined(E2DH_CHECK_VMAS)
/*
 * Tests whether the program locks memory, which splits VMAs of the process object on behalf of the
 * program. Returns true if unknown.
 */
static bool is_memory_locked(void)
{
    static const char name[] = "VmLck:";
    char text[2048];
    const char *at;
    ssize_t got = 0;
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

    if (file >= 0) {
        got = read(file, text, sizeof(text) - 1);
        close(file);
    }
    text[got > 0 ? got : 0] = '\0';
    at = strstr(text, name);
    if (!at)
        return true;
    at += sizeof(name) - 1;
    return at[strspn(at, " \t0")] != 'k';
}

void e2dh_vmas_assert(struct ext2dax_process *process)
{
    size_t found;

    if (!e2dh_vmas_are_right(process, true, &found) && (found <= process->vmas || !is_memory_locked()))
        abort();
}
#else
void e2dh_vmas_assert(struct ext2dax_process *process)
{
    (void)process;
}
#endif
