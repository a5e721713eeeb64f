"""DFDC, the dataset of the Deepfake Detection Challenge: paid actors before everyday scenes, forged by eight methods.

Paper: Dolhansky, Bitton, Pflaum, Lu, Howes, Wang, Canton Ferrer, The DeepFake Detection Challenge (DFDC) Dataset, arXiv
2006.07397, 2020. Licence (not verified): the challenge's terms, research on detection only. How to obtain:
ai.meta.com/datasets/dfdc or kaggle.com/c/deepfake-detection-challenge.

    ROOT/dfdc_train_part_0/metadata.json       {"a.mp4": {"label": "FAKE", "split": "train", "original": "b.mp4"}, …}
    ROOT/dfdc_train_part_0/a.mp4               … parts 0 to 49; also in ROOT/train/, and train_sample_videos/
    ROOT/validation/labels.csv, *.mp4          filename,label: 1 is fake and 0 is real
    ROOT/test/labels.csv, *.mp4                or metadata.json: {"a.mp4": {"is_fake": 1}, …}

The metadata of the parts is documented on the Kaggle page; `validation` and `test` after DeepfakeBench
(preprocessing/rearrange.py) and other public readers. Videos are also read from videos/, extracted frames from
frames/a/ beside them.

The files do not name the method of a fake; the paper calls all of them face swaps (in some the voice is forged too, or
only the voice). The group is the original video. Actors are not named either: those of the train parts appear in many
of them, so a split of the parts that you make yourself leaks identities. Whether validation and test share actors with
the train parts was not verified. The original of a validation or test fake is not told: each of their videos is its own
group, though several may show one actor.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from facewitness.datasets._disk import (
    MAX_LIST,
    Tell,
    folder,
    natural,
    not_empty,
    of_video,
    read_json,
    silent,
    sources,
    wanted,
)
from facewitness.errors import InputError
from facewitness.files import absence, open_bounded
from facewitness.types import Sample, Truth

SPLITS = ("train", "val", "test")
NAME = "DFDC"

_PARTS = ("dfdc_train_part_*", "train/dfdc_train_part_*", "train_sample_videos")
_FOLDER_OF = {"val": "validation", "test": "test"}

_PRISTINE = Truth("real", "pristine", "pristine", regions=frozenset())
_SWAP = Truth("fake", None, "identity_exchange")

_Listed = dict[str, tuple[Literal["real", "fake"], str | None]]  # file → label, original


def samples(root: str | Path, split: str | None = None, *, frames: int = 32, tell: Tell = silent) -> Iterator[Sample]:
    """The videos of the train parts, then those of validation and test. Tells of lists and videos that are absent.

    `frames` evenly spaced ones of each video; 0 gives one sample for the whole of it.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        frames: How many evenly spaced frames of each video; 0 for one sample a video.
        tell: Is called with each sentence about what is absent or odd.
    """
    root = folder(root, NAME, (*_PARTS, *_FOLDER_OF.values()), any_of=True)
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root, split, frames, tell), NAME, split, root)


def _samples(root: Path, split: str | None, frames: int, tell: Tell) -> Iterator[Sample]:
    seen: dict[str, Path] = {}
    for each in SPLITS:
        if split not in (None, each):
            continue
        parts = _parts(root) if each == "train" else [root / _FOLDER_OF[each]]
        if each == "train" and not parts:
            tell(f"{NAME}: {root} holds no {_PARTS[0]}; unpack the parts of the train split there")
        for part in parts:
            table = next((p for p in (part / "metadata.json", part / "labels.csv") if p.is_file()), None)
            if table is None:
                tell(f"{NAME}: {part} holds neither metadata.json nor labels.csv; unpack it again")
                continue
            listed, clips = _listed(table), sources(part)
            for file, (label, original) in listed.items():
                if file in seen:
                    raise InputError(
                        f"{NAME}: {table}: {file} is already in {seen[file]}; remove the part that was unpacked twice"
                    )
                seen[file] = table
                name = Path(file).stem
                if name not in clips:
                    why = absence(part / file)
                    tell(f"{NAME}: {part / file}, listed in {table.name}, {why}; unpack {part.name} again")
                    continue
                pristine = clips.get(Path(original).stem) if original else None
                yield from of_video(
                    root,
                    clips[name],
                    _PRISTINE if label == "real" else _SWAP,
                    dataset=NAME,
                    split=each,
                    group=Path(original).stem if original else name,
                    frames=frames,
                    tell=tell,
                    original=pristine.relative_to(root).as_posix() if pristine else None,
                    name=name,
                )


def _parts(root: Path) -> list[Path]:
    """The folders of the train parts; an archive that holds a folder of its own name is looked into."""
    parts = []
    for part in (p for pattern in _PARTS for p in root.glob(pattern) if p.is_dir()):
        inner = [p.parent for p in part.glob("dfdc_train_part_*/metadata.json")]
        parts += inner if inner and not (part / "metadata.json").is_file() else [part]
    return sorted(parts, key=natural)


def _listed(table: Path) -> _Listed:
    return _json(table) if table.suffix == ".json" else _csv(table)


def _json(table: Path) -> _Listed:
    content = read_json(table, NAME)
    if not isinstance(content, dict) or not all(isinstance(entry, dict) for entry in content.values()):
        raise InputError(f"{NAME}: {table}: expected an entry for each video; download it again")
    listed: _Listed = {}
    for file, entry in content.items():
        original = entry.get("original")
        label = _label(table, file, entry.get("label", entry.get("is_fake")))
        listed[file] = label, original if isinstance(original, str) and original else None
    return listed


def _csv(table: Path) -> _Listed:
    listed: _Listed = {}
    # an odd byte then makes an odd name or label, which is said
    with io.TextIOWrapper(open_bounded(table, MAX_LIST), encoding="utf-8-sig", errors="replace", newline="") as opened:
        try:
            rows = csv.DictReader(opened)
            if not {"filename", "label"} <= set(rows.fieldnames or ()):
                raise InputError(f"{NAME}: {table}: expected the columns filename and label, got {rows.fieldnames}")
            for row in rows:
                file = row["filename"] or ""
                if file in listed:
                    raise InputError(f"{NAME}: {table}: {file} is there twice; download it again")
                listed[file] = _label(table, file, row["label"]), None
        except csv.Error as error:
            raise InputError(f"{NAME}: {table} is not CSV ({error}); download it again") from error
    return listed


def _label(table: Path, file: str, value: Any) -> Literal["real", "fake"]:
    spelt = str(value).strip().lower()
    if re.fullmatch(r"real|0(\.0)?|false", spelt):
        return "real"
    if re.fullmatch(r"fake|1(\.0)?|true", spelt):
        return "fake"
    raise InputError(f"{NAME}: {table}: {file}: expected the label REAL or FAKE (0 or 1), got {value!r}")
