/* SPDX-License-Identifier: MIT */
/*
 * Makes valid images of every geometry and random calls on the images. After each call the checker
 * must accept the image, files must hold the bytes written, and a failed call must have a reason
 * visible to its caller, such as a full image.
 *
 * An input is a geometry followed by calls of 4 bytes. The first byte selects the call and the
 * other three seed its arguments. The arguments of a call do not depend on earlier calls, so a
 * failing input can be shortened.
 *
 * With FUZZ_MKE2FS in the environment mke2fs makes the images and e2fsck checks each at the end.
 * FUZZ_SHOW prints each call.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../image/outside.h"
#include "fuzz_image.h"
#include "play.h"
#include "tree.h"

#define CALL  4u
#define CALLS 120u

const unsigned long fuzz_usual_count = 150;

static struct play play;
static char text[512];

size_t fuzz_shape(uint8_t noise[FUZZ_NOISE])
{
    /* Some inputs are short, because a failure with few calls is easier to read. */
    return GEOMETRY_BYTES + CALL * (size_t)(10 + noise[FUZZ_NOISE - 1] % (CALLS - 9));
}

const char *fuzz_text(void)
{
    return text;
}

static bool by_mke2fs(void)
{
    return getenv("FUZZ_MKE2FS") != NULL;
}

static void begin(const uint8_t *data)
{
    size_t length;

    geometry_choose(&play.geometry, data, by_mke2fs());
    length = (size_t)geometry_text(&play.geometry, text, sizeof(text) - 2);
    (void)snprintf(text + length, sizeof(text) - length, "\n");
}

static void end(void)
{
    play_unmount(&play);
    if (by_mke2fs())
        MUST(geometry_e2fsck(&play.geometry) == 0);
    for (unsigned i = 0; i < PLAY_FILES; i++)
        content_close(&play.file[i].content);
    geometry_close(&play.geometry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (by_mke2fs() && !outside_has("mke2fs")) {
        (void)printf("skipped: there is no mke2fs\n");
        exit(SKIPPED);
    }
    play.show = getenv("FUZZ_SHOW") != NULL;
    if (size < GEOMETRY_BYTES)
        return 0;
    memset(play.file, 0, sizeof(play.file));
    memset(play.name, 0, sizeof(play.name));
    play.usual_names = 0;
    begin(data);
    if (play.show)
        (void)fprintf(stderr, "%s", text);
    if (!geometry_make(&play.geometry))
        return 0;
    play_mount(&play, data[13] & 4 ? EXT2DAX_MOUNT_VERIFY : 0, data[13] & 8 ? EXT2DAX_ORDERED : EXT2DAX_UNORDERED);
    for (size_t at = GEOMETRY_BYTES; at + CALL <= size && at < GEOMETRY_BYTES + CALL * CALLS; at += CALL) {
        const char *done;

        play.noise = (uint64_t)data[at + 1] << 16 | (uint64_t)data[at + 2] << 8 | data[at + 3];
        done = play_call(&play, data[at]);
        if (play.show)
            (void)fprintf(stderr, "%zu: %s\n", (at - GEOMETRY_BYTES) / CALL, done);
    }
    end();
    return 0;
}
