/*
 * pipeline [-a] FILE KIND [NAME=VALUE]… WRITER [ARG]… '|' READER [ARG]…: runs both, with WRITER's standard output
 * connected to READER's standard input by a stream of KIND: pipe, unix (a socket pair) or tcp (over the loopback
 * device). The variables are set for WRITER alone. FILE gets the time at which both had ended, in nanoseconds of the
 * monotonic clock, the nanoseconds of processor time that WRITER and READER took, with what they started, and the time
 * at which they were started. Fails where one of them does. While they run nobody else has the stream.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../victims/common.h"
#include "clocks.h"

/* The end that is read, and the end that is written. */
struct stream {
    int in, out;
};

static struct stream tcp(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct stream stream = {.out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    require(listener >= 0 && stream.out >= 0);
    require(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1) == 0);
    require(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    require(connect(stream.out, (struct sockaddr *)&address, length) == 0);
    stream.in = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    require(stream.in >= 0);
    close(listener);
    return stream;
}

static struct stream connected(const char *kind) {
    int ends[2];
    if (strcmp(kind, "tcp") == 0)
        return tcp();
    if (strcmp(kind, "unix") == 0)
        require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    else if (strcmp(kind, "pipe") == 0)
        require(pipe2(ends, O_CLOEXEC) == 0);
    else
        die("no such kind of stream: %s", kind);
    return (struct stream){.in = ends[0], .out = ends[1]};
}

/* Divides the processors that this process may use: the last is the reader's. */
static void place(cpu_set_t *writers, cpu_set_t *readers) {
    require(sched_getaffinity(0, sizeof(*writers), writers) == 0);
    if (CPU_COUNT(writers) < 2)
        die("needs two processors");
    CPU_ZERO(readers);
    for (int cpu = CPU_SETSIZE - 1; CPU_COUNT(readers) == 0; cpu--)
        if (CPU_ISSET(cpu, writers)) {
            CPU_SET(cpu, readers);
            CPU_CLR(cpu, writers);
        }
}

static pid_t start(char **command, int from, int to, const cpu_set_t *processors) {
    pid_t child = fork();
    require(child >= 0);
    if (child == 0) {
        while (*command && strchr(*command, '='))
            putenv(*command++);
        require(dup2(from, to) == to);
        require(processors == NULL || sched_setaffinity(0, sizeof(*processors), processors) == 0);
        if (*command)
            execvp(command[0], command);
        _exit(127);
    }
    close(from);
    return child;
}

/* Waits for a child, which must succeed, and returns the processor time that it took. */
static double ended(pid_t child) {
    int status;
    struct rusage usage;
    require(wait4(child, &status, 0, &usage) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        die("a command failed (status %#x)", (unsigned)status);
    return usage_ns(&usage);
}

int main(int argc, char **argv) {
    bool apart = argc > 1 && strcmp(argv[1], "-a") == 0;
    if (apart) {
        argc--;
        argv++;
    }
    char **reader = argv + argc;
    for (int i = 3; i < argc && reader == argv + argc; i++)
        if (strcmp(argv[i], "|") == 0)
            reader = argv + i + 1;
    if (reader >= argv + argc) {
        fprintf(stderr, "usage: pipeline [-a] FILE KIND [NAME=VALUE]... WRITER [ARG]... '|' READER [ARG]...\n");
        return 125;
    }
    reader[-1] = NULL;
    FILE *out = fopen(argv[1], "we");
    require(out);
    cpu_set_t writers, readers;
    if (apart)
        place(&writers, &readers);
    struct stream stream = connected(argv[2]);
    double began = wall_ns();
    pid_t reads = start(reader, stream.in, STDIN_FILENO, apart ? &readers : NULL);
    pid_t writes = start(argv + 3, stream.out, STDOUT_FILENO, apart ? &writers : NULL);
    double writer_cpu = ended(writes), reader_cpu = ended(reads);
    fprintf(out, "%.0f %.0f %.0f %.0f\n", wall_ns(), writer_cpu, reader_cpu, began);
    require(fclose(out) == 0);
    return 0;
}
