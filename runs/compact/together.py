"""Several networks learn from the same draws: where drawing takes longer than learning, one GPU teaches them all.

    python runs/compact/together.py runs/compact/14-together.toml --pack PACK --inits INITS --out OUT --until TIME

The TOML names the recipe that draws and, for each learner, what differs from it, where it begins (a file of INITS),
sources that it does not learn from (`without`, or `fold`, one of networks.py's), how many of the batches it learns
(`every` = 8: one in eight) and another learner whose probability it learns besides the label (`taught_by`; Hinton et
al. 2015). Where the next batch is not drawn yet, the last one is learned once more in the mirror. It ends by the clock;
then OUT holds NAME.safetensors (averaged weights, float16; in parts of 15 MB where they are larger), log.jsonl, and
scores.npz: of the learners of a fold the log-odds of the rows that they left out, as networks.py judges them, of the
others those of the pack's `val` as `compare.py` looks at it, for which half a minute is wanted after TIME. It keeps no
state: a killed run begins anew.
"""

from __future__ import annotations

import argparse
import functools
import json
import queue
import threading
import time
import tomllib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import compare
import cv2
import networks
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from facewitness.apps.build import Look
from facewitness.apps.script import script
from facewitness.apps.train import moment
from facewitness.builders.pack import Pack
from facewitness.models import _norm
from facewitness.models._answers import Answers
from facewitness.models.compact import Compact
from facewitness.train import compact
from facewitness.train.loop import CLIP
from facewitness.train.schedule import Schedule

SAVED = 60.0  # seconds between two savings


