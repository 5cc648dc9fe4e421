// freshness [--thread|--forget|--unheard] CHANNEL ROUNDS SEED DIR [WAY]: a reader reads a little of a file, so that a
// library may have read ahead; a writer changes bytes there and lets the reader know by CHANNEL; the reader reads on,
// by WAY or by all ways in turn, and must see the changed bytes. `freshness --list [FAMILY]` names the channels of all
// families or of one, `--list threads` those that can be heard by a thread that blocks, and `--ways` the ways to read.
//
//   --thread   another thread of the reader has been waiting for the message since before the first read, and tells
//              the reader by a word in memory
//   --forget   the writer changes nothing: the reader must notice
//   --unheard  the reader doesn't listen, and says at the end how often what it read was stale
//
// Exit status: 0 right, 1 wrong, 77 this machine has no such channel.
#pragma GCC diagnostic ignored "-Wunused-function" // not everything that the observer has makes sense here

#include "freshness_channels.h"

// THREAD: hearing blocks until there is something to hear, and is nothing that only one thread can do.
// HANDLER: a signal handler has done the reading.
enum { THREAD = 1, FORKS = 2, HANDLER = 4 };

struct hearing {
    struct channel channel;
    int how;
    void (*begin)(void); // the reader's, before its first read of a round
};

