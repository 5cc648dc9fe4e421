/* Which file systems we know, how far their files may grow, and how full they are. files_lock held throughout. */
#ifndef URINGSHIM_FILES_FILE_SYSTEM_H
#define URINGSHIM_FILES_FILE_SYSTEM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Does the kernel do such a write without a wait for a lock or a worker (RWF_NOWAIT)? Learnt from the first one. */
enum inline_writes { INLINE_UNKNOWN, INLINE_YES, INLINE_NO };

/* From here on it is asked how far a file may grow. */
#define FILE_SYSTEM_FAR (8ull << 30)

struct file_system {
    dev_t device;
    bool known;                       /* a kind that we know to be local and well-behaved */
    bool headroom;                    /* room enough that a small write can't fail for want of it */
    bool takes_blocks;                /* direct I/O of what is aligned to 4096 bytes, whatever its device */
    uint64_t far_offset;              /* writes that end beyond it are left to the kernel */
    _Atomic uint8_t buffered, direct; /* enum inline_writes */
    uint64_t unchecked;               /* bytes deferred since headroom was last looked at */
    _Atomic uint64_t mark;            /* the last one at which there was room */
    uint64_t checked_at;              /* ticks */
    struct file_system *next;
    void *pool_link;
};

/* The file system that the open file `fd` is on; NULL without memory. */
struct file_system *file_system_get(int fd, dev_t device);

/*
 * Measures the free space anew if enough was deferred or enough time went by since the last time; `early`: half of
 * that.
 */
void file_system_check(int fd, struct file_system *fs, bool early);

/* Marks those on which there is room, as was measured lately; with this number, which is never the same again. */
uint64_t file_systems_mark(void);

/*
 * What addresses, sizes and offsets of direct I/O on a regular file must be multiples of, a power of two up to 4096; 0:
 * it isn't known, or not done.
 */
uint32_t file_system_alignment(const struct file_system *fs, int fd);

#endif
