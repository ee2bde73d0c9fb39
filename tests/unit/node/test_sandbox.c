/*
 * Real sandboxes, as the user who runs the test and, when that is root, again as an unprivileged
 * user. What is asserted is the world: /proc on the host, the files inside, the control groups.
 */
#include "harness.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NOBODY = 65534 };

static struct node node;
static uid_t as_uid; /* 0: as we are */

static bool privileged(void)
{
    return geteuid() == 0 && as_uid == 0;
}

static int start(void **state)
{
    (void)state;
    node_start(&node, as_uid, SA_TEST_RUNTIME);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    if (node.socket >= 0)
        node_finish(&node);
    return 0;
}

static int create(struct sa_node_spec *spec, struct reply *r)
{
    spec_default(spec);
    return node_create(&node, spec, r);
}

static void assert_status(pid_t pid, const char *key, const char *value)
{
    char text[512];
    status_line(pid, key, text, sizeof text);
    if (strcmp(text, value) != 0)
        fail_msg("%s of %d is %s, expected %s", key, (int)pid, text, value);
}

/* ---- what it is ---- */

static void test_controls_are_listed(void **state)
{
    static const char *const always[] = {
        "userns",          "userns.limits", "mountns",    "pidns",
        "netns",           "ipcns",         "utsns",      "cgroupns",
        "rootfs.readonly", "proc.masked",   "tmpfs.size", "tmpfs.inodes",
        "capabilities",    "no_new_privs",  "seccomp",    "seccomp.notify"};
    static const char *const root[] = {"userns.range", "cgroup.memory",  "cgroup.pids",
                                       "cgroup.cpu",   "cgroup.freezer", "rootfs.private"};
    static const char *const user[] = {"rlimit.nproc", "rlimit.memory", "watchdog.memory"};
    struct sa_node_spec spec;
    struct reply r;
    (void)state;
    int link = create(&spec, &r);
    for (size_t i = 0; i < SA_COUNT(always) + 6; i++) {
        const char *name = i < SA_COUNT(always)       ? always[i]
                           : privileged()             ? root[i - SA_COUNT(always)]
                           : i < SA_COUNT(always) + 3 ? user[i - SA_COUNT(always)]
                                                      : "userns";
        char word[64];
        snprintf(word, sizeof word, " %s ", name);
        if (!strstr(r.controls, word))
            fail_msg("%s is missing in%s", name, r.controls);
    }
    assert_int_equal(strstr(r.weaker, "userns.range: ") != NULL, !privileged());
    assert_int_equal(strstr(r.weaker, "cgroup.memory: ") != NULL, !privileged());
    assert_int_equal(strstr(r.weaker, "rootfs.private: ") != NULL, !privileged());
    close(link);
}

