/*
 * What depends on which libc this is.
 *
 * libc_versions print: lines by write, dprintf and its like in turns. openat2: a file is truncated by this system call
 * while writes to it are pending. unknown HOW [LIBRARY]: writes, gets at a function of libc's by HOW (none, dlsym,
 * dlvsym, missing, load LIBRARY) and writes as much again.
 */
#include "transcript.h"

#include <dlfcn.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

__attribute__((format(printf, 2, 3))) static void print(int fd, const char *format, ...) {
    va_list list;
    va_start(list, format);
    require(vdprintf(fd, format, list) > 0);
    va_end(list);
}

extern int __dprintf_chk(int fd, int flag, const char *format, ...);
extern int __vdprintf_chk(int fd, int flag, const char *format, va_list list);

static void print_checked(int fd, const char *format, ...) {
    va_list list;
    va_start(list, format);
    require(__vdprintf_chk(fd, 1, format, list) > 0);
    va_end(list);
}

static void prints(void) {
    int fd = open("printed", O_RDWR | O_CREAT, 0600);
    require(fd >= 0);
    for (int i = 0; i < 400; i++) {
        require(write(fd, "a line\n", 7) == 7);
        if (i % 40 == 9)
            require(dprintf(fd, "dprintf %d\n", i) > 0);
        else if (i % 40 == 19)
            print(fd, "vdprintf %d\n", i);
        else if (i % 40 == 29)
            require(__dprintf_chk(fd, 1, "__dprintf_chk %d\n", i) > 0);
        else if (i % 40 == 39)
            print_checked(fd, "__vdprintf_chk %d\n", i);
    }
    TRY(lseek(fd, 0, SEEK_CUR));
    TRY(dprintf(-1, "no file\n"));
}

static void write_lines(int fd) {
    for (int i = 0; i < 200; i++)
        require(write(fd, "abcdef", 6) == 6);
}

static void truncated(void) {
    struct open_how how = {.flags = O_WRONLY | O_TRUNC};
    struct stat status;
    int fd = open("truncated", O_WRONLY | O_CREAT, 0600);
    write_lines(fd);
    int other = (int)syscall(SYS_openat2, AT_FDCWD, "truncated", &how, sizeof how);
    note("%s\n", other >= 0 ? "there" : strerrorname_np(errno));
    close(other);
    close(fd);
    require(stat("truncated", &status) == 0);
    note("%ld bytes\n", (long)status.st_size);
}

static void unknown(const char *how, const char *library) {
    int fd = open("lines", O_WRONLY | O_CREAT | O_APPEND, 0600);
    require(fd >= 0);
    write_lines(fd);
    if (strcmp(how, "dlsym") == 0)
        require(dlsym(RTLD_DEFAULT, "arc4random"));
    else if (strcmp(how, "dlvsym") == 0)
        require(dlvsym(RTLD_DEFAULT, "arc4random", "GLIBC_2.36"));
    else if (strcmp(how, "missing") == 0)
        require(!dlsym(RTLD_DEFAULT, "no_such_function") && !dlvsym(RTLD_DEFAULT, "write", "GLIBC_2.999"));
    else if (strcmp(how, "load") == 0)
        require(dlopen(library, RTLD_NOW));
    write_lines(fd);
}

int main(int argc, char **argv) {
    require(argc >= 2);
    if (strcmp(argv[1], "print") == 0)
        prints();
    else if (strcmp(argv[1], "openat2") == 0)
        truncated();
    else
        return argc >= 3 ? unknown(argv[2], argv[3]), 0 : 98;
    print_transcript();
    return 0;
}
