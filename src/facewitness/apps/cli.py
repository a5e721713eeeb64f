"""The command `facewitness`: its grammar, to which each file of `apps/` adds its commands, and what all end with.

What goes where: standard output holds the answers (with --json, one report a line and nothing else), standard error
the problems and the progress bar. Heavy packages are imported by the commands that need them, so that --help is quick.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import hashlib
import importlib
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from facewitness.apps import analyze
from facewitness.apps._words import (
    ALL,
    INTERRUPTED,
    NONE,
    TERMINATED,
    WRONG_USAGE,
    complain,
    nobody_reads,
    ready,
    shown,
    status_of,
)
from facewitness.errors import FacewitnessError, UnknownName
from facewitness.files import at_home, unable

_ABOUT = """Where and why a face was forged: a verdict you can check.

examples:
  facewitness analyze photo.jpg                        a summary on the terminal
  facewitness analyze photo.jpg --format html          a report to look at: one file, works offline
  facewitness analyze photos/ --lines reports.jsonl    a folder, one JSON report a line
  facewitness ask photo.jpg "Is the nose fake?"        one question; facewitness chat photo.jpg for several
  facewitness list                                     finders, witnesses, formats: what there is"""

_ABOUT_FETCH = """Fetch MediaPipe's face models into the cache, as the first analysis would, and compare their hashes.
For images, and for machines that have no connection later: then nothing more is fetched.

example:
  facewitness fetch"""

_ABOUT_LIST = """Show what there is: each family (finders, witnesses, formats, datasets …) and its leaves, yours too.

example:
  facewitness list"""

_ABOUT_REGIONS = """Draw the tree of facial regions, with the names that questions and reports use.

