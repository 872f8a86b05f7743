/* SPDX-License-Identifier: MIT */
/*
 * Inode cache. An inode has at most one object in core, found by number. The cache lock guards
 * chains, reference counts and states. An inode is read from the image under this lock. Any thread
 * about to free the inode or reuse the number holds an object, so an inode without an object does
 * not change.
 *
 * A mount begins with few chains. A driver may hold an object for each inode that the kernel knows,
 * and long chains cost a cache miss per object. So the chains are widened as objects come. Without
 * memory the chains stay, and only get longer. A core compiled for size never widens.
 */
#include "file/icache.h"

#include "disk/inode.h"
#include "base/lock.h"
#include "base/persist.h"
#include "disk/super.h"
#include "file/truncate.h"
#include "file/dirty.h"
#include "file/name_table.h"
#include "base/skips.h"

/* More bits than the hash has gain nothing. */
#define MOST_CHAINS 65536u

/* Constants in a core compiled for size. */
static inline uint32_t chains_of(const struct ext2dax_mount *m)
{
    return E2D_FOR_SPEED ? m->cache_chains : E2D_CACHE_CHAINS;
}
static inline struct ext2dax_inode **cache_of(struct ext2dax_mount *m)
{
    return E2D_FOR_SPEED ? m->cache : m->first_cache;
}

/* Returns the bytes of the heads of chains, a pointer each. */
static size_t chain_bytes(uint32_t chains)
{
    return chains * sizeof(void *);
}

static E2D_OUT_OF_LINE struct ext2dax_inode **chain_of(struct ext2dax_mount *m, uint32_t number)
{
    return &cache_of(m)[(number * 0x9E3779B1u >> 16) & (chains_of(m) - 1)];
}

static E2D_OUT_OF_LINE struct ext2dax_inode *find(struct ext2dax_mount *m, uint32_t number)
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

static E2D_OUT_OF_LINE void locks_destroy(struct ext2dax_mount *m, struct ext2dax_inode *inode)
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

/*
 * Returns ENOENT for a dying or nameless inode in core, else takes a reference. The caller holds
 * the cache lock.
 */
static E2D_OUT_OF_LINE int found(struct ext2dax_inode *inode)
{
    if ((inode->state & (E2D_INODE_DYING | E2D_INODE_NAMELESS)) != 0 && !E2D_MUTANT(DYING_FOUND))
        return -EXT2DAX_ENOENT;
    hold(inode);
    return 0;
}

/*
 * Moves all objects to `chains` chains, unless the chains are as many already or a walk needs the
 * chains in place. Takes the cache lock.
 */
static void widen(struct ext2dax_mount *m, uint32_t chains)
{
    struct ext2dax_inode **spare = e2d_alloc(m, chain_bytes(chains)), **old, **chain, *at, *next;
    uint32_t spares = chains;

    if (!spare)
        return;
    memset(spare, 0, chain_bytes(chains));
    e2d_write_lock(m, &m->icache_lock);
    if (m->cache_chains < chains && m->cache_walks == 0) {
        old = m->cache;
        spares = m->cache_chains;
        m->cache = spare;
        m->cache_chains = chains;
        for (uint32_t i = 0; i < spares; i++) {
            for (at = old[i]; at; at = next) {
                next = at->next;
                chain = chain_of(m, at->number);
                at->next = *chain;
                *chain = at;
            }
        }
        spare = old;
    }
    e2d_write_unlock(m, &m->icache_lock);
    if (spare != m->first_cache)
        e2d_release(m, spare, chain_bytes(spares));
}

/* Returns the number of chains to widen to, or 0. The caller holds the cache lock. */
static uint32_t chains_wanted(const struct ext2dax_mount *m)
{
    return E2D_FOR_SPEED && m->cache_chains < MOST_CHAINS && m->cached > 2 * m->cache_chains && m->cache_walks == 0
               ? m->cache_chains * 4
               : 0;
}

void e2d_icache_close(struct ext2dax_mount *m)
{
    if (cache_of(m) != m->first_cache)
        e2d_release(m, m->cache, chain_bytes(m->cache_chains));
}

