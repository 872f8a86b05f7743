/* SPDX-License-Identifier: MIT */
/*
 * An image with damage possible after a crash, and the checks of a repair and of a refusal. The
 * fixture of the tests of recovery.
 */
#ifndef TESTS_RECOVER_DAMAGE_H
#define TESTS_RECOVER_DAMAGE_H

#include <stdint.h>

#include "../image/outside.h"
#include "crashed.h"

extern struct outside_image made;
extern uint8_t *before; /* the image as damaged */

/* Makes the image of each test, and frees the image. */
void damage_open(void);
void damage_close(void);
/* Marks the image as not cleanly unmounted, and keeps a copy in `before`. */
void damage_crash(void);
/* Returns the result of the checker. Prints the findings unless `what` is NULL. */
int damage_findings(const uint8_t *at, unsigned flags, const char *what);
/*
 * Checks the repair of the image by a mount. e2fsck -p must have the same result, except for blocks
 * past the end of a file, which e2fsck leaves.
 */
void damage_repaired(const char *what);
/* Checks a mount for refusal with a report and without any change. */
void damage_refused(const char *what);

/* Makes damage of every kind which a crash may leave. */
void damage_everything(void);

struct damage_state {
    void (*make)(void);
    const char *name;
    const char *report; /* the report of the repair */
    uint64_t count;     /* the number in the report */
};
extern const struct damage_state damage_states[];
extern const int damage_state_count;

#endif
