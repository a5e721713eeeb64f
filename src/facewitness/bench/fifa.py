"""Fake-in-Facext's eleven tasks: whether an answer's words and masks agree with each other and with what was changed.

    facewitness bench fifa fifa.parquet answers.jsonl

Artefact grounding (AGE): each place that an answer names has a mask, and the truth is the known mask ∩ the region's
outline; beside it the 5 % difference mask ∩ outline, which is what the paper has.

    mask_iou       mean IoU over the mentions of regions that were changed; 0 for one without a mask
    right          share of them with an IoU of at least 0.5
    invented       share of mentions whose region was not changed, or is no region
    unmasked       share of mentions without a mask;  unmentioned, share of masks without a mention
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facewitness import media, words
from facewitness.bench import measures, sheets
from facewitness.bench.grounded import MOST, Bools, controlled, in_percent, overlap, why_no_meteor
from facewitness.bench.measures import Value
from facewitness.builders.fifa import as_array
from facewitness.builders.grounded import outline
from facewitness.errors import InputError
from facewitness.files import each_once, read_bounded
from facewitness.grammars import interleaved
from facewitness.phrases import utf8
from facewitness.types import Landmarks

RIGHT = 0.5  # IoU from which a mask is right
FEWEST = 6  # pixels of a region that were changed: with fewer nobody can say that it was
# What the paper prints, for orientation; never mixed with measured numbers
PUBLISHED: Mapping[str, float] = {"AGE mIoU": 30.4, "Loc mIoU": 30.9, "TOE METEOR": 21.3}
MASKED = ("grounding", "region_detection", "localisation", "region_parsing")  # tasks whose answers have masks
_MAIN: Mapping[str, str] = {"mask_iou": "mIoU", "balanced": "accuracy, mean of yes and no", "accuracy": "accuracy"}
_PAPERS: Mapping[str, tuple[str, str, str]] = {  # the paper's row → task, key, speaker
    "AGE mIoU": ("grounding", "mask_iou", ""), "Loc mIoU": ("localisation", "mask_iou", ""),
    "TOE METEOR": ("text_explanation", "METEOR", "words"),
}  # fmt: skip
_IN_WORDS = ("image_explanation", "text_explanation", "grounding", "region_explanation")  # tasks with texts to compare


# --------------------------------------------------------------------------------------------------------- the tasks


def measure(
    rows: Sequence[Mapping[str, Any]],
    answers: Mapping[tuple[str, str, str], Answer],
    seed: int = 0,
    meteor: bool = True,
) -> dict[str, Any]:
    """The eleven tasks of a table of `builders/fifa` against answers by (file, task, question); JSON-ready.

    A question without an answer counts as an empty answer; `unasked` is how many answers belong to no question, and
    `misfits` what no measure can take (`misfits`).

    Args:
        rows: Of a table of `builders/fifa`.
        answers: By (file, task, question).
        seed: Of the bootstrap and of the controls.
        meteor: Whether METEOR is measured, which takes Java.

    Returns:
        Task → its numbers.
    """
    known = {(row["file"], row["task"], row["question"]) for row in rows}
    numbers: dict[str, Any] = {"published": dict(PUBLISHED), "unasked": sum(key not in known for key in answers)}
    by_task: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_task.setdefault(row["task"], []).append(row)

    def given(row: Mapping[str, Any]) -> Answer:
        return answers.get((row["file"], row["task"], row["question"]), Answer(""))

    for task, these in by_task.items():
        numbers[task] = _task(task, these, [given(row) for row in these], seed, meteor)
    with_masks = [row for row in rows if row["task"] in MASKED]
    numbers["misfits"] = misfits(with_masks, [given(row) for row in with_masks])
    return numbers


def _task(
    task: str, rows: Sequence[Mapping[str, Any]], answers: Sequence[Answer], seed: int, meteor: bool
) -> dict[str, Any]:
    """The numbers of one task: its own measure, and its words beside their controls where it has words."""
    texts, groups = [answer.text for answer in answers], [row["group"] for row in rows]
    about: dict[str, Any] = {"questions": len(rows), "answered": sum(bool(text.strip()) for text in texts)}
    match task:
        case "detection":
            right = [words.verdict(text) == row["label"] for text, row in zip(texts, rows, strict=True)]
            about |= _mean("accuracy", right, groups, seed)
        case "classification":
            right = [_bare(text) == _bare(row["answer"]) for text, row in zip(texts, rows, strict=True)]
            about |= _mean("accuracy", right, groups, seed)
        case "region_question" | "box_question":
            about |= _shown(asked(texts, [bool(row["masks"]) for row in rows], groups, seed))
        case "localisation" | "region_parsing":
            about |= _mean("mask_iou", [_first_iou(row, a) for row, a in zip(rows, answers, strict=True)], groups, seed)
        case "grounding" | "region_detection":
            fakes = [(row, answer) for row, answer in zip(rows, answers, strict=True) if row["label"] == "fake"]
            about |= _shown(age([answer for _, answer in fakes], [_known(row) for row, _ in fakes], seed))
    if task in _IN_WORDS:
        plain = [interleaved.parse(text).text for text in texts]
        references = [[interleaved.parse(row["answer"]).text] for row in rows]
        about |= controlled(plain, references, groups, seed=seed, meteor=meteor)
    return about


def _mean(name: str, values: Sequence[float], groups: Sequence[str], seed: int) -> dict[str, Any]:
    parts = {name: (np.array(values, float), np.ones(len(values)))}
    return _shown(measures.ratios(parts, list(groups), seed=seed))


def _first_iou(row: Mapping[str, Any], answer: Answer) -> float:
    """IoU of an answer's first mask with the true one, 0 for one of another size; NaN where nothing was changed."""
    if not row["masks"]:
        return float("nan")
    true = as_array(row["masks"][0])
    first = next((mask for mask in answer.masks if mask is not None), None)
    return overlap(None if first is None or first.shape != true.shape else first, true)[0]


