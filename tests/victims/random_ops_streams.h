/* The operations of random_ops on streams of libc that stay: any may come between two on the same one. */
#pragma once

#include "random_ops_files.h"
#include <wchar.h>

static struct stream *any_stream(struct worker *w, struct space *s) {
    struct stream *stream = &s->streams[below(w, STREAMS)];
    for (int tries = 0; !stream->file && tries < 4; tries++)
        stream = &s->streams[below(w, STREAMS)];
    return stream;
}

/* The number goes with the stream: whoever has it as well would mean another file from now on. */
static void close_stream(struct worker *w, struct space *s, struct stream *stream) {
    if (!stream->file)
        return;
    int fd = fileno(stream->file);
    CALL(w, fclose(stream->file));
    for (int i = 0; i < SLOTS && fd >= 0; i++)
        if (s->slots[i] == fd)
            s->slots[i] = -1;
    if (stream->memory)
        note(w, "memory %zu %08x", stream->memory_size, checksum(stream->memory, stream->memory_size));
    free(stream->memory);
    stream->memory = NULL;
    stream->file = NULL;
}

/* Not for streams in memory, which are their buffers. */
static void set_buffer(struct worker *w, struct stream *stream) {
    static const int kinds[] = {_IOFBF, _IOFBF, _IOLBF, _IONBF};
    static const size_t sizes[] = {1, 16, 100, 1000, 4096, sizeof(stream->buffer)};
    int kind = kinds[below(w, COUNT_OF(kinds))];
    size_t size = sizes[below(w, COUNT_OF(sizes))];
    if (fileno(stream->file) < 0)
        return;
    if (one_in(w, 8))
        return (void)CALL(w, (setlinebuf(stream->file), 0));
    CALL(w, setvbuf(stream->file, one_in(w, 4) ? NULL : stream->buffer, kind, size));
}

/* What C asks for between reading and writing; libc's own memory suffers without. */
static void turn_to(struct worker *w, struct stream *stream, enum direction direction) {
    if (stream->direction != direction && stream->direction == WRITING)
        CALL(w, fflush(stream->file));
    if (stream->direction != direction && stream->direction == READING)
        CALL(w, fseek(stream->file, 0, SEEK_CUR));
    stream->direction = direction;
}

static const char *any_mode(struct worker *w) {
    static const char *const modes[] = {"r",  "r+", "r+",  "r+", "w",   "w+", "a",       "a",
                                        "a+", "a+", "w+x", "we", "r+e", "ax", "nonsense"};
    return modes[below(w, COUNT_OF(modes))];
}

static void op_stream_open(struct worker *w, struct space *s) {
    struct stream *stream = &s->streams[below(w, STREAMS)];
    close_stream(w, s, stream);
    int fd;
    switch (below(w, 12)) {
    case 0:
        stream->file = CALL_POINTER(w, tmpfile());
        break;
    case 1:
        memset(stream->buffer, 0, sizeof(stream->buffer));
        stream->file = CALL_POINTER(w, fmemopen(stream->buffer, 1 + below(w, 4000), any_mode(w)));
        break;
    case 2:
        stream->file = CALL_POINTER(w, open_memstream(&stream->memory, &stream->memory_size));
        break;
    case 3:
    case 4:
    case 5:
        fd = any_fd(w, s);
        if (!alone() || one_in(w, 2)) /* a number of its own, or one with two owners */
            fd = fcntl(fd, F_DUPFD, 3);
        stream->file = CALL_POINTER(w, fdopen(fd, any_mode(w)));
        if (!stream->file && !alone())
            close(fd);
        break;
    default:
        stream->file = CALL_POINTER(w, fopen(any_name(w, s).text, any_mode(w)));
    }
    stream->direction = FRESH;
    if (stream->file && one_in(w, 2))
        set_buffer(w, stream);
}

/* The stream, or none if it could not be opened. */
static struct stream *open_one(struct worker *w, struct space *s) {
    struct stream *stream = any_stream(w, s);
    if (!stream->file)
        op_stream_open(w, s);
    stream = any_stream(w, s);
    return stream->file ? stream : NULL;
}

static bool synchronous(FILE *file) {
    int flags = fcntl(fileno(file), F_GETFL);
    return flags >= 0 && flags & O_DSYNC;
}

