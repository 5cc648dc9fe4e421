// streams_errors: calls that fail, or do nothing, on streams into which something small was just written; and kinds of
// pipes, sockets and modes of theirs that each have their own boundaries and errors.

#include "stream_kinds.h"

#include <limits.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

// Not constants, or the compiler would know better than to call.
static char *volatile nowhere = NULL;
static char *volatile nearly_nowhere = (char *)8;
static volatile int negative = -1, too_many = IOV_MAX + 1;
static long page_size;

static char *half_readable(void) {
    char *pages = mmap(NULL, 2 * (size_t)page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(pages != MAP_FAILED);
    memset(pages, 'h', 2 * (size_t)page_size);
    require(mprotect(pages + page_size, (size_t)page_size, PROT_NONE) == 0);
    return pages;
}

// Something is pending from here on, if the library defers at all.
static void busy(int fd) {
    for (int i = 0; i < 5; i++)
        require(write(fd, "some small write\n", 17) == 17);
}

// What has come of it all: the bytes, one by one.
static void arrived(const int ends[2]) {
    static char bytes[1 << 16];
    int size = (int)stream_fill(ends[0]);
    require(read_all(ends[0], bytes, (size_t)size) == (size_t)size);
    note("  arrived: %d bytes, %08x\n", size, checksum(bytes, (size_t)size));
}

static void each_way(int fd, void *bytes, size_t size) {
    struct iovec vector = {bytes, size}, two[2] = {{"first ", 6}, {bytes, size}};
    TRY(write(fd, bytes, size));
    busy(fd);
    TRY(syscall(SYS_write, fd, bytes, size));
    busy(fd);
    TRY(writev(fd, &vector, 1));
    busy(fd);
    TRY(writev(fd, two, 2));
    busy(fd);
    TRY(pwrite(fd, bytes, size, 0));
    busy(fd);
    TRY(pwritev2(fd, &vector, 1, -1, 0));
    busy(fd);
    TRY(send(fd, bytes, size, 0));
    busy(fd);
    TRY(send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT));
    busy(fd);
    TRY(sendto(fd, bytes, size, 0, NULL, 0));
    busy(fd);
    TRY(sendmsg(fd, &(struct msghdr){.msg_iov = &vector, .msg_iovlen = 1}, 0));
    TRY(sendmsg(fd, &(struct msghdr){.msg_iov = two, .msg_iovlen = 2}, 0));
    busy(fd);
}

static void buffers(const char *kind) {
    int ends[2];
    char *forbidden = half_readable(), *limit = forbidden + page_size;
    make_stream(kind, ends);
    const struct {
        void *bytes;
        size_t size;
    } cases[] = {{"good", 4},          {"good", 0},
                 {nowhere, 0},         {nowhere, 10},
                 {nearly_nowhere, 10}, {limit, 0},
                 {limit, 1},           {limit - 10, 10},
                 {limit - 10, 20},     {limit - page_size, (size_t)page_size},
                 {limit - 3000, 5000}, {(void *)-4096, 10},
                 {"good", 5}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        note("%s, case %zu\n", kind, i);
        busy(ends[1]);
        each_way(ends[1], cases[i].bytes, cases[i].size);
        arrived(ends);
    }
    TRY(writev(ends[1], (void *)nowhere, 1));
    TRY(writev(ends[1], NULL, 0));
    TRY(writev(ends[1], (void *)nearly_nowhere, 2));
    TRY(writev(ends[1], (struct iovec[]){{"a", 1}, {"b", (size_t)-1}}, 2));
    busy(ends[1]);
    TRY(writev(ends[1], &(struct iovec){"x", 1}, negative));
    TRY(writev(ends[1], &(struct iovec){"x", 1}, too_many));
    TRY(sendmsg(ends[1], (void *)nowhere, 0));
    busy(ends[1]);
    TRY(sendmsg(ends[1], &(struct msghdr){.msg_iov = (void *)nowhere, .msg_iovlen = 1}, 0));
    TRY(sendmsg(ends[1], &(struct msghdr){.msg_iov = (void *)nowhere, .msg_iovlen = IOV_MAX + 1}, 0));
    TRY(send(ends[1], "x", 1, 0x800000)); // no flag
    TRY(sendto(ends[1], "x", 1, 0, (void *)nowhere, 20));
    busy(ends[1]);
    TRY(sendto(ends[1], "x", 1, 0, (void *)"address", 7));
    arrived(ends);
    // What a stream isn't.
    TRY(lseek(ends[1], 0, SEEK_CUR));
    busy(ends[1]);
    TRY(ftruncate(ends[1], 0));
    busy(ends[1]);
    TRY(fsync(ends[1]));
    busy(ends[1]);
    TRY(fdatasync(ends[1]));
    TRY(syncfs(ends[1]));
    busy(ends[1]);
    TRY(posix_fallocate(ends[1], 0, 10));
    TRY(isatty(ends[1]));
    TRY(fcntl(ends[1], F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_APPEND));
    busy(ends[1]);
    TRY(fcntl(ends[1], F_GETPIPE_SZ));
    TRY(fchdir(ends[1]));
    TRY(read(ends[1], (char[1]){0}, is_socket(kind) ? 0 : 1));
    busy(ends[1]);
    TRY(close(ends[0] + 1000));
    arrived(ends);
    close(ends[0]);
    close(ends[1]);
}

