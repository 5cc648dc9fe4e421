/*
 * prefix_writer [--threads N] [--lanes] [--rewrites] [--direct] [--steps N] SEED DIR
 *
 * Performs the plan of its seed until it is killed (or for so many steps). Threads take turns with one plan, under a
 * lock or an atomic alone; with --lanes, each has a plan and files of its own and never waits for another.
 */
#include "prefix_plan.h"
#include "prefix_turns.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct lane {
    unsigned number;
    struct plan plan;
    struct step step;
    int fds[FILES], second;
};

static struct lane lanes[THREADS_MAX];
static bool own_lanes, rewrites, direct;
static uint64_t seed, steps = UINT64_MAX;

static void open_file(struct lane *lane, enum file file) {
    const char *name = file_name(lane->number, file, "");
    int flags = (file == APPENDED || file == APPENDED_TWICE ? O_APPEND : 0) | (direct ? O_DIRECT : 0);
    require((lane->fds[file] = open(name, O_WRONLY | O_CREAT | flags, 0600)) >= 0);
    if (file == APPENDED_TWICE)
        require((lane->second = open(name, O_WRONLY | flags)) >= 0);
}

static void rotate(struct lane *lane, enum file file) {
    char old[32];
    strcpy(old, file_name(lane->number, file, ".old"));
    require(!close(lane->fds[file]));
    if (file == APPENDED_TWICE)
        require(!close(lane->second));
    require(!rename(file_name(lane->number, file, ""), old));
    open_file(lane, file);
}

static ssize_t put(struct lane *lane, const struct step *step) {
    int fd = lane->fds[step->file];
    struct iovec parts[] = {{(char *)step->data, step->size / 2},
                            {(char *)step->data + step->size / 2, step->size - step->size / 2}};
    if (step->file == POSITIONED)
        return pwrite(fd, step->data, step->size, step->offset);
    if (step->file == APPENDED_TWICE && !direct)
        return writev(lane->plan.number % 2 ? fd : lane->second, parts, 2);
    return write(fd, step->data, step->size);
}

static void perform(struct lane *lane) {
    struct step *step = &lane->step;
    struct stat found;
    plan_next(&lane->plan, step);
    int fd = lane->fds[step->file];
    struct report report = {lane->number, lane->plan.number};
    switch (step->kind) {
    case RECORD:
        require(put(lane, step) == (ssize_t)step->size);
        break;
    case TRUNCATE:
        require(!ftruncate(fd, step->offset));
        if (step->file == SEQUENTIAL)
            require(lseek(fd, 0, SEEK_END) == step->offset);
        break;
    case ROTATE:
        rotate(lane, step->file);
        break;
    case SYNC:
        require(!fsync(fd));
        break;
    case LOOK:
        require(!fstat(fd, &found) && found.st_size == step->offset);
        break;
    case REPORT:
        require(write(STDOUT_FILENO, &report, sizeof(report)) == sizeof(report));
        break;
    }
}

static void *work(void *argument) {
    unsigned number = (unsigned)(uintptr_t)argument;
    struct lane *lane = &lanes[own_lanes ? number : 0];
    for (bool more = true; more;) {
        if (!own_lanes)
            take_turn(number);
        for (int run = 0; run < 10 && (more = lane->plan.number < steps); run++)
            perform(lane);
        if (!own_lanes)
            give_turn(number);
    }
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t others[THREADS_MAX];
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (!strcmp(argv[at], "--threads"))
            threads = (unsigned)atoi(argv[++at]);
        else if (!strcmp(argv[at], "--lanes"))
            own_lanes = true;
        else if (!strcmp(argv[at], "--rewrites"))
            rewrites = true;
        else if (!strcmp(argv[at], "--direct"))
            direct = true;
        else if (!strcmp(argv[at], "--steps"))
            steps = strtoull(argv[++at], NULL, 0);
    }
    if (argc - at != 2 || threads < 1 || threads > THREADS_MAX)
        die("usage: prefix_writer [--threads N] [--lanes] [--rewrites] [--direct] [--steps N] SEED DIR");
    seed = strtoull(argv[at], NULL, 0);
    spin = seed / 2 % 2;
    require(!chdir(argv[at + 1]));
    alarm(HANG_SECONDS);
    for (unsigned i = 0; i < (own_lanes ? threads : 1); i++) {
        lanes[i].number = i;
        plan_start(&lanes[i].plan, seed, i, rewrites, direct);
        for (int file = 0; file < FILES; file++)
            open_file(&lanes[i], (enum file)file);
    }
    for (uintptr_t i = 1; i < threads; i++)
        require(!pthread_create(&others[i], NULL, work, (void *)i));
    work(NULL);
    for (unsigned i = 1; i < threads; i++)
        require(!pthread_join(others[i], NULL));
    return 0;
}
