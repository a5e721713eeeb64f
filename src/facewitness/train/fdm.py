"""Trains MARE's forgery disentanglement module: pack the data once, then draw balanced batches until done.

    python -m facewitness.train.fdm pack  RECIPE --data DIR --cache DIR
    python -m facewitness.train.fdm train RECIPE --cache DIR --start WEIGHTS.safetensors --out DIR
    python -m facewitness.train.fdm pack  RECIPE --data DIR --cache DIR --edits dma.parquet …
    python -m facewitness.train.fdm train RECIPE --cache DIR --out DIR --without reconstruction adversarial --seed 1

`--without` gives the ablation of the paper's table 5: L_f alone leaves out identity, reconstruction and adversarial.
One source in the recipe is the paper's intra-dataset protocol, several are its fused one; `--only SOURCE` makes the one
out of the other. Each source of `validate` is measured by itself. `--edits` packs tables of `builders/dma` too, each a
source by the name in its column `dataset`: self-made edits beside the real forgeries of `--data`.

What the data gives and what it does not
    identity   is the column `group`: a video or a person. In an identity exchange the group keeps the scene and the
               person who is replaced, not the face that is put on, so "identity" here is all that frames of one group
               share. Groups of different sources are different identities
    splits     a group is in one split, so no identity of `val` was trained on; the probe asks whether identity *can* be
               told from features, by a linear classifier fitted on some pictures of a group and tried on another one.
               An edit has the identity of the picture that it was made of, whichever table that is in.
               One training group in sixteen is held out for calibration (runs/fdm/fit.py)
    balance    half of every batch is forged, in each source; so a source must have both labels
The paper gives no settings of this training (see `models/fdm` for the network's): rates, sizes, steps, augmentation and
the rising strength of the reversal (2 / (1 + e^−10p) − 1 at progress p, as Ganin and Lempitsky 2015) are chosen.
Each batch is drawn from (seed, step) alone: a run repeats whatever the number of workers and goes on after a kill, to
the same weights where the device's sums do not depend on timing (a CPU with the same number of threads).
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import time
import warnings
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_type_hints

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from facewitness import __version__, media, plugins
from facewitness.bench import measures
from facewitness.bench.measures import Value
from facewitness.builders import chats
from facewitness.builders.pack import held_out
from facewitness.errors import FacewitnessError, InputError
from facewitness.files import write_whole
from facewitness.forge import degrade
from facewitness.models.fdm import FDM
from facewitness.phrases import cell
from facewitness.train import checkpoint
from facewitness.train.recipe import check, known, read_recipe
from facewitness.types import Pixels

# -------------------------------------------------------------------------------------------------------- the recipe

_SWITCHES = ("identity", "reconstruction", "adversarial")  # what `--without` may name; L_f is what is ablated against
_MODEL = {k: hint for k, hint in get_type_hints(FDM.__init__).items() if k != "identities"}  # what [model] may hold
_MEASURES = ("auc", "f1", "acc")
ROWS = "rows.json"  # of a pack


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights. Raises InputError for a value that cannot be."""

    sources: dict[str, float]  # source → share of draws; shares need not sum to one
    validate: tuple[str, ...] = ()  # sources whose val rows are measured; none: those of `sources`
    model: dict[str, Any] = field(default_factory=dict)  # keyword arguments of `models.fdm.FDM`, losses' weights too
    seed: int = 0
    size: int = 299  # side of the pictures, pixels; Xception's own
    steps: int = 20_000
    batch: int = 32  # as of the Xception of FaceForensics++ (Rössler et al. 2019), like the rate
    lr: float = 2e-4
    warm_up: int = 200  # steps in which the rate rises; after them it falls as a cosine, to a fiftieth
    weight_decay: float = 0.01
    degraded: float = 0.5  # share of pictures that pass a chain of compression, resizing, blur and noise
    validate_every: int = 1000
    probe_groups: int = 300  # at most so many identities of the val rows in the linear probe; 0 leaves it out

    def __post_init__(self) -> None:
        for name in ("size", "steps", "batch", "validate_every"):
            if getattr(self, name) < 1:
                raise InputError(f"recipe: expected {name} of at least 1, got {getattr(self, name)}")
        if self.batch % 2:
            raise InputError(f"recipe: expected an even batch, half real and half forged, got {self.batch}")
        if not (self.lr > 0 and self.weight_decay >= 0 and 0 <= self.degraded <= 1):
            raise InputError("recipe: expected lr above 0, weight_decay of at least 0 and degraded in [0, 1]")
        shares = self.sources.values()
        if not shares or not all(isinstance(s, int | float) and s > 0 for s in shares):
            raise InputError(f"recipe: expected [sources] with shares above 0, got {self.sources}")
        check(self.model, _MODEL, "[model]")

    @property
    def validated(self) -> tuple[str, ...]:
        return self.validate or tuple(self.sources)

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """From TOML. Raises UnknownName, with the nearest known key, for a key that nothing reads; InputError."""
        return read_recipe(cls, path)

    def without(self, losses: Iterable[str]) -> Recipe:
        """The same recipe with some losses switched off. Raises UnknownName for a loss that cannot be."""
        losses = list(losses)
        known("loss to leave out", losses, _SWITCHES)
        return replace(self, model={**self.model, **{f"{name}_weight": 0.0 for name in losses}})

    def only(self, source: str) -> Recipe:
        """The intra-dataset protocol on one of this recipe's sources. Raises UnknownName for another one."""
        known("source of the recipe", [source], self.sources)
        return replace(self, sources={source: 1.0}, validate=(source,))


