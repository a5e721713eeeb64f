"""DD-VQA: what people answered when asked why frames of FaceForensics++ look real or fake.

Paper: Zhang, Colman, Guo, Shahriyari, Bharaj, Common Sense Reasoning for Deepfake Detection, ECCV 2024. Licence: none
is stated for the answers; the pictures are under the terms of FaceForensics++. How to obtain: the answers from
github.com/Reality-Defender/Research-DD-VQA, the pictures with FaceForensics++ (see the dataset `faceforensics`).

    ROOT/train_set/Deepfakes/Deepfakes.json        {"0_111_094": {"0": {"question": …, "answer": […]}, …}}
    ROOT/test_set/Original/Original.json           other methods and sets alike, anywhere below ROOT
    ROOT/split/{train,val,test}.json               the official pairs of FaceForensics++; also in splits/

and, anywhere below ROOT, one of

    0_111_094.{png,jpg}                            pictures named as the answers are
    original_sequences/youtube/c40/videos/         and manipulated_sequences/: FaceForensics++, videos or frames
    ffpp_c40.parquet                               in ROOT: tables of the dataset `parquet` whose `file` is so named

A name is a method (0 Deepfakes, 1 Face2Face, 2 FaceShifter, 3 FaceSwap, 5 Original, 6 NeuralTextures) and a video.
Names and formats are in that repository's README; a method 4, which total_fake.json has, is not explained there and
left out, and so are the files total_*.json, which hold the others again. The authors do not say which frame people saw
(issues 3 and 4 of that repository ask for it), so of a video the middle frame is taken, and an answer may not fit it: a
closed eye, a turned head. Some answers are wrong on any frame ("no nose").

The split is that of the folder or file (train_set, test_set); of a file that names none, that of the pairs, then that
of the table's row; without them "train", and that is told. Of the published training set all 1,430 names were looked
at: they are of 711 of FaceForensics++'s 720 training videos, and none shares a video with its 140 validation or 140
test videos. Of the test set only the first names were looked at. The group is the pair, joined from the pair lists and
the names; one that is in two sets all the same is told and named by set.

`Truth.texts` are the answers about the whole image, which give the verdict and the reasons; `Truth.questions` are all
of them. `Truth.regions` of a fake are those that its answers name: where people saw something, not where pixels
changed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from facewitness import regions
from facewitness.datasets._disk import (
    PICTURES,
    Tell,
    apart,
    folder,
    holds,
    joined,
    natural,
    not_empty,
    of_video,
    read_json,
    silent,
    sources,
    table_of,
    wanted,
)
from facewitness.errors import InputError
from facewitness.types import Sample, Truth

SPLITS = ("train", "val", "test")
NAME = "DD-VQA"

_METHODS = {
    "0": ("Deepfakes", "identity_exchange"),
    "1": ("Face2Face", "attribute_manipulation"),
    "2": ("FaceShifter", "identity_exchange"),
    "3": ("FaceSwap", "identity_exchange"),
    "5": ("pristine", "pristine"),
    "6": ("NeuralTextures", "attribute_manipulation"),
}
_TREE = ("original_sequences", "manipulated_sequences")
_COMPRESSIONS = ("raw", "c23", "c40")
_ITEM = re.compile(r"(\d)_(\d{3}(?:_\d{3})?)")  # method, video
_REAL = re.compile(r"\blooks? real\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Item:
    """One annotated picture, before it is found."""

    name: str
    video: str
    truth: Truth
    split: str
    group: str


def samples(root: str | Path, split: str | None = None, *, tell: Tell = silent) -> Iterator[Sample]:
    """The annotated pictures; of a FaceForensics++ tree the middle frame of the video in every compression there.

    Tells of answers whose picture is absent.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        tell: Is called with each sentence about what is absent or odd.

    Raises:
        InputError: Where an annotation file is broken.
    """
    root = folder(root, NAME, ())
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root, split, tell), NAME, split, root)


def _samples(root: Path, split: str | None, tell: Tell) -> Iterator[Sample]:
    files = _Found(root)
    items = {item.name: item for item in _items(files, tell) if split in (None, item.split)}
    left = dict(items)
    stills = {p.stem: p for p in files.pictures}
    for name, item in items.items():
        if name in stills:
            yield _of(item, file=stills[name].relative_to(root).as_posix())
            del left[name]
            continue
        for compression, video, original in files.videos(item):
            yield from of_video(
                root, video, item.truth, dataset=NAME, split=item.split, group=item.group, frames=1, tell=tell,
                compression=compression, original=original, name=item.video,
            )  # fmt: skip
            left.pop(name, None)
    for table in sorted(root.glob("*.parquet")) if left else ():
        named = next((c for c in _COMPRESSIONS if c in table.stem.split("_")), None)
        for row in _pictures(table):
            item_of_row = left.pop(Path(row["file"]).stem, None)
            if item_of_row is not None:
                made = _of(item_of_row, file=row["file"])
                yield replace(made, image=row["image"], original=row.get("original"), compression=named)
    for name in left:
        tell(
            f"{NAME}: the picture of {name} is not in {root}: expected {name}.png or .jpg, the video "
            f"{_METHODS[name[0]][0]} {left[name].video} of FaceForensics++, or a table that holds it; add one"
        )


def _pictures(table: Path) -> Iterator[dict[str, Any]]:
    """The rows of a table that have a name and a picture; the benchmark's own reader of tables wants more of them."""
    opened = table_of(table)
    kinds = {field.name: field.type for field in opened.schema_arrow}
    for name, kind in (("file", "text"), ("image", "bytes")):
        if name not in kinds or not holds(kinds[name], kind):
            raise InputError(
                f"{table.name}: expected {kind} in the column {name}, got {kinds.get(name, 'no such column')}"
            )
    for batch in opened.iter_batches(batch_size=256, columns=[c for c in ("file", "image", "original") if c in kinds]):
        yield from (row for row in batch.to_pylist() if row["file"] and row["image"])


