// signals_first: the first writes of the process are made in a handler, of a signal that may come again meanwhile, so
// that it isn't blocked; then it returns, and many more follow. Prints how many lines the file has.
#include "common.h"

#include <fcntl.h>

enum { INSIDE = 200, AFTER = 3000 };

static int fd;

static void write_lines(const char *line, int count) {
    for (int i = 0; i < count; i++)
        require(write(fd, line, strlen(line)) == (ssize_t)strlen(line));
}

static void handle(int number) {
    (void)number;
    write_lines("inside\n", INSIDE);
}

int main(void) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_NODEFER};
    fd = open("lines", O_RDWR | O_CREAT | O_TRUNC, 0600);
    require(fd >= 0 && sigaction(SIGUSR1, &action, NULL) == 0);
    require(raise(SIGUSR1) == 0);
    write_lines("after\n", AFTER);
    printf("%ld bytes\n", (long)lseek(fd, 0, SEEK_END));
    return 0;
}
