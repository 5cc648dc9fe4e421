// A stream in which each byte says where it stands: whoever reads of it, and by whichever call, must get what comes
// next.
#pragma once

#include "stream_kinds.h"

#include <sys/uio.h>

struct flow {
    int in, out;
    bool socket;
    uint64_t written, taken;
};

static inline unsigned char flow_byte(uint64_t position) {
    return (unsigned char)rng_next(&position);
}

static inline size_t flow_there(const struct flow *flow) {
    return (size_t)(flow->written - flow->taken);
}

static inline void flow_write(struct flow *flow, size_t size) {
    unsigned char bytes[1024];
    require(size <= sizeof bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = flow_byte(flow->written + i);
    require(write(flow->out, bytes, size) == (ssize_t)size);
    flow->written += size;
}

// These are the bytes that come next, all that were wanted or all that there are.
static inline void flow_are_next(const struct flow *flow, const unsigned char *bytes, ssize_t got, size_t wanted) {
    size_t there = flow_there(flow);
    if (got != (ssize_t)(there < wanted ? there : wanted))
        die("%zd of %zu bytes at %llu, where %zu are", got, wanted, (unsigned long long)flow->taken, there);
    for (ssize_t i = 0; i < got; i++)
        if (bytes[i] != flow_byte(flow->taken + (uint64_t)i))
            die("byte %llu is wrong", (unsigned long long)flow->taken + (uint64_t)i);
}

static inline void flow_took(struct flow *flow, const unsigned char *bytes, ssize_t got, size_t wanted) {
    flow_are_next(flow, bytes, got, wanted);
    flow->taken += (uint64_t)got;
}

// In pieces of a size, by plain reads of any number that the stream has.
static inline void flow_read(struct flow *flow, int fd, size_t bytes, size_t size) {
    unsigned char piece[1024];
    require(size && size <= sizeof piece);
    for (size_t wanted; bytes; bytes -= wanted) {
        wanted = bytes < size ? bytes : size;
        flow_took(flow, piece, read(fd, piece, wanted), wanted);
    }
}
