"""What the commands of `facewitness` share: exit statuses, and how their options are read.

Every reader raises `argparse.ArgumentTypeError` with what was expected; nothing heavy is imported until it is needed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from facewitness.errors import BackendError, FacewitnessError, InputError, TooLarge, UnknownName, UnreadableMedia, ended
from facewitness.files import A_FOLDER, absence, is_there, writable

ANALYSING = ("compact", "provenance")  # as `pipeline.WITNESSES`, which is not loaded for --help
MEASURED = ("compact",)  # what a file says of itself is no score
ALL, NONE, WRONG_USAGE, SOME, VERDICT = 0, 1, 2, 3, 4  # exit statuses
RECIPE = "a TOML file of settings"  # of training
INTERRUPTED, NO_READER, TERMINATED = 130, 141, 143


class NotAnalysed(FacewitnessError):
    """The one file that a command is about could not be analysed."""


def status_of(error: FacewitnessError) -> int:
    """The exit status for an error that ends a command: 1 where a file is at fault, 2 where the command is."""
    return NONE if isinstance(error, NotAnalysed | UnreadableMedia | TooLarge | BackendError) else WRONG_USAGE


def problem_of(source: str, message: str) -> str:
    """A problem with the file it is about, named once."""
    return f"facewitness: {message}" if source and f"'{source}'" in message else f"facewitness: {source}: {message}"


def shown(text: object) -> str:
    """A text as a terminal may have it: `phrases.visible`, which brings numpy, for which --help need not wait."""
    from facewitness.phrases import visible

    return visible(str(text))


_ENDS = 100  # characters that are shown of each end of a word
_LONG = re.compile(r"\S{1000,}")  # a name or a value that nobody reads to its end; a path has 4,095 at most


def brief(text: str) -> str:
    """A message in which the middle of a very long word is left out."""
    return _LONG.sub(lambda m: f"{m[0][:_ENDS]}…{m[0][-_ENDS:]}", text)


def nobody_reads() -> int:
    """The exit status where whoever read our output has gone; from here on standard output leads nowhere."""
    with contextlib.suppress(OSError, ValueError):  # nor must flushing at the end fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return NO_READER


def complain(text: object) -> None:
    """A line on standard error, as a terminal may have it."""
    with contextlib.suppress(OSError):  # nobody listens on standard error: nothing more can be said
        text = brief(str(text))
        print(shown(ended(text) if text.startswith("facewitness") else text), file=sys.stderr, flush=True)


def reads(parser: argparse.ArgumentParser, *words: str, what: str, **options: Any) -> None:
    """An argument that names what a command reads, which `look` then looks for before anything heavy is imported.

    Args:
        parser: of a command.
        *words: the argument's names.
        what: what is expected there, such as "weights".
        **options: of `add_argument`.
    """
    action = parser.add_argument(*words, type=Path, **options)
    before = parser.get_default("reads") or ()
    parser.set_defaults(reads=(*before, (action.dest, what)))


def writes(parser: Any, *words: str, folder: bool = False, **options: Any) -> None:
    """An argument that names what a command writes; `ready` sees that it can be, before hours of work are done for it.

    Args:
        parser: of a command.
        *words: the argument's names.
        folder: whether it is a folder.
        **options: of `add_argument`.
    """
    action = parser.add_argument(*words, type=Path, **options)
    before = parser.get_default("writes") or ()
    parser.set_defaults(writes=(*before, (action.dest, "folder" if folder else "file")))


def look(given: argparse.Namespace) -> None:
    """See that what a command reads is there, and that its folder can be one.

    Args:
        given: the command's arguments, as `reads` declared them.

    Raises:
        InputError: Something is not there, is no recipe, or `--out` is a file.
    """
    declared = getattr(given, "reads", ())
    for name, what in declared:
        value = getattr(given, name)
        for path in value if isinstance(value, list | tuple) else [] if value is None else [value]:
            if what == RECIPE:
                from facewitness.train.recipe import parsed

                parsed(path)
            elif not is_there(path) and absence(path) != A_FOLDER:  # that is the command's to judge
                raise InputError(f"'{path}': expected {what}, which {absence(path)}. Check the path.")
    out = getattr(given, "out", None)
    if declared and isinstance(out, Path) and out.exists() and not out.is_dir():
        raise InputError(f"--out: expected a folder, got the file '{out}'. Name another one.")


def ready(given: argparse.Namespace) -> None:
    """See that what a command is to write can be written.

    Args:
        given: the command's arguments, as `writes` declared them.

    Raises:
        InputError: Something cannot, or it is a file that the command reads.
    """
    for name, kind in getattr(given, "writes", ()):
        if (path := getattr(given, name)) is not None:
            writable(path, kind)
            if is_there(path) and any(path.samefile(each) for each in _named(given, name)):
                raise InputError(f"'{path}': expected another file to write to than those that are read. Name one.")


def _named(given: argparse.Namespace, without: str) -> Iterator[Path]:
    """The files among a command's arguments, all but those of one."""
    for name, value in vars(given).items():
        for each in value if isinstance(value, list | tuple) else [value]:
            if name != without and isinstance(each, str | Path) and is_there(Path(each)):
                yield Path(each)


_ITS_OWN = "the report's own"


