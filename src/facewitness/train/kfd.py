"""Trains KFD's detector, stage 1 of the paper, on genuine faces alone: every forgery is made here, while it learns.

    facewitness build pack TABLES PACK
    facewitness train kfd RECIPE --pack PACK --out RUN [--init-from BACKBONE.safetensors]
    facewitness train kfd LARGER --pack PACK --out RUN2 --go-on RUN/kfd.safetensors                a second stage
    torchrun --nproc-per-node 2 -m facewitness train kfd RECIPE …              the same on several GPUs, or processes

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

In OUT: kfd.safetensors and kfd.json (the detector, as `witnesses/kfd` loads it, with every state), log.jsonl, log.csv,
resume.safetensors, resolved.json (recipe, versions, commit), and tensorboard/ where TensorBoard is installed.
"""

from __future__ import annotations

import inspect
import json
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset

from facewitness import geometry, plugins
from facewitness.builders.pack import Pack, jittered
from facewitness.errors import InputError, WeightsError
from facewitness.files import write_whole
from facewitness.forge import Forged, degrade, routine
from facewitness.models import minilm
from facewitness.models.kfd import KFD, ClipEncoders, Embed, SmallEncoders, adapt, is_elsewhere
from facewitness.models.sbi import SBI
from facewitness.train import checkpoint, several
from facewitness.train.loop import Batch, Loop, precision, put, some_in_float
from facewitness.train.plan import Plan, passed_through
from facewitness.train.recipe import (
    above_zero,
    arguments,
    at_least,
    buildable,
    by_share,
    check_forger,
    digest,
    in_one,
    known,
    of_shares,
    of_steps_or_epochs,
    read_recipe,
)
from facewitness.train.schedule import Schedule, last_step

_ENCODERS: Mapping[str, type] = {"clip": ClipEncoders, "small": SmallEncoders}
_TRIES = 8
_TABLES = "[encoders] or [detector]"


