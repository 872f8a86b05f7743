/* SPDX-License-Identifier: MIT */
/*
 * Access times by the rules of relatime. A read updates the access time if the access time is not
 * later than the last change of the data or of the inode, or is a day old.
 *
 * The kernel serves most reads from its page cache. While an update is due, an open makes the
 * kernel drop the pages, and the first read reaches this program.
 */
#include "server.h"

#include <time.h>

enum { DAY = 24 * 60 * 60 };

static bool not_later(const struct ext2dax_time *a, const struct ext2dax_time *b)
{
    return a->seconds < b->seconds || (a->seconds == b->seconds && a->nanoseconds <= b->nanoseconds);
}

static bool due(const struct server *server, const struct ext2dax_stat *figures)
{
    if (server->options->read_only || server->options->no_atime || figures->flags & EXT2DAX_FL_NOATIME)
        return false;
    return not_later(&figures->atime, &figures->mtime) || not_later(&figures->atime, &figures->ctime) ||
           time(NULL) - figures->atime.seconds >= DAY;
}

bool access_due(const struct server *server, const struct ext2dax_inode *inode)
{
    struct ext2dax_stat figures;

    ext2dax_stat(inode, &figures, sizeof(figures));
    return due(server, &figures);
}

void access_note(struct server *server, struct ext2dax_inode *inode)
{
    struct ext2dax_stat figures;

    if (!access_due(server, inode))
        return;
    pthread_rwlock_wrlock(&server->changes);
    ext2dax_stat(inode, &figures, sizeof(figures));
    if (due(server, &figures)) {
        struct ext2dax_attributes attributes = {.size = sizeof(attributes),
                                                .set = EXT2DAX_SET_ATIME | EXT2DAX_SET_ATIME_NOW | EXT2DAX_SET_CTIME,
                                                .ctime = figures.ctime};
        /* A read does not fail because its time cannot be stored. */
        (void)ext2dax_setattr(inode, &attributes);
    }
    pthread_rwlock_unlock(&server->changes);
}
