/* SPDX-License-Identifier: MIT */
/*
 * Images that anybody may have written. The input names a good image and a list of edits, most of them where metadata
 * is; nothing is fixed up. The image is mounted read-only and read-write, and everything is tried on every inode.
 *
 * Nothing may crash, hang, touch a byte outside the image (guard pages) or keep a lock or memory. No mapping, run or pin
 * may show metadata or what is not in the image, and a call that answers EUCLEAN has changed nothing but the superblock's
 * error bit (and what free blocks hold). An image that is not clean is recovered, which leaves it whole, or refused.
 *
 * Input: which tree, mount flags, noise for the calls; then edits of 8 bytes: where (2), offset (2), how (1), value (3).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/testkit/checker.h"
#include "ext2dax/testkit/model.h"

#include "fuzz_image.h"
#include "told.h"
#include "tree.h"

#define GUARD      ((size_t)65536)
#define HEAD       4u
#define EDIT       8u
#define EDITS      64u /* more of them only make an image that is refused */
#define LONGEST_IO ((size_t)400000)
#define RUNS       64u /* of one file that are looked at */
#define SHOWN      24u /* pages of a mapping */

static struct {
    const struct tree *tree;
    unsigned char *base, *before;
    uint32_t *owners; /* by block */
    bool owners_known;
    struct ext2dax_mount *mount;
    struct ext2dax_model *model;
    struct ext2dax_locks locks;
    long held, made, given;
    uint64_t noise;
    unsigned char buffer[LONGEST_IO];
} f;

/* ---- plugs that count ---- */

static void *host_alloc(void *ctx, size_t bytes)
{
    void *at = malloc(bytes);

    (void)ctx;
    MUST(at);
    memset(at, 0xA5, bytes);
    f.given++;
    return at;
}

static void host_release(void *ctx, void *at, size_t bytes)
{
    (void)ctx;
    memset(at, 0x5A, bytes);
    free(at);
    f.given--;
}

static int64_t host_now(void *ctx)
{
    (void)ctx;
    return 1800000000;
}

static void host_log(void *ctx, const struct ext2dax_report *report)
{
    char text[256];

    (void)ctx;
    told_note(report);
    MUST(ext2dax_report_text(report, text, sizeof(text)) < sizeof(text));
    if (getenv("FUZZ_SHOW"))
        (void)fprintf(stderr, "%s\n", text);
}

static void host_panic(void *ctx, const char *file, int line, const char *what)
{
    (void)ctx;
    fuzz_fail(file, line, what);
}

static bool host_may_use_reserved(void *ctx)
{
    (void)ctx;
    return true;
}

struct ext2dax_host fuzz_host(void)
{
    static const struct ext2dax_host_ops ops = {.size = sizeof(ops),
                                                .alloc = host_alloc,
                                                .release = host_release,
                                                .now = host_now,
                                                .log = host_log,
                                                .panic = host_panic,
                                                .may_use_reserved = host_may_use_reserved};

    return (struct ext2dax_host){&ops, NULL};
}

/* ext2dax_locks_none() ends the program where a lock would have to wait; what is held at all is counted here. */
static int lock_init(void *ctx, struct ext2dax_lock *lock, enum ext2dax_lock_class lock_class, uint64_t number)
{
    f.made++;
    return f.locks.ops->init(ctx, lock, lock_class, number);
}
static void lock_destroy(void *ctx, struct ext2dax_lock *lock)
{
    f.made--;
    f.locks.ops->destroy(ctx, lock);
}
static void read_lock(void *ctx, struct ext2dax_lock *lock)
{
    f.held++;
    f.locks.ops->read_lock(ctx, lock);
}
static void read_unlock(void *ctx, struct ext2dax_lock *lock)
{
    f.held--;
    f.locks.ops->read_unlock(ctx, lock);
}
static void write_lock(void *ctx, struct ext2dax_lock *lock)
{
    f.held++;
    f.locks.ops->write_lock(ctx, lock);
}
static void write_unlock(void *ctx, struct ext2dax_lock *lock)
{
    f.held--;
    f.locks.ops->write_unlock(ctx, lock);
}
static bool try_read_lock(void *ctx, struct ext2dax_lock *lock)
{
    bool got = f.locks.ops->try_read_lock(ctx, lock);

    f.held += got;
    return got;
}
static bool try_write_lock(void *ctx, struct ext2dax_lock *lock)
{
    bool got = f.locks.ops->try_write_lock(ctx, lock);

    f.held += got;
    return got;
}
static bool is_held(void *ctx, const struct ext2dax_lock *lock, enum ext2dax_lock_mode mode)
{
    return f.locks.ops->held(ctx, lock, mode);
}

