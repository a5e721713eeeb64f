"""Which reply KFD's language model gives: the likeliest of those that the detector's evidence allows.

Left alone, a small language model answers worse than the evidence it reads: it names a left cheek where the map shows a
brow. So for the two questions that the detector can answer (is it fake and why, and is this region fake) the replies
are written out, the model says how likely each is, and what the map and the score say of it is a prior on them. The
model's log-odds of a yes are those of how it would begin:

    log-odds of yes  =  words · (the model's)  +  evidence · (the detector's)  +  offset
    … of a region    =  words · (the model's)  +  own · (how far the map covers it)
                        + rivals · (how far it covers the most covered other one)  +  face · (the score's)  +  offset,
                        and a no where the log-odds of the face are below a floor: a real face has no forged eye
    places of a yes  =  the set of regions with the largest expected Jaccard index, where the chance of a set of at most
                        three of the six likeliest is as p(reply) ** named · p(set | map) ** places

The numbers are fitted on held-out pictures (`runs/kfd/words.py fit`) and stand in the language model's folder as
choice.json; without that file the model's own likeliest reply is given. It is a prior and no ban: where the model is
sure enough, it names what the map does not show. Where the map by itself was as right on pictures held out, it answers
alone: of a region with `words` 0 (forged from a coverage of a third on, as the witness's findings are), of the places
of a yes with `named` 0. Every other question is answered by the model alone.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from facewitness import geometry, regions, weights
from facewitness.calibration import logit
from facewitness.grammars import yes_no
from facewitness.types import Landmarks

FILE = "choice.json"
NAMED = (  # the regions that a reply may name, as `builders/sbi_qa` teaches them
    "nose", "mouth", "left_eye", "right_eye", "left_eyebrow", "right_eyebrow", "chin", "forehead", "left_cheek",
    "right_cheek",
)  # fmt: skip
_FEW = 3  # regions that a reply names at most
AMONG = 6  # … of so many that the map finds likeliest; with three a map that errs in one leaves the model no say
EDGE = 1e-4  # probabilities are kept this far from 0 and 1
_VERDICT = re.compile(r"\b(verdict|real or (a )?fake|fake or (a )?real)\b", re.IGNORECASE)
_FAKE = re.compile(r"\b(fake\w*|deep ?fake\w*|forge\w*|manipulat\w*|tampered|altered|blending)\b", re.IGNORECASE)
_GIVEN_AWAY = re.compile(  # what a verdict with its places answers: "Why?", "What was altered?", "Where is it fake?"
    r"^\W*((and|but|so) )?why\b|\b(what|where) (is|was|were|has been) (it |this face )?"
    r"(fake\w*|forged|altered|changed|edited|replaced|manipulated|tampered)\b",
    re.IGNORECASE,
)
_REAL = re.compile(r"\b(real|genuine|authentic|not)\b|n't\b", re.IGNORECASE)
_OTHER = re.compile(r"\b(why|how|what|when|who|real|genuine|authentic|not)\b|n't\b", re.IGNORECASE)

YES, NO = "Yes", "No"  # how every reply begins; their odds are the model's


class Likelihoods(Protocol):
    """The language model's log-likelihood of each reply, or of how it begins where it is not `ended`."""

    def __call__(self, replies: Sequence[str], ended: bool = True) -> Sequence[float]: ...


@dataclass(frozen=True, slots=True)
class Odds:
    """Weights of two log-odds of a yes, and what is added."""

    words: float
    evidence: float
    offset: float = 0.0

    def together(self, words: float, evidence: float) -> float:
        """The log-odds of both."""
        return self.words * words + self.evidence * evidence + self.offset


@dataclass(frozen=True, slots=True)
class OfRegion:
    """Weights of what is known of one region: the model's log-odds of a yes, and logits of coverages and of the score.

    A map covers an edited eye and the skin beside it, so how much more it covers elsewhere counts against a region.
    `floor` is the log-odds of a forged face under which no region of it is accused.
    """

    words: float
    own: float
    rivals: float
    face: float
    offset: float
    floor: float

    def together(self, words: float, own: float, rivals: float, face: float) -> float:
        """The log-odds of all."""
        return self.words * words + self.own * own + self.rivals * rivals + self.face * face + self.offset


