/* SPDX-License-Identifier: MIT */
/*
 * Fault methods. A fault method makes the pages of a mapping not present, so the process gets a
 * fault for each access, and maps pages. The methods change VMAs. process_page.c decides which
 * pages change, and when.
 *
 * All ops except open, close and prepare run under the table lock. Ranges are whole pages of a
 * single mapping.
 */
#ifndef E2DH_HOSTED_PROCESS_BACKEND_H
#define E2DH_HOSTED_PROCESS_BACKEND_H

#include <sys/mman.h>

#include "process_state.h"

enum e2dh_map_result {
    E2DH_MAPPED,
    E2DH_MAPPED_NOT,   /* the pages are unchanged */
    E2DH_MAPPED_SPOILT /* the caller has to revoke the pages */
};

struct e2dh_backend {
    /*
     * Set up and release the process object. `close` may be called in a child that inherited the
     * object. Returns 0 or a negative errno.
     */
    int (*open)(struct ext2dax_process *process);
    void (*close)(struct ext2dax_process *process);

    /*
     * `prepare` makes the pages of the mapping not present, and sets up the spare mapping, of the
     * same size, directly after the pages. The addresses are reserved already. Returns 0 or a
     * negative errno. `disarm` runs after the VMAs of the mapping are gone. Both are NULL where
     * reserved addresses are not present by themselves.
     */
    int (*prepare)(struct e2dh_mapping *mapping);
    void (*disarm)(struct e2dh_mapping *mapping);

    /* Revokes [low, high) in a single step. On false the pages are unchanged. */
    bool (*clear)(struct e2dh_mapping *mapping, uint64_t low, uint64_t high);
    /*
     * Maps [low, high) to `offset` of `descriptor` with `flags` of mmap(), in a single step and
     * excluded from fork.
     */
    enum e2dh_map_result (*map)(struct e2dh_mapping *mapping, uint64_t low, uint64_t high, int flags, int descriptor,
                                uint64_t offset, enum e2dh_page page);
    /*
     * Allow stores to [low, high), which maps blocks read-only, and forbid stores again. After
     * false, the permission of each page is unknown.
     */
    bool (*allow)(struct e2dh_mapping *mapping, uint64_t low, uint64_t high);
    bool (*forbid)(struct e2dh_mapping *mapping, uint64_t low, uint64_t high);
    /*
     * Adapts the mapping to a file reaching `pages` pages into the mapping. NULL if the size of the
     * file does not matter.
     */
    void (*resize)(struct e2dh_mapping *mapping, uint64_t pages);

    /*
     * Pages not present share the VMA of the reserved addresses around them, so mappings lie side
     * by side.
     */
    bool joins;
    bool splits; /* allow and forbid split VMAs */
    bool asks;   /* faults arrive as messages, resolved by a thread (process_uffd_handler.h) */
};

extern const struct e2dh_backend e2dh_backend_sigsegv;
/* NULL where the build or the target has no userfaultfd. */
extern const struct e2dh_backend *const e2dh_backend_userfaultfd;
/*
 * Tests whether the process may use userfaultfd. Returns 0 or a negative errno, with the reason in
 * *why.
 */
int e2dh_userfaultfd_may(const char **why);

/* Returns the permissions of mapped pages without permission to store. */
static inline int e2dh_readable(const struct e2dh_mapping *mapping)
{
    return PROT_READ | (mapping->flags & EXT2DAX_MAP_EXEC ? PROT_EXEC : 0);
}

/*
 * Returns the number of PMD ranges a single `map` call may install in the mapping. Recording more
 * would hold the table lock for too long.
 */
uint64_t e2dh_backend_most_ranges(const struct e2dh_mapping *mapping);

/*
 * Replaces a range by a new VMA without permission. A race detector takes mmap() for a store to
 * every byte of the range, racing with any access by another thread. Here mmap() is a change of
 * page-table entries, expected while other threads access the pages, so a race detector must not
 * see the call.
 */
bool e2dh_replace_mapping(char *at, size_t bytes, int flags, int descriptor, uint64_t offset);
/*
 * Replaces a range by memory without permission. Revokes pages with sigsegv. With userfaultfd makes
 * every access of the pages fail.
 */
bool e2dh_put_without_permission(char *at, size_t bytes);

#endif
