"""Trains KFD's detector, stage 1 of the paper, on genuine faces alone: every forgery is made here, while it learns.

    python -m facewitness.train.kfd pack  RECIPE --data DIR --cache DIR
    python -m facewitness.train.kfd train RECIPE --cache DIR --out DIR [--start BACKBONE.safetensors]
    python -m facewitness.train.kfd train LARGER --cache DIR --out DIR2 --go-on DIR/kfd.safetensors      a second stage
    torchrun --nproc-per-node 2 -m facewitness.train.kfd train RECIPE …        the same on several GPUs, or processes

Yu et al., "Unlocking the Capabilities of Vision-Language Models for Generalizable and Explainable Deepfake Detection",
sections 3.1 and 3.3: "we trained only on real data". A step draws pairs of a genuine face and a forgery of it, which
is equation 6 (`forge/region_edit`) or a whole self-blend (`forge/self_blend`). The two are degraded alike and cropped
alike, so nothing but the forgery tells them apart, and the genuine one is the reference of equation 2 for both.
The losses are `models/kfd`'s, equations 3 and 4. The map learns where a picture is forged, not how much: a mask is
divided by its peak, for a paste may be half transparent.

Pair k of step i is drawn from (seed, i, k) alone: neither the number of workers nor that of processes changes what is
drawn, and a killed run goes on where its last `resume.safetensors` stands, with the same result. Several processes
share a batch; Dice (3) is then of each one's part. Batch normalisation never looks at a batch (`models/kfd`): with a
forgery beside its genuine picture in it, its statistics told the label, to no use for a picture by itself.

In OUT: kfd.safetensors and kfd.json (the detector, as `witnesses/kfd` loads it), resume.safetensors, resolved.json
(recipe, versions, commit), log.jsonl, log.csv, and tensorboard/ where TensorBoard is installed.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib.util
import inspect
import io
import json
import os
import sys
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from facewitness import geometry, plugins
from facewitness.builders.pack import Pack, jittered, pack, progress
from facewitness.errors import FacewitnessError, InputError, WeightsError
from facewitness.files import write_whole
from facewitness.forge import Forged, degrade
from facewitness.models import minilm
from facewitness.models.kfd import KFD, ClipEncoders, Embed, SmallEncoders
from facewitness.train import checkpoint
from facewitness.train.recipe import known, read_recipe

_ENCODERS: Mapping[str, type] = {"clip": ClipEncoders, "small": SmallEncoders}
_TRIES = 8
_CPU = torch.device("cpu")


# -------------------------------------------------------------------------------------------------------- the recipe


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights, but for the weights it starts from. Shares need not sum to one.

    encoders       kind = "clip" or "small", and arguments of `ClipEncoders` or `SmallEncoders`
    sources        data set → share of draws
    forgers        leaf of `forge/` → its share, or a table of its share and options
    detector       arguments of `KFD`
    text, reference, images    the ablations: no text; no equation 2; so many genuine pictures (None is all)
    steps, epochs  one of the two; an epoch draws as many pairs as there are genuine pictures
    batch          pictures a step, of all processes together; half of them are genuine
    warmup         steps in which the learning rate rises; cosine   whether it falls to 2 % after them, or stays
    ema            decay a step of the average of the weights that is saved; 0 saves the weights themselves
    degradation    shares of pairs that suffer no degradation, one, two …
    parallel       with several processes: "ddp", or "fsdp", which also spreads a frozen CLIP's layers over them
    """

    encoders: dict[str, Any]
    sources: dict[str, float]
    forgers: dict[str, Any]
    detector: dict[str, Any] = field(default_factory=dict)
    text: bool = True
    reference: bool = True
    images: int | None = None
    steps: int | None = None
    epochs: float | None = None
    batch: int = 32
    lr: float = 1e-4
    weight_decay: float = 1e-5
    warmup: int = 0
    cosine: bool = False
    ema: float = 0.0
    margin: float = 1.3  # crop side over the mesh's longer side, as `builders/sbi_qa` has it
    degradation: tuple[float, ...] = (0.3, 0.3, 0.22, 0.12, 0.06)
    parallel: str = "ddp"
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise InputError("recipe: expected either steps or epochs")
        if self.batch < 2 or self.batch % 2:
            raise InputError(f"recipe: expected an even batch of at least 2, half of it genuine, got {self.batch}")
        if self.images is not None and self.images < 1:
            raise InputError(f"recipe: expected images of at least 1, got {self.images}; leave it out for all")
        if not self.sources or not self.forgers:
            raise InputError("recipe: expected at least one source and one forger")
        known("kind of encoders", [self.encoders.get("kind", "")], _ENCODERS)
        made_from = inspect.signature(_ENCODERS[self.encoders["kind"]]).parameters.keys() - {"weights", "embed"}
        known("argument of the encoders", self.encoders, {*made_from, "kind"})
        own = inspect.signature(KFD).parameters.keys() - {"encoders", "text", "reference"}
        known("argument of the detector", self.detector, own)
        for name, options in self._forgers().items():
            has = inspect.signature(plugins.get("forge", name).forge).parameters.values()
            known(f"option of {name}", options, {p.name for p in has if p.kind is p.KEYWORD_ONLY} | {"share"})
        known("kind of parallel", [self.parallel], ("ddp", "fsdp"))

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """From TOML. Raises UnknownName, with the nearest known key, for a key that nothing has, InputError else."""
        return read_recipe(cls, path)

    def _forgers(self) -> dict[str, dict[str, Any]]:
        return {k: dict(v) if isinstance(v, Mapping) else {"share": v} for k, v in self.forgers.items()}

    def drawn_forger(self, rng: np.random.Generator) -> tuple[Any, dict[str, Any]]:
        """A leaf of `forge/` and its options, by share."""
        forgers = self._forgers()
        name = _by_share({k: v.get("share", 1.0) for k, v in forgers.items()}, rng)
        return plugins.get("forge", name), {k: v for k, v in forgers[name].items() if k != "share"}

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of a step."""
        rate = self.lr * min(1.0, (step + 1) / self.warmup) if self.warmup else self.lr
        return rate * float(0.5 * (1 + np.cos(np.pi * step / steps)) * 0.98 + 0.02) if self.cosine else rate


def _by_share(shares: Mapping[str, float], rng: np.random.Generator) -> str:
    values = np.array(list(shares.values()), np.float64)
    return list(shares)[int(rng.choice(len(values), p=values / values.sum()))]


# --------------------------------------------------------------------------------------------------------- the draws


def genuine(data: Pack, recipe: Recipe) -> dict[str, list[int]]:
    """The rows that are drawn from, by source: genuine training pictures with a mesh, `recipe.images` of them.

    Fewer images are a part of more: each source gives its share, in an order that depends on the pictures' names
    alone. Raises UnknownName for a source the pack does not have, InputError where a source has too few pictures.
    """
    rows: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(data.rows):
        if row["label"] == "real" and row["split"] == "train" and data.landmarks(i) is not None:
            rows[row["source"]].append(i)
    known("source with genuine faces to train on", recipe.sources, rows)
    chosen = {name: sorted(rows[name], key=lambda i: _order(data.rows[i]["file"])) for name in recipe.sources}
    if recipe.images is not None:
        shares = np.cumsum(list(recipe.sources.values())) / sum(recipe.sources.values())
        counts = np.diff(np.rint(shares * recipe.images).astype(int), prepend=0)
        for name, count in zip(chosen, counts, strict=True):
            if count > len(chosen[name]):
                raise InputError(
                    f"images = {recipe.images}: {name} would have to give {count} and has {len(chosen[name])}; "
                    "lower its share or the number"
                )
            chosen[name] = chosen[name][:count]
    return {name: found for name, found in chosen.items() if found}


def _order(file: str) -> int:
    return zlib.crc32(f"kfd {file}".encode())


class Batches(Dataset):
    """One process's part of each step's batch: pairs `rank`, `rank + world` … of its `recipe.batch / 2`."""

    def __init__(self, folder: Path, recipe: Recipe, size: int, rank: int = 0, world: int = 1):
        self.folder, self.recipe, self.size, self.rank, self.world = folder, recipe, size, rank, world
        self.data: Pack | None = None

    def _open(self) -> Pack:  # once in every worker: a memory map does not travel
        if self.data is None:
            cv2.setNumThreads(0)
            self.data = Pack(self.folder)
            self.rows = genuine(self.data, self.recipe)
            self.shares = {name: self.recipe.sources[name] for name in self.rows}
        return self.data

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        """pixels uint8 (B, 3, S, S), genuine and forged in turn; mask (B, 1, S, S), label and reference (B,)."""
        data = self._open()
        pictures, masks = [], []
        for k in range(self.rank, self.recipe.batch // 2, self.world):
            real, fake, mask = self._pair(data, np.random.default_rng([self.recipe.seed, step, k]))
            pictures += [real, fake]
            masks += [np.zeros_like(mask), mask]
        n = len(pictures)
        return {
            "pixels": torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2)),
            "mask": torch.from_numpy(np.stack(masks))[:, None],
            "label": torch.arange(n) % 2,
            "reference": torch.arange(n) // 2 * 2,
        }

    def _pair(self, data: Pack, rng: np.random.Generator) -> tuple[Any, Any, Any]:
        """A genuine crop, the same crop forged, and the mask, (S, S) in [0, 1]."""
        row, made = self._forged(data, rng)
        affine, _ = jittered(geometry.align(data.landmarks(row), self.size, self.recipe.margin), self.size, rng)
        seed = int(rng.integers(2**32))
        crops = []
        for pixels in (data.pixels(row), made.pixels):
            same = np.random.default_rng(seed)
            strength = float(same.random())
            pixels, _ = degrade.degrade(pixels, same, strength=strength, counts=self.recipe.degradation)
            crops.append(geometry.crop(pixels, affine, self.size))
        mask = geometry.crop(made.mask / max(float(made.mask.max()), 1e-6), affine, self.size)
        return crops[0], crops[1], np.clip(mask, 0, 1)

    def _forged(self, data: Pack, rng: np.random.Generator) -> tuple[int, Forged]:
        for _ in range(_TRIES):  # a mesh half outside its picture may give a forger nothing to work on
            rows = self.rows[_by_share(self.shares, rng)]
            row = rows[int(rng.integers(len(rows)))]
            leaf, options = self.recipe.drawn_forger(rng)
            try:
                return row, leaf.forge(data.pixels(row), data.landmarks(row), rng, **options)
            except InputError:
                continue
        raise InputError(f"None of {_TRIES} pictures drawn could be forged; their meshes may lie outside them.")


# ------------------------------------------------------------------------------------------------------ the training


def make(
    recipe: Recipe, start: Path | None = None, embed: Embed | None = None, go_on: Path | None = None
) -> KFD:  # fmt: skip
    """The detector as training begins: `start` is the small pair's backbone, `embed` its sentence encoder (MiniLM).

    `go_on` is a detector that an earlier recipe made, of another picture size for instance: its weights are taken over.
    Raises WeightsError for weights that do not fit, MissingExtra without the sentence encoder.
    """
    torch.manual_seed(recipe.seed)
    arguments = {k: v for k, v in recipe.encoders.items() if k != "kind"}
    if recipe.encoders["kind"] == "small":
        arguments |= {"weights": start, "embed": (embed or minilm.embed) if recipe.text else None}
    elif start is not None:
        raise InputError("start: expected none, a CLIP comes by its own name (encoders.name); leave it out")
    encoders = _ENCODERS[recipe.encoders["kind"]](**arguments)
    model = KFD(encoders, text=recipe.text, reference=recipe.reference, **recipe.detector)
    if go_on is not None:
        tensors, own = _own(KFD.load(go_on, encoders if encoders.elsewhere else None)), _own(model)
        unfit = sorted(k for k in own.keys() | tensors.keys() if _shape(own, k) != _shape(tensors, k))
        if unfit:
            raise WeightsError(
                f"'{go_on}' is not a detector of this recipe: {len(unfit)} tensors differ, as {unfit[0]}"
            )
        _load(model, tensors)
    return model


def _shape(tensors: Mapping[str, Tensor], name: str) -> Any:
    return tensors[name].shape if name in tensors else None


def train(
    recipe: Recipe,
    folder: Path,
    out: Path,
    start: Path | None = None,
    *,
    embed: Embed | None = None,
    go_on: Path | None = None,
    workers: int = 2,
    save_every: int = 100,
    until: int | None = None,
) -> KFD:
    """Run the recipe on the pack in `folder`; go on where `out` stopped. `until` stops after so many steps.

    Returns the detector in evaluation mode. Raises InputError where `out` holds a run of another recipe.
    """
    rank, world = _rank_and_world()
    if recipe.batch % (2 * world):
        raise InputError(f"batch = {recipe.batch}: expected a multiple of {2 * world}, a pair for each process")
    steps = _steps(recipe, folder)
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if torch.cuda.is_available() else _CPU
    model = make(recipe, start, embed, go_on).to(device).to(memory_format=torch.channels_last)
    average = {k: v.detach().clone() for k, v in _own(model).items()} if recipe.ema else {}
    learned = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=recipe.lr, weight_decay=recipe.weight_decay)
    done = _resume(out, recipe, model, average, optimizer)
    last = steps if until is None else min(until, steps)
    wrapped = _spread(model, recipe) if world > 1 else model
    batches = Batches(folder, recipe, model.encoders.size, rank, world)
    loader = DataLoader(
        batches, batch_size=None, sampler=range(done, last), num_workers=workers,
        prefetch_factor=4 if workers else None, multiprocessing_context="spawn" if workers else None,
    )  # fmt: skip
    if rank == 0:
        facts = _resolved(recipe, go_on or start, steps, world)
        write_whole(out / "resolved.json", json.dumps(facts, indent=1).encode())
    sums: dict[str, float] = defaultdict(float)
    clock, since = time.monotonic(), done
    with _Log(out, done, rank == 0) as log, progress() as bar:
        task = bar.add_task("training", total=last, completed=done, visible=rank == 0)
        for step, batch in enumerate(loader, start=done):
            torch.manual_seed(zlib.crc32(f"{recipe.seed} {step}".encode()))  # dropout, too, repeats after a kill
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(step, steps)
            batch = {k: v.to(device, non_blocking=True) for k, v in batch.items()}
            pixels = batch["pixels"].float().contiguous(memory_format=torch.channels_last)
            wrapped.train()
            detection = wrapped(pixels, batch["reference"] if recipe.reference else None)
            losses = model.loss(detection, batch["label"], batch["mask"])
            optimizer.zero_grad(set_to_none=True)
            losses.total.backward()
            torch.nn.utils.clip_grad_norm_(learned, 5.0)
            optimizer.step()
            _follow(average, model, min(recipe.ema, (1 + step) / (10 + step)))
            sums["localisation"] += losses.localisation.item()
            sums["classification"] += losses.classification.item()
            sums["correct"] += ((detection.logit > 0) == (batch["label"] > 0)).float().mean().item()
            bar.advance(task)
            if (step + 1) % save_every == 0 or step + 1 == last:
                n = step + 1 - since
                rate = round(n * recipe.batch / (time.monotonic() - clock), 2)
                means = {k: round(v / n, 5) for k, v in sums.items()}
                if rank == 0:
                    log.write({"step": step + 1, "of": steps, "lr": recipe.rate(step, steps), **means,
                               "images_per_second": rate})  # fmt: skip
                    _save(out, recipe, model, average, optimizer, step + 1)
                sums.clear()
                clock, since = time.monotonic(), step + 1
    _load(model, average)
    model.eval()
    if rank == 0:
        model.save(out / "kfd.safetensors", {"crop": {"margin": recipe.margin}, "trained": {"steps": last}})
    return model


def _steps(recipe: Recipe, folder: Path) -> int:
    pictures = sum(len(rows) for rows in genuine(Pack(folder), recipe).values())
    if recipe.steps is not None:
        return recipe.steps
    return max(1, round((recipe.epochs or 0) * pictures / (recipe.batch / 2)))


def _own(model: KFD) -> dict[str, Tensor]:
    """The tensors a run changes or has to keep: without a frozen CLIP, which comes by its name again."""
    elsewhere = f"encoders.{model.encoders.elsewhere}" if model.encoders.elsewhere else None
    return {k: v for k, v in model.state_dict().items() if elsewhere is None or not k.startswith(elsewhere)}


def _load(model: KFD, tensors: Mapping[str, Tensor]) -> None:
    """Put tensors of `_own` back."""
    with torch.no_grad():
        for name, value in _own(model).items():
            if name in tensors:
                value.copy_(tensors[name])


def _follow(average: dict[str, Tensor], model: KFD, decay: float) -> None:
    if not average:
        return
    with torch.no_grad():
        for name, value in _own(model).items():
            if value.is_floating_point():
                average[name].lerp_(value, 1 - decay)
            else:
                average[name].copy_(value)


# ------------------------------------------------------------------------------------------------ several processes


@contextmanager
def processes() -> Iterator[None]:
    """What `torchrun` started joins here: NCCL on GPUs, gloo without; nothing where there is one process."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def _rank_and_world() -> tuple[int, int]:
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def _spread(model: KFD, recipe: Recipe) -> DistributedDataParallel:
    """DDP over what learns. With "fsdp" a frozen CLIP's layers lie in parts on the processes, gathered as they are met.

    Only frozen layers are sharded, for they are nearly all there is: of ViT-H/14's 986 million weights none learns,
    and the detector around them has 4.4 million.
    """
    if recipe.parallel == "fsdp":
        from torch.distributed.fsdp import fully_shard

        if not isinstance(model.encoders, ClipEncoders):
            raise InputError('parallel = "fsdp": expected the encoders "clip", only a frozen CLIP is worth sharding')
        for tower in (model.encoders.clip.vision_model, model.encoders.clip.text_model):
            for layer in tower.encoder.layers:
                fully_shard(layer)
        sharded = [k for k, v in model.named_parameters() if k.startswith("encoders.clip.")]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, sharded)
    # a small backbone keeps the stages beyond the last stride that is used, and their weights never get a gradient
    return DistributedDataParallel(model, find_unused_parameters=isinstance(model.encoders, SmallEncoders))


