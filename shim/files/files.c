#include "files/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/critical.h"
#include "base/single.h"
#include "base/sys.h"
#include "base/ticks.h"

enum { PAGE = FILES_PAGE, PAGES = FILES_PAGES, INODE_BUCKETS = 256 };

struct mutex files_lock;
_Atomic uint32_t files_generation = 1;

struct fd_slot files_first[PAGE] APART;
static struct fd_slot *_Atomic pages[PAGES] APART; /* without the first */
static unsigned top_page;                          /* the highest page that exists */

static struct pool ofd_pool = {.size = sizeof(struct ofd)};
static struct pool inode_pool = {.size = sizeof(struct inode)};
_Atomic uint64_t files_begun;
static struct inode *inodes[INODE_BUCKETS] APART;
static uint64_t serials;

/* Numbers of inodes that were mapped before anything else was known of them. Full: every file counts as mapped. */
enum { MAPPED_MAX = 4096 };
static ino_t *mapped_numbers;
static unsigned mapped_count;

struct fd_slot *files_slot_beyond(int fd) {
    if (unlikely((unsigned)fd >= PAGE * PAGES))
        return NULL;
    struct fd_slot *page = atomic_load_explicit(&pages[(unsigned)fd / PAGE], memory_order_acquire);
    return page ? &page[(unsigned)fd % PAGE] : NULL;
}

struct fd_slot *files_slot_make(int fd) {
    struct fd_slot *slot = files_slot(fd);
    unsigned index = (unsigned)fd / PAGE;
    if (slot || index >= PAGES)
        return slot;
    mutex_lock(&files_lock);
    if (!atomic_load_explicit(&pages[index], memory_order_relaxed)) {
        struct fd_slot *page = arena_map(PAGE * sizeof *page, ARENA_INHERIT);
        atomic_store_explicit(&pages[index], page, memory_order_release);
        if (page && index > top_page)
            top_page = index;
    }
    mutex_unlock(&files_lock);
    return files_slot(fd);
}

static bool number_was_mapped(ino_t number) {
    if (mapped_count == MAPPED_MAX) /* or there was no memory for a list */
        return true;
    for (unsigned i = 0; i < mapped_count; i++)
        if (mapped_numbers[i] == number)
            return true;
    return false;
}

static struct inode **bucket_of(const struct stat *st) {
    return &inodes[(st->st_ino ^ st->st_dev) % INODE_BUCKETS];
}

static struct inode *inode_find(const struct stat *st) {
    for (struct inode *inode = *bucket_of(st); inode; inode = inode->next)
        if (inode->number == st->st_ino && inode->device == st->st_dev)
            return inode;
    return NULL;
}

bool files_pending(const struct stat *st) {
    mutex_lock(&files_lock);
    struct inode *inode = inode_find(st);
    bool pending = inode && atomic_load(&inode->pending) != 0;
    mutex_unlock(&files_lock);
    return pending;
}

/* Streams have no place, no end and no space to run out of. */
static struct file_system streams = {.known = true, .headroom = true, .far_offset = UINT64_MAX};

/* Who has none of its names may have it all the same: by a fork, a message or /proc. */
static bool is_sealable(int fd, const struct stat *st) {
    long seals = S_ISREG(st->st_mode) && st->st_nlink == 0 ? sys(SYS_fcntl, fd, F_GET_SEALS) : -1;
    return seals >= 0 && !(seals & F_SEAL_SEAL);
}

static struct inode *inode_get(int fd, const struct stat *st) {
    struct inode **bucket = bucket_of(st), *known = inode_find(st);
    if (known)
        return known;
    struct file_system *fs = S_ISREG(st->st_mode) ? file_system_get(fd, st->st_dev) : &streams;
    struct inode *inode = fs ? pool_get(&inode_pool) : NULL;
    if (!inode)
        return NULL;
    /* copied whole, so that a stale pointer never sees one without its file system */
    struct inode fresh = {
        .device = st->st_dev,
        .number = st->st_ino,
        .file_system = fs,
        .end.filled = STREAM_UNKNOWN,
        .mapped = number_was_mapped(st->st_ino),
        .sealable = is_sealable(fd, st),
        .next = *bucket,
    };
    atomic_thread_fence(memory_order_release); /* what it leads to is there before a stale pointer to it shows it */
    memcpy(inode, &fresh, sizeof fresh);
    *bucket = inode;
    return inode;
}

