// Ways to hear that are not the observer's.
#pragma once

#include "observer_locks.h"
#include "observer_memory.h"
#include "observer_messages.h"
#include "observer_names.h"

#include "freshness.h"

#include <dirent.h>
#include <ftw.h>
#include <glob.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/signalfd.h>

// One byte, received in every way.
static void hear_readv(void) {
    char byte;
    struct iovec piece = {&byte, 1};
    MUST(readv(ends[0], &piece, 1));
}
static void hear_read_syscall(void) {
    char byte;
    MUST(syscall(SYS_read, ends[0], &byte, 1));
}
static void hear_recv(void) {
    char byte;
    MUST(recv(ends[0], &byte, 1, 0));
}
static void hear_recvfrom(void) {
    char byte;
    MUST(recvfrom(ends[0], &byte, 1, 0, NULL, NULL));
}
static void hear_recvmsg(void) {
    char byte;
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    MUST(recvmsg(ends[0], &message, 0));
}
static void hear_recvmmsg(void) {
    char byte;
    struct iovec piece = {&byte, 1};
    struct mmsghdr messages[1] = {{.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}}};
    MUST(recvmmsg(ends[0], messages, 1, 0, NULL));
}
static void hear_getc(void) {
    if (!stream) {
        stream = fdopen(ends[0], "r");
        setvbuf(stream, NULL, _IONBF, 0);
    }
    MUST(getc(stream));
}
static void hear_splice(void) {
    char byte;
    MUST(splice(ends[0], NULL, spare[1], NULL, 1, 0));
    MUST(read(spare[0], &byte, 1));
}
static void make_two_pipes(void) {
    make_pipe();
    MUST(pipe(spare));
}

// It is only seen to be there; taken away before the next round.
static void take_last(void) {
    if (now)
        hear_byte();
}
static void hear_poll(void) {
    struct pollfd one = {.fd = ends[0], .events = POLLIN};
    MUST(poll(&one, 1, -1));
}
static void hear_ppoll(void) {
    struct pollfd one = {.fd = ends[0], .events = POLLIN};
    MUST(ppoll(&one, 1, NULL, NULL));
}
static void hear_select(void) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    MUST(select(ends[0] + 1, &set, NULL, NULL, NULL));
}
static void hear_pselect(void) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    MUST(pselect(ends[0] + 1, &set, NULL, NULL, NULL, NULL));
}
static void make_epoll(void) {
    struct epoll_event event = {.events = EPOLLIN};
    make_pipe();
    flag_fd = MUST(epoll_create1(EPOLL_CLOEXEC));
    MUST(epoll_ctl(flag_fd, EPOLL_CTL_ADD, ends[0], &event));
}
static void hear_epoll(void) {
    struct epoll_event event;
    MUST(epoll_wait(flag_fd, &event, 1, -1));
}
static void hear_epoll_pwait(void) {
    struct epoll_event event;
    MUST(epoll_pwait(flag_fd, &event, 1, -1, NULL));
}
static void hear_fionread(void) {
    int n = 0;
    POLL_UNTIL((MUST(ioctl(ends[0], FIONREAD, &n)), n == 1));
}
static void hear_peek(void) {
    char byte;
    MUST(recv(ends[0], &byte, 1, MSG_PEEK));
}

// Opening waits for somebody who writes.
static int writing_end = -1;

static void begin_unopened(void) {
    if (writing_end >= 0)
        close(writing_end);
}
static void tell_fifo(void) {
    writing_end = MUST(open(path_of("fifo"), O_RDWR));
}
static void hear_fifo(void) {
    close(MUST(open(path_of("fifo"), O_RDONLY)));
}

// What belongs to an open file description that both have.
static void tell_flags(void) {
    MUST(fcntl(flag_fd, F_SETFL, now % 2 ? 0 : O_NONBLOCK));
}
static void hear_flags(void) {
    POLL_UNTIL((MUST(fcntl(flag_fd, F_GETFL)) & O_NONBLOCK) == (now % 2 ? 0 : O_NONBLOCK));
}
static void tell_position(void) {
    MUST(lseek(flag_fd, now + 1, SEEK_SET));
}
static void hear_position(void) {
    POLL_UNTIL(MUST(lseek(flag_fd, 0, SEEK_CUR)) == now + 1);
}
static void tell_pipe_size(void) {
    MUST(fcntl(ends[1], F_SETPIPE_SZ, now % 2 ? 8192 : 4096));
}
static void hear_pipe_size(void) {
    POLL_UNTIL(MUST(fcntl(ends[0], F_GETPIPE_SZ)) == (now % 2 ? 8192 : 4096));
}

