"""The judge's laws: witnesses weighed together, thresholds that belong to an answer, honest doubts."""

from __future__ import annotations

import dataclasses
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facewitness.calibration import Calibration
from facewitness.errors import InputError
from facewitness.judge import Limits, judge, judge_file, quality, thresholds
from facewitness.types import KINDS, Face, Finding, FrameRef, Quality, Reply, Testimony, Track, Verdict

FRAME = FrameRef(64, 64)


def face(**quality) -> Track:
    return Track(0, (Face(FRAME, (8.0, 8.0, 56.0, 56.0), quality=Quality(**quality)),))


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


@pytest.mark.parametrize("score", [0.01, 0.5, 0.99, None])
def test_what_looks_drawn_is_not_decided(score):
    verdict = judge(face(), [said(score)], {"w": calibration()}, drawn="It looks drawn.")
    assert (verdict.label, verdict.cause, verdict.interval) == ("inconclusive", "drawn", None)
    assert "It looks drawn." in verdict.reasons and verdict.is_unjudged
    damaged = judge(face(), [said(score)], {"w": calibration()}, damage="A part is missing.", drawn="It looks drawn.")
    assert damaged.cause == "quality" and {"A part is missing.", "It looks drawn."} <= set(damaged.reasons)


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


def logit_of(p: float) -> float:
    return math.log(p / (1 - p))


def kinds(name: str) -> dict[str, float]:
    return {kind: 0.7 if kind == name else 0.1 for kind in KINDS}


def test_a_score_counts_as_was_measured_for_the_kind_that_another_witness_names():
    knows = dataclasses.replace(calibration(), kinds={"entire_synthesis": {"slope": 1.0, "offset": 2.0}})
    blind = dataclasses.replace(calibration(), kinds={"entire_synthesis": {"slope": 0.0, "offset": 0.0}})
    names = dataclasses.replace(said(0.95, "b"), kind=kinds("entire_synthesis"))
    calibrations = {"a": knows, "b": calibration()}
    higher = judge(face(), [said(0.5, "a"), names], calibrations)
    assert logit_of(higher.fake) == pytest.approx((2.0 + logit_of(0.95)) / 2, abs=1e-4)
    alone = judge(face(), [said(0.1, "a"), names], {"a": blind, "b": calibration()})
    assert alone.fake == pytest.approx(0.95) and alone.label == "fake", "a's low score is no evidence"
    assert any("a was measured to tell nothing of faces that a generator made" in reason for reason in alone.reasons)
    other = dataclasses.replace(names, kind=kinds("identity_exchange"))
    assert judge(face(), [said(0.1, "a"), other], {"a": blind, "b": calibration()}).cause == "contradiction"
    genuine = dataclasses.replace(names, kind=kinds("pristine"))
    assert judge(face(), [said(0.5, "a"), genuine], calibrations).fake < higher.fake, "pristine names no kind"


def test_where_witnesses_contradict_each_other_the_reason_says_who_was_right_how_often():
    a = dataclasses.replace(calibration(), against={"b": {"cases": 40, "right": 31}})
    verdict = judge(face(), [said(0.99, "a"), said(0.1, "b")], {"a": a, "b": calibration()})
    assert "contradicted each other on 40 held-out faces, a was right 31 times." in verdict.reasons[0]


def test_witnesses_that_contradict_each_other_are_inconclusive_whatever_the_mean():
    both = {"a": calibration(), "b": calibration()}
    verdict = judge(face(), [said(0.9999, "a"), said(0.15, "b")], both)
    assert verdict.fake > 0.8
    assert verdict.label == "inconclusive"
    assert verdict.cause == "contradiction"
    assert "contradict each other: a (> 99 %) for fake, b (15 %) for real" in verdict.reasons[0]


@pytest.mark.parametrize(("score", "score_says", "words"), [(0.97, "fake", "real"), (0.05, "real", "fake")])
def test_a_witness_whose_words_contradict_its_score_leaves_it_open_and_the_reason_says_why(score, score_says, words):
    def with_words(label):
        return Testimony("kfd", score, reply=Reply(label, parts=("…",)))

    assert judge(face(), [with_words(score_says)], {"kfd": calibration()}).label == score_says
    assert judge(face(), [with_words(None)], {"kfd": calibration()}).label == score_says
    verdict = judge(face(), [with_words(words)], {"kfd": calibration()})
    assert verdict.label == "inconclusive" and verdict.fake == pytest.approx(score)
    assert verdict.reasons[0].startswith("The witness kfd contradicts itself") and f"for {words}" in verdict.reasons[0]
    second = [with_words(words), said(score, "other")]
    assert judge(face(), second, {"kfd": calibration(), "other": calibration()}).label == "inconclusive"
    unheard = judge(face(), second, {"other": calibration()})
    assert unheard.label == score_says, "a witness without a calibration decides nothing, nor do its words"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=4), st.floats(0, 1))