def markdown(numbers: Mapping[str, Any], system: str = "system") -> str:
    """The paper's three numbers beside what it prints, and the main one of each task.

    Args:
        numbers: As `measure` gives them.
        system: Its name in tables.
    """

    def cell(about: Mapping[str, Any], key: str) -> str:
        value = about.get(key)
        if not isinstance(value, Mapping):
            return "–" if value is None else f"{value:g}"
        if value["value"] is None:
            return "–"
        between = "" if value["low"] is None else f" ({value['low']:g}–{value['high']:g})"
        return f"{value['value']:g}{between}"

    lines = [f"| FiFa-Bench | {' | '.join(_PAPERS)} |", "|---|---|---|---|"]
    rows = {system: "words", f"{system}, image-blind": "image-blind", f"{system}, shuffled": "shuffled"}
    for name, speaker in rows.items():
        cells = []
        for task, key, own in _PAPERS.values():
            about = numbers.get(task, {})
            if own:
                about = about.get(speaker, {})
            elif speaker != "words":  # the controls are of words
                about = {}
            cells.append(cell(about, key))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines.append(f"| Fake-in-Facext (quoted; not run) | {' | '.join(f'{v:g}' for v in PUBLISHED.values())} |")
    lines += ["", "| task | questions | answered | | |", "|---|---|---|---|---|"]
    for task, about in numbers.items():
        if not isinstance(about, Mapping) or "questions" not in about:
            continue
        key = next((each for each in _MAIN if each in about), "")
        main, value = (_MAIN[key], cell(about, key)) if key else ("CIDEr", cell(about.get("words", {}), "CIDEr"))
        lines.append(f"| {task} | {about['questions']} | {about['answered']} | {main} | {value} |")
    return "\n".join(lines + why_no_meteor(numbers.get("text_explanation", {}))) + "\n"


# ---------------------------------------------------------------------------------------------------------------- AGE


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is true of one picture."""

    changed: Bools  # (H, W)
    landmarks: Landmarks
    group: str
    difference: Bools | None = None  # the largest 5 % of differences from the original


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a system said of it: words with <p>…</p> [SEG], and a mask for each [SEG], None where it made none."""

    text: str
    masks: tuple[Bools | None, ...] = ()
    unread: int = 0  # of the masks, those whose file is missing or broken


@dataclass(frozen=True, slots=True)
class Judged:
    """One mention, judged."""

    region: str | None
    group: str
    changed: bool  # whether its region was
    masked: bool  # whether it has a mask
    iou: float | None  # against known ∩ region; None where the region was not changed
    difference_iou: float | None  # against difference ∩ region; None where that is empty or not known


@dataclass(frozen=True, slots=True)
class Counts:
    """What of a text no mention tells."""

    masks: int = 0
    unmentioned: int = 0  # masks without a place in words
    wrong_size: int = 0
    refusals: int = 0  # ways in which texts break the grammar


