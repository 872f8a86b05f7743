/* SPDX-License-Identifier: MIT */
/*
 * Each thing is said twice, in Helgrind's words and in DRD's: either takes the other's for nothing. What one thread did
 * before `before` comes before what another does after `after` with the same tag.
 */
#include "race_detector.h"

#if defined(E2D_TELLS_RACE_DETECTORS)

/* Both define the same macros; what is used of either has a name of its own. */
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

bool e2d_race_detected;

__attribute__((constructor)) static void look(void)
{
    e2d_race_detected = RUNNING_ON_VALGRIND != 0;
}

/* Where Valgrind knows no processor its requests are nothing, and name nothing. */

void e2d_tell_before(const volatile void *tag)
{
    (void)tag;
    VALGRIND_DO_CLIENT_REQUEST_STMT(_VG_USERREQ__HG_USERSO_SEND_PRE, tag, 0, 0, 0, 0);
    VALGRIND_DO_CLIENT_REQUEST_STMT(VG_USERREQ__DRD_ANNOTATE_HAPPENS_BEFORE, tag, 0, 0, 0, 0);
}

void e2d_tell_after(const volatile void *tag)
{
    (void)tag;
    VALGRIND_DO_CLIENT_REQUEST_STMT(_VG_USERREQ__HG_USERSO_RECV_POST, tag, 0, 0, 0, 0);
    VALGRIND_DO_CLIENT_REQUEST_STMT(VG_USERREQ__DRD_ANNOTATE_HAPPENS_AFTER, tag, 0, 0, 0, 0);
}

void e2d_tell_atomic(const volatile void *at, size_t bytes)
{
    (void)at;
    (void)bytes;
    VALGRIND_DO_CLIENT_REQUEST_STMT(_VG_USERREQ__HG_ARANGE_MAKE_UNTRACKED, at, bytes, 0, 0, 0);
    VALGRIND_DO_CLIENT_REQUEST_STMT(VG_USERREQ__DRD_START_SUPPRESSION, at, bytes, 0, 0, 0);
}

#endif
