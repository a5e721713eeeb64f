"""What the commands of `facewitness` share: exit statuses, and how their options are read.

Every reader raises `argparse.ArgumentTypeError` with what was expected; nothing heavy is imported until it is needed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from facewitness.errors import UnknownName

ALL, NONE, WRONG_USAGE, SOME, INTERRUPTED, NO_READER = 0, 1, 2, 3, 130, 141  # exit statuses


def add_system(parser: Any) -> None:
    """The options that say who finds faces, who testifies, and by which thresholds it is judged."""
    parser.add_argument(
        "--finder", type=leaf("finders"), default="facemesh", metavar="NAME", help="what finds the faces (facemesh)"
    )
    parser.add_argument(
        "--witness",
        type=leaf("witnesses"),
        action="append",
        metavar="NAME",
        help="who testifies (compact); give it again for several",
    )
    parser.add_argument(
        "--option",
        type=option,
        action="append",
        default=[],
        metavar="PART.KEY=VALUE",
        help="an option of a finder or witness, such as facemesh.most=10",
    )
    parser.add_argument(
        "--profile", type=Path, metavar="FILE", help="judge by thresholds made with facewitness calibrate"
    )


def system(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `add_system` read, as keyword arguments of `Analyzer`."""
    parts: dict[str, dict[str, Any]] = {}
    for part, key, value in arguments.option:
        parts.setdefault(part, {})[key] = value
    witnesses = tuple(dict.fromkeys(arguments.witness or ("compact",)))
    return {
        "finder": arguments.finder, "witnesses": witnesses, "options": parts, "profile": arguments.profile,
    }  # fmt: skip


def leaf(family: str) -> Callable[[str], str]:
    """Reads the name of a leaf of a family."""

    def read(name: str) -> str:
        from facewitness import plugins

        if name not in plugins.names(family):
            raise argparse.ArgumentTypeError(str(UnknownName(f"name in {family}", name, plugins.names(family))))
        return name

    return read


def positive(text: str) -> int:
    """Reads a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def option(text: str) -> tuple[str, str, Any]:
    """`compact.flip=false` → ("compact", "flip", False); a value that is not JSON is a string."""
    key, equals, value = text.partition("=")
    part, dot, option = key.partition(".")
    if not (equals and dot and part and option):
        raise argparse.ArgumentTypeError(f"expected PART.KEY=VALUE, such as facemesh.most=10, got {text!r}")
    try:
        return part, option, json.loads(value)
    except ValueError:
        return part, option, value
