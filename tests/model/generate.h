/* SPDX-License-Identifier: MIT */
/* Random calls, most of which succeed, because the generator looks at the model. */
#ifndef TESTS_MODEL_GENERATE_H
#define TESTS_MODEL_GENERATE_H

#include "model.h"

struct generator {
    uint64_t state;
    const struct player_ops *ops;
    uint64_t without; /* kinds of calls left out, a bit for each */
    unsigned theme;   /* calls made more often in this sequence */
};

void generator_open(struct generator *generator, uint64_t seed, const struct player_ops *ops, uint64_t without);
struct call generate(struct generator *generator, const struct model *model);

#endif
