"""The section Namespaces, capabilities."""
from .harness import case

SPACES = "Namespaces, capabilities"


@case(SPACES, "unshare", "E D")
def unshare(box):
    with box.told("unshare", times=5):
        box.refused("unshare-user", "unshare-mount", "unshare-net", "unshare-pid", "unshare-high")


@case(SPACES, "clone with new namespaces", "E D")
def clone(box):
    with box.told("clone", times=4):
        box.refused("clone-user", "clone-mount", "clone-net", "clone-all")


@case(SPACES, "clone3 is not there, and programs fall back", "E")
def clone3(box):
    box.refused("clone3", error="ENOSYS")
    assert box.python("import threading, subprocess\nt = threading.Thread(target=print, args=('thread',))\nt.start(); t.join()\n"
                      "print(subprocess.run(['echo', 'spawned'], capture_output=True, text=True).stdout.strip())") == \
        "thread\nspawned"
    result = box.api.execute(box.id, language="node", code="new (require('worker_threads').Worker)('console.log(1)', {eval: true})")
    assert result["stdout"] == "1\n", result


@case(SPACES, "further user namespaces are forbidden whatever a filter says", "E")
def namespace_limits(box):
    for kind in ("user", "mnt", "pid", "net", "ipc", "uts"):
        assert box.sh(f"cat /proc/sys/user/max_{kind}_namespaces") == "0\n", kind


@case(SPACES, "setns", "E D")
def setns(box):
    with box.told("setns", times=2):
        box.refused("setns", "setns-pidfd")


@case(SPACES, "every capability set is empty, and none can be raised", "E")
def capabilities(box):
    for who in ("self", "1"):
        text = box.sh(f"grep ^Cap /proc/{who}/status")
        assert [line.split()[1] for line in text.splitlines()] == ["0" * 16] * 5, text
    # Where a single id is mapped there is no 0 to become: EINVAL.
    for name, outcome in box.attempt("cap-raise", "setuid-root", "setgid-root", "setgroups").items():
        assert outcome in ("-1 EPERM", "-1 EINVAL"), f"{name}: {outcome}"


@case(SPACES, "NoNewPrivs is 1", "E")
def no_new_privs(box):
    for who in ("self", "1"):
        assert box.sh(f"awk '/NoNewPrivs/{{print $2}}' /proc/{who}/status") == "1\n"
    box.refused("nnp-off", error="EINVAL")


@case(SPACES, "kill the runtime", "E", fresh=True)
def kill_runtime(box):
    box.refused("kill-init", "term-init", "kill-init-high", "tkill-init", "tgkill-init", "queue-init")
    # Without a call of its own for it: by a descriptor, by group, all at once.
    box.python("import os, signal\nfd = os.pidfd_open(1)\n"
               "for s in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP, signal.SIGSEGV):\n"
               "    try: signal.pidfd_send_signal(fd, s)\n    except OSError: pass\n")
    box.lives()
    box.run("kill -KILL -1; kill -STOP -1; true", timeoutMs=5000)
    box.lives()


@case(SPACES, "ptrace the runtime", "E D")
def ptrace_runtime(box):
    with box.told("ptrace", times=2):
        box.refused("ptrace-init", "ptrace-seize-init")


@case(SPACES, "read the runtime's memory and descriptors", "E D")
def runtime_memory(box):
    closed = ("EACCES", "EPERM", "ENOENT")
    box.fails([f"open('/proc/1/{name}', 'rb').read(1)" for name in (
        "mem", "maps", "environ", "auxv", "stack", "syscall", "pagemap", "smaps", "io", "personality")], *closed)
    box.fails([f"os.readlink('/proc/1/{name}')" for name in ("root", "cwd", "exe", "fd/3", "ns/user")], *closed)
    box.fails("os.listdir('/proc/1/map_files')", *closed)
    box.fails(["put('/proc/1/mem', b'x')", "put('/proc/1/oom_score_adj', b'1000')"], *closed, "EROFS")
    with box.told("process_vm_readv", "pidfd_getfd", "process_madvise"):
        box.refused("vm-read-init", "pidfd_getfd-init", "process_madvise")
