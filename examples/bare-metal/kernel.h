/* SPDX-License-Identifier: MIT */
/*
 * The interfaces between the files of the kernel. README.md describes the files in the order
 * needed by a kernel that adds file support.
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

/* ---- physical memory, as the boot tables show it (boot.S, kernel.ld) ---- */

/*
 * Virtual address of the direct map, which covers the first 8 GiB of physical memory. The first
 * GiB is also identity-mapped, and the kernel runs in the identity mapping.
 */
#define DIRECT_MAP 0xFFFF800000000000u

static inline void *at_physical(uint64_t physical)
{
    return (void *)(DIRECT_MAP + physical);
}

/* Returns the physical address of an object in the direct map or in the kernel image. */
static inline uint64_t physical_of(const void *at)
{
    return (uintptr_t)at >= DIRECT_MAP ? (uintptr_t)at - DIRECT_MAP : (uintptr_t)at;
}

/* The data passed by the boot loader, in the layout of Xen's PVH boot. */
struct start_info {
    uint32_t magic, version, flags, modules;
    uint64_t module_list, command_line, acpi;
};

/* Is the C entry of each processor, with interrupts off and a separate stack per processor. */
void start_processor(unsigned index, const struct start_info *info);
_Noreturn void run_checks(const struct start_info *info); /* on the first processor */
_Noreturn void serve_work(void);                          /* on the second processor */

/* ---- the four functions required by the core, and a copy that may fail (memory.S) ---- */

void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *at, int byte, size_t length);
int memcmp(const void *a, const void *b, size_t length);

/* Copies until a page fault cannot be resolved. Returns the number of bytes copied. */
size_t copy_user(void *to, const void *from, size_t length);
extern const char copy_user_access[], copy_user_failed[];

/* ---- console output and power off (serial.c) ---- */

void print(const char *text);
void print_number(uint64_t number);
_Noreturn void power_off(bool good);
_Noreturn void panic(const char *what, uint64_t number);

/* ---- processors, and transitions between kernel and user mode (cpu.c, traps.S) ---- */

/* The frame pushed by traps.S. */
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
/* Is called on each turn of every wait loop. Answers shoot-downs. */
void relax(void);

/*
 * Runs a program in ring 3 with interrupts on. Returns the value passed to user_leave(), which
 * is the value of the program or a constant below. Each processor has a single thread of user
 * code.
 */
#define USER_SIGBUS  UINT64_MAX
#define USER_SIGSEGV (UINT64_MAX - 1)
typedef uint64_t user_program(uintptr_t address, uint64_t b, uint64_t c);
uint64_t user_run(user_program *program, uintptr_t address, uint64_t b, uint64_t c);
_Noreturn void user_leave(uint64_t value);

/* ---- programs for ring 3 (user.c), in separate pages, so without function calls ---- */

/* A page per processor. kernel.ld sets the address of the programs. */
#define USER_STACKS 0x50000000u

user_program user_load;   /* returns the byte at the address */
user_program user_store;  /* stores byte b, returns 0 */
user_program user_sum;    /* returns the sum of the first bytes of b pages */
user_program user_fill;   /* stores b bytes of value c, returns 0 */
user_program user_pass;   /* stores byte c into the first byte of b pages, returns 0 */
user_program user_hammer; /* does the same in an endless loop */

/* ---- the second processor, and the timer (apic.c) ---- */

void apic_init(void);
void apic_start_others(void);
void apic_signal_others(enum vector vector);
/* Calls `work` once after the delay, from an interrupt of this processor. */
void apic_timer(uint64_t microseconds, void (*work)(void *arg), void *arg);
void apic_timer_stop(void);
void apic_timer_interrupt(void);
void apic_done(void); /* signals the end of the current interrupt */

/*
 * other_start() gives work to the second processor, which must be idle. other_done() returns
 * true if the work is done. other_wait() waits for the end of the work.
 */
void other_start(void (*work)(void *arg), void *arg);
bool other_done(void);
void other_wait(void);

/* ---- the time, from the real-time clock and the TSC (clock.c) ---- */

void clock_init(void);
int64_t clock_seconds(void);
uint64_t clock_microseconds(void); /* since clock_init() */
void clock_wait(uint64_t microseconds);

/* ---- persistent memory, as listed by the firmware (nfit.c) ---- */

