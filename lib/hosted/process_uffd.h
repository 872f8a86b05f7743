/* SPDX-License-Identifier: MIT */
/* The questions of userfaultfd and their answers: for process_way_userfaultfd.c and process_touch.c. */
#ifndef E2D_HOSTED_PROCESS_USERFAULT_H
#define E2D_HOSTED_PROCESS_USERFAULT_H

#include "process_state.h"

/* Two threads of our own serve it. */
#if defined(__linux__) && defined(E2D_HAVE_PTHREAD) && defined(__has_include)
#if __has_include(<linux/userfaultfd.h>)
#define E2D_HAVE_USERFAULTFD 1
#endif
#endif
#if !defined(E2D_HAVE_USERFAULTFD)
#define E2D_HAVE_USERFAULTFD 0
#endif

struct e2d_userfaults {
    int descriptor;
    bool image; /* is the image memory whose stores can be caught? */
    uint64_t features;
};

/* See struct e2d_way. */
int e2d_userfault_open(struct ext2dax_process *process);
void e2d_userfault_close(struct ext2dax_process *process);

/* What the kernel is to ask about: touches of pages that nothing is mapped behind, or stores to caught ones. */
enum e2d_userfault_mode { E2D_USERFAULT_TOUCHES, E2D_USERFAULT_STORES };
/* 0 or an error. */
int e2d_userfault_register(struct ext2dax_process *process, char *at, size_t bytes, enum e2d_userfault_mode mode);

/* Can stores be caught in the image's pages, or in anonymous ones, `zeroes`? */
bool e2d_userfault_catches_in(const struct ext2dax_process *process, bool zeroes);
/* Are they, where the window shows `page`? In process_way_userfaultfd.c. */
bool e2d_userfault_catches(const struct e2d_process_window *window, enum e2d_page page);
/* Catches stores to a range registered for it. False: to part of it at the most. */
bool e2d_userfault_catch(struct ext2dax_process *process, char *at, size_t bytes, bool zeroes);
bool e2d_userfault_let_through(struct ext2dax_process *process, char *at, size_t bytes);

/* Was it a window's donor that was touched? Its touch fails then. Takes table. In process_way_userfaultfd.c. */
bool e2d_userfault_hide_donor(struct ext2dax_process *process, uintptr_t address);

/* Whoever waits for an answer about the range touches it again. */
void e2d_userfault_wake(struct ext2dax_process *process, uintptr_t at, size_t bytes);

#endif
