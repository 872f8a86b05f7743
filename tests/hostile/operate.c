/* SPDX-License-Identifier: MIT */
#include "operate.h"

#include <stdlib.h>
#include <string.h>

#include "session.h"

#define SLOTS   4u
#define PINS    2u
#define MAPPED  24u /* pages of a mapping */
#define IO_MOST ((size_t)20000)

static struct {
    struct ext2dax_inode *inode[SLOTS];
    struct ext2dax_model_map *map[SLOTS];
    uint64_t first[SLOTS]; /* page of the mapping */
    struct ext2dax_pin pin[PINS];
    bool pinned[PINS];
    unsigned char buffer[IO_MOST];
} o;

/* The arguments of an operation. */
struct arguments {
    unsigned slot, other; /* inodes */
    uint8_t a, b, c, d;
};

static struct ext2dax_inode *of(unsigned slot)
{
    return o.inode[slot % SLOTS];
}

static void unmap(unsigned slot)
{
    if (o.map[slot])
        ext2dax_model_unmap(o.map[slot]);
    o.map[slot] = NULL;
}

static void put(unsigned slot)
{
    unmap(slot);
    if (!o.inode[slot])
        return;
    ext2dax_inode_put(o.inode[slot]);
    o.inode[slot] = NULL;
    (void)session_after(0); /* the last put of an unlinked file changes the image */
}

static void keep(unsigned slot, struct ext2dax_inode *inode)
{
    put(slot);
    o.inode[slot] = inode;
}

/* A name of the image, a new name, or an impossible name. */
static const char *name_of(uint8_t which, size_t *length)
{
    static const char *const names[] = {"f", "d", "l", "s", "n", "h", "u", "g", "e", "new", "x", ".", "..", "a/b", ""};
    static char longest[256];
    size_t count = sizeof(names) / sizeof(names[0]);

    if (which % (count + 2) < count) {
        *length = strlen(names[which % (count + 2)]);
        return names[which % (count + 2)];
    }
    memset(longest, 'n', sizeof(longest));
    longest[0] = (char)('0' + which / 32);
    *length = which % (count + 2) == count ? 240 : 255 + (which >> 7);
    return longest;
}

/* Offsets where the block tree changes depth, at the end of the file, or past any file. */
static uint64_t offset_of(const struct ext2dax_inode *inode, uint8_t a, uint8_t b)
{
    uint64_t bs = session.small->block_size, p = bs / 4;
    const uint64_t blocks[] = {0, 1, 2, 7, 8, 11, 12, 13, 14, 12 + p - 1, 12 + p, 12 + p + p * p, 4000000};
    struct ext2dax_stat stat;

    ext2dax_stat(inode, &stat, sizeof(stat));
    switch (a >> 5) {
    case 0:
        return stat.size + b - (stat.size >= 128 ? 128 : 0);
    case 1:
        return UINT64_MAX - b;
    case 2:
        return (uint64_t)b << (a & 31) << 4;
    default:
        return blocks[(a & 31) % (sizeof(blocks) / sizeof(blocks[0]))] * bs + (b & 3) * (bs / 4 - 1) + (b >> 6);
    }
}

static uint64_t length_of(uint8_t c)
{
    return c >= 250 ? UINT64_MAX >> (c - 250) * 8 : 1 + (uint64_t)c * session.small->block_size / 8;
}

static size_t io_length(uint8_t c)
{
    uint64_t length = length_of(c);

    return length > IO_MOST ? IO_MOST : (size_t)length;
}

static uint64_t first_page(const struct arguments *g)
{
    return offset_of(of(g->slot), g->a & 0xE7, g->b) >> session.small->page_shift;
}

/* ---- calls which find ---- */

static void get(const struct arguments *g)
{
    struct ext2dax_inode *inode;

    if (READ(ext2dax_inode_get(session.mount, g->a % (session.small->inodes + 2), &inode)) == 0)
        keep(g->slot, inode);
}

static void lookup(const struct arguments *g)
{
    struct ext2dax_inode *inode;
    size_t length;
    const char *name = name_of(g->a, &length);

    if (READ(ext2dax_lookup(of(g->slot), name, length, &inode)) == 0)
        keep(g->other, inode);
}

static void lookup_path(const struct arguments *g)
{
    static const char *const paths[] = {"/d/e/../../l", "l", "s/..", "/d/g", "f/x", "//", "d/../d/../d/e", "n"};
    const char *path = paths[g->a % (sizeof(paths) / sizeof(paths[0]))];
    struct ext2dax_inode *inode;

    if (READ(ext2dax_lookup_path(session.mount, path, strlen(path), g->b & 1 ? EXT2DAX_NO_FOLLOW : 0, &inode)) == 0)
        keep(g->other, inode);
}

