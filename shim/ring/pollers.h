/*
 * The kernel's threads that poll a ring's queue for work (io_uring_setup(2), IORING_SETUP_SQPOLL), as threads of the
 * process: known by their ids in its own namespace, which a ring's descriptor doesn't tell.
 */
#ifndef URINGSHIM_RING_POLLERS_H
#define URINGSHIM_RING_POLLERS_H

#include <stdint.h>

struct pollers {
    long id[8];
    int count;
};

/* Opens descriptors for a moment: between passing_begins and passing_ends. */
struct pollers pollers_now(void);
/* Waits for one that wasn't there before: its id, or 0 if a second has passed. As above. */
long pollers_made_since(const struct pollers *before);
/* Returns when it is gone, or a second later, were the kernel to forget it. */
void pollers_await_end(long id);
/* Microseconds of processor time that it has used, or 0. */
uint64_t pollers_used_us(long id);

#endif
