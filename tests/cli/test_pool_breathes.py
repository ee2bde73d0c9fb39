"""A pool as an operator sees it: made from the example, drawn from, refilled, counted."""
import json
import re
import signal
import subprocess

from tests.helpers import server as servers
from tests.helpers.cli import environment, run_cli
from tests.helpers.client import Api, wait_until
from tests.helpers.server import ROOT


def column(text, name):
    """The figures of a column, row by row."""
    lines = text.splitlines()
    at = lines[0].split().index(name) if lines else 0
    return [int(line.split()[at]) for line in lines[1:]]


def counter(api, name, pool):
    text = api.get("/metrics").text
    [value] = re.findall(rf'^{name}{{pool="{pool}"}} (\d+)', text, re.M)
    return int(value)


def test_the_pool_breathes(new_server, tmp_path):
    server = new_server()
    api, out = Api(server.url, server.key), tmp_path / "watch"
    done = run_cli("apply", "-f", ROOT / "examples" / "pool.yaml", server=server)
    assert done.stdout == b"warmpool/python created\n", done
    with out.open("wb") as file:
        watch = subprocess.Popen([servers.BIN / "secureagent", "get", "warmpools", "-w"], stdout=file,
                                 env=environment(server))

    def available():
        return column(out.read_text(), "AVAILABLE")
    try:
        wait_until("the pool to be full", lambda: max(available(), default=0) >= 2)
        full, starts = max(available()), []

        def draw():
            starts.append(api.create("python")["start"])
            return min(available()[available().index(full):]) < full
        wait_until("it to go down", draw)
        assert "warm" in starts
        deepest = len(available())
        wait_until("it to go up again", lambda: available()[deepest - 1:] and available()[-1] >= 2)
        for one in api.get("/api/v1/sandboxes").json()["items"]:
            api.delete(one["id"])
        wait_until("nobody to have one", lambda: column(out.read_text(), "ASSIGNED")[-1] == 0)
    finally:
        watch.send_signal(signal.SIGINT)
        watch.wait(60)

    wait_until("all claims to be counted", lambda: counter(api, "secureagent_warm_pool_hits_total", "python")
               + counter(api, "secureagent_warm_pool_misses_total", "python") == len(starts))
    hits = counter(api, "secureagent_warm_pool_hits_total", "python")
    assert hits == starts.count("warm")

    def status():
        return json.loads(run_cli("get", "pool", "python", "-o", "json", server=server).stdout)["status"]
    wait_until("its status to say so", lambda: status().get("hits") == hits)
    assert abs(status()["hitRatio"] - hits / len(starts)) < 1e-6
    [row] = run_cli("get", "pool", server=server).stdout.decode().splitlines()[1:]
    assert float(row.split()[6]) > 0
    described = run_cli("describe", "pool", "python", server=server).stdout.decode()
    assert re.search(r"^conditions:\nTYPE +STATUS", described, re.M)
    assert re.search(r"^Ready +True", described, re.M)
    assert run_cli("delete", "-f", ROOT / "examples" / "pool.yaml", "--wait", server=server).returncode == 0
    wait_until("its pods to go", lambda: not run_cli("get", "warmpods", server=server).stdout)
    api.close()
