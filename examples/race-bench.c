/* SPDX-License-Identifier: MIT */
/*
 * race-bench shows how the author of a kernel tests the address-space callbacks of the kernel in
 * every possible schedule.
 *
 * The kernel here has a single page table and two processors with a TLB each. With --bug the kernel
 * flushes TLBs only on return to user mode, so `unmap` and `protect` return before the shoot-down.
 * This is the classic mistake.
 */
#include <ext2dax/ext2dax.h>
#include <ext2dax/testkit/checker.h>
#include <ext2dax/testkit/explorer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 1024, PAGES = 8, CPUS = 2, BLOCKS = 64 };

struct entry {
    bool present, writable;
    uint64_t offset; /* into the memory, EXT2DAX_NO_OFFSET for zeroes */
};

static struct ext2dax_explorer *explorer;
static struct ext2dax_locks locks;
static struct ext2dax_memory memory;
static struct ext2dax_inode *file, *other;
static bool bug;

/* ---- the kernel under test, replace with your own ---- */

static struct {
    struct entry table[PAGES], tlb[CPUS][PAGES];
    struct ext2dax_lock lock; /* of the table */
    bool late[PAGES];         /* pages not yet flushed, only with --bug */
} kernel;

/*
 * Changes an entry of the table. A processor walks the table without the lock, so each change
 * announces itself as a yield point first.
 */
static void set(uint64_t page, struct entry value)
{
    ext2dax_explorer_point(explorer, EXT2DAX_EXPLORER_STORE, &kernel.table[page]);
    kernel.table[page] = value;
}

static void flush(uint64_t page)
{
    ext2dax_explorer_point(explorer, EXT2DAX_EXPLORER_STORE, &kernel.table[page]);
    ext2dax_explorer_note(explorer, "flush page %d from TLBs", (int)page);
    for (unsigned cpu = 0; cpu < CPUS; cpu++)
        kernel.tlb[cpu][page] = (struct entry){0};
    kernel.late[page] = false;
}

/* Removes the page from all TLBs, with --bug only later. */
static void shoot_down(uint64_t page)
{
    if (bug)
        kernel.late[page] = true;
    else
        flush(page);
}

/* Returns to user mode. With --bug the flush happens here. */
static void back_to_user_mode(void)
{
    for (uint64_t page = 0; bug && page < PAGES; page++) {
        if (kernel.late[page])
            flush(page);
    }
}

static enum ext2dax_fault_result map(void *ctx, struct ext2dax_fault *fault, const struct ext2dax_mapping *mapping)
{
    (void)ctx;
    (void)fault;
    if (mapping->huge || mapping->kind == EXT2DAX_MAPPING_COPY)
        return EXT2DAX_FAULT_FALLBACK;
    locks.ops->write_lock(locks.ctx, &kernel.lock);
    for (uint64_t i = 0; i < mapping->count && mapping->page + i < PAGES; i++) {
        bool data = mapping->kind == EXT2DAX_MAPPING_DATA, there = kernel.table[mapping->page + i].present;
        uint64_t offset = data ? mapping->memory_offset + i * PAGE : EXT2DAX_NO_OFFSET;

        /* Never downgrades an existing entry. */
        if (!there || (data && mapping->writable))
            set(mapping->page + i, (struct entry){true, mapping->writable, offset});
    }
    locks.ops->write_unlock(locks.ctx, &kernel.lock);
    return EXT2DAX_FAULT_NOPAGE;
}

static void unmap(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool private_too)
{
    (void)ctx;
    (void)private_too;
    locks.ops->write_lock(locks.ctx, &kernel.lock);
    for (uint64_t page = first; inode == file && page < PAGES && page - first < count; page++) {
        if (!kernel.table[page].present)
            continue;
        set(page, (struct entry){0});
        shoot_down(page);
    }
    locks.ops->write_unlock(locks.ctx, &kernel.lock);
}

static uint64_t protect(void *ctx, struct ext2dax_inode *inode, uint64_t first, uint64_t count, uint64_t *run)
{
    uint64_t page = first, found = 0;

    (void)ctx;
    locks.ops->write_lock(locks.ctx, &kernel.lock);
    while (inode == file && page < PAGES && page - first < count && !kernel.table[page].writable)
        page++;
    if (inode == file && page < PAGES && page - first < count) {
        set(page, (struct entry){true, false, kernel.table[page].offset});
        shoot_down(page);
        *run = page;
        found = 1;
    }
    locks.ops->write_unlock(locks.ctx, &kernel.lock);
    return found;
}

