// streams_full KIND SIZE WAY…: a writer of records of that size before a stream that is full, for nobody reads it yet.
// Where it waits, what interrupts it and what doesn't, what others do meanwhile, and that no byte is lost or there
// twice.

#include "stream_kinds.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <sys/time.h>

enum { MORE = 300, JUMPS_MADE = 25, TICK_US = 3000 };
enum reader { FAST, SLOW, JUMPS };

static const char *kind;
static size_t size;
static int ends[2], start[2], verdict[2];
static pid_t reader_process;
static volatile sig_atomic_t ticks, tell_at, jump_at;
static volatile int written;
static volatile bool jumpable, any_time;
static sigjmp_buf before;

// Reads when told to: every record, each the next, to the end; after a jump, perhaps one for a second time. How many
// there were is its verdict.
static void read_records(enum reader how) {
    char record[4096], expected[4096];
    int records = 0;
    close(ends[1]);
    close(start[1]);
    await_byte(start[0]);
    for (;; records++) {
        size_t part = read_all(ends[0], record, size);
        if (part == 0)
            break;
        record_of(expected, size, records);
        if (how == JUMPS && memcmp(record, expected, size) != 0)
            record_of(expected, size, --records);
        if (part != size || memcmp(record, expected, size) != 0)
            die("record %d isn't what was written", records);
        if (how != FAST && records % 100 == 0)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    require(write(verdict[1], &records, sizeof records) == sizeof records);
    _exit(0);
}

static void begin(enum reader how) {
    make_stream(kind, ends);
    require(pipe(start) == 0 && pipe(verdict) == 0);
    reader_process = fork();
    require(reader_process >= 0);
    if (!reader_process) {
        signal(SIGALRM, SIG_IGN);
        read_records(how);
    }
    close(start[0]);
    close(verdict[1]);
}

static void tell(void) {
    require(write(start[1], "x", 1) == 1);
}

// The reader must have got each record that was answered; and one that was not answered where `perhaps`.
static void end(bool perhaps) {
    int records, status;
    close(ends[1]);
    require(read_all(verdict[0], &records, sizeof records) == sizeof records);
    require(waitpid(reader_process, &status, 0) == reader_process && status == 0);
    if (records == written || (perhaps && records == written + 1))
        note("each record once\n");
    else
        note("%d records arrived of %d\n", records, written);
    close(ends[0]);
    close(start[1]);
    close(verdict[0]);
}

static void ticking(bool on) {
    struct itimerval every = {{0, on ? TICK_US : 0}, {0, on ? TICK_US : 0}};
    require(setitimer(ITIMER_REAL, &every, NULL) == 0);
}

static void tick(int number) {
    static volatile int last;
    int error = errno;
    (void)number;
    ticks = any_time || written == last ? ticks + 1 : 0; // it waits, or hasn't had its turn
    last = written;
    if (tell_at && ticks == tell_at) {
        tell_at = 0;
        tell();
    }
    if (jumpable && jump_at && ticks == jump_at) {
        jump_at = 0;
        siglongjmp(before, 1);
    }
    errno = error;
}

static void handle_ticks(int flags) {
    struct sigaction action = {.sa_handler = tick, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    require(sigaction(SIGALRM, &action, NULL) == 0);
    ticks = 0;
    written = 0;
}

static long put(void) {
    char record[4096];
    record_of(record, size, written);
    long result = write(ends[1], record, size);
    written += result == (long)size;
    return result;
}

static void put_on(int limit) {
    while (written < limit)
        if (put() == -1)
            require(errno == EINTR);
}

// A pipe holds so many records whatever the pieces in which they came; a socket more in fewer. One call later is
// allowed. Less is too little where it's sure that the writer waited.
static void note_where(const char *what, bool waited) {
    int most = fitting(kind, size);
    if ((waited && written < most) || (!is_socket(kind) && written > most + 1))
        note("%s at %d, not %d\n", what, written, most);
    else
        note("%s\n", what);
}

// Without SA_RESTART: the write that waits is interrupted, and says so.
static void interrupted(void) {
    begin(FAST);
    handle_ticks(0);
    ticking(true);
    long result;
    int error, full = 0;
    do {
        errno = 0;
        result = put();
        error = errno;
        full = result == -1 ? full + 1 : 0;
        // It may have come before there was nothing to wait for.
    } while (full < 3);
    ticking(false);
    note("%ld %s, ", result, strerrorname_np(error));
    note_where("interrupted", true);
    tell();
    put_on(written + MORE);
    end(false);
}

// A socket whose writer doesn't wait for ever.
static void timed_out(void) {
    struct timeval limit = {.tv_usec = 20000};
    begin(FAST);
    written = 0;
    require(setsockopt(ends[1], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0);
    while (errno = UNTOUCHED, put() != -1)
        ;
    int error = errno;
    note("%s, ", strerrorname_np(error));
    note_where("timed out", true);
    tell();
    // What the reader takes from now on the time doesn't suffice for, perhaps.
    for (int limit_of_all = written + MORE; written < limit_of_all;)
        require(put() != -1 || errno == EAGAIN);
    end(false);
}

// With it: it waits on, however often the handler runs. Who has it go on is the handler.
static void restarted(void) {
    begin(FAST);
    handle_ticks(SA_RESTART);
    tell_at = 10;
    ticking(true);
    int limit = most_fitting(kind, size) + MORE, errors = 0;
    while (written < limit)
        errors += put() == -1;
    ticking(false);
    note("%d errors, %s\n", errors, tell_at ? "it didn't wait" : "it waited");
    end(false);
}

// A handler jumps out of the waiting; what the program does then has nothing to do with the stream.
static void jumped(void) {
    int other[2], file = open("beside", O_RDWR | O_CREAT | O_TRUNC, 0600);
    char got[5];
    begin(FAST);
    require(pipe(other) == 0 && file >= 0);
    handle_ticks(SA_RESTART);
    jump_at = 4;
    if (sigsetjmp(before, 1) == 0) {
        jumpable = true;
        ticking(true);
        for (;;)
            put();
    }
    jumpable = false;
    ticking(false);
    note_where("jumped", false);
    TRY(write(file, "while it is full\n", 17));
    TRY(write(other[1], "along", 5));
    TRY(read(other[0], got, 5));
    TRY(fsync(file));
    tell();
    TRY(write(file, "told\n", 5));
    end(true);
    close(other[0]);
    close(other[1]);
    close(file);
}

// The same again and again, at any moment: a record is whole or isn't there, and nobody holds what the next one needs.
static void jumped_often(void) {
    begin(JUMPS);
    handle_ticks(SA_RESTART);
    tell();
    any_time = true;
    ticking(true);
    for (int jumps = 0; jumps < JUMPS_MADE; jumps++) {
        jump_at = 1, ticks = 0;
        if (sigsetjmp(before, 1) == 0) {
            jumpable = true;
            for (;;)
                put();
        }
        jumpable = false;
    }
    ticking(false);
    any_time = false;
    put_on(written + MORE);
    end(false);
}

// One write of more than goes in: a short count, as much as went.
static void interrupted_large(void) {
    static char much[1 << 20], got[1 << 20];
    int stream[2], bytes = 0;
    make_stream(kind, stream);
    handle_ticks(0);
    for (size_t i = 0; i < sizeof much; i++)
        much[i] = (char)(i % 251);
    size_t small = 0;
    for (int i = fitting(kind, size) / 2; i > 0; i--, small += size)
        require(write(stream[1], much + small, size) == (ssize_t)size);
    ticking(true);
    long result = write(stream[1], much + small, sizeof much - small);
    while (result == -1 && errno == EINTR)
        result = write(stream[1], much + small, sizeof much - small);
    long again = write(stream[1], "x", 1);
    note("then %ld %s\n", again, again == -1 ? strerrorname_np(errno) : "");
    ticking(false);
    bytes = (int)stream_fill(stream[0]);
    if (again == 1)
        require(!is_socket(kind) || bytes > 0);
    require(read_all(stream[0], got, (size_t)bytes) == (size_t)bytes);
    bool right = result > 0 && bytes == (int)small + (int)result + (again == 1) &&
                 memcmp(got, much, small + (size_t)result) == 0;
    note("%s\n", right ? "as much arrived as was said" : "what arrived isn't what was said");
    close(stream[0]);
    close(stream[1]);
}

// As much as goes in natively, all of it by whoever reads it then: nobody may wait. In sizes that fit a page well and
// badly.
static void own_reader(void) {
    static char bytes[1 << 20], got[1 << 20];
    uint64_t rng = 1;
    for (int pattern = 0; pattern < 12; pattern++) {
        int dry[2], real[2], pieces = 0, lengths[4096];
        size_t sum = 0;
        make_stream(kind, dry);
        make_stream(kind, real);
        require(fcntl(dry[1], F_SETFL, O_NONBLOCK) == 0);
        rng_fill(&rng, bytes, sizeof bytes);
        for (; pieces < (int)COUNT_OF(lengths); pieces++) {
            static const int fixed[] = {64, 100, 700, 1365, 2049, 3000};
            lengths[pieces] = pattern < 6    ? fixed[pattern]
                              : pattern < 10 ? 1 + (int)rng_below(&rng, (uint64_t)200 << pattern % 5)
                                             : (pieces % 2 ? 3000 : 500 + pattern);
            if (write(dry[1], bytes + sum, (size_t)lengths[pieces]) != lengths[pieces])
                break;
            sum += (size_t)lengths[pieces];
        }
        sum = 0;
        for (int i = 0; i < pieces; i++) {
            require(write(real[1], bytes + sum, (size_t)lengths[i]) == lengths[i]);
            sum += (size_t)lengths[i];
            // The stream's tail is at any place, and so is what waits.
            if (i % 50 == 17 && pattern % 2)
                require((int)stream_fill(real[0]) == (int)sum);
        }
        require(read_all(real[0], got, sum) == sum);
        note("pattern %d: %s\n", pattern, memcmp(got, bytes, sum) == 0 ? "right" : "wrong");
        close(dry[0]);
        close(dry[1]);
        close(real[0]);
        close(real[1]);
    }
}

// Others go on meanwhile, and only when they're done is it read.
static void *work(void *number) {
    char name[16], line[32], got[32];
    snprintf(name, sizeof name, "beside%d", (int)(intptr_t)number);
    int file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    require(file >= 0);
    for (int i = 0; i < 60; i++) {
        for (int j = 0; j < 20; j++) {
            snprintf(line, sizeof line, "line %d of %d in %d\n", j, i, (int)(intptr_t)number);
            require(write(file, line, strlen(line)) == (ssize_t)strlen(line));
        }
        require(pread(file, got, strlen(line), lseek(file, 0, SEEK_CUR) - (off_t)strlen(line)) ==
                (ssize_t)strlen(line));
        require(memcmp(got, line, strlen(line)) == 0 && (i % 10 || fsync(file) == 0));
        sched_yield();
    }
    require(close(file) == 0);
    return NULL;
}

static void *fill(void *unused) {
    put_on(most_fitting(kind, size) + MORE);
    return unused;
}

static void among_threads(void) {
    pthread_t writer, workers[2];
    begin(FAST);
    handle_ticks(0);
    require(pthread_create(&writer, NULL, fill, NULL) == 0);
    await_full(ends);
    for (intptr_t i = 0; i < 2; i++)
        require(pthread_create(&workers[i], NULL, work, (void *)i) == 0);
    for (int i = 0; i < 2; i++)
        require(pthread_join(workers[i], NULL) == 0);
    work((void *)2);
    tell();
    require(pthread_join(writer, NULL) == 0);
    end(false);
}

// Full to the brim, and then another call: it may have to wait, but is itself neither interrupted nor changed.
static void other_calls(void) {
    for (int call = 0; call < 10; call++) {
        struct stat st;
        char byte;
        int status, limit = fitting(kind, size), file = open("beside", O_RDWR | O_CREAT | O_TRUNC, 0600);
        begin(FAST);
        require(file >= 0);
        handle_ticks(call % 2 ? SA_RESTART : 0);
        tell_at = 3; // who waits has it from the handler that it will be read
        ticking(true);
        put_on(limit);
        switch (call) {
        case 0:
            TRY(rename("beside", "renamed"));
            break;
        case 1:
            TRY(stat("beside", &st));
            note("%d\n", (int)st.st_size);
            break;
        case 2:
            TRY(fsync(file));
            break;
        case 3:
            TRY(pread(file, &byte, 1, 0));
            break;
        case 4: {
            pid_t child = fork();
            if (!child)
                _exit(3);
            while (waitpid(child, &status, 0) == -1)
                require(errno == EINTR);
            note("child %x\n", (unsigned)status);
            break;
        }
        case 5:
            TRY(dup2(file, 20) == 20);
            close(20);
            break;
        case 6:
            TRY(write(file, "more\n", 5));
            break;
        case 7:
            TRY(getppid() > 0);
            break;
        case 8:
            TRY(lseek(file, 0, SEEK_END));
            break;
        default:
            TRY(unlink("beside"));
        }
        while (tell_at)
            sched_yield();
        ticking(false);
        put_on(limit + MORE);
        end(false);
        close(file);
    }
    unlink("renamed");
}

// Somebody else's signals, while a child waits: it dies at once, and what it wrote is there, each record whole.
static void dies_of(int number, bool handling) {
    int status, records = 0;
    char record[4096], expected[4096];
    make_stream(kind, ends);
    pid_t child = fork();
    require(child >= 0);
    if (!child) {
        if (handling) { // others, and goes on to wait
            handle_ticks(SA_RESTART);
            ticking(true);
        }
        close(ends[0]);
        for (written = 0;;)
            put();
    }
    await_full(ends);
    a_while();
    if (number == SIGPIPE) {
        close(ends[0]);
        close(ends[1]);
    } else {
        require(kill(child, number) == 0);
        close(ends[1]);
    }
    require(waitpid(child, &status, 0) == child);
    note("signal %d: status %x", number, (unsigned)status);
    if (number != SIGPIPE) {
        for (size_t part; (part = read_all(ends[0], record, size)) != 0; records++) {
            record_of(expected, size, records);
            if (part != size || memcmp(record, expected, size) != 0)
                die("record %d isn't what was written", records);
        }
        close(ends[0]);
        written = records;
        note_where(", full", false);
    } else {
        note("\n");
    }
}

static void deaths(void) {
    static const int numbers[] = {SIGTERM, SIGINT, SIGKILL, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        dies_of(numbers[i], false);
    dies_of(SIGTERM, true);
}

// Reader and writer are stopped and continued, at any moment.
static void stopped(void) {
    begin(SLOW);
    handle_ticks(SA_RESTART);
    pid_t writer = getpid(), child = fork();
    require(child >= 0);
    if (!child) {
        pid_t both[] = {reader_process, writer};
        for (int i = 0; i < 30; i++) {
            kill(both[i % 2], SIGSTOP);
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
            kill(both[i % 2], SIGCONT);
        }
        _exit(0);
    }
    tell();
    put_on(most_fitting(kind, size) + 20 * MORE);
    while (waitpid(child, NULL, 0) == -1)
        require(errno == EINTR);
    end(false);
}

static const struct {
    const char *name;
    void (*run)(void);
} ways[] = {
    {"interrupted", interrupted}, {"timed_out", timed_out},   {"restarted", restarted},
    {"timed_out", timed_out},     {"jumped", jumped},         {"jumped_often", jumped_often},
    {"large", interrupted_large}, {"own_reader", own_reader}, {"threads", among_threads},
    {"calls", other_calls},       {"deaths", deaths},         {"stopped", stopped},
};

int main(int argc, char **argv) {
    require(argc > 3);
    kind = argv[1];
    size = (size_t)atoi(argv[2]);
    require(size >= 8 && size <= 4096);
    for (int i = 3; i < argc; i++) {
        size_t way = 0;
        while (strcmp(argv[i], ways[way].name) != 0)
            require(++way < COUNT_OF(ways));
        note("%s\n", ways[way].name);
        ways[way].run();
    }
    print_transcript();
    return 0;
}