def test_views_that_agree_change_no_verdict_and_the_interval_reaches_as_far_as_they_do(scores, score):
    alone = judge(face(), [said(score)], {"w": calibration()})
    labels = {calibration().label(calibration().apply(view)[0]) for view in scores}
    seen = dataclasses.replace(said(score), views={f"view {i}": view for i, view in enumerate(scores)})
    verdict = judge(face(), [seen], {"w": calibration()})
    if {"fake", "real"} <= labels:
        assert (verdict.label, verdict.cause) == ("inconclusive", "contradiction")
    else:
        assert dataclasses.replace(verdict, testimonies=()).reasons == alone.reasons
        assert (verdict.label, verdict.fake) == (alone.label, alone.fake)
        views = [calibration().apply(view)[0] for view in scores]
        (low, high), (least, most) = alone.interval, verdict.interval
        assert (least, most) == pytest.approx((min(low, *views), max(high, *views)))


def test_views_that_part_leave_it_open_and_the_reason_says_which():
    views = {"as it is": 0.97, "smaller": 0.5, "saved again": 0.9, "wider and mirrored": 0.04}
    seen = dataclasses.replace(said(0.9), views=views)
    verdict = judge(face(), [seen], {"w": calibration()})
    assert (verdict.label, verdict.cause, verdict.fake) == ("inconclusive", "contradiction", pytest.approx(0.9))
    assert verdict.reasons[0] == (
        "The views of the face contradict each other: w finds it fake as it is (97 %) and saved again (90 %), and "
        "without a sign of forgery wider and mirrored (4 %)."
    )
    half = dataclasses.replace(calibration(), slope=0.4)  # each view by its calibrated probability
    assert judge(face(), [dataclasses.replace(seen, fake=0.99)], {"w": half}).label == "fake"
    unheard = judge(face(), [seen, said(0.95, "other")], {"other": calibration()})
    assert unheard.label == "fake", "without a calibration nobody knows what a view says"


def test_words_against_an_undecided_score_are_no_contradiction():
    undecided = Testimony("kfd", 0.5, reply=Reply("fake", parts=("…",)))
    verdict = judge(face(), [undecided], {"kfd": calibration()})
    assert verdict.label == "inconclusive" and "contradicts" not in " ".join(verdict.reasons)


def test_what_was_weighed_under_a_hypothesis_contradicts_nothing():
    sides = (Reply("real", parts=("…",), hypothesis="real"), Reply("fake", parts=("…",), hypothesis="fake"))
    verdict = judge(face(), [Testimony("ffaa", 0.97, reply=sides[1], considered=sides)], {"ffaa": calibration()})
    assert verdict.label == "fake"


def test_nothing_measured_is_none_and_the_cause_says_why():
    for testimonies, word, cause in (
        ([], "No witness", "silent"),
        ([said(None)], "would not say", "silent"),
        ([said(0.9, "x")], "no calibration", "uncalibrated"),
    ):
        verdict = judge(face(), testimonies, {"w": calibration()})
        assert (verdict.label, verdict.fake, verdict.interval) == ("inconclusive", None, None)
        assert verdict.cause == cause
        assert word in " ".join(verdict.reasons)


def test_an_uncalibrated_witness_does_not_move_a_calibrated_one():
    alone = judge(face(), [said(0.9)], {"w": calibration()})
    joined = judge(face(), [said(0.9), said(0.0, "x")], {"w": calibration()})
    assert (joined.label, joined.fake) == (alone.label, alone.fake)
    assert any("x has no calibration" in reason for reason in joined.reasons)


def test_a_poor_face_needs_stronger_evidence_and_a_useless_one_gets_none():
    words = {"reasons": ("the face is only 40 px wide", "strong blur")}
    good, poor, useless = (
        judge(face(score=score, **words), [said(0.82)], {"w": calibration()}) for score in (0.98, 0.9, 0.05)
    )
    assert (good.label, poor.label, useless.label) == ("fake", "inconclusive", "inconclusive")
    assert any("only 40 px wide; strong blur" in reason for reason in poor.reasons)
    assert "cannot be judged" in useless.reasons[0]
    assert (good.cause, poor.cause, useless.cause) == (None, "band", "quality")
    assert good.thresholds == (0.2, 0.8) and useless.thresholds is None
    assert poor.thresholds[0] < 0.2 and poor.thresholds[1] > 0.8
    assert useless.fake == pytest.approx(0.82)
    assert useless.interval is None
    strong = judge(face(score=0.9, **words), [said(0.83)], {"w": calibration()})
    assert strong.label == "fake"  # 0.8 has odds of 4; (0.97 / 0.9)^2 = 1.16 times as strong is 0.823


