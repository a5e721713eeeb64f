"""Self-made edits drawn once, with what a frozen encoder says of them: what the small grounding systems learn from.

    drawn(recipe.draws, pack, folder, "train")     → Edits, mapped into memory

MMTT's four families of manipulations by our forgers: a face swapped, attributes edited, and two ways to inpaint. Every
edit is made on a genuine picture, so its mask is known pixel by pixel, and a share of the pictures stays genuine. A
frozen encoder says the same of a picture in every epoch, so it is asked once (`features`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from facewitness import geometry, plugins
from facewitness.builders.grounded import EVERY, Family
from facewitness.builders.pack import Pack, jittered, progress
from facewitness.errors import InputError
from facewitness.files import each_once, held, write_whole
from facewitness.forge import Forged, degrade
from facewitness.models._encoder import Features
from facewitness.train import checkpoint
from facewitness.train.recipe import MOST_SIDE, at_least, at_most, by_share, in_one, known, of_shares
from facewitness.types import Landmarks

GRID = 2  # pixels of a crop that a sample of a stored mask stands for
_TRIES = 12
# "programmatically selecting and merging facial component segments" (section 2.1), as the tree has them
COMPONENTS = (
    "left_eye", "right_eye", "left_eyebrow", "right_eyebrow", "nose", "mouth", "upper_lip", "lower_lip", "chin",
    "left_cheek", "right_cheek", "forehead", "left_under_eye", "right_under_eye", "philtrum",
)  # fmt: skip


def _as(family: str, **options: Any) -> Family:
    """A family of the builders with other options."""
    return replace(EVERY[family], options={**EVERY[family].options, **options})


# The families of `builders/grounded`, each with what training asks of it; each one's share is another's to choose.
FAMILIES: Mapping[str, Family] = {
    "swap": _as("swap", hulls=["face", "below_forehead", "inner", "parts", "parts"]),
    "attribute": _as("attribute", slight=1.6, max_regions=4),
    "inpaint_smooth": _as("smooth_inpainting", choices=COMPONENTS, max_holes=4),
    "inpaint_exemplar": _as("inpainting", choices=COMPONENTS, max_holes=4),
    # none of MMTT's: what a system may be measured on without having learned from it
    "self_blend": _as("self_blend", hulls=["inner", "lower", "some", "some"], ratios=[0.75, 1.0, 1.0]),
    "lip_sync": _as("lip_sync"),
}


@dataclass(frozen=True)
class Draws:
    """What is drawn.

    Attributes:
        sources: Data set → share of draws; genuine pictures of the pack.
        families: Key of FAMILIES → share.
        genuine: Share of pictures that stay as they are.
        images: How many are drawn to learn from; measured: how many to measure on.
        size: Side of a crop, pixels; margin: crop side over the mesh's longer side.
        degradation: Shares of pictures that suffer no degradation, one, two …; strength: at most.
        seed: Of all draws.
    """

    sources: dict[str, float]
    families: dict[str, float] = field(
        default_factory=lambda: {"swap": 0.3, "attribute": 0.2, "inpaint_smooth": 0.2, "inpaint_exemplar": 0.3}
    )
    genuine: float = 0.12
    images: int = 6000
    measured: int = 400
    size: int = 224
    margin: float = 1.25
    degradation: tuple[float, ...] = (0.7, 0.2, 0.1)
    strength: float = 0.4
    seed: int = 0

    def __post_init__(self) -> None:
        known("family of edits", self.families, FAMILIES)
        if not self.sources or not self.families:
            raise InputError("draws: expected at least one source and one family of edits")
        of_shares("shares of sources", self.sources.values())
        of_shares("shares of families", self.families.values())
        of_shares("shares of degradation", self.degradation)
        in_one(self, "strength")
        at_least(self, size=32)
        at_most(self, MOST_SIDE, "size")
        if not 0 <= self.genuine < 1:
            raise InputError(f"draws: expected a share of genuine pictures in [0, 1), got {self.genuine}")
        if self.images < 1 or self.measured < 1:
            raise InputError(f"draws: expected images and measured of at least 1, got {self.images}, {self.measured}")


class Edits:
    """Crops with the truth about them.

    Attributes:
        rows: One JSON object a crop: `fake`, `family`, `forger`, `record` (what was done), `kind`, `source`, `file`,
            `group`.
        pixels: uint8 (N, S, S, 3); masks: uint8 (N, S/2, S/2), 255 forged; meshes: float32 (N, 468, 2) in a crop's
            pixels.

    Args:
        folder: Where they were drawn.

    Raises:
        InputError: It holds none.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        try:
            self.rows: list[dict[str, Any]] = json.loads(
                (folder / "rows.json").read_text(encoding="utf-8"), object_pairs_hook=each_once
            )
            self.pixels = np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False)
            self.masks = np.load(folder / "masks.npy", mmap_mode="r", allow_pickle=False)
            self.meshes = np.load(folder / "meshes.npy", mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(f"'{folder}' holds no edits ({error}). Draw them again.") from error

    def __len__(self) -> int:
        return len(self.rows)

    def images(self, rows: Any) -> Tensor:
        """Crops as a network takes them: float (n, 3, S, S) in 0..255.

        Args:
            rows: Which crops: numbers or a slice.

        Returns:
            float32 (n, 3, S, S) in 0..255.
        """
        return torch.from_numpy(np.array(self.pixels[rows])).permute(0, 3, 1, 2).float()

    def truth(self, rows: Any) -> Tensor:
        """Masks, float (n, S/2, S/2) in [0, 1].

        Args:
            rows: Which rows: numbers or a slice.

        Returns:
            float32 (n, S/2, S/2) in [0, 1].
        """
        return torch.from_numpy(np.array(self.masks[rows])).float() / 255

    def features(self, encoder: Any, name: str, batch: int = 16) -> Kept:
        """What an encoder says of every crop, kept in the folder under a name, which says which weights it had.

        Args:
            encoder: A frozen network.
            name: Of what is kept; says which weights it had.
            batch: Crops at once.
        """
        return Kept(self, encoder, name, batch)


class Kept:
    """A frozen encoder's features of `Edits`, in half precision on the disk.

    Args:
        edits: Whose features.
        encoder: One of `models/_encoder`, asked only where the disk has none of its features yet.
        name: Of the files, one for each encoder's weights.
        batch: Crops at once.
    """

    def __init__(self, edits: Edits, encoder: Any, name: str, batch: int):
        self.folder = edits.folder
        whole, grid = self.folder / f"{name}-whole.npy", self.folder / f"{name}-grid.npy"
        if not grid.exists():
            self._fill(edits, encoder, whole, grid, batch)
        self.whole, self.grid = (np.load(file, mmap_mode="r", allow_pickle=False) for file in (whole, grid))

    def _fill(self, edits: Edits, encoder: Any, whole: Path, grid: Path, batch: int) -> None:
        n, side = len(edits), encoder.grid
        part = grid.with_suffix(".part.npy")
        kept = np.lib.format.open_memmap(part, "w+", np.float16, (n, encoder.width, side, side))
        wholes = np.zeros((n, encoder.whole), np.float16)
        with progress() as bar:
            for begin in bar.track(range(0, n, batch), description="features"):
                seen = encoder(edits.images(slice(begin, begin + batch)))
                kept[begin : begin + batch] = seen.grid.half().numpy()
                wholes[begin : begin + batch] = seen.whole.half().numpy()
        kept.flush()
        np.save(whole, wholes)
        part.replace(grid)

    def of(self, rows: Any) -> Features:
        """Of some crops, as the encoder would give them.

        Args:
            rows: Which rows: numbers or a slice.
        """
        whole, grid = (torch.from_numpy(np.array(kept[rows])).float() for kept in (self.whole, self.grid))
        return Features(whole, grid)


def drawn(draws: Draws, pack: Path, folder: Path, split: str, families: Mapping[str, float] | None = None) -> Edits:
    """The edits of a split in a folder, drawn where they are not there yet.

    Args:
        draws: What is drawn.
        pack: Folder of `builders/pack`.
        folder: Where all draws are kept; each has its own folder in it, named by its digest.
        split: "train", "val" for what is measured on, or "calibrate", groups of training that are held out.
        families: Other families than the recipe's, such as one that nothing learned from.

    Raises:
        InputError: A source has no genuine picture in the split, or the folder holds the edits of another pack,
            or another process draws there.
    """
    settings = json.dumps([asdict(draws), split, dict(families or draws.families)], sort_keys=True)
    place = folder / f"{split}-{hashlib.sha256(settings.encode()).hexdigest()[:12]}"
    of = checkpoint.sha256(pack / "rows.json") if (pack / "rows.json").is_file() else None
    if (place / "rows.json").exists():
        made_of = place / "pack.sha256"  # older draws say nothing of it
        if of is not None and made_of.is_file() and made_of.read_text(encoding="utf-8") != of:
            raise InputError(
                f"'{place}' holds edits of another pack than '{pack}'. Name another folder with --draws, or delete it."
            )
        return Edits(place)
    with held(place / ".lock"):
        _draw(draws, pack, place, split, dict(families or draws.families), of)
    return Edits(place)


def _draw(draws: Draws, pack: Path, place: Path, split: str, families: Mapping[str, float], of: str | None) -> None:
    cv2.setNumThreads(0)
    data = Pack(pack)
    rows = {source: [i for i in data.indices(split, [source])
                     if data.rows[i]["label"] == "real" and data.landmarks(i) is not None]
            for source in draws.sources}  # fmt: skip
    if lacking := [source for source, members in rows.items() if not members]:
        raise InputError(f"{lacking[0]}: expected genuine pictures with a mesh in the split '{split}', found none")
    count = draws.images if split == "train" else draws.measured
    pixels, masks, meshes, facts = [], [], [], []
    with progress() as bar:
        for i in bar.track(range(count), description=f"edits ({split})"):
            rng = np.random.default_rng([draws.seed, 0 if split == "train" else 1, i])
            crop, mask, mesh, row = _edit(data, rows, draws, families, rng)
            pixels.append(crop)
            masks.append(mask)
            meshes.append(mesh)
            facts.append(row)
    for name, arrays in (("pixels", pixels), ("masks", masks), ("meshes", meshes)):
        np.save(place / f"{name}.npy", np.stack(arrays))
    write_whole(place / "pack.sha256", (of or "").encode())
    write_whole(place / "rows.json", json.dumps(facts).encode())


def _edit(
    data: Pack, rows: Mapping[str, list[int]], draws: Draws, families: Mapping[str, float], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32], dict[str, Any]]:
    genuine = rng.random() < draws.genuine
    for _ in range(_TRIES):
        source = by_share(draws.sources, rng)
        at = int(rng.choice(rows[source]))
        picture, mesh = data.pixels(at), data.landmarks(at)
        row: dict[str, Any] = {key: data.rows[at][key] for key in ("source", "file", "group")} | {"fake": not genuine}
        made: Forged | None = None
        if not genuine:
            family = by_share(families, rng)
            try:
                made = forged(data, rows, family, picture, mesh, rng)
            except InputError:  # a mesh half outside its picture may give a forger nothing to work on
                continue
            row |= {"family": family, "forger": FAMILIES[family].forger, "kind": made.kind, "record": list(made.record)}
        affine, _ = jittered(geometry.align(mesh, draws.size, draws.margin), draws.size, rng)
        affine = _unmirrored(affine, draws.size)
        shown = picture if made is None else made.pixels
        shown, _ = degrade.degrade(shown, rng, strength=float(rng.uniform(0, draws.strength)), counts=draws.degradation)
        crop = geometry.crop(shown, affine, draws.size)
        small = draws.size // GRID
        to_small = geometry.compose(np.array([[1 / GRID, 0, 0], [0, 1 / GRID, 0]]), affine)
        mask = np.zeros((small, small), np.float32)
        if made is not None:
            mask = np.clip(geometry.crop(made.mask / max(float(made.mask.max()), 1e-6), to_small, small), 0, 1)
            if (mask >= 0.5).sum() < 12:  # outside the crop
                continue
        return crop, (mask * 255).round().astype(np.uint8), geometry.transform(affine, mesh), row
    raise InputError(f"None of {_TRIES} pictures drawn could be edited; their meshes may lie outside them.")


