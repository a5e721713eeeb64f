"""A language model behind any server that speaks OpenAI's chat protocol: vLLM, llama.cpp, Ollama, or a hosted one.

    facewitness ask photo.jpg "Is the nose fake?" --backend openai --option openai.model=Qwen/Qwen2.5-VL-7B-Instruct

The photo leaves this machine for wherever `base_url` points and for nowhere else: a server that sends us elsewhere is
not followed, and a proxy of the environment never gets what is meant for this machine. The default is this machine. The
key is read from an environment variable and never stored, shown or written into a report; an organization, project
or header of the environment is not sent. Over plain http a key goes to this machine only. A server is trusted with
nothing: how long and how large an answer may be is decided here.
"""

from __future__ import annotations

import base64
import io
import ipaddress
import math
import os
import re
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import openai
from numpy.typing import NDArray
from PIL import Image

from facewitness.backends import Message, Say, checked, pieces
from facewitness.errors import BackendError, InputError, renamed

_LETTERS = 32  # characters a token may stand for on average: several times what languages need
_BYTES = 4_096  # bytes a token may take on the wire, its frame of JSON and a hidden thought included
_REST = 1 << 20  # bytes an answer may have besides: a list of models, an error's page


def load(
    model: str = "",
    base_url: str = "http://127.0.0.1:8000/v1",
    key_variable: str = "OPENAI_API_KEY",
    timeout: float = 60.0,
    retries: int = 2,
    max_tokens: int = 512,
    temperature: float = 0.0,
    side: int = 1024,
    most_tokens: int | None = None,
) -> Server:
    """A server and one of its models; the only one it has where `model` is empty.

    Args:
        model: Its name on the server; empty for the only one there is.
        base_url: Of the server, to which /chat/completions is added.
        key_variable: Name of the environment variable that holds the key.
        timeout: Seconds for a whole answer, all tries together.
        retries: After errors that may pass (busy, starting).
        max_tokens: Of an answer; one of many times that length is not listened to.
        temperature: 0 always takes the likeliest token.
        side: Pixels: larger pictures are made smaller before they are sent.
        most_tokens: The name that max_tokens had before; still read.

    Raises:
        InputError: For an address that is none and a number that cannot be.
        BackendError: Where a key is needed and the variable is not set.
    """
    max_tokens = renamed("openai", "most_tokens", most_tokens, "max_tokens", max_tokens)
    for name, value, least in (
        ("timeout", timeout, 0.001), ("retries", retries, 0), ("max_tokens", max_tokens, 1),
        ("temperature", temperature, 0), ("side", side, 1),
    ):  # fmt: skip
        if not isinstance(value, int | float) or not (value >= least and math.isfinite(value)):
            raise InputError(f"openai: expected {name} as a number of at least {least}, got {value!r}")
    return Server(model, base_url, key_variable, float(timeout), int(retries), int(max_tokens), temperature, int(side))


