// observer [--forget] [--stream KIND] CHANNEL ROUNDS DIR: a sender writes a record to a file (and in turns with it to a
// pipe, fifo, unix or tcp stream) and then, by CHANNEL, lets an observer know; the observer looks at once, and the
// record must be there. With --forget the record is held back, from the stream if there is one, and the observer must
// notice. `observer --list` names the channels, `observer --list FAMILY` those of one family.
//
// Exit status: 0 right, 1 wrong, 77 this machine has no such channel.

#include "observer.h"

#include "observer_locks.h"
#include "observer_memory.h"
#include "observer_messages.h"
#include "observer_names.h"
#include "observer_processes.h"

// The telling is a write to a stream, and may be deferred itself.
static const struct channel writes[] = {
    {"pipe", 1, make_pipe, NULL, tell_write, hear_byte, NULL},
    {"pipe_writev", 1, make_pipe, NULL, tell_writev, hear_byte, NULL},
    {"pipe_syscall", 1, make_pipe, NULL, tell_syscall, hear_byte, NULL},
    {"pipe_thread", 1, make_pipe, begin_thread, tell_thread, hear_byte, NULL},
    {"socketpair", 1, make_stream_pair, NULL, tell_write, hear_byte, NULL},
    {"socketpair_send", 1, make_stream_pair, NULL, tell_send, hear_byte, NULL},
    {"tcp", 1, make_tcp, NULL, tell_write, hear_byte, NULL},
    {"printf", 1, make_stdout, NULL, tell_printf, hear_byte, NULL},
    {"fprintf", 1, make_buffered, NULL, tell_fprintf, hear_byte, NULL},
    {"putc_unbuffered", 1, make_unbuffered, NULL, tell_putc, hear_byte, NULL},
    {"fwrite_unbuffered", 1, make_unbuffered, NULL, tell_fwrite, hear_byte, NULL},
    {"fputs_by_line", 1, make_by_line, NULL, tell_newline, hear_byte, NULL},
    {"dprintf", 1, make_pipe, NULL, tell_dprintf, hear_byte, NULL},
    {0},
};

static const struct channel messages[] = {
    {"pipe_sendfile", 1, make_source, NULL, tell_sendfile, hear_byte, NULL},
    {"pipe_splice", 1, make_source, NULL, tell_splice, hear_byte, NULL},
    {"pipe_tee", 1, make_source, begin_tee, tell_tee, hear_byte, NULL},
    {"pipe_vmsplice", 1, make_pipe, NULL, tell_vmsplice, hear_byte, NULL},
    {"pipe_full", 1, make_full_pipe, NULL, tell_read, hear_space, NULL},
    {"pipe_end", 1, make_fifo, begin_fifo, tell_close, hear_fifo_end, NULL},
    {"socketpair_sendmsg", 1, make_datagram_pair, NULL, tell_sendmsg, hear_byte, NULL},
    {"socketpair_sendmmsg", 1, make_datagram_pair, NULL, tell_sendmmsg, hear_byte, NULL},
    {"descriptor", 1, make_stream_pair, NULL, tell_descriptor, hear_descriptor, NULL},
    {"udp", 1, make_udp, NULL, tell_send, hear_byte, NULL},
    {"udp_sendto", 1, make_udp, NULL, tell_sendto, hear_byte, NULL},
    {"tcp_sendfile", 1, make_tcp_source, NULL, tell_sendfile, hear_byte, NULL},
    {"connect", 1, make_listener, begin_connect, tell_connect, hear_connect, NULL},
    {"shutdown", 1, make_listener, begin_connected, tell_shutdown, hear_end, NULL},
    {"close_socket", 1, make_listener, begin_connected, tell_close, hear_end, NULL},
    {"terminal", 1, make_pty, NULL, tell_write, hear_byte, NULL},
    {"kill", 1, make_signal, NULL, tell_kill, hear_signal, NULL},
    {"sigqueue", 1, make_signal, NULL, tell_sigqueue, hear_signal, NULL},
    {"eventfd", 1, make_eventfd, NULL, tell_eventfd, hear_eventfd, NULL},
    {"mq_send", 1, make_mqueue, NULL, tell_mqueue, hear_mqueue, NULL},
    {"msgsnd", 1, make_msgq, NULL, tell_msgq, hear_msgq, NULL},
    {"semop", 1, make_sem, NULL, tell_sem, hear_sem, NULL},
    {0},
};