# ---------------------------------------------------------------------------------------------------------- the pack


class Pack:
    """Decoded pictures of one size on disk, mapped into memory: what every step reads and no step decodes.

    rows         dicts of file, label, source, group, method, split ("train", "calibrate", "val"), in the tables' order;
                 of an edit also `identity`, the source and group of the picture it was made of
    problems     the same of rows whose picture could not be read, each with a message
    pixels(i)    RGB uint8 (size, size, 3)
    """

    def __init__(self, folder: Path):
        try:
            card = json.loads((folder / ROWS).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"No pack in {folder}. Make it with: python -m facewitness.train.fdm pack …") from error
        self.size: int = card["size"]
        self.rows: list[dict[str, Any]] = card["rows"]
        self.problems: list[dict[str, Any]] = card["problems"]
        self._pixels = np.memmap(folder / "pixels.bin", np.uint8, "r").reshape(-1, self.size, self.size, 3)
        if len(self._pixels) != len(self.rows):
            raise InputError(f"The pack in {folder} is not whole. Delete the folder and pack again.")

    def pixels(self, i: int) -> Pixels:
        return np.array(self._pixels[i])

    def indices(self, split: str, sources: Iterable[str]) -> list[int]:
        """Which rows are of a split and of one of the sources."""
        wanted = set(sources)
        return [i for i, row in enumerate(self.rows) if row["split"] == split and row["source"] in wanted]