static const struct ext2dax_address_space_ops ops = {
    .size = sizeof ops, .map = map, .unmap = unmap, .protect = protect};

/*
 * Stores a byte as a processor would. The TLB is filled from the table, and the fault handler fills
 * the table.
 */
static void store(unsigned cpu, uint64_t page, unsigned char byte)
{
    struct ext2dax_fault fault = {
        .inode = file, .page = page, .mapping_count = PAGES, .address = page * PAGE, .write = true, .shared = true};
    struct entry *entry = &kernel.tlb[cpu][page];

    for (;;) {
        ext2dax_explorer_point(explorer, EXT2DAX_EXPLORER_LOAD, &kernel.table[page]);
        if (!entry->writable)
            *entry = kernel.table[page];
        if (entry->writable)
            break;
        if (ext2dax_fault(&fault) != EXT2DAX_FAULT_NOPAGE)
            return;
    }
    ext2dax_explorer_note(explorer, "store into block %d", (int)(entry->offset / PAGE));
    ((unsigned char *)memory.base)[entry->offset + cpu] = byte;
}

/* ---- operations of the threads ---- */

static void stores(void *arg)
{
    (void)arg;
    store(1, 0, 'x');
}

static void truncates(void *arg)
{
    char text[PAGES * PAGE];

    (void)arg;
    memset(text, 'o', sizeof text);
    if (ext2dax_truncate(file, 0) != 0 || ext2dax_write(other, 0, text, sizeof text) != sizeof text)
        ext2dax_explorer_fail(explorer, "a call fails");
    back_to_user_mode();
}

static void syncs(void *arg)
{
    (void)arg;
    if (ext2dax_fsync(file) != 0)
        ext2dax_explorer_fail(explorer, "a call fails");
    back_to_user_mode();
}

/* ---- invariants ---- */

static void in_every_state(void *arg)
{
    (void)arg;
    if (ext2dax_check_image(memory.base, memory.size, EXT2DAX_CHECK_MOUNTED | EXT2DAX_CHECK_LEAKS_OK, NULL, NULL, NULL))
        ext2dax_explorer_fail(explorer, "the image contradicts itself");
}

static void at_the_end(void *arg)
{
    char text[PAGES * PAGE];

    (void)arg;
    for (int64_t at = ext2dax_read(other, 0, text, sizeof text) - 1; at >= 0; at--) {
        if (text[at] != 'o')
            ext2dax_explorer_fail(explorer, "a store went into page %d of another file", (int)(at / PAGE));
    }
    syncs(NULL);
    for (unsigned i = 0; i < CPUS * PAGES; i++) {
        if (kernel.tlb[i / PAGES][i % PAGES].writable)
            ext2dax_explorer_fail(explorer, "page %u can be stored to, and fsync does not know", i % PAGES);
    }
}

static void must(int error)
{
    if (error < 0) {
        fprintf(stderr, "race-bench: the fixture cannot be made: %s\n", ext2dax_strerror(error));
        exit(1);
    }
}

/*
 * Sets the fixture up. All state changed by threads lies in memory of the explorer or is registered
 * with the explorer.
 */
static void make_fixture(void *arg)
{
    struct ext2dax_format_options format = {.size = sizeof format, .block_size = PAGE, .inodes = 16};
    struct ext2dax_mount_options options = {.size = sizeof options, .page_shift = 10, .huge_order = 3};
    struct ext2dax_plugs plugs = {.host = ext2dax_explorer_host(explorer), .locks = ext2dax_explorer_locks(explorer)};
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root;

    (void)arg;
    locks = plugs.locks;
    memset(&kernel, 0, sizeof kernel);
    must(ext2dax_explorer_remember(explorer, &kernel, sizeof kernel));
    must(locks.ops->init(locks.ctx, &kernel.lock, EXT2DAX_LOCK_PAGE_TABLE, 0));
    must(ext2dax_explorer_memory(explorer, (size_t)BLOCKS * PAGE, 0, &memory));
    must(ext2dax_format(&memory, &format, &plugs.host));
    plugs.memory = memory;
    plugs.address_space = ext2dax_explorer_watch(explorer, (struct ext2dax_address_space){&ops, NULL});
    must(ext2dax_mount(&plugs, &options, &mount));
    must(ext2dax_explorer_ignore_counters(explorer, mount));
    must(ext2dax_inode_get(mount, EXT2DAX_ROOT_INODE, &root));
    must(ext2dax_create(root, "file", 4, 0644, 0, 0, &file));
    must(ext2dax_create(root, "other", 5, 0644, 0, 0, &other));
    must(ext2dax_truncate(file, (uint64_t)PAGES * PAGE));
    store(1, 0, 'w');
    must(ext2dax_explorer_name(explorer, kernel.table, sizeof kernel.table, "page table"));
    must(ext2dax_explorer_name_inode(explorer, file, "file"));
    must(ext2dax_explorer_name_inode(explorer, other, "other"));
}

