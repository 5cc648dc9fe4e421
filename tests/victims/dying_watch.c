// dying_watch [OPTION]… WAY… -- CMD…: runs CMD WAY for each WAY, as a parent that sees how it ends, and says so:
// status, whether there was a core, and how many records each file has at once then.
//   --trace       as a debugger, too, which is told the information of the last signal; and whatever the victim
//                 had been answered then, must be there
//   --kill N      sends signal N when the victim has written so many records, by several calls in turn; then it says
//   only
//                 whether those are there that had been answered
//   --rounds N    so often each
//   --init        CMD is the first process of a PID namespace

#include "dying.h"

#include <elf.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

static bool tracing, init;
static int to_send, rounds = 1;
static pid_t victim;
static struct progress *address;
static struct progress told;
static bool asked; // `told` is filled
static char information[400];
static uint64_t seed = 1;

static const char *signal_text(int number) {
    static char text[32];
    if (number < SIGRTMIN)
        return sigabbrev_np(number);
    sprintf(text, "RTMIN+%d", number - SIGRTMIN);
    return text;
}

static void ask_progress(void) {
    struct iovec here = {&told, sizeof told}, there = {address, sizeof told};
    asked |= process_vm_readv(victim, &here, 1, &there, 1, 0) == sizeof told;
}

// The last component of what is mapped there, for whoever can't compare addresses.
static void mapping_of(pid_t pid, uintptr_t place, char *name, size_t size) {
    char line[600], path[32];
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    snprintf(name, size, "nothing");
    FILE *maps = fopen(path, "r");
    while (maps && fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        int at = 0;
        if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %n", &from, &to, &at) < 2 || place < from || place >= to)
            continue;
        line[strcspn(line, "\n")] = '\0';
        char *base = strrchr(line, '/');
        snprintf(name, size, "%s", base ? base + 1 : at && line[at] ? line + at : "memory");
    }
    if (maps)
        fclose(maps);
}

static const char *sender_text(pid_t pid) {
    return pid == victim ? "itself" : pid == getpid() ? "its parent" : pid == 0 ? "nobody" : "a stranger";
}

static bool is_fault(const siginfo_t *info) {
    switch (info->si_signo) {
    case SIGSEGV:
        return info->si_code > 0;
    case SIGBUS:
    case SIGILL:
    case SIGFPE:
    case SIGTRAP:
        return info->si_code > 0 && info->si_code != SI_KERNEL;
    default:
        return false;
    }
}

#if defined(__x86_64__)
#define pc rip
#define sp rsp
#endif

static void keep_information(pid_t thread, const siginfo_t *info) {
    struct user_regs_struct registers;
    char instruction[64], place[64];
    if (!is_fault(info)) {
        snprintf(information, sizeof information, "%s code %d errno %d by %s, value %d", signal_text(info->si_signo),
                 info->si_code, info->si_errno, info->si_code == SI_TIMER ? "a timer" : sender_text(info->si_pid),
                 info->si_code == SI_QUEUE || info->si_code == SI_TIMER ? info->si_value.sival_int : 0);
        return;
    }
    struct iovec all = {&registers, sizeof registers};
    require(ptrace(PTRACE_GETREGSET, thread, NT_PRSTATUS, &all) == 0);
    uintptr_t at = (uintptr_t)info->si_addr;
    mapping_of(thread, registers.pc, instruction, sizeof instruction);
    // A page and a guard page around the stack pointer: that's an overflow.
    snprintf(place, sizeof place, "%p", info->si_addr);
    if (at == registers.pc)
        snprintf(place, sizeof place, "the instruction");
    else if (at > 0x20000000 && at + 65536 > registers.sp && at < registers.sp + 65536)
        snprintf(place, sizeof place, "the stack's end");
    snprintf(information, sizeof information, "%s code %d errno %d at %s, instruction in %s",
             signal_text(info->si_signo), info->si_code, info->si_errno, info->si_code == SI_KERNEL ? "?" : place,
             instruction);
}

