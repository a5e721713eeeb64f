"""Trains ForgeryTalker in three steps: pretraining, the FPN alone, then reports and masks with the FPN fixed.

    facewitness train forgerytalker runs/forgerytalker/small.toml --pack PACK --init-from COMPACT.safetensors --out RUN
    facewitness train forgerytalker runs/forgerytalker/published.toml --data MMTT --out RUN
    facewitness train forgerytalker runs/forgerytalker/published.toml --plan --processes 4
    torchrun --nproc-per-node 4 -m facewitness train forgerytalker runs/forgerytalker/published.toml --data MMTT …

Lian et al., "Generating Attribution Reports for Manipulated Facial Images: A Dataset and Baseline", sections 3.1 to 3.3
and appendix C; the losses are `models/forgerytalker`'s equations 1 to 5, 10 and 11, and `models/fpn`'s 8 and 9. The
published recipe reads MMTT as its authors distribute it, by their lists: a test list of 21,679 of the 152,217 samples,
as their repository reports, is a seventh and not the tenth of the paper's 8 : 1 : 1.
The small one draws its own edits (`train/edits`) and writes their reports (`train/reports`).

The encoder is frozen in every step, as in the authors' code; of a small one all features are computed once. Each step
is a `Loop` in a folder of its own below RUN and goes on after a kill.

A batch may be passed in parts, and shared by several processes. Equation 4 sets each picture's report against all of
the batch, so it is computed of all of it, whatever the parts are. What else a part's losses divide by (words, masks) is
its own, and the FPN's batch normalisation sees a part, too: give its step none where its memory allows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from facewitness import geometry, plugins
from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.models import forgerytalker as ft
from facewitness.models import fpn
from facewitness.models._encoder import Features
from facewitness.models._reader import Reader, learned
from facewitness.models.compact import read_weights
from facewitness.models.fpn import OMEGA, Prompt
from facewitness.train import checkpoint, edits, published, reports, several
from facewitness.train.loop import Batch, Loop, halved, only, precision
from facewitness.train.plan import GIB, Language, Plan
from facewitness.train.recipe import above_zero, at_least, buildable, digest, known, of_steps_or_epochs, read_recipe
from facewitness.train.schedule import Schedule, last_step

# Side of MMTT's pictures over the mesh's longer side: the median of 40 CelebA-HQ portraits is 1.56, nine of ten have
# 1.42 to 1.74. They are learnt from whole, so the card says that a portrait is shown whole, and another photo cropped.
PORTRAIT = 1.6
STAGES = ("pretrain", "fpn", "report")
TIME = {"pretrain": 0.15, "fpn": 0.3, "report": 0.55}  # shares of a run that ends by the clock


# -------------------------------------------------------------------------------------------------------- the recipe


@dataclass(frozen=True)
class Stage:
    """One step of training: `steps` batches, or `epochs` over the data.

    `micro_batch_size` is how many pictures a process has at once: the rest of its share of the batch accumulates. None
    for all. `optimizer` is "adamw", or "sgd" with momentum 0.9.
    """

    batch_size: int
    lr: float
    steps: int | None = None
    epochs: float | None = None
    warmup: int = 0
    cosine: bool = True
    weight_decay: float = 0.01
    micro_batch_size: int | None = None
    optimizer: str = "adamw"

    def length(self, pictures: int) -> int:
        """Steps in all; 0 leaves the stage out.

        Args:
            pictures: How many there are.
        """
        if self.steps is not None:
            return self.steps
        return max(1, round((self.epochs or 0) * pictures / self.batch_size))


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights.

    Attributes:
        kind: "small", from nothing on the compact network's features, or "hub", around the InstructBLIP `model`.
        pretrain, fpn, report: The three steps; without `pretrain` there is none (Table 5's first row).
        draws: What the small one learns from; the published one reads --data.
        model, revision: An InstructBLIP by hub name or folder.
        network: Changes to the configuration, such as enrich = false.
        weights: λ1 : λ2 : λ3 : λ4 of equation 5.
        omega, dice: Of the FPN's loss.
        oracle: Instructions name the true areas instead of the FPN's (Table 4's "w/ FPN-GT").
        words: Whether reports are learned (equation 10); without, masks alone (equation 11), a row to measure beside.
        vocabulary: Rows of the small one's tokenizer at most.
        bf16: Forward and backward in bfloat16, and what never learns kept in it.
        gradient_checkpointing: Compute the language model's activations again in the backward pass, to save memory.
        max_tokens: Of a report when it is written.
        seed: Of everything drawn.
    """

    kind: str
    fpn: Stage
    report: Stage
    pretrain: Stage | None = None
    draws: edits.Draws | None = None
    model: str = ft.NAME
    revision: str = "main"
    network: dict[str, Any] = field(default_factory=dict)
    weights: tuple[float, ...] = ft.WEIGHTS
    omega: float = OMEGA
    dice: bool = True
    oracle: bool = False
    words: bool = True
    vocabulary: int = 768
    bf16: bool = False
    gradient_checkpointing: bool = False
    max_tokens: int = 120
    seed: int = 0

    def __post_init__(self) -> None:
        known("kind of ForgeryTalker", [self.kind], ("small", "hub"))
        if self.kind == "small" and self.draws is None:
            raise InputError("recipe: expected [draws] in a small one, which makes its own edits")
        if len(self.weights) != 4 or not all(0 <= weight < math.inf for weight in self.weights):
            raise InputError(f"recipe: expected four weights of at least 0, got {self.weights}")
        at_least(self, vocabulary=1, max_tokens=1, omega=0)
        for name in STAGES:
            stage = getattr(self, name)
            if stage is None:
                continue
            try:
                of_steps_or_epochs(stage)
                at_least(stage, steps=0, batch_size=1, micro_batch_size=1, warmup=0, weight_decay=0)
                above_zero(stage, "lr")
                known("optimizer", [stage.optimizer], ("adamw", "sgd"))
            except InputError as error:
                raise InputError(str(error).replace("recipe: ", f"recipe, [{name}]: ", 1)) from None

    @classmethod
    def read(cls, path: Path, changes: Sequence[str] = ()) -> Recipe:
        """From TOML.

        Args:
            path: The TOML file.
            changes: As `read_recipe` takes them.

        Raises:
            UnknownName: With the nearest known key, for a key that nothing has.
            InputError: Else.
        """
        return read_recipe(cls, path, changes)

    def config(self, words: int) -> dict[str, Any]:
        """Of the network.

        Args:
            words: Size of the vocabulary.

        Returns:
            The configuration.
        """
        make = ft.small(reports.AREAS, words) if self.kind == "small" else ft.published(tuple(reports.AREAS))
        return make | self.network


