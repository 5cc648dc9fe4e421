// surface_calls: the rarer names and flags of reading and writing, with writes pending: vectors, pwritev2's flags, the
// names with 64, and the checked ones that a compiler puts in.

// Makes read, pread and others calls of __read_chk, __pread_chk where the buffer's size is known.
#define _FORTIFY_SOURCE 2
#include "transcript.h"

#include <dlfcn.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

static int fd;
static char *forbidden;
static char *volatile nearly_nowhere = (char *)8;
static volatile int minus_one = -1;
static volatile size_t hidden = 40; // not a constant, or nothing would be checked at run time

static void write_some(void) {
    for (int i = 0; i < 5; i++)
        require(write(fd, "some more small writes\n", 23) == 23);
}

static void note_bytes(const char *bytes, size_t size) {
    note("  %08x\n", checksum(bytes, size));
}

static void reading(void) {
    char one[50] = "", two[50] = "", area[100] = "";
    static struct iovec many[IOV_MAX + 1];
    struct iovec vector[] = {{one, 20}, {NULL, 0}, {two, 30}, {area, 0}};
    struct iovec bad[] = {{one, 20}, {forbidden, 20}, {two, 30}};
    struct iovec huge[] = {{one, SSIZE_MAX}, {two, 30}};
    for (size_t i = 0; i < COUNT_OF(many); i++)
        many[i] = (struct iovec){area + i % 100, 1};
    require(lseek(fd, 0, SEEK_SET) == 0);
    TRY(readv(fd, vector, 4));
    write_some();
    TRY(preadv(fd, vector, 4, 100));
    note_bytes(two, 30);
    TRY(readv(fd, vector, 0));
    TRY(readv(fd, NULL, 0));
    TRY(readv(fd, (void *)nearly_nowhere, 1));
    TRY(readv(fd, vector + 1, 1));
    write_some();
    TRY(preadv(fd, bad, 3, 0));
    TRY(preadv(fd, bad + 1, 2, 0));
    TRY(readv(fd, huge, 2));
    TRY(preadv(fd, many, IOV_MAX, 0));
    TRY(preadv(fd, many, IOV_MAX + 1, 0));
    TRY(preadv(fd, vector, minus_one, 0));
    TRY(preadv(fd, vector, 4, -1));
    TRY(preadv2(fd, vector, 4, -1, 0));
    static const int flags[] = {0, RWF_HIPRI, RWF_DSYNC, RWF_SYNC, RWF_NOWAIT, RWF_APPEND, 0x40, 0x40000000};
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        write_some();
        note("%x ", (unsigned)flags[i]);
        TRY(preadv2(fd, vector, 4, 5, flags[i]));
    }
    // What has been checked by its size.
    size_t size = hidden;
    write_some();
    TRY(pread(fd, one, size, 3));
    note_bytes(one, size);
    require(lseek(fd, 50, SEEK_SET) == 50);
    write_some();
    require(lseek(fd, -60, SEEK_CUR) > 0);
    TRY(read(fd, two, size));
    note_bytes(two, size);
    TRY(pread64(fd, area, size + 50, 3));
    note_bytes(area, size + 50);
    require(lseek(fd, 0, SEEK_END) > 0);
}

static void writing(void) {
    static const int flags[] = {
        0,    RWF_HIPRI, RWF_DSYNC, RWF_SYNC,   RWF_NOWAIT, RWF_APPEND, RWF_APPEND | RWF_DSYNC, 0x20 /* RWF_NOAPPEND */,
        0x30, 0x40,      0x80,      0x40000000, -1};
    static const off_t places[] = {-1, 0, 70, 100000, -2, LLONG_MAX};
    struct iovec vector[] = {{"flagged ", 8}, {NULL, 0}, {"write\n", 6}};
    for (size_t i = 0; i < COUNT_OF(flags); i++)
        for (size_t j = 0; j < COUNT_OF(places); j++) {
            write_some();
            note("%x at %lld ", (unsigned)flags[i], (long long)places[j]);
            // HIPRI is answered by the device.
            TRY(pwritev2(fd, vector, 3, places[j], flags[i]));
            note("%x at %lld ", (unsigned)flags[i], (long long)places[j]);
            TRY(pwritev64v2(fd, vector, 0, places[j], flags[i]));
            note("at %lld, size %lld\n", (long long)lseek(fd, 0, SEEK_CUR), (long long)lseek(fd, 0, SEEK_END));
        }
}

#define NAMED(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_DEFAULT, #name))

static void names(void) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};
    struct stat status;
    int other = NAMED(int, creat64, const char *, mode_t)("created64", 0600);
    require(other >= 0);
    for (int i = 0; i < 200; i++)
        require(NAMED(ssize_t, write, int, const void *, size_t)(other, "by name\n", 8) == 8);
    TRY(NAMED(off64_t, lseek64, int, off64_t, int)(other, 0, SEEK_CUR));
    TRY(NAMED(ssize_t, pwrite64, int, const void *, size_t, off64_t)(other, "by place", 8, 16));
    TRY(NAMED(ssize_t, __pwrite64, int, const void *, size_t, off64_t)(other, "by place", 8, 32));
    TRY(NAMED(ssize_t, __write, int, const void *, size_t)(other, "underlined\n", 11));
    TRY(NAMED(int, fcntl64, int, int, ...)(other, F_SETLK, &lock));
    TRY(NAMED(int, fcntl, int, int, ...)(other, F_GETFL));
    TRY(NAMED(int, fcntl64, int, int, ...)(other, F_DUPFD_CLOEXEC, 40));
    TRY(write(40, "by the double\n", 14));
    TRY(NAMED(int, fcntl64, int, int, ...)(40, F_SETFL, O_APPEND));
    TRY(lseek(other, 0, SEEK_SET));
    TRY(write(other, "appended now\n", 13));
    if (dlsym(RTLD_DEFAULT, "fstat64")) // since glibc 2.33
        TRY(NAMED(int, fstat64, int, void *)(other, &status));
    else
        require(fstat(other, &status) == 0);
    note("size %lld\n", (long long)status.st_size);
    TRY(NAMED(int, posix_fallocate64, int, off64_t, off64_t)(other, 0, 5000));
    TRY(posix_fallocate(other, 0, 6000));
    TRY(posix_fallocate(other, -1, 6000));
    TRY(posix_fallocate(other, 0, 0));
    TRY(posix_fallocate(-1, 0, 6000));
    TRY(NAMED(int, ftruncate64, int, off64_t)(other, 1500));
    TRY(write(40, "after\n", 6));
    TRY(NAMED(int, __close, int)(40));
    int more = NAMED(int, open64, const char *, int, ...)("created64", O_RDWR | O_APPEND);
    int at = NAMED(int, openat64, int, const char *, int, ...)(AT_FDCWD, "at64", O_RDWR | O_CREAT, 0600);
    require(more >= 0 && at >= 0);
    for (int i = 0; i < 100; i++) {
        require(write(more, "more\n", 5) == 5 && write(at, "at\n", 3) == 3);
        require(write(other, "other\n", 6) == 6);
    }
    for (int each = other; each <= at; each++)
        TRY(close(each));
}

int main(void) {
    forbidden = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(forbidden != MAP_FAILED);
    static const int flags[] = {O_RDWR, O_RDWR | O_APPEND};
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        fd = open_busy(i ? "appended" : "positioned", flags[i]);
        reading();
        writing();
        TRY(close(fd));
    }
    names();
    print_transcript();
    return 0;
}
