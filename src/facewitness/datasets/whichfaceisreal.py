"""Which Face Is Real: FFHQ portraits against faces of StyleGAN, from the game of that name.

Source: Jevin West and Carl Bergstrom, whichfaceisreal.com, University of Washington, 2019. Gathered as a test set by
Wang, Wang, Zhang, Owens, Efros, CNN-generated images are surprisingly easy to spot… for now, CVPR 2020 (1,000 + 1,000).
Licence: FFHQ's (each photograph its own, non-commercial ones among them) and that of StyleGAN's outputs (CC BY-NC 4.0).
How to obtain: CNN_synth_testset.zip, linked in the README of github.com/PeterWang512/CNNDetection.

    ROOT/0_real/*.png                       ROOT/whichfaceisreal/0_real/*.png      (the whole CNN_synth_testset)
    ROOT/1_fake/*.png                       ROOT/whichfaceisreal/1_fake/*.png

Documented in that README. Also read: realimages/ and fakeimages/, as the game's own server names them (the second of
them could not be verified). All of it is a test set, and every picture shows another person: its own group.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from facewitness.datasets._disk import PRISTINE, Tell, folder, not_empty, pictures, silent, wanted
from facewitness.types import Sample, Truth

SPLITS = ("test",)
NAME = "WhichFaceIsReal"

_FAKE = Truth("fake", "StyleGAN", "entire_synthesis")
_FOLDERS = (("0_real", PRISTINE), ("realimages", PRISTINE), ("1_fake", _FAKE), ("fakeimages", _FAKE))


def samples(root: str | Path, split: str | None = None, *, tell: Tell = silent) -> Iterator[Sample]:
    """All pictures, real ones first. Tells where one of the two labels has none.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        tell: Is called with each sentence about what is absent or odd.
    """
    names = tuple(name for name, _ in _FOLDERS)
    root = folder(root, NAME, (*names, *(f"whichfaceisreal/{name}" for name in names)), any_of=True)
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root, tell), NAME, split, root)


def _samples(root: Path, tell: Tell) -> Iterator[Sample]:
    below = root / "whichfaceisreal" if (root / "whichfaceisreal").is_dir() else root
    seen = set()
    for name, truth in _FOLDERS:
        for picture in pictures(below / name):
            seen.add(truth.label)
            file = picture.relative_to(root).as_posix()
            yield Sample(file=file, truth=truth, split="test", group=file, dataset=NAME)
    for label, name in (("real", "0_real"), ("fake", "1_fake")):
        if label not in seen:
            tell(f"{NAME}: {below / name} holds no picture; unpack whichfaceisreal/ of CNN_synth_testset.zip again")
