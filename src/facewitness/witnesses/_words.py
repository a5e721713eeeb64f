"""What a witness's words are held against: its own evidence."""

from __future__ import annotations

from collections.abc import Sequence

from facewitness.phrases import the_regions
from facewitness.types import Label


def beside(words: Label | None, evidence: Label, source: str) -> str:
    """Whether the words agree with the evidence, as a sentence; empty where the words do not decide."""
    if words not in ("real", "fake"):
        return ""
    if evidence not in ("real", "fake"):
        return f"The words say {words}, but {source}, does not decide: they go further than what was measured."
    how = "agree with" if words == evidence else "contradict"
    return f"The words {how} {source}, which says {evidence}."


def notes(words: Label | None, evidence: Label, source: str) -> tuple[str, ...]:
    """The same as `Reply.notes` has it: one sentence or none."""
    sentence = beside(words, evidence, source)
    return (sentence,) if sentence else ()


def of_places(named: Sequence[str], marked: Sequence[str], words: Label | None, source: str) -> tuple[str, ...]:
    """A sentence on accused regions that the evidence does not mark, or marks though the words clear the face; or none.

    Args:
        named: Regions that the words accuse.
        marked: Regions that the evidence marks.
        words: What the reply says of the face.
        source: Of that evidence.
    """
    if words == "real":
        return (f"The words clear the whole face, but {source} marks {the_regions(marked)}.",) if marked else ()
    alone = [name for name in named if name not in marked]
    if words != "fake" or not alone:
        return ()
    return (f"The words accuse {the_regions(alone)}, where {source} marks nothing: look there before you believe it.",)


def of_a_region(words: Label | None, about: Sequence[str], face: Label, source: str) -> tuple[str, ...]:
    """A sentence for `Reply.notes` where a region is accused of a face that the evidence does not call fake, or none.

    A region is forged only as far as the face is, so such a yes and the face's own verdict cannot both stand.

    Args:
        words: What the reply says of the regions.
        about: The regions.
        face: What the evidence says of the face.
        source: Of that evidence.
    """
    if words != "fake" or face == "fake":
        return ()
    accused = the_regions(about) if about else "a place"
    return (
        f"The words accuse {accused}, but {source} says {face} of the face: a region counts only as far as "
        "the face is likely forged.",
    )
