/* SPDX-License-Identifier: MIT */
/*
 * What each file of the kernel offers to the others. README.md walks through them in the order in which a kernel that
 * wants files needs them.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ext2dax/ext2dax.h>

#define PAGE_SIZE  4096ul
#define HUGE_SIZE  (2ul << 20)
#define PROCESSORS 2u

/* ---- boot.S, kernel.ld: physical memory, as the boot tables show it ---- */

/* All of the first 8 GiB is mapped from here on; the first GiB also at its own address, where the kernel runs. */
#define DIRECT_MAP 0xFFFF800000000000u

static inline void *at_physical(uint64_t physical)
{
    return (void *)(DIRECT_MAP + physical);
}

/* Of something in the direct map, or in the kernel, which runs where it was loaded. */
static inline uint64_t physical_of(const void *at)
{
    return (uintptr_t)at >= DIRECT_MAP ? (uintptr_t)at - DIRECT_MAP : (uintptr_t)at;
}

/* What the boot loader hands over; the layout is that of Xen's PVH boot. */
struct start_info {
    uint32_t magic, version, flags, modules;
    uint64_t module_list, command_line, acpi;
};

/* Where a processor starts in C, with interrupts off, on a stack of its own. */
void start_processor(unsigned index, const struct start_info *info);
_Noreturn void run_checks(const struct start_info *info); /* the first one */
_Noreturn void serve_work(void);                          /* the second */

/* ---- memory.S: the four functions the core wants, and a copy that may fail ---- */

void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *at, int byte, size_t length);
int memcmp(const void *a, const void *b, size_t length);

/* Copies until a page fault cannot be resolved; returns how many bytes were copied. */
size_t copy_user(void *to, const void *from, size_t length);
extern const char copy_user_access[], copy_user_failed[];

/* ---- serial.c: what a person reads, and the way out ---- */

void print(const char *text);
void print_number(uint64_t number);
_Noreturn void power_off(bool good);
_Noreturn void panic(const char *what, uint64_t number);

/* ---- cpu.c, traps.S: processors, and the way between kernel and user ---- */

/* What traps.S pushes. */
struct trap {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, flags, rsp, ss;
};

enum vector {
    VECTOR_PAGE_FAULT = 14,
    VECTOR_TIMER = 32,
    VECTOR_SHOOT_DOWN = 33,
    VECTOR_WORK = 34,
    VECTOR_LEAVE = 35,
    VECTOR_SPURIOUS = 47
};

void cpu_init(unsigned index);
unsigned cpu_index(void);
bool trap_from_user(const struct trap *trap);
void relax(void); /* one turn of every loop that waits */

/* Runs a program in ring 3, with interrupts on, until it leaves with a value, or with one of these. Each processor has
 * one thread of user code. */
#define USER_SIGBUS  UINT64_MAX
#define USER_SIGSEGV (UINT64_MAX - 1)
typedef uint64_t user_program(uintptr_t address, uint64_t b, uint64_t c);
uint64_t user_run(user_program *program, uintptr_t address, uint64_t b, uint64_t c);
_Noreturn void user_leave(uint64_t value);

/* ---- user.c: programs for ring 3; in pages of their own, so they call nothing ---- */

#define USER_STACKS 0x50000000u /* a page for each processor; the programs are where kernel.ld links them to */

user_program user_load;   /* the byte there */
user_program user_store;  /* the byte b; 0 */
user_program user_sum;    /* of the first bytes of b pages */
user_program user_fill;   /* b bytes of c; 0 */
user_program user_pass;   /* the byte c into the first byte of b pages; 0 */
user_program user_hammer; /* the same, for ever */

/* ---- apic.c: the other processor, and the timer ---- */

void apic_init(void);
void apic_start_others(void);
void apic_signal_others(enum vector vector);
/* Calls `work` once, from an interrupt of this processor. */
void apic_timer(uint64_t microseconds, void (*work)(void *arg), void *arg);
void apic_timer_stop(void);
void apic_timer_interrupt(void);
void apic_done(void); /* with the interrupt being served */

/* Work for the second processor, which must have none; is it done; waits until it is. */
void other_start(void (*work)(void *arg), void *arg);
bool other_done(void);
void other_wait(void);

/* ---- clock.c: the date, from the clock chip and the TSC ---- */

