"""What every training has besides its steps: a recipe in TOML, the commit it ran at, and a state to go on from.

Recipe.read(path)  =  _run.read(Recipe, path)        a dataclass is all that a recipe needs to be
"""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import tomllib
import types
import typing
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from facewitness.errors import InputError, UnknownName, WeightsError
from facewitness.files import write_whole

R = TypeVar("R")


# -------------------------------------------------------------------------------------------------------- the recipe


def read(kind: type[R], path: Path) -> R:
    """A recipe out of TOML: a dataclass whose fields are the keys.

    Lists become tuples, and tables dataclasses, where a field says so. Raises UnknownName, with the nearest known key,
    for a key that is no field; InputError where there is no TOML, a value is of another type, or a key is missing.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a recipe in TOML ({error})") from error
    return _made(kind, given, path.name)


def _made(kind: type[R], given: Mapping[str, Any], where: str) -> R:
    hints = typing.get_type_hints(kind)
    check(given, hints, where)
    for entry in fields(kind):
        if entry.name not in given and entry.default is MISSING and entry.default_factory is MISSING:
            raise InputError(f"{where}: expected {entry.name}, which is missing")
    return kind(**{name: _valued(value, hints[name], f"{name} in {where}") for name, value in given.items()})


def _valued(value: Any, hint: Any, where: str) -> Any:
    """A value that fits its hint, as the dataclass has it."""
    parts = typing.get_args(hint)
    if typing.get_origin(hint) in _UNIONS:
        return _valued(value, next(part for part in parts if _fits(value, part)), where)
    if typing.get_origin(hint) is tuple:
        return tuple(_valued(part, parts[0], where) for part in value)
    return _made(hint, value, where) if is_dataclass(hint) else value


def check(given: Any, hints: Mapping[str, Any], where: str) -> None:
    """Whether a table's keys are known and its values of the types that the hints give. Raises as `read` does."""
    if not isinstance(given, Mapping):
        raise InputError(f"{where}: expected a table, got {given!r}")
    known(f"key in {where}", given, hints)
    for name, value in given.items():
        if not _fits(value, hints[name]):
            raise InputError(f"{where}: expected {name} of type {_words(hints[name])}, got {value!r}")


def known(what: str, names: Iterable[Any], those: Iterable[str]) -> None:
    """Raises UnknownName, with the nearest one, for a name that is none of those."""
    those = list(those)
    for name in names:
        if name not in those:
            raise UnknownName(what, str(name), those)


_UNIONS = (types.UnionType, typing.Union)


def _fits(value: Any, hint: Any) -> bool:
    origin, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in _UNIONS:
        return any(_fits(value, part) for part in parts)
    if origin in (tuple, Sequence):
        return isinstance(value, list | tuple) and all(_fits(part, parts[0]) for part in value)
    if origin in (dict, Mapping):
        return isinstance(value, Mapping) and all(_fits(part, parts[1]) for part in value.values())
    if origin is float:
        return type(value) in (int, float)
    if is_dataclass(origin):
        return isinstance(value, Mapping)
    return origin is Any or (isinstance(value, origin) and not (origin is int and isinstance(value, bool)))


def _words(hint: Any) -> str:
    origin, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in _UNIONS:
        return " or ".join(_words(part) for part in parts if part is not type(None))
    if origin in (tuple, Sequence):
        return f"list of {_words(parts[0])}"
    if origin in (dict, Mapping):
        return "table" if parts[1] is Any else f"table of {_words(parts[1])}"
    return "table" if is_dataclass(origin) else str(origin.__name__)


# ---------------------------------------------------------------------------------------------- where it comes from


def commit() -> str | None:
    """The git commit of this code, "+" behind it where files differ from it; None outside a repository."""
    folder = Path(__file__).parent
    try:
        said = [
            subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=30, check=True).stdout
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--", "."))
        ]
    except (OSError, subprocess.SubprocessError):
        return None
    return said[0].strip() + ("+" if said[1].strip() else "")


def sha256(path: Path) -> str:
    """Of a file's bytes. Raises InputError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"'{path}' cannot be read ({error.strerror}). Name another file.") from error


# ------------------------------------------------------------------------------------------- the state to go on from


def write_state(
    file: Path, model: Mapping[str, Tensor], optimizer: Any, about: Mapping[str, str], **more: Mapping[str, Tensor]
) -> None:
    """Everything a run needs to go on, in one file that is replaced whole: `model.…`, `optimizer.…`, and more tensors.

    about   what `read_state` gives back with them: the step, and whatever tells this run from others
    """
    state = {
        f"{kind}.{name}": value for kind, found in {"model": model, **more}.items() for name, value in found.items()
    }
    for i, slots in optimizer.state_dict()["state"].items():
        state |= {f"optimizer.{i}.{name}": value for name, value in slots.items()}
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    write_whole(file, save(tensors, dict(about)))


def read_state(file: Path) -> tuple[dict[str, str], dict[str, dict[str, Tensor]]] | None:
    """(about, {"model": tensors by name, "optimizer": …, …}) of what `write_state` wrote; None where nothing is.

    Raises WeightsError for a damaged file.
    """
    if not file.exists():
        return None
    found: dict[str, dict[str, Tensor]] = defaultdict(dict)
    try:
        with safe_open(file, "pt") as opened:
            about = dict(opened.metadata() or {})
            for key in opened.keys():  # noqa: SIM118  (it is no mapping)
                kind, _, name = key.partition(".")
                found[kind][name] = opened.get_tensor(key)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"'{file}' cannot be read ({error}). Delete it to begin again.") from error
    return about, found


def step_of(line: str) -> float:
    """The field "step" of a line of JSON; infinity, later than all others, of one that a kill cut off."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def restore(optimizer: Any, tensors: Mapping[str, Tensor]) -> None:
    """Put an optimizer's tensors back, as `read_state` gave them: "<parameter's number>.<slot>"."""
    slots: dict[int, dict[str, Tensor]] = defaultdict(dict)
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        slots[int(number)][name] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": dict(slots)})
