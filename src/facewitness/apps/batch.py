"""`facewitness batch`: very many files through Ray Data, on one machine or a cluster, into partitioned Parquet.

The sources become units of work: some hundred files, one Parquet file, one WebDataset tar. Ray Data hands units to
actors; each actor has a process with an `Analyzer` (`pool`), so a file that crashes or outlasts its time becomes a
failed row and takes down nothing. An actor writes its unit's rows by itself, each file whole or not at all and under a
name that follows from the rows: a unit that is done twice, because a machine died, is written over itself.

    DST/verdict=fake/part-….parquet    source, sha256, status, verdict, probabilities, places, report (JSON), thumbnail
    DST/verdict=failed/…               what could not be analysed, with the reason
    DST/run.json                       how it was made; another way of making is refused in the same folder
    DST/summary.csv, index.html …      the table, and pages of what is most suspicious

Nothing heavy is imported until the command runs: --help needs no Ray.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import re
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from facewitness.apps._words import (
    ALL,
    ANALYSING,
    NONE,
    SOME,
    add_sampling,
    add_system,
    positive,
    sampling,
    shown,
    size,
    system,
)  # fmt: skip
from facewitness.errors import FacewitnessError, InputError, MissingExtra, ended
from facewitness.files import held, ordinary, write_whole

if TYPE_CHECKING:
    import pyarrow as pa

    from facewitness.types import Analysis

_ABOUT = """Analyse very many files with Ray Data: folders, globs, lists of files, Parquet, WebDataset tars, and
object stores (s3://, gs://, … through fsspec). Reports go into partitioned Parquet, with a summary page and a CSV; the
same command with --resume goes on where a run ended. The answers are those of facewitness analyze.

examples:
  facewitness batch photos/ out --workers 8
  facewitness batch 'shards/*.tar' out --workers 8 --resume
  facewitness batch table.parquet s3://bucket/photos out --address ray://head:10001 --workers 200"""

_EXIT = """exit status:
  0  all files were analysed, whatever the verdicts
  1  none could be
  2  the command was wrong
  3  some could not be; they stand in DST/verdict=failed with the reason"""

_LABELS = ("fake", "inconclusive", "real", "no_face", "failed")
_PAGES_OF = 2_000  # rows that the pages show: the most suspicious ones; the CSV has all
_MEMBER = 200_000_000  # bytes of one picture in a tar or a table
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_NAMES = ("file", "path", "name", "key", "id", "__key__")  # columns of a table that name a picture, the first there is
_IMAGES = ("image", "bytes", "content", "jpg", "png")  # columns that hold it


def add_to(commands: Any) -> None:
    """Add `batch` to the top parser's sub-commands."""
    batch = commands.add_parser("batch", help="analyse very many files with Ray", description=_ABOUT, epilog=_EXIT)
    batch.set_defaults(run=_batch)
    batch.add_argument(
        "sources", nargs="+", metavar="SRC", help="folders, globs, files, lists (CSV), tables, tars, URLs"
    )
    batch.add_argument("out", type=Path, metavar="DST", help="a folder that all machines see")
    batch.add_argument("--resume", action="store_true", help="go on with what is in DST, by the bytes of each file")
    batch.add_argument("--retry-failed", action="store_true", help="with --resume: try what was set aside again")
    batch.add_argument("--workers", type=positive, metavar="N", help="actors, each with one process (one a core)")
    batch.add_argument("--address", metavar="URL", help="of a Ray cluster; without it one is started here")
    batch.add_argument("--per-part", type=positive, default=256, metavar="N", help="files in one unit of work (256)")
    batch.add_argument("--max-seconds", type=size, default=60.0, metavar="N", help="for one file (60)")
    batch.add_argument("--slim", action="store_true", help="leave the masks out of the reports")
    batch.add_argument("--no-thumbs", action="store_true", help="no thumbnails")
    batch.add_argument("--quiet", action="store_true", help="print no progress")
    add_system(batch, ANALYSING)
    add_sampling(batch)


def _batch(arguments: argparse.Namespace) -> int:
    options = {**system(arguments), "reading": sampling(arguments)}
    tell = (lambda text: None) if arguments.quiet else (lambda text: print(shown(text), file=sys.stderr, flush=True))
    tally = run(
        arguments.sources, arguments.out, workers=arguments.workers, address=arguments.address,
        resume=arguments.resume, retry_failed=arguments.retry_failed, per_part=arguments.per_part,
        seconds=arguments.max_seconds, slim=arguments.slim, thumbs=not arguments.no_thumbs, tell=tell, **options,
    )  # fmt: skip
    total = sum(tally.values())
    words = ", ".join(f"{tally[label]:,} {label.replace('_', ' ')}" for label in _LABELS if tally[label])
    print(f"{shown(arguments.out)}: {total:,} files: {words or 'nothing'}")
    return ALL if not tally["failed"] else NONE if tally["failed"] == total else SOME


def run(
    sources: Iterable[str],
    out: Path,
    *,
    workers: int | None = None,
    address: str | None = None,
    resume: bool = False,
    retry_failed: bool = False,
    per_part: int = 256,
    seconds: float | None = 60.0,
    slim: bool = False,
    thumbs: bool = True,
    tell: Any = lambda text: None,
    **options: Any,
) -> Counter[str]:
    """Analyse all sources and return how many have which answer, those of earlier runs in `out` included.

    Args:
        sources: folders, globs, files, lists, tables, tars, URLs.
        out: the folder for parts, summary and pages; on a cluster one that all machines see.
        workers: actors; None for one a core.
        address: of a Ray cluster; None starts one here, or takes the one that runs in this process.
        resume: go on with what is in `out`. What has the same source and the same bytes is not analysed again.
        retry_failed: take what was set aside out of `out` first.
        per_part: files in one unit of work, and so in one part.
        seconds: for one file; None for no limit.
        slim: leave masks out of the reports.
        thumbs: keep a thumbnail of each picture.
        tell: is told sentences on the way.
        **options: those of `Analyzer`.

    Raises:
        InputError: nothing to analyse, or `out` holds a run that was made otherwise.
    """
    ray = _ray()
    from facewitness.pipeline import Analyzer

    made_by = Analyzer(**options).made_by  # here, so that a mistake in the options is told before a cluster works on it
    with held(out / ".lock"):
        known = _known(out, made_by, resume, retry_failed)
        units = list(_units([*sources], per_part, workers or os.cpu_count() or 1))
        if not units:
            raise InputError("batch: expected something to analyse, got sources without a picture in them.")
        started_here = not ray.is_initialized()
        if started_here:
            _start(address, workers)
        try:
            settings = {
                "options": options, "out": str(out.resolve()), "seconds": seconds, "slim": slim, "thumbs": thumbs,
                "known": ray.put(known) if known else None,
            }  # fmt: skip
            _work(units, settings, workers, tell)
        finally:
            if started_here:
                ray.shutdown()
        return summarise(out)


def _ray() -> Any:
    """The package ray, told before it is imported to report to nobody and to wait for a slow start."""
    for name, value in _RAY.items():
        os.environ.setdefault(name, value)
    try:
        import pyarrow  # noqa: F401 -- whatever lacks is told at once
        import ray.data
    except ImportError as error:
        raise MissingExtra(
            "facewitness batch needs Ray: pip install '.[ray]', from a clone of the repository"
        ) from error
    return ray


_RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def _start(address: str | None, workers: int | None) -> None:
    import logging

    import ray

    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is not None:
        ray.init(address=address, **quiet)
        return
    ray.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)


