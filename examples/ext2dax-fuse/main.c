/* SPDX-License-Identifier: MIT */
/*
 * ext2dax-fuse mounts an ext2 image by FUSE.
 *
 * A mount of the library does not outlive fork(). So the program first becomes a daemon, and the
 * child opens the image. The parent waits for the result and returns the exit code, while the
 * child still prints to the terminal.
 */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void op_init(void *userdata, struct fuse_conn_info *connection)
{
    const struct server *server = userdata;
    /* The default ACL of a directory replaces the umask, so the umask is applied here. */
    unsigned wanted = FUSE_CAP_DONT_MASK | FUSE_CAP_POSIX_ACL | FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_PARALLEL_DIROPS;

    /* Nothing but the kernel changes the data, so the kernel keeps its pages. */
    wanted |= FUSE_CAP_EXPLICIT_INVAL_DATA;
    if (server->options->writeback_cache)
        wanted |= FUSE_CAP_WRITEBACK_CACHE;
    connection->want |= wanted & connection->capable;
    /*
     * The kernel clears capabilities by requests of its own, and asks for the removal of setuid and
     * setgid, see wire.c. This includes the truncation by an open, which is a request of its own.
     */
    connection->want &= ~(unsigned)(FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_AUTO_INVAL_DATA);
}

static const struct fuse_lowlevel_ops operations = {
    .init = op_init,
    .lookup = op_lookup,
    .forget = op_forget,
    .forget_multi = op_forget_multi,
    .getattr = op_getattr,
    .setattr = op_setattr,
    .readlink = op_readlink,
    .mknod = op_mknod,
    .mkdir = op_mkdir,
    .unlink = op_unlink,
    .rmdir = op_rmdir,
    .symlink = op_symlink,
    .rename = op_rename,
    .link = op_link,
    .open = op_open,
    .read = op_read,
    .write = op_write,
    .flush = op_flush,
    .release = op_release,
    .fsync = op_fsync,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .releasedir = op_release,
    .fsyncdir = op_fsync,
    .statfs = op_statfs,
    .setxattr = op_setxattr,
    .getxattr = op_getxattr,
    .listxattr = op_listxattr,
    .removexattr = op_removexattr,
    .create = op_create,
    .ioctl = op_ioctl,
    .fallocate = op_fallocate,
    .readdirplus = op_readdirplus,
    .copy_file_range = op_copy_file_range,
    .lseek = op_lseek,
};

/* Opens each closed standard descriptor. Otherwise messages would be written into the image. */
static void occupy_standard_descriptors(void)
{
    int descriptor;

    do
        descriptor = open("/dev/null", O_RDWR);
    while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    if (descriptor >= 0)
        close(descriptor);
}

/* Returns the options of libfuse, for free(). A comma in the name of the image is escaped. */
static char *libfuse_options(const struct server *server)
{
    static const char start[] = "default_permissions,subtype=ext2dax,fsname=";
    size_t room = sizeof(start) + 2 * strlen(server->image) + strlen(server->options->kernel) + 1;
    char *text = malloc(room), *to;

    if (!text)
        return NULL;
    memcpy(text, start, sizeof(start));
    to = text + sizeof(start) - 1;
    for (const char *from = server->image; *from; from++) {
        if (*from == ',' || *from == '\\')
            *to++ = '\\';
        *to++ = *from;
    }
    memcpy(to, server->options->kernel, strlen(server->options->kernel) + 1);
    return text;
}

