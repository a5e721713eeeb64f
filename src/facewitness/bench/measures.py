"""Numbers over many predictions: arrays go in; a number comes out, or None with the reason.

    fake    bool (n,)       what is true; True means fake
    p       float (n,)      what was said, in [0, 1]; 1 means fake
    weight  float (n,)      how often each row counts; None is once. The bootstrap draws groups by such weights

Every measure of detection is read off one `Ranking`, the rows sorted by score once, under any number of weightings.
Where scikit-learn has the measure, it has the same value (tests/test_bench_measures.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse

from facewitness.bench.predictions import SCORE, score_columns
from facewitness.errors import InputError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

BINS = 15  # of the reliability diagram and ECE, equally wide (Guo et al., ICML 2017)
DRAWS = 1000  # of the bootstrap; fewer where rows are so many that intervals are narrow anyway
MANY, DRAWS_OF_MANY = 50_000, 200
CELLS = 2000  # above five times as many rows, intervals are drawn over cells of rows with nearly the same score
ONE_CLASS = "one class only: there is nothing to tell apart"
NO_ROWS = "no scored rows"


@dataclass(frozen=True, slots=True)
class Value:
    """A measure with its 95 % interval and the rows it rests on; where it is None, `why` says so.

    With a value, `why` is a footnote: what the number must be read with.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    why: str = ""


