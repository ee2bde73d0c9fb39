"""Compiling and running Go, and its build cache. Needs a toolchain (tools/deps has one)."""
import pathlib
import shutil
import subprocess

import pytest

from tests.helpers.client import Api, wait_until

MINUTES = 10 * 60 * 1000  # without a cache the standard library is compiled first
CACHE = "/var/cache/go-build"
HELLO = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("hi", 6*7) }\n'


@pytest.fixture(scope="module")
def box(api):
    with api.sandbox("go", timeout=3600, resources={"memory": "1Gi"}) as sandbox:
        yield sandbox


def go(api, box, code, **more):
    result = api.execute(box, language="go", code=code, timeoutMs=MINUTES, **more)
    assert result["status"] == "exited", result
    return result["exitCode"], result["stdout"], result["stderr"]


def test_a_program_runs_in_place_of_its_compiler(api, box):
    assert go(api, box, HELLO) == (0, "hi 42\n", "")
    code = ('package main\nimport ("fmt"; "io"; "os")\nfunc main() {\n'
            'b, _ := io.ReadAll(os.Stdin)\nfmt.Print(string(b), len(os.Args))\nos.Exit(7)\n}\n')
    assert go(api, box, code, stdin="input ") == (7, "input 1", "")
    assert api.sh(box, "ls -A /tmp /workspace") == "/tmp:\n\n/workspace:\n", "something was left"


def test_errors_name_the_line(api, box):
    status, out, err = go(api, box, "package main\n\nfunc main() {\n\tmissing()\n}\n")
    assert (status, out) == (1, "") and "main.go:4:2: undefined: missing" in err and "/tmp" not in err
    status, _, err = go(api, box, "not go")
    assert status == 1 and "main.go:1:1: " in err
    status, _, err = go(api, box, 'package main\n\nfunc main() {\n\tpanic("no good")\n}\n')
    assert status == 2 and "no good" in err and "main.go:4" in err


def test_a_module_of_the_working_directory(api, box):
    folder = '/workspace/a "b" $c'
    api.put(box, folder + "/go.mod", b"module example.com/m\n\ngo 1.19\n")
    api.put(box, folder + "/internal/five/five.go", b"package five\n\nfunc Five() int { return 5 }\n")
    api.put(box, folder + "/five_test.go",
            b'package m\n\nimport (\n"testing"\n"example.com/m/internal/five"\n)\n'
            b'func TestFive(t *testing.T) { if five.Five() != 5 { t.Fatal("?") } }\n')
    code = 'package main\n\nimport "example.com/m/internal/five"\n\nfunc main() { println(five.Five()) }\n'
    assert go(api, box, code, cwd=folder) == (0, "", "5\n")
    tested = api.execute(box, command="go test -vet=off .", cwd=folder, timeoutMs=MINUTES)
    assert tested["exitCode"] == 0 and "ok" in tested["stdout"], tested
    api.sh(box, "rm -r /workspace/*")


def version():
    tools = [p for p in ("/usr/local/go", *map(str, pathlib.Path("/usr/lib").glob("go-*"))) if pathlib.Path(p, "bin/go").exists()]
    assert tools, "no Go: run tools/deps"
    return tools


@pytest.fixture
def caches(tmp_path_factory):
    """A folder with a build cache of every toolchain here, of one entry: who looks sees it."""
    folder = tmp_path_factory.mktemp("cache")
    folder.chmod(0o700)
    for tool in version():
        name = pathlib.Path(tool, "VERSION").read_text().split()[0]
        entry = folder / "go" / name / "00"
        entry.mkdir(parents=True)
        (entry / "shared").write_text("of the host")
        for made in (folder / "go", folder / "go" / name):
            made.chmod(0o755)
        entry.chmod(0o777)
        (entry / "shared").chmod(0o666)
    yield folder
    shutil.rmtree(folder)


def test_what_one_sandbox_puts_into_the_cache_stays_there(new_server, caches):
    server = new_server(args=("--cache-dir", str(caches)))
    api = Api(server.url, server.key)
    with api.sandbox("go") as poisoner:
        assert api.sh(poisoner, f"cat {CACHE}/00/shared") == "of the host"
        api.execute(poisoner, command=f"echo poison >{CACHE}/00/shared")
        api.execute(poisoner, command=f"rm -f {CACHE}/00/shared; echo poison >{CACHE}/00/shared")
        api.sh(poisoner, f"echo poison >{CACHE}/00/added; chmod 777 {CACHE}/00; mkdir {CACHE}/new")
        assert api.sh(poisoner, f"cat {CACHE}/00/added") == "poison\n"
        with api.sandbox("go") as other:
            assert api.sh(other, f"cat {CACHE}/00/shared; ls {CACHE}/00 | wc -l; ls {CACHE} | wc -l") == "of the host1\n256\n"
    for entry in caches.glob("go/*/00"):
        assert [p.name for p in entry.iterdir()] == ["shared"] and (entry / "shared").read_text() == "of the host"
    api.close()


def test_a_missing_cache_is_made_in_the_background(new_server, tmp_path_factory):
    """It begins; and it ends with the server (the fixture looks for processes)."""
    folder = tmp_path_factory.mktemp("cache-new") / "made"
    server = new_server(args=("--cache-dir", str(folder)))
    wait_until("the making of a cache", lambda: list(folder.glob("work/go*/*")), timeout=300)
    assert "making the build cache" in server.log() and folder.stat().st_mode & 0o077 == 0
    pattern = f"GOCACHE={folder}"
    assert server.stop() == 0
    wait_until("the compiler to end", lambda: pattern not in subprocess.run(
        ["sh", "-c", "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'"], capture_output=True, text=True,
        errors="replace").stdout)