class Server:
    """A model of a server; connects when it is asked."""

    name = "openai"

    def __init__(
        self, model: str, base_url: str, key_variable: str, timeout: float, retries: int, max_tokens: int,
        temperature: float, side: int,
    ):  # fmt: skip
        host, secure = _address(base_url)
        self._local = _is_local(host)
        self._key = _key(key_variable)
        if not self._key and not self._local:
            raise BackendError(f"openai: {host} needs a key. Put it into the environment variable {key_variable}.")
        if self._key and not secure and not self._local:
            raise InputError(
                f"openai: over plain http everybody on the way to {host} could read the key and the photo. Expected "
                "https://… as openai.base_url, or a tunnel to this machine (ssh -L 8000:127.0.0.1:8000 …) and its "
                "address here."
            )
        self.model, self.base_url, self.timeout, self.retries = model, base_url, timeout, retries
        self.max_tokens, self.temperature, self.side = max_tokens, temperature, side

    def made_by(self) -> dict[str, Any]:
        """Server, model and options; no key.

        Returns:
            JSON-ready.
        """
        return {
            "name": self.name, "model": self.model, "base_url": self.base_url, "max_tokens": self.max_tokens,
            "temperature": self.temperature, "side": self.side,
        }  # fmt: skip

    def ask(self, messages: Sequence[Message], images: Sequence[NDArray[np.uint8]] = ()) -> str:
        """The model's answer, stripped.

        Args:
            messages: The conversation, each message with `role` and `content`; the last one is the user's.
            images: Pictures that belong to the last message, RGB uint8 (H, W, 3).

        Raises:
            BackendError: After `timeout` seconds at the latest.
        """
        return "".join(self._pieces(messages, images, streamed=False)).strip()

    def stream(self, messages: Sequence[Message], images: Sequence[NDArray[np.uint8]] = ()) -> Generator[str]:
        """The answer piece by piece as the server sends it; closing the generator hangs up. Raises what `ask` raises.

        A server that knows no streaming answers in one piece.

        Args:
            messages: The conversation, each message with `role` and `content`; the last one is the user's.
            images: Pictures that belong to the last message, RGB uint8 (H, W, 3).
        """
        return self._pieces(messages, images, streamed=True)

    def _pieces(
        self, messages: Sequence[Message], images: Sequence[NDArray[np.uint8]], streamed: bool
    ) -> Generator[str]:
        conversation: list[dict[str, Any]] = list(checked(messages))
        if images:
            first = next(m for m in conversation if m["role"] == "user")
            shown = [{"type": "image_url", "image_url": {"url": _data_url(image, self.side)}} for image in images]
            first["content"] = [*shown, {"type": "text", "text": first["content"]}]
        until = time.monotonic() + self.timeout
        # A client for each answer: closing it cuts the line under the thread that may still be listening.
        try:
            opened = self._client()
        except Exception as error:  # a proxy's address in the environment, certificates
            raise BackendError(self._sentence(error)) from None
        with opened as client:
            try:
                yield from pieces(
                    lambda say: self._answer(client, conversation, streamed, say, until), self.timeout, daemon=True
                )
            except TimeoutError as error:
                raise BackendError(self._sentence(error)) from error

    def _client(self) -> openai.OpenAI:
        return openai.OpenAI(
            api_key=self._key or "none",
            base_url=self.base_url,
            max_retries=0,
            default_headers={"Accept-Encoding": "identity"},
            http_client=openai.DefaultHttpxClient(
                follow_redirects=False,
                event_hooks={"request": [_only_what_is_needed], "response": [self._bound_in_size]},
                trust_env=not self._local,  # the environment's proxy is for other machines
            ),
        )

    def _bound_in_size(self, response: Any) -> None:
        """Let no more of a response's body be read than an answer can have."""
        read = response.iter_bytes

        def bounded(*arguments: Any) -> Iterator[bytes]:
            room = _REST + _BYTES * self.max_tokens
            for chunk in read(*arguments):
                room -= len(chunk)
                if room < 0:
                    raise self._endless()
                yield chunk

        response.iter_bytes = bounded

    def _answer(
        self, client: openai.OpenAI, conversation: list[dict[str, Any]], streamed: bool, say: Say, until: float
    ) -> None:
        """Try until the server answers, `retries` times more at the most; never once it has begun to speak."""
        for attempt in range(self.retries + 1):
            length, words = 0, False
            try:
                for piece in self._once(client, conversation, streamed, until):
                    length += len(piece)
                    words = words or bool(piece.strip())
                    if length > _LETTERS * self.max_tokens:
                        raise self._endless()
                    say(piece)
                if not words:
                    raise BackendError(f"openai: {self.base_url} answered without a text; is it a chat server?")
                return
            except (openai.APIConnectionError, openai.RateLimitError, openai.InternalServerError) as error:
                wait = 0.25 * 2**attempt
                if length or attempt == self.retries or time.monotonic() + wait >= until:
                    raise BackendError(self._sentence(error, broken_off=length > 0)) from error
                say("")
                time.sleep(wait)
            except (BackendError, TimeoutError):
                raise
            except Exception as error:  # whatever a server may send, at the door it is one sentence
                if time.monotonic() >= until:  # the client's own word for it, in the middle of a stream
                    raise TimeoutError from error
                raise BackendError(self._sentence(error, broken_off=length > 0)) from error

    def _once(
        self, client: openai.OpenAI, conversation: list[dict[str, Any]], streamed: bool, until: float
    ) -> Iterator[str]:
        """The answer's pieces; one piece where the server sends it whole."""
        client = client.with_options(timeout=max(0.001, until - time.monotonic()))
        if not self.model:
            offered = [model.id for model in client.models.list().data]
            if len(offered) != 1:
                raise BackendError(
                    f"openai: {self.base_url} has {len(offered)} models; choose one by --option openai.model=NAME: "
                    f"{', '.join(map(str, offered[:20]))}."
                )
            self.model = str(offered[0])
        answer: Any = client.chat.completions.with_raw_response.create(
            model=self.model,
            messages=conversation,  # type: ignore[arg-type]  # its type is a dict for each role
            max_completion_tokens=self.max_tokens,
            temperature=self.temperature,
            stream=streamed,
        )
        if "text/event-stream" not in answer.headers.get("content-type", ""):
            answer.http_response.read()  # where a stream was asked for, nothing has been read yet
            yield _text(_first_choice(answer.http_response.json()).get("message"))
            return
        ended = False
        for chunk in answer.parse():
            choice = _first_choice(chunk.to_dict())
            ended = ended or choice.get("finish_reason") is not None
            yield _text(choice.get("delta"))
        if not ended:  # a line that was cut ends like any other
            raise openai.APIConnectionError(request=answer.http_request) from EOFError("it hung up")

    def _endless(self) -> BackendError:
        return BackendError(
            f"openai: {self.base_url} sends far more than the {self.max_tokens} tokens it was asked for, and is not "
            "listened to. Does the server heed max_completion_tokens? For long answers try --option openai.max_tokens="
            f"{4 * self.max_tokens}."
        )

    def _sentence(self, error: Exception, broken_off: bool = False) -> str:
        """What happened, in one sentence, and what to do. Never the key, and nothing of a header that may hold it."""
        if isinstance(error, openai.APITimeoutError | TimeoutError):
            return (
                f"openai: {self.base_url} did not answer within {self.timeout:g} s. "
                f"Try --option openai.timeout={max(300.0, 4 * self.timeout):g}."
            )
        if broken_off:
            return f"openai: {self.base_url} broke off in the middle of its answer. Ask again."
        if isinstance(error, openai.APIConnectionError):
            why = f"{self.base_url} ({self._hushed(str(error.__cause__))[:120]})"
            return f"openai: nothing answers at {why}. Start the server, or give another openai.base_url."
        if isinstance(error, openai.AuthenticationError):
            return f"openai: {self.base_url} refused the key. Is the right one in the environment variable?"
        if isinstance(error, openai.NotFoundError):
            return f"openai: {self.base_url} does not know the model {self.model!r} or the address lacks its /v1."
        if isinstance(error, openai.RateLimitError):
            return f"openai: {self.base_url} is too busy. Try again later."
        if isinstance(error, openai.APIStatusError) and 300 <= error.status_code < 400:
            elsewhere = _host_of(error.response.headers.get("location", "")) or "another address"
            return (
                f"openai: {self.base_url} sends us to {elsewhere}, and neither photo nor key is sent on. If that is "
                "where they should go, give its address as openai.base_url."
            )
        if isinstance(error, openai.APIStatusError):
            return f"openai: {self.base_url} answered with status {error.status_code}."
        return f"openai: {self.base_url} gave an answer that is not one of a chat server ({type(error).__name__})."

    def _hushed(self, text: str) -> str:
        """A library's words without the key, should they quote it."""
        return text.replace(self._key, "…") if self._key else text