static const struct hearing messages[] = {
    {{"pipe", 1, make_pipe, NULL, tell_write, hear_byte, NULL}, THREAD, NULL},
    {{"pipe_readv", 1, make_pipe, NULL, tell_write, hear_readv, NULL}, THREAD, NULL},
    {{"pipe_getc", 1, make_pipe, NULL, tell_write, hear_getc, NULL}, THREAD, NULL},
    {{"pipe_syscall", 1, make_pipe, NULL, tell_write, hear_read_syscall, NULL}, THREAD, NULL},
    {{"pipe_splice", 1, make_two_pipes, NULL, tell_write, hear_splice, NULL}, THREAD, NULL},
    {{"pipe_full", 1, make_full_pipe, NULL, tell_read, hear_space, NULL}, THREAD, NULL},
    {{"fifo", 1, make_fifo, begin_unopened, tell_fifo, hear_fifo, NULL}, THREAD, NULL},
    {{"socketpair", 1, make_stream_pair, NULL, tell_write, hear_byte, NULL}, THREAD, NULL},
    {{"recv", 1, make_stream_pair, NULL, tell_send, hear_recv, NULL}, THREAD, NULL},
    {{"recvfrom", 1, make_datagram_pair, NULL, tell_sendmsg, hear_recvfrom, NULL}, THREAD, NULL},
    {{"recvmsg", 1, make_stream_pair, NULL, tell_sendmsg, hear_recvmsg, NULL}, THREAD, NULL},
    {{"recvmmsg", 1, make_datagram_pair, NULL, tell_sendmmsg, hear_recvmmsg, NULL}, THREAD, NULL},
    {{"udp", 1, make_udp, NULL, tell_send, hear_byte, NULL}, THREAD, NULL},
    {{"tcp", 1, make_tcp, NULL, tell_write, hear_byte, NULL}, THREAD, NULL},
    {{"accept", 1, make_listener, begin_connect, tell_connect, hear_connect, NULL}, THREAD, NULL},
    {{"terminal", 1, make_pty, NULL, tell_write, hear_byte, NULL}, THREAD, NULL},
    {{"eventfd", 1, make_eventfd, NULL, tell_eventfd, hear_eventfd, NULL}, THREAD, NULL},
    {{"poll", 1, make_pipe, NULL, tell_write, hear_poll, NULL}, THREAD, take_last},
    {{"ppoll", 1, make_pipe, NULL, tell_write, hear_ppoll, NULL}, THREAD, take_last},
    {{"select", 1, make_pipe, NULL, tell_write, hear_select, NULL}, THREAD, take_last},
    {{"pselect", 1, make_pipe, NULL, tell_write, hear_pselect, NULL}, THREAD, take_last},
    {{"epoll_wait", 1, make_epoll, NULL, tell_write, hear_epoll, NULL}, THREAD, take_last},
    {{"epoll_pwait", 1, make_epoll, NULL, tell_write, hear_epoll_pwait, NULL}, THREAD, take_last},
    {{"FIONREAD", 1, make_pipe, NULL, tell_write, hear_fionread, NULL}, 0, take_last},
    {{"MSG_PEEK", 1, make_stream_pair, NULL, tell_write, hear_peek, NULL}, THREAD, take_last},
    {{"F_GETFL", 1, make_flag, NULL, tell_flags, hear_flags, NULL}, 0, NULL},
    {{"F_GETPIPE_SZ", 1, make_pipe, NULL, tell_pipe_size, hear_pipe_size, NULL}, 0, NULL},
    {{"cpu_clock", 4, NULL, NULL, tell_cpu, hear_cpu, NULL}, 0, begin_cpu},
    {{"position", 1, make_flag, NULL, tell_position, hear_position, NULL}, 0, NULL},
    {{"handler", 1, make_handler, NULL, tell_kill, hear_handler, NULL}, 0, NULL},
    {{"in_handler", 1, make_reading_handler, NULL, tell_kill, hear_handler, NULL}, HANDLER, NULL},
    {{"sigwaitinfo", 1, make_signal, NULL, tell_kill, hear_signal, NULL}, THREAD, NULL},
    {{"sigtimedwait", 1, make_signal, NULL, tell_sigqueue, hear_sigtimedwait, NULL}, THREAD, NULL},
    {{"sigwait", 1, make_signal, NULL, tell_kill, hear_sigwait, NULL}, THREAD, NULL},
    {{"sigpending", 1, make_signal, NULL, tell_kill, hear_sigpending, NULL}, 0, take_last_signal},
    {{"sigsuspend", 1, make_suspended, NULL, tell_kill, hear_sigsuspend, NULL}, THREAD, NULL},
    {{"signalfd", 1, make_signalfd, NULL, tell_kill, hear_signalfd, NULL}, THREAD, NULL},
    {{"mq_receive", 1, make_mqueue, NULL, tell_mqueue, hear_mqueue, NULL}, THREAD, NULL},
    {{"msgrcv", 1, make_msgq, NULL, tell_msgq, hear_msgq, NULL}, THREAD, NULL},
    {{"semop", 1, make_sem, NULL, tell_sem, hear_sem, NULL}, THREAD, NULL},
    {{"waitpid", 8, make_pipe, NULL, tell_write, hear_waitpid, NULL}, THREAD | FORKS, begin_child},
    {{"waitid", 8, make_pipe, NULL, tell_write, hear_waitid, NULL}, THREAD | FORKS, begin_child},
    {{"SIGCHLD", 8, make_sigchld, NULL, tell_write, hear_sigchld, NULL}, FORKS, begin_noticed_child},
    {{0}, 0, NULL},
};