static const struct ext2dax_lock_ops lock_ops = {sizeof(lock_ops), lock_init,  lock_destroy, read_lock,
                                                 read_unlock,      write_lock, write_unlock, try_read_lock,
                                                 try_write_lock,   is_held};

/* ---- the image ---- */

/* One place for each tree, kept from input to input. */
static void place_image(unsigned number)
{
    static struct place {
        unsigned char *base, *before;
        uint32_t *owners;
    } places[TREES];
    const struct tree *tree = tree_get(number);
    struct place *place = &places[number];
    size_t whole = (tree->size + GUARD - 1) & ~(GUARD - 1);

    if (!place->base) {
        unsigned char *area = mmap(NULL, whole + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        MUST(area != MAP_FAILED && tree->size % GUARD % 4096 == 0);
        place->base = area + GUARD + whole - tree->size;
        MUST(mprotect(place->base, tree->size, PROT_READ | PROT_WRITE) == 0);
        place->before = malloc(tree->size);
        place->owners = calloc(tree->blocks, sizeof(*place->owners));
        MUST(place->before && place->owners);
    }
    f.tree = tree;
    f.base = place->base;
    f.before = place->before;
    f.owners = place->owners;
    memcpy(f.base, tree->image, tree->size);
}

static uint32_t number_in(const uint8_t *at, unsigned width)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < width; i++)
        value |= (uint32_t)at[i] << (8 * i);
    return value;
}

/* Where an edit goes; the block it is in becomes *home. */
static size_t edit_place(const uint8_t *edit, uint32_t *home)
{
    const struct tree *tree = f.tree;
    uint32_t kind = edit[0] & 7, index = edit[1], offset = number_in(edit + 2, 2);
    size_t bs = tree->block_size, at;

    switch (kind) {
    case 0:
        at = EXT2DAX_SUPER_OFFSET + offset % offsetof(struct ext2dax_disk_super, rest);
        break;
    case 1:
        at = tree_descriptors(tree) + offset % (tree_groups(tree) * sizeof(struct ext2dax_disk_group));
        break;
    case 2:
        at = (size_t)tree_bitmap(tree, (index >> 1) % tree_groups(tree), index & 1) * bs + offset % (tree->blocks / 8);
        break;
    case 3:
    case 4: /* the fields that matter most are the words from the size on */
        at = tree_inode(tree, 2 + (index & 31) % (tree_inodes(tree) - 1)) +
             (index & 32 ? offset % 128 : offset % 32 * 4);
        break;
    case 5:
        at = tree->pointer_block[index % tree->pointer_blocks] * bs + (index & 128 ? offset % 16 * 4 : offset % bs);
        break;
    case 6:
        at = tree->entry_block[index % tree->entry_blocks] * bs + (index & 128 ? offset % 160 : offset % bs);
        break;
    default:
        at = (index << 16 | offset) % tree->size;
    }
    *home = (uint32_t)(at / bs);
    return at;
}

static void apply(const uint8_t *edit)
{
    static const unsigned widths[] = {4, 4, 2, 1};
    const struct tree *tree = f.tree;
    uint32_t how = edit[4], value = number_in(edit + 5, 3), home;
    unsigned width = widths[how & 3];
    size_t at = edit_place(edit, &home);

    switch (how >> 2 & 7) {
    case 0:
        value %= tree->blocks + 8;
        break;
    case 1:
        value = 0u - value % 64;
        break;
    case 2:
        value = home; /* what points to itself */
        break;
    case 3:
        value = tree->pointer_block[value % tree->pointer_blocks];
        break;
    case 4:
        value = tree->entry_block[value % tree->entry_blocks];
        break;
    case 5:
        value = ((uint32_t)1 << (value & 31)) + (value >> 5 & 3) - 1;
        break;
    default:
        break;
    }
    for (unsigned i = 0; i < width && at + i < tree->size; i++)
        f.base[at + i] = (unsigned char)(value >> (8 * i));
    /* A whole block of the same pointer, or of none. */
    if ((how & 0xC3) == 0xC0 && (edit[0] & 7) == 5)
        for (size_t i = 0; i < tree->block_size; i++)
            f.base[(size_t)home * tree->block_size + i] = (unsigned char)(value >> (8 * (i & 3)));
}

/* ---- what always holds ---- */

