/*
 * Connections with both ends in this process: what it writes to the one is there to be read from the other at once.
 */
#ifndef URINGSHIM_FILES_ENDS_H
#define URINGSHIM_FILES_ENDS_H

#include <stdbool.h>

#include "files/stream.h"

/*
 * Around a call by which the process connects a socket: it has, or has begun to, and -1 if that can't be asked. Any
 * thread. As long as there is one, which may be left by a handler, all may be connected to this process.
 */
void ends_connecting(void);
void ends_connected(int fd);

/*
 * May the other end of the stream socket be this process's own? Of a TCP connection it is said of one of its two ends
 * at least. Asks the kernel.
 */
bool ends_both_ours(int fd, enum stream kind);

#endif
