/* Calls on descriptors, for those who make them by another name: before, and after. */
#ifndef URINGSHIM_ENTRY_DATA_DESCRIPTORS_H
#define URINGSHIM_ENTRY_DATA_DESCRIPTORS_H

#include <stdbool.h>

/* fcntl(2). What begins says is given to what ends. */
bool fcntl_begins(const char *call, int fd, int command);
void fcntl_ends(int fd, int command, int result, bool exclusive);

/* Before dup2(2), or dup3(2) with these flags. */
void number_replacing(const char *call, int from, int to, int flags);
/* `to` is what `from` is now; `result` is what the number was, in this process or in another one (pidfd_getfd(2)). */
void number_duplicated(int from, int to);
void number_fetched(int fd, int result);

/* Around the call itself that closes or replaces numbers (base/passing.h); what begins says is given to what ends. */
bool number_closing(void);
void number_closed(bool begun);

/* ioctl(2). */
bool ioctl_begins(const char *call, unsigned long request);
void ioctl_ends(int fd, unsigned long request, bool exclusive);

#endif