# -------------------------------------------------------------------------------------------------------- the recipe


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights, but for the weights it starts from. Shares need not sum to one.

    Attributes:
        encoders: kind = "clip" or "small", and arguments of `ClipEncoders` or `SmallEncoders`.
        sources: Data set → share of draws.
        forgers: Leaf of `forge/` → its share, or a table of its share and options.
        detector: Arguments of `KFD`.
        text: Without it two learned vectors stand for F_text of equation 1.
        reference: Without it equation 2 is left out.
        images: So many genuine pictures (table 3); None is all.
        baseline: "sbi" trains a plain classifier on the same backbone in KFD's place (`models/sbi`), as the paper's
            table 1 and figure 5 have it beside theirs.
        steps: Or `epochs`, one of the two; an epoch draws as many pairs as there are genuine pictures.
        batch_size: Pictures a step, of all processes together; half of them are genuine.
        warmup: Steps in which the learning rate rises.
        cosine: Whether it falls to 2 % after them, or stays.
        ema: Decay a step of the average of the weights that is saved; 0 saves the weights themselves.
        margin: Crop side over the mesh's longer side, as `builders/sbi_qa` has it.
        degradation: Shares of pairs that suffer no degradation, one, two …
        edited: Share of pairs that went through routine edits (`forge/routine`), both through the same.
        parallel: With several processes "ddp", or "fsdp", which also spreads a frozen CLIP's layers over them.
        bf16: Forward and backward in bfloat16 but for the small pair's first layer: on a CPU that has it a step costs
            two thirds.

    Raises:
        InputError: A value that cannot be.
        UnknownName: A name of nothing.
    """

    encoders: dict[str, Any]
    sources: dict[str, float]
    forgers: dict[str, Any]
    detector: dict[str, Any] = field(default_factory=dict)
    text: bool = True
    reference: bool = True
    images: int | None = None
    baseline: str | None = None
    steps: int | None = None
    epochs: float | None = None
    batch_size: int = 32
    lr: float = 1e-4
    weight_decay: float = 1e-5
    warmup: int = 0
    cosine: bool = False
    ema: float = 0.0
    margin: float = 1.3  # crop side over the mesh's longer side, as `builders/sbi_qa` has it
    degradation: tuple[float, ...] = (0.3, 0.3, 0.22, 0.12, 0.06)
    edited: float = 0.0
    parallel: str = "ddp"
    bf16: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        of_steps_or_epochs(self)
        if self.batch_size < 2 or self.batch_size % 2:
            raise InputError(
                f"recipe: expected an even batch_size of at least 2, half of it genuine, got {self.batch_size}"
            )
        if self.images is not None and self.images < 1:
            raise InputError(f"recipe: expected images of at least 1, got {self.images}; leave it out for all")
        if not self.sources or not self.forgers:
            raise InputError("recipe: expected at least one source and one forger")
        at_least(self, steps=1)
        above_zero(self, "lr")
        of_shares("shares of sources", self.sources.values())
        of_shares("shares of forgers", [options.get("share", 1.0) for options in self._forgers().values()])
        of_shares("shares of degradation", self.degradation)
        if not 0.5 <= self.margin <= 10:
            raise InputError(f"recipe: expected a margin from 0.5 to 10, got {self.margin}")
        in_one(self, "edited")
        if not 0 <= self.ema < 1:
            raise InputError(f"recipe: expected ema from 0 to below 1, got {self.ema}")
        known("kind of encoders", [self.encoders.get("kind", "")], _ENCODERS)
        made_from = inspect.signature(_ENCODERS[self.encoders["kind"]]).parameters.keys() - {"weights", "embed"}
        known("argument of the encoders", self.encoders, {*made_from, "kind"})
        own = inspect.signature(KFD).parameters.keys() - {"encoders", "text", "reference"}
        known("argument of the detector", self.detector, own)
        arguments(self.encoders, _ENCODERS[self.encoders["kind"]], "recipe, [encoders]")
        arguments(self.detector, KFD, "recipe, [detector]")
        for name, options in self._forgers().items():
            own = {option: value for option, value in options.items() if option != "share"}
            check_forger(name, own, f"[forgers.{name}]")
        if self.baseline is not None:
            known("baseline", [self.baseline], ("sbi",))
            if self.encoders["kind"] != "small" or self.detector:
                raise InputError('recipe: baseline = "sbi" expects the small encoders and no [detector] table')
        known("kind of parallel", [self.parallel], ("ddp", "fsdp"))

    @classmethod
    def read(cls, path: Path, changes: Sequence[str] = ()) -> Recipe:
        """From TOML, with `changes` as `read_recipe` takes them.

        Args:
            path: The TOML file.
            changes: Settings "key=value" or "table.key=value" that take the place of the file's.

        Raises:
            UnknownName: A key is nothing's; the message names the nearest.
            InputError: There is no TOML, or a value is of another type.
        """
        return read_recipe(cls, path, changes)

    def _forgers(self) -> dict[str, dict[str, Any]]:
        return {k: dict(v) if isinstance(v, Mapping) else {"share": v} for k, v in self.forgers.items()}

    def drawn_forger(self, rng: np.random.Generator) -> tuple[Any, dict[str, Any]]:
        """A leaf of `forge/` and its options, by share.

        Args:
            rng: What everything is drawn from; the same state gives the same result.

        Returns:
            The leaf, and its options.
        """
        forgers = self._forgers()
        name = by_share({k: v.get("share", 1.0) for k, v in forgers.items()}, rng)
        return plugins.get("forge", name), {k: v for k, v in forgers[name].items() if k != "share"}

    def schedule(self, steps: int, until: datetime | None = None) -> Schedule:
        """The learning rate over so many steps, or by the clock where that is over before them.

        Args:
            steps: How many there are.
            until: When training has to be over: the rate then falls with the clock where the steps alone would be
                slower.
        """
        return Schedule(self.lr, steps, self.warmup, self.cosine, until=until)


# --------------------------------------------------------------------------------------------------------- the draws


def genuine(data: Pack, recipe: Recipe) -> dict[str, list[int]]:
    """The rows that are drawn from: genuine training pictures with a mesh, `recipe.images` of them.

    Fewer images are a part of more: each source gives its share, in an order that depends on the pictures' names alone.

    Args:
        data: The pack.
        recipe: Its sources and images.

    Returns:
        Source → rows of the pack.

    Raises:
        UnknownName: A source that the pack does not have.
        InputError: A source has too few pictures, or the pack no such picture at all.
    """
    rows: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(data.rows):
        if row["label"] == "real" and row["split"] == "train" and data.landmarks(i) is not None:
            rows[row["source"]].append(i)
    if not rows:
        meshes = sum(data.landmarks(i) is not None for i in range(len(data.rows)))
        raise InputError(
            f"expected a pack with genuine faces of the split train, each with its mesh, got {len(data.rows):,} "
            f"pictures, {meshes:,} of them with a mesh, and none of that kind. Make it of other tables, with a finder "
            "that gives meshes: facewitness build pack TABLES PACK --finder facemesh"
        )
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
    return {name: pictures for name, pictures in chosen.items() if pictures}


def _order(file: str) -> int:
    return zlib.crc32(f"kfd {file}".encode())


class Batches(Dataset):
    """One process's part of each step's batch: pairs `rank`, `rank + world` … of its `recipe.batch_size / 2`.

    Args:
        folder: Of the pack.
        recipe: What is drawn.
        size: Side of the pictures.
        rank: Of this process.
        world: How many share the run.
    """

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
        for k in range(self.rank, self.recipe.batch_size // 2, self.world):
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
        edited = self.recipe.edited > 0 and float(rng.random()) < self.recipe.edited
        crops, mask = [], made.mask
        for pixels in (data.pixels(row), made.pixels):
            same = np.random.default_rng(seed)
            if edited:
                out = routine.edit(pixels, same, place=geometry.bounds(data.landmarks(row)))
                pixels, mask = out.pixels, out.uncovered(made.mask)
            strength = float(same.random())
            pixels, _ = degrade.degrade(pixels, same, strength=strength, counts=self.recipe.degradation)
            crops.append(geometry.crop(pixels, affine, self.size))
        mask = geometry.crop(mask / max(float(made.mask.max()), 1e-6), affine, self.size)
        return crops[0], crops[1], np.clip(mask, 0, 1)

    def _forged(self, data: Pack, rng: np.random.Generator) -> tuple[int, Forged]:
        why = ""
        for _ in range(_TRIES):  # a mesh half outside its picture may give a forger nothing to work on
            rows = self.rows[by_share(self.shares, rng)]
            row = rows[int(rng.integers(len(rows)))]
            leaf, options = self.recipe.drawn_forger(rng)
            try:
                return row, leaf.forge(data.pixels(row), data.landmarks(row), rng, **options)
            except InputError as error:
                why = str(error)
        raise InputError(
            f"expected genuine pictures that can be forged, got none in {_TRIES} draws (the last one: {why.rstrip('.')}"
            "). Their meshes may lie outside them, or the pictures be too small: look at them, leave their source out "
            "of [sources], or make the pack anew with facewitness build pack."
        )


# ---------------------------------------------------------------------------------------------------------- the plan


class _BlankClip(nn.Module):
    """`ClipEncoders` on the meta device: both towers' shapes, and of the descriptions what comes out of them."""

    elsewhere, fingerprint, frozen = "clip.", "", True

    def __init__(self, page: Plan, arguments: Mapping[str, Any]):
        super().__init__()
        known = inspect.signature(ClipEncoders).parameters
        given = {name: p.default for name, p in known.items()} | dict(arguments)
        self.config = {"name": given["name"], "layers": list(given["layers"]), "size": given["size"]}
        self.size, self.layers = given["size"], tuple(given["layers"])
        self.clip = page.blank(given["name"]).requires_grad_(False)
        vision, words = self.clip.config.vision_config, self.clip.config.text_config
        if not self.layers or max(self.layers) > vision.num_hidden_layers:
            raise InputError(f"layers: expected numbers from 1 to {vision.num_hidden_layers}, got {self.layers}")
        self.channels = (vision.hidden_size,) * len(self.layers)
        self.text_width = self.embedding_width = self.clip.config.projection_dim
        self._patches = self.size // vision.patch_size
        shared = given.get("shared_context", False)
        shape = (given["context"], self.text_width) if shared else (2, given["context"], words.hidden_size)
        self.context = nn.Parameter(torch.empty(shape, device="meta"))
        if rank := given.get("lora", 0):
            with torch.device("meta"):
                adapt(self.clip, rank)

    def visual(self, pixels: Tensor) -> tuple[list[Tensor], Tensor]:
        """As `Encoders.visual`."""
        out = self.clip.vision_model(pixel_values=pixels, output_hidden_states=True)
        hidden = [out.hidden_states[layer][:, 1:].transpose(1, 2) for layer in self.layers]
        grid = (self._patches, self._patches)
        return [h.unflatten(2, grid) for h in hidden], self.clip.visual_projection(out.pooler_output)

    def text(self) -> Tensor:
        """As `Encoders.text`."""
        return torch.empty(2, self.text_width, device="meta")


