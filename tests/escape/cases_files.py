"""The section Files of the threat list."""
import ast
import contextlib
import fcntl
import os
import pathlib
import secrets
import socket
import subprocess
import tempfile

from .harness import case

FILES = "Files"


@contextlib.contextmanager
def marked():
    """A file on the host, readable by all, with a name and a content that nothing else has."""
    name = "escape-" + secrets.token_hex(12)
    with tempfile.TemporaryDirectory(prefix="secureagent-test-") as folder:
        os.chmod(folder, 0o755)
        path = pathlib.Path(folder) / name
        path.write_text(name)
        path.chmod(0o644)
        yield path


@case(FILES, "read /etc/shadow", "A")
def shadow(box):
    box.fails([f"open({path!r})" for path in (
        "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/sudoers", "/etc/ssh/sshd_config",
        "/proc/self/root/etc/shadow", "/proc/1/root/etc/shadow", "/usr/../etc/shadow")], "ENOENT", "EACCES", "ENOTDIR")
    assert box.sh("cut -d: -f1 /etc/passwd") == "root\nuser\nnobody\n"


@case(FILES, "the host's home, /root, /var, /opt, /srv, /mnt, /boot", "A")
def home(box):
    assert box.sh("ls -A /root /var /home /home/user | tr '\\n' ' '; ls -d /opt /srv /mnt /boot /sys /media 2>/dev/null").replace("/var: cache", "/var:") in (
        "/home: user  /home/user: attempt  /root:  /var: run tmp ", "/home: user  /home/user:  /root:  /var: run tmp ")


@case(FILES, "a world-readable file of the host", "A")
def host_file(box):
    with marked() as path:
        box.fails(f"open({str(path)!r})", "ENOENT")
        box.fails(f"open('/proc/1/root{path}')", "EACCES", "ENOENT", "EPERM")
        assert box.sh(f"find / -name '{path.name}' 2>/dev/null") == ""


@case(FILES, "the server's database and key", "A")
def data_folder(box):
    folder = box.world.server.data_dir
    box.fails(f"os.listdir({str(folder)!r})", "ENOENT")
    assert box.sh("find / -name '*.db' -o -name cli.json 2>/dev/null | grep -v '^/usr/\\|^/proc/' ") == ""


@case(FILES, "write /usr and /etc", "E")
def write_system(box):
    box.fails([f"open({path!r}, 'ab')" for path in (
        "/usr/x", "/etc/x", "/bin/x", "/x", "/lib/x", "/etc/passwd", "/usr/bin/env", "/dev/x", "/var/x", "/root/x", "/home/x",
        "/run/x", "/etc/ssl/certs/x")], "EROFS", "EACCES")
    box.fails("open('/proc/x', 'ab')", "ENOENT", "EACCES")
    box.fails(["os.chmod('/usr/bin/env', 0o777)", "os.unlink('/usr/bin/env')", "os.rename('/etc/hosts', '/tmp/h')",
               "os.link('/etc/hosts', '/tmp/l')", "os.symlink('/tmp', '/etc/l')", "os.mkdir('/usr/d')",
               "os.utime('/etc/hosts')", "os.setxattr('/etc/hosts', 'user.x', b'')", "os.chown('/etc/hosts', 1000, 1000)"],
              "EROFS", "EACCES", "EPERM", "EXDEV")


@case(FILES, "swap a bind source for a symlink", "E")
def swap_bind(box):
    folders = ("/workspace", "/tmp", "/home/user", "/dev/shm", "/proc", "/usr", "/dev/null")
    box.fails([f"os.rename({f!r}, {f + '-old'!r})" for f in folders], "EBUSY", "EROFS", "EACCES", "EXDEV", "EPERM", "ENOENT")
    box.fails([f"os.rmdir({f!r})" for f in folders], "EBUSY", "EROFS", "EACCES", "ENOTDIR", "EPERM")
    box.fails([f"os.symlink('/etc', {f!r})" for f in folders], "EEXIST", "EROFS")
    # A folder swapped under the API's hands leads nowhere else (tests/api has the race).
    box.sh("rm -rf /workspace/s; ln -s /etc /workspace/s")
    answer = box.api.request("PUT", box.api.file(box.id, "/workspace/s/passwd"), data=b"x")
    assert answer.status_code in (400, 403, 404, 409), answer.text
    box.sh("rm /workspace/s")


@case(FILES, "inherited descriptors (CVE-2024-21626): only 0-2 are open", "A")
def descriptors(box):
    code = "import os; print(sorted(os.listdir('/proc/self/fd'), key=int)[:-1], os.getcwd())"
    assert box.sh(["python3", "-c", code]) == "['0', '1', '2'] /workspace\n"
    # The code of a language comes on 3: a sealed copy in memory, for reading only.
    assert box.api.execute(box.id, language="bash", code="ls -l /proc/$$/fd | grep -c ' 255 \\| 3 -> '")["exitCode"] == 0
    links = box.python("import os\nfor fd in sorted(os.listdir('/proc/self/fd')):\n"
                       "    try: print(fd, os.readlink('/proc/self/fd/' + fd))\n    except OSError: pass")
    for line in links.splitlines():
        target = line.split(" ", 1)[1]
        assert target.startswith(("pipe:", "/dev/null", "/memfd:code", "/proc/")) or "/fd" in target, links
    box.fails("os.write(3, b'x')", "EBADF", "EPERM")
    box.fails("os.listdir('/proc/1/fd')", "EACCES", "EPERM")


