"""Rules change all the time while many ask: what takes several decisions is decided by one
generation. Every rule here has the number of its generation as its parameter, and tells it."""
import concurrent.futures
import contextlib
import re
import struct
import threading
import time

import pytest

from tests.helpers.client import Api
from tests.helpers.fake_node import FakeNode, fields
from tests.helpers.policies import Rules

PIDS, PROFILE_ID, OPEN_FILES, FILTER, ALLOW = 13, 50, 55, 62, 2
CLIENTS, CREATES, RELOADS, SECONDS = 8, 600, 40, 90
NUMBER = 'params = { n = { type = "integer", default = 0 } },'
SLOW = "local sum = 0 for i = 1, 10000 do sum = sum + i end"  # so that many are in flight at a swap
RULES = {
    "zz-admission": f"""return {{ name = "zz-admission", version = 1, point = "admission", {NUMBER}
      decide = function(input, params)
        {SLOW}
        if input.operation == "CREATE" then
          return {{ verdict = "allow", changes = {{ spec = {{ resources = {{ pids = 100 + params.n }} }} }} }}
        end
      end }}""",
    "zz-profile": f"""return {{ name = "zz-profile", version = 1, point = "profile", {NUMBER}
      decide = function(input, params)
        return {{ verdict = "allow", changes = {{ limits = {{ openFiles = 1000 + params.n }} }} }}
      end }}""",
    "zz-seccomp": f"""return {{ name = "zz-seccomp", version = 1, point = "seccomp", {NUMBER}
      decide = function(input, params)
        return {{ verdict = "allow", changes = {{ allow = {{ "number-" .. params.n }} }} }}
      end }}""",
}


class Node(FakeNode):
    """Keeps which numbers each sandbox was made of."""

    def __init__(self, args):
        self.profiles, self.numbers = {}, []
        super().__init__(args)

    def on_profile(self, body):
        id, numbers = None, set()
        for tag, value in fields(body):
            if tag == PROFILE_ID:
                id = value
            elif tag == OPEN_FILES:
                numbers.add(struct.unpack("<q", value)[0] - 1000)
            elif tag == FILTER:
                numbers |= {int(name.removeprefix(b"number-")) for t, name in fields(value) if t == ALLOW}
        self.profiles[id] = numbers

    def on_create(self, body):
        given = dict(fields(body))
        number = struct.unpack("<q", given[PIDS])[0] - 100
        self.numbers.append({number} | self.profiles[given[PROFILE_ID]])


def set_number(rules, number):
    """For all rules at once."""
    text = ", ".join(f'["{name}"] = {{ n = {number} }}' for name in RULES)
    new = rules.folder / ".params"
    new.write_text(f"return {{ rules = {{ {text} }} }}\n")
    new.rename(rules.folder / "params.lua")


@pytest.fixture
def node():
    with Rules(RULES) as rules:
        set_number(rules, 0)
        fake = Node(["--policy-dir", str(rules.folder)])
        fake.rules = rules
        stop = threading.Event()

        def serve():
            fake.sock.settimeout(0.2)
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    fake.serve_one()
        server = threading.Thread(target=serve)
        server.start()
        yield fake
        stop.set()
        server.join(60)
        status = fake.stop()
        assert status == 0, fake.log()[-3000:]


def test_a_sandbox_is_decided_by_one_generation(node):
    done, made, refused = threading.Event(), [], []

    def create():
        api = Api(node.url, node.key)
        while not done.is_set():
            answer = api.request("POST", "/api/v1/sandboxes", json={"runtime": "bash"}, timeout=60)
            if answer.status_code == 201:
                made.append(answer.json()["id"])
                api.request("DELETE", f"/api/v1/sandboxes/{made[-1]}", timeout=60)
            else:
                refused.append(answer.json()["error"]["message"])
        api.close()

    api, number, deadline = Api(node.url, node.key), 0, time.monotonic() + SECONDS
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        askers = [pool.submit(create) for _ in range(CLIENTS)]
        while (len(made) < CREATES or number < RELOADS) and time.monotonic() < deadline:
            number += 1
            set_number(node.rules, number)
            assert api.request("POST", "/api/v1/policies/reload", timeout=60).status_code == 200
        done.set()
        for asker in askers:
            asker.result(120)
    api.close()
    mixed = [numbers for numbers in node.numbers if len(numbers) != 1]
    assert not mixed, f"{len(mixed)} of {len(node.numbers)}: {mixed[:5]}"
    assert len(made) >= CREATES and number >= RELOADS, (len(made), number, refused[-3:])
    assert len(set.union(*node.numbers)) > RELOADS / 4, node.numbers
    assert all(re.search("policies are being changed", message) for message in refused), set(refused)
    print(f"\n{len(made)} sandboxes, {number} reloads, {len(refused)} turned away")
