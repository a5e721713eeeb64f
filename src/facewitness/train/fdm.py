"""Trains MARE's forgery disentanglement module: pack the data once, then draw balanced batches until done.

    facewitness build pack TABLES PACK [--edits dma.parquet …]
    facewitness train fdm RECIPE --pack PACK --init-from WEIGHTS.safetensors --out RUN
    facewitness train fdm RECIPE --pack PACK --out RUN --without reconstruction adversarial --seed 1

`--without` gives the ablation of the paper's table 5: L_f alone leaves out identity, reconstruction and adversarial.
One source in the recipe is the paper's intra-dataset protocol, several are its fused one; `--only SOURCE` makes the one
out of the other. Each source of `validate` is measured by itself. `--edits` packs tables of `builders/dma` too, each a
source by the name in its column `dataset`: self-made edits beside the real forgeries of the tables. Pictures are
brought to the recipe's size as they are drawn: the face, upright, where the recipe has a `margin`, and else the middle
square of each, for pictures that are crops of faces already.

What the data gives and what it does not
    identity   is a person where the recipe's [people] says that a source's groups are people: equation 7 and the probe
               look at those sources alone, and sources of the same people (FaceForensics++ at two compressions) share
               their numbers. In an identity exchange the group keeps the person who is replaced, not the face that is
               put on. Without [people] every group of every source counts as one, which on DFDC, where a group is one
               frame and its forgery, tells frames apart and no people
    splits     a group is in one split, so no identity of `val` was trained on; the probe asks whether identity *can* be
               told from features, by a linear classifier fitted on some pictures of a group and tried on another one.
               An edit has the identity of the picture that it was made of, whichever table that is in.
               One training group in sixteen is held out for calibration (runs/fdm/fit.py)
    balance    half of every batch is forged, in each source; so a source must have both labels. `paired` puts a
               forgery beside the genuine frame that it was made of, both damaged and mirrored alike, where that is a
               training row
The paper gives no settings of this training (see `models/fdm` for the network's): rates, sizes, steps, augmentation and
the rising strength of the reversal (2 / (1 + e^−10p) − 1 at progress p, as Ganin and Lempitsky 2015) are chosen.
Each batch is drawn from (seed, step) alone: a run repeats whatever the number of workers and goes on after a kill, to
the same weights where the device's sums do not depend on timing (a CPU with the same number of threads).
"""

from __future__ import annotations

import csv
import io
import json
import math
import warnings
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_type_hints

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.utils.data import Dataset

from facewitness import __version__, geometry
from facewitness.bench import measures
from facewitness.bench.measures import Value
from facewitness.builders.pack import Pack
from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.forge import degrade
from facewitness.models.fdm import FDM
from facewitness.phrases import cell
from facewitness.train import checkpoint
from facewitness.train.loop import Batch, Loop, put, some_in_float
from facewitness.train.plan import CONVOLUTIONS, Plan, passed_through
from facewitness.train.recipe import MOST_SIDE, arguments, buildable, check, known, read_recipe
from facewitness.train.schedule import Schedule

# -------------------------------------------------------------------------------------------------------- the recipe

