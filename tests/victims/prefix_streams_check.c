/*
 * prefix_streams_check [--steady] STEPS TIMES SEED CMD [ARG]…
 *
 * So many times: runs CMD ARG… STEPS SEED (a prefix_streams_writer, by whatever launcher) with streams of which it
 * reads the other ends, now quickly, now slowly, now one not at all, and looks at what it reads and at the files at any
 * moment: each must hold all that was written before the last that another holds. In the end everything must be there;
 * or with 0 STEPS, the program is killed at a random instant, and what is there must be what the plan had written up to
 * some step that is not older than the last one reported. The room in the pipes changes now and then, so that what was
 * deferred may find none; with --steady it doesn't, and no stream is left for long.
 */
#include "prefix_streams.h"
#include "streams.h"
#include <poll.h>
#include <sys/wait.h>

enum { PAGE = 4096, ROOM = 1 << 20 };

/* What each target was seen to hold, the plan up to the last record that has begun there, and how much all had before
 * it. */
static struct view {
    int fd;
    char *bytes;
    size_t size, room;
    struct plan plan;
    off_t before[TARGETS];
} views[TARGETS];

static uint64_t seed, steps, rng, reported, looks;
static int reports;
static bool steady;
static struct view *left; /* a stream of which nothing is taken for a while */
static int64_t left_until;

static void receive(struct view *view, size_t most) {
    if (view->room < view->size + most)
        require((view->bytes = realloc(view->bytes, view->room = 2 * (view->size + most))));
    ssize_t length = view < &views[STREAMS] ? read(view->fd, view->bytes + view->size, most)
                                            : pread(view->fd, view->bytes + view->size, most, (off_t)view->size);
    require(length >= 0);
    view->size += (size_t)length;
}

static void receive_all(struct view *view) {
    for (size_t had = SIZE_MAX; had != view->size;) {
        had = view->size;
        receive(view, ROOM);
    }
}

/* How much there is at this moment: it is taken, too, but from the stream that is left. */
static off_t look(struct view *view) {
    size_t fill;
    if (view >= &views[STREAMS])
        receive_all(view);
    else if ((fill = stream_fill(view->fd)) && view == left)
        return (off_t)(view->size + fill);
    else if (fill)
        receive(view, fill);
    return (off_t)view->size;
}

/* A pipe's reader may change how much room there is, whatever its writer has found out: if what is there fits. */
static void change_room(enum target pipe, int pages) {
    fcntl(views[pipe].fd, F_SETPIPE_SZ, pages * PAGE);
}

/* Rarely, but for long: whoever has waited for long must still keep the order. */
static void leave_one(void) {
    if (left && now_us() > left_until)
        left = NULL;
    if (steady || left || rng_below(&rng, 1000) != 0)
        return;
    enum target target = (enum target)rng_below(&rng, STREAMS);
    if (target == PIPE || target == FIFO)
        change_room(target, 1);
    left = &views[target];
    left_until = now_us() + (int64_t)rng_below(&rng, 200000);
}

static void follow(struct view *view) {
    enum target self = (enum target)(view - views);
    while (view->plan.sizes[self] < (off_t)view->size) {
        memcpy(view->before, view->plan.sizes, sizeof(view->before));
        plan_next(&view->plan);
    }
}

/* One, and then the others in any order. What goes over the network may arrive later than it was sent. */
static bool look_around(void) {
    unsigned first = (unsigned)rng_below(&rng, TARGETS), way = rng_below(&rng, 2) ? 1 : TARGETS - 1;
    leave_one();
    look(&views[first]);
    follow(&views[first]);
    looks++;
    for (unsigned i = 1; i < TARGETS; i++) {
        unsigned other = (first + i * way) % TARGETS;
        off_t there = look(&views[other]);
        if (other == TCP_SOCKET || there >= views[first].before[other])
            continue;
        printf("seed %llu: %s has %zu bytes, of step %llu at least, and %s %lld of the %lld before it\n",
               (unsigned long long)seed, target_names[first], views[first].size,
               (unsigned long long)views[first].plan.number, target_names[other], (long long)there,
               (long long)views[first].before[other]);
        return false;
    }
    return true;
}

/* What the kernel writes in one piece is never there in part: files are cut where a page ends, pipes and unix sockets
 * take a small record or don't. */
static bool cut_is_right(const struct step *step, size_t there) {
    if (!there)
        return true;
    if (step->target >= STREAMS)
        return (step->offset + (off_t)there) % PAGE == 0;
    return step->target == TCP_SOCKET || step->size > PIPE_BUF;
}

