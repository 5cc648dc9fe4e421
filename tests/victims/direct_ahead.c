// direct_ahead WAY: a file read in sequence with O_DIRECT, in which each block says where it is; and what happens
// meanwhile.
//
//   closes    again and again the file is locked, read a little, and closed: nobody has it locked then
//   forks     a child goes on where its parent was, and its parent after it, who then opens the file anew
//   threads   threads take turns, and end
//   sleeps    the program stops reading and sleeps: nothing wakes it up
//   handler   a signal's handler reads on, too
//   executes  the program is replaced, and goes on reading, by the descriptor that it came with and by one of its own
//   rounds    it reads a little, sets its user to what it is, and closes the file: ten times
//   replaced  a thread reads by a number that becomes a pipe meanwhile: all that is in the pipe comes to the thread
//   beside    a thread begins to read; the program takes free numbers, and keeps them, and forks: a child has the
//             descriptors that its parent opened, and no others
//   cancelled a thread is cancelled while it reads, where it may be or, every other time, at any moment; and is joined
//
// Exit status: 0 right, 1 wrong, 77 no direct I/O here.

#include "common.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    BLOCK = 4096,
    BLOCKS = 4096,
    CLOSES = 30,
    FORKS = 10,
    TURNS = 14,
    SLEEPS = 25,
    REPLACED = 50,
    BESIDE = 40,
    CANCELLED = 30
};

static int64_t *block;
static int fd;

static int open_direct(void) {
    int opened = open("file", O_RDONLY | O_DIRECT);
    if (opened < 0 && errno == EINVAL)
        exit(77);
    require(opened >= 0);
    return opened;
}

static void make_file(void) {
    FILE *file = fopen("file", "w");
    require(file);
    for (int64_t i = 0; i < BLOCKS; i++)
        for (int word = 0; word < BLOCK / 8; word++)
            require(fwrite(&i, sizeof i, 1, file) == 1);
    require(fflush(file) == 0 && fsync(fileno(file)) == 0 && fclose(file) == 0);
    usleep(100000); // what has just been changed isn't read ahead
}

static bool holds(const int64_t *bytes, int64_t index) {
    for (int word = 0; word < BLOCK / 8; word++)
        if (bytes[word] != index)
            return false;
    return true;
}

// Reads so many blocks, from the one numbered *next on, beginning anew at the end. How many were others.
static int read_on(int64_t *next, int count) {
    int wrong = 0;
    for (int i = 0; i < count; i++) {
        ssize_t got = read(fd, block, BLOCK);
        if (got == 0) {
            wrong += *next != BLOCKS;
            require(lseek(fd, 0, SEEK_SET) == 0);
            *next = 0;
            got = read(fd, block, BLOCK);
        }
        require(got == BLOCK);
        wrong += !holds(block, (*next)++);
    }
    return wrong;
}

static int closes(void) {
    int wrong = 0, still_locked = 0;
    close(fd);
    for (int i = 0; i < CLOSES; i++) {
        int64_t next = 0;
        fd = open_direct();
        require(flock(fd, LOCK_EX) == 0);
        wrong += read_on(&next, 300 + 4 * i);
        require(close(fd) == 0);
        int other = open_direct();
        still_locked += flock(other, LOCK_EX | LOCK_NB) != 0;
        require(close(other) == 0);
    }
    printf("%d wrong, %d times still locked\n", wrong, still_locked);
    return wrong || still_locked;
}

static int forks(void) {
    int wrong = 0, status;
    for (int i = 0; i < FORKS; i++) {
        int64_t next = 0;
        wrong += read_on(&next, 500 + 25 * i);
        pid_t child = fork();
        require(child >= 0);
        if (child == 0) {
            wrong = read_on(&next, 200);
            require(close(fd) == 0);
            fd = open_direct();
            next = 0;
            _exit(wrong + read_on(&next, 200) != 0);
        }
        require(waitpid(child, &status, 0) == child);
        wrong += status != 0;
        next += 200;
        wrong += read_on(&next, 200);
        require(close(fd) == 0);
        fd = open_direct();
    }
    printf("%d wrong\n", wrong);
    return wrong != 0;
}

static int64_t shared_next;
static int turns_left = TURNS, wrong_in_turns;

// By offsets: at the file position several threads read as each of them calls.
static void read_on_at(int64_t *next, int count) {
    for (int i = 0; i < count; i++, *next = (*next + 1) % BLOCKS) {
        require(pread(fd, block, BLOCK, *next * BLOCK) == BLOCK);
        wrong_in_turns += !holds(block, *next);
    }
}

static void *take_turn(void *unused) {
    read_on_at(&shared_next, 700);
    return unused;
}

