/* SPDX-License-Identifier: MIT */
/*
 * The local APIC. Starts the second processor, sends interrupts to the second processor and
 * drives the timer. Also hands work to the second processor.
 */
#include "kernel.h"
#include "port.h"

#define APIC 0xFEE00000u
/* Below 1 MiB and page-aligned, because the startup IPI carries a page number. */
#define TRAMPOLINE 0x8000u

enum apic_register {
    END = 0xB0,
    SPURIOUS = 0xF0,
    COMMAND = 0x300,
    TIMER = 0x320,
    COUNT = 0x380,
    NOW = 0x390,
    DIVIDE = 0x3E0
};

#define ALL_OTHERS 0xC4000u /* deliver to every processor but this one */
#define INIT       0x500u
#define START      0x600u
#define SENDING    0x1000u

extern const char trampoline[], trampoline_end[];
extern uint32_t processors;

static uint64_t ticks_a_second;
static struct {
    void (*work)(void *arg);
    void *arg;
} timer[PROCESSORS], other;

static volatile uint32_t *apic(enum apic_register which)
{
    return at_physical(APIC + which);
}

void apic_done(void)
{
    *apic(END) = 0;
}

static void command(uint32_t what)
{
    *apic(COMMAND) = what;
    while ((*apic(COMMAND) & SENDING) != 0)
        relax();
}

void apic_init(void)
{
    /* Masks all interrupts of the legacy interrupt controllers. */
    port_out(0x21, 0xFF);
    port_out(0xA1, 0xFF);
    *apic(SPURIOUS) = 0x100 | VECTOR_SPURIOUS;
    *apic(DIVIDE) = 0x3; /* by 16 */
    if (ticks_a_second == 0) {
        *apic(COUNT) = UINT32_MAX;
        clock_wait(10000);
        ticks_a_second = (uint64_t)(UINT32_MAX - *apic(NOW)) * 100;
        *apic(COUNT) = 0;
    }
}

void apic_signal_others(enum vector vector)
{
    command(ALL_OTHERS | (uint32_t)vector);
}

void apic_start_others(void)
{
    memcpy(at_physical(TRAMPOLINE), trampoline, (uintptr_t)trampoline_end - (uintptr_t)trampoline);
    command(ALL_OTHERS | INIT);
    clock_wait(10000);
    command(ALL_OTHERS | START | TRAMPOLINE >> 12);
    for (unsigned turn = 0; turn < 1000 && __atomic_load_n(&processors, __ATOMIC_ACQUIRE) < PROCESSORS; turn++)
        clock_wait(1000);
    if (__atomic_load_n(&processors, __ATOMIC_ACQUIRE) < PROCESSORS)
        panic("processors that started", processors);
}

void apic_timer(uint64_t microseconds, void (*work)(void *arg), void *arg)
{
    unsigned index = cpu_index();

    timer[index].work = work;
    timer[index].arg = arg;
    *apic(TIMER) = VECTOR_TIMER;
    *apic(COUNT) = (uint32_t)(ticks_a_second * microseconds / 1000000);
}

void apic_timer_stop(void)
{
    *apic(COUNT) = 0;
    timer[cpu_index()].work = NULL; /* for an interrupt already pending */
}

void apic_timer_interrupt(void)
{
    unsigned index = cpu_index();

    if (timer[index].work)
        timer[index].work(timer[index].arg);
}

void other_start(void (*work)(void *arg), void *arg)
{
    other.arg = arg;
    __atomic_store_n(&other.work, work, __ATOMIC_RELEASE);
    apic_signal_others(VECTOR_WORK);
}

bool other_done(void)
{
    return !__atomic_load_n(&other.work, __ATOMIC_ACQUIRE);
}

void other_wait(void)
{
    while (!other_done())
        relax();
}

/*
 * Serves work on the second processor, for ever. Sleeps with interrupts on while idle. sti takes
 * effect after the next instruction, so no interrupt can arrive between sti and hlt.
 */
void serve_work(void)
{
    void (*work)(void *arg);

    for (;;) {
        work = __atomic_load_n(&other.work, __ATOMIC_ACQUIRE);
        if (work) {
            work(other.arg);
            __atomic_store_n(&other.work, NULL, __ATOMIC_RELEASE);
        } else {
            __asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
        }
    }
}