def pack(recipe: Recipe, data: Path, folder: Path, edits: Sequence[Path] = ()) -> Pack:
    """Decode the recipe's sources out of the tables in `data`, square and of its size, into a `Pack` in `folder`.

    edits    tables of `builders/dma` made of pictures in `data`, as `builders/sbi_qa` makes them
    The tables hold face crops; of one that is not square the middle is taken. A picture that cannot be read is counted
    among the problems. Raises InputError where a source has no rows.
    """
    wanted = {*recipe.sources, *recipe.validated}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ROWS).unlink(missing_ok=True)  # a pack is whole when this file is there: it is written last
    rows: list[dict[str, Any]] = []
    problems: list[dict[str, Any]] = []
    seen: set[str] = set()
    with _progress() as bar, open(folder / "pixels.bin", "wb") as out:
        task = bar.add_task("packing", total=None)
        for row, image in _tables(data, edits):
            seen.add(row["source"])
            if row["source"] not in wanted:
                continue
            if row["split"] == "train" and held_out(row["group"]):
                row["split"] = "calibrate"
            bar.advance(task)
            try:
                picture = media.read(image, name=row["file"]).frame.pixels
            except InputError as error:
                problems.append({**row, "message": str(error)})
                continue
            out.write(_square(picture, recipe.size).tobytes())
            rows.append(row)
    known(f"source in {data}", sorted(wanted), seen)
    empty = sorted(wanted - {row["source"] for row in rows})
    if empty:
        raise InputError(f"No picture of {', '.join(empty)} can be read; the first: {problems[0]['message']}")
    card = {"size": recipe.size, "rows": rows, "problems": problems}
    write_whole(folder / ROWS, json.dumps(card).encode())
    return Pack(folder)


def _tables(data: Path, edits: Sequence[Path]) -> Iterator[tuple[dict[str, Any], Any]]:
    """(row of a pack, its encoded picture) of every row of the tables, in their order, the edits last."""
    made_of: dict[str, str] = {}
    for sample in plugins.get("datasets", "parquet").samples(data):
        row = {"file": sample.file, "label": sample.truth.label, "source": sample.dataset, "group": sample.group,
               "method": sample.truth.method, "split": sample.split}  # fmt: skip
        made_of.setdefault(f"{sample.group}/{sample.file}", _identity(row))
        yield row, sample.image
    for table in edits:
        pictures = {row["file"]: row for row in chats.read_dma(table)}  # with several questions it is one picture
        for name, row in pictures.items():
            original = name.rpartition("/")[0]  # as builders/sbi_qa names what it makes: ORIGINAL/real.png
            identity = made_of.get(f"{row['group']}/{original}", f"{row['dataset']}/{row['group']}")
            yield {"file": name, "label": row["label"], "source": row["dataset"], "group": row["group"],
                   "method": None, "split": row["split"], "identity": identity}, row["image"]  # fmt: skip


def _square(picture: Pixels, size: int) -> Pixels:
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = np.ascontiguousarray(picture[top : top + side, left : left + side])
    how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(middle, (size, size), interpolation=how), np.uint8)


# ------------------------------------------------------------------------------------------------------- the batches


def identity_names(data: Pack, sources: Iterable[str]) -> list[str]:
    """What the identity classifier tells apart: every identity of the training rows, sorted."""
    return sorted({_identity(data.rows[i]) for i in data.indices("train", sources)})


def _identity(row: dict[str, Any]) -> str:
    return str(row.get("identity") or f"{row['source']}/{row['group']}")


