#include "policy/policy.h"

/* Slots keep time in units of 256 ticks: 32 bits of them go round in minutes, which only makes a gap look short. */
enum { TICKS_SHIFT = 8 };

/*
 * Deferred, the writes since the last interruption would have become one. If that is worth nothing, or too little for
 * too long, the number is left alone for a while, longer each time. (Before the first only a part of them was seen.)
 */
static void interrupt(struct fd_slot *slot) {
    slot->interruptions++;
    if (slot->quick > POLICY_WORTH && slot->interruptions < POLICY_INTERRUPTED) {
        slot->quick -= POLICY_WORTH;
        return;
    }
    slot->quick = 0;
    if (slot->interruptions == 1)
        return;
    slot->interruptions = 0;
    slot->rehearsals += slot->rehearsals < POLICY_REHEARSALS;
    slot->skip = (uint16_t)(POLICY_FRESH << slot->rehearsals);
}

/*
 * Counts small writes that come quickly one after another, and that not all too much interrupts. A pause begins anew;
 * but as long as not as many have come as are needed it may be the machine's, which had something else to do, and only
 * sets the count back a little.
 */
bool policy_warming(struct fd_slot *slot, uint64_t now, bool started, bool interrupted) {
    uint16_t needed = started ? POLICY_WARM_FILE : POLICY_WARM_PROCESS;
    uint32_t time = (uint32_t)(now >> TICKS_SHIFT);
    uint32_t gap = time - slot->last;
    slot->last = time;
    if (gap > ticks_of_us(POLICY_QUICK_US) >> TICKS_SHIFT) {
        slot->quick = slot->quick < needed && slot->quick > POLICY_PAUSE ? (uint8_t)(slot->quick - POLICY_PAUSE) : 0;
        return true;
    }
    if (interrupted && policy_rehearses(slot))
        interrupt(slot);
    if (slot->skip)
        return true;
    slot->quick += slot->quick < UINT8_MAX;
    if (slot->quick < needed)
        return true;
    slot->rehearsals = 1;
    slot->interruptions = 0;
    return false;
}

/* Was there a pause before this write? As policy_warming, it keeps the time. */
static bool pauses(struct fd_slot *slot, uint64_t now) {
    uint32_t time = (uint32_t)(now >> TICKS_SHIFT), gap = time - slot->last;
    slot->last = time;
    return gap > ticks_of_us(POLICY_QUICK_US) >> TICKS_SHIFT;
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
    if (policy_large(facts->stream, facts->size, facts->eager))
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
    if (ofd && leave_alone(&ofd->habit)) {
        slot->quick = 0;
        return REASON_unprofitable;
    }
    if (facts->stream && !facts->running && pauses(slot, facts->now))
        return REASON_warming;
    if (facts->running || (ofd && ofd->habit.paid_last)) /* a pause may be the machine's */
        return REASON_NONE;
    if (!policy_skips(slot, facts->started) && !policy_warming(slot, facts->now, facts->started, facts->interrupted))
        return REASON_NONE;
    return slot->skip && slot->rehearsals > 1 ? REASON_unprofitable : REASON_warming;
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
        habit->left = habit->patience = (uint32_t)smaller(4 * habit->patience + 3, POLICY_PATIENCE_MAX);
    }
    return habit->apart == habit->trying;
}

bool policy_turn(struct turn_habit *habit, unsigned ready, bool eager) {
    if (eager)
        return true;
    if (ready < POLICY_TURN_LEAST)
        return false;
    habit->waits++;
    habit->events += ready;
    return habit->on;
}

bool policy_turns_due(const struct turn_habit *habit) {
    return habit->waits >= POLICY_TURN_WAITS;
}

void policy_turned(struct turn_habit *habit, uint32_t answered, uint32_t made) {
    habit->answered += answered;
    habit->made += made;
}

static void end_trial(struct turn_habit *habit, bool before, bool better) {
    habit->on = better;
    habit->patience = !habit->patience || better != before
                          ? POLICY_TURN_KEPT
                          : (uint32_t)smaller(2ull * habit->patience, POLICY_TURN_KEPT_MAX);
    habit->left = habit->patience;
    habit->period = 0;
}

/* The first period of a trial has turns, and isn't counted: what they need is made then. */
static void go_on_with_trial(struct turn_habit *habit, uint64_t took) {
    bool before = habit->patience && habit->was_on;
    if (habit->period > 1) {
        habit->cost[habit->on] += took;
        habit->of[habit->on] += habit->events;
    } else if (habit->period == 1 && habit->answered <= habit->made) {
        end_trial(habit, before, false);
        return;
    }
    habit->on = !habit->on;
    if (++habit->period > POLICY_TURN_TRIAL)
        end_trial(habit, before, habit->cost[true] * habit->of[false] < habit->cost[false] * habit->of[true]);
}

void policy_turns_took(struct turn_habit *habit, uint64_t now) {
    uint64_t took = now - habit->began;
    if (habit->left > 0) {
        habit->left--;
    } else if (habit->period == 0) {
        habit->was_on = habit->on;
        habit->on = true;
        habit->period = 1;
        habit->cost[0] = habit->cost[1] = habit->of[0] = habit->of[1] = 0;
        habit->answered = habit->made = 0;
    } else {
        go_on_with_trial(habit, took);
    }
    habit->waits = habit->events = 0;
    habit->began = now;
}
