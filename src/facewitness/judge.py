"""From testimonies to a verdict: calibrate each witness, weigh them together, and abstain where nobody can know.

    1. calibrate   a witness's raw score s becomes a probability p = σ(a · logit(s) + b) (Platt 1999), with a and b
                   fitted on held-out faces and shipped beside the witness's weights
    2. weigh       several witnesses: the mean of their log-odds, logit(p) = mean_i logit(p_i). Witnesses see the same
                   pixels, so their errors go together; adding their log-odds up would count one trace several times.
                   Where another witness names a kind of forgery, a score counts as was measured for that kind, and not
                   at all where it was measured to tell nothing of it
    3. decide      real below one threshold, fake from another one on, inconclusive between them; the thresholds come
                   from error rates measured on each source of held-out faces
    4. abstain     where the face cannot be judged or looks drawn, calibrated witnesses contradict each other, or one of
                   them stands by words that say the opposite of its score, or sees the opposite in two views of the
                   face, whatever the score

A witness without a calibration cannot decide, for its score is not a probability; its findings are shown as hints. The
verdict is a person's. A picture of several people has counts instead of a probability (`judge_file`): the highest of
twelve probabilities is no probability of the picture.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np

from facewitness.calibration import EDGE, Calibration, decide, logit, sigmoid
from facewitness.errors import InputError, expect
from facewitness.overtime import Stretch, mean_interval, share, stretches
from facewitness.phrases import apart, listed, percent, someone
from facewitness.types import Cause, Label, Moment, Quality, Testimony, Track, Verdict

# -------------------------------------------------------------------------------------------------------- a person


@dataclass(frozen=True, slots=True)
class Limits:
    """When a face is too poor a piece of evidence, in `Quality.score`: 0 useless … 1 good. None raises no doubt.

    Below `unusable` nobody can judge the face: the verdict is inconclusive, whatever the witnesses say. From there to
    `doubtful` the evidence has to be stronger: the odds of the threshold for real move outwards by (doubtful /
    score)^steepness, those of the threshold for fake by (doubtful / score)^steepness_fake, factors that grow from 1
    without a jump. A poor picture hides traces: that none is seen says little then, that some are seen says nearly as
    much as elsewhere.

    All were chosen on held-out faces, sharp, blurred and small (`runs/compact/limits.md`). At 2 for fake, a quarter of
    the doubted forgeries is called fake, an eighth at 5, and fewer of the doubted genuine faces (0.3 %) than of the
    others (1.0 %). At 5 for real, fewer of the doubted forgeries are told to show no sign than of the others; at 2 it
    would be more on sources that nothing was chosen on (24 % for 22 %). `unusable` is a choice: with the gates of
    `finders.rate`, one defect alone is unusable for a face of less than 23 px, turned by more than 75°, or with a mesh
    that hardly fits.
    """

    doubtful: float = 0.97
    unusable: float = 0.1
    steepness: float = 5.0
    steepness_fake: float = 2.0

    def __post_init__(self) -> None:
        for name in ("doubtful", "unusable", "steepness", "steepness_fake"):
            expect(f"Limits.{name}", getattr(self, name), Real, "a number")
        for name in ("steepness", "steepness_fake"):
            if not getattr(self, name) >= 0.0:
                raise InputError(f"Limits: expected a {name} of at least 0, got {getattr(self, name)}")
        if not 0.0 <= self.unusable <= self.doubtful <= 1.0:
            raise InputError(
                f"Limits: expected 0 <= unusable <= doubtful <= 1, got unusable {self.unusable}, "
                f"doubtful {self.doubtful}"
            )


def judge(
    track: Track,
    testimonies: Sequence[Testimony],
    calibrations: Mapping[str, Calibration],
    limits: Limits | None = None,
    damage: str = "",
    whole: Collection[str] = (),
    drawn: str = "",
) -> Verdict:
    """The verdict on one person.

    Args:
        track: the person's faces; their quality is pooled by `quality`.
        testimonies: what each witness says of the person.
        calibrations: a witness's name to its calibration.
        limits: when a face is too poor a piece of evidence.
        damage: a sentence where part of the picture is missing; no verdict on it can be trusted then.
        whole: names of witnesses that look at the whole photograph and not at the face.
        drawn: a sentence where the face looks like no photograph; what learned from photographs decides nothing then.

    Returns:
        The verdict. `fake` is None where no calibrated witness gave a score. Where the face cannot be judged at all it
        is kept for measuring, but has no interval: that was measured on better faces.
    """
    limits = limits or Limits()
    weighed, silent, uncalibrated = _weighed(track, testimonies, calibrations)
    pooled = quality(track)
    unusable, doubtful = pooled < limits.unusable, pooled < limits.doubtful
    poor = [sentence for sentence in (damage, drawn) if sentence]
    if unusable:
        poor.append(f"The face cannot be judged, for its quality is {_defects(pooled, track)}.")
    elif doubtful:
        poor.append(
            f"Stronger evidence than usual was asked for, as the quality of the face is {_defects(pooled, track)}."
        )
    all_testimonies = tuple(testimonies)
    if not weighed:
        why = "No witness gave a score that can be weighed, so no probability was measured."
        cause: Cause = (
            "quality" if unusable or damage else "drawn" if drawn else "uncalibrated" if uncalibrated else "silent"
        )
        return Verdict("inconclusive", None, None, None, cause, (why, *silent, *poor), all_testimonies)

    p, low, high = (_mean_odds(column) for column in zip(*((w.p, w.low, w.high) for w in weighed), strict=True))
    bounds = thresholds(w.calibration for w in weighed)
    if doubtful and not unusable:
        stronger = limits.doubtful / max(pooled, EDGE)
        bounds = (
            _shifted(bounds[0], stronger**-limits.steepness),
            _shifted(bounds[1], stronger**limits.steepness_fake),
        )
    if unusable or damage or drawn:
        cause = "quality" if unusable or damage else "drawn"
        return Verdict("inconclusive", p, None, None, cause, (*poor, *silent), all_testimonies)
    contradiction = _contradiction(weighed, whole) or _self_contradiction(weighed) or _views_apart(weighed)
    if contradiction:
        return Verdict(
            "inconclusive", p, (low, high), bounds, "contradiction", (contradiction, *poor, *silent), all_testimonies
        )
    label = decide(p, *bounds)
    moments = timeline(testimonies, calibrations)
    parts = stretches(moments, bounds[1])
    reasons = (_measured_against(label, p, *bounds), *_in_parts(label, moments, parts), *poor, *silent)
    if label == "real" and parts:
        return Verdict("inconclusive", p, (low, high), bounds, "contradiction", reasons, all_testimonies)
    return Verdict(label, p, (low, high), bounds, "band" if label == "inconclusive" else None, reasons, all_testimonies)


def _weighed(
    track: Track, testimonies: Sequence[Testimony], calibrations: Mapping[str, Calibration]
) -> tuple[list[_Weighed], list[str], bool]:
    """The testimonies that count, each with its probability; why others do not; whether one lacks a calibration."""
    weighed: list[_Weighed] = []
    silent: list[str] = []
    uncalibrated = False
    for testimony in testimonies:
        calibration = calibrations.get(testimony.witness)
        if testimony.fake is None:
            silent.append(f"The witness {testimony.witness} would not say.")
            continue
        if calibration is None:
            uncalibrated = True
            silent.append(
                f"The witness {testimony.witness} has no calibration: its score {testimony.fake:.2f} is not a "
                "probability and does not count."
            )
            continue
        kind, by = _kind_named(testimonies, testimony)
        if kind in calibration.kinds and not calibration.kinds[kind]["slope"]:
            silent.append(
                f"The witness {testimony.witness} was measured to tell nothing of {_KIND_WORDS[kind]}, which {by} "
                "names: its score does not count here."
            )
            continue
        p, low, high = calibration.apply(testimony.fake, kind)
        low, high = _over_time(testimony, track, calibration, p, low, high)
        words = None if testimony.reply is None else testimony.reply.label
        views = {view: calibration.apply(score, kind)[0] for view, score in (testimony.views or {}).items()}
        low, high = min((low, *views.values())), max((high, *views.values()))  # what other looks at the face say, too
        weighed.append(_Weighed(testimony.witness, calibration, p, low, high, words, views))
    return weighed, silent, uncalibrated


def timeline(testimonies: Sequence[Testimony], calibrations: Mapping[str, Calibration]) -> tuple[Moment, ...]:
    """A person's calibrated probability over time; empty for a photo.

    Witnesses are weighed as in `judge`, moment by moment: the mean of the log-odds of those that gave a score there. A
    moment that no calibrated witness judged has None. The mask is the first one.

    Args:
        testimonies: On one person.
        calibrations: Name of a witness → its calibration.
    """
    at: dict[int, list[tuple[Moment, float | None]]] = {}
    for testimony in testimonies:
        calibration = calibrations.get(testimony.witness)
        for moment in testimony.series or ():
            known = calibration is not None and moment.fake is not None
            p = None
            if known and calibration and moment.fake is not None:
                kind, _ = _kind_named(testimonies, testimony)
                decides = kind not in calibration.kinds or calibration.kinds[kind]["slope"] > 0
                p = calibration.apply(moment.fake, kind)[0] if decides else None
            at.setdefault(moment.at.index, []).append((moment, p))
    moments = []
    for _, entries in sorted(at.items()):
        chances = [p for _, p in entries if p is not None]
        mask = next((moment.mask for moment, _ in entries if moment.mask is not None), None)
        moments.append(Moment(entries[0][0].at, _mean_odds(chances) if chances else None, mask))
    return tuple(moments)


def _over_time(
    testimony: Testimony, track: Track, calibration: Calibration, p: float, low: float, high: float
) -> tuple[float, float]:
    """An interval that also holds what the choice of frames does to a film's mean: both in log-odds, squares added."""
    scored = [moment for moment in testimony.series or () if moment.fake is not None]
    trust = {face.at.index: 1.0 if face.quality.score is None else face.quality.score for face in track.faces}
    interval = mean_interval([m.fake or 0.0 for m in scored], [trust.get(m.at.index, 1.0) for m in scored])
    if interval is None:
        return low, high
    ends = np.array([p, low, high, calibration.apply(interval[0])[0], calibration.apply(interval[1])[0]])
    here, *others = logit(np.clip(ends, EDGE, 1 - EDGE))
    down = float(np.hypot(here - others[0], max(0.0, here - others[2])))
    up = float(np.hypot(others[1] - here, max(0.0, others[3] - here)))
    bounds = sigmoid(np.array([here - down, here + up]))
    return min(float(bounds[0]), p), max(float(bounds[1]), p)