class Batches(Dataset):
    """Batch i: real and forged pictures in turn, drawn from (seed, i) alone.

    {"pixels": uint8 (B, 3, S, S), "fake": float32 (B,), "identity": int64 (B,)}
    Raises InputError where a source has training rows of one label only: the source would tell the label.
    """

    def __init__(self, folder: Path, recipe: Recipe):
        self.folder, self.recipe = folder, recipe
        data = Pack(folder)
        if data.size != recipe.size:
            raise InputError(f"The pack holds pictures of {data.size} px, the recipe wants {recipe.size}. Pack again.")
        self.names = list(recipe.sources)
        self.shares = np.array([recipe.sources[name] for name in self.names]) / sum(recipe.sources.values())
        self.of = {(source, label): [i for i in data.indices("train", [source]) if data.rows[i]["label"] == label]
                   for source in self.names for label in ("real", "fake")}  # fmt: skip
        for (source, label), rows in self.of.items():
            if not rows:
                raise InputError(
                    f"{source}: expected real and fake training rows in the pack, found no {label} one. Pack again "
                    "with this recipe, or take the source out of [sources]: it would tell the label by itself."
                )
        number = {name: i for i, name in enumerate(identity_names(data, self.names))}
        self.identities = len(number)
        self.identity = {i: number[_identity(data.rows[i])] for rows in self.of.values() for i in rows}
        self._data: Pack | None = None  # opened once in every worker: a memory map does not travel

    def __len__(self) -> int:
        return self.recipe.steps

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        if self._data is None:
            cv2.setNumThreads(0)
            self._data = Pack(self.folder)
        rng = np.random.default_rng([self.recipe.seed, step])
        pictures, drawn = [], []
        for k in range(self.recipe.batch):
            rows = self.of[self.names[rng.choice(len(self.names), p=self.shares)], ("real", "fake")[k % 2]]
            i = rows[rng.integers(len(rows))]
            picture = self._data.pixels(i)
            if rng.random() < self.recipe.degraded:
                picture, _ = degrade.degrade(picture, rng, strength=float(rng.random()))
            pictures.append(picture[:, ::-1] if rng.random() < 0.5 else picture)
            drawn.append(i)
        return {
            "pixels": torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).copy()),
            "fake": torch.arange(self.recipe.batch) % 2 * 1.0,
            "identity": torch.tensor([self.identity[i] for i in drawn]),
        }


# ------------------------------------------------------------------------------------------------------ the training


def train(
    recipe: Recipe,
    folder: Path,
    start: Path | None,
    out: Path,
    *,
    workers: int = 2,
    save_every: int = 200,
    device: str | None = None,
) -> dict[str, Any]:
    """Run the recipe on a pack, and go on where `out` stopped. Returns what `results.json` says.

    start    weights of the backbone (safetensors, timm's names), or a module to go on from; None: random
    device   as torch names it; None: a GPU where there is one
    Writes into `out`: `resolved.json`; `resume.safetensors` and a line of `log.jsonl` every `save_every` steps;
    `validation.csv`; at the end `fdm.safetensors` + `.json` (`FDM.lean`), `predictions.csv` and `results.json`.
    Raises InputError where `out` holds another run, the data does not fit, or the loss is no number any more.
    """
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    data, batches = Pack(folder), Batches(folder, recipe)
    for source in recipe.validated:
        if not data.indices("val", [source]):
            raise InputError(f"{source}: expected val rows in the pack, found none. Pack again, or mend `validate`.")
    _begin(recipe, out, start, place)
    torch.manual_seed(recipe.seed)
    model = FDM(batches.identities, **recipe.model)
    if start is not None:
        model.start_from(start)
    model = model.to(place, memory_format=torch.channels_last)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    other = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": other, "weight_decay": 0.0}], lr=recipe.lr
    )
    begin = _resume(out, model, optimizer)
    _forget_after(out, begin, recipe.steps)
    if begin == 0 and recipe.probe_groups:
        before = {name: asdict(value) for name, value in probe(model, data, recipe, place).items()}
        write_whole(out / "probe_before.json", json.dumps(before, indent=1).encode())

    loader = DataLoader(
        batches, batch_size=None, sampler=range(begin, recipe.steps), num_workers=workers,
        prefetch_factor=4 if workers else None, multiprocessing_context="spawn" if workers else None,
    )  # fmt: skip
    running: dict[str, float] = defaultdict(float)
    clock, since = time.monotonic(), begin
    with _progress() as bar:
        task = bar.add_task("training", total=recipe.steps, completed=begin)
        for step, batch in enumerate(loader, start=begin):
            progress = step / recipe.steps
            rate = recipe.lr * min(1.0, (step + 1) / max(1, recipe.warm_up))
            rate *= 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))
            for group in optimizer.param_groups:
                group["lr"] = rate
            model.train()
            torch.manual_seed(zlib.crc32(f"{recipe.seed} {step}".encode()))  # dropout, too, repeats after a kill
            pixels = batch["pixels"].to(place, memory_format=torch.channels_last)
            said = model(pixels, reversal=2 / (1 + math.exp(-10 * progress)) - 1)
            losses = model.loss(said, batch["fake"].to(place), batch["identity"].to(place))
            loss = losses.total
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            for name, value in {"loss": loss, **losses.parts}.items():
                running[name] += value.item()
            if not math.isfinite(running["loss"]):
                raise InputError(f"The loss is no number any more at step {step + 1}. Lower lr in the recipe.")
            bar.advance(task)
            if (step + 1) % recipe.validate_every == 0 and step + 1 < recipe.steps:
                _note_validation(out, step + 1, _measured(data, predict(model, data, recipe.validated, place)))
            if (step + 1) % save_every == 0 or step + 1 == recipe.steps:
                n = step + 1 - since
                means = {name: round(value / n, 5) for name, value in running.items()}
                line = {"step": step + 1, "of": recipe.steps, "lr": round(rate, 8), **means,
                        "images_per_second": round(n * recipe.batch / (time.monotonic() - clock), 1)}  # fmt: skip
                with open(out / "log.jsonl", "a", encoding="utf-8") as log:
                    log.write(json.dumps(line) + "\n")
                _save(out, model, optimizer, step + 1)
                bar.update(task, description=f"loss {means['loss']:.3f}, forgery {means.get('forgery', math.nan):.3f}")
                running.clear()
                clock, since = time.monotonic(), step + 1
    return _finish(recipe, out, model, data, place)


