/* SPDX-License-Identifier: MIT */
/*
 * Modes as text. A change of permission bits is octal, or a list of clauses as chmod takes. A
 * clause is letters of u, g, o and a, then an operator of +, - and =, then letters of r, w, x, X,
 * s and t.
 */
#include "mapper.h"

#include <string.h>
#include <sys/stat.h>

/* The bits of u, g and o that a clause may change, s and t included. */
enum { USER = 04700, GROUP = 02070, OTHERS = 01007 };

static bool octal(const char *text, unsigned *changed)
{
    unsigned value = 0;
    size_t length = strlen(text);

    if (!length || length > 5 || strspn(text, "01234567") != length)
        return false;
    for (size_t i = 0; i < length; i++)
        value = value * 8 + (unsigned)(text[i] - '0');
    *changed = value;
    return value <= 07777;
}

static const char *who(const char *at, unsigned *scope)
{
    *scope = 0;
    for (; *at && strchr("ugoa", *at); at++)
        *scope |= *at == 'u' ? USER : *at == 'g' ? GROUP : *at == 'o' ? OTHERS : 07777;
    return at;
}

/* Returns the bits of the letters, for all of u, g and o. Stops at another character. */
static const char *letters(const char *at, unsigned mode, bool directory, unsigned *bits)
{
    *bits = 0;
    for (; *at && strchr("rwxXst", *at); at++) {
        switch (*at) {
        case 'r':
            *bits |= 0444;
            break;
        case 'w':
            *bits |= 0222;
            break;
        case 'x':
            *bits |= 0111;
            break;
        case 'X':
            *bits |= directory || mode & 0111 ? 0111 : 0;
            break;
        case 's':
            *bits |= 06000;
            break;
        default:
            *bits |= 01000;
            break;
        }
    }
    return at;
}

bool mode_change(const char *text, unsigned mode, bool directory, unsigned *changed)
{
    mode_t mask = umask(0);
    const char *at = text;

    umask(mask);
    if (octal(text, changed))
        return true;
    for (;;) {
        unsigned scope, bits, kept = 0;
        at = who(at, &scope);
        if (!scope) {
            scope = 07777;
            kept = mask;
        }
        if (!*at || !strchr("+-=", *at))
            return false;
        while (*at && strchr("+-=", *at)) {
            char sign = *at;
            at = letters(at + 1, mode, directory, &bits);
            bits &= scope & ~kept;
            if (sign == '=')
                mode &= ~scope;
            mode = sign == '-' ? mode & ~bits : mode | bits;
        }
        if (!*at)
            break;
        if (*at++ != ',')
            return false;
    }
    *changed = mode & 07777;
    return true;
}

void mode_text(unsigned mode, char text[11])
{
    static const char types[] = "?pc?d?b?-?l?s???";
    static const char bits[] = "rwxrwxrwx";

    text[0] = types[mode >> 12 & 15];
    for (unsigned i = 0; i < 9; i++)
        text[1 + i] = mode >> (8 - i) & 1 ? bits[i] : '-';
    if (mode & 04000)
        text[3] = text[3] == 'x' ? 's' : 'S';
    if (mode & 02000)
        text[6] = text[6] == 'x' ? 's' : 'S';
    if (mode & 01000)
        text[9] = text[9] == 'x' ? 't' : 'T';
    text[10] = 0;
}

const char *type_text(unsigned mode)
{
    static const char *const types[16] = {
        [1] = "fifo",         [2] = "character device", [4] = "directory", [6] = "block device",
        [8] = "regular file", [10] = "symbolic link",   [12] = "socket",
    };
    const char *type = types[mode >> 12 & 15];

    return type ? type : "unknown";
}