def _in_parts(label: Label, moments: Sequence[Moment], parts: Sequence[Stretch]) -> tuple[str, ...]:
    """Which part of the time looks forged, where there is time and such a part."""
    if not parts:
        return ()
    when = listed(part.words for part in parts[:5]) + (" and later" if len(parts) > 5 else "")
    part = percent(share(moments, parts))
    if label == "real":
        return (
            f"At {part} of the moments that were judged the face looks forged, {when}; over all of them it does not.",
        )
    return (f"The face looks forged at {part} of the moments that were judged: {when}.",)


def quality(track: Track) -> float:
    """How far a person's faces can be trusted as evidence together, in [0, 1].

    Good faces weigh more in a film's verdict, by their quality q; so does their quality: Σ q² / Σ q. For a photo that
    is the one face's. What was not measured raises no doubt and counts as 1.

    Args:
        track: One person's faces.
    """
    scores = [1.0 if face.quality.score is None else face.quality.score for face in track.faces]
    total = sum(scores)
    return sum(score * score for score in scores) / total if total > 0.0 else 0.0


_KIND_WORDS: Mapping[str, str] = {
    "pristine": "genuine faces",
    "identity_exchange": "exchanged faces",
    "attribute_manipulation": "edited faces",
    "entire_synthesis": "faces that a generator made as a whole",
}