static void test_locks_are_shut(void **state)
{
    static const char *const none[] = {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"};
    struct sa_node_spec spec;
    (void)state;
    int link = create(&spec, NULL);
    pid_t pid = host_pid(&node);
    assert_true(pid > 0);
    for (size_t i = 0; i < SA_COUNT(none); i++)
        assert_status(pid, none[i], "0000000000000000");
    assert_status(pid, "NoNewPrivs:", "1");
    assert_status(pid, "Seccomp:", "2");
    assert_status(pid, "Seccomp_filters:", "2");
    expect(link, "grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status | grep -vc 0000000000000000",
           "2\n");
    expect(link, "id", "uid=1000(user) gid=1000(user) groups=1000(user)\n");
    close(link);
}

static void test_ids_are_its_own(void **state)
{
    struct sa_node_spec first, second;
    char one[128], two[128], uid[64];
    (void)state;
    if (!privileged()) {
        int link = create(&first, NULL);
        expect(link, "tr -s ' ' </proc/self/uid_map", " 1000 1000 1\n");
        expect(link, "cat /proc/self/setgroups", "deny\n");
        status_line(host_pid(&node), "Uid:", uid, sizeof uid);
        assert_int_equal(strtol(uid, NULL, 10), as_uid ? as_uid : geteuid());
        close(link);
        return;
    }
    int a = create(&first, NULL);
    status_line(host_pid(&node), "Uid:", uid, sizeof uid);
    assert_true(strtoll(uid, NULL, 10) >= 0x60000000LL + 1000);
    int b = create(&second, NULL);
    run(a, one, sizeof one, "cat /proc/self/uid_map");
    run(b, two, sizeof two, "cat /proc/self/uid_map");
    assert_string_not_equal(one, two);
    assert_non_null(strstr(one, "65535"));
    close(a);
    close(b);
}

static void test_namespaces_are_its_own(void **state)
{
    static const char *const kinds[] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"};
    struct sa_node_spec spec;
    (void)state;
    int link = create(&spec, NULL);
    pid_t pid = host_pid(&node);
    for (size_t i = 0; i < SA_COUNT(kinds); i++) {
        char inside[64], outside[64], path[64];
        snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, kinds[i]);
        ssize_t n = readlink(path, outside, sizeof outside - 1);
        if (n < 0)
            n = 0; /* not ours to look at; then the inside must do */
        outside[n] = '\0';
        run(link, inside, sizeof inside, "readlink -n /proc/self/ns/%s", kinds[i]);
        if (n)
            assert_string_equal(inside, outside);
        snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
        n = readlink(path, outside, sizeof outside - 1);
        assert_true(n > 0);
        outside[n] = '\0';
        assert_string_not_equal(inside, outside);
    }
    expect(link, "hostname", "box\n");
    expect(link, "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '", "lo\n");
    expect(link, "cut -d: -f3 /proc/self/cgroup | sort -u", "/\n");
    /* Where files are shared, nothing of them can be watched; instances are in short supply. */
    expect(link, "[ $(cat /proc/sys/user/max_inotify_watches) -gt 0 ] && echo watches || echo none",
           privileged() ? "watches\n" : "none\n");
    expect(link, "[ $(cat /proc/sys/user/max_inotify_watches) -le 8192 ] && echo bounded",
           "bounded\n");
    expect(link, "[ $(cat /proc/sys/user/max_inotify_instances) -le 128 ] && echo bounded",
           "bounded\n");
    expect(link, "cat /proc/sys/user/max_user_namespaces /proc/sys/user/max_net_namespaces",
           "0\n0\n");
    close(link);
}

static void test_root_holds_only_what_we_put(void **state)
{
    struct sa_node_spec spec;
    (void)state;
    int link = create(&spec, NULL);
    /* Mount points but for the covers in /proc. */
    expect(link,
           "cut -d' ' -f5 /proc/self/mountinfo | grep -v ^/proc/ | grep -Ev "
           "'^/(lib|lib64|bin|sbin|var/cache/go-build|dev/(null|zero|full|random|urandom|tty)|etc/"
           ".*)$' | sort",
           "/\n/dev\n/dev/pts\n/dev/shm\n/home/user\n/proc\n/tmp\n/usr\n/workspace\n");
    expect(link, "ls -A / | grep -v ^lib | tr '\\n' ' '",
           "bin dev etc home proc root run sbin tmp usr var workspace ");
    expect(link, "ls -A /run /root /var/lib /sys /mnt /boot 2>/dev/null", "/root:\n\n/run:\n");
    expect(link, "ls -A /dev | tr '\\n' ' '",
           "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero ");
    expect(link, "cat /etc/shadow /etc/gshadow 2>&1 | grep -c 'No such'", "2\n");
    expect(link, "cat /proc/cmdline /proc/keys /proc/kallsyms | wc -c; ls /proc/irq /proc/bus",
           "0\n/proc/bus:\n\n/proc/irq:\n");
    expect(link,
           "for f in /x /usr/x /etc/x /dev/x /run/x /home/x; do touch $f 2>&1; done | "
           "grep -vc 'Read-only file system'",
           "0\n");
    expect(link, "for d in /tmp /workspace /home/user /dev/shm; do echo a >$d/f && cat $d/f; done",
           "a\na\na\na\n");
    close(link);
}

