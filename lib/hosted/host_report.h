/* SPDX-License-Identifier: MIT */
/* Reports received in the calling thread, kept to explain later why a call failed. */
#ifndef E2DH_HOST_REPORT_H
#define E2DH_HOST_REPORT_H

#include <stdbool.h>

#include "ext2dax/error.h"

/* Keeps a report with an error and ignores other reports. Async-signal-safe. */
void e2dh_host_keep(const struct ext2dax_report *report, bool in_handler);

/*
 * Marks the begin of a fault handler. Reports made from here on in the handler belong to this
 * fault.
 */
void e2dh_host_fault_begins(void);

#endif
