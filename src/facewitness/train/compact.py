"""Trains the compact witness: pack the data once, then draw pairs of a genuine face and a forged one until done.

    facewitness build pack TABLES PACK
    facewitness train compact RECIPE --pack PACK --init-from WEIGHTS --out RUN
    facewitness build hard RECIPE PACK RUN hard.json
    facewitness build onnx RECIPE RUN compact.onnx

`build hard` weighs genuine training pictures by how far a run takes them for forged; `train --hard` draws them so much
more often.

What keeps the network from cheating, in the order of how much it matters
    pairs        every genuine face stands in a batch beside a forgery of the same source, made from the same face where
                 that exists, so neither the source nor the person tells the label (Shiohara and Yamasaki 2022, for
                 self-blended images)
    size         both are brought to one size of face by one kernel, as small as faces come, before anything is saved
    edits        tones, sharpening, smoothing, print, stickers: one chain of `forge/routine`, drawn once a pair
    degradation  one chain of compression, resizing, blur and noise, drawn once a pair and done to both
    sources      a source without genuine pictures stands beside genuine ones of a like domain (`genuine` in the recipe)
    one crop     real and fake pass the same alignment, with the same jitter, that `witnesses/compact.py` does
    groups       one sixteenth of the training groups is held out for calibration (`builders/pack`) and never drawn
Each batch is drawn from (seed, stage, index) alone: runs repeat whatever the number of workers, and go on after a kill.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor
from torch.utils.data import Dataset

from facewitness import forge, geometry, plugins, regions
from facewitness.builders import difference
from facewitness.builders.pack import Pack, jittered, progress
from facewitness.errors import InputError, UnknownName, WeightsError
from facewitness.files import write_whole
from facewitness.forge import degrade, routine
from facewitness.models import _norm
from facewitness.models._answers import Answers
from facewitness.models.compact import SHIPPED, Compact, read_weights
from facewitness.models.patches import Patches
from facewitness.train import checkpoint, several
from facewitness.train.loop import Batch, Loop, resume, some_in_float
from facewitness.train.recipe import (
    MOST_SIDE,
    MOST_STEPS,
    above_zero,
    at_least,
    at_most,
    by_share,
    check_forger,
    digest,
    in_one,
    known,
    of_shares,
    read_recipe,
)
from facewitness.train.schedule import Schedule
from facewitness.types import KINDS, Landmarks, Pixels

_MIRROR = [regions.MARE.index(regions.mirrored(name)) for name in regions.MARE]


# -------------------------------------------------------------------------------------------------------- the recipe


@dataclass(frozen=True)
class Stage:
    """A stretch of training at one crop size: `steps` batches of `batch_size` crops, the rate a cosine from `lr`.

    `stop_at_step` ends it before the cosine does.
    """

    size: int
    steps: int
    batch_size: int
    lr: float
    stop_at_step: int | None = None

    def __post_init__(self) -> None:
        at_least(self, size=32, steps=1, batch_size=1, stop_at_step=1)
        at_most(self, MOST_SIDE, "size", "batch_size")
        at_most(self, MOST_STEPS, "steps")
        above_zero(self, "lr")

    @property
    def end(self) -> int:
        return self.steps if self.stop_at_step is None else min(self.stop_at_step, self.steps)


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights. `sources` and `forgers` are shares of draws and need not sum to one."""

    stage: tuple[Stage, ...]
    sources: dict[str, float]
    forgers: dict[str, float]
    genuine: dict[str, str] = field(default_factory=dict)  # source -> the source its genuine pictures come from
    options: dict[str, Any] = field(default_factory=dict)  # forger -> its options
    in_part: dict[str, float] = field(default_factory=dict)  # source of genuine pictures that a network drew anew ->
    # the share of draws in which that is laid in the face or in regions only
    native: tuple[float, ...] = ()  # smallest and largest side of a face in pixels; empty: sizes as they came
    enlarged: tuple[float, ...] = (0.25, 1.6)  # share of pairs that may be enlarged, and how far
    edited: float = 0.0  # share of pairs with routine edits
    edits: dict[str, float] = field(default_factory=dict)  # operation of forge/routine -> how many times as often drawn
    bared: float = 0.0  # share of pairs that show nothing around the face
    after: float = 0.5  # share of self-made forgeries made at the final size; the others are made first and reduced
    seed: int = 0
    backbone: str = "mobilenetv2_100"
    noise: bool = False
    parsing: bool = False
    unit: bool = False  # features of length one for fake or real, and the losses `alignment` and `uniformity` on them
    margin: float = 1.25  # crop side over the mesh's longer side
    own_share: float = 0.5  # share of draws whose fake is self-made where the source also has real forgeries
    ema: float = 0.998  # decay of the weight average a step
    weight_decay: float = 0.02
    drop_path: float = 0.1  # of a vision transformer's last block in training; earlier ones less, evenly
    layer_decay: float = 1.0  # the rate of a vision transformer's block over that of the one behind it
    warmup: int = 150  # steps in which the rate rises, once for all stages
    bf16: bool = False  # forward and backward in bfloat16 but for the first layers: twice as quick where CPUs have it
    batch_statistics: bool = False  # batch normalisation by the batch, as the first runs had it; see models/_norm
    loss_weights: dict[str, float] = field(default_factory=lambda: dict(_LOSSES))

    def __post_init__(self) -> None:
        of_shares("shares of sources", self.sources.values())
        if self.forgers or self.own_share:
            of_shares("shares of forgers", self.forgers.values())
        in_one(self, "edited", "bared", "after", "own_share", "drop_path", "layer_decay")
        known("loss", self.loss_weights, _LOSSES)
        if not all(0 <= share <= 1 for share in self.in_part.values()):
            raise InputError(f"recipe: expected in_part as shares from 0 to 1, got {self.in_part}")
        if any(weight < 0 for weight in self.loss_weights.values()):
            raise InputError(f"recipe: expected loss_weights of at least 0, got {self.loss_weights}")
        if not 0.5 <= self.margin <= 10:
            raise InputError(f"recipe: expected a margin from 0.5 to 10, got {self.margin}")
        if not 0 <= self.ema < 1:
            raise InputError(f"recipe: expected ema from 0 to below 1, got {self.ema}")

    @classmethod
    def read(cls, path: Path, changes: Sequence[str] = ()) -> Recipe:
        """From TOML.

        Args:
            path: The TOML file.
            changes: As `read_recipe` takes them.

        Raises:
            UnknownName: With the nearest known key, for a key this class does not have.
        """
        recipe = read_recipe(cls, path, changes)
        for name in (*recipe.forgers, *recipe.options):
            options = recipe.options.get(name, {})
            if not isinstance(options, dict):
                raise InputError(f"options in {path.name}: expected a table for {name}, got {options!r:.60}")
            check_forger(name, options, f"[options.{name}]")
        for name, times in recipe.edits.items():
            if name not in routine.OPERATIONS:
                raise UnknownName("operation", name, routine.OPERATIONS)
            if times < 0:
                raise InputError(f"edits in {path.name}: expected factors of at least 0, got {times} for {name}")
        if recipe.edits and not any(recipe.edits.get(name, 1) for name in routine.OPERATIONS):
            raise InputError(f"edits in {path.name}: expected one of them above 0, got 0 for every operation")
        if recipe.native and not (len(recipe.native) == 2 and 16 <= recipe.native[0] <= recipe.native[1]):
            raise InputError(
                f"native in {path.name}: expected two sides in pixels, of at least 16, got {recipe.native}"
            )
        if len(recipe.enlarged) != 2 or not 0 <= recipe.enlarged[0] <= 1 <= recipe.enlarged[1]:
            raise InputError(
                f"enlarged in {path.name}: expected a share in [0, 1] and a factor of at least 1, got {recipe.enlarged}"
            )
        return replace(recipe, loss_weights={**_LOSSES, **recipe.loss_weights})


