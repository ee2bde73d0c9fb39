#!/usr/bin/env python3
"""A model that plays its part by rote, for agents that need one to be tried out.

It speaks the wire format of OpenAI's chat completions with tool calls, and acts as models do: it
makes a mistake, reads what came of it, and corrects itself. What it says next depends only on what
the agent sent, so that it can be trusted in a test.

    python3 examples/agents/fake_model.py [PORT]     # then OPENAI_BASE_URL=http://127.0.0.1:PORT/v1
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BROKEN = "numbers = [3, 1, 2]\nmedian(numbers)"
FIXED = "from statistics import median\nmedian(numbers)"


def code_script(results):
    """The part for an agent with one tool, run_code."""
    if not results:
        return call("run_code", code=BROKEN)
    if "NameError" in results[-1]:
        return call("run_code", code=FIXED)
    return say(f"The median is {json.loads(results[-1])['result']}.")


def tools_script(results):
    """The part for an agent with files, a shell and code."""
    steps = [
        lambda: call("write_file", path="fib.py", content=FIB),
        lambda: call("run_shell", command="python3 fib.py 10 > out.txt; wc -l < out.txt"),
        lambda: call("read_file", path="out.txt"),
        lambda: call("read_file", path="missing.txt"),
        lambda: call("run_code", code="sum(int(line) for line in open('out.txt'))"),
    ]
    if len(results) < len(steps):
        return steps[len(results)]()
    return say(f"The first ten Fibonacci numbers add up to {json.loads(results[-1])['result']}.")


FIB = """import sys
a, b = 0, 1
for _ in range(int(sys.argv[1])):
    print(a)
    a, b = b, a + b
"""


def call(tool, **arguments):
    function = {"name": tool, "arguments": json.dumps(arguments)}
    return {"role": "assistant", "content": None,
            "tool_calls": [{"id": f"call_{tool}", "type": "function", "function": function}]}


def say(text):
    return {"role": "assistant", "content": text}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        results = [m["content"] for m in request["messages"] if m["role"] == "tool"]
        script = tools_script if len(request["tools"]) > 1 else code_script
        message = script(results)
        reason = "tool_calls" if message.get("tool_calls") else "stop"
        body = json.dumps({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": request["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        }).encode()
        self.send_response(200 if self.path.endswith("/chat/completions") else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve(port=0):
    """Serve in a thread; the base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/v1"


if __name__ == "__main__":
    print(serve(int(sys.argv[1]) if len(sys.argv) > 1 else 8001))
    threading.Event().wait()