def judged(answers: Sequence[Answer], known: Sequence[Known]) -> tuple[list[Judged], Counts]:
    """Every mention of every answer against what is known; a mask of another size counts as none, and is counted.

    Args:
        answers: One a picture.
        known: What is true of each picture, in the same order.

    Returns:
        The mentions, and what did not fit.

    Raises:
        InputError: For lists of different lengths.
    """
    if len(answers) != len(known):
        raise InputError(f"grounding: expected an answer for each picture, got {len(answers)} and {len(known)}")
    judgements: list[Judged] = []
    masks = unmentioned = wrong_size = refusals = 0
    for answer, truth in zip(answers, known, strict=True):
        height, width = truth.changed.shape
        usable = [None if m is None or m.shape != truth.changed.shape else m for m in answer.masks]
        wrong_size += sum(m is not None and m.shape != truth.changed.shape for m in answer.masks)
        masks += sum(m is not None for m in usable)
        mentions = interleaved.mentions(answer.text)
        used = {mention.seg for mention in mentions if mention.seg is not None}
        unmentioned += sum(m is not None and index not in used for index, m in enumerate(usable))
        refusals += len(interleaved.parse(answer.text).refusals or ()) - bool(interleaved.SEG in answer.text)
        for mention in mentions:
            mask = usable[mention.seg] if mention.seg is not None and mention.seg < len(usable) else None
            if mention.region is None:
                judgements.append(Judged(None, truth.group, False, mask is not None, None, None))
                continue
            area = outline(mention.region, truth.landmarks, height, width)
            place = area & truth.changed
            changed = int(place.sum()) >= FEWEST
            near = None if truth.difference is None else area & truth.difference
            judgements.append(
                Judged(
                    mention.region, truth.group, changed, mask is not None,
                    (0.0 if mask is None else overlap(mask, place)[0]) if changed else None,
                    None if near is None or not near.any() else 0.0 if mask is None else overlap(mask, near)[0],
                )
            )  # fmt: skip
    return judgements, Counts(masks, unmentioned, wrong_size, refusals)


def age(answers: Sequence[Answer], known: Sequence[Known], seed: int = 0) -> dict[str, Value]:
    """The measures of artefact grounding, with intervals from a bootstrap over groups; see the top of this file.

    Args:
        answers: One a picture.
        known: What is true of each picture, in the same order.
        seed: Of the bootstrap and of the controls.

    Returns:
        Name → its value with an interval.
    """
    mentions, counts = judged(answers, known)
    groups = [mention.group for mention in mentions] or [""]
    one = np.ones(len(mentions) or 1)

    def column(values: Sequence[float | None]) -> NDArray[np.float64]:
        return np.array([np.nan if value is None else value for value in values] or [np.nan])

    ious = column([m.iou for m in mentions])
    parts = {
        "mask_iou": (ious, one),
        "right": (np.where(np.isnan(ious), np.nan, ious >= RIGHT), one),
        "mask_iou_by_difference": (column([m.difference_iou for m in mentions]), one),
        "invented": (column([float(not m.changed) for m in mentions]), one),
        "unmasked": (column([float(not m.masked) for m in mentions]), one),
    }
    values = measures.ratios(parts, groups, seed=seed, why={"mask_iou": "no mention of a region that was changed"})
    values["unmentioned"] = Value(
        counts.unmentioned / counts.masks if counts.masks else None, n=counts.masks, why="no answer has a mask"
    )
    return values


_BROKEN = ("nested", "</p> without", "empty <p>", "[SEG] inside", "unclosed")  # the grammar's reasons about tags alone


def misfits(rows: Sequence[Mapping[str, Any]], answers: Sequence[Answer]) -> dict[str, int]:
    """What answers hold that no measure can take, counted: nothing of it is dropped in silence.

    Args:
        rows: Of a table of `builders/fifa`.
        answers: One a row.

    Returns:
        `unread`: masks whose file is missing or broken; `wrong_size`: masks of another size than the picture's;
        `segs_without_mask`: [SEG] for which no mask is named; `broken`: answers that break the form <p> … </p> [SEG].
    """
    counts = dict.fromkeys(("unread", "wrong_size", "segs_without_mask", "broken"), 0)
    for row, answer in zip(rows, answers, strict=True):
        counts["unread"] += answer.unread
        if row["mask"] is not None and any(mask is not None for mask in answer.masks):
            size = as_array(row["mask"]).shape
            counts["wrong_size"] += sum(m is not None and m.shape != size for m in answer.masks)
        segs = answer.text.count(interleaved.SEG)
        counts["segs_without_mask"] += max(0, segs - len(answer.masks))
        reasons = interleaved.parse(answer.text, [None] * segs).refusals or ()
        counts["broken"] += any(reason.startswith(_BROKEN) for reason in reasons)
    return counts


