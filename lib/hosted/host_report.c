/* SPDX-License-Identifier: MIT */
/*
 * Error detail. Reports received by the hosts of this library in the calling thread.
 *
 * The core passes a report to the log in the thread of the failing call, before the call returns.
 * So a report belongs to a call if the report was made in the same thread, after the call began,
 * and carries the error returned by the call. Nothing else is needed to exclude reports of earlier
 * calls and of other threads. Only the caller knows when a call began. Hence the marks. A mark is
 * the number of error reports the thread has received so far.
 *
 * A fault handler interrupts other code, possibly a call that copies from a mapping. Reports made
 * in a fault handler have a separate slot and never overwrite the reports of the interrupted call.
 *
 * No lock and no allocation is needed. A signal handler interrupting the writing of a slot finds
 * the slot empty.
 */
#include <stdatomic.h>
#include <stddef.h>

#include "ext2dax/hosted/host.h"
#include "host_report.h"

/* A failing call makes a report or two, plus reports of errors survived by the call. */
#define RECENT 4u

struct kept {
    uint64_t number; /* number of the report in the thread, from 1, or 0 for an empty slot */
    struct ext2dax_report report;
};

/* TLS model as in host.c, for the same reason. */
#define OF_THREAD static _Thread_local __attribute__((tls_model("initial-exec")))

OF_THREAD struct kept recent[RECENT];
OF_THREAD unsigned last; /* index of the latest report in `recent` */
OF_THREAD struct kept of_fault;
OF_THREAD uint64_t count; /* of all reports with an error */

static void keep(struct kept *kept, uint64_t number, const struct ext2dax_report *report)
{
    kept->number = 0;
    atomic_signal_fence(memory_order_seq_cst);
    kept->report = *report;
    atomic_signal_fence(memory_order_seq_cst);
    kept->number = number;
}

/*
 * Does the later report replace the earlier? The later report wins, except that an INFO report,
 * which only recalls a known defect, never replaces an ERROR report of the defect itself.
 */
static bool better(const struct ext2dax_report *later, const struct ext2dax_report *earlier)
{
    return later->level <= earlier->level;
}

void e2dh_host_keep(const struct ext2dax_report *report, bool in_handler)
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

void e2dh_host_fault_begins(void)
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
    /* From the oldest to the latest. */
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
