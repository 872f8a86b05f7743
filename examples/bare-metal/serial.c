/* SPDX-License-Identifier: MIT */
/*
 * Console output on the first serial port, and power off through the debug exit device of QEMU.
 */
#include "kernel.h"
#include "port.h"

#define SERIAL     0x3F8u
#define READY      0x20u /* the port accepts a byte */
#define DEBUG_EXIT 0xF4u /* QEMU exits with status 2 * value + 1 */

static void print_byte(char byte)
{
    while ((port_in(SERIAL + 5) & READY) == 0)
        continue;
    port_out(SERIAL, (uint8_t)byte);
}

void print(const char *text)
{
    while (*text)
        print_byte(*text++);
}

void print_number(uint64_t number)
{
    char digits[21], *at = digits + sizeof(digits) - 1;

    *at = 0;
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    print(at);
}

void power_off(bool good)
{
    for (;;)
        port_out32(DEBUG_EXIT, good ? 16 : 17);
}

void panic(const char *what, uint64_t number)
{
    print("panic: ");
    print(what);
    print(": ");
    print_number(number);
    print("\n");
    power_off(false);
}
