"""What others take of a shared machine, and measuring while they take least."""
from __future__ import annotations

import os
import pathlib
import time


def processors() -> tuple[float, float]:
    """Milliseconds since the start of the machine that all its processors worked, and that were stolen from them."""
    ticks = [int(x) for x in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _, _, irq, softirq, stolen = (x * 1000 / os.sysconf("SC_CLK_TCK") for x in ticks)
    return user + nice + system + irq + softirq, stolen


def quietest(measure, times: int) -> dict:
    """What `measure` found the one time of several in which the least was stolen, whatever it found in the others.
    Added: `stolen`, the share of all processors' time, and `processorMs`, what they worked meanwhile."""
    best: dict = {}
    for _ in range(times):
        before, start = processors(), time.monotonic()
        found = measure()
        seconds = time.monotonic() - start
        work, stolen = (b - a for a, b in zip(before, processors()))
        found |= {"stolen": stolen / (seconds * 1000 * (os.cpu_count() or 1)), "processorMs": work}
        if not best or found["stolen"] < best["stolen"]:
            best = found
    return best


def said(found: dict) -> str:
    return f"{found['stolen']:.0%} stolen"