# ----------------------------------------------------------------------------------------------- what a run leaves


def _save(
    out: Path, recipe: Recipe, model: KFD, average: Mapping[str, Tensor], optimizer: Any, step: int
) -> None:  # fmt: skip
    about = {"step": str(step), "recipe": _digest(recipe)}
    checkpoint.write_state(out / "resume.safetensors", _own(model), optimizer, about, average=average)


def _resume(out: Path, recipe: Recipe, model: KFD, average: dict[str, Tensor], optimizer: Any) -> int:
    """Load what `_save` wrote, if anything; returns how many steps are done."""
    found = checkpoint.read_state(out / "resume.safetensors")
    if found is None:
        return 0
    about, state = found
    if about.get("recipe") != _digest(recipe):
        raise InputError(f"'{out}' holds a run of another recipe. Name another folder, or delete it to begin again.")
    _load(model, state["model"])
    for name, value in average.items():
        value.copy_(state["average"][name])
    checkpoint.restore(optimizer, state["optimizer"])
    return int(about["step"])


def _digest(recipe: Recipe) -> str:
    return hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True).encode()).hexdigest()


def _resolved(recipe: Recipe, start: Path | None, steps: int, world: int) -> dict[str, Any]:
    """What it takes to run it again."""
    digest = None if start is None else checkpoint.sha256(start)
    return {
        "recipe": asdict(recipe), "steps": steps, "processes": world, "start_sha256": digest,
        "versions": {"torch": torch.__version__, "numpy": np.__version__, "opencv": cv2.__version__},
        "commit": checkpoint.commit(),
    }  # fmt: skip


