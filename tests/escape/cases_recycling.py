"""The section Recycling: what one tenant leaves behind in a sandbox that goes back to its pool. Each case
has a pod of its own, sealed as a pool seals it and driven over its link (helpers/pods.py): after RESET
it is as it was, or RESET says that it is not, and the pod goes."""
import json
import os
import signal
import struct
import time

from tests.helpers import pods
from tests.helpers.client import wait_until

from .harness import case

FINGERPRINTED = "find /workspace /tmp /home/user /dev/shm -printf '%p %y %m %n %s %A@ %T@ %l\\n' | sort"
PRELOADED = ("mkdir -p /workspace/data /home/user/.local/lib && echo pristine > /workspace/data/model && "
             "echo x=1 > /home/user/.profile && ln -s data/model /workspace/latest")


def recycling(title, outcome="C", preload=PRELOADED, **spec):
    def register(function):
        def run(box):
            pod = box.world.pods().create(**spec)
            try:
                if callable(preload):
                    preload(pod)
                elif preload:
                    pod.sh(preload)
                pod.seal()
                function(pod)
            finally:
                pod.delete()
        case("Recycling", title, outcome)(run)
        return function
    return register


def comes_back(pod, script):
    """After it, Python or shell, RESET leaves all files as they were."""
    before = pod.sh(FINGERPRINTED)
    (pod.python if script.startswith("import") else pod.sh)(script)
    result = pod.reset()
    assert pod.sh(FINGERPRINTED) == before
    return result


def refused(call):
    try:
        call()
    except pods.Refused as error:
        return error
    raise AssertionError("it was not refused")


def alone(pod):
    there = pod.python("import os; print(*[open(f'/proc/{p}/comm').read() for p in os.listdir('/proc') if p.isdigit()])")
    assert there.split() == ["memfd:execution", "python3"], there


# ---- processes ----

@recycling("processes, double forks, ones that ignore or stop themselves, in sessions of their own")
def processes(pod):
    pod.sh("(setsid sleep 1000 & (sleep 1000 & sleep 1000) &) >/dev/null 2>&1 </dev/null; "
           "(trap '' TERM HUP INT; setsid sleep 1000 &) >/dev/null 2>&1 </dev/null")
    pod.start(["sh", "-c", "kill -STOP $$"])
    pod.start(["python3", "-c", "import signal, time\n"
               "for s in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}: signal.signal(s, signal.SIG_IGN)\n"
               "time.sleep(1000)"])
    assert pod.reset()["killed"] >= 5
    alone(pod)


@recycling("threads, timers, alarms")
def threads(pod):
    pod.start(["python3", "-c", "import signal, threading, time\n"
               "signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)\nsignal.signal(signal.SIGALRM, lambda *_: None)\n"
               "for _ in range(30): threading.Thread(target=time.sleep, args=(1000,)).start()"])
    pod.reset()
    alone(pod)


@recycling("fork storm while it is reset")
def fork_storm(pod):
    stream = pod.start([*"bash -c".split(), "bomb() { bomb | bomb & }; bomb; sleep 1000"])
    pod.reset()
    assert stream.ended
    alone(pod)


@recycling("open calls end first, as canceled, though nobody reads their output")
def open_calls(pod):
    streams = [pod.start(["sh", "-c", "yes"]), pod.start(["sleep", "1000"])]
    streams[0].unread = True
    pod.reset()
    for stream in streams:
        assert stream.ended
        assert "canceled" in refused(lambda s=stream: pod.wait(s)).message
    alone(pod)


# ---- files ----

@recycling("/workspace, /tmp, /dev/shm, home: files, dotfiles, folders, links, FIFOs, sockets")
def files(pod):
    comes_back(pod, "for d in /workspace /tmp /dev/shm /home/user; do cd $d; echo s > f; echo s > .hidden; mkdir -p a/.b/c; "
                    "echo s > a/.b/c/d; ln -s /etc/passwd s; mkfifo p; ln f a/hard; done")
    comes_back(pod, "import socket; socket.socket(socket.AF_UNIX).bind('/workspace/sock')")


