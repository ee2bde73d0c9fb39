"""Watches of resources: in order, without gaps, from any version that is known, at the reader's pace."""
import contextlib
import http.client
import json
import socket
import threading

import pytest

from tests.helpers import schema
from tests.helpers.client import Api, read_all, wait_until

POOLS = "/api/v1/warmpools"


def pool(name, labels=None, **spec):
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": {"runtime": "python", "minSize": 0, **spec}}


class Watch:
    """Reads along on a thread."""

    def __init__(self, api, query, path=POOLS, **headers):
        self.connection = http.client.HTTPConnection(api.host, api.port, timeout=120)
        self.connection.request("GET", f"{path}?watch=true{query}".replace(" ", "%20"),
                                headers={"Authorization": "Bearer " + api.key, **headers})
        self.socket = self.connection.sock
        self.answer = self.connection.getresponse()
        self.events, self.ids, self.ended = [], [], threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        if self.answer.status == 200:
            self.thread.start()

    def _run(self):
        with contextlib.suppress(OSError, http.client.HTTPException):
            while line := self.answer.readline():
                if line.startswith(b"id: "):
                    self.ids.append(line[4:-1].decode())
                elif line.startswith((b"{", b"data: ")):
                    event = json.loads(line.removeprefix(b"data: "))
                    schema.check_component("WatchEvent", event)
                    if event["type"] in ("ADDED", "MODIFIED", "DELETED") and event["object"]["kind"] == "WarmPool":
                        schema.check_component("WarmPool", event["object"])
                    self.events.append(event)
        self.ended.set()

    def wait(self, what, condition):
        wait_until(what, lambda: condition(self.events))
        return self.events

    def changes(self):
        """Events without bookmarks, and without those that only a controller's status made."""
        found, before = [], {}
        for e in self.events:
            if e["type"] == "BOOKMARK":
                continue
            what = [e["type"] if e["type"] == "DELETED" else "", e["object"]["spec"], e["object"]["metadata"].get("labels")]
            if before.get(e["object"]["metadata"]["name"]) != what:
                found.append(e)
            before[e["object"]["metadata"]["name"]] = what
        return found

    def said(self):
        return [(e["type"], e["object"]["metadata"]["name"]) for e in self.changes()]

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        if self.thread.ident:
            self.thread.join()
        self.connection.close()


@pytest.fixture
def watch(api):
    opened = []

    def start(query="", **more):
        opened.append(Watch(api, query, **more))
        return opened[-1]
    yield start
    for one in opened:
        one.close()


@pytest.fixture
def pools(api):
    """Makes pools; they go after the test."""
    made = []

    def make(name, labels=None, **spec):
        made.append(name)
        return api.post(POOLS, pool(name, labels, **spec), status=201).json()
    yield make
    for name in made:
        api.request("DELETE", f"{POOLS}/{name}", (200, 404))


def test_all_that_is_there_and_what_follows(api, watch, pools):
    pools("there-a", {"w": "1"}), pools("there-b", {"w": "1"})
    w = watch("&labelSelector=w%3D1")
    w.wait("what is there", lambda e: len(e) >= 3)
    assert [e["type"] for e in w.events[:3]] == ["ADDED", "ADDED", "BOOKMARK"]
    pools("there-c", {"w": "1"})
    api.request("PATCH", POOLS + "/there-a", 200, json={"spec": {"maxSize": 3}})
    api.request("PATCH", POOLS + "/there-b", 200, json={"metadata": {"labels": {"w": "2"}}})  # ceases to match
    api.request("PATCH", POOLS + "/there-b", 200, json={"metadata": {"labels": {"w": "1"}}})
    pools("elsewhere", {"w": "2"})
    last = api.request("DELETE", POOLS + "/there-c", 200).json()
    w.wait("the end", lambda e: w.said()[-1] == ("DELETED", "there-c"))  # a status of another may follow
    assert w.said()[2:] == [("ADDED", "there-c"), ("MODIFIED", "there-a"), ("DELETED", "there-b"), ("ADDED", "there-b"),
                            ("DELETED", "there-c")]
    assert w.changes()[-1]["object"]["metadata"]["uid"] == last["metadata"]["uid"]


