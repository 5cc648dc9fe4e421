/*
 * peeks_killed strict|loose pipe|file|passing TIMES SEED CMD [ARG]…   or: peeks_killed --reader
 *
 * So many times: CMD ARG… (a reader of this program, by whatever launcher) reads lines byte for byte from a pipe that
 * nobody else reads, and after each writes its number to its output; it is killed at a random instant. What is left in
 * the pipe then, and what was written, must fit together: strict, as natively, where at most one line was read and not
 * reported; loose, no line is there that was reported.
 * A pipe is `passing` that doesn't wait: what is written to it is not to be deferred.
 */
#include "common.h"

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/wait.h>

enum { LINE = 8, PIECE = 100 /* lines, less than PIPE_BUF */ };

static void reader(void) {
    char line[LINE + 1] = "";
    for (;;) {
        for (int i = 0; i < LINE; i++)
            if (read(STDIN_FILENO, &line[i], 1) != 1)
                exit(0);
        require(write(STDOUT_FILENO, line, LINE) == LINE);
    }
}

static void close_others(void) {
    for (int fd = 3; fd < 20; fd++)
        close(fd);
}

// A writer that goes on, whether there's a reader or not.
static pid_t start_filler(const int ends[2]) {
    char lines[LINE * PIECE + 1];
    pid_t child = fork();
    require(child >= 0);
    if (child)
        return child;
    require(dup2(ends[1], STDOUT_FILENO) == STDOUT_FILENO);
    close_others();
    signal(SIGPIPE, SIG_IGN);
    for (unsigned number = 0;; number = (number + PIECE) % 10000000) {
        for (int i = 0; i < PIECE; i++)
            snprintf(lines + LINE * (size_t)i, LINE + 1, "%07d\n", (number + (unsigned)i) % 10000000);
        while (write(STDOUT_FILENO, lines, LINE * PIECE) < 0)
            usleep(100); /* one that is atomic (pipe(7)) has all or nothing */
    }
}

static pid_t start_reader(char **command, int in, int out) {
    pid_t child = fork();
    require(child >= 0);
    if (child == 0) {
        require(dup2(in, STDIN_FILENO) == 0 && dup2(out, STDOUT_FILENO) == 1);
        close_others();
        execvp(command[0], command);
        die("%s", command[0]);
    }
    return child;
}

static void kill_child(pid_t child) {
    int status;
    require(!kill(child, SIGKILL) && waitpid(child, &status, 0) == child);
    require(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

// How many bytes have been taken from the pipe is seen from the first line that is whole in what is left. Nobody else
// may have had its reading end, so it is opened by way of the writing one, when nobody reads.
static long taken_from(int out) {
    char path[32], text[4 * LINE + 1] = "";
    size_t have = 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", out);
    int fd = open(path, O_RDONLY);
    require(fd >= 0);
    while (have < sizeof text - 1) {
        ssize_t part = read(fd, text + have, sizeof text - 1 - have);
        require(part > 0);
        have += (size_t)part;
    }
    require(!close(fd));
    const char *end = strchr(text, '\n');
    require(end);
    return LINE * atol(end + 1) - (end + 1 - text);
}

// The reports are the lines' numbers, one after another; one may be cut where a page of a file ends.
static long reported_in(int fd) {
    char line[LINE + 1] = "";
    long lines = 0;
    ssize_t part;
    FILE *stream = fdopen(fd, "r");
    require(stream);
    rewind(stream); // where it can be
    while ((part = (ssize_t)fread(line, 1, LINE, stream)) == LINE && atol(line) == lines)
        lines++;
    require(part < LINE);
    fclose(stream);
    return LINE * lines + part;
}

static bool once(char **command, bool strict, const char *target, uint64_t seed) {
    bool file = !strcmp(target, "file");
    int ends[2], reports[2];
    require(!pipe(ends));
    if (file)
        require((reports[1] = open("reports", O_CREAT | O_TRUNC | O_WRONLY, 0600)) >= 0 &&
                (reports[0] = open("reports", O_RDONLY)) >= 0);
    else
        require(!pipe(reports) && fcntl(reports[1], F_SETPIPE_SZ, 1 << 20) > 0);
    if (!strcmp(target, "passing"))
        require(!fcntl(reports[1], F_SETFL, O_NONBLOCK));
    pid_t filler = start_filler(ends), child = start_reader(command, ends[0], reports[1]);
    require(!close(ends[0]) && !close(reports[1]));
    struct pollfd readable = {.fd = reports[0], .events = POLLIN};
    while (file ? lseek(reports[0], 0, SEEK_END) == 0 : poll(&readable, 1, 0) == 0)
        usleep(100);
    usleep((useconds_t)rng_below(&seed, 5000));
    kill_child(child);
    long taken = taken_from(ends[1]), written = reported_in(reports[0]);
    kill_child(filler);
    require(!close(ends[1]));
    if (written <= taken && (!strict || taken <= written + LINE))
        return true;
    printf("%ld bytes were reported, and %ld taken\n", written, taken);
    return false;
}

int main(int argc, char **argv) {
    int wrong = 0;
    if (argc == 2 && !strcmp(argv[1], "--reader"))
        reader();
    require(argc > 5);
    alarm(HANG_SECONDS);
    int times = atoi(argv[3]);
    uint64_t seed = strtoull(argv[4], NULL, 0);
    for (int i = 0; i < times; i++)
        wrong += !once(argv + 5, strcmp(argv[1], "loose"), argv[2], seed++);
    printf("%d of %d are wrong\n", wrong, times);
    return wrong > 0;
}
