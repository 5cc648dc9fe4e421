/*
 * streams_shared KIND WRITERS RECORDS SEED FILE CMD [ARG]…
 *
 * Runs CMD ARG… write WRITERS RECORDS SEED FILE (this program, by whatever launcher), which has the stream as its
 * output: so many processes write records to it, none larger than PIPE_BUF, and append them to the file. The reader,
 * slow now and then, must find each in one piece, and those of each process in order and complete; so must who reads
 * the file.
 */
#include "streams.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { WRITERS_MAX = 64 };

struct record {
    uint32_t writer, number, size, check;
    char data[];
};

static const char *self = "/proc/self/exe";
static unsigned writers, records;
static uint64_t seed;

/* Mostly small ones, of which many fit into what is written at once. */
static size_t record_size(uint64_t *rng) {
    static const size_t limits[] = {1, 64, 64, 200, 200, 1000, PIPE_BUF};
    size_t limit = limits[rng_below(rng, COUNT_OF(limits))], least = sizeof(struct record);
    return limit == 1 ? PIPE_BUF : least + rng_below(rng, limit < least ? 1 : limit - least + 1);
}

static void put(int fd, struct record *record) {
    struct iovec parts[] = {{record, sizeof(*record)}, {record->data, record->size - sizeof(*record)}};
    ssize_t done = record->number % 3 ? write(fd, record, record->size) : writev(fd, parts, COUNT_OF(parts));
    require(done == (ssize_t)record->size);
}

static void write_records(unsigned writer, int file) {
    static _Alignas(struct record) char room[PIPE_BUF + sizeof(uint64_t)];
    struct record *record = (struct record *)room;
    uint64_t rng = seed + writer;
    for (unsigned number = 0; number < records; number++) {
        size_t size = record_size(&rng);
        rng_fill(&rng, record->data, size - sizeof(*record));
        record->writer = writer;
        record->number = number;
        record->size = (uint32_t)size;
        record->check = checksum(record->data, size - sizeof(*record));
        put(STDOUT_FILENO, record);
        if (number % 4 == 0)
            put(file, record);
    }
}

/* Each way to end performs what is pending. */
static _Noreturn void write_and_end(unsigned writer, const char *name) {
    int file = open(name, O_WRONLY | O_APPEND);
    require(file >= 0);
    write_records(writer, file);
    if (writer % 3 == 0)
        exit(0);
    if (writer % 3 == 1)
        _exit(0);
    kill(getpid(), SIGTERM);
    abort();
}

/* Half of them are programs of their own. */
static int write_all(char **argv) {
    char number[16];
    int status;
    alarm(HANG_SECONDS);
    for (unsigned writer = 0; writer < writers; writer++) {
        pid_t child = fork();
        require(child >= 0);
        if (child)
            continue;
        if (writer % 2) {
            snprintf(number, sizeof(number), "%u", writer);
            execl(self, self, number, argv[0], argv[1], argv[2], argv[3], (char *)NULL);
            die("%s", self);
        }
        write_and_end(writer, argv[3]);
    }
    for (unsigned i = 0; i < writers; i++) {
        require(wait(&status) > 0);
        if (status && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM))
            die("a writer ended with status %x", (unsigned)status);
    }
    return 0;
}

static size_t fill(int fd, void *buffer, size_t size) {
    size_t done = 0;
    ssize_t length;
    while (done < size && (length = read(fd, (char *)buffer + done, size - done)) > 0)
        done += (size_t)length;
    return done;
}

static bool wrong(const char *what, const struct record *record, unsigned expected) {
    printf("%s: writer %u, number %u (not %u), %u bytes\n", what, record->writer, record->number, expected,
           record->size);
    return false;
}

/* One in so many records of each is there. */
static bool check(const char *what, int fd, unsigned every, bool slowly) {
    static _Alignas(struct record) char room[PIPE_BUF];
    struct record *record = (struct record *)room;
    unsigned next[WRITERS_MAX] = {0};
    uint64_t rng = seed;
    size_t length;
    while ((length = fill(fd, record, sizeof(*record))) == sizeof(*record)) {
        size_t rest = record->size - sizeof(*record);
        if (record->writer >= writers || record->size < sizeof(*record) || record->size > PIPE_BUF)
            return wrong(what, record, 0);
        if (fill(fd, record->data, rest) != rest || record->check != checksum(record->data, rest) ||
            record->number != next[record->writer])
            return wrong(what, record, next[record->writer]);
        next[record->writer] += every;
        if (slowly && rng_below(&rng, 100) == 0)
            usleep((useconds_t)rng_below(&rng, 3000));
    }
    for (unsigned writer = 0; writer < writers; writer++)
        if (length || next[writer] < records) {
            printf("%s: writer %u came to %u of %u, and %zu bytes are left\n", what, writer, next[writer], records,
                   length);
            return false;
        }
    return true;
}

int main(int argc, char **argv) {
    if (argc < 6)
        die("usage: streams_shared KIND WRITERS RECORDS SEED FILE CMD [ARG]...");
    writers = (unsigned)atoi(argv[2]);
    records = (unsigned)atoi(argv[3]);
    seed = strtoull(argv[4], NULL, 0);
    require(writers <= WRITERS_MAX);
    if (!strcmp(argv[1], "write"))
        return write_all(argv + 2);
    if (argc == 6)
        write_and_end((unsigned)atoi(argv[1]), argv[5]);

    int ends[2], status, file = open(argv[5], O_RDONLY | O_CREAT | O_TRUNC, 0600);
    char *command[32] = {0};
    require(file >= 0 && argc - 6 + 5 < (int)COUNT_OF(command));
    memcpy(command, argv + 6, (size_t)(argc - 6) * sizeof(*command));
    command[argc - 6] = (char *)"write";
    memcpy(command + argc - 5, argv + 2, 4 * sizeof(*command));
    unlink("stream");
    open_stream(argv[1], "stream", ends);
    pid_t writer = fork();
    require(writer >= 0);
    if (!writer) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execvp(command[0], command);
        die("%s", command[0]);
    }
    close(ends[1]);
    bool right = check(argv[1], ends[0], 1, true);
    close(ends[0]);
    require(waitpid(writer, &status, 0) == writer);
    if (status && right)
        die("the writers ended with status %x", (unsigned)status);
    return !right || !check("file", file, 4, false);
}
