"""The section System calls: most of it is one table."""
from tests.helpers.client import wait_until

from .harness import case

CALLS = "System calls"

# title, attempts, the calls that become security events
TOLD = [
    ("io_uring", ["io_uring_setup", "io_uring_enter", "io_uring_register"],
     ["io_uring_setup", "io_uring_enter", "io_uring_register"]),
    ("keyctl, add_key, request_key", ["keyctl", "keyctl-join", "add_key", "request_key"], ["keyctl", "add_key", "request_key"]),
    ("bpf", ["bpf-map", "bpf-program"], ["bpf"]),
    ("perf_event_open", ["perf_event_open"], ["perf_event_open"]),
    ("userfaultfd", ["userfaultfd"], ["userfaultfd"]),
    ("ptrace across processes", ["ptrace-child", "ptrace-me"], ["ptrace"]),
    ("process_vm across processes", ["vm-read-child", "vm-write-child"], ["process_vm_readv", "process_vm_writev"]),
    ("kexec", ["kexec_load", "kexec_file_load"], ["kexec_load", "kexec_file_load"]),
    ("kernel modules", ["init_module", "finit_module", "delete_module"], ["init_module", "finit_module", "delete_module"]),
    ("mount", ["mount-tmpfs", "mount-bind", "mount-proc"], ["mount"]),
    ("fsopen and its kin", ["fsopen", "fsconfig", "fsmount", "fspick"], ["fsopen", "fsconfig", "fsmount", "fspick"]),
    ("move_mount, open_tree, mount_setattr", ["move_mount", "open_tree", "mount_setattr"],
     ["move_mount", "open_tree", "mount_setattr"]),
    ("pidfd_getfd", ["pidfd_getfd"], ["pidfd_getfd"]),
    ("kcmp", ["kcmp"], ["kcmp"]),
    ("swap, quota, accounting", ["swapon", "swapoff", "quotactl", "acct"], ["swapon", "swapoff", "quotactl", "acct"]),
    ("reboot, kernel log, ports, fanotify, vhangup", ["reboot", "syslog", "iopl", "ioperm", "fanotify_init", "vhangup"],
     ["reboot", "syslog", "iopl", "ioperm", "fanotify_init", "vhangup"]),
    ("host and domain name", ["sethostname", "setdomainname"], ["sethostname", "setdomainname"]),
]

for _title, _attempts, _calls in TOLD:
    def _told(box, attempts=_attempts, calls=_calls):
        with box.told(*calls):
            box.refused(*attempts)
    case(CALLS, _title, "E D")(_told)

SILENT = [
    ("TIOCSTI and TIOCLINUX, with high bits set too", ["tiocsti", "tiocsti-high", "tioclinux", "tioclinux-high"], "EPERM"),
    ("i386 entry", ["i386-getpid", "i386-mount"], "ENOSYS"),
    ("x32 entry", ["x32-getpid", "x32-ptrace"], "ENOSYS"),
    ("AF_PACKET", ["af-packet", "af-packet-dgram"], "EPERM"),
    ("AF_VSOCK", ["af-vsock"], "EPERM"),
    ("AF_ALG", ["af-alg", "af-alg-high"], "EPERM"),
    ("raw and exotic sockets", ["af-inet-raw", "af-inet6-raw", "af-inet-sctp", "af-xdp", "af-can", "af-bluetooth", "af-rds",
                                "af-tipc", "af-key"], "EPERM"),
    ("netfilter and other netlink", ["netlink-netfilter", "netlink-audit", "netlink-xfrm", "netlink-generic",
                                     "netlink-uevent"], "EPERM"),
    ("odd personality flags", ["personality-exec", "personality-aslr", "personality-zero", "personality-bsd",
                               "personality-high"], "EPERM"),
    ("modify_ldt", ["modify_ldt"], "EPERM"),
    ("calls that nobody knows yet", ["unknown-call"], "ENOSYS"),
    ("removing the filter", ["seccomp-off"], "EINVAL"),
    ("a listener of one's own", ["filter-listen"], "EBUSY"),
]