examples:
  facewitness regions
  facewitness regions --dialect celebamask"""


class _Terminated(KeyboardInterrupt):
    """SIGTERM, as schedulers and containers send it before they kill: what Ctrl-C keeps is kept."""


def _hear_sigterm() -> Any:
    """Turn SIGTERM into an interruption; returns what was there before, None where nothing was changed."""

    def stop(*_: object) -> NoReturn:
        raise _Terminated

    with contextlib.suppress(ValueError):  # not in the main thread: somebody else's business
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            return signal.signal(signal.SIGTERM, stop)
    return None


def main(words: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status. `words` are its arguments, those of the process by default."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter is no reason to stop
    before = _hear_sigterm()
    given = list(sys.argv[1:] if words is None else words)
    try:
        grammar = parser()
        if not given:
            grammar.print_help()
            return ALL
        given = _guessed([_at_home(word) for word in given], grammar.commands)
        arguments = grammar.parse_args(given)
        ready(arguments)
        status: int = arguments.run(arguments)
        if sys.stdout is not None:  # closed by whoever started us
            sys.stdout.flush()
        return status
    except FacewitnessError as error:
        complain(f"facewitness: {error}")
        return status_of(error)
    except KeyboardInterrupt as error:
        with contextlib.suppress(OSError):  # our own words: `complain` imports what may have been interrupted half-way
            print(f"facewitness: interrupted.{_goes_on(given)}", file=sys.stderr, flush=True)
        return TERMINATED if isinstance(error, _Terminated) else INTERRUPTED
    except BrokenPipeError:  # whoever read our output has gone, as `head` does
        return nobody_reads()
    except OSError as error:  # a full disk behind standard output, or a path that cannot be written
        complain(f"facewitness: {unable(error)}")
        return NONE
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _goes_on(words: list[str]) -> str:
    """How a command that was interrupted can go on, as a sentence with a space before it; empty where it cannot."""
    if words[:2] == ["bench", "run"]:
        return " What was written is whole; the same command goes on from there."
    options = {word.partition("=")[0] for word in words}
    if words[:1] == ["analyze"]:
        if options & {"--out", "--format", "--lines"}:
            return " What was written is whole; --resume goes on from there."
        if "--json" in options:
            return " The lines printed so far are whole. With --lines FILE in place of --json a run can be resumed."
    return ""


# ------------------------------------------------------------------------------------------------------ the words


def _at_home(word: str) -> str:
    """An option's value that begins at one's home, `--out=~/reports`, which shells leave as it is behind a sign."""
    option, sign, value = word.rpartition("=")
    return f"{option}={at_home(value)}" if sign and value.startswith("~/") and " " not in option else word


def _guessed(words: list[str], commands: Iterable[str]) -> list[str]:
    """`facewitness photo.jpg` means analyze; options before a command belong to it. The command is put first."""
    if {"-h", "--help", "--version"} & set(words) or any(word in commands for word in words[:1]):
        return words
    if words[0].startswith("--") and (command := next((word for word in words if word in commands), None)):
        at = words.index(command)
        return [command, *words[:at], *words[at + 1 :]]
    named = next((word for word in words if not word.startswith("-")), "")
    with contextlib.suppress(OSError, ValueError):
        if words[0] == "-" or ((words[0] == named or words[0].startswith("-")) and os.path.lexists(named)):
            return ["analyze", *words]
    return words


class _Parser(argparse.ArgumentParser):
    """Says which word was nearest when it does not know one."""

    commands: Mapping[str, Any]  # of the whole command line's parser

    def __init__(self, **settings: Any):
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        parsed, unknown = super().parse_known_args(args, namespace)
        unknown = self._behind_options(parsed, unknown)
        if unknown:  # here, not at the top, where the options of the sub-command are not known
            word = next((word for word in unknown if word.startswith("-")), unknown[0])
            self.error(f"unknown argument {word}.{_near(word, self._option_string_actions)}")
        return parsed, unknown

    def _behind_options(self, parsed: argparse.Namespace, unknown: list[str]) -> list[str]:
        """Take words behind an option for the argument that may have any number; argparse ends it at the first option.

        Returns:
            What nobody takes.
        """
        many = [action for action in self._actions if not action.option_strings and action.nargs in ("?", "*", "+")]
        if len(many) != 1 or not unknown or any(word.startswith("-") and word != "-" for word in unknown):
            return unknown
        (action,) = many
        before = getattr(parsed, action.dest, None)
        if action.nargs == "?" and (before != action.default or len(unknown) > 1):
            return unknown
        try:
            values = [self._get_value(action, word) for word in unknown]
        except argparse.ArgumentError as error:
            self.error(str(error))
        setattr(parsed, action.dest, values[0] if action.nargs == "?" else [*(before or ()), *values])
        return []

    def format_help(self) -> str:
        """With what each witness was measured to know, where one can be chosen."""
        text = super().format_help()
        if "--witness" not in self._option_string_actions:
            return text
        import textwrap

        from facewitness import plugins

        worth = filter(None, (plugins.measured("witnesses", name) for name in plugins.names("witnesses")))
        lines = [textwrap.fill(words, 100, initial_indent="  ", subsequent_indent="  ") for words in worth]
        return "\n".join((text, "what witnesses were measured to know:", *lines, ""))

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the words, as a terminal may have it, and where to read on."""
        self.exit(WRONG_USAGE, f"{self.prog}: error: {shown(message)}\nTry: {self.prog} --help\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = ", ".join(map(str, action.choices))
            raise argparse.ArgumentError(
                action, f"unknown {value!r}.{_near(str(value), action.choices)} Known: {known}."
            )


def _near(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word.split("=")[0], list(known), n=1)
    return f" Did you mean {near[0]}?" if near else ""


def parser() -> _Parser:
    """The grammar of the command line."""
    top = _Parser(prog="facewitness", description=_ABOUT, epilog="Each command has its own --help.")
    top.add_argument("--version", action=_Version, help="print versions and the hashes of weights")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)

    analyze.add_to(commands)

    fetch = commands.add_parser("fetch", help="fetch the models that are not in the package", description=_ABOUT_FETCH)
    fetch.set_defaults(run=_fetch)

    listing = commands.add_parser("list", help="show every family and its leaves", description=_ABOUT_LIST)
    listing.set_defaults(run=_list)

    regions = commands.add_parser("regions", help="draw the tree of facial regions", description=_ABOUT_REGIONS)
    regions.set_defaults(run=_regions)
    regions.add_argument(
        "--dialect",
        type=_dialect,
        metavar="NAME",
        help="the names of mare, forgerytalker, mmtt, celebamask or ddvqa instead",
    )
    for workshop in _WORKSHOPS:  # each adds its commands; by name, for a plain install lacks what the benchmark imports
        importlib.import_module(workshop).add_to(commands)
    top.commands = commands.choices
    return top


