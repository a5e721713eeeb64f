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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from facewitness.calibration import EDGE, Calibration, decide, logit, sigmoid
from facewitness.errors import InputError
from facewitness.phrases import listed, percent
from facewitness.types import Face, Label, Quality, Testimony, Verdict

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
        stronger = (limits.doubtful / max(quality, EDGE)) ** limits.steepness
        real_below, fake_above = _shifted(real_below, 1 / stronger), _shifted(fake_above, stronger)
    contradiction = _contradiction(heard) or _self_contradiction(heard)
    label = decide(p, real_below, fake_above)
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
    return p[0] if len(p) == 1 else float(sigmoid(logit(np.array(p)).mean(keepdims=True))[0])


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
    return f"The witnesses contradict each other: {listed(for_fake)} for fake, {listed(for_real)} for real."


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
    return f"Faces {listed(map(str, numbers))} of {total} are"
