"""The end of an execution is the end of all it started, however it hid."""
from tests.helpers.client import wait_until

# Twice forked, in a session of its own, without pipes to anybody, and eager to lose its mark.
HIDE = r'''
import os, resource, sys, time
if os.fork():
    time.sleep(600)
os.setsid()
if os.fork():
    os._exit(0)
for fd in range(3):
    os.close(fd)
try:
    resource.prlimit(0, 15, (1 << 40, 1 << 40))
except OSError:
    pass
os.execvp("sleep", ["hidden-sleep", "600"])
'''


def hidden(api, sandbox):
    seen = api.execute(sandbox, command="cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    return "hidden-sleep" in seen["stdout"]


def test_a_timeout_ends_who_hid(api, sandbox):
    assert api.execute(sandbox, code=HIDE, language="python", timeoutMs=5000)["status"] == "timeout"
    wait_until("its end", lambda: not hidden(api, sandbox))


def test_the_one_that_hides_would_be_seen(api, sandbox):
    """Or the test above could not fail."""
    code = HIDE.replace("time.sleep(600)", "raise SystemExit")
    assert api.execute(sandbox, code=code, language="python", timeoutMs=50000)["status"] == "exited"
    wait_until("it to run", lambda: hidden(api, sandbox))