@recycling("names with newlines, spaces and bytes that are no UTF-8")
def odd_names(pod):
    comes_back(pod, "import os\n"
               "for name in (b'a\\nb', b' ', b'\\xff\\xfe', b'-rf', b'*', b'\\x1b[2J', b'x' * 255, b'...'):\n"
               "    for root in (b'/workspace/', b'/tmp/'):\n"
               "        os.mkdir(root + name); open(root + name + b'/' + name, 'w').close()")


@recycling("folders that are closed to their owner, read-only files, changed modes and times")
def closed(pod):
    comes_back(pod, "mkdir -p /tmp/a/b/c && touch /tmp/a/b/c/f && chmod 0 /tmp/a/b/c /tmp/a/b /tmp/a; "
                    "chmod 0 /workspace /home/user /tmp; true",)
    comes_back(pod, "chmod 777 /workspace/data; chmod 400 /workspace/data/model; touch -d 2001-01-01 /workspace/data/model /workspace")


@recycling("a tree thousands of folders deep")
def deep(pod):
    comes_back(pod, "import os\nos.chdir('/workspace')\n"
               "for i in range(5000): os.mkdir('d'); os.chdir('d'); open('f', 'w').close()")


@recycling("100,000 files", inodes=150_000, storage=256 << 20, memory=1 << 30)
def many(pod):
    result = comes_back(pod, "import os\n"
                        "for i in range(100): os.mkdir(f'/workspace/{i}')\n"
                        "for i in range(100_000): os.close(os.open(f'/workspace/{i % 100}/{i}', os.O_CREAT | os.O_WRONLY))")
    assert result["removed"] >= 100_100


@recycling("sparse files of terabytes, a full disk", storage=16 << 20)
def sparse(pod):
    comes_back(pod, "truncate -s 4T /workspace/t; cat /dev/zero > /tmp/full 2>/dev/null; true")


@recycling("hard links, renames between folders while it is reset")
def races(pod):
    for _ in range(3):
        before = pod.sh(FINGERPRINTED)
        for number in range(4):
            pod.start(["python3", "-c", f"import os, itertools\nos.chdir('/workspace')\nn = {number}\n"
                       "for i in itertools.count():\n"
                       "    try:\n"
                       "        os.makedirs(f'r{n}/{i % 7}/x', exist_ok=True); os.symlink('/etc', f'r{n}/l{i}')\n"
                       "        open(f'r{n}/{i % 7}/f', 'w').close(); os.link(f'r{n}/{i % 7}/f', f'r{n}/h{i}')\n"
                       "        os.rename(f'r{n}', f's{n}'); os.rename(f's{n}', f'r{n}'); os.rename('data', 'dat'); os.rename('dat', 'data')\n"
                       "    except OSError: pass"])
        time.sleep(0.2)
        try:
            pod.reset()
        except pods.Refused as error:  # it caught the folder under its other name
            assert error.path.startswith("/workspace"), error
            return
        assert pod.sh(FINGERPRINTED) == before
        alone(pod)


@recycling("extended attributes and access control lists, very many")
def attributes(pod):
    comes_back(pod, "import os, struct\n"
               "for i in range(200):\n"
               "    try: os.setxattr('/workspace', f'user.{i}', b'x' * 1000); os.setxattr('/workspace/data', f'user.{i}', b'y' * 1000)\n"
               "    except OSError: break\n"
               "entries = ((1, 7, 2**32 - 1), (2, 7, 0), (4, 7, 2**32 - 1), (16, 7, 2**32 - 1), (32, 5, 2**32 - 1))\n"
               "acl = struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *e) for e in entries)\n"
               "for path in ('/workspace', '/workspace/data/model', '/tmp'):\n"
               "    try: os.setxattr(path, 'system.posix_acl_access', acl)\n"
               "    except OSError as e: print(e)")
    assert pod.python("import os; print([os.listxattr(p) for p in ('/workspace', '/tmp', '/workspace/data/model')])") == "[[], [], []]"