static const struct channel names[] = {
    {"open", 1, NULL, begin_unlinked, tell_create, hear_name, NULL},
    {"creat", 1, NULL, begin_unlinked, tell_creat, hear_name, NULL},
    {"link", 1, make_flag, begin_unlinked, tell_link, hear_name, NULL},
    {"symlink", 1, make_flag, begin_unlinked, tell_symlink, hear_name, NULL},
    {"mkdir", 1, NULL, begin_rmdired, tell_mkdir, hear_name, NULL},
    {"mkfifo", 1, NULL, begin_unlinked, tell_mkfifo, hear_name, NULL},
    {"mknod", 1, NULL, begin_unlinked, tell_mknod, hear_name, NULL},
    {"rename", 1, make_first_name, NULL, tell_rename, hear_name, NULL},
    {"renameat2", 1, make_first_name, NULL, tell_renameat2, hear_name, NULL},
    {"unlink", 1, make_name, begin_next_name, tell_unlink, hear_no_name, NULL},
    {"remove", 1, make_name, begin_next_name, tell_remove, hear_no_name, NULL},
    {"rmdir", 1, make_directory, begin_next_directory, tell_rmdir, hear_no_name, NULL},
    {"inotify", 1, make_inotify, NULL, tell_watched, hear_inotify, NULL},
    {"chmod", 1, make_flag, NULL, tell_chmod, hear_mode, NULL},
    {"fchmod", 1, make_flag, NULL, tell_fchmod, hear_mode, NULL},
    {"chown", 1, make_owned, NULL, tell_chown, hear_owner, NULL},
    {"setxattr", 1, make_flag, NULL, tell_setxattr, hear_xattr, NULL},
    {"fsetxattr", 1, make_flag, NULL, tell_fsetxattr, hear_xattr, NULL},
    {"utimensat", 1, make_flag, NULL, tell_utimensat, hear_time, NULL},
    {"futimens", 1, make_flag, NULL, tell_futimens, hear_time, NULL},
    {"truncate", 1, make_flag, NULL, tell_truncate, hear_size, NULL},
    {"ftruncate", 1, make_flag, NULL, tell_ftruncate, hear_size, NULL},
    {"fallocate", 1, make_flag, NULL, tell_fallocate, hear_size, NULL},
    {"copy_file_range", 1, make_flag, NULL, tell_copy_range, hear_size, NULL},
    {"size", 1, make_second, NULL, NULL, NULL, run_size},
    {"flock", 1, make_locks, begin_flock, tell_flock, hear_flock, NULL},
    {"flock_close", 1, make_locks, begin_flock, tell_close_lock, hear_flock, NULL},
    {"flock_dup2", 1, make_locks, begin_dup2, tell_dup2, hear_flock, NULL},
    {"lockf", 1, make_locks, begin_lockf, tell_lockf, hear_lockf, NULL},
    {"fcntl", 1, make_locks, begin_fcntl, tell_fcntl, hear_fcntl, NULL},
    {"fcntl_close", 1, make_locks, begin_fcntl, tell_close_other, hear_fcntl, NULL},
    {"fcntl_ofd", 1, make_locks, begin_ofd, tell_ofd, hear_ofd, NULL},
    {"lseek", 1, make_shared_position, NULL, tell_seek, hear_shared_position, NULL},
    {"read", 1, make_shared_position, NULL, tell_position_read, hear_shared_position, NULL},
    {"chdir", 1, make_corners, NULL, tell_chdir, hear_chdir, NULL},
    {"prctl", 1, NULL, NULL, tell_prctl, hear_prctl, NULL},
    {"setrlimit", 1, NULL, NULL, tell_setrlimit, hear_setrlimit, NULL},
    {"process_vm_writev", 1, NULL, NULL, tell_remote, hear_remote, NULL},
    {0},
};

static const struct channel memory[] = {
    {"anonymous", 1, make_anonymous, NULL, tell_word, hear_word, NULL},
    {"futex", 1, make_anonymous, NULL, tell_futex, hear_futex, NULL},
    {"semaphore", 1, make_shared_semaphore, NULL, tell_shared_semaphore, hear_shared_semaphore, NULL},
    {"sem_post", 1, make_named, NULL, tell_named, hear_named, NULL},
    {"shm_open", 1, make_shm, begin_mapped, tell_word, hear_mapped, NULL},
    {"memfd", 1, make_memfd, begin_mapped, tell_word, hear_mapped, NULL},
    {"vmsplice", 1, make_given, begin_given, tell_word, hear_given, NULL},
    {"file", 1, make_mapped_page, NULL, tell_word, hear_word, NULL},
    {"file_later", 1, make_page, begin_mapped, tell_word, hear_mapped, NULL},
    {"mprotect", 1, make_page, begin_protected, tell_word, hear_mapped, NULL},
    {"shmat", 1, make_attached, NULL, tell_word, hear_word, NULL},
    {"shmat_later", 1, make_segment, begin_attached, tell_word, hear_attached, NULL},
    {0},
};

