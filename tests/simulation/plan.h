/* SPDX-License-Identifier: MIT */
/*
 * A plan, all that a seed decides before a simulation runs. Calls and events keep their meaning
 * when others are dropped, so that a failing plan can be shrunk.
 *
 * A plan has several lives. A life begins with a mount and ends with a crash, a kill or an unmount.
 */
#ifndef SIMULATION_PLAN_H
#define SIMULATION_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define THREADS 4u  /* most */
#define LIVES   4u  /* most */
#define CALLS   20u /* of a thread in a life */
#define EVENTS  4u  /* of a life */

/* Files are divided into granules. A call moves whole granules, each filled with one value. */
#define GRANULE  64u  /* bytes */
#define GRANULES 320u /* of the largest file */
#define NAMES    8u   /* of a thread, in two directories */
#define KEPT     128u /* granules of the common file, owned by threads in turn */

/* Names of the thread, files of the thread, the common file, common names, the whole mount. */
#define SIM_CALLS(_)                                                                                                   \
    _(CREATE, "create")                                                                                                \
    _(MKDIR, "mkdir")                                                                                                  \
    _(SYMLINK, "symlink")                                                                                              \
    _(LINK, "link")                                                                                                    \
    _(UNLINK, "unlink")                                                                                                \
    _(RMDIR, "rmdir")                                                                                                  \
    _(RENAME, "rename")                                                                                                \
    _(RENAME_NOREPLACE, "rename without replacing")                                                                    \
    _(EXCHANGE, "exchange")                                                                                            \
    _(LOOKUP, "lookup")                                                                                                \
    _(HOLD, "hold")                                                                                                    \
    _(PUT, "put")                                                                                                      \
    _(WRITE, "write")                                                                                                  \
    _(READ, "read")                                                                                                    \
    _(TRUNCATE, "truncate")                                                                                            \
    _(PUNCH, "punch")                                                                                                  \
    _(ZERO, "zero")                                                                                                    \
    _(ALLOCATE, "allocate")                                                                                            \
    _(STORE, "store through a mapping")                                                                                \
    _(LOAD, "load through a mapping")                                                                                  \
    _(FSYNC, "fsync")                                                                                                  \
    _(CHMOD, "chmod")                                                                                                  \
    _(SETXATTR, "setxattr")                                                                                            \
    _(REMOVEXATTR, "removexattr")                                                                                      \
    _(GETXATTR, "getxattr")                                                                                            \
    _(COMMON_WRITE, "write the common file")                                                                           \
    _(COMMON_STORE, "store to the common file")                                                                        \
    _(COMMON_READ, "read the common file")                                                                             \
    _(COMMON_LOAD, "load from the common file")                                                                        \
    _(COMMON_FSYNC, "fsync the common file")                                                                           \
    _(FAR_WRITE, "write the end of the common file")                                                                   \
    _(FAR_STORE, "store to the end of the common file")                                                                \
    _(FAR_TRUNCATE, "truncate the common file")                                                                        \
    _(FAR_PUNCH, "punch the end of the common file")                                                                   \
    _(FAR_ZERO, "zero the end of the common file")                                                                     \
    _(PIN, "pin a page of the common file")                                                                            \
    _(UNPIN, "unpin")                                                                                                  \
    _(COMMON_CREATE, "create a common name")                                                                           \
    _(COMMON_MKDIR, "make a common directory")                                                                         \
    _(COMMON_UNLINK, "unlink a common name")                                                                           \
    _(COMMON_RMDIR, "remove a common directory")                                                                       \
    _(COMMON_LINK, "link a common name")                                                                               \
    _(COMMON_RENAME, "rename a common name")                                                                           \
    _(COMMON_EXCHANGE, "exchange common names")                                                                        \
    _(COMMON_SETXATTR, "setxattr of a common name")                                                                    \
    _(COMMON_READDIR, "list the common names")                                                                         \
    _(FREEZE, "freeze and thaw")                                                                                       \
    _(SYNC, "sync")

enum sim_call_kind {
#define SIM_CALL_ENUM(name, text) SIM_##name,
    SIM_CALLS(SIM_CALL_ENUM)
#undef SIM_CALL_ENUM
        SIM_CALL_KINDS
};

struct sim_call {
    uint8_t kind;    /* enum sim_call_kind */
    uint8_t a, b;    /* names */
    uint8_t value;   /* of granules, modes and attributes, 1 … 60, different in each thread */
    uint16_t from;   /* granules */
    uint16_t length; /* granules, at least 1 */
    bool held;       /* the inode held by the thread instead of the name `a` */
    bool dropped;
};

/* Events which end a life come first. */
#define SIM_EVENTS(_)                                                                                                  \
    _(CRASH, "power failure")                                                                                          \
    _(KILL, "kill")                                                                                                    \
    _(NO_MEMORY, "no memory")                                                                                          \
    _(POISON, "poison")                                                                                                \
    _(NO_TABLE, "no memory for a page table")                                                                          \
    _(NO_MAPPING, "page table declines")                                                                               \
    _(NO_TRY, "a lock tried is not free")                                                                              \
    _(SHORT_COPY, "buffer not accessible")                                                                             \
    _(NO_DISCARD, "discard fails")                                                                                     \
    _(NO_STORE, "stores fail")                                                                                         \
    _(CLOCK, "the clock jumps")                                                                                        \
    _(RECOVERY_CRASH, "power failure in recovery")

enum sim_event_kind {
#define SIM_EVENT_ENUM(name, text) SIM_EVENT_##name,
    SIM_EVENTS(SIM_EVENT_ENUM)
#undef SIM_EVENT_ENUM
        SIM_EVENT_KINDS
};

/* An event takes place at the `at`-th callback of its kind, counted from the start of the life. */
struct sim_event {
    uint8_t kind;
    uint16_t at;
    uint16_t times; /* callbacks that fail in sequence */
    bool dropped;
};

/* The end of a life that no event ended. */
enum sim_end { SIM_END_UNMOUNT, SIM_END_CRASH, SIM_END_KILL };

struct sim_life {
    uint8_t end; /* enum sim_end */
    bool discard;
    struct sim_call call[THREADS][CALLS];
    struct sim_event event[EVENTS];
};

struct sim_plan {
    uint64_t seed;
    uint64_t schedule; /* seed of all decisions taken while the plan runs */
    unsigned threads, lives;
    bool large_inodes;
    struct sim_life life[LIVES];
};

/* Returns the granule of the thread in the first pages of the common file. */
static inline uint32_t sim_own_granule(unsigned thread, const struct sim_call *call)
{
    return call->from % (KEPT / THREADS) * THREADS + thread;
}

/* Returns the first granule of a call about the end of the common file. */
static inline uint32_t sim_far_granule(const struct sim_call *call)
{
    return KEPT + call->from % (GRANULES - KEPT);
}

uint64_t sim_draw(uint64_t *state);
uint32_t sim_below(uint64_t *state, uint32_t bound);

void sim_plan_make(struct sim_plan *plan, uint64_t seed);
void sim_plan_print(const struct sim_plan *plan, FILE *output);

const char *sim_call_name(unsigned kind);
const char *sim_event_name(unsigned kind);

#endif