static int get(struct ext2dax_mount *m, uint32_t number, struct ext2dax_inode *storage,
               void (*free_nameless)(struct ext2dax_inode *inode), struct ext2dax_inode **inode)
{
    struct ext2dax_inode *made, **chain, *there;
    uint32_t wanted = 0;
    int rc;

    *inode = NULL;
    if (number > m->inodes || e2d_is_reserved(m, number))
        return -EXT2DAX_EINVAL;
    /* Reports the recorded errors. */
    if (e2d_load32(&m->stopped) == EXT2DAX_ERRORS_REFUSE && e2d_super_writable(m) != 0)
        return -EXT2DAX_EUCLEAN;
    e2d_write_lock(m, &m->icache_lock);
    there = find(m, number);
    rc = there ? found(there) : 0;
    e2d_write_unlock(m, &m->icache_lock);
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

    e2d_write_lock(m, &m->icache_lock);
    there = find(m, number); /* another thread may have been faster */
    if (there) {
        rc = found(there);
    } else {
        rc = e2d_inode_load(m, number, !free_nameless, made);
        if (rc == 0) {
            e2d_set64(&made->removals, (uint64_t)++m->inodes_made << 32);
            made->state = (storage ? 0 : E2D_INODE_OWNED) | (free_nameless ? E2D_INODE_NAMELESS : 0);
            if (free_nameless)
                m->free_nameless = free_nameless;
            chain = chain_of(m, number);
            made->next = *chain;
            E2D_GUARDED_STORE(chain);
            *chain = made;
            hold(made);
            m->cached += E2D_FOR_SPEED;
            wanted = chains_wanted(m);
        }
    }
    e2d_write_unlock(m, &m->icache_lock);
    if (rc == -EXT2DAX_EUCLEAN)
        e2d_super_error(m, "inode", number, "inode", 0); /* not under the cache lock */
    if (rc == 0)
        *inode = there ? there : made;
    if (rc == 0 && !there) {
        if (E2D_FOR_SPEED && wanted != 0)
            widen(m, wanted);
        return 0;
    }

    locks_destroy(m, made);
out_release:
    if (!storage)
        e2d_release(m, made, sizeof *made);
    return rc;
}

int ext2dax_inode_get(struct ext2dax_mount *m, uint32_t number, struct ext2dax_inode **inode)
{
    return get(m, number, NULL, NULL, inode);
}

int ext2dax_inode_get_in(struct ext2dax_mount *m, uint32_t number, struct ext2dax_inode *storage,
                         struct ext2dax_inode **inode)
{
    return get(m, number, storage, NULL, inode);
}

static void free_nameless(struct ext2dax_inode *inode)
{
    (void)e2d_inode_free(inode); /* errors are reported, leaks are left to e2fsck */
}

int e2d_inode_new(struct ext2dax_mount *m, uint32_t number, struct ext2dax_inode **inode)
{
    return get(m, number, NULL, free_nameless, inode);
}

void ext2dax_inode_hold(struct ext2dax_inode *inode)
{
    struct ext2dax_mount *m = inode->mount;

    e2d_write_lock(m, &m->icache_lock);
    E2D_ASSERT(m, inode->references != 0);
    hold(inode);
    e2d_write_unlock(m, &m->icache_lock);
    if (e2d_is_regular(inode))
        e2d_dirty_room(inode, e2d_size(inode)); /* a mapping holds a reference */
}

void(e2d_inode_named)(struct ext2dax_inode *inode)
{
    struct ext2dax_mount *m = inode->mount;

    e2d_write_lock(m, &m->icache_lock);
    inode->state &= ~E2D_INODE_NAMELESS;
    e2d_write_unlock(m, &m->icache_lock);
}

void(e2d_inode_nameless)(struct ext2dax_inode *inode)
{
    struct ext2dax_mount *m = inode->mount;

    e2d_write_lock(m, &m->icache_lock);
    m->free_nameless = free_nameless;
    inode->state |= E2D_INODE_NAMELESS;
    e2d_write_unlock(m, &m->icache_lock);
}

static E2D_OUT_OF_LINE void unchain(struct ext2dax_mount *m, struct ext2dax_inode *inode)
{
    struct ext2dax_inode **at = chain_of(m, inode->number);

    while (*at != inode)
        at = &(*at)->next;
    *at = inode->next;
    m->cached -= E2D_FOR_SPEED;
}

struct ext2dax_inode *e2d_icache_victim(struct ext2dax_mount *m)
{
    struct ext2dax_inode *inode = NULL;
    struct e2d_name_table *table;

    e2d_write_lock(m, &m->icache_lock);
    table = e2d_names_oldest(m);
    if (table) {
        inode = table->directory;
        hold(inode);
    }
    e2d_write_unlock(m, &m->icache_lock);
    return inode;
}

/* Frees an object already removed from the chains, so no lookup finds the object any more. */
static void discard(struct ext2dax_mount *m, struct ext2dax_inode *inode)
{
    bool owned = (inode->state & E2D_INODE_OWNED) != 0;

    if (e2d_load_word(&inode->names) != 0)
        m->drop_names(inode);
    e2d_dirty_drop(inode);
    locks_destroy(m, inode);
    if (owned)
        e2d_release(m, inode, sizeof *inode);
    else if (m->host_ops.inode_released)
        m->host_ops.inode_released(m->host_ctx, inode);
}

