/* SPDX-License-Identifier: MIT */
/*
 * The ways in: how a window's pages are armed, so that this process learns of a touch, and how they come to show
 * something. What both do with the kernel's mappings stands here; which pages, and when, is process_page.c's.
 *
 * All of it happens under the table lock. Ranges are whole pages of one window.
 */
#ifndef E2D_HOSTED_PROCESS_WAY_H
#define E2D_HOSTED_PROCESS_WAY_H

#include "process_state.h"

enum e2d_shown {
    E2D_SHOWN,
    E2D_SHOWN_NOT,   /* the pages are as they were */
    E2D_SHOWN_SPOILT /* they are to be armed again */
};

struct e2d_way {
    /* Of the process object; `close` may be called in a child that inherited it. 0 or an error. */
    int (*open)(struct ext2dax_process *process);
    void (*close)(struct ext2dax_process *process);

    /* Arms the window's pages, whose addresses are reserved; `disarm` once its mappings are gone. 0 or an error. */
    int (*prepare)(struct e2d_process_window *window);
    void (*disarm)(struct e2d_process_window *window);

    /* Takes away what [low, high) shows, in one step. False: it shows what it did. */
    bool (*arm)(struct e2d_process_window *window, uint64_t low, uint64_t high);
    /* Shows `flags` and `descriptor` at `offset`, as mmap() has them, in one step, excluded from fork. */
    enum e2d_shown (*show)(struct e2d_process_window *window, uint64_t low, uint64_t high, int flags, int descriptor,
                           uint64_t offset, enum e2d_page page);
    /* Lets stores through [low, high), which shows blocks read-only; and forbids them again. False: nothing is sure. */
    bool (*allow)(struct e2d_process_window *window, uint64_t low, uint64_t high);
    bool (*forbid)(struct e2d_process_window *window, uint64_t low, uint64_t high);
    /* The file has grown or shrunk to `pages` of the window. NULL: it is no matter. */
    void (*resize)(struct e2d_process_window *window, uint64_t pages);

    bool splits; /* do allow and forbid make mappings of their own? */
    bool asks;   /* are touches questions, which somebody has to answer (process_touch.h)? */
};

extern const struct e2d_way e2d_way_sigsegv;
/* NULL where this build or target has none. */
extern const struct e2d_way *const e2d_way_userfaultfd;
/* May this process use it? 0, or why not. */
int e2d_userfaultfd_may(const char **why);

/* How many slabs one map call may enter in the window: recording more would keep the table lock too long. */
uint64_t e2d_way_most_slabs(const struct e2d_process_window *window);

/*
 * Replaces the mappings of a range. To a race detector mmap() is a store to every byte of it, which any touch by another
 * thread would race with; here it is how page-table entries change under the feet of whoever touches.
 */
bool e2d_replace_mapping(char *at, size_t bytes, int flags, int descriptor, uint64_t offset);
/* What arms a page of the first way, and makes one of the other refuse every touch. */
bool e2d_put_without_permission(char *at, size_t bytes);

#endif
