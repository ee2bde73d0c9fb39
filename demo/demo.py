#!/usr/bin/python3
"""`make demo`: real work in sandboxes through the REST API, then programs that try to get out,
then how long it all takes. Needs nothing but the programs in build/bin; asks nothing; leaves only
demo-output/. Exits 0 only if everything held."""
import base64
import json
import os
import pathlib
import platform
import signal
import statistics
import struct
import sys
import time
import zlib

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import attacks  # noqa: E402
from client import Failed, Server  # noqa: E402

ROOT = HERE.parent
PROGRAMS = pathlib.Path(os.environ.get("SECUREAGENT_BIN", ROOT / "build" / "bin")).resolve()
OUTPUT = ROOT / "demo-output"
TIMEOUT_S, ROUNDS, COLD_ROUNDS, WARM_S = 240, 50, 20, 30
SMALL, SPARE = {"memory": "256Mi"}, 8  # what only the pool of the timings has, and how many
PLOT = """
import matplotlib.pyplot as plt
by_hour = [0.0] * 24
for i, row in enumerate(rows):
    by_hour[i % 24] += float(row['consumption_kwh'] or 0) / 365
plt.figure(figsize=(8, 5))
plt.bar(range(24), by_hour)
plt.title('Consumption by hour of the day, kWh');
"""
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def heading(text):
    print("\n" + paint("1;36", text), flush=True)


def note(text):
    for line in text.rstrip("\n").split("\n"):
        print("   " + line, flush=True)


def held(text):
    print(" " + paint("32", "✓") + " " + text, flush=True)


def broke(text):
    print(" " + paint("1;31", "✗") + " " + text, flush=True)


# ---- the warm pool ----

def wait_warm(client, count, seconds, pool="default"):
    """Wait until so many pods of the pool are ready; False: not in that time."""
    deadline = time.monotonic() + seconds
    while client.pool(pool).get("available", 0) < count:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def starts_warm(client):
    began = time.monotonic()
    if not wait_warm(client, 2, WARM_S):
        raise Failed(f"the default pool has no pods after {WARM_S} s: {client.pool('default')}")
    held(f"its pool of warm Python pods is full, {time.monotonic() - began:.1f} s later: a sandbox takes one "
         "and is ready")


# ---- real work ----

