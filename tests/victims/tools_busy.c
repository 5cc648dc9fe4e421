/*
 * Does a little of everything that the library takes part in, and nothing that a sanitizer or valgrind would complain
 * about: threads that write small pieces, streams, reading back, positions, handlers, fork. Ends with status 3.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 3, RECORD = 37 };

static long records = 2000;
static volatile sig_atomic_t handled;

static void __attribute__((noreturn)) die(const char *what) {
    perror(what);
    exit(98);
}

static void handler(int number) {
    handled += number == SIGUSR1;
}

static void write_all(int fd, const char *bytes, size_t n) {
    if (write(fd, bytes, n) != (ssize_t)n)
        die("write");
}

static void *writer(void *argument) {
    int number = *(int *)argument;
    char name[16], record[RECORD];
    snprintf(name, sizeof name, "file%d", number);
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        die(name);
    for (long i = 0; i < records; i++) {
        memset(record, 'a' + (int)((i + number) % 26), sizeof record);
        write_all(fd, record, sizeof record);
    }
    if (pwrite(fd, "middle", 6, 1000) != 6 || lseek(fd, 0, SEEK_END) != records * RECORD)
        die("lseek");
    write_all(fd, "end", 3);
    if (close(fd) != 0)
        die("close");
    return NULL;
}

static uint32_t sum_of(const char *name) {
    char bytes[64];
    ssize_t got;
    uint32_t sum = 1;
    int fd = open(name, O_RDONLY);
    if (fd < 0)
        die(name);
    while ((got = read(fd, bytes, sizeof bytes)) > 0)
        for (ssize_t i = 0; i < got; i++)
            sum = 31 * sum + (unsigned char)bytes[i];
    struct stat st;
    if (got < 0 || fstat(fd, &st) != 0 || close(fd) != 0)
        die("read");
    printf("%s: %lld bytes, %08x\n", name, (long long)st.st_size, sum);
    return sum;
}

static void streams(void) {
    FILE *stream = fopen("lines", "w+");
    char line[64];
    int count = 0;
    if (!stream)
        die("lines");
    for (int i = 0; i < 500; i++) {
        fprintf(stream, "line %d\n", i);
        if (i % 10 == 0)
            fflush(stream);
    }
    rewind(stream);
    while (fgets(line, sizeof line, stream))
        count++;
    printf("%d lines\n", count);
    fclose(stream);
}

static void child(void) {
    int fd = open("file0", O_WRONLY | O_APPEND), status;
    write_all(fd, "parent ", 7);
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        for (int i = 0; i < 100; i++)
            write_all(fd, "child ", 6);
        _exit(7);
    }
    if (waitpid(pid, &status, 0) != pid)
        die("waitpid");
    write_all(fd, "parent again", 12);
    printf("child %d\n", WEXITSTATUS(status));
    if (close(fd) != 0)
        die("close");
}

int main(int argc, char **argv) {
    pthread_t thread[THREADS];
    int number[THREADS];
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    if (argc > 1)
        records = atol(argv[1]);
    if (sigaction(SIGUSR1, &action, NULL) != 0)
        die("sigaction");
    for (int i = 0; i < THREADS; i++) {
        number[i] = i;
        if (pthread_create(&thread[i], NULL, writer, &number[i]) != 0)
            die("pthread_create");
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < 5; i++)
        raise(SIGUSR1);
    printf("handled %d\n", (int)handled);
    streams();
    child();
    sum_of("file0"), sum_of("file1"), sum_of("file2"), sum_of("lines");
    errno = 0;
    printf("%zd %s\n", write(-1, "x", 1), strerror(errno));
    return 3;
}
