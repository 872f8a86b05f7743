/* SPDX-License-Identifier: MIT */
/*
 * Checks of pages removed during use by ring 3. The pages are removed by an interrupt, by the
 * second processor, and by a freeze.
 *
 * The file "taken" is mapped. Ring 3 on the first processor stores into the mapping in an
 * endless loop. After each truncate of "taken" the freed blocks are allocated to the file
 * "taker", which is filled with another byte. A store through a stale TLB entry would change
 * "taker".
 */
#include "kernel.h"

#define PAGES       16ul
#define BOTH        256ul /* pages stored to by both processors */
#define ROUNDS      50u
#define TIMER_TURNS 20u
#define TIMER_TURN  500u     /* microseconds */
#define PATIENCE    5000000u /* microseconds */
#define HAMMERED    0xA5u
#define TAKEN       0x5Au

static struct race {
    struct ext2dax_inode *taken, *taker;
    struct mapping *mapping;
    unsigned in_use, faulting, ended, stopped, reused, left, damaged, errors;
    uint64_t before[PAGES], after[PAGES];
} race;

static uint8_t buffer[PAGES * PAGE_SIZE];

/* ---- both processors at once ---- */

static void pass_beside(void *arg)
{
    const struct mapping *mapping = arg;

    user_run(user_pass, mapping->address + 1, BOTH, 2);
}

/*
 * Both processors store into each page of a hole. Each page must get a single block with both
 * bytes.
 */
static void check_both(void)
{
    struct ext2dax_inode *inode = create_file("both", BOTH * PAGE_SIZE);
    struct mapping *mapping = map_file(inode, 0, BOTH, true, true);
    unsigned whole = 0;

    other_start(pass_beside, mapping);
    user_run(user_pass, mapping->address, BOTH, 1);
    other_wait();
    for (unsigned page = 0; page < BOTH; page++)
        whole += byte_of(inode, page * PAGE_SIZE) == 1 && byte_of(inode, page * PAGE_SIZE + 1) == 2;
    check_same("two processors: stores into the same holes are all there", whole, BOTH);
    check_same("two processors: and took one block each", sectors_of(inode), (BOTH + 1) * (PAGE_SIZE / 512));
    space_unmap(mapping);
    ext2dax_inode_put(inode);
}

/* ---- an interrupt of the same processor ---- */

static bool none_mapped(const struct race *r)
{
    for (unsigned page = 0; page < PAGES; page++) {
        if (space_look(space_page(r->mapping, page)) != 0)
            return false;
    }
    return true;
}

static void truncate_now(void *arg)
{
    struct race *r = arg;

    if (ext2dax_truncate(r->taken, 0) != 0)
        r->errors++;
}

/* Timer callback. Truncates once a page is mapped. Until then restarts the timer. */
static void truncate_in_use(void *arg)
{
    struct race *r = arg;

    if (none_mapped(r)) {
        apic_timer(TIMER_TURN, truncate_in_use, r);
        return;
    }
    truncate_now(r);
    r->left += !none_mapped(r);
}

static void check_interrupt(void)
{
    unsigned ended = 0, freed = 0;

    for (unsigned turn = 0; turn < TIMER_TURNS; turn++) {
        race.errors += ext2dax_truncate(race.taken, PAGES * PAGE_SIZE) != 0;
        apic_timer(TIMER_TURN, truncate_in_use, &race);
        ended += user_run(user_hammer, race.mapping->address, PAGES, HAMMERED) == USER_SIGBUS;
        freed += sectors_of(race.taken) == 0;
    }
    check_same("interrupt: truncates under a running program, which gets SIGBUS", ended, TIMER_TURNS);
    check_same("interrupt: every block is free again", freed, TIMER_TURNS);
    check_same("interrupt: and no page mapped", race.left, 0);
    check_same("interrupt: no call failed", race.errors, 0);
}

/* ---- the second processor ---- */

static bool is_all(const uint8_t *bytes, size_t length, uint8_t byte)
{
    while (length > 0 && bytes[length - 1] == byte)
        length--;
    return length == 0;
}

/* Timer callback. Ends a program in ring 3 not ended by anything else. */
static void stop_user(void *arg)
{
    (void)arg;
    user_leave(0);
}

