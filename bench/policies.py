"""Policy decisions with the shipped rules, and reloads of 50 files while questions are asked.

    bench/policies.py [--quick]
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("SECUREAGENT_BIN", ROOT / "build" / "bin"))
FILES = 50

# A question about a command, as agent-api asks it.
COMMAND = {
    "now": 1700000000.5, "scope": {"namespace": "default", "tenant": "acme", "pool": "python"},
    "user": {"name": "ci", "role": "developer"},
    "sandbox": {"id": "sb-0123456789abcdef", "name": "build-17", "runtime": "python",
                "securityLevel": "standard", "ageSeconds": 42},
    "kind": "command", "program": "python3", "argv": ["python3", "-c", "import sys; print(sys.version)"],
    "codeBytes": 0, "cwd": "/workspace", "envNames": ["HOME", "LANG", "PATH"], "background": False, "tty": False,
    "run": {"timeoutMs": 0, "memoryBytes": 0, "cpuSeconds": 0, "fileSizeBytes": 0, "openFiles": 0},
}

# And as small as one can be: one rule that looks at two members of a few.
SMALL = {"now": 1700000000.5, "user": {"name": "ci", "role": "developer"}, "kind": "command", "program": "python3"}
RULE = """return {
  name = "one", version = 1, point = "execute", description = "one program, for nobody but its owner",
  params = { program = { type = "string", default = "xmrig" } },
  decide = function(input, params)
    if input.user.name ~= "owner" and input.program == params.program then
      return deny("program", "it is not yours")
    end
    return { verdict = "allow" }
  end,
}
"""


def load(program: str, *args: object) -> dict:
    done = subprocess.run([BIN / program, *map(str, args)], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        sys.exit(f"bench: {program} {args[0]}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def asked(question: dict, rules: pathlib.Path, quick: bool) -> dict:
    text = json.dumps(question)
    one = load("sa-policyload", "latency", "execute", 20000 if quick else 200000, text, rules)
    many = load("sa-policyload", "rate", "execute", 2 if quick else 5, text, rules)
    return {"decision": one["decision"], "perSecond": many["perSecond"], "residentKB": one["residentKB"]}


def measure(quick: bool) -> dict:
    shipped = ROOT / "lua"
    with tempfile.TemporaryDirectory() as folder:
        rules = pathlib.Path(folder)
        (rules / "policies").mkdir()
        (rules / "policies" / "one.lua").write_text(RULE)
        small = asked(SMALL, rules, quick)
    return {
        "small": small,
        "shipped": asked(COMMAND, shipped, quick),
        "typed": load("sa-policyload", "typed", 20000 if quick else 200000, shipped),
        "reload": load("sa-reload", FILES, 5 if quick else 20),
    }


def rows(r: dict) -> list[tuple[str, str, str]]:
    def times(t: dict) -> str:
        return f"{t['p50']:.1f} / {t['p95']:.1f} / {t['p99']:.1f} µs"

    reload = r["reload"]
    return [
        ("policy decision, one small rule, one in flight", times(r["small"]["decision"]),
         "goal p50 ≤ 15 µs, p99 ≤ 50 µs; API's side and worker on one core"),
        ("- a command with all its members, the two shipped rules", times(r["shipped"]["decision"]), "the same goal"),
        ("- and with encoding, record and metrics, as agent-api asks", times(r["typed"]["decision"]), ""),
        ("policy decisions, one small rule, 256 in flight, one core", f"{r['small']['perSecond']:.0f} per second", "goal ≥ 100000"),
        ("- a command with all its members, the two shipped rules", f"{r['shipped']['perSecond']:.0f} per second", "the same goal"),
        ("- and with encoding, record and metrics, as agent-api asks", f"{r['typed']['perSecond']:.0f} per second", ""),
        (f"reload of {FILES} rules and their tests, until live, under load",
         f"{reload['reloadMs']['p50']:.0f} ms, at most {reload['reloadMs']['max']:.0f} ms", "goal ≤ 200 ms"),
        ("- slowest decision meanwhile", f"{reload['answerWhileReloadingUs']['max'] / 1000:.1f} ms",
         f"{reload['answerUs']['max'] / 1000:.1f} ms without a reload; goal ≤ 5 ms more"),
        ("- longest turn of the API's loop meanwhile, processor time", f"{reload['loopCpuWhileReloadingMs']['max']:.1f} ms",
         f"{reload['loopBusyWhileReloadingMs']['max']:.1f} ms by the clock; goal ≤ 5 ms"),
        ("resident, policy-worker with the shipped rules", f"{r['shipped']['residentKB'] / 1024:.1f} MB", "goal ≤ 4 MB"),
    ]


if __name__ == "__main__":
    for row in rows(measure("--quick" in sys.argv)):
        print(" | ".join(row))
