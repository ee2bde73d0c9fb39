"""The Node.js and the bash kernel."""
import base64

import pytest

from tests.helpers.contexts import Context


@pytest.fixture(scope="module")
def node(api, shared):
    return Context(api, shared, "node")


@pytest.fixture
def bash(api, shared):
    context = Context(api, shared, "bash")
    yield context
    context.delete()


# ---- Node.js ----

def test_node_last_expression_is_the_result(node):
    assert node.text("const a = 40; a + 2") == "42"
    for code in ("const nothing = 1", "undefined", "", "if (true) {}"):
        answer = node.run(code)
        assert answer["results"] == [] and answer["exitCode"] == 0, code
    assert node.text("'s'") == "'s'" and node.text("({a: [1, 2]})") == "{ a: [ 1, 2 ] }"
    assert node.text("10n") == "10n" and node.text("NaN") == "NaN" and node.text("null") == "null"


def test_node_declares_again(node):
    node.run("const c = 1; let l = 1; class K {}; function f() { return 1 }")
    node.run("const c = 2; let l = 2; class K { x = 5 }; function f() { return 2 }")
    assert node.text("[c, l, new K().x, f()]") == "[ 2, 2, 5, 2 ]"


def test_node_awaits_and_imports(node):
    assert node.text("await new Promise(r => setTimeout(() => r('later'), 10))") == "'later'"
    assert node.text("const { join } = await import('path'); join('a', 'b')") == "'a/b'"
    assert node.text("import fs, { existsSync as there } from 'fs'\nimport * as os from 'os'\n"
                     "[there('/'), typeof fs.readFileSync, typeof os.cpus]") == "[ true, 'function', 'function' ]"
    assert node.text("require('util').inspect({})") == "'{}'"
    assert node.run("import('fs')")["stderr"] == ""


def test_node_modules_of_the_working_directory(api, shared, node):
    api.put(shared, "/workspace/own.js", b"module.exports = { five: 5 }")
    api.put(shared, "/workspace/own.mjs", b"export const six = 6")
    assert node.text("require('./own.js').five") == "5"
    assert node.text("(await import('./own.mjs')).six") == "6"


def test_node_errors_point_into_the_users_code(node):
    node.run("function thrower() {\n  throw new TypeError('wrong')\n}")
    error = node.error("thrower()")
    assert error["name"] == "TypeError" and error["value"] == "wrong"
    assert "at thrower (<cell-" in error["traceback"] and "node.js" not in error["traceback"]
    error = node.error("let = 5 5")
    assert error["name"] == "SyntaxError" and "let = 5 5" in error["traceback"]
    assert node.error("throw {a: 1}")["value"] == "{ a: 1 }"
    assert node.error("await Promise.reject(new Error('later'))")["value"] == "later"
    assert node.error("function r() { r() }; r()")["name"] == "RangeError"


def test_node_rejections_and_timers_do_not_end_it(node):
    node.run("var kept = 'kept'")
    answer = node.run("Promise.reject(new Error('nobody')); setTimeout(() => { throw new Error('late') }, 1);"
                      "await new Promise(r => setTimeout(r, 50))")
    assert "nobody" in answer["stderr"] and "late" in answer["stderr"] and answer["exitCode"] == 0
    assert node.text("kept") == "'kept'"


def test_node_output_is_in_order(node):
    items = node.stream("for (let i = 0; i < 3; i++) { console.log('o' + i); console.error('e' + i) }")
    printed = [(i["type"], i["data"]) for i in items if i["type"] in ("stdout", "stderr")]
    assert printed == [(s, f"{c}{i}\n") for i in range(3) for s, c in (("stdout", "o"), ("stderr", "e"))]
    answer = node.run("process.stdout.write(Buffer.from([255, 0]))")
    assert base64.b64decode(answer["stdout"]) == b"\xff\0"
    assert node.output("process.stdout.write('é'.repeat(100000)); undefined") == "é" * 100000


def test_node_children(node):
    assert node.output("const out = require('child_process').spawnSync('sh', ['-c', 'echo child'], {stdio: 'inherit'})") == "child\n"
    assert node.text("require('child_process').execSync('echo $QQ').toString()", env={"QQ": "v"}) == "'v\\n'"
    assert node.text("process.env.QQ === undefined") == "true"
    listing = "ls -l /proc/self/fd | grep -cE \\' ([3-9]|[0-9]{2,}) -> socket\\' || true"
    assert node.text(f"require('child_process').execSync('{listing}').toString()") == "'0\\n'"


def test_node_exit_ends_the_execution_and_not_the_context(node):
    node.run("var before = 1")
    answer = node.run("process.exit(3)")
    assert answer["exitCode"] == 3 and node.text("before") == "1"
    assert node.run("setTimeout(() => process.exit(4), 1); await new Promise(() => {})")["exitCode"] == 4
    assert node.text("before") == "1"


@pytest.mark.parametrize("code", [
    "while (true);", "await new Promise(() => {})", "require('child_process').execSync('sleep 1000')",
    "while (true) console.log('x'.repeat(1000))"])
