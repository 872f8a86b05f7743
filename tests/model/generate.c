/* SPDX-License-Identifier: MIT */
/*
 * Random calls. Arguments are drawn from the state of the model, so that most calls succeed, and
 * some calls fail for each reason of the headers.
 */
#include "generate.h"

#include <string.h>

static uint64_t noise(struct generator *generator, uint64_t below)
{
    generator->state = generator->state * 6364136223846793005u + 1442695040888963407u;
    return (generator->state >> 33) % below;
}

static bool one_in(struct generator *generator, unsigned count)
{
    return noise(generator, count) == 0;
}

void generator_open(struct generator *generator, uint64_t seed, const struct player_ops *ops, uint64_t without)
{
    generator->state = seed * 0x9E3779B97F4A7C15u + 1;
    generator->ops = ops;
    generator->without = without;
    (void)noise(generator, 2);
    generator->theme = (unsigned)noise(generator, 5);
}

/* ---- inodes ---- */

/* Returns a slot with an inode of the type, or any inode now and then. */
static uint8_t some_slot(struct generator *generator, const struct model *model, unsigned type)
{
    unsigned from = (unsigned)noise(generator, SLOTS);
    bool any = one_in(generator, 12);

    for (unsigned i = 0; i < SLOTS; i++) {
        unsigned slot = (from + i) % SLOTS;
        const struct node *node = model->slot[slot];

        if (node && (any || type == 0 || node_is(node, type)))
            return (uint8_t)slot;
    }
    return 0;
}

static uint8_t directory_slot(struct generator *generator, const struct model *model)
{
    /* The root gets a good part of all names, so that names meet. */
    return one_in(generator, 3) ? 0 : some_slot(generator, model, EXT2DAX_S_IFDIR);
}

/* ---- names ---- */

static uint16_t new_name(struct generator *generator)
{
    if (one_in(generator, 60))
        return (uint16_t)noise(generator, NAME_LOST);
    if (one_in(generator, 40))
        return (uint16_t)(NAME_LONGEST + noise(generator, NAME_ORDINARY - NAME_LONGEST));
    return (uint16_t)(NAME_ORDINARY + noise(generator, generator->theme == 0 ? 400 : 40));
}

static uint16_t number_of(const struct node_entry *entry)
{
    char name[NAME_ROOM];

    for (unsigned number = NAME_LONGEST; number < NAME_COUNT; number++) {
        if (name_text(number, name) == entry->length && memcmp(name, entry->name, entry->length) == 0)
            return (uint16_t)number;
    }
    return NAME_LOST;
}

/* Returns a name of the directory, of a directory or another type as wanted. lost+found stays. */
static uint16_t old_name(struct generator *generator, const struct model *model, unsigned slot, bool directories)
{
    const struct node *directory = model->slot[slot];
    size_t from;

    if (!directory || directory->entry_count == 0 || one_in(generator, 12))
        return new_name(generator);
    from = (size_t)noise(generator, directory->entry_count);
    for (size_t i = 0; i < directory->entry_count; i++) {
        const struct node_entry *entry = &directory->entries[(from + i) % directory->entry_count];
        uint16_t number = number_of(entry);

        if (number != NAME_LOST && node_is(entry->node, EXT2DAX_S_IFDIR) == directories)
            return number;
    }
    return new_name(generator);
}

static bool is_half(struct generator *generator)
{
    return one_in(generator, 2);
}

static void draw_path(struct generator *generator, const struct model *model, struct call_path *path)
{
    const struct node *at = model->root;

    path->count = (uint8_t)(1 + noise(generator, PATH_NAMES));
    path->absolute = is_half(generator);
    path->slashes = one_in(generator, 5);
    path->dots = one_in(generator, 4) ? (uint16_t)(20 + noise(generator, 40)) : 0;
    if (one_in(generator, 50))
        path->dots = (uint16_t)noise(generator, 2100);
    /* Follows the tree, so that a path often leads to the end. */
    for (unsigned i = 0; i < path->count; i++) {
        size_t count = at ? at->entry_count : 0;
        const struct node_entry *entry = count != 0 ? &at->entries[noise(generator, count)] : NULL;

        path->name[i] = entry && !one_in(generator, 8) ? number_of(entry) : new_name(generator);
        if (one_in(generator, 12))
            path->name[i] = one_in(generator, 3) ? NAME_DOT_DOT : NAME_DOT;
        at = entry ? entry->node : NULL;
    }
    if (one_in(generator, 40))
        path->count = 0;
}

