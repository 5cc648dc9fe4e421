/* Performing a piece of a write-behind log: by the ring or directly, waited for or in flight. The log's lock is held.
 */
#ifndef URINGSHIM_BEHIND_PERFORM_H
#define URINGSHIM_BEHIND_PERFORM_H

#include "behind/log.h"

/*
 * Performs the log's current piece, after what is in flight. The piece is empty then. False: some of it is left, for a
 * stream is full (streams.h).
 */
bool perform_piece(struct thread *self, struct wb_log *log, enum flush_cause cause);

/* Puts the current piece in flight and makes the other one current; false if that isn't possible. */
bool perform_in_background(struct thread *self, struct wb_log *log);

/* Waits for what is in flight, if anything is. */
void perform_wait(struct thread *self, struct wb_log *log);
bool perform_in_flight(const struct wb_log *log);

/*
 * The current piece and a sync in one submission; the sync is waited for without the lock, which is held again on
 * return. False: not possible, or not worth it, and nothing happened.
 */
bool perform_with_sync(struct thread *self, struct wb_log *log, struct ofd *ofd, int fd, bool data_only, int *result);

#endif
