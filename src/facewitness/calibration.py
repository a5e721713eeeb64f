"""Calibration: how a witness's raw score becomes a probability, and from where on that decides.

A raw score s becomes p = σ(a · logit(s) + b) (Platt 1999), with a and b fitted on held-out faces and shipped beside the
witness's weights. The thresholds for real and fake come from error rates measured on each source of those faces.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from pathlib import Path
from types import NoneType
from typing import Any, ClassVar, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facewitness.errors import InputError, UnknownName, came, expect, in_a_sentence
from facewitness.files import each_once, read_bounded
from facewitness.types import KINDS, Label

MAX_BYTES = 10_000_000  # of a profile; one has a few thousand
EDGE = 1e-6  # raw scores are kept this far from 0 and 1, so that their log-odds stay finite
_KNOTS = 33
_OPTIONAL = ("kinds", "against")  # what a file may leave out: nobody measured it


# ---------------------------------------------------------------------------------------------------- calibration


@dataclass(frozen=True, slots=True)
class Calibration:
    """How one witness's raw score becomes a probability, and from where on it decides; fitted on held-out faces.

    Attributes:
        slope: of p = σ(slope · logit(score) + offset); 0 or more, so p never falls when the score rises.
        offset: see `slope`.
        knots: raw log-odds, rising, at which the interval of p is known.
        low: lower end of the 95 % interval of p at each knot, by a bootstrap over groups.
        high: upper end at each knot.
        real_below: p below this is real; at most 0.5 when fitted, so no verdict contradicts its own probability.
        fake_above: p from this on is fake; at least 0.5 when fitted.
        genuine_called_fake: the bound on genuine rows called fake that `fake_above` was chosen for.
        fakes_called_real: the bound on fakes called real that `real_below` was chosen for.
        fakes: weighted share of fakes among the rows of the fit, the prior that p stands on.
        rows: rows that the fit saw.
        groups: groups that the fit saw.
        rates: source → numbers of rows "genuine" and "fakes", and the measured shares "genuine_called_fake",
            "genuine_called_real", "fakes_called_fake", "fakes_called_real"; None where there are no rows.
        kinds: kind of forgery → "slope" and "offset" measured on forgeries of that kind, for faces of which another
            witness names it. A slope of 0 says that the score tells nothing of the kind.
        against: another witness → "cases", held-out faces on which the two decided in opposite directions, and "right",
            how many of them this one had right.
    """

    slope: float
    offset: float
    knots: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    real_below: float
    fake_above: float
    genuine_called_fake: float
    fakes_called_real: float
    fakes: float
    rows: int
    groups: int
    rates: Mapping[str, Mapping[str, Any]]
    kinds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    against: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @in_a_sentence
    def __post_init__(self) -> None:
        numbers = (self.slope, self.offset, *self.knots, *self.low, *self.high, self.real_below, self.fake_above)
        if not all(math.isfinite(number) for number in numbers):
            raise InputError("Calibration: expected finite numbers, got NaN or infinity; fit it again")
        if self.slope < 0:
            raise InputError(f"Calibration.slope: expected 0 or more, got {self.slope}; a higher score must mean fake")
        if not 0.0 <= self.real_below <= self.fake_above <= 1.0:
            raise InputError(
                "Calibration: expected 0 <= real_below <= fake_above <= 1, "
                f"got real_below {self.real_below}, fake_above {self.fake_above}"
            )
        if not len(self.knots) == len(self.low) == len(self.high) >= 1 or any(np.diff(self.knots) <= 0):
            raise InputError("Calibration: expected rising knots with one low and one high each")
        if not all(0.0 <= low <= high <= 1.0 for low, high in zip(self.low, self.high, strict=True)):
            raise InputError("Calibration: expected 0 <= low <= high <= 1 at each knot")
        for kind, line in self.kinds.items():
            if kind not in KINDS:
                raise UnknownName("kind of forgery in a calibration", str(kind), KINDS)
            if (
                set(line) != {"slope", "offset"}
                or not all(math.isfinite(v) for v in line.values())
                or line["slope"] < 0
            ):
                raise InputError(f"Calibration.kinds[{kind}]: expected a slope of 0 or more and an offset, got {line}")
        for source, rates in self.rates.items():
            rows = [rates.get(kind) for kind in ("genuine", "fakes")]
            shares = [rates.get(f"{of}_called_{label}") for of in ("genuine", "fakes") for label in ("fake", "real")]
            whole = all(n is None or (isinstance(n, int) and 0 <= n <= 1e12) for n in rows)
            if not whole or not all(n is None or (isinstance(n, int | float) and 0 <= n <= 1) for n in shares):
                raise InputError(
                    f"Calibration.rates[{source}]: expected numbers of rows, and shares from 0 to 1 of them, got "
                    f"{dict(rates)!r:.200}"
                )
        for name, counts in self.against.items():
            if set(counts) != {"cases", "right"} or not 0 <= counts["right"] <= counts["cases"]:
                raise InputError(f"Calibration.against[{name}]: expected cases and, of them, right; got {counts}")

    @classmethod
    def fit(
        cls,
        scores: ArrayLike,
        labels: ArrayLike,
        groups: ArrayLike,
        sources: ArrayLike | None = None,
        *,
        weights: ArrayLike | None = None,
        moved: ArrayLike | None = None,
        genuine_called_fake: float = 0.05,
        fakes_called_real: float = 0.05,
        confidence: float = 0.9,
        resamples: int = 300,
        seed: int = 0,
    ) -> Calibration:
        """Fit on held-out rows, which the witness was not trained on.

        `fake_above` is the lowest threshold at which, for *each* source with genuine rows (the worst one decides), no
        more are called fake than shows with the given confidence (one-sided, binomial) that the true rate there is at
        most `genuine_called_fake`. `real_below` is the highest threshold at which at most `fakes_called_real` of the
        fakes are called real on average, each source counting the same: were the worst one to decide here too, one
        source whose traces compression has destroyed would forbid the answer "real" for everything.

        Args:
            scores: (n,) raw scores in [0, 1].
            labels: (n,) 1 or True for fake, 0 or False for genuine.
            groups: (n,) source video or identity. The bootstrap draws groups: rows of one group are not independent.
            sources: (n,) the data set of each row; None is one source.
            weights: (n,) of each row in the fit of the probability, not in the thresholds; None counts each row once.
            moved: (k, 2) raw scores of a picture and of the same picture after what says nothing of forgery, such as
                saving it again; the interval then covers 95 % of such moves, too. None: the bootstrap alone.
            genuine_called_fake: bound on the share of genuine rows called fake.
            fakes_called_real: bound on the share of fakes called real.
            confidence: with which the first bound is shown to hold.
            resamples: draws of the bootstrap.
            seed: of the bootstrap.

        Raises:
            InputError: NaN, scores outside [0, 1], other labels, unequal lengths, a missing class or one group.
        """
        shares = {"genuine_called_fake": genuine_called_fake, "fakes_called_real": fakes_called_real}
        for name, share in {**shares, "confidence": confidence}.items():
            expect(f"Calibration.fit: {name}", share, Real, "a share between 0 and 1")
            if not 0 < share < 1:
                raise InputError(f"Calibration.fit: {name}: expected a share between 0 and 1, got {came(share)}.")
        for name, number, least in (("resamples", resamples, 1), ("seed", seed, 0)):
            expect(f"Calibration.fit: {name}", number, Integral, "a whole number")
            if not least <= number < 1 << 32:
                raise InputError(f"Calibration.fit: {name}: expected {least} to {(1 << 32) - 1}, got {came(number)}.")
        x = logit(_checked_scores(scores))
        y = _numbers("labels", labels)
        if y.shape != x.shape or not np.isin(y, (0.0, 1.0)).all():
            raise InputError(f"Calibration.fit: expected {x.size} labels, each 0 (genuine) or 1 (fake)")
        names, group = np.unique(np.asarray(groups).astype(str), return_inverse=True)
        source = np.full(x.size, "all") if sources is None else np.asarray(sources).astype(str)
        w = np.ones(x.size) if weights is None else _numbers("weights", weights)
        if not group.shape == source.shape == w.shape == x.shape:
            raise InputError(f"Calibration.fit: expected {x.size} groups, sources and weights, one a row")
        if not (np.isfinite(w).all() and (w >= 0).all()):
            raise InputError("Calibration.fit: expected finite weights, 0 or more")
        if not (w[y == 1].sum() > 0 and w[y == 0].sum() > 0):
            raise InputError("Calibration.fit: expected genuine and fake rows, got one kind only")
        if names.size < 2:
            raise InputError(
                "Calibration.fit: expected rows of at least two groups, got one; an interval needs several"
            )

        slope, offset = _platt(x, y, w)
        knots = np.linspace(x.min(), x.max(), _KNOTS) if x.max() > x.min() else x[:1]
        rng = np.random.default_rng(seed)
        drawn = np.empty((resamples, knots.size))
        for i in range(resamples):
            times = np.bincount(rng.integers(names.size, size=names.size), minlength=names.size)
            a, b = _platt(x, y, w * times[group])
            drawn[i] = sigmoid(a * knots + b)
        low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
        if moved is not None:
            low, high = _widened(knots, low, high, slope, moved)

        p = sigmoid(slope * x + offset)
        genuine, fake = y == 0, y == 1
        fake_above = max(
            [0.5]
            + [
                _at_most_from(p[genuine & (source == name)], genuine_called_fake, confidence)
                for name in np.unique(source[genuine])
            ]
        )
        real_below = min(0.5, _at_most_below(p[fake], source[fake], fakes_called_real))
        return cls(
            slope=slope,
            offset=offset,
            knots=tuple(knots.tolist()),
            low=tuple(low.tolist()),
            high=tuple(high.tolist()),
            real_below=real_below,
            fake_above=fake_above,
            genuine_called_fake=genuine_called_fake,
            fakes_called_real=fakes_called_real,
            fakes=float((w * y).sum() / w.sum()),
            rows=int(x.size),
            groups=int(names.size),
            rates={
                str(name): _rates(p[source == name], y[source == name], real_below, fake_above)
                for name in np.unique(source)
            },
        )

    def probabilities(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Raw scores (n,) → calibrated probabilities (n,).

        Args:
            scores: Raw scores in [0, 1], (n,).

        Returns:
            (n,) in [0, 1].

        Raises:
            InputError: For NaN or scores outside [0, 1].
        """
        return logistic(_checked_scores(scores), self.slope, self.offset)

    def apply(self, score: float, kind: str | None = None) -> tuple[float, float, float]:
        """A raw score → (p, low, high), the last two its 95 % interval; all three rise with the score.

        Args:
            score: Raw, in [0, 1].
            kind: Of forgery, where another witness names one: p is then that of `kinds`, as far as it was measured.

        Returns:
            The probability and its interval, each in [0, 1].

        Raises:
            InputError: NaN, or a score outside [0, 1].
        """
        expect("Calibration.apply: kind", kind, (str, NoneType), "a kind of forgery in words or None")
        x = logit(_checked_scores([score]))
        line = self.kinds.get(kind or "", {"slope": self.slope, "offset": self.offset})
        p = float(sigmoid(line["slope"] * x + line["offset"])[0])
        # between knots along the log-odds, which are nearly straight there
        low, high = (
            float(sigmoid(np.interp(x, self.knots, logit(np.array(ends))))[0]) for ends in (self.low, self.high)
        )
        return p, min(low, p), max(high, p)

    def label(self, p: float) -> Label:
        """The answer for a calibrated probability.

        Args:
            p: A calibrated probability, in [0, 1].
        """
        expect("Calibration.label", p, Real, "a probability")
        return decide(p, self.real_below, self.fake_above)

    def overall(self) -> dict[str, Any]:
        """The measured error rates of all sources together, each row counting the same; None without such rows.

        Returns:
            "genuine" and "fakes", how many there were, and the shares "genuine_called_fake", "genuine_called_real",
            "fakes_called_fake" and "fakes_called_real" of them; "prior", the share of fakes that p stands on.
        """
        answers: dict[str, Any] = {}
        for kind in ("genuine", "fakes"):
            answers[kind] = sum(int(rates.get(kind) or 0) for rates in self.rates.values())
            for label in ("fake", "real"):
                name = f"{kind}_called_{label}"
                known = [r for r in self.rates.values() if r.get(kind) and r.get(name) is not None]
                total = sum(r[kind] for r in known)
                answers[name] = sum(r[kind] * r[name] for r in known) / total if total else None
        return answers | {"prior": self.fakes}

    def to_json(self) -> dict[str, Any]:
        """All of it as what JSON can hold; goes into the file beside the weights.

        Returns:
            JSON-ready; `from_json` reads it again.
        """
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _OPTIONAL}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()} | {
            name: {key: dict(inner) for key, inner in getattr(self, name).items()}
            for name in ("rates", *_OPTIONAL)
            if name == "rates" or getattr(self, name)
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Calibration:
        """The way back.

        Args:
            value: As `to_json` gives it.

        Raises:
            InputError: Where a part is missing, unknown or out of range.
        """
        expect("Calibration.from_json", value, Mapping, "a mapping as to_json gives it")
        names = [f.name for f in fields(cls)]
        wrong = sorted(map(str, (set(names) ^ set(value)) - set(_OPTIONAL)))
        if wrong:
            raise InputError(f"Calibration: expected exactly {', '.join(names)}; {', '.join(wrong)} missing or unknown")
        try:
            parts: dict[str, Any] = {k: tuple(map(float, v)) if isinstance(v, list) else v for k, v in value.items()}
            return cls(**parts)
        except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise InputError(f"Calibration: {error}") from error


# ------------------------------------------------------------------------------------------------------- a profile


@dataclass(frozen=True, slots=True)
class Profile:
    """Calibrations fitted to somebody's own labelled pictures (`facewitness calibrate`), for given weights.

    Attributes:
        name: of its file. Name and hash stand in every report that was made with it.
        sha256: of its bytes.
        witnesses: witness's name → {"weights": {file: sha256}, "calibration": as `Calibration.to_json` gives it}.
    """

    name: str
    sha256: str
    witnesses: Mapping[str, Mapping[str, Any]]

    SCHEMA: ClassVar[str] = "facewitness.profile/1"

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Profile:
        """A profile from its file.

        Args:
            path: Of the profile.

        Raises:
            InputError: The file is missing, broken, or of another kind or version.
        """
        expect("profile", path, (str, os.PathLike), "the path of a file made by facewitness calibrate")
        path = Path(path)
        try:
            content = read_bounded(path, MAX_BYTES)
            value = json.loads(content, object_pairs_hook=each_once)
        except (OSError, ValueError, RecursionError) as error:
            broken = isinstance(error, json.JSONDecodeError | UnicodeDecodeError | RecursionError)
            why = getattr(error, "strerror", None) or ("it is not JSON" if broken else str(error))
            if "set_int_max_str_digits" in why:  # Python's words speak of how to read such a number nevertheless
                why = "a number in it is of thousands of digits"
            raise InputError(f"{path}: expected a profile made by `facewitness calibrate` ({why})") from error
        if not isinstance(value, dict) or value.get("schema") != cls.SCHEMA:
            came = value.get("schema") if isinstance(value, dict) else type(value).__name__
            raise InputError(
                f"{path}: expected the schema {cls.SCHEMA}, got {came!r}. Make it with facewitness calibrate."
            )
        witnesses = value.get("witnesses")
        whole = isinstance(witnesses, dict) and all(
            isinstance(fitted, dict) and isinstance(fitted.get("weights"), dict) and "calibration" in fitted
            for fitted in witnesses.values()
        )
        if not whole or not isinstance(witnesses, dict):
            raise InputError(
                f"{path}: expected weights and a calibration for each of its witnesses, one is missing. "
                "Make it again with facewitness calibrate."
            )
        return cls(path.name, hashlib.sha256(content).hexdigest(), witnesses)

    def calibrations(self, loaded: Mapping[str, Mapping[str, Any]]) -> dict[str, Calibration]:
        """The calibrations of the witnesses that are loaded, given what each was `made_by`.

        Args:
            loaded: Name of each witness → its `made_by`.

        Returns:
            Name of a witness → its calibration.

        Raises:
            InputError: For a loaded witness that the profile does not know, or knows with other weights: a calibration
                says nothing about another network's scores.
        """
        ready = {}
        for name, made_by in loaded.items():
            if name not in self.witnesses:
                raise InputError(
                    f"{self.name}: expected a calibration of {name}, has {', '.join(self.witnesses)}. "
                    f"Make one with: facewitness calibrate --witness {name}"
                )
            fitted = self.witnesses[name]
            if dict(fitted["weights"]) != dict(made_by.get("weights", {})):
                raise InputError(f"{self.name}: was fitted to other weights of {name}. Fit it again to these.")
            ready[name] = Calibration.from_json(fitted["calibration"])
        return ready

    def made_by(self) -> dict[str, str]:
        """How it stands in a report.

        Returns:
            Its name and the file's SHA-256.
        """
        return {"name": self.name, "sha256": self.sha256}


def _widened(
    knots: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64], slope: float, moved: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """An interval at the knots that 95 % of the moves (k, 2) from scores near each knot stay in; both ends rise.

    The two spreads are independent, so their squares add up, in log-odds of the probability.
    """
    pairs = _numbers("moved", moved)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or len(pairs) < 20:
        raise InputError(f"Calibration.fit: expected at least 20 pairs of scores (k, 2) as moved, got {pairs.shape}")
    before, after = (logit(_checked_scores(column)) for column in pairs.T)
    near = max(20, len(before) // 6)
    ends: list[list[float]] = [[], []]
    for knot in knots:
        steps = slope * (after - before)[np.argsort(np.abs(before - knot), kind="stable")[:near]]
        for end, share in zip(ends, (0.02, 0.98), strict=True):  # a little more than 95 %: counted on other pictures
            end.append(float(np.quantile(steps, share)))
    centre = (logit(low) + logit(high)) / 2
    half = (logit(high) - logit(low)) / 2
    down, up = (np.maximum(0.0, sign * np.array(end)) for sign, end in zip((-1, 1), ends, strict=True))
    lower, upper = sigmoid(centre - np.hypot(half, down)), sigmoid(centre + np.hypot(half, up))
    return np.minimum.accumulate(lower[::-1])[::-1], np.maximum.accumulate(upper)


def _numbers(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Values as float64; raises InputError where they are no numbers."""
    try:
        return np.asarray(values).astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"Calibration: expected {name} as numbers, got {came(values)}.") from error


def _checked_scores(scores: ArrayLike) -> NDArray[np.float64]:
    s = _numbers("scores", scores)
    if s.ndim != 1 or s.size == 0:
        raise InputError(f"Expected scores (n,) with n of at least 1, got shape {s.shape}")
    if not (np.isfinite(s).all() and s.min() >= 0.0 and s.max() <= 1.0):
        raise InputError("Expected scores in [0, 1], got NaN, infinity or values outside")
    return s


def logit(p: NDArray[np.float64] | float, edge: float = EDGE) -> NDArray[np.float64]:
    """Log-odds of probabilities, which are kept a little away from 0 and 1.

    Args:
        p: Any shape, in [0, 1].
        edge: How far.

    Returns:
        Of the same shape: log-odds.
    """
    p = np.clip(p, edge, 1.0 - edge)
    return np.asarray(np.log(p) - np.log1p(-p))


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + e^-x), without overflow.

    Args:
        x: Any shape.

    Returns:
        Of the same shape, in (0, 1).
    """
    return 1.0 / (1.0 + np.exp(-np.clip(x, -500.0, 500.0)))


def logistic(scores: NDArray[np.float64], slope: float, offset: float) -> NDArray[np.float64]:
    """Scores in [0, 1], of any shape -> σ(slope · logit(score) + offset): what Platt's fit makes of them.

    Args:
        scores: Raw scores in [0, 1], (n,).
        slope: Of the line.
        offset: Of the line.

    Returns:
        Of the same shape, in [0, 1].
    """
    return sigmoid(slope * logit(scores) + offset)


def _platt(x: NDArray[np.float64], y: NDArray[np.float64], w: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and offset of the weighted logistic fit with Platt's targets, by Newton's method; the slope is never < 0.

    The targets (N₊ + 1) / (N₊ + 2) and 1 / (N₋ + 2) keep the fit finite where a threshold separates the classes.
    """
    positive, negative = float(w @ y), float(w @ (1.0 - y))
    t = np.where(y == 1.0, (positive + 1.0) / (positive + 2.0), 1.0 / (negative + 2.0))
    theta = np.array([0.0, math.log((positive + 1.0) / (negative + 1.0))])

    def loss(theta: NDArray[np.float64]) -> float:
        z = theta[0] * x + theta[1]
        return float(w @ (np.logaddexp(0.0, z) - t * z))

    value = loss(theta)
    for _ in range(100):
        p = sigmoid(theta[0] * x + theta[1])
        residual, curvature = w * (p - t), w * p * (1.0 - p)
        gradient = np.array([residual @ x, residual.sum()])
        cross = float(curvature @ x)
        hessian = np.array([[curvature @ (x * x), cross], [cross, curvature.sum()]]) + np.eye(2) * 1e-9
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while (
            tried := loss(theta - size * step)
        ) > value and size > 1e-6:  # Newton may overshoot: halve until it does not
            size /= 2.0
        if tried > value:
            break
        theta, gained, value = theta - size * step, value - tried, tried
        if gained < 1e-10 * (1.0 + abs(value)):
            break
    if theta[0] < 0.0:  # the score tells nothing, or the wrong way: the base rate is all that is known
        base = float(w @ t) / float(w.sum())
        return 0.0, math.log(base / (1.0 - base))
    return float(theta[0]), float(theta[1])


def _at_most_from(p: NDArray[np.float64], bound: float, confidence: float) -> float:
    """The lowest threshold with so few of the p at or above it that their true share is at most the bound."""
    n = p.size
    allowed = -1
    share = 0.0  # P(Binomial(n, bound) <= allowed): how likely so few would be were the true share just the bound
    for k in range(n + 1):
        share += math.exp(
            math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
            + k * math.log(bound) + (n - k) * math.log1p(-bound)
        )  # fmt: skip
        if share > 1.0 - confidence:
            break
        allowed = k
    # Too few rows to show it even with none above: then no more than these rows can be asked, all of them below.
    return _cut(p, max(allowed, 0))


def _cut(p: NDArray[np.float64], above: int) -> float:
    """The middle of the gap between values of p below which all but at most `above` of them lie."""
    if above >= p.size:
        return 0.0
    falling = np.sort(p)[::-1]
    last_below = falling[above]  # this one and its equals have to stay below
    higher = falling[falling > last_below]
    return float((last_below + (higher.min() if higher.size else 1.0)) / 2.0)


def _at_most_below(p: NDArray[np.float64], source: NDArray[np.str_], bound: float) -> float:
    """The highest threshold with at most a share `bound` of the p below it, the mean over sources."""
    names, index, counts = np.unique(source, return_inverse=True, return_counts=True)
    values, at = np.unique(p, return_inverse=True)
    shares = np.bincount(at, weights=1.0 / (names.size * counts[index]))
    below = np.concatenate(([0.0], np.cumsum(shares)[:-1]))  # the share strictly below each value
    i = int(np.flatnonzero(below <= bound + 1e-12).max())  # values[i] itself must not be below the threshold
    return float((values[i] + (values[i - 1] if i else 0.0)) / 2.0)


def _rates(p: NDArray[np.float64], y: NDArray[np.float64], real_below: float, fake_above: float) -> dict[str, Any]:
    rates: dict[str, Any] = {}
    for name, rows in (("genuine", p[y == 0]), ("fakes", p[y == 1])):
        rates[name] = int(rows.size)
        rates[f"{name}_called_fake"] = float((rows >= fake_above).mean()) if rows.size else None
        rates[f"{name}_called_real"] = float((rows < real_below).mean()) if rows.size else None
    return rates


class Logistic(TypedDict):
    """A fitted logistic as it stands in JSON; `logistic` applies it."""

    slope: float
    offset: float


def decide(p: float, real_below: float, fake_above: float) -> Label:
    """The answer for a probability: real below one threshold, fake from the other one on, inconclusive between them.

    Args:
        p: A calibrated probability, in [0, 1].
        real_below: Below it the answer is real.
        fake_above: From it on the answer is fake.
    """
    return "fake" if p >= fake_above else "real" if p < real_below else "inconclusive"


def decided(score: float, calibration: Mapping[str, Any] | None) -> Label:
    """What a raw score alone says: as the calibration (`Calibration.to_json`) decides; by its half where there is none.

    Args:
        score: Raw, in [0, 1].
        calibration: As `Calibration.to_json` gives it; None where there is none.

    Raises:
        InputError: For a score outside [0, 1] and for a broken calibration.
    """
    if calibration is None:
        return "fake" if score >= 0.5 else "real"
    fitted = Calibration.from_json(calibration)
    return fitted.label(float(fitted.probabilities([score])[0]))
