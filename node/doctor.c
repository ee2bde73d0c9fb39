/* Probes: each tries the thing itself, in a child where it would change this process. */
#include "doctor.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "native/cgroup.h"
#include "native/go.h"
#include "native/landlock.h"
#include "native/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>

enum {
    NOBODY = 65534,
    ALL_NAMESPACES =
        CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
};

struct doctor {
    struct sa_buf json;
    int missing; /* things without which there are no sandboxes */
};

enum weight { NEEDED, WANTED, FACT };

/* JSON text (RFC 8259). What is in here is ASCII, or made so. */
static void add_text(struct sa_buf *out, const char *text)
{
    sa_buf_addc(out, '"');
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            sa_buf_printf(out, "\\%c", *c);
        else
            sa_buf_addc(out, *c < 0x20 || *c > 0x7e ? '?' : *c);
    }
    sa_buf_addc(out, '"');
}

static void add(struct doctor *d, enum weight weight, const char *name, bool ok, const char *detail,
                const char *hint)
{
    sa_buf_adds(&d->json, d->json.length ? ",\n  {\"name\": " : "[\n  {\"name\": ");
    add_text(&d->json, name);
    sa_buf_printf(&d->json, ", \"ok\": %s, \"detail\": ", ok ? "true" : "false");
    add_text(&d->json, detail);
    sa_buf_adds(&d->json, ", \"hint\": ");
    add_text(&d->json, ok ? "" : hint);
    sa_buf_addc(&d->json, '}');
    if (!ok && weight == NEEDED)
        d->missing++;
}

/* Run a probe in a child: 0 when it returned 0, else the errno that it ended with. */
static int in_child(int (*probe)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(probe() == 0 ? 0 : errno & 0xff);
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
        return EIO;
    return WEXITSTATUS(status);
}

static const char *reason(int number)
{
    return number ? strerror(number) : "works";
}

/* First line of a small file, or "" when it is not there. */
static void first_line(const char *path, char *out, size_t size)
{
    sa_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, size - 1);
    out[n < 0 ? 0 : n] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

static bool has_capability(unsigned capability)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    syscall(SYS_capget, &header, data);
    return data[0].effective >> capability & 1;
}

/* ---- namespaces ---- */

static int probe_namespaces(void)
{
    return unshare(ALL_NAMESPACES);
}

