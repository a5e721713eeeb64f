"""Who speaks in a run, and what it is worth: replies and truths from rows, their scores, and who has not looked.

    replies(table)          what a speaker said, as `scores/` judge it
    truths(table)           what is true of each row
    CONTROLS                speakers that every number in words stands beside

The controls, in the words they get:

    shuffled        the system's own replies, swapped between pictures of other groups: what its style is worth
    image-blind     one constant answer a question, chosen on other groups; also one told the label
    score alone     "The picture is fake." from the score and its threshold: what the words add to the number
    map alone       the regions that the witness's mask covers, in a sentence: what they add to the map
    always fake, always real    one verdict for all

A reply is None where a control has none; such a row is left out of the system's number and the control's alike.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import pyarrow as pa

from facewitness import plugins, questions, regions, words
from facewitness.bench import controls, measures, predictions, wording
from facewitness.errors import FacewitnessError, InputError
from facewitness.types import Box, Finding, Label, Place, Reply, Truth

Scores = dict[str, float | None]


# ---------------------------------------------------------------------------------------------- rows and their nouns


def findings_json(findings: Iterable[Finding]) -> str:
    """Findings as a row keeps them: claim, strength and places with region and box. Masks are not kept.

    Args:
        findings: The findings.
    """
    return json.dumps(
        [
            {
                "claim": finding.claim,
                "strength": finding.strength,
                "places": [{"region": p.region, "box": [round(float(v), 1) for v in p.box]} for p in finding.places],
            }
            for finding in findings
        ],
        ensure_ascii=True,
    )


def findings_of(text: str | None) -> tuple[Finding, ...]:
    """Findings from a row.

    Args:
        text: A row's findings, JSON; None for none.

    Raises:
        InputError: It is something else.
    """
    try:
        return tuple(
            Finding(
                tuple(Place(None, place["region"], tuple(place["box"])) for place in each["places"]),
                each["claim"],
                each["strength"],
            )
            for each in json.loads(text or "[]")
            if each["places"]
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise _no_row("findings", text) from error


def _boxes_of(text: str | None) -> dict[str, Box]:
    """A row's true boxes by their regions. Raises InputError for what is none."""
    try:
        boxes = {name: tuple(map(float, box)) for name, box in json.loads(text or "{}").items()}
        if any(len(box) != 4 or not all(map(math.isfinite, box)) for box in boxes.values()):
            raise ValueError
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise _no_row("boxes", text) from error
    return cast("dict[str, Box]", boxes)


def _no_row(what: str, text: str | None) -> InputError:
    return InputError(
        f"predictions.parquet: expected {what} as JSON in each row, got {text!r:.80}. Give the same `facewitness bench "
        "run` again, into another folder."
    )


def replies(table: pa.Table) -> list[Reply | None]:
    """What was said in each row; None where nothing was.

    Args:
        table: Rows of a run.
    """
    names = ["says", "text", "thought", "refusals", "findings"]
    columns = [table.column(name).to_pylist() for name in names]
    return [
        None
        if text is None
        else Reply(
            says, None, (text,), findings_of(findings), thought or "", None if refused is None else tuple(refused)
        )
        for says, text, thought, refused, findings in zip(*columns, strict=True)
    ]


def truths(table: pa.Table) -> list[Truth]:
    """What is true of each row, without pixels.

    Args:
        table: Rows of a run.
    """
    names = ["label", "regions_true", "boxes_true", "references"]
    columns = [table.column(name).to_pylist() for name in names]
    return [
        Truth(
            label,
            regions=None if touched is None else frozenset(touched),
            boxes=None if boxes is None else _boxes_of(boxes),
            texts=tuple(references or ()),
        )
        for label, touched, boxes, references in zip(*columns, strict=True)
    ]


# ------------------------------------------------------------------------------------------------------- the scores


def available() -> tuple[tuple[str, ...], dict[str, str]]:
    """Scores that can be taken here, and why others cannot: those of all packages, ours and others'.

    Returns:
        Names of scores that can be taken, and the reason by name for those that cannot.
    """
    there, lacking = [], dict[str, str]()
    probe = Reply("fake", None, ("It is fake.",)), Truth("fake", texts=("It is fake.",))
    for name in plugins.names("scores"):
        try:
            _taken(name, plugins.get("scores", name).score, *probe)
            there.append(name)
        except FacewitnessError as error:
            lacking[name] = str(error)
        except Exception as error:  # another package's leaf may raise anything where it is imported
            lacking[name] = f"The score {name} cannot be loaded ({type(error).__name__}: {error})."
    return tuple(there), lacking


