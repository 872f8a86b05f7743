/* SPDX-License-Identifier: MIT */
/*
 * Plugs with callbacks that fail on demand. A test chooses a callback, and the number of calls that
 * succeed first. The plugs count locks held, locks made and memory given.
 */
#ifndef TESTS_HOSTILE_FAILING_H
#define TESTS_HOSTILE_FAILING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/testkit/model.h"

/* The callbacks that may fail. NONE fails nothing. */
enum failing {
    FAIL_NONE,
    FAIL_ALLOC,        /* host memory, NULL */
    FAIL_LOCK_INIT,    /* ENOMEM */
    FAIL_TRY_LOCK,     /* both try variants, not taken */
    FAIL_MAP_OOM,      /* OOM from map of the address space */
    FAIL_MAP_FALLBACK, /* FALLBACK from map of the address space */
    FAIL_CHECK,        /* EIO, as of a bad block */
    FAIL_COPY,         /* copy_in and copy_out, short */
    FAIL_CLOCK,        /* a time which no clock shows */
    FAIL_INTERRUPTED,  /* the host asks to stop */
    FAIL_CLAIM,        /* EBUSY */
    FAIL_USABLE,       /* EINVAL, as in a child process */
    FAIL_DISCARD,      /* EIO */
    FAIL_ALIASES,      /* a false positive */
    FAIL_ZERO,         /* EIO */
    FAIL_PERSIST,      /* EIO */
    FAIL_FENCE,        /* EIO */
    FAILINGS
};

extern const char *const failing_names[FAILINGS];

/* Does a failure of the callback make the mount read-only? */
static inline bool fails_store(enum failing failing)
{
    return failing >= FAIL_ZERO;
}

/* Arms a failure after `left` successful calls. With `on`, every later call fails too. */
void failing_arm(enum failing failing, long left, bool on);
/* Disarms. Returns true if a call has failed since failing_arm(). */
bool failing_disarm(void);

/* Open and close the plugs of a round. The plugs check the lock order. */
struct ext2dax_plugs failing_open(unsigned char *base, size_t size, unsigned page_shift, unsigned huge_order);
/* Ends the program if locks or memory are still in use. */
void failing_close(void);
struct ext2dax_model *failing_model(void);
/* Number of locks held. */
long failing_held(void);
/* Returns memory plugged with the failing callbacks. */
struct ext2dax_memory failing_memory(void *base, size_t size);

#endif
