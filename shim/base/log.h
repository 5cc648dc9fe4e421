/* The library's own account of what it does, asked for by URINGSHIM_LOG; silent otherwise. */
#ifndef URINGSHIM_BASE_LOG_H
#define URINGSHIM_BASE_LOG_H

enum log_level { LOG_NONE, LOG_INFO, LOG_DEBUG };

extern enum log_level log_level;

/* Reads config.log; one line on standard error if it is wrong. */
void log_start(void);

/* One line: what happened, and a number that belongs to it (an errno, a descriptor, a count). */
void log_line(enum log_level level, const char *what, long number);

/* The same with a text of more than that. */
struct text;
void log_text(enum log_level level, const struct text *what);

#define log_info(what, number) (log_level >= LOG_INFO ? log_line(LOG_INFO, what, number) : (void)0)
#define log_debug(what, number) (log_level >= LOG_DEBUG ? log_line(LOG_DEBUG, what, number) : (void)0)

#endif
