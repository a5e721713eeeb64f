"""Measures over many predictions equal scikit-learn's, have intervals by group, and are None with a reason."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facewitness.bench import compare, measures, predictions
from facewitness.bench.measures import Ranking, Weighted
from facewitness.errors import InputError

# scores on a grid, so that ties are frequent, with weights of the bootstrap's kind
rows = st.lists(
    st.tuples(st.booleans(), st.integers(0, 12).map(lambda i: i / 12), st.integers(0, 3)), min_size=2, max_size=60
)


def at(fake, p, weight=None) -> Weighted:
    return Weighted(Ranking.of(fake, p), weight)


@settings(max_examples=150, deadline=None)
@given(rows)
def test_equal_to_scikit_learn(rows):
    from sklearn import metrics

    fake, p, weight = (np.array(column) for column in zip(*rows, strict=True))
    if not (weight[fake].sum() and weight[~fake].sum()):
        return
    found = at(fake, p, weight)
    assert measures.auc(found) == pytest.approx(metrics.roc_auc_score(fake, p, sample_weight=weight), abs=1e-9)
    expected = metrics.average_precision_score(fake, p, sample_weight=weight)
    assert measures.average_precision(found) == pytest.approx(expected, abs=1e-9)
    expected = metrics.accuracy_score(fake, p >= 0.5, sample_weight=weight)
    assert measures.accuracy(found) == pytest.approx(expected, abs=1e-9)
    expected = metrics.f1_score(fake, p >= 0.5, sample_weight=weight, zero_division=0)
    assert measures.f1(found) == pytest.approx(expected, abs=1e-9)
    expected = metrics.brier_score_loss(fake, p, sample_weight=weight)
    assert measures.brier(found) == pytest.approx(expected, abs=1e-9)
    fpr, tpr, _ = metrics.roc_curve(fake, p, sample_weight=weight, drop_intermediate=False)
    assert measures.tpr_at(found, 0.05) == pytest.approx(tpr[fpr <= 0.05 + 1e-12].max(), abs=1e-9)
    crossing = measures.eer(found)
    assert np.interp(crossing, fpr, tpr) >= 1 - crossing - 1e-9  # on the ROC, or on its vertical part


@settings(max_examples=60, deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter_and_a_weight_of_two_is_the_row_twice(rows, random):
    fake, p, weight = (np.array(column) for column in zip(*rows, strict=True))
    if not weight.sum():
        return
    order = list(range(len(rows)))
    random.shuffle(order)
    repeated = np.repeat(np.arange(len(rows)), weight)
    for measure in measures.DETECTION.values():
        value = measure(at(fake, p, weight))
        assert measure(at(fake[order], p[order], weight[order])) == pytest.approx(value, abs=1e-9)
        assert measure(at(fake[repeated], p[repeated])) == pytest.approx(value, abs=1e-9)


def test_worked_examples():
    fake, p = [True, True, False, False], [0.9, 0.4, 0.6, 0.1]
    assert measures.auc(at(fake, p)) == 0.75  # of four pairs one is the wrong way round
    assert measures.accuracy(at(fake, p)) == 0.5
    assert measures.eer(at(fake, p)) == pytest.approx(0.5)
    assert measures.brier(at(fake, p)) == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)
    # four bins with a row each: |1−.9| + |1−.4| + |0−.6| + |0−.1|, a quarter each
    assert measures.ece(at(fake, p)) == pytest.approx(0.35)
    assert measures.eer(at([True, False], [0.9, 0.1])) == 0
    assert measures.eer(at([True, False], [0.1, 0.9])) == 1
    assert measures.eer(at([True, False], [0.5, 0.5])) == pytest.approx(0.5)
    assert measures.sacc([0.9, 0.7, None]) == pytest.approx(0.1)
    assert measures.sacc([0.9]) is None
    assert measures.reliability([True, False, True], [0.9, 0.9, 0.1]) == [(0.1, 1.0, 1), (0.9, 0.5, 2)]


def test_one_class_and_no_rows_are_none_with_a_reason():
    found = measures.detection([False] * 5, [0.1] * 5, range(5), threshold=0.9)
    for name in ("auc", "ap", "eer", "f1", "tpr_at_1"):
        assert found[name].value is None
        assert "one class" in found[name].why
    assert found["acc"].value == 1
    assert found["acc_shipped"].value == 1
    assert "no scored rows" in measures.detection([], [], [])["auc"].why


@pytest.mark.parametrize("bad", [float("nan"), 1.5, -0.1])
def test_a_score_that_is_none_is_named_with_its_row(bad):
    with pytest.raises(InputError, match="row 1"):
        measures.detection([True, False], [0.5, bad], [0, 1])


def test_intervals_draw_groups_and_not_rows():
    """Ten frames of each video say the same: an interval over rows would be √10 times too narrow."""
    rng = np.random.default_rng(1)
    fake = np.repeat(rng.random(100) < 0.5, 10)
    p = np.repeat(np.clip(0.5 + 0.2 * (fake[::10] - 0.5) + 0.2 * rng.standard_normal(100), 0, 1), 10)
    by_video = measures.detection(fake, p, np.repeat(np.arange(100), 10), only=["auc"])["auc"]
    by_row = measures.detection(fake, p, np.arange(1000), only=["auc"])["auc"]
    assert by_video.value == by_row.value
    assert by_video.low < by_video.value < by_video.high
    ratio = (by_video.high - by_video.low) / (by_row.high - by_row.low)
    assert 2.2 < ratio < 4.5


def test_the_interval_of_an_auc_covers_the_truth_as_often_as_it_says():
    """95 % of intervals from samples of a known AUC (0.7602 for d′ = 1) hold it; forty samples leave some room."""
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(40):
        fake = np.arange(200) % 2 == 0
        z = rng.standard_normal(200) + fake
        found = measures.detection(fake, 1 / (1 + np.exp(-z)), np.arange(200), only=["auc"], seed=seed)["auc"]
        held += found.low <= 0.7602 <= found.high
    assert held >= 34


def test_ratios_are_sums_over_sums_and_skip_what_is_not_known():
    found = measures.ratios(
        {
            "mean": ([1.0, np.nan, 0.0, 1.0], [1, 1, 1, 1]),
            "share": ([1, 0, 2, 0], [2, 0, 2, 1]),
            "none": ([0, 0, 0, 0], [0, 0, 0, 0]),
        },
        ["a", "b", "c", "d"],
        why={"none": "nobody claimed anything"},
    )
    assert found["mean"].value == pytest.approx(2 / 3)
    assert found["mean"].n == 3
    assert found["share"].value == pytest.approx(3 / 5)
    assert found["share"].low <= found["share"].value <= found["share"].high
    assert found["none"] == measures.Value(None, why="nobody claimed anything")


# ----------------------------------------------------------------------------------------------------------- tables


def table(rows) -> pa.Table:
    plain = {
        "dataset": "D", "group": "g", "perturbation": "none", "strength": 0, "status": "ok", "faces": 1,
        "label": "fake", "speaker": "explanation",
    }  # fmt: skip
    scores = dict.fromkeys(name.removeprefix("score/") for row in rows for name in row if name.startswith("score/"))
    return pa.Table.from_pylist(
        [{**plain, "file": f"{i}.png", **row} for i, row in enumerate(rows)], predictions.schema(scores)
    )


def test_a_video_is_the_mean_of_its_frames_and_same_names_under_two_methods_stay_two():
    found = measures.videos(
        table(
            [
                {"video": "D/Deepfakes/c23/000.mp4", "fake": 0.9, "group": "0"},
                {"video": "D/Deepfakes/c23/000.mp4", "fake": 0.5, "group": "0"},
                {"video": "D/pristine/c23/000.mp4", "fake": 0.2, "group": "0", "label": "real"},
                {"video": "D/Deepfakes/c23/001.mp4", "fake": None, "group": "1"},
                {"video": "D/Deepfakes/c23/000.mp4", "fake": None, "group": "0"},
                {"video": None, "fake": 0.3},
            ]
        )
    )
    assert sorted(zip(found.fake.tolist(), found.p.tolist(), strict=True)) == [
        (False, pytest.approx(0.2)), (True, pytest.approx(0.7)),
    ]  # fmt: skip
    assert found.unscored == 1
    assert len(set(found.group.tolist())) == 1
    assert measures.videos(table([{"fake": 0.3}])) is None


def test_unscored_rows_are_counted_and_a_bare_score_stands_in_for_a_missing_calibration():
    found = measures.scored(table([{"fake": 0.3, "score": 0.9}, {"score": 0.8}, {"status": "no_face"}]))
    assert found.p.tolist() == [0.3, 0.8]
    assert found.unscored == 1


def test_shares_of_verdicts():
    said = [("real", "real"), ("real", "fake"), ("fake", "fake"), ("fake", "inconclusive"), ("fake", None)]
    found = measures.verdicts(table([{"label": a, "verdict": b, "group": str(i)} for i, (a, b) in enumerate(said)]))
    values = {name: value.value for name, value in found.items()}
    assert values == pytest.approx(
        {
            "coverage": 4 / 5,
            "decided": 3 / 4,
            "decided_acc": 2 / 3,
            "genuine_called_fake": 1 / 2,
            "fakes_called_real": 0,
        }
    )
    only_fakes = measures.verdicts(table([{"verdict": "fake"}]))
    assert only_fakes["genuine_called_fake"].why == "no genuine rows"


def test_places():
    found = measures.places(
        table(
            [
                {"regions_true": ["nose", "mouth"], "regions_said": ["nose"], "mask_f1": 0.5, "group": "1"},
                {"regions_true": [], "regions_said": [], "group": "2", "label": "real"},
                {"regions_true": ["eyes"], "regions_said": ["nose", "eyes"], "mask_f1": 0.25, "group": "3"},
                {"regions_true": None, "regions_said": ["nose"], "group": "4"},
            ]
        )
    )
    assert found["mask_f1"].value == 0.375
    assert found["mask_f1"].n == 2
    assert found["mask_ap"].value is None
    assert found["region_f1"].value == pytest.approx(2 * 2 / (3 + 3))
    assert found["region_f1/nose"].value == pytest.approx(2 / 3)
    assert found["region_f1/mouth"].value == 0
    assert found["claims_right"].value == pytest.approx(2 / 3)
    assert found["forged_claimed"].value == pytest.approx(2 / 3)
    nothing = measures.places(table([{"regions_true": [], "regions_said": []}]))
    assert nothing["claims_right"].why == "no claims were made"
    assert measures.places(table([{"regions_true": None}]))["region_f1"].value is None


def test_every_score_column_is_a_mean_and_one_over_genuine_rows_alone_has_a_footnote():
    rows = [
        {"label": "real", "score/grounding": 1.0, "score/brevity": 0.25},
        {"label": "fake", "score/grounding": None, "score/brevity": 0.75},
    ]
    found = measures.scores(table(rows))
    assert found["brevity"].value == 0.5 and found["brevity"].n == 2 and not found["brevity"].why
    assert found["grounding"].value == 1.0 and found["grounding"].why.startswith("over genuine pictures alone")
    genuine = measures.places(table([{"regions_true": [], "regions_said": ["nose"], "label": "real"},
                                     {"regions_true": None, "regions_said": ["nose"], "label": "fake"}]))  # fmt: skip
    assert genuine["claims_right"].value == 0 and "genuine pictures alone" in genuine["claims_right"].why


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_localisation_equals_scikit_learn(seed):
    from sklearn import metrics

    rng = np.random.default_rng(seed)
    truth = np.zeros((12, 16), np.float32)
    truth[2:7, 3:9] = 1
    said = (np.round(rng.random((12, 16)), 1) * (rng.random((12, 16)) < 0.6)).astype(np.float32)
    found = measures.localisation(said, truth)
    t, p = truth.ravel() >= 0.5, said.ravel()
    assert found["iou"] == pytest.approx(metrics.jaccard_score(t, p >= 0.5), abs=1e-6)
    assert found["precision"] == pytest.approx(metrics.precision_score(t, p >= 0.5, zero_division=0), abs=1e-6)
    assert found["recall"] == pytest.approx(metrics.recall_score(t, p >= 0.5), abs=1e-6)
    assert found["f1"] == pytest.approx(metrics.f1_score(t, p >= 0.5, zero_division=0), abs=1e-6)
    assert found["ap"] == pytest.approx(metrics.average_precision_score(t, p), abs=1e-6)


def test_localisation_of_nothing():
    empty, some = np.zeros((4, 4), np.float32), np.ones((4, 4), np.float32)
    assert set(measures.localisation(some, empty).values()) == {None}
    said_nothing = measures.localisation(empty, np.eye(4, dtype=np.float32))
    assert said_nothing["precision"] == said_nothing["iou"] == 0
    assert said_nothing["ap"] == pytest.approx(0.25)  # no better than the share that is forged
    with pytest.raises(InputError, match="one shape"):
        measures.localisation(empty, np.zeros((3, 4), np.float32))


# ------------------------------------------------------------------------------------------------------- comparing two


def two(n: int = 240, better: float = 0.35, **extra) -> tuple[pa.Table, pa.Table]:
    rng = np.random.default_rng(2)
    first, second = [], []
    for i in range(n):
        fake, noise = i % 2 == 0, rng.normal(0, 0.25)
        item = {"file": f"{i // 4}/{i % 4}.png", "group": str(i // 4), "label": "fake" if fake else "real", **extra}
        item["video"] = f"D/m/-/{item['group']}/{item['label']}"
        first.append(item | {"fake": float(np.clip(0.5 + better * (fake - 0.5) * 2 + noise, 0, 1))})
        second.append(item | {"fake": float(np.clip(0.5 + 0.1 * (fake - 0.5) * 2 + noise, 0, 1))})
    return table(first), table(second)


def test_the_gain_of_an_auc_is_of_the_same_rows_and_draws():
    rng = np.random.default_rng(0)
    fake = np.arange(200) % 2 == 1
    noise = rng.uniform(-0.4, 0.4, 200)
    worse, better = 0.5 + 0.1 * (2 * fake - 1) + noise, 0.5 + 0.1 * (2 * fake - 1) + noise / 2
    mine, theirs = Ranking.of(fake, better), Ranking.of(fake, worse)
    gain = measures.auc_gain(mine, theirs, np.arange(200))
    assert gain.value == measures.auc(measures.Weighted(mine)) - measures.auc(measures.Weighted(theirs))
    assert 0 < gain.low < gain.value < gain.high and gain.n == 200
    same = measures.auc_gain(mine, mine, np.arange(200))
    assert (same.value, same.low, same.high) == (0, 0, 0)
    alone = Ranking.of(fake[fake], better[fake])
    assert measures.auc_gain(alone, alone, np.arange(100)).why == "only one class"


def test_a_better_system_is_better_at_both_levels_and_with_an_interval_that_says_so():
    frame, video = compare.compare(*two())
    assert (frame.level, video.level) == ("frame", "video")
    assert frame.items == 240
    for level in (frame, video):
        auc = next(d for d in level.differences if d.measure == "auc")
        assert auc.difference == pytest.approx(auc.first - auc.second)
        assert 0 < auc.low < auc.difference < auc.high
        assert auc.p < 0.01
    assert frame.only_first_right > frame.only_second_right
    assert frame.mcnemar < 1e-6


def test_a_system_does_not_differ_from_itself():
    first, _ = two()
    (frame, _) = compare.compare(first, first)
    assert all(d.difference == 0 and d.low == d.high == 0 and d.p == 1 for d in frame.differences)
    assert frame.mcnemar is None


def test_only_items_that_both_scored_take_part_whatever_their_order():
    first, second = two()
    holes = second.to_pylist()[::-1]
    for row in holes[:40]:
        row["fake"] = None
    (frame, _) = compare.compare(first, pa.Table.from_pylist(holes, predictions.COLUMNS))
    assert (frame.items, frame.left_out) == (200, 40)


def test_comparing_what_cannot_be_compared():
    first, second = two()
    renamed = second.set_column(1, "file", pa.array([f"other/{i}" for i in range(second.num_rows)]))
    with pytest.raises(InputError, match="same items"):
        compare.compare(first, renamed)
    flipped = second.to_pylist()
    flipped[3]["label"] = "fake"
    with pytest.raises(InputError, match="disagree about the label of 1 items"):
        compare.compare(first, pa.Table.from_pylist(flipped, predictions.COLUMNS))


def test_the_comparison_in_markdown():
    first, second = two()
    text = compare.render(compare.compare(first, second), "A", "B")
    assert "Frame level, 240 items" in text
    assert "Video level, 120 videos" in text
    assert "| AUC |" in text
    assert "McNemar" in text
    only_real = [t.filter(pc.equal(t.column("label"), "real")) for t in (first, second)]
    assert "one class only" in compare.render(compare.compare(*only_real), "A", "B")
