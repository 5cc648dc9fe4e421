/* The library's own beginning and end. */
#include <elf.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/config.h"
#include "base/earlier.h"
#include "base/live.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/single.h"
#include "base/text.h"
#include "base/trace.h"
#include "base/valgrind.h"
#include "entry/data/stdio.h"
#include "entry/entry.h"
#include "entry/life/activate.h"
#include "entry/life/first_library.h"
#include "entry/life/lifecycle.h"
#include "entry/life/survey.h"
#include "entry/processes/fork.h"

static char program[256]; /* its name; argv may be written over, to change its title */

/* What the library ended up doing: for the report. */
static const char *state_name(void) {
    if (config.mode == MODE_OBSERVE)
        return "observe";
    return atomic_load(&wb_hindrances) & 1ull << REASON_disabled ? "disabled" : "on";
}

/*
 * The process is about to give up all its files, but for those that a program which replaces it inherits. What still
 * reads or writes one on a ring would hold it, and with it its locks and its file system, for some time after that.
 */
static void let_go_of_files(void) {
    window_settle(attached_self(), NULL);
    if (activated())
        wb_forget_files(attached_self());
}

void finish(const char *call, enum flush_cause cause) {
    struct thread *self = stats_wanted ? attached_self() : thread_self();
    if (!thread_free(self))
        return;
    if (window_exists())
        window_close(attached_self(), call);
    peeks_drop(self);
    turn_end(self);
    if (wb_any_pending()) {
        wb_flush_all(attached_self(), cause, WB_WAIT);
        if (cause == FLUSH_BARRIER)
            stats_barrier(call);
    }
    if (prepared_to_read())
        let_go_of_files();
    if (stats_wanted) {
        int saved = errno;
        self->stats->count[COUNT_CALLS]++;
        wb_count_polling(self);
        turn_count_polling(self);
        thread_collect_stats();
        if (survey_wanted)
            survey_report(program);
        stats_report(program, state_name());
        if (cause == FLUSH_EXIT)
            live_end();
        errno = saved;
    }
}

void finish_for_good(const char *call) {
    if (!thread_free(thread_self()))
        return;
    thread_waits_no_more(thread_self());
    wb_hinder(REASON_unready);
    peeks_drop(thread_self());
    turn_end(thread_self());
    if (wb_started())
        wb_flush_all(attached_self(), FLUSH_EXIT, WB_WAIT);
    finish(call, FLUSH_EXIT);
}

void report_before_close(const char *call, int fd) {
    if (unlikely(fd == 2 && stats_wanted) && config.stats && strcmp(config.stats, "stderr") == 0)
        finish(call, FLUSH_BARRIER);
}

void confined(const char *call) {
    thread_confined();
    if (!thread_free(thread_self()))
        return;
    wb_hinder(REASON_seccomp);
    deactivate(call);
    finish(call, FLUSH_BARRIER);
    signals_release();
    stats_wanted = survey_wanted = false;
    atomic_fetch_and(&wb_pending, ~(uint32_t)WB_WATCHED);
    log_level = LOG_NONE;
}

void end_thread(const char *call, int status) {
    finish(call, FLUSH_EXIT);
    deactivate(call);
    thread_hide();
    /*
     * With threads that libc doesn't know (clone), nothing was deferred, and there is none of ours. One that nobody has
     * seen being made isn't the first.
     */
    bool alone = single_threaded() &&
                 !(atomic_load(&wb_hindrances) & (1ull << REASON_seccomp | 1ull << REASON_disabled)) &&
                 sys(SYS_gettid) == sys(SYS_getpid);
    for (;;)
        sys(alone ? SYS_exit_group : SYS_exit, status);
}

static void flush_around_handler(void) {
    wb_rehearsal_ends();
    if (!wb_any_pending() || !thread_free(thread_self()))
        return;
    /* one that came in the midst of a wait returns to that */
    wb_flush_all(attached_self(), FLUSH_BARRIER, thread_waits(thread_self()) ? WB_DONT_WAIT : WB_WAIT);
    stats_barrier("signal handler");
}

/*
 * Other signals may be blocked while a handler runs, and after it returned or jumped away. After a fault of the
 * program's own what it wrote is in the file, whatever its handler makes of that.
 */
