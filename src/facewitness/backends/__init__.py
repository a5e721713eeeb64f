"""Backends: a conversation and pictures go in, a language model's words come out.

`load(**options)` gives an object with `ask(messages, images) -> str`, `name` and `made_by()`; one that can show its
words as they come has `stream(messages, images)` too, a generator of the same words in pieces. Closing it stops the
model.

    messages   [{"role": "system" | "user" | "assistant", "content": text}, …], the last one a user's
    images     RGB uint8 arrays (H, W, 3), shown before the first user's text
    raises     BackendError with what happened and what to do; and never waits longer than its `timeout`
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence

from facewitness.errors import InputError

ROLES = ("system", "user", "assistant")
Message = Mapping[str, str]
Say = Callable[[str], None]  # takes the next piece of an answer


def checked(messages: Sequence[Message]) -> list[dict[str, str]]:
    """The messages as plain dicts.

    Args:
        messages: The conversation, each message with `role` and `content`; the last one is the user's.

    Returns:
        A dict with `role` and `content` for each message.

    Raises:
        InputError: For an unknown role, and where the last message is no user's.
    """
    turns = [{"role": str(m.get("role")), "content": str(m.get("content", ""))} for m in messages]
    odd = next((m["role"] for m in turns if m["role"] not in ROLES), None)
    if odd is not None:
        raise InputError(f"backend: expected the roles {', '.join(ROLES)}, got {odd!r}")
    if not turns or turns[-1]["role"] != "user":
        raise InputError("backend: expected a conversation that ends with a user's message")
    return turns


class Unheard(BaseException):  # no Exception: what turns errors into sentences has to let it through
    """Nobody waits for the answer any more."""


def pieces(answer: Callable[[Say], None], timeout: float | None, *, daemon: bool = False) -> Generator[str]:
    """What `answer(say)` says, piece by piece, while it goes on in a thread of its own.

    A thread, because nothing else bounds the time of a model's slow step, or of a server that sends a byte a second.
    Once nobody listens any more `say` raises Unheard; `say("")` only asks. With `daemon` the program may end without
    waiting for what `answer` is at.

    Args:
        answer: Is called with a function `say`, and calls it with each piece.
        timeout: Seconds until it is given up; None waits.
        daemon: Whether the program may end without waiting for `answer`.

    Raises:
        TimeoutError: Where an answer is not whole after `timeout` seconds, and what `answer` raises.
    """
    pieces: queue.SimpleQueue[str | BaseException | None] = queue.SimpleQueue()  # None at the end
    until = None if timeout is None else time.monotonic() + timeout
    unheard = threading.Event()

    def say(piece: str) -> None:
        if unheard.is_set():
            raise Unheard
        if until is not None and time.monotonic() > until:  # here too: a queue that is never empty never times out
            raise TimeoutError
        if piece:
            pieces.put(piece)

    def work() -> None:
        try:
            answer(say)
            pieces.put(None)
        except BaseException as error:
            pieces.put(error)

    threading.Thread(target=work, daemon=daemon).start()
    try:
        while True:
            try:
                piece = pieces.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise TimeoutError from None
            if isinstance(piece, BaseException):
                raise piece
            if piece is None:
                return
            yield piece
    finally:
        unheard.set()
