// The records of signals_torture, and whether the files hold what they must in the end.
#pragma once

#include "signals.h"

#include <stddef.h>

enum { RECORD = 48, MOST = 1 << 21, CHILD_SHARE = 97 };

// What a record says: who wrote it (main, handler, child), its number, how many records of main had been begun, and how
// many of these had been answered.
struct claim {
    char who;
    unsigned number, begun, done;
};

static unsigned char returned[MOST]; // main's records that write has answered
static volatile unsigned begun, handled;
static bool nesting;

static inline void make_record(char *record, struct claim claim) {
    char text[RECORD + 40];
    int length = snprintf(text, sizeof text, "%c %08u %08u %08u %08x", claim.who, claim.number, claim.begun, claim.done,
                          checksum(&claim.number, sizeof claim - offsetof(struct claim, number)));
    memset(text + length, '.', sizeof text - (size_t)length);
    memcpy(record, text, RECORD);
    record[RECORD - 1] = '\n';
}

static inline struct claim read_record(const char *path, const char *record) {
    struct claim claim = {0};
    char copy[RECORD + 1], again[RECORD];
    memcpy(copy, record, RECORD);
    copy[RECORD] = '\0';
    if (sscanf(copy, "%c %u %u %u", &claim.who, &claim.number, &claim.begun, &claim.done) != 4)
        die("%s: no record: %s", path, copy);
    make_record(again, claim);
    if (memcmp(again, record, RECORD) != 0)
        die("%s: a torn record: %s", path, copy);
    return claim;
}

// Main's records are all there and in order, the handlers' too, and each of these between those of main that had been
// answered and those that had not been begun.
static inline void check_stream(const char *path, bool (*of_main)(unsigned), bool (*of_handlers)(unsigned),
                                bool of_children) {
    static unsigned char found[MOST];
    char record[RECORD];
    unsigned next = 0, last = 0, lowest = 0, children = 0;
    bool any = false;
    FILE *file = fopen(path, "r");
    require(file);
    memset(found, 0, sizeof found);
    for (size_t got; (got = fread(record, 1, RECORD, file)) > 0;) {
        if (got != RECORD)
            die("%s: half a record at its end", path);
        struct claim claim = read_record(path, record);
        if (claim.who == 'm') {
            if (claim.number < next)
                die("%s: main's %u after %u", path, claim.number, next);
            if (claim.number < lowest)
                die("%s: main's %u after a handler that had seen it answered", path, claim.number);
            for (; next < claim.number; next++)
                if (of_main(next) && returned[next])
                    die("%s: main's %u is missing", path, next);
            next = claim.number + 1;
            continue;
        }
        if (next > claim.begun)
            die("%s: %c%u was written when %u were begun, and comes after %u", path, claim.who, claim.number,
                claim.begun, next - 1);
        if (!nesting && claim.done + 1 < lowest) /* one less, just before main begins the next */
            die("%s: %c%u goes back from %u to %u", path, claim.who, claim.number, lowest, claim.done);
        if (claim.done > lowest)
            lowest = claim.done;
        children += claim.who == 'c';
        if (claim.who == 'c')
            continue;
        if (claim.number >= handled || found[claim.number]++)
            die("%s: handler's %u twice", path, claim.number);
        if (!nesting && any && claim.number <= last)
            die("%s: handler's %u after %u", path, claim.number, last);
        last = claim.number;
        any = true;
    }
    fclose(file);
    for (; next < begun; next++)
        if (of_main(next) && returned[next])
            die("%s: main's %u is missing at the end", path, next);
    unsigned forked = 0;
    for (unsigned i = 0; i < handled; i++) {
        if (of_handlers(i) && !found[i])
            die("%s: handler's %u is missing", path, i);
        forked += of_children && of_handlers(i) && i % CHILD_SHARE == 0;
    }
    if (children != forked)
        die("%s: %u children's records, not %u", path, children, forked);
}

static inline void check_slots(const char *path, bool (*of_main)(unsigned), bool (*of_handlers)(unsigned)) {
    char record[RECORD];
    int fd = open(path, O_RDONLY);
    require(fd >= 0);
    for (unsigned i = 0; i < begun || i < handled; i++) {
        if (i < begun && of_main(i) && returned[i]) {
            require(pread(fd, record, RECORD, 2 * (off_t)i * RECORD) == RECORD);
            struct claim claim = read_record(path, record);
            require(claim.who == 'm' && claim.number == i);
        }
        if (i < handled && of_handlers(i)) {
            require(pread(fd, record, RECORD, (2 * (off_t)i + 1) * RECORD) == RECORD);
            struct claim claim = read_record(path, record);
            require(claim.who == 'h' && claim.number == i);
        }
    }
    close(fd);
}
