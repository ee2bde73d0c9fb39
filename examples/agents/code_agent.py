#!/usr/bin/env python3
"""An agent loop: a model writes code, sees what came of it, and goes on until it has an answer.

Shows: the loop itself, code that keeps its variables from one step to the next, and errors that are
given back to the model instead of ending the program. What the model writes runs in a sandbox.

    python3 examples/agents/code_agent.py "What is the median of 3, 1 and 2?"

OPENAI_BASE_URL, OPENAI_API_KEY and MODEL choose a model; without them a fake one plays along.
"""

import json
import sys

from model import Model, tool

from secureagent import Sandbox

STEPS = 10
TOOLS = [tool("run_code", "Run Python code. Variables stay from call to call.", code="The code.")]


def run_code(sb, code):
    execution = sb.run_code(code, timeout=60)
    found = {"result": execution.text, "stdout": execution.stdout[-4000:]}
    if execution.error:
        found["error"] = f"{execution.error.name}: {execution.error.value}"
    elif not execution.ok:
        found["error"] = f"{execution.status}: {execution.stderr[-2000:]}"
    return json.dumps(found)


def main():
    question = " ".join(sys.argv[1:]) or "What is the median of 3, 1 and 2?"
    model, messages = Model(), [{"role": "user", "content": question}]
    with Sandbox.create(runtime="python", labels={"example": "code-agent"}) as sb:
        for _ in range(STEPS):
            message = model.answer(messages, TOOLS)
            messages.append(message)
            if not message.get("tool_calls"):
                print(message["content"])
                return
            for call in message["tool_calls"]:
                try:
                    code = json.loads(call["function"]["arguments"])["code"]
                    result = run_code(sb, code)
                except (ValueError, KeyError) as error:
                    code, result = "", f"the arguments are wrong: {error}"
                print(f">>> {code}\n{result}\n")
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    raise SystemExit(f"no answer after {STEPS} steps")


if __name__ == "__main__":
    main()
