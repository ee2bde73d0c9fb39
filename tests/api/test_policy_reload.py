"""Rules that change while the server runs: watched, asked to reload, rolled back, broken."""
import signal

import pytest

from tests.helpers import server as servers
from tests.helpers.client import Api, wait_until
from tests.helpers.policies import Rules, execute_rule

POLICIES = "/api/v1/policies"
BROKEN = "return {\n  name = 'late', version = 1, point = 'execute',\n  decide = function(input) return }\n}\n"


@pytest.fixture
def rules():
    with Rules({"t-execute": execute_rule("first")}) as folder:
        yield folder


@pytest.fixture
def api(new_server, rules):
    """With a server of its own, `api.server`."""
    running = new_server(args=["--policy-dir", str(rules.folder)])
    client = Api(running.url, running.key)
    client.server = running
    yield client
    client.close()


def reason(api, sandbox):
    answer = api.request("POST", f"/api/v1/sandboxes/{sandbox}/execute", json={"command": "true"})
    return "allowed" if answer.status_code == 200 else answer.json()["error"]["details"][0]["reason"]


def state(api):
    return api.get(POLICIES).json()


def test_the_folder_is_watched(api, rules):
    with api.sandbox("bash") as sandbox:
        assert reason(api, sandbox) == "first"
        rules.write("t-execute", execute_rule("second"))
        wait_until("the new rule", lambda: reason(api, sandbox) == "second")
        rules.path("t-execute").unlink()
        wait_until("no rule", lambda: reason(api, sandbox) == "allowed")


def test_a_broken_file_leaves_the_old_rules(api, rules):
    with api.sandbox("bash") as sandbox:
        before = state(api)
        rules.write("late", BROKEN)
        error = api.request("POST", POLICIES + "/reload", 422).json()["error"]
        assert error["code"] == "invalid_request"
        assert any(d["path"].endswith("late.lua:3") for d in error["details"]), error
        now = state(api)
        assert (now["generation"], now["digest"]) == (before["generation"], before["digest"])
        assert not now["lastReload"]["ok"] and now["lastReload"]["errors"][0]["line"] == 3
        assert reason(api, sandbox) == "first"
        rules.write("late", execute_rule("late", "input.program == 'late'", "late"))
        assert api.post(POLICIES + "/reload").json()["generation"] > before["generation"]
        assert "late.lua" in api.server.log()


def test_what_is_decided_alike_is_no_difference(api, rules):
    """Whatever the order of members that Lua gives: a new worker has another."""
    with api.sandbox("bash") as sandbox:
        reason(api, sandbox)
        rules.write("late", execute_rule("late", "input.program == 'late'", "late"))
        canary = api.post(POLICIES + "/reload").json()["lastReload"]["canary"]
        assert canary["inputs"] > 5 and canary["diff"] == []


def test_what_cannot_be_read_is_named(api, rules):
    rules.path("late").symlink_to(rules.path("late"))
    error = api.request("POST", POLICIES + "/reload", 422).json()["error"]
    assert "late.lua" in error["details"][0]["reason"]


def test_a_test_that_fails_leaves_the_old_rules(api, rules):
    rules.write("t-execute_test", "return { { name = 'it is allowed', input = { kind = 'command' },"
                                  " expect = { verdict = 'allow' } } }\n")
    error = api.request("POST", POLICIES + "/reload", 422).json()["error"]
    assert any("it is allowed" in d["reason"] for d in error["details"]), error
    with api.sandbox("bash") as sandbox:
        assert reason(api, sandbox) == "first"


@pytest.mark.parametrize("process", ["up", "agent-api"])
def test_reload_by_signal(new_server, rules, process):
    """Without the watch one could not tell: the file is one that is there already."""
    running = new_server(args=["--policy-dir", str(rules.folder)])
    client = Api(running.url, running.key)
    at = state(client)["lastReload"]["at"]
    pid = running.pid if process == "up" else running.pid_of("agent-api")
    servers.os.kill(pid, signal.SIGHUP)
    wait_until("another reload", lambda: state(client)["lastReload"]["at"] != at)
    assert running.process.poll() is None and state(client)["lastReload"]["ok"]


def test_rollback(api, rules):
    with api.sandbox("bash") as sandbox:
        first = state(api)["generation"]
        rules.write("t-execute", execute_rule("second"))
        second = api.post(POLICIES + "/reload").json()["generation"]
        assert second > first and reason(api, sandbox) == "second"
        back = api.post(POLICIES + "/rollback").json()
        assert back["generation"] > second and back["source"] == "rollback"
        assert reason(api, sandbox) == "first"
        again = api.post(POLICIES + "/rollback", {"generation": second}).json()
        assert again["generation"] > back["generation"] and reason(api, sandbox) == "second"
        api.error("POST", POLICIES + "/rollback", 404, "not_found", json={"generation": 12345})
        api.post(POLICIES + "/reload")
        assert reason(api, sandbox) == "second" and state(api)["source"] == "files"


def test_no_start_without_good_rules():
    with Rules({"late": BROKEN}) as rules:
        with pytest.raises(servers.StartFailed) as failed:
            servers.start_server(args=["--policy-dir", str(rules.folder)])
        assert "late.lua" in failed.value.text and "3" in failed.value.text


def test_the_last_good_rules_outlive_a_restart(new_server, rules, tmp_path_factory):
    folder = servers.pathlib.Path(servers.tempfile.mkdtemp(prefix="secureagent-test-"))
    folder.chmod(0o711)
    try:
        arguments = {"data_dir": folder / "data", "args": ["--policy-dir", str(rules.folder)]}
        first = new_server(**arguments)
        assert first.stop() == 0
        rules.write("late", BROKEN)
        second = new_server(**arguments)
        client = Api(second.url, second.key)
        now = state(client)
        assert now["source"] == "lastGood" and not now["lastReload"]["ok"]
        with client.sandbox("bash") as sandbox:
            assert reason(client, sandbox) == "first"
    finally:
        if "second" in locals():
            second.stop()
        servers.shutil.rmtree(folder, ignore_errors=True)


def test_a_folder_that_is_not_there():
    with pytest.raises(servers.StartFailed) as failed:
        servers.start_server(args=["--policy-dir", "/nonexistent/rules"])
    assert "/nonexistent/rules" in failed.value.text
