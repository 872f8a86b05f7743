/* SPDX-License-Identifier: MIT */
/*
 * The threads that serve requests.
 *
 * As a rule a single thread waits for requests, and serves each at once. This costs the fewest
 * switches between threads, which cost more than most requests. Further threads are parked. A
 * parked thread is released
 *
 *   - if a request is waiting right after another has been taken
 *   - by the watcher, if no thread waits for requests and none has been taken for a moment, because
 *     the requests being served take long
 *
 * A thread that finds another thread waiting after its request parks. The watcher sleeps while no
 * requests come.
 *
 * A program that makes a call after another sends the next request within microseconds. The wake
 * of a sleeping thread takes longer, above all on an idle processor of a virtual machine. So a
 * thread lingers before the sleep, and lingers less often the longer no request has come in time.
 * A lingering thread yields the processor to every other thread that can run. With requests of
 * several programs waiting at a time, the next comes without lingering.
 */
#include "server.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

enum { DEFAULT_THREADS = 10, WATCH_NANOSECONDS = 2 * 1000 * 1000, QUIET_WATCHES = 50 };
enum { LINGER_NANOSECONDS = 50 * 1000, MOST_MISSES = 12, BUSY_RESTS = 4 };

/* Whether a thread lingers before it sleeps. */
struct lingering {
    unsigned misses; /* times in a row that no request came */
    unsigned rests;  /* requests to take without lingering */
};

static struct {
    struct server *server;
    pthread_mutex_t lock;
    pthread_cond_t release, watch, end;
    pthread_t *threads, watcher;
    unsigned count, running;
    unsigned waiting;  /* threads that wait for a request, or are about to */
    unsigned parked;   /* threads that wait for a release */
    unsigned released; /* releases not yet taken by a parked thread */
    uint64_t taken;    /* requests */
    bool watching, ended;
    int error; /* of the session, negative */
} workers = {.lock = PTHREAD_MUTEX_INITIALIZER,
             .release = PTHREAD_COND_INITIALIZER,
             .watch = PTHREAD_COND_INITIALIZER,
             .end = PTHREAD_COND_INITIALIZER};

/* Releases a parked thread if no thread waits for requests. Called with the lock held. */
static void release_if_short(void)
{
    if (workers.waiting || workers.parked <= workers.released)
        return;
    workers.released++;
    pthread_cond_signal(&workers.release);
}

static void end_all(int error)
{
    workers.ended = true;
    if (error && !workers.error)
        workers.error = error;
    fuse_session_exit(workers.server->session);
    pthread_cond_broadcast(&workers.release);
    pthread_cond_broadcast(&workers.watch);
}

/* Parks if another thread waits for requests. Returns false at the end. The lock is held. */
static bool take_turn(void)
{
    if (workers.waiting) {
        workers.parked++;
        while (!workers.ended && !workers.released)
            pthread_cond_wait(&workers.release, &workers.lock);
        workers.released -= workers.released ? 1 : 0;
        workers.parked--;
    }
    if (fuse_session_exited(workers.server->session))
        end_all(0);
    return !workers.ended;
}

/* Notes a request taken. Wakes the watcher if asleep. The lock is held. */
static void note_taken(void)
{
    workers.taken++;
    if (!workers.watching) {
        workers.watching = true;
        pthread_cond_signal(&workers.watch);
    }
}

/* Is a request waiting that no thread has taken? */
static bool request_waits(void)
{
    struct pollfd more = {.fd = fuse_session_fd(workers.server->session), .events = POLLIN};

    return poll(&more, 1, 0) == 1 && more.revents & POLLIN;
}

static int64_t nanoseconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Waits a short time for a request without sleeping. */
static void linger(struct lingering *lingering)
{
    if (lingering->rests) {
        lingering->rests--;
        return;
    }
    int64_t end = nanoseconds_now() + LINGER_NANOSECONDS;
    bool waits = request_waits(), late = false;
    while (!waits && !late) {
        sched_yield();
        waits = request_waits();
        late = nanoseconds_now() >= end;
    }
    /* Late, another program had the processor, and a wake would have come sooner. */
    if (waits && !late) {
        lingering->misses = 0;
        return;
    }
    lingering->misses += lingering->misses < MOST_MISSES;
    lingering->rests = (1u << lingering->misses) - 2;
}

