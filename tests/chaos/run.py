#!/usr/bin/python3
"""Fault injection over a simulated node: claims, deletions, changes of size and reloads, while the control plane, the
node and its sandboxes are killed at every fail point and at random, and watches misbehave. Then everything is looked
at (sweep.py, docs/invariants.md), and every fail point must have been reached.

    tests/chaos/run.py [--claims 100000] [--worlds 2] [--seed N] [--bin build/clang/bin] [--keep]

`--claims` is how many must have been decided: answered by a sandbox whose program said whose it is. Needs a build with
fail points (the preset `clang`). The seed decides what is asked for, killed and disturbed, and in what order; how that
falls together with what the programs do meanwhile is the machine's (docs/invariants.md).
"""
import argparse
import asyncio
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import failpoints
import sweep
from load import Load
from trouble import Killer, Trouble, pool
from world import World

CLIENTS = 48
ROOMY, TIGHT, PASSING = ("roomy", 512), ("tight", 768), ("passing", 1024)
REST_S = 180  # for all to come to rest
FOLDERS = ("core/claim", "controller", "node/agent", "tests/chaos")  # where what is in a world has its fail points
RESULT = "chaos-result "


async def look(world, load):
    """Until nothing is wrong, or it stays so."""
    until = time.monotonic() + REST_S
    while True:
        state = await world.node_state()
        running = {s["id"]: s for s in state["sandboxes"]}
        found = sweep.all_of(await sweep.read(world), running, load.told, load.kept, load.deleted)
        if not found or time.monotonic() > until:
            return found
        await asyncio.sleep(0.2)


async def suffer(world, load, trouble, killer, claims):
    """All the time until the claims are decided, and then until every client has got its last answer."""
    keepers = [asyncio.create_task(t) for t in (world.keep_plane(), world.keep_node())]
    tasks = [asyncio.create_task(t) for t in (load.run(), trouble.disturb(), trouble.watch_node(), killer.run(claims))]
    await asyncio.wait([tasks[-1], *keepers], return_when=asyncio.FIRST_COMPLETED)
    load.over = True
    for task in (*tasks, *keepers):
        if task.done():
            task.result()
    await asyncio.gather(*tasks)
    await world.ready()


async def pools_are_known(world):
    """A claim counts for a pool from when it says which pods it makes."""
    while not all(p.get("status", {}).get("key") for p in await world.list("warmpools")):
        await asyncio.sleep(0.02)


async def in_world(world, args):
    await world.start_node()
    await world.start_plane()
    await world.ready()
    await world.sure("create warmpool " + pool(ROOMY[0], 20, 150, ROOMY[1]))
    await world.sure("create warmpool " + pool(TIGHT[0], 8, 8, TIGHT[1]))
    await asyncio.wait_for(pools_are_known(world), REST_S)
    load = Load(world, CLIENTS, ((*ROOMY, 80, True), (*TIGHT, 14, True), (*PASSING, 6, False)))
    world.on_death = load.died
    trouble = Trouble(world, load, ROOMY[0], PASSING)
    killer = Killer(world, load, trouble, failpoints.names(*FOLDERS))
    began = time.monotonic()
    await suffer(world, load, trouble, killer, args.claims)
    seconds = time.monotonic() - began
    found = load.violations + await look(world, load) + [f"I1: {v}" for v in world.violations()]
    rest = time.monotonic() - began - seconds
    print(f"seed {world.seed}: {load.decided} claims decided of {load.number} in {seconds:.1f} s: {dict(load.outcomes)}; "
          f"{killer.kills} killed, {world.plane_starts} planes, {world.node_starts} nodes ({dict(trouble.node_counts())}); "
          f"{dict(trouble.deeds)}; at rest after {rest:.1f} s more", flush=True)
    missed = [f"the fail point {n} was never reached" for n in killer.missing()]
    return {"claims": load.decided, "kills": killer.kills, "reached": len(killer.reached), "missed": len(missed), "wrong": found + missed}


async def run_world(args):
    folder = tempfile.mkdtemp(prefix="secureagent-chaos-")
    world = World(folder, args.bin, args.seed)
    try:
        result = await in_world(world, args)
    finally:
        world.end()
    for wrong in result["wrong"][:50]:
        print(f"seed {args.seed}: WRONG: {wrong}")
    if result["wrong"] or args.keep:
        print(f"seed {args.seed}: kept {folder}; again: tests/chaos/run.py --worlds 1 --seed {args.seed} --claims {args.claims}")
    else:
        shutil.rmtree(folder)
    print(RESULT + json.dumps(result), flush=True)
    return 1 if result["wrong"] else 0


def one_world(args, number, results):
    """In a process of its own."""
    command = [sys.executable, "-B", __file__, "--worlds", "1", "--claims", str(args.claims // args.worlds), "--seed", str(args.seed + number),
               "--bin", str(args.bin), *(["--keep"] if args.keep else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            if line.startswith(RESULT):
                results[number] = json.loads(line[len(RESULT):])
            else:
                print(line, end="", flush=True)


def run_worlds(args):
    results = [None] * args.worlds
    threads = [threading.Thread(target=one_world, args=(args, i, results)) for i in range(args.worlds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = [r for r in results if r]
    good = sum(not r["wrong"] for r in done)
    print(f"chaos: {sum(r['claims'] for r in done)} claims decided, {sum(r['kills'] for r in done)} kills")
    print(f"chaos: {good} of {args.worlds} worlds in order")
    print(f"chaos: {sum(r['reached'] for r in done)} of {sum(r['reached'] + r['missed'] for r in done)} fail points reached")
    return 0 if good == args.worlds else 1


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