static int each_name(void *arg, const struct ext2dax_entry *entry)
{
    MUST(entry->number != 0 && entry->name_length >= 1 && entry->name_length <= 255);
    MUST(!memchr(entry->name, '/', entry->name_length) && !memchr(entry->name, 0, entry->name_length));
    return --*(int *)arg == 0;
}

static void readdir(const struct arguments *g)
{
    int names = 200;

    (void)READ(ext2dax_readdir(of(g->slot), (uint64_t)g->a * g->b, each_name, &names));
    (void)READ_COUNT(ext2dax_readlink(of(g->slot), (char *)o.buffer, g->c));
}

static void map(const struct arguments *g)
{
    struct ext2dax_run run;
    uint64_t at = offset_of(of(g->slot), g->a, g->b) / session.small->block_size;

    for (unsigned i = 0; i < 4 && READ(ext2dax_map(of(g->slot), at, length_of(g->c), &run)) == 0; i++) {
        MUST(run.length != 0 && run.logical == at);
        if (run.physical != 0)
            session_data(run.physical, run.length);
        at += run.length;
    }
    (void)READ_COUNT(ext2dax_seek(of(g->slot), at, g->d & 1 ? EXT2DAX_SEEK_DATA : EXT2DAX_SEEK_HOLE));
}

static void read(const struct arguments *g)
{
    (void)READ_COUNT(ext2dax_read(of(g->slot), offset_of(of(g->slot), g->a, g->b), o.buffer, io_length(g->c)));
}

/* ---- calls which change a file ---- */

/* A write without room for a byte may have freed a block past the end of the file. */
static void write(const struct arguments *g)
{
    uint64_t offset = offset_of(of(g->slot), g->a, g->b);
    int64_t result;

    session_before();
    result = REPORTED_COUNT(ext2dax_write(of(g->slot), offset, o.buffer, io_length(g->c)));
    (void)session_after(result == -EXT2DAX_ENOSPC ? 0 : result);
}

static void truncate(const struct arguments *g)
{
    (void)CALL(ext2dax_truncate(of(g->slot), offset_of(of(g->slot), g->a, g->b)));
}

static void punch(const struct arguments *g)
{
    uint64_t offset = offset_of(of(g->slot), g->a, g->b);

    if (g->d & 1)
        (void)CALL(ext2dax_zero_range(of(g->slot), offset, length_of(g->c)));
    else
        (void)CALL(ext2dax_punch(of(g->slot), offset, length_of(g->c)));
}

/* Blocks allocated before a failure stay. */
static void allocate(const struct arguments *g)
{
    (void)REPORTED(ext2dax_allocate(of(g->slot), offset_of(of(g->slot), g->a, g->b), length_of(g->c), g->d & 1));
    (void)session_after(0);
}

static void fsync(const struct arguments *g)
{
    switch (g->d % 3) {
    case 0:
        (void)CALL(ext2dax_fsync(of(g->slot)));
        break;
    case 1:
        (void)CALL(ext2dax_fsync_range(of(g->slot), offset_of(of(g->slot), g->a, g->b), length_of(g->c)));
        break;
    default:
        (void)CALL(ext2dax_sync(session.mount));
    }
}

static void setattr(const struct arguments *g)
{
    struct ext2dax_attributes wanted = {.size = sizeof(wanted),
                                        .set = g->a | (unsigned)(g->b & 7) << 8,
                                        .mode = (uint16_t)(g->c << 4),
                                        .uid = (uint32_t)g->d << 12,
                                        .gid = (uint32_t)g->c << 12,
                                        .flags = g->b & 8 ? 1u << (g->d & 31) : 0,
                                        .mtime = {.seconds = (int64_t)g->c << 28, .nanoseconds = g->d},
                                        .atime = {.seconds = -((int64_t)g->d << 28), .nanoseconds = g->c}};

    (void)CALL(ext2dax_setattr(of(g->slot), &wanted));
}

static void xattr(const struct arguments *g)
{
    static const char *const names[] = {"user.a", "user.b", "user.", "system.posix_acl_access", "none.x", "trusted.t"};
    const char *name = names[g->a % (sizeof(names) / sizeof(names[0]))];
    size_t length = strlen(name);

    switch (g->b % 4) {
    case 0:
        (void)READ_COUNT(ext2dax_getxattr(of(g->slot), name, length, o.buffer, g->c));
        break;
    case 1:
        (void)READ_COUNT(ext2dax_listxattr(of(g->slot), (char *)o.buffer, g->c));
        break;
    case 2:
        (void)CALL(ext2dax_setxattr(of(g->slot), name, length, o.buffer, g->c * (size_t)(g->d & 31), g->d >> 6));
        break;
    default:
        (void)CALL(ext2dax_removexattr(of(g->slot), name, length));
    }
}

