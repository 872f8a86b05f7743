/* SPDX-License-Identifier: MIT */
/*
 * own_address_space shows how to write an address space for a system without hardware to walk page
 * tables.
 *
 * The example is the memory of a small emulated machine. Its processors access files through a
 * software page table with small and huge entries, and each processor has a TLB. A load or store is
 * a translation followed by an access, and neither takes a lock. Instead, a processor marks itself
 * as inside for the length of an access. A thread that removes an entry requests a TLB flush from
 * all processors and waits for all processors inside (`shoot_down`). The whole contract rests on
 * this wait. When `unmap` returns, no access goes through a removed entry. When `protect` returns,
 * no store goes through a protected entry.
 *
 * Three processors load and store while the program truncates, punches, freezes and writes back the
 * mapped files, and a second file allocates the blocks freed from the first. With --bug no TLB is
 * flushed.
 */
#include <ext2dax/ext2dax.h>
#include <ext2dax/hosted/host.h>
#include <ext2dax/hosted/lock.h>
#include <ext2dax/hosted/memory.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, PMD_RANGE = 512, PAGES = 2 * PMD_RANGE, CPUS = 3, TLB = 64, IMAGE = 16 << 20 };

/*
 * An entry holds the address of the page in this process, and flags. 0 means no entry. A huge entry
 * holds the address of the first page of the PMD range.
 */
#define PRESENT  ((uintptr_t)1)
#define WRITABLE ((uintptr_t)2)
#define ZEROES   ((uintptr_t)4)
#define COPY     ((uintptr_t)8) /* of a private mapping, which owns the page */
#define FLAGS    ((uintptr_t)PAGE - 1)

/* A range of machine addresses that maps a file, in whole PMD ranges. */
struct mapping {
    struct mapping *next;
    struct ext2dax_inode *inode;
    uintptr_t address;
    uint64_t first, pages;
    bool shared;
    _Atomic uintptr_t *small; /* `pages` entries */
    _Atomic uintptr_t *huge;  /* an entry per PMD range, precedes small entries if not 0 */
};

struct cpu {
    atomic_ulong inside; /* odd while an access is under way */
    atomic_bool forget;
    struct {
        const struct mapping *mapping;
        uint64_t page;
        uintptr_t entry;
    } tlb[TLB];
    unsigned long accesses, traps, refused;
};

static struct machine {
    struct ext2dax_locks locks;
    struct ext2dax_lock table; /* serializes changes of entries, processors walk without the lock */
    unsigned char *memory;
    struct mapping *mappings;
    struct cpu cpu[CPUS];
} machine;
static _Alignas(PAGE) unsigned char zero_page[PAGE];
static bool bug;

static void lock_table(struct machine *at)
{
    at->locks.ops->write_lock(at->locks.ctx, &at->table);
}

static void unlock_table(struct machine *at)
{
    at->locks.ops->write_unlock(at->locks.ctx, &at->table);
}

/* ---- entries ---- */

static uintptr_t walk(const struct mapping *mapping, uint64_t page)
{
    uint64_t at = page - mapping->first;
    uintptr_t huge = mapping->huge[at / PMD_RANGE];

    return huge ? huge + (uintptr_t)(at % PMD_RANGE) * PAGE : mapping->small[at];
}

/*
 * Flushes all TLBs. A processor entering from here on flushes before translating. A processor
 * inside may have translated before, so this function waits for the end of the access.
 */
static void shoot_down(struct machine *at)
{
    if (bug)
        return;
    for (int i = 0; i < CPUS; i++)
        at->cpu[i].forget = true;
    for (int i = 0; i < CPUS; i++) {
        unsigned long inside = at->cpu[i].inside;

        while (inside % 2 && at->cpu[i].inside == inside)
            sched_yield();
    }
}

/*
 * Splits the huge entry of a PMD range into small entries. No TLB flush is needed, because each
 * page keeps its translation.
 */
