/*
 * prefix_check [--lanes N] [--rewrites] [--direct] KILLS SEED DIR CMD [ARG]…
 *
 * So many times: runs CMD ARG… SEED DIR (a prefix_writer, by whatever launcher), kills it at a random instant, and
 * checks that the files hold what the plan had made of them after some step that is not older than the last one
 * reported. Only the last write may be there in part, cut where one page of the file ends, as the kernel cuts it.
 */
#include "prefix_plan.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, CAPACITY = ROTATE_AT + 2 * LONGEST };

/* One file as found and as the plan says. WRONG counts the bytes that differ or that only one of them has. */
struct image {
    char *found, *model;
    off_t found_size, model_size, wrong;
};

static struct image current[FILES], rotated[FILES];

static bool byte_wrong(const struct image *image, off_t at) {
    bool found = at < image->found_size, model = at < image->model_size;
    return found != model || (found && image->found[at] != image->model[at]);
}

static off_t count_wrong(const struct image *image, off_t from, off_t to) {
    off_t wrong = 0;
    for (off_t at = from; at < to; at++)
        wrong += byte_wrong(image, at);
    return wrong;
}

static void model_write(struct image *image, off_t offset, const char *data, size_t size) {
    off_t end = offset + (off_t)size;
    if (!size)
        return;
    require(offset <= image->model_size && end <= CAPACITY);
    image->wrong -= count_wrong(image, offset, end);
    memcpy(image->model + offset, data, size);
    if (end > image->model_size)
        image->model_size = end;
    image->wrong += count_wrong(image, offset, end);
}

static void model_truncate(struct image *image, off_t size) {
    off_t old = image->model_size;
    image->wrong -= count_wrong(image, size, old);
    image->model_size = size;
    image->wrong += count_wrong(image, size, old);
}

static void model_rotate(enum file file) {
    struct image *from = &current[file], *to = &rotated[file];
    memcpy(to->model, from->model, (size_t)from->model_size);
    to->model_size = from->model_size;
    to->wrong = count_wrong(to, 0, CAPACITY);
    from->model_size = 0;
    from->wrong = from->found_size;
}

static off_t all_wrong(void) {
    off_t wrong = 0;
    for (int i = 0; i < FILES; i++)
        wrong += current[i].wrong + rotated[i].wrong;
    return wrong;
}

/* A file that is not there counts as empty: between rename and open there is none. */
static void load(struct image *image, const char *name) {
    if (!image->found)
        require((image->found = malloc(CAPACITY)) && (image->model = malloc(CAPACITY)));
    int fd = open(name, O_RDONLY);
    image->found_size = fd < 0 ? 0 : read(fd, image->found, CAPACITY);
    require(image->found_size >= 0 && (fd < 0 || !close(fd)));
    image->model_size = 0;
    image->wrong = image->found_size;
}

/* The state nearest to what was found, for the one who has to find out why. */
struct nearest {
    uint64_t number;
    off_t wrong;
};

static bool state_seen(struct nearest *nearest, uint64_t number, uint64_t reported) {
    off_t wrong = all_wrong();
    if (wrong < nearest->wrong)
        *nearest = (struct nearest){number, wrong};
    return wrong == 0 && number >= reported;
}

/* Replays the plan up to the first report that did not come, and looks for what was found. */
static bool lane_is_prefix(struct plan *plan, struct nearest *nearest, uint64_t reported) {
    static struct step step;
    *nearest = (struct nearest){0, INT64_MAX};
    if (state_seen(nearest, 0, reported))
        return true;
    for (;;) {
        plan_next(plan, &step);
        if (step.kind == REPORT && plan->number > reported)
            return false;
        if (step.kind == TRUNCATE)
            model_truncate(&current[step.file], step.offset);
        if (step.kind == ROTATE)
            model_rotate(step.file);
        size_t done = 0;
        do {
            size_t piece = PAGE - (size_t)(step.offset + (off_t)done) % PAGE;
            piece = piece < step.size - done ? piece : step.size - done;
            model_write(&current[step.file], step.offset + (off_t)done, step.data + done, piece);
            done += piece;
            /* what was reported, and what was done before it, is there in whole */
            if (plan->number >= reported && state_seen(nearest, plan->number, reported))
                return true;
        } while (done < step.size);
    }
}