/* ---- calls which change names ---- */

static void make(const struct arguments *g)
{
    static const uint16_t types[] = {EXT2DAX_S_IFREG, EXT2DAX_S_IFDIR,  EXT2DAX_S_IFLNK, EXT2DAX_S_IFCHR,
                                     EXT2DAX_S_IFBLK, EXT2DAX_S_IFSOCK, EXT2DAX_S_IFIFO, 0x3000};
    size_t length;
    const char *name = name_of(g->a, &length);
    struct ext2dax_creation creation = {
        .size = sizeof(creation),
        .attributes = {.size = sizeof(creation.attributes), .mode = types[g->b % (sizeof(types) / sizeof(types[0]))]},
        .device_major = g->c,
        .device_minor = g->d,
        .target = "/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/0/1/2/3/4/5/6/7/8",
        .target_length = g->c % 64};
    struct ext2dax_inode *inode;

    if (CALL(ext2dax_create_as(of(g->slot), name, length, &creation, &inode)) == 0)
        keep(g->other, inode);
    else
        MUST(!inode);
}

static void remove_name(const struct arguments *g)
{
    size_t length;
    const char *name = name_of(g->a, &length);

    if (g->b & 1)
        (void)CALL(ext2dax_unlink(of(g->slot), name, length));
    else
        (void)CALL(ext2dax_rmdir(of(g->slot), name, length));
}

static void link_name(const struct arguments *g)
{
    size_t length;
    const char *name = name_of(g->a, &length);

    (void)CALL(ext2dax_link(of(g->other), of(g->slot), name, length));
}

static void rename_name(const struct arguments *g)
{
    size_t from_length, to_length;
    char from[256];
    const char *to;

    to = name_of(g->a, &from_length);
    memcpy(from, to, from_length < sizeof(from) ? from_length : sizeof(from));
    to = name_of(g->b, &to_length);
    (void)CALL(ext2dax_rename(of(g->slot), from, from_length, of(g->other), to, to_length, g->c % 4));
}

/* ---- faults ---- */

static void map_window(const struct arguments *g)
{
    unmap(g->slot);
    o.first[g->slot] = first_page(g) % 4096;
    o.map[g->slot] =
        ext2dax_model_map(session.model, of(g->slot), o.first[g->slot], MAPPED, (g->c & 1) != 0, (g->c & 2) != 0);
    MUST(o.map[g->slot]);
}

/* An embedder faults only on pages of a mapping. */
static uint64_t page_of(const struct arguments *g)
{
    return o.first[g->slot] + first_page(g) % MAPPED;
}

/* Maps the start of the file if nothing is mapped. */
static void need_window(const struct arguments *g)
{
    if (o.map[g->slot])
        return;
    o.first[g->slot] = 0;
    o.map[g->slot] = ext2dax_model_map(session.model, of(g->slot), 0, MAPPED, (g->d & 0x30) != 0, true);
    MUST(o.map[g->slot]);
}

static void fault(const struct arguments *g)
{
    enum ext2dax_fault_result (*const entries[])(struct ext2dax_fault *) = {ext2dax_fault, ext2dax_pmd_fault,
                                                                            ext2dax_mkwrite, ext2dax_pfn_mkwrite};
    struct ext2dax_fault f;

    need_window(g);
    ext2dax_model_fault(o.map[g->slot], page_of(g), (g->c & 1) != 0 || (g->d & 3) >= 2, &f);
    f.pages_wanted = g->c >> 4;
    (void)entries[g->d & 3](&f);
    (void)session_after(0);
}

static void touch(const struct arguments *g)
{
    unsigned char byte = g->d;
    uint64_t at;

    need_window(g);
    at = (page_of(g) << session.small->page_shift) + g->b;
    if (g->c & 1)
        (void)ext2dax_model_write(o.map[g->slot], at, &byte, 1, (g->c & 2) != 0, false);
    else
        (void)ext2dax_model_read(o.map[g->slot], at, &byte, 1, (g->c & 2) != 0, false);
    (void)session_after(0);
}

