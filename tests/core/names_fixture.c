/* SPDX-License-Identifier: MIT */
/*
 * Fixture with plain plugs over a mapped file, so e2fsck sees the stores of the library before an
 * unmount.
 */
#include "names_fixture.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/testkit/checker.h"
#include "../host_ops.h"

#define GUARD 65536u

/* ---- commands ---- */

static int shell(struct fixture *f, const char *format, va_list args)
{
    char command[2048];
    int status, length = snprintf(command, sizeof(command), "{ ");

    length += vsnprintf(command + length, sizeof(command) - (size_t)length, format, args);
    ck_assert((size_t)length + sizeof(f->path) + 20 < sizeof(command));
    snprintf(command + length, sizeof(command) - (size_t)length, "; } >%s.out 2>&1", f->path);
    status = system(command);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

int run(struct fixture *f, const char *format, ...)
{
    va_list args;
    int status;

    va_start(args, format);
    status = shell(f, format, args);
    va_end(args);
    return status;
}

static void show_output(struct fixture *f)
{
    char name[128], line[256];
    FILE *out;

    snprintf(name, sizeof(name), "%s.out", f->path);
    out = fopen(name, "r");
    while (out && fgets(line, sizeof(line), out))
        fputs(line, stderr);
    if (out)
        fclose(out);
}

bool fixture_tools(void)
{
    if (system(
            "PATH=$PATH:/usr/sbin:/sbin; (command -v mke2fs && command -v e2fsck && command -v debugfs) >/dev/null") ==
        0)
        return true;
    puts("skipped: mke2fs, e2fsck and debugfs are needed");
    return false;
}

/* ---- plugs ---- */

static void *host_alloc(void *ctx, size_t bytes)
{
    struct fixture *f = ctx;

    if (f->allocs_left >= 0 && f->allocs_left-- == 0)
        return NULL;
    __atomic_add_fetch(&f->allocated, (long)bytes, __ATOMIC_RELAXED);
    return malloc(bytes);
}

static void host_release(void *ctx, void *at, size_t bytes)
{
    struct fixture *f = ctx;

    __atomic_sub_fetch(&f->allocated, (long)bytes, __ATOMIC_RELAXED);
    free(at);
}

static void host_log(void *ctx, const struct ext2dax_report *report)
{
    struct fixture *f = ctx;

    f->reports++;
    f->last = *report;
}

static int memory_fence(void *ctx)
{
    struct fixture *f = ctx;

    if (f->fences_left == 0)
        return -EXT2DAX_EIO;
    if (f->fences_left > 0)
        f->fences_left--;
    if (f->fenced)
        f->fenced(f);
    return 0;
}

static int memory_check(void *ctx, const void *at, size_t length)
{
    const struct fixture *f = ctx;
    const unsigned char *from = at;

    return f->poison >= from && f->poison < from + length ? -EXT2DAX_EIO : 0;
}

static const struct ext2dax_host_ops host_ops = {
    .size = sizeof(host_ops),
    .alloc = host_alloc,
    .release = host_release,
    .now = fixed_now,
    .log = host_log,
    .panic = print_panic,
    .may_use_reserved = always_may_use_reserved,
};

static const struct ext2dax_memory_ops memory_ops = {
    .size = sizeof(memory_ops), .fence = memory_fence, .check = memory_check};

/* ---- the image ---- */

void fixture_name(struct fixture *f)
{
    struct stat there;

    memset(f, 0, sizeof(*f));
    f->fd = -1;
    f->allocs_left = f->fences_left = -1;
    /* A killed process leaves its folder, and a later process may have the same number. */
    snprintf(f->path, sizeof(f->path), "%s/ext2dax-names-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : (stat("/dev/shm", &there) == 0 ? "/dev/shm" : "/tmp"));
    ck_assert_ptr_nonnull(mkdtemp(f->path));
    strcat(f->path, "/image");
}

static void map_file(struct fixture *f)
{
    f->fd = open(f->path, O_RDWR);
    ck_assert_int_ge(f->fd, 0);
    f->size = (size_t)lseek(f->fd, 0, SEEK_END);
    /* A guard area without access follows the image. */
    f->base = mmap(NULL, f->size + GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(f->base, MAP_FAILED);
    ck_assert_ptr_eq(mmap(f->base, f->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, f->fd, 0), f->base);
}

void fixture_open(struct fixture *f, unsigned kib, const char *options, ...)
{
    char text[1024];
    va_list args;

    fixture_name(f);
    va_start(args, options);
    ck_assert_int_lt(vsnprintf(text, sizeof(text), options, args), (int)sizeof(text));
    va_end(args);
    if (run(f, "PATH=$PATH:/usr/sbin:/sbin; mke2fs -q -F -t ext2 -m 0 %s %s %uk", text, f->path, kib) != 0) {
        show_output(f);
        ck_abort_msg("mke2fs failed");
    }
    map_file(f);
}

void fixture_open_copy(struct fixture *f, const struct fixture *original)
{
    fixture_name(f);
    ck_assert_int_eq(run(f, "cp %s %s", original->path, f->path), 0);
    map_file(f);
}

void fixture_close(struct fixture *f)
{
    if (f->mount)
        fixture_unmount(f);
    if (f->fd >= 0) {
        munmap(f->base, f->size + GUARD);
        close(f->fd);
    }
    ck_assert_int_eq(f->allocated, 0);
    (void)run(f, "path=%s; rm -rf \"${path%%/*}\"", f->path);
}

void fixture_format(struct fixture *f, uint32_t block_size, uint32_t inodes)
{
    struct ext2dax_memory memory = {&memory_ops, f, f->base, f->size, EXT2DAX_MEMORY_PERSISTENT};
    struct ext2dax_format_options options = {.size = sizeof(options), .block_size = block_size, .inodes = inodes};

    ck_assert_int_eq(ext2dax_format(&memory, &options, NULL), 0);
}

int fixture_try_mount(struct fixture *f, struct ext2dax_locks locks, unsigned flags)
{
    /* aborts on a lock-order violation */
    struct ext2dax_lock_order *order = ext2dax_lock_order_open(locks, NULL, NULL);
    struct ext2dax_plugs plugs = {.locks = ext2dax_lock_order_locks(order),
                                  .memory = {&memory_ops, f, f->base, f->size, EXT2DAX_MEMORY_PERSISTENT},
                                  .host = {&host_ops, f}};
    struct ext2dax_mount_options options = {.size = sizeof(options),
                                            .flags = flags,
                                            .recover = ext2dax_recover,
                                            .verify = ext2dax_verify,
                                            .name_table_bytes = f->name_table_bytes};

    int error = ext2dax_mount(&plugs, &options, &f->mount);

    if (error != 0)
        ext2dax_lock_order_close(order);
    else
        f->order = order;
    return error;
}

void fixture_mount(struct fixture *f)
{
    int error = fixture_try_mount(f, ext2dax_locks_none(), 0);

    if (error != 0) {
        char text[256];

        ext2dax_report_text(&f->last, text, sizeof(text));
        ck_abort_msg("mount: %s (%s)", ext2dax_strerror(error), text);
    }
}

void fixture_unmount(struct fixture *f)
{
    ck_assert_int_eq(ext2dax_unmount(f->mount), 0);
    f->mount = NULL;
    ext2dax_lock_order_returned(f->order);
    ext2dax_lock_order_close(f->order);
}

static void show_finding(void *arg, const struct ext2dax_finding *finding)
{
    char text[256];

    (void)arg;
    ext2dax_finding_text(finding, text, sizeof(text));
    fprintf(stderr, "checker: %s\n", text);
}

void check_clean(struct fixture *f)
{
    unsigned flags = f->mount ? EXT2DAX_CHECK_MOUNTED : 0;

    if (run(f, "PATH=$PATH:/usr/sbin:/sbin; e2fsck -fn %s", f->path) != 0) {
        show_output(f);
        ck_abort_msg("e2fsck -fn is not content");
    }
    ck_assert_int_eq(ext2dax_check_image(f->base, f->size, flags, show_finding, NULL, NULL), 0);
}

/* ---- editing the image ---- */

uint32_t raw32(struct ext2dax_le32 v)
{
    const unsigned char *b = (const unsigned char *)&v;

    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

struct ext2dax_le32 raw_le32(uint32_t v)
{
    unsigned char b[4] = {(unsigned char)v, (unsigned char)(v >> 8), (unsigned char)(v >> 16),
                          (unsigned char)(v >> 24)};
    struct ext2dax_le32 le;

    memcpy(&le, b, sizeof(le));
    return le;
}

struct ext2dax_le16 raw_le16(uint32_t v)
{
    unsigned char b[2] = {(unsigned char)v, (unsigned char)(v >> 8)};
    struct ext2dax_le16 le;

    memcpy(&le, b, sizeof(le));
    return le;
}

static size_t raw_block_size(struct fixture *f)
{
    struct ext2dax_disk_super *super = (void *)(f->base + EXT2DAX_SUPER_OFFSET);

    return (size_t)1024 << raw32(super->log_block_size);
}

struct ext2dax_disk_inode *raw_inode(struct fixture *f, uint32_t number)
{
    struct ext2dax_disk_super *super = (void *)(f->base + EXT2DAX_SUPER_OFFSET);
    size_t block_size = raw_block_size(f);
    uint32_t per_group = raw32(super->inodes_per_group);
    size_t inode_size = 128;
    struct ext2dax_disk_group *groups = (void *)(f->base + (raw32(super->first_data_block) + 1) * block_size);
    struct ext2dax_disk_group *group = &groups[(number - 1) / per_group];

    if (raw32(super->revision) != 0)
        inode_size = ((const unsigned char *)&super->inode_size)[0] |
                     (size_t)((const unsigned char *)&super->inode_size)[1] << 8;
    return (void *)(f->base + raw32(group->inode_table) * block_size + (number - 1) % per_group * inode_size);
}

unsigned char *raw_block(struct fixture *f, uint32_t number, unsigned index)
{
    return f->base + raw32(raw_inode(f, number)->block[index]) * raw_block_size(f);
}

/* ---- helpers ---- */

struct ext2dax_inode *find(struct fixture *f, const char *path)
{
    struct ext2dax_inode *inode;

    ck_assert_int_eq(ext2dax_lookup_path(f->mount, path, strlen(path), 0, &inode), 0);
    return inode;
}

int try_create(struct ext2dax_inode *directory, const char *name)
{
    struct ext2dax_inode *inode;
    int error = ext2dax_create(directory, name, strlen(name), 0640, 70000, 8, &inode);

    if (error == 0)
        ext2dax_inode_put(inode);
    else
        ck_assert_ptr_null(inode);
    return error;
}

void create(struct ext2dax_inode *directory, const char *name)
{
    int error = try_create(directory, name);

    ck_assert_msg(error == 0, "create %.40s: %s", name, ext2dax_strerror(error));
}

int try_unlink(struct ext2dax_inode *directory, const char *name)
{
    return ext2dax_unlink(directory, name, strlen(name));
}

bool exists(struct ext2dax_inode *directory, const char *name)
{
    struct ext2dax_inode *inode;
    int error = ext2dax_lookup(directory, name, strlen(name), &inode);

    if (error == 0)
        ext2dax_inode_put(inode);
    else
        ck_assert_int_eq(error, -EXT2DAX_ENOENT);
    return error == 0;
}

static int count_one(void *arg, const struct ext2dax_entry *entry)
{
    if (entry->name[0] != '.')
        ++*(unsigned *)arg;
    return 0;
}

unsigned count_entries(struct ext2dax_inode *directory)
{
    unsigned count = 0;

    ck_assert_int_eq(ext2dax_readdir(directory, 0, count_one, &count), 0);
    return count;
}

uint64_t free_inodes(struct fixture *f)
{
    struct ext2dax_statfs figures;

    ext2dax_statfs(f->mount, &figures, sizeof(figures));
    return figures.free_inodes;
}

uintptr_t fences(struct fixture *f)
{
    struct ext2dax_counters counters;

    ext2dax_count(f->mount, &counters, sizeof(counters));
    return counters.fences;
}

uint32_t noise(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* ---- debugfs ---- */

/* A listing by debugfs "ls -p", with lines of the form /inode/mode/uid/gid/name/size/. */
struct listed {
    FILE *lines;
    struct ext2dax_inode *directory;
    unsigned seen;
};

static int compare_entry(void *arg, const struct ext2dax_entry *entry)
{
    struct listed *listed = arg;
    char line[512], name[300];
    unsigned number, mode;

    do {
        ck_assert_ptr_nonnull(fgets(line, sizeof(line), listed->lines));
        /* debugfs lists unused dirents as inode 0 */
    } while (line[0] != '/' || strncmp(line, "/0/", 3) == 0);
    ck_assert_int_eq(sscanf(line, "/%u/%o/%*u/%*u/%299[^/]/", &number, &mode, name), 3);
    ck_assert_uint_eq(entry->number, number);
    ck_assert_uint_eq(entry->name_length, strlen(name));
    ck_assert_mem_eq(entry->name, name, entry->name_length);
    listed->seen++;
    return 0;
}

unsigned agree(struct fixture *f, const char *path)
{
    struct ext2dax_stat figures;
    struct ext2dax_inode *directory = find(f, path), *inode;
    struct listed listed = {NULL, directory, 0};
    char line[512], name[300];
    unsigned number, mode;

    ck_assert_int_eq(run(f, "PATH=$PATH:/usr/sbin:/sbin; debugfs -R 'ls -p %s' %s", path, f->path), 0);
    snprintf(name, sizeof(name), "%s.out", f->path);
    listed.lines = fopen(name, "r");
    ck_assert_ptr_nonnull(listed.lines);
    ck_assert_int_eq(ext2dax_readdir(directory, 0, compare_entry, &listed), 0);
    while (fgets(line, sizeof(line), listed.lines))
        ck_assert(line[0] != '/' || strncmp(line, "/0/", 3) == 0);

    rewind(listed.lines);
    while (fgets(line, sizeof(line), listed.lines)) {
        if (sscanf(line, "/%u/%o/%*u/%*u/%299[^/]/", &number, &mode, name) != 3 || number == 0)
            continue;
        ck_assert_int_eq(ext2dax_lookup(directory, name, strlen(name), &inode), 0);
        ck_assert_uint_eq(inode->number, number);
        ext2dax_stat(inode, &figures, sizeof(figures));
        ck_assert_uint_eq(figures.mode, mode);
        ext2dax_inode_put(inode);
    }
    fclose(listed.lines);
    ext2dax_inode_put(directory);
    return listed.seen;
}
