/* SPDX-License-Identifier: MIT */
#include "plan.h"

#define AT(k, n)     .blocks = (k), .bytes = (n)
#define LENGTH(k, n) .length_blocks = (k), .length_bytes = (n)
#define GIB4         ((uint64_t)1 << 32)
#define OWN          (EXT2DAX_SET_MODE | EXT2DAX_SET_UID | EXT2DAX_SET_GID | EXT2DAX_SET_FLAGS)
#define TIMES        (EXT2DAX_SET_ATIME | EXT2DAX_SET_MTIME | EXT2DAX_SET_CREATED)
#define XATTR(what, letter, which, size)                                                                               \
    .kind = CALL_##what##_XATTR, .file = FILE_##letter, .blocks = (which), .bytes = (size)

/*
 * Calls on "a" assume a last block just before the edge, filled up to its last 104 bytes, after a
 * second block of data.
 */
const struct call calls[] = {
    {.name = "create", .kind = CALL_CREATE, .file = FILE_C, .brief = true},
    {.name = "create, long name", .kind = CALL_CREATE, .file = FILE_X},
    {.name = "unlink", .kind = CALL_UNLINK, .file = FILE_A, .brief = true},
    {.name = "unlink, held", .kind = CALL_UNLINK_OPEN, .file = FILE_A},
    {.name = "unlink of another", .kind = CALL_UNLINK, .file = FILE_B},
    {.name = "unlink of a second name", .kind = CALL_UNLINK, .file = FILE_D},
    {.name = "unlink of a new one", .kind = CALL_UNLINK, .file = FILE_C},
    {.name = "unlink, long name", .kind = CALL_UNLINK, .file = FILE_X},
    {.name = "put", .kind = CALL_PUT, .file = FILE_A},
    {.name = "write into a hole", .kind = CALL_WRITE, .file = FILE_A, AT(-3, 0), LENGTH(1, 0), .brief = true},
    {.name = "write into part of a hole", .kind = CALL_WRITE, .file = FILE_A, AT(-4, 300), LENGTH(0, 100)},
    {.name = "append in the last block", .kind = CALL_WRITE, .file = FILE_A, AT(0, -104), LENGTH(0, 60)},
    {.name = "append over the edge", .kind = CALL_WRITE, .file = FILE_A, AT(0, -104), LENGTH(1, 200), .brief = true},
    {.name = "write behind a gap", .kind = CALL_WRITE, .file = FILE_A, AT(1, 16), LENGTH(0, 64)},
    {.name = "overwrite", .kind = CALL_WRITE, .file = FILE_A, AT(-2, 8), LENGTH(0, 48), .brief = true},
    {.name = "mapped store", .kind = CALL_STORE, .file = FILE_A, AT(-1, 16), LENGTH(0, 24), .brief = true},
    {.name = "mapped store into a hole", .kind = CALL_STORE, .file = FILE_A, AT(-3, 40), LENGTH(0, 16)},
    {.name = "fsync", .kind = CALL_FSYNC, .file = FILE_A, .brief = true},
    {.name = "fsync of a part", .kind = CALL_FSYNC_RANGE, .file = FILE_A, AT(-1, 0), LENGTH(0, 1)},
    {.name = "truncate up", .kind = CALL_TRUNCATE, .file = FILE_A, AT(1, 24), .brief = true},
    {.name = "truncate up past 4 GiB", .kind = CALL_TRUNCATE, .file = FILE_A, .absolute = GIB4 + 5000},
    {.name = "truncate to the edge", .kind = CALL_TRUNCATE, .file = FILE_A, AT(0, 0)},
    {.name = "truncate down", .kind = CALL_TRUNCATE, .file = FILE_A, AT(-2, 100), .brief = true},
    {.name = "truncate down, a little", .kind = CALL_TRUNCATE, .file = FILE_A, AT(-1, 72)},
    {.name = "truncate to nothing", .kind = CALL_TRUNCATE, .file = FILE_A, .absolute = UINT64_MAX, .brief = true},
    {.name = "punch inside", .kind = CALL_PUNCH, .file = FILE_A, AT(-2, 40), LENGTH(1, 0)},
    {.name = "punch a block", .kind = CALL_PUNCH, .file = FILE_A, AT(-2, 0), LENGTH(1, 0), .brief = true},
    {.name = "punch to the end", .kind = CALL_PUNCH, .file = FILE_A, AT(-2, 0), LENGTH(4, 0)},
    {.name = "zero inside", .kind = CALL_ZERO, .file = FILE_A, AT(-2, 44), LENGTH(1, 0)},
    {.name = "zero to the end", .kind = CALL_ZERO, .file = FILE_A, AT(-4, 0), LENGTH(6, 0)},
    {.name = "allocate", .kind = CALL_ALLOCATE, .file = FILE_A, AT(-4, 0), LENGTH(6, 0), .brief = true},
    {.name = "allocate behind the end", .kind = CALL_ALLOCATE, .file = FILE_A, AT(0, 0), LENGTH(2, 0)},
    {.name = "mode", .kind = CALL_SETATTR, .file = FILE_A, .absolute = EXT2DAX_SET_MODE},
    {.name = "owner", .kind = CALL_SETATTR, .file = FILE_A, .absolute = EXT2DAX_SET_UID | EXT2DAX_SET_GID},
    {.name = "flags", .kind = CALL_SETATTR, .file = FILE_A, .absolute = EXT2DAX_SET_FLAGS},
    {.name = "times", .kind = CALL_SETATTR, .file = FILE_A, .absolute = TIMES},
    {.name = "attributes", .kind = CALL_SETATTR, .file = FILE_A, .absolute = OWN | TIMES, .brief = true},
    {.name = "attributes of a new one", .kind = CALL_SETATTR, .file = FILE_C, .absolute = OWN | TIMES},
    {.name = "append to another", .kind = CALL_WRITE, .file = FILE_B, AT(-1, 40), LENGTH(3, 0), .brief = true},
    {.name = "truncate another", .kind = CALL_TRUNCATE, .file = FILE_B, AT(-1, 0)},
    {.name = "write to a new one", .kind = CALL_WRITE, .file = FILE_C, AT(-2, 0), LENGTH(2, 12), .brief = true},
    {.name = "set x", XATTR(SET, A, 0, 9), .brief = true},
    {.name = "set x longer", XATTR(SET, A, 0, 14), .brief = true},
    {.name = "set y", XATTR(SET, A, 1, 4), .brief = true},
    {.name = "set large z", XATTR(SET, A, 2, 301), .brief = true},
    {.name = "remove x", XATTR(REMOVE, A, 0, 0), .brief = true},
    {.name = "remove y", XATTR(REMOVE, A, 1, 0)},
    {.name = "set x of another", XATTR(SET, B, 0, 9), .brief = true},
    {.name = "set large z of another", XATTR(SET, B, 2, 301)},
    {.name = "set large z of a link", XATTR(SET, S, 2, 301)},
    {.name = "remove z of a link", XATTR(REMOVE, S, 2, 0)},
    {.name = "sync", .kind = CALL_SYNC},
    {.name = "freeze", .kind = CALL_FREEZE},
    {.name = "thaw", .kind = CALL_THAW},
    {.name = "remount", .kind = CALL_REMOUNT},
    {.name = "unmount", .kind = CALL_UNMOUNT},
};
const unsigned call_count = sizeof calls / sizeof calls[0];