_COUNTS = (0.3, 0.3, 0.22, 0.12, 0.06)  # shares of pairs that suffer no degradation, one, two …
_LOSSES = {"fake": 1.0, "kind": 0.4, "mask": 1.0, "regions": 0.5, "parsing": 0.2, "alignment": 0.1, "uniformity": 0.5}
_RARE = 2.0  # weight of a forged region over an untouched one: most regions of most forgeries are untouched


# ------------------------------------------------------------------------------------------------------ the samples


@dataclass
class Item:
    """One picture with its truth, before degradation and cropping."""

    pixels: Pixels
    landmarks: Landmarks | None
    fake: bool
    kind: str | None
    mask: NDArray[np.float32] | None  # None: unknown
    regions: frozenset[str] | None  # None: unknown
    parsing: NDArray[np.uint8] | None = None
    source: str = ""  # what it was drawn for: one of the recipe's


def item_of_row(data: Pack, i: int, index: dict[tuple[str, str], int]) -> Item:
    """A row as it is: masks by difference where there is a pristine counterpart, regions from the mask.

    Args:
        data: A pack.
        i: Number of the row.
        index: (source, pristine file) → row.
    """
    row, picture, mesh = data.rows[i], data.pixels(i), data.landmarks(i)
    if row["label"] == "real":
        zero = np.zeros(picture.shape[:2], np.float32)
        return Item(picture, mesh, False, "pristine", zero, frozenset(), data.parsing(i))
    mask, touched = None, None
    if row["kind"] == "entire_synthesis":
        mask, touched = np.ones(picture.shape[:2], np.float32), frozenset(regions.MARE)
    elif (source := index.get((row["source"], row["original"] or ""))) is not None:
        mask = difference.mask(picture, data.pixels(source))
        touched = forge.regions_touched(mask, mesh) if mesh is not None else None
    return Item(picture, mesh, True, row["kind"], mask, touched)


