"""IMDL-BenCo's two ways to lay out manipulated pictures: a list of pictures and masks, or a folder of each.

Paper: Ma, Zhu, Su, Du and others, IMDL-BenCo: A Comprehensive Benchmark and Codebase for Image Manipulation Detection &
Localization, NeurIPS 2024 (datasets and benchmarks). Licence, how to obtain: those of the dataset that is laid out so
(CASIA, Columbia, your own); the formats are documented by IMDLBenCo/datasets/iml_datasets.py in
github.com/scu-zjz/IMDLBenCo.

    ROOT/train.json                [["./Tp/6.jpg", "./Gt/6.jpg"], ["./Au/8.jpg", "Negative"], …]     (its JsonDataset)
    ROOT/Tp/6.jpg, ROOT/Gt/6.png   manipulated pictures and their masks, white where forged           (its ManiDataset)
    ROOT/CASIA/Tp/…, ROOT/CASIA/Gt/…        several such folders

A picture with the mask "Negative" is genuine; all others are fakes, those of a ManiDataset too. Where ROOT has lists,
its folders are read only through them. The split is that in the name of the list or folder (train, val, test), else
"all". A mask belongs to the picture of its name, with or without _gt or _mask behind it; the original pairs by order,
which here is the way out where no name fits and there are as many of both, and that is told. Nothing says who is shown
or which pictures were made of one, so every picture is its own group.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from facewitness.datasets._disk import (
    Tell,
    below,
    folder,
    mask_of,
    natural,
    not_empty,
    pictures,
    read_json,
    silent,
    wanted,
)
from facewitness.errors import InputError
from facewitness.types import Sample, Truth

SPLITS = ("train", "val", "test", "all")
NAME = "IMDL-BenCo"

_GENUINE = "Negative"
_LOADERS = ("ManiDataset", "JsonDataset")


def samples(root: str | Path, split: str | None = None, *, tell: Tell = silent) -> Iterator[Sample]:
    """The pictures of all lists, or else of all pairs of folders Tp and Gt. Tells of absent pictures and masks.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        tell: Is called with each sentence about what is absent or odd.
    """
    root = folder(root, NAME, ("*.json", "Tp", "*/Tp"), any_of=True)
    wanted(split, SPLITS, NAME)
    lists = sorted(root.glob("*.json"), key=natural)
    made = _of_lists(root, lists, split, tell) if lists else _of_folders(root, split, tell)
    return not_empty(made, NAME, split, root)


def _of_lists(root: Path, lists: list[Path], split: str | None, tell: Tell) -> Iterator[Sample]:
    seen: dict[str, Path] = {}
    for path in lists:
        each = _split_of(path.stem)
        for picture, mask in _pairs(path):
            file = below(root, picture)
            if file is None:
                tell(f"{NAME}: {picture}, listed in {path}, is not in {root}; copy it there")
                continue
            name = file.relative_to(root).as_posix()
            if name in seen:
                raise InputError(f"{NAME}: {name} is listed in {seen[name]} and again in {path}; keep it in one place")
            seen[name] = path
            if split in (None, each):
                place = None if mask == _GENUINE else below(root, mask)
                if place is None and mask != _GENUINE:
                    tell(f"{NAME}: {mask}, the mask of {picture} in {path}, is not in {root}; copy it there")
                yield _sample(root, file, place, mask != _GENUINE, each, root.resolve().name)


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    """(picture, mask) of one list. Raises InputError that counts to the odd one."""
    content = read_json(path, NAME)
    if not isinstance(content, list):
        raise InputError(f'{NAME}: {path}: expected a list of ["picture", "mask" or "{_GENUINE}"]; mend it')
    for number, pair in enumerate(content, 1):
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            raise InputError(
                f'{NAME}: {path}, entry {number}: expected ["picture", "mask" or "{_GENUINE}"], got {pair}'
            )
        if pair[0] in _LOADERS:
            raise InputError(
                f"{NAME}: {path} lists datasets ({pair[0]}), not pictures; give the folder of each of them as root"
            )
        yield pair[0], pair[1]


def _of_folders(root: Path, split: str | None, tell: Tell) -> Iterator[Sample]:
    places = [place for place in (root, *sorted(root.iterdir(), key=natural)) if (place / "Tp").is_dir()]
    for place in places:
        each = "all" if place == root else _split_of(place.name)
        if split not in (None, each):
            continue
        if not (place / "Gt").is_dir():
            raise InputError(f"{NAME}: expected the masks of {place / 'Tp'} in {place / 'Gt'}, which does not exist")
        forged = pictures(place / "Tp")
        masks = _by_picture(forged, pictures(place / "Gt"), place, tell)
        for file in forged:
            if file not in masks:
                tell(f"{NAME}: {file} has no mask of its name in {place / 'Gt'}; unpack the masks again")
            yield _sample(root, file, masks.get(file), True, each, place.resolve().name)


def _by_picture(forged: list[Path], masks: list[Path], place: Path, tell: Tell) -> dict[Path, Path]:
    """Picture → mask, by name, or by order where no name fits."""
    named = {re.sub(r"[_-](gt|mask)$", "", mask.stem, flags=re.IGNORECASE): mask for mask in masks}
    matched = {file: named[file.stem] for file in forged if file.stem in named}
    if matched or len(forged) != len(masks) or not forged:
        return matched
    tell(f"{NAME}: no mask in {place / 'Gt'} is named as a picture in {place / 'Tp'}; they are paired by order")
    return dict(zip(sorted(forged), sorted(masks), strict=True))  # not in natural order: as the original has it


def _split_of(name: str) -> str:
    return next((word for word in re.split(r"[^a-z]+", name.lower()) if word in SPLITS), "all")


def _sample(root: Path, file: Path, mask: Path | None, forged: bool, split: str, dataset: str) -> Sample:
    name = file.relative_to(root).as_posix()
    truth = Truth("fake", mask=None if mask is None else partial(mask_of, mask)) if forged else Truth(
        "real", "pristine", "pristine", regions=frozenset()
    )  # fmt: skip
    return Sample(name, truth, split, name, dataset)
