"""Workers that die and rules that change while many ask: nobody waits in vain, nobody gets what is
denied, nobody is decided by two generations."""
import concurrent.futures
import contextlib
import os
import pathlib
import random
import signal
import threading
import time

import pytest

from tests.helpers.client import Api
from tests.helpers.policies import Rules, execute_rule

POLICIES = "/api/v1/policies"
CLIENTS = 12
KILLS = 1000
KILL_S = 90  # at most so long for all of them


class Askers:
    """Threads that ask again and again until they are told to stop."""

    def __init__(self, server, ask):
        self.stop = threading.Event()
        self.counts, self.wrong, self.slowest = {}, [], 0.0
        self.lock = threading.Lock()
        self.pool = concurrent.futures.ThreadPoolExecutor(CLIENTS)
        self.done = [self.pool.submit(self._run, server, ask, i) for i in range(CLIENTS)]

    def _run(self, server, ask, number):
        client = Api(server.url, server.key)
        while not self.stop.is_set():
            began = time.monotonic()
            outcome, wrong = ask(client, number)
            with self.lock:
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.counts[outcome] = self.counts.get(outcome, 0) + 1
                if wrong:
                    self.wrong.append(wrong)
        client.close()

    def total(self):
        with self.lock:
            return sum(self.counts.values())

    def end(self):
        self.stop.set()
        for one in self.done:
            one.result(120)
        self.pool.shutdown()


@pytest.fixture
def ruled(new_server):
    with Rules({"t-execute": execute_rule("never", "input.program == 'forbidden'"),
                "t-files": '''return { name = "t-files", version = 1, point = "files", decide = function(input)
                  if path_under("/workspace/secret", input.path) then
                    return { verdict = "deny", rule = "r", reason = "never" } end end }'''}) as rules:
        server = new_server(args=["--policy-dir", str(rules.folder)])
        server.rules = rules
        yield server


def test_workers_killed_at_random(ruled):
    """Half of the requests are for what is denied: of those none may ever succeed."""
    owner = Api(ruled.url, ruled.key)
    with owner.sandbox("bash") as sandbox:
        owner.put(sandbox, "/workspace/open", b"x")

        def ask(client, number):
            bad = random.random() < 0.5
            if number % 3:
                name = "secret/x" if bad else "open"
                answer = client.request("GET", client.file(sandbox, "/workspace/" + name), timeout=60)
            else:
                body = {"command": ["forbidden" if bad else "true"]}
                answer = client.request("POST", f"/api/v1/sandboxes/{sandbox}/execute", json=body, timeout=60)
            expected = (403, 503) if bad else (200, 503)
            wrong = None if answer.status_code in expected else (bad, answer.status_code, answer.text[:300])
            return (bad, answer.status_code), wrong
        askers, killed, deadline = Askers(ruled, ask), 0, time.monotonic() + KILL_S
        api_pid = ruled.pid_of("agent-api")  # whose only children are its workers
        children = pathlib.Path(f"/proc/{api_pid}/task/{api_pid}/children")
        while killed < KILLS and time.monotonic() < deadline:
            for pid in map(int, children.read_text().split()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed += 1
            time.sleep(0.05 + random.random() * 0.1)  # one that dies before it answers is waited with, longer each time
        askers.end()
        assert askers.wrong == [], askers.wrong[:5]
        assert killed >= 100, killed
        assert askers.counts.get((False, 200), 0) > 0 and askers.counts.get((True, 403), 0) > 0, askers.counts
        assert askers.slowest < 45, askers.slowest
        state = owner.get(POLICIES).json()
        assert state["worker"]["restarts"] > 0
        print(f"\n{killed} kills, {askers.counts}, slowest {askers.slowest:.2f} s, {state['worker']}")
        # And then all is as before.
        deadline = time.monotonic() + 30
        while owner.request("GET", owner.file(sandbox, "/workspace/open")).status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)


REQUESTS = 10000


def test_reloads_during_ten_thousand_requests(ruled):
    """Each denial names the number of the rules that decided: record and answer agree on it."""
    def rule(point, number):
        return f'''return {{ name = "t-{point}", version = 1, point = "{point}", decide = function(input)
          return {{ verdict = "deny", rule = "r", reason = "number {number}" }} end }}'''
    owner = Api(ruled.url, ruled.key)
    with owner.sandbox("bash") as sandbox:
        def write(number):
            for point in ("execute", "files"):
                ruled.rules.write(f"t-{point}", rule(point, number))
            return owner.request("POST", POLICIES + "/reload", 200).json()["generation"]
        write(0)

        def ask(client, number):
            began = {}
            if number % 2:
                answer = client.request("GET", client.file(sandbox, "/workspace/x"), timeout=60)
            else:
                answer = client.request("POST", f"/api/v1/sandboxes/{sandbox}/execute", json={"command": "true"},
                                        timeout=60)
            if answer.status_code != 403:
                return "other", (answer.status_code, answer.text[:300])
            detail = answer.json()["error"]["details"][0]
            if random.random() < 0.02:
                began = client.request("GET", f"{POLICIES}/decisions/{detail['decision']}").json()
            wrong = None
            if "generation" in began and began["reason"] != detail["reason"]:
                wrong = (began, detail)
            with seen_lock:
                if "generation" in began:
                    seen.setdefault(began["generation"], set()).add(detail["reason"])
            return detail["reason"], wrong
        seen, seen_lock = {}, threading.Lock()
        askers, number, deadline = Askers(ruled, ask), 0, time.monotonic() + 240
        while askers.total() < REQUESTS and time.monotonic() < deadline:
            number += 1
            write(number)
            time.sleep(0.2)
        askers.end()
        assert askers.wrong == [], askers.wrong[:5]
        assert askers.total() >= REQUESTS, askers.total()
        assert "other" not in askers.counts and len(askers.counts) > 3, askers.counts
        for generation, reasons in seen.items():
            # The watch may have loaded a half-written pair; each decision is of one rule all the same.
            assert len(reasons) <= 2, (generation, reasons)
        print(f"\n{askers.total()} requests, {number} reloads, slowest {askers.slowest:.2f} s")
