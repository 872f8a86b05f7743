/* SPDX-License-Identifier: MIT */
/* The model of the calls of name.h that only read names. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#define LINKS_FOLLOWED 40u

static struct node *lookup(struct node *directory, const char *name, size_t length, int *error)
{
    struct node_entry *entry;

    *error = model_check_name(name, length);
    if (*error != 0)
        return NULL;
    *error = -EXT2DAX_ENOTDIR;
    if (!node_is(directory, EXT2DAX_S_IFDIR))
        return NULL;
    *error = -EXT2DAX_ENOENT;
    if (directory->links == 0)
        return NULL;
    *error = 0;
    if (length == 1 && name[0] == '.')
        return directory;
    if (length == 2 && name[0] == '.' && name[1] == '.')
        return directory->parent;
    entry = node_find(directory, name, length);
    if (!entry)
        *error = -EXT2DAX_ENOENT;
    return entry ? entry->node : NULL;
}

/* Puts the target of a link in front of the rest of a path. Frees the path before. */
static char *follow(const struct node *link, char *path, const char *rest, size_t *length)
{
    size_t rest_length = *length - (size_t)(rest - path);
    char *joined = malloc(link->size + 1 + rest_length + 1);

    if (!joined)
        abort();
    memcpy(joined, link->target, link->size);
    joined[link->size] = '/';
    memcpy(joined + link->size + 1, rest, rest_length);
    *length = link->size + 1 + rest_length;
    free(path);
    return joined;
}

struct node *model_resolve(struct model *model, const char *path, size_t length, unsigned flags, int *error)
{
    char *own = malloc(length + 1);
    struct node *at = model->root;
    size_t next = 0;
    unsigned links = 0;

    if (!own)
        abort();
    memcpy(own, path, length);
    *error = 0;
    for (;;) {
        size_t start;
        struct node *found;

        while (next < length && own[next] == '/')
            next++;
        if (next == length)
            break;
        start = next;
        while (next < length && own[next] != '/')
            next++;
        found = lookup(at, own + start, next - start, error);
        if (!found)
            break;
        while (next < length && own[next] == '/')
            next++;
        if (!node_is(found, EXT2DAX_S_IFLNK) || (next == length && (flags & EXT2DAX_NO_FOLLOW) != 0)) {
            at = found;
            continue;
        }
        if (++links > LINKS_FOLLOWED) {
            *error = -EXT2DAX_ELOOP;
            break;
        }
        own = follow(found, own, own + next, &length);
        next = 0;
        if (own[0] == '/')
            at = model->root;
    }
    free(own);
    return *error == 0 ? at : NULL;
}

static int64_t hold_found(struct model *model, const struct call *call, struct node *found, int error)
{
    if (found && call->into != NO_SLOT)
        model_hold(model, call->into, found);
    return error;
}

static uint8_t type_of(const struct node *node)
{
    switch (node->mode & EXT2DAX_S_IFMT) {
    case EXT2DAX_S_IFREG:
        return EXT2DAX_FT_REG;
    case EXT2DAX_S_IFDIR:
        return EXT2DAX_FT_DIR;
    case EXT2DAX_S_IFCHR:
        return EXT2DAX_FT_CHR;
    case EXT2DAX_S_IFBLK:
        return EXT2DAX_FT_BLK;
    case EXT2DAX_S_IFIFO:
        return EXT2DAX_FT_FIFO;
    case EXT2DAX_S_IFSOCK:
        return EXT2DAX_FT_SOCK;
    default:
        return EXT2DAX_FT_LNK;
    }
}

static void list(struct outcome *expected, const char *name, size_t length, const struct node *node)
{
    struct listed *listed = &expected->list[expected->listed++];

    memcpy(listed->name, name, length);
    listed->length = length;
    listed->number = node->number;
    listed->type = type_of(node);
}

/* Lists all names. The order is a choice of the player, so outcomes are compared sorted. */
static int64_t read_directory(struct model *model, const struct call *call, struct outcome *expected)
{
    const struct node *directory = model->slot[call->slot];

    if (!node_is(directory, EXT2DAX_S_IFDIR))
        return -EXT2DAX_ENOTDIR;
    expected->ended = true;
    if (directory->links == 0)
        return 0;
    list(expected, ".", 1, directory);
    list(expected, "..", 2, directory->parent);
    for (size_t i = 0; i < directory->entry_count; i++)
        list(expected, directory->entries[i].name, directory->entries[i].length, directory->entries[i].node);
    return 0;
}

