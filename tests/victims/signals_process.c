// signals_process: what children and other programs inherit of dispositions, mask and pending signals, by every way to
// make them, with writes pending in the parent; and that the parent's own stay what they were.
// signals_process --show: prints them, as libc and as the kernel has them.

#include "signals.h"

#include <spawn.h>

static int fd;
static char *self;
static volatile sig_atomic_t seen;

static void handler(int number) {
    seen = number;
}

static void informed(int number, siginfo_t *info, void *context) {
    (void)info, (void)context;
    seen = number;
}

static void show_status(bool caught) {
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    require(status);
    while (fgets(line, sizeof line, status))
        if (!strncmp(line, "SigBlk", 6) || !strncmp(line, "SigIgn", 6) || (caught && !strncmp(line, "SigCgt", 6)) ||
            !strncmp(line, "SigPnd", 6) || !strncmp(line, "ShdPnd", 6))
            note("%s", line);
    fclose(status);
}

// A child that shares nothing prints at once: its parent waits for it.
static int show(const char *who, bool caught) {
    sigset_t pending;
    transcript_length = 0;
    require(sigpending(&pending) == 0);
    note("%s: mask %s, pending %s\n", who, own_mask_text(), mask_text(&pending));
    for (int number = 1; number <= LAST_SIGNAL; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            note_action(" ", number, &action);
    }
    show_status(caught);
    print_transcript();
    return 0;
}

static void await(pid_t child) {
    int status;
    require(child > 0 && waitpid(child, &status, 0) == child);
    if (status)
        note("child's status %x\n", (unsigned)status);
}

static void surroundings(void) {
    install(SIGUSR1, handler, SA_RESTART, set_of(SIGHUP, 0, 0));
    install(SIGSEGV, informed, SA_SIGINFO | SA_ONSTACK, set_of(SIGUSR2, 0, 0));
    install(SIGTERM, handler, (int)SA_RESETHAND, set_of(0, 0, 0));
    install(SIGPIPE, SIG_IGN, 0, set_of(0, 0, 0));
    install(SIGINT, handler, 0, set_of(0, 0, 0));
    install(SIGQUIT, SIG_IGN, 0, set_of(0, 0, 0));
    install(40, informed, SA_SIGINFO, set_of(41, 0, 0));
    install(41, SIG_IGN, 0, set_of(0, 0, 0));
    sigset_t blocked = set_of(SIGUSR2, 42, 0);
    require(sigprocmask(SIG_SETMASK, &blocked, NULL) == 0);
    require(raise(SIGUSR2) == 0);
}

static void after(const char *what) {
    transcript_length = 0;
    note("the parent after %s: ", what);
    print_transcript();
    show("still", false);
    keep_busy(fd, 100);
}

static void by_fork(void) {
    keep_busy(fd, 20);
    pid_t child = fork();
    if (!child) {
        show("forked", false);
        signal(SIGUSR1, SIG_DFL);
        signal(SIGSEGV, SIG_IGN);
        keep_busy(fd, 20);
        raise(SIGINT);
        note("seen %d\n", (int)seen);
        _exit(show("forked and changed", false));
    }
    await(child);
    after("fork");
}

static void in_a_handler(int number) {
    (void)number;
    keep_busy(fd, 5);
    pid_t child = fork();
    if (!child) {
        show("forked in a handler", false);
        keep_busy(fd, 20);
        _exit(0);
    }
    await(child);
    keep_busy(fd, 5);
}

static void by_fork_in_a_handler(void) {
    install(SIGALRM, in_a_handler, 0, set_of(SIGVTALRM, 0, 0));
    keep_busy(fd, 20);
    require(raise(SIGALRM) == 0);
    signal(SIGALRM, SIG_DFL);
    after("fork in a handler");
}

static void by_exec(void) {
    char *nothing[] = {NULL};
    for (int clean = 0; clean < 2; clean++) {
        pid_t child = fork();
        if (!child) {
            keep_busy(fd, 20);
            if (clean)
                execle(self, self, "--show", "exec without environment", NULL, nothing);
            else
                execl(self, self, "--show", "exec", NULL);
            _exit(1);
        }
        await(child);
    }
    pid_t child = fork();
    if (!child) {
        signal(SIGSEGV, SIG_IGN);
        keep_busy(fd, 20);
        execle(self, self, "--show", "exec with SEGV ignored", NULL, nothing);
        _exit(1);
    }
    await(child);
    after("exec");
}

static void spawn(const char *who, const posix_spawnattr_t *attributes, char **environment) {
    char *arguments[] = {self, "--show", (char *)who, NULL};
    pid_t child;
    keep_busy(fd, 20);
    require(posix_spawn(&child, self, NULL, attributes, arguments, environment) == 0);
    await(child);
}

