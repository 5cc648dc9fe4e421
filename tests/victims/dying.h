// What dying and dying_watch share: numbered records in four files, and how far the victim has got with them.
#pragma once

#include "common.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

enum { RECORD = 16, RECORDS = 300, THREADS = 3 };

// Each file's name; the first four are main's, the others are of one thread each.
static const char *const names[] = {"log", "table", "flushed", "unbuffered", "thread0", "thread1", "thread2"};

// How many records of each have been answered. The watcher reads it out of the victim's memory.
struct progress {
    unsigned answered[COUNT_OF(names)];
};

static inline void record_of(char *record, unsigned number) {
    char text[32];
    snprintf(text, sizeof text, "%014u", number);
    memcpy(record, text, RECORD - 1);
    record[RECORD - 1] = '\n';
}
