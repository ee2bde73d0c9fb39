#!/usr/bin/python3
"""Programs that try to get out, or to take more than their share. Prints what stopped each, and
`escape (native, MODE): n of m stopped`. Exit status 1 if any was not.

    tests/escape/run.py [--mode root|user|all] [--only WORD] [-v]

`root` needs root. `user` runs the server as an unprivileged user: as root, one is made for it and
removed again; else it is the caller.
"""
import argparse
import contextlib
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.helpers import pods  # noqa: E402
from tests.helpers import server as servers  # noqa: E402
from tests.helpers.client import Api  # noqa: E402
from tests.escape import (cases_files, cases_namespaces, cases_proc, cases_resources,  # noqa: E402, F401
                          cases_door, cases_policies, cases_recycling, cases_syscalls, harness)

USER = "secureagent-escape"


@contextlib.contextmanager
def unprivileged_user():
    """(uid, gid) to run the server as; None: as who we are."""
    if os.geteuid() != 0:
        yield None
        return
    made = False
    try:
        pwd.getpwnam(USER)
    except KeyError:
        subprocess.run(["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", USER], check=True)
        made = True
    entry = pwd.getpwnam(USER)
    try:
        yield entry.pw_uid, entry.pw_gid
    finally:
        if made:
            subprocess.run(["userdel", USER], check=True)


@contextlib.contextmanager
def reachable_binaries(user):
    """The programs where the user gets at them, whatever the permissions above the build folder."""
    if not user:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="secureagent-test-") as folder:
        os.chmod(folder, 0o755)
        programs = pathlib.Path(folder) / "bin"
        programs.mkdir(mode=0o755)
        for name in ("secureagent", "agent-api", "sandbox-node", "execution-runtime", "policy-worker"):
            shutil.copy(servers.BIN / name, programs)
        shutil.copytree(ROOT / "lua", pathlib.Path(folder) / "share" / "secureagent" / "lua")
        yield programs


@contextlib.contextmanager
def policy_dir():
    """Rules of an operator who gives away what can be given away (cases_policies.py)."""
    with tempfile.TemporaryDirectory(prefix="secureagent-test-") as folder:
        os.chmod(folder, 0o755)
        params = pathlib.Path(folder) / "params.lua"
        params.write_text(cases_policies.PARAMS)
        params.chmod(0o644)
        yield folder


class Outcome:
    def __init__(self, case):
        self.case, self.state, self.note, self.seconds = case, "stopped", "", 0.0


def try_case(world, shared, case):
    outcome, began = Outcome(case), time.monotonic()
    box = world.box(**case.spec) if case.fresh else shared
    try:
        case.function(box)
    except harness.NotPromised as e:
        outcome.state, outcome.note = "not promised", str(e)
    except Exception:  # noqa: BLE001 - whatever it was, the case has failed
        outcome.state, outcome.note = "NOT STOPPED", traceback.format_exc()
    finally:
        if case.fresh:
            with contextlib.suppress(Exception):
                box.delete()
    outcome.seconds = time.monotonic() - began
    return outcome


def run_mode(mode, programs, only):
    outcomes = []
    with contextlib.ExitStack() as stack:
        user = stack.enter_context(unprivileged_user()) if mode == "user" else None
        binaries = stack.enter_context(reachable_binaries(user))
        server = servers.start_server(user=user, binaries=binaries, args=["--policy-dir", stack.enter_context(policy_dir())])
        stack.callback(server.discard)
        world = harness.World(mode, server, Api(server.url, server.key), programs,
                              lambda: pods.Node(user, binaries))
        stack.callback(world.close)
        shared = world.box()
        for case in harness.CASES:
            if only and only not in case.title and only not in case.section:
                continue
            if world.api.describe(shared.id)["phase"] != "Running":
                shared = world.box()  # one case ended it: that one has failed, the others go on
            outcomes.append(try_case(world, shared, case))
        status = server.stop()
        if status != 0:
            raise SystemExit(f"the server ended with {status}:\n{server.log()[-3000:]}")
    return outcomes


def show(mode, outcomes, verbose):
    section = None
    for o in outcomes:
        if o.case.section != section:
            section = o.case.section
            print(f"  {section}")
        time_ = f"  {o.seconds:.1f} s" if verbose else ""
        print(f"    {o.case.outcome:<4} {o.case.title:<75} {o.state}{time_}")
    for o in outcomes:
        if o.state == "not promised":
            print(f"  not promised as {mode}: {o.case.title}: {o.note}")
    for o in outcomes:
        if o.state == "NOT STOPPED":
            print(f"\nNOT STOPPED as {mode}: {o.case.section}: {o.case.title}\n{o.note}")
    promised = [o for o in outcomes if o.state != "not promised"]
    stopped = [o for o in promised if o.state == "stopped"]
    print(f"escape (native, {mode}): {len(stopped)} of {len(promised)} stopped", flush=True)
    return len(stopped) == len(promised) and bool(promised)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=("root", "user", "all"), default="all")
    parser.add_argument("--only", help="only cases whose title or section holds this")
    parser.add_argument("-v", "--verbose", action="store_true", help="with times")
    options = parser.parse_args()
    modes = ["root", "user"] if options.mode == "all" else [options.mode]
    if os.geteuid() != 0 and "root" in modes:
        if options.mode == "root":
            raise SystemExit("--mode root needs root")
        print("skipped: escape (native, root) needs root")
        modes.remove("root")
    programs = harness.build_programs()
    good = True
    for mode in modes:
        good &= show(mode, run_mode(mode, programs, options.only), options.verbose)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