def _of(item: _Item, file: str) -> Sample:
    return Sample(file, item.truth, item.split, item.group, NAME)


class _Found:
    """What lies below a root: JSON files, pictures that are named as answers are, and FaceForensics++ trees.

    It is walked once, links too, and not into the trees, which may hold millions of frames.
    """

    def __init__(self, root: Path):
        self.root = root
        self.json: list[Path] = []
        self.pictures: list[Path] = []
        self.trees: list[Path] = []
        self.listed: dict[Path, Mapping[str, Path]] = {}
        seen: set[str] = set()
        for here, folders, files in os.walk(root, followlinks=True):
            if (real := os.path.realpath(here)) in seen:  # a link to a folder above
                folders.clear()
                continue
            seen.add(real)
            if any(name in folders for name in _TREE):
                self.trees.append(Path(here))
            folders[:] = sorted((f for f in folders if f not in _TREE and not f.startswith(".")), key=natural)
            for path in (Path(here, name) for name in sorted(files, key=natural) if not name.startswith(".")):
                if path.suffix == ".json":
                    self.json.append(path)
                elif path.suffix.lower() in PICTURES and _ITEM.fullmatch(path.stem):
                    self.pictures.append(path)

    def videos(self, item: _Item) -> Iterator[tuple[str, Path, str | None]]:
        """(compression, video, pristine counterpart's file) of one item, in every compression that is there."""
        method = str(item.truth.method)
        for top in self.trees:
            pristine = top / "original_sequences" / "youtube"
            place = pristine if method == "pristine" else top / "manipulated_sequences" / method
            for compression in _COMPRESSIONS:
                video = self._in(place / compression).get(item.video)
                target = self._in(pristine / compression).get(item.video[:3]) if method != "pristine" else None
                if video is not None:
                    yield compression, video, None if target is None else target.relative_to(self.root).as_posix()

    def _in(self, below: Path) -> Mapping[str, Path]:
        if below not in self.listed:
            self.listed[below] = sources(below)
        return self.listed[below]


# ------------------------------------------------------------------------------------------------ the annotations


