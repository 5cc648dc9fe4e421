/*
 * What all shells share: how a call announces itself before it goes on, and how an internal answer becomes the
 * caller's. A shell only forwards; the logic is here, in ordinary functions.
 */
#ifndef URINGSHIM_ENTRY_ENTRY_H
#define URINGSHIM_ENTRY_ENTRY_H

#include <errno.h>
#include <sys/socket.h>

#include "ahead/peek.h"
#include "ahead/window.h"
#include "base/real.h"
#include "base/single.h"
#include "behind/straight.h"
#include "behind/turn.h"
#include "behind/write_behind.h"
#include "common/late_errors.h"
#include "files/users.h"

#define EXPORT __attribute__((visibility("default")))

/* -errno from inside becomes errno and -1 outside; any other answer leaves errno alone. */
static inline long answer(long result) {
    if (unlikely(SYS_IS_ERROR(result))) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

/* rt_sigaction(2) by number (signals.c): 0 or -errno. */
long raw_sigaction(int number, const void *action, void *old, size_t mask_size);

/*
 * Finds what shells' children leave by (processes/signals.c, processes/ending.c): or else each child would look for it,
 * which costs it a page for each part of libc's tables.
 */
void jumps_find(void);
void exit_find(void);

/* After the real call, however it is left: what it answered may have been a message. */
static inline void learned(const char *unused) {
    (void)unused;
    input_came();
}
#define CALL_BY(real, arguments)                                                                                       \
    ({                                                                                                                 \
        __attribute__((cleanup(learned), unused)) char learned_ = 0;                                                   \
        real arguments;                                                                                                \
    })
#define CALL(name, arguments) CALL_BY(REAL(name), arguments)

void announce_slowly(const char *call);
void announce_touch_slowly(const char *call, int fd);

/*
 * Before a call that something outside may see, or that may see what is pending: performs all that is, and closes the
 * window.
 */
static inline void announce(const char *call) {
    if (wb_attention())
        announce_slowly(call);
}

/*
 * After something that forbids deferring was put up: as announce, and also writes that are being deferred at this very
 * moment, by threads that haven't seen it, are performed.
 */
void drain(const char *call);
/* And nothing is being read ahead any more, by any thread. */
void drain_reads_too(const char *call);

/* The number's OFD if it is known as a file or a stream of ours; else NULL. */
static inline struct ofd *known_ofd(int fd) {
    struct fd_slot *slot = files_slot(fd);
    return slot ? atomic_load_explicit(&slot->ofd, memory_order_acquire) : NULL;
}

/*
 * Before a write to it, wherever that goes: what was done in the turn comes first. False: that waits, and a handler has
 * run that ends a write to a stream.
 */
static inline bool turn_before_write(struct thread *self, const struct ofd *ofd) {
    if (ofd && !ofd->stream)
        turn_perform(self);
    else if (ofd)
        return turn_end_interruptibly(self);
    else
        turn_end(self);
    return true;
}

/* Only if it is a regular file: what others do isn't met there without a call that is announced. */
static inline struct ofd *known_file(int fd) {
    struct ofd *ofd = known_ofd(fd);
    return ofd && !ofd->stream ? ofd : NULL;
}

/* Has an earlier write to the number's file or socket met an error that is still to be told? Perhaps by another one. */
struct ofd *unknown_in_error(int fd);
static inline struct ofd *ofd_in_error(int fd) {
    if (likely(!atomic_load_explicit(&files_errors, memory_order_relaxed)))
        return NULL;
    struct ofd *ofd = known_ofd(fd);
    return !ofd ? unknown_in_error(fd) : atomic_load_explicit(&ofd->inode->error, memory_order_relaxed) ? ofd : NULL;
}

/* That of its file, if it is one, taken out; or 0. */
static inline int file_error_due(int fd) {
    struct ofd *ofd = ofd_in_error(fd);
    return likely(!ofd || ofd->stream) ? 0 : late_error_take(ofd->inode);
}

/* The error that is to be reported now, to a call that writes or sends; or 0. */
static inline int error_due(int fd) {
    struct ofd *ofd = ofd_in_error(fd);
    if (likely(!ofd))
        return 0;
    return ofd->stream ? straight_error_sent(ofd) : late_error_take(ofd->inode);
}

/* The same to one that asks a socket for up to n bytes: who asks for none isn't told. */
static inline int socket_error_due(int fd, size_t n) {
    struct ofd *ofd = unlikely(wb_attention()) ? ofd_in_error(fd) : NULL;
    return likely(!ofd || !ofd->stream || !n) ? 0 : straight_error_received(fd, ofd);
}

/* For a call that moves bytes from one number to another, either of which may be -1. */
static inline int feed_error_due(int from, int to) {
    int error = socket_error_due(from, 1);
    return unlikely(error) || likely(!wb_attention() || !known_ofd(to) || !known_ofd(to)->stream) ? error
                                                                                                  : error_due(to);
}

/*
 * Does the caller's vector, or message, ask for any bytes, and can the kernel read it? It looks at that first, and at a
 * socket's error then. Costs some system calls: only where there is an error.
 */
struct iovec;
struct msghdr;
bool vector_asks(const struct iovec *vector, int count);
bool message_asks(const struct msghdr *message);

/* Flags of recv(2) with which it tells no such error. */
#define ASKS_NO_ERROR (MSG_OOB | MSG_ERRQUEUE)

/* The program shuts the socket down, or reads urgent data: it has no turns any more. */
static inline void socket_shut(int fd) {
    struct ofd *ofd = known_ofd(fd);
    if (ofd)
        ofd->shut = true;
}

/* Is the number known as a file of which nothing is pending? */
static inline bool untouched(int fd) {
    struct ofd *ofd = known_file(fd);
    return ofd && atomic_load_explicit(&ofd->inode->pending, memory_order_acquire) == 0;
}

/* Before a call that only sees the file of one descriptor: performs what is pending if that may be of this file. */
static inline void announce_touch(const char *call, int fd) {
    if (wb_attention() && (wb_watched() || window_exists() || wb_rehearses(files_slot(fd)) || !untouched(fd)))
        announce_touch_slowly(call, fd);
}

/* Of wb_pending: is nothing to be done before a call by the number, and was the thread noted as its only user? */
static inline bool number_left(int fd, uint32_t pending) {
    return likely(pending == 0) || (pending == WB_USERS && (single_threaded() || users_knows(thread_self(), fd)));
}
/* Nor after it? */
static inline bool number_quiet(int fd) {
    return number_left(fd, atomic_load_explicit(&wb_pending, memory_order_acquire));
}
/* But for an input, that a call which takes something from the kernel counts? */
static inline bool number_unattended(int fd) {
    return number_left(fd, atomic_load_explicit(&wb_pending, memory_order_acquire) & ~(uint32_t)WB_AFTERWARDS);
}

/* Before the calling thread uses the number, if that is noted (users.h). */
void number_used_slowly(int fd);
void numbers_used_slowly(void);
static inline void number_used(int fd) {
    if (users_followed() && !single_threaded() && !users_knows(thread_self(), fd))
        number_used_slowly(fd);
}

/* The same before a call that may read a stream by that number, or, with announce_reads, by any. */
static inline void announce_read(const char *call, int fd) {
    number_used(fd);
    if (peeks_exist() && peeks_drop_number(thread_self(), fd))
        announce(call);
    else
        announce_touch(call, fd);
}

/*
 * Before a call that moves the file position: to whomever the process has passed the description, as to the child of a
 * fork, that is a message.
 */
static inline void announce_move(const char *call, int fd) {
    const struct fd_slot *slot = unlikely(wb_attention()) ? files_slot(fd) : NULL;
    if (likely(!slot || !slot->born || slot->born == atomic_load_explicit(&files_passings, memory_order_relaxed)))
        return;
    if (wb_any_pending())
        announce(call);
    else
        wb_rehearsal_ends();
}

/* Or one that may change how streams are read. */
static inline void announce_change(const char *call) {
    if (peeks_exist())
        peeks_drop(thread_self());
    announce(call);
}

static inline void announce_reads(const char *call) {
    if (users_followed())
        numbers_used_slowly();
    announce_change(call);
}

static inline void announce_reads_of(const char *call, int fd) {
    number_used(fd);
    announce_change(call);
}

/*
 * Before a write that goes straight through: performs all that is pending. A regular file can't answer with a message,
 * so the window stays; see write_passed. False: what is pending has to wait for a stream, and a handler has run that
 * ends a call that waits; the write, to a stream itself, is the one that waits.
 */
bool announce_write(const char *call, int fd);

/*
 * Around a call that changes what a write would be answered, or who might learn of one, at a moment that other threads
 * don't see: announces it, and keeps them from deferring and from fetching until it has returned. What begins says is
 * given to what ends; a program of one thread needs no end.
 */
bool exclusive_begins(const char *call);
void exclusive_ends(bool begun);

/* Around a call that writes a file and then does something else inside libc: nothing is deferred meanwhile. */
void visit_begins(const char *call);
void visit_ends(void);
/* In the child of a fork: other threads' calls didn't come along. */
void visits_forked(void);

/* Is a fault in this thread's copying delivered to our handler? Asked of the kernel once, and after each change. */
bool faults_reach_us(struct thread *self);

/* The number's OFD, looked for if it isn't known (files_ofd). */
struct ofd *looked_up(int fd, struct fd_slot *slot);

/* The calling thread's own structure, made if need be. Keeps errno. */
struct thread *attached_self(void);

/* A number was given by the kernel for something new: what was known of it is out of date. */
void number_taken(int fd);
/*
 * The same, and this process opened it: nobody else has it yet. The number, or -1, is passed on. Counts an input, too.
 * (A section entered by a lock's bias has to do with numbers of which something is known.)
 */
int number_opened_slowly(int fd);
static inline int number_opened(int fd) {
    struct fd_slot *slot = files_slot_near(fd);
    uint32_t flags = atomic_load_explicit(&wb_pending, memory_order_seq_cst) & (WB_WINDOW | WB_INPUTS | WB_USERS);
    if (unlikely(!slot || flags || (files_slot_remembers(slot) | critical.any)))
        return number_opened_slowly(fd);
    files_opened(slot);
    return fd;
}
/*
 * Is nothing to be done when the number is closed, but to forget what it was used for? So it is with one of which
 * nothing more is known, in a process with one thread.
 */
static inline bool given_up_at_once(int fd) {
    struct fd_slot *slot = files_slot_near(fd);
    if (!wb_quiet() || !slot || slot->other || atomic_load_explicit(&slot->ofd, memory_order_relaxed) ||
        !single_threaded() || critical.any)
        return false;
    files_forget_hints(slot, 0);
    return true;
}
/* A number is given up: close and its relatives. The first returns a late error, a positive errno or 0. */
int give_up_number_telling(const char *call, int fd);
void give_up_number(const char *call, int fd);
void give_up_range(const char *call, unsigned first, unsigned last);
/* The same numbers, after the call that closed them. */
void given_up_range(unsigned first, unsigned last);

#endif