bool nfit_find(uint64_t acpi, uint64_t *physical, uint64_t *size);

/* ---- memory for page tables and private copies (frames.c) ---- */

void *frame_alloc(void); /* returns a zeroed frame in the direct map, or NULL if no frame is left */
void frame_free(void *frame);
extern uint8_t zero_page[PAGE_SIZE];

/* ---- shootdown.c ---- */

/*
 * Flushes the TLB of every processor and waits for completion. The caller holds the page-table
 * lock, so a single shoot-down runs at a time.
 */
void shoot_down(void);
void shoot_down_answer(void);

/* ---- hardware page tables of 4 levels (page_table.c) ---- */

#define ENTRY_PRESENT  0x1u
#define ENTRY_WRITABLE 0x2u
#define ENTRY_USER     0x4u
#define ENTRY_HUGE     0x80u
#define ENTRY_COPY     0x200u /* software bit, a private copy that owns the frame */
#define ENTRY_FRAME    0x000FFFFFFFFFF000u

/*
 * Returns the entry of level 2 (a huge page or a table) or of level 1 for an address. With
 * `make`, allocates missing tables. Returns NULL if a table is missing and was not allocated,
 * and for level 1 also if the entry above is huge.
 */
uint64_t *entry_at(uintptr_t address, unsigned level, bool make);
/* Returns the present leaf entry for the address, or NULL if an access would fault. */
uint64_t *entry_leaf(uintptr_t address);

/* ---- the plugs ---- */

extern const struct ext2dax_locks plug_locks;         /* plug_locks.c */
extern const struct ext2dax_memory_ops plug_memory;   /* plug_memory.c */
extern const struct ext2dax_host plug_host;           /* plug_host.c */
extern const struct ext2dax_address_space plug_space; /* plug_space.c */

unsigned host_allocations(void); /* number of allocations since boot */

/* ---- mappings (plug_space.c) ---- */

/* A mapping of the pages [first, first + count) of a file at `address`. */
struct mapping {
    struct ext2dax_inode *inode; /* with a reference, NULL if the mapping is unused */
    uintptr_t address;
    uint64_t first, count;
    bool writable, shared;
};

/*
 * Maps pages of a file. The address is congruent to the offset of the first page modulo 2 MiB.
 * Returns NULL if too many mappings exist or the mapping is too long.
 */
struct mapping *space_map(struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool writable, bool shared);
void space_unmap(struct mapping *mapping);
uintptr_t space_page(const struct mapping *mapping, uint64_t page);
/*
 * space_find() returns the mapping of an address, or NULL. In both cases the address-space lock
 * is held shared until space_put().
 */
const struct mapping *space_find(uintptr_t address);
void space_put(void);
/* Returns a copy of the leaf entry for an address, or 0 if no entry is present. */
uint64_t space_look(uintptr_t address);

/* ---- page_fault.c ---- */

/* Counts the calls per fault function, and the results. */
struct fault_counts {
    unsigned fault, huge, mkwrite, pfn_mkwrite, fallback, retry, sigbus;
};
extern struct fault_counts fault_counts;

enum { FAULT_PRESENT = 1, FAULT_WRITE = 2 };
void page_fault(struct trap *trap, uintptr_t address);

/* ---- main.c and the checks ---- */

/* The fixture of the checks. */
struct fixture {
    struct ext2dax_mount *mount;
    const struct ext2dax_memory *memory;
    unsigned passed, failed;
};
extern struct fixture fixture;

/* Prints a line and counts the result. */
void check(const char *what, bool good);
/* Checks that two numbers are equal. Prints the numbers if not. */
void check_same(const char *what, uint64_t found, uint64_t wanted);
/* The next five functions panic on an error. */
struct ext2dax_inode *open_file(const char *name);
struct ext2dax_inode *create_file(const char *name, uint64_t size);
struct mapping *map_file(struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool writable, bool shared);
uint8_t byte_of(struct ext2dax_inode *inode, uint64_t offset); /* read by ext2dax_read() */
uint64_t frame_of(struct ext2dax_inode *inode, uint64_t page); /* physical address, 0 for a hole */
uint64_t sectors_of(const struct ext2dax_inode *inode);

void check_pages(void); /* check_pages.c */
void check_huge(void);  /* check_huge.c */
void check_two(void);   /* check_two.c */

#endif
