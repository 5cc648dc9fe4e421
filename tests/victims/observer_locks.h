// Locks: the observer waits for one that the sender lets go.
#pragma once

#include "observer_records.h"

#include <sys/file.h>

static int lock_fds[2];

// Locks: the sender holds two, and releases them by turns, so that the observer never finds one free too early.
static void make_locks(void) {
    close(MUST(creat(path_of("lock.0"), 0600)));
    close(MUST(creat(path_of("lock.1"), 0600)));
}

static int open_lock(long round) {
    return MUST(open(path_of("lock.%ld", round % 2), O_RDWR));
}

static struct flock whole(short type) {
    return (struct flock){.l_type = type, .l_whence = SEEK_SET};
}

// In round 0 both locks are to be taken; the observer waits for that.
static void begin_locks(void (*take)(int)) {
    if (!now) {
        lock_fds[1] = open_lock(1);
        take(lock_fds[1]);
        lock_fds[0] = open_lock(0);
        take(lock_fds[0]);
        close(MUST(creat(path_of("locked"), 0600)));
        return;
    }
    int *again = &lock_fds[(now - 1) % 2];
    if (*again < 0)
        *again = open_lock(now - 1);
    take(*again);
}

static void hear_lock(void (*take)(int)) {
    if (!now)
        POLL_UNTIL(there(path_of("locked")));
    int fd = open_lock(now);
    take(fd);
    close(fd);
}

static void take_flock(int fd) {
    MUST(flock(fd, LOCK_EX));
}
static void take_lockf(int fd) {
    MUST(lockf(fd, F_LOCK, 0));
}

static void take_fcntl(int fd) {
    struct flock lock = whole(F_WRLCK);
    MUST(fcntl(fd, F_SETLKW, &lock));
}

static void take_ofd(int fd) {
    struct flock lock = whole(F_WRLCK);
    MUST(fcntl(fd, F_OFD_SETLKW, &lock));
}

static void begin_flock(void) {
    begin_locks(take_flock);
}
static void begin_lockf(void) {
    begin_locks(take_lockf);
}
static void begin_fcntl(void) {
    begin_locks(take_fcntl);
}
static void begin_ofd(void) {
    begin_locks(take_ofd);
}
static void hear_flock(void) {
    hear_lock(take_flock);
}
static void hear_lockf(void) {
    hear_lock(take_lockf);
}
static void hear_fcntl(void) {
    hear_lock(take_fcntl);
}
static void hear_ofd(void) {
    hear_lock(take_ofd);
}
static void tell_flock(void) {
    MUST(flock(lock_fds[now % 2], LOCK_UN));
}
static void tell_lockf(void) {
    MUST(lockf(lock_fds[now % 2], F_ULOCK, 0));
}

static void tell_fcntl(void) {
    struct flock lock = whole(F_UNLCK);
    MUST(fcntl(lock_fds[now % 2], F_SETLK, &lock));
}

static void tell_ofd(void) {
    struct flock lock = whole(F_UNLCK);
    MUST(fcntl(lock_fds[now % 2], F_OFD_SETLK, &lock));
}

static void tell_close_lock(void) {
    close(lock_fds[now % 2]);
    lock_fds[now % 2] = -1;
}

// Any descriptor of the file will do to lose a record lock.
static void tell_close_other(void) {
    close(open_lock(now));
}

// The lock goes when another file takes over its number.
static void tell_dup2(void) {
    MUST(dup2(log_fd, lock_fds[now % 2]));
}

static void begin_dup2(void) {
    if (now) {
        close(lock_fds[(now - 1) % 2]);
        lock_fds[(now - 1) % 2] = -1;
    }
    begin_flock();
}