def _begin(recipe: Recipe, out: Path, start: Path | None, place: torch.device) -> None:
    """Write what the run is made of, or check that what `out` holds was made of the same."""
    file = out / "resolved.json"
    started = None if start is None else checkpoint.sha256(start)
    mine = json.loads(json.dumps({"recipe": asdict(recipe), "start_sha256": started}))
    if file.exists():
        theirs = json.loads(file.read_text(encoding="utf-8"))
        there = {**theirs["recipe"], "start_sha256": theirs["start_sha256"]}
        here = {**mine["recipe"], "start_sha256": started}
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


def _save(out: Path, model: FDM, optimizer: Any, step: int) -> None:
    checkpoint.write_state(out / "resume.safetensors", model.state_dict(), optimizer, {"step": str(step)})


def _resume(out: Path, model: FDM, optimizer: Any) -> int:
    """Load what `_save` wrote, if anything. Returns the step to go on with."""
    found = checkpoint.read_state(out / "resume.safetensors")
    if found is None:
        return 0
    about, state = found
    model.load_state_dict(state["model"])
    checkpoint.restore(optimizer, state["optimizer"])
    return int(about["step"])


def _forget_after(out: Path, step: int, steps: int) -> None:
    """Take out of the logs what was written after the state that is gone on from; it will be written again."""
    log, table = out / "log.jsonl", out / "validation.csv"
    if log.exists():
        kept = [line for line in log.read_text(encoding="utf-8").splitlines() if checkpoint.step_of(line) <= step]
        write_whole(log, "".join(line + "\n" for line in kept).encode())
    if table.exists():
        head, *lines = table.read_text(encoding="utf-8").splitlines()
        # the last validation belongs to the finish, which is always done again
        kept = [line for line in lines if int(line.split(",")[0]) <= step and int(line.split(",")[0]) < steps]
        write_whole(table, "".join(line + "\n" for line in (head, *kept)).encode())


