#!/usr/bin/python3
"""Measure SecureAgent side by side with bubblewrap and nginx, in one run on one machine.

Writes build/bench.json and docs/benchmarks.md, and prints the table. Standard library only.
Everything runs on loopback, is bounded in rounds and time, and is stopped at the end.

    bench/bench.py [--quick] [--no-write]
"""
from __future__ import annotations

import argparse
import datetime
import http.client
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import controllers
import claims
import objects
import policies
import pools
import ports
import quiet

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("SECUREAGENT_BIN", ROOT / "build" / "bin"))
LOADGEN = str(BIN / "sa-loadgen")
WSLOAD = str(BIN / "sa-wsload")
RUN_TRUE = '{"command":["true"]}'
STATELESS = '{"language":"python","code":"print(1)"}'
CONTEXT_CODE = {"python": "print(1)", "node": "console.log(1)", "bash": "echo 1"}
RUN_PYTHON = '{"command":["python3","-c","print(1)"]}'
BWRAP = ["bwrap", "--unshare-all", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin",
         "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--proc", "/proc",
         "--dev", "/dev", "--tmpfs", "/tmp"]


def loadgen(*args: object) -> dict:
    done = subprocess.run([LOADGEN, *map(str, args)], capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        sys.exit(f"bench: sa-loadgen {args[0]}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def wsload(*args: object) -> dict:
    done = subprocess.run([WSLOAD, *map(str, args)], capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        sys.exit(f"bench: sa-wsload {args[0]}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def websockets(server: Server, api: int, rounds: int, quick: bool) -> dict:
    """Latency, throughput and memory over WebSockets, in a sandbox of its own."""
    sandbox = json.loads(server.request("POST", "/api/v1/sandboxes", {
        "runtime": "python", "resources": {"cpu": "2", "memory": "1Gi"}}))["id"]
    path = f"/api/v1/sandboxes/{sandbox}"
    context = json.loads(server.request("POST", path + "/contexts", {"language": "python"}))["id"]
    to = (server.host, server.key, sandbox)
    result = {"context": wsload("context", *to, context, rounds, "print(1)"),
              "echo": wsload("echo", *to, rounds * 3)["echo"],
              "stdout": wsload("stdout", *to, 128 if quick else 512)}
    count, before = 1000, memory_kb(api)["Rss"]
    idle = subprocess.Popen([WSLOAD, "idle", *to, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    idle.stdout.readline()
    result["idle"] = {"streams": count, "eachKB": (memory_kb(api)["Rss"] - before) / count}
    idle.communicate()
    server.request("DELETE", path)
    return result


class Server:
    """`secureagent up` on a free port, with its processes."""

    def __init__(self, folder: pathlib.Path, *options: str) -> None:
        self.log = open(folder / "up.log", "w")
        self.process = subprocess.Popen(
            [BIN / "secureagent", "up", "--no-default-pool", "--listen", "127.0.0.1:0", "--data-dir", folder / "data",
             "--log-level", "warn", "-o", "json", *options],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        ready = json.loads(self.process.stdout.readline())
        self.host = ready["url"].removeprefix("http://")
        self.key = ready["apiKey"]

    def request(self, method: str, path: str, body: object = None) -> bytes:
        connection = http.client.HTTPConnection(self.host, timeout=60)
        connection.request(method, path, None if body is None else json.dumps(body),
                           {"X-API-Key": self.key, "Content-Type": "application/json"})
        body = connection.getresponse().read()
        connection.close()
        return body

    def processes(self) -> dict[str, int]:
        """Name to pid of the supervisor and its direct children."""
        found = {"secureagent up": self.process.pid}
        for entry in pathlib.Path("/proc").iterdir():
            try:
                stat = (entry / "stat").read_text()
            except (OSError, ValueError):
                continue
            if entry.name.isdigit() and stat.rpartition(") ")[2].split()[1] == str(self.process.pid):
                name = stat[stat.index("(") + 1 : stat.rindex(")")]
                found[name] = int(entry.name)
        return found

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.log.close()


def memory_kb(pid: int) -> dict[str, int]:
    """Resident (RSS) and proportional (PSS: shared pages divided among their users) memory."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {k: int(re.search(rf"^{k}:\s+(\d+)", text, re.M)[1]) for k in ("Rss", "Pss")}


def runtimes_below(pid: int) -> list[int]:
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        if stat.rpartition(") ")[2].split()[1] == str(pid):
            found.append(int(entry.name))
    return found


def wrk(url: str, key: str, seconds: int) -> dict:
    out = subprocess.run(
        ["wrk", "-t1", "-c16", f"-d{seconds}s", "--latency", "-H", f"X-API-Key: {key}", url],
        capture_output=True, text=True, timeout=seconds + 60, check=True).stdout
    if "Non-2xx" in out:
        sys.exit("bench: wrk got errors:\n" + out)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])
    return {"perSecond": round(rate), "p99": re.search(r"99%\s+(\S+)", out)[1]}


def nginx_rate(folder: pathlib.Path, size: int, seconds: int) -> dict:
    """nginx, one worker, serving a static file of the same size, logging off."""
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "answer.json").write_bytes(b"x" * size)
    conf = folder / "nginx.conf"
    conf.write_text(f"""worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{ access_log off; keepalive_requests 100000000; sendfile on;
  server {{ listen 127.0.0.1:18099; root {folder}; }} }}
""")
    process = subprocess.Popen(["nginx", "-c", str(conf), "-p", str(folder)],
                               stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        return wrk("http://127.0.0.1:18099/answer.json", "none", seconds)
    finally:
        process.terminate()
        process.wait(10)


def measure(quick: bool) -> dict:
    rounds = 50 if quick else 300
    seconds = 3 if quick else 10
    result: dict = {}
    # Beside the product's own files, not in /tmp, where nginx's worker may not look.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="secureagent-bench-"))
    folder.chmod(0o755)
    server = Server(folder)
    try:
        step("idle memory")
        processes = server.processes()
        result["idleMemoryKB"] = {name: memory_kb(pid) for name, pid in processes.items()}
        step("cold start against bwrap: true")
        result["true"] = {"bwrap": loadgen("spawn", rounds, *BWRAP, "true")["run"],
                          "secureagent": loadgen("cold", server.host, server.key, "python", rounds, RUN_TRUE),
                          "bwrapAgain": loadgen("spawn", rounds, *BWRAP, "true")["run"]}
        step("cold start against bwrap: python3 -c 'print(1)'")
        python = ["python3", "-c", "print(1)"]
        env_path = os.environ["PATH"]
        os.environ["PATH"] = "/usr/bin:/bin:/usr/sbin:/sbin"  # the same python3 on both sides
        result["python"] = {"bwrap": loadgen("spawn", rounds // 3, *BWRAP, *python)["run"],
                            "secureagent": loadgen("cold", server.host, server.key, "python", rounds // 3, RUN_PYTHON)}
        os.environ["PATH"] = env_path
        step("execute in a running sandbox")
        result["executeTrue"] = loadgen("exec", server.host, server.key, rounds, RUN_TRUE)["execute"]
        step("Python code in a fresh state, against python3 -I -S -c")
        bare = ["/usr/bin/python3", "-I", "-S", "-c", "print(1)"]
        result["stateless"] = {"python": loadgen("spawn", rounds // 3, *bare)["run"],
                               "secureagent": loadgen("exec", server.host, server.key, rounds, STATELESS)["execute"]}
        step("warm contexts")
        result["context"] = {language: loadgen("context", server.host, server.key, language, rounds, code)["execute"]
                             for language, code in CONTEXT_CODE.items()}
        step("WebSockets")
        result["websocket"] = websockets(server, processes["agent-api"], rounds, quick)
        step("create + execute + delete, 8 clients")
        result["rate"] = loadgen("rate", server.host, server.key, "python", 8, seconds)
        step("transfer")
        result["transfer"] = loadgen("transfer", server.host, server.key, 64 if quick else 256)
        step("GET /sandboxes/{id} against nginx")
        last = loadgen("fill", server.host, server.key, 1)["last"]
        path = f"/api/v1/sandboxes/{last}"
        size = len(server.request("GET", path))
        result["get"] = {"bytes": size,
                         "secureagent": wrk(f"http://{server.host}{path}", server.key, seconds),
                         "nginx": nginx_rate(folder / "nginx", size, seconds)}
        step("proxy of ports against nginx")
        result["ports"] = ports.measure(server, folder, seconds)
        step("policy decisions")
        result["policies"] = policies.measure(quick)
        step("controllers")
        result["controllers"] = controllers.measure(quick)
        step("object store")
        result["objects"] = objects.measure(quick)
        result["claims"] = claims.measure(quick)
        step("memory with 200 idle sandboxes")
        loadgen("fill", server.host, server.key, 199)
        time.sleep(1)
        runtimes = runtimes_below(processes.get("sandbox-node", -1))
        result["memory200KB"] = {name: memory_kb(pid) for name, pid in processes.items()}
        each = [memory_kb(pid) for pid in runtimes]
        result["runtimeKB"] = {"count": len(each),
                               "Rss": sum(m["Rss"] for m in each) // max(1, len(each)),
                               "Pss": sum(m["Pss"] for m in each) // max(1, len(each))}
    finally:
        step("stop")
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    step("warm pools over the real node")
    result["pools"] = pools.measure(Server, loadgen, quick)
    return result


def step(name: str) -> None:
    print(f"bench: {name} ...", file=sys.stderr, flush=True)


def machine() -> str:
    cpu = re.search(r"model name\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])
    return (f"{os.cpu_count()} cores ({cpu[1] if cpu else platform.machine()}), "
            f"{memory / 2**20:.0f} GiB, Linux {platform.release()}, shared virtual machine")


def rows(r: dict) -> list[tuple[str, str, str]]:
    def times(t: dict) -> str:
        return f"{t['p50']:.2f} / {t['p95']:.2f} / {t['p99']:.2f} ms"

    def ratio(a: dict, b: dict) -> str:
        return f"{a['p50'] / b['p50']:.2f}x of bwrap's p50"

    def mb(kb: int) -> str:
        return f"{kb / 1024:.1f} MB"

    true, python = r["true"], r["python"]
    first, first_py = true["secureagent"]["firstResult"], python["secureagent"]["firstResult"]
    baseline = min(true["bwrap"], true["bwrapAgain"], key=lambda t: t["p50"])
    idle, full = r["idleMemoryKB"], r["memory200KB"]
    pair = [n for n in idle if n in ("agent-api", "sandbox-node")]
    out = [
        ("cold create → first result of `true`, HTTP", times(first), ratio(first, baseline) + "; goal ≤ 1.5x and ≤ 5 ms"),
        ("- of which create", times(true["secureagent"]["create"]), ""),
        ("- of which execute", times(true["secureagent"]["execute"]), ""),
        ("- then delete", times(true["secureagent"]["delete"]), ""),
        ("`bwrap --unshare-all … true`, a process", times(baseline), "the baseline"),
        ("cold create → first result of `python3 -c 'print(1)'`", times(first_py), ratio(first_py, python["bwrap"])),
        ("`bwrap … python3 -c 'print(1)'`", times(python["bwrap"]), "the baseline"),
        ("execute `true` in a running sandbox", times(r["executeTrue"]), ""),
        ("Python `print(1)` in a fresh state, forked from the template", times(r["stateless"]["secureagent"]),
         f"{r['stateless']['secureagent']['p50'] / r['stateless']['python']['p50']:.2f}x of python3 -I -S alone; goal ≤ 5 ms"),
        ("`python3 -I -S -c 'print(1)'`, a process, no sandbox", times(r["stateless"]["python"]), "the baseline"),
        *((f"{language} code in a warm context, REST", times(t), "goal ≤ 1 ms")
          for language, t in r["context"].items()),
        ("python code in a warm context, open WebSocket: first output", times(r["websocket"]["context"]["first"]),
         "goal ≤ 0.5 ms"),
        ("terminal, a key and its echo", times(r["websocket"]["echo"]), "goal ≤ 1 ms"),
        ("stdout of 4 executions over one WebSocket", f"{r['websocket']['stdout']['MBps']} MB/s", "goal ≥ 200"),
        ("each of 1,000 idle WebSocket streams", f"{r['websocket']['idle']['eachKB']:.1f} KB", "goal ≤ 64 KiB"),
        ("create + execute + delete, 8 clients", f"{r['rate']['perSecond']:.0f} per second", "goal ≥ 300"),
        ("file upload", f"{r['transfer']['uploadMBps']} MB/s", "goal ≥ 500"),
        ("file download", f"{r['transfer']['downloadMBps']} MB/s", "goal ≥ 500"),
        ("stdout as NDJSON", f"{r['transfer']['stdoutMBps']} MB/s", "goal ≥ 100"),
        ("`GET …/{id}`, wrk, 16 connections", f"{r['get']['secureagent']['perSecond']} per second",
         f"p99 {r['get']['secureagent']['p99']}; with authentication"),
        ("nginx, static file of the same size", f"{r['get']['nginx']['perSecond']} per second",
         f"p99 {r['get']['nginx']['p99']}; one worker"),
        *((f"port of a sandbox, {what}, wrk, 16 connections",
           f"{r['ports']['secureagent'][name][unit]} {word}",
           f"{r['ports']['secureagent'][name][unit] / max(1, r['ports']['nginx'][name][unit]):.2f}x of nginx as proxy "
           f"({r['ports']['nginx'][name][unit]}); goal ≥ 0.5x")
          for name, what, unit, word in (("small", "1 KiB", "perSecond", "per second"),
                                         ("large", "8 MiB", "megabytesPerSecond", "MB/s"))),
    ]
    out += policies.rows(r["policies"])
    out += objects.rows(r["objects"])
    out += claims.rows(r["claims"])
    out += controllers.rows(r["controllers"])
    out += pools.rows(r["pools"])
    for name in idle:
        out.append((f"resident, idle: {name}", mb(idle[name]["Rss"]), f"{mb(idle[name]['Pss'])} proportional"))
    out.append(("resident, idle: API + node", mb(sum(idle[n]["Rss"] for n in pair)), "goal ≤ 15 MB"))
    for name in full:
        out.append((f"resident, 200 idle sandboxes: {name}", mb(full[name]["Rss"]), f"{mb(full[name]['Pss'])} proportional"))
    out.append((f"resident, each of {r['runtimeKB']['count']} idle execution-runtimes",
                f"{r['runtimeKB']['Rss']} KB", f"{r['runtimeKB']['Pss']} KB proportional; goal ≤ 1 MB"))
    return out


def table(r: dict) -> str:
    lines = ["| measured | result | beside it |", "|---|---|---|"]
    lines += [f"| {a} | {b} | {c} |" for a, b, c in rows(r)]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds; does not write docs")
    parser.add_argument("--no-write", action="store_true", help="print only")
    args = parser.parse_args()
    for tool in ("bwrap", "wrk", "nginx"):
        if not shutil.which(tool):
            sys.exit(f"bench: {tool} is missing; run `make deps`")
    load = os.getloadavg()[0]
    result = quiet.quietest(lambda: measure(args.quick), 1)
    result["date"] = datetime.date.today().isoformat()
    result["machine"] = machine()
    result["noise"] = (f"load average before it {load:.1f}; {result['stolen']:.0%} of the processors' time "
                       "was stolen by other machines on the same host meanwhile")
    result["mode"] = "root" if os.geteuid() == 0 else "unprivileged user"
    text = table(result)
    print(text)
    print(result["noise"])
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "bench.json").write_text(json.dumps(result, indent=2) + "\n")
    if args.quick or args.no_write:
        return
    page = (ROOT / "bench" / "page.md").read_text()
    page = page.replace("{date}", result["date"]).replace("{machine}", result["machine"])
    page = page.replace("{noise}", result["noise"])
    page = page.replace("{mode}", result["mode"]).replace("{table}", text)
    (ROOT / "docs" / "benchmarks.md").write_text(page)


if __name__ == "__main__":
    main()
