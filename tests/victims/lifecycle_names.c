// What befalls a file while writes to it are pending: it is renamed, unlinked, replaced, linked, duplicated, stamped.

#include "transcript.h"

#include <sys/stat.h>

static void scribble(int fd, const char *text) {
    for (int i = 0; i < 200; i++)
        require(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static int open_scribbled(const char *name) {
    int fd = open(name, O_RDWR | O_CREAT, 0600);
    require(fd >= 0);
    scribble(fd, name);
    return fd;
}

static struct timespec modified(const char *name) {
    struct stat status;
    require(stat(name, &status) == 0);
    return status.st_mtim;
}

static void names(void) {
    int renamed = open_scribbled("renamed"), unlinked = open_scribbled("unlinked"),
        replaced = open_scribbled("replaced");
    require(rename("renamed", "new name") == 0 && unlink("unlinked") == 0);
    scribble(renamed, "after rename\n");
    scribble(unlinked, "after unlink\n");
    struct stat status;
    TRY(fstat(unlinked, &status));
    note("%ld bytes, %d links\n", (long)status.st_size, (int)status.st_nlink);
    int fresh = open_scribbled("unlinked");
    int other = open_scribbled("other");
    require(rename("other", "replaced") == 0);
    scribble(replaced, "into the one that has gone\n");
    scribble(other, "into the one that took its name\n");
    scribble(fresh, "fresh\n");
    require(link("unlinked", "link") == 0);
    int through_link = open("link", O_WRONLY);
    require(through_link >= 0);
    scribble(fresh, "one\n");
    require(pwrite(through_link, "by another name", 15, 50) == 15);
    scribble(fresh, "two\n");
    require(symlink("link", "symlink") == 0);
    TRY(stat("symlink", &status));
    note("%ld bytes\n", (long)status.st_size);
    require(truncate("symlink", 1234) == 0);
    scribble(fresh, "after truncate\n");
    close(renamed), close(unlinked), close(replaced), close(fresh), close(other), close(through_link);
}

// The copy shares the position; whichever goes first, nothing is lost or out of place.
static void duplicates(void) {
    int first = open_scribbled("duplicated"), second = dup(first);
    scribble(second, "through the second\n");
    scribble(first, "through the first\n");
    TRY(lseek(second, 0, SEEK_CUR));
    TRY(lseek(first, 10, SEEK_SET));
    scribble(second, "over\n");
    TRY(close(first));
    scribble(second, "the first has gone\n");
    int third = fcntl(second, F_DUPFD_CLOEXEC, 50);
    scribble(third, "through the third\n");
    TRY(close(third));
    scribble(second, "the third has gone\n");
    TRY(dup2(second, 60));
    TRY(close(second));
    scribble(60, "only 60 is left\n");
    TRY(fcntl(60, F_SETFL, O_APPEND));
    TRY(lseek(60, 0, SEEK_SET));
    scribble(60, "appended\n");
    TRY(fcntl(60, F_SETFL, 0));
    TRY(lseek(60, 0, SEEK_SET));
    scribble(60, "not appended\n");
    TRY(close(60));
}

// Twice the same inode: no write may overtake one through the other descriptor.
static void twice_open(void) {
    int one = open_scribbled("twice"), two = open("twice", O_RDWR), appending = open("twice", O_WRONLY | O_APPEND);
    require(two >= 0 && appending >= 0);
    for (int i = 0; i < 300; i++) {
        require(pwrite(one, "one", 3, i * 5) == 3 && pwrite(two, "two", 3, i * 5 + 2) == 3);
        if (i % 10 == 0)
            require(write(appending, "end\n", 4) == 4);
    }
    char piece[40] = "";
    TRY(pread(one, piece, sizeof piece - 1, 700));
    note("%s\n", piece);
    close(one), close(two), close(appending);
}

// Long enough for the clock that stamps files to go on, without any call that could be a barrier.
static void compute(void) {
    for (int64_t end = now_us() + 12000; now_us() < end;)
        ;
}

static void stamps(void) {
    const struct timespec long_ago[2] = {{1000, 111}, {2000, 222}};
    int fd = open_scribbled("stamped");
    require(futimens(fd, long_ago) == 0);
    note("stamped %ld\n", (long)modified("stamped").tv_sec);
    scribble(fd, "once more\n");
    require(utimensat(AT_FDCWD, "stamped", long_ago, 0) == 0);
    require(close(fd) == 0);
    note("stamped %ld\n", (long)modified("stamped").tv_sec);

    // Of two files, the one written to last is the younger, whichever is closed first.
    int older = open_scribbled("older"), younger = open_scribbled("younger");
    scribble(older, "older\n");
    compute();
    scribble(younger, "younger\n");
    close(younger);
    compute();
    close(older);
    struct timespec a = modified("older"), b = modified("younger");
    note("in order: %d\n", a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec <= b.tv_nsec));
    struct stat status;
    struct timespec now;
    require(stat("younger", &status) == 0 && clock_gettime(CLOCK_REALTIME, &now) == 0);
    note("not in the future: %d\n", status.st_mtime <= now.tv_sec);
}

int main(void) {
    names();
    duplicates();
    twice_open();
    stamps();
    print_transcript();
    return 0;
}
