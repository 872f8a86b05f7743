/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *at)
{
    if (!at) {
        fputs("FAILED: no memory for the model\n", stdout);
        exit(1);
    }
    return at;
}

struct model_file *model_file(struct model *model, const char *path)
{
    struct model_file *file;

    for (unsigned i = 0; i < model->count; i++) {
        if (strcmp(model->files[i].path, path) == 0)
            return &model->files[i];
    }
    if (model->count == MODEL_FILES || strlen(path) >= MODEL_PATH) {
        fputs("FAILED: the model's table is full\n", stdout);
        exit(1);
    }
    file = &model->files[model->count++];
    memcpy(file->path, path, strlen(path) + 1);
    return file;
}

static uint8_t *page_for_write(struct model_file *file, uint64_t page)
{
    uint64_t room = file->room ? file->room : 16;

    while (room <= page)
        room *= 2;
    if (room != file->room) {
        file->pages = must(realloc(file->pages, room * sizeof(*file->pages)));
        memset(file->pages + file->room, 0, (room - file->room) * sizeof(*file->pages));
        file->room = room;
    }
    if (!file->pages[page])
        file->pages[page] = must(calloc(1, MODEL_PAGE));
    return file->pages[page];
}

void model_write(struct model_file *file, uint64_t offset, const uint8_t *bytes, size_t length)
{
    if (length != 0 && offset + length > file->size)
        file->size = offset + length;
    while (length != 0) {
        size_t at = offset % MODEL_PAGE, piece = MODEL_PAGE - at < length ? MODEL_PAGE - at : length;

        memcpy(page_for_write(file, offset / MODEL_PAGE) + at, bytes, piece);
        offset += piece;
        bytes += piece;
        length -= piece;
    }
}

static void drop_page(struct model_file *file, uint64_t page)
{
    if (page < file->room) {
        free(file->pages[page]);
        file->pages[page] = NULL;
    }
}

static void zero(struct model_file *file, uint64_t from, uint64_t to)
{
    while (from < to) {
        uint64_t page = from / MODEL_PAGE, at = from % MODEL_PAGE;
        uint64_t piece = MODEL_PAGE - at < to - from ? MODEL_PAGE - at : to - from;

        if (page >= file->room)
            return;
        if (piece == MODEL_PAGE)
            drop_page(file, page);
        else if (file->pages[page])
            memset(file->pages[page] + at, 0, piece);
        from += piece;
    }
}

void model_truncate(struct model_file *file, uint64_t size)
{
    if (size < file->size)
        zero(file, size, (file->size + MODEL_PAGE - 1) / MODEL_PAGE * MODEL_PAGE);
    file->size = size;
}

void model_punch(struct model_file *file, uint64_t offset, uint64_t length)
{
    zero(file, offset, offset + length < file->size ? offset + length : file->size);
}

void model_unlink(struct model_file *file)
{
    for (uint64_t page = 0; page < file->room; page++)
        drop_page(file, page);
    file->size = 0;
    file->there = false;
}

void model_free(struct model *model)
{
    for (unsigned i = 0; i < model->count; i++) {
        model_unlink(&model->files[i]);
        free(model->files[i].pages);
    }
    model->count = 0;
}

const uint8_t *model_page(const struct model_file *file, uint64_t page)
{
    static const uint8_t zeroes[MODEL_PAGE];

    return page < file->room && file->pages[page] ? file->pages[page] : zeroes;
}

uint64_t model_next(const struct model_file *file, uint64_t page)
{
    for (; page < file->room; page++) {
        if (file->pages[page])
            return page;
    }
    return UINT64_MAX;
}
