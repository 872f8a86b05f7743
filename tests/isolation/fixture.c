/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/testkit/checker.h"
#include "invariants.h"

struct isolation_fixture fixture;

/* The initial content of the file. Constant while threads run. */
static unsigned char before[PAGES * PAGE];

uint64_t fixture_place(unsigned thread)
{
    return fixture.page * PAGE + 10 * thread;
}

void expect(bool condition, const char *what)
{
    if (!condition)
        ext2dax_explorer_fail(fixture.explorer, "%s", what);
}

static void must(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "the fixture cannot be made: %s\n", what);
    abort();
}

/* ---- setup ---- */

static void order_broken(void *arg, const char *text)
{
    (void)arg;
    ext2dax_explorer_fail(fixture.explorer, "%s", text);
}

static struct ext2dax_inode *create(const char *name)
{
    struct ext2dax_inode *inode = NULL;

    must(ext2dax_create(fixture.root, name, strlen(name), 0644, 0, 0, &inode) == 0, name);
    return inode;
}

static void name_places(void)
{
    static const char *const names[] = {"superblock", "group descriptor", "block bitmap", "inode bitmap"};

    for (unsigned i = 0; i < 4; i++)
        ext2dax_explorer_name(fixture.explorer, (unsigned char *)fixture.memory.base + (1 + i) * PAGE, PAGE, names[i]);
    ext2dax_explorer_name_inode(fixture.explorer, fixture.file, "file");
    ext2dax_explorer_name_inode(fixture.explorer, fixture.victim, "victim");
}

/*
 * Sets up the fixture. The addresses of the mount are constant while threads run, so only relevant
 * data distinguishes states.
 */
static void set_up(const struct play *play)
{
    struct ext2dax_format_options format = {
        .size = sizeof format, .block_size = PAGE, .inodes = 16, .blocks_per_group = 256, .time = 1700000000};
    struct ext2dax_mount_options mount = {
        .size = sizeof mount, .order = EXT2DAX_ORDERED, .page_shift = 10, .huge_order = 3};
    struct ext2dax_explorer *explorer = fixture.explorer;
    struct ext2dax_plugs plugs = {.locks = ext2dax_explorer_locks(explorer), .host = ext2dax_explorer_host(explorer)};

    memset(&fixture, 0, sizeof fixture);
    fixture.explorer = explorer;
    must(ext2dax_explorer_remember(explorer, &fixture, sizeof fixture) == 0, "memory");
    if (play->order) {
        fixture.order = ext2dax_lock_order_open_on(&plugs.host, plugs.locks, order_broken, NULL);
        must(fixture.order != NULL, "lock order");
        plugs.locks = ext2dax_lock_order_locks(fixture.order);
    }
    must(ext2dax_explorer_memory(explorer, (size_t)BLOCKS * PAGE, FREE, &fixture.memory) == 0, "memory");
    must(ext2dax_format(&fixture.memory, &format, NULL) == 0, "format");
    fixture.model = ext2dax_model_open_on(&plugs.host, &fixture.memory, plugs.locks, PAGE, 3);
    must(fixture.model != NULL, "model");
    plugs.memory = fixture.memory;
    plugs.address_space = ext2dax_explorer_watch(explorer, ext2dax_model_address_space(fixture.model));
    must(ext2dax_mount(&plugs, &mount, &fixture.mount) == 0, "mount");
    must(ext2dax_explorer_ignore_counters(explorer, fixture.mount) == 0, "memory");
    must(ext2dax_inode_get(fixture.mount, EXT2DAX_ROOT_INODE, &fixture.root) == 0, "root");
    fixture.file = create("file");
    fixture.victim = create("victim");
    fixture.maps = play->count;
    for (unsigned i = 0; i < fixture.maps; i++) {
        fixture.map[i] = ext2dax_model_map(fixture.model, fixture.file, 0, PAGES, true, true);
        must(fixture.map[i] != NULL, "mapping");
        ext2dax_inode_hold(fixture.file);
    }
    name_places();
}

static void on_start(void *arg)
{
    const struct play *play = arg;

    set_up(play);
    play->start->set();
    fixture.kept = UINT64_MAX;
    for (unsigned i = 0; i < play->count; i++) {
        uint64_t kept = play->operation[i]->keeps ? play->operation[i]->keeps() : UINT64_MAX;

        fixture.kept = kept < fixture.kept ? kept : fixture.kept;
        fixture.unlinked = fixture.unlinked || play->operation[i]->unlinks;
    }
    memset(before, 0, sizeof before);
    must(ext2dax_read(fixture.file, 0, before, sizeof before) == (int64_t)fixture.size, "size");
}

/* ---- running ---- */

/* Every mapping holds a reference to its inode. Unmapping drops the reference. */
static void leave(unsigned thread)
{
    if (fixture.unlinked) {
        ext2dax_model_unmap(fixture.map[thread]);
        fixture.map[thread] = NULL;
        ext2dax_inode_put(fixture.file);
    }
    if (fixture.order)
        ext2dax_lock_order_returned(fixture.order);
}

static void play_part(void *arg, unsigned thread)
{
    const struct play *play = arg;

    play->operation[thread]->play(thread);
    leave(thread);
}

static void play_0(void *arg)
{
    play_part(arg, 0);
}
static void play_1(void *arg)
{
    play_part(arg, 1);
}
static void play_2(void *arg)
{
    play_part(arg, 2);
}

/* ---- invariants ---- */

