/* Memory shared with other processes, and what it means for deferring: kept up to date by the mmap family. */
#ifndef URINGSHIM_ENTRY_DATA_SHARING_H
#define URINGSHIM_ENTRY_DATA_SHARING_H

/*
 * Mappings are about to change, and have changed: what is shared now decides whether anything may be deferred. Where
 * more may be shared than before the caller drains after that.
 */
void sharing_begins(void);
void sharing_changed(void);

/* The same for a change that is already made. */
void sharing_refresh(void);
/* Memory is shared that can't be followed. */
void sharing_hidden(void);
/*
 * The process forks: takes a lock, and after it, in both, gives it back. The child will share what only this process
 * had. Nothing may be pending, nor a window open; other threads are kept from both until it has forked.
 */
void sharing_fork_prepare(void);
void sharing_fork_done(void);
/* The process gets another IPC namespace, or its child will: what is attached can't be asked after any more. */
void sharing_names_changed(void);
/* A descriptor goes to another process. */
void sharing_passed_on(void);
/* The same by a message, to whichever process that has it then. */
void sharing_sent(void);
/* Few ioctls can do that: those of a seccomp supervisor, and of Android's binder. */
void sharing_by_ioctl(unsigned long request);

#endif