_HEADERS = frozenset(
    ("host", "accept", "accept-encoding", "authorization", "connection", "content-length", "content-type",
     "transfer-encoding", "user-agent",
     "x-stainless-raw-response")  # the client itself reads it again from the request
)  # fmt: skip


def _only_what_is_needed(request: Any) -> None:
    """Take out of a request what the client adds unasked: an organization of the environment, this machine's kind."""
    for name in [name for name in request.headers if name.lower() not in _HEADERS]:
        del request.headers[name]


_SECRETS = re.compile(r"(?i)key|token|secret|auth|sig|pass|credential")


def _address(base_url: str) -> tuple[str, bool]:
    """Host of an address and whether it is https. Raises InputError for what is none, or holds a secret."""
    try:
        parts = urlsplit(base_url)
        host, _ = parts.hostname or "", parts.port
        plain = base_url.isascii() and base_url.isprintable() and " " not in base_url
    except ValueError:
        host, plain = "", False
    # Neither message shows an address that may hold a password.
    if "@" in base_url:
        raise InputError("openai: expected base_url without a name and password; put a key into a variable")
    if not plain or parts.scheme not in ("http", "https") or not host:
        shown = repr(re.split(r"[?#]", base_url)[0][:120])
        raise InputError(f"openai: expected base_url such as http://127.0.0.1:8000/v1, got {shown}")
    if parts.query or parts.fragment:
        why = " It would stand in every report; put a key into a variable" if _SECRETS.search(parts.query) else ""
        raise InputError(f"openai: expected base_url without a part behind ? or #, got one.{why}")
    return host, parts.scheme == "https"


def _is_local(host: str) -> bool:
    """Whether a host is this machine: localhost, 127.0.0.0/8 or ::1."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _key(variable: str) -> str:
    """The key in an environment variable, without white space around it; empty where there is none.

    Raises:
        BackendError: For a key that cannot be sent as a header; the message does not show it.
    """
    key = os.environ.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise BackendError(
            f"openai: expected a key of printable ASCII characters in the environment variable {variable}, got one "
            "with a control, a space or another character inside. Set it again."
        )
    return key


def _host_of(location: str) -> str:
    """The host that a redirect names, for a sentence; empty where it names none that can be read."""
    try:
        host = urlsplit(location).netloc.rpartition("@")[2]
    except ValueError:
        return ""
    return host if host.isascii() and host.isprintable() else ""


def _first_choice(answer: Any) -> dict[str, Any]:
    """The first of an answer's choices; empty where it has none."""
    choices = answer.get("choices") if isinstance(answer, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _text(message: Any) -> str:
    content = message.get("content") if isinstance(message, dict) else None
    return content if isinstance(content, str) else ""


def _data_url(image: NDArray[np.uint8], side: int) -> str:
    picture = Image.fromarray(image)
    picture.thumbnail((side, side))
    content = io.BytesIO()
    picture.save(content, "PNG")  # lossless: traces of forgery must survive the journey
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode("ascii")
