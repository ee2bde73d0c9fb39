#!/usr/bin/python3
"""The same over the real node: clients of `secureagent up` create, execute and delete while agent-api, sandbox-node
and first processes of sandboxes are killed (kill -9). Each client's program must say whose it is. Then everything is
looked at: objects, control groups, processes, mounts, files.

    tests/chaos/real.py [--claims 2000] [--seed N] [--keep]

SECUREAGENT_BIN says what is tested (build/bin).
"""
import argparse
import glob
import http.client
import json
import os
import pathlib
import random
import signal
import sqlite3
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import sweep
from tests.helpers import server as servers

CLIENTS, POOL = 8, "main"
REST_S = 150  # for all to come to rest
PROGRAM_S = 16  # between two deaths of programs: with the fifth in a minute the supervisor gives up
KIND = {"Sandbox": "sandboxes", "WarmPod": "warm_pods", "WarmPool": "warm_pools", "Pod": "pods"}


class Client:
    """Plain requests that do not mind when the server dies meanwhile."""

    def __init__(self, server):
        self.host, self.key, self.connection = urllib.parse.urlsplit(server.url).netloc, server.key, None

    def ask(self, method, path, body=None):
        """(status, JSON or None); (0, None): nobody knows."""
        try:
            if not self.connection:
                self.connection = http.client.HTTPConnection(self.host, timeout=90)
            self.connection.request(method, "/api/v1/" + path, None if body is None else json.dumps(body),
                                    {"X-API-Key": self.key, "Content-Type": "application/json"})
            answer = self.connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
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
    def __init__(self, server, claims, seed):
        self.server, self.left, self.seed = server, claims, seed
        self.lock, self.outcomes, self.wrong, self.number = threading.Lock(), {}, [], 0

    def count(self, outcome):
        with self.lock:
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def next(self):
        with self.lock:
            self.left -= 1
            self.number += 1
            return None if self.left < 0 else f"owner-{self.seed}-{self.number}"

    def one(self, client, owner):
        status, made = client.ask("POST", "sandboxes", {"runtime": "bash", "env": {"OWNER": owner}, "labels": {"owner": owner}})
        if status != 201:
            self.count(f"create {status or 'unknown'}")
            if status in (0, 429, 503):  # nobody is there, or not all of them: another one instead
                time.sleep(0.1)
                with self.lock:
                    self.left += 1
            return
        self.count(made.get("start") or "started")
        box = "sandboxes/" + made["id"]
        status, ran = client.ask("POST", box + "/execute", {"command": 'printf %s "$OWNER"'})
        if status == 200 and ran["status"] == "exited" and ran["stdout"] != owner:
            self.wrong.append(f"I1: {made['id']} of {owner} says {ran['stdout']!r}")
        self.count(f"execute {status or 'unknown'}")
        status, _ = client.sure("DELETE", box)
        if status not in (204, 404):
            self.wrong.append(f"I10: {made['id']} cannot be deleted: {status}")

    def run(self):
        client = Client(self.server)
        while owner := self.next():
            self.one(client, owner)


