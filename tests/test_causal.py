"""Whether a score rests on a place: one that a single place makes, one that none makes, places without room."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from facewitness.explain import claimable, explain, rests_on
from facewitness.types import Face, Finding, FrameRef, Testimony, Track, Verdict
from facewitness.witnesses import _causal

S = 96
RNG = np.random.default_rng(0)


def disc(x: float, y: float, radius: float) -> NDArray[np.bool_]:
    ys, xs = np.mgrid[:S, :S]
    return np.asarray((xs - x) ** 2 + (ys - y) ** 2 <= radius**2)


FACE = disc(48, 48, 44)
CROP = np.clip(150 + RNG.normal(0, 3, (S, S, 3)), 0, 255).astype(np.uint8)


def test_a_score_that_one_place_makes_rests_on_it_and_on_no_other() -> None:
    trace = disc(30, 40, 8)
    crop = CROP.copy()
    crop[trace] = np.where((np.mgrid[:S, :S].sum(axis=0) % 2)[trace][:, None] > 0, 220, 80)  # a checkerboard

    def logits(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.array([np.abs(np.diff(c[..., 0].astype(float), axis=1)).mean() for c in crops])

    own, other = _causal.falls(crop, [trace, disc(66, 60, 8)], FACE, logits)
    assert own is not None and own > 1
    assert other is not None and abs(other) < own / 3


def test_a_score_that_no_place_makes_rests_on_none() -> None:
    assert _causal.falls(CROP, [disc(30, 40, 8)], FACE, lambda crops: np.full(len(crops), 2.5)) == [0.0]


def test_a_place_without_room_for_another_or_too_small_is_not_tried() -> None:
    def never(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        raise AssertionError("nothing was to be painted")

    assert _causal.falls(CROP, [FACE, disc(40, 40, 1), np.zeros((S, S), bool)], FACE, never) == [None, None, None]


def test_paint_leaves_the_rest_and_takes_the_colours_around() -> None:
    crop = CROP.copy()
    place = disc(48, 48, 12)
    crop[place] = (255, 0, 0)
    painted = _causal.paint(crop, place)
    far = ~disc(48, 48, 18)
    assert (painted[far] == crop[far]).all()
    assert np.abs(painted[disc(48, 48, 8)].astype(int) - 150).max() < 20


def test_what_the_score_does_not_rest_on_is_not_claimed() -> None:
    at = FrameRef(100, 100)
    finding = Finding.on("nose", (1, 1, 9, 9), None, "The nose shows traces of forgery.", 0.8, at)
    still = dataclasses.replace(finding, moves=0.0)
    moving = dataclasses.replace(finding, moves=0.7)
    assert [rests_on(f) for f in (finding, still, moving)] == [True, False, True]
    track = Track(0, (Face(at, (1, 1, 9, 9)),))
    chin = Finding.on("chin", (1, 1, 9, 9), None, "The chin shows traces of forgery.", 0.9, at)
    weak = dataclasses.replace(chin, strength=0.4, moves=0.7)
    assert claimable((still, moving, chin, weak)) == (moving,)  # others were tried, the chin was not
    assert claimable((finding, chin)) == (finding, chin)  # nothing was tried
    testimonies = (Testimony("w", 0.9, findings=(still, moving)), Testimony("v", 0.9, findings=(chin,)))
    verdict = Verdict("fake", 0.9, testimonies=testimonies)
    explanation = explain(track, dataclasses.replace(verdict))
    assert [f.region for f in explanation.findings] == ["chin", "nose"]
    assert "The score rests on the nose: painted over, it lowers the score more" in " ".join(
        s.text for s in explanation.sentences
    )