# ------------------------------------------------------------------------------------------------------ the material


class Material(Protocol):
    """What is learned from: pictures with masks and reports."""

    def __len__(self) -> int: ...

    def images(self, rows: Any) -> Tensor:
        """float (n, 3, S, S) in 0..255.

        Args:
            rows: Which rows: numbers or a slice.

        Returns:
            float32 (n, 3, S, S) in 0..255.
        """

    def truth(self, rows: Any) -> Tensor:
        """Masks, float (n, h, w) in [0, 1].

        Args:
            rows: Which rows: numbers or a slice.

        Returns:
            float32 (n, h, w) in [0, 1].
        """

    def reports(self, rows: Any) -> list[str]:
        """One text a picture.

        Args:
            rows: Which rows: numbers or a slice.
        """

    def features(self, rows: Any) -> Features | None:
        """What the frozen encoder says, where it is known.

        Args:
            rows: Which rows: numbers or a slice.
        """


class Drawn:
    """Self-made edits with their reports; the same seed gives the same texts.

    Args:
        made: The edits.
        seed: Of the reports' words.
        kept: The frozen encoder's features of them; None to compute them each time.
    """

    def __init__(self, made: edits.Edits, seed: int, kept: edits.Kept | None = None):
        self.edits, self.kept = made, kept
        size = int(made.pixels.shape[1])
        self.sentences = [
            reports.sentences(row, made.meshes[i], made.masks[i], size, np.random.default_rng([seed, i]))
            for i, row in enumerate(made.rows)
        ]

    def __len__(self) -> int:
        return len(self.edits)

    def images(self, rows: Any) -> Tensor:
        """As `Material.images`.

        Args:
            rows: Which rows: numbers or a slice.

        Returns:
            float (n, 3, S, S) in 0..255.
        """
        return self.edits.images(rows)

    def truth(self, rows: Any) -> Tensor:
        """As `Material.truth`.

        Args:
            rows: Which rows: numbers or a slice.

        Returns:
            float (n, h, w) in [0, 1].
        """
        return self.edits.truth(rows)

    def reports(self, rows: Any) -> list[str]:
        """As `Material.reports`.

        Args:
            rows: Which rows: numbers or a slice.
        """
        return [reports.text(self.sentences[i]) for i in np.arange(len(self))[rows]]

    def features(self, rows: Any) -> Features | None:
        """As `Material.features`.

        Args:
            rows: Which rows: numbers or a slice.
        """
        return None if self.kept is None else self.kept.of(rows)


