/* SPDX-License-Identifier: MIT */
#include "plan.h"

#include <string.h>

uint64_t sim_draw(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

uint32_t sim_below(uint64_t *state, uint32_t bound)
{
    return (uint32_t)((sim_draw(state) >> 32) * bound >> 32);
}

const char *sim_call_name(unsigned kind)
{
    static const char *const names[] = {
#define SIM_CALL_TEXT(name, text) text,
        SIM_CALLS(SIM_CALL_TEXT)
#undef SIM_CALL_TEXT
    };

    return names[kind];
}

const char *sim_event_name(unsigned kind)
{
    static const char *const names[] = {
#define SIM_EVENT_TEXT(name, text) text,
        SIM_EVENTS(SIM_EVENT_TEXT)
#undef SIM_EVENT_TEXT
    };

    return names[kind];
}

/* ---- making a plan ---- */

/* A theme of a plan, kinds of calls made more often. */
struct theme {
    enum sim_call_kind first, last;
};

static const struct theme themes[] = {
    {SIM_CREATE, SIM_SYNC},         {SIM_CREATE, SIM_PUT},           {SIM_WRITE, SIM_GETXATTR},
    {SIM_COMMON_WRITE, SIM_UNPIN},  {SIM_COMMON_CREATE, SIM_FREEZE}, {SIM_CREATE, SIM_GETXATTR},
    {SIM_COMMON_STORE, SIM_FREEZE},
};

static struct sim_call make_call(uint64_t *state, const struct theme *theme, unsigned thread, unsigned number)
{
    uint32_t first = theme->first, kinds = theme->last + 1u - first;
    struct sim_call call = {.value = (uint8_t)(1 + thread * 15 + number % 15)};

    if (sim_below(state, 4) == 0) {
        first = 0;
        kinds = SIM_CALL_KINDS;
    }
    call.kind = (uint8_t)(first + sim_below(state, kinds));
    call.a = (uint8_t)sim_below(state, NAMES);
    call.b = (uint8_t)sim_below(state, NAMES);
    /* Most calls meet at few places. */
    call.from = (uint16_t)(sim_below(state, 3) == 0 ? sim_below(state, GRANULES) : sim_below(state, 48));
    call.length = (uint16_t)(1 + sim_below(state, sim_below(state, 2) == 0 ? 4 : 64));
    if (call.from + call.length > GRANULES)
        call.length = (uint16_t)(GRANULES - call.from);
    call.held = sim_below(state, 4) == 0;
    return call;
}

/* Returns an event at some callback. A life has about so many callbacks of each kind. */
static struct sim_event make_event(uint64_t *state)
{
    static const uint16_t callbacks[] = {
        [SIM_EVENT_CRASH] = 800,    [SIM_EVENT_KILL] = 800,      [SIM_EVENT_NO_MEMORY] = 30,
        [SIM_EVENT_POISON] = 60,    [SIM_EVENT_NO_TABLE] = 8,    [SIM_EVENT_NO_MAPPING] = 8,
        [SIM_EVENT_NO_TRY] = 12,    [SIM_EVENT_SHORT_COPY] = 16, [SIM_EVENT_NO_DISCARD] = 3,
        [SIM_EVENT_NO_STORE] = 800, [SIM_EVENT_CLOCK] = 60,      [SIM_EVENT_RECOVERY_CRASH] = 12,
    };
    struct sim_event event = {.kind = (uint8_t)sim_below(state, SIM_EVENT_KINDS), .times = 1};

    event.at = (uint16_t)sim_below(state, callbacks[event.kind]);
    if (event.kind > SIM_EVENT_KILL && event.kind != SIM_EVENT_RECOVERY_CRASH)
        event.times = (uint16_t)(1 + sim_below(state, 3));
    return event;
}

void sim_plan_make(struct sim_plan *plan, uint64_t seed)
{
    uint64_t state = seed * 0xD1342543DE82EF95u;

    memset(plan, 0, sizeof *plan);
    plan->seed = seed;
    plan->schedule = sim_draw(&state);
    plan->threads = 2 + sim_below(&state, THREADS - 1);
    plan->lives = 2 + sim_below(&state, LIVES - 1);
    plan->large_inodes = sim_below(&state, 2) == 0;
    for (unsigned i = 0; i < plan->lives; i++) {
        struct sim_life *life = &plan->life[i];
        const struct theme *theme = &themes[sim_below(&state, sizeof themes / sizeof themes[0])];

        life->end = (uint8_t)sim_below(&state, 3);
        life->discard = sim_below(&state, 2) == 0;
        for (unsigned thread = 0; thread < plan->threads; thread++) {
            for (unsigned k = 0; k < CALLS; k++)
                life->call[thread][k] = make_call(&state, theme, thread, i * CALLS + k);
        }
        for (unsigned k = 0; k < EVENTS; k++) {
            life->event[k] = make_event(&state);
            life->event[k].dropped = sim_below(&state, 2) == 0;
        }
    }
}

/* ---- printing ---- */

static void print_range(const struct sim_call *call, unsigned thread, FILE *output)
{
    uint32_t from = call->from, length = call->length;

    if (call->kind == SIM_COMMON_WRITE || call->kind == SIM_COMMON_STORE) {
        from = sim_own_granule(thread, call);
        length = 1;
    } else if (call->kind >= SIM_FAR_WRITE && call->kind <= SIM_FAR_ZERO) {
        from = sim_far_granule(call);
    }
    if (call->kind == SIM_TRUNCATE || call->kind == SIM_FAR_TRUNCATE)
        fprintf(output, " to byte %u", from * GRANULE);
    else if (call->kind == SIM_STORE || call->kind == SIM_LOAD || call->kind == SIM_FAR_STORE || call->kind == SIM_PIN)
        fprintf(output, ", byte %u", from * GRANULE);
    else
        fprintf(output, ", bytes %u to %u", from * GRANULE, (from + length) * GRANULE);
}

static void print_call(const struct sim_call *call, unsigned thread, FILE *output)
{
    unsigned kind = call->kind;
    bool ranges = (kind >= SIM_WRITE && kind <= SIM_LOAD) || (kind >= SIM_COMMON_WRITE && kind <= SIM_PIN);

    fprintf(output, "    thread %u: %s", thread, sim_call_name(kind));
    if (kind <= SIM_GETXATTR && kind != SIM_PUT)
        fprintf(output, kind >= SIM_LINK && call->held ? ", name %u or the inode held" : ", name %u", call->a);
    else if (kind >= SIM_COMMON_CREATE && kind <= SIM_COMMON_SETXATTR)
        fprintf(output, ", name %u", call->a);
    if ((kind >= SIM_RENAME && kind <= SIM_EXCHANGE) || kind == SIM_LINK ||
        (kind >= SIM_COMMON_LINK && kind <= SIM_COMMON_EXCHANGE))
        fprintf(output, ", name %u", call->b);
    if (ranges && kind != SIM_COMMON_FSYNC)
        print_range(call, thread, output);
    fprintf(output, ", value %u\n", call->value);
}

void sim_plan_print(const struct sim_plan *plan, FILE *output)
{
    static const char *const ends[] = {"unmount", "power failure", "kill"};

    fprintf(output, "seed %llu: inodes of %d bytes, schedule %llu\n", (unsigned long long)plan->seed,
            plan->large_inodes ? 256 : 128, (unsigned long long)plan->schedule);
    for (unsigned i = 0; i < plan->lives; i++) {
        const struct sim_life *life = &plan->life[i];

        fprintf(output, "  mount%s\n", life->discard ? " that discards" : "");
        for (unsigned k = 0; k < EVENTS; k++) {
            if (!life->event[k].dropped)
                fprintf(output, "    event: %s, at callback %u, %u times\n", sim_event_name(life->event[k].kind),
                        life->event[k].at, life->event[k].times);
        }
        for (unsigned thread = 0; thread < plan->threads; thread++) {
            for (unsigned k = 0; k < CALLS; k++) {
                if (!life->call[thread][k].dropped)
                    print_call(&life->call[thread][k], thread, output);
            }
        }
        fprintf(output, "  %s\n", ends[life->end]);
    }
}
