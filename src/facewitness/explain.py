"""From a verdict to sentences, each claim tied to the places where it can be checked; no model is needed.

What is claimed follows the verdict, so that the words never say more than the judge did:

    fake           the regions the witnesses named; where the picture looks entirely synthesised, or no region stands
                   out, the whole face, with the verdict's own probability as its strength
    inconclusive   the same regions, called hints; nothing where the face itself could not be judged
    real           no place: what witnesses suspected stays in their testimonies and is only counted here

A place on which the score does not rest is not claimed either: where a witness painted places over (`Finding.moves`),
the score has to fall by it. A sentence says which strong ones that left out, for the mask shows them. A region several
witnesses name is claimed once, by the one whose finding is strongest. A sign that is wrong more often than right (a
strength below one half) is no finding, and signs over nearly the whole face are one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from facewitness.overtime import digits, runs, span
from facewitness.phrases import NEARLY_ALL, capital, listed, of_medium, percent, title
from facewitness.types import KINDS, Finding, Mask, Place, Sentence, Testimony, Track, Verdict, grade

NO_PROOF = (
    "This does not prove that the picture is genuine: forgeries of a kind the witnesses were not trained on, heavy "
    "compression and changes outside the face can go unseen."
)
HINTS = "The evidence does not decide. The places named here are hints for an examiner."
UNMEASURED = (
    "No calibrated witness gave a score, so nothing was decided. The places named here are hints: how often this "
    "witness is right was not measured."
)
UNJUDGED = "No place is named, because the face could not be judged. This says nothing about whether it is genuine."
NOTHING_FOUND = "No place on the face stands out."
SIDES = "Left and right are the subject's."
WEAK = 0.5  # a sign that is right less often is not claimed
MOVES = 0.2  # log-odds that painting its place over must take from the score, beyond what another place takes
_RUNS = 4  # stretches of time that a sentence names


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """What can be said of one person: the parts of a `PersonReport` that its verdict allows."""

    findings: tuple[Finding, ...]  # strongest first
    sentences: tuple[Sentence, ...]
    kind: Mapping[str, float] | None  # mean over the witnesses that gave one; None where the face could not be judged
    mask: Mask | None  # of the witness whose findings are claimed; None where the verdict claims no forgery


def explain(track: Track, verdict: Verdict) -> Explanation:
    """The findings a verdict claims and the sentences that tell them, each claim with the index of its finding.

    Args:
        track: One person's faces.
        verdict: Of one person.
    """
    no_proof = Sentence(of_medium(NO_PROOF, track.face.at.seconds is not None))
    kind = _mean_kind(verdict)
    named = _strongest_by_region(verdict)
    mask = _mask_of(verdict.testimonies, named)
    if verdict.label == "real":
        sentence = Sentence(_not_claimed(len(suspicions(verdict))))
        return Explanation((), (sentence, *_unseen(track), no_proof), kind, None)
    if verdict.is_unjudged:  # neither probability nor strengths nor kinds hold for such a face
        return Explanation((), (Sentence(UNJUDGED),), None, None)
    left = _marked(verdict, named, mask)
    if verdict.label == "fake":
        findings = _claimed(track, verdict, kind, mask, named)
        sentences = (*_claims(findings, track), *_rest(findings), *left, *_unseen(track), *_sides(findings))
        return Explanation(findings, sentences, kind, mask)
    if named:
        lead = UNMEASURED if verdict.cause in ("uncalibrated", "silent") else HINTS
        sentences = (Sentence(lead), *_claims(named, track), *left, *_unseen(track), *_sides(named))
        return Explanation(named, sentences, kind, mask)
    return Explanation((), (*(left or (Sentence(NOTHING_FOUND),)), *_unseen(track), no_proof), kind, mask)


def suspicions(verdict: Verdict) -> tuple[Finding, ...]:
    """What witnesses named, claimed by the verdict or not; a region once, strongest first.

    Args:
        verdict: Of one person.
    """
    return _once(f for t in verdict.testimonies for f in t.findings)


def _once(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    best: dict[str | None, Finding] = {}
    for finding in sorted(findings, key=lambda finding: finding.rank, reverse=True):
        best.setdefault(finding.region, finding)
    return tuple(best.values())


def _strongest_by_region(verdict: Verdict) -> tuple[Finding, ...]:
    """The suspicions that may be claimed, a region once, strongest first; those over nearly the whole face as one."""
    everything = _once(f for t in verdict.testimonies for f in t.findings if _is_strong(f) and rests_on(f))
    if len({finding.region for finding in everything}) < NEARLY_ALL:
        return _once(f for t in verdict.testimonies for f in claimable(t.findings))
    places: tuple[Place, ...] = tuple(place for finding in everything for place in finding.places)
    measured = [finding.strength for finding in everything if finding.strength is not None]
    return (Finding(places, "Nearly the whole face shows traces of forgery.", max(measured) if measured else None),)


def claimable(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Those of a testimony's findings that may be claimed one by one.

    They are right at least as often as wrong, or of a strength nobody measured, and the score rests on their places.
    Where a witness tried some of its findings, one that it did not or could not try is not claimed.

    Args:
        findings: The findings.
    """
    tried = any(finding.moves is not None for finding in findings)
    return tuple(f for f in findings if _is_strong(f) and rests_on(f) and not (tried and f.moves is None))