/* ---- attributes ---- */

static void draw_attributes(struct generator *generator, struct call *call)
{
    static const int64_t seconds[] = {0,
                                      -1,
                                      -(INT64_C(1) << 31),
                                      -(INT64_C(1) << 31) - 1,
                                      2147483647,
                                      2147483648,
                                      4294967295,
                                      4294967296,
                                      15032385535,
                                      15032385536,
                                      1700000000,
                                      2200000000,
                                      INT64_MAX - 8,
                                      INT64_MIN};
    static const uint32_t owners[] = {0, 1, 1000, 65535, 65536, 0xFFFFFFFEu, 70000};

    call->mode = (uint16_t)noise(generator, 010000);
    call->uid = owners[noise(generator, 7)];
    call->gid = owners[noise(generator, 7)];
    call->seconds = seconds[noise(generator, sizeof(seconds) / sizeof(seconds[0]))];
    call->nanoseconds = (uint32_t)(one_in(generator, 60)   ? 1000000000
                                   : one_in(generator, 10) ? 999999999
                                                           : noise(generator, 1000000000));
    call->inode_flags = 0;
    if (one_in(generator, 3))
        call->inode_flags |= EXT2DAX_FL_NODUMP;
    if (one_in(generator, 6))
        call->inode_flags |= EXT2DAX_FL_NOATIME | EXT2DAX_FL_SYNC;
    if (one_in(generator, 12))
        call->inode_flags |= EXT2DAX_FL_APPEND;
    if (one_in(generator, 12))
        call->inode_flags |= EXT2DAX_FL_IMMUTABLE;
    if (one_in(generator, 60))
        call->inode_flags |= EXT2DAX_FL_INDEX;
}

/* Draws what to set. The present needs the bit of the time as well. */
static uint32_t draw_set(struct generator *generator)
{
    uint32_t set = (uint32_t)noise(generator, one_in(generator, 40) ? 0x800 : 0x400);

    if (one_in(generator, 40))
        return set;
    if ((set & EXT2DAX_SET_ATIME_NOW) != 0)
        set |= EXT2DAX_SET_ATIME;
    return (set & EXT2DAX_SET_MTIME_NOW) != 0 ? set | EXT2DAX_SET_MTIME : set;
}

static void draw_creation(struct generator *generator, const struct model *model, struct call *call)
{
    static const uint16_t types[] = {EXT2DAX_S_IFREG, EXT2DAX_S_IFDIR, EXT2DAX_S_IFCHR,  EXT2DAX_S_IFBLK,
                                     EXT2DAX_S_IFIFO, EXT2DAX_S_IFLNK, EXT2DAX_S_IFSOCK, 0};

    call->slot = directory_slot(generator, model);
    call->name =
        one_in(generator, 15) ? old_name(generator, model, call->slot, is_half(generator)) : new_name(generator);
    call->into = (uint8_t)noise(generator, SLOTS);
    draw_attributes(generator, call);
    call->inode_flags &= one_in(generator, 6) ? UINT32_MAX : EXT2DAX_FL_NODUMP;
    if (call->kind == CALL_CREATE_AS || call->kind == CALL_MKNOD)
        call->mode |= types[noise(generator, 8)];
    if (one_in(generator, 80))
        call->mode |= 0x3000;
    if (call->kind == CALL_CREATE_AS)
        call->flags = draw_set(generator);
    call->major = (uint32_t)noise(generator, one_in(generator, 3) ? 4100 : 256);
    call->minor = (uint32_t)noise(generator, one_in(generator, 3) ? (1u << 20) + 100 : 256);
    draw_path(generator, model, &call->path);
}

