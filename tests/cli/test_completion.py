"""`secureagent completion`: the scripts, in the shells that they are for."""
import subprocess

import pytest

from tests.helpers import server as servers
from tests.helpers.cli import environment
from tests.helpers.client import Api

# Completes the words given, the last of which is being typed, as bash itself would.
BASH = r"""
source <(secureagent completion bash)
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
spec=$(complete -p secureagent) && [[ $spec == *"-F _secureagent"* ]] || exit 9
_secureagent
printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def box(server):
    api = Api(server.url, server.key)
    with api.sandbox("bash", timeout=3600, name="complete-me") as sandbox:
        yield sandbox
    api.close()


def variables(server):
    env = environment(server)
    env["PATH"] = f"{servers.BIN}:{env['PATH']}"
    return env


@pytest.fixture
def complete(server, box):
    def run(*words):
        done = subprocess.run(["bash", "--norc", "-c", BASH, "bash", "secureagent", *words],
                              capture_output=True, text=True, timeout=60, env=variables(server))
        assert done.returncode == 0 and not done.stderr, done
        return done.stdout.split()
    return run


def test_commands(complete):
    assert complete("de") == ["describe", "delete"]
    assert {"exec", "cp", "forward", "repl", "help", "version"} <= set(complete(""))
    assert complete("help", "comp") == ["completion"]
    assert complete("zzz") == []


def test_options(complete):
    assert complete("exec", "--t") == ["--tty", "--timeout"]
    assert "--selector" in complete("ps", "-")
    assert "--follow" in complete("logs", "complete-me", "--f")


def test_sandboxes(complete, box):
    assert complete("exec", "compl") == ["complete-me"]
    assert "complete-me" in complete("rm", "")
    assert complete("ps", "compl") == []
    assert complete("cp", "compl") == ["complete-me"]


def test_kinds_and_their_names(complete, box):
    assert complete("get", "warmp") == ["warmpools", "warmpods"]
    assert complete("delete", "sandboxes", "compl") == ["complete-me"]
    assert {"complete-me", "runtimes"} <= set(complete("describe", ""))
    assert complete("describe", "sandbox", "comp") == ["complete-me"]
    assert complete("get", "no-such-kind", "") == []
    assert "--dry-run" in complete("apply", "--d")


def test_without_a_server_it_is_silent(tmp_path):
    env = environment()
    env.update(PATH=f"{servers.BIN}:{env['PATH']}", SECUREAGENT_DATA_DIR=str(tmp_path))
    done = subprocess.run(["bash", "--norc", "-c", BASH, "bash", "secureagent", "exec", ""],
                          capture_output=True, text=True, timeout=60, env=env)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_zsh(server, box):
    text = """autoload -Uz compinit && compinit -u -D
    source <(secureagent completion zsh)
    [[ $_comps[secureagent] == _secureagent ]] || exit 9
    compadd() { print -l -- "${(@P)argv[-1]}" }
    words=(secureagent exec compl) CURRENT=3
    _secureagent"""
    done = subprocess.run(["zsh", "-f", "-c", text], capture_output=True, text=True, timeout=60,
                          env=variables(server))
    assert done.returncode == 0 and "complete-me" in done.stdout.split(), done


def test_fish(server, box):
    text = "secureagent completion fish | source; complete -C 'secureagent exec compl'; complete -C 'secureagent descr'"
    done = subprocess.run(["fish", "--no-config", "-c", text], capture_output=True, text=True, timeout=60,
                          env={**variables(server), "HOME": "/nonexistent"})
    assert done.returncode == 0 and {"complete-me", "describe"} <= set(done.stdout.split()), done


def test_other_shells_are_refused(cli):
    for args in ([], ["tcsh"], ["bash", "zsh"]):
        assert cli("completion", *args).returncode == 64
