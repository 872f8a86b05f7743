/* SPDX-License-Identifier: MIT */
#include "mounted.h"
#include "fault_method.h"

#include <check.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"
#include "ext2dax/testkit/checker.h"
#include "../emulated.h"
#include "../runner.h"

void mounted_open(struct mounted *m, const struct mounted_options *options)
{
    static const struct mounted_options none;
    const struct mounted_options *o = options ? options : &none;
    struct ext2dax_format_options format = {
        .size = sizeof(format), .block_size = o->block_size, .blocks_per_group = o->blocks_per_group};
    struct ext2dax_host_options host = {.size = sizeof(host), .reserve = o->reserve};
    struct ext2dax_process_options process = {
        .size = sizeof(process), .method = method_in(), .max_mappings = o->max_mappings, .collapse = o->collapse};
    struct ext2dax_mount_options mount = {.size = sizeof(mount), .order = o->order, .recover = ext2dax_recover};
    struct ext2dax_memory_file_options part = {.size = sizeof(part),
                                               .flags = EXT2DAX_FILE_CREATE,
                                               .length = o->size ? o->size : 64u << 20,
                                               .offset = o->offset};
    struct ext2dax_plugs plugs;

    memset(m, 0, sizeof(*m));
    memset(&plugs, 0, sizeof(plugs));
    if (o->path)
        ck_assert_int_eq(ext2dax_memory_open_file_with(o->path, &part, &m->memory), 0);
    else
        ck_assert_int_eq(ext2dax_memory_open_anonymous("image", o->size ? o->size : 64u << 20, &m->memory), 0);
    ck_assert_int_eq(ext2dax_format(&m->memory, &format, NULL), 0);
    ck_assert_int_eq(ext2dax_host_open(&host, &m->host), 0);
    plugs.locks = o->locks ? ext2dax_locks_by_name(o->locks) : ext2dax_locks_default();
    plugs.memory = m->memory;
    if (o->memory_ops) {
        plugs.memory.ops = o->memory_ops;
        plugs.memory.ctx = m;
    }
    plugs.host = m->host;
    ck_assert_int_eq(ext2dax_process_open(&m->memory, plugs.locks, &process, &m->process), 0);
    plugs.address_space = ext2dax_process_address_space(m->process);
    m->plugs = plugs;
    ck_assert_int_eq(ext2dax_mount(&plugs, &mount, &m->mount), 0);
    ck_assert_int_eq(ext2dax_inode_get(m->mount, EXT2DAX_ROOT_INODE, &m->root), 0);
}

void mounted_again(struct mounted *m)
{
    struct ext2dax_mount_options mount = {.size = sizeof(mount), .recover = ext2dax_recover};

    ext2dax_inode_put(m->root);
    ck_assert_int_eq(ext2dax_unmount(m->mount), 0);
    ck_assert_int_eq(ext2dax_mount(&m->plugs, &mount, &m->mount), 0);
    ck_assert_int_eq(ext2dax_inode_get(m->mount, EXT2DAX_ROOT_INODE, &m->root), 0);
}

static void print_finding(void *arg, const struct ext2dax_finding *finding)
{
    char line[200];

    (void)arg;
    ext2dax_finding_text(finding, line, sizeof(line));
    fprintf(stderr, "%s\n", line);
}

void mounted_close(struct mounted *m)
{
    ext2dax_inode_put(m->root);
    ck_assert_int_eq(ext2dax_unmount(m->mount), 0);
    ck_assert_int_eq(ext2dax_process_close(m->process), 0);
    ck_assert_int_eq(ext2dax_check_image(m->memory.base, m->memory.size, 0, print_finding, NULL, NULL), 0);
    ext2dax_host_close(&m->host);
    ext2dax_memory_close_file(&m->memory);
}

struct ext2dax_inode *make_file(struct mounted *m, const char *name, uint64_t size)
{
    struct ext2dax_inode *inode;

    ck_assert_int_eq(ext2dax_create(m->root, name, strlen(name), 0644, 0, 0, &inode), 0);
    ck_assert_int_eq(ext2dax_truncate(inode, size), 0);
    return inode;
}

