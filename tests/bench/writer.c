/*
 * writer [-b BUFFER] [-s SPINS] [-n] SIZE COUNT PATH: COUNT sequential writes of SIZE bytes to PATH, with SPINS steps
 * of arithmetic before each. Prints the nanoseconds a call, wall and CPU, of the loop and the close after it.
 * PATH -: to standard output, whatever that is. The figures go to standard error then, with a third: the time at which
 * the loop began, in nanoseconds of the monotonic clock.
 *
 *   -b  the hand-coalesced variant, the limit of what batching can gain: the program fills a buffer of BUFFER bytes
 *   -n  writes nothing: computes and copies into the buffer only
 */
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "../victims/common.h"
#include "clocks.h"

static struct {
    char *bytes;
    size_t size;
    size_t used;
    int fd;
    int discard;
} out;

/* Each step waits for the one before it, so that the time is the same however wide the processor is. */
static uint64_t spin(uint64_t value, long steps) {
    for (long i = 0; i < steps; i++)
        value = value * 6364136223846793005u + 1442695040888963407u;
    return value;
}

static void write_all(const char *bytes, size_t size) {
    while (size > 0 && !out.discard) {
        ssize_t done = write(out.fd, bytes, size);
        require(done > 0);
        bytes += done;
        size -= (size_t)done;
    }
}

static void drain(void) {
    write_all(out.bytes, out.used);
    out.used = 0;
}

/* What a careful programmer would have written: pieces of BUFFER bytes, and no copy of what is large already. */
static void put(const char *record, size_t size) {
    int large = size >= out.size / 2;
    if (large || out.used + size > out.size)
        drain();
    if (large) {
        write_all(record, size);
        return;
    }
    memcpy(out.bytes + out.used, record, size);
    out.used += size;
}

int main(int argc, char **argv) {
    long spins = 0;
    for (int option; (option = getopt(argc, argv, "b:s:n")) != -1;) {
        if (option == 'b')
            out.size = strtoul(optarg, NULL, 0);
        else if (option == 's')
            spins = atol(optarg);
        else if (option == 'n')
            out.discard = 1;
        else
            return 2;
    }
    if (argc - optind != 3) {
        fprintf(stderr, "usage: writer [-b BUFFER] [-s SPINS] [-n] SIZE COUNT PATH\n");
        return 2;
    }
    size_t size = strtoul(argv[optind], NULL, 0);
    long count = atol(argv[optind + 1]);
    char *record = malloc(size);
    require(record && size > 0 && count > 0);
    uint64_t seed = 1;
    rng_fill(&seed, record, size);
    if (out.size > 0) {
        out.bytes = malloc(out.size);
        require(out.bytes);
        memset(out.bytes, 0, out.size); /* its page faults are not the loop's */
    }
    bool standard = strcmp(argv[optind + 2], "-") == 0;
    out.fd = standard ? STDOUT_FILENO : open(argv[optind + 2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    require(out.fd >= 0);

    double start = wall_ns(), cpu = cpu_ns();
    for (long i = 0; i < count; i++) {
        if (spins > 0)
            seed = spin(seed, spins);
        if (out.size > 0)
            put(record, size);
        else
            write_all(record, size);
    }
    drain();
    require(close(out.fd) == 0);
    double wall = wall_ns() - start;
    cpu = cpu_ns() - cpu;

    record[0] = (char)seed; /* or the compiler may leave out the arithmetic */
    __asm__ volatile("" : : "r"(record) : "memory");
    if (standard)
        fprintf(stderr, "%.1f %.1f %.0f\n", wall / (double)count, cpu / (double)count, start);
    else
        printf("%.1f %.1f\n", wall / (double)count, cpu / (double)count);
    return 0;
}