# ------------------------------------------------------------------------------------------------ one ranking of rows


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Rows by falling score; equal scores stand together, so that no measure depends on their order."""

    fake: Bools  # (n,) in that order
    p: Floats  # (n,) in that order
    order: NDArray[np.intp]  # which row stands where
    ends: NDArray[np.intp]  # last row of each run of equal scores
    bins: NDArray[np.intp]  # bin of the reliability diagram
    off: Floats  # score − label

    @classmethod
    def of(cls, fake: Any, p: Any) -> Ranking:
        """Scores and labels, ranked.

        Args:
            fake: (n,) bool, which rows are fakes.
            p: (n,) scores in [0, 1].

        Raises:
            InputError: The lengths differ, or a score is NaN or outside [0, 1].
        """
        fake, p = np.asarray(fake, bool), np.asarray(p, np.float64)
        if fake.shape != p.shape or fake.ndim != 1:
            raise InputError(f"measures: expected as many labels as scores, got {fake.shape} and {p.shape}")
        inside = (p >= 0) & (p <= 1)  # NaN is not
        if not inside.all():
            row = int(np.flatnonzero(~inside)[0])
            raise InputError(f"measures: expected scores in [0, 1], got {p[row]} in row {row}; leave unscored rows out")
        order = np.argsort(-p, kind="stable")
        fake, p = fake[order], p[order]
        ends = np.append(np.flatnonzero(np.diff(p)), p.size - 1) if p.size else np.empty(0, np.intp)
        return cls(fake, p, order, ends, np.minimum((p * BINS).astype(np.intp), BINS - 1), p - fake)

    def above(self, threshold: float) -> int:
        """How many runs of equal scores lie at or above a threshold.

        Args:
            threshold: From which score on a row counts as fake, in [0, 1].
        """
        return int(np.searchsorted(-self.p[self.ends], -threshold, side="right"))


class Weighted:
    """A ranking whose rows count as often as their weights say; what measures share is worked out once.

    tp, fp   (runs + 1,) fakes and genuine rows at or above each threshold, from (0, 0) on
    """

    def __init__(self, ranking: Ranking, weight: Any = None):
        self.ranking = ranking
        self.w = np.ones(ranking.p.size) if weight is None else np.asarray(weight, np.float64)[ranking.order]
        fakes, rows = np.cumsum(self.w * ranking.fake)[ranking.ends], np.cumsum(self.w)[ranking.ends]
        self.tp, self.fp = np.append(0.0, fakes), np.append(0.0, rows - fakes)
        self.fakes, self.genuine = float(self.tp[-1]), float(self.fp[-1])

    @property
    def rows(self) -> float:
        """The sum of the weights."""
        return self.fakes + self.genuine

    @cached_property
    def roc(self) -> tuple[Floats, Floats] | None:
        """False and true positive rate at each threshold, from (0, 0) to (1, 1); None where one class is missing.

        Returns:
            False positive rate and true positive rate, (thresholds,) each in [0, 1]; None where one class is missing.
        """
        if self.fakes <= 0 or self.genuine <= 0:
            return None
        return self.fp / self.genuine, self.tp / self.fakes


def auc(at: Weighted) -> float | None:
    """Area under the ROC: the chance that a fake is ranked above a genuine one, ties counted half.

    Args:
        at: Scores with labels, ranked once.
    """
    return None if at.roc is None else float(np.trapezoid(at.roc[1], at.roc[0]))


def average_precision(at: Weighted) -> float | None:
    """AP = Σ (Rₙ − Rₙ₋₁) Pₙ over thresholds, without interpolation, as scikit-learn.

    Args:
        at: Scores with labels, ranked once.
    """
    if at.fakes <= 0:
        return None
    tp, rows = at.tp[1:], at.tp[1:] + at.fp[1:]
    precision = np.divide(tp, rows, out=np.zeros_like(tp), where=rows > 0)
    return float(np.sum(np.diff(at.tp) * precision) / at.fakes)


def eer(at: Weighted) -> float | None:
    """Equal error rate: where the ROC, taken as straight between its points, crosses FPR = 1 − TPR.

    Args:
        at: Scores with labels, ranked once.
    """
    if at.roc is None:
        return None
    fpr, tpr = at.roc
    gap = fpr + tpr - 1  # rises from −1 to 1
    i = int(np.searchsorted(gap, 0.0))
    share = -gap[i - 1] / (gap[i] - gap[i - 1])
    return float(fpr[i - 1] + share * (fpr[i] - fpr[i - 1]))


def tpr_at(at: Weighted, fpr: float) -> float | None:
    """The largest true positive rate that a threshold reaches with a false positive rate of at most `fpr`.

    Args:
        at: Scores with labels, ranked once.
        fpr: False positive rate, in [0, 1].
    """
    return None if at.roc is None else float(at.roc[1][at.roc[0] <= fpr + 1e-12][-1])


def accuracy(at: Weighted, threshold: float = 0.5) -> float | None:
    """Share of rows on the right side of a threshold; a score equal to it is called fake.

    Args:
        at: Scores with labels, ranked once.
        threshold: From which score on a row counts as fake, in [0, 1].
    """
    i = at.ranking.above(threshold)
    return float((at.tp[i] + at.genuine - at.fp[i]) / at.rows) if at.rows > 0 else None


def f1(at: Weighted, threshold: float = 0.5) -> float | None:
    """2TP / (2TP + FP + FN) of the fakes; None without a fake.

    Args:
        at: Scores with labels, ranked once.
        threshold: From which score on a row counts as fake, in [0, 1].
    """
    i = at.ranking.above(threshold)
    return float(2 * at.tp[i] / (at.tp[i] + at.fp[i] + at.fakes)) if at.fakes > 0 else None


def ece(at: Weighted) -> float | None:
    """Expected calibration error, Σ (n_b / n) |share of fakes_b − mean score_b| over BINS equally wide bins.

    Args:
        at: Scores with labels, ranked once.
    """
    if at.rows <= 0:
        return None
    return float(np.abs(np.bincount(at.ranking.bins, at.w * at.ranking.off, BINS)).sum() / at.rows)


def brier(at: Weighted) -> float | None:
    """Mean squared difference between score and label (Brier 1950).

    Args:
        at: Scores with labels, ranked once.
    """
    return float(at.w @ at.ranking.off**2 / at.rows) if at.rows > 0 else None


def reliability(fake: Any, p: Any) -> list[tuple[float, float, int]]:
    """(mean score, share of fakes, rows) of each bin that has rows: the reliability diagram.

    Args:
        fake: (n,) bool, which rows are fakes.
        p: (n,) scores in [0, 1].

    Returns:
        One tuple a bin.
    """
    ranking = Ranking.of(fake, p)
    n = np.bincount(ranking.bins, minlength=BINS)
    mean, share = np.bincount(ranking.bins, ranking.p, BINS), np.bincount(ranking.bins, ranking.fake, BINS)
    return [(float(mean[b] / n[b]), float(share[b] / n[b]), int(n[b])) for b in range(BINS) if n[b]]


Measure = Callable[[Weighted], float | None]

DETECTION: dict[str, Measure] = {
    "auc": auc,
    "ap": average_precision,
    "eer": eer,
    "acc": accuracy,
    "f1": f1,
    "tpr_at_1": lambda at: tpr_at(at, 0.01),
    "tpr_at_5": lambda at: tpr_at(at, 0.05),
    "ece": ece,
    "brier": brier,
}
NEEDS_BOTH = frozenset({"auc", "ap", "eer", "f1", "tpr_at_1", "tpr_at_5"})


def sacc(accuracies: Iterable[float | None]) -> float | None:
    """FFAA's sACC: the standard deviation of ACC over test sets (dividing by their number); None for fewer than two.

    Args:
        accuracies: One a test set.
    """
    known = [a for a in accuracies if a is not None]
    return float(np.std(known)) if len(known) > 1 else None


def together(sets: Sequence[Scored]) -> Scored:
    """The rows of several test sets as one: FFAA's column ALL.

    Args:
        sets: At least one; groups of one set are never those of another.
    """
    first = np.cumsum([0, *(int(each.group.max(initial=-1)) + 1 for each in sets)])
    return Scored(
        np.concatenate([each.fake for each in sets]), np.concatenate([each.p for each in sets]),
        np.concatenate([each.group + start for each, start in zip(sets, first, strict=False)]),
        sum(each.unscored for each in sets),
    )  # fmt: skip


def steadiness(sets: Sequence[Scored], seed: int = 0) -> Value:
    """sACC at 0.5 over test sets, with its interval: in each draw the groups of every set are drawn anew.

    Args:
        sets: One a test set.
        seed: Of the bootstrap.
    """
    known = [each for each in sets if each.p.size]
    right = [(each.p >= 0.5) == each.fake for each in known]
    value = sacc(one.mean() for one in right)
    if value is None:
        return Value(None, n=len(known), why="fewer than two test sets")
    count = draws_for(max(each.p.size for each in known))
    draws = [drawn(each.group, count, seed + index) for index, each in enumerate(known)]
    values = [
        sacc(float((w * one).sum() / w.sum()) for w, one in zip(weights, right, strict=True))
        for weights in zip(*draws, strict=True)
    ]
    low, high = interval(values) or (None, None)
    return Value(value, low, high, len(known))


# ---------------------------------------------------------------------------------------------------- intervals


def draws_for(rows: int) -> int:
    """How many times the bootstrap draws.

    Args:
        rows: How many rows there are.
    """
    return DRAWS if rows <= MANY else DRAWS_OF_MANY


def drawn(group: Any, draws: int, seed: int = 0) -> Iterator[Floats]:
    """Weights (n,) of each draw of the cluster bootstrap: as many groups as there are, with replacement.

    Frames of one video are not independent: drawn one by one they would make every interval too narrow.

    Args:
        group: Of each row; rows of one group are drawn together.
        draws: How many draws.
        seed: Of the bootstrap and of the controls.

    Returns:
        One array of weights a draw.
    """
    names, index = np.unique(np.asarray(group), return_inverse=True)
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        times = np.bincount(rng.integers(names.size, size=names.size), minlength=names.size)
        yield times[index].astype(np.float64)


def interval(values: Sequence[float | None]) -> tuple[float, float] | None:
    """The middle 95 % of a bootstrap's values; None where more than a tenth of the draws had none.

    Args:
        values: One a draw; None where a draw had none.

    Returns:
        Its lower and upper end.
    """
    known = [v for v in values if v is not None and not np.isnan(v)]
    if not values or len(known) < 0.9 * len(values):
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def auc_gain(mine: Ranking, theirs: Ranking, group: Any) -> Value:
    """By how much one AUC is above another on the same rows, with the interval over the same draws of groups.

    Args:
        mine: The rows by one score.
        theirs: The same rows by another.
        group: (n,), of each row.
    """

    def gain(weight: Any = None) -> float | None:
        ours, others = auc(Weighted(mine, weight)), auc(Weighted(theirs, weight))
        return None if ours is None or others is None else ours - others

    value, rows = gain(), len(group)
    if value is None:
        return Value(None, n=rows, why="only one class")
    low, high = interval([gain(weight) for weight in drawn(group, draws_for(rows))]) or (None, None)
    return Value(value, low, high, rows)


def ratios(
    parts: Mapping[str, tuple[Any, Any]], group: Any, *, seed: int = 0, why: Mapping[str, str] | None = None
) -> dict[str, Value]:
    """Σ part / Σ whole over the rows for each name, such as claims that are right over claims made, with intervals.

    Args:
        parts: Name → (part, whole), (n,) each; a row where either is NaN does not count. A mean is x over ones.
        group: Of each row; rows of one group are drawn together.
        seed: Of the bootstrap and of the controls.
        why: Name → the reason where there is nothing to divide by.

    Returns:
        Name → its value with an interval.
    """
    if not parts:
        return {}
    sums: list[Floats] = []
    rows: list[int] = []
    index = np.unique(np.asarray(group), return_inverse=True)[1]
    clusters = int(index.max(initial=-1)) + 1
    for part, whole in parts.values():
        part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
        known = ~(np.isnan(part) | np.isnan(whole))
        rows.append(int((known & (whole != 0)).sum()))
        sums += [np.bincount(index, np.where(known, x, 0.0), clusters).astype(np.float64) for x in (part, whole)]
    table = np.stack(sums, 1)  # (clusters, 2 · names)
    draws = np.stack([times @ table for times in drawn(np.arange(clusters), draws_for(max(rows)), seed)] or [table[:0]])
    results = {}
    for i, name in enumerate(parts):
        whole = float(table[:, 2 * i + 1].sum())
        if whole == 0:
            results[name] = Value(None, why=(why or {}).get(name, "nothing to judge"))
            continue
        values = [float(p / w) if w else None for p, w in draws[:, 2 * i : 2 * i + 2]]
        low, high = interval(values) or (None, None)
        results[name] = Value(float(table[:, 2 * i].sum()) / whole, low, high, rows[i])
    return results


def detection(
    fake: Any,
    p: Any,
    group: Any,
    *,
    threshold: float | None = None,
    only: Sequence[str] | None = None,
    seed: int = 0,
    intervals: bool = True,
) -> dict[str, Value]:
    """DETECTION, or `only` some of it, over scored rows; "acc_shipped" is at the threshold of the verdict "fake".

    Args:
        fake: (n,) bool, which rows are fakes.
        p: (n,) scores in [0, 1].
        group: Of each row; rows of one group are drawn together.
        threshold: From which score on a row counts as fake, in [0, 1].
        only: Names of the measures that are wanted; None for DETECTION.
        seed: Of the bootstrap and of the controls.
        intervals: Whether intervals are drawn.

    Returns:
        Name → its value with an interval.
    """
    ranking = Ranking.of(fake, p)
    n = int(ranking.p.size)
    measures = dict(DETECTION)
    if threshold is not None:
        measures["acc_shipped"] = lambda at: accuracy(at, threshold)
    if only is not None:
        measures = {name: measures[name] for name in only}
    if n == 0:
        return {name: Value(None, why=NO_ROWS) for name in measures}
    one_class = bool(ranking.fake.all() or not ranking.fake.any())
    skipped = NEEDS_BOTH if one_class else frozenset()
    once = Weighted(ranking)
    draws: dict[str, list[float | None]] = {name: [] for name in measures if name not in skipped}
    if intervals:
        few = ranking
        weights: Iterable[Floats] = drawn(group, draws_for(n), seed)
        if n > 5 * CELLS:
            few, weights = _in_cells(ranking, group, (0.5, 0.5 if threshold is None else threshold), seed)
        for weight in weights:
            at = Weighted(few, weight)
            for name, values in draws.items():
                values.append(measures[name](at))
    results = {}
    for name, measure in measures.items():
        low, high = interval(draws.get(name, [])) or (None, None)
        results[name] = Value(None, n=n, why=ONE_CLASS) if name in skipped else Value(measure(once), low, high, n)
    return results


def _in_cells(ranking: Ranking, group: Any, thresholds: Sequence[float], seed: int) -> tuple[Ranking, Iterable[Floats]]:
    """A ranking of two rows a cell, a genuine and a fake one at the cell's mean score, and their weights in each draw.

    A draw then costs what CELLS cost, not what the rows cost. No cell lies across a threshold or a bin's border.
    """
    p, index = ranking.p, np.unique(np.asarray(group), return_inverse=True)[1][ranking.order]
    borders = np.unique([*p[:: -(-p.size // CELLS)], *thresholds, *(np.arange(1, BINS) / BINS)])
    start = np.flatnonzero(np.diff(np.searchsorted(borders, p, side="right"), prepend=-1))  # of each cell, p falling
    cell = np.repeat(np.arange(start.size), np.diff(start, append=p.size))
    mean = np.bincount(cell, p) / np.bincount(cell)
    mean = np.clip(mean, p[np.append(start[1:], p.size) - 1], p[start])  # a rounded mean must not leave its cell
    few = Ranking.of(np.tile([False, True], start.size), np.repeat(mean, 2))
    clusters = int(index.max()) + 1
    counts = sparse.csr_array((np.ones(p.size), (2 * cell + ranking.fake, index)), (2 * start.size, clusters))

    def weights() -> Iterable[Floats]:
        draws, at_once = drawn(np.arange(clusters), draws_for(p.size), seed), 50
        while batch := list(itertools.islice(draws, at_once)):
            yield from (counts @ np.stack(batch, 1)).T

    return few, weights()


# ---------------------------------------------------------------------------------- from a table of predictions


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The rows of a table that have a score, as arrays; `unscored` is how many have none."""

    fake: Bools
    p: Floats
    group: NDArray[Any]
    unscored: int


