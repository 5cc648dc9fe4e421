#include "common/attention.h"

#include "base/thread.h"
#include "base/trace.h"

_Atomic uint32_t wb_pending;
_Atomic uint64_t wb_hindrances = 1ull << REASON_unready;
_Atomic uint64_t window_epoch, window_writes;
struct inode *_Atomic window_inode;
_Atomic uint64_t window_opening;
_Atomic uint64_t input_epoch, input_unsure;
_Atomic uint32_t wb_stream_pieces;

struct fd_slot *_Atomic wb_rehearsed;

void wb_rehearse(struct fd_slot *slot) {
    if (wb_rehearses(slot))
        return;
    atomic_store_explicit(&wb_rehearsed, slot, memory_order_relaxed);
    atomic_fetch_or(&wb_pending, WB_REHEARSAL);
}

void wb_rehearsal_end(void) {
    atomic_store_explicit(&wb_rehearsed, NULL, memory_order_relaxed);
    atomic_fetch_and(&wb_pending, ~(uint32_t)WB_REHEARSAL);
}

void input_counted(uint32_t flags) {
    if (flags & WB_WINDOW)
        atomic_fetch_add(&window_epoch, 1);
    if (!(flags & WB_INPUTS))
        return;
    atomic_fetch_add(&input_epoch, 1);
    /* the next ones needn't be counted before somebody asks again */
    atomic_fetch_and(&wb_pending, ~(uint32_t)WB_INPUTS);
}

/* What came while nobody counted is taken for one. */
uint64_t input_epoch_now(void) {
    if (!(atomic_load(&wb_pending) & WB_INPUTS) && !(atomic_fetch_or(&wb_pending, WB_INPUTS) & WB_INPUTS))
        atomic_fetch_add(&input_epoch, 1);
    return atomic_load(&input_epoch);
}

uint64_t input_epoch_next(uint64_t epoch) {
    if (window_exists())
        atomic_fetch_add(&window_epoch, 1);
    if (!(atomic_load(&wb_pending) & WB_INPUTS))
        return 0;
    uint64_t now = atomic_fetch_add(&input_epoch, 1) + 1;
    return epoch && now == epoch + 1 ? now : 0;
}

void writes_follow(void) {
    if (!(atomic_load(&wb_pending) & WB_FOLLOWED) && !(atomic_fetch_or(&wb_pending, WB_FOLLOWED) & WB_FOLLOWED))
        input_now_unsure();
}

void input_now_unsure(void) {
    atomic_fetch_add(&input_unsure, 1);
}

void input_epoch_rests(void) {
    atomic_fetch_and(&wb_pending, ~(uint32_t)WB_AFTERWARDS);
}

/* A vfork child's limits, filters and handlers are its own, though the memory isn't. */
void wb_hinder(enum reason reason) {
    if (thread_self()->vfork_child)
        return;
    if (!(atomic_fetch_or(&wb_hindrances, 1ull << reason) & 1ull << reason))
        trace_hindrance(stats_reason(reason), true);
}

void wb_unhinder(enum reason reason) {
    if (thread_self()->vfork_child)
        return;
    if (atomic_fetch_and(&wb_hindrances, ~(1ull << reason)) & 1ull << reason)
        trace_hindrance(stats_reason(reason), false);
}

static const uint64_t one_visit = 1ull << REASON_visiting;

void wb_visit_begins(void) {
    if (atomic_fetch_add(&wb_hindrances, one_visit) < one_visit)
        trace_hindrance(stats_reason(REASON_visiting), true);
}

void wb_visit_ends(void) {
    if (atomic_fetch_sub(&wb_hindrances, one_visit) < 2 * one_visit)
        trace_hindrance(stats_reason(REASON_visiting), false);
}

void wb_visits_forked(unsigned own) {
    atomic_fetch_and(&wb_hindrances, ~WB_VISITING);
    atomic_fetch_add(&wb_hindrances, own * one_visit);
}
