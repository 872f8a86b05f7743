/* SPDX-License-Identifier: MIT */
/*
 * Checks of reports. A call failing because of the image or its memory reports the reason to the
 * host before returning.
 */
#ifndef TESTS_FUZZ_REPORTS_H
#define TESTS_FUZZ_REPORTS_H

#include <stdint.h>

#include "ext2dax/error.h"

/* Notes a report. Called by the log of the caller's host. */
void reports_note(const struct ext2dax_report *report);
void reports_forget(void);
/*
 * Returns the result. Ends the program if the result is EUCLEAN or EIO and no report of the same
 * error was noted since reports_forget().
 */
int64_t reports_check(int64_t result, const char *file, int line, const char *call);
/*
 * Does the same for a mount or remount, which also reports EINVAL, EOPNOTSUPP, EOVERFLOW and EROFS.
 */
int reports_mount(int result, const char *file, int line, const char *call);

#define REPORTED(call)       (reports_forget(), (int)reports_check((call), __FILE__, __LINE__, #call))
#define REPORTED_COUNT(call) (reports_forget(), reports_check((call), __FILE__, __LINE__, #call))
#define REPORTED_MOUNT(call) (reports_forget(), reports_mount((call), __FILE__, __LINE__, #call))

#endif
