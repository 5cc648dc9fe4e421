// positions_streams: libc's streams read ahead themselves, and give the position back where POSIX says so ("active
// handle"): at fflush, fseek, fclose, exit. Mixed with calls on the number, and with children.

#include "positions.h"

#include <sys/wait.h>

static char room[256];

static void note_line(FILE *in) {
    char line[64];
    errno = UNTOUCHED;
    char *got = fgets(line, sizeof line, in);
    note("%s%s at %ld, kernel %ld\n", got ? line : "none", got ? "" : ".", ftell(in), (long)position(fileno(in)));
}

static void stream_run(FILE *in, int count) {
    uint32_t sum = 0;
    for (int i = 0; i < count; i++)
        sum = sum * 31 + (uint32_t)fgetc(in);
    note("%d characters, sum %08x, at %ld\n", count, sum, ftell(in));
}

static void back_and_forth(int buffering, size_t size) {
    static char buffer[4096];
    FILE *in = fopen("marks", "r");
    require(in && setvbuf(in, size ? buffer : NULL, buffering, size) == 0);
    int fd = fileno(in), twin = dup(fd);
    char *line = NULL;
    size_t length = 0;
    for (int i = 0; i < 60; i++) {
        stream_run(in, 150);
        note_line(in);
        require(ungetc('#', in) == '#');
        note_line(in);
        TRY(fseek(in, -30 + i, SEEK_CUR));
        note_line(in);
        TRY(fread(room, 3, 20, in));
        note_bytes(room, 60);
        READ(read(fd, room, 9));
        TRY(fseek(in, i * 100, SEEK_SET));
        note_line(in);
        TRY(fflush(in));
        READ(read(twin, room, 9));
        TRY(position(twin));
        TRY(getline(&line, &length, in));
        note("%s", line);
        if (i % 10 == 3) {
            TRY(fseek(in, -100, SEEK_END));
            stream_run(in, 101);
            note("end %d\n", feof(in) != 0);
            clearerr(in);
        }
        if (i % 10 == 7) {
            rewind(in);
            TRY(lseek(fd, 800, SEEK_SET));
            stream_run(in, 5);
        }
        if (i % 10 == 9)
            TRY(fseek(in, -1, SEEK_SET));
    }
    free(line);
    stream_run(in, 10);
    TRY(fclose(in));
    run(twin, 20, 3);
    TRY(position(twin));
    READ(read(fd, room, 3));
    TRY(close(twin));
}

// A child inherits the stream with what is in its buffer, and leaves a position when it ends.
static void with_children(int ending) {
    FILE *in = fopen("marks", "r");
    require(in);
    stream_run(in, 500);
    if (ending & 1)
        TRY(fflush(in));
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 300; i++)
            require(fgetc(in) != EOF);
        dprintf(1, "child: %ld, kernel %ld\n", ftell(in), (long)position(fileno(in)));
        if (ending < 2)
            _exit(0);
        if (ending < 4)
            exit(0);
        fclose(in);
        _exit(0);
    }
    require(waitpid(pid, NULL, 0) == pid);
    TRY(position(fileno(in)));
    stream_run(in, 20);
    TRY(fflush(in));
    run(fileno(in), 20, 3);
    TRY(fclose(in));
}

static void reopened(void) {
    FILE *in = fopen("marks", "r");
    require(in);
    stream_run(in, 5000);
    int twin = dup(fileno(in));
    require(freopen("marks", "r", in));
    stream_run(in, 5000);
    TRY(position(twin));
    run(twin, 20, 3);
    require(freopen(NULL, "r", in));
    stream_run(in, 5000);
    TRY(position(fileno(in)));
    TRY(fclose(in));
    in = fdopen(twin, "r");
    stream_run(in, 5000);
    TRY(lseek(twin, 5, SEEK_SET));
    stream_run(in, 5000);
    TRY(fclose(in));
    in = fopen("marks", "r+");
    for (int i = 0; i < 20; i++) {
        stream_run(in, 200);
        TRY(fseek(in, 0, SEEK_CUR));
        TRY(fputs("written", in) < 0);
        TRY(fflush(in));
        TRY(position(fileno(in)));
    }
    TRY(fclose(in));
}

static void standard(void) {
    require(freopen("marks", "r", stdin) == stdin);
    for (int i = 0; i < 10; i++) {
        char word[32];
        for (int k = 0; k < 50; k++)
            require(scanf("%31s", word) == 1);
        note("%s\n", word);
        TRY(fflush(stdin));
        TRY(system("dd bs=1 count=9 status=none | od -An -c"));
    }
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    make_marks("marks", MARKS);
    back_and_forth(_IOFBF, 4096);
    back_and_forth(_IOFBF, 100);
    back_and_forth(_IOFBF, 1000);
    back_and_forth(_IONBF, 0);
    for (int ending = 0; ending < 6; ending++)
        with_children(ending);
    reopened();
    standard();
    print_transcript();
    return 0;
}
