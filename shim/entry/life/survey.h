/*
 * What could be gained in a program, found out without doing it (URINGSHIM=observe with URINGSHIM_SURVEY): which places
 * in the code make small writes and reads of which files and streams, how many of them would go away, and which calls
 * come in between. The rules are those of policy.h, behind/streams.h and ahead/peek.h, on a model of one log, one
 * window and one peek, and of streams that always have room. Takes a walk through the caller's stack for each call: a
 * program that is surveyed is slower.
 *
 * The report has a line for each process image, and then one for each place, with tabs between the fields; `uringshim
 * advise` reads it:
 *
 *   process  ID  NAME
 *   against  REASON                  one for each thing that stands against all of it
 *   turns    turns  sockets  calls  saved    waits that several sockets were readable after (behind/turn.h)
 *   left-out PROGRAM  count          started without the library, for it can't gain (base/one_shots.def)
 *   write    FILE  PLACE  calls  bytes  saved  large  slow  no-file  CALL  count  REASON  count
 *   read     …                      CALL: which cut short most batches, windows or peeks, and how many
 *
 * REASON: what stands against it, of base/reasons.def, or in words what keeps a stream from being peeked at; of one
 * that is read, slow counts the reads that found too little in it.
 *
 * What has no path stands there in the place of FILE as what it is, "pipe (descriptor 1)"; FIFOs as "FIFO PATH".
 * no-file: neither a file nor a stream.
 */
#ifndef URINGSHIM_ENTRY_LIFE_SURVEY_H
#define URINGSHIM_ENTRY_LIFE_SURVEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern bool survey_wanted;

/* Once, by the constructor. */
void survey_start(void);

/* A write or a read is about to be made; a negative offset is the file position. Any thread. */
void survey_write(const char *call, int fd, size_t n, int64_t offset);
void survey_read(const char *call, int fd, size_t n, int64_t offset);
/* A wait for several descriptors has said that so many are readable. */
void survey_wait(int ready);
/* Any other call, and one that only touches the file of one descriptor. */
void survey_call(const char *call);
void survey_touch(const char *call, int fd);

/* In the child of a fork: the parent reports what was before. */
void survey_forked(void);

/* Appends the report, and begins anew. */
void survey_report(const char *program);

#endif