static void must_be_data(uint64_t block, uint64_t count)
{
    MUST(block != 0 && block < f.tree->blocks && count <= f.tree->blocks - block);
    for (uint64_t i = block; f.owners_known && i < block + count; i++)
        MUST(f.owners[i] != EXT2DAX_OWNER_METADATA);
}

static void check_entry(void *arg, const struct ext2dax_inode *inode, uint64_t page, bool shared,
                        const struct ext2dax_model_entry *entry)
{
    uint32_t page_size = (uint32_t)1 << f.tree->page_shift;

    (void)arg;
    (void)inode;
    (void)page;
    MUST(entry->kind != EXT2DAX_MODEL_ZERO || !entry->writable);
    MUST(shared || entry->kind != EXT2DAX_MODEL_DATA || !entry->writable);
    if (entry->kind == EXT2DAX_MODEL_DATA)
        must_be_data(entry->memory_offset / page_size, 1);
}

static void settled(void)
{
    MUST(f.held == 0);
    if (f.model)
        ext2dax_model_each(f.model, check_entry, NULL);
}

/* Is the block free, going by the bitmap as it was before? What it holds then means nothing. */
static bool was_free(size_t at)
{
    const struct tree *tree = f.tree;
    uint32_t block = (uint32_t)(at / tree->block_size), first = tree->block_size == 1024;
    const struct ext2dax_disk_super *super = (const void *)(f.before + EXT2DAX_SUPER_OFFSET);
    uint32_t per_group = number_in((const void *)&super->blocks_per_group, 4), group = (block - first) / per_group;
    uint32_t map = number_in(f.before + tree_descriptors(tree) + group * sizeof(struct ext2dax_disk_group), 4);
    uint32_t bit = (block - first) % per_group;

    return block >= first && (f.before[(size_t)map * tree->block_size + bit / 8] >> bit % 8 & 1) == 0;
}

static void remember(void)
{
    memcpy(f.before, f.base, f.tree->size);
}

/* What a changing call answered, after remember(). */
static int64_t changed(int64_t answer)
{
    const size_t state = EXT2DAX_SUPER_OFFSET + offsetof(struct ext2dax_disk_super, state);

    settled();
    if (answer != -EXT2DAX_EUCLEAN)
        return answer;
    f.before[state] |= f.base[state] & EXT2DAX_STATE_ERROR;
    for (size_t at = 0; at < f.tree->size;) {
        if (memcmp(f.before + at, f.base + at, 64) == 0) {
            at += 64;
            continue;
        }
        for (size_t i = at; i < at + 64; i++) {
            if (f.before[i] != f.base[i] && !was_free(i)) {
                (void)fprintf(stderr, "byte %zu (block %zu + %zu): %02x became %02x\n", i, i / f.tree->block_size,
                              i % f.tree->block_size, f.before[i], f.base[i]);
                fuzz_fail(__FILE__, __LINE__, "EUCLEAN changes nothing");
            }
        }
        at += 64;
    }
    return answer;
}
#define CHANGING(call) (remember(), (void)changed(call))

/* ---- the calls ---- */

static uint64_t noise(uint64_t below)
{
    f.noise = f.noise * 6364136223846793005u + 1442695040888963407u;
    return (f.noise >> 24) % below;
}

/* Offsets where trees change shape, where the file ends, and where nothing can be. */
static uint64_t some_offset(const struct ext2dax_inode *inode)
{
    uint64_t bs = f.tree->block_size, p = bs / 4;
    const uint64_t blocks[] = {0, 1, 3, 10, 12, 13, 12 + p - 1, 12 + p, 12 + p + p * p - 1, 12 + p + p * p, 40};
    struct ext2dax_stat figures;

    ext2dax_stat(inode, &figures);
    switch (noise(8)) {
    case 0:
        return figures.size + noise(3) - (figures.size != 0);
    case 1:
        return UINT64_MAX - noise(3);
    case 2:
        return noise(figures.size + 1);
    default:
        return blocks[noise(sizeof(blocks) / sizeof(blocks[0]))] * bs + noise(3) * 7;
    }
}

static uint64_t some_length(void)
{
    return 1 + noise((uint64_t)f.tree->block_size * (1 + noise(6)));
}

static int each_name(void *arg, const struct ext2dax_entry *entry)
{
    MUST(entry->number != 0 && entry->name_length >= 1 && entry->name_length <= 255);
    MUST(!memchr(entry->name, '/', entry->name_length) && !memchr(entry->name, 0, entry->name_length));
    return --*(int *)arg == 0;
}

