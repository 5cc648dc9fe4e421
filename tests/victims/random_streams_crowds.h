// The operations of random_streams in which writers and readers run at the same time. What is noted is what must come
// out, however they meet.
#pragma once

#include "random_streams_processes.h"

static size_t any_crowd_size(void) {
    return one_in(4) ? any_size() : 1 + below(200);
}

// Until the pipe holds much, if so much is still to come: the writer may be waiting.
static void pause_reading(const struct stream *stream, const struct lane *lane, uint64_t total, int fd) {
    uint64_t much = is_socket(stream) ? 1000 : stream->slots * 1024; // a small write to a socket takes much room
    uint64_t left = total - lane->taken;
    while (look(fd) < (left < much ? left : much))
        usleep(100);
}

// So much, in pieces of all sizes.
static void read_slowly(const struct stream *stream, struct lane *lane, uint64_t total, int fd) {
    while (lane->taken < total) {
        if (one_in(40))
            pause_reading(stream, lane, total, fd);
        uint64_t left = total - lane->taken;
        size_t size = 1 + below(one_in(4) ? sizeof data : 500);
        ssize_t got = take_data(any_how(stream) % RECV, fd, data, size < left ? size : left);
        if (got < 0 && errno == EINTR)
            continue;
        require(got > 0);
        has_taken(lane, data, (size_t)got);
    }
}

static void tick(int number) {
    (void)number;
}

static void start_ticking(int flags, long us) {
    struct sigaction action = {.sa_handler = tick, .sa_flags = flags};
    struct itimerval timer = {{0, us}, {0, us}};
    require(!sigaction(SIGALRM, &action, NULL) && !setitimer(ITIMER_REAL, &timer, NULL));
}

static void stop_ticking(void) {
    struct itimerval never = {{0, 0}, {0, 0}};
    require(!setitimer(ITIMER_REAL, &never, NULL));
    signal(SIGALRM, SIG_DFL);
}

// The whole, whatever interrupts it. Not by dprintf then, which can't say how much of it was written.
static void put_whole(const struct stream *stream, struct lane *lane, int fd, size_t size, bool interrupted) {
    for (uint64_t end = lane->written + size; lane->written < end;) {
        enum way way = any_way(stream);
        long long result = put(lane, fd, way == DPRINTF && interrupted ? WRITE : way, end - lane->written);
        require(result > 0 || (errno == EINTR && interrupted));
    }
}

// A writer and a reader that is as slow as it likes.
static void op_race(void) {
    struct stream stream;
    struct ends ends = any_own_stream(&stream);
    struct lane *lane = stream.lanes;
    size_t sizes[200];
    uint64_t total = 0;
    unsigned count = 20 + (unsigned)below(COUNT_OF(sizes) - 20);
    bool ticking = one_in(3), child_writes = one_in(2), mute = me.mute;
    int flags = one_in(2) ? SA_RESTART : 0;
    for (unsigned i = 0; i < count; i++)
        total += sizes[i] = any_crowd_size();
    pid_t child = start_child();
    uint64_t rng_after = rng_next(&me.rng);
    if ((child == 0) == child_writes) {
        close_end(&ends.in);
        if (ticking)
            start_ticking(flags, 500 + (long)below(3000));
        me.mute |= ticking;
        for (unsigned i = 0; i < count; i++)
            put_whole(&stream, lane, ends.out, sizes[i], ticking);
        if (ticking)
            stop_ticking();
        require(lane->written == total);
        if (one_in(2))
            close_end(&ends.out);
    } else {
        close_end(&ends.out);
        read_slowly(&stream, lane, total, ends.in);
        lane->written = total;
        check_end(lane, ends.in);
    }
    if (child == 0)
        _exit(0);
    close_ends(&ends);
    me.mute = mute;
    me.rng = rng_after;
    await(child);
    note("%llu bytes", (unsigned long long)total);
}

// A reader that has enough. Whoever writes is told, sooner or later.
static void op_left(void) {
    struct stream stream;
    struct ends ends = any_own_stream(&stream);
    struct lane *lane = stream.lanes;
    bool handled = one_in(2), mute = me.mute;
    uint64_t enough = below(20000);
    sighandler_t old = signal(SIGPIPE, handled ? count_pipe_signal : SIG_IGN);
    pipe_signals = 0;
    pid_t child = start_child();
    uint64_t rng_after = rng_next(&me.rng);
    if (child == 0) {
        close_end(&ends.out);
        read_slowly(&stream, lane, enough, ends.in);
        _exit(0);
    }
    close_end(&ends.in);
    me.mute = true;
    while (put(lane, ends.out, (enum way)below(DPRINTF), 1 + below(200)) > 0)
        ;
    require(errno == EPIPE || errno == ECONNRESET);
    if (errno == EPIPE && handled) // a unix socket's writer that waits for room is told by EPIPE alone
        require(pipe_signals == 1 || (is_socket(&stream) && !pipe_signals));
    require(lane->written >= enough);
    me.mute = mute;
    me.rng = rng_after;
    close_ends(&ends);
    await(child);
    signal(SIGPIPE, old);
}