void fill(struct ext2dax_inode *inode, uint64_t offset, size_t length, uint8_t byte)
{
    uint8_t *bytes = malloc(length);

    ck_assert_ptr_nonnull(bytes);
    memset(bytes, byte, length);
    ck_assert_int_eq(ext2dax_write(inode, offset, bytes, length), (int64_t)length);
    free(bytes);
}

uint8_t byte_of(struct ext2dax_inode *inode, uint64_t offset)
{
    uint8_t byte = 0xEE;

    ck_assert_int_eq(ext2dax_read(inode, offset, &byte, 1), 1);
    return byte;
}

uint64_t sectors_of(struct ext2dax_inode *inode)
{
    struct ext2dax_stat stat;

    ext2dax_stat(inode, &stat, sizeof(stat));
    return stat.sectors;
}

void *map_file(struct mounted *m, struct ext2dax_inode *inode, uint64_t offset, uint64_t length, unsigned flags)
{
    void *address;

    ck_assert_int_eq(ext2dax_process_map(m->process, inode, offset, length, flags, &address), 0);
    return address;
}

void unmap_file(struct mounted *m, void *address)
{
    ck_assert_int_eq(ext2dax_process_unmap(m->process, address), 0);
}

struct ext2dax_process_counters count(struct mounted *m)
{
    struct ext2dax_process_counters counters = {.size = sizeof(counters)};

    ext2dax_process_count(m->process, &counters);
    return counters;
}

__thread siginfo_t access_signal;
static __thread sigjmp_buf access_jump;
static __thread volatile sig_atomic_t is_accessing;

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (!is_accessing)
        _exit(99);
    access_signal = *info;
    siglongjmp(access_jump, number);
}

void catch_signals(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    ck_assert_int_eq(sigaction(SIGSEGV, &action, NULL), 0);
    ck_assert_int_eq(sigaction(SIGBUS, &action, NULL), 0);
}

int access_byte(const volatile void *at, bool store)
{
    int number;

    memset(&access_signal, 0, sizeof(access_signal));
    VALGRIND_DISABLE_ERROR_REPORTING;
    number = sigsetjmp(access_jump, 1);
    if (number == 0) {
        is_accessing = 1;
        if (store)
            *(volatile uint8_t *)(uintptr_t)at = 1;
        else
            (void)peek(at);
    }
    is_accessing = 0;
    VALGRIND_ENABLE_ERROR_REPORTING;
    return number;
}

int jump_to(const void *at)
{
    void (*function)(void);
    int number;

    memcpy(&function, &at, sizeof(function));
    memset(&access_signal, 0, sizeof(access_signal));
    VALGRIND_DISABLE_ERROR_REPORTING;
    number = sigsetjmp(access_jump, 1);
    if (number == 0) {
        is_accessing = 1;
        function();
    }
    is_accessing = 0;
    VALGRIND_ENABLE_ERROR_REPORTING;
    return number;
}

/* `store` is volatile, because a value used after sigsetjmp() must not stay in a register. */
int access_word(volatile uint64_t *at, volatile uint64_t store, uint64_t *seen)
{
    int number;

    memset(&access_signal, 0, sizeof(access_signal));
    VALGRIND_DISABLE_ERROR_REPORTING;
    number = sigsetjmp(access_jump, 1);
    if (number == 0) {
        is_accessing = 1;
        *seen = __atomic_load_n(at, __ATOMIC_RELAXED);
        if (store)
            __atomic_store_n(at, store, __ATOMIC_RELAXED);
    }
    is_accessing = 0;
    VALGRIND_ENABLE_ERROR_REPORTING;
    return number;
}

static int *child_code; /* shared with the child, -1 until the child stores an exit code */

void child_exit(int code)
{
    *child_code = code;
    kill(getpid(), SIGKILL);
}

int in_child(void (*run)(void))
{
    struct rlimit none = {0, 0};
    int status;
    pid_t child;

    if (!child_code)
        child_code = mmap(NULL, sizeof(*child_code), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(child_code, MAP_FAILED);
    *child_code = -1;
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        alarm(60);
        run();
        child_exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    return *child_code < 0 ? WTERMSIG(status) : 1000 + *child_code;
}

TCase *mounted_case(const char *name, Suite **suite)
{
    if (left_out_method() || left_out_emulated("page faults of this process, which it resolves in its own way"))
        return NULL;
    *suite = suite_create(name);
    return add_case(*suite, "process", 60);
}
