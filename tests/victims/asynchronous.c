// asynchronous WAY: writes 1000 lines, begins asynchronous I/O by WAY, and writes as many more.
//
//   none            it doesn't begin
//   setup, queue    by libaio's functions, under which it was linked or preloaded (a test gives it one)
//   syscall         by the system call's number
//   ring            an io_uring of its own
#include "common.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <unistd.h>

extern int io_setup(int events, void **context) __attribute__((weak));
extern int io_queue_init(int events, void **context) __attribute__((weak));

static void write_lines(int fd) {
    for (int i = 0; i < 1000; i++)
        require(write(fd, "a line\n", 7) == 7);
}

int main(int argc, char **argv) {
    void *context = NULL;
    int fd = open("file", O_WRONLY | O_CREAT, 0600);
    require(argc == 2 && fd >= 0);
    write_lines(fd);
    if (!strcmp(argv[1], "setup"))
        require(io_setup && io_setup(8, &context) == 0 && context);
    else if (!strcmp(argv[1], "queue"))
        require(io_queue_init && io_queue_init(0, &context) == -EINVAL && io_queue_init(8, &context) == 0 && context);
    else if (!strcmp(argv[1], "syscall"))
        require(syscall(SYS_io_setup, 8, &context) == 0);
    else if (!strcmp(argv[1], "ring"))
        require(syscall(SYS_io_uring_setup, 8, &(struct io_uring_params){0}) >= 0);
    write_lines(fd);
    return 0;
}