@case(FILES, "the working folder and .. stay inside", "E")
def dotdot(box):
    code = ("import os\nfor _ in range(64): os.chdir('..')\nprint(os.getcwd(), os.path.samestat(os.stat('.'), os.stat('/')),"
            "os.path.exists('/workspace'))")
    assert box.python(code) == "/ True True"
    code = "import os\nfd = os.open('/', os.O_RDONLY)\nos.fchdir(fd)\nos.chdir('../../..')\nprint(os.listdir('.') == os.listdir('/'))"
    assert box.python(code) == "True"


@case(FILES, "chroot", "E D")
def chroot(box):
    with box.told("chroot"):
        box.refused("chroot")


@case(FILES, "a Unix socket of the host by its path", "A")
def unix_socket(box):
    with tempfile.TemporaryDirectory(prefix="secureagent-test-") as folder:
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "socket")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            os.chmod(path, 0o777)
            listener.listen()
            box.fails(f"socket.socket(socket.AF_UNIX).connect({path!r})", "ENOENT")
    box.fails([f"socket.socket(socket.AF_UNIX).connect({path!r})" for path in (
        "/run/docker.sock", "/var/run/docker.sock", "/run/systemd/private", "/run/dbus/system_bus_socket")], "ENOENT")
    assert box.sh("find / -xdev -type s 2>/dev/null; find /run /dev /tmp /usr -type s 2>/dev/null") == ""


@case(FILES, "an abstract Unix socket of the host", "E")
def abstract_socket(box):
    name = "\0escape-" + secrets.token_hex(8)
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        with socket.socket(socket.AF_UNIX, kind) as listener:
            listener.bind(name)
            if kind != socket.SOCK_DGRAM:
                listener.listen()
            box.fails(f"socket.socket(socket.AF_UNIX, {int(kind)}).connect({name!r})", "ECONNREFUSED", "EPERM")


@case(FILES, "the loopback of the host", "E")
def loopback(box):
    port = box.api.port
    for address in ("127.0.0.1", "::1", "0.0.0.0", "::ffff:127.0.0.1"):
        family = "socket.AF_INET6" if ":" in address else "socket.AF_INET"
        box.fails(f"socket.socket({family}).connect(({address!r}, {port}))", "ECONNREFUSED", "ENETUNREACH", "EADDRNOTAVAIL")


@case(FILES, "mknod", "E")
def mknod(box):
    for name, outcome in box.attempt("mknod-block", "mknod-memory").items():
        assert outcome in ("-1 EPERM", "-1 EACCES"), f"{name}: {outcome}"


@case(FILES, "a set-uid program gains nothing", "E")
def set_uid(box):
    box.sh("cp /usr/bin/id /tmp/id; chmod 6755 /tmp/id")
    assert box.sh("/tmp/id -u; /tmp/id -ru") == "1000\n1000\n"
    # The set-uid programs of the system, if there are any: none runs as another user.
    code = ("import os, subprocess\nn = 0\n"
            "for folder in ('/usr/bin', '/usr/sbin'):\n"
            "    for name in os.listdir(folder):\n"
            "        path = os.path.join(folder, name)\n"
            "        try: mode = os.stat(path).st_mode\n"
            "        except OSError: continue\n"
            "        if not mode & 0o6000 or not os.access(path, os.X_OK): continue\n"
            "        p = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=-3, stderr=-3)\n"
            "        try: text = open(f'/proc/{p.pid}/status').read()\n"
            "        except OSError: text = ''\n"
            "        for line in text.splitlines():\n"
            "            if line.startswith(('Uid:', 'Gid:')): assert set(line.split()[1:]) == {'1000'}, (path, line)\n"
            "        p.kill(); p.wait(); n += 1\n"
            "print(n)\n")
    assert int(box.python(code)) >= 0


@case(FILES, "remount read-only as writable", "E D")
def remount(box):
    with box.told("mount", times=2):
        box.refused("remount-usr", "remount-root")
    box.fails("open('/usr/x', 'w')", "EROFS")


@case(FILES, "uncover what is masked, leave the root", "E D")
def uncover(box):
    with box.told("umount2", "pivot_root"):
        box.refused("umount-mask", "umount-usr", "pivot_root")


@case(FILES, "open_by_handle_at", "E D")
def handles(box):
    with box.told("open_by_handle_at", "name_to_handle_at"):
        box.refused("open_by_handle_at", "name_to_handle_at")