def scored(table: pa.Table) -> Scored:
    """Frame level: one row an item. The calibrated probability; the bare score where a system has no calibration.

    Args:
        table: Predictions.
    """
    p = pc.coalesce(table.column("fake"), table.column("score")).to_numpy(zero_copy_only=False).astype(np.float64)
    known = ~np.isnan(p)
    fake = pc.equal(table.column("label"), "fake").to_numpy(zero_copy_only=False).astype(bool)
    return Scored(fake[known], p[known], groups(table)[known], int((~known).sum()))


def videos(table: pa.Table) -> Scored | None:
    """Video level: the mean probability of a video's frames, keyed dataset/method/compression/video.

    None where the table has no videos. A video of which no frame has a score is unscored.

    Args:
        table: Predictions.
    """
    key = table.column("video")
    if key.null_count == table.num_rows:
        return None
    table = table.filter(pc.is_valid(key))
    codes, names = _codes(table.column("video"))
    p = pc.coalesce(table.column("fake"), table.column("score")).to_numpy(zero_copy_only=False).astype(np.float64)
    known = ~np.isnan(p)
    n = np.bincount(codes[known], minlength=names)
    total = np.bincount(codes[known], p[known], names)
    first = np.zeros(names, np.intp)
    first[codes[::-1]] = np.arange(codes.size)[::-1]
    fake = pc.equal(table.column("label"), "fake").to_numpy(zero_copy_only=False).astype(bool)[first]
    group = groups(table)[first]
    has = n > 0
    return Scored(fake[has], total[has] / n[has], group[has], int((~has).sum()))


