/* SPDX-License-Identifier: MIT */
/* The calls of the crash fixture. Each runs a call of the library and updates the expectation. */
#include "crash_parts.h"

#include <stdlib.h>
#include <string.h>

#include "ext2dax/ondisk.h"

static const struct ext2dax_disk_inode *disk_of(struct crash_fixture *fixture, int file)
{
    struct ext2dax_stat figures;

    ext2dax_stat(fixture->inode[file], &figures, sizeof(figures));
    return image_inode(fixture->memory.base, fixture->base->block_size, figures.number);
}

static void attributes_synced(struct crash_fixture *fixture, int file)
{
    struct expect_file *f = &fixture->expect->file[file];

    if (!fixture->inode[file] || !f->is)
        return;
    f->attributes_known = true;
    image_attributes(fixture->memory.base, disk_of(fixture, file), f->attributes);
    memcpy(f->attributes_was, f->attributes, sizeof f->attributes);
}

static void synced(struct crash_fixture *fixture, int file)
{
    expect_synced(fixture->expect, file);
    attributes_synced(fixture, file);
}

static void all_synced(struct crash_fixture *fixture)
{
    for (int i = 0; i < EXPECT_FILES; i++)
        synced(fixture, i);
}

static uint64_t place_of(const struct crash_fixture *fixture, const struct call *call)
{
    if (call->absolute != 0)
        return call->absolute == UINT64_MAX ? 0 : call->absolute;
    return crash_edge(fixture, call->file) +
           (uint64_t)((int64_t)call->blocks * fixture->base->block_size + call->bytes);
}

static uint64_t length_of(const struct crash_fixture *fixture, const struct call *call)
{
    return (uint64_t)call->length_blocks * fixture->base->block_size + call->length_bytes;
}

static uint64_t size_now(struct crash_fixture *fixture, int file)
{
    struct ext2dax_stat figures;

    ext2dax_stat(fixture->inode[file], &figures, sizeof(figures));
    return figures.size;
}

/*
 * Corrects the expected size after a call which failed or did only a part. The part not done is
 * unchanged, except that zeroed blocks may have been allocated there.
 */
static void settle_size(struct crash_fixture *fixture, int file)
{
    struct expect_file *f = &fixture->expect->file[file];
    uint64_t size = size_now(fixture, file);

    if (size < f->size)
        expect_zero(fixture->expect, file, size, f->size);
    f->size = size;
}

static int do_write(struct crash_fixture *fixture, const struct call *call)
{
    struct expect_file *f = &fixture->expect->file[call->file];
    uint64_t at = place_of(fixture, call), length = length_of(fixture, call);
    unsigned char *bytes = malloc(length);
    int64_t done;

    /* Each call of the workload writes different bytes. */
    crash_fill(bytes, length, (unsigned)(call->file + 8 * (int)fixture->count + 3 * (call->blocks + 9)));
    expect_store(fixture->expect, call->file, at, bytes, length);
    if (at + length > f->size) {
        f->size = at + length;
        f->any_size = fixture->base->full;
    }
    done = ext2dax_write(fixture->inode[call->file], at, bytes, length);
    if (done != (int64_t)length) {
        expect_undo(fixture->expect, call->file, at, length);
        if (done > 0)
            expect_store(fixture->expect, call->file, at, bytes, (uint64_t)done);
        settle_size(fixture, call->file);
    }
    free(bytes);
    if (done == (int64_t)length)
        return 0;
    return done == -EXT2DAX_ENOSPC || done > 0 ? 1 : (int)done;
}

static int do_allocate(struct crash_fixture *fixture, const struct call *call)
{
    struct expect_file *f = &fixture->expect->file[call->file];
    uint64_t end = place_of(fixture, call) + length_of(fixture, call);
    int rc;

    if (end > f->size) {
        f->size = end;
        f->any_size = fixture->base->full;
    }
    rc = ext2dax_allocate(fixture->inode[call->file], place_of(fixture, call), length_of(fixture, call), false);
    settle_size(fixture, call->file);
    return rc == -EXT2DAX_ENOSPC ? 1 : rc;
}

