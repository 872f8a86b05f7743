/* SPDX-License-Identifier: MIT */
/* The steps that all builders of images have in common, made of public calls. */
#include "ext2dax/build.h"
#include "ext2dax/file.h"
#include "ext2dax/name.h"

#include "base/copy_struct.h"
#include "base/internal.h"

int ext2dax_build_begin(const struct ext2dax_plugs *plugs, const struct ext2dax_format_options *format,
                        const struct ext2dax_image_plan *plan, struct ext2dax_mount **mount,
                        struct ext2dax_inode **root)
{
    static const struct ext2dax_mount_options options = {.size = sizeof(options), .flags = EXT2DAX_MOUNT_FULL_RANGES};
    struct ext2dax_format_options o;
    int error;

    *mount = NULL;
    *root = NULL;
    e2d_copy_struct(&o, sizeof(o), format);
    o.size = sizeof(o);
    o.inodes = plan->inodes;
    error = ext2dax_format(&plugs->memory, &o, &plugs->host);
    if (error == 0)
        error = ext2dax_mount(plugs, &options, mount);
    if (error != 0)
        return error;
    error = ext2dax_inode_get(*mount, EXT2DAX_ROOT_INODE, root);
    if (error != 0) {
        (void)ext2dax_unmount(*mount);
        *mount = NULL;
    }
    return error;
}

int ext2dax_build_file(struct ext2dax_inode *directory, const char *name, size_t length,
                       const struct ext2dax_attributes *attributes, const void *content, size_t size)
{
    struct ext2dax_creation creation = {.size = sizeof(creation), .attributes.mode = 0644};
    struct ext2dax_inode *inode;
    int64_t wrote;
    int error;

    if (attributes)
        e2d_copy_struct(&creation.attributes, sizeof(creation.attributes), attributes);
    creation.attributes.size = sizeof(creation.attributes);
    error = ext2dax_create_as(directory, name, length, &creation, &inode);
    if (error != 0)
        return error;
    /* The size comes first, so that full PMD ranges get aligned extents. */
    error = ext2dax_truncate(inode, size);
    /* The call after a short count returns the reason. */
    for (size_t at = 0; error == 0 && at < size; at += (size_t)wrote) {
        wrote = ext2dax_write(inode, at, (const unsigned char *)content + at, size - at);
        if (wrote <= 0)
            error = wrote < 0 ? (int)wrote : -EXT2DAX_ENOSPC;
    }
    /* Truncate and write have stored times of their own. */
    if (error == 0 && creation.attributes.set != 0)
        error = ext2dax_setattr(inode, &creation.attributes);
    ext2dax_inode_put(inode);
    return error;
}