def item_forged(item: Item, forger: str, rng: np.random.Generator, donor: Item | None = None, **options: Any) -> Item:
    """A self-made forgery of a pristine item that has landmarks.

    Args:
        item: One picture with its truth.
        forger: Name of a leaf of forge/.
        rng: What everything is drawn from; the same state gives the same result.
        donor: Another face for a swap; None without.
        **options: Further options, by name.
    """
    leaf = plugins.get("forge", forger)
    if forger == "swap" and donor is not None:
        options["donor"] = (donor.pixels, donor.landmarks)
    made = leaf.forge(item.pixels, item.landmarks, rng, **options)
    return Item(made.pixels, item.landmarks, True, made.kind, made.mask, made.regions, item.parsing)


def side_of(item: Item) -> float:
    """The longer side of the face in pixels; of the picture where no face was found.

    Args:
        item: One picture with its truth.
    """
    if item.landmarks is None:
        return float(max(item.pixels.shape[:2]))
    return float(np.ptp(item.landmarks, axis=0).max())


def sized(item: Item, side: float, kernel: int) -> Item:
    """The item with a face of `side` pixels, pixels through one of OpenCV's kernels; mask and mesh go along.

    Args:
        item: One picture with its truth.
        side: Of the face, pixels.
        kernel: Number of OpenCV's.
    """
    factor = side / side_of(item)
    height, width = item.pixels.shape[:2]
    shape = (max(8, round(width * factor)), max(8, round(height * factor)))
    if shape == (width, height):
        return item
    scale = np.float32([shape[0] / width, shape[1] / height])
    return replace(
        item,
        pixels=np.asarray(cv2.resize(item.pixels, shape, interpolation=kernel), np.uint8),
        landmarks=None if item.landmarks is None else item.landmarks * scale,
        mask=None if item.mask is None else cv2.resize(item.mask, shape, interpolation=cv2.INTER_AREA),
        parsing=None if item.parsing is None else cv2.resize(item.parsing, shape, interpolation=cv2.INTER_NEAREST),
    )


def routinely_edited(item: Item, rng: np.random.Generator, often: Mapping[str, float] | None = None) -> Item:
    """The item after a chain of `forge/routine`; what text or stickers hide no longer counts as forged.

    Args:
        item: One picture with its truth.
        rng: What everything is drawn from; the same state gives the same result.
        often: Operation -> how many times as often it is drawn.
    """
    place = None if item.landmarks is None else geometry.bounds(item.landmarks)
    made = routine.edit(item.pixels, rng, place=place, operations=often or None)
    if made.cover is None or item.mask is None or not item.fake:
        return replace(item, pixels=made.pixels)
    left = made.uncovered(item.mask)
    touched = item.regions
    if touched and item.landmarks is not None and left.max() > 0:
        touched = touched & forge.regions_touched(left, item.landmarks)
    return replace(item, pixels=made.pixels, mask=left, regions=touched)


