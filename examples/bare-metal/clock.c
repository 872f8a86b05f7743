/* SPDX-License-Identifier: MIT */
/*
 * The time of day is the date of the real-time clock at boot plus the progress of the TSC. The
 * frequency of the TSC is measured against the interval timer, which has a fixed frequency.
 */
#include "kernel.h"
#include "port.h"

#define TIMER_HERTZ 1193182u
#define SPEAKER     0x61u /* port with the gate and the output of the third timer channel */

static uint64_t tsc_a_microsecond, tsc_at_boot;
static int64_t seconds_at_boot;

static void measure(void)
{
    uint16_t count = TIMER_HERTZ / 100;
    uint64_t begun;

    port_out(SPEAKER, (uint8_t)((port_in(SPEAKER) & ~2u) | 1));
    port_out(0x43, 0xB0); /* third channel, both bytes, interrupt on terminal count */
    port_out(0x42, (uint8_t)count);
    port_out(0x42, (uint8_t)(count >> 8));
    begun = tsc();
    while ((port_in(SPEAKER) & 0x20) == 0)
        continue;
    tsc_a_microsecond = (tsc() - begun) / 10000;
    if (tsc_a_microsecond == 0)
        tsc_a_microsecond = 1;
}

/* Reads a register of the real-time clock, which holds two decimal digits (BCD). */
static unsigned chip(uint8_t which)
{
    unsigned value;

    port_out(0x70, which);
    value = port_in(0x71);
    return value / 16 * 10 + value % 16;
}

static bool chip_is_updating(void)
{
    port_out(0x70, 0x0A);
    return (port_in(0x71) & 0x80) != 0;
}

/*
 * Returns the days since 1970-01-01. Years are counted from March, so the leap day comes last.
 */
static int64_t days_of(unsigned year, unsigned month, unsigned day)
{
    unsigned y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;

    return (int64_t)(365u * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1) - 719468;
}

void clock_init(void)
{
    measure();
    while (chip_is_updating())
        continue;
    seconds_at_boot =
        days_of(2000 + chip(9), chip(8), chip(7)) * 86400 + (int64_t)chip(4) * 3600 + (int64_t)chip(2) * 60 + chip(0);
    tsc_at_boot = tsc();
}

uint64_t clock_microseconds(void)
{
    return (tsc() - tsc_at_boot) / tsc_a_microsecond;
}

int64_t clock_seconds(void)
{
    return seconds_at_boot + (int64_t)(clock_microseconds() / 1000000);
}

void clock_wait(uint64_t microseconds)
{
    uint64_t end = tsc() + microseconds * tsc_a_microsecond;

    while (tsc() < end)
        relax();
}
