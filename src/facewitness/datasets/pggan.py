"""PGGAN: faces of nobody, made by the progressively grown GAN; all of them fake.

Paper: Karras, Aila, Laine, Lehtinen, Progressive Growing of GANs for Improved Quality, Stability, and Variation, ICLR
2018. Licence: CC BY-NC 4.0. How to obtain: images/100k-generated-images, linked in the README of
github.com/tkarras/progressive_growing_of_gans, or your own pictures of the released network.

    ROOT/**/*.png

Give the folder of the network that was trained on CelebA-HQ: those beside it hold bedrooms and cars. The names of these
folders could not be verified, so every picture below `root` is taken. No official split: all have the split "all" and
each is its own group. A set of one label: measure it together with a set of real faces, as
OW-FFA-Bench does with CelebA, on whose larger version the network was trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from facewitness.datasets._disk import Tell, folder, not_empty, pictures, silent, wanted
from facewitness.types import Sample, Truth

SPLITS = ("all",)
NAME = "PGGAN"


def samples(root: str | Path, split: str | None = None, *, tell: Tell = silent) -> Iterator[Sample]:
    """All pictures below the root, in natural order. The authors list none, so nothing can be told absent.

    Args:
        root: The dataset's folder, as it is unpacked.
        split: "train", "val" or "test"; None for all.
        tell: Is called with each sentence about what is absent or odd.
    """
    root = folder(root, NAME, ())
    wanted(split, SPLITS, NAME)
    return not_empty(_samples(root), NAME, split, root)


def _samples(root: Path) -> Iterator[Sample]:
    truth = Truth("fake", "PGGAN", "entire_synthesis")
    for picture in pictures(root):
        file = picture.relative_to(root).as_posix()
        yield Sample(file=file, truth=truth, split="all", group=file, dataset=NAME)
