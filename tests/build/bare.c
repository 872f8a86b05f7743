/* SPDX-License-Identifier: MIT */
/*
 * A program without an operating system and without a C library. This file defines every symbol the
 * core needs. Linking the file with the core alone, without libgcc, proves the list complete.
 * bare() formats, mounts, writes and reads.
 */
#include <ext2dax/ext2dax.h>

#define IMAGE_SIZE (4u << 20)
#define ARENA_SIZE (1u << 20)
#define LENGTH     10000u

int bare(void);
void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *at, int byte, size_t length);
int memcmp(const void *a, const void *b, size_t length);

static _Alignas(4096) unsigned char image[IMAGE_SIZE];
static _Alignas(16) unsigned char arena[ARENA_SIZE];
static size_t arena_used;
static unsigned char out[LENGTH], in[LENGTH];

void *memmove(void *to, const void *from, size_t length)
{
    unsigned char *t = to;
    const unsigned char *f = from;

    if ((uintptr_t)t <= (uintptr_t)f) {
        for (size_t i = 0; i < length; i++)
            t[i] = f[i];
    } else {
        for (size_t i = length; i > 0; i--)
            t[i - 1] = f[i - 1];
    }
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
    return memmove(to, from, length);
}

void *memset(void *at, int byte, size_t length)
{
    for (size_t i = 0; i < length; i++)
        ((unsigned char *)at)[i] = (unsigned char)byte;
    return at;
}

int memcmp(const void *a, const void *b, size_t length)
{
    const unsigned char *x = a, *y = b;

    for (size_t i = 0; i < length; i++) {
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    }
    return 0;
}

/* Never blocks, because a single processor without interrupts has no contention. */
static int lock_init(void *ctx, struct ext2dax_lock *lock, enum ext2dax_lock_class lock_class, uint64_t number)
{
    (void)ctx;
    (void)lock_class;
    (void)number;
    lock->word = 0;
    return 0;
}

static void lock_or_unlock(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    (void)lock;
}

static bool try_lock(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    (void)lock;
    return true;
}

static const struct ext2dax_lock_ops lock_ops = {
    .size = sizeof(lock_ops),
    .init = lock_init,
    .read_lock = lock_or_unlock,
    .read_unlock = lock_or_unlock,
    .write_lock = lock_or_unlock,
    .write_unlock = lock_or_unlock,
    .try_read_lock = try_lock,
    .try_write_lock = try_lock,
};

static void *take(void *ctx, size_t bytes)
{
    void *at = arena + arena_used;

    (void)ctx;
    if (bytes > ARENA_SIZE - arena_used - 15)
        return NULL;
    arena_used += (bytes + 15) & ~(size_t)15;
    return at;
}

static void give_back(void *ctx, void *at, size_t bytes)
{
    (void)ctx;
    (void)at;
    (void)bytes;
}

static const struct ext2dax_host_ops host_ops = {.size = sizeof(host_ops), .alloc = take, .release = give_back};
static const struct ext2dax_memory_ops memory_ops = {.size = sizeof(memory_ops)};

static int write_and_read(struct ext2dax_mount *mount)
{
    struct ext2dax_inode *root, *file;
    int error;

    error = ext2dax_lookup_path(mount, "/", 1, 0, &root);
    if (error)
        return error;
    error = ext2dax_create(root, "file", 4, 0644, 0, 0, &file);
    ext2dax_inode_put(root);
    if (error)
        return error;
    for (size_t i = 0; i < LENGTH; i++)
        out[i] = (unsigned char)(i * 7);
    if (ext2dax_write(file, 5, out, LENGTH) != LENGTH || ext2dax_read(file, 5, in, LENGTH) != LENGTH ||
        memcmp(out, in, LENGTH) != 0)
        error = -EXT2DAX_EIO;
    ext2dax_inode_put(file);
    return error;
}

int bare(void)
{
    struct ext2dax_plugs plugs = {
        .locks = {&lock_ops, NULL},
        .memory = {&memory_ops, NULL, image, sizeof(image), 0},
        .host = {&host_ops, NULL},
    };
    struct ext2dax_format_options format = {.size = sizeof(format)};
    struct ext2dax_mount_options options = {.size = sizeof(options)};
    struct ext2dax_mount *mount;

    if (ext2dax_format(&plugs.memory, &format, &plugs.host))
        return 1;
    if (ext2dax_mount(&plugs, &options, &mount))
        return 2;
    if (write_and_read(mount))
        return 3;
    return ext2dax_unmount(mount) ? 4 : 0;
}
