/* SPDX-License-Identifier: MIT */
/*
 * What the tests of files and faults share: a filesystem in heap memory with the model address space, whose every state
 * the invariant checker can judge.
 */
#ifndef BENCH_H
#define BENCH_H

#include <check.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/testkit/checker.h"
#include "ext2dax/testkit/explorer.h"
#include "ext2dax/testkit/lock_order.h"
#include "ext2dax/testkit/model.h"

struct given;

struct bench {
    struct ext2dax_memory memory;
    struct ext2dax_model *model;
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root;
    uint32_t block_size, page_size;
    unsigned window_pages;
    long allocs_left; /* allocations until one fails, once; negative: never */
    size_t copy_left; /* bytes until the caller's buffer of a write can no longer be touched; SIZE_MAX: always */
    unsigned reports;
    struct ext2dax_report last;
    struct given *given; /* what the host gave out */
    pthread_mutex_t given_mutex;
    bool nobody;                       /* the caller may not use reserved blocks */
    struct ext2dax_inode *released;    /* the last one that was given back in its own storage */
    struct ext2dax_locks locks;        /* the mount's and the model's */
    struct ext2dax_lock_order *order;  /* every lock goes through it; NULL: nobody looks */
    struct ext2dax_explorer *explorer; /* everything lives in its memory; NULL: in the heap */
    char broken[160];                  /* the last rule of it that was broken */
    unsigned char *durable;            /* what a power cut would leave of the image; NULL: not looked at */
    void (*clock)(void);               /* called whenever the core asks what time it is; may be NULL */
    bool sparse;
};

struct bench_options {
    size_t size;
    uint32_t block_size;
    unsigned page_shift, huge_order;
    enum ext2dax_order order;
    uint32_t reserved_percent;
    uint32_t blocks_per_group;
    const char *locks;                 /* NULL: the default backend */
    bool durable;                      /* keep account of what was written back */
    struct ext2dax_explorer *explorer; /* whose locks and memory it uses; NULL: the library's own */
    bool blind;                        /* nobody looks at the order of locks */
    bool sparse;                       /* memory aligned to a window, none of it there before it is touched */
};

void bench_open(struct bench *bench, const struct bench_options *options);
void bench_close(struct bench *bench); /* unmounts and checks */

/* Throws everything away, whatever state it is in. No thread is in the library. */
void bench_abandon(struct bench *bench);

/* The image and every mapping are as they must be, the mount being in use, and no lock was taken out of order. */
void bench_check(struct bench *bench);

struct ext2dax_inode *bench_create(struct bench *bench, const char *name);
void bench_unlink(struct bench *bench, const char *name);

uint64_t bench_free_blocks(struct bench *bench);
uint64_t bench_size(const struct ext2dax_inode *inode);
uint64_t bench_physical(struct ext2dax_inode *inode, uint64_t logical);
uintptr_t bench_fences(struct bench *bench);

/* What the host copies with: memcpy, but for a race detector, and never half a word. */
void bench_copy(void *to, const void *from, size_t bytes);

/* Deterministic noise. */
uint32_t bench_noise(uint64_t *state);

#endif
