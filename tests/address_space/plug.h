/* SPDX-License-Identifier: MIT */
/*
 * Fixture of the tests which call address-space ops directly. The test makes the faults and runs
 * itself, over an anonymous image whose blocks hold their own number. The state of a page is found
 * without an access, so no fault is resolved unnoticed by the test.
 */
#ifndef PLUG_H
#define PLUG_H

#include <stdbool.h>
#include <stdint.h>

#include "ext2dax/ext2dax.h"

#define PAGE        4096u
#define HUGE_ORDER  3u
#define HUGE        (1u << HUGE_ORDER)
#define IMAGE_PAGES 1024u

struct plug;

/* A mapping of pages [first, first + count) of an inode. */
struct view {
    struct plug *plug;
    struct ext2dax_inode *inode;
    uint64_t first, count;
    bool shared, writable;
    void *handle; /* the backend's */
};

struct backend {
    const char *name;
    void (*open)(struct plug *plug);
    void (*close)(struct plug *plug);
    void *(*map)(struct plug *plug, const struct view *view);
    void (*unmap)(struct view *view);
    bool (*readable)(struct view *view, uint64_t page);
    bool (*writable)(struct view *view, uint64_t page);
    /* of a readable page */
    uint8_t (*read)(struct view *view, uint64_t page, unsigned at);
    /* of a writable page */
    void (*write)(struct view *view, uint64_t page, unsigned at, uint8_t byte);
};

extern const struct backend process_backend, model_backend;

struct plug {
    const struct backend *backend;
    struct ext2dax_memory memory;
    struct ext2dax_address_space space;
    void *object; /* the backend's */
    size_t max_mappings;
    int pipe[2];
};

void plug_open(struct plug *plug, const struct backend *backend, size_t max_mappings);
void plug_close(struct plug *plug);

/* Returns the initial first and last byte of a block. */
uint8_t mark_of(uint64_t block);
uint8_t *image_at(struct plug *plug, uint64_t block, unsigned at);

struct view view_open(struct plug *plug, struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool shared,
                      bool writable);
void view_close(struct view *view);

/* ---- the op `map`, for a fault at `page` which maps pages from `first` on ---- */
enum ext2dax_fault_result enter_data(struct view *view, uint64_t page, uint64_t first, uint64_t count, uint64_t block,
                                     bool writable);
enum ext2dax_fault_result enter_zero(struct view *view, uint64_t page, uint64_t first, uint64_t count);
/* Block UINT64_MAX stands for zeroes. */
enum ext2dax_fault_result enter_copy(struct view *view, uint64_t page, uint64_t block);
enum ext2dax_fault_result enter_huge(struct view *view, uint64_t page, uint64_t block, bool writable);

void unmap(struct plug *plug, struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool private_too);
uint64_t protect(struct plug *plug, struct ext2dax_inode *inode, uint64_t first, uint64_t count, uint64_t *run);

/*
 * Returns the state of a page as a letter. 'n' is not present, 'z' is a zero page, 'Z' is a
 * writable page of zeroes. 'r' and 'w' are the block or a copy of it, read-only or writable. '?' is
 * anything else.
 */
char shows(struct view *view, uint64_t page, uint64_t block);

#endif
