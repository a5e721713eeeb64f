"""From testimonies to a verdict: calibrate each witness, weigh them together, and abstain where nobody can know.

    1. calibrate   a witness's raw score s becomes a probability p = σ(a · logit(s) + b) (Platt 1999), with a and b
                   fitted on held-out faces and shipped beside the witness's weights
    2. weigh       several witnesses: the mean of their log-odds, logit(p) = mean_i logit(p_i). Witnesses see the same
                   pixels, so their errors go together; adding their log-odds up would count one trace several times
    3. decide      real below one threshold, fake from another one on, inconclusive between them; the thresholds come
                   from error rates measured on each source of held-out faces
    4. abstain     where the face cannot be judged, calibrated witnesses contradict each other, or one of them says the
                   opposite of its score in words, whatever the score

A witness without a calibration is heard, but cannot decide: its score is not a probability.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facewitness.errors import InputError
from facewitness.formats import percent
from facewitness.types import Face, Label, Quality, Testimony, Verdict

_EDGE = 1e-6  # raw scores are kept this far from 0 and 1, so that their log-odds stay finite
_KNOTS = 33


# ---------------------------------------------------------------------------------------------------- calibration


@dataclass(frozen=True, slots=True)
class Calibration:
    """How one witness's raw score becomes a probability, and from where on it decides; fitted on held-out faces.

    slope, offset     p = σ(slope · logit(score) + offset); slope ≥ 0, so p never falls when the score rises
    knots, low, high  the 95 % interval of p (low to high) at raw log-odds (knots), by a bootstrap over groups
    real_below        p below this is real            } real_below ≤ 0.5 ≤ fake_above: no verdict
    fake_above        p from this on is fake          } contradicts its own probability
    genuine_called_fake, fakes_called_real   the bounds that the thresholds were chosen for
    fakes             weighted share of fakes among the rows of the fit: the prior that p stands on
    rows, groups      how many rows in how many groups the fit saw
    rates             source → {"genuine", "fakes": rows; "genuine_called_fake", "genuine_called_real",
                      "fakes_called_fake", "fakes_called_real": measured shares, None where there are no rows}
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

    @classmethod
    def fit(
        cls,
        scores: ArrayLike,
        labels: ArrayLike,
        groups: ArrayLike,
        sources: ArrayLike | None = None,
        *,
        weights: ArrayLike | None = None,
        genuine_called_fake: float = 0.05,
        fakes_called_real: float = 0.05,
        confidence: float = 0.9,
        resamples: int = 300,
        seed: int = 0,
    ) -> Calibration:
        """Fit on held-out rows, which the witness was not trained on.

        scores   (n,) raw scores in [0, 1]          labels   (n,) 1 or True for fake, 0 or False for genuine
        groups   (n,) source video or identity: the bootstrap draws groups, for rows of one group are not independent
        sources  (n,) the data set of each row; None is one source
        weights  (n,) of each row in the fit of the probability (not in the thresholds); None counts every row once

        `fake_above` is the lowest threshold at which, for *each* source with genuine rows (the worst one decides), no
        more are called fake than shows with the given confidence (one-sided, binomial) that the true rate there is at
        most `genuine_called_fake`. `real_below` is the highest threshold at which at most `fakes_called_real` of the
        fakes are called real on average, each source counting the same: were the worst one to decide here too, one
        source whose traces compression has destroyed would forbid the answer "real" for everything.

        Raises InputError for NaN, scores outside [0, 1], other labels, unequal lengths, a missing class or one group.
        """
        x = _logit(_checked_scores(scores))
        y = np.asarray(labels).astype(np.float64)
        if y.shape != x.shape or not np.isin(y, (0.0, 1.0)).all():
            raise InputError(f"Calibration.fit: expected {x.size} labels, each 0 (genuine) or 1 (fake)")
        names, group = np.unique(np.asarray(groups).astype(str), return_inverse=True)
        source = np.full(x.size, "all") if sources is None else np.asarray(sources).astype(str)
        w = np.ones(x.size) if weights is None else np.asarray(weights, dtype=np.float64)
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
            drawn[i] = _sigmoid(a * knots + b)
        low, high = np.quantile(drawn, (0.025, 0.975), axis=0)

        p = _sigmoid(slope * x + offset)
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
        """Raw scores (n,) → calibrated probabilities (n,). Raises InputError for NaN or scores outside [0, 1]."""
        return _sigmoid(self.slope * _logit(_checked_scores(scores)) + self.offset)

    def apply(self, score: float) -> tuple[float, float, float]:
        """A raw score → (p, low, high), the last two its 95 % interval; all three rise with the score.

        Raises InputError for NaN or a score outside [0, 1].
        """
        x = _logit(_checked_scores([score]))
        p = float(_sigmoid(self.slope * x + self.offset)[0])
        # between knots along the log-odds, which are nearly straight there
        low, high = (
            float(_sigmoid(np.interp(x, self.knots, _logit(np.array(ends))))[0]) for ends in (self.low, self.high)
        )
        return p, min(low, p), max(high, p)

    def label(self, p: float) -> Label:
        """The answer for a calibrated probability."""
        return _decide(p, self.real_below, self.fake_above)

    def to_json(self) -> dict[str, Any]:
        """All of it as what JSON can hold; goes into the file beside the weights."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()} | {
            "rates": {source: dict(rates) for source, rates in self.rates.items()}
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Calibration:
        """The way back. Raises InputError where a part is missing, unknown or out of range."""
        names = [f.name for f in fields(cls)]
        wrong = sorted(set(names) ^ set(value)) if isinstance(value, Mapping) else names
        if wrong:
            raise InputError(f"Calibration: expected exactly {', '.join(names)}; {', '.join(wrong)} missing or unknown")
        try:
            parts: dict[str, Any] = {k: tuple(map(float, v)) if isinstance(v, list) else v for k, v in value.items()}
            return cls(**parts)
        except (TypeError, ValueError) as error:
            raise InputError(f"Calibration: {error}") from error


# ------------------------------------------------------------------------------------------------------- a profile


@dataclass(frozen=True, slots=True)
class Profile:
    """Calibrations fitted to somebody's own labelled pictures (`facewitness calibrate`), for given weights.

    name        of its file, and sha256 of its bytes: both stand in every report that was made with it
    witnesses   witness's name -> {"weights": {file: sha256}, "calibration": as `Calibration.to_json` gives it}
    """

    name: str
    sha256: str
    witnesses: Mapping[str, Mapping[str, Any]]

    SCHEMA: ClassVar[str] = "facewitness.profile/1"

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Profile:
        """Raises InputError where the file is missing, broken, or of another kind or version."""
        path = Path(path)
        try:
            content = path.read_bytes()
            value = json.loads(content)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: expected a profile made by `facewitness calibrate` ({error})") from error
        if not isinstance(value, dict) or value.get("schema") != cls.SCHEMA:
            came = value.get("schema") if isinstance(value, dict) else type(value).__name__
            raise InputError(
                f"{path}: expected the schema {cls.SCHEMA}, got {came!r}. Make it with facewitness calibrate."
            )
        return cls(path.name, hashlib.sha256(content).hexdigest(), value["witnesses"])

    def calibrations(self, loaded: Mapping[str, Mapping[str, Any]]) -> dict[str, Calibration]:
        """The calibrations of the witnesses that are loaded, given what each was `made_by`.

        Raises InputError for a loaded witness that the profile does not know, or knows with other weights: a
        calibration says nothing about another network's scores.
        """
        found = {}
        for name, made_by in loaded.items():
            if name not in self.witnesses:
                raise InputError(
                    f"{self.name}: expected a calibration of {name}, has {', '.join(self.witnesses)}. "
                    f"Make one with: facewitness calibrate --witness {name}"
                )
            fitted = self.witnesses[name]
            if dict(fitted["weights"]) != dict(made_by.get("weights", {})):
                raise InputError(f"{self.name}: was fitted to other weights of {name}. Fit it again to these.")
            found[name] = Calibration.from_json(fitted["calibration"])
        return found

    def made_by(self) -> dict[str, str]:
        """How it stands in a report."""
        return {"name": self.name, "sha256": self.sha256}


def _checked_scores(scores: ArrayLike) -> NDArray[np.float64]:
    s = np.asarray(scores, dtype=np.float64)
    if s.ndim != 1 or s.size == 0:
        raise InputError(f"Expected scores (n,) with n of at least 1, got shape {s.shape}")
    if not (np.isfinite(s).all() and s.min() >= 0.0 and s.max() <= 1.0):
        raise InputError("Expected scores in [0, 1], got NaN, infinity or values outside")
    return s


def _logit(p: NDArray[np.float64]) -> NDArray[np.float64]:
    p = np.clip(p, _EDGE, 1.0 - _EDGE)
    return np.log(p) - np.log1p(-p)


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1.0 / (1.0 + np.exp(-np.clip(x, -500.0, 500.0)))


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
        p = _sigmoid(theta[0] * x + theta[1])
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


def _decide(p: float, real_below: float, fake_above: float) -> Label:
    return "fake" if p >= fake_above else "real" if p < real_below else "inconclusive"


# ---------------------------------------------------------------------------------------------------------- a face


@dataclass(frozen=True, slots=True)
class Limits:
    """When a face is too poor a piece of evidence, in `Quality.score`: 0 useless … 1 good. None raises no doubt.

    Below `unusable` nobody can judge the face: the verdict is inconclusive, whatever the witnesses say. From there to
    `doubtful` the evidence has to be (doubtful / score)^steepness times as strong: the odds of both thresholds move
    outwards by that factor, which grows from 1 without a jump and is 2 at a score of 0.91, 7 at 0.8.

    `doubtful` and `steepness` were chosen on held-out faces, sharp and blurred (`runs/compact/limits.py`): with one
    pair of thresholds for all faces the shipped network accuses one in ten of the genuine faces that video
    compression has spoilt (FaceForensics++ c40), and earlier weights did so with blurred ones. `unusable` is a choice:
    with the gates of `finders.rate`, one defect alone is unusable for a face of less than 23 px, turned by more than
    75°, or with a mesh that hardly fits.
    """

    doubtful: float = 0.97
    unusable: float = 0.1
    steepness: float = 10.0

    def __post_init__(self) -> None:
        if not self.steepness >= 0.0:
            raise InputError(f"Limits: expected a steepness of at least 0, got {self.steepness}")
        if not 0.0 <= self.unusable <= self.doubtful <= 1.0:
            raise InputError(
                f"Limits: expected 0 <= unusable <= doubtful <= 1, got unusable {self.unusable}, "
                f"doubtful {self.doubtful}"
            )


def judge(
    face: Face,
    testimonies: Sequence[Testimony],
    calibrations: Mapping[str, Calibration],
    limits: Limits | None = None,
) -> Verdict:
    """The verdict on one face. `calibrations` maps a witness's name to its calibration.

    `Verdict.fake` is None where no calibrated witness gave a score. Where the face itself cannot be judged it is kept,
    but has no interval: that was measured on better faces.
    """
    limits = limits or Limits()
    heard: list[_Heard] = []
    silent: list[str] = []
    for testimony in testimonies:
        calibration = calibrations.get(testimony.witness)
        if testimony.fake is None:
            silent.append(f"The witness {testimony.witness} would not say.")
        elif calibration is None:
            silent.append(
                f"The witness {testimony.witness} has no calibration: its score {testimony.fake:.2f} is not a "
                "probability and does not count."
            )
        else:
            said = frozenset(reply.label for reply in testimony.replies if reply.label is not None)
            heard.append(_Heard(testimony.witness, calibration, *calibration.apply(testimony.fake), said))
    quality = 1.0 if face.quality.score is None else face.quality.score
    unusable, doubtful = quality < limits.unusable, quality < limits.doubtful
    if unusable:
        poor = [f"The face cannot be judged, for its quality is {_defects(face.quality)}."]
    elif doubtful:
        poor = [f"Stronger evidence than usual was asked for, as the quality of the face is {_defects(face.quality)}."]
    else:
        poor = []
    if not heard:
        why = "No witness gave a score that can be weighed, so no probability was measured."
        return Verdict("inconclusive", None, None, (why, *silent, *poor), tuple(testimonies))

    p, low, high = (
        _mean_odds(column) for column in zip(*((said.p, said.low, said.high) for said in heard), strict=True)
    )
    real_below, fake_above = thresholds(said.calibration for said in heard)
    if doubtful and not unusable:
        stronger = (limits.doubtful / max(quality, _EDGE)) ** limits.steepness
        real_below, fake_above = _shifted(real_below, 1 / stronger), _shifted(fake_above, stronger)
    contradiction = _contradiction(heard) or _self_contradiction(heard)
    label = _decide(p, real_below, fake_above)
    if unusable:
        return Verdict("inconclusive", p, None, (*poor, *silent), tuple(testimonies))
    if contradiction:
        return Verdict("inconclusive", p, (low, high), (contradiction, *poor, *silent), tuple(testimonies))
    reasons = (_measured_against(label, p, real_below, fake_above), *poor, *silent)
    return Verdict(label, p, (low, high), reasons, tuple(testimonies))


@dataclass(frozen=True, slots=True)
class _Heard:
    """A calibrated testimony: the probability and its interval, and the verdicts of its replies."""

    witness: str
    calibration: Calibration
    p: float
    low: float
    high: float
    replies: frozenset[Label]


def thresholds(calibrations: Iterable[Calibration]) -> tuple[float, float]:
    """The thresholds (real below, fake from) for witnesses that are weighed together: the means of their log-odds."""
    pairs = [(c.real_below, c.fake_above) for c in calibrations]
    return _mean_odds([real for real, _ in pairs]), _mean_odds([fake for _, fake in pairs])


def _mean_odds(p: Sequence[float]) -> float:
    """The probability whose log-odds are the mean; a single one comes back exactly as it is."""
    return p[0] if len(p) == 1 else float(_sigmoid(_logit(np.array(p)).mean(keepdims=True))[0])


def _shifted(threshold: float, odds: float) -> float:
    """A threshold whose odds are multiplied; 0 and 1 stay what they are."""
    return threshold * odds / (1.0 - threshold + threshold * odds)


def _measured_against(label: Label, p: float, real_below: float, fake_above: float) -> str:
    chance = f"The probability of forgery, {percent(p)},"
    if label == "fake":
        return f"{chance} reaches the threshold for fake, {percent(fake_above)}."
    if label == "real":
        return f"{chance} is below the threshold for real, {percent(real_below)}."
    return f"{chance} lies between the thresholds for real, {percent(real_below)}, and for fake, {percent(fake_above)}."


def _contradiction(heard: Sequence[_Heard]) -> str | None:
    """Witnesses that would decide in opposite directions, each by its own thresholds."""
    for_fake, for_real = (
        [f"{said.witness} ({percent(said.p)})" for said in heard if said.calibration.label(said.p) == label]
        for label in ("fake", "real")
    )
    if not for_fake or not for_real:
        return None
    return f"The witnesses contradict each other: {_and(for_fake)} for fake, {_and(for_real)} for real."


def _self_contradiction(heard: Sequence[_Heard]) -> str | None:
    """A witness whose words say the opposite of what its score decides: nobody has measured which of them is right."""
    opposite: dict[Label, Label] = {"fake": "real", "real": "fake"}
    for said in heard:
        label = said.calibration.label(said.p)
        if opposite.get(label) in said.replies:
            return (
                f"The witness {said.witness} contradicts itself: its score, {percent(said.p)}, is for {label}, its "
                f"words are for {opposite[label]}."
            )
    return None


def _defects(quality: Quality) -> str:
    """A face's quality in words: "0.08 of 1 (strong blur; side pose)"."""
    defects = f" ({'; '.join(quality.reasons)})" if quality.reasons else ""
    return f"{quality.score or 0.0:.2f} of 1{defects}"


