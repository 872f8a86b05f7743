/* SPDX-License-Identifier: MIT */
/* System calls on mappings, for the tests of userfaultfd. */
#ifndef SYSTEM_CALLS_H
#define SYSTEM_CALLS_H

#include <stdint.h>

#include "mounted.h"

extern struct mounted m;
extern int pipes[2];

/* Opens the mount and the pipe, and closes both. */
void start(const struct mounted_options *options);
void finish(void);

/* Returns the byte read by write(2) at `at`, or -errno. */
int loaded(const void *at);
/* Stores a byte by read(2). Returns 0 or -errno. */
int stored(void *at, uint8_t byte);
/* Sleeps for a millisecond. Fails the test after 5,000 calls, counted by `times`. */
void wait_a_moment(unsigned times);

#endif
