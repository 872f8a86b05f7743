/* SPDX-License-Identifier: MIT */
/*
 * What every file must hold: a filesystem as a table of names and pages, which the story changes alongside the image. Both
 * kernels' programs carry it, so that neither has to ask the other what is right.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_PAGE  4096u
#define MODEL_FILES 512u
#define MODEL_PATH  112u

struct model_file {
    char path[MODEL_PATH];
    bool there;
    uint64_t size;
    uint64_t room;   /* pages that `pages` has places for */
    uint8_t **pages; /* NULL: zeroes */
};

struct model {
    struct model_file files[MODEL_FILES];
    unsigned count;
    bool many; /* the directory "many" is there */
};

/* The file of that name, which is entered if it is new. Ends the program where the table is full. */
struct model_file *model_file(struct model *model, const char *path);

/* Gives back what the files hold; the model itself is the caller's. */
void model_free(struct model *model);

void model_write(struct model_file *file, uint64_t offset, const uint8_t *bytes, size_t length);
void model_truncate(struct model_file *file, uint64_t size);
void model_punch(struct model_file *file, uint64_t offset, uint64_t length); /* clipped to the size */
void model_unlink(struct model_file *file);

/* The page's bytes, zeroes where it holds nothing. */
const uint8_t *model_page(const struct model_file *file, uint64_t page);
/* The first page from `page` on that is not known to be zero; UINT64_MAX: none. */
uint64_t model_next(const struct model_file *file, uint64_t page);

#endif
