"""Whether words and masks agree with each other and with what was changed: MMTT's protocol, and Fake-in-Facext's tasks.

    facewitness bench mmtt ROOT --captions captions.json --masks masks --split test
    facewitness bench fifa fifa.parquet answers.jsonl

MMTT (Lian et al., Tables 2 and 6): CIDEr, METEOR, BLEU-1 to 4 and ROUGE-L of the reports; IoU, precision and recall of
the masks, each picture by itself and then averaged, two empty masks counting as 1, as the authors' script has it; PLM,
Eq. 12, of the labels that report and reference have:

    PLM = |predicted ∩ true| / |predicted ∪ true|                                                                 (12)

Text scores stand beside two speakers that did not look: the best constant report (image-blind) and the system's own
reports about other pictures (shuffled). Predictions are what the authors' script reads: a list of {image_id, caption},
and masks named as the pictures are.

Artefact grounding (AGE): each place that an answer names has a mask, and the truth is the known mask ∩ the region's
outline; beside it the 5 % difference mask ∩ outline, which is what the paper has.

    mask_iou       mean IoU over the mentions of regions that were changed; 0 for one without a mask
    right          share of them with an IoU of at least 0.5
    invented       share of mentions whose region was not changed, or is no region
    unmasked       share of mentions without a mask;  unmentioned, share of masks without a mention
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from facewitness import media, plugins, regions, words
from facewitness.bench import controls, measures, wording
from facewitness.bench.measures import Value
from facewitness.builders.grounded import outline
from facewitness.errors import InputError, UnreadableMedia
from facewitness.files import each_once, read_bounded
from facewitness.grammars import interleaved
from facewitness.types import Landmarks, Pixels

Bools = NDArray[np.bool_]
RIGHT = 0.5  # IoU from which a mask is right
FEWEST = 6  # pixels of a region that were changed: with fewer nobody can say that it was

# What papers print, for orientation; never mixed with measured numbers. CIDEr, BLEU, ROUGE-L and masks in per cent.
_MOST = 1_000_000_000  # bytes of a list
_TEXT = ("CIDEr", "METEOR", "BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "IoU", "Precision", "Recall")
PUBLISHED: Mapping[str, Mapping[str, tuple[float | None, ...]]] = {
    "MMTT, Table 2": {
        "SCA": (40.6, 29.2, 30.6, 17.8, 11.2, 8.2, 27.6, 46.69, 48.49, 92.11),
        "LISA-7B": (44.1, 28.1, 31.1, 17.9, 10.8, 8.5, 28.4, 52.45, 73.26, 71.53),
        "Osprey": (24.5, 27.5, 28.7, 16.4, 9.4, 6.2, 25.9, None, None, None),
        "InstructBLIP": (51.7, 14.6, 31.8, 20.3, 14.6, 11.4, 27.7, 64.04, 87.88, 78.53),
        "ForgeryTalker": (59.3, 15.9, 35.0, 22.1, 16.0, 12.5, 28.8, 73.67, 91.43, 86.22),
    },
    "MMTT, test set (their repository)": {
        "ForgeryTalker": (69.48, None, None, None, None, 13.47, 30.54, 66.06, 76.27, 81.83),
    },
    "MMTT, Table 6": {
        "Seed1.5VL": (0.54, None, 17.19, 5.35, 1.86, 0.98, 13.74, None, None, None),
        "Qwen2.5VL (72B)": (2.72, None, 20.34, 6.33, 2.55, 1.46, 16.52, None, None, None),
        "Qwen2.5VL (32B)": (2.53, None, 22.44, 8.16, 3.3, 1.78, 16.89, None, None, None),
        "Qwen2.5VL (7B)": (2.48, None, 22.33, 8.2, 3.24, 1.78, 17.0, None, None, None),
        "llava (72B)": (3.06, None, 22.01, 8.35, 3.3, 1.8, 16.83, None, None, None),
        "llava (8B)": (2.1, None, 20.75, 7.66, 3.15, 1.75, 18.05, None, None, None),
        "InternVL3 (78B)": (2.67, None, 22.31, 8.08, 3.16, 1.75, 16.82, None, None, None),
        "InternVL3 (38B)": (2.29, None, 21.21, 7.83, 3.2, 1.76, 17.18, None, None, None),
        "InternVL3 (14B)": (2.29, None, 20.81, 7.54, 3.03, 1.71, 16.85, None, None, None),
        "IML-ViT": (None, None, None, None, None, None, None, 77.89, 83.76, 90.04),
        "PSCC-NET": (None, None, None, None, None, None, None, 32.33, 70.3, 37.44),
    },
    "DQ_F++, Table 3": {
        "SCA": (71.0, None, 47.6, 39.9, 35.2, 30.1, 40.4, None, None, None),
        "LISA": (74.3, None, 46.5, 38.4, 33.1, 31.2, 45.6, None, None, None),
        "InstructBLIP": (98.5, None, 43.5, 38.0, 34.2, 31.0, 47.9, None, None, None),
        "ForgeryTalker (2:1:1:1)": (113.6, None, 47.1, 40.0, 35.1, 31.0, 46.8, None, None, None),
        "ForgeryTalker (1:1:1:2)": (113.3, None, 48.5, 41.4, 36.5, 32.4, 47.2, None, None, None),
    },
}
FIFA_PUBLISHED: Mapping[str, float] = {"AGE mIoU": 30.4, "Loc mIoU": 30.9, "TOE METEOR": 21.3}


# -------------------------------------------------------------------------------------------------------------- masks


def overlap(claimed: Bools | None, changed: Bools) -> tuple[float, float, float]:
    """(IoU, precision, recall) of a mask on one picture, by the authors' rules for empty ones; None claims nothing.

    Args:
        claimed: Pixels that the answer claims, bool (H, W); None claims nothing.
        changed: Pixels that were changed, bool (H, W).

    Returns:
        IoU, precision and recall, each in [0, 1].

    Raises:
        InputError: For masks of two sizes: stretched, one would mark other places.
    """
    claim = np.zeros_like(changed) if claimed is None else claimed
    if claim.shape != changed.shape:
        raise InputError(f"mask of another size: expected {changed.shape}, got {claim.shape}")
    both, either = int((claim & changed).sum()), int((claim | changed).sum())
    claims, true = int(claim.sum()), int(changed.sum())
    iou = 1.0 if either == 0 else both / either
    precision = both / claims if claims else float(true == 0)
    recall = both / true if true else float(claims == 0)
    return iou, precision, recall


def plm(predicted: Iterable[str], true: Iterable[str]) -> float | None:
    """Positive label matching, Eq. 12; None where neither has a label.

    Args:
        predicted: Labels that the answer names.
        true: Labels that are forged.
    """
    a, b = frozenset(predicted), frozenset(true)
    return len(a & b) / len(a | b) if a | b else None


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
    from facewitness.builders.fifa import as_array

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


# --------------------------------------------------------------------------------------------------------------- MMTT


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """One picture's report and mask, with the truth about both."""

    text: str | None
    references: tuple[str, ...]
    group: str
    claimed: Bools | None = None
    changed: Bools | None = None
    labels: tuple[str, ...] | None = None  # a region prompter's; None reads them in the report


