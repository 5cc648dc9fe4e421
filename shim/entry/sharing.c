#include "entry/sharing.h"

#include "base/config.h"
#include "files/shared_memory.h"
#include "stream/window.h"

void sharing_begins(void) {
    shared_memory_lock();
}

void sharing_changed(void) {
    if (config.shared == SHARED_STRICT && shared_memory_exists())
        wb_hinder(REASON_shared_memory);
    else
        wb_unhinder(REASON_shared_memory);
    shared_memory_unlock();
}

void sharing_refresh(void) {
    sharing_begins();
    sharing_changed();
}

void sharing_hidden(void) {
    sharing_begins();
    shared_memory_hidden();
    sharing_changed();
}

void sharing_passed_on(void) {
    files_passed_on();
    window_close(thread_self(), "passing on"); /* which may have been opened since the call was announced */
    if (!shared_memory_any_alone())
        return;
    sharing_begins();
    shared_memory_passed_on();
    sharing_changed();
}
