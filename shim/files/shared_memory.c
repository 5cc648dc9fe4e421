#include "files/shared_memory.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include "base/live.h"
#include "base/lock.h"
#include "base/maps.h"
#include "base/passing.h"
#include "base/sys.h"
#include "files/files.h"

enum { REGIONS_MAX = 128, PRIVATE_FDS_MAX = 32 };

struct region {
    uintptr_t start, end;
    bool writable;
    bool alone;   /* anonymous or memfd: nobody else has it yet */
    bool segment; /* System V's: whether anybody else has it is for the kernel to say */
    int id;       /* then */
};

static struct mutex lock;
static struct region regions[REGIONS_MAX] APART;
static int region_count;
static bool hidden; /* something that can't be followed */

static struct {
    dev_t device;
    ino_t number;
} private_inodes[PRIVATE_FDS_MAX] LATER; /* memfds */
static int private_count;

static bool forking;        /* a child is about to have, or has, whatever this process has attached */
static bool names_changed;  /* of segments: a number may be another one's */
static _Atomic bool relied; /* on a segment that nobody else has */

static bool asynchronous;

static _Atomic bool scan_needed = true;

bool shared_memory_any(void) {
    return __atomic_load_n(&region_count, __ATOMIC_RELAXED) > 0;
}

static bool is_private_fd(int fd) {
    struct stat st;
    if (fd < 0)
        return true;
    if (private_count == 0 || sys(SYS_fstat, fd, &st) != 0)
        return false;
    for (int i = 0; i < private_count; i++)
        if (private_inodes[i].number == st.st_ino && private_inodes[i].device == st.st_dev && st.st_nlink == 0)
            return true;
    return false;
}

void shared_memory_lock(void) {
    mutex_lock(&lock);
}

void shared_memory_unlock(void) {
    mutex_unlock(&lock);
}

static void region_add(struct region region) {
    if (region_count == REGIONS_MAX)
        hidden = true;
    else
        regions[region_count++] = region;
}

static void region_add_part(struct region of, uintptr_t start, uintptr_t end) {
    of.start = start;
    of.end = end;
    region_add(of);
}

/* Anonymous memory that can't be written here may be elsewhere after a fork: what is read there is a message, too. */
void shared_memory_mapped(void *start, size_t length, int prot, int fd) {
    bool writable = (prot & PROT_WRITE) || fd < 0;
    region_add((struct region){(uintptr_t)start, (uintptr_t)start + length, writable, .alone = is_private_fd(fd)});
}

void shared_memory_attached(void *start, int id) {
    region_add((struct region){(uintptr_t)start, (uintptr_t)start + 1, true, .segment = true, .id = id});
}

void shared_memory_names_changed(void) {
    names_changed = true;
}

/* Takes [start, end) out of a region: what is left of it on either side stays. */
static void regions_cut(uintptr_t start, uintptr_t end) {
    for (int i = region_count - 1; i >= 0; i--) {
        struct region old = regions[i];
        if (old.end <= start || end <= old.start)
            continue;
        regions[i] = regions[--region_count];
        if (old.start < start)
            region_add_part(old, old.start, start);
        if (end < old.end)
            region_add_part(old, end, old.end);
    }
}

static uintptr_t page_end(void *start, size_t length) {
    uintptr_t within = maps_page_size() - 1;
    return ((uintptr_t)start + length + within) & ~within;
}

/*
 * Without the lock. Who moves a region in the list moves it towards the front, and it is looked through from its end:
 * so one that is there all the time is seen.
 */
bool shared_memory_at(const void *start, size_t length) {
    uintptr_t from = (uintptr_t)start, to = page_end((void *)start, length + !length);
    if (to <= from)
        return true;
    for (int i = __atomic_load_n(&region_count, __ATOMIC_ACQUIRE) - 1; i >= 0; i--)
        if (__atomic_load_n(&regions[i].start, __ATOMIC_ACQUIRE) < to &&
            from < __atomic_load_n(&regions[i].end, __ATOMIC_ACQUIRE))
            return true;
    return false;
}

void shared_memory_unmapped(void *start, size_t length) {
    regions_cut((uintptr_t)start, page_end(start, length));
}

void shared_memory_detached(void *start) {
    shared_memory_unmapped(start, 1);
}

void shared_memory_moved(void *from, size_t length, void *to, size_t new_length) {
    struct region old = {0};
    for (int i = 0; i < region_count; i++)
        if (regions[i].start <= (uintptr_t)from && (uintptr_t)from < regions[i].end)
            old = regions[i];
    if (old.end) {
        regions_cut((uintptr_t)from, page_end(from, length));
        region_add_part(old, (uintptr_t)to, page_end(to, new_length));
    }
}