#define SCENARIO(thread, what)                                                                                         \
    {                                                                                                                  \
        "a store against " what, NULL, 2, {{"store", stores}, {what, thread}}, make_fixture, in_every_state,           \
            at_the_end                                                                                                 \
    }
static const struct ext2dax_scenario scenarios[] = {SCENARIO(truncates, "truncate"), SCENARIO(syncs, "fsync")};
enum { SCENARIOS = sizeof scenarios / sizeof scenarios[0] };

/* ---- the command line ---- */

static void print(void *arg, const char *text)
{
    (void)arg;
    printf("    %s\n", text);
}

/* Replays a schedule, given by scenario number and id, for example "1:a17b4a". */
static int replay(const char *name)
{
    struct ext2dax_explorer_result result;
    unsigned number = (unsigned)(unsigned char)name[0] - '1';
    int error = -EXT2DAX_EINVAL;

    if (number < SCENARIOS && name[1] == ':')
        (void)ext2dax_explorer_replay(explorer, &scenarios[number], name + 2, print, NULL, &result, &error);
    if (error != 0) {
        fprintf(stderr, "race-bench: '%s' names no schedule\n", name);
        return 2;
    }
    printf("%s\n", result.failed ? result.finding : "nothing found");
    return result.failed;
}

static int explore(void)
{
    struct ext2dax_explorer_result result;
    int failed = 0;
    char name[EXT2DAX_EXPLORER_ID + 16];

    for (unsigned i = 0; i < SCENARIOS; i++) {
        (void)ext2dax_explorer_explore(explorer, &scenarios[i], &result);
        printf("%u: %s: %llu schedules run, %llu cut off, %llu states, %d findings\n", i + 1, scenarios[i].name,
               (unsigned long long)result.schedules, (unsigned long long)result.pruned,
               (unsigned long long)result.states, result.failed);
        if (!result.failed) {
            printf("   which stand for all %.0f schedules there are\n", result.covered);
            continue;
        }
        failed = 1;
        snprintf(name, sizeof name, "%u:%s", i + 1, result.id);
        printf("\n    found: %s\n    again: race-bench%s --replay %s\n\n", result.finding, bug ? " --bug" : "", name);
        (void)replay(name);
    }
    return failed;
}

int main(int argc, char **argv)
{
    struct ext2dax_explorer_options options = {
        .size = sizeof options, .preemptions = EXT2DAX_EXPLORER_ANY, .flags = EXT2DAX_EXPLORER_SHARED_ONLY};
    const char *schedule = NULL;
    int status;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bug") == 0) {
            bug = true;
        } else if (strcmp(argv[i], "--replay") == 0 && i + 1 < argc) {
            schedule = argv[++i];
        } else {
            bool help = strcmp(argv[i], "--help") == 0;

            if (strcmp(argv[i], "--version") == 0)
                return printf("race-bench %s\n", ext2dax_version()) < 0;
            fprintf(help ? stdout : stderr,
                    "Usage: race-bench [--bug] [--replay SCHEDULE] [--help] [--version]\n"
                    "Explores every schedule of an address space's callbacks, right or (--bug) wrong,\n"
                    "or shows the one that a finding names. Exit status: 0 nothing found, 1 found, 2 usage.\n");
            return help ? 0 : 2;
        }
    }
    explorer = ext2dax_explorer_open(&options);
    if (!explorer)
        return fprintf(stderr, "race-bench: no memory\n"), 1;
    status = schedule ? replay(schedule) : explore();
    ext2dax_explorer_close(explorer);
    return fflush(stdout) != 0 ? 1 : status;
}