_SWITCHES = ("identity", "reconstruction", "adversarial")  # what `--without` may name; L_f is what is ablated against
_MODEL = {k: hint for k, hint in get_type_hints(FDM.__init__).items() if k != "identities"}  # what [model] may hold
_MEASURES = ("auc", "f1", "acc")


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights.

    Attributes:
        sources: Source → share of draws; shares need not sum to one.
        validate: Sources whose val rows are measured; none: those of `sources`.
        people: Source whose groups are people → whose groups they are; none: every group is a person of its own. Who
            they are is what equation 7 learns from.
        model: Arguments of `models.fdm.FDM`, among them the weights of the losses of equation 10.
        size: Side of the pictures, pixels; Xception's own.
        margin: Side of an upright crop over the mesh's longer side, as witnesses crop; None takes the middle square of
            a picture, and so is one without a mesh.
        batch_size: Pictures a step; 32 is that of the Xception of FaceForensics++ (Rössler et al. 2019), like the rate.
        lr: The optimizer's rate after `warmup` steps in which it rises; it falls as a cosine, to a fiftieth.
        paired: Whether a forgery stands beside its own genuine frame.
        statistics: Of batch normalisation: the "batch"'s, or "kept" as training began with them.
        bf16: Compute in bfloat16, but for the first layer: eight bits would round the traces away.
        degraded: Share of pictures that pass a chain of compression, resizing, blur and noise.
        cropped: Of a picture's side as much is cut off at most, at random; 0 cuts nothing. A pair is cut alike.
        ema: Decay a step of the average of the weights that is saved and measured at the end; 0 has none.
        validate_every: Steps between two looks at the val rows.
        probe_groups: At most so many people of the val rows in the linear probe; 0 leaves it out.

    Raises:
        InputError: A value that cannot be.
    """

    sources: dict[str, float]
    validate: tuple[str, ...] = ()
    people: dict[str, str] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    size: int = 299
    margin: float | None = None
    steps: int = 20_000
    batch_size: int = 32
    lr: float = 2e-4
    warmup: int = 200
    weight_decay: float = 0.01
    paired: bool = False
    statistics: str = "batch"
    bf16: bool = False
    degraded: float = 0.5
    cropped: float = 0.0
    ema: float = 0.0
    validate_every: int = 1000
    probe_groups: int = 300

    def __post_init__(self) -> None:
        for name in ("size", "steps", "batch_size", "validate_every"):
            if getattr(self, name) < 1:
                raise InputError(f"recipe: expected {name} of at least 1, got {getattr(self, name)}")
        if not 32 <= self.size <= MOST_SIDE:  # the backbones reduce that much
            raise InputError(f"recipe: expected size of at least 32 pixels and at most {MOST_SIDE:,}, got {self.size}")
        if self.margin is not None and not 1 <= self.margin <= 10:
            raise InputError(f"recipe: expected a margin from 1 to 10, got {self.margin}")
        if self.probe_groups < 0:
            raise InputError(f"recipe: expected probe_groups of at least 0, got {self.probe_groups}")
        if self.batch_size % 2:
            raise InputError(f"recipe: expected an even batch_size, half real and half forged, got {self.batch_size}")
        if not (self.lr > 0 and self.weight_decay >= 0 and 0 <= self.degraded <= 1):
            raise InputError("recipe: expected lr above 0, weight_decay of at least 0 and degraded in [0, 1]")
        shares = self.sources.values()
        if not shares or not all(isinstance(s, int | float) and s > 0 for s in shares):
            raise InputError(f"recipe: expected [sources] with shares above 0, got {self.sources}")
        if not (0 <= self.cropped <= 0.5 and 0 <= self.ema < 1):
            raise InputError(
                f"recipe: expected cropped in [0, 0.5] and ema in [0, 1), got {self.cropped} and {self.ema}"
            )
        known("statistics", [self.statistics], ("batch", "kept"))
        known("source in [people]", self.people, {*self.sources, *self.validate})
        check(self.model, _MODEL, "[model]")
        counted = {name: value for name, value in self.model.items() if name != "stage"}  # which may be below 0
        arguments(counted, FDM, "recipe, [model]")

    @property
    def validated(self) -> tuple[str, ...]:
        return self.validate or tuple(self.sources)

    @classmethod
    def read(cls, path: Path, changes: Sequence[str] = ()) -> Recipe:
        """From TOML.

        Args:
            path: The TOML file.
            changes: As `read_recipe` takes them.

        Raises:
            UnknownName: With the nearest known key, for a key that nothing reads.
            InputError: There is no TOML, or a value is of another type.
        """
        return read_recipe(cls, path, changes)

    def without(self, losses: Iterable[str]) -> Recipe:
        """The same recipe with some losses switched off.

        Args:
            losses: Names of those to switch off.

        Raises:
            UnknownName: For a loss that cannot be.
        """
        losses = list(losses)
        known("loss to leave out", losses, _SWITCHES)
        return replace(self, model={**self.model, **{f"{name}_weight": 0.0 for name in losses}})

    def only(self, source: str) -> Recipe:
        """The intra-dataset protocol on one of this recipe's sources.

        Args:
            source: One of the recipe's.

        Raises:
            UnknownName: For another one.
        """
        known("source of the recipe", [source], self.sources)
        people = {name: whose for name, whose in self.people.items() if name == source}
        return replace(self, sources={source: 1.0}, validate=(source,), people=people)

    def person(self, row: Mapping[str, Any]) -> str | None:
        """Whom a picture shows, as far as identities go: None where nobody knows.

        Args:
            row: Of the pack.
        """
        if row.get("identity"):  # an edit, by the picture that it was made of
            source, _, group = str(row["identity"]).partition("/")
        else:
            source, group = row["source"], row["group"]
        if self.people:
            return f"{self.people[source]}/{group}" if source in self.people else None
        return f"{source}/{group}"


# ------------------------------------------------------------------------------------------------------- the batches


def identity_names(data: Pack, recipe: Recipe) -> list[str]:
    """What the identity classifier tells apart: every person of the training rows, sorted.

    Args:
        data: A pack.
        recipe: The settings.
    """
    people = (recipe.person(data.rows[i]) for i in data.indices("train", recipe.sources))
    return sorted({name for name in people if name is not None})


class Batches(Dataset):
    """Batch i: real and forged pictures in turn, drawn from (seed, i) alone.

    Each is {"pixels": uint8 (B, 3, S, S), "fake": float32 (B,), 1 means fake, "identity": int64 (B,), the person's
    number in `identity_names`, for equation 7}.

    Args:
        folder: Of the pack.
        recipe: What is drawn.
    """

    def __init__(self, folder: Path, recipe: Recipe):
        self.folder, self.recipe = folder, recipe
        data = Pack(folder)
        known("source in the pack", [*recipe.sources, *recipe.validated], {row["source"] for row in data.rows})
        self.names = list(recipe.sources)
        self.shares = np.array([recipe.sources[name] for name in self.names]) / sum(recipe.sources.values())
        self.of = {(source, label): [i for i in data.indices("train", [source]) if data.rows[i]["label"] == label]
                   for source in self.names for label in ("real", "fake")}  # fmt: skip
        for (source, label), rows in self.of.items():
            if not rows:
                raise InputError(
                    f"{source}: expected real and fake training rows in the pack, found no {label} one. Pack again "
                    "from other tables, or take the source out of [sources]: it would tell the label by itself."
                )
        number = {name: i for i, name in enumerate(identity_names(data, recipe))}
        self.identities = max(1, len(number))
        mine = [i for rows in self.of.values() for i in rows]
        self.identity = {i: number.get(recipe.person(data.rows[i]) or "", -1) for i in mine}
        named = {(data.rows[i]["source"], data.rows[i]["file"]): i for i in mine if data.rows[i]["label"] == "real"}
        originals = {i: (data.rows[i]["source"], data.rows[i]["original"]) for i in mine if data.rows[i]["original"]}
        self.original = {i: named[key] for i, key in originals.items() if key in named}
        self._data: Pack | None = None  # opened once in every worker: a memory map does not travel

    def __len__(self) -> int:
        return self.recipe.steps

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        if self._data is None:
            cv2.setNumThreads(0)
            self._data = Pack(self.folder)
        rng = np.random.default_rng([self.recipe.seed, step])
        pictures: list[NDArray[np.uint8]] = []
        drawn: list[int] = []
        for k in range(0, self.recipe.batch_size, 2):
            rows = self._pair(rng)
            damage = rng.integers(1 << 32, size=2)
            if self.recipe.paired:
                damage[1] = damage[0]
            for i, seed in zip(rows, damage, strict=True):
                pictures.append(self._seen(i, np.random.default_rng([self.recipe.seed, step, k, int(seed)])))
            drawn += rows
        return {
            "pixels": torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).copy()),
            "fake": torch.arange(self.recipe.batch_size) % 2 * 1.0,
            "identity": torch.tensor([self.identity[i] for i in drawn]),
        }

    def _pair(self, rng: np.random.Generator) -> tuple[int, int]:
        """A genuine row and a forged one, of one source each, or of one and the same frame."""

        def one(source: str, label: str) -> int:
            rows = self.of[source, label]
            return rows[rng.integers(len(rows))]

        first, second = (self.names[k] for k in rng.choice(len(self.names), size=2, p=self.shares))
        if not self.recipe.paired:
            return one(first, "real"), one(second, "fake")
        forged = one(first, "fake")
        return self.original[forged] if forged in self.original else one(first, "real"), forged

    def _seen(self, i: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Row i as it is learnt from: some of them damaged, half of them mirrored."""
        assert self._data is not None
        picture = _shown(self._data, i, self.recipe.size, self.recipe.margin)
        if self.recipe.cropped:
            picture = _cut(picture, self.recipe.cropped, rng)
        if rng.random() < self.recipe.degraded:
            picture, _ = degrade.degrade(picture, rng, strength=float(rng.random()))
        return picture[:, ::-1] if rng.random() < 0.5 else picture


