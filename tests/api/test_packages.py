"""Installing packages from the operator's directory, with the managers themselves."""
import hashlib
import io
import json
import subprocess
import tarfile
import zipfile

import pytest

from tests.helpers.client import Api, items

MINUTES = 5 * 60 * 1000  # npm on a machine that is busy


def wheel(folder, name, version, requires=(), body=""):
    """A wheel of one module."""
    stem, info = f"{name}-{version}", f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + "".join(f"Requires-Dist: {r}\n" for r in requires)
    files = {f"{name}.py": body or f"version = {version!r}\n", f"{info}/METADATA": metadata,
             f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    record = "".join(f"{path},,\n" for path in files) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)


def tarball(folder, name, version, requires=None, body=""):
    """A tarball as `npm pack` makes it."""
    package = {"name": name, "version": version, "main": "index.js", "dependencies": requires or {}}
    path = folder / (name.lstrip("@").replace("/", "-") + f"-{version}.tgz")
    with tarfile.open(path, "w:gz") as archive:
        for file, text in {"package.json": json.dumps(package), "index.js": body or f"module.exports = '{version}'"}.items():
            entry = tarfile.TarInfo("package/" + file)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mirror")
    folder.chmod(0o755)
    wheel(folder, "sa_first", "1.0")
    wheel(folder, "sa_first", "2.0")
    wheel(folder, "sa_second", "0.1", ["sa_first<2"], "import sa_first\nsaid = 'second on ' + sa_first.version\n")
    wheel(folder, "sa_broken", "1.0", ["sa_nowhere"])
    tarball(folder, "sa-first", "1.5.0")
    tarball(folder, "sa-first", "2.0.0-beta.1")
    tarball(folder, "sa-first", "2.0.0")
    tarball(folder, "@sa/second", "0.1.0", {"sa-first": "^1.0.0"}, "module.exports = 'second on ' + require('sa-first')")
    (folder / "more").mkdir(mode=0o755)
    tarball(folder / "more", "sa-third", "1.0.0", {"@sa/second": "*", "sa-first": "2"},
            "module.exports = [require('@sa/second'), require('sa-first')].join()")
    (folder / "sa-first-9.9.9.tgz").write_bytes(b"not a tarball")
    for path in folder.rglob("*.*"):
        path.chmod(0o644)
    return folder


@pytest.fixture(scope="module")
def offering(mirror):
    """A server with packages, and a sandbox in it."""
    from tests.api.conftest import end
    from tests.helpers import server as servers
    server = servers.start_server(args=("--package-mirror", str(mirror)))
    api = Api(server.url, server.key)
    try:
        with api.sandbox(timeout=3600) as sandbox:
            yield api, sandbox
    finally:
        api.close()
        end(server)


def install(api, sandbox, manager, *packages, status=200, **more):
    body = {"manager": manager, "packages": list(packages), "timeoutMs": MINUTES}
    return api.post(f"/api/v1/sandboxes/{sandbox}/packages", body, status=status, **more)


def names(answer):
    return sorted((p["name"], p["version"]) for p in answer["installed"])


def test_pip(offering):
    api, sandbox = offering
    answer = install(api, sandbox, "pip", "sa_second").json()
    assert answer["status"] == "exited" and answer["exitCode"] == 0, answer
    assert names(answer) == [("sa_first", "1.0"), ("sa_second", "0.1")] and "Successfully installed" in answer["stderr"]
    result = api.execute(sandbox, language="python", code="import sa_second; print(sa_second.said)")
    assert result["stdout"] == "second on 1.0\n", result
    again = install(api, sandbox, "pip", "sa_second", "sa-first >= 1, < 2").json()
    assert names(again) == [("sa-first", "1.0"), ("sa_second", "0.1")], again
    newer = install(api, sandbox, "pip", "sa_first==2.0").json()
    assert names(newer) == [("sa_first", "2.0")], newer


def test_npm(offering):
    api, sandbox = offering
    answer = install(api, sandbox, "npm", "sa-third", "@sa/second@0.x").json()
    assert answer["status"] == "exited" and answer["exitCode"] == 0, answer
    assert names(answer) == [("@sa/second", "0.1.0"), ("sa-first", "1.5.0"), ("sa-first", "2.0.0"), ("sa-third", "1.0.0")]
    result = api.execute(sandbox, language="node", code="console.log(require('sa-third'))")
    assert result["stdout"] == "second on 1.5.0,2.0.0\n", result
    latest = install(api, sandbox, "npm", "sa-first@latest").json()
    assert ("sa-first", "2.0.0") in names(latest), latest
    assert api.sh(sandbox, "ls /workspace/node_modules/@sa") == "second\n"


def test_contexts_that_were_there_before(offering):
    """What code does when a module is missing: install it, and try again."""
    api, _ = offering
    with api.sandbox() as sandbox:
        for language, manager, package, code in (("python", "pip", "sa_second", "import sa_second; print(sa_second.said)"),
                                                 ("node", "npm", "sa-first", "console.log(require('sa-first'))")):
            context = api.post(f"/api/v1/sandboxes/{sandbox}/contexts", {"language": language}, status=201).json()["id"]
            before = api.execute(sandbox, context=context, code=code)
            assert before["error"]["name"] in ("ModuleNotFoundError", "Error"), before
            install(api, sandbox, manager, package)
            after = api.execute(sandbox, context=context, code=code)
            assert after["stdout"] in ("second on 1.0\n", "2.0.0\n"), after


