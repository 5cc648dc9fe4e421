#include "ring/pollers.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/sys.h"
#include "base/text.h"

enum { LONGEST_MS = 1000 };

static bool is_poller(const char *id) {
    static const char prefix[] = "iou-sqp-"; /* io_sq_thread in io_uring/sqpoll.c */
    char comm[sizeof prefix];
    TEXT(path, 64);
    text_add(&path, "/proc/self/task/");
    text_add(&path, id);
    text_add(&path, "/comm");
    path_bytes[path.length < 63 ? path.length : 63] = '\0';
    return text_read(path_bytes, comm, sizeof comm) > 0 && strcmp(comm, prefix) == 0;
}

struct pollers pollers_now(void) {
    struct pollers pollers = {.count = 0};
    char bytes[1024] __attribute__((aligned(8)));
    long got, fd = sys(SYS_openat, AT_FDCWD, "/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return pollers;
    const char *end;
    while ((got = sys(SYS_getdents64, fd, bytes, sizeof bytes)) > 0)
        for (struct dirent64 *entry = (void *)bytes; (char *)entry < bytes + got;
             entry = (void *)((char *)entry + entry->d_reclen))
            if (pollers.count < 8 && entry->d_name[0] != '.' && is_poller(entry->d_name))
                pollers.id[pollers.count++] = text_parse(entry->d_name, &end);
    sys(SYS_close, fd);
    return pollers;
}

static int64_t now_ms(void) {
    struct timespec now = {0, 0};
    sys(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Sleeps, each time longer: 20 us at first, a millisecond at most. */
static void pause_longer(struct timespec *pause) {
    enum { LEAST_NS = 20000, MOST_NS = 1000000 };
    pause->tv_nsec = pause->tv_nsec ? 2 * pause->tv_nsec : LEAST_NS;
    if (pause->tv_nsec > MOST_NS)
        pause->tv_nsec = MOST_NS;
    sys(SYS_nanosleep, pause, NULL);
}

static bool among(const struct pollers *pollers, long id) {
    for (int i = 0; i < pollers->count; i++)
        if (pollers->id[i] == id)
            return true;
    return false;
}

/* It has its name when it has run for the first time. */
long pollers_made_since(const struct pollers *before) {
    struct timespec pause = {0, 0};
    for (int64_t began = now_ms(); now_ms() - began < LONGEST_MS; pause_longer(&pause)) {
        struct pollers now = pollers_now();
        for (int i = 0; i < now.count; i++)
            if (!among(before, now.id[i]))
                return now.id[i];
    }
    return 0;
}

void pollers_await_end(long id) {
    struct timespec pause = {0, 0};
    long process = sys(SYS_getpid);
    for (int64_t began = now_ms(); sys(SYS_tgkill, process, id, 0) == 0 && now_ms() - began < LONGEST_MS;)
        pause_longer(&pause);
}

/* The clock of another thread of the process (MAKE_THREAD_CPUCLOCK in include/linux/posix-timers.h, CPUCLOCK_SCHED). */
uint64_t pollers_used_us(long id) {
    struct timespec used;
    if (sys(SYS_clock_gettime, ~(unsigned long)id << 3 | 4 | 2, &used) != 0)
        return 0;
    return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}