static void draw_setattr(struct generator *generator, const struct model *model, struct call *call)
{
    call->slot = some_slot(generator, model, 0);
    draw_attributes(generator, call);
    call->flags = draw_set(generator);
    /* Protection is taken back soon, or a tree of protected inodes would not change any more. */
    if (is_half(generator))
        call->flags = EXT2DAX_SET_FLAGS;
    if (!one_in(generator, 4))
        call->inode_flags &= ~(EXT2DAX_FL_IMMUTABLE | EXT2DAX_FL_APPEND);
}

/* ---- bytes ---- */

static uint64_t draw_offset(struct generator *generator, const struct model *model, const struct node *node)
{
    uint64_t block_size = model->kind->block_size, p = block_size / 4, size = node->size;
    const uint64_t edges[] = {EXT2DAX_DIRECT, EXT2DAX_DIRECT + p, EXT2DAX_DIRECT + p + p * p, 512, 1024};

    switch (noise(generator, 12)) {
    case 0:
    case 1:
        return size;
    case 2:
    case 3:
        return noise(generator, size + 1);
    case 4:
        return (edges[noise(generator, 5)] - noise(generator, 2)) * block_size + noise(generator, 3);
    case 5:
        if (one_in(generator, 4))
            return model->fresh.max_grow_size - noise(generator, 3) * block_size;
        if (one_in(generator, 8))
            return model->fresh.max_file_size + 1 - noise(generator, 3);
        return one_in(generator, 10) ? UINT64_MAX - noise(generator, 3) : noise(generator, 300 * block_size);
    case 6:
        return 0;
    default:
        return noise(generator, 24) * block_size + (is_half(generator) ? noise(generator, block_size) : 0);
    }
}

static uint64_t draw_length(struct generator *generator, const struct model *model)
{
    uint64_t block_size = model->kind->block_size;

    switch (noise(generator, 10)) {
    case 0:
        return one_in(generator, 4) ? 0 : 1;
    case 1:
        return block_size;
    case 2:
        return block_size * (1 + noise(generator, 30));
    case 3:
        return 1 + noise(generator, block_size * 20);
    default:
        return 1 + noise(generator, block_size * 3);
    }
}

static void draw_file(struct generator *generator, const struct model *model, struct call *call)
{
    const struct node *node;

    call->slot = some_slot(generator, model, EXT2DAX_S_IFREG);
    node = model->slot[call->slot];
    call->offset = draw_offset(generator, model, node);
    call->length = draw_length(generator, model);
    call->fill = (uint32_t)noise(generator, 1u << 16);
    switch (call->kind) {
    case CALL_PUNCH:
    case CALL_ZERO_RANGE:
        if (one_in(generator, 8))
            call->length = UINT64_MAX - call->offset;
        break;
    case CALL_TRUNCATE:
        if (one_in(generator, 8))
            call->offset = 0;
        break;
    case CALL_ALLOCATE:
        call->flags = one_in(generator, 4);
        break;
    case CALL_SEEK:
        call->flags = (uint32_t)(one_in(generator, 40) ? 2 : noise(generator, 2));
        break;
    case CALL_MAP:
        call->offset /= model->kind->block_size;
        call->length = one_in(generator, 3) ? UINT64_MAX : noise(generator, 40);
        if (one_in(generator, 6))
            call->slot = some_slot(generator, model, EXT2DAX_S_IFDIR);
        break;
    case CALL_WRITE:
    case CALL_READ:
        if (one_in(generator, 200) && sizeof(size_t) == sizeof(uint64_t))
            call->length = UINT64_MAX;
        break;
    default:
        break;
    }
}

/* Returns the number of an attribute of the inode, or of any attribute. */
static uint16_t old_xattr(struct generator *generator, const struct node *node)
{
    const struct node_attribute *attribute;
    char name[NAME_ROOM];

    if (node->attribute_count == 0 || one_in(generator, 6))
        return (uint16_t)(XATTR_ORDINARY + noise(generator, XATTR_COUNT - XATTR_ORDINARY));
    attribute = &node->attributes[noise(generator, node->attribute_count)];
    for (unsigned number = XATTR_ACL_ACCESS; number < XATTR_COUNT; number++) {
        if (xattr_text(number, name) == attribute->length && memcmp(name, attribute->name, attribute->length) == 0)
            return (uint16_t)number;
    }
    return XATTR_ORDINARY;
}

