"""Words of strangers at everything that reads words: grammars, verdicts, regions, questions and the dialogue.

Texts are put together by dice from words that the readers know, markup, JSON, long repetitions and every letter of
Unicode that becomes a plain one when its case or form is changed. A reader must neither raise nor take long.
"""

from __future__ import annotations

import functools
import random
import sys
import time
import traceback
import unicodedata
from collections.abc import Callable, Iterator
from itertools import islice

from reports import REPORTS

from facewitness import people, plugins, questions, regions, times, words
from facewitness.dialogue import Dialogue
from facewitness.errors import InputError
from hostile import Figure

SECONDS = 2.0  # of CPU, for one text of at most 50,000 characters at one reader


def attack(scale: int = 1, count: int = 20_000, every: int = 1) -> Iterator[Figure]:
    """`count` texts at each reader, and every letter that folds to a plain one (or one in `every`)."""
    readers = _readers()
    dice = random.Random(15)
    yield _tried("texts, fuzzed", (composed(dice) for _ in range(count * scale)), readers)
    yield _tried("texts, letters that fold to plain ones", islice(folded(), 0, None, every), readers)
    yield _tried("texts, long", long(), readers)


def _readers() -> dict[str, Callable[[str], object]]:
    report = next(report for report in REPORTS.values() if report.people and report.people[0].findings)
    readers: dict[str, Callable[[str], object]] = {
        "verdict": words.verdict,
        "verdict, strictly": lambda text: words.verdict(text, strict=True),
        "regions": regions.mentioned,
        "sides": regions.sided,
        "dialogue": lambda text: Dialogue(report).ask(text).text,
    }
    asking: dict[str, Callable[[str], object]] = {
        "intent": questions.intent,
        "regions asked for": questions.asked_regions,
        "people meant": lambda text: people.meant(text, [(0, 0, 9, 9), (20, 0, 29, 9)], 40, 20, None),
        "moments asked for": times.moments_asked_for,
        "stretch asked for": lambda text: times.stretch_asked_for(text, 9.0),
        "points back": questions.points_back,
        "asks for real": questions.asks_real,
        "yes or no": lambda text: questions.yes_or_no(text, True),
    }
    for name, reads in asking.items():  # behind `questions.asked`, which lets 2,000 characters through
        readers[name] = lambda text, reads=reads: reads(text[: questions.MOST])  # type: ignore[misc]
    for name in plugins.names("grammars"):
        grammar = plugins.get("grammars", name)
        readers[f"grammar {name}"] = lambda text, grammar=grammar: grammar.parse(grammar.render(grammar.parse(text)))  # type: ignore[misc]
        if hasattr(grammar, "refusals"):
            readers[f"refusals {name}"] = lambda text, grammar=grammar: grammar.refusals(text, (640, 480))  # type: ignore[misc]
    return readers


def _tried(kind: str, texts: Iterator[str], readers: dict[str, Callable[[str], object]]) -> Figure:
    figure, slowest = Figure(kind), (0.0, "")
    for text in texts:
        fine = ""
        for name, reads in readers.items():
            took = SECONDS + 1
            for _ in range(3):  # again where it was slow, for the machine may have been busy
                began = time.process_time()
                try:
                    reads(text)
                except InputError as error:  # the dialogue's sentence about an empty question
                    fine = fine if name == "dialogue" and str(error) else f"{name}: {error}"
                except Exception:
                    fine = f"{name}: {text[:200]!a}: {traceback.format_exc()[-300:]}"
                took = min(took, time.process_time() - began)
                if took <= SECONDS:
                    break
            slowest = max(slowest, (took, f"{name}, {len(text):,} characters"))
            if took > SECONDS:
                fine = fine or f"{name} took {took:.1f} s of CPU for {len(text)} characters: {text[:100]!a}"
        figure.expect(not fine, fine)
    figure.worst = f"{slowest[0]:.2f} s of CPU ({slowest[1]})"
    return figure


