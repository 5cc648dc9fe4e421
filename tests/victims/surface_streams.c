// surface_streams: descriptor numbers that go from hand to hand through stdio, while something is pending under them:
// nothing that was written to one file may get into another.

#include "transcript.h"

#include <sys/stat.h>
#include <sys/wait.h>

static int serial;

static const char *next_name(void) {
    static char name[20];
    snprintf(name, sizeof name, "file%03d", serial++);
    return name;
}

static void fill(FILE *stream, const char *text) {
    for (int i = 0; i < 40; i++)
        require(fprintf(stream, "%s %d in %d\n", text, i, serial) > 0 && (i % 4 || fflush(stream) == 0));
}

static void fill_fd(int fd, const char *text) {
    char line[64];
    for (int i = 0; i < 40; i++) {
        int length = snprintf(line, sizeof line, "%s %d in %d\n", text, i, serial);
        require(write(fd, line, (size_t)length) == length);
    }
}

static void opened_and_closed(void) {
    for (int i = 0; i < 20; i++) {
        FILE *stream = fopen(next_name(), i % 2 ? "w" : "a");
        require(stream);
        int number = fileno(stream);
        fill(stream, "a stream");
        fill_fd(number, "under the stream");
        fprintf(stream, "left in the buffer\n");
        TRY(fclose(stream));
        int fd = open(next_name(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        note("the same number: %d\n", fd == number);
        fill_fd(fd, "a descriptor");
        stream = fdopen(fd, "a");
        fill(stream, "and a stream");
        TRY(fclose(stream));
    }
}

static void closed_underneath(void) {
    for (int i = 0; i < 10; i++) {
        FILE *stream = fopen(next_name(), "w");
        int number = fileno(stream);
        fill(stream, "before");
        fprintf(stream, "left in the buffer, for whoever gets the number\n");
        TRY(close(number));
        int fd = open(next_name(), O_WRONLY | O_CREAT, 0600);
        require(fd == number);
        fill_fd(fd, "somebody else");
        TRY(fflush(stream));
        fill_fd(fd, "somebody else again");
        TRY(fclose(stream));
        errno = 0;
        TRY(write(fd, "nobody", 6));
    }
}

static void reopened(void) {
    FILE *stream = fopen(next_name(), "w");
    for (int i = 0; i < 20; i++) {
        fill(stream, "reopened");
        fprintf(stream, "left in the buffer\n");
        stream = freopen(next_name(), i % 3 ? "w" : "a+", stream);
        require(stream);
        note("number %d at %ld\n", fileno(stream), ftell(stream));
    }
    fill(stream, "at last");
    // Of the other's mode, and to nowhere.
    note("freopen %d\n", freopen(NULL, "r", stream) != NULL);
    note("getc %d\n", getc(stream));
    note("freopen %d\n", freopen("not/there", "w", stream) != NULL);
    int fd = open(next_name(), O_WRONLY | O_CREAT, 0600);
    fill_fd(fd, "after the failure");
    TRY(close(fd));
}

static void piped(void) {
    for (int i = 0; i < 5; i++) {
        char command[100];
        snprintf(command, sizeof command, "cat >%s", next_name());
        FILE *pipe = popen(command, "w");
        FILE *stream = fopen(next_name(), "w");
        fill(stream, "beside the pipe");
        fill(pipe, "to a pipe");
        TRY(pclose(pipe));
        int fd = open(next_name(), O_WRONLY | O_CREAT, 0600);
        fill_fd(fd, "after the pipe");
        fill(stream, "beside it still");
        TRY(close(fd));
        TRY(fclose(stream));
    }
}

static void temporary(void) {
    for (int i = 0; i < 5; i++) {
        char name[] = "madeXXXXXX";
        FILE *stream = tmpfile();
        int number = fileno(stream);
        fill(stream, "temporary");
        rewind(stream);
        int lines = 0;
        for (int c; (c = getc(stream)) != EOF;)
            lines += c == '\n';
        note("%d lines\n", lines);
        TRY(fclose(stream));
        int fd = mkstemp(name);
        require(fd == number);
        fill_fd(fd, "made");
        struct stat status;
        require(fstat(fd, &status) == 0);
        note("size %lld\n", (long long)status.st_size);
        require(rename(name, next_name()) == 0);
        TRY(close(fd));
    }
}

static void duplicated(void) {
    for (int i = 0; i < 10; i++) {
        FILE *stream = fopen(next_name(), "w");
        int number = fileno(stream), fd = open(next_name(), O_WRONLY | O_CREAT, 0600);
        fill(stream, "before");
        fprintf(stream, "left in the buffer\n");
        require(dup2(fd, number) == number); // from now on the stream writes to the other file
        fill_fd(fd, "the other");
        fill(stream, "redirected");
        TRY(close(fd));
        int again = open(next_name(), O_WRONLY | O_CREAT, 0600);
        note("the same number: %d\n", again == fd);
        fill_fd(again, "a third");
        TRY(fclose(stream));
        TRY(close(again));
    }
}

int main(void) {
    int fd = open_busy("busy", O_WRONLY);
    opened_and_closed();
    closed_underneath();
    reopened();
    piped();
    temporary();
    duplicated();
    TRY(close(fd));
    print_transcript();
    return 0;
}
