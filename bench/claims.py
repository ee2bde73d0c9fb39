"""Claims of warm pods over a simulated node: what one costs, and that strangers do not make it dearer.

    bench/claims.py [--quick]
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from quiet import quietest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("SECUREAGENT_BIN", ROOT / "build" / "bin"))
COUNTS = (100, 1000, 10000)


def load(unrelated: int, rounds: int) -> dict:
    with tempfile.TemporaryDirectory(prefix="secureagent-bench-") as folder:
        done = subprocess.run([BIN / "sa-claimload", folder, str(unrelated), str(rounds)],
                              capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        sys.exit(f"bench: sa-claimload: {done.stderr.strip()}")
    return json.loads(done.stdout)


def measure(quick: bool) -> dict:
    return {str(count): quietest(lambda: load(count, 2), 1 if quick else 4) for count in COUNTS}


def rows(r: dict) -> list[tuple[str, str, str]]:
    def curve(step: str, figure: str) -> str:
        return " / ".join(f"{r[str(count)][step][figure]:.0f}" for count in COUNTS)

    stolen = " / ".join(f"{r[str(count)]['stolen']:.0%}" for count in COUNTS)
    return [
        ("claims of warm pods, simulated node, one client, beside 100 / 1,000 / 10,000 other sandboxes",
         curve("one", "perSecond") + " per second",
         f"p50 {curve('one', 'p50')} µs, p99 {curve('one', 'p99')} µs; goal ≥ 2,000; {stolen} stolen"),
        ("- 32 clients", curve("many", "perSecond") + " per second",
         f"p50 {curve('many', 'p50')} µs, p99 {curve('many', 'p99')} µs; goal ≥ 2,000"),
        ("- claim, first result, delete, recycle, 32 clients, sustained", curve("cycle", "perSecond") + " per second",
         f"{r[str(COUNTS[-1])]['cycle']['warm'] * 100:.0f} % warm"),
    ]


if __name__ == "__main__":
    for row in rows(measure("--quick" in sys.argv[1:])):
        print(" | ".join(row))
