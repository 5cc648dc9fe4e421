#include "policy/policy.h"

/* Slots keep time in units of 256 ticks: 32 bits of them go round in minutes, which only makes a gap look short. */
enum { TICKS_SHIFT = 8 };

/*
 * Counts small writes that come quickly one after another. A pause begins anew; but as long as not as many have come as
 * are needed it may be the machine's, which had something else to do, and only sets the count back a little.
 */
bool policy_warming(struct fd_slot *slot, uint64_t now, bool started) {
    uint16_t needed = started ? POLICY_WARM_FILE : POLICY_WARM_PROCESS;
    uint32_t time = (uint32_t)(now >> TICKS_SHIFT);
    uint32_t gap = time - slot->last;
    slot->last = time;
    if (gap > (POLICY_QUICK_US * TICKS_PER_US) >> TICKS_SHIFT)
        slot->quick = slot->quick < needed && slot->quick > POLICY_PAUSE ? (uint16_t)(slot->quick - POLICY_PAUSE) : 0;
    else if (slot->quick < UINT16_MAX)
        slot->quick++;
    return slot->quick < needed;
}

/* Is this file to be left alone because deferring its writes didn't pay? Exponentially longer each time. */
static bool leave_alone(struct habit *habit) {
    if (habit->paid != habit->paid_seen) {
        habit->paid_seen = habit->paid;
        habit->wasted_seen = habit->wasted;
        habit->level = 0;
    }
    if (habit->wasted - habit->wasted_seen >= POLICY_WASTED) {
        habit->wasted_seen = habit->wasted;
        habit->skip = POLICY_SKIP_MIN << habit->level;
        if (habit->level < POLICY_LEVEL_MAX)
            habit->level++;
    }
    return policy_left_alone(habit);
}

enum reason policy_write(const struct write_facts *facts, struct fd_slot *slot, struct ofd *ofd) {
    if (facts->hindrances)
        return (enum reason)__builtin_ctzll(facts->hindrances);
    if (facts->size == 0)
        return REASON_flags;
    if (facts->size >= WB_LARGE)
        return REASON_large;
    if (slot->other)
        return (enum reason)slot->other;
    if (ofd) {
        if (ofd->reason)
            return ofd->reason;
        if (ofd->inode->mapped)
            return REASON_mapped;
        if (facts->end == 0 ? ofd->far : facts->end > ofd->inode->file_system->far_offset)
            return REASON_far_offset;
    }
    if (facts->eager)
        return REASON_NONE;
    if (ofd && leave_alone(&ofd->habit))
        return REASON_unprofitable;
    if (facts->running || (ofd && ofd->habit.paid_last)) /* a pause may be the machine's */
        return REASON_NONE;
    return policy_warming(slot, facts->now, facts->started) ? REASON_warming : REASON_NONE;
}

bool policy_read(struct ofd *ofd, bool eager) {
    return eager || !leave_alone(&ofd->reading);
}

static uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* A pause of the program's counts as little; and what isn't clearly faster isn't. */
bool policy_shares_syncs(struct sync_habit *habit, uint64_t ticks) {
    if (!habit->trying) {
        habit->cost = habit->cost ? (3 * habit->cost + smaller(ticks, 2 * habit->cost)) / 4 : ticks;
        habit->trying = habit->left == 0;
        habit->left -= habit->left > 0;
    } else if (ticks < habit->cost - habit->cost / 16) {
        *habit = (struct sync_habit){.apart = !habit->apart, .cost = ticks, .left = 1, .patience = 1};
    } else {
        habit->trying = false;
        habit->left = habit->patience = (uint32_t)smaller(2 * habit->patience + 1, POLICY_PATIENCE_MAX);
    }
    return habit->apart == habit->trying;
}
