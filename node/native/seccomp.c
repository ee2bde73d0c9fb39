/* Compiling the filters. See seccomp.h for how they play together. */
#include "native/seccomp.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "native/seccomp_ranges.h"
#include "native/seccomp_sets.h"
#include "native/sys.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>

#define NO_PERMISSION SCMP_ACT_ERRNO(EPERM)
#define NO_SUCH_CALL SCMP_ACT_ERRNO(ENOSYS)
#define NOTHING_TO_DO SCMP_ACT_ERRNO(0) /* it succeeds without being made */
#define LOW32 0xffffffffu               /* int arguments: the kernel ignores what is above */
#define INT_IS(argument, value) SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, LOW32, (value))

/* clone(2) flags that make a namespace. */
static const unsigned namespaces[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                      CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};

/* ioctl(2) requests that the guard refuses, whatever their upper bits. */
static const unsigned ioctls_refused[] = {
    TIOCSTI, 0x541C /* TIOCLINUX */, TIOCSETD, TIOCCONS, TIOCSSERIAL, TIOCVHANGUP,
    0x4B3A /* KDSETMODE */};

static int number_of(const char *name)
{
    int number = seccomp_syscall_resolve_name(name);
    return number < 0 ? -1 : number;
}

/* First failure of a series of rules; libseccomp answers with a negative errno. */
struct rules {
    scmp_filter_ctx ctx;
    int rc;
};

static void rule(struct rules *r, uint32_t action, int number, unsigned count,
                 const struct scmp_arg_cmp *compare)
{
    if (r->rc == 0 && number >= 0)
        r->rc = seccomp_rule_add_array(r->ctx, action, number, count, compare);
}

static void rule1(struct rules *r, uint32_t action, const char *name, struct scmp_arg_cmp compare)
{
    rule(r, action, number_of(name), 1, &compare);
}

static void allow_socket(struct rules *r, int family, int type, int protocol)
{
    const struct scmp_arg_cmp compare[] = {INT_IS(0, (unsigned)family),
                                           SCMP_CMP(1, SCMP_CMP_MASKED_EQ, 0xf, (unsigned)type),
                                           INT_IS(2, (unsigned)protocol)};
    rule(r, SCMP_ACT_ALLOW, number_of("socket"), 3, compare);
}

/* Stream and datagram sockets of this machine and of IP, and questions about routes: no raw
 * packets, no protocol that would make the kernel load a module. */
