/* SPDX-License-Identifier: MIT */
/*
 * What happens to an image on its way from one kernel to the other and back, in three phases by turns. What a phase does
 * follows from its number and from who acts; so each side knows what the other has done, byte for byte, without being told.
 */
#ifndef STORY_H
#define STORY_H

#include <stdbool.h>

#include "actor.h"
#include "model.h"

#define STORY_PHASES 3u

struct story {
    struct model model;
    bool linux_first; /* Linux does phases 1 and 3, the library 2; else the other way round */
};

/* Does a phase, in the model alone where `actor` is NULL. False, and told, where the actor could not. */
bool story_phase(struct story *story, unsigned phase, const struct actor *actor);

/* Every name, size and byte, by read and through a mapping, one line a file; `when` says at which point. */
void story_check(struct story *story, const struct actor *actor, const char *when);

/* The files whose windows are counted, by number; NULL behind the last. */
const char *story_windowed(unsigned number);

#endif
