"""From a witness that looks at one face to its testimony on a person, who has many faces in a film."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from facewitness import surface
from facewitness.types import Clip, Face, Finding, Moment, Pixels, Place, Testimony, Track

KEPT = 64  # masks of a series, and places of a finding: what is shown of a film, however long it is


def over(track: Track, clip: Clip, look: Callable[[Face, Pixels], Testimony]) -> Testimony:
    """What a witness says of a person, from what it says of each face.

    Args:
        track: the person's faces. A photo's one face gives its testimony as it is.
        clip: holds the pixels.
        look: one face and the whole frame's pixels (H, W, 3) → the testimony on that face.

    Returns:
        The testimony. Over several faces its score and kind are their means weighted by quality, `series` holds each
        one's score, the mask is that of the face that can be judged best, and a region that is named in several frames
        is one finding with a place in each, strongest first, with the mean of their strengths. Of a long film the KEPT
        highest scores have their masks, and a finding its KEPT strongest places: memory has a bound.
    """
    moments: list[Moment] = []
    gathered = _Gathered()
    best: Testimony | None = None
    first: Testimony | None = None
    weighed = total = 0.0
    kinds: dict[str, float] = {}
    kinds_total = 0.0
    problems: dict[str, None] = {}
    notes: dict[str, None] = {}
    shown = track.face  # asked for once: it looks through all faces
    for face in track.faces:
        pixels = clip.at(face.at).pixels
        testimony = look(face, pixels)
        if len(track.faces) > 1 and testimony.findings:  # a photo's face comes with what is unseen of it
            testimony = surface.without_unseen(testimony, (surface.seen(face, pixels),))
        first = first or testimony
        best = testimony if face is shown else best
        if testimony.fake is not None:
            weighed, total = weighed + _weight(face) * testimony.fake, total + _weight(face)
        if testimony.kind is not None:
            kinds_total += _weight(face)
            for name, share in testimony.kind.items():
                kinds[name] = kinds.get(name, 0.0) + _weight(face) * share
        if testimony.problem:
            problems[testimony.problem] = None
        notes |= dict.fromkeys(testimony.notes)
        gathered.add(testimony.findings)
        moments.append(Moment(face.at, testimony.fake, testimony.mask))
        if len(moments) > 2 * KEPT:
            moments = _with_masks(moments)
    if len(moments) == 1 and first is not None:
        return first
    assert best is not None  # the best face is one of them
    return replace(
        best,
        fake=weighed / total if total > 0.0 else None,
        kind={name: share / kinds_total for name, share in kinds.items()} if kinds_total > 0.0 else None,
        findings=gathered.findings(),
        series=tuple(_with_masks(moments)),
        views=None,  # those of one face
        problem=" ".join(problems),
        notes=tuple(notes),
    )


def _with_masks(moments: list[Moment]) -> list[Moment]:
    """The same moments with a mask at KEPT of them, those with the highest scores: a long film has thousands."""
    masked = sorted((m for m in moments if m.mask is not None), key=lambda m: -1.0 if m.fake is None else m.fake)
    dropped = {id(moment) for moment in masked[:-KEPT]}
    return [replace(moment, mask=None) if id(moment) in dropped else moment for moment in moments]


def _weight(face: Face) -> float:
    return 1.0 if face.quality.score is None else face.quality.score


class _Gathered:
    """Findings on the same region as one; of the places those KEPT stay that stand on the strongest findings."""

    def __init__(self) -> None:
        self.strongest: dict[str | None, list[Finding]] = {}
        self.measured: dict[str | None, list[float]] = {}

    def add(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            same = self.strongest.setdefault(finding.region, [])
            same.append(finding)
            if len(same) > 2 * KEPT:
                same.sort(key=lambda finding: finding.rank, reverse=True)
                del same[KEPT:]
            if finding.strength is not None:
                self.measured.setdefault(finding.region, []).append(finding.strength)

    def findings(self) -> tuple[Finding, ...]:
        """One a region, with the mean of the strengths and all its places; the strongest first."""
        merged = []
        for region, same in self.strongest.items():
            same.sort(key=lambda finding: finding.rank, reverse=True)
            places: tuple[Place, ...] = tuple(place for finding in same[:KEPT] for place in finding.places)
            strengths = self.measured.get(region, [])
            merged.append(Finding(places, same[0].claim, sum(strengths) / len(strengths) if strengths else None))
        return tuple(sorted(merged, key=lambda finding: finding.rank, reverse=True))
