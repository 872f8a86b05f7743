/* SPDX-License-Identifier: MIT */
/* The model of the calls of name.h that change names. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#define NEW_NAME_BLOCKS 16u /* blocks that a new name may need, of its inode and of its directory */

int model_check_name(const char *name, size_t length)
{
    if (length == 0)
        return -EXT2DAX_EINVAL;
    if (length > EXT2DAX_NAME_MAX)
        return mistaken(MISTAKE_LONG_NAME) ? -EXT2DAX_EINVAL : -EXT2DAX_ENAMETOOLONG;
    return memchr(name, '/', length) || memchr(name, '\0', length) ? -EXT2DAX_EINVAL : 0;
}

static bool is_dots(const char *name, size_t length)
{
    return (length == 1 && name[0] == '.') || (length == 2 && name[0] == '.' && name[1] == '.');
}

/* The checks of a directory that gains or loses a name. `forbidden` are inode flags. */
static int may_change(const struct model *model, const struct node *directory, uint32_t forbidden)
{
    if (!node_is(directory, EXT2DAX_S_IFDIR))
        return -EXT2DAX_ENOTDIR;
    if (model->read_only)
        return -EXT2DAX_EROFS;
    if (directory->links == 0 && !mistaken(MISTAKE_DEAD_DIRECTORY))
        return -EXT2DAX_ENOENT;
    return (directory->flags & forbidden) != 0 ? -EXT2DAX_EPERM : 0;
}

/* ---- creation ---- */

/* A new inode as the call describes it, and the target of a symbolic link. */
struct creation {
    struct ext2dax_attributes attributes;
    uint32_t major, minor;
    char target[PATH_ROOM];
    size_t target_length;
};

static void describe(const struct call *call, struct creation *creation)
{
    const struct ext2dax_time base = {.seconds = call->seconds, .nanoseconds = call->nanoseconds};
    unsigned type = call->mode & EXT2DAX_S_IFMT;

    memset(creation, 0, sizeof(*creation));
    creation->attributes.mode = call->mode;
    creation->attributes.uid = call->uid;
    creation->attributes.gid = call->gid;
    if (call->kind == CALL_CREATE)
        type = EXT2DAX_S_IFREG;
    if (call->kind == CALL_MKDIR)
        type = EXT2DAX_S_IFDIR;
    if (call->kind == CALL_SYMLINK) {
        type = EXT2DAX_S_IFLNK;
        creation->attributes.mode = 0777;
    }
    if (type == 0)
        type = EXT2DAX_S_IFREG;
    creation->attributes.mode = (uint16_t)(type | (creation->attributes.mode & 07777u));
    if (call->kind == CALL_CREATE_AS) {
        creation->attributes.set = call->flags;
        creation->attributes.flags = call->inode_flags;
        creation->attributes.mtime = creation->attributes.ctime = base;
        creation->attributes.atime = creation->attributes.created = base;
        creation->attributes.ctime.seconds += 2;
        creation->attributes.atime.seconds += 1;
        creation->attributes.created.seconds += 3;
    }
    creation->major = call->major;
    creation->minor = call->minor;
    creation->target_length = path_text(&call->path, creation->target);
}

/* Types that mknod() does not make. */
static bool is_no_node(const struct creation *creation)
{
    unsigned type = creation->attributes.mode & EXT2DAX_S_IFMT;

    return type == EXT2DAX_S_IFDIR || type == EXT2DAX_S_IFLNK;
}

static int check_type(const struct model *model, const struct creation *creation)
{
    switch (creation->attributes.mode & EXT2DAX_S_IFMT) {
    case EXT2DAX_S_IFREG:
    case EXT2DAX_S_IFIFO:
    case EXT2DAX_S_IFSOCK:
        return 0;
    case EXT2DAX_S_IFDIR:
        return 0;
    case EXT2DAX_S_IFCHR:
    case EXT2DAX_S_IFBLK:
        return creation->major >= 4096 || creation->minor >= 1u << 20 ? -EXT2DAX_EINVAL : 0;
    case EXT2DAX_S_IFLNK:
        if (creation->target_length == 0)
            return -EXT2DAX_EINVAL;
        if (creation->target_length >= model->kind->block_size)
            return -EXT2DAX_ENAMETOOLONG;
        return memchr(creation->target, '\0', creation->target_length) ? -EXT2DAX_EINVAL : 0;
    default:
        return -EXT2DAX_EINVAL;
    }
}

