/* SPDX-License-Identifier: MIT */
/*
 * The fuzzers of small hostile images, from a single source. FUZZ_TARGET selects the fuzzer.
 *   FUZZ_IMAGE    edits of the image, then every call that reads, on every inode
 *   FUZZ_CALLS    calls on a valid image, which is valid afterwards
 *   FUZZ_BOTH     edits of the image, then calls
 *   FUZZ_FAULTS   edits of the image, then faults and calls that remove mappings
 *
 * An input is the number of the image and the flags, the number of edits, the edits, and the calls.
 * Inputs have records of fixed size, so that a fuzzer which knows nothing of images finds its way.
 * fuzz_mutator.c knows more.
 */
#include <stdlib.h>
#include <string.h>

#include "../fuzz/fuzz_image.h"
#include "../fuzz/plugs.h"
#include "edit.h"
#include "fuzz.h"
#include "operate.h"
#include "session.h"

const unsigned long fuzz_usual_count = 4000;

const char *fuzz_text(void)
{
    return "";
}

size_t fuzz_shape(uint8_t noise[FUZZ_NOISE])
{
    noise[1] = FUZZ_TARGET == FUZZ_CALLS ? 0 : (uint8_t)(1 + noise[1] % 4);
    /* Most edits of superblock and descriptors make mount refuse the image. */
    for (size_t i = 0; i < noise[1]; i++) {
        uint8_t *structure = &noise[FUZZ_HEAD + i * EDIT_BYTES];

        if ((*structure & 7) < 2 && (*structure & 0x30) != 0)
            *structure |= 3;
    }
    return FUZZ_HEAD + (size_t)noise[1] * EDIT_BYTES + OPERATION_BYTES * (size_t)(noise[2] % 24);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned flags, edits;
    size_t at = FUZZ_HEAD;

    if (size < FUZZ_HEAD)
        return 0;
    session_load(small_get(data[0]));
    flags = data[0] & 0x10 && FUZZ_TARGET != FUZZ_CALLS ? EXT2DAX_MOUNT_READ_ONLY : 0;
    if (data[0] & 0x20)
        flags |= EXT2DAX_MOUNT_VERIFY;
    edits = FUZZ_TARGET == FUZZ_CALLS ? 0 : data[1] % (FUZZ_EDITS + 1);
    for (; edits > 0 && at + EDIT_BYTES <= size; edits--, at += EDIT_BYTES)
        edit_apply(session.small, session.base, data + at);
    if (data[0] & 0x40 && FUZZ_TARGET != FUZZ_CALLS) /* not clean, for recovery */
        session.base[EXT2DAX_SUPER_OFFSET + offsetof(struct ext2dax_disk_super, state)] = 0;
    if (session_open(flags) != 0)
        return 0;
    if (FUZZ_TARGET == FUZZ_IMAGE)
        operate_on_all((data[0] & 0x80) != 0);
    for (unsigned i = 0; i < FUZZ_OPERATIONS && at + OPERATION_BYTES <= size; i++, at += OPERATION_BYTES)
        operate(data + at, FUZZ_TARGET == FUZZ_FAULTS);
    operate_end();
    session_close();
    if (FUZZ_TARGET == FUZZ_CALLS)
        MUST(session_is_whole());
    return 0;
}
