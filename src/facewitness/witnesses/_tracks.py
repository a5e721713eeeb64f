"""From a witness that looks at one face to its testimony on a person, who has many faces in a film."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from facewitness.types import Clip, Face, Finding, Moment, Pixels, Place, Testimony, Track


def over(track: Track, clip: Clip, look: Callable[[Face, Pixels], Testimony]) -> Testimony:
    """What a witness says of a person, from what it says of each face.

    Args:
        track: the person's faces. A photo's one face gives its testimony as it is.
        clip: holds the pixels.
        look: one face and the whole frame's pixels (H, W, 3) → the testimony on that face.

    Returns:
        The testimony. Over several faces its score is their mean weighted by quality, `series` holds each one's,
        mask and kind are those of the face that can be judged best, and a region that is named in several frames is
        one finding with a place in each, strongest first, with the mean of their strengths.
    """
    each = [(face, look(face, clip.at(face.at).pixels)) for face in track.faces]
    if len(each) == 1:
        return each[0][1]
    best = next(testimony for face, testimony in each if face is track.face)
    scored = [(_weight(face), testimony.fake) for face, testimony in each if testimony.fake is not None]
    total = sum(weight for weight, _ in scored)
    fake = sum(weight * score for weight, score in scored) / total if total > 0.0 else None
    problems = dict.fromkeys(testimony.problem for _, testimony in each if testimony.problem)
    return replace(
        best,
        fake=fake,
        findings=_gathered([finding for _, testimony in each for finding in testimony.findings]),
        series=tuple(Moment(face.at, testimony.fake, testimony.mask) for face, testimony in each),
        problem=" ".join(problems),
    )


def _weight(face: Face) -> float:
    return 1.0 if face.quality.score is None else face.quality.score


def _gathered(findings: list[Finding]) -> tuple[Finding, ...]:
    """Findings on the same region as one, with all their places; the region with the most strength first."""
    by_region: dict[str | None, list[Finding]] = {}
    for finding in sorted(findings, key=_strength, reverse=True):
        by_region.setdefault(finding.region, []).append(finding)
    gathered = []
    for same in by_region.values():
        strengths = [finding.strength for finding in same if finding.strength is not None]
        places: tuple[Place, ...] = tuple(place for finding in same for place in finding.places)
        gathered.append(Finding(places, same[0].claim, sum(strengths) / len(strengths) if strengths else None))
    return tuple(sorted(gathered, key=_strength, reverse=True))


def _strength(finding: Finding) -> float:
    return -1.0 if finding.strength is None else finding.strength
