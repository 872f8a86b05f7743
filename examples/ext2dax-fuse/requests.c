/* SPDX-License-Identifier: MIT */
/* The beginning and the end of every operation. */
#include "server.h"

#include <errno.h>

struct server *request_begin(fuse_req_t req, enum request request)
{
    struct server *server = fuse_req_userdata(req);

    atomic_fetch_add_explicit(&server->requests[request], 1, memory_order_relaxed);
    image_privileged(fuse_req_ctx(req)->uid == 0);
    return server;
}

struct ext2dax_inode *request_inode(fuse_req_t req, enum request request, fuse_ino_t ino, struct server **server)
{
    *server = request_begin(req, request);
    struct ext2dax_inode *inode = node_find(*server, ino);
    if (!inode)
        request_end(req, -ESTALE);
    return inode;
}

void request_end(fuse_req_t req, int error)
{
    struct server *server = fuse_req_userdata(req);

    if (error)
        atomic_fetch_add_explicit(&server->failures, 1, memory_order_relaxed);
    fuse_reply_err(req, -error);
}

void change_begin(struct server *server)
{
    pthread_rwlock_rdlock(&server->changes);
}

void change_end(struct server *server)
{
    pthread_rwlock_unlock(&server->changes);
}
