/* SPDX-License-Identifier: MIT */
/*
 * Setuid and setgid of files changed by a user without privilege. The kernel asks for the removal
 * in the requests of write and truncate, and always asks for chown. Requests of fallocate and
 * copy_file_range do not say, so the privilege is read from /proc. A chown without an owner and a
 * group, and a write to a file with setuid, send a setattr without an attribute. /proc says which
 * of the two comes. The write follows with a request that asks.
 *
 * Setgid of a file that the group may not execute stays, if the user belongs to the group. The
 * kernel knows the mode from an earlier reply, and asks again after a notification.
 */
#include "server.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

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

/* Opens a file of /proc about the thread of the request, for fclose(). Returns NULL on failure. */
static FILE *open_proc(fuse_req_t req, const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%ld/%s", (long)fuse_req_ctx(req)->pid, name);
    return fuse_req_ctx(req)->pid > 0 ? fopen(path, "re") : NULL;
}

/* Has the thread of the request a capability? Without /proc the superuser has all. */
static bool has_capability(fuse_req_t req, unsigned capability)
{
    bool has = fuse_req_ctx(req)->uid == 0;
    char line[256];

    FILE *status = open_proc(req, "status");
    while (status && fgets(line, sizeof(line), status))
        if (!strncmp(line, "CapEff:", 7))
            has = strtoull(line + 7, NULL, 16) >> capability & 1;
    if (status)
        fclose(status);
    return has;
}

/*
 * Is the thread of the request in a system call of the chown family? The thread may not sleep yet,
 * for which the file says "running".
 */
static bool in_chown(fuse_req_t req)
{
    static const long calls[] = {
#ifdef SYS_chown
        SYS_chown,
        SYS_lchown,
#endif
        SYS_fchown,
        SYS_fchownat,
    };
    enum { TRIES = 1000 };
    char line[256] = "running";

    for (unsigned i = 0; i < TRIES && !strncmp(line, "running", 7); i++) {
        FILE *call = open_proc(req, "syscall");
        if (!call || !fgets(line, sizeof(line), call))
            line[0] = 0;
        if (call)
            fclose(call);
        sched_yield();
    }
    char *end;
    long number = strtol(line, &end, 10);
    for (size_t i = 0; end != line && i < sizeof(calls) / sizeof(calls[0]); i++)
        if (number == calls[i])
            return true;
    return false;
}

unsigned setid_mode(fuse_req_t req, unsigned mode, gid_t group, bool asked)
{
    if (asked)
        mode &= ~(unsigned)(mode & S_IXGRP ? S_ISUID | S_ISGID : S_ISUID);
    return setgid_mode(req, mode, group);
}

int setid_change(fuse_req_t req, const struct ext2dax_inode *inode, struct ext2dax_attributes *attributes)
{
    struct ext2dax_stat figures;

    ext2dax_stat(inode, &figures, sizeof(figures));
    unsigned mode = attributes->set & EXT2DAX_SET_MODE ? attributes->mode : figures.mode & 07777u;
    bool nothing = !attributes->set, asked = wire_asks_setid() == SETID_ASKED;
    if (S_ISDIR(figures.mode) || !(mode & (S_ISUID | S_ISGID)))
        return 0;
    if (nothing)
        asked = in_chown(req);
    unsigned kept = asked || (S_ISREG(figures.mode) && !nothing) ? setid_mode(req, mode, figures.gid, asked) : mode;
    if (kept == mode)
        return 0;
    if (nothing && fuse_req_ctx(req)->uid != figures.uid && !has_capability(req, CAP_FOWNER))
        return -EPERM;
    attributes->set |= EXT2DAX_SET_MODE;
    attributes->mode = (uint16_t)kept;
    return 0;
}

void setid_drop(fuse_req_t req, struct server *server, struct ext2dax_inode *inode, enum setid_asked asked)
{
    struct ext2dax_stat figures;

    ext2dax_stat(inode, &figures, sizeof(figures));
    unsigned mode = figures.mode & 07777u;
    if (!(mode & (S_ISUID | S_ISGID)))
        return;
    bool ask = asked == SETID_ASK_PROC ? !has_capability(req, CAP_FSETID) : asked == SETID_ASKED;
    unsigned kept = setid_mode(req, mode, figures.gid, ask);
    if (kept == mode)
        return;
    struct ext2dax_attributes attributes = {
        .size = sizeof(attributes), .set = EXT2DAX_SET_MODE, .mode = (uint16_t)kept};
    if (!ext2dax_setattr(inode, &attributes))
        fuse_lowlevel_notify_inval_inode(server->session, node_ino(figures.number), -1, 0);
}
