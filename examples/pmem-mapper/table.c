/* SPDX-License-Identifier: MIT */
/*
 * A hash table and a growing path, for walks of trees. The table is open-addressed, at most half
 * full, and never loses a key. The hash is seeded by nothing, because a slow table is the worst a
 * hostile image can cause.
 */
#include "tree.h"

#include <stdlib.h>
#include <string.h>

static size_t first_slot(const struct table *table, uint64_t a, uint64_t b)
{
    uint64_t hash = (a * 0x9E3779B97F4A7C15u + b) * 0xD6E8FEB86659FD93u;

    return (size_t)(hash ^ hash >> 32) & (table->room - 1);
}

static struct slot *slot_of(const struct table *table, uint64_t a, uint64_t b)
{
    size_t i = first_slot(table, a, b);

    while (table->slots[i].used && (table->slots[i].a != a || table->slots[i].b != b))
        i = (i + 1) & (table->room - 1);
    return &table->slots[i];
}

uintptr_t *table_find(const struct table *table, uint64_t a, uint64_t b)
{
    if (!table->room)
        return NULL;
    struct slot *slot = slot_of(table, a, b);
    return slot->used ? &slot->value : NULL;
}

static bool table_grow(struct table *table)
{
    struct table larger = {.room = table->room ? table->room * 2 : 64};

    larger.slots = calloc(larger.room, sizeof(*larger.slots));
    if (!larger.slots)
        return false;
    for (size_t i = 0; i < table->room; i++)
        if (table->slots[i].used)
            *slot_of(&larger, table->slots[i].a, table->slots[i].b) = table->slots[i];
    larger.count = table->count;
    free(table->slots);
    *table = larger;
    return true;
}

bool table_add(struct table *table, uint64_t a, uint64_t b, uintptr_t value)
{
    if (table->count >= table->room / 2 && !table_grow(table))
        return false;
    *slot_of(table, a, b) = (struct slot){.a = a, .b = b, .value = value, .used = true};
    table->count++;
    return true;
}

void table_free(struct table *table)
{
    free(table->slots);
    *table = (struct table){NULL, 0, 0};
}

static bool path_append(struct path *path, const char *text, size_t length)
{
    if (path->length + length + 1 > path->room) {
        size_t room = (path->length + length + 1) * 2;
        char *grown = realloc(path->text, room);
        if (!grown)
            return false;
        path->text = grown;
        path->room = room;
    }
    memcpy(path->text + path->length, text, length);
    path->length += length;
    path->text[path->length] = 0;
    return true;
}

bool path_set(struct path *path, const char *text)
{
    path->length = 0;
    return path_append(path, text, strlen(text));
}

bool path_add(struct path *path, const char *name)
{
    if (path->length && path->text[path->length - 1] != '/' && !path_append(path, "/", 1))
        return false;
    return path_append(path, name, strlen(name));
}

void path_cut(struct path *path, size_t length)
{
    path->length = length;
    path->text[length] = 0;
}

void path_free(struct path *path)
{
    free(path->text);
    *path = (struct path){NULL, 0, 0};
}
