/* SPDX-License-Identifier: MIT */
/*
 * Coroutines with restorable stacks. The whole state of a suspended coroutine is its stack from
 * `sp` upwards and this struct. Copying both, and later copying both back, restores the coroutine
 * to the point of the copy.
 *
 * x86-64 and AArch64 switch in a few instructions. All other targets use the slower system contexts
 * (ucontext.h).
 */
#ifndef E2DT_COROUTINE_H
#define E2DT_COROUTINE_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define E2DT_COROUTINE_ADDRESSES 1
#elif defined(__SANITIZE_THREAD__)
#define E2DT_COROUTINE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define E2DT_COROUTINE_ADDRESSES 1
#elif __has_feature(thread_sanitizer)
#define E2DT_COROUTINE_SANITIZED 1
#endif
#endif
#if defined(E2DT_COROUTINE_ADDRESSES)
#define E2DT_COROUTINE_SANITIZED 1
#else
#define E2DT_COROUTINE_ADDRESSES 0 /* 1 if an address sanitizer checks stacks */
#endif
#if !defined(E2DT_COROUTINE_SANITIZED)
#define E2DT_COROUTINE_SANITIZED 0 /* 1 with any sanitizer */
#endif

/* E2D_COROUTINE_PORTABLE is set by a test comparing both implementations. */
#if !defined(E2D_COROUTINE_PORTABLE) && ((defined(__x86_64__) && defined(__LP64__)) || defined(__aarch64__))
#define E2DT_COROUTINE_ASSEMBLY 1
#else
#define E2DT_COROUTINE_ASSEMBLY 0
#include <ucontext.h>
#endif

struct e2dt_coroutine {
    unsigned char *stack; /* lowest byte, above a guard page */
    size_t stack_size;
    unsigned char *sp; /* start of the used part of the stack while suspended */
    void (*run)(void *arg);
    void *arg;
    bool done;
    unsigned valgrind_id;
#if !E2DT_COROUTINE_ASSEMBLY
    ucontext_t context;
#endif
};

/* Allocates a stack with a guard page. Returns false on failure. */
bool e2dt_coroutine_open(struct e2dt_coroutine *coroutine, size_t stack_size);
void e2dt_coroutine_close(struct e2dt_coroutine *coroutine);

/* Is a sanitizer or Valgrind active? Neither understands restored stacks. */
bool e2dt_coroutine_is_checked(void);

/* Sets the coroutine to the beginning of run(arg), regardless of its earlier state. */
void e2dt_coroutine_begin(struct e2dt_coroutine *coroutine, void (*run)(void *arg), void *arg);
/* Runs the coroutine until it leaves or is done. Called from outside of coroutines only. */
void e2dt_coroutine_enter(struct e2dt_coroutine *coroutine);
/* Called inside a coroutine. Suspends the coroutine until entered again. */
void e2dt_coroutine_leave(struct e2dt_coroutine *coroutine);
/*
 * Called inside a coroutine. Zeroes the stack bytes left below the caller's frame by earlier calls.
 * Frames of later calls may include such bytes without ever writing to them, and then equal states
 * would have different hashes.
 */
void e2dt_coroutine_tidy(void);
/* The same with a larger area, for use where calls of another schedule may have left bytes. */
void e2dt_coroutine_tidy_deep(void);

#endif
