// polling_ends direct|buffered FILE: writes blocks here and there, forks a child that does so, becomes what it is
// already (setgid), and writes on. Prints how many threads of the kernel's poll a ring of the process's while it
// writes, and when it has changed who it is. Exit status 77: no direct I/O here.
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

enum { BLOCK = 4096, BLOCKS = 256, WRITES = 1000 };

static int pollers(void) {
    char path[300], name[16] = "";
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    require(tasks);
    for (struct dirent *task; (task = readdir(tasks));) {
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *comm = fopen(path, "re");
        if (comm && fgets(name, sizeof name, comm))
            count += strncmp(name, "iou-sqp", 7) == 0; // io_sq_thread in io_uring/sqpoll.c
        if (comm)
            fclose(comm);
    }
    closedir(tasks);
    return count;
}

static void scatter(int fd, char *block, char what) {
    memset(block, what, BLOCK);
    for (off_t i = 0; i < WRITES; i++)
        require(pwrite(fd, block, BLOCK, i * 37 % BLOCKS * BLOCK) == BLOCK);
}

int main(int argc, char **argv) {
    int status;
    require(argc == 3);
    alarm(HANG_SECONDS);
    char *block = aligned_alloc(BLOCK, BLOCK);
    int fd = open(argv[2], O_RDWR | O_CREAT | O_TRUNC | (strcmp(argv[1], "direct") == 0 ? O_DIRECT : 0), 0600);
    if (fd < 0 && errno == EINVAL)
        return 77;
    require(block && fd >= 0);
    scatter(fd, block, 'a');
    printf("%d at work\n", pollers());
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        scatter(fd, block, 'b');
        _exit(0);
    }
    require(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    scatter(fd, block, 'c');
    require(setgid(getgid()) == 0);
    printf("%d as another\n", pollers());
    scatter(fd, block, 'd');
    printf("%d at last\n", pollers());
    return 0;
}
