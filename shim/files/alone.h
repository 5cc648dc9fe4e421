/*
 * Is this process alone with a file? A device does what it is given in any order; where nobody else has the file open,
 * nobody can see in which. Asked by taking a lease and giving it back at once (fcntl(2), "Leases"): a write lease is
 * granted only if nobody else has the file open, a read lease only if nobody has it open for writing.
 *
 * The lease isn't kept meanwhile, though only that would make it impossible for somebody to open the file in the very
 * millisecond in which the device is at it: a process that is stopped keeps its leases, and whoever opens the file
 * would hang for as long as the kernel waits for a lease (/proc/sys/fs/lease-break-time, 45 s). Who comes between the
 * two calls waits for that moment, or is refused if he asked not to wait.
 */
#ifndef URINGSHIM_FILES_ALONE_H
#define URINGSHIM_FILES_ALONE_H

#include "files/files.h"

enum alone { ALONE_TO_READ, ALONE_TO_WRITE };

/*
 * 0: the only one, at this moment, who has the file open (ALONE_TO_READ: for writing); the description is one that this
 * process has shared with nobody. Else -errno; -EAGAIN: somebody has it open. `helper` is the id of a thread with all
 * signals blocked, which gets the SIGIO that tells of somebody waiting. Nothing is changed about the program's own
 * leases, owners and signals: where it has any the answer is no. Any thread.
 */
int alone_with(struct ofd *ofd, int fd, enum alone how, uint32_t helper);

#endif
