// What a call takes here is found out. Says "cheap" if it is well below what makes turns be tried.
#include "base/ticks.h"

#include "base/sys.h"
#include "check.h"
#include "policy/policy.h"

int main(void) {
    uint64_t call = ticks_a_call(SYS_getppid), least = UINT64_MAX, limit = ticks_of_us(POLICY_TURN_CALL_NS) / 1000;
    CHECK(call && ticks_a_call(SYS_getppid) == call);
    for (int i = 0; i < 1000; i++) {
        uint64_t before = ticks_now();
        sys(SYS_getppid);
        uint64_t took = ticks_now() - before;
        least = took < least ? took : least;
    }
    CHECK(call > least / 2);
    puts(least < limit * 2 / 3 ? "cheap" : "dear");
    return 0;
}