def blank(recipe: Recipe, page: Plan) -> KFD:
    """The detector's shapes on the meta device.

    Args:
        recipe: Its encoders and detector.
        page: CLIP's shapes come of its list of names (`train/published.json`), and the check of the name goes there.
    """
    given = {k: v for k, v in recipe.encoders.items() if k != "kind"}
    with torch.device("meta"):
        encoders = _BlankClip(page, given) if recipe.encoders["kind"] == "clip" else SmallEncoders(**given)
        return KFD(encoders, text=recipe.text, reference=recipe.reference, **recipe.detector)


def plan(recipe: Recipe, pictures: int | None = None, processes: int = 1) -> Plan:
    """What the run needs, without weights.

    Args:
        recipe: Its encoders are CLIP's by a listed name, or the small pair.
        pictures: Genuine pictures to learn from; None where no pack was named.
        processes: That share the run.
    """
    page = Plan("KFD's detector, stage 1", processes)
    batch = max(1, recipe.batch_size // processes)
    with buildable(_TABLES):
        model = blank(recipe, page)
        pixels = torch.empty(batch, 3, model.encoders.size, model.encoders.size, device="meta")
    learned = sum(p.numel() for p in model.encoders.parameters() if p.requires_grad) > model.encoders.context.numel()
    rows = torch.zeros(batch, dtype=torch.long, device="meta")
    with buildable(_TABLES):
        seen, kept, flops = passed_through(model, pixels, rows, frozen=None if learned else model.encoders)
    page.passed(f"a picture of {model.encoders.size} px becomes a map of {tuple(seen.map.shape[1:])} and consistency "
                f"maps of {tuple(seen.consistency.shape[1:])}")  # fmt: skip
    page.holds("the detector", model)
    page.takes("activations", 2 * kept, f"{batch} pictures" + ", with the encoder's" * learned)
    epochs = None if pictures is None else recipe.epochs
    steps = page.steps(
        recipe.steps, recipe.batch_size, None if pictures is None else 2 * pictures, epochs or recipe.epochs
    )
    if steps is not None:
        how = "the encoder learns, too" if learned else "the encoder is frozen: one pass of it, three of the rest"
        page.works("learning", (3.0 if learned else 1.3) * flops * steps * processes, how)
    return page


# ------------------------------------------------------------------------------------------------------ the training


def make(
    recipe: Recipe, init_from: Path | None = None, embed: Embed | None = None, go_on: Path | None = None
) -> KFD | SBI:  # fmt: skip
    """The detector as training begins.

    Args:
        recipe: Its encoders, detector and seed.
        init_from: The small pair's backbone; None: random.
        embed: The small pair's sentence encoder; None: MiniLM.
        go_on: A detector that an earlier recipe made, of another picture size for instance: its weights are taken over.

    Raises:
        WeightsError: Weights that do not fit.
        InputError: A start that this recipe cannot have.
        MissingExtra: The sentence encoder is not installed.
    """
    torch.manual_seed(recipe.seed)
    given = {k: v for k, v in recipe.encoders.items() if k != "kind"}
    if recipe.encoders["kind"] == "small":
        # an earlier stage's file holds the embedded sentences
        given |= {"weights": init_from, "embed": (embed or minilm.embed) if recipe.text and go_on is None else None}
    elif init_from is not None:
        raise InputError("init_from: expected none, a CLIP comes by its own name (encoders.name); leave it out")
    with buildable(_TABLES):
        encoders = _ENCODERS[recipe.encoders["kind"]](**given)
    if recipe.baseline == "sbi":
        if go_on is not None:
            raise InputError("go_on: expected none for the baseline, which has one stage")
        return SBI(encoders)
    with buildable(_TABLES):
        model = KFD(encoders, text=recipe.text, reference=recipe.reference, **recipe.detector)
    if go_on is not None:
        tensors, own = _own(KFD.load(go_on, encoders if encoders.elsewhere else None)), _own(model)
        unfit = sorted(k for k in own.keys() | tensors.keys() if _shape(own, k) != _shape(tensors, k))
        if unfit:
            raise WeightsError(
                f"'{go_on}' is not a detector of this recipe: {len(unfit)} tensors differ, as {unfit[0]}"
            )
        put(_own(model), tensors)
    return model


def _shape(tensors: Mapping[str, Tensor], name: str) -> Any:
    return tensors[name].shape if name in tensors else None


@checkpoint.alone
def train(
    recipe: Recipe,
    folder: Path,
    out: Path,
    init_from: Path | None = None,
    *,
    embed: Embed | None = None,
    go_on: Path | None = None,
    workers: int = 2,
    save_every: int = 100,
    stop_at_step: int | None = None,
    until: datetime | None = None,
) -> KFD | SBI:
    """Run the recipe on a pack, and go on where `out` stopped. The losses are equations 3 and 4.

    Args:
        recipe: All that decides the weights.
        folder: The pack.
        out: Folder of the run.
        init_from: See `make`, as `embed` and `go_on`.
        embed: The small pair's sentence encoder.
        go_on: An earlier stage's detector.
        workers: Processes that draw batches.
        save_every: Steps between two states.
        stop_at_step: Ends it after so many steps; the same call goes on.
        until: When it has to be done: a cosine then falls with the clock where the steps alone would be slower.

    Returns:
        The detector, in evaluation mode.

    Raises:
        InputError: `out` holds a run of another recipe.
    """
    rank, world = several.rank_and_world()
    if recipe.batch_size % (2 * world):
        raise InputError(f"batch_size = {recipe.batch_size}: expected a multiple of {2 * world}, a pair a process")
    steps = _steps(recipe, folder)
    device = several.device()
    model = make(recipe, init_from, embed, go_on).to(device).to(memory_format=torch.channels_last)
    if recipe.bf16 and isinstance(model.encoders, SmallEncoders):
        some_in_float(model.encoders)
    learned = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=recipe.lr, weight_decay=recipe.weight_decay)

    def loss(batch: Batch, step: int) -> dict[str, Tensor]:
        batch = {k: v.to(device, non_blocking=True) for k, v in batch.items()}
        pixels = batch["pixels"].float().contiguous(memory_format=torch.channels_last)
        wrapped.train()
        with precision(device, recipe.bf16):
            detection = wrapped(pixels, batch["reference"] if recipe.reference else None).float()
        losses = model.loss(detection, batch["label"], batch["mask"])
        return {
            "loss": losses.total,
            "localisation": losses.localisation,
            "classification": losses.classification,
            "correct": ((detection.logit > 0) == (batch["label"] > 0)).float().mean(),
        }

    counted: list[int] = []

    def saved() -> None:  # what a kill leaves is of use: the averaged weights of the last state
        own = {name: value.clone() for name, value in _own(model).items()}
        put(_own(model), loop.average)
        _write(model, recipe, out, counted[-1])
        put(_own(model), own)

    loop = Loop(
        out, model, optimizer, recipe.schedule(steps, until), loss, seed=str(recipe.seed), batch_size=recipe.batch_size,
        ema=recipe.ema, own=lambda: _own(model), about=_about(recipe, folder, go_on or init_from),
        save_every=save_every, workers=workers, main=rank == 0, each=counted.append, saved=saved,
    )  # fmt: skip
    done = loop.resume()
    last = last_step(steps, stop_at_step, done)
    wrapped = _spread(model, recipe) if world > 1 else model
    if rank == 0:
        facts = _resolved(recipe, go_on or init_from, steps, world)
        write_whole(out / "resolved.json", json.dumps(facts, indent=1).encode())
    loop.run(Batches(folder, recipe, model.encoders.size, rank, world), done, last)
    put(_own(model), loop.average)
    model.eval()
    if rank == 0:
        _write(model, recipe, out, counted[-1] if counted else done)  # the clock may have ended it before its steps did
    return model


