"""Scores: one reply and the truth give one number, a column of the benchmark and a reward in training.

Each leaf has `score(reply, truth) -> float | None` in [0, 1], 1 is best. It is pure and quick and never raises on a
reply, however odd. None where the truth does not say enough to judge; a reply cannot get out of being judged by what
it says or leaves out (only `side` is None for a text that names no side). As a reward, None adds nothing.

No single score is the whole story: `boxes` does not see regions that are too many, `coverage` does not see claims that
are wrong. What each one cannot see stands in its docstring, with the score that does.

A reply's verdict is its `label`: its grammar has read it, by `words.verdict`. What else several leaves need of a reply
stands here: its regions in MARE's words, its boxes if they are boxes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

from facewitness.regions import REGIONS  # not the module: a leaf of this family has its name
from facewitness.types import Box, Finding, Truth

_LARGEST = 1e6  # pixels: no frame is larger
_THINNEST = 1e-3  # pixels: a thinner box shows nothing, and its area is lost in rounding


def placed(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Findings with one place each: one that has several on the frame to look at first is as many claims.

    Args:
        findings: The findings.
    """
    for finding in findings:
        for place in finding.here:
            yield Finding((place,), finding.claim, finding.strength)


def mare(region: str | None) -> tuple[str, ...]:
    """MARE's names of a region of the tree: "left_upper_eyelid" is the left eye, "eyes" are two.

    Empty where MARE has no word (the neck), and for a place that is no region. A name the tree does not have is given
    back as it is: an invented region is no part of any truth, so it counts against the reply wherever regions are
    counted.

    Args:
        region: A name of a region, in any spelling; None for none.
    """
    if region is None:
        return ()
    known = REGIONS.get("_".join(re.split(r"[\s_-]+", str(region).strip().lower())))
    return (str(region),) if known is None else known.mare


def by_region(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """MARE's name → the findings that name it; "eyes" stands under both eyes.

    Args:
        findings: The findings.

    Returns:
        Name → findings.
    """
    findings_of: dict[str, list[Finding]] = {}
    for finding in placed(findings):
        for name in mare(finding.region):
            findings_of.setdefault(name, []).append(finding)
    return findings_of


def forged_regions(truth: Truth) -> frozenset[str] | None:
    """MARE's names of what is forged: none on a pristine face; None for a fake of which the truth names no region.

    Args:
        truth: What is known of the picture.
    """
    if truth.label == "real":
        return frozenset()
    return frozenset(name for region in truth.regions or () for name in mare(region)) or None


def usable(box: Any) -> Box | None:
    """The box as four floats; None for one that is no box: not finite, swapped, larger than any frame, too thin.

    Args:
        box: Four numbers (x1, y1, x2, y2) in pixels of the frame, or anything else.
    """
    try:
        x1, y1, x2, y2 = (float(v) for v in box)
    except (TypeError, ValueError, OverflowError):
        return None
    if not all(math.isfinite(v) and abs(v) <= _LARGEST for v in (x1, y1, x2, y2)):
        return None
    return (x1, y1, x2, y2) if x2 - x1 >= _THINNEST and y2 - y1 >= _THINNEST else None


def mean(values: Iterable[float]) -> float:
    """The mean of at least one value, the same in any order.

    Args:
        values: At least one.
    """
    numbers = list(values)
    return math.fsum(numbers) / len(numbers)


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """|a ∩ b| / |a ∪ b|; 0 where both are empty.

    Args:
        a: Names.
        b: Names.
    """
    return len(a & b) / len(a | b) if a or b else 0.0
