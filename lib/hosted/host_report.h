/* SPDX-License-Identifier: MIT */
/* What the calling thread was told, kept for whoever asks why a call of its failed. */
#ifndef E2D_HOST_REPORT_H
#define E2D_HOST_REPORT_H

#include <stdbool.h>

#include "ext2dax/error.h"

/* Keeps a report of an error; others are passed over. Async-signal-safe. */
void e2d_host_keep(const struct ext2dax_report *report, bool in_handler);

/* A fault handler begins: what it is told from here on belongs to this fault. */
void e2d_host_fault_begins(void);

#endif