def _write(model: KFD | SBI, recipe: Recipe, out: Path, steps: int) -> None:
    facts = {"crop": {"margin": recipe.margin}, "trained": {"steps": steps}}
    model.save(out / f"{model.kind}.safetensors", facts)


def count(recipe: Recipe, folder: Path) -> int:
    """How many genuine pictures of a pack the recipe learns from.

    Args:
        recipe: The settings.
        folder: Folder of the pack.
    """
    return sum(len(rows) for rows in genuine(Pack(folder), recipe).values())


def _steps(recipe: Recipe, folder: Path) -> int:
    pictures = count(recipe, folder)
    if recipe.steps is not None:
        return recipe.steps
    return max(1, round((recipe.epochs or 0) * pictures / (recipe.batch_size / 2)))


def _own(model: KFD | SBI) -> dict[str, Tensor]:
    """The tensors a run changes or has to keep: without a frozen CLIP, which comes by its name again."""
    elsewhere = f"encoders.{model.encoders.elsewhere}" if model.encoders.elsewhere else ""
    return {k: v for k, v in model.state_dict().items() if not is_elsewhere(k, elsewhere)}


# ------------------------------------------------------------------------------------------------ several processes


def _spread(model: KFD | SBI, recipe: Recipe) -> DistributedDataParallel:
    """DDP over what learns. With "fsdp" a frozen CLIP's layers lie in parts on the processes, gathered as they are met.

    Only frozen layers are sharded, for they are nearly all there is: of ViT-H/14's 986 million weights none learns,
    and the detector around them has 4.4 million.
    """
    if recipe.parallel == "fsdp":
        from torch.distributed.fsdp import fully_shard

        if not isinstance(model.encoders, ClipEncoders):
            raise InputError('parallel = "fsdp": expected the encoders "clip", only a frozen CLIP is worth sharding')
        if model.encoders.lora:
            raise InputError('parallel = "fsdp": expected frozen encoders, got LoRA in them. Use parallel = "ddp".')
        for tower in (model.encoders.clip.vision_model, model.encoders.clip.text_model):
            for layer in tower.encoder.layers:
                fully_shard(layer)
        sharded = [k for k, v in model.named_parameters() if k.startswith("encoders.clip.")]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, sharded)
    # a small backbone keeps the stages beyond the last stride that is used, and their weights never get a gradient
    return DistributedDataParallel(model, find_unused_parameters=isinstance(model.encoders, SmallEncoders))


# ----------------------------------------------------------------------------------------------- what a run leaves


def _about(recipe: Recipe, folder: Path, start: Path | None) -> dict[str, str]:
    """What a state has to be of to be gone on from."""
    pack = checkpoint.sha256(folder / "rows.json")
    return {"recipe": digest(recipe), "pack": pack, "init_from": checkpoint.begun_with(start)}


def _resolved(recipe: Recipe, start: Path | None, steps: int, world: int) -> dict[str, Any]:
    """What it takes to run it again."""
    digest = None if start is None else checkpoint.sha256(start)
    return {
        "recipe": asdict(recipe), "steps": steps, "processes": world, "init_from_sha256": digest,
        "versions": {"torch": torch.__version__, "numpy": np.__version__, "opencv": cv2.__version__},
        "commit": checkpoint.commit(),
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------------- by command
