"""Every example runs as its header says, against a real server, and shows what it promises."""
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.helpers.server import ROOT, start_server  # noqa: E402

EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="session")
def server():
    running = start_server()
    yield running
    running.stop()
    running.discard()


@pytest.fixture
def run(server, tmp_path):
    """Run an example in a folder of its own; what it printed."""
    def run(name, *arguments):
        environment = {k: v for k, v in os.environ.items()
                       if not k.startswith(("SECUREAGENT_", "OPENAI_")) and k != "MODEL"}
        environment.update(SECUREAGENT_URL=server.url, SECUREAGENT_API_KEY=server.key)
        done = subprocess.run([sys.executable, str(EXAMPLES / name), *arguments], cwd=tmp_path,
                              env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{name}\n{done.stdout}\n{done.stderr}"
        return done.stdout
    return run


def test_data_analysis(run, tmp_path):
    text = run("data_analysis.py")
    assert re.search(r"180 days, 1\d\.\d+ degrees on average, 1\.\d+ more each month", text)
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_code_agent(run):
    text = run("agents/code_agent.py")
    assert "NameError" in text
    assert text.endswith("The median is 2.\n")


def test_tool_agent(run, tmp_path):
    text = run("agents/tool_agent.py")
    assert text.endswith("The first ten Fibonacci numbers add up to 88.\n")
    steps = [json.loads(line) for line in (tmp_path / "transcript.jsonl").read_text().splitlines()]
    assert [step["tool"] for step in steps if "tool" in step] == [
        "write_file", "run_shell", "read_file", "read_file", "run_code"]
    assert "no such file" in steps[4]["result"]
    assert steps[-1]["answer"] in text


def test_long_job(run):
    run("long_job.py", "start")
    lines = run("long_job.py", "resume").splitlines()
    assert lines[0].startswith("-- back, it is ")
    assert lines[1:-1] == [f"step {n}" for n in range(6, 21)] + ["done"]
    assert lines[-1] == "-- exit code 0 --"
    assert "step 5\n-- disconnected --\n-- back" in run("long_job.py")


def test_web_preview(run):
    text = run("web_preview.py")
    assert "listening: [8000]" in text
    assert "200 <!doctype html>" in text
    assert "sa_signature=" in text


def test_all_are_tested_and_listed():
    shown = (EXAMPLES / "README.md").read_text()
    tests = pathlib.Path(__file__).read_text()
    for path in EXAMPLES.rglob("*.py"):
        if path.read_text().startswith("#!") and path.name != "fake_model.py":
            name = str(path.relative_to(EXAMPLES))
            assert f"({name})" in shown, name
            assert f'run("{name}"' in tests, name
            assert f"python3 examples/{name}" in path.read_text(), f"{name}: no word on how to run it"
