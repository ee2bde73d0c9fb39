#!/usr/bin/python3
"""The same over the real node: clients of `secureagent up` create, execute, write files and delete while agent-api,
sandbox-node, sandboxes and the supervisor are killed, at every fail point of node, runtime and API and at random. Each
client's program must say whose it is. Then everything is looked at: objects, control groups, processes, mounts, files.

    tests/chaos/real.py [--claims 2000] [--seed N] [--keep]

SECUREAGENT_BIN says what is tested (build/clang/bin): a build with fail points.
"""
import argparse
import collections
import http.client
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
os.environ.setdefault("SECUREAGENT_BIN", str(pathlib.Path(__file__).resolve().parents[2] / "build/clang/bin"))
import failpoints
import real_sweep
import sweep
from dice import dice
from tests.helpers import server as servers

CLIENTS, POOL = 8, "main"
REACH_S = 8  # for a fail point to be reached; then another one is tried, and this one later
TRIES_MAX = 12
UNCOUNTED_S = 2  # what was made so long before agent-api died may not have been counted
KNOWN_S = 120  # for a pool to say which pods it makes
DEATHS = 2  # of programs in the life of a supervisor, which is patient with so many; then it is killed itself
REQUIRED, MORE = ("node", "runtime", "api", "core"), ("controller",)


class Up:
    """`secureagent up`, one after the other on the same data."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="secureagent-chaos-"))
        self.folder.chmod(0o711)
        self.page = failpoints.Page(self.folder / "failpoint")
        self.data, self.listen, self.servers = self.folder / "data", [], []
        self.start()
        self.host, self.key, self.state = urllib.parse.urlsplit(self.server.url).netloc, self.server.key, self.server.state
        self.listen = ["--listen", self.host]

    @property
    def server(self):
        return self.servers[-1]

    def start(self):
        self.servers.append(servers.start_server(self.data, args=("--log-level", "warn", *self.listen), env=self.page.environment()))

    def replace(self):
        """Its programs die with it, its sandboxes do not."""
        self.server.process.kill()
        self.server.process.wait()
        self.start()

    def keep_logs(self):
        for i, server in enumerate(self.servers):
            (self.folder / f"log-{i}").write_text(server.log())

    def discard(self):
        for server in self.servers:
            server.discard()
        shutil.rmtree(self.folder)


class Client:
    """Plain requests that do not mind when the server dies meanwhile."""

    def __init__(self, up):
        self.up, self.connection = up, None

    def ask(self, method, path, body=None, data=None):
        """(status, body); (0, None): nobody knows."""
        kind = "application/octet-stream" if data is not None else "application/merge-patch+json" if method == "PATCH" else "application/json"
        data = json.dumps(body) if body is not None else data
        try:
            if not self.connection:
                self.connection = http.client.HTTPConnection(self.up.host, timeout=90)
            self.connection.request(method, "/api/v1/" + path, data, {"X-API-Key": self.up.key, "Content-Type": kind})
            answer = self.connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.connection = None
            return 0, None

    def sure(self, method, path, body=None):
        """Until somebody answers, who can."""
        until = time.monotonic() + 120
        while True:
            status, answer = self.ask(method, path, body)
            if status and status not in (429, 503) or time.monotonic() > until:
                return status, answer
            time.sleep(0.05)


class Load:
    def __init__(self, up, seed):
        self.up, self.seed, self.over = up, seed, False
        self.lock, self.outcomes, self.wrong, self.number = threading.Lock(), collections.Counter(), [], 0
        self.told = {POOL: {"hits": 0, "misses": 0, "maybe hits": 0, "maybe misses": 0}}
        self.recent, self.deleted, self.ended = collections.deque(), set(), set()

    @property
    def decided(self):
        return self.outcomes["warm"] + self.outcomes["cold"]

    def count(self, outcome):
        with self.lock:
            self.outcomes[outcome] += 1

    def tell(self, what):
        with self.lock:
            self.told[POOL][what] += 1
            self.recent.append((time.monotonic(), what))
            while self.recent[0][0] < time.monotonic() - UNCOUNTED_S:
                self.recent.popleft()

    def maybe(self):
        with self.lock:
            self.told[POOL]["maybe hits"] += 1
            self.told[POOL]["maybe misses"] += 1

    def died(self):
        with self.lock:
            for when, what in self.recent:
                if when > time.monotonic() - UNCOUNTED_S:
                    self.told[POOL][what] -= 1
                    self.told[POOL]["maybe " + what] += 1
            self.recent.clear()

    def create(self, client, owner, warm):
        status, text = client.ask("POST", "sandboxes", {"runtime": "bash", "env": {"OWNER": owner}, "labels": {"owner": owner}, "warm": warm})
        if status != 201:
            self.count(f"create {status} {json.loads(text)['error']['code']}" if status else "create unknown")
            if status not in (0, 429, 503):
                self.wrong.append(f"I11: a create is answered with {status}: {text}")
            if warm != "never":
                self.maybe()
            time.sleep(0.05)
            return None
        made = json.loads(text)
        self.count(made["start"])
        if warm != "never":
            self.tell("hits" if made["start"] == "warm" else "misses")
        return made["id"]

    def execute(self, client, name, owner):
        status, text = client.ask("POST", f"sandboxes/{name}/execute", {"command": 'printf %s "$OWNER"'})
        ran = json.loads(text) if status == 200 else None
        if ran and ran["status"] == "exited" and ran["stdout"] != owner:
            self.wrong.append(f"I1: {name} of {owner} says {ran['stdout']!r}")
        if ran:
            self.ended.add((name, ran["id"], ran["status"]))
        self.count(f"execute {status or 'unknown'}")

    def write(self, client, name, owner):
        """What was there before, or what was written; never another's, and no piece."""
        file = f"sandboxes/{name}/files/workspace/a"
        told = [text for text in (b"one", owner.encode()) if client.ask("PUT", file, data=text)[0] in (200, 201, 204)]
        status, text = client.ask("GET", file)
        if status == 200 and (text not in (b"one", owner.encode()) or told and text != told[-1] and text != owner.encode()):
            self.wrong.append(f"I7: {name} of {owner} has {text!r} in a file, {told} was written")
        self.count(f"file {status or 'unknown'}")

    def one(self, client, number):
        owner, chance = f"owner-{self.seed}-{number}", dice(self.seed, "claim", number)
        name = self.create(client, owner, chance.choices(("prefer", "never"), (85, 15))[0])
        if not name:
            return
        self.execute(client, name, owner)
        if chance.randrange(4) == 0:
            self.write(client, name, owner)
        status, _ = client.sure("DELETE", "sandboxes/" + name)
        if status not in (204, 404):
            self.wrong.append(f"I10: {name} cannot be deleted: {status}")
        if status == 204:  # otherwise it had failed: that is remembered for a while
            self.deleted.add(name)

    def run(self):
        client = Client(self.up)
        while not self.over:
            with self.lock:
                self.number += 1
                number = self.number
            self.one(client, number)