static int check_creation(const struct model *model, const struct call *call, const struct creation *creation)
{
    unsigned set = creation->attributes.set;

    if (model_check_set(set, call->nanoseconds) != 0)
        return -EXT2DAX_EINVAL;
    if ((set & EXT2DAX_SET_FLAGS) != 0 && (creation->attributes.flags & ~EXT2DAX_FL_SETTABLE) != 0)
        return -EXT2DAX_EOPNOTSUPP;
    return check_type(model, creation);
}

static struct ext2dax_time chosen(const struct model *model, const struct node *node, unsigned set,
                                  struct ext2dax_time time)
{
    return set != 0 ? model_stored(node, time) : model_now(model, node);
}

static struct node *make_node(struct model *model, struct node *directory, const struct creation *creation)
{
    const struct ext2dax_attributes *attributes = &creation->attributes;
    struct node *node = node_new();
    unsigned set = attributes->set;

    node->is_large = model->large_inodes;
    node->mode = attributes->mode;
    node->uid = attributes->uid;
    node->gid = attributes->gid;
    node->flags = (set & EXT2DAX_SET_FLAGS) != 0 ? attributes->flags : 0;
    node->links = 1;
    node->mtime =
        chosen(model, node, (set & EXT2DAX_SET_MTIME_NOW) != 0 ? 0 : set & EXT2DAX_SET_MTIME, attributes->mtime);
    node->atime =
        chosen(model, node, (set & EXT2DAX_SET_ATIME_NOW) != 0 ? 0 : set & EXT2DAX_SET_ATIME, attributes->atime);
    node->ctime = chosen(model, node, set & EXT2DAX_SET_CTIME, attributes->ctime);
    node->created = chosen(model, node, set & EXT2DAX_SET_CREATED, attributes->created);
    if (node_is(node, EXT2DAX_S_IFDIR)) {
        node->links = 2;
        node->size = model->kind->block_size;
        node->parent = directory;
        directory->links++;
    }
    if (node_is(node, EXT2DAX_S_IFCHR) || node_is(node, EXT2DAX_S_IFBLK)) {
        node->major = creation->major;
        node->minor = creation->minor;
    }
    if (node_is(node, EXT2DAX_S_IFLNK)) {
        node->size = creation->target_length;
        node->target = malloc(creation->target_length + 1);
        if (!node->target)
            abort();
        memcpy(node->target, creation->target, creation->target_length + 1);
    }
    node->next = model->nodes;
    model->nodes = node;
    return node;
}

static bool links_full(const struct model *model, const struct node *directory)
{
    return !mistaken(MISTAKE_DIRECTORIES_UNBOUNDED) && directory->links >= EXT2DAX_LINKS_MAX &&
           !strstr(model->kind->features, "dir_nlink");
}