def _items(below: _Found, tell: Tell) -> list[_Item]:
    """All annotated pictures in the order of their files, with split and group."""
    root = below.root
    lists, files = _files(below)
    home = {video: split for split, pairs in lists.items() for pair in pairs for video in pair}
    shelved = _shelved(root)
    items: dict[str, tuple[Path, str, str, Truth]] = {}
    unknown, unsplit = 0, []
    for path in files:
        content = read_json(path, NAME)
        if not isinstance(content, dict):
            raise InputError(f"{NAME}: {path}: expected an object of names such as 0_111_094; download it again")
        named = _named(path.relative_to(root))
        for name, asked in content.items():
            match = _ITEM.fullmatch(name)
            if match is None or match[1] not in _METHODS:
                unknown += 1
                continue
            if name in items:
                raise InputError(f"{NAME}: {name} is in {items[name][0]} and again in {path}; keep one of them")
            split = named or home.get(match[2][:3]) or shelved.get(name)
            if split is None:
                unsplit.append(name)
            items[name] = (path, match[2], split or "train", _truth(match[1], asked, f"{path}: {name}"))
    if unknown:
        tell(f"{NAME}: {unknown} answered pictures are of no method that the authors explain; they are left out")
    if unsplit:
        tell(
            f"{NAME}: no folder or file names the split of {len(unsplit)} pictures ({unsplit[0]}…), so they count as "
            f"'train'; put the files into train_set/ or test_set/, or FaceForensics++'s pairs into split/, in {root}"
        )
    pairs = [pair for each in lists.values() for pair in each]
    person = joined([*pairs, *((v[:3], v[-3:]) for _, v, _, _ in items.values())])
    group = apart(((person[v[:3]], split) for _, v, split, _ in items.values()), NAME, tell)
    return [
        _Item(name, video, truth, split, group[person[video[:3]], split])
        for name, (_, video, split, truth) in items.items()
    ]


def _shelved(root: Path) -> dict[str, str]:
    """The split of each picture in the root's tables, by its name."""
    shelves: dict[str, str] = {}
    for path in sorted(root.glob("*.parquet")):
        opened = table_of(path)
        if {"file", "split"} <= set(opened.schema_arrow.names):
            table = opened.read(["file", "split"])
            pairs = zip(table["file"].to_pylist(), table["split"].to_pylist(), strict=True)
            shelves |= {Path(file).stem: split for file, split in pairs if file and split in SPLITS}
    return shelves


def _files(below: _Found) -> tuple[dict[str, list[tuple[str, str]]], list[Path]]:
    """The official pairs by split, and the files of annotations."""
    lists: dict[str, list[tuple[str, str]]] = {}
    files = []
    for path in below.json:
        if path.parent.name in ("split", "splits"):
            lists[path.stem] = _pairs(path)
        elif not path.stem.startswith("total_"):
            files.append(path)
    if not files:
        raise InputError(
            f"{NAME}: expected answers such as train_set/Deepfakes/Deepfakes.json in {below.root}, found none; "
            "copy the folder DQ_FF++ of github.com/Reality-Defender/Research-DD-VQA there"
        )
    return {split: lists[split] for split in SPLITS if split in lists}, files


def _pairs(path: Path) -> list[tuple[str, str]]:
    content = read_json(path, NAME)
    if not isinstance(content, list) or not all(
        isinstance(p, list) and len(p) == 2 and all(isinstance(x, str) for x in p) for p in content
    ):
        raise InputError(f'{NAME}: {path}: expected pairs of videos such as ["953", "974"]; download it again')
    return [(a, b) for a, b in content]


def _named(path: Path) -> str | None:
    """The split that a file's name or the nearest folder names: train_set/Deepfakes.json, ddvqa_test.json."""
    for part in (path.stem, *reversed(path.parts[:-1])):
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in SPLITS:
                return word
    return None


def _truth(method: str, asked: Any, where: str) -> Truth:
    """What people answered about one picture. Raises InputError that names file and picture."""
    questions: dict[str, tuple[str, ...]] = {}
    for entry in asked.values() if isinstance(asked, dict) else (None,):
        question, answers = (entry.get("question"), entry.get("answer")) if isinstance(entry, dict) else (None, None)
        if (
            not isinstance(question, str)
            or not isinstance(answers, list)
            or not all(isinstance(a, str) for a in answers)
        ):
            raise InputError(f'{NAME}: {where}: expected {{"0": {{"question": …, "answer": […]}}}}; download it again')
        questions[question] = (*questions.get(question, ()), *answers)
    name, kind = _METHODS[method]
    return Truth(
        label="real" if name == "pristine" else "fake",
        method=name,
        kind=kind,
        regions=frozenset() if name == "pristine" else _places(a for answers in questions.values() for a in answers),
        texts=tuple(a for q, answers in questions.items() if "image" in q.lower().split() for a in answers),
        questions=questions,
    )


def _places(answers: Iterable[str]) -> frozenset[str]:
    """What the answers about a fake name as forged: one that calls its part real names nothing."""
    return frozenset(name for answer in answers if not _REAL.search(answer) for name in regions.mentioned(answer))