/* Makes the session and mounts. Returns 0, or prints an error and returns an exit code. */
static int session_open(struct server *server)
{
    struct fuse_args arguments = FUSE_ARGS_INIT(0, NULL);
    char *options = libfuse_options(server);

    if (options && !fuse_opt_add_arg(&arguments, "ext2dax-fuse") && !fuse_opt_add_arg(&arguments, "-o") &&
        !fuse_opt_add_arg(&arguments, options) && (!server->options->debug || !fuse_opt_add_arg(&arguments, "--debug")))
        server->session = fuse_session_new(&arguments, &operations, sizeof(operations), server);
    free(options);
    fuse_opt_free_args(&arguments);
    if (!server->session)
        return failed(server->options->image, "start the session: libfuse refuses the options");
    if (fuse_session_mount(server->session, server->mountpoint))
        return failed(server->options->image, "mount on %s: FUSE cannot mount there", server->options->mountpoint);
    int error = wire_open(server->session);
    if (error)
        return failed(server->options->image, "start the session: %s", strerror(-error));
    return 0;
}

/* Tells the parent that the mount is there, and leaves the terminal. */
static void detach(int parent)
{
    unsigned char code = 0;

    if (chdir("/") || write(parent, &code, 1) != 1)
        _exit(EXIT_FAILED);
    close(parent);
    int null = open("/dev/null", O_RDWR);
    if (null < 0)
        return;
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    if (null > STDERR_FILENO)
        close(null);
}

/* Serves requests until the mount ends. */
static int serve(struct server *server, int parent)
{
    workers_prepare(server);
    int error = signals_start(server);

    if (error)
        return failed(server->options->image, "serve: %s", strerror(error));
    if (parent >= 0)
        detach(parent);
    error = workers_run(server);
    signals_end(server);
    workers_join();
    return error < 0 ? failed(server->options->image, "serve: %s", strerror(-error)) : 0;
}

/* Mounts, serves and unmounts. `parent` is the descriptor of a waiting parent, or -1. */
static int run(struct server *server, int parent)
{
    int code = image_open(server);

    if (!code)
        code = session_open(server);
    if (!code) {
        code = serve(server, parent);
        statistics_write(server);
        fuse_session_unmount(server->session);
    }
    if (server->session)
        fuse_session_destroy(server->session);
    return image_close(server, code);
}

/*
 * Runs in a child process and a session of its own. Returns in the child the descriptor to report
 * to the parent. The parent exits with the code of the child, or with 0 once the child has mounted.
 */
static int become_daemon(const struct options *options)
{
    int ends[2], status = 0;
    unsigned char code;

    if (pipe2(ends, O_CLOEXEC))
        exit(failed(options->image, "start: %s", strerror(errno)));
    pid_t child = fork();
    if (child < 0)
        exit(failed(options->image, "start: %s", strerror(errno)));
    if (!child) {
        close(ends[0]);
        setsid();
        return ends[1];
    }
    close(ends[1]);
    if (read(ends[0], &code, 1) == 1)
        _exit(0);
    waitpid(child, &status, 0);
    _exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_FAILED);
}

int main(int argc, char **argv)
{
    static struct options options;
    static struct server server;

    occupy_standard_descriptors();
    enum parsed parsed = options_parse(&options, argc, argv);
    if (parsed != PARSED_MOUNT)
        return parsed == PARSED_USAGE ? EXIT_USAGE : fflush(stdout) ? EXIT_FAILED : 0;
    server.options = &options;
    server.image = realpath(options.image, NULL);
    if (!server.image)
        return failed(options.image, "open: %s", strerror(errno));
    server.mountpoint = realpath(options.mountpoint, NULL);
    struct stat there;
    if (!server.mountpoint || stat(server.mountpoint, &there))
        return failed(options.image, "mount on %s: %s", options.mountpoint, strerror(errno));
    if (!S_ISDIR(there.st_mode))
        return failed(options.image, "mount on %s: %s", options.mountpoint, strerror(ENOTDIR));
    pthread_rwlockattr_t kind;
    pthread_rwlockattr_init(&kind);
    pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&server.changes, &kind);
    for (unsigned i = 0; i < READ_GATES; i++)
        pthread_rwlock_init(&server.gates[i], &kind);
    int code = run(&server, options.foreground ? -1 : become_daemon(&options));
    free(server.image);
    free(server.mountpoint);
    return code;
}
