"""The section Policies: rules that give everything away do not lower the node's floor, and the list of each language is
in force. The server runs with rules that let the level `custom` weaken every member (POLICY_DIR)."""
import errno
import json

from .harness import case

POLICIES = "Policies"
LOWERED = ["@io", "@files", "@memory", "@process", "@signals", "@time", "@sync", "@sched", "@poll", "@net"]
MEMBERS = ["runtimeClass", "uid", "gid", "capabilities", "noNewPrivs", "readOnlyRoot", "privateNetwork", "maskProc", "seccomp",
           "landlock.enabled", "landlock.writable", "writablePaths", "devices", "limits.pids", "limits.openFiles",
           "limits.fileSizeBytes", "limits.coreBytes"]


def _lua(value):
    return "{ " + ", ".join(json.dumps(item) for item in value) + " }"


# params.lua of an operator who means no good.
PARAMS = ('return { rules = { ["profile-custom"] = { weaken = %s },\n'
          '  ["seccomp-base"] = { custom = %s, telling = { "modify_ldt" } } } }\n' % (_lua(MEMBERS), _lua([*LOWERED, "mount"])))

# what is asked for, and the control that is named in the refusal
LOWERING = [
    ("keeping a capability", {"capabilities": ["CAP_SYS_ADMIN"]}, "capabilities"),
    ("new privileges", {"noNewPrivs": False}, "noNewPrivs"),
    ("a root that can be written", {"readOnlyRoot": False}, "readOnlyRoot"),
    ("the host's network", {"privateNetwork": False}, "privateNetwork"),
    ("an unmasked /proc", {"maskProc": False}, "maskProc"),
    ("allowing mount(2)", {"seccomp": "custom"}, "mount is never allowed"),
    ("no filter at all", {"seccomp": "none"}, "no rule completes the filter"),
    ("folders of the system", {"writablePaths": ["/workspace", "/usr"]}, "writablePaths"),
    ("Landlock rules for the root", {"landlock": {"writable": ["/"]}}, "landlock"),
    ("devices of the host", {"devices": ["null", "kvm"]}, "devices"),
    ("core dumps", {"limits": {"coreBytes": 1 << 30}}, "coreBytes"),
    ("another driver", {"runtimeClass": "docker"}, "docker"),
    ("root's id", {"uid": 0}, "uid"),
    ("the id that all sandboxes have", {"uid": 65535}, "uid"),
    ("the group that all sandboxes have", {"gid": 65535}, "gid"),
]

for _title, _context, _word in LOWERING:
    def _lowering(box, context=_context, word=_word):
        answer = box.api.request("POST", "/api/v1/sandboxes", json={
            "runtime": "python", "securityLevel": "custom", "securityContext": context})
        assert answer.status_code in (400, 403, 503), answer.text
        assert word in answer.text, answer.text
    case(POLICIES, f"a rule that gives away: {_title}", "E D")(_lowering)


@case(POLICIES, "what a rule makes telling is told", "E D")
def telling(box):
    with box.told("modify_ldt"):
        box.fails("_ = ctypes.CDLL(None, use_errno=True)\n"
                  "if _.syscall(154, 99, 0, 0) < 0: raise OSError(ctypes.get_errno(), '')", "EPERM")


@case(POLICIES, "a hardened context is in force", "E", securityLevel="custom", securityContext={
    "seccomp": "high", "writablePaths": ["/workspace", "/tmp"], "landlock": {"writable": ["/workspace"]},
    "devices": ["null"], "limits": {"pids": 40, "openFiles": 99, "fileSizeBytes": 4096}})
def hardened(box):
    box.fails(["put('/dev/zero', b'')", "os.open('/dev/urandom', 0)", "os.open('/dev/tty', 2)"], "EACCES", "EROFS")
    box.fails(["open('/home/user/a', 'w')", "open('/dev/shm/a', 'w')"], "EROFS", "EACCES")
    if "landlock" in box.controls:
        box.fails("open('/tmp/a', 'w')", "EACCES")
    box.fails("os.getxattr('/workspace', 'user.a')", "EPERM")
    assert box.sh("ulimit -Hn") == "99\n"
    assert box.sh("trap '' XFSZ; head -c 9999 /usr/bin/env 2>/dev/null > /workspace/a; stat -c %s /workspace/a") == "4096\n"
    assert box.python("print(6 * 7)") == "42"
    assert box.api.execute(box.id, language="node", code="console.log(6 * 7)")["stdout"] == "42\n"
    assert box.api.execute(box.id, language="bash", code="echo $((6 * 7)) | cat")["stdout"] == "42\n"


# Calls that only some languages may make, by number; each fails with something else where it is allowed.
NUMBERS = {"mq_unlink": 241, "semctl": 66, "pkey_free": 331, "set_mempolicy": 238, "io_destroy": 207,
           "landlock_restrict_self": 446}
ALLOWED = {"default": set(NUMBERS), "python": {"semctl", "set_mempolicy"}, "node": {"pkey_free"}, "bash": {"semctl"}, "go": set()}
RUN = {
    "default": "{program} {numbers}",
    "python": "import subprocess\nprint(subprocess.check_output('{program} {numbers}'.split(), text=True), end='')",
    "node": "console.log(require('child_process').execSync('{program} {numbers}').toString())",
    "bash": "{program} {numbers}",
    "go": 'package main\nimport ("fmt"; "os/exec"; "strings")\nfunc main() {{ w := strings.Fields("{program} {numbers}"); '
          "out, _ := exec.Command(w[0], w[1:]...).Output(); fmt.Print(string(out)) }}",
}

for _language in RUN:
    def _in_force(box, language=_language):
        if language == "go" and not box.sh("command -v go || true"):
            language = "bash"  # no toolchain here: its filter cannot be had
        code = RUN[language].format(program=box.program("calls"), numbers=" ".join(map(str, NUMBERS.values())))
        what = {"command": code} if language == "default" else {"language": language, "code": code}
        result = box.api.execute(box.id, timeoutMs=300000, **what)
        got = dict(line.split() for line in result["stdout"].split("\n") if line)
        assert len(got) == len(NUMBERS), result
        for name, number in NUMBERS.items():
            refused = int(got[str(number)]) == errno.EPERM
            assert refused == (name not in ALLOWED[language]), f"{language}: {name}: {got[str(number)]}"
    case(POLICIES, f"the list of {_language} is in force", "E")(_in_force)
