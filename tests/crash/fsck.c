/* SPDX-License-Identifier: MIT */
/* Runs the real e2fsck on an image and checks its output against a list of allowed messages. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "../image/outside.h"
#include "crash_fixture.h"

/*
 * Allowed messages, each given by a part of its text. They report leaks, counts and dirents which
 * e2fsck repairs without help.
 */
static const char *const allowed[] = {
    "was not cleanly unmounted",
    "contains a file system with errors, check forced", /* printed for any image not marked clean */
    "Block bitmap differences:",
    "Inode bitmap differences:",
    "Free blocks count wrong",
    "Free inodes count wrong",
    "Directories count wrong",
    "i_blocks is ",
    "deleted/unused inode",
    "has zero dtime",
    "Unattached zero-length inode",
    "ref count is",
    "Setting filetype for entry",
    "Inode 2, i_size is ", /* the size of the root directory, never of a file */
    "Padding at end of inode bitmap",
    " files (", /* the last line, with the totals */
};

bool fsck_there(void)
{
    return outside_has("e2fsck");
}

static bool may_say(const char *line)
{
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        if (strstr(line, allowed[i]))
            return true;
    }
    return line[strspn(line, " \t\r\n")] == '\0';
}

/*
 * Runs e2fsck and stores the first message outside the allowed list in `line`. Returns the exit
 * status, or -1.
 */
static int run(const char *options, const char *path, bool any_line, char *line, size_t room)
{
    char command[256], said[512];
    bool kept = false;
    FILE *out;
    int status;

    snprintf(command, sizeof command, "PATH=\"$PATH:/usr/sbin:/sbin\" LC_ALL=C e2fsck %s %s 2>&1", options, path);
    out = popen(command, "r");
    if (!out)
        return -1;
    while (fgets(said, sizeof said, out)) {
        if (kept || any_line || may_say(said))
            continue;
        snprintf(line, room, "%s", said);
        line[strcspn(line, "\n")] = '\0';
        kept = true;
    }
    status = pclose(out);
    if (!kept)
        line[0] = '\0';
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const char *fsck_repair(unsigned char *image, size_t size, int *status)
{
    static struct outside_image file;
    static char wrong[600];
    char line[512];

    if (!file.base || file.size != size) {
        if (file.base)
            outside_close(&file);
        file = outside_open(size);
    }
    memcpy(file.base, image, size);
    *status = run("-p", file.path, false, line, sizeof line);
    memcpy(image, file.base, size);
    wrong[0] = '\0';
    if (*status != 0 && *status != 1)
        snprintf(wrong, sizeof wrong, "e2fsck -p exits with %d: %.400s", *status, line);
    else if (line[0] != '\0')
        snprintf(wrong, sizeof wrong, "e2fsck -p says: %.400s", line);
    else if (run("-fn", file.path, true, line, sizeof line) != 0)
        snprintf(wrong, sizeof wrong, "e2fsck -fn still finds something");
    return wrong[0] != '\0' ? wrong : NULL;
}
