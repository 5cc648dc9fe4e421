/* Barriers whose arguments can't be named in a table. */
#include <fcntl.h>
#include <mqueue.h>
#include <stdarg.h>
#include <sys/sem.h>
#include <syslog.h>

#include "entry/entry.h"

extern void __syslog_chk(int priority, int flag, const char *format, ...);
extern void __vsyslog_chk(int priority, int flag, const char *format, va_list list);

EXPORT mqd_t mq_open(const char *name, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
    struct mq_attr *attributes = flags & O_CREAT ? va_arg(list, struct mq_attr *) : NULL;
    va_end(list);
    announce("mq_open");
    return REAL(mq_open)(name, flags, mode, attributes);
}

EXPORT int semctl(int id, int number, int command, ...) {
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *); /* union semun: nothing in it is larger */
    va_end(list);
    announce("semctl");
    return REAL(semctl)(id, number, command, argument);
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
