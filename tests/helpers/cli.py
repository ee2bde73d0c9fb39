"""Running the command line in tests, and making sure that a server is gone."""
import os
import subprocess

from . import server as servers
from .client import wait_until


def environment(server=None, **more):
    """What a command sees: nothing of SecureAgent but the server it should find."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("SECUREAGENT_")}
    if server is not None:
        variables["SECUREAGENT_DATA_DIR"] = str(server.data_dir)
    variables.update(more)
    return variables


def run_cli(*args, server=None, stdin=b"", env=None, timeout=180, binaries=None):
    """Run `secureagent ARGS`; the result has returncode, stdout and stderr as bytes."""
    program = (binaries or servers.BIN) / "secureagent"
    return subprocess.run([program, *map(str, args)], input=stdin, capture_output=True,
                          timeout=timeout, env=environment(server, **(env or {})))


def check_gone(pids, state, what="the server"):
    """Nothing is left of a server: no process, no control group."""
    wait_until(f"the processes of {what} to end", lambda: not any(map(servers.is_alive, pids)))
    if state:
        wait_until("its control groups to go", lambda: servers.cgroup_folders(state) == [])


def end(server):
    state = server.state if "sandbox-node" in server.processes().values() else None
    pids = server.processes()
    status = server.stop()
    try:
        assert status == 0, f"exit status {status}\n{server.log()[-3000:]}"
        check_gone(pids, state)
    finally:
        server.discard()
