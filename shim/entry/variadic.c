/* Barriers whose arguments can't be named in a table. */
#include <fcntl.h>
#include <mqueue.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/sem.h>
#include <syslog.h>

#include "base/libc.h"
#include "entry/entry.h"

extern void __syslog_chk(int priority, int flag, const char *format, ...);
extern void __vsyslog_chk(int priority, int flag, const char *format, va_list list);
extern int __dprintf_chk(int fd, int flag, const char *format, ...);
extern int __vdprintf_chk(int fd, int flag, const char *format, va_list list);

EXPORT mqd_t mq_open(const char *name, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
    struct mq_attr *attributes = flags & O_CREAT ? va_arg(list, struct mq_attr *) : NULL;
    va_end(list);
    announce("mq_open");
    return CALL(mq_open, (name, flags, mode, attributes));
}

EXPORT int semctl(int id, int number, int command, ...) {
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *); /* union semun: nothing in it is larger */
    va_end(list);
    announce("semctl");
    return CALL(semctl, (id, number, command, argument));
}

/* With LOG_PERROR it writes to standard error first, and then to the logger. */
EXPORT void vsyslog(int priority, const char *format, va_list list) {
    visit_begins("vsyslog");
    CALL(vsyslog, (priority, format, list));
    visit_ends();
}

EXPORT void __vsyslog_chk(int priority, int flag, const char *format, va_list list) {
    visit_begins("__vsyslog_chk");
    CALL(__vsyslog_chk, (priority, flag, format, list));
    visit_ends();
}

EXPORT void syslog(int priority, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsyslog(priority, format, list);
    va_end(list);
}

EXPORT void __syslog_chk(int priority, int flag, const char *format, ...) {
    va_list list;
    va_start(list, format);
    __vsyslog_chk(priority, flag, format, list);
    va_end(list);
}

/* Until 2.37 they made a FILE for the descriptor, and went through stdio's tables. From then on they write themselves.
 */
static void announce_print(const char *call) {
    if (libc_minor() >= 37)
        announce(call);
}

EXPORT int vdprintf(int fd, const char *format, va_list list) {
    announce_print("vdprintf");
    return CALL(vdprintf, (fd, format, list));
}

EXPORT int __vdprintf_chk(int fd, int flag, const char *format, va_list list) {
    announce_print("__vdprintf_chk");
    return CALL(__vdprintf_chk, (fd, flag, format, list));
}

EXPORT int dprintf(int fd, const char *format, ...) {
    va_list list;
    va_start(list, format);
    int result = vdprintf(fd, format, list);
    va_end(list);
    return result;
}

EXPORT int __dprintf_chk(int fd, int flag, const char *format, ...) {
    va_list list;
    va_start(list, format);
    int result = __vdprintf_chk(fd, flag, format, list);
    va_end(list);
    return result;
}
