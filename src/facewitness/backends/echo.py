"""Says what it was told to say, or repeats the last question: for tests, demonstrations and counting prompts."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewitness.backends import Message, checked


def load(answers: Sequence[str] | str = ()) -> Echo:
    """`answers` are given one after another, the last one again and again; without any the question comes back.

    Args:
        answers: What is answered, one after another; the last one again and again. Without any the question comes back.
    """
    return Echo((answers,) if isinstance(answers, str) else tuple(answers))


class Echo:
    """Remembers what it was asked in `asked`."""

    name = "echo"

    def __init__(self, answers: tuple[str, ...]):
        self._answers = answers
        self.asked: list[tuple[list[dict[str, str]], int]] = []  # messages, and how many images

    def made_by(self) -> dict[str, Any]:
        """Its options.

        Returns:
            JSON-ready.
        """
        return {"name": self.name, "answers": list(self._answers)}

    def ask(self, messages: Sequence[Message], images: Sequence[NDArray[np.uint8]] = ()) -> str:
        """The next answer, or the last message's text.

        Args:
            messages: The conversation, each message with `role` and `content`; the last one is the user's.
            images: Pictures that belong to the last message, RGB uint8 (H, W, 3).
        """
        conversation = checked(messages)
        self.asked.append((conversation, len(images)))
        if not self._answers:
            return conversation[-1]["content"]
        return self._answers[min(len(self.asked), len(self._answers)) - 1]

    def stream(self, messages: Sequence[Message], images: Sequence[NDArray[np.uint8]] = ()) -> Generator[str]:
        """The same, word by word.

        Args:
            messages: The conversation, each message with `role` and `content`; the last one is the user's.
            images: Pictures that belong to the last message, RGB uint8 (H, W, 3).
        """
        yield from re.findall(r"\s*\S+\s*$|\s*\S+", self.ask(messages, images))
