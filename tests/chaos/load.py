"""The clients of a simulated world: what they ask for, what they were told, and what they cannot know."""
import asyncio
import collections
import json
import time

import sweep
from dice import dice
from world import Gone, Refused

ANSWER_S = 180
UNCOUNTED_S = 2  # what was made so long before a plane died may not have been counted by it, nor by the next
KEEP_ONE_IN = 500
WAYS, WAY_WEIGHTS = ("prefer", "require", "never"), (94, 4, 2)


class Load:
    """`pools`: (name, MiB, weight, whether its counts are checked), which are what claims ask for. The number of a claim
    decides what it asks for."""

    def __init__(self, world, clients, pools):
        self.world, self.clients, self.pools = world, clients, pools
        self.told = {name: {"hits": 0, "misses": 0, "maybe hits": 0, "maybe misses": 0} for name, _, _, counted in pools if counted}
        self.recent = collections.deque()  # (when, pool, hits or misses)
        self.outcomes = collections.Counter()
        self.kept, self.deleted, self.violations = set(), set(), []
        self.number = 0
        self.over = False

    @property
    def decided(self):
        """Claims that were answered with a sandbox whose program has said whose it is."""
        return self.outcomes["warm"] + self.outcomes["cold"]

    async def claim(self, name, tenant, mib, warm):
        """warm, cold, refused (there is nothing) or unknown."""
        try:
            _, how = (await asyncio.wait_for(self.world.call(f"claim {name} {tenant} {warm} {mib}"), ANSWER_S)).split()
        except asyncio.TimeoutError:
            self.violations.append(f"I11: the claim of {name} is not answered")
            return "unknown"
        except Gone:
            return "unknown"
        except Refused as refused:
            if "VIOLATION" in refused.message:
                self.violations.append(f"I1: {refused.message}")
            return "refused" if warm == "require" and "no warm pod that fits is ready" in refused.message else "failed"
        return how

    def tell(self, pool, what, sure):
        self.told[pool][what if sure else "maybe " + what] += 1
        if sure:
            self.recent.append((time.monotonic(), pool, what))
        while self.recent and self.recent[0][0] < time.monotonic() - UNCOUNTED_S:
            self.recent.popleft()

    def died(self):
        for when, pool, what in self.recent:
            if when > time.monotonic() - UNCOUNTED_S:
                self.told[pool][what] -= 1
                self.told[pool]["maybe " + what] += 1
        self.recent.clear()

    async def found(self, name):
        """What came of a claim whose answer was lost: warm, cold or nothing."""
        try:
            sandbox = json.loads(await asyncio.wait_for(self.world.sure(f"get sandbox {name}"), ANSWER_S))
        except asyncio.TimeoutError:
            self.violations.append(f"I11: nobody tells whether there is {name}")
            return None
        except Refused as refused:
            if refused.code != "not_found":
                self.violations.append(f"I10: {name} cannot be read: {refused}")
            return None
        return "warm" if sweep.annotation(sandbox, sweep.WARM_POD) else "cold"

    async def delete(self, name):
        try:
            await asyncio.wait_for(self.world.sure(f"delete {name}"), ANSWER_S)
        except asyncio.TimeoutError:
            self.violations.append(f"I11: the deletion of {name} is not answered")
        except Refused as refused:
            if refused.code != "not_found":
                self.violations.append(f"I10: {name} cannot be deleted: {refused}")
        self.deleted.add(name)

    async def one(self, number):
        name, chance = f"sb-{self.world.seed}-{number}", dice(self.world.seed, "claim", number)
        pool, mib, _, _ = chance.choices(self.pools, [p[2] for p in self.pools])[0]
        warm, keep = chance.choices(WAYS, WAY_WEIGHTS)[0], chance.randrange(KEEP_ONE_IN) == 0
        how = await self.claim(name, f"tenant-{chance.randrange(3)}", mib, warm)
        self.outcomes[how] += 1
        made = how
        if how in ("unknown", "failed"):
            made = await self.found(name)
            if made:
                self.outcomes[f"{how}, was {made}"] += 1
        if pool in self.told and warm != "never" and made in ("warm", "cold"):
            self.tell(pool, "hits" if made == "warm" else "misses", how == made)
        if made not in ("warm", "cold"):
            return
        if how == made and keep:
            self.kept.add(name)
        else:
            await self.delete(name)

    async def look_after_kept(self):
        """One that failed stays for minutes only: then it is not missed."""
        while not self.over:
            await asyncio.sleep(5)
            kept = set(self.kept)
            sandboxes = {sweep.name_of(s): s for s in await self.world.list("sandboxes")}
            self.violations += sweep.nothing_is_lost(sandboxes, kept)
            ended = {name for name in kept if sweep.phase_of(sandboxes.get(name, {})) in sweep.ENDED}
            self.violations += [f"I2: {n} ended without a reason" for n in ended if not sandboxes[n]["status"].get("reason")]
            self.kept -= ended | (kept - set(sandboxes))

    async def client(self):
        while not self.over:
            self.number += 1
            await self.one(self.number)

    async def run(self):
        await asyncio.gather(self.look_after_kept(), *(self.client() for _ in range(self.clients)))
