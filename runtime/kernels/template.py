"""The template: a Python that waits with its imports done, and from which programs are forked.

The runtime (runtime/template.c) starts it in the sandbox as

    python3 /etc/secureagent/kernels/template.py PROGRAM [MODULE...]

with a SOCK_SEQPACKET socket as descriptor 3, and its output going nowhere. PROGRAM is the text of
the `-c` that most requests will ask for. It has the seccomp filter of the programs already, as what
it imports may be theirs. Each message carries a descriptor: a socket for one spare. A spare is forked at once, twice, so
that it is a child of process 1, says "r", and waits on its socket for the one request that it will
serve: a head (see HEAD), limits, then the texts, each ended by a NUL; with stdin, stdout, stderr and
perhaps descriptor 3 of the program. What is asked for is `python3 -c TEXT`, or, of one that said "k" instead of "r", the
kernel of a context (python.py). It answers with three ints: RUNS before the first line of the
program, or the step that failed and why. A spare that ends without an answer has run nothing, and
the runtime starts the program in the ordinary way: that is how a spare declines what it cannot do
as a fresh interpreter would.

Contexts want IPython where it is there, which takes much longer to import than all else: the kernel is got ready when it
is among the modules, and otherwise contexts are started in the ordinary way.

A program gets a process like that of `python3 -c`: nothing of what a program does comes back here.
What it shares with others of its sandbox is the seed of str hashes. The template and the spares
cannot be looked into by programs of the same user (they are not dumpable).
"""
import sys

_fresh = set(sys.modules)  # what every interpreter has loaded
sys.path.pop(0)  # of this file; modules of the user's folder are not for here
import _io, _socket, _struct, _thread, atexit, builtins, ctypes, errno, gc, os, resource, site, types  # noqa: E401,E402

HEAD = _struct.Struct("=III")  # number of limits, of arguments, of environment entries
LIMIT = _struct.Struct("=iQQ")  # resource, soft, hard
ANSWER = _struct.Struct("=iii")  # step of runtime/spawn.h, errno, detail
STEP_CWD, STEP_LIMIT, RUNS = 1, 2, 6
REQUEST_MAX = 256 * 1024
PR_SET_DUMPABLE = 4
OPENSSL_INIT_NO_ATEXIT = 0x80000  # OPENSSL_init_crypto(3)
USUAL = ("traceback", "json", "random", "datetime", "math", "time", "re", "collections", "functools")
# Settings that the interpreter, or its libraries, read when they start.
EARLY = (b"PYTHON", b"LD_", b"LC_", b"LANG", b"MALLOC_", b"GLIBC_", b"OMP_", b"OPENBLAS_", b"MKL_")
# Settings that IPython reads when its shell is made.
EARLY_IN_SHELL = (b"IPYTHON", b"XDG_", b"VIRTUAL_ENV", b"TRAITLETS_")
KERNEL_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "python.py")
prctl = ctypes.CDLL(None).prctl


def load_modules(names):
    for name in names:
        try:
            __import__(name)
        except BaseException:  # the program that needs it will say so
            pass


def keep_openssl():
    """It would take itself apart at the end of every program, which costs more than most programs do (asyncio loads it)."""
    where = sys.modules["_frozen_importlib_external"].PathFinder.find_spec("_ssl").origin
    ctypes.CDLL(where).OPENSSL_init_crypto(ctypes.c_uint64(OPENSSL_INIT_NO_ATEXIT), None)


def load_kernel():
    """The module of the kernel, with one that is ready to start."""
    try:
        keep_openssl()
    except (AttributeError, OSError, TypeError):  # none, or another than we know
        pass
    with open(KERNEL_FILE, "rb") as file:
        code = compile(file.read(), KERNEL_FILE, "exec")
    module = types.ModuleType("secureagent_kernel")
    module.__file__ = KERNEL_FILE
    exec(code, module.__dict__)
    module.kernel = module.Kernel()
    module.kernel.prepare()
    return module


def load(names):
    """Everything, with what the modules print thrown away. The kernel of contexts comes first: what is loaded after it, a
    fresh one has not."""
    saved = [os.dup(1), os.dup(2)]
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (1, 2):
        os.dup2(null, fd)
    kernel = None
    try:
        if "IPython" in names:
            kernel = load_kernel()
    except BaseException:  # then contexts are started in the ordinary way
        pass
    of_kernel = set(sys.modules)
    load_modules(USUAL + names)
    sys.stdout.flush()
    sys.stderr.flush()
    for fd, old in zip((1, 2), saved):
        os.dup2(old, fd)
        os.close(old)
    os.close(null)
    return kernel, of_kernel


