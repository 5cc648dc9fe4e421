// signals_notify HOW ROUNDS: a timer's handler interrupts a writer anywhere, writes a record of its own and tells an
// observer by HOW (`pipe`, `socket`, `kill`, `quiet`: a pipe, with no record of its own), who looks at once: what the
// writer had been answered for is there, and what the handler wrote. HOW `exit`: the handler ends the process instead.

#include "signals.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

enum { RECORD = 16, SLOTS = 64 };

struct news {
    unsigned written, handled, streamed;
};

static const char *how;
static int log_fd, table_fd, own_fd, tell[2], answer[2], rounds;
static FILE *stream;
static volatile unsigned written, streamed, handled;
static pid_t observer;

static void record_of(char *record, unsigned number) {
    char text[32];
    snprintf(text, sizeof text, "%014u", number);
    memcpy(record, text, RECORD - 1);
    record[RECORD - 1] = '\n';
}

static void expect_in(const char *path, unsigned count) {
    char record[RECORD], want[RECORD];
    if (!count)
        return;
    int fd = open(path, O_RDONLY);
    require(fd >= 0);
    for (unsigned number = count - 1; number + 50 > count; number--) {
        record_of(want, number);
        if (pread(fd, record, RECORD, (off_t)number * RECORD) != RECORD || memcmp(record, want, RECORD) != 0)
            die("%s: told of %u, but %u is not there", path, count, number);
        if (!number)
            break;
    }
    close(fd);
}

static void look(struct news news) {
    unsigned found;
    expect_in("log", news.written);
    expect_in("own", news.handled);
    expect_in("stream", news.streamed);
    int fd = open("table", O_RDONLY);
    require(fd >= 0);
    if (news.written) {
        unsigned last = news.written - 1;
        if (pread(fd, &found, sizeof found, last % SLOTS * (off_t)sizeof found) != sizeof found || found < last)
            die("table: %u is not there", last);
    }
    close(fd);
}

static void observe(void) {
    struct news news;
    sigset_t set = set_of(SIGUSR1, 0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        if (!strcmp(how, "kill")) {
            siginfo_t info;
            require(sigwaitinfo(&set, &info) == SIGUSR1);
            if (info.si_value.sival_int < 0)
                _exit(0);
            expect_in("log", (unsigned)info.si_value.sival_int);
            require(write(answer[1], "y", 1) == 1);
            continue;
        }
        ssize_t got = read(tell[0], &news, sizeof news);
        if (got == 0)
            _exit(0);
        require(got == sizeof news);
        look(news);
        require(write(answer[1], "y", 1) == 1);
    }
}

static void report(int number) {
    char record[RECORD], yes = 0;
    int error = errno;
    (void)number;
    if (strcmp(how, "quiet") != 0) {
        record_of(record, handled);
        require(write(own_fd, record, RECORD) == RECORD);
        handled++;
    }
    struct news news = {written, handled, streamed};
    if (!strcmp(how, "exit")) {
        // The parent looks when this process has ended.
        if (handled == 5) {
            require(pwrite(table_fd, &news, sizeof news, 4096) == sizeof news);
            _exit(0);
        }
    } else {
        if (!strcmp(how, "kill"))
            require(sigqueue(observer, SIGUSR1, (union sigval){.sival_int = (int)written}) == 0);
        else
            require(write(tell[1], &news, sizeof news) == sizeof news);
        require(read(answer[0], &yes, 1) == 1 && yes == 'y');
    }
    errno = error;
    rounds--;
}

static void write_under_timer(uint64_t state) {
    char record[RECORD];
    while (rounds > 0) {
        int before = rounds;
        struct itimerval once = {.it_value.tv_usec = 1 + (long)rng_below(&state, 200)};
        require(setitimer(ITIMER_REAL, &once, NULL) == 0);
        while (rounds == before) {
            record_of(record, written);
            unsigned number = written;
            require(pwrite(table_fd, &number, sizeof number, number % SLOTS * (off_t)sizeof number) == sizeof number);
            require(write(log_fd, record, RECORD) == RECORD);
            written = number + 1;
            if (number % 8)
                continue;
            record_of(record, streamed);
            require(fwrite(record, RECORD, 1, stream) == 1 && fflush(stream) == 0);
            streamed++;
        }
    }
}

static void open_files(void) {
    log_fd = open("log", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    own_fd = open("own", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    table_fd = open("table", O_RDWR | O_CREAT | O_TRUNC, 0600);
    stream = fopen("stream", "w");
    require(log_fd >= 0 && own_fd >= 0 && table_fd >= 0 && stream);
    install(SIGALRM, report, SA_RESTART, set_of(0, 0, 0));
}

// Each time another process, so that every one ends at some other point.
static void end_in_handlers(void) {
    for (int i = 0; i < rounds; i++) {
        struct news news;
        int status, fd;
        pid_t child = fork();
        require(child >= 0);
        if (!child) {
            open_files();
            rounds = 1000;
            write_under_timer((uint64_t)i);
            _exit(1);
        }
        require(waitpid(child, &status, 0) == child && status == 0);
        require((fd = open("table", O_RDONLY)) >= 0 && pread(fd, &news, sizeof news, 4096) == sizeof news);
        close(fd);
        look(news);
    }
}

int main(int argc, char **argv) {
    require(argc == 3);
    how = argv[1];
    rounds = atoi(argv[2]);
    if (!strcmp(how, "exit")) {
        end_in_handlers();
        return 0;
    }
    sigset_t set = set_of(SIGUSR1, 0, 0);
    require((strcmp(how, "socket") ? pipe(tell) : socketpair(AF_UNIX, SOCK_STREAM, 0, tell)) == 0);
    require(pipe(answer) == 0);
    require(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    observer = fork();
    if (!observer) {
        close(tell[1]);
        observe();
    }
    close(tell[0]);
    close(answer[1]); // whoever waits for an observer that is not content waits no longer
    open_files();
    write_under_timer(1);
    close(tell[1]);
    if (!strcmp(how, "kill"))
        sigqueue(observer, SIGUSR1, (union sigval){.sival_int = -1});
    int status;
    require(waitpid(observer, &status, 0) == observer && status == 0);
    return fclose(stream);
}
