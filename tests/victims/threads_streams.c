/*
 * threads_streams FORKS DIR: while threads write lines to streams of their own and flush all streams, the main thread
 * forks again and again, and each child writes a file by stdio. All must come to an end.
 */
#include "threads.h"
#include <sys/wait.h>

enum { WRITERS = 2 };

static atomic_int over;

static void *work(void *path) {
    FILE *out = fopen(path, "we");
    require(out);
    while (!atomic_load(&over)) {
        require(fputs("a line\n", out) >= 0);
        require(fflush(NULL) == 0);
    }
    require(fclose(out) == 0);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t writers[WRITERS];
    char paths[WRITERS][16];
    int status;
    if (argc != 3 || chdir(argv[2]) != 0)
        die("usage: threads_streams FORKS DIR");
    for (int i = 0; i < WRITERS; i++) {
        snprintf(paths[i], sizeof paths[i], "stream%d", i);
        require(!pthread_create(&writers[i], NULL, work, paths[i]));
    }
    for (int i = atoi(argv[1]); i > 0; i--) {
        pid_t child = fork();
        require(child >= 0);
        if (child == 0) {
            FILE *out = fopen("child", "we");
            _exit(!out || fputs("from a child\n", out) < 0 || fclose(out) != 0);
        }
        require(waitpid(child, &status, 0) == child && status == 0);
    }
    atomic_store(&over, 1);
    for (int i = 0; i < WRITERS; i++)
        require(!pthread_join(writers[i], NULL));
    return 0;
}
