"""A language model behind any server that speaks OpenAI's chat protocol: vLLM, llama.cpp, Ollama, or a hosted one.

    facewitness ask photo.jpg "Is the nose fake?" --backend openai --option openai.model=Qwen/Qwen2.5-VL-7B-Instruct

The photo leaves this machine for wherever `base_url` points, so the default is this machine. The key is read from an
environment variable and never stored, shown or written into a report.
"""

from __future__ import annotations

import base64
import io
import os
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import openai
from numpy.typing import NDArray
from PIL import Image

from facewitness.backends import Message, checked
from facewitness.errors import BackendError, InputError

_LOCAL = ("localhost", "127.0.0.1", "::1")


def load(
    model: str = "",
    base_url: str = "http://127.0.0.1:8000/v1",
    key_variable: str = "OPENAI_API_KEY",
    timeout: float = 60.0,
    retries: int = 2,
    most_tokens: int = 512,
    temperature: float = 0.0,
    side: int = 1024,
) -> Server:
    """A server and one of its models; the only one it has where `model` is empty.

    timeout       seconds for an answer, all tries together      retries   after errors that may pass (busy, starting)
    side          pixels: larger pictures are made smaller before they are sent
    Raises InputError for an address that is none, BackendError where a key is needed and the variable is not set.
    """
    return Server(model, base_url, key_variable, float(timeout), int(retries), int(most_tokens), temperature, int(side))


class Server:
    """A model of a server; connects when it is first asked."""

    name = "openai"

    def __init__(
        self, model: str, base_url: str, key_variable: str, timeout: float, retries: int, most_tokens: int,
        temperature: float, side: int,
    ):  # fmt: skip
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"openai: expected base_url such as http://127.0.0.1:8000/v1, got {base_url!r}")
        if parts.username or parts.password:
            raise InputError("openai: expected base_url without a name and password; put a key into a variable")
        key = os.environ.get(key_variable, "")
        if not key and parts.hostname not in _LOCAL:
            raise BackendError(
                f"openai: {parts.hostname} needs a key. Put it into the environment variable {key_variable}."
            )
        self.model, self.base_url, self.timeout, self.retries = model, base_url, timeout, retries
        self.most_tokens, self.temperature, self.side = most_tokens, temperature, side
        self._client = openai.OpenAI(api_key=key or "none", base_url=base_url, timeout=timeout, max_retries=0)

    def made_by(self) -> dict[str, Any]:
        """Server, model and options; no key."""
        return {
            "name": self.name, "model": self.model, "base_url": self.base_url, "most_tokens": self.most_tokens,
            "temperature": self.temperature, "side": self.side,
        }  # fmt: skip

    def ask(self, messages: Sequence[Message], images: Sequence[NDArray[np.uint8]] = ()) -> str:
        """The model's answer, stripped. Raises BackendError within about `timeout` seconds."""
        conversation: list[dict[str, Any]] = list(checked(messages))
        if images:
            first = next(m for m in conversation if m["role"] == "user")
            shown = [{"type": "image_url", "image_url": {"url": _data_url(image, self.side)}} for image in images]
            first["content"] = [*shown, {"type": "text", "text": first["content"]}]
        until = time.monotonic() + self.timeout
        for attempt in range(self.retries + 1):
            try:
                return self._once(conversation, until - time.monotonic())
            except (openai.APIConnectionError, openai.RateLimitError, openai.InternalServerError) as error:
                wait = 0.25 * 2**attempt
                if attempt == self.retries or time.monotonic() + wait >= until:
                    raise BackendError(self._told(error)) from error
                time.sleep(wait)
            except (openai.OpenAIError, ValueError) as error:  # ValueError: what came is no JSON
                raise BackendError(self._told(error)) from error
        raise AssertionError("unreachable")

    def _once(self, conversation: list[dict[str, Any]], seconds: float) -> str:
        if not self.model:
            offered = [model.id for model in self._client.with_options(timeout=seconds).models.list().data]
            if len(offered) != 1:
                raise BackendError(
                    f"openai: {self.base_url} has {len(offered)} models; choose one by --option openai.model=NAME: "
                    f"{', '.join(offered[:20])}"
                )
            self.model = offered[0]
        answer = self._client.with_options(timeout=seconds).chat.completions.create(
            model=self.model,
            messages=conversation,  # type: ignore[arg-type]  # its type is a dict for each role
            max_completion_tokens=self.most_tokens,
            temperature=self.temperature,
        )
        choices = getattr(answer, "choices", None)
        text = getattr(getattr(choices[0], "message", None), "content", None) if choices else None
        if not isinstance(text, str) or not text.strip():
            raise BackendError(f"openai: {self.base_url} answered without a text; is it a chat server?")
        return text.strip()

    def _told(self, error: Exception) -> str:
        """What happened, in one sentence, and what to do. Never the key."""
        if isinstance(error, openai.APITimeoutError):
            return f"openai: {self.base_url} did not answer within {self.timeout:g} s. Try --option openai.timeout=300."
        if isinstance(error, openai.APIConnectionError):
            return f"openai: nothing answers at {self.base_url}. Start the server, or give another openai.base_url."
        if isinstance(error, openai.AuthenticationError):
            return f"openai: {self.base_url} refused the key. Is the right one in the environment variable?"
        if isinstance(error, openai.NotFoundError):
            return f"openai: {self.base_url} does not know the model {self.model!r} or the address lacks its /v1."
        if isinstance(error, openai.RateLimitError):
            return f"openai: {self.base_url} is too busy. Try again later."
        if isinstance(error, openai.APIStatusError):
            return f"openai: {self.base_url} answered with status {error.status_code}."
        return f"openai: {self.base_url} gave an answer that is not one of a chat server ({type(error).__name__})."


def _data_url(image: NDArray[np.uint8], side: int) -> str:
    picture = Image.fromarray(image)
    picture.thumbnail((side, side))
    content = io.BytesIO()
    picture.save(content, "PNG")  # lossless: traces of forgery must survive the journey
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode("ascii")