def groups(table: pa.Table) -> NDArray[np.intp]:
    """A number for each row: the same for rows of one dataset and group.

    Args:
        table: Predictions.

    Returns:
        (rows,) whole numbers from 0 on.
    """
    return _codes(
        pc.binary_join_element_wise(table.column("dataset"), table.column("group"), "/", null_handling="replace")
    )[0]


def _codes(column: Any) -> tuple[NDArray[np.intp], int]:
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.intp), len(encoded.dictionary)


def verdicts(table: pa.Table, seed: int = 0) -> dict[str, Value]:
    """What became of the verdicts: shares of inconclusive, of genuine called fake, of fakes called real, and coverage.

    coverage        rows with a verdict (any of the three) of all rows
    decided         real or fake, of the rows with a verdict;   decided_acc   right among those

    Args:
        table: Predictions.
        seed: Of the bootstrap and of the controls.

    Returns:
        Name → its value with an interval.
    """
    label = np.array(table.column("label").to_pylist())
    predicted = np.array([v or "" for v in table.column("verdict").to_pylist()])
    has, decided = predicted != "", (predicted == "real") | (predicted == "fake")
    genuine, fake = label == "real", label == "fake"
    return ratios(
        {
            "coverage": (has, np.ones(len(predicted))),
            "decided": (decided, has),
            "decided_acc": (decided & (predicted == label), decided),
            "genuine_called_fake": ((predicted == "fake") & genuine, has & genuine),
            "fakes_called_real": ((predicted == "real") & fake, has & fake),
        },
        groups(table),
        seed=seed,
        why={"genuine_called_fake": "no genuine rows", "fakes_called_real": "no fake rows"},
    )


