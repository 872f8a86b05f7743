/* SPDX-License-Identifier: MIT */
/*
 * State of the interrupted instruction, read from the context of a signal handler, per
 * architecture.
 */
#ifndef E2DH_HOSTED_FAULT_CONTEXT_H
#define E2DH_HOSTED_FAULT_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

/* Returns the stack pointer, 0 if unknown on this architecture. */
static inline uintptr_t e2dh_context_stack(const ucontext_t *context)
{
#if defined(__x86_64__) && defined(REG_RSP)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
#elif defined(__i386__) && defined(REG_ESP)
    return (uintptr_t)context->uc_mcontext.gregs[REG_ESP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.sp;
#elif defined(__arm__)
    return (uintptr_t)context->uc_mcontext.arm_sp;
#elif defined(__riscv)
    return (uintptr_t)context->uc_mcontext.__gregs[2];
#elif defined(__s390x__)
    return (uintptr_t)context->uc_mcontext.gregs[15];
#elif defined(__powerpc64__)
    return (uintptr_t)context->uc_mcontext.gp_regs[1];
#else
    (void)context;
    return 0;
#endif
}

/* Returns the instruction pointer, 0 if unknown on this architecture. */
static inline uintptr_t e2dh_context_instruction(const ucontext_t *context)
{
#if defined(__x86_64__) && defined(REG_RIP)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__i386__) && defined(REG_EIP)
    return (uintptr_t)context->uc_mcontext.gregs[REG_EIP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.pc;
#elif defined(__arm__)
    return (uintptr_t)context->uc_mcontext.arm_pc;
#elif defined(__riscv)
    return (uintptr_t)context->uc_mcontext.__gregs[0];
#elif defined(__s390x__)
    return (uintptr_t)context->uc_mcontext.psw.addr;
#elif defined(__powerpc64__)
    return (uintptr_t)context->uc_mcontext.gp_regs[32];
#else
    (void)context;
    return 0;
#endif
}

#if defined(__aarch64__)
/*
 * Reads the syndrome register from a list of tagged records. Returns false if the list has no such
 * record.
 */
static inline bool e2dh_context_syndrome(const ucontext_t *context, uint64_t *syndrome)
{
    const unsigned char *at = context->uc_mcontext.__reserved;
    const unsigned char *end = at + sizeof(context->uc_mcontext.__reserved);
    struct {
        uint32_t magic, size;
        uint64_t syndrome;
    } record;

    while (at + sizeof(record) <= end) {
        memcpy(&record, at, sizeof(record));
        if (record.magic == 0x45535201u) {
            *syndrome = record.syndrome;
            return true;
        }
        if (record.magic == 0 || record.size < 8)
            break;
        at += record.size;
    }
    return false;
}
#endif

#endif
