// What dying's ways have in common, and those that are faults.
#pragma once

#include "dying.h"
#include "machine.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

static struct progress progress;
static int log_fd, table_fd;
static FILE *flushed, *unbuffered;
static long page_size;
static int number; // what follows the colon of WAY
static char *volatile nowhere = NULL;

// The same address everywhere, so that it can be compared.
#define PLACE ((char *)0x10000000)

static void write_record(void) {
    char record[RECORD];
    record_of(record, progress.answered[0]);
    require(write(log_fd, record, RECORD) == RECORD);
    progress.answered[0]++;
    require(pwrite(table_fd, record, RECORD, (off_t)progress.answered[1] * RECORD) == RECORD);
    progress.answered[1]++;
    require(fwrite(record, RECORD, 1, flushed) == 1 && fflush(flushed) == 0);
    progress.answered[2]++;
    require(fwrite(record, RECORD, 1, unbuffered) == 1);
    progress.answered[3]++;
}

static void write_records(int records) {
    for (int i = 0; i < records; i++)
        write_record();
}

__attribute__((noreturn)) static void spin(void) {
    for (;;)
        __asm__ volatile(RELAX);
}

static char *map_place(int protection) {
    char *place =
        mmap(PLACE, 4 * (size_t)page_size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    require(place == PLACE);
    return place;
}

static char *map_nothing(void) {
    int fd = open("mapped", O_RDWR | O_CREAT | O_TRUNC, 0600);
    require(fd >= 0 && ftruncate(fd, 4 * page_size) == 0);
    char *place = mmap(PLACE, 4 * (size_t)page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 0);
    require(place == PLACE && ftruncate(fd, page_size) == 0);
    return place;
}

static void null_store(void) {
    write_records(RECORDS);
    *(volatile char *)nowhere = 1;
}

static void null_load(void) {
    write_records(RECORDS);
    nowhere = (char *)(long)*(volatile char *)(nowhere + 100);
}

static void forbidden_store(void) {
    volatile char *place = map_place(PROT_READ);
    write_records(RECORDS);
    place[5000] = 1;
}

static void forbidden_load(void) {
    volatile char *place = map_place(PROT_NONE);
    write_records(RECORDS);
    nowhere = (char *)(long)place[7];
}

static void shrunk_load(void) {
    volatile char *place = map_nothing();
    write_records(RECORDS);
    nowhere = (char *)(long)place[2 * page_size + 3];
}

static void no_address(void) {
    volatile char *nothing = (char *)0x1234567812345678;
    write_records(RECORDS);
    *nothing = 1;
}

static void wild_jump(void) {
    char *place = map_place(PROT_READ | PROT_WRITE);
    write_records(RECORDS);
    ((void (*)(void))(void *)(place + 64))();
}

static void null_jump(void) {
    write_records(RECORDS);
    ((void (*)(void))(void *)nowhere)();
}

static void division(void) {
    write_records(RECORDS);
#if defined(__x86_64__)
    __asm__ volatile("div %%ecx" : : "a"(1), "d"(0), "c"(0) : "cc");
#else
    raise(SIGFPE); // its answer is 0, and no fault
#endif
}

static void illegal(void) {
    write_records(RECORDS);
    __asm__ volatile(ILLEGAL);
}

static void breakpoint(void) {
    write_records(RECORDS);
    __asm__ volatile(BREAKPOINT);
}

static void privileged(void) {
    write_records(RECORDS);
    __asm__ volatile(PRIVILEGED);
}

static void in_memcpy(void) {
    char *place = map_place(PROT_NONE), here[100];
    write_records(RECORDS);
    memcpy(here, place, sizeof here);
    write_records(here[5]);
}

static void in_fwrite(void) {
    char *place = map_place(PROT_NONE);
    write_records(RECORDS);
    fwrite(place, 100, 1, flushed);
}

static void in_printf(void) {
    char *place = map_place(PROT_NONE);
    write_records(RECORDS);
    fprintf(flushed, "%s\n", place);
}

static void in_fread(void) {
    char *place = map_place(PROT_READ);
    FILE *source = fopen("/proc/self/exe", "r");
    require(source);
    write_records(RECORDS);
    require(fread(place, 100, 1, source) == 1);
}

static void in_strlen(void) {
    write_records(RECORDS);
    write_records((int)strlen(nowhere));
}

static int compare_badly(const void *left, const void *right) {
    (void)left, (void)right;
    write_record();
    return *(volatile char *)nowhere;
}

static void in_qsort(void) {
    int values[5] = {5, 4, 3, 2, 1};
    write_records(RECORDS);
    qsort(values, 5, sizeof *values, compare_badly);
}

static void blocked_fault(void) {
    sigset_t all;
    sigfillset(&all);
    require(sigprocmask(SIG_BLOCK, &all, NULL) == 0);
    write_records(RECORDS);
    *(volatile char *)nowhere = 1;
}

static void ignored_fault(void) {
    signal(SIGSEGV, SIG_IGN);
    write_records(RECORDS);
    *(volatile char *)nowhere = 1;
}

static void ignored_trap(void) {
    signal(SIGILL, SIG_IGN);
    signal(SIGTRAP, SIG_IGN);
    write_records(RECORDS);
    __builtin_trap();
}

static void fault_again(int signal_number) {
    (void)signal_number;
    write_records(20);
    *(volatile char *)nowhere = 1;
}

static void fault_in_handler(void) {
    signal(SIGUSR1, fault_again);
    write_records(RECORDS);
    raise(SIGUSR1);
}

static void fault_in_fault_handler(void) {
    signal(SIGSEGV, fault_again);
    write_records(RECORDS);
    *(volatile char *)nowhere = 1;
}

static void fault_twice(void) {
    struct sigaction action = {.sa_handler = fault_again, .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};
    require(sigaction(SIGSEGV, &action, NULL) == 0);
    write_records(RECORDS);
    *(volatile char *)nowhere = 1;
}

static volatile int one = 1;

__attribute__((noinline)) static int dig(volatile char *above) {
    volatile char room[4096];
    room[0] = *above;
    return one ? dig(room) + room[0] : 0;
}

static void overflow(void) {
    write_records(RECORDS);
    dig((char *)&page_size);
}

static void overflow_with_stack(void) {
    stack_t alternate = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
    require(alternate.ss_sp && sigaltstack(&alternate, NULL) == 0);
    overflow();
}

static void last_words(int signal_number) {
    write_records(20);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void overflow_with_handler(void) {
    struct sigaction action = {.sa_handler = last_words, .sa_flags = SA_ONSTACK};
    require(sigaction(SIGSEGV, &action, NULL) == 0);
    overflow_with_stack();
}
