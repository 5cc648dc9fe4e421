/*
 * roundtrip KIND THREADS COUNT: THREADS threads, each of which sends COUNT requests of 64 bytes to a thread of a server
 * process, and waits for the answer of as many bytes after each. Every pair has a stream of its own: KIND pipe (two
 * pipes) or unix (a socket pair). The server is this program again (-s), and so gets the same environment.
 *
 * Prints nanoseconds: wall and CPU (of both processes) a round trip, all threads together; and of what single round
 * trips took, the median and the 99th percentile.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../victims/common.h"
#include "clocks.h"

enum { SIZE = 64, MOST_THREADS = 64 };

/* One side's ends of a thread's stream: with sockets both are the same. */
struct ends {
    int in, out;
};

static struct {
    struct ends ends[MOST_THREADS];
    double *taken; /* COUNT for each thread */
    long count;
} client;

static struct ends server[MOST_THREADS];

static void send_all(int fd, const char *bytes) {
    require(write(fd, bytes, SIZE) == SIZE);
}

/* Returns whether there was something. */
static int receive_all(int fd, char *bytes) {
    ssize_t got;
    for (size_t have = 0; have < SIZE; have += (size_t)got) {
        got = read(fd, bytes + have, SIZE - have);
        require(got > 0 || (got == 0 && have == 0));
        if (got == 0)
            return 0;
    }
    return 1;
}

static void *answer(void *ends) {
    const struct ends *mine = ends;
    char message[SIZE];
    while (receive_all(mine->in, message))
        send_all(mine->out, message);
    return NULL;
}

static void *ask(void *ends) {
    const struct ends *mine = ends;
    double *taken = client.taken + (mine - client.ends) * client.count;
    char question[SIZE] = {0}, message[SIZE];
    for (long i = 0; i < client.count; i++) {
        double start = wall_ns();
        memcpy(question, &i, sizeof(i));
        send_all(mine->out, question);
        require(receive_all(mine->in, message) && memcmp(question, message, SIZE) == 0);
        taken[i] = wall_ns() - start;
    }
    return NULL;
}

static void in_threads(void *(*body)(void *), struct ends *ends, long threads) {
    pthread_t thread[MOST_THREADS];
    for (long i = 0; i < threads; i++)
        require(pthread_create(&thread[i], NULL, body, &ends[i]) == 0);
    for (long i = 0; i < threads; i++)
        require(pthread_join(thread[i], NULL) == 0);
}

/* The client's ends are closed on exec: the server sees the end of what it reads. */
static void connect_pair(const char *kind, struct ends *ours, struct ends *theirs) {
    int forth[2], back[2];
    if (strcmp(kind, "unix") == 0) {
        require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, forth) == 0);
        *ours = (struct ends){forth[0], forth[0]};
        *theirs = (struct ends){forth[1], forth[1]};
    } else if (strcmp(kind, "pipe") == 0) {
        require(pipe2(forth, O_CLOEXEC) == 0 && pipe2(back, O_CLOEXEC) == 0);
        *ours = (struct ends){back[0], forth[1]};
        *theirs = (struct ends){forth[0], back[1]};
    } else {
        die("no such kind of stream: %s", kind);
    }
    require(fcntl(theirs->in, F_SETFD, 0) == 0 && fcntl(theirs->out, F_SETFD, 0) == 0);
}

static void close_ends(const struct ends *ends) {
    close(ends->in);
    if (ends->out != ends->in)
        close(ends->out);
}

static pid_t start_server(long threads) {
    char numbers[2 * MOST_THREADS][12], *command[2 * MOST_THREADS + 3] = {"roundtrip", "-s"};
    for (long i = 0; i < threads; i++) {
        snprintf(numbers[2 * i], sizeof(numbers[0]), "%d", server[i].in);
        snprintf(numbers[2 * i + 1], sizeof(numbers[0]), "%d", server[i].out);
        command[2 + 2 * i] = numbers[2 * i];
        command[3 + 2 * i] = numbers[2 * i + 1];
    }
    pid_t child = fork();
    require(child >= 0);
    if (child == 0) {
        execv("/proc/self/exe", command);
        _exit(127);
    }
    for (long i = 0; i < threads; i++)
        close_ends(&server[i]);
    return child;
}

static int serve(int argc, char **argv) {
    long threads = (argc - 2) / 2;
    require(threads > 0 && threads <= MOST_THREADS);
    for (long i = 0; i < threads; i++)
        server[i] = (struct ends){atoi(argv[2 + 2 * i]), atoi(argv[3 + 2 * i])};
    in_threads(answer, server, threads);
    return 0;
}

static int ascending(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "-s") == 0)
        return serve(argc, argv);
    if (argc != 4) {
        fprintf(stderr, "usage: roundtrip KIND THREADS COUNT\n");
        return 2;
    }
    long threads = atol(argv[2]);
    client.count = atol(argv[3]);
    require(threads > 0 && threads <= MOST_THREADS && client.count > 0);
    size_t all = (size_t)(threads * client.count);
    client.taken = malloc(all * sizeof(*client.taken));
    require(client.taken);
    memset(client.taken, 0, all * sizeof(*client.taken)); /* its page faults are not the loop's */
    for (long i = 0; i < threads; i++)
        connect_pair(argv[1], &client.ends[i], &server[i]);
    pid_t child = start_server(threads);
    /* The server's start isn't measured: it is there once it has answered. */
    char message[SIZE] = {0};
    for (long i = 0; i < threads; i++) {
        send_all(client.ends[i].out, message);
        require(receive_all(client.ends[i].in, message));
    }

    double wall = wall_ns(), cpu = cpu_ns();
    in_threads(ask, client.ends, threads);
    wall = wall_ns() - wall;
    cpu = cpu_ns() - cpu;

    for (long i = 0; i < threads; i++)
        close_ends(&client.ends[i]);
    int status;
    require(waitpid(child, &status, 0) == child && status == 0);
    cpu += children_cpu_ns();
    qsort(client.taken, all, sizeof(*client.taken), ascending);
    printf("%.1f %.1f %.1f %.1f\n", wall / (double)all, cpu / (double)all, client.taken[all / 2],
           client.taken[all - 1 - all / 100]);
    return 0;
}
