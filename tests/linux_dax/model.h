/* SPDX-License-Identifier: MIT */
/*
 * The expected content of every file. The model is a filesystem as a table of names and pages,
 * changed by the round trip together with the image. The programs of both kernels contain the
 * model, so neither depends on the other for the expected content.
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
    uint64_t room;   /* capacity of `pages` */
    uint8_t **pages; /* NULL for zeroes */
};

struct model {
    struct model_file files[MODEL_FILES];
    unsigned count;
    bool many; /* the directory "many" exists */
};

/* Returns the file with the given name, added if new. Ends the program if the table is full. */
struct model_file *model_file(struct model *model, const char *path);

/* Frees the content of the files. The caller owns the model itself. */
void model_free(struct model *model);

void model_write(struct model_file *file, uint64_t offset, const uint8_t *bytes, size_t length);
void model_truncate(struct model_file *file, uint64_t size);
/* clipped to the size */
void model_punch(struct model_file *file, uint64_t offset, uint64_t length);
void model_unlink(struct model_file *file);

/* Returns the page's bytes, zeroes for a page without data. */
const uint8_t *model_page(const struct model_file *file, uint64_t page);
/* Returns the first page at or after `page` not known to be zero, or UINT64_MAX. */
uint64_t model_next(const struct model_file *file, uint64_t page);

#endif