static void look(struct ext2dax_inode *inode)
{
    struct ext2dax_stat figures;
    struct ext2dax_inode *other;
    struct ext2dax_run run;
    uint64_t at = 0;
    int names = 1000;

    ext2dax_stat(inode, &figures);
    for (unsigned i = 0; i < RUNS && TOLD(ext2dax_map(inode, at, UINT64_MAX, &run)) == 0; i++) {
        MUST(run.length != 0 && run.logical == at);
        if (run.physical != 0)
            must_be_data(run.physical, run.length);
        at += run.length;
    }
    for (unsigned i = 0; i < 3; i++) {
        (void)TOLD(ext2dax_map(inode, some_offset(inode) / f.tree->block_size, 1 + noise(100), &run));
        (void)TOLD_COUNT(ext2dax_read(inode, some_offset(inode), f.buffer, (size_t)noise(LONGEST_IO)));
        (void)TOLD_COUNT(ext2dax_seek(inode, some_offset(inode), noise(2) ? EXT2DAX_SEEK_DATA : EXT2DAX_SEEK_HOLE));
    }
    (void)TOLD_COUNT(ext2dax_readlink(inode, (char *)f.buffer, (size_t)noise(5000)));
    (void)TOLD(ext2dax_readdir(inode, noise(2) * noise(5000), each_name, &names));
    if (TOLD(ext2dax_lookup(inode, "again", 5, &other)) == 0)
        ext2dax_inode_put(other);
    if (TOLD(ext2dax_lookup(inode, "none", 4, &other)) == 0)
        ext2dax_inode_put(other);
    settled();
}

static void pin(struct ext2dax_inode *inode, bool writable)
{
    struct ext2dax_pin pin;
    uint64_t offset = some_offset(inode), length = some_length();
    void *at;
    size_t contiguous;

    if (TOLD(ext2dax_pin(inode, offset, length, writable, &pin)) != 0)
        return;
    if (TOLD(ext2dax_pin_pointer(&pin, offset, &at, &contiguous)) == 0) {
        uint64_t into = (uint64_t)((unsigned char *)at - f.base);

        MUST(contiguous != 0);
        must_be_data(into / f.tree->block_size, (into % f.tree->block_size + contiguous - 1) / f.tree->block_size + 1);
    }
    MUST(TOLD(ext2dax_unmount(f.mount)) == -EXT2DAX_EBUSY);
    CHANGING(TOLD(ext2dax_truncate(inode, offset)));
    CHANGING(TOLD(ext2dax_punch(inode, offset, length)));
    ext2dax_unpin(&pin);
    settled();
}

static void fault_page(struct ext2dax_model_map *map, uint64_t page)
{
    enum ext2dax_fault_result (*const entries[])(struct ext2dax_fault *) = {ext2dax_fault, ext2dax_pmd_fault,
                                                                            ext2dax_mkwrite, ext2dax_pfn_mkwrite};
    struct ext2dax_fault fault;

    for (unsigned i = 0; i < 5; i++) {
        unsigned which = (unsigned)noise(4);

        ext2dax_model_fault(map, page, which >= 2 || noise(2), &fault);
        (void)entries[which](&fault);
        settled();
    }
}

/* Mappings at the file's start and around its end, shared and private. */
static void map_and_touch(struct ext2dax_inode *inode)
{
    uint64_t page_size = (uint64_t)1 << f.tree->page_shift, end;
    struct ext2dax_stat figures;

    ext2dax_stat(inode, &figures);
    end = figures.size / page_size;
    for (unsigned i = 0; i < 3; i++) {
        uint64_t first = i == 0 ? 0 : i == 1 ? (end > 5 ? end - 5 : 0) : some_offset(inode) / page_size % (end + 2);
        bool shared = noise(4) != 0;
        struct ext2dax_model_map *map = ext2dax_model_map(f.model, inode, first, SHOWN, shared, true);
        unsigned char byte = 0x33;

        MUST(map);
        for (unsigned k = 0; k < 3; k++)
            fault_page(map, first + noise(SHOWN));
        for (unsigned k = 0; k < 4; k++) {
            uint64_t at = (first + noise(SHOWN)) * page_size + noise(page_size);

            (void)ext2dax_model_read(map, at, &byte, 1, noise(2), false);
            (void)ext2dax_model_write(map, at, &byte, 1, noise(2), false);
            settled();
        }
        if (noise(2))
            CHANGING(TOLD(ext2dax_truncate(inode, some_offset(inode))));
        (void)TOLD(ext2dax_fsync(inode));
        ext2dax_model_unmap(map);
    }
}