def _unmirrored(affine: geometry.Affine, size: int) -> geometry.Affine:
    """The same crop with its sides where they are: a mirrored face's left eye would be its right one in every text."""
    if np.linalg.det(affine[:, :2]) > 0:
        return affine
    return geometry.compose(np.array([[-1.0, 0, size], [0, 1, 0]]), affine)


def forged(
    data: Pack, rows: Mapping[str, list[int]], family: str, picture: Any, mesh: Landmarks, rng: np.random.Generator
) -> Forged:
    """A picture edited in a family's way. A swap's donor is of any source: MMTT pairs portraits at random.

    Args:
        data: A pack.
        rows: Genuine rows of each source.
        family: Of `builders/grounded`.
        picture: RGB uint8 (S, S, 3).
        mesh: (468, 2), in the crop's pixels.
        rng: What everything is drawn from; the same state gives the same result.
    """
    name, options = FAMILIES[family].forger, dict(FAMILIES[family].options)
    if name == "swap":
        donor = int(rng.choice(rows[str(rng.choice(list(rows)))]))
        options["donor"] = (data.pixels(donor), data.landmarks(donor))
    made: Forged = plugins.get("forge", name).forge(picture, mesh, rng, **options)
    return made


class Rows(Dataset[Mapping[str, Tensor]]):
    """Which pictures a step sees; each epoch has an order of its own.

    Args:
        count: Pictures in all.
        batch: Of them a step.
        seed: Of the orders.
    """

    def __init__(self, count: int, batch: int, seed: int):
        self.count, self.batch, self.seed = count, min(batch, count), seed

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        epoch, at = divmod(step, max(1, self.count // self.batch))
        order = np.random.default_rng([self.seed, epoch]).permutation(self.count)
        return {"rows": torch.from_numpy(np.sort(order[at * self.batch : (at + 1) * self.batch]))}