class Published:
    """Pictures of a dataset with masks and texts, such as MMTT: whole pictures, brought to the encoder's size.

    Args:
        dataset: A name of datasets/.
        root: Its folder.
        split: Of it.
        size: Side of the encoder's pictures.

    Raises:
        InputError: No picture there has both a mask and a text.
    """

    def __init__(self, dataset: str, root: Path, split: str, size: int):
        import cv2

        self._cv2, self.size, self.root = cv2, size, root
        leaf = plugins.get("datasets", dataset)
        self._fits: set[str] = set()  # names of pictures whose masks were looked at
        self.samples = [s for s in leaf.samples(root, split) if s.truth.texts and s.truth.mask is not None]
        if not self.samples:
            raise InputError(f"{root}: expected pictures with masks and texts in the split '{split}', found none")

    def __len__(self) -> int:
        return len(self.samples)

    def images(self, rows: Any) -> Tensor:
        """As `Material.images`.

        Args:
            rows: Which rows: numbers or a slice.

        Returns:
            float (n, 3, S, S) in 0..255.
        """
        pictures = [self._picture(sample) for sample in self._of(rows)]
        resized = [self._cv2.resize(p, (self.size, self.size), interpolation=self._cv2.INTER_AREA) for p in pictures]
        return torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).float()

    def _picture(self, sample: Any) -> NDArray[np.uint8]:
        from facewitness import media

        return media.read(sample.image or str(self.root / sample.file)).frame.pixels

    def truth(self, rows: Any) -> Tensor:
        """As `Material.truth`; a pixel is forged or not, as equation 3 has it.

        Args:
            rows: Which rows: numbers or a slice.

        Returns:
            float (n, h, w), 0 or 1.

        Raises:
            InputError: A mask has other proportions than its picture.
        """
        masks = []
        for sample in self._of(rows):
            mask = sample.truth.mask() if callable(sample.truth.mask) else sample.truth.mask
            if sample.file not in self._fits:
                geometry.check_fits(np.asarray(mask), *self._picture(sample).shape[:2])
                self._fits.add(sample.file)
            masks.append(self._cv2.resize(np.asarray(mask, np.float32), (self.size, self.size),
                                          interpolation=self._cv2.INTER_AREA))  # fmt: skip
        return (torch.from_numpy(np.stack(masks)) >= 0.5).float()

    def reports(self, rows: Any) -> list[str]:
        """As `Material.reports`.

        Args:
            rows: Which rows: numbers or a slice.
        """
        return [sample.truth.texts[0] for sample in self._of(rows)]

    def features(self, rows: Any) -> Features | None:
        """None: no encoder was asked beforehand.

        Args:
            rows: Which rows: numbers or a slice.
        """
        return None

    def _of(self, rows: Any) -> list[Any]:
        return [self.samples[i] for i in np.arange(len(self))[rows]]