// Of any thread of the victim that stopped: tells what for, and lets it go on.
static void traced_stop(pid_t thread, int status) {
    siginfo_t info;
    int number = WSTOPSIG(status), event = status >> 16;
    if (event || ptrace(PTRACE_GETSIGINFO, thread, 0, &info) != 0) {
        ptrace(PTRACE_CONT, thread, 0, 0);
        return;
    }
    keep_information(thread, &info);
    if (address)
        ask_progress();
    ptrace(PTRACE_CONT, thread, 0, number);
}

static void say_end(int status) {
    if (WIFSIGNALED(status))
        printf("killed by %s%s\n", signal_text(WTERMSIG(status)), WCOREDUMP(status) ? ", core dumped" : "");
    else
        printf("exited with %d\n", WEXITSTATUS(status));
}

// How many records the file has, from 0 on.
static unsigned count_records(const char *path) {
    char record[RECORD], want[RECORD];
    unsigned count = 0;
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    for (size_t got; (got = fread(record, 1, RECORD, file)) > 0; count++) {
        record_of(want, count);
        if (got != RECORD || memcmp(record, want, RECORD) != 0) {
            printf("%s: wrong at %u\n", path, count);
            break;
        }
    }
    fclose(file);
    return count;
}

static void say_files(void) {
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        unsigned count = count_records(names[i]);
        if (asked && count < told.answered[i])
            printf("%s: %u records, but %u had been answered\n", names[i], count, told.answered[i]);
        // How far threads, or whoever is killed from outside, have come is chance.
        if (!to_send && i < COUNT_OF(names) - THREADS)
            printf("%s: %u records\n", names[i], count);
    }
}

__attribute__((noreturn)) static void become(char **command, char *way, int go, int tell) {
    char byte, number[12], *arguments[40];
    int count = 0;
    snprintf(number, sizeof number, "%d", tell);
    while (command[count]) {
        require(count < 30);
        arguments[count] = command[count];
        count++;
    }
    arguments[count++] = way;
    arguments[count++] = tell >= 0 ? number : NULL;
    arguments[count] = NULL;
    // In a group of its own, or it could not be stopped where nobody is in charge of bats' group.
    setpgid(0, 0);
    // The beginning of a core is one, too, and sooner written.
    require(setrlimit(RLIMIT_CORE, &(struct rlimit){1 << 16, 1 << 16}) == 0 || errno == EPERM);
    require(read(go, &byte, 1) == 1);
    execvp(*arguments, arguments);
    _exit(97);
}

static pid_t make_process(void) {
    if (!init)
        return fork();
    pid_t made = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
    if (made < 0)
        exit(77);
    return made;
}

static void send_signal(int turn) {
    switch (turn % 3) {
    case 0:
        kill(victim, to_send);
        break;
    case 1:
        sigqueue(victim, to_send, (union sigval){.sival_int = 5});
        break;
    default:
        syscall(SYS_tgkill, victim, victim, to_send);
    }
}

// Where the victim's progress is to be seen. A debugger lets it go on meanwhile, whatever stops it before it has told.
static void await_address(int from) {
    require(!tracing || fcntl(from, F_SETFL, O_NONBLOCK) == 0);
    for (;;) {
        int status;
        struct timespec pause = {.tv_nsec = 20000};
        ssize_t length = read(from, &address, sizeof address);
        if (length == sizeof address)
            return;
        require(tracing && length < 0 && errno == EAGAIN);
        pid_t stopped = waitpid(-1, &status, __WALL | WNOHANG);
        if (stopped > 0 && WIFSTOPPED(status))
            traced_stop(stopped, status);
        nanosleep(&pause, NULL);
    }
}

