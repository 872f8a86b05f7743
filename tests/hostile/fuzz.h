/* SPDX-License-Identifier: MIT */
/* The form of an input of the fuzzers of small images. */
#ifndef TESTS_HOSTILE_FUZZ_H
#define TESTS_HOSTILE_FUZZ_H

#define FUZZ_IMAGE  1
#define FUZZ_CALLS  2
#define FUZZ_BOTH   3
#define FUZZ_FAULTS 4

#define FUZZ_EDITS      16u /* most edits */
#define FUZZ_OPERATIONS 48u /* most calls */

#define FUZZ_HEAD 3u /* the image and the flags, the number of edits, and a byte not used */

#endif
