/* SPDX-License-Identifier: MIT */
/*
 * Readers of the default lock outside of the word of the lock.
 *
 * A store to the word takes the cache line of the lock from every other processor, so readers of
 * one lock on several processors would wait for each other. Instead, a reader of a biased lock
 * stores the address of the lock in an entry of a table, in a line which hardly another thread
 * uses. A writer ends the bias, and waits until no entry has the address of the lock.
 *
 * An entry belongs to the thread that has taken the entry, until the thread leaves. So the entry is
 * taken by a compare-and-swap, and left by a plain store. Each thread records the entries that it
 * has taken. A signal handler may use records and entries between any two instructions of the
 * thread, because the handler has given them back when it returns.
 */
#ifndef E2DH_HOSTED_LOCK_READERS_H
#define E2DH_HOSTED_LOCK_READERS_H

#include <stddef.h>

#include "lock_platform.h"
#include "race_detector.h"

/* Locks that a thread can hold at a time by entries. Further locks are held by their words. */
#define E2DH_READER_RECORDS 4u

struct e2dh_reader_line {
    _Alignas(64) volatile AO_t entry[E2DH_LINE_ENTRIES]; /* the address of a lock, or 0 */
};

struct e2dh_reader_record {
    volatile AO_t *lock; /* NULL if unused */
    volatile AO_t *entry;
};

/* State of a thread. */
struct e2dh_reader {
    struct e2dh_reader_line *line; /* chosen at the first use */
    struct e2dh_reader_record record[E2DH_READER_RECORDS];
};

static struct e2dh_reader_line e2dh_reader_lines[E2DH_READER_LINES];
static E2DH_PER_THREAD struct e2dh_reader e2dh_reader;

/* Returns the record of the lock, or an unused record for NULL. Returns NULL if there is none. */
static inline struct e2dh_reader_record *e2dh_reader_record(const volatile AO_t *lock)
{
    struct e2dh_reader_record *record = e2dh_reader.record;

    for (unsigned i = 0; i < E2DH_READER_RECORDS; i++) {
        if (record[i].lock == lock)
            return &record[i];
    }
    return NULL;
}

/* Chooses a line for the calling thread. Threads take turns. */
static inline struct e2dh_reader_line *e2dh_reader_line(void)
{
    if (!e2dh_reader.line) {
        e2dh_tell_loading(e2dh_reader_lines, sizeof(e2dh_reader_lines));
        e2dh_reader.line = &e2dh_reader_lines[e2dh_next_line() % E2DH_READER_LINES];
    }
    return e2dh_reader.line;
}

/*
 * Takes an entry for the lock, and records the entry. Returns false if the thread has no record or
 * no entry left. The store of the entry is before every later load of the thread.
 */
static inline bool e2dh_reader_enter(volatile AO_t *lock)
{
    struct e2dh_reader_line *line = e2dh_reader_line();
    struct e2dh_reader_record *record;
    volatile AO_t *entry;

    for (unsigned i = 0; i < E2DH_LINE_ENTRIES; i++) {
        entry = &line->entry[i];
        if (e2dh_word_load(entry) != 0 || !e2dh_entry_take(entry, (AO_t)lock))
            continue;
        record = e2dh_reader_record(NULL);
        if (!record) {
            e2dh_entry_leave(entry);
            return false;
        }
        record->entry = entry;
        record->lock = lock;
        return true;
    }
    return false;
}

/* Leaves the entry of the lock. Returns false if the thread has none. */
static inline bool e2dh_reader_leave(const volatile AO_t *lock)
{
    struct e2dh_reader_record *record = e2dh_reader_record(lock);

    if (!record)
        return false;
    record->lock = NULL;
    e2dh_entry_leave(record->entry);
    return true;
}

/*
 * Returns an entry with the address of the lock, or NULL. Sees every entry taken before the end of
 * the bias.
 */
static inline volatile AO_t *e2dh_reader_inside(const volatile AO_t *lock)
{
    for (unsigned i = 0; i < E2DH_READER_LINES; i++) {
        for (unsigned k = 0; k < E2DH_LINE_ENTRIES; k++) {
            if (e2dh_entry_load(&e2dh_reader_lines[i].entry[k]) == (AO_t)lock)
                return &e2dh_reader_lines[i].entry[k];
        }
    }
    return NULL;
}

#endif
