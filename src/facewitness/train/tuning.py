"""Shared by fine-tuning and reinforcement on TRL's trainers: order of examples, progress bar, log, sample replies."""

from __future__ import annotations

import csv
import importlib.util
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facewitness.models import prompted_vlm  # noqa: F401  (first: it mends torchvision for what follows)

from transformers import TrainerCallback  # isort: skip

from facewitness.builders.chats import Example
from facewitness.builders.pack import progress
from facewitness.errors import FacewitnessError, InputError, WeightsError
from facewitness.files import write_whole
from facewitness.models._hub import first
from facewitness.train.checkpoint import step_of
from facewitness.train.schedule import Schedule


class Draws:
    """Which example stands where: `draws[i]` is picture i % batch of step i // batch.

    Steps are forensic or general by `share`, evenly spread; 1/2 alternates and begins with a forensic one. Each kind's
    examples come in an order that is drawn anew for each round through them.

    Args:
        forensic: Examples about faces.
        general: Other dialogue.
        share: Of steps that are general, in [0, 1].
        batch: Examples a step.
        seed: Of the orders.

    Raises:
        InputError: A share of general dialogue where there is none.
    """

    def __init__(self, forensic: Sequence[Example], general: Sequence[Example], share: Fraction, batch: int, seed: int):
        if share and not general:
            raise InputError(
                f"general = {float(share)}: expected general dialogue, got none. Name chat JSON with --general, or "
                "set general = 0."
            )
        self.kinds = (forensic, general)
        self.share, self.batch, self.seed = share, batch, seed
        self._order = lru_cache(4)(self._drawn)  # of the rounds at hand

    def _drawn(self, kind: int, epoch: int) -> Any:
        return np.random.default_rng([self.seed, kind, epoch]).permutation(len(self.kinds[kind]))

    def general(self, step: int) -> bool:
        """Whether a draw is a general conversation.

        Args:
            step: Number of the step.
        """
        return int((step + 1) * self.share) > int(step * self.share)

    def __getitem__(self, i: int) -> tuple[Example, bool]:
        """The example, and whether it is forensic."""
        step, slot = divmod(i, self.batch)
        kind, earlier = int(self.general(step)), int(step * self.share)
        if not kind:
            earlier = step - earlier
        epoch, place = divmod(earlier * self.batch + slot, len(self.kinds[kind]))
        return self.kinds[kind][self._order(kind, epoch)[place]], not kind


_MOST = 100_000_000  # examples of a run: their numbers alone take a gigabyte


def numbered(count: int) -> range:
    """The numbers of all examples of a run, which a data set of TRL's has to hold.

    Args:
        count: Of the examples.

    Raises:
        InputError: There are more than memory has room for.
    """
    if count > _MOST:
        raise InputError(f"recipe: expected at most {_MOST:,} examples in all steps, got {count:,}. Lower steps.")
    return range(count)


