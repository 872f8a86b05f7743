/* SPDX-License-Identifier: MIT */
/*
 * Making every processor forget what it remembers of the page tables. When shoot_down() returns, no access goes through
 * an entry that was taken away before: the blocks behind it may be given to another file.
 *
 * The other processor answers from the interrupt if it runs user code. If it runs the kernel, interrupts are off; then
 * it answers where it waits (relax()), or has nothing mapped in hand until it returns to user code, which takes the
 * interrupt first. Without the answer from relax(), a processor that waits for dax_sem and one that holds it and waits
 * for the answer would wait for each other for ever.
 */
#include "kernel.h"

static uint32_t asked; /* one bit a processor */

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
