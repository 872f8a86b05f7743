/* SPDX-License-Identifier: MIT */
/*
 * Setgid of files changed by a user outside the group. The kernel clears setuid, and setgid of a
 * file that the group may execute. Setgid of other files is left to this program. The kernel knows
 * the mode from an earlier reply, and asks again.
 */
#include "server.h"

/* Is the user of the request outside the group, and without the privilege of the superuser? */
static bool outside_group(fuse_req_t req, gid_t group)
{
    const struct fuse_ctx *context = fuse_req_ctx(req);
    gid_t groups[1024];
    const int room = (int)(sizeof(groups) / sizeof(groups[0]));

    if (context->uid == 0 || context->gid == group)
        return false;
    int count = fuse_req_getgroups(req, room, groups);
    for (int i = 0; i < count && i < room; i++)
        if (groups[i] == group)
            return false;
    return true;
}

unsigned setgid_mode(fuse_req_t req, unsigned mode, gid_t group)
{
    return mode & S_ISGID && outside_group(req, group) ? mode & ~(unsigned)S_ISGID : mode;
}

void setgid_drop(fuse_req_t req, struct server *server, struct ext2dax_inode *inode)
{
    struct ext2dax_stat figures;

    ext2dax_stat(inode, &figures, sizeof(figures));
    unsigned mode = figures.mode & 07777u;
    if (setgid_mode(req, mode, figures.gid) == mode)
        return;
    struct ext2dax_attributes attributes = {
        .size = sizeof(attributes), .set = EXT2DAX_SET_MODE, .mode = (uint16_t)(mode & ~(unsigned)S_ISGID)};
    if (!ext2dax_setattr(inode, &attributes))
        fuse_lowlevel_notify_inval_inode(server->session, node_ino(figures.number), -1, 0);
}
