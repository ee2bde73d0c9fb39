"""kill -9 when something is half-way, or stands still: sandboxes that are frozen, and creates and deletes that were
under way. Nothing is left behind of what was not wanted in the end."""
import contextlib
import os
import pathlib
import random
import signal
import threading
import time

import pytest

from tests.helpers import server as servers
from tests.helpers.client import Api, wait_until
from tests.helpers.contexts import Context
from tests.api.test_survival import VICTIMS, kill, own  # noqa: F401

BOXES = "/api/v1/sandboxes"


def state_folder(server):
    words = pathlib.Path(f"/proc/{server.pid_of('sandbox-node')}/cmdline").read_bytes().split(b"\0")
    return pathlib.Path(words[words.index(b"--state-dir") + 1].decode())


def left(server):
    """What the node still has of sandboxes: records and doors, control groups but those of spares."""
    groups = {pathlib.Path(folder).name for folder in servers.cgroup_folders(server.state)}
    return sorted(os.listdir(state_folder(server))) + sorted(
        name for name in groups if not name.startswith(("spare-", "secureagent-")))


def nothing_is_left(server, api):
    wait_until("every sandbox to be gone", lambda: not [
        box for box in api.get(BOXES + "?limit=500").json()["items"] if box["phase"] not in ("Terminated", "Failed")])
    last = []
    try:
        wait_until("the node to have nothing of them", lambda: not last.append(left(server)) and not last[-1])
    except AssertionError:
        raise AssertionError(f"the node still has {last[-1]}") from None


def described(api, box, phase):
    return wait_until(f"it to be {phase}", lambda: (
        a := api.request("GET", f"{BOXES}/{box}")).status_code == 200 and a.json()["phase"] == phase and a.json())


# ---- another link ----

@pytest.mark.parametrize("victims", VICTIMS, ids=lambda v: "+".join(v))
def test_everything_works_over_the_next_link(own, victims):  # noqa: F811
    server, api = own
    box = api.create("python", timeout=1200, env={"NAME": "kept"})["id"]
    assert Context(api, box).text("6 * 7") == "42"
    api.sh(box, "setsid sh -c 'while :; do date +%N > /tmp/alive; sleep 0.05; done' > /dev/null 2>&1 &")
    kill(server, *victims)
    with contextlib.closing(Api(server.url, server.key)) as api:
        wait_until("it to answer", lambda: api.request(
            "POST", f"{BOXES}/{box}/execute", json={"command": "true"}).status_code == 200)
        data = os.urandom(300_000)
        api.put(box, "/workspace/deep/er/file", data)
        assert api.read(box, "/workspace/deep/er/file") == data
        assert api.sh(box, "wc -c < /workspace/deep/er/file; echo $NAME") == "300000\nkept\n"
        answer = api.execute(box, language="python", code="import os; print(os.environ['NAME'])")
        assert answer["stdout"] == "kept\n"
        assert Context(api, box).text("6 * 7") == "42"
        streamed = api.stream(box, command="seq 50000")
        assert "".join(i.get("data", "") for i in streamed if i["type"] == "stdout") == \
            "".join(f"{i}\n" for i in range(1, 50001))
        assert api.execute(box, command="sleep 1000", timeoutMs=200)["status"] == "timeout"
        before = api.sh(box, "cat /tmp/alive")  # what was left in the background runs on
        wait_until("it to go on", lambda: api.sh(box, "cat /tmp/alive") not in ("", before))
        api.delete(box)
        nothing_is_left(server, api)


# ---- frozen ----

def has_freezer(box):
    return "cgroup.freezer" in box["controls"]


def start_and_freeze(api):
    """Two that stand still; the first one counts when it may."""
    boxes = [api.create("bash", timeout=1200) for _ in range(2)]
    if not has_freezer(boxes[0]):
        return None
    goes_on, ends = (box["id"] for box in boxes)
    api.put(goes_on, "/workspace/kept", b"as it was")
    api.sh(goes_on, "setsid sh -c 'n=0; while sleep 0.05; do n=$((n + 1)); echo $n > /tmp/count; done' > /dev/null 2>&1 &")
    wait_until("it to count", lambda: api.sh(goes_on, "cat /tmp/count 2>/dev/null || true").strip())
    for box in (goes_on, ends):
        api.post(f"{BOXES}/{box}/pause")
    return goes_on, ends


def go_on_and_end(server, api, goes_on, ends):
    for box in (goes_on, ends):
        described(api, box, "Paused")
    api.delete(ends)
    wait_until("the node to have nothing of it", lambda: not any(ends in name for name in left(server)))
    api.post(f"{BOXES}/{goes_on}/resume")
    described(api, goes_on, "Running")
    assert api.sh(goes_on, "cat /workspace/kept") == "as it was"
    before = int(api.sh(goes_on, "cat /tmp/count"))
    wait_until("it to count on", lambda: int(api.sh(goes_on, "cat /tmp/count").strip() or 0) > before)
    api.post(f"{BOXES}/{goes_on}/pause")  # and again, by the node that has it now
    api.delete(goes_on)
    nothing_is_left(server, api)


