/*
 * peeks_two SCENE: two processes read records of 4 bytes from one stream, each by small reads, and together get each
 * record once, whichever way the second one came to have it: opened (by /proc/self/fd), inherited by a child whose
 * parent has read before, by one whose first thread has ended, sent (to an older process), sent_by_child, waiting (in a
 * message), directory (as a number that a directory had before).   packets: a read takes one, and forgets the rest of
 * it. peeks_two --list
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

enum { RECORDS = 8000, FIRST = 200 };

static unsigned char seen[RECORDS];
static int results[2], channel[2], the_pipe[2], go[2];

/* Slowly, so that both get some. */
static void read_some(int from, int most, int results_to) {
    int record;
    for (int i = 0; i < most && read(from, &record, sizeof(record)) == sizeof(record); i++) {
        require(write(results_to, &record, sizeof(record)) == sizeof(record));
        if (i % 64 == 0)
            sched_yield();
    }
}

static void read_all(int from) {
    read_some(from, RECORDS, results[1]);
}

static void make_pipe(int ends[2]) {
    require(pipe(ends) == 0);
    fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
}

static void fill(int into) {
    for (int i = 0; i < RECORDS; i++)
        require(write(into, &i, sizeof(i)) == sizeof(i));
    close(into);
}

/* No descriptor: -1. */
static void send_message(int to, int fd) {
    char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec one = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &one, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    require(sendmsg(to, &message, 0) == 1);
}

static int receive_message(int from) {
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec one = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &one, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    int fd;
    require(recvmsg(from, &message, 0) == 1 && CMSG_FIRSTHDR(&message));
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
    return fd;
}

static void await_byte(int from) {
    char byte;
    require(read(from, &byte, 1) == 1);
}

static void *reader(void *unused) {
    (void)unused;
    require(write(channel[1], "", 1) == 1);
    read_all(the_pipe[0]);
    _exit(0);
}

/* The second reader, which says when it has begun. */
static pid_t second(const char *scene) {
    pid_t child = fork();
    require(child >= 0);
    if (child)
        return child;
    close(results[0]);
    close(channel[0]);
    int from = the_pipe[0];
    if (strncmp(scene, "sent", 4) == 0 || strcmp(scene, "waiting") == 0 || strcmp(scene, "directory") == 0) {
        close(the_pipe[0]);
        close(the_pipe[1]);
        if (strcmp(scene, "directory") == 0) {
            DIR *directory = fdopendir(open("/", O_RDONLY | O_DIRECTORY));
            require(directory && readdir(directory) && closedir(directory) == 0);
        }
        if (strcmp(scene, "waiting") == 0)
            await_byte(go[0]);
        from = receive_message(channel[1]);
    } else if (strcmp(scene, "opened") == 0) {
        char name[40];
        snprintf(name, sizeof(name), "/proc/self/fd/%d", the_pipe[0]);
        from = open(name, O_RDONLY);
        require(from >= 0);
        close(the_pipe[0]);
    } else if (strcmp(scene, "first_thread") == 0) {
        pthread_t thread;
        require(pthread_create(&thread, NULL, reader, NULL) == 0);
        pthread_exit(NULL);
    }
    if (strcmp(scene, "opened") == 0 || strcmp(scene, "inherited") == 0)
        require(write(channel[1], "", 1) == 1);
    read_all(from);
    _exit(0);
}

static void pass_on(const char *scene) {
    if (strcmp(scene, "sent_by_child") == 0) {
        pid_t child = fork();
        require(child >= 0);
        if (!child) {
            send_message(channel[0], the_pipe[0]);
            _exit(0);
        }
        require(waitpid(child, NULL, 0) == child);
    } else {
        send_message(channel[0], the_pipe[0]);
    }
}

static int both_read(const char *scene) {
    bool early = strncmp(scene, "sent", 4) == 0 || strcmp(scene, "waiting") == 0 || strcmp(scene, "directory") == 0;
    bool by_socket = strcmp(scene, "directory") == 0;
    pid_t other = -1;
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, channel) == 0);
    make_pipe(results);
    make_pipe(go);
    if (by_socket)
        require(socketpair(AF_UNIX, SOCK_STREAM, 0, the_pipe) == 0);
    else
        make_pipe(the_pipe);
    if (early)
        other = second(scene);
    pid_t writer = fork();
    require(writer >= 0);
    if (!writer) {
        close(the_pipe[0]);
        fill(the_pipe[1]);
        _exit(0);
    }
    close(the_pipe[1]);
    if (strcmp(scene, "waiting") == 0)
        pass_on(scene);
    read_some(the_pipe[0], FIRST, results[1]);
    require(write(go[1], "", 1) == 1);
    if (early && strcmp(scene, "waiting") != 0)
        pass_on(scene);
    if (!early) {
        other = second(scene);
        await_byte(channel[0]);
    }
    read_all(the_pipe[0]);
    close(results[1]);
    int record, twice = 0, never = 0;
    while (read(results[0], &record, sizeof(record)) == sizeof(record))
        twice += seen[record]++ > 0;
    for (int i = 0; i < RECORDS; i++)
        never += !seen[i];
    require(waitpid(other, NULL, 0) == other && waitpid(writer, NULL, 0) == writer);
    printf("%s: %d twice, %d never\n", scene, twice, never);
    return twice || never;
}

static int packets(void) {
    static const int sizes[][2] = {{2000, 0}, {1999, 1}, {1, 500}, {300, 0}};
    static char bytes[2000], got[2];
    int wrong = 0;
    for (int after = 0; after < 2; after++)
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            int ends[2], reads = 0;
            require(pipe2(ends, O_NONBLOCK) == 0);
            for (int j = 0; after && j < 400; j++) /* ordinary bytes before, of which some were read singly */
                require(write(ends[1], bytes, 1) == 1);
            for (int j = 0; after && j < 400; j++)
                require(read(ends[0], got, 1) == 1);
            require(fcntl(ends[1], F_SETFL, O_NONBLOCK | O_DIRECT) == 0);
            for (int j = 0; j < 2; j++)
                require(!sizes[i][j] || write(ends[1], bytes, (size_t)sizes[i][j]) == sizes[i][j]);
            while (read(ends[0], got, i == 2 ? 2 : 1) > 0)
                reads++;
            wrong |= reads != 1 + (sizes[i][1] > 0);
            close(ends[0]);
            close(ends[1]);
        }
    printf("packets: %s\n", wrong ? "wrong" : "one read each");
    return wrong;
}

int main(int argc, char **argv) {
    static const char *const scenes[] = {"opened",        "inherited", "first_thread", "sent",
                                         "sent_by_child", "waiting",   "directory",    "packets"};
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (size_t i = 0; i < COUNT_OF(scenes); i++)
            puts(scenes[i]);
        return 0;
    }
    require(argc == 2);
    return strcmp(argv[1], "packets") == 0 ? packets() : both_read(argv[1]);
}
