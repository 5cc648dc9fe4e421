// let_go ROUNDS: writes a file in many places, by direct I/O where that is done, and closes it. By then nobody may hold
// on to it: another description must get the lock that this one had, and what was written must be executable.

#include "common.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCK = 4096, BLOCKS_MAX = 1024 };

static char *program;
static int blocks;

static void read_program(void) {
    int file = open("/bin/true", O_RDONLY);
    struct stat st;
    require(file >= 0 && fstat(file, &st) == 0 && st.st_size <= BLOCKS_MAX * BLOCK);
    blocks = (int)((st.st_size + BLOCK - 1) / BLOCK);
    require(posix_memalign((void **)&program, BLOCK, (size_t)blocks * BLOCK) == 0);
    memset(program, 0, (size_t)blocks * BLOCK);
    require(read(file, program, (size_t)st.st_size) == st.st_size);
    close(file);
}

// There already, and not in memory: then the device may do all of it at the same time.
static void prepare(void) {
    int file = open("let_go", O_CREAT | O_RDWR | O_TRUNC, 0755);
    require(file >= 0);
    for (int i = 0; i < blocks; i++)
        require(write(file, program + (size_t)(blocks - 1 - i) * BLOCK, BLOCK) == BLOCK);
    require(fdatasync(file) == 0 && posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0);
    close(file);
}

static void write_blocks(int file) {
    for (int first = 1; first >= 0; first--) // every second one, from behind
        for (int i = blocks - 1 - first; i >= 0; i -= 2)
            require(pwrite(file, program + (size_t)i * BLOCK, BLOCK, (off_t)i * BLOCK) == BLOCK);
}

static bool runs(void) {
    int status;
    pid_t child = vfork();
    if (child == 0) {
        execl("./let_go", "let_go", NULL);
        _exit(99);
    }
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 1, locked = 0, busy = 0;
    read_program();
    for (int round = 0; round < rounds; round++) {
        prepare();
        int file = open("let_go", O_RDWR | O_DIRECT);
        if (file < 0)
            file = open("let_go", O_RDWR);
        require(file >= 0 && flock(file, LOCK_EX) == 0);
        write_blocks(file);
        close(file);
        int other = open("let_go", O_RDONLY);
        require(other >= 0);
        locked += flock(other, LOCK_EX | LOCK_NB) != 0;
        close(other);
        busy += !runs();
    }
    printf("%d times still locked, %d times busy\n", locked, busy);
    return locked || busy;
}