def _kind_named(testimonies: Sequence[Testimony], besides: Testimony) -> tuple[str, str]:
    """The kind of forgery that another witness holds for likelier than not, and who; empty where nobody names one."""
    for testimony in testimonies:
        if testimony is besides or testimony.kind is None:
            continue
        kind = max(testimony.kind, key=lambda name: testimony.kind[name] if testimony.kind else 0.0)
        if kind != "pristine" and testimony.kind[kind] > 0.5:
            return kind, testimony.witness
    return "", ""


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A calibrated testimony: probability, interval, the verdict of its words, and each view's probability."""

    witness: str
    calibration: Calibration
    p: float
    low: float
    high: float
    words: Label | None
    views: Mapping[str, float]


def thresholds(calibrations: Iterable[Calibration]) -> tuple[float, float]:
    """The thresholds (real below, fake from) for witnesses that are weighed together: the means of their log-odds.

    Args:
        calibrations: Of the witnesses that are weighed.

    Returns:
        Real below, and fake from.
    """
    pairs = [(c.real_below, c.fake_above) for c in calibrations]
    return _mean_odds([real for real, _ in pairs]), _mean_odds([fake for _, fake in pairs])


def _mean_odds(p: Sequence[float]) -> float:
    """The probability whose log-odds are the mean; a single one comes back exactly as it is."""
    return p[0] if len(p) == 1 else float(sigmoid(logit(np.array(p)).mean(keepdims=True))[0])


