"""The benchmark's scores, worn as rewards of TRL's GRPOTrainer: what is measured is what is paid.

    rewards = Rewards.of(tomllib.loads(run))                            # grammar = "mare"; [rewards] label = 1.0 …
    GRPOTrainer(model, rewards.functions, args=GRPOConfig(reward_weights=rewards.values, …), …)

MARE's reward is the weighted sum of five, Eq. 11:

    R = β₁ R_f + β₂ R_a + β₃ R_t + β₄ R_r + β₅ R_align

    R_f      scores/grammar     Eq. 2   the form
    R_a      scores/label       Eq. 3   the verdict
    R_t      scores/wording     Eq. 4   how near the words are to people's
    R_r      scores/boxes       Eq. 5   how well boxes lie
    R_align  scores/alignment   Eq. 6   whether words and boxes agree

Example: a reply of the right form (1) with the right verdict (1), whose words are near to people's by 0.8, with IoU 0.5
for the one region it boxes, and a second one named without a box (alignment 1/2): with all β = 1, R = 3.8.

The paper gives no β; `WEIGHTS` has exactly these five, each with 1. Eq. 5 looks only at regions that reply and truth
both have, and Eq. 6 only at the reply: an answer that names and boxes all twelve regions of the face is paid in full by
both. So `GUARDED`, ours, puts `regions`, the Jaccard index of said and true regions, beside them with weight 2: of up
to three forged regions, to find half with an IoU of 1/2 then pays more than twelve perfect boxes
(tests/test_train_rewards.py). A run takes it by its table [rewards], or by --rewards runs/mare/rewards-guarded.toml.

A run's table names all rewards it wants. One with weight 0 pays nothing and is logged: `side`, `grounding`, `coverage`
and `length` are there so, for this is what the five do not see. TRL logs each by itself, with mean and spread.

A reward is None where a score cannot judge, and then adds nothing to the sum, as TRL has it. What is true is read from
the dataset's columns, as `builders/dma` writes them: `label`; `texts` (or `text`); `regions`; `boxes`, one for each
region or None, or an object of region and box; `mask`, an encoded picture, white where forged; `size`, the picture's
width and height, which its boxes must not leave. All but label may lack.
"""

from __future__ import annotations

import math
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewitness import media, plugins
from facewitness.errors import InputError
from facewitness.files import read_text
from facewitness.types import Box, Reply, Truth

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "grammar": 1.0, "label": 1.0, "wording": 1.0, "boxes": 1.0, "alignment": 1.0,  # Eq. 11
        "regions": 0.0, "side": 0.0, "grounding": 0.0, "coverage": 0.0, "length": 0.0,  # ours, only looked at
    }
)  # fmt: skip
GUARDED: Mapping[str, float] = MappingProxyType({**WEIGHTS, "regions": 2.0})  # ours, against naming everything

_MOST = 1_000_000  # of a weight: what is more is a slip
# a reply as TRL gives it: text, or messages {"role": …, "content": text or parts of text}
Completion = str | Sequence[Mapping[str, Any]]
Size = Sequence[int] | None  # width and height of a picture; None where the table does not have it


@dataclass(frozen=True, slots=True)
class Reward:
    """One score as TRL calls it: a term of equation 11. TRL takes its name from `__name__`, and weighs it by its own
    list.

    Attributes:
        score: A name of scores/: grammar is equation 2, label 3, wording 4, boxes 5, alignment 6.
        weight: β, at least 0.
        grammar: A name of grammars/, in which completions are read.

    Raises:
        UnknownName: A name of no score or grammar.
        InputError: A weight that is none.
    """

    score: str  # a name of scores/
    weight: float = 1.0
    grammar: str = "mare"  # a name of grammars/

    def __post_init__(self) -> None:
        plugins.get("scores", self.score)  # raises UnknownName here, not after a step
        plugins.get("grammars", self.grammar)
        if isinstance(self.weight, bool) or not isinstance(self.weight, int | float) or not 0 <= self.weight <= _MOST:
            raise InputError(
                f"reward {self.score}: expected a weight from 0 to {_MOST:,}, got {self.weight!r:.60}; a score is 1 "
                "where it is best, so a weight below 0 pays for what is bad"
            )

    @property
    def __name__(self) -> str:
        return self.score

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Completion], **columns: Any) -> list[float | None]:
        """The score of each completion, None where it cannot judge, whatever the model wrote.

        Raises InputError where the dataset's columns say nothing that can be true.
        """
        replies = read(completions, self.grammar, columns.get("size"))
        log = columns.get("log_extra")
        if callable(log) and self.score == "grammar":  # beside each sample reply, why it was refused
            log("refusals", ["; ".join(reply.refusals or ()) for reply in replies])
        return self.of(replies, truths(columns, len(replies)))

    def of(self, replies: Sequence[Reply], true: Sequence[Truth]) -> list[float | None]:
        """The score of each reply that was read.

        Args:
            replies: As `read` gives them.
            true: What is true of each.

        Returns:
            A number in [0, 1] each; None where the score cannot judge.
        """
        judge = plugins.get("scores", self.score).score
        return [judge(reply, truth) for reply, truth in zip(replies, true, strict=True)]


