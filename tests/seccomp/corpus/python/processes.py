import multiprocessing as mp, os, resource, signal, subprocess, sys, threading, time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import shared_memory
def square(x): return x * x
if __name__ == "__main__":
    print(subprocess.run(["ls", "/"], capture_output=True, text=True).returncode, subprocess.check_output("echo $$ | cat", shell=True))
    p = subprocess.Popen(["sleep", "5"], start_new_session=True, preexec_fn=os.getpid); p.terminate(); p.wait()
    try: subprocess.run(["sleep", "5"], timeout=0.2)
    except subprocess.TimeoutExpired: pass
    with ThreadPoolExecutor(4) as t: list(t.map(square, range(9)))
    with ProcessPoolExecutor(2, mp_context=mp.get_context("fork")) as t: list(t.map(square, range(9)))
    with mp.get_context("fork").Pool(2) as t: t.map(square, range(5))
    m = shared_memory.SharedMemory(create=True, size=4096); m.buf[0] = 1; m.close(); m.unlink()
    q = mp.Queue(); q.put(1); q.get(); mp.Semaphore().acquire(); mp.Value("i").value = 3
    pid = os.fork()
    if pid == 0: os._exit(3)
    os.waitpid(pid, 0); os.waitid
    pid = os.posix_spawn("/bin/true", ["true"], {}); os.waitpid(pid, 0)
    got = []; signal.signal(signal.SIGUSR1, lambda *a: got.append(1)); os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGALRM, lambda *a: got.append(2)); signal.setitimer(signal.ITIMER_REAL, 0.05); time.sleep(0.2); signal.alarm(0)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2]); signal.pthread_kill(threading.get_ident(), signal.SIGUSR2); signal.sigtimedwait([signal.SIGUSR2], 1); signal.sigpending()
    threading.Thread(target=time.sleep, args=(0.01,)).start(); threading.get_native_id(); signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    resource.getrusage(resource.RUSAGE_SELF); resource.getrlimit(resource.RLIMIT_NOFILE); resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512)); resource.prlimit(0, resource.RLIMIT_STACK)
    os.nice(1); os.getpriority(os.PRIO_PROCESS, 0); os.sched_getaffinity(0); os.sched_setaffinity(0, os.sched_getaffinity(0)); os.sched_yield(); os.sched_getscheduler(0); os.sched_getparam(0)
    os.getloadavg(); os.times(); os.uname(); os.getgroups(); os.getpgid(0); os.getsid(0); os.setpgid; os.cpu_count(); os.getresuid(); os.pidfd_open(os.getpid()); os.getrandom(8); os.urandom(8)
    pid, fd = __import__("pty").fork()
    if pid == 0: os.execvp("stty", ["stty", "size"])
    os.read(fd, 100); os.waitpid(pid, 0)
    os.eventfd(0); time.clock_gettime(time.CLOCK_MONOTONIC); time.clock_getres(time.CLOCK_REALTIME); time.thread_time()
