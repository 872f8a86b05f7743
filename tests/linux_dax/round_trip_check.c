/* SPDX-License-Identifier: MIT */
/* Checks an actor's view of the image against the model. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "round_trip.h"
#include "report.h"

/* Returns the first differing byte of a page, or MODEL_PAGE. */
static size_t differs_at(const uint8_t *seen, const uint8_t *expected, size_t length)
{
    size_t at = 0;

    if (memcmp(seen, expected, length) == 0)
        return MODEL_PAGE;
    while (seen[at] == expected[at])
        at++;
    return at;
}

/*
 * Compares the pages expected to have data and the pages reported by the actor to have data. A page
 * without expected data and reported as a hole needs no comparison. Sets `why` on a difference.
 */
static uint64_t compare(const struct actor *actor, const struct model_file *file, const uint8_t *view, char *why,
                        size_t room)
{
    uint64_t page = 0, pages = (file->size + MODEL_PAGE - 1) / MODEL_PAGE, compared = 0, data_page = 0;
    uint8_t buffer[MODEL_PAGE];

    for (;; page++) {
        uint64_t expected = model_next(file, page);
        int64_t data;

        if (data_page != UINT64_MAX && data_page <= page) {
            data = page < pages ? actor->data(actor->ctx, file->path, page * MODEL_PAGE) : -ENXIO;
            if (data < 0 && data != -ENXIO) {
                (void)snprintf(why, room, "seek: %s", strerror((int)-data));
                return compared;
            }
            data_page = data < 0 ? UINT64_MAX : (uint64_t)data / MODEL_PAGE;
        }
        page = expected < data_page ? expected : data_page;
        if (page >= pages)
            return compared;

        size_t length =
            file->size - page * MODEL_PAGE < MODEL_PAGE ? (size_t)(file->size - page * MODEL_PAGE) : MODEL_PAGE;
        const uint8_t *seen = view ? view + page * MODEL_PAGE : buffer;
        int64_t got = (int64_t)length;

        if (view) {
            if (!view_access((volatile uint8_t *)(uintptr_t)seen, false))
                got = -EFAULT;
        } else {
            got = actor->read(actor->ctx, file->path, page * MODEL_PAGE, buffer, length);
        }
        if (got != (int64_t)length) {
            (void)snprintf(why, room, "byte %llu cannot be read: %s", (unsigned long long)page * MODEL_PAGE,
                           got < 0 ? strerror((int)-got) : "short");
            return compared;
        }
        size_t at = differs_at(seen, model_page(file, page), length);
        if (at < length) {
            (void)snprintf(why, room, "byte %llu is 0x%02x, not 0x%02x", (unsigned long long)page * MODEL_PAGE + at,
                           seen[at], model_page(file, page)[at]);
            return compared;
        }
        compared += length;
    }
}

/* Returns the number of bytes compared each way. `why` is empty on success. */
static uint64_t check_file(const struct actor *actor, const struct model_file *file, char *why, size_t room)
{
    int64_t size = actor->size(actor->ctx, file->path);
    uint64_t compared;
    struct view view;
    int error;

    why[0] = '\0';
    if (size != (file->there ? (int64_t)file->size : -ENOENT)) {
        (void)snprintf(why, room, "size %lld, not %lld", (long long)size,
                       file->there ? (long long)file->size : -ENOENT);
        return 0;
    }
    if (file->size == 0)
        return 0;
    compared = compare(actor, file, NULL, why, room);
    if (why[0] != '\0')
        return compared;
    error = actor->map(actor->ctx, file->path, file->size, false, &view);
    if (error != 0) {
        (void)snprintf(why, room, "map: %s", strerror(-error));
        return compared;
    }
    compare(actor, file, view.at, why, room);
    if (why[0] != '\0')
        strncat(why, " (through a mapping)", room - strlen(why) - 1);
    error = actor->unmap(actor->ctx, &view);
    if (error != 0)
        (void)snprintf(why, room, "unmap: %s", strerror(-error));
    return compared;
}

void round_trip_check(struct round_trip *trip, const struct actor *actor, const char *when)
{
    int in_root = trip->model.many ? 2 : 1, in_many = 0, names; /* lost+found, many */
    unsigned many_wrong = 0, many_seen = 0;
    char why[160];

    for (unsigned i = 0; i < trip->model.count; i++) {
        const struct model_file *file = &trip->model.files[i];
        bool of_many = strchr(file->path, '/') != NULL;
        uint64_t compared = check_file(actor, file, why, sizeof(why));

        if (of_many) {
            many_seen++;
            in_many += file->there;
            if (why[0] != '\0' && many_wrong++ < 5)
                report(false, "%s: %s: %s", when, file->path, why);
        } else {
            in_root += file->there;
            if (why[0] != '\0')
                report(false, "%s: %s: %s", when, file->path, why);
            else if (file->there)
                report(true, "%s: %s: %llu bytes, %llu of them compared by read and through a mapping", when,
                       file->path, (unsigned long long)file->size, (unsigned long long)compared);
            else
                report(true, "%s: %s: is gone", when, file->path);
        }
    }
    names = actor->count(actor->ctx, "");
    report(names == in_root, "%s: the root lists %d names of %d", when, names, in_root);
    if (!trip->model.many)
        return;
    report(many_wrong == 0, "%s: many: %d files as they must be, %u gone", when, in_many,
           many_seen - (unsigned)in_many);
    names = actor->count(actor->ctx, "many");
    report(names == in_many, "%s: many lists %d names of %d", when, names, in_many);
}