/* ---- a listing in parts ---- */

static bool was_seen(const struct model_listing *listing, uint64_t birth)
{
    for (size_t i = 0; i < listing->seen_count; i++) {
        if (listing->seen[i] == birth)
            return true;
    }
    return false;
}

static void note_seen(struct model_listing *listing, uint64_t birth)
{
    listing->seen = realloc(listing->seen, (listing->seen_count + 1) * sizeof(*listing->seen));
    if (!listing->seen)
        abort();
    listing->seen[listing->seen_count++] = birth;
}

/* Judges a name listed. Returns NULL or the objection. */
static const char *check_listing(struct model_listing *listing, struct node *directory, const struct listed *listed,
                                 bool is_strict)
{
    bool dot = listed->length == 1 && listed->name[0] == '.';
    bool dot_dot = listed->length == 2 && listed->name[0] == '.' && listed->name[1] == '.';
    struct node_entry *entry;

    if (dot || dot_dot) {
        bool *seen = dot ? &listing->dot : &listing->dot_dot;

        if (*seen)
            return "a listing in parts repeats \".\" or \"..\"";
        *seen = true;
        return NULL;
    }
    entry = node_find(directory, listed->name, listed->length);
    if (!entry)
        return "a listing in parts has a name that does not exist";
    if (was_seen(listing, entry->birth) && is_strict)
        return "a listing in parts repeats a name";
    if (listed->type != type_of(entry->node) || (entry->node->number != 0 && entry->node->number != listed->number))
        return "a listing in parts has a wrong type or number";
    note_seen(listing, entry->birth);
    return NULL;
}

/*
 * Each name that exists from the start of the listing to its end is listed once. A name added or
 * removed in between is listed once or not at all.
 */
static int64_t read_part(struct model *model, const struct call *call, const struct outcome *seen,
                         struct outcome *expected)
{
    struct model_listing *listing = &model->listing[call->slot];
    struct node *directory = model->slot[call->slot];
    /* Cookies of Linux change when a directory gets an index. */
    bool is_strict = model->is_library || !strstr(model->kind->features, "dir_index");

    if (!node_is(directory, EXT2DAX_S_IFDIR))
        return -EXT2DAX_ENOTDIR;
    if (!listing->open) {
        listing->open = true;
        listing->begun = model->births;
    }
    for (unsigned i = 0; i < seen->listed && !model->objection; i++)
        model->objection = check_listing(listing, directory, &seen->list[i], is_strict);
    expected->listed = seen->listed;
    memcpy(expected->list, seen->list, seen->listed * sizeof(*seen->list));
    expected->ended = seen->ended;
    if (!seen->ended)
        return 0;
    for (size_t i = 0; i < directory->entry_count && !model->objection && is_strict; i++) {
        if (directory->entries[i].birth < listing->begun && !was_seen(listing, directory->entries[i].birth))
            model->objection = "a listing in parts leaves out a name";
    }
    free(listing->seen);
    memset(listing, 0, sizeof(*listing));
    return 0;
}

static int64_t read_link(struct model *model, const struct call *call, struct outcome *expected)
{
    const struct node *node = model->slot[call->slot];

    if (!node_is(node, EXT2DAX_S_IFLNK))
        return -EXT2DAX_EINVAL;
    expected->count = (size_t)(call->length < node->size ? call->length : node->size);
    memcpy(expected->bytes, node->target, expected->count);
    return (int64_t)node->size;
}

int64_t model_play_lookups(struct model *model, const struct call *call, const struct outcome *seen,
                           struct outcome *expected)
{
    char text[PATH_ROOM];
    struct node *found;
    size_t length;
    int error;

    switch (call->kind) {
    case CALL_LOOKUP:
        length = name_text(call->name, text);
        found = lookup(model->slot[call->slot], text, length, &error);
        return hold_found(model, call, found, error);
    case CALL_LOOKUP_PATH:
        if ((call->flags & ~EXT2DAX_NO_FOLLOW) != 0)
            return -EXT2DAX_EINVAL;
        length = path_text(&call->path, text);
        found = model_resolve(model, text, length, call->flags, &error);
        return hold_found(model, call, found, error);
    case CALL_READDIR:
        return read_directory(model, call, expected);
    case CALL_READDIR_PART:
        return read_part(model, call, seen, expected);
    default:
        return read_link(model, call, expected);
    }
}
