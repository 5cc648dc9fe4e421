/*
 * The mmap family: which memory is shared with other processes, and which files the process can see without a call.
 * malloc and the like call these, so they are raw system calls; none of them is a cancellation point.
 */
#include <fcntl.h>
#include <semaphore.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/shm.h>
#if defined(__x86_64__)
#include <sys/io.h>
#endif

#include "base/config.h"
#include "base/kernel.h"
#include "entry/data/sharing.h"
#include "entry/entry.h"
#include "entry/life/activate.h"
#include "files/shared_memory.h"

/* A private mapping of a file. Deferring may start between the marks, and look around too early for one of them. */
static void *map_file(const char *call, void *start, size_t length, int prot, int flags, int fd, off_t offset) {
    long result = sys(SYS_mmap, start, length, prot, flags, fd, offset);
    file_mapped(call, fd);
    return (void *)answer(result);
}

/* Direct I/O refuses to write what is in memory for writing only (get_user_pages in mm/gup.c), which we could copy. */
static void look_at_protection(const char *call, int prot) {
    if (unlikely((prot & (PROT_READ | PROT_WRITE)) == PROT_WRITE) && files_forbid_direct())
        drain(call);
}

static void *map_data(const char *call, void *start, size_t length, int prot, int flags, int fd, off_t offset) {
    look_at_protection(call, prot);
    bool shared = (flags & MAP_TYPE) != MAP_PRIVATE, file = !(flags & MAP_ANONYMOUS);
    bool over = (flags & MAP_FIXED) && shared_memory_any() && shared_memory_at(start, length);
    if (likely(!shared && !file && !over) || !thread_free(thread_self()))
        return (void *)answer(sys(SYS_mmap, start, length, prot, flags, fd, offset));
    if (file)
        file_mapped(call, fd);
    if (!shared && !over)
        return map_file(call, start, length, prot, flags, fd, offset);
    bool exclusive = exclusive_begins(call); /* where memory is replaced, others know its place already */
    sharing_begins();
    long result = sys(SYS_mmap, start, length, prot, flags, fd, offset);
    if (!SYS_IS_ERROR(result) && over)
        shared_memory_unmapped((void *)result, length);
    if (!SYS_IS_ERROR(result) && shared)
        shared_memory_mapped((void *)result, length, prot, file ? fd : -1);
    sharing_changed();
    if (file)
        file_mapped(call, fd);
    drain(call); /* what a handler has deferred meanwhile */
    exclusive_ends(exclusive);
    return (void *)answer(result);
}

static void *map(const char *call, void *start, size_t length, int prot, int flags, int fd, off_t offset) {
    void *result = map_data(call, start, length, prot, flags, fd, offset);
    if (unlikely(prot & PROT_EXEC) && result != MAP_FAILED)
        code_changed(call, result, length, !(flags & MAP_ANONYMOUS));
    return result;
}

EXPORT void *mmap(void *start, size_t length, int prot, int flags, int fd, off_t offset) {
    return map("mmap", start, length, prot, flags, fd, offset);
}

EXPORT void *mmap64(void *start, size_t length, int prot, int flags, int fd, off64_t offset) {
    return map("mmap64", start, length, prot, flags, fd, offset);
}

/* Changes to other memory than we know of are the kernel's business alone. */
static bool may_concern_shared(const void *start, size_t length) {
    return shared_memory_any() && shared_memory_at(start, length) && thread_free(thread_self());
}

EXPORT int munmap(void *start, size_t length) {
    if (!may_concern_shared(start, length))
        return (int)answer(sys(SYS_munmap, start, length));
    announce("munmap");
    sharing_begins();
    long result = sys(SYS_munmap, start, length);
    if (result == 0)
        shared_memory_unmapped(start, length);
    sharing_changed();
    return (int)answer(result);
}