def add_system(parser: Any, asked: tuple[str, ...], judged: bool = True) -> None:
    """The options that say who finds faces, who testifies, and by which thresholds it is judged.

    Args:
        parser: of a command.
        asked: the witnesses where none is named.
        judged: whether the command judges by thresholds that another may take the place of.
    """
    parser.set_defaults(asked=asked, profile=None)
    parser.add_argument(
        "--finder",
        type=leaf("finders"),
        default="facemesh",
        metavar="NAME",
        help=f"what finds the faces ({'facemesh' if asked else _ITS_OWN})",
    )
    parser.add_argument(
        "--witness",
        type=leaf("witnesses"),
        action="append",
        metavar="NAME",
        help=f"who testifies ({' and '.join(asked) or _ITS_OWN}); give it again for several",
    )
    parser.add_argument(
        "--option",
        type=option,
        action="append",
        default=[],
        metavar="PART.KEY=VALUE",
        help="an option of a finder or witness, such as facemesh.max_faces=10",
    )
    if judged:
        parser.add_argument(
            "--profile", type=Path, metavar="FILE", help="judge by thresholds made with facewitness calibrate"
        )


def system(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `add_system` read, as keyword arguments of `Analyzer`."""
    parts: dict[str, dict[str, Any]] = {}
    for part, key, value in arguments.option:
        parts.setdefault(part, {})[key] = value
    witnesses = tuple(dict.fromkeys(arguments.witness or arguments.asked))
    return {
        "finder": arguments.finder, "witnesses": witnesses, "options": parts, "profile": arguments.profile,
    }  # fmt: skip


def add_sampling(parser: Any) -> None:
    """The options that say which frames of a film are judged."""
    films = parser.add_argument_group("films (the extra video): which frames are judged")
    which = films.add_mutually_exclusive_group()
    which.add_argument("--frames", type=positive, metavar="N", help="so many, spread evenly over time (32)")
    which.add_argument("--fps", type=rate, metavar="R", help="so many a second")
    which.add_argument("--scenes", action="store_true", help="one of each scene")
    which.add_argument("--all", action="store_true", help="every frame")
    films.add_argument(
        "--from", type=moment, dest="start", metavar="TIME", help="nothing before it: 12.5, 1:30, 1:02:03"
    )
    films.add_argument("--to", type=moment, dest="end", metavar="TIME", help="nothing after it")
    films.add_argument(
        "--film", action="store_true", help="read an animated GIF or WebP, and a motion photo's film, as a film"
    )


def sampling(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `add_sampling` read, as keyword arguments of `media.read`; none where nothing was asked for."""
    requested = {
        "frames": arguments.frames, "fps": arguments.fps, "scenes": arguments.scenes or None,
        "every": arguments.all or None, "start": arguments.start, "end": arguments.end,
    }  # fmt: skip
    given = {name: value for name, value in requested.items() if value is not None}
    if arguments.start is not None and arguments.end is not None and arguments.end <= arguments.start:
        raise InputError(
            f"--from, --to: expected a moment and a later one, got {arguments.start:g} and {arguments.end:g} seconds"
        )
    return ({"sampling": given} if given else {}) | ({"as_film": True} if arguments.film else {})


def rate(text: str) -> float:
    """Reads frames a second."""
    return _above_0(text, lambda value: value <= 1000, "more than 0 and at most 1000 frames a second")


def _above_0(text: str, fits: Callable[[float], bool], expected: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (value > 0 and fits(value)):
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text[:40]!r}")
    return value


def moment(text: str) -> float:
    """Reads a moment of a film, in seconds: 12.5, 1:30 or 1:02:03."""
    seconds, parts = 0.0, text.split(":")
    try:
        values = [float(part) for part in parts]
    except ValueError:
        values = [-1.0]
    within = [float("inf"), 60.0, 60.0]  # 1:75 is a slip
    if len(parts) > 3 or not all(0 <= value < most for value, most in zip(values, within, strict=False)):
        raise argparse.ArgumentTypeError(f"expected a moment such as 12.5, 1:30 or 1:02:03, got {text!r}")
    for value in values:
        seconds = 60 * seconds + value
    return seconds


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
    if not text.isdecimal() or len(text) > 15 or int(text) < 1:  # longer ones overflow what they are multiplied with
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text[:40]!r}")
    return int(text)


def count(text: str) -> int:
    """Reads a whole number of at least 0."""
    if not text.isdecimal() or len(text) > 15:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text[:40]!r}")
    return int(text)


def seed(text: str) -> int:
    """Reads what random numbers may begin with: a whole number of 32 bits, as NumPy takes it."""
    if not text.isdecimal() or len(text) > 15 or int(text) >= 1 << 32:
        raise argparse.ArgumentTypeError(f"expected a seed from 0 to 4,294,967,295, got {text[:40]!r}")
    return int(text)


def size(text: str) -> float:
    """Reads a number above 0."""
    return _above_0(text, lambda value: value < 1e9, "a number above 0 and below 1,000,000,000")


def share(text: str) -> float:
    """Reads a share between none and all."""
    return _above_0(text, lambda value: value < 1, "a share between 0 and 1")


def option(text: str) -> tuple[str, str, Any]:
    """`compact.flip=false` → ("compact", "flip", False); a value that is not JSON is a string."""
    key, equals, value = text.partition("=")
    part, dot, option = key.partition(".")
    if not (equals and dot and part and option):
        raise argparse.ArgumentTypeError(f"expected PART.KEY=VALUE, such as facemesh.max_faces=10, got {text!r}")
    try:
        return part, option, json.loads(value)
    except ValueError:
        return part, option, value
    except RecursionError:
        raise argparse.ArgumentTypeError(f"expected a value for {key}, got lists in lists without an end") from None