def scores(table: pa.Table, seed: int = 0) -> dict[str, Value]:
    """The mean of each column score/<name> over the rows that could be judged, under the score's name.

    Args:
        table: Predictions.
        seed: Of the bootstrap and of the controls.

    Returns:
        Name → its value with an interval.
    """
    ones = np.ones(table.num_rows)
    parts = {
        name: (table.column(SCORE + name).to_numpy(zero_copy_only=False).astype(np.float64), ones)
        for name in score_columns(table)
    }
    return footnoted(ratios(parts, groups(table), seed=seed), parts, table.column("label").to_pylist())


def footnoted(
    values: Mapping[str, Value], parts: Mapping[str, tuple[Any, Any]], labels: Sequence[str], mixed: bool | None = None
) -> dict[str, Value]:
    """The same values; one that rests on genuine rows alone, where the data have fakes too, says so.

    Where regions are known of genuine pictures alone, any claim is wrong and any silence right: such a mean is none of
    the whole.

    Args:
        values: values by name.
        parts: what they were made of, as `ratios` takes it.
        labels: of the rows, "real" or "fake".
        mixed: whether the data have both; None where all of them are among the rows.

    Returns:
        Name → its value.
    """
    fake = np.array([label == "fake" for label in labels], bool)
    if not (fake.any() if mixed is None else mixed):
        return dict(values)
    out = dict(values)
    for name, (part, whole) in parts.items():
        part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
        counted = ~np.isnan(part) & ~np.isnan(whole) & (whole != 0)
        if values[name].value is not None and counted.any() and not fake[counted].any():
            out[name] = replace(values[name], why="over genuine pictures alone: of fakes the truth is not known")
    return out


