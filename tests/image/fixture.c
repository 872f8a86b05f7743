/* SPDX-License-Identifier: MIT */
/* See fixture.h. */
#include "fixture.h"
#include "../reasons.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/ext2dax-image-XXXXXX";

/* ---- images ---- */

const struct kind kinds[KINDS] = {
    {"1K", "", 8192, 1024},
    {"2K", "", 4096, 2048},
    {"4K", "", 2048, 4096},
    {"8K", "", 1024, 8192},
    {"16K", "", 512, 16384},
    {"32K", "", 400, 32768},
    {"64K", "", 300, 65536},
    {"revision-0", "-r 0 -O none", 4000, 1024},
    {"revision-0-4K", "-r 0 -O none", 1000, 4096},
    {"no-features", "-O none", 20000, 1024},
    {"every-super", "-O ^sparse_super,^resize_inode -g 512", 20000, 1024},
    {"meta-groups", "-O meta_bg,^resize_inode -g 256 -N 1000", 20001, 1024},
    {"meta-groups-every-super", "-O meta_bg,^resize_inode,^sparse_super -g 256 -N 1000", 17000, 1024},
    {"meta-groups-4K", "-O meta_bg,^resize_inode -g 256 -N 3000", 35000, 4096},
    {"no-resize", "-O ^resize_inode", 16385, 1024},
    {"resize", "-E resize=4000000 -g 1024", 12000, 1024},
    {"inode-128", "-I 128", 3000, 1024},
    {"inode-256", "-I 256", 3000, 4096},
    {"inode-512", "-I 512", 3000, 2048},
    {"inode-1024", "-I 1024", 3000, 1024},
    {"inode-block", "-I 4096 -N 64", 3000, 4096},
    {"many-inodes", "-N 16000", 8000, 1024},
    {"few-inodes", "-N 16", 8000, 1024},
    {"small-groups", "-g 256", 9000, 1024},
    {"odd-groups", "-g 1000", 7777, 1024},
    {"odd-size", "", 8193 + 777, 1024},
    {"stride", "-O ^resize_inode -E stride=7 -g 512 -N 400", 6000, 1024},
    {"reserved", "-m 20", 5000, 1024},
    {"attributes", "-O ext_attr,dir_index,large_file,filetype", 5000, 1024},
    {"two-supers", "-O sparse_super2 -g 256", 40960, 1024},
    {"one-super", "-O sparse_super2,^sparse_super,^resize_inode -E num_backup_sb=1 -g 256", 9000, 1024},
    {"no-supers", "-O sparse_super2,^resize_inode -E num_backup_sb=0 -g 256", 9000, 1024},
    {"meta-groups-two-supers", "-O sparse_super2,meta_bg,^resize_inode -g 256 -N 1000", 20001, 1024},
    {"two-supers-4K", "-O sparse_super2 -g 256 -N 3000", 20000, 4096},
    {"inode-features", "-O extra_isize,dir_nlink,huge_file -I 256", 5000, 1024},
};

const struct kind small_kinds[SMALL_KINDS] = {
    {"1K-small", "-g 256 -N 64", 600, 1024},
    {"revision-0-small", "-r 0 -O none -g 256 -N 64", 500, 1024},
    {"meta-groups-small", "-O meta_bg,^resize_inode,^sparse_super -g 256 -N 300", 10000, 1024},
    {"stride-small", "-O ^resize_inode -E stride=7 -g 512 -N 128", 1200, 1024},
    {"64K-small", "-N 64", 64, 65536},
};

static void path_of(const struct kind *kind, char *path, size_t size)
{
    snprintf(path, size, "%s/%s", folder, kind->name);
}

static bool make_image(const struct kind *kind)
{
    char path[128], command[512];

    path_of(kind, path, sizeof(path));
    snprintf(command, sizeof(command), "mke2fs -q -F -t ext2 -b %u %s %s %u >/dev/null 2>&1", kind->block_size,
             kind->arguments, path, kind->blocks);
    return system(command) == 0;
}