static void put_stream(struct worker *w, FILE *file, int count) {
    static const size_t limits[] = {10, 100, 100, 1000, 5000, 20000};
    size_t limit = limits[below(w, COUNT_OF(limits))];
    int how = (int)below(w, 10);
    if (how == 5 && synchronous(file)) /* libc pads 16 bytes at a time: with a small buffer each waits for the disk */
        limit = 100;
    for (; count; count--) {
        size_t size = 1 + below(w, limit);
        rng_fill(&w->rng, w->data, size);
        w->data[size] = 0;
        if (one_in(w, 2))
            w->data[below(w, size)] = '\n';
        switch (how) {
        case 0:
        case 1:
            CALL(w, fwrite(w->data, 1, size, file));
            break;
        case 2:
            CALL(w, fwrite(w->data, 1 + below(w, size), 1 + below(w, 3), file));
            break;
        case 3:
            CALL(w, fputs(w->data, file));
            break;
        case 4:
            CALL(w, fprintf(file, "%d %s %.3f\n", (int)size, "some words", (double)size / 7));
            break;
        case 5:
            CALL(w, fprintf(file, "%*d", (int)size, 42));
            break;
        case 6:
            CALL(w, putc(w->data[0], file));
            break;
        case 7:
            CALL(w, fwrite_unlocked(w->data, size, 1, file));
            break;
        case 8:
            CALL(w, fputc(w->data[0], file));
            CALL(w, fputs("a line\n", file));
            break;
        default:
            CALL(w, putw((int)size, file));
        }
    }
}

static void op_stream_write(struct worker *w, struct space *s) {
    struct stream *stream = open_one(w, s);
    if (!stream)
        return;
    turn_to(w, stream, WRITING);
    put_stream(w, stream->file, 1 + (int)below(w, one_in(w, 2) ? 5 : 60));
}

/* A line of /dev/zero would never end. */
static bool endless(FILE *file) {
    struct stat found;
    return !fstat(fileno(file), &found) && S_ISCHR(found.st_mode);
}

/* A stream that goes on for long, by characters and small pieces, and steps back a little now and then. */
static void op_stream_run(struct worker *w, struct space *s) {
    struct stream *stream = open_one(w, s);
    if (!stream)
        return;
    FILE *file = stream->file;
    uint32_t sum = 0;
    turn_to(w, stream, READING);
    for (int times = 10 + (int)below(w, 190); times; times--) {
        size_t size = 1 + below(w, 300);
        memset(w->data, '~', size);
        errno = SENTINEL;
        size_t got = one_in(w, 3) ? (size_t)getc(file) : fread(w->data, 1, size, file);
        sum = ((sum * 31 + (uint32_t)got) * 31 + (uint32_t)errno) * 31 + checksum(w->data, size);
        if (one_in(w, 40))
            sum = sum * 31 + (uint32_t)fseek(file, -(long)below(w, 500), SEEK_CUR);
        if (one_in(w, 40))
            sum = sum * 31 + (uint32_t)lseek(fileno(file), 0, SEEK_CUR);
    }
    note(w, "run %08x %ld", sum, ftell(file));
}

static void op_stream_read(struct worker *w, struct space *s) {
    struct stream *stream = open_one(w, s);
    if (!stream)
        return;
    FILE *file = stream->file;
    char *line = NULL;
    size_t room = 0, size = any_size(w);
    long long got;
    turn_to(w, stream, READING);
    for (int times = 1 + (int)below(w, 3); times; times--)
        switch (below(w, 8)) {
        case 0:
            note_data(w, CALL(w, fread(w->data, 1, size, file)));
            break;
        case 1:
            memset(w->data, 0, 300);
            if (CALL_POINTER(w, fgets(w->data, 300, file)))
                note_data(w, 300);
            break;
        case 2:
            for (int i = 0; i < 5; i++)
                CALL(w, getc(file));
            break;
        case 3:
            if (endless(file))
                break;
            got = CALL(w, getline(&line, &room, file));
            if (got > 0)
                note(w, "line %08x", checksum(line, (size_t)got));
            break;
        case 4:
        case 5: /* another character than was read is not put back: libc's memory suffers again */
            got = CALL(w, getc(file));
            if (got != EOF)
                CALL(w, ungetc((int)got, file));
            break;
        case 6:
            if (endless(file))
                break;
            got = CALL(w, getdelim(&line, &room, 'x', file));
            if (got > 0)
                note(w, "part %08x", checksum(line, (size_t)got));
            break;
        default:
            CALL(w, fscanf(file, "%*20s"));
        }
    free(line);
}

