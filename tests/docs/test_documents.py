"""The commands that the documents show run as typed: every `sh` and `python` block of README.md and
docs/ runs in order, in one folder for each document, against a server of its own."""
import os
import pathlib
import re
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from helpers.server import BIN, ROOT, start_server  # noqa: E402

BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.M | re.S)
DOCUMENTS = [p for p in [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
             if BLOCK.search(p.read_text())]


@pytest.fixture(scope="module")
def server():
    running = start_server()
    yield running
    running.stop()
    running.discard()


def local(text, server):
    """What the reader fills in from the output of `up`: its address and the key."""
    text = text.replace("http://127.0.0.1:8080", server.url)
    return re.sub(r"(SECUREAGENT_API_KEY=)sa_\.\.\.", rf"\g<1>{server.key}", text)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_run_as_typed(document, server, tmp_path):
    environment = dict(os.environ, SECUREAGENT_URL=server.url, SECUREAGENT_API_KEY=server.key,
                       PATH=f"{BIN}:{os.environ['PATH']}", HOME=str(tmp_path))
    for language, text in BLOCK.findall(document.read_text()):
        text = local(text, server)
        # A failed request must fail the block, as it would fail the reader.
        text = re.sub(r"\bcurl -s", "curl --fail-with-body -s", text)
        command = (["bash", "-euo", "pipefail", "-c", text] if language == "sh"
                   else ["/usr/bin/python3", "-c", text])
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True,
                              text=True, timeout=120)
        assert done.returncode == 0, f"{document.name}:\n{text}\n{done.stdout}\n{done.stderr}"


def test_readme_shows_real_answers(server, tmp_path):
    """The Python snippet of the README computes what it says."""
    text = [t for language, t in BLOCK.findall((ROOT / "README.md").read_text())
            if language == "python"][0]
    environment = dict(os.environ, SECUREAGENT_URL=server.url, SECUREAGENT_API_KEY=server.key)
    done = subprocess.run(["/usr/bin/python3", "-c", text], env=environment, capture_output=True,
                          text=True, timeout=60)
    assert done.stdout.startswith("42\n exited"), done.stdout + done.stderr