def _taken(name: str, judge: Callable[[Reply, Truth], Any], reply: Reply, truth: Truth) -> float | None:
    """One score of one reply. Raises InputError for a leaf that does not keep what its family promises."""
    try:
        value = judge(reply, truth)
    except FacewitnessError:
        raise
    except Exception as error:
        raise InputError(f"The score {name} failed ({type(error).__name__}: {error}); a score never raises.") from error
    if value is None:
        return None
    number = float(value) if isinstance(value, int | float | np.number) else np.nan
    if not 0 <= number <= 1:  # NaN is not
        raise InputError(f"The score {name}: expected a number in [0, 1] or None, got {value!r}.")
    return number


def scored(reply: Reply, truth: Truth, names: Iterable[str]) -> Scores:
    """Each score of one reply.

    Args:
        reply: What was answered.
        truth: What is known of the picture.
        names: Of scores.
    """
    return {name: _taken(name, plugins.get("scores", name).score, reply, truth) for name in names}


def all_scored(replies: Sequence[Reply | None], true: Sequence[Truth], names: Sequence[str]) -> dict[str, list[float]]:
    """Each score of each reply, NaN for "not measured" and for no reply.

    Args:
        replies: One a row; None where nothing was said.
        true: What is true of each row.
        names: Of scores.

    Returns:
        Score → one number a reply.
    """
    judges = [(name, plugins.get("scores", name).score) for name in names]
    out: dict[str, list[float]] = {name: [] for name in names}
    for reply, truth in zip(replies, true, strict=True):
        for name, judge in judges:
            value = None if reply is None else _taken(name, judge, reply, truth)
            out[name].append(np.nan if value is None else value)
    return out


# ------------------------------------------------------------------------------------------------------ the controls

Control = Callable[[pa.Table, float], list[Reply | None]]


def shuffled(table: pa.Table, seed: int = 0) -> list[Reply | None]:
    """The system's own replies, swapped between pictures of other groups that were asked the same question.

    Whole replies move, with their findings: they are swapped by their row's number.

    Args:
        table: Rows of a run.
        seed: Of the swap, as `controls.shuffled` takes it.
    """
    numbered = table.set_column(
        table.column_names.index("text"), "text", pa.array([str(i) for i in range(table.num_rows)], pa.string())
    )
    own = replies(table)
    silent = Reply(None)
    return [None if at is None else own[int(at)] or silent for at in controls.shuffled(numbered, seed)]


def _shuffled(table: pa.Table, threshold: float) -> list[Reply | None]:
    return shuffled(table)


def _blind(table: pa.Table, threshold: float, by_label: bool = False) -> list[Reply | None]:
    grammars = table.column("grammar").to_pylist()
    texts = controls.blind(table, by_label=by_label)
    boxes = _usual_boxes(table)
    groups = table.column("group").to_pylist()
    labels = {pair: _label(*pair) for pair in set(zip(texts, grammars, strict=True))}  # each distinct text is read once
    out: list[Reply | None] = []
    for text, grammar, group in zip(texts, grammars, groups, strict=True):
        if text is None:
            out.append(None)
            continue
        label = labels[text, grammar]
        named = regions.mentioned(text) if label != "real" else ()
        placed = [(name, boxes.get((group, name))) for name in named]
        findings = tuple(Finding.on(name, box, None, text, None) for name, box in placed if box is not None)
        out.append(Reply(label, None, (text,), findings, refusals=None if grammar is None else ()))
    return out


def _label(text: str | None, grammar: str | None) -> Label | None:
    if text is None:
        return None
    if grammar is None:
        return words.verdict(text)
    reply: Reply = plugins.get("grammars", grammar).parse(text)
    return reply.label


