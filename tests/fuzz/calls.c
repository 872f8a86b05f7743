/* SPDX-License-Identifier: MIT */
/* The calls of the fuzzer, their arguments, and their results. */
#include <stdio.h>
#include <string.h>

#include "ext2dax/testkit/checker.h"

#include "play.h"
#include "tree.h"

/* Blocks a call may need besides data blocks, for pointer blocks and a directory's block. */
#define BESIDE 8u

/* ---- arguments ---- */

static struct play_file *some_file(struct play *play)
{
    unsigned from = (unsigned)play_noise(play, PLAY_FILES);

    for (unsigned i = 0; i < PLAY_FILES; i++) {
        struct play_file *file = &play->file[(from + i) % PLAY_FILES];

        if (file->inode)
            return file;
    }
    return NULL;
}

/*
 * Returns an offset near the end of the file, where the block tree changes depth, or around PMD
 * ranges.
 */
static uint64_t draw_offset(struct play *play, const struct play_file *file)
{
    uint64_t bs = play->geometry.block_size, p = bs / 4, range = geometry_pmd_range(&play->geometry), block;
    const uint64_t blocks[] = {0, 1, 10, 12, 12 + p - 1, 12 + p, 12 + 2 * p, 12 + p + p * p - 1, 12 + p + p * p};

    switch (play_noise(play, 16)) {
    case 0:
        return file->content.size + play_noise(play, 3) - (file->content.size != 0);
    case 1:
    case 2:
        return play_noise(play, file->content.size + 1);
    case 3:
        return blocks[play_noise(play, sizeof(blocks) / sizeof(blocks[0]))] * bs + play_noise(play, 3) * 7;
    case 4:
        block = play_noise(play, 8);
        break;
    case 5:
        block = play_noise(play, 40);
        break;
    case 6:
        block = range * play_noise(play, 5) + play_noise(play, 3);
        break;
    case 10:
        return range * (1 + play_noise(play, 4)) * bs;
    case 7:
        block = range * (1 + play_noise(play, 4)) - 1 - play_noise(play, 3);
        break;
    case 8: /* the same distance into a PMD range as the image's end into an aligned extent */
        block = range * play_noise(play, 3) + play->figures.blocks % range + play_noise(play, 3);
        break;
    case 9:
        return play->largest - play_noise(play, 3 * bs);
    default:
        block = play_noise(play, 3 * range);
    }
    return block * bs + (play_noise(play, 2) ? play_noise(play, bs) : 0);
}

static uint64_t some_offset(struct play *play, const struct play_file *file)
{
    uint64_t offset = draw_offset(play, file);

    if (play->show)
        (void)fprintf(stderr, "  inode %u of %llu bytes, offset %llu\n", (unsigned)file->inode->number,
                      (unsigned long long)file->content.size, (unsigned long long)offset);
    return offset;
}

static uint64_t some_length(struct play *play)
{
    uint64_t bs = play->geometry.block_size, range = geometry_pmd_range(&play->geometry), length;

    switch (play_noise(play, 8)) {
    case 0:
        length = bs * (1 + play_noise(play, 4));
        break;
    case 1:
        length = bs * (range + play_noise(play, 3) - 1);
        break;
    case 2:
        length = 1 + play_noise(play, bs * range * 2);
        break;
    case 3:
        length = 1;
        break;
    default:
        length = 1 + play_noise(play, bs * (1 + play_noise(play, 6)));
    }
    length = length < PLAY_IO ? length : PLAY_IO;
    if (play->show)
        (void)fprintf(stderr, "  length %llu\n", (unsigned long long)length);
    return length;
}

static void fill_buffer(struct play *play, uint64_t length)
{
    unsigned char byte = (unsigned char)play_noise(play, 256);

    for (uint64_t i = 0; i < length; i++)
        play->buffer[i] = (unsigned char)(byte + i * 7 + (i >> 9));
}

static int64_t answer(const struct play *play, int64_t answered)
{
    if (play->show)
        (void)fprintf(stderr, "  answers %lld\n", (long long)answered);
    return answered;
}

/* Checks the reason of ENOSPC for a request of `bytes`. */
static void is_full(struct play *play, uint64_t bytes)
{
    uint64_t free = play_free_blocks(play);

    if (free < bytes / play->geometry.block_size + BESIDE)
        return;
    (void)fprintf(stderr, "%llu blocks are free\n", (unsigned long long)free);
    fuzz_fail(__FILE__, __LINE__, "what answers ENOSPC has no block left");
}

