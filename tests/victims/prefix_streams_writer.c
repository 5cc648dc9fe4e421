/*
 * prefix_streams_writer [--threads N] STEPS SEED
 *
 * Performs so many steps of the plan of its seed, or for ever (0), on the streams that it has inherited and on files in
 * its directory. Threads take turns.
 */
#include "prefix_streams.h"
#include "prefix_turns.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static struct plan plan;
static uint64_t steps;
static int fds[TARGETS];

static ssize_t put(const struct step *step) {
    int fd = fds[step->target];
    char *data = (char *)plan_data(&plan, step->size);
    struct iovec parts[] = {{data, step->size / 2}, {data + step->size / 2, step->size - step->size / 2}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = COUNT_OF(parts)};
    bool socket = step->target == UNIX_SOCKET || step->target == TCP_SOCKET;
    if (step->target == POSITIONED)
        return pwrite(fd, data, step->size, step->offset);
    if (plan.number % 5 == 0)
        return writev(fd, parts, COUNT_OF(parts));
    if (socket && plan.number % 5 == 1)
        return send(fd, data, step->size, 0);
    if (socket && plan.number % 5 == 2)
        return sendmsg(fd, &message, MSG_NOSIGNAL);
    return write(fd, data, step->size);
}

static void perform(void) {
    struct stat found;
    struct step step = plan_next(&plan);
    switch (step.kind) {
    case RECORD:
        require(put(&step) == (ssize_t)step.size);
        break;
    case LOOK:
        require(!fstat(fds[step.target], &found) && (step.target < STREAMS || found.st_size == step.offset));
        break;
    case REPORT:
        require(write(STDOUT_FILENO, &plan.number, sizeof(plan.number)) == sizeof(plan.number));
        break;
    }
}

static void *work(void *argument) {
    unsigned number = (unsigned)(uintptr_t)argument;
    for (bool more = true; more;) {
        take_turn(number);
        for (int run = 0; run < 10 && (more = plan.number < steps); run++)
            perform();
        give_turn(number);
    }
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t others[16];
    if (argc == 5 && !strcmp(argv[1], "--threads"))
        threads = (unsigned)atoi(argv[2]);
    else if (argc != 3)
        die("usage: prefix_streams_writer [--threads N] STEPS SEED");
    require(threads >= 1 && threads <= COUNT_OF(others));
    steps = strtoull(argv[argc - 2], NULL, 0);
    steps = steps ? steps : UINT64_MAX;
    plan_start(&plan, strtoull(argv[argc - 1], NULL, 0));
    spin = plan.seed / 2 % 2;
    alarm(HANG_SECONDS);
    for (int i = 0; i < TARGETS; i++)
        fds[i] = i < STREAMS
                     ? FIRST_FD + i
                     : open(target_names[i], O_WRONLY | O_CREAT | O_TRUNC | (i == APPENDED ? O_APPEND : 0), 0600);
    for (int i = STREAMS; i < TARGETS; i++)
        require(fds[i] >= 0);
    for (uintptr_t i = 1; i < threads; i++)
        require(!pthread_create(&others[i], NULL, work, (void *)i));
    work(NULL);
    for (unsigned i = 1; i < threads; i++)
        require(!pthread_join(others[i], NULL));
    return 0;
}
