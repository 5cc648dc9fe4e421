/*
 * What each descriptor number means now.
 *
 *   descriptor number -> slot -> open file description (OFD: what dup shares) -> inode -> file system
 *
 * A slot is looked up without a lock and may be stale if the program closed the number by a way that we don't see, so
 * whoever is about to rely on it for longer than one call asks files_verify first. Everything that changes slots, OFDs
 * and inodes holds files_lock. OFDs and inodes are pooled: a stale pointer is never a wild one.
 *
 * Regular files on file systems that are known to be local get an OFD, and so do pipes and stream sockets (stream.h);
 * any other descriptor is remembered as "other" with the reason.
 */
#ifndef URINGSHIM_FILES_FILES_H
#define URINGSHIM_FILES_FILES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/lock.h"
#include "base/stats.h"
#include "files/file_system.h"
#include "files/stream.h"

struct inode {
    dev_t device;
    ino_t number;
    struct file_system *file_system;
    _Atomic uint32_t pending; /* extents of it that are not yet in the file */
    _Atomic int error;        /* a positive errno of an accepted write, of storage or a socket; reported once */
    struct stream_end end;    /* a stream's */
    uint64_t unsure;          /* input_unsure when that was known */
    uint32_t largest;         /* and the largest write to it lately; a hint */
    bool mapped;              /* the process has, or had, a mapping of it */
    bool kept;                /* for that, though nobody has it open */
    bool sealable;            /* who else has it may forbid writing to it at any moment (memfd_create(2)) */
    uint32_t references;
    struct inode *next;
    void *pool_link;
};

/* How deferring the writes of one OFD, or reading it ahead, went: counted where they are performed and fetched, judged
 * by policy. */
struct habit {
    uint32_t paid, wasted; /* batches in which it saved work, and in which it didn't */
    uint64_t judged;       /* the last batch counted */
    bool paid_last;        /* that one paid */
    uint32_t paid_seen, wasted_seen;
    uint32_t skip;  /* candidates still to be passed through before deferring is tried again */
    uint32_t level; /* how often in a row that was decided: skip doubles with it */
};

/* May it be read ahead: not at all; by reads that bring their offset; at the file position too, for it only reads. */
enum ahead { AHEAD_NEVER, AHEAD_AT_OFFSET, AHEAD_AT_POSITION };

#define DIRECT_UNKNOWN UINT32_MAX

struct ofd {
    struct inode *inode;
    _Atomic uint32_t references; /* slots that name it, extents pending on it, callers that detached it */
    uint32_t generation;         /* files_generation when it was classified */
    enum reason reason;          /* why its writes are never deferred, or REASON_NONE */
    uint32_t born;               /* as in its slot */
    bool far;                    /* the file position is near the largest file size */
    uint64_t verified_at;        /* ticks: when the number was last seen to be this file */
    uint64_t batch;              /* the last batch of the write-behind log for which it was verified */
    /* O_DIRECT: the bits that must be 0 in addresses, sizes and offsets, known when it has been verified; else 0 */
    uint32_t direct;
    _Atomic bool asking; /* a thread asks whether we are alone with the file */
    enum ahead ahead;
    uint32_t window; /* bytes that the next window on it fetches; 0: none has */
    enum stream stream;
    uint64_t epoch; /* a stream: a write has shown that it took what was written, and there was no input since */
    bool straight;  /* a stream: nothing was deferred to it since a write went straight through */
    /* a stream */
    uint32_t room;                    /* in this batch: so many bytes may still be deferred */
    uint64_t waits_in;                /* the last attempt to perform a piece in which it was full */
    uint32_t alone_in;                /* a pipe that is read: nobody else could when files_passings was that */
    bool peeked;                      /* some of its reads were served */
    uint32_t served;                  /* reads, since the last look at who else could; */
    uint32_t patience;                /* so many times its price the next one waits: doubled while they don't pay */
    uint32_t small_reads, look_after; /* so many since the last look, and until the next */
    uint64_t turned_in;               /* a socket: the last turn that it was in */
    uint32_t turn_room;               /* and what may still be kept for it, as turn.c counts; 0: to be asked for */
    uint32_t turn_least;              /* TCP: and how much that is at least when it is writable */
    bool turns;                       /* a socket: may be looked at in turns, as its options were in this generation */
    bool shut;                        /* the program has shut it down, in part or as a whole */
    bool flown;  /* a ring may be reading it, or has written it by its number and not let go of it yet */
    bool pinned; /* stands, or stood, in a ring's file table, under its serial number */
    uint64_t serial;
    struct habit habit, reading;
    void *pool_link;
};

