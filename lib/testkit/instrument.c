/* SPDX-License-Identifier: MIT */
/*
 * The two ends that the instrumented core leaves open: where it yields, and which of its protections is broken. Both are
 * plain variables, because they change only while nothing runs in the core.
 */
#include "instrument.h"

#include <stddef.h>
#include <string.h>

#include "ext2dax/error.h"
#include "ext2dax/testkit/mutant.h"

#include "../hosted/race_detector.h"

enum e2d_mutant e2d_mutant_active = E2D_MUTANT_NONE;
bool e2d_assertions_off;
void (*e2d_yield_hook)(enum e2d_yield_kind kind, const volatile void *at);

/* By enum e2d_mutant, less the first, which is none. */
static const struct {
    const char *name, *text;
    enum ext2dax_mutant_kind kind;
} mutants[] = {
#define CORE_ROW(name, text)  {#name, text, EXT2DAX_MUTANT_CORE},
#define LOCK_ROW(name, text)  {#name, text, EXT2DAX_MUTANT_LOCK},
#define ORDER_ROW(name, text) {#name, text, EXT2DAX_MUTANT_ORDER},
    E2D_MUTANTS(CORE_ROW) E2D_LOCK_MUTANTS(LOCK_ROW) E2D_RACE_MUTANTS(ORDER_ROW)
#undef CORE_ROW
#undef LOCK_ROW
#undef ORDER_ROW
};

void e2d_yield_point(enum e2d_yield_kind kind, const volatile void *at)
{
    if (e2d_yield_hook)
        e2d_yield_hook(kind, at);
}

void e2d_atomic_point(enum e2d_yield_kind kind, const volatile void *at, size_t bytes)
{
    e2d_yield_point(kind, at);
    if (kind == E2D_YIELD_STORE)
        e2d_tell_storing(at, bytes);
    else
        e2d_tell_loading(at, bytes);
}

void e2d_atomic_loaded(const volatile void *at)
{
    e2d_tell_loaded(at);
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
    if (strcmp(name, "none") == 0) {
        e2d_mutant_active = E2D_MUTANT_NONE;
        return 0;
    }
    for (int i = 0; i < ext2dax_mutant_count(); i++) {
        if (strcmp(name, mutants[i].name) == 0) {
            e2d_mutant_active = (enum e2d_mutant)(i + 1);
            return 0;
        }
    }
    return -EXT2DAX_EINVAL;
}