@recycling("files that are deleted and held open, passed on through sockets to nobody", storage=32 << 20)
def held_open(pod):
    pod.start(["python3", "-c", "import array, os, socket, time\n"
               "a, b = socket.socketpair(); f = open('/workspace/f', 'w+b'); f.write(b'x' * (8 << 20)); f.flush()\n"
               "os.unlink('/workspace/f'); m = os.memfd_create('m'); os.write(m, b'y' * (1 << 20))\n"
               "rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [f.fileno(), m, a.fileno(), b.fileno()]))]\n"
               "a.sendmsg([b'x'], rights); b.sendmsg([b'x'], rights); f.close(); print('ready', flush=True); time.sleep(1000)"])
    wait_until("the file to be gone", lambda: pod.sh("ls /workspace") == "data\nlatest" and "(deleted)" in pod.sh("ls -l /proc/*/fd 2>&1; true"))
    pod.reset()
    assert pod.sh("ls -A /workspace /tmp") == "/tmp:\n\n/workspace:\ndata\nlatest"


@recycling("chattr +i, mounts, detached mounts over what shall be removed", "E C")
def immutable(pod):
    comes_back(pod, "touch /workspace/f; chattr +i /workspace/f 2>/dev/null && exit 1; "
                    "mount -t tmpfs x /workspace/data 2>/dev/null && exit 1; "
                    "python3 -c \"import ctypes; l = ctypes.CDLL(None); assert l.syscall(428, -100, b'/workspace', 1) < 0\"")


# ---- what was sealed ----

@recycling("a sealed file with other contents: the pod goes")
def changed(pod):
    pod.sh("echo poisoned > /workspace/data/model")
    assert pod.unclean().path == "/workspace/data/model"


@recycling("a sealed file written through memory, which no time stamp shows: the pod goes")
def written_through_memory(pod):
    time.sleep(0.05)
    pod.reset()  # now its times are old enough to be believed
    stamps = "stat -c '%y %z' /workspace/data/model"
    before = pod.sh(stamps)
    pod.python("import mmap\nf = open('/workspace/data/model', 'r+b'); m = mmap.mmap(f.fileno(), 8)\n"
               "assert m[0] == 112\nm[0:8] = b'PRISTINE'")
    assert pod.sh(stamps) == before and pod.sh("cat /workspace/data/model") == "PRISTINE"
    error = pod.unclean()
    assert error.path == "/workspace/data/model" and "contents" in error.message


@recycling("a sealed file that is gone, replaced, or another link: the pod goes")
def replaced(pod):
    pod.sh("rm /workspace/data/model")
    assert "removed" in pod.unclean().message


@recycling("a sealed link that points elsewhere: the pod goes")
def relinked(pod):
    pod.sh("ln -sfn /tmp/evil /workspace/latest")
    assert pod.unclean().path == "/workspace/latest"


@recycling("what nobody has touched is not looked at again: neither by reading it, nor by the look before",
           preload="mkdir /workspace/d{1..50} && touch /workspace/d{1..50}/x")
def looked_at(pod):
    """For speed; but what shows that it was looked at would show it to the next user, too."""
    most = 5 + 2 * 50  # the writable folders, and what is in them that can be changed
    time.sleep(0.05)
    pod.reset()
    pod.sh("find /workspace /var/cache /usr/bin /etc >/dev/null; cat /workspace/d*/x")
    assert pod.reset()["looked"] <= most
    assert pod.reset()["looked"] <= most


GO = "/var/cache/go-build"


@recycling("Go's build cache: read, it stays; changed anywhere below, the pod goes", preload=None)
def go_cache(pod):
    assert pod.sh(f"ls {GO} | wc -l; find {GO} >/dev/null; touch -c {GO}/none; stat {GO}/7f | wc -l").startswith("256\n")
    pod.reset()
    changes = (f"echo 1 >{GO}/7f/x", f"chmod 700 {GO}", f"touch -d @1 {GO}", f"python3 -c 'import os; os.setxattr(\"{GO}\", \"user.x\", b\"1\")'", f"mkdir {GO}/new",
               f"echo 1 >{GO}/00/x && rm {GO}/00/x", f"touch {GO}/ff/y && mv {GO}/ff/y {GO}/fe/y", f"rmdir {GO}/aa || echo 1 >{GO}/aa/x")
    for change in changes:
        other = pod.node.create()
        other.seal()
        other.reset()
        other.sh(change)
        error = other.unclean()
        assert error.path == GO and "written to" in error.message, (change, error.message)
        other.delete()
    # What was built before the seal is looked at entry by entry.
    preloaded = pod.node.create()
    preloaded.sh(f"echo 1 >{GO}/7f/x")
    preloaded.seal()
    preloaded.reset()
    assert preloaded.sh(f"ls {GO}/7f") == "x"
    preloaded.sh(f"echo 2 >{GO}/7f/x")
    assert preloaded.unclean().path == f"{GO}/7f/x"
    preloaded.delete()


