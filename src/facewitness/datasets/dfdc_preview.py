"""DFDCP, the preview of the Deepfake Detection Challenge: 5,000 short videos of paid actors, forged by two methods.

Paper: Dolhansky, Howes, Pflaum, Baram, Canton Ferrer, The Deepfake Detection Challenge (DFDC) Preview Dataset, arXiv
1910.08854, 2019. Licence (not verified): the challenge's terms, research on detection only. How to obtain:
ai.meta.com/datasets/dfdc.

    ROOT/dataset.json                       {"method_A/1055673/1055673_A_000.mp4": {"label": "fake", "set": "train",
                                              "target_id": 1055673, "swapped_id": 870131, "source_video": …}, …}
    ROOT/original_videos/ID/*.mp4
    ROOT/method_A/ID/*.mp4, method_B/ID/*.mp4

The list and its fields are as several public readers use them (DeepfakeBench's preprocessing/rearrange.py among them);
no document of the authors was at hand, and the numbers above are made up. Extracted frames are read from a folder of
the video's name in its place, or from method_A/frames/NAME/ as DeepfakeBench lays them.

The group is the actor who was filmed, target_id. Whether the official split holds actors out was not verified: a group
that it divides carries the split's name, and is told. The face put in, swapped_id, is not held out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from facewitness.datasets._disk import Tell, apart, folder, not_empty, of_video, read_json, silent, wanted
from facewitness.errors import InputError
from facewitness.types import Sample, Truth

SPLITS = ("train", "test")
NAME = "DFDCP"

_PRISTINE = Truth("real", "pristine", "pristine", regions=frozenset())


def samples(root: str | Path, split: str | None = None, *, frames: int = 32, tell: Tell = silent) -> Iterator[Sample]:
    """All videos in the order of the list; `split` keeps one split. Tells of listed videos that are absent.

    `frames` evenly spaced ones of each video; 0 gives one sample for the whole of it.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        frames: How many evenly spaced frames of each video; 0 for one sample a video.
        tell: Is called with each sentence about what is absent or odd.
    """
    root = folder(root, NAME, ("dataset.json",))
    root = folder(root, NAME, ("original_videos", "method_A", "method_B"), any_of=True)
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root, split, frames, tell), NAME, split, root)


def _samples(root: Path, split: str | None, frames: int, tell: Tell) -> Iterator[Sample]:
    table = root / "dataset.json"
    content = read_json(table, NAME)
    if not isinstance(content, dict):
        raise InputError(f"{NAME}: {table}: expected an entry for each video; download it again")
    filmed = {key: _filmed(table, key, entry) for key, entry in content.items()}
    group = apart(((filmed[key], entry["set"]) for key, entry in content.items()), NAME, tell)
    for key, entry in content.items():
        if split not in (None, entry["set"]):
            continue
        video = _place(root, key)
        if video is None:
            tell(f"{NAME}: {root / key}, listed in {table.name}, does not exist; unpack its folder again")
            continue
        real = entry["label"] == "real"
        source = entry.get("source_video")
        origin = _place(root, source) if not real and isinstance(source, str) and source in content else None
        yield from of_video(
            root,
            video,
            _PRISTINE if real else Truth("fake", PurePosixPath(key).parts[0], "identity_exchange"),
            dataset=NAME,
            split=entry["set"],
            group=group[filmed[key], entry["set"]],
            frames=frames,
            tell=tell,
            original=origin.relative_to(root).as_posix() if origin else None,
            name=PurePosixPath(key).with_suffix("").as_posix(),
        )


def _filmed(table: Path, key: str, entry: Any) -> str:
    """The actor in the video. Raises InputError where the entry lacks what a sample needs."""
    odd = None
    if not isinstance(entry, dict):
        odd = f"an entry with label and set, got {entry!r}"
    elif entry.get("label") not in ("real", "fake"):
        odd = f"the label real or fake, got {entry.get('label')!r}"
    elif entry.get("set") not in SPLITS:
        odd = f"the set train or test, got {entry.get('set')!r}"
    elif entry.get("target_id") is None:
        odd = "a target_id, found none"
    elif PurePosixPath(key).is_absolute() or ".." in PurePosixPath(key).parts:
        odd = "a path below the folder"
    if odd:
        raise InputError(f"{NAME}: {table}: {key}: expected {odd}; download it again")
    return str(entry["target_id"])


def _place(root: Path, key: str) -> Path | None:
    path = PurePosixPath(key)
    places = (root / key, root / path.with_suffix(""), root / path.parts[0] / "frames" / path.stem)
    return next((p for p in places if p.exists()), None)