void shared_memory_protected(void *start, size_t length, int prot) {
    if (!(prot & PROT_WRITE))
        return;
    for (int i = 0; i < region_count; i++)
        if (regions[i].start < page_end(start, length) && (uintptr_t)start < regions[i].end)
            regions[i].writable = true;
}

void shared_memory_private_fd(int fd) {
    struct stat st;
    if (private_count == PRIVATE_FDS_MAX || sys(SYS_fstat, fd, &st) != 0)
        return;
    private_inodes[private_count].device = st.st_dev;
    private_inodes[private_count++].number = st.st_ino;
}

void shared_memory_hidden(void) {
    hidden = true;
}

void shared_memory_passed_on(void) {
    private_count = 0;
    for (int i = 0; i < region_count; i++)
        regions[i].alone = false;
}

void shared_memory_fork_prepare(void) {
    mutex_lock(&lock);
    shared_memory_passed_on();
    forking = true;
}

void shared_memory_forked(void) {
    forking = false;
}

/*
 * Does nobody but this process have the segment attached, and may nobody attach it any more? Linux lets one who knows
 * its number do that even when it is marked for destruction (shmctl(2)); this is asked again before each batch. Under a
 * filter the question might be fatal.
 */
static bool segment_alone(int id) {
    struct shmid_ds segment;
    unsigned long ours = 0;
    if (forking || names_changed || sys(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0) != 0 ||
        sys(SYS_shmctl, id, IPC_STAT, &segment) != 0)
        return false;
    for (int i = 0; i < region_count; i++)
        ours += regions[i].segment && regions[i].id == id;
    return segment.shm_perm.mode & SHM_DEST && segment.shm_perm.__key == IPC_PRIVATE && segment.shm_nattch == ours;
}

bool shared_memory_exists(void) {
    bool exists = hidden, segments = false;
    for (int i = 0; i < region_count; i++) {
        exists |= regions[i].writable && !regions[i].alone && !(regions[i].segment && segment_alone(regions[i].id));
        segments |= regions[i].segment;
    }
    atomic_store_explicit(&relied, segments && !exists, memory_order_relaxed);
    return exists;
}

bool shared_memory_joined(void) {
    if (likely(!atomic_load_explicit(&relied, memory_order_relaxed)))
        return false;
    mutex_lock(&lock);
    bool joined = shared_memory_exists();
    mutex_unlock(&lock);
    return joined;
}

bool shared_memory_any_alone(void) {
    return shared_memory_any() || __atomic_load_n(&private_count, __ATOMIC_RELAXED) > 0;
}

bool shared_memory_asynchronous(void) {
    return asynchronous;
}

void shared_memory_scan_needed(void) {
    atomic_store_explicit(&scan_needed, true, memory_order_relaxed);
}

static bool region_known(uintptr_t start) {
    bool known = false;
    for (int i = 0; i < region_count; i++)
        known |= regions[i].start <= start && start < regions[i].end;
    return known;
}

/*
 * libaio's, there if the program was linked with libaio: then it finds our shells before the functions with which
 * libaio begins. Where that was loaded later it may not.
 */
extern int io_submit(void) __attribute__((weak, visibility("default")));

static void see_mapping(const struct mapping *mapping, void *unused) {
    (void)unused;
    if (!mapping->readable && mapping->writable)
        files_forbid_direct();
    /* io_uring's own rings are shared with the kernel only; ours are not made yet, the program's own count elsewhere */
    bool ring = strstr(mapping->name, "[io_uring]") != NULL, ours = mapping->start == (uintptr_t)live_mapping();
    mutex_lock(&lock);
    if (mapping->shared && mapping->writable && !ring && !ours && !region_known(mapping->start))
        hidden = true;
    mutex_unlock(&lock);
    if (strstr(mapping->name, "/liburing.so") || (strstr(mapping->name, "/libaio.so") && !io_submit))
        asynchronous = true;
    if (mapping->inode && !ring && !ours)
        files_mark_mapped_inode(mapping->inode);
}

bool shared_memory_scan(void) {
    if (!atomic_exchange_explicit(&scan_needed, false, memory_order_relaxed))
        return true;
    passing_begins();
    bool scanned = maps_read(see_mapping, NULL);
    passing_ends();
    if (!scanned)
        shared_memory_scan_needed();
    return scanned;
}