// Numbers that can't be written to, each while something is pending elsewhere.
static void descriptors(const char *kind) {
    int ends[2], gone, file = open_busy("a file", O_RDWR), path = open("a file", O_PATH);
    make_stream(kind, ends);
    gone = dup(ends[1]);
    busy(gone);
    require(close(gone) == 0);
    const int numbers[] = {gone, -1, 123456, INT_MAX, path, is_socket(kind) ? gone : ends[0]};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        note("%s, number %zu\n", kind, i);
        busy(ends[1]);
        TRY(write(numbers[i], "x", 1));
        TRY(write(numbers[i], nowhere, 1));
        busy(ends[1]);
        TRY(write(numbers[i], "x", 0));
        TRY(writev(numbers[i], &(struct iovec){"x", 1}, 1));
        busy(ends[1]);
        TRY(send(numbers[i], "x", 1, 0));
        TRY(sendto(numbers[i], nowhere, 1, 0, NULL, 0));
        busy(ends[1]);
        TRY(sendmsg(numbers[i], &(struct msghdr){.msg_iovlen = 0}, 0));
        TRY(syscall(SYS_write, numbers[i], "x", 1));
        busy(ends[1]);
        TRY(dprintf(numbers[i], "%d", 1));
        TRY(shutdown(numbers[i], SHUT_WR));
    }
    TRY(send(file, "x", 1, 0));
    TRY(sendmsg(file, &(struct msghdr){.msg_iovlen = 0}, 0));
    TRY(sendto(file, "x", 1, 0, NULL, 0));
    arrived(ends);
    FILE *stream = fdopen(dup(ends[1]), "w");
    require(setvbuf(stream, NULL, _IOLBF, 0) == 0);
    busy(ends[1]);
    TRY(fputs("one line\nand a half", stream));
    busy(ends[1]);
    TRY(fflush(stream));
    TRY(fputs("left\n", stream));
    require(close(fileno(stream)) == 0);
    TRY(fputs("lost\n", stream));
    TRY(fflush(stream));
    TRY(ferror(stream) != 0);
    TRY(fclose(stream));
    arrived(ends);
    close(ends[0]);
    close(ends[1]);
    close(file);
    close(path);
}

static void unconnected(void) {
    static const struct {
        int family, type;
    } kinds[] = {{AF_UNIX, SOCK_STREAM},
                 {AF_UNIX, SOCK_DGRAM},
                 {AF_UNIX, SOCK_SEQPACKET},
                 {AF_INET, SOCK_STREAM},
                 {AF_INET, SOCK_DGRAM}};
    int ends[2];
    make_stream("pipe", ends);
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        int fd = socket(kinds[i].family, kinds[i].type, 0);
        require(fd >= 0);
        note("family %d, type %d\n", kinds[i].family, kinds[i].type);
        busy(ends[1]);
        TRY(write(fd, "x", 1));
        TRY(writev(fd, &(struct iovec){"x", 1}, 1));
        busy(ends[1]);
        TRY(send(fd, "x", 1, 0));
        TRY(send(fd, "x", 1, MSG_NOSIGNAL));
        TRY(sendto(fd, "x", 0, 0, NULL, 0));
        busy(ends[1]);
        TRY(sendmsg(fd, &(struct msghdr){.msg_iov = &(struct iovec){"x", 1}, .msg_iovlen = 1}, 0));
        TRY(dprintf(fd, "x"));
        TRY(shutdown(fd, SHUT_WR));
        close(fd);
    }
    arrived(ends);
    close(ends[0]);
    close(ends[1]);
}

