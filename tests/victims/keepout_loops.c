// keepout_loops KIND TURNS: loops of small writes that something else interrupts all the time, so that deferring them
// never pays; and loops that hardly write at all.

#include "common.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char line[] = "a line of the log, as long as such are\n";
enum { LINE = sizeof line - 1, FILES = 64 };

static int open_file(const char *name, int flags) {
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | flags, 0600);
    require(fd >= 0);
    return fd;
}

static void write_line(int fd) {
    require(write(fd, line, LINE) == LINE);
}

// Somebody outside is told after every second line.
static void messages(long turns, const int ends[2]) {
    int fd = open_file("file", 0);
    char byte = 'x';
    for (long i = 0; i < turns; i++) {
        write_line(fd);
        write_line(fd);
        require(write(ends[1], &byte, 1) == 1 && read(ends[0], &byte, 1) == 1);
    }
}

// So many lines, and then it is looked whether they are there.
static void looked_at(long turns, int lines) {
    int fd = open_file("file", 0);
    struct stat st;
    for (long i = 1; i <= turns; i++) {
        for (int j = 0; j < lines; j++)
            write_line(fd);
        require(stat("file", &st) == 0 && st.st_size == i * lines * LINE);
    }
}

static void synced(long turns) {
    int fd = open_file("file", 0), journal = open_file("journal", 0);
    for (long i = 0; i < turns; i++) {
        write_line(journal);
        write_line(journal);
        require(fdatasync(journal) == 0 && pwrite(fd, line, LINE, i % 100 * LINE) == LINE && fdatasync(fd) == 0);
        require(ftruncate(journal, 0) == 0);
    }
}

static void renamed(long turns) {
    for (long i = 0; i < turns; i++) {
        int fd = open_file("file.new", 0);
        write_line(fd);
        write_line(fd);
        require(close(fd) == 0 && rename("file.new", "file") == 0);
    }
}

static void in_turns(long turns) {
    int fd[FILES];
    char name[32];
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "file.%d", i);
        fd[i] = open_file(name, 0);
    }
    for (long i = 0; i < turns; i++)
        write_line(fd[i % FILES]);
}

static long faults(void) {
    struct rusage self, children;
    require(getrusage(RUSAGE_SELF, &self) == 0 && getrusage(RUSAGE_CHILDREN, &children) == 0);
    return self.ru_minflt + children.ru_minflt;
}

// A directory has as many links as directories are in it, and two.
static long threads(void) {
    struct stat st;
    require(stat("/proc/self/task", &st) == 0);
    return (long)st.st_nlink - 2;
}

// Children that do nothing, each waited for. Says how many pages were touched for each, and how many threads there are.
static void children(long turns) {
    long before = faults();
    for (long i = 0; i < turns; i++) {
        pid_t child = fork();
        require(child >= 0);
        if (child == 0)
            _exit(0);
        require(waitpid(child, NULL, 0) == child);
    }
    printf("%ld %ld\n", (faults() - before) / turns, threads());
}

static void many_lines(int fd) {
    for (int i = 0; i < 1000; i++)
        write_line(fd);
}

// Each child writes a line into its parent's file.
static void writing_children(long turns) {
    int fd = open_file("file", O_APPEND);
    for (long i = 0; i < turns; i++) {
        write_line(fd);
        pid_t child = fork();
        require(child >= 0);
        if (child == 0) {
            write_line(fd);
            _exit(0);
        }
        require(waitpid(child, NULL, 0) == child);
    }
}

// What is written, directly where that is possible, comes from a device.
static void from_device(long turns) {
    int in = open("/dev/zero", O_RDONLY), fd = open("file", O_WRONLY | O_CREAT | O_TRUNC | O_DIRECT, 0600);
    if (fd < 0)
        fd = open_file("file", 0);
    char *page = aligned_alloc(4096, 4096);
    require(in >= 0 && page);
    for (long i = 0; i < turns; i++)
        require(read(in, page, 4096) == 4096 && write(fd, page, 4096) == 4096);
}

// A record is read from a file whose position a child has as well, and written to another.
static void shared_position(long turns) {
    char record[64] = "";
    int in = open_file("records", 0), out = open_file("file", 0);
    require(ftruncate(in, 1000 * sizeof record) == 0);
    pid_t child = fork();
    require(child >= 0);
    while (child == 0)
        pause();
    for (long i = 0; i < turns; i++) {
        require(i % 1000 || lseek(in, 0, SEEK_SET) == 0);
        require(read(in, record, sizeof record) == sizeof record && write(out, record, sizeof record) == sizeof record);
    }
    require(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
}

// Records are read in an order of their own.
static void apart(long turns) {
    enum { RECORDS = 1021 };
    char record[64] = "";
    int in = open_file("records", 0);
    require(ftruncate(in, RECORDS * 4096L) == 0);
    for (long i = 0, at = 1; i < turns; i++, at = at * 7 % RECORDS)
        require(pread(in, record, sizeof record, at * 4096) == sizeof record);
}

int main(int argc, char **argv) {
    require(argc == 3);
    const char *kind = argv[1];
    long turns = atol(argv[2]);
    int ends[2];
    if (!strcmp(kind, "pipe")) {
        require(pipe(ends) == 0);
        messages(turns, ends);
    } else if (!strcmp(kind, "socket")) {
        require(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        messages(turns, ends);
    } else if (!strcmp(kind, "stat")) {
        looked_at(turns, 1);
    } else if (!strcmp(kind, "stat_of_many")) {
        looked_at(turns, 20);
    } else if (!strcmp(kind, "sync")) {
        synced(turns);
    } else if (!strcmp(kind, "rename")) {
        renamed(turns);
    } else if (!strcmp(kind, "in_turns")) {
        in_turns(turns);
    } else if (!strcmp(kind, "children")) {
        children(turns);
    } else if (!strcmp(kind, "children_after")) {
        many_lines(open_file("file", 0));
        children(turns);
    } else if (!strcmp(kind, "writing_children")) {
        writing_children(turns);
    } else if (!strcmp(kind, "from_device")) {
        from_device(turns);
    } else if (!strcmp(kind, "shared_position")) {
        shared_position(turns);
    } else if (!strcmp(kind, "apart")) {
        apart(turns);
    } else {
        return 2;
    }
    return 0;
}
