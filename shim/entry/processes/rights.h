/* What sets limits and options of the process, by name or number. */
#ifndef URINGSHIM_ENTRY_PROCESSES_RIGHTS_H
#define URINGSHIM_ENTRY_PROCESSES_RIGHTS_H

#include <stdbool.h>

/* Before prctl(2), by its name or number: some of what it sets concerns the library. */
void announce_prctl(const char *call, int option, unsigned long argument);
/* Around a call that sets a limit of the process. What begins says is given to what ends. */
bool limit_begins(const char *call);
void limit_ends(bool exclusive);

#endif