def known(name: str, fake: float, covered: Mapping[str, float]) -> tuple[float, float, float]:
    """What the evidence knows of a region: logits of its coverage, of the most covered other one's, and of the score.

    Args:
        name: of the region.
        fake: the detector's score as a probability.
        covered: see `coverage`.
    """
    others = [value for key, value in covered.items() if key != name]
    return log_odds(covered[name]), log_odds(max(others, default=0.0)), log_odds(fake)


@dataclass(frozen=True, slots=True)
class Choice:
    """What was fitted on held-out pictures.

    Attributes:
        verdict: of "is it fake", whose evidence is the score's log-odds.
        region: of "is the nose fake"; None leaves its yes or no to the model alone.
        places: weight of log p(set of regions | map).
        forged: region → slope and offset of the log-odds that it is forged over the logit of how far the map covers it.
        named: weight of the model's say about places; 0 where it knows less of them than the map.
    """

    verdict: Odds
    region: OfRegion | None
    places: float
    forged: Mapping[str, tuple[float, float]]
    named: float = 1.0

    def chance(self, covered: Mapping[str, float]) -> dict[str, float]:
        """The probability that each region is forged, by how far the map covers it."""
        out = {}
        for name, value in covered.items():
            slope, offset = self.forged[name]
            out[name] = float(1 / (1 + np.exp(-(slope * log_odds(value) + offset))))
        return out

    def accused(self, words: float, evidence: tuple[float, float, float]) -> float:
        """The log-odds of a yes about a region, at most by how much those of the face are above the floor.

        Args:
            words: the model's log-odds of a yes.
            evidence: see `known`.

        Raises:
            ValueError: regions are left to the model.
        """
        if self.region is None:
            raise ValueError("expected weights of regions, got none")
        face = self.verdict.together(words, evidence[2])
        return min(self.region.together(words, *evidence), face - self.region.floor)

    def to_json(self) -> dict[str, Any]:
        """As choice.json holds it."""
        odds = {"verdict": asdict(self.verdict), "region": None if self.region is None else asdict(self.region)}
        both = {"places": self.places, "named": self.named}
        return {**odds, **both, "forged": {name: list(line) for name, line in self.forged.items()}}


def read(folder: Path) -> Choice | None:
    """What stands in a language model's folder; None where it has none.

    Raises:
        WeightsError: The file is not what `runs/kfd/words.py` writes.
    """
    return weights.fitted(
        folder / FILE, _choice, "the weights of words and evidence that runs/kfd/words.py fits",
        "the model answers by itself",
    )  # fmt: skip


def _choice(held: Any) -> Choice:
    forged = {name: (float(held["forged"][name][0]), float(held["forged"][name][1])) for name in NAMED}
    verdict = Odds(*(float(held["verdict"][field.name]) for field in fields(Odds)))
    of_region = held["region"]
    if of_region is not None:
        of_region = OfRegion(*(float(of_region[field.name]) for field in fields(OfRegion)))
    choice = Choice(verdict, of_region, float(held["places"]), forged, float(held.get("named", 1.0)))
    both = [astuple(odds) for odds in (verdict, of_region) if odds is not None]
    numbers = [*choice.forged.values(), (choice.places, choice.named), *both]
    if not all(np.isfinite(number) for line in numbers for number in line):
        raise ValueError("expected finite numbers, got NaN or infinity")
    return choice


def coverage(located: NDArray[np.floating], landmarks: Landmarks) -> dict[str, float]:
    """How far a crop's map covers each region that a reply may name: its mean inside, in [0, 1].

    Args:
        located: (S, S) in [0, 1].
        landmarks: (468, 2) in pixels of the crop. A region that lies outside it is left out.
    """
    out = {}
    for name in NAMED:
        inside = geometry.fill(regions.polygons(name, landmarks), *located.shape)
        if inside.any():
            out[name] = float(located[inside].mean())
    return out


def asked(question: str) -> tuple[str, ...] | None:
    """The region that a question is about, none of a verdict on the face; None for a question of another kind.

    "Yes" has to mean fake, so that a question after what is real is of another kind.
    """
    of_the_face = _VERDICT.search(question) or (_GIVEN_AWAY.search(question) and not _REAL.search(question))
    if of_the_face and not set(regions.mentioned(question)) - {"skin"}:
        return ()
    about = tuple(name for name in NAMED if re.search(rf"\b{re.escape(regions.title(name))}\b", question.lower()))
    if len(about) > 1 or _OTHER.search(question) or not (_FAKE.search(question) or "replaced" in question):
        return None
    if not about and set(regions.mentioned(question)) - {"skin"}:
        return None  # teeth or a beard, of which nothing was taught
    return about


