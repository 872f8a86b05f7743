/* SPDX-License-Identifier: MIT */
/*
 * Who holds an inode. One object an inode, found by number; the cache lock guards chains, reference counts and states. An
 * inode is read from the image under that lock: whoever would free it or reuse its number holds an object for it, so
 * an inode that has none does not change.
 */
#include "cache.h"

#include "inode.h"
#include "lock.h"
#include "persist.h"
#include "super.h"
#include "truncate.h"
#include "window.h"

static struct ext2dax_inode **chain_of(struct ext2dax_mount *m, uint32_t number)
{
    return &m->cache[(number * 0x9E3779B1u >> 16) & (E2D_CACHE_CHAINS - 1)];
}

static struct ext2dax_inode *find(struct ext2dax_mount *m, uint32_t number)
{
    struct ext2dax_inode *at = *chain_of(m, number);

    while (at && at->number != number)
        at = at->next;
    return at;
}

static void hold(struct ext2dax_inode *inode)
{
    inode->references++;
    inode->mount->held++;
}

static void locks_destroy(struct ext2dax_mount *m, struct ext2dax_inode *inode)
{
    e2d_lock_destroy(m, &inode->truncate);
    e2d_lock_destroy(m, &inode->dax_sem);
    e2d_lock_destroy(m, &inode->io);
}

static int locks_init(struct ext2dax_mount *m, struct ext2dax_inode *inode, uint32_t number)
{
    if (e2d_lock_init(m, &inode->io, EXT2DAX_LOCK_IO, number) != 0)
        return -EXT2DAX_ENOMEM;
    if (e2d_lock_init(m, &inode->dax_sem, EXT2DAX_LOCK_DAX_SEM, number) != 0)
        goto no_dax_sem;
    if (e2d_lock_init(m, &inode->truncate, EXT2DAX_LOCK_TRUNCATE, number) != 0)
        goto no_truncate;
    return 0;

no_truncate:
    e2d_lock_destroy(m, &inode->dax_sem);
no_dax_sem:
    e2d_lock_destroy(m, &inode->io);
    return -EXT2DAX_ENOMEM;
}

/* The answer for an inode that is in core, with a reference; the cache lock is held. */
static int found(struct ext2dax_inode *inode)
{
    if ((inode->state & (E2D_INODE_DYING | E2D_INODE_NAMELESS)) != 0 && !E2D_MUTANT(DYING_FOUND))
        return -EXT2DAX_ENOENT;
    hold(inode);
    return 0;
}

static int get(struct ext2dax_mount *m, uint32_t number, struct ext2dax_inode *storage, bool new,
               struct ext2dax_inode **inode)
{
    struct ext2dax_inode *made, **chain = chain_of(m, number), *there;
    int rc;

    *inode = NULL;
    if (number == 0 || number > m->inodes)
        return -EXT2DAX_EINVAL;
    E2D_UNLESS(CACHE_LOCK_SKIPPED, e2d_write_lock(m, &m->cache_lock));
    there = find(m, number);
    rc = there ? found(there) : 0;
    E2D_UNLESS(CACHE_LOCK_SKIPPED, e2d_write_unlock(m, &m->cache_lock));
    if (there) {
        *inode = rc == 0 ? there : NULL;
        return rc;
    }

    made = storage ? storage : e2d_alloc(m, sizeof *made);
    if (!made)
        return -EXT2DAX_ENOMEM;
    memset(made, 0, sizeof *made);
    rc = locks_init(m, made, number);
    if (rc != 0)
        goto out_release;

    E2D_UNLESS(CACHE_LOCK_SKIPPED, e2d_write_lock(m, &m->cache_lock));
    there = find(m, number); /* another thread may have been faster */
    if (there) {
        rc = found(there);
    } else {
        rc = e2d_inode_load(m, number, made);
        if (rc == 0 && !new &&e2d_load_le16(&made->disk->links) == 0)
            rc = -EXT2DAX_ENOENT;
        if (rc == 0) {
            made->state = (storage ? 0 : E2D_INODE_OWNED) | (new ? E2D_INODE_NAMELESS : 0);
            made->next = *chain;
            E2D_GUARDED_STORE(chain);
            *chain = made;
            hold(made);
        }
    }
    E2D_UNLESS(CACHE_LOCK_SKIPPED, e2d_write_unlock(m, &m->cache_lock));
    if (rc == -EXT2DAX_EUCLEAN)
        e2d_super_error(m); /* not under the cache lock */
    if (rc == 0)
        *inode = there ? there : made;
    if (rc == 0 && !there)
        return 0;

    locks_destroy(m, made);
out_release:
    if (!storage)
        e2d_release(m, made, sizeof *made);
    return rc;
}

int ext2dax_inode_get(struct ext2dax_mount *m, uint32_t number, struct ext2dax_inode **inode)
{
    return get(m, number, NULL, false, inode);
}

int ext2dax_inode_get_in(struct ext2dax_mount *m, uint32_t number, struct ext2dax_inode *storage,
                         struct ext2dax_inode **inode)
{
    return get(m, number, storage, false, inode);
}

int e2d_inode_new(struct ext2dax_mount *m, uint32_t number, struct ext2dax_inode **inode)
{
    return get(m, number, NULL, true, inode);
}

void ext2dax_inode_hold(struct ext2dax_inode *inode)
{
    struct ext2dax_mount *m = inode->mount;

    e2d_write_lock(m, &m->cache_lock);
    E2D_ASSERT(m, inode->references != 0);
    hold(inode);
    e2d_write_unlock(m, &m->cache_lock);
}