/* The first step that isn't there in whole: nothing of what comes after it may be. */
static bool is_prefix(void) {
    struct plan plan;
    struct step step;
    off_t ends[TARGETS];
    size_t there = 0;
    for (plan_start(&plan, seed);;) {
        memcpy(ends, plan.sizes, sizeof(ends));
        step = plan_next(&plan);
        if ((steps && plan.number > steps) || (step.kind == REPORT && plan.number > reported))
            break;
        if (step.kind != RECORD)
            continue;
        const struct view *view = &views[step.target];
        there = (off_t)view->size > step.offset ? view->size - (size_t)step.offset : 0;
        there = there < step.size ? there : step.size;
        if (memcmp(view->bytes + step.offset, plan_data(&plan, step.size), there)) {
            printf("seed %llu: step %llu is not what %s has\n", (unsigned long long)seed,
                   (unsigned long long)plan.number, target_names[step.target]);
            return false;
        }
        if (there < step.size)
            break;
        there = 0;
    }
    ends[step.target] += (off_t)there;
    bool right = plan.number > (steps ? steps : reported) && cut_is_right(&step, there);
    for (int i = 0; i < TARGETS; i++)
        right = right && (off_t)views[i].size == ends[i];
    if (right)
        return true;
    printf("seed %llu, reported step %llu: step %llu, %zu bytes to %s, is there with %zu\n", (unsigned long long)seed,
           (unsigned long long)reported, (unsigned long long)plan.number, step.size, target_names[step.target], there);
    for (int i = 0; i < TARGETS; i++)
        printf("%s: %zu bytes, %lld to be expected\n", target_names[i], views[i].size, (long long)ends[i]);
    return false;
}

static pid_t start(char **command) {
    int ends[TARGETS][2], report_ends[2];
    reported = 0;
    left = NULL;
    require(!pipe(report_ends));
    for (int i = 0; i < TARGETS; i++) {
        unlink(target_names[i]);
        if (i < STREAMS)
            open_stream(target_names[i], target_names[i], ends[i]);
        else
            require((ends[i][0] = open(target_names[i], O_RDONLY | O_CREAT, 0600)) >= 0);
        views[i].fd = ends[i][0];
        views[i].size = 0;
        memset(views[i].before, 0, sizeof(views[i].before));
        plan_start(&views[i].plan, seed);
    }
    pid_t writer = fork();
    require(writer >= 0);
    if (!writer) {
        dup2(report_ends[1], STDOUT_FILENO);
        for (int i = 0; i < STREAMS; i++)
            dup2(ends[i][1], FIRST_FD + i);
        for (int fd = 3; fd < FIRST_FD; fd++)
            close(fd);
        execvp(command[0], command);
        die("%s", command[0]);
    }
    for (int i = 0; i < STREAMS; i++)
        close(ends[i][1]);
    close(report_ends[1]);
    reports = report_ends[0];
    return writer;
}

/* All that is left, until nobody can write any more. */
static void finish(void) {
    uint64_t number;
    for (int i = 0; i < TARGETS; i++) {
        receive_all(&views[i]);
        close(views[i].fd);
    }
    while (read(reports, &number, sizeof(number)) == sizeof(number))
        reported = number;
    close(reports);
}

static void pause_sometimes(void) {
    if (!steady && rng_below(&rng, 10) == 0)
        change_room(rng_below(&rng, 2) ? PIPE : FIFO, rng_below(&rng, 2) ? 1 : 16);
    if (rng_below(&rng, 30) == 0)
        usleep((useconds_t)rng_below(&rng, 3000));
}

static bool watch(pid_t writer) {
    int status;
    bool right = true;
    while (right && !waitpid(writer, &status, WNOHANG)) {
        right = look_around();
        pause_sometimes();
    }
    if (!right)
        require(!kill(writer, SIGKILL) && waitpid(writer, &status, 0) == writer);
    else if (status)
        die("seed %llu: ended with status %x", (unsigned long long)seed, (unsigned)status);
    finish();
    return right && is_prefix();
}

/* Every second one once the program is at work, the others at any time from its start on; of some, nothing is read
 * before, so that they're found waiting. */
static bool kill_at_some_time(pid_t writer) {
    struct pollfd readable = {.fd = reports, .events = POLLIN};
    int status;
    bool right = true, idle = rng_below(&rng, 3) == 0;
    if (seed % 2)
        require(poll(&readable, 1, 1000 * HANG_SECONDS) == 1);
    int64_t end = now_us() + (int64_t)rng_below(&rng, rng_below(&rng, 2) ? 3000 : 30000);
    while (right && now_us() < end) {
        right = idle || look_around();
        pause_sometimes();
    }
    require(!kill(writer, SIGKILL) && waitpid(writer, &status, 0) == writer);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        die("seed %llu: ended before it was killed, with status %x", (unsigned long long)seed, (unsigned)status);
    finish();
    return right && is_prefix();
}

int main(int argc, char **argv) {
    char text[2][32];
    if (argc > 1 && (steady = !strcmp(argv[1], "--steady")))
        argc--, argv++;
    if (argc < 5)
        die("usage: prefix_streams_check [--steady] STEPS TIMES SEED CMD [ARG]...");
    steps = strtoull(argv[1], NULL, 0);
    int times = atoi(argv[2]);
    seed = strtoull(argv[3], NULL, 0);
    char **command = calloc((size_t)argc, sizeof(*command));
    require(command);
    memcpy(command, argv + 4, (size_t)(argc - 4) * sizeof(*command));
    command[argc - 4] = text[0];
    command[argc - 3] = text[1];
    for (int i = 0; i < times; i++, seed++) {
        rng = seed;
        snprintf(text[0], sizeof(text[0]), "%llu", (unsigned long long)steps);
        snprintf(text[1], sizeof(text[1]), "%llu", (unsigned long long)seed);
        pid_t writer = start(command);
        if (!(steps ? watch(writer) : kill_at_some_time(writer)))
            return 1;
    }
    printf("%d programs up to seed %llu, %llu looks\n", times, (unsigned long long)seed - 1, (unsigned long long)looks);
    return 0;
}
