// Calls that fail, or succeed only in part, while there are pending writes: what each of them is answered.

#include "transcript.h"

#include <limits.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

static long page_size;
// Not constants, or the compiler would know better than to call.
static char *volatile nowhere = NULL;
static char *volatile nearly_nowhere = (char *)8;
static volatile int minus_one = -1;

// Two pages, of which the second can't be read. (A hole would not do: whoever maps something next may fill it.)
static char *half_readable(void) {
    char *pages = mmap(NULL, 2 * (size_t)page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(pages != MAP_FAILED);
    memset(pages, 'h', 2 * (size_t)page_size);
    require(mprotect(pages + page_size, (size_t)page_size, PROT_NONE) == 0);
    return pages;
}

// Two pages of a file that then has only one: touching the second would be SIGBUS.
static char *half_of_file(void) {
    int fd = open("mapped", O_RDWR | O_CREAT | O_TRUNC, 0600);
    require(fd >= 0 && ftruncate(fd, 2 * page_size) == 0);
    char *pages = mmap(NULL, 2 * (size_t)page_size, PROT_READ, MAP_PRIVATE, fd, 0);
    require(pages != MAP_FAILED && ftruncate(fd, page_size) == 0 && close(fd) == 0);
    return pages;
}

static void bad_buffers(void) {
    char *forbidden = half_readable(), *beyond = half_of_file();
    int fd = open_busy("bad_buffers", O_RDWR);
    TRY(write(fd, NULL, 0));
    TRY(write(fd, nowhere, 10));
    TRY(write(fd, nearly_nowhere, 10));
    TRY(write(fd, (void *)-4096, 10));
    TRY(write(fd, forbidden + page_size, 100));
    TRY(write(fd, beyond + page_size, 100));
    TRY(write(fd, "good", 4));
    TRY(write(fd, forbidden + page_size - 10, 100));
    TRY(write(fd, "good", 4));
    TRY(write(fd, forbidden + page_size - 3000, 5000));
    TRY(write(fd, beyond + page_size - 1, 2));
    TRY(write(fd, beyond, 2 * (size_t)page_size));
    TRY(write(fd, "good", 4));
    TRY(pwrite(fd, nowhere, 10, 5));
    TRY(pwrite(fd, forbidden + page_size - 10, 100, 7));
    TRY(pwrite(fd, forbidden + page_size - 10, 100, 1 << 20));
    TRY(lseek(fd, 0, SEEK_CUR));
    TRY(lseek(fd, 0, SEEK_END));
    TRY(close(fd));
}

static void bad_vectors(void) {
    char *forbidden = half_readable();
    int fd = open_busy("bad_vectors", O_RDWR);
    struct iovec good[2] = {{"first ", 6}, {"second\n", 7}};
    struct iovec second_bad[2] = {{"first ", 6}, {forbidden + page_size, 7}};
    struct iovec second_half[3] = {{"first ", 6}, {forbidden + page_size - 3, 7}, {"third", 5}};
    struct iovec first_bad[2] = {{NULL, 6}, {"second\n", 7}};
    struct iovec empty_bad[2] = {{NULL, 0}, {"second\n", 7}};
    struct iovec negative[2] = {{"first ", 6}, {"second\n", (size_t)-1}};
    static struct iovec many[1025];
    for (size_t i = 0; i < COUNT_OF(many); i++)
        many[i] = (struct iovec){"m", 1};
    TRY(writev(fd, good, 2));
    TRY(writev(fd, NULL, 0));
    TRY(writev(fd, (void *)nowhere, 1));
    TRY(writev(fd, (void *)nearly_nowhere, 2));
    TRY(writev(fd, (void *)(forbidden + page_size - 24), 2));
    TRY(writev(fd, good, minus_one));
    TRY(writev(fd, many, 1024));
    TRY(writev(fd, many, 1025));
    TRY(writev(fd, second_bad, 2));
    TRY(writev(fd, second_half, 3));
    TRY(writev(fd, first_bad, 2));
    TRY(writev(fd, empty_bad, 2));
    TRY(writev(fd, negative, 2));
    TRY(writev(fd, good, 2));
    TRY(pwritev(fd, second_bad, 2, 100));
    TRY(pwritev(fd, good, 2, -1));
    TRY(pwritev2(fd, good, 2, -1, 0));
    TRY(pwritev2(fd, good, 2, -2, 0));
    TRY(pwritev2(fd, good, 2, 50, RWF_APPEND));
    TRY(pwritev2(fd, good, 2, 50, RWF_DSYNC));
    TRY(pwritev2(fd, good, 2, 50, 0x40000000));
    TRY(lseek(fd, 0, SEEK_CUR));
    TRY(close(fd));
}

static void bad_descriptors(void) {
    int fd = open_busy("bad_descriptors", O_RDWR);
    int reader = open("bad_descriptors", O_RDONLY), writer = open("bad_descriptors", O_WRONLY);
    int path = open("bad_descriptors", O_PATH), directory = open(".", O_RDONLY);
    int gone = dup(fd);
    char byte;
    require(reader >= 0 && writer >= 0 && path >= 0 && directory >= 0 && close(gone) == 0);
    TRY(write(-1, "x", 1));
    TRY(write(gone, "x", 1));
    TRY(write(123456, "x", 1));
    TRY(write(INT_MAX, "x", 1));
    TRY(write(INT_MIN, "x", 1));
    TRY(write(gone, nowhere, 1));
    TRY(write(reader, "x", 1));
    TRY(write(reader, nowhere, 1));
    TRY(write(reader, "x", 0));
    TRY(write(path, "x", 1));
    TRY(write(directory, "x", 1));
    TRY(pwrite(directory, "x", 1, 0));
    TRY(writev(gone, (void *)nowhere, 1));
    TRY(writev(reader, &(struct iovec){"x", 1}, 1));
    TRY(pwrite(gone, "x", 1, -1));
    TRY(read(writer, &byte, 1));
    TRY(read(directory, &byte, 1));
    TRY(open(".", O_WRONLY));
    TRY(open(".", O_RDWR));
    TRY(open("bad_descriptors", O_WRONLY | O_CREAT | O_EXCL, 0600));
    TRY(open("bad_descriptors/under", O_WRONLY | O_CREAT, 0600));
    TRY(fsync(gone));
    TRY(fsync(-1));
    TRY(fdatasync(path));
    TRY(syncfs(gone));
    TRY(sync_file_range(gone, 0, 0, 0));
    TRY(sync_file_range(fd, 0, 0, 0xff00));
    TRY(sync_file_range(fd, -1, 0, 0));
    TRY(close(gone));
    TRY(close(-1));
    TRY(dup(gone));
    TRY(dup2(gone, fd));
    TRY(dup2(fd, -1));
    TRY(dup2(fd, INT_MAX));
    TRY(dup2(fd, fd) - fd);
    TRY(dup2(gone, gone));
    TRY(dup3(fd, fd, 0));
    TRY(dup3(fd, gone, 0xff));
    TRY(fcntl(gone, F_GETFL));
    TRY(fcntl(fd, 9999, 0));
    TRY(fcntl(fd, F_DUPFD, -1));
    TRY(lseek(gone, 0, SEEK_SET));
    TRY(lseek(fd, -1, SEEK_SET));
    TRY(lseek(fd, 0, 99));
    TRY(lseek(fd, LLONG_MAX, SEEK_END));
    TRY(ftruncate(gone, 0));
    TRY(ftruncate(reader, 0));
    TRY(ftruncate(fd, -1));
    TRY(truncate("absent", 0));
    TRY(fallocate(fd, 0, -1, 1));
    TRY(fallocate(reader, 0, 0, 1));
    TRY(close_range(5, 4, 0));
    TRY(close_range(5, 6, 0xff));
    TRY(write(fd, "still here\n", 11));
    for (int each = path; each <= directory; each++)
        close(each);
    TRY(close(fd));
    TRY(close(fd));
    TRY(write(fd, "x", 1));
    close(reader);
    close(writer);
}

static void other_kinds(void) {
    int ends[2], sockets[2];
    int fd = open_busy("other_kinds", O_RDWR);
    require(pipe(ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    TRY(pwrite(ends[1], "x", 1, 0));
    TRY(lseek(ends[1], 0, SEEK_CUR));
    TRY(write(ends[0], "x", 1));
    TRY(write(ends[1], nowhere, 1));
    TRY(write(sockets[0], nowhere, 1));
    TRY(fsync(ends[1]));
    TRY(fdatasync(sockets[0]));
    TRY(sync_file_range(ends[1], 0, 0, 0));
    TRY(ftruncate(ends[1], 0));
    TRY(fallocate(ends[1], 0, 0, 1));
    TRY(fcntl(ends[1], F_SETFL, O_NONBLOCK));
    long sum = 0;
    for (long part; (part = write(ends[1], transcript, sizeof transcript)) > 0;)
        sum += part;
    note("a full pipe holds %ld\n", sum);
    TRY(write(ends[1], "x", 1));
    int full = open("/dev/full", O_WRONLY), null = open("/dev/null", O_WRONLY);
    if (full >= 0)
        TRY(write(full, "x", 1));
    TRY(write(null, "x", 1));
    TRY(write(null, nowhere, 1));
    TRY(write(fd, "still here\n", 11));
    for (int each = fd; each <= null; each++)
        close(each);
}

static void far_offsets(void) {
    static const off_t far[] = {-1, LLONG_MIN, LLONG_MAX, LLONG_MAX - 5, 1LL << 62, (1LL << 44) - 4096, 1LL << 43};
    int fd = open_busy("far_offsets", O_RDWR);
    for (size_t i = 0; i < COUNT_OF(far); i++) {
        note("at %lld ", (long long)far[i]);
        TRY(pwrite(fd, "distant", 7, far[i]));
        note("at %lld ", (long long)far[i]);
        if (TRY(lseek(fd, far[i], SEEK_SET)) >= 0)
            TRY(write(fd, "distant", 7));
    }
    // The last byte that ext4 can hold: the write is cut short there, and the next one fails.
    off_t edge = (1LL << 44) - 4096;
    if (TRY(lseek(fd, edge - 10, SEEK_SET)) >= 0)
        for (int i = 0; i < 4; i++)
            TRY(write(fd, "edge..", 6));
    TRY(lseek(fd, 0, SEEK_CUR));
    TRY(ftruncate(fd, 5000));
    TRY(lseek(fd, 0, SEEK_SET));
    TRY(write(fd, "back at the start", 17));
    TRY(close(fd));
}

int main(void) {
    page_size = sysconf(_SC_PAGESIZE);
    bad_buffers();
    bad_vectors();
    bad_descriptors();
    other_kinds();
    far_offsets();
    print_transcript();
    return 0;
}