def test_a_poor_picture_hides_traces_so_that_clearing_a_face_takes_more_than_accusing_it():
    """Odds of 1/4 and 4, with a quality of half the bound."""
    limits = Limits(doubtful=0.9, steepness=3.0, steepness_fake=1.0)
    low, high = judge(face(score=0.45), [said(0.5)], {"w": calibration()}, limits).thresholds
    assert low / (1 - low) == pytest.approx(1 / 4 / 2**3) and high / (1 - high) == pytest.approx(4 * 2)
    labels = [judge(face(score=0.45), [said(p)], {"w": calibration()}, limits).label for p in (0.02, 0.1, 0.85, 0.95)]
    assert labels == ["real", "inconclusive", "inconclusive", "fake"]


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
    for name in ("steepness", "steepness_fake"):
        with pytest.raises(InputError, match=f"{name} of at least 0, got -1"):
            Limits(**{name: -1})
    assert judge(face(score=0.0), [said(0.9)], {"w": calibration()}, Limits(0.0, 0.0)).label == "fake"
    assert judge(face(score=0.5), [said(0.85)], {"w": calibration()}, Limits(steepness_fake=0.0)).label == "fake"


def test_a_damaged_picture_gets_no_verdict_however_strong_the_evidence():
    verdict = judge(face(), [said(0.99)], {"w": calibration()}, damage="Half of its rows are missing.")
    assert (verdict.label, verdict.cause, verdict.interval) == ("inconclusive", "quality", None)
    assert verdict.reasons[0] == "Half of its rows are missing."


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_the_pooled_quality_of_a_person_lies_between_that_of_its_faces(scores):
    box = (8.0, 8.0, 56.0, 56.0)
    faces = tuple(Face(FrameRef(64, 64, i), box, quality=Quality(score=q)) for i, q in enumerate(scores))
    assert min(scores) - 1e-9 <= quality(Track(0, faces)) <= max(scores) + 1e-9


@given(st.floats(0.001, 0.999))
def test_a_reason_never_says_that_a_number_is_below_itself(p):
    verdict = judge(face(), [said(p)], {"w": calibration(0.3004, 0.9496)})
    shown = [float(n) for n in re.findall(r"([\d.]+) %", verdict.reasons[0])]
    if "below" in verdict.reasons[0]:
        assert shown[0] < shown[1]
    elif "between" in verdict.reasons[0]:
        assert shown[1] <= shown[0] < shown[2] or p == pytest.approx(0.3004)
    else:
        assert shown[0] >= shown[1]


# --------------------------------------------------------------------------------------------------------- a file


def verdict(label: str, fake: float | None = 0.5, why: str = "because") -> Verdict:
    return Verdict(label, fake, None if fake is None else (fake, fake), reasons=(why,))


def test_one_person_is_the_file():
    only = judge_file([verdict("fake", 0.9)])
    assert (only.label, only.fake, only.reasons) == ("fake", 0.9, ("because",))


def test_several_people_have_counts_and_no_probability():
    whole = judge_file([verdict("real", 0.1), verdict("inconclusive", 0.95), verdict("fake", 0.9)])
    assert (whole.label, whole.fake, whole.interval) == ("fake", None, None)
    assert whole.reasons[:3] == (
        "3 faces: 1 no sign, 1 undecided, 1 fake.",
        "Face 3 is judged fake.",
        "Face 2 is not decided.",
    )
    dozen = judge_file([verdict("real", 0.1)] * 6 + [verdict("inconclusive", 0.8)] * 6)
    assert (dozen.label, dozen.fake) == ("inconclusive", None)
    assert dozen.reasons[0] == "12 faces: 6 no sign, 6 undecided, 0 fake."


def test_many_faces_are_warned_of_false_alarms():
    whole = judge_file([verdict("fake", 0.9)] + [verdict("real", 0.1)] * 29, genuine_called_fake=0.05)
    assert any("79 % of pictures" in reason for reason in whole.reasons)  # 1 - 0.95 ** 30


def test_a_file_shows_no_sign_only_when_nobody_does():
    assert judge_file([verdict("real"), verdict("inconclusive", None)]).label == "inconclusive"
    whole = judge_file([verdict("real", 0.1), verdict("real", 0.15)])
    assert (whole.label, whole.reasons) == ("real", ("2 faces: 2 no sign, 0 undecided, 0 fake.",))


@given(st.lists(st.sampled_from(["fake", "real", "inconclusive"]), min_size=1, max_size=12), st.randoms())
def test_the_order_of_people_does_not_matter(labels, random):
    shuffled = random.sample(labels, len(labels))
    a, b = (judge_file([verdict(label) for label in order]) for order in (labels, shuffled))
    assert (a.label, a.fake) == (b.label, b.fake)


def test_nobody_is_no_verdict_unless_the_file_tells_by_itself():
    assert judge_file([]) is None
    claim = Finding.on(None, FRAME.box, None, "The file is signed by a generator.", None, FRAME)
    silent, signed = Testimony("papers", None, findings=(claim,)), Testimony("papers", 1.0, findings=(claim,))
    assert judge_file([], decisive=[silent]) is None
    whole = judge_file([verdict("real", 0.1)], decisive=[signed])
    assert whole.label == "fake" and whole.reasons == ("The file is signed by a generator.",)
    assert judge_file([], decisive=[signed]).label == "fake"