# ------------------------------------------------------------------------------------------------------ the training


def make(recipe: Recipe, texts: Sequence[str], init_from: Path | Sequence[Path] | None = None) -> ft.ForgeryTalker:
    """The network as training begins.

    Args:
        recipe: Says which.
        texts: What the small one's tokenizer learns from.
        init_from: The compact network's weights for the small one; imported checkpoints for the published one, each a
            part of it, such as the system's and the prompter's. What two of them hold is the later one's.

    Raises:
        WeightsError: An InstructBLIP cannot be had.
        InputError: The weights do not fit.
    """
    torch.manual_seed(recipe.seed)
    if recipe.kind == "hub":
        network = ft.from_hub(tuple(reports.AREAS), recipe.model, recipe.revision, **recipe.network)
        network.reader.spans = reports.spans
        for file in _files(init_from):  # what `facewitness import` wrote: a part of the network
            tensors = load_file(file)
            if "head.weight" in tensors:  # the prompter alone
                tensors = {f"fpn.{name}": value for name, value in tensors.items()}
            _, wrong = published.unfit({k: tuple(v.shape) for k, v in network.state_dict().items()}, tensors)
            if wrong:
                raise InputError(
                    f"init_from: {len(wrong)} tensors of '{file}' do not fit, such as {wrong[0]}. Import it again "
                    "with --recipe and this recipe."
                )
            network.load_state_dict(tensors, strict=False)
        if recipe.bf16:
            halved(network, _changed(network))
        return network
    whole = [*texts, reports.NOTHING, ft.INSTRUCTION, ft.WITHOUT, ", ".join(reports.AREAS), ft.NONE]
    words = learned(whole, recipe.vocabulary)
    with buildable():
        network = ft.ForgeryTalker(recipe.config(len(words)), Reader(words, spans=reports.spans))
    files = _files(init_from)
    if len(files) > 1:
        raise InputError(
            f"init_from: expected one file, the compact network's weights, for a small recipe, got {len(files)}"
        )
    if files:
        network.encoder.start_from(read_weights(files[0]))
    return network


def _changed(network: ft.ForgeryTalker) -> list[torch.nn.Parameter]:
    """What any of the three steps trains."""
    return [p for name in STAGES for p in network.learned(name)]


def _files(init_from: Path | Sequence[Path] | None) -> list[Path]:
    return [] if init_from is None else [init_from] if isinstance(init_from, Path) else list(init_from)


