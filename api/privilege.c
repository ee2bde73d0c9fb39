#include "api/privilege.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int drop_ids(uid_t uid, gid_t gid, struct sa_error *err)
{
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return sa_error_sys(err, SA_EINTERNAL, errno, "becoming uid %u gid %u", uid, gid);
    if (setuid(0) == 0 || geteuid() == 0)
        return sa_error_set(err, SA_EINTERNAL, "privilege could be regained; refusing to serve");
    return 0;
}

static int drop_capabilities(struct sa_error *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2];
    memset(none, 0, sizeof none);
    if (syscall(SYS_capset, &header, none) < 0)
        return sa_error_sys(err, SA_EINTERNAL, errno, "dropping capabilities");
    return 0;
}

int sa_privilege_drop(uid_t uid, gid_t gid, struct sa_error *err)
{
    pid_t parent = getppid();
    if (geteuid() == 0 && drop_ids(uid, gid, err) < 0)
        return -1;
    if (drop_capabilities(err) < 0)
        return -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return sa_error_sys(err, SA_EINTERNAL, errno, "setting no_new_privs");
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return sa_error_sys(err, SA_EINTERNAL, errno, "setting the parent death signal");
    if (getppid() != parent)
        return sa_error_set(err, SA_EUNAVAILABLE, "the supervisor ended");
    return 0;
}
