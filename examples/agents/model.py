"""The least that it takes to talk to a model: one request in OpenAI's chat completions format.

OPENAI_BASE_URL, OPENAI_API_KEY and MODEL choose the model; without them a fake one is used.
"""

import os

import fake_model
import httpx


class Model:
    def __init__(self):
        self.url = os.environ.get("OPENAI_BASE_URL") or (
            "https://api.openai.com/v1" if os.environ.get("OPENAI_API_KEY") else fake_model.serve()
        )
        self.name = os.environ.get("MODEL", "gpt-4o-mini")
        self.headers = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'none')}"}

    def answer(self, messages, tools):
        """What the model says next: a message, with `tool_calls` if it wants something done."""
        reply = httpx.post(
            f"{self.url}/chat/completions",
            headers=self.headers,
            json={"model": self.name, "messages": messages, "tools": tools},
            timeout=120,
        )
        reply.raise_for_status()
        return reply.json()["choices"][0]["message"]


def tool(name, description, **parameters):
    """A tool as the model is told of it; each parameter is a text with this description."""
    properties = {name: {"type": "string", "description": text} for name, text in parameters.items()}
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {
                "type": "object",
                "properties": properties,
                "required": list(properties),
                "additionalProperties": False,
            },
        },
    }
