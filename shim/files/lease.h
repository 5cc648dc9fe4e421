/*
 * Being alone with a file. While a write lease is held nobody else has the file open, while a read lease is held nobody
 * has it open for writing; who opens it meanwhile waits until the lease is given back, or is refused if he asked not to
 * wait (fcntl(2), "Leases"). So what is done under a lease nobody can see half done.
 *
 * It is held for the length of one system call or a few, on the program's own description, by whose leases and owner
 * nothing is changed when it has been given back.
 */
#ifndef URINGSHIM_FILES_LEASE_H
#define URINGSHIM_FILES_LEASE_H

#include <stdint.h>

enum lease { LEASE_READ, LEASE_WRITE };

/*
 * Takes a lease on the description behind `fd`. `helper` is the id of a thread with all signals blocked, which gets
 * the SIGIO that tells of somebody waiting. 0, or -errno: -EAGAIN, somebody has the file open.
 */
int lease_take(int fd, enum lease lease, uint32_t helper);
void lease_give_back(int fd);

#endif
