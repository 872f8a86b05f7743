/* SPDX-License-Identifier: MIT */
/*
 * The world of a simulation. An image in crashing memory, the library with plugs that fail by the
 * events of the plan, and the models of all threads.
 *
 * The common file is stored to by all threads. Each granule of its first pages belongs to a thread,
 * which alone changes the granule, so its value is known. The pages after may be changed and
 * removed by every thread, and hold only values that some thread stored.
 */
#ifndef SIMULATION_WORLD_H
#define SIMULATION_WORLD_H

#include "ext2dax/ext2dax.h"
#include "ext2dax/testkit/crash.h"
#include "ext2dax/testkit/explorer.h"
#include "ext2dax/testkit/lock_order.h"
#include "ext2dax/testkit/model.h"

#include "subtree.h"

#define PAGE        1024u
#define IMAGE_BYTES (256u << 10)
#define FILE_BYTES  (GRANULES * GRANULE)
#define FILE_PAGES  (FILE_BYTES / PAGE)
#define DIRECTORIES 2u  /* of a thread, and common */
#define LOW         64u /* free blocks at which ENOSPC is expected */

struct sim_stats {
    uint64_t seeds, lives, calls, failed_calls, points, decisions, recoveries;
    uint64_t kind[SIM_CALL_KINDS];
    uint64_t event[SIM_EVENT_KINDS];
};

struct pinned {
    struct ext2dax_pin pin;
    uint64_t page;
    uint32_t block;
    bool active;
};

struct world {
    const struct sim_plan *plan;
    const struct sim_life *life;
    unsigned number; /* of the life */
    uint64_t random;
    bool blind; /* assertions and lock-order checks are off */
    bool is_formatted;
    const char *mutant; /* or NULL */
    struct sim_stats *stats;

    struct ext2dax_explorer *explorer;
    struct ext2dax_crash *crash;
    struct ext2dax_memory medium, memory; /* the crashing memory, and the same with failures */
    struct ext2dax_lock_order *order;
    struct ext2dax_locks locks; /* the locks below the failing locks */
    struct ext2dax_lock_ops lock_ops;
    struct ext2dax_model *model;
    struct ext2dax_address_space space; /* the model below the failing address space */
    struct ext2dax_address_space_ops space_ops;
    struct ext2dax_mount *mount;
    struct ext2dax_inode *directory[THREADS + 1][DIRECTORIES]; /* the last row is common */
    struct ext2dax_inode *file;                                /* the common file */
    struct ext2dax_model_map *map[THREADS];                    /* of the common file */
    struct ext2dax_inode *held[THREADS];

    struct subtree tree[THREADS], after[THREADS];
    const struct sim_call *pending[THREADS]; /* the call being played, or cut off */
    uint32_t made[THREADS];                  /* number of the inode made last */
    bool done[THREADS];                      /* `after` is a possible outcome of the pending call */
    struct contents common;
    struct pinned pinned[THREADS];
    unsigned char buffer[THREADS + 1][FILE_BYTES];

    unsigned seen[EVENTS];      /* callbacks of the kind of each event in this life */
    unsigned injected[THREADS]; /* failures in calls of the thread */
    unsigned reads, steps;
    unsigned frozen;   /* threads between a freeze and a thaw */
    bool store_failed; /* the mount changes nothing any more */
    bool recovering;   /* a mount runs recovery */
    /*
     * A last put may have met poison or a lack of memory, and then leaves the inode or blocks to
     * the next recovery.
     */
    bool leaked;
    bool is_cut; /* the life has ended by an event, `image` is what it left */
    enum sim_end end;
    unsigned char image[IMAGE_BYTES];
    char report[200];     /* the last report of an error by the library */
    uint64_t fingerprint; /* of all images and schedules so far */
};

extern struct world world;

/* Reports a finding of the simulation. */
#define complain(...) ext2dax_explorer_fail(world.explorer, __VA_ARGS__)

/* Plays the plan. Returns NULL or a finding, valid until the next call. */
const char *world_play(const struct sim_plan *plan, const char *mutant, bool blind, struct sim_stats *stats,
                       uint64_t *fingerprint);

/* ---- plugs.c ---- */

/* Opens the plugs of a life on the medium. */
bool plugs_open(struct ext2dax_plugs *plugs);
/* Frees all memory of the life. Returns the allocations of the library not freed before. */
unsigned plugs_close(void);
unsigned plugs_in_use(void);
/* Takes the image that a crash or a kill leaves now. */
void take_image(enum sim_end end);

/* ---- calls.c ---- */

/* Plays the calls of a thread in this life. */
void calls_play(unsigned thread);
/* Ends what a thread holds, after all threads have ended. */
void calls_release(unsigned thread);
/* Returns 0, or the errno of an access that failed. */
static inline int64_t mapped_error(enum ext2dax_fault_result result)
{
    switch (result) {
    case EXT2DAX_FAULT_NOPAGE:
        return 0;
    case EXT2DAX_FAULT_SIGBUS:
        return -EXT2DAX_EIO;
    case EXT2DAX_FAULT_OOM:
    case EXT2DAX_FAULT_FALLBACK:
        return -EXT2DAX_ENOMEM;
    default:
        return -EXT2DAX_EINVAL;
    }
}
/* Checks the blocks of all pins. */
void calls_check_pins(void);

/* ---- common.c ---- */

/* Plays a call of the common file, of common names or of the mount. Returns an errno or 0. */
int64_t common_play(unsigned thread, const struct sim_call *call);

/* ---- recovered.c ---- */

/* Makes the first directories and files. */
void world_populate(void);
/* Gets the inodes of the directories and of the common file. */
void world_look_up(void);
/* Compares the image after a mount with the models, and adopts the choices of a crash. */
void world_compare(void);

/* ---- texts ---- */

#define NAME_ROOM 80u
size_t name_of(unsigned name, char text[NAME_ROOM]);
#define XATTR_BYTES 150u
extern const char xattr_name[];
#define XATTR_NAME_LENGTH 9u

#endif
