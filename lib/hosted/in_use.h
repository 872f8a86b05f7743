/* SPDX-License-Identifier: MIT */
/* Users of a file outside this process, as far as reported by the kernel. */
#ifndef E2DH_IN_USE_H
#define E2DH_IN_USE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct e2dh_use {
    unsigned loop;  /* number of the loop device */
    bool mounted;   /* the device or a partition of the device is mounted */
    bool read_only; /* the device is read-only */
    char text[256]; /* for example "is mounted at /mnt by /dev/loop3" */
};

/*
 * Returns true if a loop device backed by the regular file covers any of the bytes
 * [offset, offset + length). *use then names the device and says whether the device is mounted. An
 * autoclear device, which detaches at the last close, gets 200 ms to detach if no user is visible.
 * Returns false if /sys is not available. Without /proc no mount is found, but the device is still
 * reported. May block.
 */
bool e2dh_in_use(int fd, uint64_t offset, uint64_t length, struct e2dh_use *use);

#endif