static const struct hearing names[] = {
    {{"access", 1, NULL, begin_unlinked, tell_create, hear_name, NULL}, 0, NULL},
    {{"stat", 1, NULL, begin_unlinked, tell_create, hear_stat, NULL}, 0, NULL},
    {{"lstat", 1, NULL, begin_unlinked, tell_symlink, hear_lstat, NULL}, 0, NULL},
    {{"fstatat", 1, NULL, begin_unlinked, tell_create, hear_fstatat, NULL}, 0, NULL},
    {{"statx", 1, NULL, begin_unlinked, tell_create, hear_statx, NULL}, 0, NULL},
    {{"open", 1, NULL, begin_unlinked, tell_create, hear_open, NULL}, 0, NULL},
    {{"fopen", 1, NULL, begin_unlinked, tell_create, hear_fopen, NULL}, 0, NULL},
    {{"readlink", 1, NULL, begin_unlinked, tell_symlink, hear_readlink, NULL}, 0, NULL},
    {{"realpath", 1, NULL, begin_unlinked, tell_create, hear_realpath, NULL}, 0, NULL},
    {{"mkdir", 1, NULL, begin_rmdired, tell_mkdir, hear_exists, NULL}, 0, NULL},
    {{"readdir", 1, NULL, begin_unlinked, tell_create, hear_readdir, NULL}, 0, NULL},
    {{"rewinddir", 1, NULL, begin_unlinked, tell_create, hear_rewound, NULL}, 0, NULL},
    {{"scandir", 1, NULL, begin_unlinked, tell_create, hear_scandir, NULL}, 0, NULL},
    {{"glob", 1, NULL, begin_unlinked, tell_create, hear_glob, NULL}, 0, NULL},
    {{"nftw", 1, NULL, begin_unlinked, tell_create, hear_nftw, NULL}, 0, NULL},
    {{"rename", 1, make_first_name, NULL, tell_rename, hear_name, NULL}, 0, NULL},
    {{"unlink", 1, make_name, begin_next_name, tell_unlink, hear_no_name, NULL}, 0, NULL},
    {{"inotify", 1, make_inotify, NULL, tell_watched, hear_inotify, NULL}, THREAD, NULL},
    {{"mode", 1, make_flag, NULL, tell_chmod, hear_mode, NULL}, 0, NULL},
    {{"getxattr", 1, make_flag, NULL, tell_setxattr, hear_xattr, NULL}, 0, NULL},
    {{"mtime", 1, make_flag, NULL, tell_futimens, hear_time, NULL}, 0, NULL},
    {{"mtime_of_data", 1, NULL, NULL, tell_data_time, hear_data_time, NULL}, 0, NULL},
    {{"mtime_of_name", 1, NULL, NULL, tell_data_time, hear_data_time_by_name, NULL}, 0, NULL},
    {{"size", 1, make_flag, NULL, tell_ftruncate, hear_size, NULL}, 0, NULL},
    {{"SEEK_END", 1, make_flag, NULL, tell_ftruncate, hear_end_of_flag, NULL}, 0, NULL},
    {{"other_read", 1, make_words, NULL, tell_append, hear_by_read, NULL}, 0, open_words},
    {{"other_pread", 1, make_words, NULL, tell_append, hear_by_pread, NULL}, 0, open_words},
    {{"other_fread", 1, make_words, NULL, tell_append, hear_by_fread, NULL}, 0, open_words},
    {{"other_many", 1, make_words, NULL, tell_append, hear_by_many, NULL}, 0, open_words},
    {{"flock", 1, make_locks, begin_flock, tell_flock, hear_flock, NULL}, THREAD, NULL},
    {{"lockf", 1, make_locks, begin_lockf, tell_lockf, hear_lockf, NULL}, THREAD, NULL},
    {{"fcntl", 1, make_locks, begin_fcntl, tell_fcntl, hear_fcntl, NULL}, THREAD, NULL},
    {{"fcntl_ofd", 1, make_locks, begin_ofd, tell_ofd, hear_ofd, NULL}, THREAD, NULL},
    {{"F_GETLK", 1, make_lock_file, NULL, tell_record_lock, hear_record_lock, NULL}, 0, NULL},
    {{"chdir", 1, make_corners, NULL, tell_chdir, hear_chdir, NULL}, 0, NULL},
    {{"prctl", 1, NULL, NULL, tell_prctl, hear_prctl, NULL}, 0, NULL},
    {{"prlimit", 1, NULL, NULL, tell_setrlimit, hear_setrlimit, NULL}, 0, NULL},
    {{"getpriority", 1, make_privileged, NULL, tell_priority, hear_priority, NULL}, 0, NULL},
    {{"getrlimit", 1, NULL, NULL, tell_limit, hear_limit, NULL}, 0, NULL},
    {{"pthread_getaffinity_np", 1, make_processors, NULL, tell_my_affinity, hear_my_affinity, NULL}, 0, NULL},
    {{"sched_getaffinity", 1, make_processors, NULL, tell_affinity, hear_affinity, NULL}, 0, NULL},
    {{0}, 0, NULL},
};

