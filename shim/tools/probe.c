/*
 * uringshim-probe: what the kernel grants to this process, tried rather than asked for. One finding a line, a word and
 * an answer, for scripts/commands/doctor.sh to put into words; an answer is `ok` or the name of an errno. io_uring is
 * tried in a child, because a seccomp filter may kill who tries it; `died` then follows the last answer.
 *
 *   glibc VERSION; glibc_known ok, or the newest version of which all is known if that is older
 *   code ok|unknown: can the library look at a program's code?
 *   processors N, scheduler ordinary|other, membarrier yes|no
 *   files N|unlimited (RLIMIT_FSIZE), processes N|unlimited (RLIMIT_NPROC), memory N|unlimited (RLIMIT_MEMLOCK)
 *   ring_memory N: bytes that a thread's ring with its buffers takes of that; exempt ANSWER: a ring without any of it
 *   ring ANSWER, ring.WHAT ANSWER … : a ring as the library makes it, step by step, until something is missing
 *   sqpoll ANSWER
 *   stream.nowait ANSWER, stream.quiet ANSWER: a pipe written to without waiting, and without SIGPIPE; stream.again
 *   ANSWER: a pipe opened once more for that; stream.socket ANSWER
 *   mount …, place …: probe_files.h
 *
 * uringshim-probe work FILE: small writes to FILE, small reads of it, and small writes to a pipe, to be run under the
 * library.
 */
#include <gnu/libc-version.h>
#include <sched.h>

#include "base/libc.h"
#include "base/lock.h"
#include "code/look.h"
#include "tools/probe_files.h"
#include "tools/probe_streams.h"

static void print_limit(const char *what, int resource) {
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    getrlimit(resource, &limit);
    if (limit.rlim_cur == RLIM_INFINITY)
        printf("%s unlimited\n", what);
    else
        printf("%s %llu\n", what, (unsigned long long)limit.rlim_cur);
}

static void print_process(void) {
    int scheduler = sched_getscheduler(0);
    struct look look;
    printf("glibc %s\n", gnu_get_libc_version());
    if (libc_minor() > LIBC_NEWEST)
        printf("glibc_known 2.%d\n", LIBC_NEWEST);
    else
        puts("glibc_known ok");
    look_at_code(&look, NULL);
    printf("code %s\n", look.verdict == CALLS_UNKNOWN ? "unknown" : "ok");
    printf("processors %ld\n", sysconf(_SC_NPROCESSORS_ONLN));
    printf("scheduler %s\n", scheduler == SCHED_OTHER || scheduler == SCHED_BATCH ? "ordinary" : "other");
    printf("membarrier %s\n", bias_available() ? "yes" : "no");
    print_limit("files", RLIMIT_FSIZE);
    print_limit("processes", RLIMIT_NPROC);
    print_limit("memory", RLIMIT_MEMLOCK);
    printf("ring_memory %d\n", RING_MEMORY);
}

/* Nobody else reads the pipe: they fit into its smallest size, a page (F_SETPIPE_SZ in fcntl(2)). */
static int work(const char *path) {
    enum { CALLS = 1000, TO_PIPE = 50 };
    char line[64] = "";
    int ends[2], out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600), in = open(path, O_RDONLY);
    bool done = out >= 0 && in >= 0;
    for (int i = 0; done && i < CALLS; i++)
        done = write(out, line, sizeof line) == sizeof line;
    close(out);
    for (int i = 0; done && i < CALLS; i++)
        done = read(in, line, sizeof line) == sizeof line;
    done = done && pipe(ends) == 0;
    for (int i = 0; done && i < TO_PIPE; i++)
        done = write(ends[1], line, sizeof line) == sizeof line;
    for (int i = 0; done && i < CALLS; i++)
        done = read(ends[0], line, 1) == 1;
    return done ? 0 : 1;
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 3 && strcmp(argv[1], "work") == 0)
        return work(argv[2]);
    print_process();
    bool streams = survived(try_streams);
    if (!survived(try_ring) || !survived(try_exempt) || !survived(try_queue_polling) || !streams)
        puts("died");
    print_mounts();
    return 0;
}
