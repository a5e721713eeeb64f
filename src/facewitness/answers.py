"""What is said to one question, and the words that answers share.

Findings answer a question about their own region, its parts, and the area that it is part of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from facewitness import regions
from facewitness.explain import graded
from facewitness.phrases import visible
from facewitness.types import Finding, Label, Reply


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What is said to one question, and what it rests on."""

    text: str
    label: Label | None = None  # of what was asked about; None where the question is not about real or fake
    findings: tuple[Finding, ...] = ()
    regions: tuple[str, ...] = ()  # what was asked about
    intent: str = ""  # a name of INTENTS, or of ASIDE
    notes: tuple[str, ...] = ()  # where somebody's words and the evidence part; they end `text`, too
    problem: str = ""  # why the one who was to speak did not
    witness: str = ""  # the witness that spoke
    reply: Reply | None = None  # what it said


def of_parts(parts: Sequence[Answer]) -> tuple[Label | None, tuple[Finding, ...]]:
    """The label of an answer of several parts, fake if any is, then inconclusive, then real; and all their findings.

    Args:
        parts: The answers that it is made of.
    """
    labels = [answer.label for answer in parts]
    label: Label | None = next((x for x in ("fake", "inconclusive", "real") if x in labels), None)
    return label, tuple(dict.fromkeys(f for answer in parts for f in answer.findings))


def is_at(finding: Finding, name: str) -> bool:
    """Whether a finding answers a question about a region.

    Args:
        finding: Of the face.
        name: Of the region.
    """
    return any(_same_place(region, name) for region in regions_of((finding,)))


def covers(named: Iterable[str], region: str) -> bool:
    """Whether a finding in a region answers a question about one of others.

    Args:
        named: The regions that are asked about.
        region: Of the finding.
    """
    return any(_same_place(n, region) for n in named)


def regions_of(findings: Iterable[Finding]) -> set[str]:
    """The regions that findings have places in.

    Args:
        findings: Any findings.
    """
    return {place.region for finding in findings for place in finding.places if place.region is not None}


def _same_place(place: str, asked: str) -> bool:
    """A finding answers a question about its own region, its parts, and the area that it is part of; not the face."""
    if place == "face" or asked == "face":
        return place == asked
    return regions.within(place, asked) or regions.within(asked, place)


def in_words(finding: Finding) -> str:
    """A finding with its strength.

    Args:
        finding: That is told.
    """
    return f"{graded(finding)}: {finding.claim}"


def titled(region: str) -> str:
    """A region in words; a name from outside that the tree does not have stays as it is.

    Args:
        region: Its name.
    """
    return regions.title(region) if region in regions.REGIONS else visible(region)


def counted(things: Sequence[object], noun: str) -> str:
    """How many things there are, in words: "1 moment", "1,200 moments".

    Args:
        things: That are counted.
        noun: What one of them is called.
    """
    return f"{len(things):,} {noun}{'' if len(things) == 1 else 's'}"


def lower(text: str) -> str:
    """A text with a small first letter, to stand behind another.

    Args:
        text: Any text.
    """
    return text[:1].lower() + text[1:]
