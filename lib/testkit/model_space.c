/* SPDX-License-Identifier: MIT */
/*
 * The model address space, a page table in a plain array.
 *
 * The page-table lock guards the entries and the list of mappings. An access through the table
 * looks up its entry and copies the bytes within a single hold of the lock. Once `unmap` or
 * `protect` has returned, no access uses a removed permission. A TLB shootdown of a processor gives
 * the same guarantee. A huge entry is a flag on every page of its PMD range. Removing or protecting
 * a part of a huge entry splits the entry into small entries, as in a kernel that splits huge PTEs.
 */
#include "ext2dax/testkit/model.h"

#include <string.h>

#include "ext2dax/file.h"
#include "ext2dax/hosted/host.h"
#include "ext2dax/mount.h"
#include "ext2dax/testkit/checker.h"

#include "../hosted/lock_table.h"
#include "model_mutants.h"
#include "zalloc.h"
#include "base/instrument.h"

struct entry {
    struct ext2dax_model_entry seen;
    unsigned char *copy; /* private copy of the page */
};

struct ext2dax_model_map {
    struct ext2dax_model *model;
    struct ext2dax_model_map *next;
    struct ext2dax_inode *inode;
    uint64_t first, count; /* in pages */
    bool shared, writable;
    struct entry *entries; /* array of `count` entries */
};

struct ext2dax_model {
    struct ext2dax_host host;
    struct ext2dax_locks locks;       /* ops points to lock_ops, ctx is the caller's */
    struct ext2dax_lock_ops lock_ops; /* copy of the caller's table */
    struct ext2dax_lock table;
    unsigned char *base;
    size_t size;
    uint32_t page_size;
    uint64_t pmd_pages;
    struct ext2dax_model_map *maps;
    int complaints;
};

static void lock_table(struct ext2dax_model *model)
{
    model->locks.ops->write_lock(model->locks.ctx, &model->table);
}

static void unlock_table(struct ext2dax_model *model)
{
    model->locks.ops->write_unlock(model->locks.ctx, &model->table);
}

/* ---- entries ---- */

static struct entry *entry_of(const struct ext2dax_model_map *map, uint64_t page)
{
    return &map->entries[page - map->first];
}

static void clear(const struct ext2dax_model *model, struct entry *entry)
{
    e2dt_free(&model->host, entry->copy, model->page_size);
    memset(entry, 0, sizeof(*entry));
}

/* Splits the huge entry of a PMD range. The other pages stay mapped by small entries. */
static void split(const struct ext2dax_model_map *map, uint64_t page)
{
    uint64_t start = page & ~(map->model->pmd_pages - 1);

    if (!entry_of(map, page)->seen.huge)
        return;
    for (uint64_t i = start; i < start + map->model->pmd_pages; i++)
        entry_of(map, i)->seen.huge = false;
}

/* Intersects [first, first + count) with the mapping, as [*from, *to). Returns false if empty. */
static bool clip(const struct ext2dax_model_map *map, uint64_t first, uint64_t count, uint64_t *from, uint64_t *to)
{
    uint64_t end = count > UINT64_MAX - first ? UINT64_MAX : first + count;

    *from = first > map->first ? first : map->first;
    *to = end < map->first + map->count ? end : map->first + map->count;
    return *from < *to;
}

/* ---- the plug ---- */

/* Is the request valid, regardless of the entries already installed? */
static bool is_sane(const struct ext2dax_model *model, const struct ext2dax_fault *fault,
                    const struct ext2dax_mapping *mapping)
{
    uint64_t bytes = mapping->count * model->page_size;
    bool data = mapping->kind == EXT2DAX_MAPPING_DATA;
    bool bare = mapping->memory_offset == EXT2DAX_NO_OFFSET;

    if (mapping->count == 0 || fault->page < mapping->page || fault->page - mapping->page >= mapping->count)
        return false;
    if (data == bare && mapping->kind != EXT2DAX_MAPPING_COPY)
        return false;
    if (!bare && (mapping->memory_offset % model->page_size != 0 || bytes > model->size ||
                  mapping->memory_offset > model->size - bytes))
        return false;
    if (mapping->kind == EXT2DAX_MAPPING_COPY && (mapping->count != 1 || fault->shared || !fault->write))
        return false;
    if (mapping->writable && (!data || !fault->write || !fault->shared))
        return false;
    if (mapping->huge)
        return data && mapping->count == model->pmd_pages && mapping->page % model->pmd_pages == 0 &&
               mapping->memory_offset % (model->pmd_pages * model->page_size) == 0;
    return true;
}