const struct kind *kind_named(const char *name)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    ck_abort_msg("no kind %s", name);
    return NULL;
}

struct image load(const struct kind *kind)
{
    struct image image;
    char path[128];
    struct stat stat;
    int fd;

    path_of(kind, path, sizeof(path));
    fd = open(path, O_RDONLY);
    EXPECT(fd >= 0 && fstat(fd, &stat) == 0, "no image %s", path);
    image.size = (size_t)stat.st_size;
    image.area_size = ((image.size + GUARD - 1) & ~(GUARD - 1)) + 2 * GUARD;
    image.area = mmap(NULL, image.area_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    image.before = mmap(NULL, image.size, PROT_READ, MAP_PRIVATE, fd, 0);
    EXPECT(image.area != MAP_FAILED && image.before != MAP_FAILED, "no memory");
    image.base = image.area + image.area_size - GUARD - image.size;
    EXPECT(pread(fd, image.base, image.size, 0) == (ssize_t)image.size, "short read of %s", path);
    EXPECT(mprotect(image.area, GUARD, PROT_NONE) == 0, "no guard");
    EXPECT(mprotect(image.area + image.area_size - GUARD, GUARD, PROT_NONE) == 0, "no guard");
    close(fd);
    return image;
}

void unload(struct image *image)
{
    munmap(image->area, image->area_size);
    munmap(image->before, image->size);
}

bool unchanged(const struct image *image)
{
    return memcmp(image->base, image->before, image->size) == 0;
}

struct ext2dax_disk_super *super_of(const struct image *image)
{
    return (struct ext2dax_disk_super *)(void *)(image->base + 1024);
}

unsigned char *copy_of(const struct image *image)
{
    unsigned char *copy = malloc(image->size);

    EXPECT(copy, "no memory");
    memcpy(copy, image->base, image->size);
    return copy;
}

void put_number(unsigned char *at, unsigned width, uint32_t value)
{
    for (unsigned i = 0; i < width; i++)
        at[i] = (unsigned char)(value >> (8 * i));
}

/* ---- plugs with counters and injected failures ---- */

struct plug_state plug;

static void *plug_alloc(void *ctx, size_t bytes)
{
    void *at;

    (void)ctx;
    if (++plug.allocations == plug.fail_at)
        return NULL;
    at = malloc(bytes);
    EXPECT(at, "no memory");
    memset(at, 0xA5, bytes);
    plug.blocks++;
    plug.bytes += (long)bytes;
    return at;
}

static void plug_release(void *ctx, void *at, size_t bytes)
{
    (void)ctx;
    memset(at, 0x5A, bytes);
    free(at);
    plug.blocks--;
    plug.bytes -= (long)bytes;
}

static void plug_log(void *ctx, const struct ext2dax_report *report)
{
    char text[640]; /* the names of 32 features are long */

    (void)ctx;
    EXPECT(report->structure && report->field && (report->reason != NULL) == REASONS, "a report without words");
    EXPECT(ext2dax_report_text(report, text, sizeof(text)) < sizeof(text), "a very long report");
    plug.errors += report->level == EXT2DAX_LEVEL_ERROR;
    plug.warnings += report->level == EXT2DAX_LEVEL_WARNING;
    plug.report[plug.reports++ % REPORTS] = *report;
}

static void plug_panic(void *ctx, const char *file, int line, const char *what)
{
    (void)ctx;
    ck_abort_msg("panic at %s:%d: %s", file, line, what);
}

static bool plug_may_use_reserved(void *ctx)
{
    (void)ctx;
    plug.asked++;
    return plug.entitled;
}

const struct ext2dax_host_ops host_ops = {.size = sizeof(host_ops),
                                          .alloc = plug_alloc,
                                          .release = plug_release,
                                          .log = plug_log,
                                          .panic = plug_panic,
                                          .may_use_reserved = plug_may_use_reserved};

#define LOCK_FREE ((uintptr_t)0x10000)
#define LOCK_HELD ((uintptr_t)0x20000)

static int lock_init(void *ctx, struct ext2dax_lock *lock, enum ext2dax_lock_class lock_class, uint64_t number)
{
    (void)ctx;
    (void)number;
    EXPECT(lock_class < EXT2DAX_LOCK_CLASSES, "a lock of no class");
    if (++plug.inits == plug.fail_init_at)
        return -EXT2DAX_ENOMEM;
    lock->word = LOCK_FREE;
    plug.locks++;
    return 0;
}

static void lock_destroy(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    EXPECT(lock->word == LOCK_FREE, "a lock destroyed that is held, or none");
    lock->word = 0;
    plug.locks--;
}

static bool lock_try_write(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    if (lock->word != LOCK_FREE)
        return false;
    lock->word = LOCK_HELD;
    return true;
}

static void lock_write(void *ctx, struct ext2dax_lock *lock)
{
    EXPECT(lock_try_write(ctx, lock), "a lock taken that is held, or none");
}

static void lock_write_release(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    EXPECT(lock->word == LOCK_HELD, "a lock released that is not held");
    lock->word = LOCK_FREE;
}

static bool lock_try_read(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    if (lock->word < LOCK_FREE || lock->word >= LOCK_HELD)
        return false;
    lock->word++;
    return true;
}

static void lock_read(void *ctx, struct ext2dax_lock *lock)
{
    EXPECT(lock_try_read(ctx, lock), "a lock taken that is held, or none");
}

static void lock_read_release(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    EXPECT(lock->word > LOCK_FREE && lock->word < LOCK_HELD, "a lock released that is not held");
    lock->word--;
}

const struct ext2dax_lock_ops lock_ops = {.size = sizeof(lock_ops),
                                          .init = lock_init,
                                          .destroy = lock_destroy,
                                          .read_lock = lock_read,
                                          .read_unlock = lock_read_release,
                                          .write_lock = lock_write,
                                          .write_unlock = lock_write_release,
                                          .try_read_lock = lock_try_read,
                                          .try_write_lock = lock_try_write};

static int memory_persist(void *ctx, const void *at, size_t length)
{
    const unsigned char *from = at;

    (void)ctx;
    plug.persists++;
    if (from <= plug.state_at && plug.state_at < from + length)
        plug.state_pending = true;
    return plug.persist_fails ? -EXT2DAX_EIO : 0;
}

static int memory_fence(void *ctx)
{
    (void)ctx;
    plug.fences++;
    plug.state_durable |= plug.state_pending;
    return plug.fence_fails ? -EXT2DAX_EIO : 0;
}

static int memory_check(void *ctx, const void *at, size_t length)
{
    const unsigned char *from = at;

    (void)ctx;
    return plug.poison_size && from < plug.poison + plug.poison_size && plug.poison < from + length ? -EXT2DAX_EIO : 0;
}

static const struct ext2dax_memory_ops memory_ops = {
    .size = sizeof(memory_ops), .persist = memory_persist, .fence = memory_fence, .check = memory_check};

struct ext2dax_plugs plugs_for(const struct image *image)
{
    struct ext2dax_plugs plugs = {.locks = {&lock_ops, NULL},
                                  .memory = {&memory_ops, NULL, image->base, image->size, EXT2DAX_MEMORY_PERSISTENT},
                                  .host = {&host_ops, NULL}};

