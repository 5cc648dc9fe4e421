#include "entry/life/own_calls.h"

#include <sched.h>
#include <stdatomic.h>

#include "base/config.h"
#include "base/helper.h"
#include "base/kernel.h"
#include "base/log.h"
#include "base/passing.h"
#include "base/text.h"
#include "code/look.h"
#include "common/attention.h"

enum state {
    UNSEEN,  /* not all code has been looked at */
    LOOKING, /* the helper thread is at it */
    SEEN,    /* and has ended: `found` says what it saw */
    CLEAN,
    REFUSED,
};

static _Atomic enum state state;
static struct helper helper FORKED;
static _Atomic bool stop;
static struct look found;

/* Numbers of its own: the program's lowest free one is what it would be without us, at any moment. */
static bool leave_numbers(void) {
    return sys(SYS_close_range, 0, ~0u, CLOSE_RANGE_UNSHARE) == 0 || sys(SYS_unshare, CLONE_FILES) == 0;
}

static int run(void *unused) {
    (void)unused;
    found = (struct look){.verdict = CALLS_UNKNOWN};
    if (leave_numbers())
        look_at_code(&found, &stop);
    atomic_store(&state, SEEN);
    atomic_fetch_and(&wb_hindrances, ~(1ull << REASON_looking)); /* not by name: the log's numbers are the program's */
    return 0;
}

static void log_found(void) {
    TEXT(line, 256);
    if (found.verdict == CALLS_UNKNOWN) {
        text_add(&line, "the program's code can't be looked at");
    } else {
        text_add(&line, "system calls of its own: ");
        text_add(&line, found.name[0] ? found.name : "code of no file");
        text_add(&line, " at ");
        text_number(&line, (long)(found.address - found.from));
        if (found.number >= 0) {
            text_add(&line, ", call ");
            text_number(&line, found.number);
        }
    }
    log_text(LOG_INFO, &line);
}

/* What changes while it is being looked at is looked at again. */
static bool may_try_again(void) {
    enum { TRIES = 4 };
    static _Atomic uint32_t tries;
    return found.verdict == CALLS_UNKNOWN && atomic_fetch_add(&tries, 1) < TRIES;
}

static enum reason judge(void) {
    helper_await(&helper);
    bool clean = found.verdict == CALLS_NONE;
    if (may_try_again()) {
        atomic_store(&state, UNSEEN);
        return REASON_looking;
    }
    atomic_store(&state, clean ? CLEAN : REFUSED);
    if (!clean && log_level >= LOG_INFO)
        log_found();
    return clean ? REASON_NONE : REASON_own_calls;
}

static enum reason begin(void) {
    helper_await(&helper); /* the one before may just be ending */
    wb_hinder(REASON_looking);
    atomic_store(&stop, false);
    atomic_store(&state, LOOKING);
    if (helper_start(&helper, run) != 0) {
        atomic_store(&state, UNSEEN);
        wb_unhinder(REASON_looking);
        return REASON_no_flusher;
    }
    if (config.eager != EAGER_ALL)
        return REASON_looking;
    helper_await(&helper);
    return judge();
}

enum reason own_calls_look(void) {
    if (config.own_calls == OWN_CALLS_IGNORE)
        return REASON_NONE;
    switch (atomic_load(&state)) {
    case CLEAN:
        return REASON_NONE;
    case REFUSED:
        return REASON_own_calls;
    case SEEN:
        return judge();
    case LOOKING:
        return REASON_looking;
    default:
        return begin();
    }
}

void own_calls_passed(void) {
    enum { PATIENCE = 512, WAIT_US = 4000 };
    static _Atomic uint32_t passed;
    uint32_t count = atomic_fetch_add(&passed, 1) + 1;
    if (count >= PATIENCE && (count & (count - 1)) == 0 && thread_free(thread_self()))
        helper_await_briefly(&helper, WAIT_US);
}

bool own_calls_looking(void) {
    return helper.id != 0;
}

void own_calls_stop(void) {
    atomic_store(&stop, true);
    helper_await(&helper); /* also one that has seen all, and is about to end */
    if (atomic_load(&state) == SEEN)
        atomic_store(&state, UNSEEN);
}

bool own_calls_matters(const void *start, size_t length, bool of_file) {
    enum { TIMES = 16 };
    static _Atomic uint32_t times;
    enum state now = atomic_load(&state);
    if (now == REFUSED)
        return false;
    if (look_knows((uintptr_t)start, length))
        return true;
    return now != UNSEEN && (of_file || atomic_fetch_add(&times, 1) < TIMES);
}

void own_calls_again(void *start, size_t length) {
    look_forget((uintptr_t)start, length);
    if (atomic_load(&state) != REFUSED)
        atomic_store(&state, UNSEEN);
}

enum reason own_calls_now(void) {
    enum state now = atomic_load(&state);
    if (now != UNSEEN)
        return own_calls_look();
    if (config.own_calls == OWN_CALLS_IGNORE)
        return REASON_NONE;
    passing_begins();
    look_at_code(&found, NULL);
    passing_ends();
    return judge();
}

void own_calls_forked(void) {
    enum state now = atomic_load(&state);
    if (helper.stack)
        helper_forked(&helper);
    if (now != LOOKING && now != SEEN)
        return;
    atomic_store(&state, UNSEEN);
    wb_unhinder(REASON_looking);
}
