/* SPDX-License-Identifier: MIT */
/*
 * A walk of a tree of the host. Every file is reached from the descriptor of its directory, so a
 * directory exchanged for a symbolic link during the walk cannot lead elsewhere.
 */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct host_level {
    struct host_entry entry; /* of the directory, `name` belongs to the level above */
    char **names;
    size_t count, next;
    size_t path_length;
    bool skipped; /* no call of `leave` */
};

struct host_stack {
    struct host_level *levels;
    size_t count, room;
    bool failed;
};

void allow_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int open_quietly(int directory, const char *name, int flags)
{
    int descriptor = openat(directory, name, flags | O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME);

    /* Only the owner and the superuser may leave the time of access unchanged. */
    if (descriptor < 0 && errno == EPERM)
        descriptor = openat(directory, name, flags | O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return descriptor;
}

static int host_refuse(struct host_walk *walk, struct host_stack *stack, int number)
{
    if (!walk->quiet)
        system_failed(walk->image->path, number, "put %s", walk->path.text);
    stack->failed = true;
    return WALK_FAILED;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_drop(struct host_level *level)
{
    for (size_t i = 0; i < level->count; i++)
        free(level->names[i]);
    free(level->names);
    level->names = NULL;
    level->count = 0;
}

/* Collects the names of a directory. Returns 0 or a positive errno. */
static int collect(struct host_level *level, DIR *stream)
{
    size_t room = 0;

    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (!entry)
            break;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (level->count == room) {
            room = room ? room * 2 : 64;
            char **names = realloc(level->names, room * sizeof(*names));
            if (!names)
                return ENOMEM;
            level->names = names;
        }
        level->names[level->count] = strdup(entry->d_name);
        if (!level->names[level->count++])
            return ENOMEM;
    }
    return errno;
}

static int read_names(struct host_level *level)
{
    int copy = open_quietly(level->entry.descriptor, ".", O_DIRECTORY);
    DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;

    if (!stream) {
        int number = errno;
        if (copy >= 0)
            close(copy);
        return number;
    }
    int number = collect(level, stream);
    closedir(stream);
    if (level->count)
        qsort(level->names, level->count, sizeof(*level->names), by_bytes);
    return number;
}

static int host_push(struct host_walk *walk, struct host_stack *stack, struct host_entry *entry)
{
    if (stack->count == stack->room) {
        size_t room = stack->room ? stack->room * 2 : 16;
        struct host_level *levels = realloc(stack->levels, room * sizeof(*levels));
        if (!levels)
            return system_failed(walk->image->path, ENOMEM, "put %s", walk->path.text);
        stack->levels = levels;
        stack->room = room;
    }
    entry->descriptor = open_quietly(entry->directory, entry->name, O_DIRECTORY);
    if (entry->descriptor < 0)
        return host_refuse(walk, stack, errno);
    if (fstat(entry->descriptor, &entry->status)) {
        int code = host_refuse(walk, stack, errno);
        close(entry->descriptor);
        return code;
    }
    struct host_level *level = &stack->levels[stack->count++];
    *level = (struct host_level){.entry = *entry, .path_length = walk->path.length};
    int number = read_names(level);
    if (number)
        host_refuse(walk, stack, number);
    return 0;
}

static int host_pop(struct host_walk *walk, struct host_stack *stack, bool ended)
{
    struct host_level *level = &stack->levels[stack->count - 1];
    int code = 0;

    path_cut(&walk->path, level->path_length);
    if (!ended && !level->skipped)
        code = walk->leave(walk, &level->entry);
    if (code == WALK_FAILED)
        stack->failed = true;
    names_drop(level);
    close(level->entry.descriptor);
    stack->count--;
    return code > 0 ? code : 0;
}

static int host_visit(struct host_walk *walk, struct host_stack *stack, int directory, const char *name)
{
    struct host_entry entry = {.directory = directory, .name = name, .descriptor = -1, .depth = (unsigned)stack->count};

    if (interrupted)
        return say_failed(walk->image->path, "put %s: interrupted", walk->path.text);
    if (fstatat(directory, name, &entry.status, AT_SYMLINK_NOFOLLOW)) {
        host_refuse(walk, stack, errno);
        return 0;
    }
    bool is_directory = S_ISDIR(entry.status.st_mode);
    int code = is_directory ? host_push(walk, stack, &entry) : 0;
    if (code)
        return code > 0 ? code : 0;
    code = walk->enter(walk, &entry);
    if (code == WALK_FAILED)
        stack->failed = true;
    if (is_directory && code < 0) {
        struct host_level *level = &stack->levels[stack->count - 1];
        level->skipped = true;
        names_drop(level);
    }
    return code > 0 ? code : 0;
}

static int host_step(struct host_walk *walk, struct host_stack *stack)
{
    struct host_level *level = &stack->levels[stack->count - 1];

    if (level->next >= level->count)
        return host_pop(walk, stack, false);
    const char *name = level->names[level->next++];
    path_cut(&walk->path, level->path_length);
    if (!path_add(&walk->path, name))
        return system_failed(walk->image->path, ENOMEM, "put");
    return host_visit(walk, stack, level->entry.descriptor, name);
}

int walk_host(struct host_walk *walk, const char *path)
{
    struct host_stack stack = {.levels = NULL};
    int code;

    if (path_set(&walk->path, path))
        code = host_visit(walk, &stack, AT_FDCWD, path);
    else
        code = system_failed(walk->image->path, ENOMEM, "put %s", path);
    while (!code && stack.count)
        code = host_step(walk, &stack);
    while (stack.count)
        host_pop(walk, &stack, true);
    free(stack.levels);
    path_free(&walk->path);
    return code ? code : stack.failed ? EXIT_FAILED : 0;
}
