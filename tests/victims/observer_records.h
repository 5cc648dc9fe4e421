// The records, and the look at them. With --stream each is also written to a stream, which the observer then empties.
#pragma once

#include "observer.h"
#include "streams.h"

// The stream's ends have numbers that every process of the test knows, whichever program it runs.
enum { RECORD = 16, RECORDS = 5, SLOTS = 64, STREAM_IN = 100, STREAM_OUT = 101 };

// To be forgotten, by a sender that plays a library without the barrier: all records, or those to the stream.
static bool forgetful;
static int table_fd, kept_fd = -1;
static bool streaming, by_network; // there is a stream; what it is sent may take a while

static void make_streams(const char *kind) {
    int ends[2];
    open_stream(kind, path_of("stream"), ends);
    MUST(dup2(ends[0], STREAM_IN));
    MUST(dup2(ends[1], STREAM_OUT));
    close(ends[0]);
    close(ends[1]);
}

static void find_streams(void) {
    int domain;
    socklen_t length = sizeof domain;
    streaming = fcntl(STREAM_IN, F_GETFD) >= 0 || fcntl(STREAM_OUT, F_GETFD) >= 0;
    by_network = streaming && !getsockopt(STREAM_IN, SOL_SOCKET, SO_DOMAIN, &domain, &length) && domain == AF_INET;
}

static void record_of(char *record, long round, int index) {
    char text[32];
    snprintf(text, sizeof text, "%010ld %03d\n", round, index);
    memcpy(record, text, RECORD - 1);
    record[RECORD - 1] = '\n';
}

static void write_records(void) {
    char record[RECORD];
    if (forgetful && !streaming)
        return;
    for (int i = 0; i < RECORDS; i++) {
        record_of(record, now, i);
        if (write(log_fd, record, RECORD) != RECORD)
            give_up("write");
        if (streaming && !forgetful && write(STREAM_OUT, record, RECORD) != RECORD)
            give_up("write to the stream");
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

// The kernel may put off what goes over the network, if only to this machine itself. If that is the rule, it's not the
// kernel that does it.
static bool arrives(void) {
    static volatile int late_here;
    volatile int *late = seen ? seen + 1 : &late_here; // many an observer looks only once
    struct timeval limit = {.tv_sec = 5};
    char peeked[RECORDS * RECORD];
    if (!by_network || ++*late > now / 10 + 2)
        return false;
    MUST(setsockopt(STREAM_IN, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    return recv(STREAM_IN, peeked, sizeof peeked, MSG_PEEK | MSG_WAITALL) == sizeof peeked;
}

static void take_from_stream(void) {
    char want[RECORDS][RECORD], have[RECORDS][RECORD];
    size_t fill = stream_fill(STREAM_IN);
    if (fill != sizeof have && (fill > sizeof have || !arrives()))
        give_up("told, and the stream has %zu bytes", fill);
    for (int i = 0; i < RECORDS; i++)
        record_of(want[i], now, i);
    if (read(STREAM_IN, have, sizeof have) != sizeof have || memcmp(want, have, sizeof have) != 0)
        give_up("the stream has other records");
    if ((fill = stream_fill(STREAM_IN)) != 0)
        give_up("the stream has %zu bytes more", fill);
}

static void look(void) {
    if (streaming)
        take_from_stream();
    if (!holds(now))
        give_up("told, but the record is not there");
}

static void look_and_wake(void) {
    look();
    *seen = (int)now + 1;
    bare_wake(seen);
}

// A telling that was deferred goes out when its caller is seen to wait. It is seen late: where the telling went out at
// once, nothing shall cover up for a barrier that was forgotten before it.
static void be_seen_waiting(void) {
    if (!bare_wait_for(seen, (int)now, (struct timespec){.tv_nsec = 200000}))
        syscall(SYS_futex, seen, FUTEX_WAIT, (int)now, NULL, NULL, 0);
}

static void await_look(void) {
    if (deferrable)
        be_seen_waiting();
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
