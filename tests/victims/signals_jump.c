// signals_jump ROUNDS: a timer's handler interrupts writes anywhere and jumps out of them, back into the loop. Whatever
// a write had returned for is in the file once and whole; the one that was jumped out of may be, once and whole.

#include "signals.h"

#include <setjmp.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>

enum { RECORD = 24, MOST = 1 << 20 };

static sigjmp_buf back;
static volatile sig_atomic_t jumps, armed;
static volatile unsigned begun;
static unsigned char returned[MOST];
static int appended, positioned, plain;

static void jump(int number) {
    (void)number;
    if (!armed)
        return;
    armed = 0;
    jumps++;
    siglongjmp(back, 1);
}

static void make_record(char *record, unsigned number) {
    char text[48];
    snprintf(text, sizeof text, "%08u %08x ......", number, checksum(&number, sizeof number));
    memcpy(record, text, RECORD);
    record[RECORD - 1] = '\n';
}

static void write_record(unsigned number) {
    char record[RECORD];
    make_record(record, number);
    struct iovec halves[] = {{record, 10}, {record + 10, RECORD - 10}};
    ssize_t result;
    switch (number % 4) {
    case 0:
        result = write(appended, record, RECORD);
        break;
    case 1:
        result = pwrite(positioned, record, RECORD, (off_t)number * RECORD);
        break;
    case 2:
        result = write(plain, record, RECORD);
        break;
    default:
        result = writev(appended, halves, 2);
    }
    require(result == RECORD);
}

static void check_sequence(const char *path, bool (*belongs)(unsigned)) {
    char record[RECORD + 1], want[RECORD];
    unsigned next = 0, number;
    FILE *file = fopen(path, "r");
    require(file);
    while (fread(record, 1, RECORD, file) == RECORD) {
        record[RECORD] = '\0';
        require(sscanf(record, "%u", &number) == 1);
        make_record(want, number);
        if (memcmp(record, want, RECORD) != 0)
            die("%s: torn at %u", path, next);
        for (; next < number; next++)
            if (belongs(next) && returned[next])
                die("%s: %u is missing", path, next);
        if (number != next)
            die("%s: %u again or too late, at %u", path, number, next);
        next++;
    }
    for (; next < begun; next++)
        if (belongs(next) && returned[next])
            die("%s: %u is missing at the end", path, next);
    fclose(file);
}

static bool is_appended(unsigned number) {
    return number % 4 == 0 || number % 4 == 3;
}

static bool is_plain(unsigned number) {
    return number % 4 == 2;
}

static void check_positioned(void) {
    char record[RECORD], want[RECORD];
    for (unsigned number = 1; number < begun; number += 4) {
        make_record(want, number);
        ssize_t got = pread(positioned, record, RECORD, (off_t)number * RECORD);
        bool right = got == RECORD && !memcmp(record, want, RECORD);
        if (!right && returned[number])
            die("positioned: %u is missing", number);
        if (!right && got > 0 && memcmp(record, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", (size_t)got) != 0)
            die("positioned: %u is torn", number);
    }
}

int main(int argc, char **argv) {
    struct itimerval once = {.it_value.tv_usec = 30}, never = {0};
    sigset_t before;
    require(argc == 2);
    long rounds = atol(argv[1]);
    appended = open("appended", O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
    positioned = open("positioned", O_RDWR | O_CREAT | O_TRUNC, 0600);
    plain = open("plain", O_RDWR | O_CREAT | O_TRUNC, 0600);
    require(appended >= 0 && positioned >= 0 && plain >= 0);
    signal(SIGALRM, jump);
    require(sigprocmask(SIG_BLOCK, NULL, &before) == 0);
    volatile uint64_t seed = 1;
    while (jumps < rounds && begun < MOST - 1000) {
        if (sigsetjmp(back, 1) == 0) {
            uint64_t state = seed;
            once.it_value.tv_usec = 1 + (long)rng_below(&state, 150);
            seed = state;
            armed = 1;
            require(setitimer(ITIMER_REAL, &once, NULL) == 0);
            while (armed && begun < MOST - 1000) {
                unsigned number = begun;
                begun = number + 1;
                write_record(number);
                returned[number] = 1;
            }
        }
        armed = 0;
        sigset_t after;
        require(sigprocmask(SIG_BLOCK, NULL, &after) == 0 && !memcmp(&before, &after, 8));
    }
    require(setitimer(ITIMER_REAL, &never, NULL) == 0);
    check_sequence("appended", is_appended);
    check_sequence("plain", is_plain);
    check_positioned();
    require(jumps > 0);
    return 0;
}
