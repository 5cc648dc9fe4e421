#include "files/lease.h"

#include <errno.h>
#include <fcntl.h>

#include "base/sys.h"

int lease_take(int fd, enum lease lease, uint32_t helper) {
    struct f_owner_ex owner = {0}, nobody = {0};
    if (sys(SYS_fcntl, fd, F_GETLEASE) != F_UNLCK || sys(SYS_fcntl, fd, F_GETOWN_EX, &owner) != 0 || owner.pid != 0)
        return -EBUSY; /* the program uses what we would */
    owner = (struct f_owner_ex){F_OWNER_TID, (pid_t)helper};
    int error = (int)sys(SYS_fcntl, fd, F_SETOWN_EX, &owner);
    if (error == 0)
        error = (int)sys(SYS_fcntl, fd, F_SETLEASE, lease == LEASE_READ ? F_RDLCK : F_WRLCK);
    if (error)
        sys(SYS_fcntl, fd, F_SETOWN_EX, &nobody);
    return error;
}

void lease_give_back(int fd) {
    struct f_owner_ex nobody = {0};
    sys(SYS_fcntl, fd, F_SETLEASE, F_UNLCK);
    sys(SYS_fcntl, fd, F_SETOWN_EX, &nobody);
}
