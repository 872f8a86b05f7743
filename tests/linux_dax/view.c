/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>

#include "actor.h"

static sigjmp_buf touching;
static volatile sig_atomic_t is_touching;

static void on_sigbus(int number)
{
    if (!is_touching) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    siglongjmp(touching, 1);
}

void view_catch_sigbus(void)
{
    struct sigaction action = {.sa_handler = on_sigbus};

    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}

bool view_touch(volatile uint8_t *at, bool store)
{
    volatile bool good = false;

    if (sigsetjmp(touching, 1) == 0) {
        is_touching = 1;
        if (store)
            *at = *at;
        else
            (void)*at;
        good = true;
    }
    is_touching = 0;
    return good;
}
