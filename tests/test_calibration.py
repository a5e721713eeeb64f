"""Calibration's laws: probabilities that keep the order of scores, thresholds that keep their bounds."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facewitness.calibration import Calibration, decided
from facewitness.errors import InputError, UnknownName


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
        ({"slope": 10**400}, "Calibration: "),
        ({"rates": "1e9"}, "Calibration: "),
        ({"rates": {"web": []}}, "Calibration: "),
        ({"rates": {"web": {"genuine": 10**400}}}, r"rates\[web\]: expected numbers of rows"),
        (
            {"rates": {"web": {"genuine": 1, "genuine_called_fake": {"a": 1}}}},
            r"rates\[web\]: expected numbers of rows",
        ),
        ({"rates": {"web": {"genuine": 1, "genuine_called_fake": 1.5}}}, r"rates\[web\]: expected numbers of rows"),
        ({"rates": {"web": {"fakes": "1"}}}, r"rates\[web\]: expected numbers of rows"),
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


def test_what_a_score_alone_decides_is_what_its_calibration_says(fitted):
    as_json = json.loads(json.dumps(fitted.to_json()))
    for score in np.linspace(0.0, 1.0, 101):
        assert decided(float(score), as_json) == fitted.label(fitted.apply(float(score))[0])
    assert (decided(0.49, None), decided(0.5, None)) == ("real", "fake")


def test_the_interval_covers_moves_that_say_nothing_of_forgery():
    rng = np.random.default_rng(0)
    x = rng.normal(0, 2, 800)
    labels = rng.random(800) < 1 / (1 + np.exp(-x))
    scores = 1 / (1 + np.exp(-x))
    groups = np.arange(800)
    after = 1 / (1 + np.exp(-(x + rng.normal(0.2, 0.6, 800))))
    plain = Calibration.fit(scores, labels, groups, resamples=50)
    wide = Calibration.fit(scores, labels, groups, moved=np.stack([scores, after], 1), resamples=50)
    assert (wide.slope, wide.real_below, wide.fake_above) == (plain.slope, plain.real_below, plain.fake_above)

    def inside(fit: Calibration) -> float:
        ends = [fit.apply(float(s)) for s in scores]
        return float(
            np.mean([low <= p <= high for (_, low, high), p in zip(ends, fit.probabilities(after), strict=True)])
        )

    assert inside(plain) < 0.6
    assert inside(wide) >= 0.95
    assert (np.diff(wide.low) >= 0).all()
    assert (np.diff(wide.high) >= 0).all()
    with pytest.raises(InputError, match="pairs of scores"):
        Calibration.fit(scores, labels, groups, moved=[[0.5, 0.5]], resamples=5)


def test_what_was_measured_for_a_kind_and_against_another_witness_comes_back_and_is_checked():
    plain = Calibration(1.0, 0.0, (0.0,), (0.4,), (0.6,), 0.2, 0.8, 0.05, 0.05, 0.5, 100, 50, {})
    assert "kinds" not in plain.to_json() and "against" not in plain.to_json()
    more = dataclasses.replace(
        plain,
        kinds={"entire_synthesis": {"slope": 0.0, "offset": 0.0}},
        against={"compact": {"cases": 10, "right": 4}},
    )
    assert Calibration.from_json(json.loads(json.dumps(more.to_json()))) == more
    assert more.apply(0.9, "entire_synthesis")[0] == 0.5 and more.apply(0.9, "identity_exchange") == plain.apply(0.9)
    for spoilt in (
        {"kinds": {"entire_sythesis": {"slope": 0.0, "offset": 0.0}}},
        {"kinds": {"entire_synthesis": {"slope": -1.0, "offset": 0.0}}},
        {"kinds": {"entire_synthesis": {"slope": 1.0}}},
        {"against": {"compact": {"cases": 3, "right": 4}}},
        {"against": {"compact": 3}},
    ):
        with pytest.raises((InputError, UnknownName)):
            Calibration.from_json(plain.to_json() | spoilt)