def crop_item(item: Item, size: int, margin: float, rng: np.random.Generator | None = None) -> dict[str, NDArray]:
    """The network's input and targets of one item; with an rng, jittered and perhaps mirrored.

    Unknown targets are marked by a zero in `has_mask`, `has_regions`, and by -1 in `kind`, 255 in `parsing`.

    Args:
        item: One picture with its truth.
        size: Side of the crop, pixels.
        margin: Side of the crop over the mesh's longer side.
        rng: Moves the crop a little and perhaps mirrors it; None leaves it in the middle.

    Returns:
        Name → array; the crop is uint8 (S, S, 3).
    """
    height, width = item.pixels.shape[:2]
    by_box = item.landmarks is None or (rng is not None and rng.random() < 0.06)
    place = (0.0, 0.0, float(width), float(height)) if by_box else item.landmarks
    affine = geometry.align(place, size, 1.0 if by_box else margin)
    mirrored = False
    if rng is not None:
        affine, mirrored = jittered(affine, size, rng)
    small = size // 4
    to_small = geometry.compose(np.array([[0.25, 0, 0], [0, 0.25, 0]]), affine)
    mask = np.zeros((small, small), np.float32) if item.mask is None else geometry.crop(item.mask, to_small, small)
    touched = np.array([name in (item.regions or ()) for name in regions.MARE], np.float32)
    parsing = np.full((small, small), 255, np.uint8)
    if item.parsing is not None and not mirrored:  # sides of the parsing would have to be exchanged; half is enough
        back = geometry.invert(to_small)
        ys, xs = np.mgrid[0:small, 0:small] + 0.5
        at = geometry.transform(back, np.stack([xs.ravel(), ys.ravel()], 1)).astype(int)
        inside = (at >= 0).all(1) & (at[:, 0] < width) & (at[:, 1] < height)
        flat = parsing.reshape(-1)
        flat[inside] = item.parsing[at[inside, 1], at[inside, 0]]
    return {
        "x": np.ascontiguousarray(geometry.crop(item.pixels, affine, size).transpose(2, 0, 1)),
        "fake": np.float32(item.fake),
        "kind": np.int64(-1 if item.kind is None else KINDS.index(item.kind)),
        "mask": mask,
        "has_mask": np.float32(item.mask is not None),
        "regions": touched[_MIRROR] if mirrored else touched,
        "has_regions": np.float32(item.regions is not None),
        "parsing": parsing.astype(np.int64),
        "face": _outline(item.landmarks, to_small, small),
    }


def _outline(mesh: Landmarks | None, affine: geometry.Affine, size: int) -> NDArray[np.uint8]:
    """1 where the face with a margin of a tenth lies, uint8 (size, size); everywhere where no mesh is known."""
    if mesh is None:
        return np.ones((size, size), np.uint8)
    points = geometry.transform(affine, mesh)
    middle = points.mean(0)
    hull = cv2.convexHull((middle + 1.1 * (points - middle)).astype(np.float32)).astype(np.int32)
    return np.asarray(cv2.fillConvexPoly(np.zeros((size, size), np.uint8), hull, 1), np.uint8)


