/* SPDX-License-Identifier: MIT */
/* The data of a file of the tree, read from the directory source or from the spool. */
#include "dax-image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool has_changed(const struct inode *inode, const struct stat *now)
{
    return !S_ISREG(now->st_mode) || now->st_dev != inode->device || now->st_ino != inode->number ||
           (uint64_t)now->st_size != inode->size || now->st_ctim.tv_sec != inode->host_ctime.seconds ||
           now->st_ctim.tv_nsec != (long)inode->host_ctime.nanoseconds;
}

int reader_open(struct reader *reader, const struct node *node)
{
    reader->inode = node->inode;
    reader->path = node_path(node);
    reader->descriptor = node->inode->spool;
    if (node->inode->spool >= 0)
        return 0;
    reader->descriptor = openat(node->inode->root, node->inode->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return reader->descriptor < 0 ? failed(reader->path, "%s", strerror(errno)) : 0;
}

int reader_read(const struct reader *reader, uint64_t offset, void *buffer, size_t length)
{
    uint64_t at = reader->inode->spool >= 0 ? reader->inode->base + offset : offset;
    unsigned char *to = buffer;

    while (length) {
        ssize_t got = pread(reader->descriptor, to, length, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return failed(reader->path, "%s", strerror(errno));
        if (!got)
            return failed(reader->path, "the file changed while being read");
        to += got;
        at += (uint64_t)got;
        length -= (size_t)got;
    }
    return 0;
}

int reader_close(struct reader *reader)
{
    struct stat now;

    if (reader->inode->spool >= 0 || reader->descriptor < 0)
        return 0;
    bool known = !fstat(reader->descriptor, &now);
    close(reader->descriptor);
    reader->descriptor = -1;
    if (!known || has_changed(reader->inode, &now))
        return failed(reader->path, "the file changed while being read");
    return 0;
}