static void pin(const struct arguments *g)
{
    unsigned which = g->d % PINS;
    uint64_t offset = offset_of(of(g->slot), g->a, g->b);
    size_t length;
    void *at;

    if (o.pinned[which]) {
        ext2dax_unpin(&o.pin[which]);
        o.pinned[which] = false;
        (void)session_after(0);
        return;
    }
    /* A writable pin that fails may have filled holes with zeroes. */
    if (REPORTED(ext2dax_pin(of(g->slot), offset, length_of(g->c), (g->d & 2) != 0, &o.pin[which])) == 0) {
        o.pinned[which] = true;
        if (REPORTED(ext2dax_pin_pointer(&o.pin[which], offset, &at, &length)) == 0) {
            uint64_t into = (uint64_t)((unsigned char *)at - session.base), bs = session.small->block_size;

            MUST(length != 0);
            session_data(into / bs, (into % bs + length - 1) / bs + 1);
        }
    }
    (void)session_after(0);
}

/* ---- calls on the mount ---- */

static void freeze(const struct arguments *g)
{
    (void)g;
    /* Calls that modify wait while frozen, so only some calls are made. */
    session.frozen = true;
    if (CALL(ext2dax_freeze(session.mount)) != 0) {
        session.frozen = false;
        return;
    }
    if (o.map[g->slot])
        touch(g);
    (void)READ_COUNT(ext2dax_read(of(g->slot), 0, o.buffer, 100));
    MUST(CALL(ext2dax_freeze(session.mount)) == -EXT2DAX_EBUSY);
    session.frozen = false;
    MUST(CALL(ext2dax_thaw(session.mount)) == 0);
}

static void remount(const struct arguments *g)
{
    reports_forget();
    session_before();
    (void)session_after(ext2dax_remount(session.mount, g->a & 1 ? EXT2DAX_MOUNT_READ_ONLY : 0));
}

static void put_slot(const struct arguments *g)
{
    put(g->slot);
}

static const struct operation {
    void (*run)(const struct arguments *g);
    bool needs_inode, faults;
} operations[] = {
    {get, false, true},         {lookup, true, true},     {lookup_path, false, false}, {readdir, true, false},
    {map, true, true},          {read, true, false},      {write, true, true},         {truncate, true, true},
    {punch, true, true},        {allocate, true, true},   {fsync, true, true},         {setattr, true, false},
    {xattr, true, false},       {make, true, false},      {remove_name, true, true},   {link_name, true, false},
    {rename_name, true, false}, {map_window, true, true}, {fault, true, true},         {touch, true, true},
    {pin, true, true},          {freeze, true, true},     {remount, false, true},      {put_slot, true, true},
};
#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

void operate(const uint8_t *bytes, bool faults)
{
    static const uint8_t fault_kinds[] = {17, 18, 19, 18, 19, 7, 8, 20};
    const struct operation *operation = &operations[bytes[0] % OPERATIONS];
    struct arguments g = {bytes[1] % SLOTS, (bytes[1] >> 2) % SLOTS, bytes[2], bytes[3], bytes[4], bytes[5]};

    if (faults && !operation->faults)
        operation = &operations[fault_kinds[bytes[0] / OPERATIONS % sizeof(fault_kinds)]];
    if (operation->needs_inode && !of(g.slot)) {
        /* Mostly files, because only files can be mapped. */
        static const char *const paths[] = {"f", "f", "h", "u", "/", "d", "d/g", "l"};
        const char *path = paths[bytes[1] >> 4 & 7];
        struct ext2dax_inode *inode;

        if (READ(ext2dax_lookup_path(session.mount, path, strlen(path), EXT2DAX_NO_FOLLOW, &inode)) != 0)
            return;
        keep(g.slot, inode);
    }
    if (operation->needs_inode && !of(g.other)) {
        ext2dax_inode_hold(of(g.slot));
        keep(g.other, of(g.slot));
    }
    operation->run(&g);
}

void operate_on_all(bool changes)
{
    for (uint8_t number = 1; number <= session.small->inodes; number++) {
        struct arguments g = {0, 1, number, 0, 255, 0};

        get(&g);
        if (!of(0) || of(0)->number != number)
            continue;
        g.a = 0x60; /* from the start */
        map(&g);
        read(&g);
        readdir(&g);
        g.c = 3;
        map_window(&g);
        for (g.b = 0; g.b < 64; g.b += 9) {
            g.a = 0x60 + g.b / 9;
            g.d = g.b & 3;
            fault(&g);
            touch(&g);
        }
        g.a = 0x60;
        g.b = 0;
        xattr(&g);
        if (changes && number > 2) {
            g.b = 1;
            g.c = 40;
            write(&g);
            truncate(&g);
        }
        put_slot(&g);
    }
}

void operate_end(void)
{
    for (unsigned i = 0; i < PINS; i++) {
        if (o.pinned[i])
            ext2dax_unpin(&o.pin[i]);
        o.pinned[i] = false;
    }
    for (unsigned i = 0; i < SLOTS; i++)
        put(i);
}
