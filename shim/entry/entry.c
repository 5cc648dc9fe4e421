#include "entry/entry.h"

#include "base/copy.h"
#include "entry/life/survey.h"
#include "entry/life/trial.h"

#include <signal.h>

#include "base/single.h"

struct thread *attached_self(void) {
    struct thread *self = thread_self();
    if (likely(thread_attached(self)))
        return self;
    int saved = errno;
    struct thread *made = thread_attach();
    errno = saved;
    return made ? made : self;
}

struct ofd *looked_up(int fd, struct fd_slot *slot) {
    critical_enter();
    trial_of_streams(); /* which calls may be made to find out what it is */
    struct ofd *ofd = files_ofd(fd, slot);
    critical_leave();
    return ofd;
}

struct ofd *unknown_in_error(int fd) {
    if (!thread_free(thread_self()))
        return NULL;
    critical_enter();
    struct ofd *ofd = files_in_error(fd);
    critical_leave();
    return ofd;
}

/* One that is blocked kills on the spot, and nothing of ours runs before that. */
bool faults_reach_us(struct thread *self) {
    if (!self->mask_known) {
        uint64_t mask = 0;
        sys(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask);
        self->faults_caught = !(mask & FAULT_SIGNALS);
        self->pipe_blocked = mask & signal_bit(SIGPIPE);
        self->mask_known = true;
    }
    return self->faults_caught;
}

static void flush_for(struct thread *self, const char *call) {
    wb_flush_all(self, FLUSH_BARRIER, WB_WAIT);
    stats_barrier(call);
}

static void announce_attended(const char *call) {
    struct thread *self = attached_self();
    self->stats->count[COUNT_CALLS]++;
    if (!thread_free(self))
        return;
    if (unlikely(survey_wanted))
        survey_call(call);
    window_close(self, call);
    peeks_settle(self);
    turn_end(self);
    if (wb_any_pending())
        flush_for(self, call);
}

void announce_slowly(const char *call) {
    wb_rehearsal_ends();
    announce_attended(call);
}

bool vector_asks(const struct iovec *vector, int count) {
    enum { MOST = 1024 }; /* IOV_MAX */
    struct iovec part;
    bool any = false;
    if (count <= 0 || count > MOST)
        return false;
    for (int i = 0; i < count; i++) {
        if (!copy_in_asked(&part, &vector[i], sizeof part))
            return false;
        any |= part.iov_len != 0;
    }
    return any;
}

bool message_asks(const struct msghdr *message) {
    struct msghdr copy;
    return copy_in_asked(&copy, message, sizeof copy) &&
           (!copy.msg_iovlen || vector_asks(copy.msg_iov, copy.msg_iovlen > INT32_MAX ? 0 : (int)copy.msg_iovlen));
}

/* Who relies on there being only one user has said so before asking. */
void number_used_slowly(int fd) {
    struct thread *self = attached_self();
    if (!single_threaded() && thread_free(self) && users_add(self, fd))
        turn_end(self);
}

void numbers_used_slowly(void) {
    struct thread *self = attached_self();
    if (!single_threaded() && thread_free(self) && users_add_any(self))
        turn_end(self);
}

bool announce_write(const char *call, int fd) {
    number_used(fd);
    if (!wb_attention())
        return true;
    if (!wb_rehearses(files_slot(fd)))
        wb_rehearsal_ends();
    struct ofd *ofd = known_ofd(fd);
    if (window_exists() && !known_file(fd)) {
        struct thread *self = attached_self();
        if (thread_free(self))
            window_close(self, call);
    }
    struct thread *self = attached_self();
    self->stats->count[COUNT_CALLS]++;
    peeks_settle(self);
    if (!turn_before_write(self, ofd))
        return false;
    if (!thread_free(self) || !wb_any_pending())
        return true;
    stats_barrier(call);
    return ofd && ofd->stream ? wb_flush_before_write(self, fd) : wb_flush_all(self, FLUSH_BARRIER, WB_WAIT);
}

/* May the number be a file that has something pending? One that isn't known yet is looked at. */
static bool looked_at(int fd) {
    struct fd_slot *slot = files_slot_make(fd);
    if (!slot || slot->other)
        return true;
    struct ofd *ofd = looked_up(fd, slot);
    return !ofd || ofd->stream || atomic_load_explicit(&ofd->inode->pending, memory_order_acquire) != 0;
}

