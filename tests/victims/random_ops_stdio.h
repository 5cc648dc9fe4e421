/* The operations of random_ops on streams of libc that end with the operation, and on the standard ones. */
#pragma once

#include "random_ops_streams.h"
#include <sys/wait.h>

/* By a stream and by a descriptor to what may be one file. */
static void op_stdio(struct worker *w, struct space *s) {
    int fd = any_fd(w, s);
    put(w, WRITE, fd, 30, 0);
    CALL(w, dprintf(fd, "%s %d", "dprintf", 12345));
    put(w, WRITE, fd, 30, 0);
    FILE *stream = fopen(any_name(w, s).text, one_in(w, 2) ? "a" : "r+");
    if (!stream)
        return;
    CALL(w, fputs("a line of stdio\n", stream));
    if (one_in(w, 2))
        CALL(w, fflush(stream));
    put(w, WRITE, fd, 30, 0);
    CALL(w, fclose(stream));
}

/* Streams that are no files. */
static void op_memory_stream(struct worker *w, struct space *s) {
    char *made = NULL, lent[3000] = "";
    size_t size = 0;
    FILE *file = one_in(w, 2) ? open_memstream(&made, &size) : fmemopen(lent, 1 + below(w, sizeof(lent)), "w+");
    require(file);
    op_write(w, s);
    put_stream(w, file, 1 + (int)below(w, 8));
    CALL_FD(w, fileno(file));
    CALL(w, fseek(file, (long)below(w, 100), SEEK_SET));
    put_stream(w, file, 1);
    CALL(w, fflush(file));
    op_write(w, s);
    CALL(w, fclose(file));
    note(w, "memory %zu %08x %08x", size, made ? checksum(made, size) : 0, checksum(lent, sizeof(lent)));
    free(made);
}

/* Read-only, by a mapping that libc makes: what is written to the file is in the stream's buffer at once. */
static void op_mapped_stream(struct worker *w, struct space *s) {
    struct name name = any_name(w, s);
    FILE *file = CALL_POINTER(w, fopen(name.text, "rm"));
    if (!file)
        return;
    int fd = CALL_FD(w, open(name.text, O_WRONLY));
    struct stat found;
    require(!fstat(fileno(file), &found));
    for (int i = 0; i < 10 && S_ISREG(found.st_mode); i++) {
        if (found.st_size > 0)
            put(w, PWRITE, fd, 1 + below(w, 300), (off_t)below(w, (uint64_t)found.st_size));
        note_data(w, CALL(w, fread(w->data, 1, 1 + below(w, 400), file)));
        if (one_in(w, 4))
            CALL(w, fseek(file, (long)below(w, (uint64_t)found.st_size + 1), SEEK_SET));
    }
    CALL(w, fclose(file));
    CALL(w, close(fd));
}

/* Not kept: libc gets lost in wide streams that seek and change direction (sourceware.org, bug 20938 and others). */
static void op_wide_stream(struct worker *w, struct space *s) {
    FILE *file = CALL_POINTER(w, fopen(any_name(w, s).text, one_in(w, 2) ? "a" : "r+"));
    wchar_t line[100];
    if (!file)
        return;
    int fd = fileno(file);
    CALL(w, fwide(file, one_in(w, 4) ? 0 : 1));
    if (one_in(w, 3)) {
        memset(line, 0, sizeof(line));
        if (CALL_POINTER(w, fgetws(line, COUNT_OF(line), file)))
            note(w, "wide %08x", checksum(line, sizeof(line)));
    } else
        for (int times = 1 + (int)below(w, 20); times; times--) {
            CALL(w, fputws(L"wide \u00fc\u4e2d\U0001f600\n", file));
            CALL(w, fwprintf(file, L"%d %ls", times, L"\u00e9"));
            CALL(w, putwc(L'\u20ac', file));
            CALL(w, fputs("narrow", file));
            if (one_in(w, 4))
                CALL(w, fflush(file));
            if (one_in(w, 4))
                put(w, WRITE, fd, 10, 0);
        }
    CALL(w, fclose(file));
}

/* Small commands that read and write what is being written here. */
static void op_command(struct worker *w, struct space *s) {
    char command[100];
    struct name a = any_name(w, s), b = any_name(w, s);
    FILE *file;
    if (!alone() && w->generation) /* another thread may have been in popen when this process was made */
        return;
    op_write(w, s);
    switch (below(w, 5)) {
    case 0:
    case 1:
        snprintf(command, sizeof(command), "exec 2>/dev/null; head -c 100000 %s; wc -c <%s", a.text, b.text);
        file = CALL_POINTER(w, popen(command, one_in(w, 2) ? "r" : "re"));
        note_data(w, CALL(w, fread(w->data, 1, DATA_SIZE, file)));
        break;
    case 2:
    case 3:
        /* It reads to the end even where the file can't be written: SIGPIPE would come at a time of its own. */
        snprintf(command, sizeof(command), "exec 2>/dev/null; cat %s%s || cat >/dev/null", one_in(w, 2) ? ">" : ">>",
                 a.text);
        file = CALL_POINTER(w, popen(command, "w"));
        for (int i = 0; i < 5; i++) {
            CALL(w, fprintf(file, "%d lines for a command\n", i));
            if (one_in(w, 4))
                CALL(w, fflush(file));
        }
        break;
    default:
        if (a.text[1] == b.text[1])
            snprintf(b.text, sizeof(b.text), "o%d", w->number);
        snprintf(command, sizeof(command), "cat %s >>%s 2>/dev/null; exit 3", a.text, b.text);
        CALL(w, system(command));
        return;
    }
    CALL(w, pclose(file));
}

/* Standard output and error, sent elsewhere now and then; what is in their buffers leaves when libc likes. */
static void op_standard(struct worker *w, struct space *s) {
    int fd = any_fd(w, s), saved;
    if (!alone())
        return;
    switch (below(w, 6)) {
    case 0:
        if (fd >= 0)
            CALL(w, dup2(fd, STDOUT_FILENO));
        break;
    case 1:
        CALL(w, fflush(stdout));
        break;
    case 2:
        saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, PRIVATE_FD);
        require(saved >= 0);
        put(w, WRITE, fd, 30, 0);
        if (dup2(fd, STDERR_FILENO) == STDERR_FILENO) {
            errno = ENOENT;
            perror("an error");
            CALL(w, fprintf(stderr, "%d %s\n", 1, "words"));
            if (one_in(w, 2))
                psignal(SIGTERM, "a signal");
        }
        require(dup2(saved, STDERR_FILENO) == STDERR_FILENO);
        close(saved);
        put(w, WRITE, fd, 30, 0);
        break;
    default:
        CALL(w, printf("%s %d\n", "standard output", fd));
        CALL(w, puts("and more of it"));
        CALL(w, putchar('.'));
        put(w, WRITE, one_in(w, 2) ? STDOUT_FILENO : fd, 20, 0);
        if (one_in(w, 2))
            put_stream(w, stdout, 3);
    }
}
