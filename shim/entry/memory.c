/*
 * The mmap family: which memory is shared with other processes, and which files the process can see without a call.
 * malloc and the like call these, so they are raw system calls; none of them is a cancellation point.
 */
#include <fcntl.h>
#include <semaphore.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/shm.h>

#include "base/config.h"
#include "entry/activate.h"
#include "entry/entry.h"
#include "entry/sharing.h"
#include "files/shared_memory.h"

/* The file's writes aren't deferred from now on. Before deferring has started it is enough to look around then. */
static void file_mapped(int fd) {
    if (activated())
        files_mark_mapped(fd);
    else
        shared_memory_scan_needed();
}

static void *map(const char *call, void *start, size_t length, int prot, int flags, int fd, off_t offset) {
    bool shared = (flags & MAP_TYPE) != MAP_PRIVATE, file = !(flags & MAP_ANONYMOUS);
    if (likely(!shared && !file && !(flags & MAP_FIXED)))
        return (void *)answer(sys(SYS_mmap, start, length, prot, flags, fd, offset));
    if (!thread_free(thread_self()))
        return (void *)answer(sys(SYS_mmap, start, length, prot, flags, fd, offset));
    if (file)
        file_mapped(fd);
    if (shared && config.shared == SHARED_STRICT)
        wb_hinder(REASON_shared_memory); /* nothing may be deferred from before the mapping exists */
    if (file || shared)
        announce(call);
    long result = sys(SYS_mmap, start, length, prot, flags, fd, offset);
    if (!SYS_IS_ERROR(result) && (flags & MAP_FIXED))
        shared_memory_unmapped((void *)result, length);
    if (!SYS_IS_ERROR(result) && shared)
        shared_memory_mapped((void *)result, length, prot, file ? fd : -1);
    if (shared || (flags & MAP_FIXED))
        sharing_refresh();
    if (file) { /* deferring may have started between the two, and looked around too early */
        file_mapped(fd);
        announce(call);
    }
    return (void *)answer(result);
}

EXPORT void *mmap(void *start, size_t length, int prot, int flags, int fd, off_t offset) {
    return map("mmap", start, length, prot, flags, fd, offset);
}

EXPORT void *mmap64(void *start, size_t length, int prot, int flags, int fd, off64_t offset) {
    return map("mmap64", start, length, prot, flags, fd, offset);
}

/* After memory went away or changed its protection: only regions that we know of matter. */
static void forget_region(void *start, size_t length) {
    if (shared_memory_any() && thread_free(thread_self())) {
        shared_memory_unmapped(start, length);
        sharing_refresh();
    }
}

EXPORT int munmap(void *start, size_t length) {
    long result = sys(SYS_munmap, start, length);
    if (result == 0)
        forget_region(start, length);
    return (int)answer(result);
}

EXPORT void *mremap(void *start, size_t length, size_t new_length, int flags, ...) {
    va_list list;
    va_start(list, flags);
    void *target = flags & MREMAP_FIXED ? va_arg(list, void *) : NULL;
    va_end(list);
    long result = sys(SYS_mremap, start, length, new_length, flags, target);
    if (!SYS_IS_ERROR(result) && shared_memory_any() && thread_free(thread_self())) {
        shared_memory_moved(start, length, (void *)result, new_length);
        sharing_refresh();
    }
    return (void *)answer(result);
}

static void protecting(const char *call, void *start, size_t length, int prot) {
    if (!(prot & PROT_WRITE) || !shared_memory_any() || !thread_free(thread_self()))
        return;
    shared_memory_protected(start, length, prot);
    sharing_refresh();
    announce(call);
}

EXPORT int mprotect(void *start, size_t length, int prot) {
    protecting("mprotect", start, length, prot);
    return (int)answer(sys(SYS_mprotect, start, length, prot));
}

EXPORT int pkey_mprotect(void *start, size_t length, int prot, int key) {
    protecting("pkey_mprotect", start, length, prot);
    return REAL(pkey_mprotect)(start, length, prot, key);
}

EXPORT void *shmat(int id, const void *start, int flags) {
    if (config.shared == SHARED_STRICT)
        wb_hinder(REASON_shared_memory);
    announce("shmat");
    void *result = REAL(shmat)(id, start, flags);
    if (result != (void *)-1)
        shared_memory_attached(result);
    sharing_refresh();
    return result;
}

EXPORT int shmdt(const void *start) {
    announce("shmdt");
    int result = REAL(shmdt)(start);
    if (result == 0) {
        shared_memory_detached((void *)start);
        sharing_refresh();
    }
    return result;
}

EXPORT int memfd_create(const char *name, unsigned flags) {
    int fd = REAL(memfd_create)(name, flags);
    number_taken(fd);
    if (fd >= 0)
        shared_memory_private_fd(fd);
    return fd;
}

/* libc maps a named semaphore's memory inside itself, and unmaps it when it likes. */
EXPORT sem_t *sem_open(const char *name, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
    unsigned value = flags & O_CREAT ? va_arg(list, unsigned) : 0;
    va_end(list);
    shared_memory_hidden();
    sharing_refresh();
    announce("sem_open");
    return REAL(sem_open)(name, flags, mode, value);
}

EXPORT int remap_file_pages(void *start, size_t size, int prot, size_t page, int flags) {
    announce("remap_file_pages");
    return REAL(remap_file_pages)(start, size, prot, page, flags);
}