static int probe_as_nobody(void)
{
    if (geteuid() == 0 &&
        (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
        return -1;
    return unshare(CLONE_NEWUSER | CLONE_NEWNS);
}

static int mount_proc(void)
{
    return mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

/* A new proc in a user namespace wants a whole one to be visible (not in most containers). */
static int probe_proc(void)
{
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID) < 0)
        return -1;
    errno = in_child(mount_proc);
    return errno ? -1 : 0;
}

static void namespaces(struct doctor *d)
{
    char text[128], limit[32], restricted[16];
    int all = in_child(probe_namespaces), nobody = in_child(probe_as_nobody);
    int proc = in_child(probe_proc);
    first_line("/proc/sys/user/max_user_namespaces", limit, sizeof limit);
    first_line("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", restricted,
               sizeof restricted);
    add(d, NEEDED, "namespaces", all == 0, reason(all),
        "this user may not make namespaces: see userns.unprivileged, or run as root");
    add(d, WANTED, "userns.unprivileged", nobody == 0, reason(nobody),
        "allow user namespaces: sysctl user.max_user_namespaces=15000, "
        "kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0 "
        "(or an AppArmor profile for sandbox-node)");
    snprintf(text, sizeof text, "user.max_user_namespaces is %s", limit[0] ? limit : "unknown");
    add(d, WANTED, "userns.limit", limit[0] && strtol(limit, NULL, 10) >= 64, text,
        "sysctl user.max_user_namespaces=15000");
    add(d, WANTED, "userns.apparmor", strcmp(restricted, "1") != 0,
        restricted[0] ? "AppArmor rules over user namespaces" : "AppArmor does not rule over them",
        "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run the node as root");
    add(d, NEEDED, "proc", proc == 0, reason(proc),
        "a part of /proc is covered, as in a container: start it with unmasked paths "
        "(docker run --security-opt systempaths=unconfined)");
    add(d, WANTED, "userns.range",
        has_capability(CAP_SETUID) && has_capability(CAP_SETGID) && has_capability(CAP_SYS_ADMIN),
        "host ids of its own for each sandbox", "start the node as root");
}

/* ---- control groups ---- */

static void control_group(struct doctor *d, enum sa_controller controller, const char *name,
                          const char *mountinfo, const char *cgroup)
{
    char path[512], file[600], text[700];
    bool v2 = false;
    struct sa_buf list = SA_BUF_INIT;
    bool found = sa_cgroup_locate(mountinfo, cgroup, controller, path, sizeof path, &v2);
    if (found && v2 && controller != SA_CG_FREEZER) {
        snprintf(file, sizeof file, "%s/cgroup.controllers", path);
        found = sa_read_file(AT_FDCWD, file, 4096, &list, NULL) == 0 && list.data &&
                strstr(list.data, name);
    }
    sa_buf_deinit(&list);
    /* Making a folder is the right that counts. */
    snprintf(file, sizeof file, "%s/secureagent-doctor-%d", path, (int)getpid());
    bool writable = found && mkdir(file, 0755) == 0;
    if (writable)
        rmdir(file);
    if (found)
        snprintf(text, sizeof text, "version %d at %s, %s", v2 ? 2 : 1, path,
                 writable ? "writable" : "not writable");
    else
        snprintf(text, sizeof text, "this machine has no such controller");
    snprintf(file, sizeof file, "cgroup.%s", name);
    add(d, geteuid() == 0 ? NEEDED : WANTED, file, writable, text,
        "run the node as root, or in a control group that is delegated to this user "
        "(systemd-run --user -p Delegate=yes); on old systems mount the controller");
}

static void control_groups(struct doctor *d)
{
    sa_autobuf mountinfo = SA_BUF_INIT, cgroup = SA_BUF_INIT;
    sa_buf_adds(&mountinfo, "");
    sa_buf_adds(&cgroup, "");
    sa_read_file(AT_FDCWD, "/proc/self/mountinfo", 1 << 22, &mountinfo, NULL);
    sa_read_file(AT_FDCWD, "/proc/self/cgroup", 1 << 16, &cgroup, NULL);
    control_group(d, SA_CG_MEMORY, "memory", mountinfo.data, cgroup.data);
    control_group(d, SA_CG_PIDS, "pids", mountinfo.data, cgroup.data);
    control_group(d, SA_CG_CPU, "cpu", mountinfo.data, cgroup.data);
    control_group(d, SA_CG_FREEZER, "freezer", mountinfo.data, cgroup.data);
}

/* ---- filters and the rest ---- */

static int probe_mount_setattr(void)
{
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return -1;
    return sa_mount_restrict("/proc", MOUNT_ATTR_NOSUID, 0);
}

static void filters(struct doctor *d)
{
    char text[64];
    uint32_t notify = SECCOMP_RET_USER_NOTIF;
    int abi = sa_landlock_abi();
    bool has_notify = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &notify) == 0;
    add(d, NEEDED, "seccomp", prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0, "seccomp filters",
        "a kernel with CONFIG_SECCOMP_FILTER");
    add(d, NEEDED, "seccomp.notify", has_notify, "seccomp user notification (5.0)",
        "a newer kernel");
    snprintf(text, sizeof text, "ABI %d", abi);
    add(d, WANTED, "landlock", abi >= 1, text, "Linux 5.13 or later with \"landlock\" in lsm=");
    add(d, WANTED, "landlock.scope", abi >= 6, text, "Linux 6.12 or later");
}

static void kernel(struct doctor *d)
{
    struct utsname name;
    char noexec[16], text[128];
    sa_autobuf filesystems = SA_BUF_INIT;
    sa_buf_adds(&filesystems, "");
    uname(&name);
    add(d, FACT, "kernel", true, name.release, "");
    int setattr = in_child(probe_mount_setattr);
    add(d, NEEDED, "mount_setattr", setattr == 0, reason(setattr), "Linux 5.12 or later");
    first_line("/proc/sys/vm/memfd_noexec", noexec, sizeof noexec);
    add(d, NEEDED, "memfd", strcmp(noexec, "2") != 0, "executable memfds",
        "sysctl vm.memfd_noexec=1");
    sa_read_file(AT_FDCWD, "/proc/filesystems", 1 << 16, &filesystems, NULL);
    add(d, FACT, "overlay", strstr(filesystems.data, "\toverlay\n") != NULL, "overlay file system",
        "modprobe overlay; without it nothing can be watched (inotify) inside");
    struct sa_go go;
    sa_go_find(&go);
    snprintf(text, sizeof text, "%s%s%s", go.root[0] ? go.version : "no Go below /usr",
             go.root[0] ? " at " : "", go.root);
    add(d, FACT, "go", go.root[0] != '\0', text,
        "for sandboxes that compile Go: apt-get install golang-go, or unpack go.dev/dl into "
        "/usr/local");
    add(d, FACT, "cap_sys_resource", has_capability(CAP_SYS_RESOURCE),
        "the capability SYS_RESOURCE; the node does without", "nothing to do");
}

int sa_doctor_print(FILE *out)
{
    struct doctor d = {.json = SA_BUF_INIT};
    kernel(&d);
    namespaces(&d);
    control_groups(&d);
    filters(&d);
    fprintf(out, "%s\n]\n", d.json.data);
    sa_buf_deinit(&d.json);
    return d.missing ? 1 : 0;
}