static void split(struct mapping *mapping, uint64_t page)
{
    uint64_t range = (page - mapping->first) / PMD_RANGE;
    uintptr_t huge = mapping->huge[range];

    for (uintptr_t i = 0; huge && i < PMD_RANGE; i++)
        mapping->small[range * PMD_RANGE + i] = huge + i * PAGE;
    mapping->huge[range] = 0;
}

/*
 * Returns in [*from, *to) the part of [first, first + count) that the mapping covers. False if
 * empty.
 */
static bool clip(const struct mapping *mapping, uint64_t first, uint64_t count, uint64_t *from, uint64_t *to)
{
    uint64_t end = mapping->first + mapping->pages;

    *from = first > mapping->first ? first : mapping->first;
    *to = count < end && first + count < end ? first + count : end;
    return *from < *to;
}

/*
 * Installs a small entry. Data replaces zeroes, and writable replaces read-only. No other entry is
 * replaced.
 */
static void enter(struct mapping *mapping, uint64_t page, uintptr_t entry)
{
    uintptr_t old = walk(mapping, page);

    if (old && (entry & ZEROES || (!(old & ZEROES) && !(entry & WRITABLE))))
        return;
    split(mapping, page);
    mapping->small[page - mapping->first] = entry;
}

static enum ext2dax_fault_result enter_copy(struct machine *at, struct mapping *mapping, uint64_t page, uint64_t offset)
{
    unsigned char *copy;

    if (walk(mapping, page) & COPY)
        return EXT2DAX_FAULT_NOPAGE;
    copy = aligned_alloc(PAGE, PAGE);
    if (!copy)
        return EXT2DAX_FAULT_OOM;
    memcpy(copy, offset == EXT2DAX_NO_OFFSET ? zero_page : at->memory + offset, PAGE);
    split(mapping, page);
    mapping->small[page - mapping->first] = (uintptr_t)copy | PRESENT | WRITABLE | COPY;
    shoot_down(at);
    return EXT2DAX_FAULT_NOPAGE;
}

/*
 * Installs a huge entry in a single store that replaces all small entries of the PMD range. Returns
 * FALLBACK if a small entry is a private copy, or is writable while the huge entry is not, because
 * a huge entry has a single permission.
 */
static enum ext2dax_fault_result enter_huge(struct machine *at, struct mapping *mapping, uint64_t first,
                                            uintptr_t entry)
{
    _Atomic uintptr_t *huge = &mapping->huge[(first - mapping->first) / PMD_RANGE];

    for (uint64_t page = first; !*huge && page < first + PMD_RANGE; page++) {
        if (walk(mapping, page) & (COPY | (WRITABLE & ~entry)))
            return EXT2DAX_FAULT_FALLBACK;
    }
    *huge = entry | (*huge & WRITABLE);
    shoot_down(at);
    return EXT2DAX_FAULT_NOPAGE;
}

/* ---- the plug ---- */

static enum ext2dax_fault_result op_map(void *ctx, struct ext2dax_fault *fault, const struct ext2dax_mapping *wanted)
{
    struct machine *at = ctx;
    struct mapping *mapping = fault->cookie;
    enum ext2dax_fault_result result = EXT2DAX_FAULT_NOPAGE;
    bool zeroes = wanted->kind == EXT2DAX_MAPPING_ZERO;
    uintptr_t entry = zeroes ? (uintptr_t)zero_page | PRESENT | ZEROES
                             : ((uintptr_t)at->memory + (uintptr_t)wanted->memory_offset) | PRESENT;
    uint64_t page, to;

    entry |= wanted->writable ? WRITABLE : 0;
    lock_table(at);
    if (wanted->kind == EXT2DAX_MAPPING_COPY) {
        result = enter_copy(at, mapping, wanted->page, wanted->memory_offset);
    } else if (wanted->huge) {
        result = enter_huge(at, mapping, wanted->page, entry);
    } else {
        for (clip(mapping, wanted->page, wanted->count, &page, &to); page < to; page++)
            enter(mapping, page, zeroes ? entry : entry + (uintptr_t)(page - wanted->page) * PAGE);
    }
    unlock_table(at);
    return result;
}

