#include "behind/group_sync.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/single.h"
#include "ring/direct.h"

/*
 * Two syncs of a file may be under way: while who waited for one wakes up, to begin the next, the device would have
 * nothing to do.
 */
enum { GROUPS = 64, AT_ONCE = 2 };

/* Those who are syncing one file now. The file's name in it counts while there are any. */
static struct group {
    struct mutex lock;
    dev_t device;
    ino_t number;
    _Atomic uint32_t users;
    uint32_t running;                 /* syncs that are under way */
    uint32_t begun;                   /* syncs so far */
    _Atomic uint32_t good, good_full; /* the latest that succeeded, and the latest of these that was no fdatasync */
    _Atomic int good_fd;              /* by this number was the latest */
    _Atomic uint32_t completed;       /* how many; to wait by */
} groups[GROUPS] APART;
static _Atomic bool joined; /* anybody, ever */

static struct group *join(int fd) {
    struct stat st;
    if (sys(SYS_fstat, fd, &st) != 0 || !S_ISREG(st.st_mode))
        return NULL;
    struct group *group = &groups[(st.st_ino ^ st.st_dev) % GROUPS];
    if (!atomic_load_explicit(&joined, memory_order_relaxed)) {
        atomic_store(&joined, true);
        atomic_thread_fence(memory_order_seq_cst); /* a fork that copies the lock taken copies this, too */
    }
    mutex_lock(&group->lock);
    if (group->users == 0) {
        group->device = st.st_dev;
        group->number = st.st_ino;
    } else if (group->number != st.st_ino || group->device != st.st_dev) {
        mutex_unlock(&group->lock); /* another file's */
        return NULL;
    }
    group->users++;
    return group;
}

static bool later(uint32_t number, uint32_t than) {
    return (int32_t)(number - than) > 0;
}

/* Has a sync that began after number `before` served who wants this kind? Numbers may go round. */
static bool served(struct group *group, uint32_t before, bool data_only) {
    return later(atomic_load(data_only ? &group->good : &group->good_full), before);
}

/* With the lock held, and given back. */
static int lead(struct group *group, int fd, bool data_only) {
    uint32_t number = ++group->begun;
    group->running++;
    mutex_unlock(&group->lock);
    int result = direct_sync(fd, data_only);
    mutex_lock(&group->lock);
    group->running--;
    if (result == 0 && later(number, group->good)) {
        atomic_store(&group->good_fd, fd);
        atomic_store(&group->good, number);
    }
    if (result == 0 && !data_only && later(number, group->good_full))
        atomic_store(&group->good_full, number);
    atomic_fetch_add(&group->completed, 1);
    mutex_unlock(&group->lock);
    futex_wake_all(&group->completed);
    return result;
}

/*
 * Served by somebody else's: is there an error that this description hasn't been told of (sync_file_range(2))? It has
 * been told of all if it was the one that was synced.
 */
static int own_error(const struct group *group, int fd) {
    return atomic_load(&group->good_fd) == fd ? 0
                                              : (int)sys(SYS_sync_file_range, fd, 0, 1, SYNC_FILE_RANGE_WAIT_BEFORE);
}

/* With the lock held, and given back: true, somebody else's sync has served; false, it is the caller's turn. */
static bool wait_to_be_served(struct group *group, bool data_only) {
    uint32_t before = group->begun;
    while (group->running >= AT_ONCE) {
        uint32_t completed = atomic_load(&group->completed);
        mutex_unlock(&group->lock);
        futex_wait(&group->completed, completed, 0);
        if (served(group, before, data_only))
            return true;
        mutex_lock(&group->lock);
    }
    if (!served(group, before, data_only))
        return false;
    mutex_unlock(&group->lock);
    return true;
}

int group_sync(struct thread *self, int fd, bool data_only) {
    if (single_threaded() || !thread_free(self))
        return GROUP_YOURSELF;
    critical_enter();
    int result = GROUP_YOURSELF;
    struct group *group = join(fd);
    if (group && wait_to_be_served(group, data_only)) {
        self->stats->count[COUNT_SYNCS_SHARED]++;
        result = own_error(group, fd);
    } else if (group) {
        result = lead(group, fd, data_only);
    }
    if (group)
        atomic_fetch_sub(&group->users, 1);
    critical_leave();
    return result;
}

void group_sync_forked(void) {
    if (atomic_load_explicit(&joined, memory_order_relaxed))
        memset(groups, 0, sizeof groups);
}
