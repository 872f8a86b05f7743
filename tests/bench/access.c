/* SPDX-License-Identifier: MIT */
/*
 * Measures the cost of accessing mapped pages with each fault method, against a plain mapping of a
 * file in memory. The plain mapping takes the kernel's own faults, the fastest possible. In the
 * scattered file a hole follows every page, so each page takes a fault of its own. In the whole
 * file each PMD range of 2 MiB takes a single fault. The methods alternate, and the figures are
 * medians of the rounds. Bytes read are compared with the bytes written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"
#include "ext2dax/hosted/process.h"

#include "../skip.h"

#define ROUNDS     7
#define PAGE       4096u
#define PAGES      4096u
#define APART      (2 * PAGE)
#define PMD_RANGE  ((size_t)2 << 20)
#define PMD_RANGES 32u

enum step { READ, STORE, SYNC, CUT, HUGE_STORE, HUGE_SYNC, STEPS };
static const char *const steps[STEPS] = {
    "read a page",  "store to it",         "write it back (fsync, all pages)", "take it away (truncate)",
    "store, 2 MiB", "write it back, 2 MiB"};
enum who { PLAIN, SIGSEGV_WAY, USERFAULTFD_WAY, WHO };
static const char *const names[WHO] = {"plain mmap", "SIGSEGV", "userfaultfd"};

static double figures[WHO][STEPS][ROUNDS];

static void fail(const char *what, int error)
{
    fprintf(stderr, "access: %s: %s\n", what, error ? ext2dax_strerror(error) : "is wrong");
    exit(EXIT_FAILURE);
}

static void need(const char *what, int error)
{
    if (error)
        fail(what, error);
}

static double now(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

/*
 * Accesses `count` bytes, `apart` bytes from each other. Returns the nanoseconds per byte accessed.
 */
static double access_all(volatile unsigned char *at, size_t count, size_t apart, int store)
{
    double begun = now();

    for (size_t i = 0; i < count; i++) {
        if (store)
            at[i * apart] = (unsigned char)(i * 7 + 1);
        else if (at[i * apart] != (unsigned char)(i * 7))
            fail("a byte that was read", 0);
    }
    return (now() - begun) / (double)count;
}

