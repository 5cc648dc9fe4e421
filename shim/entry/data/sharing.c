#include "entry/data/sharing.h"

#include "base/config.h"
#include "base/kernel.h"
#include "entry/entry.h"
#include "files/readers.h"
#include "files/shared_memory.h"

/* With the lock held: does what is shared now forbid deferring? */
static void judge(void) {
    if (atomic_load(&wb_hindrances) & 1ull << REASON_seccomp)
        return; /* for good: and nothing may be asked */
    if (config.shared == SHARED_STRICT && shared_memory_exists())
        wb_hinder(REASON_shared_memory);
    else
        wb_unhinder(REASON_shared_memory);
}

void sharing_begins(void) {
    shared_memory_lock();
}

void sharing_changed(void) {
    judge();
    shared_memory_unlock();
}

void sharing_fork_prepare(void) {
    shared_memory_fork_prepare();
    judge();
}

void sharing_fork_done(void) {
    shared_memory_forked();
    sharing_changed();
}

void sharing_refresh(void) {
    sharing_begins();
    sharing_changed();
}

void sharing_names_changed(void) {
    if (!thread_free(thread_self())) /* a vfork child's names are its own */
        return;
    sharing_begins();
    shared_memory_names_changed();
    sharing_changed();
}

void sharing_hidden(void) {
    if (unlikely(thread_off))
        return;
    sharing_begins();
    shared_memory_hidden();
    sharing_changed();
}

void sharing_passed_on(void) {
    files_passed_on();
    window_close(thread_self(), "passing on"); /* which may have been opened since the call was announced */
    peeks_drop(thread_self());
    turn_end(thread_self());
    if (!shared_memory_any_alone())
        return;
    sharing_begins();
    shared_memory_passed_on();
    sharing_changed();
    drain("passing on"); /* what other threads have deferred, or fetched, since the call was announced */
}

void sharing_sent(void) {
    atomic_fetch_or(&readers_forbidden, READERS_SENT);
    files_strays_come();
    sharing_passed_on();
}

void sharing_by_ioctl(unsigned long request) {
    if (request == IOCTL_SECCOMP_ADD_FD || request == IOCTL_BINDER_WRITE_READ)
        sharing_sent();
}
