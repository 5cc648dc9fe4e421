#include "base/passing.h"

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "base/sys.h"

static _Atomic uint32_t passing, replacing;

static void pause_briefly(void) {
    struct timespec pause = {0, 20000};
    sys(SYS_nanosleep, &pause, NULL);
}

/* Who replaces an open number may have to wait for its being closed, but that is after it was replaced (do_dup2 in
 * fs/file.c). */
void passing_begins(void) {
    enum { LOOKS = 500 };
    atomic_fetch_add(&passing, 1);
    for (int looks = 0; looks < LOOKS && atomic_load(&replacing); looks++)
        pause_briefly();
}

void passing_ends(void) {
    atomic_fetch_sub(&passing, 1);
}

void replacing_begins(void) {
    for (;;) {
        atomic_fetch_add(&replacing, 1);
        if (likely(!atomic_load(&passing)))
            return;
        atomic_fetch_sub(&replacing, 1);
        while (atomic_load(&passing))
            pause_briefly();
    }
}

void replacing_ends(void) {
    atomic_fetch_sub(&replacing, 1);
}

void passing_forked(void) {
    atomic_store(&passing, 0);
    atomic_store(&replacing, 0);
}
