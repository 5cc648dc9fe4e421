// The program's table of descriptors: which numbers it gets, what /proc/self/fd shows while writes are pending, and
// that it can close everything it finds, or doesn't, and go on.

#include "transcript.h"

#include <dirent.h>
#include <sys/resource.h>

// Names only numbers and files, neither inodes nor the order of the directory.
static void note_table(const char *when) {
    char link[64], target[4096];
    note("%s:", when);
    for (int fd = 0; fd < 2048; fd++) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, target, sizeof target - 1);
        if (length < 0)
            continue;
        target[length] = '\0';
        char *base = strrchr(target, '/');
        note(" %d=%s", fd, fd <= 2 ? "standard" : base ? base + 1 : "other");
    }
    int entries = 0;
    DIR *directory = opendir("/proc/self/fd");
    require(directory);
    while (readdir(directory))
        entries++;
    closedir(directory);
    note(" and %d entries\n", entries);
}

static void scribble(int fd, const char *text) {
    for (int i = 0; i < 300; i++)
        require(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void by_close_range(void) {
    TRY(close_range(3, ~0u, 0));
}

static void by_close_range_cloexec(void) {
    TRY(close_range(3, ~0u, CLOSE_RANGE_CLOEXEC));
    TRY(close_range(3, ~0u, CLOSE_RANGE_UNSHARE));
}

static void by_closefrom(void) {
    closefrom(3);
}

static void by_loop(void) {
    int closed = 0;
    for (int fd = 3; fd < 8192; fd++)
        closed += close(fd) == 0;
    note("%d were open\n", closed);
}

static void by_directory(void) {
    DIR *directory = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(directory));)
        if (atoi(entry->d_name) > 2 && atoi(entry->d_name) != dirfd(directory))
            TRY(close(atoi(entry->d_name)));
    closedir(directory);
}

static void (*const ways[])(void) = {by_close_range, by_close_range_cloexec, by_closefrom, by_loop, by_directory};

int main(void) {
    char name[32];
    closefrom(3); // whatever the test runner left open
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        for (int j = 0; j < 5; j++) {
            snprintf(name, sizeof name, "before.%zu.%d", i, j);
            int fd = TRY(open(name, O_WRONLY | O_CREAT, 0600));
            scribble(fd, "before\n");
        }
        int high = TRY(fcntl(3, F_DUPFD, 700));
        scribble(high, "by a high number\n");
        note_table("deferring");
        scribble(high, "and again\n");
        ways[i]();
        note_table("closed");
        for (int j = 0; j < 5; j++) {
            snprintf(name, sizeof name, "after.%zu.%d", i, j);
            int fd = TRY(open(name, O_WRONLY | O_CREAT, 0600));
            scribble(fd, "after\n");
        }
        note_table("open again");
        by_loop();
    }
    print_transcript();
    return 0;
}
