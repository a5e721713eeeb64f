"""The judge's laws: witnesses weighed together, thresholds that belong to an answer, honest doubts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facewitness.calibration import Calibration
from facewitness.errors import InputError
from facewitness.judge import Limits, judge, judge_picture, thresholds
from facewitness.types import Face, Frame, Quality, Reply, Testimony, Verdict

FRAME = Frame(np.zeros((64, 64, 3), np.uint8))


def face(**quality) -> Face:
    return Face(FRAME, (8.0, 8.0, 56.0, 56.0), quality=Quality(**quality))


def said(score: float | None, witness: str = "w") -> Testimony:
    return Testimony(witness, score)


def calibration(
    real_below: float = 0.2, fake_above: float = 0.8, slope: float = 1.0, offset: float = 0.0
) -> Calibration:
    """With slope 1 and offset 0 a raw score is its own probability."""
    return Calibration(
        slope, offset, (0.0,), (0.4,), (0.6,), real_below, fake_above, 0.05, 0.05, 0.5, 100, 50, {}
    )  # fmt: skip


# -------------------------------------------------------------------------------------------------------- a face


@pytest.mark.parametrize(("score", "label"), [(0.1, "real"), (0.5, "inconclusive"), (0.81, "fake"), (0.99, "fake")])
def test_one_witness_decides_by_its_thresholds_and_the_reason_says_so(score, label):
    verdict = judge(face(), [said(score)], {"w": calibration()})
    assert verdict.label == label
    assert verdict.fake == pytest.approx(score)
    low, high = verdict.interval
    assert low <= verdict.fake <= high
    assert "80 %" in verdict.reasons[0] or "20 %" in verdict.reasons[0]


def test_thresholds_belong_to_the_upper_answer():
    assert calibration().label(0.8) == "fake"
    assert calibration().label(0.2) == "inconclusive"


@given(a=st.floats(0, 1), b=st.floats(0, 1))
def test_two_witnesses_lie_between_their_own_probabilities(a, b):
    both = {"a": calibration(), "b": calibration()}
    verdict = judge(face(), [said(a, "a"), said(b, "b")], both)
    assert min(a, b) - 1e-5 <= verdict.fake <= max(a, b) + 1e-5
    one = judge(face(), [said(a, "a"), said(a, "b")], both)
    assert one.fake == pytest.approx(a, abs=1e-5)  # the same trace twice counts once


def test_thresholds_of_several_witnesses_are_mean_odds():
    real, fake = thresholds([calibration(0.2, 0.8), calibration(0.2, 0.8)])
    assert (real, fake) == (pytest.approx(0.2), pytest.approx(0.8))
    assert thresholds([calibration(0.31, 0.83)]) == (0.31, 0.83)


def test_witnesses_that_contradict_each_other_are_inconclusive_whatever_the_mean():
    both = {"a": calibration(), "b": calibration()}
    verdict = judge(face(), [said(0.9999, "a"), said(0.15, "b")], both)
    assert verdict.fake > 0.8
    assert verdict.label == "inconclusive"
    assert "contradict each other: a (> 99 %) for fake, b (15 %) for real" in verdict.reasons[0]


@pytest.mark.parametrize(("score", "score_says", "words"), [(0.97, "fake", "real"), (0.05, "real", "fake")])
def test_a_witness_whose_words_contradict_its_score_leaves_it_open_and_the_reason_says_why(score, score_says, words):
    def with_words(label):
        return Testimony("kfd", score, replies=(Reply(label, text="…"),))

    assert judge(face(), [with_words(score_says)], {"kfd": calibration()}).label == score_says
    assert judge(face(), [with_words(None)], {"kfd": calibration()}).label == score_says
    verdict = judge(face(), [with_words(words)], {"kfd": calibration()})
    assert verdict.label == "inconclusive" and verdict.fake == pytest.approx(score)
    assert verdict.reasons[0].startswith("The witness kfd contradicts itself") and f"for {words}" in verdict.reasons[0]
    second = [with_words(words), said(score, "other")]
    assert judge(face(), second, {"kfd": calibration(), "other": calibration()}).label == "inconclusive"
    unheard = judge(face(), second, {"other": calibration()})
    assert unheard.label == score_says, "a witness without a calibration decides nothing, nor do its words"


def test_words_against_an_undecided_score_are_no_contradiction():
    undecided = Testimony("kfd", 0.5, replies=(Reply("fake", text="…"),))
    verdict = judge(face(), [undecided], {"kfd": calibration()})
    assert verdict.label == "inconclusive" and "contradicts" not in " ".join(verdict.reasons)


def test_nothing_measured_is_none():
    for testimonies, word in (
        ([], "No witness"),
        ([said(None)], "would not say"),
        ([said(0.9, "x")], "no calibration"),
    ):
        verdict = judge(face(), testimonies, {"w": calibration()})
        assert (verdict.label, verdict.fake, verdict.interval) == ("inconclusive", None, None)
        assert word in " ".join(verdict.reasons)


def test_an_uncalibrated_witness_does_not_move_a_calibrated_one():
    alone = judge(face(), [said(0.9)], {"w": calibration()})
    joined = judge(face(), [said(0.9), said(0.0, "x")], {"w": calibration()})
    assert (joined.label, joined.fake) == (alone.label, alone.fake)
    assert any("x has no calibration" in reason for reason in joined.reasons)


def test_a_poor_face_needs_stronger_evidence_and_a_useless_one_gets_none():
    words = {"reasons": ("the face is only 40 px wide", "strong blur")}
    good, poor, useless = (
        judge(face(score=score, **words), [said(0.85)], {"w": calibration()}) for score in (0.98, 0.9, 0.05)
    )
    assert (good.label, poor.label, useless.label) == ("fake", "inconclusive", "inconclusive")
    assert any("only 40 px wide; strong blur" in reason for reason in poor.reasons)
    assert "cannot be judged" in useless.reasons[0]
    assert useless.fake == pytest.approx(0.85)
    assert useless.interval is None
    strong = judge(face(score=0.9, **words), [said(0.95)], {"w": calibration()})
    assert strong.label == "fake"  # 0.8 has odds of 4; (0.97 / 0.9)^10 = 2.1 times as strong is 0.89


@given(score=st.floats(0, 1), better=st.floats(0, 1), p=st.floats(0, 1))
def test_a_better_face_never_loses_a_verdict(score, better, p):
    worse, best = sorted((score, better))
    poor, good = (judge(face(score=q), [said(p)], {"w": calibration()}) for q in (worse, best))
    assert poor.label in (good.label, "inconclusive")


def test_quality_that_was_not_measured_raises_no_doubt():
    assert judge(face(), [said(0.9)], {"w": calibration()}).label == "fake"


def test_limits_are_ordered():
    with pytest.raises(InputError, match="unusable <= doubtful"):
        Limits(doubtful=0.1, unusable=0.5)
    with pytest.raises(InputError, match="steepness of at least 0, got -1"):
        Limits(steepness=-1)
    assert judge(face(score=0.0), [said(0.9)], {"w": calibration()}, Limits(0.0, 0.0)).label == "fake"
    assert judge(face(score=0.5), [said(0.85)], {"w": calibration()}, Limits(steepness=0.0)).label == "fake"


# ------------------------------------------------------------------------------------------------------ a picture


def verdict(label: str, fake: float | None = 0.5, why: str = "because") -> Verdict:
    return Verdict(label, fake, None if fake is None else (fake, fake), (why,))


def test_one_face_is_the_picture():
    only = judge_picture([verdict("fake", 0.9)])
    assert (only.label, only.fake, only.reasons) == ("fake", 0.9, ("because",))


def test_one_fake_face_makes_a_fake_picture_and_the_reasons_number_it():
    whole = judge_picture([verdict("real", 0.1), verdict("inconclusive", 0.95), verdict("fake", 0.9)])
    assert (whole.label, whole.fake, whole.interval) == ("fake", 0.9, (0.9, 0.9))
    assert "Face 3 of 3 is judged fake." in whole.reasons
    assert "Face 2 of 3 is not decided." in whole.reasons


def test_many_faces_are_warned_of_false_alarms():
    whole = judge_picture([verdict("fake", 0.9)] + [verdict("real", 0.1)] * 29, genuine_called_fake=0.05)
    assert any("79 % of pictures" in reason for reason in whole.reasons)  # 1 - 0.95 ** 30


def test_a_picture_is_real_only_when_every_face_is():
    assert judge_picture([verdict("real"), verdict("inconclusive", None)]).label == "inconclusive"
    whole = judge_picture([verdict("real", 0.1), verdict("real", 0.15)])
    assert (whole.label, whole.fake) == ("real", 0.15)
    assert whole.reasons == ("All 2 faces are judged real.",)


@given(st.lists(st.sampled_from(["fake", "real", "inconclusive"]), min_size=1, max_size=12), st.randoms())
def test_the_order_of_faces_does_not_matter(labels, random):
    shuffled = random.sample(labels, len(labels))
    a, b = (judge_picture([verdict(label) for label in order]) for order in (labels, shuffled))
    assert (a.label, a.fake) == (b.label, b.fake)


def test_no_face_is_no_verdict():
    with pytest.raises(InputError, match="no verdict"):
        judge_picture([])
