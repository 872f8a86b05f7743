/* SPDX-License-Identifier: MIT */
#include "told.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tree.h"
#include "../reasons.h"

static bool told[EXT2DAX_EUCLEAN + 1]; /* by error */

void told_note(const struct ext2dax_report *report)
{
    MUST(report->structure && report->field && (report->reason != NULL) == REASONS);
    MUST(report->error <= 0 && report->error >= -EXT2DAX_EUCLEAN);
    told[-report->error] = true;
}

void told_forget(void)
{
    memset(told, 0, sizeof(told));
}

static void must_be_told(int64_t answer, const char *file, int line, const char *call)
{
    if (told[-answer])
        return;
    (void)fprintf(stderr, "%s answers %s\n", call, ext2dax_strerror((int)answer));
    fuzz_fail(file, line, "the host is told why");
}

int64_t told_answer(int64_t answer, const char *file, int line, const char *call)
{
    if (answer == -EXT2DAX_EUCLEAN || answer == -EXT2DAX_EIO)
        must_be_told(answer, file, line, call);
    return answer;
}

int told_mount(int answer, const char *file, int line, const char *call)
{
    if (answer == -EXT2DAX_EINVAL || answer == -EXT2DAX_EOPNOTSUPP || answer == -EXT2DAX_EOVERFLOW ||
        answer == -EXT2DAX_EROFS)
        must_be_told(answer, file, line, call);
    return (int)told_answer(answer, file, line, call);
}
