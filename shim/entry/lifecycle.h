/* What forks, ends and exec mean for the library as a whole. */
#ifndef URINGSHIM_ENTRY_LIFECYCLE_H
#define URINGSHIM_ENTRY_LIFECYCLE_H

#include "base/stats.h"

/* Fork in three steps, for every way to fork that doesn't run libc's handlers. */
void fork_prepare(void);
void fork_parent(void);
void fork_child(void);

/* The program ends, or becomes another one: performs what is pending, and reports. */
void finish(const char *call, enum flush_cause cause);
/* After this nothing is deferred any more. */
void finish_for_good(const char *call);
/*
 * This thread ends by a way that libc doesn't see. If it is the last one, a helper thread, or a kernel worker of the
 * ring, would keep the process, or give it another exit status. Doesn't return.
 */
void end_thread(const char *call, int status);

/* The program is about to forbid itself system calls: from now on the library makes none of its own, nor reports. */
void confined(const char *call);
/* Before prctl(2), by its name or number: some of what it sets concerns the library. */
void announce_prctl(const char *call, int option, unsigned long argument);
/* Around a call that sets a limit of the process. What begins says is given to what ends. */
bool limit_begins(const char *call);
void limit_ends(bool exclusive);
/* Number 2 is about to be closed: if the report is to go there, it goes now. Many programs do that last of all. */
void report_before_close(const char *call, int fd);

#endif
