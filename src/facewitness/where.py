"""Answers about regions of a face: the signs there, what hides them, and how much of them the mask covers.

A sign that is wrong more often than right is no "yes", and a place that the mask covers is not said to have no sign.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facewitness import geometry, questions, regions
from facewitness.answers import Answer, covers, in_words, is_at, lower, of_parts, regions_of, titled
from facewitness.explain import marked, not_resting, rests_on, suspicions
from facewitness.phrases import capital, listed, percent, places_of, visible
from facewitness.types import Finding, Label, PersonReport

TURNED = 30.0  # degrees of yaw from which the far side counts as hidden
# How an answer begins that says yes or no
LEADS = re.compile(
    r"^(?:As far as can be seen, yes[.:]|Not as far as can be seen[.:]|Yes[.]|No[.]|That cannot be decided[.]) "
)


def about_regions(face: PersonReport, names: Sequence[str], question: str) -> Answer:
    """One answer for all the regions asked about.

    Args:
        face: The person.
        names: Of the regions.
        question: As it was asked.
    """
    masked = masked_of(face)
    parts = [_about(face, name, question, masked) for name in names]
    texts = [answer.text for answer in parts]
    if len(parts) > 1:
        texts = [f"{capital(regions.title(n))}: {lower(text)}" for n, text in zip(names, texts, strict=True)]
    return Answer(" ".join(texts), *of_parts(parts), tuple(names), "region")


def and_elsewhere(face: PersonReport, names: Sequence[str], text: str) -> str:
    """The answer about places that were asked for as the only ones, and what is elsewhere, without a yes or no.

    Args:
        face: The person.
        names: Of the places.
        text: The answer about them.
    """
    others = [place for place in sorted(regions_of(face.findings)) if not covers(names, place) and place != "face"]
    still = [f for f in marked(face.verdict) if f.region is not None and not covers(names, f.region)]
    more = f"Signs were found at other places, too: {listed(map(titled, others))}." if others else ""
    if still:
        what = listed([f"the {regions.title(f.region or '')}" for f in still])
        more += f" {not_resting(what, still, len(still) > 1 or _is_plural(still[0].region or ''), face.mask)}"
    more = more.strip() or "No other place is named."
    return f"{capital(LEADS.sub('', text))} {more}"


@dataclass(frozen=True, slots=True)
class _Region:
    """One region of a face, with what is known of it."""

    face: PersonReport
    name: str
    question: str
    here: tuple[Finding, ...]
    still: tuple[Finding, ...]  # marked and not claimed, where no finding is
    covered: float | None  # by the mask, as a share

    @property
    def place(self) -> str:
        return f"the {regions.title(self.name)}"

    @property
    def signs(self) -> str:
        return " ".join(in_words(f) for f in self.here)

    @property
    def resting(self) -> str:
        return not_resting(self.place, self.still, _is_plural(self.name), self.face.mask) if self.still else ""

    @property
    def masked(self) -> str:
        """How much of it the mask covers, as what follows "The mask" or "but the mask"."""
        return f"covers {percent(self.covered or 0.0)} of {'them' if _is_plural(self.name) else 'it'}"

    @property
    def measured(self) -> str:
        """The same as a sentence, with a space before."""
        return "" if self.covered is None else f" The mask {self.masked}."

    @property
    def is_masked(self) -> bool:
        """Whether the mask, which is shown, speaks against "no sign"."""
        return self.covered is not None and self.covered >= 0.5

    def answer(self, text: str, label: Label | None, findings: tuple[Finding, ...] = ()) -> Answer:
        return Answer(text, label, findings, (self.name,), "region")


def _about(face: PersonReport, name: str, question: str, masked: Callable[[], NDArray[np.bool_]]) -> Answer:
    """What is known of one region, by the verdict on its face."""
    verdict, place = face.verdict, f"the {regions.title(name)}"
    if verdict.is_unjudged:
        nothing = f"That cannot be decided: the face could not be judged. Nothing is said about {place}."
        return Answer(nothing, "inconclusive", (), (name,), "region")
    if hidden := _hidden(face, name):
        return Answer(f"{hidden} Nothing can be said about {place}.", None, (), (name,), "region")
    here = tuple(f for f in face.findings if is_at(f, name))
    still = () if here else tuple(f for f in marked(verdict) if is_at(f, name))
    region = _Region(face, name, question, here, still, covered_of(face, name, masked))
    match verdict.label:
        case "inconclusive":
            return _of_an_undecided_face(region)
        case "real":
            return _of_a_face_without_a_sign(region)
    return _of_a_forged_face(region)


def _of_an_undecided_face(region: _Region) -> Answer:
    lead = "That cannot be decided: the face is inconclusive."
    if region.here:
        hints = f"Hints there: {lower(region.signs)}{region.measured}"
    elif region.still:
        hints = f"{region.resting}{region.measured}"
    elif region.is_masked:
        hints = f"No finding names {region.place}, but the mask {region.masked}: look there."
    else:
        hints = f"No sign was found at {region.place}.{region.measured}"
    return region.answer(f"{lead} {hints}", "inconclusive", region.here)


def _of_a_face_without_a_sign(region: _Region) -> Answer:
    begins = {"Yes. ": "As far as can be seen, yes: nothing", "No. ": "Not as far as can be seen: nothing"}
    begin = begins.get(questions.yes_or_no(region.question, forged=False), "Nothing")
    words = f"{begin} is claimed at {region.place}, for the face shows no sign of forgery."
    weak = [f for f in suspected(region.face) if is_at(f, region.name)]
    if weak:
        words += f" A witness saw something there, too weak for the verdict. {in_words(weak[0])}"
    return region.answer(words, "real")


def _of_a_forged_face(region: _Region) -> Answer:
    """A sign that is wrong more often than right is no "yes"."""
    if any(f.strength is not None and f.strength >= 0.5 for f in region.here):
        return region.answer(f"{questions.yes_or_no(region.question, forged=True)}{region.signs}", "fake", region.here)
    if region.here:
        return region.answer(f"Perhaps. {region.signs}{region.measured}", "inconclusive", region.here)
    if region.still:
        return region.answer(f"Perhaps. {region.resting}{region.measured}", "inconclusive")
    whole = tuple(f for f in region.face.findings if f.region == "face")
    if whole:
        words = f"No sign belongs to {region.place} alone; {lower(whole[0].claim)}{region.measured}"
        return region.answer(words, "inconclusive", whole)
    return _elsewhere(region)


def _elsewhere(region: _Region) -> Answer:
    """Of a forged face, a region without any sign."""
    seen = {"Yes. ": "As far as can be seen, yes: no", "No. ": "Not as far as can be seen: no"}
    lead = seen.get(questions.yes_or_no(region.question, forged=False), "No")
    signs = f"The signs are at: {listed(map(places_of, region.face.findings)) or 'nowhere'}."
    if region.is_masked:
        named = f"{lead} finding names {region.place}, but the mask {region.masked}: look there."
        return region.answer(f"{named} {signs}", "real")
    return region.answer(f"{lead} sign was found at {region.place}.{region.measured} {signs}", "real")


def in_sight(face: PersonReport, names: Sequence[str]) -> str:
    """Whether regions can be seen: what covers or cuts them off, as far as that is known.

    Args:
        face: The person.
        names: Of the regions.
    """
    return " ".join(
        _hidden(face, name) or f"Nothing is known that covers or cuts off the {regions.title(name)}." for name in names
    )


def who_points(face: PersonReport, name: str) -> str:
    """Who pointed at a region and how strongly, and how much of it the mask covers.

    Args:
        face: The person.
        name: Of the region.
    """
    place = f"the {regions.title(name)}"
    here = [(t.witness, f) for t in face.verdict.testimonies for f in t.findings if is_at(f, name)]
    if here:
        sentence = " ".join(
            f"The witness {visible(witness)} points at the {places_of(f)}: {lower(in_words(f))}" for witness, f in here
        )
        if not any(is_at(f, name) for f in face.findings):
            if any(rests_on(f) for _, f in here):
                sentence += " That is too weak, or the verdict too uncertain, to be claimed."
            else:
                sentence += " The score does not rest on it, so it is not claimed."
    else:
        sentence = f"No witness points at {place}."
    covered = covered_of(face, name, masked_of(face))
    mask = "" if covered is None else f" The mask covers {percent(covered)} of {place}."
    order = [f.strength for f in face.findings if f.strength is not None]
    rank = ""
    strongest = max((f.strength for _, f in here if f.strength is not None), default=None)
    if strongest is not None and len(order) > 1:
        stronger = sum(strength > strongest for strength in order)
        rank = f" {'No sign' if not stronger else 'One sign' if stronger == 1 else f'{stronger} signs'} on this face "
        rank += "is stronger." if stronger < 2 else "are stronger."
    return f"{sentence}{mask}{rank}"


def _is_plural(name: str) -> bool:
    """Whether a region's title is a plural: "the teeth are", "the nose is"."""
    title = regions.title(name)
    return title.endswith(("teeth", "feet")) or (title.endswith("s") and not title.endswith("iris"))


