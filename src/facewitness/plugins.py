"""From a family and a name to the leaf that does the work.

A leaf is a module in the family's folder, and its file name is its registered name; outside packages add leaves with
an entry point in the group `facewitness.<family>`. Nothing is imported until it is asked for.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import pkgutil
import typing
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from facewitness.errors import FacewitnessError, InputError, MissingExtra, UnknownName

# family → the one function every leaf of it has, and the sentence `facewitness list` shows
FAMILIES: dict[str, tuple[str, str]] = {
    "finders": ("load", "frame -> faces"),
    "witnesses": ("load", "face -> testimony"),
    "grammars": ("parse", "a language model's words -> reply, and back by render()"),
    "backends": ("load", "conversation, images -> a language model's words"),
    "datasets": ("samples", "folder on disk -> samples"),
    "forge": ("forge", "pristine face -> forged image, mask, record"),
    "formats": ("render", "report -> bytes"),
    "scores": ("score", "one reply and the truth -> a number or None"),
}

# what to install when a leaf's packages are missing: top-level import name → extra
_EXTRAS = (
    {"av": "video", "cv2": "forge", "openai": "language"}
    | dict.fromkeys(("matplotlib", "pyarrow", "scipy", "sklearn"), "bench")
    | dict.fromkeys(("pycocoevalcap", "tokenizers"), "caption")
    | dict.fromkeys(("onnx", "safetensors", "timm", "torch", "torchvision"), "train")
    | dict.fromkeys(("accelerate", "datasets", "peft", "transformers", "trl"), "vlm")
)


@cache
def _outside(family: str) -> dict[str, EntryPoint]:
    """Leaves that other packages bring; read once, because it opens every installed package's metadata."""
    return {entry.name: entry for entry in entry_points(group=f"facewitness.{family}")}


@cache
def names(family: str) -> tuple[str, ...]:
    """Names of all leaves of a family, sorted. Raises UnknownName for a family that does not exist."""
    if family not in FAMILIES:
        raise UnknownName("family", family, FAMILIES)
    package = importlib.import_module(f"facewitness.{family}")
    own = {m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_")}
    return tuple(sorted(own | set(_outside(family))))


def get(family: str, name: str) -> ModuleType:
    """The leaf's module. Raises UnknownName (with the nearest name) or MissingExtra (with what to install)."""
    if name not in names(family):
        raise UnknownName(f"name in {family}", name, names(family))
    outside = _outside(family)
    try:
        if name in outside:
            module: ModuleType = outside[name].load()
            return module
        return importlib.import_module(f"facewitness.{family}.{name}")
    except ModuleNotFoundError as error:
        raise lacking(f"{family}/{name}", error, "bench" if family == "datasets" else None) from error


def load(family: str, name: str, options: Mapping[str, Any]) -> Any:
    """What the `load` of a leaf gives. Raises UnknownName for an unknown option, InputError for a bad value."""
    function = get(family, name).load
    known = inspect.signature(function).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        for option in options:
            if option not in known:
                raise UnknownName(f"option of {name}", option, known)
    _check(name, function, options)
    try:
        return function(**options)
    except (TypeError, ValueError) as error:
        if isinstance(error, FacewitnessError):
            raise
        raise InputError(f"{name} cannot be loaded with the options {dict(options)}: {error}") from error


_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "words", type(None): "null"}


def _check(name: str, function: Any, options: Mapping[str, Any]) -> None:
    """Raises InputError for a value of another type than the option has: "False" in words is no false."""
    try:
        hints = typing.get_type_hints(function)
    except NameError:  # a type that is there for type checkers alone
        return
    for option, value in options.items():
        hint = hints.get(option, object)
        kinds = set(typing.get_args(hint) or (hint,))
        if not kinds <= _WORDS.keys():  # what the command line cannot say is the leaf's own business
            continue
        if type(value) in kinds or (type(value) is int and float in kinds):
            continue
        expected = " or ".join(_WORDS[kind] for kind in _WORDS if kind in kinds)
        raise InputError(f"{name}.{option}: expected {expected}, got {value!r}")


def lacking(what: str, error: ModuleNotFoundError, extra: str | None = None) -> MissingExtra:
    """What to install for something that needs a package. Raises the error itself where the package is ours."""
    missing = (error.name or "").split(".")[0]
    if missing == "facewitness" or not missing:
        raise error
    extra = extra or _EXTRAS.get(missing)
    advice = f"pip install 'facewitness[{extra}]'" if extra else f"pip install {missing}"
    return MissingExtra(f"{what} needs the package '{missing}', which is not installed. Try: {advice}")


def about(family: str, name: str) -> str:
    """The first sentence of the leaf's docstring, for listings. Says so when its packages are missing."""
    try:
        return (get(family, name).__doc__ or "").strip().split("\n")[0]
    except MissingExtra as error:
        spec = importlib.util.find_spec(f"facewitness.{family}.{name}")
        if spec is None or spec.origin is None:
            return f"({error})"
        doc = ast.get_docstring(ast.parse(Path(spec.origin).read_bytes())) or ""  # read, not run
        return f"{doc.split(chr(10))[0]} ({str(error).rpartition('Try: ')[2]})"
