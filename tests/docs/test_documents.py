"""What the documents show works as shown: every `python`, `bash` and `console` block of README.md,
docs/ and the SDK's README runs, in order, in a session for each page against a server of its own; every
`json` block is JSON. A block that must not run says why, in `<!-- no-run: why -->` before it. Where the page's server
is to have rules, `<!-- server: --policy-dir rules -->` says so; it begins with none in that folder of the reader's."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.docs.blocks import PARSED, RUN, SHOWN, blocks  # noqa: E402
from tests.docs.session import Failed, Session  # noqa: E402
from tests.helpers.server import BIN, ROOT, start_server  # noqa: E402

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md")), ROOT / "sdk/python/README.md"]
RUNNABLE = [page for page in PAGES if any(block.kind for block in blocks(page.read_text()))]


def name(page):
    return str(page.relative_to(ROOT))


@pytest.fixture
def folder():
    """The reader's. Others may enter it, as the server's processes are other users."""
    made = pathlib.Path(tempfile.mkdtemp(prefix="secureagent-docs-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def server(page, folder):
    named = re.search(r"^<!-- server: --policy-dir (\w+) -->$", page.read_text(), re.M)
    rules = folder / "work" / named[1] if named else None
    if rules:
        (rules / "policies").mkdir(parents=True)
    running = start_server(args=["--policy-dir", str(rules)] if rules else [])
    yield running
    running.stop()
    running.discard()


def environment(server, home):
    """The reader's: a server that runs, the command line and the SDK at hand."""
    mine = {k: v for k, v in os.environ.items() if not k.startswith("SECUREAGENT_")}
    return {**mine, "SECUREAGENT_URL": server.url, "SECUREAGENT_API_KEY": server.key,
            "SECUREAGENT_DATA_DIR": str(server.data_dir), "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(home)}


def filled_in(text, server):
    """What the reader fills in from the output of `up`: its address and the key."""
    text = text.replace("http://127.0.0.1:8080", server.url).replace("127.0.0.1:8080", server.url[7:])
    return re.sub(r"(SECUREAGENT_API_KEY=)[\"']?sa_\.\.\.[\"']?", rf"\g<1>{server.key}", text)


@pytest.mark.parametrize("page", RUNNABLE, ids=name)
def test_what_is_shown_works(page, server, folder):
    session = Session(folder, environment(server, folder))
    try:
        for block in blocks(filled_in(page.read_text(), server)):
            if block.kind:
                session.run(name(page), block)
    finally:
        session.close()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_blocks_are_understood(page):
    for block in blocks(page.read_text()):
        where = f"{name(page)}, line {block.line}"
        assert block.word in {*RUN, *PARSED, *SHOWN}, \
            f"{where}: no test knows what a {block.word!r} block is; use one of {sorted(RUN)}, or text"
        assert block.no_run is None or len(block.no_run) > 3, f"{where}: no-run without a reason"
        assert block.no_run is None or block.word in RUN or block.word in PARSED, \
            f"{where}: a {block.word or 'plain'} block never runs: no-run says nothing"
        if block.word in PARSED and block.no_run is None:
            try:
                json.loads(block.text)
            except ValueError as error:
                pytest.fail(f"{where}: this is no JSON: {error}\n{block.text}")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    text = re.sub(r"^(```|~~~).*?^\1", "", page.read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{name(page)}: there is no {target}"


def test_the_sdks_reference_is_current():
    done = subprocess.run([sys.executable, ROOT / "tools/sdk_reference.py", "--check"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ---- the tests themselves ----

PAGE = """
```sh
A=1
export B=2; cd /tmp
```
<!-- no-run: it would
-->
<!-- no-run: it is dangerous -->

```bash
exit 9
```
Text.
  ```console
  $ echo "$A $B $PWD"
  1 2 /tmp
  ```
~~~python
x = 1
~~~
```python
print(x + 1)
```
```text
``` is not the end
```
"""


def test_blocks_are_found():
    found = blocks(PAGE)
    assert [(b.word, b.kind, b.no_run) for b in found] == [
        ("sh", "bash", None), ("bash", None, "it is dangerous"), ("console", "bash", None),
        ("python", "python", None), ("python", "python", None), ("text", None, None)]
    assert found[2].source == 'echo "$A $B $PWD"\n'
    lines = PAGE.splitlines()
    assert all(lines[b.line - 1].strip() == b.text.splitlines()[0] for b in found)


def test_sessions_keep_what_blocks_set(tmp_path):
    session = Session(tmp_path, dict(os.environ))
    try:
        outputs = [session.run("page.md", block) for block in blocks(PAGE) if block.kind]
    finally:
        session.close()
    assert outputs == ["", "1 2 /tmp\n", "", "2\n"]


@pytest.mark.parametrize("block, said", [
    ("bash\necho before; false; echo after", "before"), ("python\nprint('so')\n1 / 0", "ZeroDivisionError"),
    ("python\nimport os; os._exit(1)", "ended the interpreter"), ("console\n$ false\nx", "exit status 1"),
    ("bash\necho $UNSET", "UNSET"), ("python\nraise SystemExit(3)", "failed"),
])
def test_failures_are_seen_and_readable(tmp_path, block, said):
    session = Session(tmp_path, dict(os.environ))
    (found,) = blocks(f"\n\n```{block}\n```\n")
    with pytest.raises(Failed) as caught:
        try:
            session.run("page.md", found)
        finally:
            session.close()
    text = str(caught.value)
    assert said in text
    assert "page.md, line 4" in text
    assert f"    4 | {found.text.splitlines()[0]}" in text
    assert "after\n" not in text.split("What it printed")[1]
