/* SPDX-License-Identifier: MIT */
/*
 * The command map. Prints the layout of a file, which is extents, holes, and the PMD ranges
 * mappable by a huge page.
 *
 * A PMD range counts if wholly below the end of file. A PMD range counts as huge if a single
 * extent covers the range and the extent is aligned to the PMD size in memory. PMD ranges exist
 * only if the block size equals the page size. With any other block size no fault is served,
 * and both counts are 0.
 */
#include "mapper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct layout {
    uint64_t size;   /* bytes */
    uint64_t blocks; /* up to the end of file */
    uint64_t block_size;
    uint64_t range; /* blocks per PMD range, 0 if this block size has no PMD ranges */
    uint64_t ranges, huge_ranges;
    uint64_t extents, holes, data; /* in runs, runs and blocks */
    struct runs runs;
};

/*
 * Computes the PMD ranges [*first, *end) covered by a run with aligned memory. Leaves out a
 * partial last PMD range of the file.
 */
static void huge_in(const struct layout *layout, const struct ext2dax_run *run, uint64_t *first, uint64_t *end)
{
    uint64_t range = layout->range;

    *first = *end = 0;
    if (!range || !run->physical || (run->physical - run->logical) % range)
        return;
    *first = (run->logical + range - 1) / range;
    *end = (run->logical + run->length) / range;
    if (*end > layout->ranges)
        *end = layout->ranges;
    if (*end < *first)
        *end = *first;
}

static int layout_read(struct layout *layout, struct image *image, struct ext2dax_inode *inode)
{
    const struct ext2dax_statfs *figures = &image->figures;
    struct ext2dax_stat stat;

    memset(layout, 0, sizeof(*layout));
    ext2dax_stat(inode, &stat, sizeof(stat));
    layout->size = stat.size;
    layout->block_size = figures->block_size;
    layout->blocks = (stat.size + figures->block_size - 1) / figures->block_size;
    layout->range = figures->pmd_pages;
    layout->ranges = layout->range ? layout->blocks / layout->range : 0;
    int error = runs_collect(&layout->runs, inode, 0, layout->blocks);
    for (size_t i = 0; i < layout->runs.count; i++) {
        const struct ext2dax_run *run = &layout->runs.list[i];
        uint64_t first, end;
        huge_in(layout, run, &first, &end);
        layout->huge_ranges += end - first;
        layout->extents += run->physical != 0;
        layout->holes += run->physical == 0;
        layout->data += run->physical ? run->length : 0;
    }
    return error;
}

static void print_json(const struct layout *layout)
{
    const char *comma = "";

    printf("{\"size\": %llu, \"block_size\": %llu, \"extents\": [", (unsigned long long)layout->size,
           (unsigned long long)layout->block_size);
    for (size_t i = 0; i < layout->runs.count; i++) {
        const struct ext2dax_run *run = &layout->runs.list[i];
        if (!run->physical)
            continue;
        printf("%s\n  {\"logical\": %llu, \"physical\": %llu, \"length\": %llu}", comma,
               (unsigned long long)run->logical, (unsigned long long)run->physical, (unsigned long long)run->length);
        comma = ",";
    }
    comma = "";
    printf("], \"holes\": [");
    for (size_t i = 0; i < layout->runs.count; i++) {
        const struct ext2dax_run *run = &layout->runs.list[i];
        if (run->physical)
            continue;
        printf("%s\n  {\"logical\": %llu, \"length\": %llu}", comma, (unsigned long long)run->logical,
               (unsigned long long)run->length);
        comma = ",";
    }
    printf("], \"huge_ranges\": %llu, \"ranges\": %llu}\n", (unsigned long long)layout->huge_ranges,
           (unsigned long long)layout->ranges);
}

/*
 * The look of a cell of the strip. Block characters and colour need a terminal with a UTF-8
 * locale.
 */
enum look { HOLE, PARTLY, DATA, HUGE, LOOKS };
static const char *const plain[LOOKS] = {".", "+", "#", "H"};
static const char *const fancy[LOOKS] = {"░", "▒", "▓", "█"};
static const char *const colours[LOOKS] = {"\033[90m", "\033[33m", "\033[36m", "\033[32m"};
static const char *const names[LOOKS] = {"hole", "part data", "data", "huge PMD range"};

static bool terminal_is_fancy(void)
{
    static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    const char *locale = NULL, *term = getenv("TERM");

    for (unsigned i = 0; i < 3 && (!locale || !*locale); i++)
        locale = getenv(variables[i]);
    return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") && locale &&
           (strstr(locale, "UTF-8") || strstr(locale, "utf8"));
}

