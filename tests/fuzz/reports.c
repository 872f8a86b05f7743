/* SPDX-License-Identifier: MIT */
#include "reports.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tree.h"
#include "../reasons.h"

static bool reported[EXT2DAX_EUCLEAN + 1]; /* by error */

void reports_note(const struct ext2dax_report *report)
{
    MUST(report->structure && report->field && (report->reason != NULL) == REASONS);
    MUST(report->error <= 0 && report->error >= -EXT2DAX_EUCLEAN);
    reported[-report->error] = true;
}

void reports_forget(void)
{
    memset(reported, 0, sizeof(reported));
}

static void must_be_reported(int64_t result, const char *file, int line, const char *call)
{
    if (reported[-result])
        return;
    (void)fprintf(stderr, "%s answers %s\n", call, ext2dax_strerror((int)result));
    fuzz_fail(file, line, "the host gets the reason");
}

int64_t reports_check(int64_t result, const char *file, int line, const char *call)
{
    if (result == -EXT2DAX_EUCLEAN || result == -EXT2DAX_EIO)
        must_be_reported(result, file, line, call);
    return result;
}

int reports_mount(int result, const char *file, int line, const char *call)
{
    if (result == -EXT2DAX_EINVAL || result == -EXT2DAX_EOPNOTSUPP || result == -EXT2DAX_EOVERFLOW ||
        result == -EXT2DAX_EROFS)
        must_be_reported(result, file, line, call);
    return (int)reports_check(result, file, line, call);
}