static void draw_xattr(struct generator *generator, const struct model *model, struct call *call)
{
    call->slot = some_slot(generator, model, is_half(generator) ? EXT2DAX_S_IFREG : 0);
    call->name = (uint16_t)(XATTR_ORDINARY + noise(generator, one_in(generator, 3) ? XATTR_COUNT - XATTR_ORDINARY : 6));
    if (call->kind != CALL_SETXATTR || one_in(generator, 4))
        call->name = old_xattr(generator, model->slot[call->slot]);
    if (one_in(generator, 10))
        call->name = (uint16_t)noise(generator, XATTR_ORDINARY);
    call->fill = (uint32_t)noise(generator, one_in(generator, 3) ? 4 : 1u << 16);
    call->length = noise(generator, 40);
    if (one_in(generator, 4))
        call->length = noise(generator, model->kind->block_size + 100);
    if (one_in(generator, 100))
        call->length = 65536 + noise(generator, 100);
    call->flags = one_in(generator, 3) ? (uint32_t)noise(generator, one_in(generator, 20) ? 8 : 3) : 0;
    if ((call->kind == CALL_GETXATTR || call->kind == CALL_LISTXATTR) && !one_in(generator, 4))
        call->length = IO_ROOM;
}

/* ---- names ---- */

static void draw_names(struct generator *generator, const struct model *model, struct call *call)
{
    bool directories = call->kind == CALL_RMDIR || (call->kind != CALL_UNLINK && one_in(generator, 3));

    if (one_in(generator, 20))
        directories = !directories;
    call->slot = directory_slot(generator, model);
    call->name = old_name(generator, model, call->slot, directories);
    call->into = (uint8_t)noise(generator, SLOTS);
    if (call->kind == CALL_LINK) {
        call->slot = some_slot(generator, model, EXT2DAX_S_IFREG);
        call->name = new_name(generator);
    }
    call->other = directory_slot(generator, model);
    if (call->kind != CALL_RENAME)
        return;
    if (one_in(generator, 3))
        call->other = call->slot;
    call->flags = one_in(generator, 3) ? (uint32_t)noise(generator, one_in(generator, 20) ? 8 : 3) : 0;
    call->other_name = new_name(generator);
    if (is_half(generator) || (call->flags & EXT2DAX_RENAME_EXCHANGE) != 0)
        call->other_name = old_name(generator, model, call->other, one_in(generator, 5) ? !directories : directories);
}

/* Lets the call meet the most links of an inode now and then, or one link less. */
static void draw_links(struct generator *generator, const struct model *model, struct call *call)
{
    const struct node *counted = model->slot[call_counted(call)];
    bool gains = call->kind == CALL_MKDIR || call->kind == CALL_CREATE_AS || call->kind == CALL_LINK ||
                 call->kind == CALL_RENAME;

    if (gains && one_in(generator, 16) && counted && counted->links != 0 && counted->links < EXT2DAX_LINKS_MAX)
        call->more_links = (uint16_t)(EXT2DAX_LINKS_MAX - counted->links - noise(generator, 2));
}

