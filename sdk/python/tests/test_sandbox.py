"""Sandboxes against a real server: their life, commands, code."""

from __future__ import annotations

import pytest

from secureagent import (
    AuthenticationError,
    Client,
    CommandError,
    ConflictError,
    ConnectionFailedError,
    ExecutionTimeoutError,
    InvalidRequestError,
    Lifecycle,
    NotFoundError,
    RequestTimeoutError,
    RetryPolicy,
    Sandbox,
)


def test_a_life(client: Client) -> None:
    with Sandbox.create(client=client, timeout=120, labels={"life": "x"}, env={"A": "b"}) as sb:
        assert sb.info.phase == "Running"
        assert sb.info.timeout == 120
        assert sb.info.labels == {"life": "x"}
        assert sb.info.expires_at is not None
        assert sb.run_command("echo $A").stdout == "b\n"
        assert sb.get_info() == sb.info
        assert sb.id in repr(sb)
    assert sb.kill() is False
    with pytest.raises(NotFoundError) as caught:
        sb.run_command("true")
    assert caught.value.request_id


def test_connecting_leaves_it_alone(client: Client, sb: Sandbox) -> None:
    with Sandbox.connect(sb.id, client=client) as same:
        assert same.runtime == "python"
        same.files.write("here", "x")
    assert sb.files.read("here") == "x"
    with pytest.raises(NotFoundError):
        Sandbox.connect("sb-" + "a" * 20, client=client)


def test_its_own_connections(server: tuple[str, str]) -> None:
    url, key = server
    with Sandbox.create(url=url, api_key=key) as sb:
        assert any(info.id == sb.id for info in Sandbox.list(url=url, api_key=key))
    with pytest.raises(AuthenticationError) as caught:
        Sandbox.create(url=url, api_key=key[:-1] + ("a" if key[-1] != "a" else "b"))
    assert caught.value.code == "unauthorized"
    assert "SECUREAGENT_API_KEY" in str(caught.value)


def test_nobody_there() -> None:
    with pytest.raises(ConnectionFailedError, match="secureagent up"):
        Sandbox.create(client=Client("http://127.0.0.1:9", "k", retry=RetryPolicy(attempts=2)))


def test_what_is_wrong_is_named(client: Client) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        Sandbox.create(client=client, timeout=0)
    assert [detail.path for detail in caught.value.details] == ["timeout"]
    with pytest.raises(InvalidRequestError):
        Sandbox.create("cobol", client=client)
    with pytest.raises(InvalidRequestError) as caught:
        Sandbox.create(client=client, timeout=0, name="A", labels={"a b": "c"})
    assert [detail.path for detail in caught.value.details] == ["name", "labels", "timeout"]
    told = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in told[:3]] == ["name", "  labels", "  timeout"]
    assert "see details" not in str(caught.value)
    with Sandbox.create(client=client) as sb, pytest.raises(InvalidRequestError, match="timeoutMs"):
        sb.run_command("true", timeout=0)  # is not the shortest there is


def test_listing_goes_on_page_after_page(client: Client) -> None:
    made = [Sandbox.create(client=client, labels={"page": "x"}, timeout=60) for _ in range(3)]
    try:
        found = [info.id for info in Sandbox.list(client=client)]
        assert {sb.id for sb in made} <= set(found)
        assert len(found) == len(set(found))
    finally:
        for sb in made:
            sb.kill()


def test_metrics_and_events(sb: Sandbox) -> None:
    metrics = sb.metrics()
    assert 0 < metrics.memory_bytes < metrics.memory_limit_bytes
    assert metrics.cpu_limit == 1.0
    first = sb.events()[0]
    assert first.type == "Normal"
    assert all(event.seq > first.seq for event in sb.events(after=first.seq))


# ---- commands ----


def test_commands(sb: Sandbox) -> None:
    execution = sb.run_command("echo out; echo err >&2; exit 3")
    assert (execution.stdout, execution.stderr, execution.exit_code) == ("out\n", "err\n", 3)
    assert not execution.ok
    assert execution.duration > 0
    assert sb.run_command(["printf", "%s|", "a b", "$HOME"]).stdout == "a b|$HOME|"