@checkpoint.alone
def train(
    recipe: Recipe,
    out: Path,
    *,
    pack: Path | None = None,
    data: Path | None = None,
    init_from: Path | Sequence[Path] | None = None,
    draws: Path | None = None,
    stages: Sequence[str] = STAGES,
    save_every: int = 50,
    stop_at_step: int | None = None,
    until: datetime | None = None,
) -> ft.ForgeryTalker:
    """Runs the recipe's steps one after the other; goes on where `out` stopped.

    Args:
        recipe: Of a small network or of the published one.
        out: Folder of the run.
        pack: Of `builders/pack`, for a small one.
        data: MMTT's folder, for the published one.
        init_from: The compact network's weights, for a small one; imported checkpoints, for the published one.
        draws: Where the edits are kept; in `out` by default.
        stages: Which of the three steps.
        save_every: Steps between two states.
        stop_at_step: Ends each of the three after so many steps.
        until: When to be done: the rates fall with the clock, and each step gets its share of what is left (`TIME`).

    Returns:
        The network in evaluation mode, saved as `forgerytalker.safetensors`.

    Raises:
        InputError: There is nothing to learn from, or `out` holds a run of another recipe.
    """
    rank, world = several.rank_and_world()
    for name in STAGES:  # before anything is drawn
        if (stage := getattr(recipe, name)) is not None and name in stages:
            several.shared(stage.batch_size, world, stage.micro_batch_size)
    material, network, margin = _begin(recipe, out, pack, data, init_from, draws)
    device = several.device()
    network.to(device)
    out.mkdir(parents=True, exist_ok=True)
    facts = {
        "recipe": asdict(recipe), "pictures": len(material), "processes": world, "commit": checkpoint.commit(),
        "init_from_sha256": [checkpoint.sha256(file) for file in _files(init_from)],
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
    }  # fmt: skip
    start = checkpoint.begun_with(*_files(init_from))
    for name in STAGES:
        checkpoint.same_state(out / name, _about(recipe, start))
    if rank == 0:
        write_whole(out / "resolved.json", json.dumps(facts, indent=1).encode())
    for name in STAGES:
        stage = getattr(recipe, name)
        if stage is not None and name in stages:
            share = TIME[name] / sum(TIME[other] for other in STAGES[STAGES.index(name) :] if other in stages)
            now = datetime.now(UTC)
            deadline = None if until is None else now + (until - now) * share
            learn(network, recipe, name, stage, material, out / name, save_every, stop_at_step, deadline, start)
    network.to(device).eval()
    if rank == 0:
        crop = {"margin": margin} | ({"whole": True} if recipe.kind == "hub" else {})
        card: dict[str, Any] = {"crop": crop, "trained": _steps_of(out)}
        if data is None:  # its reports are ours, and end in one of a few ways
            card["artefacts"] = sorted({words for ends in reports.ARTEFACTS.values() for words in ends})
        network.save(out / "forgerytalker.safetensors", card)
    return network


def _begin(
    recipe: Recipe,
    out: Path,
    pack: Path | None,
    data: Path | None,
    init_from: Path | Sequence[Path] | None,
    draws: Path | None,
) -> tuple[Material, ft.ForgeryTalker, float]:
    if recipe.kind == "hub":
        if data is None:
            raise InputError("forgerytalker: expected --data, the folder of MMTT, for a published recipe")
        network = make(recipe, (), init_from)
        return Published("mmtt", data, "train", network.size), network, PORTRAIT
    files = _files(init_from)
    if pack is None or not files or recipe.draws is None:
        raise InputError(
            "forgerytalker: expected --pack (facewitness build pack) and --init-from, the compact network's weights"
        )
    of, kept, name = recipe.draws, draws or out / "edits", kept_name(files[0], recipe)
    made = several.first(lambda: edits.drawn(of, pack, kept, "train"))
    drawn = Drawn(made, recipe.seed)
    network = make(recipe, drawn.reports(slice(None)), init_from)
    drawn.kept = several.first(lambda: made.features(network.encoder, name))
    return drawn, network, recipe.draws.margin


def kept_name(init_from: Path, recipe: Recipe) -> str:
    """What features are kept under: the encoder's weights, and how many channels of theirs are looked at.

    Args:
        init_from: Weights that the recipe begins with.
        recipe: The settings.
    """
    encoder = ft.small(reports.AREAS, 8)["encoder"] | recipe.network.get("encoder", {})
    width = 320 + (24 if encoder.get("traces", True) else 0) + (4 if encoder.get("maps") else 0)
    return f"compact-{checkpoint.sha256(init_from)[:8]}-{width}"