static void op_unmap(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool private_too)
{
    struct machine *at = ctx;
    uint64_t from, to, page;

    lock_table(at);
    for (struct mapping *mapping = at->mappings; mapping; mapping = mapping->next) {
        if (mapping->inode != inode || !clip(mapping, first, count, &from, &to))
            continue;
        for (page = from; page < to; page++) {
            split(mapping, page);
            /* The entry keeps a copy until no processor uses the page. */
            if (mapping->small[page - mapping->first] & COPY)
                mapping->small[page - mapping->first] &= private_too ? ~(PRESENT | WRITABLE) : ~(uintptr_t)0;
            else
                mapping->small[page - mapping->first] = 0;
        }
        shoot_down(at);
        for (page = from; page < to; page++) {
            if ((mapping->small[page - mapping->first] & (COPY | PRESENT)) != COPY)
                continue;
            free((void *)(mapping->small[page - mapping->first] & ~FLAGS));
            mapping->small[page - mapping->first] = 0;
        }
    }
    unlock_table(at);
}

/*
 * Write-protects the first run of pages writable in any mapping. Returns the length of the run, and
 * the first page in *run.
 */
static uint64_t op_protect(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, uint64_t *run)
{
    struct machine *at = ctx;
    uint64_t found = 0, from, to;
    bool any = true;

    lock_table(at);
    for (uint64_t page = first; any && page - first < count; page++) {
        bool was_writable = false;

        any = false;
        for (struct mapping *mapping = at->mappings; mapping; mapping = mapping->next) {
            if (mapping->inode != inode || !mapping->shared || !clip(mapping, page, UINT64_MAX, &from, &to))
                continue;
            any = true; /* this mapping covers the page or a later page */
            if (from != page || !(walk(mapping, page) & WRITABLE))
                continue;
            split(mapping, page);
            mapping->small[page - mapping->first] &= ~WRITABLE;
            was_writable = true;
        }
        if (was_writable && found++ == 0)
            *run = page;
        else if (!was_writable && found > 0)
            break;
    }
    if (found > 0)
        shoot_down(at);
    unlock_table(at);
    return found;
}

static const struct ext2dax_address_space_ops ops = {
    .size = sizeof(ops), .map = op_map, .unmap = op_unmap, .protect = op_protect};

/* ---- processors ---- */

/* Handles a trap. Calls the same entry point as a kernel would for the entry in the table. */
static enum ext2dax_fault_result trap(struct mapping *mapping, uint64_t page, bool write)
{
    uintptr_t entry = walk(mapping, page);
    struct ext2dax_fault fault = {.inode = mapping->inode,
                                  .page = page,
                                  .mapping_first = mapping->first,
                                  .mapping_count = mapping->pages,
                                  .address = mapping->address + (uintptr_t)(page - mapping->first) * PAGE,
                                  .write = write,
                                  .shared = mapping->shared,
                                  .cookie = mapping};
    enum ext2dax_fault_result result;

    if (write && mapping->shared && entry)
        return entry & ZEROES ? ext2dax_mkwrite(&fault) : ext2dax_pfn_mkwrite(&fault);
    result = ext2dax_pmd_fault(&fault);
    return result == EXT2DAX_FAULT_FALLBACK ? ext2dax_fault(&fault) : result;
}

/*
 * Translates by the TLB, which is filled from the table. Returns 0 for a trap. Called only while
 * the processor is inside.
 */