def mmtt(reports: Sequence[Report], *, seed: int = 0, meteor: bool = True) -> dict[str, Any]:
    """All numbers of MMTT's protocol, JSON-ready: the system's, and its controls' words.

    Args:
        reports: The system's reports with what is true.
        seed: Of the bootstrap and of the controls.
        meteor: Whether METEOR is measured, which takes Java.

    Returns:
        Numbers by name, those of the controls too.

    Raises:
        InputError: Where there are no reports, or a mask is of another size than the truth's.
    """
    if not reports:
        raise InputError("mmtt: expected at least one report, got none")
    groups = [report.group for report in reports]
    references = [list(report.references) for report in reports]
    numbers: dict[str, Any] = {"reports": len(reports)}
    numbers |= controlled([report.text for report in reports], references, groups, seed=seed, meteor=meteor)
    masked = [(r, overlap(r.claimed, r.changed)) for r in reports if r.changed is not None]
    if masked:
        ones = np.ones(len(masked))
        places = measures.ratios(
            {name: (np.array([each[i] for _, each in masked]), ones) for i, name in enumerate(_TEXT[7:])},
            [report.group for report, _ in masked], seed=seed,
        )  # fmt: skip
        numbers["masks"] = {name: _in_percent(value) for name, value in places.items()}
    matches = [
        plm(
            regions.captioned(r.text or "") if r.labels is None else r.labels, regions.captioned(" ".join(r.references))
        )
        for r in reports
    ]
    value = measures.ratios(
        {"PLM": (np.array([np.nan if m is None else m for m in matches]), np.ones(len(matches)))}, groups, seed=seed
    )
    numbers["PLM"] = _in_percent(value["PLM"])
    return numbers


