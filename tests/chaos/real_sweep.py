"""What there is of `secureagent up` and its sandboxes: objects, control groups, processes, mounts, files."""
import contextlib
import glob
import json
import pathlib
import sqlite3
import time

import sweep
from tests.helpers import server as servers

KIND = {"Sandbox": "sandboxes", "WarmPod": "warm_pods", "WarmPool": "warm_pools", "Pod": "pods"}
REST_S = 180  # for all to come to rest


def groups_of(state):
    """{id: its control groups}"""
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


def records(data_dir):
    """Names of the sandboxes that the node has files of (ID, ID:MARK)."""
    return {p.name.split(":")[0] for p in pathlib.Path(data_dir).glob("node/*")}


def recorded(data_dir, ended):
    """Of what clients were told of executions: what the records do not say."""
    file = next(pathlib.Path(data_dir).rglob("secureagent.db"))
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=60)) as db:
        known = {row[:2]: row[2] for row in db.execute("SELECT sandbox, id, status FROM executions")}
    return [f"I14: {name} of {sandbox} is {known.get((sandbox, name))!r}, and {status!r} was told"
            for sandbox, name, status in sorted(ended) if known.get((sandbox, name)) != status]


def at_rest(data_dir, state, told, deleted, ended):
    objects = read_objects(data_dir)
    running = {name: {"owner": ""} for name in first_processes(state)}
    found = sweep.all_of(objects, running, told, (), deleted)
    found += [f"I6: the control group of {name} is empty" for name in set(groups_of(state)) - set(running)]
    found += [f"I6: there are files of {name}" for name in records(data_dir) - set(running)]
    found += [f"I6: {name} has no record" for name in set(running) - records(data_dir)]
    found += [f"I10: {name} is there, and was deleted" for name, s in objects.sandboxes.items() if sweep.phase_of(s) not in sweep.ENDED]
    found += recorded(data_dir, ended)
    return found


def look(*what):
    """Until nothing is wrong, or it stays so."""
    until = time.monotonic() + REST_S
    while True:
        found = at_rest(*what)
        if not found or time.monotonic() > until:
            return found
        time.sleep(0.5)


def leftovers(data_dir, state):
    """After a stop nothing is left."""
    yield from (f"I6: left: {folder}" for folder in servers.cgroup_folders(state))
    where = str(data_dir)
    for entry in glob.glob("/proc/[0-9]*/environ"):
        pid = int(entry.split("/")[2])
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if where in words and servers.is_alive(pid):
            yield f"I6: left: process {pid}: {words!r}"
    yield from (f"I6: left: mount {line.split()[1]}" for line in open("/proc/mounts") if where in line or f"secureagent-{state}" in line)
    yield from (f"I6: left: files of {name}" for name in sorted(records(data_dir)))
    yield from (f"I6: left: {file}" for file in sorted(pathlib.Path(data_dir).glob("api/spool/**/*")) if file.is_file())
