/*
 * What libc reads of files by itself, inside functions that are asked too often to be barriers: time zones and message
 * catalogues. What it reads may be a file that the program has just written. Most of these calls read nothing, for libc
 * keeps what it has read: they are announced only where it can't be ruled out.
 */
#ifndef URINGSHIM_ENTRY_DATA_LIBC_READS_H
#define URINGSHIM_ENTRY_DATA_LIBC_READS_H

#include <stdbool.h>

/* Before a call that looks whether the time zone has changed: tzset(3), and what POSIX says does as if by it. */
void zone_asked(const char *call);
/* Before one that takes a zone as it is, and only looks if none was looked at so far. */
void zone_used(const char *call);

/* May libc's next conversion between character sets read a file of the user's choosing? Nobody sees when it does. */
bool conversions_by_user(void);

#endif
