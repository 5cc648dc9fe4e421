#include "common/late_errors.h"

#include "common/attention.h"

void late_error_keep(struct inode *inode, int error) {
    files_failed(inode, error);
    atomic_fetch_or(&wb_pending, WB_ERROR);
}

void late_errors_settle(void) {
    if (likely(!(atomic_load(&wb_pending) & WB_ERROR)) || atomic_load(&files_errors))
        return;
    atomic_fetch_and(&wb_pending, ~(uint32_t)WB_ERROR);
    if (atomic_load(&files_errors)) /* another one, meanwhile */
        atomic_fetch_or(&wb_pending, WB_ERROR);
}

int late_error_take(struct inode *inode) {
    int error = files_take_inode_error(inode);
    if (unlikely(error))
        late_errors_settle();
    return error;
}
