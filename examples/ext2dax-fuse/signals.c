/* SPDX-License-Identifier: MIT */
/*
 * Signals. A thread waits for all signals of the server. SIGUSR1 writes the statistics. SIGINT,
 * SIGTERM and SIGHUP end the mount. The kernel first writes back the pages changed through
 * mappings, while the session still serves requests.
 *
 * A thread that serves requests waits in a read. A signal without effect, WAKE, ends the wait. The
 * signal is sent until all threads have ended, because the first may come before the wait.
 */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WAKE SIGUSR2

static pthread_t waiter;

static void woken(int number)
{
    (void)number;
}

static void signals_of_server(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGUSR1);
}

/*
 * Has the kernel write back its pages. syncfs() of a FUSE mount may return before all writes are
 * served, so several idle moments in a row are awaited. Busy programs hold back the end for a
 * limited time.
 */
static void write_back(const struct server *server)
{
    enum { IDLE_MOMENTS = 8, MOST_MOMENTS = 6000 };
    const struct timespec moment = {.tv_nsec = 5000000};
    int mounted = open(server->mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (mounted < 0)
        return;
    syncfs(mounted);
    close(mounted);
    for (unsigned i = 0, idle = 0; i < MOST_MOMENTS && idle < IDLE_MOMENTS; i++) {
        idle = workers_idle() ? idle + 1 : 0;
        nanosleep(&moment, NULL);
    }
}

static void end_session(struct server *server)
{
    const struct timespec pause = {.tv_nsec = 20000000};

    write_back(server);
    fuse_session_exit(server->session);
    while (!atomic_load(&server->stopped)) {
        workers_wake(WAKE);
        nanosleep(&pause, NULL);
    }
}

static void *wait_for_signals(void *arg)
{
    struct server *server = arg;
    sigset_t set;
    int number;

    signals_of_server(&set);
    while (!atomic_load(&server->stopped)) {
        if (sigwait(&set, &number) || atomic_load(&server->stopped))
            continue;
        if (number == SIGUSR1)
            statistics_write(server);
        else
            end_session(server);
    }
    return NULL;
}

int signals_start(struct server *server)
{
    struct sigaction action;
    sigset_t set;

    memset(&action, 0, sizeof(action));
    action.sa_handler = woken;
    sigaction(WAKE, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    signals_of_server(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return pthread_create(&waiter, NULL, wait_for_signals, server);
}

void signals_end(struct server *server)
{
    atomic_store(&server->stopped, true);
    pthread_kill(waiter, SIGUSR1);
    pthread_join(waiter, NULL);
}
