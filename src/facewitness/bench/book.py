"""The book of a table: systems over test sets, the numbers about them as lines, and the small tables made of these.

`table` writes it and prints it; `page` draws what it reads in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from facewitness.bench import controls
from facewitness.bench.measures import Value

BASELINES: Mapping[str, Callable[[pa.Table], Any]] = {
    "baseline: constant": controls.constant,
    "baseline: random": controls.at_random,
}


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One system over one test set."""

    system: str
    dataset: str
    plain: pa.Table  # the columns that `table` reads; the rows without perturbation
    perturbed: pa.Table | None = None  # the others, unless it is one dataset of a run over several
    run: Path | None = None  # None for a peer and a baseline
    meta: Mapping[str, Any] | None = None
    whole: bool = True  # False for one dataset of a run over several
    taken_apart: bool = False  # True for a run over several

    @property
    def threshold(self) -> float | None:
        """The shipped threshold from which a verdict says fake."""
        value = ((self.meta or {}).get("thresholds") or {}).get("fake")
        return None if value is None else float(value)

    @property
    def films(self) -> bool:
        """Whether films were judged as a whole, with one row each."""
        return bool((self.meta or {}).get("films"))

    @property
    def baseline(self) -> bool:
        """Whether it is one of BASELINES."""
        return self.system in BASELINES


@dataclass(frozen=True, slots=True)
class Line:
    """One number of the table.

    Attributes:
        level: "rows" (coverage), "frame", "video", "verdict", "place", "text", "score".
        speaker: Whose words a number of the last two levels is about, such as "explanation: shuffled".
    """

    system: str
    dataset: str
    level: str
    measure: str
    value: Value
    method: str = ""
    perturbation: str = "none"
    strength: int = 0
    speaker: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """A small table to read: cells are words, or a Value with the digits to print."""

    title: str
    about: str
    head: tuple[str, ...]
    rows: tuple[tuple[str | tuple[Value, int], ...], ...]
    nothing: str = ""  # in place of rows that would all be dashes


Key = tuple[str, str, str, str, str, int, str, str]
_ABSENT = Value(None, why="not among the predictions")


class Book:
    """Lines by what they are about, to look numbers up in."""

    def __init__(self, lines: Iterable[Line]):
        self._values: dict[Key, Value] = {}
        self.methods: dict[tuple[str, str], dict[str, None]] = {}  # of each system and test set, in order
        self.perturbations: dict[tuple[str, str], dict[str, None]] = {}
        for x in lines:
            key = (x.system, x.dataset, x.level, x.method, x.perturbation, x.strength, x.speaker, x.measure)
            self._values[key] = x.value
            if x.method:
                self.methods.setdefault((x.system, x.dataset), {})[x.method] = None
            if x.perturbation != "none":
                self.perturbations.setdefault((x.system, x.dataset), {})[x.perturbation] = None

    def value(
        self,
        entry: Entry,
        level: str,
        measure: str,
        method: str = "",
        perturbation: str = "none",
        strength: int = 0,
        speaker: str = "",
    ) -> Value:
        """A number; "not measured" where there is none.

        Args:
            entry: A run, a peer or a baseline of the table.
            level: "frame" or "video".
            measure: Its name, such as "auc".
            method: Of forgery; "" for all.
            perturbation: Its name, such as "jpeg"; "none" for pictures as they are.
            strength: Of the perturbation, 1 to 5; 0 without.
            speaker: Whose words, such as "explanation"; "" for what is no speaker's.
        """
        key = (entry.system, entry.dataset, level, method, perturbation, strength, speaker, measure)
        return self._values.get(key, _ABSENT)

    def measures(self, entry: Entry, level: str, speaker: str = "") -> list[str]:
        """Names of what there is without method and perturbation.

        Args:
            entry: A run, a peer or a baseline of the table.
            level: "frame" or "video".
            speaker: Whose words, such as "explanation"; "" for what is no speaker's.
        """
        at = (entry.system, entry.dataset, level, "", "none", 0, speaker)
        return [key[7] for key in self._values if key[:7] == at]

    def speakers(self, entry: Entry, level: str) -> list[str]:
        """Whose words there are numbers about, in order.

        Args:
            entry: A run, a peer or a baseline of the table.
            level: "frame" or "video".
        """
        at = (entry.system, entry.dataset, level)
        return list(dict.fromkeys(key[6] for key in self._values if key[:3] == at))

    def level(self, entry: Entry) -> str:
        """The level that figures show: video where there are videos.

        Args:
            entry: A run, a peer or a baseline of the table.
        """
        return "video" if self.value(entry, "video", "acc").n else "frame"
