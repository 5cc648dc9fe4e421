// The operations of random_streams on regular files, by stdio, and by calls that move data without showing it.
#pragma once

#include "random_streams_data.h"
#include <sys/mman.h>
#include <sys/sendfile.h>

enum { FILE_LIMIT = 300000 };

static struct name file_name(int file, unsigned version) {
    struct name name;
    snprintf(name.text, sizeof name.text, "f%d.%u", file, version);
    return name;
}

static uint64_t file_id(int file) {
    return 50000 + (unsigned)file;
}

static int any_file(void) {
    int file = (int)below(FILES);
    if (me.files[file] < 0) {
        me.files[file] = open(file_name(file, world.versions[file]).text, O_RDWR | O_APPEND);
        require(me.files[file] >= 0);
    }
    return file;
}

static void put_in_file(int file, size_t size) {
    fill(file_id(file), world.sizes[file], data, size);
    int fd = me.files[file];
    long long written =
        one_in(2) ? CALL(write(fd, data, size)) : CALL(pwrite(fd, data, size, (off_t)world.sizes[file]));
    require(written == (long long)size);
    world.sizes[file] += size;
    memset(data, '~', size);
}

static void op_file_write(void) {
    int file = any_file();
    if (world.sizes[file] > FILE_LIMIT) {
        CALL(ftruncate(me.files[file], 0));
        world.sizes[file] = 0;
    }
    for (unsigned times = 1 + (unsigned)below(60); times; times--)
        put_in_file(file, 1 + below(300));
}

// Records to streams and files in turns: what comes later must not be there before.
static void op_mixed(void) {
    struct side side = any_side();
    int file = any_file();
    for (unsigned times = 2 + (unsigned)below(40); times; times--) {
        if (one_in(3))
            put_in_file(file, 1 + below(200));
        else
            burst_side(side, 1);
    }
}

static void check_size(int file) {
    struct stat found, by_name;
    require(!fstat(me.files[file], &found));
    require(!stat(file_name(file, world.versions[file]).text, &by_name));
    if ((uint64_t)found.st_size != world.sizes[file] || found.st_size != by_name.st_size)
        wrong("file %d: %lld bytes, by name %lld, of %llu", file, (long long)found.st_size, (long long)by_name.st_size,
              (unsigned long long)world.sizes[file]);
}

static void op_file_check(void) {
    int file = any_file();
    check_size(file);
    uint64_t at = below(world.sizes[file] + 1);
    ssize_t got = pread(me.files[file], data, 20000, (off_t)at);
    uint64_t there = world.sizes[file] - at;
    require(got == (ssize_t)(there < 20000 ? there : 20000));
    expect(file_id(file), at, data, (size_t)got);
}

static void op_file_sync(void) {
    int file = any_file();
    put_in_file(file, 10);
    burst_side(any_side(), 5);
    CALL(one_in(2) ? fsync(me.files[file]) : fdatasync(me.files[file]));
}

static void op_file_rename(void) {
    int file = any_file();
    struct name before = file_name(file, world.versions[file]), after = file_name(file, world.versions[file] + 1);
    op_mixed();
    CALL(rename(before.text, after.text));
    world.versions[file]++;
    op_mixed();
}

// By a FILE of its own, with any buffer; nothing of it is left there.
static void put_by_stdio(struct stream *stream, struct lane *lane, FILE *file, unsigned count) {
    size_t limit = one_in(4) ? 3000 : 200;
    for (; count; count--) {
        size_t size = 1 + below(limit);
        if (size + 20 > room(stream, lane, 2))
            break;
        fill(lane->id, lane->written, data, size);
        data[size] = 0;
        switch (below(6)) {
        case 0:
            CALL(fputs(data, file));
            break;
        case 1:
            CALL(fprintf(file, "%s", data));
            break;
        case 2:
            CALL(putc(data[0], file));
            size = 1;
            break;
        case 3:
            CALL(fwrite_unlocked(data, 1, size, file));
            break;
        default:
            CALL(fwrite(data, 1, size, file));
        }
        has_written(lane, size);
        lane->writes++; // a line and what comes after it
        if (one_in(10))
            CALL(fflush(file));
    }
}

static FILE *stdio_on(int fd, const char *mode, char *buffer, size_t size) {
    static const int modes[] = {_IONBF, _IOLBF, _IOFBF};
    int own = dup(fd);
    FILE *file = fdopen(own, mode);
    require(own >= 0 && file);
    if (!one_in(4))
        require(!setvbuf(file, buffer, modes[below(3)], 1 + below(size)));
    return file;
}

static void op_stdio(void) {
    char buffer[8192];
    struct side side = any_side();
    FILE *file = stdio_on(side.out, "w", buffer, sizeof buffer);
    put_by_stdio(side.stream, side.lane, file, 1 + (unsigned)below(one_in(4) ? 60 : 10));
    if (one_in(2)) {
        CALL(fflush(file));
        check_there(side.stream, side.lane, side.in);
        burst_side(side, (unsigned)below(10));
        put_by_stdio(side.stream, side.lane, file, (unsigned)below(5));
    }
    CALL(fclose(file));
    burst_side(side, (unsigned)below(10));
}

// Reads without a buffer take no more than they are asked for.
static void op_stdio_take(void) {
    struct side side = any_side();
    FILE *file = stdio_on(side.in, "r", NULL, 1);
    require(!setvbuf(file, NULL, _IONBF, 0));
    check_there(side.stream, side.lane, side.in);
    for (unsigned times = 1 + (unsigned)below(20); times && filled(side.lane); times--) {
        size_t size = 1 + below(filled(side.lane) < 300 ? filled(side.lane) : 300);
        if (one_in(3)) {
            data[0] = (char)CALL(getc(file));
            size = 1;
        } else {
            require(CALL(fread(data, 1, size, file)) == (long long)size);
        }
        has_taken(side.lane, data, size);
    }
    fclose(file);
}

