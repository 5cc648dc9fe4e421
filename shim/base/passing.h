/*
 * Passing numbers: descriptors that the library has for a moment, as of a ring that is being made or of a file in
 * /proc. They are the lowest free ones, and a thread of the program may be putting a descriptor of its own in just that
 * place (dup2(2)): it would be told EBUSY, or the library would read from its descriptor, and close it. Or it may be
 * closing a number that isn't open, as closefrom(3) does: and the library would read from whatever comes to be there
 * next. So the one waits for the other. Any thread but a vfork child, which has numbers of its own. Not for files that
 * the user asked for, a log or statistics: opening one may take long.
 */
#ifndef URINGSHIM_BASE_PASSING_H
#define URINGSHIM_BASE_PASSING_H

/* Around the time during which the library has such a number; in a critical section. */
void passing_begins(void);
void passing_ends(void);

/* Around a call that closes or replaces numbers. It may take long, and a handler may interrupt it. */
void closing_begins(void);
void closing_ends(void);

/* In the child of a fork: the other threads didn't come along. */
void passing_forked(void);

#endif
