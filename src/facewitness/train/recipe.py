"""Reads a recipe: TOML into a dataclass of settings, each key known and each value of its type.

    Recipe.read(path)  =  read_recipe(Recipe, path)        a dataclass is all that a recipe needs to be

Settings have one name in every recipe:

    seed, steps, epochs, stop_at_step     what is drawn, how long, and the step that ends a run before its schedule does
    batch_size, micro_batch_size          examples a step, of all processes together; of one process at once
    lr, weight_decay, warmup, cosine      the optimizer: steps in which the rate rises (of mids a share of them, as its
                                          authors have it), and whether it falls after them
    ema                                   decay a step of the average of the weights that is saved
    sources, forgers                      shares of draws, by data set and by leaf of `forge/`
    model, revision, init_from            a language model by hub name or folder; weights that training begins with
    max_tokens                            of a reply, longer ones are cut off
    dtype, bf16, gradient_checkpointing   precision of weights; autocast; activations computed again
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import tomllib
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from facewitness import plugins
from facewitness.errors import FacewitnessError, InputError, UnknownName
from facewitness.files import read_text
from facewitness.phrases import visible

R = TypeVar("R")


def read_recipe(kind: type[R], path: Path, changes: Sequence[str] = ()) -> R:
    """Reads a recipe out of TOML.

    Args:
        kind: A dataclass whose fields are the keys. Lists become tuples, and tables dataclasses, where a field says so.
        path: The TOML file.
        changes: "key=value" or "table.key=value", a value as TOML has it: what an ablation has otherwise.

    Returns:
        The dataclass, filled.

    Raises:
        UnknownName: A key is no field; the message names the nearest one.
        InputError: There is no TOML, a value is of another type, or a key is missing.
    """
    given = parsed(path)
    for change in changes:
        _change(given, change)
    _finite(given, path.name)
    return _made(kind, given, path.name)


def digest(recipe: Any, without: Iterable[str] = ()) -> str:
    """Tells a recipe from every other: a run goes on with the one it began with.

    Args:
        recipe: A dataclass of settings.
        without: Names of settings that may change on the way.
    """
    settings = {name: value for name, value in asdict(recipe).items() if name not in set(without)}
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()


def _finite(value: Any, where: str) -> None:
    """Refuse nan, inf and what 64 bits cannot hold: no setting means anything by them. Raises InputError."""
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where}: expected finite numbers, got {value}")
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        raise InputError(f"{where}: expected numbers of at most 64 bits, got one of {value.bit_length()}")
    parts = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        _finite(part, f"{where}, {visible(str(name))}")


def parsed(path: Path) -> dict[str, Any]:
    """What a recipe's file says, before anything knows which keys it may have.

    Args:
        path: Of the TOML file.

    Returns:
        Key → value, tables within tables.

    Raises:
        InputError: There is none, it cannot be read, or it is no TOML; a key that stands twice is none.
    """
    try:
        return tomllib.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: expected a recipe in TOML ({why})") from error


def _change(given: dict[str, Any], change: str) -> None:
    """Puts "table.key=value" into a recipe."""
    key, equals, value = change.partition("=")
    *tables, last = key.strip().split(".")
    if not equals or not all((*tables, last)):
        raise InputError(f"--set: expected KEY=VALUE, such as lr=1e-4 or detector.unit_scale=100, got {change!r}")
    if "\n" in value or "\r" in value:  # behind a line's end another setting would stand, and go unseen
        raise InputError(f"--set: expected KEY=VALUE on one line, got {change!r}")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        parsed = value.strip()  # a word needs no quotes
    table: Any = given
    for name in tables:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise InputError(f"--set {change}: expected {name} to be a table of the recipe, got {table!r}")
    table[last] = parsed


MOST = 1 << 20  # of a width, a number of tokens or pixels of a side: more is a slip, and torch overflows at it
MOST_SIDE = 4096  # pixels of a picture's side: a batch of larger ones fits into no memory
MOST_STEPS = 10_000_000  # or epochs; what some trainings draw at each step is numbered before the first
_BOUNDS = {  # of what has one name in every recipe; a warmup below 0 would turn the rate's sign
    "seed": (0, 2**32 - 1),  # NumPy's
    "warmup": (0, 1_000_000_000),
    "weight_decay": (0, 1_000_000_000),
    "lr": (-1_000_000, 1_000_000),  # that it is above 0 is each recipe's to say
}


def _made(kind: type[R], given: Mapping[str, Any], where: str) -> R:
    hints = typing.get_type_hints(kind)
    check(given, hints, where)
    for name, (least, most) in _BOUNDS.items():
        if isinstance(value := given.get(name), int | float) and not least <= value <= most:
            raise InputError(f"{where}: expected {name} from {least:,} to {most:,}, got {value}")
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
    """Checks that a table's keys are known and its values of the types that the hints give; raises as `read_recipe`.

    Args:
        given: A table of TOML.
        hints: Key → its type.
        where: Name of the table, for messages.
    """
    if not isinstance(given, Mapping):
        raise InputError(f"{where}: expected a table, got {given!r}")
    known(f"key in {where}", given, hints)
    for name, value in given.items():
        if not _fits(value, hints[name]):
            raise InputError(f"{where}: expected {name} of type {_words(hints[name])}, got {value!r}")


def of_steps_or_epochs(recipe: Any) -> None:
    """A recipe's check that its length is said once, and can be.

    Args:
        recipe: With `steps` and `epochs`, of which one is None.

    Raises:
        InputError: Both are given, or neither, or no epoch is left, or there are more than `MOST_STEPS`.
    """
    if (recipe.steps is None) == (recipe.epochs is None):
        raise InputError("recipe: expected either steps or epochs")
    if recipe.epochs is not None and recipe.epochs <= 0:
        raise InputError(f"recipe: expected epochs above 0, got {recipe.epochs}")
    at_most(recipe, MOST_STEPS, "steps", "epochs")


def at_least(recipe: Any, **least: int) -> None:
    """A recipe's check of its counts.

    Args:
        recipe: A dataclass of settings.
        **least: Setting → the least that it may be; one that is None is not looked at.

    Raises:
        InputError: One is less.
    """
    for name, low in least.items():
        if (value := getattr(recipe, name)) is not None and value < low:
            raise InputError(f"recipe: expected {name} of at least {low}, got {value}")


def at_most(recipe: Any, most: float, *names: str) -> None:
    """A recipe's check of what is a slip where it is larger.

    Args:
        recipe: A dataclass of settings.
        most: The most that each may be.
        *names: Settings; one that is None is not looked at.

    Raises:
        InputError: One is more.
    """
    for name in names:
        if (value := getattr(recipe, name)) is not None and value > most:
            raise InputError(f"recipe: expected {name} of at most {most:,}, got {value}")


def above_zero(recipe: Any, *names: str) -> None:
    """A recipe's check of its rates.

    Args:
        recipe: A dataclass of settings.
        *names: Settings.

    Raises:
        InputError: One is 0 or less.
    """
    for name in names:
        if getattr(recipe, name) <= 0:
            raise InputError(f"recipe: expected {name} above 0, got {getattr(recipe, name)}")


def in_one(recipe: Any, *names: str) -> None:
    """A recipe's check of its shares of one whole.

    Args:
        recipe: A dataclass of settings.
        *names: Settings.

    Raises:
        InputError: One is no share from 0 to 1.
    """
    for name in names:
        if not 0 <= getattr(recipe, name) <= 1:
            raise InputError(f"recipe: expected {name} from 0 to 1, got {getattr(recipe, name)}")


def check_forger(name: str, options: Mapping[str, Any], where: str) -> None:
    """A recipe's check of a leaf of forge/ that forgeries are drawn by.

    Args:
        name: Of the leaf.
        options: Of it, by name.
        where: Name of their table, for messages.

    Raises:
        UnknownName: There is none of that name, or an option of none.
        InputError: It edits pictures and forges none, or an option is of another type.
    """
    leaf = plugins.get("forge", name)
    if not hasattr(leaf, "forge"):
        raise InputError(f"recipe: expected forgers that forge a face, got {name}, which edits any picture")
    has = inspect.signature(leaf.forge).parameters.values()
    known(f"option of {name}", options, {p.name for p in has if p.kind is p.KEYWORD_ONLY})
    arguments(options, leaf.forge, f"recipe, {where}")


def of_shares(what: str, shares: Iterable[float]) -> None:
    """A recipe's check of what is drawn by share.

    Args:
        what: The shares are of, for the message.
        shares: The shares, which need not add up to 1.

    Raises:
        InputError: One is below 0, or none above.
    """
    shares = list(shares)
    if not all(isinstance(share, int | float) for share in shares):
        raise InputError(f"recipe: expected {what} as numbers, got {shares}")
    if not any(share > 0 for share in shares) or any(share < 0 for share in shares):
        raise InputError(f"recipe: expected {what} of 0 or more, and one above 0, got {shares}")


def by_share(shares: Mapping[str, float], rng: np.random.Generator) -> str:
    """One of the names, each as often as its share says.

    Args:
        shares: Name → its share; they need not add up to 1.
        rng: What everything is drawn from; the same state gives the same result.
    """
    values = np.array(list(shares.values()), np.float64)
    return list(shares)[int(rng.choice(len(values), p=values / values.sum()))]


def known(what: str, names: Iterable[Any], those: Iterable[str]) -> None:
    """Refuse a name that there is not, with the nearest one.

    Args:
        what: What the names are, for messages.
        names: That are asked for.
        those: That there are.

    Raises:
        UnknownName: A name is none of those.
    """
    those = list(those)
    for name in names:
        if name not in those:
            raise UnknownName(what, str(name), those)


def arguments(given: Mapping[str, Any], taker: Callable[..., Any], where: str) -> None:
    """A recipe's check of a table that is passed on as arguments: their types, and what is counted.

    Args:
        given: Argument → value; a name that the taker does not have is passed over (`known` refuses it).
        taker: The class or function, whose hints say the types.
        where: Name of the table, for messages.

    Raises:
        InputError: A value is of another type, an empty list, or a count below 1 (0 where that is the default) or
            above `MOST`.
    """
    has = inspect.signature(taker, eval_str=True).parameters
    for name, value in given.items():
        if name not in has:
            continue
        hint = has[name].annotation
        if not _fits(value, hint):
            raise InputError(f"{where}: expected {name} of type {_words(hint)}, got {value!r:.60}")
        least = 0 if has[name].default == 0 else 1
        parts = value if isinstance(value, list | tuple) else [value]
        most = MOST_SIDE if name == "size" else MOST
        counts = [part for part in parts if isinstance(part, int) and not isinstance(part, bool)]
        if not parts or (_counted(hint) and any(not least <= part <= most for part in counts)):
            what = f"numbers from {least:,} to {most:,}" if counts else "something in the list"
            raise InputError(f"{where}: expected {name} as {what}, got {value!r:.60}")


def of_lora(lora: Mapping[str, Any]) -> None:
    """A recipe's check of [lora].

    Args:
        lora: rank, alpha, dropout; each may be missing.

    Raises:
        UnknownName: Another setting.
        InputError: A value that LoRA cannot have.
    """
    hints = {"rank": int, "alpha": float, "dropout": float}
    known("setting of LoRA", lora, hints)
    check(lora, hints, "recipe, [lora]")
    if not 1 <= lora.get("rank", 1) <= MOST:
        raise InputError(f"recipe: expected rank of at least 1 and at most {MOST:,}, got {lora['rank']}")
    if lora.get("alpha", 1) <= 0 or not 0 <= lora.get("dropout", 0) < 1:
        raise InputError(f"recipe, [lora]: expected alpha above 0 and dropout from 0 to below 1, got {dict(lora)}")


def _counted(hint: Any) -> bool:
    return hint is int or any(_counted(part) for part in typing.get_args(hint))


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


@contextmanager
def buildable(tables: str = "[network]") -> Iterator[None]:
    """Around what makes a network of a recipe's tables: what the network refuses is the recipe's fault.

    Args:
        tables: Which, for the message.

    Raises:
        InputError: A setting is of another kind than the network's, or cannot be.
    """
    try:
        yield
    except FacewitnessError:
        raise
    except (TypeError, ValueError, AttributeError, KeyError, ZeroDivisionError, RuntimeError) as error:
        why = str(error).partition("\n")[0][:200]
        raise InputError(
            f"recipe, {tables}: expected settings of which a network can be made, got ones that cannot be ({why})"
        ) from error
