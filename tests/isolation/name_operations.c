/* SPDX-License-Identifier: MIT */
#include "name_operations.h"

#include <string.h>

#include "name_tree.h"
#include "operations.h"

/* ---- new names ---- */

static uint64_t create_in(struct ext2dax_inode *in, const char *name, uint16_t type)
{
    struct ext2dax_creation creation = {.size = sizeof creation};

    creation.attributes.mode = type | 0600;
    return result_of(ext2dax_create_as(in, name, strlen(name), &creation, NULL));
}
static uint64_t create_a_n(void)
{
    return create_in(tree.a, "n", EXT2DAX_S_IFREG);
}
static uint64_t create_b_n(void)
{
    return create_in(tree.b, "n", EXT2DAX_S_IFREG);
}
static uint64_t create_sub_n(void)
{
    return create_in(tree.sub, "n", EXT2DAX_S_IFREG);
}
static uint64_t create_b_y(void)
{
    return create_in(tree.b, "y", EXT2DAX_S_IFREG);
}
static uint64_t mkdir_b_n(void)
{
    return create_in(tree.b, "n", EXT2DAX_S_IFDIR);
}
static uint64_t mkdir_sub_n(void)
{
    return create_in(tree.sub, "n", EXT2DAX_S_IFDIR);
}
static uint64_t link_g_to_b_n(void)
{
    return result_of(ext2dax_link(tree.g, tree.b, "n", 1));
}
static uint64_t link_x_to_b_n(void)
{
    return result_of(ext2dax_link(tree.x, tree.b, "n", 1));
}

/* ---- fewer names ---- */

static uint64_t unlink_a_x(void)
{
    return result_of(ext2dax_unlink(tree.a, "x", 1));
}
static uint64_t unlink_a_g(void)
{
    return result_of(ext2dax_unlink(tree.a, "g", 1));
}
static uint64_t unlink_b_h(void)
{
    return result_of(ext2dax_unlink(tree.b, "h", 1));
}
static uint64_t unlink_b_y(void)
{
    return result_of(ext2dax_unlink(tree.b, "y", 1));
}
static uint64_t unlink_file(void)
{
    return result_of(ext2dax_unlink(fixture.root, "file", 4));
}
static uint64_t rmdir_a_sub(void)
{
    return result_of(ext2dax_rmdir(tree.a, "sub", 3));
}
static uint64_t rmdir_b_e(void)
{
    return result_of(ext2dax_rmdir(tree.b, "e", 1));
}
static uint64_t last_put(void)
{
    if (!tree.victim_put) {
        tree.victim_put = true;
        ext2dax_inode_put(victim);
    }
    return 0;
}

/* ---- renames ---- */

static uint64_t rename_in(struct ext2dax_inode *from, const char *old, struct ext2dax_inode *to, const char *new,
                          unsigned flags)
{
    return result_of(ext2dax_rename(from, old, strlen(old), to, new, strlen(new), flags));
}
static uint64_t rename_x_to_b_n(void)
{
    return rename_in(tree.a, "x", tree.b, "n", 0);
}
static uint64_t rename_x_over_y(void)
{
    return rename_in(tree.a, "x", tree.b, "y", 0);
}
static uint64_t rename_x_over_g(void)
{
    return rename_in(tree.a, "x", tree.a, "g", 0);
}
static uint64_t rename_x_over_file(void)
{
    return rename_in(tree.a, "x", fixture.root, "file", 0);
}
static uint64_t rename_file_over_y(void)
{
    return rename_in(fixture.root, "file", tree.b, "y", 0);
}
static uint64_t rename_y_over_g(void)
{
    return rename_in(tree.b, "y", tree.a, "g", 0);
}
static uint64_t rename_y_into_sub(void)
{
    return rename_in(tree.b, "y", tree.sub, "n", 0);
}
static uint64_t exchange_x_y(void)
{
    return rename_in(tree.a, "x", tree.b, "y", EXT2DAX_RENAME_EXCHANGE);
}
static uint64_t exchange_sub_y(void)
{
    return rename_in(tree.a, "sub", tree.b, "y", EXT2DAX_RENAME_EXCHANGE);
}
static uint64_t rename_sub_to_b_n(void)
{
    return rename_in(tree.a, "sub", tree.b, "n", 0);
}
static uint64_t rename_sub_over_e(void)
{
    return rename_in(tree.a, "sub", tree.b, "e", 0);
}
static uint64_t rename_a_into_b(void)
{
    return rename_in(fixture.root, "a", tree.b, "n", 0);
}
static uint64_t rename_b_into_a(void)
{
    return rename_in(fixture.root, "b", tree.a, "n", 0);
}
static uint64_t rename_b_into_sub(void)
{
    return rename_in(fixture.root, "b", tree.sub, "n", 0);
}
static uint64_t rename_sub_up(void)
{
    return rename_in(tree.a, "sub", fixture.root, "n", 0);
}
static uint64_t rename_e_to_n(void)
{
    return rename_in(tree.b, "e", tree.b, "n", EXT2DAX_RENAME_NOREPLACE);
}

