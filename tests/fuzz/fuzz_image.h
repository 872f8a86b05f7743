/* SPDX-License-Identifier: MIT */
/* The body of a fuzzer, called by libFuzzer and by the seeded test. */
#ifndef TESTS_FUZZ_IMAGE_H
#define TESTS_FUZZ_IMAGE_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_NOISE 512u

/* Default number of inputs of the seeded test. */
extern const unsigned long fuzz_usual_count;
/* Turns noise into a likely input, in place. Returns its size. */
size_t fuzz_shape(uint8_t noise[FUZZ_NOISE]);
/* Describes the current input in a single line, or as "". Async-signal-safe. */
const char *fuzz_text(void);

#endif
