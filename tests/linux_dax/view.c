/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>

#include "actor.h"

static sigjmp_buf access_jump;
static volatile sig_atomic_t is_accessing;

static void on_sigbus(int number)
{
    if (!is_accessing) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    siglongjmp(access_jump, 1);
}

void view_catch_sigbus(void)
{
    struct sigaction action = {.sa_handler = on_sigbus};

    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}

bool view_access(volatile uint8_t *at, bool store)
{
    volatile bool good = false;

    if (sigsetjmp(access_jump, 1) == 0) {
        is_accessing = 1;
        if (store)
            *at = *at;
        else
            (void)*at;
        good = true;
    }
    is_accessing = 0;
    return good;
}