/* ---- looking ---- */

/* Attributes apart from the link count do not change, except for owner and mode. */
static uint64_t look_in(struct ext2dax_inode *in, const char *name)
{
    struct ext2dax_inode *found;
    struct ext2dax_stat figures;
    int rc = ext2dax_lookup(in, name, strlen(name), &found);

    if (rc != 0)
        return result_of(rc);
    ext2dax_stat(found, &figures, sizeof figures);
    ext2dax_inode_put(found);
    return mix(figures.mode & EXT2DAX_S_IFMT, figures.uid);
}
static uint64_t lookup_a_x(void)
{
    return look_in(tree.a, "x");
}
static uint64_t lookup_b_y(void)
{
    return look_in(tree.b, "y");
}
static uint64_t lookup_b_n(void)
{
    return look_in(tree.b, "n");
}
static uint64_t lookup_sub_dotdot(void)
{
    struct ext2dax_inode *found;
    uint64_t hash;
    int rc = ext2dax_lookup(tree.sub, "..", 2, &found);

    if (rc != 0)
        return result_of(rc);
    hash = found == tree.a ? 1 : found == tree.b ? 2 : found == fixture.root ? 3 : 4;
    ext2dax_inode_put(found);
    return hash;
}
static uint64_t list(struct ext2dax_inode *directory)
{
    struct listing listing = {0};
    uint64_t hash = result_of(ext2dax_readdir(directory, 0, list_entry, &listing));

    for (unsigned i = 0; i < listing.count; i++)
        hash += mix(mix_bytes(0, listing.entry[i].name, listing.entry[i].length), listing.entry[i].type);
    return hash;
}
static uint64_t readdir_a(void)
{
    return list(tree.a);
}
static uint64_t readdir_b(void)
{
    return list(tree.b);
}
static uint64_t readdir_sub(void)
{
    return list(tree.sub);
}

/* ---- attributes ---- */