class _Log:
    """log.jsonl, log.csv and TensorBoard; lines beyond the step a run goes on from are dropped."""

    def __init__(self, out: Path, done: int, mine: bool):
        self.out, self.board = out, None
        file = out / "log.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        self.rows = [row for row in map(json.loads, lines) if row["step"] <= done]
        if mine and importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(out / "tensorboard", purge_step=done + 1)

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *error: object) -> None:
        if self.board is not None:
            self.board.close()

    def write(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        write_whole(self.out / "log.jsonl", "".join(json.dumps(r) + "\n" for r in self.rows).encode())
        table = io.StringIO()
        writer = csv.DictWriter(table, list(row), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_whole(self.out / "log.csv", table.getvalue().encode())
        if self.board is not None:
            for name, value in row.items():
                if name not in ("step", "of"):
                    self.board.add_scalar(name, value, row["step"])
            self.board.flush()


# --------------------------------------------------------------------------------------------------------- by command


def main(arguments: Sequence[str] | None = None) -> int:
    """The two commands of this recipe."""
    parser = argparse.ArgumentParser(prog="python -m facewitness.train.kfd", description=__doc__.split("\n")[0])
    parser.add_argument("command", choices=("pack", "train"))
    parser.add_argument("recipe", type=Path, help="a TOML file such as runs/kfd/small.toml")
    parser.add_argument("--data", type=Path, help="pack: folder with the Parquet tables")
    parser.add_argument("--cache", type=Path, help="folder of the packed data, the same that train/compact.py makes")
    parser.add_argument("--start", type=Path, help="train: ImageNet weights of the small pair's backbone, safetensors")
    parser.add_argument("--go-on", type=Path, metavar="KFD.safetensors", help="train: an earlier stage's detector")
    parser.add_argument("--out", type=Path, help="train: folder of the run")
    parser.add_argument(
        "--workers", type=int, default=2, help="train: processes that draw batches, for each that learns"
    )
    parser.add_argument("--save-every", type=int, default=100, metavar="STEPS")
    parser.add_argument("--until", type=int, metavar="STEPS", help="train: stop after so many steps")
    parser.add_argument("--images", type=int, metavar="N", help="ablation: train on N genuine pictures")
    parser.add_argument("--steps", type=int, metavar="N", help="another number of steps than the recipe's")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--no-text", action="store_true", help="ablation: visual features alone")
    parser.add_argument("--no-reference", action="store_true", help="ablation: without equation 2")
    given = parser.parse_args(arguments)
    for name in {"pack": ("data", "cache"), "train": ("cache", "out")}[given.command]:
        if getattr(given, name) is None:
            parser.error(f"{given.command} needs --{name}")
    changes: dict[str, Any] = {k: v for k in ("images", "seed") if (v := getattr(given, k)) is not None}
    changes |= {"text": False} if given.no_text else {}
    changes |= {"reference": False} if given.no_reference else {}
    changes |= {} if given.steps is None else {"steps": given.steps, "epochs": None}
    try:
        recipe = replace(Recipe.read(given.recipe), **changes)
        if given.command == "pack":
            pack(given.data, given.cache)
            return 0
        with processes():
            train(
                recipe, given.cache, given.out, given.start, go_on=given.go_on, workers=given.workers,
                save_every=given.save_every, until=given.until,
            )  # fmt: skip
    except FacewitnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