// A lock that is seen, and not taken.
static void make_lock_file(void) {
    make_flag();
}
static void tell_record_lock(void) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = now, .l_len = 1};
    MUST(fcntl(flag_fd, F_SETLK, &lock));
}
static void hear_record_lock(void) {
    struct flock lock;
    do {
        lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = now, .l_len = 1};
        MUST(fcntl(flag_fd, F_GETLK, &lock));
    } while (lock.l_type == F_UNLCK);
}

// Signals.
static volatile sig_atomic_t signals_handled;

static void count_signal(int number) {
    (void)number;
    signals_handled++;
}
static void make_handler(void) {
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = (int)SA_RESTART};
    MUST(sigaction(SIGUSR1, &action, NULL));
}
static void hear_handler(void) {
    while (signals_handled <= now)
        bare_yield();
}
static sigset_t the_signal(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    return set;
}

// The handler itself reads on.
static void read_in_handler(int number) {
    change_image();
    read_changes();
    count_signal(number);
}
static void make_reading_handler(void) {
    struct sigaction action = {.sa_handler = read_in_handler, .sa_flags = (int)SA_RESTART};
    MUST(sigaction(SIGUSR1, &action, NULL));
}

static void hear_sigtimedwait(void) {
    sigset_t set = the_signal();
    MUST(sigtimedwait(&set, NULL, &(struct timespec){.tv_sec = HANG_SECONDS}));
}
static void hear_sigwait(void) {
    sigset_t set = the_signal();
    int number;
    if (sigwait(&set, &number))
        give_up("sigwait");
}
static void take_last_signal(void) {
    if (now)
        hear_signal();
}
static void hear_sigpending(void) {
    sigset_t set;
    POLL_UNTIL((MUST(sigpending(&set)), sigismember(&set, SIGUSR1)));
}
static void make_suspended(void) {
    make_handler();
    make_signal();
}
static void hear_sigsuspend(void) {
    sigset_t none;
    sigemptyset(&none);
    while (signals_handled <= now)
        sigsuspend(&none);
}
static void make_signalfd(void) {
    sigset_t set = the_signal();
    make_signal();
    flag_fd = MUST(signalfd(-1, &set, SFD_CLOEXEC));
}
static void hear_signalfd(void) {
    struct signalfd_siginfo info;
    MUST(read(flag_fd, &info, sizeof info));
}

// A child of the reader's ends when the writer tells it to.
static pid_t child;
static volatile sig_atomic_t children_ended;

static void begin_child(void) {
    char byte;
    child = MUST(fork());
    if (child)
        return;
    bare_call(SYS_read, ends[0], &byte, 1, 0);
    _exit(0);
}
static void hear_waitpid(void) {
    MUST(waitpid(child, NULL, 0));
}
static void hear_waitid(void) {
    siginfo_t info;
    MUST(waitid(P_PID, (id_t)child, &info, WEXITED));
}
static void count_child(int number) {
    (void)number;
    children_ended++;
}
static void make_sigchld(void) {
    struct sigaction action = {.sa_handler = count_child, .sa_flags = (int)(SA_RESTART | SA_NOCLDSTOP)};
    make_pipe();
    MUST(sigaction(SIGCHLD, &action, NULL));
}
static void begin_noticed_child(void) {
    if (now)
        hear_waitpid();
    begin_child();
}
static void hear_sigchld(void) {
    while (children_ended <= now)
        bare_yield();
}

// What is asked about another process.
static void tell_priority(void) {
    if (setpriority(PRIO_PROCESS, 0, (int)(now % 2)) && errno == EACCES)
        _exit(CANNOT);
}
static void make_privileged(void) {
    if (geteuid())
        _exit(CANNOT);
}
static void hear_priority(void) {
    POLL_UNTIL(getpriority(PRIO_PROCESS, (id_t)sender) == now % 2);
}
static cpu_set_t all_processors;
static void make_processors(void) {
    MUST(sched_getaffinity(0, sizeof all_processors, &all_processors));
    if (CPU_COUNT(&all_processors) < 2)
        _exit(CANNOT);
}
static int first_processor(void) {
    int first = 0;
    while (!CPU_ISSET(first, &all_processors))
        first++;
    return first;
}
static void tell_affinity(void) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first_processor(), &one);
    MUST(sched_setaffinity(0, sizeof one, now % 2 ? &all_processors : &one));
}
static void hear_affinity(void) {
    cpu_set_t set;
    POLL_UNTIL((MUST(sched_getaffinity(sender, sizeof set, &set)), (CPU_COUNT(&set) == 1) == !(now % 2)));
}

