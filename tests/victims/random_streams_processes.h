// The operations of random_streams with children that see what there is, or write where their parent wrote.
#pragma once

#include "random_streams_ends.h"
#include <pthread.h>
#include <spawn.h>
#include <sys/time.h>

extern char **environ;

// A child sees all of it.
static void op_seen(void) {
    int file = any_file();
    burst_side(any_side(), (unsigned)below(40));
    pid_t child = start_child();
    if (child == 0) {
        op_look();
        check_size(file);
        _exit(0);
    }
    compute();
    await(child);
}

// A descriptor and how much is there, for another image of this program.
struct sight {
    char text[16 * (SLOTS * 2 + 1)];
};

static struct sight sights(void) {
    struct sight sight = {""};
    char *end = sight.text;
    for (int slot = 0; slot < SLOTS; slot++)
        for (int direction = 0; direction <= is_socket(&world.streams[slot]); direction++) {
            struct side side = side_of(slot, direction);
            if (side.stream->kind != KIND_TCP)
                end += sprintf(end, "%d %llu ", side.in, (unsigned long long)filled(side.lane));
        }
    return sight;
}

// What that image does.
static void look_at(char *sights) {
    for (char *at = sights; *at;) {
        int fd = (int)strtol(at, &at, 10);
        uint64_t there = strtoull(at, &at, 10), found = look(fd);
        if (there != found)
            die("descriptor %d: %llu bytes instead of %llu", fd, (unsigned long long)found, (unsigned long long)there);
        at += *at == ' ';
    }
    exit(0);
}

static void op_seen_by_image(void) {
    op_turns();
    struct sight sight = sights();
    char *arguments[] = {"random_streams", "--look", sight.text, NULL};
    pid_t child;
    if (one_in(2)) {
        require(!posix_spawn(&child, options.program, NULL, NULL, arguments, environ));
    } else {
        child = start_child();
        if (child == 0)
            execv(options.program, arguments);
    }
    compute();
    await(child);
}

