// What streams_turns' ways to wait share: a peer in another process that answers each request, and the answer.
#pragma once

#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

enum { CANNOT = 77 };

static int requests[2], answers[2];
static int now; // the round that the asking thread is in
static atomic_int answered;
static atomic_int reading; // the round whose answer is read, counted from 1
static pid_t reader_id;

static void read_whole(int fd, void *buffer, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t length = read(fd, (char *)buffer + done, size - done);
        require(length > 0);
        done += (size_t)length;
    }
}

// In several small writes, as programs do that think of nothing.
static void send_number(int fd, int number) {
    static const char parts[] = "request or answer ";
    require(write(fd, parts, 8) == 8 && write(fd, &number, 2) == 2 && write(fd, (char *)&number + 2, 2) == 2);
}

enum { MESSAGE = 12 };

static int number_of(const char *message) {
    int number;
    memcpy(&number, message + 8, sizeof number);
    return number;
}

static int receive_number(int fd) {
    char message[MESSAGE];
    read_whole(fd, message, sizeof message);
    return number_of(message);
}

static char state_of(pid_t thread) {
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
    int fd = open(path, O_RDONLY);
    require(fd >= 0 && read(fd, text, sizeof text - 1) > 0 && !close(fd));
    return strrchr(text, ')')[2];
}

// Until the other thread is blocked in reading, so that nothing which it does can help the one that asks.
static void await_reader(void) {
    while (reading <= now)
        sched_yield();
    while (state_of(reader_id) != 'S')
        sched_yield();
}

static void ask(void) {
    send_number(requests[1], now);
}

static void take_answer(void) {
    reader_id = (pid_t)syscall(SYS_gettid);
    reading = answered + 1;
    int number = receive_number(answers[0]);
    require(number == answered);
    answered = number + 1;
}

static inline struct timespec far_away(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    time.tv_sec += HANG_SECONDS;
    return time;
}

#define FAR(clock) (&(struct timespec[1]){far_away(clock)}[0])