EXPORT void *mremap(void *start, size_t length, size_t new_length, int flags, ...) {
    va_list list;
    va_start(list, flags);
    void *target = flags & MREMAP_FIXED ? va_arg(list, void *) : NULL;
    va_end(list);
    if (!may_concern_shared(start, length))
        return (void *)answer(sys(SYS_mremap, start, length, new_length, flags, target));
    sharing_begins();
    long result = sys(SYS_mremap, start, length, new_length, flags, target);
    if (!SYS_IS_ERROR(result))
        shared_memory_moved(start, flags & MREMAP_DONTUNMAP ? 0 : length, (void *)result, new_length);
    sharing_changed();
    return (void *)answer(result);
}

static void protecting(const char *call, void *start, size_t length, int prot) {
    look_at_protection(call, prot);
    if (!(prot & PROT_WRITE) || !may_concern_shared(start, length))
        return;
    sharing_begins();
    shared_memory_protected(start, length, prot);
    sharing_changed();
    drain(call);
}

static int protected(const char *call, void *start, size_t length, int prot, int result) {
    if (unlikely(prot & PROT_EXEC) && result == 0)
        code_changed(call, start, length, false);
    return result;
}

EXPORT int mprotect(void *start, size_t length, int prot) {
    protecting("mprotect", start, length, prot);
    return protected("mprotect", start, length, prot, (int)answer(sys(SYS_mprotect, start, length, prot)));
}

EXPORT int pkey_mprotect(void *start, size_t length, int prot, int key) {
    protecting("pkey_mprotect", start, length, prot);
    return protected("pkey_mprotect", start, length, prot, CALL(pkey_mprotect, (start, length, prot, key)));
}

EXPORT void *shmat(int id, const void *start, int flags) {
    if (unlikely(thread_off))
        return CALL(shmat, (id, start, flags));
    bool exclusive = exclusive_begins("shmat");
    sharing_begins();
    void *result = CALL(shmat, (id, start, flags));
    if (result != (void *)-1)
        shared_memory_attached(result, id);
    sharing_changed();
    drain("shmat");
    exclusive_ends(exclusive);
    return result;
}

EXPORT int shmdt(const void *start) {
    if (unlikely(thread_off))
        return CALL(shmdt, (start));
    announce("shmdt");
    sharing_begins();
    int result = CALL(shmdt, (start));
    if (result == 0)
        shared_memory_detached((void *)start);
    sharing_changed();
    return result;
}

/* A segment that is marked for destruction is one that others aren't meant to attach any more. */
EXPORT int shmctl(int id, int command, struct shmid_ds *info) {
    announce("shmctl");
    int result = CALL(shmctl, (id, command, info));
    if (command == IPC_RMID && shared_memory_any() && thread_free(thread_self()))
        sharing_refresh();
    return result;
}

EXPORT int memfd_create(const char *name, unsigned flags) {
    bool kept = thread_free(thread_self());
    if (kept) /* before the call: or else a fork could come between */
        sharing_begins();
    int fd = CALL(memfd_create, (name, flags));
    if (kept && fd >= 0)
        shared_memory_private_fd(fd);
    if (kept)
        sharing_changed();
    number_taken(fd);
    return fd;
}

/* libc maps a named semaphore's memory inside itself, and unmaps it when it likes. */
EXPORT sem_t *sem_open(const char *name, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
    unsigned value = flags & O_CREAT ? va_arg(list, unsigned) : 0;
    va_end(list);
    sharing_hidden();
    drain("sem_open");
    return CALL(sem_open, (name, flags, mode, value));
}

/* A semaphore that another process sees is in shared memory, during which nothing is deferred: but if that is ignored.
 */
EXPORT int sem_post(sem_t *sem) {
    if (config.shared == SHARED_IGNORE)
        announce("sem_post");
    return CALL(sem_post, (sem));
}

#if defined(__x86_64__)
/* What a program tells a device through its ports is seen by nobody. */
EXPORT int iopl(int level) {
    sharing_hidden();
    drain("iopl");
    return CALL(iopl, (level));
}

EXPORT int ioperm(unsigned long first, unsigned long count, int on) {
    sharing_hidden();
    drain("ioperm");
    return CALL(ioperm, (first, count, on));
}
#endif

EXPORT int remap_file_pages(void *start, size_t size, int prot, size_t page, int flags) {
    announce("remap_file_pages");
    return CALL(remap_file_pages, (start, size, prot, page, flags));
}