static void serve_request(const struct fuse_buf *buffer, struct lingering *lingering)
{
    if (request_waits()) {
        lingering->rests = BUSY_RESTS;
        pthread_mutex_lock(&workers.lock);
        release_if_short();
        pthread_mutex_unlock(&workers.lock);
    }
    wire_note(buffer->mem, buffer->size);
    fuse_session_process_buf(workers.server->session, buffer);
}

static void *work(void *unused)
{
    struct fuse_buf buffer = {0};
    struct lingering lingering = {0};

    (void)unused;
    pthread_mutex_lock(&workers.lock);
    while (take_turn()) {
        workers.waiting++;
        pthread_mutex_unlock(&workers.lock);
        linger(&lingering);
        int got = fuse_session_receive_buf(workers.server->session, &buffer);
        pthread_mutex_lock(&workers.lock);
        workers.waiting--;
        if (got > 0) {
            note_taken();
            pthread_mutex_unlock(&workers.lock);
            serve_request(&buffer, &lingering);
            pthread_mutex_lock(&workers.lock);
        } else if (got != -EINTR) {
            end_all(got);
        }
    }
    if (!--workers.running)
        pthread_cond_signal(&workers.end);
    pthread_mutex_unlock(&workers.lock);
    free(buffer.mem);
    return NULL;
}

/* Waits for the time of a watch. The lock is held, and released while waiting. */
static void watch_once(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += WATCH_NANOSECONDS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&workers.watch, &workers.lock, &until);
}

static void *watch(void *unused)
{
    unsigned quiet = 0;

    (void)unused;
    pthread_mutex_lock(&workers.lock);
    while (!workers.ended) {
        if (!workers.watching) {
            pthread_cond_wait(&workers.watch, &workers.lock);
            quiet = 0;
            continue;
        }
        uint64_t before = workers.taken;
        watch_once();
        if (workers.taken == before)
            release_if_short();
        quiet = workers.taken == before && workers.waiting ? quiet + 1 : 0;
        workers.watching = quiet < QUIET_WATCHES;
    }
    pthread_mutex_unlock(&workers.lock);
    return NULL;
}

void workers_prepare(struct server *server)
{
    workers.server = server;
}

/* Starts the watcher and the threads. With fewer threads than wanted, the rest serves. */
static int start(unsigned wanted)
{
    workers.threads = calloc(wanted, sizeof(workers.threads[0]));
    int error = workers.threads ? pthread_create(&workers.watcher, NULL, watch, NULL) : ENOMEM;
    if (error)
        return error;
    pthread_mutex_lock(&workers.lock);
    while (workers.count < wanted && !pthread_create(&workers.threads[workers.count], NULL, work, NULL))
        workers.count++;
    workers.running = workers.count;
    if (!workers.count)
        end_all(-EAGAIN);
    pthread_mutex_unlock(&workers.lock);
    return 0;
}

int workers_run(struct server *server)
{
    int error = start(server->options->max_threads ? server->options->max_threads : DEFAULT_THREADS);
    if (error)
        return -error;
    pthread_mutex_lock(&workers.lock);
    while (workers.running)
        pthread_cond_wait(&workers.end, &workers.lock);
    pthread_mutex_unlock(&workers.lock);
    return workers.error;
}

bool workers_idle(void)
{
    struct pollfd more = {.fd = fuse_session_fd(workers.server->session), .events = POLLIN};

    pthread_mutex_lock(&workers.lock);
    bool serving = workers.waiting + workers.parked < workers.running;
    pthread_mutex_unlock(&workers.lock);
    return !serving && poll(&more, 1, 0) == 0;
}

void workers_wake(int number)
{
    pthread_mutex_lock(&workers.lock);
    for (unsigned i = 0; i < workers.count && workers.running; i++)
        pthread_kill(workers.threads[i], number);
    pthread_cond_broadcast(&workers.release);
    pthread_mutex_unlock(&workers.lock);
}

void workers_join(void)
{
    if (!workers.threads)
        return;
    for (unsigned i = 0; i < workers.count; i++)
        pthread_join(workers.threads[i], NULL);
    pthread_join(workers.watcher, NULL);
    free(workers.threads);
    workers.threads = NULL;
}
