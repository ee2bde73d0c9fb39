#!/usr/bin/python3
"""Fault injection: claims, deletions, changes of size and reloads, while the control plane is killed at every
fail point and at random, the simulated node and its sandboxes die, and watches misbehave. Then everything is
looked at (sweep.py, docs/invariants.md).

    tests/chaos/run.py [--claims 100000] [--worlds 2] [--seed N] [--bin build/clang/bin] [--keep]

Needs a build with fail points (the preset `clang`). The same seed asks for the same things in the same order
and kills at the same places; what runs beside what is the machine's.
"""
import argparse
import asyncio
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

import sweep
from world import Gone, Refused, World, fail_points

CLIENTS, POOL, OTHER = 32, "main", "other"
REST_S = 100  # for all to come to rest
KEEP_ONE_IN = 500
REACH_S = 6  # for a fail point, or it is not reached
ANSWER_S = 60


class Load:
    """The clients, what they were told, and what they cannot know."""

    def __init__(self, world, claims, dice):
        self.world, self.left, self.dice = world, claims, dice
        self.told = {"hits": 0, "misses": 0, "unknown": 0}
        self.go_on = True  # beyond the claims, too
        self.kept, self.violations = set(), []
        self.outcomes = {}
        self.number = 0

    def count(self, outcome):
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    async def claim(self, name, warm):
        """True: it exists. False: it cannot. None: nobody knows."""
        tenant = f"tenant-{self.dice.randrange(3)}"
        try:
            _, how = (await asyncio.wait_for(self.world.call(f"claim {name} {tenant} {warm}"), ANSWER_S)).split()
        except asyncio.TimeoutError:
            self.violations.append(f"I11: the claim of {name} is not answered")
        except Gone:
            self.count("unknown")
        except Refused as refused:
            if "VIOLATION" in refused.message:
                self.violations.append(f"I1: {refused.message}")
            if warm == "require" and "no warm pod that fits is ready" in refused.message:
                self.count("refused")
                return False
            self.count("failed")
        else:
            self.count(how)
            if warm != "never":
                self.told["hits" if how == "warm" else "misses"] += 1
            return True
        if warm != "never":
            self.told["unknown"] += 1
        return None

    async def delete(self, name):
        try:
            await asyncio.wait_for(self.world.sure(f"delete {name}"), ANSWER_S)
        except asyncio.TimeoutError:
            self.violations.append(f"I11: the deletion of {name} is not answered")
        except Refused as refused:
            if refused.code != "not_found":
                self.violations.append(f"I10: {name} cannot be deleted: {refused}")

    async def client(self):
        while self.left > 0 or self.go_on:
            self.left -= 1
            self.number += 1
            name = f"sb-{self.world.seed}-{self.number}"
            warm = self.dice.choices(("prefer", "require", "never"), (94, 4, 2))[0]
            exists = await self.claim(name, warm)
            if exists and self.dice.randrange(KEEP_ONE_IN) == 0:
                self.kept.add(name)
            elif exists is not False:
                await self.delete(name)

    async def run(self):
        await asyncio.gather(*(self.client() for _ in range(CLIENTS)))


class Trouble:
    """What goes wrong meanwhile, until it is told to stop."""

    def __init__(self, world, load, dice):
        self.world, self.load, self.dice = world, load, dice
        self.over = False
        self.reached, self.kills = {}, 0

    async def quietly(self, line):
        try:
            await self.world.call(line)
        except (Gone, Refused):
            pass

    async def scale(self):
        low = self.dice.randrange(5, 30)
        await self.quietly(f'patch warmpool {POOL} {{"spec":{{"minSize":{low},"maxSize":{low + self.dice.randrange(5, 40)}}}}}')

    async def other_pool(self):
        if self.dice.randrange(2):
            await self.quietly(f"remove warmpool {OTHER}")
        else:
            await self.quietly("create warmpool " + pool(OTHER, 3, 5, "1Gi"))

    async def remove_one(self):
        kind = self.dice.choice(("warmpods", "pods"))
        try:
            names = sorted(sweep.name_of(o) for o in await self.world.list(kind))
        except (Gone, Refused):
            return
        if names:
            await self.quietly(f"remove {kind} {self.dice.choice(names)}")

    async def by_hand(self):
        """A sandbox from a manifest, as `apply` makes it; and one that failed long ago."""
        name = f"by-hand-{self.dice.randrange(10**6)}"
        manifest = '{"apiVersion":"secureagent.dev/v1","kind":"Sandbox","metadata":{"name":"%s"},"spec":{"runtime":"python"}}' % name
        await self.quietly("create sandbox " + manifest)
        if self.dice.randrange(2):
            await self.quietly(f'status sandbox {name} {{"status":{{"phase":"Failed","reason":"Old","endedAt":"2020-01-01T00:00:00Z"}}}}')
        else:
            await asyncio.sleep(self.dice.uniform(0, 0.05))
            await self.load.delete(name)

    async def remove_runtime(self):
        await self.quietly("remove runtime go")

    async def kill_runtime(self):
        await self.world.ask_node("killany")

    async def kill_node(self):
        await self.world.kill_node()
        await self.world.start_node()

    async def reload(self):
        await self.quietly("reload _")

    async def disturb(self):
        deeds = ((self.scale, 10), (self.other_pool, 6), (self.remove_one, 3), (self.kill_runtime, 10), (self.reload, 2), (self.by_hand, 25), (self.remove_runtime, 3), (self.kill_node, 1))
        while not self.over:
            await asyncio.sleep(self.dice.uniform(0.05, 0.4))
            deed = self.dice.choices([d for d, _ in deeds], [w for _, w in deeds])[0]
            self.load.count(deed.__name__)
            await deed()

    async def at_fail_point(self, name, nth):
        """The plane runs until it dies there; kill -9 when it does not get there."""
        await self.world.start_plane(f"{name}:{nth}")
        try:
            await asyncio.wait_for(self.world.ended(self.world.plane), REACH_S)
            self.reached[name] = self.reached.get(name, 0) + 1
        except asyncio.TimeoutError:
            await self.world.kill_plane()
        self.world.up.clear()
        self.kills += 1

    async def kill_planes(self):
        """At each fail point in turn, early or late; what was not reached comes again, early. Then at random."""
        for early in (False, True, True):
            names = [n for n in fail_points() if n not in self.reached]
            self.dice.shuffle(names)
            for name in names:
                await self.at_fail_point(name, 1 if early else self.dice.randrange(1, 40))
        self.load.go_on = False
        while self.load.left > 0:
            await self.world.start_plane()
            await asyncio.sleep(self.dice.uniform(0.2, 4))
            await self.world.kill_plane()
            self.kills += 1


