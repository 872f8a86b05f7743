/* SPDX-License-Identifier: MIT */
#include "round_trip.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

#define KIB       ((uint64_t)1 << 10)
#define MIB       ((uint64_t)1 << 20)
#define BLOCK     (4 * KIB)
#define POINTERS  (BLOCK / 4)
#define PMD_RANGE (2 * MIB)
#define MAX_OP    (2 * MIB)

/* First bytes mapped by the second, third and fourth level of the block tree. */
#define SINGLE (12 * BLOCK)
#define DOUBLE ((12 + POINTERS) * BLOCK)
#define TRIPLE ((12 + POINTERS + POINTERS * POINTERS) * BLOCK)

#define LARGE_SIZE (64 * MIB)
#define SIZED_SIZE (32 * MIB)

#define NOISE_FILES 6u
#define NOISE_OPS   120u
#define NOISE_SIZE  (9 * MIB)

/* Enough names for several directory blocks, so that Linux indexes the directory. */
#define MANY_NAMES 150u

const char *round_trip_ranges(unsigned number)
{
    static const char *const names[] = {"large", "sized", NULL};

    return names[number];
}

/* The state of a running phase. */
struct telling {
    struct round_trip *trip;
    const struct actor *actor; /* NULL for the model alone */
    uint64_t noise;
    uint64_t op;
    unsigned failures;
    uint8_t bytes[MAX_OP];
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static uint64_t noise(struct telling *t, uint64_t below)
{
    t->noise += 0x9E3779B97F4A7C15u;
    return mix(t->noise) % below;
}

/* Fills the buffer. No two operations write the same bytes, and no byte is zero. */
static void fill(struct telling *t, size_t length)
{
    uint64_t seed = t->noise ^ mix(++t->op), word;

    for (size_t i = 0; i < length; i += sizeof(word)) {
        word = mix(seed + i) | 0x0101010101010101u;
        memcpy(t->bytes + i, &word, length - i < sizeof(word) ? length - i : sizeof(word));
    }
}

static void did(struct telling *t, int64_t result, const char *what, const struct model_file *file)
{
    if (result >= 0)
        return;
    t->failures++;
    report(false, "%s %s: %s", what, file->path, strerror((int)-result));
}

static struct model_file *create(struct telling *t, const char *path)
{
    struct model_file *file = model_file(&t->trip->model, path);

