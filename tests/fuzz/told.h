/* SPDX-License-Identifier: MIT */
/*
 * Checks of reports. A call failing because of the image or its memory reports the reason to the
 * host before returning.
 */
#ifndef TESTS_FUZZ_TOLD_H
#define TESTS_FUZZ_TOLD_H

#include <stdint.h>

#include "ext2dax/error.h"

/* Notes a report. Called by the log of the caller's host. */
void told_note(const struct ext2dax_report *report);
void told_forget(void);
/*
 * Returns the result. Ends the program if the result is EUCLEAN or EIO and no report of the same
 * error was noted since told_forget().
 */
int64_t told_answer(int64_t answer, const char *file, int line, const char *call);
/*
 * Does the same for a mount or remount, which also reports EINVAL, EOPNOTSUPP, EOVERFLOW and EROFS.
 */
int told_mount(int answer, const char *file, int line, const char *call);

#define TOLD(call)       (told_forget(), (int)told_answer((call), __FILE__, __LINE__, #call))
#define TOLD_COUNT(call) (told_forget(), told_answer((call), __FILE__, __LINE__, #call))
#define TOLD_MOUNT(call) (told_forget(), told_mount((call), __FILE__, __LINE__, #call))

#endif
