/* Getting ready to defer, at the first write that is worth it, and ending that again. */
#ifndef URINGSHIM_ENTRY_LIFE_ACTIVATE_H
#define URINGSHIM_ENTRY_LIFE_ACTIVATE_H

#include <stdbool.h>

#include "files/files.h"

/* Gets everything ready for deferring writes of this file (activate.c): REASON_NONE, or what stands in the way. */
enum reason activate(const struct inode *inode);
bool activated(void);
/* The part of that which reading ahead needs: no helper thread, no memory. */
enum reason prepare_to_read(const struct inode *inode);
bool prepared_to_read(void);
/* Has any of it been tried in this process? */
bool was_ever_ready(void);
/*
 * Undoes it: performs what is pending and ends the helper thread. Deferring may start anew later unless a hindrance was
 * put up. For calls that a helper thread would disturb, or that end our means.
 */
void deactivate(const char *call);
/*
 * Deferring gives the program nothing at present: ends the helper thread, if it is the only other one, because of which
 * the kernel counts a reference at each call on a descriptor (fdget). Deferring starts anew as it did the first time.
 * Not where something reads by a ring, which is of no use without it, or is peeked at.
 */
void rest(void);
/*
 * Nothing is deferred or read ahead any more: there are two descriptor tables in one process, or one in two, so that
 * nobody knows what a number means; or the processor's counter may not be read.
 */
void keep_out(const char *call);

/* The process forks: before, and after in both. In the child nothing is active. */
void activation_fork_prepare(void);
void activation_fork_done(bool child);
/*
 * The process maps, or has mapped, the file behind a number: its writes aren't deferred any more. Before deferring has
 * started it is enough to look around then. What is pending is performed.
 */
void file_mapped(const char *call, int fd);
/*
 * Libraries were loaded, by a call before which all was given back (deactivate): what is new is looked at before
 * anything is deferred again. Start and length say what may have changed besides; 0: nothing.
 */
void code_added(void *start, size_t length);
/* Memory was made executable, by a call that has just returned. */
void code_changed(const char *call, void *start, size_t length, bool of_file);
/* RLIMIT_FSIZE may have changed. */
void limits_refresh(void);

#endif
