"""docs/invariants.md and the fail points that the code has."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def in_the_code():
    sources = subprocess.run(["git", "ls-files", "core/*.c", "controller/*.c", "node/*.c", "api/*.c", "runtime/*.c", "tests/chaos/*.c"],
                             cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return [name for source in sources for name in re.findall(r'sa_failpoint(?:_reached)?\("([^"]*)"\)', (ROOT / source).read_text())]


def in_the_page():
    page = (ROOT / "docs/invariants.md").read_text()
    return re.findall(r"^\| `([a-z._-]+)` \|", page[page.index("## Fail points"):], re.M)


def test_every_fail_point_is_on_the_page():
    assert set(in_the_code()) == set(in_the_page())
    assert sorted(in_the_page()) == sorted(set(in_the_page()))


def test_names_say_where_they_are():
    assert [n for n in in_the_code() if not re.fullmatch(r"[a-z]+([._-][a-z]+)+", n)] == []


def test_every_fail_point_must_be_reached_by_one_of_the_runs():
    sys.path.insert(0, str(ROOT / "tests/chaos"))
    import failpoints
    import real
    import run
    assert {*failpoints.names(*run.FOLDERS), *failpoints.names(*real.REQUIRED)} == set(in_the_code())
