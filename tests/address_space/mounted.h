/* SPDX-License-Identifier: MIT */
/* A fresh image in an anonymous file, mounted, with the address space of this process: what real faults are tried on. */
#ifndef MOUNTED_H
#define MOUNTED_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/hosted/process.h"

/* Touches that shall fail: Valgrind, where its headers were there to build with, keeps quiet about them. */
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
};

/* How it is opened; all-zero: 64 MiB, 4 KiB blocks, default locks, the default limit of mappings. */
struct mounted_options {
    uint64_t size;
    uint32_t block_size;
    size_t max_mappings;
    bool collapse;
    const char *path; /* of the image's file; NULL: an anonymous one */
    const char *locks;
    enum ext2dax_order order;
    const struct ext2dax_memory_ops *memory_ops; /* instead of the file's own; ctx is the struct mounted */
};

void mounted_open(struct mounted *m, const struct mounted_options *options);
/* Unmounts, has the invariant checker look at the image, and gives everything back. */
void mounted_close(struct mounted *m);

struct ext2dax_inode *make_file(struct mounted *m, const char *name, uint64_t size);
/* Writes a stretch of one byte; reads one byte; tells the blocks it takes. */
void fill(struct ext2dax_inode *inode, uint64_t offset, size_t length, uint8_t byte);
uint8_t byte_of(struct ext2dax_inode *inode, uint64_t offset);
uint64_t sectors_of(struct ext2dax_inode *inode);
void *map_file(struct mounted *m, struct ext2dax_inode *inode, uint64_t offset, uint64_t length, unsigned flags);
void unmap_file(struct mounted *m, void *address);
struct ext2dax_process_counters count(struct mounted *m);

/* Touches one byte and tells how that ended: 0, or the signal; its details are in touched. */
extern __thread siginfo_t touched;
void catch_signals(void); /* SIGSEGV and SIGBUS; before mounted_open(), so that ours comes on top */
int touch(const volatile void *at, bool store);
/* Reads a word into *seen; then stores another, unless that is 0. */
int touch_word(volatile uint64_t *at, uint64_t store, uint64_t *seen);
/* Threads touch the same bytes on purpose, unordered; atomically, so that no race detector need be told. */
static inline uint8_t peek(const volatile void *at)
{
    return __atomic_load_n((const volatile uint8_t *)at, __ATOMIC_RELAXED);
}
static inline void poke(volatile void *at, uint8_t byte)
{
    __atomic_store_n((volatile uint8_t *)at, byte, __ATOMIC_RELAXED);
}

/*
 * Runs it in a child process from the start; returns the signal it died of, or 1000 + what it handed to child_exit(),
 * which it does by itself at the end, with 0. That end is a SIGKILL, so that Valgrind does not look for leaks in it.
 */
int in_child(void (*run)(void));
void child_exit(int code);

#endif