static uint64_t size_of(const struct ext2dax_inode *inode)
{
    struct ext2dax_stat figures;

    ext2dax_stat(inode, &figures, sizeof(figures));
    return figures.size;
}

/*
 * Waits until ring 3 has stored into the page. Ring 3 stores in page order, so the TLB of the
 * processor may then hold all pages up to this page. Returns false if no store arrives within
 * PATIENCE.
 */
static bool await_store(const struct race *r, uint64_t page)
{
    uint64_t entry, end = clock_microseconds() + PATIENCE;

    while (clock_microseconds() < end) {
        entry = space_look(space_page(r->mapping, page));
        if ((entry & ENTRY_WRITABLE) != 0 && *(volatile uint8_t *)at_physical(entry & ENTRY_FRAME) == HAMMERED)
            return true;
        clock_wait(20);
    }
    return false;
}

/*
 * Waits until a fault has filled a hole. The PTE may already be removed again. Returns false if
 * no block is allocated within PATIENCE.
 */
static bool await_block(const struct race *r)
{
    uint64_t end = clock_microseconds() + PATIENCE;

    while (sectors_of(r->taken) == 0 && clock_microseconds() < end)
        relax();
    return sectors_of(r->taken) != 0;
}

static void note_frames(struct ext2dax_inode *inode, uint64_t *frames)
{
    for (unsigned page = 0; page < PAGES; page++)
        frames[page] = frame_of(inode, page);
}

static bool share_one(const uint64_t *a, const uint64_t *b)
{
    for (unsigned i = 0; i < PAGES * PAGES; i++) {
        if (a[i / PAGES] == b[i % PAGES])
            return true;
    }
    return false;
}

/*
 * Truncates "taken", gives the blocks to "taker" for 200 microseconds, and checks that the
 * contents stay unchanged.
 */
static void take_once(struct race *r)
{
    r->errors += ext2dax_truncate(r->taken, 0) != 0;
    memset(buffer, TAKEN, sizeof(buffer));
    r->errors += ext2dax_write(r->taker, 0, buffer, sizeof(buffer)) != sizeof(buffer);
    note_frames(r->taker, r->after);
    clock_wait(200);
    memset(buffer, 0, sizeof(buffer));
    r->errors += ext2dax_read(r->taker, 0, buffer, sizeof(buffer)) != sizeof(buffer);
    r->damaged += !is_all(buffer, sizeof(buffer), TAKEN);
    r->left += !none_mapped(r) || sectors_of(r->taken) != 0;
    r->errors += ext2dax_truncate(r->taker, 0) != 0;
    r->errors += ext2dax_truncate(r->taken, PAGES * PAGE_SIZE) != 0;
}

static bool goes_well(const struct race *r)
{
    return r->left + r->damaged + r->errors == 0;
}

/*
 * Truncates while all pages are mapped, so that each store of ring 3 goes through a TLB entry.
 */
static void take_in_use(void *arg)
{
    struct race *r = arg;

    for (; r->in_use < ROUNDS && goes_well(r) && await_store(r, PAGES - 1); r->in_use++) {
        note_frames(r->taken, r->before);
        take_once(r);
        r->reused += share_one(r->before, r->after);
    }
    truncate_now(r);
}

/* Truncates while ring 3 is inside page faults. */
static void take_faulting(void *arg)
{
    struct race *r = arg;

    for (; r->faulting < ROUNDS && goes_well(r) && await_block(r); r->faulting++) {
        clock_wait(r->faulting);
        take_once(r);
    }
    truncate_now(r);
}

/* Stores from ring 3 for as long as `take` runs on the second processor. */
static void store_meanwhile(void (*take)(void *arg), bool faulting)
{
    uint64_t result;

    race.errors += ext2dax_truncate(race.taken, PAGES * PAGE_SIZE) != 0;
    other_start(take, &race);
    while (!other_done()) {
        /* The file has no pages, so a store would only compete for the locks. */
        if (size_of(race.taken) == 0) {
            clock_wait(20);
            continue;
        }
        apic_timer(PATIENCE, stop_user, NULL);
        result = user_run(faulting ? user_pass : user_hammer, race.mapping->address, PAGES, HAMMERED);
        race.ended += result == USER_SIGBUS;
        race.stopped += result == 0 && !faulting;
        if (faulting) /* the next pass begins without PTEs */
            plug_space.ops->unmap(plug_space.ctx, race.taken, 0, PAGES, false);
    }
    apic_timer_stop();
}