@recycling("a sealed file under a second name is one file again")
def second_name(pod):
    comes_back(pod, "ln /workspace/data/model /workspace/other; ln /workspace/data/model /workspace/data/third")


# ---- beyond files ----

@recycling("System V shared memory, semaphores, message queues, with permissions 0, too")
def system_v(pod):
    pod.python("import ctypes\nl = ctypes.CDLL(None)\n"
               "for mode in (0o600, 0):\n"
               "    for i in range(5):\n"
               "        assert l.shmget(0, 65536, 0o1000 | mode) >= 0 and l.semget(0, 3, 0o1000 | mode) >= 0 and l.msgget(0, 0o1000 | mode) >= 0",
               pods.field(pods.FILTER, "default"))
    assert pod.sh("cat /proc/sysvipc/* | grep -c '^ *[0-9]*  *[0-9]'") == "30"
    pod.reset()
    assert pod.sh("cat /proc/sysvipc/* | grep -c '^ *[0-9]*  *[0-9]' || true") == "0"


@recycling("POSIX message queues, semaphores, shared memory")
def posix(pod):
    # Landlock refuses to open a queue once it is there: the second attempt sees that it is.
    make = ("import ctypes, os\nl = ctypes.CDLL(None, use_errno=True)\n"
            "for expected in ((0, 13), (17,)):\n"
            "    for i in range(3):\n"
            "        ctypes.set_errno(0)\n"
            "        l.mq_open(f'/q{i}'.encode(), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0, None)\n"
            "        assert ctypes.get_errno() in expected, (expected, ctypes.get_errno())\n"
            "assert l.sem_open(b'/s', os.O_CREAT | os.O_EXCL, 0o600, 1)\n"
            "os.close(l.shm_open(b'/m', os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))")
    for _ in range(2):  # all of them are new again
        before = pod.sh(FINGERPRINTED)
        pod.python(make, pods.field(pods.FILTER, "default"))
        pod.reset()
        assert pod.sh(FINGERPRINTED) == before


@recycling("keyrings: nobody inside has any", "E C")
def keyrings(pod):
    pod.python("import ctypes\nl = ctypes.CDLL(None, use_errno=True)\n"
               "for args in ((250, 0, -3, 0), (250, 1, b'ring'), (248, b'user', b'k', b'v', 1, -3), (249, b'user', b'k', None, -3)):\n"
               "    assert l.syscall(*args) == -1 and ctypes.get_errno() == 1, args")
    pod.reset()


@recycling("environment of the tenant, umask, working folder, limits")
def environment(pod):
    pod.setup("SECRET=tenant-a", "PATH=/tmp/evil:/usr/bin:/bin")
    assert pod.sh("echo $SECRET") == "tenant-a"
    before = pod.sh("ulimit -a | grep -v real-time; umask; pwd; nice", pods.field(pods.ENV, "PATH=/usr/bin:/bin"))
    pod.sh("umask 0; ulimit -n 10; renice 10 $$ >/dev/null; cd /tmp; sleep 1000 >/dev/null 2>&1 & true")
    pod.reset()
    assert pod.sh("echo \"[$SECRET]\"; tr '\\0' '\\n' </proc/self/environ | grep -c tenant || true") == "[]\n0"
    assert pod.sh("ulimit -a | grep -v real-time; umask; pwd; nice") == before
    pod.setup("SECRET=tenant-b")  # and it can be somebody else's
    assert pod.sh("echo $SECRET") == "tenant-b"


