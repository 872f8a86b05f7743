/* SPDX-License-Identifier: MIT */
/*
 * Parts of the FUSE protocol that libfuse does not pass on.
 *
 * With FUSE_HANDLE_KILLPRIV_V2 the kernel remembers that a file has no capabilities. Without the
 * flag the kernel asks for the capabilities before every write, which doubles the requests. In
 * return the program removes setuid and setgid where a request says so. The kernel still removes
 * the capabilities itself.
 */
#include "server.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* The request of a thread, as far as needed. */
static _Thread_local struct {
    bool initial; /* the first request, in which the kernel offers the flag */
    bool asks_setid;
} wire;

static ssize_t wire_read(int fd, void *buffer, size_t size, void *userdata)
{
    (void)userdata;
    return read(fd, buffer, size);
}

static ssize_t wire_writev(int fd, struct iovec *parts, int count, void *userdata)
{
    struct fuse_init_out reply;

    (void)userdata;
    if (!wire.initial || count != 2 || parts[1].iov_len > sizeof(reply) ||
        parts[1].iov_len < offsetof(struct fuse_init_out, max_background))
        return writev(fd, parts, count);
    wire.initial = false;
    memcpy(&reply, parts[1].iov_base, parts[1].iov_len);
    reply.flags |= FUSE_HANDLE_KILLPRIV_V2;
    struct iovec changed[2] = {parts[0], {.iov_base = &reply, .iov_len = parts[1].iov_len}};
    return writev(fd, changed, 2);
}

int wire_open(struct fuse_session *session)
{
    static const struct fuse_custom_io io = {.writev = wire_writev, .read = wire_read};

    return fuse_session_custom_io(session, &io, fuse_session_fd(session));
}

/* Copies the arguments of a request. Returns false if the request is shorter. */
static bool arguments_of(const void *request, size_t size, void *to, size_t bytes)
{
    if (size < sizeof(struct fuse_in_header) + bytes)
        return false;
    memcpy(to, (const char *)request + sizeof(struct fuse_in_header), bytes);
    return true;
}

void wire_note(const void *request, size_t size)
{
    struct fuse_in_header header;
    struct fuse_init_in initial;
    struct fuse_setattr_in attributes;
    struct fuse_write_in write;

    wire.initial = wire.asks_setid = false;
    if (size < sizeof(header))
        return;
    memcpy(&header, request, sizeof(header));
    if (header.opcode == FUSE_WRITE)
        wire.asks_setid =
            arguments_of(request, size, &write, sizeof(write)) && write.write_flags & FUSE_WRITE_KILL_SUIDGID;
    else if (header.opcode == FUSE_SETATTR)
        wire.asks_setid =
            arguments_of(request, size, &attributes, sizeof(attributes)) && attributes.valid & FATTR_KILL_SUIDGID;
    else if (header.opcode == FUSE_INIT)
        wire.initial = arguments_of(request, size, &initial, offsetof(struct fuse_init_in, flags2)) &&
                       initial.flags & FUSE_HANDLE_KILLPRIV_V2;
}

enum setid_asked wire_asks_setid(void)
{
    return wire.asks_setid ? SETID_ASKED : SETID_NOT_ASKED;
}
