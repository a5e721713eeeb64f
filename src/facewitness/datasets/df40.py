"""DF40: forty ways to forge a face (swaps, reenactments, whole faces, edits), on FaceForensics++ and Celeb-DF.

Paper: Yan, Yao, Chen, Zhao, Fu, Zhu, Luo, Wang, Ding, Wu, Yuan, DF40: Toward Next-Generation Deepfake Detection,
NeurIPS 2024 (datasets and benchmarks). Licence: CC BY-NC 4.0. How to obtain: the links in github.com/YZY-stack/DF40.

    ROOT/{DF40_train,DF40}/METHOD/{ff,cdf}/frames/000_003/000.png     swaps and reenactments: cropped frames of a video
    ROOT/{DF40_train,DF40}/METHOD/{ff,cdf}/…/*.png                    whole faces and edits: pictures
    ROOT/DF40/{deepfacelab,heygen,stargan,…}/{real,fake}/…            nine methods come with real pictures of their own

DF40_train (also train/) is the split train, DF40 (also test/, DF40_test/) is test; a ROOT that holds the methods
themselves is test, or train if its name says so. Contents are documented in that repository (README.md, preprocessing/
rearrange.py), folders below a method only in part, and they differ: below METHOD every folder is looked into, all is
fake but what lies in a folder `real`, and in swaps and reenactments a folder of pictures (or a video file, of the
original download) is one video.

For 31 methods the real part is that of FaceForensics++ and Celeb-DF, not in here: measure it together with them. The
group is the FaceForensics++ sequences that were swapped with one another (ff), the Celeb-DF video (cdf; as public
readers take it, the last celebrity in the name was filmed), else the video or picture. A group that is in both splits
carries the split's name, and is told.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from facewitness.datasets._disk import (
    PICTURES,
    VIDEOS,
    Tell,
    apart,
    folder,
    joined,
    natural,
    not_empty,
    of_video,
    silent,
    wanted,
)
from facewitness.errors import InputError
from facewitness.types import Sample, Truth

SPLITS = ("train", "test")
NAME = "DF40"

_FOLDERS_OF = {"train": ("DF40_train", "train"), "test": ("DF40", "test", "DF40_test")}
_SWAPS = ("fsgan", "faceswap", "simswap", "inswap", "blendface", "uniface", "mobileswap", "e4s", "facedancer",
          "deepfacelab")  # fmt: skip
_REENACTMENTS = ("fomm", "facevid2vid", "wav2lip", "mraa", "oneshotfree", "oneshot", "pirender", "tpsm", "lia", "danet",
                 "dagan", "sadtalker", "mcnet", "hyperreenact", "heygen")  # fmt: skip
_SYNTHESES = ("vqgan", "stylegan2", "stylegan3", "styleganxl", "sd21", "ddim", "ddpm", "rddm", "pixart", "dit", "sit",
              "midjourney", "whichfaceisreal", "whichisreal")  # fmt: skip
_EDITS = ("collabdiff", "e4e", "stargan", "starganv2", "styleclip")
_KIND_OF = (
    dict.fromkeys(_SWAPS, "identity_exchange")
    | dict.fromkeys((*_REENACTMENTS, *_EDITS), "attribute_manipulation")
    | dict.fromkeys(_SYNTHESES, "entire_synthesis")
)
_NOT_VIDEOS = ("ff", "cdf", "real", "fake", "frames", "images")  # folders of the layout: pictures in them are stills
_NOT_READ = ("landmarks", "masks", "__MACOSX")


def samples(root: str | Path, split: str | None = None, *, frames: int = 32, tell: Tell = silent) -> Iterator[Sample]:
    """All videos and pictures, a method after the other. Tells of folders that are no method and of absent splits.

    `frames` evenly spaced ones of each video; 0 gives one sample for the whole of it. Pictures are all taken.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        frames: How many evenly spaced frames of each video; 0 for one sample a video.
        tell: Is called with each sentence about what is absent or odd.
    """
    root = folder(root, NAME, ())
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root, split, frames, tell), NAME, split, root)


@dataclass(frozen=True, slots=True)
class _Item:
    """A video (a file or a folder of frames), or a folder whose pictures are items themselves."""

    path: Path
    split: str
    method: str
    real: bool
    video: bool
    group: str | None  # None: each picture is its own


def _samples(root: Path, split: str | None, frames: int, tell: Tell) -> Iterator[Sample]:
    items = [item for each, place in _places(root, tell).items() for item in _items(root, each, place, tell)]
    pairs = [tuple(i.group.split("_")) for i in items if i.group and re.fullmatch(r"\d{3}_\d{3}", i.group)]
    sequences = joined((a, b) for a, b in pairs)

    def named(item: _Item) -> str | None:
        return sequences.get(item.group[:3], item.group) if item.group else None

    group = apart(((name, item.split) for item in items if (name := named(item))), NAME, tell)
    for item in items:
        if split not in (None, item.split):
            continue
        truth = (
            Truth("real", "pristine", "pristine", regions=frozenset())
            if item.real
            else Truth("fake", item.method, _KIND_OF[_plain(item.method)])
        )
        name = named(item)
        together = group[name, item.split] if name else None
        if item.video:
            yield from of_video(
                root,
                item.path,
                truth,
                dataset=NAME,
                split=item.split,
                group=together or item.path.relative_to(root).as_posix(),
                frames=frames,
                tell=tell,
            )
            continue
        for picture in sorted((p for p in item.path.iterdir() if p.suffix.lower() in PICTURES), key=natural):
            file = picture.relative_to(root).as_posix()
            yield Sample(file=file, truth=truth, split=item.split, group=together or file, dataset=NAME)


def _places(root: Path, tell: Tell) -> dict[str, Path]:
    """The folder of methods of each split."""
    places = {s: root / n for s, names in _FOLDERS_OF.items() for n in reversed(names) if (root / n).is_dir()}
    for each in SPLITS if places else ():
        if each not in places:
            tell(f"{NAME}: {root} holds none of {', '.join(_FOLDERS_OF[each])}, so nothing of the split '{each}'")
    return places or {"train" if "train" in root.resolve().name.lower() else "test": root}


def _items(root: Path, split: str, place: Path, tell: Tell) -> Iterator[_Item]:
    below = sorted((p for p in place.iterdir() if p.is_dir() and not p.name.startswith(".")), key=natural)
    methods = [p for p in below if _plain(p.name) in _KIND_OF]
    if not methods:
        there = ", ".join(p.name for p in below[:8]) or "nothing"
        raise InputError(
            f"{NAME}: expected folders of methods such as blendface, fomm or sd2.1 in {place}, which holds {there}. "
            "Give the folder that holds DF40_train and DF40, or one of them."
        )
    for odd in (p for p in below if p not in methods):
        tell(f"{NAME}: {odd} is none of the methods; it is left out")
    for method in methods:
        empty = True
        for name, folders, files in os.walk(method):
            folders[:] = sorted((f for f in folders if f not in _NOT_READ and not f.startswith(".")), key=natural)
            path = Path(name)
            parts = [part.lower() for part in path.relative_to(place).parts]
            still = next((f for f in files if Path(f).suffix.lower() in PICTURES), None)
            films = sorted((f for f in files if Path(f).suffix.lower() in VIDEOS), key=natural)
            of_videos = _plain(method.name) in (*_SWAPS, *_REENACTMENTS)
            real = "real" in parts
            empty = empty and still is None and not films
            if still is not None:
                video = of_videos and path != method and path.name.lower() not in _NOT_VIDEOS
                yield _Item(path, split, method.name, real, video, _group(path.name, parts))
            for film in films:
                yield _Item(path / film, split, method.name, real, True, _group(Path(film).stem, parts))
        if empty:
            tell(f"{NAME}: {method} holds no picture and no video; unpack it again")


def _group(name: str, parts: list[str]) -> str | None:
    """The sequences of FaceForensics++ (000 or 000_003) or the video of Celeb-DF (id1_0003) that a name tells."""
    if "ff" in parts and re.fullmatch(r"\d{3}(_\d{3})?", name):
        return name
    if "cdf" in parts and (celebrity := re.fullmatch(r"(?:.*_)?(id\d+_\d+)", name)):
        return f"Celeb-real/{celebrity[1]}"
    return None


def _plain(name: str) -> str:
    """stylegan-xl and StyleGANXL are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
