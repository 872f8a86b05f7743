/* SPDX-License-Identifier: MIT */
/* The descriptor tables of a processor, and the dispatch of traps. */
#include "kernel.h"

#define KERNEL_CODE 0x08u
#define FIRST_TASK  0x28u /* in the GDT of boot.S, a descriptor of 16 bytes per processor */
#define VECTORS     48u
#define STUB_SIZE   16u

/* The task state, which holds the stack pointer for traps from user mode. */
struct task_state {
    uint32_t unused0;
    uint64_t trap_stack;
    uint8_t unused[92];
} __attribute__((packed));

struct gate {
    uint16_t low, selector, flags, middle;
    uint32_t high, unused;
};

struct table_pointer {
    uint16_t limit;
    const void *base;
} __attribute__((packed));

extern uint64_t gdt[];
extern const char trap_stubs[];
void trap(struct trap *trap);
uint64_t enter_user(void *trap_stack, user_program *program, uintptr_t address, uint64_t b, uint64_t c,
                    uintptr_t stack);
_Noreturn void leave_user(uint64_t trap_stack, uint64_t value);

static struct task_state tasks[PROCESSORS];
static struct gate gates[VECTORS];

/*
 * Fills the interrupt descriptor table. All gates are interrupt gates, so handlers run with
 * interrupts off. Only VECTOR_LEAVE may be called from ring 3.
 */
static void set_gates(void)
{
    for (unsigned vector = 0; vector < VECTORS; vector++) {
        uintptr_t stub = (uintptr_t)trap_stubs + (uintptr_t)vector * STUB_SIZE;

        gates[vector] = (struct gate){
            .low = (uint16_t)stub,
            .selector = KERNEL_CODE,
            .flags = vector == VECTOR_LEAVE ? 0xEE00 : 0x8E00,
            .middle = (uint16_t)(stub >> 16),
            .high = (uint32_t)(stub >> 32),
        };
    }
}

void cpu_init(unsigned index)
{
    const struct table_pointer idt = {sizeof(gates) - 1, gates};
    uintptr_t task = (uintptr_t)&tasks[index];
    uint16_t selector = (uint16_t)(FIRST_TASK + index * 16);

    if (index == 0)
        set_gates();
    gdt[selector / 8] = (sizeof(tasks[0]) - 1) | (task & 0xFFFFFF) << 16 | 0x89ull << 40 | (task >> 24 & 0xFF) << 56;
    gdt[selector / 8 + 1] = task >> 32;
    __asm__ volatile("ltr %0" : : "r"(selector));
    __asm__ volatile("lidt %0" : : "m"(idt));
}

/*
 * Returns the index of this processor from the task register, without a lock or a memory
 * access.
 */
unsigned cpu_index(void)
{
    uint16_t selector;

    __asm__("str %0" : "=r"(selector));
    return (selector - FIRST_TASK) / 16u;
}

bool trap_from_user(const struct trap *trap)
{
    return (trap->cs & 3) == 3;
}

/*
 * Interrupts are off in the kernel. So a waiting processor polls for the shoot-down that another
 * processor waits for.
 */
void relax(void)
{
    shoot_down_answer();
    __asm__ volatile("pause");
}

uint64_t user_run(user_program *program, uintptr_t address, uint64_t b, uint64_t c)
{
    unsigned index = cpu_index();
    uintptr_t stack = USER_STACKS + (uintptr_t)(index + 1) * PAGE_SIZE;

    /* After a call instruction the stack pointer is 8 bytes below a multiple of 16. */
    return enter_user((char *)&tasks[index] + offsetof(struct task_state, trap_stack), program, address, b, c,
                      stack - 8);
}

void user_leave(uint64_t value)
{
    leave_user(tasks[cpu_index()].trap_stack, value);
}

void trap(struct trap *trap)
{
    uintptr_t address;

    switch (trap->vector) {
    case VECTOR_PAGE_FAULT:
        __asm__ volatile("mov %%cr2, %0" : "=r"(address));
        page_fault(trap, address);
        break;
    case VECTOR_TIMER:
        apic_done();
        apic_timer_interrupt();
        break;
    case VECTOR_SHOOT_DOWN:
        apic_done();
        shoot_down_answer();
        break;
    case VECTOR_WORK: /* serve_work() continues after hlt */
        apic_done();
        break;
    case VECTOR_LEAVE:
        user_leave(trap->rax);
    case VECTOR_SPURIOUS:
        break;
    default:
        print("trap ");
        print_number(trap->vector);
        panic(", at", trap->rip);
    }
}
