/* Memory shared with other processes, and what it means for deferring: kept up to date by the mmap family. */
#ifndef URINGSHIM_ENTRY_SHARING_H
#define URINGSHIM_ENTRY_SHARING_H

/* Puts up or takes down the hindrance, by what is shared now. */
void sharing_refresh(void);
/* A descriptor went to another process. */
void sharing_passed_on(void);

#endif