static void *take_turn_and_start_the_next(void *unused) {
    pthread_t thread;
    take_turn(unused);
    if (--turns_left > 0) {
        require(pthread_create(&thread, NULL, take_turn, NULL) == 0 && pthread_join(thread, NULL) == 0);
        read_on_at(&shared_next, 300);
    }
    return unused;
}

static int threads(void) {
    pthread_t thread;
    while (turns_left > 0)
        require(pthread_create(&thread, NULL, take_turn_and_start_the_next, NULL) == 0 &&
                pthread_join(thread, NULL) == 0);
    printf("%d wrong\n", wrong_in_turns);
    return wrong_in_turns != 0;
}

static int sleeps(void) {
    int wrong = 0, woken = 0;
    int64_t next = 0;
    for (int i = 0; i < SLEEPS; i++) {
        struct timespec pause = {0, 2000000};
        wrong += read_on(&next, 300 + 4 * i);
        woken += i % 2 ? nanosleep(&pause, NULL) != 0 : poll(NULL, 0, 2) != 0;
    }
    printf("%d wrong, woken %d times\n", wrong, woken);
    return wrong || woken;
}

static volatile sig_atomic_t handled, wrong_in_handler;

// It has a place of its own in the file: not the position.
static void on_alarm(int number) {
    static int64_t bytes[BLOCK / 8] __attribute__((aligned(BLOCK)));
    (void)number;
    int64_t index = (int64_t)handled * 31 % BLOCKS;
    if (pread(fd, bytes, BLOCK, (off_t)index * BLOCK) != BLOCK || !holds(bytes, index))
        wrong_in_handler++;
    handled++;
}

// Once in so many reads: where it came once in so many milliseconds a busy machine would never get to reading ahead.
static int handler(void) {
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    int64_t next = 0;
    int wrong = 0;
    require(sigaction(SIGALRM, &action, NULL) == 0);
    for (int i = 0; i < 30; i++) {
        struct itimerval once = {{0, 0}, {0, 200 + i * 777 % 5000}};
        require(setitimer(ITIMER_REAL, &once, NULL) == 0);
        while (handled <= i)
            wrong += read_on(&next, 1000);
    }
    printf("%d wrong, %d in the handler\n", wrong, (int)wrong_in_handler);
    return wrong || wrong_in_handler;
}

static int rounds(void) {
    int wrong = 0;
    for (int i = 0; i < 10; i++) {
        int64_t next = 0;
        wrong += read_on(&next, 400);
        require(setuid(getuid()) == 0);
        wrong += read_on(&next, 400);
        require(close(fd) == 0);
        fd = open_direct();
    }
    printf("%d wrong\n", wrong);
    return wrong != 0;
}

static _Atomic bool reading;

// Until it is no longer the file: then the rest of what it is. How many bytes of that came.
static void *read_by_number(void *unused) {
    char *bytes = aligned_alloc(BLOCK, BLOCK);
    ssize_t got, of_pipe = 0;
    require(bytes);
    for (off_t at = 0; pread(fd, bytes, BLOCK, at * BLOCK) == BLOCK; at = (at + 1) % BLOCKS)
        reading = true;
    while ((got = read(fd, bytes, BLOCK)) > 0)
        of_pipe += got;
    free(bytes);
    return unused ? NULL : (void *)of_pipe;
}

static int replaced(void) {
    int lost = 0;
    char *filling = calloc(1, 65536);
    require(filling);
    for (int i = 0; i < REPLACED; i++) {
        int pipes[2];
        pthread_t thread;
        void *came;
        require(pipe(pipes) == 0 && write(pipes[1], filling, 65536) == 65536 && close(pipes[1]) == 0);
        reading = false;
        require(pthread_create(&thread, NULL, read_by_number, NULL) == 0);
        while (!reading)
            ;
        usleep((useconds_t)(i * 67 % 4000));
        require(dup2(pipes[0], fd) == fd && close(pipes[0]) == 0);
        require(pthread_join(thread, &came) == 0);
        lost += (ssize_t)came != 65536;
        require(close(fd) == 0);
        fd = open_direct();
    }
    printf("%d pipes lost something\n", lost);
    free(filling);
    return lost != 0;
}

static _Atomic bool stop;

static void *read_until_stopped(void *unused) {
    int64_t *bytes = aligned_alloc(BLOCK, BLOCK);
    require(bytes);
    for (off_t at = 0; !stop; at = (at + 1) % BLOCKS) {
        require(pread(fd, bytes, BLOCK, at * BLOCK) == BLOCK && holds(bytes, at));
        reading = true;
    }
    free(bytes);
    return unused;
}

