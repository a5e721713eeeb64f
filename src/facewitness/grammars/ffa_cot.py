"""FFAA's answers: a description, the reasoning, and a result with its probability and the type of forgery.

    Image description: The image shows a young woman with a smile, lit from the left …
    Forgery reasoning: The skin of the left cheek is smoother than that of the right one …
    Analysis result: fake
    Probability: 0.85
    Forgery type: Identity exchange

Huang et al., "FFAA: Multimodal Large Language Model based Explainable Open-World Face Forgery Analysis Assistant",
"Prompt Design": the Face Forgery Analysis Chain of Thought (FFA-CoT), a progressive answer of three parts, the last
with classification result, probability and forgery type. How the parts are written down is not in the text; the
authors' public code reads fields by their names, one a line, which is what is written here. `parse` also reads fields
over several lines, with Markdown around their names, a result and a probability on one line, and a chance in per cent.

The probability is that the result is right, as an annotator gives it: of "real" with 0.9 a `Reply.fake` of 0.1 is made.
`masked` leaves the "Analysis result" out, as FFAA does before its judge of answers reads one (section "Image-Answer
Cross Fusion"): with it in sight the judge takes a shortcut, and loses 8.3 points of ACC (Table 3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from facewitness import phrases, regions, words
from facewitness.types import Label, Reply

STRICT = False  # which reading of `words.verdict` this grammar chooses, where a text has no result
FIELDS = ("Image description", "Forgery reasoning", "Analysis result", "Probability", "Forgery type")
# FFAA's three types ("Data Collection") and what it calls a genuine face there, by this house's kinds
TYPES = {
    "pristine": "Real",
    "identity_exchange": "Identity exchange",
    "attribute_manipulation": "Facial attribute manipulation",
    "entire_synthesis": "Entire face synthesis",
}
INSTRUCTION = (
    "Answer in these five lines. Image description: what the picture shows. Forgery reasoning: what speaks for and "
    "against a forgery. Analysis result: real or fake. Probability: how sure you are of the result, 0.5 to 1. Forgery "
    f"type: {', '.join(TYPES.values())}."
)
_LONGEST = 20_000  # characters that are read
_NAMES = {name.lower(): name for name in FIELDS} | {
    "description": "Image description", "reasoning": "Forgery reasoning", "result": "Analysis result",
    "type": "Forgery type",
}  # fmt: skip
_FIELD = re.compile(
    r"(?:^|(?<=[\n;,]))[ \t>#*\-\d.()\"'{]{0,12}"
    r"(image description|description|forgery reasoning|reasoning|analysis result|result|probability|forgery type|type)"
    r"[ \t*\"']{0,4}[:：][ \t*]{0,4}",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w.])(\d{1,3}(?:\.\d{1,6})?|\.\d{1,6})\s*(%|per ?cent)?")
_RESULT = re.compile(r"\W*(?:this |the )?(?:image |face |photo |picture )?(?:is |looks )?(?:an? )?(real|fake)\b", re.I)
_EITHER = re.compile(r"\s*(?:or|and|/|\||,)\s*(?:an? )?(?:real|fake)\b", re.I)  # the form's own words, copied
_KINDS = (
    ("identity_exchange", "identity"), ("attribute_manipulation", "attribute"), ("entire_synthesis", "synthesis"),
    ("identity_exchange", "swap"), ("entire_synthesis", "generated"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parts:
    """The fields of an answer; empty or None where it has none."""

    description: str = ""
    reasoning: str = ""
    result: Label | None = None
    probability: float | None = None  # that the result is right
    kind: str | None = None  # one of types.KINDS
    refusals: tuple[str, ...] = ()  # why the text breaks the grammar


def prompt(question: str) -> str:
    """A question and how it is to be answered.

    Args:
        question: The question in words.
    """
    return f"{question} {INSTRUCTION}"


def parse(text: str) -> Reply:
    """The reply in a text. Never raises; what breaks the grammar stands in `Reply.refusals`.

    Args:
        text: What a model wrote.
    """
    sections = read(text)
    fake = None if sections.probability is None or sections.result not in ("real", "fake") else sections.probability
    if fake is not None and sections.result == "real":
        fake = 1.0 - fake
    label = sections.result if sections.result is not None else words.verdict(text[:_LONGEST], STRICT)
    return Reply(label, fake, parts=(text.strip(),), refusals=sections.refusals)


def read(text: str) -> Parts:
    """The fields of an answer, and in how far it keeps the grammar.

    Args:
        text: What a model wrote.
    """
    given = text[:_LONGEST]
    reasons: list[str] = []
    fields: dict[str, str] = {}
    marks = list(_FIELD.finditer(given))
    for index, mark in enumerate(marks):
        name = _NAMES[mark[1].lower()]
        end = marks[index + 1].start() if index + 1 < len(marks) else len(given)
        value = given[mark.end() : end].strip().strip(",;*\"' \t\n}").strip()
        if name in fields:
            reasons.append(f"twice: {name!r} is there more than once")
            continue
        fields[name] = value
    if not given.strip():
        return Parts(refusals=("empty: expected five fields, got nothing",))
    reasons += [
        f"no {name}: expected the field '{name}:'" for name in FIELDS if name not in fields and name != "Forgery type"
    ]
    reasons += [f"empty {name}: expected words" for name in FIELDS[:2] if fields.get(name) == ""]
    order = [name for name in fields if name in FIELDS]
    if order != [name for name in FIELDS if name in fields]:
        reasons.append(f"order: expected {', '.join(FIELDS)}, got {', '.join(order)}")
    written = fields.get("Analysis result", "")
    result = _result(written)
    if "Analysis result" in fields and result is None:
        reasons.append(f"no result: expected real or fake, got {written[:40]!r}")
    number = fields.get("Probability", "")
    probability = _probability(number)
    if "Probability" in fields and probability is None:
        reasons.append(f"no probability: expected a number from 0 to 1, got {number[:40]!r}")
    kind = _kind(fields.get("Forgery type", ""), result)
    if result == "fake" and kind is None:
        reasons.append(f"no type: expected one of {', '.join(list(TYPES.values())[1:])}")
    return Parts(
        fields.get("Image description", ""), fields.get("Forgery reasoning", ""), result, probability, kind,
        tuple(dict.fromkeys(reasons)),
    )  # fmt: skip


def refusals(text: str, size: tuple[int, int] | None = None) -> tuple[str, ...]:
    """Why a text breaks the grammar, each reason once; empty where it keeps it. Without boxes it needs no `size`.

    Args:
        text: What a model wrote.
        size: The picture's (width, height), for boxes outside it; None where it is not known.
    """
    return read(text).refusals


def masked(text: str) -> str:
    """The answer without its result, probability and type: what a judge of answers may read.

    The two first fields as the authors' code leaves them. Where a text has neither, its words from the first field that
    is to be hidden on are cut off, and the rest stays as it is.

    Args:
        text: What a model wrote.
    """
    sections = read(text)
    kept = [
        f"{name}: {value}"
        for name, value in zip(FIELDS, (sections.description, sections.reasoning), strict=False)
        if value
    ]
    if kept:
        return "\n".join(kept)
    hidden = next((mark for mark in _FIELD.finditer(text[:_LONGEST]) if _NAMES[mark[1].lower()] in FIELDS[2:]), None)
    return text[: hidden.start() if hidden is not None else _LONGEST].strip()


def write(
    description: str, reasoning: str, result: Label, probability: float | None = None, kind: str | None = None
) -> str:
    """An answer of these parts. A fake without a known kind names no type; a genuine face's is "Real".

    Args:
        description: What the face is said to look like.
        reasoning: What it is concluded from.
        result: "real" or "fake".
        probability: That the result is right, in [0, 1]; None leaves it out.
        kind: Of forgery; None names none.
    """
    lines = [f"Image description: {_line(description)}", f"Forgery reasoning: {_line(reasoning)}"]
    lines.append(f"Analysis result: {result}")
    if probability is not None:
        lines.append(f"Probability: {probability:.2f}")
    if result == "real" or kind in TYPES:
        lines.append(f"Forgery type: {TYPES['pristine' if result == 'real' else str(kind)]}")
    return "\n".join(lines)


def render(reply: Reply) -> str:
    """The reply in this grammar; `parse` reads it again. A text that is in the grammar already stays as it is.

    Args:
        reply: Any reply.
    """
    sections = read(reply.text)
    if sections.result is not None and sections.result == reply.label and not sections.refusals:
        return reply.text
    if reply.label is None:
        return reply.text
    names = [
        f"the {regions.title(name) if name in regions.REGIONS else name}"
        for name in dict.fromkeys(p.region for f in reply.findings for p in f.places if p.region is not None)
    ]
    reasoning = sections.reasoning or reply.text
    if not reasoning.strip():
        where = f" Signs of it are at {phrases.listed(names)}." if names else ""
        reasoning = {
            "fake": f"The face shows signs of forgery.{where}",
            "real": "Nothing in the face gives a forgery away.",
            "inconclusive": f"The evidence does not decide.{where}",
        }[reply.label]
    sure = None if reply.fake is None else max(reply.fake, 1 - reply.fake)
    return write(sections.description or "A human face.", reasoning, reply.label, sure)


def _line(text: str) -> str:
    """On one line, without what would be read as another field."""
    return _FIELD.sub(lambda mark: mark[0].replace(":", " –").replace("：", " –"), " ".join(text.split()))


def _result(written: str) -> Label | None:
    first = _RESULT.match(written)
    if first is not None and _EITHER.match(written, first.end()):
        return None
    if first is not None:
        return "real" if first[1].lower() == "real" else "fake"
    return "inconclusive" if written.lower().startswith(("inconclusive", "uncertain", "undecided")) else None


def _probability(written: str) -> float | None:
    number = _NUMBER.search(written)
    if number is None:
        return None
    value = float(number[1])
    value = value / 100 if number[2] or value > 1 else value
    return value if 0 <= value <= 1 else None


def _kind(written: str, result: Label | None) -> str | None:
    if result == "real":
        return "pristine"
    lowered = written.lower()
    return next((kind for kind, word in _KINDS if word in lowered), None)
