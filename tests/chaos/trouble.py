"""What goes wrong in a simulated world meanwhile."""
import asyncio
import collections
import signal
import time

import sweep
from dice import dice
from world import Gone, Refused

REACH_S = 12  # for a fail point to be reached; then another one is tried, and this one later
TRIES_MAX = 12


def pool(name, low, high, mib):
    return (f'{{"apiVersion":"secureagent.dev/v1","kind":"WarmPool","metadata":{{"name":"{name}"}},"spec":{{"runtime":"python",'
            f'"minSize":{low},"maxSize":{high},"resources":{{"memory":"{mib}Mi"}},"recycle":{{"enabled":true,"maxUses":50}}}}}}')


class Trouble:
    """Deeds at random, until it is over; `scaled` and `passing` (name, MiB) are the pools that are scaled, and made and
    deleted."""

    def __init__(self, world, load, scaled, passing):
        self.world, self.load, self.scaled, self.passing = world, load, scaled, passing
        self.dice = dice(world.seed, "deed", 0)  # of the deed that is being done
        self.deeds = collections.Counter()
        self.nodes = {}  # what each of them said last

    async def quietly(self, line):
        try:
            await self.world.call(line)
        except (Gone, Refused):
            pass

    async def scale(self):
        low, high = self.dice.randrange(10, 40), self.dice.randrange(60, 200)
        await self.quietly(f'patch warmpool {self.scaled} {{"spec":{{"minSize":{low},"maxSize":{high}}}}}')

    async def passing_pool(self):
        name, mib = self.passing
        if self.dice.randrange(2):
            await self.quietly(f"remove warmpool {name}")
        else:
            await self.quietly("create warmpool " + pool(name, 3, 8, mib))

    async def remove_one(self):
        kind = self.dice.choice(("warmpods", "pods"))
        try:
            names = sorted(sweep.name_of(o) for o in await self.world.list(kind))
        except (Gone, Refused):
            return
        if names:
            await self.quietly(f"remove {kind} {self.dice.choice(names)}")

    async def _make_by_hand(self):
        """A sandbox from a manifest, as `apply` makes it."""
        name = f"by-hand-{self.dice.randrange(10**9)}"
        await self.quietly('create sandbox {"apiVersion":"secureagent.dev/v1","kind":"Sandbox","metadata":{"name":"%s"},'
                           '"spec":{"runtime":"python"}}' % name)
        return name

    async def by_hand(self):
        name = await self._make_by_hand()
        await asyncio.sleep(self.dice.uniform(0, 0.05))
        await self.load.delete(name)

    async def long_failed(self):
        name = await self._make_by_hand()
        await self.quietly(f'status sandbox {name} {{"status":{{"phase":"Failed","reason":"Old","endedAt":"2020-01-01T00:00:00Z"}}}}')

    async def remove_runtime(self):
        await self.quietly("remove runtime go")

    async def kill_runtime(self):
        await self.world.ask_node("killany")

    async def kill_node(self):
        self.world.node.send_signal(signal.SIGKILL)

    async def kill_plane(self):
        self.world.plane.send_signal(signal.SIGKILL)

    async def reload(self):
        await self.quietly("reload _")

    async def disturb(self):
        deeds = ((self.scale, 10), (self.passing_pool, 8), (self.remove_one, 3), (self.kill_runtime, 10), (self.reload, 2),
                 (self.by_hand, 10), (self.long_failed, 5), (self.remove_runtime, 2), (self.kill_node, 1))
        while not self.load.over:
            self.dice = dice(self.world.seed, "deed", self.deeds.total())
            await asyncio.sleep(self.dice.uniform(0.05, 0.4))
            deed = self.dice.choices([d for d, _ in deeds], [w for _, w in deeds])[0]
            self.deeds[deed.__name__] += 1
            await deed()

    async def watch_node(self):
        """A simulated node that dies takes its counts with it."""
        while not self.load.over:
            state = await self.world.node_state()
            if state:
                self.nodes[self.world.node_starts] = {k: v for k, v in state.items() if isinstance(v, int)}
            await asyncio.sleep(0.5)

    def node_counts(self):
        return sum((collections.Counter(c) for c in self.nodes.values()), collections.Counter())


class Killer:
    """Kills at each fail point in turn, early or late, until each was reached; then there and at random."""

    def __init__(self, world, load, trouble, names):
        self.world, self.load, self.trouble, self.names = world, load, trouble, names
        self.dice = dice(world.seed, "kill", 0)
        self.reached, self.tries, self.kills = collections.Counter(), collections.Counter(), 0
        t = trouble
        self.bring = {  # what gets one there that comes seldom
            "agent.adopt": t.kill_plane, "agent.attach": t.kill_plane, "sim.node.attach": t.kill_plane,
            "pool.pod_deleted": t.kill_runtime, "pool.warm_pod_deleted": t.scale, "runtime.written": t.remove_runtime,
            "sandbox.deleted": t.long_failed, "sandbox.finalizer-added": t.by_hand}

    async def at(self, name, nth):
        """Until somebody died there; whoever died is started again by others."""
        world, bring = self.world, self.bring.get(name)
        self.tries[name] += 1
        world.page.arm(name, nth)
        until, again = time.monotonic() + REACH_S, 0
        while not world.page.reached() and time.monotonic() < until:
            if bring and time.monotonic() > again:
                await bring()
                again = time.monotonic() + 1
            await asyncio.sleep(0.01)
        if world.page.disarm():
            self.reached[name] += 1
            self.kills += 1

    def nth(self, name):
        most = 2 if name in self.bring or self.tries[name] > 1 else 60
        return dice(self.world.seed, name, self.tries[name]).randrange(1, most + 1)

    async def rest(self, most_s):
        await asyncio.sleep(self.dice.uniform(0.1, most_s))

    def missing(self):
        return [n for n in self.names if n not in self.reached]

    async def at_each(self):
        for number in range(TRIES_MAX):
            names = self.missing()
            dice(self.world.seed, "round", number).shuffle(names)
            for name in names:
                await self.at(name, self.nth(name))
                await self.rest(0.5)

    async def run(self, claims):
        await self.at_each()
        number = 0
        while self.load.decided < claims:
            number += 1
            self.dice = dice(self.world.seed, "kill", number)
            if self.dice.randrange(2):
                name = self.dice.choice(self.names)
                await self.at(name, self.nth(name))
            else:
                await self.trouble.kill_plane()
                self.kills += 1
            await self.rest(3)