/*
 * Does the request contradict the installed entry? A request for a weaker entry of the same block
 * does not, and is ignored by enter_page().
 */
static bool contradicts(const struct ext2dax_model_entry *seen, const struct ext2dax_mapping *mapping, uint64_t offset)
{
    return seen->kind == EXT2DAX_MODEL_DATA &&
           (mapping->kind == EXT2DAX_MAPPING_ZERO ||
            (mapping->kind == EXT2DAX_MAPPING_DATA && seen->memory_offset != offset));
}

static enum ext2dax_fault_result enter_copy(struct ext2dax_model_map *map, uint64_t page, uint64_t offset)
{
    struct entry *entry = entry_of(map, page);
    unsigned char *copy;

    if (entry->seen.kind == EXT2DAX_MODEL_COPY)
        return EXT2DAX_FAULT_NOPAGE;
    copy = e2dt_zalloc(&map->model->host, map->model->page_size);
    if (!copy)
        return EXT2DAX_FAULT_OOM;
    if (offset != EXT2DAX_NO_OFFSET)
        memcpy(copy, map->model->base + offset, map->model->page_size);
    split(map, page);
    clear(map->model, entry);
    entry->seen.kind = EXT2DAX_MODEL_COPY;
    entry->seen.writable = true;
    entry->copy = copy;
    return EXT2DAX_FAULT_NOPAGE;
}

static void enter_page(const struct ext2dax_model_map *map, uint64_t page, const struct ext2dax_mapping *mapping,
                       uint64_t offset)
{
    struct ext2dax_model_entry *seen = &entry_of(map, page)->seen;
    bool zero = mapping->kind == EXT2DAX_MAPPING_ZERO;

    if (!E2D_MUTANT(MAP_WEAKENS) && (seen->kind == EXT2DAX_MODEL_COPY || (zero && seen->kind != EXT2DAX_MODEL_NONE)))
        return;
    if (seen->kind == EXT2DAX_MODEL_DATA && !mapping->huge) {
        if (mapping->writable && map->writable && !seen->writable) {
            split(map, page);
            seen->writable = true;
        }
        return;
    }
    seen->writable = seen->writable || (mapping->writable && map->writable);
    seen->kind = zero ? EXT2DAX_MODEL_ZERO : EXT2DAX_MODEL_DATA;
    seen->memory_offset = zero ? 0 : offset;
    seen->huge = mapping->huge;
}

/*
 * A huge entry has a single permission. A PMD range with a stronger small entry cannot become huge.
 */
static bool may_be_huge(const struct ext2dax_model_map *map, const struct ext2dax_mapping *mapping)
{
    if (mapping->page < map->first || mapping->page + mapping->count > map->first + map->count)
        return false;
    for (uint64_t page = mapping->page; page < mapping->page + mapping->count; page++) {
        const struct ext2dax_model_entry *seen = &entry_of(map, page)->seen;

        if (seen->kind == EXT2DAX_MODEL_COPY || (seen->writable && !mapping->writable && !seen->huge))
            return false;
    }
    return true;
}