def reply(
    question: str, fake: float, covered: Mapping[str, float], likelihoods: Likelihoods, choice: Choice
) -> str | None:
    """The likeliest reply to a question, given words and evidence; None where the evidence cannot answer it.

    Args:
        question: by itself, without the description of the task.
        fake: the detector's score as a probability.
        covered: see `coverage`.
        likelihoods: of the language model, for replies to this question.
        choice: how much either counts.
    """
    about = asked(question)
    if about is None or not covered or any(name not in covered for name in about):
        return None
    chance = choice.chance(covered)
    begins = dict(zip((YES, NO), likelihoods((YES, NO), ended=False), strict=True))
    words = begins[YES] - begins[NO]
    if about:
        together = words if choice.region is None else choice.accused(words, known(about[0], fake, covered))
        return _of_region(about[0], together > 0, fake, chance, likelihoods, choice)
    if choice.verdict.together(words, log_odds(fake)) <= 0:
        return yes_no.genuine()
    sets = _sets(chance, AMONG)
    texts = [yes_no.forged(places) for places in sets]
    values = choice.places * np.array(log_priors(sets, chance))
    if choice.named:
        values += choice.named * np.array(likelihoods(texts))
    return texts[medoid(sets, values)]


def medoid(sets: Sequence[Sequence[str]], values: Sequence[float] | NDArray[np.floating]) -> int:
    """Which set agrees best with all of them, each as likely as its value says: the largest expected Jaccard index.

    Args:
        sets: of regions.
        values: their log-odds, up to a constant.
    """
    chances = np.exp(np.asarray(values, np.float64) - np.max(values))
    member = np.array([[name in places for name in NAMED] for places in sets])
    both = (member[:, None] & member[None]).sum(2)
    either = (member[:, None] | member[None]).sum(2)
    return int(np.argmax((both / either) @ chances))


def log_priors(sets: Sequence[Sequence[str]], chance: Mapping[str, float]) -> list[float]:
    """log p(exactly these regions are forged | at least one is) of each set.

    Args:
        sets: of regions.
        chance: each region's, see `Choice.chance`.
    """
    return [_log_prior(places, chance) for places in sets]


def _of_region(
    name: str, yes: bool, fake: float, chance: Mapping[str, float], likelihoods: Likelihoods, choice: Choice
) -> str:
    """Of a no: that nothing is forged, or which other places are, as the verdict on the face has it."""
    if yes:
        return yes_no.region_forged(name)
    real = yes_no.region_genuine(name)
    others = {key: value for key, value in chance.items() if key != name}
    untouched = {yes_no.region_untouched(name, places): _log_prior(places, others) for places in _sets(others, limit=2)}
    texts = [real, *untouched]
    values = dict(zip(texts, likelihoods(texts), strict=True))
    if choice.verdict.together(max(values[text] for text in untouched) - values[real], log_odds(fake)) <= 0:
        return real
    return max(untouched, key=lambda text: choice.named * values[text] + choice.places * untouched[text])


def _sets(chance: Mapping[str, float], limit: int = AMONG) -> list[tuple[str, ...]]:
    """Sets of one to three of the regions that are likeliest to be forged, in the order of `NAMED`."""
    likely = sorted(chance, key=lambda name: -chance[name])[:limit]
    likely.sort(key=NAMED.index)
    return [places for n in range(1, min(_FEW, len(likely)) + 1) for places in itertools.combinations(likely, n)]


def _log_prior(places: Sequence[str], chance: Mapping[str, float]) -> float:
    """log p(exactly these regions are forged | at least one is), regions by themselves."""
    each = {name: _kept(p) for name, p in chance.items()}
    exactly = sum(np.log(p) if name in places else np.log1p(-p) for name, p in each.items())
    none = sum(np.log1p(-p) for p in each.values())
    return float(exactly - np.log(-np.expm1(min(none, -1e-9))))


def _kept(p: float) -> float:
    return float(min(max(p, EDGE), 1 - EDGE))


def log_odds(p: float) -> float:
    """Of a probability, which is kept EDGE off 0 and 1.

    Args:
        p: In [0, 1].
    """
    return float(logit(p, EDGE))
