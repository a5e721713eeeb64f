"""Which reply MARE's language model gives: of several that it draws, the one that the others say most of, too.

Its likeliest reply is one of a dozen, whoever is on the picture, and says of itself what the training texts said most.
Words may vary, claims may not: the thought decides on verdict and regions, and drawn thoughts were right less often. So
thought and boxes are the likeliest, and only the words between are drawn (`WORDS`), with a seed that the picture and
the question give; of several replies one is chosen:

    verdict   log-odds of fake  =  words · (those of the draws)  +  evidence · (the score's)  +  offset
    claim     of the draws with that verdict that keep the grammar, those whose words and boxes agree best
    reply     of these the one whose words overlap most with the words of the others (minimum Bayes risk: what most
              draws say is likelier to be meant than what one says)

The numbers are fitted on held-out pictures (`runs/mare/draws.py fit`) and stand in the language model's folder as
draws.json; without that file the likeliest reply is given.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewitness import regions, weights
from facewitness.calibration import logit
from facewitness.grammars import mare
from facewitness.types import Label, Reply

FILE = "draws.json"
EDGE = 1e-4  # probabilities are kept this far from 0 and 1
WORDS = '"explanation"', '"bboxes"'  # in a reply, between which its words stand; nothing else is drawn


@dataclass(frozen=True, slots=True)
class Drawing:
    """How replies are drawn, and how a verdict is chosen among them.

    Attributes:
        draws: how many replies.
        temperature: of their words.
        words: weight of the draws' log-odds of fake.
        evidence: weight of the score's.
        offset: what is added.
    """

    draws: int
    temperature: float
    words: float
    evidence: float
    offset: float

    def verdict(self, verdicts: Sequence[Label | None], score: float) -> Label | None:
        """The verdict that words and evidence give together; None where no draw gives one.

        Args:
            verdicts: the verdicts of the draws.
            score: of the traces, as a probability of fake.
        """
        fake, real = verdicts.count("fake"), verdicts.count("real")
        if fake + real == 0:
            return None
        return (
            "fake"
            if self.words * voted(fake, real) + self.evidence * float(logit(score, EDGE)) + self.offset > 0
            else "real"
        )

    def to_json(self) -> dict[str, Any]:
        """As draws.json holds it."""
        return asdict(self)


def read(folder: Path) -> Drawing | None:
    """What stands in a language model's folder; None where it has none.

    Raises:
        WeightsError: The file is not what `runs/mare/draws.py` writes.
    """
    return weights.fitted(
        folder / FILE, _drawing, "how replies are drawn, as runs/mare/draws.py fits it", "the likeliest reply is given"
    )


def _drawing(held: Any) -> Drawing:
    values = [float(held[field.name]) for field in fields(Drawing)]
    draws = int(values[0])
    if not np.isfinite(values).all() or not 1 <= draws <= 64 or draws != values[0] or not 0 < values[1] <= 10:
        raise ValueError("expected 1 to 64 draws, a temperature above 0 and up to 10, and finite weights")
    return Drawing(draws, *values[1:])


def seed(crop: NDArray[np.uint8], question: str) -> int:
    """A picture's and a question's own seed, the same whenever both are.

    Args:
        crop: uint8 (S, S, 3).
        question: in words.
    """
    digest = hashlib.sha256(question.encode() + b"\0" + np.ascontiguousarray(crop).tobytes()).digest()
    return int.from_bytes(digest[:4], "big")


def chosen(texts: Sequence[str], score: float, drawing: Drawing, size: tuple[int, int] | None = None) -> str:
    """One of the texts that were drawn to one question.

    Where no draw has the verdict that words and evidence give, one of the others is taken: the reply is still the
    model's own, and whoever shows it tells that it contradicts the score.

    Args:
        texts: at least one, in MARE's grammar or not.
        score: of the traces, as a probability of fake.
        drawing: how a verdict is chosen.
        size: the picture's (width, height), which boxes have to be in.

    Raises:
        ValueError: no text was given.
    """
    if not texts:
        raise ValueError("expected at least one text, got none")
    replies = [mare.parse(text) for text in texts]
    verdict = drawing.verdict([reply.label for reply in replies], score)
    among = list(range(len(texts)))
    among = [i for i in among if replies[i].label == verdict] or among
    among = [i for i in among if not mare.refusals(texts[i], size)] or among
    agree = {i: agreement(replies[i]) for i in among}
    among = [i for i in among if agree[i] == max(agree.values())]
    return texts[among[nearest([replies[i] for i in among])]]


def agreement(reply: Reply) -> float:
    """How far words and boxes speak of the same regions, as equation 6 has it; of a real face, whether none is boxed.

    Args:
        reply: in MARE's grammar.
    """
    boxed, named = {finding.region for finding in reply.findings}, set(regions.mentioned(reply.text))
    if reply.label == "real":
        return 0.0 if boxed else 1.0
    return len(named & boxed) / len(named | boxed) if named | boxed else 0.0


def nearest(replies: Sequence[Reply]) -> int:
    """Which reply's words overlap most with the others': the first of several.

    Args:
        replies: at least one.
    """
    bags = [Counter(reply.text.lower().split()) for reply in replies]
    return int(np.argmax([sum(overlap(a, b) for b in bags) for a in bags]))


def overlap(one: Counter[str], other: Counter[str]) -> float:
    """F1 of two bags of words, in [0, 1].

    Args:
        one: words with how often they are there.
        other: the same of another text.
    """
    whole = one.total() + other.total()
    return 2 * (one & other).total() / whole if whole else 1.0


def voted(fake: int, real: int) -> float:
    """The log-odds of fake by a vote, with half a vote for either beside."""
    return float(np.log(fake + 0.5) - np.log(real + 0.5))