def controlled(
    texts: Sequence[str | None],
    references: Sequence[Sequence[str]],
    groups: Sequence[str],
    questions: Sequence[str] | None = None,
    *,
    seed: int = 0,
    meteor: bool = True,
) -> dict[str, Any]:
    """Text scores of a system ("words"), and of the two speakers that did not look, with the margin over each.

    Args:
        texts: What the system said.
        references: What people, or the builder, said.
        groups: Who is shown: a control answers from other groups.
        questions: What was asked, where it was not the same for all.
        seed: What the controls draw from.
        meteor: Whether METEOR is measured, which takes Java.

    Returns:
        Speaker → its scores, and the margins.
    """
    asked_for = list(questions) if questions is not None else ["report"] * len(texts)
    table = pa.table(
        {
            "question": asked_for, "text": [text or "" for text in texts], "group": list(groups),
            "references": [list(each) for each in references],
        }
    )  # fmt: skip
    numbers: dict[str, Any] = {"words": _worded(wording.measure(texts, references, meteor=meteor))}
    for name, theirs in (
        ("image-blind", controls.blind(table, seed=seed)),
        ("shuffled", controls.shuffled(table, seed)),
    ):
        kept = [index for index, text in enumerate(theirs) if text is not None]
        if not kept:
            numbers[name] = {"why": "one group only: nobody else was asked"}
            continue
        of_control = wording.measure([theirs[i] for i in kept], [references[i] for i in kept], meteor=meteor)
        of_system = wording.measure([texts[i] for i in kept], [references[i] for i in kept], meteor=False)
        difference = of_system.per_item["cider"] - of_control.per_item["cider"]
        margin = measures.ratios({"m": (difference, np.ones(len(kept)))}, [groups[i] for i in kept], seed=seed)["m"]
        numbers[name] = _worded(of_control) | {"CIDEr margin": _in_percent(margin)}
    return numbers


def _worded(measured: wording.Wording) -> dict[str, Any]:
    """Measures of words in per cent, as the papers print them: CIDEr times 100, too."""
    values = (
        measured.cider, measured.meteor, measured.bleu1, measured.bleu2, measured.bleu3, measured.bleu4,
        measured.rouge_l,
    )  # fmt: skip
    made: dict[str, Any] = {
        name: None if value is None else round(100 * value, 2) for name, value in zip(_TEXT, values, strict=False)
    }
    return made | {"tokenizer": measured.tokenizer, "notes": dict(measured.notes)}


def _in_percent(value: Value) -> dict[str, Any]:
    return {
        "value": None if value.value is None else round(100 * value.value, 2),
        "low": None if value.low is None else round(100 * value.low, 2),
        "high": None if value.high is None else round(100 * value.high, 2),
        "why": value.why if value.value is None else "",
    }


