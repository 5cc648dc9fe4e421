// trace_groups GROUPS HOW: groups of two small writes and an fsync; HOW is fsync, fdatasync, or `positioned` for
// writes by position.

#include "common.h"

#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

int main(int argc, char **argv) {
    require(argc == 3);
    bool positioned = !strcmp(argv[2], "positioned"), data_only = !strcmp(argv[2], "fdatasync");
    int fd = open("groups", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    require(fd >= 0);
    for (long i = 0; i < atol(argv[1]); i++) {
        if (positioned)
            require(pwrite(fd, "first\n", 6, i * 8) == 6 && pwrite(fd, "second\n", 7, (i + 500) * 8) == 7);
        else
            require(write(fd, "first\n", 6) == 6 && write(fd, "second\n", 7) == 7);
        require((data_only ? fdatasync(fd) : fsync(fd)) == 0);
    }
    return 0;
}