def _shown(data: Pack, i: int, size: int, margin: float | None) -> NDArray[np.uint8]:
    """Row i's picture as the module sees it, (size, size, 3)."""
    points = None if margin is None else data.landmarks(i)
    if margin is None or points is None:
        return data.square(i, size)
    return np.asarray(geometry.crop(data.pixels(i), geometry.align(points, size, margin), size), np.uint8)


def _cut(picture: NDArray[np.uint8], most: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A square of it, as large as it was."""
    side = len(picture)
    kept = side - int(rng.integers(round(most * side) + 1))
    top, left = rng.integers(side - kept + 1, size=2)
    part = np.ascontiguousarray(picture[top : top + kept, left : left + kept])
    return np.asarray(cv2.resize(part, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)


# ---------------------------------------------------------------------------------------------------------- the plan

_PEOPLE = 5000  # identities where no pack says how many: FaceForensics++, Celeb-DF and DFD have fewer together


def blank(recipe: Recipe, identities: int = _PEOPLE) -> FDM:
    """The module's shapes on the meta device.

    Args:
        recipe: The settings.
        identities: How many people there are.
    """
    with torch.device("meta"):
        return FDM(identities, **recipe.model).eval()


def plan(recipe: Recipe) -> Plan:
    """What the run needs, without weights or data.

    Args:
        recipe: The settings.
    """
    page = Plan(
        f"the forgery disentanglement module on {recipe.model.get('backbone', 'legacy_xception')}", shareable=False
    )
    model = blank(recipe).train()
    pixels = torch.empty(recipe.batch_size, 3, recipe.size, recipe.size, device="meta")
    seen, kept, flops = passed_through(model, pixels)
    page.passed(
        f"a picture of {recipe.size} px becomes traces of {tuple(seen.trace.shape[1:])} out of features of "
        f"{tuple(seen.shared.shape[1:])}"
    )
    page.holds("the module", model)
    page.takes("activations", 2 * kept / (2 if recipe.bf16 else 1), f"{recipe.batch_size} pictures, with gradients")
    steps = page.steps(recipe.steps, recipe.batch_size, None, None) or 0
    page.works("learning", 3.0 * flops * steps, f"{flops / recipe.batch_size / 1e9:.1f}e9 operations a picture, thrice",
               share=CONVOLUTIONS)  # fmt: skip
    return page


# ------------------------------------------------------------------------------------------------------ the training


@checkpoint.alone
def train(
    recipe: Recipe,
    folder: Path,
    init_from: Path | None,
    out: Path,
    *,
    workers: int = 2,
    save_every: int = 200,
    device: str | None = None,
    until: datetime | None = None,
) -> dict[str, Any]:
    """Run the recipe on a pack, and go on where `out` stopped. The loss is equation 10, of 7 to 9 (`models/fdm`).

    Writes into `out`: `resolved.json`; `resume.safetensors`, `fdm.safetensors` + `.json` (`FDM.lean`) and a line
    of `log.jsonl` every `save_every` steps; `validation.csv`; at the end `predictions.csv` and `results.json`.

    Args:
        recipe: All that decides the weights.
        folder: The pack.
        init_from: Weights of the backbone (safetensors, timm's names), or a module to go on from; None: random.
        out: Folder of the run.
        workers: Processes that draw batches.
        save_every: Steps between two states.
        device: As torch names it; None: a GPU where there is one.
        until: When training has to be over: the rate then falls with the clock where the steps alone would be slower.

    Returns:
        What `results.json` says.

    Raises:
        InputError: `out` holds another run, the data does not fit, or the loss is no number any more.
    """
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    data, batches = Pack(folder), Batches(folder, recipe)
    for source in recipe.validated:
        if not data.indices("val", [source]):
            raise InputError(f"{source}: expected val rows in the pack, found none. Pack again, or mend `validate`.")
    _begin(recipe, out, init_from, place)
    torch.manual_seed(recipe.seed)
    with buildable("[model]"):
        model = FDM(batches.identities, **recipe.model)
    if init_from is not None:
        model.start_from(init_from)
    model = model.to(place, memory_format=torch.channels_last)
    if recipe.bf16:
        some_in_float(model.backbone)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    other = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": other, "weight_decay": 0.0}], lr=recipe.lr
    )

    def loss(batch: Batch, step: int) -> dict[str, Tensor]:
        model.train()
        if recipe.statistics == "kept":
            for part in model.modules():
                if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
                    part.eval()
        pixels = batch["pixels"].to(place, memory_format=torch.channels_last)
        reversal = 2 / (1 + math.exp(-10 * step / recipe.steps)) - 1
        with torch.autocast(place.type, torch.bfloat16, enabled=recipe.bf16):
            seen = model(pixels, reversal=reversal)
        losses = model.loss(seen.float(), batch["fake"].to(place), batch["identity"].to(place))
        return {"loss": losses.total, **losses.parts}

    counted = [0]

    def each(done: int) -> None:
        counted[0] = done
        if done % recipe.validate_every == 0 and done < recipe.steps:
            scored = predict(model, data, recipe.validated, recipe.size, place, recipe.margin)
            _note_validation(out, done, _measured(data, scored))

    def saved() -> None:  # what a kill leaves is of use: the averaged weights of the last state
        own = {name: value.clone() for name, value in model.state_dict().items()}
        put(model.state_dict(), loop.average)
        _write(model, recipe, out)
        put(model.state_dict(), own)

    loop = Loop(
        out, model, optimizer, Schedule(recipe.lr, recipe.steps, recipe.warmup, until=until), loss,
        seed=str(recipe.seed), batch_size=recipe.batch_size, save_every=save_every, workers=workers, each=each,
        ema=recipe.ema, saved=saved, about={"pack": checkpoint.sha256(folder / "rows.json")},
    )  # fmt: skip
    begin = counted[0] = loop.resume()
    _forget_after(out, begin, recipe.steps)
    if begin == 0 and recipe.probe_groups:
        before = {name: asdict(value) for name, value in probe(model, data, recipe, place).items()}
        write_whole(out / "probe_before.json", json.dumps(before, indent=1).encode())
    loop.run(batches, begin, recipe.steps)
    put(model.state_dict(), loop.average)
    return _finish(recipe, out, model, data, place, counted[0])


def _write(model: FDM, recipe: Recipe, out: Path) -> str:
    crop: dict[str, Any] = {"size": recipe.size} | ({} if recipe.margin is None else {"margin": recipe.margin})
    return model.lean().save(out / "fdm.safetensors", {"crop": crop})


def _begin(recipe: Recipe, out: Path, init_from: Path | None, place: torch.device) -> None:
    """Write what the run is made of, or check that what `out` holds was made of the same."""
    file = out / "resolved.json"
    started = None if init_from is None else checkpoint.sha256(init_from)
    mine = json.loads(json.dumps({"recipe": asdict(recipe), "init_from_sha256": started}))
    if file.exists():
        theirs = json.loads(file.read_text(encoding="utf-8"))
        there = {**theirs["recipe"], "init_from": theirs["init_from_sha256"]}
        here = {**mine["recipe"], "init_from": started}
        differing = sorted(key for key in {*there, *here} if there.get(key) != here.get(key))
        if differing:
            raise InputError(f"{out} holds a run with other {', '.join(differing)}. Give another --out.")
        return
    made_by = {
        "facewitness": __version__,
        "commit": checkpoint.commit(),
        "torch": torch.__version__,
        "timm": version("timm"),
        "device": place.type,
        "threads": torch.get_num_threads(),
    }
    write_whole(file, json.dumps({**mine, "made_by": made_by}, indent=1).encode())


def _forget_after(out: Path, step: int, steps: int) -> None:
    """Takes out of validation.csv what was written after the state that is gone on from; it will be written again."""
    table = out / "validation.csv"
    if table.exists():
        head, *lines = table.read_text(encoding="utf-8").splitlines()
        # the last validation belongs to the finish, which is always done again
        kept = [line for line in lines if int(line.split(",")[0]) <= step and int(line.split(",")[0]) < steps]
        write_whole(table, "".join(line + "\n" for line in (head, *kept)).encode())


def _finish(recipe: Recipe, out: Path, model: FDM, data: Pack, place: torch.device, steps: int) -> dict[str, Any]:
    scored = predict(model, data, recipe.validated, recipe.size, place, recipe.margin)
    measured = _measured(data, scored)
    _note_validation(out, steps, measured)
    columns = ("source", "file", "group", "label")
    lines: list[dict[str, Any]] = [
        {**{k: data.rows[i][k] for k in columns}, "score": float(f"{p:.6g}")} for i, p in scored
    ]
    unread = [p for p in data.problems if p["split"] == "val" and p["source"] in recipe.validated]
    lines += [{k: problem[k] for k in columns} for problem in unread]  # a row without a score, never dropped
    write_whole(out / "predictions.csv", _csv((*columns, "score"), lines))
    results: dict[str, Any] = {
        "recipe": asdict(recipe),
        "steps": steps,
        "identities": model.config["identities"],
        "weights_sha256": _write(model, recipe, out),
        "unread": {"train": sum(p["split"] == "train" for p in data.problems), "validated": len(unread)},
        "validation": {source: {k: asdict(v) for k, v in values.items()} for source, values in measured.items()},
    }
    if recipe.probe_groups:
        results["probe"] = {
            "before": json.loads((out / "probe_before.json").read_text(encoding="utf-8")),
            "after": {name: asdict(value) for name, value in probe(model, data, recipe, place).items()},
        }
    write_whole(out / "results.json", json.dumps(results, indent=1).encode())
    return results


# ----------------------------------------------------------------------------------------------------- the measuring


def predict(
    model: FDM, data: Pack, sources: Sequence[str], size: int, place: torch.device, margin: float | None = None
) -> list[tuple[int, float]]:
    """The module's scores of all val rows of some sources.

    Args:
        model: In evaluation mode.
        data: The pack.
        sources: Whose val rows are looked at.
        size: Side of the pictures, pixels.
        place: Where the model is.
        margin: As the recipe has it.

    Returns:
        (row of the pack, score in [0, 1]) of each, 1 means fake.
    """
    rows = data.indices("val", sources)
    scores = np.concatenate([seen["score"] for seen in _read(model, data, rows, size, place, margin)])
    return list(zip(rows, scores.tolist(), strict=True))


@torch.no_grad()
def _read(
    model: FDM, data: Pack, rows: Sequence[int], size: int, place: torch.device, margin: float | None = None
) -> Iterator[dict[str, NDArray[np.float32]]]:
    model.eval()
    for at in range(0, len(rows), 64):
        pixels = np.stack([_shown(data, i, size, margin) for i in rows[at : at + 64]]).transpose(0, 3, 1, 2)
        seen = model(torch.from_numpy(pixels.copy()).to(place, memory_format=torch.channels_last))
        yield {
            "score": seen.score.double().cpu().numpy(),
            "trace": seen.trace.mean((2, 3)).cpu().numpy(),
            "identity": seen.identity.mean((2, 3)).cpu().numpy(),
        }


def _measured(data: Pack, scored: Sequence[tuple[int, float]]) -> dict[str, dict[str, Value]]:
    values = {}
    for source in dict.fromkeys(data.rows[i]["source"] for i, _ in scored):
        mine = [(data.rows[i], p) for i, p in scored if data.rows[i]["source"] == source]
        values[source] = measures.detection(
            [row["label"] == "fake" for row, _ in mine], [p for _, p in mine], [row["group"] for row, _ in mine],
            only=_MEASURES,
        )  # fmt: skip
    return values


def _note_validation(out: Path, step: int, measured: dict[str, dict[str, Value]]) -> None:
    """Add rows to `validation.csv`: one a source and measure, with its 95 % interval by group."""
    file, columns = out / "validation.csv", ("step", "source", "measure", "value", "low", "high", "rows")
    lines = (
        {"step": step, "source": source, "measure": name, "value": v.value, "low": v.low, "high": v.high, "rows": v.n}
        for source, values in measured.items()
        for name, v in values.items()
    )
    before = file.read_bytes() if file.exists() else _csv(columns, ())
    write_whole(file, before + _csv(columns, lines, head=False))


def _csv(columns: Sequence[str], lines: Iterable[dict[str, Any]], head: bool = True) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    if head:
        writer.writeheader()
    writer.writerows({name: cell(value) for name, value in line.items()} for line in lines)
    return text.getvalue().encode()


def probe(model: FDM, data: Pack, recipe: Recipe, place: torch.device) -> dict[str, Value]:
    """How well a linear classifier reads identity from F_f and F_I: the share of pictures it puts to their person.

    Of each of at most `probe_groups` people of val rows with two pictures or more, one picture is tried and the others
    are fitted on: logistic regression on the means over places, each scaled to unit spread. Which people and pictures
    depends on the recipe's seed alone.

    Args:
        model: Gives F_f, the traces, and F_I, the identity features of equation 7.
        data: The pack.
        recipe: Says whose val rows, and who is a person.
        place: Where the model is.

    Returns:
        "trace", "identity", "thumbnail" and "chance", with intervals by person. "thumbnail" is the control: the same of
        grey pictures of 4 × 4 pixels, which know the scene and no face, so a value near it says that scenes are told
        apart. Values are None, with the reason, where fewer than two people have two pictures.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for i in data.indices("val", recipe.validated):
        if (person := recipe.person(data.rows[i])) is not None:
            groups[person].append(i)
    rng = np.random.default_rng([recipe.seed, zlib.crc32(b"probe")])
    several = [name for name, rows in sorted(groups.items()) if len(rows) > 1]
    chosen = [several[k] for k in sorted(rng.permutation(len(several))[: recipe.probe_groups])]
    if len(chosen) < 2:
        nothing = Value(None, why="fewer than two groups of val rows have two pictures")
        return dict.fromkeys(("chance", "trace", "identity", "thumbnail"), nothing)
    tried = {name: groups[name][rng.integers(len(groups[name]))] for name in chosen}
    rows = [i for name in chosen for i in groups[name]]
    of = np.array([k for k, name in enumerate(chosen) for _ in groups[name]])
    test = np.array([i in set(tried.values()) for i in rows])
    read = list(_read(model, data, rows, recipe.size, place, recipe.margin))
    seen = {name: np.concatenate([part[name] for part in read]) for name in ("trace", "identity")}
    seen["thumbnail"] = np.stack([_shown(data, i, 4, recipe.margin).mean(2).ravel() for i in rows])
    shares = {"chance": Value(1 / len(chosen), n=len(chosen))}
    for name, values in seen.items():
        features = values.astype(np.float64)
        scale = StandardScaler().fit(features[~test])
        with warnings.catch_warnings():  # a group often has one picture to fit on: as many classes as rows are meant
            warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
            classifier = LogisticRegression(max_iter=3000).fit(scale.transform(features[~test]), of[~test])
        right = (classifier.predict(scale.transform(features[test])) == of[test]).astype(float)
        shares |= measures.ratios({name: (right, np.ones_like(right))}, of[test])
    return shares


def summary(results: dict[str, Any]) -> str:
    """What `results.json` says, in lines for people.

    Args:
        results: What `train` gave.
    """
    lines = [
        f"{source}  " + "  ".join(_line(name, value) for name, value in values.items())
        for source, values in results["validation"].items()
    ]
    lines += [
        f"identity by a linear probe, {when}: " + "  ".join(_line(name, value) for name, value in values.items())
        for when, values in results.get("probe", {}).items()
    ]
    return "\n".join(lines)


def _line(name: str, value: dict[str, Any]) -> str:
    if value["value"] is None:
        return f"{name} – ({value['why']})"
    between = "" if value["low"] is None else f" [{value['low']:.3f}, {value['high']:.3f}]"
    return f"{name} {value['value']:.3f}{between}"