@recycling("user site, .pth, PYTHONSTARTUP, NODE_PATH, .npmrc, cron, at")
def hooks(pod):
    pod.setup("PYTHONSTARTUP=/home/user/.startup.py", "NODE_PATH=/home/user/node", "PYTHONPATH=/home/user/py")
    pod.python("import os, site\nos.makedirs(site.USER_SITE)\n"
               "open(site.USER_SITE + '/evil.pth', 'w').write('import sys; sys.evil = 1\\n')\n"
               "open(site.USER_SITE + '/sitecustomize.py', 'w').write('import builtins; builtins.evil = 1\\n')")
    pod.sh("cd ~; echo 'evil=1' > .startup.py; mkdir -p node/evil py .config/pip; echo 'registry=http://evil' > .npmrc; "
           "echo 'export EVIL=1' >> .bashrc; echo 1 > .config/pip/pip.conf; cp .bashrc .profile.d; "
           "(crontab - || at now || mkdir -p /var/spool/cron/x) </dev/null >/dev/null 2>&1 && exit 1; true")
    assert pod.python("import sys; print(getattr(sys, 'evil', 0))") == "1"
    pod.reset()
    assert pod.sh("ls -A /home/user") == ".local\n.profile"
    assert pod.python("import builtins, os, sys; print(hasattr(sys, 'evil'), hasattr(builtins, 'evil'), "
                      "[k for k in os.environ if k.startswith(('PYTHON', 'NODE'))])") == "False False []"


@recycling("listeners and their ports, abstract sockets, proxies with credentials")
def listeners(pod):
    serve = ("import os, socket, time\ns = [socket.socket() for _ in range(3)]\n"
             "for i, x in enumerate(s): x.bind(('127.0.0.1', 8000 + i)); x.listen()\n"
             "a = socket.socket(socket.AF_UNIX); a.bind('\\0proxy'); a.listen()\n"
             "c = socket.create_connection(('127.0.0.1', 8000)); d = s[0].accept()[0]; d.sendall(b'user:secret')\n"
             "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('127.0.0.1', 53000))\n"
             "open('/tmp/up', 'w').close(); time.sleep(1000)")
    for _ in range(2):
        pod.start(["python3", "-c", serve])
        wait_until("the servers to listen", lambda: pod.sh("ls /tmp") == "up")
        pod.reset()
        assert pod.sh("cat /proc/net/sockstat | head -1") == "sockets: used 0"


@recycling("mounts, terminals, the clock of timeouts, usage")
def counters(pod):
    mounts = pod.sh("sha256sum /proc/self/mountinfo")
    pod.sh("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")
    used = pods.number(pod.ask(pods.USAGE)[3])
    pod.ask(pods.CLOCK, pods.field(2, 1))
    pod.reset()
    assert pod.sh("sha256sum /proc/self/mountinfo") == mounts and pod.sh("ls /dev/pts") == "ptmx"
    assert pods.number(pod.ask(pods.USAGE)[3]) < used
    stream = pod.open(pods.EXEC, pods.field(pods.ARGV, "sleep") + pods.field(pods.ARGV, "1000") +
                      pods.field(pods.TIMEOUT_MS, 100))
    assert pod.wait(stream)[pods.STATUS] == b"timeout"  # time goes on


FORKED = "import json, os, sys; print(open('/proc/self/cmdline').read().split('\\0')[1].endswith('template.py'), json.dumps(1), hasattr(json, 'evil'))"


@recycling("a warm interpreter, patched, or warmed with the tenant's own modules", preload=None)
def interpreter(pod):
    warm = pods.field(pods.TEMPLATE, "python")

    def forked():
        return pod.python(FORKED, warm).startswith("True")

    wait_until("a template", forked)
    pod.python("import json; json.dumps = lambda *_: 'evil'", warm)
    pod.sh("mkdir -p $(python3 -c 'import site; print(site.USER_SITE)') && cd $_ && echo 'import json; json.evil = 1' > evil.py && "
           "echo 'import evil' > evil.pth; "
           "for p in /proc/[0-9]*; do grep -qs '[t]emplate.py' $p/cmdline && kill -KILL ${p#/proc/}; done; true")
    wait_until("one that has the tenant's module", lambda: pod.python(FORKED, warm) == "True 1 True")
    pod.reset()
    alone(pod)
    wait_until("a template", forked)
    assert pod.python(FORKED, warm) == "True 1 False"