def read_weights(path: Path) -> dict[str, float]:
    """The table [rewards] of a TOML file, such as runs/mare/rewards-guarded.toml.

    Args:
        path: A TOML file with a table [rewards].

    Returns:
        Score → weight.

    Raises:
        InputError: The file cannot be read, or a weight is no number.
        UnknownName: There is no such score.
    """
    try:
        table = tomllib.loads(read_text(path)).get("rewards")
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: expected a recipe in TOML with a table [rewards] ({why})") from error
    if not isinstance(table, dict):
        raise InputError(f"{path}: expected a table [rewards] of names and weights, got none")
    return dict(Rewards(table).weights)


def reward(score: str, weight: float = 1.0, grammar: str = "mare") -> Reward:
    """A score's name to a reward.

    Args:
        score: A name of scores/.
        weight: β of equation 11.
        grammar: A name of grammars/.

    Raises:
        UnknownName: No such name; the message has the nearest.
        InputError: A weight that is none.
    """
    return Reward(score, weight, grammar)


@dataclass(frozen=True, slots=True)
class Rewards:
    """All rewards of a run: each by itself, and their weighted sum, equation 11.

    Attributes:
        weights: Name of a score → β. By default MARE's five with 1 each, and five of ours with 0.
        grammar: A name of grammars/.

    Raises:
        InputError: No weight is above 0.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: dict(WEIGHTS))
    grammar: str = "mare"

    def __post_init__(self) -> None:
        if not any(each.weight for each in self.functions):
            raise InputError(
                f"rewards: expected at least one weight above 0, got {dict(self.weights)}; nothing can be learnt so"
            )

    @classmethod
    def of(cls, run: Mapping[str, Any]) -> Rewards:
        """The rewards of a run file: its table `rewards` of names and weights, or `WEIGHTS`, and its `grammar`.

        Args:
            run: A run file.
        """
        return cls(dict(run.get("rewards", WEIGHTS)), run.get("grammar", "mare"))

    @property
    def functions(self) -> list[Reward]:
        """What GRPOTrainer takes as `reward_funcs`."""
        return [Reward(name, weight, self.grammar) for name, weight in self.weights.items()]

    @property
    def values(self) -> list[float]:
        """What GRPOConfig takes as `reward_weights`."""
        return [float(weight) for weight in self.weights.values()]

    def judge(self, completions: Sequence[Completion], **columns: Any) -> dict[str, list[float | None]]:
        """Each reward of each completion by its name, and under "reward" their sum; None where nothing can judge.

        Args:
            completions: What the model wrote, as TRL gives it.
            **columns: Name → one value a row, as TRL gives them.

        Returns:
            Name → one number a completion.
        """
        replies = read(completions, self.grammar, columns.get("size"))
        true = truths(columns, len(replies))
        each = {function.score: function.of(replies, true) for function in self.functions}
        sums = [self._sum(dict(zip(each, row, strict=True))) for row in zip(*each.values(), strict=True)]
        return {**each, "reward": sums}

    def _sum(self, row: Mapping[str, float | None]) -> float | None:
        """Eq. 11 over what could be judged."""
        paid = [self.weights[name] * value for name, value in row.items() if value is not None]
        return math.fsum(paid) if paid else None


def refused(
    completions: Sequence[Completion], grammar: str = "mare", sizes: Sequence[Size] | None = None
) -> Counter[str]:
    """How many completions break the grammar in which way.

    Args:
        completions: Texts, or chats that end in one.
        grammar: A name of grammars/.
        sizes: (width, height) of each picture, which boxes must not leave; None where boxes are not held to it.

    Returns:
        Kind of refusal → count; empty where the grammar knows no kinds.
    """
    kinds: Counter[str] = Counter()
    for reply in read(completions, grammar, sizes):
        kinds.update({reason.partition(":")[0] for reason in reply.refusals or ()})
    return kinds


# ------------------------------------------------------------------------------------------- replies and what is true


def read(completions: Iterable[Completion], grammar: str, sizes: Iterable[Size] | None = None) -> list[Reply]:
    """What was written, as the grammar reads it.

    Args:
        completions: Texts, or chats that end in one.
        grammar: A name of grammars/.
        sizes: (width, height) of each picture; a box off its picture is refused too.

    Returns:
        A reply each.
    """
    texts = [_text(completion) for completion in completions]
    replies = [_read(grammar, text) for text in texts]
    if sizes is None:
        return replies
    return [_on_picture(grammar, *each) for each in zip(texts, replies, sizes, strict=True)]


def _on_picture(grammar: str, text: str, reply: Reply, size: Size) -> Reply:
    if size is None or all(f.box[2] <= size[0] and f.box[3] <= size[1] for f in reply.findings):
        return reply
    refusals = getattr(plugins.get("grammars", grammar), "refusals", None)  # not every grammar has boxes
    return reply if refusals is None else replace(reply, refusals=refusals(text, (int(size[0]), int(size[1]))))


@lru_cache(maxsize=1 << 15)  # several rewards, one after the other, read the same replies
def _read(grammar: str, text: str) -> Reply:
    reply: Reply = plugins.get("grammars", grammar).parse(text)
    return reply


def _text(completion: Completion) -> str:
    if isinstance(completion, str):
        return completion
    parts = [message.get("content") or "" for message in completion]
    return "".join(
        part if isinstance(part, str) else "".join(str(p.get("text", "")) for p in part if isinstance(p, Mapping))
        for part in parts
    )


def truths(columns: Mapping[str, Sequence[Any]], count: int) -> list[Truth]:
    """The truth of each row.

    Args:
        columns: Of the dataset, as the file's head lists them.
        count: Rows there are.

    Raises:
        InputError: The columns hold none.
    """
    labels = columns.get("label")
    if labels is None or len(labels) != count:
        came = "none" if labels is None else f"{len(labels)} of them"
        raise InputError(f"rewards: expected a column label with {count} values real or fake, got {came}")
    return [_truth({name: columns[name][i] for name in _COLUMNS if name in columns}) for i in range(count)]


_COLUMNS = ("label", "text", "texts", "regions", "boxes", "mask")


def _truth(row: Mapping[str, Any]) -> Truth:
    regions, boxes, mask = row.get("regions"), row.get("boxes"), row.get("mask")
    if boxes is not None and not isinstance(boxes, Mapping):
        if regions is None or len(boxes) != len(regions):
            raise InputError(
                "rewards: expected in column boxes one box, or None, for each region of column regions, got "
                f"{len(boxes)} for {'no' if regions is None else len(regions)}"
            )
        boxes = dict(zip(regions, boxes, strict=True))
    texts = row.get("texts")
    if texts is None:
        texts = () if row.get("text") is None else (row["text"],)
    return Truth(
        row["label"],
        mask=None if mask is None else partial(_mask, mask),
        regions=None if regions is None else frozenset(regions),
        boxes=None if boxes is None else {name: _box(box) for name, box in boxes.items() if box is not None},
        texts=(texts,) if isinstance(texts, str) else tuple(texts),
    )


def _box(given: Sequence[float]) -> Box:
    try:
        x1, y1, x2, y2 = (float(v) for v in given)
    except (TypeError, ValueError) as error:
        raise InputError(f"rewards: expected four numbers for each box in column boxes, got {given!r}") from error
    return (x1, y1, x2, y2)


@lru_cache(maxsize=64)  # the replies of a group share one
def _mask(content: bytes) -> NDArray[np.float32]:
    return media.read(content, name="a mask of column mask").frame.pixels[..., 0].astype(np.float32) / np.float32(255)