_Atomic uint32_t files_errors;

/*
 * An inode that was mapped once stays known, so that it isn't taken for a fresh one when it is opened again. When too
 * many were, every file counts as mapped.
 */
static void inode_put(struct inode *inode) {
    static unsigned kept;
    if (--inode->references > 0 || inode->kept)
        return;
    files_take_inode_error(inode); /* which nobody can be told any more */
    if (inode->mapped && kept < MAPPED_MAX) {
        inode->kept = true;
        kept++;
        return;
    }
    if (inode->mapped)
        mapped_count = MAPPED_MAX;
    struct inode **link = &inodes[(inode->number ^ inode->device) % INODE_BUCKETS];
    while (*link != inode)
        link = &(*link)->next;
    *link = inode->next;
    pool_put(&inode_pool, inode);
}

static long stat_fd(int fd, struct stat *st) {
    return sys(SYS_fstat, fd, st);
}

_Atomic uint32_t files_passings = 1;

bool files_is_private(const struct ofd *ofd) {
    return ofd->born == atomic_load_explicit(&files_passings, memory_order_relaxed);
}

bool files_position_is_ours(const struct ofd *ofd) {
    return single_threaded() && files_is_private(ofd);
}

static bool position_is_far(int fd, const struct inode *inode) {
    long position = sys(SYS_lseek, fd, 0, SEEK_CUR);
    return position < 0 || (uint64_t)position > inode->file_system->far_offset;
}

_Atomic bool files_far;

void files_look_at_position(int fd, struct ofd *ofd) {
    ofd->far = position_is_far(fd, ofd->inode);
}

void files_moved(int fd, int64_t position) {
    enum { NEAR = 16 << 10 };
    struct fd_slot *slot = files_slot(fd);
    files_go_to(position);
    if (slot && slot->reads > 0 && position >= 0) {
        if (position > slot->read_at + NEAR || position < slot->read_at - NEAR)
            slot->reads = 0;
        slot->read_at = position;
    }
    struct ofd *ofd = slot ? atomic_load_explicit(&slot->ofd, memory_order_acquire) : NULL;
    if (ofd && position >= 0)
        ofd->far = (uint64_t)position > ofd->inode->file_system->far_offset;
}

static _Atomic bool direct_forbidden;

bool files_forbid_direct(void) {
    if (atomic_exchange(&direct_forbidden, true))
        return false;
    atomic_fetch_add(&files_generation, 1);
    return true;
}

/* The bits that must be 0 in addresses, sizes and offsets for direct I/O to be done as such; 0: unknown. */
static uint32_t direct_bits(const struct file_system *fs, int fd) {
    uint32_t alignment =
        atomic_load_explicit(&direct_forbidden, memory_order_relaxed) ? 0 : file_system_alignment(fs, fd);
    return alignment ? alignment - 1 : 0;
}

/* The reason, from the descriptor's flags, not to defer its writes. */
static enum reason flags_reason(long flags) {
    if (flags < 0 || (flags & O_PATH) || (flags & O_ACCMODE) == O_RDONLY)
        return REASON_bad_fd;
    if (flags & O_DSYNC) /* O_SYNC includes it */
        return REASON_sync_flag;
    return flags & O_DIRECT && flags & (O_APPEND | O_ASYNC) ? REASON_direct_flag : REASON_NONE;
}

/* Direct reads may be read ahead only by who can be alone with the file: a read lease wants a descriptor for reading.
 */
static enum ahead flags_ahead(long flags) {
    if (flags < 0 || flags & O_PATH || (flags & O_ACCMODE) == O_WRONLY)
        return AHEAD_NEVER;
    if (flags & O_DIRECT && (flags & O_ASYNC || (flags & O_ACCMODE) != O_RDONLY))
        return AHEAD_NEVER;
    return (flags & O_ACCMODE) == O_RDONLY ? AHEAD_AT_POSITION : AHEAD_AT_OFFSET;
}

/* What the descriptor's flags say of its OFD. */
static void look_at_flags(int fd, struct ofd *ofd) {
    long flags = sys(SYS_fcntl, fd, F_GETFL);
    if (ofd->stream) {
        ofd->reason = stream_flags(ofd->stream, flags);
        return;
    }
    ofd->direct = flags >= 0 && flags & O_DIRECT ? DIRECT_UNKNOWN : 0;
    ofd->reason = flags_reason(flags);
    if (ofd->reason == REASON_NONE && ofd->inode->sealable)
        ofd->reason = REASON_sealable;
    ofd->ahead = flags_ahead(flags);
}