def learn(
    network: ft.ForgeryTalker, recipe: Recipe, name: str, stage: Stage, material: Material, out: Path,
    save_every: int = 50, stop_at_step: int | None = None, until: datetime | None = None, start: str = "nothing",
) -> None:  # fmt: skip
    """One of the three steps: changes what `network.learned(name)` says, and nothing else; goes on where `out` stopped.

    Args:
        network: Whose part learns.
        recipe: The settings.
        name: Of the step.
        stage: How long and at what rate.
        material: What is learned from.
        out: Folder of the run.
        save_every: Steps between two states.
        stop_at_step: Stops after so many steps, with a checkpoint; None for the end.
        until: When training has to be over: the rate then falls with the clock where the steps alone would be slower.
        start: Digests of the weights that the network began with.

    Raises:
        InputError: `out` holds a run of another recipe or another start, or the loss is no number any more.
    """
    rank, world = several.rank_and_world()
    own_batch, in_parts = several.shared(stage.batch_size, world, stage.micro_batch_size)
    if len(material) < stage.batch_size and (world > 1 or in_parts > 1):
        raise InputError(f"[{name}]: expected at least a batch of pictures ({stage.batch_size}), got {len(material)}")
    device = network.queries.device
    looks = name != "fpn" or network.fpn.stem is not None  # whether the encoder's features are asked for
    for part_name, part in network.named_children():  # what a step does without leaves a GPU's memory to the rest
        part.to(device if name != "fpn" or part_name == "fpn" or (looks and part_name == "encoder") else "cpu")
    if recipe.gradient_checkpointing:
        network.language.activation_checkpointing_enable({"use_reentrant": False})
    steps = stage.length(len(material))
    parameters = network.learned(name)
    kept = only(network, parameters)
    kept |= {k: v for k, v in network.named_buffers() if name == "fpn" and k.startswith("fpn.")}
    adapts = stage.optimizer == "adamw"
    kind, more = (torch.optim.AdamW, {}) if adapts else (torch.optim.SGD, {"momentum": 0.9})
    optimizer = kind(parameters, lr=stage.lr, weight_decay=stage.weight_decay, **more)
    texts = [reports.areas(text) for text in material.reports(slice(None))]
    labels = torch.tensor([[label in named for label in network.labels] for named in texts], dtype=torch.float32)

    apart = name == "pretrain" and (world > 1 or in_parts > 1)  # equation 4 is not of a part
    wholes: list[Tensor] = []

    def loss(batch: Batch, step: int) -> dict[str, Tensor]:
        rows = batch["rows"].numpy()
        network.train()
        if name != "fpn":
            network.fpn.eval()
        pixels = material.images(rows).to(device)
        with precision(device, recipe.bf16, recipe.gradient_checkpointing):
            known_features = material.features(rows)
            if looks:
                features = network.encoder(pixels) if known_features is None else known_features
                features = Features(*(x.to(device) for x in features))
            if name == "fpn":
                prompt = network.prompt(pixels, features) if looks else network.fpn(pixels)
                target = labels[rows].to(device)
                logits = prompt.logits.float()
                return {
                    "loss": fpn.loss(logits, target, recipe.omega, recipe.dice),
                    "plm": torch.tensor(_plm(network, logits, [texts[i] for i in rows])),
                }
            words, mask = material.reports(rows), material.truth(rows).to(device)
            if name == "pretrain":
                parts = network.pretraining(features, words, mask, not apart)
                if apart:
                    wholes.append(features.whole.detach())
                return {"loss": parts.total(recipe.weights), **parts._asdict()}
            with torch.no_grad():
                prompt = network.prompt(pixels, features) if network.prompted or network.enriched else None
                named = _named(network, recipe, prompt, [texts[i] for i in rows])
            losses = network.reporting(features, prompt, named, words, mask)
            return {"loss": losses.total if recipe.words else losses.mask, **losses._asdict()}

    def contrasted(batch: Batch, step: int) -> dict[str, Tensor]:
        """Equation 4 of the whole batch: of other processes' pictures by value, whose gradient they have themselves."""
        whole, reports_of = torch.cat(wholes), material.reports(batch["rows"].numpy())
        wholes.clear()
        with precision(device, recipe.bf16, recipe.gradient_checkpointing):
            con = ft.contrast(*map(several.gathered, network.aligned(whole, reports_of)))
        added = recipe.weights[3] * con
        return {"loss": added + (world - 1) * (added - added.detach()), "con": con}  # the mean over processes divides

    loop = Loop(
        out, network, optimizer, Schedule(stage.lr, steps, stage.warmup, stage.cosine, until=until), loss,
        seed=f"{recipe.seed} {name}", batch_size=stage.batch_size, own=lambda: {k: v.detach() for k, v in kept.items()},
        about=_about(recipe, start), save_every=save_every, workers=0, main=rank == 0, parts=in_parts,
        after=contrasted if apart else None, shared=world > 1,
        each=(lambda _: several.alike(network.fpn.buffers())) if name == "fpn" else None,
    )  # fmt: skip
    done = loop.resume()
    last = last_step(steps, stop_at_step, done)
    if done < last:
        whole = edits.Rows(len(material), stage.batch_size, recipe.seed)
        loop.run(several.Share(whole, own_batch), done, last)
    for p in parameters:
        p.grad = None  # the next step's memory


