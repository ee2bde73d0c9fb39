"""Contexts for tests: made, used, and looked at."""
import contextlib
import threading

from .client import wait_until


class Context:
    def __init__(self, api, sandbox, language="python", **spec):
        self.api, self.sandbox = api, sandbox
        self.path = f"/api/v1/sandboxes/{sandbox}/contexts"
        self.made = api.post(self.path, {"language": language, **spec}, status=201).json()
        self.id = self.made["id"]

    def run(self, code, status=200, **more):
        return self.api.execute(self.sandbox, status, context=self.id, code=code, **more)

    def text(self, code, **more):
        """The text of the last expression's value."""
        answer = self.run(code, **more)
        assert "error" not in answer, answer
        return answer["results"][answer["mainResult"]]["text/plain"]

    def output(self, code, **more):
        answer = self.run(code, **more)
        assert answer["exitCode"] == 0, answer
        return answer["stdout"]

    def error(self, code, **more):
        return self.run(code, **more)["error"]

    def start(self, code, **more):
        """Run it in the background; the id of the execution."""
        answer = self.api.execute(self.sandbox, 202, context=self.id, code=code, background=True,
                                  **more)
        return answer["id"]

    def execution(self, number):
        return self.api.get(f"/api/v1/sandboxes/{self.sandbox}/executions/{number}").json()

    def end_of(self, number, timeout=60):
        wait_until("the execution to end", timeout=timeout,
                   condition=lambda: self.execution(number)["status"] != "running")
        return self.execution(number)

    def items(self, number):
        path = f"/api/v1/sandboxes/{self.sandbox}/executions/{number}/output?offset=0"
        return self.api.get(path).json()["items"]

    def wait_output(self, number, text):
        """Wait until the execution has printed this; it may be so much since that it is not kept any more."""
        def printed():
            output = [i for i in self.items(number) if i["type"] in ("stdout", "stderr")]
            return text in "".join(i.get("data", "") for i in output) or (output and output[0]["offset"] > len(text))
        wait_until(f"{text!r}", timeout=60, condition=printed)

    def is_forked(self):
        """Was it forked from the template?"""
        return "template.py" in self.text("open('/proc/self/cmdline').read()")

    def stream(self, code, **more):
        return self.api.stream(self.sandbox, context=self.id, code=code, **more)

    def info(self):
        return self.api.get(f"{self.path}/{self.id}").json()

    def wait_state(self, state):
        wait_until(f"the state {state}", lambda: self.info()["state"] == state, timeout=60)

    def restart(self):
        return self.api.post(f"{self.path}/{self.id}/restart").json()

    def interrupt(self):
        return self.api.post(f"{self.path}/{self.id}/interrupt").json()

    def delete(self):
        return self.api.request("DELETE", f"{self.path}/{self.id}", 204)

    def interrupted(self, code, started="started", **more):
        """Run code that prints `started`, interrupt it then, and give its end and items. Again and again,
        as a user would: a signal between a shell's fork and exec is nobody's."""
        number = self.start(code, **more)
        self.wait_output(number, started)
        over = threading.Event()

        def again():
            while not over.wait(5):
                self.api.request("POST", f"{self.path}/{self.id}/interrupt")
        self.interrupt()
        thread = threading.Thread(target=again)
        thread.start()
        try:
            return self.end_of(number), self.items(number)
        finally:
            over.set()
            thread.join()


WARM = {"runtime": "python", "resources": {"memory": "480Mi"}}  # fits no sandbox of other tests


@contextlib.contextmanager
def warm_pool(api, **spec):
    """The path of a pool for Python that is full."""
    body = {"metadata": {"generateName": "t-"}, "spec": {**WARM, "maxSize": 6, **spec}}
    path = "/api/v1/warmpools/" + api.post("/api/v1/warmpools", body, status=201).json()["metadata"]["name"]
    try:
        wait_until("the pool to be full", lambda: api.get(path).json()["status"].get("available", 0) >= 1)
        yield path
    finally:
        api.request("DELETE", path)


@contextlib.contextmanager
def warm_python(api, imports=("IPython",), **more):
    """The id of a sandbox whose template has imported this."""
    with warm_pool(api, imports=list(imports)) as path:
        body = {**WARM, "warm": "require", "warmPool": path.rsplit("/", 1)[1], **more}
        with api.sandbox(**body) as sandbox:
            yield sandbox


def in_parallel(functions):
    """Their results, in order."""
    results = [None] * len(functions)

    def call(i, function):
        results[i] = function()
    threads = [threading.Thread(target=call, args=pair) for pair in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