/* Would it, if the write that is rehearsed had been deferred? */
static bool touches_rehearsed(int fd) {
    struct fd_slot *slot = files_slot(fd);
    const struct ofd *ofd = slot ? atomic_load_explicit(&slot->ofd, memory_order_acquire) : NULL;
    if (!slot || (!slot->other && !ofd))
        return looked_at(fd);
    return slot->other || ofd->stream || wb_rehearses(slot);
}

void announce_touch_slowly(const char *call, int fd) {
    struct thread *self = attached_self();
    self->stats->count[COUNT_CALLS]++;
    if (!thread_free(self))
        return;
    if (unlikely(survey_wanted))
        survey_touch(call, fd);
    window_close(self, call);
    turn_end(self);
    if (!wb_any_pending()) {
        if (!known_file(fd))
            peeks_settle(self);
        if (atomic_load_explicit(&wb_rehearsed, memory_order_relaxed) && touches_rehearsed(fd))
            wb_rehearsal_ends();
    } else if (looked_at(fd)) {
        flush_for(self, call);
    }
}

void drain(const char *call) {
    announce(call);
    peeks_drop(attached_self());
    turn_end(attached_self());
    window_drain(attached_self(), call);
    if (wb_started() && thread_free(thread_self()))
        wb_flush_all(attached_self(), FLUSH_BARRIER, WB_WAIT);
}

void drain_reads_too(const char *call) {
    drain(call);
    window_settle(attached_self(), NULL);
}

static __thread unsigned own_visits BESIDE;

/* A vfork child's are its own, though the memory isn't. */
void visit_begins(const char *call) {
    if (!thread_self()->vfork_child) {
        own_visits++;
        wb_visit_begins();
    }
    drain(call);
}

void visit_ends(void) {
    if (thread_self()->vfork_child)
        return;
    wb_visit_ends();
    own_visits--;
}

bool exclusive_begins(const char *call) {
    if (single_threaded() || !thread_free(thread_self())) {
        announce(call);
        return false;
    }
    visit_begins(call);
    return true;
}

void exclusive_ends(bool begun) {
    if (begun)
        visit_ends();
}

void visits_forked(void) {
    wb_visits_forked(own_visits);
}

/* The number is no more one of the description, which it had a reference to. Who doesn't tell an error leaves it. */
static void let_go(int fd, struct ofd *ofd) {
    if (unlikely(atomic_load(&ofd->inode->error)))
        files_goes_on(fd, ofd);
    files_release(ofd);
    late_errors_settle();
}

static int give_up(const char *call, int fd, bool tells) {
    struct thread *self = thread_self();
    if (unlikely(!thread_free(self))) /* a vfork child has descriptors of its own; a handler must keep out */
        return 0;
    struct ofd *ofd = files_detach(fd);
    if (likely(!ofd)) {
        announce(call);
        return tells ? file_error_due(fd) : 0;
    }
    drain(call);
    self = attached_self();
    wb_flush_number(self, fd);
    wb_unpin(self, ofd);
    window_settle(self, ofd);
    int error = tells && !ofd->stream ? late_error_take(ofd->inode) : 0;
    let_go(fd, ofd);
    return error;
}

int give_up_number_telling(const char *call, int fd) {
    return give_up(call, fd, true);
}

void give_up_number(const char *call, int fd) {
    give_up(call, fd, false);
}

void give_up_range(const char *call, unsigned first, unsigned last) {
    unsigned highest = (unsigned)files_highest();
    announce(call);
    for (unsigned fd = first; fd <= last && fd <= highest; fd++)
        give_up_number(call, (int)fd);
}

void given_up_range(unsigned first, unsigned last) {
    unsigned highest = (unsigned)files_highest();
    for (unsigned fd = first; fd <= last && fd <= highest; fd++)
        files_detached((int)fd);
}

void number_taken(int fd) {
    if (fd < 0 || likely(!files_remembers(fd)) || !thread_free(thread_self()))
        return;
    struct ofd *stale = files_detach(fd);
    files_detached(fd);
    peeks_drop(thread_self());
    turn_end(thread_self());
    if (stale) {
        wb_unpin(attached_self(), stale);
        window_settle(attached_self(), stale);
        let_go(fd, stale);
    }
}

int number_opened_slowly(int fd) {
    input_came();
    number_taken(fd);
    users_born_of(thread_self(), fd);
    struct fd_slot *slot = files_slot(fd);
    if (slot && thread_free(thread_self()))
        files_opened(slot);
    return fd;
}