static void change(struct ext2dax_inode *inode)
{
    struct ext2dax_inode *made;
    char name[2] = {(char)('p' + noise(4)), 'q'};

    switch (noise(7)) {
    case 0:
        CHANGING(TOLD(ext2dax_truncate(inode, some_offset(inode))));
        break;
    case 1:
        CHANGING(TOLD(ext2dax_punch(inode, some_offset(inode), noise(3) ? some_length() : UINT64_MAX >> noise(40))));
        break;
    case 2:
        (void)TOLD(
            ext2dax_allocate(inode, some_offset(inode), noise(9) ? some_length() : UINT64_MAX >> noise(40), noise(2)));
        break;
    case 3:
        remember();
        made = NULL;
        (void)changed(TOLD(ext2dax_create(inode, name, 2, 0600, 1, 1, &made)));
        if (made)
            ext2dax_inode_put(made);
        break;
    case 4:
        if (noise(2))
            CHANGING(TOLD(ext2dax_unlink(inode, "again", 5)));
        else
            CHANGING(TOLD(ext2dax_unlink(inode, name, 2)));
        break;
    default:
        CHANGING(TOLD_COUNT(ext2dax_write(inode, some_offset(inode), f.buffer, (size_t)some_length())));
    }
    settled();
}

static const char *const names[] = {"direct", "single", "twice", "thrice",  "d",        "fast",
                                    "slow",   "device", "one",   "other",   "empty",    "huge",
                                    "pq",     "qq",     "none",  "d/again", "fast/far", "slow/."};
#define NAMES (sizeof(names) / sizeof(names[0]))

static void names_of_the_root(void)
{
    struct ext2dax_inode *root, *inode;

    for (unsigned i = 0; i < NAMES; i++) {
        if (TOLD(ext2dax_lookup_path(f.mount, names[i], strlen(names[i]), noise(2) ? EXT2DAX_NO_FOLLOW : 0, &inode)) ==
            0)
            ext2dax_inode_put(inode);
    }
    if (TOLD(ext2dax_inode_get(f.mount, EXT2DAX_ROOT_INODE, &root)) != 0)
        return;
    for (unsigned i = 0; i < 6; i++) {
        const char *name = names[noise(NAMES)];

        remember();
        inode = NULL;
        if (noise(2))
            (void)changed(TOLD(ext2dax_create(root, name, strlen(name), 0600, 1, 1, &inode)));
        else
            (void)changed(TOLD(ext2dax_unlink(root, name, strlen(name))));
        if (inode)
            ext2dax_inode_put(inode);
    }
    ext2dax_inode_put(root);
    settled();
}

static void rest_a_while(struct ext2dax_inode *inode)
{
    struct ext2dax_model_map *map = ext2dax_model_map(f.model, inode, 0, SHOWN, true, true);
    unsigned char byte = 1;

    MUST(map);
    if (TOLD(ext2dax_freeze(f.mount)) == 0) {
        MUST(TOLD(ext2dax_freeze(f.mount)) == -EXT2DAX_EBUSY);
        (void)ext2dax_model_write(map, 0, &byte, 1, true, false);
        (void)TOLD_COUNT(ext2dax_read(inode, 0, f.buffer, 100));
        MUST(TOLD(ext2dax_unmount(f.mount)) == -EXT2DAX_EBUSY);
        MUST(TOLD(ext2dax_thaw(f.mount)) == 0);
    }
    MUST(TOLD(ext2dax_thaw(f.mount)) == -EXT2DAX_EINVAL);
    ext2dax_model_unmap(map);
}

static void try_inode(uint32_t number, bool changes)
{
    struct ext2dax_inode *inode, *again;

    if (TOLD(ext2dax_inode_get(f.mount, number, &inode)) != 0)
        return;
    MUST(TOLD(ext2dax_inode_get(f.mount, number, &again)) == 0 && again == inode);
    ext2dax_inode_put(again);
    look(inode);
    map_and_touch(inode);
    pin(inode, false);
    for (unsigned i = 0; changes && i < 8; i++)
        change(inode);
    pin(inode, true);
    if (noise(8) == 0)
        rest_a_while(inode);
    look(inode);
    (void)TOLD(ext2dax_fsync(inode));
    if (noise(4) == 0)
        (void)TOLD(ext2dax_sync(f.mount));
    ext2dax_inode_put(inode);
    settled();
}