@pytest.mark.parametrize("victims", VICTIMS, ids=lambda v: "+".join(v))
def test_what_stands_still_can_go_on_or_go(own, victims):  # noqa: F811
    server, api = own
    if not (boxes := start_and_freeze(api)):
        return
    kill(server, *victims)
    with contextlib.closing(Api(server.url, server.key)) as api:
        go_on_and_end(server, api, *boxes)


def test_what_stands_still_outlives_the_server(own):  # noqa: F811
    server, api = own
    if not (boxes := start_and_freeze(api)):
        return
    programs = [server.pid, server.pid_of("agent-api"), server.pid_of("sandbox-node")]
    os.kill(server.pid, signal.SIGKILL)
    wait_until("them to be gone", lambda: not any(map(servers.is_alive, programs)))
    again = servers.start_server(data_dir=server.data_dir)
    try:
        with contextlib.closing(Api(again.url, again.key)) as api:
            go_on_and_end(again, api, *boxes)
    finally:
        status = again.stop()
        again.discard()
    assert status == 0


# ---- half-way ----

class Crowd:
    """Clients that do something over and over, whatever comes of it, until the server has been killed."""

    def __init__(self, server, count, act):
        self.ended, self.act = threading.Event(), act
        self.threads = [threading.Thread(target=self.run, args=(server.url, server.key, i)) for i in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self, url, key, number):
        with contextlib.closing(Api(url, key)) as api:
            while not self.ended.is_set() and self.act(api, number) is not False:
                pass

    def end(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()


def asked(api, method, path, **more):
    """The status, None: nobody answered."""
    try:
        return api.request(method, path, timeout=60, **more).status_code
    except OSError:
        time.sleep(0.02)
        return None


def create(api, number):
    asked(api, "POST", BOXES, json={"runtime": "bash", "name": f"c{number}-{random.getrandbits(40):x}"})


@pytest.mark.parametrize("victim", ["agent-api", "sandbox-node"])
def test_creates_and_deletes_that_were_under_way(own, victim):  # noqa: F811
    server, api = own
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    for _ in range(2):
        crowd = Crowd(server, 3, create)
        time.sleep(0.2 + chance.random() / 5)
        kill(server, victim)
        crowd.end()
        api = Api(server.url, server.key)
        boxes = [box["id"] for box in api.get(BOXES + "?limit=500").json()["items"] if box["phase"] != "Terminated"]
        assert boxes, "none was made: this tries nothing"
        mine = [boxes[i::3] for i in range(3)]

        def remove(api, number):
            if not mine[number]:
                return False
            if asked(api, "DELETE", f"{BOXES}/{mine[number][-1]}") in (204, 404):  # else once more
                mine[number].pop()
            return None
        crowd = Crowd(server, 3, remove)
        time.sleep(chance.random() / 20)
        kill(server, victim)
        wait_until("all deletes to be answered", lambda: not any(mine), timeout=90)
        crowd.end()
        api.close()
        with contextlib.closing(Api(server.url, server.key)) as api:
            nothing_is_left(server, api)


# ---- pools ----

def test_a_pod_of_an_earlier_node_is_not_used_again(own):  # noqa: F811
    """What was denied in it was told to nobody: it cannot be judged."""
    server, api = own
    spec = {"runtime": "bash", "resources": {"memory": "64Mi"}}
    api.post("/api/v1/warmpools", {"metadata": {"name": "p"}, "spec": {**spec, "maxSize": 1, "recycle": {"enabled": True}}}, status=201)

    def pods():
        items = api.get("/api/v1/warmpods?limit=500").json()["items"]
        return {pod["metadata"]["name"]: pod["status"] for pod in items if pod["status"]["phase"] == "Ready"}
    [first] = wait_until("a pod", pods)
    for victims in (["sandbox-node"], ["agent-api"]):  # its link goes on; and it is found by the next control plane
        kill(server, *victims)
        api = Api(server.url, server.key)
        box = wait_until("it to be claimed", lambda: (
            a := api.request("POST", BOXES, json={**spec, "warm": "require"})).status_code == 201 and a.json())
        api.delete(box["id"])
        wait_until("another pod", lambda: (now := pods()) and first not in now)
        [first] = pods()
        api.close()
        api = Api(server.url, server.key)
        if victims == ["sandbox-node"]:
            kill(server, "sandbox-node")  # the next one is old, too, when the control plane dies
            api.close()
            api = Api(server.url, server.key)
            wait_until("it to be there", lambda: first in pods())

    def reasons():  # written a moment later: nobody waits for them
        return [e["message"] for e in api.get("/api/v1/warmpools/p/events").json()["items"] if e["reason"] == "PodReplaced"]
    wait_until("what is said of them", lambda: len(reasons()) >= 2)
    assert len(reasons()) == 2 and all("NotWatched" in reason for reason in reasons()), reasons()
    api.close()
