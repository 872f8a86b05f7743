/* SPDX-License-Identifier: MIT */
/*
 * Switching between the scheduler and the coroutines. The assembly saves the callee-saved registers
 * of the ABI on the stack being left. The stack of a new coroutine is laid out as if the coroutine
 * had been suspended just before its first instruction.
 */
#include "coroutine.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(E2D_VALGRIND)
#include <valgrind/memcheck.h>
#endif
#if E2DT_COROUTINE_ADDRESSES
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

bool e2dt_coroutine_open(struct e2dt_coroutine *coroutine, size_t stack_size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (stack_size + page - 1) / page * page;
    unsigned char *at = mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    memset(coroutine, 0, sizeof *coroutine);
    if (at == MAP_FAILED)
        return false;
    if (mprotect(at, page, PROT_NONE) != 0) {
        (void)munmap(at, size + page);
        return false;
    }
    coroutine->stack = at + page;
    coroutine->stack_size = size;
#if defined(E2D_VALGRIND)
    coroutine->valgrind_id = VALGRIND_STACK_REGISTER(coroutine->stack, coroutine->stack + size);
#endif
    return true;
}

void e2dt_coroutine_close(struct e2dt_coroutine *coroutine)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

#if defined(E2D_VALGRIND)
    if (coroutine->stack)
        VALGRIND_STACK_DEREGISTER(coroutine->valgrind_id);
#endif
    if (coroutine->stack)
        (void)munmap(coroutine->stack - page, coroutine->stack_size + page);
    coroutine->stack = NULL;
}

bool e2dt_coroutine_is_checked(void)
{
#if defined(E2D_VALGRIND)
    return E2DT_COROUTINE_SANITIZED || RUNNING_ON_VALGRIND;
#else
    return E2DT_COROUTINE_SANITIZED;
#endif
}

/* ---- calls for race and address checkers ---- */

#if E2DT_COROUTINE_ADDRESSES
static void *outer_fake;
static const void *outer_stack;
static size_t outer_size;

static void forget_frames(const struct e2dt_coroutine *coroutine)
{
    __asan_unpoison_memory_region(coroutine->stack, coroutine->stack_size);
    /* Frames under AddressSanitizer are too large for e2dt_coroutine_tidy(). */
    memset(coroutine->stack, 0, coroutine->stack_size);
}
static void entering(const struct e2dt_coroutine *coroutine)
{
    __sanitizer_start_switch_fiber(&outer_fake, coroutine->stack, coroutine->stack_size);
}
static void entered(void)
{
    __sanitizer_finish_switch_fiber(NULL, &outer_stack, &outer_size);
}
static void leaving(void)
{
    __sanitizer_start_switch_fiber(NULL, outer_stack, outer_size);
}
static void left(void)
{
    __sanitizer_finish_switch_fiber(outer_fake, NULL, NULL);
}
#else
static void forget_frames(const struct e2dt_coroutine *coroutine)
{
    (void)coroutine;
#if defined(E2D_VALGRIND)
    (void)VALGRIND_MAKE_MEM_UNDEFINED(coroutine->stack, coroutine->stack_size);
#endif
}
static void entering(const struct e2dt_coroutine *coroutine)
{
    (void)coroutine;
}
static void entered(void)
{
}
static void leaving(void)
{
}
static void left(void)
{
}
#endif

/* ---- switching ---- */

/* Called by name from assembly. */
__attribute__((used)) void e2dt_coroutine_main(struct e2dt_coroutine *coroutine);

#if E2DT_COROUTINE_ASSEMBLY

void e2dt_coroutine_switch(unsigned char **save, unsigned char *load);
void e2dt_coroutine_entry(void);

#if defined(__x86_64__)

__asm__(".text\n"
        ".type e2dt_coroutine_switch, @function\n"
        ".hidden e2dt_coroutine_switch\n"
        ".globl e2dt_coroutine_switch\n"
        "e2dt_coroutine_switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size e2dt_coroutine_switch, . - e2dt_coroutine_switch\n"
        ".type e2dt_coroutine_entry, @function\n"
        ".hidden e2dt_coroutine_entry\n"
        ".globl e2dt_coroutine_entry\n"
        "e2dt_coroutine_entry:\n"
        "    movq %r12, %rdi\n"
        "    call e2dt_coroutine_main\n"
        "    ud2\n"
        ".size e2dt_coroutine_entry, . - e2dt_coroutine_entry\n");

#define SAVED        8u /* words for six registers, the resume address and padding */
#define SAVED_OBJECT 3u /* r12 */
#define SAVED_GO_ON  6u

#else

