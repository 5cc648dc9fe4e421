// What the families of channels share: the records, the look at them, and a way to wait that no library sees.
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

enum { RECORD = 16, RECORDS = 5, SLOTS = 64, CANNOT = 77 };

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
static long now, rounds; // the round that this process is in, of so many
static char dir[3000];
static bool forgetful; // play a library that forgets the barrier: the records never reach the file
static int log_fd, table_fd, kept_fd = -1;
static volatile int *seen; // rounds the observer has found to be right; -1: one was not
static bool observing;     // this process is the one that reports there
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

// Returns when the word is no longer `value`.
static void bare_wait(volatile int *word, int value) {
    static const struct timespec limit = {.tv_sec = HANG_SECONDS};
    while (*word == value)
        if (bare_futex(word, FUTEX_WAIT, value, &limit) == -ETIMEDOUT)
            give_up("the other side is silent");
}

static void map_seen(bool writable) {
    int fd = MUST(open(path_of("seen"), writable ? O_RDWR : O_RDONLY));
    seen = MUST(mmap(NULL, sizeof *seen, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0));
    close(fd);
    observing = writable;
}

static void record_of(char *record, long round, int index) {
    char text[32];
    snprintf(text, sizeof text, "%010ld %03d\n", round, index);
    memcpy(record, text, RECORD - 1);
    record[RECORD - 1] = '\n';
}

static void write_records(void) {
    char record[RECORD];
    if (forgetful)
        return;
    for (int i = 0; i < RECORDS; i++) {
        record_of(record, now, i);
        if (write(log_fd, record, RECORD) != RECORD)
            give_up("write");
    }
    int64_t value = now;
    if (pwrite(table_fd, &value, sizeof value, now % SLOTS * (off_t)sizeof value) != sizeof value)
        give_up("pwrite");
}

// A library may let a process's first writes go straight through.
static void warm_up(void) {
    int fd = MUST(open(path_of("warm"), O_WRONLY | O_CREAT | O_TRUNC, 0600));
    for (int i = 0; i < 300; i++)
        MUST(write(fd, "warming up now.\n", RECORD));
    close(fd);
}

static void open_files(int flags) {
    log_fd = MUST(open(path_of("log"), O_RDWR | O_CREAT | flags, 0600));
    table_fd = MUST(open(path_of("table"), O_RDWR | O_CREAT, 0600));
}

static bool log_holds(int fd, long round) {
    char want[RECORDS][RECORD], have[RECORDS][RECORD];
    for (int i = 0; i < RECORDS; i++)
        record_of(want[i], round, i);
    return pread(fd, have, sizeof have, round * (off_t)sizeof have) == sizeof have && !memcmp(want, have, sizeof have);
}

// Through a name opened anew, and every other time through a descriptor that was open before the write.
static bool holds(long round) {
    int fd = kept_fd >= 0 && round % 2 ? kept_fd : MUST(open(path_of("log"), O_RDONLY));
    bool right = log_holds(fd, round);
    if (fd != kept_fd)
        close(fd);
    int64_t value = -1;
    fd = MUST(open(path_of("table"), O_RDONLY));
    if (pread(fd, &value, sizeof value, round % SLOTS * (off_t)sizeof value) != sizeof value || value < round)
        right = false;
    close(fd);
    return right;
}

static void look(void) {
    if (!holds(now))
        give_up("told, but the record is not there");
}

static void look_and_wake(void) {
    look();
    *seen = (int)now + 1;
    bare_wake(seen);
}

static void await_look(void) {
    bare_wait(seen, (int)now);
    if (*seen != now + 1)
        give_up("the observer is not content");
}

// Nothing may be there twice, torn, or out of turn.
static void check_whole_log(void) {
    struct stat status;
    MUST(stat(path_of("log"), &status));
    if (status.st_size != rounds * RECORDS * RECORD)
        give_up("the log has %lld bytes in the end", (long long)status.st_size);
    int fd = MUST(open(path_of("log"), O_RDONLY));
    for (now = 0; now < rounds; now++)
        if (!log_holds(fd, now))
            give_up("the record is wrong in the end");
    close(fd);
}

static void await_observer(void) {
    int status;
    MUST(waitpid(observer, &status, 0));
    if (status)
        give_up("the observer's status is %x", (unsigned)status);
}