/* The runtime gets nothing but what it needs. */
static void test_nothing_is_inherited(void **state)
{
    struct sa_node_spec spec;
    (void)state;
    setenv("SECRET_OF_THE_HOST", "x", 1);
    int link = create(&spec, NULL);
    expect(link, "ls -l /proc/1/fd | awk 'NR>1 {print $9, $11}' | sed 's/\\[.*//'",
           "0 /dev/null\n1 /dev/null\n2 /dev/null\n3 socket:\n4 socket:\n" /* its door, the link */
           "5 /\n" /* the message queues: a mount that is mounted nowhere */);
    expect(link, "tr '\\0' '\\n' </proc/1/environ | wc -l; env | grep -c SECRET", "0\n0\n");
    expect(link, "readlink /proc/1/cwd; umask; grep -c . /proc/1/cmdline", "/workspace\n0022\n1\n");
    expect(link, "awk '/core file size/ {print $5, $6}' /proc/1/limits", "1 1\n");
    expect(link, "!core_limit", "EPERM\n");
    expect(link, "ulimit -n 512 && ulimit -n", "512\n");
    expect(link, "awk '/^Sig(Blk|Ign)/ {print $2}' /proc/1/status",
           "0000000000000000\n0000000000000000\n");
    close(link);
}

/* ---- what it may not ---- */

static void test_system_calls_are_refused(void **state)
{
    static const char *const no_permission[] = {"mount",
                                                "umount",
                                                "remount",
                                                "fsopen",
                                                "open_tree",
                                                "move_mount",
                                                "mount_setattr",
                                                "pivot_root",
                                                "chroot",
                                                "unshare_user",
                                                "unshare_net",
                                                "setns",
                                                "clone_user",
                                                "ptrace",
                                                "ptrace_init",
                                                "vm_readv",
                                                "bpf",
                                                "keyctl",
                                                "add_key",
                                                "perf",
                                                "uffd",
                                                "io_uring",
                                                "handle",
                                                "pidfd_getfd",
                                                "kcmp",
                                                "kexec",
                                                "module",
                                                "clock",
                                                "hostname",
                                                "memfd_secret",
                                                "tiocsti",
                                                "tiocsti_high",
                                                "tioclinux",
                                                "packet",
                                                "vsock",
                                                "alg",
                                                "raw",
                                                "sctp",
                                                "netfilter",
                                                "kill_init",
                                                "kill_init_high",
                                                "tgkill_init",
                                                "queue_init",
                                                "prlimit_other",
                                                "personality_odd",
                                                "caps_back"};
    static const char *const no_such_call[] = {"clone3", "future", "listmount", "i386", "x32"};
    static const char *const allowed[] = {"route", "tcp", "personality_query", "fifo",
                                          "memfd_exec"};
    struct sa_node_spec spec;
    char line[64], got[128];
    (void)state;
    int link = create(&spec, NULL);
    for (size_t i = 0; i < SA_COUNT(no_permission); i++) {
        snprintf(line, sizeof line, "!%s", no_permission[i]);
        assert_int_equal(run(link, got, sizeof got, "%s", line), 0);
        if (strcmp(got, "EPERM\n") != 0)
            fail_msg("%s: %s", no_permission[i], got);
    }
    for (size_t i = 0; i < SA_COUNT(no_such_call); i++) {
        snprintf(line, sizeof line, "!%s", no_such_call[i]);
        expect(link, line, "ENOSYS\n");
    }
    for (size_t i = 0; i < SA_COUNT(allowed); i++) {
        snprintf(line, sizeof line, "!%s", allowed[i]);
        expect(link, line, "ok\n");
    }
    expect(link, "!sysctl", "EACCES\n"); /* modes and Landlock answer before the mount does */
    run(link, got, sizeof got, "!etc");
    assert_true(strcmp(got, "EROFS\n") == 0 || strcmp(got, "EACCES\n") == 0);
    run(link, got, sizeof got, "!device");
    assert_true(strcmp(got, "EPERM\n") == 0 || strcmp(got, "EACCES\n") == 0);
    close(link);
}

static void test_telling_calls_are_reported(void **state)
{
    struct sa_node_spec spec;
    struct reply r;
    (void)state;
    int link = create(&spec, NULL);
    expect(link, "!bpf", "EPERM\n");
    node_event(&node, SA_NODE_SECURITY, &r);
    assert_string_equal(r.id, spec.id);
    assert_string_equal(r.syscall, "bpf");
    assert_int_equal(r.count, 1);
    assert_true(r.comm[0] != '\0');
    expect(link, "!clone_user", "EPERM\n");
    node_event(&node, SA_NODE_SECURITY, &r);
    assert_string_equal(r.syscall, "clone");
    close(link);
}