static void plain(unsigned round)
{
    int file = memfd_create("plain", MFD_CLOEXEC);
    unsigned char *at, *filler;

    if (file < 0 || ftruncate(file, (off_t)(PMD_RANGES * PMD_RANGE)) != 0)
        fail("a file in memory", -EXT2DAX_ENOMEM);
    filler = mmap(NULL, PMD_RANGES * PMD_RANGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
    at = mmap(NULL, PMD_RANGES * PMD_RANGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (filler == MAP_FAILED || at == MAP_FAILED)
        fail("a plain mapping", -EXT2DAX_ENOMEM);
    /* a fault per page, as with scattered blocks */
    (void)madvise(at, PMD_RANGES * PMD_RANGE, MADV_RANDOM);
    for (size_t i = 0; i < PAGES; i++)
        filler[i * APART] = (unsigned char)(i * 7);
    figures[PLAIN][READ][round] = access_all(at, PAGES, APART, 0);
    figures[PLAIN][STORE][round] = access_all(at, PAGES, APART, 1);
    munmap(filler, PMD_RANGES * PMD_RANGE);
    munmap(at, PMD_RANGES * PMD_RANGE);
    close(file);
}

struct bench {
    struct ext2dax_memory memory;
    struct ext2dax_host host;
    struct ext2dax_process *process;
    struct ext2dax_mount *mount;
    struct ext2dax_inode *scattered, *whole;
};

static void open_bench(struct bench *b, enum ext2dax_fault_method method)
{
    struct ext2dax_process_options options = {.size = sizeof(options), .method = method};
    struct ext2dax_mount_options mount = {.size = sizeof(mount)};
    struct ext2dax_inode *root;
    struct ext2dax_plugs plugs;
    unsigned char page[PAGE];

    memset(&plugs, 0, sizeof(plugs));
    need("an image", ext2dax_memory_open_anonymous("access", (uint64_t)256 << 20, &b->memory));
    need("format", ext2dax_format(&b->memory, NULL, NULL));
    need("a host", ext2dax_host_open(NULL, &b->host));
    plugs.locks = ext2dax_locks_default();
    plugs.memory = b->memory;
    plugs.host = b->host;
    need("serve page faults", ext2dax_process_open(&b->memory, plugs.locks, &options, &b->process));
    plugs.address_space = ext2dax_process_address_space(b->process);
    need("mount", ext2dax_mount(&plugs, &mount, &b->mount));
    need("the root", ext2dax_inode_get(b->mount, EXT2DAX_ROOT_INODE, &root));
    need("create", ext2dax_create(root, "scattered", 9, 0600, 0, 0, &b->scattered));
    need("create", ext2dax_create(root, "whole", 5, 0600, 0, 0, &b->whole));
    for (uint64_t i = 0; i < PAGES; i++) {
        memset(page, (int)(i * 7 & 0xFF), sizeof(page));
        if (ext2dax_write(b->scattered, i * APART, page, PAGE) != PAGE)
            fail("write", -EXT2DAX_EIO);
    }
    need("allocate", ext2dax_allocate(b->whole, 0, PMD_RANGES * PMD_RANGE, false));
    ext2dax_inode_put(root);
}

static void close_bench(struct bench *b)
{
    ext2dax_inode_put(b->scattered);
    ext2dax_inode_put(b->whole);
    need("unmount", ext2dax_unmount(b->mount));
    need("stop serving page faults", ext2dax_process_close(b->process));
    ext2dax_host_close(&b->host);
    ext2dax_memory_close_file(&b->memory);
}

static void by_method(enum who who, unsigned round)
{
    enum ext2dax_fault_method method =
        who == SIGSEGV_WAY ? EXT2DAX_FAULT_METHOD_SIGSEGV : EXT2DAX_FAULT_METHOD_USERFAULTFD;
    struct bench b;
    double begun;
    void *at;

    open_bench(&b, method);
    need("map", ext2dax_process_map(b.process, b.scattered, 0, (uint64_t)PAGES * APART, EXT2DAX_MAP_WRITE, &at));
    figures[who][READ][round] = access_all(at, PAGES, APART, 0);
    figures[who][STORE][round] = access_all(at, PAGES, APART, 1);
    begun = now();
    need("fsync", ext2dax_fsync(b.scattered));
    figures[who][SYNC][round] = (now() - begun) / PAGES;
    begun = now();
    need("truncate", ext2dax_truncate(b.scattered, 0));
    figures[who][CUT][round] = (now() - begun) / PAGES;
    need("unmap", ext2dax_process_unmap(b.process, at));

    need("map", ext2dax_process_map(b.process, b.whole, 0, PMD_RANGES * PMD_RANGE, EXT2DAX_MAP_WRITE, &at));
    figures[who][HUGE_STORE][round] = access_all(at, PMD_RANGES, PMD_RANGE, 1);
    begun = now();
    need("fsync", ext2dax_fsync(b.whole));
    figures[who][HUGE_SYNC][round] = (now() - begun) / PMD_RANGES;
    need("unmap", ext2dax_process_unmap(b.process, at));
    close_bench(&b);
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof(*values), by_value);
    return values[ROUNDS / 2];
}

int main(void)
{
    const char *why;
    int userfaultfd = ext2dax_process_may(EXT2DAX_FAULT_METHOD_USERFAULTFD, &why) == 0;

    if (ext2dax_process_may(EXT2DAX_FAULT_METHOD_SIGSEGV, &why) != 0) {
        return skip(why);
    }
    if (!userfaultfd)
        printf("userfaultfd left out: %s\n", why);
    for (unsigned round = 0; round < ROUNDS; round++) {
        plain(round);
        by_method(SIGSEGV_WAY, round);
        if (userfaultfd)
            by_method(USERFAULTFD_WAY, round);
    }
    printf("microseconds a page or a PMD range, median of %d rounds\n%-34s", ROUNDS, "");
    for (unsigned who = 0; who < WHO; who++)
        printf(" %12s", names[who]);
    for (unsigned step = 0; step < STEPS; step++) {
        printf("\n%-34s", steps[step]);
        for (unsigned who = 0; who < WHO; who++) {
            double figure = median(figures[who][step]);

            if (figure > 0)
                printf(" %12.2f", figure / 1000);
            else
                printf(" %12s", "-");
        }
    }
    printf("\n");
    return EXIT_SUCCESS;
}
