"""The command `facewitness`: analyse pictures, list the parts, draw the tree of regions; workshops add theirs.

What goes where: standard output holds the answers (with --json, one report a line and nothing else), standard error
the problems and the progress bar. Heavy packages are imported by the commands that need them, so that --help is quick.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import datetime
import difflib
import hashlib
import importlib
import inspect
import json
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from facewitness import kinds
from facewitness.apps._words import (
    ALL,
    ANALYSING,
    INTERRUPTED,
    NONE,
    SOME,
    TERMINATED,
    VERDICT,
    WRONG_USAGE,
    add_sampling,
    add_system,
    brief,
    complain,
    leaf,
    nobody_reads,
    positive,
    problem_of,
    ready,
    sampling,
    shown,
    size,
    status_of,
    system,
    writes,
)
from facewitness.errors import FacewitnessError, InputError, ReportError, UnknownName
from facewitness.files import write_whole

if TYPE_CHECKING:
    from facewitness.apps.summary import Rows
    from facewitness.types import Analysis, Case, Report, Testimony

_MOST_REPORT = 200_000_000  # bytes of one report
_SECONDS = 20  # for one picture of several, where the default witness looks at it
_BAR_FROM = 5  # a progress bar is drawn for at least so many pictures

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

_ABOUT_ANALYZE = """Analyse pictures. Each face gets a verdict (real, fake, inconclusive) with a calibrated probability,
the places that give it away, and the reasons.

examples:
  facewitness analyze photo.jpg
  facewitness analyze photo.jpg --format html,overlay --out reports
  facewitness analyze photos/ 'more/*.jpg' --out reports --jobs 2 --resume
  facewitness analyze photos/ --lines reports.jsonl --resume    a run that was broken off goes on
  facewitness analyze photos/ --quiet --fail-on fake || echo "look at these"
  cat photo.jpg | facewitness analyze - --json
  facewitness analyze crop.png --finder whole --option compact.flip=false"""

_EXIT = """exit status:
  0  all pictures were analysed, whatever the verdicts
  1  none could be
  2  the command was wrong: an option, a profile, a part that is not installed
  3  some could not be
  4  all were, or some, and one has a verdict that --fail-on names"""


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
        given = _guessed(given, grammar.commands)
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
        where = f" '{error.filename}'" if error.filename else ""
        complain(f"facewitness: expected to read or write{where}, and could not ({error.strerror or error}).")
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


def _guessed(words: list[str], commands: Iterable[str]) -> list[str]:
    """`facewitness photo.jpg` means analyze: the command is put before words that name a file and no command."""
    if {"-h", "--help", "--version"} & set(words) or any(word in commands for word in words[:1]):
        return words
    with contextlib.suppress(OSError, ValueError):
        named = next((word for word in words if not word.startswith("-")), "")
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
        if unknown:  # here, not at the top, where the options of the sub-command are not known
            self.error(f"unknown argument {unknown[0]}.{_near(unknown[0], self._option_string_actions)}")
        return parsed, unknown

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

    analyze = commands.add_parser("analyze", help="analyse pictures", description=_ABOUT_ANALYZE, epilog=_EXIT)
    analyze.set_defaults(run=_analyze, parser=analyze)
    analyze.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a file, a folder, a glob, a list (CSV with a column file), or - for input",
    )
    answers = analyze.add_argument_group("answers")
    answers.add_argument("--json", action="store_true", help="print one JSON report a line, and nothing else")
    writes(answers, "--lines", metavar="FILE", help="write one JSON report a line into this file")
    answers.add_argument("--slim", action="store_true", help="leave the masks out of JSON: a tenth as long")
    answers.add_argument("--no-date", action="store_true", help="no date of the analysis in HTML and Markdown files")
    answers.add_argument("--quiet", action="store_true", help="print no summary and no bar; problems still show")
    answers.add_argument(
        "--format",
        type=_formats,
        action="extend",
        metavar="NAME,…",
        help="write files: html, json, markdown, overlay, figure, pdf, bundle, film (json where --out)",
    )
    writes(
        answers, "--out", folder=True, metavar="DIR", help="folder for these files, made if need be (the current one)"
    )
    answers.add_argument(
        "--resume",
        action="store_true",
        help="skip pictures whose reports are in --out or --lines already, from the same bytes, version, options and "
        "weights",
    )
    answers.add_argument(
        "--fail-on",
        type=_labels,
        metavar="VERDICT,…",
        help="end with status 4 where a picture, or a face on it, is fake, inconclusive or real",
    )
    answers.add_argument(
        "--case",
        type=Path,
        metavar="FILE",
        help="a case file (facewitness case prints one to fill in), for one picture",
    )
    work = analyze.add_argument_group("work")
    work.add_argument("--jobs", type=positive, default=1, metavar="N", help="processes that share the work (1)")
    add_system(work, ANALYSING)
    add_sampling(analyze)
    limits = analyze.add_argument_group("limits, beyond which a file is refused before it is decoded")
    limits.add_argument("--max-megabytes", type=size, metavar="N", help="of a file (200; of a film 20,000)")
    limits.add_argument("--max-megapixels", type=size, metavar="N", help="of a picture (200)")
    limits.add_argument("--max-memory", type=size, metavar="N", help="megabytes while a picture is read (2,000)")
    limits.add_argument(
        "--max-seconds",
        type=size,
        metavar="N",
        help=f"for one of several files ({_SECONDS} for a picture and the witness compact; else no limit)",
    )

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


def _formats(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(leaf("formats")(name.strip()) for name in text.split(",")))


def _labels(text: str) -> frozenset[str]:
    labels = ("fake", "inconclusive", "real")
    chosen = frozenset(name.strip() for name in text.split(","))
    for name in sorted(chosen):
        if name not in labels:
            raise argparse.ArgumentTypeError(str(UnknownName("verdict", name, labels)))
    return chosen


def _dialect(name: str) -> str:
    from facewitness import regions

    if name not in regions.DIALECTS:
        raise argparse.ArgumentTypeError(str(UnknownName("dialect of regions", name, regions.DIALECTS)))
    return name


# --------------------------------------------------------------------------------------------------------- analyze


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one picture, small enough to travel between processes."""

    report: Report
    written: tuple[Path, ...] = ()
    thumb: str | None = None  # its file below --out, for the table of many pictures