class Trouble(threading.Thread):
    """The pool's size changes, and the rules are read anew."""

    def __init__(self, up, load):
        super().__init__()
        self.up, self.load, self.client, self.done = up, load, Client(up), collections.Counter()

    def scale(self, chance):
        low = chance.randrange(2, 12)
        self.client.ask("PATCH", f"warmpools/{POOL}", {"spec": {"minSize": low, "maxSize": chance.randrange(12, 48)}})

    def reload(self, chance):
        self.client.ask("POST", "policies/reload")

    def run(self):
        while not self.load.over:
            chance = dice(self.load.seed, "deed", self.done.total())
            time.sleep(chance.uniform(0.5, 2))
            deed = chance.choices((self.scale, self.reload), (4, 1))[0]
            deed(chance)
            self.done[deed.__name__] += 1


class Killer:
    """At each fail point until each was reached, and at random."""

    def __init__(self, up, load):
        self.up, self.load, self.dice = up, load, dice(load.seed, "kill", 0)
        self.client = Client(up)
        self.required = failpoints.names(*REQUIRED)
        self.names = sorted({*self.required, *failpoints.names(*MORE)} - {"runtime.written"})
        self.reached, self.tries, self.kills, self.deaths = collections.Counter(), collections.Counter(), collections.Counter(), 0
        self.bring = {"node.adopt.": "sandbox-node", "node.attach": "agent-api", "api.adopt": "agent-api", "agent.attach": "agent-api",
                      "agent.adopt": "agent-api", "store.replayed": "agent-api"}

    def kill(self, name, pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.kills[name] += 1

    def sandbox(self):
        """The first process of one of them."""
        groups = sorted(real_sweep.first_processes(self.up.state).items())
        if groups:
            self.kill("sandbox", self.dice.choice(groups)[1])

    def program(self, name):
        try:
            pid = self.up.server.pid_of(name)
        except AssertionError:
            return  # it is not up again yet
        if name == "agent-api":
            self.load.died()
        self.kill(name, pid)
        self.deaths += 1

    def recover(self):
        """All of it is there again; with a new supervisor, when the one that is would lose its patience."""
        if self.deaths >= DEATHS or self.up.server.process.poll() is not None:
            self.load.died()
            self.up.replace()
            self.kills["supervisor"] += 1
            self.deaths = 0
        self.client.sure("GET", "sandboxes?limit=1")

    def at(self, name, nth):
        page = self.up.page
        bring = next((program for prefix, program in self.bring.items() if name.startswith(prefix)), None)
        self.tries[name] += 1
        page.arm(name, nth)
        if bring:
            self.program(bring)
        until = time.monotonic() + REACH_S
        while not page.reached() and time.monotonic() < until:
            time.sleep(0.01)
        if page.disarm():
            self.reached[name] += 1
            if not name.startswith("runtime."):
                self.load.died()
                self.deaths += 1
                time.sleep(0.05)  # until somebody notices
        self.recover()

    def missing(self):
        return [n for n in self.required if n not in self.reached]

    def nth(self, name):
        return dice(self.load.seed, name, self.tries[name]).randrange(1, 3 if self.tries[name] or name.startswith(("node.adopt.", "api.adopt", "store.replayed")) else 12)

    def run(self, claims):
        for number in range(TRIES_MAX):
            names = self.missing()
            dice(self.load.seed, "round", number).shuffle(names)
            for name in names:
                self.at(name, 1 if self.tries[name] > 1 else self.nth(name))
                self.sandbox()
        number = 0
        while self.load.decided < claims:
            number += 1
            self.dice = dice(self.load.seed, "kill", number)
            self.dice.choice((self.sandbox, self.sandbox, lambda: self.program(self.dice.choice(("agent-api", "sandbox-node"))),
                              lambda: self.at(name := self.dice.choice(self.names), self.nth(name))))()
            self.recover()
            time.sleep(self.dice.uniform(0.2, 2))


def delete_unknown(client):
    """Creates whose answer was lost."""
    while True:
        status, text = client.sure("GET", "sandboxes?limit=100")
        live = [s["id"] for s in json.loads(text)["items"] if s["phase"] not in sweep.ENDED] if status == 200 else []
        if not live:
            return
        for name in live:
            client.sure("DELETE", "sandboxes/" + name)


def make_pool(client):
    """A claim counts for it from when it says which pods it makes."""
    status, answer = client.sure("POST", "warmpools", {
        "apiVersion": "secureagent.dev/v1", "kind": "WarmPool", "metadata": {"name": POOL},
        "spec": {"runtime": "bash", "minSize": 8, "maxSize": 40, "recycle": {"enabled": True, "maxUses": 20}}})
    until = time.monotonic() + KNOWN_S
    while status in (200, 201) and time.monotonic() < until:
        status, answer = client.sure("GET", f"warmpools/{POOL}")
        if status == 200 and json.loads(answer)["status"].get("key"):
            break
        time.sleep(0.05)
    return status, answer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claims", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    up = Up()
    client = Client(up)
    status, answer = make_pool(client)
    load = Load(up, args.seed)
    killer = Killer(up, load)
    if status not in (200, 201):
        load.wrong.append(f"the pool: {status} {answer}")
    began = time.monotonic()
    clients = [Trouble(up, load), *(threading.Thread(target=load.run) for _ in range(CLIENTS))]
    for thread in clients:
        thread.start()
    try:
        killer.run(args.claims)
    finally:
        load.over = True
    for thread in clients:
        thread.join()
    delete_unknown(client)
    seconds = time.monotonic() - began
    found = load.wrong + real_sweep.look(up.data, up.state, load.told, load.deleted, load.ended)
    print(f"seed {args.seed}: {load.decided} claims decided of {load.number} in {seconds:.1f} s: {dict(load.outcomes)}, killed "
          f"{dict(killer.kills)}, at fail points {dict(killer.reached)}, {dict(clients[0].done)}, at rest after {time.monotonic() - began - seconds:.1f} s more", flush=True)
    up.server.stop()
    found += real_sweep.leftovers(up.data, up.state)
    found += [f"the fail point {n} was never reached" for n in killer.missing()]
    for wrong in found[:50]:
        print(f"seed {args.seed}: WRONG: {wrong}")
    if found or args.keep:
        up.keep_logs()
        print(f"seed {args.seed}: kept {up.folder}; again: tests/chaos/real.py --seed {args.seed} --claims {args.claims}")
    else:
        up.discard()
    print(f"chaos: {load.decided} claims decided, {sum(killer.kills.values()) + sum(killer.reached.values())} kills")
    print(f"chaos: {0 if found else 1} of 1 worlds in order")
    print(f"chaos: {len(killer.required) - len(killer.missing())} of {len(killer.required)} fail points reached")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
