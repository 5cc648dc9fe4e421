/*
 * signals_between: a handler that comes between a call's entry and the kernel writes a record, and then the
 * call tells an observer. The test preloads a library with a send(2) that raises the signal, behind whatever stands
 * before libc. The observer looks at once.
 */
#include "common.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 200, RECORD = 16 };

static int file;
static volatile int records;

static void handle(int number) {
    (void)number;
    require(write(file, "0123456789abcde\n", RECORD) == RECORD);
    records++;
}

/* Computes: nothing that anybody could take for a reason to perform what is pending. */
static void linger(void) {
    for (volatile int i = 0; i < 300000; i++)
        ;
}

static void observe(int from) {
    char told;
    for (int told_of = 1; read(from, &told, 1) == 1; told_of++) {
        struct stat st;
        require(stat("records", &st) == 0);
        if (st.st_size < (off_t)told_of * RECORD)
            die("told of %d records, and there are %ld", told_of, (long)st.st_size / RECORD);
    }
    _exit(0);
}

int main(void) {
    int ends[2], status;
    require(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    file = open("records", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    require(file >= 0);
    pid_t observer = fork();
    if (observer == 0) {
        close(ends[0]);
        observe(ends[1]);
    }
    close(ends[1]);
    signal(SIGUSR1, handle);
    for (int round = 0; round < ROUNDS; round++) {
        require(send(ends[0], "", 1, MSG_NOSIGNAL) == 1);
        linger();
    }
    require(records == ROUNDS);
    close(ends[0]);
    require(waitpid(observer, &status, 0) == observer);
    return status != 0;
}
