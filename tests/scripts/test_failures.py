"""What tests/failures.py finds in the logs of programs."""
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "failures.py"

CMOCKA = """\
44: [ RUN      ] test_fine
46: [ RUN      ] test_version
44: [       OK ] test_fine
46: [  ERROR   ] --- 0xffffffffffffffff != 0
44: [ RUN      ] test_other
46: [   LINE   ] --- /x/test_delegated.c:69: error: Failure!
46: [  FAILED  ] test_version
46: [  FAILED  ] 1 test(s), listed below:
46: [  FAILED  ] test_version
46:
46:  1 FAILED TEST(S)
45/63 Test #46: test_node_delegated ..............***Failed    0.65 sec
44: ==123==ERROR: AddressSanitizer: heap-use-after-free on address 0x602
46/63 Test #44: test_node_cgroup .................***Failed    0.10 sec
47/63 Test #47: test_slow ........................***Timeout 600.01 sec
48/63 Test #48: test_good ........................   Passed    0.10 sec
"""
PYTEST = """\
.F.                                                                      [100%]
E       AssertionError: nonsense
FAILED tests/api/test_x.py::test_y[1] - AssertionError: GET /: 404
ERROR tests/api/test_x.py::test_z - OSError: no
1 failed, 2 passed, 1 error in 4.07s
"""
ESCAPE = """\
    E001 one                         NOT STOPPED
NOT STOPPED as root: files: one
Traceback (most recent call last):
  File "x.py", line 1, in f
AssertionError: it got out
escape (native, root): 1 of 2 stopped
"""
NINJA = "FAILED: core/a.c.o \ncc -Werror -c a.c\na.c:1:2: error: expected ';'\nninja: build stopped.\n"


@pytest.mark.parametrize("log, expected", [
    (CMOCKA, ["test_version: /x/test_delegated.c:69: 0xffffffffffffffff != 0",
              "test_node_cgroup: Failed 0.10 sec: ==123==ERROR: AddressSanitizer: heap-use-after-free on address 0x602",
              "test_slow: Timeout 600.01 sec"]),
    (PYTEST, ["tests/api/test_x.py::test_y[1] - AssertionError: GET /: 404", "tests/api/test_x.py::test_z - OSError: no"]),
    (ESCAPE, ["root: files: one: AssertionError: it got out"]),
    (NINJA, ["FAILED: core/a.c.o ", "a.c:1:2: error: expected ';'"]),
    ("begun\n\nthe server ended with 1\n", ["begun", "the server ended with 1"]),
    ("error: " + "x" * 400 + "\n", ["error: " + "x" * 193]),
    ("".join(f"a.c:{i}: error: no\n" for i in range(12)),
     [*(f"a.c:{i}: error: no" for i in range(10)), "... and 2 more"]),
], ids=["cmocka", "pytest", "escape", "ninja", "other", "long", "many"])
def test_failures(tmp_path, log, expected):
    path = tmp_path / "log"
    path.write_text(log)
    done = subprocess.run([sys.executable, SCRIPT, path], capture_output=True, text=True, check=True)
    assert [line[8:] for line in done.stdout.split("\n")[:-1]] == expected