@dataclass(frozen=True, slots=True)
class _Finish:
    """Renders a report and writes its files. Runs in the process that analysed the picture."""

    formats: tuple[str, ...]
    out: Path
    slim: bool = False
    date: str | None = None  # of the analysis, for pages that are read by people
    case: Case | None = None  # what an examiner adds
    thumbs: bool = False

    def __call__(self, analysis: Analysis) -> _Outcome:
        from facewitness import case as cases
        from facewitness import plugins
        from facewitness.pipeline import rendered
        from facewitness.types import Problem

        report, written, thumb = analysis.report, [], None
        if self.case is not None:
            report = cases.attached(self.case, report)
        if self.thumbs and analysis.clip is not None:  # before the reports: they say that a picture is done
            from facewitness.apps.summary import THUMBS, thumbnail

            thumb = f"{THUMBS}/{_file_name(report, 'jpg')}"
            write_whole(self.out / thumb, thumbnail(analysis.clip))
        # A failed report is told, not written: a file in --out means that its picture was analysed.
        for name in self.formats if report.status != "failed" else ():
            try:
                leaf = plugins.get("formats", name)
                content = rendered(name, report, analysis.clip, **self._settings(leaf.render))
                written.append(write_whole(self.out / _file_name(report, leaf.extension), content))
            except (FacewitnessError, OSError) as error:
                problem = Problem("render", f"The format {name} could not be written. {error}")
                report = replace(report, problems=(*report.problems, problem))
        return _Outcome(report, tuple(written), thumb)

    def _settings(self, render: Callable[..., bytes]) -> dict[str, Any]:
        """What was asked for and a format takes: not every format has masks to leave out, or a place for a date."""
        taken = inspect.signature(render).parameters
        return {name: value for name, value in (("slim", self.slim), ("date", self.date)) if value and name in taken}