static uint64_t set_owner(struct ext2dax_inode *inode, uint32_t owner)
{
    struct ext2dax_attributes wanted = {
        .size = sizeof wanted, .set = EXT2DAX_SET_UID | EXT2DAX_SET_GID, .uid = owner, .gid = owner};

    return result_of(ext2dax_setattr(inode, &wanted));
}
static uint64_t setattr_x(void)
{
    return set_owner(tree.x, 3);
}
static uint64_t setattr_sub(void)
{
    return set_owner(tree.sub, 4);
}
static uint64_t setxattr_x(void)
{
    return result_of(ext2dax_setxattr(tree.x, "user.k", 6, "new", 3, 0));
}
static uint64_t setxattr_x_longer(void)
{
    return result_of(ext2dax_setxattr(tree.x, "user.k", 6, "longer", 6, 0));
}
static uint64_t removexattr_x(void)
{
    return result_of(ext2dax_removexattr(tree.x, "user.k", 6));
}
static uint64_t getxattr_x(void)
{
    char value[16];
    int64_t length = ext2dax_getxattr(tree.x, "user.k", 6, value, sizeof value);

    return length > 0 ? mix_bytes(0, value, (size_t)length) : result_of(length);
}
static uint64_t write_x(void)
{
    return result_of(ext2dax_write(tree.x, 0, "123", 3));
}
static uint64_t store_in_file(void)
{
    store(map, 0, 1);
    return 0;
}
static uint64_t truncate_file(void)
{
    return result_of(ext2dax_truncate(file, 0));
}
static uint64_t truncate_x(void)
{
    return result_of(ext2dax_truncate(tree.x, 3000));
}

const struct name_operation name_operations[] = {
    {"create a/n", create_a_n},
    {"create b/n", create_b_n},
    {"create sub/n", create_sub_n},
    {"create b/y", create_b_y},
    {"mkdir b/n", mkdir_b_n},
    {"mkdir sub/n", mkdir_sub_n},
    {"link g to b/n", link_g_to_b_n},
    {"link x to b/n", link_x_to_b_n},
    {"unlink a/x", unlink_a_x},
    {"unlink a/g", unlink_a_g},
    {"unlink b/h", unlink_b_h},
    {"unlink b/y", unlink_b_y},
    {"unlink file", unlink_file},
    {"rmdir a/sub", rmdir_a_sub},
    {"rmdir b/e", rmdir_b_e},
    {"last put", last_put},
    {"rename a/x to b/n", rename_x_to_b_n},
    {"rename a/x over b/y", rename_x_over_y},
    {"rename a/x over a/g", rename_x_over_g},
    {"rename a/x over file", rename_x_over_file},
    {"rename file over b/y", rename_file_over_y},
    {"rename b/y over a/g", rename_y_over_g},
    {"rename b/y to sub/n", rename_y_into_sub},
    {"exchange a/x and b/y", exchange_x_y},
    {"exchange a/sub and b/y", exchange_sub_y},
    {"rename a/sub to b/n", rename_sub_to_b_n},
    {"rename a/sub over b/e", rename_sub_over_e},
    {"rename a to b/n", rename_a_into_b},
    {"rename b to a/n", rename_b_into_a},
    {"rename b to sub/n", rename_b_into_sub},
    {"rename a/sub to n", rename_sub_up},
    {"rename b/e to b/n", rename_e_to_n},
    {"lookup a/x", lookup_a_x},
    {"lookup b/y", lookup_b_y},
    {"lookup b/n", lookup_b_n},
    {"lookup sub/..", lookup_sub_dotdot},
    {"readdir a", readdir_a},
    {"readdir b", readdir_b},
    {"readdir sub", readdir_sub},
    {"setattr x", setattr_x},
    {"setattr sub", setattr_sub},
    {"setxattr x", setxattr_x},
    {"setxattr x, longer", setxattr_x_longer},
    {"removexattr x", removexattr_x},
    {"getxattr x", getxattr_x},
    {"write x", write_x},
    {"truncate x", truncate_x},
    {"truncate file", truncate_file},
    {"store in file", store_in_file},
    {"look for the moved", look_for_moved},
    {"look for the nameless", look_for_nameless},
    {"freeze", freeze_and_look},
};
const unsigned name_operation_count = sizeof name_operations / sizeof name_operations[0];

const struct name_operation *name_operation(const char *name)
{
    for (unsigned i = 0; i < name_operation_count; i++) {
        if (strcmp(name_operations[i].name, name) == 0)
            return &name_operations[i];
    }
    ck_abort_msg("no operation %s", name);
    return NULL;
}

/* ---- several calls ---- */

