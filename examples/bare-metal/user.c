/* SPDX-License-Identifier: MIT */
/*
 * Programs for ring 3: ordinary loads and stores, which know nothing of files. They are linked to where ring 3 sees them,
 * cannot see the kernel, and leave by a trap with their value.
 */
#include "kernel.h"

static inline uint64_t leave(uint64_t value)
{
    __asm__ volatile("int %0" : : "i"(VECTOR_LEAVE), "a"(value));
    __builtin_unreachable();
}

uint64_t user_load(uintptr_t address, uint64_t unused, uint64_t unused2)
{
    (void)unused;
    (void)unused2;
    return leave(*(volatile uint8_t *)address);
}

uint64_t user_store(uintptr_t address, uint64_t byte, uint64_t unused)
{
    (void)unused;
    *(volatile uint8_t *)address = (uint8_t)byte;
    return leave(0);
}

uint64_t user_sum(uintptr_t address, uint64_t pages, uint64_t unused)
{
    uint64_t sum = 0;

    (void)unused;
    for (uint64_t page = 0; page < pages; page++)
        sum += *(volatile uint8_t *)(address + page * PAGE_SIZE);
    return leave(sum);
}

uint64_t user_fill(uintptr_t address, uint64_t bytes, uint64_t byte)
{
    for (uint64_t i = 0; i < bytes; i++)
        ((volatile uint8_t *)address)[i] = (uint8_t)byte;
    return leave(0);
}

uint64_t user_pass(uintptr_t address, uint64_t pages, uint64_t byte)
{
    for (uint64_t page = 0; page < pages; page++)
        *(volatile uint8_t *)(address + page * PAGE_SIZE) = (uint8_t)byte;
    return leave(0);
}

uint64_t user_hammer(uintptr_t address, uint64_t pages, uint64_t byte)
{
    for (;;) {
        for (uint64_t page = 0; page < pages; page++)
            *(volatile uint8_t *)(address + page * PAGE_SIZE) = (uint8_t)byte;
    }
}
