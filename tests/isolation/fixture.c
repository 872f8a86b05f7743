/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/testkit/checker.h"
#include "invariants.h"

struct stage stage;

/* The initial content of the file. Constant while threads run. */
static unsigned char before[PAGES * PAGE];

uint64_t stage_place(unsigned thread)
{
    return stage.page * PAGE + 10 * thread;
}

void expect(bool condition, const char *what)
{
    if (!condition)
        ext2dax_explorer_fail(stage.explorer, "%s", what);
}

static void must(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "the stage cannot be set: %s\n", what);
    abort();
}

/* ---- setup ---- */

static void order_broken(void *arg, const char *text)
{
    (void)arg;
    ext2dax_explorer_fail(stage.explorer, "%s", text);
}

static struct ext2dax_inode *create(const char *name)
{
    struct ext2dax_inode *inode = NULL;

    must(ext2dax_create(stage.root, name, strlen(name), 0644, 0, 0, &inode) == 0, name);
    return inode;
}

static void name_places(void)
{
    static const char *const names[] = {"superblock", "group descriptor", "block bitmap", "inode bitmap"};

    for (unsigned i = 0; i < 4; i++)
        ext2dax_explorer_name(stage.explorer, (unsigned char *)stage.memory.base + (1 + i) * PAGE, PAGE, names[i]);
    ext2dax_explorer_name_inode(stage.explorer, stage.file, "file");
    ext2dax_explorer_name_inode(stage.explorer, stage.victim, "victim");
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
    struct ext2dax_explorer *explorer = stage.explorer;
    struct ext2dax_plugs plugs = {.locks = ext2dax_explorer_locks(explorer), .host = ext2dax_explorer_host(explorer)};

    memset(&stage, 0, sizeof stage);
    stage.explorer = explorer;
    must(ext2dax_explorer_remember(explorer, &stage, sizeof stage) == 0, "memory");
    if (play->order) {
        stage.order = ext2dax_lock_order_open_on(&plugs.host, plugs.locks, order_broken, NULL);
        must(stage.order != NULL, "lock order");
        plugs.locks = ext2dax_lock_order_locks(stage.order);
    }
    must(ext2dax_explorer_memory(explorer, (size_t)BLOCKS * PAGE, FREE, &stage.memory) == 0, "memory");
    must(ext2dax_format(&stage.memory, &format, NULL) == 0, "format");
    stage.model = ext2dax_model_open_on(&plugs.host, &stage.memory, plugs.locks, PAGE, 3);
    must(stage.model != NULL, "model");
    plugs.memory = stage.memory;
    plugs.address_space = ext2dax_explorer_watch(explorer, ext2dax_model_address_space(stage.model));
    must(ext2dax_mount(&plugs, &mount, &stage.mount) == 0, "mount");
    must(ext2dax_explorer_ignore_counters(explorer, stage.mount) == 0, "memory");
    must(ext2dax_inode_get(stage.mount, EXT2DAX_ROOT_INODE, &stage.root) == 0, "root");
    stage.file = create("file");
    stage.victim = create("victim");
    stage.maps = play->parts;
    for (unsigned i = 0; i < stage.maps; i++) {
        stage.map[i] = ext2dax_model_map(stage.model, stage.file, 0, PAGES, true, true);
        must(stage.map[i] != NULL, "mapping");
        ext2dax_inode_hold(stage.file);
    }
    name_places();
}

static void on_start(void *arg)
{
    const struct play *play = arg;

    set_up(play);
    play->start->set();
    stage.kept = UINT64_MAX;
    for (unsigned i = 0; i < play->parts; i++) {
        uint64_t kept = play->part[i]->keeps ? play->part[i]->keeps() : UINT64_MAX;

        stage.kept = kept < stage.kept ? kept : stage.kept;
        stage.unlinked = stage.unlinked || play->part[i]->unlinks;
    }
    memset(before, 0, sizeof before);
    must(ext2dax_read(stage.file, 0, before, sizeof before) == (int64_t)stage.size, "size");
}

/* ---- running ---- */

/* Every mapping holds a reference to its inode. Unmapping drops the reference. */
static void leave(unsigned thread)
{
    if (stage.unlinked) {
        ext2dax_model_unmap(stage.map[thread]);
        stage.map[thread] = NULL;
        ext2dax_inode_put(stage.file);
    }
    if (stage.order)
        ext2dax_lock_order_returned(stage.order);
}