def _finish(recipe: Recipe, out: Path, model: FDM, data: Pack, place: torch.device) -> dict[str, Any]:
    scored = predict(model, data, recipe.validated, place)
    measured = _measured(data, scored)
    _note_validation(out, recipe.steps, measured)
    columns = ("source", "file", "group", "label")
    lines: list[dict[str, Any]] = [
        {**{k: data.rows[i][k] for k in columns}, "score": float(f"{p:.6g}")} for i, p in scored
    ]
    unread = [p for p in data.problems if p["split"] == "val" and p["source"] in recipe.validated]
    lines += [{k: problem[k] for k in columns} for problem in unread]  # a row without a score, never dropped
    write_whole(out / "predictions.csv", _csv((*columns, "score"), lines))
    results: dict[str, Any] = {
        "recipe": asdict(recipe),
        "identities": model.config["identities"],
        "weights_sha256": model.lean().save(out / "fdm.safetensors", {"crop": {"size": recipe.size}}),
        "unread": {"train": sum(p["split"] == "train" for p in data.problems), "validated": len(unread)},
        "validation": {source: {k: asdict(v) for k, v in found.items()} for source, found in measured.items()},
    }
    if recipe.probe_groups:
        results["probe"] = {
            "before": json.loads((out / "probe_before.json").read_text(encoding="utf-8")),
            "after": {name: asdict(value) for name, value in probe(model, data, recipe, place).items()},
        }
    write_whole(out / "results.json", json.dumps(results, indent=1).encode())
    return results


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )


# ----------------------------------------------------------------------------------------------------- the measuring


def predict(model: FDM, data: Pack, sources: Sequence[str], place: torch.device) -> list[tuple[int, float]]:
    """(row of the pack, score) of every val row of the sources."""
    rows = data.indices("val", sources)
    scores = np.concatenate([said["score"] for said in _read(model, data, rows, place)])
    return list(zip(rows, scores.tolist(), strict=True))


@torch.no_grad()
def _read(model: FDM, data: Pack, rows: Sequence[int], place: torch.device) -> Iterable[dict[str, NDArray[np.float32]]]:
    model.eval()
    for at in range(0, len(rows), 64):
        pixels = np.stack([data.pixels(i) for i in rows[at : at + 64]]).transpose(0, 3, 1, 2)
        said = model(torch.from_numpy(pixels.copy()).to(place, memory_format=torch.channels_last))
        yield {
            "score": said.score.double().cpu().numpy(),
            "trace": said.trace.mean((2, 3)).cpu().numpy(),
            "identity": said.identity.mean((2, 3)).cpu().numpy(),
        }


def _measured(data: Pack, scored: Sequence[tuple[int, float]]) -> dict[str, dict[str, Value]]:
    found = {}
    for source in dict.fromkeys(data.rows[i]["source"] for i, _ in scored):
        mine = [(data.rows[i], p) for i, p in scored if data.rows[i]["source"] == source]
        found[source] = measures.detection(
            [row["label"] == "fake" for row, _ in mine], [p for _, p in mine], [row["group"] for row, _ in mine],
            only=_MEASURES,
        )  # fmt: skip
    return found