    memset(&plug, 0, sizeof(plug));
    plug.state_at = image->base + 1024 + offsetof(struct ext2dax_disk_super, state);
    return plugs;
}

int try_mount(const struct image *image, unsigned flags, struct ext2dax_mount **mount)
{
    struct ext2dax_plugs plugs = plugs_for(image);
    struct ext2dax_mount_options options = {
        .size = sizeof(options), .flags = flags & ~WITHOUT_RECOVERY, .verify = ext2dax_verify};

    if ((flags & WITHOUT_RECOVERY) == 0)
        options.recover = ext2dax_recover;
    return ext2dax_mount(&plugs, &options, mount);
}

void everything_given_back(void)
{
    EXPECT(plug.blocks == 0 && plug.bytes == 0, "%ld allocations, %ld bytes not given back", plug.blocks, plug.bytes);
    EXPECT(plug.locks == 0, "%ld locks not destroyed", plug.locks);
}

void refused(const struct image *image, unsigned flags, int error, const char *field)
{
    struct ext2dax_mount *mount = (void *)&plug;
    int rc = try_mount(image, flags, &mount);
    bool named = false;

    ck_assert_int_eq(rc, -error);
    ck_assert_ptr_null(mount);
    ck_assert_uint_ge(plug.errors, 1);
    for (unsigned i = 0; i < plug.reports && i < REPORTS; i++)
        named |= plug.report[i].error == -error && strcmp(plug.report[i].field, field) == 0;
    ck_assert_msg(named, "refused for %s, not %s", plug.report[(plug.reports - 1) % REPORTS].field, field);
    everything_given_back();
}

void accepted(const struct image *image, unsigned flags)
{
    struct ext2dax_mount *mount;

    ck_assert_int_eq(try_mount(image, flags, &mount), 0);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    everything_given_back();
}

/* ---- facts from the image ---- */

char *output_of(const char *command, const struct kind *kind)
{
    char path[128], line[512];
    size_t size = 4u << 20, got;
    char *text = malloc(size);
    FILE *pipe;

    path_of(kind, path, sizeof(path));
    snprintf(line, sizeof(line), "%s %s 2>/dev/null", command, path);
    pipe = popen(line, "r");
    EXPECT(text && pipe, "cannot run %s", command);
    got = fread(text, 1, size - 1, pipe);
    text[got] = '\0';
    EXPECT(pclose(pipe) == 0, "%s fails on %s", command, kind->name);
    return text;
}

size_t descriptor_at(const struct image *image, uint32_t group)
{
    struct ext2dax_mount *mount;
    size_t at;

    ck_assert_int_eq(try_mount(image, EXT2DAX_MOUNT_READ_ONLY, &mount), 0);
    at = group < mount->groups ? (size_t)((unsigned char *)e2d_descriptor(mount, group) - image->base) : 0;
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    return at;
}

struct ext2dax_disk_inode *inode_at(const struct image *image, uint32_t number)
{
    struct ext2dax_mount *mount;
    unsigned char *table;
    uint32_t size;

