/* SPDX-License-Identifier: MIT */
/*
 * The round trip through this library. Stores use mappings with page faults resolved by the
 * library.
 */
#include "actor_library.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"

int library_open(struct library *library, const char *image, bool writable)
{
    struct ext2dax_process_options process = {.size = sizeof(process), .method = EXT2DAX_FAULT_METHOD_SIGSEGV};
    struct ext2dax_mount_options options = {
        .size = sizeof(options), .flags = writable ? 0 : EXT2DAX_MOUNT_READ_ONLY, .recover = ext2dax_recover};
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_default()};
    int error;

    memset(library, 0, sizeof(*library));
    error = ext2dax_memory_open_file(image, writable ? 0 : EXT2DAX_FILE_READ_ONLY, 0, &library->memory);
    if (error != 0)
        return error;
    error = ext2dax_host_open(NULL, &library->host);
    if (error != 0)
        goto no_host;
    error = ext2dax_process_open(&library->memory, plugs.locks, &process, &library->process);
    if (error != 0)
        goto no_process;
    plugs.memory = library->memory;
    plugs.host = library->host;
    plugs.address_space = ext2dax_process_address_space(library->process);
    error = ext2dax_mount(&plugs, &options, &library->mount);
    if (error == 0)
        return 0;
    (void)ext2dax_process_close(library->process);
no_process:
    ext2dax_host_close(&library->host);
no_host:
    ext2dax_memory_close_file(&library->memory);
    return error;
}

int library_close(struct library *library)
{
    int error = ext2dax_unmount(library->mount), closed = ext2dax_process_close(library->process);

    ext2dax_host_close(&library->host);
    ext2dax_memory_close_file(&library->memory);
    return error ? error : closed;
}

static int look_up(void *ctx, const char *path, size_t length, struct ext2dax_inode **inode)
{
    struct library *library = ctx;

    return ext2dax_lookup_path(library->mount, path, length, EXT2DAX_NO_FOLLOW, inode);
}

/* Opens the file, evaluates `rest`, puts the file and returns the result. */
#define WITH_FILE(ctx, path, inode, rest)                                                                              \
    do {                                                                                                               \
        struct ext2dax_inode *inode;                                                                                   \
        int error_ = look_up(ctx, path, strlen(path), &inode);                                                         \
        if (error_ != 0)                                                                                               \
            return error_;                                                                                             \
        int64_t answer_ = (rest);                                                                                      \
        ext2dax_inode_put(inode);                                                                                      \
        return answer_;                                                                                                \
    } while (0)

/* Returns the directory containing a path's last component. */
static int directory_of(void *ctx, const char *path, const char **name, struct ext2dax_inode **directory)
{
    const char *slash = strrchr(path, '/');

    *name = slash ? slash + 1 : path;
    return look_up(ctx, path, (size_t)(*name - path), directory);
}

static int make_file(void *ctx, const char *path)
{
    struct ext2dax_inode *directory, *inode;
    const char *name;
    int error = directory_of(ctx, path, &name, &directory);

    if (error != 0)
        return error;
    error = ext2dax_create(directory, name, strlen(name), 0644, 0, 0, &inode);
    if (error == 0)
        ext2dax_inode_put(inode);
    ext2dax_inode_put(directory);
    return error;
}

static int remove_name(void *ctx, const char *path)
{
    struct ext2dax_inode *directory;
    const char *name;
    int error = directory_of(ctx, path, &name, &directory);

    if (error != 0)
        return error;
    error = ext2dax_unlink(directory, name, strlen(name));
    ext2dax_inode_put(directory);
    return error;
}

static int count_entry(void *arg, const struct ext2dax_entry *entry)
{
    int *count = arg;
    bool dots =
        entry->name[0] == '.' && (entry->name_length == 1 || (entry->name_length == 2 && entry->name[1] == '.'));

    *count += !dots;
    return 0;
}

static int64_t count_in(struct ext2dax_inode *directory)
{
    int count = 0, error = ext2dax_readdir(directory, 0, count_entry, &count);

    return error != 0 ? error : count;
}

static int64_t count_names_wide(void *ctx, const char *path)
{
    WITH_FILE(ctx, path, directory, count_in(directory));
}

static int count_names(void *ctx, const char *path)
{
    return (int)count_names_wide(ctx, path);
}

static int64_t size_in(const struct ext2dax_inode *inode)
{
    struct ext2dax_stat figures;

    ext2dax_stat(inode, &figures, sizeof(figures));
    return (int64_t)figures.size;
}

static int64_t size_of(void *ctx, const char *path)
{
    WITH_FILE(ctx, path, inode, size_in(inode));
}

static int64_t read_bytes(void *ctx, const char *path, uint64_t offset, void *bytes, size_t length)
{
    WITH_FILE(ctx, path, inode, ext2dax_read(inode, offset, bytes, length));
}

static int64_t write_bytes(void *ctx, const char *path, uint64_t offset, const void *bytes, size_t length)
{
    WITH_FILE(ctx, path, inode, ext2dax_write(inode, offset, bytes, length));
}

static int64_t next_data(void *ctx, const char *path, uint64_t offset)
{
    WITH_FILE(ctx, path, inode, ext2dax_seek(inode, offset, EXT2DAX_SEEK_DATA));
}

static int64_t truncate_wide(void *ctx, const char *path, uint64_t size)
{
    WITH_FILE(ctx, path, inode, ext2dax_truncate(inode, size));
}

static int truncate_file(void *ctx, const char *path, uint64_t size)
{
    return (int)truncate_wide(ctx, path, size);
}

static int64_t punch_wide(void *ctx, const char *path, uint64_t offset, uint64_t length)
{
    WITH_FILE(ctx, path, inode, ext2dax_punch(inode, offset, length));
}

static int punch_file(void *ctx, const char *path, uint64_t offset, uint64_t length)
{
    return (int)punch_wide(ctx, path, offset, length);
}

static int map_file(void *ctx, const char *path, uint64_t length, bool writable, struct view *view)
{
    struct library *library = ctx;
    struct ext2dax_inode *inode;
    int error = look_up(ctx, path, strlen(path), &inode);
    void *at;

    if (error != 0)
        return error;
    error = ext2dax_process_map(library->process, inode, 0, length, writable ? EXT2DAX_MAP_WRITE : 0, &at);
    if (error != 0)
        ext2dax_inode_put(inode);
    else
        *view = (struct view){at, length, inode};
    return error;
}

static int unmap_file(void *ctx, struct view *view)
{
    struct library *library = ctx;
    int error = ext2dax_fsync(view->handle), unmapped = ext2dax_process_unmap(library->process, view->at);

    ext2dax_inode_put(view->handle);
    return error ? error : unmapped;
}

struct actor actor_library(struct library *library)
{
    return (struct actor){.ctx = library,
                          .create = make_file,
                          .unlink = remove_name,
                          .count = count_names,
                          .size = size_of,
                          .read = read_bytes,
                          .write = write_bytes,
                          .truncate = truncate_file,
                          .punch = punch_file,
                          .data = next_data,
                          .map = map_file,
                          .unmap = unmap_file};
}