def pool(name, low, high, memory="512Mi"):
    return (f'{{"apiVersion":"secureagent.dev/v1","kind":"WarmPool","metadata":{{"name":"{name}"}},"spec":{{"runtime":"python",'
            f'"minSize":{low},"maxSize":{high},"resources":{{"memory":"{memory}"}},"recycle":{{"enabled":true,"maxUses":50}}}}}}')


async def look(world, load):
    """Until nothing is wrong, or it stays so."""
    until = time.monotonic() + REST_S
    while True:
        state = await world.node_state()
        running = {s["id"]: s for s in state["sandboxes"]}
        found = sweep.all_of(await sweep.read(world), running, load.told, load.kept)
        found += [f"I1: {v}" for v in state["violations"]]
        if not found or time.monotonic() > until:
            return found
        await asyncio.sleep(0.2)


async def in_world(world, args, dice):
    await world.start_node()
    await world.start_plane()
    await world.ready()
    await world.sure("create warmpool " + pool(POOL, 20, 40))
    load = Load(world, args.claims, dice)
    trouble = Trouble(world, load, dice)
    await world.kill_plane()
    tasks = [asyncio.create_task(t) for t in (load.run(), trouble.kill_planes(), trouble.disturb())]
    began = time.monotonic()
    # The load ends when the claims are made; those who kill end then, and a plane that lives answers what is left.
    await tasks[1]
    trouble.over = True
    await world.start_plane()
    await asyncio.gather(*tasks)
    await world.ready()
    seconds = time.monotonic() - began
    found = load.violations + [f"I1: {v}" for v in world.violations] + await look(world, load)
    rest = time.monotonic() - began - seconds
    print(f"seed {world.seed}: {load.number} claims in {seconds:.1f} s: {load.outcomes}, {trouble.kills} kills, "
          f"{world.node_starts} nodes, at rest after {rest:.1f} s more", flush=True)
    found += [f"the fail point {n} was never reached" for n in fail_points() if n not in trouble.reached]
    return found


async def run_world(args):
    folder = tempfile.mkdtemp(prefix="secureagent-chaos-")
    world = World(folder, args.bin, args.seed)
    try:
        found = await in_world(world, args, random.Random(args.seed))
    finally:
        world.end()
    for wrong in found[:50]:
        print(f"seed {args.seed}: WRONG: {wrong}")
    if found or args.keep:
        print(f"seed {args.seed}: kept {folder}; again: tests/chaos/run.py --worlds 1 --seed {args.seed} --claims {args.claims}")
    else:
        shutil.rmtree(folder)
    return 1 if found else 0


def run_worlds(args):
    """One process each, side by side."""
    each = args.claims // args.worlds
    children = [subprocess.Popen([sys.executable, "-B", __file__, "--worlds", "1", "--claims", str(each), "--seed", str(args.seed + i),
                                  "--bin", str(args.bin), *(["--keep"] if args.keep else [])]) for i in range(args.worlds)]
    failed = sum(child.wait() != 0 for child in children)
    print(f"chaos: {args.worlds - failed} of {args.worlds} worlds in order")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claims", type=int, default=100_000)
    parser.add_argument("--worlds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2] / "build/clang/bin")
    parser.add_argument("--keep", action="store_true", help="keep the folder of the world")
    args = parser.parse_args()
    sys.exit(run_worlds(args) if args.worlds > 1 else asyncio.run(run_world(args)))


if __name__ == "__main__":
    main()