_KNOWN = (
    "the",
    "a",
    "is",
    "are",
    "not",
    "no",
    "n't",
    "fake",
    "real",
    "genuine",
    "forged",
    "nose",
    "left",
    "right",
    "eye",
    "eyes",
    "upper",
    "lower",
    "lip",
    "lips",
    "eyebrow",
    "mouth",
    "chin",
    "of",
    "and",
    "or",
    "if",
    "suppose",
    "why",
    "where",
    "how",
    "sure",
    "face",
    "second",
    "person",
    "on",
    "says",
    '"',
    "'",
    "’",
    "“",
    "(",
    ")",
    ",",
    ".",
    "?",
    "!",
    ";",
    "-",
    "–",
    "\n",
    "\t",
    "inconclusive",
    "more",
    "than",
    "looks",
    "like",
    "ears",
    "skin",
    "hair",
    "İ",
    "ſ",
    "K",
    "it",
    "they",
    "that",
    "at 0:03",
    "12 s",
)
_MARKUP = (
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    "<reasoning>",
    "</reasoning>",
    "{",
    "}",
    "[",
    "]",
    '{"label":',
    '"fake"',
    '"regions":',
    '"box":',
    '[{"region": "nose", "box": [1, 2, 3, 4]}]',
    "[1e999,-1,NaN,null]",
    "null",
    "true",
    "0.5",
    "\\u0000",
    "```json",
    "```",
    "<b>",
    "</b>",
    "&lt;",
    "<|im_end|>",
    "<image>",
    "<box>",
    "\x00",
    "\x1b[31m",
    "\u202e",
    "\ud800",
    "\U000e0041",
    "%s",
    "{0}",
    "${x}",
    "|",
    "#",
    "*",
    "_",
    "[x](y)",
)


def composed(dice: random.Random) -> str:
    """A text put together by dice."""
    parts = []
    for _ in range(dice.choice((1, 3, 10, 30))):
        roll = dice.random()
        if roll < 0.55:
            part = dice.choice(_KNOWN)
        elif roll < 0.85:
            part = dice.choice(_MARKUP)
        elif roll < 0.95:
            part = "".join(chr(dice.randrange(sys.maxunicode + 1)) for _ in range(dice.randrange(1, 6)))
        else:
            part = dice.choice((*_KNOWN, *_MARKUP)) * dice.randrange(2, 60)
        parts.append(part.upper() if dice.random() < 0.1 else part)
    return dice.choice(("", " ", " ")).join(parts)


@functools.cache
def folding() -> dict[str, str]:
    """Every character that is no plain letter and becomes one, or several, when case or form is changed."""
    found = {}
    for number in range(128, sys.maxunicode + 1):
        c = chr(number)
        if unicodedata.category(c) in ("Cn", "Co", "Cs"):
            continue
        forms = {c.lower(), c.upper().lower(), c.casefold(), unicodedata.normalize("NFKC", c).casefold()}
        plain = next((form for form in forms if form.isascii() and form.isalpha()), None)
        plain = plain or ("i" if "i\u0307" in forms else None)
        if plain:
            found[c] = plain
    return found


def folded() -> Iterator[str]:
    """Sentences in which one letter is such a character: all of them, each in one sentence that holds its letter."""
    sentences = (
        "Are the noses fake? The left eyebrow is not real; suppose the lips look forged.",
        '<think>The quick wax jaw is fuzzy.</think><answer>{"label": "fake", "regions": ["left eye"]}</answer>',
    )
    for odd, plain in folding().items():
        for sentence in sentences:
            if plain in sentence.lower():
                yield sentence.lower().replace(plain, odd)
                break
        else:
            yield f"the nose{odd} is fake"


def long(length: int = 50_000) -> Iterator[str]:
    """Texts of repetitions, which are what makes a pattern slow."""
    parts = (
        "the ",
        "fake ",
        "real ",
        "not ",
        "not not ",
        "is the nose ",
        "the left ",
        "left right eye and ",
        " ",
        "\n",
        '"',
        '"nose ',
        "'",
        "(",
        "[[",
        "{{",
        '{"label": ',
        "<think>",
        "<answer>",
        "</answer><answer>",
        "real? no. ",
        "if ",
        "says ",
        "a-",
        "0:0",
        "12 ",
        "ſ",
        "İ",
        "\U000e0041",
        "no sign of ",
        "real or fake, ",
    )
    for part in parts:
        yield (part * (length // len(part) + 1))[:length]
