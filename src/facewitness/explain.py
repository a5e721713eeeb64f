"""From a verdict to sentences, each claim tied to the one place where it can be checked; no model is needed.

What is claimed follows the verdict, so that the words never say more than the judge did:

    fake           the regions the witnesses named; where the picture looks entirely synthesised, or no region stands
                   out, the whole face, with the verdict's own probability as its strength
    inconclusive   the same regions, called hints; nothing where the face itself could not be judged
    real           no place: what witnesses suspected stays in their testimonies and is only counted here

A region several witnesses name is claimed once, by the one whose finding is strongest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from facewitness.phrases import percent
from facewitness.types import KINDS, Face, Finding, Mask, Sentence, Verdict, grade

NO_PROOF = (
    "This does not prove that the picture is genuine: forgeries of a kind the witnesses were not trained on, heavy "
    "compression and changes outside the face can go unseen."
)
HINTS = "The evidence does not decide. The places named here are hints for an examiner."
UNJUDGED = "No place is named, because the face could not be judged. This says nothing about whether it is genuine."
NOTHING_FOUND = "No place on the face stands out."
SIDES = "Left and right are the subject's."


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """What can be said of one face: the parts of a `FaceReport` that its verdict allows."""

    findings: tuple[Finding, ...]  # strongest first
    sentences: tuple[Sentence, ...]
    kind: Mapping[str, float] | None  # mean over the witnesses that gave one
    mask: Mask | None  # of the first witness that gave one; None where the verdict claims no forgery


def explain(face: Face, verdict: Verdict) -> Explanation:
    """The findings a verdict claims and the sentences that tell them, each claim with the index of its finding."""
    kind = _mean_kind(verdict)
    mask = next((said.mask for said in verdict.testimonies if said.mask is not None), None)
    named = _strongest_by_region(verdict)
    match verdict.label:
        case "fake":
            findings = _claimed(face, verdict, kind, mask, named)
            return Explanation(findings, (*_claims(findings), *_sides(findings)), kind, mask)
        case "inconclusive" if verdict.interval is None:  # neither probability nor strengths hold for such a face
            return Explanation((), (Sentence(UNJUDGED),), kind, None)
        case "inconclusive" if named:
            return Explanation(named, (Sentence(HINTS), *_claims(named), *_sides(named)), kind, mask)
        case "inconclusive":
            return Explanation((), (Sentence(NOTHING_FOUND), Sentence(NO_PROOF)), kind, mask)
        case _:
            return Explanation((), (Sentence(_not_claimed(len(named))), Sentence(NO_PROOF)), kind, None)


def _strongest_by_region(verdict: Verdict) -> tuple[Finding, ...]:
    best: dict[str, Finding] = {}
    for finding in sorted((f for said in verdict.testimonies for f in said.findings), key=_strength, reverse=True):
        best.setdefault(finding.region, finding)
    return tuple(best.values())


def _strength(finding: Finding) -> float:
    return -1.0 if finding.strength is None else finding.strength


def _mean_kind(verdict: Verdict) -> Mapping[str, float] | None:
    kinds = [said.kind for said in verdict.testimonies if said.kind is not None]
    return {name: sum(kind[name] for kind in kinds) / len(kinds) for name in KINDS} if kinds else None


def _claimed(
    face: Face, verdict: Verdict, kind: Mapping[str, float] | None, mask: Mask | None, named: tuple[Finding, ...]
) -> tuple[Finding, ...]:
    """What a verdict of fake claims: the named regions, or the whole face."""
    # "pristine" is left out: that the face is forged is the judge's answer, and here only the way of it is asked for
    forged = max(KINDS[1:], key=kind.__getitem__) if kind else None
    if forged == "entire_synthesis":
        claim = "The face as a whole shows traces of forgery, most like those of an entirely synthesised picture."
    elif not named:
        claim = "The face as a whole shows traces of forgery; no single region stands out."
    else:
        return named
    return (Finding("face", face.box, mask, claim, verdict.fake),)


def _claims(findings: tuple[Finding, ...]) -> tuple[Sentence, ...]:
    """One sentence a finding: its grade and calibrated strength, then the claim."""
    return tuple(Sentence(f"{graded(finding)}: {finding.claim}", index) for index, finding in enumerate(findings))


def graded(finding: Finding) -> str:
    """A finding's grade and calibrated strength in words: "Strong sign (74 %)"."""
    word = grade(finding.strength)
    if finding.strength is None or word is None:
        return "A sign of unmeasured strength"
    return f"{word.capitalize()} sign ({percent(finding.strength)})"


def _sides(findings: tuple[Finding, ...]) -> tuple[Sentence, ...]:
    sided = any(finding.region.startswith(("left_", "right_")) for finding in findings)
    return (Sentence(SIDES),) if sided else ()


def _not_claimed(suspected: int) -> str:
    if suspected == 0:
        return NOTHING_FOUND
    places = "one place" if suspected == 1 else f"{suspected} places"
    return f"No place is claimed as forged: signs in {places} were too weak for the verdict."