@dataclass
class Learner:
    """One network with all that teaches it."""

    name: str
    recipe: compact.Recipe
    model: torch.nn.Module
    average: dict[str, Tensor]
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    without: tuple[int, ...]  # numbers of sources
    taught_by: str | None
    weight: float
    every: int  # learns one batch in so many
    fold: str | None  # of networks.py
    learned: int = 0  # batches

    def learn(self, batch: dict[str, Tensor], step: int, told: dict[str, Tensor]) -> dict[str, Tensor]:
        """One step; `told` gets the log-odds of every item, and holds those of the learners before this one."""
        if self.recipe.bared:
            batch = compact.bared(batch, self.recipe.bared)
        part = stood_in(batch, self.without)
        self.model.train()
        _norm.keep_statistics(self.model)
        x = part["x"].float()
        if isinstance(self.model, Compact):
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.recipe.bf16):
            answers = self.model(x)
        answers = Answers(*(None if a is None else a.float() for a in answers))
        if not self.without:
            told[self.name] = answers.fake.detach()
        parts = compact.losses(answers, part)
        if self.taught_by is not None:
            parts["taught"] = F.binary_cross_entropy_with_logits(answers.fake, told[self.taught_by].sigmoid())
        loss = torch.stack([self.recipe.loss_weights.get(k, self.weight) * v for k, v in parts.items()]).sum()
        self.learned += 1
        rate = self.schedule.rate(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        own = self.model.state_dict()
        floats = [k for k, v in own.items() if v.is_floating_point()]
        decay = min(self.recipe.ema, self.learned / (9 + self.learned))
        with torch.no_grad():
            torch._foreach_lerp_([self.average[k] for k in floats], [own[k] for k in floats], 1 - decay)
        return {k: v.detach() for k, v in parts.items()}


def learner(
    about: dict[str, Any], base: compact.Recipe, folder: Path, until: datetime, device: torch.device
) -> Learner:
    """From a table of the TOML; names of files are looked up beside `folder`."""
    own = {k: v for k, v in about.items() if k in compact.Recipe.__dataclass_fields__}
    stage = replace(base.stage[0], lr=about.get("lr", base.stage[0].lr))
    recipe = replace(base, stage=(stage,), **own)
    model = compact.begin(recipe, folder / about["init"]).to(device)
    if isinstance(model, Compact):
        model = model.to(memory_format=torch.channels_last)
    fold = about.get("fold")
    without = networks.FOLDS[fold] if fold else about.get("without", ())
    return Learner(
        about["name"], recipe, model, {k: v.detach().clone() for k, v in model.state_dict().items()},
        compact.optimizer_of(model, recipe, fused=device.type == "cuda"),
        Schedule(stage.lr, stage.steps, recipe.warmup, until=until),
        tuple(n for n, s in enumerate(base.sources) if s in without or base.genuine.get(s, s) in without),
        about.get("taught_by"), float(about.get("taught_weight", 1.0)), int(about.get("every", 1)), fold,
    )  # fmt: skip


def stood_in(batch: dict[str, Tensor], without: tuple[int, ...]) -> dict[str, Tensor]:
    """The batch with other pairs of it in the place of those of sources left out.

    Its size stays, for cuDNN plans every convolution anew for a batch of another size, which takes seconds.

    Args:
        batch: Of `compact.Batches`, a genuine and a forged picture in turn.
        without: Numbers of sources; at least one pair has to be of another.
    """
    if not without:
        return batch
    source = batch["source"][::2]
    left = ~torch.isin(source, torch.tensor(without, device=source.device))
    others = torch.multinomial(left.float(), len(left), replacement=True)
    pairs = torch.where(left, torch.arange(len(left), device=source.device), others)
    rows = torch.stack([2 * pairs, 2 * pairs + 1], 1).flatten()
    return {name: value[rows] for name, value in batch.items()}


def mirrored(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The batch in the mirror, sides of regions exchanged."""
    out = dict(batch)
    out["x"], out["mask"], out["face"] = batch["x"].flip(3), batch["mask"].flip(2), batch["face"].flip(2)
    out["regions"] = batch["regions"][:, compact._MIRROR]
    return out


class Fed(threading.Thread):
    """Batches on the device before they are asked for."""

    def __init__(self, loader: Any, device: torch.device):
        super().__init__(daemon=True)
        self.loader, self.device = loader, device
        self.queue: queue.Queue[dict[str, Tensor] | Exception] = queue.Queue(4)
        self.start()

    def run(self) -> None:
        try:
            for batch in self.loader:
                on_gpu = self.device.type == "cuda"
                batch = {k: v.pin_memory() if on_gpu else v for k, v in batch.items()}
                self.queue.put({k: v.to(self.device, non_blocking=True) for k, v in batch.items()})
        except Exception as error:  # told where it is waited for: a thread that died would be waited for without end
            self.queue.put(error)

    def next(self) -> dict[str, Tensor]:
        """The next batch.

        Raises:
            Exception: What ended the drawing.
        """
        found = self.queue.get()
        if isinstance(found, Exception):
            raise found
        return found


class Rows(Dataset[Any]):
    """Rows of a pack, which every worker opens for itself: a memory map would travel as all that it shows."""

    def __init__(self, folder: Path, rows: Callable[[Pack], list[int]]):
        pack = Pack(folder)
        self.folder, self.rows = folder, rows(pack)
        self.about = [{k: pack.rows[i][k] for k in ("source", "file", "label", "group")} for i in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def pack(self) -> Pack:
        if "_pack" not in self.__dict__:
            cv2.setNumThreads(0)
            self._pack = Pack(self.folder)
        return self._pack


class Faces(Rows):
    """The `val` faces that `compare.py` looks at, as found and edited."""

    def __init__(self, folder: Path, look: Look, limit: int):
        super().__init__(folder, lambda pack: compare.rows_of(pack, limit))
        self.look = look

    def __getitem__(self, n: int) -> Tensor:
        found = compare.crops(self.pack, self.rows[n], [self.look])
        return torch.from_numpy(np.stack([found[c, self.look] for c in compare.CONDITIONS]))


class LeftOut(Rows):
    """The rows of a fold's sources, in each of networks.py's conditions."""

    def __init__(self, folder: Path, recipe: compact.Recipe, fold: str, limit: int):
        super().__init__(folder, lambda pack: networks.rows_left_out(pack, networks.FOLDS[fold], limit))
        self.recipe = recipe

    @functools.cached_property
    def index(self) -> dict[tuple[str, str], int]:
        return {(r["source"], r["file"]): i for i, r in enumerate(self.pack.rows)}

    def __getitem__(self, n: int) -> Tensor:
        size, margin = self.recipe.stage[-1].size, self.recipe.margin
        items = networks.as_judged(self.recipe, self.pack, self.rows[n], self.index)
        return torch.from_numpy(np.stack([compact.crop_item(one, size, margin)["x"] for one in items])[:, None])


def scored(learners: list[Learner], faces: Rows, workers: int, device: torch.device) -> dict[str, Any]:
    """Name → log-odds (rows, conditions) by the averaged weights; `rows` tells what the rows are."""
    found: dict[str, list[Any]] = defaultdict(list)
    for one in learners:
        one.model.load_state_dict(one.average)
        one.model.eval()
    with torch.inference_mode():
        for x in DataLoader(faces, 32, num_workers=workers, multiprocessing_context="spawn" if workers else None):
            n, c, m = x.shape[:3]
            x = x.flatten(0, 2).to(device).float()
            for one in learners:
                fake = one.model(x).fake.float().view(n, c, m).mean(2)
                found[one.name].append(fake.cpu().numpy())
    return {**{k: np.concatenate(v) for k, v in found.items()}, "rows": np.array(json.dumps(faces.about))}


def told(of: list[Learner], found: dict[str, Any], conditions: Sequence[str], genuine: Mapping[str, str]) -> None:
    """Print each learner's mean AUC and that of each source."""
    rows = json.loads(str(found["rows"]))
    for one in of:
        for c, condition in enumerate(conditions):
            each = compare.aucs(found[one.name][:, c], rows, genuine)
            print(f"{one.name:10} {condition:9} {np.mean(list(each.values())):.4f}  "
                  + "  ".join(f"{s} {v:.2f}" for s, v in each.items()), flush=True)  # fmt: skip


def kept(one: Learner, out: Path) -> None:
    """Write the averaged weights in half precision, in as few files of 15 MB as they need."""
    parts: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, value in one.average.items():
        value = value.half().contiguous().cpu() if value.is_floating_point() else value.cpu()
        size += value.nbytes
        if size > 15e6:
            parts.append({})
            size = value.nbytes
        parts[-1][name] = value
    for number, part in enumerate(parts):
        save_file(part, out / (f"{one.name}.safetensors" if len(parts) == 1 else f"{one.name}-{number}.safetensors"))


def main() -> None:
    """Learn until the clock says so."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("plan", type=Path)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--until", type=moment, required=True)
    parser.add_argument("--workers", type=int, default=9)
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--inits", type=Path, default=Path())
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    plan = tomllib.loads(given.plan.read_text())
    base = compact.Recipe.read(given.plan.parent / plan["recipe"])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(base.seed)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    batches = compact.Batches(given.pack, base, 0)
    loader = DataLoader(
        batches, batch_size=None, sampler=range(len(batches)), num_workers=given.workers, prefetch_factor=3,
        multiprocessing_context="spawn",
    )  # fmt: skip
    fed = Fed(loader, device)
    learners = [learner(about, base, given.inits, given.until, device) for about in plan["learner"]]
    batch = fed.next()
    for one in learners:
        one.schedule.begin(0)
    log = (given.out / "log.jsonl").open("w")
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = defaultdict(int)
    drawn, saved, begun = 1, time.monotonic(), time.monotonic()
    step, again = 0, False
    while not learners[0].schedule.over:
        torch.manual_seed(step)
        said: dict[str, Tensor] = {}
        for one in learners:
            if one.every > 1 and (again or drawn % one.every):
                continue
            for name, value in one.learn(mirrored(batch) if again else batch, step, said).items():
                of = f"{one.name} {name}"
                sums[of], counts[of] = sums.get(of, 0) + value, counts[of] + 1
        step += 1
        if not again and fed.queue.empty():
            again = True
        else:
            batch, again, drawn = fed.next(), False, drawn + 1
        if step % 50 == 0:
            means = {k: round(float(v) / counts[k], 4) for k, v in sums.items()}
            seconds = time.monotonic() - begun
            line = {"step": step, "batches": drawn, "drawn_per_second": round(drawn * len(batch["x"]) / seconds, 1)}
            log.write(json.dumps({**line, "seconds": round(seconds, 1), **means}) + "\n")
            log.flush()
            print({**line, **{k: v for k, v in means.items() if k.endswith(" fake")}}, flush=True)
            sums, counts = {}, defaultdict(int)
        if time.monotonic() - saved > SAVED:
            saved = time.monotonic()
            for one in learners:
                if one.fold is None:
                    kept(one, given.out)
    for one in learners:
        print(one.name, one.learned * len(batch["x"]), "pictures", flush=True)
        if one.fold is None:
            kept(one, given.out)
    found: dict[str, Any] = {}
    look = Look(base.stage[-1].size, base.margin)
    for fold in (None, *networks.FOLDS):
        of = [one for one in learners if one.fold == fold]
        if not of:
            continue
        faces = LeftOut(given.pack, base, fold, given.limit * 4) if fold else Faces(given.pack, look, given.limit)
        of_fold = scored(of, faces, given.workers, device)
        told(of, of_fold, networks.CONDITIONS if fold else compare.CONDITIONS, base.genuine)
        found |= {f"rows {fold}" if k == "rows" and fold else k: v for k, v in of_fold.items()}
        np.savez_compressed(given.out / "scores.npz", **found)


if __name__ == "__main__":
    script(main)
