/* SPDX-License-Identifier: MIT */
/*
 * The fixture of the file and fault tests. Mounts a filesystem in heap memory with the model
 * address space. The invariant checker can check every state of it.
 */
#ifndef FIXTURE_H
#define FIXTURE_H

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

struct core_fixture {
    struct ext2dax_memory memory;
    struct ext2dax_model *model;
    struct ext2dax_mount *mount;
    struct ext2dax_plugs plugs;                 /* plugs used for the mount */
    struct ext2dax_mount_options mount_options; /* options used for the mount */
    struct ext2dax_inode *root;
    uint32_t block_size, page_size;
    unsigned pmd_pages;
    long allocs_left; /* allocations before a single one fails, negative for never */
    bool no_memory;   /* every allocation fails */
    /* bytes a write may still read from the caller's buffer, SIZE_MAX for no limit */
    size_t copy_left;
    unsigned reports;
    struct ext2dax_report last;
    struct given *given; /* memory allocated through the host */
    pthread_mutex_t given_mutex;
    bool nobody;                    /* the caller may not use reserved blocks */
    struct ext2dax_inode *released; /* the last inode returned in its own storage */
    struct ext2dax_locks locks;     /* locks of the mount and the model */
    /* lock-order checker around every lock, or NULL for no checker */
    struct ext2dax_lock_order *order;
    /* explorer whose memory holds everything, or NULL for the heap */
    struct ext2dax_explorer *explorer;
    char broken[160]; /* text of the last lock-order violation */
    /* contents of the image after a power cut, or NULL if not tracked */
    unsigned char *durable;
    void (*clock)(void); /* called for each read of the clock, may be NULL */
    struct ext2dax_time present;
    /* unreadable byte, or NULL, not with `durable` or `sparse` */
    const void *poison;
    bool sparse;
};

struct core_fixture_options {
    size_t size;
    uint32_t block_size;
    unsigned page_shift, huge_order;
    enum ext2dax_order order;
    uint32_t reserved_percent;
    uint32_t blocks_per_group;
    uint32_t inodes;   /* 0 for the default of format */
    const char *locks; /* NULL for the default backend */
    bool durable;      /* track the bytes written back */
    /* explorer whose locks and memory are used, or NULL for the library's own */
    struct ext2dax_explorer *explorer;
    bool blind; /* no lock-order checker */
    /* memory aligned to a PMD range and allocated at the first access */
    bool sparse;
    bool discard; /* freed blocks are discarded */
};

void core_fixture_open(struct core_fixture *fixture, const struct core_fixture_options *options);
void core_fixture_close(struct core_fixture *fixture); /* unmounts and checks */

/* Unmounts and mounts again. The caller holds no inode reference except to the root. */
void core_fixture_remount(struct core_fixture *fixture);

/* Frees everything, in any state. No thread may be in the library. */
void core_fixture_abandon(struct core_fixture *fixture);

/*
 * Checks the image and every mapping while mounted, and the order of all locks taken so far. Fails
 * the test if any check fails.
 */
void core_fixture_check(struct core_fixture *fixture);

struct ext2dax_inode *core_fixture_create(struct core_fixture *fixture, const char *name);
void core_fixture_unlink(struct core_fixture *fixture, const char *name);

uint64_t core_fixture_free_blocks(struct core_fixture *fixture);
uint64_t core_fixture_size(const struct ext2dax_inode *inode);
uint64_t core_fixture_physical(struct ext2dax_inode *inode, uint64_t logical);
uintptr_t core_fixture_fences(struct core_fixture *fixture);

/*
 * Copies bytes for the host ops. Like memcpy, but hidden from race detectors and never splitting an
 * aligned word.
 */
void core_fixture_copy(void *to, const void *from, size_t bytes);

/* Returns the next number of a deterministic pseudorandom sequence. */
uint32_t core_fixture_noise(uint64_t *state);

#endif