/* A flooder waits; the node goes on serving, and says how many it was. */
static void test_flood_of_denials_is_bounded(void **state)
{
    struct sa_node_spec spec, other;
    struct reply r;
    int64_t counted = 0;
    int events = 0;
    (void)state;
    int link = create(&spec, NULL);
    int64_t began = sa_monotonic_ms();
    const char flood[] =
        "for i in 1 2 3 4 5 6 7 8; do (timeout 3 sh -c 'while :; do unshare -U true"
        " 2>/dev/null; done') & done; wait\n";
    assert_int_equal(sa_write_all(link, flood, sizeof flood - 1), 0);
    usleep(300000);
    int64_t before = sa_monotonic_ms();
    spec_default(&other);
    int second = node_create(&node, &other, NULL);
    expect(second, "echo served", "served\n");
    assert_true(sa_monotonic_ms() - before < 30000);
    while (sa_monotonic_ms() - began < 4500 || (events < 2 && sa_monotonic_ms() - began < 60000))
        if (node_receive(&node, &r, 100) && r.type == SA_NODE_SECURITY) {
            assert_string_equal(r.syscall, "unshare");
            counted += r.count;
            events++;
        }
    assert_in_range(events, 2, 3 + (sa_monotonic_ms() - began) / 1000);
    assert_true(counted > events);
    close(second);
    close(link);
}

/* ---- limits ---- */

static void test_storage_is_capped(void **state)
{
    struct sa_node_spec spec;
    char got[512];
    (void)state;
    int link = create(&spec, NULL);
    assert_int_not_equal(run(link, got, sizeof got, "dd if=/dev/zero of=/tmp/x bs=1M count=64"), 0);
    assert_non_null(strstr(got, "No space left"));
    expect(link,
           "rm /tmp/x; fallocate -l 1G /dev/shm/y 2>&1 | grep -c 'No space'; rm -f /dev/shm/y",
           "1\n");
    run(link, got, sizeof got,
        "i=0; while [ $i -lt 1200 ] && : 2>/dev/null >/workspace/f$i; do i=$((i+1)); done; echo "
        "$i");
    assert_in_range(strtol(got, NULL, 10), 0, 999);
    expect(link, "ls /workspace | wc -l | awk '{print ($1 > 900 && $1 < 1000)}'", "1\n");
    close(link);
}

static void test_fork_bomb_is_contained(void **state)
{
    struct sa_node_spec spec;
    char got[512];
    (void)state;
    int link = create(&spec, NULL);
    run(link, got, sizeof got,
        "n=0; while [ $n -lt 200 ]; do sleep 3 & n=$((n+1)); done 2>&1; echo started all");
    assert_null(strstr(got, "started all"));
    /* There is no process left to ask with: built-in commands only. */
    expect(link, "set -- /proc/[0-9]*; [ $# -gt 30 ] && [ $# -le 48 ] && echo full", "full\n");
    close(link);
}

static void test_memory_is_capped(void **state)
{
    struct sa_node_spec spec;
    struct reply r;
    (void)state;
    int link = create(&spec, NULL);
    /* tail keeps its input in memory: no line feed comes. */
    int status = run(link, NULL, 0, "head -c 400M /dev/zero | tail | wc -c; sleep 1");
    node_event(&node, SA_NODE_OOM, &r);
    assert_string_equal(r.id, spec.id);
    assert_true(r.oom_kills >= 1);
    if (privileged()) { /* only the culprit died */
        assert_int_not_equal(status, -1);
        expect(link, "echo alive", "alive\n");
    } else {
        node_event(&node, SA_NODE_EXITED, &r);
        assert_string_equal(r.reason, "out of memory");
    }
    close(link);
}

