/*
 * memory_inherited WAY: a program that it starts inherits a memfd which it has mapped, and maps it too. From then on a
 * store there tells the other one, who looks into the file at once. WAY: spawn, vfork, system, popen.
 *
 * memory_inherited observe FD: the other program.
 */
#include "common.h"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 20, RECORD = 10 };

struct shared {
    atomic_int asked; /* the round whose record is to be written */
    atomic_int told;  /* the round whose record has been */
};

extern char **environ;

static struct shared *map(int fd) {
    struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    require(shared != MAP_FAILED);
    return shared;
}

static int observe(int fd) {
    struct shared *shared = map(fd);
    int late = 0;
    for (int round = 1; round <= ROUNDS; round++) {
        struct stat st;
        atomic_store(&shared->asked, round);
        while (atomic_load(&shared->told) < round)
            sched_yield();
        require(stat("records", &st) == 0);
        late += st.st_size != (off_t)round * RECORD;
    }
    atomic_store(&shared->asked, ROUNDS + 1);
    if (late)
        die("%d of %d records were not there", late, ROUNDS);
    return 0;
}

/* Without a call that could be a reason to perform what is pending: sched_yield is none. */
static void wait_until_asked(struct shared *shared, int round) {
    while (atomic_load(&shared->asked) < round)
        sched_yield();
}

static void write_when_asked(struct shared *shared, int file) {
    for (int round = 1; round <= ROUNDS; round++) {
        wait_until_asked(shared, round);
        require(write(file, "0123456789", RECORD) == RECORD);
        atomic_store(&shared->told, round);
    }
    wait_until_asked(shared, ROUNDS + 1);
}

static pid_t spawn(char *const command[]) {
    pid_t child;
    require(posix_spawn(&child, command[0], NULL, NULL, command, environ) == 0);
    return child;
}

static pid_t vfork_and_exec(char *const command[]) {
    pid_t child = vfork();
    if (child == 0) {
        execv(command[0], command);
        _exit(127);
    }
    require(child > 0);
    return child;
}

int main(int argc, char **argv) {
    char number[16], line[4200];
    int status = 0;
    if (argc == 3 && strcmp(argv[1], "observe") == 0)
        return observe(atoi(argv[2]));
    require(argc == 2);
    int memory = memfd_create("inherited", 0);
    require(memory >= 0 && ftruncate(memory, 4096) == 0);
    struct shared *shared = map(memory);
    int file = open("records", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    require(file >= 0);
    /* Nobody else has the memory yet. */
    for (int i = 0; i < 100; i++)
        require(write(file, "0123456789", RECORD) == RECORD);
    require(lseek(file, 0, SEEK_SET) == 0 && ftruncate(file, 0) == 0);

    snprintf(number, sizeof number, "%d", memory);
    char *const command[] = {argv[0], "observe", number, NULL};
    if (strcmp(argv[1], "spawn") == 0 || strcmp(argv[1], "vfork") == 0) {
        pid_t observer = argv[1][0] == 's' ? spawn(command) : vfork_and_exec(command);
        write_when_asked(shared, file);
        require(waitpid(observer, &status, 0) == observer);
    } else if (strcmp(argv[1], "popen") == 0) {
        snprintf(line, sizeof line, "exec '%s' observe %d", argv[0], memory);
        FILE *observer = popen(line, "w");
        require(observer);
        write_when_asked(shared, file);
        status = pclose(observer);
    } else if (strcmp(argv[1], "system") == 0) {
        /* In the background: system returns at once, and the file `content` says what the observer thought. */
        snprintf(line, sizeof line, "'%s' observe %d && : >content &", argv[0], memory);
        require(system(line) == 0);
        write_when_asked(shared, file);
        for (int tries = 0; access("content", F_OK) != 0 && tries < HANG_SECONDS * 100; tries++)
            usleep(10000);
        status = access("content", F_OK);
    } else {
        die("no way %s", argv[1]);
    }
    return status != 0;
}