def test_node_interrupts_keep_the_state(node, code):
    node.run("var state = 'kept'")
    end, _ = node.interrupted("console.log('started');\n" + code)
    assert end["exitCode"] == 130 and end["status"] == "exited"
    assert node.text("state") == "'kept'"


def test_node_learns_of_an_interrupt_from_its_child(node):
    """Whose end may be known before the signal is."""
    answer = node.run("require('child_process').execSync('kill -INT $$')")
    assert answer["exitCode"] == 130 and answer["error"]["name"] == "Interrupted"
    assert node.run("require('child_process').execSync('exit 3')")["exitCode"] == 1


def test_node_display(node):
    answer = node.run("display(1); ({[Symbol.for('Jupyter.display')]() {"
                      " return {'text/html': '<b>', 'application/json': {a: 1}, 'text/plain': 'p'} }})")
    assert answer["results"] == [{"text/plain": "1"},
                                 {"text/html": "<b>", "text/plain": "p", "application/json": {"a": 1}}]
    assert answer["mainResult"] == 1


# ---- bash ----

def test_bash_state(bash):
    bash.run("x=1; declare -A m=([k]=v); f() { echo \"f $*\"; }; cd /tmp; alias say=echo; shopt -s nullglob; umask 077")
    assert bash.output("say $x ${m[k]} $PWD $(umask); f a b; shopt -q nullglob && echo on") == "1 v /tmp 0077\nf a b\non\n"


def test_bash_status(bash):
    assert bash.run("false")["exitCode"] == 1 and bash.output("echo $?") == "1\n"
    assert bash.run("(exit 42)")["exitCode"] == 42
    assert bash.run("nosuchcommand")["exitCode"] == 127
    assert bash.run("if then")["exitCode"] == 2 and bash.output("echo fine") == "fine\n"
    assert bash.run("return 3")["exitCode"] != 0 and bash.output("echo fine") == "fine\n"
    assert bash.run("break")["exitCode"] is not None and bash.output("echo fine") == "fine\n"


def test_bash_options(bash):
    answer = bash.run("set -u; echo $nothing_here; echo not reached")
    assert answer["exitCode"] == 1 and answer["stdout"] == "" and "unbound" in answer["stderr"]
    assert bash.output("set +u; echo still") == "still\n"
    bash.run("set -x")
    answer = bash.run("echo traced")
    assert "+ echo traced" in answer["stderr"] and "__sa_read" not in answer["stderr"]
    assert bash.run("set +x")["exitCode"] == 0
    bash.run("IFS=0123456789; set -f")
    assert bash.output("echo $-").count("f") == 1
    bash.run("set -e; true")
    assert bash.output("echo fine") == "fine\n"


def test_bash_exit_is_told_and_the_shell_is_replaced(bash):
    bash.run("x=1")
    answer = bash.run("echo before; exit 3; echo after")
    assert (answer["status"], answer["exitCode"], answer["stdout"]) == ("exited", 3, "before\n")
    assert answer["error"]["name"] == "ShellExited" and "3" in answer["error"]["value"]
    assert bash.output("echo [$x]") == "[]\n"
    assert bash.run("set -e; false")["error"]["name"] == "ShellExited"
    assert bash.run("exec true")["error"]["name"] == "ShellExited"


@pytest.mark.parametrize("code", ["sleep 1000", "while :; do :; done", "f() { sleep 1000; }; f; echo no",
                                  "read line < <(sleep 1000)", "yes"])
def test_bash_interrupts_keep_the_state(bash, code):
    bash.run("state=kept")
    end, items = bash.interrupted(f"echo started; {code}; echo after")
    assert end["exitCode"] == 130 and end["status"] == "exited"
    assert "after\n" not in [i.get("data") for i in items]
    assert bash.output("echo $state") == "kept\n"


def test_a_subshell_never_takes_the_place_of_bash(bash):
    """It comes to the prompt when it is interrupted at its beginning."""
    for subshell in ('(eval "$PROMPT_COMMAND")', 'x=$(eval "$PROMPT_COMMAND")', 'eval "$PROMPT_COMMAND" & wait $!'):
        assert bash.output(f"{subshell}; echo $?") == "137\n"
    assert bash.output("unset BASHPID; echo fine") == "fine\n" == bash.output("echo fine")


def test_bash_background_jobs_live_on(bash):
    bash.run("(while :; do echo tick > /tmp/ticks; sleep 0.05; done) & pid=$!")
    bash.run("rm -f /tmp/ticks; until [ -e /tmp/ticks ]; do sleep 0.05; done")
    assert bash.run("kill $pid; wait $pid")["exitCode"] == 143


def test_bash_children_do_not_get_the_control_socket(bash):
    assert bash.output("ls -l /proc/self/fd | grep -c socket || true").strip() == "0"


def test_bash_large_code(bash):
    assert bash.output("x='" + "y" * 2000000 + "'; echo ${#x}") == "2000000\n"
    assert bash.output("# " + "é" * 100000 + "\necho done") == "done\n"
