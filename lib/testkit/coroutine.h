/* SPDX-License-Identifier: MIT */
/*
 * Coroutines that can be put back: everything of one that stands still is its stack above `sp`, and this struct. Whoever
 * copies both and later copies them back has it stand where it stood.
 *
 * x86-64 and AArch64 switch in a few instructions; everything else goes by the system's contexts, which are slower.
 */
#ifndef E2D_COROUTINE_H
#define E2D_COROUTINE_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define E2D_COROUTINE_ADDRESSES 1
#elif defined(__SANITIZE_THREAD__)
#define E2D_COROUTINE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define E2D_COROUTINE_ADDRESSES 1
#elif __has_feature(thread_sanitizer)
#define E2D_COROUTINE_SANITIZED 1
#endif
#endif
#if defined(E2D_COROUTINE_ADDRESSES)
#define E2D_COROUTINE_SANITIZED 1
#else
#define E2D_COROUTINE_ADDRESSES 0 /* 1: an address sanitizer watches stacks */
#endif
#if !defined(E2D_COROUTINE_SANITIZED)
#define E2D_COROUTINE_SANITIZED 0 /* 1: any sanitizer */
#endif

/* E2D_COROUTINE_PORTABLE: a test's, which compares the two. */
#if !defined(E2D_COROUTINE_PORTABLE) && ((defined(__x86_64__) && defined(__LP64__)) || defined(__aarch64__))
#define E2D_COROUTINE_ASSEMBLY 1
#else
#define E2D_COROUTINE_ASSEMBLY 0
#include <ucontext.h>
#endif

struct e2d_coroutine {
    unsigned char *stack; /* lowest byte; there is a guard page below */
    size_t stack_size;
    unsigned char *sp; /* while it stands still: what it needs of its stack begins here */
    void (*run)(void *arg);
    void *arg;
    bool done;
    unsigned valgrind_id;
#if !E2D_COROUTINE_ASSEMBLY
    ucontext_t context;
#endif
};

/* A stack with a guard page. false: no memory. */
bool e2d_coroutine_open(struct e2d_coroutine *coroutine, size_t stack_size);
void e2d_coroutine_close(struct e2d_coroutine *coroutine);

/* Is somebody looking who would not understand that stacks are put back? */
bool e2d_coroutine_is_checked(void);

/* Stands at the beginning of run(arg), whatever it did before. */
void e2d_coroutine_begin(struct e2d_coroutine *coroutine, void (*run)(void *arg), void *arg);
/* Runs it until it leaves or is done. From outside of coroutines only. */
void e2d_coroutine_enter(struct e2d_coroutine *coroutine);
/* From inside: stands still until entered again. */
void e2d_coroutine_leave(struct e2d_coroutine *coroutine);
/*
 * From inside: overwrites what earlier calls left below the caller's frame. Later ones may have it in theirs, in places they
 * never write, and would tell states apart by it.
 */
void e2d_coroutine_tidy(void);
/* The same where another schedule's calls may have left something. */
void e2d_coroutine_tidy_deep(void);

#endif
