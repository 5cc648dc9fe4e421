// freshness_room DIR: a write is short, for DIR, a small tmpfs, is full. While the program reads another file in small
// pieces, another process changes that, and then makes room. All of the next write goes in: so the change is there to
// be read. Exit status 3: the other one wasn't in time.

#include "common.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RECORD = 64, RECORDS = 3000, READ = 300, PIECE = 50000 };

static char bytes[2 << 20];
static volatile int ready;

static void await_ready(pid_t reader) {
    int seen = 0;
    struct iovec here = {&seen, sizeof seen}, there = {(void *)&ready, sizeof ready};
    while (!seen) {
        require(process_vm_readv(reader, &here, 1, &there, 1, 0) == sizeof seen);
        sched_yield();
    }
}

static void change_and_make_room(pid_t reader, const char *filler) {
    int file = open("records", O_WRONLY);
    await_ready(reader);
    memset(bytes, 'n', sizeof bytes);
    require(file >= 0 && pwrite(file, bytes, RECORD * RECORDS, 0) == RECORD * RECORDS && unlink(filler) == 0);
    _exit(0);
}

int main(int argc, char **argv) {
    char name[4096], record[RECORD];
    require(argc == 2);
    int file = open("records", O_RDWR | O_CREAT | O_TRUNC, 0600);
    memset(bytes, 'o', sizeof bytes);
    require(file >= 0 && write(file, bytes, RECORD * RECORDS) == RECORD * RECORDS && close(file) == 0);
    snprintf(name, sizeof name, "%s/data", argv[1]);
    int data = open(name, O_WRONLY | O_CREAT, 0600);
    snprintf(name, sizeof name, "%s/filler", argv[1]);
    int filler = open(name, O_WRONLY | O_CREAT, 0600);
    require(data >= 0 && filler >= 0 && write(data, bytes, 4096) == 4096);
    require(write(filler, bytes, (1 << 20) - 4 * 4096) > 0 && close(filler) == 0);
    pid_t reader = getpid(), child = fork();
    require(child >= 0);
    if (child == 0)
        change_and_make_room(reader, name);
    for (int i = 0; i < 10; i++) // one that fails would be noted
        if (write(data, bytes, PIECE) < PIECE)
            break;
    file = open("records", O_RDONLY);
    for (int i = 0; i < READ; i++)
        require(read(file, record, RECORD) == RECORD && record[0] == 'o');
    ready = 1;
    for (volatile long i = 0; i < 100000000; i++)
        ;
    if (write(data, bytes, PIECE) != PIECE)
        return 3;
    require(read(file, record, RECORD) == RECORD);
    puts(record[0] == 'n' ? "the change" : "what was there before");
    return waitpid(child, NULL, 0) == child ? 0 : 1;
}