static enum ext2dax_fault_result enter(struct ext2dax_model *model, struct ext2dax_fault *fault,
                                       const struct ext2dax_mapping *mapping)
{
    struct ext2dax_model_map *map = fault->cookie;
    enum ext2dax_fault_result result = EXT2DAX_FAULT_NOPAGE;
    uint64_t from, to, offset;

    lock_table(model);
    if (!is_sane(model, fault, mapping) || !clip(map, fault->page, 1, &from, &to)) {
        model->complaints++;
        result = EXT2DAX_FAULT_FALLBACK;
    } else if (mapping->kind == EXT2DAX_MAPPING_COPY) {
        result = enter_copy(map, mapping->page, mapping->memory_offset);
    } else if (mapping->huge && !may_be_huge(map, mapping)) {
        result = EXT2DAX_FAULT_FALLBACK;
    } else {
        clip(map, mapping->page, mapping->count, &from, &to);
        for (uint64_t page = from; page < to; page++) {
            offset = mapping->memory_offset + (page - mapping->page) * model->page_size;
            if (contradicts(&entry_of(map, page)->seen, mapping, offset))
                model->complaints++;
            else
                enter_page(map, page, mapping, offset);
        }
    }
    unlock_table(model);
    return result;
}

static enum ext2dax_fault_result op_map(void *ctx, struct ext2dax_fault *fault, const struct ext2dax_mapping *mapping)
{
    enum ext2dax_fault_result result;

    e2dt_model_before_map(fault->inode);
    result = enter(ctx, fault, mapping);
    e2dt_model_after_map(fault->inode);
    return result;
}

static void op_unmap(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool private_too)
{
    struct ext2dax_model *model = ctx;
    uint64_t from, to;

    lock_table(model);
    for (struct ext2dax_model_map *map = model->maps; map; map = map->next) {
        if (map->inode != inode || !clip(map, first, count, &from, &to))
            continue;
        for (uint64_t page = from; page < to; page++) {
            if (entry_of(map, page)->seen.kind == EXT2DAX_MODEL_COPY && (!private_too || E2D_MUTANT(COPIES_STAY)))
                continue;
            split(map, page);
            clear(model, entry_of(map, page));
        }
    }
    unlock_table(model);
}

static bool is_stored_to(const struct ext2dax_model_map *map, uint64_t page)
{
    const struct ext2dax_model_entry *seen = &entry_of(map, page)->seen;

    return seen->kind == EXT2DAX_MODEL_DATA && seen->writable;
}

/*
 * Finds the lowest writable page of the inode in [first, first + count). Returns false if there is
 * none.
 */
static bool lowest_writable(const struct ext2dax_model *model, const struct ext2dax_inode *inode, uint64_t first,
                            uint64_t count, uint64_t *lowest)
{
    uint64_t from, to;
    bool found = false;

    for (const struct ext2dax_model_map *map = model->maps; map; map = map->next) {
        if (map->inode != inode || !clip(map, first, count, &from, &to))
            continue;
        while (from < to && !is_stored_to(map, from))
            from++;
        if (from < to && (!found || from < *lowest)) {
            *lowest = from;
            found = true;
        }
    }
    return found;
}

static bool protect_page(const struct ext2dax_model *model, const struct ext2dax_inode *inode, uint64_t page)
{
    bool was = false;
    uint64_t from, to;

    for (const struct ext2dax_model_map *map = model->maps; map; map = map->next) {
        if (map->inode != inode || !clip(map, page, 1, &from, &to) || !is_stored_to(map, page))
            continue;
        entry_of(map, page)->seen.writable = false;
        was = true;
    }
    return was;
}

/* A huge entry has a single permission. Splits a huge entry protected only in part. */
static void settle_huge(const struct ext2dax_model *model, const struct ext2dax_inode *inode, uint64_t page)
{
    uint64_t from, to;

    for (const struct ext2dax_model_map *map = model->maps; map; map = map->next)
        if (map->inode == inode && clip(map, page, 1, &from, &to) && is_stored_to(map, page))
            split(map, page);
}

static uint64_t op_protect(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, uint64_t *run)
{
    struct ext2dax_model *model = ctx;
    uint64_t end = count > UINT64_MAX - first ? UINT64_MAX : first + count, start = 0, page = 0;

    lock_table(model);
    if (lowest_writable(model, inode, first, count, &start)) {
        page = start;
        while (page < end && protect_page(model, inode, page))
            page++;
        *run = start;
        if (start % model->pmd_pages != 0)
            settle_huge(model, inode, start - 1);
        if (page % model->pmd_pages != 0)
            settle_huge(model, inode, page);
    }
    unlock_table(model);
    return page - start;
}

