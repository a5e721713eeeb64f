"""A protocol says what is tested on what, at which level: one TOML file, so that two tables mean the same thing.

name = "kfd-cross"                       paper = "…, Table 1"        about = "one sentence"
level = "video"                          # or "frame": the level of the headline number
[train]                                  # what a system in this table may have been trained on; for people
datasets = ["faceforensics c23 train"]
[[test]]
name = "Celeb-DF-v2"                     # its line in the table
dataset = "celebdf"                      # a leaf of datasets/
split = "test"
frames = 32
compression = "c23"                      # keep only rows like this; method = [...] and source = [...] likewise
published = { KFD = { auc = 94.71, ap = 93.59 }, SBI = { auc = 93.82 } }    # what papers print, per cent: for
                                         # orientation beside what is measured, never mixed with it; a number is an AUC
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from facewitness import plugins
from facewitness.errors import InputError, UnknownName
from facewitness.files import each_once, write_whole

LEVELS = ("frame", "video")
FOLDER = Path(__file__).with_name("protocols")


@dataclass(frozen=True, slots=True)
class Test:
    """One test set of a protocol."""

    __test__ = False  # pytest, this is none of yours

    name: str
    dataset: str
    split: str | None = None
    frames: int = 32
    compression: str | None = None
    method: tuple[str, ...] = ()
    source: str | tuple[str, ...] | None = None  # Sample.dataset, one or several, where a leaf holds several
    apart: bool = False  # left out where all test sets are measured together: an in-domain set
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # system -> measure -> per cent, printed


@dataclass(frozen=True, slots=True)
class Protocol:
    """All of a protocol file."""

    name: str
    about: str
    tests: tuple[Test, ...]
    paper: str = ""
    level: str = "video"
    train: Mapping[str, Any] = field(default_factory=dict)
    reencode: int | None = None
    perturbations: tuple[str, ...] = ()
    difference_masks: bool = False
    questions: bool = False


PRINTED = ("auc", "ap", "acc")  # measures that papers print


def _published(given: Any, path: Path) -> dict[str, dict[str, float]]:
    """System → measure → per cent. Raises UnknownName for another measure, InputError for what is no number."""
    published: dict[str, dict[str, float]] = {}
    for system, values in dict(given).items():
        values = values if isinstance(values, Mapping) else {"auc": values}
        for measure, value in values.items():
            if measure not in PRINTED:
                raise UnknownName(f"printed measure in {path.name}", measure, PRINTED)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
                raise InputError(f"{path}: expected per cent for {measure} of {system}, got {value!r}")
        published[system] = {measure: float(value) for measure, value in values.items()}
    return published


def names() -> tuple[str, ...]:
    """The protocols that come with facewitness."""
    return tuple(sorted(p.stem for p in FOLDER.glob("*.toml")))


PRINTED_FILE = "printed.json"  # in the folder of a protocol's runs: what papers print for its test sets


def folder_of(test: Test) -> str:
    """The folder of a test's run inside the protocol's.

    Args:
        test: One line of the protocol.
    """
    return "".join(c if c.isalnum() or c in "+-." else "-" for c in test.name)


def note(plan: Protocol, out: Path) -> None:
    """Write what papers print beside the runs, for `bench table`.

    Args:
        plan: The protocol.
        out: The folder to write into.
    """
    printed = {folder_of(test): test.published for test in plan.tests if test.published}
    apart = [folder_of(test) for test in plan.tests if test.apart]
    about = {"protocol": plan.name, "paper": plan.paper, "level": plan.level, "tests": printed, "apart": apart}
    write_whole(out / PRINTED_FILE, json.dumps(about, indent=1).encode())


def printed(out: Path) -> dict[str, Any] | None:
    """What `note` wrote into the folder of runs; None where nothing is there.

    Args:
        out: Folder of the runs.

    Returns:
        Protocol, paper, level and tests, by name.

    Raises:
        InputError: For a broken file.
    """
    file = out / PRINTED_FILE
    if not file.exists():
        return None
    try:
        stored = json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=each_once)
        kept = {key: stored[key] for key in ("protocol", "paper", "level", "tests")}
        return kept | {"apart": list(stored.get("apart", []))}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"'{file}': expected what a protocol prints, as bench run wrote it ({error})") from error


def read(name: str | Path) -> Protocol:
    """A protocol by its name, or from a file of yours (a path that ends in .toml).

    Args:
        name: Its name, or the path of a file that ends in .toml.

    Raises:
        UnknownName: For a name, key or dataset that does not exist.
        InputError: For a file that cannot be read.
    """
    path = Path(name) if str(name).endswith(".toml") else FOLDER / f"{name}.toml"
    if path.parent == FOLDER and path.stem not in names():
        raise UnknownName("protocol", str(name), names())
    try:
        raw = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: expected a protocol in TOML ({error})") from error
    tests = raw.pop("test", [])
    if not tests:
        raise InputError(f"{path}: expected at least one [[test]]")
    known = [f.name for f in fields(Protocol) if f.name != "tests"]
    for key in raw:
        if key not in known:
            raise UnknownName(f"key in {path.name}", key, [*known, "test"])
    made = []
    for test in tests:
        for key in test:
            if key not in (allowed := [f.name for f in fields(Test)]):
                raise UnknownName(f"key of a test in {path.name}", key, allowed)
        if test.get("dataset") not in plugins.names("datasets"):
            raise UnknownName(f"dataset in {path.name}", str(test.get("dataset")), plugins.names("datasets"))
        test = {**test, "published": _published(test.get("published", {}), path)}
        try:
            test |= {"source": tuple(test["source"])} if isinstance(test.get("source"), list) else {}
            made.append(Test(**{**test, "method": tuple(test.get("method", ()))}))
        except TypeError as error:
            raise InputError(f"{path}: {error}") from error
    raw.setdefault("name", path.stem)
    raw["perturbations"] = tuple(raw.get("perturbations", ()))
    if raw.get("level", "video") not in LEVELS:
        raise UnknownName(f"level in {path.name}", raw["level"], LEVELS)
    try:
        return Protocol(tests=tuple(made), **raw)
    except TypeError as error:
        raise InputError(f"{path}: {error}") from error