static bool check(unsigned lane, uint64_t seed, bool rewrites, bool direct, uint64_t reported, uint64_t *steps) {
    struct plan plan;
    struct nearest nearest;
    for (int file = 0; file < FILES; file++) {
        load(&current[file], file_name(lane, file, ""));
        load(&rotated[file], file_name(lane, file, ".old"));
    }
    plan_start(&plan, seed, lane, rewrites, direct);
    bool prefix = lane_is_prefix(&plan, &nearest, reported);
    *steps += plan.number;
    if (prefix)
        return true;
    printf("lane %u: reported step %llu, the next report would be step %llu, and the files are no state between them;\n"
           "the nearest is that after step %llu, where %lld bytes differ\n",
           lane, (unsigned long long)reported, (unsigned long long)plan.number, (unsigned long long)nearest.number,
           (long long)nearest.wrong);
    for (int file = 0; file < FILES; file++)
        printf("file %d: %lld bytes, .old %lld bytes\n", file, (long long)current[file].found_size,
               (long long)rotated[file].found_size);
    return false;
}

/* Every second one once the program is at work, the others at any time from its start on. */
static void wait_for_instant(uint64_t *rng, int reports, bool at_work) {
    struct pollfd readable = {.fd = reports, .events = POLLIN};
    if (at_work)
        require(poll(&readable, 1, 30000) == 1);
    usleep((useconds_t)rng_below(rng, rng_below(rng, 2) ? 3000 : 30000));
}

/* Runs the command until it is killed, and says what each lane had reported by then. */
static void run_and_kill(char **command, uint64_t seed, uint64_t *reported) {
    int reports[2], status;
    uint64_t rng = seed;
    struct report report;
    require(!pipe(reports));
    pid_t victim = fork();
    if (victim == 0) {
        dup2(reports[1], STDOUT_FILENO);
        close(reports[0]);
        close(reports[1]);
        execvp(command[0], command);
        die("%s", command[0]);
    }
    require(victim > 0 && !close(reports[1]));
    wait_for_instant(&rng, reports[0], seed % 2);
    require(!kill(victim, SIGKILL) && waitpid(victim, &status, 0) == victim);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        die("seed %llu: ended before it was killed, with status %x", (unsigned long long)seed, (unsigned)status);
    while (read(reports[0], &report, sizeof(report)) == sizeof(report))
        reported[report.lane] = report.number;
    close(reports[0]);
}

int main(int argc, char **argv) {
    unsigned lanes = 1;
    bool rewrites = false, direct = false;
    char *command[64] = {0}, text[32];
    size_t words = 0;
    uint64_t steps = 0;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (!strcmp(argv[at], "--lanes"))
            lanes = (unsigned)atoi(argv[++at]);
        else if (!strcmp(argv[at], "--rewrites"))
            rewrites = true;
        else if (!strcmp(argv[at], "--direct"))
            direct = true;
    }
    if (argc - at < 4 || lanes < 1 || lanes > THREADS_MAX)
        die("usage: prefix_check [--lanes N] [--rewrites] [--direct] KILLS SEED DIR CMD [ARG]...");
    int kills = atoi(argv[at]);
    uint64_t first = strtoull(argv[at + 1], NULL, 0);
    require(!chdir(argv[at + 2]));
    for (at += 3; at < argc; at++) {
        require(words < COUNT_OF(command) - 3);
        command[words++] = argv[at];
    }
    command[words] = text;
    command[words + 1] = ".";

    for (uint64_t seed = first; seed < first + (uint64_t)kills; seed++) {
        uint64_t reported[THREADS_MAX] = {0};
        for (unsigned lane = 0; lane < lanes; lane++)
            for (int file = 0; file < FILES; file++) {
                unlink(file_name(lane, file, ""));
                unlink(file_name(lane, file, ".old"));
            }
        snprintf(text, sizeof(text), "%llu", (unsigned long long)seed);
        run_and_kill(command, seed, reported);
        for (unsigned lane = 0; lane < lanes; lane++)
            if (!check(lane, seed, rewrites, direct, reported[lane], &steps)) {
                printf("seed %s\n", text);
                return 1;
            }
    }
    printf("%d kills from seed %llu, after %llu steps in all\n", kills, (unsigned long long)first,
           (unsigned long long)steps);
    return steps == 0;
}
