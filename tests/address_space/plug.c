/* SPDX-License-Identifier: MIT */
#include "plug.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"
#include "ext2dax/hosted/process.h"
#include "ext2dax/testkit/model.h"

#include "maps.h"
#include "process_state.h"
#include "fault_method.h"

/*
 * ---- the process address space ----
 *
 * By `sigsegv`, a system call with a page not present returns EFAULT and raises no signal. By
 * `userfaultfd`, the kernel sends a fault message to the library, which refuses because the file
 * belongs to no mount.
 */

static void process_open(struct plug *plug)
{
    struct ext2dax_process_options options = {
        .size = sizeof(options), .method = method_in(), .max_mappings = plug->max_mappings};
    struct ext2dax_process *process;

    ck_assert_int_eq(ext2dax_process_open(&plug->memory, ext2dax_locks_default(), &options, &process), 0);
    plug->object = process;
    plug->space = ext2dax_process_address_space(process);
}

static void process_close(struct plug *plug)
{
    ck_assert_int_eq(ext2dax_process_close(plug->object), 0);
}

static void *process_map(struct plug *plug, const struct view *view)
{
    unsigned flags = (view->writable ? EXT2DAX_MAP_WRITE : 0) | (view->shared ? 0 : EXT2DAX_MAP_PRIVATE);
    void *address;

    ck_assert_int_eq(
        e2dh_process_add(plug->object, view->inode, 12, HUGE_ORDER, view->first, view->count, flags, &address), 0);
    return address;
}

static void process_unmap(struct view *view)
{
    struct ext2dax_inode *inode;

    ck_assert_int_eq(e2dh_process_remove(view->plug->object, view->handle, &inode), 0);
    ck_assert_ptr_eq(inode, view->inode);
}

static char *process_at(struct view *view, uint64_t page)
{
    return (char *)view->handle + (page - view->first) * PAGE;
}

/*
 * Looks a page up in the kernel's own tables, without an access. By `userfaultfd` a system call
 * would be resolved. A page of a userfaultfd mapping is not present. Bit 57 of a pagemap entry is
 * set for a write-protected page.
 */
static bool in_tables(struct view *view, uint64_t page, bool *writable)
{
    uintptr_t at = (uintptr_t)process_at(view, page);
    static struct maps maps;
    bool shown = false;
    uint64_t entry;
    int table;

    *writable = false;
    for (maps_open(&maps); maps_next(&maps);) {
        if (maps.low > at || at >= maps.high)
            continue;
        shown = maps.readable && !maps.absent;
        *writable = maps.writable;
    }
    table = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(table, 0);
    ck_assert_int_eq(pread(table, &entry, sizeof(entry), (off_t)(at / PAGE * sizeof(entry))), sizeof(entry));
    close(table);
    *writable = shown && *writable && !(entry >> 57 & 1);
    return shown;
}

static uint8_t process_read(struct view *view, uint64_t page, unsigned at)
{
    uint8_t byte;

    ck_assert_int_eq(write(view->plug->pipe[1], process_at(view, page) + at, 1), 1);
    ck_assert_int_eq(read(view->plug->pipe[0], &byte, 1), 1);
    return byte;
}

static bool process_readable(struct view *view, uint64_t page)
{
    bool writable;
    char byte;

    if (by_userfaultfd())
        return in_tables(view, page, &writable);
    if (write(view->plug->pipe[1], process_at(view, page), 1) < 0) {
        ck_assert_int_eq(errno, EFAULT);
        return false;
    }
    ck_assert_int_eq(read(view->plug->pipe[0], &byte, 1), 1);
    return true;
}

static bool process_writable(struct view *view, uint64_t page)
{
    uint8_t byte;
    bool writable;

    if (by_userfaultfd())
        return in_tables(view, page, &writable) && writable;
    if (!process_readable(view, page))
        return false;
    byte = process_read(view, page, 7);
    ck_assert_int_eq(write(view->plug->pipe[1], &byte, 1), 1);
    if (read(view->plug->pipe[0], process_at(view, page) + 7, 1) == 1)
        return true;
    ck_assert_int_eq(errno, EFAULT);
    (void)!read(view->plug->pipe[0], &byte, 1);
    return false;
}

static void process_write(struct view *view, uint64_t page, unsigned at, uint8_t byte)
{
    *((volatile uint8_t *)process_at(view, page) + at) = byte;
}

const struct backend process_backend = {"process",        process_open,     process_close, process_map,  process_unmap,
                                        process_readable, process_writable, process_read,  process_write};

/* ---- the model ---- */

static void model_open(struct plug *plug)
{
    plug->object = ext2dax_model_open(&plug->memory, ext2dax_locks_default(), PAGE, HUGE_ORDER);
    ck_assert_ptr_nonnull(plug->object);
    plug->space = ext2dax_model_address_space(plug->object);
}

static void model_close(struct plug *plug)
{
    ext2dax_model_close(plug->object);
}

static void *model_map(struct plug *plug, const struct view *view)
{
    void *map = ext2dax_model_map(plug->object, view->inode, view->first, view->count, view->shared, view->writable);

    ck_assert_ptr_nonnull(map);
    return map;
}

static void model_unmap(struct view *view)
{
    ext2dax_model_unmap(view->handle);
}

static bool model_readable(struct view *view, uint64_t page)
{
    return ext2dax_model_entry(view->handle, page).kind != EXT2DAX_MODEL_NONE;
}