/*
 * Frees a dying inode. The object leaves the chain before the number is free. Until then the image
 * has link count 0 for any lookup of the number, and afterwards the number may get a new object.
 */
static void bury(struct ext2dax_mount *m, struct ext2dax_inode *inode)
{
    void (*free_it)(struct ext2dax_inode * inode);

    e2d_write_lock(m, &m->icache_lock);
    unchain(m, inode);
    free_it = m->free_nameless;
    e2d_write_unlock(m, &m->icache_lock);
    free_it(inode);
}

void(e2d_icache_drain)(struct ext2dax_mount *m)
{
    struct ext2dax_inode *inode;

    for (;;) {
        if (!e2d_try_read_lock(m, &m->freeze_fault))
            return; /* frozen again, the next thaw drains the queue too */
        e2d_write_lock(m, &m->icache_lock);
        inode = m->put_queue;
        if (inode)
            m->put_queue = inode->next_put;
        e2d_write_unlock(m, &m->icache_lock);
        if (inode)
            bury(m, inode);
        e2d_read_unlock(m, &m->freeze_fault);
        if (!inode)
            return;
        discard(m, inode); /* under no lock, because the host may run any code */
    }
}

void ext2dax_inode_put(struct ext2dax_inode *inode)
{
    struct ext2dax_mount *m = inode->mount;
    bool fenced;

    if (!e2d_is_usable(m))
        return;
    for (;;) {
        e2d_write_lock(m, &m->icache_lock);
        E2D_ASSERT(m, inode->references != 0);
        if (inode->references > 1 || (inode->state & E2D_INODE_NAMELESS) != 0 || !e2d_dirty(inode))
            break;
        /*
         * The last reference to a dirty inode. Writes back while the reference still keeps the
         * object.
         */
        e2d_write_unlock(m, &m->icache_lock);
        if (e2d_dirty_sync(inode, &fenced) != 0) {
            e2d_write_lock(m, &m->icache_lock);
            break; /* reported, and nothing more can be done for the stores */
        }
    }
    m->held--;
    if (--inode->references != 0) {
        e2d_write_unlock(m, &m->icache_lock);
        return;
    }
    if ((inode->state & E2D_INODE_NAMELESS) == 0) {
        unchain(m, inode);
        e2d_write_unlock(m, &m->icache_lock);
        discard(m, inode);
        return;
    }
    inode->state |= E2D_INODE_DYING;
    inode->next_put = m->put_queue;
    m->put_queue = inode;
    e2d_write_unlock(m, &m->icache_lock);
    e2d_icache_drain(m);
}

/* Ends a walk stopped by an error. */
static void end_walk(struct ext2dax_mount *m)
{
    e2d_write_lock(m, &m->icache_lock);
    m->cache_walks--;
    e2d_write_unlock(m, &m->icache_lock);
}

int(e2d_icache_each)(struct ext2dax_mount *m, int (*each)(struct ext2dax_inode *inode, void *arg), void *arg)
{
    uint32_t chains = 0; /* constant until the end of the walk, 0 before the walk */
    int rc = 0;

    for (uint32_t i = 0; i == 0 || (i < chains && rc == 0); i++) {
        struct ext2dax_inode *inode, *done = NULL;

        do {
            e2d_write_lock(m, &m->icache_lock);
            if (chains == 0)
                m->cache_walks += E2D_FOR_SPEED;
            chains = chains_of(m);
            inode = done ? done->next : cache_of(m)[i];
            while (inode && (inode->state & E2D_INODE_DYING) != 0)
                inode = inode->next;
            if (inode)
                hold(inode);
            else if (i + 1 == chains)
                m->cache_walks -= E2D_FOR_SPEED;
            e2d_write_unlock(m, &m->icache_lock);
            if (done)
                ext2dax_inode_put(done);
            done = inode;
            if (inode)
                rc = each(inode, arg);
        } while (inode && rc == 0);
        if (done && rc != 0) {
            ext2dax_inode_put(done);
            if (E2D_FOR_SPEED)
                end_walk(m);
        }
    }
    return rc;
}

bool e2d_icache_unlinked(struct ext2dax_mount *m)
{
    bool any = false;

    e2d_write_lock(m, &m->icache_lock);
    for (uint32_t i = 0; i < chains_of(m) && !any; i++) {
        for (const struct ext2dax_inode *at = cache_of(m)[i]; at && !any; at = at->next)
            any = (at->state & E2D_INODE_NAMELESS) != 0;
    }
    e2d_write_unlock(m, &m->icache_lock);
    return any;
}
