/* SPDX-License-Identifier: MIT */
/*
 * Programs for ring 3. Each executes ordinary loads and stores, without knowledge of files. The
 * programs are linked at the user address, cannot access the kernel, and leave by a trap with a
 * value.
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
