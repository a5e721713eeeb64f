"""Score files that other benchmarks write, as rows of (file, score, label): DeepfakeBench's and DeepSafe's.

    DeepfakeBench   test/DATASET/metric_dict_best.pickle (pred, label) and data_dict_test.pickle (image) beside it
    DeepSafe        image_path,…,METHOD_prob,…,ground_truth        a column a method
                    image_path,…,ground_truth,method,probability   a row a method

A pickle is a program. These are read by an unpickler that knows numpy's arrays and plain values and nothing else, so
that a file that names any other function is refused before it is called.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from facewitness.errors import InputError
from facewitness.files import read_bounded

MAX_BYTES = 500_000_000
PREDICTIONS, IMAGES = "metric_dict_best.pickle", "data_dict_test.pickle"
_REAL_OR_FAKE = {"0": "real", "1": "fake", "real": "real", "fake": "fake"}


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One row of a foreign file."""

    file: str  # as it stands there: a path of the machine it was written on
    score: str  # as text, as a CSV of ours has it
    label: str  # real or fake
    line: int


def is_deepfakebench(path: Path) -> bool:
    """Whether a file is one of DeepfakeBench's by its name.

    Args:
        path: Of the file.
    """
    return path.suffix in (".pickle", ".pkl")


def is_deepsafe(head: Sequence[str]) -> bool:
    """Whether a CSV is DeepSafe's by its first line.

    Args:
        head: The cells of its first line.
    """
    return "image_path" in head and "ground_truth" in head


def deepfakebench(path: Path) -> list[Row]:
    """The rows of a test of DeepfakeBench, given its predictions; the pictures' names lie in the file beside it.

    Args:
        path: Of the file.

    Raises:
        InputError: a file is missing, holds something else, or names anything but plain values.
    """
    beside = path.with_name(IMAGES)
    metrics, named = _unpickled(path), _unpickled(beside)
    if not isinstance(metrics, dict) or not isinstance(named, dict) or "pred" not in metrics or "image" not in named:
        raise InputError(f"{path}: expected 'pred' in it and 'image' in {beside.name}, as DeepfakeBench writes them")
    scores = np.asarray(metrics["pred"], dtype=np.float64).reshape(-1)
    labels = np.asarray(metrics.get("label", named.get("label"))).reshape(-1)
    images = list(named["image"])
    if not len(scores) == len(labels) == len(images):
        raise InputError(
            f"{path}: {len(scores)} scores, {len(labels)} labels and {len(images)} pictures; expected as many of each"
        )
    if not all(isinstance(image, str) for image in images):
        raise InputError(f"{beside}: expected a path for each score, got lists: scores of whole clips are not read")
    return [
        Row(image, repr(float(score)), "fake" if float(label) > 0 else "real", number)
        for number, (image, score, label) in enumerate(zip(images, scores, labels, strict=True), start=1)
    ]


def deepsafe(path: Path, head: Sequence[str], lines: Iterable[tuple[int, list[str]]], method: str) -> list[Row]:
    """The rows of one method of a CSV of DeepSafe.

    Args:
        path: of the CSV, for messages.
        head: its first line.
        lines: (number, cells) of the others.
        method: whose scores; a file with one method has them whatever it is called.

    Raises:
        InputError: the file holds several methods and none of that name.
    """
    rows = list(lines)
    at = {name: head.index(name) for name in head}
    if {"method", "probability"} <= at.keys():
        methods = list(dict.fromkeys(cells[at["method"]] for _, cells in rows))
        chosen = _chosen(method, methods, path)
        rows = [(line, cells) for line, cells in rows if cells[at["method"]] == chosen]
        column = at["probability"]
    else:
        columns = {name.removesuffix("_prob"): at[name] for name in head if name.endswith("_prob")}
        column = columns[_chosen(method, list(columns), path)]
    made = []
    for line, cells in rows:
        label = _REAL_OR_FAKE.get(cells[at["ground_truth"]].strip().lower())
        if label is None:
            raise InputError(f"{path}, line {line}: expected 0, 1, real or fake, got {cells[at['ground_truth']]!r}")
        made.append(Row(cells[at["image_path"]], cells[column].strip(), label, line))
    return made


def matched(files: Sequence[str], items: Sequence[str]) -> list[str]:
    """Each foreign path as the item it means: the one whose path it ends with, or that ends with it.

    A path that fits none, or several, comes back as it is. Slashes of either kind, and what stood before on the machine
    that wrote it, make no difference.

    Args:
        files: Paths as the other benchmark wrote them.
        items: Paths of ours.
    """
    parts = {item: PurePosixPath(item).parts for item in dict.fromkeys(items)}
    by_name: dict[str, list[str]] = {}
    for item, path in parts.items():
        by_name.setdefault(path[-1] if path else "", []).append(item)
    matches = []
    for file in files:
        own = tuple(part for part in PurePosixPath(file.replace("\\", "/")).parts if part != ".")
        fits = [item for item in by_name.get(own[-1] if own else "", []) if _ends_alike(own, parts[item])]
        matches.append(fits[0] if len(fits) == 1 else file)
    return matches


def _ends_alike(one: Sequence[str], other: Sequence[str]) -> bool:
    shared = min(len(one), len(other))
    return shared > 0 and tuple(one[-shared:]) == tuple(other[-shared:])


def _chosen(method: str, methods: Sequence[str], path: Path) -> str:
    if method in methods:
        return method
    if len(methods) == 1:
        return methods[0]
    listed = ", ".join(methods) or "none"
    raise InputError(f"{path}: no method is called {method!r}; it has {listed}. Give --scores METHOD={path.name}")


# ------------------------------------------------------------------------------------------------------------- pickles

_PLAIN = {
    (module, name)
    for module in ("numpy.core.multiarray", "numpy._core.multiarray")
    for name in ("_reconstruct", "scalar")
} | {("numpy", "ndarray"), ("numpy", "dtype")}
_KINDS = frozenset("biufUS")  # of arrays: numbers and texts, no objects


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PLAIN:
            raise pickle.UnpicklingError(f"it names {module}.{name}, and nothing but numbers and texts is read")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _unpickled(path: Path) -> Any:
    try:
        value = _Unpickler(io.BytesIO(read_bounded(path, MAX_BYTES))).load()
    except OSError as error:
        raise InputError(f"{path}: expected a file that DeepfakeBench's test wrote ({error.strerror})") from error
    except InputError:
        raise
    except Exception as error:  # a pickle can make its machine raise anything
        why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(f"{path}: cannot be read as DeepfakeBench's scores: {why}") from error
    if isinstance(value, dict):
        for key, part in value.items():
            if isinstance(part, np.ndarray) and part.dtype.kind not in _KINDS:
                raise InputError(f"{path}: {key!r} holds objects; expected numbers or texts")
    return value
