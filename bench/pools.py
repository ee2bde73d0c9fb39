"""Warm pools over the real node: first results, cycles for a minute, refill, and what a kill -9 costs.

    bench/pools.py [--quick]
    bench/pools.py --recovery COUNT     kill -9 alone, with COUNT sandboxes
"""
from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import signal
import sys
import tempfile
import time

from quiet import quietest, said

POOL = "bench"
PYTHON_CODE = '{"language":"python","code":"print(1)"}'
TRUE = '{"command":["true"]}'


def pool(runtime: str, least: int, most: int, rule: str = "target-hit-ratio") -> dict:
    return {"apiVersion": "secureagent.dev/v1", "kind": "WarmPool", "metadata": {"name": POOL},
            "spec": {"runtime": runtime, "minSize": least, "maxSize": most, "scaling": {"rule": rule},
                     "recycle": {"enabled": True, "maxUses": 0}}}


def wait(what: str, condition, seconds: float = 120, every: float = 0.01):
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            sys.exit(f"bench: waited {seconds} s in vain for {what}")
        time.sleep(every)
    return value


def status(server) -> dict:
    return json.loads(server.request("GET", f"/api/v1/warmpools/{POOL}"))["status"]


def make(server, runtime: str, least: int, most: int) -> None:
    server.request("POST", "/api/v1/warmpools", pool(runtime, least, most))
    wait("the pool", lambda: status(server).get("available", 0) >= least)


def drop(server) -> None:
    server.request("DELETE", f"/api/v1/warmpools/{POOL}")
    wait("its pods to go", lambda: not json.loads(server.request("GET", "/api/v1/pods"))["items"])


def claims(server) -> dict[str, float]:
    text = server.request("GET", "/metrics").decode()
    return {m[1]: float(m[2]) for m in re.finditer(r'^secureagent_claims_total\{result="(\w+)"\} (\S+)', text, re.M)}


def hits(server, work) -> tuple[dict, float]:
    """What `work` measured, and which part of its sandboxes was warm."""
    before = claims(server)
    result = work()
    after = claims(server)
    warm, cold = (after[r] - before[r] for r in ("warm", "cold"))
    return result, warm / max(1, warm + cold)


def refill(server, runtime: str, rounds: int) -> list[float]:
    """From the wish for 20 more to 20 more that are ready, in ms."""
    found = []
    for _ in range(rounds):
        make(server, runtime, 0, 40)
        start = time.monotonic()
        server.request("PATCH", f"/api/v1/warmpools/{POOL}", {"spec": {"minSize": 20}})
        wait("20 pods", lambda: status(server).get("available", 0) >= 20, every=0.002)
        found.append((time.monotonic() - start) * 1e3)
        drop(server)
    return sorted(found)


def running(server) -> list[str]:
    """The ids of all sandboxes that run."""
    ids: list[str] = []
    cursor = ""
    while cursor is not None:
        page = json.loads(server.request("GET", f"/api/v1/sandboxes?phase=Running&limit=100{cursor}"))
        ids += [sandbox["id"] for sandbox in page["items"]]
        cursor = f"&cursor={page['cursor']}" if page.get("cursor") else None
    return ids


def succeeds(server, path: str, body: object, wanted: bytes) -> bool:
    try:
        return wanted in server.request("POST", path, body)
    except OSError:
        return False


