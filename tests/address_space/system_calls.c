/* SPDX-License-Identifier: MIT */
#include "system_calls.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct mounted m;
int pipes[2];

void start(const struct mounted_options *options)
{
    catch_signals();
    mounted_open(&m, options);
    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
}

void finish(void)
{
    close(pipes[0]);
    close(pipes[1]);
    mounted_close(&m);
}

int loaded(const void *at)
{
    uint8_t byte;

    if (write(pipes[1], at, 1) != 1)
        return -errno;
    ck_assert_int_eq(read(pipes[0], &byte, 1), 1);
    return byte;
}

int stored(void *at, uint8_t byte)
{
    uint8_t rest;
    int error;

    ck_assert_int_eq(write(pipes[1], &byte, 1), 1);
    if (read(pipes[0], at, 1) == 1)
        return 0;
    error = errno;
    ck_assert_int_eq(read(pipes[0], &rest, 1), 1);
    return -error;
}

void wait_a_moment(unsigned times)
{
    ck_assert_uint_lt(times, 5000);
    usleep(1000);
}