static void test_stats_and_freezer(void **state)
{
    struct sa_node_spec spec;
    struct reply r;
    (void)state;
    int link = create(&spec, NULL);
    run(link, NULL, 0, "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
    int looks = 0;
    do { /* where it is only watched, there are figures after a look */
        usleep(10000);
        node_answer(&node, node_send_id(&node, SA_NODE_STATS, spec.id), &r);
        assert_int_equal(r.type, SA_NODE_STATS_REPLY);
    } while (r.values[SA_NODE_MEMORY_USED] <= 0 && looks++ < 3000);
    assert_true(r.values[SA_NODE_PROCESSES] >= 1);
    assert_true(r.values[SA_NODE_MEMORY_USED] > 0);
    assert_int_equal(r.values[SA_NODE_MEMORY_LIMIT], spec.memory_bytes);
    if (privileged()) {
        assert_true(r.values[SA_NODE_CPU_US] > 20000);
        assert_int_equal(r.values[SA_NODE_PIDS_LIMIT], spec.pids);
        assert_true(r.values[SA_NODE_MEMORY_PEAK] >= r.values[SA_NODE_MEMORY_USED]);
    }
    node_answer(&node, node_send_id(&node, SA_NODE_FREEZE, spec.id), &r);
    assert_int_equal(r.type, privileged() ? SA_NODE_DONE : SA_NODE_FAILED);
    if (privileged()) {
        assert_int_equal(sa_write_all(link, "echo thawed\n", 12), 0);
        usleep(200000);
        char c;
        assert_int_equal(recv(link, &c, 1, MSG_DONTWAIT), -1); /* nothing runs */
        node_answer(&node, node_send_id(&node, SA_NODE_THAW, spec.id), &r);
        assert_int_equal(r.type, SA_NODE_DONE);
        char text[32];
        assert_int_equal(recv(link, text, 7, MSG_WAITALL), 7);
        assert_memory_equal(text, "thawed\n", 7);
    } else {
        assert_string_equal(r.error.path, "cgroup.freezer");
    }
    close(link);
}

static int64_t stat_of(const char *id, enum sa_node_type how, enum sa_node_tag tag)
{
    struct reply r;
    node_answer(&node, node_send_id(&node, how, id), &r);
    assert_int_equal(r.type, SA_NODE_STATS_REPLY);
    return r.values[tag];
}

/* Somebody else's next: nothing of before is seen any more, not even by the next node. */
static void test_counted_anew(void **state)
{
    struct sa_node_spec spec;
    struct reply r;
    (void)state;
    if (!privileged()) /* nothing counts but the watchdog, which begins where it is */
        return;
    int link = create(&spec, NULL);
    run(link, NULL, 0, "head -c 60M /dev/zero | tail | wc -c");
    run(link, NULL, 0, "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
    run(link, NULL, 0, "head -c 400M /dev/zero | tail | wc -c; sleep 1");
    node_event(&node, SA_NODE_OOM, &r);
    const int64_t kills = stat_of(spec.id, SA_NODE_STATS, SA_NODE_OOM_KILLS);
    assert_true(kills >= 1);
    assert_true(stat_of(spec.id, SA_NODE_STATS, SA_NODE_MEMORY_PEAK) > 50 << 20);
    const int64_t cpu = stat_of(spec.id, SA_NODE_RECOUNT, SA_NODE_CPU_US);
    assert_true(cpu > 20000);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(stat_of(spec.id, SA_NODE_STATS, SA_NODE_OOM_KILLS), 0);
        assert_in_range(stat_of(spec.id, SA_NODE_STATS, SA_NODE_CPU_US), 0, cpu / 2);
        assert_in_range(stat_of(spec.id, SA_NODE_STATS, SA_NODE_MEMORY_PEAK), 1, 40 << 20);
        if (i == 0)
            node_restart(&node);
    }
    node_answer(&node, node_send_id(&node, SA_NODE_ATTACH, spec.id), &r);
    assert_int_equal(r.type, SA_NODE_CREATED);
    assert_int_equal(r.oom_kills, 0);
    close(link);
    link = r.fd;
    run(link, NULL, 0, "head -c 400M /dev/zero | tail | wc -c; sleep 1");
    node_event(&node, SA_NODE_OOM, &r);
    assert_int_equal(r.oom_kills, 1);
    assert_true(stat_of(spec.id, SA_NODE_RECOUNT, SA_NODE_MEMORY_PEAK) > 50 << 20);
    node_answer(&node, node_send_id(&node, SA_NODE_RECOUNT, "sb-nobody"), &r);
    assert_int_equal(r.error.code, SA_ENOTFOUND);
    close(link);
}

/* ---- its life ---- */

static int count_processes_of(pid_t parent)
{
    int count = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *e; (e = readdir(proc));) {
        char text[32];
        status_line((pid_t)atoi(e->d_name), "PPid:", text, sizeof text);
        count += atoi(text) == parent;
    }
    closedir(proc);
    return count;
}