def asked(answers: Sequence[str], true: Sequence[bool], groups: Sequence[str], seed: int = 0) -> dict[str, Value]:
    """Questions about a region: accuracy of yes and no, and its mean over both (`balanced`); no yes or no is wrong.

    Args:
        answers: Texts, one a question.
        true: Whether the region was changed.
        groups: Who is shown in each picture.
        seed: Of the bootstrap and of the controls.

    Returns:
        Name → its value with an interval.
    """
    verdicts = [_yes(answer) for answer in answers]
    right = np.array(
        [verdict is not None and verdict == fact for verdict, fact in zip(verdicts, true, strict=True)], float
    )
    yes = np.array(true, float)
    values = measures.ratios(
        {"accuracy": (right, np.ones(len(right))), "of_yes": (right * yes, yes), "of_no": (right * (1 - yes), 1 - yes)},
        list(groups), seed=seed,
    )  # fmt: skip
    both = [values[name].value for name in ("of_yes", "of_no")]
    known = [value for value in both if value is not None]
    values["balanced"] = Value(
        sum(known) / 2 if len(known) == 2 else None, n=len(right), why="only yes or only no was right"
    )
    return values


_TAGS = re.compile(r"</?p>|\[SEG\]")


def _yes(answer: str) -> bool | None:
    first = words.normal(_TAGS.sub("", answer)).lstrip(" *\"'").split(" ")[0].strip(".,!:;*")
    return {"yes": True, "no": False}.get(first)


# -------------------------------------------------------------------------------------------------------- the answers


def _bare(text: str) -> str:
    return " ".join(words.normal(text).split()).strip(" .")


def _known(row: Mapping[str, Any]) -> Known:
    points = np.frombuffer(row["landmarks"], np.float32).reshape(468, 2)
    near = None if row["difference"] is None else as_array(row["difference"])
    return Known(as_array(row["mask"]), points, row["group"], near)


def _shown(values: Mapping[str, Value]) -> dict[str, Any]:
    return {name: in_percent(value) for name, value in values.items()}


def read_answers(path: Path, tell: Callable[[str], object] = lambda _: None) -> dict[tuple[str, str, str], Answer]:
    """Answers by (file, task, question): JSON lines {file, task, question, answer, masks: [PNG below the folder, …]}.

    Args:
        path: Of the file.
        tell: Is called with a sentence for each mask whose file is missing or broken; it counts as none.

    Returns:
        (file, task, question) → the answer.

    Raises:
        InputError: For a line that is none.
    """
    answers: dict[tuple[str, str, str], Answer] = {}
    # lines end with \n alone: str.splitlines would cut at U+2028 within an answer, too
    for number, line in enumerate(read_bounded(path, MOST).split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line, object_pairs_hook=each_once)
            given = entry.get("masks") or []
            if not isinstance(given, list):
                raise TypeError(f"masks are {type(given).__name__}, not a list")
            names = [None if name is None else str(name) for name in given]
            key = (str(entry["file"]), str(entry["task"]), str(entry["question"]))
            text = utf8("" if entry["answer"] is None else str(entry["answer"]))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            why = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise InputError(
                f"'{path}', line {number}: expected {{file, task, question, answer, masks}} ({why})"
            ) from None
        masks = [None if name is None else _mask(path.parent, name) for name in names]
        unread = [name for name, mask in zip(names, masks, strict=True) if name is not None and mask is None]
        for name in unread:
            why = "it is no picture" if (path.parent / name).is_file() else "there is none"
            tell(f"'{path}', line {number}: expected a mask in '{name}', and {why}; counts as none")
        answers[key] = Answer(text, tuple(masks), len(unread))
    return answers


def _mask(folder: Path, name: str) -> Bools | None:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InputError(f"expected a mask's name below '{folder}', got {name!r}")
    try:
        with Image.open(folder / name) as opened:
            return np.asarray(opened.convert("L")) > 127
    except (OSError, ValueError, Image.DecompressionBombError):
        return None


def sheet(
    rows: Sequence[Mapping[str, Any]],
    answers: Mapping[tuple[str, str, str], Answer],
    path: Path,
    max_pictures: int = 12,
) -> int:
    """A `sheets.sheet` of explanations: all masks of an answer in green over what was changed in red.

    Args:
        rows: Of a table of `builders/fifa`.
        answers: (file, task, question) → the answer, as `read_answers` gives them.
        path: Of the file.
        max_pictures: Pictures on the sheet.

    Returns:
        How many pictures are on it.

    Raises:
        InputError: the table has no such question about a forged face.
    """
    these = [row for row in rows if row["task"] == "grounding" and row["label"] == "fake"]
    items = []
    for row in these[:: max(1, len(these) // max_pictures)][:max_pictures]:
        answer = answers.get((row["file"], row["task"], row["question"]), Answer(""))
        changed = as_array(row["mask"])
        fit = [mask for mask in answer.masks if mask is not None and mask.shape == changed.shape]
        claimed = np.logical_or.reduce(fit) if fit else None
        pixels = media.read(row["image"]).frame.pixels
        items.append((pixels, claimed, changed, answer.text or "nothing", row["answer"]))
    sheets.sheet(items, path)
    return len(items)