#if CRASH_FAULTS
static int do_store(struct crash_fixture *fixture, const struct call *call)
{
    uint64_t at = place_of(fixture, call), length = length_of(fixture, call);
    unsigned char bytes[256];
    enum ext2dax_fault_result result;

    if (at + length > fixture->expect->file[call->file].size)
        return 2;
    crash_fill(bytes, length, (unsigned)(17 + fixture->count));
    expect_store(fixture->expect, call->file, at, bytes, length);
    if (!fixture->map)
        fixture->map = ext2dax_model_map(fixture->model, fixture->inode[FILE_A],
                                         fixture->base->edge - EXPECT_BLOCKS / 2, EXPECT_BLOCKS, true, true);
    result = ext2dax_model_write(fixture->map, at, bytes, length, false, false);
    if (result == EXT2DAX_FAULT_NOPAGE)
        return 0;
    expect_undo(fixture->expect, call->file, at, length);
    return result == EXT2DAX_FAULT_SIGBUS && fixture->base->full ? 1 : -EXT2DAX_EIO;
}

#else
static int do_store(struct crash_fixture *fixture, const struct call *call)
{
    (void)fixture;
    (void)call;
    return 2; /* this build serves no faults */
}
#endif

static int do_truncate(struct crash_fixture *fixture, const struct call *call)
{
    struct expect_file *f = &fixture->expect->file[call->file];
    uint64_t size = place_of(fixture, call), old = f->size;
    int rc;

    if (size < old)
        expect_store(fixture->expect, call->file, size, NULL, old - size);
    f->size = size;
    rc = ext2dax_truncate(fixture->inode[call->file], size);
    if (rc == 0 && size < old)
        expect_zero(fixture->expect, call->file, size, old);
    return rc;
}

static int do_punch(struct crash_fixture *fixture, const struct call *call)
{
    uint64_t from = place_of(fixture, call), to = from + length_of(fixture, call);
    uint64_t size = fixture->expect->file[call->file].size;
    int rc;

    to = to < size ? to : size;
    if (from >= to)
        return 2;
    expect_store(fixture->expect, call->file, from, NULL, to - from);
    rc = ext2dax_punch(fixture->inode[call->file], from, to - from);
    if (rc == 0)
        expect_zero(fixture->expect, call->file, from, to);
    return rc;
}

/* Zeroes in place. The zeroes are data over existing blocks, and a crash may keep old bytes. */
static int do_zero(struct crash_fixture *fixture, const struct call *call)
{
    uint64_t from = place_of(fixture, call), to = from + length_of(fixture, call);
    uint64_t size = fixture->expect->file[call->file].size;

    to = to < size ? to : size;
    if (from >= to)
        return 2;
    expect_store(fixture->expect, call->file, from, NULL, to - from);
    return ext2dax_zero_range(fixture->inode[call->file], from, length_of(fixture, call));
}

/* Syncs the PMD ranges which cover the range. Blocks in other PMD ranges keep their versions. */
static int do_fsync_range(struct crash_fixture *fixture, const struct call *call)
{
    uint64_t from = place_of(fixture, call), length = length_of(fixture, call);
    uint64_t range = (uint64_t)fixture->base->block_size << HUGE_ORDER;
    int rc = ext2dax_fsync_range(fixture->inode[call->file], from, length);

    expect_synced_range(fixture->expect, call->file, from & ~(range - 1), (from + length + range - 1) & ~(range - 1));
    attributes_synced(fixture, call->file);
    return rc;
}

static void expect_time(uint32_t *attributes, int field, int extra, struct ext2dax_time time, bool wide)
{
    attributes[field] = (uint32_t)time.seconds;
    if (wide)
        attributes[extra] = (uint32_t)((time.seconds - (int32_t)time.seconds) >> 32) | time.nanoseconds << 2;
}

/* Writes the expected fields of the selected attributes over `attributes`. */
static void expect_attributes(uint32_t *attributes, const struct ext2dax_attributes *wanted, bool wide)
{
    if ((wanted->set & EXT2DAX_SET_MODE) != 0)
        attributes[EXPECT_MODE] = (attributes[EXPECT_MODE] & EXT2DAX_S_IFMT) | wanted->mode;
    if ((wanted->set & EXT2DAX_SET_UID) != 0) {
        attributes[EXPECT_UID] = wanted->uid & 0xFFFF;
        attributes[EXPECT_UID_HIGH] = wanted->uid >> 16;
    }
    if ((wanted->set & EXT2DAX_SET_GID) != 0) {
        attributes[EXPECT_GID] = wanted->gid & 0xFFFF;
        attributes[EXPECT_GID_HIGH] = wanted->gid >> 16;
    }
    if ((wanted->set & EXT2DAX_SET_FLAGS) != 0)
        attributes[EXPECT_FLAGS] = wanted->flags;
    if ((wanted->set & EXT2DAX_SET_ATIME) != 0)
        expect_time(attributes, EXPECT_ATIME, EXPECT_ATIME_EXTRA, wanted->atime, wide);
    if ((wanted->set & EXT2DAX_SET_MTIME) != 0)
        expect_time(attributes, EXPECT_MTIME, EXPECT_MTIME_EXTRA, wanted->mtime, wide);
    if ((wanted->set & EXT2DAX_SET_CREATED) != 0 && wide)
        expect_time(attributes, EXPECT_CREATED, EXPECT_CREATED_EXTRA, wanted->created, wide);
    expect_time(attributes, EXPECT_CTIME, EXPECT_CTIME_EXTRA, wanted->ctime, wide);
}