def held():
    """The descriptors that modules opened, in order: they think that they have them."""
    found = []
    for fd in sorted(int(name) for name in os.listdir("/proc/self/fd")):
        try:
            os.fstat(fd)
        except OSError:  # that of the listing
            continue
        if fd > 3:
            found.append(fd)
    return found


def files_of(modules):
    """The names that a file which goes before one of them would have."""
    return {name.partition(".")[0] for name in modules if getattr(sys.modules[name], "__file__", None)}


def stamp(folder):
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return None


def receive(sock, size, fds):
    data, more, _, _ = sock.recvmsg(size, _socket.CMSG_SPACE(4 * fds))
    got = more[0][2] if more else b""
    return data, _struct.unpack("=%di" % (len(got) // 4), got)


def wait_for_orders(control):
    """Comes back in each spare, with its socket."""
    while True:
        data, fds = receive(control, 1, 1)
        if not data or not fds:
            os._exit(0)
        try:
            child = os.fork()
        except OSError:  # no more processes
            os.close(fds[0])
            continue
        if child == 0:
            try:
                if os.fork():
                    os._exit(0)
            except OSError:
                os._exit(0)
            control.close()
            return _socket.socket(fileno=fds[0])
        os.close(fds[0])
        os.waitpid(child, 0)


def decline():
    os._exit(0)


def fail(sock, step, error, detail=0):
    sock.send(ANSWER.pack(step, error.errno or errno.EINVAL, detail))
    os._exit(127)


def set_environment(entries, early=()):
    new = dict(entry.split(b"=", 1) for entry in entries)
    env = os.environb
    if b"LC_CTYPE" in env:  # the interpreter itself sets it where there is no locale (PEP 538)
        new.setdefault(b"LC_CTYPE", env[b"LC_CTYPE"])
    changed = [k for k in env if k not in new] + [k for k in new if env.get(k) != new[k]]
    for name in changed:
        if name == b"HOME" or name.startswith(EARLY) or name.startswith(early):
            decline()
        if name in new:
            env[name] = new[name]
        else:
            del env[name]
    if b"TZ" in changed and "time" in sys.modules:
        sys.modules["time"].tzset()


def set_limits(sock, limits):
    for what, soft, hard in limits:
        try:
            resource.setrlimit(what, [-1 if v == 2**64 - 1 else v for v in (soft, hard)])
        except (OSError, ValueError) as e:
            fail(sock, STEP_LIMIT, e if isinstance(e, OSError) else OSError(errno.EPERM, ""), what)


def installed():
    """What is in the user's folder of packages, told by what another version would change."""
    try:
        with os.scandir(site.USER_SITE) as entries:
            return {(e.name.partition(".")[0], e.inode(), stamp(e.path)) for e in entries}
    except OSError:
        return set()


def set_modules(context):
    """As they would be found from the working directory, now."""
    extra = EXTRA_IN_CONTEXT if context else EXTRA
    if not extra.isdisjoint(name.partition(".")[0] for name in os.listdir()):
        decline()  # a file here goes before a module that is loaded already
    if site.ENABLE_USER_SITE and stamp(site.USER_SITE) != USER_SITE_STAMP:
        if context or not EXTRA.isdisjoint(name for name, *_ in installed() - INSTALLED):
            decline()  # so may what was installed since
        site.addsitedir(site.USER_SITE)
    for name in ("numpy.random",):
        if name in sys.modules:
            sys.modules[name].seed()


def set_process(sock, limits, cwd, environment, context):
    os.umask(0o022)
    set_environment(environment, EARLY_IN_SHELL if context else ())
    try:
        os.chdir(cwd)
    except OSError as e:
        fail(sock, STEP_CWD, e)
    try:
        set_modules(context)
    except OSError:
        pass  # a folder that may be entered but not read
    set_limits(sock, limits)
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def set_descriptors(sock, fds):
    """Last, as the answer goes out in between. Returns when nothing is open but the program's, and what modules hold."""
    for target, fd in enumerate(fds):
        os.dup2(fd, target)
    sock.send(ANSWER.pack(RUNS, 0, 0))
    sock.detach()
    start = len(fds)
    for fd in HELD:
        os.closerange(start, fd)
        start = fd + 1
    os.closerange(start, 2**31 - 1)


def main_module():
    main = types.ModuleType("__main__")
    main.__dict__.update(__builtins__=builtins, __annotations__={},
                         __loader__=sys.modules["_frozen_importlib"].BuiltinImporter)
    return main


def warm_up():
    """Do once what every program does: its memory is this process's own then, and not copied page
    by page while somebody waits."""
    namespace = {"__builtins__": builtins}
    exec(compile("import sys\nwith open('/dev/null', 'rb') as f: f = f.read()\n"
                 "def g(x): return x\nprint(end='')\n", "<warm>", "exec"), namespace)
    set_environment([k + b"=" + v for k, v in os.environb.items()])
    EXTRA.isdisjoint(os.listdir("/"))
    clear(namespace)
    for one in gc.get_objects():
        isinstance(one, _io._IOBase)
    gc.collect()


def prepared(arguments):
    """What is to be run, and the module that it is run in."""
    if KERNEL and arguments[1:] == [KERNEL_FILE]:
        return START_KERNEL, KERNEL
    main = main_module()
    if len(arguments) < 3 or arguments[1] != "-c":
        decline()
    program = PROGRAM if arguments[2] == sys.argv[1] else compile(arguments[2], "<string>", "exec")
    return program, main


def serve(sock):
    """Wait for the request and become its process. The program and its module."""
    os.setsid()
    warm_up()
    sock.send(b"k" if KERNEL else b"r")
    data, fds = receive(sock, REQUEST_MAX, 4)
    if len(fds) < 3:
        os._exit(0)
    limit_count, argument_count, entry_count = HEAD.unpack_from(data)
    at = HEAD.size + LIMIT.size * limit_count
    limits = LIMIT.iter_unpack(data[HEAD.size:at])
    texts = data[at:].split(b"\0")
    arguments = [os.fsdecode(t) for t in texts[1:1 + argument_count]]
    entries = texts[1 + argument_count:][:entry_count]
    program, main = prepared(arguments)
    set_process(sock, limits, texts[0], entries, main is KERNEL)
    if main is not KERNEL:  # it does so itself, later
        sys.path.insert(0, "")
    sys.orig_argv, sys.argv = arguments, arguments[1:2] + arguments[3:]
    sys.modules["__main__"] = main
    set_descriptors(sock, fds)
    return program, main.__dict__


def without_template(tb):
    """Tracebacks begin in the program."""
    while tb and tb.tb_frame.f_globals is globals():
        tb = tb.tb_next
    return tb


def show(error):
    tb = without_template(error.__traceback__)
    sys.excepthook(type(error), error.with_traceback(tb), tb)


def clear(namespace):
    """As the interpreter does with a module that goes: private names first."""
    for private in (True, False):
        for name in list(namespace):
            if (name[:1] == "_" and name[:2] != "__") == private and name != "__builtins__":
                namespace[name] = None


def is_users(module):
    path = getattr(module, "__file__", None)
    return path and not path.startswith(sys.prefix) and "-packages" not in path


def new_modules():
    """Those that the program imported. They come last; to look at the others would copy their memory."""
    found = []
    for name in reversed(sys.modules):
        if name == LAST_LOADED:
            break
        if name not in LOADED:
            found.append(sys.modules[name])
    return reversed(found)


def leave(code):
    """End as the interpreter would, but for taking apart what came from the template: that costs
    several times what most programs do. Threads are waited for, exit handlers run, the program's
    objects go, and what is left open is written out."""
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()
    atexit._run_exitfuncs()
    if _thread._count():
        sys.exit(code)  # daemons: the interpreter knows how to end beside them
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        sys.exit(code)  # it says so in its own way
    clear(_main)
    for module in new_modules():
        if is_users(module):
            clear(module.__dict__)
    gc.collect()
    for one in gc.get_objects():
        if isinstance(one, _io._IOBase):
            try:
                one.flush()
            except BaseException:  # closed, or for reading
                pass
    ctypes.PyDLL(None).exit(code & 0xFF)


prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
_control = _socket.socket(fileno=3)
PROGRAM = compile(sys.argv[1], "<string>", "exec")
START_KERNEL = compile("main(kernel)", KERNEL_FILE, "exec")
gc.disable()  # next to nothing of what is loaded ever goes
KERNEL, _of_kernel = load(tuple(sys.argv[2:]))
HELD = held()
USER_SITE_STAMP = stamp(site.USER_SITE) if site.ENABLE_USER_SITE else None
INSTALLED = installed() if USER_SITE_STAMP else set()
EXTRA = files_of(set(sys.modules) - _fresh)
EXTRA_IN_CONTEXT = files_of(set(sys.modules) - _of_kernel)
gc.enable()
gc.collect()
gc.freeze()  # collections do not write to what is shared
LOADED = set(sys.modules)
LAST_LOADED = next(reversed(sys.modules))
_program, _main = serve(wait_for_orders(_control))
try:
    exec(_program, _main)
    _code = 0
except SystemExit as e:
    if not isinstance(e.code, (int, type(None))):
        raise
    _code = e.code or 0
except BaseException as e:
    show(e)
    _code = 1
leave(_code)