void e2d_inode_named(struct ext2dax_inode *inode)
{
    struct ext2dax_mount *m = inode->mount;

    e2d_write_lock(m, &m->cache_lock);
    inode->state &= ~E2D_INODE_NAMELESS;
    e2d_write_unlock(m, &m->cache_lock);
}

void e2d_inode_nameless(struct ext2dax_inode *inode)
{
    struct ext2dax_mount *m = inode->mount;

    e2d_write_lock(m, &m->cache_lock);
    inode->state |= E2D_INODE_NAMELESS;
    e2d_write_unlock(m, &m->cache_lock);
}

static void unchain(struct ext2dax_mount *m, struct ext2dax_inode *inode)
{
    struct ext2dax_inode **at = chain_of(m, inode->number);

    while (*at != inode)
        at = &(*at)->next;
    *at = inode->next;
}

/* The object is out of the chains: nobody finds it any more. */
static void discard(struct ext2dax_mount *m, struct ext2dax_inode *inode)
{
    bool owned = (inode->state & E2D_INODE_OWNED) != 0;

    locks_destroy(m, inode);
    if (owned)
        e2d_release(m, inode, sizeof *inode);
    else if (m->host_ops.inode_released)
        m->host_ops.inode_released(m->host_ctx, inode);
}

/*
 * A dying inode. It leaves its chain before its number is free: until then the image says "no links" to whoever looks for
 * the number, and afterwards the number may have a new object.
 */
static void bury(struct ext2dax_mount *m, struct ext2dax_inode *inode)
{
    e2d_write_lock(m, &m->cache_lock);
    unchain(m, inode);
    e2d_write_unlock(m, &m->cache_lock);
    if (!E2D_MUTANT(ORDER_UNLINK_BITS_FIRST))
        (void)e2d_inode_free(inode); /* reported; what could not be freed is leaked, for e2fsck to reclaim */
}

void e2d_cache_drain(struct ext2dax_mount *m)
{
    struct ext2dax_inode *inode;

    for (;;) {
        if (!E2D_MUTANT(LAST_PUT_FROZEN) && !e2d_try_read_lock(m, &m->freeze_fault))
            return; /* frozen again: the next thaw comes here too */
        e2d_write_lock(m, &m->cache_lock);
        inode = m->put_queue;
        if (inode)
            m->put_queue = inode->next_put;
        e2d_write_unlock(m, &m->cache_lock);
        if (inode)
            bury(m, inode);
        E2D_UNLESS(LAST_PUT_FROZEN, e2d_read_unlock(m, &m->freeze_fault));
        if (!inode)
            return;
        discard(m, inode); /* under no lock: the host may have plans of its own */
    }
}

void ext2dax_inode_put(struct ext2dax_inode *inode)
{
    struct ext2dax_mount *m = inode->mount;
    bool fenced;

    for (;;) {
        e2d_write_lock(m, &m->cache_lock);
        E2D_ASSERT(m, inode->references != 0);
        if (inode->references > 1 || (inode->state & E2D_INODE_NAMELESS) != 0 || !e2d_dirty(inode))
            break;
        /* The last reference to something dirty: write back while the reference still keeps the object. */
        e2d_write_unlock(m, &m->cache_lock);
        if (e2d_dirty_sync(inode, &fenced) != 0) {
            e2d_write_lock(m, &m->cache_lock);
            break; /* reported, and the mount has gone read-only; nothing more can be done for these stores */
        }
    }
    m->held--;
    if (--inode->references != 0) {
        e2d_write_unlock(m, &m->cache_lock);
        return;
    }
    if ((inode->state & E2D_INODE_NAMELESS) == 0) {
        unchain(m, inode);
        e2d_write_unlock(m, &m->cache_lock);
        discard(m, inode);
        return;
    }
    inode->state |= E2D_INODE_DYING;
    inode->next_put = m->put_queue;
    m->put_queue = inode;
    e2d_write_unlock(m, &m->cache_lock);
    e2d_cache_drain(m);
}

int e2d_cache_each(struct ext2dax_mount *m, int (*each)(struct ext2dax_inode *inode, void *arg), void *arg)
{
    int rc = 0;

    for (unsigned i = 0; i < E2D_CACHE_CHAINS && rc == 0; i++) {
        struct ext2dax_inode *inode, *done = NULL;

        do {
            e2d_write_lock(m, &m->cache_lock);
            inode = done ? done->next : m->cache[i];
            while (inode && (inode->state & E2D_INODE_DYING) != 0)
                inode = inode->next;
            if (inode)
                hold(inode);
            e2d_write_unlock(m, &m->cache_lock);
            if (done)
                ext2dax_inode_put(done);
            done = inode;
            if (inode)
                rc = each(inode, arg);
        } while (inode && rc == 0);
        if (done && rc != 0)
            ext2dax_inode_put(done);
    }
    return rc;
}

bool e2d_cache_unlinked(struct ext2dax_mount *m)
{
    bool any = false;

    e2d_write_lock(m, &m->cache_lock);
    for (unsigned i = 0; i < E2D_CACHE_CHAINS && !any; i++) {
        for (const struct ext2dax_inode *at = m->cache[i]; at && !any; at = at->next)
            any = (at->state & E2D_INODE_NAMELESS) != 0;
    }
    e2d_write_unlock(m, &m->cache_lock);
    return any;
}
