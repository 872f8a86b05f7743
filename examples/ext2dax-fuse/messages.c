/* SPDX-License-Identifier: MIT */
/* Messages on stderr. */
#include "server.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Prints text with control bytes in octal, such as \033, because a name may hold any byte. */
static void print_text(const char *text)
{
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 0x20 || byte == 0x7f)
            fprintf(stderr, "\\%03o", byte);
        else
            putc(byte, stderr);
    }
}

int failed(const char *image, const char *format, ...)
{
    va_list list;
    char *text = NULL;

    va_start(list, format);
    int length = vasprintf(&text, format, list);
    va_end(list);
    fputs("ext2dax-fuse: ", stderr);
    if (image) {
        print_text(image);
        fputs(": ", stderr);
    }
    print_text(length >= 0 ? text : "no memory");
    fputc('\n', stderr);
    free(length >= 0 ? text : NULL);
    return EXIT_FAILED;
}
