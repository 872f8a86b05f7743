/* SPDX-License-Identifier: MIT */
/*
 * A walk of a tree of an image. The directories on the way lie on a stack of the heap, because a
 * hostile image may nest directories as deep as the image has inodes. Directories already met are
 * in a table, so a directory with two names cannot make the walk endless.
 */
#include "tree.h"

#include <stdlib.h>

struct level {
    struct ext2dax_inode *parent, *inode; /* references, except of the root of the walk */
    const char *name;                     /* belongs to the names of the level above */
    struct names names;
    size_t next;
    size_t path_length; /* of the path of the directory */
    bool failed;
};

struct stack {
    struct level *levels;
    size_t count, room;
    struct table met; /* directories */
    bool failed;
};

static void fill_entry(struct walk_entry *entry, const struct stack *stack, struct ext2dax_inode *parent,
                       const char *name, struct ext2dax_inode *inode)
{
    *entry = (struct walk_entry){.parent = parent, .name = name, .inode = inode, .depth = (unsigned)stack->count};
    ext2dax_stat(inode, &entry->figures, sizeof(entry->figures));
}

/* Records a printed failure in the directory that holds the entry. */
static void note_failure(struct stack *stack)
{
    if (stack->count)
        stack->levels[stack->count - 1].failed = true;
    stack->failed = true;
}

static int refuse(struct walk *walk, struct stack *stack, int error)
{
    if (!walk->quiet)
        image_failed(walk->image, error, "%s %s", walk->verb, walk->path.text);
    note_failure(stack);
    return 0;
}

/* Puts a directory on the stack, with its names. The path ends with the directory. */
static int push(struct walk *walk, struct stack *stack, const struct walk_entry *entry)
{
    if (table_find(&stack->met, entry->figures.number, 0)) {
        if (!walk->quiet)
            say_failed(walk->image->path, "%s %s: the directory has a second name", walk->verb, walk->path.text);
        note_failure(stack);
        return WALK_SKIP;
    }
    if (stack->count == stack->room) {
        size_t room = stack->room ? stack->room * 2 : 16;
        struct level *levels = realloc(stack->levels, room * sizeof(*levels));
        if (!levels)
            return image_failed(walk->image, -EXT2DAX_ENOMEM, "%s %s", walk->verb, walk->path.text);
        stack->levels = levels;
        stack->room = room;
    }
    if (!table_add(&stack->met, entry->figures.number, 0, 0))
        return image_failed(walk->image, -EXT2DAX_ENOMEM, "%s %s", walk->verb, walk->path.text);
    struct level *level = &stack->levels[stack->count];
    *level = (struct level){
        .parent = entry->parent, .inode = entry->inode, .name = entry->name, .path_length = walk->path.length};
    int error = names_read(&level->names, entry->inode, false);
    stack->count++;
    if (error)
        refuse(walk, stack, error);
    return 0;
}

/* Takes the last directory off the stack. Calls `leave` unless the walk has ended. */
static int pop(struct walk *walk, struct stack *stack, bool ended)
{
    struct level *level = &stack->levels[--stack->count];
    struct walk_entry entry;
    int code = 0;

    path_cut(&walk->path, level->path_length);
    if (!ended && walk->leave) {
        fill_entry(&entry, stack, level->parent, level->name, level->inode);
        entry.incomplete = level->failed;
        code = walk->leave(walk, &entry);
    }
    if (level->failed || code == WALK_FAILED)
        note_failure(stack);
    names_free(&level->names);
    if (stack->count)
        ext2dax_inode_put(level->inode);
    return code > 0 ? code : 0;
}

/*
 * Visits an entry, whose name ends the path. Sets *pushed if the entry is a directory now on the
 * stack.
 */
static int visit(struct walk *walk, struct stack *stack, struct ext2dax_inode *parent, const char *name,
                 struct ext2dax_inode *inode, bool *pushed)
{
    struct walk_entry entry;

    *pushed = false;
    if (interrupted)
        return say_failed(walk->image->path, "%s %s: interrupted", walk->verb, walk->path.text);
    fill_entry(&entry, stack, parent, name, inode);
    bool directory = (entry.figures.mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFDIR;
    /* The directory is put on the stack first. `enter` is not called for a directory met twice. */
    int code = directory ? push(walk, stack, &entry) : 0;
    if (code)
        return code > 0 ? code : 0;
    *pushed = directory;
    code = walk->enter(walk, &entry);
    if (directory && code < 0) {
        if (code == WALK_FAILED)
            stack->levels[stack->count - 1].failed = true;
        stack->levels[stack->count - 1].next = SIZE_MAX;
        return 0;
    }
    if (code == WALK_FAILED)
        note_failure(stack);
    return code > 0 ? code : 0;
}

/* Visits the next name of the last directory of the stack. */
static int step(struct walk *walk, struct stack *stack)
{
    struct level *level = &stack->levels[stack->count - 1];
    struct ext2dax_inode *inode;
    bool pushed;

    if (level->next == SIZE_MAX)
        return pop(walk, stack, true);
    if (level->next >= level->names.count)
        return pop(walk, stack, false);
    const struct name *name = &level->names.list[level->next++];
    path_cut(&walk->path, level->path_length);
    if (!path_add(&walk->path, name->text))
        return image_failed(walk->image, -EXT2DAX_ENOMEM, "%s", walk->verb);
    int error = ext2dax_inode_get(walk->image->mount, name->number, &inode);
    if (error)
        return refuse(walk, stack, error);
    int code = visit(walk, stack, level->inode, name->text, inode, &pushed);
    if (!pushed)
        ext2dax_inode_put(inode);
    return code;
}

int walk_image(struct walk *walk, struct ext2dax_inode *parent, const char *name, struct ext2dax_inode *inode,
               const char *path)
{
    struct stack stack = {.levels = NULL};
    bool pushed;
    int code;

    if (path_set(&walk->path, path))
        code = visit(walk, &stack, parent, name, inode, &pushed);
    else
        code = image_failed(walk->image, -EXT2DAX_ENOMEM, "%s %s", walk->verb, path);
    while (!code && stack.count)
        code = step(walk, &stack);
    while (stack.count)
        pop(walk, &stack, true);
    free(stack.levels);
    table_free(&stack.met);
    path_free(&walk->path);
    return code ? code : stack.failed ? EXIT_FAILED : 0;
}