def _hidden(face: PersonReport, name: str) -> str | None:
    """Why a region cannot be seen, or None where it can."""
    if face.face.landmarks is None:
        return "Regions cannot be placed on this face: its finder gives no landmarks."
    yaw = face.face.quality.yaw
    far = {True: "left_", False: "right_"}  # turning to one's left hides one's left
    if yaw is not None and abs(yaw) >= TURNED and name.startswith(far[yaw > 0]):
        return f"The face is turned {abs(yaw):.0f}° to the subject's {'left' if yaw > 0 else 'right'}."
    if name in regions.hidden(face.face.landmarks) and name not in face.face.unseen:
        return f"The {regions.title(name)} is turned away or closed in this pose."
    if name in face.face.unseen:
        if name == "beard" and "jaw" not in face.face.unseen:
            return "No beard can be seen on this face."
        return f"Something covers the {regions.title(name)}."
    rings = np.concatenate(list(regions.polygons(name, face.face.landmarks)))
    frame = face.face.at
    inside = (rings[:, 0] >= 0) & (rings[:, 0] < frame.width) & (rings[:, 1] >= 0) & (rings[:, 1] < frame.height)
    return None if inside.mean() >= 0.5 else f"The {regions.title(name)} lies outside the picture."


def masked_of(face: PersonReport) -> Callable[[], NDArray[np.bool_]]:
    """Where a face's mask is 0.5 and more, (H, W) on its whole frame: made when first asked for, and once.

    Args:
        face: The person.

    Returns:
        What gives that picture: bool (H, W).
    """

    @functools.cache
    def masked() -> NDArray[np.bool_]:
        assert face.mask is not None
        return geometry.place(face.mask, face.face.at.height, face.face.at.width) >= 0.5

    return masked


def covered_of(face: PersonReport, name: str, masked: Callable[[], NDArray[np.bool_]]) -> float | None:
    """The share of a region that the mask covers from 0.5 on; None without a mask, and of a film, whose is of a moment.

    Args:
        face: The person.
        name: Of the region.
        masked: Where the mask is, as `masked_of` has it.
    """
    if face.timeline or face.mask is None or face.face.landmarks is None:
        return None
    height, width = face.face.at.height, face.face.at.width
    place = geometry.fill(list(regions.polygons(name, face.face.landmarks)), height, width)
    return float(masked()[place].mean()) if place.any() else None


def suspected(face: PersonReport) -> tuple[Finding, ...]:
    """What witnesses named, claimed by the verdict or not; a region once, strongest first.

    Args:
        face: The person.
    """
    return suspicions(face.verdict) or face.findings
