"""DeepfakeBench: its lists of extracted frames, for FaceForensics++, Celeb-DF, DFDC and others alike.

Paper: Yan, Zhang, Yuan, Lyu, Wu, DeepfakeBench: A Comprehensive Benchmark of Deepfake Detection, NeurIPS 2023 (datasets
and benchmarks). Licence: CC BY-NC 4.0 for the lists; the frames are under the terms of the datasets they are of. How to
obtain: the links in github.com/SCLBD/DeepfakeBench, to lists and to face crops of 32 frames a video.

    ROOT/FaceForensics++.json, FF-DF.json, …       also in ROOT/dataset_json/, ROOT/preprocessing/dataset_json/
    ROOT/FaceForensics++/original_sequences/…      the paths in the lists; also in ROOT/rgb/, ROOT/datasets/rgb/

    {"FaceForensics++": {"FF-real": {"train": {"c23": {"000": {"label": "FF-real", "frames": ["…/000.png", …]}}}}}}

The compression is left out where a dataset has one only. Frames may be written with either slash, and with whatever
stood before on the machine that made the list. The structure is documented by preprocessing/rearrange.py and the labels
by training/config/test_config.yaml of that repository.

That program puts some videos into several splits (all of Celeb-DF's into train and its test videos into test and val as
well; all of DFD, DeeperForensics and UADFV into all three). Here a video is in one: in test, else val, else train; how
many were moved is told. Frames are evenly spaced over those listed. Masks are read where a list has them, by file name.
Group: for FaceForensics++ the pair that was swapped, for Celeb-DF the source video, otherwise the video itself, since
names do not say who is shown: actors of DFD, DFDC and DeeperForensics may be in two splits. Celeb-DF's celebrities are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any

from facewitness.datasets._disk import (
    Tell,
    apart,
    below,
    evenly,
    folder,
    joined,
    mask_of,
    natural,
    not_empty,
    read_json,
    silent,
    wanted,
)
from facewitness.errors import InputError
from facewitness.types import Sample, Truth

SPLITS = ("train", "val", "test")
NAME = "DeepfakeBench"

_LISTS = ("*.json", "dataset_json*/*.json", "preprocessing/dataset_json*/*.json")
_FRAMES = ("", "rgb", "datasets/rgb", "datasets")
_FF = {
    "FF-DF": ("Deepfakes", "identity_exchange"),
    "FF-F2F": ("Face2Face", "attribute_manipulation"),
    "FF-FS": ("FaceSwap", "identity_exchange"),
    "FF-NT": ("NeuralTextures", "attribute_manipulation"),
    "FF-FH": ("FaceShifter", "identity_exchange"),
    "FF-SH": ("FaceShifter", "identity_exchange"),
}
# what a label begins with → the dataset's name in tables, and what its fakes are where all are alike
_DATASETS: Mapping[str, tuple[str, str | None]] = {
    "FF": ("FaceForensics++", None),
    "DFD": ("DFD", "identity_exchange"),
    "CelebDFv1": ("Celeb-DF-v1", "identity_exchange"),
    "CelebDFv2": ("Celeb-DF-v2", "identity_exchange"),
    "DFDCP": ("DFDCP", "identity_exchange"),
    "DFDC": ("DFDC", None),
    "DF": ("DeeperForensics-1.0", "identity_exchange"),
    "UADFV": ("UADFV", "identity_exchange"),
}
_SWAP = re.compile(r"(id\d+)_id\d+_(\d+)")  # Celeb-DF: target, donor, number
_SEQUENCE = re.compile(r"(\d{3})(?:_(\d{3}))?")  # FaceForensics++: target, donor


@dataclass(frozen=True, slots=True)
class _Video:
    """One video of a list."""

    dataset: str
    truth: Truth
    compression: str | None
    name: str
    frames: tuple[str, ...]
    masks: Mapping[str, str]  # a frame's name without ending → its mask


def samples(
    root: str | Path, split: str | None = None, *, frames: int = 32, tell: Tell = silent
) -> Iterator[Sample]:  # fmt: skip
    """The videos of all lists, each once, in the lists' order; `frames` evenly spaced ones of each, 0 for the first.

    Tells of absent frames and of videos that are listed in several splits.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        frames: How many evenly spaced frames of each video; 0 for the first.
        tell: Is called with each sentence about what is absent or odd.

    Raises:
        InputError: For a list that is broken.
    """
    root = folder(root, NAME, _LISTS, any_of=True)
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root, split, frames, tell), NAME, split, root)


def _samples(root: Path, split: str | None, frames: int, tell: Tell) -> Iterator[Sample]:
    videos = _listed(root, tell)
    sources = [(video, _source(video), each) for video, each in videos]
    person = joined((a, b or a) for video, (a, b), _ in sources)
    group = apart(((person[a], each) for _, (a, _), each in sources), NAME, tell)
    for video, (a, _), each in sources:
        if split in (None, each):
            yield from _of(root, video, each, group[person[a], each], frames, tell)


def _of(root: Path, video: _Video, split: str, group: str, frames: int, tell: Tell) -> Iterator[Sample]:
    chosen = [video.frames[i] for i in evenly(len(video.frames), frames)] if frames else list(video.frames[:1])
    lists = {name: path for name in chosen if (path := _below(root, name)) is not None}
    key = "/".join((video.dataset, str(video.truth.method), video.compression or "-", video.name))
    if len(lists) < len(chosen) or not chosen:
        absent = next((name for name in chosen if name not in lists), "nothing")
        tell(
            f"{NAME}: {len(chosen) - len(lists)} of {len(chosen)} frames of {key} are not in {root} (the list has "
            f"{absent}); unpack the frames there"
        )
    for path in lists.values():
        mask = video.masks.get(path.stem)
        mask_path = _below(root, mask) if mask else None
        truth = video.truth
        if mask_path is not None:
            truth = Truth(truth.label, truth.method, truth.kind, partial(mask_of, mask_path), truth.regions)
        yield Sample(
            file=path.relative_to(root).as_posix(),
            truth=truth,
            split=split,
            group=group,
            dataset=video.dataset,
            video=key,
            compression=video.compression,
        )


def _below(root: Path, listed: str) -> Path | None:
    return next((path for place in _FRAMES if (path := below(root / place, listed)) is not None), None)


def _source(video: _Video) -> tuple[str, str | None]:
    """Who or what a video shows, as far as its name tells: one or two keys that other videos may share."""
    if video.dataset == "FaceForensics++" and (match := _SEQUENCE.fullmatch(video.name)):
        return f"FF/{match[1]}", f"FF/{match[2]}" if match[2] else None
    if video.dataset.startswith("Celeb-DF") and (match := _SWAP.fullmatch(video.name)):
        return f"{video.dataset}/{match[1]}_{match[2]}", None
    return f"{video.dataset}/{video.name}", None


# ------------------------------------------------------------------------------------------------------- the lists


def _listed(root: Path, tell: Tell) -> list[tuple[_Video, str]]:
    """Every video of every list once, with its one split."""
    videos: dict[tuple[str, str, str | None, str], tuple[_Video, str]] = {}
    moved = 0
    for pattern in _LISTS:
        for path in sorted(root.glob(pattern), key=natural):
            for split, video in _videos(path, tell):
                key = (video.dataset, str(video.truth.method), video.compression, video.name)
                before = videos[key][1] if key in videos else split
                moved += before != split
                videos[key] = (video, max(before, split, key=SPLITS.index))
    if moved:
        tell(
            f"{NAME}: {moved} times a video is listed in a further split; it counts in test, else in val, else in train"
        )
    return list(videos.values())


def _videos(path: Path, tell: Tell) -> Iterator[tuple[str, _Video]]:
    """(split, video) of one list. Raises InputError that says where it is odd."""
    for dataset, labels in _object(read_json(path, NAME), f"{path}").items():
        for label, splits in _object(labels, f"{path}: {dataset}").items():
            for split, inside in _object(splits, f"{path}: {dataset}: {label}").items():
                where = f"{path}: {dataset}: {label}: {split}"
                if split not in SPLITS:
                    raise InputError(f"{NAME}: {where}: expected one of the splits {', '.join(SPLITS)}; mend the list")
                inside = _object(inside, where)
                if "frames" in inside:  # rearrange.py leaves one video there in place of DFDC's validation set
                    tell(f"{NAME}: {where} is one video, where videos by name were expected; it is left out")
                    continue
                plain = all(isinstance(entry, dict) and "frames" in entry for entry in inside.values())
                for compression, videos in ({None: inside} if plain else inside).items():
                    for name, entry in _object(videos, f"{where}: {compression}").items():
                        yield split, _video(dataset, label, compression, name, entry, f"{where}: {name}")


def _video(dataset: str, label: str, compression: str | None, name: str, entry: Any, where: str) -> _Video:
    entry = _object(entry, where)
    label_text = entry.get("label", label)
    frames, masks = entry.get("frames"), entry.get("masks") or []
    if not all(isinstance(paths, list) and all(isinstance(p, str) for p in paths) for paths in (frames, masks)):
        raise InputError(f'{NAME}: {where}: expected "frames": ["…/000.png", …]; download the list again')
    known, kind = _DATASETS.get(re.split(r"[-_]", str(label_text))[0], (dataset, None))
    return _Video(
        dataset=known,
        truth=_truth(str(label_text), kind, where),
        compression=compression,
        name=name,
        frames=tuple(sorted(frames or (), key=natural)),
        masks={PureWindowsPath(mask).stem: mask for mask in masks},  # it knows either slash
    )


def _truth(label: str, kind: str | None, where: str) -> Truth:
    if label in _FF:
        return Truth("fake", *_FF[label])
    word = re.split(r"[-_]", label)[-1].lower()
    if word == "real":
        return Truth("real", "pristine", "pristine", regions=frozenset())
    if word.startswith("fake"):
        return Truth("fake", label, kind)
    raise InputError(
        f"{NAME}: {where}: expected a label that ends in real or fake, or one of {', '.join(_FF)}, got {label!r}; "
        "name it so in the list"
    )


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(
            f"{NAME}: {where}: expected {{dataset: {{label: {{split: {{video: …}}}}}}}}, got {type(value).__name__}; "
            "keep only DeepfakeBench's lists there"
        )
    return value