    file->there = true;
    if (t->actor)
        did(t, t->actor->create(t->actor->ctx, path), "create", file);
    return file;
}

static void write_bytes(struct telling *t, struct model_file *file, uint64_t offset, size_t length)
{
    int64_t result;

    fill(t, length);
    model_write(file, offset, t->bytes, length);
    if (!t->actor)
        return;
    result = t->actor->write(t->actor->ctx, file->path, offset, t->bytes, length);
    did(t, result >= 0 && (size_t)result != length ? -ENOSPC : result, "write", file);
}

/*
 * Stores through a mapping. With `read_first` each page is read first, and so mapped, before the
 * store. Nothing is stored past the end.
 */
static void store(struct telling *t, struct model_file *file, uint64_t offset, size_t length, bool read_first)
{
    struct view view;
    int result;

    if (offset >= file->size)
        return;
    if (length > file->size - offset)
        length = (size_t)(file->size - offset);
    fill(t, length);
    if (t->actor) {
        result = t->actor->map(t->actor->ctx, file->path, file->size, true, &view);
        did(t, result, "map", file);
        if (result == 0) {
            if (read_first) {
                for (uint64_t at = offset; at < offset + length; at += BLOCK)
                    did(t, view_access(view.at + at, false) ? 0 : -EFAULT, "read a page of", file);
                if (memcmp(view.at + offset, model_page(file, offset / BLOCK) + offset % BLOCK,
                           length < BLOCK - offset % BLOCK ? length : BLOCK - offset % BLOCK) != 0)
                    did(t, -EILSEQ, "see the right bytes before a store to", file);
            }
            if (view_access(view.at + offset, true))
                memcpy(view.at + offset, t->bytes, length);
            else
                did(t, -EFAULT, "store to", file);
            did(t, t->actor->unmap(t->actor->ctx, &view), "unmap", file);
        }
    }
    model_write(file, offset, t->bytes, length);
}

/* Writes while a mapping has the zero page there. The mapping must contain the bytes written. */
static void write_mapped(struct telling *t, struct model_file *file, uint64_t offset, size_t length)
{
    struct view view;
    int result;

    if (!t->actor) {
        write_bytes(t, file, offset, length);
        return;
    }
    result = t->actor->map(t->actor->ctx, file->path, file->size, false, &view);
    did(t, result, "map", file);
    if (result != 0)
        return;
    for (uint64_t at = offset; at < offset + length; at += BLOCK)
        did(t, view_access(view.at + at, false) ? 0 : -EFAULT, "read a page of", file);
    write_bytes(t, file, offset, length);
    report(memcmp(view.at + offset, t->bytes, length) == 0, "%s: what is written over a hole shows in a mapping of it",
           file->path);
    did(t, t->actor->unmap(t->actor->ctx, &view), "unmap", file);
}

/* Stores to the part of the last page past the end. The bytes never become part of the file. */
static void store_past_end(struct telling *t, struct model_file *file)
{
    uint64_t length = BLOCK - file->size % BLOCK;
    struct view view;
    int result;

    if (!t->actor)
        return;
    result = t->actor->map(t->actor->ctx, file->path, file->size, true, &view);
    did(t, result, "map", file);
    if (result == 0) {
        memset(view.at + file->size, 0xAA, length);
        did(t, t->actor->unmap(t->actor->ctx, &view), "unmap", file);
    }
}

static void truncate_to(struct telling *t, struct model_file *file, uint64_t size)
{
    model_truncate(file, size);
    if (t->actor)
        did(t, t->actor->truncate(t->actor->ctx, file->path, size), "truncate", file);
}

/*
 * Truncates while mapped. The removed pages disappear from the mapping, and the rest of the last
 * page is zeroes.
 */
static void truncate_mapped(struct telling *t, struct model_file *file, uint64_t size)
{
    uint64_t last = (file->size - 1) / BLOCK * BLOCK;
    struct view view;
    int result;

    if (!t->actor) {
        model_truncate(file, size);
        return;
    }
    result = t->actor->map(t->actor->ctx, file->path, file->size, false, &view);
    did(t, result, "map", file);
    if (result != 0)
        return;
    for (uint64_t at = 0; at < file->size; at += BLOCK)
        did(t, view_access(view.at + at, false) ? 0 : -EFAULT, "read a page of", file);
    truncate_to(t, file, size);
    report(!view_access(view.at + last, false) && !view_access(view.at + (size + BLOCK - 1) / BLOCK * BLOCK, false),
           "%s: a page that truncate took away from under a mapping is a SIGBUS", file->path);
    report(memcmp(view.at + size / BLOCK * BLOCK, model_page(file, size / BLOCK), BLOCK) == 0,
           "%s: behind the new end the mapping shows zeroes", file->path);
    did(t, t->actor->unmap(t->actor->ctx, &view), "unmap", file);
}

static void punch(struct telling *t, struct model_file *file, uint64_t offset, uint64_t length)
{
    model_punch(file, offset, length);
    if (t->actor && offset < file->size)
        did(t, t->actor->punch(t->actor->ctx, file->path, offset, length), "punch", file);
}

static void unlink_file(struct telling *t, struct model_file *file)
{
    model_unlink(file);
    if (t->actor)
        did(t, t->actor->unlink(t->actor->ctx, file->path), "unlink", file);
}

static struct model_file *named(struct telling *t, const char *path)
{
    return model_file(&t->trip->model, path);
}

/* ---- the phases ---- */

static void begin(struct telling *t)
{
    static const uint64_t places[] = {
        0, 11 * BLOCK, SINGLE, DOUBLE - 7, DOUBLE + 5 * MIB, TRIPLE - 3000, TRIPLE + 3 * MIB};
    struct model_file *file;

    write_bytes(t, create(t, "small"), 0, 1000);
    write_bytes(t, create(t, "blocks"), 0, SINGLE + BLOCK + 1);
    write_bytes(t, create(t, "tail"), 0, 5000);
    create(t, "empty");

    file = create(t, "cut");
    for (uint64_t at = 0; at < 5 * MIB; at += MIB)
        write_bytes(t, file, at, MIB);
    file = create(t, "punched");
    for (uint64_t at = 0; at < 6 * MIB; at += MIB)
        write_bytes(t, file, at, MIB);
    file = create(t, "gone");
    write_bytes(t, file, 1 * MIB, 2 * MIB);

    file = create(t, "large");
    truncate_to(t, file, LARGE_SIZE);
    for (uint64_t at = 0; at < LARGE_SIZE; at += MAX_OP)
        write_bytes(t, file, at, MAX_OP);

    file = create(t, "sized");
    truncate_to(t, file, SIZED_SIZE);
    for (unsigned range = 0; range < 3; range++)
        store(t, file, range * PMD_RANGE, PMD_RANGE, false);
    store(t, file, 5 * PMD_RANGE + 77, 1, false);
    store(t, file, 7 * PMD_RANGE + 3 * BLOCK, 9 * BLOCK, true);
    store(t, file, 9 * PMD_RANGE - 100, 200, false);
    write_mapped(t, file, 13 * PMD_RANGE + 50 * BLOCK, 3 * BLOCK);

    file = create(t, "deep");
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        write_bytes(t, file, places[i], 10000);
    truncate_to(t, file, TRIPLE + 600 * MIB);
}

static void middle(struct telling *t)
{
    struct model_file *file;

    /* Runs first, because the other kernel may have left stores past the end of this file. */
    truncate_to(t, named(t, "tail"), 100000);
    write_bytes(t, named(t, "tail"), 60000, 5000);
    write_bytes(t, named(t, "small"), 500, 2500);
    truncate_to(t, named(t, "blocks"), SINGLE);
    write_bytes(t, named(t, "blocks"), DOUBLE - 1, 2);

    file = named(t, "cut");
    truncate_mapped(t, file, SINGLE + 5);
    store(t, file, 0, SINGLE + 5, true);
    truncate_to(t, file, 3 * MIB);
    file = named(t, "punched");
    punch(t, file, MIB + 17, 2 * MIB + 100);
    store(t, file, MIB + 9 * BLOCK + 9, 3 * BLOCK, true);
    unlink_file(t, named(t, "gone"));

    file = named(t, "large");
    write_bytes(t, file, 10 * MIB + 13, MIB);
    store(t, file, 0, 100, true);
    store(t, file, 21 * MIB + 100, MIB, false);
    store(t, file, LARGE_SIZE - 3 * BLOCK, 3 * BLOCK, false);

    file = named(t, "sized");
    store(t, file, 5 * PMD_RANGE + 30 * BLOCK, 7 * BLOCK, true);
    store(t, file, 10 * PMD_RANGE, PMD_RANGE, false);
    store(t, file, 11 * PMD_RANGE, PMD_RANGE, true);
    write_mapped(t, file, 14 * PMD_RANGE - 2 * BLOCK, 4 * BLOCK);

    file = named(t, "deep");
    punch(t, file, SINGLE, 5 * MIB);
    store(t, file, TRIPLE + MIB, 3 * BLOCK + 3, true);
    write_bytes(t, file, DOUBLE + 1000 * MIB, 12345);
}

static void end(struct telling *t)
{
    struct model_file *file;

    truncate_to(t, named(t, "tail"), 200000);
    truncate_to(t, named(t, "small"), 0);
    write_bytes(t, named(t, "small"), 9, 90);
    store(t, named(t, "blocks"), SINGLE - 10, 20, false);
    truncate_mapped(t, named(t, "blocks"), SINGLE + 100);
    write_bytes(t, named(t, "cut"), 3 * MIB + 1, MIB);
    store(t, named(t, "punched"), MIB, 2 * MIB, false);
    write_bytes(t, create(t, "gone"), 0, 2 * MIB - 1);

    file = named(t, "large");
    punch(t, file, 20 * PMD_RANGE, PMD_RANGE);
    store(t, file, 20 * PMD_RANGE, PMD_RANGE, false);
    punch(t, file, 24 * PMD_RANGE, 2 * PMD_RANGE);
    store(t, file, 24 * PMD_RANGE + 5 * BLOCK, 1, true);

    truncate_mapped(t, named(t, "sized"), 23 * MIB + 1);
    file = named(t, "deep");
    truncate_to(t, file, TRIPLE + 1);
    write_mapped(t, file, DOUBLE + 2000 * MIB, 2 * BLOCK);
    write_bytes(t, file, TRIPLE + 5, 5);
}

/* Runs random operations on the same few files, for either actor. */
static void at_random(struct telling *t)
{
    char path[MODEL_PATH];
    struct model_file *file;

    for (unsigned i = 0; i < NOISE_OPS; i++) {
        uint64_t offset = noise(t, NOISE_SIZE);
        size_t length = (size_t)noise(t, noise(t, 8) == 0 ? MIB : 64 * KIB) + 1;

        (void)snprintf(path, sizeof(path), "noise-%u", (unsigned)noise(t, NOISE_FILES));
        file = named(t, path);
        if (!file->there)
            create(t, path);
        switch (noise(t, 8)) {
        case 0:
            truncate_to(t, file, offset);
            break;
        case 1:
            punch(t, file, offset, length * 4);
            break;
        case 2:
            store(t, file, offset % (file->size + 1), length, true);
            break;
        case 3:
        case 4:
            store(t, file, offset % (file->size + 1), length, false);
            break;
        default:
            write_bytes(t, file, offset, length);
            break;
        }
    }
}

static void many_path(char *path, unsigned number)
{
    (void)snprintf(path, MODEL_PATH, "many/%03u-%.*s", number, 40 + (int)(number % 40),
                   "a name that is long enough for a directory of several blocks, which is what makes Linux index it");
}

/*
 * Linux creates and indexes a directory in its first phase. Both actors then add and remove names.
 */
static void many_names(struct telling *t, unsigned phase, bool by_linux)
{
    struct model *model = &t->trip->model;
    char path[MODEL_PATH];

    if (!model->many && !by_linux)
        return;
    if (!model->many) {
        model->many = true;
        if (t->actor)
            did(t, t->actor->make_directory(t->actor->ctx, "many"), "make the directory of", named(t, "small"));
    }
    for (unsigned i = 0; i < MANY_NAMES; i++) {
        many_path(path, i);
        if (named(t, path)->there && i % ROUND_TRIP_PHASES == phase % ROUND_TRIP_PHASES)
            unlink_file(t, named(t, path));
        else if (!named(t, path)->there && i % 7 != phase)
            write_bytes(t, create(t, path), 0, i);
    }
}

bool round_trip_phase(struct round_trip *trip, unsigned phase, const struct actor *actor)
{
    static void (*const phases[ROUND_TRIP_PHASES])(struct telling * t) = {begin, middle, end};
    struct telling *t = calloc(1, sizeof(*t));
    bool by_linux = (phase % 2 == 1) == trip->linux_first, good;

    if (!t || phase < 1 || phase > ROUND_TRIP_PHASES || (actor && actor->is_linux != by_linux)) {
        free(t);
        return report(false, "phase %u: is not told here", phase);
    }
    t->trip = trip;
    t->actor = actor;
    t->noise = phase * 1000 + by_linux;
    phases[phase - 1](t);
    at_random(t);
    many_names(t, phase, by_linux);
    if (by_linux)
        store_past_end(t, named(t, "tail"));
    good = t->failures == 0;
    if (actor)
        report(good, "phase %u is done, %llu writes and stores in it", phase, (unsigned long long)t->op);
    free(t);
    return good;
}
