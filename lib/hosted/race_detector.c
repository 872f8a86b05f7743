/* SPDX-License-Identifier: MIT */
/*
 * Each event is reported twice, as a Helgrind request and as a DRD request. Each tool ignores the
 * requests of the other. Accesses before e2dh_tell_before() in a thread happen before accesses
 * after e2dh_tell_after() with the same tag in another thread.
 */
#include "race_detector.h"

#if defined(E2DH_TELLS_RACE_DETECTORS)

/* Both headers define the same macros. This file uses only names not shared by the headers. */
#include <valgrind/helgrind.h>
#undef ANNOTATE_BENIGN_RACE_SIZED
#undef ANNOTATE_HAPPENS_AFTER
#undef ANNOTATE_HAPPENS_BEFORE
#undef ANNOTATE_NEW_MEMORY
#undef ANNOTATE_RWLOCK_ACQUIRED
#undef ANNOTATE_RWLOCK_CREATE
#undef ANNOTATE_RWLOCK_DESTROY
#undef ANNOTATE_RWLOCK_RELEASED
#include <valgrind/drd.h>

bool e2dh_race_detected;

__attribute__((constructor)) static void look(void)
{
    e2dh_race_detected = RUNNING_ON_VALGRIND != 0;
}

/*
 * On processors that Valgrind does not support the requests expand to nothing and use no argument.
 */

void e2dh_tell_before(const volatile void *tag)
{
    (void)tag;
    VALGRIND_DO_CLIENT_REQUEST_STMT(_VG_USERREQ__HG_USERSO_SEND_PRE, tag, 0, 0, 0, 0);
    VALGRIND_DO_CLIENT_REQUEST_STMT(VG_USERREQ__DRD_ANNOTATE_HAPPENS_BEFORE, tag, 0, 0, 0, 0);
}

void e2dh_tell_after(const volatile void *tag)
{
    (void)tag;
    VALGRIND_DO_CLIENT_REQUEST_STMT(_VG_USERREQ__HG_USERSO_RECV_POST, tag, 0, 0, 0, 0);
    VALGRIND_DO_CLIENT_REQUEST_STMT(VG_USERREQ__DRD_ANNOTATE_HAPPENS_AFTER, tag, 0, 0, 0, 0);
}

void e2dh_tell_atomic(const volatile void *at, size_t bytes)
{
    (void)at;
    (void)bytes;
    VALGRIND_DO_CLIENT_REQUEST_STMT(_VG_USERREQ__HG_ARANGE_MAKE_UNTRACKED, at, bytes, 0, 0, 0);
    VALGRIND_DO_CLIENT_REQUEST_STMT(VG_USERREQ__DRD_START_SUPPRESSION, at, bytes, 0, 0, 0);
}

#endif
