/* SPDX-License-Identifier: MIT */
/*
 * TLB shoot-down. When shoot_down() returns, no access goes through a PTE removed before. So
 * the mapped blocks may be allocated to another file.
 *
 * In user code, the other processor answers from the interrupt. In the kernel interrupts are
 * off. Then the processor answers in a wait loop by relax(), or at the return to user code or to
 * the idle loop, which takes the pending interrupt first. Without the answer from relax(), a
 * processor that waits for dax_sem and a processor that holds dax_sem and waits for the answer
 * would deadlock.
 */
#include "kernel.h"

static uint32_t asked; /* a bit per processor, set until the processor has answered */

static void forget(void)
{
    uint64_t tables;

    __asm__ volatile("mov %%cr3, %0\n\tmov %0, %%cr3" : "=r"(tables) : : "memory");
}

void shoot_down_answer(void)
{
    uint32_t me = 1u << cpu_index();

    if ((__atomic_load_n(&asked, __ATOMIC_ACQUIRE) & me) != 0) {
        forget();
        __atomic_fetch_and(&asked, ~me, __ATOMIC_RELEASE);
    }
}

void shoot_down(void)
{
    uint32_t others = ((1u << PROCESSORS) - 1) & ~(1u << cpu_index());

    forget();
    __atomic_store_n(&asked, others, __ATOMIC_SEQ_CST);
    apic_signal_others(VECTOR_SHOOT_DOWN);
    while (__atomic_load_n(&asked, __ATOMIC_ACQUIRE) != 0)
        __asm__ volatile("pause");
}