/* Which blocks are metadata, by the checker, which shares nothing with the core; it may find the image too bad for it. */
static void find_owners(void)
{
    memset(f.owners, 0, f.tree->blocks * sizeof(*f.owners));
    (void)ext2dax_check_image(f.base, f.tree->size, EXT2DAX_CHECK_MOUNTED, NULL, NULL, f.owners);
    f.owners_known = f.owners[f.tree->block_size == 1024] == EXT2DAX_OWNER_METADATA;
}

/*
 * What recovery has let pass is whole, down to the last count. Not looked for: the copies, names that stand twice, and
 * what a reserved inode says of itself.
 */
static void is_whole(void *arg, const struct ext2dax_finding *finding)
{
    char text[256];

    (void)arg;
    if (strstr(finding->what, " copy") || strcmp(finding->what, "name stands twice in a directory") == 0 ||
        (finding->inode != 0 && finding->inode < 11 && finding->inode != EXT2DAX_ROOT_INODE))
        return;
    (void)ext2dax_finding_text(finding, text, sizeof(text));
    fuzz_fail(__FILE__, __LINE__, text);
}

static bool is_clean(void)
{
    return (f.base[EXT2DAX_SUPER_OFFSET + offsetof(struct ext2dax_disk_super, state)] & EXT2DAX_STATE_VALID) != 0;
}

static void session(unsigned flags)
{
    const struct tree *tree = f.tree;
    struct ext2dax_plugs plugs = {
        .locks = {&lock_ops, NULL}, .memory = {NULL, NULL, f.base, tree->size, 0}, .host = fuzz_host()};
    struct ext2dax_mount_options options = {.size = sizeof(options),
                                            .flags = flags,
                                            .order = tree->order,
                                            .page_shift = tree->page_shift,
                                            .huge_order = tree->huge_order};
    struct ext2dax_statfs figures;
    bool recovers = !is_clean() && (flags & EXT2DAX_MOUNT_READ_ONLY) == 0;
    int error;

    f.model = ext2dax_model_open(&plugs.memory, f.locks, (uint32_t)1 << tree->page_shift, tree->huge_order);
    MUST(f.model);
    plugs.address_space = ext2dax_model_address_space(f.model);
    remember();
    error = TOLD_MOUNT(ext2dax_mount(&plugs, &options, &f.mount));
    MUST(f.held == 0);
    if (error != 0) {
        MUST(!f.mount && memcmp(f.before, f.base, tree->size) == 0);
    } else {
        if (recovers)
            MUST(ext2dax_check_image(f.base, tree->size, EXT2DAX_CHECK_MOUNTED, is_whole, NULL, NULL) >= 0);
        find_owners();
        ext2dax_statfs(f.mount, &figures);
        for (uint32_t number = 1; number <= figures.inodes && number <= TREE_INODES_MAX; number++)
            try_inode(number, (flags & EXT2DAX_MOUNT_READ_ONLY) == 0);
        names_of_the_root();
        if (noise(4) == 0 && TOLD_MOUNT(ext2dax_remount(f.mount, EXT2DAX_MOUNT_READ_ONLY)) == 0 && flags == 0)
            (void)TOLD_MOUNT(ext2dax_remount(f.mount, 0));
        ext2dax_statfs(f.mount, &figures);
        MUST(TOLD(ext2dax_unmount(f.mount)) == 0);
    }
    if (flags & EXT2DAX_MOUNT_READ_ONLY)
        MUST(memcmp(f.before, f.base, tree->size) == 0);
    ext2dax_model_close(f.model);
    f.model = NULL;
    f.mount = NULL;
    MUST(f.held == 0 && f.made == 0 && f.given == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t shares[16] = {0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4}; /* large ones seldom */
    unsigned verify;

    if (size < HEAD)
        return 0;
    f.locks = ext2dax_locks_none();
    place_image(shares[data[0] % sizeof(shares)]);
    verify = data[1] & EXT2DAX_MOUNT_VERIFY;
    for (size_t at = HEAD; at + EDIT <= size && at < HEAD + EDITS * EDIT; at += EDIT)
        apply(data + at);
    f.noise = (uint64_t)data[2] << 8 | data[3];
    if ((data[1] & 8) != 0)
        f.base[EXT2DAX_SUPER_OFFSET + offsetof(struct ext2dax_disk_super, state)] = 0;
    if ((data[1] & 4) != 0)
        session(verify | EXT2DAX_MOUNT_READ_ONLY);
    session(verify);
    return 0;
}