static uint64_t pages_of(const struct play *play, const struct content *content)
{
    uint64_t page_size = (uint64_t)1 << play->geometry.page_shift;

    return content->size / page_size + (content->size % page_size != 0);
}

static bool is_faultable(const struct play *play)
{
    uintptr_t page_size = (uintptr_t)1 << play->geometry.page_shift;

    /* Memory starting inside a page cannot be mapped. */
    return play->geometry.block_size == page_size && ((uintptr_t)play->geometry.area.base & (page_size - 1)) == 0;
}

/* ---- files ---- */

static const char *create(struct play *play)
{
    unsigned number = (unsigned)play_noise(play, PLAY_FILES);
    struct play_file *file = &play->file[number];
    struct ext2dax_statfs figures;
    struct ext2dax_inode *inode;
    char name[256];
    size_t length = play_file_name(number, name);
    int error;

    if (file->inode && !file->named)
        return "nothing";
    error = ext2dax_create(play->root, name, length, 0644, 1, 1, &inode);
    if (file->named) {
        MUST(error == -EXT2DAX_EEXIST);
        return "create again";
    }
    if (error == 0) {
        file->inode = inode;
        file->named = true;
        content_open(&file->content, play->geometry.block_size);
        return "create";
    }
    ext2dax_statfs(play->mount, &figures, sizeof(figures));
    MUST(error == -EXT2DAX_ENOSPC && (figures.free_inodes == 0 || figures.free_blocks < BESIDE));
    return "create without room";
}

static const char *make_names(struct play *play)
{
    unsigned from = (unsigned)play_noise(play, PLAY_NAMES), count = 1 + (unsigned)play_noise(play, 12);
    struct ext2dax_statfs figures;
    char name[256];

    for (unsigned i = 0; i < count; i++) {
        unsigned number = (from + i) % PLAY_NAMES;
        size_t length = play_empty_name(number, name);
        struct ext2dax_inode *inode;
        int error;

        if (play->name[number] && play_noise(play, 2)) {
            MUST(ext2dax_unlink(play->root, name, length) == 0);
            play->name[number] = false;
            continue;
        }
        error = ext2dax_create(play->root, name, length, 0600, 1, 1, &inode);
        ext2dax_statfs(play->mount, &figures, sizeof(figures));
        if (error == 0)
            ext2dax_inode_put(inode);
        if (play->name[number])
            MUST(error == -EXT2DAX_EEXIST);
        else
            MUST(error == 0 ||
                 (error == -EXT2DAX_ENOSPC && (figures.free_inodes == 0 || figures.free_blocks < BESIDE)));
        play->name[number] |= error == 0;
    }
    return "names";
}

static const char *unlink_file(struct play *play)
{
    unsigned number = (unsigned)play_noise(play, PLAY_FILES);
    struct play_file *file = &play->file[number];
    char name[256];
    size_t length = play_file_name(number, name);
    int error = ext2dax_unlink(play->root, name, length);

    MUST(error == (file->named ? 0 : -EXT2DAX_ENOENT));
    file->named = false;
    if (file->inode && play_noise(play, 3) != 0) {
        play_drop(play, file);
        ext2dax_inode_put(file->inode);
        file->inode = NULL;
        content_close(&file->content);
    }
    return "unlink";
}

/* Puts a file and looks the name up again, so that the core drops its in-core state. */
static const char *look_up(struct play *play)
{
    unsigned number = (unsigned)play_noise(play, PLAY_FILES);
    struct play_file *file = &play->file[number];
    char name[256];
    size_t length = play_file_name(number, name);

    if (!file->named || !file->inode)
        return "nothing";
    play_drop(play, file);
    ext2dax_inode_put(file->inode);
    MUST(ext2dax_lookup(play->root, name, length, &file->inode) == 0);
    return "lookup";
}

/* ---- bytes ---- */

static const char *write_bytes(struct play *play, struct play_file *file)
{
    uint64_t offset = some_offset(play, file), length = some_length(play);
    int64_t wrote;

    fill_buffer(play, length);
    wrote = answer(play, ext2dax_write(file->inode, offset, play->buffer, (size_t)length));
    if (wrote == -EXT2DAX_EFBIG) {
        MUST(offset >= play->largest);
    } else if (wrote == -EXT2DAX_ENOSPC) {
        is_full(play, 1);
    } else {
        MUST(wrote > 0 && (uint64_t)wrote <= length && offset + (uint64_t)wrote <= play->largest);
        content_write(&file->content, offset, play->buffer, (size_t)wrote);
        if ((uint64_t)wrote < length && offset + (uint64_t)wrote != play->largest)
            is_full(play, 1);
    }
    return "write";
}