static const struct ext2dax_address_space_ops ops = {
    .size = sizeof(ops), .map = op_map, .unmap = op_unmap, .protect = op_protect};

/* ---- mappings ---- */

struct ext2dax_model *ext2dax_model_open_on(const struct ext2dax_host *host, const struct ext2dax_memory *memory,
                                            struct ext2dax_locks locks, uint32_t page_size, unsigned huge_order)
{
    struct ext2dax_model *model = e2dt_zalloc(host, sizeof(*model));
    bool good;

    if (!model)
        return NULL;
    model->host = *host;
    good = e2dh_copy_lock_table(&model->lock_ops, locks.ops);
    locks.ops = &model->lock_ops;
    model->locks = locks;
    model->base = memory->base;
    model->size = memory->size;
    model->page_size = page_size;
    model->pmd_pages = (uint64_t)1 << huge_order;
    if (!good || locks.ops->init(locks.ctx, &model->table, EXT2DAX_LOCK_PAGE_TABLE, 0) != 0) {
        e2dt_free(host, model, sizeof(*model));
        return NULL;
    }
    return model;
}

struct ext2dax_model *ext2dax_model_open(const struct ext2dax_memory *memory, struct ext2dax_locks locks,
                                         uint32_t page_size, unsigned huge_order)
{
    struct ext2dax_host host = ext2dax_host_default();

    return ext2dax_model_open_on(&host, memory, locks, page_size, huge_order);
}

void ext2dax_model_close(struct ext2dax_model *model)
{
    struct ext2dax_host host = model->host;

    while (model->maps)
        ext2dax_model_unmap(model->maps);
    if (model->locks.ops->destroy)
        model->locks.ops->destroy(model->locks.ctx, &model->table);
    e2dt_free(&host, model, sizeof(*model));
}

struct ext2dax_address_space ext2dax_model_address_space(struct ext2dax_model *model)
{
    struct ext2dax_address_space space = {&ops, model};

    return space;
}

struct ext2dax_model_map *ext2dax_model_map(struct ext2dax_model *model, struct ext2dax_inode *inode, uint64_t first,
                                            uint64_t count, bool shared, bool writable)
{
    struct ext2dax_model_map *map = e2dt_zalloc(&model->host, sizeof(*map));

    if (!map)
        return NULL;
    map->entries = e2dt_zalloc(&model->host, (size_t)count * sizeof(*map->entries));
    if (!map->entries) {
        e2dt_free(&model->host, map, sizeof(*map));
        return NULL;
    }
    map->model = model;
    map->inode = inode;
    map->first = first;
    map->count = count;
    map->shared = shared;
    map->writable = writable;
    lock_table(model);
    map->next = model->maps;
    model->maps = map;
    unlock_table(model);
    return map;
}

void ext2dax_model_unmap(struct ext2dax_model_map *map)
{
    struct ext2dax_model *model = map->model;
    struct ext2dax_model_map **at;

    lock_table(model);
    for (at = &model->maps; *at != map; at = &(*at)->next)
        ;
    *at = map->next;
    unlock_table(model);
    for (uint64_t i = 0; i < map->count; i++)
        clear(model, &map->entries[i]);
    e2dt_free(&model->host, map->entries, (size_t)map->count * sizeof(*map->entries));
    e2dt_free(&model->host, map, sizeof(*map));
}

struct ext2dax_model_entry ext2dax_model_entry(const struct ext2dax_model_map *map, uint64_t page)
{
    struct ext2dax_model_entry entry;

    lock_table(map->model);
    entry = entry_of(map, page)->seen;
    unlock_table(map->model);
    return entry;
}

struct ext2dax_model_entry ext2dax_model_peek(const struct ext2dax_model_map *map, uint64_t page)
{
    return entry_of(map, page)->seen;
}

int ext2dax_model_complaints(const struct ext2dax_model *model)
{
    return model->complaints;
}

/* ---- accesses ---- */