static unsigned terminal_columns(void)
{
    struct winsize terminal;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &terminal) || terminal.ws_col < 20)
        return 80;
    return terminal.ws_col > 200 ? 200 : terminal.ws_col;
}

/*
 * Adds the blocks [first, end) to the count of each cell. Cell c begins at block
 * c * blocks / count, rounded down.
 */
static void spread(uint64_t *cells, unsigned count, uint64_t blocks, uint64_t first, uint64_t end)
{
    uint64_t whole = blocks / count, rest = blocks % count;

    for (unsigned c = 0; c < count; c++) {
        uint64_t from = whole * c + rest * c / count, to = whole * (c + 1) + rest * (c + 1) / count;
        if (from >= end)
            break;
        from = from < first ? first : from;
        to = to > end ? end : to;
        if (from < to)
            cells[c] += to - from;
    }
}

static void print_strip(const struct layout *layout)
{
    uint64_t data[200] = {0}, huge[200] = {0};
    unsigned columns = terminal_columns();
    unsigned cells = layout->blocks < columns ? (unsigned)layout->blocks : columns;
    bool is_fancy = terminal_is_fancy();
    const char *const *looks = is_fancy ? fancy : plain;
    enum look last = LOOKS;

    if (!cells)
        return;
    for (size_t i = 0; i < layout->runs.count; i++) {
        const struct ext2dax_run *run = &layout->runs.list[i];
        uint64_t first, end;
        if (!run->physical)
            continue;
        spread(data, cells, layout->blocks, run->logical, run->logical + run->length);
        huge_in(layout, run, &first, &end);
        spread(huge, cells, layout->blocks, first * layout->range, end * layout->range);
    }
    for (unsigned c = 0; c < cells; c++) {
        uint64_t rest = layout->blocks % cells;
        uint64_t whole = layout->blocks / cells + rest * (c + 1) / cells - rest * c / cells;
        enum look look = !data[c] ? HOLE : data[c] < whole ? PARTLY : huge[c] < whole ? DATA : HUGE;
        if (is_fancy && look != last)
            fputs(colours[look], stdout);
        fputs(looks[look], stdout);
        last = look;
    }
    fputs(is_fancy ? "\033[0m\n" : "\n", stdout);
    for (unsigned i = 0; i < LOOKS; i++)
        printf("%s%s%s %s%s", is_fancy ? colours[i] : "", looks[i], is_fancy ? "\033[0m" : "", names[i],
               i + 1 < LOOKS ? "  " : "\n");
}

static void print_table(const struct layout *layout, const char *path)
{
    print_text(stdout, path, strlen(path));
    printf(": %llu bytes in blocks of %llu: %llu data, %llu extents, %llu holes; %llu of %llu PMD ranges huge\n",
           (unsigned long long)layout->size, (unsigned long long)layout->block_size, (unsigned long long)layout->data,
           (unsigned long long)layout->extents, (unsigned long long)layout->holes,
           (unsigned long long)layout->huge_ranges, (unsigned long long)layout->ranges);
    if (layout->runs.count)
        printf("%14s %12s %14s\n", "logical", "physical", "length");
    for (size_t i = 0; i < layout->runs.count; i++) {
        const struct ext2dax_run *run = &layout->runs.list[i];
        uint64_t first, end;
        huge_in(layout, run, &first, &end);
        printf("%14llu ", (unsigned long long)run->logical);
        if (run->physical)
            printf("%12llu", (unsigned long long)run->physical);
        else
            printf("%12s", "hole");
        printf(" %14llu", (unsigned long long)run->length);
        if (end > first)
            printf("  %llu huge", (unsigned long long)(end - first));
        putchar('\n');
    }
    print_strip(layout);
}

int command_map(const struct request *request)
{
    struct image image;
    struct layout layout;
    struct ext2dax_inode *inode;
    const char *path = request->args[0];

    if (request->access != ACCESS_NOTHING)
        return command_access(request);
    int code = image_open(&image, request, false);
    if (!code)
        code = image_file(&image, "map", path, &inode);
    if (!code) {
        int error = layout_read(&layout, &image, inode);
        if (error)
            code = image_failed(&image, error, "map %s", path);
        else if (request->json)
            print_json(&layout);
        else
            print_table(&layout, path);
        runs_free(&layout.runs);
        ext2dax_inode_put(inode);
    }
    return image_close(&image, code);
}