static const char *read_bytes(struct play *play, struct play_file *file)
{
    uint64_t offset = some_offset(play, file), length = some_length(play);
    uint64_t left = offset < file->content.size ? file->content.size - offset : 0;

    MUST(ext2dax_read(file->inode, offset, play->buffer, (size_t)length) == (int64_t)(left < length ? left : length));
    content_read(&file->content, offset, play->other, (size_t)(left < length ? left : length));
    MUST(memcmp(play->buffer, play->other, (size_t)(left < length ? left : length)) == 0);
    return "read";
}

static const char *truncate_file(struct play *play, struct play_file *file)
{
    uint64_t size = play_noise(play, 8) ? some_offset(play, file) : 0, bs = play->geometry.block_size;
    bool pinned = file->pinned && file->pin.first + file->pin.count > size / bs + (size % bs != 0);
    int error = (int)answer(play, ext2dax_truncate(file->inode, size));

    if (size > play->largest && size > file->content.size) {
        MUST(error == -EXT2DAX_EFBIG);
        return "truncate too far";
    }
    if (size < file->content.size && pinned) {
        MUST(error == -EXT2DAX_EBUSY);
        return "truncate below a pin";
    }
    MUST(error == 0);
    content_resize(&file->content, size);
    return "truncate";
}

static const char *allocate(struct play *play, struct play_file *file)
{
    uint64_t offset = some_offset(play, file), length = some_length(play), end = offset + length, size;
    bool keep = play_noise(play, 4) == 0;
    struct ext2dax_stat figures;
    int error = (int)answer(play, ext2dax_allocate(file->inode, offset, length, keep));

    size = file->content.size;
    ext2dax_stat(file->inode, &figures, sizeof(figures));
    if (error == 0) {
        MUST(!keep || end <= size);
        content_resize(&file->content, end > size ? end : size);
    } else if (error == -EXT2DAX_ENOSPC) {
        MUST(figures.size >= size && figures.size <= (end > size ? end : size));
        content_resize(&file->content, figures.size);
        is_full(play, length);
    } else {
        MUST(error == (keep ? -EXT2DAX_EOPNOTSUPP : -EXT2DAX_EFBIG));
        MUST(keep ? end > size : end > play->largest);
    }
    return "allocate";
}

static const char *punch(struct play *play, struct play_file *file)
{
    uint64_t offset = some_offset(play, file), length = play_noise(play, 6) ? some_length(play) : UINT64_MAX - offset;
    uint64_t bs = play->geometry.block_size, size = file->content.size, end = offset + length, first, stop;
    int error = (int)answer(play, ext2dax_punch(file->inode, offset, length));

    /* Punch frees whole blocks. The last block of the file counts as whole. */
    first = offset / bs + (offset % bs != 0);
    stop = end >= size ? size / bs + (size % bs != 0) : end / bs;
    if (offset < size && file->pinned && first < stop && first < file->pin.first + file->pin.count &&
        stop > file->pin.first) {
        MUST(error == -EXT2DAX_EBUSY);
        return "punch a pin";
    }
    MUST(error == 0);
    if (offset < size)
        content_zero(&file->content, offset, end < size ? end : size);
    return "punch";
}

/* Pins are no obstacle, and no block is added or removed. */
static const char *zero(struct play *play, struct play_file *file)
{
    uint64_t offset = some_offset(play, file), length = play_noise(play, 6) ? some_length(play) : UINT64_MAX - offset;
    uint64_t size = file->content.size, end = offset + length;
    struct ext2dax_stat before, after;

    ext2dax_stat(file->inode, &before, sizeof(before));
    MUST(answer(play, ext2dax_zero_range(file->inode, offset, length)) == 0);
    ext2dax_stat(file->inode, &after, sizeof(after));
    MUST(after.size == size && after.sectors == before.sectors);
    if (offset < size)
        content_zero(&file->content, offset, end < size ? end : size);
    return "zero";
}