/*
 * Sets other attributes in each call of the workload, with times past 2038 where inodes have room.
 */
static int do_setattr(struct crash_fixture *fixture, const struct call *call)
{
    struct expect_file *f = &fixture->expect->file[call->file];
    bool wide = image_wide(fixture->memory.base);
    int64_t epoch = wide ? (int64_t)fixture->count << 32 : 0;
    uint32_t count = fixture->count;
    struct ext2dax_attributes wanted = {.size = sizeof wanted,
                                        .set = (unsigned)call->absolute | EXT2DAX_SET_CTIME,
                                        .mode = (uint16_t)(04711 + count),
                                        .uid = 0x10001 * count + 1,
                                        .gid = 0x20003 * count + 2,
                                        .flags = count % 2 != 0 ? EXT2DAX_FL_NODUMP : EXT2DAX_FL_NOATIME,
                                        .mtime = {.seconds = epoch + 11 * count, .nanoseconds = 12 * count},
                                        .ctime = {.seconds = epoch + 13 * count, .nanoseconds = 14 * count},
                                        .atime = {.seconds = epoch + 15 * count, .nanoseconds = 16 * count},
                                        .created = {.seconds = epoch + 17 * count, .nanoseconds = 18 * count}};

    image_attributes(fixture->memory.base, disk_of(fixture, call->file), f->attributes);
    memcpy(f->attributes_was, f->attributes, sizeof f->attributes);
    expect_attributes(f->attributes, &wanted, wide);
    f->attributes_known = true;
    return ext2dax_setattr(fixture->inode[call->file], &wanted);
}

/*
 * Removes a name. Unless `open` is set, puts the reference to the file first, which writes dirty
 * data back. Removing the last name then frees the file.
 */
static int do_unlink(struct crash_fixture *fixture, const struct call *call, bool open)
{
    struct expect_file *f = &fixture->expect->file[call->file];
    char name[256];

    if (open && !fixture->inode[call->file])
        return 2;
    if (!open && fixture->inode[call->file]) {
        crash_put(fixture, call->file);
        expect_synced(fixture->expect, call->file);
    }
    f->is = false;
    fixture->unlinked = fixture->unlinked || open;
    return ext2dax_unlink(fixture->root, crash_name(f, name), f->name_length);
}

static int do_create(struct crash_fixture *fixture, const struct call *call)
{
    struct expect_file *f = &fixture->expect->file[call->file];
    int rc;

    /* A new file created under an old name has none of the old file's bytes. */
    for (int i = 0; i < EXPECT_BLOCKS; i++) {
        f->block[i].versions = 1;
        f->block[i].untouched = true;
        memset(f->block[i].version[0], 0, fixture->base->block_size);
    }
    f->is = true;
    f->size = f->size_was = 0;
    rc = crash_create(fixture, call->file);
    return rc == -EXT2DAX_ENOSPC ? 2 : rc;
}

static int do_xattr(struct crash_fixture *fixture, const struct call *call)
{
    char name[] = {'u', 's', 'e', 'r', '.', (char)('x' + call->blocks)};
    int old = fixture->expect->file[call->file].xattr[call->blocks].length;
    unsigned char bytes[EXPECT_MOST];
    int rc;

    if (call->kind == CALL_REMOVE_XATTR) {
        if (old < 0)
            return 2;
        expect_xattr(fixture->expect, call->file, call->blocks, NULL, -1);
        return ext2dax_removexattr(fixture->inode[call->file], name, sizeof name);
    }
    /* Values differ by call and file, or by nothing, so that blocks are shared. */
    crash_fill(bytes, (size_t)call->bytes,
               (unsigned)call->blocks +
                   (fixture->base->distinct ? 11 * fixture->count + 40 * (unsigned)call->file : 0));
    expect_xattr(fixture->expect, call->file, call->blocks, bytes, call->bytes);
    /* Without room for both values, a value in the inode is replaced in place. */
    fixture->expect->file[call->file].xattr[call->blocks].rewritten = fixture->base->populated && old >= 0;
    rc = ext2dax_setxattr(fixture->inode[call->file], name, sizeof name, bytes, (size_t)call->bytes, 0);
    if (rc != -EXT2DAX_ENOSPC || !fixture->base->populated)
        return rc;
    fixture->expect->file[call->file].xattr[call->blocks] = fixture->start->file[call->file].xattr[call->blocks];
    return 2;
}

