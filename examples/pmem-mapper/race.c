/* SPDX-License-Identifier: MIT */
/* The command race. Sets up the file and the mapper threads, runs the changer, and reports. */
#include "race.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BYTES  ((uint64_t)8 << 20)
#define LEAST_PAGES 64

void race_violation(struct race *race, const char *what, uint64_t offset, uint64_t found)
{
    unsigned number = atomic_fetch_add(&race->violations, 1);

    if (number < SHOWN)
        race->shown[number] = (struct violation){.what = what, .offset = offset, .found = found};
}

/*
 * Chooses a range that leaves space for the file, for the second file and for pointer blocks. A
 * fault without a free block would raise SIGBUS.
 */
static int choose_range(struct race *race)
{
    struct ext2dax_statfs figures;

    ext2dax_statfs(race->image->mount, &figures, sizeof(figures));
    race->page = figures.page_size;
    race->bytes = MOST_BYTES;
    while (race->bytes / figures.block_size * 5 / 2 > figures.available_blocks)
        race->bytes /= 2;
    if (race->bytes / race->page < LEAST_PAGES)
        return image_failed(race->image, -EXT2DAX_ENOSPC, "race %s", race->path);
    return 0;
}

static int prepare(struct race *race)
{
    int error = ext2dax_truncate(race->first, 0);
    if (error)
        return image_failed(race->image, error, "race %s: empty it", race->path);
    int code = choose_range(race);
    if (code)
        return code;
    error = ext2dax_truncate(race->first, race->bytes);
    if (error)
        return image_failed(race->image, error, "race %s", race->path);
    atomic_store(&race->low, race->bytes);
    atomic_store(&race->high, race->bytes);
    race->floor = calloc((size_t)(race->bytes / CHUNK), sizeof(*race->floor));
    race->mappers = calloc(race->threads, sizeof(*race->mappers));
    if (!race->floor || !race->mappers)
        return image_failed(race->image, -EXT2DAX_ENOMEM, "race %s", race->path);
    for (unsigned i = 0; i < race->threads; i++) {
        struct mapper *mapper = &race->mappers[i];
        mapper->race = race;
        mapper->index = i;
        mapper->random = 0x2545F4914F6CDD1Du + i;
        atomic_store(&mapper->storing, IDLE);
        error =
            ext2dax_process_map(race->image->process, race->first, 0, race->bytes, EXT2DAX_MAP_WRITE, &mapper->mapping);
        if (error)
            return image_failed(race->image, error, "race %s: map it", race->path);
    }
    return 0;
}

static int run(struct race *race, struct ext2dax_inode *directory, const char *second, unsigned seconds)
{
    unsigned started = 0;
    int code = 0;

    for (; started < race->threads; started++) {
        struct mapper *mapper = &race->mappers[started];
        int error = pthread_create(&mapper->thread, NULL, race_mapper, mapper);
        if (error) {
            code = system_failed(race->image->path, error, "race %s: start a thread", race->path);
            break;
        }
    }
    if (!code)
        code = race_changer(race, directory, second, seconds);
    atomic_store(&race->stop, true);
    for (unsigned i = 0; i < started; i++)
        pthread_join(race->mappers[i].thread, NULL);
    return code;
}

static int report(struct race *race, uint64_t faults)
{
    unsigned violations = atomic_load(&race->violations);
    uint64_t sigbus = 0;
    int code = violations ? EXIT_FAILED : 0;

    for (unsigned i = 0; i < race->threads; i++)
        sigbus += race->mappers[i].sigbus;
    for (unsigned i = 0; i < violations && i < SHOWN; i++)
        say_failed(race->image->path, "race %s: %s: offset %llu, %#llx", race->path, race->shown[i].what,
                   (unsigned long long)race->shown[i].offset, (unsigned long long)race->shown[i].found);
    const struct {
        const char *what;
        uint64_t count;
    } counts[] = {
        {"faults", faults}, {"truncates", race->truncates}, {"reused blocks", race->reused}, {"SIGBUSes", sigbus}};
    for (unsigned i = 0; i < 4; i++) {
        printf("%llu %s\n", (unsigned long long)counts[i].count, counts[i].what);
        if (!counts[i].count)
            code = say_failed(race->image->path, "race %s: proves nothing: no %s", race->path, counts[i].what);
    }
    printf("%u violations\n", violations);
    return code;
}

static void unmap_all(struct race *race)
{
    for (unsigned i = 0; race->mappers && i < race->threads; i++)
        if (race->mappers[i].mapping)
            ext2dax_process_unmap(race->image->process, race->mappers[i].mapping);
}

/* Opens the file under test, or creates the file if absent. */
static int open_first(struct race *race, struct ext2dax_inode *directory, const char *name, size_t length)
{
    struct ext2dax_inode *there;

    int error = ext2dax_lookup_path(race->image->mount, race->path, strlen(race->path), 0, &there);
    if (!error) {
        ext2dax_inode_put(there);
        return image_file(race->image, "race", race->path, &race->first);
    }
    if (error == -EXT2DAX_ENOENT)
        error = ext2dax_create(directory, name, length, 0600, 0, 0, &race->first);
    if (error)
        return image_failed(race->image, error, "race %s", race->path);
    return 0;
}

static int race_in(struct race *race, const struct request *request, struct ext2dax_inode *directory, const char *name,
                   size_t length)
{
    struct ext2dax_counters counters = {0};
    char second[EXT2DAX_NAME_MAX + 16], why[128];

    if (!race->image->process)
        return say_failed(race->image->path, "race %s: this build serves no page faults", race->path);
    if (image_unmappable(race->image, why, sizeof(why)))
        return say_failed(race->image->path, "race %s: cannot be mapped: %s", race->path, why);
    snprintf(second, sizeof(second), "%.*s.second", (int)(length < EXT2DAX_NAME_MAX ? length : EXT2DAX_NAME_MAX), name);
    int code = open_first(race, directory, name, length);
    if (!code)
        code = prepare(race);
    if (!code)
        code = run(race, directory, second, request->seconds);
    bool complete = !code || atomic_load(&race->violations) > 0;
    unmap_all(race);
    ext2dax_count(race->image->mount, &counters, sizeof(counters));
    if (complete)
        code = report(race, counters.faults);
    if (race->first)
        ext2dax_inode_put(race->first);
    free(race->mappers);
    free(race->floor);
    return code;
}

int command_race(const struct request *request)
{
    struct image image;
    struct ext2dax_inode *directory = NULL;
    const char *name;
    size_t length;
    struct race *race = calloc(1, sizeof(*race));

    if (!race)
        return system_failed(request->image, ENOMEM, "race %s", request->args[0]);
    race->image = &image;
    race->path = request->args[0];
    race->threads = request->threads;
    int code = image_open(&image, request, true);
    if (!code) {
        int error = image_parent(&image, race->path, &directory, &name, &length);
        if (error)
            code = image_failed(&image, error, "race %s", race->path);
        else
            code = race_in(race, request, directory, name, length);
    }
    if (directory)
        ext2dax_inode_put(directory);
    code = image_close(&image, code);
    free(race);
    return code;
}