/* Sets attributes that do not keep other calls from the file. */
static const char *set_attributes(struct play *play, struct play_file *file)
{
    struct ext2dax_attributes wanted = {.size = sizeof(wanted),
                                        .set = EXT2DAX_SET_MODE | EXT2DAX_SET_UID | EXT2DAX_SET_GID |
                                               EXT2DAX_SET_FLAGS | EXT2DAX_SET_ATIME,
                                        .mode = (uint16_t)play_noise(play, 010000),
                                        .uid = (uint32_t)play_noise(play, UINT32_MAX),
                                        .gid = (uint32_t)play_noise(play, UINT32_MAX),
                                        .atime = {.seconds = (int64_t)play_noise(play, UINT64_C(1) << 33),
                                                  .nanoseconds = (uint32_t)play_noise(play, 1000000000)}};
    struct ext2dax_stat before, after;

    ext2dax_stat(file->inode, &before, sizeof(before));
    wanted.flags = before.flags ^ (play_noise(play, 2) ? EXT2DAX_FL_NODUMP : EXT2DAX_FL_SYNC);
    MUST(answer(play, ext2dax_setattr(file->inode, &wanted)) == 0);
    ext2dax_stat(file->inode, &after, sizeof(after));
    MUST(after.mode == (EXT2DAX_S_IFREG | wanted.mode) && after.uid == wanted.uid && after.gid == wanted.gid);
    MUST(after.flags == wanted.flags && after.size == before.size && after.sectors == before.sectors);
    MUST(after.atime.seconds ==
         (after.has_nanoseconds || wanted.atime.seconds <= INT32_MAX ? wanted.atime.seconds : INT32_MAX));
    return "setattr";
}

/* ---- maps of a file ---- */

static uint32_t block_at(const struct play *play, const struct play_file *file, uint64_t logical)
{
    return ext2dax_check_block(play->geometry.area.base, play->geometry.size, file->inode->number, logical);
}

static const char *map(struct play *play, struct play_file *file)
{
    uint64_t logical = some_offset(play, file) / play->geometry.block_size;
    uint64_t most = play_noise(play, 3) ? 1 + play_noise(play, 200) : UINT64_MAX;
    struct ext2dax_run run;

    MUST(ext2dax_map(file->inode, logical, most, &run) == 0);
    MUST(run.logical == logical && run.length != 0 && run.length <= most);
    MUST(block_at(play, file, logical) == run.physical);
    if (run.physical != 0)
        MUST(run.physical + run.length <= play->figures.blocks);
    MUST(block_at(play, file, logical + run.length - 1) == (run.physical != 0 ? run.physical + run.length - 1 : 0));
    return "map";
}

static const char *seek(struct play *play, struct play_file *file)
{
    uint64_t offset = some_offset(play, file), bs = play->geometry.block_size, block;
    bool data = play_noise(play, 2);
    int64_t found = ext2dax_seek(file->inode, offset, data ? EXT2DAX_SEEK_DATA : EXT2DAX_SEEK_HOLE);

    if (found < 0) {
        MUST(found == -EXT2DAX_ENXIO && (data || offset >= file->content.size));
        return "seek in vain";
    }
    MUST((uint64_t)found >= offset && offset < file->content.size && (uint64_t)found <= file->content.size);
    block = (uint64_t)found / bs;
    if ((uint64_t)found != file->content.size)
        MUST((block_at(play, file, block) != 0) == data);
    else
        MUST(!data);
    /* The result is the nearest. At `offset` and just before the result is the other kind. */
    if ((uint64_t)found > offset)
        MUST((block_at(play, file, offset / bs) != 0) != data &&
             (block_at(play, file, (uint64_t)(found - 1) / bs) != 0) != data);
    return "seek";
}

static const char *make_durable(struct play *play, struct play_file *file)
{
    if (play_noise(play, 2)) {
        MUST(ext2dax_sync(play->mount) == 0);
        return "sync";
    }
    if (play_noise(play, 2)) {
        MUST(ext2dax_fsync_range(file->inode, some_offset(play, file), some_length(play)) == 0);
        return "fsync of a part";
    }
    MUST(ext2dax_fsync(file->inode) == 0);
    return "fsync";
}

/* ---- pins ---- */

