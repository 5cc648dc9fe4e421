// memory_segment HOW: a System V segment, and a file. Each record that is written is then counted in the segment. Who
// has it attached too must find as many records in the file as are counted. Status 1: he did not.
//   alone      marked for destruction, and nobody else has it
//   lasting    not marked: anybody may attach it
//   inherited  a child of fork has it
//   after      the same, and the child is gone
//   joined     another process is told its number, and attaches it, when it is marked for destruction already
//   renamed    by another IPC namespace, in which the number means nothing

#include "common.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RECORDS = 2000, RECORD = 16 };

struct segment {
    _Atomic long counted;
    _Atomic bool over;
};

static int fd, to_child[2], to_parent[2];

static void tell(const int ends[2]) {
    require(write(ends[1], "x", 1) == 1);
}

static void await(const int ends[2]) {
    char byte;
    require(read(ends[0], &byte, 1) == 1);
}

static void write_records(struct segment *segment) {
    for (long i = 1; i <= RECORDS; i++) {
        require(write(fd, "a record, or so\n", RECORD) == RECORD);
        if (segment)
            atomic_store(&segment->counted, i);
        if (segment && i % 100 == 0)
            usleep(200); // so that the other one sees it, on one processor too
    }
}

// Looks with calls of its own: nothing of the writer's passes by here.
static int watch(struct segment *segment) {
    struct stat st;
    int late = 0;
    while (!atomic_load(&segment->over)) {
        long counted = atomic_load(&segment->counted);
        require(stat("records", &st) == 0);
        late += st.st_size < counted * RECORD;
    }
    return late > 0;
}

// A process that has not got what this one will have, until it attaches it.
static pid_t begin_other(void) {
    pid_t other = fork();
    require(other >= 0);
    if (other == 0) {
        int id;
        require(read(to_child[0], &id, sizeof id) == sizeof id);
        struct segment *segment = shmat(id, NULL, 0);
        require(segment != (void *)-1);
        tell(to_parent);
        _exit(watch(segment));
    }
    return other;
}

static pid_t begin_child(struct segment *segment) {
    pid_t child = fork();
    require(child >= 0);
    if (child == 0)
        _exit(watch(segment));
    return child;
}

static int end_child(pid_t child, struct segment *segment) {
    int status;
    atomic_store(&segment->over, true);
    require(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

int main(int argc, char **argv) {
    require(argc == 2);
    const char *how = argv[1];
    pid_t other = 0;
    require(pipe(to_child) == 0 && pipe(to_parent) == 0);
    fd = open("records", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    require(fd >= 0);
    if (!strcmp(how, "joined"))
        other = begin_other();
    int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    struct segment *segment = shmat(id, NULL, 0);
    require(id >= 0 && segment != (void *)-1);
    bool lasting = !strcmp(how, "lasting");
    require(lasting || shmctl(id, IPC_RMID, NULL) == 0);
    write_records(NULL); // everything is ready by now
    require(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    if (!strcmp(how, "inherited") || !strcmp(how, "after"))
        other = begin_child(segment);
    if (!strcmp(how, "after")) {
        require(end_child(other, segment) == 0);
        other = 0;
        require(shmctl(id, IPC_RMID, NULL) == 0);
    }
    if (!strcmp(how, "joined")) {
        require(write(to_child[1], &id, sizeof id) == sizeof id);
        await(to_parent);
    }
    if (!strcmp(how, "renamed") && unshare(CLONE_NEWIPC) != 0)
        return 77;
    write_records(segment);
    int late = other ? end_child(other, segment) : 0;
    require(!lasting || shmctl(id, IPC_RMID, NULL) == 0);
    return late;
}
