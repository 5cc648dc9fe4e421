// lifecycle_exit HOW: writes and leaves by HOW; handlers and destructors go on writing.

#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fd;
static FILE *stream;

static void scribble(const char *text) {
    for (int i = 0; i < 200; i++)
        if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
            abort();
}

static void first_handler(void) {
    scribble("first handler\n");
}

static void second_handler(void) {
    scribble("second handler\n");
}

static void handler_with_status(int status, void *text) {
    scribble(status ? text : "no status\n");
}

__attribute__((destructor)) static void destructor(void) {
    if (fd)
        scribble("destructor\n");
}

__attribute__((destructor(101))) static void last_destructor(void) {
    if (fd)
        scribble("last destructor\n");
    int late = open("late", O_WRONLY | O_CREAT, 0600);
    for (int i = 0; i < 200; i++)
        if (write(late, "opened late\n", 12) != 12)
            abort();
}

static void *write_on(void *main_thread) {
    pthread_join(*(pthread_t *)main_thread, NULL);
    scribble("after main has gone\n");
    return NULL;
}

static void on_signal(int number) {
    (void)number;
    _exit(9);
}

int main(int argc, char **argv) {
    require(argc == 2);
    const char *how = argv[1];
    fd = open("log", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    stream = fopen("stream", "w");
    require(fd > 0 && stream);
    atexit(first_handler);
    at_quick_exit(second_handler);
    on_exit(handler_with_status, "a status\n");
    atexit(second_handler);
    scribble("main\n");
    for (int i = 0; i < 100; i++)
        fprintf(stream, "left in the buffer %d\n", i);
    if (!strcmp(how, "exit"))
        exit(4);
    if (!strcmp(how, "_exit"))
        _exit(4);
    if (!strcmp(how, "quick_exit"))
        quick_exit(4);
    if (!strcmp(how, "exit_group"))
        syscall(SYS_exit_group, 4);
    if (!strcmp(how, "abort") || !strcmp(how, "raise") || !strcmp(how, "handled")) {
        signal(SIGTERM, !strcmp(how, "handled") ? on_signal : SIG_DFL);
        !strcmp(how, "abort") ? abort() : (void)raise(SIGTERM);
    }
    if (!strcmp(how, "pthread_exit")) {
        static pthread_t self;
        pthread_t thread;
        self = pthread_self();
        require(pthread_create(&thread, NULL, write_on, &self) == 0);
        pthread_exit(NULL);
    }
    return 4;
}