// A writer that dies by the signal: of what it would have done after the write that failed nothing is there.
static void op_died_of_it(void) {
    struct stream stream;
    struct ends ends = own_stream(&stream, (enum kind)below(KIND_TCP));
    int fd = me.scratch;
    off_t at = (off_t)me.scratch_size;
    bool told = one_in(2);
    if (told)
        close_end(&ends.in);
    pid_t child = start_child();
    if (child == 0) {
        signal(SIGPIPE, SIG_DFL);
        close_end(&ends.in);
        for (;; at += 10) {
            put(stream.lanes, ends.out, any_way(&stream) % DPRINTF, 100);
            require(pwrite(fd, "after that", 10, at) == 10);
        }
    }
    struct stat found;
    uint64_t rng_after = rng_next(&me.rng);
    if (!told)
        usleep((unsigned)below(1000));
    me.rng = rng_after;
    close_ends(&ends);
    await(child);
    require(!fstat(fd, &found));
    uint64_t after = (uint64_t)found.st_size - me.scratch_size;
    uint64_t most = told ? 0 : is_socket(&stream) ? 2200 : 700; // as many as fit in, and a little
    if (found.st_size < (off_t)me.scratch_size || after % 10 || after / 10 > most)
        wrong("%llu bytes after the last one", (unsigned long long)after);
    me.scratch_size = (uint64_t)found.st_size;
}

// Killed at any instant: what is there is a prefix of what was written, in a stream and in a file.
static void op_killed(void) {
    enum { RECORD = 64, RECORDS = 3000 };
    struct stream stream;
    struct ends ends = own_stream(&stream, KIND_PIPE);
    struct lane *lane = stream.lanes;
    uint64_t id = lane->id + 1;
    struct name name;
    struct stat found;
    bool mute = me.mute;
    snprintf(name.text, sizeof name.text, "killed.%d", me.number);
    int fd = open(name.text, O_CREAT | O_TRUNC | O_RDWR, 0600);
    require(fd >= 0 && fcntl(ends.out, F_SETPIPE_SZ, 1 << 20) >= RECORD * RECORDS);
    pid_t child = start_child();
    if (child == 0) {
        for (uint64_t i = 0; i < RECORDS; i++) {
            put(lane, ends.out, (enum way)below(DPRINTF), RECORD);
            fill(id, i * RECORD, data, RECORD);
            require(write(fd, data, RECORD) == RECORD);
        }
        for (;;)
            pause();
    }
    close_end(&ends.out);
    uint64_t rng_after = rng_next(&me.rng);
    usleep((unsigned)below(4000));
    require(!kill(child, SIGKILL));
    await(child);
    me.mute = true;
    for (ssize_t got; (got = read(ends.in, data, sizeof data)); has_taken(lane, data, (size_t)got))
        require(got > 0);
    require(!fstat(fd, &found));
    uint64_t size = (uint64_t)found.st_size;
    if (size % RECORD || lane->taken % RECORD || size > lane->taken || lane->taken > size + RECORD)
        wrong("%llu bytes in the stream, %llu in the file", (unsigned long long)lane->taken, (unsigned long long)size);
    for (uint64_t at = 0; at < size; at += RECORD) {
        require(pread(fd, data, RECORD, (off_t)at) == RECORD);
        expect(id, at, data, RECORD);
    }
    me.mute = mute;
    me.rng = rng_after;
    close_ends(&ends);
    require(!close(fd) && !unlink(name.text));
}

// Several write to one pipe. Each record is whole, and each writer's are in order.
struct record {
    uint16_t size;
    uint8_t writer;
    uint8_t filler;
    uint32_t number;
};

static void write_records(int fd, unsigned writer, unsigned records) {
    for (unsigned i = 0; i < records; i++) {
        size_t size = sizeof(struct record) + below(one_in(8) ? 4096 - sizeof(struct record) + 1 : 200);
        struct record record = {(uint16_t)size, (uint8_t)writer, 0, i};
        memcpy(data, &record, sizeof record);
        fill(writer, i, data + sizeof record, size - sizeof record);
        require(put_data((enum way)below(DPRINTF), fd, data, size) == (long long)size);
    }
}

static void read_whole(int fd, char *at, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t got = read(fd, at + done, size - done);
        require(got > 0);
        done += (size_t)got;
    }
}

static void op_crowd(void) {
    enum { WRITERS = 4 };
    struct stream stream;
    struct ends ends = own_stream(&stream, (enum kind)below(KIND_PAIR));
    unsigned writers = 2 + (unsigned)below(WRITERS - 1), records = 20 + (unsigned)below(200), numbers[WRITERS] = {0};
    pid_t children[WRITERS];
    for (unsigned i = 0; i < writers; i++)
        if (!(children[i] = start_child())) {
            me.rng += i;
            write_records(ends.out, i, records);
            _exit(0);
        }
    close_end(&ends.out);
    for (unsigned left = writers * records; left; left--) {
        struct record record;
        read_whole(ends.in, (char *)&record, sizeof record);
        if (record.writer >= writers || record.number != numbers[record.writer] || record.size > 4096)
            wrong("a torn record, or out of order: %u of writer %u", record.number, record.writer);
        read_whole(ends.in, data, record.size - sizeof record);
        expect(record.writer, record.number, data, record.size - sizeof record);
        numbers[record.writer]++;
    }
    if (read(ends.in, data, 1))
        wrong("more than all records");
    close_ends(&ends);
    for (unsigned i = 0; i < writers; i++)
        await(children[i]);
}
