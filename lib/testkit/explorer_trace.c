/* SPDX-License-Identifier: MIT */
/* Readable forms of a schedule. An id, and a table with a column per thread. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explorer_internal.h"

/* ---- ids ---- */

bool e2dt_trace_add_turn(struct ext2dax_explorer *explorer, uint32_t thread, uint32_t points)
{
    struct e2dt_turn *last = explorer->turns != 0 ? &explorer->turn[explorer->turns - 1] : NULL;

    if (last && last->thread == thread && last->points != E2DT_TO_THE_END) {
        last->points = points == E2DT_TO_THE_END ? points : last->points + points;
        return true;
    }
    if (explorer->turns == explorer->turn_room) {
        size_t room = explorer->turn_room * 2 + 64;
        struct e2dt_turn *wider = realloc(explorer->turn, room * sizeof *wider);

        if (!wider)
            return false;
        explorer->turn = wider;
        explorer->turn_room = room;
    }
    explorer->turn[explorer->turns].thread = thread;
    explorer->turn[explorer->turns++].points = points;
    return true;
}

void e2dt_trace_id(const struct ext2dax_explorer *explorer, char *id, size_t size)
{
    size_t at = 0;

    id[0] = '\0';
    for (size_t i = 0; i < explorer->turns && at < size; i++) {
        const struct e2dt_turn *turn = &explorer->turn[i];
        int length = turn->points == E2DT_TO_THE_END
                         ? snprintf(id + at, size - at, "%c", (int)('a' + turn->thread))
                         : snprintf(id + at, size - at, "%c%u", (int)('a' + turn->thread), (unsigned)turn->points);

        at += (size_t)length;
    }
    /* A truncated id would replay another schedule. */
    if (at >= size)
        snprintf(id, size, "too long");
}

bool e2dt_trace_turns(struct ext2dax_explorer *explorer, const char *id, unsigned threads)
{
    explorer->turns = 0;
    while (*id != '\0') {
        unsigned long points = E2DT_TO_THE_END;
        unsigned thread = (unsigned)(unsigned char)*id - 'a';
        char *end = (char *)(uintptr_t)(id + 1);

        if (*id < 'a' || thread >= threads)
            return false;
        if (*end >= '0' && *end <= '9')
            points = strtoul(id + 1, &end, 10);
        if (points == 0 || points > E2DT_TO_THE_END || !e2dt_trace_add_turn(explorer, thread, (uint32_t)points))
            return false;
        id = end;
    }
    return true;
}

/* ---- the table ---- */

static void print(struct ext2dax_explorer *explorer, unsigned column, const char *text)
{
    char line[EXT2DAX_EXPLORER_THREADS * E2DT_COLUMN + 256];

    snprintf(line, sizeof line, "%*s%s", (int)(column * E2DT_COLUMN), "", text);
    explorer->line(explorer->line_arg, line);
}

void e2dt_trace_head(struct ext2dax_explorer *explorer)
{
    char line[EXT2DAX_EXPLORER_THREADS * E2DT_COLUMN + 256] = "";
    size_t at = 0;

    for (unsigned i = 0; i < explorer->threads; i++) {
        at += (size_t)snprintf(line + at, sizeof line - at, "%*s%c: %.*s", (int)((size_t)i * E2DT_COLUMN - at), "",
                               (int)('a' + i), E2DT_COLUMN - 4, explorer->scenario->thread[i].name);
    }
    explorer->line(explorer->line_arg, line);
}

void e2dt_trace(struct ext2dax_explorer *explorer, const char *format, ...)
{
    char text[200];
    va_list arguments;

    if (!explorer->line)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    print(explorer, explorer->current == E2DT_NOBODY ? 0 : explorer->current, text);
}

void e2dt_trace_place(const struct ext2dax_explorer *explorer, const void *at, char *text, size_t size)
{
    const unsigned char *byte = at;
    const struct e2dt_named *best = NULL;

    /* Of several matching names, takes the name of the smallest range. */
    for (unsigned i = 0; i < explorer->names; i++) {
        const struct e2dt_named *named = &explorer->named[i];

        if (byte >= named->at && byte < named->at + named->bytes && (!best || named->bytes < best->bytes))
            best = named;
    }
    if (!best && byte >= explorer->state.arena && byte < explorer->state.arena + explorer->state.arena_size)
        snprintf(text, size, "memory +%zu", (size_t)(byte - explorer->state.arena));
    else if (!best)
        snprintf(text, size, "elsewhere");
    else if (byte == best->at)
        snprintf(text, size, "%s", best->text);
    else
        snprintf(text, size, "%s +%zu", best->text, (size_t)(byte - best->at));
}
