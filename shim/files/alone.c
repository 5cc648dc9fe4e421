#include "files/alone.h"

#include <errno.h>
#include <fcntl.h>

#include "base/sys.h"

/* Does the program use of the description what a lease would change? */
static bool in_use(int fd) {
    struct f_owner_ex owner = {0};
    return sys(SYS_fcntl, fd, F_GETLEASE) != F_UNLCK || sys(SYS_fcntl, fd, F_GETSIG) != 0 ||
           sys(SYS_fcntl, fd, F_GETOWN_EX, &owner) != 0 || owner.pid != 0;
}

/* Without an owner the process would be it, and SIGIO its death. */
static int take_and_give_back(int fd, enum alone how, uint32_t helper) {
    struct f_owner_ex owner = {F_OWNER_TID, (pid_t)helper}, nobody = {0};
    if (in_use(fd))
        return -EBUSY;
    int error = (int)sys(SYS_fcntl, fd, F_SETOWN_EX, &owner);
    if (error)
        return error;
    error = (int)sys(SYS_fcntl, fd, F_SETLEASE, how == ALONE_TO_READ ? F_RDLCK : F_WRLCK);
    if (error == 0)
        sys(SYS_fcntl, fd, F_SETLEASE, F_UNLCK);
    sys(SYS_fcntl, fd, F_SETOWN_EX, &nobody);
    return error;
}

int alone_with(struct ofd *ofd, int fd, enum alone how, uint32_t helper) {
    if (!helper)
        return -ESRCH;
    if (!files_is_private(ofd))
        return -EPERM;
    if (atomic_exchange(&ofd->asking, true)) /* another thread: each would take the other's lease for its own */
        return -EBUSY;
    int error = take_and_give_back(fd, how, helper);
    atomic_store(&ofd->asking, false);
    return error;
}