def _usual_boxes(table: pa.Table) -> dict[tuple[str, str], Box | None]:
    """(group, region) → the median of the region's true boxes in all other groups: where it lies in most pictures."""
    boxes_of: dict[str, list[tuple[str, Box]]] = {}
    groups = table.column("group").to_pylist()
    for group, boxes_true in zip(groups, table.column("boxes_true").to_pylist(), strict=True):
        for name, box in _boxes_of(boxes_true).items():
            boxes_of.setdefault(name, []).append((group, box))
    usual: dict[tuple[str, str], Box | None] = {}
    for name, boxes in boxes_of.items():
        of, values = np.array([group for group, _ in boxes]), np.array([box for _, box in boxes])
        for group in dict.fromkeys(groups):
            others = values[of != group]
            x1, y1, x2, y2 = np.median(others, axis=0).round().tolist() if len(others) else (0, 0, 0, 0)
            usual[group, name] = (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None
    return usual


def _always(label: Label, table: pa.Table, threshold: float) -> list[Reply | None]:
    return [_verdict(label)] * table.num_rows


def _score_alone(table: pa.Table, threshold: float) -> list[Reply | None]:
    p = [
        score if fake is None else fake
        for fake, score in zip(table.column("fake").to_pylist(), table.column("score").to_pylist(), strict=True)
    ]
    return [None if value is None else _verdict("fake" if value >= threshold else "real") for value in p]


def _map_alone(table: pa.Table, threshold: float) -> list[Reply | None]:
    out: list[Reply | None] = []
    question_column = table.column("question").to_pylist()
    for findings_text, question in zip(table.column("mapped").to_pylist(), question_column, strict=True):
        if findings_text is None:
            out.append(None)
            continue
        findings = findings_of(findings_text)
        about = questions.asked_regions(question) if question else ()
        if about:
            findings = tuple(f for f in findings if any(_covers(f.region, name) for name in about))
        out.append(_verdict("fake" if findings else "real", findings))
    return out


def _covers(region: str | None, region_asked: str) -> bool:
    return region is not None and (regions.within(region, region_asked) or regions.within(region_asked, region))


def _verdict(label: Label, findings: tuple[Finding, ...] = ()) -> Reply:
    text = f"The picture is {label}."
    if findings:
        named = ", ".join(f"the {regions.title(f.region)}" for f in findings if f.region is not None)
        text += f" Forged: {named}."
    return Reply(label, None, (text,), findings)


CONTROLS: Mapping[str, Control] = {
    "shuffled": _shuffled,
    "image-blind": _blind,
    "image-blind, told the label": partial(_blind, by_label=True),
    "score alone": _score_alone,
    "map alone": _map_alone,
    "always fake": partial(_always, "fake"),
    "always real": partial(_always, "real"),
}


def name_of(speaker: str, witness: str | None) -> str:
    """How a speaker is called in tables: "explanation", "mare's own words", "dialogue", "dialogue, mare".

    Args:
        speaker: Whose words, such as "explanation"; "" for what is no speaker's.
        witness: Whose words; None for the house's own.
    """
    if witness is None:
        return speaker
    return f"{witness}'s own words" if speaker == "witness" else f"{speaker}, {witness}"


def each(table: pa.Table) -> dict[str, pa.Table]:
    """The rows of each speaker of a table, those of the explanation first.

    Args:
        table: Rows of a run.

    Returns:
        Speaker → its rows.
    """
    rows_of: dict[str, list[int]] = {}
    pairs = zip(table.column("speaker").to_pylist(), table.column("witness").to_pylist(), strict=True)
    for i, (speaker, witness) in enumerate(pairs):
        rows_of.setdefault(name_of(speaker, witness), []).append(i)
    order = sorted(rows_of, key=lambda name: next(i for i, s in enumerate(predictions.SPEAKERS) if _is(name, s)))
    return {name: table.take(pa.array(rows_of[name], pa.int64())) for name in order}


def _is(name: str, speaker: str) -> bool:
    return name.endswith("own words") if speaker == "witness" else name.split(",")[0] == speaker


# ------------------------------------------------------------------------------------------------------ the wording


def bleu4(
    texts: Sequence[str],
    references: Sequence[Sequence[str]],
    group: Any,
    tokenizer: wording.Tokenizer,
    seed: int = 0,
) -> measures.Value:
    """BLEU-4 of a corpus, over the texts that have references, and its interval by drawing groups.

    Args:
        texts: one a row.
        references: what people wrote, for each row any number of texts.
        group: of each row.
        tokenizer: as `wording.tokenize` takes it.
        seed: of the bootstrap.
    """
    flat = wording.tokenize([*texts, *(r for each in references for r in each)], tokenizer)
    rest = iter(flat[len(texts) :])
    cut = [[r for r in (next(rest) for _ in each) if r] for each in references]
    usable = [i for i, each in enumerate(cut) if each]
    if not usable:
        return measures.Value(None, why="no item has references")
    corpus = wording.Corpus([flat[i] for i in usable], [cut[i] for i in usable])
    groups = [group[i] for i in usable]
    draws = [corpus.bleu(w)[3] for w in measures.drawn(groups, measures.draws_for(len(usable)), seed)]
    low, high = measures.interval(draws) or (None, None)
    return measures.Value(corpus.bleu()[3], low, high, len(usable))