def _is_strong(finding: Finding) -> bool:
    return finding.strength is None or finding.strength >= WEAK


def rests_on(finding: Finding) -> bool:
    """Whether the score rests on a finding's place, as far as that was tried.

    Args:
        finding: The finding.
    """
    return finding.moves is None or finding.moves >= MOVES


def _mask_of(testimonies: tuple[Testimony, ...], claimed: tuple[Finding, ...]) -> Mask | None:
    """The mask of the witness that named the strongest claimed place, else of the first that gave one."""
    first = claimed[0].places[0] if claimed else None
    owners = [t for t in testimonies if any(first in finding.places for finding in t.findings)]
    return next((t.mask for t in (*owners, *testimonies) if t.mask is not None), None)


def _mean_kind(verdict: Verdict) -> Mapping[str, float] | None:
    kinds = [testimony.kind for testimony in verdict.testimonies if testimony.kind is not None]
    return {name: sum(kind[name] for kind in kinds) / len(kinds) for name in KINDS} if kinds else None


def _claimed(
    track: Track, verdict: Verdict, kind: Mapping[str, float] | None, mask: Mask | None, named: tuple[Finding, ...]
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
    return (Finding.on("face", track.face.box, mask, claim, verdict.fake, track.face.at),)


def _claims(findings: tuple[Finding, ...], track: Track) -> tuple[Sentence, ...]:
    """One sentence a finding: its grade and calibrated strength, then the claim and, in a film, when it is seen."""
    return tuple(
        Sentence(f"{graded(finding)}: {finding.claim}{_when(finding, track)}", (index,))
        for index, finding in enumerate(findings)
    )


def _when(finding: Finding, track: Track) -> str:
    """In a film the moments at which a finding was made, as a sentence with a space before it."""
    moments = [place.at.seconds for place in finding.places if place.at is not None and place.at.seconds is not None]
    judged = [face.at.seconds for face in track.faces if face.at.seconds is not None]
    if not moments or len(judged) < 2:
        return ""
    spans = runs(moments, [*judged, *moments])
    if len(spans) == 1 and spans[0] == (min(judged), max(judged)):
        return " It is seen at every moment that was judged."
    longest = sorted(sorted(spans, key=lambda run: run[0] - run[1])[:_RUNS])
    fine = digits(sorted({*judged, *moments}))
    words = [span(a, b, fine) for a, b in longest]
    more = " and at other moments" if len(spans) > _RUNS else ""
    return f" It is seen at {listed(dict.fromkeys(words))}{more}."


def graded(finding: Finding) -> str:
    """A finding's grade and calibrated strength in words: "Strong sign (74 %)".

    Args:
        finding: The finding.
    """
    word = grade(finding.strength)
    if finding.strength is None or word is None:
        return "A sign of unmeasured strength"
    return f"{word.capitalize()} sign ({percent(finding.strength)})"


def _rest(findings: tuple[Finding, ...]) -> tuple[Sentence, ...]:
    """On which of the claimed places the score was found to rest."""
    tried = [finding.region for finding in findings if finding.moves is not None and finding.region is not None]
    if not tried:
        return ()
    each = "each lowers" if len(tried) > 1 else "it lowers"
    names = listed([f"the {title(name)}" for name in tried])
    return (Sentence(f"The score rests on {names}: painted over, {each} the score more than another place."),)


def marked(verdict: Verdict) -> tuple[Finding, ...]:
    """The strong signs that are no claim, for the score does not rest on their places; strongest first.

    Args:
        verdict: Of one person. Of one that is cleared or cannot be judged nothing is told to be marked.
    """
    if verdict.label == "real" or verdict.is_unjudged:
        return ()
    return _left(verdict, _strongest_by_region(verdict))


def _left(verdict: Verdict, named: tuple[Finding, ...]) -> tuple[Finding, ...]:
    claimed = {finding.region for finding in named}
    if None in claimed:  # nearly the whole face is claimed already
        return ()
    return tuple(
        finding
        for finding in suspicions(verdict)
        if finding.region not in {*claimed, None} and finding.strength is not None
        and _is_strong(finding) and not rests_on(finding)
    )  # fmt: skip


def _marked(verdict: Verdict, named: tuple[Finding, ...], mask: Mask | None) -> tuple[Sentence, ...]:
    still = _left(verdict, named)
    if not still:
        return ()
    names = [f"the {title(f.region)}" for f in still if f.region is not None]
    whole = len(names) >= NEARLY_ALL
    what = "nearly the whole face" if whole else listed(names)
    return (Sentence(not_resting(what, still, len(names) > 1 and not whole, mask)),)


def not_resting(what: str, findings: Sequence[Finding], several: bool, mask: Mask | None) -> str:
    """That places are marked and the score does not rest on them, as a sentence: no finding has them, but the mask.

    Args:
        what: The places in words, "the nose and the mouth".
        findings: Of a measured strength, one at least.
        several: Whether those words are a plural.
        mask: That is shown of the face, where there is one.
    """
    measured = sorted(f.strength for f in findings if f.strength is not None)
    right = " to ".join(dict.fromkeys(percent(share) for share in (measured[0], measured[-1])))
    are, them = ("are", "them") if several else ("is", "it")
    where = "" if mask is None else " in the mask"
    text = f"{what} {are} marked{where} ({right} of such signs are right), but the score does not rest on {them}."
    return capital(text)


def _unseen(track: Track) -> tuple[Sentence, ...]:
    """What something covers on a photo's face, so that nobody takes silence about it for an answer."""
    hidden = track.face.unseen - ({"jaw"} if "jaw" in track.face.unseen else {"beard"}) - {"teeth", "skin"}
    if len(track.faces) > 1 or not hidden:
        return ()
    names = listed([f"the {title(name)}" for name in sorted(hidden)])
    are = "are" if len(hidden) > 1 else "is"
    sentence = f"{names} {are} covered or cannot be seen: nothing is said of {'them' if len(hidden) > 1 else 'it'}."
    return (Sentence(capital(sentence)),)


def _sides(findings: tuple[Finding, ...]) -> tuple[Sentence, ...]:
    sided = any((finding.region or "").startswith(("left_", "right_")) for finding in findings)
    return (Sentence(SIDES),) if sided else ()


def _not_claimed(suspected: int) -> str:
    if suspected == 0:
        return NOTHING_FOUND
    places = "one place" if suspected == 1 else f"{suspected} places"
    return f"No place is claimed as forged: signs in {places} were too weak for the verdict."
