/* SPDX-License-Identifier: MIT */
#include "programs.h"

#include <stdlib.h>
#include <string.h>

/* ---- generation ---- */

static uint32_t state;

static unsigned chance(unsigned most)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 16) % most;
}

static void emit(struct program *program, unsigned thread, enum operation operation, unsigned which)
{
    program->code[thread][program->length[thread]++] = (struct instruction){operation, which};
}

static void emit_access(struct program *program, unsigned thread)
{
    emit(program, thread, chance(2) == 0 ? LOAD_SHARED : STORE_SHARED, chance(2));
}

static void emit_some(struct program *program, unsigned thread)
{
    unsigned which = chance(2);

    switch (chance(5)) {
    case 0:
        emit(program, thread, LOCK, which);
        emit(program, thread, ADD_LOCKED, which);
        emit(program, thread, UNLOCK, which);
        break;
    case 1:
        emit(program, thread, LOCK, which);
        emit_access(program, thread);
        emit(program, thread, UNLOCK, which);
        break;
    case 2:
        emit(program, thread, TRY, which);
        emit(program, thread, ADD_LOCKED, which);
        emit(program, thread, UNLOCK, which);
        break;
    case 3:
        emit(program, thread, LOCK, which);
        emit(program, thread, LOCK, 1 - which);
        emit(program, thread, UNLOCK, which);
        emit(program, thread, UNLOCK, 1 - which);
        break;
    default:
        emit_access(program, thread);
    }
}

void make_program(struct program *program, uint32_t seed)
{
    memset(program, 0, sizeof *program);
    state = seed * 2654435761u + 1;
    program->threads = 2 + chance(2);
    for (unsigned i = 0; i < program->threads; i++) {
        for (unsigned parts = 1 + chance(program->threads == 2 ? 3 : 2); parts > 0; parts--)
            emit_some(program, i);
    }
}

/* ---- end states ---- */

static bool same(const struct ending *a, const struct ending *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

void add_ending(struct endings *endings, const struct ending *ending)
{
    for (unsigned i = 0; i < endings->count; i++) {
        if (same(&endings->ending[i], ending))
            return;
    }
    if (endings->count == MOST_ENDS)
        abort();
    endings->ending[endings->count++] = *ending;
}

bool same_endings(const struct endings *a, const struct endings *b)
{
    for (unsigned i = 0; i < a->count; i++) {
        bool found = false;

        for (unsigned k = 0; k < b->count && !found; k++)
            found = same(&a->ending[i], &b->ending[k]);
        if (!found)
            return false;
    }
    return a->count == b->count;
}

struct moment {
    struct ending now;
    uint32_t at[PROGRAM_THREADS], half[PROGRAM_THREADS], owner[LOCKS];
    bool halfway[PROGRAM_THREADS], used;
};

/* Hash table of moments already reached. */
#define SEEN ((size_t)1 << 16)
static struct moment *seen;

static bool is_new(const struct moment *moment)
{
    const unsigned char *byte = (const unsigned char *)moment;
    uint64_t hash = 14695981039346656037u;

    for (size_t i = 0; i < sizeof *moment; i++)
        hash = (hash ^ byte[i]) * 1099511628211u;
    for (size_t at = (size_t)(hash >> 20) % SEEN, tries = 0; tries < SEEN; at = (at + 1) % SEEN, tries++) {
        if (!seen[at].used) {
            memcpy(&seen[at], moment, sizeof *moment);
            return true;
        }
        if (memcmp(&seen[at], moment, sizeof *moment) == 0)
            return false;
    }
    abort();
}

/* Executes an instruction. Returns false if the thread cannot proceed. */
static bool advance(const struct program *program, struct moment *m, unsigned thread)
{
    const struct instruction *instruction = &program->code[thread][m->at[thread]];
    uint32_t *own = &m->now.own[thread], which = instruction->which;

    if (m->at[thread] == program->length[thread])
        return false;
    switch (instruction->operation) {
    case LOAD_SHARED:
        *own = m->now.variable[which];
        break;
    case STORE_SHARED:
        m->now.variable[which] = *own + 1;
        break;
    case ADD_LOCKED:
        m->halfway[thread] = !m->halfway[thread];
        if (m->halfway[thread]) {
            m->half[thread] = m->now.variable[2 + which];
            return true;
        }
        m->now.variable[2 + which] = m->half[thread] + *own + 1;
        break;
    case LOCK:
        if (m->owner[which] != 0)
            return false;
        m->owner[which] = thread + 1;
        break;
    case UNLOCK:
        m->owner[which] = 0;
        break;
    case TRY:
        if (m->owner[which] == 0) {
            m->owner[which] = thread + 1;
        } else {
            *own += 16;
            m->at[thread] += 2;
        }
        break;
    }
    m->at[thread]++;
    return true;
}

static void from(const struct program *program, const struct moment *m, struct endings *endings)
{
    bool all_ended = true, any = false;

    if (!is_new(m))
        return;
    for (unsigned i = 0; i < program->threads; i++) {
        struct moment next;

        memcpy(&next, m, sizeof next);
        all_ended = all_ended && m->at[i] == program->length[i];
        if (advance(program, &next, i)) {
            any = true;
            from(program, &next, endings);
        }
    }
    if (all_ended)
        add_ending(endings, &m->now);
    else if (!any)
        endings->deadlock = true;
}

void run_every_order(const struct program *program, struct endings *endings)
{
    struct moment first;

    memset(&first, 0, sizeof first);
    first.used = true;
    memset(endings, 0, sizeof *endings);
    seen = calloc(SEEN, sizeof *seen);
    if (!seen)
        abort();
    from(program, &first, endings);
    free(seen);
}
