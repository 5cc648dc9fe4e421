/*
 * Who performs: the ring or plain calls, now or in the background. Pure decisions from what was seen; the figures are
 * those of the design's measurements, and of `make bench`.
 */
#ifndef URINGSHIM_RING_ENGINE_H
#define URINGSHIM_RING_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "base/ticks.h"

struct engine_facts {
    enum config_engine engine;
    uint64_t fill_ticks;  /* from the first byte of the piece to the last */
    uint64_t flush_ticks; /* what performing the last piece took */
    uint32_t inline_for;  /* > 0: background work was late recently */
    uint32_t filled;      /* pieces filled so far: making a ring costs what a few of them may save */
    bool punted;          /* the file system isn't known to do writes inline: a kernel worker does them */
    bool polled;          /* somebody asked for a polling thread: to hand over costs nothing */
};

/* Pieces before a program counts as one that goes on writing; and where somebody asked for a polling thread. */
enum { ENGINE_STEADY = 16, ENGINE_POLLED = 4 };

/*
 * A full piece: hand it to the ring and go on (true), or perform it here? A buffered write is punted to a kernel worker
 * on most file systems, which costs 10 to 15 µs and moves the data to another core's caches: not worth it for a program
 * that does nothing but write. One that takes longer to fill a piece than it takes to perform one computes meanwhile.
 * Where the kernel does the write inline the helper thread's wake-up is all that it costs.
 */
static inline bool engine_background(const struct engine_facts *facts) {
    if (facts->engine != ENGINE_AUTO)
        return facts->engine == ENGINE_RING;
    if (facts->polled) /* but making the polling thread costs as much as some pieces do, and ending it more */
        return facts->filled >= ENGINE_POLLED;
    uint64_t cost = ticks_of_us(facts->punted ? 20 : 8);
    return facts->inline_for == 0 && facts->filled >= ENGINE_STEADY && facts->flush_ticks > cost &&
           facts->fill_ticks > facts->flush_ticks + facts->flush_ticks / 2;
}

/*
 * Writes and a sync as one chain? Each link costs a trip through a worker where writes are punted, so `auto` uses two
 * plain calls: the same latency without the worker's processor time.
 */
static inline bool engine_chains_sync(enum config_engine engine) {
    return engine == ENGINE_RING;
}

#endif
