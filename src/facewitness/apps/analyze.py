"""The command analyze: pictures, folders and lists go in; a summary, files of reports or lines of JSON come out.

A run that was broken off goes on with --resume: what stands there already, from the same bytes and the same analyser,
is not done again. Many pictures get a table and pages besides (`summary`).
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import datetime
import hashlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facewitness import kinds
from facewitness.apps._words import (
    ALL,
    ANALYSING,
    NONE,
    SOME,
    VERDICT,
    add_sampling,
    add_system,
    brief,
    complain,
    leaf,
    positive,
    problem_of,
    sampling,
    shown,
    size,
    system,
    writes,
)
from facewitness.errors import FacewitnessError, InputError, ReportError, UnknownName
from facewitness.files import unable, write_whole

if TYPE_CHECKING:
    from facewitness.apps.summary import Rows
    from facewitness.types import Analysis, Case, Report, Testimony

_MOST_REPORT = 200_000_000  # bytes of one report
_SECONDS = 20  # for one picture of several, where the default witness looks at it
_BAR_FROM = 5  # a progress bar is drawn for at least so many pictures

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


def add_to(commands: Any) -> None:
    """The command analyze."""
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


def _formats(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(leaf("formats")(name.strip()) for name in text.split(",")))


def _labels(text: str) -> frozenset[str]:
    labels = ("fake", "inconclusive", "real")
    chosen = frozenset(name.strip() for name in text.split(","))
    for name in sorted(chosen):
        if name not in labels:
            raise argparse.ArgumentTypeError(str(UnknownName("verdict", name, labels)))
    return chosen


# ---------------------------------------------------------------------------------------------------- the analysis


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
                why = f": {unable(error)}" if isinstance(error, OSError) else f". {error}"
                problem = Problem("render", f"The format {name} could not be written{why}")
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
    from facewitness.pipeline import Analyzer

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
    case = _case(arguments, len(sources))
    several = arguments.out is not None and len(sources) > 1 and any(map(_is_many, arguments.paths))
    finish = _Finish(formats, arguments.out or Path(), arguments.slim, date, case, several)
    names = ["-" if isinstance(source, bytes) else source for source in sources]
    count = len(sources)
    limited = count > 1 and (arguments.max_seconds or set(options["witnesses"]) <= set(ANALYSING))
    here = arguments.jobs == 1 and not limited  # in this process: nothing has to be ended from outside
    analyzer = Analyzer(**options) if arguments.resume or here else None
    with contextlib.ExitStack() as closing:
        write, done = _writer(arguments, analyzer, closing)
        rows = _rows(arguments, names, closing) if several else None
        if arguments.resume:
            sources = [source for source in sources if not _is_done(source, analyzer, finish, done, rows)]
        outcomes: Generator[_Outcome, None, None]
        if here:
            assert analyzer is not None
            outcomes = (finish(analyzer.analysis(source)) for source in sources)
        else:
            outcomes = _elsewhere(sources, arguments, finish, options, bool(limited))
        closing.enter_context(contextlib.closing(outcomes))
        if rows is not None:
            outcomes = _put_down(outcomes, rows)
        return _tell(outcomes, len(sources), count - len(sources), left_out, write, arguments)


def _case(arguments: argparse.Namespace, count: int) -> Case | None:
    """What an examiner adds, where there is a --case: it is about one picture."""
    if arguments.case is None:
        return None
    from facewitness import case as cases

    case = cases.read(arguments.case)
    if count != 1:
        raise InputError(f"--case: expected one picture, for a case file describes one exhibit, got {count}")
    if arguments.resume:
        arguments.parser.error("--resume does not look into a case file: leave it out where there is a --case")
    return case


def _rows(arguments: argparse.Namespace, names: Sequence[str], closing: contextlib.ExitStack) -> Rows:
    """The table of a folder, which is written when all is closed; what is lost of an earlier one is told."""
    from facewitness import files
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
    return rows


def _elsewhere(
    sources: Sequence[str | bytes],
    arguments: argparse.Namespace,
    finish: _Finish,
    options: Mapping[str, Any],
    limited: bool,
) -> Generator[_Outcome, None, None]:
    """The outcomes by processes of their own, each file with its time where that is limited."""
    from facewitness import media
    from facewitness.pool import analyze_many

    def seconds(source: Any) -> float | None:
        film = isinstance(source, str) and media.limit_of(source) != media.MAX_BYTES
        return arguments.max_seconds or (None if film or not limited else _SECONDS)

    jobs = min(arguments.jobs, max(1, len(sources)))
    return analyze_many(sources, jobs=jobs, then=finish, seconds=seconds, **options)


def _is_many(path: str) -> bool:
    """Whether a word of the command line is a folder, a list or a pattern: what stands for many files gets a table."""
    return Path(path).is_dir() or path.lower().endswith(".csv") or not os.path.lexists(path)


def _table(rows: Rows, names: Sequence[str], quiet: bool) -> None:
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
        try:
            stream.write(lines.render(report))
            stream.flush()
        except OSError as error:  # as of a full disk, which names nothing
            error.filename = error.filename or str(arguments.lines or "standard output")
            raise

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

    from facewitness.apps.summary import twins
    from facewitness.phrases import listed, visible

    screen, errors = Console(soft_wrap=True, highlight=False), Console(stderr=True, soft_wrap=True, highlight=False)
    columns = (TextColumn("analysing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=errors, redirect_stdout=False, redirect_stderr=False, transient=True)
    drawn = count >= _BAR_FROM and errors.is_terminal and not arguments.quiet
    above = errors if drawn and screen.is_terminal else screen  # lines above a bar go through the console that draws it
    tally = _Tally(count, skipped, arguments.fail_on or frozenset())
    with bar if drawn else contextlib.nullcontext():
        task = bar.add_task("analysing", total=count)
        for outcome in outcomes:
            report = outcome.report
            tally.add(report)
            if write is not None:
                try:
                    write(report)
                except ReportError as error:
                    tally.failures += report.status != "failed"
                    errors.print(brief(visible(problem_of(report.source, str(error)))), markup=False, emoji=False)
            if not arguments.json and not arguments.quiet and report.status != "failed":
                for text, style in _summary(outcome, detailed=count == 1):
                    above.print(text, style=style, markup=False, emoji=False)
            for sentence in _problems(report):
                errors.print(brief(sentence), markup=False, emoji=False)
            bar.advance(task)
    where = errors if arguments.json or arguments.quiet else screen
    if not arguments.quiet:
        for group in twins(tally.digests):
            where.print(f"the same file: {listed(map(shown, group))}", markup=False, emoji=False)
    others = _others(left_out)
    if not arguments.quiet and (count > 1 or skipped):
        total = "; ".join(filter(None, (tally.words(), f"{skipped} done before" if skipped else "", others)))
        where.print(total, markup=False, emoji=False)  # an ending may look like markup
    elif others:  # nothing is left out without a word
        where.print(f"facewitness: {others}" if arguments.quiet else others, markup=False, emoji=False)
    return tally.status()


@dataclass(slots=True)
class _Tally:
    """How many pictures of each kind there are so far, and what the command ends with."""

    count: int
    skipped: int
    fail_on: frozenset[str]
    failures: int = 0
    met: bool = False  # a verdict that --fail-on names
    films: int = 0
    labels: collections.Counter[str] = field(default_factory=collections.Counter)
    causes: collections.Counter[str] = field(default_factory=collections.Counter)  # why no verdict was given
    digests: list[tuple[str, str | None]] = field(default_factory=list)  # sources and the SHA-256 of their files

    def add(self, report: Report) -> None:
        from facewitness.phrases import is_film

        self.films += is_film(report)
        self.digests.append((report.source, report.sha256))
        self.failures += report.status == "failed" or any(problem.step == "render" for problem in report.problems)
        label = report.status if report.verdict is None else report.verdict.label
        self.labels[label] += 1
        if report.verdict is not None and report.verdict.label == "inconclusive":
            self.causes[report.verdict.cause or "several"] += 1
        self.met = self.met or bool(self.fail_on & {label, *(person.verdict.label for person in report.people)})

    def words(self) -> str:
        """All of them: "9 pictures: 2 fake, 7 inconclusive (6 between the thresholds, 1 not calibrated)"."""
        why = ", ".join(f"{self.causes[cause]} {words}" for cause, words in _CAUSES.items() if self.causes[cause])
        total = ", ".join(
            f"{number} {_WORDS[name]}{f' ({why})' if name == 'inconclusive' and why else ''}"
            for name, number in sorted(self.labels.items())
        )
        pictures = self.count - self.films
        of_each = ((pictures, "picture"), (self.films, "film"))
        counted = [
            f"{n} {kind}{'' if n == 1 else 's'}" for n, kind in of_each if n or (kind == "picture" and not self.count)
        ]
        return f"{' and '.join(counted)}{f': {total}' if total else ''}"

    def status(self) -> int:
        if self.met:
            return VERDICT
        if self.failures == 0:
            return ALL
        return NONE if self.failures == self.count and not self.skipped else SOME


def _others(left_out: set[Path]) -> str:
    """What of the folders was left out, by kind: "skipped 3 other files: 1 PDF, 2 text"; and how a PDF is read."""
    if not left_out:
        return ""
    counts = collections.Counter(kinds.by_name(path) for path in left_out)
    counted = ", ".join(f"{number} {shown(kind)}" for kind, number in sorted(counts.items()))
    named = next((path.name for path in sorted(left_out) if kinds.by_name(path) == "PDF"), None)
    how = "" if named is None else f"; a PDF's pictures are analysed when it is named, such as {shown(named)}"
    return f"skipped {len(left_out)} other file{'s' if len(left_out) > 1 else ''}: {counted}{how}"


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
    "contradiction": "with witnesses or views that contradict each other",
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

    Where no face was found, what was decided while reading may be why, so that it is told of many, too; and so is that
    a file holds more pictures than were analysed.
    """
    from facewitness import media
    from facewitness.overtime import seen
    from facewitness.phrases import forged_when, headline, is_film, known, odds, someone, visible
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
        if any(person.verdict.label == "real" for person in report.people):  # how much the words "no sign" are worth
            for described in report.made_by.get("witnesses", ()):
                yield from ((f"  {sentence}", None) for sentence in known(described, ("no_sign",)))
    else:
        for note in report.notes:
            if report.status == "no_face" or media.leaves_out(note):
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
