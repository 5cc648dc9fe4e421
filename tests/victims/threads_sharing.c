// threads_sharing fork|message ROUNDS: one thread writes records to a file all the time, and after each says in a page
// how many there are, while another makes the page, forks a child that looks at both, or sends the page's descriptor to
// one that has been there before, and ends all that again. From the moment at which the child has the page it finds as
// many records as it is told of.

#include "bare.h"
#include "passing.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, LOOKS = 300 };

static long *_Atomic page;
static volatile bool over;
static volatile long turns; // of the writer's

static void *write_all_the_time(void *unused) {
    int fd = open("records", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    for (long count = 1; !over; count++) {
        long *word = page;
        require(write(fd, &count, sizeof count) == sizeof count);
        if (word)
            __atomic_store_n(word, count, __ATOMIC_RELEASE);
        turns = count;
    }
    return unused;
}

static void await_turns(void) {
    for (long before = turns; turns < before + 2;)
        bare_call(SYS_sched_yield, 0, 0, 0, 0);
}

// The child's: looks in a way that no library can take for anything.
static void watch(const long *word) {
    struct stat st;
    for (int i = 0; i < LOOKS; i++) {
        long told = __atomic_load_n(word, __ATOMIC_ACQUIRE);
        require(bare_call(SYS_newfstatat, AT_FDCWD, "records", &st, 0) == 0);
        if (st.st_size < told * (long)sizeof(long))
            die("told of %ld records, and there are %ld", told, (long)(st.st_size / (long)sizeof(long)));
    }
}

static long *map_page(int fd) {
    long *word = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
    require(word != MAP_FAILED);
    return word;
}

static long *begin(int fd) {
    long *word = map_page(fd);
    page = word;
    await_turns();
    return word;
}

static void end(long *word) {
    page = NULL;
    await_turns();
    require(munmap(word, PAGE) == 0);
}

static void share_by_fork(void) {
    int status = 0;
    long *word = begin(-1);
    pid_t child = fork();
    if (child == 0) {
        watch(word);
        _exit(0);
    }
    require(waitpid(child, &status, 0) == child && status == 0);
    end(word);
}

static void share_by_message(int socket) {
    char done;
    int fd = memfd_create("page", MFD_CLOEXEC);
    require(fd >= 0 && ftruncate(fd, PAGE) == 0);
    long *word = begin(fd);
    require(send_descriptor(socket, fd) == 1 && read(socket, &done, 1) == 1 && close(fd) == 0);
    end(word);
}

static void watch_what_comes(int socket, int rounds) {
    for (int round = 0; round < rounds; round++) {
        int fd = receive_descriptor(socket);
        long *word = map_page(fd);
        watch(word);
        require(close(fd) == 0 && munmap(word, PAGE) == 0 && write(socket, "x", 1) == 1);
    }
    _exit(0);
}

int main(int argc, char **argv) {
    pthread_t writer;
    int ends[2], status = 0, rounds;
    require(argc == 3 && (rounds = atoi(argv[2])) > 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    bool by_message = !strcmp(argv[1], "message");
    pid_t child = by_message ? fork() : -1;
    if (child == 0)
        watch_what_comes(ends[1], rounds);
    close(ends[1]);
    require(pthread_create(&writer, NULL, write_all_the_time, NULL) == 0);
    await_turns();
    for (int round = 0; round < rounds; round++)
        by_message ? share_by_message(ends[0]) : share_by_fork();
    over = true;
    require(pthread_join(writer, NULL) == 0);
    require(!by_message || (waitpid(child, &status, 0) == child && status == 0));
    return 0;
}