/* Reads and writes through the pin up to the end of the file. */
static void use_pin(struct play *play, struct play_file *file)
{
    uint64_t bs = play->geometry.block_size, start = file->pin.first * bs, at = start,
             end = start + file->pin.count * bs;
    void *pointer;
    size_t length;

    end = end < file->content.size ? end : file->content.size;
    while (at < end) {
        MUST(ext2dax_pin_pointer(&file->pin, at, &pointer, &length) == 0);
        MUST(length != 0 && (unsigned char *)pointer >= play->geometry.area.base);
        length = length < end - at ? length : (size_t)(end - at);
        length = length < PLAY_IO ? length : PLAY_IO;
        content_read(&file->content, at, play->other, length);
        MUST(memcmp(pointer, play->other, length) == 0);
        if (file->pin.writable && play_noise(play, 2)) {
            fill_buffer(play, length);
            memcpy(pointer, play->buffer, length);
            content_write(&file->content, at, play->buffer, length);
        }
        at += length;
    }
}

static const char *pin(struct play *play, struct play_file *file)
{
    uint64_t offset = some_offset(play, file), length = some_length(play), bs = play->geometry.block_size;
    uint64_t last = (offset + length - 1) / bs, size = file->content.size;
    bool writable = play_noise(play, 2), hole = false;
    int error;

    if (file->pinned) {
        use_pin(play, file);
        ext2dax_unpin(&file->pin);
        file->pinned = false;
        return "unpin";
    }
    error = (int)answer(play, ext2dax_pin(file->inode, offset, length, writable, &file->pin));
    if (last >= size / bs + (size % bs != 0)) {
        MUST(error == -EXT2DAX_EINVAL);
        return "pin past the end";
    }
    for (uint64_t i = offset / bs; i <= last && !hole; i++)
        hole = block_at(play, file, i) == 0;
    if (error == -EXT2DAX_ENOSPC && writable) {
        is_full(play, length);
        return "pin without room";
    }
    MUST(error == (hole ? -EXT2DAX_ENXIO : 0));
    if (error != 0)
        return "pin a hole";
    file->pinned = true;
    use_pin(play, file);
    return "pin";
}

/* ---- mappings ---- */

static const char *map_pages(struct play *play, struct play_file *file)
{
    uint64_t page_size = (uint64_t)1 << play->geometry.page_shift, range = (uint64_t)1 << play->geometry.huge_order;

    if (file->map) {
        ext2dax_model_unmap(file->map);
        file->map = NULL;
        return "munmap";
    }
    file->map_first = some_offset(play, file) / page_size;
    file->map_count = 1 + play_noise(play, 40);
    /* Huge pages need whole PMD ranges. */
    if (play_noise(play, 4) != 0) {
        file->map_first &= ~(range - 1);
        file->map_count = range <= 512 ? range * (1 + play_noise(play, 2)) : range;
    }
    file->map = ext2dax_model_map(play->model, file->inode, file->map_first, file->map_count, true, true);
    MUST(file->map);
    return "mmap";
}

/* Picks a page of the mapping, mostly below the end of the file. */
static uint64_t some_page(struct play *play, const struct play_file *file)
{
    uint64_t pages = pages_of(play, &file->content), count = file->map_count;

    if (play_noise(play, 8) != 0 && pages > file->map_first && pages - file->map_first < count)
        count = pages - file->map_first;
    return file->map_first + play_noise(play, count);
}

/* Checks the result of an access to a page. `stores` is true if a block may be needed. */
static void is_answer(struct play *play, const struct play_file *file, enum ext2dax_fault_result result, uint64_t page,
                      bool stores)
{
    if (page >= pages_of(play, &file->content)) {
        MUST(result == EXT2DAX_FAULT_SIGBUS || (!is_faultable(play) && result == EXT2DAX_FAULT_FALLBACK));
    } else if (!is_faultable(play)) {
        MUST(result == EXT2DAX_FAULT_FALLBACK);
    } else if (result != EXT2DAX_FAULT_NOPAGE) {
        MUST(stores && result == EXT2DAX_FAULT_SIGBUS);
        is_full(play, 1);
    }
}

