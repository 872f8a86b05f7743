/* SPDX-License-Identifier: MIT */
/*
 * Initialises the kernel, mounts, runs the checks and unmounts. Contains helpers of the checks.
 */
#include "kernel.h"

struct fixture fixture;

void check(const char *what, bool good)
{
    print(good ? "ok      " : "FAILED  ");
    print(what);
    print("\n");
    *(good ? &fixture.passed : &fixture.failed) += 1;
}

void check_same(const char *what, uint64_t found, uint64_t wanted)
{
    check(what, found == wanted);
    if (found == wanted)
        return;
    print("        found ");
    print_number(found);
    print(", wanted ");
    print_number(wanted);
    print("\n");
}

static size_t length_of(const char *text)
{
    size_t length = 0;

    while (text[length])
        length++;
    return length;
}

struct ext2dax_inode *open_file(const char *name)
{
    struct ext2dax_inode *inode;
    int error = ext2dax_lookup_path(fixture.mount, name, length_of(name), 0, &inode);

    if (error)
        panic(name, (uint64_t)-error);
    return inode;
}

struct ext2dax_inode *create_file(const char *name, uint64_t size)
{
    struct ext2dax_inode *root = open_file("/"), *inode;
    int error = ext2dax_create(root, name, length_of(name), 0644, 0, 0, &inode);

    if (!error)
        error = ext2dax_truncate(inode, size);
    if (error)
        panic(name, (uint64_t)-error);
    ext2dax_inode_put(root);
    return inode;
}

struct mapping *map_file(struct ext2dax_inode *inode, uint64_t first, uint64_t count, bool writable, bool shared)
{
    struct mapping *mapping = space_map(inode, first, count, writable, shared);

    if (!mapping)
        panic("no room for a mapping of pages", count);
    return mapping;
}

uint8_t byte_of(struct ext2dax_inode *inode, uint64_t offset)
{
    uint8_t byte = 0;
    int64_t read = ext2dax_read(inode, offset, &byte, 1);

    if (read != 1)
        panic("nothing could be read at", offset);
    return byte;
}

uint64_t frame_of(struct ext2dax_inode *inode, uint64_t page)
{
    struct ext2dax_run run;
    int error = ext2dax_map(inode, page, 1, &run);

    if (error)
        panic("a page that has no answer", page);
    return run.physical == 0 ? 0 : physical_of(fixture.memory->base) + run.physical * PAGE_SIZE;
}

uint64_t sectors_of(const struct ext2dax_inode *inode)
{
    struct ext2dax_stat figures;

    ext2dax_stat(inode, &figures, sizeof(figures));
    return figures.sectors;
}

/* Maps the programs of user.c at the link address, and a user stack per processor. */
static void show_user_code(void)
{
    extern const char user_text[], user_text_end[], user_loaded[];
    uint64_t loaded = (uintptr_t)user_loaded;

    for (uintptr_t at = (uintptr_t)user_text; at < (uintptr_t)user_text_end; at += PAGE_SIZE)
        *entry_at(at, 1, true) = (loaded + (at - (uintptr_t)user_text)) | ENTRY_PRESENT | ENTRY_USER;
    for (unsigned i = 0; i < PROCESSORS; i++)
        *entry_at(USER_STACKS + (uintptr_t)i * PAGE_SIZE, 1, true) =
            physical_of(frame_alloc()) | ENTRY_PRESENT | ENTRY_WRITABLE | ENTRY_USER;
}

static void mount(struct ext2dax_memory *memory, uint64_t acpi)
{
    /* An image that was not cleanly unmounted is refused, so the kernel contains no recovery. */
    const struct ext2dax_mount_options options = {.size = sizeof(options)};
    struct ext2dax_plugs plugs;
    uint64_t physical, size;
    int error;

    if (!nfit_find(acpi, &physical, &size))
        panic("no persistent memory", 0);
    *memory = (struct ext2dax_memory){
        .ops = &plug_memory,
        .base = at_physical(physical),
        .size = size,
        .flags = EXT2DAX_MEMORY_PERSISTENT,
    };
    plugs = (struct ext2dax_plugs){plug_locks, *memory, plug_space, plug_host};
    error = ext2dax_mount(&plugs, &options, &fixture.mount);
    if (error)
        panic("the image could not be mounted", (uint64_t)-error);
}

void run_checks(const struct start_info *info)
{
    static struct ext2dax_memory memory;

    clock_init();
    apic_init();
    apic_start_others();
    show_user_code();
    fixture.memory = &memory;
    mount(&memory, info->acpi);

    check_pages();
    check_huge();
    check_two();

    check_same("unmounting", (uint64_t)-ext2dax_unmount(fixture.mount), 0);
    print_number(fixture.passed);
    print(" passed, ");
    print_number(fixture.failed);
    print(" failed\n");
    power_off(fixture.failed == 0);
}

void start_processor(unsigned index, const struct start_info *info)
{
    cpu_init(index);
    if (index == 0)
        run_checks(info);
    apic_init();
    serve_work();
}