__asm__(".text\n"
        ".type e2dt_coroutine_switch, %function\n"
        ".hidden e2dt_coroutine_switch\n"
        ".globl e2dt_coroutine_switch\n"
        "e2dt_coroutine_switch:\n"
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        ".size e2dt_coroutine_switch, . - e2dt_coroutine_switch\n"
        ".type e2dt_coroutine_entry, %function\n"
        ".hidden e2dt_coroutine_entry\n"
        ".globl e2dt_coroutine_entry\n"
        "e2dt_coroutine_entry:\n"
        "    mov x0, x19\n"
        "    bl e2dt_coroutine_main\n"
        "    brk #1\n"
        ".size e2dt_coroutine_entry, . - e2dt_coroutine_entry\n");

#define SAVED        20u /* words */
#define SAVED_OBJECT 0u  /* x19 */
#define SAVED_GO_ON  11u /* x30 */

#endif

static unsigned char *outer_sp;

void e2dt_coroutine_begin(struct e2dt_coroutine *coroutine, void (*run)(void *arg), void *arg)
{
    uintptr_t saved[SAVED] = {0};

    forget_frames(coroutine);
    coroutine->run = run;
    coroutine->arg = arg;
    coroutine->done = false;
    saved[SAVED_OBJECT] = (uintptr_t)coroutine;
    saved[SAVED_GO_ON] = (uintptr_t)e2dt_coroutine_entry;
    /*
     * Leaves 16 bytes unused. The stack is aligned at the entry as after a jump, not as after a
     * call.
     */
    coroutine->sp = coroutine->stack + coroutine->stack_size - sizeof saved - 16 + (SAVED == 8u ? 8 : 0);
    memcpy(coroutine->sp, saved, sizeof saved);
}

static void switch_in(struct e2dt_coroutine *coroutine)
{
    e2dt_coroutine_switch(&outer_sp, coroutine->sp);
}

static void switch_out(struct e2dt_coroutine *coroutine)
{
    e2dt_coroutine_switch(&coroutine->sp, outer_sp);
}

#else

static ucontext_t outer_context;
static struct e2dt_coroutine *beginning;

/* Upper bound of the stack bytes used by swapcontext() below the caller's frame. */
#define BELOW 1024u

static void entry(void)
{
    e2dt_coroutine_main(beginning);
}

void e2dt_coroutine_begin(struct e2dt_coroutine *coroutine, void (*run)(void *arg), void *arg)
{
    forget_frames(coroutine);
    coroutine->run = run;
    coroutine->arg = arg;
    coroutine->done = false;
    (void)getcontext(&coroutine->context);
    coroutine->context.uc_stack.ss_sp = coroutine->stack;
    coroutine->context.uc_stack.ss_size = coroutine->stack_size;
    coroutine->context.uc_link = NULL;
    makecontext(&coroutine->context, entry, 0);
    coroutine->sp = coroutine->stack + coroutine->stack_size - BELOW;
}

static void switch_in(struct e2dt_coroutine *coroutine)
{
    beginning = coroutine;
    (void)swapcontext(&outer_context, &coroutine->context);
}

static void switch_out(struct e2dt_coroutine *coroutine)
{
    uintptr_t lowest = (uintptr_t)__builtin_frame_address(0) - BELOW;

    coroutine->sp = lowest < (uintptr_t)coroutine->stack ? coroutine->stack : (unsigned char *)lowest;
    (void)swapcontext(&coroutine->context, &outer_context);
}

#endif

void e2dt_coroutine_main(struct e2dt_coroutine *coroutine)
{
    entered();
    e2dt_coroutine_tidy_deep();
    coroutine->run(coroutine->arg);
    coroutine->done = true;
    for (;;) {
        leaving();
        switch_out(coroutine);
        entered();
    }
}

/* Zeroes from the array up to the frame address, including anything the compiler placed between. */
#if E2DT_COROUTINE_SANITIZED
#define TIDY(array) memset(array, 0, sizeof(array))
#else
#define TIDY(array)                                                                                                    \
    do {                                                                                                               \
        unsigned char *from = array;                                                                                   \
        __asm__ volatile("" : "+r"(from) : : "memory");                                                                \
        memset(from, 0, (size_t)((unsigned char *)__builtin_frame_address(0) - from));                                 \
        __asm__ volatile("" : : "r"(from) : "memory");                                                                 \
    } while (0)
#endif

__attribute__((noinline)) void e2dt_coroutine_tidy(void)
{
    unsigned char left_over[512];

    TIDY(left_over);
}

__attribute__((noinline)) void e2dt_coroutine_tidy_deep(void)
{
    unsigned char left_over[4096];

    TIDY(left_over);
}

void e2dt_coroutine_enter(struct e2dt_coroutine *coroutine)
{
    entering(coroutine);
    switch_in(coroutine);
    left();
}

void e2dt_coroutine_leave(struct e2dt_coroutine *coroutine)
{
    leaving();
    switch_out(coroutine);
    entered();
}
