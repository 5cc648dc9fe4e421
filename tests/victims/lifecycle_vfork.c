// lifecycle_vfork FILE: a thread writes numbered lines while another one vforks children that close the file's
// descriptor, which is theirs, make calls that would be barriers in the parent, and exit.

#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 100, BURST = 50 };

static int fd;
static atomic_bool done;

static void *write_lines(void *unused) {
    char line[32];
    for (int i = 0; !atomic_load(&done) || i % BURST; i++)
        require(write(fd, line, (size_t)snprintf(line, sizeof line, "%d\n", i)) > 0);
    return unused;
}

int main(int argc, char **argv) {
    pthread_t writer;
    require(argc == 2);
    require((fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600)) >= 0);
    require(pthread_create(&writer, NULL, write_lines, NULL) == 0);
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = vfork();
        if (!child) {
            close(fd);
            for (int j = 0; j < 20; j++) {
                rename("nowhere", "elsewhere");
                usleep(10);
            }
            _exit(0);
        }
        require(child > 0 && waitpid(child, NULL, 0) == child);
    }
    atomic_store(&done, true);
    require(pthread_join(writer, NULL) == 0);
    return close(fd) != 0;
}
