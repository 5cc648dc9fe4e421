/*
 * reader [-b BUFFER] [-p] [-r] [-o OTHER] SIZE COUNT PATH: COUNT reads of SIZE bytes from PATH, from its start on and,
 * at its end, from the start again. Prints the nanoseconds a call, wall and CPU, of the loop.
 * PATH -: from standard input, a stream that has as much; what is left is read when the figures are taken. The first
 * read, which may have to wait for the writer to start, isn't timed.
 *
 *   -b  the hand-buffered variant, the limit of what reading ahead can gain: the program reads BUFFER bytes at a time
 *   -p  by pread, without a file position
 *   -r  by pread at random places, multiples of SIZE
 *   -o  in turns with OTHER, a second file that is read as this one is
 */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../victims/common.h"
#include "clocks.h"

static size_t size, buffer_size;
static bool by_offset, at_random, streams;

struct in {
    int fd;
    off_t end, at; /* the file's size in whole reads; the next read's place */
    char *buffer;
    off_t start, stop; /* what the buffer holds */
};

static struct in open_in(const char *path) {
    struct stat st;
    struct in in = {.fd = streams ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC), .end = INT64_MAX};
    if (!streams) {
        require(in.fd >= 0 && fstat(in.fd, &st) == 0);
        in.end = st.st_size - st.st_size % (off_t)size;
        require(in.end > 0);
    }
    if (buffer_size) {
        in.buffer = malloc(buffer_size);
        require(in.buffer);
        memset(in.buffer, 0, buffer_size); /* its page faults are not the loop's */
    }
    return in;
}

static void read_directly(struct in *in, char *record) {
    if (in->at == 0 && !by_offset && !streams)
        require(lseek(in->fd, 0, SEEK_SET) == 0);
    ssize_t got = by_offset ? pread(in->fd, record, size, in->at) : read(in->fd, record, size);
    require(got == (ssize_t)size);
}

/* What a careful programmer would have written; what is large already is not copied twice. */
static void read_buffered(struct in *in, char *record) {
    if (size > buffer_size / 2) {
        read_directly(in, record);
        return;
    }
    if (in->at < in->start || in->at + (off_t)size > in->stop) {
        ssize_t got = streams ? read(in->fd, in->buffer, buffer_size) : pread(in->fd, in->buffer, buffer_size, in->at);
        require(got >= (ssize_t)size);
        in->start = in->at;
        in->stop = in->at + got;
    }
    memcpy(record, in->buffer + (in->at - in->start), size);
}

static void read_next(struct in *in, char *record, uint64_t *seed) {
    if (at_random)
        in->at = (off_t)(rng_next(seed) % (uint64_t)(in->end / (off_t)size)) * (off_t)size;
    if (buffer_size)
        read_buffered(in, record);
    else
        read_directly(in, record);
    in->at += (off_t)size;
    if (in->at == in->end)
        in->at = 0;
}

static void drain(const struct in *in) {
    static char rest[65536];
    while (read(in->fd, rest, sizeof(rest)) > 0) {
    }
}

int main(int argc, char **argv) {
    const char *other = NULL;
    for (int option; (option = getopt(argc, argv, "b:pro:")) != -1;) {
        if (option == 'b')
            buffer_size = strtoul(optarg, NULL, 0);
        else if (option == 'p')
            by_offset = true;
        else if (option == 'r')
            by_offset = at_random = true;
        else if (option == 'o')
            other = optarg;
        else
            return 2;
    }
    if (argc - optind != 3) {
        fprintf(stderr, "usage: reader [-b BUFFER] [-p] [-r] [-o OTHER] SIZE COUNT PATH\n");
        return 2;
    }
    size = strtoul(argv[optind], NULL, 0);
    long count = atol(argv[optind + 1]);
    char *record = malloc(size);
    require(record && size > 0 && count > 0);
    memset(record, 0, size);
    streams = strcmp(argv[optind + 2], "-") == 0;
    require(!streams || (!by_offset && !other && count > 1));
    struct in in = open_in(argv[optind + 2]), second = {.fd = -1};
    if (other)
        second = open_in(other);
    uint64_t seed = 1;
    if (streams)
        read_next(&in, record, &seed);

    double wall = wall_ns(), cpu = cpu_ns();
    for (long i = streams; i < count; i++)
        read_next(other && i % 2 ? &second : &in, record, &seed);
    wall = wall_ns() - wall;
    cpu = cpu_ns() - cpu;
    count -= streams;
    printf("%.1f %.1f\n", wall / (double)count, cpu / (double)count);
    if (streams)
        drain(&in);
    return 0;
}
