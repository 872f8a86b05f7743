/* SPDX-License-Identifier: MIT */
/* Instead of the kernel's shootdown.c: only this processor forgets. The checks must notice. */
#include "kernel.h"

void shoot_down_answer(void)
{
}

void shoot_down(void)
{
    uint64_t tables;

    __asm__ volatile("mov %%cr3, %0\n\tmov %0, %%cr3" : "=r"(tables) : : "memory");
}