def test_from_a_version_nothing_is_missed(api, watch, pools):
    pools("from")
    version = api.get(POOLS).json()["metadata"]["resourceVersion"]
    for size in range(1, 21):
        api.request("PATCH", POOLS + "/from", 200, json={"spec": {"maxSize": size}})
    w = watch("&fieldSelector=metadata.name%3Dfrom&resourceVersion=" + version)
    w.wait("all changes", lambda e: w.said() and w.changes()[-1]["object"]["spec"]["maxSize"] == 20)
    sizes = [e["object"]["spec"]["maxSize"] for e in w.changes()]
    assert sizes[-20:] == list(range(1, 21)) and len(sizes) <= 21, sizes  # a status may come before
    cut = len(w.events) // 2
    again = watch("&fieldSelector=metadata.name%3Dfrom&resourceVersion=" +
                  w.events[cut]["object"]["metadata"]["resourceVersion"])
    rest = w.events[cut + 1:]
    again.wait("the other half", lambda e: len(e) >= len(rest))
    assert again.events[:len(rest)] == rest


def test_server_sent_events_and_resuming(api, watch, pools):
    pools("sse")
    w = watch("&fieldSelector=metadata.name%3Dsse", Accept="text/event-stream")
    assert w.answer.headers["Content-Type"].startswith("text/event-stream")
    w.wait("what is there", lambda e: len(e) >= 2)
    assert w.events[1]["type"] == "BOOKMARK" and w.ids[0] == w.events[1]["object"]["metadata"]["resourceVersion"], \
        "while the listing goes on there is nothing to resume from"
    api.request("PATCH", POOLS + "/sse", 200, json={"spec": {"maxSize": 3}})
    w.wait("the change", lambda e: e[-1]["type"] == "MODIFIED" and e[-1]["object"]["spec"]["maxSize"] == 3)
    assert w.ids[-1] == w.events[-1]["object"]["metadata"]["resourceVersion"]
    w.close()
    api.request("PATCH", POOLS + "/sse", 200, json={"spec": {"maxSize": 4}})
    again = watch("&fieldSelector=metadata.name%3Dsse", Accept="text/event-stream", **{"Last-Event-ID": w.ids[-1]})
    again.wait("what was missed", lambda e: e and e[-1]["object"]["spec"]["maxSize"] == 4)
    assert all(e["object"]["spec"]["maxSize"] in (3, 4) for e in again.events)


def test_every_kind_can_be_watched(api, watch):
    for area in ("warmpools", "runtimes", "profiles", "warmpods", "pods", "warmpools/none/events", "pods/none/events"):
        w = watch(path="/api/v1/" + area)
        w.wait("the bookmark", lambda e: e and e[-1]["type"] == "BOOKMARK")


def test_refused_before_it_begins(api, watch):
    for query, where in (("&fieldSelector=spec.none%3D1", "fieldSelector"), ("&labelSelector=a in", "labelSelector"),
                         ("&resourceVersion=x", "resourceVersion")):
        answer = watch(query).answer
        assert answer.status == 400 and json.load(answer)["error"]["details"] == [{"path": where}]


@pytest.mark.parametrize("path, what", [(POOLS + "?watch=true", "watches"),
                                        ("/api/v1/policies/decisions?follow=true", "streams of decisions")])
def test_a_key_has_so_many_at_most(api, server, path, what):
    keys = [api.post("/api/v1/user/apikeys", {"name": name, "role": "admin"}, status=201).json()
            for name in ("many", "other")]
    many, other = (Api(server.url, key["key"]) for key in keys)

    def begin(client):
        return client.request("GET", path, stream=True)

    opened = [begin(many) for _ in range(64)]
    assert [answer.status_code for answer in opened] == [200] * 64
    refused = many.request("GET", path, 429).json()["error"]
    assert refused["code"] == "quota_exceeded" and f"64 {what} are open with this API key" in refused["message"]
    opened.append(begin(other))
    assert opened[-1].status_code == 200
    opened.pop(0).close()

    def another():
        opened.append(begin(many))
        return opened[-1].status_code == 200
    wait_until("there to be room for another", another)
    for answer in opened:
        answer.close()
    for key in keys:
        api.request("DELETE", f"/api/v1/user/apikeys/{key['id']}", (200, 204))
    many.close()
    other.close()


