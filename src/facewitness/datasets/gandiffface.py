"""GANDiffFace: people who do not exist, made by StyleGAN3 and shown in new scenes by a diffusion model; all fake.

Paper: Melzi, Rathgeb, Tolosana, Vera-Rodriguez, Lawatsch, Domin, Schaubert, GANDiffFace: Controllable Generation of
Synthetic Datasets for Face Recognition with Realistic Variations, ICCV Workshops 2023 (AMFG). Licence: for research, on
request; the terms could not be verified. How to obtain: from the authors, or with the FRCSyn challenge.

    ROOT/<Asian|Black|Indian|Other|White>_<Female|Male>/<identity>/<number>.png

The tree is read from two public users of the FRCSyn copy of it (paths such as White_Male/7381461/49.png), not from the
authors' own words. `root` may also be the folder above, or hold the cropped copy images_crops_112x112/. No official
split: all have the split "all". The group is the identity. A set of one label: measure it together with a set of real
faces.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from facewitness.datasets._disk import Tell, folder, not_empty, pictures, silent, wanted
from facewitness.types import Sample, Truth

SPLITS = ("all",)
NAME = "GANDiffFace"

_DEMOGRAPHICS = tuple(f"{a}_{b}" for a in ("Asian", "Black", "Indian", "Other", "White") for b in ("Female", "Male"))
_PLACES = ("", "GANDiffFace/", "images_crops_112x112/")


def samples(root: str | Path, split: str | None = None, *, tell: Tell = silent) -> Iterator[Sample]:
    """All pictures, an identity after the other. Tells of demographic groups that are absent.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        tell: Is called with each sentence about what is absent or odd.
    """
    root = folder(root, NAME, tuple(place + name for place in _PLACES for name in _DEMOGRAPHICS), any_of=True)
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root, tell), NAME, split, root)


def _samples(root: Path, tell: Tell) -> Iterator[Sample]:
    below = next(p for place in _PLACES if any((p := root / place).joinpath(name).is_dir() for name in _DEMOGRAPHICS))
    truth = Truth("fake", "GANDiffFace", "entire_synthesis")
    for name in _DEMOGRAPHICS:
        files = pictures(below / name)
        if not files:
            tell(f"{NAME}: {below / name} holds no picture; unpack it again where your copy had it")
        for picture in files:
            identity = (
                picture.relative_to(below).parts[1] if len(picture.relative_to(below).parts) > 2 else picture.stem
            )
            yield Sample(
                file=picture.relative_to(root).as_posix(),
                truth=truth,
                split="all",
                group=f"{name}/{identity}",
                dataset=NAME,
            )