@pytest.mark.parametrize("manager, package", [("pip", "sa_nowhere"), ("pip", "sa_broken"), ("pip", "sa_first>=7"),
                                              ("npm", "sa-nowhere"), ("npm", "sa-first@7")])
def test_what_is_not_there(offering, manager, package):
    api, sandbox = offering
    answer = install(api, sandbox, manager, package).json()
    assert answer["status"] == "exited" and answer["exitCode"] not in (0, None) and answer["installed"] == [], answer
    assert package.split("=")[0].split("@")[0].rstrip(">") in answer["stderr"] or "sa_nowhere" in answer["stderr"], answer
    assert manager != "pip" or "/tmp/" not in answer["stderr"], answer  # the same words each time


def fetched(folder, command):
    """Did the manager download something into the folder? Not where there is no registry."""
    try:
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=120)
    except subprocess.TimeoutExpired:
        return False
    for path in folder.iterdir():
        path.chmod(path.stat().st_mode | 0o444)
    return done.returncode == 0


def test_packages_of_the_world(offering, mirror):
    """Where the registries can be reached."""
    api, _ = offering
    pip = fetched(mirror, ["/usr/bin/python3", "-m", "pip", "download", "-q", "--retries", "0", "idna==3.7"])
    npm = fetched(mirror, ["npm", "pack", "--silent", "--fetch-retries", "0", "ms@2.1.3"])
    with api.sandbox() as old, api.sandbox() as sandbox:
        assert old
        if pip:
            assert names(install(api, sandbox, "pip", "idna==3.7").json()) == [("idna", "3.7")]
            assert api.sh(sandbox, "python3 -c 'import idna; print(idna.__version__)'") == "3.7\n"
        if npm:
            assert names(install(api, sandbox, "npm", "ms@^2").json()) == [("ms", "2.1.3")]
            assert api.sh(sandbox, "node -p 'require(\"ms\")(\"2h\")'") == "7200000\n"


def test_as_a_stream(offering):
    api, sandbox = offering
    answer = api.request("POST", f"/api/v1/sandboxes/{sandbox}/packages", 200, stream=True,
                         json={"manager": "pip", "packages": ["sa_first<2"], "timeoutMs": MINUTES},
                         headers={"Accept": "application/x-ndjson"})
    got = list(items(answer))
    assert got[0]["type"] == "started" and got[-1]["type"] == "exited" and got[-1]["exitCode"] == 0, got
    out = "".join(i["data"] for i in got if i["type"] == "stdout")
    assert [p["name"] for p in json.loads(out)] == ["sa_first"], got
    listed = api.get(f"/api/v1/sandboxes/{sandbox}/executions/{got[0]['id']}").json()
    assert listed["command"] == "pip install sa_first<2", listed


def test_the_directory_is_read_only_and_its_own_mount(offering, mirror):
    api, sandbox = offering
    line = api.sh(sandbox, "grep ' /opt/secureagent/packages ' /proc/self/mountinfo")
    flags = line.split()[5].split(",")
    assert {"ro", "nosuid", "nodev"} <= set(flags) and str(mirror) not in line, line
    before = {p.name: hashlib.sha256(p.read_bytes()).digest() for p in mirror.iterdir() if p.is_file()}
    for command in ("touch /opt/secureagent/packages/x", "rm -f /opt/secureagent/packages/*.whl",
                    "echo x >>/opt/secureagent/packages/sa_first-1.0-py3-none-any.whl"):
        assert api.execute(sandbox, command=command)["exitCode"] != 0
    assert {p.name: hashlib.sha256(p.read_bytes()).digest() for p in mirror.iterdir() if p.is_file()} == before


def test_what_is_added_is_there_for_new_sandboxes(offering, mirror):
    api, _ = offering
    wheel(mirror, "sa_added", "3.0")
    tarball(mirror, "sa-added", "3.0.0").chmod(0o644)
    (mirror / "sa_added-3.0-py3-none-any.whl").chmod(0o644)
    with api.sandbox() as first, api.sandbox() as fresh:
        assert first and names(install(api, fresh, "pip", "sa_added").json()) == [("sa_added", "3.0")]
        assert names(install(api, fresh, "npm", "sa-added").json()) == [("sa-added", "3.0.0")]


@pytest.mark.parametrize("manager, package", [
    ("pip", "-r/etc/passwd"), ("pip", "--index-url=http://example.com"), ("pip", "x; touch /tmp/x"), ("pip", "./x"),
    ("pip", "x @ file:///etc"), ("npm", "-g"), ("npm", "x@file:../y"), ("npm", "../y"), ("npm", "x@http://example.com/y.tgz")])
def test_options_addresses_and_paths_are_refused(api, shared, manager, package):
    api.error("POST", f"/api/v1/sandboxes/{shared}/packages", 400, "invalid_request", "packages",
              json={"manager": manager, "packages": ["x", package]})


def test_without_a_directory_it_says_so(api, shared):
    error = api.error("POST", f"/api/v1/sandboxes/{shared}/packages", 409, "conflict",
                      json={"manager": "pip", "packages": ["x"]})
    assert "--package-mirror DIR" in error["message"]
    api.error("POST", "/api/v1/sandboxes/sb-aaaaaaaaaaaaaaaaaaaa/packages", 404, "not_found",
              json={"manager": "pip", "packages": ["x"]})
    assert api.execute(shared, command="ls -d /opt")["exitCode"] != 0
