/*
 * Group commit: threads that sync one file at the same time share one fsync. Who comes while one is running waits for
 * the next, which begins after he came and so covers what he wrote, and which one of those who wait makes for all.
 *
 * A sync that fails is nobody's but its caller's: the others make their own. And who was served by another's asks the
 * kernel whether his own description has an error to report (errseq in the kernel: each description gets each error).
 */
#ifndef URINGSHIM_BEHIND_GROUP_SYNC_H
#define URINGSHIM_BEHIND_GROUP_SYNC_H

#include "base/thread.h"

/* All of the caller's writes are in the kernel. GROUP_YOURSELF: nobody to share with; else 0 or -errno. Any thread. */
enum { GROUP_YOURSELF = 1 };
int group_sync(struct thread *self, int fd, bool data_only);

/* In the child of a fork: nobody is at it. */
void group_sync_forked(void);

#endif