void clock_init(void);
int64_t clock_seconds(void);
uint64_t clock_microseconds(void); /* since clock_init() */
void clock_wait(uint64_t microseconds);

/* ---- nfit.c: persistent memory, as the firmware lists it ---- */

bool nfit_find(uint64_t acpi, uint64_t *physical, uint64_t *size);

/* ---- frames.c: memory for page tables and private copies ---- */

void *frame_alloc(void); /* zeroed, in the direct map; NULL: none left */
void frame_free(void *frame);
extern uint8_t zero_page[PAGE_SIZE];

/* ---- shootdown.c ---- */

/* Every processor forgets what it knows of the page tables. One caller at a time: under the page-table lock. */
void shoot_down(void);
void shoot_down_answer(void);

/* ---- page_table.c: real ones, of 4 levels ---- */

#define ENTRY_PRESENT  0x1u
#define ENTRY_WRITABLE 0x2u
#define ENTRY_USER     0x4u
#define ENTRY_HUGE     0x80u
#define ENTRY_COPY     0x200u /* ours: a private copy, which owns its frame */
#define ENTRY_FRAME    0x000FFFFFFFFFF000u

/* The entry of level 2 (a huge page, or a table) or 1 for an address. Without `make`, or where no memory is left, NULL
 * if a table on the way is missing; level 1 also where the entry above is huge. */
uint64_t *entry_at(uintptr_t address, unsigned level, bool make);
/* What a processor would use for the address, or NULL where it would fault. */
uint64_t *entry_leaf(uintptr_t address);

/* ---- the plugs ---- */

extern const struct ext2dax_locks plug_locks;         /* plug_locks.c */
extern const struct ext2dax_memory_ops plug_memory;   /* plug_memory.c */
extern const struct ext2dax_host plug_host;           /* plug_host.c */
extern const struct ext2dax_address_space plug_space; /* plug_space.c */

unsigned host_allocations(void); /* so far */

/* ---- plug_space.c: what is mapped ---- */

/* Pages [first, first + count) of a file, at `address`. */
struct mapping {
    struct ext2dax_inode *inode; /* holds a reference; NULL: this one is not in use */
    uintptr_t address;
    uint64_t first, count;
    bool writable, shared;
};

/* NULL: too many, or too long; the address is congruent to the page modulo a huge page. */
struct mapping *space_map(struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool writable, bool shared);
void space_unmap(struct mapping *mapping);
uintptr_t space_page(const struct mapping *mapping, uint64_t page);
/* The address-space lock, held shared from `find` to `put`. */
const struct mapping *space_find(uintptr_t address);
void space_put(void);
/* A copy of the entry for an address; 0: there is none. */
uint64_t space_look(uintptr_t address);

/* ---- page_fault.c ---- */

/* How often each entry of the fault family was called, and what they answered. */
struct fault_counts {
    unsigned fault, huge, mkwrite, pfn_mkwrite, fallback, retry, sigbus;
};
extern struct fault_counts fault_counts;

enum { FAULT_PRESENT = 1, FAULT_WRITE = 2 };
void page_fault(struct trap *trap, uintptr_t address);

/* ---- main.c and the checks ---- */

/* What they work on. */
struct bench {
    struct ext2dax_mount *mount;
    const struct ext2dax_memory *memory;
    unsigned passed, failed;
};
extern struct bench bench;

/* Prints one line, and counts. */
void check(const char *what, bool good);
/* As check, of two numbers that must be the same, printed where they are not. */
void check_same(const char *what, uint64_t found, uint64_t wanted);
/* These two end the run where they cannot. */
struct ext2dax_inode *open_file(const char *name);
struct ext2dax_inode *create_file(const char *name, uint64_t size);
struct mapping *map_file(struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool writable, bool shared);
uint8_t byte_of(struct ext2dax_inode *inode, uint64_t offset); /* as ext2dax_read() has it */
uint64_t frame_of(struct ext2dax_inode *inode, uint64_t page); /* physical address of its block; 0: a hole */
uint64_t sectors_of(const struct ext2dax_inode *inode);

void check_pages(void); /* check_pages.c */
void check_huge(void);  /* check_huge.c */
void check_two(void);   /* check_two.c */

#endif
