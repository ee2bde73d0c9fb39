"""The shipped scaling rules, judged by pools in simulated time over arrivals of many kinds.

What is promised: claims find a warm pod as often as the rule says (what happens in the first minutes,
before anything was measured, does not count); no more pods than such a ratio needs by far; no flapping;
never beyond min and max.
"""
import math
import pathlib

import pytest

from tests.helpers.policy import point
from tests.policy.simulate import START, Pool, poisson

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOUR = 3600
POINTS = [point("scaling", ["sized"], [], "named", returns={
    "size": {"type": "integer", "required": True, "low": 0, "high": 1_000_000}})]


@pytest.fixture
def rules(worker):
    files = {f"scaling/{p.name}": p.read_text() for p in (ROOT / "lua/scaling").glob("*.lua")}
    return worker({n: t for n, t in files.items() if not n.endswith("_test.lua")}, POINTS)


def recorded():
    """When sandboxes were asked for while this project's own API tests ran: seconds."""
    text = (pathlib.Path(__file__).parent / "traces/api-tests.txt").read_text()
    return [float(line) for line in text.splitlines() if not line.startswith("#")]


def bursts(count, every, seconds):
    return [at + i * 0.001 for at in range(every, seconds, every) for i in range(count)]


def day(t):
    return 1.6 + 1.5 * math.sin(2 * math.pi * (t / (24 * HOUR) - 0.3))


def rush(t):
    return 0.2 if t < 1200 or t > 2400 else 8.0


def checked(pool, ratio, mean_size, turns):
    assert pool.low <= min(pool.sizes) and max(pool.sizes) <= pool.high
    assert pool.hit_ratio >= ratio, f"{pool.misses} of {pool.claims} missed"
    assert pool.mean_size <= mean_size, pool.mean_size
    assert pool.turns <= turns, pool.turns
    return pool


# A ratio of 0.98 needs about rate * refill + 2 * sqrt(rate * refill) pods.
@pytest.mark.parametrize("name, arrivals, seconds, refill, ratio, mean_size, turns", [
    ("steady", poisson(2, HOUR), HOUR, 0.25, 0.98, 6, 6),
    ("steady and slow to make", poisson(2, HOUR), HOUR, 5, 0.98, 30, 8),
    ("busy", poisson(60, 1800), 1800, 0.05, 0.98, 30, 6),
    ("a day", poisson(day, 24 * HOUR), 24 * HOUR, 1, 0.98, 10, 48),
    ("a rush", poisson(rush, HOUR), HOUR, 0.5, 0.97, 12, 8),
    ("bursts of 20", bursts(20, 120, 2 * HOUR), 2 * HOUR, 0.25, 0.93, 30, 24),
    ("one in ten minutes", range(600, 6 * HOUR, 600), 6 * HOUR, 0.25, 1, 3, 80),
    ("recorded", recorded(), max(recorded()) + 60, 0.05, 0.97, 28, 20),
])
def test_hit_ratio(rules, name, arrivals, seconds, refill, ratio, mean_size, turns):
    interval = 30.0 if seconds > 6 * HOUR else 5.0
    pool = Pool(rules, "target-hit-ratio", refill=refill, parallel=32, interval=interval).run(arrivals, seconds, warm_up=300)
    print(f"{name}: hit ratio {pool.hit_ratio:.4f}, mean size {pool.mean_size:.1f}, largest {max(pool.sizes)}, turns {pool.turns}")
    checked(pool, ratio, mean_size, turns)


def test_hit_ratio_is_chosen(rules):
    """Who asks for more gets more, and pays for it."""
    pools = [Pool(rules, "target-hit-ratio", {"hitRatio": r}, refill=2, parallel=64).run(poisson(5, HOUR), HOUR, 300)
             for r in (0.8, 0.95, 0.999)]
    for pool, ratio in zip(pools, (0.8, 0.95, 0.999)):
        assert pool.hit_ratio >= ratio
    assert pools[0].mean_size < pools[1].mean_size < pools[2].mean_size


def test_silence_ends_in_min(rules):
    pool = Pool(rules, "target-hit-ratio", low=2).run(poisson(20, 600), 2 * HOUR)
    assert max(pool.sizes) > 10 and pool.sizes[-1] == 2 and pool.turns <= 4


def test_max_holds_in_a_flood(rules):
    pool = Pool(rules, "target-hit-ratio", high=30, refill=1).run(poisson(200, 300), 300)
    assert max(pool.sizes) == 30 and pool.misses > 0


@pytest.mark.parametrize("arrivals, hold, mean_size, turns", [
    (poisson(2, HOUR), 60, 45, 20),          # 120 in use want 30 warm
    (poisson(rush, HOUR), 30, 50, 6),
    (poisson(day, 24 * HOUR), 120, 70, 96),
])
def test_utilization(rules, arrivals, hold, mean_size, turns):
    seconds, interval = (24 * HOUR, 30.0) if mean_size == 70 else (HOUR, 5.0)
    pool = Pool(rules, "target-utilization", hold=hold, low=2, refill=0.25, interval=interval).run(arrivals, seconds, warm_up=300)
    checked(pool, 0.97, mean_size, turns)


def test_schedule(rules):
    """A working week: sizes as written, made a minute ahead, and no more changes than that."""
    times = ["Mon-Fri 08:00-18:00 20", "Sat 10:00-12:00 5"]
    pool = Pool(rules, "schedule", {"times": times, "otherwise": 2}, interval=30.0).run([], 7 * 24 * HOUR)
    at = {(sample + 1) * 30: size for sample, size in enumerate(pool.sizes)}
    assert START % (7 * 24 * HOUR) == 4 * 24 * HOUR  # Monday, as 1970 began on a Thursday
    assert at[8 * HOUR - 90] == 2 and at[8 * HOUR - 60] == 20 and at[18 * HOUR - 30] == 20 and at[18 * HOUR] == 2
    assert at[5 * 24 * HOUR + 11 * HOUR] == 5 and at[6 * 24 * HOUR + 11 * HOUR] == 2
    assert sum(a != b for a, b in zip(pool.sizes, pool.sizes[1:])) == 12
