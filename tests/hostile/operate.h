/* SPDX-License-Identifier: MIT */
/* Calls on a mounted small image, chosen by the bytes of an input. */
#ifndef TESTS_HOSTILE_OPERATE_H
#define TESTS_HOSTILE_OPERATE_H

#include <stdbool.h>
#include <stdint.h>

#define OPERATION_BYTES 6u

/*
 * Makes the call given by OPERATION_BYTES bytes. The bytes are the kind of call, the inodes, and
 * four arguments. With `faults` every call is a fault, a mapping, or a call that removes mappings.
 */
void operate(const uint8_t *bytes, bool faults);
/* Gets every inode and tries calls which only read, and mappings. */
void operate_on_all(bool changes);
/* Gives back everything in use. */
void operate_end(void);

#endif
