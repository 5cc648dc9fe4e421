/* What the process's end, or that of a thread, and exec mean for the library as a whole. */
#ifndef URINGSHIM_ENTRY_LIFE_LIFECYCLE_H
#define URINGSHIM_ENTRY_LIFE_LIFECYCLE_H

#include "base/stats.h"

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
/* Number 2 is about to be closed: if the report is to go there, it goes now. Many programs do that last of all. */
void report_before_close(const char *call, int fd);

#endif