def _named(
    network: ft.ForgeryTalker, recipe: Recipe, prompt: Prompt | None, true: Sequence[Sequence[str]]
) -> list[tuple[str, ...]]:
    """R of each picture: the FPN's areas, the true ones of an oracle, none without an FPN."""
    if recipe.oracle:
        return [tuple(names) for names in true]
    return [() for _ in true] if prompt is None or not network.prompted else network.named(prompt)


def _plm(network: ft.ForgeryTalker, logits: Tensor, true: Sequence[Sequence[str]]) -> float:
    named = network.named(Prompt(logits.detach(), logits, logits))
    return fpn.plm(named, true) or 0.0


def _about(recipe: Recipe, start: str) -> dict[str, str]:
    """What a state has to be of to be gone on from."""
    return {"recipe": digest(recipe), "init_from": start}


def _steps_of(out: Path) -> dict[str, int]:
    steps = {}
    for name in STAGES:
        state = checkpoint.read_state(out / name / "resume.safetensors")
        if state is not None:
            steps[name] = int(state[0].get("step", "0"))
    return steps


# ------------------------------------------------------------------------------------------------------ what it costs


def plan(recipe: Recipe, pictures: int = 121_774, processes: int = 1) -> Plan:
    """What a run would take: names, shapes, memory and work, without loading or fetching anything.

    Each of the three steps has its own memory, for what learns and what is looked through; the page has the largest.

    Args:
        recipe: Of the run.
        pictures: How many there are; eight tenths of MMTT by default, the draws of a small recipe.
        processes: That share the run.

    Raises:
        InputError: They cannot share a batch evenly.
    """
    if recipe.draws is not None:
        pictures = recipe.draws.images
    config = recipe.config(recipe.vocabulary)
    title = "ForgeryTalker: a mask and a report from one encoder"
    with torch.device("meta"), buildable():
        network = ft.ForgeryTalker(config, Reader.none())
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    if recipe.kind == "hub" and recipe.bf16:
        halved(network, _changed(network))
    t5 = network.language.config
    language = Language(
        t5.num_layers + t5.num_decoder_layers, t5.d_model, t5.d_ff, t5.num_heads * t5.d_kv, t5.vocab_size,
        parts["language"], (torch.bfloat16 if recipe.bf16 else torch.float32).itemsize,
    )  # fmt: skip
    steps = {name: stage for name in STAGES if (stage := getattr(recipe, name)) is not None}
    pages = {name: _held(Plan(title, processes), network, recipe, name, stage, language)
             for name, stage in steps.items()}  # fmt: skip
    most = max(pages, key=lambda name: pages[name].bytes)
    page = pages[most]
    if recipe.kind == "hub" and not Path(recipe.model).is_dir():
        page.passed(f"{recipe.model} is looked up when training begins; the sizes here are the paper's")
    queries, image = int(config["queries"]), network.encoder.grid**2
    fixed, again = bool(config.get("frozen_language")), recipe.gradient_checkpointing
    for name, stage in steps.items():
        count = stage.length(pictures)
        seen = count * stage.batch_size
        own, in_parts = several.shared(stage.batch_size, processes, stage.micro_batch_size)
        at_once = f", of them {own} in each process, {own // in_parts} at once" if processes > 1 or in_parts > 1 else ""
        page.facts.append(
            f"{name}: {count:,} steps of {stage.batch_size}{at_once}, lr {stage.lr:g}: {seen:,} pictures, "
            f"{seen / pictures:.1f} epochs of {pictures:,}; {pages[name].bytes / GIB:.1f} GiB"
        )
        once = 2.0 * parts["encoder"] * image
        if name == "fpn":
            each = once * (config["fpn"].get("stem") is not None) + 6.0 * parts["fpn"] * network.fpn.side**2
        else:
            each = once + 6.0 * (parts["qformer"] * (queries + _WORDS) + parts["decoder"] * image)
            each += language.flops(queries + _WORDS, not fixed, again)
            each += 2.0 * parts["fpn"] * network.fpn.side**2 * (name == "report")
        page.works(name, each * seen, f"{each / 1e9:.1f}e9 operations a picture")
    page.facts.append(f"the memory below is of {most}, which needs the most")
    return page


