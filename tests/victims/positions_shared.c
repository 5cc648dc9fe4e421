// positions_shared fork|spawn|message|supervisor|again: two processes read records through one description at the same
// time, and every record comes to one of them, once. `again`: after the description was passed on very often.

#include "positions.h"
#include "supervising.h"

#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { RECORDS = 1 << 19, OFTEN = 65540 };

extern char **environ;
static unsigned char came[RECORDS];

// The other one must have begun before this one is through: both wait for the first byte of the other.
static void meet(int socket) {
    char byte;
    require(write(socket, "x", 1) == 1 && read(socket, &byte, 1) == 1);
}

static bool read_some(int fd, int records) {
    uint32_t record[2];
    ssize_t got = 0;
    for (int i = 0; i < records && (got = read(fd, record, sizeof record)) > 0; i++)
        for (ssize_t k = 0; k < got / 4; k++)
            came[record[k]]++;
    require(got >= 0);
    return got > 0;
}

// Says by a file what came here.
static void read_as_other(int fd, int socket) {
    meet(socket);
    while (read_some(fd, 1000))
        ;
    int out = open("others", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    require(out >= 0 && write(out, came, sizeof came) == sizeof came && close(out) == 0);
    _exit(0);
}

static void make_records(void) {
    static uint32_t records[RECORDS];
    for (uint32_t i = 0; i < RECORDS; i++)
        records[i] = i;
    int out = open("records", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    require(out >= 0 && write(out, records, sizeof records) == sizeof records && close(out) == 0);
}

static pid_t start_other(const char *how, const char *program, int *fd, const int ends[2]) {
    char *arguments[] = {(char *)(uintptr_t)program, "other", NULL};
    pid_t pid = -1;
    bool message = !strcmp(how, "message"), supervised = !strcmp(how, "supervisor");
    if (!message && !supervised)
        *fd = open_read("records");
    if (!strcmp(how, "spawn")) {
        require(read_some(*fd, 200));
        require(dup2(*fd, 0) == 0 && dup2(ends[1], 1) == 1);
        require(posix_spawn(&pid, program, NULL, NULL, arguments, environ) == 0);
    } else if ((pid = fork()) == 0) {
        read_as_other(message ? receive_descriptor(ends[1]) : supervised ? ask_supervisor(ends[1]) : *fd, ends[1]);
    }
    if (message || supervised) {
        *fd = open_read("records");
        require(read_some(*fd, 200));
    }
    if (message)
        require(send_descriptor(ends[0], *fd) == 1);
    else if (supervised)
        supervise(ends[0], *fd);
    return pid;
}

int main(int argc, char **argv) {
    static unsigned char others[RECORDS];
    int ends[2], fd = -1, status = 0;
    require(argc == 2);
    if (!strcmp(argv[1], "other"))
        read_as_other(0, 1);
    make_records();
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    pid_t pid = start_other(argv[1], argv[0], &fd, ends);
    bool again = !strcmp(argv[1], "again");
    for (int i = 0; again && i < OFTEN - 10; i++) // to nobody: but who wants to know?
        require(sendmsg(-1, &(struct msghdr){0}, 0) < 0);
    meet(ends[0]);
    while (read_some(fd, 1000))
        if (again)
            require(sendmsg(-1, &(struct msghdr){0}, 0) < 0);
    require(waitpid(pid, &status, 0) == pid && status == 0);
    int in = open_read("others");
    require(read(in, others, sizeof others) == sizeof others);
    int wrong = 0;
    for (int i = 0; i < RECORDS; i++)
        wrong += came[i] + others[i] != 1;
    if (wrong)
        die("%d of %d records did not come once", wrong, RECORDS);
    return 0;
}