// A file whose every byte is written once, as a stream may hold its pages: a part of a lane, or of whatever has that
// id.
static off_t put_in_scratch(uint64_t id, uint64_t position, size_t size) {
    off_t at = (off_t)me.scratch_size;
    fill(id, position, data, size);
    for (size_t done = 0; done < size;) {
        size_t part = 1 + below(one_in(4) ? size : 200);
        part = part < size - done ? part : size - done;
        require(pwrite(me.scratch, data + done, part, at + (off_t)done) == (ssize_t)part);
        done += part;
    }
    me.scratch_size += size;
    return at;
}

static void has_moved(struct lane *lane, size_t size, bool pages) {
    has_written(lane, size);
    lane->pieces += pages ? (unsigned)(size / 4096) + 2 : 0;
}

static size_t size_to_move(struct side side) {
    size_t free = room(side.stream, side.lane, 4), size = 1 + below(one_in(4) ? 20000 : 500);
    return free < 40000 && size + 20000 > free ? 0 : size; // pages need not be full
}

static void op_splice_in(void) {
    struct side side = any_pipe_side();
    size_t size = size_to_move(side);
    if (is_socket(side.stream) || !size)
        return;
    burst_side(side, (unsigned)below(20));
    if (!(size = size_to_move(side)))
        return;
    off_t at = put_in_scratch(side.lane->id, side.lane->written, size);
    for (size_t done = 0; done < size;) {
        ssize_t moved = splice(me.scratch, &at, side.out, NULL, size - done, one_in(2) ? SPLICE_F_MORE : 0);
        require(moved > 0);
        has_moved(side.lane, (size_t)moved, true);
        done += (size_t)moved;
    }
    burst_side(side, (unsigned)below(20));
}

static void op_sendfile(void) {
    struct side side = any_side();
    burst_side(side, (unsigned)below(20));
    size_t size = size_to_move(side);
    if (!size)
        return;
    off_t at = put_in_scratch(side.lane->id, side.lane->written, size);
    for (size_t done = 0; done < size;) {
        ssize_t moved = sendfile(side.out, me.scratch, &at, size - done);
        require(moved > 0);
        has_moved(side.lane, (size_t)moved, !is_socket(side.stream));
        done += (size_t)moved;
    }
    burst_side(side, (unsigned)below(20));
}

// Memory that the pipe may go on using, so it's left there.
static void op_vmsplice(void) {
    struct side side = any_pipe_side();
    if (is_socket(side.stream))
        return;
    burst_side(side, (unsigned)below(20));
    size_t size = size_to_move(side);
    if (!size)
        return;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(memory != MAP_FAILED);
    fill(side.lane->id, side.lane->written, memory, size);
    for (size_t done = 0; done < size;) {
        struct iovec part = {memory + done, size - done};
        ssize_t moved = vmsplice(side.out, &part, 1, 0);
        require(moved > 0);
        has_moved(side.lane, (size_t)moved, true);
        done += (size_t)moved;
    }
    burst_side(side, (unsigned)below(20));
}

// Seen in another pipe, and still there in the first.
static void op_tee(void) {
    struct side side = any_pipe_side();
    struct stream other;
    if (is_socket(side.stream))
        return;
    burst_side(side, (unsigned)below(20));
    if (!filled(side.lane))
        return;
    struct ends ends = own_stream(&other, KIND_PIPE);
    size_t size = 1 + below(filled(side.lane) < 4096 ? filled(side.lane) : 4096);
    ssize_t got = tee(side.in, ends.out, size, 0);
    require(got > 0 && (size_t)got <= size && (side.lane->pieces || (size_t)got == size));
    require(look(ends.in) == (uint64_t)got && read(ends.in, data, size) == got);
    expect(side.lane->id, side.lane->taken, data, (size_t)got);
    check_there(side.stream, side.lane, side.in);
    close_ends(&ends);
}

static void op_splice_out(void) {
    struct side side = any_pipe_side();
    if (is_socket(side.stream))
        return;
    burst_side(side, (unsigned)below(20));
    if (!filled(side.lane))
        return;
    size_t size = 1 + below(filled(side.lane) < 60000 ? filled(side.lane) : 60000);
    off_t start = (off_t)me.scratch_size, at = start;
    for (size_t done = 0; done < size;) {
        ssize_t moved = splice(side.in, NULL, me.scratch, &at, size - done, 0);
        require(moved > 0);
        done += (size_t)moved;
    }
    me.scratch_size += size;
    require(pread(me.scratch, data, size, start) == (ssize_t)size);
    has_taken(side.lane, data, size);
    check_there(side.stream, side.lane, side.in);
}

static void op_popen(void) {
    struct name name;
    uint64_t id = 70000 + below(10000);
    size_t size = 1 + below(5000), done = 0;
    char command[100];
    snprintf(name.text, sizeof name.text, "popen.%d", me.number);
    snprintf(command, sizeof command, "cat >%s", name.text);
    FILE *file = popen(command, "w");
    require(file);
    if (one_in(2))
        require(!setvbuf(file, NULL, one_in(2) ? _IONBF : _IOLBF, 0));
    fill(id, 0, data, size);
    for (; done < size; done++)
        require(putc(data[done], file) == data[done]);
    CALL(pclose(file));
    int fd = open(name.text, O_RDONLY);
    require(fd >= 0 && read(fd, data, size + 1) == (ssize_t)size && !close(fd) && !unlink(name.text));
    expect(id, 0, data, size);
}