static void test_destroy_leaves_nothing(void **state)
{
    struct sa_node_spec spec;
    struct reply r;
    (void)state;
    int link = create(&spec, NULL);
    pid_t pid = host_pid(&node);
    assert_int_equal(cgroups_of(node.state, spec.id) > 0, privileged());
    run(link, NULL, 0, "setsid sleep 1000 & setsid sh -c 'trap \"\" TERM; sleep 1000' &");
    node_destroy(&node, spec.id);
    assert_int_equal(kill(pid, 0), -1);
    assert_true(count_processes_of(node.pid) <= 1);                        /* a spare */
    node_answer(&node, node_send_id(&node, SA_NODE_DESTROY, spec.id), &r); /* again: no error */
    assert_int_equal(r.type, SA_NODE_DESTROYED);
    char c;
    assert_int_equal(read(link, &c, 1), 0);
    close(link);
}

static void test_frozen_sandbox_can_be_destroyed(void **state)
{
    struct sa_node_spec spec;
    struct reply r;
    (void)state;
    int link = create(&spec, NULL);
    node_answer(&node, node_send_id(&node, SA_NODE_FREEZE, spec.id), &r);
    assert_int_equal(r.type, SA_NODE_DONE);
    node_destroy(&node, spec.id);
    close(link);
}

static void test_end_of_pid_1_is_told(void **state)
{
    struct sa_node_spec spec;
    struct reply r;
    (void)state;
    int link = create(&spec, NULL);
    assert_int_equal(write(link, "!end\n", 5), 5);
    node_event(&node, SA_NODE_EXITED, &r);
    assert_string_equal(r.id, spec.id);
    assert_string_equal(r.reason, "exited 0");
    assert_int_equal(cgroups_of(node.state, spec.id), 0);
    close(link);
    link = create(&spec, NULL);
    if (kill(host_pid(&node), SIGKILL) == 0) {
        node_event(&node, SA_NODE_EXITED, &r);
        assert_string_equal(r.reason, "killed by signal 9");
    }
    close(link);
}

static void test_many_at_once(void **state)
{
    enum { MANY = 12 };
    uint32_t calls[MANY];
    struct sa_node_spec specs[MANY];
    int links[MANY], created = 0;
    struct reply r;
    (void)state;
    for (int i = 0; i < MANY; i++) {
        spec_default(&specs[i]);
        calls[i] = node_send_create(&node, &specs[i]);
    }
    while (created < MANY) {
        assert_true(node_receive(&node, &r, 15000));
        assert_int_equal(r.type, SA_NODE_CREATED);
        for (int i = 0; i < MANY; i++)
            if (calls[i] == r.call) {
                assert_string_equal(r.id, specs[i].id);
                links[i] = r.fd;
                created++;
            }
    }
    for (int i = 0; i < MANY; i++)
        expect(links[i], "echo one > /tmp/mine; ls /tmp", "mine\n");
    for (int i = 0; i < MANY; i++) {
        node_destroy(&node, specs[i].id);
        close(links[i]);
    }
}

/* ---- refusals ---- */