static void play_part(void *arg, unsigned thread)
{
    const struct play *play = arg;

    play->part[thread]->play(thread);
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

static struct judge judge(void)
{
    return (struct judge){.explorer = stage.explorer,
                          .memory = &stage.memory,
                          .model = stage.model,
                          .unlinked = stage.unlinked,
                          .frozen = stage.frozen};
}

static void on_step(void *arg)
{
    const struct judge judged = judge();

    (void)arg;
    judge_state(&judged);
}

/* Is this byte the result of a legitimate store? */
static bool was_stored(uint64_t at, unsigned char byte)
{
    for (unsigned i = 0; i < stage.maps; i++) {
        if (byte != STORED + i)
            continue;
        if (at == stage_place(i))
            return stage.stored[i];
        if (at == (stage.page ^ 1) * PAGE || at == stage.size + 300)
            return true;
    }
    return false;
}

static void judge_bytes(void)
{
    unsigned char bytes[PAGES * PAGE];
    int64_t length = ext2dax_read(stage.file, 0, bytes, sizeof bytes);

    expect(length >= 0, "the file cannot be read");
    expect((uint64_t)length >= (stage.kept < stage.size ? stage.kept : stage.size), "the file has lost its end");
    for (uint64_t i = 0; i < (uint64_t)length; i++) {
        expect(bytes[i] != FOREIGN, "the file has another file's bytes");
        expect(bytes[i] != FREE, "the file has bytes that nobody wrote");
        expect(bytes[i] == before[i] || was_stored(i, bytes[i]) || (bytes[i] == 0 && i >= stage.kept),
               "a byte of the file is neither what it was nor what was stored");
    }
    for (unsigned i = 0; i < stage.maps; i++) {
        uint64_t at = stage_place(i);

        if (stage.stored[i] && at < (uint64_t)length && at < stage.kept)
            expect(bytes[at] == STORED + i, "a store was lost");
    }
}

/* Checks the last page past the end of the file. No thread stores there. */
static void judge_tail(void)
{
    const unsigned char *image = stage.memory.base;
    struct ext2dax_stat figures;
    uint32_t block;

    ext2dax_stat(stage.file, &figures, sizeof(figures));
    block = ext2dax_check_block(image, stage.memory.size, stage.file->number, figures.size / PAGE);
    for (size_t i = (size_t)(figures.size % PAGE); i != 0 && block != 0 && i < PAGE; i++)
        expect(image[(size_t)block * PAGE + i] == 0, "bytes past the end of the file are not zero");
}

/*
 * A private copy lasts until truncate removes its page, and holds bytes of the file at some moment.
 */
static void judge_copies(void)
{
    unsigned char bytes[PAGE];

    for (unsigned i = 0; i < stage.maps; i++) {
        if (ext2dax_model_read(stage.map[i], stage.page * PAGE, bytes, sizeof bytes, false, true) !=
            EXT2DAX_FAULT_NOPAGE)
            continue;
        for (unsigned k = 0; k < sizeof bytes; k++)
            expect(bytes[k] != FOREIGN && bytes[k] != FREE, "a copy has what the file never had");
        if (stage.copied[i] && stage.kept > stage_place(i))
            expect(bytes[stage_place(i) % PAGE] == STORED + i, "a store into a private copy was lost");
    }
}

/* A page writable without a fault must be visited by the next fsync. */
static void judge_marks(void)
{
    struct ext2dax_model_entry entry;

    expect(ext2dax_fsync(stage.file) == 0, "fsync fails");
    for (unsigned i = 0; i < stage.maps; i++) {
        for (uint64_t page = 0; page < PAGES; page++) {
            entry = ext2dax_model_entry(stage.map[i], page);
            expect(!entry.writable || entry.kind != EXT2DAX_MODEL_DATA, "fsync passes a writable page over");
        }
    }
}

static void close_down(void)
{
    for (unsigned i = 0; i < stage.maps; i++) {
        if (!stage.map[i])
            continue;
        ext2dax_model_unmap(stage.map[i]);
        ext2dax_inode_put(stage.file);
    }
    if (!stage.unlinked)
        ext2dax_inode_put(stage.file);
    ext2dax_inode_put(stage.victim);
    ext2dax_inode_put(stage.root);
    expect(ext2dax_unmount(stage.mount) == 0, "unmount fails: a reference was lost");
    expect(ext2dax_check_image(stage.memory.base, stage.memory.size, 0, NULL, NULL, NULL) == 0,
           "the image is not whole after unmounting");
}

static void on_finish(void *arg)
{
    const struct judge judged = judge();

    (void)arg;
    judge_end(&judged);
    if (!stage.unlinked) {
        judge_bytes();
        judge_tail();
        if (stage.private)
            judge_copies();
        judge_marks();
    }
    close_down();
}

void play_describe(const struct play *play, struct ext2dax_scenario *scenario, char *name, size_t size)
{
    static void (*const run[])(void *arg) = {play_0, play_1, play_2};
    size_t at = (size_t)snprintf(name, size, "%s: ", play->start->name);

    memset(scenario, 0, sizeof *scenario);
    for (unsigned i = 0; i < play->parts; i++) {
        scenario->thread[i].name = play->part[i]->name;
        scenario->thread[i].run = run[i];
        if (at < size)
            at += (size_t)snprintf(name + at, size - at, "%s%s", i == 0 ? "" : " / ", play->part[i]->name);
    }
    scenario->name = name;
    scenario->arg = (void *)(uintptr_t)play;
    scenario->threads = play->parts;
    scenario->start = on_start;
    scenario->step = on_step;
    scenario->finish = on_finish;
}