static int64_t create(struct model *model, const struct call *call, const struct outcome *seen)
{
    struct node *directory = model->slot[call->slot], *node;
    struct creation creation;
    char name[NAME_ROOM];
    size_t length = name_text(call->name, name);
    int error = model_check_name(name, length);

    describe(call, &creation);
    if (call->kind == CALL_MKNOD && is_no_node(&creation))
        error = -EXT2DAX_EINVAL;
    if (error == 0)
        error = check_creation(model, call, &creation);
    if (error == 0)
        error = may_change(model, directory, EXT2DAX_FL_IMMUTABLE);
    if (error != 0)
        return error;
    if (is_dots(name, length) || node_find(directory, name, length))
        return -EXT2DAX_EEXIST;
    if ((creation.attributes.mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFDIR && links_full(model, directory))
        return -EXT2DAX_EMLINK;
    if (seen->result == -EXT2DAX_ENOSPC && model_full(model, seen, NEW_NAME_BLOCKS))
        return -EXT2DAX_ENOSPC;
    node = make_node(model, directory, &creation);
    node_add_entry(directory, name, length, node, model->births++);
    model_set_times(model, directory, true);
    if (call->into != NO_SLOT)
        model_hold(model, call->into, node);
    return 0;
}

static int64_t link_inode(struct model *model, const struct call *call, const struct outcome *seen)
{
    struct node *node = model->slot[call->slot], *directory = model->slot[call->other];
    char name[NAME_ROOM];
    size_t length = name_text(call->name, name);
    int error = model_check_name(name, length);

    if (error == 0)
        error = may_change(model, directory, EXT2DAX_FL_IMMUTABLE);
    if (error != 0)
        return error;
    if (is_dots(name, length) || node_find(directory, name, length))
        return -EXT2DAX_EEXIST;
    if (node_is(node, EXT2DAX_S_IFDIR))
        return -EXT2DAX_EPERM;
    if (node->links == 0)
        return -EXT2DAX_ENOENT;
    if ((node->flags & (EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND)) != 0)
        return -EXT2DAX_EPERM;
    if (node->links >= EXT2DAX_LINKS_MAX && !mistaken(MISTAKE_LINKS_UNBOUNDED))
        return -EXT2DAX_EMLINK;
    if (seen->result == -EXT2DAX_ENOSPC && model_full(model, seen, NEW_NAME_BLOCKS))
        return -EXT2DAX_ENOSPC;
    node_add_entry(directory, name, length, node, model->births++);
    node->links++;
    if (!mistaken(MISTAKE_CTIME_OF_LINK))
        model_set_times(model, node, false);
    model_set_times(model, directory, true);
    return 0;
}

/* ---- removal ---- */

#define PROTECTED (EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND)

/*
 * Takes a name from an inode that has lost the name. A removed directory has no name and no link.
 */
static void unname(struct model *model, struct node *node)
{
    model_set_times(model, node, false);
    node->links = node_is(node, EXT2DAX_S_IFDIR) ? 0 : node->links - 1;
    model_release(model, node);
}

/* Finds the entry to be removed. `dot` and `dots` are the errors for "." and "..". */
static int removed_entry(struct model *model, const struct call *call, int dot, int dots, struct node_entry **entry)
{
    struct node *directory = model->slot[call->slot];
    char name[NAME_ROOM];
    size_t length = name_text(call->name, name);
    int error = model_check_name(name, length);

    if (error == 0)
        error = may_change(model, directory, PROTECTED);
    if (error != 0)
        return error;
    if (is_dots(name, length))
        return length == 1 ? dot : dots;
    *entry = node_find(directory, name, length);
    return *entry ? 0 : -EXT2DAX_ENOENT;
}

static int64_t unlink_name(struct model *model, const struct call *call)
{
    struct node *directory = model->slot[call->slot], *node;
    struct node_entry *entry;
    int error = removed_entry(model, call, -EXT2DAX_EISDIR, -EXT2DAX_EISDIR, &entry);

    if (error != 0)
        return error;
    node = entry->node;
    if (node_is(node, EXT2DAX_S_IFDIR))
        return -EXT2DAX_EISDIR;
    if ((node->flags & PROTECTED) != 0 && !(mistaken(MISTAKE_APPEND_UNLINKED) && node->flags == EXT2DAX_FL_APPEND))
        return -EXT2DAX_EPERM;
    node_drop_entry(directory, entry);
    model_set_times(model, directory, true);
    unname(model, node);
    return 0;
}

static int64_t remove_directory(struct model *model, const struct call *call)
{
    struct node *directory = model->slot[call->slot], *node;
    struct node_entry *entry;
    int error = removed_entry(model, call, -EXT2DAX_EINVAL, -EXT2DAX_ENOTEMPTY, &entry);

    if (error != 0)
        return error;
    node = entry->node;
    if (!node_is(node, EXT2DAX_S_IFDIR))
        return -EXT2DAX_ENOTDIR;
    if ((node->flags & PROTECTED) != 0)
        return -EXT2DAX_EPERM;
    if (node->entry_count != 0)
        return -EXT2DAX_ENOTEMPTY;
    node_drop_entry(directory, entry);
    model_set_times(model, directory, true);
    if (!mistaken(MISTAKE_LINKS_OF_PARENT))
        directory->links--;
    unname(model, node);
    return 0;
}

/* ---- rename ---- */

static bool is_below(const struct node *node, const struct node *ancestor)
{
    for (; node != ancestor; node = node->parent) {
        if (node->parent == node)
            return false;
    }
    return true;
}

/* A directory moved from one parent to another. */
static void move_parent(struct model *model, struct node *node, struct node *from, struct node *to)
{
    if (!node_is(node, EXT2DAX_S_IFDIR) || from == to)
        return;
    node->parent = mistaken(MISTAKE_MOVE_TO_ROOT) ? model->root : to;
    from->links--;
    to->links++;
}

/* A directory and a name in it. */
struct place {
    struct node *directory;
    char name[NAME_ROOM];
    size_t length;
    struct node_entry *entry;
};

/* The checks of an exchange, or of the replacement of an existing name. */
static int check_target(const struct place *from, const struct place *to, unsigned flags)
{
    const struct node *moved = from->entry->node, *victim = to->entry ? to->entry->node : NULL;
    bool is_exchange = (flags & EXT2DAX_RENAME_EXCHANGE) != 0;

    /* A directory that loses the replaced or exchanged name may not be append-only. */
    if (victim && (to->directory->flags & EXT2DAX_FL_APPEND) != 0)
        return -EXT2DAX_EPERM;
    if (victim && !is_exchange) {
        if (node_is(moved, EXT2DAX_S_IFDIR) && !node_is(victim, EXT2DAX_S_IFDIR))
            return -EXT2DAX_ENOTDIR;
        if (!node_is(moved, EXT2DAX_S_IFDIR) && node_is(victim, EXT2DAX_S_IFDIR))
            return -EXT2DAX_EISDIR;
    }
    if (node_is(moved, EXT2DAX_S_IFDIR) && is_below(to->directory, moved))
        return -EXT2DAX_EINVAL;
    if (victim && node_is(victim, EXT2DAX_S_IFDIR) && is_below(from->directory, victim))
        return is_exchange ? -EXT2DAX_EINVAL : -EXT2DAX_ENOTEMPTY;
    return (moved->flags & PROTECTED) != 0 || (victim && (victim->flags & PROTECTED) != 0) ? -EXT2DAX_EPERM : 0;
}

/* EMLINK of a parent that gains a directory and loses none. */
static int check_links(const struct model *model, const struct place *from, const struct place *to, bool is_exchange)
{
    const struct node *moved = from->entry->node, *victim = to->entry ? to->entry->node : NULL;
    bool moves = node_is(moved, EXT2DAX_S_IFDIR), leaves = victim && node_is(victim, EXT2DAX_S_IFDIR);

    if (from->directory == to->directory)
        return 0;
    if (moves && !leaves && links_full(model, to->directory))
        return -EXT2DAX_EMLINK;
    return is_exchange && leaves && !moves && links_full(model, from->directory) ? -EXT2DAX_EMLINK : 0;
}

static void exchange(struct model *model, struct place *from, struct place *to)
{
    struct node *moved = from->entry->node, *victim = to->entry->node;

    from->entry->node = victim;
    to->entry->node = moved;
    move_parent(model, moved, from->directory, to->directory);
    move_parent(model, victim, to->directory, from->directory);
    model_set_times(model, victim, false);
}

static void replace(struct model *model, struct place *from, struct place *to)
{
    struct node *moved = from->entry->node, *victim = to->entry ? to->entry->node : NULL;

    if (victim)
        to->entry->node = moved;
    else
        node_add_entry(to->directory, to->name, to->length, moved, model->births++);
    from->entry = node_find(from->directory, from->name, from->length);
    node_drop_entry(from->directory, from->entry);
    move_parent(model, moved, from->directory, to->directory);
    if (!victim)
        return;
    if (node_is(victim, EXT2DAX_S_IFDIR))
        to->directory->links--;
    if (mistaken(MISTAKE_REPLACED_LINKS))
        victim->links++;
    unname(model, victim);
}

static int find_places(struct model *model, struct place *from, struct place *to, unsigned flags)
{
    int error;

    if (!node_is(from->directory, EXT2DAX_S_IFDIR) || !node_is(to->directory, EXT2DAX_S_IFDIR))
        return -EXT2DAX_ENOTDIR;
    /* A removed directory has no ancestors, and ancestors are looked up first. */
    error = may_change(model, from->directory, 0);
    if (error == 0)
        error = may_change(model, to->directory, 0);
    if (error == 0)
        error = may_change(model, from->directory, PROTECTED);
    if (error == 0)
        error = may_change(model, to->directory, EXT2DAX_FL_IMMUTABLE);
    if (error != 0)
        return error;
    from->entry = node_find(from->directory, from->name, from->length);
    to->entry = node_find(to->directory, to->name, to->length);
    if (!from->entry || (!to->entry && (flags & EXT2DAX_RENAME_EXCHANGE) != 0))
        return -EXT2DAX_ENOENT;
    return to->entry && (flags & EXT2DAX_RENAME_NOREPLACE) != 0 ? -EXT2DAX_EEXIST : 0;
}

static int check_request(const struct place *from, const struct place *to, unsigned flags)
{
    const unsigned known = EXT2DAX_RENAME_NOREPLACE | EXT2DAX_RENAME_EXCHANGE;
    int error = model_check_name(from->name, from->length);

    if (error == 0)
        error = model_check_name(to->name, to->length);
    if (error != 0)
        return error;
    if ((flags & ~known) != 0 || flags == known)
        return -EXT2DAX_EINVAL;
    return is_dots(from->name, from->length) || is_dots(to->name, to->length) ? -EXT2DAX_EINVAL : 0;
}

static int64_t rename_name(struct model *model, const struct call *call, const struct outcome *seen)
{
    struct place from = {.directory = model->slot[call->slot]}, to = {.directory = model->slot[call->other]};
    bool is_exchange = (call->flags & EXT2DAX_RENAME_EXCHANGE) != 0;
    struct node *moved;
    int error;

    from.length = name_text(call->name, from.name);
    to.length = name_text(call->other_name, to.name);
    error = check_request(&from, &to, call->flags);
    if (error == 0)
        error = find_places(model, &from, &to, call->flags);
    if (error != 0)
        return error;
    moved = from.entry->node;
    if (to.entry && to.entry->node == moved) {
        if (mistaken(MISTAKE_SAME_INODE_RENAMED) && moved->links > 1) {
            node_drop_entry(from.directory, from.entry);
            moved->links--;
        }
        return 0;
    }
    error = check_target(&from, &to, call->flags);
    if (error == 0)
        error = check_links(model, &from, &to, is_exchange);
    if (error == 0 && to.entry && !is_exchange && to.entry->node->entry_count != 0)
        error = -EXT2DAX_ENOTEMPTY;
    if (error != 0)
        return error;
    if (seen->result == -EXT2DAX_ENOSPC && !to.entry && model_full(model, seen, NEW_NAME_BLOCKS))
        return -EXT2DAX_ENOSPC;
    if (is_exchange)
        exchange(model, &from, &to);
    else
        replace(model, &from, &to);
    model_set_times(model, moved, false);
    model_set_times(model, from.directory, true);
    model_set_times(model, to.directory, true);
    return 0;
}

static int64_t change_names(struct model *model, const struct call *call, const struct outcome *seen)
{
    switch (call->kind) {
    case CALL_LINK:
        return link_inode(model, call, seen);
    case CALL_UNLINK:
        return unlink_name(model, call);
    case CALL_RMDIR:
        return remove_directory(model, call);
    case CALL_RENAME:
        return rename_name(model, call, seen);
    default:
        return create(model, call, seen);
    }
}

int64_t model_play_names(struct model *model, const struct call *call, const struct outcome *seen,
                         struct outcome *expected)
{
    struct node *counted = model->slot[call_counted(call)];
    uint32_t more = counted->links != 0 ? call->more_links : 0;
    int64_t result;

    (void)expected;
    counted->links += more;
    result = change_names(model, call, seen);
    counted->links -= more;
    return result;
}
