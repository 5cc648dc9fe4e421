/*
 * Does this process share writable memory with another one? Stores into it are messages that nobody can watch, so
 * while the answer is yes no write is deferred (URINGSHIM_SHARED_MEMORY=strict).
 *
 * A shared mapping of a file that can be written counts at once. Anonymous shared memory and memfds have no other party
 * before the first fork (or before their descriptor is passed on), and count from then on. System V shared memory
 * counts but while it is marked for destruction and nobody else has it attached. Kept by our mmap family; checked once
 * against /proc/self/maps, since libraries may map before or around us. Whoever changes mappings, or asks, does so
 * between shared_memory_lock and _unlock, the system call included: else what one thread maps where another one has
 * just unmapped would be forgotten.
 */
#ifndef URINGSHIM_FILES_SHARED_MEMORY_H
#define URINGSHIM_FILES_SHARED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

void shared_memory_lock(void);
void shared_memory_unlock(void);

/* A shared mapping was made by mmap; `fd` is -1 for MAP_ANONYMOUS. */
void shared_memory_mapped(void *start, size_t length, int prot, int fd);
/* The segment of that number, by shmat; its length is not known, it ends with shared_memory_detached. */
void shared_memory_attached(void *start, int id);
/* By another IPC namespace a segment's number means another one from now on. */
void shared_memory_names_changed(void);
void shared_memory_detached(void *start);
/* munmap, or a mapping put over it. */
void shared_memory_unmapped(void *start, size_t length);
void shared_memory_moved(void *from, size_t length, void *to, size_t new_length);
void shared_memory_protected(void *start, size_t length, int prot);
/* memfd_create returned this number. */
void shared_memory_private_fd(int fd);
/* Something that maps shared memory inside libc, and never says when it ends. */
void shared_memory_hidden(void);
/* A descriptor was passed to another process: what was private to this one isn't any more. */
void shared_memory_passed_on(void);
/* The process forks: before; after in both, when segments can be asked after again; shared_memory_unlock follows. */
void shared_memory_fork_prepare(void);
void shared_memory_forked(void);

bool shared_memory_exists(void);
/*
 * Without the lock, by who is about to defer or to fetch: has another process attached a segment that only this one
 * had? There is no call that would tell.
 */
bool shared_memory_joined(void);

/* Without a lock, for callers in a hurry: is any region known? Any that is private so far? */
bool shared_memory_any(void);
/* The same: may any be known there? */
bool shared_memory_at(const void *start, size_t length);
bool shared_memory_any_alone(void);

/*
 * Reads /proc/self/maps if anything may have been mapped since the last time: marks the inodes of mapped files, and
 * counts shared writable mappings that we were not told of. False if it can't be read and there is something to know.
 * Without the lock.
 */
bool shared_memory_scan(void);
/*
 * Did a scan find a library for asynchronous I/O? What the program does with it can't be put in order with ours. (The
 * dynamic loader isn't asked: another thread may be in it, for ever in the child of a fork.)
 */
bool shared_memory_asynchronous(void);
/* A file was mapped: the next scan will read. */
void shared_memory_scan_needed(void);

#endif
