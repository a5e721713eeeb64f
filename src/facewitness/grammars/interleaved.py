"""Answers whose words carry their masks, as in "The <p>left eyebrow</p> [SEG] is blurred".

The artefact-grounding explanation of Fake-in-Facext (arXiv 2510.20531), written as GLaMM writes grounded captions: what
stands between <p> and </p> is a place in words, and the [SEG] after it stands for its mask, which a decoder makes from
that token's hidden state. So a text has as many [SEG] as it has masks, in the same order.

    parse(text, masks)   words and masks  → a reply with a `Mark` after each place
    render(reply)        a reply          → such a text; its masks are those of its marks, in their order
    mentions(text)       what a text points at, without masks

In `Reply.parts` the words of a place are a part of their own, and the `Mark` that points comes right after them, so
that `Reply.text` reads on without tags. Only the paper's abstract was at hand; the form above is GLaMM's, and what a
text can do wrong (an unclosed or nested <p>, a [SEG] without a place, more [SEG] than masks, …) stands in
`Reply.refusals`, each a kind and a detail. `parse` keeps what can be kept: words always stay, a place without a
mask gets no mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from facewitness import regions, words
from facewitness.phrases import listed
from facewitness.types import Finding, FrameRef, Mark, Mask, Place, Reply

STRICT = False  # which reading of `words.verdict` this grammar chooses
OPEN, CLOSE, SEG = "<p>", "</p>", "[SEG]"
TOKENS = (OPEN, CLOSE, SEG)  # each has to be one token of a model that writes this
INSTRUCTION = (
    f"Say whether the face is real or fake, and why. Put every place that you name between {OPEN} and {CLOSE}, "
    f"followed by {SEG}."
)
_TAG = re.compile(r"(<p>|</p>|\[SEG\])")
_PHRASE = 4  # words: a part before a mark with no more is the place's words as a whole
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_OPENINGS = {
    "fake": "This face is fake.",
    "real": "This face is real.",
    "inconclusive": "Inconclusive: the evidence does not decide.",
}


_LONGEST = 20_000  # characters that a verdict is looked for in: a text of 2,000 words has some 12,000


@dataclass(frozen=True, slots=True)
class Mention:
    """A place that a text points at."""

    phrase: str  # its words
    region: str | None  # a name of `regions.py`; None where the words name no single one
    seg: int | None  # the number of its [SEG] in the text, from 0; None where it has none
    sentence: str = ""  # the words of the sentence around it


def prompt(question: str) -> str:
    """A question and how it is to be answered.

    Args:
        question: The question in words.
    """
    return f"{question} {INSTRUCTION}"


def mentions(text: str) -> tuple[Mention, ...]:
    """The places between <p> and </p>, in their order, with or without [SEG]. Never raises.

    Args:
        text: What a model wrote.
    """
    pieces, _ = _read(text)
    return tuple(piece for piece in pieces if isinstance(piece, Mention))


def parse(text: str, masks: Sequence[Mask | None] = (), at: FrameRef | None = None) -> Reply:
    """The reply in a text. Never raises; what breaks the grammar stands in `Reply.refusals`.

    Args:
        text: Words with <p>, </p> and [SEG].
        masks: One for each [SEG], in their order, on the frame; None where the decoder found nothing.
        at: The frame they lie on; None where the text does not say.

    Returns:
        Its label by the plain reading of its words, its parts, and one finding for each place that has a mask.
    """
    pieces, reasons = _read(text)
    segs = text.count(SEG)
    if segs > len(masks):
        reasons.append(f"more [SEG] than masks: expected at most {len(masks)}, got {segs}")
    elif segs < len(masks):
        reasons.append(f"more masks than [SEG]: expected {len(masks)}, got {segs}")
    parts: list[str | Mark] = []
    findings: list[Finding] = []
    for piece in pieces:
        if isinstance(piece, str):
            parts.append(piece)
            continue
        if piece.phrase:
            parts.append(piece.phrase)
        mask = masks[piece.seg] if piece.seg is not None and piece.seg < len(masks) else None
        if piece.seg is not None and piece.seg < len(masks) and mask is None:
            reasons.append(f"empty mask: the [SEG] of {piece.phrase[:40]!r} has no pixels")
        if mask is not None and piece.phrase:
            finding = Finding((Place(at, piece.region, mask.box, mask),), piece.sentence, None)
            parts.append(Mark(finding))
            findings.append(finding)
    plain = "".join(part for part in parts if isinstance(part, str))
    label = words.verdict(plain[:_LONGEST], STRICT)
    return Reply(label, None, tuple(parts), tuple(findings), refusals=tuple(dict.fromkeys(reasons)))


def render(reply: Reply) -> str:
    """The reply in this grammar; `parse` reads it again, given the masks of its marks.

    The part before a mark stands between <p> and </p> where it names the mark's region in a few words. Of a long one
    that ends with the region's title it is the title alone, and where it names something else the title is added. A
    reply without words gets them from its label and its findings. A verdict that the words leave out is put before
    them.

    Args:
        reply: Any reply.
    """
    if not reply.text.strip():
        return _composed(reply)
    out: list[str] = []
    parts = [part for part in reply.parts if not isinstance(part, str) or part]
    for index, part in enumerate(parts):
        if isinstance(part, str):
            marked = index + 1 < len(parts) and isinstance(parts[index + 1], Mark)
            out.append(_bare(part) if not marked else "")
            continue
        before = parts[index - 1] if index else ""
        region = part.finding.region
        lead, phrase = _phrase(before if isinstance(before, str) else "", region)
        out.append(f"{_bare(lead)}{OPEN}{_bare(phrase)}{CLOSE} {SEG}")
    text = "".join(out)
    start = reply.text[:_LONGEST]
    if reply.label is not None and words.verdict(start, STRICT) is None:
        opened = f"{_OPENINGS[reply.label]} {text}"
        if words.verdict(f"{_OPENINGS[reply.label]} {start}", STRICT) == reply.label:
            return opened
    return text


def _phrase(words_before: str, region: str | None) -> tuple[str, str]:
    """What stands before a place's words, and these words; those of the region's title where it has nothing else."""
    title = regions.title(region) if region is not None and region in regions.REGIONS else "place"
    if not words_before.strip():
        return words_before, title
    bare = words_before.rstrip()
    start = len(words_before) - len(words_before.lstrip())
    if regions.called(bare) == region and len(bare.split()) <= _PHRASE:
        return words_before[:start], bare[start:]
    if bare.lower().endswith(title) and not bare[: -len(title)][-1:].isalnum():
        return bare[: -len(title)], bare[-len(title) :]
    if region in regions.REGIONS:  # words that name something else, or nothing
        return f"{bare} ", title
    return words_before[:start], bare[start:]


def _composed(reply: Reply) -> str:
    if reply.label is None:
        return ""
    names = dict.fromkeys(
        regions.title(place.region)
        for finding in reply.findings
        for place in finding.places
        if place.region is not None and place.region in regions.REGIONS
    )
    if not names or reply.label != "fake":
        return _OPENINGS[reply.label]
    places = listed([f"the {OPEN}{name}{CLOSE} {SEG}" for name in names])
    return f"{_OPENINGS['fake']} Signs of forgery are at {places}."


def _bare(text: str) -> str:
    """Words that nobody takes for a tag."""
    return _TAG.sub(lambda tag: tag[0].strip("<>[]").lstrip("/"), text)


# ------------------------------------------------------------------------------------------------------------ reading


def _read(text: str) -> tuple[list[str | Mention], list[str]]:
    """Words and mentions in their order, and what breaks the grammar; in time proportional to the text's length."""
    pieces: list[str | Mention] = []
    reasons: list[str] = []
    inside: list[str] | None = None  # the words since <p>, while it is open
    waiting: int | None = None  # where in `pieces` the place stands that may still get its [SEG]
    seg = 0
    for piece in _TAG.split(text):
        if piece == OPEN:
            if inside is not None:
                reasons.append("nested <p>: expected </p> before the next <p>")
                pieces.append("".join(inside))
            inside, waiting = [], None
        elif piece == CLOSE:
            if inside is None:
                reasons.append("</p> without <p>: expected <p> before it")
                continue
            phrase = " ".join("".join(inside).split())
            inside = None
            if not phrase:
                reasons.append("empty <p>: expected the words of a place between <p> and </p>")
                waiting = None
                continue
            pieces.append(Mention(phrase, regions.called(phrase), None))
            waiting = len(pieces) - 1
        elif piece == SEG:
            if inside is not None:
                reasons.append("[SEG] inside <p>: expected it after </p>")
            elif waiting is None:
                reasons.append("[SEG] without a place: expected <p>…</p> right before it")
            else:
                mention = pieces[waiting]
                assert isinstance(mention, Mention)
                pieces[waiting] = Mention(mention.phrase, mention.region, seg)
                del pieces[waiting + 1 :]  # the blank between </p> and [SEG]
                waiting = None
            seg += 1
        elif inside is not None:
            inside.append(piece)
        elif piece:
            pieces.append(piece)
            if piece.strip():
                waiting = None
    if inside is not None:
        reasons.append("unclosed <p>: expected </p> before the end")
        pieces.append("".join(inside))
    for mention in pieces:
        if isinstance(mention, Mention):
            if mention.seg is None:
                reasons.append(f"place without [SEG]: expected it after {mention.phrase[:40]!r}")
            if mention.region is None:
                reasons.append(f"unknown place: {mention.phrase[:40]!r} is no single region of the face")
    return list(_with_sentences(pieces)), reasons


def _with_sentences(pieces: list[str | Mention]) -> Iterator[str | Mention]:
    """The same, each mention with the words of its sentence."""
    if not any(isinstance(piece, Mention) for piece in pieces):
        yield from pieces
        return
    plain = "".join(piece if isinstance(piece, str) else piece.phrase for piece in pieces)
    starts = [0, *(match.end() for match in _SENTENCE.finditer(plain)), len(plain) + 1]
    position, number = 0, 0
    for piece in pieces:
        if isinstance(piece, str):
            position += len(piece)
            yield piece
            continue
        while starts[number + 1] <= position:
            number += 1
        sentence = " ".join(plain[starts[number] : starts[number + 1]].split())
        position += len(piece.phrase)
        yield Mention(piece.phrase, piece.region, piece.seg, sentence)