/* Calls with their weights. A theme doubles some. */
static const struct weight {
    uint8_t kind;
    uint8_t weight;
    uint8_t theme; /* 0 for none */
} weights[] = {
    {CALL_CREATE, 6, 0},       {CALL_CREATE_AS, 5, 0}, {CALL_MKDIR, 5, 4},       {CALL_MKNOD, 2, 0},
    {CALL_SYMLINK, 4, 4},      {CALL_LINK, 4, 4},      {CALL_UNLINK, 7, 4},      {CALL_RMDIR, 4, 4},
    {CALL_RENAME, 8, 4},       {CALL_LOOKUP, 10, 0},   {CALL_LOOKUP_PATH, 6, 4}, {CALL_READDIR, 2, 0},
    {CALL_READDIR_PART, 5, 4}, {CALL_READLINK, 2, 0},  {CALL_STAT, 5, 0},        {CALL_SETATTR, 8, 3},
    {CALL_HOLD, 2, 0},         {CALL_GET, 2, 0},       {CALL_PUT, 2, 0},         {CALL_GETXATTR, 3, 2},
    {CALL_SETXATTR, 8, 2},     {CALL_LISTXATTR, 2, 2}, {CALL_REMOVEXATTR, 3, 2}, {CALL_READ, 6, 1},
    {CALL_WRITE, 12, 1},       {CALL_TRUNCATE, 6, 1},  {CALL_PUNCH, 5, 1},       {CALL_ZERO_RANGE, 4, 1},
    {CALL_ALLOCATE, 4, 1},     {CALL_SEEK, 4, 1},      {CALL_MAP, 4, 1},         {CALL_FSYNC, 1, 0},
    {CALL_FSYNC_RANGE, 1, 0},  {CALL_SYNC, 1, 0},      {CALL_STATFS, 1, 0},      {CALL_REMOUNT, 1, 0},
    {CALL_UNMOUNT, 1, 0},      {CALL_CYCLE, 1, 0},
};

static enum call_kind draw_kind(struct generator *generator, const struct model *model)
{
    unsigned total = 0, at, count = sizeof(weights) / sizeof(weights[0]);

    if (model->read_only && one_in(generator, 6))
        return CALL_REMOUNT;
    for (unsigned pass = 0;; pass++) {
        at = pass == 0 ? 0 : (unsigned)noise(generator, total);
        for (unsigned i = 0; i < count; i++) {
            unsigned weight = weights[i].weight;

            if (weights[i].theme != 0 && weights[i].theme == generator->theme)
                weight *= 3;
            if (pass == 0)
                total += weight;
            else if (at < weight)
                return (enum call_kind)weights[i].kind;
            else
                at -= weight;
        }
    }
}

static struct call draw(struct generator *generator, const struct model *model)
{
    struct call call = {.kind = (uint8_t)draw_kind(generator, model)};

    if (call.kind <= CALL_SYMLINK) {
        draw_creation(generator, model, &call);
        draw_links(generator, model, &call);
    } else if (call.kind <= CALL_LOOKUP) {
        draw_names(generator, model, &call);
        draw_links(generator, model, &call);
    } else if (call.kind == CALL_LOOKUP_PATH) {
        draw_path(generator, model, &call.path);
        call.into = (uint8_t)noise(generator, SLOTS);
        call.flags = (uint32_t)noise(generator, one_in(generator, 40) ? 4 : 2);
    } else if (call.kind == CALL_SETATTR) {
        draw_setattr(generator, model, &call);
    } else if (call.kind >= CALL_GETXATTR && call.kind <= CALL_REMOVEXATTR) {
        draw_xattr(generator, model, &call);
    } else if (call.kind >= CALL_READ && call.kind <= CALL_FSYNC_RANGE) {
        draw_file(generator, model, &call);
    } else {
        unsigned type = call.kind == CALL_READDIR || call.kind == CALL_READDIR_PART ? EXT2DAX_S_IFDIR
                        : call.kind == CALL_READLINK                                ? EXT2DAX_S_IFLNK
                                                                                    : 0;

        call.slot = some_slot(generator, model, type);
        call.into = (uint8_t)noise(generator, SLOTS);
        call.length = 1 + noise(generator, call.kind == CALL_READLINK ? 200 : 8);
        call.flags = one_in(generator, 3) && call.kind == CALL_REMOUNT ? EXT2DAX_MOUNT_READ_ONLY : 0;
        if (one_in(generator, 80))
            call.flags = 0x80;
    }
    return call;
}

struct call generate(struct generator *generator, const struct model *model)
{
    for (;;) {
        struct call call = draw(generator, model);

        if ((generator->without >> call.kind & 1) == 0 && (!generator->ops->can || generator->ops->can(&call)))
            return call;
    }
}