/* Is x the inode of a name? */
static bool is_x(struct ext2dax_inode *in, const char *name, int *rc)
{
    struct ext2dax_inode *found;
    bool same;

    *rc = ext2dax_lookup(in, name, strlen(name), &found);
    if (*rc != 0)
        return false;
    same = found == tree.x;
    ext2dax_inode_put(found);
    return same;
}

/*
 * A rename gives x the new name before the old name is gone. So the old name is looked for first.
 * After an unlink, x has neither name, and the link count is 0.
 */
uint64_t look_for_moved(void)
{
    struct ext2dax_stat figures;
    int rc;

    if (is_x(tree.a, "x", &rc) || is_x(tree.a, "g", &rc) || is_x(tree.b, "n", &rc) || is_x(tree.b, "y", &rc) ||
        is_x(fixture.root, "file", &rc))
        return 0;
    ext2dax_stat(tree.x, &figures, sizeof figures);
    expect(figures.links == 0, "a file that is renamed has neither name");
    return 0;
}

/* Once the name is gone for good, the number is gone too. */
uint64_t look_for_nameless(void)
{
    struct ext2dax_inode *found;
    struct ext2dax_stat figures;
    int rc;

    ext2dax_stat(tree.x, &figures, sizeof figures);
    (void)is_x(tree.a, "x", &rc);
    if (rc != -EXT2DAX_ENOENT || figures.links != 0)
        return 0;
    rc = ext2dax_inode_get(fixture.mount, tree.number_of_x, &found);
    expect(rc == -EXT2DAX_ENOENT, "a file without a name was found");
    if (rc == 0)
        ext2dax_inode_put(found);
    return 0;
}

uint64_t rename_from_d(void)
{
    int rc = (int)rename_in(tree.d, "x", fixture.root, "n", 0);

    expect(rc == 0 || rc == -EXT2DAX_ENOENT, "a rename from a directory being removed failed");
    return 0;
}
uint64_t remove_chain(void)
{
    struct ext2dax_inode *c;
    int rc = ext2dax_lookup(fixture.root, "c", 1, &c);

    expect(rc == 0, "a directory was not found");
    if (rc != 0)
        return 0;
    rc = ext2dax_unlink(tree.d, "x", 1);
    expect(rc == 0 || rc == -EXT2DAX_ENOENT, "an unlink failed");
    expect(ext2dax_rmdir(c, "d", 1) == 0, "an empty directory was not removed");
    ext2dax_inode_put(c);
    expect(ext2dax_rmdir(fixture.root, "c", 1) == 0, "an empty directory was not removed");
    expect(create_in(fixture.root, "f", EXT2DAX_S_IFREG) == 0, "a create failed");
    return 0;
}

uint64_t read_attribute(void)
{
    (void)getxattr_x();
    return 0;
}
uint64_t remove_attribute_and_reuse(void)
{
    unsigned char bytes[PMD_RANGE];

    memset(bytes, OTHER, sizeof bytes);
    expect(setxattr_x_longer() == 0, "a setxattr failed");
    expect(removexattr_x() == 0, "a removexattr failed");
    expect(ext2dax_write(tree.g, 0, bytes, sizeof bytes) == sizeof bytes, "a write failed");
    return 0;
}

static uint64_t image_now(void)
{
    const uint64_t *words = fixture.memory.base;
    uint64_t hash = 0;

    for (size_t i = 0; i < fixture.memory.size / 8; i++)
        hash = (hash ^ words[i]) * 0x100000001B3u;
    return hash;
}

/* The image must not change while frozen. */
uint64_t freeze_and_look(void)
{
    uint64_t before;
    int rc = ext2dax_freeze(fixture.mount);

    expect(rc == 0 || rc == -EXT2DAX_EBUSY, "freeze failed");
    if (rc != 0)
        return 0;
    before = image_now();
    linger();
    expect(image_now() == before, "the image has changed while frozen");
    expect(ext2dax_thaw(fixture.mount) == 0, "thaw failed");
    return 0;
}
