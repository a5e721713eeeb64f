"""Two systems over the same items: paired differences with intervals, so that "better" is more than two numbers.

Only items that both have scored take part, and how many did not is said. Both systems are drawn together, by group:
the interval of a difference is then far narrower than the two systems' own intervals suggest. Beside it stands
McNemar's exact test of who is right at the threshold 0.5, which knows nothing of groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facewitness.bench import measures, predictions
from facewitness.bench.measures import DETECTION, NEEDS_BOTH, ONE_CLASS, Ranking, Weighted
from facewitness.errors import InputError


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure of both systems; `low` and `high` bound first − second; `p` is the bootstrap's, two-sided."""

    measure: str
    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All measures at one level ("frame" or "video"), the items both scored, and McNemar's test."""

    level: str
    items: int
    left_out: int  # items of either table that the other lacks, or that one of the two has not scored
    differences: tuple[Difference, ...]
    only_first_right: int
    only_second_right: int
    mcnemar: float | None


def compare(first: pa.Table, second: pa.Table, seed: int = 0) -> tuple[Comparison, ...]:
    """Paired differences at frame level, and at video level where there are videos.

    Unperturbed rows are compared.

    Args:
        first: Predictions of one system.
        second: Predictions of the other, on the same items.
        seed: Of the bootstrap and of the controls.

    Raises:
        InputError: Where the two have no scored item in common, or disagree about a label: then they are not about the
            same data.
    """
    a, b, left_out = _paired(first, second)
    levels = [_level("frame", measures.scored(a), measures.scored(b), left_out, seed)]
    video_a, video_b = measures.videos(a), measures.videos(b)
    if video_a is not None and video_b is not None:
        levels.append(_level("video", video_a, video_b, 0, seed))
    return tuple(levels)


def _paired(first: pa.Table, second: pa.Table) -> tuple[pa.Table, pa.Table, int]:
    """Both tables with the same items in the same order, all scored; and how many items that left out."""
    tables, keys = [], []
    for table in (first, second):
        plain = predictions.items(table.filter(pc.equal(table.column("perturbation"), "none")))
        columns = ["dataset", "file", "frame", "box", "perturbation", "strength"]
        keys.append([predictions.key(row) for batch in plain.select(columns).to_batches() for row in batch.to_pylist()])
        tables.append(plain)
    scored = [
        pc.is_valid(pc.coalesce(t.column("fake"), t.column("score"))).to_numpy(zero_copy_only=False) for t in tables
    ]
    where = {key: i for i, key in enumerate(keys[1]) if scored[1][i]}
    pairs = [(i, where[key]) for i, key in enumerate(keys[0]) if scored[0][i] and key in where]
    if not pairs:
        raise InputError(
            "bench compare: expected two runs over the same items, found no item that both have scored. "
            "Compare runs of one dataset, with the same split and frames."
        )
    a, b = (t.take(pa.array([pair[k] for pair in pairs])) for k, t in enumerate(tables))
    differing = np.flatnonzero(pc.not_equal(a.column("label"), b.column("label")).to_numpy(zero_copy_only=False))
    if differing.size:
        file = a.column("file")[int(differing[0])].as_py()
        raise InputError(
            f"bench compare: the two runs disagree about the label of {differing.size} items, such as {file}"
        )
    return a, b, len({*keys[0], *keys[1]}) - len(pairs)


def _level(level: str, a: measures.Scored, b: measures.Scored, left_out: int, seed: int) -> Comparison:
    from scipy.stats import binomtest  # here: it takes a second that only a comparison needs

    first, second = Ranking.of(a.fake, a.p), Ranking.of(b.fake, b.p)
    one_class = bool(a.fake.all() or not a.fake.any())
    names = [name for name in DETECTION if not (one_class and name in NEEDS_BOTH)]
    draws: dict[str, list[float]] = {name: [] for name in names}
    for weight in measures.drawn(a.group, measures.draws_for(a.fake.size), seed):
        at, other = Weighted(first, weight), Weighted(second, weight)
        for name in names:
            x, y = DETECTION[name](at), DETECTION[name](other)
            if x is not None and y is not None:
                draws[name].append(x - y)
    once, twice = Weighted(first), Weighted(second)
    rows = []
    for name, measure in DETECTION.items():
        if name not in names:
            rows.append(Difference(name, None, None, None, None, None, None, ONE_CLASS))
            continue
        x, y = measure(once), measure(twice)
        assert x is not None and y is not None
        low, high = measures.interval(draws[name]) or (None, None)
        rows.append(Difference(name, x, y, x - y, low, high, _p(np.array(draws[name]))))
    right_a, right_b = (a.p >= 0.5) == a.fake, (b.p >= 0.5) == b.fake
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    mcnemar = float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else None
    return Comparison(level, int(a.fake.size), left_out, tuple(rows), only_a, only_b, mcnemar)


def _p(draws: np.ndarray) -> float | None:
    """Twice the smaller share of draws on one side of 0, and never below what so many draws can show."""
    if draws.size == 0:
        return None
    smaller = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    return float(min(1.0, 2 * (smaller + 1) / (draws.size + 1)))


_NAMES = {
    "auc": "AUC", "ap": "AP", "eer": "EER", "acc": "ACC at 0.5", "f1": "F1", "tpr_at_1": "TPR at 1 % FPR",
    "tpr_at_5": "TPR at 5 % FPR", "ece": "ECE", "brier": "Brier",
}  # fmt: skip


def render(comparisons: tuple[Comparison, ...], first: str, second: str) -> str:
    """The comparison as Markdown, one table a level.

    Args:
        comparisons: One a level.
        first: Name of one system.
        second: Name of the other.
    """
    parts = []
    for c in comparisons:
        left = f" ({c.left_out} items left out: not scored by both)" if c.left_out else ""
        lines = [
            f"{c.level.capitalize()} level, {c.items} {'videos' if c.level == 'video' else 'items'}{left}", "",
            f"| measure | {first} | {second} | difference | 95 % interval | p |", "|---|---|---|---|---|---|",
        ]  # fmt: skip
        for d in c.differences:
            if d.difference is None or d.first is None or d.second is None:
                lines.append(f"| {_NAMES[d.measure]} | — | — | — | {d.why} | — |")
                continue
            bounds = "—" if d.low is None or d.high is None else f"{d.low:+.4f} … {d.high:+.4f}"
            p = "—" if d.p is None else f"{d.p:.3f}"
            lines.append(
                f"| {_NAMES[d.measure]} | {d.first:.4f} | {d.second:.4f} | {d.difference:+.4f} | {bounds} | {p} |"
            )
        test = "no item that only one gets right" if c.mcnemar is None else f"McNemar's exact test p = {c.mcnemar:.3g}"
        lines += [
            "", f"At 0.5, {c.only_first_right} right only by {first}, {c.only_second_right} only by {second}; {test}.",
        ]  # fmt: skip
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