def _file_name(report: Report, extension: str) -> str:
    """A name for a report's file: the picture's, and a hash of all that decides what the report says."""
    return f"{_stem(report.source)}-{_key(report.source, report.sha256, report.made_by)}.{extension}"


def _stem(source: str) -> str:
    stem = "stdin" if source == "-" else Path(source).stem
    plain = "".join(c if c.isprintable() and c not in '\\/:*?"<>|' else "_" for c in stem)
    return plain.encode("utf-8", "replace")[:120].decode("utf-8", "ignore") or "picture"


def _key(source: str, sha256: str | None, made_by: Mapping[str, Any]) -> str:
    decides = json.dumps([source, sha256, made_by], sort_keys=True, default=str)
    return hashlib.sha256(decides.encode()).hexdigest()[:12]


def _analyze(arguments: argparse.Namespace) -> int:
    from facewitness import files, media
    from facewitness.pipeline import Analyzer
    from facewitness.pool import analyze_many

    formats = tuple(dict.fromkeys(arguments.format or (("json",) if arguments.out else ())))
    if arguments.resume and not formats and arguments.lines is None:
        arguments.parser.error(
            "--resume needs --out, --format or --lines: it skips pictures whose reports are there already"
        )
    if arguments.lines is not None and arguments.json:
        arguments.parser.error("--json prints the lines that --lines writes into a file: give one of them")
    options = _options(arguments)
    date = None if arguments.no_date else datetime.datetime.now().astimezone().isoformat(" ", "seconds")
    sources, left_out = _sources(arguments)
    case = None
    if arguments.case is not None:
        from facewitness import case as cases

        case = cases.read(arguments.case)
        if len(sources) != 1:
            raise InputError(f"--case: expected one picture, for a case file describes one exhibit, got {len(sources)}")
        if arguments.resume:
            arguments.parser.error("--resume does not look into a case file: leave it out where there is a --case")
    several = arguments.out is not None and len(sources) > 1 and any(map(_is_many, arguments.paths))
    finish = _Finish(formats, arguments.out or Path(), arguments.slim, date, case, several)
    names = ["-" if isinstance(source, bytes) else source for source in sources]
    count, skipped = len(sources), 0
    limited = count > 1 and (arguments.max_seconds or set(options["witnesses"]) <= set(ANALYSING))
    analyzer = Analyzer(**options) if arguments.resume or (arguments.jobs == 1 and not limited) else None
    with contextlib.ExitStack() as closing:
        write, done = _writer(arguments, analyzer, closing)
        rows = None
        if several:
            from facewitness.apps.summary import Rows

            arguments.out.mkdir(parents=True, exist_ok=True)
            closing.enter_context(files.held(arguments.out / ".lock"))  # of two tables one would be lost
            rows = Rows(arguments.out, arguments.resume)
            if lost := rows.dropped - set(names):
                complain(
                    f"{arguments.out / 'summary.csv'} and the pages beside it are written anew, without {len(lost):,} "
                    f"{'file' if len(lost) == 1 else 'files'} of an earlier run. --resume keeps them in, another --out "
                    "keeps both tables."
                )
            closing.callback(_table, rows, names, arguments.quiet or arguments.json)
        if arguments.resume and analyzer is not None:
            sources = [source for source in sources if not _is_done(source, analyzer, finish, done, rows)]
            skipped = count - len(sources)
        outcomes: Generator[_Outcome, None, None]
        if analyzer is not None and arguments.jobs == 1 and not limited:
            outcomes = (finish(analyzer.analysis(source)) for source in sources)
        else:

            def seconds(source: Any) -> float | None:
                film = isinstance(source, str) and media.limit_of(source) != media.MAX_BYTES
                return arguments.max_seconds or (None if film or not limited else _SECONDS)

            jobs = min(arguments.jobs, max(1, len(sources)))
            outcomes = analyze_many(sources, jobs=jobs, then=finish, seconds=seconds, **options)
        closing.enter_context(contextlib.closing(outcomes))
        if rows is not None:
            outcomes = _put_down(outcomes, rows)
        return _tell(outcomes, len(sources), skipped, left_out, write, arguments)


