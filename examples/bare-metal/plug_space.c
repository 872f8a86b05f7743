/* SPDX-License-Identifier: MIT */
/*
 * The address-space plug, which maps files in page tables.
 *
 * A PTE caches a result of the fault functions. Removing more PTEs than requested costs a
 * fault. Removing fewer loses data. So a huge entry that is partly in a range is removed or
 * write-protected as a whole.
 *
 * The plug has two locks. The address-space lock protects the list of mappings. The page-table
 * lock is taken after all locks of the core. PTEs change and TLBs are flushed under the
 * page-table lock.
 */
#include "kernel.h"

#define MAPPINGS      16u
#define FIRST_ADDRESS 0x100000000u /* of the mappings, above the kernel's identity mapping */
#define SPACING       (64u << 20)

static struct ext2dax_lock address_space_lock, page_table_lock;
static struct mapping mappings[MAPPINGS];

static void lock_tables(void)
{
    plug_locks.ops->write_lock(plug_locks.ctx, &page_table_lock);
}

static void unlock_tables(void)
{
    plug_locks.ops->write_unlock(plug_locks.ctx, &page_table_lock);
}

uintptr_t space_page(const struct mapping *mapping, uint64_t page)
{
    return mapping->address + (page - mapping->first) * PAGE_SIZE;
}

static uint64_t clip_end(const struct mapping *mapping, uint64_t first, uint64_t count)
{
    uint64_t end = mapping->first + mapping->count;

    return count > UINT64_MAX - first || first + count > end ? end : first + count;
}

/* ---- map ---- */

static uint64_t zero_entry(void)
{
    return physical_of(zero_page) | ENTRY_PRESENT | ENTRY_USER;
}

/*
 * Installs a PTE. Never replaces an entry by an entry with fewer rights. Returns false if no
 * memory for a page table is left.
 */
static bool enter_page(uintptr_t address, uint64_t entry)
{
    uint64_t *above = entry_at(address, 2, true), *at, old;

    if (!above)
        return false;
    if ((*above & ENTRY_HUGE) != 0) {
        if ((entry & ENTRY_WRITABLE) <= (*above & ENTRY_WRITABLE) && (entry & ENTRY_COPY) == 0)
            return true;
        *above = 0;
        shoot_down();
    }
    at = entry_at(address, 1, true);
    if (!at)
        return false;
    old = *at;
    /* A private copy and a writable entry are never replaced. A zero page replaces no entry. */
    if ((old & ENTRY_PRESENT) != 0 && ((old & (ENTRY_COPY | ENTRY_WRITABLE)) != 0 || entry == zero_entry()))
        return true;
    *at = entry;
    /*
     * A TLB may hold the old frame. A change of the rights alone needs no flush, because a
     * stale TLB entry with fewer rights only causes another fault.
     */
    if ((old & ENTRY_PRESENT) != 0 && (old & ENTRY_FRAME) != (entry & ENTRY_FRAME))
        shoot_down();
    return true;
}

static enum ext2dax_fault_result enter_copy(const struct mapping *mapping, uint64_t page, uint64_t offset)
{
    uintptr_t address = space_page(mapping, page);
    const uint64_t *old = entry_leaf(address);
    uint8_t *frame;

    if (old && (*old & ENTRY_COPY) != 0)
        return EXT2DAX_FAULT_NOPAGE;
    frame = frame_alloc(); /* zeroed */
    if (!frame)
        return EXT2DAX_FAULT_OOM;
    if (offset != EXT2DAX_NO_OFFSET)
        memcpy(frame, (const uint8_t *)fixture.memory->base + offset, PAGE_SIZE);
    if (enter_page(address, physical_of(frame) | ENTRY_PRESENT | ENTRY_WRITABLE | ENTRY_USER | ENTRY_COPY))
        return EXT2DAX_FAULT_NOPAGE;
    frame_free(frame);
    return EXT2DAX_FAULT_OOM;
}

