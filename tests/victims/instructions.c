/*
 * instructions CALL: how many instructions in user mode one call takes that nothing is done about, as counted by
 * stepping through two loops of different lengths (ptrace(2)), in hundredths.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LARGE = 128 << 10, WARM = 400, TIMES = 100 };

static char bytes[LARGE];

static void __attribute__((noreturn)) die(const char *what) {
    perror(what);
    exit(98);
}

/* On a file that is written and read in large pieces, or not at all. */
static void call(char kind, int fd) {
    struct stat st;
    switch (kind) {
    case 'r':
        if (read(fd, bytes, LARGE) < 0)
            die("read");
        break;
    case 'R':
        if (pread(fd, bytes, LARGE, 0) != LARGE)
            die("pread");
        break;
    case 'w':
        if (write(fd, bytes, LARGE) != LARGE)
            die("write");
        break;
    case 'W':
        if (pwrite(fd, bytes, LARGE, 0) != LARGE)
            die("pwrite");
        break;
    case 'f':
        if (fcntl(fd, F_GETFL) < 0)
            die("fcntl");
        break;
    case 'o': /* and closed, by the kernel's own name */
        if (close(open("file", O_RDONLY)) != 0)
            die("open");
        break;
    case 's':
        if (fstat(fd, &st) != 0)
            die("fstat");
        break;
    case 'l':
        if (lseek(fd, 0, SEEK_SET) != 0)
            die("lseek");
        break;
    }
}

static void loop(char kind, int fd, int times) {
    raise(SIGUSR1);
    while (times-- > 0)
        call(kind, fd);
    raise(SIGUSR2);
}

static void work(char kind) {
    int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || pwrite(fd, bytes, LARGE, 0) != LARGE)
        die("file");
    if (kind == 'r' && lseek(fd, 0, SEEK_END) < 0) /* each read is told of the end */
        die("lseek");
    for (int i = 0; i < WARM && kind != 'w'; i++)
        call(kind, fd);
    for (int i = 0; i < TIMES && kind == 'w'; i++)
        call(kind, fd);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        die("ptrace");
    loop(kind, fd, TIMES);
    loop(kind, fd, 2 * TIMES);
    _exit(0);
}

static int next_stop(pid_t pid) {
    int status;
    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) {
        fprintf(stderr, "not stopped: %x\n", (unsigned)status);
        exit(97);
    }
    return WSTOPSIG(status);
}

static long counted(pid_t pid) {
    long steps = 0;
    if (next_stop(pid) != SIGUSR1)
        die("no beginning");
    do {
        steps++;
        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) != 0)
            die("step");
    } while (next_stop(pid) != SIGUSR2);
    if (ptrace(PTRACE_CONT, pid, NULL, NULL) != 0)
        die("continue");
    return steps;
}

int main(int argc, char **argv) {
    static const char *const names[] = {"none", "read", "Read", "write", "Write", "fcntl", "open", "stat", "lseek"};
    char kind = '\0';
    for (size_t i = 0; argc == 2 && i < sizeof names / sizeof *names; i++)
        if (strcmp(argv[1], names[i]) == 0)
            kind = *names[i];
    if (!kind)
        return 99;
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0)
        work(kind);
    long once = counted(pid), twice = counted(pid);
    printf("%ld\n", (twice - once) * 100 / TIMES);
    return 0;
}