def markdown(
    numbers: Mapping[str, Any], system: str, tables: Sequence[str] = ("MMTT, Table 2", "MMTT, Table 6")
) -> str:
    """A table in the shape of the paper's: the measured row, its controls, and what papers print, marked as quoted.

    Args:
        numbers: As `mmtt` or `fifa` gives them.
        system: Its name in tables.
        tables: Which of the paper's tables.
    """

    def row(name: str, values: Sequence[Any]) -> str:
        return f"| {name} | " + " | ".join("–" if value is None else f"{value:g}" for value in values) + " |"

    masks = numbers.get("masks", {})
    own = [numbers["words"].get(name) for name in _TEXT[:7]] + [masks.get(name, {}).get("value") for name in _TEXT[7:]]
    lines = ["| system | " + " | ".join(_TEXT) + " |", "|---" * (len(_TEXT) + 1) + "|", row(system, own)]
    for name in ("image-blind", "shuffled"):
        if name in numbers:
            lines.append(row(f"{system}, {name}", [numbers[name].get(each) for each in _TEXT[:7]] + [None] * 3))
    for table in tables:
        lines += [row(f"{name} (quoted: {table}; not run)", values) for name, values in PUBLISHED[table].items()]
    lines.append("")
    lines.append(
        f"PLM {numbers['PLM']['value']} (quoted, Table 7: FPN 41.05). Words cut by {numbers['words']['tokenizer']}."
    )
    lines += _why_no_meteor(numbers)
    return "\n".join(lines) + "\n"


def read_mmtt(
    root: Path, split: str, captions: Path, masks: Path | None, dataset: str = "mmtt", limit: int | None = None
) -> tuple[list[Report], list[str]]:
    """Reports in the authors' form: [{image_id or img_path, caption, labels?}, …], and masks named as the pictures.

    `dataset` is MMTT, or another one with texts (ddvqa for Table 3), whose reports name their picture's file.

    Args:
        root: The dataset's folder.
        split: "train", "val" or "test".
        captions: The list of reports, JSON.
        masks: Folder of the masks that the system made; None where it made none.
        dataset: "mmtt", or another one with texts.
        limit: The first so many pictures of the split; None for all.

    Returns:
        A report for every picture of the split that has a mask or a reference, and what was missing, as sentences.

    Raises:
        InputError: the list is not JSON of that form.
    """
    from facewitness.datasets._disk import mask_of

    try:
        entries = json.loads(read_bounded(captions, _MOST), object_pairs_hook=each_once)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"'{captions}': expected a list of {{image_id, caption}} or {{img_path, caption}} ({error})"
        ) from None
    _check_reports(captions, entries)
    if masks is not None and not masks.is_dir():
        raise InputError(
            f"'{masks}': expected the folder of the masks, found none. Name it with --masks, or leave it out."
        )
    by_name = {str(e["img_path"]).removeprefix("dataset/"): e for e in entries if "img_path" in e}
    by_name |= {str(e["image_id"]).removeprefix("dataset/"): e for e in entries if "image_id" in e}
    notes: list[str] = []
    reports: list[Report] = []
    ids = _ids(root, split) if dataset == "mmtt" else {}
    samples = plugins.get("datasets", dataset).samples(root, split, tell=notes.append)
    present = 0
    for sample in itertools.islice(samples, limit):
        key = sample.file.removeprefix("dataset/")
        entry = by_name.get(key) or by_name.get(ids.get(key, ""))
        present += entry is not None
        if entry is None:
            notes.append(f"{sample.file}: no report; counts as an empty one")
        changed = None if sample.truth.mask is None else np.asarray(sample.truth.mask()) >= 0.5
        claimed = None
        if masks is not None and changed is not None:
            file = next(
                (f for f in (masks / f"{key[: key.rfind('.')]}.png", masks / Path(key).name) if f.is_file()), None
            )
            if file is None:
                notes.append(f"{sample.file}: no mask; counts as an empty one")
            else:
                try:
                    claimed = mask_of(file) >= 0.5
                except UnreadableMedia as error:
                    notes.append(f"{error}; counts as an empty one")
                if claimed is not None and claimed.shape != changed.shape:
                    notes.append(
                        f"{file}: a mask of another size, {claimed.shape} for {changed.shape}; counts as an empty one"
                    )
                    claimed = None
        text = None if entry is None else _utf8(entry.get("caption") or "")
        labels = None if entry is None or entry.get("labels") is None else tuple(entry["labels"])
        reports.append(
            Report(text, sample.truth.texts, sample.group, claimed, changed if masks is not None else None, labels)
        )
    if reports and not present:
        raise InputError(
            f"'{captions}': expected reports about the {len(reports)} pictures of {root}, split '{split}', got none of "
            "them. Name pictures by image_id or img_path as the dataset's lists do, or name another split."
        )
    return reports, notes


