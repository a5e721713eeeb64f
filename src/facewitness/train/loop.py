"""The one training loop: draw, forward, clip, step, average, log, save. A recipe brings its batches and its loss.

    loop = Loop(out, model, optimizer, Schedule(lr, steps, warmup=100), loss, seed="1", batch_size=32, ema=0.998)
    loop.run(batches, loop.resume(), steps)

A killed run ends as one that nobody killed: a batch depends on its number alone, every step seeds torch anew (dropout,
too, repeats), and the state is replaced whole, with the average of the weights in it. Of the log, what was written
after the state is dropped; it will be written again.

No paper of these mentions it: a gradient longer than `CLIP` is shortened to that, in every recipe that trains here.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import math
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader, Dataset

from facewitness.builders.pack import progress
from facewitness.errors import InputError, WeightsError
from facewitness.files import write_whole
from facewitness.processes import not_from_here
from facewitness.train import checkpoint, several
from facewitness.train.schedule import Schedule

CLIP = 5.0  # the largest norm of a gradient
Batch = Mapping[str, Tensor]


class Loop:
    """A run of one recipe, or of one stage of it.

    Args:
        out: Folder of the run: resume.safetensors, log.jsonl, log.csv, and tensorboard/ where TensorBoard is installed.
        model: What is trained.
        optimizer: Of its weights.
        schedule: The learning rate.
        loss: (batch, step) -> scalars by name; "loss" is what is made smaller, all are logged as means.
        seed: Words that, with a step's number, seed what is random in the step.
        batch_size: Pictures a step, of all processes together: for the log.
        ema: Decay a step of the weights' average; 0 keeps none.
        own: The tensors that a run changes or has to keep; all of the model's by default.
        average: Of the weights, where an earlier stage has begun one.
        place: What tells this stage from others; stands in every line of the log and in the state.
        about: What else stands in the state, and has to be the same to go on: the recipe, the pack.
        save_every: Steps between two states, each with a line of the log.
        workers: Processes that draw batches; 0 draws in this one.
        of: Steps of all stages, for the log; the schedule's by default.
        each: Called after every step with how many are done, before a state is saved.
        saved: Called after every state.
        main: Whether this process writes; one of several does.
        parts: Of a process's batch, each passed forward and back by itself; their gradients add up to the mean of all.
            What a loss divides by (the words, the masks) is then each part's own.
        after: Called with a process's batch and the step once its parts are through; what it gives is added to the loss
            as it is, for what has to see the whole batch.
        shared: Whether gradients are the mean over several processes; not where DDP wraps the model, which does that.
    """

    def __init__(
        self,
        out: Path,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        loss: Callable[[Batch, int], Mapping[str, Tensor]],
        *,
        seed: str,
        batch_size: int,
        ema: float = 0.0,
        own: Callable[[], Mapping[str, Tensor]] | None = None,
        average: dict[str, Tensor] | None = None,
        place: Mapping[str, int] | None = None,
        about: Mapping[str, str] | None = None,
        save_every: int = 100,
        workers: int = 2,
        of: int | None = None,
        each: Callable[[int], None] | None = None,
        saved: Callable[[], None] | None = None,
        main: bool = True,
        parts: int = 1,
        after: Callable[[Batch, int], Mapping[str, Tensor]] | None = None,
        shared: bool = False,
    ):
        self.out, self.model, self.optimizer, self.schedule, self.loss = out, model, optimizer, schedule, loss
        self.seed, self.batch_size, self.ema, self.own = seed, batch_size, ema, own or model.state_dict
        self.place, self.about = dict(place or {}), dict(about or {})
        self.save_every, self.workers = save_every, workers
        self.of, self.each, self.saved, self.main = of or schedule.steps, each, saved, main
        self.parts, self.after, self.shared = parts, after, shared
        self.learned = [p for group in optimizer.param_groups for p in group["params"]]
        self.average = average or ({k: v.detach().clone() for k, v in self.own().items()} if ema else {})

    def resume(self) -> int:
        """Takes over the state in `out`, if there is one.

        Returns:
            How many steps are done.

        Raises:
            InputError: The state is of another recipe.
            WeightsError: It is damaged, or of other tensors.
        """
        there = resume(self.out, self.own(), self.average, self.optimizer, self.about)
        self.schedule.share = float(there.get("share", 0.0))
        return int(there.get("step", 0))

    def run(self, batches: Dataset[Any], begin: int, end: int) -> None:
        """Does steps `begin` to `end`, or fewer where the schedule's clock ends the run.

        Args:
            batches: What is drawn from.
            begin: First step.
            end: The step behind the last one.

        Raises:
            InputError: The loss is no number any more.
        """
        loader: Iterable[Batch] = DataLoader(
            batches,
            batch_size=None,
            sampler=range(begin, end),
            num_workers=self.workers,
            prefetch_factor=4 if self.workers else None,
            multiprocessing_context="spawn" if self.workers else None,
        )
        sums: dict[str, float] = defaultdict(float)
        self.schedule.begin(begin)
        clock, since = time.monotonic(), begin
        with _Log(self.out, self.place, begin, self.main) as log, progress() as bar:
            task = bar.add_task("training", total=end, completed=begin, visible=self.main)
            with not_from_here():
                coming = iter(loader)  # its processes start here
            for step, batch in enumerate(coming, start=begin):
                rate = self.schedule.rate(step)
                for name, value in self._step(batch, step, rate).items():
                    sums[name] += value.item()
                if not math.isfinite(sums["loss"]):
                    raise InputError(f"The loss is no number any more at step {step + 1}. Lower lr in the recipe.")
                bar.advance(task)
                if self.each is not None:
                    self.each(step + 1)
                if (step + 1) % self.save_every and step + 1 != end and not self.schedule.over:
                    continue
                count = step + 1 - since
                means = {name: round(value / count, 5) for name, value in sums.items()}
                if self.main:
                    speed = round(count * self.batch_size / (time.monotonic() - clock), 2)
                    row = {"step": step + 1, "of": self.of, "lr": round(rate, 9), **means}
                    log.write(row | {"images_per_second": speed})
                    self.save(step + 1)
                bar.update(task, description=f"loss {means['loss']:.3f}")
                sums.clear()
                clock, since = time.monotonic(), step + 1
                if self.schedule.over:
                    break

    def _step(self, batch: Batch, step: int, rate: float) -> Mapping[str, Tensor]:
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)  # a part that learns slower than the rest
        torch.manual_seed(zlib.crc32(f"{self.seed} {step}".encode()))
        means: dict[str, Tensor] = {}
        for k in range(self.parts):
            part = {name: value.tensor_split(self.parts)[k] for name, value in batch.items()}
            losses = self.loss(part if self.parts > 1 else batch, step)
            if k == 0:
                self.optimizer.zero_grad(set_to_none=True)
            (losses["loss"] / self.parts).backward()
            for name, value in losses.items():
                means[name] = means.get(name, 0) + value.detach() / self.parts
        if self.after is not None:
            for name, value in self.after(batch, step).items():
                if name == "loss":
                    value.backward()
                means[name] = means.get(name, 0) + value.detach()
        if self.shared:
            several.mean(self.learned)
        torch.nn.utils.clip_grad_norm_(self.learned, CLIP)
        self.optimizer.step()
        if self.ema:
            before = self.schedule.before + step
            follow(self.average, self.own(), min(self.ema, (1 + before) / (10 + before)))
        return means

    def save(self, step: int) -> None:
        """Replaces the state.

        Args:
            step: Number of the step.
        """
        place = {**self.place, "step": step, "share": float(self.schedule.share)}
        about = {**self.about, **{name: repr(value) for name, value in place.items()}}
        average = {"average": self.average} if self.average else {}
        checkpoint.write_state(self.out / "resume.safetensors", self.own(), self.optimizer, about, **average)
        if self.saved is not None:
            self.saved()


def resume(
    out: Path, own: Mapping[str, Tensor], average: Mapping[str, Tensor], optimizer: Any, about: Mapping[str, str]
) -> dict[str, str]:
    """Takes over the state in `out`; returns what stands in it besides tensors, nothing where there is none.

    Args:
        out: Folder of the run.
        own: The weights by name.
        average: Their average by name.
        optimizer: Of torch.
        about: What tells this run from others.

    Returns:
        Name → text.

    Raises:
        InputError: Something in `about` differs from what the state says.
        WeightsError: The state is damaged, or of other tensors.
    """
    checkpoint.same_state(out, about)
    stored = checkpoint.read_state(out / "resume.safetensors")
    if stored is None:
        return {}
    there, state = stored
    if "step" not in there or "optimizer" not in state:
        raise WeightsError(f"'{out / 'resume.safetensors'}' is no state of a run. Delete it to begin again.")
    for kind, tensors in (("model", own), ("average", average)):
        held = state.get(kind, {})
        unfit = [name for name, value in tensors.items() if name not in held or held[name].shape != value.shape]
        if unfit:
            raise WeightsError(
                f"'{out / 'resume.safetensors'}': expected the {kind} of this recipe, and {len(unfit)} tensors differ, "
                f"such as {unfit[0]}. Name another folder, or delete it to begin again."
            )
        put(tensors, held)
    checkpoint.restore(optimizer, state["optimizer"])
    return there


def only(network: torch.nn.Module, learned: Iterable[Tensor]) -> dict[str, Tensor]:
    """Lets these learn and nothing else of a network.

    Args:
        network: Whose weights they are.
        learned: What is to learn.

    Returns:
        Those by name, once each: a table that a language model has under four names has one of them here.
    """
    own = {id(p) for p in learned}
    for p in network.parameters():
        p.requires_grad_(id(p) in own)
    return {name: p for name, p in network.named_parameters() if id(p) in own}


def halved(network: torch.nn.Module, learned: Iterable[Tensor]) -> None:
    """What never learns, in bfloat16: it needs no more, and plans count it so.

    Args:
        network: As training begins.
        learned: What any stage of it changes.
    """
    own = {id(p) for p in learned}
    for p in network.parameters():
        if id(p) not in own:
            p.data = p.data.to(torch.bfloat16)


def precision(device: torch.device, bf16: bool, checkpointing: bool = False) -> ExitStack:
    """A context in which a loss is computed.

    Args:
        device: What computes.
        bf16: In bfloat16.
        checkpointing: Whether activations are computed again in the backward pass, which is outside of the context.
    """
    stack = ExitStack()
    if bf16:
        # fused attention goes backwards slowly on a CPU; what is computed again is so outside of this context
        if device.type == "cpu" and not checkpointing:
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(torch.autocast(device.type, torch.bfloat16))
    return stack


def some_in_float(network: torch.nn.Module) -> None:
    """Some convolutions are left out of bfloat16, in place: the first, and on a CPU the strided depthwise ones.

    In the first, eight bits would round the traces in pixels away. The others oneDNN differentiates two to twelve times
    as slowly in bfloat16 as in single precision: four of MobileNetV2's take a third of a step (LOG.md).

    Args:
        network: A convolutional one, on the device where it learns.
    """
    parts = [part for part in network.modules() if isinstance(part, torch.nn.Conv2d)]
    on_cpu = parts[0].weight.device.type == "cpu"
    for part in parts:
        if part is parts[0] or (on_cpu and part.groups == part.in_channels > 1 and max(part.stride) > 1):
            part.forward = partial(_in_float, part.forward)


def _in_float(forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        return forward(x.float())


def put(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Copies tensors into those of the same name.

    Args:
        own: The weights by name.
        tensors: By the same names.
    """
    with torch.no_grad():
        for name, value in own.items():
            if name in tensors:
                value.copy_(tensors[name])


