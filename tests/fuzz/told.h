/* SPDX-License-Identifier: MIT */
/* A call that fails because of the image or its memory tells the host why, before it returns. */
#ifndef TESTS_FUZZ_TOLD_H
#define TESTS_FUZZ_TOLD_H

#include <stdint.h>

#include "ext2dax/error.h"

/* For the log of the caller's host. */
void told_note(const struct ext2dax_report *report);
void told_forget(void);
/* Ends the program where the answer is EUCLEAN or EIO and no report of that error was noted since; else the answer. */
int64_t told_answer(int64_t answer, const char *file, int line, const char *call);
/* The same of a mount, which tells of more. */
int told_mount(int answer, const char *file, int line, const char *call);

#define TOLD(call)       (told_forget(), (int)told_answer((call), __FILE__, __LINE__, #call))
#define TOLD_COUNT(call) (told_forget(), told_answer((call), __FILE__, __LINE__, #call))
#define TOLD_MOUNT(call) (told_forget(), told_mount((call), __FILE__, __LINE__, #call))

#endif
