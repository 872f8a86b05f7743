/* SPDX-License-Identifier: MIT */
/*
 * Fixture of the tests with real faults. A fresh image in an anonymous file, mounted, with the
 * address space of this process.
 */
#ifndef MOUNTED_H
#define MOUNTED_H

#include <check.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/hosted/process.h"

/*
 * Accesses which must fail. Valgrind reports no error for them, if its headers were present at
 * build time.
 */
#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif
#endif
#if !defined(VALGRIND_DISABLE_ERROR_REPORTING)
#define VALGRIND_DISABLE_ERROR_REPORTING ((void)0)
#define VALGRIND_ENABLE_ERROR_REPORTING  ((void)0)
#endif
#if !defined(VALGRIND_MAKE_MEM_DEFINED)
#define VALGRIND_MAKE_MEM_DEFINED(at, bytes) ((void)(at), (void)(bytes))
#endif

#define PAGE 4096u
#define HUGE (512 * PAGE)

struct mounted {
    struct ext2dax_memory memory;
    struct ext2dax_host host;
    struct ext2dax_process *process;
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root;
    struct ext2dax_plugs plugs; /* plugs used for the mount */
};

/*
 * Options of mounted_open(). All-zero gives 64 MiB, 4 KiB blocks, default locks and the default
 * limit of mappings.
 */
struct mounted_options {
    uint64_t size;
    uint32_t block_size, blocks_per_group;
    size_t max_mappings;
    size_t reserve; /* of the host, for its handlers */
    bool collapse;
    const char *path; /* file of the image, or NULL for an anonymous file */
    uint64_t offset;  /* of the image in the file */
    const char *locks;
    enum ext2dax_order order;
    /* replaces the file's own ops, with the struct mounted as ctx */
    const struct ext2dax_memory_ops *memory_ops;
};

void mounted_open(struct mounted *m, const struct mounted_options *options);
/*
 * Unmounts and mounts again with default options. The caller holds no inode reference except to the
 * root.
 */
void mounted_again(struct mounted *m);
/* Unmounts, checks the image with the invariant checker, and frees everything. */
void mounted_close(struct mounted *m);

struct ext2dax_inode *make_file(struct mounted *m, const char *name, uint64_t size);
/*
 * Helpers which write a range of a single byte value, read a byte, and return the sectors in use.
 */
void fill(struct ext2dax_inode *inode, uint64_t offset, size_t length, uint8_t byte);
uint8_t byte_of(struct ext2dax_inode *inode, uint64_t offset);
uint64_t sectors_of(struct ext2dax_inode *inode);
void *map_file(struct mounted *m, struct ext2dax_inode *inode, uint64_t offset, uint64_t length, unsigned flags);
void unmap_file(struct mounted *m, void *address);
struct ext2dax_process_counters count(struct mounted *m);

/*
 * On other processors the signal does not show whether the access is a store. Finding out takes
 * additional traps.
 */
#if defined(__x86_64__) || defined(__i386__) || defined(__aarch64__)
#define SHOWS_STORES true
#else
#define SHOWS_STORES false
#endif

/*
 * Accesses a byte. Returns 0, or the number of the signal raised. `access_signal` holds the
 * signal's details.
 */
extern __thread siginfo_t access_signal;
/* for SIGSEGV and SIGBUS, before mounted_open(), so the library's handlers are installed on top */
void catch_signals(void);
int access_byte(const volatile void *at, bool store);
/* Calls the code at the address as a function. Returns as access_byte() does. */
int jump_to(const void *at);
/* Reads a word into *seen, then stores `store` unless 0. Returns as access_byte() does. */
int access_word(volatile uint64_t *at, uint64_t store, uint64_t *seen);
/*
 * Threads access the same bytes without ordering on purpose. The accesses are atomic, so race
 * detectors report nothing.
 */
static inline uint8_t peek(const volatile void *at)
{
    return __atomic_load_n((const volatile uint8_t *)at, __ATOMIC_RELAXED);
}
static inline void poke(volatile void *at, uint8_t byte)
{
    __atomic_store_n((volatile uint8_t *)at, byte, __ATOMIC_RELAXED);
}

/*
 * Runs the function in a new child process. Returns the signal which ended the child, or 1000 plus
 * the code passed to child_exit(). A function which returns exits with code 0. child_exit() ends
 * the child with SIGKILL, so Valgrind checks no leaks in the child.
 */
int in_child(void (*run)(void));
void child_exit(int code);

/*
 * Makes a suite with a case for faults of this process. Returns NULL, after printing the reason, if
 * the fault method is not available or the processor is emulated.
 */
TCase *mounted_case(const char *name, Suite **suite);

#endif