static uintptr_t translate(struct cpu *cpu, const struct mapping *mapping, uint64_t page, bool write)
{
    uintptr_t wanted = write ? PRESENT | WRITABLE : PRESENT;
    unsigned slot = (unsigned)(page % TLB);

    if (cpu->forget) {
        cpu->forget = false;
        memset(cpu->tlb, 0, sizeof(cpu->tlb));
    }
    if (cpu->tlb[slot].mapping != mapping || cpu->tlb[slot].page != page || (cpu->tlb[slot].entry & wanted) != wanted) {
        cpu->tlb[slot].mapping = mapping;
        cpu->tlb[slot].page = page;
        cpu->tlb[slot].entry = walk(mapping, page);
    }
    return (cpu->tlb[slot].entry & wanted) == wanted ? cpu->tlb[slot].entry & ~FLAGS : 0;
}

/* Loads or stores a word at a byte offset of the file. Returns SIGBUS like any other result. */
static enum ext2dax_fault_result access_word(struct cpu *cpu, struct mapping *mapping, uint64_t offset, bool write,
                                             uint32_t *value)
{
    enum ext2dax_fault_result result = EXT2DAX_FAULT_NOPAGE;

    cpu->accesses++;
    while (result == EXT2DAX_FAULT_NOPAGE || result == EXT2DAX_FAULT_RETRY) {
        uintptr_t page;

        if (result == EXT2DAX_FAULT_RETRY)
            ext2dax_wait_thaw(mapping->inode->mount);
        cpu->inside++;
        page = translate(cpu, mapping, offset / PAGE, write);
        if (cpu->accesses % 512 == 0)
            sched_yield(); /* an access may take long */
        if (page && write)
            atomic_store((_Atomic uint32_t *)(page + (uintptr_t)(offset % PAGE)), *value);
        else if (page)
            *value = atomic_load((_Atomic uint32_t *)(page + (uintptr_t)(offset % PAGE)));
        cpu->inside++;
        if (page)
            return EXT2DAX_FAULT_NOPAGE;
        cpu->traps++;
        result = trap(mapping, offset / PAGE, write);
    }
    cpu->refused++;
    return result;
}

/* ---- the test ---- */

static struct ext2dax_mount *mount;
static struct ext2dax_inode *file, *other;
static struct mapping *views[2], *private_view;
static atomic_bool over;

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "own_address_space: %s\n", what);
    _exit(1); /* processors may be anywhere in the code */
}

static void must(int64_t error)
{
    if (error < 0)
        check(false, ext2dax_strerror((int)error));
}

static uint64_t bytes(uint64_t pages)
{
    return pages * PAGE;
}

static struct mapping *open_view(struct ext2dax_inode *inode, size_t ranges, bool shared)
{
    static uintptr_t address = (uintptr_t)1 << 30;
    struct mapping *mapping = calloc(1, sizeof(*mapping));

    check(mapping != NULL, "no memory");
    *mapping = (struct mapping){.inode = inode, .address = address, .pages = ranges * PMD_RANGE, .shared = shared};
    mapping->small = calloc(ranges * PMD_RANGE, sizeof(*mapping->small));
    mapping->huge = calloc(ranges, sizeof(*mapping->huge));
    check(mapping->small && mapping->huge, "no memory");
    address += ranges * PMD_RANGE * PAGE;
    ext2dax_inode_hold(inode);
    lock_table(&machine);
    mapping->next = machine.mappings;
    machine.mappings = mapping;
    unlock_table(&machine);
    return mapping;
}

static void close_view(struct mapping *mapping)
{
    struct mapping **at = &machine.mappings;

    op_unmap(&machine, mapping->inode, mapping->first, mapping->pages, true);
    lock_table(&machine);
    while (*at != mapping)
        at = &(*at)->next;
    *at = mapping->next;
    unlock_table(&machine);
    ext2dax_inode_put(mapping->inode);
    free((void *)mapping->small);
    free((void *)mapping->huge);
    free(mapping);
}

static uint32_t load(unsigned cpu, struct mapping *view, uint64_t page)
{
    uint32_t value = 0;

    check(access_word(&machine.cpu[cpu], view, bytes(page), false, &value) == EXT2DAX_FAULT_NOPAGE, "a load fails");
    return value;
}

