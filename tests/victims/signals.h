// What the signals_* victims share: signals, masks and dispositions as text for the transcript.
#pragma once

#include "transcript.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

enum { LAST_SIGNAL = 64 };

// Valid until eight more have been asked for.
static inline char *text_buffer(void) {
    static char buffers[8][512];
    static unsigned turn;
    char *text = buffers[turn++ % COUNT_OF(buffers)];
    *text = '\0';
    return text;
}

static inline char *add_signal(char *end, int number) {
    if (number >= SIGRTMIN)
        return end + sprintf(end, "RTMIN+%d", number - SIGRTMIN);
    return end + sprintf(end, "%s", sigabbrev_np(number) ? sigabbrev_np(number) : "?");
}

static inline const char *signal_text(int number) {
    char *text = text_buffer();
    add_signal(text, number);
    return text;
}

static inline const char *mask_text(const sigset_t *set) {
    char *text = text_buffer(), *end = text + sprintf(text, "{");
    int members = 0;
    for (int number = 1; number <= LAST_SIGNAL; number++)
        members += sigismember(set, number) == 1;
    if (members > 20)
        return sprintf(end, "%d of them}", members), text;
    for (int number = 1; number <= LAST_SIGNAL; number++)
        if (sigismember(set, number) == 1)
            end = add_signal(stpcpy(end, " "), number);
    strcpy(end, " }");
    return text;
}

static inline const char *own_mask_text(void) {
    sigset_t mask;
    require(pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0);
    return mask_text(&mask);
}

static inline sigset_t set_of(int first, int second, int third) {
    sigset_t set;
    int members[] = {first, second, third};
    sigemptyset(&set);
    for (size_t i = 0; i < COUNT_OF(members); i++)
        if (members[i])
            sigaddset(&set, members[i]);
    return set;
}

static inline const char *flags_text(unsigned long flags) {
    static const struct {
        unsigned long flag;
        const char *name;
    } names[] = {
        {SA_NOCLDSTOP, "NOCLDSTOP"}, {SA_NOCLDWAIT, "NOCLDWAIT"}, {SA_SIGINFO, "SIGINFO"},    {SA_ONSTACK, "ONSTACK"},
        {SA_RESTART, "RESTART"},     {SA_NODEFER, "NODEFER"},     {0x80000000u, "RESETHAND"}, {0x04000000, "RESTORER"},
    };
    char *text = text_buffer(), *end = text;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (flags & names[i].flag) {
            end += sprintf(end, "%s ", names[i].name);
            flags &= ~names[i].flag;
        }
    if (flags)
        sprintf(end, "and %lx ", flags);
    return text;
}

// The handlers that the victim has, for their names; anybody else's is "a stranger".
#define HANDLERS_MAX 16
static struct {
    void *handler;
    const char *name;
} handlers[HANDLERS_MAX];

#define KNOW(handler) know((void *)(handler), #handler)

static inline void know(void *handler, const char *name) {
    size_t i = 0;
    while (handlers[i].handler)
        require(++i < HANDLERS_MAX);
    handlers[i].handler = handler;
    handlers[i].name = name;
}

static inline const char *handler_text(void *handler) {
    if (handler == (void *)SIG_DFL)
        return "default";
    if (handler == (void *)SIG_IGN)
        return "ignored";
    if (handler == (void *)SIG_ERR)
        return "error";
    if (handler == (void *)2) // SIG_HOLD
        return "held";
    for (size_t i = 0; i < HANDLERS_MAX; i++)
        if (handler == handlers[i].handler)
            return handlers[i].name;
    return "a stranger";
}

// What rt_sigaction(2) takes and gives.
struct kernel_action {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

static inline void note_action(const char *call, int number, const struct sigaction *action) {
    note("%s %s: %s %s%s\n", call, signal_text(number), handler_text((void *)action->sa_sigaction),
         flags_text((unsigned)action->sa_flags), mask_text(&action->sa_mask));
}

static inline void note_raw_action(const char *call, int number, const struct kernel_action *action) {
    sigset_t mask;
    sigemptyset(&mask);
    memcpy(&mask, &action->mask, sizeof action->mask);
    note("%s %s: %s %s%s%s\n", call, signal_text(number), handler_text(action->handler), flags_text(action->flags),
         mask_text(&mask), action->flags & 0x04000000 && !action->restorer ? ", but no restorer" : "");
}

// By libc and by the system call itself: both are the program's view.
static inline void look_at(int number) {
    struct sigaction action;
    struct kernel_action raw = {0};
    memset(&action, 0, sizeof action);
    require(sigaction(number, NULL, &action) == 0);
    note_action("sigaction", number, &action);
    require(syscall(SYS_rt_sigaction, number, NULL, &raw, sizeof raw.mask) == 0);
    note_raw_action("rt_sigaction", number, &raw);
}

static inline void install(int number, void *handler, int flags, sigset_t mask) {
    struct sigaction action = {.sa_flags = flags, .sa_mask = mask};
    action.sa_sigaction = (void (*)(int, siginfo_t *, void *))handler;
    require(sigaction(number, &action, NULL) == 0);
}

// Something is pending from here on, if the library defers at all.
static inline void keep_busy(int fd, int writes) {
    for (int i = 0; i < writes; i++)
        require(write(fd, "some small write\n", 17) == 17);
}