// What another process may change of this one.
static void tell_limit(void) {
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_CORE, &limit));
    if (limit.rlim_max <= core_limit())
        _exit(CANNOT);
    limit.rlim_cur = core_limit();
    MUST(prlimit(observer, RLIMIT_CORE, &limit, NULL));
}
static void hear_limit(void) {
    struct rlimit limit;
    POLL_UNTIL((MUST(getrlimit(RLIMIT_CORE, &limit)), limit.rlim_cur == core_limit()));
}
static void tell_my_affinity(void) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first_processor(), &one);
    MUST(sched_setaffinity(observer, sizeof one, now % 2 ? &all_processors : &one));
}
static void hear_my_affinity(void) {
    cpu_set_t set;
    POLL_UNTIL((pthread_getaffinity_np(pthread_self(), sizeof set, &set), (CPU_COUNT(&set) == 1) == !(now % 2)));
}

// A name that appears, seen in every way.
static void hear_stat(void) {
    struct stat status;
    POLL_UNTIL(!stat(name_of(now), &status));
}
static void hear_lstat(void) {
    struct stat status;
    POLL_UNTIL(!lstat(name_of(now), &status));
}
static void hear_fstatat(void) {
    struct stat status;
    POLL_UNTIL(!fstatat(AT_FDCWD, name_of(now), &status, 0));
}
static void hear_statx(void) {
    struct statx status;
    POLL_UNTIL(!statx(AT_FDCWD, name_of(now), 0, STATX_TYPE, &status));
}
static void hear_open(void) {
    int fd;
    POLL_UNTIL((fd = open(name_of(now), O_RDONLY)) >= 0);
    close(fd);
}
static void hear_fopen(void) {
    FILE *there_now;
    POLL_UNTIL((there_now = fopen(name_of(now), "r")) != NULL);
    fclose(there_now);
}
static void hear_readlink(void) {
    char text[16];
    POLL_UNTIL(readlink(name_of(now), text, sizeof text) > 0);
}
static void hear_realpath(void) {
    char text[4096];
    POLL_UNTIL(realpath(name_of(now), text) != NULL);
}
static void hear_exists(void) {
    POLL_UNTIL(mkdir(name_of(now), 0700) && errno == EEXIST);
}
static bool listed(void) {
    char name[64];
    struct dirent *entry;
    bool found = false;
    snprintf(name, sizeof name, "name.%ld", now);
    DIR *list = opendir(dir);
    while (!found && (entry = readdir(list)))
        found = !strcmp(entry->d_name, name);
    closedir(list);
    return found;
}
static void hear_readdir(void) {
    POLL_UNTIL(listed());
}
// The directory stays open, so that reading it is the only call.
static void hear_rewound(void) {
    static DIR *list;
    char name[64];
    struct dirent *entry = NULL;
    snprintf(name, sizeof name, "name.%ld", now);
    if (!list)
        list = opendir(dir);
    while (!entry || strcmp(entry->d_name, name) != 0)
        if (!(entry = readdir(list)))
            rewinddir(list);
}
static int is_it(const struct dirent *entry) {
    char name[64];
    snprintf(name, sizeof name, "name.%ld", now);
    return !strcmp(entry->d_name, name);
}
static void hear_scandir(void) {
    struct dirent **list;
    int n;
    POLL_UNTIL((n = MUST(scandir(dir, &list, is_it, NULL))) == 1);
    free(list[0]);
    free(list);
}
static void hear_glob(void) {
    glob_t found;
    POLL_UNTIL(!glob(name_of(now), GLOB_NOSORT, NULL, &found));
    globfree(&found);
}
static bool walked;
static int is_walked(const char *path, const struct stat *status, int kind, struct FTW *where) {
    (void)status, (void)kind, (void)where;
    walked |= !strcmp(path, name_of(now));
    return 0;
}
static void hear_nftw(void) {
    walked = false;
    POLL_UNTIL((MUST(nftw(dir, is_walked, 8, 0)), walked));
}