// When the victim has come so far, which is seen in its memory and not told by it.
static void await_and_send(const char *way, int turn) {
    unsigned enough = strcmp(way, "waiting") ? (unsigned)rng_below(&seed, 3000) : RECORDS;
    for (;;) {
        struct timespec pause = {.tv_nsec = 20000};
        ask_progress();
        if (asked && told.answered[3] >= enough)
            break;
        if (tracing) {
            int status;
            pid_t stopped = waitpid(-1, &status, __WALL | WNOHANG);
            if (stopped > 0 && WIFSTOPPED(status))
                traced_stop(stopped, status);
        }
        nanosleep(&pause, NULL);
    }
    send_signal(turn);
}

// Returns the status with which it ended.
static int await_end(void) {
    for (;;) {
        int status;
        pid_t who = waitpid(tracing ? -1 : victim, &status, __WALL | WUNTRACED);
        require(who > 0);
        if (who == victim && !WIFSTOPPED(status))
            return status;
        if (!WIFSTOPPED(status))
            continue;
        if (tracing) {
            traced_stop(who, status);
            continue;
        }
        printf("stopped by %s\n", signal_text(WSTOPSIG(status)));
        say_files();
        kill(victim, SIGCONT);
    }
}

static void watch(char *way, char **command, int turn) {
    int go[2], tell[2];
    siginfo_t ended = {0};
    // What depends on chance is not for comparison, unless it's wrong.
    bool telling = to_send || tracing;
    require(pipe(go) == 0 && pipe(tell) == 0);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        unlink(names[i]);
    fflush(stdout);
    asked = false;
    address = NULL;
    snprintf(information, sizeof information, "nothing");
    if ((victim = make_process()) == 0) {
        close(go[1]);
        close(tell[0]);
        become(command, way, go[0], telling ? tell[1] : -1);
    }
    require(victim > 0);
    close(tell[1]);
    if (tracing)
        require(ptrace(PTRACE_SEIZE, victim, 0, PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL) == 0);
    require(write(go[1], "g", 1) == 1);
    if (telling)
        await_address(tell[0]);
    if (to_send)
        await_and_send(way, turn);
    int status = 0;
    if (tracing) {
        status = await_end();
    } else {
        // Looked at first, and reaped when the files have been.
        while (waitid(P_PID, (id_t)victim, &ended, WEXITED | WSTOPPED | WNOWAIT) == 0 && ended.si_code == CLD_STOPPED) {
            require(waitpid(victim, &status, WUNTRACED) == victim);
            printf("stopped by %s\n", signal_text(WSTOPSIG(status)));
            say_files();
            kill(victim, SIGCONT);
        }
        printf("told: %s %d\n",
               ended.si_code == CLD_KILLED   ? "killed"
               : ended.si_code == CLD_DUMPED ? "dumped"
                                             : "exited",
               ended.si_status);
        say_files();
        require(waitpid(victim, &status, 0) == victim);
    }
    say_end(status);
    if (tracing) {
        say_files();
        printf("last signal: %s\n", information);
    }
    unlink("core");
    for (int i = 0; i < 2; i++)
        close(go[i]);
    close(tell[0]);
}

int main(int argc, char **argv) {
    int at = 1;
    for (; at < argc && !strncmp(argv[at], "--", 2) && argv[at][2]; at++) {
        if (!strcmp(argv[at], "--trace"))
            tracing = true;
        else if (!strcmp(argv[at], "--init"))
            init = true;
        else if (!strcmp(argv[at], "--kill"))
            to_send = atoi(argv[++at]);
        else if (!strcmp(argv[at], "--rounds"))
            rounds = atoi(argv[++at]);
        else
            die("no option: %s", argv[at]);
    }
    int first = at;
    while (at < argc && strcmp(argv[at], "--") != 0)
        at++;
    require(at + 1 < argc && first < at);
    for (int way = first; way < at; way++)
        for (int turn = 0; turn < rounds; turn++) {
            printf("- %s\n", argv[way]);
            watch(argv[way], argv + at + 1, turn);
        }
    return 0;
}