struct fd_slot {
    struct ofd *_Atomic ofd;
    union {
        struct {
            uint32_t born;          /* files_passings when the process opened it itself; 0: not known to have */
            uint8_t quick;          /* small writes in quick succession so far */
            uint8_t other;          /* if not 0: not a file of ours, and the enum reason why */
            uint8_t rehearsals : 7; /* 0: its small writes weren't looked at yet; n + 1: so many went wrong in turn */
            uint8_t socket : 1;     /* it was made as one */
            uint8_t interruptions;  /* so many in this one */
        };
        uint64_t remembered; /* any of these */
    };
    uint16_t skip;   /* small writes that won't be looked at before the next is */
    int16_t reads;   /* small reads so far, each near where the last one was; below 0: so many aren't looked at */
    uint32_t last;   /* when its last small write came, in units of policy.c; 0: not known */
    int64_t read_at; /* where that was, as far as we know: a hint */
};

extern struct mutex files_lock;

/* Bumped when descriptors may have changed their flags or files behind our back: verification looks at all again. */
extern _Atomic uint32_t files_generation;

/* Numbers below 256 cost no mapping; the rest of the first million is a sparse table of pages of 256. */
enum { FILES_PAGE = 256, FILES_PAGES = 4096 };
extern struct fd_slot files_first[FILES_PAGE] HIDDEN;
struct fd_slot *files_slot_beyond(int fd);

/* The slot of a number, or NULL: none was needed so far (or the number is negative, or beyond a million). */
static inline struct fd_slot *files_slot(int fd) {
    return likely((unsigned)fd < FILES_PAGE) ? &files_first[fd] : files_slot_beyond(fd);
}

/* The same for the quick ways of calls that nothing is done about: only of those numbers that cost no mapping. */
static inline struct fd_slot *files_slot_near(int fd) {
    return likely((unsigned)fd < FILES_PAGE) ? &files_first[fd] : NULL;
}

/* The same, made if there is none; NULL without memory or for an impossible number. */
struct fd_slot *files_slot_make(int fd);

/*
 * The number's OFD. If nothing is known of the number yet, finds out (fstat, fstatfs, F_GETFL) and fills the slot.
 * NULL: it isn't open, or slot->other says what else it is. Takes files_lock if there is something to find out.
 */
struct ofd *files_ofd(int fd, struct fd_slot *slot);

/* Is the number still the file that its slot says (one fstat, more after a change of generation)? files_lock held. */
bool files_verify(int fd, struct fd_slot *slot);

/* By the helper thread: the same look in time, so that who defers through the number need not make it. */
void files_look_again(int fd);

/* Looks at the file system's free space if it is time to; `bytes` are about to be deferred. files_lock held. */
void files_check_headroom(int fd, struct file_system *fs, uint64_t bytes);

/*
 * The number is about to be closed, or reused: its slot is emptied, so that nothing more is deferred through it, and
 * the OFD that it named, if any, is handed to the caller, who flushes and then gives it to files_release. Cheap if
 * nothing is known of the number. Takes files_lock.
 */
struct ofd *files_detach(int fd);
void files_release(struct ofd *ofd);
/* The number has been closed, or reused: until now nothing could be deferred through it. */
void files_detached(int fd);
/*
 * What made writes not worth deferring may be over: what was learnt of those that are passed is forgotten. In a process
 * with one thread.
 */