static bool model_writable(struct view *view, uint64_t page)
{
    return ext2dax_model_entry(view->handle, page).writable;
}

static uint8_t model_read(struct view *view, uint64_t page, unsigned at)
{
    uint8_t byte;

    ck_assert_int_eq(ext2dax_model_read(view->handle, page * PAGE + at, &byte, 1, false, false), EXT2DAX_FAULT_NOPAGE);
    return byte;
}

static void model_write(struct view *view, uint64_t page, unsigned at, uint8_t byte)
{
    ck_assert_int_eq(ext2dax_model_write(view->handle, page * PAGE + at, &byte, 1, false, false), EXT2DAX_FAULT_NOPAGE);
}

const struct backend model_backend = {"model",        model_open,     model_close, model_map,  model_unmap,
                                      model_readable, model_writable, model_read,  model_write};

/* ---- both address spaces ---- */

uint8_t mark_of(uint64_t block)
{
    return (uint8_t)(block % 251 + 1);
}

uint8_t *image_at(struct plug *plug, uint64_t block, unsigned at)
{
    return (uint8_t *)plug->memory.base + block * PAGE + at;
}

void plug_open(struct plug *plug, const struct backend *backend, size_t max_mappings)
{
    memset(plug, 0, sizeof(*plug));
    plug->backend = backend;
    plug->max_mappings = max_mappings;
    ck_assert_int_eq(ext2dax_memory_open_anonymous("conformance", IMAGE_PAGES * PAGE, &plug->memory), 0);
    for (uint64_t block = 0; block < IMAGE_PAGES; block++) {
        *image_at(plug, block, 0) = mark_of(block);
        *image_at(plug, block, PAGE - 1) = mark_of(block);
    }
    ck_assert_int_eq(pipe2(plug->pipe, O_NONBLOCK | O_CLOEXEC), 0);
    backend->open(plug);
}

void plug_close(struct plug *plug)
{
    plug->backend->close(plug);
    close(plug->pipe[0]);
    close(plug->pipe[1]);
    ext2dax_memory_close_file(&plug->memory);
}

struct view view_open(struct plug *plug, struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool shared,
                      bool writable)
{
    struct view view = {plug, inode, first, count, shared, writable, NULL};

    view.handle = plug->backend->map(plug, &view);
    return view;
}

void view_close(struct view *view)
{
    view->plug->backend->unmap(view);
}

static enum ext2dax_fault_result enter(struct view *view, uint64_t page, bool write, const struct ext2dax_mapping *run)
{
    struct ext2dax_fault fault;

    memset(&fault, 0, sizeof(fault));
    fault.inode = view->inode;
    fault.page = page;
    fault.mapping_first = view->first;
    fault.mapping_count = view->count;
    fault.write = write;
    fault.shared = view->shared;
    fault.cookie = view->handle;
    if (view->plug->backend == &process_backend)
        fault.cookie = e2dh_process_find(view->plug->object, (uintptr_t)view->handle);
    return view->plug->space.ops->map(view->plug->space.ctx, &fault, run);
}

enum ext2dax_fault_result enter_data(struct view *view, uint64_t page, uint64_t first, uint64_t count, uint64_t block,
                                     bool writable)
{
    struct ext2dax_mapping run = {EXT2DAX_MAPPING_DATA, first, count, block * PAGE, writable, false};

    return enter(view, page, writable, &run);
}

enum ext2dax_fault_result enter_zero(struct view *view, uint64_t page, uint64_t first, uint64_t count)
{
    struct ext2dax_mapping run = {EXT2DAX_MAPPING_ZERO, first, count, EXT2DAX_NO_OFFSET, false, false};

    return enter(view, page, false, &run);
}

enum ext2dax_fault_result enter_copy(struct view *view, uint64_t page, uint64_t block)
{
    struct ext2dax_mapping run = {EXT2DAX_MAPPING_COPY, page, 1, EXT2DAX_NO_OFFSET, false, false};

    if (block != UINT64_MAX)
        run.memory_offset = block * PAGE;
    return enter(view, page, true, &run);
}

enum ext2dax_fault_result enter_huge(struct view *view, uint64_t page, uint64_t block, bool writable)
{
    struct ext2dax_mapping run = {
        EXT2DAX_MAPPING_DATA, page & ~(uint64_t)(HUGE - 1), HUGE, block * PAGE, writable, true};

    return enter(view, page, writable, &run);
}

void unmap(struct plug *plug, struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool private_too)
{
    plug->space.ops->unmap(plug->space.ctx, inode, first, count, private_too);
}

uint64_t protect(struct plug *plug, struct ext2dax_inode *inode, uint64_t first, uint64_t count, uint64_t *run)
{
    return plug->space.ops->protect(plug->space.ctx, inode, first, count, run);
}

char shows(struct view *view, uint64_t page, uint64_t block)
{
    const struct backend *backend = view->plug->backend;
    uint8_t head, tail;
    bool writable;

    if (!backend->readable(view, page))
        return 'n';
    head = backend->read(view, page, 0);
    tail = backend->read(view, page, PAGE - 1);
    writable = backend->writable(view, page);
    if (head == 0 && tail == 0)
        return writable ? 'Z' : 'z';
    if (head != mark_of(block) || tail != mark_of(block))
        return '?';
    return writable ? 'w' : 'r';
}