static void by_spawn(void) {
    char *nothing[] = {NULL};
    posix_spawnattr_t attributes;
    sigset_t defaults = set_of(SIGPIPE, SIGSEGV, 41), mask = set_of(SIGHUP, 43, 0);
    require(posix_spawnattr_init(&attributes) == 0);
    spawn("posix_spawn", NULL, nothing);
    require(posix_spawnattr_setsigdefault(&attributes, &defaults) == 0);
    require(posix_spawnattr_setsigmask(&attributes, &mask) == 0);
    require(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK) == 0);
    spawn("posix_spawn with attributes", &attributes, nothing);
    spawn("posix_spawn with all", &attributes, environ);
    after("posix_spawn");
}

// INT and QUIT are ignored, and CHLD blocked, while the command runs.
static void by_shell(void) {
    char command[600], text[1000];
    keep_busy(fd, 20);
    snprintf(command, sizeof command, "kill -INT $PPID; kill -QUIT $PPID; exec env -i '%s' --show system", self);
    seen = 0;
    transcript_length = 0;
    TRY(system(command));
    note("seen %d\n", (int)seen);
    print_transcript();
    snprintf(command, sizeof command, "kill -USR1 $PPID; exec env -i '%s' --show popen", self);
    keep_busy(fd, 20);
    FILE *pipe = popen(command, "r");
    require(pipe);
    size_t length = fread(text, 1, sizeof text, pipe);
    transcript_length = 0;
    TRY(pclose(pipe));
    note("seen %d\n%.*s", (int)seen, (int)length, text);
    print_transcript();
    after("system and popen");
}

// What a runtime does between vfork and exec: all that is caught goes back to the default.
static void by_vfork(void) {
    char *nothing[] = {NULL};
    sigset_t none;
    sigemptyset(&none);
    keep_busy(fd, 20);
    sigset_t before = set_of(SIGUSR2, 42, 0);
    pid_t child = vfork();
    if (!child) {
        struct sigaction action;
        for (int number = 1; number <= LAST_SIGNAL; number++)
            if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_IGN)
                signal(number, SIG_DFL);
        signal(SIGPIPE, SIG_DFL);
        signal(SIGSEGV, SIG_IGN);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execle(self, self, "--show", "vfork and exec", NULL, nothing);
        _exit(1);
    }
    require(sigprocmask(SIG_SETMASK, &before, NULL) == 0);
    await(child);
    after("vfork");
    require(raise(SIGUSR1) == 0 && seen == SIGUSR1);
    require(raise(SIGSEGV) == 0 && seen == SIGSEGV);
}

static volatile sig_atomic_t children;

static void on_child(int number, siginfo_t *info, void *context) {
    (void)context;
    children++;
    note("%s code %d status %d of %s, mask %s\n", signal_text(number), info->si_code, info->si_status,
         info->si_pid > 0 && info->si_pid != getpid() ? "a child" : "nobody", own_mask_text());
    int error = errno;
    pid_t child = waitpid(info->si_pid, NULL, WNOHANG | WUNTRACED);
    note("reaped %d\n", child == info->si_pid);
    errno = error;
}

static void by_child_signal(void) {
    sigset_t chld = set_of(SIGCHLD, 0, 0), old;
    transcript_length = 0;
    for (int how = 0; how < 5; how++) {
        int flags = how == 3 ? SA_NOCLDSTOP : how == 4 ? SA_NOCLDWAIT : 0;
        install(SIGCHLD, on_child, SA_SIGINFO | SA_RESTART | flags, set_of(0, 0, 0));
        keep_busy(fd, 20);
        require(sigprocmask(SIG_BLOCK, &chld, &old) == 0);
        children = 0;
        pid_t child = fork();
        if (!child) {
            signal(SIGTERM, SIG_DFL);
            if (how == 1)
                raise(SIGTERM);
            if (how == 2 || how == 3)
                raise(SIGSTOP);
            _exit(7);
        }
        keep_busy(fd, 20);
        if (how == 3) {
            int status;
            require(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
        }
        if (how != 3)
            TRY(sigsuspend(&old));
        note("%d signals\n", (int)children);
        kill(child, SIGCONT);
        if (how == 2 || how == 3)
            kill(child, SIGKILL);
        while (waitpid(child, NULL, 0) == child)
            ;
        signal(SIGCHLD, SIG_IGN); // forgets what is pending
        signal(SIGCHLD, SIG_DFL);
        require(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
    }
    print_transcript();
    after("SIGCHLD");
}

int main(int argc, char **argv) {
    KNOW(handler);
    KNOW(informed);
    KNOW(in_a_handler);
    if (argc == 3 && !strcmp(argv[1], "--show"))
        return show(argv[2], true);
    require((self = realpath("/proc/self/exe", NULL)) != NULL);
    // Before deferring begins, and when it has.
    surroundings();
    show("at first", false);
    fd = open_busy("log", O_WRONLY | O_APPEND);
    keep_busy(fd, 100);
    by_fork();
    by_fork_in_a_handler();
    by_exec();
    by_spawn();
    by_shell();
    by_vfork();
    by_child_signal();
    return close(fd);
}
