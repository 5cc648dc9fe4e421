/*
 * What all shells share: how a call announces itself before it goes on, and how an internal answer becomes the
 * caller's. A shell only forwards; the logic is here, in ordinary functions.
 */
#ifndef URINGSHIM_ENTRY_ENTRY_H
#define URINGSHIM_ENTRY_ENTRY_H

#include <errno.h>

#include "base/real.h"
#include "stream/write_behind.h"

#define EXPORT __attribute__((visibility("default")))

/* -errno from inside becomes errno and -1 outside; any other answer leaves errno alone. */
static inline long answer(long result) {
    if (unlikely(SYS_IS_ERROR(result))) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

void announce_slowly(const char *call);
void announce_touch_slowly(const char *call, int fd);

/* Before a call that something outside may see, or that may see what is pending: performs all that is. */
static inline void announce(const char *call) {
    if (unlikely(wb_any_pending() || stats_wanted))
        announce_slowly(call);
}

/* Before a call that only sees the file of one descriptor: performs what is pending if that may be of this file. */
static inline void announce_touch(const char *call, int fd) {
    if (unlikely(wb_any_pending() || stats_wanted))
        announce_touch_slowly(call, fd);
}

/* The calling thread's own structure, made if need be. Keeps errno. */
struct thread *attached_self(void);

/* Gets everything ready for deferring writes of this file (activate.c): REASON_NONE, or what stands in the way. */
enum reason activate(const struct inode *inode);
bool activated(void);
/*
 * Undoes it: performs what is pending, ends the helper thread, gives signals and stdio back. Deferring may start anew
 * later unless a hindrance was put up. For calls that a helper thread would disturb, or that end our means.
 */
void deactivate(const char *call);
/* The process forks: before, and after in both. In the child nothing is active. */
void activation_fork_prepare(void);
void activation_fork_done(bool child);
/* RLIMIT_FSIZE may have changed. */
void limits_refresh(void);

/* The program is about to forbid itself system calls: from now on the library makes none of its own, nor reports. */
void confined(const char *call);
/* Two descriptor tables in one process: numbers mean nothing any more, and nothing is deferred. */
void tables_diverge(const char *call);

/* Fork in three steps, for every way to fork that doesn't run libc's handlers. */
void fork_prepare(void);
void fork_parent(void);
void fork_child(void);

/* The program ends, or becomes another one: performs what is pending, and reports. */
void finish(const char *call, enum flush_cause cause);
/* After this nothing is deferred any more. */
void finish_for_good(const char *call);
/*
 * This thread ends by a way that libc doesn't see. If it is the last one, a helper thread, or a kernel worker of the
 * ring, would keep the process, or give it another exit status. Doesn't return.
 */
void end_thread(const char *call, int status);

/* libc's stdio announces its system calls (stdio.c). False: its table isn't the one we know. */
bool stdio_hook(void);

/* A number was given by the kernel for something new: what was known of it is out of date. */
void number_taken(int fd);
/* The same, and this process opened it: nobody else has it yet. */
void number_opened(int fd);
/* A number is given up: close and its relatives. Returns a late error (positive errno) or 0. */
int give_up_number(const char *call, int fd);
void give_up_range(const char *call, unsigned first, unsigned last);

#endif