class Batches(Dataset):
    """Batches of a stage. Batch i depends on the recipe, the stage's number and i alone.

    Args:
        folder: Of the pack.
        recipe: What is drawn.
        number: Of the stage, from 0.
        hard: "source/file" of a genuine picture → how many times as often as others it is drawn.
    """

    def __init__(self, folder: Path, recipe: Recipe, number: int, hard: Mapping[str, float] | None = None):
        self.folder, self.recipe, self.number, self.stage = folder, recipe, number, recipe.stage[number]
        self.hard = hard or {}
        self.data: Pack | None = None

    def __len__(self) -> int:
        return self.stage.end

    def _open(self) -> Pack:  # once in every worker: a memory map does not travel
        if self.data is None:
            cv2.setNumThreads(0)
            self.data = Pack(self.folder)
            rows = self.data.rows
            self.index = {(r["source"], r["file"]): i for i, r in enumerate(rows)}
            self.real: dict[str, list[int]] = defaultdict(list)
            self.fake: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
            for i, row in enumerate(rows):
                if row["split"] == "train" and self.data.landmarks(i) is not None:
                    if row["label"] == "real":
                        self.real[row["source"]].append(i)
                    else:
                        self.fake[row["source"]][row["method"]].append(i)
            wanted = [self.recipe.genuine.get(source, source) for source in self.recipe.sources]
            known("source with genuine pictures in the pack", wanted, {row["source"] for row in rows})
            for source in self.recipe.sources:
                if not self.real[self.recipe.genuine.get(source, source)]:
                    raise InputError(
                        f"{source}: expected genuine training rows in the pack, found none. Name a source that has "
                        "some under [genuine] in the recipe."
                    )
            self.weights = {
                source: np.array([self.hard.get(f"{source}/{rows[i]['file']}", 1.0) for i in members])
                for source, members in self.real.items()
                if members
            }
            self.weights = {source: w / w.sum() for source, w in self.weights.items()}
        return self.data

    def check(self) -> None:
        """Refuse a pack that has not what the recipe draws from.

        Raises:
            UnknownName: There is no such source.
            InputError: A source has no pictures of the kind, or hard ones are none of the pack's or weighed by what is
                no number of 0 or more.
        """
        weights = self.hard.values() if isinstance(self.hard, Mapping) else [self.hard]
        if not all(isinstance(w, int | float) and 0 <= w < math.inf for w in weights):
            raise InputError("hard: expected an object of pictures and numbers of 0 or more. Make it with build hard.")
        data = self._open()
        there = {f"{row['source']}/{row['file']}" for row in data.rows} if self.hard else set()
        if self.hard and not there & self.hard.keys():
            raise InputError(
                f"hard: expected pictures of the pack, got {next(iter(self.hard))!r:.80}, which it has not."
            )
        if any(not np.isfinite(weights).all() for weights in self.weights.values()):
            raise InputError("hard: expected a weight above 0 in each source, got 0 for all pictures of one.")

    def _genuine(self, source: str, rng: np.random.Generator) -> int:
        """A genuine training row for this source; hard ones more often."""
        source = self.recipe.genuine.get(source, source)
        return self.real[source][int(rng.choice(len(self.real[source]), p=self.weights[source]))]

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.recipe.seed, self.number, i])
        names = list(self.recipe.sources)
        crops = []
        for item in self.items(rng):
            crop = crop_item(item, self.stage.size, self.recipe.margin, rng)
            crops.append({**crop, "source": np.int64(names.index(item.source))})
        return {k: torch.from_numpy(np.stack([np.asarray(c[k]) for c in crops])) for k in crops[0]}

    def items(self, rng: np.random.Generator) -> Iterator[Item]:
        """The pictures of a batch, edited and degraded, before they are cropped: a genuine and a forged one in turn.

        Args:
            rng: What everything is drawn from; the same state gives the same result.
        """
        data = self._open()
        for _ in range(self.stage.batch_size // 2):
            pair = self._pair(data, rng)
            seed, edited = int(rng.integers(2**32)), rng.random() < self.recipe.edited
            for item in pair:
                same = np.random.default_rng(seed)
                if edited:
                    item = routinely_edited(item, same, self.recipe.edits)
                item.pixels, _ = degrade.degrade(item.pixels, same, strength=float(same.random()), counts=_COUNTS)
                yield item

    def _pair(self, data: Pack, rng: np.random.Generator) -> tuple[Item, Item]:
        """A genuine face and a forged one, of one source and one size."""
        source = by_share(self.recipe.sources, rng)
        genuine, forged = self._pair_of(source, data, rng)
        return replace(genuine, source=source), replace(forged, source=source)

    def _pair_of(self, source: str, data: Pack, rng: np.random.Generator) -> tuple[Item, Item]:
        if self.fake[source] and rng.random() >= self.recipe.own_share:
            methods = sorted(self.fake[source])
            rows = self.fake[source][methods[rng.integers(len(methods))]]
            f = rows[rng.integers(len(rows))]
            r = self.index.get((source, data.rows[f]["original"] or ""))
            if r is None or data.landmarks(r) is None:
                r = self._genuine(source, rng)
            genuine, forged = item_of_row(data, r, self.index), item_of_row(data, f, self.index)
            share = self.recipe.in_part.get(source, 0.0)
            if share and forged.pixels.shape == genuine.pixels.shape and rng.random() < share:
                forged = item_forged(genuine, "resynthesise", rng, drawn=forged.pixels, whole=0.0, parts=0.6)
            size = self._size(rng, genuine, forged)
            return sized(genuine, *size), sized(forged, *size)
        genuine = item_of_row(data, self._genuine(source, rng), self.index)
        size = self._size(rng, genuine)
        if rng.random() < self.recipe.after:
            genuine = sized(genuine, *size)
        for _ in range(4):  # a mesh half outside its picture may give a forger nothing to work on
            forger = by_share(self.recipe.forgers, rng)
            donor = item_of_row(data, self._genuine(source, rng), self.index)
            try:
                forged = item_forged(genuine, forger, rng, donor, **self.recipe.options.get(forger, {}))
                break
            except InputError:
                continue
        else:
            forged = item_forged(genuine, "resynthesise", rng)
        return sized(genuine, *size), sized(forged, *size)

    def _size(self, rng: np.random.Generator, *items: Item) -> tuple[float, int]:
        """One side for the faces of a pair, log-uniform, and the kernel that brings both there."""
        sides = [side_of(item) for item in items]
        if not self.recipe.native:
            return sides[0], cv2.INTER_AREA
        share, factor = self.recipe.enlarged
        side = float(np.exp(rng.uniform(*np.log(self.recipe.native))))
        factor = factor if rng.random() < share else 1.0
        kernel = _KERNELS[rng.integers(len(_KERNELS))]
        return max(min(side, factor * min(sides)), min(*sides, self.recipe.native[0])), kernel


_KERNELS = (cv2.INTER_AREA, cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)


# ------------------------------------------------------------------------------------------------------ the training


def network(recipe: Recipe) -> Compact | Patches:
    """The network of a recipe, with random weights: `Patches` where its backbone is a vision transformer.

    Args:
        recipe: The settings.
    """
    if recipe.backbone.startswith("vit_"):
        size = {stage.size for stage in recipe.stage}
        if len(size) != 1 or recipe.unit:
            raise InputError(
                f"{recipe.backbone}: expected one size of crops in all stages and no `unit`, got sizes "
                f"{sorted(size)} and unit = {recipe.unit}. A vision transformer's places are of one size."
            )
        return Patches(recipe.backbone, size.pop(), parsing=recipe.parsing, drop_path=recipe.drop_path)
    return Compact(recipe.backbone, noise=recipe.noise, parsing=recipe.parsing, unit=recipe.unit)


def begin(recipe: Recipe, init_from: Path | None) -> Compact | Patches:
    """The network of a recipe as training begins.

    Args:
        recipe: The settings.
        init_from: Pretrained weights of the backbone, or all weights of an earlier run; None for neither. Of an
            exported file of two networks the one that fits.

    Raises:
        InputError: The weights are of another network.
    """
    model = network(recipe)
    if init_from is None:
        return model
    tensors = read_weights(init_from)
    own = model.state_dict()
    if init_from.suffix == ".onnx" and any(own[k].shape != v.shape for k, v in tensors.items() if k in own):
        with contextlib.suppress(WeightsError):  # of one network alone: told below
            tensors = read_weights(init_from, second=True)
    try:
        if "conv_stem.weight" in tensors or "patch_embed.proj.weight" in tensors:
            model.start_from(tensors)
        else:
            known_length = {"length": torch.tensor(0.0)} if recipe.unit else {}
            model.load_state_dict({**known_length, **tensors})
    except (RuntimeError, KeyError) as error:
        first = str(error).strip().splitlines()[-1].strip()
        raise InputError(f"init_from: expected weights of the recipe's network; '{init_from}' does not fit: "
                         f"{first}. Take {SHIPPED}, or another recipe.") from error  # fmt: skip
    return model


def optimizer_of(model: Compact | Patches, recipe: Recipe, **options: Any) -> torch.optim.AdamW:
    """AdamW on a network: matrices decay, and a vision transformer's blocks learn the slower the earlier they come.

    Args:
        model: The network.
        recipe: The settings.
        **options: Of torch's AdamW.
    """
    groups: dict[tuple[int, bool], list[Tensor]] = defaultdict(list)
    for name, p in model.named_parameters():
        behind = model.blocks_behind(name) if isinstance(model, Patches) else 0
        groups[behind, p.ndim > 1 and not name.endswith(("pos_embed", "cls_token"))].append(p)
    return torch.optim.AdamW(
        [
            {"params": p, "weight_decay": recipe.weight_decay * decays, "scale": recipe.layer_decay**behind}
            for (behind, decays), p in sorted(groups.items(), key=lambda item: (item[0][0], not item[0][1]))
        ],
        lr=1e-3, **options,
    )  # fmt: skip


def losses(answers: Answers, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each head's loss, over the items whose truth is known.

    Args:
        answers: Of the network.
        batch: Targets by name.

    Returns:
        Name of the head → a scalar.
    """
    has_mask, has_regions = batch["has_mask"], batch["has_regions"]
    fake = F.binary_cross_entropy_with_logits(answers.fake, batch["fake"] * 0.96 + 0.02)
    kind = F.cross_entropy(answers.kind, batch["kind"], ignore_index=-1, label_smoothing=0.04)
    pixel = F.binary_cross_entropy_with_logits(answers.mask, batch["mask"], reduction="none").mean((1, 2))
    p = answers.mask.sigmoid()
    # Dice with a small constant: an eye is 30 cells of 2,304, which a mean over pixels hardly notices
    dice = 1 - (2 * (p * batch["mask"]).sum((1, 2)) + 1) / (p.sum((1, 2)) + batch["mask"].sum((1, 2)) + 1)
    mask = ((pixel + dice * batch["fake"]) * has_mask).sum() / has_mask.sum().clamp(min=1)
    each = F.binary_cross_entropy_with_logits(
        answers.regions, batch["regions"], reduction="none", pos_weight=answers.regions.new_tensor(_RARE)
    ).mean(1)
    parts = {
        "fake": fake,
        "kind": kind,
        "mask": mask,
        "regions": (each * has_regions).sum() / has_regions.sum().clamp(min=1),
    }
    if answers.parsing is not None and bool((batch["parsing"] != 255).any()):
        parts["parsing"] = F.cross_entropy(answers.parsing, batch["parsing"], ignore_index=255)
    return parts


def bared(batch: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """The batch with one colour around the face in a share of pairs, the same for both of a pair.

    What stands around a face tells which source a picture is of, and so, where a source's genuine pictures are
    another's, whether it is forged.

    Args:
        batch: Of `Batches`, a genuine and a forged picture in turn.
        share: Of pairs.

    Returns:
        The same by name, "x" as float32 (N, 3, S, S).
    """
    x = batch["x"].float()
    pairs = len(x) // 2
    chosen = (torch.rand(pairs, device=x.device) < share).repeat_interleave(2)
    colour = (255 * torch.rand(pairs, 3, 1, 1, device=x.device)).repeat_interleave(2, 0)
    face = F.interpolate(batch["face"][:, None].float(), size=x.shape[2:], mode="nearest")
    return {**batch, "x": torch.where(chosen[:, None, None, None] & (face == 0), colour, x)}


def apart(features: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """How far features of one label lie apart, and how evenly all are spread (Wang and Isola 2020; as GenD uses them).

    Args:
        features: (N, F), of any length; they are made one long.
        fake: (N,) labels, 0 or 1.

    Returns:
        "alignment" and "uniformity" → a scalar.
    """
    unit = F.normalize(features.float(), dim=1)
    distances = (2 - 2 * unit @ unit.T).clamp(min=0)
    same = (fake[:, None] == fake[None]) & ~torch.eye(len(fake), dtype=torch.bool, device=fake.device)
    every = torch.triu(torch.ones_like(same), 1)
    uniformity = torch.logsumexp(-2 * distances[every], 0) - math.log(int(every.sum()))
    return {"alignment": distances[same].mean(), "uniformity": uniformity}


@checkpoint.alone
def train(
    recipe: Recipe,
    folder: Path,
    init_from: Path | None,
    out: Path,
    workers: int = 2,
    save_every: int = 100,
    until: datetime | None = None,
    hard: Mapping[str, float] | None = None,
) -> None:
    """Run the recipe; go on where `out` stopped. Writes `last.safetensors` (the averaged weights) and `log.jsonl`.

    Args:
        recipe: What to train, and on which draws.
        folder: The pack.
        init_from: ImageNet weights of the backbone, or all weights of an earlier run; None for neither.
        out: Folder of the run; one that holds a state goes on from it.
        workers: Processes that draw batches; 0 draws in this one.
        save_every: Steps between states.
        until: A moment at which the last stage has to be over: its cosine then falls with the clock, from where it
            stands at the start of this call to nothing at that moment, wherever its steps alone would be slower.
        hard: "source/file" -> how many times as often a genuine picture is drawn as others of its source.
    """
    Batches(folder, recipe, 0, hard).check()
    torch.manual_seed(recipe.seed)
    out.mkdir(parents=True, exist_ok=True)
    device = several.device()
    model = begin(recipe, init_from).to(device)
    if device.type == "cpu" or isinstance(model, Compact):
        model = model.to(memory_format=torch.channels_last)
    if recipe.bf16 and isinstance(model, Compact):
        some_in_float(model)
    average = {k: v.detach().clone() for k, v in model.state_dict().items()}
    optimizer = optimizer_of(model, recipe)
    about = {
        "recipe": digest(recipe, without=["stage"]),  # more stages may be added
        "pack": checkpoint.sha256(folder / "rows.json"),
        "init_from": checkpoint.begun_with(init_from),
    }  # fmt: skip
    place = resume(out, model.state_dict(), average, optimizer, about)
    resolved = {"recipe": asdict(recipe), "commit": checkpoint.commit(), "torch": torch.__version__}
    write_whole(out / "resolved.json", json.dumps(resolved, indent=1).encode())

    def loss(batch: Batch, step: int) -> dict[str, Tensor]:
        model.train()
        if not recipe.batch_statistics:
            _norm.keep_statistics(model)
        batch = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
        if recipe.bared:
            batch = bared(batch, recipe.bared)
        x = batch["x"].float().contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=recipe.bf16):
            pooled, decoded, mask = model.pooled(x)
            if isinstance(model, Compact) and recipe.unit and model.length == 0:
                # once: the head goes on from numbers like those it was trained on
                model.length.copy_(pooled.detach().float().norm(dim=1).mean())
                average["length"].copy_(model.length)
            answers = model.answers(pooled, decoded, mask)
        parts = losses(Answers(*(None if a is None else a.float() for a in answers)), batch)
        if recipe.unit:
            parts |= apart(pooled, batch["fake"])
        return {"loss": torch.stack([recipe.loss_weights[k] * v for k, v in parts.items()]).sum(), **parts}

    def saved() -> None:
        write_whole(out / "last.safetensors", save({k: v.contiguous() for k, v in average.items()}))

    for number, stage in enumerate(recipe.stage):
        if number < int(place.get("stage", 0)):
            continue
        here = place if number == int(place.get("stage", 0)) else {}
        last = number == len(recipe.stage) - 1
        schedule = Schedule(
            stage.lr, stage.steps, recipe.warmup, before=sum(s.end for s in recipe.stage[:number]),
            until=until if last else None, share=float(here.get("share", 0.0)),
        )  # fmt: skip
        loop = Loop(
            out, model, optimizer, schedule, loss, seed=f"{recipe.seed} {number}", batch_size=stage.batch_size,
            ema=recipe.ema, average=average, place={"stage": number}, save_every=save_every, workers=workers,
            of=sum(s.end for s in recipe.stage), saved=saved, about=about,
        )  # fmt: skip
        loop.run(Batches(folder, recipe, number, hard), int(here.get("step", 0)), stage.end)


def mined(recipe: Recipe, folder: Path, weights: Path, heaviest: float = 4.0) -> dict[str, float]:
    """How many times as often each genuine training picture that looks forged should be drawn: "source/file" -> weight.

    The weight of a picture rises evenly from 1, where the network gives forged and genuine the same chance, to
    `heaviest`, where it is sure that the picture is forged. Pictures it takes for genuine are left out.

    Args:
        recipe: The settings.
        folder: Folder of the pack.
        weights: Path of the averaged weights.
        heaviest: The largest weight.

    Returns:
        "source/file" → weight.
    """
    model = network(recipe)
    model.load_state_dict(read_weights(weights))
    model = model.eval().to(memory_format=torch.channels_last)
    stage = recipe.stage[-1]
    batches = Batches(folder, recipe, len(recipe.stage) - 1)
    data = batches._open()
    rows = sorted({i for source in recipe.sources for i in batches.real[recipe.genuine.get(source, source)]})
    weights_of = {}
    with progress() as bar, torch.no_grad():
        task = bar.add_task("mining", total=len(rows))
        for at in range(0, len(rows), stage.batch_size):
            some = rows[at : at + stage.batch_size]
            crops = [crop_item(item_of_row(data, i, batches.index), stage.size, recipe.margin)["x"] for i in some]
            x = torch.from_numpy(np.stack(crops)).float().contiguous(memory_format=torch.channels_last)
            with torch.autocast(x.device.type, torch.bfloat16, enabled=recipe.bf16):
                scores = model(x).fake.float().sigmoid().tolist()
            for i, score in zip(some, scores, strict=True):
                if score > 0.5:
                    weights_of[f"{data.rows[i]['source']}/{data.rows[i]['file']}"] = round(
                        1 + (heaviest - 1) * (2 * score - 1), 3
                    )
            bar.advance(task, len(some))
    return weights_of