def _check_reports(captions: Path, entries: Any) -> None:
    """Raises InputError, naming the entry, where reports are not of the authors' form."""
    form = f"'{captions}': expected a list of {{image_id, caption}} or {{img_path, caption}}"
    if not isinstance(entries, list):
        raise InputError(f"{form}, got {type(entries).__name__}")
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise InputError(f"{form}, got {type(entry).__name__} as entry {number}")
        if not isinstance(entry.get("caption"), str | None):
            raise InputError(f"{form}, got {type(entry['caption']).__name__} as the caption of entry {number}")
        labels = entry.get("labels")
        if labels is not None and not (isinstance(labels, list) and all(isinstance(each, str) for each in labels)):
            raise InputError(f"{form}, and labels as a list of words, got {labels!r:.60} in entry {number}")


def _utf8(text: str) -> str:
    """The text without halves of a pair, which JSON can write and no table can hold."""
    return text.encode(errors="replace").decode()


def _ids(root: Path, split: str) -> dict[str, str]:
    """A picture's path below dataset/ → its image_id."""
    name = {"val": "eval"}.get(split, split)
    for end in ("-simple", ""):
        file = root / f"{name}-mutilabel{end}.json"
        if file.is_file():
            try:
                return {
                    str(e["img_path"]).replace("\\", "/").removeprefix("dataset/"): str(e["image_id"])
                    for e in json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=each_once)
                }
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                why = f"no {error}" if isinstance(error, KeyError) else str(error)
                raise InputError(
                    f"'{file}': expected a list of {{image_id, img_path, …}} ({why}). Download it again."
                ) from None
    return {}


# --------------------------------------------------------------------------------------------------------------- FiFa