static struct invariants invariants_here(void)
{
    return (struct invariants){.explorer = fixture.explorer,
                               .memory = &fixture.memory,
                               .model = fixture.model,
                               .unlinked = fixture.unlinked,
                               .frozen = fixture.frozen};
}

static void on_step(void *arg)
{
    const struct invariants invariants = invariants_here();

    (void)arg;
    invariants_check_state(&invariants);
}

/* Is this byte the result of a legitimate store? */
static bool was_stored(uint64_t at, unsigned char byte)
{
    for (unsigned i = 0; i < fixture.maps; i++) {
        if (byte != STORED + i)
            continue;
        if (at == fixture_place(i))
            return fixture.stored[i];
        if (at == (fixture.page ^ 1) * PAGE || at == fixture.size + 300)
            return true;
    }
    return false;
}

static void check_bytes(void)
{
    unsigned char bytes[PAGES * PAGE];
    int64_t length = ext2dax_read(fixture.file, 0, bytes, sizeof bytes);

    expect(length >= 0, "the file cannot be read");
    expect((uint64_t)length >= (fixture.kept < fixture.size ? fixture.kept : fixture.size),
           "the file has lost its end");
    for (uint64_t i = 0; i < (uint64_t)length; i++) {
        expect(bytes[i] != FOREIGN, "the file has another file's bytes");
        expect(bytes[i] != FREE, "the file has bytes that nobody wrote");
        expect(bytes[i] == before[i] || was_stored(i, bytes[i]) || (bytes[i] == 0 && i >= fixture.kept),
               "a byte of the file is neither what it was nor what was stored");
    }
    for (unsigned i = 0; i < fixture.maps; i++) {
        uint64_t at = fixture_place(i);

        if (fixture.stored[i] && at < (uint64_t)length && at < fixture.kept)
            expect(bytes[at] == STORED + i, "a store was lost");
    }
}

/* Checks the last page past the end of the file. No thread stores there. */
static void check_tail(void)
{
    const unsigned char *image = fixture.memory.base;
    struct ext2dax_stat figures;
    uint32_t block;

    ext2dax_stat(fixture.file, &figures, sizeof(figures));
    block = ext2dax_check_block(image, fixture.memory.size, fixture.file->number, figures.size / PAGE);
    for (size_t i = (size_t)(figures.size % PAGE); i != 0 && block != 0 && i < PAGE; i++)
        expect(image[(size_t)block * PAGE + i] == 0, "bytes past the end of the file are not zero");
}

/*
 * A private copy lasts until truncate removes its page, and holds bytes of the file at some moment.
 */
static void check_copies(void)
{
    unsigned char bytes[PAGE];

    for (unsigned i = 0; i < fixture.maps; i++) {
        if (ext2dax_model_read(fixture.map[i], fixture.page * PAGE, bytes, sizeof bytes, false, true) !=
            EXT2DAX_FAULT_NOPAGE)
            continue;
        for (unsigned k = 0; k < sizeof bytes; k++)
            expect(bytes[k] != FOREIGN && bytes[k] != FREE, "a copy has what the file never had");
        if (fixture.copied[i] && fixture.kept > fixture_place(i))
            expect(bytes[fixture_place(i) % PAGE] == STORED + i, "a store into a private copy was lost");
    }
}

/* A page writable without a fault must be visited by the next fsync. */
static void check_marks(void)
{
    struct ext2dax_model_entry entry;

    expect(ext2dax_fsync(fixture.file) == 0, "fsync fails");
    for (unsigned i = 0; i < fixture.maps; i++) {
        for (uint64_t page = 0; page < PAGES; page++) {
            entry = ext2dax_model_entry(fixture.map[i], page);
            expect(!entry.writable || entry.kind != EXT2DAX_MODEL_DATA, "fsync passes a writable page over");
        }
    }
}

static void close_down(void)
{
    for (unsigned i = 0; i < fixture.maps; i++) {
        if (!fixture.map[i])
            continue;
        ext2dax_model_unmap(fixture.map[i]);
        ext2dax_inode_put(fixture.file);
    }
    if (!fixture.unlinked)
        ext2dax_inode_put(fixture.file);
    ext2dax_inode_put(fixture.victim);
    ext2dax_inode_put(fixture.root);
    expect(ext2dax_unmount(fixture.mount) == 0, "unmount fails: a reference was lost");
    expect(ext2dax_check_image(fixture.memory.base, fixture.memory.size, 0, NULL, NULL, NULL) == 0,
           "the image is not whole after unmounting");
}

static void on_finish(void *arg)
{
    const struct invariants invariants = invariants_here();

    (void)arg;
    invariants_check_end(&invariants);
    if (!fixture.unlinked) {
        check_bytes();
        check_tail();
        if (fixture.private)
            check_copies();
        check_marks();
    }
    close_down();
}

void play_describe(const struct play *play, struct ext2dax_scenario *scenario, char *name, size_t size)
{
    static void (*const run[])(void *arg) = {play_0, play_1, play_2};
    size_t at = (size_t)snprintf(name, size, "%s: ", play->start->name);

    memset(scenario, 0, sizeof *scenario);
    for (unsigned i = 0; i < play->count; i++) {
        scenario->thread[i].name = play->operation[i]->name;
        scenario->thread[i].run = run[i];
        if (at < size)
            at += (size_t)snprintf(name + at, size - at, "%s%s", i == 0 ? "" : " / ", play->operation[i]->name);
    }
    scenario->name = name;
    scenario->arg = (void *)(uintptr_t)play;
    scenario->threads = play->count;
    scenario->start = on_start;
    scenario->step = on_step;
    scenario->finish = on_finish;
}