def _shifted(threshold: float, odds: float) -> float:
    """A threshold whose odds are multiplied; 0 and 1 stay what they are."""
    return threshold * odds / (1.0 - threshold + threshold * odds)


def _measured_against(label: Label, p: float, real_below: float, fake_above: float) -> str:
    chance, real, fake = apart(p, real_below, fake_above)
    chance = f"The probability of forgery, {chance},"
    if label == "fake":
        return f"{chance} reaches the threshold for fake, {fake}."
    if label == "real":
        return f"{chance} is below {real}, under which there is no sign of forgery."
    return f"{chance} lies between {real}, under which there is no sign of forgery, and {fake}, from which it is fake."


def _contradiction(weighed: Sequence[_Weighed], whole: Collection[str]) -> str | None:
    """Witnesses that would decide in opposite directions, each by its own thresholds."""
    for_fake, for_real = ([w for w in weighed if w.calibration.label(w.p) == label] for label in ("fake", "real"))
    if not for_fake or not for_real:
        return None
    fakes, reals = (listed(f"{w.witness} ({percent(w.p)})" for w in side) for side in (for_fake, for_real))
    if all(w.witness in whole for w in for_fake) and not any(w.witness in whole for w in for_real):
        return (
            f"The photograph and the face are judged apart: as a whole it is for fake by {fakes}, the face for real by "
            f"{reals}. What is forged may lie outside the face."
        )
    if all(w.witness in whole for w in for_real) and not any(w.witness in whole for w in for_fake):
        return (
            f"The photograph and the face are judged apart: the face is for fake by {fakes}, the photograph as a whole "
            f"for real by {reals}. A forged face is a small part of a photograph."
        )
    return (
        f"The witnesses contradict each other: {fakes} for fake, {reals} for real.{_track_record(for_fake, for_real)}"
    )


def _track_record(for_fake: Sequence[_Weighed], for_real: Sequence[_Weighed]) -> str:
    """Who was right how often where the same two witnesses contradicted each other before; empty if nobody measured."""
    sentences = []
    for one in (*for_fake, *for_real):
        for other in for_real if one in for_fake else for_fake:
            counts = one.calibration.against.get(other.witness)
            if counts and counts["cases"]:
                sentences.append(
                    f" Where {one.witness} and {other.witness} contradicted each other on {counts['cases']} held-out "
                    f"faces, {one.witness} was right {counts['right']} times."
                )
    return "".join(sentences)


def _self_contradiction(weighed: Sequence[_Weighed]) -> str | None:
    """A witness whose words say the opposite of what its score decides: nobody has measured which of them is right."""
    opposite: dict[Label, Label] = {"fake": "real", "real": "fake"}
    for w in weighed:
        label = w.calibration.label(w.p)
        if label in opposite and opposite[label] == w.words:
            return (
                f"The witness {w.witness} contradicts itself: its score, {percent(w.p)}, is for {label}, its "
                f"words are for {opposite[label]}."
            )
    return None


