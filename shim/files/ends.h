/*
 * Connections with both ends in this process: what it writes to the one is there to be read from the other at once.
 */
#ifndef URINGSHIM_FILES_ENDS_H
#define URINGSHIM_FILES_ENDS_H

#include <stdbool.h>

#include "files/stream.h"

/* The process has connected the socket, or begun to. Any thread. */
void ends_connected(int fd);

/*
 * May the other end of the stream socket be this process's own? Of a TCP connection it is said of one of its two ends
 * at least. Asks the kernel.
 */
bool ends_both_ours(int fd, enum stream kind);

#endif