def fifa(
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
    from facewitness.builders.fifa import as_array

    known = {(row["file"], row["task"], row["question"]) for row in rows}
    numbers: dict[str, Any] = {"published": dict(FIFA_PUBLISHED), "unasked": sum(key not in known for key in answers)}
    by_task: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_task.setdefault(row["task"], []).append(row)

    def given(row: Mapping[str, Any]) -> Answer:
        return answers.get((row["file"], row["task"], row["question"]), Answer(""))

    for task, these in by_task.items():
        texts, groups = [given(row).text for row in these], [row["group"] for row in these]
        about: dict[str, Any] = {"questions": len(these), "answered": sum(bool(text.strip()) for text in texts)}
        if task in ("detection", "classification"):
            verdicts = [words.verdict(text) for text in texts]
            right = [float(a == row["label"]) for a, row in zip(verdicts, these, strict=True)]
            if task == "classification":
                right = [float(_bare(t) == _bare(row["answer"])) for t, row in zip(texts, these, strict=True)]
            about |= _shown(measures.ratios({"accuracy": (right, np.ones(len(right)))}, groups, seed=seed))
        elif task in ("region_question", "box_question"):
            about |= _shown(asked(texts, [bool(row["masks"]) for row in these], groups, seed))
        elif task in ("localisation", "region_parsing"):
            ious = []
            for row in these:
                true = [as_array(mask) for mask in row["masks"]]
                masks = [mask for mask in given(row).masks if mask is not None]
                if true:
                    fits = masks and masks[0].shape == true[0].shape
                    ious.append(overlap(masks[0] if fits else None, true[0])[0])
                else:
                    ious.append(np.nan)
            about |= _shown(measures.ratios({"mask_iou": (np.array(ious), np.ones(len(ious)))}, groups, seed=seed))
        elif task in ("grounding", "region_detection"):
            fakes = [row for row in these if row["label"] == "fake"]
            about |= _shown(age([given(row) for row in fakes], [_known(row, as_array) for row in fakes], seed))
        if task in ("image_explanation", "text_explanation", "grounding", "region_explanation"):
            plain = [interleaved.parse(text).text for text in texts]
            references = [[interleaved.parse(row["answer"]).text] for row in these]
            about |= controlled(plain, references, groups, seed=seed, meteor=meteor)
        numbers[task] = about
    with_masks = [row for row in rows if row["task"] in MASKED]
    numbers["misfits"] = misfits(with_masks, [given(row) for row in with_masks])
    return numbers


MASKED = ("grounding", "region_detection", "localisation", "region_parsing")  # tasks whose answers have masks
_MAIN: Mapping[str, str] = {"mask_iou": "mIoU", "balanced": "accuracy, mean of yes and no", "accuracy": "accuracy"}
_PAPERS: Mapping[str, tuple[str, str, str]] = {  # the paper's row → task, key, speaker
    "AGE mIoU": ("grounding", "mask_iou", ""), "Loc mIoU": ("localisation", "mask_iou", ""),
    "TOE METEOR": ("text_explanation", "METEOR", "words"),
}  # fmt: skip


def fifa_markdown(numbers: Mapping[str, Any], system: str = "system") -> str:
    """The paper's three numbers beside what it prints, and the main one of each task.

    Args:
        numbers: As `fifa` gives them.
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
    lines.append(f"| Fake-in-Facext (quoted; not run) | {' | '.join(f'{v:g}' for v in FIFA_PUBLISHED.values())} |")
    lines += ["", "| task | questions | answered | | |", "|---|---|---|---|---|"]
    for task, about in numbers.items():
        if not isinstance(about, Mapping) or "questions" not in about:
            continue
        key = next((each for each in _MAIN if each in about), "")
        main, value = (_MAIN[key], cell(about, key)) if key else ("CIDEr", cell(about.get("words", {}), "CIDEr"))
        lines.append(f"| {task} | {about['questions']} | {about['answered']} | {main} | {value} |")
    return "\n".join(lines + _why_no_meteor(numbers.get("text_explanation", {}))) + "\n"


def _why_no_meteor(about: Mapping[str, Any]) -> list[str]:
    """A line that says why METEOR was not measured; none where it was, or was not asked for."""
    own = about.get("words", {})
    why = own.get("notes", {}).get("meteor")
    if own.get("METEOR") is not None or why is None:
        return []
    return ["", f"{why}." if why.startswith("METEOR") else f"METEOR: {why}."]


def _bare(text: str) -> str:
    return " ".join(words.normal(text).split()).strip(" .")


def _known(row: Mapping[str, Any], as_array: Any) -> Known:
    points = np.frombuffer(row["landmarks"], np.float32).reshape(468, 2)
    near = None if row["difference"] is None else as_array(row["difference"])
    return Known(as_array(row["mask"]), points, row["group"], near)


def _shown(values: Mapping[str, Value]) -> dict[str, Any]:
    return {name: _in_percent(value) for name, value in values.items()}


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
    for number, line in enumerate(read_bounded(path, _MOST).split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line, object_pairs_hook=each_once)
            given = entry.get("masks") or []
            if not isinstance(given, list):
                raise TypeError(f"masks are {type(given).__name__}, not a list")
            names = [None if name is None else str(name) for name in given]
            key = (str(entry["file"]), str(entry["task"]), str(entry["question"]))
            text = _utf8("" if entry["answer"] is None else str(entry["answer"]))
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


# ------------------------------------------------------------------------------------------------------------- sheets


RED, GREEN, YELLOW = (220, 40, 40), (40, 190, 70), (230, 200, 40)  # changed, claimed, both


def _at(mask: Bools, side: int) -> Bools:
    """A mask at another size, by its nearest samples."""
    return np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).resize((side, side), Image.Resampling.NEAREST)) > 0


def _grown(mask: Bools, steps: int) -> Bools:
    """A mask and what lies within so many pixels of it, up and down, left and right."""
    for _ in range(steps):
        wide = np.pad(mask, 1)
        mask = mask | wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:]
    return mask


def sheet(items: Sequence[tuple[Pixels, Bools | None, Bools, str, str]], path: Path, side: int = 256) -> Path:
    """A picture of answers: what was claimed in green, what was changed in red, with both texts below.

    Of each mask a thin wash and its outline are drawn, green just inside its edge and red just outside of its own, so
    that neither hides the other: where both lie it is yellow, and masks that agree have both outlines side by side.

    Args:
        items: (pixels, claimed mask or None, changed mask, the answer, the reference).
        path: PNG or JPEG to write.
        side: Pixels of a picture.

    Raises:
        InputError: there is nothing to show.
    """
    if not items:
        raise InputError("sheet: expected at least one picture, got none")
    columns = min(3, len(items))
    tall = side + 150
    page = Image.new("RGB", (columns * side, -(-len(items) // columns) * tall), "white")
    pen = ImageDraw.Draw(page)
    for number, (pixels, claimed, changed, answer, reference) in enumerate(items):
        left, top = number % columns * side, number // columns * tall
        picture = Image.fromarray(pixels).convert("RGB").resize((side, side))
        shown = np.asarray(picture).astype(np.float32)
        masks = [_at(mask, side) if mask is not None and mask.shape == changed.shape else np.zeros((side, side), bool)
                 for mask in (changed, claimed)]  # fmt: skip
        both = masks[0] & masks[1]
        for there, colour in ((masks[0] & ~both, RED), (masks[1] & ~both, GREEN), (both, YELLOW)):
            shown[there] = 0.75 * shown[there] + 0.25 * np.array(colour, np.float32)
        shown[_grown(masks[0], 2) & ~masks[0]] = RED
        beyond = np.pad(~masks[1], 1, constant_values=True)  # a mask that ends with the picture has an edge there
        shown[masks[1] & _grown(beyond, 2)[1:-1, 1:-1]] = GREEN
        page.paste(Image.fromarray(shown.astype(np.uint8)), (left, top))
        text = "\n".join([*_wrapped(f"said: {answer}", side), *_wrapped(f"true: {reference}", side)][:13])
        pen.text((left + 4, top + side + 2), text, fill="black", spacing=1)
    page.save(path)
    return path


def sheet_of_mmtt(
    root: Path,
    split: str,
    captions: Path,
    masks: Path | None,
    path: Path,
    dataset: str = "mmtt",
    max_pictures: int = 12,
) -> int:
    """A `sheet` of reports and masks as `read_mmtt` reads them, of pictures spread over the split.

    Args:
        root: The dataset's folder.
        split: "train", "val" or "test".
        captions: The list of reports, JSON.
        masks: Folder of the masks that the system made; None where it made none.
        path: Of the file.
        dataset: "mmtt", or another one with texts.
        max_pictures: Pictures on the sheet.

    Returns:
        How many pictures are on it.

    Raises:
        InputError: no picture has a mask.
    """
    reports, _ = read_mmtt(root, split, captions, masks or root, dataset)
    samples = list(plugins.get("datasets", dataset).samples(root, split))
    pairs = [(s, r) for s, r in zip(samples, reports, strict=True) if r.changed is not None]
    step = max(1, len(pairs) // max_pictures)
    items = []
    for sample, report in pairs[::step][:max_pictures]:
        pixels = media.read(sample.image or str(root / sample.file)).frame.pixels
        changed = report.changed
        if changed is None or pixels.shape[:2] != changed.shape:
            continue
        items.append((pixels, report.claimed, changed, report.text or "nothing", (*report.references, "")[0]))
    sheet(items, path)
    return len(items)


def sheet_of_fifa(
    rows: Sequence[Mapping[str, Any]],
    answers: Mapping[tuple[str, str, str], Answer],
    path: Path,
    max_pictures: int = 12,
) -> int:
    """A `sheet` of artefact-grounding explanations: all masks of an answer in green over what was changed in red.

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
    from facewitness.builders.fifa import as_array

    these = [row for row in rows if row["task"] == "grounding" and row["label"] == "fake"]
    items = []
    for row in these[:: max(1, len(these) // max_pictures)][:max_pictures]:
        answer = answers.get((row["file"], row["task"], row["question"]), Answer(""))
        changed = as_array(row["mask"])
        fit = [mask for mask in answer.masks if mask is not None and mask.shape == changed.shape]
        claimed = np.logical_or.reduce(fit) if fit else None
        pixels = media.read(row["image"]).frame.pixels
        items.append((pixels, claimed, changed, answer.text or "nothing", row["answer"]))
    sheet(items, path)
    return len(items)


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(" ".join(text.split())[:400], max(10, width // 6))[:6]