# ------------------------------------------------------------------------------------------------------- a picture


def judge_picture(verdicts: Sequence[Verdict], genuine_called_fake: float = 0.05, notes: Sequence[str] = ()) -> Verdict:
    """The verdict on a picture from those on its faces, in their order.

    Fake if any face is; else inconclusive if any face is; real only if every face is. Its probability and interval are
    those of the most suspicious face among the ones that decide. `genuine_called_fake` is the share of genuine faces
    that are called fake: the more faces a picture has, the likelier it is that one of them is a false alarm, and the
    reasons say how likely. `notes` on how the file was read join the reasons.
    Raises InputError for a picture without faces: "no face" is not a verdict.
    """
    if not verdicts:
        raise InputError("judge_picture: expected the verdict of at least one face, got none; 'no face' is no verdict")
    if len(verdicts) == 1:
        only = verdicts[0]
        return Verdict(only.label, only.fake, only.interval, (*only.reasons, *notes))
    total = len(verdicts)
    numbers: dict[Label, list[int]] = {"fake": [], "inconclusive": [], "real": []}
    for number, verdict in enumerate(verdicts, start=1):
        numbers[verdict.label].append(number)
    label: Label = next(name for name in numbers if numbers[name])
    deciding = [verdicts[number - 1] for number in numbers[label]]
    worst = max(deciding, key=lambda v: -1.0 if v.fake is None else v.fake)

    reasons = []
    if numbers["fake"]:
        reasons.append(f"{_faces(numbers['fake'], total)} judged fake.")
        alarm = 1.0 - (1.0 - genuine_called_fake) ** total
        reasons.append(
            f"Of {total} genuine faces at least one is called fake in up to {percent(alarm)} of pictures "
            f"({percent(genuine_called_fake)} for each face)."
        )
    if numbers["inconclusive"]:
        reasons.append(f"{_faces(numbers['inconclusive'], total)} not decided.")
    if label == "real":
        reasons.append(f"All {total} faces are judged real.")
    return Verdict(label, worst.fake, worst.interval, (*reasons, *notes))


def _faces(numbers: Sequence[int], total: int) -> str:
    if len(numbers) == total:
        return f"All {total} faces are"
    if len(numbers) == 1:
        return f"Face {numbers[0]} of {total} is"
    if len(numbers) > 6:
        return f"{len(numbers)} of {total} faces are"
    return f"Faces {_and(map(str, numbers))} of {total} are"


def _and(words: Iterable[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last