static const char *access_page(struct play *play, struct play_file *file)
{
    uint64_t page_size = (uint64_t)1 << play->geometry.page_shift, page, offset, left;
    bool store = play_noise(play, 2), huge = play_noise(play, 2);
    enum ext2dax_fault_result result;
    size_t length, whole;

    if (!file->map)
        return map_pages(play, file);
    page = some_page(play, file);
    offset = page * page_size + (play_noise(play, 2) ? play_noise(play, page_size) : 0);
    length = 1 + (size_t)play_noise(play, page_size - offset % page_size);
    left = offset < file->content.size ? file->content.size - offset : 0;
    whole = left < length ? (size_t)left : length;
    fill_buffer(play, length);
    if (store) {
        result = ext2dax_model_write(file->map, offset, play->buffer, length, huge, false);
        is_answer(play, file, result, page, true);
        /* A store past the end must not be visible after the file is extended. */
        if (result == EXT2DAX_FAULT_NOPAGE)
            content_write(&file->content, offset, play->buffer, whole);
        return "store";
    }
    result = ext2dax_model_read(file->map, offset, play->buffer, length, huge, false);
    is_answer(play, file, result, page, false);
    content_read(&file->content, offset, play->other, whole);
    if (result == EXT2DAX_FAULT_NOPAGE)
        MUST(memcmp(play->buffer, play->other, whole) == 0);
    return "load";
}

/* Stores through a huge page. The PMD range lies inside the file and the mapping. */
static const char *access_huge(struct play *play, struct play_file *file)
{
    uint64_t pages = (uint64_t)1 << play->geometry.huge_order, range = play_noise(play, 3);
    uint64_t start = range * pages << play->geometry.page_shift;
    uint64_t end = (range + 1) * pages << play->geometry.page_shift;
    enum ext2dax_fault_result result;

    if (end > file->content.size) {
        MUST(ext2dax_truncate(file->inode, end) == (end > play->largest ? -EXT2DAX_EFBIG : 0));
        if (end > play->largest)
            return "truncate too far";
        content_resize(&file->content, end);
    }
    if (file->old)
        ext2dax_model_unmap(file->old);
    file->old = file->map;
    file->map_first = range * pages;
    file->map_count = pages;
    file->map = ext2dax_model_map(play->model, file->inode, file->map_first, pages, true, true);
    MUST(file->map);
    fill_buffer(play, 1);
    start += play_noise(play, end - start);
    result = ext2dax_model_write(file->map, start, play->buffer, 1, true, false);
    is_answer(play, file, result, start >> play->geometry.page_shift, true);
    if (result == EXT2DAX_FAULT_NOPAGE)
        content_write(&file->content, start, play->buffer, 1);
    return "huge store";
}

static const char *access_privately(struct play *play, struct play_file *file)
{
    uint64_t page_size = (uint64_t)1 << play->geometry.page_shift, page = some_offset(play, file) / page_size, left;
    struct ext2dax_model_map *private = ext2dax_model_map(play->model, file->inode, page, 1, false, true);
    enum ext2dax_fault_result result;
    unsigned char byte = 0;

    MUST(private);
    left = page * page_size < file->content.size ? file->content.size - page * page_size : 0;
    fill_buffer(play, 1);
    result = ext2dax_model_write(private, page * page_size, play->buffer, 1, false, false);
    is_answer(play, file, result, page, false);
    if (result == EXT2DAX_FAULT_NOPAGE) {
        MUST(ext2dax_model_read(private, page * page_size, &byte, 1, false, false) == EXT2DAX_FAULT_NOPAGE);
        MUST(byte == play->buffer[0]);
        if (left > 1) {
            content_read(&file->content, page * page_size + 1, play->other, 1);
            MUST(ext2dax_model_read(private, page * page_size + 1, &byte, 1, false, false) == EXT2DAX_FAULT_NOPAGE);
            MUST(byte == play->other[0]);
        }
    }
    ext2dax_model_unmap(private);
    return "copy on write";
}

/* Calls any fault handler, regardless of the page table's content. */
static const char *fault(struct play *play, struct play_file *file)
{
    enum ext2dax_fault_result (*const entries[])(struct ext2dax_fault *) = {ext2dax_fault, ext2dax_pmd_fault,
                                                                            ext2dax_mkwrite, ext2dax_pfn_mkwrite};
    struct ext2dax_fault fault;
    unsigned which = (unsigned)play_noise(play, 4);

    if (!file->map)
        return map_pages(play, file);
    ext2dax_model_fault(file->map, some_page(play, file), which >= 2 || play_noise(play, 2), &fault);
    (void)entries[which](&fault);
    return "fault";
}

/* ---- the whole image ---- */