// A program that inherits a stream and goes on where its parent stopped.
static void op_continued(void) {
    struct side side = any_side();
    struct name name;
    posix_spawn_file_actions_t actions;
    pid_t child;
    unsigned records = (unsigned)below(30);
    size_t record = 1 + below(200), size = 1 + below(one_in(4) ? 8000 : 300);
    if (records * record + size > room(side.stream, side.lane, records + 4))
        return;
    snprintf(name.text, sizeof name.text, "part.%d", me.number);
    int fd = open(name.text, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    fill(side.lane->id, side.lane->written + records * record, data, size);
    require(fd >= 0 && write(fd, data, size) == (ssize_t)size && !close(fd));
    char *arguments[] = {"cat", name.text, NULL};
    require(!posix_spawn_file_actions_init(&actions));
    require(!posix_spawn_file_actions_adddup2(&actions, side.out, STDOUT_FILENO));
    for (; records; records--)
        put(side.lane, side.out, any_way(side.stream), record);
    require(!posix_spawnp(&child, "cat", &actions, NULL, arguments, environ));
    require(!posix_spawn_file_actions_destroy(&actions));
    compute();
    await(child);
    has_written(side.lane, size);
    require(!unlink(name.text));
    burst_side(side, (unsigned)below(20));
    check_there(side.stream, side.lane, side.in);
}

static __attribute__((noinline)) pid_t vfork_and_write(int fd, const char *at, size_t size) {
    pid_t child = vfork();
    if (child == 0)
        _exit(write(fd, at, size) != (ssize_t)size);
    return child;
}

static void op_vforked(void) {
    struct side side = any_side();
    burst_side(side, (unsigned)below(20));
    size_t size = 1 + below(300);
    if (size > room(side.stream, side.lane, 1))
        return;
    fill(side.lane->id, side.lane->written, data, size);
    pid_t child = vfork_and_write(side.out, data, size);
    require(child > 0);
    has_written(side.lane, size);
    burst_side(side, (unsigned)below(20));
    await(child);
    check_there(side.stream, side.lane, side.in);
}

// Through another program, and back.
static void op_piped(void) {
    struct stream to, from;
    struct ends into = any_own_stream(&to), out_of = own_stream(&from, (enum kind)below(KIND_TCP));
    posix_spawn_file_actions_t actions;
    char *arguments[] = {"cat", NULL};
    pid_t child;
    from.lanes[0].id = to.lanes[0].id;
    require(!posix_spawn_file_actions_init(&actions));
    require(!posix_spawn_file_actions_adddup2(&actions, into.in, STDIN_FILENO));
    require(!posix_spawn_file_actions_adddup2(&actions, out_of.out, STDOUT_FILENO));
    int ends[] = {into.in, into.out, out_of.in, out_of.out};
    for (size_t i = 0; i < COUNT_OF(ends); i++)
        require(ends[i] <= 2 || !posix_spawn_file_actions_addclose(&actions, ends[i]));
    require(!posix_spawnp(&child, "cat", &actions, NULL, arguments, environ));
    require(!posix_spawn_file_actions_destroy(&actions));
    close_end(&into.in);
    close_end(&out_of.out);
    for (unsigned times = 1 + (unsigned)below(4); times; times--) { // no more than what is read at once
        burst(&to, to.lanes, into.out, 1 + (unsigned)below(40));
        from.lanes[0].written = to.lanes[0].written;
        for (struct lane *lane = from.lanes; filled(lane);) {
            ssize_t got = read(out_of.in, data, 1 + filled(lane));
            require(got > 0);
            has_taken(lane, data, (size_t)got);
        }
        to.lanes[0].taken = to.lanes[0].written;
    }
    close_end(&into.out);
    check_end(from.lanes, out_of.in);
    close_end(&out_of.in);
    await(child);
}

static void *exit_in_thread(void *argument) {
    (void)argument;
    exit(5);
}

// A stream and a file get so much each from a child that ends, in the ways a process can. All of it is there.
#define DEATHS(D)                                                                                                      \
    D(EXIT)                                                                                                            \
    D(STDIO)                                                                                                           \
    D(UNDERSCORE_EXIT)                                                                                                 \
    D(QUICK_EXIT) D(THREAD) D(LAST_THREAD) D(ABORT) D(KILL) D(TERM) D(SEGV) D(ALARM) D(EXEC) D(FAILED_EXEC) D(STOP)
#define DEATH_ENUM(name) DEATH_##name,
enum death { DEATHS(DEATH_ENUM) DEATH_COUNT };

__attribute__((noreturn)) static void end(enum death death) {
    pthread_t thread;
    sigset_t none;
    switch (death) {
    case DEATH_EXIT:
    case DEATH_STDIO:
        exit(3);
    case DEATH_QUICK_EXIT:
        quick_exit(6);
    case DEATH_THREAD:
        require(!pthread_create(&thread, NULL, exit_in_thread, NULL));
        pthread_join(thread, NULL);
        break;
    case DEATH_LAST_THREAD:
        pthread_exit(NULL);
    case DEATH_ABORT:
        abort();
    case DEATH_KILL:
        kill(getpid(), SIGKILL);
        break;
    case DEATH_TERM:
        raise(SIGTERM);
        break;
    case DEATH_SEGV:
        *(volatile char *)mmap(NULL, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) = 1;
        break;
    case DEATH_ALARM:
        sigemptyset(&none);
        ualarm(1000, 0);
        sigsuspend(&none);
        break;
    case DEATH_EXEC:
        execlp("true", "true", NULL);
        break;
    case DEATH_FAILED_EXEC:
        execl("missing", "missing", NULL);
        break;
    case DEATH_STOP:
        raise(SIGSTOP);
        break;
    default:
        break;
    }
    _exit(4);
}

static void end_one(void) {
    enum death death = (enum death)below(DEATH_COUNT);
    struct side side = any_side();
    int file = any_file();
    unsigned records = 1 + (unsigned)below(30);
    size_t size = 1 + below(200);
    bool file_last = one_in(2);
    if (records * size > room(side.stream, side.lane, records))
        return;
    pid_t child = start_child();
    for (int number = 1; number < 32 && child == 0; number++)
        signal(number, SIG_DFL);
    for (unsigned i = 0; i < records; i++) {
        if (child == 0 && death == DEATH_STDIO) {
            fill(side.lane->id, side.lane->written, data, size);
            require(i || dup2(side.out, STDOUT_FILENO) == STDOUT_FILENO);
            require(fwrite(data, 1, size, stdout) == size);
        } else if (child == 0) {
            if (!file_last)
                put_in_file(file, size);
            put(side.lane, side.out, any_way(side.stream), size);
            if (file_last)
                put_in_file(file, size);
            continue;
        }
        has_written(side.lane, size);
        world.sizes[file] += death == DEATH_STDIO ? 0 : size;
    }
    if (child == 0)
        end(death);
    int status = 0;
    if (death == DEATH_STOP) {
        require(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
        check_there(side.stream, side.lane, side.in);
        check_size(file);
        require(!kill(child, SIGCONT));
    }
    await(child);
    check_there(side.stream, side.lane, side.in);
    check_size(file);
}

static void op_ended(void) {
    for (unsigned children = 1 + (unsigned)below(3); children; children--)
        end_one();
}

// The next image of this process goes on with the next turn.
static void exec_self(void) {
    char numbers[SLOTS * 2 * 8] = "", generations[SLOTS * 12] = "", counts[32], families[16], seed[24], ops[16];
    for (int i = 0; i < SLOTS; i++) {
        sprintf(numbers + strlen(numbers), "%d %d ", me.ends[i].in, me.ends[i].out);
        sprintf(generations + strlen(generations), "%u ", me.generations[i]);
    }
    for (int i = 0; i < FILES; i++)
        if (me.files[i] >= 0)
            require(!close(me.files[i]));
    me.mute = true; // the log is written
    op_turns();
    save_world();
    sprintf(counts, "%d %d %u", me.number, world.step, me.streams);
    sprintf(families, "%u", options.families);
    sprintf(seed, "%llu", (unsigned long long)options.seed);
    sprintf(ops, "%d", options.ops);
    execl(options.program, options.program, "--keep", options.kept, "--family-bits", families, "--resume", counts,
          numbers, generations, seed, ops, ".", NULL);
    die("execl");
}
