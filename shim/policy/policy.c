#include "policy/policy.h"

#include "behind/streams.h"

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
    bool known = slot->last != 0;
    slot->last = time;
    if (gap > ticks_of_us(POLICY_QUICK_US) >> TICKS_SHIFT) {
        slot->quick = slot->quick < needed && slot->quick > POLICY_PAUSE ? (uint8_t)(slot->quick - POLICY_PAUSE) : 0;
        if (slot->socket && known && !slot->quick) {
            slot->skip = POLICY_SLOW;
            slot->last = 0;
        }
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
    if (facts->stream && !facts->running && pauses(slot, facts->now)) {
        if (ofd)
            streams_begin_anew(ofd);
        return REASON_warming;
    }
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

static void end_trial(struct trial *trial, bool on) {
    trial->patience = !trial->patience || on != trial->was_on
                          ? POLICY_KEPT
                          : (uint32_t)smaller(2ull * trial->patience, POLICY_KEPT_MAX);
    trial->left = trial->patience;
    trial->on = on;
    trial->period = 0;
}

static void begin_trial(struct trial *trial) {
    trial->was_on = trial->on;
    trial->on = true;
    trial->period = 1;
    trial->wins = trial->losses = 0;
    trial->cost[0] = trial->cost[1] = trial->of[0] = trial->of[1] = 0;
}

/* It is clear already, and each period more would cost. */
static bool is_lost(const struct trial *trial) {
    uint64_t with = trial->cost[true] * trial->of[false], without = trial->cost[false] * trial->of[true];
    return trial->losses >= POLICY_TRIAL_QUITS && trial->wins == 0 && without < with - with / 16;
}

/* What isn't clearly better isn't: one long period, as when the machine has something else to do, shows nothing. */
static bool ends_with(const struct trial *trial) {
    uint64_t with = trial->cost[true] * trial->of[false], without = trial->cost[false] * trial->of[true];
    if (is_lost(trial))
        return false;
    if (trial->was_on)
        return !(trial->losses >= POLICY_TRIAL_WINS && without < with);
    return trial->wins >= POLICY_TRIAL_WINS && with < without - without / 32;
}

/* The first period of a trial is one with, and isn't counted: what that needs is made then. */
void trial_goes_on(struct trial *trial, uint64_t cost, uint64_t of) {
    if (trial->left > 0) {
        trial->left--;
        return;
    }
    if (trial->period == 0) {
        begin_trial(trial);
        return;
    }
    if (trial->period > 1) {
        trial->cost[trial->on] += cost;
        trial->of[trial->on] += of;
    }
    if (trial->period > 1 && trial->on) {
        trial->wins += cost * trial->of_last < trial->cost_last * of;
        trial->losses += cost * trial->of_last > trial->cost_last * of;
    }
    trial->cost_last = cost;
    trial->of_last = of;
    if (trial->period == POLICY_TRIAL || (trial->on && is_lost(trial))) {
        end_trial(trial, ends_with(trial));
        return;
    }
    trial->on = !trial->on;
    trial->period++;
}

bool policy_shares_syncs(struct sync_habit *habit, uint64_t ticks) {
    trial_goes_on(&habit->sharing, ticks, 1);
    return habit->sharing.on;
}

bool policy_turn(struct turn_habit *habit, unsigned ready, bool eager) {
    if (eager)
        return true;
    if (ready < POLICY_TURN_LEAST)
        return false;
    habit->waits++;
    habit->events += ready;
    return habit->turning.on;
}

bool policy_turns_due(const struct turn_habit *habit) {
    return habit->waits >= POLICY_TURN_WAITS;
}

void policy_turned(struct turn_habit *habit, uint32_t answered, uint32_t made) {
    habit->answered += answered;
    habit->made += made;
}

/* A trial's first turns show whether the program does what they are for. */
void policy_turns_took(struct turn_habit *habit, uint64_t now) {
    struct trial *turning = &habit->turning;
    if (turning->period == 1 && habit->answered <= habit->made)
        end_trial(turning, false);
    else
        trial_goes_on(turning, now - habit->began, habit->events);
    habit->waits = habit->events = habit->answered = habit->made = 0;
    habit->began = now;
}
