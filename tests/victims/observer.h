// What the families of channels share: their rounds, and a way to wait that no library sees.
//
// The sender must do nothing between telling and the observer's look: any further libc call might be a barrier that
// hides a forgotten one. So it waits by a bare system call on a page that it has mapped read-only, and the observer,
// which has the same page writable, wakes it.
#pragma once

#include "bare.h"
#include "common.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CANNOT = 77, SEEN_SIZE = 2 * sizeof(int) };

struct channel {
    const char *name;
    int share;             // one in so many rounds is run: some channels are slow
    void (*prepare)(void); // before the fork: what both sides use
    void (*begin)(void);   // sender: before the records are written
    void (*tell)(void);    // sender: after them
    void (*hear)(void);    // observer: returns when it has been told
    void (*run)(void);     // in place of all these: channels that are processes themselves
};

static const struct channel *channel;
static bool deferrable;  // the channel's telling may be
static long now, rounds; // the round that this process is in, of so many
static char dir[3000];
static volatile int *seen; // rounds that the observer has found to be right (-1: one was not), and how many came late
static bool observing;     // this process is the one that reports there
static int log_fd;
static pid_t sender, observer;
static int flag_fd; // of whatever the channel uses

static long bare_futex(volatile int *word, int operation, int value, const struct timespec *limit) {
    return bare_call(SYS_futex, word, operation, value, limit);
}

static void bare_wake(volatile int *word) {
    bare_futex(word, FUTEX_WAKE, 1 << 30, NULL);
}

__attribute__((format(printf, 1, 2), noreturn)) static void give_up(const char *format, ...) {
    char text[512];
    int length = snprintf(text, sizeof text, "%s: %s: round %ld: ", program_invocation_short_name,
                          channel ? channel->name : "", now);
    va_list list;
    va_start(list, format);
    length += vsnprintf(text + length, sizeof text - (size_t)length, format, list);
    va_end(list);
    dprintf(2, "%s\n", text);
    if (observing) {
        *seen = -1;
        bare_wake(seen);
    }
    _exit(1);
}

#define MUST(call)                                                                                                     \
    ({                                                                                                                 \
        __auto_type result_ = (call);                                                                                  \
        if (result_ == (__typeof__(result_))-1)                                                                        \
            give_up("%s: %m", #call);                                                                                  \
        result_;                                                                                                       \
    })

#define POLL_UNTIL(condition)                                                                                          \
    while (!(condition))                                                                                               \
    sched_yield()

// Gives a path in the test's directory; up to four may be in use at a time.
__attribute__((format(printf, 1, 2))) static const char *path_of(const char *format, ...) {
    static char paths[4][sizeof dir + 64];
    static unsigned turn;
    char name[64];
    va_list list;
    va_start(list, format);
    vsnprintf(name, sizeof name, format, list);
    va_end(list);
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static bool there(const char *path) {
    return access(path, F_OK) == 0;
}

static void make_flag(void) {
    flag_fd = MUST(open(path_of("flag"), O_RDWR | O_CREAT, 0600));
    MUST(write(flag_fd, "x", 1));
}

// Returns when the word is no longer `value`, or after this time.
static bool bare_wait_for(volatile int *word, int value, struct timespec limit) {
    while (*word == value)
        if (bare_futex(word, FUTEX_WAIT, value, &limit) == -ETIMEDOUT)
            return false;
    return true;
}

static void bare_wait(volatile int *word, int value) {
    if (!bare_wait_for(word, value, (struct timespec){.tv_sec = HANG_SECONDS}))
        give_up("the other side is silent");
}

static void map_seen(bool writable) {
    int fd = MUST(open(path_of("seen"), writable ? O_RDWR : O_RDONLY));
    seen = MUST(mmap(NULL, SEEN_SIZE, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0));
    close(fd);
    observing = writable;
}

static void await_observer(void) {
    int status;
    MUST(waitpid(observer, &status, 0));
    if (status)
        give_up("the observer's status is %x", (unsigned)status);
}
