"""Backends: a conversation and pictures go in, a language model's words come out.

`load(**options)` gives an object with `ask(messages, images) -> str`, `name` and `made_by()`.

    messages   [{"role": "system" | "user" | "assistant", "content": text}, …], the last one a user's
    images     RGB uint8 arrays (H, W, 3), shown before the first user's text
    raises     BackendError with what happened and what to do; and never waits longer than its `timeout`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from facewitness.errors import InputError

ROLES = ("system", "user", "assistant")
Message = Mapping[str, str]


def checked(messages: Sequence[Message]) -> list[dict[str, str]]:
    """The messages as plain dicts. Raises InputError for an unknown role, and where the last message is no user's."""
    found = [{"role": str(m.get("role")), "content": str(m.get("content", ""))} for m in messages]
    odd = next((m["role"] for m in found if m["role"] not in ROLES), None)
    if odd is not None:
        raise InputError(f"backend: expected the roles {', '.join(ROLES)}, got {odd!r}")
    if not found or found[-1]["role"] != "user":
        raise InputError("backend: expected a conversation that ends with a user's message")
    return found