def recovery(start_server, loadgen, program: str, count: int) -> dict:
    """Seconds from kill -9 of one process until everything can be done again: 20 sandboxes of `count` that lie evenly
    among them answer, and, as sandboxes answer without a node, another one can be made. All must still be there."""
    server = start_server("--max-sandboxes", str(count + 1))
    try:
        last = loadgen("fill", server.host, server.key, count)["last"]
        ids = running(server)
        sample = [last, *ids[::max(1, count // 19)]]
        time.sleep(2)  # what is written behind has been written, and the kill is the first thing that happens
        os.kill(server.processes()[program], signal.SIGKILL)
        start = time.monotonic()
        for sandbox in sample:
            wait(f"{program} to be back", lambda path=f"/api/v1/sandboxes/{sandbox}/execute": succeeds(
                server, path, json.loads(TRUE), b'"exitCode":0'), every=0.002)
        wait("another sandbox", lambda: succeeds(
            server, "/api/v1/sandboxes", {"runtime": "python"}, b'"Running"'), every=0.002)
        seconds = time.monotonic() - start
        if lost := set(ids) - set(running(server)):
            sys.exit(f"bench: {len(lost)} of {count} sandboxes were lost with {program}")
        return {"seconds": seconds, "load": os.getloadavg()[0]}
    finally:
        server.stop()


def recoveries(start_server, loadgen, count: int) -> dict:
    return {"sandboxes": count, **{program: recovery(start_server, loadgen, program, count)
                                   for program in ("agent-api", "sandbox-node")}}


def warm_starts(start_server, loadgen, quick: bool) -> dict:
    rounds, seconds, times = (50, 3, 1) if quick else (300, 60, 3)
    result: dict = {"seconds": seconds}
    server = start_server()

    def first_results(runtime: str, body: str) -> dict:
        floor = loadgen("floor", 1, 1)
        found, warm = hits(server, lambda: loadgen("cold", server.host, server.key, runtime, rounds, body))
        return found | {"floor": floor, "hits": warm}

    def cycles(runtime: str, length: int) -> dict:
        found, warm = hits(server, lambda: loadgen("rate", server.host, server.key, runtime, 4, length))
        return found | {"hits": warm}

    try:
        for runtime, least, most, body, length in (("bash", 16, 64, TRUE, seconds),
                                                   ("python", 8, 32, PYTHON_CODE, min(seconds, 15))):
            make(server, runtime, least, most)
            result[runtime] = quietest(lambda: first_results(runtime, body), 2 * times)
            result[runtime + "Rate"] = quietest(lambda: cycles(runtime, length), times)
            drop(server)
        result["refill"] = {runtime: refill(server, runtime, 3 if quick else 7) for runtime in ("bash", "python")}
    finally:
        server.stop()
    return result


@contextlib.contextmanager
def servers(server_class):
    """Starts servers, each on data of its own."""
    with tempfile.TemporaryDirectory(prefix="secureagent-bench-") as base:
        pathlib.Path(base).chmod(0o755)  # sandboxes run as other users

        def start(*options: str):
            folder = pathlib.Path(tempfile.mkdtemp(dir=base))
            folder.chmod(0o755)
            return server_class(folder, *options)
        yield start


def measure(server_class, loadgen, quick: bool) -> dict:
    with servers(server_class) as start:
        result = warm_starts(start, loadgen, quick)
        result["recovery"] = recoveries(start, loadgen, 100 if quick else 1000)
    return result


def times(t: dict) -> str:
    return f"{t['p50']:.2f} / {t['p95']:.2f} / {t['p99']:.2f} ms"


def recovery_rows(r: dict) -> list[tuple[str, str, str]]:
    return [(f"kill -9 of {program} with {r['sandboxes']} sandboxes, until all can be used and another one is made",
             f"{r[program]['seconds']:.2f} s", f"goal ≤ 1 s; load {r[program]['load']:.1f}")
            for program in ("agent-api", "sandbox-node")]


def rows(r: dict) -> list[tuple[str, str, str]]:
    def middle(values: list[float]) -> str:
        return f"{values[len(values) // 2]:.0f} ms, at most {values[-1]:.0f} ms"

    return [
        ("warm create → first result of `true`, HTTP", times(r["bash"]["firstResult"]),
         f"goal p50 ≤ 2 ms, p99 ≤ 10 ms; {r['bash']['hits']:.1%} warm; {said(r['bash'])}"),
        ("- the same machine, the least that any server could do: run `true` for a request", times(r["bash"]["floor"]),
         "a process, nothing else: the part of the above that is the machine's"),
        ("- of which create", times(r["bash"]["create"]), ""),
        ("- of which execute", times(r["bash"]["execute"]), ""),
        ("- then delete, cleaned for the next one", times(r["bash"]["delete"]), ""),
        ("warm create → first result of Python `print(1)`", times(r["python"]["firstResult"]),
         f"{r['python']['hits']:.1%} warm; {said(r['python'])}"),
        (f"warm create + execute `true` + delete, 4 clients, {r['seconds']} s, `target-hit-ratio`",
         f"{r['bashRate']['perSecond']:.0f} per second",
         f"goal ≥ 300, warm ≥ 95 %; {r['bashRate']['hits']:.1%} warm; {said(r['bashRate'])}; "
         f"{r['bashRate']['processorMs'] / r['bashRate']['cycles']:.1f} ms of all processors each, clients included"),
        ("- Python pods, each with a template started anew", f"{r['pythonRate']['perSecond']:.0f} per second",
         f"{r['pythonRate']['hits']:.1%} warm; {said(r['pythonRate'])}"),
        ("refill of a pool by 20, bash", middle(r["refill"]["bash"]), "goal ≤ 300 ms"),
        ("- Python, each with a template that waits", middle(r["refill"]["python"]), ""),
        *recovery_rows(r["recovery"]),
    ]


def main() -> None:
    import bench  # the server and the load generator

    if "--recovery" in sys.argv[1:-1]:
        count = int(sys.argv[sys.argv.index("--recovery") + 1])
        with servers(bench.Server) as start:
            found = recovery_rows(recoveries(start, bench.loadgen, count))
    else:
        found = rows(measure(bench.Server, bench.loadgen, "--quick" in sys.argv[1:]))
    for row in found:
        print(" | ".join(row))


if __name__ == "__main__":
    main()