static void test_bad_requests_are_refused(void **state)
{
    struct sa_node_spec spec;
    struct reply r;
    char control[] = "cgroup.gpu", *list[] = {control};
    (void)state;
    int link = create(&spec, NULL);
    node_answer(&node, node_send_create(&node, &spec), &r); /* the id is taken */
    assert_int_equal(r.type, SA_NODE_FAILED);
    assert_int_equal(r.error.code, SA_ECONFLICT);
    spec_default(&spec);
    spec.require = list;
    spec.require_count = 1;
    node_answer(&node, node_send_create(&node, &spec), &r);
    assert_int_equal(r.type, SA_NODE_FAILED);
    assert_int_equal(r.error.code, SA_ECONTROL);
    assert_string_equal(r.error.path, "cgroup.gpu");
    spec_default(&spec);
    spec.pids = 1;
    node_answer(&node, node_send_create(&node, &spec), &r);
    assert_int_equal(r.error.code, SA_EPROTOCOL);
    node_answer(&node, node_send_id(&node, SA_NODE_STATS, "sb-aaaaaaaaaaaaaaaaaaaa"), &r);
    assert_int_equal(r.error.code, SA_ENOTFOUND);
    node_answer(&node, node_send(&node, (enum sa_node_type)999, NULL), &r);
    assert_int_equal(r.error.code, SA_EPROTOCOL);
    close(link);
}

static void test_required_controls(void **state)
{
    struct sa_node_spec spec;
    struct reply r;
    char range[] = "userns.range", memory[] = "cgroup.memory", *list[] = {range, memory};
    (void)state;
    spec_default(&spec);
    spec.require = list;
    spec.require_count = 2;
    node_answer(&node, node_send_create(&node, &spec), &r);
    if (privileged()) {
        assert_int_equal(r.type, SA_NODE_CREATED);
        close(r.fd);
        return;
    }
    assert_int_equal(r.type, SA_NODE_FAILED);
    assert_int_equal(r.error.code, SA_ECONTROL);
    assert_string_equal(r.error.path, "userns.range");
    assert_int_equal(count_processes_of(node.pid) <= 1, 1);
}

static void test_destroy_while_starting(void **state)
{
    struct sa_node_spec spec;
    struct reply first, second;
    (void)state;
    for (int i = 0; i < 20; i++) {
        spec_default(&spec);
        uint32_t create_call = node_send_create(&node, &spec);
        uint32_t destroy_call = node_send_id(&node, SA_NODE_DESTROY, spec.id);
        node_answer(&node, create_call, &first);
        if (first.type == SA_NODE_CREATED)
            close(first.fd);
        else
            assert_int_equal(first.error.code, SA_ECANCELED);
        node_answer(&node, destroy_call, &second);
        assert_int_equal(second.type, SA_NODE_DESTROYED);
        assert_int_equal(cgroups_of(node.state, spec.id), 0);
    }
}

/* As root with control groups: the freezer is one. */
static int start_privileged(void **state)
{
    if (geteuid() != 0)
        skip();
    return start(state);
}

#define WITH_NODE(test) cmocka_unit_test_setup_teardown(test, start, finish)

static const struct CMUnitTest tests[] = {
    WITH_NODE(test_controls_are_listed),
    WITH_NODE(test_locks_are_shut),
    WITH_NODE(test_ids_are_its_own),
    WITH_NODE(test_namespaces_are_its_own),
    WITH_NODE(test_root_holds_only_what_we_put),
    WITH_NODE(test_nothing_is_inherited),
    WITH_NODE(test_system_calls_are_refused),
    WITH_NODE(test_telling_calls_are_reported),
    WITH_NODE(test_flood_of_denials_is_bounded),
    WITH_NODE(test_storage_is_capped),
    WITH_NODE(test_fork_bomb_is_contained),
    WITH_NODE(test_memory_is_capped),
    WITH_NODE(test_stats_and_freezer),
    WITH_NODE(test_counted_anew),
    WITH_NODE(test_destroy_leaves_nothing),
    WITH_NODE(test_end_of_pid_1_is_told),
    WITH_NODE(test_many_at_once),
    WITH_NODE(test_bad_requests_are_refused),
    WITH_NODE(test_required_controls),
    WITH_NODE(test_destroy_while_starting),
};

static const struct CMUnitTest privileged_tests[] = {
    cmocka_unit_test_setup_teardown(test_frozen_sandbox_can_be_destroyed, start_privileged, finish),
};

int main(void)
{
    int failures = cmocka_run_group_tests_name("as the caller", tests, NULL, NULL);
    failures += cmocka_run_group_tests_name("privileged", privileged_tests, NULL, NULL);
    if (geteuid() == 0) {
        as_uid = NOBODY;
        failures += cmocka_run_group_tests_name("unprivileged", tests, NULL, NULL);
    }
    return failures;
}
