/*
 * The flusher: a helper thread (base/helper.h) that performs what has been pending for too long. It is also a guest on
 * the rings of all threads, so that a file can be taken out of a ring's table when another thread closes it.
 */
#ifndef URINGSHIM_COMMON_FLUSHER_H
#define URINGSHIM_COMMON_FLUSHER_H

#include "base/thread.h"

struct ring;

/* What it does; called in its thread only. */
struct flusher_work {
    bool (*pending)(void);                      /* is there anything that will have to be performed? */
    bool (*perform_stale)(struct thread *self); /* what was pending at the last call and still is; false: was busy */
    void (*idle)(struct thread *self);          /* nothing has been pending for a while */
};

/* Starts it if it isn't running; it looks for work every `tick_us` microseconds. 0 or -errno. */
int flusher_start(const struct flusher_work *work, uint64_t tick_us);
/* Ends it, and returns when it is gone. Nothing may be pending; rings must not be used until it is started again. */
void flusher_stop(void);
bool flusher_running(void);
/* Its thread id, or 0. */
uint32_t flusher_id(void);

/* Something is pending now that wasn't: it must not sleep. */
void flusher_notice(void);

/* By a thread that holds a log's lock; answered without one. */
int flusher_host_ring(int ring_fd);
int flusher_bare_ring(void); /* ring_bare of its making */
void flusher_forget_file(struct ring *ring, uint64_t serial);
void flusher_forget_all(struct ring *ring, bool leave); /* leave: be no guest on it any more */
/* In its own thread: submits what it was asked to and has not yet. */
void flusher_catch_up(void);
/* Publishes what was prepared on the ring, and submits it, soon; doesn't wait for it. */
void flusher_submit(struct ring *ring);
/* The same, unless it would have to wait, or the ring was made under another generation: false, nothing happened. */
bool flusher_try_submit(struct ring *ring, uint32_t generation);
/* Returns when what has landed of its submissions holds nothing any more: that is done in its name, when it runs. */
void flusher_pass(void);

/* Submits, now, what was prepared on the ring, one by one: how many are under way (ring_guest_submit_each). */
unsigned flusher_submit_each(struct ring *ring);

/* A number for each time it was started: rings made under another one have lost their guest. */
uint32_t flusher_generation(void);

/* In the child of a fork: there is none. */
void flusher_forked(void);

#endif