def check_png(data, wide=600, high=400):
    """(width, height) of a PNG that is whole, at least that large, and shows something."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR":
        raise Failed("the chart is no PNG")
    width, height = struct.unpack(">II", data[16:24])
    at, pixels, ended = 8, b"", False
    while at + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if zlib.crc32(kind + body) != struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0]:
            raise Failed("the chart is damaged")
        pixels += body if kind == b"IDAT" else b""
        ended = kind == b"IEND"
        at += 12 + length
    raw = zlib.decompress(pixels)
    rows = {raw[i:i + len(raw) // height] for i in range(0, len(raw), len(raw) // height)}
    if not ended or width < wide or height < high or len(rows) < height // 8:
        raise Failed("the chart shows nothing")
    return width, height


def step(client, sandbox, name, command):
    answer = client.execute(sandbox, command=command, timeoutMs=60000)
    if answer["status"] != "exited" or answer["exitCode"] != 0:
        raise Failed(f"{name}: {answer['status']} {answer['exitCode']}\n{answer['stderr'][-2000:]}")
    held(f"{name} ({answer['durationMs'] / 1000:.2f} s, "
         f"{answer['usage']['memoryPeakBytes'] >> 20} MiB)")
    note(answer["stdout"])


def real_work(client):
    heading("1. A year of meter readings, analysed in a sandbox")
    with client.sandbox("python", timeout=300, labels={"demo": "analysis"}) as sandbox:
        held(f"sandbox {sandbox['id']}, started {sandbox['start']}: {len(sandbox['controls'])} controls in force "
             f"({', '.join(sandbox['controls'][:6])} …)")
        for weaker in sandbox["weaker"]:
            note("weaker here: " + weaker)
        files = [*sorted((HERE / "analysis").iterdir()), HERE / "data" / "building.csv"]
        files = [f for f in files if f.is_file()]
        for file in files:
            client.upload(sandbox, f"/workspace/{file.name}", file.read_bytes())
        held(f"uploaded {len(files)} files, {sum(f.stat().st_size for f in files) >> 10} KiB")
        step(client, sandbox, "Python", ["python3", "main.py", "building.csv"])
        step(client, sandbox, "Node.js", ["node", "report.js"])
        step(client, sandbox, "bash", ["bash", "check.sh"])
        chart = client.download(sandbox, "/workspace/chart.png")
        width, height = check_png(chart)
        if json.loads(client.download(sandbox, "/workspace/summary.json"))["hours"] != 8760:
            raise Failed("summary.json is not about a year")
        OUTPUT.mkdir(exist_ok=True)
        (OUTPUT / "chart.png").write_bytes(chart)
        (OUTPUT / "report.md").write_bytes(client.download(sandbox, "/workspace/report.md"))
        held(f"saved demo-output/chart.png ({width} x {height}, {len(chart) >> 10} KiB)")


# ---- a session ----

def run_live(client, sandbox, context, code):
    """Run code in a context and show what comes, when it comes. Returns {mime: data} of results."""
    bundles, texts = {}, []
    for seconds, item in client.stream(sandbox, context=context, code=code):
        if item["type"] in ("stdout", "stderr"):
            texts.append((seconds, item["data"]))
            note(f"{seconds * 1000:7.1f} ms  {item['data'].rstrip()}")
        elif item["type"] == "result":
            bundles.update(item["data"])
            note(f"{seconds * 1000:7.1f} ms  [{', '.join(item['data'])}]")
        elif item["type"] == "exited" and item["status"] != "exited":
            raise Failed(f"the session's code ended: {item}")
    return bundles, texts


def session(client):
    heading("2. A session that keeps its state, with output as it comes")
    with client.sandbox("python", timeout=300, labels={"demo": "session"}) as sandbox:
        client.upload(sandbox, "/workspace/building.csv",
                      (HERE / "data" / "building.csv").read_bytes())
        python = client.context(sandbox, "python")
        run_live(client, sandbox, python, "import csv\nrows = list(csv.DictReader(open('building.csv')))\n"
                                          "print(len(rows), 'rows read')")
        bundles, _ = run_live(client, sandbox, python, "len(rows)  # still there")
        if bundles.get("text/plain") != "8760":
            raise Failed(f"the context forgot: {bundles}")
        _, texts = run_live(client, sandbox, python,
                            "import time\nfor i in range(4):\n    print('tick', i)\n    time.sleep(0.2)")
        if texts[-1][0] - texts[0][0] < 0.4:
            raise Failed("the output did not come as it was written")
        held("state kept between executions; output streamed while the program ran")
        bundles, _ = run_live(client, sandbox, python, PLOT)
        chart = base64.b64decode(bundles.get("image/png", ""))
        width, height = check_png(chart)
        OUTPUT.mkdir(exist_ok=True)
        (OUTPUT / "session.png").write_bytes(chart)
        held(f"a figure came back by itself: demo-output/session.png ({width} x {height})")
        shell = client.context(sandbox, "bash")
        run_live(client, sandbox, shell, "cd /tmp; greeting='hello from bash'")
        run_live(client, sandbox, shell, 'echo "$greeting, still in $PWD"')


# ---- hostile programs ----

def hostile_programs(server, client):
    heading("3. Programs that try to get out, or to do harm")
    failures = 0
    with client.sandbox("bash", timeout=300, labels={"demo": "neighbour"}) as neighbour:
        for name, attack, spec in attacks.CASES:
            with client.sandbox("python", timeout=120, labels={"demo": "hostile"}, **spec) as box:
                server.look()
                try:
                    evidence = attack(server, client, box, neighbour)
                    held(f"{name}: stopped")
                    note(evidence)
                except Failed as error:
                    failures += 1
                    broke(f"{name}: NOT stopped as it should be")
                    note(str(error))
        attacks.still_works(client, neighbour)
    held(f"{len(attacks.CASES) - failures} of {len(attacks.CASES)} stopped; "
         "the neighbour sandbox and the API are well")
    if failures:
        raise Failed(f"{failures} hostile programs were not stopped as they should be")


# ---- timings ----

def timed(times, name, function, *args, **kwargs):
    start = time.perf_counter()
    result = function(*args, **kwargs)
    times.setdefault(name, []).append((time.perf_counter() - start) * 1000)
    return result


def timings(client):
    heading(f"4. How long it takes ({ROUNDS} rounds over HTTP, one after the other, of a pool that uses pods again)")
    times, missed = {}, 0
    client.make_pool("demo", {"runtime": "python", "resources": SMALL, "minSize": SPARE, "maxSize": 20,
                              "recycle": {"enabled": True, "maxUses": 0}})
    if not wait_warm(client, SPARE, WARM_S, "demo"):
        raise Failed(f"the pool has no pods after {WARM_S} s: {client.pool('demo')}")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        sandbox = client.create("python", resources=SMALL)
        created = time.perf_counter()
        client.execute(sandbox, command=["true"])
        done = time.perf_counter()
        if sandbox["start"] == "warm":
            times.setdefault("create, from the warm pool", []).append((created - start) * 1000)
            times.setdefault("create + first result, warm", []).append((done - start) * 1000)
        else:
            missed += 1
        timed(times, "run `true`", client.execute, sandbox, command=["true"])
        timed(times, "run Python print(1)", client.execute, sandbox, language="python",
              code="print(1)")
        timed(times, "delete it, nothing left", client.delete, sandbox)
    for _ in range(COLD_ROUNDS):
        sandbox = timed(times, "create, cold", client.create, "python", resources=SMALL, warm="never")
        client.delete(sandbox)
    if "create, from the warm pool" not in times:
        raise Failed("no sandbox found a warm pod")
    print("   {:<28} {:>9} {:>9} {:>9}".format("", "p50", "p95", "worst"))
    for name, values in times.items():
        cuts = statistics.quantiles(values, n=20, method="inclusive")
        print(f"   {name:<28} {cuts[9]:>6.1f} ms {cuts[18]:>6.1f} ms {max(values):>6.1f} ms")
    note(f"{ROUNDS - missed} of {ROUNDS} found a warm pod")
    print(paint("2", f"   {os.cpu_count()} cores, Linux {platform.release().split('-')[0]}"),
          flush=True)


# ---- the whole ----

def play(server):
    client = server.client()
    try:
        starts_warm(client)
        real_work(client)
        session(client)
        hostile_programs(server, client)
        timings(client)
    finally:
        client.close()


def on_signal(signum, _frame):
    raise Failed("it took longer than %d s" % TIMEOUT_S if signum == signal.SIGALRM
                 else "interrupted")


def main():
    started, failure = time.monotonic(), None
    for signum in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, on_signal)
    signal.alarm(TIMEOUT_S)
    print(paint("1", "SecureAgent: code that nobody has reviewed, in sandboxes that hold"))
    try:
        server = Server(PROGRAMS)
    except (Failed, OSError) as error:
        broke(str(error))
        return 1
    held(f"secureagent up: {server.url}")
    try:
        play(server)
    except Exception as error:  # whatever it was: stop the server, tell, exit 1
        failure = error if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
        log = server.log.read_text(errors="replace").splitlines()[-15:]
    signal.alarm(0)
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, signal.SIG_IGN)  # stopping is what they ask for
    left = server.stop()
    heading("5. The end")
    if failure:
        broke(str(failure))
        note("the server's log ends with:\n" + "\n".join(log))
    for what in left:
        broke("left behind: " + what)
    if not left:
        held("stopped; nothing left: no processes, no control groups, no files")
    if failure or left:
        return 1
    print("\n" + paint("1;32", f"All of it held ({time.monotonic() - started:.0f} s). ") +
          "The charts are in demo-output/.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
