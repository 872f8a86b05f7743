/* SPDX-License-Identifier: MIT */
/*
 * Reports about a schedule by the test harness and the explorer. Notes for the table, and the
 * finding ending the schedule.
 */
#include <stdarg.h>
#include <stdio.h>

#include "explorer_internal.h"

void ext2dax_explorer_note(struct ext2dax_explorer *explorer, const char *format, ...)
{
    char text[160];
    va_list arguments;

    if (!explorer->line)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    e2dt_trace(explorer, "%s", text);
}

void ext2dax_explorer_fail(struct ext2dax_explorer *explorer, const char *format, ...)
{
    va_list arguments;

    if (explorer->doomed || !explorer->result)
        return;
    explorer->doomed = true;
    va_start(arguments, format);
    vsnprintf(explorer->result->finding, sizeof explorer->result->finding, format, arguments);
    va_end(arguments);
    e2dt_trace(explorer, "*** %s", explorer->result->finding);
}