    ck_assert_int_eq(try_mount(image, EXT2DAX_MOUNT_READ_ONLY, &mount), 0);
    table = e2d_block(mount, e2d_get32(e2d_descriptor(mount, 0)->inode_table));
    size = mount->inode_size;
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    return (struct ext2dax_disk_inode *)(void *)(table + (size_t)(number - 1) * size);
}

/* ---- running ---- */

static bool make_images(const struct kind *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!make_image(&list[i])) {
            fprintf(stderr, "mke2fs did not make %s\n", list[i].name);
            return false;
        }
    }
    return true;
}

static void remove_images(const struct kind *list, size_t count)
{
    char path[128];

    for (size_t i = 0; i < count; i++) {
        path_of(&list[i], path, sizeof(path));
        (void)unlink(path);
    }
}

int run_on_images(Suite *suite, bool small)
{
    const struct kind *list = small ? small_kinds : kinds;
    size_t count = small ? SMALL_KINDS : KINDS;
    char search[4096];
    int status = EXIT_FAILURE;

    snprintf(search, sizeof(search), "%s:/usr/sbin:/sbin", getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
    setenv("PATH", search, 1);
    if (system("mke2fs -V >/dev/null 2>&1 && dumpe2fs -V >/dev/null 2>&1") != 0)
        return skip("there is no mke2fs and dumpe2fs");
    if (!mkdtemp(folder)) {
        perror(folder);
        return EXIT_FAILURE;
    }
    if (make_images(list, count))
        status = run_suite(suite);
    remove_images(list, count);
    (void)rmdir(folder);
    return status;
}
