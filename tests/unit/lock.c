// The biased lock excludes: an owner that enters by bias and others that revoke it, all adding to a plain counter.
#include "base/lock.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum { ROUNDS = 3000000, VISITS = 20000, VISITORS = 2 };

static struct biased_lock lock;
static uint64_t counter, by_bias; /* plain on purpose */
static _Atomic int busy = VISITORS;

static void *visit(void *unused) {
    struct lock_holder self = {0};
    for (int i = 0; i < VISITS; i++) {
        if (i % 4 == 0) {
            if (!biased_trylock(&lock, &self)) {
                i--;
                continue;
            }
        } else {
            biased_lock(&lock, &self);
        }
        for (int j = 0; j < 20; j++)
            counter++;
        biased_unlock(&lock);
    }
    atomic_fetch_sub(&busy, 1);
    return unused;
}

/* One thread owns two locks. Who waits for it to leave the one must hear of it though it was inside by the other. */
static struct biased_lock first, second;
static _Atomic int visitor;

static void *visit_second(void *unused) {
    struct lock_holder self = {0};
    atomic_store(&visitor, sys(SYS_gettid));
    biased_lock(&second, &self);
    biased_unlock(&second);
    return unused;
}

static void until_it_sleeps(void) {
    char path[64], state = 'R';
    while (atomic_load(&visitor) == 0)
        ;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", atomic_load(&visitor));
    while (state != 'S') {
        FILE *stat = fopen(path, "r");
        if (!stat || fscanf(stat, "%*d %*s %c", &state) != 1)
            state = 'R';
        if (stat)
            fclose(stat);
    }
}

static void own_two(struct lock_holder *self) {
    pthread_t thread;
    for (int i = 0; i < 100; i++) {
        struct biased_lock *one = i % 2 ? &first : &second;
        biased_lock(one, self);
        bias_learn(one, self);
        biased_unlock(one);
    }
    while (!bias_enter(&first, self))
        ;
    pthread_create(&thread, NULL, visit_second, NULL);
    until_it_sleeps();
    bias_leave(self);
    biased_lock(&second, self); /* which the visitor has got half */
    biased_unlock(&second);
    pthread_join(thread, NULL);
}

int main(void) {
    static struct lock_holder self;
    pthread_t visitors[VISITORS];
    if (!bias_available())
        return 0; /* nobody becomes the owner then, and the rest is a plain mutex */
    alarm(600);   /* a thread that isn't woken */
    own_two(&self);
    for (int i = 0; i < VISITORS; i++)
        pthread_create(&visitors[i], NULL, visit, NULL);
    uint64_t rounds = 0;
    for (; rounds < ROUNDS || atomic_load(&busy); rounds++) {
        if (bias_enter(&lock, &self)) {
            counter++;
            by_bias++;
            bias_leave(&self);
        } else {
            biased_lock(&lock, &self);
            bias_learn(&lock, &self);
            counter++;
            biased_unlock(&lock);
        }
    }
    for (int i = 0; i < VISITORS; i++)
        pthread_join(visitors[i], NULL);
    uint64_t wanted = rounds + (uint64_t)VISITORS * VISITS * 20;
    if (counter != wanted || by_bias == 0)
        printf("%lu, not %lu; %lu by bias\n", (unsigned long)counter, (unsigned long)wanted, (unsigned long)by_bias);
    return counter != wanted || by_bias == 0;
}