def test_environment_folder_input(sb: Sandbox) -> None:
    found = sb.run_command("echo $X; pwd; cat", env={"X": "ä"}, cwd="/tmp", stdin="in")
    assert found.stdout == "ä\n/tmp\nin"


def test_bytes_that_are_no_text(sb: Sandbox) -> None:
    found = sb.run_command(r"printf '\377\000x'")
    assert found.stdout_bytes == b"\xff\x00x"
    assert found.stdout == "\ufffd\x00x"


def test_check(sb: Sandbox) -> None:
    with pytest.raises(CommandError) as caught:
        sb.run_command("echo no >&2; exit 4", check=True)
    assert caught.value.execution.exit_code == 4
    assert "no" in str(caught.value)
    with pytest.raises(ExecutionTimeoutError):
        sb.run_command("sleep 60", timeout=0.2, check=True)
    assert sb.run_command("sleep 60", timeout=0.2).status == "timeout"


def test_code_on_its_own(sb: Sandbox) -> None:
    assert sb.run_code("x = 1; print(x)", isolated=True).stdout == "1\n"
    assert not sb.run_code("print(x)", isolated=True).ok
    assert sb.run_code("console.log(1 + 1)", "node", isolated=True).stdout == "2\n"
    assert sb.run_code("echo $((2 * 3))", "bash", isolated=True).stdout == "6\n"


def test_keys(client: Client) -> None:
    made = client.keys.create("sdk-test", role="viewer", expires_in=60)
    assert made.key is not None
    assert made.key not in repr(made)
    assert "sdk-test" in [key.name for key in client.keys.list()]
    client.keys.revoke(made.id)
    with pytest.raises(AuthenticationError), Client(client.url, made.key) as revoked:
        list(Sandbox.list(client=revoked))


# ---- its life ----


def test_selecting(client: Client) -> None:
    with Sandbox.create(client=client, labels={"sel": "a", "n": "1"}) as one:
        with Sandbox.create(client=client, labels={"sel": "a", "n": "2"}) as two:
            found = [info.id for info in Sandbox.list(labels={"sel": "a"}, client=client)]
            assert found == [two.id, one.id]
            found = [info.id for info in Sandbox.list(labels="sel=a,n!=2", client=client)]
            assert found == [one.id]
        with pytest.raises(InvalidRequestError):
            list(Sandbox.list(labels="=", client=client))


def test_pausing(sb: Sandbox) -> None:
    assert sb.pause().phase == "Paused"
    assert sb.wait("Paused").expires_at is None
    with pytest.raises(ConflictError):
        sb.run_command("true")
    assert sb.resume().phase == "Running"
    assert sb.run_command("echo on").stdout == "on\n"


def test_pausing_by_itself(client: Client) -> None:
    rules = Lifecycle(idle_timeout=1, on_idle="pause", resume_on_use=True)
    with Sandbox.create(client=client, lifecycle=rules) as sb:
        sb.wait("Paused", timeout=60)
        assert sb.run_command("echo back").stdout == "back\n"


def test_changing(sb: Sandbox) -> None:
    before = sb.info
    after = sb.update(labels={"suite": None, "new": "1"}, annotations={"note": "x"})
    assert (after.labels, after.annotations) == ({"new": "1"}, {"note": "x"})
    later = sb.set_timeout(3000)
    assert later.expires_at is not None
    assert before.expires_at is not None
    assert later.expires_at > before.expires_at
    assert sb.info == later


def test_waiting(client: Client) -> None:
    sb = Sandbox.create(client=client, timeout=1)
    assert sb.wait("Terminated", timeout=60).phase == "Terminated"
    with pytest.raises(ConflictError):
        sb.wait("Running", timeout=60)
    with Sandbox.create(client=client) as other, pytest.raises(RequestTimeoutError):
        other.wait("Paused", timeout=1)