@contextmanager
def going_on(last: Path | None, watch: Watch) -> Iterator[None]:
    """Around a trainer's run: a checkpoint that cannot be gone on from is told by its name.

    Args:
        last: The checkpoint; None for a run that begins.
        watch: Of the trainer.

    Raises:
        WeightsError: The checkpoint is damaged, or a part of it is missing.
    """
    if last is not None and (lacking := _lacking(last)):  # of which transformers says nothing, and begins anew
        raise WeightsError(f"'{last}' cannot be gone on from (it holds no {' and no '.join(lacking)}). {_DELETE}")
    try:
        yield
    except (FacewitnessError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # torch, safetensors and transformers raise anything over a broken file
        if last is None or watch.begun:
            raise
        raise WeightsError(f"'{last}' cannot be gone on from ({first(error)}). {_DELETE}") from error


_DELETE = "Delete that folder: the same command then goes on from the checkpoint before it."


def _lacking(last: Path) -> list[str]:
    """What a checkpoint should hold besides its weights, and does not: transformers has several names for each."""
    names = [path.name for path in last.iterdir()]
    parts = ("optimizer", "scheduler", "rng_state")
    return [part for part in parts if not any(name.startswith(part) for name in names)]


def finite(model: Any) -> None:
    """Refuse to save what the last step made of a model, whose loss nobody has seen, where that is no numbers.

    Args:
        model: As training left it.

    Raises:
        InputError: A weight is NaN or infinite.
    """
    if broken := [name for name, weight in model.named_parameters() if not weight.isfinite().all()]:
        raise InputError(
            f"The last step left no numbers in {len(broken)} tensors, among them {broken[0]}. Lower lr in the recipe."
        )


class Watch(TrainerCallback):
    """A progress bar, log.csv and TensorBoard, and replies of the model as it is, by `show`; stops at `stop_at_step`.

    With `until` it stops at that moment, too, and the rate falls with the clock to what it is behind the last step,
    wherever the steps alone would be slower; "share" in the log is how much of that way is behind, 1 at the end.

    Args:
        out: Folder of the run.
        every: Steps between two replies that are shown.
        stop_at_step: Where the run ends before its schedule; None for its end.
        until: When it has to be done.

    Attributes:
        alone: Whether one process by itself has the whole model, so that it can be asked.
        begun: Whether a step was begun, so that all that a checkpoint holds was read.
    """

    def __init__(self, out: Path, every: int, stop_at_step: int | None, until: datetime | None = None):
        self.out, self.every, self.stop_at_step, self.until = out, every, stop_at_step, until
        self.schedule: Schedule | None = None
        self.alone = True
        self.begun = False
        self.bar = progress()
        self.board: Any = None

    def show(self, model: Any, step: int) -> None:
        """Ask the model and tell what it says; nothing here.

        Args:
            model: What learns.
            step: Number of the step.
        """

    @property
    def over(self) -> bool:
        """Whether the clock has ended the run."""
        return self.schedule is not None and self.schedule.over

    def on_train_begin(self, args: Any, state: Any, control: Any, lr_scheduler: Any = None, **_: Any) -> None:
        """Starts the clock and the bar.

        Args:
            args: Of transformers.
            state: Of transformers.
            control: Of transformers.
            lr_scheduler: Of transformers.
        """
        self._start_clock(args, state, lr_scheduler)
        if not state.is_world_process_zero:
            return
        self.task = self.bar.add_task("fine-tuning", total=state.max_steps, completed=state.global_step)
        self.bar.start()
        self._keep_samples(state.global_step)
        if importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(self.out / "tensorboard", purge_step=state.global_step + 1)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Notes that there is one.

        Args:
            args: Of transformers.
            state: Of transformers.
            control: Of transformers.
        """
        self.begun = True

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Moves the bar, shows replies where it is time, and ends the run at `stop_at_step` or by the clock.

        Args:
            args: Of transformers.
            state: Of transformers.
            control: Of transformers.
            model: What learns.
        """
        if self.over or (self.stop_at_step is not None and state.global_step >= self.stop_at_step):
            control.should_training_stop = control.should_save = True
        # a line of the log is a mean since the one before it: none may reach over a state that a run goes on from
        control.should_log = control.should_log or control.should_save or state.global_step == state.max_steps
        if not state.is_world_process_zero:
            return
        self.bar.update(self.task, completed=state.global_step)
        last = self.over or state.global_step == state.max_steps
        if self.alone and (last or state.global_step % self.every == 0):
            self.show(model, state.global_step)
        if self.over and state.global_step < state.max_steps:
            self.bar.console.print(f"the clock ended the run at step {state.global_step} of {state.max_steps}")

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Keeps a line of the log.

        Args:
            args: Of transformers.
            state: Of transformers.
            control: Of transformers.

        Raises:
            InputError: The loss is no number any more.
        """
        rows = self.rows(state)
        if not rows:
            return
        if not math.isfinite(rows[-1]["loss"]):  # in every process
            raise InputError(f"The loss is no number any more at step {rows[-1]['step']}. Lower lr in the recipe.")
        if not state.is_world_process_zero:
            return
        self.bar.update(self.task, description=f"loss {float(rows[-1]['loss']):.3f}")
        self.write(rows)

    def rows(self, state: Any) -> list[dict[str, Any]]:
        """The log's lines about steps, the last with its share of the way; none where the last is about others.

        Args:
            state: Of transformers.
        """
        if not state.log_history or "loss" not in state.log_history[-1]:
            return []
        if self.schedule is not None:
            state.log_history[-1]["share"] = round(self.schedule.share, 5)
        return [row for row in state.log_history if "loss" in row]

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """All rows into log.csv, the last one onto the board.

        Args:
            rows: The log, a mapping a step.
        """
        table = io.StringIO()
        columns = ["step", *sorted({name for row in rows for name in row} - {"step"})]
        writer = csv.DictWriter(table, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_whole(self.out / "log.csv", table.getvalue().encode())
        if self.board is not None:
            for name, value in rows[-1].items():
                if name != "step" and value is not None:
                    self.board.add_scalar(name, float(value), rows[-1]["step"])
            self.board.flush()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ends the bar.

        Args:
            args: Of transformers.
            state: Of transformers.
            control: Of transformers.
        """
        self.bar.stop()
        if self.board is not None:
            self.board.close()

    def _start_clock(self, args: Any, state: Any, scheduler: Any) -> None:
        """Transformers' rate of a step becomes that of the step at which the clock would have the run."""
        if self.until is not None:
            steps, warmup = state.max_steps, args.get_warmup_steps(state.max_steps)
            earlier = [row.get("share", 0.0) for row in state.log_history if "loss" in row]
            self.schedule = clock = Schedule(
                args.learning_rate, steps, warmup, until=self.until, share=earlier[-1] if earlier else 0.0
            )
            clock.begin(state.global_step)
            of_step = scheduler.lr_lambdas[0]

            def rate(step: int) -> float:  # warming up takes its steps, whatever the clock says
                return float(of_step(min(step, warmup)) * of_step(max(clock.moved(step) * steps, warmup)))

            scheduler.lr_lambdas = [rate] * len(scheduler.lr_lambdas)
        if state.global_step:  # a checkpoint has the rate that an earlier clock gave
            scheduler.last_epoch -= 1
            scheduler.step()

    def _keep_samples(self, done: int) -> None:
        """Drop replies of steps that are about to be done again."""
        file = self.out / "samples.jsonl"
        if file.exists():
            lines = file.read_text(encoding="utf-8").split("\n")  # not splitlines: a reply may hold U+2028
            write_whole(file, "".join(f"{x}\n" for x in lines if step_of(x) <= done).encode())
