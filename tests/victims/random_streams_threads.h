// The operations of random_streams with threads, which take turns: each tells the other in a way of its own.
#pragma once

#include "random_streams_signals.h"
#include <linux/futex.h>
#include <semaphore.h>
#include <stdatomic.h>

static struct {
    enum { MUTEX, SEMAPHORE, BARRIER, FUTEX, ATOMIC, BY_PIPE, BY_EVENT, HANDOFFS } way;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    sem_t semaphores[2];
    pthread_barrier_t barrier;
    atomic_int turn;
    struct ends channels[2];
    struct side side; // of this stream and this direction
    int rounds;
} handoff = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static void hand_over(int to) {
    uint64_t one = 1;
    switch (handoff.way) {
    case MUTEX:
        pthread_mutex_lock(&handoff.lock);
        handoff.turn = to;
        pthread_cond_signal(&handoff.moved);
        pthread_mutex_unlock(&handoff.lock);
        break;
    case SEMAPHORE:
        require(!sem_post(&handoff.semaphores[to]));
        break;
    case BARRIER:
        pthread_barrier_wait(&handoff.barrier);
        break;
    case FUTEX:
        atomic_store(&handoff.turn, to);
        syscall(SYS_futex, &handoff.turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
        break;
    case ATOMIC:
        atomic_store(&handoff.turn, to);
        break;
    default:
        require(write(handoff.channels[to].out, &one, sizeof one) == sizeof one);
    }
}

static void await_turn(int of) {
    uint64_t content;
    switch (handoff.way) {
    case MUTEX:
        pthread_mutex_lock(&handoff.lock);
        while (handoff.turn != of)
            pthread_cond_wait(&handoff.moved, &handoff.lock);
        pthread_mutex_unlock(&handoff.lock);
        break;
    case SEMAPHORE:
        while (sem_wait(&handoff.semaphores[of]))
            require(errno == EINTR);
        break;
    case BARRIER:
        pthread_barrier_wait(&handoff.barrier);
        break;
    case FUTEX:
        while (atomic_load(&handoff.turn) != of)
            syscall(SYS_futex, &handoff.turn, FUTEX_WAIT_PRIVATE, !of, NULL, NULL, 0);
        break;
    case ATOMIC:
        while (atomic_load(&handoff.turn) != of)
            sched_yield();
        break;
    default:
        require(read(handoff.channels[of].in, &content, sizeof content) == sizeof content);
    }
}

static void thread_turn(void) {
    struct side side = handoff.side;
    if (one_in(2))
        take_all(side.stream, side.lane, side.in);
    else
        check_there(side.stream, side.lane, side.in);
    burst_side(side, 1 + (unsigned)below(20));
    if (one_in(3))
        op_mixed();
}

static void *take_turns(void *argument) {
    int number = argument != NULL;
    for (int i = 0; i < handoff.rounds; i++) {
        if (i || number)
            await_turn(number);
        thread_turn();
        if (number == 0 || i < handoff.rounds - 1)
            hand_over(!number);
    }
    return NULL;
}

static void op_threads(void) {
    pthread_t threads[2];
    handoff.way = below(HANDOFFS);
    handoff.side = any_side();
    handoff.rounds = 1 + (int)below(8);
    handoff.turn = 0;
    for (int i = 0; i < 2; i++) {
        int pair[2];
        require(!sem_init(&handoff.semaphores[i], 0, 0));
        if (handoff.way == BY_EVENT)
            handoff.channels[i].out = dup(handoff.channels[i].in = eventfd(0, 0));
        else if (handoff.way == BY_PIPE && !pipe(pair))
            handoff.channels[i] = (struct ends){pair[0], pair[1]};
        else
            handoff.channels[i] = (struct ends){-1, -1};
    }
    require(!pthread_barrier_init(&handoff.barrier, NULL, 2));
    bool both = one_in(2);
    burst_side(any_side(), (unsigned)below(20));
    if (both)
        require(!pthread_create(&threads[0], NULL, take_turns, NULL));
    require(!pthread_create(&threads[1], NULL, take_turns, &handoff));
    if (both)
        pthread_join(threads[0], NULL);
    else
        take_turns(NULL);
    pthread_join(threads[1], NULL);
    op_look();
    for (int i = 0; i < 2; i++) {
        sem_destroy(&handoff.semaphores[i]);
        close_ends(&handoff.channels[i]);
    }
    pthread_barrier_destroy(&handoff.barrier);
}

// A thread that writes more than a stream holds, while another reads: neither may wait for what only the other can do.
struct writer {
    uint64_t rng, id, total, limit;
    int fd;
};

static void *write_in_thread(void *argument) {
    struct writer *writer = argument;
    char part[5000];
    for (uint64_t written = 0; written < writer->total;) {
        uint64_t size = 1 + rng_below(&writer->rng, writer->limit), left = writer->total - written;
        size = size < left ? size : left;
        fill(writer->id, written, part, size);
        require(write(writer->fd, part, size) == (ssize_t)size);
        written += size;
    }
    require(!close(writer->fd));
    return NULL;
}

static void op_thread_race(void) {
    struct stream stream;
    struct ends ends = any_own_stream(&stream);
    struct lane *lane = stream.lanes;
    struct writer writer = {rng_next(&me.rng), lane->id, 1 + below(200000), one_in(4) ? 5000 : 200, ends.out};
    uint64_t rng_after = rng_next(&me.rng);
    pthread_t thread;
    require(!pthread_create(&thread, NULL, write_in_thread, &writer));
    read_slowly(&stream, lane, writer.total, ends.in);
    lane->written = writer.total;
    check_end(lane, ends.in);
    me.rng = rng_after;
    pthread_join(thread, NULL);
    close_end(&ends.in);
}
