// sealed: a process that has inherited a memfd forbids writing to it, and says so by a pipe. Each write after that
// fails.

#include "common.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    int memory = memfd_create("sealed", MFD_ALLOW_SEALING), to_child[2], from_child[2];
    char word;
    require(memory >= 0 && pipe(to_child) == 0 && pipe(from_child) == 0);
    pid_t child = fork();
    require(child >= 0);
    if (child == 0) {
        require(read(to_child[0], &word, 1) == 1 && fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE) == 0);
        require(write(from_child[1], "s", 1) == 1);
        _exit(0);
    }
    for (int i = 0; i < 20000; i++)
        require(write(memory, "hello", 5) == 5);
    require(write(to_child[1], "g", 1) == 1 && read(from_child[0], &word, 1) == 1);
    for (int i = 0; i < 4; i++) {
        errno = 0;
        printf("write: %zd, errno %d\n", write(memory, "hello", 5), errno);
    }
    printf("fsync: %d, close: %d\n", fsync(memory), close(memory));
    require(waitpid(child, NULL, 0) == child);
    return 0;
}