/* Not when it is classified: a filter may forbid the question, and nobody has tried yet whether it does. */
static void settle_direct(int fd, struct ofd *ofd) {
    if (ofd->direct != DIRECT_UNKNOWN)
        return;
    ofd->direct = direct_bits(ofd->inode->file_system, fd);
    if (!ofd->direct) {
        ofd->reason = ofd->reason ? ofd->reason : REASON_direct_flag;
        ofd->ahead = AHEAD_NEVER;
    }
}

/* Fills the slot: ofd, or other; leaves it empty if the number is not open. files_lock held. */
static void classify(int fd, struct fd_slot *slot) {
    struct stat st;
    if (stat_fd(fd, &st) != 0)
        return;
    enum stream stream = STREAM_NONE;
    if (!S_ISREG(st.st_mode)) {
        enum reason reason;
        stream = stream_look(fd, &st, &reason);
        if (reason != REASON_NONE) {
            slot->other = (uint8_t)reason;
            return;
        }
    }
    struct inode *inode = inode_get(fd, &st);
    if (!inode || !inode->file_system->known) {
        slot->other = inode ? REASON_file_system : REASON_no_memory;
        return;
    }
    struct ofd *ofd = pool_get(&ofd_pool);
    if (!ofd)
        return;
    struct ofd fresh = {
        .inode = inode,
        .references = 1,
        .serial = ++serials,
        .generation = atomic_load_explicit(&files_generation, memory_order_relaxed),
        .born = slot->born,
        .stream = stream,
        .far = !stream && position_is_far(fd, inode),
    };
    look_at_flags(fd, &fresh);
    inode->references++;
    atomic_thread_fence(memory_order_release); /* as above */
    memcpy(ofd, &fresh, sizeof fresh);
    atomic_store_explicit(&slot->ofd, ofd, memory_order_release);
}

/* With files_lock held. */
static struct ofd *ofd_of(int fd, struct fd_slot *slot) {
    if (!atomic_load_explicit(&slot->ofd, memory_order_relaxed) && !slot->other)
        classify(fd, slot);
    return atomic_load_explicit(&slot->ofd, memory_order_relaxed);
}

struct ofd *files_ofd(int fd, struct fd_slot *slot) {
    struct ofd *ofd = atomic_load_explicit(&slot->ofd, memory_order_acquire);
    if (ofd)
        return ofd;
    mutex_lock(&files_lock);
    ofd = ofd_of(fd, slot);
    mutex_unlock(&files_lock);
    return ofd;
}

/* Flags and options are the description's: who else has it may set them, too. */
static bool verify_stream(int fd, struct fd_slot *slot, const struct stat *st, uint32_t generation) {
    struct ofd *ofd = atomic_load_explicit(&slot->ofd, memory_order_relaxed);
    enum reason reason = REASON_NONE;
    if (ofd->generation != generation && stream_look(fd, st, &reason) != ofd->stream)
        reason = reason ? reason : REASON_stream_kind;
    ofd->generation = generation;
    look_at_flags(fd, ofd);
    if (reason != REASON_NONE)
        ofd->reason = reason;
    struct inode *inode = ofd->inode;
    /* by another description, or in another thread's log: the kernel can't count that yet */
    ofd->room = 0;
    if (ofd->reason || atomic_load_explicit(&inode->pending, memory_order_relaxed))
        return true;
    ofd->room = stream_room(fd, ofd->stream, inode->largest, &inode->end);
    if (!inode->end.unread) /* nothing is left of the pages that the last ones were in */
        inode->largest = 0;
    return true;
}

bool files_verify(int fd, struct fd_slot *slot) {
    struct ofd *ofd = atomic_load_explicit(&slot->ofd, memory_order_relaxed);
    struct stat st;
    if (!ofd || stat_fd(fd, &st) != 0 || st.st_ino != ofd->inode->number || st.st_dev != ofd->inode->device)
        return false;
    uint32_t generation = atomic_load_explicit(&files_generation, memory_order_relaxed);
    if (ofd->stream)
        return verify_stream(fd, slot, &st, generation);
    if (ofd->generation != generation || !files_is_private(ofd)) { /* who shares the description may set them, too */
        ofd->generation = generation;
        look_at_flags(fd, ofd);
    }
    settle_direct(fd, ofd);
    if ((uint64_t)st.st_size > ofd->inode->file_system->far_offset)
        ofd->reason = REASON_far_offset;
    return true;
}

