"""MARE's answers: a thought, then in JSON an explanation and a box for each region that gives the face away.

    <think>…</think><answer>{"explanation": "…", "bboxes": {"nose": [x1, y1, x2, y2], …}}</answer>

Xu et al., "MARE: Multimodal Alignment and Reinforcement for Explainable Deepfake Detection", section 3.3. The paper
spells the field both `bboxes` and `bbboxes`: the first is written, both are read. The regions are the twelve of its
Table 6, boxes are pixels of the picture, and the verdict is in the explanation, by the words "fake" and "real" alone:
the strict reading of `words.verdict`.

`parse` reads what can be read of any text: a box that is no box is left out, what is not JSON is taken as words, and of
several answers all count, so that saying both real and fake is no verdict. How far the text keeps the grammar stands
beside, in `Reply.refusals`: one reason each, a kind and a detail with a colon between, such as "no think: expected …".
Where the paper is silent: an empty thought, a field of another name, and a region that is there twice are refused.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from facewitness import regions, words
from facewitness.phrases import the_regions, utf8
from facewitness.types import Box, Finding, Reply

STRICT = True  # which reading of `words.verdict` this grammar chooses
INSTRUCTION = (
    'Reply as <think>…</think><answer>{"explanation": "…", "bboxes": {"region": [x1, y1, x2, y2]}}</answer>. The '
    "explanation says whether the face is real or fake, and why. Every forged region that it names gets a box in "
    f"pixels; a real face gets none. Regions: {', '.join(regions.MARE)}."
)
_TAGS = ("<think>", "</think>", "<answer>", "</answer>")
_TAG = re.compile(r"(</?(?:think|answer)>)")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_DESCRIBES = re.compile(r"\b(?:the person|he|she|they)\s+ha(?:s|ve)\b", re.IGNORECASE)
_FACES = re.compile(r"\bfac(?:e|es|ial)\b", re.IGNORECASE)
_BOXES = ("bboxes", "bbboxes")
_OPENINGS = {  # not "the face": Table 6 counts that word as the skin
    "fake": "The image looks fake.",
    "real": "The image looks real.",
    "inconclusive": "Inconclusive: the evidence does not decide.",
}


def prompt(question: str) -> str:
    """A question and how it is to be answered.

    Args:
        question: The question in words.
    """
    return f"{question} {INSTRUCTION}"


def parse(text: str) -> Reply:
    """The reply in a text. Never raises; what breaks the grammar stands in `Reply.refusals`.

    A finding's claim is the first sentence of the explanation that names its region; it is empty where none does.

    Args:
        text: What a model wrote.
    """
    answer = _read(text, None)
    claims: dict[str, str] = {}
    for sentence in _SENTENCE.split(answer.explanation) if answer.boxes else ():
        for name in regions.mentioned(sentence):
            claims.setdefault(name, sentence)
    findings = tuple(Finding.on(name, box, None, claims.get(name, ""), None) for name, box in answer.boxes if name)
    parts = (answer.explanation,) if answer.explanation else ()
    return Reply(words.verdict(answer.explanation, STRICT), None, parts, findings, answer.thought, answer.refusals)


def refusals(text: str, size: tuple[int, int] | None = None) -> tuple[str, ...]:
    """Why a text breaks the grammar, each reason once; empty where it keeps it.

    `size` is the picture's (width, height), for boxes outside it.

    Args:
        text: What a model wrote.
        size: The picture's (width, height), for boxes outside it; None where it is not known.
    """
    return _read(text, size).refusals


def render(reply: Reply) -> str:
    """The reply in this grammar; `parse` reads it again.

    The explanation is the reply's text, or one made of its findings where it has none; a verdict that the words leave
    out is put before them. A text that contradicts its label stays as it is. A region is called by MARE's name, and has
    the box around all findings on it; what MARE has no word for (the neck), or lies off the picture, is left out.

    Args:
        reply: Any reply.
    """
    boxes: dict[str, Box] = {}
    for finding in reply.findings:
        region = regions.REGIONS.get(finding.region or "")
        x1, y1, x2, y2 = (max(0.0, float(value)) for value in finding.box)
        for name in () if region is None or x2 <= x1 or y2 <= y1 else region.mare:
            a = boxes.get(name, (x1, y1, x2, y2))
            boxes[name] = (min(a[0], x1), min(a[1], y1), max(a[2], x2), max(a[3], y2))
    explanation = reply.text
    if not explanation.strip():
        explanation = _composed(reply, tuple(boxes))
    elif reply.label is not None and words.verdict(explanation, STRICT) is None:
        opened = f"{_OPENINGS[reply.label]} {explanation}"
        explanation = opened if words.verdict(opened, STRICT) == reply.label else explanation
    answer = {
        "explanation": explanation,
        "bboxes": {name: [int(v) if v.is_integer() else v for v in box] for name, box in boxes.items()},
    }
    thought = _TAG.sub(lambda tag: tag[0].strip("<>"), reply.thought).strip()
    # inside JSON a tag can be written so that nobody takes it for one
    written = _TAG.sub(lambda tag: tag[0].replace("<", "\\u003c"), json.dumps(answer, ensure_ascii=False))
    return f"<think>{thought}</think><answer>{written}</answer>"


def _composed(reply: Reply, names: tuple[str, ...]) -> str:
    """The verdict and the regions in words."""
    if reply.label is None:
        return ""
    if not names:
        return _OPENINGS[reply.label]
    return f"{_OPENINGS[reply.label]} Signs of forgery are at {the_regions(names)}."


def without_descriptions(text: str) -> str:
    """A text about a real face without the sentences that say what its features are like, and nothing of a forgery.

    Such a sentence says what the person has, names a region other than the face, and holds no verdict: "The person has
    thick eyebrows, a straight nose." A text that is nothing else stays as it is.

    Args:
        text: The text.
    """

    def describes(sentence: str) -> bool:
        feature = _DESCRIBES.search(sentence) and regions.mentioned(_FACES.sub(" ", sentence))
        return bool(feature) and words.verdict(sentence, STRICT) is None

    kept = [sentence for sentence in _SENTENCE.split(text) if not describes(sentence)]
    return " ".join(kept) if kept else text


# ------------------------------------------------------------------------------------------------------------ reading


class _Pairs(tuple[tuple[str, Any], ...]):
    """A JSON object as it was written: a name that is there twice stays there twice."""


@dataclass(frozen=True, slots=True)
class _Said:
    thought: str
    explanation: str
    boxes: tuple[tuple[str, Box], ...]  # region, box
    refusals: tuple[str, ...]


def _read(text: str, size: tuple[int, int] | None) -> _Said:
    """What a text says, in time proportional to its length."""
    pieces = _TAG.split(text)
    inside: dict[str, list[str]] = {"": [], "<think>": [], "<answer>": []}
    tag = ""
    for index, piece in enumerate(pieces):
        if index % 2 == 0:
            inside[tag].append(piece)
        else:
            tag = "" if piece.startswith("</") else piece
    thoughts, outside = (" ".join(inside[t]).strip() for t in ("<think>", ""))
    reasons = list(_misplaced(tuple(pieces[1::2]), thoughts, outside))
    explanations: list[str] = []
    boxes: list[tuple[str, Box]] = []
    for body in inside["<answer>"] or (outside,):
        explanation, boxes_here, wrong = _answer(body, size)
        explanations.append(explanation)
        boxes += boxes_here
        reasons += wrong if inside["<answer>"] else ()  # without an answer that is all there is to say
    explanation = explanations[0] if len(explanations) == 1 else " ".join(e for e in explanations if e)
    return _Said(thoughts, explanation, tuple(boxes), tuple(dict.fromkeys(reasons)))


def _misplaced(tags: tuple[str, ...], thought: str, outside: str) -> Iterator[str]:
    """What is wrong with the tags and with what stands outside them."""
    if not (tags or outside):
        yield f"empty: expected {'…'.join(_TAGS)}"
        return
    broken = False
    for name in ("think", "answer"):
        opened, closed = tags.count(f"<{name}>"), tags.count(f"</{name}>")
        if opened == 0:
            yield f"no {name}: expected <{name}>…</{name}>"
        elif opened > 1:
            yield f"several {name}s: expected one <{name}>, got {opened}"
        elif closed != 1:
            yield f"{name} without end: expected one </{name}>, got {closed}"
        broken |= (opened, closed) != (1, 1)
    if not broken and tags != _TAGS:
        yield f"order: expected {'…'.join(_TAGS)}, got {'…'.join(tags)}"
    if "<think>" in tags and not thought:
        yield "empty think: expected words between <think> and </think>"
    if "<answer>" in tags and outside:
        yield "text outside: expected nothing before, between and after <think>…</think><answer>…</answer>"


def _answer(body: str, size: tuple[int, int] | None) -> tuple[str, list[tuple[str, Box]], list[str]]:
    """(explanation, boxes, reasons for refusal) of what stands between <answer> and </answer>."""
    bare = body.strip()
    wrong: list[str] = []
    if bare.startswith("```"):
        wrong.append("fenced: expected JSON alone, without ```")
        bare = bare.removeprefix("```").removeprefix("json").removesuffix("```")
    try:
        content = json.loads(bare, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:  # RecursionError: thousands of brackets in each other
        why = f"{error.msg} at character {error.pos}" if isinstance(error, json.JSONDecodeError) else "too deep or long"
        return bare, [], [*wrong, f"not JSON: {why}"]
    if not isinstance(content, _Pairs):
        return (
            bare,
            [],
            [*wrong, f"another shape: expected an object with explanation and bboxes, got {_kind(content)}"],
        )

    names = Counter("bboxes" if name in _BOXES else name for name, _ in content)
    wrong += [f"twice: {name[:40]!r} is there {count} times" for name, count in names.items() if count > 1]
    wrong += [
        f"unknown field: expected explanation and bboxes, got {name[:40]!r}"
        for name in names
        if name not in ("explanation", "bboxes")
    ]
    given_words = [value for name, value in content if name == "explanation"]
    # an escape can write half a pair, which no file takes
    explanation = utf8(" ".join(value for value in given_words if isinstance(value, str)))
    if not explanation.strip():
        got = _kind(given_words[0]) if given_words else "nothing"
        wrong.append(f"no explanation: expected words that say why the face is real or fake, got {got}")
    places = [value for name, value in content if name in _BOXES]
    if not places:
        wrong.append("no bboxes: expected an object of boxes, empty where there are none")

    boxes: list[tuple[str, Box]] = []
    seen: set[str] = set()
    for value in places:
        if not isinstance(value, _Pairs):
            wrong.append(f"another shape: expected bboxes as an object of region and box, got {_kind(value)}")
            continue
        for written, given in value:
            region = utf8(written)
            if region not in regions.MARE:
                wrong.append(f"unknown region: {region[:40]!r}; known are {', '.join(regions.MARE)}")
            elif region in seen:
                wrong.append(f"twice: {region!r} has more than one box")
            seen.add(region)
            box = _box(given, size)
            if isinstance(box, str):
                wrong.append(f"{box} ({region[:40]!r})")
            else:
                boxes.append((region, box))
    return explanation, boxes, wrong


def _box(given: Any, size: tuple[int, int] | None) -> Box | str:
    """A box, or why it is none."""
    if (
        not isinstance(given, list)
        or len(given) != 4
        or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in given)
    ):
        return f"no box: expected four numbers [x1, y1, x2, y2], got {_kind(given)}"
    try:
        x1, y1, x2, y2 = (float(v) for v in given)
    except OverflowError:
        x1 = y1 = x2 = y2 = math.inf
    if not all(map(math.isfinite, (x1, y1, x2, y2))):
        return "not finite: expected numbers, got NaN or infinity"
    shown = f"{x1:g}, {y1:g}, {x2:g}, {y2:g}"
    if min(x1, y1, x2, y2) < 0:
        return f"negative: expected pixels from 0, got {shown}"
    if x2 <= x1 or y2 <= y1:
        return f"swapped: expected x1 < x2 and y1 < y2, got {shown}"
    if size is not None and (x2 > size[0] or y2 > size[1]):
        return f"outside: expected a box on a picture of {size[0]} × {size[1]} pixels, got {shown}"
    return (x1, y1, x2, y2)


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return {_Pairs: "an object", str: "words", bool: "a truth value", type(None): "null"}.get(type(value), "a number")
