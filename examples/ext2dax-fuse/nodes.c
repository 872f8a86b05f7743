/* SPDX-License-Identifier: MIT */
/*
 * The inodes known to the kernel, by number. A node holds a reference to the in-core inode as long
 * as the lookup count of FUSE is not 0. So an unlinked open file lives, and the inode number is not
 * used again while the kernel knows the number.
 *
 * The kernel sends no request for an inode after the last forget. So an operation uses the inode
 * without a reference of its own.
 */
#include "server.h"

#include <errno.h>
#include <stdlib.h>

#define NODE_CHUNK 1024u

int nodes_open(struct server *server)
{
    struct nodes *nodes = &server->nodes;
    struct ext2dax_inode *root;

    nodes->chunk_count = (size_t)(server->figures.inodes / NODE_CHUNK + 1);
    nodes->chunks = calloc(nodes->chunk_count, sizeof(nodes->chunks[0]));
    if (!nodes->chunks)
        return -ENOMEM;
    for (unsigned i = 0; i < NODE_LOCKS; i++)
        pthread_mutex_init(&nodes->locks[i], NULL);
    int error = ext2dax_inode_get(server->mount, EXT2DAX_ROOT_INODE, &root);
    return error ? error : node_add(server, root, EXT2DAX_ROOT_INODE);
}

void nodes_close(struct server *server)
{
    struct nodes *nodes = &server->nodes;

    if (!nodes->chunks)
        return;
    for (size_t i = 0; i < nodes->chunk_count; i++) {
        struct node *chunk = atomic_load(&nodes->chunks[i]);
        for (unsigned j = 0; chunk && j < NODE_CHUNK; j++)
            if (chunk[j].lookups)
                ext2dax_inode_put(chunk[j].inode);
        free(chunk);
    }
    for (unsigned i = 0; i < NODE_LOCKS; i++)
        pthread_mutex_destroy(&nodes->locks[i]);
    free(nodes->chunks);
    nodes->chunks = NULL;
}

uint32_t node_number(fuse_ino_t ino)
{
    return ino == FUSE_ROOT_ID ? EXT2DAX_ROOT_INODE : (uint32_t)ino;
}

fuse_ino_t node_ino(uint32_t number)
{
    return number == EXT2DAX_ROOT_INODE ? FUSE_ROOT_ID : number;
}

/* Returns the node of a number, or NULL. Makes the chunk of the node if `make`. */
static struct node *node_at(struct nodes *nodes, uint32_t number, bool make)
{
    size_t index = number / NODE_CHUNK;
    struct node *chunk, *none = NULL;

    if (index >= nodes->chunk_count)
        return NULL;
    chunk = atomic_load(&nodes->chunks[index]);
    if (!chunk && make) {
        chunk = calloc(NODE_CHUNK, sizeof(chunk[0]));
        if (chunk && !atomic_compare_exchange_strong(&nodes->chunks[index], &none, chunk)) {
            free(chunk);
            chunk = none;
        }
    }
    return chunk ? &chunk[number % NODE_CHUNK] : NULL;
}

static pthread_mutex_t *node_lock(struct nodes *nodes, uint32_t number)
{
    return &nodes->locks[number % NODE_LOCKS];
}

int node_add(struct server *server, struct ext2dax_inode *inode, uint32_t number)
{
    struct node *node = node_at(&server->nodes, number, true);
    bool known = true;

    if (node) {
        pthread_mutex_lock(node_lock(&server->nodes, number));
        known = node->lookups++ != 0;
        if (!known)
            node->inode = inode;
        pthread_mutex_unlock(node_lock(&server->nodes, number));
    }
    if (known)
        ext2dax_inode_put(inode);
    return node ? 0 : -ENOMEM;
}

void node_forget(struct server *server, uint32_t number, uint64_t count)
{
    struct node *node = node_at(&server->nodes, number, false);
    struct ext2dax_inode *last = NULL;

    if (!node)
        return;
    pthread_mutex_lock(node_lock(&server->nodes, number));
    if (node->lookups) {
        node->lookups -= count < node->lookups ? count : node->lookups;
        if (!node->lookups) {
            last = node->inode;
            node->inode = NULL;
        }
    }
    pthread_mutex_unlock(node_lock(&server->nodes, number));
    if (last)
        ext2dax_inode_put(last);
}

struct ext2dax_inode *node_find(struct server *server, fuse_ino_t ino)
{
    uint32_t number = node_number(ino);
    struct node *node = node_at(&server->nodes, number, false);
    struct ext2dax_inode *inode;

    if (!node)
        return NULL;
    pthread_mutex_lock(node_lock(&server->nodes, number));
    inode = node->inode;
    pthread_mutex_unlock(node_lock(&server->nodes, number));
    return inode;
}
