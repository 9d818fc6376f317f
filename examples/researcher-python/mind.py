"""What the researcher has in mind: system prompt, tools and model, read once at start and sent with every call.

    OPENAI_BASE_URL, OPENAI_API_KEY   its model; without them the knowledge base answers as it is

The model is called with OpenAI's own package, unmodified (pip install openai). Debian does not have it: where it is
missing, that is said once, and the knowledge base answers as it is.
"""

import json
import os
import sys

try:
    from openai import OpenAI
except ImportError:
    OpenAI = None

# A model that does not answer is not worth waiting for much longer.
TIMEOUT_S = 10


def as_function(tool):
    """A tool as the API of models has it; MCP servers list them in another form."""
    if "inputSchema" not in tool:
        return tool
    function = {"name": tool["name"], "description": tool["description"], "parameters": tool["inputSchema"]}
    return {"type": "function", "function": function}


class Mind:
    def __init__(self, home):
        # As it is in the file: what is measured is these very bytes.
        self.prompt = (home / "prompts/system.md").read_bytes().decode("utf-8")
        self.tools = [as_function(tool) for tool in json.loads((home / "tools.json").read_text())["tools"]]
        self.model = json.loads((home / "model.json").read_text())["id"]
        self.client = self._client()

    @staticmethod
    def _client():
        if not os.environ.get("OPENAI_BASE_URL"):
            return None
        if OpenAI is None:
            print("researcher: there is no Python package openai, so it does without a model", file=sys.stderr)
            return None
        return OpenAI()

    @property
    def has_model(self):
        return self.client is not None

    def listen(self, question):
        """One answer, read word by word as it comes. Raises openai.OpenAIError, also in the middle."""
        words = self.client.chat.completions.create(
            model=self.model,
            messages=[{"role": "system", "content": self.prompt}, {"role": "user", "content": question}],
            tools=self.tools,
            stream=True,
            timeout=TIMEOUT_S,
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in words if chunk.choices)