_WORDS = 160  # of an instruction and a report, in tokens


def _held(
    page: Plan, network: ft.ForgeryTalker, recipe: Recipe, name: str, stage: Stage, language: Language
) -> Plan:  # fmt: skip
    """A page with the memory of one step: its parts, what learns of them, and what one part of a batch leaves."""
    own, in_parts = several.shared(stage.batch_size, page.processes, stage.micro_batch_size)
    batch = own // in_parts
    only(network, network.learned(name))
    config, queries = network.config, int(network.config["queries"])
    for part_name, part in network.named_children():
        if name != "fpn" or part_name == "fpn" or (part_name == "encoder" and network.fpn.stem is not None):
            page.holds(part_name, part)
    tower = Language(len(network.fpn.blocks), network.fpn.width, int(config["fpn"]["mlp"]), 0, 0, 0, 2)
    if name == "fpn":
        page.takes("activations of the FPN", tower.activations(batch, network.fpn.side**2 + 1, False),
                   f"{batch} pictures of {network.fpn.side**2 + 1} tokens")  # fmt: skip
        return page
    q = network.qformer.config
    asks = Language(q.num_hidden_layers, q.hidden_size, q.intermediate_size, 0, 0, 0, 2)
    again = recipe.gradient_checkpointing
    page.takes("activations of the language model", language.activations(batch, queries + _WORDS, again),
               f"{batch} reports of about {_WORDS} tokens" + ", checkpointed" * again)  # fmt: skip
    page.takes("scores of words", language.logits(batch, _WORDS), f"{language.vocabulary:,} words")
    page.takes("activations of the Q-Former", asks.activations(batch, queries + _WORDS, False), "of as many")
    if name == "pretrain":
        page.takes("scores of masked words", batch * _WORDS * q.vocab_size * 10.0, f"{q.vocab_size:,} words")
        page.takes("activations of equation 4", asks.activations(own, _WORDS, False), f"of all {own} reports at once")
    return page


def changed(recipe: Recipe, **changes: Any) -> Recipe:
    """A recipe with other values; `network` is merged.

    Args:
        recipe: The settings.
        **changes: Keys of the recipe with their new values.
    """
    if "network" in changes:
        changes["network"] = {**recipe.network, **changes["network"]}
    return replace(recipe, **changes)


__all__ = ["STAGES", "Drawn", "Published", "Recipe", "Stage", "changed", "kept_name", "learn", "make", "plan", "train"]