void ext2dax_model_fault(struct ext2dax_model_map *map, uint64_t page, bool write, struct ext2dax_fault *fault)
{
    memset(fault, 0, sizeof(*fault));
    fault->inode = map->inode;
    fault->page = page;
    fault->mapping_first = map->first;
    fault->mapping_count = map->count;
    fault->address = (uintptr_t)(page * map->model->page_size);
    fault->write = write;
    fault->shared = map->shared;
    fault->cookie = map;
    fault->pages_wanted = UINT64_MAX;
}

#if defined(E2D_NO_FAULTS)
/* Built without the fault family. No fault can be resolved. */
static enum ext2dax_fault_result trap(struct ext2dax_model_map *map, uint64_t page, bool write, bool huge)
{
    (void)map;
    (void)page;
    (void)write;
    (void)huge;
    return EXT2DAX_FAULT_FALLBACK;
}
#else
/* Resolves a single fault with the fault kind that a kernel would choose. */
static enum ext2dax_fault_result fault_in(struct ext2dax_model_map *map, uint64_t page, bool write, bool huge)
{
    enum ext2dax_model_kind kind = ext2dax_model_entry(map, page).kind;
    struct ext2dax_fault fault;

    ext2dax_model_fault(map, page, write, &fault);
    if (write && map->shared && kind == EXT2DAX_MODEL_DATA)
        return ext2dax_pfn_mkwrite(&fault);
    if (huge) {
        enum ext2dax_fault_result result = ext2dax_pmd_fault(&fault);

        if (result != EXT2DAX_FAULT_FALLBACK)
            return result;
        ext2dax_model_fault(map, page, write, &fault);
    }
    if (write && map->shared && kind == EXT2DAX_MODEL_ZERO)
        return ext2dax_mkwrite(&fault);
    return ext2dax_fault(&fault);
}

/* A single trap. A mutant truncates the file at the page of a failed write. */
static enum ext2dax_fault_result trap(struct ext2dax_model_map *map, uint64_t page, bool write, bool huge)
{
    enum ext2dax_fault_result result = fault_in(map, page, write, huge);

    if (write && map->shared && result == EXT2DAX_FAULT_SIGBUS)
        e2dt_model_store_failed(map->inode, page * map->model->page_size);
    return result;
}
#endif

/* Copies bytes through the entry. Returns false if the entry does not permit the access. */
static bool access_page(struct ext2dax_model_map *map, uint64_t page, size_t from, size_t length, void *to,
                        const void *source)
{
    const struct entry *entry = entry_of(map, page);
    unsigned char *at = NULL;
    bool allowed;

    lock_table(map->model);
    if (entry->seen.kind == EXT2DAX_MODEL_DATA)
        at = map->model->base + entry->seen.memory_offset + from;
    else if (entry->seen.kind == EXT2DAX_MODEL_COPY)
        at = entry->copy + from;
    allowed = entry->seen.kind != EXT2DAX_MODEL_NONE && (!source || entry->seen.writable);
    if (allowed && entry->seen.kind == EXT2DAX_MODEL_DATA)
        E2D_DATA(source ? E2D_YIELD_STORE : E2D_YIELD_LOAD, at, length);
    if (allowed && source)
        memcpy(at, source, length);
    else if (allowed && at)
        memcpy(to, at, length);
    else if (allowed)
        memset(to, 0, length);
    unlock_table(map->model);
    return allowed;
}

static enum ext2dax_fault_result access_bytes(struct ext2dax_model_map *map, uint64_t offset, size_t length,
                                              unsigned char *to, const unsigned char *source, bool huge, bool wait)
{
    uint32_t page_size = map->model->page_size;

    while (length > 0) {
        uint64_t page = offset / page_size;
        size_t from = (size_t)(offset % page_size);
        size_t part = length < page_size - from ? length : page_size - from;
        enum ext2dax_fault_result result;

        if (page < map->first || page - map->first >= map->count || (source && !map->writable))
            return EXT2DAX_FAULT_SIGBUS;
        if (!access_page(map, page, from, part, to, source)) {
            result = trap(map, page, source != NULL, huge);
            if (result == EXT2DAX_FAULT_RETRY && wait)
                ext2dax_wait_thaw(map->inode->mount);
            else if (result != EXT2DAX_FAULT_NOPAGE)
                return result;
            continue;
        }
        offset += part;
        length -= part;
        to = to ? to + part : NULL;
        source = source ? source + part : NULL;
    }
    return EXT2DAX_FAULT_NOPAGE;
}

