/* SPDX-License-Identifier: MIT */
/* A picture of the layout of an image, for a terminal or as SVG. */
#include "picture.h"
#include "dax-image.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CELL 10u /* width and height in the SVG */

enum look { EMPTY, SMALL, LARGE };

static const char *const texts[] = {"free space and metadata", "data mapped by small pages",
                                    "data mapped by huge pages"};
static const char *const signs[] = {".", "+", "#"};
static const char *const colours[] = {"\033[90m", "\033[33m", "\033[32m"};
static const char *const fills[] = {"#e8e8e8", "#e08a2e", "#2e9e5b"};

void picture_begin(struct picture *picture, uint64_t blocks)
{
    memset(picture, 0, sizeof(*picture));
    picture->blocks = blocks;
}

/* Returns the first block of a cell. Blocks of an image are fewer than 2^32. */
static uint64_t start_of(const struct picture *picture, uint64_t cell)
{
    return (picture->blocks * cell + PICTURE_CELLS - 1) / PICTURE_CELLS;
}

void picture_add(void *arg, uint64_t first, uint64_t length, bool huge)
{
    struct picture *picture = arg;
    uint64_t end = first + length;

    if (end > picture->blocks)
        return;
    while (first < end) {
        uint64_t cell = first * PICTURE_CELLS / picture->blocks, next = start_of(picture, cell + 1);
        next = next < end ? next : end;
        picture->data[cell] += next - first;
        picture->huge[cell] += huge ? next - first : 0;
        first = next;
    }
}

static enum look look_of(const struct picture *picture, unsigned cell)
{
    if (!picture->data[cell])
        return EMPTY;
    return picture->huge[cell] * 2 >= picture->data[cell] ? LARGE : SMALL;
}

void picture_print(const struct picture *picture)
{
    for (unsigned cell = 0; cell < PICTURE_CELLS; cell++) {
        enum look look = look_of(picture, cell);
        printf("%s%s\033[0m%s", colours[look], signs[look], (cell + 1) % PICTURE_COLUMNS ? "" : "\n");
    }
    for (unsigned look = EMPTY; look <= LARGE; look++)
        printf("%s%s\033[0m %s%s", colours[look], signs[look], texts[look], look < LARGE ? "   " : "\n");
}

/* Draws all cells of a look as a single path. Cells beside each other are a single rectangle. */
static void draw_cells(const struct picture *picture, enum look look, FILE *file)
{
    fprintf(file, "<path fill=\"%s\" d=\"", fills[look]);
    for (unsigned cell = 0; cell < PICTURE_CELLS; cell++) {
        unsigned first = cell;
        if (look_of(picture, cell) != look)
            continue;
        while ((cell + 1) % PICTURE_COLUMNS && look_of(picture, cell + 1) == look)
            cell++;
        unsigned width = (cell - first + 1) * CELL;
        fprintf(file, "M%u %uh%uv%uh-%uz", first % PICTURE_COLUMNS * CELL, 20 + first / PICTURE_COLUMNS * CELL, width,
                CELL - 1, width);
    }
    fprintf(file, "\"/>\n");
}

int picture_svg(const struct picture *picture, const char *caption, const char *path)
{
    unsigned width = PICTURE_COLUMNS * CELL, height = PICTURE_ROWS * CELL + 44;
    FILE *file = fopen(path, "w");

    if (!file)
        return failed(path, "%s", strerror(errno));
    fprintf(file, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u %u\" width=\"%u\" height=\"%u\">\n",
            width, height, width, height);
    fprintf(file, "<rect width=\"%u\" height=\"%u\" fill=\"#ffffff\"/>\n", width, height);
    fprintf(file, "<g font-family=\"sans-serif\" font-size=\"12\" fill=\"#333333\">\n");
    fprintf(file, "<text x=\"2\" y=\"14\">%s</text>\n", caption);
    for (unsigned look = EMPTY; look <= LARGE; look++) {
        unsigned x = 2 + look * 210, y = PICTURE_ROWS * CELL + 38;
        fprintf(file, "<rect x=\"%u\" y=\"%u\" width=\"10\" height=\"10\" fill=\"%s\"/>", x, y - 9, fills[look]);
        fprintf(file, "<text x=\"%u\" y=\"%u\">%s</text>\n", x + 15, y, texts[look]);
    }
    fprintf(file, "</g>\n");
    for (enum look look = EMPTY; look <= LARGE; look++)
        draw_cells(picture, look, file);
    fprintf(file, "</svg>\n");
    bool bad = ferror(file);
    return fclose(file) || bad ? failed(path, "cannot be written") : 0;
}