// Heard without any call: there must not be a window at all.
static const struct hearing memory[] = {
    {{"anonymous", 1, make_anonymous, NULL, tell_word, hear_word, NULL}, 0, NULL},
    {{"readable", 1, make_readable, begin_writable, tell_word, hear_word, NULL}, 0, NULL},
    {{"futex", 1, make_anonymous, NULL, tell_futex, hear_futex, NULL}, THREAD, NULL},
    {{"semaphore", 1, make_shared_semaphore, NULL, tell_shared_semaphore, hear_shared_semaphore, NULL}, THREAD, NULL},
    {{"sem_wait", 1, make_named, NULL, tell_named, hear_named, NULL}, THREAD, NULL},
    {{"shm_open", 1, make_shm, begin_mapped, tell_word, hear_mapped, NULL}, 0, NULL},
    {{"memfd", 1, make_memfd, begin_mapped, tell_word, hear_mapped, NULL}, 0, NULL},
    {{"file", 1, make_mapped_page, NULL, tell_word, hear_word, NULL}, 0, NULL},
    {{"file_later", 1, make_page, begin_mapped, tell_word, hear_mapped, NULL}, 0, NULL},
    {{"shmat", 1, make_attached, NULL, tell_word, hear_word, NULL}, 0, NULL},
    {{"shmat_later", 1, make_segment, begin_attached, tell_word, hear_attached, NULL}, 0, NULL},
    {{"mapped_stream", 1, make_bytes, NULL, tell_byte, hear_mapped_stream, NULL}, 0, open_mapped_stream},
    {{0}, 0, NULL},
};

static const struct {
    const char *name;
    const struct hearing *hearings;
} families[] = {{"messages", messages}, {"names", names}, {"memory", memory}};

static const struct hearing *hearing;
static bool threaded, deaf;

static int list(const char *family) {
    for (size_t i = 0; i < COUNT_OF(families); i++)
        for (const struct hearing *each = families[i].hearings; each->channel.name; each++)
            if (!family || !strcmp(family, families[i].name) ||
                (!strcmp(family, "threads") && families[i].hearings != memory && (each->how & THREAD)))
                puts(each->channel.name);
    return 0;
}

static void find(const char *name) {
    for (size_t i = 0; i < COUNT_OF(families); i++)
        for (const struct hearing *each = families[i].hearings; each->channel.name; each++)
            if (!strcmp(name, each->channel.name))
                hearing = each;
    if (!hearing)
        give_up("no such channel: %s", name);
    channel = &hearing->channel;
}

// The thread that listens. It is told that a round begins, and tells what it has heard, by words in memory.
static volatile int asked, entered, answered, listener_id;

static void *listener(void *unused) {
    listener_id = (int)bare_call(SYS_gettid, 0, NULL, 0, 0);
    for (int round = 0;; round++) {
        bare_wait(&asked, round);
        __atomic_store_n(&entered, round + 1, __ATOMIC_RELEASE);
        channel->hear();
        __atomic_store_n(&answered, round + 1, __ATOMIC_RELEASE);
    }
    return unused;
}

static bool listener_sleeps(void) {
    char text[512], path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", listener_id);
    int fd = MUST(open(path, O_RDONLY));
    ssize_t length = MUST(read(fd, text, sizeof text - 1));
    close(fd);
    text[length] = '\0';
    return strstr(text, ") S") != NULL;
}

static void listener_begins(void) {
    pthread_t thread;
    if (!now && pthread_create(&thread, NULL, listener, NULL))
        give_up("pthread_create");
    __atomic_store_n(&asked, (int)now + 1, __ATOMIC_RELEASE);
    bare_wake(&asked);
    POLL_UNTIL(__atomic_load_n(&entered, __ATOMIC_ACQUIRE) == now + 1);
    POLL_UNTIL(listener_sleeps());
}

