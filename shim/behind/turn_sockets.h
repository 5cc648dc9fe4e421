/*
 * Which sockets may be looked at in a turn (turn.h), and how much may be kept for them. It is asked again when anything
 * was done that could change it, and from time to time. With the turn's lock.
 */
#ifndef URINGSHIM_BEHIND_TURN_SOCKETS_H
#define URINGSHIM_BEHIND_TURN_SOCKETS_H

#include <stdint.h>

#include "base/thread.h"
#include "files/files.h"

/*
 * The number's socket, if it may: a known one, of this process and of no other thread, of which not both ends are its
 * own, and which has room for answers. `now` in ticks. NULL: it may not.
 */
struct ofd *turn_socket(const struct thread *self, int fd, uint64_t now);

/* What a send of so many bytes takes of the socket's room (ofd->turn_room). */
uint32_t turn_cost(uint32_t bytes);
/* Asks the kernel, with nothing kept: turn_room becomes what there is now, and turn_least what writable means. */
void turn_ask_for_room(int fd, struct ofd *ofd);

#endif