WARM = pods.field(pods.TEMPLATE, "python")
SITE = "$(python3 -c 'import site; print(site.USER_SITE)')"
HOLDER = """
import fcntl, mmap, multiprocessing, os, socket, tempfile
shared = mmap.mmap(-1, 4096)
lock = multiprocessing.Lock()
nameless = tempfile.TemporaryFile(dir='/workspace')
nameless.write(b'x' * 100000)
nameless.flush()
memory = os.memfd_create('held')
one, other = socket.socketpair()
locked = open('/workspace/locked', 'w')
"""
LOOK = "import holder, os; print(holder.shared[:4], os.pread(holder.memory, 4, 0))"
TOUCH = ("import holder, os, fcntl; holder.shared[:4] = b'mine'; os.pwrite(holder.memory, b'mine', 0); "
         "fcntl.flock(holder.locked, fcntl.LOCK_EX); holder.one.send(b'mine'); print('touched')")
FREE = ("import holder, fcntl; fcntl.flock(holder.locked, fcntl.LOCK_EX | fcntl.LOCK_NB); holder.other.setblocking(False)\n"
        "try: holder.other.recv(9)\nexcept BlockingIOError: print('empty')")
# Of one program, as the template waits for one.
PROGRAM = "import os\nfork = open('/proc/self/cmdline').read().split('\\0')[1].endswith('template.py')\nprint(fork)\nexec(os.environ['CODE'])"


def in_fork(pod, code, *more):
    """What it prints in a process that was forked from the template."""
    wish = WARM + pods.field(pods.ENV, "CODE=if fork: exec(%r)" % code)

    def run():
        is_fork, _, out = pod.python(PROGRAM, wish, *more).partition("\n")
        return is_fork == "True" and (out or "nothing")
    return wait_until("a template", run)


def warm_with(pod, module):
    in_fork(pod, "pass", pods.field(pods.IMPORT, module))


def preload_holder(pod):
    pod.sh(f"mkdir -p {SITE} && cat > {SITE}/holder.py <<'END'\n{HOLDER}END")
    warm_with(pod, "holder")


@recycling("what an import of a preload holds in the warm interpreter: shared mappings, files, sockets, locks",
           preload=preload_holder)
def held(pod):
    untouched = "b'\\x00\\x00\\x00\\x00' b''"
    assert in_fork(pod, LOOK) == untouched
    assert in_fork(pod, TOUCH) == "touched"
    told = in_fork(pod, LOOK)
    assert told == "b'mine' b'mine'", told  # one's own programs may
    pod.reset()
    alone(pod)
    warm_with(pod, "holder")
    assert in_fork(pod, LOOK) == untouched and in_fork(pod, FREE) == "empty"


def context(pod, code):
    """Run in a kernel that is forked from the template; it goes on."""
    stream = pod.open(pods.EXEC, WARM + pods.field(pods.ARGV, "python3") + pods.field(pods.CONTROL, 1) +
                      pods.field(pods.ARGV, "/etc/secureagent/kernels/python.py"))
    for message in ({"token": "t"}, {"type": "execute", "id": 1, "code": code}):
        text = json.dumps(message).encode()
        pod.link.sendall(pods.frame(pods.DATA, pod.last, struct.pack("<I", len(text)) + text, 3))
    while b'"done"' not in stream.out[3]:
        assert not stream.ended, stream.out
        pod.move()
    return stream.out[3].decode(errors="replace")


@recycling("a context that was forked: its state, threads, children, and what it patched",
           preload=lambda pod: warm_with(pod, "IPython"))
def forked_context(pod):
    look = ("import builtins, IPython\n"
            "print('look', 'template.py' in open('/proc/self/cmdline').read(), hasattr(builtins, 'left'), hasattr(IPython, 'left'))")
    warm_with(pod, "IPython")
    wait_until("a forked one", lambda: "look True False False" in context(pod, look))
    assert "done" in context(pod, "import builtins, IPython, os, signal, threading, time\nbuiltins.left = IPython.left = 1\n"
                                  "signal.signal(15, signal.SIG_IGN)\n"
                                  "threading.Thread(target=time.sleep, args=(1000,)).start()\n"
                                  "if os.fork() == 0:\n    os.setsid(); time.sleep(1000)\n")
    assert pod.reset()["killed"] >= 3
    alone(pod)
    warm_with(pod, "IPython")
    wait_until("a forked one", lambda: "look True" in context(pod, look))
    assert "False False" in context(pod, look)