// The data file's own times.
static void tell_data_time(void) {
    MUST(utimensat(AT_FDCWD, path_of("data"), flag_times(), 0));
}
static void hear_data_time(void) {
    struct stat status;
    POLL_UNTIL((MUST(fstat(data_fd, &status)), status.st_mtime == now + 1));
}
static void hear_data_time_by_name(void) {
    struct stat status;
    POLL_UNTIL((MUST(stat(path_of("data"), &status)), status.st_mtime == now + 1));
}
static void hear_end_of_flag(void) {
    POLL_UNTIL(MUST(lseek(flag_fd, 0, SEEK_END)) == now + 2);
}

// What another file holds: it grows by a word each round.
static int words_fd = -1;
static FILE *words;

static void make_words(void) {
    flag_fd = MUST(open(path_of("words"), O_WRONLY | O_CREAT | O_APPEND, 0600));
}
// Without the library: that a write of the writer's own is seen in time is another test's affair.
static void tell_append(void) {
    if (bare_call(SYS_write, flag_fd, &now, sizeof now, 0) != sizeof now)
        give_up("write");
}
static void open_words(void) {
    if (now)
        return;
    words_fd = MUST(open(path_of("words"), O_RDONLY));
    words = fopen(path_of("words"), "r");
    setvbuf(words, NULL, _IONBF, 0);
}
static void is_right(long value) {
    if (value != now)
        give_up("the other file says %ld (seed %llu)", value, (unsigned long long)seed);
}
static void hear_by_read(void) {
    long value = -1;
    POLL_UNTIL(read(words_fd, &value, sizeof value) == sizeof value);
    is_right(value);
}
static void hear_by_pread(void) {
    long value = -1;
    POLL_UNTIL(pread(words_fd, &value, sizeof value, now * (off_t)sizeof value) == sizeof value);
    is_right(value);
}
static void hear_by_fread(void) {
    long value = -1;
    POLL_UNTIL((clearerr(words), fread(&value, sizeof value, 1, words) == 1));
    is_right(value);
}
// Read like any file of records, from the beginning each time: what is there by now was read ahead with the rest.
static void hear_by_many(void) {
    long value;
    for (value = -1; value != now;)
        for (off_t at = now > 40 ? (now - 40) * (off_t)sizeof value : 0;
             pread(words_fd, &value, sizeof value, at) == sizeof value;)
            at += (off_t)sizeof value;
}

// A file that the reader's libc has mapped to read it as a stream: a byte a round.
static FILE *mapped_stream;

static void make_bytes(void) {
    flag_fd = MUST(open(path_of("bytes"), O_RDWR | O_CREAT, 0600));
    MUST(ftruncate(flag_fd, 1 << 16));
}
static void open_mapped_stream(void) {
    if (now)
        return;
    mapped_stream = fopen(path_of("bytes"), "rm");
    MUST(getc(mapped_stream));
}
static void tell_byte(void) {
    if (bare_call(SYS_pwrite64, flag_fd, "x", 1, now + 1) != 1)
        give_up("pwrite");
}
static void hear_mapped_stream(void) {
    if (now < (1 << 16) - 1 && getc(mapped_stream) != 'x')
        give_up("the mapped stream is late");
}

// Anonymous memory that only one side may write.
static void make_readable(void) {
    word = MUST(mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}
static void begin_writable(void) {
    if (!now)
        MUST(mprotect((void *)word, 4096, PROT_READ | PROT_WRITE));
}

// The other process's processor time.
enum { CPU_US = 3000 };
static clockid_t cpu_clock;
static int64_t cpu_begun;

static int64_t cpu_us(void) {
    struct timespec t;
    MUST(clock_gettime(cpu_clock, &t));
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}
static void begin_cpu(void) {
    if (clock_getcpuclockid(sender, &cpu_clock))
        give_up("clock_getcpuclockid");
    cpu_begun = cpu_us();
}
static void tell_cpu(void) {
    cpu_clock = CLOCK_PROCESS_CPUTIME_ID;
    for (int64_t end = cpu_us() + 2 * CPU_US; cpu_us() < end;)
        ;
}
static void hear_cpu(void) {
    POLL_UNTIL(cpu_us() > cpu_begun + CPU_US);
}
