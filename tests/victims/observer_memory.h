// Memory that both see. A store is no call, so while such memory exists there can be no deferring at all.
#pragma once

#include "observer.h"

#include <semaphore.h>
#include <sys/shm.h>
#include <sys/uio.h>

static volatile int *word;
static sem_t *shared_semaphore, *semaphore;

static void map_word(int fd) {
    word = MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
}

static void make_anonymous(void) {
    word = MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

static void make_shm(void) {
    char name[64];
    snprintf(name, sizeof name, "/observer.%d", getpid());
    flag_fd = MUST(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600));
    MUST(shm_unlink(name));
    MUST(ftruncate(flag_fd, 4096));
}

static void make_memfd(void) {
    flag_fd = MUST(memfd_create("observer", 0));
    MUST(ftruncate(flag_fd, 4096));
}

static void make_page(void) {
    make_flag();
    MUST(ftruncate(flag_fd, 4096));
    MUST(pwrite(flag_fd, "\0", 1, 0));
}

static void make_mapped_page(void) {
    make_page();
    map_word(flag_fd);
}

static void remove_segment(void) {
    shmctl(flag_fd, IPC_RMID, NULL);
}
static volatile int *attach(void) {
    return MUST((volatile int *)shmat(flag_fd, NULL, 0));
}

static void make_segment(void) {
    flag_fd = MUST(shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600));
    atexit(remove_segment);
}

static void make_attached(void) {
    make_segment();
    word = attach();
}

static void begin_mapped(void) {
    if (!now)
        map_word(flag_fd);
}

static void begin_protected(void) {
    if (!now)
        word = MUST(mmap(NULL, 4096, PROT_READ, MAP_SHARED, flag_fd, 0));
    MUST(mprotect((void *)word, 4096, PROT_READ | PROT_WRITE));
}

static void begin_attached(void) {
    if (!now)
        word = attach();
}

static void tell_word(void) {
    __atomic_store_n(word, (int)now + 1, __ATOMIC_RELEASE);
}
static void hear_word(void) {
    POLL_UNTIL(__atomic_load_n(word, __ATOMIC_ACQUIRE) == now + 1);
}

// A page of the sender's own that lies in a pipe: whoever has that sees what is stored there afterwards.
static int given[2];

static void make_given(void) {
    MUST(pipe(given));
    word = MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void begin_given(void) {
    struct iovec page = {(void *)word, 4096};
    if (now != 0)
        return;
    *word = 0; // so it has one of its own
    MUST(vmsplice(given[1], &page, 1, 0));
}

static int given_word(void) {
    static int copied[2];
    int value = 0;
    if (!copied[1])
        MUST(pipe(copied));
    if (tee(given[0], copied[1], sizeof value, SPLICE_F_NONBLOCK) != sizeof value)
        return 0;
    require(read(copied[0], &value, sizeof value) == sizeof value);
    return value;
}

static void hear_given(void) {
    POLL_UNTIL(given_word() == now + 1);
}

static void hear_mapped(void) {
    begin_mapped();
    hear_word();
}

static void hear_attached(void) {
    begin_attached();
    hear_word();
}

static void tell_futex(void) {
    tell_word();
    MUST(syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0));
}

static void hear_futex(void) {
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == now)
        syscall(SYS_futex, word, FUTEX_WAIT, (int)now, NULL, NULL, 0);
}

static void make_shared_semaphore(void) {
    make_anonymous();
    shared_semaphore = (sem_t *)word;
    MUST(sem_init(shared_semaphore, 1, 0));
}

static void tell_shared_semaphore(void) {
    MUST(sem_post(shared_semaphore));
}
static void hear_shared_semaphore(void) {
    MUST(sem_wait(shared_semaphore));
}

// A named semaphore is a page of shared memory, which libc maps behind the library's back.
static void make_named(void) {
    char name[64];
    snprintf(name, sizeof name, "/observer.%d", getpid());
    semaphore = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
    if (semaphore == SEM_FAILED)
        give_up("sem_open");
    MUST(sem_unlink(name));
}

static void tell_named(void) {
    MUST(sem_post(semaphore));
}
static void hear_named(void) {
    MUST(sem_wait(semaphore));
}

// The observer's own memory, written from outside.
static int mailbox;

static void tell_remote(void) {
    int value = (int)now + 1;
    struct iovec here = {&value, sizeof value}, away = {&mailbox, sizeof mailbox};
    MUST(process_vm_writev(observer, &here, 1, &away, 1, 0));
}

static void hear_remote(void) {
    POLL_UNTIL(__atomic_load_n(&mailbox, __ATOMIC_ACQUIRE) == now + 1);
}
