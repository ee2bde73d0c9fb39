"""The section /proc, /sys, /dev."""
import glob
import os
import pathlib
import secrets
import socket
import subprocess

from .harness import case

PROC = "/proc, /sys, /dev"
NULL = "stat.S_ISCHR(os.stat({0!r}).st_mode) and os.stat({0!r}).st_rdev == os.makedev(1, 3)"


def absent_or_null(box, *paths):
    """They are not there, may not be opened, or are /dev/null in their place."""
    for path, error in zip(paths, box.errors_of(f"open({p!r}).close()" for p in paths)):
        assert error in ("ENOENT", "EACCES", "EPERM", "ENXIO") or \
            box.python(f"import os, stat; print({NULL.format(path)})") == "True", f"{path} can be opened"


@case(PROC, "write core_pattern, sysrq and other switches of the kernel", "E")
def switches(box):
    box.fails([f"put({path!r}, b'1')" for path in (
        "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/overcommit_memory",
        "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/hostname", "/proc/sys/user/max_user_namespaces",
        "/proc/sys/fs/binfmt_misc/register")], "EROFS", "EACCES", "EPERM", "ENOENT")
    absent_or_null(box, "/proc/sysrq-trigger")
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text()
    box.sh("echo '|/tmp/x' > /proc/sys/kernel/core_pattern 2>/dev/null; ulimit -c unlimited; true")
    assert pathlib.Path("/proc/sys/kernel/core_pattern").read_text() == pattern


@case(PROC, "kcore, kallsyms, kmsg and what else shows the kernel's insides", "A")
def kernel_memory(box):
    absent_or_null(box, *("/proc/" + name for name in ("kcore", "kmsg", "kallsyms", "modules", "iomem", "ioports", "slabinfo", "vmallocinfo", "timer_list",
                 "kpagemap", "kpagecount", "kpageflags", "sched_debug", "keys", "key-users", "interrupts", "config.gz")))
    for folder in ("/proc/acpi", "/proc/fs", "/proc/bus", "/proc/irq", "/proc/driver", "/proc/scsi", "/proc/tty"):
        assert box.sh(f"ls -A {folder} 2>/dev/null") == "", folder


@case(PROC, "processes of the host and their environments", "A")
def host_processes(box):
    secret = "escape-" + secrets.token_hex(12)
    with subprocess.Popen(["sleep", "60"], env={"SECRET": secret}) as process:
        try:
            pids = [int(p) for p in box.sh("ls /proc").split() if p.isdigit()]
            assert len(pids) < 10 and max(pids) < 30000, pids
            assert secret not in box.sh("cat /proc/[0-9]*/environ /proc/[0-9]*/task/*/environ 2>/dev/null | tr '\\0' '\\n'")
            box.fails(f"os.kill({process.pid}, 0)", "ESRCH")
            box.fails(f"os.kill({os.getpid()}, 0)", "ESRCH")
            box.fails("open('/proc/1/environ').read()", "EACCES", "EPERM")
        finally:
            process.kill()


@case(PROC, "overwrite /proc/self/exe of a helper (CVE-2019-5736)", "E")
def helper_exe(box):
    from tests.helpers.server import BIN
    before = {name: (BIN / name).read_bytes() for name in ("execution-runtime", "sandbox-node", "agent-api")}
    box.fails("open('/proc/1/exe', 'r+b')", "EACCES", "EPERM")
    box.fails("open('/proc/1/exe', 'rb')", "EACCES", "EPERM")
    box.fails("os.readlink('/proc/1/exe')", "EACCES", "EPERM", "ENOENT")
    box.fails("open('/proc/self/exe', 'r+b')", "EROFS", "ETXTBSY", "EACCES")
    # A program that pretends to be one of ours when it is looked at changes nothing either.
    box.sh("cp /usr/bin/sleep /tmp/execution-runtime; ln -sf /proc/1/exe /tmp/l; echo x >> /tmp/l 2>/dev/null")
    other = box.world.box()
    other.lives()
    other.delete()
    assert before == {name: (BIN / name).read_bytes() for name in before}


@case(PROC, "cgroup release_agent (CVE-2022-0492)", "A")
def release_agent(box):
    assert box.sh("ls -d /sys/fs/cgroup /sys 2>/dev/null; find / -name release_agent -o -name cgroup.procs 2>/dev/null | "
                  "grep -v ^/usr/") == ""
    assert "cgroup" not in {line.split()[2] for line in box.sh("cat /proc/mounts").splitlines()}
    with box.told("mount"):
        box.refused("mount-cgroup")


@case(PROC, "debugfs, tracefs, efivars, bpffs, securityfs", "A")
def kernel_filesystems(box):
    box.fails([f"os.listdir({path!r})" for path in (
        "/sys/kernel/debug", "/sys/kernel/tracing", "/sys/firmware/efi/efivars", "/sys/fs/bpf", "/sys/kernel/security",
        "/sys/class", "/sys/devices", "/sys/module")], "ENOENT")
    with box.told("mount"):
        box.refused("mount-debugfs")


@case(PROC, "memory, kvm, disks and other devices", "A")
def devices(box):
    box.fails([f"os.stat('/dev/{name}')" for name in (
        "mem", "kmem", "port", "kvm", "fuse", "loop-control", "loop0", "sda", "vda", "nvme0n1", "dm-0", "mapper/control",
        "net/tun", "vhost-net", "vsock", "dri", "input", "snd", "kmsg", "hpet", "rtc0", "cpu", "uinput", "mqueue")], "ENOENT")
    there = set(box.sh("ls /dev").split())
    assert there == {"null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "stdout", "stderr", "ptmx", "pts", "shm"}
    box.fails([f"os.stat('/dev/{name}')" for name in {os.path.basename(p) for p in glob.glob("/dev/*")} - there], "ENOENT")
    box.fails("put('/dev/full', b'x')", "ENOSPC")


@case(PROC, "the host's name, command line of the kernel, mounts", "A")
def masked(box):
    assert box.sh("hostname").strip() != socket.gethostname()
    assert box.sh("cat /proc/sys/kernel/hostname").strip() == box.id
    absent_or_null(box, "/proc/cmdline")
    points = {line.split()[4] for line in box.sh("cat /proc/self/mountinfo").splitlines()}
    allowed = ("/proc/", "/dev/")
    single = {"/", "/usr", "/etc/ssl/certs", "/etc/alternatives", "/etc/fonts", "/dev", "/proc", "/workspace", "/tmp", "/home/user",
              "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/var/cache/go-build"}
    assert not {p for p in points if p not in single and not p.startswith(allowed)}, points
    text = box.sh("cat /proc/self/mountinfo /proc/mounts /proc/self/mountstats")
    for secret in (str(box.world.server.folder), "/root/", "/home/" + os.environ.get("USER", "root") + "/"):
        assert secret not in text, secret
    assert box.sh("cat /proc/partitions /proc/diskstats 2>/dev/null") == ""
