#include "base/passing.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/critical.h"
#include "base/sys.h"

static _Atomic uint32_t passing;

/*
 * How many are closing: threads count in several places, so that they don't wait for each other's. Some stay long, for
 * the other end of a socket, or for ever, where a handler jumped away: these aren't waited for again.
 */
enum { PLACES = 16 };
static struct {
    _Alignas(64) _Atomic int32_t count;
    _Atomic int32_t stay;
} closing[PLACES] LATER;

static __thread int32_t own_closing BESIDE;

static _Atomic int32_t *closing_here(void) {
    uint32_t page = (uint32_t)((uintptr_t)&critical >> 12); /* each thread's is somewhere else */
    return &closing[page * 0x9e3779b1u / (UINT32_MAX / PLACES + 1)].count;
}

static bool any_closing(void) {
    bool any = false;
    for (int i = 0; i < PLACES; i++) {
        int32_t count = atomic_load(&closing[i].count), stay = atomic_load(&closing[i].stay);
        if (count < stay)
            atomic_store(&closing[i].stay, count);
        any |= count > stay;
    }
    return any;
}

static void wait_no_longer(void) {
    for (int i = 0; i < PLACES; i++)
        atomic_store(&closing[i].stay, atomic_load(&closing[i].count));
}

static void pause_briefly(void) {
    struct timespec pause = {0, 20000};
    sys(SYS_nanosleep, &pause, NULL);
}

/* Closing may take long, but the number is free before that (do_dup2 in fs/file.c, close in fs/open.c). */
void passing_begins(void) {
    enum { LOOKS = 50 };
    if (unlikely(critical_cancelable))
        critical_enter();
    atomic_fetch_add(&passing, 1);
    for (int looks = 0; any_closing(); looks++) {
        if (looks == LOOKS) {
            wait_no_longer();
            return;
        }
        pause_briefly();
    }
}

void passing_ends(void) {
    atomic_fetch_sub(&passing, 1);
    if (unlikely(critical_cancelable))
        critical_leave();
}

void closing_begins(void) {
    _Atomic int32_t *here = closing_here();
    own_closing++;
    for (;;) {
        atomic_fetch_add(here, 1);
        if (likely(!atomic_load(&passing)))
            return;
        atomic_fetch_sub(here, 1);
        while (atomic_load(&passing))
            pause_briefly();
    }
}

void closing_ends(void) {
    own_closing--;
    atomic_fetch_sub(closing_here(), 1);
}

void passing_forked(void) {
    if (atomic_load(&passing))
        atomic_store(&passing, 0);
    for (int i = 0; i < PLACES; i++) {
        int32_t own = &closing[i].count == closing_here() ? own_closing : 0; /* a handler interrupted it, and forked */
        if (atomic_load(&closing[i].count) != own)
            atomic_store(&closing[i].count, own);
    }
}
