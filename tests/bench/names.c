/* SPDX-License-Identifier: MIT */
/*
 * Measures names in a directory of 1,000 and of 100,000 names. Prints the processor time per name
 * to make, look up, list and remove all names, with and without name tables, and the ratio of the
 * two directories. With name tables a ratio above 2 is marked.
 * Without name tables a smaller directory is enough to show the cost. With loop mounts, also
 * measures lookups by the index of a directory made by Linux.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"

#include "../image/outside.h"

#define FEW      1000u
#define MANY     100000u
#define MANY_OFF 10000u /* without name tables */
#define CALLS    100000u
#define BAR      2.0

enum { MAKE, LOOK, LIST, REMOVE, PARTS };
static const char *const parts[PARTS] = {"make", "look up", "list", "remove"};

#define MUST(call)                                                                                                     \
    do {                                                                                                               \
        int must_error = (call);                                                                                       \
        if (must_error != 0) {                                                                                         \
            printf("%s: %s\n", #call, ext2dax_strerror(must_error));                                                   \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static double now(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

static size_t name_of(char *name, unsigned i)
{
    return (size_t)snprintf(name, 32, "some-file-name-%08u", i);
}

static int count(void *arg, const struct ext2dax_entry *entry)
{
    *(unsigned *)arg += entry->name[0] == 's';
    return 0;
}

/* Measures each part once, in nanoseconds per name. Names are visited in a mixed order. */
static void once(struct ext2dax_inode *directory, unsigned names, double took[PARTS])
{
    struct ext2dax_inode *inode;
    unsigned seen = 0, i;
    char name[32];
    double begun = now();

    for (i = 0; i < names; i++) {
        MUST(ext2dax_create(directory, name, name_of(name, i), 0644, 0, 0, &inode));
        ext2dax_inode_put(inode);
    }
    took[MAKE] += now() - begun;
    begun = now();
    for (i = 0; i < names; i++) {
        MUST(ext2dax_lookup(directory, name, name_of(name, (unsigned)((uint64_t)i * 7919 % names)), &inode));
        ext2dax_inode_put(inode);
    }
    took[LOOK] += now() - begun;
    begun = now();
    MUST(ext2dax_readdir(directory, 0, count, &seen));
    took[LIST] += now() - begun;
    begun = now();
    for (i = 0; i < names; i++)
        MUST(ext2dax_unlink(directory, name, name_of(name, (unsigned)((uint64_t)i * 7919 % names))));
    took[REMOVE] += now() - begun;
    if (seen != names) {
        printf("listed %u names of %u\n", seen, names);
        exit(1);
    }
}

/* Measures directories of `names` names until enough calls were made. */
static void measure(size_t table_bytes, unsigned names, double per_name[PARTS])
{
    struct ext2dax_plugs plugs = {.host = ext2dax_host_default(), .locks = ext2dax_locks_default()};
    struct ext2dax_mount_options options = {.size = sizeof(options), .name_table_bytes = table_bytes};
    struct ext2dax_format_options format = {.size = sizeof(format), .inodes = MANY + 64};
    unsigned rounds = names < CALLS && table_bytes == 0 ? CALLS / names : 1, round, part;
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root;

    MUST(ext2dax_memory_open_heap((size_t)1 << 30, &plugs.memory));
    memset(per_name, 0, PARTS * sizeof(*per_name));
    for (round = 0; round < rounds; round++) {
        MUST(ext2dax_format(&plugs.memory, &format, &plugs.host));
        MUST(ext2dax_mount(&plugs, &options, &mount));
        MUST(ext2dax_inode_get(mount, EXT2DAX_ROOT_INODE, &root));
        once(root, names, per_name);
        ext2dax_inode_put(root);
        MUST(ext2dax_unmount(mount));
    }
    ext2dax_memory_close_heap(&plugs.memory);
    for (part = 0; part < PARTS; part++)
        per_name[part] /= (double)names * rounds;
}

/*
 * Measures lookups without name tables in a directory made by Linux, in nanoseconds per name.
 * Returns 0 without loop mounts.
 */
static double look_by_index(unsigned names)
{
    struct ext2dax_plugs plugs = {.host = ext2dax_host_default(), .locks = ext2dax_locks_default()};
    struct ext2dax_mount_options options = {
        .size = sizeof(options), .flags = EXT2DAX_MOUNT_READ_ONLY, .name_table_bytes = (size_t)-1};
    struct outside_image image = outside_open((size_t)512 << 20);
    char at[] = "/tmp/ext2dax-bench-XXXXXX", name[32];
    unsigned rounds = names < CALLS ? CALLS / names : 1, i;
    struct ext2dax_inode *directory, *inode;
    struct ext2dax_mount *mount;
    double took = 0;

    if (mkdtemp(at) &&
        outside_run("mke2fs -q -F -t ext2 -b 4096 -N 120000 %s && mount -t ext2 -o loop %s %s 2>/dev/null", image.path,
                    image.path, at) == 0) {
        bool made = outside_run("mkdir %s/d && cd %s/d && seq -f 'some-file-name-%%08.0f' 0 %u | xargs touch", at, at,
                                names - 1) == 0;

        if (outside_run("umount %s", at) != 0 || !made) {
            puts("Linux could not make the directory");
            exit(1);
        }
        plugs.memory.base = image.base;
        plugs.memory.size = image.size;
        MUST(ext2dax_mount(&plugs, &options, &mount));
        MUST(ext2dax_lookup_path(mount, "/d", 2, 0, &directory));
        took = now();
        for (i = 0; i < names * rounds; i++) {
            MUST(ext2dax_lookup(directory, name, name_of(name, (unsigned)((uint64_t)i * 7919 % names)), &inode));
            ext2dax_inode_put(inode);
        }
        took = (now() - took) / ((double)names * rounds);
        ext2dax_inode_put(directory);
        MUST(ext2dax_unmount(mount));
    }
    (void)rmdir(at);
    outside_close(&image);
    return took;
}

static void compare(const char *what, size_t table_bytes, unsigned many, double bar)
{
    double few_took[PARTS], many_took[PARTS];
    unsigned part;

    measure(table_bytes, FEW, few_took);
    measure(table_bytes, many, many_took);
    for (part = 0; part < PARTS; part++) {
        double ratio = many_took[part] / few_took[part];

        printf("%s, %-7s: %8.0f ns a name of %u, %8.0f ns a name of %u, ratio %.2f%s\n", what, parts[part],
               few_took[part], FEW, many_took[part], many, ratio, bar != 0 && ratio > bar ? " (too much)" : "");
    }
}

int main(void)
{
    double few, many;

    compare("with name tables", 0, MANY, BAR);
    compare("without name tables", (size_t)-1, MANY_OFF, 0);
    few = look_by_index(FEW);
    many = few != 0 ? look_by_index(MANY) : 0;
    if (many != 0)
        printf("by an index of Linux, look up: %8.0f ns a name of %u, %8.0f ns a name of %u, ratio %.2f\n", few, FEW,
               many, MANY, many / few);
    else
        puts("no loop mounts for this user on this system: no lookups by an index");
    return 0;
}