def _note_validation(out: Path, step: int, measured: dict[str, dict[str, Value]]) -> None:
    """Add rows to `validation.csv`: one a source and measure, with its 95 % interval by group."""
    file, columns = out / "validation.csv", ("step", "source", "measure", "value", "low", "high", "rows")
    lines = (
        {"step": step, "source": source, "measure": name, "value": v.value, "low": v.low, "high": v.high, "rows": v.n}
        for source, found in measured.items()
        for name, v in found.items()
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
    """How well a linear classifier reads identity from F_f and F_I: the share of pictures it puts into their group.

    Of each of at most `probe_groups` groups of val rows with two pictures or more, one picture is tried and the others
    are fitted on: logistic regression on the means over places, each scaled to unit spread. {"trace", "identity",
    "chance"}; intervals are by group. Which groups and pictures, depends on the recipe's seed alone. Values are None,
    with the reason, where fewer than two groups have two pictures.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for i in data.indices("val", recipe.validated):
        groups[_identity(data.rows[i])].append(i)
    rng = np.random.default_rng([recipe.seed, zlib.crc32(b"probe")])
    several = [name for name, rows in sorted(groups.items()) if len(rows) > 1]
    chosen = [several[k] for k in sorted(rng.permutation(len(several))[: recipe.probe_groups])]
    if len(chosen) < 2:
        nothing = Value(None, why="fewer than two groups of val rows have two pictures")
        return {"trace": nothing, "identity": nothing, "chance": nothing}
    tried = {name: groups[name][rng.integers(len(groups[name]))] for name in chosen}
    rows = [i for name in chosen for i in groups[name]]
    of = np.array([k for k, name in enumerate(chosen) for _ in groups[name]])
    test = np.array([i in set(tried.values()) for i in rows])
    read = list(_read(model, data, rows, place))
    found = {"chance": Value(1 / len(chosen), n=len(chosen))}
    for name in ("trace", "identity"):
        features = np.concatenate([part[name] for part in read]).astype(np.float64)
        scale = StandardScaler().fit(features[~test])
        with warnings.catch_warnings():  # a group often has one picture to fit on: as many classes as rows are meant
            warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
            classifier = LogisticRegression(max_iter=3000).fit(scale.transform(features[~test]), of[~test])
        right = (classifier.predict(scale.transform(features[test])) == of[test]).astype(float)
        found |= measures.ratios({name: (right, np.ones_like(right))}, of[test])
    return found


# ---------------------------------------------------------------------------------------------------------- commands


def main(arguments: list[str] | None = None) -> None:
    """The two commands of this recipe."""
    parser = argparse.ArgumentParser(prog="python -m facewitness.train.fdm", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("command", choices=("pack", "train"))
    parser.add_argument("recipe", type=Path, help="a TOML file such as runs/fdm/small.toml")
    parser.add_argument("--data", type=Path, help="pack: a Parquet table or a folder of them")
    parser.add_argument("--edits", type=Path, nargs="+", default=[], metavar="TABLE", help="pack: dma.parquet of edits")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the packed data")
    parser.add_argument("--start", type=Path, help="train: the backbone's weights in timm's names, or a module")
    parser.add_argument("--out", type=Path, help="train: folder of the run")
    parser.add_argument("--without", nargs="+", default=[], metavar="LOSS", help=f"train: of {', '.join(_SWITCHES)}")
    parser.add_argument("--only", metavar="SOURCE", help="one of the recipe's sources: the intra-dataset protocol")
    parser.add_argument("--seed", type=int, help="train: instead of the recipe's")
    parser.add_argument("--workers", type=int, default=2, help="train: processes that draw batches")
    parser.add_argument("--device", help="train: as torch names it; a GPU where there is one")
    given = parser.parse_args(arguments)
    for name in {"pack": ("data",), "train": ("out",)}[given.command]:
        if getattr(given, name) is None:
            parser.error(f"{given.command} needs --{name}")
    try:
        recipe = Recipe.read(given.recipe).without(given.without)
        recipe = recipe if given.only is None else recipe.only(given.only)
        recipe = recipe if given.seed is None else replace(recipe, seed=given.seed)
        if given.command == "pack":
            made = pack(recipe, given.data, given.cache, given.edits)
            print(f"{len(made.rows)} pictures of {made.size} px, {len(made.problems)} could not be read")
            return
        results = train(recipe, given.cache, given.start, given.out, workers=given.workers, device=given.device)
    except FacewitnessError as error:
        parser.exit(2, f"{error}\n")
    for source, found in results["validation"].items():
        print(source, "  ".join(_said(name, value) for name, value in found.items()))
    for when, found in results.get("probe", {}).items():
        print(f"identity by a linear probe, {when}:", "  ".join(_said(name, value) for name, value in found.items()))


def _said(name: str, value: dict[str, Any]) -> str:
    if value["value"] is None:
        return f"{name} – ({value['why']})"
    between = "" if value["low"] is None else f" [{value['low']:.3f}, {value['high']:.3f}]"
    return f"{name} {value['value']:.3f}{between}"


if __name__ == "__main__":
    main()
