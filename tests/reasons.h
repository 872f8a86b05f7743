/* SPDX-License-Identifier: MIT */
/* Do reports of the core have a reason? Not in a build with the option `reports` disabled. */
#ifndef TESTS_REASONS_H
#define TESTS_REASONS_H

#ifdef E2D_NO_REPORTS
#define REASONS 0
#else
#define REASONS 1
#endif

#endif
