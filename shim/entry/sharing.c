#include "entry/sharing.h"

#include "base/config.h"
#include "files/shared_memory.h"
#include "stream/write_behind.h"

void sharing_refresh(void) {
    if (config.shared == SHARED_IGNORE)
        return;
    if (shared_memory_exists())
        wb_hinder(REASON_shared_memory);
    else
        wb_unhinder(REASON_shared_memory);
}

void sharing_passed_on(void) {
    files_passed_on();
    if (shared_memory_any_alone()) {
        shared_memory_passed_on();
        sharing_refresh();
    }
}
