"""`secureagent up -f`, and the default pool."""
import json

from tests.helpers.cli import run_cli

POOL = """apiVersion: secureagent.dev/v1
kind: WarmPool
metadata: {name: mine}
spec: {runtime: bash, minSize: 0, maxSize: 1}
"""


def pools(server):
    return run_cli("get", "pools", "-o", "name", server=server).stdout.decode().split()


def test_a_new_folder_gets_a_default_pool_once(new_server, tmp_path):
    one = new_server(data_dir=tmp_path / "d", default_pool=True)
    assert pools(one) == ["warmpool/default"]
    spec = json.loads(run_cli("get", "pool", "default", "-o", "json", server=one).stdout)["spec"]
    assert (spec["runtime"], spec["minSize"], spec["maxSize"]) == ("python", 2, 10)
    assert spec["imports"] == ["IPython"]  # which this machine has
    assert run_cli("delete", "pool", "default", "--wait", server=one).returncode == 0
    assert one.stop() == 0
    again = new_server(data_dir=tmp_path / "d", default_pool=True)
    assert pools(again) == []


def test_no_default_pool(new_server):
    assert pools(new_server()) == []
    assert pools(new_server(default_pool=True, env={"SECUREAGENT_DEFAULT_POOL": "false"})) == []


def test_manifests_are_there_when_it_is_ready(new_server, tmp_path):
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "pool.yaml").write_text(POOL)
    one = new_server(data_dir=tmp_path / "d", args=["-f", str(folder)], default_pool=True)
    assert pools(one) == ["warmpool/mine"]
    assert "warmpool/mine created" in one.log()
    assert one.stop() == 0
    again = new_server(data_dir=tmp_path / "d", args=["-f", str(folder)])
    assert pools(again) == ["warmpool/mine"] and "warmpool/mine unchanged" in again.log()


def test_with_mistakes_nothing_is_started(tmp_path):
    (tmp_path / "bad.yaml").write_text(POOL.replace("maxSize: 1", "maxSiz: 1"))
    done = run_cli("up", "--listen", "127.0.0.1:0", "--data-dir", tmp_path / "d", "-f", tmp_path / "bad.yaml")
    assert done.returncode == 64 and done.stdout == b""
    assert b'bad.yaml:4, document 1: spec.maxSiz: unknown field "maxSiz", did you mean "maxSize"?' in done.stderr
    assert not (tmp_path / "d").exists()


def test_what_the_server_refuses_ends_it(tmp_path):
    (tmp_path / "bad.yaml").write_text(POOL.replace("maxSize: 1", "maxSize: 1, scaling: {rule: no-such}"))
    done = run_cli("up", "--listen", "127.0.0.1:0", "--data-dir", tmp_path / "d", "-o", "json", "-f",
                   tmp_path / "bad.yaml")
    assert done.returncode == 64 and done.stdout == b"", done
    assert b"bad.yaml:4, document 1: spec.scaling.rule" in done.stderr
