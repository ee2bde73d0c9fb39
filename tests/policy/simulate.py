"""A warm pool in simulated time, sized by a scaling rule in the real policy-worker.

What the controller will do: a claim takes a warm pod or misses; what is missing to the wanted size is
made, so many at a time, each in its time; every few seconds the rule is asked, with what it will
get then: counts, the claims of the last minute, samples of the past, measured refill times.
"""
import collections
import heapq
import random
import statistics

HISTORY = 120   # samples kept
START = 1_795_392_000.0  # a Monday, 00:00 UTC


class Pool:
    def __init__(self, worker, rule, params=None, low=1, high=400, refill=0.25, parallel=8, hold=60.0, interval=5.0, seed=1):
        self.worker, self.rule, self.params = worker, rule, params or {}
        self.low, self.high, self.refill, self.parallel, self.hold = low, high, refill, parallel, hold
        self.interval = interval  # seconds between two questions
        self.random = random.Random(seed)
        self.size, self.available, self.now = low, low, 0.0
        self.pending, self.waiting, self.assigned = [], 0, []  # heaps of times; not yet begun
        self.claims = self.misses = 0
        self.arrived, self.missed = collections.deque(), collections.deque()
        self.history, self.refills = collections.deque(maxlen=HISTORY), collections.deque(maxlen=200)
        self.last_scale, self.sizes, self.counts = (0.0, 0, 0), [], [0, 0]  # claims, misses
        self.seconds = collections.Counter()

    def order(self):
        """Make what is missing: queued beyond what can be made at once."""
        self.waiting = max(0, self.size - self.available - len(self.pending))
        while self.waiting and len(self.pending) < self.parallel:
            self.waiting -= 1
            took = self.refill * self.random.lognormvariate(0, 0.3)
            heapq.heappush(self.pending, (self.now + took, took))

    def until(self, time):
        while self.pending and self.pending[0][0] <= time:
            self.now, took = heapq.heappop(self.pending)
            self.available += 1
            self.refills.append(took)
            self.order()
        self.now = time
        while self.assigned and self.assigned[0] <= time:
            heapq.heappop(self.assigned)

    def claim(self):
        self.claims += 1
        self.counts[0] += 1
        self.seconds[int(self.now)] += 1
        self.arrived.append(self.now)
        heapq.heappush(self.assigned, self.now + self.random.expovariate(1 / self.hold))
        if self.available:
            self.available -= 1
        else:
            self.misses += 1
            self.counts[1] += 1
            self.missed.append(self.now)
        self.order()

    def lately(self, times):
        while times and times[0] <= self.now - 60:
            times.popleft()
        return len(times) / 60

    def question(self):
        claims, misses = self.lately(self.arrived), self.lately(self.missed)
        seconds = collections.Counter(int(t) for t in self.arrived)
        ordered = sorted(self.refills) or [0]
        at, before, after = self.last_scale
        return {
            "now": START + self.now, "rule": self.rule, "params": self.params,
            "pool": {"name": "p", "runtime": "python", "min": self.low, "max": self.high, "size": self.size},
            "pods": {"available": self.available, "assigned": len(self.assigned),
                     "pending": len(self.pending) + self.waiting, "recycling": 0},
            "demand": {"claimsPerSecond": claims, "missesPerSecond": misses,
                       "claimsPerSecondPeak": float(max(seconds.values(), default=0))},
            "history": list(self.history),
            "refillP50Ms": int(statistics.median(ordered) * 1000),
            "refillP95Ms": int(ordered[int(len(ordered) * 0.95)] * 1000),
            "lastScaleAt": START + at if at else 0.0, "lastScaleFrom": before, "lastScaleTo": after, "capacity": -1,
        }

    def scale(self):
        self.history.append({"at": START + self.now, "claims": self.counts[0], "misses": self.counts[1],
                             "claimsPeak": max(self.seconds.values(), default=0),
                             "available": self.available, "assigned": len(self.assigned), "size": self.size})
        self.counts, self.seconds = [0, 0], collections.Counter()
        size = self.worker.call("scaling", self.question())["size"]
        if size != self.size:
            self.last_scale = (self.now, self.size, size)
        self.size = size
        self.sizes.append(size)
        self.available = min(self.available, size)  # what is too many goes first
        self.order()

    def run(self, arrivals, seconds, warm_up=0.0):
        """Play the trace; what happens before `warm_up` does not count as hit or miss."""
        arrivals, asked, counted = iter(arrivals), self.interval, warm_up == 0
        following = next(arrivals, None)
        while self.now < seconds:
            if following is not None and following <= asked:
                self.until(following)
                if not counted and self.now >= warm_up:
                    self.claims = self.misses = 0
                    counted = True
                self.claim()
                following = next(arrivals, None)
            else:
                self.until(asked)
                self.scale()
                asked += self.interval
        return self

    @property
    def hit_ratio(self):
        return 1 - self.misses / max(1, self.claims)

    @property
    def mean_size(self):
        return statistics.fmean(self.sizes)

    @property
    def turns(self):
        """How often it went up after it had gone down, or the other way round."""
        steps = [b - a for a, b in zip(self.sizes, self.sizes[1:]) if b != a]
        return sum((a > 0) != (b > 0) for a, b in zip(steps, steps[1:]))


def poisson(rate, seconds, seed=7):
    """Arrivals of a rate that may change: `rate` is a number or a function of time."""
    source, now = random.Random(seed), 0.0
    most = rate if not callable(rate) else max(rate(t) for t in range(int(seconds)))
    while True:
        now += source.expovariate(most)
        if now >= seconds:
            return
        if not callable(rate) or source.random() < rate(now) / most:
            yield now