def _is_many(path: str) -> bool:
    """Whether a word of the command line is a folder, a list or a pattern: what stands for many files gets a table."""
    return Path(path).is_dir() or path.lower().endswith(".csv") or not os.path.lexists(path)


def _table(rows: Rows, names: list[str], quiet: bool) -> None:
    """Write the table of a folder and its pages, and say where."""
    *_, page = rows.close(names)
    if not quiet:
        print(f"→ {shown(page)}")


def _put_down(outcomes: Iterator[_Outcome], rows: Rows) -> Generator[_Outcome, None, None]:
    """The outcomes, each with its row in the table of the folder."""
    from facewitness.apps.summary import row_of

    for outcome in outcomes:
        rows.add(row_of(outcome.report, (path.name for path in outcome.written), outcome.thumb))
        yield outcome


def _writer(
    arguments: argparse.Namespace, analyzer: Any, closing: contextlib.ExitStack
) -> tuple[Callable[[Report], None] | None, set[tuple[str, str | None]] | None]:
    """What writes a report as a line, where lines were asked for, and which stand in the file already."""
    if not arguments.json and arguments.lines is None:
        return None, None
    from facewitness import files
    from facewitness.formats import json as wire

    if arguments.lines is None:
        lines, stream = wire.Lines(arguments.slim), sys.stdout.buffer
        done: set[tuple[str, str | None]] | None = None
    else:
        path: Path = arguments.lines
        path.parent.mkdir(parents=True, exist_ok=True)
        closing.enter_context(files.held(path.with_name(path.name + ".lock")))
        if not arguments.resume and path.exists() and path.stat().st_size:
            raise InputError(f"--lines: '{path}' holds something already. Add --resume to go on, or name another file.")
        lines, done = wire.Lines(arguments.slim), set()
        if arguments.resume:
            lines, done = wire.go_on(path, analyzer.made_by, arguments.slim)
        stream = closing.enter_context(path.open("ab"))

    def write(report: Report) -> None:
        stream.write(lines.render(report))
        stream.flush()

    return write, done


def _sources(arguments: argparse.Namespace) -> tuple[list[str | bytes], set[Path]]:
    """What the paths stand for, each once and in their order; standard input as its bytes. And what was left out."""
    from facewitness import media

    sources: list[str | bytes] = []
    left_out: set[Path] = set()
    for path in dict.fromkeys(arguments.paths):
        if not path:
            raise InputError("expected a file or folder, got an empty name; is a variable of the shell not set?")
        if path == "-":
            if sys.stdin is None:
                raise InputError("-: expected a picture on standard input, which is closed")
            limit = round(arguments.max_megabytes * 1_000_000) if arguments.max_megabytes else media.MAX_BYTES
            sources.append(sys.stdin.buffer.read(limit + 1))  # one more than the limit is enough to be refused
        elif Path(path).suffix.lower() == ".csv" and Path(path).is_file():
            sources += _listed(Path(path))
        else:
            for name in map(str, media.collect([path], left_out)):
                if name != path and _is_ours(Path(name), Path(path), arguments.out):
                    continue
                several = name == path or name.lower().endswith((".tif", ".tiff"))  # others of a folder are not opened
                sources += media.parts(name) if several else [name]
    sources = list(dict.fromkeys(sources))
    # what was left out may have been named itself, and be read as several pictures
    named = {media.file_of(source) for source in sources if isinstance(source, str)}
    return sources, left_out - named


