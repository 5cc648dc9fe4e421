/* Threads that take turns: under a lock, or by an atomic alone, which nobody else sees. */
#pragma once

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

static unsigned threads = 1;
static bool spin;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint turn;

static void take_turn(unsigned number) {
    if (!spin)
        pthread_mutex_lock(&lock);
    while (spin && atomic_load_explicit(&turn, memory_order_acquire) != number)
        sched_yield();
}

static void give_turn(unsigned number) {
    if (!spin)
        pthread_mutex_unlock(&lock);
    else
        atomic_store_explicit(&turn, (number + 1) % threads, memory_order_release);
}