def places(table: pa.Table, seed: int = 0) -> dict[str, Value]:
    """Localisation and regions: means over the rows that have such a truth.

    mask_…          pixels of the witness's mask, of rows with a truth mask (`localisation`)
    region_f1       F1 over all (row, region) pairs; "region_f1/nose" of one region
    claims_right    share of claims whose place is really forged;   forged_claimed   share of forged regions claimed

    Args:
        table: Predictions.
        seed: Of the bootstrap and of the controls.

    Returns:
        Name → its value with an interval.
    """
    columns = ("mask_precision", "mask_recall", "mask_f1", "mask_ap")
    ones = np.ones(table.num_rows)
    parts: dict[str, tuple[Any, Any]] = {
        name: (table.column(name).to_numpy(zero_copy_only=False).astype(np.float64), ones) for name in columns
    }
    group = groups(table)
    values = ratios(parts, group, seed=seed)
    known = pc.and_(pc.is_valid(table.column("regions_true")), pc.is_valid(table.column("regions_said")))
    true, names = _sets(table.column("regions_true").filter(known))
    predicted, other = _sets(table.column("regions_said").filter(known))
    vocabulary = sorted({*names, *other})
    t, s = _spread(true, names, vocabulary), _spread(predicted, other, vocabulary)
    both = (t & s).sum(1)
    parts = {
        "region_f1": (2 * both, t.sum(1) + s.sum(1)),
        "claims_right": (both, s.sum(1)),
        "forged_claimed": (both, t.sum(1)),
    }
    for i, region in enumerate(vocabulary):
        if region in names:
            parts[f"region_f1/{region}"] = (2 * (t[:, i] & s[:, i]), t[:, i] + s[:, i].astype(int))
    reasons = {"claims_right": "no claims were made", "forged_claimed": "no region is forged"}
    regions = ratios(parts, group[known.to_numpy(zero_copy_only=False)], seed=seed, why=reasons)
    labels = table.column("label")
    mixed = pc.any(pc.equal(labels, "fake")).as_py() is True
    return values | footnoted(regions, parts, labels.filter(known).to_pylist(), mixed)


