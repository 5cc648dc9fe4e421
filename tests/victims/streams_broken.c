// streams_broken KIND: a writer, or one of its threads, whose reader goes without a word. It writes to the stream and
// to a file in turns; how it ends, and how much is in the file then.

#include "stream_kinds.h"

#include <limits.h>

#include <pthread.h>

enum { READ = 640 };

static const char *kind;
static int ends[2];
static size_t size;
static char record[4096];
static volatile sig_atomic_t broken;
static volatile pid_t broken_in;

static void count(int number) {
    broken += number == SIGPIPE;
    broken_in = gettid();
}

static bool came(int before) {
    struct sigaction action;
    sigset_t pending;
    require(sigaction(SIGPIPE, NULL, &action) == 0 && sigpending(&pending) == 0);
    return action.sa_handler == SIG_IGN || broken != before || sigismember(&pending, SIGPIPE);
}

// A socket whose reader goes with something unread says that first, and not by a signal; and neither does a socket of
// AF_UNIX in whose write the program waits then. Which it is nobody can know.
static long write_or_break(int stream) {
    int before = broken;
    long result = write(stream, record, size);
    bool first = result == -1 && is_socket(kind) && (errno == ECONNRESET || (errno == EPIPE && !came(before)));
    return first ? write(stream, record, size) : result;
}

static long turn(int stream, int file, int number) {
    record_of(record, size, number);
    long result = write_or_break(stream);
    if (result == -1)
        return -1;
    require(result == (long)size);
    char line[8];
    record_of(line, sizeof line, number);
    require(write(file, line, sizeof line) == sizeof line);
    return result;
}

// How many whole lines there are, each the next.
static int lines_in(const char *name) {
    char line[8], expected[8];
    int fd = open(name, O_RDONLY), lines = 0;
    require(fd >= 0);
    for (;; lines++) {
        size_t part = read_all(fd, line, sizeof line);
        if (part == 0)
            break;
        record_of(expected, sizeof expected, lines);
        if (part != sizeof line || memcmp(line, expected, sizeof line) != 0)
            die("%s: line %d is wrong", name, lines);
    }
    close(fd);
    return lines;
}

static void read_records(int first, int records) {
    static char bytes[4096];
    for (int i = first; i < first + records; i++) {
        require(read_all(ends[0], bytes, size) == size);
        record_of(record, size, i);
        if (memcmp(bytes, record, size) != 0)
            die("record %d isn't what was written", i);
    }
}

// Each record in the file, except the first that wasn't in the stream, was told to have been written; none that comes
// after it was.
static void dies(bool full) {
    make_stream(kind, ends);
    unlink("lines");
    int file = open("lines", O_WRONLY | O_CREAT, 0600);
    require(file >= 0);
    pid_t child = fork();
    require(child >= 0);
    if (!child) {
        signal(SIGPIPE, SIG_DFL);
        close(ends[0]);
        for (int i = 0;; i++)
            require(turn(ends[1], file, i) == (long)size);
    }
    read_records(0, READ);
    if (full)
        await_full(ends);
    int left = (int)stream_fill(ends[0]) / (int)size, status;
    close(ends[1]);
    close(ends[0]);
    require(waitpid(child, &status, 0) == child);
    // What TCP holds grows while it is used, on either side.
    int lines = lines_in("lines"), limit = strcmp(kind, "tcp") == 0 ? INT_MAX : READ + most_fitting(kind, size);
    note("%s, %zu bytes, %s: status %x, ", kind, size, full ? "full" : "not full", (unsigned)status);
    if (lines < READ + left)
        note("%d lines, of %d records that were in the stream\n", lines, READ + left);
    else if (lines > limit)
        note("%d lines, where no more than %d records can have been in the stream\n", lines, limit);
    else
        note("as many lines as records\n");
    close(file);
}

// It knows that the reader has gone: there is nothing that it may do after the next write.
static void dies_told(void) {
    int channel[2], status;
    make_stream(kind, ends);
    require(pipe(channel) == 0);
    unlink("lines");
    int file = open("lines", O_WRONLY | O_CREAT, 0600);
    pid_t child = fork();
    require(child >= 0);
    if (!child) {
        signal(SIGPIPE, SIG_DFL);
        close(ends[0]);
        close(channel[1]);
        for (int i = 0; i < READ / 10; i++)
            require(turn(ends[1], file, i) == (long)size);
        await_end(channel[0]);
        for (int i = READ / 10;; i++)
            turn(ends[1], file, i);
    }
    read_records(0, READ / 10);
    close(ends[1]);
    close(ends[0]);
    close(channel[0]);
    close(channel[1]);
    require(waitpid(child, &status, 0) == child);
    note("%s, %zu bytes, told: status %x, %d lines\n", kind, size, (unsigned)status, lines_in("lines"));
    close(file);
}

// The reader is a child that goes when it has read so much.
static pid_t start_reader(void) {
    make_stream(kind, ends);
    pid_t child = fork();
    require(child >= 0);
    if (!child) {
        close(ends[1]);
        read_records(0, READ);
        _exit(0);
    }
    close(ends[0]);
    return child;
}

static void goes_on(bool handled) {
    unlink("lines");
    int file = open("lines", O_WRONLY | O_CREAT, 0600), written = 0;
    signal(SIGPIPE, handled ? count : SIG_IGN);
    broken = 0;
    pid_t child = start_reader();
    while (errno = UNTOUCHED, turn(ends[1], file, written) != -1)
        written++;
    note("%s, %zu bytes, %s: %s, ", kind, size, handled ? "handled" : "ignored", strerrorname_np(errno));
    note("%d signals\n", (int)broken);
    TRY(write(ends[1], record, size));
    note("%d signals\n", (int)broken);
    require(close(file) == 0);
    int lines = lines_in("lines");
    note("%s\n", lines == written ? "as many lines as were written" : "other lines than were written");
    close(ends[1]);
    require(waitpid(child, NULL, 0) == child);
}

// SIGPIPE is for the thread that writes, and nobody else.
static void *write_there(void *blocked) {
    sigset_t set, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    require(pthread_sigmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL) == 0);
    int file = open("lines", O_WRONLY | O_CREAT | O_TRUNC, 0600), written = 0;
    while (errno = UNTOUCHED, turn(ends[1], file, written) != -1)
        written++;
    note("%s, in a thread: %s, ", kind, strerrorname_np(errno));
    require(sigpending(&pending) == 0);
    note("%s, ", sigismember(&pending, SIGPIPE) ? "one waits" : "none waits");
    note("%d came%s\n", (int)broken, !broken || broken_in == gettid() ? "" : " to another thread");
    if (blocked)
        TRY(sigtimedwait(&set, NULL, &(struct timespec){0}) - SIGPIPE);
    close(file);
    return NULL;
}

static void in_a_thread(bool blocked) {
    pthread_t thread;
    signal(SIGPIPE, blocked ? SIG_DFL : count);
    broken = 0;
    pid_t child = start_reader();
    require(pthread_create(&thread, NULL, write_there, blocked ? &thread : NULL) == 0);
    require(pthread_join(thread, NULL) == 0);
    close(ends[1]);
    require(waitpid(child, NULL, 0) == child);
}

int main(int argc, char **argv) {
    static const size_t sizes[] = {64, 100, 1024};
    require(argc == 2);
    kind = argv[1];
    alarm(HANG_SECONDS);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        size = sizes[i];
        dies(false);
        dies(true);
        dies_told();
        goes_on(false);
        goes_on(true);
        in_a_thread(true);
        in_a_thread(false);
    }
    print_transcript();
    unlink("lines");
    return 0;
}
