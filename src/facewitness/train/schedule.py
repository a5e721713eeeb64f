"""The learning rate of each step, by the steps alone or by a clock that ends the run, for every recipe that has one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from facewitness.errors import InputError
from facewitness.train import several


def last_step(steps: int, stop_at_step: int | None, done: int) -> int:
    """The step that ends this part of a run.

    Args:
        steps: Of the whole run.
        stop_at_step: Where it is to stop before; None for its end.
        done: Steps that are done; all of them where a run has ended, which then has nothing left to do.

    Raises:
        InputError: The run is past that step, and not at its end.
    """
    if stop_at_step is not None and stop_at_step < done < steps:
        raise InputError(
            f"--stop-at-step: expected at least {done:,}, the step where the run stands, got {stop_at_step:,}. Name a "
            "later one, or another --out to begin anew."
        )
    return max(done, min(stop_at_step or steps, steps))


@dataclass
class Schedule:
    """The learning rate of a step: it rises over `warmup` steps and then, with `cosine`, falls to a fiftieth.

    Args:
        lr: The highest rate.
        steps: Steps of the whole cosine.
        warmup: Steps in which the rate rises.
        cosine: Whether it falls at all.
        before: Steps of earlier stages, which count as warm-up.
        until: A moment at which the run has to be over: the cosine then falls with the clock, from where it stands
            when the run begins, wherever its steps alone would be slower.
        share: How much of the cosine an earlier part of this run has behind it.
    """

    lr: float
    steps: int
    warmup: int = 0
    cosine: bool = True
    before: int = 0
    until: datetime | None = None
    share: float = 0.0

    def begin(self, step: int) -> None:
        """Starts the clock. What an earlier clock had ended falls anew, from where its steps stand, to a later moment.

        Args:
            step: Number of the step.
        """
        self.opened = datetime.now(UTC)
        if self.share >= 1 and self.until is not None and self.until > self.opened:
            self.share = 0.0
        self._from = self.share = max(self.share, step / self.steps)

    def moved(self, step: int) -> float:
        """How much of the cosine is behind at a step, by the clock if that is farther; moves `share` there.

        Args:
            step: Number of the step.
        """
        self.share = step / self.steps
        if self.until is not None:
            passed = (datetime.now(UTC) - self.opened) / max(self.until - self.opened, timedelta(seconds=1))
            self.share = several.agreed(min(1.0, max(self.share, self._from + (1 - self._from) * passed)))
        return self.share

    def rate(self, step: int) -> float:
        """The learning rate of a step, which moves `share` on.

        Args:
            step: Number of the step.
        """
        share = self.moved(step)
        rate = self.lr * min(1.0, (self.before + step + 1) / self.warmup) if self.warmup else self.lr
        return rate * (0.5 * (1 + math.cos(math.pi * share)) * 0.98 + 0.02) if self.cosine else rate

    @property
    def over(self) -> bool:
        """Whether the clock has ended the run."""
        return self.until is not None and self.share >= 1
