/* SPDX-License-Identifier: MIT */
/*
 * The testkit's side of the instrumented core, namely the yield hook and the active mutant. Both
 * are plain variables, because both change only while no thread runs in the core.
 */
#include "instrument.h"

#include <stddef.h>
#include <string.h>

#include "ext2dax/error.h"
#include "ext2dax/testkit/mutant.h"

#include "../hosted/race_detector.h"

enum e2d_mutant e2d_mutant_active = E2D_MUTANT_NONE;
bool e2d_assertions_off;
void (*e2dt_yield_hook)(enum e2d_yield_kind kind, const volatile void *at);
void (*e2dt_site_hook)(const char *function, const char *what);
int e2d_write_back_lost;
bool e2d_skipping;

/* By enum e2d_mutant minus 1, because the first enumerator is no mutant. */
static const struct {
    const char *name, *text;
    enum ext2dax_mutant_kind kind;
} mutants[] = {
#define CORE_ROW(name, text)    {#name, text, EXT2DAX_MUTANT_CORE},
#define LOCK_ROW(name, text)    {#name, text, EXT2DAX_MUTANT_LOCK},
#define RACE_ROW(name, text)    {#name, text, EXT2DAX_MUTANT_ORDER},
#define SHAPE_ROW(name, text)   {#name, text, EXT2DAX_MUTANT_GEOMETRY},
#define CALL_ROW(name, text)    {#name, text, EXT2DAX_MUTANT_CALL},
#define FAILURE_ROW(name, text) {#name, text, EXT2DAX_MUTANT_FAILURE},
#define STORE_ROW(name, text)   {"ORDER_" #name, text, EXT2DAX_MUTANT_CRASH},
#define FENCE_ROW(name, text)   {"FENCE_" #name, "no fence after: " text, EXT2DAX_MUTANT_CRASH},
#define WRITE_BACK_ROW(name, function, what)                                                                           \
    {"WRITE_BACK_" #name, "not written back: " what " in " function "()", EXT2DAX_MUTANT_CRASH},
    E2D_MUTANTS(CORE_ROW) E2D_LOCK_MUTANTS(LOCK_ROW) E2D_RACE_MUTANTS(RACE_ROW) E2D_GEOMETRY_MUTANTS(SHAPE_ROW)
        E2D_CALL_MUTANTS(CALL_ROW) E2D_FAILURE_MUTANTS(FAILURE_ROW) E2D_WRONG_ORDERS(STORE_ROW) E2D_FENCES(FENCE_ROW)
            E2D_WRITE_BACKS(WRITE_BACK_ROW)
#undef CORE_ROW
#undef LOCK_ROW
#undef RACE_ROW
#undef SHAPE_ROW
#undef CALL_ROW
#undef FAILURE_ROW
#undef STORE_ROW
#undef FENCE_ROW
#undef WRITE_BACK_ROW
};

static const struct {
    const char *function, *what;
} write_backs[] = {
#define SITE_ROW(name, function, what) {function, what},
    E2D_WRITE_BACKS(SITE_ROW)
#undef SITE_ROW
};

static const struct skip {
    enum e2d_mutant mutant;
    const char *function, *call;
} skips[] = {
#define SKIP_ROW(name, function, call) {E2D_MUTANT_##name, function, call},
    E2D_SKIPS(SKIP_ROW)
#undef SKIP_ROW
};

#define SKIPS (sizeof skips / sizeof skips[0])

/* Rows of the active mutant, valid while e2d_skipping is set. */
static const struct skip *first_skip, *skips_end;

static void find_skips(void)
{
    first_skip = skips;
    while (first_skip < skips + SKIPS && first_skip->mutant != e2d_mutant_active)
        first_skip++;
    skips_end = first_skip;
    while (skips_end < skips + SKIPS && skips_end->mutant == e2d_mutant_active)
        skips_end++;
    e2d_skipping = skips_end != first_skip;
}

/* Is the call given by its text, or by the name of the called function? */
static bool is_call(const char *call, const char *row)
{
    size_t length = strlen(row);

    return strncmp(call, row, length) == 0 && (call[length] == '\0' || call[length] == '(');
}

bool e2d_skips(const char *function, const char *call)
{
    for (const struct skip *row = first_skip; row != skips_end; row++) {
        if ((strcmp(row->function, "*") == 0 || strcmp(row->function, function) == 0) && is_call(call, row->call))
            return true;
    }
    return false;
}

void e2d_site(const char *function, const char *what)
{
    int lost = (int)e2d_mutant_active - (int)E2D_MUTANT_WRITE_BACKS;

    if (e2dt_site_hook)
        e2dt_site_hook(function, what);
    if (lost >= 0)
        e2d_write_back_lost =
            strcmp(function, write_backs[lost].function) == 0 && strcmp(what, write_backs[lost].what) == 0;
}

void e2d_yield_point(enum e2d_yield_kind kind, const volatile void *at)
{
    if (e2dt_yield_hook)
        e2dt_yield_hook(kind, at);
}

void e2d_atomic_point(enum e2d_yield_kind kind, const volatile void *at, size_t bytes)
{
    e2d_yield_point(kind, at);
    if (kind == E2D_YIELD_STORE)
        e2dh_tell_storing(at, bytes);
    else
        e2dh_tell_loading(at, bytes);
}

/*
 * Reports an access to the bytes of whole blocks, under an address apart from the fields of the
 * block. Copying, zeroing and writing back whole blocks conflict at this address. A thread may also
 * read fields of a block while another thread overwrites the whole block after reallocation. Such a
 * thread conflicts with the overwrite at the first byte stored.
 */
void e2d_data_point(enum e2d_yield_kind kind, const volatile void *at, size_t bytes)
{
    uintptr_t unit = (uintptr_t)at & ~(uintptr_t)(E2DT_DATA_UNIT - 1), end = (uintptr_t)at + bytes;

    if (kind == E2D_YIELD_STORE)
        e2d_yield_point(kind, at);
    for (; e2dt_yield_hook && unit < end; unit += E2DT_DATA_UNIT)
        e2dt_yield_hook(kind, (const void *)(unit + 1));
}

void e2d_atomic_loaded(const volatile void *at)
{
    e2dh_tell_loaded(at);
}

int ext2dax_mutant_count(void)
{
    return E2D_MUTANT_COUNT - 1;
}

const char *ext2dax_mutant_name(int number)
{
    return number >= 0 && number < ext2dax_mutant_count() ? mutants[number].name : NULL;
}

const char *ext2dax_mutant_text(int number)
{
    return number >= 0 && number < ext2dax_mutant_count() ? mutants[number].text : NULL;
}

enum ext2dax_mutant_kind ext2dax_mutant_kind(int number)
{
    return number >= 0 && number < ext2dax_mutant_count() ? mutants[number].kind : EXT2DAX_MUTANT_CORE;
}

void ext2dax_assertions(bool on)
{
    e2d_assertions_off = !on;
}

int ext2dax_mutant_activate(const char *name)
{
    e2d_write_back_lost = 0;
    if (strcmp(name, "none") == 0) {
        e2d_mutant_active = E2D_MUTANT_NONE;
        find_skips();
        return 0;
    }
    for (int i = 0; i < ext2dax_mutant_count(); i++) {
        if (strcmp(name, mutants[i].name) == 0) {
            e2d_mutant_active = (enum e2d_mutant)(i + 1);
            find_skips();
            return 0;
        }
    }
    return -EXT2DAX_EINVAL;
}
