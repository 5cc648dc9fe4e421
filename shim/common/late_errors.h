/*
 * Errors that performing what was deferred has met: the program was told that it was done, and is told by its next call
 * on the file, or by one that natively would tell what happened to the socket. As long as there is one all calls look.
 */
#ifndef URINGSHIM_COMMON_LATE_ERRORS_H
#define URINGSHIM_COMMON_LATE_ERRORS_H

#include "files/files.h"

/* Keeps a positive errno with the inode, instead of one that it has. Any thread. */
void late_error_keep(struct inode *inode, int error);
/* Takes it out; 0: there is none. Any thread. */
int late_error_take(struct inode *inode);

/* The caller has released a description, which may have been the last one of its inode: its error has gone with it. */
void late_errors_settle(void);

#endif