static void store(unsigned cpu, struct mapping *view, uint64_t page, uint32_t value)
{
    check(access_word(&machine.cpu[cpu], view, bytes(page), true, &value) == EXT2DAX_FAULT_NOPAGE, "a store fails");
}

static uint32_t in_file(uint64_t page)
{
    uint32_t value;

    check(ext2dax_read(file, bytes(page), &value, sizeof(value)) == sizeof(value), "a read fails");
    return value;
}

/* Tests each guarantee of address_space.h by its effect, with a single access at a time. */
static void look_at_entries(void)
{
    unsigned long traps;
    uint32_t value = 0;

    must(ext2dax_truncate(file, bytes(PAGES)));
    check(load(0, views[0], 3) == 0 && load(1, views[1], 3) == 0 && walk(views[0], 3) & ZEROES, "a hole is not zeroes");
    store(0, views[0], 3, 33);
    check(load(0, views[0], 3) == 33 && load(1, views[1], 3) == 33,
          "a zero page outlives the block that takes its place");
    store(1, views[0], PMD_RANGE + 8, 44);
    check(views[0]->huge[1] & WRITABLE, "an empty range is not entered as a huge page");
    check(load(0, views[1], PMD_RANGE + 8) == 44 && in_file(PMD_RANGE + 8) == 44, "a huge page shows something else");

    store(2, private_view, PMD_RANGE + 10, 55);
    check(load(2, private_view, PMD_RANGE + 8) == 44, "a private mapping does not show the file");
    check(load(1, private_view, PMD_RANGE + 10) == 55 && load(0, views[0], PMD_RANGE + 10) == 0,
          "a private store is not private, or lost");

    traps = machine.cpu[1].traps;
    store(1, views[0], PMD_RANGE + 8, 45);
    check(machine.cpu[1].traps == traps, "a page that may be stored to traps");
    must(ext2dax_fsync(file));
    store(1, views[0], PMD_RANGE + 8, 46);
    check(machine.cpu[1].traps == traps + 1, "a store passes by fsync");

    must(ext2dax_truncate(file, bytes(PMD_RANGE)));
    check(access_word(&machine.cpu[0], views[0], bytes(PMD_RANGE + 8), false, &value) == EXT2DAX_FAULT_SIGBUS &&
              access_word(&machine.cpu[2], private_view, bytes(PMD_RANGE + 8), false, &value) == EXT2DAX_FAULT_SIGBUS,
          "bytes past the new end are visible");
    check(load(0, views[0], 3) == 33, "bytes before the new end have changed");
}

/*
 * Runs a processor. Each stored word identifies its file and page, so a load must return zeroes or
 * the word of this file and page.
 */
static void *run_processor(void *arg)
{
    struct cpu *cpu = arg;
    struct mapping *view = views[(cpu - machine.cpu) % 2];
    uint64_t random = (uint64_t)(cpu - machine.cpu) + 1;

    while (!over) {
        uint64_t page, offset;
        uint32_t own, value;

        random = random * 6364136223846793005u + 1442695040888963407u;
        page = random >> 33 & (PAGES - 1);
        offset = bytes(page) + (random >> 44 & 1023) * 4;
        own = value = (uint32_t)'f' << 24 | (uint32_t)page;
        if (access_word(cpu, view, offset, random >> 60 & 1, &value) == EXT2DAX_FAULT_NOPAGE)
            check(value == 0 || value == own, "a load sees another file, or another page");
    }
    return NULL;
}

static void other_takes_blocks(void)
{
    static char letters[PMD_RANGE * PAGE], back[PMD_RANGE * PAGE];

    memset(letters, 'o', sizeof(letters));
    must(ext2dax_write(other, 0, letters, sizeof(letters)));
    sched_yield();
    must(ext2dax_read(other, 0, back, sizeof(back)));
    check(!memcmp(letters, back, sizeof(letters)), "a store went into another file");
    must(ext2dax_truncate(other, 0));
}