// Messages that must arrive as they were sent.
static void boundaries(const int ends[2], const char *name) {
    static const size_t sizes[] = {1, 10, 100, 10, 4000, 0, 7, 7, 7};
    static char bytes[4096];
    memset(bytes, 'm', sizeof bytes);
    note("%s\n", name);
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        TRY(write(ends[1], bytes, sizes[i]));
    require(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
    for (size_t i = 0; i <= COUNT_OF(sizes); i++)
        TRY(read(ends[0], bytes, sizeof bytes));
    close(ends[0]);
    close(ends[1]);
}

static void packets(void) {
    int ends[2];
    require(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
    boundaries(ends, "seqpacket");
    require(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
    boundaries(ends, "datagrams");
    require(pipe2(ends, O_DIRECT) == 0);
    boundaries(ends, "pipe of packets");
    require(pipe(ends) == 0);
    busy(ends[1]);
    TRY(fcntl(ends[1], F_SETFL, O_DIRECT));
    arrived(ends);
    boundaries(ends, "pipe that became one of packets");
}

// As much as goes in, and then EAGAIN: by O_NONBLOCK from the beginning, set later, set through another number, and set
// by another process.
static void nonblocking(const char *kind, int how, size_t size) {
    char bytes[4096];
    int ends[2], written = 0, on = 1, other;
    make_stream(kind, ends);
    if (how != 0)
        busy(ends[1]);
    other = dup(ends[1]);
    pid_t child = how == 3 ? fork() : 1;
    if (child == 0)
        _exit(fcntl(ends[1], F_SETFL, O_NONBLOCK));
    if (how == 3)
        require(waitpid(child, &(int){0}, 0) == child);
    else if (how == 2)
        require(ioctl(other, FIONBIO, &on) == 0);
    else
        require(fcntl(ends[1], F_SETFL, fcntl(ends[1], F_GETFL) | O_NONBLOCK) == 0);
    record_of(bytes, size, 0);
    while (errno = UNTOUCHED, write(ends[1], bytes, size) == (ssize_t)size)
        written++;
    note("%s, %zu bytes, O_NONBLOCK %d: %s", kind, size, how, strerrorname_np(errno));
    // What came to a socket before in fewer pieces takes less of its room.
    if (!is_socket(kind) || how == 0)
        note(" after %d", written);
    note("\n");
    TRY(write(ends[1], bytes, size));
    TRY(send(ends[1], bytes, size, 0));
    require(read_all(ends[0], bytes, size) == size);
    int more = write(other, "x", 1) == 1;
    note("%s", is_socket(kind) ? "" : more ? "  one byte more goes in\n" : "  not one byte more\n");
    int left = (int)stream_fill(ends[0]);
    int expected = (how ? 85 : 0) + (written - 1) * (int)size + more;
    note("  %s\n", left == expected ? "all that was written" : "not what was written");
    // And back.
    require(fcntl(other, F_SETFL, fcntl(other, F_GETFL) & ~O_NONBLOCK) == 0);
    for (char *all = malloc((size_t)left); all; free(all), all = NULL)
        require(read_all(ends[0], all, (size_t)left) == (size_t)left);
    busy(ends[1]);
    arrived(ends);
    close(ends[0]);
    close(ends[1]);
    close(other);
}

// A pipe's size: as much is in it as was written, when it's asked to become less.
static void sizes(void) {
    static const int wanted[] = {4096, 8192, 1 << 20, 1, 0, -1, 65536};
    int ends[2];
    make_stream("pipe", ends);
    for (int much = 0; much < 2; much++) {
        for (size_t i = 0; i < COUNT_OF(wanted); i++) {
            for (int j = 0; j < (much ? 300 : 5); j++)
                require(write(ends[1], "some small write\n", 17) == 17);
            note("to %d with %d in it\n", wanted[i], much ? 5100 : 85);
            TRY(fcntl(ends[1], F_SETPIPE_SZ, wanted[i]));
            TRY(fcntl(ends[0], F_GETPIPE_SZ));
            arrived(ends);
        }
    }
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    static const char *const kinds[] = {"pipe", "fifo", "unix"};
    page_size = sysconf(_SC_PAGESIZE);
    alarm(HANG_SECONDS);
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        buffers(kinds[i]);
        descriptors(kinds[i]);
        for (int how = 0; how < 4; how++)
            for (size_t size = 64; size <= 4096; size *= 4)
                nonblocking(kinds[i], how, size);
    }
    unconnected();
    packets();
    sizes();
    print_transcript();
    return 0;
}