void files_check_headroom(int fd, struct file_system *fs, uint64_t bytes) {
    fs->unchecked += bytes;
    file_system_check(fd, fs, false);
}

void files_look_again(int fd) {
    struct fd_slot *slot = files_slot(fd);
    if (!slot)
        return;
    mutex_lock(&files_lock);
    uint64_t now = ticks_now();
    struct ofd *ofd = atomic_load_explicit(&slot->ofd, memory_order_relaxed);
    if (ofd && !ofd->stream && files_verify(fd, slot)) {
        ofd->verified_at = now;
        file_system_check(fd, ofd->inode->file_system, true);
    }
    mutex_unlock(&files_lock);
}

/* The last reference is gone: nobody can find it any more. files_lock held. */
static void ofd_free(struct ofd *ofd) {
    inode_put(ofd->inode);
    pool_put(&ofd_pool, ofd);
}

static void release_locked(struct ofd *ofd) {
    if (atomic_fetch_sub(&ofd->references, 1) == 1)
        ofd_free(ofd);
}

/* Empties a slot; its reference goes to the caller. files_lock held. */
static struct ofd *slot_clear(struct fd_slot *slot, uint8_t other) {
    struct ofd *ofd = atomic_load_explicit(&slot->ofd, memory_order_relaxed);
    atomic_store_explicit(&slot->ofd, NULL, memory_order_relaxed);
    files_forget_hints(slot, other);
    return ofd;
}

/* Nothing but hints is known of numbers then, and no other thread makes an OFD of one meanwhile. */
static bool only_hints(void) {
    return single_threaded() || critical_is_bare();
}

struct ofd *files_detach(int fd) {
    struct fd_slot *slot = files_slot(fd);
    if (!slot)
        return NULL;
    if (only_hints() && !atomic_load_explicit(&slot->ofd, memory_order_relaxed))
        return slot_clear(slot, 0); /* nobody else could make something of it before it is closed */
    mutex_lock(&files_lock);
    struct ofd *ofd = slot_clear(slot, REASON_closing);
    mutex_unlock(&files_lock);
    return ofd;
}

void files_detached(int fd) {
    struct fd_slot *slot = files_slot(fd);
    if (!slot || slot->other != REASON_closing)
        return;
    mutex_lock(&files_lock);
    if (slot->other == REASON_closing)
        slot->other = 0;
    mutex_unlock(&files_lock);
}

void files_release(struct ofd *ofd) {
    if (atomic_fetch_sub(&ofd->references, 1) != 1)
        return;
    mutex_lock(&files_lock);
    ofd_free(ofd);
    mutex_unlock(&files_lock);
}

int files_highest(void) {
    return (int)((top_page + 1) * PAGE - 1);
}

void files_learn_anew(void) {
    for (int fd = 0; fd <= files_highest(); fd++) {
        struct fd_slot *slot = files_slot(fd);
        struct ofd *ofd = slot ? atomic_load_explicit(&slot->ofd, memory_order_acquire) : NULL;
        if (slot) {
            slot->skip = 0;
            slot->interruptions = 0;
            slot->rehearsals = slot->rehearsals > 1 ? 1 : slot->rehearsals;
        }
        if (ofd)
            ofd->habit = (struct habit){.paid = ofd->habit.paid};
    }
}

static _Atomic bool strays;

void files_strays_come(void) {
    atomic_store_explicit(&strays, true, memory_order_relaxed);
}

void files_share(int from, int to) {
    struct fd_slot *source = files_slot(from);
    if (from != to && !(source && atomic_load_explicit(&source->ofd, memory_order_relaxed)))
        files_strays_come();
    if (from == to || !source)
        return;
    if (!atomic_load_explicit(&source->ofd, memory_order_relaxed) && !source->other && !source->born)
        return;
    struct fd_slot *target = files_slot_make(to);
    if (!target)
        return;
    if (only_hints() && !atomic_load_explicit(&source->ofd, memory_order_relaxed) &&
        !atomic_load_explicit(&target->ofd, memory_order_relaxed)) {
        slot_clear(target, source->other);
        target->born = source->born;
        return;
    }
    mutex_lock(&files_lock);
    struct ofd *old = slot_clear(target, 0);
    if (old)
        release_locked(old);
    struct ofd *ofd = atomic_load_explicit(&source->ofd, memory_order_relaxed);
    if (ofd)
        ofd->references++;
    atomic_store_explicit(&target->ofd, ofd, memory_order_release);
    target->other = source->other;
    target->born = source->born;
    mutex_unlock(&files_lock);
}

