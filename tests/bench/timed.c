/*
 * timed FILE [NAME=VALUE]… CMD [ARG]…: runs CMD with these variables set and writes the seconds it took to FILE:
 * wall, user and system. The last two cover CMD's children and the kernel's io_uring workers, which are threads of
 * the process that they work for. Ends with CMD's status.
 */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../victims/common.h"

static double seconds(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: timed FILE [NAME=VALUE]... CMD [ARG]...\n");
        return 125;
    }
    FILE *out = fopen(argv[1], "we");
    require(out);
    int64_t start = now_us();
    pid_t child = fork();
    require(child >= 0);
    if (child == 0) {
        argv += 2;
        while (*argv && strchr(*argv, '='))
            putenv(*argv++);
        if (*argv)
            execvp(argv[0], argv);
        _exit(127);
    }
    int status;
    struct rusage usage;
    require(wait4(child, &status, 0, &usage) == child);
    double wall = (double)(now_us() - start) / 1e6;
    fprintf(out, "%.6f %.6f %.6f\n", wall, seconds(usage.ru_utime), seconds(usage.ru_stime));
    require(fclose(out) == 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