class Killer(threading.Thread):
    def __init__(self, server, dice):
        super().__init__()
        self.server, self.dice, self.over, self.kills = server, dice, False, {}

    def kill(self, name, pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.kills[name] = self.kills.get(name, 0) + 1

    def sandbox(self):
        """The first process of one of them."""
        groups = sorted(first_processes(self.server.node_state).items())
        if groups:
            self.kill("sandbox", self.dice.choice(groups)[1])

    def program(self, name):
        try:
            self.kill(name, self.server.pid_of(name))
        except AssertionError:
            pass  # it is not up again yet

    def run(self):
        rested, turn = time.monotonic(), self.dice.randrange(2)
        while not self.over:
            time.sleep(self.dice.uniform(0.3, 2))
            if time.monotonic() < rested:
                self.sandbox()
            else:
                self.program(("agent-api", "sandbox-node")[turn % 2])
                turn += 1
                rested = time.monotonic() + PROGRAM_S


# ---- what is there ----

def groups_of(state):
    """{id: its control group}"""
    found = {}
    for folder in glob.glob(f"/sys/fs/cgroup/**/secureagent-{state}/*/", recursive=True):
        name = pathlib.Path(folder).name
        if not name.startswith(("spare-", "node", "supervisor")):
            found.setdefault(name, []).append(folder)
    return found


def pids_in(folder):
    pids = []
    for file in glob.glob(folder + "**/cgroup.procs", recursive=True):
        try:
            pids += [int(p) for p in pathlib.Path(file).read_text().split()]
        except OSError:
            pass
    return pids


def first_processes(state):
    """{id: pid of its process 1}"""
    found = {}
    for name, folders in groups_of(state).items():
        pids = sorted(p for folder in folders for p in pids_in(folder))
        if pids:
            found[name] = pids[0]
    return found


def read_objects(data_dir):
    file = next(pathlib.Path(data_dir).rglob("objects.db"))
    kinds = {name: [] for name in KIND.values()}
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=60) as db:
        for kind, text in db.execute("SELECT kind, json FROM objects"):
            if kind in KIND:
                kinds[KIND[kind]].append(json.loads(text))
    return sweep.Objects(**kinds)


def at_rest(server, load):
    objects = read_objects(server.data_dir)
    running = {name: {"owner": ""} for name in first_processes(server.node_state)}
    found = sweep.all_of(objects, running)
    found += [f"I10: {name} is there, and was deleted" for name, s in objects.sandboxes.items() if sweep.phase_of(s) not in sweep.ENDED]
    return found


def leftovers(server):
    """After a stop nothing is left."""
    yield from (f"I6: left: {folder}" for folder in servers.cgroup_folders(server.node_state))
    where = str(server.data_dir)
    for entry in glob.glob("/proc/[0-9]*/environ"):
        pid = int(entry.split("/")[2])
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if where in words and servers.is_alive(pid):
            yield f"I6: left: process {pid}: {words!r}"
    yield from (f"I6: left: mount {line.split()[1]}" for line in open("/proc/mounts") if where in line or f"secureagent-{server.node_state}" in line)


def delete_unknown(client):
    """Creates whose answer was lost."""
    while True:
        status, page = client.sure("GET", "sandboxes?limit=100")
        live = [s["id"] for s in page["items"] if s["phase"] not in sweep.ENDED] if status == 200 else []
        if not live:
            return
        for name in live:
            client.sure("DELETE", "sandboxes/" + name)


def look(server, load):
    until = time.monotonic() + REST_S
    while True:
        found = at_rest(server, load)
        if not found or time.monotonic() > until:
            return found
        time.sleep(0.5)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claims", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    dice = random.Random(args.seed)
    server = servers.start_server(args=("--log-level", "warn"))
    server.node_state = server.state
    client = Client(server)
    status, answer = client.sure("POST", "warmpools", {
        "apiVersion": "secureagent.dev/v1", "kind": "WarmPool", "metadata": {"name": POOL},
        "spec": {"runtime": "bash", "minSize": 8, "maxSize": 20, "recycle": {"enabled": True, "maxUses": 20}}})
    load, killer = Load(server, args.claims, args.seed), Killer(server, dice)
    if status not in (200, 201):
        load.wrong.append(f"the pool: {status} {answer}")
    began = time.monotonic()
    clients = [threading.Thread(target=load.run) for _ in range(CLIENTS)]
    for thread in [*clients, killer]:
        thread.start()
    for thread in clients:
        thread.join()
    killer.over = True
    killer.join()
    delete_unknown(client)
    seconds = time.monotonic() - began
    found = load.wrong + look(server, load)
    print(f"seed {args.seed}: {args.claims} creates in {seconds:.1f} s: {load.outcomes}, killed {killer.kills}, "
          f"at rest after {time.monotonic() - began - seconds:.1f} s more", flush=True)
    server.stop()
    found += leftovers(server)
    for wrong in found[:50]:
        print(f"seed {args.seed}: WRONG: {wrong}")
    if not (found or args.keep):
        server.discard()
    print(f"chaos: {0 if found else 1} of 1 worlds in order")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