/* Returns whether calls of the kind are part of workloads on this base. */
static bool fits_base(const struct base *base, enum call_kind kind)
{
    bool xattr = kind == CALL_SET_XATTR || kind == CALL_REMOVE_XATTR;

    if (!base->xattrs)
        return !xattr;
    return xattr || kind == CALL_UNLINK || kind == CALL_SYNC || kind == CALL_UNMOUNT;
}

static int do_put(struct crash_fixture *fixture, const struct call *call)
{
    if (!fixture->inode[call->file])
        return 2;
    crash_put(fixture, call->file);
    expect_synced(fixture->expect, call->file);
    fixture->unlinked = false;
    return 0;
}

static int do_remount(struct crash_fixture *fixture)
{
    int rc = ext2dax_remount(fixture->mount, EXT2DAX_MOUNT_READ_ONLY);

    if (rc == -EXT2DAX_EBUSY)
        return 2;
    if (rc == 0)
        rc = ext2dax_remount(fixture->mount, 0);
    all_synced(fixture);
    return rc;
}

static int do_unmount(struct crash_fixture *fixture)
{
    int rc = crash_close_mount(fixture);

    all_synced(fixture);
    fixture->unlinked = false;
    fixture->closed = true;
    return rc;
}

int crash_perform(struct crash_fixture *fixture, const struct call *call)
{
    struct expect_file *f = &fixture->expect->file[call->file];
    int rc = 0;

    if (!fits_base(fixture->base, call->kind))
        return 2;
    if (call->kind == CALL_CREATE ? f->is || fixture->inode[call->file] : call->kind < CALL_PUT && !f->is)
        return 2;
    if (!fixture->mount || (call->kind >= CALL_WRITE && call->kind < CALL_PUT && !fixture->inode[call->file]) ||
        (fixture->frozen && call->kind != CALL_THAW && call->kind != CALL_SYNC && call->kind != CALL_FSYNC &&
         call->kind != CALL_FSYNC_RANGE))
        return 2;
    switch (call->kind) {
    case CALL_CREATE:
        return do_create(fixture, call);
    case CALL_UNLINK:
        return do_unlink(fixture, call, false);
    case CALL_UNLINK_OPEN:
        return do_unlink(fixture, call, true);
    case CALL_WRITE:
        return do_write(fixture, call);
    case CALL_STORE:
        return do_store(fixture, call);
    case CALL_TRUNCATE:
        return do_truncate(fixture, call);
    case CALL_PUNCH:
        return do_punch(fixture, call);
    case CALL_ZERO:
        return do_zero(fixture, call);
    case CALL_ALLOCATE:
        return do_allocate(fixture, call);
    case CALL_SETATTR:
        return do_setattr(fixture, call);
    case CALL_SET_XATTR:
    case CALL_REMOVE_XATTR:
        return do_xattr(fixture, call);
    case CALL_FSYNC:
        rc = ext2dax_fsync(fixture->inode[call->file]);
        synced(fixture, call->file);
        return rc;
    case CALL_FSYNC_RANGE:
        return do_fsync_range(fixture, call);
    case CALL_PUT:
        return do_put(fixture, call);
    case CALL_SYNC:
        rc = ext2dax_sync(fixture->mount);
        all_synced(fixture);
        return rc;
    case CALL_FREEZE:
        rc = ext2dax_freeze(fixture->mount);
        all_synced(fixture);
        fixture->frozen = true;
        fixture->closed = !fixture->unlinked;
        return rc;
    case CALL_THAW:
        if (!fixture->frozen)
            return 2;
        fixture->frozen = fixture->closed = false;
        return ext2dax_thaw(fixture->mount);
    case CALL_REMOUNT:
        return do_remount(fixture);
    case CALL_UNMOUNT:
        return do_unmount(fixture);
    }
    return 2;
}