static void op_stream_seek(struct worker *w, struct space *s) {
    struct stream *stream = open_one(w, s);
    if (!stream)
        return;
    FILE *file = stream->file;
    off_t offset = (off_t)below(w, AREA);
    fpos_t position;
    switch (below(w, 8)) {
    case 0:
        CALL(w, fseek(file, offset, SEEK_SET));
        break;
    case 1:
        CALL(w, fseeko(file, offset / 100, SEEK_SET));
        break;
    case 2:
        CALL(w, fseek(file, 100 - (long)below(w, 200), SEEK_CUR));
        break;
    case 3:
        CALL(w, fseeko(file, -(off_t)below(w, 1000), SEEK_END));
        break;
    case 4:
        CALL(w, (rewind(file), 0));
        break;
    case 5:
        if (CALL(w, fgetpos(file, &position)))
            break;
        turn_to(w, stream, WRITING);
        put_stream(w, file, 3);
        CALL(w, fsetpos(file, &position));
        break;
    case 6:
        CALL(w, fseek(file, 0, 77));
        break;
    default:
        CALL(w, ftello(file));
    }
    CALL(w, ftell(file));
}

static void op_stream_state(struct worker *w, struct space *s) {
    struct stream *stream = open_one(w, s);
    if (!stream)
        return;
    FILE *file = stream->file;
    switch (below(w, 8)) {
    case 0:
    case 1:
        CALL(w, fflush(file));
        break;
    case 2:
        if (alone()) /* those of the others too */
            CALL(w, fflush(NULL));
        break;
    case 3:
    case 4:
        CALL(w, (clearerr(file), 0));
        break;
    default:
        note(w, "error %d end %d", ferror(file), feof(file));
    }
}

/* The same file by stream and by descriptor, in turns, with what both see of it. */
static void op_stream_mix(struct worker *w, struct space *s) {
    struct stream *stream = open_one(w, s);
    if (!stream)
        return;
    FILE *file = stream->file;
    int fd = fileno(file);
    if (fd < 0)
        return;
    for (int times = 1 + (int)below(w, 12); times; times--) {
        off_t offset = (off_t)below(w, AREA);
        struct stat found;
        switch (below(w, 9)) {
        case 0:
        case 1:
            turn_to(w, stream, WRITING);
            put_stream(w, file, 1 + (int)below(w, 4));
            break;
        case 2:
        case 3:
            put(w, WRITE, fd, any_size(w) % 1000, 0);
            break;
        case 4:
            put(w, (enum how)below(w, HOWS), fd, 1 + below(w, 200), offset);
            break;
        case 5:
            CALL(w, fflush(file));
            break;
        case 6:
            CALL(w, lseek(fd, one_in(w, 2) ? 0 : offset, one_in(w, 2) ? SEEK_CUR : SEEK_SET));
            break;
        case 7:
            note_data(w, CALL(w, pread(fd, w->data, 300, offset)));
            break;
        default:
            if (!CALL(w, fstat(fd, &found)) && S_ISREG(found.st_mode))
                note_stat(w, &found);
        }
    }
}

static void op_stream_dup(struct worker *w, struct space *s) {
    struct stream *stream = open_one(w, s);
    int *slot = any_slot(w, s);
    if (!stream)
        return;
    int fd = CALL_FD(w, fileno(stream->file));
    if (fd < 0)
        return;
    close_slot(w, slot);
    *slot = CALL_FD(w, dup(fd));
}

static void op_stream_close(struct worker *w, struct space *s) {
    close_stream(w, s, any_stream(w, s));
}

/* Where it fails the stream is closed. */
static void op_stream_reopen(struct worker *w, struct space *s) {
    struct stream *stream = any_stream(w, s);
    if (!stream->file || stream->memory || fileno(stream->file) < 0)
        return;
    int fd = fileno(stream->file);
    const char *name = one_in(w, 2) ? NULL : any_name(w, s).text;
    struct name kept;
    if (name) {
        kept = any_name(w, s);
        name = kept.text;
    }
    turn_to(w, stream, WRITING);
    put_stream(w, stream->file, 2);
    stream->file = CALL_POINTER(w, freopen(name, any_mode(w), stream->file));
    for (int i = 0; i < SLOTS && !stream->file; i++)
        if (s->slots[i] == fd)
            s->slots[i] = -1;
    if (stream->file)
        put_stream(w, stream->file, 2);
}