// Of a child: the numbers up to 20, as bits, that are open.
static int open_numbers(void) {
    int open = 0;
    for (int number = 3; number < 20; number++)
        if (fcntl(number, F_GETFD) >= 0)
            open |= 1 << number;
    return open;
}

static int beside(void) {
    int gone = 0, strange = 0, before = open_numbers(), status, free_number = dup(2);
    require(close(free_number) == 0);
    for (int i = 0; i < BESIDE; i++) {
        pthread_t thread;
        reading = stop = false;
        require(pthread_create(&thread, NULL, read_until_stopped, NULL) == 0);
        while (!reading)
            ;
        usleep((useconds_t)(i * 17 % 700));
        if (i % 2) {
            pid_t child = fork();
            require(child >= 0);
            if (child == 0)
                _exit(open_numbers() != before);
            require(waitpid(child, &status, 0) == child);
            strange += status != 0;
        } else {
            require(dup2(2, free_number) == free_number && dup2(2, free_number + 1) == free_number + 1);
            usleep(2000);
            gone += close(free_number) != 0;
            gone += close(free_number + 1) != 0;
        }
        stop = true;
        require(pthread_join(thread, NULL) == 0 && close(fd) == 0);
        fd = open_direct();
    }
    printf("%d numbers gone, %d children with strange ones\n", gone, strange);
    return gone || strange;
}

static void *read_for_ever(void *unused) {
    for (off_t at = 0;; at = (at + 1) % BLOCKS) {
        if (at == 500 && unused) // now it is reading ahead
            require(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL) == 0);
        if (unused && at >= 500) {
            close(open("file", O_RDONLY));
            fsync(fd);
        }
        if (pread(fd, block, BLOCK, at * BLOCK) == BLOCK && at > 500)
            reading = true;
    }
    return unused;
}

// Each in a process of its own: who has cancelled once isn't treated as one who never has.
static int cancelled(void) {
    int hung = 0, status;
    for (int i = 0; i < CANCELLED && !hung; i++) {
        pid_t child = fork();
        require(child >= 0);
        if (child == 0) {
            pthread_t thread;
            alarm(HANG_SECONDS);
            fd = open_direct();
            require(pthread_create(&thread, NULL, read_for_ever, i % 2 ? &reading : NULL) == 0);
            while (!reading)
                ;
            for (int64_t until = now_us() + i * 290; now_us() < until;)
                require(i % 2 ? fsync(fd) == 0 : usleep(100) == 0);
            require(pthread_cancel(thread) == 0 && pthread_join(thread, NULL) == 0 && close(fd) == 0);
            exit(0);
        }
        require(waitpid(child, &status, 0) == child);
        hung += status != 0;
    }
    printf("%d hung\n", hung);
    return hung != 0;
}

// executes [DESCRIPTOR NEXT TURN]
static int executes(int argc, char **argv) {
    int64_t next = 0;
    int turn = 0;
    if (argc == 5) {
        fd = atoi(argv[2]);
        next = atoi(argv[3]);
        turn = atoi(argv[4]);
    }
    int wrong = 0;
    if (turn > 0) {
        wrong = read_on(&next, 100);
        require(close(fd) == 0);
        fd = open_direct();
        require(lseek(fd, next * BLOCK, SEEK_SET) == next * BLOCK);
    }
    wrong += read_on(&next, 600 + turn);
    if (wrong) {
        printf("wrong in turn %d\n", turn);
        return 1;
    }
    if (turn == 20)
        return puts("right") < 0;
    char number[16], place[24], turns[16];
    snprintf(number, sizeof number, "%d", fd);
    snprintf(place, sizeof place, "%lld", (long long)next);
    snprintf(turns, sizeof turns, "%d", turn + 1);
    execl("/proc/self/exe", argv[0], argv[1], number, place, turns, (char *)NULL);
    return 1;
}

static const struct {
    const char *name;
    int (*run)(void);
} ways[] = {
    {"closes", closes}, {"forks", forks},       {"threads", threads}, {"sleeps", sleeps},       {"handler", handler},
    {"rounds", rounds}, {"replaced", replaced}, {"beside", beside},   {"cancelled", cancelled},
};

int main(int argc, char **argv) {
    require(argc >= 2);
    const char *way = argv[1];
    block = aligned_alloc(BLOCK, BLOCK);
    require(block);
    if (argc == 2) {
        make_file();
        fd = open_direct();
    }
    if (!strcmp(way, "executes"))
        return executes(argc, argv);
    for (size_t i = 0; i < COUNT_OF(ways); i++)
        if (!strcmp(way, ways[i].name))
            return ways[i].run();
    die("no such way: %s", way);
}