void files_learn_anew(void);
/* Without a lock: is anything remembered of the number? Not 0 if so. */
static inline uint64_t files_slot_remembers(const struct fd_slot *slot) {
    return (uintptr_t)atomic_load_explicit(&slot->ofd, memory_order_relaxed) | slot->remembered;
}
static inline bool files_remembers(int fd) {
    const struct fd_slot *slot = files_slot(fd);
    return slot && files_slot_remembers(slot);
}
/* Forgets what isn't its OFD. */
static inline void files_forget_hints(struct fd_slot *slot, uint8_t other) {
    slot->remembered = 0;
    slot->other = other;
    slot->skip = 0;
    slot->reads = 0;
    slot->read_at = 0;
}
/* The highest number of which anything is known. */
int files_highest(void);
/*
 * A description that another process may hold too has a file position that may move any time. One that this process
 * opened itself is its own until the next passing on: a fork, a spawned program, a descriptor sent away. And until
 * there is a second thread, that may be on its way into the kernel with a call that uses it.
 */
extern _Atomic uint32_t files_passings HIDDEN; /* never 0 */
static inline void files_opened(struct fd_slot *slot) {
    slot->born = atomic_load_explicit(&files_passings, memory_order_relaxed);
}
static inline void files_passed_on(void) {
    if (unlikely(atomic_fetch_add_explicit(&files_passings, 1, memory_order_relaxed) == UINT32_MAX))
        atomic_store_explicit(&files_passings, 1, memory_order_relaxed);
}
/* The process may have numbers of sockets, as it has sent a descriptor or fetched one, of which nothing is known. */
void files_strays_come(void);
bool files_position_is_ours(const struct ofd *ofd);
bool files_is_private(const struct ofd *ofd); /* the first half of that */

/* No direct I/O by us from the next batch on: it may refuse memory that we can read. True: until now there was some. */
bool files_forbid_direct(void);

/* The file position of the number is now this. */
void files_moved(int fd, int64_t position);
/*
 * Has the process moved a position, or the end of a file, to where writes may be refused? By whatever number: each
 * batch looks at it anew from then on.
 */
extern _Atomic bool files_far HIDDEN;
static inline void files_go_to(int64_t offset) {
    if (unlikely(offset >= (int64_t)FILE_SYSTEM_FAR))
        atomic_store(&files_far, true);
}
/* Looks whether the number's position is there. files_lock held. */
void files_look_at_position(int fd, struct ofd *ofd);
/* dup: `to` is now what `from` is. Takes files_lock. */
void files_share(int from, int to);

/*
 * An error, a positive errno, that is still to be told by a call on the file or socket: keeps it, instead of one that
 * was kept before; takes it out, or 0. So many there are. For common/late_errors.h, which all others use.
 */
void files_failed(struct inode *inode, int error);
int files_take_inode_error(struct inode *inode);
extern _Atomic uint32_t files_errors HIDDEN;
/* As long as there are any: another number's OFD of the same file or socket, if it is one that failed. Asks the kernel.
 */
struct ofd *files_in_error(int fd);
/*
 * The number is given up, and its inode has an error. If nothing else is known of that, and the process has another
 * number of the file or socket, it is known from now on. Takes files_lock, and asks the kernel of some thousand numbers
 * where there may be such.
 */
void files_goes_on(int fd, struct ofd *ofd);

/* Counts the files that begin to have something pending. */
extern _Atomic uint64_t files_begun;
static inline void files_begin(struct inode *inode) {
    if (atomic_fetch_add(&inode->pending, 1) == 0)
        atomic_fetch_add(&files_begun, 1);
}
/* Is anything of this file pending? Takes files_lock. */
bool files_pending(const struct stat *st);

/* The process has mapped the file behind the number: its writes are not deferred from now on. Takes files_lock. */
void files_mark_mapped(int fd);
void files_mark_mapped_inode(ino_t number); /* on whatever device: /proc/self/maps names some devices differently */

/* The process forks: before, and after in both. */
void files_fork_prepare(void);
void files_fork_done(void);

#endif