/* May a huge entry replace the page table? No, if the table has a private copy or more rights. */
static bool gives_way(const uint64_t *table, bool writable)
{
    for (unsigned i = 0; i < 512; i++) {
        if ((table[i] & ENTRY_COPY) != 0 || ((table[i] & ENTRY_WRITABLE) != 0 && !writable))
            return false;
    }
    return true;
}

static enum ext2dax_fault_result enter_huge(uintptr_t address, uint64_t entry)
{
    uint64_t *at = entry_at(address, 2, true), *table;

    if (!at)
        return EXT2DAX_FAULT_OOM;
    if ((*at & ENTRY_HUGE) != 0) {
        *at |= entry & ENTRY_WRITABLE;
        return EXT2DAX_FAULT_NOPAGE;
    }
    if ((*at & ENTRY_PRESENT) != 0) {
        table = at_physical(*at & ENTRY_FRAME);
        if (!gives_way(table, (entry & ENTRY_WRITABLE) != 0))
            return EXT2DAX_FAULT_FALLBACK;
        /*
         * A processor must not find an address in two page sizes. So the table is removed and
         * flushed before the huge entry is installed.
         */
        *at = 0;
        shoot_down();
        frame_free(table);
    }
    *at = entry | ENTRY_HUGE;
    return EXT2DAX_FAULT_NOPAGE;
}

static enum ext2dax_fault_result enter_run(const struct mapping *mapping, uint64_t faulting,
                                           const struct ext2dax_mapping *run)
{
    bool zero = run->kind == EXT2DAX_MAPPING_ZERO;
    uint64_t flags = ENTRY_PRESENT | ENTRY_USER | (run->writable && mapping->writable ? ENTRY_WRITABLE : 0);
    uint64_t at = physical_of(fixture.memory->base) + (zero ? 0 : run->memory_offset);
    uint64_t page = run->page > mapping->first ? run->page : mapping->first;
    uint64_t end = clip_end(mapping, run->page, run->count);

    if (run->huge) {
        if (page != run->page || end != run->page + run->count)
            return EXT2DAX_FAULT_FALLBACK;
        return enter_huge(space_page(mapping, page), at | flags);
    }
    for (; page < end; page++) {
        uint64_t entry = zero ? zero_entry() : (at + (page - run->page) * PAGE_SIZE) | flags;

        /* Only the pages up to the faulting page are required, later pages are optional. */
        if (!enter_page(space_page(mapping, page), entry))
            return page <= faulting ? EXT2DAX_FAULT_OOM : EXT2DAX_FAULT_NOPAGE;
    }
    return EXT2DAX_FAULT_NOPAGE;
}

static enum ext2dax_fault_result op_map(void *ctx, struct ext2dax_fault *fault, const struct ext2dax_mapping *run)
{
    const struct mapping *mapping = fault->cookie;
    enum ext2dax_fault_result result;

    (void)ctx;
    lock_tables();
    if (run->kind == EXT2DAX_MAPPING_COPY)
        result = enter_copy(mapping, run->page, run->memory_offset);
    else
        result = enter_run(mapping, fault->page, run);
    unlock_tables();
    return result;
}

/* ---- unmap ---- */

static bool forget_page(uint64_t *entry, bool private_too)
{
    uint64_t old = *entry;

    if ((old & ENTRY_PRESENT) == 0 || ((old & ENTRY_COPY) != 0 && !private_too))
        return false;
    *entry = 0;
    if ((old & ENTRY_COPY) != 0) {
        shoot_down(); /* before the frame is reused */
        frame_free(at_physical(old & ENTRY_FRAME));
    }
    return true;
}

static bool forget(const struct mapping *mapping, uint64_t first, uint64_t count, bool private_too)
{
    uint64_t page = first > mapping->first ? first : mapping->first;
    uint64_t end = clip_end(mapping, first, count);
    uint64_t *entry;
    bool any = false;

    for (; page < end; page++) {
        entry = entry_leaf(space_page(mapping, page));
        if (entry)
            any |= forget_page(entry, private_too);
    }
    return any;
}