def _work(units: list[dict[str, Any]], settings: Mapping[str, Any], workers: int | None, tell: Any) -> None:
    """Every unit through an actor. Nothing piles up: a unit is a few names, its files are read where they are used."""
    ray = _ray()
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.enable_operator_progress_bars = False
    count = workers or int(ray.cluster_resources().get("CPU", 1))
    rows = ray.data.from_items([{"unit": json.dumps(unit)} for unit in units], override_num_blocks=len(units))
    done = rows.map_batches(
        Worker, fn_constructor_args=(dict(settings),), batch_size=1, concurrency=min(count, len(units)), num_cpus=1,
    )  # fmt: skip
    begun, files, skipped = time.monotonic(), 0, 0
    for number, batch in enumerate(done.iter_batches(batch_size=1, batch_format="numpy"), start=1):
        files, skipped = files + int(batch["files"][0]), skipped + int(batch["skipped"][0])
        rate = files / max(time.monotonic() - begun, 1e-6)
        tell(f"{number} of {len(units)} units, {files:,} files ({rate:.1f} a second), {skipped:,} done before")


# ------------------------------------------------------------------------------------------------------------- sources


def _units(sources: list[str], per_part: int, workers: int) -> Iterator[dict[str, Any]]:
    """Units of work as what JSON can hold, files in their order."""
    files: list[str] = []
    for source in sources:
        for name in _expanded(source):
            ending = name.lower().rpartition(".")[2]
            if ending == "parquet":
                yield {"kind": "parquet", "where": name}
            elif ending == "tar":
                yield {"kind": "tar", "where": name}
            else:
                files.append(name)
    files = list(dict.fromkeys(files))
    size = max(
        1, min(per_part, -(-len(files) // (4 * workers)))
    )  # four units a worker at least, so that all end together
    for at in range(0, len(files), size):
        yield {"kind": "files", "where": files[at : at + size]}


def _expanded(source: str) -> Iterator[str]:
    """The files, tables and tars that a source stands for."""
    from facewitness import lists, media

    if _URL.match(source):
        yield from _remote(source)
        return
    path = Path(source)
    if path.suffix.lower() == ".csv" and path.is_file():
        entries = lists.read(path)
        if "file" not in entries.columns:
            raise InputError(f"{path}: expected a column file in its first line.")
        if not entries.lines:
            raise InputError(f"{path}: expected a line for each picture, found none below the column names")
        for line in entries.lines:
            yield str(path.parent / (lists.located(path.parent, line.values["file"]) or line.values["file"]))
        return
    left_out: set[Path] = set()
    for file in media.collect([path], left_out):
        several = str(file) == source or file.suffix.lower() in (".tif", ".tiff")
        yield from media.parts(file) if several and file.is_file() and file.suffix != ".tar" else [str(file)]
    yield from sorted(str(other) for other in left_out if other.suffix.lower() in (".parquet", ".tar"))


def _remote(source: str) -> Iterator[str]:
    """The files below an address that fsspec knows."""
    from facewitness import media

    fsspec = _fsspec()
    try:
        system, path = fsspec.core.url_to_fs(source)
        names = (
            [source] if system.isfile(path) else [system.unstrip_protocol(name) for name in sorted(system.find(path))]
        )
    except (OSError, ValueError, ImportError) as error:
        raise InputError(
            f"'{shown(source)}': expected an address that fsspec can list, and it cannot ({error})."
        ) from error
    endings = media.SUFFIXES | media.FILMS | {".parquet", ".tar"}
    yield from (name for name in names if name == source or Path(name).suffix.lower() in endings)


def _fsspec() -> Any:
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtra(
            "Addresses are read with fsspec: pip install '.[ray]', from a clone of the repository"
        ) from error
    return fsspec


def _contents(unit: Mapping[str, Any]) -> Iterator[tuple[str, str | bytes | InputError]]:
    """The files of a unit: a name, and a path or bytes to analyse, or why there are none."""
    if unit["kind"] == "files":
        for name in unit["where"]:
            yield name, _fetched(name) if _URL.match(name) else name
        return
    where = unit["where"]
    try:
        yield from (_of_table if unit["kind"] == "parquet" else _of_tar)(where)
    except Exception as error:  # a broken table or tar raises almost anything; what came before it stays
        yield where, InputError(f"'{where}' cannot be read to its end ({error}). Fetch or make it again.")


def _fetched(name: str) -> bytes | InputError:
    from facewitness import media

    try:
        with _fsspec().open(name, "rb") as file:
            content: bytes = file.read(media.MAX_BYTES + 1)
        return content
    except Exception as error:  # every store has its own
        return InputError(f"'{name}' cannot be fetched ({error}).")


def _opened(where: str) -> Any:
    return _fsspec().open(where, "rb") if _URL.match(where) else ordinary(Path(where)).open("rb")


def _of_table(where: str) -> Iterator[tuple[str, str | bytes | InputError]]:
    """The pictures of a Parquet file: a column of bytes or of structs with bytes, and one of names, if there is."""
    import pyarrow.parquet as pq

    with _opened(where) as file:
        table = pq.ParquetFile(file)
        columns = table.schema_arrow.names
        image = next((name for name in _IMAGES if name in columns), None)
        if image is None:
            yield (
                where,
                InputError(f"'{where}': expected a column {' or '.join(_IMAGES)} with pictures, got {columns}."),
            )
            return
        named = next((name for name in _NAMES if name in columns), None)
        number = 0
        batch: Any
        for batch in table.iter_batches(batch_size=16, columns=[image, *([named] if named else [])]):
            for row in batch.to_pylist():
                value: Any = row[image]
                name = row[named] if named else None
                if isinstance(value, dict):
                    value, name = value.get("bytes"), name or value.get("path")
                label = f"{where}#{number}" if name in (None, "") else f"{where}#{name}"
                number += 1
                wrong = not isinstance(value, bytes) or len(value) > _MEMBER
                yield label, InputError(f"'{label}': expected the bytes of a picture.") if wrong else value


class _Ending:
    """A stream that is not read on and on past its end: a tar passes over what its header claims, block by block."""

    def __init__(self, stream: Any):
        self._stream, self._left = stream, 5  # readings past the end that a whole tar may want

    def read(self, size: int) -> bytes:
        content: bytes = self._stream.read(size)
        self._left -= not content
        if not self._left:
            raise EOFError("it ends before what its table of contents claims")
        return content


def _of_tar(where: str) -> Iterator[tuple[str, str | bytes | InputError]]:
    """The pictures of a tar, in its order. Names are labels: nothing is unpacked."""
    import tarfile

    from facewitness import media

    with _opened(where) as file, tarfile.open(fileobj=cast(BinaryIO, _Ending(file)), mode="r|") as archive:
        for member in archive:
            if not member.isfile() or Path(member.name).suffix.lower() not in media.SUFFIXES | media.FILMS:
                continue
            label = f"{where}#{member.name}"
            inside = archive.extractfile(member)
            if inside is None or member.size > _MEMBER:
                yield label, InputError(f"'{label}': expected a picture of at most {_MEMBER / 1e6:,.0f} MB.")
            else:
                yield label, inside.read()


# ----------------------------------------------------------------------------------------------------------- an actor


class Worker:
    """What each actor runs: units in, counts out; the rows go straight into parts."""

    def __init__(self, settings: Mapping[str, Any]):
        from facewitness.pool import Pool

        known = settings["known"]  # a reference, so that a machine gets it once however many actors it has
        self.known: Mapping[str, list[str | None]] = {}
        if known is not None:
            import ray

            self.known = ray.get(known)
        self.out = Path(settings["out"])
        then = _Finish(settings["slim"], settings["thumbs"])
        self.pool: Pool[dict[str, Any]] = Pool(1, then=then, seconds=settings["seconds"], **settings["options"])

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[int]]:
        """One unit: its files through the process, two ahead, and its part."""
        rows: list[dict[str, Any]] = []
        coming: deque[Any] = deque()
        skipped = 0
        for name, content in _contents(json.loads(str(batch["unit"][0]))):
            if isinstance(content, InputError):
                rows.append(_failed(name, content))
                continue
            if self._is_known(name, content):
                skipped += 1
                continue
            coming.append((name, self.pool.submit(content, name=name)))
            while len(coming) > 3:
                rows.append(_result(*coming.popleft()))
        rows += [_result(*each) for each in coming]
        if rows:
            write_part(self.out, rows)
        return {"files": [len(rows)], "skipped": [skipped]}

    def _is_known(self, name: str, content: str | bytes) -> bool:
        if name not in self.known:
            return False
        digests = self.known[name]
        if None in digests:  # it could not be read then, and was set aside
            return True
        from facewitness import files, media

        with contextlib.suppress(OSError, ValueError):
            if isinstance(content, bytes):
                return hashlib.sha256(content).hexdigest() in digests
            return files.sha256(media.file_of(content), media.limit_of(content)) in digests
        return False

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.pool.close()


@dataclasses.dataclass(frozen=True, slots=True)
class _Finish:
    """An analysis as a row. Runs in the process that analysed."""

    slim: bool
    thumbs: bool

    def __call__(self, analysis: Analysis) -> dict[str, Any]:
        from facewitness.apps import summary
        from facewitness.formats import json as wire

        report = analysis.report
        row = dataclasses.asdict(summary.row_of(report))
        small = summary.thumbnail(analysis.clip) if self.thumbs and analysis.clip is not None else None
        return {**row, "report": wire.render(report, slim=self.slim).decode().rstrip("\n"), "thumb": small}


def _result(name: str, future: Any) -> dict[str, Any]:
    try:
        row: dict[str, Any] = future.result()
        return row
    except FacewitnessError as error:
        return _failed(name, error)


def _failed(name: str, error: Exception) -> dict[str, Any]:
    from facewitness.apps import summary
    from facewitness.formats import json as wire
    from facewitness.types import Problem, Report

    report = Report(name, "failed", problems=(Problem("read", ended(str(error))),))
    row = dataclasses.asdict(summary.row_of(report))
    return {**row, "report": wire.render(report).decode().rstrip("\n"), "thumb": None}


# -------------------------------------------------------------------------------------------------------------- parts


def _schema() -> pa.Schema:
    import pyarrow as pa

    text, number, count = pa.string(), pa.float64(), pa.int32()
    kinds = {"fake": number, "low": number, "high": number, "faces": count, "fake_faces": count, "thumb": pa.binary()}
    names = (
        "source", "sha256", "status", "label", "fake", "low", "high", "faces", "fake_faces", "places", "problem",
        "report", "thumb",
    )  # fmt: skip
    return pa.schema([(name, kinds.get(name, text)) for name in names])


def write_part(out: Path, rows: list[dict[str, Any]]) -> str:
    """Write the rows of one unit, a file for each answer among them, and return the name they share.

    The name follows from what the rows are about. A unit that is done again writes over what its first try left, also
    where an answer is another by now (a file that outlasts its time on a busy machine).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    about = json.dumps(sorted(row["source"] for row in rows), ensure_ascii=True)
    name = f"part-{hashlib.sha256(about.encode()).hexdigest()[:20]}.parquet"
    for label in _LABELS:
        path = out / f"verdict={label}" / name
        mine = [row for row in rows if (row["verdict"] or row["status"]) == label]
        if not mine:
            path.unlink(missing_ok=True)
            continue
        values = [{**_plain(row), "label": label} for row in mine]
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(values, _schema()), sink, compression="zstd")
        write_whole(path, sink.getvalue().to_pybytes())
    return name


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Text as Parquet can hold it: a file name that is not UTF-8 gets escapes."""
    return {
        key: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for key, value in row.items()
        if key not in ("verdict", "reports")
    }


def parts(out: Path) -> list[Path]:
    """The parts of a run, in a stable order."""
    return sorted(path for label in _LABELS for path in (out / f"verdict={label}").glob("part-*.parquet"))


def _known(out: Path, made_by: Mapping[str, Any], resume: bool, retry_failed: bool) -> dict[str, list[str | None]]:
    """What an earlier run in the folder has done: source → hashes; None for one that could not be read.

    Raises InputError where the folder may not be gone on with.
    """
    import pyarrow.parquet as pq

    from facewitness.formats.json import fingerprint

    mark = fingerprint(made_by)
    about = out / "run.json"
    there = parts(out)
    if there and not resume:
        raise InputError(f"'{out}' holds a run already. Add --resume to go on, or name another folder.")
    if about.is_file():
        try:
            before = json.loads(about.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"'{about}' cannot be read ({error}). Name another folder.") from error
        if there and before.get("fingerprint") != mark:
            raise InputError(
                f"'{out}' was made with another version, options or weights than are asked for. Name another folder."
            )
    write_whole(about, json.dumps({"fingerprint": mark, "made_by": made_by}, indent=1, default=str).encode())
    if retry_failed:
        for path in (out / "verdict=failed").glob("part-*.parquet"):
            path.unlink()
    known: dict[str, list[str | None]] = {}
    for path in parts(out):
        table = pq.read_table(path, columns=["source", "sha256"], partitioning=None)
        for source, digest in zip(table["source"].to_pylist(), table["sha256"].to_pylist(), strict=True):
            known.setdefault(source, []).append(digest)
    return known


# ------------------------------------------------------------------------------------------------------------ summary


def summarise(out: Path) -> Counter[str]:
    """Write the table of all parts and the pages of what is most suspicious; returns how many have which answer."""
    import pyarrow.parquet as pq

    from facewitness.apps import summary

    tally: Counter[str] = Counter()
    columns = [name for name in _schema().names if name not in ("report", "thumb")]
    rows: list[tuple[summary.Row, Path]] = []
    for path in parts(out):
        for value in pq.read_table(path, columns=columns, partitioning=None).to_pylist():
            label = value.pop("label")
            tally[label] += 1
            verdict = label if label in _LABELS[:3] else None
            rows.append((summary.Row(**value, verdict=verdict, reports=(str(path.relative_to(out)),)), path))
    rows.sort(key=lambda each: each[0].source)
    summary.write_csv(out / "summary.csv", [row for row, _ in rows])
    first = sorted(rows, key=lambda each: (_LABELS.index(each[0].label), -(each[0].fake or 0.0)))[:_PAGES_OF]
    pictures = _thumbs(out, [(row.source, path) for row, path in first])
    shown_ = [dataclasses.replace(row, thumb=pictures.get(row.source)) for row, _ in first]
    summary.write_pages(out, sorted(shown_, key=lambda row: row.source), total=sum(tally.values()), tally=tally)
    return tally


def _thumbs(out: Path, wanted: list[tuple[str, Path]]) -> dict[str, str]:
    """Thumbnails of these sources as files beside the pages: source → name."""
    import pyarrow.parquet as pq

    made: dict[str, str] = {}
    sources = {source for source, _ in wanted}
    for path in dict.fromkeys(path for _, path in wanted):
        table = pq.read_table(path, columns=["source", "thumb"], partitioning=None)
        for source, small in zip(table["source"].to_pylist(), table["thumb"].to_pylist(), strict=True):
            if small is not None and source in sources:
                name = f"thumbs/{hashlib.sha256(source.encode()).hexdigest()[:16]}.jpg"
                write_whole(out / name, small)
                made[source] = name
    return made