_WORKSHOPS = tuple(
    f"facewitness.apps.{name}"
    for name in ("talk", "serve", "evidence", "batch", "measure", "datasets", "build", "review", "train", "importing")
)


def _dialect(name: str) -> str:
    from facewitness import regions

    if name not in regions.DIALECTS:
        raise argparse.ArgumentTypeError(str(UnknownName("dialect of regions", name, regions.DIALECTS)))
    return name


# ------------------------------------------------------------------------------------------------ list, regions


def _fetch(arguments: argparse.Namespace) -> int:
    from facewitness import weights

    for name in sorted(weights.SOURCES):
        file = weights.find(name)
        print(shown(f"{file.path}  sha256 {file.sha256}"))
    return ALL


def _list(arguments: argparse.Namespace) -> int:
    from facewitness import plugins

    for family, (function, what) in plugins.FAMILIES.items():
        print(f"{family}: {what}, by {function}()")
        lacking: dict[str, list[str]] = {}
        names = [name for name in plugins.names(family) if not _lacks(family, name, lacking)]
        for name in names:
            # first the name: a stranger's leaf may hang when it is imported
            print(shown(f"  {name:<{max(map(len, names))}}"), end="  ", flush=True)
            print(shown(plugins.about(family, name)))
            if worth := plugins.measured(family, name):
                print(shown(f"  {'':<{max(map(len, names))}}  {worth}"))
        for extra, absent in lacking.items():
            print(shown(f"  not installed (pip install '{extra}'): {', '.join(absent)}"))
    return ALL


def _lacks(family: str, name: str, lacking: dict[str, list[str]]) -> bool:
    """Whether packages are missing for a leaf; then it is put down under what brings them."""
    from facewitness import plugins

    extra = plugins.missing(family, name)
    if extra:
        lacking.setdefault(extra, []).append(name)
    return bool(extra)


def _regions(arguments: argparse.Namespace) -> int:
    from facewitness import regions

    if arguments.dialect is None:
        print(regions.draw_tree())
        print("\nIn brackets: MARE's name for it, where that is another. Left and right are the subject's.")
        return ALL
    names = regions.DIALECTS[arguments.dialect]
    for number, (name, places) in enumerate(names.items()):
        where = ", ".join(map(regions.title, places)) or "(no place on the face)"
        print(f"{number:>2}  {name:<{max(map(len, names))}}  {where}")
    return ALL


class _Version(argparse.Action):
    """Prints versions and weight hashes, and ends."""

    def __init__(self, option_strings: Sequence[str], dest: str, **settings: Any):
        super().__init__(option_strings, dest, nargs=0, **settings)

    def __call__(self, *_: Any) -> NoReturn:
        print("\n".join(_versions()))
        sys.exit(ALL)


def _versions() -> Iterator[str]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from facewitness import __version__, weights

    yield f"facewitness {__version__}"
    yield f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    for package in ("numpy", "pillow", "onnxruntime", "ai-edge-litert"):
        with contextlib.suppress(PackageNotFoundError):
            yield f"{package} {version(package)}"
    for path in sorted((Path(__file__).parents[1] / "weights").glob("*.onnx")):
        yield f"{path.name} sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}"
    for name, source in sorted(weights.SOURCES.items()):
        yield f"{name} sha256 {source.sha256}"


if __name__ == "__main__":
    sys.exit(main())