WATCHER = """import ctypes, os, select, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
fd = libc.inotify_init1(os.O_NONBLOCK)
watched = {}
for path in ['/', '/etc', '/etc/passwd', '/etc/ssl', '/usr', '/usr/bin', '/usr/bin/env', '/usr/lib',
             '/usr/lib/x86_64-linux-gnu', '/dev', '/dev/null', '/dev/zero', '/dev/urandom', '/dev/full',
             '/bin/sh', os.path.realpath('/bin/sh'), '/run', '/home', '/proc', '/proc/sys']:
    if os.path.exists(path):
        wd = libc.inotify_add_watch(fd, path.encode(), 0xfff)
        assert wd >= 0, (path, ctypes.get_errno())
        watched[wd] = path
def seen():
    found = set()
    while select.select([fd], [], [], 0)[0]:
        data = os.read(fd, 65536)
        while data:
            wd, mask, cookie, length = struct.unpack_from('iIII', data)
            found.add(watched[wd] + ' ' + data[16:16 + length].rstrip(b'\\0').decode())
            data = data[16 + length:]
    return found
open('/usr/bin/env').close()
assert any(line.startswith('/usr/bin/env') for line in seen()), 'it does not even see itself'
print('ready', flush=True)
sys.stdin.readline()
print(sorted(seen()), flush=True)
"""


@case(FILES, "watch what the host and other sandboxes run and open (inotify)", "A", fresh=True)
def watch(box):
    if "rootfs.private" not in box.controls:
        code = ("import ctypes, errno\nlibc = ctypes.CDLL(None, use_errno=True)\nfd = libc.inotify_init1(0)\n"
                "for path in (b'/usr/bin', b'/dev/null', b'/etc/passwd'): print(libc.inotify_add_watch(fd, path, 0xfff), "
                "errno.errorcode[ctypes.get_errno()])")
        assert box.python(code).splitlines() == ["-1 ENOSPC"] * 3
        box.needs("rootfs.private")
    box.api.put(box.id, "/home/user/watcher.py", WATCHER)
    box.sh("mkfifo /tmp/go; (exec python3 /home/user/watcher.py </tmp/go >/tmp/seen 2>&1) & exec 3>/tmp/go; "
           "(sleep 600 >&3 </dev/null 2>/dev/null) >/dev/null 2>&1 </dev/null & "
           "until grep -qs . /tmp/seen; do sleep 0.05; done")
    assert box.api.read(box.id, "/tmp/seen") == b"ready\n"
    other = box.world.box()
    try:
        other.python("import subprocess, json\nsubprocess.run(['/usr/bin/env'])\nopen('/etc/passwd').read()\n"
                     "open('/dev/null', 'w').write('x')\nopen('/dev/zero', 'rb').read(1)\nopen('/dev/urandom', 'rb').read(1)")
        other.sh("cat /etc/passwd; ls /usr /usr/bin /etc /dev >/dev/null")
    finally:
        other.delete()
    subprocess.run(["/usr/bin/env"], stdout=subprocess.DEVNULL, check=True)
    subprocess.run(["/bin/sh", "-c", "ls /usr/bin /etc /dev >/dev/null; cat /etc/passwd /usr/bin/env </dev/zero >/dev/null"], check=True)
    # It may see the shell that lets it go on.
    box.sh("echo >/tmp/go; until [ $(wc -l </tmp/seen) -ge 2 ]; do :; done")
    lines = box.api.read(box.id, "/tmp/seen").decode().splitlines()
    assert len(lines) == 2 and lines[0] == "ready", lines
    words = ("env", "passwd", "zero", "random", "python", "ssl")
    assert not {seen for seen in ast.literal_eval(lines[1]) if any(word in seen for word in words)}, lines


@case(FILES, "a lock (flock) on a file of /usr reaches others", "A")
def lock(box):
    if "no overlay" in box.weaker.get("rootfs.private", ""):
        box.needs("rootfs.private")
    box.sh("(exec 9</usr/bin/env; flock -x 9; exec sleep 600 </dev/null >/dev/null 2>&1) >/dev/null 2>&1 </dev/null & "
           "until ! flock -xn /usr/bin/env true; do sleep 0.05; done")
    other = box.world.box()
    try:
        assert other.run(["flock", "-xn", "/usr/bin/env", "true"])["exitCode"] == 0
    finally:
        other.delete()
    with open("/usr/bin/env", "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@case(FILES, "another tenant's workspace", "A")
def neighbours(box):
    other = box.world.box()
    try:
        name = "escape-" + secrets.token_hex(12)
        other.api.put(other.id, f"/workspace/{name}", b"theirs")
        other.api.put(other.id, f"/tmp/{name}", b"theirs")
        other.sh(f"(exec -a {name} sleep 60) >/dev/null 2>&1 & ")
        assert box.sh(f"find / -name '{name}' 2>/dev/null; find /proc/*/root/ -maxdepth 2 -name '{name}' 2>/dev/null") == ""
        assert name not in box.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        assert box.sh("ls /workspace /tmp /dev/shm | grep escape-") == ""
    finally:
        other.delete()
