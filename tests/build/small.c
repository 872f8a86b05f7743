/* SPDX-License-Identifier: MIT */
/*
 * A program that mounts, maps, faults, reads, writes and truncates, and makes no other call than
 * the calls which these need. Linked as a kernel is, for the test of the size. With WITH_RECOVERY
 * the mount recovers an image that was not cleanly unmounted.
 */
#include <ext2dax/ext2dax.h>

#ifdef WITH_RECOVERY
#define RECOVER ext2dax_recover
#else
#define RECOVER NULL
#endif

int small(const struct ext2dax_plugs *plugs, uint32_t number, unsigned char *buffer, size_t length);
void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *at, int byte, size_t length);
int memcmp(const void *a, const void *b, size_t length);

void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
    for (size_t i = 0; i < length; i++)
        ((unsigned char *)to)[i] = ((const unsigned char *)from)[i];
    return to;
}

void *memmove(void *to, const void *from, size_t length)
{
    if ((uintptr_t)to <= (uintptr_t)from)
        return memcpy(to, from, length);
    while (length-- > 0)
        ((unsigned char *)to)[length] = ((const unsigned char *)from)[length];
    return to;
}

void *memset(void *at, int byte, size_t length)
{
    for (size_t i = 0; i < length; i++)
        ((unsigned char *)at)[i] = (unsigned char)byte;
    return at;
}

int memcmp(const void *a, const void *b, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (((const unsigned char *)a)[i] != ((const unsigned char *)b)[i])
            return 1;
    }
    return 0;
}

static int use(struct ext2dax_inode *file, unsigned char *buffer, size_t length)
{
    struct ext2dax_fault fault = {.inode = file, .mapping_count = 1, .write = true, .shared = true};
    struct ext2dax_run run;
    int error = ext2dax_map(file, 0, 1, &run);

    if (error == 0)
        error = (int)ext2dax_read(file, 0, buffer, length);
    if (error >= 0)
        error = (int)ext2dax_write(file, 0, buffer, length);
    if (error >= 0)
        error = ext2dax_truncate(file, length);
    if (error == 0 && ext2dax_pmd_fault(&fault) == EXT2DAX_FAULT_FALLBACK)
        error = ext2dax_fault(&fault) == EXT2DAX_FAULT_NOPAGE ? 0 : fault.error;
    if (error == 0 && ext2dax_mkwrite(&fault) == EXT2DAX_FAULT_NOPAGE)
        error = ext2dax_pfn_mkwrite(&fault) == EXT2DAX_FAULT_NOPAGE ? 0 : fault.error;
    return error;
}

int small(const struct ext2dax_plugs *plugs, uint32_t number, unsigned char *buffer, size_t length)
{
    const struct ext2dax_mount_options options = {.size = sizeof(options), .recover = RECOVER};
    struct ext2dax_mount *mount;
    struct ext2dax_inode *file;
    int error = ext2dax_mount(plugs, &options, &mount);

    if (error != 0)
        return error;
    error = ext2dax_inode_get(mount, number, &file);
    if (error == 0) {
        error = use(file, buffer, length);
        ext2dax_inode_put(file);
    }
    return ext2dax_unmount(mount) == 0 ? error : 1;
}