def _is_ours(path: Path, folder: Path, out: Path | None) -> bool:
    """Whether a picture in a folder is what an earlier run wrote: below --out, where that is a folder within it."""
    if out is None or not folder.is_dir():
        return False
    from facewitness.apps.summary import THUMBS

    ours = out / THUMBS if out.resolve() == folder.resolve() else out
    return path.resolve().is_relative_to(ours.resolve()) and ours.resolve().is_relative_to(folder.resolve())


def _listed(path: Path) -> Iterator[str]:
    """The pictures of a list, as the benchmark reads it: those that are not there are passed on, to be told."""
    from facewitness import lists

    entries = lists.read(path)
    if "file" not in entries.columns:
        raise InputError(
            f"{path}: expected a column file in its first line, came {', '.join(entries.columns) or 'nothing'}"
        )
    if not entries.lines:
        raise InputError(f"{path}: expected a line for each picture, found none below the column names")
    for line in entries.lines:
        yield str(path.parent / (lists.located(path.parent, line.values["file"]) or line.values["file"]))


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of `Analyzer` that were asked for."""
    reading: dict[str, Any] = sampling(arguments)
    if arguments.max_megabytes:
        reading["max_bytes"] = round(arguments.max_megabytes * 1_000_000)
    if arguments.max_megapixels:
        reading["max_pixels"] = round(arguments.max_megapixels * 1_000_000)
    if arguments.max_memory:
        reading["max_memory"] = round(arguments.max_memory * 1_000_000)
    return {**system(arguments), "reading": reading}


def _is_done(
    source: str | bytes,
    analyzer: Any,
    finish: _Finish,
    done: set[tuple[str, str | None]] | None = None,
    rows: Rows | None = None,
) -> bool:
    """Whether all that was asked for is there: its files, its line among those `done`, its row in the folder's table.

    The row is the last that is written of a picture. Where a run was killed between the reports and the row, it is
    made of the report, if that is there as JSON.
    """
    from facewitness import files, media, plugins
    from facewitness.apps.summary import THUMBS

    try:
        if isinstance(source, bytes):
            digest = hashlib.sha256(source).hexdigest()
        else:
            digest = files.sha256(media.file_of(source), analyzer.reading.get("max_bytes") or media.limit_of(source))
    except (OSError, ValueError):
        return False  # analysing it will say why
    name = "-" if isinstance(source, bytes) else source
    if done is not None and (name, digest) not in done:
        return False
    key = _key(name, digest, analyzer.made_by)
    extensions = [plugins.get("formats", leaf).extension for leaf in finish.formats]
    reports = [finish.out / f"{_stem(name)}-{key}.{extension}" for extension in extensions]
    if not all(map(_is_whole, reports)):
        return False
    thumb = f"{THUMBS}/{_stem(name)}-{key}.jpg"
    if rows is None or rows.holds(name, digest, [r.name for r in reports], thumb):
        return True
    return _row_again(rows, reports, thumb, (name, digest))


_ENDS = {
    ".json": b"}\n",
    ".html": b"</html>",
    ".pdf": b"%%EOF",
    ".png": b"IEND\xaeB`\x82",
}  # how a file of a format ends; JSON is one line


def _is_whole(report: Path) -> bool:
    """Whether a report is there from its beginning to its end: a copy may have broken off."""
    from facewitness import files

    try:
        with files.open_bounded(report, _MOST_REPORT) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 64))
            tail, end = file.read(), _ENDS.get(report.suffix, b"")
            return size > 0 and (tail.endswith(end) or tail.rstrip().endswith(end))
    except OSError:
        return False


def _row_again(rows: Rows, reports: Sequence[Path], thumb: str, about: tuple[str, str]) -> bool:
    """Put down the row of a picture whose reports are there; False where its thumbnail or a report in JSON is not.

    A report `about` another source, or other bytes, is none of this picture's, whatever its file is called.
    """
    from facewitness import files
    from facewitness.apps.summary import row_of
    from facewitness.formats import json as wire

    page = next((report for report in reports if report.suffix == ".json"), None)
    if page is None or not (rows.folder / thumb).is_file():
        return False
    try:
        report = wire.parse(files.read_bounded(page, _MOST_REPORT))
        if (report.source, report.sha256) != about:
            return False
        rows.add(row_of(report, [path.name for path in reports], thumb))
    except (FacewitnessError, OSError):
        return False  # it is analysed again
    return True


# ------------------------------------------------------------------------------------------------ what is shown


def _tell(
    outcomes: Iterator[_Outcome],
    count: int,
    skipped: int,
    left_out: set[Path],
    write: Callable[[Report], None] | None,
    arguments: argparse.Namespace,
) -> int:
    """Print what became of each picture as it comes; returns the exit status."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from facewitness.phrases import visible

    screen, errors = Console(soft_wrap=True, highlight=False), Console(stderr=True, soft_wrap=True, highlight=False)
    columns = (TextColumn("analysing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=errors, redirect_stdout=False, redirect_stderr=False, transient=True)
    drawn = count >= _BAR_FROM and errors.is_terminal and not arguments.quiet
    above = errors if drawn and screen.is_terminal else screen  # lines above a bar go through the console that draws it
    tally: dict[str, int] = {}
    causes = collections.Counter[str]()
    failures, met = 0, False
    with bar if drawn else contextlib.nullcontext():
        task = bar.add_task("analysing", total=count)
        for outcome in outcomes:
            report = outcome.report
            failures += report.status == "failed" or any(problem.step == "render" for problem in report.problems)
            name = report.status if report.verdict is None else report.verdict.label
            tally[name] = tally.get(name, 0) + 1
            if report.verdict is not None and report.verdict.label == "inconclusive":
                causes[report.verdict.cause or "several"] += 1
            labels = {name, *(person.verdict.label for person in report.people)}
            met = met or bool(labels & (arguments.fail_on or frozenset()))
            if write is not None:
                try:
                    write(report)
                except ReportError as error:
                    failures += report.status != "failed"
                    errors.print(brief(visible(problem_of(report.source, str(error)))), markup=False, emoji=False)
            if not arguments.json and not arguments.quiet and report.status != "failed":
                for text, style in _summary(outcome, detailed=count == 1):
                    above.print(text, style=style, markup=False, emoji=False)
            for sentence in _problems(report):
                errors.print(brief(sentence), markup=False, emoji=False)
            bar.advance(task)
    where = errors if arguments.json or arguments.quiet else screen
    others = _others(left_out)
    if not arguments.quiet and (count > 1 or skipped):
        why = ", ".join(f"{causes[cause]} {words}" for cause, words in _CAUSES.items() if causes[cause])
        total = ", ".join(
            f"{number} {_WORDS[name]}{f' ({why})' if name == 'inconclusive' and why else ''}"
            for name, number in sorted(tally.items())
        )
        words = f"{count} {'picture' if count == 1 else 'pictures'}{f': {total}' if total else ''}"
        where.print(words + (f"; {skipped} done before" if skipped else "") + (f"; {others}" if others else ""))
    elif others:  # nothing is left out without a word
        where.print(f"facewitness: {others}" if arguments.quiet else others, markup=False, emoji=False)
    if met:
        return VERDICT
    return ALL if failures == 0 else NONE if failures == count and not skipped else SOME


def _others(left_out: set[Path]) -> str:
    """What of the folders was left out, by kind: "skipped 4 other files: 1 HEIC, 1 PDF, 2 text"; or nothing."""
    if not left_out:
        return ""
    counts = collections.Counter(kinds.by_name(path) for path in left_out)
    counted = ", ".join(f"{number} {shown(kind)}" for kind, number in sorted(counts.items()))
    return f"skipped {len(left_out)} other file{'s' if len(left_out) > 1 else ''}: {counted}"


_WORDS = {
    "fake": "fake",
    "real": "without a sign of forgery",
    "inconclusive": "inconclusive",
    "no_face": "without a face",
    "failed": "not analysed",
}
_CAUSES = {  # why no verdict was given, in the order in which it is told
    "band": "between the thresholds",
    "quality": "with too little to see",
    "drawn": "drawn or in few colours, not judged",
    "contradiction": "with witnesses that contradict each other",
    "uncalibrated": "not calibrated",
    "silent": "on which no witness spoke",
    "several": "of several people",  # of whom each has a cause of their own
}
_STYLES = {"fake": "bold red", "real": "green", "inconclusive": "yellow"}


def _problems(report: Report) -> Iterator[str]:
    from facewitness.phrases import visible

    for problem in report.problems:
        yield visible(problem_of(report.source, problem.message))


def _summary(outcome: _Outcome, detailed: bool) -> Iterator[tuple[str, str | None]]:
    """Lines and their styles. Detailed for a single picture; for each of many, one line and its files.

    Where no face was found, what was decided while reading may be why, so that it is told of many, too.
    """
    from facewitness.overtime import seen
    from facewitness.phrases import forged_when, headline, is_film, odds, someone, visible
    from facewitness.phrases import word as word_of

    report = outcome.report
    name, word, meaning = headline(report)
    verdict = "" if report.verdict is None or report.verdict.fake is None else f", {odds(report.verdict)}"
    faces = len(report.people)
    film = is_film(report)
    plural = f", {faces} {someone(film, faces)}" if faces else ""
    when = f", looks forged {times}" if (times := forged_when(report)) else ""
    incomplete = " (incomplete: a step failed)" if report.problems else ""
    yield f"{visible(report.source)}: {word}{verdict}{plural}{when}{incomplete}", _STYLES.get(name)
    if detailed:
        yield f"  {meaning}", None
        if report.verdict is not None and faces > 1:
            for reason in report.verdict.reasons:
                yield f"  {visible(reason)}", None
        for note in (*report.notes, *(finding.claim for finding in report.findings)):
            yield f"  {visible(note)}", None
        for number, person in enumerate(report.people, start=1):
            box = " ".join(str(round(value)) for value in person.face.box)
            where = seen(person.track) if film else f"box {box}"
            yield "", None
            judged = f"{word_of(person.verdict.label).lower()}, {odds(person.verdict)}"
            yield f"  {someone(film).capitalize()} {number} ({where}): {judged}", _STYLES[person.verdict.label]
            for reason in person.verdict.reasons:
                yield f"    {visible(reason)}", None
            for sentence in person.explanation:
                yield f"    {'•' if sentence.findings else ' '} {visible(sentence.text)}", None
            for testimony in person.verdict.testimonies:
                yield from _words_of(testimony)
    elif report.status == "no_face":
        for note in report.notes:
            yield f"  {visible(note)}", None
    for path in outcome.written:
        yield f"  → {visible(str(path))}", "dim"


def _words_of(testimony: Testimony) -> Iterator[tuple[str, str | None]]:
    """What a witness weighed for each side, and why one won; else the words that it stands by, with its name."""
    from facewitness.formats import argument, cases, fits, lines, quoted, why_it_won
    from facewitness.phrases import visible

    if sides := cases(testimony):
        yield f"    {visible(testimony.witness)} asked both ways. {visible(why_it_won(testimony))}", None
        for side, reply in sides:
            yield f"      For “{side}” ({fits(side, reply)}): {visible(quoted(argument(reply)))}", "italic"
        return
    if testimony.reply is not None and testimony.reply.text.strip():
        yield f"    {visible(testimony.witness)} says: “{' '.join(lines(testimony.reply.text))}”", "italic"
        if testimony.reply.notes:
            yield f"    {visible(' '.join(testimony.reply.notes))}", "dim"


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
            print(shown(f"  {name:<{max(map(len, names))}}  {plugins.about(family, name)}"))
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
