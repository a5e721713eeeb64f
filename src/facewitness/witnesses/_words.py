"""What a witness's words are held against: its own evidence."""

from __future__ import annotations

from facewitness.types import Label


def beside(words: Label | None, evidence: Label, source: str) -> str:
    """Whether the words agree with the evidence, as a sentence; empty where one of them does not decide."""
    if words not in ("real", "fake") or evidence not in ("real", "fake"):
        return ""
    how = "agree with" if words == evidence else "contradict"
    return f"The words {how} {source}, which says {evidence}."


def notes(words: Label | None, evidence: Label, source: str) -> tuple[str, ...]:
    """The same as `Reply.notes` has it: one sentence or none."""
    sentence = beside(words, evidence, source)
    return (sentence,) if sentence else ()