def _sets(column: Any) -> tuple[Bools, list[str]]:
    """A column of lists of names as (rows, names) bool."""
    flat = pc.list_flatten(column)
    row = pc.list_parent_indices(column).to_numpy(zero_copy_only=False).astype(np.intp)
    codes, _ = _codes(flat) if len(flat) else (np.empty(0, np.intp), 0)
    names = pc.unique(flat).to_pylist()
    has = np.zeros((len(column), len(names)), bool)
    has[row, codes] = True
    return has, names


def _spread(has: Bools, names: list[str], vocabulary: list[str]) -> Bools:
    """The same columns, placed among all of a vocabulary."""
    wide = np.zeros((len(has), len(vocabulary)), bool)
    wide[:, [vocabulary.index(name) for name in names]] = has
    return wide


# ------------------------------------------------------------------------------------------------------- one mask


def localisation(
    predicted: NDArray[np.float32], truth: NDArray[np.float32], threshold: float = 0.5
) -> Mapping[str, float | None]:
    """iou, precision, recall, f1 of two masks (H, W) at a fixed threshold, and ap over all thresholds (PR-AUC).

    Precision of a mask that says nothing is 0: a forged place was there to be found. None where the truth is empty.

    Args:
        predicted: A mask, float (H, W) in [0, 1].
        truth: The true mask, float (H, W) in [0, 1].
        threshold: From which value on a pixel counts as claimed, in [0, 1].

    Returns:
        Name → number in [0, 1], or None.
    """
    if predicted.shape != truth.shape:
        raise InputError(f"localisation: expected masks of one shape, got {predicted.shape} and {truth.shape}")
    true, hit = truth >= 0.5, predicted >= threshold
    if not true.any():
        return dict.fromkeys(("iou", "precision", "recall", "f1", "ap"))
    both = float((true & hit).sum())
    precision, recall = both / max(1.0, float(hit.sum())), both / float(true.sum())
    # outside the box of what is said or true every pixel is a correct zero at the lowest threshold: count, don't sort
    near = true | (predicted > 0)
    rest = int(near.size - near.sum())
    ranking = Ranking.of(np.append(true[near], False), np.append(np.clip(predicted[near], 0, 1), 0.0))
    weighted = Weighted(ranking, np.append(np.ones(int(near.sum())), float(rest)))
    return {
        "iou": both / float((true | hit).sum()),
        "precision": precision,
        "recall": recall,
        "f1": 2 * both / float(true.sum() + hit.sum()),
        "ap": average_precision(weighted),
    }
