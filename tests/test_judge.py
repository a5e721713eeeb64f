"""The judge's laws: probabilities that keep the order of scores, thresholds that keep their bounds, honest doubts."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facewitness.errors import InputError
from facewitness.judge import Calibration, Limits, judge, judge_picture, thresholds
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


def sample(n: int = 3000, seed: int = 0):
    """Scores of three sources, one of them hard, and everything else a fit wants."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    sources = rng.choice(["easy", "middling", "hard"], n)
    distance = np.select([sources == "easy", sources == "middling"], [3.0, 1.5], 0.7)
    scores = 1.0 / (1.0 + np.exp(-rng.normal((2 * labels - 1) * distance, 1.2) - 0.5))
    return scores, labels, rng.integers(0, n // 4, n), sources


@pytest.fixture(scope="module")
def fitted() -> Calibration:
    return Calibration.fit(*sample(), resamples=60)


# ------------------------------------------------------------------------------------------------------- the fit


def test_fit_is_the_minimum_of_platts_loss():
    scores, labels, groups, _ = sample(600)
    fit = Calibration.fit(scores, labels, groups, resamples=2)
    x = np.log(scores / (1 - scores))
    fakes = labels.sum()
    targets = np.where(labels, (fakes + 1) / (fakes + 2), 1 / (600 - fakes + 2))  # Platt 1999, section 2.2

    def loss(slope: float, offset: float) -> float:
        p = 1 / (1 + np.exp(-(slope * x + offset)))
        return float(-(targets * np.log(p) + (1 - targets) * np.log(1 - p)).sum())

    least = loss(fit.slope, fit.offset)
    for d_slope, d_offset in ((1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3), (1e-3, -1e-3), (-1e-3, 1e-3)):
        assert loss(fit.slope + d_slope, fit.offset + d_offset) > least


def test_probabilities_are_calibrated_on_new_rows(fitted):
    scores, labels, _, _ = sample(20_000, seed=1)
    p = fitted.probabilities(scores)
    bins = np.clip((p * 10).astype(int), 0, 9)
    ece = sum(
        abs(p[bins == b].mean() - labels[bins == b].mean()) * (bins == b).mean() for b in range(10) if (bins == b).any()
    )
    assert ece < 0.05


@given(a=st.floats(0, 1), b=st.floats(0, 1))
def test_a_higher_score_is_never_less_fake(fitted, a, b):
    (lower, low_a, high_a), (higher, low_b, high_b) = fitted.apply(min(a, b)), fitted.apply(max(a, b))
    assert 0.0 <= low_a <= lower <= high_a <= 1.0
    assert lower <= higher
    assert low_a <= low_b
    assert high_a <= high_b


@settings(max_examples=60)
@given(data=st.data(), n=st.integers(2, 30))
def test_any_rows_give_ordered_thresholds_and_keep_the_order(data, n):
    scores = data.draw(st.lists(st.floats(0, 1), min_size=n, max_size=n))
    labels = data.draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda bits: 0 < sum(bits) < n))
    fit = Calibration.fit(scores, labels, range(n), resamples=5)
    assert 0.0 <= fit.real_below <= 0.5 <= fit.fake_above <= 1.0
    assert fit.slope >= 0.0
    ordered = fit.probabilities(sorted(scores))
    assert (np.diff(ordered) >= 0.0).all()
    assert fit.rates["all"]["genuine"] + fit.rates["all"]["fakes"] == n


def test_genuine_faces_called_fake_stay_below_the_bound_on_every_source_of_new_rows(fitted):
    scores, labels, _, sources = sample(40_000, seed=2)
    p = fitted.probabilities(scores)
    for source in ("easy", "middling", "hard"):
        genuine = p[(sources == source) & (labels == 0)]
        assert (genuine >= fitted.fake_above).mean() <= 0.05, source
        assert fitted.rates[source]["genuine_called_fake"] <= 0.05
    hard = p[(sources == "hard") & (labels == 0)]
    assert (hard >= fitted.fake_above).mean() > 0.02  # the bound is used: the threshold is not simply out of reach


def test_fakes_called_real_stay_below_the_bound_on_average_over_sources(fitted):
    assert np.mean([rates["fakes_called_real"] for rates in fitted.rates.values()]) <= 0.05
    assert fitted.real_below > 0.05


def test_interval_holds_the_truth_it_was_drawn_for_and_shrinks_with_more_groups():
    few, many = (Calibration.fit(*sample(n)[:3], resamples=100) for n in (200, 6000))
    width = [high - low for _, low, high in (few.apply(0.5), many.apply(0.5))]
    assert width[1] < width[0] / 2
    # rows repeated inside their groups are no new evidence
    scores, labels, groups, _ = sample(200)
    repeated = Calibration.fit(*(np.tile(column, 20) for column in (scores, labels, groups)), resamples=100)
    _, low, high = repeated.apply(0.5)
    assert high - low > width[0] / 2