static void add_sockets(struct rules *r)
{
    const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    const int families[] = {AF_INET, AF_INET6};
    for (size_t i = 0; i < SA_COUNT(types); i++)
        allow_socket(r, AF_UNIX, types[i], 0);
    for (size_t i = 0; i < SA_COUNT(families); i++) {
        allow_socket(r, families[i], SOCK_STREAM, 0);
        allow_socket(r, families[i], SOCK_STREAM, IPPROTO_TCP);
        allow_socket(r, families[i], SOCK_DGRAM, 0);
        allow_socket(r, families[i], SOCK_DGRAM, IPPROTO_UDP);
    }
    allow_socket(r, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    allow_socket(r, AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE);
}

static void add_clone(struct rules *r, uint32_t telling_action)
{
    unsigned all = 0;
    for (size_t i = 0; i < SA_COUNT(namespaces); i++) {
        all |= namespaces[i];
        if (telling_action != SCMP_ACT_ALLOW)
            rule1(r, telling_action, "clone",
                  SCMP_CMP(0, SCMP_CMP_MASKED_EQ, namespaces[i], namespaces[i]));
    }
    if (telling_action == SCMP_ACT_ALLOW)
        rule(r, SCMP_ACT_ALLOW, number_of("clone"), 0, NULL);
    else
        rule1(r, SCMP_ACT_ALLOW, "clone", SCMP_CMP(0, SCMP_CMP_MASKED_EQ, all, 0));
}

static void add_personality(struct rules *r)
{
    const unsigned sane[] = {PER_LINUX, PER_LINUX32, UNAME26, PER_LINUX32 | UNAME26, LOW32};
    for (size_t i = 0; i < SA_COUNT(sane); i++)
        rule1(r, SCMP_ACT_ALLOW, "personality", INT_IS(0, sane[i]));
}

/* Own limits only. For programs RLIMIT_RTTIME, the highest there is, stays as it is: it carries the
 * mark by which the runtime knows what belongs to an execution (runtime/proc.c). */
static void add_limits(struct rules *r, uint32_t telling_action, bool old, bool new)
{
    if (telling_action !=
        SCMP_ACT_ALLOW) { /* the runtime puts marks on others and looks for them */
        rule(r, SCMP_ACT_ALLOW, number_of("setrlimit"), 0, NULL);
        rule1(r, SCMP_ACT_ALLOW, "prlimit64", INT_IS(0, 0));
        rule1(r, SCMP_ACT_ALLOW, "prlimit64", INT_IS(1, RLIMIT_RTTIME));
        return;
    }
    for (unsigned resource = 0; resource < RLIMIT_RTTIME; resource++) {
        const struct scmp_arg_cmp own[] = {INT_IS(0, 0), INT_IS(1, resource)};
        if (old)
            rule1(r, SCMP_ACT_ALLOW, "setrlimit", INT_IS(0, resource));
        if (new)
            rule(r, SCMP_ACT_ALLOW, number_of("prlimit64"), 2, own);
    }
    const struct scmp_arg_cmp look[] = {INT_IS(0, 0), INT_IS(1, RLIMIT_RTTIME),
                                        SCMP_CMP(2, SCMP_CMP_EQ, 0, 0)};
    if (new)
        rule(r, SCMP_ACT_ALLOW, number_of("prlimit64"), 3, look);
}

static bool by_argument(int number)
{
    static const char *const names[] = {"clone", "personality", "prlimit64", "setrlimit", "socket"};
    for (size_t i = 0; i < SA_COUNT(names); i++)
        if (number_of(names[i]) == number)
            return true;
    return false;
}

/* ---- what a profile says, as numbers ---- */

enum { CALLS = 1024 }; /* numbers of system calls are below that */

struct calls {
    bool has[CALLS];
};

static void add_call(struct calls *calls, const char *name)
{
    const int number = number_of(name);
    if (number >= 0 && number < CALLS)
        calls->has[number] = true;
}

static void add_list(struct calls *calls, struct sa_name_list list)
{
    for (size_t i = 0; i < list.count; i++)
        add_call(calls, list.names[i]);
}

static bool in_list(struct sa_name_list list, const char *name)
{
    for (size_t i = 0; i < list.count; i++)
        if (strcmp(list.names[i], name) == 0)
            return true;
    return false;
}

static int refuse(struct sa_error *err, const char *language, const char *name, const char *why)
{
    return sa_error_at(err, SA_ECONTROL, "seccomp", "the filter \"%s\": %s %s", language, name,
                       why);
}

/* The floor: what may be allowed is in a set. */
static int add_allowed(struct calls *calls, const char *language, const char *name,
                       struct sa_error *err)
{
    if (name[0] == '@') {
        const int set = sa_set_find(name + 1);
        if (set < 0)
            return refuse(err, language, name, "is no set; `sandbox-node --calls` prints them");
        add_list(calls, sa_set_names((enum sa_set)set));
        return 0;
    }
    for (int set = 0; set < SA_SET_COUNT; set++)
        if (in_list(sa_set_names((enum sa_set)set), name)) {
            add_call(calls, name);
            return 0;
        }
    if (in_list(sa_set_telling(), name))
        return refuse(err, language, name, "is never allowed");
    return refuse(err, language, name,
                  "is no system call that can be allowed; `sandbox-node --calls` prints them");
}

static int add_telling(struct calls *calls, const char *language, const char *name,
                       struct sa_error *err)
{
    if (name[0] == '@' || seccomp_syscall_resolve_name(name) == __NR_SCMP_ERROR)
        return refuse(err, language, name, "is no system call that can be told");
    /* The namespaces of clone are told always; of these the argument decides. */
    if (by_argument(number_of(name)))
        return refuse(err, language, name, "is told by its arguments already");
    add_call(calls, name);
    return 0;
}

static int read_filter(const struct sa_profile_filter *f, struct calls *allow,
                       struct calls *telling, struct sa_error *err)
{
    for (size_t i = 0; i < f->allow.count; i++)
        if (add_allowed(allow, f->language, f->allow.items[i], err) < 0)
            return -1;
    for (size_t i = 0; i < f->telling.count; i++)
        if (add_telling(telling, f->language, f->telling.items[i], err) < 0)
            return -1;
    return 0;
}

/* ---- the filters ---- */

/* telling_action: SCMP_ACT_NOTIFY in `base`, SCMP_ACT_ALLOW in a language's. */
static void add_calls(struct rules *r, const struct calls *allow, const struct calls *telling,
                      uint32_t telling_action)
{
    for (int number = 0; number < CALLS && telling_action != SCMP_ACT_ALLOW; number++)
        if (telling->has[number])
            rule(r, telling_action, number, 0, NULL);
    /* Its flags are behind a pointer that no filter can read; glibc falls back to clone. */
    rule(r, NO_SUCH_CALL, number_of("clone3"), 0, NULL);
    if (allow->has[number_of("clone")])
        add_clone(r, telling_action);
    if (allow->has[number_of("personality")])
        add_personality(r);
    if (allow->has[number_of("socket")])
        add_sockets(r);
    if (allow->has[number_of("prlimit64")] || allow->has[number_of("setrlimit")])
        add_limits(r, telling_action, allow->has[number_of("setrlimit")],
                   allow->has[number_of("prlimit64")]);
}

/* Nobody slows PID 1 down, which has to end what runs too long: not by its number, and not with
 * all that the user has. */
static void guard_scheduling(struct rules *r)
{
    static const char *const by_pid[] = {"sched_setaffinity", "sched_setattr", "sched_setparam",
                                         "sched_setscheduler"};
    for (size_t i = 0; i < SA_COUNT(by_pid); i++)
        rule1(r, NO_PERMISSION, by_pid[i], INT_IS(0, 1));
    /* PRIO_PROCESS, PRIO_PGRP, PRIO_USER are 0, 1, 2; those of ioprio_set(2) begin with 1. */
    for (unsigned kind = 0; kind < 2; kind++) {
        const struct scmp_arg_cmp nice[] = {INT_IS(0, kind), INT_IS(1, 1)};
        const struct scmp_arg_cmp io[] = {INT_IS(0, kind + 1), INT_IS(1, 1)};
        rule(r, NO_PERMISSION, number_of("setpriority"), 2, nice);
        rule(r, NO_PERMISSION, number_of("ioprio_set"), 2, io);
    }
    rule1(r, NO_PERMISSION, "setpriority", INT_IS(0, 2));
    rule1(r, NO_PERMISSION, "ioprio_set", INT_IS(0, 3));
}

/* What may be shared with the host are the files of /usr: no watching who uses them (inotify has
 * its limit, steps_mount.c), no writing out of the host's disks. A sandbox's own files are in
 * memory, so that sync(2) has nothing to do. */
static void guard_shared_files(struct rules *r)
{
    rule1(r, NO_PERMISSION, "fcntl", INT_IS(1, F_NOTIFY));
    rule(r, NOTHING_TO_DO, number_of("sync"), 0, NULL);
    rule(r, NOTHING_TO_DO, number_of("syncfs"), 0, NULL);
}

/* What the kernel would keep of a file or of the network beyond their last user, without a time
 * stamp or a count that tells, so that who uses a sandbox next could read it. Where the memory of
 * files lies and how long what is written lives are advice, which it is as good not to take. */
static void guard_traces(struct rules *r)
{
    enum { FLOWLABEL_MGR = 32 }; /* linux/in6.h, which netinet/in.h does not go with */
    const struct scmp_arg_cmp labels[] = {INT_IS(1, IPPROTO_IPV6), INT_IS(2, FLOWLABEL_MGR)};
    rule1(r, NO_PERMISSION, "fcntl", INT_IS(1, F_SET_RW_HINT));
    rule(r, NOTHING_TO_DO, number_of("mbind"), 0, NULL);
    rule(r, NO_PERMISSION, number_of("setsockopt"), 2, labels);
}

/* Huge pages are the host's, reserved for those who asked for them, and counted by a controller of
 * their own, not with the sandbox's memory. */
static void guard_huge_pages(struct rules *r)
{
    rule1(r, NO_PERMISSION, "mmap", SCMP_CMP(3, SCMP_CMP_MASKED_EQ, MAP_HUGETLB, MAP_HUGETLB));
    rule1(r, NO_PERMISSION, "memfd_create",
          SCMP_CMP(1, SCMP_CMP_MASKED_EQ, MFD_HUGETLB, MFD_HUGETLB));
    rule1(r, NO_PERMISSION, "shmget", SCMP_CMP(2, SCMP_CMP_MASKED_EQ, SHM_HUGETLB, SHM_HUGETLB));
}

/* The guard: allow everything but what is refused by argument. */
static void add_guard(struct rules *r)
{
    static const char *const to_process[] = {"kill", "tkill", "tgkill", "rt_sigqueueinfo",
                                             "rt_tgsigqueueinfo"};
    for (size_t i = 0; i < SA_COUNT(ioctls_refused); i++)
        rule1(r, NO_PERMISSION, "ioctl", INT_IS(1, ioctls_refused[i]));
    for (size_t i = 0; i < SA_COUNT(to_process); i++)
        rule1(r, NO_PERMISSION, to_process[i], INT_IS(0, 1));
    rule1(r, NO_PERMISSION, "tgkill", INT_IS(1, 1));
    rule1(r, NO_PERMISSION, "rt_tgsigqueueinfo", INT_IS(1, 1));
    /* RLIMIT_CORE stays what it is (steps_ids.c). */
    const struct scmp_arg_cmp core[] = {INT_IS(1, RLIMIT_CORE), SCMP_CMP(2, SCMP_CMP_NE, 0, 0)};
    rule1(r, NO_PERMISSION, "setrlimit", INT_IS(0, RLIMIT_CORE));
    rule(r, NO_PERMISSION, number_of("prlimit64"), 2, core);
    guard_scheduling(r);
    guard_shared_files(r);
    guard_traces(r);
    guard_huge_pages(r);
}

/* The highest system call that libseccomp knows by name here. */
static unsigned highest_known(void)
{
    unsigned highest = 0;
    for (int number = 0; number < 1024; number++) {
        sa_autofree char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
        if (name)
            highest = (unsigned)number;
    }
    return highest;
}

/* Take the program out of libseccomp; what is always allowed (NULL: nothing) goes in front, with
 * "newer than known: ENOSYS" (jumps are relative, so the rest stays as it is). */
static int export(struct rules *r, const struct calls *always, struct sa_program *program,
                  struct sa_error *err)
{
    sa_autobuf code = SA_BUF_INIT;
    sa_autoclose int fd = memfd_create("filter", MFD_CLOEXEC);
    if (fd < 0 || r->rc < 0 || (r->rc = seccomp_export_bpf(r->ctx, fd)) < 0 ||
        lseek(fd, 0, SEEK_SET) < 0)
        return sa_error_sys(err, SA_ECONTROL, r->rc < 0 ? -r->rc : errno, "compile the filter");
    if (always)
        sa_ranges_emit(seccomp_arch_native(), always->has, highest_known() + 1, &code);
    for (;;) {
        ssize_t n = read(fd, sa_buf_reserve(&code, 8192), 8192);
        if (n < 0)
            return sa_error_sys(err, SA_ECONTROL, errno, "read the filter");
        if (n == 0)
            break;
        code.length += (size_t)n;
    }
    size_t count = code.length / sizeof(struct sock_filter);
    if (count == 0 || count > BPF_MAXINSNS)
        return sa_error_set(err, SA_ECONTROL, "a filter of %zu instructions", count);
    program->count = (unsigned short)count;
    program->code = (void *)sa_buf_steal(&code);
    return 0;
}

static int finish(struct rules *r, const struct calls *always, struct sa_program *program,
                  struct sa_error *err)
{
    int rc = export(r, always, program, err);
    seccomp_release(r->ctx);
    return rc;
}

static int begin(struct rules *r, uint32_t action, struct sa_error *err)
{
    *r = (struct rules){seccomp_init(action), 0};
    if (!r->ctx)
        return sa_error_at(err, SA_ECONTROL, "seccomp", "libseccomp cannot make a filter");
    r->rc = seccomp_attr_set(r->ctx, SCMP_FLTATR_ACT_BADARCH, NO_SUCH_CALL);
    return 0;
}

int sa_guard_compile(struct sa_program *guard, struct sa_error *err)
{
    struct rules r;
    if (begin(&r, SCMP_ACT_ALLOW, err) < 0)
        return -1;
    add_guard(&r);
    return finish(&r, NULL, guard, err);
}

/* Whatever the arguments. */
static struct calls always_allowed(const struct calls *allow, const struct calls *telling,
                                   uint32_t telling_action)
{
    struct calls always = {0};
    for (int number = 0; number < CALLS; number++)
        always.has[number] = telling->has[number] ? telling_action == SCMP_ACT_ALLOW
                                                  : allow->has[number] && !by_argument(number);
    return always;
}

static int compile(const struct calls *allow, const struct calls *telling, uint32_t telling_action,
                   struct sa_program *program, struct sa_error *err)
{
    struct rules r;
    if (begin(&r, NO_PERMISSION, err) < 0)
        return -1;
    add_calls(&r, allow, telling, telling_action);
    const struct calls always = always_allowed(allow, telling, telling_action);
    return finish(&r, &always, program, err);
}

/* One listener, that of `base`, hears of everything that is telling for anybody; so what is told
 * for one language cannot be allowed to another. */
static int check_told(const struct calls *allow, const struct calls *telling, const char *language,
                      struct sa_error *err)
{
    int count = 1; /* clone */
    for (int number = 0; number < CALLS; number++) {
        char name[32];
        count += telling->has[number];
        if (!telling->has[number] || !allow->has[number])
            continue;
        sa_call_name(number, name, sizeof name);
        return refuse(err, language, name, "is allowed, and telling here or in another filter");
    }
    if (count > SA_TELLING_MAX)
        return refuse(err, language, "telling", "names too many calls");
    return 0;
}

int sa_filters_compile(const struct sa_profile *profile, struct sa_program *programs,
                       struct sa_error *err)
{
    struct calls telling = {0}, *allow = sa_alloc(SA_PROFILE_FILTERS_MAX * sizeof *allow);
    int rc = 0;
    add_list(&telling, sa_set_telling());
    for (size_t i = 0; i < profile->filter_count && rc == 0; i++)
        rc = read_filter(&profile->filters[i], &allow[i], &telling, err);
    for (size_t i = 0; i < profile->filter_count && rc == 0; i++)
        rc = check_told(&allow[i], &telling, profile->filters[i].language, err);
    for (size_t i = 0; i < profile->filter_count && rc == 0; i++) {
        const bool base = strcmp(profile->filters[i].language, "base") == 0;
        for (unsigned set = 0; base && set < SA_SET_COUNT; set++)
            if (sa_set_runtime() >> set & 1)
                add_list(&allow[i], sa_set_names((enum sa_set)set));
        if (base)
            add_list(&allow[i], sa_set_runtime_calls());
        rc = compile(&allow[i], &telling, base ? SCMP_ACT_NOTIFY : SCMP_ACT_ALLOW, &programs[i],
                     err);
        if (rc < 0)
            sa_error_wrap(err, "the filter \"%s\"", profile->filters[i].language);
    }
    free(allow);
    return rc;
}

int sa_filter_install(const struct sa_program *program)
{
    const struct sock_fprog prog = {.len = program->count, .filter = program->code};
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
}

int sa_filter_install_listening(const struct sa_program *program)
{
    const struct sock_fprog prog = {.len = program->count, .filter = program->code};
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                        &prog);
}

void sa_call_name(int number, char *name, size_t size)
{
    sa_autofree char *known = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
    snprintf(name, size, "%s", known ? known : "?");
}

static void print_list(FILE *out, struct sa_name_list list)
{
    for (size_t i = 0; i < list.count; i++)
        fprintf(out, "%s\"%s\"", i ? ", " : "", list.names[i]);
}

int sa_calls_print(FILE *out)
{
    fputs("{\"sets\": {", out);
    for (int set = 0; set < SA_SET_COUNT; set++) {
        fprintf(out, "%s\n  \"%s\": [", set ? "," : "", sa_set_name((enum sa_set)set));
        print_list(out, sa_set_names((enum sa_set)set));
        fputs("]", out);
    }
    fputs("},\n \"never\": [", out);
    print_list(out, sa_set_telling());
    fputs("],\n \"runtime\": [", out);
    for (int set = 0; set < SA_SET_COUNT; set++)
        if (sa_set_runtime() >> set & 1)
            fprintf(out, "\"@%s\", ", sa_set_name((enum sa_set)set));
    print_list(out, sa_set_runtime_calls());
    fputs("]}\n", out);
    return fflush(out) == 0 && !ferror(out) ? 0 : 1;
}
