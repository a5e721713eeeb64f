"""MMTT's protocol: reports and masks of forged pictures against what people wrote and what was changed.

    facewitness bench mmtt ROOT --captions captions.json --masks masks --split test

Lian et al., Tables 2 and 6: CIDEr, METEOR, BLEU-1 to 4 and ROUGE-L of the reports; IoU, precision and recall of the
masks, each picture by itself and then averaged, two empty masks counting as 1, as the authors' script has it; PLM,
Eq. 12, of the labels that report and reference have:

    PLM = |predicted ∩ true| / |predicted ∪ true|                                                                 (12)

Predictions are what the authors' script reads: a list of {image_id, caption}, and masks named as the pictures are.
Theirs have the network's 224 pixels a side; a mask of its picture's proportions is brought to its size by the nearest
pixels, as the script does. The script passes over what is missing, here it counts as empty. What of a true mask is grey
is forged there from 128 on, and here wherever it is not black, as their loader has it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facewitness import geometry, media, plugins, regions
from facewitness.bench import measures, sheets
from facewitness.bench.grounded import MOST, TEXT, Bools, controlled, in_percent, overlap, why_no_meteor
from facewitness.errors import InputError, UnreadableMedia
from facewitness.files import each_once, read_bounded
from facewitness.phrases import utf8

_MASKS = ("IoU", "Precision", "Recall")

# What papers print, for orientation; never mixed with measured numbers. CIDEr, BLEU, ROUGE-L and masks in per cent.
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


def plm(predicted: Iterable[str], true: Iterable[str]) -> float | None:
    """Positive label matching, Eq. 12; None where neither has a label.

    Args:
        predicted: Labels that the answer names.
        true: Labels that are forged.
    """
    a, b = frozenset(predicted), frozenset(true)
    return len(a & b) / len(a | b) if a | b else None


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """One picture's report and mask, with the truth about both."""

    text: str | None
    references: tuple[str, ...]
    group: str
    claimed: Bools | None = None
    changed: Bools | None = None
    labels: tuple[str, ...] | None = None  # a region prompter's; None reads them in the report


def measure(reports: Sequence[Report], *, seed: int = 0, meteor: bool = True) -> dict[str, Any]:
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
            {name: (np.array([each[i] for _, each in masked]), ones) for i, name in enumerate(_MASKS)},
            [report.group for report, _ in masked], seed=seed,
        )  # fmt: skip
        numbers["masks"] = {name: in_percent(value) for name, value in places.items()}
    matches = [
        plm(
            regions.captioned(r.text or "") if r.labels is None else r.labels, regions.captioned(" ".join(r.references))
        )
        for r in reports
    ]
    value = measures.ratios(
        {"PLM": (np.array([np.nan if m is None else m for m in matches]), np.ones(len(matches)))}, groups, seed=seed
    )
    numbers["PLM"] = in_percent(value["PLM"])
    return numbers


def markdown(
    numbers: Mapping[str, Any], system: str, tables: Sequence[str] = ("MMTT, Table 2", "MMTT, Table 6")
) -> str:
    """A table in the shape of the paper's: the measured row, its controls, and what papers print, marked as quoted.

    Args:
        numbers: As `measure` gives them.
        system: Its name in tables.
        tables: Which of the paper's tables.
    """

    def row(name: str, values: Sequence[Any]) -> str:
        return f"| {name} | " + " | ".join("–" if value is None else f"{value:g}" for value in values) + " |"

    masks = numbers.get("masks", {})
    own = [numbers["words"].get(name) for name in TEXT] + [masks.get(name, {}).get("value") for name in _MASKS]
    columns = (*TEXT, *_MASKS)
    lines = ["| system | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|", row(system, own)]
    for name in ("image-blind", "shuffled"):
        if name in numbers:
            lines.append(row(f"{system}, {name}", [numbers[name].get(each) for each in TEXT] + [None] * 3))
    for table in tables:
        lines += [row(f"{name} (quoted: {table}; not run)", values) for name, values in PUBLISHED[table].items()]
    lines.append("")
    lines.append(
        f"PLM {numbers['PLM']['value']} (quoted, Table 7: FPN 41.05). Words cut by {numbers['words']['tokenizer']}."
    )
    lines += why_no_meteor(numbers)
    return "\n".join(lines) + "\n"


def read(
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
    try:
        entries = json.loads(read_bounded(captions, MOST), object_pairs_hook=each_once)
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
        claimed = None if masks is None or changed is None else _claimed(masks, key, sample.file, changed, notes)
        text = None if entry is None else utf8(entry.get("caption") or "")
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


def _claimed(masks: Path, key: str, name: str, changed: Bools, notes: list[str]) -> Bools | None:
    """The system's mask of a picture; None, with a note, where there is none that can be laid on it."""
    from facewitness.datasets._disk import mask_of

    file = next((f for f in (masks / f"{key[: key.rfind('.')]}.png", masks / Path(key).name) if f.is_file()), None)
    if file is None:
        notes.append(f"{name}: no mask; counts as an empty one")
        return None
    try:
        claimed = mask_of(file) >= 0.5
    except UnreadableMedia as error:
        notes.append(f"{error}; counts as an empty one")
        return None
    if claimed.shape != changed.shape:
        try:
            geometry.check_fits(claimed.astype(np.float32), *changed.shape)
        except InputError as error:
            notes.append(f"{file}: {error}; counts as an empty one")
            return None
        size = (changed.shape[1], changed.shape[0])
        return np.asarray(Image.fromarray(claimed).resize(size, Image.Resampling.NEAREST), bool)
    return claimed


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


def sheet(
    root: Path,
    split: str,
    captions: Path,
    masks: Path | None,
    path: Path,
    dataset: str = "mmtt",
    max_pictures: int = 12,
) -> int:
    """A `sheets.sheet` of reports and masks as `read` reads them, of pictures spread over the split.

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
    reports, _ = read(root, split, captions, masks or root, dataset)
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
    sheets.sheet(items, path)
    return len(items)