static bool threes(struct crash_fixture *fixture, const struct plan *plan, bool (*enough)(void *arg), void *arg)
{
    const struct call *chosen[3];
    uint64_t turn = 0x9E3779B97F4A7C15u;

    for (unsigned i = 0; i < call_count * call_count * call_count; i++) {
        chosen[0] = &calls[i / (call_count * call_count)];
        chosen[1] = &calls[i / call_count % call_count];
        chosen[2] = &calls[i % call_count];
        if (!chosen[0]->brief || !chosen[1]->brief || !chosen[2]->brief)
            continue;
        turn = turn * 6364136223846793005u + 1442695040888963407u;
        if ((turn >> 33) % plan->three_in != 0)
            continue;
        (void)crash_fixture_run(fixture, chosen, 3);
        if (enough && enough(arg))
            return false;
    }
    return true;
}

bool plan_run(struct crash_fixture *fixture, const struct plan *plan, bool (*enough)(void *arg), void *arg)
{
    const struct call *chosen[2];

    for (unsigned i = 0; i < call_count; i++) {
        chosen[0] = &calls[i];
        if (crash_fixture_run(fixture, chosen, 1) && plan->recover && !(enough && enough(arg)))
            crash_fixture_recover(fixture);
        if (enough && enough(arg))
            return false;
    }
    crash_fixture_format(fixture);
    if (enough && enough(arg))
        return false;
    for (unsigned i = 0; plan->twos && i < call_count * call_count; i++) {
        chosen[0] = &calls[i / call_count];
        chosen[1] = &calls[i % call_count];
        (void)crash_fixture_run(fixture, chosen, 2);
        if (enough && enough(arg))
            return false;
    }
    return plan->three_in == 0 || threes(fixture, plan, enough, arg);
}
