/* SPDX-License-Identifier: MIT */
/*
 * Error detail: what the calling thread was told by the hosts of this library.
 *
 * The core reports to the log before the call that fails returns, and in the thread of that call. So a report belongs to
 * a call if it was made in the same thread, later than the call began, and has the error that the call returned; nothing
 * else is needed to tell it from one of an earlier call or of another thread. When a call began only its caller knows:
 * hence the marks, which are how many reports the thread had been handed by then.
 *
 * A fault is served in the middle of something else, perhaps of a call that copies from a window. What is reported there has
 * a place of its own, and nothing of the interrupted call's is overwritten.
 *
 * No lock and no memory is needed. Whoever interrupts the writing of an entry finds it empty.
 */
#include <stdatomic.h>
#include <stddef.h>

#include "ext2dax/hosted/host.h"
#include "host_report.h"

/* A call that fails makes one or two, and some that it survived. */
#define RECENT 4u

struct kept {
    uint64_t number; /* of the thread's reports, from 1; 0: nothing here */
    struct ext2dax_report report;
};

/* Of the model that host.c has for its own, and for the same reason. */
#define OF_THREAD static _Thread_local __attribute__((tls_model("initial-exec")))

OF_THREAD struct kept recent[RECENT];
OF_THREAD unsigned last; /* of recent */
OF_THREAD struct kept of_fault;
OF_THREAD uint64_t count; /* of all reports of errors */

static void keep(struct kept *kept, uint64_t number, const struct ext2dax_report *report)
{
    kept->number = 0;
    atomic_signal_fence(memory_order_seq_cst);
    kept->report = *report;
    atomic_signal_fence(memory_order_seq_cst);
    kept->number = number;
}

/* Of two, the later one; but rather the one that saw what is wrong than one that recalls it. */
static bool better(const struct ext2dax_report *later, const struct ext2dax_report *earlier)
{
    return later->level <= earlier->level;
}

void e2d_host_keep(const struct ext2dax_report *report, bool in_handler)
{
    if (report->error == 0)
        return;
    count++;
    if (!in_handler) {
        last = (last + 1) % RECENT;
        keep(&recent[last], count, report);
    } else if (of_fault.number == 0 || better(report, &of_fault.report)) {
        keep(&of_fault, count, report);
    }
}

void e2d_host_fault_begins(void)
{
    of_fault.number = 0;
}

uint64_t ext2dax_host_mark(void)
{
    return count;
}

bool ext2dax_host_report(uint64_t mark, int error, struct ext2dax_report *report)
{
    const struct kept *best = NULL;

    if (error > 0)
        error = -error;
    /* From the oldest on. */
    for (unsigned i = 1; i <= RECENT; i++) {
        const struct kept *kept = &recent[(last + i) % RECENT];

        if (kept->number > mark && (error == 0 || kept->report.error == error) &&
            (!best || better(&kept->report, &best->report)))
            best = kept;
    }
    if (best)
        *report = best->report;
    return best != NULL;
}

bool ext2dax_host_fault_report(uint64_t mark, struct ext2dax_report *report)
{
    if (of_fault.number <= mark)
        return false;
    *report = of_fault.report;
    return true;
}

size_t ext2dax_host_describe(uint64_t mark, int error, char *buffer, size_t size)
{
    struct ext2dax_report report = {.error = error};

    (void)ext2dax_host_report(mark, error, &report);
    return ext2dax_report_text(&report, buffer, size);
}