enum ext2dax_fault_result ext2dax_model_read(struct ext2dax_model_map *map, uint64_t offset, void *to, size_t length,
                                             bool huge, bool wait)
{
    return access_bytes(map, offset, length, to, NULL, huge, wait);
}

enum ext2dax_fault_result ext2dax_model_write(struct ext2dax_model_map *map, uint64_t offset, const void *from,
                                              size_t length, bool huge, bool wait)
{
    return access_bytes(map, offset, length, NULL, from, huge, wait);
}

/* ---- inspection ---- */

void ext2dax_model_peek_each(const struct ext2dax_model *model,
                             void (*each)(void *arg, const struct ext2dax_inode *inode, uint64_t page, bool shared,
                                          const struct ext2dax_model_entry *entry),
                             void *arg)
{
    for (const struct ext2dax_model_map *map = model->maps; map; map = map->next)
        for (uint64_t page = map->first; page < map->first + map->count; page++)
            if (entry_of(map, page)->seen.kind != EXT2DAX_MODEL_NONE)
                each(arg, map->inode, page, map->shared, &entry_of(map, page)->seen);
}

void ext2dax_model_each(struct ext2dax_model *model,
                        void (*each)(void *arg, const struct ext2dax_inode *inode, uint64_t page, bool shared,
                                     const struct ext2dax_model_entry *entry),
                        void *arg)
{
    lock_table(model);
    ext2dax_model_peek_each(model, each, arg);
    unlock_table(model);
}

struct check {
    const struct ext2dax_model *model;
    void (*found)(void *arg, const struct ext2dax_inode *inode, uint64_t page, const char *what);
    void *arg;
    int wrong;
};

static void check_entry(void *arg, const struct ext2dax_inode *inode, uint64_t page, bool shared,
                        const struct ext2dax_model_entry *entry)
{
    struct check *check = arg;
    const struct ext2dax_model *model = check->model;
    uint64_t size = ext2dax_check_size(model->base, model->size, inode->number);
    uint32_t block = ext2dax_check_block(model->base, model->size, inode->number, page);
    uint64_t huge_mask = model->pmd_pages - 1;
    const char *what = NULL;

    if (page >= size / model->page_size + (size % model->page_size != 0))
        what = "mapped past the end of the file";
    else if (entry->kind == EXT2DAX_MODEL_ZERO && block != 0)
        what = "zero page over a block";
    else if (entry->kind == EXT2DAX_MODEL_ZERO && entry->writable)
        what = "zero page writable";
    else if (entry->kind == EXT2DAX_MODEL_DATA && block == 0)
        what = "block mapped over a hole";
    else if (entry->kind == EXT2DAX_MODEL_DATA && entry->memory_offset != (uint64_t)block * model->page_size)
        what = "another block than the tree names";
    else if (entry->kind == EXT2DAX_MODEL_DATA && entry->writable && !shared)
        what = "the file's block writable in a private mapping";
    else if (entry->huge && (entry->kind != EXT2DAX_MODEL_DATA ||
                             (entry->memory_offset / model->page_size & huge_mask) != (page & huge_mask)))
        what = "huge entry not aligned";
    if (!what)
        return;
    check->wrong++;
    if (check->found)
        check->found(check->arg, inode, page, what);
}

int ext2dax_model_check(struct ext2dax_model *model,
                        void (*found)(void *arg, const struct ext2dax_inode *inode, uint64_t page, const char *what),
                        void *arg)
{
    struct check check = {model, found, arg, 0};

    ext2dax_model_each(model, check_entry, &check);
    return check.wrong;
}
