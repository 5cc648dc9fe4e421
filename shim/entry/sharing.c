#include "entry/sharing.h"

#include <linux/android/binder.h>
#include <linux/seccomp.h>

#include "base/config.h"
#include "files/shared_memory.h"
#include "stream/window.h"

void sharing_begins(void) {
    shared_memory_lock();
}

void sharing_changed(void) {
    bool exists = config.shared == SHARED_STRICT && shared_memory_exists();
    if (exists)
        wb_hinder(REASON_shared_memory);
    else
        wb_unhinder(REASON_shared_memory);
    shared_memory_unlock();
    if (exists) /* a window that was opened before would not hear of what comes by memory */
        window_close(thread_self(), "shared memory");
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

void sharing_by_ioctl(unsigned long request) {
    if (request == SECCOMP_IOCTL_NOTIF_ADDFD || request == BINDER_WRITE_READ)
        sharing_passed_on();
}