def _views_apart(weighed: Sequence[_Weighed]) -> str | None:
    """Views of one face that would decide in opposite directions, each by itself."""
    for w in weighed:
        for_fake, for_real = (
            [f"{view} ({percent(p)})" for view, p in w.views.items() if w.calibration.label(p) == label]
            for label in ("fake", "real")
        )
        if for_fake and for_real:
            return (
                f"The views of the face contradict each other: {w.witness} finds it fake {listed(for_fake)}, and "
                f"without a sign of forgery {listed(for_real)}."
            )
    return None


def _defects(pooled: float, track: Track) -> str:
    """The quality of a person's faces in words: "8 % of a good one's (strong blur; side pose)"."""
    face: Quality = track.face.quality
    defects = f" ({'; '.join(face.reasons)})" if face.reasons else ""
    return f"{percent(pooled)} of a good one's{defects}"


# --------------------------------------------------------------------------------------------------------- a file


def judge_file(
    verdicts: Sequence[Verdict],
    genuine_called_fake: float = 0.05,
    decisive: Sequence[Testimony] = (),
    film: bool = False,
) -> Verdict | None:
    """The verdict on a file from those on its people, in their order, and from what the file says of itself.

    One person's verdict is the file's. Of several people the label is fake if anybody's is, else inconclusive if
    anybody's is, and real only if everybody's is; there are counts, and no probability.

    Args:
        verdicts: of the people, in their order.
        genuine_called_fake: the share of genuine faces that are called fake. The more faces a picture has, the likelier
            it is that one of them is a false alarm; the reasons say how likely.
        decisive: testimonies about the whole file that decide by themselves, such as a generator's signature; the
            first finding of each says why. Those with `fake` of None or 0 decide nothing. A statement is no
            measurement, so that the verdict it decides has no probability.
        film: it is a film, and its people are people; those of a photo are faces.

    Returns:
        The verdict; None where there is nobody and the file does not decide: "no face" is not a verdict.
    """
    signed = [testimony for testimony in decisive if testimony.fake]
    if signed:
        claims = tuple(testimony.findings[0].claim for testimony in signed if testimony.findings)
        counted = _counts(verdicts, film) if len(verdicts) > 1 else ()
        return Verdict("fake", None, None, None, None, (*claims, *counted))
    if not verdicts:
        return None
    if len(verdicts) == 1:
        one = verdicts[0]
        return Verdict(one.label, one.fake, one.interval, one.thresholds, one.cause, one.reasons)
    label: Label = next(name for name in ("fake", "inconclusive", "real") if any(v.label == name for v in verdicts))
    reasons = list(_counts(verdicts, film))
    if label == "fake":
        alarm = 1.0 - (1.0 - genuine_called_fake) ** len(verdicts)
        reasons.append(
            f"Of {len(verdicts)} genuine {someone(film, 2)} at least one is called fake in up to {percent(alarm)} of "
            f"{'films' if film else 'pictures'} ({percent(genuine_called_fake)} for each {someone(film)})."
        )
    return Verdict(label, None, None, None, None, tuple(reasons))


def _counts(verdicts: Sequence[Verdict], film: bool) -> tuple[str, ...]:
    """ "12 faces: 6 no sign, 6 undecided, 0 fake." and which ones are fake and undecided."""
    total = len(verdicts)
    numbers: dict[Label, list[int]] = {"real": [], "inconclusive": [], "fake": []}
    for number, verdict in enumerate(verdicts, start=1):
        numbers[verdict.label].append(number)
    real, undecided, fake = (len(numbers[name]) for name in ("real", "inconclusive", "fake"))
    sentences = [f"{total} {someone(film, total)}: {real} no sign, {undecided} undecided, {fake} fake."]
    if 0 < fake < total:
        sentences.append(f"{_those(numbers['fake'], film)} judged fake.")
    if 0 < undecided < total:
        sentences.append(f"{_those(numbers['inconclusive'], film)} not decided.")
    return tuple(sentences)


def _those(numbers: Sequence[int], film: bool) -> str:
    """ "Face 1 is", "Faces 1 and 3 are", "Person 2 is", "People 1 and 2 are"."""
    who = someone(film, len(numbers)).capitalize()
    return f"{who} {listed(map(str, numbers))} {'is' if len(numbers) == 1 else 'are'}"
