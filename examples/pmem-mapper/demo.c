/* SPDX-License-Identifier: MIT */
/*
 * The command demo. Runs the commands on a new image and prints each command as typed. Without
 * IMAGE the image is created in /dev/shm, where a mapped file is memory, or else in the
 * directory for temporary files. The image is kept for inspection.
 */
#include "mapper.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE  "64M"
#define BLOCK ((size_t)4096)

struct demo {
    const struct request *request;
    char image[512];
    char host[512]; /* the host file to put */
    char back[512]; /* the host file written by get */
};

/* Prints and runs a command. */
static int step(const struct demo *demo, const char *name, int (*command)(const struct request *), const char *first,
                const char *second, const char *third)
{
    const char *args[4] = {first, second, third, NULL};
    struct request request = *demo->request;

    request.image = demo->image;
    request.args = args;
    request.threads = 4;
    request.seconds = 3;
    printf("\n$ pmem-mapper %s %s", name, demo->image);
    for (unsigned i = 0; args[i]; i++)
        printf(" %s", args[i]);
    printf("%s\n", command == command_race ? " --threads 4 --seconds 3" : "");
    fflush(stdout);
    int code = command(&request);
    fflush(stdout);
    return code;
}

static int make_image_name(struct demo *demo)
{
    const char *given = demo->request->image, *temporary = getenv("TMPDIR");

    if (given) {
        if (strlen(given) + sizeof(".get") > sizeof(demo->image))
            return system_failed(given, ENAMETOOLONG, "demo");
        memcpy(demo->image, given, strlen(given) + 1);
        int made = open(demo->image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (made < 0)
            return system_failed(given, errno, "demo: wants a new file");
        close(made);
        return 0;
    }
    const char *directories[] = {"/dev/shm", temporary ? temporary : "/tmp", "/tmp"};
    for (unsigned i = 0; i < 3; i++) {
        int length = snprintf(demo->image, sizeof(demo->image), "%s/pmem-mapper-demo-XXXXXX", directories[i]);
        if (length < 0 || (size_t)length + sizeof(".get") > sizeof(demo->image))
            continue;
        int made = mkstemp(demo->image);
        if (made < 0)
            continue;
        close(made);
        return 0;
    }
    return system_failed(NULL, errno, "demo: make an image in /dev/shm, $TMPDIR or /tmp");
}

/* Creates a host file of 6 MiB of text with a hole of 2 MiB in the middle. */
static int make_host_file(struct demo *demo)
{
    char block[BLOCK];

    snprintf(demo->host, sizeof(demo->host), "%.500s.put", demo->image);
    snprintf(demo->back, sizeof(demo->back), "%.500s.get", demo->image);
    /* get would overwrite an existing file. */
    int back = open(demo->back, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (back < 0)
        return system_failed(demo->back, errno, "demo");
    close(back);
    int host = open(demo->host, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (host < 0) {
        int code = system_failed(demo->host, errno, "demo");
        unlink(demo->back);
        return code;
    }
    for (size_t n = 0; n < 1536; n++) {
        if (n >= 512 && n < 1024)
            continue;
        memset(block, 'a' + (int)(n % 26), sizeof(block));
        snprintf(block, sizeof(block), "block %zu\n", n);
        if (pwrite(host, block, sizeof(block), (off_t)(n * BLOCK)) != (ssize_t)sizeof(block)) {
            int code = system_failed(demo->host, errno, "demo");
            close(host);
            unlink(demo->host);
            unlink(demo->back);
            return code;
        }
    }
    close(host);
    return 0;
}

static int compare(const struct demo *demo)
{
    char a[BLOCK], b[BLOCK];
    FILE *put = fopen(demo->host, "rb"), *get = fopen(demo->back, "rb");
    bool same = put && get;

    while (same) {
        size_t have = fread(a, 1, sizeof(a), put);
        same = fread(b, 1, sizeof(b), get) == have && !memcmp(a, b, have);
        if (have < sizeof(a))
            break;
    }
    if (put)
        fclose(put);
    if (get)
        fclose(get);
    if (!same)
        return say_failed(demo->image, "demo: get returned other bytes than put stored");
    printf("the same bytes that were put\n");
    return 0;
}

/* Runs e2fsck -fn on the image. Prints a note and returns 0 if e2fsck cannot be run. */
static int check(const struct demo *demo)
{
    static const char *const programs[] = {"e2fsck", "/sbin/e2fsck", "/usr/sbin/e2fsck"};
    pid_t child;
    int status, error = ENOENT;

    printf("\n$ e2fsck -fn %s\n", demo->image);
    fflush(stdout);
    for (unsigned i = 0; i < 3 && error; i++) {
        char *argv[] = {(char *)"e2fsck", (char *)"-fn", (char *)demo->image, NULL};
        error = posix_spawnp(&child, programs[i], NULL, NULL, argv, environ);
    }
    if (error) {
        printf("(not run: %s)\n", strerror(error));
        return 0;
    }
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return system_failed(demo->image, errno, "e2fsck");
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        return say_failed(demo->image, "e2fsck -fn: finds the image not clean");
    return 0;
}

/* Returns the reason to leave out race, or NULL. */
static const char *no_race(const struct demo *demo)
{
    struct request request = *demo->request;
    struct image image;

    if (request.locks.ops == ext2dax_locks_none().ops)
        return "it needs a lock backend other than none";
    request.image = demo->image;
    int code = image_open(&image, &request, false);
    bool serves = image.process;
    image_close(&image, code);
    return serves ? NULL : "this build serves no page faults";
}

static int run_steps(const struct demo *demo)
{
    const char *reason;

    int code = step(demo, "format", command_format, SIZE, NULL, NULL);

    if (!code)
        code = step(demo, "put", command_put, demo->host, "/file", NULL);
    if (!code)
        code = step(demo, "ls", command_ls, NULL, NULL, NULL);
    if (!code)
        code = step(demo, "map", command_map, "/file", NULL, NULL);
    if (!code)
        code = step(demo, "get", command_get, "/file", demo->back, NULL);
    if (!code)
        code = compare(demo);
    if (!code)
        code = step(demo, "punch", command_punch, "/file", "4M", "1M");
    if (!code)
        code = step(demo, "truncate", command_truncate, "/file", "5500000", NULL);
    if (!code)
        code = step(demo, "map", command_map, "/file", NULL, NULL);
    if (!code && (reason = no_race(demo)) != NULL)
        printf("\n(no race: %s)\n", reason);
    else if (!code)
        code = step(demo, "race", command_race, "/race", NULL, NULL);
    if (!code)
        code = check(demo);
    return code;
}

int command_demo(const struct request *request)
{
    struct demo demo = {.request = request};

    int code = make_image_name(&demo);
    if (code)
        return code;
    code = make_host_file(&demo);
    if (!code) {
        code = run_steps(&demo);
        unlink(demo.host);
        unlink(demo.back);
    }
    if (code) {
        say_failed(demo.image, "demo: failed; the image stays there");
        return code;
    }
    printf("\nThe image stays in %s. Try next:\n"
           "  %s map %s /race --json\n"
           "  %s race %s /race --threads 8 --seconds 20\n"
           "  %s put %s FILE /file\n"
           "  mount -o loop %s /mnt\n"
           "  rm %s\n",
           demo.image, request->program, demo.image, request->program, demo.image, request->program, demo.image,
           demo.image, demo.image);
    return 0;
}
