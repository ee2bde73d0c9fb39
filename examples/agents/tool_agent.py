#!/usr/bin/env python3
"""An agent with several tools, and a transcript of what it did.

Shows: tools for code, files and a shell on one sandbox; what a tool refuses is told to the model; the
transcript (transcript.jsonl) is a line of JSON for each step, to be read or replayed later.

    python3 examples/agents/tool_agent.py "What do the first ten Fibonacci numbers add up to?"

OPENAI_BASE_URL, OPENAI_API_KEY and MODEL choose a model; without them a fake one plays along.
"""

import json
import sys
import time

from model import Model, tool

from secureagent import Sandbox, SecureAgentError

STEPS = 20
MOST = 8000  # characters of a result that the model is shown

TOOLS = [
    tool("run_code", "Run Python code. Variables stay from call to call.", code="The code."),
    tool("run_shell", "Run a shell command in /workspace.", command="The command."),
    tool("read_file", "Read a text file.", path="Where, below /workspace."),
    tool("write_file", "Write a text file.", path="Where, below /workspace.", content="What."),
]


class Toolbox:
    """What the model can ask for; each method is a tool."""

    def __init__(self, sb):
        self.sb = sb

    def run_code(self, code):
        execution = self.sb.run_code(code, timeout=60)
        error = str(execution.error) if execution.error else None
        return {"result": execution.text, "stdout": execution.stdout, "error": error}

    def run_shell(self, command):
        execution = self.sb.run_command(command, timeout=60)
        return {"exitCode": execution.exit_code, "stdout": execution.stdout, "stderr": execution.stderr}

    def read_file(self, path):
        return {"content": self.sb.files.read(path)}

    def write_file(self, path, content):
        return {"size": self.sb.files.write(path, content).size}

    def use(self, name, arguments):
        """Run a tool; whatever goes wrong is a result, too."""
        try:
            if name not in {entry["function"]["name"] for entry in TOOLS}:
                raise ValueError(f"there is no tool {name}")
            found = getattr(self, name)(**json.loads(arguments))
        except (SecureAgentError, ValueError, TypeError) as error:
            found = {"error": str(error)}
        return json.dumps(found, ensure_ascii=False)[:MOST]


def main():
    task = " ".join(sys.argv[1:]) or "What do the first ten Fibonacci numbers add up to?"
    model, messages = Model(), [{"role": "user", "content": task}]
    with Sandbox.create(labels={"example": "tool-agent"}) as sb, open("transcript.jsonl", "w") as log:

        def note(**entry):
            log.write(json.dumps({"time": time.time(), **entry}, ensure_ascii=False) + "\n")
            log.flush()

        note(task=task, sandbox=sb.id)
        toolbox = Toolbox(sb)
        for _ in range(STEPS):
            message = model.answer(messages, TOOLS)
            messages.append(message)
            for call in message.get("tool_calls") or []:
                name, arguments = call["function"]["name"], call["function"]["arguments"]
                result = toolbox.use(name, arguments)
                note(tool=name, arguments=arguments, result=result)
                print(f"{name} {arguments[:100]}\n  {result[:200]}")
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
            if not message.get("tool_calls"):
                note(answer=message["content"])
                print(message["content"])
                return
    raise SystemExit(f"no answer after {STEPS} steps")


if __name__ == "__main__":
    main()