def test_interval_between_knots_is_that_of_the_knots_around_it():
    labels = np.tile([0, 1], 500)
    scores = np.clip(np.random.default_rng(3).normal(0.35 + 0.3 * labels, 0.12), 0, 1)  # some reach 0 and 1: far knots
    fit = Calibration.fit(scores, labels, np.arange(1000), resamples=200)
    for p, low, high in map(fit.apply, np.linspace(0.2, 0.8, 61)):
        assert low < p < high
        assert high - low < 0.15


def test_perfectly_separated_classes_leave_no_band_and_make_no_error():
    labels = np.repeat([0, 1], 200)
    fit = Calibration.fit(np.where(labels, 0.999, 0.001), labels, np.arange(400))
    assert math.isfinite(fit.slope)
    assert fit.label(fit.apply(0.001)[0]) == "real"
    assert fit.label(fit.apply(0.999)[0]) == "fake"
    assert fit.label(0.5) in ("inconclusive", "fake")
    assert fit.rates["all"]["genuine_called_fake"] == fit.rates["all"]["fakes_called_real"] == 0.0


@pytest.mark.parametrize(
    "scores", [np.full(400, 0.7), np.tile([0.9, 0.1], 200)], ids=["constant", "the wrong way round"]
)
def test_a_score_that_tells_nothing_decides_nothing(scores):
    labels = np.tile([0, 1], 200)
    fit = Calibration.fit(scores, labels, np.arange(400) // 2)
    assert fit.slope == 0.0
    for score in (0.0, 0.3, 1.0):
        p, _, _ = fit.apply(score)
        assert p == pytest.approx(0.5, abs=0.01)
        assert fit.label(p) == "inconclusive"


def test_weights_move_the_prior():
    scores, labels, groups, _ = sample(600)
    even = Calibration.fit(scores, labels, groups, resamples=2)
    rare = Calibration.fit(scores, labels, groups, weights=np.where(labels, 0.1, 1.0), resamples=2)
    assert rare.fakes < 0.15 < even.fakes
    assert rare.apply(0.5)[0] < even.apply(0.5)[0]


def test_the_same_rows_give_the_same_fit():
    assert Calibration.fit(*sample(300), resamples=20) == Calibration.fit(*sample(300), resamples=20)


def test_json_there_and_back(fitted):
    assert Calibration.from_json(json.loads(json.dumps(fitted.to_json()))) == fitted


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"slope": None}, "slope missing"),
        ({"color": 1}, "color missing or unknown"),
        ({"slope": -1.0}, "a higher score must mean fake"),
        ({"slope": float("nan")}, "NaN or infinity"),
        ({"real_below": 0.99}, "real_below <= fake_above"),
        ({"knots": [1.0, 0.0], "low": [0, 0], "high": [1, 1]}, "rising knots"),
        ({"slope": "steep"}, "Calibration: "),
    ],
)
def test_a_damaged_calibration_is_refused_with_a_sentence(fitted, change, sentence):
    value = {**fitted.to_json(), **change}
    value = {key: v for key, v in value.items() if v is not None}
    with pytest.raises(InputError, match=sentence):
        Calibration.from_json(value)


@pytest.mark.parametrize(
    ("scores", "labels", "groups", "sentence"),
    [
        ([0.1, float("nan")], [0, 1], [1, 2], "NaN"),
        ([0.1, 1.5], [0, 1], [1, 2], r"\[0, 1\]"),
        ([0.1, 0.9], [0, 2], [1, 2], "0 .genuine. or 1 .fake."),
        ([0.1, 0.9], [0, 1, 1], [1, 2], "2 labels"),
        ([0.1, 0.9], [0, 1], [1], "2 groups"),
        ([0.1, 0.9], [1, 1], [1, 2], "one kind only"),
        ([0.1, 0.9], [0, 1], [1, 1], "at least two groups"),
        ([], [], [], "n of at least 1"),
    ],
)
def test_rows_that_cannot_be_fitted_are_refused_with_a_sentence(scores, labels, groups, sentence):
    with pytest.raises(InputError, match=sentence):
        Calibration.fit(scores, labels, groups)


@pytest.mark.parametrize("score", [float("nan"), -0.1, 1.1, float("inf")])
def test_a_score_outside_is_refused(fitted, score):
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        fitted.apply(score)


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
