/* What waits for several descriptors at a time say, and what the program does with it (behind/turn.h). */
#ifndef URINGSHIM_ENTRY_DATA_TURNS_H
#define URINGSHIM_ENTRY_DATA_TURNS_H

#include "base/config.h"
#include "behind/turn.h"

/*
 * Are they wanted? TURNS_AUTO: the machine can't be asked yet what its calls cost, for which the program makes this
 * one. Any thread.
 */
enum config_turns turns_are(long call);

/* Is there a turn, in which the number may be? What was written to files in it is performed first. */
bool turn_goes_on_slowly(int fd);
static inline bool turn_goes_on(int fd) {
    return turn_exists() && (likely(!wb_any_pending()) || turn_goes_on_slowly(fd));
}

/* A read of the number at its position: how many bytes of it, or -1, and the turn goes on or not, as announce says. */
static inline ssize_t turn_serves(int fd, void *bytes, size_t n) {
    struct iovec one = {bytes, n};
    return turn_goes_on(fd) && !turn_buffer_odd(bytes, n) ? turn_read(thread_self(), fd, &one, 1, n) : -1;
}

/* The caller's vector may not be readable. */
ssize_t turn_serves_vector(int fd, const struct iovec *vector, int count);

/* The same for a write, or a send: is it kept? */
static inline bool turn_keeps(int fd, const void *bytes, size_t n) {
    struct iovec one = {(void *)bytes, n};
    return turn_goes_on(fd) && !turn_buffer_odd(bytes, n) && turn_write(thread_self(), fd, &one, 1, n);
}
/* And for the caller's vector, which may not be readable: so many bytes are kept, or 0. */
size_t turn_keeps_vector(int fd, const struct iovec *vector, int count);

/* After poll(2) by whatever name. */
struct pollfd;
int polled_turn(long call, struct pollfd *fds, unsigned long n, int ready);

#endif