@recycling("a dead pod: it does not come back, whatever is asked")
def dead(pod):
    os.kill(pod.node.first_process(pod), signal.SIGKILL)
    try:
        pod.reset()
    except (AssertionError, OSError):
        return
    raise AssertionError("it answered")


# ---- what has no time stamp ----

@recycling("times of access that say something, of files, folders, links and the maker of terminals")
def times_of_access(pod):
    comes_back(pod, "import os\n"
                    "for p in ('/workspace', '/workspace/data', '/workspace/data/model', '/workspace/latest', '/tmp', '/dev/shm'):\n"
                    "    os.utime(p, ns=(4242424242, os.lstat(p).st_mtime_ns), follow_symlinks=False)\n"
                    "os.utime('/dev/pts/ptmx', ns=(4242, 4343))")
    assert pod.sh("stat -c '%X %Y' /dev/pts/ptmx") == "0 0"


@recycling("times of those folders of proc that belong to the user")
def times_in_proc(pod):
    pod.python("import os\n"
               "for top, folders, files in os.walk('/proc/1'):\n"
               "    for name in [top] + [os.path.join(top, name) for name in folders + files]:\n"
               "        try: os.utime(name, ns=(4242 * 10**9,) * 2, follow_symlinks=False)\n"
               "        except OSError: pass")
    assert "4242" in pod.sh("stat -c '%X %Y' /proc/1/attr /proc/1/task").split()
    pod.reset()
    left = pod.sh("find /proc/1 -printf '%A@ %T@ %p\\n' 2>/dev/null | grep -F 4242.; true")
    assert not left, left


@recycling("into which folders of the system, or of Go's cache, it has looked, and in which order", preload=None)
def looked_at(pod):
    folders = ["/usr/share/doc/", "/usr/lib/python3/", "/usr/share/", "/usr/lib/", f"{GO}/7f", f"{GO}/03", "/etc/"]
    other = pod.node.create()
    other.seal()
    look = "import os, sys; print({f: os.stat(f).st_ino for f in %r if os.path.exists(f)})"
    assert eval(pod.python(look % folders)) == eval(other.python(look % folders[::-1]))
    other.delete()


@recycling("the order of files that were moved away and back")
def order(pod):
    pod.sh("cd /workspace && mv data other && mv other data")
    assert "order" in str(pod.unclean())


@recycling("a maker of terminals that is closed")
def closed_terminals(pod):
    pod.sh("chmod 0 /dev/pts/ptmx")
    assert "ptmx" in str(pod.unclean())


@recycling("hints to the kernel about files, labels of flows")
def hints(pod):
    ask = ("import ctypes, fcntl, mmap, os, socket\n"
           "libc = ctypes.CDLL(None)\n"
           "fd = os.open('/workspace/data/model', os.O_RDWR)\n"
           "at = ctypes.addressof(ctypes.c_char.from_buffer(mmap.mmap(fd, 0)))\n"
           "%s"
           "mode = ctypes.c_int(-1)\n"
           "libc.syscall(239, ctypes.byref(mode), None, 0, ctypes.c_void_p(at), 2)\n"
           "print(fcntl.fcntl(fd, 1035, bytes(8)), mode.value, len(open('/proc/net/ip6_flowlabel').readlines())"
           " if os.path.exists('/proc/net/ip6_flowlabel') else 1)")
    before = pod.python(ask % "")
    pod.python(ask % "import contextlib\n"
                     "libc.syscall(237, ctypes.c_void_p(at), 4096, 2, ctypes.byref(ctypes.c_ulong(1)), 64, 0)\n"
                     "with contextlib.suppress(OSError):\n"
                     "    fcntl.fcntl(fd, 1036, b'\\4' + bytes(7))\n"
                     "with contextlib.suppress(OSError):\n"
                     "    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\n"
                     "    s.setsockopt(41, 32, bytes(15) + b'\\1' + b'\\0\\1\\x23\\x45' + b'\\0\\1\\1\\0' + b'\\x64\\0' * 2 + bytes(4))\n")
    pod.reset()
    assert pod.python(ask % "") == before