static void op_unmap(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool private_too)
{
    bool any = false;

    (void)ctx;
    lock_tables();
    for (unsigned i = 0; i < MAPPINGS; i++) {
        if (mappings[i].inode == inode)
            any |= forget(&mappings[i], first, count, private_too);
    }
    if (any)
        shoot_down();
    unlock_tables();
}

/* ---- protect ---- */

/*
 * Returns true if the page is writable in a mapping, private copies excluded. With `protect`,
 * also makes the page read-only in all these mappings.
 */
static bool page_writable(const struct ext2dax_inode *inode, uint64_t page, bool protect)
{
    bool writable = false;
    uint64_t *entry;

    for (unsigned i = 0; i < MAPPINGS; i++) {
        const struct mapping *mapping = &mappings[i];

        if (mapping->inode != inode || page < mapping->first || page - mapping->first >= mapping->count)
            continue;
        entry = entry_leaf(space_page(mapping, page));
        if (entry && (*entry & ENTRY_COPY) == 0 && (*entry & ENTRY_WRITABLE) != 0) {
            writable = true;
            if (protect)
                *entry &= ~(uint64_t)ENTRY_WRITABLE;
        }
    }
    return writable;
}

static uint64_t op_protect(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, uint64_t *run)
{
    uint64_t page = first, end = first + count;

    (void)ctx;
    lock_tables();
    while (page < end && !page_writable(inode, page, false))
        page++;
    *run = page;
    while (page < end && page_writable(inode, page, false))
        page++;
    for (uint64_t at = *run; at < page; at++)
        page_writable(inode, at, true);
    if (page > *run)
        shoot_down();
    unlock_tables();
    return page - *run;
}

static const struct ext2dax_address_space_ops ops = {
    .size = sizeof(ops),
    .map = op_map,
    .unmap = op_unmap,
    .protect = op_protect,
};

const struct ext2dax_address_space plug_space = {&ops, NULL};

/* ---- calls for the kernel ---- */

struct mapping *space_map(struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool writable, bool shared)
{
    struct mapping *mapping = NULL;

    plug_locks.ops->write_lock(plug_locks.ctx, &address_space_lock);
    for (unsigned i = 0; i < MAPPINGS && !mapping; i++) {
        if (!mappings[i].inode && count <= SPACING / PAGE_SIZE - 512) {
            mapping = &mappings[i];
            mapping->address = FIRST_ADDRESS + (uintptr_t)i * SPACING + first * PAGE_SIZE % HUGE_SIZE;
            mapping->first = first;
            mapping->count = count;
            mapping->writable = writable;
            mapping->shared = shared;
            ext2dax_inode_hold(inode);
            lock_tables(); /* op_unmap() and op_protect() read .inode under this lock only */
            mapping->inode = inode;
            unlock_tables();
        }
    }
    plug_locks.ops->write_unlock(plug_locks.ctx, &address_space_lock);
    return mapping;
}

void space_unmap(struct mapping *mapping)
{
    struct ext2dax_inode *inode = mapping->inode;

    plug_locks.ops->write_lock(plug_locks.ctx, &address_space_lock);
    lock_tables();
    if (forget(mapping, mapping->first, mapping->count, true))
        shoot_down();
    mapping->inode = NULL;
    unlock_tables();
    plug_locks.ops->write_unlock(plug_locks.ctx, &address_space_lock);
    ext2dax_inode_put(inode);
}

const struct mapping *space_find(uintptr_t address)
{
    plug_locks.ops->read_lock(plug_locks.ctx, &address_space_lock);
    for (unsigned i = 0; i < MAPPINGS; i++) {
        if (mappings[i].inode && address >= mappings[i].address &&
            address - mappings[i].address < mappings[i].count * PAGE_SIZE)
            return &mappings[i];
    }
    return NULL;
}

void space_put(void)
{
    plug_locks.ops->read_unlock(plug_locks.ctx, &address_space_lock);
}

uint64_t space_look(uintptr_t address)
{
    const uint64_t *entry;
    uint64_t found;

    lock_tables();
    entry = entry_leaf(address);
    found = entry ? *entry : 0;
    unlock_tables();
    return found;
}
