/* SPDX-License-Identifier: MIT */
/*
 * Random calls by a single thread on files of a valid image, with a copy of each file's content.
 * After each call, code sharing nothing with the core checks the image, the mappings and the file.
 */
#ifndef TESTS_FUZZ_PLAY_H
#define TESTS_FUZZ_PLAY_H

#include "ext2dax/ext2dax.h"
#include "ext2dax/testkit/model.h"

#include "content.h"
#include "geometry.h"

#define PLAY_FILES 4u
#define PLAY_NAMES 40u
#define PLAY_IO    ((size_t)2 << 20) /* the longest read or write, in bytes */

struct play_file {
    struct ext2dax_inode *inode; /* NULL if the file does not exist */
    bool named;                  /* false for an unlinked file still held */
    struct content content;
    struct ext2dax_model_map *map; /* shared and writable, NULL for none */
    uint64_t map_first, map_count; /* pages */
    /* the previous mapping, only for visibility of changes, NULL for none */
    struct ext2dax_model_map *old;
    struct ext2dax_pin pin;
    bool pinned;
};

struct play {
    struct geometry geometry;
    struct ext2dax_mount *mount;
    struct ext2dax_model *model;
    struct ext2dax_inode *root;
    struct ext2dax_statfs figures; /* at mount */
    bool show;                     /* print each call */
    bool frozen;                   /* freeze holds its locks */
    struct play_file file[PLAY_FILES];
    bool name[PLAY_NAMES]; /* which of the empty files exist */
    unsigned usual_names;  /* names in the root of an empty image */
    uint64_t noise;
    uint64_t largest; /* the largest size of a file in bytes */
    unsigned char buffer[PLAY_IO], other[PLAY_IO];
};

/* Returns a deterministic random number. */
uint64_t play_noise(struct play *play, uint64_t below);

/*
 * Mount and look up every named file, or unmount and so free unlinked files. Both check the whole
 * image.
 */
void play_mount(struct play *play, unsigned flags, enum ext2dax_order order);
void play_unmount(struct play *play);

/* Checks image, mappings and locks. With `clean` the image must be marked clean. */
void play_settled(struct play *play, bool clean);
/* Compares a file with its copy. */
void play_compare(struct play *play, const struct play_file *file);

/* Is a file unlinked and held? Is a writable pin held? */
bool play_holds_unlinked(const struct play *play);
bool play_holds_pin(const struct play *play);

/* Write the name of a file, or of an empty file. Return its length. */
size_t play_file_name(unsigned number, char name[256]);
size_t play_empty_name(unsigned number, char name[256]);

/* Drops the mapping and the pin of a file. */
void play_drop(struct play *play, struct play_file *file);

uint64_t play_free_blocks(struct play *play);

/* Makes a call, or a few related calls, with arguments from play->noise. Returns its name. */
const char *play_call(struct play *play, unsigned which);

#endif