static void hear(void) {
    if (threaded) {
        while (__atomic_load_n(&answered, __ATOMIC_ACQUIRE) != now + 1)
            bare_yield();
    } else {
        bare_listen(line_to_reader); // the message is there: hearing it takes one call
        if (!deaf)
            channel->hear();
    }
}

static void reader_round(void) {
    plan_round();
    bare_say(line_to_writer);
    bare_listen(line_to_reader);
    if (hearing->begin)
        hearing->begin();
    if (data_fd < 0 || (hearing->how & FORKS) || plan.way == WAY_FREAD_BUFFERED || now % 4 == 0)
        open_data();
    if (threaded)
        listener_begins();
    read_first();
    bare_say(line_to_writer);
    hear();
    if (!(hearing->how & HANDLER)) {
        change_image();
        read_changes();
    }
    if (threaded)
        bare_listen(line_to_reader);
}

static void run_reader(void) {
    MUST(prctl(PR_SET_PDEATHSIG, SIGKILL));
    close(line_to_writer[0]);
    close(line_to_reader[1]);
    for (now = 0; now < rounds; now++)
        reader_round();
    if (counting)
        printf("%ld\n", stale);
    exit(0);
}

// In no particular order.
static void change_file(void) {
    int first = (int)((uint64_t)now % (uint64_t)plan.changes);
    change_image();
    for (int i = 0; i < plan.changes && !forgetful; i++) {
        int64_t at = plan.change[(i + first) % plan.changes].at;
        long length = (long)plan.change[(i + first) % plan.changes].length;
        if (bare_call(SYS_pwrite64, log_fd, image + at, length, at) != length)
            give_up("pwrite");
    }
}

static void run_writer(void) {
    for (now = 0; now < rounds; now++) {
        plan_round();
        bare_listen(line_to_writer);
        if (channel->begin)
            channel->begin();
        bare_say(line_to_reader);
        bare_listen(line_to_writer);
        change_file();
        if (channel->tell && !deaf)
            channel->tell();
        bare_say(line_to_reader);
    }
}

static void make_data(void) {
    uint64_t rng = seed;
    for (int i = 0; i < DATA_SIZE; i++) {
        uint64_t value = rng_below(&rng, 60);
        image[i] = value == 26 ? '\n' : (char)('a' + value % 26);
    }
    log_fd = MUST(open(path_of("data"), O_RDWR | O_CREAT | O_EXCL, 0600));
    if (write(log_fd, image, sizeof image) != sizeof image)
        give_up("the data can't be written");
}

static void option(const char *text) {
    threaded = !strcmp(text, "--thread");
    forgetful = !strcmp(text, "--forget");
    deaf = counting = !strcmp(text, "--unheard");
}

static void set_way(const char *name) {
    for (int i = 0; i < WAYS; i++)
        if (!strcmp(name, way_names[i]))
            only_way = i;
}

int main(int argc, char **argv) {
    if (argc >= 2 && !strcmp(argv[1], "--list"))
        return list(argv[2]);
    if (argc == 2 && !strcmp(argv[1], "--ways")) {
        for (int i = 0; i < WAYS; i++)
            puts(way_names[i]);
        return 0;
    }
    if (argc > 1 && argv[1][0] == '-') {
        option(argv[1]);
        argv++, argc--;
    }
    require(argc >= 5);
    find(argv[1]);
    rounds = (atol(argv[2]) + channel->share - 1) / channel->share;
    seed = strtoull(argv[3], NULL, 0);
    if (!realpath(argv[4], dir))
        give_up("%s", argv[4]);
    if (argc > 5)
        set_way(argv[5]);
    alarm(HANG_SECONDS + (unsigned)rounds / 100); // for whom the telling never returns
    sender = getpid();
    make_data();
    if (channel->prepare)
        channel->prepare();
    MUST(pipe2(line_to_writer, O_CLOEXEC));
    MUST(pipe2(line_to_reader, O_CLOEXEC));
    observer = MUST(fork());
    if (!observer)
        run_reader();
    close(line_to_writer[1]);
    close(line_to_reader[0]);
    run_writer();
    await_observer();
    return 0;
}