static const struct channel processes[] = {
    {"return", 20, NULL, NULL, NULL, NULL, run_return},
    {"exit", 20, NULL, NULL, NULL, NULL, run_exit},
    {"_exit", 20, NULL, NULL, NULL, NULL, run__exit},
    {"_Exit", 20, NULL, NULL, NULL, NULL, run__Exit},
    {"quick_exit", 20, NULL, NULL, NULL, NULL, run_quick_exit},
    {"pthread_exit", 20, NULL, NULL, NULL, NULL, run_pthread_exit},
    {"exit_group", 20, NULL, NULL, NULL, NULL, run_exit_group},
    {"err", 20, NULL, NULL, NULL, NULL, run_err},
    {"raise", 20, NULL, NULL, NULL, NULL, run_raise},
    {"kill_self", 20, NULL, NULL, NULL, NULL, run_kill_self},
    {"abort", 20, NULL, NULL, NULL, NULL, run_abort},
    {"assert", 20, NULL, NULL, NULL, NULL, run_assert},
    {"fork", 10, NULL, NULL, NULL, NULL, run_fork},
    {"_Fork", 10, NULL, NULL, NULL, NULL, run__Fork},
    {"clone", 10, NULL, NULL, NULL, NULL, run_clone},
    {"vfork", 20, NULL, NULL, NULL, NULL, run_vfork},
    {"posix_spawn", 20, NULL, NULL, NULL, NULL, run_spawn},
    {"posix_spawnp", 20, NULL, NULL, NULL, NULL, run_spawnp},
    {"system", 40, NULL, NULL, NULL, NULL, run_system},
    {"popen", 40, NULL, NULL, NULL, NULL, run_popen},
    {"exec", 40, NULL, NULL, NULL, NULL, run_exec},
    {0},
};

static const struct {
    const char *name;
    const struct channel *channels;
} families[] = {
    {"writes", writes}, {"messages", messages}, {"names", names}, {"memory", memory}, {"processes", processes}};

enum { FAMILIES = sizeof families / sizeof *families };

static int list(const char *family) {
    for (int i = 0; i < FAMILIES; i++)
        for (const struct channel *each = families[i].channels; each->name; each++)
            if (!family || !strcmp(family, families[i].name))
                puts(each->name);
    return 0;
}

static const struct channel *find(const char *name) {
    for (int i = 0; i < FAMILIES; i++)
        for (const struct channel *each = families[i].channels; each->name; each++)
            if (!strcmp(name, each->name)) {
                deferrable = families[i].channels == writes;
                return each;
            }
    give_up("no such channel: %s", name);
}

static void run_observer(void) {
    MUST(prctl(PR_SET_PDEATHSIG, SIGKILL));
    map_seen(true);
    kept_fd = MUST(open(path_of("log"), O_RDONLY));
    if (streaming)
        MUST(close(STREAM_OUT));
    for (now = 0; now < rounds; now++) {
        channel->hear();
        look_and_wake();
    }
    _exit(0);
}

static void run_sender(void) {
    open_files(0);
    observer = MUST(fork());
    if (!observer)
        run_observer();
    map_seen(false);
    if (streaming)
        MUST(close(STREAM_IN));
    warm_up();
    for (now = 0; now < rounds; now++) {
        if (channel->begin)
            channel->begin();
        write_records();
        channel->tell();
        await_look();
    }
}

int main(int argc, char **argv) {
    if (argc >= 2 && !strcmp(argv[1], "--list"))
        return list(argv[2]);
    MUST(readlink("/proc/self/exe", self, sizeof self - 1));
    sender = getpid();
    if (argc >= 4 && (!strcmp(argv[1], "--look") || !strcmp(argv[1], "--chain"))) {
        find_streams();
        channel = find(!strcmp(argv[1], "--look") ? "fork" : "exec");
        snprintf(dir, sizeof dir, "%s", argv[2]);
        now = atol(argv[3]);
        if (argc == 4)
            look_as_child();
        rounds = atol(argv[4]);
        continue_chain();
    }
    const char *stream_kind = NULL;
    int at = 1;
    for (; at < argc - 3; at++)
        if (!strcmp(argv[at], "--forget"))
            forgetful = true;
        else if (!strcmp(argv[at], "--stream"))
            stream_kind = argv[++at];
    argv += at - 1;
    channel = find(argv[1]);
    rounds = (atol(argv[2]) + channel->share - 1) / channel->share;
    if (!realpath(argv[3], dir))
        give_up("%s", argv[3]);
    alarm(HANG_SECONDS + (unsigned)rounds / 100); // for whom the telling never returns
    int fd = MUST(open(path_of("seen"), O_RDWR | O_CREAT | O_TRUNC, 0600));
    MUST(ftruncate(fd, SEEN_SIZE));
    close(fd);
    if (stream_kind)
        make_streams(stream_kind);
    find_streams();
    if (channel->prepare)
        channel->prepare();
    if (channel->run)
        channel->run();
    else
        run_sender();
    if (leaving)
        return 0;
    check_whole_log();
    return 0;
}
