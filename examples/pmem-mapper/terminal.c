/* SPDX-License-Identifier: MIT */
/*
 * Output of untrusted text. A name in an image may contain any byte except '/' and 0, and some
 * bytes are commands to a terminal. On a terminal, control bytes, the C1 controls of UTF-8 and
 * bytes outside valid UTF-8 are escaped in octal, such as \033. A file or a pipe receives all
 * bytes unchanged.
 */
#include "mapper.h"

#include <string.h>
#include <unistd.h>

/*
 * Returns the length in bytes of the UTF-8 sequence at `at`, or 0 if the sequence is invalid,
 * incomplete or overlong.
 */
static size_t sequence(const unsigned char *at, size_t left)
{
    size_t length = at[0] < 0x80 ? 1 : at[0] < 0xC2 ? 0 : at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : at[0] < 0xF5 ? 4 : 0;

    if (!length || length > left)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    if ((at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xF0 && at[1] < 0x90) || (at[0] == 0xF4 && at[1] > 0x8F))
        return 0;
    return length;
}

void print_text(FILE *to, const char *text, size_t length)
{
    const unsigned char *at = (const unsigned char *)text;

    if (!isatty(fileno(to))) {
        fwrite(text, 1, length, to);
        return;
    }
    for (size_t i = 0, step; i < length; i += step) {
        size_t whole = sequence(at + i, length - i);
        bool control = whole == 0 || at[i] < 0x20 || at[i] == 0x7F || (at[i] == 0xC2 && at[i + 1] < 0xA0);

        step = whole ? whole : 1;
        for (size_t j = i; j < i + step; j++) {
            if (control)
                fprintf(to, "\\%03o", at[j]);
            else
                putc(at[j], to);
        }
    }
}