def follow(average: Mapping[str, Tensor], own: Mapping[str, Tensor], decay: float) -> None:
    """Moves an average towards the weights: average ← decay · average + (1 − decay) · weights. Counters are copied.

    Args:
        average: Their average by name.
        own: The weights by name.
        decay: Share of the average that stays.
    """
    with torch.no_grad():
        for name, value in own.items():
            if value.is_floating_point():
                average[name].lerp_(value, 1 - decay)
            else:
                average[name].copy_(value)


class _Log:
    """log.jsonl, log.csv and TensorBoard; lines beyond the step that a run goes on from are dropped."""

    def __init__(self, out: Path, place: Mapping[str, int], done: int, main: bool):
        self.out, self.place, self.board = out, place, None
        file = out / "log.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        here = (place.get("stage", 0), done)
        kept = [line for line in lines if (_stage_of(line), checkpoint.step_of(line)) <= here]
        self.rows: list[dict[str, Any]] = [json.loads(line) for line in kept]
        if main:
            out.mkdir(parents=True, exist_ok=True)
        if main and len(kept) < len(lines):
            write_whole(file, "".join(f"{line}\n" for line in kept).encode())
        if main and importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(out / "tensorboard", purge_step=done + 1)

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *error: object) -> None:
        if self.board is not None:
            self.board.close()

    def write(self, row: Mapping[str, Any]) -> None:
        self.rows.append({**self.place, **row})
        write_whole(self.out / "log.jsonl", "".join(json.dumps(r) + "\n" for r in self.rows).encode())
        table = io.StringIO()
        columns = dict.fromkeys(name for r in self.rows for name in r)
        writer = csv.DictWriter(table, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_whole(self.out / "log.csv", table.getvalue().encode())
        if self.board is not None:
            for name, value in row.items():
                if name not in ("step", "of"):
                    self.board.add_scalar(name, value, row["step"])
            self.board.flush()


def _stage_of(line: str) -> float:
    try:
        return float(json.loads(line).get("stage", 0))
    except (ValueError, AttributeError):
        return math.inf