void files_failed(struct inode *inode, int error) {
    if (!atomic_exchange(&inode->error, error))
        atomic_fetch_add(&files_errors, 1);
}

int files_take_inode_error(struct inode *inode) {
    if (likely(!atomic_load_explicit(&inode->error, memory_order_relaxed)))
        return 0;
    int error = atomic_exchange(&inode->error, 0);
    if (error)
        atomic_fetch_sub(&files_errors, 1);
    return error;
}

struct ofd *files_in_error(int fd) {
    struct stat st;
    struct ofd *same = NULL;
    if (stat_fd(fd, &st) != 0)
        return NULL;
    mutex_lock(&files_lock);
    for (int other = 0; other <= files_highest() && !same; other++) {
        struct fd_slot *slot = files_slot(other);
        struct ofd *ofd = slot ? atomic_load_explicit(&slot->ofd, memory_order_relaxed) : NULL;
        if (ofd && ofd->inode->number == st.st_ino && ofd->inode->device == st.st_dev &&
            atomic_load(&ofd->inode->error))
            same = ofd;
    }
    mutex_unlock(&files_lock);
    return same;
}

static bool is_unknown(int fd, const struct inode *inode) {
    struct fd_slot *slot = files_slot(fd);
    struct stat st;
    return (!slot || (!slot->other && !atomic_load_explicit(&slot->ofd, memory_order_relaxed))) &&
           stat_fd(fd, &st) == 0 && st.st_ino == inode->number && st.st_dev == inode->device;
}

static void slot_link(int fd, struct fd_slot *slot, struct ofd *ofd) {
    mutex_lock(&files_lock);
    if (is_unknown(fd, ofd->inode)) { /* still, and no other thread has found out */
        slot_clear(slot, 0);
        atomic_fetch_add(&ofd->references, 1);
        atomic_store_explicit(&slot->ofd, ofd, memory_order_release);
    }
    mutex_unlock(&files_lock);
}

/* A file may be open many times; a socket has one description, whatever its numbers are. */
void files_goes_on(int fd, struct ofd *ofd) {
    enum { NUMBERS = 4096 };
    struct inode *inode = ofd->inode;
    int other = 0, most = files_highest() < NUMBERS ? NUMBERS : files_highest();
    mutex_lock(&files_lock);
    bool known = inode->references > 1 || atomic_load(&ofd->references) > 1;
    mutex_unlock(&files_lock);
    if (known || (ofd->stream && ofd->born && !atomic_load_explicit(&strays, memory_order_relaxed)))
        return;
    while (other <= most && (other == fd || !is_unknown(other, inode)))
        other++;
    struct fd_slot *slot = other <= most ? files_slot_make(other) : NULL;
    if (slot && !ofd->stream)
        files_ofd(other, slot); /* which has the same inode */
    else if (slot)
        slot_link(other, slot, ofd);
}

void files_mark_mapped(int fd) {
    struct fd_slot *slot = files_slot_make(fd);
    if (!slot)
        return;
    mutex_lock(&files_lock);
    struct ofd *ofd = ofd_of(fd, slot);
    if (ofd)
        ofd->inode->mapped = true;
    mutex_unlock(&files_lock);
}

void files_mark_mapped_inode(ino_t number) {
    mutex_lock(&files_lock);
    if (!mapped_numbers)
        mapped_numbers = arena_map(MAPPED_MAX * sizeof *mapped_numbers, ARENA_INHERIT);
    if (!mapped_numbers)
        mapped_count = MAPPED_MAX;
    if (!number_was_mapped(number))
        mapped_numbers[mapped_count++] = number;
    for (int i = 0; i < INODE_BUCKETS; i++)
        for (struct inode *inode = inodes[i]; inode; inode = inode->next)
            if (inode->number == number)
                inode->mapped = true;
    mutex_unlock(&files_lock);
}

void files_fork_prepare(void) {
    mutex_lock(&files_lock);
}

/* Numbers, descriptions and inodes hold in the child too. */
void files_fork_done(void) {
    mutex_unlock(&files_lock);
}
