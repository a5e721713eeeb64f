"""Scores over time: intervals that respect neighbours, stretches, clocks; and what verdicts make of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facewitness import overtime
from facewitness.calibration import Calibration
from facewitness.explain import explain
from facewitness.judge import judge, timeline
from facewitness.types import Face, Finding, FrameRef, Moment, Place, Quality, Testimony, Track


def moments(scores, step=1.0):
    return tuple(Moment(FrameRef(64, 64, i, i * step), score) for i, score in enumerate(scores))


@given(st.lists(st.floats(0, 1), min_size=4, max_size=60), st.integers(0, 9))
def test_an_interval_holds_the_mean_and_repeats(scores, seed):
    weights = np.random.default_rng(seed).uniform(0.1, 1, len(scores))
    low, high = overtime.mean_interval(scores, weights)
    assert 0 <= low <= np.average(scores, weights=weights) + 1e-12
    assert np.average(scores, weights=weights) - 1e-12 <= high <= 1 + 1e-12
    assert overtime.mean_interval(scores, weights) == (low, high)
    assert 1 <= overtime.effective(scores) <= len(scores)


def test_neighbours_that_agree_widen_the_interval_as_far_as_they_should():
    rng, inside, naive, rho = np.random.default_rng(0), 0, 0, 0.7
    for _ in range(200):  # a first-order process around 0.5: its mean is known
        steps = rng.normal(0, 0.1, 80)
        scores = [0.5 + steps[0] / np.sqrt(1 - rho**2)]
        for step in steps[1:]:
            scores.append(0.5 + rho * (scores[-1] - 0.5) + step)
        low, high = overtime.mean_interval(scores, [1.0] * 80, draws=300)
        inside += low <= 0.5 <= high
        half = 1.96 * np.std(scores) / np.sqrt(80)
        naive += abs(np.mean(scores) - 0.5) <= half
    assert naive < 140 and inside > 165  # of 200; 190 would be 95 %


def test_too_few_scores_have_no_interval():
    assert overtime.mean_interval([0.2, 0.9, 0.4], [1, 1, 1]) is None


def test_stretches_are_found_and_odd_frames_are_not():
    series = moments([0.1, 0.1, 0.9, 0.9, 0.1, 0.9, 0.9, 0.1, 0.1, 0.95, 0.1, None, 0.1])
    (found,) = overtime.stretches(series, 0.8)
    assert (found.start, found.end, found.moments, found.words) == (2, 6, 5, "0:02 to 0:06")
    assert overtime.share(series, [found]) == pytest.approx(5 / 12)
    assert overtime.stretches(moments([0.9, 0.9]), 0.8) == () == overtime.stretches((), 0.5)


def test_runs_join_what_no_other_moment_parts():
    judged = [0, 1, 2, 3, 4, 5, 6]
    assert overtime.runs([1, 2, 3, 6], judged) == ((1, 3), (6, 6))


def test_clock():
    assert [overtime.clock(s) for s in (0, 7.4, 59.9, 760, 3723)] == ["0:00", "0:07", "0:59", "12:40", "1:02:03"]


# -------------------------------------------------------------------------------------- in a verdict and its words


def calibration(**changes):
    given = {
        "slope": 1.0, "offset": 0.0, "knots": (-8.0, 0.0, 8.0), "low": (0.0, 0.45, 0.99), "high": (0.01, 0.55, 1.0),
        "real_below": 0.3, "fake_above": 0.7, "genuine_called_fake": 0.05, "fakes_called_real": 0.05, "fakes": 0.5,
        "rows": 100, "groups": 50, "rates": {},
    }  # fmt: skip
    return Calibration(**(given | changes))


def track_of(count):
    faces = (Face(FrameRef(64, 64, i, float(i)), (0, 0, 60, 60), None, Quality(score=1.0)) for i in range(count))
    return Track(0, tuple(faces))


def said(scores, findings=()):
    return Testimony("w", float(np.mean(scores)), series=moments(scores), findings=findings)


def test_frames_that_swing_widen_a_films_interval():
    track, calibrations = track_of(12), {"w": calibration()}
    steady, swinging = (judge(track, [said(scores)], calibrations).interval for scores in ([0.6] * 12, [0.2, 1.0] * 6))
    assert swinging[1] - swinging[0] > 1.3 * (steady[1] - steady[0])


def test_a_film_that_is_forged_in_part_is_not_called_real():
    scores = [0.05] * 24 + [0.95] * 4 + [0.05] * 4
    verdict = judge(track_of(32), [said(scores)], {"w": calibration()})
    assert (verdict.label, verdict.cause) == ("inconclusive", "contradiction")
    assert "At 12 % of the moments that were judged the face looks forged, 0:24 to 0:27" in verdict.reasons[1]
    fake = judge(track_of(32), [said([0.1] * 4 + [0.95] * 28)], {"w": calibration()})
    assert fake.label == "fake" and "at 88 % of the moments that were judged: 0:04 to 0:31" in fake.reasons[1]


def test_a_timeline_weighs_witnesses_moment_by_moment():
    other = Testimony("v", 0.5, series=moments([0.5, None, 0.5]))
    line = timeline([said([0.5, 0.9, 0.8]), other, Testimony("x", 0.2, series=moments([0.1] * 3))],
                    {"w": calibration(), "v": calibration()})  # fmt: skip
    assert [m.fake for m in line] == pytest.approx([0.5, 0.9, 2 / 3])
    assert timeline([Testimony("w", 0.4)], {"w": calibration()}) == ()


def test_sentences_name_times():
    track = track_of(10)
    places = tuple(Place(FrameRef(64, 64, i, float(i)), "mouth", (0, 0, 9, 9)) for i in (2, 3, 4, 8))
    finding = Finding(places, "The mouth shows traces of forgery.", 0.8)
    verdict = judge(track, [said([0.9] * 10, (finding,))], {"w": calibration()})
    (sentence,) = [s for s in explain(track, verdict).sentences if s.findings]
    assert sentence.text.endswith("The mouth shows traces of forgery. It is seen at 0:02 to 0:04 and 0:08.")