static void is_frozen(struct play *play)
{
    struct play_file *file = some_file(play);

    MUST(ext2dax_freeze(play->mount) == -EXT2DAX_EBUSY);
    MUST(ext2dax_unmount(play->mount) == -EXT2DAX_EBUSY);
    if (!file)
        return;
    (void)read_bytes(play, file);
    if (!file->map)
        (void)map_pages(play, file);
    if (is_faultable(play) && file->map_first < pages_of(play, &file->content))
        MUST(ext2dax_model_write(file->map, file->map_first << play->geometry.page_shift, play->buffer, 1, false,
                                 false) == EXT2DAX_FAULT_RETRY);
    play_settled(play, !play_holds_unlinked(play));
    /* The last put is queued until thaw. */
    if (!file->named && play_noise(play, 2)) {
        play_drop(play, file);
        ext2dax_inode_put(file->inode);
        file->inode = NULL;
        content_close(&file->content);
    }
}

static const char *freeze(struct play *play)
{
    int error = ext2dax_freeze(play->mount);

    MUST(error == (play_holds_pin(play) ? -EXT2DAX_EBUSY : 0));
    if (error == 0) {
        play->frozen = true;
        is_frozen(play);
        play->frozen = false;
        MUST(ext2dax_thaw(play->mount) == 0);
    }
    MUST(ext2dax_thaw(play->mount) == -EXT2DAX_EINVAL);
    return "freeze";
}

static const char *remount(struct play *play)
{
    bool busy = play_holds_pin(play) || play_holds_unlinked(play);
    struct play_file *file = some_file(play);
    struct ext2dax_inode *inode;

    MUST(ext2dax_remount(play->mount, EXT2DAX_MOUNT_READ_ONLY) == (busy ? -EXT2DAX_EBUSY : 0));
    if (busy)
        return "remount in vain";
    play_settled(play, true);
    MUST(ext2dax_create(play->root, "new", 3, 0600, 1, 1, &inode) == -EXT2DAX_EROFS);
    if (file) {
        MUST(ext2dax_write(file->inode, 0, "x", 1) == -EXT2DAX_EROFS);
        (void)read_bytes(play, file);
        play_compare(play, file);
    }
    MUST(ext2dax_remount(play->mount, 0) == 0);
    return "remount";
}

/* Mounts again with another page size and huge order. */
static const char *mount_again(struct play *play)
{
    uint8_t page = (uint8_t)play_noise(play, 256), huge = (uint8_t)play_noise(play, 256);

    play_unmount(play);
    geometry_choose_pages(&play->geometry, page, huge);
    play_mount(play, play_noise(play, 2) ? EXT2DAX_MOUNT_VERIFY : 0,
               play_noise(play, 2) ? EXT2DAX_ORDERED : EXT2DAX_UNORDERED);
    return "mount";
}

/* ---- the call ---- */

static const char *call_of_file(struct play *play, struct play_file *file, unsigned which)
{
    switch (which) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        return write_bytes(play, file);
    case 5:
        return read_bytes(play, file);
    case 6:
    case 7:
    case 8:
        return truncate_file(play, file);
    case 9:
    case 10:
        return allocate(play, file);
    case 11:
        return punch(play, file);
    case 12:
        return play_noise(play, 2) ? zero(play, file) : punch(play, file);
    case 13:
        return map(play, file);
    case 14:
        return play_noise(play, 2) ? seek(play, file) : set_attributes(play, file);
    case 15:
        return make_durable(play, file);
    case 16:
    case 17:
        return pin(play, file);
    case 18:
        return map_pages(play, file);
    case 19:
        return access_privately(play, file);
    case 20:
    case 21:
        return fault(play, file);
    case 22:
    case 23:
        return access_huge(play, file);
    default:
        return access_page(play, file);
    }
}

const char *play_call(struct play *play, unsigned which)
{
    struct play_file *file = some_file(play);
    const char *done;

    switch (which % 40) {
    case 0:
    case 1:
    case 2:
        done = create(play);
        break;
    case 3:
        done = make_names(play);
        break;
    case 4:
    case 5:
        done = unlink_file(play);
        break;
    case 6:
        done = look_up(play);
        break;
    case 7:
        done = freeze(play);
        break;
    case 8:
        done = remount(play);
        break;
    case 9:
        done = mount_again(play);
        break;
    default:
        if (!file)
            return create(play);
        done = call_of_file(play, file, which % 40 - 10);
        play_compare(play, file);
    }
    play_settled(play, false);
    return done;
}
