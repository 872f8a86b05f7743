/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer's mutator of the fuzzers of small images. Changes, adds, removes and swaps whole
 * records, so that the records after the change keep their meaning. Every other mutation is left to
 * libFuzzer itself.
 */
#include <string.h>

#include "../fuzz/fuzz_image.h"
#include "edit.h"
#include "fuzz.h"
#include "operate.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Returns the records of one kind, and their size. */
struct records {
    size_t at, count, bytes;
};

static struct records records_of(const uint8_t *data, size_t size, uint32_t *state)
{
    size_t edits = FUZZ_TARGET == FUZZ_CALLS ? 0 : data[1] % (FUZZ_EDITS + 1), whole = (size - FUZZ_HEAD) / EDIT_BYTES;
    struct records records = {FUZZ_HEAD, edits < whole ? edits : whole, EDIT_BYTES};

    if (records.count != 0 && next(state) % 2 == 0)
        return records;
    records.at += records.count * EDIT_BYTES;
    records.bytes = OPERATION_BYTES;
    records.count = (size - records.at) / OPERATION_BYTES;
    return records;
}

static void fill(uint8_t *at, size_t bytes, uint32_t *state)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)next(state);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    uint32_t state = seed;
    struct records records;
    uint8_t *one, *two, copy[EDIT_BYTES];

    if (size < FUZZ_HEAD || size > max_size || next(&state) % 4 == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    records = records_of(data, size, &state);
    one = data + records.at + next(&state) % (records.count + 1) * records.bytes;
    two = data + records.at + (records.count != 0 ? next(&state) % records.count * records.bytes : 0);
    switch (next(&state) % 4) {
    case 0: /* a new record, or another copy of a record */
        if (size + records.bytes > max_size)
            break;
        memcpy(copy, two, records.count != 0 ? records.bytes : 0);
        memmove(one + records.bytes, one, (size_t)(data + size - one));
        if (records.count != 0 && next(&state) % 2 == 0)
            memcpy(one, copy, records.bytes);
        else
            fill(one, records.bytes, &state);
        data[1] = (uint8_t)(data[1] + (records.bytes == EDIT_BYTES));
        return size + records.bytes;
    case 1:
        if (records.count == 0)
            break;
        memmove(two, two + records.bytes, (size_t)(data + size - two) - records.bytes);
        data[1] = (uint8_t)(data[1] - (records.bytes == EDIT_BYTES));
        return size - records.bytes;
    case 2:
        if (records.count == 0)
            break;
        fill(two + next(&state) % records.bytes, 1, &state);
        return size;
    default:
        if (records.count == 0 || one == data + records.at + records.count * records.bytes)
            break;
        memcpy(copy, one, records.bytes);
        memmove(one, two, records.bytes);
        memcpy(two, copy, records.bytes);
        return size;
    }
    return LLVMFuzzerMutate(data, size, max_size);
}