static void check_other_processor(void)
{
    store_meanwhile(take_in_use, false);
    store_meanwhile(take_faulting, true);
    check_same("two processors: truncates while ring 3 stores into all pages", race.in_use, ROUNDS);
    check_same("two processors: and while it faults", race.faulting, ROUNDS);
    check("two processors: SIGBUS, and nothing else, ended it", race.ended > 0 && race.stopped == 0);
    check_same("two processors: nothing stayed mapped or allocated past the end", race.left, 0);
    check_same("two processors: the freed blocks went to another file", race.reused, ROUNDS);
    check_same("two processors: no store landed in it", race.damaged, 0);
    check_same("two processors: no call failed", race.errors, 0);
}

/* ---- a freeze ---- */

struct frozen {
    struct ext2dax_inode *inode;
    uint8_t before_thaw;
    int error;
};

static void thaw_later(void *arg)
{
    struct frozen *f = arg;

    clock_wait(20000);
    f->before_thaw = byte_of(f->inode, 0);
    f->error = ext2dax_thaw(fixture.mount);
}

static bool is_marked_clean(void)
{
    const struct ext2dax_disk_super *super =
        (const void *)((const uint8_t *)fixture.memory->base + EXT2DAX_SUPER_OFFSET);

    return (super->state.le & EXT2DAX_STATE_VALID) != 0;
}

static void check_freeze(void)
{
    struct frozen f = {.inode = create_file("frozen", 2 * PAGE_SIZE)};
    struct mapping *mapping = map_file(f.inode, 0, 2, true, true);
    unsigned retries = fault_counts.retry;

    check_same("freeze: before it, a store", user_run(user_store, mapping->address, 1, 0), 0);
    check_same("freeze: from this processor", (uint64_t)-ext2dax_freeze(fixture.mount), 0);
    check_same("freeze: the entry is read-only", space_look(mapping->address) & ENTRY_WRITABLE, 0);
    check("freeze: the image is marked clean", is_marked_clean());
    check_same("freeze: reading goes on", user_run(user_load, mapping->address, 0, 0), 1);
    other_start(thaw_later, &f);
    check_same("freeze: a store waits", user_run(user_store, mapping->address, 2, 0), 0);
    other_wait();
    check("freeze: in RETRY", fault_counts.retry > retries);
    check_same("freeze: until the other processor thaws", (uint64_t)-f.error, 0);
    check_same("freeze: not a byte before that", f.before_thaw, 1);
    check_same("freeze: and then it is done", byte_of(f.inode, 0), 2);
    check("freeze: the image is marked in use", !is_marked_clean());
    space_unmap(mapping);
    ext2dax_inode_put(f.inode);
}

/*
 * Fills the image until the next allocation has to reuse the blocks just freed by another file.
 */
static void fill_image(struct ext2dax_inode *inode)
{
    struct ext2dax_statfs figures;

    ext2dax_statfs(fixture.mount, &figures, sizeof(figures));
    while (figures.available_blocks > 2 * PAGES) {
        if (ext2dax_allocate(inode, size_of(inode), PAGES / 2 * PAGE_SIZE, false) != 0)
            panic("the image could not be filled at", size_of(inode));
        ext2dax_statfs(fixture.mount, &figures, sizeof(figures));
    }
}

void check_two(void)
{
    struct ext2dax_inode *filler;

    check_both();
    filler = create_file("filler", 0);
    fill_image(filler);
    race.taken = create_file("taken", 0);
    race.taker = create_file("taker", 0);
    race.mapping = map_file(race.taken, 0, PAGES, true, true);
    check_interrupt();
    check_other_processor();
    space_unmap(race.mapping);
    ext2dax_inode_put(race.taker);
    ext2dax_inode_put(race.taken);
    check_same("two processors: room again", (uint64_t)-ext2dax_truncate(filler, 0), 0);
    ext2dax_inode_put(filler);
    check_freeze();
}
