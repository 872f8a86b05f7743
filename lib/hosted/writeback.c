/* SPDX-License-Identifier: MIT */
/*
 * Cache-line write-back. The instructions are selected by querying the processor at run time and
 * written as inline assembly. So no compiler option is needed, and a sanitizer or Valgrind sees
 * only known loads and stores. Valgrind hides clwb from cpuid, so an instruction that Valgrind can
 * run is chosen.
 */
#include "writeback.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Used if the processor reports no line size. */
#define USUAL_LINE 64

#if defined(__x86_64__) || defined(__i386__)

#include <cpuid.h>
#include <emmintrin.h>

/* <cpuid.h> of some compilers does not define this bit. */
#define CPUID_1_EDX_CLFSH (1u << 19)

/*
 * Writes back the whole line, not only the byte `at`. Hence the memory clobber, which orders all
 * stores to the line before the instruction.
 */
static void clflush(const void *at)
{
    __asm__ volatile("clflush %0" : "+m"(*(volatile char *)(uintptr_t)at)::"memory");
}

static void clflushopt(const void *at)
{
    __asm__ volatile("clflushopt %0" : "+m"(*(volatile char *)(uintptr_t)at)::"memory");
}

static void clwb(const void *at)
{
    __asm__ volatile("clwb %0" : "+m"(*(volatile char *)(uintptr_t)at)::"memory");
}

static void store_fence(void)
{
    __asm__ volatile("sfence" ::: "memory");
}

struct e2dh_write_back e2dh_write_back_choose(void)
{
    struct e2dh_write_back how = {"none", 0, NULL, NULL, NULL};
    unsigned a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(d & CPUID_1_EDX_CLFSH) || !(d & bit_SSE2))
        return how;
    how.line = (size_t)(b >> 8 & 0xFF) * 8;
    if (how.line == 0)
        how.line = USUAL_LINE;
    how.fence = store_fence;
    how.name = "clflush";
    how.one = clflush;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return how;
    if (b & bit_CLWB) {
        how.name = "clwb";
        how.one = clwb;
    } else if (b & bit_CLFLUSHOPT) {
        how.name = "clflushopt";
        how.one = clflushopt;
    }
    return how;
}

#if defined(__x86_64__)
#define CAN_STREAM 1
#else
/* 32-bit code may run without SSE2. */
#define CAN_STREAM __builtin_cpu_supports("sse2")
#endif

/*
 * Both ends are multiples of USUAL_LINE. Streaming stores are not ordered with other stores, not
 * even by a release, hence the fence.
 */
__attribute__((target("sse2"))) static void stream_zeroes(char *at, char *end)
{
    const __m128i zero = _mm_setzero_si128();

    for (; at < end; at += USUAL_LINE) {
        _mm_stream_si128((__m128i *)(void *)at, zero);
        _mm_stream_si128((__m128i *)(void *)(at + 16), zero);
        _mm_stream_si128((__m128i *)(void *)(at + 32), zero);
        _mm_stream_si128((__m128i *)(void *)(at + 48), zero);
    }
    store_fence();
}

#elif defined(__aarch64__) && defined(__linux__)

#include <sys/auxv.h>

#if !defined(HWCAP_DCPOP)
#define HWCAP_DCPOP (1ul << 16)
#endif

static void dc_cvac(const void *at)
{
    __asm__ volatile("dc cvac, %0" ::"r"(at) : "memory");
}

/*
 * Writes back to the point of persistence. Encoded as sys, because the mnemonic needs an
 * architecture option.
 */
static void dc_cvap(const void *at)
{
    __asm__ volatile("sys #3, c7, c12, #1, %0" ::"r"(at) : "memory");
}

/*
 * Full-system barrier, because the point of persistence lies beyond the shareability domain of the
 * processors.
 */
static void store_fence(void)
{
    __asm__ volatile("dsb sy" ::: "memory");
}

struct e2dh_write_back e2dh_write_back_choose(void)
{
    bool to_persistence = (getauxval(AT_HWCAP) & HWCAP_DCPOP) != 0;
    uint64_t type;

    __asm__("mrs %0, ctr_el0" : "=r"(type));
    return (struct e2dh_write_back){
        .name = to_persistence ? "dc cvap" : "dc cvac",
        .line = (size_t)4 << (type >> 16 & 0xF),
        .one = to_persistence ? dc_cvap : dc_cvac,
        .fence = store_fence,
        .settle = store_fence,
    };
}

#define CAN_STREAM 0

#else

struct e2dh_write_back e2dh_write_back_choose(void)
{
    return (struct e2dh_write_back){"none", 0, NULL, NULL, NULL};
}

#define CAN_STREAM 0

#endif

#if !defined(__x86_64__) && !defined(__i386__)
static void stream_zeroes(char *at, char *end)
{
    memset(at, 0, (size_t)(end - at));
}
#endif

void e2dh_write_back_range(const struct e2dh_write_back *how, const void *at, size_t length)
{
    const char *end = (const char *)at + length;

    if (length == 0)
        return;
    for (const char *line = (const char *)at - ((uintptr_t)at & (how->line - 1)); line < end; line += how->line)
        how->one(line);
    if (how->settle)
        how->settle();
}

/* Returns the whole lines inside the range, an empty range if none. */
static void whole_lines(char *at, size_t length, char **first, char **end)
{
    size_t head = (size_t)(-(uintptr_t)at & (USUAL_LINE - 1));

    *first = *end = at;
    if (length < head)
        return;
    *first = at + head;
    *end = *first + ((length - head) & ~(size_t)(USUAL_LINE - 1));
}

/*
 * Smaller ranges are likely to be used from the cache soon. Larger ranges would only evict other
 * lines.
 */
#define STREAM_FROM ((size_t)1 << 20)

void e2dh_zero_volatile(void *at, size_t length)
{
    char *first, *end;

    if (length < STREAM_FROM || !CAN_STREAM) {
        memset(at, 0, length);
        return;
    }
    whole_lines(at, length, &first, &end);
    memset(at, 0, (size_t)(first - (char *)at));
    stream_zeroes(first, end);
    memset(end, 0, (size_t)((char *)at + length - end));
}

void e2dh_zero_durable(const struct e2dh_write_back *how, void *at, size_t length)
{
    char *first, *end;

    whole_lines(at, length, &first, &end);
    if (first == end || !CAN_STREAM) {
        memset(at, 0, length);
        e2dh_write_back_range(how, at, length);
        return;
    }
    memset(at, 0, (size_t)(first - (char *)at));
    e2dh_write_back_range(how, at, (size_t)(first - (char *)at));
    memset(end, 0, (size_t)((char *)at + length - end));
    e2dh_write_back_range(how, end, (size_t)((char *)at + length - end));
    stream_zeroes(first, end);
}
