"""Whether meta.json and the rows of a run hold what they may: a file that was edited by hand is told, not measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from facewitness.errors import InputError, came


def _object(of: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(of, value.values()))


def _list(of: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(of, value))


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _share(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1)


def _weighty(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("weights") or {}, dict)


def _covered(value: Any) -> bool:
    counts = isinstance(value, dict) and all(_count(value.get(name)) for name in ("rows", "missing"))
    return counts and all(_list(_text)(value.get(name, [])) for name in ("examples", "notes"))


def _perturbed(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and _text(value[0]) and _count(value[1])


_META: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "thresholds": (_object(_share), "an object of numbers in [0, 1]"),
    "perturbations": (_list(_perturbed), "a list of [name, strength]"),
    "keep": (_object(_list(lambda _: True)), "an object of lists"),
    "libraries": (_object(_text), "an object of versions"),
    "witnesses": (_list(_weighty), "a list of witnesses"),
    "scores": (_list(_text), "a list of names"),
    "coverage": (_covered, "an object of counts and sentences"),
    "frames": (_count, "a number"),
    "name": (_text, "a text"),
}


def check_meta(meta: Mapping[str, Any], path: Path) -> None:
    """Refuse a meta.json whose values are of other kinds than those that are read of it.

    Args:
        meta: What it holds.
        path: Where it lies, for the message.

    Raises:
        InputError: Says which value, and what was expected.
    """
    for name, (holds, kind) in _META.items():
        value = meta.get(name)
        if value is not None and not holds(value):
            raise InputError(f"{path}: expected {kind} as {name!r}, got {came(value)}. Run it again.")


STATUSES = ("ok", "no_face", "failed")
SPEAKERS = ("explanation", "witness", "dialogue")
_ANSWERS = ("real", "fake", "inconclusive")
_ONE_OF: Mapping[str, tuple[str, ...]] = {
    "label": ("real", "fake"),
    "status": STATUSES,
    "speaker": SPEAKERS,
    "verdict": _ANSWERS,
    "says": _ANSWERS,
}
_NEVER_NULL = ("dataset", "file", "label", "status", "speaker", "perturbation", "strength")
_SHARES = ("score", "fake", "mask_precision", "mask_recall", "mask_f1", "mask_ap")  # in [0, 1]


def check_rows(table: pa.Table, path: Path) -> None:
    """Refuse rows whose words or numbers cannot be: NaN, a score beyond [0, 1], a label that there is not.

    Args:
        table: Rows of a run, of any of its columns.
        path: Where they lie, for the message.

    Raises:
        InputError: Says which row, counted from 0, and what was expected there.
    """
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if name in _NEVER_NULL:
            _refuse(column, pc.is_null(column), name, "a value", path)
        if name == "box":
            _refuse(column, pc.not_equal(pc.list_value_length(column), 4), name, "four numbers", path)
        if name in _ONE_OF and column.null_count < len(column):
            known = pc.is_in(column, pa.array(_ONE_OF[name], column.type))
            _refuse(column, pc.and_(pc.is_valid(column), pc.invert(known)), name, " or ".join(_ONE_OF[name]), path)
        if pa.types.is_floating(column.type):
            low, high = (0.0, 1.0) if name in _SHARES else (-math.inf, math.inf)
            within = pc.and_(pc.greater_equal(column, low), pc.less_equal(column, high))
            kind = "a number in [0, 1]" if name in _SHARES else "a number"
            _refuse(column, pc.invert(pc.and_(within, pc.is_finite(column))), name, kind, path)


def _refuse(column: pa.ChunkedArray, wrong: pa.ChunkedArray, name: str, expected: str, path: Path) -> None:
    if (row := pc.index(wrong, True).as_py()) >= 0:
        value = came(column[row].as_py())
        raise InputError(f"{path}, row {row}: expected {expected} as {name!r}, got {value}. Run it again.")