def change_often(api, name, times):
    """So many changes of a pool, over one connection, without waiting for the answers."""
    requests_ = []
    for i in range(times):
        text = json.dumps({"spec": {"ttl": 10 + i}}).encode()
        last = ["Connection: close"] if i == times - 1 else []
        requests_.append(api.head("PATCH", f"{POOLS}/{name}", f"Content-Length: {len(text)}", *last) + text)
    with api.connect() as s:
        writer = threading.Thread(target=s.sendall, args=(b"".join(requests_),), daemon=True)
        writer.start()
        answers = read_all(s)
        writer.join()
    assert answers.count(b"HTTP/1.1 200 ") == times


def test_what_is_too_old_ends_with_an_error(api, watch, pools):
    """More has happened since than is kept (4096 changes)."""
    first = pools("old")["metadata"]["resourceVersion"]
    change_often(api, "old", 4200)
    for version in (first, "9" * 18):
        w = watch("&resourceVersion=" + version)
        w.wait("the error", lambda e: e)
        assert w.ended.wait(60) and len(w.events) == 1
        assert w.events[0]["type"] == "ERROR"
        status = w.events[0]["object"]
        assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
        assert "list anew" in status["message"]


def resident_bytes(api):
    for line in api.get("/metrics").text.splitlines():
        if line.startswith("process_resident_memory_bytes "):
            return float(line.split()[1])
    raise AssertionError("no process_resident_memory_bytes")


def slow_reader(api, version):
    connection = http.client.HTTPConnection(api.host, api.port, timeout=120)
    connection.sock = socket.socket()
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    connection.sock.settimeout(120)
    connection.sock.connect((api.host, api.port))
    connection.request("GET", f"{POOLS}?watch=true&resourceVersion={version}&fieldSelector=metadata.name%3Dslow",
                       headers={"Authorization": "Bearer " + api.key})
    answer = connection.getresponse()
    assert answer.status == 200
    return answer


def test_slow_readers_cost_little_and_miss_nothing(api, pools):
    """Sixteen readers that do not read, and 7 MB for each: more than sockets hold, and less than the 16 MiB of changes
    that are kept. One of them then reads all of it."""
    scripts = ["#" * 5000] * 3
    created = pools("slow", preloadScripts=scripts)
    version = created["metadata"]["resourceVersion"]
    before, readers = resident_bytes(api), [slow_reader(api, version) for _ in range(16)]
    try:
        for size in range(1, 451):
            api.request("PATCH", POOLS + "/slow", 200, json={"spec": {"maxSize": size}})
        grown = resident_bytes(api) - before
        assert grown < 60e6, f"{grown / 1e6} MB more; the changes themselves are 14 MB"
        seen = []
        while not seen or seen[-1] != 450:
            line = readers[0].readline()
            assert line
            if not line.strip():
                continue
            event = json.loads(line)
            assert event["type"] in ("MODIFIED", "BOOKMARK"), line[:300]
            if event["type"] == "MODIFIED":
                seen.append(event["object"]["spec"]["maxSize"])
        # A controller's status makes events, too.
        assert [n for i, n in enumerate(seen) if i == 0 or seen[i - 1] != n][-450:] == list(range(1, 451))
    finally:
        for one in readers:
            one.close()


def test_ends_when_the_server_stops(new_server):
    running = new_server()
    client = Api(running.url, running.key)
    watches = [Watch(client, ""), Watch(client, "", path="/api/v1/pods"), Watch(client, "", path=POOLS + "/x/events")]
    for w in watches:
        w.wait("the beginning", lambda e: e)
    assert running.stop() == 0, running.log()[-3000:]
    for w in watches:
        assert w.ended.wait(60)
        assert "ERROR" not in [e["type"] for e in w.events], w.events[-1]
    client.close()


def test_survives_a_restart(new_server, tmp_path_factory):
    """What was written is there again, under the same uid and version."""
    folder = tmp_path_factory.mktemp("data")
    folder.chmod(0o755)
    folder.parent.chmod(0o755)
    first = new_server(data_dir=folder / "d")
    client = Api(first.url, first.key)
    made = client.post(POOLS, pool("stays"), status=201).json()
    client.close()
    assert first.stop() == 0
    second = new_server(data_dir=folder / "d")
    client = Api(second.url, second.key)
    again = client.get(POOLS + "/stays").json()
    assert again["metadata"]["uid"] == made["metadata"]["uid"] and again["spec"] == made["spec"]
    client.close()