for _title, _attempts, _error in SILENT:
    def _silent(box, attempts=_attempts, error=_error):
        box.refused(*attempts, error=error)
    case(CALLS, _title, "E")(_silent)


@case(CALLS, "i386 programs", "E")
def i386_program(box):
    """The smallest 32-bit program: exit(42). It does not get as far."""
    code = bytes.fromhex("b801000000bb2a000000cd80")
    import struct
    head = b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, 0x08048054, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    program = struct.pack("<IIIIIIII", 1, 0, 0x08048000, 0x08048000, 84 + len(code), 84 + len(code), 5, 0x1000)
    box.api.put(box.id, "/home/user/small", head + program + code, query="?mode=755")
    result = box.run(["/home/user/small"])
    box.sh("rm /home/user/small")
    assert result["exitCode"] != 42, result


@case(CALLS, "a filter of one's own on top opens nothing", "E D")
def own_filter(box):
    with box.told("mount", times=2):
        box.refused("filter-on-top", "filter-trace")


@case(CALLS, "filters are in force for every program", "E")
def in_force(box):
    for body in ({"command": "grep Seccomp /proc/self/status"}, {"language": "bash", "code": "grep Seccomp /proc/self/status"},
                 {"language": "python", "code": "print(open('/proc/self/status').read())"},
                 {"language": "node", "code": "console.log(require('fs').readFileSync('/proc/self/status', 'utf8'))"}):
        lines = box.api.execute(box.id, **body)["stdout"].splitlines()
        assert "Seccomp:\t2" in lines, body
        filters = next(int(line.split()[1]) for line in lines if line.startswith("Seccomp_filters"))
        assert filters >= 3, "guard, base, and the one of the language"


@case(CALLS, "memfd and execveat: allowed, under the same filter", "E D")
def memfd(box):
    with box.told("mount"):
        assert box.attempt("memfd-exec") == {"memfd": "mount-tmpfs -1 EPERM"}


@case(CALLS, "huge pages of the host", "E")
def huge_pages(box):
    box.fails(["__import__('mmap').mmap(-1, 1 << 21, 0x22 | 0x40000)", "os.memfd_create('x', 4)"], "EPERM")
    assert box.python("import mmap\nprint(len(mmap.mmap(-1, 1 << 21)))") == str(1 << 21)


@case(CALLS, "higher priority", "E")
def priority(box):
    box.refused("nice-up", error="EACCES")
    box.refused("realtime")
    box.fails("put('/proc/self/oom_score_adj', b'-1000')", "EACCES", "EPERM")


@case(CALLS, "a file for the interpreters that wait (*.pth): same filter", "E", fresh=True)
def waiting_interpreters(box):
    """What a program leaves for the next interpreter runs in the template, too, before any program."""
    line = ("import os, sys; open('/tmp/seen', 'a').write(sys.argv[0] + ' ' + "
            "open('/proc/self/status').read().split('Seccomp_filters:')[1].split()[0] + chr(10))")
    box.python(f"import os, site\nd = site.getusersitepackages()\nos.makedirs(d)\nopen(d + '/x.pth', 'w').write({line!r})")
    own = box.python("print(open('/proc/self/status').read().split('Seccomp_filters:')[1].split()[0])")
    box.sh("for p in /proc/[0-9]*; do grep -q 'kernels[/]template' $p/cmdline && kill -9 ${p#/proc/}; done; true")

    def seen():
        box.python("print(1)")
        return [s.split() for s in box.sh("cat /tmp/seen 2>/dev/null || true").splitlines()]
    wait_until("a template to have run it", lambda: any(s[0].endswith("template.py") for s in seen()))
    assert {s[1] for s in seen()} == {own}, seen()
