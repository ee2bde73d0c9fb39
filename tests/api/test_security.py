"""The security context of sandboxes is what the policies decide, is the same for those that are alike, and is refused
when nobody decides it or the node cannot have it."""
import contextlib
import pathlib
import re
import tempfile

import pytest

from tests.helpers.client import Api, wait_until
from tests.helpers.server import start_server


@pytest.fixture
def folder():
    """One that the server's user may read, too."""
    with tempfile.TemporaryDirectory(prefix="secureagent-test-") as name:
        yield pathlib.Path(name)


def write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_lua", ".lua")
        path.parent.mkdir(mode=0o755, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
    folder.chmod(0o755)


@contextlib.contextmanager
def server_with(folder, **files):
    write(folder, **files)
    server = start_server(args=["--policy-dir", str(folder)])
    try:
        yield Api(server.url, server.key)
    finally:
        server.stop()
        server.discard()


def profile_rule(context):
    return ('return { name = "profile-standard", version = 2, point = "profile", decide = function(input)\n'
            f"  if input.level == 'standard' then return allow({context}) end end }}\n")


WHOLE = """{ runtimeClass = "native", uid = 1000, gid = 1000, capabilities = {}, noNewPrivs = true, readOnlyRoot = true,
  privateNetwork = true, maskProc = true, seccomp = "%s", landlock = { enabled = true, writable = { "/workspace" } },
  writablePaths = { "/workspace", "/tmp", "/home/user", "/dev/shm" }, devices = { "null", "zero", "urandom", "tty" },
  limits = { pids = 99, openFiles = 777, fileSizeBytes = 0, coreBytes = 0 }, requiredControls = { %s } }"""


def test_alike_are_the_same_profile(api):
    boxes = [api.create(runtime="python"), api.create(runtime="bash"),
             api.create(runtime="python", securityLevel="custom", securityContext={"limits": {"openFiles": 128}})]
    digests = [box["securityProfile"]["digest"] for box in boxes]
    assert re.fullmatch("[0-9a-f]{64}", digests[0]) and digests[0] == digests[1] != digests[2]
    assert all(box["securityProfile"]["generation"] >= 1 for box in boxes)
    assert api.sh(boxes[2]["id"], "ulimit -Hn") == "128\n"
    assert api.sh(boxes[0]["id"], "ulimit -Hn") != "128\n"
    for box in boxes:
        api.delete(box["id"])


def test_custom_that_is_weaker_is_the_rules_to_refuse(api):
    for context in ({"capabilities": ["CAP_NET_ADMIN"]}, {"seccomp": "none"}, {"colour": "blue"}):
        error = api.error("POST", "/api/v1/sandboxes", 403, "policy_denied",
                          json={"runtime": "python", "securityLevel": "custom", "securityContext": context})
        detail = error["details"][0]
        assert detail["rule"].startswith("profile-custom/") and detail["reason"] and detail["decision"], error


def test_another_user(api):
    with api.sandbox("python") as box:
        ranged = "userns.range" in api.describe(box)["controls"]
    body = {"runtime": "python", "securityLevel": "custom", "securityContext": {"uid": 4242, "gid": 4343}}
    if not ranged:
        api.error("POST", "/api/v1/sandboxes", 503, "unavailable", json=body)
        return
    box = api.create(**body)["id"]
    api.put(box, "/workspace/mine", b"x")
    assert api.sh(box, "id -u; id -g; stat -c %u:%g /workspace /workspace/mine /home/user /tmp") == "4242\n4343\n" + "4242:4343\n" * 4
    assert api.execute(box, language="python", code="open('/home/user/a', 'w').write('b')")["exitCode"] == 0
    api.delete(box)


def test_a_rule_of_the_operator(folder):
    with server_with(folder, **{"policies__profile-standard_lua": profile_rule(WHOLE % ("standard", '"cgroup.freezer"')),
                                "policies__profile-standard_test_lua": "return {}"}) as api:
        body = {"runtime": "bash", "resources": {"pids": 4000}}
        answer = api.request("POST", "/api/v1/sandboxes", json=body)
        if answer.status_code == 503:  # a node without control groups
            assert "cgroup.freezer" in answer.text
            return
        box = answer.json()["id"]
        assert api.sh(box, "ulimit -Hn; ls -l /dev/full | cut -c1-10; head -c1 /dev/full 2>&1 | wc -c").startswith("777\n-")
        assert api.get(f"/api/v1/sandboxes/{box}/metrics").json()["processesLimit"] == 99


@pytest.mark.parametrize("files, status, word", [
    ({"policies__profile-standard_lua": profile_rule("{ uid = 1000 }")}, 503, "could not decide"),
    ({"policies__profile-standard_lua": profile_rule("{}").replace("return allow({})", "return nil")}, 503, "could not decide"),
    ({"policies__profile-standard_lua": profile_rule("{}").replace("return allow({})", "error('no')")}, 503, "could not decide"),
    ({"policies__profile-standard_lua": profile_rule("{}").replace("return allow({})", "return deny('never', 'not today')")}, 403,
     "not today"),
    ({"policies__profile-standard_lua": profile_rule(WHOLE % ("nothing", ""))}, 503, "could not decide"),
    ({"policies__profile-standard_lua": profile_rule(WHOLE % ("standard", '"watchdog.memory", "cgroup.memory"'))}, 503, "cannot be had"),
    ({"params_lua": 'return { rules = { ["seccomp-base"] = { telling = { "semget" } } } }'}, 503, "semget"),
    ({"policies__zz_lua": 'return { name = "zz", version = 1, point = "seccomp", decide = function() '
                          'return allow({ allow = { "@io", "init_module" }, telling = {} }) end }'}, 503, "init_module is never allowed"),
    ({"policies__zz_lua": 'return { name = "zz", version = 1, point = "seccomp", decide = function() '
                          'return allow({ allow = {}, telling = {} }) end }'}, 503, "allow no system call"),
], ids=["incomplete", "nobody", "error", "denied", "unknown-filter", "control", "contradiction", "never", "empty"])
def test_no_context_no_sandbox(folder, files, status, word):
    """Shipped tests that a replaced file would fail are replaced with it."""
    empty = {name.replace("_lua", "_test_lua"): "return {}" for name in files if name.startswith("policies__profile")}
    with server_with(folder, **files, **empty) as api:
        answer = api.request("POST", "/api/v1/sandboxes", json={"runtime": "python"})
        assert answer.status_code == status and word in answer.text, answer.text
        assert api.request("POST", "/api/v1/sandboxes", json={"runtime": "python"}).status_code == status


def test_a_reload_is_for_new_sandboxes(folder):
    with server_with(folder, **{"policies__profile-standard_lua": profile_rule(WHOLE % ("standard", "")),
                                  "policies__profile-standard_test_lua": "return {}"}) as api:
        before = api.create(runtime="bash")
        write(folder, **{"policies__profile-standard_lua": profile_rule((WHOLE % ("standard", "")).replace("777", "555"))})
        api.post("/api/v1/policies/reload", status=200)
        after = api.create(runtime="bash")
        assert after["securityProfile"]["generation"] > before["securityProfile"]["generation"]
        assert after["securityProfile"]["digest"] != before["securityProfile"]["digest"]
        assert api.sh(before["id"], "ulimit -Hn") == "777\n" and api.sh(after["id"], "ulimit -Hn") == "555\n"


def test_more_profiles_than_a_node_keeps(api):
    """The oldest are forgotten and sent again, unnoticed."""
    def made(files):
        box = api.create(runtime="bash", securityLevel="custom", securityContext={"limits": {"openFiles": files}})
        assert api.sh(box["id"], "ulimit -Hn") == f"{files}\n"
        api.delete(box["id"])
    for files in [*range(200, 220), *range(200, 220)]:
        made(files)


def test_telling_of_the_operator(folder):
    with server_with(folder, params_lua='return { rules = { ["seccomp-base"] = { telling = { "modify_ldt" } } } }') as api:
        box = api.create(runtime="python")["id"]
        code = "import ctypes; c = ctypes.CDLL(None, use_errno=True); print(c.syscall(154, 0, 0, 0), ctypes.get_errno())"
        assert api.execute(box, language="python", code=code)["stdout"] == "-1 1\n"
        wait_until("its event", lambda: any("tried modify_ldt," in e["message"] for e in api.events(box)))
