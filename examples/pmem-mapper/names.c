/* SPDX-License-Identifier: MIT */
/*
 * The names of a directory as a list. A callback of readdir must not call the library, so the names
 * are collected first and used afterwards. The directory may change in between.
 */
#include "mapper.h"

#include <stdlib.h>
#include <string.h>

struct collection {
    struct names *names;
    bool dots;
};

static bool is_dots(const struct ext2dax_entry *entry)
{
    return (entry->name_length == 1 && entry->name[0] == '.') ||
           (entry->name_length == 2 && entry->name[0] == '.' && entry->name[1] == '.');
}

static int keep_name(void *arg, const struct ext2dax_entry *entry)
{
    struct collection *collection = arg;
    struct names *names = collection->names;

    if (!collection->dots && is_dots(entry))
        return 0;
    if (names->count == names->room) {
        size_t room = names->room ? names->room * 2 : 64;
        struct name *list = realloc(names->list, room * sizeof(*list));
        if (!list)
            return -EXT2DAX_ENOMEM;
        names->list = list;
        names->room = room;
    }
    char *text = malloc(entry->name_length + 1);
    if (!text)
        return -EXT2DAX_ENOMEM;
    memcpy(text, entry->name, entry->name_length);
    text[entry->name_length] = 0;
    names->list[names->count++] = (struct name){.text = text, .number = entry->number};
    return 0;
}

int names_read(struct names *names, struct ext2dax_inode *directory, bool dots)
{
    struct collection collection = {.names = names, .dots = dots};

    *names = (struct names){NULL, 0, 0};
    return ext2dax_readdir(directory, 0, keep_name, &collection);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

void names_sort(struct names *names)
{
    if (names->count)
        qsort(names->list, names->count, sizeof(*names->list), by_text);
}

void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->list[i].text);
    free(names->list);
    *names = (struct names){NULL, 0, 0};
}