static void handler_begins(bool fault, bool blocks_faults) {
    thread_mask_changed(thread_self());
    thread_self()->epoch_before = 0; /* it may jump out of a write to a stream, which then has shown nothing */
    input_came();
    if (fault) {
        turn_end(thread_self());
        flush_around_handler();
    } else if (blocks_faults && wb_attention() && thread_free(thread_self())) { /* it may have come to end a wait */
        turn_try(thread_self());
        wb_flush_all(attached_self(), FLUSH_BARRIER, WB_DONT_WAIT);
    }
}

/*
 * It may have interrupted a call between our announcing it and the kernel: what the handler wrote comes before that
 * call, and the kernel's position is where the handler has read to. Or that call reads the stream that the handler has
 * looked into.
 */
static void handler_ended(void) {
    thread_mask_changed(thread_self());
    window_close(thread_self(), "signal handler");
    peeks_drop(thread_self());
    turn_end(thread_self());
    flush_around_handler();
}

/*
 * Killed where it would have waited for a stream, it has not written that, nor anything after it. But a fault of its
 * own comes after all that it wrote.
 */
static void dying(bool fault) {
    if (!(atomic_load(&wb_hindrances) & 1ull << REASON_seccomp))
        live_end();
    if (!thread_free(thread_self()))
        return;
    if (fault)
        thread_waits_no_more(thread_self());
    wb_hinder(REASON_unready);
    peeks_drop(thread_self());
    if (fault)
        turn_end(thread_self());
    else
        turn_try(thread_self());
    if (wb_started())
        wb_flush_all(attached_self(), FLUSH_EXIT, fault ? WB_WAIT : WB_DONT_WAIT);
    if (prepared_to_read())
        let_go_of_files();
}

static const struct signals_events events = {handler_begins, handler_ended, dying};

static void thread_ends(struct thread *self) {
    thread_waits_no_more(thread_self());
    window_thread_ends(self);
    turn_thread_ends(self);
    peeks_thread_ends(self);
    wb_thread_ends(self);
}

static bool has_rights_of_others(void) {
    __typeof__(&getauxval) value = LIBC(getauxval);
    return !value || value(AT_SECURE);
}

static void remember_name(const char *path) {
    const char *name = strrchr(path, '/');
    struct text text = {program, sizeof program - 1, 0};
    text_add(&text, name ? name + 1 : path);
}

/* Our variables, for valgrind: the linker tells where this file begins in memory. */
static void tell_valgrind(void) {
    extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));
    const char *file = (const char *)&__ehdr_start;
    const Elf64_Phdr *segment = (const Elf64_Phdr *)(file + __ehdr_start.e_phoff);
    for (int i = 0; i < __ehdr_start.e_phnum; i++)
        if (segment[i].p_type == PT_LOAD && segment[i].p_flags & PF_W)
            valgrind_ours(file + segment[i].p_vaddr, segment[i].p_memsz);
}

static void stay_off(void) {
    wb_hinder(REASON_disabled);
    thread_stay_off();
}

/* Until here the library is inert: calls from other libraries' constructors go straight through. */
__attribute__((constructor)) static void start(int argc, char **argv, char **envp) {
    /* libc's own idea of the name may not be there yet */
    if (valgrind_runs())
        tell_valgrind();
    remember_name(argc > 0 && argv[0] ? argv[0] : "");
    if (has_rights_of_others()) { /* variables are not to be trusted: neither the rest of them */
        stay_off();
        return;
    }
    if (first_library_is_behind_us()) {
        first_library_start_again(argv, envp);
        stay_off();
        return;
    }
    config_read(envp);
    single_start();
    if (config.mode == MODE_OFF || config_excludes(program) || !thread_start() || !forks_are_told()) {
        stay_off();
        return;
    }
    log_start();
    trace_start(program);
    stats_start();
    live_start(program);
    if (stats_wanted || config.eager == EAGER_ALL) /* none goes the quick way */
        atomic_fetch_or(&wb_pending, WB_WATCHED);
    thread_at_exit = thread_ends;
    earlier_start(argv);
    signals_start(&events);
    if (!stdio_hook()) {
        wb_hinder(REASON_stdio);
        stats_fallback("stdio", 0);
    }
    if (config.mode == MODE_OBSERVE)
        wb_hinder(REASON_observe);
    survey_start();
    if (config.no_batch)
        wb_hinder(REASON_batch_off);
    if (config.no_readahead)
        window_forbid();
    wb_unhinder(REASON_unready);
}

/* The library goes on working after this: writes go straight through. */
__attribute__((destructor)) static void stop(void) {
    finish_for_good("exit");
}
