"""Stands in for the package openai, which Debian does not have: as much of its client as the example researcher uses."""

import json
import os
import urllib.request
from types import SimpleNamespace


def _as_object(value):
    if isinstance(value, dict):
        return SimpleNamespace(**{name: _as_object(member) for name, member in value.items()})
    return [_as_object(member) for member in value] if isinstance(value, list) else value


class OpenAI:
    def __init__(self):
        self._url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
        self._key = os.environ["OPENAI_API_KEY"]
        self.chat = SimpleNamespace(completions=SimpleNamespace(create=self._create))

    def _create(self, *, timeout, **body):
        headers = {"content-type": "application/json", "authorization": f"Bearer {self._key}"}
        request = urllib.request.Request(self._url, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            for line in answer:
                data = line.decode().removeprefix("data: ").strip()
                if data and data != "[DONE]":
                    yield _as_object(json.loads(data))
