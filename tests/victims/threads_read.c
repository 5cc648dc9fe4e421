/*
 * threads_read HOW ROUNDS
 *
 * Four threads read records through one descriptor and the numbers that were made of it, each by pieces of another size
 * or another call: every record is delivered exactly once, and the position is at the end. Others meanwhile
 *   alone     do nothing: there are none
 *   seek      seek in, read, duplicate and close descriptors of their own
 *   replace   put other descriptions at a number of their own
 *   look      ask for the position, the size, and whether it is a terminal
 *   mixed     all of it
 */
#include "threads.h"
#include <sys/sendfile.h>
#include <sys/uio.h>

enum { READERS = 4, RECORDS = 1 << 16, SMALL = 16 };

static const char *how;
static _Atomic uint8_t delivered[RECORDS];
static _Atomic bool ended;
static int numbers[READERS];

/* Sizes are whole records, so that whoever gets one gets all of it. */
static void take(const uint32_t *bytes, ssize_t got) {
    require(got >= 0 && got % (ssize_t)sizeof *bytes == 0);
    for (ssize_t i = 0; i < got / (ssize_t)sizeof *bytes; i++) {
        require(bytes[i] < RECORDS);
        atomic_fetch_add(&delivered[bytes[i]], 1);
    }
}

static ssize_t take_some(unsigned reader, int turn) {
    static const size_t sizes[READERS] = {SMALL, SMALL / 4, 512, 20000};
    static __thread uint32_t bytes[8192];
    size_t n = sizes[reader];
    struct iovec halves[] = {{bytes, SMALL}, {bytes + SMALL / sizeof *bytes, SMALL}};
    bool vector = reader == 2 && turn % 3 == 0;
    if (reader == 3 && turn % 2) /* a large one only now and then: the others are to get into their stride */
        n = SMALL;
    ssize_t got = vector ? readv(numbers[reader], halves, 2) : read(numbers[reader], bytes, n);
    take(bytes, got);
    return got;
}

static void *reads(void *argument) {
    unsigned reader = (unsigned)(uintptr_t)argument;
    for (int turn = 0; take_some(reader, turn) > 0; turn++)
        ;
    return NULL;
}

static bool is(const char *name) {
    return !strcmp(how, name) || !strcmp(how, "mixed");
}

static void *disturbs(void *unused) {
    char bytes[100];
    struct stat st;
    int own = open("records", O_RDONLY), spare = dup(own);
    require(own >= 0 && spare >= 0);
    for (int i = 0; !atomic_load(&ended); i++) {
        if (is("seek")) {
            require(lseek(own, i % 1000 * 4, SEEK_SET) == i % 1000 * 4);
            for (int k = 0; k < 20; k++)
                require(read(own, bytes, sizeof bytes) == sizeof bytes);
            int twin = dup(own);
            require(twin >= 0 && close(twin) == 0);
        }
        if (is("replace")) {
            require(dup2(i % 2 ? own : numbers[0], spare) == spare);
            int fresh = open("records", O_RDONLY);
            require(fresh >= 0 && read(fresh, bytes, 10) == 10 && dup2(fresh, spare) == spare && close(fresh) == 0);
            require(lseek(spare, 0, SEEK_CUR) == 10);
        }
        if (is("look"))
            require(lseek(numbers[i % READERS], 0, SEEK_CUR) >= 0 && fstat(numbers[i % READERS], &st) == 0 &&
                    st.st_size == RECORDS * 4 && !isatty(numbers[i % READERS]));
    }
    close(own);
    close(spare);
    return unused;
}

static void round_of_it(void) {
    pthread_t threads[READERS], others[2];
    numbers[0] = open("records", O_RDONLY);
    numbers[1] = numbers[3] = dup(numbers[0]);
    numbers[2] = fcntl(numbers[0], F_DUPFD, 200);
    require(numbers[0] >= 0 && numbers[1] >= 0 && numbers[2] >= 0);
    memset((void *)delivered, 0, sizeof delivered);
    atomic_store(&ended, false);
    for (int i = 0; i < 2; i++)
        if (strcmp(how, "alone") != 0)
            require(!pthread_create(&others[i], NULL, disturbs, NULL));
    for (uintptr_t i = 0; i < READERS; i++)
        require(!pthread_create(&threads[i], NULL, reads, (void *)i));
    for (int i = 0; i < READERS; i++)
        require(!pthread_join(threads[i], NULL));
    atomic_store(&ended, true);
    for (int i = 0; i < 2; i++)
        if (strcmp(how, "alone") != 0)
            require(!pthread_join(others[i], NULL));
    require(lseek(numbers[1], 0, SEEK_CUR) == RECORDS * 4);
    for (unsigned i = 0; i < RECORDS; i++)
        if (delivered[i] != 1)
            die("record %u came %d times", i, delivered[i]);
    for (int i = 0; i < 3; i++)
        require(close(numbers[i]) == 0);
}

int main(int argc, char **argv) {
    static uint32_t records[RECORDS];
    if (argc != 3)
        die("usage: threads_read HOW ROUNDS");
    how = argv[1];
    for (unsigned i = 0; i < RECORDS; i++)
        records[i] = i;
    int out = open("records", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    require(out >= 0 && write(out, records, sizeof records) == sizeof records && close(out) == 0);
    for (int i = atoi(argv[2]); i > 0; i--)
        round_of_it();
    return 0;
}
