/*
 * threads_check TOTAL FILE...
 *
 * Looks whether the files hold whole records, of each writer its own from 0 on in order, and so many in all (any
 * number for 0).
 */
#include "threads.h"

int main(int argc, char **argv) {
    enum { WRITERS = 1024 };
    static uint32_t next[WRITERS];
    unsigned long total = 0, expected = argc > 2 ? strtoul(argv[1], NULL, 0) : 0;
    for (int i = 2; i < argc; i++) {
        FILE *stream = fopen(argv[i], "r");
        struct record record;
        size_t got;
        require(stream);
        while ((got = fread(&record, 1, sizeof(record), stream)) == sizeof(record)) {
            if (record.check != record_check(&record) || record.writer >= WRITERS)
                die("%s: no record after %lu of them", argv[i], total);
            if (record.number != next[record.writer])
                die("%s: writer %u: record %u where %u belongs", argv[i], record.writer, record.number,
                    next[record.writer]);
            next[record.writer]++;
            total++;
        }
        if (got)
            die("%s: half a record at its end", argv[i]);
        fclose(stream);
    }
    if (!total || (expected && total != expected))
        die("%lu records, not %lu", total, expected);
    return 0;
}