static void stay_frozen(void)
{
    static unsigned char before[IMAGE];

    must(ext2dax_freeze(mount));
    memcpy(before, machine.memory, IMAGE);
    nanosleep(&(struct timespec){0, 2000000}, NULL);
    check(!memcmp(before, machine.memory, IMAGE), "a store passes by freeze");
    must(ext2dax_thaw(mount));
}

static void look_at_threads(void)
{
    pthread_t threads[CPUS];
    unsigned long accesses = 0, traps = 0, refused = 0;

    must(ext2dax_truncate(file, 0));
    must(ext2dax_truncate(file, bytes(PAGES)));
    for (int i = 0; i < CPUS; i++)
        check(!pthread_create(&threads[i], NULL, run_processor, &machine.cpu[i]), "no thread");
    for (uint64_t round = 0; round < 24; round++) {
        must(ext2dax_truncate(file, bytes(round % 3 * 311)));
        other_takes_blocks();
        must(ext2dax_truncate(file, bytes(PAGES)));
        must(ext2dax_punch(file, bytes(round % 7 * 100), bytes(200)));
        other_takes_blocks();
        must(ext2dax_fsync(file));
        if (round % 8 == 0)
            stay_frozen();
    }
    over = true;
    for (int i = 0; i < CPUS; i++) {
        pthread_join(threads[i], NULL);
        accesses += machine.cpu[i].accesses;
        traps += machine.cpu[i].traps;
        refused += machine.cpu[i].refused;
    }
    printf("%lu accesses by %d processors, %lu traps, %lu past the end; ", accesses, CPUS, traps, refused);
}

int main(int argc, char **argv)
{
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_default(), .host = ext2dax_host_default()};
    struct ext2dax_mount_options options = {.size = sizeof(options), .recover = ext2dax_recover};
    struct ext2dax_counters counters;
    struct ext2dax_inode *root;

    bug = argc == 2 && !strcmp(argv[1], "--bug");
    if (argc > 1 && !bug)
        return fprintf(stderr, "Usage: own_address_space [--bug]\n"), 2;
    if (plugs.locks.ops == ext2dax_locks_none().ops)
        return printf("skipped: this build of the library has no locks for threads\n"), 77;
    alarm(60);
    must(ext2dax_memory_open_heap(IMAGE, &plugs.memory));
    must(ext2dax_format(&plugs.memory, NULL, NULL));
    machine.locks = plugs.locks;
    machine.memory = plugs.memory.base;
    must(machine.locks.ops->init(machine.locks.ctx, &machine.table, EXT2DAX_LOCK_PAGE_TABLE, 0));
    plugs.address_space = (struct ext2dax_address_space){&ops, &machine};
    must(ext2dax_mount(&plugs, &options, &mount));
    must(ext2dax_lookup_path(mount, "/", 1, 0, &root));
    must(ext2dax_create(root, "file", 4, 0644, 0, 0, &file));
    must(ext2dax_create(root, "other", 5, 0644, 0, 0, &other));
    views[0] = open_view(file, 2, true);
    views[1] = open_view(file, 2, true);
    private_view = open_view(file, 2, false);

    look_at_entries();
    look_at_threads();
    ext2dax_count(mount, &counters, sizeof(counters));
    printf("%lu huge pages entered\n", (unsigned long)counters.huge_mapped);

    close_view(private_view);
    close_view(views[1]);
    close_view(views[0]);
    ext2dax_inode_put(other);
    ext2dax_inode_put(file);
    ext2dax_inode_put(root);
    must(ext2dax_unmount(mount));
    if (machine.locks.ops->destroy)
        machine.locks.ops->destroy(machine.locks.ctx, &machine.table);
    ext2dax_memory_close_heap(&plugs.memory);
    return fflush(stdout) != 0;
}
