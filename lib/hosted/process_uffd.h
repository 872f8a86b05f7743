/* SPDX-License-Identifier: MIT */
/*
 * Messages and requests of userfaultfd. Used by process_backend_userfaultfd.c and
 * process_uffd_handler.c.
 */
#ifndef E2DH_HOSTED_PROCESS_UFFD_H
#define E2DH_HOSTED_PROCESS_UFFD_H

#include "process_state.h"

/* Userfaultfd needs two threads of the library. */
#if defined(__linux__) && defined(E2D_HAVE_PTHREAD) && defined(__has_include)
#if __has_include(<linux/userfaultfd.h>)
#define E2DH_HAVE_USERFAULTFD 1
#endif
#endif
#if !defined(E2DH_HAVE_USERFAULTFD)
#define E2DH_HAVE_USERFAULTFD 0
#endif

struct e2dh_uffd {
    int descriptor;
    bool image; /* userfaultfd can write-protect the image's memory */
    uint64_t features;
};

/* See struct e2dh_backend. */
int e2dh_userfault_open(struct ext2dax_process *process);
void e2dh_userfault_close(struct ext2dax_process *process);

/*
 * Faults reported by the kernel, either accesses of missing pages or stores to write-protected
 * pages.
 */
enum e2dh_userfault_mode { E2DH_USERFAULT_MISSING, E2DH_USERFAULT_STORES };
/* Registers a range. Returns 0 or a negative errno. */
int e2dh_userfault_register(struct ext2dax_process *process, char *at, size_t bytes, enum e2dh_userfault_mode mode);

/* Tests whether pages of the image or, with `zeroes`, anonymous pages can be write-protected. */
bool e2dh_userfault_catches_in(const struct ext2dax_process *process, bool zeroes);
/*
 * Tests whether pages of the mapping in state `page` are write-protected by userfaultfd. In
 * process_backend_userfaultfd.c.
 */
bool e2dh_userfault_catches(const struct e2dh_mapping *mapping, enum e2dh_page page);
/*
 * Write-protects a registered range, and allows stores again. After false, at most a part of the
 * range has changed.
 */
bool e2dh_userfault_catch(struct ext2dax_process *process, char *at, size_t bytes, bool zeroes);
bool e2dh_userfault_let_through(struct ext2dax_process *process, char *at, size_t bytes);

/*
 * Handles an access of the spare mapping of a mapping by making the access fail. Returns false for
 * any other address. Takes table. In process_backend_userfaultfd.c.
 */
bool e2dh_uffd_hide_staging(struct ext2dax_process *process, uintptr_t address);

/* Wakes all threads waiting for a fault in the range, to access the pages again. */
void e2dh_userfault_wake(struct ext2dax_process *process, uintptr_t at, size_t bytes);

#endif
